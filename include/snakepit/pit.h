/* SPDX-License-Identifier: MIT */
/*
 * The pit: one runtime with its loop threads, its guard process and its pools.
 *
 * A program opens a pit, calls tools through it and closes it. Closing ends every
 * worker and their children; so does the death of the program, in whatever way.
 *
 * Threads: every function may be called from any thread. Callbacks (replies, chunks,
 * events) run only inside sp_pit_dispatch(), on the thread that calls it. Blocking
 * calls (sp_execute, sp_stream_next ...) need nobody to dispatch.
 */
#ifndef SNAKEPIT_PIT_H
#define SNAKEPIT_PIT_H

#include "base.h"
#include "death.h"
#include "error.h"
#include "event.h"
#include "pool.h"
#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_pit sp_pit;

/* What keeps workers and whatever they start from outliving the program. Each level
 * includes those below it; see docs of `guard.level` in snakepit.yaml(5). */
enum {
    SP_SAFETY_DEFAULT = 0,   /* cgroup */
    SP_SAFETY_LIFELINE = 1,  /* the kernel ends each worker and its process group */
    SP_SAFETY_SUBREAPER = 2, /* the guard also ends what has left its group */
    SP_SAFETY_CGROUP = 3,    /* the program also ends that when the guard is killed */
    SP_SAFETY_NAMESPACE = 4  /* the kernel ends everything, also when program and guard
                                are killed at once. Workers have a PID namespace of
                                their own: getpid() tells them other numbers */
};

typedef struct sp_pit_options {
    size_t size;
    const char *instance;         /* a name that one pit at a time may have, see
                                     snakepit.yaml(5); NULL: none, needs no lock */
    const sp_pool_options *pools; /* NULL: one Python pool with the showcase adapter */
    size_t pools_count;
    uint32_t workers_max;    /* over all pools, default 1 000: more are refused
                                      with a warning that says why */
    const char *guard_path;  /* snakepit-guard; NULL: found beside the library */
    const char *bridge_path; /* folder of snakepit_bridge; NULL: likewise */
    sp_event_cb on_event;    /* or NULL */
    void *event_data;
    uint64_t outcome_keep_ms; /* how calls with a request_id or dedupe_key ended is
                                 known for as long, default 600 000 */
    int guard_level;          /* SP_SAFETY_ to reach; where the machine refuses it, the
                                 next lower one */
    int guard_require;        /* SP_SAFETY_ below which the pit does not open, default
                                 any */
    uint64_t sample_interval_ms; /* between two looks at the memory of the workers,
                                    default 5 000; SP_UNLIMITED: none. Longer when
                                    looking would take a hundredth of the time */
    const char *runtime_dir;     /* where the instance's lock and registry are; NULL:
                                $XDG_RUNTIME_DIR/snakepit, /run/snakepit for root,
                                /tmp/snakepit-UID */
    const sp_sessions_options *sessions; /* of sp_pit_sessions(); NULL: defaults */
    uint32_t nesting_max; /* calls that wait for each other, 1 to 16, default 8: a tool
                             that calls a tool that calls a tool ... */
    uint32_t loops; /* threads that the workers of the pit are divided over, 1 to 64;
                       default $SNAKEPIT_LOOPS, else one for up to four processors, then
                       one for each four, at most 16. Never more than there are
                       workers */
    uint64_t slow_call_ms;    /* calls that took longer are told, call.slow; 0: none */
    uint64_t gpu_interval_ms; /* between two looks at graphics processors, told as
                                 gpu.memory.sampled and its kin while somebody listens; 0:
                                 none, else at least 100 */
    struct sp_log *log;       /* what the report "logs" reads, or NULL; stays the
                              program's, and open for longer than the pit. For events to
                              be written to it: on_event = sp_log_event, and event_data
                              the log */
    uint32_t spin_us; /* the loop and idle native workers look for news for so long
                             before they sleep, while that pays, at most 1 000; 0 or
                             SP_NONE: not at all. See LATENCY in snakepit(7) */
    const char
        *otlp_endpoint; /* where spans and metrics go: "http://127.0.0.1:4318"; NULL:
                                       $OTEL_EXPORTER_OTLP_ENDPOINT where that is set, "" :
                                       nowhere. See TRACES in snakepit(7) */
    uint32_t trace_sample_permille; /* how many of a thousand calls that come without a
                                       trace begin one; default 100 where spans
                                       go somewhere, else none. SP_NONE: none, and those
                                       in a trace are recorded all the same */
    uint32_t metrics_tools_max;  /* tools of a pool that metrics tell apart, 1 to 1 000,
                                   default 100; SP_NONE: none */
    const char *statsd;          /* where metrics go as StatsD: "127.0.0.1:8125"; NULL:
                                   nowhere */
    const char *statsd_prefix;   /* of their names, default "snakepit" */
    uint64_t statsd_interval_ms; /* default 10 000 */
    uint32_t trace_rate_max; /* traces that begin here in a second, a tenth more after a
                                quiet one; at most 1 000 000; default 1 000 where
                                trace_sample_permille is 0 too, else no limit */
} sp_pit_options;

