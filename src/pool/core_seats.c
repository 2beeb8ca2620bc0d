/* SPDX-License-Identifier: MIT */
/*
 * The pool's decisions about workers: starting, replacing, draining, giving up for a
 * while.
 *
 * Normal course: as many seats as wanted start, in batches; a worker that has become old
 * (by age, calls, memory, or because somebody asks) gets a relief in a spare seat, hands
 * over when that one is ready, ends the calls it has, and is stopped. The pool is never
 * short of a worker because of it.
 *
 * Failure: a seat whose worker dies starts another, at once the first time and later and
 * later while it keeps failing. Too many deaths in a while, or too many starts in a row
 * that lead to nothing, open the breaker: no more starts but one probe at a time, until a
 * probe lives long enough or does a call well. A relief that does not start leaves the
 * old worker where it is. A worker that says it can never start makes the pool hopeless:
 * that takes another configuration.
 */
#include "pool/core_internal.h"
#include "pool/schedule.h"

enum { STARTS_FAILED_MAX = 5 /* in a row, and at least half the pool's */ };

/* ---- lists and states ---- */

static struct core_list *list_of(struct core *core, int on)
{
    return on == SEAT_ON_IDLE ? &core->idle : &core->busy;
}

static void list_remove(struct core *core, uint32_t seat)
{
    struct core_seat *s = &core->seats[seat];
    if (s->on == SEAT_OFF) {
        return;
    }
    struct core_list *list = list_of(core, s->on);
    if (s->next != CORE_NONE) {
        core->seats[s->next].prev = s->prev;
    } else {
        list->last = s->prev;
    }
    if (s->prev != CORE_NONE) {
        core->seats[s->prev].next = s->next;
    } else {
        list->first = s->next;
    }
    list->length--;
    s->on = SEAT_OFF;
    s->next = CORE_NONE;
    s->prev = CORE_NONE;
}

static void list_append(struct core *core, uint32_t seat, int on)
{
    struct core_seat *s = &core->seats[seat];
    struct core_list *list = list_of(core, on);
    s->on = on;
    s->next = CORE_NONE;
    s->prev = list->last;
    if (list->last != CORE_NONE) {
        core->seats[list->last].next = seat;
    } else {
        list->first = seat;
    }
    list->last = seat;
    list->length++;
}

void sp__core_seat_home(struct core *core, uint32_t seat)
{
    const struct core_seat *s = &core->seats[seat];
    int on = s->state != SEAT_READY ? SEAT_OFF
             : s->in_flight == 0    ? SEAT_ON_IDLE
                                    : SEAT_ON_BUSY;
    if (on != (int)s->on) {
        list_remove(core, seat);
        if (on != SEAT_OFF) {
            list_append(core, seat, on);
        }
    }
}

#define TO(state) (1u << SEAT_##state)
static const unsigned legal[] = {
    [SEAT_EMPTY] = TO(WAITING),
    [SEAT_WAITING] = TO(STARTING) | TO(EMPTY),
    [SEAT_STARTING] = TO(READY) | TO(STOPPING) | TO(WAITING) | TO(EMPTY),
    [SEAT_READY] = TO(DRAINING) | TO(STOPPING) | TO(WAITING) | TO(EMPTY),
    [SEAT_DRAINING] = TO(STOPPING) | TO(WAITING) | TO(EMPTY),
    [SEAT_STOPPING] = TO(WAITING) | TO(EMPTY),
};
#undef TO

/* The only writer of seat->state. */
void sp__core_seat_move(struct core *core, uint32_t seat, enum core_seat_state next)
{
    struct core_seat *s = &core->seats[seat];
    assert(legal[s->state] & (1u << next));
    core->states[s->state]--;
    core->states[next]++;
    s->state = next;
    core->replan = 1;
    sp__core_seat_home(core, seat);
}

static void look(struct core *core)
{
    (void)sp__core_do(core, CORE_DO_LOOK);
}

/* ---- starting ---- */

