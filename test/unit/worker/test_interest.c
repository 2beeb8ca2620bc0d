/* SPDX-License-Identifier: MIT */
/* From what handlers want to what a worker is asked for. */
#include "worker/interest.h"

#include <string.h>

#include "leak.h"

static struct herald herald;

static void on_more(struct tap *tap)
{
}

static void open_tap(struct tap *tap, const char *pattern)
{
    *tap = (struct tap){.on_more = on_more};
    assert_int_equal(sp__tap_open(&herald, tap, pattern, 0, NULL), SP_OK);
}

static int has(const char *const *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], name) == 0) {
            return 1;
        }
    }
    return 0;
}

#define ALLOWS(name) has(interest.allow, interest.allow_count, name)
#define DENIES(name) has(interest.deny, interest.deny_count, name)

static void nobody_asks_for_nothing(void **state)
{
    struct interest interest;
    struct tap tap;
    sp__herald_init(&herald);
    assert_false(sp__interest_of(&herald, &interest));
    assert_false(sp__interest_of(NULL, &interest));
    open_tap(&tap, "queue.,worker.died,call.,heartbeat.");
    assert_false(sp__interest_of(&herald, &interest));
    sp__tap_close(&herald, &tap);
    sp__herald_fini(&herald);
}

static void rows_are_asked_for_by_all_their_names(void **state)
{
    struct interest interest;
    struct tap tap, other;
    sp__herald_init(&herald);
    open_tap(&tap, "python.call.stop");
    assert_true(sp__interest_of(&herald, &interest));
    assert_int_equal(interest.allow_count, 1);
    assert_int_equal(interest.deny_count, 0);
    assert_true(ALLOWS("python.call.stop"));
    open_tap(&other, "tool.execution.stop,queue.enqueued");
    assert_true(sp__interest_of(&herald, &interest));
    assert_int_equal(interest.allow_count, 3);
    assert_true(ALLOWS("tool.execution.stop") && ALLOWS("python.tool.execution.stop"));
    sp__tap_close(&herald, &other);
    sp__tap_close(&herald, &tap);
    assert_false(sp__interest_of(&herald, &interest));
    sp__herald_fini(&herald);
}

static void whatever_has_no_row_is_asked_for_by_leaving_out(void **state)
{
    struct interest interest;
    struct tap tap, other;
    sp__herald_init(&herald);
    open_tap(&tap, "worker.telemetry");
    assert_true(sp__interest_of(&herald, &interest));
    assert_int_equal(interest.allow_count, 0);
    assert_true(DENIES("python.call.stop") && DENIES("error.oom"));
    assert_false(DENIES("queue.enqueued")); /* user code may call something so */
    open_tap(&other, "python.call.stop");
    assert_true(sp__interest_of(&herald, &interest));
    assert_false(DENIES("python.call.stop"));
    assert_true(DENIES("python.call.start"));
    sp__tap_close(&herald, &other);
    open_tap(&other, ""); /* everything */
    assert_true(sp__interest_of(&herald, &interest));
    assert_int_equal(interest.allow_count + interest.deny_count, 0);
    sp__tap_close(&herald, &other);
    sp__tap_close(&herald, &tap);
    sp__herald_fini(&herald);
}

static void it_is_written_as_a_filter(void **state)
{
    struct interest interest;
    struct proto_control control;
    struct sp_buffer out;
    struct tap tap;
    sp__herald_init(&herald);
    sp__buf_init(&out, SIZE_MAX / 2);
    open_tap(&tap, "tool.result_size");
    assert_true(sp__interest_of(&herald, &interest));
    assert_int_equal(sp__interest_put(&out, &interest, NULL), SP_OK);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_asks_for_nothing),
        TEST(rows_are_asked_for_by_all_their_names),
        TEST(whatever_has_no_row_is_asked_for_by_leaving_out),
        TEST(it_is_written_as_a_filter),
    };
    return cmocka_run_group_tests_name("worker_interest", tests, NULL, NULL);
}
