/* SPDX-License-Identifier: MIT */
/*
 * Processes for tests of the registry and the sweep.
 *
 * Children of the test that wait for a signal, each in a session of its own as workers
 * are. The test reaps them; until then a killed one is a zombie, which counts as dead.
 */
#include "left.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leak.h"

pid_t left_start_with(char *const env[], const char *program)
{
    int ready[2];
    char *const argv[] = {(char *)program, "1000", NULL};
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)setsid();
        (void)execve(program, argv, env);
        _exit(99);
    }
    char byte;
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 0); /* closed by exec */
    (void)close(ready[0]);
    return pid;
}

pid_t left_start_as(const struct mark *mark, const char *program)
{
    char text[MARK_MAX] = "";
    char own[128];
    if (mark != NULL) {
        sp__mark_format("test", mark, text);
    }
    (void)snprintf(own, sizeof own, "SNAKEPIT_TEST_MARK=%s", leak_mark());
    char *const env[] = {own, text[0] != '\0' ? text : NULL, NULL};
    return left_start_with(env, program);
}

pid_t left_start(const struct mark *mark)
{
    return left_start_as(mark, "/bin/sleep");
}

int left_has_ended(pid_t pid)
{
    pid_t got = waitpid(pid, NULL, WNOHANG);
    return got == pid || (got < 0 && errno == ECHILD);
}

void left_end(pid_t pid)
{
    if (!left_has_ended(pid)) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
}

/* Tests run side by side, and must not sweep each other's processes. */
void left_id(uint8_t id[RUN_ID_BYTES], unsigned n)
{
    static pid_t own;
    own = own == 0 ? getpid() : own;
    for (unsigned i = 0; i < RUN_ID_BYTES; i++) {
        id[i] = (uint8_t)(n * 31u + i * 7u + 1u);
    }
    memcpy(id, &own, sizeof own);
}

struct process_id left_identify(pid_t pid)
{
    struct process process;
    int pidfd = sp__process_open(pid);
    assert_int_equal(sp__process_look(pid, pidfd, &process), 0);
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
    return process.id;
}
