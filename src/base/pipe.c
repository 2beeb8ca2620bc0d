/* SPDX-License-Identifier: MIT */
#include "base/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* The same end once more, open for both. */
static int reopen(int fd)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

int sp__pipe_open(int *ret_read, int *ret_written)
{
    int ends[2];
    *ret_read = *ret_written = -1;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        return -1;
    }
    int written = reopen(ends[1]);
    int saved = errno;
    (void)close(ends[1]);
    if (written < 0) {
        (void)close(ends[0]);
        errno = saved;
        return -1;
    }
    *ret_read = ends[0];
    *ret_written = written;
    return fcntl(written, F_GETPIPE_SZ);
}
