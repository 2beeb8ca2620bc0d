/* SPDX-License-Identifier: MIT */
/* Many workers of one kind, and the calls in front of them. Loop thread, except where a
 * function says otherwise. */
#ifndef SP_POOL_POOL_H
#define SP_POOL_POOL_H

#include "pool/core.h"
#include "pool/meter.h"
#include "pool/request.h"
#include "pool/tools.h"
#include "snakepit/event.h"
#include "snakepit/pool.h"
#include "worker/worker.h"

enum { POOL_DEATHS_MAX = 32 }; /* the last ones, kept for those who ask */

struct pool;
struct pool_share;

struct pool_events {
    /* A call of any pool that has not ended, or NULL. */
    struct request *(*on_find)(void *owner, sp_id call);
    /* The request has ended; its result or error is written. The loop's reference goes
     * to the callee. */
    void (*on_ended)(void *owner, struct request *request);
    /* The mailbox of a streaming request was empty and is not any more. */
    void (*on_chunks)(void *owner, struct request *request);
    /* A request that has waited here goes on in another part of the pool, and is off this
     * one. NULL: whichever part can run it. */
    void (*on_elsewhere)(void *owner, struct request *request, struct pool *part);
    /* In a part: a call that another one asked for has to wait. */
    void (*on_nested_waits)(void *owner, struct request *request);
    /* The request went to this worker: remember it for its session. */
    void (*on_assigned)(void *owner, struct request *request, uint64_t worker_id);
    /* Readiness changed: ready, or failed for good. */
    void (*on_readiness)(void *owner, struct pool *pool);
    /* Every worker of a closing pool is gone. */
    void (*on_closed)(void *owner, struct pool *pool);
    /* What a tool takes, for sp__rules_check(); NULL: nothing is known. */
    void *(*on_tool)(const struct pool *pool, const struct proto_tool *spec);
    void (*on_forget)(void *rules);
};

/*
 * What the pool owns around its decisions (core.h): processes, messages and timers. What
 * happens becomes an event of the core; what the core wants is done (pool.c: workers,
 * flow.c: calls).
 */
struct pool {
    /* Set before start, then constant. */
    char name[65];
    sp_pool_options options; /* its strings are not kept, except `custom` */
    struct worker_spec spec;
    struct zygote *zygote;                /* NULL: workers are executed */
    sp_command_timeout *command_timeouts; /* owned copies */
    size_t command_timeouts_count;
    const struct pool_events *events;
    void *owner;
    struct spans *spans; /* where starts of workers are recorded, or NULL */

    /* Has a lock of its own. */
    struct tools tools;

    /* Loop thread. */
    struct workshop *shop;
    struct core core;
    struct worker **workers;   /* by seat; NULL: no process */
    struct request **requests; /* by the core's number of the call */
    uint32_t requests_max;
    struct timer tick; /* the core's next_due_ms */
    uint64_t tick_ms;
    uint64_t started_ms;
    uint32_t stuck;     /* seats that the core takes for stuck */
    sp_error *failure;  /* of the event being stepped, for what ends by it */
    struct list unsent; /* requests whose worker would not take them */
    uint32_t unstarted; /* seats whose process could not be started, this step */
    int has_spent; /* a call of this step has the last number of its worker's connection */
    sp_error last_failure;                 /* of a start; code 0: none */
    sp_pool_stats stats;                   /* the counters of it */
    struct meter meter;                    /* and those for metrics */
    struct death *deaths[POOL_DEATHS_MAX]; /* a ring */
    uint64_t deaths_count;                 /* ever */

    int is_open; /* it was started, for its owner to close */

    /* A part of a pool that is divided over several loops (share.h). Whole: share is NULL,
     * and front the pool itself. Set before start, then constant. */
    struct pool_share *share;
    struct pool *front; /* the first part: the one that is found by the pool's name */
    struct loop *loop;  /* for the others to post to */
    uint32_t part;

