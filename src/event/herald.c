/* SPDX-License-Identifier: MIT */
/*
 * Telling, and taps.
 *
 * There are two rings of records: one of events that are few, one of those that are many,
 * so that a burst of calls pushes no death out of the history. A tap is a place in each,
 * and what it wants; it is read in the order of the events' numbers. So an event is
 * written once, however many listen.
 *
 * Whoever tells takes one lock for the time of a copy and waits for nobody. When a ring is
 * full the oldest record goes; each tap that had yet to read it counts a loss. The first
 * loss is told by an event of its own, and the next one when the tap has caught up in
 * between: by the reader, since the teller is busy tidings.
 *
 * Rings are made when somebody first wants their kind: telling takes no memory.
 */
#include "event/herald.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

void sp__herald_init(struct herald *herald)
{
    *herald = (struct herald){.history_bytes = HISTORY_DEFAULT};
    (void)pthread_mutex_init(&herald->lock, NULL);
}

void sp__herald_fini(struct herald *herald)
{
    assert(herald->taps.length == 0);
    sp__ring_fini(&herald->rings[0]);
    sp__ring_fini(&herald->rings[1]);
    (void)pthread_mutex_destroy(&herald->lock);
}

static int ring_of(const sp_event_info *row)
{
    return row->flow == SP_EVENT_FLOW_MANY;
}

/* Locked. One wants them, or one (-1) no longer does. */
static void want(struct herald *herald, const struct event_set *set, int more)
{
    unsigned many = 0;
    int changes = 0; /* for workers */
    const sp_event_info *row;
    for (size_t i = 0; (row = sp__event_row_at(i)) != NULL; i++) {
        if (sp__event_in(set, row->kind)) {
            unsigned before = atomic_fetch_add_explicit(
                &herald->wanted[row->kind], (unsigned)more, memory_order_relaxed);
            many |= row->flow == SP_EVENT_FLOW_MANY;
            changes |= sp__event_is_workers(row->kind) && before == (more < 0);
        }
    }
    atomic_fetch_add_explicit(&herald->many, many * (unsigned)more,
                              memory_order_relaxed);
    if (changes && herald->on_wanted != NULL) {
        herald->on_wanted(herald->user);
    }
}

void sp__herald_watch_wanted(struct herald *herald, void (*on_wanted)(void *user))
{
    (void)pthread_mutex_lock(&herald->lock);
    herald->on_wanted = on_wanted;
    (void)pthread_mutex_unlock(&herald->lock);
}

void sp__herald_want_anew(struct herald *herald)
{
    (void)pthread_mutex_lock(&herald->lock);
    if (herald->on_wanted != NULL) {
        herald->on_wanted(herald->user);
    }
    (void)pthread_mutex_unlock(&herald->lock);
}

/* Those of them that are few. */
static struct event_set few_of(const struct event_set *set)
{
    struct event_set few = {0};
    const sp_event_info *row;
    for (size_t i = 0; (row = sp__event_row_at(i)) != NULL; i++) {
        if (sp__event_in(set, row->kind) && !ring_of(row)) {
            sp__event_add(&few, row->kind);
        }
    }
    return few;
}

int sp__herald_keep(struct herald *herald, size_t bytes)
{
    struct event_set all;
    memset(&all, 0xff, sizeof all);
    const struct event_set few = few_of(&all);
    herald->history_bytes = bytes / RECORD_ALIGN * RECORD_ALIGN;
    int rc = sp__ring_init(&herald->rings[0], herald->history_bytes);
    if (rc == SP_OK) {
        want(herald, &few, 1); /* nobody else knows the herald yet */
    }
    return rc;
}

/* ---- telling ---- */

/* A record is pushed out: whoever had yet to read it goes on behind it. */
static void on_leave(void *user, uint64_t at, const struct event_record *record)
{
    struct herald *herald = user;
    int ring = record->kind == 0 ? -1 : ring_of(sp__event_row(record->kind));
    for (struct link *link = herald->taps.first; link != NULL; link = link->next) {
        struct tap *tap = ITEM(link, struct tap, on_herald);
        if (ring < 0 || tap->at[ring] > at || !sp__event_in(&tap->set, record->kind)) {
            continue;
        }
        tap->dropped++;
        tap->untold++;
    }
}

