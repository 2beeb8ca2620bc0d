/* SPDX-License-Identifier: MIT */
/*
 * Deaths: of workers, of the guard and of the host, and who must not outlive whom. The
 * workers are as hostile as an ordinary user can be.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rig.h"

/* ---- dying ---- */

static void cause_of_death_is_told(void **state)
{
    (void)state;
    int outs[] = {misbehaving(1, "exit", "3"), misbehaving(2, "crash", NULL),
                  misbehaving(3, "exit", "0")};
    assert_true(pump(&host.exited, 3));
    char text[64];
    (void)sp__guard_describe_exit(&host.records[1].exit, text, sizeof text);
    assert_string_equal(text, "exited with status 3");
    (void)sp__guard_describe_exit(&host.records[2].exit, text, sizeof text);
    assert_string_equal(text, "killed by SIGSEGV");
    assert_int_equal(host.records[2].exit.exit_code, -1);
    assert_int_equal(host.records[2].exit.oom_killed, 0);
    (void)sp__guard_describe_exit(&host.records[3].exit, text, sizeof text);
    assert_string_equal(text, "exited with status 0");
    for (size_t i = 0; i < 3; i++) {
        (void)close(outs[i]);
    }
}

static void exits_are_described_in_words(void **state)
{
    (void)state;
    char text[64];
    struct guard_exit exit = {.exit_code = -1, .exit_signal = 11, .core_dumped = 1};
    (void)sp__guard_describe_exit(&exit, text, sizeof text);
    assert_string_equal(text, "killed by SIGSEGV (core dumped)");
    exit = (struct guard_exit){.exit_code = -1, .exit_signal = 9, .oom_killed = 1};
    (void)sp__guard_describe_exit(&exit, text, sizeof text);
    assert_string_equal(text, "killed by SIGKILL (out of memory)");
    exit.oom_killed = -1;
    (void)sp__guard_describe_exit(&exit, text, sizeof text);
    assert_string_equal(text, "killed by SIGKILL");
    exit = (struct guard_exit){.exit_code = -1, .exit_signal = SIGRTMIN + 6};
    (void)sp__guard_describe_exit(&exit, text, sizeof text);
    assert_string_equal(text, "killed by signal 40");
    assert_int_equal(sp__guard_describe_exit(&exit, text, 4), 19);
    assert_string_equal(text, "kil");
}

static void kill_reaches_one_worker_only(void **state)
{
    (void)state;
    int outs[] = {misbehaving(1, "stay", NULL), misbehaving(2, "stay", NULL)};
    int other = watch_next(outs[1]);
    assert_true(pump(&host.answered, 2));
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 0, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_int_equal(host.records[1].exit.exit_signal, SIGKILL);
    assert_true(host.records[1].exit.oom_killed <= 0); /* this was us */
    assert_true(is_alive(other));
    /* A kill of what has ended finds nothing, and is no error. */
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 1, NULL), SP_OK);
    assert_int_equal(sp__guard_kill(host.guard, 99, SIGKILL, 1, NULL), SP_OK);
    assert_int_equal(sp__guard_kill(host.guard, 2, SIGKILL, 1, NULL), SP_OK);
    assert_true(pump(&host.exited, 2));
    assert_true(is_gone(other, GONE_MS));
    (void)close(outs[0]);
    (void)close(outs[1]);
}

static void group_dies_with_its_worker(void **state)
{
    (void)state;
    int out = misbehaving(1, "family", NULL);
    int grandchild = watch_next(out);
    assert_true(pump(&host.answered, 1));
    assert_true(is_alive(grandchild));
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 0, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_true(is_gone(grandchild, GONE_MS));
    (void)close(out);
}

static void group_is_killed_by_one_request(void **state)
{
    (void)state;
    int out = misbehaving(1, "family", NULL);
    int grandchild = watch_next(out);
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 1, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_true(is_gone(grandchild, GONE_MS));
    (void)close(out);
}

