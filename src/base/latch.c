/* SPDX-License-Identifier: MIT */
/*
 * A latch over a futex: opening it costs a system call only when somebody sleeps.
 *
 * A caller that waits for its answer sleeps here, one latch per call, so that the loop
 * thread wakes exactly the callers whose answers came.
 */
#include "base/latch.h"

#include <assert.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "snakepit/base.h"

enum { CLOSED, RESTING, OPEN, NUDGED, ASLEEP };

static void wake(struct latch *latch)
{
    (void)syscall(SYS_futex, &latch->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void sp__latch_open(struct latch *latch)
{
    unsigned before =
        atomic_exchange_explicit(&latch->state, OPEN, memory_order_acq_rel);
    if (before == RESTING || before == ASLEEP) {
        wake(latch);
    }
}

int sp__latch_nudge(struct latch *latch)
{
    unsigned expected = RESTING;
    if (!atomic_compare_exchange_strong(&latch->state, &expected, NUDGED)) {
        return 0;
    }
    wake(latch);
    return 1;
}

/* The waiter: say that it sleeps, and how. 0 when there is no reason to: the latch is
 * open, or has been nudged. */
static int lie_down(struct latch *latch, unsigned how)
{
    unsigned seen = CLOSED;
    while (!atomic_compare_exchange_weak(&latch->state, &seen, how)) {
        if (seen == OPEN || seen == NUDGED) {
            return 0;
        }
    }
    return 1;
}

/* The waiter: nobody nudges it any more. 1 when the latch is open. */
static int get_up(struct latch *latch)
{
    unsigned seen = atomic_load_explicit(&latch->state, memory_order_acquire);
    while (seen != OPEN && !atomic_compare_exchange_weak_explicit(
                               &latch->state, &seen, CLOSED, memory_order_acquire,
                               memory_order_acquire)) {
    }
    return seen == OPEN;
}

/* One sleep, until end_ms (UINT64_MAX: never). 0 when that has passed. */
static int sleep_once(struct latch *latch, unsigned how, uint64_t end_ms)
{
    struct timespec left = {0};
    if (end_ms != UINT64_MAX) {
        uint64_t now_ms = sp__now_ms();
        if (now_ms >= end_ms) {
            return 0;
        }
        left.tv_sec = (time_t)((end_ms - now_ms) / 1000);
        left.tv_nsec = (long)((end_ms - now_ms) % 1000) * 1000000;
    }
    (void)syscall(SYS_futex, &latch->state, FUTEX_WAIT_PRIVATE, how,
                  end_ms == UINT64_MAX ? NULL : &left, NULL, 0);
    return 1;
}

static uint64_t end_of(uint64_t timeout_ms)
{
    return timeout_ms == SP_UNLIMITED ? UINT64_MAX : sp__now_ms() + timeout_ms;
}

int sp__latch_wait(struct latch *latch, uint64_t timeout_ms)
{
    uint64_t end_ms = end_of(timeout_ms);
    while (lie_down(latch, ASLEEP) && sleep_once(latch, ASLEEP, end_ms)) {
    }
    return get_up(latch);
}

int sp__latch_rest(struct latch *latch, uint64_t timeout_ms, atomic_size_t *work)
{
    uint64_t end_ms = end_of(timeout_ms);
    while (lie_down(latch, RESTING) && atomic_load(work) == 0 &&
           sleep_once(latch, RESTING, end_ms)) {
    }
    return get_up(latch);
}
