/* SPDX-License-Identifier: MIT */
/* The runtime: ties loop, guard, pools and sessions together, once. */
#ifndef SP_PIT_PIT_H
#define SP_PIT_PIT_H

#include <pthread.h>

#include "base/apart.h"
#include "event/handler.h"
#include "io/loop.h"
#include "pit/clerks.h"
#include "pit/dispatch.h"
#include "pit/outcome.h"
#include "pool/pool.h"
#include "pool/spans.h"
#include "session/affinity.h"
#include "session/sessions.h"
#include "session/visits.h"
#include "snakepit/pit.h"
#include "worker/controls.h"
#include "worker/worker.h"

struct exporter;
struct gpu_sampler;
struct statsd;

/* What of a pit's telemetry reached nobody, and why. */
enum export_signal { EXPORT_TRACES, EXPORT_METRICS, EXPORT_STATSD, EXPORT_SIGNALS };
enum export_loss {
    EXPORT_OVERWRITTEN, /* by what came after it, before it was sent */
    EXPORT_UNREACHED,   /* nobody took it */
    EXPORT_REFUSED,     /* who took the rest left it out */
    EXPORT_LOSSES
};

/* Who serves the pit's pools to others: told on the loop thread. */
struct pit_server {
    struct link on_pit;
    /* The turn ends: the last moment to have something written in it. */
    void (*on_turn)(struct pit_server *server);
    /* The pit takes no more calls. */
    void (*on_drain)(struct pit_server *server);
    /* 1 when everything said has left. */
    int (*is_quiet)(const struct pit_server *server);
    /* The last moment there is a loop. */
    void (*on_close)(struct pit_server *server);
};

/* One loop of a pit, and what belongs to it: a part of the workers, and the calls that
 * they have. The first one also has the guard and the servers. */
struct lane {
    /* Set before start, then constant. */
    struct sp_pit *pit;
    uint32_t number;
    struct loop *loop;

    /* Loop thread. */
    struct workshop shop;
    struct clerks clerks;
    struct clerks runners; /* of host tools for any thread: those may take long */
    struct census census;
    struct meter callbacks; /* of host tools; labels are those of the first lane */
    struct map requests;    /* by id: those that have not ended */
    struct list to_submit; /* calls that go in the place of others; at the turn's end */
    struct list to_wake;   /* requests whose taker sleeps; likewise */
    struct timer late;     /* to look after takers whom others are to wake */
    struct list to_tell;   /* requests whose taker is on a loop; likewise, before */
    struct list to_publish; /* requests for a dispatcher; likewise */
    struct list takers;     /* requests that a thread sleeps for, by on_takers */
    size_t sleepers;        /* requests whose taker sleeps, WAIT_ASLEEP; */
    size_t away;            /* and those of WAIT_AWAY */
    uint32_t lone_turns;    /* since several slept at once */
    int published;          /* the last turn gave a dispatcher something to do */
    int closing;
    int draining;           /* no more calls are taken */
    int is_awaited;         /* the pit is drained when this one is */
    struct command look;    /* at the readiness; on the first lane */
    atomic_int look_posted; /* likewise */
    struct command listen;  /* to what workers report, as is wanted by now */
    atomic_int listen_posted;
    struct guard_reports *reports; /* of the guard, on their way here */
};

struct sp_pit {
    /* Set before start, then constant. */
    sp_event_cb on_event;
    void *event_data;
    struct sp_log *log;    /* the program's, or NULL */
    uint64_t slow_call_us; /* 0: none is */
    struct pool *pools;    /* of each its first part, or the whole */
    size_t pools_count;
    struct lane *lanes;
    uint32_t lanes_count;
    struct loop *loop; /* of the first lane */
    char guard_path[4096];
    int guard_level; /* SP_SAFETY_, as wished */
    int guard_require;
    struct instance *instance;           /* or NULL */
    char instance_name[SP_NAME_MAX + 1]; /* "": it has none */
    uint64_t opened_ms;
    uint64_t opened_unix_ms;
    const struct host_service *service; /* who answers what workers ask */
    struct sp_sessions *sessions;       /* any thread, by its own locks */
    struct visits visits;               /* likewise: of these sessions */
    uint32_t nesting_max;               /* calls that wait for each other */
    uint64_t sample_interval_ms;
    struct exporter *exporter;   /* of the layer above, which gave it; or NULL */
    struct statsd *statsd;       /* likewise */
    struct gpu_sampler *sampler; /* likewise */
    struct spans *spans;         /* has a lock of its own */
    uint32_t spin_us;            /* before a loop or a native worker sleeps */

    /* Any thread. */
    struct herald herald;     /* has a lock of its own */
    struct controls controls; /* likewise: of what workers report */
    uint64_t shutdown_ms;     /* the closing thread's: when that began, 0: it has not */
    char run_id[32];          /* constant: of this pit among all that ever were */
    atomic_uint_least64_t next_call;
    atomic_uint_least64_t moves; /* of calls to other lanes */
    atomic_int hurried;
    atomic_uint orphans_at_start; /* processes of dead runs that were ended, */
    atomic_uint orphans_later;    /* and those that a dead guard left */
    atomic_uint_least64_t exports_lost[EXPORT_SIGNALS][EXPORT_LOSSES];
    atomic_size_t pools_open; /* parts counted each */
    struct dispatch dispatch; /* has a lock of its own */
    struct outcomes outcomes; /* likewise */
    struct affinity affinity; /* likewise */
    struct latch drained;     /* no call is left; or there is no more patience */
    struct latch closed;      /* every pool is; likewise */

