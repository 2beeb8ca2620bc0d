/* SPDX-License-Identifier: MIT */
/* Where a session is at home: the worker that ran its last call. Loop thread. */
#ifndef SP_PIT_HOME_H
#define SP_PIT_HOME_H

#include "pit/pit.h"

/* The id of the worker to prefer for a request of a session, 0: none. */
uint64_t sp__home_find(struct lane *lane, const struct request *request);

/* A request of a session goes to this worker; or, with 0, its own one is lost and it ends
 * with that. For struct pool_events: `owner` is the pit. */
void sp__home_assigned(void *owner, struct request *request, uint64_t worker_id);

#endif
