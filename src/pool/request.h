/* SPDX-License-Identifier: MIT */
/*
 * A call as the pool sees it, from its making on the caller's thread to its one ending.
 */
#ifndef SP_POOL_REQUEST_H
#define SP_POOL_REQUEST_H

#include <stdatomic.h>

#include "base/latch.h"
#include "io/loop.h"
#include "pool/mailbox.h"
#include "pool/trace.h"
#include "snakepit/call.h"
#include "snakepit/stream.h"
#include "worker/worker.h"

struct pool;
struct lane;
struct tool;
struct outcome;
struct lineage;

/* The texts a call carries, which may be none. */
struct request_names {
    sp_bytes tool;
    sp_bytes session;
    sp_bytes request_id;
    sp_bytes dedupe_key;
    sp_bytes trace;
};

/*
 *   NEW ──submitted──▶ QUEUED ──picked──▶ SENT ──answered──────────────▶ ENDED
 *                        ▲                  │
 *                        └── not started ───┘  (its worker died or refused)
 *   cancelled · deadline · pool closed · worker died: from any state, exactly once ─▶ ENDED
 */
enum request_state { REQUEST_NEW, REQUEST_QUEUED, REQUEST_SENT, REQUEST_ENDED };

enum { SP__INTERRUPT_MS = 100 }; /* between two questions to interrupt() */

/* Who takes the ending. */
enum request_taker {
    TAKER_WAITER,   /* a thread sleeps on `done`, or will */
    TAKER_DISPATCH, /* the completion queue, and the callbacks */
    TAKER_LOOP      /* a callback on the loop thread, at the end of the turn */
};

/* What its taker does meanwhile, for all that the loop knows. */
enum request_wait {
    WAIT_NONE,   /* nobody, or one that is called when there is something to tell */
    WAIT_ASLEEP, /* it relies on the loop */
    WAIT_AWAY /* it comes back soon, and drives the loop then or says that it sleeps */
};

struct request {
    struct command
        submit; /* first: the inbox's node, of the loop that is to hear of it */
    struct command cancel; /* the taker's wish, posted once at most */
    atomic_int cancel_posted;
    atomic_uint references;      /* the loop's and the taker's */
    _Atomic(struct lane *) lane; /* where it is */

    /* Set before submitting, then constant. */
    sp_id id;
    struct pool *pool;
    void *user_data;
    union { /* what each kind of taker needs */
        struct {
            int (*interrupt)(void *interrupt_data); /* NULL: none, or not any more */
            void *interrupt_data;
            struct link on_takers; /* the loop's list of those waited for */
        };                         /* TAKER_WAITER */
        struct {
            sp_reply_cb reply_cb;
            sp_chunk_cb chunk_cb;
            struct link on_done; /* the dispatch list; under its lock */
        };                       /* TAKER_DISPATCH */
        struct {
            struct lane *taker_lane; /* on this loop it is told; NULL: any */
            /* On its end the taker drops the request. */
            void (*loop_cb)(struct request *request, int ended);
            /* For a taker on another loop, which is told by `submit`. */
            atomic_int tell_posted;
            atomic_int tell_end; /* it has ended, and that is to be told */
            int end_told;        /* the taker's */
        };                       /* TAKER_LOOP */
    };
    uint64_t created_us;
    uint64_t deadline_ms;
    uint64_t queue_deadline_ms;
    uint32_t flags;   /* SP_CALL_; the loop adds what the tool says of itself */
    uint8_t taker;    /* enum request_taker */
    uint8_t affinity; /* SP_AFFINITY_, never the default */
    uint8_t streaming;
    uint8_t is_asked;    /* over a connection */
    uint8_t is_recorded; /* in the pit's spans, once it has ended */
    uint8_t is_away;     /* the taker's: it is at WAIT_AWAY */
    uint8_t has_own_message;

    /* Loop thread. */
    uint8_t state;    /* enum request_state */
    uint8_t wait;     /* enum request_wait */
    uint8_t executed; /* SP_EXECUTED_, and: what came of it in other parts of */
    uint8_t deaths;   /* its pool; workers it has ended there */
    uint32_t number;  /* the core's, CORE_NONE when it has none */
    uint32_t slot;    /* of the worker it was sent to */

    const char *tool_name; /* these five point behind the struct, if they are not "" */
    const char *session;   /* "" : none, as for the next two */
    const char *request_id;
    const char *dedupe_key;
    const char *trace; /* its span, as the worker sees it; "": it is in no trace */
    uint64_t session_hash;
    uint8_t parent_span[SPAN_ID_BYTES]; /* the span that asks for it; all 0: none */
    struct carried *carried;            /* what goes along, or NULL */
    struct lineage *lineage;   /* of a call that another one asks for, or NULL */
    const sp_adapter *adapter; /* for `process`, or NULL */
    /* The encoded ExecuteToolRequest, behind the texts or in memory of its own. */
    uint8_t *message;
    size_t message_bytes;

    /* Loop thread. */
    struct link on_queue; /* the pool's list of those no worker would take */
    struct worker_call call;
    struct timer timer;
    struct tool *tool;  /* what is known of it, or NULL */
    uint64_t preferred; /* the session's worker id, 0: none */
    uint64_t sent_us;
    uint64_t first_sent_us; /* of its first attempt */
    uint64_t chunks;        /* of its stream that came */
    struct outcome *by_key; /* what is to be known of it afterwards, or NULL */
    struct outcome *by_id;
    struct link on_follow; /* it waits for another with the same key */

    /* Written by the loop before the ending is published, then the taker's. */
    sp_result result;
    const sp_error *error; /* NULL: it went well */
    struct latch done;
    struct link on_wake; /* the loop's list of takers to tell at the turn's end */
    int end_published; /* of TAKER_DISPATCH: the ending is on its list; under its lock */

    struct mailbox mailbox; /* last: there is memory for it in streams alone */
};

/* A request with its texts, room for its message, and its mailbox if it is a stream; one
 * reference each for loop and taker. */
int sp__request_new(const struct request_names *names, int streaming,
                    size_t message_bytes, struct request **ret_request,
                    sp_error *err) SP_MUST_CHECK;

/* Drop one reference; the last one frees. */
void sp__request_drop(struct request *request);

/*
 * Its error, to be written: there is memory for it in calls that fail alone. What it said
 * before is kept. NULL when there is none: it has failed all the same, with an error of
 * SP_ERR_NOMEM and this SP_EXECUTED_ that all such calls share.
 */
sp_error *sp__request_error(struct request *request, int executed);
/* Write it. The error for what else is to be said, or NULL as above. */
sp_error *sp__request_fail(struct request *request, int code, int executed,
                           const char *message);
/* Move it out; the request has none afterwards. `ret` may be NULL. */
void sp__request_take_error(struct request *request, sp_error *ret);
/* Where a thread waits: for the end, or for news of a stream. */
static inline struct latch *sp__request_latch(struct request *request)
{
    return request->streaming ? &request->mailbox.ready : &request->done;
}

static inline int sp__request_code(const struct request *request)
{
    return request->error != NULL ? request->error->code : 0;
}

/* The taker: apply the adapter's `process` to the result in place. 0, or the code of the
 * request's error. */
int sp__request_process(struct request *request);

#endif
