/* SPDX-License-Identifier: MIT */
/*
 * The world around a small pool: what may happen next, and that it happens.
 *
 * The list of moves follows from the book: a process that starts may become ready, fail
 * or die; a call that was sent may be answered, fail in any way, be cancelled; a timer
 * that is due may fire now or after something else. Time moves on only when no timer is
 * due, to the next one: events before, at and just after a deadline are all tried.
 */
#include "play.h"

#include <stdio.h>

#include "snakepit/error.h"
#include "snakepit/pool.h"

enum { BEGIN_MS = 1000, OVER_LIMIT = 2, SOON_MS = 1 };

int play_init(struct play *play, const struct play_options *options,
              struct play_budget budget)
{
    *play = (struct play){.options = options, .now_ms = BEGIN_MS, .left = budget};
    int rc = sp__core_init(&play->core, &options->core);
    if (rc == SP_OK) {
        rc = rules_init(&play->rules, &play->core);
    }
    if (rc == SP_OK) {
        /* The first number makes room for all: the memory stays where it is. */
        uint32_t first = sp__core_call_new(&play->core);
        if (first == CORE_NONE) {
            rc = SP_ERR_NOMEM;
        } else {
            sp__core_call_drop(&play->core, first);
        }
    }
    if (rc < 0) {
        play_fini(play);
        return rc;
    }
    struct core_event start = {
        .kind = CORE_START, .call = CORE_NONE, .seat = CORE_NONE};
    return rules_step(&play->rules, &play->core, &start, play->now_ms);
}

void play_fini(struct play *play)
{
    rules_fini(&play->rules);
    sp__core_fini(&play->core);
}

/* ---- which moves there are ---- */

struct moves {
    struct move *at;
    size_t count;
    struct play_budget left;
};

enum cost { FREE, FAULT, WISH };

static void add(struct moves *moves, enum cost cost, struct core_event event)
{
    if (moves->count == PLAY_MOVES_MAX || (cost == FAULT && moves->left.faults == 0) ||
        (cost == WISH && moves->left.wishes == 0)) {
        return;
    }
    moves->at[moves->count++] = (struct move){.kind = MOVE_EVENT,
                                              .fault = cost == FAULT,
                                              .wish = cost == WISH,
                                              .event = event};
}

#define ON_SEAT(moves, cost, of, at, ...) \
    add((moves), (cost),                  \
        (struct core_event){              \
            .kind = (of), .seat = (at), .call = CORE_NONE, __VA_ARGS__})
#define ON_CALL(moves, cost, of, at, ...) \
    add((moves), (cost),                  \
        (struct core_event){              \
            .kind = (of), .call = (at), .seat = CORE_NONE, __VA_ARGS__})

/* When the shell's timer for this call fires. */
static uint64_t due_of(const struct book_call *call)
{
    return call->state == BOOK_WAITING ? call->wait_ms
           : call->state == BOOK_SENT  ? call->deadline_ms
                                       : CORE_NEVER;
}

static void add_seat(const struct play *play, struct moves *moves, uint32_t at)
{
    const struct play_options *options = play->options;
    const struct book_seat *seat = &play->rules.seats[at];
    int empty = seat->in_flight == 0;
    switch ((enum book_seat_state)seat->state) {
    case PLACE_EMPTY:
        break;
    case PLACE_STARTING:
        ON_SEAT(moves, FREE, CORE_READY, at, .value = options->core.threads);
        ON_SEAT(moves, FAULT, CORE_SPAWN_FAILED, at, .crashed = 1);
        ON_SEAT(moves, FAULT, CORE_LEAVING, at, .value = 0);
        ON_SEAT(moves, FAULT, CORE_DEAD, at, .crashed = 1);
        if (options->permanent) {
            ON_SEAT(moves, FAULT, CORE_DEAD, at, .crashed = 1, .permanent = 1);
        }
        if (options->no_guard) {
            ON_SEAT(moves, FAULT, CORE_SPAWN_FAILED, at, .value = 0);
        }
        break;
    case PLACE_SERVING:
        ON_SEAT(moves, FAULT, CORE_LEAVING, at, .value = 0);
        if (empty) {
            ON_SEAT(moves, FAULT, CORE_DEAD, at, .crashed = 1, .suspect = 1);
        }
        if (seat->stuck) {
            ON_SEAT(moves, FREE, CORE_FREE_AGAIN, at, .value = 0);
        }
        if (options->spends && !seat->spent) {
            ON_SEAT(moves, WISH, CORE_SPENT, at, .value = 0);
        }
        if (options->memory) {
            ON_SEAT(moves, FREE, CORE_MEMORY, at, .value = 0);
            ON_SEAT(moves, WISH, CORE_MEMORY, at, .value = OVER_LIMIT);
        }
        if (options->recycles) {
            ON_SEAT(moves, WISH, CORE_RECYCLE, at, .value = 0);
        }
        break;
    case PLACE_LEAVING:
        if (empty) {
            ON_SEAT(moves, FREE, CORE_DEAD, at, .crashed = 1);
            ON_SEAT(moves, FREE, CORE_DEAD, at, .value = 0);
        }
        break;
    case PLACE_STOPPED:
        if (empty) {
            ON_SEAT(moves, FREE, CORE_DEAD, at, .value = 0);
        }
        break;
    }
}

