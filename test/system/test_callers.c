/* SPDX-License-Identifier: MIT */
/* Callers that do the loop's work while they wait: alone, beside others, and leaving. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "alarms.h"
#include "pits.h"
#include "processes.h"

enum { THREADS = 4, CROWD = 48, CALLS = 100 };

static int sum_is(const sp_result *result, unsigned sum)
{
    return strtoul(result->json, NULL, 10) == sum;
}

static int add_one_hundred(sp_pit *pit, unsigned to)
{
    char args[32];
    sp_result result = {0};
    (void)snprintf(args, sizeof args, "[%u,100]", to);
    int ok = sp_execute(pit, "add", sp_text(args), NULL, &result, NULL) == 0 &&
             sum_is(&result, to + 100);
    sp_result_clear(&result);
    return ok;
}

/* ---- several at once ---- */

static void *execute_many(void *arg)
{
    uintptr_t good = 0;
    for (unsigned i = 0; i < CALLS; i++) {
        good += add_one_hundred(arg, i) == 1;
    }
    return (void *)good;
}

/* Now and then a callback waits for another call. */
static int now_and_then(sp_pit *pit, unsigned number)
{
    return number % 10 != 0 || add_one_hundred(pit, number);
}

static void callbacks_may_start_and_execute_calls(void **state)
{
    call_chain(pit_of_probes(1), CALLS, now_and_then);
}

static void threads_that_execute_share_the_loop_with_one_that_dispatches(void **state)
{
    pthread_t threads[THREADS];
    sp_pit *pit = pit_of_probes(2);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, execute_many, pit), 0);
    }
    call_chain(pit, CALLS, now_and_then);
    for (size_t i = 0; i < THREADS; i++) {
        void *good;
        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_int_equal((uintptr_t)good, CALLS);
    }
}

static void be_disturbed(int number)
{
}

/* They wake each other, and a signal may end the sleep of one that is to do that. */
static void a_crowd_that_signals_disturb_has_its_answers(void **state)
{
    pthread_t threads[CROWD];
    struct sigaction before, disturbed = {.sa_handler = be_disturbed};
    sp_pit *pit = pit_of_probes(2);
    assert_int_equal(sigaction(SIGUSR1, &disturbed, &before), 0);
    for (size_t i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, execute_many, pit), 0);
    }
    for (size_t i = 0; i < 10 * CROWD; i++) {
        (void)pthread_kill(threads[i % CROWD], SIGUSR1);
        (void)sched_yield();
    }
    for (size_t i = 0; i < CROWD; i++) {
        void *good;
        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_int_equal((uintptr_t)good, CALLS);
    }
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

/* ---- beside one that takes long ---- */

struct holder {
    sp_pit *pit;
    char args[400];
    pthread_t thread;
    atomic_int tid;
    int rc;
};

static void *execute_hold(void *arg)
{
    struct holder *holder = arg;
    atomic_store(&holder->tid, (int)syscall(SYS_gettid));
    sp_result result = {0};
    holder->rc =
        sp_execute(holder->pit, "hold", sp_text(holder->args), NULL, &result, NULL);
    sp_result_clear(&result);
    return NULL;
}

static void hold_begin(struct holder *holder, sp_pit *pit, const char *name)
{
    *holder = (struct holder){.pit = pit};
    (void)hold_args(name, holder->args, sizeof holder->args);
    assert_int_equal(pthread_create(&holder->thread, NULL, execute_hold, holder), 0);
    hold_await(name);
}

static void a_long_call_that_drives_does_not_keep_others(void **state)
{
    struct holder holder;
    sp_call_options options = {.size = sizeof options, .timeout_ms = 50};
    sp_pit *pit = pit_of_probes(2);
    for (int round = 0; round < 3; round++) {
        char name[16];
        char late[16];
        char args[400];
        (void)snprintf(name, sizeof name, "held%d", round);
        (void)snprintf(late, sizeof late, "late%d", round);
        hold_begin(&holder, pit, name);
        for (unsigned i = 0; i < 20; i++) {
            call_gives(pit, "add", "[1,2]", "3");
        }
        /* Its deadline is a timer of the loop that the other one drives. */
        (void)call_fails(pit, "hold", hold_args(late, args, sizeof args), &options,
                         SP_ERR_TIMEOUT);
        hold_release(late);
        hold_release(name);
        assert_int_equal(pthread_join(holder.thread, NULL), 0);
        assert_int_equal(holder.rc, 0);
    }
}

