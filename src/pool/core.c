/* SPDX-License-Identifier: MIT */
/*
 * The pool's decisions about calls: where each goes, how it ends, whether it is tried
 * again. Those about workers are in core_seats.c; which calls are poison, in core_poison.c.
 *
 * Normal course: a submitted call goes to a seat at once when one has room (schedule.h
 * says what room is), else to the end of the queue; a seat that gets room pulls from the
 * front. Its answer ends it.
 *
 * Failure: a call that had not begun when its worker was lost goes back to the front of
 * the queue. One that may have run is tried again only when it is idempotent, nothing of
 * its stream has been seen, the pool's budget for repetitions allows it, and it has not
 * ended too many workers: such a call is poison, and for a while so are calls that look
 * like it. What an earlier attempt may have executed stays with the call to its end.
 */
#include "pool/core.h"

#include <string.h>

#include "base/mem.h"
#include "pool/core_internal.h"
#include "pool/schedule.h"
#include "snakepit/error.h"
#include "snakepit/pool.h"

enum {
    TOKEN = 10,          /* a repetition, in tenths of a token */
    RETRY_PAUSE_MS = 50, /* the longest before the second attempt; doubles */
    RETRY_DOUBLINGS_MAX = 6
};

/* ---- memory ---- */

static int grow_actions(struct core *core, uint32_t calls_max)
{
    uint32_t wanted = 3 * calls_max + 5 * core->seats_count + 16;
    struct core_action *grown =
        sp__realloc(core->actions, wanted * sizeof *core->actions);
    if (grown == NULL) {
        return SP_ERR_NOMEM;
    }
    core->actions = grown;
    core->actions_max = wanted;
    return SP_OK;
}

int sp__core_init(struct core *core, const struct core_options *options)
{
    *core = (struct core){
        .options = *options,
        .seats_count = options->workers + options->surge,
        .calls_free = CORE_NONE,
        .queue = {CORE_NONE, CORE_NONE, 0},
        .idle = {CORE_NONE, CORE_NONE, 0},
        .busy = {CORE_NONE, CORE_NONE, 0},
        .filling = CORE_NONE,
        .probe = CORE_NONE,
        .batch_left = options->startup_batch,
        .batch_ms = CORE_NEVER,
        .tokens_tenths = options->retry_tokens_max * TOKEN,
        .random = options->seed | 1,
        .next_due_ms = CORE_NEVER,
    };
    if (core->options.affinity == SP_AFFINITY_DEFAULT) {
        core->options.affinity = SP_AFFINITY_HINT;
    }
    core->seats = sp__calloc(core->seats_count, sizeof *core->seats);
    core->crashes_ms = sp__calloc(options->crashes_max + 1, sizeof *core->crashes_ms);
    if (core->seats == NULL || core->crashes_ms == NULL || grow_actions(core, 0) < 0) {
        sp__core_fini(core);
        return SP_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < core->seats_count; i++) {
        core->seats[i] = (struct core_seat){.next = CORE_NONE,
                                            .prev = CORE_NONE,
                                            .replaces = CORE_NONE,
                                            .relief = CORE_NONE,
                                            .due_ms = CORE_NEVER,
                                            .recycle_ms = CORE_NEVER};
    }
    core->states[SEAT_EMPTY] = core->seats_count;
    return SP_OK;
}

void sp__core_fini(struct core *core)
{
    sp__free(core->seats);
    sp__free(core->calls);
    sp__free(core->crashes_ms);
    sp__free(core->actions);
    *core = (struct core){0};
}

static int grow_calls(struct core *core)
{
    uint32_t max = core->calls_max == 0 ? 16 : 2 * core->calls_max;
    struct core_call *grown = sp__realloc(core->calls, max * sizeof *grown);
    if (grown == NULL) {
        return SP_ERR_NOMEM;
    }
    core->calls = grown;
    if (grow_actions(core, max) < 0) {
        return SP_ERR_NOMEM;
    }
    for (uint32_t i = max; i > core->calls_max; i--) {
        sp__core_call_drop(core, i - 1);
    }
    core->calls_max = max;
    return SP_OK;
}

