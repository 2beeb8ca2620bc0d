/* SPDX-License-Identifier: MIT */
/* What a worker may use: guard/limits.c, guard/cgroup.c, guard/hierarchy.c. */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

enum { MIB = 1024 * 1024 };

static uint32_t weak;       /* what on_weak has told */
static unsigned weak_calls; /* how often */

static void on_weak(void *user, uint32_t bits)
{
    (void)user;
    weak |= bits;
    weak_calls++;
}

/* As open_guard(), and hear of weak limits. */
static int open_listening(void **state)
{
    static struct guard_events listening;
    int rc = remember(state);
    weak = 0;
    weak_calls = 0;
    listening = events;
    listening.on_weak = on_weak;
    rc = rc == 0 ? sp__guard_open(&guard_options, &listening, &host, &host.guard, NULL)
                 : rc;
    *state = &host;
    return rc;
}

#define LISTENING(test) \
    cmocka_unit_test_setup_teardown(test, open_listening, close_guard)

/* Spawn a misbehaving worker under limits; the descriptor gives what it prints. */
static int limited(uint64_t id, const char *how, const struct guard_limits *limits)
{
    const char *const argv[] = {misbehave, how, NULL};
    int out[2];
    make_pipe(out);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fds[3] = {null, out[1], null};
    struct guard_command command = {
        .argv = argv, .fds = fds, .fds_count = 3, .limits = *limits};
    assert_int_equal(sp__guard_spawn(host.guard, id, &command, NULL), SP_OK);
    (void)close(null);
    (void)close(out[1]);
    return out[0];
}

static int groups_left;
static char group_prefix[64];

static int count_group(const char *path, const struct stat *info, int type,
                       struct FTW *walk)
{
    (void)info;
    const char *name = path + walk->base;
    size_t length = strlen(name);
    int is_for_all = length > 2 && strcmp(name + length - 2, "-0") == 0;
    groups_left += type == FTW_D && strstr(name, group_prefix) != NULL && !is_for_all;
    return 0;
}

/* Groups of this guard, anywhere. */
static int count_groups(void)
{
    groups_left = 0;
    (void)snprintf(group_prefix, sizeof group_prefix, "snakepit-%d-",
                   sp__guard_pid(host.guard));
    (void)nftw("/sys/fs/cgroup", count_group, 16, FTW_PHYS | FTW_MOUNT);
    static const char *const mounts[] = {"/sys/fs/cgroup/memory",
                                         "/sys/fs/cgroup/pids"};
    for (size_t i = 0; i < 2; i++) {
        (void)nftw(mounts[i], count_group, 16, FTW_PHYS | FTW_MOUNT);
    }
    return groups_left;
}

/* Somebody in a group may take a moment to die; each death brings another look. */
static void assert_no_groups(uint64_t id)
{
    const char *const argv[] = {"/bin/true", NULL};
    for (uint64_t end = id + 500; count_groups() > 0; id++) {
        uint32_t before = host.exited;
        assert_true(id < end);
        spawn(id, argv, NULL, 0);
        assert_true(pump(&host.exited, before + 1));
    }
}

static void small_limits_are_in_force(void **state)
{
    (void)state;
    char text[256];
    char wanted[256];
    struct guard_limits limits = {
        .files = 77, .core_bytes = 0, .nice = 3, .has_umask = 1, .umask = 027};
    int out = limited(1, "limits", &limits);
    read_lines(out, text, sizeof text, 1);
    (void)snprintf(wanted, sizeof wanted, "files 77 core 0 nice %d umask 27\n",
                   getpriority(PRIO_PROCESS, 0) + 3);
    assert_string_equal(text, wanted);
    (void)close(out);
    assert_true(pump(&host.exited, 1));
    assert_int_equal(weak, 0);
}

static void core_limit_of_the_host_can_be_kept(void **state)
{
    (void)state;
    char text[256];
    char wanted[64];
    struct rlimit core;
    assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
    int out = limited(1, "limits", &(struct guard_limits){.core_bytes = UINT64_MAX});
    read_lines(out, text, sizeof text, 1);
    (void)snprintf(wanted, sizeof wanted, " core %llu ",
                   (unsigned long long)core.rlim_cur);
    assert_non_null(strstr(text, wanted));
    (void)close(out);
    assert_true(pump(&host.exited, 1));
}

static void limits_out_of_range_are_refused(void **state)
{
    (void)state;
    int outs[] = {limited(1, "limits", &(struct guard_limits){.nice = 20}),
                  limited(2, "limits", &(struct guard_limits){.umask = 01000})};
    assert_true(pump(&host.answered, 2));
    assert_non_null(strstr(host.records[1].failure, "refused the request"));
    assert_non_null(strstr(host.records[2].failure, "refused the request"));
    (void)close(outs[0]);
    (void)close(outs[1]);
}

