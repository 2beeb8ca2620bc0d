/* SPDX-License-Identifier: MIT */
/* What the program says of telemetry: for which pools, and what is refused. */
#include "worker/controls.h"

#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "snakepit/pool.h"

static struct controls controls;

static double rate_of(const char *pool)
{
    const struct control *control = sp__controls_enter(&controls, pool);
    double rate = control != NULL ? control->rate : -1;
    sp__controls_leave(&controls);
    return rate;
}

static int set(const char *pool, uint32_t permille)
{
    const sp_telemetry_options options = {.size = sizeof options,
                                          .sample_permille = permille};
    return sp__controls_set(&controls, pool, &options, NULL);
}

static void a_pool_s_own_control_comes_first(void **state)
{
    sp__controls_init(&controls);
    assert_true(rate_of("a") < 0);
    assert_int_equal(set("a", 100), SP_OK);
    assert_true(rate_of("a") == 0.1 && rate_of("b") < 0);
    assert_int_equal(set(NULL, 500), SP_OK); /* ends what was said of single ones */
    assert_true(rate_of("a") == 0.5 && rate_of("b") == 0.5);
    assert_int_equal(set("b", SP_NONE), SP_OK);
    assert_int_equal(set("b", 0), SP_OK); /* in the place of the one before */
    assert_true(rate_of("a") == 0.5 && rate_of("b") == 1);
    assert_int_equal(controls.list.length, 2);
    assert_int_equal(sp__controls_set(&controls, "b", NULL, NULL), SP_OK);
    assert_true(rate_of("b") == 0.5);
    assert_int_equal(sp__controls_set(&controls, NULL, NULL, NULL), SP_OK);
    assert_true(rate_of("a") < 0);
    assert_int_equal(set("a", 1), SP_OK);
    sp__controls_fini(&controls);
}

static void patterns_are_words(void **state)
{
    const sp_telemetry_options options = {
        .size = sizeof options, .allow = " a.*,,b\tc ", .deny = "", .sample = "x"};
    sp__controls_init(&controls);
    assert_int_equal(sp__controls_set(&controls, NULL, &options, NULL), SP_OK);
    const struct control *control = sp__controls_enter(&controls, "any");
    assert_int_equal(control->allow.count, 3);
    assert_string_equal(control->allow.at[0], "a.*");
    assert_string_equal(control->allow.at[2], "c");
    assert_int_equal(control->deny.count, 0);
    assert_int_equal(control->sample.count, 1);
    sp__controls_leave(&controls);
    sp__controls_fini(&controls);
}

static void what_is_refused_changes_nothing(void **state)
{
    char words[2 * CONTROL_WORDS + 3];
    char text[CONTROL_TEXT_MAX + 2];
    sp_error err = {0};
    for (size_t i = 0; i < sizeof words - 1; i += 2) {
        memcpy(words + i, "a,", 2);
    }
    words[sizeof words - 1] = '\0';
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sp__controls_init(&controls);
    assert_int_equal(set("a", 100), SP_OK);
    assert_int_equal(set("a", 1001), SP_ERR_INVAL);
    sp_telemetry_options options = {.size = sizeof options, .allow = words};
    assert_int_equal(sp__controls_set(&controls, "a", &options, &err), SP_ERR_INVAL);
    assert_non_null(strstr(err.message, "allow has more than 32"));
    options = (sp_telemetry_options){.size = sizeof options, .deny = text};
    assert_int_equal(sp__controls_set(&controls, "a", &options, &err), SP_ERR_INVAL);
    assert_non_null(strstr(err.message, "deny has 4097 bytes"));
    options = (sp_telemetry_options){.size = sizeof options, .sample = "x"};
    for (uint64_t n = 1; n <= 3; n++) {
        sp__mem_fail_at(n, 0);
        assert_int_equal(sp__controls_set(&controls, "a", &options, &err),
                         SP_ERR_NOMEM);
        sp__mem_fail_at(0, 0);
    }
    assert_true(rate_of("a") == 0.1);
    sp_error_clear(&err);
    sp__controls_fini(&controls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(a_pool_s_own_control_comes_first),
                                       TEST(patterns_are_words),
                                       TEST(what_is_refused_changes_nothing)};
    return cmocka_run_group_tests_name("worker_controls", tests, NULL, NULL);
}
