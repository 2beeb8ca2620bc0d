/* SPDX-License-Identifier: MIT */
/*
 * The rules of the core's own lists and numbers between two steps, and that they agree
 * with the book.
 */
#include <stdlib.h>

#include "pool/core_internal.h"
#include "rules.h"
#include "snakepit/pool.h"

static void check_queue(struct rules *rules, const struct core *core)
{
    uint32_t length = 0;
    uint32_t bound = 0;
    uint32_t before = CORE_NONE;
    for (uint32_t i = core->queue.first; i != CORE_NONE; i = core->calls[i].next) {
        const struct core_call *call = &core->calls[i];
        RULE(call->state == CALL_QUEUED && call->prev == before && i < core->calls_max,
             "the queue is a list of queued calls", "call %u", i);
        RULE(!call->bound || (call->preferred != CORE_NONE &&
                              core->seats[call->preferred].state == SEAT_READY),
             "who waits for a certain worker has one", "call %u", i);
        before = i;
        bound += call->bound;
        if (++length > core->calls_max || rules->broken != NULL) {
            break;
        }
    }
    RULE(core->queue.last == before && core->queue.length == length &&
             core->queue_bound == bound,
         "the queue's numbers are those of its calls",
         "%u calls, %u bound; told %u, %u", length, bound, core->queue.length,
         core->queue_bound);
    RULE(rules->fresh <= core->options.queue_max, "the queue has a limit",
         "%u calls wait, %u may", rules->fresh, core->options.queue_max);
}

static void check_calls(struct rules *rules, const struct core *core)
{
    uint32_t queued = 0;
    uint32_t open = 0;
    for (uint32_t i = 0; i < rules->calls_max; i++) {
        const struct core_call *call = &core->calls[i];
        const struct book_call *book = &rules->calls[i];
        int fits = book->state == BOOK_NO_CALL ? call->state == CALL_FREE
                   : book->state == BOOK_WAITING
                       ? call->state == CALL_QUEUED || call->state == CALL_RESTING
                       : call->state == CALL_SENT;
        RULE(fits, "the core and the book mean the same calls",
             "call %u is in state %u, in the book %u", i, call->state, book->state);
        RULE(book->state != BOOK_SENT ||
                 (call->seat == book->seat && call->attempts == book->attempts),
             "a sent call knows where it is", "call %u", i);
        queued += call->state == CALL_QUEUED;
        open += call->state != CALL_FREE;
    }
    RULE(queued == core->queue.length, "queued calls are in the queue", "%u, %u",
         queued, core->queue.length);
    uint32_t free_count = 0;
    for (uint32_t i = core->calls_free; i != CORE_NONE && free_count <= core->calls_max;
         i = core->calls[i].next) {
        free_count++;
    }
    RULE(free_count + open == core->calls_max, "every number is in use or free",
         "%u free, %u open of %u", free_count, open, core->calls_max);
}

static void check_list(struct rules *rules, const struct core *core,
                       const struct core_list *list, int on)
{
    uint32_t length = 0;
    uint32_t before = CORE_NONE;
    for (uint32_t i = list->first; i != CORE_NONE; i = core->seats[i].next) {
        RULE(i < core->seats_count && (int)core->seats[i].on == on &&
                 core->seats[i].prev == before,
             "the lists of seats are whole", "seat %u", i);
        before = i;
        if (++length > core->seats_count || rules->broken != NULL) {
            break;
        }
    }
    RULE(list->last == before && list->length == length, "the lists of seats are whole",
         "%u seats, told %u", length, list->length);
}

/* What the book's state allows the core to think. */
static int seat_fits(const struct book_seat *book, const struct core_seat *seat)
{
    switch ((enum book_seat_state)book->state) {
    case PLACE_EMPTY:
        return seat->state == SEAT_EMPTY || seat->state == SEAT_WAITING;
    case PLACE_STARTING:
        return seat->state == SEAT_STARTING;
    case PLACE_SERVING:
        return seat->state == SEAT_READY || seat->state == SEAT_DRAINING;
    case PLACE_LEAVING:
    case PLACE_STOPPED:
        return seat->state == SEAT_STOPPING;
    }
    return 0;
}

