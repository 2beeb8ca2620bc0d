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
    uint64_t timeout_min_ms; /* 0: timeout_ms always; else anything between them */
    uint64_t pause_us;       /* of a client before each call, 0: none */
    uint64_t clients;        /* 0: the scene's */
    /* What `evils` calls do besides their work; from phases.c, in turn. */
    const struct evil_kind *kinds;
    size_t kinds_count;
    uint64_t evils;
    _Atomic uint64_t next;
    _Atomic uint64_t done;
    uint32_t *latency_us; /* by id - first, of calls that succeeded; 0 otherwise */
    uint32_t *refused_us; /* likewise, of those that the pool did not take */
    pthread_t threads[CLIENTS_MAX];
};

/* A misdeed as the evil worker understands it. */
struct evil_kind {
    const char *what;
    uint64_t amount;
    unsigned at_first; /* it happens at the moments from..to of enum moment */
    unsigned at_last;
    unsigned times; /* in the first attempts of the call only, 0: in all */
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

/* A percentile (500: the median, 990) of what is not 0 among them. */
uint32_t percentile(const uint32_t *latencies_us, uint64_t count, unsigned permille);

#endif