/*
 * Open a pit and begin to start its workers.
 *
 * Returns as soon as the guard runs; workers start in the background and calls made
 * meanwhile wait in their pool's queue. See sp_pit_await_ready(). With an instance it
 * first ends what a dead host of that instance left, which takes milliseconds, and ten
 * seconds at most.
 *
 * options  NULL for defaults
 * ret_pit  set on success; release with sp_pit_close()
 *
 * Errors: SP_ERR_INVAL, SP_ERR_CONFIG (an option out of range; the message names it and
 * the limit), SP_ERR_IN_USE (another host has the instance, or the sessions' path; the
 * message says who), SP_ERR_STORE (what is stored there cannot be used), SP_ERR_GUARD
 * (guard_require was not reached, too), SP_ERR_SYSTEM, SP_ERR_NOMEM. After an error
 * nothing is left to undo.
 * Thread: any. Since: 0.1
 */
SP_API int sp_pit_open(const sp_pit_options *options, sp_pit **ret_pit, sp_error *err);

/* Open a pit from a YAML file, see snakepit.yaml(5). Errors: as sp_config_load() and
 * sp_pit_open(). Since: 0.1 */
SP_API int sp_pit_open_file(const char *path, sp_pit **ret_pit, sp_error *err);

/* Open a pit from YAML text. Errors: as sp_config_parse() and sp_pit_open().
 * Since: 0.1 */
SP_API int sp_pit_open_string(const char *yaml, sp_pit **ret_pit, sp_error *err);

/*
 * Wait until every worker of every pool is ready.
 *
 * timeout_ms  0 for the largest startup_timeout of the pools
 *
 * Errors: SP_ERR_NOT_READY (the message counts what is missing and quotes the last
 * failed start), SP_ERR_START_FAILED (a worker of a pool can never start: its
 * executable is missing, its adapter does not import), SP_ERR_CLOSED.
 * Thread: any but a callback. Since: 0.1
 */
SP_API int sp_pit_await_ready(sp_pit *pit, uint64_t timeout_ms, sp_error *err);

/*
 * A descriptor that is readable when sp_pit_dispatch() has something to do. For poll,
 * epoll and event loops of other languages; never read or close it.
 */
SP_API int sp_pit_fd(const sp_pit *pit);

/*
 * Run the callbacks that are due.
 *
 * timeout_ms  how long to wait for the first; 0 does not wait, SP_UNLIMITED waits
 *
 * Returns the number of callbacks run, 0 when the time passed or a signal came first.
 * Only one thread may dispatch at a time. Errors: SP_ERR_INVAL.
 * Since: 0.1
 */
SP_API int sp_pit_dispatch(sp_pit *pit, uint64_t timeout_ms, sp_error *err);

/*
 * Close the pit: refuse new calls, end those in flight with SP_ERR_CLOSED, stop every
 * worker, wait until no process is left, and release everything.
 *
 * Blocks for at most the largest shutdown_grace of the pools plus one second, and for a
 * quarter of one more while clients it serves do not close. Callbacks of calls not yet
 * ended run inside sp_pit_close(), on this thread. NULL is fine. Do not call it from a
 * callback, and not while another thread uses the pit.
 * Since: 0.1
 */
SP_API void sp_pit_close(sp_pit *pit);

/*
 * Take no more calls (they are refused with SP_ERR_CLOSED) and wait until those there are
 * have ended. The pit stays open, to be closed; it cannot be opened for calls again.
 *
 * Errors: SP_ERR_TIMEOUT (the message counts what is left), SP_ERR_CANCELLED (somebody
 * called sp_pit_hurry()). Thread: any but a callback. Since: 0.1
 */
