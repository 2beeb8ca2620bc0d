/* SPDX-License-Identifier: MIT */
/*
 * What a pool decides, as a pure step function: an event and the time in, actions out.
 *
 * No clock, no input or output, no pointer to anything outside: workers are seats, calls
 * are numbers. The shell around it (pool.c, flow.c) owns processes, messages and timers,
 * tells what happened and does what it is told. The same state and the same events give
 * the same actions, so the whole space of small pools can be explored and any run can
 * be replayed (test/sim).
 *
 * A seat is a place for one process. There are as many as the pool has workers, and a
 * few more for those that replace an old worker before it goes:
 *
 *   EMPTY ──wanted──▶ WAITING ──start──▶ STARTING ──ready──▶ READY ──replaced──▶ DRAINING
 *     ▲                  ▲                  │                  │                    │
 *     │                  └──── back-off ────┤ died             │ stop, died         │ idle
 *     └───── not wanted any more ◀──────── STOPPING ◀──────────┴────────────────────┘
 *
 * A call:
 *
 *   FREE ──submit──▶ QUEUED ──▶ SENT ──▶ FREE          (ended exactly once)
 *                      ▲  ▲       │
 *                      │  └───────┤ not begun: to the front, at once
 *                      └─ RESTING ┘ idempotent: after a pause
 */
#ifndef SP_POOL_CORE_H
#define SP_POOL_CORE_H

#include <stddef.h>
#include <stdint.h>

#include "snakepit/base.h"

enum { CORE_NONE = UINT32_MAX };  /* no seat, no call */
enum { CORE_ANCESTORS_MAX = 16 }; /* calls that ask for each other, at most */
#define CORE_NEVER UINT64_MAX     /* no such moment, no such limit */

struct core_options {
    uint32_t workers;
    uint32_t surge;        /* seats for replacements, 0: an old worker goes first */
    uint32_t threads;      /* the most calls a worker may run at once */
    uint32_t pipeline_max; /* the most calls on the way to one */
    uint32_t startup_batch;
    uint64_t startup_batch_delay_ms;
    uint32_t queue_max;
    int affinity;              /* SP_AFFINITY_ of calls that are given no other */
    uint32_t attempts_max;     /* of one call, the first included */
    uint32_t retry_tokens_max; /* each repetition of a begun call costs one, ten calls
                                  that go well bring one back; none below half */

    uint64_t recycle_after_ms; /* CORE_NEVER, as the limits below */
    uint64_t recycle_calls;
    uint64_t recycle_memory_kib;
    uint32_t recycle_jitter_permille; /* the first two come earlier by up to this */
    uint64_t drain_ms;                /* for the calls of a replaced worker to end */

    uint64_t backoff_min_ms; /* before the second start in a row that failed */
    uint64_t backoff_max_ms;
    uint64_t steady_ms;   /* who lives as long has started well */
    uint32_t crashes_max; /* within crash_period_ms: one more opens the breaker */
    uint64_t crash_period_ms;
    uint64_t probe_ms;        /* one start per this while the breaker is open */
    uint64_t suspect_ms;      /* a seat is avoided after a crash, 0: it is not */
    uint32_t poison_deaths;   /* a call that ended as many workers is not repeated */
    uint64_t poison_block_ms; /* and others like it are refused, 0: they are not */
    uint32_t
        parts; /* of a pool on several loops, 0: it is whole. In a part a relief needs
                       leave (core.leave), and what waits for ever is found by others, who
                       see all parts */
    uint64_t seed;
};

enum core_seat_state {
    SEAT_EMPTY,
    SEAT_WAITING,
    SEAT_STARTING,
    SEAT_READY,
    SEAT_DRAINING,
    SEAT_STOPPING
};

/* Why a worker is replaced. */
enum core_reason {
    REASON_NONE,
    REASON_AGE,
    REASON_CALLS,
    REASON_MEMORY,
    REASON_ASKED,
    REASON_SPENT, /* its connection can number no more calls */
    REASON_CLOSING
};

struct core_list {
    uint32_t first, last, length;
};

struct core_seat {
    enum core_seat_state state;
    uint32_t generation; /* of the process in it; 0: there was none yet */
    enum { SEAT_OFF, SEAT_ON_IDLE, SEAT_ON_BUSY } on; /* which list */
    uint32_t next, prev;                              /* there */
    uint32_t in_flight;
    uint32_t held; /* of these: that wait for a nested call in this queue */
    uint32_t capacity;
    uint32_t failures;    /* starts in a row that did not lead to steady work */
    uint32_t starts;      /* processes it has had */
    uint32_t replaces;    /* the seat it is to relieve */
    uint32_t relief;      /* the seat that is to relieve it */
    uint8_t stuck;        /* a cancelled call may still occupy it */
    uint8_t spent;        /* takes no further calls */
    uint8_t exempt;       /* over the memory limit from the start */
    uint8_t sampled;      /* its memory was seen once */
    uint8_t poisoned;     /* a call that is given up as poison ended it */
    uint8_t relieves_big; /* the one before it was replaced for its memory */
    uint8_t reason;       /* enum core_reason: to be replaced, or why it stops */
    uint8_t steady;       /* it has lived long enough */
    uint8_t told_full;    /* and half of it was not free since */
    uint64_t estimate_us; /* of the calls in flight */
    uint64_t served;
    uint64_t calls_limit; /* recycle_calls with jitter */
    uint64_t due_ms;      /* WAITING: the start; DRAINING: the end of patience */
    uint64_t started_ms;
    uint64_t ready_ms;
    uint64_t recycle_ms; /* READY: not before this */
    uint64_t hold_ms;    /* no relief before this: the last one did not start */
    uint64_t suspect_ms; /* avoided until then */
};

