/* SPDX-License-Identifier: MIT */
/* All workers in one control group: guard/enclosure.c, src/guard/groups.c. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guard/groups.h"
#include "rig.h"

static struct guard_options enclosed;

/* As open_guard(), at the level of the group or the one below it. */
static int open_enclosed(void **state)
{
    int rc = remember(state);
    enclosed = guard_options;
    enclosed.level = GUARD_LEVEL_CGROUP;
    if (rc == 0) {
        rc = sp__guard_open(&enclosed, &events, &host, &host.guard, NULL);
    }
    *state = &host;
    return rc;
}

#define ENCLOSED(test) cmocka_unit_test_setup_teardown(test, open_enclosed, close_guard)

static int has_group(void)
{
    return sp__guard_level(host.guard) == GUARD_LEVEL_CGROUP;
}

/* The version 2 group of a process, as the kernel names it. */
static void read_group(int pid, char *group, size_t max)
{
    char path[32];
    char line[256];
    (void)snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    FILE *file = fopen(path, "r");
    group[0] = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "0::", 3) == 0) {
            line[strcspn(line, "\n")] = '\0';
            (void)snprintf(group, max, "%s", line + 3);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* How its group of guard `pid` begins. */
static void name_of(int pid, char *name, size_t max)
{
    (void)snprintf(name, max, "/snakepit-%d-", pid);
}

/* Where version 2 is mounted: groups of the guard that are there, in this process's. */
static int count_groups(int guard)
{
    static const char *const mounts[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
    char own[256];
    char name[64];
    int count = 0;
    read_group((int)getpid(), own, sizeof own);
    name_of(guard, name, sizeof name);
    for (size_t i = 0; i < 2; i++) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s%s", mounts[i], own);
        DIR *list = opendir(path);
        const struct dirent *entry;
        while (list != NULL && (entry = readdir(list)) != NULL) {
            count += strncmp(entry->d_name, name + 1, strlen(name + 1)) == 0;
        }
        if (list != NULL) {
            (void)closedir(list);
        }
    }
    return count;
}

static void level_and_what_was_missed_are_told(void **state)
{
    (void)state;
    char text[256];
    (void)sp__guard_describe_level(host.guard, text, sizeof text);
    if (has_group()) {
        assert_string_equal(text, "cgroup");
        assert_int_equal(count_groups(sp__guard_pid(host.guard)), 1);
    } else {
        assert_non_null(strstr(text, "subreaper (no cgroup: "));
        assert_int_equal(count_groups(sp__guard_pid(host.guard)), 0);
    }
}

static void worker_and_what_escapes_it_are_in_the_group(void **state)
{
    (void)state;
    char group[256];
    char wanted[64];
    int out = misbehaving(1, "escape", NULL);
    int escaped = watch_next(out);
    assert_true(pump(&host.answered, 1));
    read_group(host.records[1].pid, group, sizeof group);
    name_of(sp__guard_pid(host.guard), wanted, sizeof wanted);
    assert_true(!has_group() || strstr(group, wanted) != NULL);
    read_group(sp__guard_pid(host.guard), group, sizeof group);
    assert_null(strstr(group, wanted)); /* or it would kill itself */
    sp__guard_close(host.guard);
    host.guard = NULL;
    assert_true(is_gone(escaped, GONE_MS));
    (void)close(out);
}

static void nothing_outlives_a_killed_guard(void **state)
{
    (void)state;
    int guard = sp__guard_pid(host.guard);
    int has = has_group();
    int outs[4];
    int watched[4][2];
    for (uint64_t id = 1; id <= 4; id++) {
        outs[id - 1] = misbehaving(id, "hostile", NULL);
        watched[id - 1][0] = watch_next(outs[id - 1]);
        watched[id - 1][1] = watch_next(outs[id - 1]);
    }
    assert_true(pump(&host.answered, 4));
    (void)kill(guard, SIGKILL);
    assert_false(pump(&host.exited, 1)); /* ends because the guard is lost */
    assert_int_equal(host.lost, 1);
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 2; k++) {
            if (has) {
                assert_true(is_gone(watched[i][k], GONE_MS));
            } else { /* they are nobody's now */
                end_watched(watched[i][k]);
            }
        }
        (void)close(outs[i]);
    }
    reap_orphans();
    sp__guard_close(host.guard);
    host.guard = NULL;
    assert_int_equal(count_groups(guard), 0);
}

