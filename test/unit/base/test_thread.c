/* SPDX-License-Identifier: MIT */
/* Threads of ours take no signals, and who starts them goes on taking its own. */
#include "base/thread.h"

#include <signal.h>

#include "leak.h"

static void *read_mask(void *user)
{
    (void)pthread_sigmask(SIG_SETMASK, NULL, user);
    return NULL;
}

static void a_thread_takes_no_signals(void **state)
{
    static const int some[] = {SIGTERM, SIGINT, SIGCHLD, SIGHUP, SIGUSR1, SIGALRM};
    pthread_t thread;
    sigset_t of_thread;
    sigset_t before;
    sigset_t after;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    assert_int_equal(sp__thread_start(&thread, NULL, read_mask, &of_thread), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        assert_int_equal(sigismember(&of_thread, some[i]), 1);
        assert_int_equal(sigismember(&after, some[i]), sigismember(&before, some[i]));
    }
    assert_int_equal(sigismember(&after, SIGTERM), 0);
}

static void one_that_cannot_be_started_is_told(void **state)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t after;
    assert_int_equal(pthread_attr_init(&attr), 0);
    /* More than any machine has to give. */
    assert_int_equal(pthread_attr_setstacksize(&attr, (size_t)1 << 46), 0);
    assert_true(sp__thread_start(&thread, &attr, read_mask, &after) > 0);
    assert_int_equal(pthread_attr_destroy(&attr), 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    assert_int_equal(sigismember(&after, SIGTERM), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_thread_takes_no_signals),
        TEST(one_that_cannot_be_started_is_told),
    };
    return cmocka_run_group_tests_name("base_thread", tests, NULL, NULL);
}
