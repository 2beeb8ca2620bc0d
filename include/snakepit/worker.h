/* SPDX-License-Identifier: MIT */
/*
 * The worker side: what a program needs to become a worker of a pit.
 *
 * A worker registers its tools, announces itself, and then asks for work in a loop:
 *
 *     sp_worker_open(NULL, &worker, &err);
 *     sp_tool tool = {.size = sizeof tool, .name = "add"};
 *     sp_worker_add_tool(worker, &tool, &err);
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
 * sp_job_fail() or sp_job_end(), after which the pointer is invalid. Until then it may
 * ask its host: worker_host.h (tools) and worker_state.h (sessions, variables, programs).
 *
 * This header belongs to libsnakepit-worker; it needs no other library of ours.
 */
#ifndef SNAKEPIT_WORKER_H
#define SNAKEPIT_WORKER_H

#include "base.h"
#include "error.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_worker sp_worker;
typedef struct sp_job sp_job;
typedef struct sp_kept sp_kept;

typedef struct sp_worker_options {
    size_t size;
    const char *runtime; /* shown in status, "python 3.11.2"; NULL: "c" */
    const char *name;    /* NULL: SNAKEPIT_WORKER_ID, or "worker" */
    /* The inherited descriptors; all 0: taken from SNAKEPIT_CALL_FD, SNAKEPIT_HOST_FD and
     * SNAKEPIT_PAGE_FD; then memory_fd, call_in_fd and call_out_fd are too. */
    int call_fd;
    int host_fd;
    int page_fd;
    /* Instead of inherited sockets: listen for stock gRPC clients on "unix:/path" or
     * "127.0.0.1:port" (port 0: any, see sp_worker_address()). NULL: none. */
    const char *listen;
    uint32_t threads;   /* threads that will call sp_worker_next(), default 1 */
    uint32_t queue_max; /* calls that may wait, default 1024; more are refused */
    uint64_t request_max_bytes; /* default 128 MiB; more is refused */
    /* Called around the waits inside sp_worker_next() and for the host's answers, so that
     * a binding can give up its interpreter's lock. Both or neither; they run on the
     * thread that waits. PINGs and the like are served in between without on_busy. */
    void (*on_idle)(void *user_data);
    void (*on_busy)(void *user_data);
    /* Called on a thread of the library when a running job has been cancelled, so that
     * a binding can interrupt it (pthread_kill the thread, say). Must not block, must
     * not touch an interpreter, and of the job may only call sp_job_data() and
     * sp_job_interrupted(): the library holds its lock. Repeated after 10, 20, 40 ..
     * 1280 ms until sp_job_interrupted() was called or the job ended. A thread inside
     * sp_job_chunk() is told by its result instead. */
    void (*on_cancel)(void *user_data, sp_job *job);
    void *user_data;
    /* From the host's death, while user code runs or the worker is starting up, to
     * _exit(75), default 0. A worker without a job gets 0 from sp_worker_next() and has
     * two seconds to close. */
    uint64_t exit_grace_ms;
    int memory_fd; /* inherited like the first three: SNAKEPIT_MEMORY_FD; large values
                      go through it. 0: none */
    /* Called when a signal has interrupted the wait for the host's answer (worker_host.h,
     * worker_state.h), on the thread that waits and after on_busy, so that a binding can
     * run its handlers. Returns 0 to wait on, anything else to end the wait with
     * SP_ERR_STOPPED_BY_CALLBACK. NULL: it waits on. */
    int (*on_signal)(void *user_data);
    /* A session is over whose calls this worker has run: what was kept for it can go.
     * Called by a thread inside sp_worker_next(), between two jobs and after those of the
     * session that came before; with several threads another one may still be at one.
     * Calls that come later begin the session anew. NULL: not told. Since: 0.1 */
    void (*on_session_end)(void *user_data, const char *session);
    /* Jobs that may be set aside at once, see sp_job_set_aside(). Announced as the calls
     * the worker runs at once; needs one thread. 0: none may be. Since: 0.1 */
    uint32_t jobs_max;
    /* With several threads: where a job takes this long on the average, whoever begins one
     * wakes another thread for what comes next, which costs a few microseconds. Shorter
     * ones stay on one thread as long as it keeps up, default 50. Since: 0.1 */
    uint32_t spread_us;
    /* 1: sp_worker_connect() does what concerns this process alone, later: for a zygote
     * (zygote.h), which prepares what its workers have in common once. All else here that
     * says where to connect, and name, must be left out. Since: 0.1 */
    int unconnected;
    /* Inherited like the first three: SNAKEPIT_CALL_IN_FD and SNAKEPIT_CALL_OUT_FD. Two
     * pipes beside the socket call_fd, which then carries what is much: one to read, whose
     * end is the host's death, and one to write to, which is open for reading too, so that
     * writing raises no SIGPIPE. Both or neither; 0: none. Since: 0.1 */
    int call_in_fd;
    int call_out_fd;
} sp_worker_options;