uint32_t sp__core_call_new(struct core *core)
{
    if (core->calls_free == CORE_NONE && grow_calls(core) < 0) {
        return CORE_NONE;
    }
    uint32_t call = core->calls_free;
    core->calls_free = core->calls[call].next;
    struct core_call *fresh = &core->calls[call];
    memset(fresh, 0, offsetof(struct core_call, ancestors));
    fresh->seat = CORE_NONE;
    fresh->preferred = CORE_NONE;
    fresh->affinity = (uint8_t)core->options.affinity;
    fresh->next = CORE_NONE;
    fresh->prev = CORE_NONE;
    return call;
}

void sp__core_call_drop(struct core *core, uint32_t call)
{
    core->calls[call].state = CALL_FREE;
    core->calls[call].next = core->calls_free;
    core->calls_free = call;
}

uint64_t sp__core_random(struct core *core, uint64_t below)
{
    uint64_t x = core->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    core->random = x;
    return below == 0 ? 0 : (x >> 11) % below;
}

/* ---- the queue ---- */

static void queue_add(struct core *core, uint32_t at, int at_front)
{
    struct core_list *queue = &core->queue;
    struct core_call *call = &core->calls[at];
    call->next = at_front ? queue->first : CORE_NONE;
    call->prev = at_front ? CORE_NONE : queue->last;
    if (call->next != CORE_NONE) {
        core->calls[call->next].prev = at;
    } else {
        queue->last = at;
    }
    if (call->prev != CORE_NONE) {
        core->calls[call->prev].next = at;
    } else {
        queue->first = at;
    }
    queue->length++;
    core->queue_bound += call->bound;
    call->state = CALL_QUEUED;
    sp__core_nest_queued(core, at);
}

static void queue_remove(struct core *core, uint32_t at)
{
    struct core_list *queue = &core->queue;
    struct core_call *call = &core->calls[at];
    if (call->next != CORE_NONE) {
        core->calls[call->next].prev = call->prev;
    } else {
        queue->last = call->prev;
    }
    if (call->prev != CORE_NONE) {
        core->calls[call->prev].next = call->next;
    } else {
        queue->first = call->next;
    }
    call->next = CORE_NONE;
    call->prev = CORE_NONE;
    queue->length--;
    core->queue_bound -= call->bound;
    sp__core_nest_unqueued(core, at);
}

/* ---- ending ---- */

static void widen(struct core_call *call, int executed)
{
    call->executed = executed > call->executed ? (uint8_t)executed : call->executed;
}

/* The one ending; the number is free afterwards. It is off its seat. */
static void end_call(struct core *core, uint32_t at, enum core_ending ending)
{
    struct core_call *call = &core->calls[at];
    assert(call->state != CALL_FREE);
    if (call->state == CALL_QUEUED) {
        queue_remove(core, at);
    }
    struct core_action *action = sp__core_do(core, CORE_DO_END);
    action->call = at;
    action->what = ending;
    action->executed = call->executed;
    sp__core_call_drop(core, at);
}

void sp__core_end_queue(struct core *core, enum core_ending ending)
{
    while (core->queue.first != CORE_NONE) {
        end_call(core, core->queue.first, ending);
    }
    for (uint32_t i = 0; i < core->calls_max; i++) {
        if (core->calls[i].state == CALL_RESTING) {
            end_call(core, i, ending);
        }
    }
}

void sp__core_end_all(struct core *core)
{
    sp__core_end_queue(core, ENDING_CLOSED);
    for (uint32_t i = 0; i < core->calls_max; i++) {
        struct core_call *call = &core->calls[i];
        if (call->state == CALL_SENT) {
            core->seats[call->seat].in_flight--;
            core->seats[call->seat].estimate_us -= call->estimate_us;
            end_call(core, i, ENDING_CLOSED);
        }
    }
}

/* ---- which seat ---- */

/* As it is thought now: a call that has waited was thought of when it came, and may have
 * come in a bad moment. */
static uint32_t estimate_of(const struct core_call *call)
{
    return call->average_us == NULL || *call->average_us == 0 ? SCHED_UNKNOWN_US
                                                              : *call->average_us;
}

static int has_room(const struct core *core, uint32_t seat,
                    const struct core_call *call)
{
    const struct core_seat *s = &core->seats[seat];
    struct sched_worker view = {.in_flight = s->in_flight,
                                .capacity = s->capacity,
                                .estimate_us = s->estimate_us,
                                .stuck = s->stuck || s->spent};
    /* Behind others a nested call might wait for its own ancestor. */
    return s->state == SEAT_READY && (!call->nested || s->in_flight < s->capacity) &&
           sp__sched_has_room(&view, estimate_of(call), core->options.pipeline_max);
}

