/* SPDX-License-Identifier: MIT */
/*
 * The limit of lines of one kind, on a clock that is given.
 *
 * A kind has a place in a table of fixed size, found by its name's hash, and an interval
 * that begins with its first line. A table that is full forgets a kind whose interval is
 * over and that owes no count; when there is none near, two kinds share a place and its
 * limit, which writes less and never more.
 */
#include "log/rate.h"

#include <stdio.h>

enum { PROBES = 8 };

/* FNV-1a, never 0. */
static uint64_t hash_of(const char *name)
{
    uint64_t hash = 14695981039346656037u;
    for (const unsigned char *c = (const unsigned char *)name; *c != '\0'; c++) {
        hash = (hash ^ *c) * 1099511628211u;
    }
    return hash | 1;
}

static int is_over(const struct rate *rate, const struct rate_kind *kind,
                   uint64_t now_ms)
{
    return now_ms - kind->begun_ms >= rate->interval_ms;
}

static struct rate_kind *find(struct rate *rate, const char *name, uint64_t now_ms)
{
    uint64_t hash = hash_of(name);
    struct rate_kind *free_kind = NULL;
    for (uint64_t i = 0; i < PROBES; i++) {
        struct rate_kind *kind = &rate->kinds[(hash + i) % RATE_KINDS];
        if (kind->hash == hash) {
            return kind;
        }
        if (free_kind == NULL &&
            (kind->hash == 0 || (kind->dropped == 0 && is_over(rate, kind, now_ms)))) {
            free_kind = kind;
        }
    }
    if (free_kind == NULL) {
        return &rate->kinds[hash % RATE_KINDS];
    }
    *free_kind = (struct rate_kind){.hash = hash, .begun_ms = now_ms};
    (void)snprintf(free_kind->name, sizeof free_kind->name, "%s", name);
    return free_kind;
}

int sp__rate_may(struct rate *rate, const char *name, uint64_t now_ms)
{
    if (rate->lines_max == UINT32_MAX) {
        return 1;
    }
    struct rate_kind *kind = find(rate, name, now_ms);
    if (is_over(rate, kind, now_ms)) {
        kind->begun_ms = now_ms;
        kind->lines = 0;
    }
    if (kind->lines < rate->lines_max) {
        kind->lines++;
        return 1;
    }
    uint64_t over_ms = kind->begun_ms + rate->interval_ms;
    if (rate->dropping == 0 || over_ms < rate->due_ms) {
        rate->due_ms = over_ms;
    }
    rate->dropping += kind->dropped == 0;
    kind->dropped++;
    return 0;
}

const struct rate_kind *sp__rate_due(struct rate *rate, uint64_t now_ms, int is_end,
                                     uint64_t *ret_dropped)
{
    if (rate->dropping == 0 || (!is_end && now_ms < rate->due_ms)) {
        return NULL;
    }
    uint64_t due_ms = UINT64_MAX;
    for (size_t i = 0; i < RATE_KINDS; i++) {
        struct rate_kind *kind = &rate->kinds[i];
        if (kind->dropped == 0) {
            continue;
        }
        if (is_end || is_over(rate, kind, now_ms)) {
            *ret_dropped = kind->dropped;
            kind->dropped = 0;
            rate->dropping--;
            return kind;
        }
        uint64_t over_ms = kind->begun_ms + rate->interval_ms;
        due_ms = over_ms < due_ms ? over_ms : due_ms;
    }
    rate->due_ms = due_ms;
    return NULL;
}
