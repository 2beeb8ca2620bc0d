/* SPDX-License-Identifier: MIT */
/*
 * A pool whose workers are divided over several loops.
 *
 * Each part is a struct pool of its own on its own loop, with its own decisions. What
 * holds for the pool as a whole, and what one part may know of the others, is here: a few
 * numbers that each part keeps true for everybody at the end of a step. A pool that is
 * whole has no share, and pays nothing for this.
 */
#ifndef SP_POOL_SHARE_H
#define SP_POOL_SHARE_H

#include <pthread.h>
#include <stdatomic.h>

#include "pool/pool.h"

enum { PARTS_MAX = 64 };

/* What all may know of a part. */
struct part_view {
    /* Any thread: calls that it has, and that are on their way to it. */
    atomic_uint calls;
    /* Written by its loop. */
    atomic_uint places; /* calls that its ready workers run at once */
    atomic_uint ready;  /* workers */
    atomic_uint busy;   /* of them */
    atomic_uint queued; /* calls that wait, and may go anywhere */
    atomic_uint idle;   /* places free; who sends calls there counts them off at once */
    atomic_int breaker; /* enum core_breaker */
    atomic_int was_ready;
    atomic_int hopeless;
    atomic_uint
        nested;        /* of those queued: that others asked for, and may go anywhere */
    atomic_int yields; /* it holds calls back for them */
    atomic_int wants_leave;         /* somebody is to be relieved, and must wait */
    atomic_int steals;              /* it has asked another part for calls */
    atomic_uint_least64_t *workers; /* ids by seat, 0: none */
    uint32_t seats;
    char apart[64]; /* of the next one, whose writers are others */
};

/* How a part is, or all of them together. */
struct status {
    uint32_t workers;
    uint32_t available;
    uint32_t busy;
    uint32_t queued;
    uint64_t requests;
    uint64_t errors;
};

struct pool_share {
    /* Set before start, then constant. */
    struct pool **parts;
    uint32_t parts_count;
    struct part_view *views;

    /* Any thread: over all parts. */
    atomic_uint queued; /* with the places that are being taken */
    atomic_uint nested;
    atomic_uint reliefs;
    atomic_uint were_ready; /* parts that have been, once */

    pthread_mutex_t lock;
    /* Under lock. */
    sp_error last_failure;                 /* of a start; code 0: none */
    struct death *deaths[POOL_DEATHS_MAX]; /* a ring */
    uint64_t deaths_count;
    struct status statuses[PARTS_MAX]; /* as each part noted it last */
};

/* Which part is to have a call that may go anywhere: of two that chance picks, the one
 * with less to do for each place; when that has no place free, any that has; one without
 * ready workers only when nobody has any. Reads the views only; count > 0. */
uint32_t sp__share_choose(const struct part_view *views, uint32_t count,
                          uint64_t random);

/* Of any pool: how many parts it has, one when it is whole, and which they are. */
static inline uint32_t sp__pool_parts(const struct pool *front)
{
    return front->share == NULL ? 1 : front->share->parts_count;
}

static inline struct pool *sp__pool_part(const struct pool *front, uint32_t number)
{
    return front->share == NULL ? front->front : front->share->parts[number];
}

/* How many of `whole` things are this part's; the first parts have one more. */
static inline uint32_t sp__share_of(uint32_t whole, uint32_t part, uint32_t parts_count)
{
    return whole / parts_count + (part < whole % parts_count);
}

/* Before the loops know them: divide a pool, which is the first part. Room for the others
 * is made, they are the caller's to init and to own. */
int sp__share_new(struct pool *front, uint32_t parts_count,
                  sp_error *err) SP_MUST_CHECK;
/* The part of this number joins; its options say how many workers all have. */
int sp__share_join(struct pool *front, struct pool *part, uint32_t number,
                   sp_error *err) SP_MUST_CHECK;
void sp__share_free(struct pool_share *share);

/* Any thread: the part for a call that may go anywhere. */
struct pool *sp__share_route(const struct pool_share *share);
/* Any thread: a call goes to this part (1), or has left it (-1). */
void sp__share_count(const struct pool *part, int change);
/* Any thread: another part has ready workers. */
int sp__share_others_ready(const struct pool *part);
/* Any thread: there is a process of this id in some part. */
int sp__share_has_worker(const struct pool_share *share, uint64_t worker);

/* Loop thread of the part. Before CORE_SUBMIT: take a place in the queue of the whole,
 * so that the core says rightly when that is full; one that was in the queue of another
 * part has its place. The step gives it back. */
void sp__share_take_place(struct pool *part, int has_one);
/* Loop thread of the part, before every step: what others have that comes first. */
void sp__share_prepare(struct pool *part);
/* Tell the others how it is. */
void sp__share_tell(struct pool *part);
/* After every step: that, and give away what they can run now. */
void sp__share_settle(struct pool *part);
/* A process came into a seat, or went (0). */
void sp__share_seated(const struct pool *part, uint32_t seat, uint64_t worker);
/* A worker of it has died; and what is known of one that may have been in any part. */
void sp__share_died(const struct pool *part, struct death *certificate);
int sp__share_fate(const struct pool *part, uint64_t worker, struct fate *ret);
void sp__share_start_failed(const struct pool *part, const sp_error *failure);
/* 1 when this part is the last one that became ready for the first time. */
int sp__share_was_last(const struct pool *part);

/* What two parts have done and are doing, in sum. */
void sp__share_add_stats(sp_pool_stats *sum, const sp_pool_stats *part);

/* Any thread: calls that wait in all parts, and workers that run some. */
uint32_t sp__share_queued(const struct pool *part);
uint32_t sp__share_busy(const struct pool *part);
/* Its loop: note how a part is, which becomes the sum of what all have noted last. */
void sp__share_note_status(const struct pool *part, struct status *status);

#endif
