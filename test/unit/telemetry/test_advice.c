/* SPDX-License-Identifier: MIT */
/* What figures advise: nothing to a healthy pool, and each rule where its figure is met. */
#include "telemetry/advice.h"

#include <string.h>

#include "cm.h"

static sp_pool_stats stats;
static struct advice list[ADVICE_MAX];
static size_t count;

static struct advice_facts healthy(void)
{
    stats = (sp_pool_stats){.workers = 8,
                            .capacity = 8,
                            .available = 4,
                            .busy = 4,
                            .queue_max = 1000,
                            .requests = 10000};
    return (struct advice_facts){.stats = &stats,
                                 .load = 5,
                                 .threads = 10,
                                 .workers_seen = 8,
                                 .memory_bytes = UINT64_C(8) << 24,
                                 .memory_largest = UINT64_C(20) << 20,
                                 .ready_ms = 100,
                                 .uptime_ms = 600000,
                                 .processors = 8,
                                 .machine_bytes = UINT64_C(8) << 30,
                                 .can_fork = 1};
}

static const struct advice *advises(const struct advice_facts *facts, const char *rule)
{
    count = sp__advise(facts, list);
    for (size_t i = 0; i < count; i++) {
        assert_true(list[i].figure[0] != '\0' && list[i].key[0] != '\0');
        assert_true(list[i].why != NULL && list[i].severity != NULL);
        if (strcmp(list[i].rule, rule) == 0) {
            return &list[i];
        }
    }
    return NULL;
}

static void a_healthy_pool_is_left_alone(void **state)
{
    struct advice_facts facts = healthy();
    assert_int_equal(sp__advise(&facts, list), 0);
}

static void load_asks_for_workers(void **state)
{
    struct advice_facts facts = healthy();
    facts.load = 7; /* 87.5 % */
    const struct advice *more = advises(&facts, "utilization_high");
    assert_non_null(more);
    assert_string_equal(more->severity, "medium");
    assert_string_equal(more->value, "10");
    assert_non_null(strstr(more->figure, "7 of 8"));
    facts.load = 8;
    stats.queued = 20;
    more = advises(&facts, "utilization_high");
    assert_string_equal(more->severity, "high");
    assert_string_equal(more->value, "40");
}

static void many_that_rest_may_go_unless_they_were_needed(void **state)
{
    struct advice_facts facts = healthy();
    stats.workers = stats.capacity = 20;
    facts.load = 1;
    assert_non_null(advises(&facts, "utilization_low"));
    stats.queued_peak = 3;
    assert_null(advises(&facts, "utilization_low"));
    stats.workers = 10;
    stats.queued_peak = 0;
    assert_null(advises(&facts, "utilization_low"));
}

static void threads_have_their_bounds(void **state)
{
    struct advice_facts facts = healthy();
    stats.profile = SP_PROFILE_THREAD;
    facts.threads = 3;
    assert_string_equal(advises(&facts, "few_threads")->value, "4");
    facts.threads = 33;
    assert_string_equal(advises(&facts, "many_threads")->value, "32");
    assert_non_null(advises(&facts, "threads_for_processors"));
    facts.threads = 16;
    assert_int_equal(sp__advise(&facts, list), 0);
    stats.profile = SP_PROFILE_PROCESS;
    stats.workers = 201;
    assert_string_equal(advises(&facts, "many_processes")->value, "thread");
}

static void the_queue_says_when_it_is_short(void **state)
{
    struct advice_facts facts = healthy();
    stats.queued_peak = 799;
    assert_null(advises(&facts, "queue_nearly_full"));
    stats.queued_peak = 800;
    assert_string_equal(advises(&facts, "queue_nearly_full")->value, "2000");
    stats.pool_saturated = 1;
    assert_null(advises(&facts, "queue_nearly_full"));
    assert_string_equal(advises(&facts, "calls_refused")->severity, "high");
    stats.queue_timeouts = 2;
    assert_non_null(advises(&facts, "queue_timeouts"));
    stats.call_timeouts = 100;
    assert_null(advises(&facts, "call_timeouts"));
    stats.call_timeouts = 101;
    assert_non_null(advises(&facts, "call_timeouts"));
}

