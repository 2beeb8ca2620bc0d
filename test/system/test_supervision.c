/* SPDX-License-Identifier: MIT */
/* Workers replaced before they rot, and pools that know when to stop trying. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pits.h"

/* ---- recycling ---- */

static void a_recycled_worker_is_relieved_before_it_goes(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_id old = worker_at(pit, 0).id;
    assert_int_equal(sp_pool_recycle(pit, NULL, old, last_error()), 0);
    (void)event_await(pit, SP_EVENT_RECYCLE_STARTED, 1);
    (void)event_await(pit, SP_EVENT_WORKER_READY, 2);
    const struct seen *gone = event_await(pit, SP_EVENT_WORKER_RECYCLED, 1);
    assert_has(gone->message, "by request");
    assert_int_equal(event_count(SP_EVENT_WORKER_DIED), 0);
    assert_int_equal(stats_of(pit).recycled, 1);
    assert_int_equal(stats_of(pit).workers_died, 0);
    assert_true(call(pit, "echo", "[1]", NULL)->worker != old);
    sp_worker_info workers[4];
    assert_int_equal(sp_pool_workers_get(pit, NULL, workers, 4, last_error()), 1);
}

static void a_recycled_worker_ends_the_call_it_has(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_id held = hold_start(pit, "recycled", NULL);
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), 0);
    (void)event_await(pit, SP_EVENT_WORKER_READY, 2);
    /* The relief works while the old one still has its call. */
    call_gives(pit, "echo", "[2]", "2");
    assert_int_equal(event_count(SP_EVENT_WORKER_RECYCLED), 0);
    assert_int_equal(workers_in(pit, SP_WORKER_DRAINING), 1);
    assert_int_equal(stats_of(pit).draining, 1);
    hold_release("recycled");
    (void)call_wait(pit, held);
    (void)event_await(pit, SP_EVENT_WORKER_RECYCLED, 1);
}

static void every_worker_is_recycled_one_after_another(void **state)
{
    sp_pit *pit = pit_of_probes(3);
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), 0);
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()),
                     0); /* no more than that */
    (void)event_await(pit, SP_EVENT_WORKER_RECYCLED, 3);
    assert_int_equal(stats_of(pit).recycled, 3);
    assert_int_equal(stats_of(pit).workers_started, 6);
    assert_int_equal(stats_of(pit).workers_died, 0);
}

static void an_unknown_worker_is_not_recycled(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    assert_int_equal(sp_pool_recycle(pit, NULL, 4711, last_error()), SP_ERR_NOT_FOUND);
    assert_has(last_error()->message, "no worker 4711");
    assert_int_equal(sp_pool_recycle(pit, "nowhere", 0, last_error()), SP_ERR_NO_POOL);
    assert_int_equal(sp_pool_recycle(NULL, NULL, 0, last_error()), SP_ERR_INVAL);
    sp_error_clear(last_error());
}

static void calls_wear_a_worker_out(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.recycle_calls = 5;
    pool.recycle_jitter_permille = SP_NONE;
    sp_pit *pit = pit_open_ready(&pool, 1);
    while (stats_of(pit).recycled < 2) {
        call_gives(pit, "echo", "[3]", "3");
    }
    const struct seen *first = event_await(pit, SP_EVENT_WORKER_RECYCLED, 1);
    assert_has(first->message, "recycle.calls");
    assert_int_equal(stats_of(pit).errors, 0);
}

static void age_wears_a_worker_out(void **state)
{
    sp_pool_options pool = pool_of_probes(2);
    pool.recycle_after_ms = 300;
    sp_pit *pit = pit_open_ready(&pool, 1);
    const struct seen *first = event_await(pit, SP_EVENT_WORKER_RECYCLED, 1);
    assert_has(first->message, "recycle.after");
    (void)event_await(pit, SP_EVENT_WORKER_RECYCLED, 4);
    assert_int_equal(stats_of(pit).errors, 0);
}

