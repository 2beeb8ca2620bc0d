/* SPDX-License-Identifier: MIT */
/* The latch, alone and between threads. */
#include "base/latch.h"

#include <pthread.h>
#include <sched.h>

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

struct bed {
    struct latch latch;
    atomic_size_t work;
    atomic_int rests; /* that ended without the latch being open */
};

static void *rest(void *arg)
{
    struct bed *bed = arg;
    while (!sp__latch_rest(&bed->latch, SP_UNLIMITED, &bed->work)) {
        atomic_fetch_add(&bed->rests, 1);
        atomic_store(&bed->work, 0);
    }
    return NULL;
}

static void a_sleeper_is_nudged_awake(void **state)
{
    struct bed bed;
    pthread_t thread;
    sp__latch_init(&bed.latch);
    atomic_init(&bed.rests, 0);
    atomic_init(&bed.work, 0);
    assert_int_equal(pthread_create(&thread, NULL, rest, &bed), 0);
    for (int i = 1; i <= 1000; i++) {
        UNTIL(sp__latch_nudge(&bed.latch));
        UNTIL(atomic_load(&bed.rests) >= i);
    }
    sp__latch_open(&bed.latch);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&bed.rests), 1000);
}

/* Who adds work and nudges once is heard, whatever the waiter is just about to do. */
static void work_is_never_missed(void **state)
{
    struct bed bed;
    pthread_t thread;
    sp__latch_init(&bed.latch);
    atomic_init(&bed.rests, 0);
    atomic_init(&bed.work, 0);
    assert_int_equal(pthread_create(&thread, NULL, rest, &bed), 0);
    for (int i = 1; i <= ROUNDS; i++) {
        atomic_store(&bed.work, 1);
        (void)sp__latch_nudge(&bed.latch);
        while (atomic_load(&bed.work) != 0) {
            (void)sched_yield(); /* for ever when it is missed */
        }
    }
    sp__latch_open(&bed.latch);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void *sleep_soundly(void *arg)
{
    struct bed *bed = arg;
    atomic_store(&bed->rests, 1);
    (void)sp__latch_wait(&bed->latch, SP_UNLIMITED);
    return NULL;
}

static void who_only_waits_is_not_nudged(void **state)
{
    struct bed bed;
    pthread_t thread;
    sp__latch_init(&bed.latch);
    atomic_init(&bed.rests, 0);
    assert_int_equal(pthread_create(&thread, NULL, sleep_soundly, &bed), 0);
    UNTIL(atomic_load(&bed.latch.state) != 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(sp__latch_nudge(&bed.latch), 0);
    }
    sp__latch_open(&bed.latch);
    assert_int_equal(pthread_join(thread, NULL), 0);
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
    };
    return cmocka_run_group_tests_name("latch", tests, NULL, NULL);
}
