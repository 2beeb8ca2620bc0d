/* SPDX-License-Identifier: MIT */
/*
 * The host's side of the guard.
 *
 * Opening makes a socket pair and a pipe, starts the guard with posix_spawn() (the only
 * process this library ever creates) and waits for its first message. From then on the
 * socket carries requests out and reports in. A request that does not fit into the
 * socket waits in a list; so does a spawn while SPAWN_WINDOW others are unanswered,
 * which bounds the descriptors that are on their way (the kernel refuses to carry more
 * than RLIMIT_NOFILE of them) while kills overtake them.
 *
 * The host's end of the pipe is never written to. Its closing, in whatever way the host
 * ends, is the signal for the guard and for the kernel to kill every worker.
 *
 * The guard is waited for by its pidfd alone. No handler is installed, and a host that
 * ignores SIGCHLD or reaps every child it sees only makes the cause of the guard's
 * death unknown. When the guard dies, on_lost tells once and the descriptor stays
 * readable until sp__guard_close(); reading it again does nothing.
 */
#include "guard/guard.h"

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
#include "base/list.h"
#include "base/mem.h"
#include "guard/channel.h"
#include "guard/protocol.h"

enum {
    SPAWN_WINDOW = 32, /* spawns sent and not answered */
    READY_LIMIT_MS = 5000,
    CLOSE_LIMIT_MS = 6000, /* the guard itself gives up after five seconds */
    LOST_LIMIT_MS = 100,   /* from its socket's end to its own; microseconds, really */
    POLL_TURN_MS = 5       /* without pidfds the end must be asked for */
};

#ifndef P_PIDFD /* glibc 2.36, Linux 5.4 */
#define P_PIDFD 3
#endif

/* A request that waits for the socket, with descriptors of its own. */
struct pending {
    struct link link;
    struct guard_message message;
    int fds[1 + GUARD_FDS_MAX];
    size_t fds_count;
};

struct guard {
    const struct guard_events *events;
    void *user;
    pid_t pid;
    int pidfd;    /* -1 on old kernels */
    int socket;   /* to the guard */
    int lifeline; /* the only write end of the pipe there is */
    int level;
    int lost;
    int reaped;          /* by us or by the host's own means: nothing to wait for */
    int blocked;         /* the socket was full when it was last tried */
    uint32_t unanswered; /* spawns sent and not answered */
    struct list waiting; /* struct pending, oldest first */
};

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static int fail_guard(sp_error *err, int os_errno, const char *what)
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
static int wait_guard(struct guard *guard, int limit_ms, struct guard_exit *ret)
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

static void kill_guard(struct guard *guard)
{
    if (guard->pidfd >= 0) {
        (void)syscall(SYS_pidfd_send_signal, guard->pidfd, SIGKILL, NULL, 0);
    } else {
        (void)kill(guard->pid, SIGKILL); /* not reaped: the number is still its own */
    }
}

static void end_guard(struct guard *guard, int limit_ms)
{
    struct guard_exit exit;
    if (!guard->reaped && wait_guard(guard, limit_ms, &exit) == 0) {
        kill_guard(guard);
        (void)wait_guard(guard, limit_ms, &exit);
    }
}

/* "the guard ended: killed by SIGKILL". */
static int fail_ended(struct guard *guard, const char *when, sp_error *err)
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
static int spawn_guard(const struct guard_options *options, int control, int lifeline,
                       int lock, pid_t *ret_pid)
{
    char host[16];
    (void)snprintf(host, sizeof host, "%d", (int)getpid());
    char *const argv[] = {"snakepit-guard", host, lock >= 0 ? "lock" : NULL, NULL};
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
static int start(struct guard *guard, const struct guard_options *options,
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
    wrong = spawn_guard(options, control[1], lifeline[0], lock, &guard->pid);
    if (wrong != 0) {
        rc = fail_guard(err, wrong, options->path);
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
            close_fd(&guard->pidfd);
        }
    }

close_ends:
    close_fd(&control[1]);
    close_fd(&lifeline[0]);
    close_fd(&lock);
    return rc;
}

