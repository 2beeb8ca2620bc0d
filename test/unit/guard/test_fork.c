/* SPDX-License-Identifier: MIT */
/*
 * Workers that a zygote forks: guard/fork.c and src/runtime/newborn.c together. They must
 * not differ from executed ones in anything that keeps them tied.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

enum { ZYGOTE = 900, STORM = 120 };

static char hatch[4096];
static struct guard_limits limits; /* of what is forked */
static unsigned weak;              /* the GUARD_WEAK_ bits that were told */
static int zygote_end;             /* the host's end of its socket */

/* Start the zygote and wait until it says that it is ready. */
static void open_zygote_of(uint64_t id, const char *manner)
{
    char text[256];
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int fds[] = {null, null, STDERR_FILENO, pair[1]};
    const char *const argv[] = {hatch, misbehave, manner, NULL};
    const char *const env[] = {"SNAKEPIT_ZYGOTE_HOST_FD=3", "SNAKEPIT_ZYGOTE_FD=4",
                               "OF=zygote", NULL};
    struct guard_command command = {
        .argv = argv, .env = env, .fds = fds, .fds_count = 4, .is_zygote = 1};
    assert_int_equal(sp__guard_spawn(host.guard, id, &command, NULL), SP_OK);
    (void)close(null);
    (void)close(pair[1]);
    assert_true(pump(&host.answered, host.answered + 1));
    assert_string_equal(host.records[id].failure, "");
    assert_true(recv(pair[0], text, sizeof text, 0) > 0);
    zygote_end = pair[0];
}

static void open_zygote(const char *manner)
{
    open_zygote_of(ZYGOTE, manner);
}

/* Ask it for a worker with an output that comes from the descriptor returned. */
static int forked(uint64_t id, const char *how, const char *more)
{
    char text[2][64];
    (void)snprintf(text[0], sizeof text[0], "HOW=%s", how);
    (void)snprintf(text[1], sizeof text[1], "MORE=%s", more != NULL ? more : "");
    const char *const env[] = {text[0], text[1], NULL};
    int out[2];
    make_pipe(out);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int fds[] = {null, out[1], null};
    struct guard_command command = {
        .env = env, .fds = fds, .fds_count = 3, .limits = limits, .zygote = ZYGOTE};
    assert_int_equal(sp__guard_spawn(host.guard, id, &command, NULL), SP_OK);
    (void)close(null);
    (void)close(out[1]);
    return out[0];
}

/* ---- as an executed one ---- */

static void forked_worker_is_as_an_executed_one(void **state)
{
    (void)state;
    char want[4096];
    char got[4096];
    open_zygote(NULL);
    static const char *const shows[] = {"state", "fds", "limits"};
    for (uint64_t i = 0; i < 3; i++) {
        int executed = misbehaving(1 + i, shows[i], NULL);
        int out = forked(11 + i, shows[i], NULL);
        read_lines(executed, want, sizeof want, 100);
        read_lines(out, got, sizeof got, 100);
        assert_string_equal(got, want);
        assert_true(strlen(got) > 0);
        (void)close(executed);
        (void)close(out);
    }
    (void)close(zygote_end);
    assert_true(pump(&host.exited, 7)); /* the zygote too: its host has let go of it */
    assert_int_equal(host.records[11].exit.exit_code, 0);
    assert_int_equal(host.records[11].exit.pid, host.records[11].pid);
    assert_int_equal(host.records[ZYGOTE].exit.exit_code, 0);
}

static void forked_worker_has_the_variables_of_both(void **state)
{
    (void)state;
    char text[4096];
    open_zygote(NULL);
    int out = forked(1, "arguments", "x y");
    read_lines(out, text, sizeof text, 100);
    assert_non_null(strstr(text, "env OF=zygote\n"));
    assert_non_null(strstr(text, "env HOW=arguments\n"));
    assert_non_null(strstr(text, "env MORE=x y\n"));
    assert_null(strstr(text, "SNAKEPIT_ZYGOTE"));
    (void)close(out);
    (void)close(zygote_end);
}