/* No tap points at what is gone. */
static void follow(struct herald *herald, int ring)
{
    for (struct link *link = herald->taps.first; link != NULL; link = link->next) {
        struct tap *tap = ITEM(link, struct tap, on_herald);
        if (tap->at[ring] < herald->rings[ring].start) {
            tap->at[ring] = herald->rings[ring].start;
        }
    }
}

/* There is time to gather more of them. */
static int may_wait(const struct herald *herald, const struct tap *tap, int ring)
{
    return ring == 1 && tap->is_patient &&
           herald->rings[1].end - tap->at[1] < herald->rings[1].size / 2;
}

static void wake(struct herald *herald, int kind, int ring)
{
    for (struct link *link = herald->taps.first; link != NULL; link = link->next) {
        struct tap *tap = ITEM(link, struct tap, on_herald);
        if (tap->is_awaited && sp__event_in(&tap->set, kind) &&
            !may_wait(herald, tap, ring)) {
            tap->is_awaited = 0;
            tap->on_more(tap);
        }
    }
}

/* The rest of what an event has. */
static struct event_record *complete(struct event_record *record, uint64_t number,
                                     uint64_t now_ns)
{
    record->number = number;
    if (record->time_unix_ns == 0) {
        record->time_unix_ns = now_ns;
    }
    if (record->kind != SP_EVENT_WORKER_DIED &&
        record->kind != SP_EVENT_WORKER_STOPPED) {
        record->exit_status = -1; /* it is of no end */
    }
    return record;
}

static void write_record(struct herald *herald, const struct tidings *tidings,
                         const struct record_plan *plan, uint64_t now_ns)
{
    int ring = ring_of(sp__event_row(tidings->event.kind));
    (void)pthread_mutex_lock(&herald->lock);
    if (herald->rings[ring].data != NULL) {
        void *place =
            sp__ring_push(&herald->rings[ring], plan->bytes, on_leave, herald);
        (void)complete(sp__record_write(place, tidings, plan), ++herald->number,
                       now_ns);
        follow(herald, ring);
        wake(herald, tidings->event.kind, ring);
    }
    (void)pthread_mutex_unlock(&herald->lock);
}

static void hand_over(struct herald *herald, const struct tidings *tidings,
                      const struct record_plan *plan, uint64_t now_ns)
{
    _Alignas(RECORD_ALIGN) uint8_t place[RECORD_MAX];
    herald->on_told(herald->user,
                    complete(sp__record_write(place, tidings, plan), 0, now_ns),
                    tidings->with);
}

void sp__herald_tell(struct herald *herald, const struct tidings *tidings)
{
    const sp_event_info *row = sp__event_row(tidings->event.kind);
    int wanted = sp__herald_wants(herald, row->kind);
    int told =
        herald != NULL && row->flow == SP_EVENT_FLOW_TOLD && herald->on_told != NULL;
    if (!wanted && !told) {
        return;
    }
    struct record_plan plan;
    uint64_t now_ns = tidings->event.time_unix_ns == 0 ? sp__unix_ns() : 0;
    sp__record_plan(tidings, &plan);
    if (wanted) {
        write_record(herald, tidings, &plan, now_ns);
    }
    if (told) {
        hand_over(herald, tidings, &plan, now_ns);
    }
}

uint64_t sp__herald_number(struct herald *herald)
{
    (void)pthread_mutex_lock(&herald->lock);
    uint64_t number = herald->number;
    (void)pthread_mutex_unlock(&herald->lock);
    return number;
}

/* ---- taps ---- */

static int make_rings(struct herald *herald, const struct event_set *set)
{
    const sp_event_info *row;
    for (size_t i = 0; (row = sp__event_row_at(i)) != NULL; i++) {
        int ring = ring_of(row);
        if (sp__event_in(set, row->kind) && herald->rings[ring].data == NULL &&
            sp__ring_init(&herald->rings[ring],
                          ring == 0 ? herald->history_bytes : RECENT_BYTES) < 0) {
            return SP_ERR_NOMEM;
        }
    }
    return SP_OK;
}

