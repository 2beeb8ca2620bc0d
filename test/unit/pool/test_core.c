/* SPDX-License-Identifier: MIT */
/* The pool's decisions, case by case. All orders of events together: test/sim. */
#include "pool/core.h"

#include "base/mem.h"
#include "leak.h"
#include "pool/schedule.h"
#include "snakepit/error.h"
#include "snakepit/pool.h"

enum { NOW_MS = 1000, LONG_US = 1000, SHORT_US = 10 };

static const uint32_t long_us = LONG_US;

static struct core core;

static void open_core(struct core_options options)
{
    options.threads = options.threads > 0 ? options.threads : 1;
    options.pipeline_max = options.threads;
    options.startup_batch = options.workers;
    options.queue_max = 8;
    options.attempts_max = options.attempts_max > 0 ? options.attempts_max : 3;
    options.recycle_after_ms = CORE_NEVER;
    options.recycle_calls = CORE_NEVER;
    options.recycle_memory_kib =
        options.recycle_memory_kib > 0 ? options.recycle_memory_kib : CORE_NEVER;
    options.drain_ms = CORE_NEVER;
    options.backoff_min_ms = 100;
    options.backoff_max_ms = 1000;
    options.steady_ms = 10000;
    options.crashes_max = options.crashes_max > 0 ? options.crashes_max : 10;
    options.crash_period_ms = 60000;
    options.probe_ms = 30000;
    options.poison_deaths = options.poison_deaths > 0 ? options.poison_deaths : 2;
    options.seed = 1;
    assert_int_equal(sp__core_init(&core, &options), SP_OK);
}

static void close_core(void)
{
    sp__core_fini(&core);
}

static void step(struct core_event event, uint64_t now_ms)
{
    sp__core_step(&core, &event, now_ms);
}

static void seat_event(enum core_event_kind kind, uint32_t seat)
{
    step((struct core_event){.kind = kind, .seat = seat, .value = 16}, NOW_MS);
}

static void crash(uint32_t seat, uint64_t now_ms)
{
    step((struct core_event){.kind = CORE_DEAD, .seat = seat, .crashed = 1}, now_ms);
}

/* Started, the first `ready` seats ready. */
static void start(uint32_t ready)
{
    step((struct core_event){.kind = CORE_START}, NOW_MS);
    for (uint32_t i = 0; i < ready; i++) {
        seat_event(CORE_READY, i);
    }
}

static int next_affinity; /* of the next call, SP_AFFINITY_DEFAULT: the pool's */

/* A call of the session of a seat's present worker, or of none. */
static uint32_t submit(uint32_t own_seat, int idempotent)
{
    uint32_t at = sp__core_call_new(&core);
    assert_int_not_equal(at, CORE_NONE);
    struct core_call *call = &core.calls[at];
    call->average_us = &long_us;
    call->deadline_ms = CORE_NEVER;
    call->queue_deadline_ms = CORE_NEVER;
    call->idempotent = (uint8_t)idempotent;
    if (next_affinity != SP_AFFINITY_DEFAULT) {
        call->affinity = (uint8_t)next_affinity;
        next_affinity = SP_AFFINITY_DEFAULT;
    }
    if (own_seat != CORE_NONE) {
        call->preferred = own_seat;
        call->preferred_generation = core.seats[own_seat].generation;
    }
    step((struct core_event){.kind = CORE_SUBMIT, .call = at}, NOW_MS);
    return at;
}

static void answer(uint32_t call)
{
    step((struct core_event){.kind = CORE_CALL_OK, .call = call}, NOW_MS);
}

static const struct core_action *find_action(enum core_action_kind kind, uint32_t call)
{
    for (uint32_t i = 0; i < core.actions_count; i++) {
        if (core.actions[i].kind == kind && core.actions[i].call == call) {
            return &core.actions[i];
        }
    }
    return NULL;
}

static void assert_ended(uint32_t call, enum core_ending ending)
{
    const struct core_action *action = find_action(CORE_DO_END, call);
    assert_non_null(action);
    assert_int_equal(action->what, ending);
}

static void assert_sent(uint32_t call, uint32_t seat)
{
    assert_int_equal(core.calls[call].state, CALL_SENT);
    assert_int_equal(core.calls[call].seat, seat);
}