static void cause_of_a_forked_workers_death_is_told(void **state)
{
    (void)state;
    open_zygote(NULL);
    int outs[] = {forked(1, "exit", "3"), forked(2, "crash", NULL),
                  forked(3, "stay", NULL)};
    int third = watch_next(outs[2]);
    assert_int_equal(sp__guard_kill(host.guard, 3, SIGKILL, 0, NULL), SP_OK);
    assert_true(pump(&host.exited, 3));
    assert_int_equal(host.records[1].exit.exit_code, 3);
    assert_int_equal(host.records[2].exit.exit_signal, SIGSEGV);
    assert_int_equal(host.records[3].exit.exit_signal, SIGKILL);
    assert_true(is_gone(third, GONE_MS));
    for (size_t i = 0; i < 3; i++) {
        (void)close(outs[i]);
    }
    (void)close(zygote_end);
}

static void on_weak(void *user, uint32_t bits)
{
    (void)user;
    weak |= bits;
}

static int open_listening(void **state)
{
    static struct guard_events listening;
    int rc = remember(state);
    listening = events;
    listening.on_weak = on_weak;
    weak = 0;
    limits = (struct guard_limits){.processes = 40};
    return rc == 0
               ? sp__guard_open(&guard_options, &listening, &host, &host.guard, NULL)
               : rc;
}

static int close_listening(void **state)
{
    limits = (struct guard_limits){0};
    return close_guard(state);
}

/* Not in the zygote's: what one takes is none of the others'. */
static void forked_workers_have_groups_of_their_own(void **state)
{
    (void)state;
    char text[64];
    open_zygote(NULL);
    for (uint64_t id = 1; id <= 3; id++) {
        int out = forked(id, "bomb", NULL);
        assert_true(pump(&host.answered, (uint32_t)id + 1));
        assert_string_equal(host.records[id].failure, "");
        if ((weak & GUARD_WEAK_PROCESSES) != 0) {
            /* Root without a control group: there is no limit to be tested. */
            (void)close(out);
            break;
        }
        read_lines(out, text, sizeof text, 1);
        assert_string_equal(text, "full after 39\n");
        assert_int_equal(sp__guard_kill(host.guard, id, SIGKILL, 0, NULL), SP_OK);
        assert_true(pump(&host.exited, (uint32_t)id));
        /* Whoever of it lived would have this open. */
        read_lines(out, text, sizeof text, 1);
        assert_string_equal(text, "");
        (void)close(out);
    }
    (void)close(zygote_end);
}

/* ---- who dies with whom ---- */

static void what_a_forked_worker_started_dies_with_it(void **state)
{
    (void)state;
    open_zygote(NULL);
    int out = forked(1, "hostile", NULL);
    int first = watch_next(out);
    int second = watch_next(out);
    assert_true(pump(&host.answered, 2));
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 0, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_true(is_gone(first, GONE_MS));
    assert_true(is_gone(second, GONE_MS));
    (void)close(out);
    (void)close(zygote_end);
}

