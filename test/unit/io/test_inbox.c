/* SPDX-License-Identifier: MIT */
/* The inbox of a loop: what is in it, in which order, and whom who posts has to call. */
#include <pthread.h>

#include "io/inbox.h"
#include "leak.h"

enum { THREADS = 4, COMMANDS = 2000 };

static void nobody_runs_it(struct command *command, void *user)
{
    fail();
}

static enum inbox_mark post(struct inbox *inbox, struct command *command)
{
    *command = (struct command){.run = nobody_runs_it};
    return sp__inbox_post(inbox, command, 0);
}

static void commands_come_in_the_order_of_posting(void **state)
{
    struct inbox inbox = {0};
    struct command a, b, c;
    assert_true(sp__inbox_is_empty(&inbox));
    assert_null(sp__inbox_take(&inbox));
    assert_int_equal(post(&inbox, &a), INBOX_AWAKE);
    b = (struct command){.next = &c};
    c = (struct command){0};
    assert_int_equal(sp__inbox_post(&inbox, &b, 0), INBOX_AWAKE);
    assert_false(sp__inbox_is_empty(&inbox));
    assert_ptr_equal(sp__inbox_take(&inbox), &a);
    assert_ptr_equal(a.next, &b);
    assert_ptr_equal(b.next, &c);
    assert_null(c.next);
    assert_true(sp__inbox_is_empty(&inbox));
}

static void first_post_takes_the_sleep_away(void **state)
{
    struct inbox inbox = {0};
    struct command a, b;
    assert_true(sp__inbox_mark(&inbox, INBOX_ASLEEP));
    assert_true(sp__inbox_is_empty(&inbox));
    assert_int_equal(post(&inbox, &a), INBOX_ASLEEP);
    assert_int_equal(post(&inbox, &b), INBOX_AWAKE);
    assert_false(sp__inbox_mark(&inbox, INBOX_ASLEEP)); /* there is something to do */
    assert_ptr_equal(sp__inbox_take(&inbox), &a);
    assert_ptr_equal(a.next, &b);
    assert_true(sp__inbox_mark(&inbox, INBOX_ASLEEP));
    sp__inbox_wake(&inbox);
    assert_int_equal(post(&inbox, &a), INBOX_AWAKE);
    sp__inbox_wake(&inbox);
    assert_ptr_equal(sp__inbox_take(&inbox), &a);
}

static void a_loop_at_rest_is_claimed_once(void **state)
{
    struct inbox inbox = {0};
    struct command a;
    assert_false(sp__inbox_claim(&inbox)); /* somebody drives */
    assert_true(sp__inbox_mark(&inbox, INBOX_RESTS));
    assert_true(sp__inbox_rests(&inbox));
    assert_true(sp__inbox_claim(&inbox));
    assert_false(sp__inbox_claim(&inbox));
    assert_true(sp__inbox_mark(&inbox, INBOX_ASLEEP));
    assert_true(sp__inbox_mark(&inbox, INBOX_RESTS)); /* from sleep as well */
    assert_int_equal(post(&inbox, &a), INBOX_RESTS);  /* who posts calls the thread */
    assert_false(sp__inbox_claim(&inbox));
    assert_false(sp__inbox_mark(&inbox, INBOX_RESTS));
    assert_ptr_equal(sp__inbox_take(&inbox), &a);
}

static void who_is_about_to_claim_lets_it_rest(void **state)
{
    struct inbox inbox = {0};
    struct command a = {0}, b = {0}, c;
    assert_true(sp__inbox_mark(&inbox, INBOX_RESTS));
    assert_int_equal(sp__inbox_post(&inbox, &a, 1), INBOX_AWAKE);
    assert_int_equal(sp__inbox_post(&inbox, &b, 1), INBOX_AWAKE);
    assert_true(sp__inbox_rests(&inbox));
    assert_false(sp__inbox_is_empty(&inbox));
    assert_true(sp__inbox_claim(&inbox));
    assert_int_equal(post(&inbox, &c), INBOX_AWAKE);
    assert_ptr_equal(sp__inbox_take(&inbox), &a);
    assert_ptr_equal(a.next, &b);
    assert_ptr_equal(b.next, &c);
}

struct numbered {
    struct command command;
    int thread;
    int number;
};

struct posting {
    struct inbox *inbox;
    struct numbered commands[COMMANDS];
    int called; /* posts that had to call the driver */
};

static void *post_many(void *arg)
{
    struct posting *posting = arg;
    for (int i = 0; i < COMMANDS; i++) {
        struct command *command = &posting->commands[i].command;
        command->next = NULL;
        posting->called += sp__inbox_post(posting->inbox, command, 0) == INBOX_ASLEEP;
    }
    return NULL;
}

/* Every command comes once, those of a thread in its order; and each sleep of the driver is
 * ended by exactly one of those who post. */
static void threads_lose_nothing_and_call_once_for_a_sleep(void **state)
{
    static struct posting postings[THREADS];
    struct inbox inbox = {0};
    pthread_t threads[THREADS];
    int next[THREADS] = {0};
    int sleeps = 0, called = 0, taken = 0;
    for (int i = 0; i < THREADS; i++) {
        postings[i].inbox = &inbox;
        for (int j = 0; j < COMMANDS; j++) {
            postings[i].commands[j].thread = i;
            postings[i].commands[j].number = j;
        }
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &postings[i]), 0);
    }
    while (taken < THREADS * COMMANDS) {
        struct command *command = sp__inbox_take(&inbox);
        for (; command != NULL; command = command->next, taken++) {
            const struct numbered *numbered = (struct numbered *)(void *)command;
            assert_int_equal(numbered->number, next[numbered->thread]++);
        }
        if (taken < THREADS * COMMANDS && sp__inbox_mark(&inbox, INBOX_ASLEEP)) {
            sleeps++;
            while (sp__inbox_is_empty(&inbox)) {
                (void)sched_yield();
            }
        }
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        called += postings[i].called;
    }
    assert_int_equal(called, sleeps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commands_come_in_the_order_of_posting),
        TEST(first_post_takes_the_sleep_away),
        TEST(a_loop_at_rest_is_claimed_once),
        TEST(who_is_about_to_claim_lets_it_rest),
        TEST(threads_lose_nothing_and_call_once_for_a_sleep),
    };
    return cmocka_run_group_tests_name("inbox", tests, NULL, NULL);
}
