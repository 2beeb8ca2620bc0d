/* SPDX-License-Identifier: MIT */
/*
 * Handlers of events: each has a tap and a thread of its own, so that a slow one is
 * nobody's trouble but its own.
 *
 * Normal course: the thread takes event after event until there is none, and sleeps. What
 * comes many times a second does not wake it each time: after such ones it takes a nap of
 * a few milliseconds, from which only others, or a ring that is half full, wake it.
 *
 * An end waits for the thread, unless a handler asks for it: two that end each other would
 * wait for ever. Then the thread is joined by the next one that comes along.
 */
#include "event/handler.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"

enum {
    NAP_MS = 5,
    CLOSE_MS = 2000 /* at the pit's end, for what handlers have not seen yet */
};

struct handler {
    struct link on_handlers;
    struct tap tap;
    struct herald *herald;
    uint64_t id;
    sp_event_cb cb;
    void *user_data;
    pthread_t thread;
    atomic_int is_ending; /* no further event; set under the herald's lock */
    /* Under it. */
    pthread_cond_t more;
    int is_detached; /* its id is gone, and nobody waits: to be joined by anybody */
    int is_through;  /* the thread is about to end */

    _Alignas(RECORD_ALIGN) uint8_t records[RECORD_MAX];
};

static void on_more(struct tap *tap)
{
    (void)pthread_cond_signal(&ITEM(tap, struct handler, tap)->more);
}

/* Wait until something is due, locked. 0: it is over. */
static int wait_for_more(struct handler *handler, int nap)
{
    struct herald *herald = handler->herald;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += NAP_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    handler->tap.is_patient = nap;
    while (!handler->is_ending && handler->tap.is_awaited && !herald->is_closing) {
        if (!nap) {
            (void)pthread_cond_wait(&handler->more, &herald->lock);
        } else if (pthread_cond_timedwait(&handler->more, &herald->lock, &until) ==
                   ETIMEDOUT) {
            nap = 0;
            handler->tap.is_patient = 0;
            handler->tap.is_awaited = !sp__tap_is_due(herald, &handler->tap);
        }
    }
    handler->tap.is_patient = 0;
    return !handler->is_ending && !(herald->is_closing && handler->tap.is_awaited);
}

static int may_go_on(struct handler *handler)
{
    struct herald *herald = handler->herald;
    return !atomic_load(&handler->is_ending) &&
           (!atomic_load(&herald->is_closing) || sp__now_ms() <= herald->last_ms);
}

/* Give it what was taken; whether the last of it was one of many. */
static int give(struct handler *handler, size_t bytes)
{
    struct read_event read;
    int is_many = 0;
    for (size_t at = 0; at < bytes && may_go_on(handler);) {
        const struct event_record *record = (const void *)(handler->records + at);
        at += record->bytes;
        sp__record_read(record, &read);
        is_many = sp__event_row(record->kind)->flow == SP_EVENT_FLOW_MANY;
        handler->cb(&read.event, handler->user_data);
    }
    return is_many;
}

static void *run(void *arg)
{
    struct handler *handler = arg;
    struct herald *herald = handler->herald;
    int nap = 0;
    for (int go = 1; go;) {
        size_t bytes;
        while ((go = may_go_on(handler)) &&
               (bytes = sp__tap_take(herald, &handler->tap, handler->records,
                                     SIZE_MAX)) > 0) {
            nap = give(handler, bytes);
        }
        if (go) {
            (void)pthread_mutex_lock(&herald->lock);
            go = wait_for_more(handler, nap);
            (void)pthread_mutex_unlock(&herald->lock);
            nap = 0;
        }
    }
    sp__tap_close(herald, &handler->tap);
    (void)pthread_mutex_lock(&herald->lock);
    handler->is_through = 1;
    (void)pthread_mutex_unlock(&herald->lock);
    return NULL;
}

/* ---- ending ---- */

static void free_handler(struct handler *handler)
{
    (void)pthread_cond_destroy(&handler->more);
    sp__free(handler);
}

/* Locked. One that is through and that nobody waits for, off its list; or NULL. */
static struct handler *take_through(struct herald *herald)
{
    for (struct link *link = herald->handlers.first; link != NULL; link = link->next) {
        struct handler *handler = ITEM(link, struct handler, on_handlers);
        if (handler->is_detached && handler->is_through) {
            sp__list_remove(link);
            return handler;
        }
    }
    return NULL;
}

static void join_through(struct herald *herald)
{
    struct handler *handler;
    do {
        (void)pthread_mutex_lock(&herald->lock);
        handler = take_through(herald);
        (void)pthread_mutex_unlock(&herald->lock);
        if (handler != NULL) {
            (void)pthread_join(handler->thread, NULL);
            free_handler(handler);
        }
    } while (handler != NULL);
}

