/* SPDX-License-Identifier: MIT */
/* A latch: one thread waits until another opens it, or is told to look up meanwhile. Opens
 * once; closed again by init. */
#ifndef SP_BASE_LATCH_H
#define SP_BASE_LATCH_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/parking.h"

enum {
    LATCH_CLOSED,
    LATCH_RESTING, /* and somebody sleeps until it is open, or nudged */
    LATCH_OPEN,
    LATCH_NUDGED, /* one that rested */
    LATCH_ASLEEP, /* and somebody sleeps until it is open */
    LATCH_LOT = 8 /* for each lot before the sleeper's */
};

struct latch {
    atomic_uint state; /* LATCH_, and in whose lot one sleeps */
    unsigned spot;     /* where there, from 1; 0: at the state */
};

static inline void sp__latch_init(struct latch *latch)
{
    atomic_init(&latch->state, LATCH_CLOSED);
    latch->spot = 0;
}

/* One of many that are opened together: best with numbers close to each other. */
static inline void sp__latch_init_of_many(struct latch *latch, uint64_t number)
{
    atomic_init(&latch->state, LATCH_CLOSED);
    latch->spot = 1 + (unsigned)(number % LOT_SPOTS);
}

/* Everything written before is seen by the waiter. The latch may be gone the moment
 * after the waiter woke: the wake-up passes only its address to the kernel. */
void sp__latch_open(struct latch *latch);
/* The same for one of many: the waiter gets up when the unparking ends. */
void sp__latch_open_with(struct latch *latch, struct unparking *unparking);

static inline int sp__latch_is_open(struct latch *latch)
{
    return atomic_load_explicit(&latch->state, memory_order_acquire) == LATCH_OPEN;
}

/* Wait; 1 when open, 0 when timeout_ms (SP_UNLIMITED: never) passed first. */
int sp__latch_wait(struct latch *latch, uint64_t timeout_ms);

/* As sp__latch_wait(); 0 also when it is nudged, and when there is work: that is looked
 * at after the rest has begun, so who adds work first and nudges then is never missed. */
int sp__latch_rest(struct latch *latch, uint64_t timeout_ms, atomic_size_t *work);
static inline int sp__latch_is_rested_at(struct latch *latch)
{
    return atomic_load_explicit(&latch->state, memory_order_relaxed) % LATCH_LOT ==
           LATCH_RESTING;
}
/* End a rest without opening the latch. 1, or 0 when nobody rests here: nobody waits, or
 * with sp__latch_wait(). The latch must stay: whoever nudges and whoever rests agree on
 * that otherwise. */
int sp__latch_nudge(struct latch *latch);

/* Close an open latch again. Only the waiter may. */
static inline void sp__latch_close(struct latch *latch)
{
    atomic_store_explicit(&latch->state, LATCH_CLOSED, memory_order_relaxed);
}

/* The same where the waiter then looks for what an opener writes before it opens: what
 * it does not see is followed by an opening. */
static inline void sp__latch_close_first(struct latch *latch)
{
    (void)atomic_exchange(&latch->state, LATCH_CLOSED);
}

#endif
