/* SPDX-License-Identifier: MIT */
/*
 * The worker side: what a program needs to become a worker of a pit.
 *
 * A worker registers its tools, announces itself, and then asks for work in a loop:
 *
 *     sp_worker_open(NULL, &worker, &err);
 *     sp_worker_add_tool(worker, &(sp_tool){.size = sizeof(sp_tool), .name = "add"}, &err);
 *     sp_worker_announce(worker, &err);
 *     while (sp_worker_next(worker, &job, &err) > 0) {
 *         ... sp_job_args(job) ... sp_job_reply(job, result, &err);
 *     }
 *     sp_worker_close(worker);
 *
 * The thread that runs user code also does the I/O; while a job takes long, a helper
 * thread of the library answers PINGs, takes cancellations and further calls, and ends
 * the process when the host is gone. The helper never runs user code.
 *
 * A job belongs to the thread that took it until it is ended by sp_job_reply(),
 * sp_job_fail() or sp_job_end(), after which the pointer is invalid.
 *
 * This header belongs to libsnakepit-worker; it needs no other library of ours.
 */
#ifndef SNAKEPIT_WORKER_H
#define SNAKEPIT_WORKER_H

#include "base.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_worker sp_worker;
typedef struct sp_job sp_job;

typedef struct sp_worker_options {
    size_t size;
    const char *runtime;     /* shown in status, "python 3.11.2"; NULL: "c" */
    const char *name;        /* NULL: SNAKEPIT_WORKER_ID, or "worker" */
    /* The inherited sockets; all 0: taken from SNAKEPIT_CALL_FD, SNAKEPIT_HOST_FD and
     * SNAKEPIT_PAGE_FD. */
    int call_fd;
    int host_fd;
    int page_fd;
    /* Instead of inherited sockets: listen for stock gRPC clients on "unix:/path" or
     * "127.0.0.1:port" (port 0: any, see sp_worker_address()). NULL: none. */
    const char *listen;
    uint32_t threads;        /* threads that will call sp_worker_next(), default 1 */
    uint32_t queue_max;      /* calls waiting here before they are refused, default 1024 */
    uint64_t request_max_bytes;  /* default 128 MiB; more is refused */
    /* Called around waits for work, so that a binding can give up its interpreter's
     * lock. Both or neither; they run on the thread that waits. */
    void (*on_idle)(void *user_data);
    void (*on_busy)(void *user_data);
    /* Called on a thread of the library when a running job has been cancelled, so that
     * a binding can interrupt it (pthread_kill the thread, say). Must not block and must
     * not touch an interpreter. Repeated with growing pauses until sp_job_interrupted()
     * was called or the job ended. */
    void (*on_cancel)(void *user_data, sp_job *job);
    void *user_data;
    uint64_t exit_grace_ms;  /* from the host's death to _exit, default 0 */
} sp_worker_options;

typedef struct sp_tool_param {
    const char *name;
    const char *type;         /* "int", "str" ... or NULL: "any" */
    const char *description;  /* or NULL */
    const char *default_json; /* NULL: required */
} sp_tool_param;

typedef struct sp_tool {
    size_t size;
    const char *name;         /* 1..255 bytes */
    const char *description;  /* or NULL */
    int streaming;
    const sp_tool_param *params;
    size_t params_count;
} sp_tool;

/* Read the environment, connect to what was inherited (or listen). options may be NULL.
 * Errors: SP_ERR_INVAL, SP_ERR_SYSTEM, SP_ERR_NOMEM. */
SP_API int sp_worker_open(const sp_worker_options *options, sp_worker **ret_worker,
                          sp_error *err);

/* Register a tool; before sp_worker_announce(). Everything is copied.
 * Errors: SP_ERR_INVAL (name empty, too long or taken), SP_ERR_NOMEM. */
SP_API int sp_worker_add_tool(sp_worker *worker, const sp_tool *tool, sp_error *err);

/* Accept calls of tools that were not registered (functions found by name). */
SP_API void sp_worker_accept_any(sp_worker *worker);

/* Tell the host that the worker is ready, with its tools. Blocks until the host has
 * taken note. A listening worker becomes SERVING. Errors: SP_ERR_PROTOCOL (the host
 * refused), SP_ERR_CLOSED (the host is gone). */
SP_API int sp_worker_announce(sp_worker *worker, sp_error *err);

