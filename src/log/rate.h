/* SPDX-License-Identifier: MIT */
/* So many lines of one kind in a while, the others counted. */
#ifndef SP_LOG_RATE_H
#define SP_LOG_RATE_H

#include <stdint.h>

/* Kinds of which lines are counted at a time; others share a place. */
enum { RATE_KINDS = 1024, RATE_NAME_MAX = 96 };

struct rate_kind {
    uint64_t hash; /* 0: free */
    uint64_t begun_ms;
    uint32_t lines;
    uint64_t dropped;
    char name[RATE_NAME_MAX]; /* "worker.output api/7" */
};

struct rate {
    uint32_t lines_max; /* UINT32_MAX: any number */
    uint64_t interval_ms;
    uint64_t due_ms;   /* no kind that has dropped lines is over before */
    uint64_t dropping; /* kinds with lines that have not been told */
    struct rate_kind kinds[RATE_KINDS];
};

/* May one more line of the kind be written? Else it is counted. What its last interval
 * has dropped is to be taken first, see sp__rate_due(). */
int sp__rate_may(struct rate *rate, const char *name, uint64_t now_ms);

/* The next kind whose time is over and that has dropped lines, which are 0 then; NULL
 * when there is none. `is_end`: whether their time is over or not. */
const struct rate_kind *sp__rate_due(struct rate *rate, uint64_t now_ms, int is_end,
                                     uint64_t *ret_dropped);

#endif
