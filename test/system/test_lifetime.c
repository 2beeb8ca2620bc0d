/* SPDX-License-Identifier: MIT */
/*
 * Nothing survives: closing a pit, the death of the host, the death of the guard, each
 * with calls running and grandchildren alive.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/loop.h"
#include "pit/pit.h"
#include "pits.h"
#include "processes.h"

enum { WATCHED_MAX = 64 };

/* Descriptors of processes that must end. */
static int watched[WATCHED_MAX];
static size_t watched_count;

static void unwatch(void)
{
    for (size_t i = 0; i < watched_count; i++) {
        (void)close(watched[i]);
    }
    watched_count = 0;
}

static void watch(pid_t pid)
{
    leak_at_end(unwatch);
    assert_true(watched_count < WATCHED_MAX);
    watched[watched_count++] = processes_watch(pid);
}

static size_t marked_now(void)
{
    pid_t found[WATCHED_MAX];
    return processes_with("SNAKEPIT_TEST_MARK", leak_mark(), found, WATCHED_MAX);
}

/* Every process of a host: its guard, the workers, their children wherever they are. A
 * process that has just been started shows its environment a moment later. */
static void watch_all_of(pid_t host, size_t expected)
{
    pid_t found[WATCHED_MAX];
    UNTIL(marked_now() + 1 >= expected);
    assert_int_equal(processes_children_of(host, found, WATCHED_MAX), 1);
    watch(found[0]);
    size_t n = processes_with("SNAKEPIT_TEST_MARK", leak_mark(), found, WATCHED_MAX);
    for (size_t i = 0; i < n; i++) {
        watch(found[i]);
    }
}

/* All of them end before the deadline, which is one for all. */
static void all_end_within(uint64_t deadline_ms)
{
    uint64_t end_ms = leak_now_ms() + deadline_ms;
    for (size_t i = 0; i < watched_count; i++) {
        uint64_t now_ms = leak_now_ms();
        if (!processes_ended(watched[i], now_ms < end_ms ? end_ms - now_ms : 0)) {
            fail_msg("process %zu of %zu outlived the deadline", i + 1, watched_count);
        }
    }
}

static int all_have_ended(void)
{
    for (size_t i = 0; i < watched_count; i++) {
        if (!processes_ended(watched[i], 0)) {
            return 0;
        }
    }
    return 1;
}

/* ---- closing ---- */

static void closing_ends_workers_and_grandchildren(void **state)
{
    sp_pit *pit = pit_of_probes(3);
    (void)call(pit, "grandchild", "", NULL);
    (void)call(pit, "grandchild", "[true]", NULL); /* in a session of its own */
    (void)hold_start(pit, "h", NULL);
    watch_all_of(getpid(), 6); /* guard, three workers, two grandchildren */
    pit_close(pit);
    assert_true(all_have_ended()); /* when it returns, not soon after */
}

static void a_worker_that_ignores_the_request_is_killed(void **state)
{
    char args[400];
    sp_pool_options pool = pool_of_probes(1);
    pool.shutdown_grace_ms = 100;
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("p"));
    (void)call_start(pit, "stubborn", args, NULL);
    UNTIL(file_exists(leak_path("p")));
    watch_all_of(getpid(), 2);
    pit_close(pit);
    assert_true(all_have_ended());
}

static void a_worker_with_the_lock_held_is_killed(void **state)
{
    char args[400];
    sp_pool_options pool = pool_of_probes(1);
    pool.shutdown_grace_ms = 100;
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("p"));
    (void)call_start(pit, "hang", args, NULL);
    UNTIL(file_exists(leak_path("p")));
    watch_all_of(getpid(), 2);
    pit_close(pit);
    assert_true(all_have_ended());
}

static void a_pit_closes_while_its_workers_start(void **state)
{
    for (int i = 0; i < 5; i++) {
        sp_pool_options pool = pool_of_probes(4);
        sp_pit *pit = pit_open(&pool, 1);
        if (i > 0) { /* at the first, second ... event of its start */
            (void)event_await(pit, SP_EVENT_WORKER_SPAWNED, (unsigned)i);
        }
        pit_close(pit);
    }
}

static void a_pit_closes_while_its_workers_die(void **state)
{
    sp_pit *pit = pit_of_probes(4);
    for (uint32_t slot = 0; slot < 4; slot++) {
        assert_int_equal(kill(worker_at(pit, slot).pid, SIGKILL), 0);
    }
    pit_close(pit);
}

