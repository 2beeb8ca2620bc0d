/* SPDX-License-Identifier: MIT */
/* Lives of pools on a clock of their own, with the usual limits. */
#include "leak.h"
#include "simulate.h"
#include "snakepit/pool.h"

enum { MINUTE_MS = 60000, SEEDS = 20 };

static struct world *world;

/* What a pool has when nothing is said, see include/snakepit/pool.h. */
static struct world_options usual(uint32_t workers)
{
    return (struct world_options){
        .seed = 1,
        .core = {.workers = workers,
                 .surge = 1,
                 .threads = 1,
                 .pipeline_max = 64,
                 .startup_batch = 8,
                 .queue_max = 1000,
                 .attempts_max = 3,
                 .retry_tokens_max = 10,
                 .recycle_after_ms = CORE_NEVER,
                 .recycle_calls = CORE_NEVER,
                 .recycle_memory_kib = CORE_NEVER,
                 .recycle_jitter_permille = 100,
                 .drain_ms = CORE_NEVER,
                 .backoff_min_ms = 100,
                 .backoff_max_ms = 30000,
                 .steady_ms = 10000,
                 .crashes_max = 10,
                 .crash_period_ms = 60000,
                 .probe_ms = 30000,
                 .poison_deaths = 2},
        .start_ms = 200,
        .call_ms = 10,
        .death_ms = 5,
    };
}

/* Freed at the end of the test that failed as well. */
static void drop_world(void)
{
    if (world != NULL) {
        world_free(world);
        world = NULL;
    }
}

static void open_world(const struct world_options *options)
{
    drop_world();
    world = world_new(options);
    leak_at_end(drop_world);
}

static void run(uint64_t until_ms)
{
    if (world_run_until(world, until_ms) < 0) {
        fail_msg("%s: %s", world_rules(world)->broken, world_rules(world)->text);
    }
}

static uint64_t endings(enum core_ending ending)
{
    return world_rules(world)->endings[ending];
}

/* Close it; it must leave. */
static void close_world(void)
{
    world_close(world);
    run(world_now_ms(world) + 10 * MINUTE_MS);
    assert_int_equal(world_rules(world)->left, 1);
    drop_world();
}

static void who_always_crashes_is_started_thirty_times_in_ten_minutes(void **state)
{
    /* A larger pool has begun with more before the first failures are known. */
    static const uint32_t sizes[] = {1, 2, 4};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct world_options options = usual(sizes[i]);
            options.seed = seed;
            options.start_fails = 1000;
            open_world(&options);
            run((uint64_t)10 * MINUTE_MS);
            assert_in_range(world_rules(world)->starts, 10, 30);

            world_options(world)->start_fails = 0;
            run(world_now_ms(world) + 31000);
            assert_int_equal(world_core(world)->states[SEAT_READY], sizes[i]);
            close_world();
        }
    }
}

static void who_crashes_soon_after_its_start_is_slowed_down_as_well(void **state)
{
    struct world_options options = usual(1);
    options.idle_deaths_ms = 100;
    open_world(&options);
    run((uint64_t)10 * MINUTE_MS);
    assert_in_range(world_rules(world)->starts, 10, 40);
    close_world();
}

static void ten_times_too_many_calls_cost_no_throughput(void **state)
{
    struct world_options options = usual(4);
    options.core.queue_max = 50;
    options.core.pipeline_max = 1;
    options.deadline_ms = 100;
    options.arrival_ms = 2; /* about as many as four workers do */
    options.arrivals = 1;
    open_world(&options);
    run(MINUTE_MS);
    uint64_t at_peak = endings(ENDING_OK);
    close_world();

    options.arrivals = 10;
    open_world(&options);
    run(MINUTE_MS);
    assert_true(endings(ENDING_OK) >= at_peak * 9 / 10);
    assert_true(endings(ENDING_QUEUE_FULL) > endings(ENDING_OK));
    assert_true(world_core(world)->calls_max <= 128);

    /* And then as few as usual again: nobody is refused any more. */
    world_options(world)->arrivals = 1;
    world_options(world)->arrival_ms = 10;
    run(world_now_ms(world) + 1000);
    uint64_t refused = endings(ENDING_QUEUE_FULL);
    run(world_now_ms(world) + MINUTE_MS);
    assert_int_equal(endings(ENDING_QUEUE_FULL), refused);
    close_world();
}