/* ---- calls ---- */

static void a_strict_call_behind_others_stays_with_its_worker(void **state)
{
    open_core(
        (struct core_options){.workers = 2, .affinity = SP_AFFINITY_STRICT_QUEUE});
    start(2);
    uint32_t on_0 = submit(0, 0);
    uint32_t on_1 = submit(1, 0);
    assert_sent(on_0, 0);
    assert_sent(on_1, 1);
    uint32_t any = submit(CORE_NONE, 0);
    uint32_t own = submit(0, 0);
    answer(on_1);
    assert_sent(any, 1);
    answer(any);
    /* The other worker is idle; it is not the session's. */
    assert_int_equal(core.calls[own].state, CALL_QUEUED);
    answer(on_0);
    assert_sent(own, 0);
    close_core();
}

static void who_fails_fast_does_not_wait_behind_others(void **state)
{
    open_core(
        (struct core_options){.workers = 1, .affinity = SP_AFFINITY_STRICT_FAIL_FAST});
    start(1);
    (void)submit(0, 0);
    (void)submit(CORE_NONE, 0);
    uint32_t own = submit(0, 0);
    assert_ended(own, ENDING_WORKER_BUSY);
    close_core();
}

static void a_spent_worker_has_lost_its_sessions(void **state)
{
    for (int affinity = SP_AFFINITY_STRICT_QUEUE;
         affinity <= SP_AFFINITY_STRICT_FAIL_FAST; affinity++) {
        open_core(
            (struct core_options){.workers = 2, .surge = 1, .affinity = affinity});
        start(2);
        uint32_t first = submit(0, 0);
        seat_event(CORE_SPENT, 0);
        assert_sent(first, 0); /* it ends what it has */
        uint32_t own = submit(0, 0);
        assert_ended(own, ENDING_WORKER_GONE);
        close_core();
    }
}

static void a_call_may_have_an_affinity_of_its_own(void **state)
{
    open_core((struct core_options){.workers = 2});
    start(2);
    uint32_t first = submit(0, 0);
    assert_sent(first, 0);
    next_affinity = SP_AFFINITY_STRICT_FAIL_FAST;
    assert_ended(submit(0, 0), ENDING_WORKER_BUSY);
    next_affinity = SP_AFFINITY_STRICT_QUEUE;
    uint32_t own = submit(0, 0);
    assert_int_equal(core.calls[own].state, CALL_QUEUED);
    next_affinity = SP_AFFINITY_NONE;
    assert_sent(submit(0, 0), 1);
    answer(first);
    assert_sent(own, 0);
    close_core();
}

static void calls_that_wait_for_a_lost_worker_are_told(void **state)
{
    open_core((struct core_options){
        .workers = 3, .threads = 2, .affinity = SP_AFFINITY_STRICT_QUEUE});
    start(3);
    uint32_t calls[4];
    for (uint32_t i = 0; i < 4; i++) {
        calls[i] = submit(0, 0); /* two run there, two wait for it */
    }
    assert_int_equal(core.calls[calls[2]].state, CALL_QUEUED);
    seat_event(CORE_LEAVING, 0);
    assert_ended(calls[2], ENDING_WORKER_GONE);
    assert_ended(calls[3], ENDING_WORKER_GONE);
    assert_int_equal(core.queue.length, 0);
    close_core();
}

static void nothing_is_sent_after_its_deadline(void **state)
{
    open_core((struct core_options){.workers = 1});
    start(1);
    uint32_t first = submit(CORE_NONE, 0);
    uint32_t late = submit(CORE_NONE, 0);
    uint32_t next = submit(CORE_NONE, 0);
    core.calls[late].deadline_ms = NOW_MS;
    answer(first);
    assert_ended(late, ENDING_TIMEOUT);
    assert_sent(next, 0);
    close_core();
}

static void a_budget_of_one_allows_one_repetition(void **state)
{
    open_core((struct core_options){.workers = 2, .retry_tokens_max = 1});
    start(2);
    struct core_event lost = {
        .kind = CORE_CALL_FAILED, .executed = SP_EXECUTED_UNKNOWN, .lost = 1};
    lost.call = submit(CORE_NONE, 1);
    step(lost, NOW_MS);
    assert_int_equal(core.calls[lost.call].state, CALL_RESTING);
    for (int i = 0; i < 9; i++) {
        answer(submit(CORE_NONE, 0));
    }
    lost.call = submit(CORE_NONE, 1);
    step(lost, NOW_MS);
    assert_ended(lost.call, ENDING_FAILED);
    assert_true(core.tokens_tenths < 10);
    close_core();
}

