/* SPDX-License-Identifier: MIT */
/* So many lines of a kind in a while, on a clock that the test owns. */
#include "log/rate.h"

#include <stdio.h>

#include "leak.h"

static unsigned count_allowed(struct rate *rate, const char *name, unsigned lines,
                              uint64_t now_ms)
{
    unsigned allowed = 0;
    for (unsigned i = 0; i < lines; i++) {
        allowed += (unsigned)sp__rate_may(rate, name, now_ms);
    }
    return allowed;
}

static void a_kind_has_its_lines_in_each_interval(void **state)
{
    static struct rate rate = {.lines_max = 5, .interval_ms = 1000};
    uint64_t dropped = 0;
    assert_int_equal(count_allowed(&rate, "a", 12, 100), 5);
    assert_null(sp__rate_due(&rate, 1099, 0, &dropped));
    const struct rate_kind *kind = sp__rate_due(&rate, 1100, 0, &dropped);
    assert_non_null(kind);
    assert_string_equal(kind->name, "a");
    assert_int_equal(dropped, 7);
    assert_null(sp__rate_due(&rate, 1100, 0, &dropped));
    assert_int_equal(count_allowed(&rate, "a", 6, 1100), 5);
    assert_non_null(sp__rate_due(&rate, 1100, 1, &dropped));
    assert_int_equal(dropped, 1);
}

static void kinds_do_not_take_each_others_lines(void **state)
{
    static struct rate rate = {.lines_max = 2, .interval_ms = 1000};
    uint64_t dropped = 0;
    assert_int_equal(count_allowed(&rate, "worker.output a/0", 9, 0), 2);
    assert_int_equal(count_allowed(&rate, "worker.output a/1", 2, 0), 2);
    const struct rate_kind *kind = sp__rate_due(&rate, 0, 1, &dropped);
    assert_string_equal(kind->name, "worker.output a/0");
    assert_int_equal(dropped, 7);
    assert_null(sp__rate_due(&rate, 0, 1, &dropped));
}

static void without_a_limit_every_line_may(void **state)
{
    static struct rate rate = {.lines_max = UINT32_MAX, .interval_ms = 1000};
    assert_int_equal(count_allowed(&rate, "a", 5000, 0), 5000);
}

/* More names than places: nothing grows, never more lines than the limit for a name, and
 * every line was allowed or is told. */
static void a_million_kinds_share_the_places_there_are(void **state)
{
    static struct rate rate = {.lines_max = 1, .interval_ms = 1000};
    uint64_t allowed = 0;
    uint64_t told = 0;
    uint64_t dropped = 0;
    for (unsigned i = 0; i < 1000000; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "kind %u", i);
        allowed += (unsigned)sp__rate_may(&rate, name, 5);
        assert_true(count_allowed(&rate, name, 1, 5) == 0);
    }
    while (sp__rate_due(&rate, 5, 1, &dropped) != NULL) {
        told += dropped;
    }
    assert_true(allowed > 0 && allowed <= RATE_KINDS);
    assert_true(allowed + told == 2000000);
}

static void a_full_table_forgets_what_is_over(void **state)
{
    static struct rate rate = {.lines_max = 1, .interval_ms = 1000};
    uint64_t dropped = 0;
    for (unsigned i = 0; i < 100000; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "kind %u", i);
        assert_true(sp__rate_may(&rate, name, 1000u * i));
    }
    assert_null(sp__rate_due(&rate, 100000000, 1, &dropped));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_kind_has_its_lines_in_each_interval),
        TEST(kinds_do_not_take_each_others_lines),
        TEST(without_a_limit_every_line_may),
        TEST(a_million_kinds_share_the_places_there_are),
        TEST(a_full_table_forgets_what_is_over),
    };
    return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
