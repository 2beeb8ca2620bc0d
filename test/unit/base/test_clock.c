/* SPDX-License-Identifier: MIT */
/* The clock: it never goes back, and its units agree. */
#include "base/clock.h"

#include <time.h>

#include "leak.h"

static void the_monotonic_clock_never_goes_back(void **state)
{
    uint64_t last_us = sp__now_us();
    for (int i = 0; i < 10000; i++) {
        uint64_t now_us = sp__now_us();
        assert_true(now_us >= last_us);
        last_us = now_us;
    }
}

static void milliseconds_are_the_same_clock(void **state)
{
    uint64_t before_ms = sp__now_us() / 1000;
    uint64_t now_ms = sp__now_ms();
    uint64_t after_ms = sp__now_us() / 1000;
    assert_in_range(now_ms, before_ms, after_ms);
}

static void the_wall_clock_is_the_systems(void **state)
{
    uint64_t before_s = (uint64_t)time(NULL);
    uint64_t now_s = sp__unix_ns() / 1000000000u;
    assert_in_range(now_s, before_s - 1, (uint64_t)time(NULL) + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_monotonic_clock_never_goes_back),
        TEST(milliseconds_are_the_same_clock),
        TEST(the_wall_clock_is_the_systems),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
