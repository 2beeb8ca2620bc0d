/* SPDX-License-Identifier: MIT */
/*
 * Workers that hang, in every way there is: the caller hears in time, the seat works
 * again, and the certificate says where it hung and what was done.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pits.h"
#include "processes.h"

struct noted {
    int count;
    int why;
    int signal;
    int unkillable;
    int pid;
    size_t steps;
    char step[4][16];
    char tool[64];
    char request_id[64];
    int abandoned;
    char stack[8000];
    char evidence[200];
};

static void note(const sp_death *death, void *user_data)
{
    struct noted *noted = user_data;
    int count = noted->count;
    *noted = (struct noted){.count = count + 1,
                            .why = death->why,
                            .signal = death->signal,
                            .unkillable = death->unkillable,
                            .pid = death->pid,
                            .steps = death->steps_count};
    for (size_t i = 0; i < death->steps_count; i++) {
        (void)snprintf(noted->step[i], sizeof noted->step[i], "%s",
                       death->steps[i].what);
        assert_true(i == 0 || death->steps[i].after_ms >= death->steps[i - 1].after_ms);
    }
    if (death->calls_count > 0) {
        (void)snprintf(noted->tool, sizeof noted->tool, "%s", death->calls[0].tool);
        (void)snprintf(noted->request_id, sizeof noted->request_id, "%s",
                       death->calls[0].request_id);
        noted->abandoned = death->calls[0].abandoned;
    }
    (void)snprintf(noted->stack, sizeof noted->stack, "%s", death->stack);
    (void)snprintf(noted->evidence, sizeof noted->evidence, "%s", death->evidence);
}

static struct noted last_death(sp_pit *pit)
{
    struct noted noted = {0};
    assert_true(sp_pool_deaths_get(pit, NULL, note, &noted, last_error()) > 0);
    return noted;
}

static sp_pit *pit_for_hangs(void)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.cancel_grace_ms = 100;
    pool.hang_grace_ms = 200;
    pool.health_interval_ms = patience_ms(200);
    return pit_open_ready(&pool, 1);
}

static const char *at_path(const char *name)
{
    static char args[400];
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path(name));
    return args;
}

/* Cancel a call of a tool that hangs, once it does. The caller hears at once. */
static void hang_and_cancel(sp_pit *pit, const char *tool)
{
    sp_call_options in = {.size = sizeof in, .request_id = "r-hang"};
    sp_id id = call_start(pit, tool, at_path("p"), &in);
    UNTIL(file_exists(leak_path("p")));
    assert_int_equal(sp_call_cancel(pit, id, NULL), 0);
    const sp_error *err = call_wait_fails(pit, id, SP_ERR_CANCELLED);
    assert_int_equal(err->executed, SP_EXECUTED_UNKNOWN);
    assert_int_equal(err->stage, SP_STAGE_STARTED);
}

static void hangs_with_a_stack(const char *tool, const char *line)
{
    sp_pit *pit = pit_for_hangs();
    hang_and_cancel(pit, tool);
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 1);
    call_gives(pit, "echo", "[1]", "1");
    struct noted noted = last_death(pit);
    assert_int_equal(noted.why, SP_DEATH_STUCK);
    assert_string_equal(noted.tool, tool);
    assert_string_equal(noted.request_id, "r-hang");
    assert_true(noted.abandoned);
    assert_has(noted.stack, line);
    assert_has(noted.stack, "probe.py");
    assert_has(noted.evidence, "of processor time");
    assert_true(noted.steps >= 2);
    assert_string_equal(noted.step[0], "stack");
    assert_string_equal(noted.step[1], "term");
}

static void c_code_with_the_lock_held(void **state)
{
    skip_where_signals_wait();
    hangs_with_a_stack("spin", "in spin");
}

static void a_deadlock_with_the_lock_held(void **state)
{
    skip_where_signals_wait();
    hangs_with_a_stack("hang", "in hang");
}

static void a_deadlock_with_the_lock_given_up(void **state)
{
    skip_where_signals_wait();
    hangs_with_a_stack("futex", "in futex");
}

static void code_that_swallows_every_interruption(void **state)
{
    hangs_with_a_stack("stubborn", "in stubborn");
}

