/* SPDX-License-Identifier: MIT */
/*
 * The end of a turn of the loop: everything that the turn has brought about leaves it, in
 * one write for each connection and one wake-up for each sleeper.
 */
#include "pit/pit_internal.h"

static void wake_takers(struct sp_pit *pit)
{
    struct link *link;
    while ((link = sp__list_pop(&pit->to_wake)) != NULL) {
        struct request *request = ITEM(link, struct request, on_wake);
        int ended = request->state == REQUEST_ENDED;
        if (request->streaming) {
            sp__latch_open(&request->mailbox.ready);
        }
        if (ended) {
            sp__latch_open(&request->done);
            sp__request_drop(request);
        }
    }
}

/* Takers on the loop hear of it before the channels are written, theirs among them. */
static void tell_takers(struct sp_pit *pit)
{
    struct link *link;
    while ((link = sp__list_pop(&pit->to_tell)) != NULL) {
        struct request *request = ITEM(link, struct request, on_wake);
        int ended = request->state == REQUEST_ENDED;
        request->loop_cb(request, ended);
        if (ended) {
            sp__request_drop(request);
        }
    }
    for (link = pit->servers.first; link != NULL; link = link->next) {
        struct pit_server *server = ITEM(link, struct pit_server, on_pit);
        server->on_turn(server);
    }
}

static int is_drained(const struct sp_pit *pit)
{
    if (!pit->draining || pit->requests.length > 0) {
        return 0;
    }
    for (const struct link *link = pit->servers.first; link != NULL;
         link = link->next) {
        const struct pit_server *server = ITEM(link, struct pit_server, on_pit);
        if (!server->is_quiet(server)) {
            return 0;
        }
    }
    return 1;
}

static void turn_ended(void *user)
{
    struct sp_pit *pit = user;
    sp__calls_go_on(pit);
    /* First the workers, so that they run while callers are being woken. */
    do {
        tell_takers(pit);
        sp__channels_flush(&pit->shop.channels);
    } while (pit->to_tell.length > 0);
    if (pit->guard_watch != NULL) {
        sp__watch_set(pit->guard_watch,
                      WATCH_READ |
                          (sp__guard_wants_write(pit->shop.guard) ? WATCH_WRITE : 0));
    }
    wake_takers(pit);
    pit->published = pit->dispatch.turn.length > 0;
    sp__dispatch_publish(&pit->dispatch);
    if (is_drained(pit)) {
        sp__latch_open(&pit->drained);
    }
}

/* The only one who sleeps has nothing to do but wait, and could do the loop's work. It
 * would have from the start, had it come when the loop was at rest; when each of its calls
 * comes a little too early it never is. */
static struct request *next_driver(struct sp_pit *pit)
{
    struct list *takers = &pit->dispatch.work.takers;
    if (pit->sleepers != 1 || takers->length != 1) {
        return NULL;
    }
    struct request *request = ITEM(takers->first, struct request, on_takers);
    return request->drives ? request : NULL;
}

/* Not while somebody relies on the loop being driven: a sleeping taker, a server's
 * strangers. A dispatcher comes by itself, when there is something for it. */
static int may_rest(void *user, enum loop_rest occasion)
{
    struct sp_pit *pit = user;
    if (pit->servers.length > 0 || pit->ready_waiters.length > 0 || pit->closing ||
        pit->draining) {
        return 0;
    }
    if (pit->sleepers > 0) {
        struct request *request = next_driver(pit);
        return occasion == REST_BETWEEN_TURNS && request != NULL &&
               sp__latch_is_rested_at(&request->done);
    }
    return pit->requests.length == 0 || occasion == REST_BETWEEN_DISPATCHES ||
           (occasion == REST_BETWEEN_TURNS && pit->published);
}

static int on_rest(void *user)
{
    struct sp_pit *pit = user;
    if (pit->sleepers == 0) {
        return 1; /* who comes next borrows it */
    }
    struct request *request = next_driver(pit);
    return request != NULL && sp__latch_nudge(&request->done);
}

const struct loop_events sp__turn_events = {
    .on_turn_end = turn_ended, .may_rest = may_rest, .on_rest = on_rest};