static void start(struct core *core, uint32_t seat, uint64_t now_ms)
{
    struct core_seat *s = &core->seats[seat];
    sp__core_seat_move(core, seat, SEAT_STARTING);
    s->generation++;
    s->starts++;
    s->started_ms = now_ms;
    s->ready_ms = 0;
    s->hold_ms = 0;
    s->served = 0;
    s->capacity = 1;
    s->stuck = 0;
    s->spent = 0;
    s->exempt = 0;
    s->sampled = 0;
    s->poisoned = 0;
    s->steady = 0;
    s->told_full = 0;
    if (s->replaces != CORE_NONE) {
        s->relieves_big = core->seats[s->replaces].reason == REASON_MEMORY;
    }
    s->reason = REASON_NONE;
    s->due_ms = CORE_NEVER;
    s->recycle_ms = CORE_NEVER;
    sp__core_do(core, CORE_DO_START)->seat = seat;
}

/* Waiting seats whose time has come, as many as a batch has room for. The next begin when
 * one of these is ready (an event), or when the configured pause is over. */
static void start_some(struct core *core, uint64_t now_ms)
{
    int pausing = core->options.startup_batch_delay_ms > 0;
    if (core->closing || core->hopeless || core->breaker == BREAKER_PROBING) {
        return;
    }
    for (uint32_t i = 0; i < core->seats_count; i++) {
        if (core->seats[i].state != SEAT_WAITING) {
            continue;
        }
        if (core->breaker == BREAKER_OPEN) {
            if (core->probe_ms <= now_ms && core->seats[i].replaces == CORE_NONE) {
                core->breaker = BREAKER_PROBING;
                core->probe = i;
                core->replan = 1;
                sp__core_tell(core, NEWS_BREAKER_PROBED, i, 0);
                start(core, i, now_ms);
                return;
            }
            continue;
        }
        if (core->seats[i].due_ms > now_ms) {
            continue;
        }
        if (core->states[SEAT_STARTING] >= core->options.startup_batch) {
            return;
        }
        if (pausing && core->batch_left == 0) {
            if (core->batch_ms == CORE_NEVER) {
                core->batch_ms = now_ms + core->options.startup_batch_delay_ms;
                core->replan = 1;
            }
            return;
        }
        core->batch_left -= pausing != 0;
        start(core, i, now_ms);
    }
}

static void wait_backoff(struct core *core, uint32_t seat, uint64_t now_ms)
{
    struct core_seat *s = &core->seats[seat];
    uint64_t ceiling_ms = sp__sched_backoff_ceiling_ms(
        s->failures, core->options.backoff_min_ms, core->options.backoff_max_ms);
    sp__core_seat_move(core, seat, SEAT_WAITING);
    s->due_ms = now_ms + sp__core_random(core, ceiling_ms + 1);
}

/* ---- the breaker ---- */

static void open_breaker(struct core *core, uint64_t now_ms)
{
    int was = core->breaker;
    core->breaker = BREAKER_OPEN;
    core->probe = CORE_NONE;
    core->probe_ms = now_ms + core->options.probe_ms;
    core->replan = 1;
    if (was == BREAKER_CLOSED) {
        sp__core_tell(core, NEWS_BREAKER_OPENED, CORE_NONE,
                      core->crashes_count > core->start_failures
                          ? core->crashes_count
                          : core->start_failures);
    }
}

static void close_breaker(struct core *core, uint64_t now_ms)
{
    core->breaker = BREAKER_CLOSED;
    core->probe = CORE_NONE;
    core->crashes_count = 0;
    core->start_failures = 0;
    for (uint32_t i = 0; i < core->seats_count; i++) {
        core->seats[i].failures = 0;
        if (core->seats[i].state == SEAT_WAITING) {
            core->seats[i].due_ms = now_ms;
        }
    }
    core->replan = 1;
    sp__core_tell(core, NEWS_BREAKER_CLOSED, CORE_NONE, 0);
    start_some(core, now_ms);
    core->replan = 1;
}

/* One more death that nobody asked for. */
static void note_crash(struct core *core, uint64_t now_ms)
{
    uint32_t max = core->options.crashes_max + 1;
    core->crashes_ms[core->crashes_at] = now_ms;
    core->crashes_at = (core->crashes_at + 1) % max;
    core->crashes_count += core->crashes_count < max;
    uint32_t seats_max = core->options.workers / 2 + 1;
    uint32_t parts = core->options.parts > 0 ? core->options.parts : 1;
    uint32_t failures_max = (STARTS_FAILED_MAX + parts - 1) / parts;
    int starts_fail =
        core->start_failures >= failures_max && core->start_failures >= seats_max;
    int dies_often =
        core->crashes_count == max &&
        now_ms - core->crashes_ms[core->crashes_at] < core->options.crash_period_ms;
    if (core->breaker == BREAKER_CLOSED && (starts_fail || dies_often)) {
        open_breaker(core, now_ms);
    }
}

