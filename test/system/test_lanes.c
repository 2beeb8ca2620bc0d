/* SPDX-License-Identifier: MIT */
/* Pits with several loops: what their callers see is what one loop would give them. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pits.h"

static sp_pit *pit;

static sp_pit *open_lanes(sp_pool_options *pools, size_t count, uint32_t loops)
{
    sp_pit_options options = {.size = sizeof options,
                              .pools = pools,
                              .pools_count = count,
                              .on_event = event_record,
                              .loops = loops};
    return pit_open_ready_as(&options);
}

static void open_probes(uint32_t workers, uint32_t loops)
{
    sp_pool_options pool = pool_of_probes(workers);
    pit = open_lanes(&pool, 1, loops);
}

/* ---- where calls go ---- */

static void calls_reach_every_worker(void **state)
{
    enum { WORKERS = 5, CALLS = 400 };
    sp_id calls[CALLS];
    sp_worker_info workers[WORKERS];
    open_probes(WORKERS, 3);
    for (int i = 0; i < CALLS; i++) {
        calls[i] = call_start(pit, "add", "[1]", NULL);
    }
    for (int i = 0; i < CALLS; i++) {
        assert_string_equal(call_wait(pit, calls[i])->json, "2");
    }
    assert_int_equal(sp_pool_workers_get(pit, NULL, workers, WORKERS, NULL), WORKERS);
    uint64_t served = 0;
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(workers[i].slot, i);
        assert_true(workers[i].calls_total > 0);
        served += workers[i].calls_total;
    }
    sp_pool_stats stats = stats_of(pit);
    assert_int_equal(served, CALLS);
    assert_int_equal(stats.requests, CALLS);
    assert_int_equal(stats.succeeded, CALLS);
    assert_int_equal(stats.workers, WORKERS);
    assert_int_equal(stats.available, WORKERS);
}

/* Fewer workers than loops, in one pool of two. */
static void small_pools_have_fewer_parts(void **state)
{
    sp_pool_options pools[2] = {pool_of_probes(1), pool_of_probes(2)};
    pools[0].name = "one";
    pools[1].name = "two";
    pit = open_lanes(pools, 2, 8);
    sp_call_options options = {.size = sizeof options, .pool = "one"};
    for (int i = 0; i < 20; i++) {
        options.pool = i % 2 == 0 ? "one" : "two";
        assert_string_equal(call(pit, "add", "[4]", &options)->json, "5");
    }
    sp_pool_stats stats;
    assert_int_equal(sp_pool_stats_get(pit, "one", &stats, NULL), 0);
    assert_int_equal(stats.succeeded, 10);
    assert_int_equal(sp_pool_stats_get(pit, "two", &stats, NULL), 0);
    assert_int_equal(stats.succeeded, 10);
}

/* Whichever loop has it: a call does not wait while another loop's worker is free. */
static void no_call_waits_while_a_worker_is_free(void **state)
{
    enum { WORKERS = 3, ROUNDS = 2 };
    open_probes(WORKERS, WORKERS);
    for (int round = 0; round < ROUNDS; round++) {
        char names[WORKERS][16];
        sp_id held[WORKERS];
        for (int i = 0; i < WORKERS; i++) {
            (void)snprintf(names[i], sizeof names[i], "h%d-%d", round, i);
            held[i] = hold_start(pit, names[i], NULL); /* or this never returns */
        }
        assert_int_equal(stats_of(pit).busy, WORKERS);
        for (int i = 0; i < WORKERS; i++) {
            hold_release(names[i]);
            (void)call_wait(pit, held[i]);
        }
    }
}

