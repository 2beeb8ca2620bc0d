/* SPDX-License-Identifier: MIT */
/*
 * One external process, from the wish to start it to its reaped death, and the calls on
 * it. Knows nothing of pools: who owns it listens to worker_events.
 */
#ifndef SP_WORKER_WORKER_H
#define SP_WORKER_WORKER_H

#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "event/herald.h"
#include "guard/guard.h"
#include "guard/instance.h"
#include "io/loop.h"
#include "wire/page.h"
#include "wire/proto.h"
#include "worker/census.h"
#include "worker/channel.h"
#include "worker/death.h"
#include "worker/output.h"
#include "worker/socket_folder.h"
#include "worker/spec.h"
#include "worker/zygote.h"

struct worker;
struct controls;
struct ended_calls;

/* Who answers what workers ask their host, told on the loop thread. */
struct host_service {
    /* A worker's first question comes: `user` of the events below, NULL without
     * memory. */
    void *(*on_open)(void *user, struct worker *worker);
    /* Its connection is over, and so are its streams. */
    void (*on_close)(void *peer);
    /* The call of this stream, which may have asked something, is over. */
    void (*on_call_over)(void *peer, uint32_t stream_id);
    const struct h2_events *events; /* on_half_close and on_drained too */
};

/* What the workers of one pit share. Loop thread. */
struct workshop {
    struct loop *loop;
    struct guard *guard;       /* NULL while it is lost */
    struct instance *instance; /* or NULL: the pit has none */
    struct herald *herald;     /* or NULL: nobody is told what happens */
    struct controls *controls; /* of what workers report, or NULL: none */
    uint64_t slow_call_us;     /* a call that took longer is told of; 0: none is */
    struct channels channels;
    struct map by_id;    /* workers by id, for the guard's messages */
    struct list zygotes; /* struct zygote.on_shop */
    uint64_t next_id;
    uint32_t id_step; /* shops that share a guard number their workers in turn */
    uint32_t first_stream_id; /* of call connections, 0: the usual; for tests */
    const struct host_service *service; /* or NULL: nobody answers */
    void *service_user;
    struct proto_scratch scratch; /* for reading messages */
    uint32_t spin_us;             /* of native workers, before they sleep */
    struct socket_folder sockets; /* of stock workers */
    char host_address[96]; /* where workers with a port of their own find their host */
};

/*
 *   STARTING ──announced / answered a Ping──▶ READY ──stop──▶ STOPPING ──exit seen──▶ DEAD
 *       │                                      │                 ▲            ▲
 *       └── refused · start deadline · stop ───┴── connection ───┘            │
 *       └──────────────── exit seen, spawn failed: from any state ────────────┘
 *
 * STARTING  spawned, not yet ready           STOPPING  asked or lost; the killer runs
 * READY     takes calls                      DEAD      reaped; on_dead has been told
 */
enum worker_state { WORKER_STARTING, WORKER_READY, WORKER_STOPPING, WORKER_DEAD };

/* Why it is STOPPING or DEAD; the state says where it is, this says why. */
enum worker_why {
    WHY_NONE,      /* nobody asked: it died */
    WHY_ASKED,     /* the pool is closing */
    WHY_RECYCLED,  /* a fresh one has its place */
    WHY_REFUSED,   /* it said that it cannot start */
    WHY_TOO_SLOW,  /* not ready before the start deadline */
    WHY_LOST,      /* its connection broke */
    WHY_PROTOCOL,  /* it broke the protocol */
    WHY_HUNG,      /* it did not answer a PING */
    WHY_STUCK,     /* it went on with a cancelled call past the grace */
    WHY_CANCELLED, /* a call that was cancelled wanted it so */
    WHY_OPERATOR,  /* whoever looks after the pool wanted it so */
    WHY_GUARD,     /* the guard died and took it along */
    WHY_SPENT      /* its connection has used up its stream numbers */
};

/* One RPC on a worker; embedded in what the owner knows as a request. */
struct worker_call {
    struct link on_worker; /* worker->calls, in the order of sending */
    struct worker *worker; /* NULL when it is on none */
    struct h2_stream *stream;
    uint32_t stream_id;
    uint8_t streaming;
    uint8_t replied; /* the response message came */
    uint64_t
        shared_slots;     /* a bit for each place its arguments have in shared memory */
    uint64_t estimate_us; /* the owner's guess of its run time */
    uint64_t sent_us;
    uint64_t entered_us; /* of a call that is traced, as the worker says: user code
                            began, and ended; 0: it did not say */
    uint64_t left_us;
    uint64_t service_us; /* once it ended: what it took, the time behind earlier calls
                            left out, as the worker says; with the way, if it does not */
};

/* The steps towards the end of a process that does not end by itself. */
enum worker_rung {
    RUNG_STACK, /* it has been asked for its stack */
    RUNG_TERM,
    RUNG_TERM_GROUP,
    RUNG_KILL,
    RUNG_AGAIN /* SIGKILL was sent: again, until it is reaped or given up */
};