static void group_is_removed_with_the_guard(void **state)
{
    (void)state;
    int guard = sp__guard_pid(host.guard);
    int out = misbehaving(1, "hostile", NULL);
    int watched[2] = {watch_next(out), watch_next(out)};
    sp__guard_close(host.guard);
    host.guard = NULL;
    assert_true(is_gone(watched[0], 0));
    assert_true(is_gone(watched[1], 0));
    assert_int_equal(count_groups(guard), 0);
    (void)close(out);
}

/* Program and guard both killed leave an empty group or a full one. This is the first. */
static void group_of_a_dead_guard_is_removed_by_the_next(void **state)
{
    (void)state;
    int ends[2];
    int guard = 0;
    int has = has_group();
    assert_int_equal(pipe(ends), 0);
    pid_t other_host = fork();
    if (other_host == 0) {
        struct guard *other = NULL;
        if (sp__guard_open(&enclosed, &events, &host, &other, NULL) == SP_OK) {
            guard = sp__guard_pid(other);
            (void)kill(guard, SIGKILL);
        }
        ssize_t n = write(ends[1], &guard, sizeof guard);
        (void)n;  /* the other side reads nothing then, and fails */
        _exit(0); /* without a look at what became of it */
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &guard, sizeof guard), sizeof guard);
    (void)close(ends[0]);
    assert_int_equal(waitpid(other_host, NULL, 0), other_host);
    assert_true(guard > 1);
    assert_int_equal(waitpid(guard, NULL, 0), guard); /* it came to this subreaper */
    assert_int_equal(count_groups(guard), has);
    struct guard *next = NULL;
    assert_int_equal(sp__guard_open(&enclosed, &events, &host, &next, NULL), SP_OK);
    assert_int_equal(count_groups(guard), 0);
    sp__guard_close(next);
}

/* What kernels without cgroup.kill need, on groups that have none: those of version 1. */
static void groups_without_cgroup_kill_are_ended(void **state)
{
    (void)state;
    char name[128];
    char path[256];
    const struct guard_groups groups = {
        .place = open("/sys/fs/cgroup/pids", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        .number = (int)getpid(),
        .begun_us = 7};
    (void)snprintf(name, sizeof name, GUARD_GROUP_PREFIX "0", (int)getpid(), 7ull);
    if (groups.place < 0 || mkdirat(groups.place, name, 0755) != 0) {
        int wrong = errno;
        (void)close(groups.place);
        print_message("skipped: no version 1 group can be made here: %s\n",
                      strerror(wrong));
        skip();
    }
    pid_t child = fork();
    if (child == 0) {
        for (;;) {
            (void)pause();
        }
    }
    int watched = watch(child);
    (void)snprintf(path, sizeof path, "%s/cgroup.procs", name);
    int procs = openat(groups.place, path, O_WRONLY | O_CLOEXEC);
    (void)snprintf(path, sizeof path, "%d", (int)child);
    assert_int_equal(write(procs, path, strlen(path)), strlen(path));
    (void)close(procs);
    sp__guard_groups_end(&groups, 0);
    assert_true(is_gone(watched, GONE_MS));
    assert_int_equal(waitpid(child, NULL, 0), child);
    sp__guard_groups_end(&groups, GONE_MS);
    assert_int_equal(faccessat(groups.place, name, F_OK, 0), -1);
    (void)close(groups.place);
}

int main(int argc, char **argv)
{
    int unfit = prepare(argc, argv);
    if (unfit != 0) {
        return unfit;
    }
    const struct CMUnitTest tests[] = {
        ENCLOSED(level_and_what_was_missed_are_told),
        ENCLOSED(worker_and_what_escapes_it_are_in_the_group),
        ENCLOSED(nothing_outlives_a_killed_guard),
        ENCLOSED(group_is_removed_with_the_guard),
        ENCLOSED(group_of_a_dead_guard_is_removed_by_the_next),
        WITHOUT(groups_without_cgroup_kill_are_ended),
    };
    return cmocka_run_group_tests_name("guard-enclosure", tests, NULL, NULL);
}