static void a_pit_that_cannot_start_workers_closes(void **state)
{
    sp_pool_options pool = pool_of_program("never_ready", NULL, 3);
    sp_pit *pit = pit_open(&pool, 1);
    (void)event_await(pit, SP_EVENT_WORKER_OUTPUT, 1);
    watch_all_of(getpid(), 2);
    pit_close(pit);
    assert_true(all_have_ended());
}

static void closing_nothing_is_fine(void **state)
{
    sp_pit_close(NULL);
}

static void a_pit_opens_and_closes_many_times(void **state)
{
    for (int i = 0; i < 20; i++) {
        sp_pool_options pool = pool_of_program("plain", NULL, 2);
        sp_pit *pit = pit_open(&pool, 1);
        if (i % 2 == 0) {
            call_gives(pit, "echo", "[1]", "[1]");
        }
        pit_close(pit);
    }
}

/* ---- the host dies ---- */

/* The life of the host that is to be killed: a pit with running calls and grandchildren;
 * it says "ready" and never ends by itself. */
static void be_a_host(int say)
{
    sp_pit *pit = pit_of_probes(3);
    (void)call(pit, "grandchild", "", NULL);
    (void)call(pit, "grandchild", "[true]", NULL);
    (void)hold_start(pit, "h", NULL);
    (void)call(pit, "add", "[1]", NULL);
    (void)!write(say, "r", 1);
    for (;;) {
        (void)pause();
    }
}

static pid_t start_host(void)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t host = fork();
    if (host == 0) {
        (void)close(ends[0]);
        be_a_host(ends[1]);
        _exit(1);
    }
    assert_true(host > 0);
    (void)close(ends[1]);
    ssize_t n = read(ends[0], &byte, 1);
    (void)close(ends[0]);
    assert_int_equal(n, 1);
    return host;
}

static void kill_host(pid_t host, int signal_number)
{
    int status;
    assert_int_equal(kill(host, signal_number), 0);
    assert_int_equal(waitpid(host, &status, 0), host);
    assert_true(WIFSIGNALED(status));
}

static void when_the_host_is_killed_nobody_is_left_a_second_later(void **state)
{
    pid_t host = start_host();
    watch_all_of(host, 6); /* the guard, workers, grandchildren */
    kill_host(host, SIGKILL);
    all_end_within(patience_ms(1000));
}

static void when_the_host_crashes_nobody_is_left_either(void **state)
{
    pid_t host = start_host();
    watch_all_of(host, 6);
    kill_host(host, SIGABRT);
    all_end_within(patience_ms(1000));
}

static void when_a_stopped_host_is_killed_nobody_is_left(void **state)
{
    pid_t host = start_host();
    watch_all_of(host, 6);
    assert_int_equal(kill(host, SIGSTOP), 0);
    kill_host(host, SIGKILL);
    all_end_within(patience_ms(1000));
}

/* ---- the guard dies ---- */

static pid_t guard_of(void)
{
    pid_t found[8];
    assert_int_equal(processes_children(found, 8), 1);
    return found[0];
}

static void when_the_guard_is_killed_its_workers_end_and_the_pool_goes_on(void **state)
{
    sp_pool_options pool = pool_of_probes(2);
    pool.queue_timeout_ms = patience_ms(20000);
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_id held = hold_start(pit, "h", NULL);
    pid_t guard = guard_of();
    watch(guard);
    watch(worker_at(pit, 0).pid);
    watch(worker_at(pit, 1).pid);
    assert_int_equal(kill(guard, SIGKILL), 0);
    all_end_within(patience_ms(5000));
    const sp_error *err = call_wait_fails(pit, held, SP_ERR_GUARD);
    assert_int_equal(err->executed, SP_EXECUTED_UNKNOWN);
    call_gives(pit, "add", "[1]", "2"); /* a new guard, new workers */
    assert_int_not_equal(guard_of(), guard);
    (void)event_await(pit, SP_EVENT_WARNING, 1);
}

static void set_guard_path(void *user, void *path)
{
    struct sp_pit *pit = ((struct lane *)user)->pit;
    (void)snprintf(pit->guard_path, sizeof pit->guard_path, "%s", (const char *)path);
}

