/* SPDX-License-Identifier: MIT */
/* From what handlers want to what a worker is asked for. */
#include "worker/interest.h"

#include <stdio.h>
#include <string.h>

#include "leak.h"
#include "snakepit/pool.h"

static struct herald herald;
static struct interest interest;

static void on_more(struct tap *tap)
{
}

static void open_tap(struct tap *tap, const char *pattern)
{
    *tap = (struct tap){.on_more = on_more};
    assert_int_equal(sp__tap_open(&herald, tap, pattern, TAP_FROM_NOW, NULL), SP_OK);
}

static int has(const struct interest_words *words, const char *name)
{
    for (size_t i = 0; i < words->count; i++) {
        if (strcmp(words->at[i], name) == 0) {
            return 1;
        }
    }
    return 0;
}

#define ALLOWS(name) has(&interest.allow, name)
#define DENIES(name) has(&interest.deny, name)

static void nobody_asks_for_nothing(void **state)
{
    struct tap tap;
    sp__herald_init(&herald);
    assert_false(sp__interest_of(&herald, NULL, &interest));
    assert_false(sp__interest_of(NULL, NULL, &interest));
    open_tap(&tap, "queue.,worker.died,call.,heartbeat.");
    assert_false(sp__interest_of(&herald, NULL, &interest));
    sp__tap_close(&herald, &tap);
    sp__herald_fini(&herald);
}

static void rows_are_asked_for_by_all_their_names(void **state)
{
    struct tap tap, other;
    sp__herald_init(&herald);
    open_tap(&tap, "python.call.stop");
    assert_true(sp__interest_of(&herald, NULL, &interest));
    assert_int_equal(interest.allow.count, 1);
    assert_int_equal(interest.deny.count, 0);
    assert_true(ALLOWS("python.call.stop"));
    open_tap(&other, "tool.execution.stop,queue.enqueued");
    assert_true(sp__interest_of(&herald, NULL, &interest));
    assert_int_equal(interest.allow.count, 3);
    assert_true(ALLOWS("tool.execution.stop") && ALLOWS("python.tool.execution.stop"));
    sp__tap_close(&herald, &other);
    sp__tap_close(&herald, &tap);
    assert_false(sp__interest_of(&herald, NULL, &interest));
    sp__herald_fini(&herald);
}

static void whatever_has_no_row_is_asked_for_by_leaving_out(void **state)
{
    struct tap tap, other;
    sp__herald_init(&herald);
    open_tap(&tap, "worker.telemetry");
    assert_true(sp__interest_of(&herald, NULL, &interest));
    assert_int_equal(interest.allow.count, 0);
    assert_true(DENIES("python.call.stop") && DENIES("error.oom"));
    assert_false(DENIES("queue.enqueued")); /* user code may call something so */
    open_tap(&other, "python.call.stop");
    assert_true(sp__interest_of(&herald, NULL, &interest));
    assert_false(DENIES("python.call.stop"));
    assert_true(DENIES("python.call.start"));
    sp__tap_close(&herald, &other);
    open_tap(&other, ""); /* everything */
    assert_true(sp__interest_of(&herald, NULL, &interest));
    assert_int_equal(interest.allow.count + interest.deny.count, 0);
    sp__tap_close(&herald, &other);
    sp__tap_close(&herald, &tap);
    sp__herald_fini(&herald);
}

static void it_is_written_as_a_filter(void **state)
{
    struct proto_control control;
    struct sp_buffer out;
    struct tap tap;
    sp__herald_init(&herald);
    sp__buf_init(&out, SIZE_MAX / 2);
    open_tap(&tap, "tool.result_size");
    assert_true(sp__interest_of(&herald, NULL, &interest));
    assert_int_equal(sp__interest_put_filter(&out, &interest, NULL), SP_OK);
    assert_int_equal(sp__proto_get_control(out.data, out.size, &control, NULL), SP_OK);
    assert_true(control.is_filter);
    assert_int_equal(control.allow_count, 2);
    assert_string_equal(control.allow[0], "tool.result_size");
    assert_int_equal(control.deny_count, 0);
    sp__proto_control_fini(&control);
    sp__buf_fini(&out);
    sp__tap_close(&herald, &tap);
    sp__herald_fini(&herald);
}

/* ---- with what the program says ---- */

static struct controls controls;
static struct tap only;

