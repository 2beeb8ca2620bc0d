/* SPDX-License-Identifier: MIT */
/* Traceparents: which are ones, and what a span inside one looks like. */
#include "pool/trace.h"

#include <string.h>

#include "leak.h"

#define ONE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static void what_is_a_traceparent(void **state)
{
    (void)state;
    static const char *const good[] = {
        ONE, "00-00000000000000000000000000000001-0000000000000001-00",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"};
    static const char *const bad[] = {
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        ONE "-more", /* version 00 has no more */
        ONE "x",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
        "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0z"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(sp__trace_is_valid(sp_text(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (sp__trace_is_valid(sp_text(bad[i]))) {
            fail_msg("taken for one: %s", bad[i]);
        }
    }
    assert_false(sp__trace_is_valid((sp_bytes){0}));
}

static void a_span_keeps_trace_and_flags_and_is_new(void **state)
{
    (void)state;
    char first[TRACE_BYTES];
    char second[TRACE_BYTES];
    char inner[TRACE_BYTES];
    sp__trace_begin_span(first, sp_text(ONE));
    sp__trace_begin_span(second, sp_text(ONE));
    sp__trace_begin_span(inner, sp_text(first));
    const char *const spans[] = {first, second, inner};
    for (size_t i = 0; i < 3; i++) {
        assert_true(sp__trace_is_valid(sp_text(spans[i])));
        assert_memory_equal(spans[i], ONE, 36);
        assert_string_equal(spans[i] + 52, "-01");
        assert_memory_not_equal(spans[i] + 36, ONE + 36, 16);
    }
    assert_string_not_equal(first, second);
    assert_string_not_equal(first, inner);
    sp__trace_begin_span(
        first, sp_text("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-x"));
    assert_memory_equal(first, "00-", 3); /* ours is of version 00 */
    assert_string_equal(first + 52, "-00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_a_traceparent),
        TEST(a_span_keeps_trace_and_flags_and_is_new),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