static void a_guard_that_cannot_be_opened_is_tried_again(void **state)
{
    char path[4096];
    sp_pool_options pool = pool_of_probes(1);
    pool.queue_timeout_ms = patience_ms(20000);
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)snprintf(path, sizeof path, "%s", pit->guard_path);
    sp__loop_call(pit->loop, set_guard_path, "/nonexistent/snakepit-guard");
    assert_int_equal(kill(guard_of(), SIGKILL), 0);
    (void)event_await(pit, SP_EVENT_WARNING, 2); /* its loss, and the failed opening */
    sp__loop_call(pit->loop, set_guard_path, path);
    call_gives(pit, "add", "[1]", "2");
}

static void use_the_last_five_numbers(void *user, void *arg)
{
    ((struct lane *)user)->shop.first_stream_id = INT32_MAX - 8; /* odd, as they are */
}

static void a_worker_whose_connection_is_spent_is_replaced(void **state)
{
    enum { CALLS = 22, CALLS_PER_WORKER = 5 };
    int replaced = 0;
    sp_pool_options pool = pool_of_probes(1);
    pool.queue_timeout_ms = patience_ms(20000);
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp__loop_call(pit->loop, use_the_last_five_numbers, NULL);
    int pid = worker_at(pit, 0).pid;
    assert_int_equal(kill(pid, SIGKILL), 0);
    for (int i = 0; i < CALLS; i++) {
        sp_result result = {0};
        sp_error err = {0};
        int rc = sp_execute(pit, "add", sp_text("[1]"), NULL, &result, &err);
        if (rc == SP_ERR_WORKER_DIED && i == 0) {
            i--; /* it was sent before the death of the first one was known */
        } else {
            assert_int_equal(rc, SP_OK);
            replaced += result.worker_pid != pid;
            pid = result.worker_pid;
        }
        sp_result_clear(&result);
        sp_error_clear(&err);
    }
    assert_true(replaced >= CALLS / CALLS_PER_WORKER);
}

/* Grandchildren that left their worker's group have nobody then who would know of them;
 * workers have the kernel, and an end of file. */
static void host_and_guard_killed_together_leave_no_worker(void **state)
{
    pid_t marked[WATCHED_MAX];
    char name[256];
    pid_t host = start_host();
    pid_t guard = 0;
    assert_int_equal(processes_children_of(host, &guard, 1), 1);
    UNTIL(marked_now() >= 5);
    size_t n = processes_with("SNAKEPIT_TEST_MARK", leak_mark(), marked, WATCHED_MAX);
    for (size_t i = 0; i < n; i++) {
        if (strstr(processes_name(marked[i], name, sizeof name), "sleep 600") == NULL) {
            watch(marked[i]);
        }
    }
    assert_true(watched_count >= 3);
    assert_int_equal(kill(host, SIGSTOP), 0); /* it shall not start another guard */
    assert_int_equal(kill(guard, SIGKILL), 0);
    kill_host(host, SIGKILL);
    all_end_within(patience_ms(5000));
    n = processes_with("SNAKEPIT_TEST_MARK", leak_mark(), marked, WATCHED_MAX);
    for (size_t i = 0; i < n; i++) {
        assert_has(processes_name(marked[i], name, sizeof name), "sleep 600");
        (void)kill(marked[i], SIGKILL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(closing_ends_workers_and_grandchildren),
        TEST(a_worker_that_ignores_the_request_is_killed),
        TEST(a_worker_with_the_lock_held_is_killed),
        TEST(a_pit_closes_while_its_workers_start),
        TEST(a_pit_closes_while_its_workers_die),
        TEST(a_pit_that_cannot_start_workers_closes),
        TEST(closing_nothing_is_fine),
        TEST(a_pit_opens_and_closes_many_times),
        TEST(when_the_host_is_killed_nobody_is_left_a_second_later),
        TEST(when_the_host_crashes_nobody_is_left_either),
        TEST(when_a_stopped_host_is_killed_nobody_is_left),
        TEST(when_the_guard_is_killed_its_workers_end_and_the_pool_goes_on),
        TEST(a_guard_that_cannot_be_opened_is_tried_again),
        TEST(a_worker_whose_connection_is_spent_is_replaced),
        TEST(host_and_guard_killed_together_leave_no_worker),
    };
    return RUN_SYSTEM_TESTS("lifetime", tests);
}