SP_API int sp_pit_drain(sp_pit *pit, uint64_t timeout_ms, sp_error *err);

/*
 * Drain and close, with one time limit over both: what has not ended shortly before it
 * is cut off, and no process is left after it. The pit is gone in any case.
 *
 * Returns 0 when every call ended by itself, else as sp_pit_drain(). Since: 0.1
 */
SP_API int sp_pit_shutdown(sp_pit *pit, uint64_t timeout_ms, sp_error *err);

/*
 * End a drain, shutdown or close that is under way without any more patience: what a
 * second signal is for. Safe in a signal handler; not after the pit is closed. Since: 0.1
 */
SP_API void sp_pit_hurry(sp_pit *pit);

/*
 * The sessions of the pit: those its workers ask about, and those others that are served
 * see. Their events are the pit's, and it cleans up what is over. Borrowed: do not close
 * it, and do not use it after the pit is closed. NULL for no pit.
 * Thread: any. Since: 0.1
 */
SP_API sp_sessions *sp_pit_sessions(sp_pit *pit);

/* How orphans are prevented in this pit, now. */
typedef struct sp_safety {
    int level;      /* SP_SAFETY_ reached; 0 while there is no guard */
    int wished;     /* SP_SAFETY_ that was to be reached */
    int guard_pid;  /* 0 while there is none */
    int inner_pid;  /* the second guard, of SP_SAFETY_NAMESPACE; else 0 */
    char text[256]; /* "namespace", "subreaper (no namespace: ...)" */
} sp_safety;

/*
 * Ask for it. SP_EVENT_GUARD_READY tells the same whenever a guard has been started.
 * Errors: SP_ERR_INVAL. Thread: any but a callback. Since: 0.1
 */
SP_API int sp_pit_safety(sp_pit *pit, sp_safety *ret_safety, sp_error *err);

/* What a pit can truthfully say of itself. */
typedef struct sp_health {
    int live;      /* its loop answers in time */
    int started;   /* every pool has been ready once */
    int ready;     /* every pool has a ready worker and a closed breaker, the sessions'
                    store, if there is one, has not failed, and calls are taken */
    char why[256]; /* what is missing; "" when nothing is */
} sp_health;

/*
 * Ask for the health. Answers within timeout_ms also when the loop does not.
 * Errors: SP_ERR_INVAL, SP_ERR_NOMEM. Thread: any but a callback. Since: 0.1
 */
SP_API int sp_pit_health(sp_pit *pit, uint64_t timeout_ms, sp_health *ret_health,
                         sp_error *err);

/*
 * Copy the statistics of one pool.
 *
 * pool  NULL for the first
 * Errors: SP_ERR_NO_POOL (near names in the message). Since: 0.1
 */
SP_API int sp_pool_stats_get(sp_pit *pit, const char *pool, sp_pool_stats *ret_stats,
                             sp_error *err);

/* The name of the index-th pool, NULL past the last. Borrowed from the pit. */
SP_API const char *sp_pool_name_at(const sp_pit *pit, size_t index);

/*
 * Copy the list of a pool's workers.
 *
 * ret_workers  room for `max` entries, may be NULL when max is 0
 *
 * Returns how many workers the pool has (which may be more than `max`), or
 * SP_ERR_NO_POOL. Since: 0.1
 */
SP_API int sp_pool_workers_get(sp_pit *pit, const char *pool,
                               sp_worker_info *ret_workers, size_t max, sp_error *err);

/* Room for the stacks of one worker, the end of the text included. */
#define SP_STACK_MAX (16 * 1024 + 1)

/*
 * Ask a worker for the stacks of its threads, whatever it does: it goes on with it.
 *
 * slot  of sp_worker_info
 * text  room for `max` bytes; SP_STACK_MAX hold every answer
 *
 * Python, Node.js, R and Ruby write them in the manner of their language. Python and Ruby
 * do so also while code in C runs, Node.js and R when they are back in their own code.
 *
 * Returns the length of the text. Errors: SP_ERR_NO_POOL, SP_ERR_NOT_FOUND (the pool has
 * no such slot), SP_ERR_NO_WORKER (it has no process now, or lost it meanwhile),
 * SP_ERR_UNSUPPORTED (its kind shows no stacks), SP_ERR_TIMEOUT (it wrote nothing within
 * 2 s), SP_ERR_NOMEM, SP_ERR_INVAL. Thread: any but a callback. Since: 0.1
 */