void sp__core_poisoned(struct core *core, uint32_t seat, uint32_t deaths)
{
    uint32_t max = core->options.crashes_max + 1;
    uint32_t noted =
        deaths - 1 < core->crashes_count ? deaths - 1 : core->crashes_count;
    core->crashes_at = (core->crashes_at + max - noted) % max;
    core->crashes_count -= noted;
    core->seats[seat].poisoned = 1;
}

/* Work that went well, or a life long enough, shows that starting workers works. */
static void note_steady(struct core *core, uint32_t seat, uint64_t now_ms)
{
    core->seats[seat].failures = 0;
    if (core->breaker == BREAKER_PROBING && core->probe == seat) {
        close_breaker(core, now_ms);
    }
}

/* ---- replacing ---- */

static void stop(struct core *core, uint32_t seat, enum core_reason reason)
{
    sp__core_seat_move(core, seat, SEAT_STOPPING);
    struct core_action *action = sp__core_do(core, CORE_DO_STOP);
    action->seat = seat;
    action->what = reason;
}

static void drain(struct core *core, uint32_t seat, uint64_t now_ms)
{
    struct core_seat *s = &core->seats[seat];
    sp__core_seat_move(core, seat, SEAT_DRAINING);
    s->due_ms = core->options.drain_ms == CORE_NEVER ? CORE_NEVER
                                                     : now_ms + core->options.drain_ms;
    sp__core_end_bound(core, seat);
    if (s->in_flight == 0) {
        stop(core, seat, (enum core_reason)s->reason);
    }
}

static uint32_t find_spare(const struct core *core)
{
    for (uint32_t i = 0; i < core->seats_count; i++) {
        if (core->seats[i].state == SEAT_EMPTY) {
            return i;
        }
    }
    return CORE_NONE;
}

/* Make before break. Without a spare seat now it is tried again when one is free; with
 * none at all the old one goes first, one at a time. */
static void replace(struct core *core, uint32_t seat, enum core_reason reason,
                    uint64_t now_ms)
{
    struct core_seat *s = &core->seats[seat];
    if (s->state != SEAT_READY || s->relief != CORE_NONE || core->closing) {
        return;
    }
    s->reason = (uint8_t)reason;
    if (core->breaker != BREAKER_CLOSED || core->hopeless) {
        return;
    }
    if (core->options.surge == 0) {
        if (core->states[SEAT_READY] == core->options.workers) {
            sp__core_tell(core, NEWS_RECYCLE_BEGUN, seat, reason);
            drain(core, seat, now_ms);
        }
        return;
    }
    uint32_t spare = find_spare(core);
    if (spare == CORE_NONE) {
        return;
    }
    if (core->options.parts > 0) {
        if (core->leave == 0) {
            core->wants_leave = 1;
            return;
        }
        core->leave--;
    }
    core->seats[spare].replaces = seat;
    core->seats[spare].failures = 0;
    core->seats[spare].due_ms = now_ms;
    s->relief = spare;
    sp__core_seat_move(core, spare, SEAT_WAITING);
    sp__core_tell(core, NEWS_RECYCLE_BEGUN, seat, reason);
    start_some(core, now_ms);
}

/* Those that had to wait for a spare seat, and those whose time has come. */
static void replace_due(struct core *core, uint64_t now_ms)
{
    for (uint32_t i = 0; i < core->seats_count; i++) {
        struct core_seat *s = &core->seats[i];
        enum core_reason reason = s->reason != REASON_NONE  ? s->reason
                                  : s->recycle_ms <= now_ms ? REASON_AGE
                                                            : REASON_NONE;
        if (s->state == SEAT_READY && reason != REASON_NONE && s->hold_ms <= now_ms) {
            replace(core, i, reason, now_ms);
        }
    }
}

static uint64_t with_jitter(struct core *core, uint64_t value)
{
    if (value == CORE_NEVER) {
        return CORE_NEVER;
    }
    uint64_t part = value / 1000 * core->options.recycle_jitter_permille;
    part += value % 1000 * core->options.recycle_jitter_permille / 1000;
    return value - sp__core_random(core, part + 1);
}

/* ---- a call has left its seat ---- */

