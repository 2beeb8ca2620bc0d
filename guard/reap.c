/* SPDX-License-Identifier: MIT */
/*
 * Reaping and killing.
 *
 * A worker that ended is looked at with WNOWAIT first. While it is unreaped its number,
 * which is also its group's, belongs to nobody else, so SIGKILL to the group hits what
 * the worker left there and never a stranger. Only then is it reaped and its row says
 * what EXITED will report.
 *
 * What left the group (setsid, double fork) becomes a child of the guard at the latest
 * when its worker has died, because the guard is a subreaper: the sweep after each
 * death kills every child of the guard that is not a worker. Their own children arrive
 * the same way when they die, and SIGCHLD brings the next sweep, until none is left. A
 * live worker's daemonised processes are not in danger: workers are subreapers too
 * (spawn.c). Where that is refused, and in zygotes, they end when any worker of this
 * guard ends.
 *
 * A worker that a zygote forks is such a child too, for the moment until it has said who
 * it is (fork.c). So the sweep waits while any such word is awaited.
 *
 * Children are listed from /proc/thread-self/children, or, on kernels built without
 * it, by asking every process for its parent. Without /proc, or when the host wished so,
 * only groups are killed; GUARD_READY says so.
 */
#include "reap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "enclosure.h"
#include "fork.h"
#include "spawn.h"
#include "table.h"

enum {
    END_LIMIT_MS = 5000, /* for processes stuck in the kernel; all others take ms */
    END_TURN_MS = 20     /* look again at least so often */
};

static int sweeps; /* whether children that are no workers are the guard's to kill */
static int sweep_due;

/* ---- listing children ---- */

/* Called for each child; only counted when NULL. */
typedef void child_cb(pid_t pid);

static int list_from_children(child_cb *on_child)
{
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    char text[4096];
    pid_t pid = 0;
    ssize_t n;
    while ((n = read(fd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (text[i] - '0'); /* may go on in the next read */
            } else if (pid != 0) {
                on_child(pid);
                pid = 0;
            }
        }
    }
    (void)close(fd);
    return n < 0 ? -1 : 0;
}

/* Field 4 of /proc/PID/stat, which follows the name in its last parenthesis. */
static pid_t parent_of(int proc, const char *pid)
{
    char path[32];
    char text[512];
    size_t length = strnlen(pid, sizeof path - sizeof "/stat");
    memcpy(path, pid, length);
    memcpy(path + length, "/stat", sizeof "/stat");
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (n <= 0) {
        return -1;
    }
    text[n] = '\0';
    const char *name_end = strrchr(text, ')');
    if (name_end == NULL || strlen(name_end) < 5) {
        return -1;
    }
    return (pid_t)strtol(name_end + 4, NULL, 10); /* ") S 123" */
}

struct dirent64_head { /* what getdents64 writes; readdir() would allocate */
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

static int list_from_proc(child_cb *on_child)
{
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) {
        return -1;
    }
    _Alignas(8) char entries[8192];
    pid_t self = getpid();
    long n;
    while ((n = syscall(SYS_getdents64, proc, entries, sizeof entries)) > 0) {
        for (long at = 0; at < n;) {
            const struct dirent64_head *entry = (const void *)(entries + at);
            at += entry->length;
            if (entry->name[0] >= '1' && entry->name[0] <= '9' &&
                parent_of(proc, entry->name) == self) {
                on_child((pid_t)strtol(entry->name, NULL, 10));
            }
        }
    }
    (void)close(proc);
    return n < 0 ? -1 : 0;
}

static int list_children(child_cb *on_child)
{
    return list_from_children(on_child) == 0 ? 0 : list_from_proc(on_child);
}

/* ---- one death at a time ---- */

/* The children of the guard are its own until it reaps them: kill() cannot miss. */
static void kill_child(pid_t pid)
{
    (void)kill(pid, SIGKILL);
}

static void kill_orphan(pid_t pid)
{
    if (sp__table_by_pid(pid) == NULL) {
        kill_child(pid);
    }
}

static uint64_t to_us(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_usec;
}

