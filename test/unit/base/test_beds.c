/* SPDX-License-Identifier: MIT */
/* Beds, and who wakes whom. */
#include "base/beds.h"

#include <pthread.h>
#include <stdatomic.h>

#include "leak.h"

static void who_is_woken_after_looking_does_not_sleep(void **state)
{
    struct bed bed = {.hall = 1, .number = 40};
    unsigned seen = sp__bed_look(bed);
    assert_int_equal(sp__bed_wake(bed), 0); /* nobody was there */
    assert_int_equal(sp__bed_sleep(bed, seen, NULL), 1);
}

static void a_sleep_ends_at_its_time(void **state)
{
    struct bed bed = {.hall = 1, .number = 40};
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    assert_int_equal(sp__bed_sleep(bed, sp__bed_look(bed), &end), 0);
}

static void a_processor_has_a_hall(void **state)
{
    assert_true(sp__bed_hall() < BED_HALLS);
}

/* A thread in a bed. What the test does is done after it has looked, so it gets up also
 * when it has not fallen asleep by then. */
struct sleeper {
    struct bed bed;
    pthread_t thread;
    atomic_int has_looked;
    atomic_int may_end;
    atomic_int sleeps; /* that ended */
    atomic_int has_ended;
};

static void *sleep_in_bed(void *arg)
{
    struct sleeper *sleeper = arg;
    do {
        unsigned seen = sp__bed_look(sleeper->bed);
        atomic_store(&sleeper->has_looked, 1);
        (void)sp__bed_sleep(sleeper->bed, seen, NULL);
        atomic_fetch_add(&sleeper->sleeps, 1);
    } while (!atomic_load(&sleeper->may_end));
    atomic_store(&sleeper->has_ended, 1);
    return NULL;
}

static void lay_down(struct sleeper *sleeper, struct bed bed, int may_end)
{
    *sleeper = (struct sleeper){.bed = bed, .may_end = may_end};
    assert_int_equal(pthread_create(&sleeper->thread, NULL, sleep_in_bed, sleeper), 0);
    UNTIL(atomic_load(&sleeper->has_looked));
}

static void who_is_first_wakes_the_others(void **state)
{
    struct sleeper sleepers[3];
    struct rousing rousing = {0};
    for (unsigned i = 0; i < 3; i++) {
        lay_down(&sleepers[i], (struct bed){.hall = 2, .number = i * 300}, 1);
        sp__rousing_add(&rousing, sleepers[i].bed);
    }
    assert_true(rousing.any_left);
    sp__rousing_end(&rousing);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(sleepers[i].thread, NULL), 0);
    }
}

static void each_hall_has_a_first(void **state)
{
    struct sleeper here, there;
    struct rousing rousing = {0};
    lay_down(&here, (struct bed){.hall = 2, .number = 9}, 1);
    lay_down(&there, (struct bed){.hall = 15, .number = 9}, 1);
    sp__rousing_add(&rousing, here.bed);
    sp__rousing_add(&rousing, there.bed);
    assert_false(rousing.any_left);
    sp__rousing_end(&rousing);
    assert_int_equal(pthread_join(here.thread, NULL), 0);
    assert_int_equal(pthread_join(there.thread, NULL), 0);
}

static void the_others_are_woken_when_the_first_is_not_there(void **state)
{
    struct sleeper sleeper;
    struct rousing rousing = {0};
    lay_down(&sleeper, (struct bed){.hall = 3, .number = 33}, 1);
    sp__rousing_add(&rousing, (struct bed){.hall = 3, .number = 0});
    sp__rousing_add(&rousing, sleeper.bed);
    sp__rousing_end(&rousing);
    assert_int_equal(pthread_join(sleeper.thread, NULL), 0);
}

/* As when the first has been stopped before it could do anything. */
static void who_is_left_is_woken_later(void **state)
{
    struct sleeper sleeper;
    struct rousing rousing = {0};
    lay_down(&sleeper, (struct bed){.hall = 4, .number = 1023}, 1);
    sp__rousing_add(&rousing, (struct bed){.hall = 4, .number = 0});
    sp__rousing_add(&rousing, sleeper.bed);
    sp__beds_rouse();
    assert_int_equal(pthread_join(sleeper.thread, NULL), 0);
}

/* Not at the first attempt, perhaps: it may have been about to lie down. */
static int sleeps_on_when_woken(const struct sleeper *sleeper, struct bed bed)
{
    int sleeps = atomic_load(&sleeper->sleeps);
    int woken = sp__bed_wake(bed);
    leak_pause();
    return woken == 0 && atomic_load(&sleeper->sleeps) == sleeps;
}

static int has_ended_when_woken(struct sleeper *sleeper)
{
    (void)sp__bed_wake(sleeper->bed);
    return atomic_load(&sleeper->has_ended);
}

static void who_sleeps_in_another_bed_sleeps_on(void **state)
{
    struct sleeper sleeper;
    lay_down(&sleeper, (struct bed){.hall = 5, .number = 2}, 0);
    UNTIL(sleeps_on_when_woken(&sleeper, (struct bed){.hall = 5, .number = 1}));
    UNTIL(sp__bed_wake(sleeper.bed) == 1);
    atomic_store(&sleeper.may_end, 1);
    UNTIL(has_ended_when_woken(&sleeper));
    assert_int_equal(pthread_join(sleeper.thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_is_woken_after_looking_does_not_sleep),
        TEST(a_sleep_ends_at_its_time),
        TEST(a_processor_has_a_hall),
        TEST(who_is_first_wakes_the_others),
        TEST(each_hall_has_a_first),
        TEST(the_others_are_woken_when_the_first_is_not_there),
        TEST(who_is_left_is_woken_later),
        TEST(who_sleeps_in_another_bed_sleeps_on),
    };
    return cmocka_run_group_tests_name("beds", tests, NULL, NULL);
}
