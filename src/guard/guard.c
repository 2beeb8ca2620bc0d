/* SPDX-License-Identifier: MIT */
/*
 * The host's side of the guard: requests out, reports in.
 *
 * The guard's process is process.c's. Its socket carries requests out and reports in. A
 * request that does not fit into the socket waits in a list; so does a spawn while
 * SPAWN_WINDOW others are unanswered, which bounds the descriptors that are on their way
 * (the kernel refuses to carry more than RLIMIT_NOFILE of them) while kills overtake
 * them.
 *
 * Several threads may ask, each under the lock; one hears what the guard says, and is
 * outside of it while it is told.
 *
 * When the guard dies, on_lost tells once and the descriptor stays readable until
 * sp__guard_close(); reading it again does nothing.
 */
#include "guard/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "guard/channel.h"
#include "guard/level.h"
#include "guard/process.h"
#include "guard/protocol.h"

enum { SPAWN_WINDOW = 32 }; /* spawns sent and not answered */

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
    struct guard_process process;
    uint32_t weak_told; /* GUARD_WEAK_ bits that on_weak has been called for */

    /* Written under the lock. */
    pthread_mutex_t lock;
    atomic_int lost;
    atomic_int blocked;  /* the socket was full when it was last tried */
    uint32_t unanswered; /* spawns sent and not answered */
    struct list waiting; /* struct pending, oldest first */
};

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
    };
    (void)pthread_mutex_init(&guard->lock, NULL);
    int rc = sp__guard_process_start(&guard->process, options, err);
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
    sp__guard_process_end(&guard->process);
    (void)pthread_mutex_destroy(&guard->lock);
    sp__free(guard);
}

int sp__guard_fd(const struct guard *guard)
{
    return guard->process.socket;
}

int sp__guard_pid(const struct guard *guard)
{
    return guard->process.pid;
}

int sp__guard_level(const struct guard *guard)
{
    return guard->process.level;
}

int sp__guard_wished(const struct guard *guard)
{
    return guard->process.wished;
}

int sp__guard_inner_pid(const struct guard *guard)
{
    return guard->process.inner_pid;
}