static void note_exit(struct worker *worker, int status, const struct rusage *usage)
{
    int signalled = WIFSIGNALED(status);
    worker->exit = (struct guard_message){
        .op = GUARD_EXITED,
        .id = worker->id,
        .pid = worker->number,
        .exit_code = signalled ? -1 : WEXITSTATUS(status),
        .exit_signal = signalled ? WTERMSIG(status) : 0,
        .core_dumped = signalled && WCOREDUMP(status),
        .oom_killed = signalled && WTERMSIG(status) == SIGKILL
                          ? sp__cgroup_was_oom(&worker->cgroup, worker->oom_before)
                          : GUARD_OOM_NO,
        .user_us = to_us(usage->ru_utime),
        .system_us = to_us(usage->ru_stime),
        .rss_max_kib = (uint64_t)usage->ru_maxrss,
    };
    sp__cgroup_remove(&worker->cgroup);
    worker->exit_due = worker->state == WORKER_RUNNING;
    worker->state = WORKER_ENDED;
    sp__close(&worker->lifeline_fd);
    if (!worker->exit_due && !worker->reply_due) {
        sp__table_release(worker); /* the failed start has been told already */
    }
}

static void take(pid_t pid)
{
    struct worker *worker = sp__table_by_pid(pid);
    if (worker == NULL && sp__table_awaits_birth()) {
        sp__fork_hear_all(); /* it may be one that has said so before it died */
        worker = sp__table_by_pid(pid);
    }
    if (worker != NULL) {
        if (worker->state == WORKER_SPAWNING) {
            sp__spawn_settle(worker, 1);
        }
        sp__cgroup_kill(&worker->cgroup);
        (void)kill(-pid, SIGKILL); /* ESRCH: nobody is left there, as it should be */
    }
    int status = 0;
    struct rusage usage = {0};
    if (wait4(pid, &status, 0, &usage) == pid && worker != NULL) {
        note_exit(worker, status, &usage);
    }
}

/* Reap without sweeping; as sp__reap_ready() returns. */
static int take_all(void)
{
    int taken = 0;
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
            return -1; /* ECHILD: all are taken, so nothing is left to sweep either */
        }
        if (info.si_pid == 0) {
            return taken;
        }
        take(info.si_pid);
        taken++;
    }
}

static void ignore(pid_t pid)
{
    (void)pid;
}

int sp__reap_init(int level, struct shortfall *why)
{
    if (level < GUARD_LEVEL_SUBREAPER) {
        return GUARD_LEVEL_LIFELINE;
    }
    /* An init is asked too: it has no other use for it than to try out the list. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || list_children(ignore) != 0) {
        *why = (struct shortfall){GUARD_STAGE_SUBREAPER, errno};
        return GUARD_LEVEL_LIFELINE;
    }
    sweeps = 1;
    return GUARD_LEVEL_SUBREAPER;
}

int sp__reap_adopts(void)
{
    return sweeps;
}

void sp__reap_leftovers(void)
{
    if (sweep_due && !sp__table_awaits_birth()) {
        sweep_due = 0;
        /* A child that dies while the list is read may hide another from it. Its
         * SIGCHLD comes after, and with it the next sweep. */
        (void)list_children(kill_orphan);
    }
}

int sp__reap_ready(void)
{
    int taken = take_all();
    sp__cgroup_tidy();
    sweep_due |= taken > 0 && sweeps;
    sp__reap_leftovers();
    return taken;
}

/* ---- the end ---- */

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void wait_for_death(void)
{
    sigset_t child;
    (void)sigemptyset(&child);
    (void)sigaddset(&child,
                    SIGCHLD); /* blocked since the start, so it can be awaited */
    struct timespec turn = {.tv_nsec = END_TURN_MS * 1000000L};
    (void)sigtimedwait(&child, NULL, &turn);
}

void sp__reap_everything(void)
{
    sp__enclosure_kill();
    /* Groups first: one call ends many, before any of them can react to the others. */
    for (size_t i = 0; i < sp__table_end(); i++) {
        const struct worker *worker = sp__table_at(i);
        if (worker->state == WORKER_FREE || worker->state == WORKER_ENDED) {
            continue;
        }
        sp__cgroup_kill(&worker->cgroup);
        if (worker->pid > 0) {
            (void)kill(-worker->pid, SIGKILL);
            (void)kill(worker->pid, SIGKILL); /* it may not have its group yet */
        }
    }
    uint64_t limit = now_ms() + END_LIMIT_MS;
    while (take_all() >= 0 && now_ms() < limit) {
        sp__enclosure_kill(); /* a kernel without cgroup.kill needs another look */
        if (sweeps) {
            (void)list_children(kill_child);
        }
        wait_for_death();
    }
    sp__cgroup_tidy();
    sp__enclosure_close();
}