static void send(struct core *core, uint32_t at, uint32_t seat)
{
    struct core_call *call = &core->calls[at];
    struct core_seat *s = &core->seats[seat];
    if (call->state == CALL_QUEUED) {
        queue_remove(core, at);
    }
    call->state = CALL_SENT;
    call->bound = 0;
    call->seat = seat;
    call->generation = s->generation;
    call->attempts++;
    s->in_flight++;
    call->estimate_us = estimate_of(call);
    s->estimate_us += call->estimate_us;
    core->filling = seat;
    if (s->in_flight == 1) {
        sp__core_seat_home(core, seat);
    }
    if (s->capacity > 1 && s->in_flight == s->capacity && !s->told_full) {
        s->told_full = 1;
        sp__core_tell(core, NEWS_CAPACITY, seat, s->capacity);
    }
    struct core_action *action = sp__core_do(core, CORE_DO_SEND);
    action->call = at;
    action->seat = seat;
    action->due_ms = call->deadline_ms;
}

/* Was this call there before, and did it fail there? */
static int was_at(const struct core *core, const struct core_call *call, uint32_t seat)
{
    return call->seat == seat && call->generation == core->seats[seat].generation;
}

/* An idle one with room: the last used first (its memory is warm); one that crashed
 * lately, or that the call comes from, only when there is no other. */
static uint32_t find_idle(const struct core *core, const struct core_call *call,
                          uint64_t now_ms)
{
    uint32_t second = CORE_NONE;
    for (uint32_t i = core->idle.last; i != CORE_NONE; i = core->seats[i].prev) {
        if (!has_room(core, i, call)) {
            continue;
        }
        if (core->seats[i].suspect_ms <= now_ms && !was_at(core, call, i)) {
            return i;
        }
        second = second == CORE_NONE ? i : second;
    }
    return second;
}

/* The busy one that will be free first. */
static uint32_t find_busy(const struct core *core, const struct core_call *call)
{
    uint32_t best = CORE_NONE;
    struct sched_worker best_view = {0};
    for (uint32_t i = core->busy.first; i != CORE_NONE; i = core->seats[i].next) {
        const struct core_seat *s = &core->seats[i];
        struct sched_worker view = {.in_flight = s->in_flight,
                                    .estimate_us = s->estimate_us};
        if (has_room(core, i, call) &&
            (best == CORE_NONE || sp__sched_is_better(&view, &best_view))) {
            best = i;
            best_view = view;
        }
    }
    return best;
}

static uint32_t find_seat(const struct core *core, const struct core_call *call,
                          uint64_t now_ms)
{
    if (call->affinity == SP_AFFINITY_HINT && call->preferred != CORE_NONE) {
        const struct core_seat *s = &core->seats[call->preferred];
        if (s->generation == call->preferred_generation && s->in_flight == 0 &&
            has_room(core, call->preferred, call)) {
            return call->preferred;
        }
    }
    uint32_t filling = core->filling;
    if (filling != CORE_NONE &&
        sp__sched_fills(core->seats[filling].estimate_us, estimate_of(call)) &&
        core->seats[filling].in_flight > 0 && has_room(core, filling, call)) {
        return filling;
    }
    uint32_t seat = find_idle(core, call, now_ms);
    return seat != CORE_NONE ? seat : find_busy(core, call);
}

/* ---- strict affinity ---- */

static int is_strict(const struct core_call *call)
{
    return call->preferred != CORE_NONE && call->affinity >= SP_AFFINITY_STRICT_QUEUE;
}

/* The session's own worker still takes calls. */
static int is_there(const struct core *core, const struct core_call *call)
{
    const struct core_seat *s = &core->seats[call->preferred];
    return s->generation == call->preferred_generation && s->state == SEAT_READY &&
           !s->spent;
}

enum placing { PLACED, MUST_WAIT };

static enum placing place_bound(struct core *core, uint32_t at)
{
    struct core_call *call = &core->calls[at];
    int fails_fast = call->affinity == SP_AFFINITY_STRICT_FAIL_FAST;
    if (has_room(core, call->preferred, call)) {
        send(core, at, call->preferred);
        return PLACED;
    }
    if (fails_fast) {
        end_call(core, at, ENDING_WORKER_BUSY);
        return PLACED;
    }
    call->bound = 1;
    return MUST_WAIT;
}

