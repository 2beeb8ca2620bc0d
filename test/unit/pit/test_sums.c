/* SPDX-License-Identifier: MIT */
#include "pit/sums.h"

#include <string.h>

#include "cm.h"
#include "leak.h"
#include "snakepit/base.h"

#define GIB ((uint64_t)1 << 30)

static void pools_without_a_limit_do_not_count(void **state)
{
    struct memory_sum sum = {0};
    char text[512];
    sp__memory_add(&sum, "a", 1000, 1, SP_UNLIMITED);
    assert_false(sp__memory_warn(&sum, 1, text, sizeof text));
}

static void old_and_new_workers_are_added_up(void **state)
{
    struct memory_sum sum = {0};
    char text[512];
    sp__memory_add(&sum, "a", 4, 1, 1 * GIB);
    sp__memory_add(&sum, "b", 2, 0, 2 * GIB);
    assert_int_equal(sum.bytes, 9 * GIB);
    assert_false(sp__memory_warn(&sum, 9 * GIB, text, sizeof text));
    assert_true(sp__memory_warn(&sum, 9 * GIB - 1, text, sizeof text));
    assert_non_null(strstr(text, "a: (4 + 1) x 1024 MiB, b: (2 + 0) x 2048 MiB"));
    assert_non_null(strstr(text, "grow to 9216 MiB"));
}

static void a_sum_beyond_every_machine_does_not_wrap(void **state)
{
    struct memory_sum sum = {0};
    char text[512];
    sp__memory_add(&sum, "a", UINT32_MAX, UINT32_MAX, UINT64_MAX - 1);
    sp__memory_add(&sum, "b", 1, 1, GIB);
    assert_true(sum.bytes == UINT64_MAX);
    assert_true(sp__memory_warn(&sum, UINT64_MAX - 1, text, sizeof text));
}

static void many_pools_fit_the_sentence(void **state)
{
    struct memory_sum sum = {0};
    char text[512];
    for (int i = 0; i < 100; i++) {
        sp__memory_add(&sum, "a-pool-with-a-rather-long-name", 4, 1, GIB);
    }
    assert_true(sp__memory_warn(&sum, GIB, text, sizeof text));
}

static void the_machine_has_memory(void **state)
{
    assert_true(sp__memory_of_machine() > 64u << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pools_without_a_limit_do_not_count),
        TEST(old_and_new_workers_are_added_up),
        TEST(a_sum_beyond_every_machine_does_not_wrap),
        TEST(many_pools_fit_the_sentence),
        TEST(the_machine_has_memory),
    };
    return cmocka_run_group_tests_name("sums", tests, NULL, NULL);
}