/* Tell the host that the worker can never start, and why: shown to every caller.
 * permanent  1: starting it again is useless (its adapter does not exist)
 * type, message, trace  may be NULL */
SP_API void sp_worker_refuse(sp_worker *worker, int permanent, const char *type,
                             const char *message, const char *trace);

/* The address a listening worker is bound to, "unix:/path" or "127.0.0.1:4711". */
SP_API const char *sp_worker_address(const sp_worker *worker);

/*
 * Wait for something to do.
 *
 * Returns 1 with a job: a new call, or a stream whose turn it is (sp_job_is_turn());
 * 0 when the worker shall end (host gone, asked to stop, sp_worker_stop());
 * SP_ERR_CANCELLED-free negative codes for broken connections: SP_ERR_PROTOCOL,
 * SP_ERR_SYSTEM, SP_ERR_NOMEM. SP_ERR_STOPPED_BY_CALLBACK: a signal interrupted the wait
 * (the binding runs its signal handlers and calls again).
 */
SP_API int sp_worker_next(sp_worker *worker, sp_job **ret_job, sp_error *err);

/* Make sp_worker_next() return 0 once running jobs have ended. Async-signal-safe. */
SP_API void sp_worker_stop(sp_worker *worker);

/* Write what is still to write (bounded), close the sockets, release everything. */
SP_API void sp_worker_close(sp_worker *worker);

/* In the child after a fork inside a job: forget the connections without touching
 * them. The child must not call other functions of the worker. */
SP_API void sp_worker_forget(sp_worker *worker);

/* ---- the job's request; borrowed until the job ends ---- */
SP_API const char *sp_job_tool(const sp_job *job);
SP_API const char *sp_job_session(const sp_job *job); /* "" when there is none */
/* The arguments: a JSON object or array. */
SP_API sp_bytes sp_job_args(const sp_job *job);
/* The index-th raw binary argument: 1 and *ret_name, *ret_value, or 0 past the last. */
SP_API int sp_job_binary(const sp_job *job, size_t index, const char **ret_name,
                         sp_bytes *ret_value);
/* The index-th metadata pair, likewise. */
SP_API int sp_job_metadata(const sp_job *job, size_t index, const char **ret_key,
                           const char **ret_value);
/* 1 when the caller wants a stream. */
SP_API int sp_job_is_stream(const sp_job *job);
/* 1 when sp_worker_next() returned a stream that may go on, not a new call. */
SP_API int sp_job_is_turn(const sp_job *job);
/* 1 when nobody waits for the result any more (cancelled, deadline, host gone). */
SP_API int sp_job_cancelled(const sp_job *job);
/* A binding has interrupted the user code: stop calling on_cancel. */
SP_API void sp_job_interrupted(sp_job *job);
/* Milliseconds until the deadline: SP_UNLIMITED without one, 0 when it has passed. */
SP_API uint64_t sp_job_time_left_ms(const sp_job *job);
/* A place for the binding's own pointer (a generator), NULL at first. */
SP_API void sp_job_set_data(sp_job *job, void *data);
SP_API void *sp_job_data(const sp_job *job);

/* ---- answers. All copy what they are given. A job nobody waits for any more is ended
 *      all the same and the answer dropped; that is not an error. ---- */

/* End the job with a result. `type` is the value's kind for the wire ("map", "list",
 * "string", "integer", "float", "boolean", "null"; NULL: "map"); binary may be empty. */
SP_API int sp_job_reply(sp_job *job, sp_bytes result_json, const char *type,
                        sp_bytes binary, sp_error *err);

/* End the job with a failure. `code` is SP_ERR_REMOTE for an exception of user code,
 * SP_ERR_NO_TOOL, SP_ERR_BAD_ARGS ...; texts may be NULL. */
SP_API int sp_job_fail(sp_job *job, int code, const char *type, const char *message,
                       const char *trace, sp_error *err);

/* Add a chunk to a stream. Returns 1 when the stream may go on at once, 0 when it must
 * wait: leave the job alone until sp_worker_next() returns it again; SP_ERR_CANCELLED
 * when nobody listens any more: close the generator and call sp_job_end(). */
SP_API int sp_job_chunk(sp_job *job, sp_bytes chunk, sp_error *err);

/* End a stream. */
SP_API int sp_job_end(sp_job *job, sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
