/* SPDX-License-Identifier: MIT */
/*
 * The end of a turn of a lane's loop: everything that the turn has brought about leaves it,
 * in one write for each connection and one wake-up for each processor's sleepers.
 */
#include "base/error.h"
#include "pit/pit_internal.h"

enum { LATE_MS = 2, LONE_TURNS = 16 };

static void wake_takers(struct lane *lane)
{
    if (lane->to_wake.length == 0) {
        return;
    }
    struct unparking unparking = {0};
    struct link *link;
    while ((link = sp__list_pop(&lane->to_wake)) != NULL) {
        struct request *request = ITEM(link, struct request, on_wake);
        int ended = request->state == REQUEST_ENDED;
        if (request->streaming) {
            sp__latch_open(&request->mailbox.ready);
        }
        if (ended) {
            sp__latch_open_with(&request->done, &unparking);
            sp__request_drop(request);
        }
    }
    sp__unparking_end(&unparking);
    if (unparking.any_left && !sp__timer_is_set(&lane->late)) {
        sp__timer_set(lane->loop, &lane->late, sp__loop_now_ms(lane->loop) + LATE_MS);
    }
}

/* Takers are woken by each other, which one of them may be kept from: a debugger has
 * stopped it, or more urgent threads have all processors. */
static void unpark_late(struct timer *timer, uint64_t now_ms)
{
    sp__unpark_left();
}

int sp__turn_init(struct lane *lane, sp_error *err)
{
    if (sp__timer_init(lane->loop, &lane->late, unpark_late) < 0) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a lane's timer");
    }
    return SP_OK;
}

/* On the taker's loop. What is told late may have been told before, with the end. */
static void run_tell(struct command *command, void *user)
{
    struct request *request = (struct request *)(void *)command;
    atomic_store_explicit(&request->tell_posted, 0, memory_order_seq_cst);
    int ended = atomic_load_explicit(&request->tell_end, memory_order_seq_cst);
    if (!request->end_told) {
        request->end_told = ended;
        request->loop_cb(request, ended);
    }
    sp__request_drop(request);
}

static void tell_far(struct request *request, int ended)
{
    if (ended) {
        atomic_store_explicit(&request->tell_end, 1, memory_order_seq_cst);
    }
    if (atomic_exchange_explicit(&request->tell_posted, 1, memory_order_seq_cst) == 0) {
        atomic_fetch_add_explicit(&request->references, 1, memory_order_relaxed);
        request->submit.run = run_tell;
        sp__loop_post(request->taker_lane->loop, &request->submit);
    }
}

/* Takers on the loop hear of it before the channels are written, theirs among them. */
static void tell_takers(struct lane *lane)
{
    struct link *link;
    while ((link = sp__list_pop(&lane->to_tell)) != NULL) {
        struct request *request = ITEM(link, struct request, on_wake);
        int ended = request->state == REQUEST_ENDED;
        if (request->taker_lane == NULL || request->taker_lane == lane) {
            request->loop_cb(request, ended);
        } else {
            tell_far(request, ended);
        }
        if (ended) {
            sp__request_drop(request);
        }
    }
    if (lane->number > 0) {
        return;
    }
    for (link = lane->pit->servers.first; link != NULL; link = link->next) {
        struct pit_server *server = ITEM(link, struct pit_server, on_pit);
        server->on_turn(server);
    }
}

static int is_quiet(const struct sp_pit *pit)
{
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
    struct lane *lane = user;
    struct sp_pit *pit = lane->pit;
    sp__calls_go_on(lane);
    /* First the workers, so that they run while callers are being woken. */
    do {
        tell_takers(lane);
        sp__channels_flush(&lane->shop.channels);
    } while (lane->to_tell.length > 0);
    wake_takers(lane);
    lane->lone_turns = lane->sleepers > 1 ? 0 : lane->lone_turns + 1;
    lane->published = lane->to_publish.length > 0;
    sp__dispatch_publish(&pit->dispatch, &lane->to_publish);
    if (lane->is_awaited && lane->requests.length == 0 &&
        (lane->number > 0 || is_quiet(pit))) {
        sp__latch_open(&pit->drained);
    }
}

/* The only one who sleeps has nothing to do but wait, and could do the loop's work. It
 * would have from the start, had it come when the loop was at rest; when each of its calls
 * comes a little too early it never is. */
static struct request *next_driver(struct lane *lane)
{
    const struct list *takers = &lane->takers;
    if (lane->sleepers != 1 || takers->length != 1) {
        return NULL;
    }
    struct request *request = ITEM(takers->first, struct request, on_takers);
    if (request->streaming && lane->requests.length > lane->away + 1) {
        return NULL; /* with each chunk that it went off with the loop would come back */
    }
    return request;
}

/* Callers that are several would hand the loop to each other all the time. */
static int is_crowded(const struct lane *lane)
{
    return lane->lone_turns < LONE_TURNS;
}

/* Not while somebody relies on the loop being driven: a sleeping taker, a server's
 * strangers. A dispatcher comes by itself, when there is something for it; but only to the
 * loop of a pit that has no other. */
static int may_rest(void *user, enum loop_rest occasion)
{
    struct lane *lane = user;
    const struct sp_pit *pit = lane->pit;
    if (lane->closing || lane->draining ||
        (lane->number == 0 &&
         (pit->servers.length > 0 || pit->ready_waiters.length > 0))) {
        return 0;
    }
    if (is_crowded(lane) && occasion != REST_BETWEEN_DISPATCHES) {
        return 0;
    }
    if (lane->sleepers > 0) {
        struct request *request = next_driver(lane);
        return occasion == REST_BETWEEN_TURNS && request != NULL &&
               sp__latch_is_rested_at(sp__request_latch(request));
    }
    if (lane->requests.length == lane->away) {
        return 1;
    }
    return pit->lanes_count == 1 &&
           (occasion == REST_BETWEEN_DISPATCHES ||
            (occasion == REST_BETWEEN_TURNS && lane->published));
}

static int on_rest(void *user)
{
    struct lane *lane = user;
    if (lane->sleepers == 0) {
        return 1; /* who comes next borrows it */
    }
    struct request *request = next_driver(lane);
    return request != NULL && sp__latch_nudge(sp__request_latch(request));
}

const struct loop_events sp__turn_events = {
    .on_turn_end = turn_ended, .may_rest = may_rest, .on_rest = on_rest};