/* In turns one that takes too much and one that is killed by hand: each is told from the
 * other, a hundred times. Without a control group the first is refused memory. */
static void memory_is_told_from_murder(void **state)
{
    (void)state;
    struct guard_limits limits = {.memory_bytes = 24ull * MIB};
    for (uint64_t id = 1; id <= 100; id += 2) {
        int outs[] = {limited(id, "hog", &limits), limited(id + 1, "stay", &limits)};
        (void)close(watch_next(outs[1]));
        assert_true(pump(&host.answered, (uint32_t)id + 1));
        assert_int_equal(sp__guard_kill(host.guard, id + 1, SIGKILL, 0, NULL), SP_OK);
        assert_true(pump(&host.exited, (uint32_t)id + 1));
        const struct guard_exit *hog = &host.records[id].exit;
        const struct guard_exit *killed = &host.records[id + 1].exit;
        assert_int_equal(killed->exit_signal, SIGKILL);
        if ((weak & GUARD_WEAK_MEMORY) != 0) {
            assert_int_equal(hog->exit_code, 7);
            assert_int_not_equal(killed->oom_killed, GUARD_OOM_YES);
        } else {
            assert_int_equal(hog->exit_signal, SIGKILL);
            assert_int_equal(hog->oom_killed, GUARD_OOM_YES);
            assert_int_equal(killed->oom_killed, GUARD_OOM_NO);
        }
        (void)close(outs[0]);
        (void)close(outs[1]);
    }
    assert_true(weak_calls <= 1); /* told once */
    assert_no_groups(101);
}

/* Without a limit nothing counts for one worker, but the machine counts for all. */
static void murder_is_no_lack_of_memory(void **state)
{
    (void)state;
    int out = limited(1, "stay", &(struct guard_limits){0});
    (void)close(watch_next(out));
    assert_true(pump(&host.answered, 1));
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 0, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_true(host.records[1].exit.oom_killed <= 0);
    (void)close(out);
}

static void fork_bomb_is_bounded_and_cleared_away(void **state)
{
    (void)state;
    struct guard_limits limits = {.processes = 40};
    const char *const argv[] = {"/bin/true", NULL};
    char text[64];
    for (uint64_t id = 1; id <= 40; id += 2) {
        int out = limited(id, "bomb", &limits);
        assert_true(pump(&host.answered, (uint32_t)id));
        if ((weak & GUARD_WEAK_PROCESSES) != 0) {
            /* Root without a control group: there is no limit to be tested. */
            (void)close(out);
            return;
        }
        read_lines(out, text, sizeof text, 1);
        assert_string_equal(text, "full after 39\n");
        spawn(id + 1, argv, NULL, 0); /* others start and end as ever */
        assert_true(pump(&host.exited, (uint32_t)id));
        assert_int_equal(sp__guard_kill(host.guard, id, SIGKILL, 0, NULL), SP_OK);
        assert_true(pump(&host.exited, (uint32_t)id + 1));
        /* Whoever of it lived would have this open. */
        read_lines(out, text, sizeof text, 1);
        assert_string_equal(text, "");
        (void)close(out);
    }
    assert_no_groups(100);
}

static void close_ends_a_fork_bomb(void **state)
{
    (void)state;
    char text[64];
    int out = limited(1, "bomb", &(struct guard_limits){.processes = 40});
    assert_true(pump(&host.answered, 1));
    if ((weak & GUARD_WEAK_PROCESSES) == 0) {
        read_lines(out, text, sizeof text, 1);
        assert_string_equal(text, "full after 39\n");
    }
    sp__guard_close(host.guard);
    host.guard = NULL;
    read_lines(out, text, sizeof text, 1000);
    (void)close(out);
}

int main(int argc, char **argv)
{
    int unfit = prepare(argc, argv);
    if (unfit != 0) {
        return unfit;
    }
    const struct CMUnitTest tests[] = {
        LISTENING(small_limits_are_in_force),
        LISTENING(core_limit_of_the_host_can_be_kept),
        LISTENING(limits_out_of_range_are_refused),
        LISTENING(memory_is_told_from_murder),
        LISTENING(murder_is_no_lack_of_memory),
        LISTENING(fork_bomb_is_bounded_and_cleared_away),
        LISTENING(close_ends_a_fork_bomb),
    };
    return cmocka_run_group_tests_name("guard-limits", tests, NULL, NULL);
}
