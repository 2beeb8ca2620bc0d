/* SPDX-License-Identifier: MIT */
/* The control group that all workers are in; see enclosure.c. */
#ifndef SP_GUARD_ENCLOSURE_H
#define SP_GUARD_ENCLOSURE_H

#include "nest.h"

/* Make it, and make sure that processes can be put into it. 1, or 0 with the reason. */
int sp__enclosure_open(struct shortfall *why);

/* The folder it was made in, for the host; -1 when there is none. */
int sp__enclosure_place(void);

/* The group itself, for clone3(); -1 when there is none. */
int sp__enclosure_group(void);

/* In a new process: move into it. 0, also when there is none, or -1 with errno. */
int sp__enclosure_enter(void);

/* Kill everything in it, one look's worth where the kernel cannot do it by itself. */
void sp__enclosure_kill(void);

/* Remove it; it stays when somebody in it cannot die. */
void sp__enclosure_close(void);

#endif
