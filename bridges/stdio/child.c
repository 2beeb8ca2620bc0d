/* SPDX-License-Identifier: MIT */
/*
 * The program behind the pipe.
 *
 * It is a child in our process group, so whatever ends a worker ends it too. A pipe holds
 * 64 KiB: what the program does not read at once is kept, and written while we wait for
 * its output, so that neither waits for the other. When it ends by itself, so do we, in
 * the same way: the host sees the exit status or signal of the program, not that of its
 * wrapper. Its end is seen by its pidfd: a process that it has left behind may keep its
 * output open.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

extern char **environ;

enum { READ_BYTES = 64 * 1024, KEEP_BYTES = 256 * 1024, LEAVE_MS = 2000 };

static int spawn(struct child *child, char *const *argv, const int to[2],
                 const int from[2])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t usual;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) {
        return rc;
    }
    rc = posix_spawnattr_init(&attributes);
    if (rc == 0) {
        (void)sigemptyset(&none);
        (void)sigemptyset(&usual);
        (void)sigaddset(&usual, SIGPIPE);
        (void)sigaddset(&usual, SIGTERM);
        rc = posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
        rc = rc == 0
                 ? posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO)
                 : rc;
        rc = rc == 0 ? posix_spawnattr_setsigmask(&attributes, &none) : rc;
        rc = rc == 0 ? posix_spawnattr_setsigdefault(&attributes, &usual) : rc;
        rc = rc == 0 ? posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK |
                                                                 POSIX_SPAWN_SETSIGDEF)
                     : rc;
        rc = rc == 0 ? posix_spawnp(&child->pid, argv[0], &actions, &attributes, argv,
                                    environ)
                     : rc;
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return rc;
}

int child_start(struct child *child, char *const *argv, sp_error *err)
{
    int to[2];
    int from[2];
    *child = (struct child){.to = -1, .from = -1, .process = -1};
    sp__buf_init(&child->in, LINE_MAX_BYTES);
    sp__buf_init(&child->out, SIZE_MAX / 2);
    if (pipe2(to, O_CLOEXEC) < 0) {
        return sp__fail_errno(err, errno, "make a pipe");
    }
    if (pipe2(from, O_CLOEXEC) < 0) {
        int rc = sp__fail_errno(err, errno, "make a pipe");
        (void)close(to[0]);
        (void)close(to[1]);
        return rc;
    }
    int rc = spawn(child, argv, to, from);
    (void)close(to[0]);
    (void)close(from[1]);
    child->to = to[1];
    child->from = from[0];
    if (rc != 0) {
        (void)close(to[1]);
        (void)close(from[0]);
        return sp__fail_errno(err, rc, "start %s", argv[0]);
    }
    child->process = (int)syscall(SYS_pidfd_open, child->pid, 0);
    if (fcntl(child->to, F_SETFL, O_NONBLOCK) < 0) {
        return sp__fail_errno(err, errno, "set a pipe up");
    }
    return SP_OK;
}

/* Read what is there. */
static int fill(struct child *child, sp_error *err)
{
    if (child->in_at > child->in.size / 2) {
        sp__buf_drop(&child->in, child->in_at);
        sp__buf_shrink(&child->in, KEEP_BYTES);
        child->in_at = 0;
    }
    int rc = sp__buf_reserve(&child->in, READ_BYTES, err);
    if (rc < 0) {
        return rc == SP_ERR_TOO_BIG ? sp__fail(err, rc, "a line of more than %d MiB",
                                               LINE_MAX_BYTES >> 20)
                                    : rc;
    }
    ssize_t n = read(child->from, child->in.data + child->in.size, READ_BYTES);
    if (n > 0) {
        child->in.size += (size_t)n;
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        child->ended = 1;
    }
    return SP_OK;
}

static int write_some(struct child *child, sp_error *err)
{
    while (child->out_at < child->out.size) {
        ssize_t n = write(child->to, child->out.data + child->out_at,
                          child->out.size - child->out_at);
        if (n > 0) {
            child->out_at += (size_t)n;
        } else if (errno == EAGAIN) {
            return SP_OK;
        } else if (errno != EINTR) {
            return sp__fail(err, SP_ERR_CLOSED, "the program reads no more requests");
        }
    }
    child->out.size = child->out_at = 0;
    sp__buf_shrink(&child->out, KEEP_BYTES);
    return SP_OK;
}

int child_send(struct child *child, sp_bytes bytes, sp_error *err)
{
    if (child->out_at > child->out.size / 2) {
        sp__buf_drop(&child->out, child->out_at);
        child->out_at = 0;
    }
    int rc = sp__buf_append(&child->out, bytes.data, bytes.size, err);
    return rc < 0 ? rc : write_some(child, err);
}

/* The next line of what has been read, from its first byte on. 1 when there is one. */
static int next_line(struct child *child, size_t *seen, sp_bytes *ret_line)
{
    const uint8_t *data = child->in.data + child->in_at;
    size_t size = child->in.size - child->in_at;
    const uint8_t *end = size > *seen ? memchr(data + *seen, '\n', size - *seen) : NULL;
    *seen = size;
    if (end == NULL && (!child->ended || size == 0)) {
        return 0;
    }
    *ret_line = (sp_bytes){data, end != NULL ? (size_t)(end - data) : size};
    child->in_at += ret_line->size + (end != NULL);
    return 1;
}

int child_line(struct child *child, int wake_fd, sp_bytes *ret_line, sp_error *err)
{
    size_t seen = 0;
    while (!next_line(child, &seen, ret_line)) {
        if (child->ended) {
            return sp__fail(err, SP_ERR_CLOSED, "the program has ended");
        }
        struct pollfd polled[] = {
            {.fd = child->from, .events = POLLIN},
            {.fd = wake_fd, .events = POLLIN},
            {.fd = child->out.size > 0 ? child->to : -1, .events = POLLOUT},
            {.fd = child->process, .events = POLLIN}};
        if (poll(polled, 4, -1) < 0 && errno != EINTR) {
            return sp__fail_errno(err, errno, "wait for a pipe");
        }
        int rc = polled[0].revents != 0 ? fill(child, err) : SP_OK;
        if (rc == SP_OK && polled[2].revents != 0) {
            rc = write_some(child, err);
        }
        if (rc < 0) {
            return rc;
        }
        if (polled[0].revents == 0 && polled[3].revents != 0) {
            child->ended = 1; /* and all that it wrote has been read */
        } else if (polled[0].revents == 0 && polled[1].revents != 0) {
            return 0;
        }
    }
    return 1;
}

/* Wait for its end for a moment, then end it. */
static void await_end(const struct child *child)
{
    struct pollfd polled = {.fd = child->process, .events = POLLIN};
    (void)close(child->to);
    (void)close(child->from);
    if (child->process < 0 || poll(&polled, 1, LEAVE_MS) <= 0) {
        (void)kill(child->pid, SIGKILL);
    }
    if (child->process >= 0) {
        (void)close(child->process);
    }
}

void child_follow(struct child *child)
{
    int status = 0;
    await_end(child);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) {
        sigset_t set;
        (void)signal(WTERMSIG(status), SIG_DFL);
        (void)sigemptyset(&set);
        (void)sigaddset(&set, WTERMSIG(status));
        (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
        (void)raise(WTERMSIG(status));
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

void child_close(struct child *child)
{
    if (child->pid > 0) {
        await_end(child);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    sp__buf_fini(&child->out);
    sp__buf_fini(&child->in);
}
