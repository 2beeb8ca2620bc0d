/* SPDX-License-Identifier: MIT */
/*
 * Spawning one worker.
 *
 * The guard clones itself with clone3(CLONE_PIDFD), without sharing memory: it is a few
 * dozen pages, so copying them is cheap, and a child on a shared stack could hurt the
 * only process that must not die. The child prepares itself with system calls alone
 * and executes the worker. Where clone3 is missing or forbidden, fork and pidfd_open do
 * the same; where pidfds are missing too, the host goes without.
 *
 * Whether exec came about is told by a close-on-exec pipe: end of file means yes, eight
 * bytes mean no and say at which stage with which errno. The guard polls that pipe
 * among its other descriptors instead of waiting on it, because an executable on a
 * stalled file system can hold exec up for as long as it likes, and the death of the
 * host must be noticed all the same.
 *
 * Four things tie the child to this world before it runs foreign code:
 *   - a session and process group of its own, so that it dies with what it started;
 *   - PDEATHSIG, should the guard die. The guard has one thread, so "parent" cannot
 *     mean a thread that ended, and getppid() is checked after it is set;
 *   - the kernel's lifeline: a file description of its own on the host's pipe that
 *     sends SIGKILL to the group when the pipe's write end, which only the host has,
 *     closes. It works while the guard is stopped or starved. The description lives in
 *     the guard's table (the worker need not carry a descriptor for it) and is of the
 *     worker's own because its owner is the group;
 *   - it is a child subreaper itself. What a worker daemonises stays the worker's while
 *     that lives and becomes the guard's when it dies, so that the guard knows: every
 *     child of mine that is no worker belongs to a dead one. The price: short-lived
 *     daemonised grandchildren are zombies until their worker waits for them or ends.
 */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "enclosure.h"
#include "limits.h"
#include "nest.h"

/* Workers are the first to go when memory runs out, the host and the guard are not. */
enum { OOM_RAISE = 500, OOM_MAX = 1000 };

#define LIFELINE_PATH "/proc/self/fd/4"
_Static_assert(GUARD_FD_LIFELINE == 4, "LIFELINE_PATH names it");

struct failure {
    int32_t stage;
    int32_t os_errno;
};

static struct {
    pid_t pid;            /* the guard's */
    struct rlimit nofile; /* as the host has it: workers get it back */
    int nofile_raised;
    char oom[24]; /* what workers write to oom_score_adj; "" for nothing */
} inherited;

static void read_oom_score(void)
{
    char text[16] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (n <= 0) {
        return;
    }
    long score = strtol(text, NULL, 10) + OOM_RAISE;
    (void)snprintf(inherited.oom, sizeof inherited.oom, "%ld",
                   score > OOM_MAX ? (long)OOM_MAX : score);
}

void sp__spawn_init(void)
{
    inherited.pid = getpid();
    read_oom_score();
    /* One descriptor for each worker, two more while it starts. Programs that use
     * select() break when they inherit a raised limit, hence the way back. */
    if (getrlimit(RLIMIT_NOFILE, &inherited.nofile) == 0) {
        struct rlimit raised = inherited.nofile;
        raised.rlim_cur = raised.rlim_max;
        inherited.nofile_raised = setrlimit(RLIMIT_NOFILE, &raised) == 0;
    }
}

/* ---- in the child ---- */

static _Noreturn void give_up(int status_fd, int stage, int os_errno)
{
    struct failure failure = {.stage = stage, .os_errno = os_errno};
    /* Eight bytes into an empty pipe: all or, when the guard is dead, nothing. */
    ssize_t n = write(status_fd, &failure, sizeof failure);
    _exit(n == (ssize_t)sizeof failure ? 127 : 126);
}

/* Let the kernel kill this group when the host's end of the pipe closes. */
static int arm_lifeline(int fd)
{
    if (fcntl(fd, F_SETSIG, SIGKILL) != 0 || fcntl(fd, F_SETOWN, -getpid()) != 0 ||
        fcntl(fd, F_SETFL, O_RDONLY | O_NONBLOCK | O_ASYNC) != 0) {
        return -1;
    }
    struct pollfd lifeline = {.fd = fd};
    if (poll(&lifeline, 1, 0) > 0) {
        _exit(126); /* it closed before it was armed: the host is dead */
    }
    return 0;
}

/* Ties that must hold before anything else can go wrong. */
static int tie(const struct worker *worker)
{
    if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        return -1;
    }
    if (getppid() != inherited.pid) {
        _exit(126); /* the guard died before PDEATHSIG was set */
    }
    if (worker->zygote_fd < 0) { /* what a zygote forks shall come to the guard */
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* Linux 3.4; without it, see reap.c */
    }
    return worker->lifeline_fd < 0 ? 0 : arm_lifeline(worker->lifeline_fd);
}

/* What is nice to have: a worker without it is still a worker. */
static void adjust(void)
{
    /* The guard is not dumpable, which makes its files in /proc root's. */
    (void)prctl(PR_SET_DUMPABLE, 1);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = write(fd, inherited.oom, strlen(inherited.oom));
        (void)n; /* a sandbox may forbid it */
        (void)close(fd);
    }
    if (inherited.nofile_raised) {
        (void)setrlimit(RLIMIT_NOFILE, &inherited.nofile);
    }
}

/* Put fds[i] at number i. First all of them, and the status pipe, go out of the way:
 * a descriptor that already is at its number would keep its close-on-exec flag, and one
 * at the number of another would be lost. */