/* Nested calls that wait in other parts come before those that nobody asked for. */
static int yields_to_others(struct core *core, const struct core_call *call)
{
    if (!core->yields || call->nested || call->bound) {
        return 0;
    }
    core->held_back = 1;
    return 1;
}

static enum placing place(struct core *core, uint32_t at, uint64_t now_ms)
{
    struct core_call *call = &core->calls[at];
    if (call->deadline_ms <= now_ms) {
        end_call(core, at, ENDING_TIMEOUT);
        return PLACED;
    }
    if (is_strict(call)) {
        if (is_there(core, call)) {
            return place_bound(core, at);
        }
        /* What the session had there is gone, also when another one takes the place. */
        end_call(core, at, ENDING_WORKER_GONE);
        return PLACED;
    }
    /* Nobody overtakes those who wait for any worker; but some of a part's may be held
     * back. */
    int may_pass = core->options.parts > 0 && call->nested;
    if (core->queue.length != core->queue_bound && !may_pass) {
        return MUST_WAIT;
    }
    if (yields_to_others(core, call)) {
        return MUST_WAIT;
    }
    uint32_t seat = find_seat(core, call, now_ms);
    if (seat == CORE_NONE) {
        return MUST_WAIT;
    }
    send(core, at, seat);
    return PLACED;
}

void sp__core_pull(struct core *core, uint32_t seat, uint64_t now_ms)
{
    uint32_t at = core->queue.first;
    while (at != CORE_NONE && core->seats[seat].state == SEAT_READY) {
        struct core_call *call = &core->calls[at];
        uint32_t next = call->next;
        if ((call->bound && call->preferred != seat) || yields_to_others(core, call)) {
            at = next;
            continue;
        }
        if (call->deadline_ms <= now_ms) {
            end_call(core, at, ENDING_TIMEOUT); /* its timer is about to say so */
            at = next;
            continue;
        }
        if (!has_room(core, seat, call)) {
            break;
        }
        send(core, at, seat);
        at = next;
    }
}

void sp__core_end_bound(struct core *core, uint32_t seat)
{
    uint32_t at = core->queue.first;
    while (at != CORE_NONE) {
        const struct core_call *call = &core->calls[at];
        uint32_t next = call->next;
        if (call->bound && call->preferred == seat) {
            end_call(core, at, ENDING_WORKER_GONE);
        }
        at = next;
    }
}

/* ---- events ---- */

static void wait(struct core *core, uint32_t at, uint64_t due_ms)
{
    struct core_action *action = sp__core_do(core, CORE_DO_WAIT);
    action->call = at;
    action->due_ms = due_ms;
}

static int nobody(const struct core *core)
{
    return core->states[SEAT_STARTING] + core->states[SEAT_READY] +
               core->states[SEAT_DRAINING] + core->states[SEAT_STOPPING] ==
           0;
}

static void submit(struct core *core, uint32_t at, uint64_t now_ms)
{
    struct core_call *call = &core->calls[at];
    call->state = CALL_RESTING; /* it is somewhere, if it ends here */
    sp__core_nest_submitted(core, at);
    if (core->closing) {
        end_call(core, at, ENDING_CLOSED);
        return;
    }
    if (nobody(core) && !core->others_ready &&
        (core->hopeless ||
         (core->start_failed && !core->was_ready && core->breaker == BREAKER_CLOSED))) {
        end_call(core, at, ENDING_START_FAILED);
        return;
    }
    if (core->breaker != BREAKER_CLOSED && core->states[SEAT_READY] == 0 &&
        !core->others_ready) {
        end_call(core, at, ENDING_BREAKER);
        return;
    }
    if (core->poison_count > 0 && sp__core_is_poison(core, call, now_ms)) {
        end_call(core, at, ENDING_POISON);
        return;
    }
    if (place(core, at, now_ms) == PLACED) {
        return;
    }
    if (core->queue.length >= core->options.queue_max) {
        sp__core_tell(core, NEWS_SATURATED, CORE_NONE, core->queue.length);
        end_call(core, at, ENDING_QUEUE_FULL);
        return;
    }
    queue_add(core, at, call->nested);
    wait(core, at,
         call->queue_deadline_ms < call->deadline_ms ? call->queue_deadline_ms
                                                     : call->deadline_ms);
}