/* What a signal can interrupt costs no worker. */
static void is_interrupted(const char *tool)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.cancel_grace_ms = patience_ms(20000);
    sp_pit *pit = pit_open_ready(&pool, 1);
    int pid = worker_at(pit, 0).pid;
    hang_and_cancel(pit, tool);
    call_gives(pit, "echo", "[2]", "2");
    assert_int_equal(worker_at(pit, 0).pid, pid);
}

static void a_loop_in_python_is_interrupted(void **state)
{
    skip_where_signals_wait();
    is_interrupted("loop");
}

static void a_sleep_in_c_is_interrupted(void **state)
{
    is_interrupted("doze");
}

static void a_stopped_process_is_killed_at_once(void **state)
{
    sp_pit *pit = pit_for_hangs();
    sp_id id = call_start(pit, "freeze", at_path("p"), NULL);
    const sp_error *err = call_wait_fails(pit, id, SP_ERR_WORKER_DIED);
    assert_int_equal(err->worker_why, SP_DEATH_HUNG);
    assert_int_equal(err->worker_signal, SIGKILL);
    call_gives(pit, "echo", "[3]", "3");
    struct noted noted = last_death(pit);
    assert_int_equal(noted.why, SP_DEATH_HUNG);
    assert_int_equal(noted.steps, 1);
    assert_string_equal(noted.step[0], "kill_group");
    assert_has(noted.evidence, "state T (stopped)");
}

/* A start that hangs is as much in need of a stack. */
static void a_start_that_hangs_shows_where(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    char adapter[512];
    (void)snprintf(adapter, sizeof adapter, "%s", path_of_python("hung_start.py"));
    pool.adapter = adapter;
    pool.init_timeout_ms = patience_ms(1500);
    sp_pit *pit = pit_open(&pool, 1);
    const struct seen *died = event_await(pit, SP_EVENT_WORKER_DIED, 1);
    assert_has(died->message, "was not ready after");
    struct noted noted = last_death(pit);
    assert_int_equal(noted.why, SP_DEATH_TOO_SLOW);
    assert_has(noted.stack, "hung_start.py");
}

/* ---- calls that want no patience ---- */

static void a_call_may_want_its_worker_killed_when_it_is_cancelled(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.cancel_grace_ms = SP_UNLIMITED;
    pool.backoff_min_ms = pool.backoff_max_ms = 600000; /* nobody is punished */
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_call_options in = {.size = sizeof in, .flags = SP_CALL_CANCEL_KILLS};
    sp_id id = call_start(pit, "stubborn", at_path("p"), &in);
    UNTIL(file_exists(leak_path("p")));
    assert_int_equal(sp_call_cancel(pit, id, NULL), 0);
    assert_int_equal(call_wait_fails(pit, id, SP_ERR_CANCELLED)->executed,
                     SP_EXECUTED_UNKNOWN);
    call_gives(pit, "echo", "[4]", "4");
    struct noted noted = last_death(pit);
    assert_int_equal(noted.why, SP_DEATH_CANCELLED);
    assert_int_equal(noted.signal, SIGKILL);
    assert_string_equal(noted.tool, "stubborn");
    assert_int_equal(stats_of(pit).workers_died, 0);
}

static void whoever_looks_after_it_may_kill_a_worker(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.backoff_min_ms = pool.backoff_max_ms = 600000; /* nobody is punished */
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_worker_info worker = worker_at(pit, 0);
    sp_id id = call_start(pit, "stubborn", at_path("p"), NULL);
    UNTIL(file_exists(leak_path("p")));
    assert_int_equal(sp_pool_worker_kill(pit, NULL, worker.id, last_error()), 0);
    const sp_error *err = call_wait_fails(pit, id, SP_ERR_WORKER_DIED);
    assert_int_equal(err->worker_why, SP_DEATH_OPERATOR);
    assert_has(err->message, "killed by whoever looks after it");
    call_gives(pit, "echo", "[6]", "6");
    struct noted noted = last_death(pit);
    assert_int_equal(noted.why, SP_DEATH_OPERATOR);
    assert_int_equal(noted.signal, SIGKILL);
    assert_int_equal(noted.pid, worker.pid);
    assert_int_equal(stats_of(pit).workers_died, 0);
    assert_int_equal(sp_pool_worker_kill(pit, NULL, worker.id, last_error()),
                     SP_ERR_NOT_FOUND);
    assert_int_equal(sp_pool_worker_kill(pit, NULL, 0, last_error()), SP_ERR_INVAL);
    assert_int_equal(sp_pool_worker_kill(pit, "nowhere", worker.id, last_error()),
                     SP_ERR_NO_POOL);
}