static void check_seat(struct rules *rules, const struct core *core, uint32_t at)
{
    const struct core_seat *seat = &core->seats[at];
    const struct book_seat *book = &rules->seats[at];
    int on = seat->state != SEAT_READY ? SEAT_OFF
             : seat->in_flight == 0    ? SEAT_ON_IDLE
                                       : SEAT_ON_BUSY;
    RULE(seat_fits(book, seat), "the core and the book mean the same seats",
         "seat %u is in state %d, in the book %d", at, seat->state, book->state);
    RULE((int)seat->on == on, "a seat is on the list of its state",
         "seat %u with %u calls is on %d", at, seat->in_flight, (int)seat->on);
    RULE(seat->in_flight == book->in_flight && seat->estimate_us == book->estimate_us,
         "a seat counts its calls", "seat %u: %u calls, %u are there", at,
         seat->in_flight, book->in_flight);
    RULE(seat->state != SEAT_DRAINING || seat->in_flight > 0,
         "who has drained is stopped", "seat %u", at);
    if (seat->replaces != CORE_NONE) {
        RULE(core->seats[seat->replaces].relief == at &&
                 (seat->state == SEAT_WAITING || seat->state == SEAT_STARTING ||
                  seat->state == SEAT_STOPPING),
             "a relief and its worker know each other", "seat %u", at);
    }
}

/* No seat is lost to the pool, and none is added, whatever is replaced or dies. */
static void check_workers(struct rules *rules, const struct core *core)
{
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < core->seats_count; i++) {
        const struct core_seat *seat = &core->seats[i];
        int relieved =
            seat->relief != CORE_NONE && core->seats[seat->relief].replaces != i;
        wanted += seat->state != SEAT_EMPTY && seat->replaces == CORE_NONE && !relieved;
    }
    RULE(!core->started || core->closing || wanted == core->options.workers,
         "a pool has as many workers as it wants", "%u instead of %u", wanted,
         core->options.workers);
}

static void check_seats(struct rules *rules, const struct core *core)
{
    uint32_t states[6] = {0};
    for (uint32_t i = 0; i < core->seats_count; i++) {
        check_seat(rules, core, i);
        states[core->seats[i].state]++;
    }
    for (int i = 0; i < 6; i++) {
        RULE(states[i] == core->states[i], "seats are counted by state",
             "%u in state %d, told %u", states[i], i, core->states[i]);
    }
    RULE(core->breaker != BREAKER_CLOSED ||
             core->states[SEAT_STARTING] <= core->options.startup_batch,
         "few workers start at once", "%u, %u may", core->states[SEAT_STARTING],
         core->options.startup_batch);
    check_list(rules, core, &core->idle, SEAT_ON_IDLE);
    check_list(rules, core, &core->busy, SEAT_ON_BUSY);
    check_workers(rules, core);
}

/* Replacing takes no worker away before another one is there. */
static void check_dip(struct rules *rules, const struct core *core)
{
    uint32_t taken = 0;
    uint32_t came = 0;
    uint32_t were = 0;
    for (uint32_t i = 0; i < core->seats_count; i++) {
        const struct core_seat *seat = &core->seats[i];
        int was_ready = rules->seats[i].was == SEAT_READY;
        int told =
            seat->state == SEAT_DRAINING ||
            (seat->state == SEAT_STOPPING && rules->seats[i].state == PLACE_STOPPED);
        were += was_ready;
        taken += was_ready && told && !seat->spent;
        came += rules->seats[i].was == SEAT_STARTING && seat->state == SEAT_READY;
    }
    if (core->closing) {
        return;
    }
    if (core->options.surge > 0) {
        RULE(taken <= came, "a relief is ready before the old worker goes",
             "%u went, %u came", taken, came);
    } else {
        RULE(taken <= 1 && (taken == 0 || were + came == core->options.workers),
             "without a spare seat one goes at a time", "%u went of %u", taken, were);
    }
}

/* Nobody waits at the front while there is a worker with nothing to do for it. */
static void check_work(struct rules *rules, const struct core *core)
{
    uint32_t at = core->queue.first;
    while (at != CORE_NONE && core->calls[at].bound) {
        at = core->calls[at].next;
    }
    for (uint32_t i = 0; at != CORE_NONE && i < core->seats_count; i++) {
        const struct core_seat *seat = &core->seats[i];
        RULE(seat->state != SEAT_READY || seat->stuck || seat->spent ||
                 seat->in_flight >= seat->capacity,
             "no call waits for a free worker", "call %u, seat %u", at, i);
    }
}

/* A seat of which nothing becomes free before somebody in the queue has had a place. */
static int is_shut(const struct core *core, uint32_t at, uint32_t held)
{
    const struct core_seat *seat = &core->seats[at];
    uint32_t running =
        seat->in_flight < seat->capacity ? seat->in_flight : seat->capacity;
    if (seat->state == SEAT_EMPTY) {
        return 1;
    }
    return (seat->state == SEAT_READY || seat->state == SEAT_DRAINING) &&
           !seat->stuck && !seat->spent && running > 0 && held >= running;
}

