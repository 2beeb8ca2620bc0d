/* SPDX-License-Identifier: MIT */
/* A pipe whose writer hears nothing of its reader's end. */
#ifndef SP_BASE_PIPE_H
#define SP_BASE_PIPE_H

/*
 * Writing to a pipe that nobody can read any more raises SIGPIPE, which only the whole
 * process can ignore. So the end that is written to is open for reading too, and to be
 * asked about the reader's fate is somebody else's business: a pipe the other way.
 *
 * Neither end waits, both are close-on-exec. Returns the bytes it has room for, or -1 with
 * errno and both -1.
 */
int sp__pipe_open(int *ret_read, int *ret_written);

#endif
