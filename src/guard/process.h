/* SPDX-License-Identifier: MIT */
/* The guard's process and the descriptors to it; see process.c. */
#ifndef SP_GUARD_PROCESS_H
#define SP_GUARD_PROCESS_H

#include <sys/types.h>

#include "guard/groups.h"
#include "guard/guard.h"

struct guard_process {
    pid_t pid;
    int pidfd;    /* -1 on old kernels */
    int socket;   /* to the guard */
    int lifeline; /* the only write end of the pipe there is */
    int reaped;   /* by us or by the host's own means: nothing to wait for */
    int level;
    int wished;   /* level, and when it is more than the one reached ... */
    int stage;    /* ... where it was missed ... */
    int os_errno; /* ... and why */
    pid_t inner_pid;
    int inner; /* pidfd of the init of its namespace: readable when that is empty; -1 */
    struct guard_groups groups; /* at GUARD_LEVEL_CGROUP */
};

/* Start it and wait until it is ready. After an error too it must be ended. */
int sp__guard_process_start(struct guard_process *guard,
                            const struct guard_options *options,
                            sp_error *err) SP_MUST_CHECK;

/* End it and everything it started, wait for that, and close what leads to it. */
void sp__guard_process_end(struct guard_process *guard);

/* It is lost: kill what is not killed by its death. */
void sp__guard_process_end_groups(struct guard_process *guard);

/* Say that it ended and how: "the guard (pid 5) ended `when`: killed by SIGKILL". */
int sp__guard_process_fail(struct guard_process *guard, const char *when,
                           sp_error *err);

/* SP_ERR_GUARD with "what: the errno in words". */
int sp__guard_fail(sp_error *err, int os_errno, const char *what);

/* Close *fd unless it is -1, and make it -1. */
void sp__guard_close_fd(int *fd);

#endif
