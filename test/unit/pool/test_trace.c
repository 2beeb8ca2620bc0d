/* SPDX-License-Identifier: MIT */
/* Traceparents: which are ones, and what a span inside one looks like. */
#include "pool/trace.h"

#include <string.h>

#include "base/mem.h"
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
        assert_memory_not_equal(spans[i] + 36, &ONE[36], 16);
    }
    assert_string_not_equal(first, second);
    assert_string_not_equal(first, inner);
    sp__trace_begin_span(
        first, sp_text("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-x"));
    assert_memory_equal(first, "00-", 3); /* ours is of version 00 */
    assert_string_equal(first + 52, "-00");
}

static void the_numbers_around_a_span_are_free(void **state)
{
    (void)state;
    char span[TRACE_BYTES];
    for (int i = 0; i < 1000; i++) {
        sp__trace_begin_span(span, sp_text(ONE));
        assert_true(span[51] == '5' || span[51] == 'd'); /* ...101 */
    }
}

static void a_trace_of_ours_is_new_and_sampled(void **state)
{
    (void)state;
    char first[TRACE_BYTES];
    char second[TRACE_BYTES];
    uint8_t trace[TRACE_ID_BYTES];
    uint8_t span[SPAN_ID_BYTES];
    sp__trace_begin(first);
    sp__trace_begin(second);
    assert_true(sp__trace_is_valid(sp_text(first)));
    assert_true(sp__trace_is_sampled(first));
    assert_memory_not_equal(first, second, 36);
    sp__trace_ids(ONE, trace, span);
    assert_memory_equal(trace,
                        "\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d"
                        "\x0e\x0e\x47\x36",
                        16);
    assert_memory_equal(span, "\x00\xf0\x67\xaa\x0b\xa9\x02\xb7", 8);
    assert_false(sp__trace_is_sampled(""));
    assert_false(sp__trace_is_sampled(
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02"));
    assert_true(sp__trace_is_sampled(
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0b"));
}

static void what_goes_along_is_copied_if_it_is_plain_and_short(void **state)
{
    (void)state;
    static char long_text[BAGGAGE_MAX + 2];
    struct carried *carried;
    sp_error err = {0};
    assert_int_equal(sp__carried_new(sp_text("a=1"), sp_text("user=7"), &carried, &err),
                     SP_OK);
    assert_string_equal(carried->tracestate, "a=1");
    assert_string_equal(carried->baggage, "user=7");
    sp__free(carried);
    memset(long_text, 'x', BAGGAGE_MAX + 1);
    assert_int_equal(
        sp__carried_new(sp_text("a=\n"), sp_text(long_text), &carried, &err), SP_OK);
    assert_null(carried);
    long_text[BAGGAGE_MAX] = '\0';
    assert_int_equal(sp__carried_new((sp_bytes){0}, sp_text(long_text), &carried, &err),
                     SP_OK);
    assert_int_equal(strlen(carried->baggage), BAGGAGE_MAX);
    assert_string_equal(carried->tracestate, "");
    sp__free(carried);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_a_traceparent),
        TEST(the_numbers_around_a_span_are_free),
        TEST(a_trace_of_ours_is_new_and_sampled),
        TEST(what_goes_along_is_copied_if_it_is_plain_and_short),
        TEST(a_span_keeps_trace_and_flags_and_is_new),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