static void escaped_grandchild_dies_with_its_worker(void **state)
{
    (void)state;
    int out = misbehaving(1, "escape", NULL);
    int grandchild = watch_next(out);
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 1, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_true(is_gone(grandchild, GONE_MS));
    (void)close(out);
}

static void daemonised_process_of_a_live_worker_is_spared(void **state)
{
    (void)state;
    int outs[] = {misbehaving(1, "escape", NULL), misbehaving(2, "escape", NULL)};
    int first = watch_next(outs[0]);
    int second = watch_next(outs[1]);
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 1, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_true(is_gone(first, GONE_MS));
    /* The sweep that ended the first is over when its leftovers have been reaped: one
     * more spawn and exit makes sure that a whole turn has passed. */
    const char *const argv[] = {"/bin/true", NULL};
    spawn(3, argv, NULL, 0);
    assert_true(pump(&host.exited, 2));
    assert_true(is_alive(second));
    assert_false(is_gone(second, 0));
    (void)close(outs[0]);
    (void)close(outs[1]);
}

static void worker_that_exits_leaves_no_daemon(void **state)
{
    (void)state;
    const char *const argv[] = {misbehave, "leave", NULL};
    int in[2];
    int out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    make_pipe(out);
    spawn(1, argv, (const int[]){in[0], out[1]}, 2);
    (void)close(in[0]);
    (void)close(out[1]);
    int daemon = watch_next(out[0]);
    (void)close(in[1]); /* the worker reads end of file and exits */
    assert_true(pump(&host.exited, 1));
    assert_int_equal(host.records[1].exit.exit_code, 0);
    assert_true(is_gone(daemon, GONE_MS));
    (void)close(out[0]);
}

static void close_ends_everything(void **state)
{
    (void)state;
    int outs[8];
    int watched[16];
    for (uint64_t id = 1; id <= 8; id++) {
        outs[id - 1] = misbehaving(id, "hostile", NULL);
        watched[2 * id - 2] = watch_next(outs[id - 1]);
        watched[2 * id - 1] = watch_next(outs[id - 1]);
    }
    int guard = watch(sp__guard_pid(host.guard));
    sp__guard_close(host.guard);
    host.guard = NULL;
    assert_true(is_gone(guard, 0));
    for (size_t i = 0; i < 16; i++) {
        assert_true(is_gone(watched[i], 0)); /* when close returns, not later */
    }
    for (size_t i = 0; i < 8; i++) {
        (void)close(outs[i]);
    }
}

static void close_ends_a_stopped_guard(void **state)
{
    (void)state;
    int out = misbehaving(1, "hostile", NULL);
    int watched[2] = {watch_next(out), watch_next(out)};
    (void)kill(sp__guard_pid(host.guard), SIGSTOP);
    sp__guard_close(host.guard);
    host.guard = NULL;
    assert_true(is_gone(watched[0], 0));
    assert_true(is_gone(watched[1], 0));
    (void)close(out);
}

static void workers_die_with_the_guard_and_its_loss_is_told(void **state)
{
    (void)state;
    int outs[8];
    int workers[8];
    for (uint64_t id = 1; id <= 8; id++) {
        outs[id - 1] = misbehaving(id, "stay", NULL);
        workers[id - 1] = watch_next(outs[id - 1]);
    }
    assert_true(pump(&host.answered, 8));
    (void)kill(sp__guard_pid(host.guard), SIGKILL);
    assert_false(pump(&host.exited, 1)); /* ends because the guard is lost */
    assert_int_equal(host.lost, 1);
    assert_non_null(strstr(host.lost_text, "killed by SIGKILL"));
    for (size_t i = 0; i < 8; i++) {
        assert_true(is_gone(workers[i], GONE_MS));
        (void)close(outs[i]);
    }
    const char *const argv[] = {"/bin/true", NULL};
    struct guard_command command = {.argv = argv};
    assert_int_equal(sp__guard_spawn(host.guard, 9, &command, NULL), SP_ERR_GUARD);
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 0, NULL), SP_ERR_GUARD);
    sp__guard_on_readable(host.guard);
    assert_int_equal(host.lost, 1);
    reap_orphans();
}