/* What is asked for when one handler wants this and the program has said that. */
static int ask(const char *pattern, sp_telemetry_options options)
{
    options.size = sizeof options;
    sp__herald_init(&herald);
    sp__controls_init(&controls);
    open_tap(&only, pattern);
    assert_int_equal(sp__controls_set(&controls, "p", &options, NULL), SP_OK);
    int wanted =
        sp__interest_of(&herald, sp__controls_enter(&controls, "p"), &interest);
    sp__controls_leave(&controls);
    return wanted;
}

static void end_asking(void)
{
    sp__tap_close(&herald, &only);
    sp__controls_fini(&controls);
    sp__herald_fini(&herald);
}

static void what_is_off_is_asked_for_nothing(void **state)
{
    assert_false(ask("", (sp_telemetry_options){.off = 1}));
    end_asking();
    assert_false(ask("", (sp_telemetry_options){.sample_permille = SP_NONE}));
    end_asking();
    assert_false(ask("python.call.", (sp_telemetry_options){.allow = "tool.*"}));
    end_asking();
}

static void rows_are_left_out_by_any_of_their_names(void **state)
{
    assert_true(ask("python.call.,tool.execution.",
                    (sp_telemetry_options){.allow = "*.stop, python.call.start",
                                           .deny = "python.tool.*"}));
    assert_int_equal(interest.allow.count, 2);
    assert_true(ALLOWS("python.call.start") && ALLOWS("python.call.stop"));
    assert_int_equal(interest.deny.count, 0);
    end_asking();
}

static void others_are_left_out_by_the_program_s_own_patterns(void **state)
{
    assert_true(ask("worker.telemetry,python.call.",
                    (sp_telemetry_options){.allow = "model.*,python.call.stop",
                                           .deny = "*.secret"}));
    assert_true(ALLOWS("model.*") && ALLOWS("python.call.stop"));
    assert_false(ALLOWS("python.call.start"));
    assert_true(DENIES("*.secret") && DENIES("python.call.start") &&
                DENIES("tool.execution.stop"));
    assert_false(DENIES("python.call.stop"));
    end_asking();
}

static void a_rate_is_of_rows_by_all_their_names(void **state)
{
    assert_true(ask(
        "", (sp_telemetry_options){.sample_permille = 250, .sample = "python.tool.*"}));
    assert_true(sp__interest_is_sampled(&interest));
    assert_true(interest.rate == 0.25);
    assert_true(has(&interest.sample, "tool.execution.start"));
    assert_true(has(&interest.sample, "python.tool.*"));
    assert_false(has(&interest.sample, "python.call.stop"));
    struct proto_control control;
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
    assert_int_equal(sp__interest_put_rate(&out, &interest, NULL), SP_OK);
    assert_int_equal(sp__proto_get_control(out.data, out.size, &control, NULL), SP_OK);
    assert_true(control.rate == 0.25);
    assert_int_equal(control.patterns_count, interest.sample.count);
    sp__proto_control_fini(&control);
    sp__buf_fini(&out);
    end_asking();
    assert_true(ask("", (sp_telemetry_options){.off = 0}));
    assert_false(sp__interest_is_sampled(&interest));
    end_asking();
}

/* The longest lists that there may be fit into what a worker takes. */
static void long_lists_fit(void **state)
{
    char list[CONTROL_WORDS * 4];
    size_t n = 0;
    for (int i = 0; i < CONTROL_WORDS; i++) {
        n += (size_t)snprintf(list + n, sizeof list - n, "x%d ", i);
    }
    assert_true(ask("worker.telemetry", (sp_telemetry_options){.allow = list,
                                                               .deny = list,
                                                               .sample = list,
                                                               .sample_permille = 1}));
    assert_true(interest.deny.count > CONTROL_WORDS);
    end_asking();
    memcpy(list, "* ", 2); /* means every row */
    assert_true(ask("", (sp_telemetry_options){
                            .allow = list, .sample = list, .sample_permille = 1}));
    assert_true(interest.allow.count > CONTROL_WORDS);
    assert_true(interest.sample.count > CONTROL_WORDS);
    end_asking();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_asks_for_nothing),
        TEST(rows_are_asked_for_by_all_their_names),
        TEST(whatever_has_no_row_is_asked_for_by_leaving_out),
        TEST(it_is_written_as_a_filter),
        TEST(what_is_off_is_asked_for_nothing),
        TEST(rows_are_left_out_by_any_of_their_names),
        TEST(others_are_left_out_by_the_program_s_own_patterns),
        TEST(a_rate_is_of_rows_by_all_their_names),
        TEST(long_lists_fit),
    };
    return cmocka_run_group_tests_name("worker_interest", tests, NULL, NULL);
}