/* ---- workers ---- */

static void a_hopeless_pool_refuses_when_its_last_worker_dies(void **state)
{
    open_core((struct core_options){.workers = 2});
    start(1);
    step(
        (struct core_event){.kind = CORE_DEAD, .seat = 1, .crashed = 1, .permanent = 1},
        NOW_MS);
    uint32_t running = submit(CORE_NONE, 0);
    uint32_t waiting = submit(CORE_NONE, 0);
    seat_event(CORE_LEAVING, 0);
    step((struct core_event){.kind = CORE_CALL_FAILED,
                             .call = running,
                             .executed = SP_EXECUTED_UNKNOWN,
                             .lost = 1},
         NOW_MS);
    crash(0, NOW_MS);
    assert_ended(waiting, ENDING_START_FAILED);
    assert_ended(submit(CORE_NONE, 0), ENDING_START_FAILED);
    close_core();
}

static void an_open_breaker_ends_those_whose_last_worker_goes(void **state)
{
    open_core((struct core_options){.workers = 2, .crashes_max = 1});
    start(2);
    crash(1, NOW_MS);
    crash(1, NOW_MS);
    assert_int_equal(core.breaker, BREAKER_OPEN);
    (void)submit(CORE_NONE, 0);
    uint32_t waiting = submit(CORE_NONE, 0);
    seat_event(CORE_LEAVING, 0);
    assert_ended(waiting, ENDING_BREAKER);
    close_core();
}

/* A part without workers ends nothing that others can run. */
static void what_waits_in_a_broken_part_is_for_the_others(void **state)
{
    open_core((struct core_options){.workers = 2, .crashes_max = 1, .parts = 2});
    start(2);
    crash(1, NOW_MS);
    crash(1, NOW_MS);
    assert_int_equal(core.breaker, BREAKER_OPEN);
    (void)submit(CORE_NONE, 0);
    uint32_t waiting = submit(CORE_NONE, 0);
    core.others_ready = 1;
    seat_event(CORE_LEAVING, 0);
    assert_int_equal(core.calls[waiting].state, CALL_QUEUED);
    uint32_t late = submit(CORE_NONE, 0);
    assert_int_equal(core.calls[late].state, CALL_QUEUED);
    next_affinity = SP_AFFINITY_STRICT_QUEUE;
    assert_ended(submit(0, 0), ENDING_WORKER_GONE); /* not that of the breaker */
    step((struct core_event){.kind = CORE_SURRENDER, .value = UINT32_MAX}, NOW_MS);
    assert_ended(waiting, ENDING_ELSEWHERE);
    assert_ended(late, ENDING_ELSEWHERE);
    core.others_ready = 0;
    assert_ended(submit(CORE_NONE, 0), ENDING_BREAKER);
    close_core();
}

static void a_part_that_cannot_start_ends_nothing_of_others(void **state)
{
    open_core((struct core_options){.workers = 1, .parts = 2});
    start(0);
    uint32_t waiting = submit(CORE_NONE, 0);
    core.others_ready = 1;
    crash(0, NOW_MS);
    assert_int_equal(core.calls[waiting].state, CALL_QUEUED);
    core.others_ready = 0;
    step((struct core_event){.kind = CORE_TICK}, NOW_MS);
    crash(0, NOW_MS);
    assert_ended(waiting, ENDING_START_FAILED);
    close_core();
}

static void a_hopeless_pool_with_an_open_breaker_sleeps(void **state)
{
    open_core((struct core_options){.workers = 2, .crashes_max = 1});
    start(1);
    crash(1, NOW_MS);
    crash(1, NOW_MS);
    assert_int_equal(core.breaker, BREAKER_OPEN);
    step(
        (struct core_event){.kind = CORE_DEAD, .seat = 0, .crashed = 1, .permanent = 1},
        NOW_MS);
    uint64_t later_ms = NOW_MS + 30000;
    step((struct core_event){.kind = CORE_TICK}, later_ms);
    assert_true(core.next_due_ms > later_ms);
    close_core();
}

