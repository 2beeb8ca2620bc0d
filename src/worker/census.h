/* SPDX-License-Identifier: MIT */
/* The memory of workers and of everything they have started, from time to time. */
#ifndef SP_WORKER_CENSUS_H
#define SP_WORKER_CENSUS_H

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "io/loop.h"
#include "worker/vitals.h"

struct workshop;

enum { CENSUS_TREE_MAX = 256 }; /* processes of one worker that are counted */

/* What one worker has. All 0: it was not looked at yet. */
struct sample {
    uint64_t at_ms;
    uint64_t rss_bytes;  /* the worker's own resident set, shared pages counted whole */
    uint64_t pss_bytes;  /* the same with shared pages split among their users; 0: not
                            known, or not worth its price this time */
    uint64_t tree_bytes; /* the worker and its descendants: PSS where known, else RSS */
    uint64_t tree_rss_bytes; /* the same, shared pages counted whole */
    uint32_t processes;      /* in that tree, the worker included */
    char state;              /* of the worker, as in struct vitals */
    uint64_t cpu_ms;         /* its processor time */
    uint64_t pss_next_ms;    /* shared pages are not split again before this */
};

struct census {
    struct workshop *shop;
    struct timer timer;
    void (*on_round)(void *user); /* one is over; or NULL */
    void *user;
    uint64_t interval_ms;
    uint64_t due_ms;      /* of the next round */
    struct histogram lag; /* how late the loop came to each round, by its clock of
                             whole milliseconds */
    DIR *proc;            /* open during a walk */
    struct vitals *found;
    size_t found_count;
    size_t found_max;
    uint64_t *ids; /* workers that are to be measured still */
    size_t ids_count;
    uint64_t spent_us; /* of the loop's time, in this round */
};

/* Begin; interval_ms SP_UNLIMITED: never. Loop thread. 0 or SP_ERR_NOMEM. */
int sp__census_start(struct census *census, struct workshop *shop, uint64_t interval_ms,
                     sp_error *err) SP_MUST_CHECK;
void sp__census_stop(struct census *census); /* fine when zeroed */

/* Which of found[0..count), sorted by pid, belong to the worker with this pid: those that
 * descend from it, and those in its group or session, wherever they hang now. At most
 * `max` indices; the first is the worker. Pure, for the tests. */
size_t sp__census_tree(const struct vitals *found, size_t count, int pid, size_t *ret,
                       size_t max);

#endif
