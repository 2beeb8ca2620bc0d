/* SPDX-License-Identifier: MIT */
/* The latch, alone and between threads. */
#include "base/latch.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "leak.h"
#include "snakepit/base.h"

enum { ROUNDS = 20000 };

static void an_open_latch_does_not_wait(void **state)
{
    struct latch latch;
    sp__latch_init(&latch);
    assert_int_equal(sp__latch_is_open(&latch), 0);
    sp__latch_open(&latch);
    assert_int_equal(sp__latch_is_open(&latch), 1);
    assert_int_equal(sp__latch_wait(&latch, 0), 1);
    assert_int_equal(sp__latch_wait(&latch, SP_UNLIMITED), 1);
    sp__latch_open(&latch); /* once more changes nothing */
    assert_int_equal(sp__latch_is_open(&latch), 1);
}

static void a_closed_latch_waits_until_its_deadline(void **state)
{
    struct latch latch;
    sp__latch_init(&latch);
    assert_int_equal(sp__latch_wait(&latch, 0), 0);
    assert_int_equal(sp__latch_wait(&latch, 5), 0);
    sp__latch_open(&latch);
    assert_int_equal(sp__latch_wait(&latch, 5), 1);
    sp__latch_close(&latch);
    assert_int_equal(sp__latch_is_open(&latch), 0);
    assert_int_equal(sp__latch_wait(&latch, 1), 0);
}

/* Two threads hand a number back and forth: every wake-up must arrive, and what was
 * written before an opening must be seen after it. */
struct table {
    struct latch to_server;
    struct latch to_client;
    int ball; /* no atomic: the latches order it */
};

static void *serve(void *arg)
{
    struct table *table = arg;
    for (int i = 0; i < ROUNDS; i++) {
        (void)sp__latch_wait(&table->to_server, SP_UNLIMITED);
        sp__latch_close(&table->to_server);
        table->ball++;
        sp__latch_open(&table->to_client);
    }
    return NULL;
}

