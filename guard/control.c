/* SPDX-License-Identifier: MIT */
/*
 * The control socket: requests in, reports out.
 *
 * Neither direction ever blocks. A report that does not fit into the socket stays in
 * its worker's row (a refusal in the one place kept for it) and is sent when there is
 * room; until then no further request is read, so there is never more than one refusal
 * to keep. A message of the wrong size or kind can only come from another build or a
 * broken host: the guard then ends everything, as it would if the host had died.
 *
 * The descriptors of a request are closed here in every case: a worker has its own
 * copies of them by the time sp__spawn_begin() returns.
 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fork.h"
#include "request.h"
#include "spawn.h"
#include "table.h"

enum {
    FDS_IN = 1 + GUARD_FDS_MAX, /* the block, and the worker's */
    BURST = 64                  /* requests obeyed before deaths are looked at again */
};

struct received {
    struct guard_message message;
    int fds[FDS_IN];
    uint32_t fds_count;
    int truncated; /* not all descriptors could be taken */
};

static struct guard_message refusal;
static int refusal_due;

/* ---- out ---- */

static enum control send_one(const struct guard_message *message, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } space = {{0}};
    struct iovec part = {.iov_base = (void *)message, .iov_len = sizeof *message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        header.msg_control = space.bytes;
        header.msg_controllen = sizeof space.bytes;
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(cmsg), &fd, sizeof fd);
    }
    if (sendmsg(GUARD_FD_CONTROL, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
        return CONTROL_OK;
    }
    switch (errno) {
    case EAGAIN:
        return CONTROL_BLOCKED;
    case ENOBUFS:
    case ENOMEM:
    case ETOOMANYREFS:
    case EINTR:
        return CONTROL_STARVED;
    default:
        return CONTROL_END;
    }
}

enum control sp__control_greet(int level, pid_t pid, int fd,
                               const struct shortfall *why)
{
    struct guard_message ready = {
        .op = GUARD_READY, .id = sp__cgroup_begun(), .pid = pid, .level = level};
    if (why != NULL) {
        ready.stage = why->stage;
        ready.os_errno = why->os_errno;
    }
    return send_one(&ready, fd);
}

static enum control flush_worker(struct worker *worker)
{
    if (worker->reply_due) {
        struct guard_message reply = {
            .op = GUARD_SPAWNED,
            .id = worker->id,
            .pid = worker->number,
            .os_errno = worker->os_errno,
            .stage = worker->stage,
            .weak = worker->weak,
        };
        enum control sent = send_one(&reply, worker->pidfd);
        if (sent != CONTROL_OK) {
            return sent;
        }
        worker->reply_due = 0;
        sp__close(&worker->pidfd);
    }
    if (worker->exit_due) {
        enum control sent = send_one(&worker->exit, -1);
        if (sent != CONTROL_OK) {
            return sent;
        }
        worker->exit_due = 0;
    }
    if (worker->state == WORKER_ENDED) {
        sp__table_release(worker);
    }
    return CONTROL_OK;
}

enum control sp__control_flush(void)
{
    if (refusal_due) {
        enum control sent = send_one(&refusal, -1);
        if (sent != CONTROL_OK) {
            return sent;
        }
        refusal_due = 0;
    }
    for (size_t i = 0; i < sp__table_end(); i++) {
        struct worker *worker = sp__table_at(i);
        if (worker->reply_due || worker->exit_due) {
            enum control sent = flush_worker(worker);
            if (sent != CONTROL_OK) {
                return sent;
            }
        }
    }
    return CONTROL_OK;
}

/* ---- in ---- */

static void collect_fds(struct received *in, struct msghdr *header)
{
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg != NULL;
         cmsg = CMSG_NXTHDR(header, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && in->fds_count < FDS_IN; i++) {
            memcpy(&in->fds[in->fds_count++], CMSG_DATA(cmsg) + i * sizeof(int),
                   sizeof(int));
        }
    }
}

/* One message. CONTROL_BLOCKED: there is none. */
static enum control receive_one(struct received *in)
{
    /* Room for exactly the descriptors allowed: the kernel closes what exceeds it. */
    union {
        char bytes[CMSG_SPACE(sizeof(int) * FDS_IN)];
        struct cmsghdr align;
    } space;
    struct iovec part = {.iov_base = &in->message, .iov_len = sizeof in->message};
    struct msghdr header = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = space.bytes,
        .msg_controllen = sizeof space.bytes,
    };
    in->fds_count = 0;
    ssize_t n = recvmsg(GUARD_FD_CONTROL, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? CONTROL_BLOCKED : CONTROL_END;
    }
    collect_fds(in, &header);
    in->truncated = (header.msg_flags & MSG_CTRUNC) != 0;
    if (n != (ssize_t)sizeof in->message || (header.msg_flags & MSG_TRUNC) != 0) {
        return CONTROL_END; /* 0: the host closed its end */
    }
    return CONTROL_OK;
}

