/* SPDX-License-Identifier: MIT */
/* Wildcards: what fits, and how long it takes to see that something does not. */
#include "base/wildcard.h"

#include <string.h>

#include "leak.h"

static void stars_and_question_marks_fit(void **state)
{
    static const struct {
        const char *pattern;
        const char *text;
        int fits;
    } rows[] = {
        {"a", "a", 1},
        {"a", "b", 0},
        {"a", "ab", 0},
        {"", "", 1},
        {"", "a", 0},
        {"*", "", 1},
        {"*", "a.b", 1},
        {"a.*", "a.", 1},
        {"a.*", "a", 0},
        {"a.*", "a.b.c", 1},
        {"*.stop", "a.stop", 1},
        {"*.stop", "a.stops", 0},
        {"a*b*c", "aXbYc", 1},
        {"a*b*c", "aXcYb", 0},
        {"?", "a", 1},
        {"?", "", 0},
        {"a?c", "abc", 1},
        {"a?c", "ac", 0},
        {"**", "x", 1},
        {"*a", "aaab", 0},
        {"*ab", "aaab", 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (sp__wildcard_fits(rows[i].pattern, rows[i].text) != rows[i].fits) {
            fail_msg("\"%s\" and \"%s\"", rows[i].pattern, rows[i].text);
        }
    }
}

/* Exponential in the number of stars, it would not come back. */
static void many_stars_take_no_time(void **state)
{
    char text[256];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(sp__wildcard_fits("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static void one_of_several_is_enough(void **state)
{
    char first[] = "x.*", second[] = "*.y";
    char *const patterns[] = {first, second};
    assert_true(sp__wildcard_any(patterns, 2, "a.y"));
    assert_false(sp__wildcard_any(patterns, 1, "a.y"));
    assert_false(sp__wildcard_any(NULL, 0, "a.y"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(stars_and_question_marks_fit),
                                       TEST(many_stars_take_no_time),
                                       TEST(one_of_several_is_enough)};
    return cmocka_run_group_tests_name("base_wildcard", tests, NULL, NULL);
}
