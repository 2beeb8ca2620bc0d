/* SPDX-License-Identifier: MIT */
/* The files of the runtime itself: pit.c opens and closes, pools.c has the pools, calls.c
 * the calls, turn.c ends a turn. Loop thread, where nothing else is said. */
#ifndef SP_PIT_PIT_INTERNAL_H
#define SP_PIT_PIT_INTERNAL_H

#include "pit/pit.h"

/* ---- pools.c ---- */

/* Before there is a loop: the pools of the options, at least one. On failure the first
 * pools_count of them are made. */
int sp__pools_init(struct sp_pit *pit, const sp_pit_options *options,
                   const char *bridge_path, sp_error *err) SP_MUST_CHECK;
/* Likewise: no more workers than all pools together may have, and a warning when the
 * memory they may take is more than there is. */
void sp__pools_limit(struct sp_pit *pit, uint32_t workers_max);
void sp__pools_fini(struct sp_pit *pit);

/* ---- calls.c ---- */

/* What pools tell of them; see struct pool_events. */
void sp__calls_ended(void *owner, struct request *request);
void sp__calls_chunks(void *owner, struct request *request);
struct request *sp__calls_find(void *owner, sp_id call);

/* Calls in whose place another one ended without having run. */
void sp__calls_go_on(struct sp_pit *pit);

/* ---- turn.c ---- */

extern const struct loop_events sp__turn_events;

#endif