SP_API int sp_pool_stack_get(sp_pit *pit, const char *pool, uint32_t slot, char *text,
                             size_t max, sp_error *err);

/*
 * Read the certificates of a pool's last deaths, 32 at most, the oldest first, through a
 * callback that runs before this returns, on this thread.
 *
 * pool  NULL for the first
 *
 * Returns how many there were, or SP_ERR_NO_POOL, SP_ERR_INVAL. Thread: any but a
 * callback. Since: 0.1
 */
SP_API int sp_pool_deaths_get(sp_pit *pit, const char *pool, sp_death_cb cb,
                              void *user_data, sp_error *err);

/*
 * Replace a worker by a fresh one, or every worker of the pool: the relief starts, and
 * when it is ready the old one gets no more calls, ends those it has, and is stopped.
 * Returns at once; SP_EVENT_WORKER_RECYCLED tells of each. A worker that is being
 * replaced already is left at that.
 *
 * pool    NULL for the first
 * worker  its id, 0 for every one
 *
 * Errors: SP_ERR_NO_POOL, SP_ERR_NOT_FOUND (no such worker in the pool). Since: 0.1
 */
SP_API int sp_pool_recycle(sp_pit *pit, const char *pool, sp_id worker, sp_error *err);

/*
 * Kill a worker at once, with all that it has started. Its calls end with
 * SP_ERR_WORKER_DIED, or are tried again where that is safe, and a fresh worker is started
 * in its place. Returns at once; SP_EVENT_WORKER_STOPPED tells of its end, whose cause is
 * SP_DEATH_OPERATOR.
 *
 * pool    NULL for the first
 * worker  its id
 *
 * Errors: SP_ERR_NO_POOL, SP_ERR_NOT_FOUND (no such worker in the pool), SP_ERR_INVAL.
 * Thread: any but a callback. Since: 0.1
 */
SP_API int sp_pool_worker_kill(sp_pit *pit, const char *pool, sp_id worker,
                               sp_error *err);

typedef void (*sp_tool_cb)(const sp_tool_info *tool, void *user_data);

/*
 * List the tools of a pool, in the order of their names, through a callback that runs
 * before this returns, on this thread.
 *
 * Returns how many there are (0 before the first worker is ready), or SP_ERR_NO_POOL.
 * Since: 0.1
 */
SP_API int sp_pool_tools_get(sp_pit *pit, const char *pool, sp_tool_cb cb,
                             void *user_data, sp_error *err);

typedef int (*sp_script_fn)(sp_pit *pit, void *user_data);

/*
 * Open a pit, wait until it is ready, run `fn` and close the pit, whatever happened.
 *
 * timeout_ms  for the wait, as in sp_pit_await_ready()
 *
 * Returns what `fn` returned when it ran; `fn` may return any value from 0 up. When it
 * did not run, a negative SP_ERR_ as sp_pit_open() or sp_pit_await_ready() give it. When
 * this returns no worker process exists.
 * Since: 0.1
 */
SP_API int sp_run_as_script(const sp_pit_options *options, uint64_t timeout_ms,
                            sp_script_fn fn, void *user_data, sp_error *err);

/*
 * Find the interpreter that a pool of a language uses when it names none. For "python":
 * $SNAKEPIT_PYTHON, .venv/bin/python3 here, $VIRTUAL_ENV, python3 on PATH (a version
 * manager's shim is resolved to the interpreter behind it); for "node", "ruby" and "r":
 * $SNAKEPIT_NODE, $SNAKEPIT_RUBY, $SNAKEPIT_R; node, ruby, Rscript on PATH.
 *
 * ret_path  room for `max` bytes; always terminated on success
 * Errors: SP_ERR_NOT_FOUND, SP_ERR_TOO_BIG (path longer than max), SP_ERR_INVAL (no such
 * language). Since: 0.1
 */
SP_API int sp_interpreter_find(const char *runtime, char *ret_path, size_t max,
                               sp_error *err);

/* Find the script that makes a worker of an adapter in that language, beside this library
 * or where SNAKEPIT_BRIDGE_PATH says. Shapes and errors as above. Since: 0.1 */
SP_API int sp_bridge_find(const char *runtime, char *ret_path, size_t max,
                          sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
