/* SPDX-License-Identifier: MIT */
/*
 * Ten thousand sessions with a hundred variables each end at the same moment: no single
 * step of the cleanup does more than a little of it, so whoever runs it, such as a pit's
 * loop, is never away for long.
 */
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "leak.h"
#include "session/sessions.h"
#include "snakepit/variable.h"

enum {
    SESSIONS = 10000,
    VARIABLES = 100,
    STEP_MAX = 2048, /* pieces of memory freed in one step */
    SLICE_US = 1000  /* what a pit gives the cleanup in one turn */
};

static uint64_t clock_ms;
static unsigned expired_told;

static uint64_t read_clock(void)
{
    return clock_ms;
}

static void on_event(const sp_event *event, void *user_data)
{
    expired_told += event->kind == SP_EVENT_SESSION_EXPIRED;
}

/* All of them, and their time is over. */
static sp_sessions *sessions_that_are_over(void)
{
    sp_sessions *set;
    sp_sessions_options options = {
        .size = sizeof options, .ttl_ms = 1000, .on_event = on_event};
    char id[32];
    char name[32];
    clock_ms = 1000000;
    expired_told = 0;
    assert_int_equal(sp_sessions_open(&options, &set, NULL), 0);
    set->now_ms = read_clock;
    for (int s = 0; s < SESSIONS; s++) {
        (void)snprintf(id, sizeof id, "session %d", s);
        assert_int_equal(sp_session_create(set, id, NULL, NULL), 1);
        for (int v = 0; v < VARIABLES; v++) {
            (void)snprintf(name, sizeof name, "v%d", v);
            assert_int_equal(
                sp_variable_register(set, id, name, "integer", "1", NULL, NULL, NULL),
                0);
        }
    }
    clock_ms += 1001;
    return set;
}

static uint64_t processor_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static void no_step_does_much(void **state)
{
    sp_sessions *set = sessions_that_are_over();
    size_t expired = 0;
    int64_t most = 0;
    int more = 1;
    for (unsigned steps = 0; more; steps++) {
        int64_t before = sp__mem_live();
        more = sp__sessions_cleanup(set, 0, &expired);
        int64_t freed = before - sp__mem_live();
        most = freed > most ? freed : most;
        assert_true(steps < 2 * SESSIONS);
    }
    assert_int_equal(expired, SESSIONS);
    assert_int_equal(expired_told, SESSIONS);
    assert_true(most > 0 && most <= STEP_MAX);
    sp_sessions_close(set);
}

/* The same as a pit does it; how long it takes is told, not judged: that depends on the
 * machine and on who else is busy there. */
static void slices_of_a_pit_end_in_time(void **state)
{
    sp_sessions *set = sessions_that_are_over();
    size_t expired = 0;
    uint64_t longest_us = 0;
    unsigned slices = 0;
    int more = 1;
    for (; more; slices++) {
        uint64_t start_us = processor_us();
        more = sp__sessions_cleanup(set, SLICE_US, &expired);
        uint64_t took_us = processor_us() - start_us;
        longest_us = took_us > longest_us ? took_us : longest_us;
    }
    assert_int_equal(expired, SESSIONS);
    print_message("%d sessions of %d variables: %u slices, the longest %llu us\n",
                  SESSIONS, VARIABLES, slices, (unsigned long long)longest_us);
    sp_sessions_close(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_step_does_much),
        TEST(slices_of_a_pit_end_in_time),
    };
    return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
