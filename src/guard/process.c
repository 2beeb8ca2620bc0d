/* SPDX-License-Identifier: MIT */
/*
 * The guard's process as the host holds it: started, waited for, ended.
 *
 * Starting makes a socket pair and a pipe, starts the guard with posix_spawn() (the only
 * process this library ever creates) and waits for its first message.
 *
 * The host's end of the pipe is never written to. Its closing, in whatever way the host
 * ends, is the signal for the guard and for the kernel to kill every worker.
 *
 * At GUARD_LEVEL_NAMESPACE there are two guards, and the end of the second is the end of
 * all workers. The host is no parent of that one: it holds a pidfd to ask, and asks also
 * when the first guard has died by itself.
 *
 * At GUARD_LEVEL_CGROUP the host kills what is in the guard's control groups when the
 * guard is lost; see groups.c.
 *
 * The guard is waited for by its pidfd alone. No handler is installed, and a host that
 * ignores SIGCHLD or reaps every child it sees only makes the cause of the guard's
 * death unknown.
 */
#include "guard/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "guard/channel.h"
#include "guard/level.h"
#include "guard/protocol.h"

enum {
    READY_LIMIT_MS = 5000,
    CLOSE_LIMIT_MS = 6000,  /* the guard itself gives up after five seconds */
    GROUPS_LIMIT_MS = 1000, /* for processes to be gone that were killed */
    LOST_LIMIT_MS = 100,    /* from its socket's end to its own; microseconds, really */
    POLL_TURN_MS = 5        /* without pidfds the end must be asked for */
};

#ifndef P_PIDFD /* glibc 2.36, Linux 5.4 */
#define P_PIDFD 3
#endif

void sp__guard_close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

int sp__guard_fail(sp_error *err, int os_errno, const char *what)
{
    const char *why = strerrordesc_np(os_errno);
    sp__fail(err, SP_ERR_GUARD, "%s: %s", what, why != NULL ? why : "unknown errno");
    if (err != NULL) {
        err->os_errno = os_errno;
    }
    return SP_ERR_GUARD;
}

/* ---- how things ended ---- */

int sp__guard_describe_exit(const struct guard_exit *exit, char *text, size_t max)
{
    const char *more = exit->core_dumped      ? " (core dumped)"
                       : exit->oom_killed > 0 ? " (out of memory)"
                                              : "";
    if (exit->exit_signal == 0) {
        return snprintf(text, max, "exited with status %d", exit->exit_code);
    }
    const char *name = sigabbrev_np(exit->exit_signal);
    if (name == NULL) { /* a real-time signal */
        return snprintf(text, max, "killed by signal %d%s", exit->exit_signal, more);
    }
    return snprintf(text, max, "killed by SIG%s%s", name, more);
}

static void read_siginfo(const siginfo_t *info, struct guard_exit *ret)
{
    *ret = (struct guard_exit){.pid = info->si_pid, .exit_code = -1};
    if (info->si_code == CLD_EXITED) {
        ret->exit_code = info->si_status;
    } else {
        ret->exit_signal = info->si_status;
        ret->core_dumped = info->si_code == CLD_DUMPED;
    }
}

/* Wait for the guard's end. 1: reaped, *ret is set. 0: it still runs after the limit.
 * -1: it ended, and somebody else has taken its status. */
static int wait_guard(struct guard_process *guard, int limit_ms, struct guard_exit *ret)
{
    uint64_t end_ms = sp__now_ms() + (uint64_t)limit_ms;
    for (;;) {
        siginfo_t info = {0};
        idtype_t type = guard->pidfd >= 0 ? (idtype_t)P_PIDFD : P_PID;
        id_t id = (id_t)(guard->pidfd >= 0 ? guard->pidfd : guard->pid);
        if (waitid(type, id, &info, WEXITED | WNOHANG) != 0 && errno != EINTR) {
            guard->reaped = 1;
            return -1;
        }
        if (info.si_pid != 0) {
            guard->reaped = 1;
            read_siginfo(&info, ret);
            return 1;
        }
        uint64_t now_ms = sp__now_ms();
        if (now_ms >= end_ms) {
            return 0;
        }
        struct pollfd process = {.fd = guard->pidfd, .events = POLLIN};
        int left_ms = (int)(end_ms - now_ms);
        (void)poll(&process, 1,
                   guard->pidfd >= 0 || left_ms < POLL_TURN_MS ? left_ms
                                                               : POLL_TURN_MS);
    }
}

static void kill_guard(struct guard_process *guard)
{
    if (guard->pidfd >= 0) {
        (void)syscall(SYS_pidfd_send_signal, guard->pidfd, SIGKILL, NULL, 0);
    } else {
        (void)kill(guard->pid, SIGKILL); /* not reaped: the number is still its own */
    }
}

static void end_guard(struct guard_process *guard, int limit_ms)
{
    struct guard_exit exit;
    if (!guard->reaped && wait_guard(guard, limit_ms, &exit) == 0) {
        kill_guard(guard);
        (void)wait_guard(guard, limit_ms, &exit);
    }
}

