/* SPDX-License-Identifier: MIT */
/* How many workers this machine can have: by arithmetic, and by starting some. */
#ifndef SNAKEPIT_CLI_SCALING_H
#define SNAKEPIT_CLI_SCALING_H

#include "cli.h"

/* What one worker costs, as measured. */
struct worker_cost {
    double tasks;        /* processes and threads */
    double descriptors;  /* in the host */
    double memory_bytes; /* shared pages split among their users */
};

/* A step: that many workers at once. */
struct scaling_step {
    unsigned workers;
    uint64_t ready_ms; /* until all were */
    uint64_t each_ms;  /* mean, from start to ready */
    uint64_t slowest_ms;
    struct worker_cost cost;
};

enum { STEPS_MAX = 12 };

struct scaling_trial {
    struct scaling_step steps[STEPS_MAX];
    size_t count;
    uint64_t forked_ms; /* mean, of workers that a zygote forks; 0: it cannot */
    unsigned broke_at;  /* 0: nothing broke */
    char why[300];      /* it broke, or why no more were tried */
};

/* Start 1, 2, 4 ... workers up to `max`, each time all anew. 0 or an exit code. */
int scaling_try(const struct cli *cli, unsigned max, struct scaling_trial *ret);

/* One limit of the machine. */
struct scaling_limit {
    const char *name;
    uint64_t value;    /* UINT64_MAX: none */
    uint64_t used;     /* by everybody it counts */
    double each;       /* of it for a worker */
    uint64_t workers;  /* that fit in the rest; UINT64_MAX: no worker uses it */
    const char *raise; /* what to do for more */
};

enum { LIMITS_MAX = 12 };

/* All there are for workers of that cost; returns how many. */
size_t scaling_limits(const struct worker_cost *cost, struct scaling_limit *ret);

/* The one that is met first, NULL when none is. Pure. */
const struct scaling_limit *scaling_first(const struct scaling_limit *limits,
                                          size_t count);

/* ---- of the kernel; 0 where it does not say ---- */
uint64_t kernel_pss_bytes(int pid);
unsigned kernel_tasks_of(int pid); /* its threads */
unsigned kernel_descriptors(void); /* of this process */
uint64_t kernel_memory_left(void); /* for this process and its children */

#endif