/* The call leaves its seat. */
static void release(struct core *core, struct core_call *call)
{
    struct core_seat *s = &core->seats[call->seat];
    sp__core_nest_released(core, (uint32_t)(call - core->calls));
    s->in_flight--;
    s->estimate_us -= call->estimate_us;
    s->told_full &= s->in_flight > s->capacity / 2;
    sp__core_seat_home(core, call->seat);
}

static void give_up(struct core *core, const struct core_event *event,
                    enum core_ending ending, uint64_t now_ms)
{
    struct core_call *call = &core->calls[event->call];
    uint32_t seat = call->state == CALL_SENT ? call->seat : CORE_NONE;
    if (seat != CORE_NONE) {
        widen(call, event->executed);
        core->seats[seat].stuck |= event->stuck != 0;
        release(core, call);
    }
    end_call(core, event->call, ending);
    if (seat != CORE_NONE) {
        sp__core_seat_served(core, seat, 0, now_ms);
    }
}

/* Back into the queue, in front of those who have not had their turn. */
static void put_back(struct core *core, uint32_t at, uint64_t now_ms)
{
    struct core_call *call = &core->calls[at];
    call->state = CALL_RESTING;
    if (place(core, at, now_ms) == PLACED) {
        return;
    }
    queue_add(core, at, 1);
    wait(core, at, call->deadline_ms);
}

static void call_due(struct core *core, const struct core_event *event, uint64_t now_ms)
{
    struct core_call *call = &core->calls[event->call];
    switch ((enum core_call_state)call->state) {
    case CALL_FREE:
        return; /* it ended in this very turn */
    case CALL_RESTING:
        if (now_ms < call->deadline_ms) {
            put_back(core, event->call, now_ms);
            return;
        }
        break;
    case CALL_QUEUED:
        if (now_ms < call->deadline_ms) {
            give_up(core, event, ENDING_QUEUE_TIMEOUT, now_ms);
            return;
        }
        break;
    case CALL_SENT:
        break;
    }
    give_up(core, event, ENDING_TIMEOUT, now_ms);
}

static void call_ok(struct core *core, uint32_t at, uint64_t now_ms)
{
    struct core_call *call = &core->calls[at];
    uint32_t seat = call->seat;
    assert(call->state == CALL_SENT);
    if (core->tokens_tenths < core->options.retry_tokens_max * TOKEN) {
        core->tokens_tenths++;
    }
    widen(call, SP_EXECUTED_YES);
    release(core, call);
    end_call(core, at, ENDING_OK);
    sp__core_seat_served(core, seat, 1, now_ms);
}

/* May a begun call be run once more? */
static int may_repeat(struct core *core, const struct core_call *call)
{
    if (!call->idempotent || (call->streaming && call->touched) ||
        core->tokens_tenths < TOKEN ||
        core->tokens_tenths <= core->options.retry_tokens_max * TOKEN / 2) {
        return 0;
    }
    core->tokens_tenths -= TOKEN;
    return 1;
}

/* Full jitter under a ceiling that doubles with each attempt. */
static void rest(struct core *core, uint32_t at, uint64_t now_ms)
{
    struct core_call *call = &core->calls[at];
    uint32_t doublings = call->attempts - 1 < RETRY_DOUBLINGS_MAX ? call->attempts - 1
                                                                  : RETRY_DOUBLINGS_MAX;
    uint64_t pause_ms =
        sp__core_random(core, ((uint64_t)RETRY_PAUSE_MS << doublings) + 1);
    uint64_t due_ms = now_ms + pause_ms;
    call->state = CALL_RESTING;
    struct core_action *action = sp__core_do(core, CORE_DO_TELL);
    action->what = NEWS_RETRY;
    action->call = at;
    action->due_ms = pause_ms;
    wait(core, at, due_ms < call->deadline_ms ? due_ms : call->deadline_ms);
}