static void workers_outlive_their_zygote(void **state)
{
    (void)state;
    open_zygote(NULL);
    int out = forked(1, "stay", NULL);
    int worker = watch_next(out);
    assert_true(pump(&host.answered, 2));
    assert_int_equal(sp__guard_kill(host.guard, ZYGOTE, SIGKILL, 1, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_int_equal(host.records[ZYGOTE].exit.exit_signal, SIGKILL);
    int late = forked(2, "exit", "0");
    assert_true(pump(&host.answered, 3));
    assert_int_equal(host.records[2].os_errno, ESRCH);
    assert_non_null(strstr(host.records[2].failure, "zygote"));
    assert_true(is_alive(worker));
    sp__guard_close(host.guard);
    host.guard = NULL;
    assert_true(is_gone(worker, GONE_MS));
    (void)close(out);
    (void)close(late);
    (void)close(zygote_end);
}

static void forked_workers_die_with_the_guard(void **state)
{
    (void)state;
    open_zygote(NULL);
    int outs[] = {forked(1, "hostile", NULL), forked(2, "stay", NULL)};
    int watched[] = {watch_next(outs[0]), watch_next(outs[0]), watch_next(outs[1]),
                     watch(host.records[ZYGOTE].pid)};
    assert_true(pump(&host.answered, 3));
    assert_int_equal(kill(sp__guard_pid(host.guard), SIGKILL), 0);
    uint32_t never = 0;
    assert_false(pump(&never, 1));
    assert_int_equal(host.lost, 1);
    assert_true(is_gone(watched[2], GONE_MS));
    assert_true(is_gone(watched[3], GONE_MS));
    int is_safe = sp__guard_level(host.guard) >= GUARD_LEVEL_CGROUP;
    sp__guard_close(host.guard);
    host.guard = NULL;
    for (size_t i = 0; i < 2; i++) {
        if (is_safe) {
            assert_true(is_gone(watched[i], GONE_MS));
        } else {
            end_watched(watched[i]); /* out of its group, or not: a subreaper's limit */
        }
    }
    (void)close(outs[0]);
    (void)close(outs[1]);
    (void)close(zygote_end);
    reap_orphans();
}

/* ---- zygotes with bad manners ---- */

static void zygote_that_lies_is_not_believed(void **state)
{
    (void)state;
    open_zygote("liar");
    int out = forked(1, "exit", "0");
    assert_true(pump(&host.answered, 2));
    assert_int_equal(host.records[1].os_errno, ESRCH);
    assert_int_equal(host.records[1].exited, 0);
    (void)close(out);
    (void)close(zygote_end);
}

static void zygote_that_says_nothing_has_failed(void **state)
{
    (void)state;
    open_zygote("deaf");
    int out = forked(1, "exit", "0");
    assert_true(pump(&host.answered, 2));
    assert_int_equal(host.records[1].os_errno, ECHILD);
    (void)close(out);
    (void)close(zygote_end);
}

static void failure_of_the_zygote_is_told(void **state)
{
    (void)state;
    open_zygote("wrong");
    int out = forked(1, "exit", "0");
    assert_true(pump(&host.answered, 2));
    assert_int_equal(host.records[1].os_errno, EMFILE);
    assert_non_null(strstr(host.records[1].failure, "could not be prepared"));
    (void)close(out);
    (void)close(zygote_end);
}

/* What a dead worker leaves is let be while a birth is awaited, and not longer. */
static void hanging_zygote_holds_up_nothing_for_good(void **state)
{
    (void)state;
    open_zygote("mute");
    int out = forked(1, "exit", "0");
    int hostile = misbehaving(2, "hostile", NULL);
    int first = watch_next(hostile);
    int second = watch_next(hostile);
    assert_int_equal(sp__guard_kill(host.guard, 2, SIGKILL, 0, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_int_equal(host.records[1].answered, 0);
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGTERM, 0, NULL), SP_OK);
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 1, NULL), SP_OK);
    assert_true(pump(&host.answered, 3));
    assert_int_equal(host.records[1].os_errno, ECANCELED);
    assert_true(is_gone(first, GONE_MS));
    assert_true(is_gone(second, GONE_MS));
    (void)close(out);
    (void)close(hostile);
    (void)close(zygote_end);
}

static void death_of_a_hanging_zygote_answers_what_waits(void **state)
{
    (void)state;
    open_zygote("mute");
    int outs[] = {forked(1, "exit", "0"), forked(2, "exit", "0")};
    assert_int_equal(sp__guard_kill(host.guard, ZYGOTE, SIGKILL, 1, NULL), SP_OK);
    assert_true(pump(&host.answered, 3));
    assert_int_equal(host.records[1].os_errno, ECHILD);
    assert_int_equal(host.records[2].os_errno, ECHILD);
    (void)close(outs[0]);
    (void)close(outs[1]);
    (void)close(zygote_end);
}

static void who_is_no_zygote_is_not_asked(void **state)
{
    (void)state;
    int stays = misbehaving(ZYGOTE, "stay", NULL);
    int out = forked(1, "exit", "0");
    assert_true(pump(&host.answered, 2));
    assert_int_equal(host.records[1].os_errno, ESRCH);
    (void)close(out);
    (void)close(stays);
}

/* ---- many ---- */

