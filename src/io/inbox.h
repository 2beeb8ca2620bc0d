/* SPDX-License-Identifier: MIT */
/*
 * What has been posted to a loop and not been run, and whether its driver has to be called
 * for it: one word, so that posting, sleeping and changing the driver need no lock.
 *
 * The word is the command posted last, each of which points to the one before it, or none;
 * and a mark in one of the bits that no pointer needs:
 *
 *   (none)  somebody drives, and looks into the inbox before he sleeps
 *   ASLEEP  he is in, or on his way to, the kernel
 *   RESTS   nobody drives: whoever claims the loop does
 *
 * Who posts takes ASLEEP away and wakes the driver, so that a burst costs one call of the
 * kernel; the same with RESTS, unless he is about to claim the loop himself.
 */
#ifndef SP_IO_INBOX_H
#define SP_IO_INBOX_H

#include <stdatomic.h>
#include <stdint.h>

#include "io/loop.h"

struct inbox {
    atomic_uintptr_t word;
};

enum inbox_mark { INBOX_AWAKE = 0, INBOX_ASLEEP = 1, INBOX_RESTS = 2 };
enum { INBOX_MARKS = INBOX_ASLEEP | INBOX_RESTS };

_Static_assert(_Alignof(struct command) > INBOX_MARKS,
               "a pointer leaves room for marks");

/* The same commands the other way round. */
static inline struct command *sp__inbox_turn(struct command *from)
{
    struct command *turned = NULL;
    while (from != NULL) {
        struct command *next = from->next;
        from->next = turned;
        turned = from;
        from = next;
    }
    return turned;
}

/* Any thread: post a chain, the first one first. Returns the mark that it took away, for
 * the caller to act on; RESTS stays when the caller `claims`, and is not returned. Whom the
 * caller then has drive sees, through him, what the last driver did: so it acquires too. */
static inline enum inbox_mark sp__inbox_post(struct inbox *inbox, struct command *chain,
                                             int claims)
{
    struct command *last = sp__inbox_turn(chain);
    uintptr_t stays = claims ? INBOX_RESTS : 0;
    uintptr_t before = atomic_load_explicit(&inbox->word, memory_order_relaxed);
    do {
        chain->next = (struct command *)(before & ~(uintptr_t)INBOX_MARKS);
    } while (!atomic_compare_exchange_weak_explicit(
        &inbox->word, &before, (uintptr_t)last | (before & stays), memory_order_acq_rel,
        memory_order_relaxed));
    return (enum inbox_mark)(before & INBOX_MARKS & ~stays);
}

static inline int sp__inbox_is_empty(struct inbox *inbox)
{
    return atomic_load_explicit(&inbox->word, memory_order_relaxed) <= INBOX_MARKS;
}

/* Who drives: everything there is, in the order of posting, and no mark; NULL when there is
 * nothing. */
static inline struct command *sp__inbox_take(struct inbox *inbox)
{
    if (sp__inbox_is_empty(inbox)) {
        return NULL;
    }
    uintptr_t all = atomic_exchange_explicit(&inbox->word, 0, memory_order_acquire);
    return sp__inbox_turn((struct command *)(all & ~(uintptr_t)INBOX_MARKS));
}

/* Who drives: set a mark, unless there is something: 0 then. With RESTS he drives no more. */
static inline int sp__inbox_mark(struct inbox *inbox, enum inbox_mark mark)
{
    uintptr_t before = atomic_load_explicit(&inbox->word, memory_order_relaxed);
    while (before <= INBOX_MARKS) {
        if (atomic_compare_exchange_weak(&inbox->word, &before, mark)) {
            return 1;
        }
    }
    return 0;
}

/* Who drives: he is not asleep any more. */
static inline void sp__inbox_wake(struct inbox *inbox)
{
    if (atomic_load_explicit(&inbox->word, memory_order_relaxed) == INBOX_ASLEEP) {
        (void)atomic_fetch_and_explicit(&inbox->word, ~(uintptr_t)INBOX_ASLEEP,
                                        memory_order_relaxed);
    }
}

/* Any thread: 1 when nobody drives. */
static inline int sp__inbox_rests(struct inbox *inbox)
{
    return (atomic_load(&inbox->word) & INBOX_RESTS) != 0;
}

/* Any thread: take RESTS away, whatever has been posted. 1: the caller drives. */
static inline int sp__inbox_claim(struct inbox *inbox)
{
    uintptr_t before = atomic_load_explicit(&inbox->word, memory_order_relaxed);
    while ((before & INBOX_RESTS) != 0) {
        if (atomic_compare_exchange_weak_explicit(
                &inbox->word, &before, before & ~(uintptr_t)INBOX_RESTS,
                memory_order_acquire, memory_order_relaxed)) {
            return 1;
        }
    }
    return 0;
}

#endif