int sp__tap_open(struct herald *herald, struct tap *tap, const char *pattern,
                 enum tap_history history, sp_error *err)
{
    int rc = sp__event_pattern(pattern, &tap->set, err);
    if (rc < 0) {
        return rc;
    }
    if (history == TAP_KEPT) {
        tap->set = few_of(&tap->set);
    }
    (void)snprintf(tap->pattern, sizeof tap->pattern, "%s", pattern);
    (void)pthread_mutex_lock(&herald->lock);
    if (herald->is_closing) {
        rc = SP_ERR_CLOSED;
    } else if (herald->taps.length >= TAPS_MAX) {
        rc = SP_ERR_QUOTA;
    } else {
        rc = make_rings(herald, &tap->set);
    }
    if (rc == SP_OK) {
        tap->at[0] =
            history == TAP_FROM_NOW ? herald->rings[0].end : herald->rings[0].start;
        tap->at[1] = herald->rings[1].end;
        sp__list_append(&herald->taps, &tap->on_herald);
        want(herald, &tap->set, 1);
    }
    (void)pthread_mutex_unlock(&herald->lock);
    if (rc == SP_ERR_QUOTA) {
        return sp__fail(
            err, rc, "%d handlers of events are attached, as many as may be", TAPS_MAX);
    }
    if (rc < 0) {
        return sp__fail(err, rc,
                        rc == SP_ERR_CLOSED ? "the pit is closing"
                                            : "no memory for events");
    }
    return SP_OK;
}

void sp__tap_close(struct herald *herald, struct tap *tap)
{
    (void)pthread_mutex_lock(&herald->lock);
    want(herald, &tap->set, -1);
    sp__list_remove(&tap->on_herald);
    herald->delivered += tap->delivered;
    herald->dropped += tap->dropped;
    (void)pthread_mutex_unlock(&herald->lock);
}

/* The next one that it wants, in a ring. */
static const struct event_record *next_in(struct herald *herald, struct tap *tap,
                                          int ring)
{
    const struct event_record *record;
    while ((record = sp__ring_at(&herald->rings[ring], &tap->at[ring])) != NULL &&
           !sp__event_in(&tap->set, record->kind)) {
        tap->at[ring] += record->bytes;
    }
    return record;
}

static const struct event_record *next_of(struct herald *herald, struct tap *tap)
{
    const struct event_record *few = next_in(herald, tap, 0);
    const struct event_record *many = next_in(herald, tap, 1);
    return few == NULL || (many != NULL && many->number < few->number) ? many : few;
}

int sp__tap_is_due(struct herald *herald, struct tap *tap)
{
    return next_of(herald, tap) != NULL;
}

uint64_t sp__tap_dropped(struct herald *herald, const struct tap *tap)
{
    (void)pthread_mutex_lock(&herald->lock);
    uint64_t dropped = tap->dropped;
    (void)pthread_mutex_unlock(&herald->lock);
    return dropped;
}

void sp__tap_set_patient(struct herald *herald, struct tap *tap, int is_patient)
{
    (void)pthread_mutex_lock(&herald->lock);
    tap->is_patient = is_patient;
    (void)pthread_mutex_unlock(&herald->lock);
}

static void tell_loss(struct herald *herald, const char *pattern, uint64_t lost)
{
    sp__herald_tell(herald,
                    &(struct tidings){.event = {.kind = SP_EVENT_EVENTS_DROPPED},
                                      EVENT_NUMBERS((double)lost),
                                      EVENT_TEXTS(pattern)});
}

size_t sp__tap_take(struct herald *herald, struct tap *tap, void *place, size_t most)
{
    const struct event_record *record;
    uint64_t lost = 0;
    size_t used = 0;
    (void)pthread_mutex_lock(&herald->lock);
    while ((record = next_of(herald, tap)) != NULL && most-- > 0 &&
           used + record->bytes <= RECORD_MAX) {
        memcpy((uint8_t *)place + used, record, record->bytes);
        used += record->bytes;
        tap->at[ring_of(sp__event_row(record->kind))] += record->bytes;
        tap->delivered++;
    }
    if (used == 0) {
        tap->is_awaited = 1;
        tap->is_behind = 0;
    } else if (tap->untold > 0 && !tap->is_behind) {
        lost = tap->untold;
        tap->untold = 0;
        tap->is_behind = 1;
    }
    (void)pthread_mutex_unlock(&herald->lock);
    if (lost > 0) {
        tell_loss(herald, tap->pattern, lost);
    }
    return used;
}