/* Reliefs that do not start open the breaker, though every worker is well. */
static void a_breaker_closes_when_every_place_is_taken(void **state)
{
    open_core((struct core_options){.workers = 1, .surge = 1, .crashes_max = 1});
    start(1);
    for (int i = 0; i < 2; i++) {
        seat_event(CORE_RECYCLE, 0);
        assert_int_equal(core.seats[1].state, SEAT_STARTING);
        crash(1, NOW_MS);
    }
    assert_int_equal(core.breaker, BREAKER_OPEN);
    assert_true(core.next_due_ms <= NOW_MS + 30000);
    step((struct core_event){.kind = CORE_TICK}, NOW_MS + 30000);
    assert_int_equal(core.breaker, BREAKER_CLOSED);
    close_core();
}

/* A worker dies of the call it runs; the moment at which its seat has another one. */
static uint64_t crash_under(uint32_t call, uint64_t now_ms)
{
    uint32_t seat = core.calls[call].seat;
    step((struct core_event){.kind = CORE_LEAVING, .seat = seat}, now_ms);
    step((struct core_event){.kind = CORE_CALL_FAILED,
                             .call = call,
                             .executed = SP_EXECUTED_UNKNOWN,
                             .lost = 1,
                             .blamed = 1},
         now_ms);
    crash(seat, now_ms);
    while (core.seats[seat].state == SEAT_WAITING) {
        now_ms =
            core.seats[seat].due_ms > now_ms ? core.seats[seat].due_ms : now_ms + 1;
        step((struct core_event){.kind = CORE_TICK}, now_ms);
    }
    step((struct core_event){.kind = CORE_READY, .seat = seat, .value = 1}, now_ms);
    return now_ms;
}

static void poison_is_not_held_against_the_pool(void **state)
{
    /* Also when the attempts end together with the patience. */
    open_core((struct core_options){
        .workers = 1, .crashes_max = 1, .attempts_max = 2, .retry_tokens_max = 100});
    start(1);
    uint64_t now_ms = NOW_MS;
    for (int i = 0; i < 5; i++) {
        uint32_t call = submit(CORE_NONE, 1);
        now_ms = crash_under(call, now_ms);
        assert_int_equal(core.crashes_count, 1);
        assert_int_equal(core.calls[call].state, CALL_RESTING);
        step((struct core_event){.kind = CORE_CALL_DUE, .call = call}, now_ms);
        assert_sent(call, 0);
        now_ms = crash_under(call, now_ms);
        assert_int_equal(core.calls[call].state, CALL_FREE);
        assert_int_equal(core.crashes_count, 0);
        assert_int_equal(core.breaker, BREAKER_CLOSED);
    }
    close_core();
}

/* ---- calls that wait ---- */

/* Calls of one tool, on a worker that takes some of them ahead. */
static void open_for_a_tool(uint32_t *calls, uint32_t count, const uint32_t *average_us)
{
    open_core((struct core_options){.workers = 1});
    core.options.pipeline_max = count;
    start(1);
    for (uint32_t i = 0; i < count; i++) {
        calls[i] = sp__core_call_new(&core);
        assert_int_not_equal(calls[i], CORE_NONE);
        core.calls[calls[i]].average_us = average_us;
        core.calls[calls[i]].deadline_ms = CORE_NEVER;
        core.calls[calls[i]].queue_deadline_ms = CORE_NEVER;
        step((struct core_event){.kind = CORE_SUBMIT, .call = calls[i]}, NOW_MS);
    }
}

static void what_waits_is_thought_of_anew(uint32_t average_us)
{
    uint32_t calls[4];
    open_for_a_tool(calls, 4, &average_us);
    assert_sent(calls[0], 0);
    assert_int_equal(core.queue.length, 3);
    average_us = SHORT_US; /* it was only then that it took long */
    answer(calls[0]);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(core.calls[calls[i]].state, CALL_SENT);
    }
    assert_int_equal(core.seats[0].estimate_us, 3 * SHORT_US);
    average_us = LONG_US; /* what has been sent is not looked at again */
    answer(calls[1]);
    assert_int_equal(core.seats[0].estimate_us, 2 * SHORT_US);
    close_core();
}

