/* SPDX-License-Identifier: MIT */
/* One seed: its options, its run, and the judgement. */
#ifndef TEST_SIM_SIMULATE_H
#define TEST_SIM_SIMULATE_H

#include "world.h"

struct simulation {
    uint64_t seed;
    uint64_t events;
    uint64_t calls;
    uint64_t log;
    char text[320]; /* what was wrong */
};

/* The options that follow from a seed. */
void simulate_options(uint64_t seed, struct world_options *ret);

/* Faults for a while (safety), then none (healing), then everything must be well
 * (liveness), then the end: 0, or -1 and a text. */
int simulate(uint64_t seed, int prints, struct simulation *ret);

#endif
