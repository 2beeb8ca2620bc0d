/* SPDX-License-Identifier: MIT */
/* The scheduler's decisions, case by case. */
#include "pool/schedule.h"

#include "leak.h"

static void a_worker_takes_as_many_calls_as_it_runs(void **state)
{
    struct sched_worker worker = {.capacity = 2};
    assert_true(sp__sched_has_room(&worker, 1000000, 64));
    worker.in_flight = 1;
    worker.estimate_us = 1000000;
    assert_true(sp__sched_has_room(&worker, 1000000, 64));
    worker.in_flight = 2;
    worker.estimate_us = 2000000;
    assert_false(sp__sched_has_room(&worker, 10, 64));
}

static void short_calls_go_ahead_to_a_busy_worker(void **state)
{
    struct sched_worker worker = {.capacity = 1, .in_flight = 1, .estimate_us = 30};
    assert_true(sp__sched_has_room(&worker, 30, 64));
    worker.in_flight = 16;
    worker.estimate_us = 480;
    assert_false(sp__sched_has_room(&worker, 30, 64));
    assert_true(sp__sched_has_room(&worker, 20, 64));
}

static void an_unknown_tool_is_not_sent_ahead(void **state)
{
    struct sched_worker worker = {.capacity = 1, .in_flight = 1, .estimate_us = 1};
    assert_false(sp__sched_has_room(&worker, SCHED_UNKNOWN_US, 64));
    worker.in_flight = 0;
    worker.estimate_us = 0;
    assert_true(sp__sched_has_room(&worker, SCHED_UNKNOWN_US, 64));
}

static void the_pipeline_limit_holds_for_the_shortest_calls(void **state)
{
    struct sched_worker worker = {.capacity = 1, .in_flight = 63, .estimate_us = 63};
    assert_true(sp__sched_has_room(&worker, 1, 64));
    worker.in_flight = 64;
    assert_false(sp__sched_has_room(&worker, 1, 64));
    worker.in_flight = 1;
    assert_false(sp__sched_has_room(&worker, 1, 1));
}

static void a_stuck_worker_gets_nothing(void **state)
{
    struct sched_worker worker = {.capacity = 4, .stuck = 1};
    assert_false(sp__sched_has_room(&worker, 1, 64));
}

static void the_shorter_work_is_the_better_place(void **state)
{
    struct sched_worker a = {.estimate_us = 100, .in_flight = 5};
    struct sched_worker b = {.estimate_us = 200, .in_flight = 1};
    assert_true(sp__sched_is_better(&a, &b));
    assert_false(sp__sched_is_better(&b, &a));
    b.estimate_us = 100;
    assert_true(sp__sched_is_better(&b, &a));
    assert_false(sp__sched_is_better(&a, &a));
}

static void an_average_follows_slowly_and_believes_a_jump(void **state)
{
    assert_int_equal(sp__sched_learn(0, 40), 40);
    assert_int_equal(sp__sched_learn(0, 0), 1);
    assert_int_equal(sp__sched_learn(800, 1600), 900);
    assert_int_equal(sp__sched_learn(800, 0), 700);
    assert_int_equal(sp__sched_learn(40, 100000), 100000);
    assert_true(sp__sched_learn(1, 0) >= 1);
    assert_int_equal(sp__sched_learn(10, UINT64_MAX), 60000000);
}

static void a_learnt_average_settles_where_the_calls_are(void **state)
{
    uint32_t average = 100000;
    for (int i = 0; i < 200; i++) {
        average = sp__sched_learn(average, 40);
    }
    assert_in_range(average, 30, 60);
    for (int i = 0; i < 200; i++) {
        average = sp__sched_learn(average, 2);
    }
    assert_int_equal(average, 2); /* eighths of small numbers are not nothing */
}

static void a_tool_that_asks_fills_a_worker_until_it_has_not_for_a_while(void **state)
{
    struct sched_worker worker = {.capacity = 1, .in_flight = 1};
    assert_int_equal(sp__sched_learn_asking(800), 800);
    uint32_t average = sp__sched_learn_asking(40);
    for (int i = 0; i < 4; i++) {
        worker.estimate_us = average;
        assert_false(sp__sched_has_room(&worker, average, 64));
        average = sp__sched_learn(average, 40);
    }
    for (int i = 0; i < 40; i++) {
        average = sp__sched_learn(average, 40);
    }
    worker.estimate_us = average;
    assert_true(sp__sched_has_room(&worker, average, 64));
}

static void backing_off_doubles_up_to_the_longest_pause(void **state)
{
    assert_int_equal(sp__sched_backoff_ceiling_ms(0, 100, 30000), 0);
    assert_int_equal(sp__sched_backoff_ceiling_ms(1, 100, 30000), 0);
    uint64_t ceiling = 100;
    for (uint32_t failures = 2; failures < 4000; failures++) {
        assert_int_equal(sp__sched_backoff_ceiling_ms(failures, 100, 30000), ceiling);
        ceiling = ceiling * 2 > 30000 ? 30000 : ceiling * 2;
    }
}

static void a_little_work_is_filled_up_before_another_worker_is_woken(void **state)
{
    assert_true(sp__sched_fills(0, SCHED_FILL_US));
    assert_true(sp__sched_fills(SCHED_FILL_US - 5, 5));
    assert_false(sp__sched_fills(SCHED_FILL_US - 5, 6));
    assert_false(sp__sched_fills(0, SCHED_UNKNOWN_US));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_takes_as_many_calls_as_it_runs),
        TEST(short_calls_go_ahead_to_a_busy_worker),
        TEST(an_unknown_tool_is_not_sent_ahead),
        TEST(the_pipeline_limit_holds_for_the_shortest_calls),
        TEST(a_stuck_worker_gets_nothing),
        TEST(the_shorter_work_is_the_better_place),
        TEST(an_average_follows_slowly_and_believes_a_jump),
        TEST(a_learnt_average_settles_where_the_calls_are),
        TEST(a_tool_that_asks_fills_a_worker_until_it_has_not_for_a_while),
        TEST(backing_off_doubles_up_to_the_longest_pause),
        TEST(a_little_work_is_filled_up_before_another_worker_is_woken),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