/* Map the block, whose size and contents nobody can change any more. 0 or errno. */
static int map_block(int fd, uint32_t size, const char **ret_block)
{
    const int needed = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat file;
    if (seals < 0 || (seals & needed) != needed || fstat(fd, &file) != 0 ||
        file.st_size != (off_t)size || size == 0 || size > GUARD_BLOCK_MAX) {
        return EINVAL;
    }
    void *block = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (block == MAP_FAILED) {
        return errno;
    }
    *ret_block = block;
    return 0;
}

static int start(const struct received *in, const struct spawn_request *request,
                 int *ret_stage)
{
    int fds[GUARD_FDS_MAX];
    uint32_t count = in->message.fds;
    struct worker *worker = sp__table_take(in->message.id);
    if (worker == NULL) {
        return errno;
    }
    memcpy(fds, in->fds + 1, count * sizeof fds[0]);
    int asked_fd = -1; /* a zygote's end */
    int wrong = 0;
    if (in->message.is_zygote) {
        *ret_stage = GUARD_STAGE_FORK;
        wrong = sp__fork_open(worker, count, &asked_fd);
        if (wrong == 0) {
            fds[count++] = asked_fd; /* there is room: sp__fork_open() has looked */
        }
    }
    if (wrong == 0) {
        *ret_stage = GUARD_STAGE_CLONE;
        wrong = sp__spawn_begin(worker, request, fds, count);
    }
    sp__close(&asked_fd);
    if (wrong != 0) {
        sp__table_release(worker);
    }
    return wrong;
}

/* A worker that a zygote forks. */
static int ask(const struct received *in, int *ret_stage)
{
    *ret_stage = GUARD_STAGE_FORK;
    struct worker *zygote = sp__table_by_id(in->message.zygote);
    if (zygote == NULL || zygote->zygote_fd < 0) {
        return ESRCH;
    }
    struct worker *worker = sp__table_take(in->message.id);
    if (worker == NULL) {
        return errno;
    }
    int wrong = sp__fork_ask(worker, zygote, &in->message, in->fds);
    if (wrong != 0) {
        sp__table_release(worker);
    }
    return wrong;
}

/* 0: a worker's row will answer. Else the errno to refuse with. */
static int spawn(const struct received *in, int *ret_stage)
{
    static struct spawn_request request; /* too large for the stack, and used once */
    const struct guard_message *message = &in->message;
    *ret_stage = GUARD_STAGE_REQUEST;
    if (in->truncated) {
        return EMFILE;
    }
    if (message->fds > GUARD_FDS_MAX || in->fds_count != 1 + message->fds) {
        return EINVAL;
    }
    if (message->zygote != 0) {
        return ask(in, ret_stage);
    }
    const char *block = NULL;
    int wrong = map_block(in->fds[0], message->block_bytes, &block);
    if (wrong != 0) {
        return wrong;
    }
    wrong = sp__request_parse(message, block, message->block_bytes, &request);
    if (wrong == 0) {
        wrong = start(in, &request, ret_stage);
    }
    (void)munmap((void *)block, message->block_bytes);
    return wrong;
}

/* The row exists only while the process is unreaped, so the number is the worker's. One
 * that has ended is not found: the host will have read so by now. */
static void kill_worker(const struct guard_message *message)
{
    struct worker *worker = sp__table_by_id(message->id);
    if (worker == NULL || worker->state == WORKER_ENDED) {
        return;
    }
    if (worker->state == WORKER_ASKED) {
        sp__fork_kill(worker, message->signal);
        return;
    }
    if (!message->group || kill(-worker->pid, message->signal) != 0) {
        (void)kill(worker->pid, message->signal); /* or it has no group yet */
    }
}

static enum control obey(const struct received *in)
{
    switch (in->message.op) {
    case GUARD_SPAWN: {
        int stage;
        int wrong = spawn(in, &stage);
        if (wrong != 0) {
            refusal = (struct guard_message){.op = GUARD_SPAWNED,
                                             .id = in->message.id,
                                             .os_errno = wrong,
                                             .stage = stage};
            refusal_due = 1;
        }
        return CONTROL_OK;
    }
    case GUARD_KILL:
        kill_worker(&in->message);
        return CONTROL_OK;
    default: /* GUARD_STOP, and what no host of this build says */
        return CONTROL_END;
    }
}

enum control sp__control_receive(void)
{
    static struct received in;
    for (int i = 0; i < BURST; i++) {
        enum control got = receive_one(&in);
        if (got == CONTROL_OK) {
            got = obey(&in);
        }
        for (uint32_t f = 0; f < in.fds_count; f++) {
            (void)close(in.fds[f]);
        }
        if (got == CONTROL_OK && refusal_due) {
            got = sp__control_flush();
        }
        if (got != CONTROL_OK) {
            return got == CONTROL_END ? CONTROL_END : CONTROL_OK;
        }
    }
    return CONTROL_OK;
}