static void storm_of_forks_loses_none(void **state)
{
    (void)state;
    int outs[STORM];
    open_zygote(NULL);
    for (uint64_t i = 1; i < STORM; i++) {
        /* Every death starts a sweep of what is nobody's, while others are born. */
        outs[i] = i % 3 == 0 ? forked(i, "stay", NULL) : forked(i, "exit", "5");
    }
    assert_true(pump(&host.answered, STORM));
    for (uint64_t i = 1; i < STORM; i++) {
        assert_string_equal(host.records[i].failure, "");
        assert_true(host.records[i].pid > 0);
        if (i % 3 == 0) {
            assert_int_equal(sp__guard_kill(host.guard, i, SIGKILL, 1, NULL), SP_OK);
        }
    }
    assert_true(pump(&host.exited, STORM - 1));
    for (uint64_t i = 1; i < STORM; i++) {
        (void)close(outs[i]);
        assert_int_equal(host.records[i].exit.exit_signal, i % 3 == 0 ? SIGKILL : 0);
    }
    (void)close(zygote_end);
}

static void zygote_killed_in_a_storm_leaves_no_question_open(void **state)
{
    (void)state;
    int outs[STORM];
    open_zygote(NULL);
    for (uint64_t i = 1; i < STORM; i++) {
        outs[i] = forked(i, "stay", NULL);
        if (i == STORM / 2) {
            assert_true(pump(&host.answered, 10));
            assert_int_equal(sp__guard_kill(host.guard, ZYGOTE, SIGKILL, 1, NULL),
                             SP_OK);
        }
    }
    assert_true(pump(&host.answered, STORM));
    uint32_t born = 0;
    for (uint64_t i = 1; i < STORM; i++) {
        assert_int_equal(host.records[i].answered, 1);
        born += host.records[i].pid > 0;
        (void)close(outs[i]);
    }
    assert_true(born >= 9 && born < STORM);
    assert_int_equal(host.records[STORM - 1].os_errno, ESRCH);
    (void)close(zygote_end);
}

static void zygote_needs_a_guard_that_adopts(void **state)
{
    (void)state;
    const struct guard_options options = {.path = guard_path,
                                          .level = GUARD_LEVEL_LIFELINE};
    if (getenv("SNAKEPIT_GUARD_FORCE") != NULL) {
        return; /* the level is another one then, and this is tested without */
    }
    assert_int_equal(sp__guard_open(&options, &events, &host, &host.guard, NULL),
                     SP_OK);
    const char *const argv[] = {hatch, misbehave, NULL};
    struct guard_command command = {.argv = argv, .is_zygote = 1};
    assert_int_equal(sp__guard_spawn(host.guard, 1, &command, NULL), SP_OK);
    assert_true(pump(&host.answered, 1));
    assert_int_equal(host.records[1].os_errno, EOPNOTSUPP);
    sp__guard_close(host.guard);
}

int main(int argc, char **argv)
{
    int status = prepare(argc, argv);
    if (status != 0) {
        return status;
    }
    if (argc < 3 || realpath(argv[2], hatch) == NULL) {
        print_error("usage: %s MISBEHAVE HATCH\n", argv[0]);
        return 2;
    }
    const struct CMUnitTest tests[] = {
        WITH_GUARD(forked_worker_is_as_an_executed_one),
        WITH_GUARD(forked_worker_has_the_variables_of_both),
        WITH_GUARD(cause_of_a_forked_workers_death_is_told),
        cmocka_unit_test_setup_teardown(forked_workers_have_groups_of_their_own,
                                        open_listening, close_listening),
        WITH_GUARD(what_a_forked_worker_started_dies_with_it),
        WITH_GUARD(workers_outlive_their_zygote),
        WITH_GUARD(forked_workers_die_with_the_guard),
        WITH_GUARD(zygote_that_lies_is_not_believed),
        WITH_GUARD(zygote_that_says_nothing_has_failed),
        WITH_GUARD(failure_of_the_zygote_is_told),
        WITH_GUARD(hanging_zygote_holds_up_nothing_for_good),
        WITH_GUARD(death_of_a_hanging_zygote_answers_what_waits),
        WITH_GUARD(who_is_no_zygote_is_not_asked),
        WITH_GUARD(storm_of_forks_loses_none),
        WITH_GUARD(zygote_killed_in_a_storm_leaves_no_question_open),
        WITHOUT(zygote_needs_a_guard_that_adopts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
