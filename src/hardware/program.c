/* SPDX-License-Identifier: MIT */
/*
 * Running a vendor's tool: with a time limit, without a shell, and heard to the end.
 *
 * The tool is a child of this process for as long as it runs, started with posix_spawn()
 * and waited for by its number, so a program's own children are left alone. What it says
 * comes through a pipe; when the time is over, or it says too much, it is killed. A driver
 * that hangs in the kernel keeps its tool from dying; it is left to whoever reaps it then.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "hardware/hardware.h"

extern char **environ;

enum { PATH_BYTES = 512, REAP_MS = 1000 };

/* The first of that name that may be run. */
static int find(const char *path, const char *name, char full[PATH_BYTES])
{
    for (const char *at = path; at != NULL && *at != '\0';) {
        size_t size = strcspn(at, ":");
        int n = snprintf(full, PATH_BYTES, "%.*s/%s", (int)size, at, name);
        if (n > 0 && n < PATH_BYTES && access(full, X_OK) == 0) {
            return 0;
        }
        at = at[size] == ':' ? at + size + 1 : NULL;
    }
    return -1;
}

static int spawn(const char *full, const char *const *argv, int out, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return -1;
    }
    int wrong =
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) |
        posix_spawn_file_actions_adddup2(&actions, out, 1) |
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (wrong == 0) {
        wrong = posix_spawn(ret_pid, full, &actions, NULL,
                            (char *const *)(uintptr_t)argv, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return wrong == 0 ? 0 : -1;
}

/* 0 at its end; -1: the time is over, or there is no room. */
static int read_all(int fd, uint64_t until_ms, char *text, size_t max)
{
    size_t size = 0;
    for (;;) {
        uint64_t now_ms = sp__now_ms();
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        text[size] = '\0';
        if (now_ms >= until_ms || size == max - 1) {
            return -1;
        }
        if (poll(&poll_fd, 1, (int)(until_ms - now_ms)) < 0 && errno != EINTR) {
            return -1;
        }
        ssize_t n = poll_fd.revents != 0 ? read(fd, text + size, max - 1 - size) : -1;
        if (n == 0) {
            return 0;
        }
        size += n > 0 ? (size_t)n : 0;
    }
}

/* Its exit status; -1: it was killed, or somebody else has reaped it; -2: not yet. */
static int reap(pid_t pid, uint64_t until_ms)
{
    int status;
    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }
        if (got < 0 && errno != EINTR) {
            return -1;
        }
        if (sp__now_ms() >= until_ms) {
            return -2;
        }
        (void)poll(NULL, 0, 1);
    }
}

static void end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)reap(pid, sp__now_ms() + REAP_MS);
}

int sp__hardware_run(const struct search *search, const char *const *argv, char *text,
                     size_t max, struct hardware *hardware)
{
    char full[PATH_BYTES];
    int ends[2];
    pid_t pid;
    text[0] = '\0';
    if (find(search->path, argv[0], full) < 0) {
        return 1;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        sp__hardware_note(hardware, "%s: a pipe: %s", full, strerror(errno));
        return -1;
    }
    int rc = spawn(full, argv, ends[1], &pid);
    (void)close(ends[1]);
    if (rc < 0) {
        (void)close(ends[0]);
        sp__hardware_note(hardware, "%s could not be run", full);
        return -1;
    }
    uint64_t until_ms = sp__now_ms() + search->timeout_ms;
    rc = read_all(ends[0], until_ms, text, max);
    (void)close(ends[0]);
    if (rc < 0) {
        end(pid);
        sp__hardware_note(hardware, "%s did not end within %llu ms, or said too much",
                          full, (unsigned long long)search->timeout_ms);
        return -1;
    }
    int status = reap(pid, sp__now_ms() + REAP_MS);
    if (status == -2) {
        end(pid); /* it has said all it had to say */
    }
    if (status > 0) {
        sp__hardware_note(hardware, "%s ended with %d: %.*s", full, status,
                          (int)strcspn(text, "\r\n"), text);
        return -1;
    }
    return 0;
}
