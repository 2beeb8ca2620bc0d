/* SPDX-License-Identifier: MIT */
/* Leaving a processor that is shared: when, and how. */
#include "base/apart.h"

#include <sched.h>

#include "leak.h"
#include "processor.h"

enum { NOW_MS = 1000, MANY = 1000 };

/* Times in a row, in one moment, until it is time to go; MANY: it is not. */
static int count_until_due(struct apart *apart, uint64_t now_ms)
{
    for (int i = 1; i < MANY; i++) {
        if (sp__apart_is_due(apart, 1, now_ms)) {
            return i;
        }
    }
    return MANY;
}

static void being_together_again_and_again_makes_it_due(void **state)
{
    struct apart apart = {0};
    assert_in_range(count_until_due(&apart, NOW_MS), 2, 10);
}

static void once_apart_it_begins_anew(void **state)
{
    struct apart apart = {0};
    int times = count_until_due(&apart, NOW_MS);
    uint64_t later_ms = NOW_MS + 1000;
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(sp__apart_is_due(&apart, i % times != 0, later_ms), 0);
    }
    assert_int_equal(sp__apart_is_due(&apart, 0, later_ms), 0);
    assert_int_equal(count_until_due(&apart, later_ms), times);
}

static void it_is_not_due_all_the_time(void **state)
{
    struct apart apart = {0};
    (void)count_until_due(&apart, NOW_MS);
    assert_int_equal(count_until_due(&apart, NOW_MS), MANY);
    assert_in_range(count_until_due(&apart, NOW_MS + 1000), 1, 10);
}

static cpu_set_t allowed_now(void)
{
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    return allowed;
}

static void it_goes_elsewhere_and_may_come_back(void **state)
{
    cpu_set_t before = allowed_now();
    if (CPU_COUNT(&before) == 1) {
        skip_because("there is one processor");
    }
    int has_gone = 0; /* the kernel may fetch it back at once */
    for (int i = 0; i < 10 && !has_gone; i++) {
        int here = sched_getcpu();
        assert_int_equal(sp__apart_move(), 1);
        has_gone = sched_getcpu() != here;
        cpu_set_t after = allowed_now();
        assert_true(CPU_EQUAL(&before, &after));
    }
    assert_true(has_gone);
}

static void who_has_one_processor_stays(void **state)
{
    (void)processor_bind(pthread_self());
    cpu_set_t before = allowed_now();
    assert_int_equal(CPU_COUNT(&before), 1);
    assert_int_equal(sp__apart_move(), 0);
    cpu_set_t after = allowed_now();
    assert_true(CPU_EQUAL(&before, &after));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(being_together_again_and_again_makes_it_due),
        TEST(once_apart_it_begins_anew),
        TEST(it_is_not_due_all_the_time),
        TEST(it_goes_elsewhere_and_may_come_back),
        TEST(who_has_one_processor_stays),
    };
    return cmocka_run_group_tests_name("base_apart", tests, NULL, NULL);
}
