/* SPDX-License-Identifier: MIT */
/*
 * The limits of a worker, from the inside: this runs in the child, between clone and
 * exec, with system calls alone.
 *
 * Where memory has no control group, RLIMIT_DATA bounds what the worker allocates, though
 * not what its children do; address space is not memory, hence not RLIMIT_AS. Where
 * processes have none, RLIMIT_NPROC bounds those of its user, all of them, and of root
 * none. The host is told of both.
 */
#include "limits.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Lower one, soft and hard, to at most what may be. */
static int lower(__rlimit_resource_t which, uint64_t value)
{
    struct rlimit limit;
    if (getrlimit(which, &limit) != 0) {
        return -1;
    }
    rlim_t wanted = (rlim_t)value;
    if (limit.rlim_max == RLIM_INFINITY || wanted < limit.rlim_max) {
        limit.rlim_max = wanted;
    }
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(which, &limit);
}

/* A core file is a convenience: whoever wants one may raise the limit again. */
static void limit_core(uint64_t value)
{
    struct rlimit limit;
    if (value != UINT64_MAX && getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = value < limit.rlim_max ? (rlim_t)value : limit.rlim_max;
        (void)setrlimit(RLIMIT_CORE, &limit);
    }
}

int sp__limits_apply(const struct guard_limits *limits, uint32_t weak,
                     const int procs[CGROUP_KINDS])
{
    for (int kind = 0; kind < CGROUP_KINDS; kind++) {
        if (procs[kind] >= 0 && write(procs[kind], "0", 1) != 1) {
            return -1;
        }
    }
    limit_core(limits->core_bytes);
    if (limits->files != 0 && lower(RLIMIT_NOFILE, limits->files) != 0) {
        return -1;
    }
    if ((weak & GUARD_WEAK_MEMORY) != 0 &&
        lower(RLIMIT_DATA, limits->memory_bytes) != 0) {
        return -1;
    }
    if ((weak & GUARD_WEAK_PROCESSES) != 0 && geteuid() != 0 &&
        lower(RLIMIT_NPROC, limits->processes) != 0) {
        return -1;
    }
    if (limits->nice != 0 &&
        setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + limits->nice) !=
            0) {
        return -1;
    }
    if (limits->has_umask) {
        (void)umask((mode_t)limits->umask);
    }
    return 0;
}

uint32_t sp__limits_weakness(uint32_t weak)
{
    /* Root is not bound by the number of its processes: there is no limit at all. */
    return (weak & GUARD_WEAK_PROCESSES) != 0 && geteuid() == 0
               ? weak | GUARD_WEAK_NOTHING
               : weak;
}
