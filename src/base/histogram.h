/* SPDX-License-Identifier: MIT */
/*
 * How often something took how long, in fixed steps of 1, 2 and 5 from 100 us to a minute:
 * limits that people set (100 ms, half a second, 30 s) are the limits of a step.
 */
#ifndef SP_BASE_HISTOGRAM_H
#define SP_BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 18, HISTOGRAM_STEPS = HISTOGRAM_BOUNDS + 1 };

/* The upper ends of the steps, which belong to them; the last step has none. */
extern const uint64_t sp__histogram_bounds_us[HISTOGRAM_BOUNDS];

/* Zeroed is empty. */
struct histogram {
    uint64_t counts[HISTOGRAM_STEPS]; /* of each step alone */
    uint64_t sum_us;
};

/* The step of a time. */
uint32_t sp__histogram_step(uint64_t us);

/* Returns the step. */
static inline uint32_t sp__histogram_add(struct histogram *histogram, uint64_t us)
{
    uint32_t step = sp__histogram_step(us);
    histogram->counts[step]++;
    histogram->sum_us += us;
    return step;
}

void sp__histogram_merge(struct histogram *sum, const struct histogram *part);
uint64_t sp__histogram_count(const struct histogram *histogram);

#endif