/* The first caller drives and the second one sleeps. When the first has gone the loop
 * thread takes over, and leaves the loop to the second, the only one who is left. */
static void who_sleeps_alone_is_given_the_loop(void **state)
{
    struct holder first;
    struct holder second;
    sp_pit *pit = pit_of_turning_probes(2); /* so that it is found to be alone */
    for (int round = 0; round < 5; round++) {
        char names[2][16];
        (void)snprintf(names[0], sizeof names[0], "first%d", round);
        (void)snprintf(names[1], sizeof names[1], "second%d", round);
        hold_begin(&first, pit, names[0]);
        hold_begin(&second, pit, names[1]);
        hold_release(names[0]);
        assert_int_equal(pthread_join(first.thread, NULL), 0);
        UNTIL(processes_thread_polls(atomic_load(&second.tid)));
        call_gives(pit, "add", "[1,2]", "3"); /* by a loop that the other one drives */
        hold_release(names[1]);
        assert_int_equal(pthread_join(second.thread, NULL), 0);
        assert_int_equal(first.rc, 0);
        assert_int_equal(second.rc, 0);
    }
}

static uint64_t cpu_ms(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

/* However well looking for news went: it is given up when none come. */
static void a_loop_that_spins_sleeps_in_the_end(void **state)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    sp_pit_options options = {
        .size = sizeof options, .pools = &pool, .pools_count = 1, .spin_us = 1000};
    sp_pit *pit = pit_open_ready_as(&options);
    for (int i = 0; i < 300; i++) {
        call_gives(pit, "echo", "[1]", "[1]");
    }
    uint64_t before_ms = cpu_ms();
    call_gives(pit, "nap", "{\"ms\":1000}", "true");
    assert_in_range(cpu_ms() - before_ms, 0, 300);
    options.spin_us = 1001;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), SP_ERR_CONFIG);
    assert_string_equal(last_error()->message, "spin_us is 1001: at most 1000");
}

static void a_shutdown_ends_a_call_that_drives(void **state)
{
    struct holder holder;
    sp_pit *pit = NULL;
    sp_pool_options pool = pool_of_probes(1);
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), 0);
    assert_int_equal(sp_pit_await_ready(pit, 0, last_error()), 0);
    call_gives(pit, "add", "[1,2]", "3"); /* the loop may rest now */
    hold_begin(&holder, pit, "held");
    assert_int_equal(sp_pit_shutdown(pit, 200, last_error()), SP_ERR_TIMEOUT);
    assert_int_equal(pthread_join(holder.thread, NULL), 0);
    assert_int_equal(holder.rc, SP_ERR_CLOSED);
}

/* ---- when they have gone, and when a signal comes ---- */

static void what_happens_after_the_last_call_is_heard(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    call_gives(pit, "add", "[1,2]", "3");
    while (sp_pit_dispatch(pit, 0, NULL) > 0) {
    }
    assert_int_equal(kill(worker_at(pit, 0).pid, SIGKILL), 0);
    /* Nobody calls and nobody dispatches: the loop's own thread has to tell. */
    struct pollfd ready = {.fd = sp_pit_fd(pit), .events = POLLIN};
    assert_int_equal(poll(&ready, 1, (int)patience_ms(20000)), 1);
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 1);
}

static void a_signal_ends_a_dispatch_and_no_call(void **state)
{
    struct alarms alarms;
    sp_pit *pit = pit_of_probes(1);
    while (sp_pit_dispatch(pit, 0, NULL) > 0) {
    }
    alarms_begin(&alarms);
    for (int i = 0; i < 10; i++) {
        call_gives(pit, "add", "[1,2]", "3"); /* so that the loop rests, and is lent */
        assert_int_equal(sp_pit_dispatch(pit, SP_UNLIMITED, last_error()), 0);
    }
    alarms_end(&alarms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(callbacks_may_start_and_execute_calls),
        TEST(threads_that_execute_share_the_loop_with_one_that_dispatches),
        TEST(a_crowd_that_signals_disturb_has_its_answers),
        TEST(a_long_call_that_drives_does_not_keep_others),
        TEST(who_sleeps_alone_is_given_the_loop),
        TEST(a_loop_that_spins_sleeps_in_the_end),
        TEST(a_shutdown_ends_a_call_that_drives),
        TEST(what_happens_after_the_last_call_is_heard),
        TEST(a_signal_ends_a_dispatch_and_no_call),
    };
    return RUN_SYSTEM_TESTS("callers", tests);
}
