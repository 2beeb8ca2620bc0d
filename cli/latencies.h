/* SPDX-License-Identifier: MIT */
/*
 * Many durations, counted by size: a million of them take no more memory than one, and a
 * quantile is exact to half a percent.
 */
#ifndef SNAKEPIT_CLI_LATENCIES_H
#define SNAKEPIT_CLI_LATENCIES_H

#include <stddef.h>
#include <stdint.h>

enum { LATENCY_SUB_BITS = 8, LATENCY_POWERS = 40 };

/* Counts by size, each class at most 1/256 wide. Zeroed is empty. */
struct latencies {
    uint64_t counts[LATENCY_POWERS << LATENCY_SUB_BITS];
    uint64_t total;
    uint64_t max_ns;
};

void latency_add(struct latencies *latencies, uint64_t ns);
void latency_join(struct latencies *into, const struct latencies *from);

/* What this share of all, 0 to 1, took at most; 0 when there are none. */
double latency_us(const struct latencies *latencies, double share);

#endif
