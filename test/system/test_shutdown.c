/* SPDX-License-Identifier: MIT */
/* Ending in good order, within a limit, and at once; and what a pit says of itself. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pit/pit.h"
#include "pits.h"

/* Opened without the fixture's care, because the test itself closes it. */
static sp_pit *open_bare(uint32_t workers)
{
    sp_pool_options pool = pool_of_probes(workers);
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .on_event = event_record};
    sp_pit *pit = NULL;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), 0);
    assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), 0);
    return pit;
}

static sp_health health_of(sp_pit *pit)
{
    sp_health health;
    assert_int_equal(sp_pit_health(pit, patience_ms(20000), &health, NULL), 0);
    return health;
}

/* ---- draining ---- */

static void an_idle_pit_is_drained_at_once(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    assert_int_equal(sp_pit_drain(pit, SP_UNLIMITED, last_error()), 0);
    const sp_error *error = call_fails(pit, "echo", "[1]", NULL, SP_ERR_CLOSED);
    assert_int_equal(error->executed, SP_EXECUTED_NO);
    assert_has(error->message, "shutting down");
}

static void draining_waits_for_queued_and_running_calls(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_id running = hold_start(pit, "running", NULL);
    sp_id queued = call_start(pit, "echo", "[2]", NULL);
    assert_int_equal(sp_pit_drain(pit, 10, last_error()), SP_ERR_TIMEOUT);
    assert_has(last_error()->message, "2 calls had not ended after 10 ms");
    sp_error_clear(last_error());
    hold_release("running");
    assert_int_equal(sp_pit_drain(pit, SP_UNLIMITED, last_error()), 0);
    (void)call_wait(pit, running);
    (void)call_wait(pit, queued);
}

/* ---- shutting down ---- */

static void a_shutdown_lets_calls_end(void **state)
{
    sp_pit *pit = open_bare(2);
    sp_id calls[20];
    for (int i = 0; i < 20; i++) {
        calls[i] = call_start(pit, "add", "[1, 2]", NULL);
    }
    for (int i = 0; i < 20; i++) {
        sp_result result;
        assert_int_equal(sp_call_wait(pit, calls[i], &result, last_error()), 0);
        assert_string_equal(result.json, "3");
        sp_result_clear(&result);
    }
    assert_int_equal(sp_pit_shutdown(pit, SP_UNLIMITED, last_error()), 0);
}

static void reply_told(const sp_reply *reply, void *user_data)
{
    sp_error *error = user_data;
    assert_non_null(reply->error);
    error->code = reply->error->code;
    error->executed = reply->error->executed;
}

static void a_shutdown_cuts_off_what_does_not_end(void **state)
{
    sp_pit *pit = open_bare(1);
    sp_error told = {0};
    char args[400];
    assert_int_equal(sp_call_start(pit, "hang",
                                   sp_text(hold_args("h.held", args, sizeof args)),
                                   NULL, reply_told, &told, NULL, last_error()),
                     0);
    hold_await("h");
    assert_int_equal(sp_pit_shutdown(pit, 200, last_error()), SP_ERR_TIMEOUT);
    assert_has(last_error()->message, "1 calls had not ended");
    assert_int_equal(told.code, SP_ERR_CLOSED);
    assert_int_equal(told.executed, SP_EXECUTED_UNKNOWN);
    sp_error_clear(last_error());
}

static sp_pit *hurried;

static void hurry(int number)
{
    (void)number;
    sp_pit_hurry(hurried);
}

/* The second signal, as a program would take it. */
static void a_signal_ends_the_patience(void **state)
{
    sp_pit *pit = open_bare(1);
    sp_error told = {0};
    char args[400];
    assert_int_equal(sp_call_start(pit, "hang",
                                   sp_text(hold_args("s.held", args, sizeof args)),
                                   NULL, reply_told, &told, NULL, last_error()),
                     0);
    hold_await("s");
    struct sigaction action = {.sa_handler = hurry};
    struct sigaction before;
    hurried = pit;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    (void)raise(SIGUSR1); /* before it waits, or while: both end it */
    assert_int_equal(sp_pit_shutdown(pit, SP_UNLIMITED, last_error()),
                     SP_ERR_CANCELLED);
    assert_has(last_error()->message, "hurried with 1 calls left");
    assert_int_equal(told.code, SP_ERR_CLOSED);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    sp_error_clear(last_error());
}

/* ---- health ---- */

static void a_ready_pit_is_healthy_until_it_shuts_down(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_health health = health_of(pit);
    assert_true(health.live && health.started && health.ready);
    assert_string_equal(health.why, "");
    assert_int_equal(sp_pit_drain(pit, SP_UNLIMITED, NULL), 0);
    health = health_of(pit);
    assert_true(health.live && health.started && !health.ready);
    assert_has(health.why, "shutting down");
}

