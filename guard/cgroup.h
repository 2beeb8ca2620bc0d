/* SPDX-License-Identifier: MIT */
/* Control groups for workers that have limits; see cgroup.c. */
#ifndef SP_GUARD_CGROUP_H
#define SP_GUARD_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

#include "guard/protocol.h"

enum { CGROUP_NAME_MAX = 80 };

enum cgroup_kind { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_KINDS };

/* What one worker has of them. All zero: nothing. */
struct cgroup {
    uint64_t id;           /* the worker's: its groups are named by it */
    int has[CGROUP_KINDS]; /* and must be removed */
};

/* Before anything else: the number that, with this moment, makes this guard's groups its
 * own. */
void sp__cgroup_init(pid_t number);

/* The moment in their names. */
uint64_t sp__cgroup_begun(void);

/* The name of a worker's groups, or of the one for all with id 0, which no worker has. */
void sp__cgroup_name(uint64_t id, char name[CGROUP_NAME_MAX]);

/* Make the groups that the limits ask for. procs[kind] becomes what the worker writes
 * "0" to, or -1. Returns the GUARD_WEAK_ bits of limits that found no group. */
uint32_t sp__cgroup_make(struct cgroup *cgroup, uint64_t id,
                         const struct guard_limits *limits, int procs[CGROUP_KINDS]);

/* Kill all that is in the groups, however it forks meanwhile. */
void sp__cgroup_kill(const struct cgroup *cgroup);

/* Kill all in a group of version 2; before Linux 5.14 those that one look finds. */
void sp__cgroup_kill_all(int group);

/* A GUARD_OOM_ for a worker that SIGKILL ended; `before` as sp__cgroup_oom_total() was
 * when it was spawned. */
int sp__cgroup_was_oom(const struct cgroup *cgroup, uint64_t before);

/* How many processes this machine's kernel has killed for memory; 0 where it is not told. */
uint64_t sp__cgroup_oom_total(void);

/* Remove the groups, now or, while somebody in them is still dying, in a later call. */
void sp__cgroup_remove(struct cgroup *cgroup);

/* Remove, in a folder, the empty groups that dead guards have left. */
void sp__cgroup_remove_stale(int dir);

/* Another look at what could not be removed. */
void sp__cgroup_tidy(void);

#endif