static int await_ready(struct guard *guard, sp_error *err)
{
    uint64_t end_ms = sp__now_ms() + READY_LIMIT_MS;
    for (;;) {
        struct guard_message ready;
        int fd = -1;
        int wrong = sp__channel_receive(guard->socket, &ready, &fd);
        close_fd(&fd);
        if (wrong == 0 && ready.op == GUARD_READY) {
            guard->level = ready.level;
            return SP_OK;
        }
        if (wrong != EAGAIN) {
            return fail_ended(guard, "before it was ready", err);
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

int sp__guard_open(const struct guard_options *options,
                   const struct guard_events *events, void *user, struct guard **ret,
                   sp_error *err)
{
    struct guard *guard = sp__calloc(1, sizeof *guard);
    if (guard == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the guard");
    }
    *guard = (struct guard){
        .events = events,
        .user = user,
        .pidfd = -1,
        .socket = -1,
        .lifeline = -1,
        .reaped = 1, /* until there is one */
    };
    int rc = start(guard, options, err);
    if (rc == SP_OK) {
        rc = await_ready(guard, err);
    }
    if (rc < 0) {
        sp__guard_close(guard);
        return rc;
    }
    *ret = guard;
    return SP_OK;
}

static void free_pending(struct pending *pending)
{
    sp__list_remove(&pending->link);
    for (size_t i = 0; i < pending->fds_count; i++) {
        (void)close(pending->fds[i]);
    }
    sp__free(pending);
}

static void drop_waiting(struct guard *guard)
{
    while (guard->waiting.first != NULL) {
        free_pending(ITEM(guard->waiting.first, struct pending, link));
    }
    guard->blocked = 0;
}

void sp__guard_close(struct guard *guard)
{
    if (guard == NULL) {
        return;
    }
    drop_waiting(guard);
    if (!guard->reaped) {
        struct guard_message stop = {.op = GUARD_STOP};
        /* Should it not fit, the closing of the other two says the same. */
        (void)sp__channel_send(guard->socket, &stop, NULL, 0);
    }
    close_fd(&guard->lifeline);
    close_fd(&guard->socket);
    end_guard(guard, CLOSE_LIMIT_MS);
    close_fd(&guard->pidfd);
    sp__free(guard);
}

int sp__guard_fd(const struct guard *guard)
{
    return guard->socket;
}

int sp__guard_pid(const struct guard *guard)
{
    return guard->pid;
}

int sp__guard_level(const struct guard *guard)
{
    return guard->level;
}

/* ---- requests ---- */

static int is_spawn(const struct pending *pending)
{
    return pending->message.op == GUARD_SPAWN;
}

/* Whether a kill that waits must go on waiting, for the spawn of its worker waits. */
static int is_behind_spawn(const struct pending *pending)
{
    for (const struct link *l = pending->link.prev; l != NULL; l = l->prev) {
        const struct pending *other = ITEM(l, struct pending, link);
        if (is_spawn(other) && other->message.id == pending->message.id) {
            return 1;
        }
    }
    return 0;
}

/* Try to send one; 1 when it is out (or can never be: the socket will tell). */
static int send_pending(struct guard *guard, struct pending *pending)
{
    if (is_spawn(pending) ? guard->unanswered >= SPAWN_WINDOW
                          : is_behind_spawn(pending)) {
        return 0;
    }
    int wrong = sp__channel_send(guard->socket, &pending->message, pending->fds,
                                 pending->fds_count);
    if (wrong == EAGAIN || wrong == ENOBUFS || wrong == ENOMEM ||
        wrong == ETOOMANYREFS) {
        guard->blocked = 1;
        return 0;
    }
    guard->unanswered += wrong == 0 && is_spawn(pending);
    return 1;
}

static void flush(struct guard *guard)
{
    guard->blocked = 0;
    struct link *next;
    for (struct link *l = guard->waiting.first; l != NULL && !guard->blocked;
         l = next) {
        next = l->next;
        struct pending *pending = ITEM(l, struct pending, link);
        if (send_pending(guard, pending)) {
            free_pending(pending);
        }
    }
}

int sp__guard_wants_write(const struct guard *guard)
{
    return guard->blocked && !guard->lost;
}

void sp__guard_on_writable(struct guard *guard)
{
    if (!guard->lost) {
        flush(guard);
    }
}

static int new_pending(struct guard *guard, uint64_t id, struct pending **ret,
                       sp_error *err)
{
    if (guard->lost) {
        return sp__fail(err, SP_ERR_GUARD, "the guard is gone");
    }
    if (guard->waiting.length >= GUARD_WORKERS_MAX) {
        return sp__fail(err, SP_ERR_GUARD, "%u requests already wait for the guard",
                        guard->waiting.length);
    }
    struct pending *pending = sp__calloc(1, sizeof *pending);
    if (pending == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a request to the guard");
    }
    pending->message.id = id;
    *ret = pending;
    return SP_OK;
}

static void post(struct guard *guard, struct pending *pending)
{
    sp__list_append(&guard->waiting, &pending->link);
    if (!guard->blocked) {
        flush(guard);
    }
}

static int copy_fds(struct pending *pending, const struct guard_command *command,
                    sp_error *err)
{
    for (size_t i = 0; i < command->fds_count; i++) {
        int fd = fcntl(command->fds[i], F_DUPFD_CLOEXEC, 0);
        if (fd < 0) {
            return sp__fail_errno(err, errno, "descriptor %zu of a worker", i);
        }
        pending->fds[pending->fds_count++] = fd;
    }
    return SP_OK;
}

int sp__guard_spawn(struct guard *guard, uint64_t id,
                    const struct guard_command *command, sp_error *err)
{
    if (id == 0 || command->argv == NULL || command->argv[0] == NULL ||
        command->argv[0][0] != '/' || command->fds_count > GUARD_FDS_MAX) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a worker needs an id, an absolute path to run and at most %d "
                        "descriptors",
                        GUARD_FDS_MAX);
    }
    struct pending *pending = NULL;
    int rc = new_pending(guard, id, &pending, err);
    if (rc < 0) {
        return rc;
    }
    pending->message.op = GUARD_SPAWN;
    pending->message.fds = (uint32_t)command->fds_count;
    rc = sp__channel_pack(command, &pending->message, &pending->fds[0], err);
    if (rc == SP_OK) {
        pending->fds_count = 1;
        rc = copy_fds(pending, command, err);
    }
    if (rc < 0) {
        free_pending(pending);
        return rc;
    }
    post(guard, pending);
    return SP_OK;
}

int sp__guard_kill(struct guard *guard, uint64_t id, int signal, int group,
                   sp_error *err)
{
    struct pending *pending = NULL;
    int rc = new_pending(guard, id, &pending, err);
    if (rc < 0) {
        return rc;
    }
    pending->message.op = GUARD_KILL;
    pending->message.signal = signal;
    pending->message.group = group != 0;
    post(guard, pending);
    return SP_OK;
}

/* ---- reports ---- */

static const char *const stage_texts[] = {
    [GUARD_STAGE_NONE] = "the worker was not started",
    [GUARD_STAGE_CLONE] = "no process could be created",
    [GUARD_STAGE_SETUP] = "the process could not be prepared",
    [GUARD_STAGE_CHDIR] = "the working directory could not be entered",
    [GUARD_STAGE_EXEC] = "the program could not be executed",
    [GUARD_STAGE_REQUEST] = "the guard refused the request",
};
enum { STAGES = sizeof stage_texts / sizeof stage_texts[0] };

static void on_spawned(struct guard *guard, const struct guard_message *message,
                       int pidfd)
{
    if (guard->unanswered > 0) {
        guard->unanswered--;
    }
    if (message->os_errno == 0) {
        guard->events->on_spawned(guard->user, message->id, message->pid, pidfd, NULL);
        return;
    }
    close_fd(&pidfd);
    sp_error failure = {0};
    uint32_t stage = (uint32_t)message->stage;
    fail_guard(&failure, message->os_errno, stage_texts[stage < STAGES ? stage : 0]);
    failure.code = SP_ERR_START_FAILED;
    failure.grpc_status = sp_error_grpc_status(failure.code);
    guard->events->on_spawned(guard->user, message->id, 0, -1, &failure);
    sp_error_clear(&failure);
}

static void on_exited(struct guard *guard, const struct guard_message *message)
{
    struct guard_exit exit = {
        .pid = message->pid,
        .exit_code = message->exit_code,
        .exit_signal = message->exit_signal,
        .core_dumped = message->core_dumped,
        .oom_killed = message->oom_killed,
        .user_us = message->user_us,
        .system_us = message->system_us,
        .rss_max_kib = message->rss_max_kib,
    };
    guard->events->on_exited(guard->user, message->id, &exit);
}

static void on_end(struct guard *guard, int wrong)
{
    guard->lost = 1;
    drop_waiting(guard);
    sp_error err = {0};
    if (wrong == EPROTO) {
        /* Another build's guard. Closing the pipe ends it and its workers. */
        sp__fail(&err, SP_ERR_GUARD, "the guard sent what is no message of this build");
        close_fd(&guard->lifeline);
    } else {
        fail_ended(guard, "unexpectedly", &err);
    }
    guard->events->on_lost(guard->user, &err);
    sp_error_clear(&err);
}

void sp__guard_on_readable(struct guard *guard)
{
    while (!guard->lost) {
        struct guard_message message;
        int fd = -1;
        int wrong = sp__channel_receive(guard->socket, &message, &fd);
        if (wrong == EAGAIN || wrong == ENOMEM || wrong == ENOBUFS) {
            break;
        }
        if (wrong == 0 && message.op == GUARD_SPAWNED) {
            on_spawned(guard, &message, fd);
        } else if (wrong == 0 && message.op == GUARD_EXITED) {
            close_fd(&fd);
            on_exited(guard, &message);
        } else {
            close_fd(&fd);
            on_end(guard, wrong == 0 ? EPROTO : wrong);
        }
    }
    if (!guard->lost && guard->waiting.first != NULL && !guard->blocked) {
        flush(guard); /* answers may have opened the window */
    }
}