enum core_call_state { CALL_FREE, CALL_QUEUED, CALL_RESTING, CALL_SENT };

struct core_call {
    uint8_t state; /* enum core_call_state; when FREE only `next` counts besides */
    uint8_t idempotent;
    uint8_t streaming;
    uint8_t touched;  /* a chunk of it came */
    uint8_t executed; /* SP_EXECUTED_ over all attempts so far */
    uint8_t deaths;   /* workers it has ended */
    uint8_t bound;    /* QUEUED: waits for one certain worker */
    uint8_t affinity; /* SP_AFFINITY_ */
    uint8_t nested;   /* another call has asked for it: it gets a place of its own */
    uint8_t asks;     /* SENT: there may be calls it is an ancestor of */
    uint8_t ancestors_count;
    uint32_t held; /* SENT: nested calls of its that wait in this queue */
    uint32_t attempts;
    uint32_t seat; /* SENT: where; else the last one */
    uint32_t generation;
    uint32_t preferred; /* the session's seat, CORE_NONE: any */
    uint32_t preferred_generation;
    uint32_t estimate_us;       /* SENT: what it is thought to take */
    uint32_t next, prev;        /* on core.queue; FREE: next free one */
    const uint32_t *average_us; /* what its like take by now; NULL or 0: not known */
    uint64_t deadline_ms;
    uint64_t queue_deadline_ms;
    uint64_t fingerprint; /* of tool and arguments, 0: not known */
    /* ancestors_count of them, in this pool, SENT: who asked for it, who asked for that */
    uint32_t ancestors[CORE_ANCESTORS_MAX];
};

enum core_event_kind {
    CORE_START,        /* once, first */
    CORE_TICK,         /* core.next_due_ms has come */
    CORE_CLOSE,        /* end everything */
    CORE_SUBMIT,       /* call, which sp__core_call_new() gave and the caller filled */
    CORE_CALL_DUE,     /* call: its moment of CORE_WAIT or CORE_SEND; executed, stuck */
    CORE_CANCEL,       /* call; executed, stuck */
    CORE_CALL_OK,      /* call */
    CORE_CALL_FAILED,  /* call; executed, lost, blamed */
    CORE_SPAWN_FAILED, /* seat; permanent, crashed: it was the worker's own fault */
    CORE_READY,        /* seat; value: calls it runs at once */
    CORE_LEAVING,      /* seat: it takes no more calls and will be DEAD */
    CORE_DEAD,       /* seat; crashed, permanent, suspect. After its calls have ended */
    CORE_FREE_AGAIN, /* seat: no cancelled call is left in it */
    CORE_SPENT,      /* seat: its connection has used up its numbers */
    CORE_MEMORY,     /* seat; value: KiB */
    CORE_RECYCLE,    /* seat, or CORE_NONE: every one */
    CORE_SURRENDER,  /* value: as many waiting calls are another part's from now on */
    CORE_RESUME,     /* what was held back may go on */
    CORE_ASKS,       /* call, SENT: it asks another part for one */
    CORE_DEADLOCK    /* call, if it waits: it would do so for ever */
};

struct core_event {
    enum core_event_kind kind;
    uint32_t call;
    uint32_t seat;
    uint64_t value;
    int executed;  /* SP_EXECUTED_ of the attempt that ends */
    int stuck;     /* user code of it may still run in the worker */
    int lost;      /* by fault of worker or connection, not of the call */
    int blamed;    /* the worker died of itself while it ran the call */
    int crashed;   /* nobody asked for the death */
    int permanent; /* starting another one is useless */
    int suspect;   /* a death that speaks against the place */
};

/* How a call ended. */
enum core_ending {
    ENDING_OK,
    ENDING_FAILED, /* as the event said */
    ENDING_QUEUE_FULL,
    ENDING_QUEUE_TIMEOUT,
    ENDING_TIMEOUT,
    ENDING_CANCELLED,
    ENDING_CLOSED,
    ENDING_WORKER_GONE,  /* strict: the session's worker is no more */
    ENDING_WORKER_BUSY,  /* strict, fail fast: it is busy */
    ENDING_START_FAILED, /* no worker can be started */
    ENDING_BREAKER,      /* none is, and none will be for a while */
    ENDING_POISON,
    ENDING_DEADLOCK, /* it would wait for a place that its ancestors have */
    ENDING_ELSEWHERE /* it goes on in another part */
};

