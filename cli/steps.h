/* SPDX-License-Identifier: MIT */
/*
 * Histograms of the report "metrics": how many times there were up to each bound, and what
 * that says of quantiles, which is the same in every command.
 */
#ifndef SNAKEPIT_CLI_STEPS_H
#define SNAKEPIT_CLI_STEPS_H

#include <jansson.h>

enum { HISTOGRAM_STEPS_MAX = 64 };

/* Zeroed is empty. */
struct steps {
    double up_to_s[HISTOGRAM_STEPS_MAX]; /* 0: the last, which has no end */
    double counts[HISTOGRAM_STEPS_MAX];
    size_t length;
};

/* Add a sample's steps, `sign` times: -1 takes away what an earlier one had. */
void steps_add(struct steps *steps, const json_t *sample, double sign);

/*
 * The time in seconds that so many of 1 000 do not exceed; -1 without any. As if those of a
 * step lay evenly in it, so it is exact to the step's width; in the last step, its begin.
 */
double steps_quantile(const struct steps *steps, double permille);

#endif