/* Not before it has ended: a worker that is just being born is killed by that. */
void sp__guard_process_end_groups(struct guard_process *guard)
{
    sp__guard_groups_end(&guard->groups, 0);
}

int sp__guard_process_fail(struct guard_process *guard, const char *when, sp_error *err)
{
    struct guard_exit exit;
    char how[64] = "for a reason unknown";
    if (!guard->reaped && wait_guard(guard, LOST_LIMIT_MS, &exit) == 1) {
        (void)sp__guard_describe_exit(&exit, how, sizeof how);
    }
    return sp__fail(err, SP_ERR_GUARD, "the guard (pid %d) ended %s: %s", guard->pid,
                    when, how);
}

/* ---- starting ---- */

/* Move a descriptor above those the guard expects: dup2() onto itself would leave it
 * close-on-exec, and onto the other one's number would lose that. */
static int lift(int *fd)
{
    if (*fd >= GUARD_FDS) {
        return 0;
    }
    int lifted = fcntl(*fd, F_DUPFD_CLOEXEC, GUARD_FDS);
    if (lifted < 0) {
        return errno;
    }
    (void)close(*fd);
    *fd = lifted;
    return 0;
}

/* Every signal blocked and at its default until the guard has put itself in order; the
 * host's environment is not handed on, because the guard needs none of it and would keep
 * secrets in memory. */
static int spawn_guard(const struct guard_options *options, int wished, int control,
                       int lifeline, int lock, pid_t *ret_pid)
{
    char host[16];
    (void)snprintf(host, sizeof host, "%d", (int)getpid());
    char level[16];
    (void)snprintf(level, sizeof level, "%d", wished);
    char *const argv[] = {"snakepit-guard", host, level, lock >= 0 ? "lock" : NULL,
                          NULL};
    char *const env[] = {(char *)options->mark, NULL};
    sigset_t all;
    (void)sigfillset(&all);

    posix_spawn_file_actions_t actions;
    int wrong = posix_spawn_file_actions_init(&actions);
    if (wrong != 0) {
        return wrong;
    }
    posix_spawnattr_t attributes;
    wrong = posix_spawnattr_init(&attributes);
    if (wrong != 0) {
        goto destroy_actions;
    }
    (void)posix_spawnattr_setflags(&attributes,
                                   POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setsigmask(&attributes, &all);
    wrong = posix_spawn_file_actions_adddup2(&actions, control, GUARD_FD_CONTROL);
    if (wrong == 0) {
        wrong = posix_spawn_file_actions_adddup2(&actions, lifeline, GUARD_FD_LIFELINE);
    }
    if (wrong == 0 && lock >= 0) {
        wrong = posix_spawn_file_actions_adddup2(&actions, lock, GUARD_FD_LOCK);
    }
    if (wrong == 0) {
        wrong = posix_spawn(ret_pid, options->path, &actions, &attributes, argv, env);
    }
    (void)posix_spawnattr_destroy(&attributes);
destroy_actions:
    (void)posix_spawn_file_actions_destroy(&actions);
    return wrong;
}

/* Make the socket pair and the pipe and start the guard on their other ends. */
static int start(struct guard_process *guard, const struct guard_options *options,
                 sp_error *err)
{
    int control[2] = {-1, -1};
    int lifeline[2] = {-1, -1};
    int lock = -1;
    int wrong = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0 ||
        pipe2(lifeline, O_CLOEXEC) != 0) {
        wrong = errno;
    }
    if (wrong == 0) {
        wrong = lift(&control[1]);
    }
    if (wrong == 0) {
        wrong = lift(&lifeline[0]);
    }
    if (wrong == 0 && options->lock_fd > 0) {
        lock = fcntl(options->lock_fd, F_DUPFD_CLOEXEC, GUARD_FDS);
        wrong = lock < 0 ? errno : 0;
    }
    guard->socket = control[0];
    guard->lifeline = lifeline[1];
    int rc = SP_OK;
    if (wrong != 0) {
        rc = sp__fail_errno(err, wrong, "descriptors for the guard");
        goto close_ends;
    }
    wrong =
        spawn_guard(options, guard->wished, control[1], lifeline[0], lock, &guard->pid);
    if (wrong != 0) {
        rc = sp__guard_fail(err, wrong, options->path);
        goto close_ends;
    }
    guard->reaped = 0;
    guard->pidfd = (int)syscall(SYS_pidfd_open, guard->pid, 0);
    if (guard->pidfd >= 0) {
        /* Linux 5.3 has pidfds and cannot wait for them. */
        siginfo_t info = {0};
        if (waitid((idtype_t)P_PIDFD, (id_t)guard->pidfd, &info,
                   WEXITED | WNOHANG | WNOWAIT) != 0 &&
            errno == EINVAL) {
            sp__guard_close_fd(&guard->pidfd);
        }
    }

close_ends:
    sp__guard_close_fd(&control[1]);
    sp__guard_close_fd(&lifeline[0]);
    sp__guard_close_fd(&lock);
    return rc;
}