static void what_waits_goes_to_whoever_is_free_first(void **state)
{
    enum { WAITING = 6 };
    sp_id waiting[WAITING];
    open_probes(3, 3);
    sp_id first = hold_start(pit, "first", NULL);
    sp_id second = hold_start(pit, "second", NULL);
    sp_id third = hold_start(pit, "third", NULL);
    for (int i = 0; i < WAITING; i++) {
        waiting[i] = call_start(pit, "add", "[2]", NULL);
    }
    hold_release("second");
    (void)call_wait(pit, second);
    for (int i = 0; i < WAITING; i++) { /* wherever they were queued */
        assert_string_equal(call_wait(pit, waiting[i])->json, "3");
    }
    hold_release("first");
    hold_release("third");
    (void)call_wait(pit, first);
    (void)call_wait(pit, third);
}

/* Two threads in each worker: one of them free is a place, for calls of other loops and
 * for those that others ask for. */
static void a_free_thread_of_a_busy_worker_takes_what_waits(void **state)
{
    enum { PLACES = 4, WAITING = 8 };
    char names[PLACES][16];
    char args[400];
    sp_id held[PLACES];
    sp_id waiting[WAITING];
    sp_pool_options pool = pool_of_program("nests", "wide", 2);
    pool.name = "left";
    pool.profile = SP_PROFILE_THREAD;
    pool.threads = 2;
    pool.queue_timeout_ms = 60000;
    pit = open_lanes(&pool, 1, 2);
    for (int i = 0; i < PLACES; i++) {
        (void)snprintf(names[i], sizeof names[i], "h%d", i);
        held[i] = call_start(pit, "hold", hold_args(names[i], args, sizeof args), NULL);
        hold_await(names[i]);
    }
    for (int i = 0; i < WAITING; i++) {
        waiting[i] = call_start(pit, "echo", "[1]", NULL);
    }
    UNTIL(stats_of(pit).queued == WAITING);
    for (int i = 0; i < 2; i++) { /* half wait for the first, at most */
        assert_int_equal(sp_call_cancel(pit, held[i], NULL), 0);
        (void)call_wait_fails(pit, held[i], SP_ERR_CANCELLED);
        for (int n = i * WAITING / 2; n < (i + 1) * WAITING / 2; n++) {
            assert_string_equal(call_wait(pit, waiting[n])->json, "[1]");
        }
    }
    for (int i = 0; i < 10; i++) {
        call_gives(pit, "pass", "{\"tool\":\"echo\",\"pool\":\"left\",\"args\":[7]}",
                   "[7]");
    }
    for (int i = 2; i < PLACES; i++) {
        assert_int_equal(sp_call_cancel(pit, held[i], NULL), 0);
        (void)call_wait_fails(pit, held[i], SP_ERR_CANCELLED);
    }
}

static void a_cancelled_call_is_found_wherever_it_waits(void **state)
{
    enum { WAITING = 9 };
    sp_id waiting[WAITING];
    open_probes(3, 3);
    const char *names[] = {"a", "b", "c"};
    sp_id held[3];
    for (int i = 0; i < 3; i++) {
        held[i] = hold_start(pit, names[i], NULL);
    }
    for (int i = 0; i < WAITING; i++) {
        waiting[i] = call_start(pit, "add", "[2]", NULL);
    }
    for (int i = 0; i < WAITING; i++) {
        assert_int_equal(sp_call_cancel(pit, waiting[i], NULL), 0);
        (void)call_wait_fails(pit, waiting[i], SP_ERR_CANCELLED);
    }
    for (int i = 0; i < 3; i++) {
        hold_release(names[i]);
        (void)call_wait(pit, held[i]);
    }
}

/* ---- limits of the whole ---- */

