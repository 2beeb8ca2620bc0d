/* SPDX-License-Identifier: MIT */
/*
 * Who tells what happened. Every layer above base may have one tell an event; whoever
 * listens has a tap, at which events wait for it.
 *
 * While nobody listens, an event costs the test of sp__herald_wants().
 */
#ifndef SP_EVENT_HERALD_H
#define SP_EVENT_HERALD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "event/record.h"
#include "event/table.h"

enum {
    TAPS_MAX = 64,
    HISTORY_DEFAULT = 256 * 1024, /* bytes of events that are few */
    RECENT_BYTES = 512 * 1024     /* of those that are many */
};

struct tap {
    struct link on_herald;
    struct event_set set;
    char pattern[128];  /* what the set was made of, cut */
    uint64_t at[2];     /* in either ring */
    uint64_t delivered; /* under the herald's lock, as all from here on */
    uint64_t dropped;
    uint64_t untold; /* of these: since events.dropped said so last */
    int is_behind;   /* it was said, and the tap has not caught up yet */
    /* Somebody is to hear when there is something: called once, under the lock, and not
     * again until the tap was found empty. `many`: nothing else has come. */
    int is_awaited;
    int is_patient; /* what is many may wait until a ring is half full of it */
    void (*on_more)(struct tap *tap);
};

struct herald {
    atomic_uint wanted[EVENT_KINDS]; /* by how many */
    atomic_uint many;                /* how many want something that is many */
    /* Set before start, then constant. The events whose flow is TOLD; `with` is the
     * teller's. */
    void (*on_told)(void *user, const struct event_record *record, void *with);
    void *user; /* for on_wanted too */

    pthread_mutex_t lock;
    /* Under it. */
    void (*on_wanted)(void *user); /* or NULL */
    struct event_ring
        rings[2]; /* those that are few, and many; made when first wanted */
    size_t history_bytes;
    uint64_t number;
    struct list taps;
    uint64_t delivered; /* by taps that are gone */
    uint64_t dropped;
    uint64_t next_id; /* of handlers; the last of them */
    struct list handlers;
    uint64_t last_ms;      /* when it is closing: handlers get no event after that */
    atomic_int is_closing; /* set once, behind last_ms */
};

void sp__herald_init(struct herald *herald);
void sp__herald_fini(struct herald *herald); /* no tap is left */

/* Before start: keep as many bytes of events that are few, for taps to begin with. NOMEM. */
int sp__herald_keep(struct herald *herald, size_t bytes) SP_MUST_CHECK;

/* Have `on_wanted` called, under the lock, whenever one more or one less of the events that
 * workers make is wanted; NULL: no longer. */
void sp__herald_watch_wanted(struct herald *herald, void (*on_wanted)(void *user));
/* Any thread: have it called, because of something else that is wanted differently. */
void sp__herald_want_anew(struct herald *herald);

/* Any thread. NULL: nobody is there to be told. */
static inline int sp__herald_wants(const struct herald *herald, int kind)
{
    return herald != NULL &&
           atomic_load_explicit(&herald->wanted[kind], memory_order_relaxed) != 0;
}

/* Any thread. 1 when any of the events that are many is wanted: the one test on the way of a
 * call. */
static inline int sp__herald_listens(const struct herald *herald)
{
    return herald != NULL &&
           atomic_load_explicit(&herald->many, memory_order_relaxed) != 0;
}

/* Any thread, under any lock of upper layers, but not of a loop: under the herald's own a
 * tap's on_more may post to one. The event's time (when 0) and, but for a worker's end, exit
 * status are filled in. */
void sp__herald_tell(struct herald *herald, const struct tidings *tidings);

/* Any thread: the number of the last event. */
uint64_t sp__herald_number(struct herald *herald);

/* ---- taps ---- */

enum tap_history {
    TAP_FROM_NOW, /* nothing that was before */
    TAP_KEPT,     /* begin with what is kept, which is of events that are few, and have
                     those alone */
    TAP_KEPT_ON   /* begin with that, and go on with every event */
};

/* QUOTA, NOMEM. The tap is the caller's; on_more may come from now on. */
int sp__tap_open(struct herald *herald, struct tap *tap, const char *pattern,
                 enum tap_history history, sp_error *err) SP_MUST_CHECK;
void sp__tap_close(struct herald *herald, struct tap *tap);

/* The next events, `most` of them or fewer, as records in a row, copied to `place` of
 * RECORD_MAX bytes. How many bytes they are. 0: there is none, and on_more will tell of the
 * next one. */
size_t sp__tap_take(struct herald *herald, struct tap *tap, void *place, size_t most);

/* How many events it was too slow for, so far. */
uint64_t sp__tap_dropped(struct herald *herald, const struct tap *tap);

/* Set is_patient. */
void sp__tap_set_patient(struct herald *herald, struct tap *tap, int is_patient);

/* The lock is the caller's: 1 when something is there to be taken. */
int sp__tap_is_due(struct herald *herald, struct tap *tap);

#endif