typedef struct sp_tool_param {
    const char *name;
    const char *type;         /* "int", "str" ... or NULL: "any" */
    const char *description;  /* or NULL */
    const char *default_json; /* NULL: required */
} sp_tool_param;

typedef struct sp_tool {
    size_t size;
    const char *name;        /* 1..255 bytes */
    const char *description; /* or NULL */
    int streaming;
    const sp_tool_param *params;
    size_t params_count;
    int idempotent; /* 1: running it twice does no harm, so a call whose worker died
                       is sent to another one, as with SP_CALL_IDEMPOTENT */
} sp_tool;

/* Read the environment, connect to what was inherited (or listen). options may be NULL.
 * The descriptors belong to the worker once this has succeeded. From here on the helper
 * serves PINGs and watches the host, however long the start-up takes.
 * Errors: SP_ERR_INVAL, SP_ERR_SYSTEM, SP_ERR_NOMEM. */
SP_API int sp_worker_open(const sp_worker_options *options, sp_worker **ret_worker,
                          sp_error *err);

/* Connect a worker that was opened with options.unconnected, in the process that opened it
 * or in one that was forked from that. Before it only tools are added, the capacity is set
 * and the worker is closed; after a failure it is closed.
 * Errors: SP_ERR_INVAL (also: it is connected), SP_ERR_SYSTEM, SP_ERR_NOMEM. Since: 0.1 */
SP_API int sp_worker_connect(sp_worker *worker, sp_error *err);

/* Register a tool; before sp_worker_announce(). Everything is copied.
 * Errors: SP_ERR_INVAL (name empty, too long or taken), SP_ERR_NOMEM. */
SP_API int sp_worker_add_tool(sp_worker *worker, const sp_tool *tool, sp_error *err);

/* Accept calls of tools that were not registered (functions found by name). */
SP_API void sp_worker_accept_any(sp_worker *worker);

/* Announce that the worker runs `capacity` calls at once, instead of as many as
 * options.threads or jobs_max: fewer, when its tools are not made for that.
 * Errors: SP_ERR_INVAL (0, or announced already). Since: 0.1 */
SP_API int sp_worker_set_capacity(sp_worker *worker, uint32_t capacity, sp_error *err);

/* Say that `signal_number` makes this process write its stacks, as text, to the
 * descriptor returned: the host sends it when the worker seems to hang, and keeps what
 * was written in the death certificate. The handler is the caller's, to be installed
 * right after; it must work while user code is stuck, so it may call what is safe in a
 * signal handler and nothing else. The descriptor belongs to the worker, never blocks,
 * and takes 16 KiB in all. Python's faulthandler.register() fits.
 * Errors: SP_ERR_INVAL (no such signal), SP_ERR_UNSUPPORTED (a worker that listens, or a
 * host that takes no stacks). Since: 0.1 */
SP_API int sp_worker_offer_stacks(sp_worker *worker, int signal_number, sp_error *err);

/* The handler of the signal offered is installed: let the host ask for stacks again and
 * again (sp_pool_stack_get()). A handler of the library's goes before it, with the same
 * flags, which moves the descriptor back to where the text begins.
 * Errors: SP_ERR_INVAL (nothing was offered, or there is no handler), SP_ERR_SYSTEM.
 * Since: 0.1 */
SP_API int sp_worker_repeat_stacks(sp_worker *worker, sp_error *err);

