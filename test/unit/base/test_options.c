/* SPDX-License-Identifier: MIT */
/* Options of callers that know less than this library, or more. */
#include "base/options.h"

#include <string.h>

#include "leak.h"

struct options {
    size_t size;
    int first;
    int second;
};

static int take(size_t size, struct options *full, sp_error *err)
{
    const struct options given[8] = {{.size = size, .first = 1, .second = 2}};
    *full = (struct options){0};
    return sp__take_options("some_options", given, full, sizeof *full, err);
}

static void what_a_caller_does_not_have_is_zero(void **state)
{
    struct options full;
    assert_int_equal(take(sizeof full, &full, NULL), 0);
    assert_int_equal(full.second, 2);
    assert_int_equal(take(offsetof(struct options, second), &full, NULL), 0);
    assert_int_equal(full.first, 1);
    assert_int_equal(full.second, 0);
    assert_int_equal(take(sizeof full + 64, &full, NULL), 0); /* of a later version */
    assert_int_equal(full.second, 2);
}

static void without_options_nothing_is_taken(void **state)
{
    struct options full = {.first = 7};
    assert_int_equal(sp__take_options("x", NULL, &full, sizeof full, NULL), 0);
    assert_int_equal(full.first, 7);
}

static void a_size_that_is_none_is_refused(void **state)
{
    static const size_t sizes[] = {0, sizeof(size_t) - 1, 4097, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct options full;
        sp_error err = {0};
        assert_int_equal(take(sizes[i], &full, &err), SP_ERR_INVAL);
        assert_non_null(strstr(err.message, "some_options.size is"));
        assert_int_equal(full.first, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_caller_does_not_have_is_zero),
        TEST(without_options_nothing_is_taken),
        TEST(a_size_that_is_none_is_refused),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
