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
    EVENT_METADATA = 24
};

struct event_record {
    uint32_t bytes; /* all of it, a multiple of RECORD_ALIGN */
    uint16_t kind;  /* 0: the rest of the ring's end */
    uint8_t measurements_count;
    uint8_t metadata_count;
    uint64_t number; /* of all events of a pit, in their order */
    uint64_t time_unix_ns;
    uint64_t worker;
    uint64_t duration_ms;
    uint32_t slot;
    int32_t pid;
    int32_t exit_status;
    int32_t signal;
    /* sp_event_measurement each, whose names stay for ever; then pool, session, message;
     * then name and text of each metadata, all with their NUL. */
};

/* What the event's record takes. */
size_t sp__record_bytes(const sp_event *event);
/* Write it; `bytes` is what sp__record_bytes() said. */
void sp__record_write(void *place, size_t bytes, const sp_event *event,
                      uint64_t number);

/* The event that a record is, with room for its lists. */
struct read_event {
    sp_event event;
    sp_event_metadata metadata[EVENT_METADATA];
};
/* Points into the record. */
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
