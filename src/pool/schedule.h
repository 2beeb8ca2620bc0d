/* SPDX-License-Identifier: MIT */
/* Which worker gets a call: pure decisions over what the pool knows. */
#ifndef SP_POOL_SCHEDULE_H
#define SP_POOL_SCHEDULE_H

#include <stdint.h>

/*
 * The work that may wait inside one worker behind what it is doing. Sending short calls
 * ahead hides the way there and back; sending long ones ahead would keep them from
 * workers that become free first. Half a millisecond is ten times the way and still too
 * short to notice.
 */
enum { SCHED_AHEAD_US = 500 };

/* What is assumed of a tool that never ran: it fills a worker. */
enum { SCHED_UNKNOWN_US = SCHED_AHEAD_US };

/* A worker that has less than this to do gets a short call rather than an idle one: what
 * waking another process costs, twice. */
enum { SCHED_FILL_US = 100 };

/* A worker as the scheduler sees it. */
struct sched_worker {
    uint32_t in_flight;
    uint32_t capacity;    /* calls it runs at once */
    uint64_t estimate_us; /* of all calls in flight on it */
    int stuck;            /* a cancelled call may still occupy it */
};

/* May this worker take a call of this length now? */
static inline int sp__sched_has_room(const struct sched_worker *worker,
                                     uint64_t estimate_us, uint32_t pipeline_max)
{
    if (worker->stuck) {
        return 0;
    }
    if (worker->in_flight < worker->capacity) {
        return 1;
    }
    return worker->in_flight < pipeline_max &&
           worker->estimate_us + estimate_us <=
               SCHED_AHEAD_US * (uint64_t)worker->capacity;
}

/* May a call of this length go behind others while there are idle workers? */
static inline int sp__sched_fills(uint64_t behind_us, uint64_t estimate_us)
{
    return behind_us + estimate_us <= SCHED_FILL_US;
}

/* Is `a` the better place than `b`, when both have room? */
static inline int sp__sched_is_better(const struct sched_worker *a,
                                      const struct sched_worker *b)
{
    return a->estimate_us != b->estimate_us ? a->estimate_us < b->estimate_us
                                            : a->in_flight < b->in_flight;
}

/* A tool's run time after one more measurement: an average that forgets slowly and, when
 * a call took much longer than thought, believes it at once. It moves by an eighth of the
 * way, and by a microsecond at least. */
static inline uint32_t sp__sched_learn(uint32_t average_us, uint64_t measured_us)
{
    uint32_t measured = measured_us > 60000000u ? 60000000u : (uint32_t)measured_us;
    if (average_us == 0 || measured > 8 * average_us + SCHED_AHEAD_US) {
        return measured == 0 ? 1 : measured;
    }
    if (measured < average_us) {
        uint32_t next = average_us - (average_us - measured + 7) / 8;
        return next == 0 ? 1 : next;
    }
    return average_us + (measured - average_us + 7) / 8;
}

/* The average of a tool that has asked its own pool for a call just now. The next of its
 * calls would find the pool as full as this one did, so none is sent ahead, until enough
 * of them in a row have asked for nothing. */
static inline uint32_t sp__sched_learn_asking(uint32_t average_us)
{
    return average_us > SCHED_AHEAD_US ? average_us : SCHED_AHEAD_US;
}

/*
 * Milliseconds to wait before the n-th start in a row that did not lead to a working
 * worker (n = 1 after the first failure): none at first, then up to `min_ms`, doubling to
 * `max_ms`. The pause is to be a random part of it, so that many pools do not start in
 * step.
 */
static inline uint64_t sp__sched_backoff_ceiling_ms(uint32_t failures, uint64_t min_ms,
                                                    uint64_t max_ms)
{
    if (failures <= 1) {
        return 0;
    }
    uint32_t doublings = failures - 2;
    uint64_t ceiling = doublings > 20 ? max_ms : min_ms << doublings;
    return ceiling < max_ms ? ceiling : max_ms;
}

#endif