/* Locked. */
static struct handler *find(struct herald *herald, uint64_t id)
{
    for (struct link *link = herald->handlers.first; link != NULL; link = link->next) {
        struct handler *handler = ITEM(link, struct handler, on_handlers);
        if (handler->id == id && !handler->is_detached) {
            return handler;
        }
    }
    return NULL;
}

/* Locked. */
static int is_handlers_thread(struct herald *herald)
{
    for (struct link *link = herald->handlers.first; link != NULL; link = link->next) {
        if (pthread_equal(ITEM(link, struct handler, on_handlers)->thread,
                          pthread_self())) {
            return 1;
        }
    }
    return 0;
}

static int not_found(uint64_t id, sp_error *err)
{
    return sp__fail(err, SP_ERR_NOT_FOUND, "no handler of events has the id %llu",
                    (unsigned long long)id);
}

int sp__handler_detach(struct herald *herald, uint64_t id, sp_error *err)
{
    join_through(herald);
    (void)pthread_mutex_lock(&herald->lock);
    struct handler *handler = find(herald, id);
    int waits = !is_handlers_thread(herald);
    if (handler != NULL) {
        handler->is_ending = 1;
        handler->is_detached = 1;
        (void)pthread_cond_signal(&handler->more);
        if (waits) {
            sp__list_remove(&handler->on_handlers);
        }
    }
    (void)pthread_mutex_unlock(&herald->lock);
    if (handler == NULL) {
        return not_found(id, err);
    }
    if (waits) {
        (void)pthread_join(handler->thread, NULL);
        free_handler(handler);
    }
    return SP_OK;
}

void sp__handlers_close(struct herald *herald)
{
    (void)pthread_mutex_lock(&herald->lock);
    herald->last_ms = sp__now_ms() + CLOSE_MS;
    atomic_store(&herald->is_closing, 1);
    for (struct link *link = herald->handlers.first; link != NULL; link = link->next) {
        struct handler *handler = ITEM(link, struct handler, on_handlers);
        handler->tap.is_awaited &= !sp__tap_is_due(herald, &handler->tap);
        (void)pthread_cond_signal(&handler->more);
    }
    struct link *link;
    while ((link = herald->handlers.first) != NULL) {
        struct handler *handler = ITEM(link, struct handler, on_handlers);
        sp__list_remove(link);
        (void)pthread_mutex_unlock(&herald->lock);
        (void)pthread_join(handler->thread, NULL);
        free_handler(handler);
        (void)pthread_mutex_lock(&herald->lock);
    }
    (void)pthread_mutex_unlock(&herald->lock);
}

/* ---- attaching ---- */

static int start(struct handler *handler, sp_error *err)
{
    struct herald *herald = handler->herald;
    /* Its list first: the thread may look for itself there. */
    (void)pthread_mutex_lock(&herald->lock);
    handler->id = ++herald->next_id;
    int os_errno = sp__thread_start(&handler->thread, NULL, run, handler);
    if (os_errno == 0) {
        sp__list_append(&herald->handlers, &handler->on_handlers);
    }
    (void)pthread_mutex_unlock(&herald->lock);
    return os_errno == 0 ? SP_OK
                         : sp__fail_errno(err, os_errno,
                                          "start a thread for a handler of events");
}

int sp__handler_attach(struct herald *herald, const char *pattern, sp_event_cb cb,
                       void *user_data, uint64_t *ret_id, sp_error *err)
{
    join_through(herald);
    struct handler *handler = sp__calloc(1, sizeof *handler);
    if (handler == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a handler of events");
    }
    handler->herald = herald;
    handler->cb = cb;
    handler->user_data = user_data;
    handler->tap.on_more = on_more;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&handler->more, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    int rc = sp__tap_open(herald, &handler->tap, pattern, TAP_FROM_NOW, err);
    if (rc < 0) {
        free_handler(handler);
        return rc;
    }
    rc = start(handler, err);
    if (rc < 0) {
        sp__tap_close(herald, &handler->tap);
        free_handler(handler);
        return rc;
    }
    if (ret_id != NULL) {
        *ret_id = handler->id;
    }
    return SP_OK;
}

/* ---- asking ---- */

int sp__handler_stats(struct herald *herald, uint64_t id, uint64_t *ret_delivered,
                      uint64_t *ret_dropped, sp_error *err)
{
    (void)pthread_mutex_lock(&herald->lock);
    struct handler *handler = id == 0 ? NULL : find(herald, id);
    if (handler != NULL) {
        *ret_delivered = handler->tap.delivered;
        *ret_dropped = handler->tap.dropped;
    } else if (id == 0) {
        *ret_delivered = herald->delivered;
        *ret_dropped = herald->dropped;
        for (struct link *link = herald->taps.first; link != NULL; link = link->next) {
            *ret_delivered += ITEM(link, struct tap, on_herald)->delivered;
            *ret_dropped += ITEM(link, struct tap, on_herald)->dropped;
        }
    }
    (void)pthread_mutex_unlock(&herald->lock);
    return handler != NULL || id == 0 ? SP_OK : not_found(id, err);
}
