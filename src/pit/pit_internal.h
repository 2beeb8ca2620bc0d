/* SPDX-License-Identifier: MIT */
/* The files of the runtime itself: pit.c opens and closes, pools.c has the pools, route.c and
 * calls.c the calls, turn.c ends a turn, taker.c waits for a call. Loop thread, where nothing
 * else is said. */
#ifndef SP_PIT_PIT_INTERNAL_H
#define SP_PIT_PIT_INTERNAL_H

#include "pit/pit.h"

/* ---- pools.c ---- */

/* Before there are loops: the pools of the options, at least one. On failure the first
 * pools_count of them are made. */
int sp__pools_init(struct sp_pit *pit, const sp_pit_options *options,
                   const char *bridge_path, sp_error *err) SP_MUST_CHECK;
/* Likewise: no more workers than all pools together may have, and a warning when the
 * memory they may take is more than there is. */
void sp__pools_limit(struct sp_pit *pit, uint32_t workers_max);
/* Likewise: a part of each for every lane, as far as their workers go. */
int sp__pools_divide(struct sp_pit *pit, const sp_pit_options *options,
                     const char *bridge_path, sp_error *err) SP_MUST_CHECK;
/* There are loops: all parts know each other's. */
void sp__pools_meet(struct sp_pit *pit);
/* The parts of a lane let go of its loop. */
void sp__pools_fini(struct lane *lane);
/* When the loops are gone. */
void sp__pools_free(struct sp_pit *pit);

/* Any thread: what a lane has of the pool of this index, or NULL. */
struct pool *sp__pools_part_on(const struct lane *lane, size_t index);

/* ---- calls.c ---- */

/* What pools tell of them; see struct pool_events. */
void sp__calls_ended(void *owner, struct request *request);
void sp__calls_chunks(void *owner, struct request *request);
void sp__calls_elsewhere(void *owner, struct request *request, struct pool *part);
struct request *sp__calls_find(void *owner, sp_id call);

/* Its taker, which drives, goes off with what came. */
void sp__calls_leave(struct lane *lane, struct request *request);

/* Calls in whose place another one ended without having run. */
void sp__calls_go_on(struct lane *lane);

/* ---- turn.c ---- */

extern const struct loop_events sp__turn_events;

/* Before there are calls. Their loop has it to its end. */
int sp__turn_init(struct lane *lane, sp_error *err) SP_MUST_CHECK;

#endif