enum { WORKER_ABANDONED_MAX = 16, WORKER_STEPS_MAX = 4 };

/* A call that has ended for its caller while its user code may go on. */
struct abandoned {
    uint32_t stream_id;
    uint64_t sent_us;
    struct abandoned_names { /* for the certificate; NULL without memory */
        char tool[64];       /* cut, as the next */
        char request_id[64];
    } * names;
};

/* How a process ended. Borrowed during on_dead. */
struct worker_death {
    enum worker_why why;
    int was_ready;
    int permanent;  /* starting another one like it is useless */
    sp_error error; /* one line with the cause; worker_stderr holds the tail */
    struct death *certificate; /* everything; NULL without memory. Hold it to keep it */
};

struct worker_events {
    /* Its process exists: pid is known. */
    void (*on_spawned)(struct worker *worker);
    /* It takes calls now. announce is NULL for stock workers. */
    void (*on_ready)(struct worker *worker, const struct proto_announce *announce);
    /* It became STOPPING: no more calls for it. */
    void (*on_stopping)(struct worker *worker);
    /* It is reaped and its calls have ended; the owner frees it with sp__worker_free(). */
    void (*on_dead)(struct worker *worker, const struct worker_death *death);
    /* A line it printed. stream: 1 or 2, as it knows them; 0: a note about others. */
    void (*on_line)(struct worker *worker, int stream, const char *line);
    /* For a certificate: fill in what the owner knows of a call. Borrowed until the
     * end of the death. */
    void (*on_describe)(const struct worker_call *call, sp_death_call *ret);
    /* The session of a call, "" for none, for what is told of it. */
    const char *(*session_of)(const struct worker_call *call);
    /* The number by which the owner tells of a call. NULL: it has none. */
    uint64_t (*number_of)(const struct worker_call *call);
    /* A cancelled call has left user code: it takes calls again. */
    void (*on_free)(struct worker *worker);
    /* worker->sample is new. */
    void (*on_sampled)(struct worker *worker);
    /* It gave no sign of life and is being ended; worker->evidence says how it is. */
    void (*on_hung)(struct worker *worker);
    /* The answer of a unary call; on_end follows. A large one lies in `memory`, which may
     * be taken; else that is empty. */
    void (*on_reply)(struct worker_call *call, const struct proto_response *response,
                     struct sp_buffer *memory);
    /* A chunk; wire_bytes must come back through sp__worker_grant(). */
    void (*on_chunk)(struct worker_call *call, const struct proto_chunk *chunk,
                     size_t wire_bytes);
    /* The call is over and off `worker` (call->worker is NULL). failure NULL: it went
     * well; otherwise it may be moved from. */
    void (*on_end)(struct worker_call *call, sp_error *failure, struct worker *worker);
};

struct worker {
    /* Set before start, then constant. */
    struct workshop *shop;
    const struct worker_spec *spec;
    const struct worker_events *events;
    void *owner;
    uint64_t id;
    uint32_t slot;
    uint32_t public_slot; /* as others are told */
    uint32_t generation;  /* which process of its slot it is, from 1 */
    char name[80];        /* "pool/3" */

    /* Loop thread. */
    struct link on_state;  /* the owner's list for the worker's condition */
    struct link on_zygote; /* it has no process yet: its zygote is not ready */
    enum worker_state state;
    enum worker_why why;
    int was_ready;
    int killed;         /* SIGKILL was sent to it, by us; */
    uint64_t killed_ms; /* when, first */
    int pid;            /* 0 until the guard said */
    uint64_t spawned_ms;
    uint64_t asked_us;    /* when it was wished for */
    uint64_t spawned_us;  /* when the guard said so, 0: not yet */
    uint64_t ready_ms;    /* when, 0: not yet */
    struct channel calls; /* we are the client */
    struct channel host;  /* we are the server; native workers only */
    void *peer;           /* the service's, of what it asks; NULL: nothing yet */
    struct output output;
    struct worker_page *page;     /* NULL for stock workers */
    struct worker_memory *memory; /* shared for large values, or NULL */
    uint32_t revoked_next;        /* for sp__page_revoke() */
    struct timer deadline;        /* STARTING: the start's; STOPPING: the killer's */
    struct timer health;
    struct timer stuck;      /* looks whether cancelled calls have left user code */
    uint64_t stuck_until_ms; /* they must have by then */
    uint64_t stuck_pause_ms; /* between two looks, growing */
    struct timer connect;    /* stock workers: the next try */
    struct list in_flight;   /* worker_call.on_worker */
    uint64_t estimate_us;    /* sum over in_flight */
    uint64_t last_reply_us;
    uint64_t calls_total;
    struct sample sample; /* of its memory, the last */
    int has_beaten;       /* since the last health check */
    uint64_t beaten_ms;   /* its last sign of life, or when it became ready */
    int ping_out;         /* a PING waits for its answer */
    uint64_t ping_us;     /* when it was sent */
    uint64_t pings;       /* that were */
    uint32_t missed;      /* checks in a row without a sign of life */
    struct abandoned abandoned[WORKER_ABANDONED_MAX];
    size_t abandoned_count;
    enum worker_rung rung;                 /* STOPPING: what the deadline does next */
    uint64_t decided_ms;                   /* when it was decided that it ends */
    sp_death_step steps[WORKER_STEPS_MAX]; /* what was done to that end */
    size_t steps_count;
    size_t stack_seen;  /* bytes of its stack at the last look */
    int stack_is_asked; /* somebody has asked for it and not taken it */
    int unkillable;     /* even SIGKILL did not end it */
    int cpu_known;      /* cpu_ms is; */
    uint64_t cpu_ms;    /* its processor time when it was first found silent */
    char evidence[160]; /* how it was when it was given up */
    char address[108];  /* stock workers: the unix path, or that of the ready file */
    struct h2_stream *telemetry; /* what it reports, while somebody wants to hear it */
    size_t telemetry_owed;       /* bytes of it that came and are not granted yet */
    struct timer grant;          /* when they are */
    struct ended_calls *ended;   /* that it may still tell of; NULL: none */
    int is_mute;                 /* it does not know how to report */
    int is_sampled;              /* it was given a rate */
    uint16_t port;               /* stock workers: the one they told; 0: not yet */
    uint32_t capacity;           /* calls it runs at once */
    char runtime[64];
    /* It was faster than the guard's word with its pid: it is ready when that comes. */
    int is_spawned;     /* the guard said so */
    uint64_t forked_by; /* the zygote's id; 0: it is executed */
    enum { EARLY_NOT, EARLY_ANNOUNCED, EARLY_CONNECTED } early;
    struct proto_announce early_announce;
    sp_error refusal; /* what it said when it could not start */
    int refused_for_good;
};

