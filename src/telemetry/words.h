/* SPDX-License-Identifier: MIT */
/* The words for numbers of the public headers, the same in every report. */
#ifndef SP_TELEMETRY_WORDS_H
#define SP_TELEMETRY_WORDS_H

#include "snakepit/pool.h"

const char *sp__word_profile(int profile);
const char *sp__word_worker(int state);
const char *sp__word_stage(int stage); /* of a call */
const char *sp__word_breaker(int breaker);
const char *sp__word_durability(int durability);
const char *sp__word_store(int store);
const char *sp__word_zygote(int mode);
const char *sp__word_zygote_state(int state);

/* Of a pool: "running" while every worker is ready, "degraded" while some are,
 * "failed" when none is. */
const char *sp__word_pool(const sp_pool_stats *stats);

#endif