int sp__guard_describe_level(const struct guard *guard, char *text, size_t max)
{
    return sp__guard_level_describe(&guard->process, text, max);
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
    int wrong = sp__channel_send(guard->process.socket, &pending->message, pending->fds,
                                 pending->fds_count);
    if (wrong == EAGAIN || wrong == ENOBUFS || wrong == ENOMEM ||
        wrong == ETOOMANYREFS) {
        guard->blocked = 1;
        if (guard->events->on_blocked != NULL) {
            guard->events->on_blocked(guard->user);
        }
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
    (void)pthread_mutex_lock(&guard->lock);
    if (!guard->lost) {
        flush(guard);
    }
    (void)pthread_mutex_unlock(&guard->lock);
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

static int has_program(const struct guard_command *command)
{
    return command->argv != NULL && command->argv[0] != NULL &&
           command->argv[0][0] == '/';
}

static int spawn(struct guard *guard, uint64_t id, const struct guard_command *command,
                 sp_error *err)
{
    size_t fds_count = command->fds_count + (command->is_zygote != 0);
    if (id == 0 || fds_count > GUARD_FDS_MAX ||
        (command->zygote == 0 && !has_program(command))) {
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
    pending->message.limits = command->limits;
    pending->message.zygote = command->zygote;
    pending->message.is_zygote = command->is_zygote != 0;
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

int sp__guard_spawn(struct guard *guard, uint64_t id,
                    const struct guard_command *command, sp_error *err)
{
    (void)pthread_mutex_lock(&guard->lock);
    int rc = spawn(guard, id, command, err);
    (void)pthread_mutex_unlock(&guard->lock);
    return rc;
}

uint32_t sp__guard_unsent(struct guard *guard, uint64_t zygote)
{
    uint32_t count = 0;
    (void)pthread_mutex_lock(&guard->lock);
    for (const struct link *l = guard->waiting.first; l != NULL; l = l->next) {
        const struct pending *pending = ITEM(l, struct pending, link);
        count += is_spawn(pending) && pending->message.zygote == zygote;
    }
    (void)pthread_mutex_unlock(&guard->lock);
    return count;
}

static int send_kill(struct guard *guard, uint64_t id, int signal, int group,
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

int sp__guard_kill(struct guard *guard, uint64_t id, int signal, int group,
                   sp_error *err)
{
    (void)pthread_mutex_lock(&guard->lock);
    int rc = send_kill(guard, id, signal, group, err);
    (void)pthread_mutex_unlock(&guard->lock);
    return rc;
}

/* ---- reports ---- */

static const char *const stage_texts[] = {
    [GUARD_STAGE_NONE] = "the worker was not started",
    [GUARD_STAGE_CLONE] = "no process could be created",
    [GUARD_STAGE_SETUP] = "the process could not be prepared",
    [GUARD_STAGE_CHDIR] = "the working directory could not be entered",
    [GUARD_STAGE_EXEC] = "the program could not be executed",
    [GUARD_STAGE_REQUEST] = "the guard refused the request",
    [GUARD_STAGE_LIMITS] = "the process could not be given its limits",
    [GUARD_STAGE_FORK] = "the zygote made no worker",
};
enum { STAGES = sizeof stage_texts / sizeof stage_texts[0] };

static void on_spawned(struct guard *guard, const struct guard_message *message,
                       int pidfd)
{
    (void)pthread_mutex_lock(&guard->lock);
    if (guard->unanswered > 0) {
        guard->unanswered--;
    }
    (void)pthread_mutex_unlock(&guard->lock);
    uint32_t weak = message->weak & ~guard->weak_told;
    if (weak != 0 && guard->events->on_weak != NULL) {
        guard->weak_told |= weak;
        guard->events->on_weak(guard->user, weak);
    }
    if (message->os_errno == 0) {
        guard->events->on_spawned(guard->user, message->id, message->pid, pidfd, NULL);
        return;
    }
    sp__guard_close_fd(&pidfd);
    sp_error failure = {0};
    uint32_t stage = (uint32_t)message->stage;
    sp__guard_fail(&failure, message->os_errno,
                   stage_texts[stage < STAGES ? stage : 0]);
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
    (void)pthread_mutex_lock(&guard->lock);
    guard->lost = 1;
    drop_waiting(guard);
    (void)pthread_mutex_unlock(&guard->lock);
    sp_error err = {0};
    if (wrong == EPROTO) {
        /* Another build's guard. Closing the pipe ends it and its workers. */
        sp__fail(&err, SP_ERR_GUARD, "the guard sent what is no message of this build");
        sp__guard_close_fd(&guard->process.lifeline);
    } else {
        sp__guard_process_fail(&guard->process, "unexpectedly", &err);
        sp__guard_process_end_groups(&guard->process);
    }
    guard->events->on_lost(guard->user, &err);
    sp_error_clear(&err);
}

void sp__guard_on_readable(struct guard *guard)
{
    while (!guard->lost) {
        struct guard_message message;
        int fd = -1;
        int wrong = sp__channel_receive(guard->process.socket, &message, &fd);
        if (wrong == EAGAIN || wrong == ENOMEM || wrong == ENOBUFS) {
            break;
        }
        if (wrong == 0 && message.op == GUARD_SPAWNED) {
            on_spawned(guard, &message, fd);
        } else if (wrong == 0 && message.op == GUARD_EXITED) {
            sp__guard_close_fd(&fd);
            on_exited(guard, &message);
        } else {
            sp__guard_close_fd(&fd);
            on_end(guard, wrong == 0 ? EPROTO : wrong);
        }
    }
    (void)pthread_mutex_lock(&guard->lock);
    if (!guard->lost && guard->waiting.first != NULL && !guard->blocked) {
        flush(guard); /* answers may have opened the window */
    }
    (void)pthread_mutex_unlock(&guard->lock);
}