static void what_came_in_a_bad_moment_does_not_wait_for_it(void **state)
{
    what_waits_is_thought_of_anew(LONG_US);
}

static void what_came_before_anything_was_known_does_not_wait_for_it(void **state)
{
    what_waits_is_thought_of_anew(0);
}

/* ---- calls that calls ask for ---- */

/* As the shell does: in behalf of a call, and of those in whose behalf that one is. */
static uint32_t ask(uint32_t parent)
{
    uint32_t at = sp__core_call_new(&core);
    assert_int_not_equal(at, CORE_NONE);
    struct core_call *call = &core.calls[at];
    call->average_us = &long_us;
    call->deadline_ms = CORE_NEVER;
    call->queue_deadline_ms = CORE_NEVER;
    call->nested = 1;
    for (uint32_t i = 0; i < core.calls[parent].ancestors_count; i++) {
        call->ancestors[call->ancestors_count++] = core.calls[parent].ancestors[i];
    }
    call->ancestors[call->ancestors_count++] = parent;
    step((struct core_event){.kind = CORE_SUBMIT, .call = at}, NOW_MS);
    return at;
}

static void a_pool_of_one_does_not_wait_for_itself(void **state)
{
    open_core((struct core_options){.workers = 1});
    start(1);
    uint32_t parent = submit(CORE_NONE, 0);
    uint32_t child = ask(parent);
    assert_ended(child, ENDING_DEADLOCK);
    assert_int_equal(core.seats[0].held, 0);
    answer(parent);
    assert_sent(submit(CORE_NONE, 0), 0);
    close_core();
}

static void a_chain_ends_where_no_worker_is_left(void **state)
{
    open_core((struct core_options){.workers = 3});
    start(3);
    uint32_t first = submit(CORE_NONE, 0);
    uint32_t second = ask(first);
    uint32_t third = ask(second);
    assert_int_equal(core.calls[third].state, CALL_SENT);
    assert_ended(ask(third), ENDING_DEADLOCK);
    answer(third);
    third = ask(second);
    assert_int_equal(core.calls[third].state, CALL_SENT);
    close_core();
}

static void a_nested_call_waits_for_those_who_do_not_wait(void **state)
{
    open_core((struct core_options){.workers = 2});
    start(2);
    uint32_t parent = submit(CORE_NONE, 0);
    uint32_t other = submit(CORE_NONE, 0);
    uint32_t child = ask(parent);
    assert_int_equal(core.calls[child].state, CALL_QUEUED);
    assert_int_equal(core.seats[core.calls[parent].seat].held, 1);
    /* Now the other one asks too: nobody would ever end. */
    assert_ended(ask(other), ENDING_DEADLOCK);
    assert_int_equal(core.calls[child].state, CALL_QUEUED);
    answer(other);
    assert_sent(child, 1 - core.calls[parent].seat);
    assert_int_equal(core.seats[core.calls[parent].seat].held, 0);
    close_core();
}

static void a_nested_call_never_stands_behind_another(void **state)
{
    open_core((struct core_options){.workers = 2});
    core.options.pipeline_max = 8;
    start(2);
    uint32_t parent = submit(CORE_NONE, 0);
    uint32_t other = submit(CORE_NONE, 0);
    /* Short ones may be sent ahead; one that is asked for may not. */
    core.seats[0].estimate_us = core.seats[1].estimate_us = 10;
    core.calls[parent].estimate_us = core.calls[other].estimate_us = 10;
    uint32_t child = ask(parent);
    assert_int_equal(core.calls[child].state, CALL_QUEUED);
    answer(other);
    assert_int_equal(core.calls[child].state, CALL_SENT);
    close_core();
}

static void ask_another_part(uint32_t parent)
{
    step((struct core_event){.kind = CORE_ASKS, .call = parent}, NOW_MS);
}

static void ask_in_vain(uint32_t parent)
{
    assert_ended(ask(parent), ENDING_DEADLOCK);
}