static void without_a_spare_place_the_old_one_goes_first(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.recycle_surge = SP_NONE;
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_id old = worker_at(pit, 0).id;
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), 0);
    call_gives(pit, "echo", "[4]", "4"); /* it waits for the new one */
    assert_true(worker_at(pit, 0).id != old);
    assert_int_equal(stats_of(pit).recycled, 1);
}

/* The relief is a fresh process: what the old one kept for the session is told as lost,
 * once, and the session begins anew there. */
static void a_strict_session_is_told_of_the_relief(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.affinity = SP_AFFINITY_STRICT_FAIL_FAST;
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_call_options in = {.size = sizeof in, .session = "s"};
    sp_id old = call(pit, "echo", "[5]", &in)->worker;
    sp_id held = hold_start(pit, "moving", NULL);
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), 0);
    (void)event_await(pit, SP_EVENT_WORKER_READY, 2);
    call_fails(pit, "echo", "[6]", &in, SP_ERR_SESSION_WORKER_LOST);
    assert_has(last_error()->message, "is being replaced");
    assert_true(call(pit, "echo", "[6]", &in)->worker != old);
    hold_release("moving");
    (void)call_wait(pit, held);
}

/* ---- the breaker ---- */

static void a_worker_that_always_dies_opens_the_breaker(void **state)
{
    sp_pool_options pool = pool_of_program("exits", NULL, 2);
    pool.backoff_min_ms = 1;
    pool.backoff_max_ms = 2;
    pool.probe_interval_ms = 60000;
    sp_pit *pit = pit_open(&pool, 1);
    /* Each loop that has a worker has a breaker, and its share of the failures. */
    unsigned breakers = getenv("SNAKEPIT_LOOPS") == NULL ? 1 : 2;
    const struct seen *opened = event_await(pit, SP_EVENT_BREAKER_OPENED, breakers);
    assert_has(opened->message, "one start per 60000 ms");
    sp_pool_stats stats = stats_of(pit);
    assert_int_equal(stats.breaker, SP_BREAKER_OPEN);
    assert_in_range(stats.workers_started, 5, 7);
    const sp_error *refused = call_fails(pit, "echo", "[]", NULL, SP_ERR_BREAKER_OPEN);
    assert_int_equal(refused->executed, SP_EXECUTED_NO);
    assert_int_equal(refused->retryable, 1);
    assert_in_range(refused->retry_after_ms, 1, 60000);
    assert_has(refused->message, "starts no workers for a while");
}

static void a_probe_that_works_closes_the_breaker(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.backoff_min_ms = 1;
    pool.backoff_max_ms = 2;
    pool.crashes_max = 2;
    pool.probe_interval_ms = 50;
    sp_pit *pit = pit_open_ready(&pool, 1);
    for (unsigned i = 0; i < 3; i++) {
        (void)kill(worker_at(pit, 0).pid, SIGKILL);
        (void)event_await(pit, SP_EVENT_WORKER_DIED, i + 1);
        if (i < 2) {
            (void)event_await(pit, SP_EVENT_WORKER_READY, i + 2);
        }
    }
    (void)event_await(pit, SP_EVENT_BREAKER_OPENED, 1);
    (void)event_await(pit, SP_EVENT_BREAKER_PROBED, 1);
    (void)event_await(pit, SP_EVENT_WORKER_READY, 4);
    call_gives(pit, "echo", "[7]", "7");
    (void)event_await(pit, SP_EVENT_BREAKER_CLOSED, 1);
    assert_int_equal(stats_of(pit).breaker, SP_BREAKER_CLOSED);
}

/* ---- retries and poison ---- */