/* `number` of `count` shops that have one guard together. */
int sp__workshop_init(struct workshop *shop, struct loop *loop, uint32_t number,
                      uint32_t count, sp_error *err) SP_MUST_CHECK;
void sp__workshop_fini(struct workshop *shop);

/* A number that the guard has not heard yet. */
static inline uint64_t sp__workshop_next_id(struct workshop *shop)
{
    uint64_t id = shop->next_id;
    shop->next_id += shop->id_step;
    return id;
}

/* Messages of the guard, for the guard_events of whoever opened it. */
void sp__workshop_on_spawned(struct workshop *shop, uint64_t id, int pid,
                             const sp_error *failure);
void sp__workshop_on_exited(struct workshop *shop, uint64_t id,
                            const struct guard_exit *exit);
void sp__workshop_on_guard_lost(struct workshop *shop);

/* Start a process. on_ready or on_dead follows, never from inside. */
int sp__worker_start(struct workshop *shop, const struct worker_spec *spec,
                     const struct worker_events *events, void *owner, const char *name,
                     uint32_t slot, struct worker **ret_worker,
                     sp_error *err) SP_MUST_CHECK;

/* Ask it to end: SIGTERM, then SIGKILL to its group after the grace. */
void sp__worker_stop(struct worker *worker, enum worker_why why);

/* End it now. */
void sp__worker_kill(struct worker *worker, enum worker_why why);

/* After on_dead. */
void sp__worker_free(struct worker *worker);

/* Put a call on the wire at the end of the turn. `message` is an encoded
 * ExecuteToolRequest, lent: it stays where it is until on_end or sp__worker_cancel(). */
int sp__worker_send(struct worker *worker, struct worker_call *call, sp_bytes message,
                    uint64_t timeout_ms, sp_error *err) SP_MUST_CHECK;

/* Take a call off its worker and reset its stream. on_end is not called. Whether user
 * code had begun: SP_EXECUTED_NO or SP_EXECUTED_UNKNOWN. */
int sp__worker_cancel(struct worker_call *call);

/* Give stream credit back. */
void sp__worker_grant(struct worker_call *call, size_t wire_bytes);

/* Tell a worker of ours that a session whose calls it has run is over, behind the calls it
 * has been sent. A stock worker is not told: the original's hand it back to their host,
 * which would end whatever session has the name by then. */
void sp__worker_end_session(struct worker *worker, const char *session);

/* Have all of them report what handlers want by now, and nothing else. */
void sp__workshop_listen(struct workshop *shop);

/* A cancelled call may still be running in it: it should get no new ones. */
int sp__worker_is_stuck(struct worker *worker);

/* Its connection can carry no more calls: it ends, and is replaced, when the last one
 * has ended. */
int sp__worker_is_spent(const struct worker *worker);

/* ---- stack.c: what its process writes of its stacks, on the signal it offers ---- */

/* 1: it has been asked, and what it wrote before is gone; 0: it has no process, or shows
 * none. */
int sp__worker_ask_stack(struct worker *worker);
/* How much it has written by now. */
size_t sp__worker_stack_bytes(const struct worker *worker);
/* That, from sp__malloc(); NULL when it is nothing, or without memory. */
char *sp__worker_copy_stack(const struct worker *worker);
void sp__worker_forget_stack(struct worker *worker);

#endif
