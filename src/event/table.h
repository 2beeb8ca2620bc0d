/* SPDX-License-Identifier: MIT */
/* The table of events (include/snakepit/event_table.h), to be asked. Pure, any thread. */
#ifndef SP_EVENT_TABLE_ROWS_H
#define SP_EVENT_TABLE_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "snakepit/error.h"
#include "snakepit/event.h"

enum { EVENT_KINDS = 192 }; /* room for numbers, 0 is none */

/* A set of kinds. */
struct event_set {
    uint64_t bits[EVENT_KINDS / 64];
};

static inline int sp__event_in(const struct event_set *set, int kind)
{
    return (set->bits[kind / 64] >> (kind % 64) & 1) != 0;
}

static inline void sp__event_add(struct event_set *set, int kind)
{
    set->bits[kind / 64] |= 1ull << (kind % 64);
}

/* NULL for a number that is none. */
const sp_event_info *sp__event_row(int kind);
const sp_event_info *sp__event_row_at(size_t index); /* in the table's order */

/* The first event of this name or alias, "snakepit." in front or not; NULL: none. */
const sp_event_info *sp__event_named(const char *name);

/* 1 for one that workers make, and report to their host: their rows stand together, and
 * worker.telemetry is for all that have none. */
int sp__event_is_workers(int kind);

/*
 * What a pattern means: names and prefixes with a dot at their end, with commas or blanks
 * between them; "" is every event. INVAL: one of them fits none; the message has names
 * that are near.
 */
int sp__event_pattern(const char *pattern, struct event_set *ret_set,
                      sp_error *err) SP_MUST_CHECK;

/* 1 for a measurement that a worker may send with an event: the ones of the table and the
 * original's. So their number is bounded, whatever workers say. Its name, which stays, or
 * NULL. */
const char *sp__event_measurement(const char *name);

#endif