/* What leads to the end of all workers at the higher levels. */
static void take_ready_fd(struct guard_process *guard,
                          const struct guard_message *ready, int fd)
{
    if (guard->level != GUARD_LEVEL_CGROUP) {
        guard->inner = fd;
        guard->inner_pid = fd >= 0 ? ready->pid : 0;
        return;
    }
    guard->groups =
        (struct guard_groups){.place = fd, .number = guard->pid, .begun_us = ready->id};
    if (fd < 0) { /* the host has no descriptor free: nothing can be done with groups */
        guard->level = GUARD_LEVEL_SUBREAPER;
        guard->stage = GUARD_STAGE_ENCLOSURE;
        guard->os_errno = EMFILE;
    }
}

static int await_ready(struct guard_process *guard, sp_error *err)
{
    uint64_t end_ms = sp__now_ms() + READY_LIMIT_MS;
    for (;;) {
        struct guard_message ready;
        int fd = -1;
        int wrong = sp__channel_receive(guard->socket, &ready, &fd);
        if (wrong == 0 && ready.op == GUARD_READY) {
            guard->level = ready.level;
            guard->stage = ready.stage;
            guard->os_errno = ready.os_errno;
            take_ready_fd(guard, &ready, fd);
            return SP_OK;
        }
        sp__guard_close_fd(&fd);
        if (wrong != EAGAIN) {
            return sp__guard_process_fail(guard, "before it was ready", err);
        }
        uint64_t now_ms = sp__now_ms();
        if (now_ms >= end_ms) {
            return sp__fail(err, SP_ERR_GUARD, "the guard was not ready in %d ms",
                            READY_LIMIT_MS);
        }
        struct pollfd socket = {.fd = guard->socket, .events = POLLIN};
        (void)poll(&socket, 1, (int)(end_ms - now_ms));
    }
}

/* ---- from the start to the end ---- */

int sp__guard_process_start(struct guard_process *guard,
                            const struct guard_options *options, sp_error *err)
{
    *guard = (struct guard_process){
        .pidfd = -1,
        .socket = -1,
        .lifeline = -1,
        .inner = -1,
        .groups = {.place = -1},
        .reaped = 1, /* until there is one */
    };
    int require = options->require;
    guard->wished = options->level != 0 ? options->level : GUARD_LEVEL_CGROUP;
    int rc = sp__guard_level_forced(&guard->wished, &require, err);
    if (rc == SP_OK) {
        rc = start(guard, options, err);
    }
    if (rc == SP_OK) {
        rc = await_ready(guard, err);
    }
    if (rc == SP_OK && guard->level < require) {
        char reached[256];
        (void)sp__guard_level_describe(guard, reached, sizeof reached);
        rc = sp__fail(err, SP_ERR_GUARD,
                      "orphan-safety %s is required, and only this was reached: %s",
                      sp__guard_level_name(require), reached);
    }
    return rc;
}

/* Until nothing of the namespace is left, limit_ms at most. */
static void wait_inner(const struct guard_process *guard, int limit_ms)
{
    struct pollfd process = {.fd = guard->inner, .events = POLLIN};
    (void)poll(&process, 1, limit_ms);
    /* Should the outer guard have died and the host be the next of its kin. */
    siginfo_t info;
    (void)waitid((idtype_t)P_PIDFD, (id_t)guard->inner, &info, WEXITED | WNOHANG);
}

/* Both guards were told to stop: let them do so before the lifeline's closing kills
 * them. Those that somebody has stopped read nothing, hence SIGCONT. */
static void await_orderly_end(struct guard_process *guard)
{
    struct guard_exit exit;
    (void)syscall(SYS_pidfd_send_signal, guard->pidfd, SIGCONT, NULL, 0);
    (void)syscall(SYS_pidfd_send_signal, guard->inner, SIGCONT, NULL, 0);
    wait_inner(guard, CLOSE_LIMIT_MS);
    (void)wait_guard(guard, CLOSE_LIMIT_MS, &exit);
}

void sp__guard_process_end(struct guard_process *guard)
{
    int told = 0;
    if (!guard->reaped) {
        struct guard_message stop = {.op = GUARD_STOP};
        /* Should it not fit, the closing of the other two says the same. */
        told = sp__channel_send(guard->socket, &stop, NULL, 0) == 0;
    }
    if (told && guard->inner >= 0) {
        await_orderly_end(guard);
    }
    sp__guard_close_fd(&guard->lifeline);
    sp__guard_close_fd(&guard->socket);
    end_guard(guard, CLOSE_LIMIT_MS);
    if (guard->inner >= 0) {
        wait_inner(guard, CLOSE_LIMIT_MS);
    }
    sp__guard_groups_end(&guard->groups, GROUPS_LIMIT_MS);
    sp__guard_close_fd(&guard->groups.place);
    sp__guard_close_fd(&guard->inner);
    sp__guard_close_fd(&guard->pidfd);
}
