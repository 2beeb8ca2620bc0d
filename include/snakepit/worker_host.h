/* SPDX-License-Identifier: MIT */
/*
 * What a job may call: tools of the program that hosts it, and tools of other workers.
 *
 *     sp_host_result result;
 *     if (sp_job_call_host(job, "look_up", sp_text("{\"key\":1}"), NULL, &result, &err)
 *         == 0) {
 *         ... result.json ...
 *         sp_host_result_clear(&result);
 *     }
 *
 * The thread that asks does the I/O while it waits, as in sp_worker_next(): PINGs are
 * answered, and further calls taken, which other threads may run. Every function here
 * ends when its job does:
 *
 *   SP_ERR_CANCELLED   nobody waits for the job any more (or it has ended, when another
 *                      thread asked for it)
 *   SP_ERR_TIMEOUT     the job's deadline has passed, or the timeout given
 *   SP_ERR_CLOSED      the host is gone
 *   SP_ERR_STOPPED_BY_CALLBACK  options.on_signal said so
 *
 * and fails with SP_ERR_UNSUPPORTED in a worker without a host, one that listens. What
 * the host refuses comes with the host's own code and message. A worker that was asked to
 * stop still gives its jobs their answers.
 *
 * Threads: any, several for one job too, on_idle and on_busy around the wait; but the job
 * must not have ended when a function is called. What a job left open when it ends is
 * given up.
 */
#ifndef SNAKEPIT_WORKER_HOST_H
#define SNAKEPIT_WORKER_HOST_H

#include "base.h"
#include "error.h"
#include "tensor.h"
#include "worker.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_host_call_options {
    size_t size;
    /* NULL: a tool of the host's program. Otherwise a tool of a worker: of the pool by
     * that name, "" of the first that has it. */
    const char *pool;
    uint64_t timeout_ms; /* 0: as long as the job has */
    const sp_binary
        *binaries; /* tensors and raw bytes beside the arguments (tensor.h) */
    size_t binaries_count;
} sp_host_call_options;

/* Owned: release with sp_host_result_clear(). */
typedef struct sp_host_result {
    sp_bytes json;   /* the result */
    sp_bytes binary; /* what the JSON speaks of (tensor.h), or nothing */
    void *memory;    /* both are inside */
} sp_host_result;

/* Release a result. A zeroed struct and NULL are fine. Since: 0.1 */
SP_API void sp_host_result_clear(sp_host_result *result);

/*
 * Call a tool and wait for its result.
 *
 * args_json   a JSON object of named arguments; no bytes: none
 * options     NULL for defaults
 * ret_result  set on success
 *
 * Errors: those above; SP_ERR_REMOTE with the exception (remote_type, remote_message),
 * SP_ERR_NO_TOOL, SP_ERR_BAD_ARGS, SP_ERR_PROTOCOL, SP_ERR_NOMEM, and what else a call
 * can end with. Since: 0.1
 */
SP_API int sp_job_call_host(sp_job *job, const char *tool, sp_bytes args_json,
                            const sp_host_call_options *options,
                            sp_host_result *ret_result, sp_error *err);

/* A tool of the host's program. Borrowed until the callback returns. */
typedef struct sp_job_host_tool {
    const char *name;
    const char *description;
    const char *input_schema; /* a JSON Schema of the arguments, "" when it has none */
    const char *metadata;     /* a JSON object of texts */
    int is_streaming;         /* it answers with a stream, see below */
} sp_job_host_tool;

typedef void (*sp_job_host_tool_cb)(const sp_job_host_tool *tool, void *user_data);

/* List the tools of the host's program that the job's session can call, in the order of
 * their names, through a callback that runs before this returns, on this thread. Returns
 * how many. Errors: those above, SP_ERR_PROTOCOL, SP_ERR_NOMEM. Since: 0.1 */
SP_API int sp_job_host_tools(sp_job *job, sp_job_host_tool_cb cb, void *user_data,
                             sp_error *err);

/* ---- tools that answer with a stream ---- */

typedef struct sp_host_stream sp_host_stream;

/*
 * Begin a stream; several may be open at once. Nothing is waited for: that there is no
 * such tool is what sp_host_stream_next() says.
 *
 * options     NULL for defaults; timeout_ms is that of the whole stream
 * ret_stream  end it with sp_host_stream_close(), before sp_worker_close()
 *
 * Errors: those above, SP_ERR_NOMEM. Since: 0.1
 */
SP_API int sp_job_host_stream_open(sp_job *job, const char *tool, sp_bytes args_json,
                                   const sp_host_call_options *options,
                                   sp_host_stream **ret_stream, sp_error *err);

/*
 * Take the next chunk. The host sends at most a megabyte ahead.
 *
 * timeout_ms  how long to wait, 0 not at all, SP_UNLIMITED: as long as the job has. When
 *             it has passed (SP_ERR_TIMEOUT) the stream goes on
 * ret_chunk   JSON text, borrowed until the next call with this stream
 * ret_binary  what the JSON speaks of (tensor.h), or nothing; borrowed too; may be NULL
 *
 * Returns 1 with a chunk, 0 at the end. Errors: as sp_job_call_host().
 * Thread: any, one at a time. Since: 0.1
 */
SP_API int sp_host_stream_next(sp_host_stream *stream, uint64_t timeout_ms,
                               sp_bytes *ret_chunk, sp_bytes *ret_binary,
                               sp_error *err);

/* End a stream; one that is not at its end is cancelled. NULL is fine. Since: 0.1 */
SP_API void sp_host_stream_close(sp_host_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