static void no_wake_up_is_lost_between_threads(void **state)
{
    struct table table = {.ball = 0};
    pthread_t thread;
    sp__latch_init(&table.to_server);
    sp__latch_init(&table.to_client);
    assert_int_equal(pthread_create(&thread, NULL, serve, &table), 0);
    for (int i = 0; i < ROUNDS; i++) {
        int before = table.ball;
        sp__latch_open(&table.to_server);
        assert_int_equal(sp__latch_wait(&table.to_client, patience_ms(20000)), 1);
        sp__latch_close(&table.to_client);
        assert_int_equal(table.ball, before + 1);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void a_nudge_is_for_who_rests(void **state)
{
    struct latch latch;
    atomic_size_t work;
    sp__latch_init(&latch);
    atomic_init(&work, 0);
    assert_int_equal(sp__latch_nudge(&latch), 0); /* nobody there */
    assert_int_equal(sp__latch_rest(&latch, 1, &work), 0);
    assert_int_equal(sp__latch_nudge(&latch), 0); /* not any more */
    sp__latch_open(&latch);
    assert_int_equal(sp__latch_rest(&latch, SP_UNLIMITED, &work), 1);
    assert_int_equal(sp__latch_nudge(&latch), 0);
}

static void nobody_rests_while_there_is_work(void **state)
{
    struct latch latch;
    atomic_size_t work;
    sp__latch_init(&latch);
    atomic_init(&work, 1);
    assert_int_equal(sp__latch_rest(&latch, SP_UNLIMITED, &work), 0);
    assert_int_equal(sp__latch_wait(&latch, 1), 0); /* which knows of none */
    sp__latch_open(&latch);
    assert_int_equal(sp__latch_rest(&latch, SP_UNLIMITED, &work), 1);
}

struct sleeper {
    struct latch latch;
    pthread_t thread;
    atomic_size_t work;
    atomic_int rests; /* that ended without the latch being open */
};

static void *rest(void *arg)
{
    struct sleeper *sleeper = arg;
    while (!sp__latch_rest(&sleeper->latch, SP_UNLIMITED, &sleeper->work)) {
        atomic_fetch_add(&sleeper->rests, 1);
        atomic_store(&sleeper->work, 0);
    }
    return NULL;
}

/* At a latch that has been initialised. */
static void lie_down(struct sleeper *sleeper, void *(*how)(void *sleeper))
{
    atomic_init(&sleeper->rests, 0);
    atomic_init(&sleeper->work, 0);
    assert_int_equal(pthread_create(&sleeper->thread, NULL, how, sleeper), 0);
}

static void get_up(struct sleeper *sleeper)
{
    sp__latch_open(&sleeper->latch);
    assert_int_equal(pthread_join(sleeper->thread, NULL), 0);
}

enum { NUDGES = 1000 };

static void nudge_often(struct sleeper *sleeper)
{
    for (int i = 1; i <= NUDGES; i++) {
        UNTIL(sp__latch_nudge(&sleeper->latch));
        UNTIL(atomic_load(&sleeper->rests) >= i);
    }
}

static void a_sleeper_is_nudged_awake(void **state)
{
    struct sleeper sleeper;
    sp__latch_init(&sleeper.latch);
    lie_down(&sleeper, rest);
    nudge_often(&sleeper);
    get_up(&sleeper);
    assert_int_equal(atomic_load(&sleeper.rests), NUDGES);
}

/* Who adds work and nudges once is heard, whatever the waiter is just about to do. */
static void work_is_never_missed(void **state)
{
    struct sleeper sleeper;
    sp__latch_init(&sleeper.latch);
    lie_down(&sleeper, rest);
    for (int i = 1; i <= ROUNDS; i++) {
        atomic_store(&sleeper.work, 1);
        (void)sp__latch_nudge(&sleeper.latch);
        while (atomic_load(&sleeper.work) != 0) {
            (void)sched_yield(); /* for ever when it is missed */
        }
    }
    get_up(&sleeper);
}

static void *sleep_soundly(void *arg)
{
    struct sleeper *sleeper = arg;
    (void)sp__latch_wait(&sleeper->latch, SP_UNLIMITED);
    return NULL;
}

static void who_only_waits_is_not_nudged(void **state)
{
    struct sleeper sleeper;
    sp__latch_init(&sleeper.latch);
    lie_down(&sleeper, sleep_soundly);
    UNTIL(atomic_load(&sleeper.latch.state) == LATCH_ASLEEP);
    for (int i = 0; i < NUDGES; i++) {
        assert_int_equal(sp__latch_nudge(&sleeper.latch), 0);
    }
    get_up(&sleeper);
}

/* Many wait, each for its own latch, and all are opened in one go: again and again, with
 * some of the waiters about to lie down, and some to get up. They go from one processor to
 * the next meanwhile, and signals disturb them. */
enum { SLEEPERS = 40, OPENINGS = 500 };

struct dormitory {
    struct latch latches[SLEEPERS];
    atomic_int up;
    int rounds[SLEEPERS]; /* no atomic: the latches order it */
};

struct one_of_many {
    struct dormitory *dormitory;
    int number;
};

/* The number-th of those that this process may use, round and round. */
static void go_to_processor(int number)
{
    cpu_set_t allowed, one;
    assert_int_equal(sched_getaffinity(getpid(), sizeof allowed, &allowed), 0);
    int processor = 0;
    for (int left = number % CPU_COUNT(&allowed); left >= 0; processor++) {
        left -= CPU_ISSET(processor, &allowed) != 0;
    }
    CPU_ZERO(&one);
    CPU_SET(processor - 1, &one);
    (void)pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

static void be_disturbed(int signal)
{
}

static void *get_up_each_round(void *arg)
{
    struct one_of_many *one = arg;
    struct dormitory *dormitory = one->dormitory;
    struct latch *latch = &dormitory->latches[one->number];
    for (int i = 0; i < OPENINGS; i++) {
        if (i % 8 == 0) {
            go_to_processor(one->number + i / 8);
        }
        (void)sp__latch_wait(latch, SP_UNLIMITED);
        sp__latch_close(latch);
        dormitory->rounds[one->number]++;
        atomic_fetch_add(&dormitory->up, 1);
    }
    return NULL;
}

static void many_are_woken_in_one_go(void **state)
{
    struct dormitory dormitory = {.up = 0};
    struct one_of_many all[SLEEPERS];
    pthread_t threads[SLEEPERS];
    struct sigaction before, disturbed = {.sa_handler = be_disturbed};
    assert_int_equal(sigaction(SIGUSR1, &disturbed, &before), 0);
    for (int i = 0; i < SLEEPERS; i++) {
        all[i] = (struct one_of_many){.dormitory = &dormitory, .number = i};
        sp__latch_init_of_many(&dormitory.latches[i], (uint64_t)i * 7);
        assert_int_equal(pthread_create(&threads[i], NULL, get_up_each_round, &all[i]),
                         0);
    }
    for (int i = 1; i <= OPENINGS; i++) {
        struct unparking unparking = {0};
        assert_int_equal(pthread_kill(threads[i % SLEEPERS], SIGUSR1), 0);
        for (int k = 0; k < SLEEPERS; k++) {
            sp__latch_open_with(&dormitory.latches[k], &unparking);
        }
        sp__unparking_end(&unparking);
        uint64_t until_ms = leak_now_ms() + patience_ms(20000);
        while (atomic_load(&dormitory.up) < i * SLEEPERS) {
            assert_true(leak_now_ms() < until_ms); /* somebody sleeps on */
            (void)sched_yield();
        }
    }
    for (int i = 0; i < SLEEPERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(dormitory.rounds[i], OPENINGS);
    }
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

static void one_of_many_is_nudged_alone(void **state)
{
    struct sleeper sleeper, neighbour;
    sp__latch_init_of_many(&sleeper.latch, 5);
    sp__latch_init_of_many(&neighbour.latch, 6);
    lie_down(&sleeper, rest);
    lie_down(&neighbour, rest);
    nudge_often(&sleeper);
    get_up(&sleeper);
    get_up(&neighbour);
    assert_int_equal(atomic_load(&sleeper.rests), NUDGES);
    assert_int_equal(atomic_load(&neighbour.rests), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_open_latch_does_not_wait),
        TEST(a_closed_latch_waits_until_its_deadline),
        TEST(no_wake_up_is_lost_between_threads),
        TEST(a_nudge_is_for_who_rests),
        TEST(nobody_rests_while_there_is_work),
        TEST(a_sleeper_is_nudged_awake),
        TEST(work_is_never_missed),
        TEST(who_only_waits_is_not_nudged),
        TEST(many_are_woken_in_one_go),
        TEST(one_of_many_is_nudged_alone),
    };
    return cmocka_run_group_tests_name("latch", tests, NULL, NULL);
}