static void call_failed(struct core *core, const struct core_event *event,
                        uint64_t now_ms)
{
    uint32_t at = event->call;
    struct core_call *call = &core->calls[at];
    uint32_t seat = call->seat;
    assert(call->state == CALL_SENT);
    widen(call, event->executed);
    release(core, call);
    if (event->blamed && event->executed != SP_EXECUTED_NO) {
        call->deaths++;
        sp__core_note_death(core, call, now_ms);
    }
    int may_try = event->lost && !core->closing;
    if (may_try && call->deaths >= core->options.poison_deaths) {
        sp__core_poisoned(core, seat, call->deaths);
        struct core_action *action = sp__core_do(core, CORE_DO_TELL);
        action->what = NEWS_POISON;
        action->call = at;
        end_call(core, at, ENDING_POISON);
    } else if (!may_try || call->attempts >= core->options.attempts_max) {
        end_call(core, at, ENDING_FAILED);
    } else if (event->executed == SP_EXECUTED_NO) {
        put_back(core, at, now_ms);
    } else if (may_repeat(core, call)) {
        rest(core, at, now_ms);
    } else {
        end_call(core, at, ENDING_FAILED);
    }
    sp__core_seat_served(core, seat, 0, now_ms);
}

/* Nobody waits for what will not come: no worker is left and none is started, or none
 * for a while. */
static void end_hopeless(struct core *core)
{
    if (core->queue.length == 0) {
        return;
    }
    if (core->hopeless && nobody(core) && !core->others_ready) {
        sp__core_end_queue(core, ENDING_START_FAILED);
    } else if (core->breaker != BREAKER_CLOSED && core->states[SEAT_READY] == 0 &&
               !core->others_ready) {
        sp__core_end_queue(core,
                           core->was_ready ? ENDING_BREAKER : ENDING_START_FAILED);
    }
}

/* Nor for what waits for it: who came last is in front, and its end may free others. */
static void end_stuck(struct core *core)
{
    uint32_t at = core->queue_nested == 0 ? CORE_NONE : core->queue.first;
    while (at != CORE_NONE) {
        uint32_t next = core->calls[at].next;
        if (sp__core_nest_is_stuck(core, at)) {
            end_call(core, at, ENDING_DEADLOCK);
        }
        at = next;
    }
}

/* The oldest first; those that came for one certain worker stay. */
static void surrender(struct core *core, uint64_t most)
{
    uint32_t at = core->queue.first;
    while (at != CORE_NONE && most > 0) {
        const struct core_call *call = &core->calls[at];
        uint32_t next = call->next;
        if (!call->bound) {
            uint8_t deaths = call->deaths;
            end_call(core, at, ENDING_ELSEWHERE);
            core->actions[core->actions_count - 1].due_ms = deaths;
            most--;
        }
        at = next;
    }
}

void sp__core_step(struct core *core, const struct core_event *event, uint64_t now_ms)
{
    core->actions_count = 0;
    switch (event->kind) {
    case CORE_SUBMIT:
        submit(core, event->call, now_ms);
        break;
    case CORE_CALL_DUE:
        call_due(core, event, now_ms);
        break;
    case CORE_CANCEL:
        if (core->calls[event->call].state != CALL_FREE) {
            give_up(core, event, ENDING_CANCELLED, now_ms);
        }
        break;
    case CORE_SURRENDER:
        surrender(core, event->value);
        break;
    case CORE_RESUME:
        for (uint32_t i = 0; i < core->seats_count; i++) {
            sp__core_pull(core, i, now_ms);
        }
        break;
    case CORE_ASKS:
        sp__core_nest_asks(core, event->call);
        break;
    case CORE_DEADLOCK:
        if (core->calls[event->call].state == CALL_QUEUED) {
            end_call(core, event->call, ENDING_DEADLOCK);
        }
        break;
    case CORE_CALL_OK:
        call_ok(core, event->call, now_ms);
        break;
    case CORE_CALL_FAILED:
        call_failed(core, event, now_ms);
        break;
    case CORE_START:
    case CORE_TICK:
    case CORE_CLOSE:
    case CORE_SPAWN_FAILED:
    case CORE_READY:
    case CORE_LEAVING:
    case CORE_DEAD:
    case CORE_FREE_AGAIN:
    case CORE_SPENT:
    case CORE_MEMORY:
    case CORE_RECYCLE:
        sp__core_seats_step(core, event, now_ms);
        break;
    }
    end_hopeless(core);
    end_stuck(core);
    if (core->replan) {
        core->replan = 0;
        sp__core_plan(core, now_ms);
    }
}
