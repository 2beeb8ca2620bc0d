/* SPDX-License-Identifier: MIT */
/*
 * A pool: a set of worker processes of one kind, and the queue in front of them.
 *
 * Pools are named in the pit's options and live as long as the pit. They keep `size`
 * workers running: one that dies is replaced, with back-off when it keeps dying.
 */
#ifndef SNAKEPIT_POOL_H
#define SNAKEPIT_POOL_H

#include "adapter.h"
#include "base.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which worker a session's calls go to. */
enum {
    SP_AFFINITY_DEFAULT = 0,
    SP_AFFINITY_HINT = 1,         /* the session's last worker when it is free */
    SP_AFFINITY_NONE = 2,         /* any worker */
    SP_AFFINITY_STRICT_QUEUE = 3, /* the session's worker, waiting for it; when that one
                                     has ended, SP_ERR_SESSION_WORKER_LOST, once */
    SP_AFFINITY_STRICT_FAIL_FAST = 4 /* the same without waiting: SP_ERR_NO_WORKER */
};

/* How a pool's parallel work is spread over workers. */
enum {
    SP_PROFILE_PROCESS =
        0,                /* a worker runs one call at a time, or more of them where its
                               tools are asynchronous, see max_concurrency */
    SP_PROFILE_THREAD = 1 /* a worker runs one call on each of its threads */
};

/* How a call's arguments are compared with what its tool announced, before anything is
 * queued. A tool that announces no parameters takes anything. */
enum {
    SP_CHECK_TYPES = 0, /* names, and types as far as JSON has them */
    SP_CHECK_NAMES = 1, /* none is missing, none is unknown */
    SP_CHECK_NONE = 2   /* not at all: the worker judges */
};

/* Whether workers are forked by a zygote: a process of the pool that has loaded the adapter
 * once. Only where the program is made for it: Python, or exec and snakepit/zygote.h. */
enum {
    SP_ZYGOTE_OFF = 0, /* each worker is executed and loads everything itself */
    SP_ZYGOTE_ON = 1,  /* a program that cannot be one cannot start */
    SP_ZYGOTE_AUTO = 2 /* such a program's workers are executed */
};

/* Whether the attributes of an adapter are watched for changes by several threads without
 * a common lock. Costs much; for tests. */
enum {
    SP_THREADS_TRUSTED = 0,
    SP_THREADS_WARN = 1,  /* what is found is said on standard error */
    SP_THREADS_STRICT = 2 /* and the call that does it fails */
};

/* A limit for one command: overrides the pool's call_timeout_ms. */
typedef struct sp_command_timeout {
    const char *command;
    uint64_t timeout_ms;
} sp_command_timeout;