enum core_news {
    NEWS_READY,          /* every worker is, for the first time */
    NEWS_SATURATED,      /* a call was refused: the queue is full */
    NEWS_CAPACITY,       /* seat that is full; value: calls it runs at once */
    NEWS_RECYCLE_BEGUN,  /* seat; value: enum core_reason */
    NEWS_RECYCLED,       /* seat that left; value: enum core_reason */
    NEWS_RECYCLE_FAILED, /* seat that stays: its relief did not start */
    NEWS_RECYCLE_LOOP,   /* seat: over the memory limit before its first call */
    NEWS_BREAKER_OPENED, /* value: crashes that did it */
    NEWS_BREAKER_PROBED, /* seat: the start that shows */
    NEWS_BREAKER_CLOSED,
    NEWS_RETRY, /* value: the pause, ms; call */
    NEWS_POISON /* call */
};

enum core_action_kind {
    CORE_DO_START, /* seat: start a process */
    CORE_DO_STOP,  /* seat; what: enum core_reason */
    CORE_DO_SEND,  /* call to seat; due_ms: its deadline */
    CORE_DO_WAIT,  /* call; due_ms: when CORE_CALL_DUE is to come */
    CORE_DO_END,  /* call; what: enum core_ending. The call's number is free after it */
    CORE_DO_TELL, /* what: enum core_news; seat, call or value */
    CORE_DO_LOOK, /* readiness changed */
    CORE_DO_LEAVE /* closed, and every seat is empty */
};

/* Small: there is room for three for each call. */
struct core_action {
    uint8_t kind;     /* enum core_action_kind */
    uint8_t executed; /* CORE_DO_END */
    int16_t what;
    uint32_t call;
    uint32_t seat;
    uint64_t due_ms; /* or the value of news; ENDING_ELSEWHERE: workers it has ended */
};

enum core_breaker { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING };

struct core_fingerprint {
    uint64_t value;
    uint64_t until_ms;
    uint32_t deaths;
};

enum { CORE_FINGERPRINTS = 16 };

struct core {
    struct core_options options;
    uint32_t seats_count;
    struct core_seat *seats;
    struct core_call *calls;
    uint32_t calls_max;
    uint32_t calls_free;    /* the first free one */
    struct core_list queue; /* the oldest first */
    uint32_t queue_bound;
    uint32_t queue_nested;
    struct core_list idle; /* READY without a call; the last used is last */
    struct core_list busy; /* READY with calls */
    uint32_t states[6];    /* seats per state */
    uint32_t filling;      /* the seat that got the last call */
    uint32_t batch_left;
    uint64_t batch_ms;
    uint64_t *crashes_ms; /* a ring of the last ones */
    uint32_t crashes_at;
    uint32_t crashes_count;
    uint32_t start_failures; /* in a row, over the pool */
    enum core_breaker breaker;
    uint64_t probe_ms;
    uint32_t probe; /* the seat that shows whether starting works again */
    uint32_t tokens_tenths;
    uint64_t random;
    uint8_t started;
    uint8_t closing;
    uint8_t left;
    uint8_t was_ready;
    uint8_t hopeless;     /* a worker said that it can never start */
    uint8_t start_failed; /* the last start did */
    uint8_t replan;       /* next_due_ms is to be worked out again */
    uint8_t
        yields; /* a part: nested calls wait in others, so that those who become free
                       here are for them */
    uint8_t held_back; /* a part: a call was, by that */
    uint8_t
        others_ready;    /* a part: others have ready workers, in case it has none: what
                             waits here is for them */
    uint8_t wants_leave; /* a part: somebody is to be relieved, and may not yet */
    uint32_t leave;      /* a part: reliefs that may begin now */
    struct core_fingerprint poison[CORE_FINGERPRINTS];
    uint32_t poison_count;

    /* Out: valid until the next step. */
    uint64_t next_due_ms; /* CORE_TICK then */
    struct core_action *actions;
    uint32_t actions_max;
    uint32_t actions_count;
};

/* SP_ERR_NOMEM, or 0. The ranges are the caller's to check. */
int sp__core_init(struct core *core, const struct core_options *options) SP_MUST_CHECK;
void sp__core_fini(struct core *core);

/* A number for a call, to be filled in before CORE_SUBMIT: it has the pool's affinity, no
 * preferred seat and no ancestors, and all else is zero.
 * The only thing besides init that takes memory. CORE_NONE: there was none. */
uint32_t sp__core_call_new(struct core *core);

/* Give a number back that was never submitted. */
void sp__core_call_drop(struct core *core, uint32_t call);

/* One event. Actions are in core->actions, in the order in which they are to be done. */
void sp__core_step(struct core *core, const struct core_event *event, uint64_t now_ms);

/* 1 when calls are worth a fingerprint now: some were poison lately. */
static inline int sp__core_wants_fingerprint(const struct core *core)
{
    return core->poison_count > 0;
}

/* As many workers as wanted are ready. */
static inline int sp__core_is_ready(const struct core *core)
{
    return core->states[SEAT_READY] >= core->options.workers;
}

#endif
