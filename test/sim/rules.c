/* SPDX-License-Identifier: MIT */
/*
 * The rules of events and actions. Those of the core's own numbers are in rules_state.c.
 *
 * Normal course: an event is written into the book, the core decides, each action is
 * judged by what the book says at its place in the order and written down too.
 *
 * Failure: the first broken rule is kept in words; nothing is stepped afterwards.
 */
#include "rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool/schedule.h"
#include "snakepit/error.h"
#include "snakepit/pool.h"

void rules_break(struct rules *rules, const char *rule, const char *format, ...)
{
    if (rules->broken != NULL) {
        return;
    }
    rules->broken = rule;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(rules->text, sizeof rules->text, format, args);
    va_end(args);
}

int rules_init(struct rules *rules, const struct core *core)
{
    *rules = (struct rules){.seats_count = core->seats_count, .probe = CORE_NONE};
    rules->seats = calloc(core->seats_count, sizeof *rules->seats);
    return rules->seats == NULL ? SP_ERR_NOMEM : SP_OK;
}

void rules_fini(struct rules *rules)
{
    free(rules->calls);
    free(rules->seats);
    *rules = (struct rules){0};
}

static int grow(struct rules *rules, uint32_t calls_max)
{
    if (calls_max <= rules->calls_max) {
        return 1;
    }
    struct book_call *grown = realloc(rules->calls, calls_max * sizeof *grown);
    if (grown == NULL) {
        rules_break(rules, "the book has room", "no memory for %u calls", calls_max);
        return 0;
    }
    memset(grown + rules->calls_max, 0, (calls_max - rules->calls_max) * sizeof *grown);
    rules->calls = grown;
    rules->calls_max = calls_max;
    return 1;
}

/* ---- events, before the core sees them ---- */

/* What waits for another call leaves no room for short ones behind it. */
static void note_asking(struct rules *rules, struct book_call *call)
{
    if (call->estimate_us < SCHED_AHEAD_US) {
        rules->seats[call->seat].estimate_us += SCHED_AHEAD_US - call->estimate_us;
        call->estimate_us = SCHED_AHEAD_US;
    }
}

static void note_submit(struct rules *rules, const struct core *core, uint32_t at)
{
    const struct core_call *call = &core->calls[at];
    RULE(rules->calls[at].state == BOOK_NO_CALL, "a number belongs to one call",
         "call %u was given out twice", at);
    rules->calls[at] =
        (struct book_call){.state = BOOK_NEW,
                           .idempotent = call->idempotent,
                           .streaming = call->streaming,
                           .nested = call->nested,
                           .seat = CORE_NONE,
                           .affinity = call->affinity,
                           .preferred = call->preferred,
                           .preferred_generation = call->preferred_generation,
                           .average_us = call->average_us,
                           .deadline_ms = call->deadline_ms,
                           .queue_deadline_ms = call->queue_deadline_ms,
                           .wait_ms = CORE_NEVER};
    for (uint32_t i = 0; i < call->ancestors_count; i++) {
        note_asking(rules, &rules->calls[call->ancestors[i]]);
    }
}

static void take_off(struct rules *rules, const struct core_event *event)
{
    struct book_call *call = &rules->calls[event->call];
    struct book_seat *seat = &rules->seats[call->seat];
    call->state = BOOK_OFF;
    call->executed =
        event->executed > call->executed ? (uint8_t)event->executed : call->executed;
    if (event->kind == CORE_CALL_FAILED && event->blamed &&
        event->executed != SP_EXECUTED_NO) {
        call->deaths++;
    }
    if (event->kind == CORE_CALL_OK) {
        call->executed = SP_EXECUTED_YES;
    }
    seat->in_flight--;
    seat->estimate_us -= call->estimate_us;
    seat->stuck |= event->stuck != 0;
}

static void note_call_event(struct rules *rules, const struct core *core,
                            const struct core_event *event)
{
    struct book_call *call = &rules->calls[event->call];
    call->touched = core->calls[event->call].touched;
    call->due = event->kind == CORE_CALL_DUE;
    if (call->state == BOOK_SENT) {
        take_off(rules, event);
    }
}