static void sessions_that_miss_their_worker_are_told_to_wait(void **state)
{
    struct advice_facts facts = healthy();
    stats.session_hits = 91;
    stats.session_moves = 9;
    assert_null(advises(&facts, "affinity_misses"));
    stats.session_hits = 90;
    stats.session_refusals = 1;
    facts.affinity = SP_AFFINITY_HINT;
    const struct advice *wait = advises(&facts, "affinity_misses");
    assert_non_null(wait);
    assert_string_equal(wait->key, "affinity");
    assert_string_equal(wait->value, "strict_queue");
    assert_non_null(strstr(wait->figure, "10 of 100 calls"));
    assert_non_null(strstr(wait->figure, "9 moved, 1 were refused"));
    facts.affinity = SP_AFFINITY_STRICT_QUEUE;
    assert_string_equal(advises(&facts, "affinity_misses")->value, "");
    stats.session_hits = stats.session_moves = 0;
    stats.session_refusals = 9;
    assert_null(advises(&facts, "affinity_misses")); /* too few to say */
}

static void memory_is_bounded_and_fits(void **state)
{
    struct advice_facts facts = healthy();
    facts.memory_largest = UINT64_C(200) << 20;
    assert_string_equal(advises(&facts, "memory_largest")->value, "400MiB");
    facts.recycle_memory_bytes = UINT64_C(300) << 20;
    assert_null(advises(&facts, "memory_largest"));
    facts.limit_memory_bytes = UINT64_C(2) << 30;
    assert_non_null(advises(&facts, "memory_limits_exceed_machine"));
    facts.limit_memory_bytes = SP_UNLIMITED;
    assert_null(advises(&facts, "memory_limits_exceed_machine"));
    facts.memory_bytes = UINT64_C(7) << 30;
    assert_string_equal(advises(&facts, "memory_nearly_used")->severity, "high");
    assert_non_null(advises(&facts, "memory_mean"));
    facts.can_fork = 0;
    assert_null(advises(&facts, "memory_mean"));
}

static void lives_that_are_short_are_told(void **state)
{
    struct advice_facts facts = healthy();
    facts.ready_ms = 1001;
    assert_string_equal(advises(&facts, "slow_start")->value, "auto");
    stats.zygote = SP_ZYGOTE_AUTO;
    assert_null(advises(&facts, "slow_start"));
    stats.recycled = 89;
    assert_non_null(advises(&facts, "recycled_often"));
    stats.workers_died = 12;
    assert_non_null(advises(&facts, "workers_die"));
    stats.breaker = SP_BREAKER_OPEN;
    assert_non_null(advises(&facts, "breaker_open"));
    assert_null(advises(&facts, "workers_die"));
}

static void words_have_their_steps(void **state)
{
    assert_string_equal(sp__utilization_word(90), "CRITICAL");
    assert_string_equal(sp__utilization_word(89.9), "HIGH");
    assert_string_equal(sp__utilization_word(80), "HIGH");
    assert_string_equal(sp__utilization_word(60), "GOOD");
    assert_string_equal(sp__utilization_word(59.9), "LOW");
    assert_true(sp__utilization(3, 0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_pool_is_left_alone),
        cmocka_unit_test(load_asks_for_workers),
        cmocka_unit_test(many_that_rest_may_go_unless_they_were_needed),
        cmocka_unit_test(threads_have_their_bounds),
        cmocka_unit_test(the_queue_says_when_it_is_short),
        cmocka_unit_test(sessions_that_miss_their_worker_are_told_to_wait),
        cmocka_unit_test(memory_is_bounded_and_fits),
        cmocka_unit_test(lives_that_are_short_are_told),
        cmocka_unit_test(words_have_their_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
