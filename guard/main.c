/* SPDX-License-Identifier: MIT */
/*
 * snakepit-guard: the process between a host and its workers.
 *
 * It spawns workers when the host asks, reaps them, tells how they ended, and makes
 * sure that nothing of them outlives the host. It is small, static, has one thread and
 * allocates nothing, so that it works when the machine does not.
 *
 * The normal course: the library starts it with two or three descriptors (protocol.h),
 * its own process id and the level of protection that is wished for. The guard shuts out
 * everything else it inherited, goes on in a PID namespace if that was the wish and can
 * be had (nest.c), says that it is ready and polls until something tells it that the host
 * is gone or done: GUARD_STOP or end of file on the control socket, the closing of the
 * host's lifeline, or, should a stray copy of a descriptor hold both open, the host's
 * pidfd and a change of parent. Then it kills and reaps everything and exits with 0.
 *
 * How it fails: a start that cannot be made sure of ends with status 1 (2 when it was
 * not the library that called) before any worker exists. It writes nothing anywhere;
 * what it has to say goes through the control socket. Signals other than SIGKILL do
 * not end it: a service manager that sends SIGTERM to all means the host first.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup.h"
#include "control.h"
#include "enclosure.h"
#include "fork.h"
#include "nest.h"
#include "reap.h"
#include "spawn.h"
#include "table.h"

enum {
    AT_CONTROL,
    AT_LIFELINE,
    AT_HOST,
    AT_SIGNAL,
    AT_WORKERS, /* from here on: status pipes of workers that start */
    STARVED_MS = 10
};

static struct pollfd polled[AT_WORKERS + GUARD_WORKERS_MAX];
static struct worker *polled_worker[GUARD_WORKERS_MAX];
static pid_t host;   /* the parent, as long as it lives */
static int is_inner; /* this is the second of two guards, init of a PID namespace */

/* Whether the two descriptors are what the library gives. */
static int is_called_by_library(void)
{
    int type = 0;
    socklen_t size = sizeof type;
    struct stat lifeline;
    return getsockopt(GUARD_FD_CONTROL, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
           type == SOCK_SEQPACKET && fstat(GUARD_FD_LIFELINE, &lifeline) == 0 &&
           S_ISFIFO(lifeline.st_mode);
}

/* Default dispositions, which workers inherit, and every signal blocked, which they do
 * not (spawn.c). A host that ignores SIGCHLD must not make the guard lose exits. Both go
 * past the C library, which keeps two signals to itself. */
static void reset_signals(void)
{
    static const unsigned char standard[64]; /* SIG_DFL, no flags, an empty mask */
    static const uint64_t all[2] = {~UINT64_C(0), ~UINT64_C(0)};
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, all, NULL, (NSIG - 1) / 8);
    for (int signal = 1; signal < NSIG; signal++) {
        (void)syscall(SYS_rt_sigaction, signal, standard, NULL, (NSIG - 1) / 8);
    }
}

/* Keep the library's descriptors, replace 0 to 2 (a guard that held the host's output open
 * would keep readers of it waiting), close what an embedding program leaked. */
static int shut_out(int has_lock)
{
    int first = has_lock ? GUARD_FDS : GUARD_FD_LOCK; /* of what is not ours */
    if (has_lock && fcntl(GUARD_FD_LOCK, F_SETFD, FD_CLOEXEC) != 0) {
        return -1;
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++) {
        int from = null >= 0 ? null : GUARD_FD_LIFELINE; /* a chroot may lack it */
        if (from != fd && dup2(from, fd) < 0) {
            return -1;
        }
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    if (syscall(SYS_close_range, first, ~0u, 0) != 0) {
        struct rlimit limit;
        int last = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1 << 20
                       ? (int)limit.rlim_cur
                       : 1 << 20;
        for (int fd = first; fd < last; fd++) {
            (void)close(fd);
        }
    }
    return fcntl(GUARD_FD_CONTROL, F_SETFD, FD_CLOEXEC) != 0 ||
                   fcntl(GUARD_FD_LIFELINE, F_SETFD, FD_CLOEXEC) != 0
               ? -1
               : 0;
}

/* Ask the kernel for SIGCONT when the host dies, twice: as its lifeline closes, and as
 * the parent. It continues a guard that somebody has stopped, and, blocked like all
 * signals, can be read. The parent is a thread of the host, so its SIGCONT may mean no
 * more than the end of that thread: is_host_gone() asks who the parent is. */
static void ask_for_wake(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGCONT);
    if (fcntl(GUARD_FD_LIFELINE, F_SETSIG, SIGCONT) == 0 &&
        fcntl(GUARD_FD_LIFELINE, F_SETOWN, getpid()) == 0) {
        (void)fcntl(GUARD_FD_LIFELINE, F_SETFL, O_RDONLY | O_NONBLOCK | O_ASYNC);
    }
}

/* A pidfd of the host; -1 on kernels without. */
static int watch_host(void)
{
    return (int)syscall(SYS_pidfd_open, host, 0);
}