static void empty_seat(struct rules *rules, uint32_t at, uint64_t now_ms,
                       uint64_t pause_ms)
{
    struct book_seat *seat = &rules->seats[at];
    RULE(seat->in_flight == 0, "the calls of a worker end before it",
         "seat %u is left with %u calls", at, seat->in_flight);
    *seat = (struct book_seat){.generation = seat->generation, .was = seat->was};
    if (rules->breaker == BREAKER_PROBING && rules->probe == at) {
        rules->breaker = BREAKER_OPEN;
        rules->probe = CORE_NONE;
        rules->probe_ms = now_ms + pause_ms;
    }
}

static void note_seat_event(struct rules *rules, const struct core *core,
                            const struct core_event *event, uint64_t now_ms)
{
    struct book_seat *seat = &rules->seats[event->seat];
    switch (event->kind) {
    case CORE_SPAWN_FAILED:
    case CORE_DEAD:
        empty_seat(rules, event->seat, now_ms, core->options.probe_ms);
        break;
    case CORE_READY:
        if (seat->state == PLACE_STARTING) {
            seat->state = PLACE_SERVING;
            seat->capacity = event->value < core->options.threads
                                 ? (uint32_t)event->value
                                 : core->options.threads;
            seat->capacity += seat->capacity == 0;
        }
        break;
    case CORE_LEAVING:
        if (seat->state == PLACE_STARTING || seat->state == PLACE_SERVING) {
            seat->state = PLACE_LEAVING;
        }
        break;
    case CORE_FREE_AGAIN:
        seat->stuck = 0;
        break;
    case CORE_SPENT:
        seat->spent = 1;
        break;
    case CORE_START:
    case CORE_TICK:
    case CORE_CLOSE:
    case CORE_SUBMIT:
    case CORE_CALL_DUE:
    case CORE_CANCEL:
    case CORE_CALL_OK:
    case CORE_CALL_FAILED:
    case CORE_MEMORY:
    case CORE_RECYCLE:
    case CORE_SURRENDER:
    case CORE_ASKS:
    case CORE_DEADLOCK:
    case CORE_RESUME:
        break;
    }
}

static void note_event(struct rules *rules, const struct core *core,
                       const struct core_event *event, uint64_t now_ms)
{
    rules->queue_was = core->queue.length;
    for (uint32_t i = 0; i < rules->seats_count; i++) {
        rules->seats[i].was = (uint8_t)core->seats[i].state;
    }
    switch (event->kind) {
    case CORE_SUBMIT:
        note_submit(rules, core, event->call);
        break;
    case CORE_CALL_DUE:
    case CORE_CANCEL:
    case CORE_CALL_OK:
    case CORE_CALL_FAILED:
        note_call_event(rules, core, event);
        break;
    case CORE_ASKS:
        note_asking(rules, &rules->calls[event->call]);
        break;
    case CORE_CLOSE:
        rules->closing = 1;
        break;
    case CORE_SPAWN_FAILED:
    case CORE_READY:
    case CORE_LEAVING:
    case CORE_DEAD:
    case CORE_FREE_AGAIN:
    case CORE_SPENT:
        note_seat_event(rules, core, event, now_ms);
        break;
    case CORE_START:
    case CORE_TICK:
    case CORE_MEMORY:
    case CORE_RECYCLE:
    case CORE_SURRENDER:
    case CORE_DEADLOCK:
    case CORE_RESUME:
        break;
    }
}

/* ---- actions ---- */

/* Takes calls: its process is ready, nobody has told otherwise. */
static int serves(const struct book_seat *seat)
{
    return seat->state == PLACE_SERVING && !seat->spent;
}

static int is_strict(const struct book_call *call)
{
    return call->affinity >= SP_AFFINITY_STRICT_QUEUE && call->preferred != CORE_NONE;
}

/* The session's worker takes calls, now. */
static int own_serves(const struct rules *rules, const struct core *core,
                      const struct book_call *call)
{
    const struct book_seat *own = &rules->seats[call->preferred];
    return serves(own) && own->generation == call->preferred_generation &&
           core->seats[call->preferred].state == SEAT_READY;
}

