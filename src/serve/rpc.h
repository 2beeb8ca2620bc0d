/* SPDX-License-Identifier: MIT */
/*
 * What a pit can be asked over a connection, by whom, and what becomes of a question.
 * Loop thread, but for the answers that clerks give.
 *
 *   peer (a client, or a worker that asks its host) ──▶ rpc (a stream)
 *
 * service.c knows the methods; execute.c makes calls of them, answer.c has the state's
 * ones answered (state.h), watching.c streams what happens (watching.h), health.c answers those about the
 * health; host.c is the side of the workers.
 */
#ifndef SP_SERVE_RPC_H
#define SP_SERVE_RPC_H

#include "base/grpc_status.h"
#include "pit/clerks.h"
#include "pit/pit.h"
#include "snakepit/serve.h"
#include "wire/h2.h"
#include "wire/proto.h"
#include "worker/channel.h"

enum {
    HIGH_WATER_BYTES = 256 * 1024 /* waiting on a stream: no more chunks come there */
};

struct client;
struct deed;
struct watching;
struct rpc;

/* Who is on the other side of a connection: a client of a server, or a worker. */
struct peer {
    struct sp_pit *pit;
    struct lane *lane; /* whose loop it is on */
    struct channel *channel;
    struct list rpcs;
    uint32_t pending;       /* of them that wait for something that ends by itself */
    struct client *client;  /* NULL: a worker */
    struct worker *worker;  /* NULL: a client */
    sp_listen_stats *stats; /* where its calls are counted, or NULL */
    struct proto_scratch *scratch;
};

/* Who asks and what about, for as long as an answer is being made; on any thread. */
struct asking {
    struct sp_pit *pit;
    struct sp_sessions *sessions;
    const char *session; /* of the call that asks: it may ask about no other. "": any */
    uint64_t deadline_ms; /* of the call that asks, or SP_UNLIMITED */
    sp_id call;           /* the call that asks, 0: none */
    sp_id worker;         /* the worker that asks, 0: a client */
    int is_own;           /* a client of the host's own user, or root */
    int is_hurried;       /* on the loop: what takes long is ANSWER_LATER */
};

/*
 * Answer a question with one message, appended to `reply`; or with a failure.
 * Methods of METHOD_READ are answered on the loop thread and only look: a shard's lock
 * is the longest they may wait for. Those of METHOD_CHANGE are answered by a clerk.
 */
typedef int (*answer_fn)(const struct asking *asking, sp_bytes question,
                         struct sp_buffer *reply, sp_error *err);

/* What an answer that was hurried may return: a clerk shall give it. */
enum { ANSWER_LATER = 1, HURRIED_MAX_BYTES = 64 * 1024 };

enum method_kind {
    METHOD_CALL,   /* a request in a pool */
    METHOD_READ,   /* answered at once */
    METHOD_CHANGE, /* answered by a clerk */
    METHOD_OWN     /* it finishes its rpcs itself */
};

enum { FOR_CLIENTS = 1, FOR_WORKERS = 2, FOR_ALL = 3 };

struct method {
    const char *path;
    enum method_kind kind;
    int who;          /* FOR_ */
    int is_stream;    /* its answer is many messages */
    answer_fn answer; /* READ, CHANGE */
    void (*on_message)(struct rpc *rpc, const uint8_t *data,
                       size_t size); /* the others */
    /* Nobody waits for it any more; it may be told twice. NULL: nothing is to be done. */
    void (*on_gone)(struct rpc *rpc);
    /* There is room for more messages. */
    void (*on_drained)(struct rpc *rpc);
};

/* What a call's metadata asks for; one allocation each, or NULL. */
struct rpc_head {
    char *pool;
    char *request_id;
    char *dedupe_key;
    char *trace; /* a traceparent */
    char *tracestate;
    char *baggage;
    uint64_t queue_timeout_ms;
    uint32_t flags;
    int affinity; /* SP_AFFINITY_ */
};

struct rpc {
    const struct method *method;
    struct peer *peer;
    struct link on_peer;
    struct h2_stream *stream;
    uint64_t timeout_ms; /* the peer's, SP_UNLIMITED: none */
    uint64_t begun_ms;   /* of the period over which headway is measured */
    size_t begun_bytes;
    int has_message;
    int finished;

