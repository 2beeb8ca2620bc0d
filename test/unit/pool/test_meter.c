/* SPDX-License-Identifier: MIT */
/* The meter: what is counted is found again, in parts too, and the number of names that
 * come from outside does not matter. */
#include "pool/meter.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "pool/tools.h"

enum { NAMES = 10000000, MAX = 5 };

#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"

static void counts_of_parts_add_up(void **state)
{
    struct meter front;
    struct meter part;
    struct meter_sum sum;
    sp_error err = {0};
    sp__meter_init(&front);
    sp__meter_init(&part);
    front.own.max = MAX;
    sp__meter_join(&part, &front);
    sp__meter_tool(&front, "b");
    struct tool_meter *a1 = sp__meter_tool(&front, "a");
    struct tool_meter *a2 = sp__meter_tool(&part, "a");
    assert_ptr_not_equal(a1, a2);
    assert_ptr_equal(sp__meter_tool(&front, "a"), a1);
    a1->counts.endings[sp__meter_code(0)]++;
    a2->counts.endings[sp__meter_code(SP_ERR_TIMEOUT)]++;
    sp__meter_ran(a1, 150, "");
    sp__meter_ran(a2, 160, TRACE "1");
    sp__meter_ran(a2, 170, TRACE "0");
    front.counts.homes_refused = 2;
    part.counts.homes_refused = 3;
    assert_int_equal(sp__meter_sum_init(&sum, front.labels, &err), 0);
    sp__meter_add(&front, &sum);
    sp__meter_add(&part, &sum);
    assert_int_equal(sum.tools_count, 2);
    assert_string_equal(sum.tools[0].name, "b");
    assert_string_equal(sum.tools[1].name, "a");
    assert_int_equal(sum.tools[1].counts.endings[METER_CODE_OK], 1);
    assert_int_equal(sum.tools[1].counts.endings[METER_CODE_TIMEOUT], 1);
    assert_int_equal(sum.tools[1].counts.run.counts[1], 3);
    assert_int_equal(sum.tools[1].counts.run.sum_us, 480);
    assert_int_equal(sum.tools[1].exemplars[1].us, 160);
    assert_string_equal(sum.tools[1].exemplars[1].trace_id,
                        "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_string_equal(sum.tools[1].exemplars[0].trace_id, "");
    assert_int_equal(sum.counts.homes_refused, 5);
    sp__meter_sum_fini(&sum);
    sp__meter_fini(&part);
    sp__meter_fini(&front);
}

static void codes_and_causes_have_their_places(void **state)
{
    assert_int_equal(sp__meter_code(0), METER_CODE_OK);
    assert_int_equal(sp__meter_code(SP_ERR_DEADLOCK), METER_CODE_DEADLOCK);
#define X(name, ...) assert_int_equal(sp__meter_code(SP_ERR_##name), METER_CODE_##name);
    SP_ERROR_TABLE(X)
#undef X
    assert_int_equal(sp__meter_code(1), METER_CODE_SYSTEM);
    assert_int_equal(sp__meter_code(-METER_CODES), METER_CODE_SYSTEM);
#define X(name, ...) \
    assert_int_equal(sp__meter_death(SP_DEATH_##name), METER_DEATH_##name);
    SP_DEATH_TABLE(X)
#undef X
    assert_int_equal(sp__meter_death(0), METER_DEATH_UNKNOWN);
    assert_int_equal(sp__meter_death(METER_DEATHS), METER_DEATH_UNKNOWN);
}

/* The way a pool goes with each call. */
static void ten_million_names_are_a_few_lines(void **state)
{
    struct tools tools;
    struct meter meter;
    struct meter_sum sum;
    sp_error err = {0};
    sp__tools_init(&tools);
    sp__meter_init(&meter);
    int64_t live = 0;
    for (uint32_t i = 0; i < NAMES; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "tool_%u", i);
        struct tool *tool = sp__tools_of(&tools, name);
        if (tool == NULL) {
            meter.other.counts.endings[METER_CODE_OK]++;
            continue;
        }
        tool->meter = sp__meter_tool(&meter, name);
        tool->meter->counts.endings[METER_CODE_OK]++;
        sp__meter_ran(tool->meter, i, TRACE "1");
        if (i == TOOLS_LEARNED_MAX - 1) {
            live = sp__mem_live();
        }
    }
    assert_int_equal(sp__mem_live(), live);
    assert_int_equal(sp__meter_sum_init(&sum, meter.labels, &err), 0);
    sp__meter_add(&meter, &sum);
    assert_int_equal(sum.tools_count, METER_TOOLS);
    uint64_t calls = sum.other->counts.endings[METER_CODE_OK];
    assert_int_equal(calls, NAMES - METER_TOOLS);
    for (uint32_t i = 0; i < METER_TOOLS; i++) {
        assert_int_equal(sum.tools[i].counts.endings[METER_CODE_OK], 1);
    }
    sp__meter_sum_fini(&sum);
    sp__tools_fini(&tools);
    sp__meter_fini(&meter);
}

static void without_memory_calls_are_counted_together(void **state)
{
    struct meter meter;
    sp__meter_init(&meter);
    static const uint64_t nth[] = {1, 2, 2}; /* the list, the name, the tool's own */
    for (int i = 0; i < 3; i++) {
        sp__mem_fail_at(nth[i], 0);
        assert_ptr_equal(sp__meter_tool(&meter, "a"), &meter.other);
        sp__mem_fail_at(0, 0);
    }
    assert_ptr_not_equal(sp__meter_tool(&meter, "a"), &meter.other);
    sp__meter_fini(&meter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counts_of_parts_add_up),
        TEST(codes_and_causes_have_their_places),
        TEST(ten_million_names_are_a_few_lines),
        TEST(without_memory_calls_are_counted_together),
    };
    return cmocka_run_group_tests_name("meter", tests, NULL, NULL);
}
