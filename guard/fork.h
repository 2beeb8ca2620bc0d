/* SPDX-License-Identifier: MIT */
/* Workers that a zygote makes; see fork.c. */
#ifndef SP_GUARD_FORK_H
#define SP_GUARD_FORK_H

#include "table.h"

/* The worker shall be a zygote: make the socket it is asked through. *ret_fd becomes its
 * end, to be handed to it behind `fds` others. 0 or errno. */
int sp__fork_open(struct worker *worker, uint32_t fds, int *ret_fd);

/* Ask a zygote for a worker. `fds` is the request's block, then the worker's. The row
 * becomes ASKED. 0 or errno. The descriptors stay the caller's. */
int sp__fork_ask(struct worker *worker, const struct worker *zygote,
                 const struct guard_message *message, const int *fds);

/* The status pipe of an ASKED worker spoke or closed: it becomes SPAWNING, or ENDED with
 * its reply due. */
void sp__fork_hear(struct worker *worker);
void sp__fork_hear_all(void);

/* An ASKED worker shall be sent a signal. */
void sp__fork_kill(struct worker *worker, int signal);

#endif
