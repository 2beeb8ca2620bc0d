/* SPDX-License-Identifier: MIT */
/* Which worker a session was served by last. Loop thread. */
#ifndef SP_SESSION_AFFINITY_H
#define SP_SESSION_AFFINITY_H

#include <stdint.h>

#include "base/list.h"
#include "base/map.h"

enum {
    AFFINITY_MAX = 100000,        /* sessions remembered; the longest unused goes */
    AFFINITY_TTL_MS = 3600 * 1000 /* unused for so long: forgotten */
};

struct affinity {
    struct map by_key;
    struct list used; /* the longest unused first */
};

void sp__affinity_fini(struct affinity *affinity);

/* A session within a pool, as a key. */
uint64_t sp__affinity_key(uint64_t session_hash, const void *pool);

/* The worker's id, 0 when none is known. */
uint64_t sp__affinity_find(struct affinity *affinity, uint64_t key, uint64_t now_ms);

/* Remember (or with worker 0 forget). Without memory the hint is lost, no more. */
void sp__affinity_set(struct affinity *affinity, uint64_t key, uint64_t worker,
                      uint64_t now_ms);

#endif
