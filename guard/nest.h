/* SPDX-License-Identifier: MIT */
/* A second guard, in a PID namespace of its own; see nest.c. */
#ifndef SP_GUARD_NEST_H
#define SP_GUARD_NEST_H

#include <sys/types.h>

#include "guard/protocol.h"

/* Why a level of protection was not reached: a GUARD_STAGE_ and its errno. */
struct shortfall {
    int stage;
    int os_errno;
};

/* Create the inner guard. Returns 1 in it: it goes on as the only guard would, and is
 * init of its namespace. In the outer guard this returns only when nothing came of it: 0,
 * with the reason; otherwise it stays here, and ends the process when the inner guard has
 * ended. `host_pidfd` becomes readable when the host dies. */
int sp__nest_open(int host_pidfd, struct shortfall *why);

/* The number by which the host knows a process of this guard that is not yet reaped. */
pid_t sp__nest_number(pid_t pid, int pidfd);

/* Whether the host's namespace has a process of that number. */
int sp__nest_exists(pid_t number);

#endif