static int watch_signals(void)
{
    sigset_t awaited;
    (void)sigemptyset(&awaited);
    (void)sigaddset(&awaited, SIGCHLD);
    (void)sigaddset(&awaited, SIGCONT);
    return signalfd(-1, &awaited, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void read_signals(void)
{
    struct signalfd_siginfo drained[8];
    while (read(polled[AT_SIGNAL].fd, drained, sizeof drained) > 0) {
    }
}

static nfds_t collect_starting(void)
{
    nfds_t count = 0;
    for (size_t i = 0; i < sp__table_end(); i++) {
        struct worker *worker = sp__table_at(i);
        if ((worker->state == WORKER_SPAWNING || worker->state == WORKER_ASKED) &&
            worker->status_fd >= 0) {
            polled[AT_WORKERS + count] =
                (struct pollfd){.fd = worker->status_fd, .events = POLLIN};
            polled_worker[count] = worker;
            count++;
        }
    }
    return count;
}

static void settle_starting(nfds_t count)
{
    for (nfds_t i = 0; i < count; i++) {
        /* A worker that was reaped a moment ago has been settled by that. */
        if (polled[AT_WORKERS + i].revents != 0 &&
            polled_worker[i]->status_fd == polled[AT_WORKERS + i].fd) {
            if (polled_worker[i]->state == WORKER_ASKED) {
                sp__fork_hear(polled_worker[i]);
            } else {
                sp__spawn_settle(polled_worker[i], 0);
            }
        }
    }
}

static int is_host_gone(void)
{
    return polled[AT_LIFELINE].revents != 0 || polled[AT_HOST].revents != 0 ||
           (polled[AT_CONTROL].revents & (POLLHUP | POLLERR | POLLRDHUP)) != 0 ||
           (!is_inner && getppid() != host);
}

/* Until the host is gone or done. */
static void serve(void)
{
    enum control out = CONTROL_OK;
    while (out != CONTROL_END) {
        /* While reports are held back nothing is read; see control.c. */
        polled[AT_CONTROL].events = POLLRDHUP;
        if (out == CONTROL_OK) {
            polled[AT_CONTROL].events |= POLLIN;
        } else if (out == CONTROL_BLOCKED) {
            polled[AT_CONTROL].events |= POLLOUT;
        }
        nfds_t starting = collect_starting();
        int timeout_ms = out == CONTROL_STARVED ? STARVED_MS : -1;
        if (poll(polled, AT_WORKERS + starting, timeout_ms) < 0) {
            continue; /* ENOMEM: nothing better to do than to try again */
        }
        if (is_host_gone()) {
            return;
        }
        if (polled[AT_SIGNAL].revents != 0) {
            read_signals();
            (void)sp__reap_ready();
        }
        settle_starting(starting);
        if ((polled[AT_CONTROL].revents & POLLIN) != 0 &&
            sp__control_receive() == CONTROL_END) {
            return;
        }
        sp__reap_leftovers(); /* the last birth that was awaited may be settled now */
        out = sp__control_flush();
    }
}

/* Put the process in order, from what the library started to what guards. */
static int settle(int has_lock)
{
    reset_signals();
    (void)setsid(); /* EPERM: it leads a group already */
    (void)prctl(PR_SET_NAME, "snakepit-guard");
    (void)prctl(PR_SET_DUMPABLE, 0); /* workers of the same user must not trace it */
    if (shut_out(has_lock) != 0) {
        return -1;
    }
    ask_for_wake();
    polled[AT_CONTROL].fd = GUARD_FD_CONTROL;
    polled[AT_LIFELINE].fd = GUARD_FD_LIFELINE; /* no events: hang-up is always told */
    polled[AT_HOST] = (struct pollfd){.fd = watch_host(), .events = POLLIN};
    /* Had the host died earlier, its number could be another's by now. */
    return getppid() == host ? 0 : -1;
}

/* Become the guard that has the workers, at the wished level or below it. Returns whether
 * there is something to serve. */
static int begin(int level)
{
    struct shortfall why = {GUARD_STAGE_NONE, 0};
    sp__cgroup_init(getpid());
    if (level == GUARD_LEVEL_NAMESPACE) {
        is_inner = sp__nest_open(polled[AT_HOST].fd, &why);
    }
    sp__spawn_init();
    struct shortfall more = {GUARD_STAGE_NONE, 0};
    int reached = sp__reap_init(level, &more);
    if (!is_inner && level >= GUARD_LEVEL_CGROUP && reached == GUARD_LEVEL_SUBREAPER) {
        struct shortfall unasked; /* when there is to be told why no namespace */
        reached = sp__enclosure_open(level == GUARD_LEVEL_CGROUP ? &why : &unasked)
                      ? GUARD_LEVEL_CGROUP
                      : reached;
    }
    polled[AT_SIGNAL] = (struct pollfd){.fd = watch_signals(), .events = POLLIN};
    if (polled[AT_SIGNAL].fd < 0) {
        return 0;
    }
    if (is_inner) {
        return 1; /* the outer guard has said so */
    }
    return sp__control_greet(reached, getpid(), sp__enclosure_place(),
                             more.stage != GUARD_STAGE_NONE ? &more : &why) ==
           CONTROL_OK;
}

int main(int argc, char **argv)
{
    int has_lock = argc == 4 && strcmp(argv[3], "lock") == 0;
    if (argc != 3 + has_lock || !is_called_by_library()) {
        static const char text[] = "snakepit-guard is started by libsnakepit, "
                                   "not by hand\n";
        ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
        (void)n; /* nowhere to say it then */
        return 2;
    }
    host = (pid_t)strtol(argv[1], NULL, 10);
    if (settle(has_lock) != 0) {
        return 1;
    }
    if (!begin((int)strtol(argv[2], NULL, 10))) {
        return 1;
    }
    serve();
    sp__reap_everything();
    return 0;
}
