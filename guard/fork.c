/* SPDX-License-Identifier: MIT */
/*
 * Workers that are forked by a zygote instead of being executed.
 *
 * The guard prepares what it prepares for every worker, sends it to the zygote (see
 * wire/zygote.h) and waits for the word of the newborn on its status pipe, among its
 * other descriptors. By then the newborn is the guard's child, because the guard is a
 * subreaper, and the guard believes the number only when it is: a zygote runs foreign
 * code and may say anything. From there on nothing distinguishes the worker from one that
 * was executed: it is reaped, killed and told of alike.
 *
 * How it fails: a zygote that dies or does not understand closes the pipe, and the start
 * has failed. One that hangs keeps its requests; SIGKILL for a worker that is not born
 * gives it up, and whoever is born after that finds nobody to hear it and ends.
 */
#include "fork.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nest.h"
#include "reap.h"
#include "spawn.h"
#include "wire/zygote.h"

int sp__fork_open(struct worker *worker, uint32_t fds, int *ret_fd)
{
    int pair[2];
    if (!sp__reap_adopts()) {
        return EOPNOTSUPP; /* its workers would become the init's children */
    }
    if (fds >= GUARD_FDS_MAX) {
        return EINVAL;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return errno;
    }
    worker->zygote_fd = pair[0];
    *ret_fd = pair[1];
    return 0;
}

static int send_request(int socket, const struct zygote_request *request,
                        const int *fds, size_t count)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * ZYGOTE_FDS_MAX)];
        struct cmsghdr align;
    } space = {{0}};
    struct iovec part = {.iov_base = (void *)request, .iov_len = sizeof *request};
    struct msghdr header = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = space.bytes,
        .msg_controllen = CMSG_SPACE(count * sizeof *fds),
    };
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(count * sizeof *fds);
    memcpy(CMSG_DATA(cmsg), fds, count * sizeof *fds);
    if (sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
        return 0;
    }
    return errno == EPIPE || errno == ECONNRESET ? ESRCH : errno; /* it is dying */
}

_Static_assert(ZYGOTE_FDS_MAX == 3 + CGROUP_KINDS + GUARD_FDS_MAX,
               "status, block, lifeline, groups and the worker's own");

int sp__fork_ask(struct worker *worker, const struct worker *zygote,
                 const struct guard_message *message, const int *fds)
{
    int procs[CGROUP_KINDS];
    int status_fd = -1;
    int wrong = sp__spawn_prepare(worker, &message->limits, procs, &status_fd);
    if (wrong != 0) {
        return wrong;
    }
    struct zygote_request request = {
        .fds = message->fds,
        .has_lifeline = worker->lifeline_fd >= 0,
        .guard = sp__spawn_parent(),
        .block_bytes = message->block_bytes,
        .envc = message->envc,
        .setup_stage = GUARD_STAGE_SETUP,
        .limits_stage = GUARD_STAGE_LIMITS,
        .fork_stage = GUARD_STAGE_CLONE,
    };
    int sent[ZYGOTE_FDS_MAX] = {status_fd, fds[0]};
    size_t count = 2;
    if (request.has_lifeline) {
        sent[count++] = worker->lifeline_fd;
    }
    for (int kind = 0; kind < CGROUP_KINDS; kind++) {
        if (procs[kind] >= 0) {
            sent[count++] = procs[kind];
            request.groups++;
        }
    }
    for (uint32_t i = 0; i < message->fds; i++) {
        sent[count++] = fds[1 + i];
    }
    wrong = send_request(zygote->zygote_fd, &request, sent, count);
    (void)close(status_fd);
    for (int kind = 0; kind < CGROUP_KINDS; kind++) {
        sp__close(&procs[kind]);
    }
    if (wrong != 0) {
        sp__cgroup_remove(&worker->cgroup);
    }
    worker->state = WORKER_ASKED;
    return wrong;
}

/* There will be no process. */
static void give_up(struct worker *worker, int stage, int os_errno)
{
    sp__cgroup_kill(&worker->cgroup); /* it may be half born */
    sp__cgroup_remove(&worker->cgroup);
    sp__close(&worker->status_fd);
    sp__close(&worker->lifeline_fd);
    worker->stage = stage;
    worker->os_errno = os_errno;
    worker->state = WORKER_ENDED;
    worker->reply_due = 1;
}

/* Whether it is a child of the guard that is no worker yet. */
static int is_nobodys(pid_t pid)
{
    siginfo_t info;
    return pid > 0 && sp__table_by_pid(pid) == NULL &&
           waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void greet(struct worker *worker, pid_t pid)
{
    worker->pid = pid;
    worker->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    worker->number = sp__nest_number(pid, worker->pidfd);
    worker->state = WORKER_SPAWNING;
    if (worker->kill_due != 0) {
        (void)kill(pid, worker->kill_due);
    }
}

void sp__fork_hear(struct worker *worker)
{
    struct zygote_word word;
    ssize_t n = read(worker->status_fd, &word, sizeof word);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n != (ssize_t)sizeof word) {
        give_up(worker, GUARD_STAGE_FORK, ECHILD);
    } else if (word.stage != ZYGOTE_BORN) {
        give_up(worker, word.stage, word.value != 0 ? word.value : ECHILD);
    } else if (!is_nobodys(word.value)) {
        give_up(worker, GUARD_STAGE_FORK, ESRCH);
    } else {
        greet(worker, word.value);
    }
}

void sp__fork_hear_all(void)
{
    for (size_t i = 0; i < sp__table_end(); i++) {
        if (sp__table_at(i)->state == WORKER_ASKED) {
            sp__fork_hear(sp__table_at(i));
        }
    }
}

void sp__fork_kill(struct worker *worker, int signal)
{
    worker->kill_due = signal;
    sp__fork_hear(worker); /* the latest news first: it may have been born */
    if (worker->state == WORKER_ASKED && signal == SIGKILL) {
        give_up(worker, GUARD_STAGE_FORK, ECANCELED);
    }
}
