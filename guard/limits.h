/* SPDX-License-Identifier: MIT */
/* What a worker may use, set by itself before it executes; see limits.c. */
#ifndef SP_GUARD_LIMITS_H
#define SP_GUARD_LIMITS_H

#include "cgroup.h"

/* In the new process: join the groups, then what setrlimit(), nice() and umask() can do,
 * in place of groups too where `weak` says that there are none. 0 or -1 with errno. */
int sp__limits_apply(const struct guard_limits *limits, uint32_t weak,
                     const int procs[CGROUP_KINDS]);

/* The GUARD_WEAK_ bits that the host should hear of. */
uint32_t sp__limits_weakness(uint32_t weak);

#endif
