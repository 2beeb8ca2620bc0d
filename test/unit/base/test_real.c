/* SPDX-License-Identifier: MIT */
/* Numbers with a fraction, as texts of any locale. */
#include "base/real.h"

#include <math.h>

#include "leak.h"

static void a_decimal_comma_is_a_point(void **state)
{
    char comma[] = "-0,25";
    char exponent[] = "1,5e-07";
    char whole[] = "12";
    assert_string_equal(sp__real_dot(comma), "-0.25");
    assert_string_equal(sp__real_dot(exponent), "1.5e-07");
    assert_string_equal(sp__real_dot(whole), "12");
}

static void whole_ones_have_no_fraction_and_few_digits(void **state)
{
    assert_true(sp__real_is_whole(0) && sp__real_is_whole(-3) &&
                sp__real_is_whole(999999999999999));
    assert_false(sp__real_is_whole(0.5) || sp__real_is_whole(1e15) ||
                 sp__real_is_whole(-1e15) || sp__real_is_whole(NAN) ||
                 sp__real_is_whole(INFINITY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_decimal_comma_is_a_point),
        TEST(whole_ones_have_no_fraction_and_few_digits),
    };
    return cmocka_run_group_tests_name("base_real", tests, NULL, NULL);
}