static void add_chunk(struct moves *moves, uint32_t at)
{
    if (moves->count < PLAY_MOVES_MAX) {
        moves->at[moves->count++] =
            (struct move){.kind = MOVE_CHUNK, .event = {.call = at}};
    }
}

static void add_sent(const struct play *play, struct moves *moves, uint32_t at)
{
    const struct book_call *call = &play->rules.calls[at];
    int serving = play->rules.seats[call->seat].state == PLACE_SERVING;
    ON_CALL(moves, FREE, CORE_CALL_OK, at, .value = 0);
    ON_CALL(moves, FREE, CORE_CALL_FAILED, at, .executed = SP_EXECUTED_YES);
    if (call->streaming && !call->touched) {
        add_chunk(moves, at);
    }
    if (!serving) {
        ON_CALL(moves, FREE, CORE_CALL_FAILED, at, .executed = SP_EXECUTED_NO,
                .lost = 1);
        ON_CALL(moves, FREE, CORE_CALL_FAILED, at, .executed = SP_EXECUTED_UNKNOWN,
                .lost = 1);
        ON_CALL(moves, FREE, CORE_CALL_FAILED, at, .executed = SP_EXECUTED_UNKNOWN,
                .lost = 1, .blamed = 1);
    } else if (play->options->refuses) {
        ON_CALL(moves, FAULT, CORE_CALL_FAILED, at, .executed = SP_EXECUTED_NO,
                .lost = 1);
    }
}

/* Taken back from its worker, which may go on with it. */
static void add_taken(const struct play *play, struct moves *moves, uint32_t at,
                      enum core_event_kind kind, enum cost cost)
{
    const struct book_call *call = &play->rules.calls[at];
    if (call->state != BOOK_SENT) {
        ON_CALL(moves, cost, kind, at, .value = 0);
        return;
    }
    ON_CALL(moves, cost, kind, at, .executed = SP_EXECUTED_NO);
    ON_CALL(moves, cost, kind, at, .executed = SP_EXECUTED_UNKNOWN, .stuck = 1);
}

static void add_call(const struct play *play, struct moves *moves, uint32_t at)
{
    const struct book_call *call = &play->rules.calls[at];
    if (call->state == BOOK_NO_CALL) {
        return;
    }
    if (call->state == BOOK_SENT) {
        add_sent(play, moves, at);
    }
    if (due_of(call) <= play->now_ms) {
        add_taken(play, moves, at, CORE_CALL_DUE, FREE);
    }
    if (play->options->cancels) {
        add_taken(play, moves, at, CORE_CANCEL, WISH);
    }
}

/* The next moment at which a timer fires. */
static uint64_t next_timer(const struct play *play)
{
    uint64_t due_ms = play->core.next_due_ms;
    for (uint32_t i = 0; i < play->rules.calls_max; i++) {
        uint64_t call_ms = due_of(&play->rules.calls[i]);
        due_ms = call_ms < due_ms ? call_ms : due_ms;
    }
    return due_ms;
}

/* The first (1) or last (2) call that is with a worker. */
static uint32_t find_sent(const struct play *play, int which)
{
    uint32_t found = CORE_NONE;
    for (uint32_t i = 0; i < play->rules.calls_max; i++) {
        if (play->rules.calls[i].state == BOOK_SENT &&
            (which == 2 || found == CORE_NONE)) {
            found = i;
        }
    }
    return found;
}

static int may_submit(const struct play *play, uint32_t request)
{
    return !play->rules.closing && (play->again || !(play->asked & (1u << request))) &&
           (!play->options->requests[request].nested ||
            find_sent(play, 1) != CORE_NONE);
}

size_t play_moves(const struct play *play, struct move at[PLAY_MOVES_MAX])
{
    struct moves moves = {.at = at, .left = play->left};
    const struct play_options *options = play->options;
    for (uint32_t i = 0; i < options->requests_count; i++) {
        if (may_submit(play, i)) {
            at[moves.count++] = (struct move){.kind = MOVE_SUBMIT, .request = i};
        }
    }
    for (uint32_t i = 0; i < play->core.seats_count; i++) {
        add_seat(play, &moves, i);
    }
    for (uint32_t i = 0; i < play->rules.calls_max; i++) {
        add_call(play, &moves, i);
    }
    if (options->recycles && !play->rules.closing) {
        ON_SEAT(&moves, WISH, CORE_RECYCLE, CORE_NONE, .value = 0);
    }
    if (!play->rules.closing) {
        ON_SEAT(&moves, FREE, CORE_CLOSE, CORE_NONE, .value = 0);
    }
    if (play->core.next_due_ms <= play->now_ms) {
        ON_SEAT(&moves, FREE, CORE_TICK, CORE_NONE, .value = 0);
    }
    if (next_timer(play) > play->now_ms && moves.count < PLAY_MOVES_MAX) {
        at[moves.count++] = (struct move){.kind = MOVE_TIME};
    }
    return moves.count;
}