static void nothing_stands_behind_one_that(void (*asks)(uint32_t parent))
{
    uint32_t short_us = SHORT_US;
    uint32_t calls[2];
    open_for_a_tool(calls, 2, &short_us);
    assert_sent(calls[1], 0);
    assert_int_equal(core.seats[0].estimate_us, 2 * SHORT_US);
    asks(calls[0]);
    uint32_t third = submit(CORE_NONE, 0);
    core.calls[third].average_us = &short_us;
    answer(calls[1]);
    assert_int_equal(core.calls[third].state, CALL_QUEUED);
    assert_int_equal(core.seats[0].estimate_us, SCHED_AHEAD_US);
    answer(calls[0]);
    assert_sent(third, 0);
    assert_int_equal(core.seats[0].estimate_us, SHORT_US);
    close_core();
}

static void nothing_stands_behind_one_that_asks(void **state)
{
    nothing_stands_behind_one_that(ask_in_vain);
}

static void nothing_stands_behind_one_that_asks_another_part(void **state)
{
    nothing_stands_behind_one_that(ask_another_part);
}

static void a_free_thread_of_the_same_worker_will_do(void **state)
{
    open_core((struct core_options){.workers = 1, .threads = 2});
    start(1);
    uint32_t parent = submit(CORE_NONE, 0);
    uint32_t child = ask(parent);
    assert_sent(child, 0);
    assert_ended(ask(child), ENDING_DEADLOCK);
    close_core();
}

static uint32_t told_full(void)
{
    uint32_t count = 0;
    for (size_t i = 0; i < core.actions_count; i++) {
        count += core.actions[i].kind == CORE_DO_TELL &&
                 core.actions[i].what == NEWS_CAPACITY;
    }
    return count;
}

/* Once when it is full, and not again before half of it has been free. */
static void a_full_worker_is_told_once(void **state)
{
    uint32_t calls[4];
    open_core((struct core_options){.workers = 1, .threads = 4});
    start(1);
    for (size_t i = 0; i < 4; i++) {
        calls[i] = submit(CORE_NONE, 0);
        assert_int_equal(told_full(), i == 3);
    }
    answer(calls[0]);
    calls[0] = submit(CORE_NONE, 0);
    assert_int_equal(told_full(), 0);
    answer(calls[0]);
    answer(calls[1]);
    calls[0] = submit(CORE_NONE, 0);
    assert_int_equal(told_full(), 0);
    calls[1] = submit(CORE_NONE, 0);
    assert_int_equal(told_full(), 1);
    close_core();
}

/* A worker of one call is full with each: nothing to tell. */
static void a_worker_of_one_call_is_not_told_full(void **state)
{
    open_core((struct core_options){.workers = 1});
    start(1);
    (void)submit(CORE_NONE, 0);
    assert_int_equal(told_full(), 0);
    close_core();
}

static void a_worker_that_starts_is_waited_for(void **state)
{
    open_core((struct core_options){.workers = 2});
    start(1);
    uint32_t parent = submit(CORE_NONE, 0);
    uint32_t child = ask(parent);
    assert_int_equal(core.calls[child].state, CALL_QUEUED);
    seat_event(CORE_READY, 1);
    assert_sent(child, 1);
    close_core();
}

static void strict_waits_for_its_own(uint32_t parts)
{
    open_core((struct core_options){
        .workers = 2, .affinity = SP_AFFINITY_STRICT_QUEUE, .parts = parts});
    start(2);
    uint32_t parent = submit(0, 0);
    assert_sent(parent, 0);
    uint32_t at = sp__core_call_new(&core);
    core.calls[at].deadline_ms = core.calls[at].queue_deadline_ms = CORE_NEVER;
    core.calls[at].average_us = &long_us;
    core.calls[at].preferred = 0;
    core.calls[at].preferred_generation = core.seats[0].generation;
    core.calls[at].nested = 1;
    core.calls[at].ancestors[core.calls[at].ancestors_count++] = parent;
    step((struct core_event){.kind = CORE_SUBMIT, .call = at}, NOW_MS);
    assert_ended(at, ENDING_DEADLOCK);
    close_core();
}

static void a_strict_session_does_not_wait_for_its_own_worker(void **state)
{
    strict_waits_for_its_own(0);
}

static void nor_does_it_in_a_part(void **state)
{
    strict_waits_for_its_own(2);
}

