/* SPDX-License-Identifier: MIT */
/*
 * A call: one question to one worker, one answer.
 *
 * It waits in its pool's queue, goes to a worker, and ends exactly once: with a result
 * or with an error. Arguments and results are JSON text. An object carries the tool's
 * named arguments, an array positional ones.
 */
#ifndef SNAKEPIT_CALL_H
#define SNAKEPIT_CALL_H

#include "base.h"
#include "error.h"
#include "pit.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    /* The tool may be run again: send the call to another worker when one dies. Needless
     * where the tool says so itself. */
    SP_CALL_IDEMPOTENT = 1u << 0,
    /* When it is cancelled or its time is over while user code runs: kill the worker at
     * once instead of asking it to stop. Other calls of that worker die with it. */
    SP_CALL_CANCEL_KILLS = 1u << 1
};

typedef struct sp_call_options {
    size_t size;
    const char *pool;    /* NULL: the first pool, or where the tool is when that is
                            known not to have it */
    const char *session; /* 1..255 bytes of UTF-8, or NULL */
    uint64_t timeout_ms; /* queue and run together; 0: the command's, the pool's */
    uint64_t queue_timeout_ms; /* waiting for a worker; 0: the pool's */
    uint32_t flags;            /* SP_CALL_ */

    /* 1..255 bytes of UTF-8, or NULL. The worker sees both. */
    const char *request_id; /* a name to ask by later, see sp_call_outcome() */
    const char *dedupe_key; /* the same work is not done twice: a call whose key runs
                               already ends with that one, and one whose key ran within
                               the pit's outcome_keep_ms gets its result. A failure that
                               ran nothing is not remembered. Not for streams */

    /* What travels as bytes beside the arguments: tensors, or whatever else. Copied. */
    const sp_binary *binaries;
    size_t binaries_count;

    int affinity; /* SP_AFFINITY_ of this call, default: the pool's */

    /* Asked several times a second by a thread that waits for the call or the stream;
     * anything but 0 cancels it. For programs, interpreters above all, whose users must be
     * heard during a wait. It may take locks, but must not use the pit. A map asks nobody.
     * NULL: nobody is asked. */
    int (*interrupt)(void *interrupt_data);
    void *interrupt_data;

    const char
        *traceparent; /* the span that the call is made in (W3C Trace Context), or
                                NULL. The worker sees a span of its own inside it as the
                                metadata "traceparent", and so do tools it calls. A text
                                that is none is passed over. With none, the pit may begin
                                a trace: see sp_pit_options.trace_sample_permille */
    const char
        *tracestate;     /* what else is said of that trace, at most 512 bytes, and */
    const char *baggage; /* what goes along with it (W3C Baggage), at most 8 192; or
                               NULL. Both reach the worker, and the tools it calls, under
                               their names in the metadata. Copied; what is longer, or not
                               printable ASCII, is passed over */
} sp_call_options;

/* Which worker a call of a session went to. */
enum {
    SP_PLACED_NONE = 0, /* without a session, or with SP_AFFINITY_NONE */
    SP_PLACED_SAME = 1, /* the one that the session had before */
    SP_PLACED_NEW = 2,  /* it had none, or none for so long that it was forgotten */
    SP_PLACED_MOVED = 3 /* another one: its own was busy, or has ended (then
                           SP_EVENT_SESSION_MOVED says so too) */
};

/* A result that the caller owns. Zeroed is empty. Release with sp_result_clear(). */
typedef struct sp_result {
    char *json;        /* UTF-8 JSON, NUL-terminated, never NULL on success */
    size_t json_bytes; /* without the NUL */
    void *binary;      /* raw bytes beside the JSON, or NULL; see sp_result_tensor() */
    size_t binary_bytes;
    void *memory; /* what sp_result_clear() releases for `binary`: leave it alone */
    uint64_t queued_us; /* from the call to its worker */
    uint64_t run_us;    /* from then to the answer */
    sp_id worker;
    int worker_pid;
    uint32_t attempts;
    int placed; /* SP_PLACED_ */
} sp_result;

/* Release what a result owns and make it empty. NULL is fine. */
SP_API void sp_result_clear(sp_result *result);

/*
 * Find a tensor in a result, as sp_tensor_find() does; what it gives is borrowed from the
 * result. A tool in Python answers with an array of at most SP_BINARY_MIN_BYTES as JSON
 * lists: SP_ERR_BAD_VALUE. Thread: any. Since: 0.1
 */
SP_API int sp_result_tensor(const sp_result *result, const char *pointer,
                            sp_tensor *ret_tensor, sp_error *err);

