/* SPDX-License-Identifier: MIT */
/* The conversation with the host; see control.c. */
#ifndef SP_GUARD_CONTROL_H
#define SP_GUARD_CONTROL_H

enum control {
    CONTROL_OK = 0,
    CONTROL_BLOCKED, /* the host does not read: try when the socket is writable */
    CONTROL_STARVED, /* the kernel has no memory for a message: try a little later */
    CONTROL_END      /* the host said stop, or is gone, or talks nonsense */
};

/* Say that the guard is ready. */
enum control sp__control_greet(int level);

/* Obey what has arrived. Not called while messages are held back, so that a host that
 * does not listen cannot make the guard do more than it can report. */
enum control sp__control_receive(void);

/* Send every message that is due. */
enum control sp__control_flush(void);

#endif