static void the_queue_is_as_long_as_it_may_be(void **state)
{
    enum { MAX = 7 };
    sp_id waiting[MAX];
    sp_pool_options pool = pool_of_probes(3);
    pool.queue_max = MAX;
    pool.queue_timeout_ms = 60000;
    pit = open_lanes(&pool, 1, 3);
    const char *names[] = {"a", "b", "c"};
    sp_id held[3];
    for (int i = 0; i < 3; i++) {
        held[i] = hold_start(pit, names[i], NULL);
    }
    for (int i = 0; i < MAX; i++) {
        waiting[i] = call_start(pit, "add", "[2]", NULL);
    }
    UNTIL(stats_of(pit).queued == MAX); /* each loop hears of its own */
    const sp_error *error = call_fails(pit, "add", "[2]", NULL, SP_ERR_QUEUE_FULL);
    assert_has(error->message, "7 calls already wait in pool default");
    assert_int_equal(stats_of(pit).queued, MAX);
    assert_int_equal(stats_of(pit).pool_saturated, 1);
    for (int i = 0; i < 3; i++) {
        hold_release(names[i]);
        (void)call_wait(pit, held[i]);
    }
    for (int i = 0; i < MAX; i++) {
        assert_string_equal(call_wait(pit, waiting[i])->json, "3");
    }
}

static void one_worker_at_a_time_is_relieved(void **state)
{
    enum { WORKERS = 6 };
    sp_pool_options pool = pool_of_probes(WORKERS);
    pool.recycle_surge = 1;
    pit = open_lanes(&pool, 1, 3);
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), 0);
    for (unsigned n = 1; n <= WORKERS; n++) {
        (void)event_await(pit, SP_EVENT_WORKER_RECYCLED, n);
        sp_worker_info workers[2 * WORKERS];
        assert_true(sp_pool_workers_get(pit, NULL, workers, 2 * WORKERS, NULL) <=
                    WORKERS + 1);
    }
    assert_int_equal(stats_of(pit).recycled, WORKERS);
    call_gives(pit, "add", "[1]", "2");
}

/* ---- deaths ---- */

/* The calls of a loop whose workers are all dead go to the others. */
static void a_loop_without_workers_keeps_no_calls(void **state)
{
    enum { CALLS = 60 };
    sp_id calls[CALLS];
    sp_pool_options pool = pool_of_probes(4);
    pool.backoff_min_ms = pool.backoff_max_ms = 60000;
    pool.queue_timeout_ms = 60000;
    pit = open_lanes(&pool, 1, 2);
    /* Those of the second loop have the higher slots: they die for good. */
    for (int death = 0; death < 2; death++) {
        for (uint32_t slot = 2; slot < 4; slot++) {
            sp_worker_info info = worker_at(pit, slot);
            if (info.pid > 0) {
                (void)kill(info.pid, SIGKILL);
            }
        }
        (void)event_await(pit, SP_EVENT_WORKER_DIED, 2u * ((unsigned)death + 1));
        if (death == 0) { /* the first start after a death comes at once */
            (void)event_await(pit, SP_EVENT_WORKER_READY, 6);
        }
    }
    for (int i = 0; i < CALLS; i++) {
        calls[i] = call_start(pit, "add", "[1]", NULL);
    }
    for (int i = 0; i < CALLS; i++) {
        assert_string_equal(call_wait(pit, calls[i])->json, "2");
    }
    sp_health health;
    assert_int_equal(sp_pit_health(pit, 10000, &health, NULL), 0);
    assert_int_equal(health.ready, 1);
}

/* ---- sessions ---- */

struct user {
    char session[32];
    int pid;
    int moved;
};

static void *use_session(void *arg)
{
    enum { CALLS = 40 };
    struct user *user = arg;
    sp_call_options options = {.size = sizeof options,
                               .affinity = SP_AFFINITY_STRICT_QUEUE,
                               .session = user->session};
    for (int i = 0; i < CALLS; i++) {
        sp_result result;
        if (sp_execute(pit, "add", sp_text("[1]"), &options, &result, NULL) < 0) {
            user->moved = 1;
            break;
        }
        int pid = result.worker_pid;
        user->moved |= user->pid != 0 && pid != user->pid;
        user->pid = pid;
        sp_result_clear(&result);
    }
    return NULL;
}

