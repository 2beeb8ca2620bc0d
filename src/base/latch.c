/* SPDX-License-Identifier: MIT */
/*
 * A latch over a futex: opening it costs a system call only when somebody sleeps.
 *
 * A caller that waits for its answer sleeps here, one latch per call, so that the loop
 * thread wakes exactly the callers whose answers came. Callers are many and answers come
 * together: their latches have a spot (base/parking.h), and one call wakes several of them. In
 * whose lot that is stands in the state, beside what the waiter does.
 */
#include "base/latch.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "snakepit/base.h"

static unsigned what(unsigned state)
{
    return state % LATCH_LOT;
}

static struct spot spot_of(unsigned spot, unsigned state)
{
    return (struct spot){.lot = state / LATCH_LOT, .number = spot - 1};
}

static void wake_alone(struct latch *latch)
{
    (void)syscall(SYS_futex, &latch->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void sp__latch_open_with(struct latch *latch, struct unparking *unparking)
{
    unsigned spot = latch->spot; /* it may be gone as soon as it is open */
    unsigned before =
        atomic_exchange_explicit(&latch->state, LATCH_OPEN, memory_order_acq_rel);
    if (what(before) != LATCH_RESTING && what(before) != LATCH_ASLEEP) {
        return;
    }
    if (spot == 0) {
        wake_alone(latch);
    } else {
        sp__unparking_add(unparking, spot_of(spot, before));
    }
}

void sp__latch_open(struct latch *latch)
{
    struct unparking unparking = {0};
    sp__latch_open_with(latch, &unparking);
    sp__unparking_end(&unparking);
}

int sp__latch_nudge(struct latch *latch)
{
    unsigned seen = atomic_load(&latch->state);
    do {
        if (what(seen) != LATCH_RESTING) {
            return 0;
        }
    } while (!atomic_compare_exchange_weak(&latch->state, &seen, LATCH_NUDGED));
    if (latch->spot == 0) {
        wake_alone(latch);
    } else {
        (void)sp__unpark(spot_of(latch->spot, seen));
    }
    return 1;
}

/* The waiter: say that it sleeps, and how. 0 when there is no reason to: the latch is
 * open, or has been nudged. */
static int mark_asleep(struct latch *latch, unsigned how)
{
    unsigned seen = LATCH_CLOSED;
    while (!atomic_compare_exchange_weak(&latch->state, &seen, how)) {
        if (seen == LATCH_OPEN || seen == LATCH_NUDGED) {
            return 0;
        }
    }
    return 1;
}

/* The waiter: nobody nudges it any more. 1 when the latch is open. */
static int mark_awake(struct latch *latch)
{
    unsigned seen = atomic_load_explicit(&latch->state, memory_order_acquire);
    while (seen != LATCH_OPEN && !atomic_compare_exchange_weak_explicit(
                                     &latch->state, &seen, LATCH_CLOSED,
                                     memory_order_acquire, memory_order_acquire)) {
    }
    return seen == LATCH_OPEN;
}

static int sleep_alone(struct latch *latch, unsigned how, const struct timespec *end)
{
    /* As a bit set, because then the end is a time, and not how long it is until then. */
    return syscall(SYS_futex, &latch->state, FUTEX_WAIT_BITSET_PRIVATE, how, end, NULL,
                   FUTEX_BITSET_MATCH_ANY) == 0 ||
           errno != ETIMEDOUT;
}

/* Until the latch is open or nudged, there is work (NULL: never), or the time is over. */
static int wait(struct latch *latch, unsigned how, uint64_t timeout_ms,
                atomic_size_t *work)
{
    struct timespec at, *end = NULL;
    if (timeout_ms != SP_UNLIMITED) {
        uint64_t end_ms = sp__now_ms() + timeout_ms;
        at.tv_sec = (time_t)(end_ms / 1000);
        at.tv_nsec = (long)(end_ms % 1000) * 1000000;
        end = &at;
    }
    int is_over = 0;
    while (!is_over) {
        unsigned state = latch->spot == 0 ? how : how + LATCH_LOT * sp__parking_lot();
        struct spot spot = spot_of(latch->spot, state);
        unsigned seen = latch->spot == 0 ? how : sp__parking_look(spot);
        if (!mark_asleep(latch, state) || (work != NULL && atomic_load(work) > 0)) {
            break;
        }
        is_over = latch->spot == 0 ? !sleep_alone(latch, how, end)
                                   : !sp__park(spot, seen, end);
    }
    return mark_awake(latch);
}

int sp__latch_wait(struct latch *latch, uint64_t timeout_ms)
{
    return wait(latch, LATCH_ASLEEP, timeout_ms, NULL);
}

int sp__latch_rest(struct latch *latch, uint64_t timeout_ms, atomic_size_t *work)
{
    return wait(latch, LATCH_RESTING, timeout_ms, work);
}
