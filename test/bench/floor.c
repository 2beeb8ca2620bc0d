/* SPDX-License-Identifier: MIT */
/*
 * What the machine itself allows, measured beside the product.
 *
 *     floor pingpong [--warm-ms N] [--measure-ms N]   64 bytes to a child and back over a
 *                                                     unix socket, epoll on both sides
 *     floor spawn --count N -- COMMAND ...            so many processes at once, until
 *                                                     the last has ended
 *
 * Prints one line of JSON for run.py.
 */
#include <errno.h>
#include <fcntl.h>
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
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
        give_up("floor: socketpair: %s", strerrordesc_np(errno));
    }
    pid_t child = fork();
    if (child < 0) {
        give_up("floor: fork: %s", strerrordesc_np(errno));
    }
    if (child == 0) {
        (void)close(fds[0]);
        echo(fds[1]);
        _exit(0);
    }
    (void)close(fds[1]);
    int epoll = watch(fds[0]);
    load_begin(&load, 1, warm_ms, measure_ms);
    uint64_t started_ns;
    uint64_t ended_ns = now_ns();
    do {
        started_ns = ended_ns;
        transmit(fds[0]);
        if (!receive(epoll, fds[0])) {
            give_up("floor: the child has gone");
        }
        ended_ns = now_ns();
    } while (load_ended(&load, started_ns, ended_ns, 1));
    (void)close(fds[0]);
    (void)waitpid(child, NULL, 0);
    load_print(&load, "pingpong", "");
}

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
    if (argc >= 2 && strcmp(argv[1], "pingpong") == 0) {
        pingpong(option_number(argc, argv, "warm-ms", 200),
                 option_number(argc, argv, "measure-ms", 1000));
        return 0;
    }
    for (int i = 2; i + 1 < argc; i++) {
        if (strcmp(argv[1], "spawn") == 0 && strcmp(argv[i], "--") == 0) {
            spawn(option_number(i, argv, "count", 1), argv + i + 1);
            return 0;
        }
    }
    give_up("usage: floor pingpong, or floor spawn --count N -- COMMAND ...");
}
