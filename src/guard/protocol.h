/* SPDX-License-Identifier: MIT */
/*
 * What the host and snakepit-guard say to each other, over one SEQPACKET socket.
 *
 * Every message is one fixed-size struct. What has no fixed size (argv, environment,
 * paths) comes in a sealed memfd beside the request. Descriptors travel by SCM_RIGHTS,
 * in the order given here. Both programs are built together: no versions, host order.
 */
#ifndef SP_GUARD_PROTOCOL_H
#define SP_GUARD_PROTOCOL_H

#include <stdint.h>

enum {
    GUARD_FD_CONTROL = 3,  /* in the guard: the control socket */
    GUARD_FD_LIFELINE = 4, /* in the guard: a pipe whose other end only the host has */
    GUARD_FD_LOCK = 5, /* in the guard, when its third argument is "lock": the host's
                              lock on its instance, held until the guard has ended */
    GUARD_FDS = 6,     /* the guard's numbers are below */

    GUARD_FDS_MAX = 9,         /* descriptors handed to one worker */
    GUARD_STRINGS_MAX = 4096,  /* argv and environment entries together */
    GUARD_BLOCK_MAX = 1 << 20, /* bytes of a spawn block */
    GUARD_WORKERS_MAX = 4096
};

enum guard_op {
    /* host -> guard */
    GUARD_SPAWN = 1, /* + fds: block memfd, then `fds` descriptors for the worker: its
                        0, 1, 2, 3 ... in this order. `zygote` != 0: it is not executed
                        but forked by that one; argc is 0 and the variables are added to
                        the zygote's. `is_zygote`: it may be asked so, through a socket
                        that becomes its descriptor number `fds`; see wire/zygote.h */
    GUARD_KILL = 2,  /* send `signal` to worker `id`; to its group when `group` */
    GUARD_STOP = 3,  /* kill everything, wait for it, exit 0 */
    /* guard -> host */
    GUARD_READY = 10,   /* once, at start; `level` is set. When it is less than was
                           wished for, stage and os_errno say why. At
                           GUARD_LEVEL_NAMESPACE pid is the inner guard's, + fd: its
                           pidfd. At GUARD_LEVEL_CGROUP id is what GUARD_GROUP_PREFIX
                           wants, + fd: the folder with the group */
    GUARD_SPAWNED = 11, /* + fd: pidfd of the worker; `pid` is set. os_errno != 0: it
                           failed, no fd, `stage` says where */
    GUARD_EXITED = 12   /* worker `id` ended; status, rusage */
};

enum guard_stage {
    GUARD_STAGE_NONE,
    GUARD_STAGE_CLONE,
    GUARD_STAGE_SETUP,
    GUARD_STAGE_CHDIR,
    GUARD_STAGE_EXEC,
    GUARD_STAGE_REQUEST,
    GUARD_STAGE_LIMITS,
    GUARD_STAGE_FORK, /* the zygote gave no worker */
    /* why a level was not reached */
    GUARD_STAGE_SUBREAPER,
    GUARD_STAGE_ENCLOSURE,
    GUARD_STAGE_NEST_CLONE,
    GUARD_STAGE_NEST_IDS,
    GUARD_STAGE_NEST_MOUNTS,
    GUARD_STAGE_NEST_PROC
};

/* What keeps descendants of workers from surviving; each level includes those below it.
 * The second argument of the guard is the level to reach if it can be reached. */
enum guard_level {
    GUARD_LEVEL_LIFELINE = 1,  /* the kernel kills workers and their groups */
    GUARD_LEVEL_SUBREAPER = 2, /* the guard kills what has left its group, too */
    GUARD_LEVEL_CGROUP = 3,    /* the host kills that when the guard is dead, too */
    GUARD_LEVEL_NAMESPACE = 4  /* the kernel kills everything, whoever else is dead */
};

/* How the names of all control groups of a guard begin: its number and the moment of its
 * start, in microseconds since that of the machine, by which no two are alike. */
#define GUARD_GROUP_PREFIX "snakepit-%d-%llu-"

/* What one worker, with all it starts, may use. */
struct guard_limits {
    uint64_t memory_bytes; /* 0: no limit */
    uint64_t core_bytes;   /* UINT64_MAX: as the host */
    uint32_t processes;    /* 0: no limit */
    uint32_t files;        /* 0: as the host */
    uint32_t umask;
    int32_t has_umask; /* else the host's */
    int32_t nice;      /* added to the host's */
};

/* Limits that could not be made to hold as they should. */
enum guard_weak {
    GUARD_WEAK_MEMORY = 1,    /* RLIMIT_DATA in place of a control group */
    GUARD_WEAK_PROCESSES = 2, /* RLIMIT_NPROC likewise, */
    GUARD_WEAK_NOTHING = 4    /* which for root is none */
};

/* Whether the kernel killed a worker because memory ran out. Only a control group counts
 * that, so that a SIGKILL outside of one may be anybody's. */
enum guard_oom { GUARD_OOM_UNKNOWN = -1, GUARD_OOM_NO = 0, GUARD_OOM_YES = 1 };

struct guard_message {
    uint32_t op;
    uint32_t fds;    /* SPAWN: descriptors for the worker */
    uint64_t id;     /* the worker's, chosen by the host */
    uint64_t zygote; /* SPAWN: who forks it; 0: nobody */
    int32_t pid;
    int32_t os_errno;
    int32_t stage;
    int32_t signal; /* KILL: which */
    int32_t group;  /* KILL: the whole process group */
    int32_t level;
    /* SPAWN: the block holds argc + envc terminated strings one after another, then the
     * working directory (may be empty: stay). */
    uint32_t block_bytes;
    uint32_t argc;
    uint32_t envc;
    uint32_t is_zygote;
    struct guard_limits limits;
    uint32_t weak; /* SPAWNED: GUARD_WEAK_ */
    /* EXITED, as waitid tells: */
    int32_t exit_code;   /* CLD_EXITED: its status, else -1 */
    int32_t exit_signal; /* CLD_KILLED, CLD_DUMPED: which, else 0 */
    int32_t core_dumped;
    int32_t oom_killed; /* GUARD_OOM_ */
    uint64_t user_us;
    uint64_t system_us;
    uint64_t rss_max_kib;
};

#endif
