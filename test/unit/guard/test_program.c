/* SPDX-License-Identifier: MIT */
/*
 * The guard program alone, spoken to over the raw protocol: what a correct client never
 * sends, and a host that does not listen.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guard/channel.h"
#include "guard/protocol.h"

enum { DEADLINE_MS = 20000 };

static struct {
    pid_t pid;
    int socket;
    int lifeline;
} guard;

static const char *guard_path;

/* Start a guard whose messages find room for `buffer` bytes only, 0: as usual. */
static void start_guard(int buffer)
{
    int control[2];
    int lifeline[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
    assert_int_equal(pipe2(lifeline, O_CLOEXEC), 0);
    if (buffer > 0) {
        assert_int_equal(
            setsockopt(control[1], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer), 0);
    }
    char host[16];
    (void)snprintf(host, sizeof host, "%d", (int)getpid());
    guard.pid = fork();
    if (guard.pid == 0) {
        int far_control = fcntl(control[1], F_DUPFD_CLOEXEC, 20);
        int far_lifeline = fcntl(lifeline[0], F_DUPFD_CLOEXEC, 20);
        (void)dup2(far_control, GUARD_FD_CONTROL);
        (void)dup2(far_lifeline, GUARD_FD_LIFELINE);
        (void)execl(guard_path, "snakepit-guard", host, "2", (char *)NULL);
        _exit(99);
    }
    (void)close(control[1]);
    (void)close(lifeline[0]);
    guard.socket = control[0];
    guard.lifeline = lifeline[1];
}

/* The next message; asserts that one comes. */
static struct guard_message next_message(void)
{
    struct pollfd readable = {.fd = guard.socket, .events = POLLIN};
    assert_int_equal(poll(&readable, 1, DEADLINE_MS), 1);
    struct guard_message message;
    int fd = -1;
    assert_int_equal(sp__channel_receive(guard.socket, &message, &fd), 0);
    if (fd >= 0) {
        (void)close(fd);
    }
    return message;
}

static int open_guard(void **state)
{
    (void)state;
    start_guard(0);
    assert_int_equal(next_message().op, GUARD_READY);
    return 0;
}

/* The guard ends by itself, with status 0, and leaves no child behind. */
static int await_end(void **state)
{
    (void)state;
    int status = -1;
    if (waitpid(guard.pid, &status, 0) != guard.pid || status != 0) {
        print_error("the guard's status: %x\n", (unsigned)status);
        return -1;
    }
    (void)close(guard.socket);
    (void)close(guard.lifeline);
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

static int stop_guard(void **state)
{
    struct guard_message stop = {.op = GUARD_STOP};
    (void)sp__channel_send(guard.socket, &stop, NULL, 0);
    return await_end(state);
}

/* A block in a memfd, sealed or not. */
static int make_block(const char *text, size_t size, int sealed)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(fd, text, size), size);
    if (sealed) {
        assert_int_equal(
            fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
    }
    return fd;
}

static struct guard_message request_for(uint64_t id, size_t size)
{
    return (struct guard_message){
        .op = GUARD_SPAWN, .id = id, .argc = 1, .block_bytes = (uint32_t)size};
}

static void assert_refused(const struct guard_message *request, const int *fds,
                           size_t count, int os_errno)
{
    assert_int_equal(sp__channel_send(guard.socket, request, fds, count), 0);
    struct guard_message reply = next_message();
    assert_int_equal(reply.op, GUARD_SPAWNED);
    assert_int_equal(reply.id, request->id);
    assert_int_equal(reply.stage, GUARD_STAGE_REQUEST);
    assert_int_equal(reply.os_errno, os_errno);
}

static const char true_block[] = "/bin/true\0";

static void block_that_can_still_change_is_refused(void **state)
{
    (void)state;
    struct guard_message request = request_for(1, sizeof true_block);
    int loose = make_block(true_block, sizeof true_block, 0);
    assert_refused(&request, &loose, 1, EINVAL);
    (void)close(loose);
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_refused(&request, &file, 1, EINVAL);
    (void)close(file);
}

static void block_of_another_size_is_refused(void **state)
{
    (void)state;
    int block = make_block(true_block, sizeof true_block, 1);
    struct guard_message request = request_for(1, sizeof true_block + 1);
    assert_refused(&request, &block, 1, EINVAL);
    request.block_bytes = 0;
    assert_refused(&request, &block, 1, EINVAL);
    request.block_bytes = UINT32_MAX;
    assert_refused(&request, &block, 1, EINVAL);
    (void)close(block);
}

static void request_with_wrong_descriptors_is_refused(void **state)
{
    (void)state;
    int block = make_block(true_block, sizeof true_block, 1);
    int fds[1 + GUARD_FDS_MAX];
    for (size_t i = 0; i < 1 + GUARD_FDS_MAX; i++) {
        fds[i] = block;
    }
    struct guard_message request = request_for(1, sizeof true_block);
    assert_refused(&request, NULL, 0, EINVAL);
    assert_refused(&request, fds, 2, EINVAL);
    request.fds = 2;
    assert_refused(&request, fds, 2, EINVAL);
    request.fds = UINT32_MAX; /* with one descriptor, 1 + fds wraps round to 0 */
    assert_refused(&request, fds, 1, EINVAL);
    assert_refused(&request, NULL, 0, EINVAL);
    (void)close(block);
}

/* And after all those the guard works as before. */
static void guard_works_after_bad_requests(void **state)
{
    request_with_wrong_descriptors_is_refused(state);
    int block = make_block(true_block, sizeof true_block, 1);
    struct guard_message request = request_for(7, sizeof true_block);
    assert_int_equal(sp__channel_send(guard.socket, &request, &block, 1), 0);
    (void)close(block);
    assert_int_equal(next_message().os_errno, 0);
    struct guard_message exit = next_message();
    assert_int_equal(exit.op, GUARD_EXITED);
    assert_int_equal(exit.id, 7);
    assert_int_equal(exit.exit_code, 0);
}

static void message_of_another_size_ends_the_guard(void **state)
{
    (void)state;
    assert_int_equal(send(guard.socket, "hello", 5, MSG_NOSIGNAL), 5);
}

static void unknown_message_ends_the_guard(void **state)
{
    (void)state;
    struct guard_message nonsense = {.op = 4711};
    assert_int_equal(sp__channel_send(guard.socket, &nonsense, NULL, 0), 0);
}

static void closing_socket_ends_the_guard(void **state)
{
    (void)state;
    (void)shutdown(guard.socket, SHUT_RDWR);
}

static void closing_lifeline_ends_the_guard(void **state)
{
    (void)state;
    (void)close(guard.lifeline);
    guard.lifeline = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* 200 workers end while nobody reads, then every report is there, in order by worker. */
static void reports_are_kept_for_a_host_that_does_not_read(void **state)
{
    (void)state;
    enum { WORKERS = 200 };
    start_guard(4608); /* room for a handful of messages */
    assert_int_equal(next_message().op, GUARD_READY);
    int block = make_block(true_block, sizeof true_block, 1);
    int sent = 0;
    int told[WORKERS + 1] = {0}; /* messages seen about each */
    int left = 2 * WORKERS;
    while (left > 0) {
        struct guard_message request =
            request_for((uint64_t)sent + 1, sizeof true_block);
        /* Write as long as the guard listens; it stops when it cannot report. */
        struct pollfd socket = {.fd = guard.socket,
                                .events = sent < WORKERS ? POLLOUT | POLLIN : POLLIN};
        assert_int_equal(poll(&socket, 1, DEADLINE_MS), 1);
        if ((socket.revents & POLLOUT) != 0 &&
            sp__channel_send(guard.socket, &request, &block, 1) == 0) {
            sent++;
            continue;
        }
        struct guard_message message = next_message();
        assert_in_range(message.id, 1, WORKERS);
        assert_int_equal(message.os_errno, 0);
        int first = told[message.id]++ == 0;
        assert_int_equal(message.op, first ? GUARD_SPAWNED : GUARD_EXITED);
        left--;
    }
    (void)close(block);
    for (int id = 1; id <= WORKERS; id++) {
        assert_int_equal(told[id], 2);
    }
}

#define GUARDED(test, after) cmocka_unit_test_setup_teardown(test, open_guard, after)

int main(void)
{
    guard_path = getenv("SNAKEPIT_GUARD");
    if (guard_path == NULL) {
        print_error("usage: SNAKEPIT_GUARD=GUARD test_guard_program\n");
        return 2;
    }
    (void)alarm(120); /* a hang is a failure */
    const struct CMUnitTest tests[] = {
        GUARDED(block_that_can_still_change_is_refused, stop_guard),
        GUARDED(block_of_another_size_is_refused, stop_guard),
        GUARDED(request_with_wrong_descriptors_is_refused, stop_guard),
        GUARDED(guard_works_after_bad_requests, stop_guard),
        GUARDED(message_of_another_size_ends_the_guard, await_end),
        GUARDED(unknown_message_ends_the_guard, await_end),
        GUARDED(closing_socket_ends_the_guard, await_end),
        GUARDED(closing_lifeline_ends_the_guard, await_end),
        cmocka_unit_test_teardown(reports_are_kept_for_a_host_that_does_not_read,
                                  stop_guard),
    };
    return cmocka_run_group_tests_name("guard-program", tests, NULL, NULL);
}
