/* SPDX-License-Identifier: MIT */
/*
 * What went wrong: a code to act on, a sentence to show, and the facts behind it.
 *
 * The caller owns the sp_error and may pass NULL where it does not care. A zeroed
 * sp_error is empty. It may hold allocated text (a remote traceback, the last lines of
 * a dead worker), so end its life with sp_error_clear().
 */
#ifndef SNAKEPIT_ERROR_H
#define SNAKEPIT_ERROR_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * X(name, number, category, retryable, gRPC status, text, what to do)
 *
 * Numbers are ABI: append, never reuse. `retryable` says whether the same call may
 * succeed later, not whether it is safe to repeat: for that see sp_error.executed.
 */
#define SP_ERROR_TABLE(X)                                                              \
    X(NOMEM, -1, SYSTEM, 1, 8, "out of memory", "free memory or lower the limits")     \
    X(INVAL, -2, USAGE, 0, 3, "invalid argument", "correct the argument named")        \
    X(CONFIG, -3, USAGE, 0, 3, "invalid configuration",                                \
      "correct the line named; `snakepit config explain KEY` describes each key")      \
    X(SYSTEM, -4, SYSTEM, 1, 13, "the operating system refused",                       \
      "the message names the call and the reason")                                     \
    X(QUEUE_FULL, -5, POOL, 1, 8, "the pool's queue is full",                          \
      "call less often, raise queue.max, or add workers")                              \
    X(QUEUE_TIMEOUT, -6, TIME, 1, 4, "no worker became free in time",                  \
      "add workers or raise queue_timeout")                                            \
    X(TIMEOUT, -7, TIME, 1, 4, "the call's deadline passed",                           \
      "raise the call's timeout or make the tool faster")                              \
    X(CANCELLED, -8, TIME, 0, 1, "the call was cancelled",                             \
      "nothing: it was asked for")                                                     \
    X(NO_POOL, -9, USAGE, 0, 5, "no such pool", "name one of the configured pools")    \
    X(NO_TOOL, -10, USAGE, 0, 12, "no such tool",                                      \
      "`snakepit tools` lists what the pool offers")                                   \
    X(BAD_JSON, -11, USAGE, 0, 3, "the arguments are not valid JSON",                  \
      "correct the text at the place named")                                           \
    X(BAD_ARGS, -12, USAGE, 0, 3, "the arguments do not fit the tool",                 \
      "`snakepit tools NAME` shows what the tool takes")                               \
    X(TOO_BIG, -13, USAGE, 0, 8, "larger than the limit",                              \
      "send less or raise the limit named")                                            \
    X(TOO_DEEP, -14, USAGE, 0, 3, "nested deeper than the limit", "flatten the value") \
    X(CLOSED, -15, POOL, 0, 14, "the pool is closing", "open it again")                \
    X(WORKER_DIED, -16, WORKER, 1, 10, "the worker died during the call",              \
      "look at the worker's last lines and its cause of death")                        \
    X(NO_WORKER, -17, WORKER, 1, 14, "the pool has no worker",                         \
      "`snakepit doctor` says why workers do not start")                               \
    X(START_FAILED, -18, WORKER, 1, 14, "the worker did not start",                    \
      "look at the worker's last lines; `snakepit doctor` checks the interpreter")     \
    X(START_TIMEOUT, -19, WORKER, 1, 14, "the worker was not ready in time",           \
      "raise init_timeout or make the adapter's start faster")                         \
    X(REMOTE, -20, REMOTE, 0, 2, "the tool raised an exception",                       \
      "the traceback shows where")                                                     \
    X(PROTOCOL, -21, WIRE, 0, 13, "the worker broke the protocol",                     \
      "check that the worker speaks gRPC and snakepit.bridge.BridgeService")           \
    X(STOPPED_BY_CALLBACK, -22, USAGE, 0, 1, "stopped by the callback",                \
      "nothing: it was asked for")                                                     \
    X(NOT_READY, -23, TIME, 1, 4, "not ready in time",                                 \
      "raise the timeout or look at the workers' starts")                              \
    X(REFUSED, -24, USAGE, 0, 3, "refused, by the adapter or the daemon",              \
      "the message says why")                                                          \
    X(GUARD, -25, SYSTEM, 1, 14, "the guard process failed",                           \
      "check that snakepit-guard is installed and may run")                            \
    X(NOT_FOUND, -26, USAGE, 0, 5, "not found", "check the name")                      \
    X(UNSUPPORTED, -27, USAGE, 0, 12, "the worker cannot do this",                     \
      "use a worker kind that can")                                                    \
    X(BREAKER_OPEN, -28, POOL, 1, 14, "the pool starts no workers for a while",        \
      "look at why its workers die; it tries again by itself")                         \
    X(POISON, -29, WORKER, 0, 9, "the call ended every worker that ran it",            \
      "look at the tool: the same arguments will end the next worker too")             \
    X(IN_USE, -30, SYSTEM, 1, 9, "the instance is in use",                             \
      "stop the host named, or choose another instance; `snakepit cleanup` looks")     \
    X(EXISTS, -31, STATE, 0, 6, "there is one by this name already",                   \
      "take another name, or use the one there is")                                    \
    X(QUOTA, -32, STATE, 1, 8, "a quota is used up",                                   \
      "end what is no longer needed, or raise the limit named")                        \
    X(BAD_VALUE, -33, STATE, 0, 3, "the value does not fit",                           \
      "the message says the value and the limit")                                      \
    X(CONFLICT, -34, STATE, 1, 10, "somebody else changed it first",                   \
      "read it again and repeat the change on what is there now")                      \
    X(LOCKED, -35, STATE, 1, 9, "somebody else holds the lock",                        \
      "wait for its owner, who is named, or take it by force")                         \
    X(CYCLE, -36, STATE, 0, 9, "it would depend on itself",                            \
      "leave out one of the dependencies named")                                       \
    X(TOO_SLOW, -37, STATE, 1, 8, "the watcher was too slow",                          \
      "watch again, beginning with the values as they are")                            \
    X(STORE, -38, STORE, 0, 15, "the stored state cannot be used",                     \
      "the message names the file and what is wrong with it")                          \
    X(STORE_FULL, -39, STORE, 1, 8, "no room to store the change",                     \
      "make room on the disk: the change was not made")                                \
    X(SESSION_WORKER_LOST, -40, WORKER, 1, 10, "the session's worker has ended",       \
      "begin the session's work anew: what its worker had in memory is gone")          \
    X(RECURSION, -41, POOL, 0, 9, "tools call each other too deep",                    \
      "look at the chain of calls named: one of them asks for itself, or raise "       \
      "nesting_max")                                                                   \
    X(DEADLOCK, -42, POOL, 0, 9, "the call would wait for itself",                     \
      "add workers, or let the tool call its own code without a call")

