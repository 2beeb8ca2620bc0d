/* SPDX-License-Identifier: MIT */
/* Taking what died, and killing what should have; see reap.c. */
#ifndef SP_GUARD_REAP_H
#define SP_GUARD_REAP_H

#include "nest.h"

/* Take charge of what leaves its worker's group, when `level` wants that and it can be
 * done. Returns the level reached, with `why` set when it is less. */
int sp__reap_init(int level, struct shortfall *why);

/* Take every child that has ended: workers' rows become ENDED. Leftovers of workers
 * that ended are killed; they are taken by a later call. Returns how many were taken,
 * or -1 when the guard has no child any more. */
int sp__reap_ready(void);

/* Whether what is orphaned below the guard becomes its child. */
int sp__reap_adopts(void);

/* Kill the leftovers that sp__reap_ready() had to let be, unless it still has to. */
void sp__reap_leftovers(void);

/* Kill all that descends from the guard and take it. Returns when no child is left, or
 * after a few seconds when the kernel holds one that cannot die. */
void sp__reap_everything(void);

#endif
