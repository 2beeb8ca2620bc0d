/* SPDX-License-Identifier: MIT */
/* Calls that wait for each other over several lanes, where no core sees all of them. */
#ifndef SP_PIT_DEADLOCK_H
#define SP_PIT_DEADLOCK_H

#include "pit/pit.h"

/* When there are several lanes, before they start. */
int sp__deadlock_open(struct sp_pit *pit, sp_error *err) SP_MUST_CHECK;
/* The first lane, the last moment it has a loop; and when no loop is left. NULL is fine. */
void sp__deadlock_stop(struct deadlock *deadlock);
void sp__deadlock_free(struct deadlock *deadlock);

/* Any lane: a call that another one asked for has to wait. For struct pool_events. */
void sp__deadlock_suspect(void *owner, struct request *request);

#endif