typedef struct sp_pool_options {
    size_t size;      /* sizeof(sp_pool_options) */
    const char *name; /* 1..64 bytes; NULL: "default" */

    /* What a worker is. */
    const char *runtime;         /* a language: "python" (default), "node", "ruby", "r";
                                       or "exec", "grpc", "grpc_server", "stdio": see
                                       snakepit.yaml(5) */
    const char *adapter;         /* of a language: "showcase" (default), a file, and
                                       what else its bridge understands; of python
                                       "module:Class", "dotted.path.Class", "file.py",
                                       "file.py:Class", "none": any importable function */
    const char *python;          /* its interpreter; NULL: see sp_interpreter_find() */
    const char *const *command;  /* the others: argv, NULL-terminated */
    const char *const *args;     /* further arguments for the adapter */
    const char *const *commands; /* supported commands; NULL: ask the worker */
    const char *const *env_set;  /* "NAME=value", NULL-terminated, or NULL */
    const char *const *env_pass; /* names to hand on; NULL: the whole environment */
    const char *working_dir;     /* NULL: the host's */
    const sp_adapter *custom;    /* replaces runtime and command when set */
    int zygote;                  /* SP_ZYGOTE_, default OFF */
    const char *const *preload;  /* python: modules to import before the adapter, in
                                    the zygote where there is one; or NULL */

    /* How many. */
    uint32_t workers;         /* 1..1000, default: 2 x processors */
    int profile;              /* SP_PROFILE_, default PROCESS */
    uint32_t threads;         /* PROFILE_THREAD: of a worker, each running a call,
                                       default 10. A worker whose adapter is not made for
                                       threads runs one call at a time */
    uint32_t max_concurrency; /* PROFILE_PROCESS: asynchronous calls that may
                                       overlap in a worker, default 1 */
    uint32_t pipeline_max;    /* calls on the way to one worker, default 64 */
    uint32_t startup_batch;   /* workers starting at once, default 2 x processors
                                       (at least 8) */
    uint64_t startup_batch_delay_ms; /* pause between batches, default 0 */

    /* How long. Milliseconds. */
    uint64_t startup_timeout_ms; /* all workers of the pool ready, default 30 000 */
    uint64_t init_timeout_ms;    /* one worker ready, default 20 000 */
    uint64_t queue_timeout_ms;   /* waiting for a worker, default 5 000 */
    uint64_t call_timeout_ms;    /* queue and run together, default 60 000 */
    uint64_t stream_timeout_ms;  /* the same for streams, default 300 000 */
    uint64_t cancel_grace_ms;    /* from cancel to kill of a worker that does not
                                       stop, default 2 000; SP_UNLIMITED: never */
    uint64_t shutdown_grace_ms;  /* from asking a worker to stop to SIGKILL, default
                                       2 000 */
    uint64_t health_interval_ms; /* between two health checks, default 30 000;
                                       SP_UNLIMITED: none. An answer since the last one
                                       is as good as one; else the worker gets a PING */
    uint32_t health_misses;      /* checks in a row without a sign of life after which
                                       a worker hangs, default 1 */
    uint64_t hang_grace_ms;      /* for a worker that hangs or does not stop: from the
                                       first SIGTERM to SIGKILL, default 1 000. Before it,
                                       its stack is asked for where it can give one */
    const sp_command_timeout *command_timeouts; /* or NULL */
    size_t command_timeouts_count;

    /* How much. */
    uint32_t queue_max;          /* calls waiting, default 1 000 */
    uint64_t request_max_bytes;  /* arguments of a call, default 128 MiB */
    uint64_t response_max_bytes; /* result or chunk, default 128 MiB */
    uint64_t shared_min_bytes;   /* arguments and results of so many bytes go through
                                       memory that host and worker share, default
                                       256 KiB; SP_UNLIMITED: none */
    uint64_t shared_max_bytes; /* of it for each worker, each way, default 64 MiB. Used
                                       only as far as it is needed; what finds no place
                                       there goes by the socket */

    int affinity; /* SP_AFFINITY_, default HINT; of calls that name none */

    /* When a worker is replaced by a fresh one: the new one is ready before the old one
     * gets no more calls, and it ends those it has. 0 or SP_UNLIMITED: never for that. */
    uint64_t recycle_after_ms;
    uint64_t recycle_calls;
    uint64_t recycle_memory_bytes; /* its descendants included; shared pages are split
                                         among their users where the kernel tells */
    uint32_t recycle_jitter_permille; /* age and calls are reached earlier by up to
                                         this, default 100; SP_NONE: not at all */
    uint32_t recycle_surge;    /* replaced at once, default 1; SP_NONE: an old one
                                         goes before its relief starts */
    uint64_t drain_timeout_ms; /* for the calls of a replaced worker, default
                                         300 000 */

    /* When workers die. */
    uint64_t backoff_min_ms;  /* before the second start in a row that failed, doubling,
                                   default 100 */
    uint64_t backoff_max_ms;  /* default 30 000 */
    uint64_t steady_ms;       /* who lives as long has started well, default 10 000 */
    uint32_t crashes_max;     /* deaths within crash_period_ms; one more opens the
                                   breaker. Default 10 or 2 x workers */
    uint64_t crash_period_ms; /* default 60 000 */
    uint64_t
        probe_interval_ms; /* between two starts while it is open, default 30 000 */
    uint64_t suspect_ms;   /* a place is avoided after a crash, default 0: not */

    /* When calls meet them. */
    uint32_t attempts_max; /* of one call, the first included, default 3 */
    uint32_t retry_budget; /* repetitions of begun calls in a burst, twice over; ten
                                 calls that go well bring one back. Default 4 x the calls
                                 the pool runs at once, at least 10 */
    uint32_t
        poison_deaths; /* a call that ended as many workers is given up, default 2 */
    uint64_t poison_block_ms; /* and others with the same tool and arguments are refused
                                 for as long, default 0: they are not. With several
                                 loops (sp_pit_options.loops) each knows of those that
                                 its own workers have met */

    /* What one worker, with all it starts, may use. Memory and processes are bounded by
     * control groups where the program may make them; where not, SP_EVENT_WARNING says
     * what stands in for them. */
    uint64_t limit_memory_bytes; /* more, and the kernel kills it; 0 or SP_UNLIMITED:
                                    no limit */
    uint64_t limit_core_bytes;   /* of a core file, default 0: none; SP_UNLIMITED: as
                                    the program's */
    uint32_t limit_processes;    /* threads count too; 0: no limit */
    uint32_t limit_files;        /* descriptors; 0: as the program's */
    uint32_t nice;               /* 0..19, added to the program's */
    uint32_t umask;              /* 1..0777; SP_NONE: 000; 0: the program's */

    int check_args; /* SP_CHECK_ */

    const char *interpreter; /* node, ruby, r: a path or a name on PATH; NULL:
                                $SNAKEPIT_NODE, _RUBY, _R, or node, ruby, Rscript */

    int thread_checks; /* SP_THREADS_; python and grpc_server */
    const char
        *requirements; /* a requirements file: Python workers without what it names
                                 do not start. NULL: nothing is looked at */
    int require_gil_disabled; /* 1: a Python worker whose interpreter has its lock on, or
                                 turns it on for an import, does not start */
} sp_pool_options;

/* In place of a number whose 0 means the default: really none. */
#define SP_NONE UINT32_MAX