    /* Loop thread of the first lane. */
    struct timer cleanup;      /* of the sessions */
    struct guard *guard;       /* NULL while it is lost */
    struct guard *guard_found; /* the last one, for other lanes to take over */
    struct watch *guard_watch;
    struct command guard_blocked; /* to look whether it is: for any loop to post */
    atomic_int blocked_posted;
    struct timer guard_retry; /* a guard could not be opened: try again */
    struct command bury_guard;
    struct guard *dead_guard;  /* lost, and to be closed by that errand */
    struct deadlock *deadlock; /* NULL with one lane: its cores see all there is */
    uint32_t mourners;         /* lanes that have yet to hear of it */
    uint64_t guards_total;
    struct list ready_waiters;
    struct list servers; /* struct pit_server */
};

/* Who waits for readiness, on its own stack. */
struct ready_waiter {
    struct link on_pit;
    struct latch done;
    sp_error error; /* code 0: ready */
};

/* How many loops a pit has by default on a machine with so many processors. Pure. */
uint32_t sp__pit_default_loops(uint32_t processors);

int sp__pit_new(const sp_pit_options *options, const struct host_service *service,
                struct sp_pit **ret_pit, sp_error *err) SP_MUST_CHECK;
/* Within wait_ms, SP_UNLIMITED: the pools' grace and a margin. */
void sp__pit_close(struct sp_pit *pit, uint64_t wait_ms);

/* Any thread: 1 when no call is left, 0 when the time or the patience is over. */
int sp__pit_drain(struct sp_pit *pit, uint64_t timeout_ms, size_t *ret_left);
/* A signal handler too. */
void sp__pit_hurry(struct sp_pit *pit);

/* Any thread: an event of the pit's end, or of an end that it sees to: measured from
 * begin_ms. `last`: the text behind the run's id, or NULL. */
void sp__pit_tell_end(struct sp_pit *pit, int kind, double count, uint64_t begin_ms,
                      const char *last);
/* An event of sp_pit_shutdown(), which began at shutdown_ms. result  of SHUTDOWN_CLEANUP,
 * or NULL. */
void sp__pit_tell_shutdown(struct sp_pit *pit, int kind, size_t left,
                           const char *result);
/* Any thread: an event that concerns no pool. */
void sp__pit_tell(struct sp_pit *pit, int kind, const char *message);
/* The same of kind SP_EVENT_WARNING. */
void sp__pit_warn(struct sp_pit *pit, const char *message);

/* health.c. Loop thread of the first lane. */
void sp__pit_describe_health(const struct sp_pit *pit, sp_health *ret_health);

void sp__pit_describe_safety(const struct sp_pit *pit, sp_safety *ret_safety);

/* First lane: workers of a pool that are ready, and its last start that failed. */
uint32_t sp__pools_ready(const struct pool *pool);
void sp__pools_last_failure(struct pool *pool, sp_error *ret);
/* First lane: tell those who wait for readiness what there is to tell. */
void sp__pools_look(struct sp_pit *pit);

/* Any thread: the pool of a name (NULL: the first), or SP_ERR_NO_POOL. */
/* Any thread: where calls of a tool go that name no pool: the first pool, unless that is
 * known not to have it and another one has. */
struct pool *sp__pit_pool_of_tool(struct sp_pit *pit, const char *tool);
int sp__pit_pool(struct sp_pit *pit, const char *name, struct pool **ret_pool,
                 sp_error *err) SP_MUST_CHECK;

/* Any thread: hand a finished-to-send request over. Never fails: it ends with an error. */
void sp__pit_submit(struct sp_pit *pit, struct request *request);
/* The same for several, chained by submit.next: each loop is woken once for its share. */
void sp__pit_submit_all(struct sp_pit *pit, struct command *chain);
/* The same in two steps: to which lane it goes, and there. */
struct lane *sp__pit_route(struct sp_pit *pit, struct request *request);
void sp__pit_send(struct lane *lane, struct request *request);
/* The same by who has just borrowed the lane's loop: it is sent at once. */
void sp__pit_run(struct lane *lane, struct request *request);

/* Loop thread of `lane`: the same for a request of TAKER_LOOP whose taker is there, and
 * that one's wishes. */
void sp__pit_submit_here(struct lane *lane, struct request *request);
void sp__pit_cancel_here(struct lane *lane, struct request *request);
void sp__pit_grant_here(struct lane *lane, struct request *request, size_t wire_bytes);

/* Any thread: the lane that a worker of this id is, or was, on; asked on `any` of them. */
static inline struct lane *sp__pit_lane_of(const struct lane *any, uint64_t worker)
{
    return &any->pit->lanes[(worker - 1) % any->pit->lanes_count];
}

/* Any thread: where the request is now. It may go elsewhere as long as it waits. */
static inline struct lane *sp__pit_where(const struct request *request)
{
    return atomic_load_explicit(&request->lane, memory_order_acquire);
}

/* On the loop, by a thread that waits for what all threads have started. */
static inline enum loop_sleep sp__pit_how_to_sleep(const struct sp_pit *pit)
{
    return pit->lanes[0].requests.length >= APART_CALLS ? SLEEP_APART : SLEEP_ANYWHERE;
}

/* Any thread. */
int sp__pit_cancel(struct sp_pit *pit, sp_id call, sp_error *err);
/* The same for the taker of a request, who needs no memory for it. */
void sp__pit_cancel_request(struct request *request);

/* Likewise: it was away (WAIT_AWAY), and sleeps now. */
void sp__pit_await(struct request *request);

/* Any thread: give a stream's credit back. */
void sp__pit_grant(struct request *request, size_t wire_bytes);

#endif
