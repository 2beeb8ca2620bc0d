/* SPDX-License-Identifier: MIT */
/* The memory of workers: seen, shown, limited without a failed call. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "pits.h"

#define MIB (1ull << 20)

enum { INTERVAL_MS = 50 };

static sp_pit *open_watched(uint32_t workers, uint64_t limit_bytes)
{
    sp_pool_options pool = pool_of_probes(workers);
    pool.recycle_memory_bytes = limit_bytes;
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .sample_interval_ms = INTERVAL_MS,
                              .on_event = event_record};
    return pit_open_ready_as(&options);
}

static void a_worker_is_looked_at(void **state)
{
    sp_pit *pit = open_watched(2, 0);
    for (uint32_t slot = 0; slot < 2; slot++) {
        UNTIL(worker_at(pit, slot).rss_bytes > 0);
        sp_worker_info worker = worker_at(pit, slot);
        assert_true(worker.rss_bytes > 2 * MIB);
        assert_true(worker.pss_bytes > 0 && worker.pss_bytes <= worker.rss_bytes);
        assert_int_equal(worker.processes, 1);
        assert_int_equal(worker.tree_bytes, worker.pss_bytes);
    }
}

static void its_descendants_count_wherever_they_went(void **state)
{
    sp_pit *pit = open_watched(1, 0);
    (void)call(pit, "grandchild", "[]", NULL);
    (void)call(pit, "grandchild", "[true]", NULL);
    UNTIL(worker_at(pit, 0).processes == 3);
    sp_worker_info worker = worker_at(pit, 0);
    assert_true(worker.tree_bytes > worker.pss_bytes);
}

static void a_worker_that_grows_is_replaced_without_a_failed_call(void **state)
{
    sp_pit *pit = open_watched(1, 160 * MIB);
    (void)call(pit, "grow", "[200]", NULL);
    while (event_count(SP_EVENT_WORKER_RECYCLED) == 0) {
        call_gives(pit, "echo", "[1]", "1");
        assert_true(sp_pit_dispatch(pit, 0, last_error()) >= 0);
    }
    assert_has(event_await(pit, SP_EVENT_WORKER_RECYCLED, 1)->message,
               "recycle.memory");
    assert_int_equal(stats_of(pit).errors, 0);
    assert_int_equal(stats_of(pit).workers_died, 0);
    assert_int_equal(event_count(SP_EVENT_RECYCLE_LOOP), 0);
}

static void a_child_that_grows_is_as_bad(void **state)
{
    sp_pit *pit = open_watched(1, 160 * MIB);
    (void)call(pit, "big_child", "[200]", NULL);
    (void)event_await(pit, SP_EVENT_WORKER_RECYCLED, 1);
    assert_int_equal(stats_of(pit).errors, 0);
}

/* Until the worker has been looked at once more. */
static void await_look(sp_pit *pit)
{
    uint64_t before_ms;
    uint64_t age_ms = worker_at(pit, 0).sample_age_ms;
    do {
        before_ms = age_ms;
        (void)sp_pit_dispatch(pit, 1, NULL);
        age_ms = worker_at(pit, 0).sample_age_ms;
    } while (age_ms >= before_ms);
}

/* Another one would be no smaller. */
static void a_fresh_worker_over_the_limit_stays(void **state)
{
    sp_pit *pit = open_watched(1, 1 * MIB);
    const struct seen *loop = event_await(pit, SP_EVENT_RECYCLE_LOOP, 1);
    assert_has(loop->message, "recycle.memory is 1024");
    sp_id id = worker_at(pit, 0).id;
    call_gives(pit, "echo", "[2]", "2");
    await_look(pit);
    await_look(pit);
    assert_int_equal(worker_at(pit, 0).id, id);
    assert_int_equal(stats_of(pit).recycled, 0);
}

/* It had answered calls before anybody looked, so it is replaced once; the next one is
 * over the limit at the first look too. */
static void a_relief_that_is_no_smaller_ends_the_replacing(void **state)
{
    sp_pit *pit = open_watched(1, 1 * MIB);
    while (event_count(SP_EVENT_RECYCLE_LOOP) == 0) {
        call_gives(pit, "echo", "[3]", "3");
        assert_true(sp_pit_dispatch(pit, 0, last_error()) >= 0);
    }
    assert_in_range(stats_of(pit).recycled, 0, 1);
    assert_int_equal(stats_of(pit).errors, 0);
}

struct noted {
    uint64_t rss_bytes;
    uint64_t peak_bytes;
    uint64_t tree_bytes;
};

static void note(const sp_death *death, void *user_data)
{
    *(struct noted *)user_data = (struct noted){.rss_bytes = death->rss_bytes,
                                                .peak_bytes = death->rss_peak_bytes,
                                                .tree_bytes = death->tree_bytes};
}

static void what_it_had_stands_in_its_certificate(void **state)
{
    sp_pit *pit = open_watched(1, 0);
    UNTIL(worker_at(pit, 0).rss_bytes > 0);
    (void)kill(worker_at(pit, 0).pid, SIGKILL);
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 1);
    struct noted noted = {0};
    assert_int_equal(sp_pool_deaths_get(pit, NULL, note, &noted, last_error()), 1);
    assert_true(noted.rss_bytes > 2 * MIB);
    assert_true(noted.tree_bytes > 0 && noted.tree_bytes <= noted.rss_bytes);
    assert_true(noted.peak_bytes >= noted.rss_bytes / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_is_looked_at),
        TEST(its_descendants_count_wherever_they_went),
        TEST(a_worker_that_grows_is_replaced_without_a_failed_call),
        TEST(a_child_that_grows_is_as_bad),
        TEST(a_fresh_worker_over_the_limit_stays),
        TEST(a_relief_that_is_no_smaller_ends_the_replacing),
        TEST(what_it_had_stands_in_its_certificate),
    };
    return RUN_SYSTEM_TESTS("memory", tests);
}