static void judge_send_place(struct rules *rules, const struct core *core,
                             const struct book_call *call, uint32_t at)
{
    const struct book_seat *seat = &rules->seats[at];
    const struct core_options *options = &core->options;
    RULE(serves(seat), "calls go to workers that take them",
         "seat %u got a call in state %d, spent %d", at, seat->state, seat->spent);
    RULE(!seat->stuck, "nothing is sent behind a cancelled call", "seat %u", at);
    /* Sent first and replaced later in one step is in order. */
    RULE(core->seats[at].state == SEAT_READY ||
             (core->seats[at].state == SEAT_DRAINING && seat->was == SEAT_READY),
         "nothing is sent to one that is replaced", "seat %u is in state %d", at,
         core->seats[at].state);
    RULE(seat->in_flight < seat->capacity ||
             (seat->in_flight < options->pipeline_max &&
              seat->estimate_us + call->estimate_us <=
                  (uint64_t)SCHED_AHEAD_US * seat->capacity),
         "a worker gets what it has room for", "seat %u has %u calls, %llu us", at,
         seat->in_flight, (unsigned long long)seat->estimate_us);
    RULE(!call->nested || seat->in_flight < seat->capacity,
         "what is asked for by a call waits behind none", "seat %u has %u calls", at,
         seat->in_flight);
    if (is_strict(call)) {
        RULE(call->preferred == at && seat->generation == call->preferred_generation,
             "a strict session goes to its own worker or nowhere",
             "seat %u, process %u instead of seat %u, process %u", at, seat->generation,
             call->preferred, call->preferred_generation);
    }
}

static void judge_send_call(struct rules *rules, const struct core *core,
                            const struct book_call *call, uint32_t at, uint64_t now_ms)
{
    int begun = call->executed != SP_EXECUTED_NO;
    RULE(!begun || call->idempotent, "what may have run is not run again",
         "call %u, executed %d", at, call->executed);
    RULE(!(begun && call->streaming && call->touched),
         "a stream that was seen is not begun again", "call %u", at);
    RULE(call->attempts < core->options.attempts_max, "attempts have a limit",
         "call %u had %u", at, call->attempts);
    RULE(call->deaths < core->options.poison_deaths, "poison is not passed on",
         "call %u ended %u workers", at, call->deaths);
    RULE(now_ms < call->deadline_ms, "nothing is sent after its deadline",
         "call %u, %llu ms late", at, (unsigned long long)(now_ms - call->deadline_ms));
    RULE(!rules->closing, "a closed pool sends nothing", "call %u", at);
}

static void do_send(struct rules *rules, const struct core *core,
                    const struct core_action *action, uint64_t now_ms)
{
    struct book_call *call = &rules->calls[action->call];
    struct book_seat *seat = &rules->seats[action->seat];
    RULE(call->state == BOOK_NEW || call->state == BOOK_OFF ||
             call->state == BOOK_WAITING,
         "only open calls are sent", "call %u in state %d", action->call, call->state);
    call->estimate_us = *call->average_us;
    judge_send_place(rules, core, call, action->seat);
    judge_send_call(rules, core, call, action->call, now_ms);
    rules->fresh -= call->state == BOOK_WAITING && call->attempts == 0;
    rules->sends++;
    rules->repeats += call->executed != SP_EXECUTED_NO;
    call->state = BOOK_SENT;
    call->seat = action->seat;
    call->attempts++;
    call->due = 0;
    seat->in_flight++;
    seat->estimate_us += call->estimate_us;
}

static void do_wait(struct rules *rules, const struct core *core,
                    const struct core_action *action)
{
    struct book_call *call = &rules->calls[action->call];
    RULE(call->state == BOOK_NEW || call->state == BOOK_OFF ||
             call->state == BOOK_WAITING,
         "only open calls wait", "call %u in state %d", action->call, call->state);
    RULE(action->due_ms <= call->deadline_ms, "nobody waits past the deadline",
         "call %u", action->call);
    RULE(call->attempts > 0 || action->due_ms <= call->queue_deadline_ms,
         "nobody waits past the queue's deadline", "call %u", action->call);
    RULE(call->affinity != SP_AFFINITY_STRICT_FAIL_FAST ||
             core->calls[action->call].state != CALL_QUEUED ||
             !core->calls[action->call].bound,
         "who fails fast waits for no certain worker", "call %u", action->call);
    rules->fresh += call->state == BOOK_NEW;
    call->state = BOOK_WAITING;
    call->wait_ms = action->due_ms;
    call->due = 0;
}

