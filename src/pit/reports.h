/* SPDX-License-Identifier: MIT */
/* What the guard says of workers on other loops than the first, which alone hears it. */
#ifndef SP_PIT_REPORTS_H
#define SP_PIT_REPORTS_H

#include "pit/pit.h"

/* Before the loops run: room for what may be said of `seats` workers at a time. */
int sp__reports_open(struct lane *lane, uint32_t seats, sp_error *err) SP_MUST_CHECK;
/* When the loops are gone. */
void sp__reports_close(struct lane *lane);

/* First loop: tell the lane; as sp__workshop_on_spawned() and its kin there. */
void sp__reports_spawned(struct lane *lane, uint64_t id, int pid,
                         const sp_error *failure);
void sp__reports_exited(struct lane *lane, uint64_t id, const struct guard_exit *exit);
/* The guard is lost; `heard` is posted to the first loop when the lane knows. */
void sp__reports_lost(struct lane *lane, void (*heard)(struct sp_pit *pit));
void sp__reports_found(struct lane *lane);

#endif