static int place_fds(int *status_fd, const int *fds, uint32_t count)
{
    int lifted[GUARD_FDS_MAX];
    int status = fcntl(*status_fd, F_DUPFD_CLOEXEC, GUARD_FDS_MAX);
    if (status < 0) {
        return -1;
    }
    *status_fd = status;
    for (uint32_t i = 0; i < count; i++) {
        lifted[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, GUARD_FDS_MAX);
        if (lifted[i] < 0) {
            return -1;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (dup2(lifted[i], (int)i) < 0) {
            return -1;
        }
    }
    /* Whatever else is open must not reach the worker. The guard's own descriptors are
     * close-on-exec from birth, so an old kernel's refusal changes nothing. */
    (void)syscall(SYS_close_range, count, ~0u, CLOSE_RANGE_CLOEXEC);
    return 0;
}

static _Noreturn void become(const struct worker *worker,
                             const struct spawn_request *request, int status_fd,
                             const int procs[CGROUP_KINDS], const int *fds,
                             uint32_t fds_count)
{
    if (tie(worker) != 0) {
        give_up(status_fd, GUARD_STAGE_SETUP, errno);
    }
    adjust();
    if (sp__limits_apply(&request->limits, worker->weak, procs) != 0) {
        give_up(status_fd, GUARD_STAGE_LIMITS, errno);
    }
    if (request->working_dir[0] != '\0' && chdir(request->working_dir) != 0) {
        give_up(status_fd, GUARD_STAGE_CHDIR, errno);
    }
    if (place_fds(&status_fd, fds, fds_count) != 0) {
        give_up(status_fd, GUARD_STAGE_SETUP, errno);
    }
    /* The dispositions are the defaults: main.c restored them. The umask is the host's
     * unless there is another: files of a program's workers look like its own. */
    static const uint64_t none[2];
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, (NSIG - 1) / 8);
    (void)execve(request->argv[0], request->argv, request->env);
    give_up(status_fd, GUARD_STAGE_EXEC, errno);
}

/* ---- in the guard ---- */

/* As fork(), with a pidfd where the kernel has them (else -1). *ret_is_inside: the child
 * was born in the enclosure, which costs less than moving there. */
static pid_t clone_self(int *ret_pidfd, int *ret_is_inside)
{
    int pidfd = -1;
    int group = sp__enclosure_group();
    struct clone_args args = {
        .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    *ret_is_inside = group >= 0;
    if (group >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)group;
    }
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0 && group >= 0 && errno != EAGAIN && errno != ENOMEM) {
        *ret_is_inside = 0; /* Linux 5.7 */
        args.flags &= ~CLONE_INTO_CGROUP;
        args.cgroup = 0;
        pid = (pid_t)syscall(SYS_clone3, &args, CLONE_ARGS_SIZE_VER0);
    }
    if (pid < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL)) {
        pid = fork();
        if (pid > 0) {
            pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        }
    }
    *ret_pidfd = pidfd;
    return pid;
}

pid_t sp__spawn_parent(void)
{
    return inherited.pid;
}

int sp__spawn_prepare(struct worker *worker, const struct guard_limits *limits,
                      int procs[CGROUP_KINDS], int *ret_status_fd)
{
    int status[2];
    if (pipe2(status, O_CLOEXEC | O_NONBLOCK) != 0) {
        return errno;
    }
    worker->status_fd = status[0];
    *ret_status_fd = status[1];
    /* A second description of the same pipe end. Without /proc there is none, and the
     * other ties have to do. */
    worker->lifeline_fd = open(LIFELINE_PATH, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    worker->weak = sp__limits_weakness(
        sp__cgroup_make(&worker->cgroup, worker->id, limits, procs));
    worker->oom_before = sp__cgroup_oom_total();
    return 0;
}

int sp__spawn_begin(struct worker *worker, const struct spawn_request *request,
                    const int *fds, uint32_t fds_count)
{
    int procs[CGROUP_KINDS];
    int status_fd = -1;
    int wrong = sp__spawn_prepare(worker, &request->limits, procs, &status_fd);
    if (wrong != 0) {
        return wrong;
    }
    int is_inside = 0;
    pid_t pid = clone_self(&worker->pidfd, &is_inside);
    if (pid == 0) {
        if (!is_inside && sp__enclosure_enter() != 0) {
            give_up(status_fd, GUARD_STAGE_SETUP, errno);
        }
        become(worker, request, status_fd, procs, fds, fds_count);
    }
    wrong = pid < 0 ? errno : 0;
    (void)close(status_fd);
    for (int kind = 0; kind < CGROUP_KINDS; kind++) {
        sp__close(&procs[kind]);
    }
    if (wrong != 0) {
        sp__cgroup_remove(&worker->cgroup);
    }
    worker->pid = pid;
    worker->number = wrong == 0 ? sp__nest_number(pid, worker->pidfd) : 0;
    return wrong;
}

void sp__spawn_settle(struct worker *worker, int ended)
{
    struct failure failure;
    ssize_t n = read(worker->status_fd, &failure, sizeof failure);
    if (n < 0 && errno == EAGAIN && !ended) {
        return;
    }
    sp__close(&worker->status_fd);
    worker->reply_due = 1;
    if (n == (ssize_t)sizeof failure) {
        worker->state = WORKER_FAILED;
        worker->os_errno = failure.os_errno;
        worker->stage = failure.stage;
        sp__close(&worker->pidfd);
    } else {
        worker->state = WORKER_RUNNING;
    }
}