void sp__core_seat_served(struct core *core, uint32_t seat, int well, uint64_t now_ms)
{
    struct core_seat *s = &core->seats[seat];
    s->served++;
    if (well && (s->failures > 0 || core->probe == seat)) {
        note_steady(core, seat, now_ms);
    }
    if (s->state == SEAT_DRAINING && s->in_flight == 0) {
        stop(core, seat, (enum core_reason)s->reason);
        return;
    }
    if (s->state == SEAT_READY && s->served >= s->calls_limit &&
        s->reason == REASON_NONE) {
        replace(core, seat, REASON_CALLS, now_ms);
    }
    if (s->state == SEAT_READY && s->spent && s->in_flight == 0) {
        drain(core, seat, now_ms);
        return;
    }
    sp__core_pull(core, seat, now_ms);
}

/* ---- what workers tell ---- */

static void ready(struct core *core, const struct core_event *event, uint64_t now_ms)
{
    uint32_t seat = event->seat;
    struct core_seat *s = &core->seats[seat];
    if (s->state != SEAT_STARTING) {
        return; /* it was told to stop meanwhile */
    }
    uint64_t capacity =
        event->value < core->options.threads ? event->value : core->options.threads;
    s->capacity = capacity == 0 ? 1 : (uint32_t)capacity;
    s->ready_ms = now_ms;
    s->calls_limit = with_jitter(core, core->options.recycle_calls);
    uint64_t after_ms = with_jitter(core, core->options.recycle_after_ms);
    s->recycle_ms = after_ms == CORE_NEVER ? CORE_NEVER : now_ms + after_ms;
    core->start_failed = 0;
    core->start_failures = 0;
    sp__core_seat_move(core, seat, SEAT_READY);
    if (s->replaces != CORE_NONE) {
        uint32_t old = s->replaces;
        s->replaces = CORE_NONE;
        if (core->seats[old].state == SEAT_READY) {
            drain(core, old, now_ms);
        }
    }
    if (!core->was_ready && sp__core_is_ready(core)) {
        core->was_ready = 1;
        sp__core_tell(core, NEWS_READY, CORE_NONE, 0);
    }
    look(core);
    start_some(core, now_ms);
    replace_due(core, now_ms);
    sp__core_pull(core, seat, now_ms);
}

static void leaving(struct core *core, uint32_t seat, uint64_t now_ms)
{
    struct core_seat *s = &core->seats[seat];
    if (s->state == SEAT_STARTING || s->state == SEAT_READY ||
        s->state == SEAT_DRAINING) {
        sp__core_seat_move(core, seat, SEAT_STOPPING);
        sp__core_end_bound(core, seat);
        look(core);
    }
}

/* Its place is not needed any more: another one has it, or never will. */
static void leave_seat(struct core *core, uint32_t seat)
{
    struct core_seat *s = &core->seats[seat];
    if (s->relief != CORE_NONE && core->seats[s->relief].replaces == seat) {
        core->seats[s->relief].replaces = CORE_NONE;
    }
    if (s->replaces != CORE_NONE) {
        core->seats[s->replaces].relief = CORE_NONE;
    }
    s->relief = CORE_NONE;
    s->replaces = CORE_NONE;
    s->failures = 0;
    s->relieves_big = 0;
    s->reason = REASON_NONE;
    s->due_ms = CORE_NEVER;
    sp__core_seat_move(core, seat, SEAT_EMPTY);
}

/* A relief that did not start: the old one stays, and it is tried again later. */
static void relief_failed(struct core *core, uint32_t seat, uint64_t now_ms)
{
    uint32_t old = core->seats[seat].replaces;
    sp__core_tell(core, NEWS_RECYCLE_FAILED, old, core->seats[old].reason);
    core->seats[old].hold_ms = now_ms + core->options.backoff_max_ms;
    leave_seat(core, seat);
}

static void leave_if_empty(struct core *core)
{
    if (core->closing && !core->left && core->states[SEAT_EMPTY] == core->seats_count) {
        core->left = 1;
        (void)sp__core_do(core, CORE_DO_LEAVE);
    }
}

