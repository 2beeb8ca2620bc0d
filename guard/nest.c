/* SPDX-License-Identifier: MIT */
/*
 * Two guards: an outer one in the host's PID namespace and an inner one that is init of a
 * namespace of its own, in which all workers live.
 *
 * When init dies, the kernel kills whatever is in its namespace, however it is parented,
 * grouped or stopped, and lets init be gone only when nothing is left. So the inner guard
 * need only be sure to die. It has the outer one as its parent for that, a process with
 * one thread, whose death is a SIGKILL that reaches even an init (PDEATHSIG: a signal
 * from an outer namespace is forced). The outer one in turn has the kernel's lifeline on
 * the host's pipe, also with SIGKILL. A host that dies thus takes everything along
 * without a single instruction of ours being run, both guards stopped or not. The inner
 * guard cannot use the lifeline directly: that signal is not forced on an init.
 *
 * The normal course: the outer guard clones the inner, which makes itself at home (its
 * user mapped when the namespace needs one, mounts of its own, its own /proc, so that
 * what a worker reads there fits what getpid() tells it) and reports. The outer one says
 * READY for both, with a pidfd of the inner, by which the host knows when the namespace
 * is empty. Only then does it let the inner one go, with one byte: getppid() is 0 in the
 * namespace, so end of file in place of that byte is how the inner one learns that its
 * parent had died before PDEATHSIG was set. From then on the outer guard waits, for the
 * host's end to kill the inner, or for the inner's end to end alike.
 *
 * How it fails: every step that a kernel, a container or a policy may refuse has a stage
 * (protocol.h). The attempt is undone, and the caller goes on as the only guard.
 */
#include "nest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"

enum {
    SETTLE_LIMIT_MS = 4000, /* of the five seconds the host waits for READY */
    NUMBER_PATH_MAX = 48
};

static int host_proc = -1; /* in the inner guard: the host's /proc, for numbers */

/* ---- the inner guard makes itself at home ---- */

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = write(fd, text, strlen(text));
    int wrong = errno;
    (void)close(fd);
    errno = wrong;
    return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* In a user namespace of its own the guard is who it was before, and so are workers: the
 * one user and the one group that need no privilege to be mapped. */
static int map_ids(uid_t user, gid_t group)
{
    char text[64];
    /* The files below belong to root while the process is not dumpable. It stays so:
     * capabilities, which workers lose as they execute, keep them from tracing it. */
    (void)prctl(PR_SET_DUMPABLE, 1);
    if (write_file("/proc/self/setgroups", "deny") != 0 && errno != ENOENT) {
        return -1;
    }
    (void)snprintf(text, sizeof text, "%u %u 1", (unsigned)user, (unsigned)user);
    if (write_file("/proc/self/uid_map", text) != 0) {
        return -1;
    }
    (void)snprintf(text, sizeof text, "%u %u 1", (unsigned)group, (unsigned)group);
    return write_file("/proc/self/gid_map", text);
}

/* What the host mounts later still arrives; nothing goes the other way. */
static int mount_proc(struct shortfall *why)
{
    host_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    *why = (struct shortfall){GUARD_STAGE_NEST_MOUNTS, errno};
    if (host_proc < 0) {
        return -1;
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) {
        why->os_errno = errno;
        return -1;
    }
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0) {
        *why = (struct shortfall){GUARD_STAGE_NEST_PROC, errno};
        return -1;
    }
    return 0;
}

struct identity {
    int is_mapped; /* whether a user namespace came with it */
    uid_t user;
    gid_t group;
};

static struct shortfall settle(const struct identity *identity)
{
    struct shortfall why = {GUARD_STAGE_NEST_CLONE, 0};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        why.os_errno = errno;
        return why;
    }
    if (identity->is_mapped && map_ids(identity->user, identity->group) != 0) {
        return (struct shortfall){GUARD_STAGE_NEST_IDS, errno};
    }
    if (mount_proc(&why) != 0) {
        return why;
    }
    (void)prctl(PR_SET_NAME, "snakepit-inner");
    return (struct shortfall){GUARD_STAGE_NONE, 0};
}

/* Report, and wait for leave to go on. Returns only with it. */
static void ask_leave(int socket, const struct identity *identity)
{
    struct shortfall why = settle(identity);
    char leave;
    if (write(socket, &why, sizeof why) != (ssize_t)sizeof why ||
        why.stage != GUARD_STAGE_NONE || read(socket, &leave, 1) != 1) {
        _exit(1); /* refused, or the outer guard is dead */
    }
    (void)close(socket);
}

/* ---- the outer guard ---- */

