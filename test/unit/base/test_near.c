/* SPDX-License-Identifier: MIT */
/* Near matches: what a person may have meant, and nothing else. */
#include "base/near.h"

#include <string.h>

#include "leak.h"

/* What is offered for a wrong name among some right ones. */
static const char *offer(const char *wanted, const char *const *names, size_t n)
{
    static char text[256];
    struct near near;
    sp__near_init(&near, wanted);
    for (size_t i = 0; i < n; i++) {
        sp__near_offer(&near, names[i]);
    }
    return sp__near_text(&near, text, sizeof text);
}

static const char *const tools[] = {
    "ping",           "add",         "echo", "process_text",
    "process_binary", "stream_data", "info", "get_stats"};

#define OFFER(wanted) offer(wanted, tools, COUNT_OF(tools))

static void a_slip_of_the_finger_finds_the_name(void **state)
{
    assert_string_equal(OFFER("pnig"), "; near matches: ping");
    assert_string_equal(OFFER("ADD"), "; near matches: add");
    assert_string_equal(OFFER("echoo"), "; near matches: echo");
    assert_string_equal(OFFER("get_stat"), "; near matches: get_stats");
    assert_string_equal(OFFER("stream_dat"), "; near matches: stream_data");
}

static void a_beginning_finds_the_names_it_begins(void **state)
{
    assert_string_equal(OFFER("process"),
                        "; near matches: process_text, process_binary");
}

static void what_is_far_is_not_offered(void **state)
{
    assert_string_equal(OFFER("zzzzzz"), "");
    assert_string_equal(OFFER(""), "");
    assert_string_equal(offer("ping", NULL, 0), "");
}

static void only_the_three_nearest_are_offered(void **state)
{
    const char *const names[] = {"colour5", "colour44", "colour3", "colour",
                                 "colour22"};
    const char *text = offer("colour", names, COUNT_OF(names));
    assert_string_equal(text, "; near matches: colour, colour5, colour3");
}

static void very_long_names_are_passed_over(void **state)
{
    char name[200];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const char *const names[] = {name};
    assert_string_equal(offer(name, names, 1), "");
    assert_string_equal(offer("a", names, 1), "");
}

static void a_short_text_is_cut_not_overrun(void **state)
{
    char text[12];
    struct near near;
    sp__near_init(&near, "ping");
    sp__near_offer(&near, "ping");
    memset(text, '#', sizeof text);
    (void)sp__near_text(&near, text, sizeof text);
    assert_int_equal(strlen(text), sizeof text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_slip_of_the_finger_finds_the_name),
        TEST(a_beginning_finds_the_names_it_begins),
        TEST(what_is_far_is_not_offered),
        TEST(only_the_three_nearest_are_offered),
        TEST(very_long_names_are_passed_over),
        TEST(a_short_text_is_cut_not_overrun),
    };
    return cmocka_run_group_tests_name("near", tests, NULL, NULL);
}
