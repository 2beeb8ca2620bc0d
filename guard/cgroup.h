/* SPDX-License-Identifier: MIT */
/* Control groups for workers that have limits; see cgroup.c. */
#ifndef SP_GUARD_CGROUP_H
#define SP_GUARD_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

#include "guard/protocol.h"

enum cgroup_kind { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_KINDS };

/* What one worker has of them. All zero: nothing. */
struct cgroup {
    uint64_t id;           /* the worker's: its groups are named by it */
    int has[CGROUP_KINDS]; /* and must be removed */
};

/* Before anything else: the number that makes this guard's groups its own. */
void sp__cgroup_init(pid_t number);

/* Make the groups that the limits ask for. procs[kind] becomes what the worker writes
 * "0" to, or -1. Returns the GUARD_WEAK_ bits of limits that found no group. */
uint32_t sp__cgroup_make(struct cgroup *cgroup, uint64_t id,
                         const struct guard_limits *limits, int procs[CGROUP_KINDS]);

/* Kill all that is in the groups, however it forks meanwhile. */
void sp__cgroup_kill(const struct cgroup *cgroup);

/* A GUARD_OOM_ for a worker that SIGKILL ended; `before` as sp__cgroup_oom_total() was
 * when it was spawned. */
int sp__cgroup_was_oom(const struct cgroup *cgroup, uint64_t before);

/* How many processes this machine's kernel has killed for memory; 0 where it is not told. */
uint64_t sp__cgroup_oom_total(void);

/* Remove the groups, now or, while somebody in them is still dying, in a later call. */
void sp__cgroup_remove(struct cgroup *cgroup);

/* Another look at what could not be removed. */
void sp__cgroup_tidy(void);

#endif