static pid_t clone_inner(int *ret_pidfd, struct identity *identity)
{
    static const uint64_t flags = CLONE_PIDFD | CLONE_NEWPID | CLONE_NEWNS;
    struct clone_args args = {
        .flags = flags,
        .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
        .exit_signal = SIGCHLD,
    };
    *identity = (struct identity){.user = geteuid(), .group = getegid()};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0 && errno == EPERM) { /* ordinary users may, where they may own users */
        identity->is_mapped = 1;
        args.flags = flags | CLONE_NEWUSER;
        pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    }
    return pid;
}

/* How it ended, by its own status. */
static int await_end(pid_t inner)
{
    int status = 0;
    while (waitpid(inner, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static int hear_report(int socket, struct shortfall *why)
{
    struct pollfd report = {.fd = socket, .events = POLLIN};
    *why = (struct shortfall){GUARD_STAGE_NEST_CLONE, ETIMEDOUT};
    if (poll(&report, 1, SETTLE_LIMIT_MS) == 1 &&
        read(socket, why, sizeof *why) != (ssize_t)sizeof *why) {
        *why = (struct shortfall){GUARD_STAGE_NEST_CLONE, ECHILD};
    }
    return why->stage == GUARD_STAGE_NONE;
}

/* As the inner one did: the host should read the true cause of both deaths. */
static _Noreturn void end_alike(int status)
{
    if (WIFSIGNALED(status)) {
        sigset_t none;
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)kill(getpid(), WTERMSIG(status));
        _exit(1);
    }
    _exit(WEXITSTATUS(status));
}

/* Until the host is dead or the inner guard has ended. The control socket is the inner
 * guard's alone, so that its closing means that one's end. */
static _Noreturn void watch(pid_t inner, int inner_pidfd, int host_pidfd)
{
    (void)close(GUARD_FD_CONTROL);
    (void)fcntl(GUARD_FD_LIFELINE, F_SETSIG, SIGKILL); /* it was SIGCONT; see main.c */
    struct pollfd polled[] = {
        {.fd = inner_pidfd, .events = POLLIN},
        {.fd = GUARD_FD_LIFELINE}, /* no events: hang-up is always told */
        {.fd = host_pidfd, .events = POLLIN},
    };
    while (poll(polled, sizeof polled / sizeof polled[0], -1) < 0) {
    }
    (void)kill(inner, SIGKILL); /* unreaped: the number is its own */
    end_alike(await_end(inner));
}

static int try_inner(int host_pidfd, int pair[2], struct shortfall *why)
{
    struct identity identity;
    int pidfd = -1;
    pid_t inner = clone_inner(&pidfd, &identity);
    if (inner < 0) {
        *why = (struct shortfall){GUARD_STAGE_NEST_CLONE, errno};
        return 0;
    }
    if (inner == 0) {
        (void)close(pair[0]);
        ask_leave(pair[1], &identity);
        return 1;
    }
    (void)close(pair[1]);
    pair[1] = -1;
    if (!hear_report(pair[0], why)) {
        (void)kill(inner, SIGKILL);
        (void)await_end(inner);
        (void)close(pidfd);
        return 0;
    }
    if (sp__control_greet(GUARD_LEVEL_NAMESPACE, inner, pidfd, NULL) == CONTROL_OK) {
        static const char leave = 1;
        ssize_t n = write(pair[0], &leave, 1);
        (void)n; /* it is dead then, and the watch is over at once */
    }
    (void)close(pair[0]); /* without the byte: the inner guard ends */
    watch(inner, pidfd, host_pidfd);
}

int sp__nest_open(int host_pidfd, struct shortfall *why)
{
    int pair[2];
    if (host_pidfd < 0) {
        *why = (struct shortfall){GUARD_STAGE_NEST_CLONE, ENOSYS};
        return 0;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        *why = (struct shortfall){GUARD_STAGE_NEST_CLONE, errno};
        return 0;
    }
    if (try_inner(host_pidfd, pair, why)) {
        return 1;
    }
    (void)close(pair[0]);
    if (pair[1] >= 0) {
        (void)close(pair[1]);
    }
    return 0;
}

/* ---- numbers ---- */

/* What the kernel writes of a pidfd into the host's /proc is the number there. */
pid_t sp__nest_number(pid_t pid, int pidfd)
{
    if (host_proc < 0) {
        return pid; /* the same namespace */
    }
    char path[NUMBER_PATH_MAX];
    char text[512];
    (void)snprintf(path, sizeof path, "self/fdinfo/%d", pidfd);
    int fd = openat(host_proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    const char *number = strstr(text, "Pid:\t");
    return number != NULL ? (pid_t)strtol(number + 5, NULL, 10) : 0;
}

int sp__nest_exists(pid_t number)
{
    char path[NUMBER_PATH_MAX];
    (void)snprintf(path, sizeof path, "%d", (int)number);
    return host_proc >= 0 ? faccessat(host_proc, path, F_OK, 0) == 0
                          : kill(number, 0) == 0 || errno != ESRCH;
}
