/* SPDX-License-Identifier: MIT */
/*
 * Clerks: errands leave the loop, are run by another thread, and come back to the loop
 * exactly once, whatever happens.
 */
#include "pit/clerks.h"

#include <stdatomic.h>

#include "base/latch.h"
#include "base/mem.h"
#include "leak.h"

static struct loop *loop;
static struct clerks clerks;

/* Counted by whoever does it. */
static atomic_int running;
static atomic_int most;
static atomic_int ran;
static int came_back;
static int came_unrun;
static struct latch enough;
static int expected;

struct job {
    struct errand errand;
    int holds; /* until it is let go */
    struct latch hold;
};

static void turn_ended(void *user)
{
}

static void open_clerks(int errands)
{
    static const struct loop_events events = {.on_turn_end = turn_ended};
    atomic_store(&running, 0);
    atomic_store(&most, 0);
    atomic_store(&ran, 0);
    came_back = came_unrun = 0;
    expected = errands;
    sp__latch_init(&enough);
    assert_int_equal(sp__loop_open(&events, NULL, &loop, NULL), 0);
    sp__clerks_init(&clerks, loop);
}

static void close_clerks(void)
{
    sp__clerks_close(&clerks);
    sp__loop_close(loop);
}

static void run(struct errand *errand)
{
    struct job *job = ITEM(errand, struct job, errand);
    int now = atomic_fetch_add(&running, 1) + 1;
    int before = atomic_load(&most);
    assert_false(sp__on_loop(loop));
    while (now > before && !atomic_compare_exchange_weak(&most, &before, now)) {
    }
    if (job->holds) {
        (void)sp__latch_wait(&job->hold, SP_UNLIMITED);
    }
    (void)atomic_fetch_sub(&running, 1);
    (void)atomic_fetch_add(&ran, 1);
}

static void done(struct errand *errand, int has_run)
{
    assert_true(sp__on_loop(loop));
    came_back++;
    came_unrun += !has_run;
    if (came_back == expected) {
        sp__latch_open(&enough);
    }
}

struct sending {
    struct job *jobs;
    int count;
    int rc; /* of the last one */
};

static void send_all(void *user, void *arg)
{
    struct sending *sending = arg;
    for (int i = 0; i < sending->count; i++) {
        struct errand *errand = &sending->jobs[i].errand;
        errand->run = run;
        errand->done = done;
        sending->rc = sp__clerks_send(&clerks, errand, NULL);
        if (sending->rc < 0) {
            return;
        }
    }
}

static int send_jobs(struct job *jobs, int count)
{
    struct sending sending = {.jobs = jobs, .count = count};
    sp__loop_call(loop, send_all, &sending);
    return sending.rc;
}

static void hold(struct job *jobs, int count)
{
    for (int i = 0; i < count; i++) {
        jobs[i].holds = 1;
        sp__latch_init(&jobs[i].hold);
    }
}

static void let_go(struct job *jobs, int count)
{
    for (int i = 0; i < count; i++) {
        sp__latch_open(&jobs[i].hold);
    }
}

static void errands_are_run_elsewhere_and_come_back(void **state)
{
    enum { ERRANDS = 1000 };
    struct job *jobs = sp__calloc(ERRANDS, sizeof *jobs);
    open_clerks(ERRANDS);
    assert_int_equal(send_jobs(jobs, ERRANDS), 0);
    assert_true(sp__latch_wait(&enough, patience_ms(60000)));
    close_clerks();
    assert_int_equal(came_back, ERRANDS);
    assert_int_equal(came_unrun, 0);
    assert_int_equal(atomic_load(&ran), ERRANDS);
    assert_true(atomic_load(&most) <= CLERKS_MAX);
    sp__free(jobs);
}

static void one_that_waits_holds_up_no_other(void **state)
{
    struct job slow[CLERKS_MAX - 1] = {0};
    struct job quick[50] = {0};
    hold(slow, CLERKS_MAX - 1);
    open_clerks(50);
    assert_int_equal(send_jobs(slow, CLERKS_MAX - 1), 0);
    assert_int_equal(send_jobs(quick, 50), 0);
    assert_true(sp__latch_wait(&enough, patience_ms(60000)));
    let_go(slow, CLERKS_MAX - 1);
    close_clerks();
    assert_int_equal(came_back, 50 + CLERKS_MAX - 1);
}

static int is_closing(void)
{
    (void)pthread_mutex_lock(&clerks.lock);
    int closing = clerks.closing;
    (void)pthread_mutex_unlock(&clerks.lock);
    return closing;
}

static void *let_go_at_the_end(void *arg)
{
    UNTIL(is_closing());
    let_go(arg, CLERKS_MAX);
    return NULL;
}

static void closing_ends_what_runs_and_gives_back_what_waits(void **state)
{
    enum { WAITING = 20 };
    struct job jobs[CLERKS_MAX + WAITING] = {0};
    pthread_t opener;
    hold(jobs, CLERKS_MAX);
    open_clerks(CLERKS_MAX + WAITING);
    assert_int_equal(send_jobs(jobs, CLERKS_MAX + WAITING), 0);
    UNTIL(atomic_load(&running) == CLERKS_MAX);
    assert_int_equal(pthread_create(&opener, NULL, let_go_at_the_end, jobs), 0);
    sp__clerks_close(&clerks);
    (void)pthread_join(opener, NULL);
    assert_int_equal(atomic_load(&ran), CLERKS_MAX);
    assert_int_equal(came_back, CLERKS_MAX + WAITING);
    assert_int_equal(came_unrun, WAITING);
    sp__loop_close(loop);
}

static void too_many_are_refused(void **state)
{
    int count = ERRANDS_MAX + CLERKS_MAX + 1;
    struct job *jobs = sp__calloc((size_t)count, sizeof *jobs);
    hold(jobs, CLERKS_MAX);
    open_clerks(0);
    assert_int_equal(send_jobs(jobs, CLERKS_MAX), 0);
    UNTIL(atomic_load(&running) == CLERKS_MAX);
    assert_int_equal(send_jobs(jobs + CLERKS_MAX, ERRANDS_MAX + 1), SP_ERR_QUEUE_FULL);
    let_go(jobs, CLERKS_MAX);
    close_clerks();
    assert_int_equal(came_back, ERRANDS_MAX + CLERKS_MAX);
    sp__free(jobs);
}

static void without_errands_there_is_no_thread(void **state)
{
    open_clerks(0);
    assert_int_equal(clerks.count, 0);
    close_clerks();
}

/* libuv opens a pipe for itself with its first loop. */
static int open_one_loop(void **state)
{
    open_clerks(0);
    close_clerks();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(errands_are_run_elsewhere_and_come_back),
        TEST(one_that_waits_holds_up_no_other),
        TEST(closing_ends_what_runs_and_gives_back_what_waits),
        TEST(too_many_are_refused),
        TEST(without_errands_there_is_no_thread),
    };
    return cmocka_run_group_tests_name("clerks", tests, open_one_loop, NULL);
}