static void its_deadline_does_the_same(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.cancel_grace_ms = SP_UNLIMITED;
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_call_options in = {.size = sizeof in,
                          .flags = SP_CALL_CANCEL_KILLS,
                          .timeout_ms = patience_ms(500)};
    (void)call_fails(pit, "spin", at_path("p"), &in, SP_ERR_TIMEOUT);
    call_gives(pit, "echo", "[5]", "5");
    assert_int_equal(last_death(pit).why, SP_DEATH_CANCELLED);
}

static void a_call_that_has_not_begun_kills_nobody(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    int pid = worker_at(pit, 0).pid;
    sp_call_options in = {.size = sizeof in, .flags = SP_CALL_CANCEL_KILLS};
    sp_id held = hold_start(pit, "held", NULL);
    sp_id id = call_start(pit, "echo", "[6]", &in);
    assert_int_equal(sp_call_cancel(pit, id, NULL), 0);
    assert_int_equal(call_wait_fails(pit, id, SP_ERR_CANCELLED)->executed,
                     SP_EXECUTED_NO);
    hold_release("held");
    (void)call_wait(pit, held);
    assert_int_equal(worker_at(pit, 0).pid, pid);
}

/* ---- a process that the kernel does not let go ---- */

#define FREEZER "/sys/fs/cgroup/freezer"

static char freezer[200];

static int freezer_write(const char *file, const char *text)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", freezer, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
    if (fd >= 0) {
        (void)close(fd);
    }
    return n > 0;
}

/* A v1 freezer holds a process where not even SIGKILL reaches it. */
static int freezer_open(void)
{
    (void)snprintf(freezer, sizeof freezer, FREEZER "/snakepit-test-%d", (int)getpid());
    return mkdir(freezer, 0700) == 0;
}

static void freezer_close(void)
{
    (void)freezer_write("freezer.state", "THAWED");
    UNTIL(rmdir(freezer) == 0 || errno == ENOENT);
}

static void a_process_that_cannot_be_killed_is_left_behind(void **state)
{
    if (!freezer_open()) {
        skip_because("needs a writable v1 freezer, which holds even against SIGKILL");
    }
    leak_at_end(freezer_close);
    sp_pit *pit = pit_for_hangs();
    int pid = worker_at(pit, 0).pid;
    char text[20];
    (void)snprintf(text, sizeof text, "%d", pid);
    assert_true(freezer_write("cgroup.procs", text));
    assert_true(freezer_write("freezer.state", "FROZEN"));
    sp_id id = call_start(pit, "echo", "[7]", NULL);
    const struct seen *died = event_await(pit, SP_EVENT_WORKER_DIED, 1);
    assert_has(died->message, "cannot be killed");
    /* Its seat works while it is still there. */
    (void)event_await(pit, SP_EVENT_WORKER_READY, 2);
    (void)call_wait(pit, id); /* it had not begun, so it goes to the next one */
    assert_int_equal(kill(pid, 0), 0);
    struct noted noted = last_death(pit);
    assert_int_equal(noted.pid, pid);
    assert_int_equal(noted.unkillable, 1);
    assert_has(noted.evidence, "state D");
    assert_int_equal(stats_of(pit).unkillable, 1);
    assert_true(freezer_write("freezer.state", "THAWED"));
    UNTIL(kill(pid, 0) < 0);
    call_gives(pit, "echo", "[8]", "8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(c_code_with_the_lock_held),
        TEST(a_deadlock_with_the_lock_held),
        TEST(a_deadlock_with_the_lock_given_up),
        TEST(code_that_swallows_every_interruption),
        TEST(a_loop_in_python_is_interrupted),
        TEST(a_sleep_in_c_is_interrupted),
        TEST(a_stopped_process_is_killed_at_once),
        TEST(a_start_that_hangs_shows_where),
        TEST(a_call_may_want_its_worker_killed_when_it_is_cancelled),
        TEST(its_deadline_does_the_same),
        TEST(whoever_looks_after_it_may_kill_a_worker),
        TEST(a_call_that_has_not_begun_kills_nobody),
        TEST(a_process_that_cannot_be_killed_is_left_behind),
    };
    return RUN_SYSTEM_TESTS("hangs", tests);
}
