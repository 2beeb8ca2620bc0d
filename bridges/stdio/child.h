/* SPDX-License-Identifier: MIT */
/* The program behind the pipe: lines to its standard input, lines from its standard
 * output. */
#ifndef STDIO_CHILD_H
#define STDIO_CHILD_H

#include <sys/types.h>

#include "base/buf.h"

enum { LINE_MAX_BYTES = 128 << 20 };

struct child {
    pid_t pid;
    int to;
    int from;
    int process;          /* a pidfd; -1 where the kernel has none */
    int ended;            /* its output is at its end */
    struct sp_buffer out; /* what its input has not taken yet, from out_at on */
    size_t out_at;
    struct sp_buffer in; /* what it wrote, lines before in_at handed out already */
    size_t in_at;
};

/* Start argv; its standard error is ours. */
int child_start(struct child *child, char *const *argv, sp_error *err) SP_MUST_CHECK;

/* Give it bytes to read: what its pipe does not take now is written while child_line()
 * waits. Never waits itself. SP_ERR_CLOSED when it reads no more. */
int child_send(struct child *child, sp_bytes bytes, sp_error *err) SP_MUST_CHECK;

/* Wait for a line (without its end; borrowed until the next call). 1 with one, 0 when
 * wake_fd has become readable first, SP_ERR_CLOSED at the end of its output,
 * SP_ERR_TOO_BIG, SP_ERR_NOMEM. */
int child_line(struct child *child, int wake_fd, sp_bytes *ret_line,
               sp_error *err) SP_MUST_CHECK;

/* It has closed a pipe: end as it ended, so that the host sees how. One that lives on is
 * ended. */
void child_follow(struct child *child) __attribute__((noreturn));

/* Close its input, wait until it ends for a moment, and end it. */
void child_close(struct child *child);

#endif