/* The process is gone, or never was. */
static void vacate(struct core *core, const struct core_event *event, int was_ready,
                   uint64_t now_ms)
{
    uint32_t seat = event->seat;
    struct core_seat *s = &core->seats[seat];
    int crashed = event->crashed;
    int poisoned = s->poisoned;
    int was_probe = core->breaker == BREAKER_PROBING && core->probe == seat;
    if (crashed) {
        s->failures = s->steady ? 1 : s->failures + 1;
        core->start_failures += !was_ready;
        core->start_failed = !was_ready;
        if (event->suspect) {
            s->suspect_ms = now_ms + core->options.suspect_ms;
        }
    }
    core->hopeless |= event->permanent != 0;

    if (core->closing) {
        leave_seat(core, seat);
        leave_if_empty(core);
        return;
    }
    if (s->relief != CORE_NONE) {
        /* The relief has its place; if it is still starting it is no relief any more. */
        if (!crashed) {
            sp__core_tell(core, NEWS_RECYCLED, seat, s->reason);
        }
        leave_seat(core, seat);
    } else if (s->replaces != CORE_NONE) {
        relief_failed(core, seat, now_ms);
    } else {
        if (!crashed && s->reason != REASON_NONE) {
            sp__core_tell(core, NEWS_RECYCLED, seat, s->reason);
        }
        s->relieves_big = !crashed && s->reason == REASON_MEMORY;
        s->reason = REASON_NONE;
        wait_backoff(core, seat, now_ms);
    }
    if (was_probe) {
        open_breaker(core, now_ms);
    }
    if (crashed && !poisoned) {
        note_crash(core, now_ms);
    }
    look(core);
    start_some(core, now_ms);
    replace_due(core, now_ms);
}

static void dead(struct core *core, const struct core_event *event, uint64_t now_ms)
{
    struct core_seat *s = &core->seats[event->seat];
    int was_ready = s->ready_ms != 0;
    leaving(core, event->seat, now_ms);
    vacate(core, event, was_ready, now_ms);
    int nobody = core->states[SEAT_STARTING] + core->states[SEAT_READY] == 0;
    if (!core->closing && nobody && !was_ready && core->start_failed &&
        !core->others_ready) {
        sp__core_end_queue(core, ENDING_START_FAILED);
    }
}

/* Nothing came to be: pause, whoever's fault it was, or it would be tried without end. */
static void spawn_failed(struct core *core, const struct core_event *event,
                         uint64_t now_ms)
{
    core->seats[event->seat].failures++;
    dead(core, event, now_ms);
}

static void memory(struct core *core, const struct core_event *event, uint64_t now_ms)
{
    struct core_seat *s = &core->seats[event->seat];
    int is_first = !s->sampled;
    s->sampled = 1;
    if (s->state != SEAT_READY || event->value < core->options.recycle_memory_kib ||
        s->exempt || s->reason != REASON_NONE) {
        return;
    }
    int is_fresh = s->served == 0 && s->in_flight == 0;
    if (is_first && (is_fresh || s->relieves_big)) {
        /* Another one like it would be over the limit as well. */
        s->exempt = 1;
        sp__core_tell(core, NEWS_RECYCLE_LOOP, event->seat, event->value);
        return;
    }
    replace(core, event->seat, REASON_MEMORY, now_ms);
}

/* ---- beginning, time, end ---- */

static void begin(struct core *core, uint64_t now_ms)
{
    core->started = 1;
    for (uint32_t i = 0; i < core->options.workers; i++) {
        sp__core_seat_move(core, i, SEAT_WAITING);
        core->seats[i].due_ms = now_ms;
    }
    start_some(core, now_ms);
}

static void tick(struct core *core, uint64_t now_ms)
{
    core->replan = 1;
    if (core->batch_ms <= now_ms) {
        core->batch_ms = CORE_NEVER;
        core->batch_left = core->options.startup_batch;
    }
    for (uint32_t i = 0; i < core->seats_count; i++) {
        struct core_seat *s = &core->seats[i];
        if (s->state == SEAT_DRAINING && s->due_ms <= now_ms) {
            stop(core, i, (enum core_reason)s->reason);
        }
        if (s->state == SEAT_READY && !s->steady &&
            now_ms - s->ready_ms >= core->options.steady_ms) {
            s->steady = 1;
            note_steady(core, i, now_ms);
        }
    }
    if (core->breaker == BREAKER_OPEN && core->probe_ms <= now_ms && !core->hopeless &&
        sp__core_is_ready(core)) {
        /* Its failures were reliefs, or their workers were relieved: every place is
         * taken, so there is nothing to probe with, and nothing to prove. */
        close_breaker(core, now_ms);
    }
    start_some(core, now_ms);
    replace_due(core, now_ms);
}

