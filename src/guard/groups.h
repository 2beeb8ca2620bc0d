/* SPDX-License-Identifier: MIT */
/* The control groups of a guard, as the host ends them; see groups.c. */
#ifndef SP_GUARD_GROUPS_H
#define SP_GUARD_GROUPS_H

#include <stdint.h>
#include <sys/types.h>

struct guard_groups {
    int place;         /* the folder with the group that all workers are in; -1: none */
    pid_t number;      /* of the guard ... */
    uint64_t begun_us; /* ... and the moment of its start, which name its groups */
};

/* Kill all that is in the groups of a guard that has ended and remove them, limit_ms at
 * most; with 0 everything is killed once, and nothing is waited for. */
void sp__guard_groups_end(const struct guard_groups *groups, int limit_ms);

#endif