/* The states of a worker, as sp_worker_info.state gives them. */
enum {
    SP_WORKER_STARTING = 1, /* spawned, not ready */
    SP_WORKER_READY = 2,    /* takes calls */
    SP_WORKER_BUSY = 3,     /* ready, and at least one call runs */
    SP_WORKER_STOPPING = 4, /* told to stop */
    SP_WORKER_BACKOFF = 5,  /* died; its slot waits to start another */
    SP_WORKER_DRAINING = 6  /* being replaced: ends the calls it has */
};

typedef struct sp_worker_info {
    sp_id id;
    uint32_t slot;        /* 0 .. workers - 1, and beyond for those that replace one:
                             bounded, unlike pids */
    int state;            /* SP_WORKER_ */
    int pid;              /* 0 in back-off */
    uint32_t in_flight;   /* calls handed to it and not ended */
    uint32_t capacity;    /* calls it runs at once, as it said when it was ready */
    uint64_t calls_total; /* calls it ended, failures included */
    uint64_t age_ms;      /* since it was spawned */
    uint64_t ready_ms;    /* from spawn to ready, 0 while starting */
    uint32_t restarts;    /* processes this slot had before this one */
    uint64_t rss_bytes; /* its resident memory when it was looked at last, 0: not yet */
    uint64_t pss_bytes; /* the same, shared pages split among their users; 0: unknown */
    uint64_t tree_bytes;    /* with its descendants; what recycle_memory_bytes limits */
    uint32_t processes;     /* these, and itself */
    uint64_t sample_age_ms; /* since then */
    char runtime[64];       /* "python 3.11.2", as the worker said */
    int is_forked;          /* 1: by the pool's zygote */
} sp_worker_info;

/* What a pool's zygote is at. */
enum {
    SP_ZYGOTE_STATE_NONE = 0, /* the pool has none, or it could not be one */
    SP_ZYGOTE_STATE_STARTING = 1,
    SP_ZYGOTE_STATE_READY = 2, /* it forks */
    SP_ZYGOTE_STATE_WAITING =
        3 /* it died; workers are executed until there is another */
};

/* Whether a pool starts workers. */
enum {
    SP_BREAKER_CLOSED = 0, /* it does */
    SP_BREAKER_OPEN = 1,   /* too many died: not for a while */
    SP_BREAKER_PROBING = 2 /* one is on trial */
};

typedef struct sp_pool_stats {
    uint32_t workers;   /* configured */
    int profile;        /* SP_PROFILE_ */
    uint32_t capacity;  /* calls that its ready workers run at once, all together */
    uint32_t starting;  /* now, as the three below */
    uint32_t available; /* ready, no call */
    uint32_t busy;
    uint32_t draining;
    uint32_t backoff;
    int breaker;     /* SP_BREAKER_ */
    uint32_t queued; /* calls waiting now */
    uint32_t queued_peak;
    uint32_t queue_max;
    uint64_t requests; /* calls accepted, since the start */
    uint64_t succeeded;
    uint64_t errors; /* ended with an error, of any kind */
    uint64_t queue_timeouts;
    uint64_t call_timeouts;
    uint64_t cancelled;
    uint64_t pool_saturated;   /* refused: queue full */
    uint64_t capacity_reached; /* times a worker that runs several calls had no room */
    uint64_t chunks;           /* stream chunks delivered */
    uint64_t workers_started;
    uint64_t workers_died; /* ended without being asked */
    uint64_t
        unkillable;    /* of these: that even SIGKILL did not end, left to the kernel */
    uint64_t retried;  /* attempts after the first */
    uint64_t recycled; /* workers replaced, for any reason */
    uint64_t poisoned; /* calls given up because they ended workers */
    char name[65];
    char adapter[128];        /* what the workers are, in words */
    int zygote;               /* SP_ZYGOTE_ */
    int zygote_state;         /* SP_ZYGOTE_STATE_ */
    int zygote_pid;           /* 0: it has no process now */
    uint64_t workers_forked;  /* by it and those before it */
    uint64_t zygotes_started; /* the first one included */
    uint64_t session_hits;  /* calls of sessions that got the worker they had before */
    uint64_t session_moves; /* that got another one: theirs was busy, or has ended */
    uint64_t session_refusals; /* that insisted on theirs and could not have it */
} sp_pool_stats;

/* One tool a worker announced. Strings are borrowed until the callback returns. */
typedef struct sp_tool_info {
    const char *name;
    const char *description;
    int streaming; /* 1: answers a stream of chunks */
    size_t parameters_count;
    const struct sp_tool_parameter *parameters;
    int idempotent;           /* 1: running it twice does no harm */
    const char *input_schema; /* a JSON Schema of its arguments */
} sp_tool_info;

typedef struct sp_tool_parameter {
    const char *name;
    const char *type; /* "int", "float", "str", "list", "any" ... */
    const char *description;
    int required;
    const char *default_json; /* NULL when required */
} sp_tool_parameter;

#ifdef __cplusplus
}
#endif
#endif