    /* The call that asks, if it is one that does. */
    uint32_t parent_stream;       /* 0: none */
    const struct request *parent; /* as long as it is not over */

    /* Calls. */
    struct rpc_head head;
    struct request *request; /* NULL before and after */
    int ended;               /* the request has */
    uint64_t chunks;
    uint64_t stalled_since_ms; /* it has ended, and its answer does not leave */
    size_t queued;

    /* Calls of host tools. */
    struct sp_tool_call *tool_call; /* NULL before and after */

    /* Changes. */
    struct deed *deed; /* NULL before and after */

    /* Watching variables, or events. */
    struct watching *watching; /* NULL before and after */

    /* Watching the health. */
    struct link on_watchers;
    int service; /* health.c */
    int told;    /* the status it knows, -1: none */
};

/* service.c */
extern const struct h2_events sp__service; /* their user is the peer */
/* End an rpc with a status of our own. */
void sp__rpc_finish(struct rpc *rpc, int status, const char *message);
/* End a call that went well; `placed`: where, as SP_PLACED_ has it. */
void sp__rpc_finish_placed(struct rpc *rpc, int placed);
/* End it with what went wrong. */
void sp__rpc_fail(struct rpc *rpc, const sp_error *failure);
/* The call of this stream is over, and what it asked with it. */
void sp__peer_call_over(struct peer *peer, uint32_t stream_id);

/* host.c: what the pit hands to its workers. */
extern const struct host_service sp__host_service;

/* answer.c */
void sp__answer_message(struct rpc *rpc, const uint8_t *data, size_t size);
void sp__answer_gone(struct rpc *rpc);
/* Who asks: what it points to stays as long as the rpc. */
struct asking sp__asking_of(const struct rpc *rpc);
/* The session a question is about: the one it names, or that of the call that asks.
 * SP_ERR_REFUSED: a call asks about another session than its own. */
int sp__asking_session(const struct asking *asking, const char *named,
                       const char **ret_session, sp_error *err) SP_MUST_CHECK;

/* execute.c */
int sp__rpc_head_read(struct rpc *rpc, const struct h2_request *request);
int sp__rpc_read_number(const struct h2_header *header, uint64_t *ret_number);
void sp__execute_message(struct rpc *rpc, const uint8_t *data, size_t size);
void sp__execute_drained(struct rpc *rpc);
/* The rpc goes: nobody wants the call any more. */
void sp__execute_gone(struct rpc *rpc);

void sp__rpc_head_free(struct rpc *rpc);
/* Write a result as an ExecuteToolResponse. */
int sp__rpc_put_result(struct rpc *rpc, const sp_result *result,
                       sp_error *err) SP_MUST_CHECK;
/* Append a chunk as a message of its own: with data, or the final one without. */
int sp__rpc_put_chunk(struct rpc *rpc, const char *tool, struct sp_buffer *out,
                      sp_bytes data, sp_bytes binary, int is_final,
                      sp_error *err) SP_MUST_CHECK;

/* tool_call.c */
struct tool_wish {
    const struct lineage *lineage; /* who asks, or NULL */
    const char *tool;
    const char *session; /* "" for none */
    sp_bytes args_json;
    const struct proto_pair *binary;
    size_t binary_count;
};
/* 1: it is a host tool's, and being called; 0: no host tool has this name. */
int sp__tool_start(struct rpc *rpc, const struct tool_wish *wish,
                   sp_error *err) SP_MUST_CHECK;
void sp__tool_message(struct rpc *rpc, const uint8_t *data, size_t size);
void sp__tool_drained(struct rpc *rpc);
void sp__tool_gone(struct rpc *rpc);

/* tools.c: answers. */
int sp__answer_tools_list(const struct asking *asking, sp_bytes question,
                          struct sp_buffer *reply, sp_error *err);
int sp__answer_tools_register(const struct asking *asking, sp_bytes question,
                              struct sp_buffer *reply, sp_error *err);

/* health.c */
void sp__health_message(struct rpc *rpc, const uint8_t *data, size_t size);
void sp__health_gone(struct rpc *rpc);

/* failure.c */
struct failure_trailers {
    struct h2_header headers[3];
    size_t count;
    char pushback[24];
};
void sp__failure_trailers(const sp_error *failure, struct failure_trailers *ret);

#endif
