/* SPDX-License-Identifier: MIT */
/* The latch, alone and between threads. */
#include "base/latch.h"

#include <pthread.h>

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

static void a_nudge_ends_one_rest_and_opens_nothing(void **state)
{
    struct latch latch;
    sp__latch_init(&latch);
    sp__latch_nudge(&latch);
    assert_int_equal(sp__latch_is_open(&latch), 0);
    assert_int_equal(sp__latch_rest(&latch, SP_UNLIMITED), 0);
    assert_int_equal(sp__latch_rest(&latch, 1), 0);
    sp__latch_nudge(&latch);
    sp__latch_open(&latch); /* which is more than a nudge */
    assert_int_equal(sp__latch_rest(&latch, SP_UNLIMITED), 1);
    sp__latch_nudge(&latch);
    assert_int_equal(sp__latch_rest(&latch, SP_UNLIMITED), 1);
}

struct bed {
    struct latch latch;
    atomic_int rests; /* that ended without the latch being open */
};

static void *rest(void *arg)
{
    struct bed *bed = arg;
    while (!sp__latch_rest(&bed->latch, SP_UNLIMITED)) {
        atomic_fetch_add(&bed->rests, 1);
    }
    return NULL;
}

static void a_sleeper_is_nudged_awake(void **state)
{
    struct bed bed;
    pthread_t thread;
    sp__latch_init(&bed.latch);
    atomic_init(&bed.rests, 0);
    assert_int_equal(pthread_create(&thread, NULL, rest, &bed), 0);
    for (int i = 1; i <= 1000; i++) {
        sp__latch_nudge(&bed.latch);
        UNTIL(atomic_load(&bed.rests) >= i);
    }
    sp__latch_open(&bed.latch);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&bed.rests), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_open_latch_does_not_wait),
        TEST(a_closed_latch_waits_until_its_deadline),
        TEST(no_wake_up_is_lost_between_threads),
        TEST(a_nudge_ends_one_rest_and_opens_nothing),
        TEST(a_sleeper_is_nudged_awake),
    };
    return cmocka_run_group_tests_name("latch", tests, NULL, NULL);
}