static void close(struct core *core, uint64_t now_ms)
{
    if (core->closing) {
        return;
    }
    core->closing = 1;
    sp__core_end_all(core);
    for (uint32_t i = 0; i < core->seats_count; i++) {
        switch (core->seats[i].state) {
        case SEAT_WAITING:
            leave_seat(core, i);
            break;
        case SEAT_STARTING:
        case SEAT_READY:
        case SEAT_DRAINING:
            stop(core, i, REASON_CLOSING);
            break;
        case SEAT_STOPPING:
        case SEAT_EMPTY:
            break;
        }
    }
    leave_if_empty(core);
}

static void recycle(struct core *core, uint32_t seat, uint64_t now_ms)
{
    if (seat != CORE_NONE) {
        replace(core, seat, REASON_ASKED, now_ms);
        return;
    }
    for (uint32_t i = 0; i < core->seats_count; i++) {
        if (core->seats[i].state == SEAT_READY &&
            core->seats[i].reason == REASON_NONE) {
            replace(core, i, REASON_ASKED, now_ms);
        }
    }
}

void sp__core_seats_step(struct core *core, const struct core_event *event,
                         uint64_t now_ms)
{
    switch (event->kind) {
    case CORE_START:
        begin(core, now_ms);
        break;
    case CORE_TICK:
        tick(core, now_ms);
        break;
    case CORE_CLOSE:
        close(core, now_ms);
        break;
    case CORE_SPAWN_FAILED:
        spawn_failed(core, event, now_ms);
        break;
    case CORE_READY:
        ready(core, event, now_ms);
        break;
    case CORE_LEAVING:
        leaving(core, event->seat, now_ms);
        break;
    case CORE_DEAD:
        dead(core, event, now_ms);
        break;
    case CORE_FREE_AGAIN:
        core->seats[event->seat].stuck = 0;
        sp__core_pull(core, event->seat, now_ms);
        break;
    case CORE_SPENT:
        core->seats[event->seat].spent = 1;
        replace(core, event->seat, REASON_SPENT, now_ms);
        sp__core_end_bound(core, event->seat);
        break;
    case CORE_MEMORY:
        memory(core, event, now_ms);
        break;
    case CORE_RECYCLE:
        recycle(core, event->seat, now_ms);
        break;
    case CORE_SUBMIT:
    case CORE_CALL_DUE:
    case CORE_CANCEL:
    case CORE_CALL_OK:
    case CORE_CALL_FAILED:
    case CORE_SURRENDER:
    case CORE_ASKS:
    case CORE_DEADLOCK:
    case CORE_RESUME:
        assert(!"an event of calls");
        break;
    }
}

/* ---- when to look again ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void sp__core_plan(struct core *core, uint64_t now_ms)
{
    uint64_t due_ms = core->batch_ms;
    int starts = core->breaker == BREAKER_CLOSED && !core->hopeless && !core->closing &&
                 core->batch_ms == CORE_NEVER &&
                 core->states[SEAT_STARTING] < core->options.startup_batch;
    int probes = core->breaker == BREAKER_OPEN && !core->hopeless && !core->closing;
    if (probes && sp__core_is_ready(core)) {
        due_ms = earlier(due_ms, core->probe_ms);
    }
    for (uint32_t i = 0; i < core->seats_count && !core->closing; i++) {
        const struct core_seat *s = &core->seats[i];
        if ((s->state == SEAT_WAITING && starts) || s->state == SEAT_DRAINING) {
            due_ms = earlier(due_ms, s->due_ms);
        } else if (s->state == SEAT_WAITING && probes && s->replaces == CORE_NONE) {
            due_ms = earlier(due_ms, core->probe_ms);
        } else if (s->state == SEAT_READY) {
            if (!s->steady) {
                due_ms = earlier(due_ms, s->ready_ms + core->options.steady_ms);
            }
            /* One whose time has come waits for a spare seat, not for the clock. */
            if (s->relief == CORE_NONE && s->recycle_ms > now_ms) {
                due_ms = earlier(due_ms, s->recycle_ms);
            }
            if (s->relief == CORE_NONE && s->hold_ms > now_ms) {
                due_ms = earlier(due_ms, s->hold_ms);
            }
        }
    }
    core->next_due_ms = due_ms;
}