static void strict_sessions_keep_their_worker(void **state)
{
    enum { USERS = 12 };
    struct user users[USERS] = {{{0}, 0, 0}};
    pthread_t threads[USERS];
    open_probes(4, 4);
    for (int i = 0; i < USERS; i++) {
        (void)snprintf(users[i].session, sizeof users[i].session, "user-%d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, use_session, &users[i]), 0);
    }
    for (int i = 0; i < USERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(users[i].pid > 0);
        assert_false(users[i].moved);
    }
}

/* Its worker waits for it, and no other will do: it is told at once. */
static void a_strict_session_does_not_wait_for_its_own_worker(void **state)
{
    sp_pool_options pool = pool_of_program("nests", NULL, 4);
    pool.name = "left";
    pool.affinity = SP_AFFINITY_STRICT_QUEUE;
    pool.queue_timeout_ms = 60000;
    pit = open_lanes(&pool, 1, 2);
    sp_call_options options = {.size = sizeof options, .session = "s"};
    for (int i = 0; i < 4; i++) { /* the first gives it a home */
        (void)call(pit, "echo", "{}", &options);
        const sp_error *error =
            call_fails(pit, "pass", "{\"tool\":\"echo\",\"pool\":\"left\",\"args\":{}}",
                       &options, SP_ERR_DEADLOCK);
        assert_has(error->message, "pass > echo");
    }
}

/* Of a loop whose workers died and are not started again. */
static void a_strict_session_is_told_when_its_loop_has_no_workers(void **state)
{
    enum { SESSIONS = 40 };
    char names[SESSIONS][16];
    int pids[SESSIONS];
    sp_pool_options pool = pool_of_probes(4);
    pool.affinity = SP_AFFINITY_STRICT_QUEUE;
    pool.crashes_max = 1; /* one of each loop opens its breaker */
    pool.probe_interval_ms = 600000;
    pit = open_lanes(&pool, 1, 2);
    sp_call_options options = {.size = sizeof options};
    for (int i = 0; i < SESSIONS; i++) {
        (void)snprintf(names[i], sizeof names[i], "s%d", i);
        options.session = names[i];
        pids[i] = call(pit, "add", "[1]", &options)->worker_pid;
    }
    int dead[2] = {worker_at(pit, 2).pid, worker_at(pit, 3).pid};
    (void)kill(dead[0], SIGKILL);
    (void)kill(dead[1], SIGKILL);
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 2);
    for (int i = 0; i < SESSIONS; i++) {
        options.session = names[i];
        if (pids[i] == dead[0] || pids[i] == dead[1]) {
            (void)call_fails(pit, "add", "[1]", &options, SP_ERR_SESSION_WORKER_LOST);
        }
        assert_string_equal(call(pit, "add", "[1]", &options)->json, "2");
    }
}

/* ---- the end ---- */

static void closing_ends_calls_on_every_loop(void **state)
{
    enum { WAITING = 20 };
    sp_id waiting[WAITING];
    open_probes(4, 4);
    const char *names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        (void)hold_start(pit, names[i], NULL);
    }
    for (int i = 0; i < WAITING; i++) {
        waiting[i] = call_start(pit, "add", "[1]", NULL);
    }
    (void)waiting; /* ended and dropped with the pit: the fixture counts */
    pit_close(pit);
}

static void draining_waits_for_calls_on_every_loop(void **state)
{
    enum { CALLS = 100 };
    sp_id calls[CALLS];
    open_probes(3, 3);
    for (int i = 0; i < CALLS; i++) {
        calls[i] = call_start(pit, "add", "[1]", NULL);
    }
    for (int i = 0; i < CALLS; i++) {
        (void)call_wait(pit, calls[i]);
    }
    sp_id held = hold_start(pit, "h", NULL);
    assert_int_equal(sp_pit_drain(pit, 50, last_error()), SP_ERR_TIMEOUT);
    assert_has(last_error()->message, "1 calls had not ended");
    (void)call_fails(pit, "add", "[1]", NULL, SP_ERR_CLOSED);
    hold_release("h");
    assert_int_equal(sp_pit_drain(pit, 60000, last_error()), 0);
    (void)call_wait(pit, held);
}

