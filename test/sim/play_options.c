/* SPDX-License-Identifier: MIT */
/*
 * The small pools that are explored: two workers, three requests, one place in the
 * queue, and every limit so near that it is reached.
 */
#include "play.h"
#include "snakepit/pool.h"

/* What all of them have in common. */
#define SMALL                                                                   \
    .workers = 2, .attempts_max = 2, .retry_tokens_max = 2, .drain_ms = 2,      \
    .backoff_min_ms = 1, .backoff_max_ms = 1, .steady_ms = 2, .crashes_max = 1, \
    .crash_period_ms = 4, .probe_ms = 2, .poison_deaths = 2, .seed = 1

#define ONE_THREAD .threads = 1, .pipeline_max = 2
#define NO_RECYCLE                                               \
    .recycle_after_ms = CORE_NEVER, .recycle_calls = CORE_NEVER, \
    .recycle_memory_kib = CORE_NEVER

enum { LONG_US = 1000, SHORT_US = 10 };

#define THREE_REQUESTS                                                     \
    .requests_count = 3,                                                   \
    .requests = {                                                          \
        {.average_us = LONG_US, .deadline_ms = 3, .queue_deadline_ms = 1}, \
        {.average_us = LONG_US, .idempotent = 1},                          \
        {.average_us = LONG_US, .idempotent = 1, .streaming = 1, .deadline_ms = 3}}

#define THREE_OF_A_SESSION                                            \
    .requests_count = 3,                                              \
    .requests = {{.average_us = LONG_US, .deadline_ms = 3, .own = 1}, \
                 {.average_us = LONG_US, .idempotent = 1, .own = 1},  \
                 {.average_us = LONG_US, .deadline_ms = 2}}

const struct play_options play_options[] = {
    {.name = "calls",
     .core = {SMALL, ONE_THREAD, .queue_max = 1, NO_RECYCLE, .surge = 1,
              .startup_batch = 2},
     THREE_REQUESTS,
     .cancels = 1,
     .refuses = 1},
    {.name = "recycle",
     .core = {SMALL, ONE_THREAD, .queue_max = 1, .surge = 1, .startup_batch = 2,
              .recycle_after_ms = CORE_NEVER, .recycle_calls = 2,
              .recycle_memory_kib = 2},
     THREE_REQUESTS,
     .recycles = 1,
     .memory = 1,
     .spends = 1},
    {.name = "no-surge",
     .core = {SMALL, ONE_THREAD, .queue_max = 1, .startup_batch = 2,
              .recycle_after_ms = 3, .recycle_calls = CORE_NEVER,
              .recycle_memory_kib = CORE_NEVER},
     THREE_REQUESTS,
     .recycles = 1,
     .spends = 1},
    {.name = "breaker",
     .core = {SMALL, ONE_THREAD, .queue_max = 1, NO_RECYCLE, .surge = 1,
              .startup_batch = 1, .startup_batch_delay_ms = 1, .suspect_ms = 2,
              .poison_block_ms = 3},
     THREE_REQUESTS,
     .recycles = 1,
     .permanent = 1,
     .no_guard = 1},
    {.name = "strict-queue",
     .core = {SMALL, ONE_THREAD, .queue_max = 2, NO_RECYCLE, .surge = 1,
              .startup_batch = 2, .affinity = SP_AFFINITY_STRICT_QUEUE},
     THREE_OF_A_SESSION,
     .cancels = 1,
     .recycles = 1,
     .refuses = 1},
    {.name = "fail-fast",
     .core = {SMALL, ONE_THREAD, .queue_max = 1, NO_RECYCLE, .surge = 1,
              .startup_batch = 2, .affinity = SP_AFFINITY_STRICT_FAIL_FAST},
     THREE_OF_A_SESSION,
     .recycles = 1,
     .spends = 1},
    {.name = "threads",
     .core = {SMALL, NO_RECYCLE, .surge = 1, .startup_batch = 2, .threads = 2,
              .pipeline_max = 3, .queue_max = 2, .affinity = SP_AFFINITY_STRICT_QUEUE},
     .requests_count = 4,
     .requests = {{.average_us = SHORT_US, .own = 1},
                  {.average_us = SHORT_US, .idempotent = 1},
                  {.average_us = LONG_US, .deadline_ms = 3, .own = 1},
                  {.average_us = LONG_US}},
     .cancels = 1},
    {.name = "nested",
     .core = {SMALL, ONE_THREAD, .queue_max = 2, NO_RECYCLE, .surge = 1,
              .startup_batch = 2},
     .requests_count = 4,
     .requests = {{.average_us = SHORT_US},
                  {.average_us = SHORT_US, .nested = 1, .idempotent = 1},
                  {.average_us = SHORT_US, .nested = 2, .deadline_ms = 3},
                  {.average_us = LONG_US}},
     .cancels = 1,
     .recycles = 1,
     .refuses = 1},
};
const size_t play_options_count = sizeof play_options / sizeof play_options[0];
