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

/* Its status pipe spoke, or it `ended`: the row becomes RUNNING or FAILED and its reply
 * is due. */
void sp__spawn_settle(struct worker *worker, int ended);

#endif
