/* SPDX-License-Identifier: MIT */
/*
 * See latencies.h. Classes are of equal relative width: below 256 ns one for each, above
 * 256 for each power of two. What is longer than the last class, about nine hours, is
 * counted in it.
 */
#include "latencies.h"

enum { CLASSES = LATENCY_POWERS << LATENCY_SUB_BITS };

static size_t class_of(uint64_t ns)
{
    if (ns < (1u << LATENCY_SUB_BITS)) {
        return (size_t)ns;
    }
    unsigned power = 63u - (unsigned)__builtin_clzll(ns) - LATENCY_SUB_BITS;
    size_t at = ((size_t)(power + 1) << LATENCY_SUB_BITS) +
                (size_t)((ns >> power) & ((1u << LATENCY_SUB_BITS) - 1));
    return at < CLASSES ? at : CLASSES - 1;
}

/* The middle of a class. */
static uint64_t value_of(size_t at)
{
    if (at < (1u << LATENCY_SUB_BITS)) {
        return at;
    }
    unsigned power = (unsigned)(at >> LATENCY_SUB_BITS) - 1;
    uint64_t low =
        ((uint64_t)(at & ((1u << LATENCY_SUB_BITS) - 1)) | (1u << LATENCY_SUB_BITS))
        << power;
    return low + (((uint64_t)1 << power) >> 1);
}

void latency_add(struct latencies *latencies, uint64_t ns)
{
    latencies->counts[class_of(ns)]++;
    latencies->total++;
    latencies->max_ns = ns > latencies->max_ns ? ns : latencies->max_ns;
}

void latency_join(struct latencies *into, const struct latencies *from)
{
    for (size_t i = 0; i < CLASSES; i++) {
        into->counts[i] += from->counts[i];
    }
    into->total += from->total;
    into->max_ns = from->max_ns > into->max_ns ? from->max_ns : into->max_ns;
}

double latency_us(const struct latencies *latencies, double share)
{
    uint64_t wanted = (uint64_t)((double)latencies->total * share);
    uint64_t seen = 0;
    for (size_t i = 0; i < CLASSES; i++) {
        seen += latencies->counts[i];
        if (seen > wanted) {
            return (double)value_of(i) / 1000.0;
        }
    }
    return (double)latencies->max_ns / 1000.0;
}
