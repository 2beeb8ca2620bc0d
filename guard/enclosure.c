/* SPDX-License-Identifier: MIT */
/*
 * One control group for everything that descends from the guard's workers, whatever its
 * session, group or parent: membership is inherited and not lost by any of setsid, a
 * double fork or the death of the guard. So whoever holds the group's folder can end all
 * that is in it, and the host, which gets the folder with GUARD_READY, does when the
 * guard has been killed.
 *
 * The normal course: the group is made in version 2 below the group the guard is in, and
 * tried with a child that is born there, or moves there, and ends. So it is with workers:
 * they are born in it (clone3) or, before Linux 5.7, move there before they execute. To
 * move takes ten milliseconds and more, for the kernel waits until every processor has
 * taken note. A worker with limits moves on to a group of its own (cgroup.c) whose name
 * begins alike, by which the host finds it. When the guard ends it writes to cgroup.kill,
 * reaps, and removes the group.
 *
 * How it fails: where there is no version 2, no permission or a kind of group that takes
 * no processes, the level is not reached and the caller goes on without. Kernels before
 * 5.14 have no cgroup.kill: all in cgroup.procs are killed, again until nobody is left.
 * A worker that may write to groups outside can leave; the guard, while it lives, finds
 * such ones as it would at the level below.
 */
#include "enclosure.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "hierarchy.h"

static struct {
    int is_open;
    int place;
    int group;
    char name[CGROUP_NAME_MAX];
} enclosure;

int sp__enclosure_place(void)
{
    return enclosure.is_open ? enclosure.place : -1;
}

int sp__enclosure_group(void)
{
    return enclosure.is_open ? enclosure.group : -1;
}

static int enter(void)
{
    int fd = openat(enclosure.group, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = write(fd, "0", 1);
    int wrong = errno;
    (void)close(fd);
    errno = wrong;
    return n == 1 ? 0 : -1;
}

int sp__enclosure_enter(void)
{
    return enclosure.is_open ? enter() : 0;
}

/* As fork(), with the child in the group. */
static pid_t bear(void)
{
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)enclosure.group,
    };
    return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

/* Whether a child of the guard can be there: 0 or an errno. */
static int try_out(void)
{
    pid_t pid = bear();
    int is_born_there = pid >= 0;
    if (pid < 0) {
        pid = fork();
    }
    if (pid == 0) {
        _exit(is_born_there || enter() == 0 ? 0 : errno);
    }
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (pid < 0) {
        return errno;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

int sp__enclosure_open(struct shortfall *why)
{
    why->stage = GUARD_STAGE_ENCLOSURE;
    enclosure.place = sp__hierarchy_own();
    if (enclosure.place < 0) {
        why->os_errno = errno;
        return 0;
    }
    sp__cgroup_remove_stale(enclosure.place);
    sp__cgroup_name(0, enclosure.name);
    if (mkdirat(enclosure.place, enclosure.name, 0755) != 0) {
        why->os_errno = errno;
        goto close_place;
    }
    enclosure.group =
        openat(enclosure.place, enclosure.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (enclosure.group < 0) {
        why->os_errno = errno;
        goto remove_group;
    }
    why->os_errno = try_out();
    if (why->os_errno == 0) {
        enclosure.is_open = 1;
        why->stage = GUARD_STAGE_NONE;
        return 1;
    }
    (void)close(enclosure.group);
remove_group:
    (void)unlinkat(enclosure.place, enclosure.name, AT_REMOVEDIR);
close_place:
    (void)close(enclosure.place);
    return 0;
}

void sp__enclosure_kill(void)
{
    if (enclosure.is_open) {
        sp__cgroup_kill_all(enclosure.group);
    }
}

void sp__enclosure_close(void)
{
    if (enclosure.is_open) {
        (void)unlinkat(enclosure.place, enclosure.name, AT_REMOVEDIR);
    }
}