/* ---- doing ---- */

static uint64_t moment(uint64_t now_ms, uint32_t from_now_ms)
{
    return from_now_ms == 0 ? CORE_NEVER : now_ms + from_now_ms;
}

static void nest(const struct play *play, struct core_call *call, int which)
{
    uint32_t parent = find_sent(play, which);
    const struct core_call *asks = &play->core.calls[parent];
    call->nested = 1;
    for (uint32_t i = 0; i < asks->ancestors_count; i++) {
        call->ancestors[call->ancestors_count++] = asks->ancestors[i];
    }
    call->ancestors[call->ancestors_count++] = parent;
}

static int submit(struct play *play, uint32_t which)
{
    const struct play_request *request = &play->options->requests[which];
    uint32_t at = sp__core_call_new(&play->core);
    if (at == CORE_NONE) {
        return 0; /* as the shell does: the request fails, the core never knew it */
    }
    struct core_call *call = &play->core.calls[at];
    call->idempotent = request->idempotent;
    call->streaming = request->streaming;
    if (request->nested) {
        nest(play, call, request->nested);
    }
    call->average_us = &request->average_us;
    call->deadline_ms = moment(play->now_ms, request->deadline_ms);
    call->queue_deadline_ms = moment(play->now_ms, request->queue_deadline_ms);
    call->fingerprint = sp__core_wants_fingerprint(&play->core) ? which + 1 : 0;
    if (request->own) {
        /* Of a process that has served: one that starts is nobody's yet. */
        call->preferred = 0;
        call->preferred_generation = play->core.seats[0].generation -
                                     (play->rules.seats[0].state == PLACE_STARTING);
    }
    play->asked |= 1u << which;
    struct core_event event = {.kind = CORE_SUBMIT, .call = at, .seat = CORE_NONE};
    return rules_step(&play->rules, &play->core, &event, play->now_ms);
}

/* Without a timer time passes all the same, for what only counts its age. */
static void pass_time(struct play *play)
{
    uint64_t due_ms = next_timer(play);
    play->now_ms = due_ms == CORE_NEVER ? play->now_ms + SOON_MS : due_ms;
}

static void pay(uint8_t *left, uint8_t cost)
{
    if (*left != PLAY_WITHOUT_END) {
        *left = (uint8_t)(*left - cost);
    }
}

int play_do(struct play *play, const struct move *move)
{
    pay(&play->left.faults, move->fault);
    pay(&play->left.wishes, move->wish);
    switch (move->kind) {
    case MOVE_SUBMIT:
        return submit(play, move->request);
    case MOVE_CHUNK:
        play->core.calls[move->event.call].touched = 1;
        play->rules.calls[move->event.call].touched = 1;
        return 0;
    case MOVE_TIME:
        pass_time(play);
        return 0;
    case MOVE_EVENT:
        break;
    }
    if (move->event.blamed) {
        play->core.calls[move->event.call].fingerprint = 1;
    }
    return rules_step(&play->rules, &play->core, &move->event, play->now_ms);
}

void play_describe(const struct play *play, const struct move *move, char *out,
                   size_t max)
{
    static const char *const names[] = {[CORE_START] = "start",
                                        [CORE_TICK] = "tick",
                                        [CORE_CLOSE] = "close",
                                        [CORE_SUBMIT] = "submit",
                                        [CORE_CALL_DUE] = "due",
                                        [CORE_CANCEL] = "cancel",
                                        [CORE_CALL_OK] = "ok",
                                        [CORE_CALL_FAILED] = "failed",
                                        [CORE_SPAWN_FAILED] = "no process",
                                        [CORE_READY] = "ready",
                                        [CORE_LEAVING] = "leaving",
                                        [CORE_DEAD] = "dead",
                                        [CORE_FREE_AGAIN] = "free again",
                                        [CORE_SPENT] = "spent",
                                        [CORE_MEMORY] = "memory",
                                        [CORE_RECYCLE] = "recycle"};
    const struct core_event *event = &move->event;
    unsigned long long now_ms = play->now_ms;
    switch (move->kind) {
    case MOVE_SUBMIT:
        (void)snprintf(out, max, "%llu submit request %u", now_ms, move->request);
        break;
    case MOVE_CHUNK:
        (void)snprintf(out, max, "%llu chunk of call %u", now_ms, event->call);
        break;
    case MOVE_TIME:
        (void)snprintf(out, max, "%llu time passes", now_ms);
        break;
    case MOVE_EVENT:
        (void)snprintf(
            out, max, "%llu %s call %d seat %d value %llu executed %d%s%s%s%s%s%s",
            now_ms, names[event->kind], (int)event->call, (int)event->seat,
            (unsigned long long)event->value, event->executed,
            event->stuck ? " stuck" : "", event->lost ? " lost" : "",
            event->blamed ? " blamed" : "", event->crashed ? " crashed" : "",
            event->permanent ? " permanent" : "", event->suspect ? " suspect" : "");
        break;
    }
}
