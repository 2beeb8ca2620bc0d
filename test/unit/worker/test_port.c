/* SPDX-License-Identifier: MIT */
/*
 * Whose a port is: nobody's, this process's, that of a process of its group, a
 * stranger's. Real sockets on the loopback interface.
 */
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leak.h"
#include "worker/stock.h"

/* A listening socket on a port of the kernel's choice. */
static int listen_somewhere(int family, uint16_t *ret_port)
{
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    socklen_t size = sizeof address;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        bind(fd, (struct sockaddr *)&address,
             family == AF_INET ? sizeof(struct sockaddr_in)
                               : sizeof(struct sockaddr_in6)) < 0 ||
        listen(fd, 4) < 0) {
        return -1;
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port =
        ntohs(family == AF_INET ? ((struct sockaddr_in *)(void *)&address)->sin_port
                                : ((struct sockaddr_in6 *)(void *)&address)->sin6_port);
    return fd;
}

static void my_port_is_mine_and_a_closed_one_nobodys(void **state)
{
    (void)state;
    static const int families[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < 2; i++) {
        uint16_t port = 0;
        int fd = listen_somewhere(families[i], &port);
        if (fd < 0 && families[i] == AF_INET6) {
            continue; /* a machine without IPv6 */
        }
        assert_true(fd >= 0);
        assert_int_equal(sp__port_owner_check(port, getpid(), NULL), 1);
        (void)close(fd);
        assert_int_equal(sp__port_owner_check(port, getpid(), NULL), 0);
    }
}

/* A child that holds the socket alone, in a process group of its own, led by itself or
 * with the leader beside it. */
static pid_t hand_over(int fd, pid_t group)
{
    int go[2];
    char byte;
    assert_int_equal(pipe(go), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)setpgid(0, group);
        (void)!write(go[1], "x", 1);
        (void)pause();
        _exit(0);
    }
    (void)!read(go[0], &byte, 1);
    (void)close(go[0]);
    (void)close(go[1]);
    (void)close(fd);
    return child;
}

static void end(pid_t child)
{
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
}

static void anothers_port_is_refused(void **state)
{
    (void)state;
    uint16_t port = 0;
    int fd = listen_somewhere(AF_INET, &port);
    pid_t child = hand_over(fd, 0);
    sp_error err = {0};
    assert_int_equal(sp__port_owner_check(port, getpid(), &err), SP_ERR_REFUSED);
    assert_non_null(strstr(err.message, "is not of the worker"));
    assert_int_equal(sp__port_owner_check(port, child, NULL), 1);
    end(child);
}

/* 127.0.0.2 is another address: who listens there is not asked. */
static void another_address_is_nobodys_business(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    pid_t child = hand_over(fd, 0);
    assert_int_equal(sp__port_owner_check(ntohs(address.sin_port), getpid(), NULL), 0);
    end(child);
}

static void a_process_of_the_group_counts(void **state)
{
    (void)state;
    uint16_t port = 0;
    uint16_t other = 0;
    int unused = listen_somewhere(AF_INET, &other);
    pid_t leader = hand_over(unused, 0);
    pid_t member = hand_over(listen_somewhere(AF_INET, &port), leader);
    assert_int_equal(sp__port_owner_check(port, leader, NULL), 1);
    end(member);
    end(leader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(my_port_is_mine_and_a_closed_one_nobodys),
        TEST(anothers_port_is_refused),
        TEST(another_address_is_nobodys_business),
        TEST(a_process_of_the_group_counts),
    };
    return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
