/* SPDX-License-Identifier: MIT */
/* The workers the guard knows, in a table that never grows; see table.c. */
#ifndef SP_GUARD_TABLE_H
#define SP_GUARD_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "guard/protocol.h"

/*
 *  FREE -> SPAWNING -- exec ------> RUNNING -- reaped --> ENDED -- told --> FREE
 *   |       ^  |                                            ^ ^
 *   |  born |  `------ no exec ---> FAILED --- reaped ------' |
 *   `--> ASKED ---- the zygote gave none ---------------------'
 */
enum worker_state {
    WORKER_FREE = 0,
    WORKER_ASKED,    /* of a zygote; its status pipe will say what process it is */
    WORKER_SPAWNING, /* cloned; its status pipe will say whether exec came about */
    WORKER_RUNNING,  /* executes the worker's program */
    WORKER_FAILED,   /* never reached its program; waits to be reaped */
    WORKER_ENDED     /* reaped; only messages about it are due */
};

struct worker {
    uint64_t id; /* the host's name for it */
    enum worker_state state;
    pid_t pid;       /* ours alone until reaped: the number cannot be reused */
    pid_t number;    /* the same process as the host numbers it; 0: unknown */
    int status_fd;   /* SPAWNING: read end of the pipe that closes at exec; or -1 */
    int lifeline_fd; /* the kernel's lifeline of its process group; or -1 */
    int pidfd;       /* until it is handed to the host; or -1 */
    int zygote_fd;   /* of a zygote: where it is asked; or -1 */
    int kill_due;    /* ASKED: the signal it gets as soon as it is known */
    int reply_due;   /* SPAWNED is still to be sent */
    int exit_due;    /* EXITED is still to be sent, after SPAWNED */
    struct cgroup cgroup;
    uint32_t weak;             /* limits that do not hold as they should: GUARD_WEAK_ */
    uint64_t oom_before;       /* of the whole machine, when it was spawned */
    int os_errno;              /* FAILED: why ... */
    int stage;                 /* ... and where */
    struct guard_message exit; /* what EXITED will say */
};

/* A fresh row in SPAWNING without a process. NULL: errno is EEXIST or EAGAIN (full). */
struct worker *sp__table_take(uint64_t id);

/* Close what the row holds and forget it. */
void sp__table_release(struct worker *worker);

struct worker *sp__table_by_id(uint64_t id);

/* Among the workers that are not reaped. */
struct worker *sp__table_by_pid(pid_t pid);

/* Whether any worker is ASKED. */
int sp__table_awaits_birth(void);

/* Rows in use are below this index. */
size_t sp__table_end(void);
struct worker *sp__table_at(size_t index);

/* Close *fd unless it is -1, and make it -1. */
void sp__close(int *fd);

#endif
