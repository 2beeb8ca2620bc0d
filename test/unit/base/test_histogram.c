/* SPDX-License-Identifier: MIT */
/* The histogram: every time is in the step that its bounds say, and nothing is lost. */
#include "base/histogram.h"

#include "leak.h"

/* As the header says it: the first step whose bound is not below the time. */
static uint32_t expected(uint64_t us)
{
    uint32_t step = 0;
    while (step < HISTOGRAM_BOUNDS && us > sp__histogram_bounds_us[step]) {
        step++;
    }
    return step;
}

static void a_time_is_in_the_step_of_its_bounds(void **state)
{
    for (uint64_t us = 0; us < 200000; us++) {
        assert_int_equal(sp__histogram_step(us), expected(us));
    }
    for (int bit = 0; bit < 64; bit++) {
        uint64_t power = (uint64_t)1 << bit;
        assert_int_equal(sp__histogram_step(power - 1), expected(power - 1));
        assert_int_equal(sp__histogram_step(power), expected(power));
        assert_int_equal(sp__histogram_step(power + 1), expected(power + 1));
    }
    for (int i = 0; i < HISTOGRAM_BOUNDS; i++) {
        uint64_t bound = sp__histogram_bounds_us[i];
        assert_int_equal(sp__histogram_step(bound), i);
        assert_int_equal(sp__histogram_step(bound + 1), i + 1);
        assert_true(i == 0 || bound > sp__histogram_bounds_us[i - 1]);
    }
    assert_int_equal(sp__histogram_step(UINT64_MAX), HISTOGRAM_BOUNDS);
}

static void sums_are_those_of_the_parts(void **state)
{
    struct histogram a = {0};
    struct histogram b = {0};
    assert_int_equal(sp__histogram_add(&a, 100), 0);
    assert_int_equal(sp__histogram_add(&a, 101), 1);
    assert_int_equal(sp__histogram_add(&b, 61000000), HISTOGRAM_BOUNDS);
    sp__histogram_merge(&a, &b);
    assert_int_equal(sp__histogram_count(&a), 3);
    assert_int_equal(a.sum_us, 61000201);
    assert_int_equal(a.counts[0], 1);
    assert_int_equal(a.counts[1], 1);
    assert_int_equal(a.counts[HISTOGRAM_BOUNDS], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_time_is_in_the_step_of_its_bounds),
        TEST(sums_are_those_of_the_parts),
    };
    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
