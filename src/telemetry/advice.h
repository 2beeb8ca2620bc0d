/* SPDX-License-Identifier: MIT */
/* What the figures of a pool advise, each with the figure that is the cause. Pure. */
#ifndef SP_TELEMETRY_ADVICE_H
#define SP_TELEMETRY_ADVICE_H

#include <stddef.h>
#include <stdint.h>

#include "snakepit/pool.h"

enum { ADVICE_MAX = 16, ADVICE_TEXT_MAX = 240 };

/* What is known; 0 for what is not. */
struct advice_facts {
    const sp_pool_stats *stats;
    uint32_t load;    /* calls that workers have */
    uint32_t threads; /* of a worker, in the profile thread */
    int affinity;     /* SP_AFFINITY_, of calls that name none */
    uint64_t
        workers_seen; /* whose memory has been looked at; the next three are theirs */
    uint64_t memory_bytes;         /* all together */
    uint64_t memory_largest;       /* of one */
    uint64_t ready_ms;             /* mean, from start to ready */
    uint64_t limit_memory_bytes;   /* of a worker, 0 or SP_UNLIMITED: none */
    uint64_t recycle_memory_bytes; /* likewise */
    uint64_t uptime_ms;
    uint32_t processors;
    uint64_t machine_bytes; /* of memory that the host may use, with its workers */
    int can_fork;           /* its workers could be forked by a zygote */
};

struct advice {
    const char *severity; /* "high", "medium", "low" */
    const char *rule;     /* a word that stays the same */
    const char *key;      /* to set, below the pool in snakepit.yaml(5) */
    char value[32];       /* to set it to; "" where only the user knows */
    char figure[ADVICE_TEXT_MAX];
    const char *why;
};

/* Of calls that could run at once, how many do, in percent; and the word for it: LOW,
 * GOOD from 60, HIGH from 80, CRITICAL from 90. */
double sp__utilization(uint64_t load, uint64_t capacity);
const char *sp__utilization_word(double percent);

/* At most ADVICE_MAX; returns how many. */
size_t sp__advise(const struct advice_facts *facts, struct advice *ret);

#endif
