/* SPDX-License-Identifier: MIT */
/*
 * The steps of a histogram.
 *
 * A time finds its step by its highest bit: at most three bounds lie between two powers
 * of two, so two comparisons follow and no search. Nothing allocates and nothing fails.
 */
#include "base/histogram.h"

#define MS 1000u
#define SECOND (1000u * MS)

const uint64_t sp__histogram_bounds_us[HISTOGRAM_BOUNDS] = {
    100,     200,        500,        1 * MS,      2 * MS,      5 * MS,
    10 * MS, 20 * MS,    50 * MS,    100 * MS,    200 * MS,    500 * MS,
    SECOND,  2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, 60 * SECOND};

/* For times of so many bits: the first step that any of them belongs to. */
static const uint8_t first_steps[] = {0, 0, 0, 0, 0,  0,  0,  0,  1,  2,  3,  4,  5, 5,
                                      6, 7, 8, 9, 10, 11, 12, 13, 14, 14, 15, 16, 17};

enum { BITS_MAX = sizeof first_steps - 1 };

uint32_t sp__histogram_step(uint64_t us)
{
    unsigned bits = us == 0 ? 0 : 64u - (unsigned)__builtin_clzll(us);
    uint32_t step = bits > BITS_MAX ? HISTOGRAM_BOUNDS : first_steps[bits];
    while (step < HISTOGRAM_BOUNDS && us > sp__histogram_bounds_us[step]) {
        step++;
    }
    return step;
}

void sp__histogram_merge(struct histogram *sum, const struct histogram *part)
{
    for (int i = 0; i < HISTOGRAM_STEPS; i++) {
        sum->counts[i] += part->counts[i];
    }
    sum->sum_us += part->sum_us;
}

uint64_t sp__histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (int i = 0; i < HISTOGRAM_STEPS; i++) {
        count += histogram->counts[i];
    }
    return count;
}
