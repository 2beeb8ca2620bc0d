/* SPDX-License-Identifier: MIT */
/* Which worker a session was served by last: remembered, bounded, forgotten. */
#include "session/affinity.h"

#include "base/mem.h"
#include "leak.h"

static void a_session_finds_its_worker(void **state)
{
    struct affinity affinity = {0};
    assert_int_equal(sp__affinity_find(&affinity, 1, 0), 0);
    sp__affinity_set(&affinity, 1, 10, 0);
    sp__affinity_set(&affinity, 2, 20, 0);
    assert_int_equal(sp__affinity_find(&affinity, 1, 1), 10);
    assert_int_equal(sp__affinity_find(&affinity, 2, 1), 20);
    sp__affinity_set(&affinity, 1, 30, 2);
    assert_int_equal(sp__affinity_find(&affinity, 1, 3), 30);
    assert_int_equal(affinity.used.length, 2);
    sp__affinity_fini(&affinity);
}

static void worker_zero_forgets_the_session(void **state)
{
    struct affinity affinity = {0};
    sp__affinity_set(&affinity, 1, 10, 0);
    sp__affinity_set(&affinity, 1, 0, 0);
    sp__affinity_set(&affinity, 2, 0, 0);
    assert_int_equal(sp__affinity_find(&affinity, 1, 0), 0);
    assert_int_equal(affinity.used.length, 0);
    assert_int_equal(affinity.by_key.length, 0);
    sp__affinity_fini(&affinity);
}

static void what_is_unused_for_an_hour_is_forgotten(void **state)
{
    struct affinity affinity = {0};
    sp__affinity_set(&affinity, 1, 10, 0);
    sp__affinity_set(&affinity, 2, 20, 0);
    sp__affinity_set(&affinity, 1, 10, AFFINITY_TTL_MS / 2); /* used again */
    assert_int_equal(sp__affinity_find(&affinity, 2, AFFINITY_TTL_MS - 1), 20);
    assert_int_equal(sp__affinity_find(&affinity, 2, AFFINITY_TTL_MS), 0);
    assert_int_equal(sp__affinity_find(&affinity, 1, AFFINITY_TTL_MS), 10);
    assert_int_equal(affinity.used.length, 1);
    sp__affinity_fini(&affinity);
}

static void the_longest_unused_makes_room(void **state)
{
    struct affinity affinity = {0};
    for (uint64_t key = 1; key <= AFFINITY_MAX + 5; key++) {
        sp__affinity_set(&affinity, key, key, 1);
    }
    assert_int_equal(affinity.used.length, AFFINITY_MAX);
    assert_int_equal(affinity.by_key.length, AFFINITY_MAX);
    assert_int_equal(sp__affinity_find(&affinity, 5, 1), 0);
    assert_int_equal(sp__affinity_find(&affinity, 6, 1), 6);
    sp__affinity_fini(&affinity);
}

static void one_session_has_a_worker_in_every_pool(void **state)
{
    int pools[2] = {0};
    uint64_t hash = 0x1234567890abcdefu;
    assert_true(sp__affinity_key(hash, &pools[0]) != sp__affinity_key(hash, &pools[1]));
    assert_true(sp__affinity_key(hash, &pools[0]) !=
                sp__affinity_key(hash + 1, &pools[0]));
    assert_true(sp__affinity_key(0, NULL) != 0);
}

static void without_memory_the_hint_is_lost_and_no_more(void **state)
{
    struct affinity affinity = {0};
    for (uint64_t n = 1; n <= 2; n++) {
        sp__mem_fail_at(n, 0);
        sp__affinity_set(&affinity, 1, 10, 0);
        assert_int_equal(sp__affinity_find(&affinity, 1, 0), 0);
        assert_int_equal(affinity.used.length, 0);
    }
    sp__affinity_set(&affinity, 1, 10, 0);
    assert_int_equal(sp__affinity_find(&affinity, 1, 0), 10);
    sp__affinity_fini(&affinity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_session_finds_its_worker),
        TEST(worker_zero_forgets_the_session),
        TEST(what_is_unused_for_an_hour_is_forgotten),
        TEST(the_longest_unused_makes_room),
        TEST(one_session_has_a_worker_in_every_pool),
        TEST(without_memory_the_hint_is_lost_and_no_more),
    };
    return cmocka_run_group_tests_name("affinity", tests, NULL, NULL);
}