/* Tell the host that the worker is ready, with its tools. Blocks until the host has
 * taken note, for a minute at most and without on_idle. A listening worker becomes
 * SERVING. Errors: SP_ERR_PROTOCOL (the host refused), SP_ERR_CLOSED (the host is gone,
 * or sp_worker_stop() was called), SP_ERR_TIMEOUT, SP_ERR_INVAL (announced already),
 * SP_ERR_NOMEM. */
SP_API int sp_worker_announce(sp_worker *worker, sp_error *err);

/* Tell the host that the worker can never start, and why: shown to every caller.
 * permanent  1: starting it again is useless (its adapter does not exist)
 * type, message, trace  may be NULL */
SP_API void sp_worker_refuse(sp_worker *worker, int permanent, const char *type,
                             const char *message, const char *trace);

/* The address a listening worker is bound to, "unix:/path" or "127.0.0.1:4711"; NULL
 * for one that inherited its sockets. */
SP_API const char *sp_worker_address(const sp_worker *worker);

/*
 * Wait for something to do.
 *
 * Returns 1 with a job: a new call, or a stream whose turn it is (sp_job_is_turn(), and
 * if it is sp_job_cancelled() too: close the generator and call sp_job_end());
 * 0 when the worker shall end (host gone, or sp_worker_stop() and nothing runs any
 * more). SP_ERR_STOPPED_BY_CALLBACK: a signal interrupted the wait (the binding runs
 * its signal handlers and calls again). SP_ERR_INVAL: more threads call than
 * options.threads.
 *
 * Each of options.threads threads calls this in a loop of its own. A thread that waits
 * is woken when another one's job takes long, or when jobs are known to
 * (options.spread_us), so short jobs may all run on one.
 */
SP_API int sp_worker_next(sp_worker *worker, sp_job **ret_job, sp_error *err);

/*
 * For a thread that waits in an event loop of its own (Node.js, asyncio): a descriptor
 * to wait for, and a sp_worker_next() that does not wait. The loop calls the latter
 * until it returns 0 whenever the descriptor is readable and, because answers are
 * gathered until then, each time before it waits.
 *
 * A callback of the loop that takes long is treated as a long job is: after a few
 * milliseconds (a quarter of a second without an open job) the helper serves.
 *
 * sp_worker_poll_fd: the descriptor, the worker's, from the first call on. Errors:
 * SP_ERR_INVAL (several threads), SP_ERR_SYSTEM.
 * sp_worker_try_next: 1 with a job, 0 when there is nothing to do now, SP_ERR_CLOSED when
 * the worker shall end, SP_ERR_INVAL (there is no descriptor yet). Since: 0.1
 */
SP_API int sp_worker_poll_fd(sp_worker *worker, sp_error *err);
SP_API int sp_worker_try_next(sp_worker *worker, sp_job **ret_job, sp_error *err);

/* Make sp_worker_next() return 0 once running jobs, streams included, have ended. Calls
 * that wait are sent back (the host gives them to another worker), and so is every new
 * one. Async-signal-safe. */
SP_API void sp_worker_stop(sp_worker *worker);

/* Have SIGTERM and SIGINT call sp_worker_stop(); the second one has the signal's own
 * effect. Best before sp_worker_announce(), so that a worker the host knows always ends in
 * good order. Nothing happens when a worker of this process catches them already. Thread:
 * any. Since: 0.1 */
SP_API void sp_worker_catch_signals(sp_worker *worker);
/* 1 when one of them came since. Since: 0.1 */
SP_API int sp_worker_was_signalled(const sp_worker *worker);
/* Put back what handled them before; sp_worker_close() and sp_worker_forget() do it too.
 * NULL is fine. Since: 0.1 */
SP_API void sp_worker_release_signals(sp_worker *worker);

/* Write what is still to write, wait for who connected to `listen` to have read it (a
 * second at most), close the sockets, release everything. */
SP_API void sp_worker_close(sp_worker *worker);

/* In the child after a fork inside a job: forget the connections without touching
 * them, only closing the copies of their descriptors. Done by itself (pthread_atfork);
 * afterwards the worker's functions do nothing and sp_worker_next() returns 0. */
SP_API void sp_worker_forget(sp_worker *worker);

/* ---- the job's request; borrowed until the job ends ---- */