static void *drain(void *arg)
{
    *(int *)arg = sp_pit_drain(pit, 60000, NULL);
    return NULL;
}

static int is_refused(void)
{
    sp_error err = {0};
    sp_result result = {0};
    sp_call_options options = {.size = sizeof options, .queue_timeout_ms = 1};
    int rc = sp_execute(pit, "add", sp_text("[1]"), &options, &result, &err);
    assert_int_not_equal(rc, 0); /* every worker is busy */
    sp_error_clear(&err);
    return rc == SP_ERR_CLOSED;
}

/* What waits goes to whoever is free, as before. */
static void draining_strands_nobody_in_a_queue(void **state)
{
    enum { WAITING = 9 };
    sp_id waiting[WAITING];
    sp_id held[3];
    const char *names[] = {"a", "b", "c"};
    pthread_t thread;
    int rc = -1;
    sp_pool_options pool = pool_of_probes(3);
    pool.queue_timeout_ms = 60000;
    pit = open_lanes(&pool, 1, 3);
    for (int i = 0; i < 3; i++) {
        held[i] = hold_start(pit, names[i], NULL);
    }
    for (int i = 0; i < WAITING; i++) {
        waiting[i] = call_start(pit, "add", "[1]", NULL);
    }
    UNTIL(stats_of(pit).queued == WAITING);
    assert_int_equal(pthread_create(&thread, NULL, drain, &rc), 0);
    UNTIL(is_refused());
    hold_release("b");
    for (int i = 0; i < WAITING; i++) {
        assert_string_equal(call_wait(pit, waiting[i])->json, "2");
    }
    hold_release("a");
    hold_release("c");
    for (int i = 0; i < 3; i++) {
        (void)call_wait(pit, held[i]);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(rc, 0);
}

static void the_number_of_loops_has_limits(void **state)
{
    sp_pit *none = NULL;
    sp_pit_options options = {.size = sizeof options, .loops = 65};
    assert_int_equal(sp_pit_open(&options, &none, last_error()), SP_ERR_CONFIG);
    assert_string_equal(last_error()->message, "loops is 65: 1 to 64");
    const char *before = getenv("SNAKEPIT_LOOPS");
    char kept[16] = "";
    (void)snprintf(kept, sizeof kept, "%s", before != NULL ? before : "");
    assert_int_equal(setenv("SNAKEPIT_LOOPS", "many", 1), 0);
    options.loops = 0;
    assert_int_equal(sp_pit_open(&options, &none, last_error()), SP_ERR_CONFIG);
    assert_string_equal(last_error()->message, "SNAKEPIT_LOOPS is \"many\": 1 to 64");
    if (before != NULL) {
        assert_int_equal(setenv("SNAKEPIT_LOOPS", kept, 1), 0);
    } else {
        assert_int_equal(unsetenv("SNAKEPIT_LOOPS"), 0);
    }
    sp_error_clear(last_error());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_reach_every_worker),
        TEST(small_pools_have_fewer_parts),
        TEST(no_call_waits_while_a_worker_is_free),
        TEST(what_waits_goes_to_whoever_is_free_first),
        TEST(a_free_thread_of_a_busy_worker_takes_what_waits),
        TEST(a_cancelled_call_is_found_wherever_it_waits),
        TEST(the_queue_is_as_long_as_it_may_be),
        TEST(one_worker_at_a_time_is_relieved),
        TEST(a_loop_without_workers_keeps_no_calls),
        TEST(strict_sessions_keep_their_worker),
        TEST(a_strict_session_does_not_wait_for_its_own_worker),
        TEST(a_strict_session_is_told_when_its_loop_has_no_workers),
        TEST(closing_ends_calls_on_every_loop),
        TEST(draining_waits_for_calls_on_every_loop),
        TEST(draining_strands_nobody_in_a_queue),
        TEST(the_number_of_loops_has_limits),
    };
    return RUN_SYSTEM_TESTS("lanes", tests);
}