static void guard_survives_every_signal_but_kill(void **state)
{
    (void)state;
    for (int signal = 1; signal < NSIG; signal++) {
        if (signal != SIGKILL && signal != SIGSTOP) {
            (void)kill(sp__guard_pid(host.guard), signal);
        }
    }
    const char *const argv[] = {"/bin/true", NULL};
    spawn(1, argv, NULL, 0);
    assert_true(pump(&host.exited, 1));
}

static void *open_in_thread(void *unused)
{
    (void)unused;
    return sp__guard_open(&guard_options, &events, &host, &host.guard, NULL) < 0 ? &host
                                                                                 : NULL;
}

/* The kernel tells children of the death of the thread that made them. */
static void guard_outlives_the_thread_that_opened_it(void **state)
{
    (void)state;
    sp__guard_close(host.guard);
    host.guard = NULL;
    pthread_t thread;
    void *failed = NULL;
    assert_int_equal(pthread_create(&thread, NULL, open_in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    for (uint64_t id = 1; id <= 3; id++) {
        const char *const argv[] = {"/bin/true", NULL};
        spawn(id, argv, NULL, 0);
        assert_true(pump(&host.exited, (uint32_t)id));
    }
    assert_int_equal(host.lost, 0);
}

/* The row of a worker that ended, between others that live, is nobody's. */
static void freed_row_is_silent(void **state)
{
    (void)state;
    int outs[] = {misbehaving(1, "stay", NULL), misbehaving(2, "stay", NULL)};
    assert_true(pump(&host.answered, 2));
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 1, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_int_equal(sp__guard_kill(host.guard, 2, SIGKILL, 1, NULL), SP_OK);
    assert_true(pump(&host.exited, 2));
    assert_int_equal(host.answered, 2);
    (void)close(outs[0]);
    (void)close(outs[1]);
}

/* ---- the host dies ---- */

enum { VICTIM_WORKERS = 8, VICTIM_PROCESSES = 3 * VICTIM_WORKERS + 1 };

struct victim {
    pid_t pid;
    pid_t guard_pid;
    int watched[VICTIM_PROCESSES];
    int leak; /* write end that ends a leaking sibling; or -1 */
};

/* In a child: be a host with hostile workers, tell their numbers, wait to be killed. */
static _Noreturn void be_victim(int tell, int hold)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the test fail */
    memset(&host, 0, sizeof host);
    if (sp__guard_open(&guard_options, &events, &host, &host.guard, NULL) < 0) {
        _exit(1);
    }
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fds[] = {null, tell, null};
    const char *const argv[] = {misbehave, "hostile", NULL};
    struct guard_command command = {.argv = argv, .fds = fds, .fds_count = 3};
    for (uint64_t id = 1; id <= VICTIM_WORKERS; id++) {
        if (sp__guard_spawn(host.guard, id, &command, NULL) < 0) {
            _exit(1);
        }
    }
    while (host.answered < VICTIM_WORKERS) {
        struct pollfd fd = {.fd = sp__guard_fd(host.guard), .events = POLLIN};
        (void)poll(&fd, 1, -1);
        sp__guard_on_readable(host.guard);
    }
    for (uint64_t id = 1; id <= VICTIM_WORKERS; id++) {
        dprintf(tell, "%d\n", host.records[id].pid);
    }
    if (hold >= 0 && fork() == 0) {
        /* An embedding program's own child, which never executes anything and so keeps
         * the socket and the lifeline open. */
        char byte;
        _exit(read(hold, &byte, 1) == 1);
    }
    dprintf(tell, "%d\n", sp__guard_pid(host.guard)); /* last: all is set up */
    for (;;) {
        (void)pause();
    }
}

static void start_victim(struct victim *victim, int leaks)
{
    int tell[2];
    int hold[2] = {-1, -1};
    make_pipe(tell);
    if (leaks) {
        assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    }
    victim->leak = hold[1];
    victim->pid = fork();
    if (victim->pid == 0) {
        if (leaks) {
            (void)close(hold[1]);
        }
        be_victim(tell[1], hold[0]);
    }
    (void)close(tell[1]);
    if (leaks) {
        (void)close(hold[0]);
    }
    /* Workers, grandchildren and the guard, in any order. */
    for (size_t i = 0; i < VICTIM_PROCESSES; i++) {
        victim->watched[i] = watch_next(tell[0]);
    }
    (void)close(tell[0]);
    /* The guard is the victim's only child that is called so. */
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", victim->pid,
                   victim->pid);
    FILE *children = fopen(path, "r");
    assert_non_null(children);
    assert_int_equal(fscanf(children, "%d", &victim->guard_pid), 1);
    (void)fclose(children);
}

