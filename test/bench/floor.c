/* SPDX-License-Identifier: MIT */
/*
 * What the machine itself allows, measured beside the product.
 *
 *     floor pingpong [--warm-ms N] [--measure-ms N]   64 bytes to a child and back over a
 *                                                     unix socket, epoll on both sides
 *     floor copy --bytes N [--times T]                memcpy of a block that is in use
 *     floor carry --bytes N [--times T]               so many bytes to a child over a unix
 *                                                     socket, and one byte back
 *     floor spawn --count N -- COMMAND ...            so many processes at once, until
 *                                                     the last has ended
 *
 * Prints one line of JSON for run.py.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

enum { MESSAGE_BYTES = 64 };

extern char **environ;

/* ---- there and back ---- */

static int watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        give_up("floor: epoll: %s", strerrordesc_np(errno));
    }
    return epoll;
}

/* 0 at end of file. */
static int receive(int epoll, int fd)
{
    char message[MESSAGE_BYTES];
    size_t size = 0;
    while (size < sizeof message) {
        struct epoll_event event;
        (void)epoll_wait(epoll, &event, 1, -1);
        ssize_t n = recv(fd, message + size, sizeof message - size, 0);
        if (n == 0) {
            return 0;
        }
        if (n > 0) {
            size += (size_t)n;
        } else if (errno != EAGAIN && errno != EINTR) {
            give_up("floor: recv: %s", strerrordesc_np(errno));
        }
    }
    return 1;
}

static void transmit(int fd)
{
    static const char message[MESSAGE_BYTES];
    if (send(fd, message, sizeof message, MSG_NOSIGNAL) != MESSAGE_BYTES) {
        give_up("floor: send: %s", strerrordesc_np(errno));
    }
}

static void echo(int fd)
{
    int epoll = watch(fd);
    while (receive(epoll, fd)) {
        transmit(fd);
    }
}

static void pingpong(long warm_ms, long measure_ms)
{
    static struct load load;
    int fd;
    pid_t child = fork_with_socket(SOCK_NONBLOCK, &fd);
    if (child == 0) {
        echo(fd);
        _exit(0);
    }
    int epoll = watch(fd);
    load_begin(&load, 1, warm_ms, measure_ms);
    uint64_t started_ns;
    uint64_t ended_ns = now_ns();
    do {
        started_ns = ended_ns;
        transmit(fd);
        if (!receive(epoll, fd)) {
            give_up("floor: the child has gone");
        }
        ended_ns = now_ns();
    } while (load_ended(&load, started_ns, ended_ns, 1));
    (void)close(fd);
    (void)waitpid(child, NULL, 0);
    load_print(&load, "pingpong", "");
}

/* ---- large blocks ---- */

enum { TIMES_MAX = 10000 };

static int compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *what, long bytes, uint64_t *ns, long times)
{
    qsort(ns, (size_t)times, sizeof *ns, compare_times);
    printf("{\"what\":\"%s\",\"bytes\":%ld,\"us\":%.3f,\"median_us\":%.3f}\n", what,
           bytes, (double)ns[0] / 1000, (double)ns[times / 2] / 1000);
}

static void copy(long bytes, uint64_t *ns, long times)
{
    char *from = calloc(1, (size_t)bytes);
    char *to = calloc(1, (size_t)bytes);
    if (from == NULL || to == NULL) {
        give_up("floor: no memory for %ld bytes", bytes);
    }
    memset(from, 1, (size_t)bytes);
    memset(to, 2, (size_t)bytes);
    for (long i = 0; i < times; i++) {
        uint64_t began_ns = now_ns();
        memcpy(to, from, (size_t)bytes);
        ns[i] = now_ns() - began_ns;
        from[0] = to[bytes - 1]; /* the copy is needed */
    }
    print_times("copy", bytes, ns, times);
    free(from);
    free(to);
}

static void take_bytes(int fd, char *block, long bytes)
{
    for (;;) {
        long taken = 0;
        while (taken < bytes) {
            ssize_t n = recv(fd, block + taken, (size_t)(bytes - taken), 0);
            if (n <= 0) {
                return;
            }
            taken += n;
        }
        if (send(fd, "", 1, MSG_NOSIGNAL) != 1) {
            return;
        }
    }
}

static void carry(long bytes, uint64_t *ns, long times)
{
    int fd;
    char answer;
    char *block = calloc(1, (size_t)bytes);
    if (block == NULL) {
        give_up("floor: no memory for %ld bytes", bytes);
    }
    memset(block, 1, (size_t)bytes);
    pid_t child = fork_with_socket(0, &fd);
    if (child == 0) {
        take_bytes(fd, block, bytes);
        _exit(0);
    }
    for (long i = 0; i < times; i++) {
        uint64_t began_ns = now_ns();
        for (long sent = 0; sent < bytes;) {
            ssize_t n = send(fd, block + sent, (size_t)(bytes - sent), MSG_NOSIGNAL);
            if (n < 0) {
                give_up("floor: send: %s", strerrordesc_np(errno));
            }
            sent += n;
        }
        if (recv(fd, &answer, 1, 0) != 1) {
            give_up("floor: the child has gone");
        }
        ns[i] = now_ns() - began_ns;
    }
    (void)close(fd);
    (void)waitpid(child, NULL, 0);
    print_times("carry", bytes, ns, times);
    free(block);
}

/* ---- starting processes ---- */

static void spawn(long count, char **command)
{
    pid_t *children = calloc((size_t)count, sizeof *children);
    if (children == NULL) {
        give_up("floor: no memory for %ld processes", count);
    }
    uint64_t began_ns = now_ns();
    for (long i = 0; i < count; i++) {
        int rc = posix_spawnp(&children[i], command[0], NULL, NULL, command, environ);
        if (rc != 0) {
            give_up("floor: %s: %s", command[0], strerrordesc_np(rc));
        }
    }
    for (long i = 0; i < count; i++) {
        int status;
        if (waitpid(children[i], &status, 0) < 0 || status != 0) {
            give_up("floor: %s ended with status %d", command[0], status);
        }
    }
    printf("{\"what\":\"spawn\",\"count\":%ld,\"ms\":%.2f}\n", count,
           (double)(now_ns() - began_ns) / 1e6);
    free(children);
}

int main(int argc, char **argv)
{
    static uint64_t ns[TIMES_MAX];
    const char *what = argc > 1 ? argv[1] : "";
    long bytes = option_number(argc, argv, "bytes", 1000);
    long times = option_number(argc, argv, "times", 100);
    if (times < 1 || times > TIMES_MAX || bytes < 1) {
        give_up("floor: bytes or times out of range");
    }
    if (strcmp(what, "pingpong") == 0) {
        pingpong(option_number(argc, argv, "warm-ms", 200),
                 option_number(argc, argv, "measure-ms", 1000));
        return 0;
    }
    if (strcmp(what, "copy") == 0) {
        copy(bytes, ns, times);
        return 0;
    }
    if (strcmp(what, "carry") == 0) {
        carry(bytes, ns, times);
        return 0;
    }
    for (int i = 2; i + 1 < argc; i++) {
        if (strcmp(what, "spawn") == 0 && strcmp(argv[i], "--") == 0) {
            spawn(option_number(i, argv, "count", 1), argv + i + 1);
            return 0;
        }
    }
    give_up(
        "usage: floor pingpong|copy|carry, or floor spawn --count N -- COMMAND ...");
}
