/* SPDX-License-Identifier: MIT */
/* The conversation with the host; see control.c. */
#ifndef SP_GUARD_CONTROL_H
#define SP_GUARD_CONTROL_H

#include <sys/types.h>

#include "nest.h"

enum control {
    CONTROL_OK = 0,
    CONTROL_BLOCKED, /* the host does not read: try when the socket is writable */
    CONTROL_STARVED, /* the kernel has no memory for a message: try a little later */
    CONTROL_END      /* the host said stop, or is gone, or talks nonsense */
};

/* Say that the guard `pid` is ready at a level, with a descriptor or -1, and why not at
 * a higher one, or NULL. */
enum control sp__control_greet(int level, pid_t pid, int fd,
                               const struct shortfall *why);

/* Obey what has arrived. Not called while messages are held back, so that a host that
 * does not listen cannot make the guard do more than it can report. */
enum control sp__control_receive(void);

/* Send every message that is due. */
enum control sp__control_flush(void);

#endif
