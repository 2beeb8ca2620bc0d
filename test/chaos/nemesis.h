/* SPDX-License-Identifier: MIT */
/* The nemesis: a thread that does harm in step with the load, and notes it first. */
#ifndef CHAOS_NEMESIS_H
#define CHAOS_NEMESIS_H

#include <pthread.h>
#include <stdatomic.h>

#include "load.h"

struct nemesis {
    struct scene *scene;
    struct load *load;
    uint64_t kills;    /* SIGKILL of a worker */
    uint64_t hangs;    /* SIGSTOP of a worker, nobody continues it */
    uint64_t guards;   /* SIGKILL of the guard */
    uint64_t recycles; /* by hand, of one worker */
    uint64_t done;
    pthread_t thread;
};

/* Spread that many faults over the load, in an order the seed decides. */
void nemesis_start(struct nemesis *nemesis, struct load *load);
/* Wait until all is done. */
void nemesis_join(struct nemesis *nemesis);

/* One fault of a kind: "kill", "hang", "guard" or "recycle". 0 when there was nobody. */
int nemesis_strike(struct scene *scene, const char *kind, uint64_t dice);

#endif
