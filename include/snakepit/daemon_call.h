/* SPDX-License-Identifier: MIT */
/*
 * Calls of the tools of a daemon, from a program that has no pit of its own.
 *
 * A call is opened, waited for, and closed; closing one that has not ended cancels it. The
 * daemon runs it in a pool of its own, as it does what other clients ask of it.
 */
#ifndef SNAKEPIT_DAEMON_CALL_H
#define SNAKEPIT_DAEMON_CALL_H

#include "base.h"
#include "call.h"
#include "error.h"
#include "report.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_daemon_call sp_daemon_call;

/* An answer, or a chunk of a stream. Borrowed until the next one is asked for. */
typedef struct sp_daemon_answer {
    sp_bytes json;   /* one JSON value */
    sp_bytes binary; /* the part that is bytes; data NULL: there is none */
} sp_daemon_answer;

/*
 * Begin a call on a connection of its own. It is on its way once this has returned.
 *
 * tool     1 to 255 bytes
 * args     a JSON object or array; none: size 0
 * options  NULL, or pool, session, timeout_ms, queue_timeout_ms, request_id, dedupe_key,
 *          affinity, traceparent, tracestate, baggage and the flag SP_CALL_IDEMPOTENT of
 *          sp_call_options; binaries and what else there is stay with calls of a pit
 * streams  1: the answer is a stream of chunks
 *
 * Errors: SP_ERR_INVAL, SP_ERR_SYSTEM, SP_ERR_CLOSED (the daemon has gone, or ends),
 * SP_ERR_TIMEOUT, SP_ERR_NOMEM. Thread: any. Since: 0.1
 */
SP_API int sp_daemon_call_open(sp_daemon *daemon, const char *tool, sp_bytes args,
                               const sp_call_options *options, int streams,
                               sp_daemon_call **ret_call, sp_error *err);

/*
 * Wait for the answer or the next chunk, at most timeout_ms: 1 with it, SP_ERR_NOT_READY
 * when that time is over, and 0 when it has ended well and there is no more.
 *
 * Errors also: those with which a call ends, with what the worker has said of them;
 * SP_ERR_CLOSED, SP_ERR_PROTOCOL, SP_ERR_NOMEM. One thread at a time. Since: 0.1
 */
SP_API int sp_daemon_call_next(sp_daemon_call *call, uint64_t timeout_ms,
                               sp_daemon_answer *ret_answer, sp_error *err);

/* NULL is fine. Before sp_daemon_close(). Since: 0.1 */
SP_API void sp_daemon_call_close(sp_daemon_call *call);

#ifdef __cplusplus
}
#endif
#endif
