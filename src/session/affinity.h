/* SPDX-License-Identifier: MIT */
/* Which worker a session was served by last. Any thread, once it is said to be shared; else
 * the loop thread. */
#ifndef SP_SESSION_AFFINITY_H
#define SP_SESSION_AFFINITY_H

#include <pthread.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"

enum {
    AFFINITY_MAX = 100000,        /* sessions remembered; the longest unused goes */
    AFFINITY_TTL_MS = 3600 * 1000 /* unused for so long: forgotten */
};

struct affinity {
    int is_shared; /* by threads: everything is under the lock */
    pthread_mutex_t lock;
    struct map by_key;
    struct list used; /* the longest unused first */
};

/* From now on any thread may come; before, and for one thread, zeroed memory will do. */
void sp__affinity_share(struct affinity *affinity);
void sp__affinity_fini(struct affinity *affinity);

/* A session within a pool, as a key. */
uint64_t sp__affinity_key(uint64_t session_hash, const void *pool);

/* The worker's id, 0 when none is known. */
uint64_t sp__affinity_find(struct affinity *affinity, uint64_t key, uint64_t now_ms);

/* Remember (or with worker 0 forget). Without memory the hint is lost, no more. */
void sp__affinity_set(struct affinity *affinity, uint64_t key, uint64_t worker,
                      uint64_t now_ms);

/* The part of the pool that has the session, which may not have a worker there yet;
 * `wished` from now on when none has. Without memory that is not remembered. */
uint32_t sp__affinity_place(struct affinity *affinity, uint64_t key, uint32_t wished,
                            uint64_t now_ms);
/* The session has gone to another part. */
void sp__affinity_move(struct affinity *affinity, uint64_t key, uint32_t place);

#endif
