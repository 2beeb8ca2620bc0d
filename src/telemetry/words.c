/* SPDX-License-Identifier: MIT */
/* The words for numbers of the public headers. */
#include "telemetry/words.h"

#include <stddef.h>

#include "snakepit/death.h"
#include "snakepit/session.h"

/* The word of a number, or `other` for one that has none. */
static const char *word(const char *const *words, size_t count, int number,
                        const char *other)
{
    return number >= 0 && (size_t)number < count && words[number] != NULL
               ? words[number]
               : other;
}
#define WORD(words, number, other) \
    word(words, sizeof(words) / sizeof(words)[0], number, other)

const char *sp__word_profile(int profile)
{
    return profile == SP_PROFILE_THREAD ? "thread" : "process";
}

const char *sp__word_worker(int state)
{
    static const char *const words[] = {
        [SP_WORKER_STARTING] = "starting", [SP_WORKER_READY] = "ready",
        [SP_WORKER_BUSY] = "busy",         [SP_WORKER_STOPPING] = "stopping",
        [SP_WORKER_BACKOFF] = "backoff",   [SP_WORKER_DRAINING] = "draining"};
    return WORD(words, state, "unknown");
}

const char *sp__word_stage(int stage)
{
    static const char *const words[] = {"", "queued", "sent", "started", "streaming"};
    return WORD(words, stage, "");
}

const char *sp__word_breaker(int breaker)
{
    static const char *const words[] = {[SP_BREAKER_CLOSED] = "closed",
                                        [SP_BREAKER_OPEN] = "open",
                                        [SP_BREAKER_PROBING] = "probing"};
    return WORD(words, breaker, "unknown");
}

const char *sp__word_durability(int durability)
{
    return durability == SP_DURABILITY_DURABLE ? "durable"
           : durability == SP_DURABILITY_CRASH ? "crash"
                                               : "memory";
}

const char *sp__word_store(int store)
{
    return store == SP_STORE_OK       ? "ok"
           : store == SP_STORE_FULL   ? "full"
           : store == SP_STORE_FAILED ? "failed"
                                      : "none";
}

const char *sp__word_zygote(int mode)
{
    return mode == SP_ZYGOTE_ON ? "on" : mode == SP_ZYGOTE_AUTO ? "auto" : "off";
}

const char *sp__word_zygote_state(int state)
{
    static const char *const words[] = {[SP_ZYGOTE_STATE_NONE] = "none",
                                        [SP_ZYGOTE_STATE_STARTING] = "starting",
                                        [SP_ZYGOTE_STATE_READY] = "ready",
                                        [SP_ZYGOTE_STATE_WAITING] = "waiting"};
    return WORD(words, state, "none");
}

const char *sp__word_pool(const sp_pool_stats *stats)
{
    uint32_t ready = stats->available + stats->busy;
    return ready >= stats->workers ? "running" : ready > 0 ? "degraded" : "failed";
}