/* All of them, together, within the second that is promised. */
static void assert_all_gone(struct victim *victim)
{
    uint64_t end_ms = sp__now_ms() + GONE_MS;
    for (size_t i = 0; i < VICTIM_PROCESSES; i++) {
        uint64_t now_ms = sp__now_ms();
        assert_true(
            is_gone(victim->watched[i], now_ms < end_ms ? (int)(end_ms - now_ms) : 0));
    }
}

static void nothing_outlives_a_killed_host(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        struct victim victim;
        start_victim(&victim, 0);
        (void)kill(victim.pid, SIGKILL);
        assert_all_gone(&victim);
        reap_orphans();
    }
}

static void nothing_outlives_a_killed_host_with_a_stopped_guard(void **state)
{
    (void)state;
    struct victim victim;
    start_victim(&victim, 0);
    (void)kill(victim.guard_pid, SIGSTOP);
    (void)kill(victim.pid, SIGKILL);
    assert_all_gone(&victim);
    reap_orphans();
}

static void nothing_outlives_a_host_whose_child_keeps_its_descriptors(void **state)
{
    (void)state;
    struct victim victim;
    start_victim(&victim, 1);
    (void)kill(victim.pid, SIGKILL);
    assert_all_gone(&victim);
    (void)close(victim.leak); /* lets the sibling end */
    reap_orphans();
}

int main(int argc, char **argv)
{
    int unfit = prepare(argc, argv);
    if (unfit != 0) {
        return unfit;
    }
    const struct CMUnitTest tests[] = {
        WITH_GUARD(cause_of_death_is_told),
        WITHOUT(exits_are_described_in_words),
        WITH_GUARD(freed_row_is_silent),
        WITH_GUARD(kill_reaches_one_worker_only),
        WITH_GUARD(group_dies_with_its_worker),
        WITH_GUARD(group_is_killed_by_one_request),
        WITH_GUARD(escaped_grandchild_dies_with_its_worker),
        WITH_GUARD(daemonised_process_of_a_live_worker_is_spared),
        WITH_GUARD(worker_that_exits_leaves_no_daemon),
        WITH_GUARD(close_ends_everything),
        WITH_GUARD(close_ends_a_stopped_guard),
        WITH_GUARD(workers_die_with_the_guard_and_its_loss_is_told),
        WITH_GUARD(guard_survives_every_signal_but_kill),
        WITH_GUARD(guard_outlives_the_thread_that_opened_it),
        WITHOUT(nothing_outlives_a_killed_host),
        WITHOUT(nothing_outlives_a_killed_host_with_a_stopped_guard),
        WITHOUT(nothing_outlives_a_host_whose_child_keeps_its_descriptors),
    };
    return cmocka_run_group_tests_name("guard-death", tests, NULL, NULL);
}