enum {
    SP_OK = 0,
#define X(name, number, category, retryable, grpc, text, hint) SP_ERR_##name = number,
    SP_ERROR_TABLE(X)
#undef X
};

/* X(name, word, meaning): numbers from 0 on are ABI, so append. */
#define SP_CATEGORY_TABLE(X)                                                           \
    X(NONE, "none", "No error.")                                                       \
    X(SYSTEM, "system", "The system refused: memory, descriptors, processes.")         \
    X(USAGE, "usage", "What was asked for is wrong.")                                  \
    X(POOL, "pool", "The pool does not take the call.")                                \
    X(TIME, "time", "Not in time, or not wanted any more.")                            \
    X(WORKER, "worker", "The worker did not start, or did not live.")                  \
    X(REMOTE, "remote", "The tool raised an exception.")                               \
    X(WIRE, "wire", "A peer broke the protocol.")                                      \
    X(STATE, "state", "A session, variable or program did not let itself be changed.") \
    X(STORE, "store", "The file of the stored state.")

enum {
#define X(name, word, meaning) SP_CATEGORY_##name,
    SP_CATEGORY_TABLE(X)
#undef X
};

/* Whether user code in the worker ran for a call that failed. */
enum {
    SP_EXECUTED_NO = 0,  /* certainly not: repeating it is safe */
    SP_EXECUTED_UNKNOWN, /* it may have run, wholly or in part */
    SP_EXECUTED_YES      /* it ran */
};

/* How far a call that failed had come. */
enum {
    SP_STAGE_NONE = 0, /* no call, or refused before it was one */
    SP_STAGE_QUEUED,   /* it waited for a worker */
    SP_STAGE_SENT,     /* a worker had it, and had not begun */
    SP_STAGE_STARTED,  /* user code ran, or may have */
    SP_STAGE_STREAMING /* chunks of it had come */
};

#define SP_ERROR_MESSAGE_MAX 512