/* The name of the tool. Since: 0.1 */
SP_API const char *sp_job_tool(const sp_job *job);
/* The session it was called in, "" when there is none. Since: 0.1 */
SP_API const char *sp_job_session(const sp_job *job);
/* The arguments: a JSON object or array. */
SP_API sp_bytes sp_job_args(const sp_job *job);
/* The index-th raw binary argument: 1 and *ret_name, *ret_value, or 0 past the last. */
SP_API int sp_job_binary(const sp_job *job, size_t index, const char **ret_name,
                         sp_bytes *ret_value);
/* Find a tensor among the arguments, as sp_tensor_find() does. */
SP_API int sp_job_tensor(const sp_job *job, const char *pointer, sp_tensor *ret_tensor,
                         sp_error *err);
/* Keep what was borrowed from the request, arguments, binaries and tensors, beyond the
 * job's end: until sp_kept_drop(). NULL without memory. Since: 0.1 */
SP_API sp_kept *sp_job_keep(sp_job *job);
/* Any thread, also after sp_worker_close(). NULL is fine. Since: 0.1 */
SP_API void sp_kept_drop(sp_kept *kept);
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
/*
 * Leave the job unfinished and take others meanwhile: an asynchronous tool waits. It
 * stays with its thread, which ends it later from wherever it is, or adds chunks: after
 * a chunk's 0 it comes back as a turn, and may be set aside again. When its caller has
 * gone meanwhile it comes back too, once, as a turn that is cancelled; it must be ended
 * all the same, then or later. Look at sp_job_cancelled() after this: what came before
 * is not told again. As many as options.jobs_max can be aside: after that only turns
 * come. Its thread's. Once it has been told of its cancellation it does not count as
 * running any more; a thread that cannot be told, blocked in its event loop, is stuck.
 * Errors: SP_ERR_INVAL (jobs_max is 0, or it is aside). Since: 0.1
 */
SP_API int sp_job_set_aside(sp_job *job, sp_error *err);
/* A place for the binding's own pointer (a generator), NULL at first. */
SP_API void sp_job_set_data(sp_job *job, void *data);
SP_API void *sp_job_data(const sp_job *job);

/* ---- answers. All copy what they are given. A job nobody waits for any more is ended
 *      all the same and the answer dropped; that is not an error. ---- */

/* End the job with a result. `type` is the value's kind for the wire ("map", "list",
 * "string", "integer", "float", "boolean", "null", "tensor"; NULL: as the JSON is); binary
 * may be empty, and is what the JSON speaks of (see tensor.h) or raw bytes beside it. */
SP_API int sp_job_reply(sp_job *job, sp_bytes result_json, const char *type,
                        sp_bytes binary, sp_error *err);

/* End the job with a failure. `code` is SP_ERR_REMOTE for an exception of user code,
 * SP_ERR_NO_TOOL, SP_ERR_BAD_ARGS ...; texts may be NULL. */
SP_API int sp_job_fail(sp_job *job, int code, const char *type, const char *message,
                       const char *trace, sp_error *err);

typedef struct sp_failure {
    size_t size;
    int code;         /* as above; 0: SP_ERR_REMOTE */
    const char *type; /* of the exception, or NULL, like the rest */
    const char *message;
    const char *trace;
    sp_bytes
        details; /* a JSON object, as sp_error.remote_details (error.h); or nothing.
                         What is none is left out */
} sp_failure;

/* End the job with a failure of which more is known. Errors: as sp_job_fail(), and
 * SP_ERR_INVAL (the struct's size). Since: 0.1 */
SP_API int sp_job_fail_with(sp_job *job, const sp_failure *failure, sp_error *err);

/* Add a chunk to a stream. Returns 1 when the stream may go on at once, 0 when it must
 * wait (the chunk is taken, the caller does not read, or others want the thread): leave
 * the job alone until sp_worker_next() returns it again; SP_ERR_CANCELLED when nobody
 * listens any more: close the generator and call sp_job_end(). After SP_ERR_NOMEM or
 * SP_ERR_TOO_BIG the chunk is lost: sp_job_fail(). */
SP_API int sp_job_chunk(sp_job *job, sp_bytes chunk, sp_error *err);

/* The same with bytes beside the JSON, which speaks of them (see tensor.h). */
SP_API int sp_job_chunk_binary(sp_job *job, sp_bytes chunk, sp_bytes binary,
                               sp_error *err);

/* End a stream. */
SP_API int sp_job_end(sp_job *job, sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
