/* SPDX-License-Identifier: MIT */
/*
 * An event as bytes, in one piece without pointers to anything that goes away; and a ring
 * of them. Pure; who shares them has the lock.
 */
#ifndef SP_EVENT_RECORD_H
#define SP_EVENT_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "snakepit/event.h"

enum {
    RECORD_MAX = 8192, /* texts are cut, and metadata left out, to stay within it */
    RECORD_ALIGN = 8,
    EVENT_MEASUREMENTS = 16, /* of one event, at most; as the next */
    EVENT_METADATA = 24,
    EVENT_COMMON = 5 /* pool, worker, pid, session, message */
};

/*
 * What is told: the event, whose name and lists are filled in where it is read. Numbers and
 * texts are those of its row, in that order, and as many. An event that a worker made has
 * measurements and metadata of its own instead, whose names stay.
 */
struct tidings {
    sp_event event;
    const double *numbers;
    size_t numbers_count;
    const char *const *texts;
    size_t texts_count;
    void *with; /* for on_told (herald.h) */
};
#define EVENT_NUMBERS(...)                    \
    .numbers = (const double[]){__VA_ARGS__}, \
    .numbers_count = sizeof((const double[]){__VA_ARGS__}) / sizeof(double)
#define EVENT_TEXTS(...)                         \
    .texts = (const char *const[]){__VA_ARGS__}, \
    .texts_count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)

struct event_record {
    uint32_t bytes;    /* all of it, a multiple of RECORD_ALIGN */
    uint16_t kind;     /* 0: the rest of the ring's end */
    uint8_t has_names; /* its measurements and texts; else they have those of the row */
    uint8_t measurements_count;
    uint16_t texts_count; /* behind pool, session and message */
    uint16_t sizes[3];    /* of those three, with their NUL */
    uint64_t number;      /* of all events of a pit, in their order */
    uint64_t time_unix_ns;
    uint64_t worker;
    uint64_t duration_ms;
    uint32_t slot;
    int32_t pid;
    int32_t exit_status;
    int32_t signal;
    /* Numbers, or sp_event_measurement each, whose names stay for ever; then pool, session,
     * message; then the texts, each behind its name where it has one. All with their NUL. */
};

/* How a record will lie: made once, since a text's length is most of what it costs. */
struct record_plan {
    size_t bytes;
    size_t texts_count;
    size_t measurements_count;
    int has_names;
    uint16_t sizes[3 + 2 * EVENT_METADATA]; /* of each text, with its NUL */
};
void sp__record_plan(const struct tidings *tidings, struct record_plan *ret);
/* Write it as planned, and not yet numbered. */
struct event_record *sp__record_write(void *place, const struct tidings *tidings,
                                      const struct record_plan *plan);

/* The event that a record is, with room for its lists. */
struct read_event {
    sp_event event;
    sp_event_measurement measurements[EVENT_MEASUREMENTS];
    sp_event_metadata metadata[EVENT_METADATA + EVENT_COMMON];
    char slot[16];
    char pid[16];
};
/* Points into the record and into itself. */
void sp__record_read(const struct event_record *record, struct read_event *ret);

/*
 * Offsets count bytes since the ring was made, so one that was pushed out is known by
 * being before `start`.
 */
struct event_ring {
    uint8_t *data; /* NULL: not made yet */
    size_t size;   /* a multiple of RECORD_ALIGN, at least 2 * RECORD_MAX */
    uint64_t start;
    uint64_t end;
};

int sp__ring_init(struct event_ring *ring, size_t size) SP_MUST_CHECK;
void sp__ring_fini(struct event_ring *ring);

/* A place for a record at the end. The oldest are pushed out for it: `on_leave` hears of
 * each, when it is not NULL. */
void *sp__ring_push(struct event_ring *ring, size_t bytes,
                    void (*on_leave)(void *user, uint64_t at,
                                     const struct event_record *record),
                    void *user);

/* The record at or, behind the rest of the ring's end, after *at, which is moved to it;
 * NULL at the end. */
const struct event_record *sp__ring_at(const struct event_ring *ring, uint64_t *at);

#endif
