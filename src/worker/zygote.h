/* SPDX-License-Identifier: MIT */
/*
 * A pool's zygote, as its host has it: started through the guard, asked through the guard
 * for the workers it forks. See zygote.c.
 */
#ifndef SP_WORKER_ZYGOTE_H
#define SP_WORKER_ZYGOTE_H

#include <stdint.h>

#include "base/list.h"
#include "guard/guard.h"
#include "io/loop.h"
#include "worker/output.h"

struct worker;
struct worker_spec;
struct workshop;
struct zygote;

/*
 *   NONE ──wanted──▶ STARTING ──announced──▶ READY ──died──▶ WAITING
 *     ▲                 │  ▲                                   │  │
 *     └── died, and it  ┘  └────────── back-off is over ───────┘  │
 *         never was ready                                         │
 *     STOPPED ◀──────────────── from every state ─────────────────┘
 *
 * NONE      nobody has wanted it yet, or it has failed the first time
 * STARTING  its process loads; the first time workers wait for it
 * READY     it forks
 * WAITING   it died; until there is another, workers are executed
 * STOPPED   the pool is closing
 */
enum zygote_state {
    ZYGOTE_NONE,
    ZYGOTE_STARTING,
    ZYGOTE_READY,
    ZYGOTE_WAITING,
    ZYGOTE_STOPPED
};

struct zygote_events {
    /* It printed one. stream: as of worker_events. */
    void (*on_line)(void *user, int stream, const char *line);
    void (*on_told)(void *user, const char *text); /* something to warn of */
};

struct zygote {
    /* Set before start, then constant. */
    struct workshop *shop;
    const struct worker_spec *spec;
    const struct zygote_events *events;
    void *user;
    int may_do_without; /* a program that cannot be one is no failure */

    /* Loop thread. */
    struct link on_shop; /* shop->zygotes */
    enum zygote_state state;
    uint64_t id; /* of its process; 0: none */
    int pid;
    int fd; /* its socket, or -1 */
    struct watch *watch;
    struct output output;
    struct timer timer;  /* STARTING: too late; READY: it hangs; WAITING: go */
    struct list parked;  /* struct worker.on_zygote: not started yet */
    uint32_t unanswered; /* workers it was asked for that are not born */
    int silent_looks;    /* at it since its last answer, with something to answer */
    uint64_t ready_ms;   /* when it became so */
    uint64_t backoff_ms; /* before the next start */
    uint32_t starts;
    uint64_t forked; /* workers it and those before it have made */
    int was_ready;   /* one was, ever */
    int is_unfit;    /* it said that it cannot be one, and the pool does without */
    sp_error refusal;
    int refused_for_good;
    char runtime[64];
};

/* What becomes of a worker that shall start. */
enum zygote_word {
    ZYGOTE_EXECUTE, /* without a zygote */
    ZYGOTE_FORK,    /* ask it */
    ZYGOTE_PARK     /* it is not ready yet: the worker starts later */
};

int sp__zygote_init(struct zygote *zygote, struct workshop *shop,
                    const struct worker_spec *spec, const struct zygote_events *events,
                    void *user, sp_error *err) SP_MUST_CHECK;
/* Fine when zeroed. */
void sp__zygote_fini(struct zygote *zygote);

/* Loop thread, all of them. */

/* Asked for each worker that is to start; starts the zygote if nobody has. */
enum zygote_word sp__zygote_ask(struct zygote *zygote);

/* Let a worker wait for it: sp__worker_unpark() or its death follows. */
void sp__zygote_park(struct zygote *zygote, struct worker *worker);

/* It was asked for a worker; the guard has answered that. */
void sp__zygote_asked(struct zygote *zygote);
void sp__zygote_answered(struct zygote *zygote, uint64_t id, int is_born);

/* Have the next worker start a new one, which loads what has changed. */
void sp__zygote_renew(struct zygote *zygote);

/* End it, for good. */
void sp__zygote_stop(struct zygote *zygote);

/* Messages of the guard. 1: it was this zygote's. */
int sp__zygote_on_spawned(struct zygote *zygote, uint64_t id, int pid,
                          const sp_error *failure);
int sp__zygote_on_exited(struct zygote *zygote, uint64_t id,
                         const struct guard_exit *exit);
void sp__zygote_on_guard_lost(struct zygote *zygote);

#endif