/* Who waits for a call it has asked for keeps its place: there must be another one. */
static void check_nesting(struct rules *rules, const struct core *core)
{
    int nested = 0;
    int all_shut = 1;
    for (uint32_t i = core->queue.first; i != CORE_NONE; i = core->calls[i].next) {
        nested = nested || (core->calls[i].nested && !core->calls[i].bound);
    }
    for (uint32_t at = 0; at < core->seats_count; at++) {
        uint32_t held = 0;
        for (uint32_t i = 0; i < core->calls_max; i++) {
            const struct core_call *call = &core->calls[i];
            int is_held = 0;
            for (uint32_t k = core->queue.first; k != CORE_NONE;
                 k = core->calls[k].next) {
                for (uint32_t a = 0; a < core->calls[k].ancestors_count; a++) {
                    is_held = is_held || core->calls[k].ancestors[a] == i;
                }
            }
            RULE(!is_held || call->state == CALL_SENT, "who waits for a call runs",
                 "call %u is in state %d", i, call->state);
            held += is_held && call->seat == at;
        }
        RULE(core->seats[at].held == held, "a seat counts those who wait for the queue",
             "seat %u: %u, there are %u", at, core->seats[at].held, held);
        all_shut = all_shut && is_shut(core, at, held);
    }
    RULE(!nested || !all_shut, "nobody waits for itself", "%u calls wait",
         core->queue.length);
}

/* Waiting for nothing: no worker is ready, and none is started for a while. */
static void check_hope(struct rules *rules, const struct core *core)
{
    uint32_t alive = core->states[SEAT_STARTING] + core->states[SEAT_READY] +
                     core->states[SEAT_DRAINING] + core->states[SEAT_STOPPING];
    RULE(!core->hopeless || alive > 0 || core->queue.length == 0,
         "a hopeless pool keeps nobody waiting", "%u calls wait", core->queue.length);
    RULE(core->breaker == BREAKER_CLOSED || core->states[SEAT_READY] > 0 ||
             core->queue.length == 0,
         "an open breaker keeps nobody waiting", "%u calls wait", core->queue.length);
}

static void check_numbers(struct rules *rules, const struct core *core)
{
    int probing = core->breaker == BREAKER_PROBING;
    /* In a closed pool the breaker means nothing any more. */
    RULE(core->closing || core->breaker == rules->breaker,
         "the breaker tells its state", "%d, told %d", (int)core->breaker,
         (int)rules->breaker);
    RULE(core->closing || probing == (core->probe != CORE_NONE),
         "a probe is known while it is one", "seat %u", core->probe);
    RULE(!probing || core->closing || core->seats[core->probe].state == SEAT_STARTING ||
             core->seats[core->probe].state == SEAT_READY ||
             core->seats[core->probe].state == SEAT_DRAINING ||
             core->seats[core->probe].state == SEAT_STOPPING,
         "a probe has a process", "seat %u", core->probe);
    RULE(core->tokens_tenths <= core->options.retry_tokens_max * 10,
         "the budget for repetitions has a limit", "%u tenths", core->tokens_tenths);
    RULE(core->poison_count <= CORE_FINGERPRINTS, "few fingerprints are kept", "%u",
         core->poison_count);
}

static void check_closed(struct rules *rules, const struct core *core)
{
    if (!core->closing) {
        return;
    }
    RULE(core->states[SEAT_WAITING] + core->states[SEAT_STARTING] +
                 core->states[SEAT_READY] + core->states[SEAT_DRAINING] ==
             0,
         "closing stops every worker", "%u still ready", core->states[SEAT_READY]);
    RULE(core->queue.length == 0, "closing ends every call", "%u wait",
         core->queue.length);
    RULE(rules->left == (core->states[SEAT_EMPTY] == core->seats_count),
         "a closed pool leaves with its last worker", "left %d", rules->left);
}

/* The next moment is never later than what is to be done then, and never now: that would
 * be a loop without a pause. */
static void check_plan(struct rules *rules, const struct core *core,
                       const struct core_event *event, uint64_t now_ms)
{
    struct core copy = *core;
    sp__core_plan(&copy, now_ms);
    RULE(core->next_due_ms <= copy.next_due_ms, "no moment is missed",
         "the next is %lld ms later than it should be",
         (long long)(core->next_due_ms - copy.next_due_ms));
    RULE(event->kind != CORE_TICK || core->next_due_ms > now_ms,
         "time goes on after a tick", "the next is %llu, now is %llu",
         (unsigned long long)core->next_due_ms, (unsigned long long)now_ms);
}

void rules_check_state(struct rules *rules, const struct core *core,
                       const struct core_event *event, uint64_t now_ms)
{
    if (rules->broken != NULL) {
        return;
    }
    check_queue(rules, core);
    check_calls(rules, core);
    check_seats(rules, core);
    check_dip(rules, core);
    check_work(rules, core);
    check_nesting(rules, core);
    check_hope(rules, core);
    check_numbers(rules, core);
    check_closed(rules, core);
    check_plan(rules, core, event, now_ms);
}