static void judge_ending(struct rules *rules, const struct core *core,
                         const struct core_event *event,
                         const struct core_action *action, uint64_t now_ms)
{
    const struct book_call *call = &rules->calls[action->call];
    int own = event->call == action->call;
    int fits = 1;
    switch ((enum core_ending)action->what) {
    case ENDING_OK:
        fits = own && event->kind == CORE_CALL_OK;
        break;
    case ENDING_FAILED:
        fits = own && event->kind == CORE_CALL_FAILED;
        break;
    case ENDING_CANCELLED:
        fits = own && event->kind == CORE_CANCEL;
        break;
    case ENDING_TIMEOUT:
        fits = now_ms >= call->deadline_ms;
        break;
    case ENDING_QUEUE_TIMEOUT:
        fits = now_ms >= call->queue_deadline_ms && call->attempts == 0;
        break;
    case ENDING_QUEUE_FULL:
        fits = own && event->kind == CORE_SUBMIT &&
               rules->queue_was >= core->options.queue_max;
        break;
    case ENDING_CLOSED:
        fits = rules->closing;
        break;
    case ENDING_POISON:
        fits = call->deaths >= core->options.poison_deaths ||
               core->options.poison_block_ms > 0;
        break;
    case ENDING_DEADLOCK:
        fits = call->nested;
        break;
    case ENDING_ELSEWHERE:
        fits = event->kind == CORE_SURRENDER;
        break;
    case ENDING_WORKER_GONE:
        fits = is_strict(call) && !own_serves(rules, core, call);
        break;
    case ENDING_WORKER_BUSY:
        fits = is_strict(call) && call->affinity == SP_AFFINITY_STRICT_FAIL_FAST &&
               own_serves(rules, core, call);
        break;
    case ENDING_START_FAILED:
        fits = core->states[SEAT_READY] == 0;
        break;
    case ENDING_BREAKER:
        fits = core->breaker != BREAKER_CLOSED && core->states[SEAT_READY] == 0;
        break;
    }
    RULE(fits, "an ending says what happened", "call %u ended as %d in event %d",
         action->call, action->what, event->kind);
}

static void do_end(struct rules *rules, const struct core *core,
                   const struct core_event *event, const struct core_action *action,
                   uint64_t now_ms)
{
    struct book_call *call = &rules->calls[action->call];
    RULE(call->state != BOOK_NO_CALL, "a call ends once", "call %u ended again",
         action->call);
    RULE(call->state != BOOK_SENT || event->kind == CORE_CLOSE,
         "a call is not ended under its worker", "call %u", action->call);
    RULE(action->executed == call->executed, "an ending tells what may have run",
         "call %u: %d instead of %d", action->call, action->executed, call->executed);
    judge_ending(rules, core, event, action, now_ms);
    if (call->state == BOOK_SENT) {
        rules->seats[call->seat].in_flight--;
        rules->seats[call->seat].estimate_us -= call->estimate_us;
    }
    rules->fresh -= call->state == BOOK_WAITING && call->attempts == 0;
    rules->endings[action->what]++;
    *call = (struct book_call){.state = BOOK_NO_CALL};
}

static void do_start(struct rules *rules, const struct core *core, uint32_t at)
{
    struct book_seat *seat = &rules->seats[at];
    RULE(seat->state == PLACE_EMPTY, "a seat has one process", "seat %u has another",
         at);
    RULE(!rules->closing, "a closed pool starts nothing", "seat %u", at);
    RULE(rules->breaker == BREAKER_CLOSED ||
             (rules->breaker == BREAKER_PROBING && rules->probe == at),
         "an open breaker starts probes only", "seat %u", at);
    rules->starts++;
    *seat = (struct book_seat){.state = PLACE_STARTING,
                               .was = seat->was,
                               .generation = core->seats[at].generation,
                               .capacity = 1};
}

static void do_stop(struct rules *rules, uint32_t at)
{
    struct book_seat *seat = &rules->seats[at];
    RULE(seat->state == PLACE_STARTING || seat->state == PLACE_SERVING,
         "who is gone or told is not stopped", "seat %u in state %d", at, seat->state);
    seat->state = PLACE_STOPPED;
}

