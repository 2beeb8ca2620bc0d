/* SPDX-License-Identifier: MIT */
/* Bringing a worker into the world; see spawn.c. */
#ifndef SP_GUARD_SPAWN_H
#define SP_GUARD_SPAWN_H

#include "request.h"
#include "table.h"

/* Once, at start: remember what workers inherit and raise the guard's own limits. */
void sp__spawn_init(void);

/* Create the worker's process. The row becomes SPAWNING with its pid, status_fd and
 * perhaps pidfd set. 0, or the errno of the stage GUARD_STAGE_CLONE. The descriptors
 * stay the caller's. */
int sp__spawn_begin(struct worker *worker, const struct spawn_request *request,
                    const int *fds, uint32_t fds_count);

/* The number of the guard, as workers see their parent's. */
pid_t sp__spawn_parent(void);

/* What a worker of either kind needs of the guard: its lifeline, its groups, and the
 * other end of its status pipe. 0 or errno, then with nothing left. */
int sp__spawn_prepare(struct worker *worker, const struct guard_limits *limits,
                      int procs[CGROUP_KINDS], int *ret_status_fd);

/* Its status pipe spoke, or it `ended`: the row becomes RUNNING or FAILED and its reply
 * is due. */
void sp__spawn_settle(struct worker *worker, int ended);

#endif
