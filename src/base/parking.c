/* SPDX-License-Identifier: MIT */
/*
 * Spots are bits of futexes: a row is one futex, and its word counts how often somebody
 * was woken in it, so that who has looked at it before parking does not miss a call.
 *
 * Normal course: the waker notes the first spot of each lot for itself and makes the
 * others due, row by row; at the end it wakes the first ones. Whoever gets up in a lot
 * takes what is due there and wakes it. When the kernel says that nobody slept in a first
 * spot any more, the waker does that itself.
 */
#include "base/parking.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

struct row {
    atomic_uint calls; /* the futex */
    atomic_uint due;   /* spots */
};

static struct lot {
    _Alignas(64) atomic_uint due; /* rows in which spots are; never too few */
    struct row rows[LOT_ROWS];
} lots[PARKING_LOTS];

static struct row *row_of(struct spot spot)
{
    return &lots[spot.lot].rows[spot.number / ROW_SPOTS];
}

static unsigned bit_of(struct spot spot)
{
    return 1u << (spot.number % ROW_SPOTS);
}

static int wake(struct row *row, unsigned spots)
{
    atomic_fetch_add(&row->calls, 1);
    long woken = syscall(SYS_futex, &row->calls, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX,
                         NULL, NULL, spots);
    return woken > 0 ? (int)woken : 0;
}

static void unpark_left_in(struct lot *lot)
{
    if (atomic_load_explicit(&lot->due, memory_order_acquire) == 0) {
        return;
    }
    unsigned rows = atomic_exchange(&lot->due, 0);
    while (rows != 0) {
        struct row *row = &lot->rows[ffs((int)rows) - 1];
        rows &= rows - 1;
        unsigned spots = atomic_exchange(&row->due, 0);
        if (spots != 0) {
            (void)wake(row, spots);
        }
    }
}

unsigned sp__parking_lot(void)
{
    int processor = sched_getcpu();
    return processor < 0 ? 0 : (unsigned)processor % PARKING_LOTS;
}

unsigned sp__parking_look(struct spot spot)
{
    return atomic_load_explicit(&row_of(spot)->calls, memory_order_acquire);
}

int sp__park(struct spot spot, unsigned seen, const struct timespec *end)
{
    long rc = syscall(SYS_futex, &row_of(spot)->calls, FUTEX_WAIT_BITSET_PRIVATE, seen,
                      end, NULL, bit_of(spot));
    int is_over = rc < 0 && errno == ETIMEDOUT;
    unpark_left_in(&lots[spot.lot]);
    return !is_over;
}

int sp__unpark(struct spot spot)
{
    return wake(row_of(spot), bit_of(spot));
}

void sp__unparking_add(struct unparking *unparking, struct spot spot)
{
    unparking->any = 1;
    if (unparking->first[spot.lot] == 0) {
        unparking->first[spot.lot] = (uint16_t)(spot.number + 1);
        return;
    }
    unparking->any_left = 1;
    atomic_fetch_or(&row_of(spot)->due, bit_of(spot));
    atomic_fetch_or(&lots[spot.lot].due, 1u << (spot.number / ROW_SPOTS));
}

void sp__unparking_end(struct unparking *unparking)
{
    for (unsigned i = 0; i < PARKING_LOTS && unparking->any; i++) {
        if (unparking->first[i] != 0 &&
            sp__unpark((struct spot){i, unparking->first[i] - 1u}) == 0) {
            unpark_left_in(&lots[i]);
        }
    }
}

void sp__unpark_left(void)
{
    for (size_t i = 0; i < PARKING_LOTS; i++) {
        unpark_left_in(&lots[i]);
    }
}
