/* SPDX-License-Identifier: MIT */
/*
 * Beds are bits of futexes: a room is one futex, and its word counts how often somebody
 * was woken in it, so that who has looked at it before lying down does not miss a call.
 *
 * Normal course: the waker notes the first bed of each hall for itself and makes the
 * others due, room by room; at the end it wakes the first ones. Whoever gets up in a hall
 * takes what is due there and wakes it. When the kernel says that nobody slept in a first
 * bed any more, the waker does that itself.
 */
#include "base/beds.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

struct room {
    atomic_uint calls; /* the futex */
    atomic_uint due;   /* beds */
};

static struct hall {
    _Alignas(64) atomic_uint due; /* rooms in which beds are; never too few */
    struct room rooms[BED_ROOMS];
} halls[BED_HALLS];

static struct room *room_of(struct bed bed)
{
    return &halls[bed.hall].rooms[bed.number / BEDS_IN_ROOM];
}

static unsigned bit_of(struct bed bed)
{
    return 1u << (bed.number % BEDS_IN_ROOM);
}

static int wake(struct room *room, unsigned beds)
{
    atomic_fetch_add(&room->calls, 1);
    long woken = syscall(SYS_futex, &room->calls, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX,
                         NULL, NULL, beds);
    return woken > 0 ? (int)woken : 0;
}

static void rouse(struct hall *hall)
{
    if (atomic_load_explicit(&hall->due, memory_order_acquire) == 0) {
        return;
    }
    unsigned rooms = atomic_exchange(&hall->due, 0);
    while (rooms != 0) {
        struct room *room = &hall->rooms[ffs((int)rooms) - 1];
        rooms &= rooms - 1;
        unsigned beds = atomic_exchange(&room->due, 0);
        if (beds != 0) {
            (void)wake(room, beds);
        }
    }
}

unsigned sp__bed_hall(void)
{
    int processor = sched_getcpu();
    return processor < 0 ? 0 : (unsigned)processor % BED_HALLS;
}

unsigned sp__bed_look(struct bed bed)
{
    return atomic_load_explicit(&room_of(bed)->calls, memory_order_acquire);
}

int sp__bed_sleep(struct bed bed, unsigned seen, const struct timespec *end)
{
    long rc = syscall(SYS_futex, &room_of(bed)->calls, FUTEX_WAIT_BITSET_PRIVATE, seen,
                      end, NULL, bit_of(bed));
    int is_over = rc < 0 && errno == ETIMEDOUT;
    rouse(&halls[bed.hall]);
    return !is_over;
}

int sp__bed_wake(struct bed bed)
{
    return wake(room_of(bed), bit_of(bed));
}

void sp__rousing_add(struct rousing *rousing, struct bed bed)
{
    rousing->any = 1;
    if (rousing->first[bed.hall] == 0) {
        rousing->first[bed.hall] = (uint16_t)(bed.number + 1);
        return;
    }
    rousing->any_left = 1;
    atomic_fetch_or(&room_of(bed)->due, bit_of(bed));
    atomic_fetch_or(&halls[bed.hall].due, 1u << (bed.number / BEDS_IN_ROOM));
}

void sp__rousing_end(struct rousing *rousing)
{
    for (unsigned i = 0; i < BED_HALLS && rousing->any; i++) {
        if (rousing->first[i] != 0 &&
            sp__bed_wake((struct bed){i, rousing->first[i] - 1u}) == 0) {
            rouse(&halls[i]);
        }
    }
}

void sp__beds_rouse(void)
{
    for (size_t i = 0; i < BED_HALLS; i++) {
        rouse(&halls[i]);
    }
}