    /* Loop thread, of a part. */
    uint32_t queued_told; /* of its queue, as the share counts it */
    uint32_t idle;        /* calls that could begin now; many are not counted */
    uint32_t nested_told; /* nested calls of it that others may have */
    uint32_t reliefs;     /* it has the leave for */
    uint32_t given; /* calls that have gone to others in the last step that gave */
    int is_giving;  /* calls, just now; */
    struct pool *gives_to; /* to this part, NULL: to any */
    struct pool *steals_from;
    struct command steal; /* the errand to that one */
    struct command nudge; /* look whether there is leave for a relief */
    atomic_int nudged;
};

/* Any thread, before the loop knows it. Fills in defaults, resolves the executable. */
int sp__pool_init(struct pool *pool, const sp_pool_options *options,
                  const char *bridge_path, const struct pool_events *events,
                  void *owner, sp_error *err) SP_MUST_CHECK;
/* The last moment there is a loop: after on_closed, or when time is over. */
void sp__pool_stop(struct pool *pool);
/* After that, or when it was never started. */
void sp__pool_fini(struct pool *pool);

/* Begin to start workers. */
int sp__pool_start(struct pool *pool, struct workshop *shop,
                   sp_error *err) SP_MUST_CHECK;

/* Take a request: queue it or send it. It ends through on_ended, perhaps at once. */
void sp__pool_submit(struct pool *pool, struct request *request);

/* End it with SP_ERR_CANCELLED if it has not ended. */
void sp__pool_cancel(struct request *request);

/* If it is with a worker: it asks for a call that another part of its pool will have. */
void sp__pool_asks(struct request *request);

/* End it with SP_ERR_DEADLOCK if it waits. */
void sp__pool_end_deadlock(struct request *request);

/* Replace a worker by a fresh one, or every one (worker_id 0), without a gap. 0, or
 * SP_ERR_NOT_FOUND. */
int sp__pool_recycle(struct pool *pool, uint64_t worker_id, sp_error *err);

/* Kill a worker at once, with the calls it has. 0, or SP_ERR_NOT_FOUND. */
int sp__pool_kill(struct pool *pool, uint64_t worker_id, sp_error *err);

/* Refuse, end and stop everything; on_closed follows (perhaps from inside). */
void sp__pool_close(struct pool *pool);

/* Any thread: the time a command may take. */
uint64_t sp__pool_command_timeout(const struct pool *pool, const char *command,
                                  int streaming);

void sp__pool_stats(const struct pool *pool, sp_pool_stats *ret);
/* Tell how it is, by an event; of a part only note it, but for the first, which tells of
 * all. */
void sp__pool_tell_status(const struct pool *pool);
/* Fills at most max; returns how many there are. */
size_t sp__pool_workers(const struct pool *pool, sp_worker_info *ret, size_t max);
/* The one in a seat; 0 when that is a spare place. */
int sp__pool_worker_at(const struct pool *pool, uint32_t seat, sp_worker_info *ret);
/* The seat of a number as others know it, of this part; -1: it is none of them. Its worker
 * is NULL while it has no process. */
int sp__pool_seat(const struct pool *pool, uint32_t slot);
/* The number of a seat as others know it: over all parts, spare ones last. */
uint32_t sp__pool_slot(const struct pool *pool, uint32_t seat);
/* What became of a worker that calls no longer go to. */
struct fate {
    uint32_t slot;
    int pid;        /* 0: neither is known any more */
    char text[256]; /* in one line */
};
void sp__pool_fate(const struct pool *pool, uint64_t worker, struct fate *ret);
/* The same among certificates; 0: it has none there. */
int sp__pool_find_fate(struct death *const *deaths, uint64_t worker, struct fate *ret);

/* The last deaths, the oldest first, at most POOL_DEATHS_MAX; to be dropped. */
size_t sp__pool_deaths(const struct pool *pool, struct death **ret);

#endif