static void an_idempotent_call_outlives_its_worker(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    sp_call_options again = {.size = sizeof again, .flags = SP_CALL_IDEMPOTENT};
    sp_id held = hold_start(pit, "again", &again);
    sp_worker_info workers[2];
    assert_int_equal(sp_pool_workers_get(pit, NULL, workers, 2, last_error()), 2);
    (void)kill(workers[workers[0].in_flight > 0 ? 0 : 1].pid, SIGKILL);
    (void)event_await(pit, SP_EVENT_CALL_RETRIED, 1);
    hold_release("again");
    assert_int_equal(call_wait(pit, held)->attempts, 2);
    assert_int_equal(stats_of(pit).retried, 1);
}

/* The tool says so itself, so its callers need not know. */
static void a_call_of_an_idempotent_tool_outlives_its_worker(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(2);
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("once"));
    const sp_result *result = call(pit, "end_once_harmless", args, NULL);
    assert_string_equal(result->json, "\"survived\"");
    assert_int_equal(result->attempts, 2);
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("twice"));
    const sp_error *err = call_fails(pit, "end_once", args, NULL, SP_ERR_WORKER_DIED);
    assert_int_equal(err->retryable, 0);
}

static void a_call_that_is_not_idempotent_is_not_run_twice(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_id held = hold_start(pit, "once", NULL);
    (void)kill(worker_at(pit, 0).pid, SIGKILL);
    const sp_error *error = call_wait_fails(pit, held, SP_ERR_WORKER_DIED);
    assert_int_equal(error->executed, SP_EXECUTED_UNKNOWN);
    assert_int_equal(error->retryable, 0);
    assert_int_equal(error->stage, SP_STAGE_STARTED);
    assert_int_equal(error->attempts, 1);
}

static void a_call_that_kills_its_workers_is_given_up(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    sp_call_options again = {.size = sizeof again, .flags = SP_CALL_IDEMPOTENT};
    const sp_error *error = call_fails(pit, "crash", "[]", &again, SP_ERR_POISON);
    assert_int_equal(error->attempts, 2);
    assert_int_equal(error->retryable, 0);
    assert_int_equal(error->executed, SP_EXECUTED_UNKNOWN);
    /* A sanitizer in the worker makes an abort or an exit of it. */
    assert_true(error->worker_signal != 0 || error->worker_exit > 0);
    assert_has(error->message, "\"crash\" ended 2 workers");
    (void)event_await(pit, SP_EVENT_CALL_POISONED, 1);
    call_gives(pit, "echo", "[8]", "8");
    assert_int_equal(stats_of(pit).poisoned, 1);
}

static void calls_like_a_poisoned_one_are_refused_for_a_while(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.poison_block_ms = 60000;
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)call_fails(pit, "crash", "[]", NULL, SP_ERR_WORKER_DIED);
    (void)call_fails(pit, "crash", "[]", NULL, SP_ERR_WORKER_DIED);
    const sp_error *refused = call_fails(pit, "crash", "[]", NULL, SP_ERR_POISON);
    assert_int_equal(refused->attempts, 0);
    assert_int_equal(refused->executed, SP_EXECUTED_NO);
    call_gives(pit, "echo", "[9]", "9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_recycled_worker_is_relieved_before_it_goes),
        TEST(a_recycled_worker_ends_the_call_it_has),
        TEST(every_worker_is_recycled_one_after_another),
        TEST(an_unknown_worker_is_not_recycled),
        TEST(calls_wear_a_worker_out),
        TEST(age_wears_a_worker_out),
        TEST(without_a_spare_place_the_old_one_goes_first),
        TEST(a_strict_session_is_told_of_the_relief),
        TEST(a_worker_that_always_dies_opens_the_breaker),
        TEST(a_probe_that_works_closes_the_breaker),
        TEST(an_idempotent_call_outlives_its_worker),
        TEST(a_call_of_an_idempotent_tool_outlives_its_worker),
        TEST(a_call_that_is_not_idempotent_is_not_run_twice),
        TEST(a_call_that_kills_its_workers_is_given_up),
        TEST(calls_like_a_poisoned_one_are_refused_for_a_while),
    };
    return RUN_SYSTEM_TESTS("supervision", tests);
}
