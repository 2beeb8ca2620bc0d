/* SPDX-License-Identifier: MIT */
/*
 * A call of a host tool, between the loop, which has been asked for it, and the thread of
 * the program that answers it.
 */
#ifndef SP_PIT_HOST_CALL_H
#define SP_PIT_HOST_CALL_H

#include "pit/clerks.h"
#include "pit/pit.h"
#include "pool/lineage.h"
#include "pool/mailbox.h"
#include "session/host_tools.h"
#include "snakepit/call.h"
#include "wire/proto.h"

enum {
    HOST_CHUNKS_MAX = 256 * 1024, /* bytes that wait to be read; then the tool does */
    HOST_RESULT_MAX = 128 << 20
};

/*
 *   OPEN ──answered by the program──▶ ANSWERED
 *     └─── nobody waits any more, or its time is over ──▶ OVER
 */
enum host_call_state { HOST_CALL_OPEN, HOST_CALL_ANSWERED, HOST_CALL_OVER };

struct sp_tool_call {
    struct link on_due;   /* of host_work; under its lock */
    struct errand errand; /* of a tool for any thread */
    struct command back;  /* to the loop: there is news */
    atomic_int back_posted;
    atomic_uint references; /* the loop's, the program's, those on their way */

    /* Constant. */
    struct sp_pit *pit;   /* on the loop, and while it is OPEN */
    struct lane *lane;    /* whose loop that is; likewise */
    struct command sweep; /* from lane to lane, to cancel what it has asked for */
    struct host_tool *tool;
    sp_bytes args;
    struct proto_pair *binary;
    size_t binary_count;
    uint64_t deadline_ms;
    sp_id worker;
    sp_id id;
    struct lineage lineage;  /* of what it asks for */
    struct carried *carried; /* what goes along, or NULL */
    int is_recorded;         /* in the pit's spans */
    uint8_t parent_span[SPAN_ID_BYTES];
    uint64_t created_us;
    const char *session;

    /* Loop thread. */
    void (*on_news)(struct sp_tool_call *call, int ended); /* NULL: nobody listens */
    void *user;
    struct timer timer;

    /* Under lock. */
    pthread_mutex_t lock;
    enum host_call_state state;
    uint64_t begun_us; /* its function was called, 0: not yet */

    /* The program's until it is ANSWERED, then the loop's. */
    sp_result result;
    sp_error error; /* code 0: it went well */

    /* Streams: the program fills, the loop empties. */
    struct mailbox mailbox;
    atomic_size_t waiting; /* bytes in it */
    struct latch room;     /* there is some, or nobody reads any more */

    char text[]; /* session, arguments, binaries */
};

struct host_call_wish {
    struct host_tool *tool; /* a reference, taken on success */
    const char *session;    /* "" for none */
    sp_bytes args_json;     /* valid JSON that fits the tool */
    const struct proto_pair *binary;
    size_t binary_count;
    uint64_t deadline_ms;
    sp_id worker;
    const struct lineage *lineage; /* who asks, or NULL */
    const char *trace;             /* without it: what the client's call came with, */
    sp_bytes tracestate;           /* or NULL and nothing */
    sp_bytes baggage;
    void (*on_news)(struct sp_tool_call *call, int ended);
    void *user;
};

/* Loop thread. on_news is called on the loop: with chunks, and at last when it ended, and
 * never after sp__host_call_leave(). */
int sp__host_call_start(struct lane *lane, const struct host_call_wish *wish,
                        struct sp_tool_call **ret_call, sp_error *err) SP_MUST_CHECK;
/* Loop thread: nobody waits for it any more. The loop's reference goes. */
void sp__host_call_leave(struct sp_tool_call *call);
/* Loop thread: the next chunk, as sp__mailbox_take(). */
int sp__host_call_take(struct sp_tool_call *call, struct mailbox_chunk *ret_chunk);

/* A thread that may run the tool's function. */
void sp__host_call_run(struct sp_tool_call *call);
/* Who asks for what is called on this thread: the host tool that runs on it, or NULL. */
const struct lineage *sp__host_call_lineage(const struct sp_pit *pit);
/* 1 on a thread of the pit's, which runs no other functions than those it was sent for. */
int sp__host_call_on_runner(void);

#endif
