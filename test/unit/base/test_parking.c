/* SPDX-License-Identifier: MIT */
/* Spots, and who wakes whom. */
#include "base/parking.h"

#include <pthread.h>
#include <stdatomic.h>

#include "leak.h"

static void who_is_woken_after_looking_does_not_sleep(void **state)
{
    struct spot spot = {.lot = 1, .number = 40};
    unsigned seen = sp__parking_look(spot);
    assert_int_equal(sp__unpark(spot), 0); /* nobody was there */
    assert_int_equal(sp__park(spot, seen, NULL), 1);
}

static void a_sleep_ends_at_its_time(void **state)
{
    struct spot spot = {.lot = 1, .number = 40};
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    assert_int_equal(sp__park(spot, sp__parking_look(spot), &end), 0);
}

static void a_processor_has_a_lot(void **state)
{
    assert_true(sp__parking_lot() < PARKING_LOTS);
}

/* A thread in a spot. What the test does is done after it has looked, so it gets up also
 * when it has not fallen asleep by then. */
struct sleeper {
    struct spot spot;
    pthread_t thread;
    atomic_int has_looked;
    atomic_int may_end;
    atomic_int sleeps; /* that ended */
    atomic_int has_ended;
};

static void *park_there(void *arg)
{
    struct sleeper *sleeper = arg;
    do {
        unsigned seen = sp__parking_look(sleeper->spot);
        atomic_store(&sleeper->has_looked, 1);
        (void)sp__park(sleeper->spot, seen, NULL);
        atomic_fetch_add(&sleeper->sleeps, 1);
    } while (!atomic_load(&sleeper->may_end));
    atomic_store(&sleeper->has_ended, 1);
    return NULL;
}

static void park_one(struct sleeper *sleeper, struct spot spot, int may_end)
{
    *sleeper = (struct sleeper){.spot = spot, .may_end = may_end};
    assert_int_equal(pthread_create(&sleeper->thread, NULL, park_there, sleeper), 0);
    UNTIL(atomic_load(&sleeper->has_looked));
}

static void who_is_first_wakes_the_others(void **state)
{
    struct sleeper sleepers[3];
    struct unparking unparking = {0};
    for (unsigned i = 0; i < 3; i++) {
        park_one(&sleepers[i], (struct spot){.lot = 2, .number = i * 300}, 1);
        sp__unparking_add(&unparking, sleepers[i].spot);
    }
    assert_true(unparking.any_left);
    sp__unparking_end(&unparking);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(sleepers[i].thread, NULL), 0);
    }
}

static void each_lot_has_a_first(void **state)
{
    struct sleeper here, there;
    struct unparking unparking = {0};
    park_one(&here, (struct spot){.lot = 2, .number = 9}, 1);
    park_one(&there, (struct spot){.lot = 15, .number = 9}, 1);
    sp__unparking_add(&unparking, here.spot);
    sp__unparking_add(&unparking, there.spot);
    assert_false(unparking.any_left);
    sp__unparking_end(&unparking);
    assert_int_equal(pthread_join(here.thread, NULL), 0);
    assert_int_equal(pthread_join(there.thread, NULL), 0);
}

static void the_others_are_woken_when_the_first_is_not_there(void **state)
{
    struct sleeper sleeper;
    struct unparking unparking = {0};
    park_one(&sleeper, (struct spot){.lot = 3, .number = 33}, 1);
    sp__unparking_add(&unparking, (struct spot){.lot = 3, .number = 0});
    sp__unparking_add(&unparking, sleeper.spot);
    sp__unparking_end(&unparking);
    assert_int_equal(pthread_join(sleeper.thread, NULL), 0);
}

/* As when the first has been stopped before it could do anything. */
static void who_is_left_is_woken_later(void **state)
{
    struct sleeper sleeper;
    struct unparking unparking = {0};
    park_one(&sleeper, (struct spot){.lot = 4, .number = 1023}, 1);
    sp__unparking_add(&unparking, (struct spot){.lot = 4, .number = 0});
    sp__unparking_add(&unparking, sleeper.spot);
    sp__unpark_left();
    assert_int_equal(pthread_join(sleeper.thread, NULL), 0);
}

/* Not at the first attempt, perhaps: it may have been about to park. */
static int sleeps_on_when_woken(const struct sleeper *sleeper, struct spot spot)
{
    int sleeps = atomic_load(&sleeper->sleeps);
    int woken = sp__unpark(spot);
    leak_pause();
    return woken == 0 && atomic_load(&sleeper->sleeps) == sleeps;
}

static int has_ended_when_woken(struct sleeper *sleeper)
{
    (void)sp__unpark(sleeper->spot);
    return atomic_load(&sleeper->has_ended);
}

static void who_is_parked_elsewhere_sleeps_on(void **state)
{
    struct sleeper sleeper;
    park_one(&sleeper, (struct spot){.lot = 5, .number = 2}, 0);
    UNTIL(sleeps_on_when_woken(&sleeper, (struct spot){.lot = 5, .number = 1}));
    UNTIL(sp__unpark(sleeper.spot) == 1);
    atomic_store(&sleeper.may_end, 1);
    UNTIL(has_ended_when_woken(&sleeper));
    assert_int_equal(pthread_join(sleeper.thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_is_woken_after_looking_does_not_sleep),
        TEST(a_sleep_ends_at_its_time),
        TEST(a_processor_has_a_lot),
        TEST(who_is_first_wakes_the_others),
        TEST(each_lot_has_a_first),
        TEST(the_others_are_woken_when_the_first_is_not_there),
        TEST(who_is_left_is_woken_later),
        TEST(who_is_parked_elsewhere_sleeps_on),
    };
    return cmocka_run_group_tests_name("parking", tests, NULL, NULL);
}
