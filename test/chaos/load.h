/* SPDX-License-Identifier: MIT */
/* The load: clients that call, stream and cancel, and note what they asked and got. */
#ifndef CHAOS_LOAD_H
#define CHAOS_LOAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "scene.h"

enum { CLIENTS_MAX = 256 };

struct load {
    struct scene *scene;
    uint64_t first; /* id of the first call; each id is one call or stream */
    uint64_t count;
    uint64_t streams; /* of them */
    uint64_t timeout_ms;
    uint64_t pause_us; /* of a client before each call, 0: none */
    _Atomic uint64_t next;
    _Atomic uint64_t done;
    uint32_t *latency_us; /* by id - first, of calls that succeeded; 0 otherwise */
    pthread_t threads[CLIENTS_MAX];
    uint64_t clients;
};

/* A number that looks random, the same for the same seed and salt. */
uint64_t chance(uint64_t seed, uint64_t salt);
/* 1 for `count` of `total` ids, evenly spread. */
int is_spread(uint64_t id, uint64_t count, uint64_t total);

void load_start(struct load *load, struct scene *scene, uint64_t first, uint64_t count);
int load_is_done(struct load *load);
/* Wait until it is done, noting events meanwhile, and release it but for latencies. */
void load_join(struct load *load);
void load_fini(struct load *load);

/* A percentile (500: the median, 990) of the latencies from..to-1, in microseconds. */
uint32_t load_latency(const struct load *load, uint64_t from, uint64_t to,
                      unsigned permille);

#endif
