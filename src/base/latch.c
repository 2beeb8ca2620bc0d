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

enum { CLOSED, SLEEPING, OPEN, NUDGED };

void sp__latch_open(struct latch *latch)
{
    unsigned before =
        atomic_exchange_explicit(&latch->state, OPEN, memory_order_acq_rel);
    if (before == SLEEPING) {
        (void)syscall(SYS_futex, &latch->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

enum ending { ENDED_OPEN, ENDED_NUDGED, ENDED_TIME };

static enum ending wait(struct latch *latch, uint64_t timeout_ms)
{
    uint64_t end_ms = timeout_ms == SP_UNLIMITED ? 0 : sp__now_ms() + timeout_ms;
    for (;;) {
        unsigned expected = CLOSED;
        (void)atomic_compare_exchange_strong_explicit(&latch->state, &expected,
                                                      SLEEPING, memory_order_acq_rel,
                                                      memory_order_acquire);
        if (expected == NUDGED) {
            (void)atomic_compare_exchange_strong_explicit(&latch->state, &expected,
                                                          CLOSED, memory_order_acq_rel,
                                                          memory_order_acquire);
            return expected == OPEN ? ENDED_OPEN : ENDED_NUDGED;
        }
        if (expected == OPEN) {
            return ENDED_OPEN;
        }
        struct timespec left = {0};
        if (timeout_ms != SP_UNLIMITED) {
            uint64_t now_ms = sp__now_ms();
            if (now_ms >= end_ms) {
                return ENDED_TIME;
            }
            left.tv_sec = (time_t)((end_ms - now_ms) / 1000);
            left.tv_nsec = (long)((end_ms - now_ms) % 1000) * 1000000;
        }
        (void)syscall(SYS_futex, &latch->state, FUTEX_WAIT_PRIVATE, SLEEPING,
                      timeout_ms == SP_UNLIMITED ? NULL : &left, NULL, 0);
    }
}

int sp__latch_wait(struct latch *latch, uint64_t timeout_ms)
{
    enum ending ending = wait(latch, timeout_ms);
    assert(ending != ENDED_NUDGED);
    return ending == ENDED_OPEN;
}

int sp__latch_rest(struct latch *latch, uint64_t timeout_ms)
{
    return wait(latch, timeout_ms) == ENDED_OPEN;
}

void sp__latch_nudge(struct latch *latch)
{
    unsigned before = atomic_load_explicit(&latch->state, memory_order_relaxed);
    while (before != OPEN) {
        if (atomic_compare_exchange_weak_explicit(&latch->state, &before, NUDGED,
                                                  memory_order_acq_rel,
                                                  memory_order_relaxed)) {
            if (before == SLEEPING) {
                (void)syscall(SYS_futex, &latch->state, FUTEX_WAKE_PRIVATE, 1, NULL,
                              NULL, 0);
            }
            return;
        }
    }
}