static void who_asked_may_end_before_what_it_asked_for(void **state)
{
    open_core((struct core_options){.workers = 2});
    start(2);
    uint32_t parent = submit(CORE_NONE, 0);
    uint32_t other = submit(CORE_NONE, 0);
    uint32_t child = ask(parent);
    answer(parent);
    assert_int_equal(core.calls[child].state, CALL_SENT); /* in its place */
    assert_int_equal(core.calls[child].ancestors_count, 0);
    answer(other);
    answer(child);
    assert_int_equal(core.seats[0].held + core.seats[1].held, 0);
    close_core();
}

/* ---- memory ---- */

enum { LIMIT_KIB = 1024 };

static void look_at_memory(uint64_t kib)
{
    step((struct core_event){.kind = CORE_MEMORY, .seat = 0, .value = kib}, NOW_MS);
}

static int is_relieved(void)
{
    return core.seats[0].relief != CORE_NONE;
}

/* A relief would be no smaller. */
static void a_worker_too_big_before_its_first_call_stays(void **state)
{
    open_core((struct core_options){
        .workers = 1, .recycle_memory_kib = LIMIT_KIB, .surge = 1});
    start(1);
    look_at_memory(2 * LIMIT_KIB);
    uint32_t call = submit(CORE_NONE, 0);
    look_at_memory(2 * LIMIT_KIB);
    answer(call);
    look_at_memory(2 * LIMIT_KIB);
    assert_false(is_relieved());
    close_core();
}

static void a_worker_that_grew_in_its_first_call_is_replaced(void **state)
{
    open_core((struct core_options){
        .workers = 1, .recycle_memory_kib = LIMIT_KIB, .surge = 1});
    start(1);
    (void)submit(CORE_NONE, 0);
    look_at_memory(2 * LIMIT_KIB);
    assert_true(is_relieved());
    close_core();
}

static void a_number_needs_memory(void **state)
{
    open_core((struct core_options){.workers = 1});
    sp__mem_fail_at(1, 1);
    uint32_t none = sp__core_call_new(&core);
    sp__mem_fail_at(2, 1);
    uint32_t none_either = sp__core_call_new(&core);
    sp__mem_fail_at(0, 0);
    assert_int_equal(none, CORE_NONE);
    assert_int_equal(none_either, CORE_NONE);
    start(1);
    assert_sent(submit(CORE_NONE, 0), 0);
    close_core();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_strict_call_behind_others_stays_with_its_worker),
        TEST(who_fails_fast_does_not_wait_behind_others),
        TEST(a_spent_worker_has_lost_its_sessions),
        TEST(a_call_may_have_an_affinity_of_its_own),
        TEST(calls_that_wait_for_a_lost_worker_are_told),
        TEST(nothing_is_sent_after_its_deadline),
        TEST(a_budget_of_one_allows_one_repetition),
        TEST(a_hopeless_pool_refuses_when_its_last_worker_dies),
        TEST(an_open_breaker_ends_those_whose_last_worker_goes),
        TEST(what_waits_in_a_broken_part_is_for_the_others),
        TEST(a_part_that_cannot_start_ends_nothing_of_others),
        TEST(a_hopeless_pool_with_an_open_breaker_sleeps),
        TEST(a_breaker_closes_when_every_place_is_taken),
        TEST(poison_is_not_held_against_the_pool),
        TEST(a_pool_of_one_does_not_wait_for_itself),
        TEST(a_chain_ends_where_no_worker_is_left),
        TEST(a_nested_call_waits_for_those_who_do_not_wait),
        TEST(what_came_in_a_bad_moment_does_not_wait_for_it),
        TEST(what_came_before_anything_was_known_does_not_wait_for_it),
        TEST(a_nested_call_never_stands_behind_another),
        TEST(nothing_stands_behind_one_that_asks),
        TEST(nothing_stands_behind_one_that_asks_another_part),
        TEST(a_free_thread_of_the_same_worker_will_do),
        TEST(a_full_worker_is_told_once),
        TEST(a_worker_of_one_call_is_not_told_full),
        TEST(a_worker_that_starts_is_waited_for),
        TEST(a_strict_session_does_not_wait_for_its_own_worker),
        TEST(nor_does_it_in_a_part),
        TEST(who_asked_may_end_before_what_it_asked_for),
        TEST(a_worker_too_big_before_its_first_call_stays),
        TEST(a_worker_that_grew_in_its_first_call_is_replaced),
        TEST(a_number_needs_memory),
    };
    return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