typedef struct sp_error {
    int code;          /* SP_ERR_, or 0 when empty */
    int os_errno;      /* errno behind it, or 0 */
    int grpc_status;   /* gRPC status code behind it, or 0 */
    int executed;      /* SP_EXECUTED_, over all attempts */
    int retryable;     /* 1: the same call may be sent again, safely and with hope */
    int stage;         /* SP_STAGE_ */
    uint32_t attempts; /* times the call was handed to a worker */
    uint64_t chunks;   /* of a stream: that came before the end */
    uint64_t retry_after_ms; /* no use to try earlier, or 0 */
    sp_id worker;            /* the last one that had the call, or 0 */
    int worker_pid;          /* worker concerned, or 0 */
    int worker_exit;         /* its exit status when it ended by itself, or -1 */
    int worker_signal;       /* the signal that killed it, or 0 */
    int worker_why;          /* SP_DEATH_ (death.h) when one died, or 0 */
    char *remote_type;       /* class of the remote exception, or NULL; owned */
    char *remote_message;    /* its message, or NULL; owned */
    char *remote_trace;      /* its traceback, or NULL; owned */
    char *remote_details;    /* what else is known of it, see below, or NULL; owned */
    char *worker_stderr;     /* the dead worker's last lines, or NULL; owned */
    char *worker_stack;      /* where it hung, or NULL; owned */
    char message[SP_ERROR_MESSAGE_MAX]; /* one line, no full stop */
} sp_error;

/*
 * remote_details is the text of a JSON object. Members that a reader does not know are to
 * be passed over; all are optional.
 *
 *   causes   an array, the nearest first, of what led to the exception: objects with
 *            "link" ("cause": it was named as the reason; "context": it was being handled;
 *            "member": it is one of several that the exception holds), "type", "message"
 *            and, when known, "traceback"
 *   kind     "shape_mismatch", "dimension_mismatch", "dtype_mismatch", "device_mismatch" or
 *            "out_of_memory": what an array library's exception is about, recognised by the
 *            bridge
 *   library  which one: "numpy", "torch"
 *   expected, got         of a mismatch: shapes and lengths as arrays of integers, or texts
 *   operation, dimension, device
 *   requested_bytes, available_bytes    of out_of_memory: integers
 */

/* Release what the error owns and make it empty. NULL is fine. */
SP_API void sp_error_clear(sp_error *err);

/* Move *from into *to (cleared first) and leave *from empty. */
SP_API void sp_error_move(sp_error *to, sp_error *from);

/* Fill `err` (which may be NULL) with `code` and a formatted message; returns `code`.
 * For adapter callbacks and bindings that report errors of their own. */
SP_API int sp_error_set(sp_error *err, int code, const char *format, ...)
    SP_PRINTF(3, 4);

/* The fixed text of a code, "the pool's queue is full"; "unknown error" for others. */
SP_API const char *sp_strerror(int code);

/* The stable name of a code, "SP-QUEUE-FULL"; "SP-UNKNOWN" for others, "SP-OK" for 0. */
SP_API const char *sp_error_name(int code);

/* The code of a stable name, 0 when there is none. */
SP_API int sp_error_by_name(const char *name);

/* What to do about a code, one phrase; "" for unknown codes. */
SP_API const char *sp_error_hint(int code);

/* SP_CATEGORY_ of a code. */
SP_API int sp_error_category(int code);

/* The word for a category, "pool"; "none" for other numbers. Since: 0.1 */
SP_API const char *sp_category_name(int category);

/* 1 when the same call may succeed later, else 0. */
SP_API int sp_error_is_retryable(int code);

/* The gRPC status code that stands for a code. */
SP_API int sp_error_grpc_status(int code);

/*
 * The gRPC status that stands for a failed call, by all that is known of it. Stock
 * clients repeat what is UNAVAILABLE by themselves, so a call that may have run never is:
 * what would be is ABORTED then. The other way round, a call whose worker died before it
 * began is UNAVAILABLE. 0 for NULL and for an empty error. Since: 0.1
 */
SP_API int sp_error_status(const sp_error *err);

/*
 * Milliseconds after which a client may send a failed call again, for the trailer
 * grpc-retry-pushback-ms; -1: it should not, because the call may have run or would fail
 * again. Since: 0.1
 */
SP_API int64_t sp_error_pushback_ms(const sp_error *err);

/* Walk the table: the code at `index`, 0 past the end. */
SP_API int sp_error_at(size_t index);

#ifdef __cplusplus
}
#endif
#endif