static void a_thousand_replacements_fail_no_call_and_make_no_dip(void **state)
{
    struct world_options options = usual(4);
    options.core.recycle_after_ms = 20000;
    options.core.recycle_calls = 500;
    options.core.recycle_memory_kib = 4000;
    options.memory_ms = 1000;
    options.grows_kib = 10;
    options.recycles_ms = 2000;
    options.arrival_ms = 3;
    options.arrivals = 1;
    open_world(&options);
    run(MINUTE_MS / 10); /* everyone is ready */
    (void)world_fewest_ready(world);
    for (uint64_t until_ms = MINUTE_MS; world_rules(world)->recycled < 1000;
         until_ms += MINUTE_MS) {
        run(until_ms);
    }
    assert_true(world_fewest_ready(world) >= 4);
    assert_true(world_calls(world) >= 200000);
    for (int ending = ENDING_OK + 1; ending <= ENDING_DEADLOCK; ending++) {
        assert_int_equal(endings(ending), 0);
    }
    close_world();
}

static void a_poison_call_ends_two_workers_and_no_other_call(void **state)
{
    struct world_options options = usual(4);
    options.idempotent = 1000;
    options.arrival_ms = 20;
    options.arrivals = 1;
    open_world(&options);
    run(MINUTE_MS);
    for (int i = 0; i < 100; i++) {
        world_call(world, 1, 1);
        run(world_now_ms(world) + 2000); /* the breaker does not mind */
    }
    assert_int_equal(world_poison_calls(world), 100);
    assert_true(world_poison_kills(world) <= 200);
    assert_int_equal(endings(ENDING_POISON), 100);
    assert_int_equal(endings(ENDING_FAILED), 0);
    assert_true(endings(ENDING_OK) > 10000);
    close_world();
}

static void what_may_not_be_repeated_is_lost_with_its_worker_only(void **state)
{
    struct world_options options = usual(4);
    options.idle_deaths_ms = 20000;
    options.arrival_ms = 5;
    options.arrivals = 1;
    open_world(&options);
    run((uint64_t)30 * MINUTE_MS);
    assert_int_equal(world_rules(world)->repeats, 0);
    assert_true(endings(ENDING_FAILED) > 0); /* begun when the worker died */
    world_heal(world);
    run(world_now_ms(world) + MINUTE_MS);
    assert_int_equal(endings(ENDING_OK) + endings(ENDING_FAILED), world_calls(world));
    close_world();
}

static void hung_workers_do_not_hold_their_callers(void **state)
{
    struct world_options options = usual(2);
    options.call_hangs = 50;
    options.deadline_ms = 500;
    options.stuck = 1000;
    options.arrival_ms = 50;
    options.arrivals = 1;
    open_world(&options);
    run((uint64_t)10 * MINUTE_MS);
    assert_true(endings(ENDING_TIMEOUT) > 0);
    world_heal(world);
    run(world_now_ms(world) + 1000);
    assert_int_equal(endings(ENDING_OK) + endings(ENDING_TIMEOUT), world_calls(world));
    close_world();
}

static void a_seed_gives_the_same_log_again(void **state)
{
    struct simulation first;
    struct simulation again;
    struct simulation other;
    assert_int_equal(simulate(7, 0, &first), 0);
    assert_int_equal(simulate(7, 0, &again), 0);
    assert_int_equal(simulate(8, 0, &other), 0);
    assert_true(first.log == again.log && first.events == again.events);
    assert_true(first.log != other.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_always_crashes_is_started_thirty_times_in_ten_minutes),
        TEST(who_crashes_soon_after_its_start_is_slowed_down_as_well),
        TEST(ten_times_too_many_calls_cost_no_throughput),
        TEST(a_thousand_replacements_fail_no_call_and_make_no_dip),
        TEST(a_poison_call_ends_two_workers_and_no_other_call),
        TEST(what_may_not_be_repeated_is_lost_with_its_worker_only),
        TEST(hung_workers_do_not_hold_their_callers),
        TEST(a_seed_gives_the_same_log_again),
    };
    return cmocka_run_group_tests_name("scenarios", tests, NULL, NULL);
}