static void do_tell(struct rules *rules, const struct core *core,
                    const struct core_action *action, uint64_t now_ms)
{
    switch ((enum core_news)action->what) {
    case NEWS_BREAKER_OPENED:
        RULE(rules->breaker == BREAKER_CLOSED, "a breaker opens once", "it was open");
        rules->breaker = BREAKER_OPEN;
        rules->probe_ms = now_ms + core->options.probe_ms;
        break;
    case NEWS_BREAKER_PROBED:
        RULE(rules->breaker == BREAKER_OPEN, "a probe needs an open breaker",
             "it was in state %d", (int)rules->breaker);
        RULE(now_ms >= rules->probe_ms, "probes keep their distance", "%llu ms early",
             (unsigned long long)(rules->probe_ms - now_ms));
        rules->breaker = BREAKER_PROBING;
        rules->probe = action->seat;
        break;
    case NEWS_BREAKER_CLOSED:
        RULE(rules->breaker != BREAKER_CLOSED, "a breaker closes once",
             "it was closed");
        rules->breaker = BREAKER_CLOSED;
        rules->probe = CORE_NONE;
        break;
    case NEWS_SATURATED:
        RULE(rules->queue_was >= core->options.queue_max,
             "saturated means a full queue", "%u calls waited", rules->queue_was);
        break;
    case NEWS_CAPACITY:
        RULE(rules->seats[action->seat].in_flight + 1 ==
                     rules->seats[action->seat].capacity &&
                 rules->seats[action->seat].capacity > 1,
             "a worker is full when it has its last call", "seat %u has %u of %u",
             action->seat, rules->seats[action->seat].in_flight,
             rules->seats[action->seat].capacity);
        break;
    case NEWS_RECYCLED:
        rules->recycled++;
        break;
    case NEWS_READY:
    case NEWS_RECYCLE_BEGUN:
    case NEWS_RECYCLE_FAILED:
    case NEWS_RECYCLE_LOOP:
    case NEWS_RETRY:
    case NEWS_POISON:
        break;
    }
}

static void do_leave(struct rules *rules)
{
    RULE(rules->closing && !rules->left, "a pool leaves once, when it was closed",
         "closing %d, left %d", rules->closing, rules->left);
    for (uint32_t i = 0; i < rules->seats_count; i++) {
        RULE(rules->seats[i].state == PLACE_EMPTY, "a pool leaves without processes",
             "seat %u is in state %d", i, rules->seats[i].state);
    }
    for (uint32_t i = 0; i < rules->calls_max; i++) {
        RULE(rules->calls[i].state == BOOK_NO_CALL, "a pool leaves without calls",
             "call %u is in state %d", i, rules->calls[i].state);
    }
    rules->left = 1;
}

static void do_action(struct rules *rules, const struct core *core,
                      const struct core_event *event, const struct core_action *action,
                      uint64_t now_ms)
{
    switch ((enum core_action_kind)action->kind) {
    case CORE_DO_START:
        do_start(rules, core, action->seat);
        break;
    case CORE_DO_STOP:
        do_stop(rules, action->seat);
        break;
    case CORE_DO_SEND:
        do_send(rules, core, action, now_ms);
        break;
    case CORE_DO_WAIT:
        do_wait(rules, core, action);
        break;
    case CORE_DO_END:
        do_end(rules, core, event, action, now_ms);
        break;
    case CORE_DO_TELL:
        do_tell(rules, core, action, now_ms);
        break;
    case CORE_DO_LOOK:
        break;
    case CORE_DO_LEAVE:
        do_leave(rules);
        break;
    }
}

/* Whatever came into the core's hands in this step must have gone somewhere. */
static void check_settled(struct rules *rules, const struct core_event *event)
{
    if (event->call == CORE_NONE || event->call >= rules->calls_max) {
        return;
    }
    const struct book_call *call = &rules->calls[event->call];
    RULE(call->state != BOOK_NEW && call->state != BOOK_OFF, "no call is forgotten",
         "call %u after event %d", event->call, event->kind);
    RULE(event->kind != CORE_CANCEL || call->state == BOOK_NO_CALL,
         "who is cancelled has ended", "call %u goes on", event->call);
    RULE(!call->due || call->state == BOOK_NO_CALL, "a moment that comes is used",
         "call %u waits on without one", event->call);
}

int rules_step(struct rules *rules, struct core *core, const struct core_event *event,
               uint64_t now_ms)
{
    if (rules->broken != NULL || !grow(rules, core->calls_max)) {
        return -1;
    }
    note_event(rules, core, event, now_ms);
    if (rules->broken != NULL) {
        return -1;
    }
    sp__core_step(core, event, now_ms);
    for (uint32_t i = 0; i < core->actions_count && rules->broken == NULL; i++) {
        do_action(rules, core, event, &core->actions[i], now_ms);
    }
    check_settled(rules, event);
    rules_check_state(rules, core, event, now_ms);
    return rules->broken == NULL ? 0 : -1;
}