/*
 * Call a tool and wait for its answer.
 *
 * tool        1..255 bytes of UTF-8
 * args_json   a JSON object or array; no bytes mean {}. At most the pool's
 *             request_max_bytes, nested at most 512 deep
 * options     NULL for defaults
 * ret_result  set on success; release with sp_result_clear()
 *
 * Errors: SP_ERR_BAD_JSON, SP_ERR_TOO_DEEP, SP_ERR_TOO_BIG, SP_ERR_NO_POOL,
 * SP_ERR_NO_TOOL, SP_ERR_BAD_ARGS, SP_ERR_REFUSED, SP_ERR_INVAL, SP_ERR_NOMEM before
 * anything is sent; SP_ERR_QUEUE_FULL, SP_ERR_QUEUE_TIMEOUT, SP_ERR_NO_WORKER,
 * SP_ERR_BREAKER_OPEN, SP_ERR_START_FAILED, SP_ERR_START_TIMEOUT,
 * SP_ERR_SESSION_WORKER_LOST (with a strict affinity, once: the worker that had run the
 * session's calls has ended, with all that it kept for it) when no worker took it;
 * SP_ERR_TIMEOUT, SP_ERR_CANCELLED, SP_ERR_REMOTE, SP_ERR_BAD_ARGS, SP_ERR_WORKER_DIED,
 * SP_ERR_POISON, SP_ERR_PROTOCOL, SP_ERR_CLOSED afterwards; from inside a host tool also
 * SP_ERR_RECURSION and SP_ERR_DEADLOCK. err->executed says whether user code ran.
 * Thread: any but a callback. Since: 0.1
 */
SP_API int sp_execute(sp_pit *pit, const char *tool, sp_bytes args_json,
                      const sp_call_options *options, sp_result *ret_result,
                      sp_error *err);

/* As sp_execute(), in a session: options->session is `session`. Since: 0.1 */
SP_API int sp_execute_in_session(sp_pit *pit, const char *session, const char *tool,
                                 sp_bytes args_json, const sp_call_options *options,
                                 sp_result *ret_result, sp_error *err);

/* How a call ended, as a callback sees it. Everything is borrowed until it returns. */
typedef struct sp_reply {
    sp_id call;
    const sp_error *error;   /* NULL on success */
    const sp_result *result; /* NULL on failure */
} sp_reply;

typedef void (*sp_reply_cb)(const sp_reply *reply, void *user_data);

/*
 * Start a call and return at once.
 *
 * cb        called exactly once, inside sp_pit_dispatch(); NULL: the caller will
 *           sp_call_wait() for it, and must
 * ret_call  set on success; names the call until it has ended. May be NULL with a cb
 *
 * Errors: those of sp_execute() that come before anything is sent, and SP_ERR_CLOSED.
 * After an error `cb` is never called.
 * Thread: any. Since: 0.1
 */
SP_API int sp_call_start(sp_pit *pit, const char *tool, sp_bytes args_json,
                         const sp_call_options *options, sp_reply_cb cb,
                         void *user_data, sp_id *ret_call, sp_error *err);

/*
 * Wait for a call started without a callback. Errors: as sp_execute(), and
 * SP_ERR_NOT_FOUND (no such call, or waited for already).
 * Thread: any but a callback. Since: 0.1
 */
SP_API int sp_call_wait(sp_pit *pit, sp_id call, sp_result *ret_result, sp_error *err);

/*
 * Ask a call to end. It ends with SP_ERR_CANCELLED, at once for the caller; the worker's
 * user code is interrupted where its language allows, and its worker is replaced when it
 * does not stop within cancel_grace_ms.
 *
 * Cancelling a call that has ended is not an error. Errors: SP_ERR_CLOSED.
 * Thread: any. Since: 0.1
 */
SP_API int sp_call_cancel(sp_pit *pit, sp_id call, sp_error *err);

/* What became of a call that was given a request_id. */
enum {
    SP_OUTCOME_UNKNOWN = 0, /* never seen, or forgotten */
    SP_OUTCOME_QUEUED = 1,
    SP_OUTCOME_RUNNING = 2,
    SP_OUTCOME_DONE = 3,
    SP_OUTCOME_FAILED = 4
};

typedef struct sp_outcome {
    int state;    /* SP_OUTCOME_ */
    int error;    /* FAILED: SP_ERR_ */
    int executed; /* SP_EXECUTED_ */
    uint32_t attempts;
    sp_id call;
    uint64_t age_ms; /* since it ended, 0 before */
    int has_result;  /* DONE: the result was kept, and copied */
} sp_outcome;

/*
 * Ask what became of a call, by the request_id it was started with.
 *
 * ret_result  the result when it is known (release it), or NULL
 *
 * A call that failed is no error of this function: its error's text comes in `err` while
 * 0 is returned. Errors: SP_ERR_INVAL.
 * Thread: any but a callback. Since: 0.1
 */
SP_API int sp_call_outcome(sp_pit *pit, const char *request_id, sp_outcome *ret_outcome,
                           sp_result *ret_result, sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