static void a_pit_without_a_ready_worker_is_live_and_no_more(void **state)
{
    sp_pool_options pool = pool_of_program("never_ready", NULL, 1);
    sp_pit *pit = pit_open(&pool, 1);
    sp_health health = health_of(pit);
    assert_true(health.live && !health.started && !health.ready);
    assert_has(health.why, "no ready worker");
}

static void an_open_breaker_is_not_healthy(void **state)
{
    sp_pool_options pool = pool_of_program("exits", NULL, 1);
    pool.backoff_min_ms = 1;
    pool.backoff_max_ms = 2;
    sp_pit *pit = pit_open(&pool, 1);
    (void)event_await(pit, SP_EVENT_BREAKER_OPENED, 1);
    sp_health health = health_of(pit);
    assert_true(health.live && !health.ready);
    assert_has(health.why, "open breaker");
}

/* It was up once; that it is not now is another answer. */
static void a_pit_that_lost_its_worker_is_started_but_not_ready(void **state)
{
    sp_pool_options pools[2] = {pool_of_probes(1), pool_of_probes(1)};
    pools[0].name = "steady";
    pools[1].name = "frail";
    pools[1].crashes_max = 1;
    pools[1].probe_interval_ms = 50;
    sp_pit *pit = pit_open_ready(pools, 2);
    assert_true(health_of(pit).ready);
    sp_worker_info worker;
    for (unsigned i = 1; i <= 2; i++) {
        do {
            assert_int_equal(
                sp_pool_workers_get(pit, "frail", &worker, 1, last_error()), 1);
        } while (worker.state != SP_WORKER_READY);
        (void)kill(worker.pid, SIGKILL);
        (void)event_await(pit, SP_EVENT_WORKER_DIED, i);
    }
    sp_health health = health_of(pit); /* the second death opened the breaker */
    assert_true(health.live && health.started && !health.ready);
    assert_has(health.why, "pool frail");
    /* A probe that answers a call closes it again. */
    sp_call_options in = {.size = sizeof in, .pool = "frail"};
    sp_result result = {0};
    while (!health_of(pit).ready) {
        (void)sp_execute(pit, "echo", sp_text("[1]"), &in, &result, last_error());
        sp_result_clear(&result);
    }
    assert_string_equal(health_of(pit).why, "");
    sp_error_clear(last_error());
}

struct blockade {
    struct command command;
    struct latch entered;
    struct latch gate;
};

static void block(struct command *command, void *user)
{
    struct blockade *blockade = (struct blockade *)(void *)command;
    sp__latch_open(&blockade->entered);
    (void)sp__latch_wait(&blockade->gate, SP_UNLIMITED);
}

/* The loop cannot say that it does not answer; its silence does. */
static void a_pit_whose_loop_is_blocked_is_not_live(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    struct blockade blockade = {.command = {.run = block}};
    sp__latch_init(&blockade.entered);
    sp__latch_init(&blockade.gate);
    sp__loop_post(((struct sp_pit *)pit)->loop, &blockade.command);
    assert_int_equal(sp__latch_wait(&blockade.entered, patience_ms(20000)), 1);
    sp_health health;
    assert_int_equal(sp_pit_health(pit, 20, &health, last_error()), 0);
    sp__latch_open(&blockade.gate);
    assert_true(!health.live && !health.started && !health.ready);
    assert_has(health.why, "did not answer within 20 ms");
    health = health_of(pit);
    assert_true(health.live && health.started && health.ready);
}

static void nobody_is_asked_without_a_pit(void **state)
{
    sp_health health;
    assert_int_equal(sp_pit_health(NULL, 1, &health, NULL), SP_ERR_INVAL);
    assert_int_equal(sp_pit_drain(NULL, 1, NULL), SP_ERR_INVAL);
    assert_int_equal(sp_pit_shutdown(NULL, 1, NULL), SP_ERR_INVAL);
    sp_pit_hurry(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_idle_pit_is_drained_at_once),
        TEST(draining_waits_for_queued_and_running_calls),
        TEST(a_shutdown_lets_calls_end),
        TEST(a_shutdown_cuts_off_what_does_not_end),
        TEST(a_signal_ends_the_patience),
        TEST(a_ready_pit_is_healthy_until_it_shuts_down),
        TEST(a_pit_without_a_ready_worker_is_live_and_no_more),
        TEST(an_open_breaker_is_not_healthy),
        TEST(a_pit_that_lost_its_worker_is_started_but_not_ready),
        TEST(a_pit_whose_loop_is_blocked_is_not_live),
        TEST(nobody_is_asked_without_a_pit),
    };
    return RUN_SYSTEM_TESTS("shutdown", tests);
}
