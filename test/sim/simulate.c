/* SPDX-License-Identifier: MIT */
/*
 * What follows from a seed.
 *
 * Normal course: a pool of a random size with random limits lives in a world with random
 * faults for a while; every rule is held against every step. Then the faults stop and
 * nobody comes any more: within a bounded time no call may be open, every worker must be
 * ready and the breaker closed. Then it is closed and must leave.
 *
 * Failure: the text says which of the two judgements it was, safety or liveness.
 */
#include "simulate.h"

#include <stdio.h>

#include "snakepit/pool.h"

enum { FAULTS_MS = 20000, HEAL_MS = 300000, LEAVE_MS = 60000 };

static uint64_t mix(uint64_t *random, uint64_t below)
{
    uint64_t x = *random += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (x ^ (x >> 31)) % below;
}

static uint32_t between(uint64_t *random, uint32_t least, uint32_t most)
{
    return least + (uint32_t)mix(random, most - least + 1);
}

/* One time in `odds` something, else nothing. */
static uint32_t maybe(uint64_t *random, uint32_t odds, uint32_t most)
{
    return mix(random, odds) == 0 ? between(random, 1, most) : 0;
}

static void choose_core(uint64_t *r, struct core_options *core)
{
    *core = (struct core_options){
        .workers = between(r, 1, 6),
        .surge = between(r, 0, 2),
        .threads = between(r, 1, 3),
        .startup_batch = between(r, 1, 4),
        .startup_batch_delay_ms = maybe(r, 3, 50),
        .queue_max = between(r, 1, 20),
        .affinity = (int)between(r, SP_AFFINITY_HINT, SP_AFFINITY_STRICT_FAIL_FAST),
        .attempts_max = between(r, 1, 4),
        .retry_tokens_max = between(r, 1, 10),
        .recycle_after_ms = mix(r, 2) ? CORE_NEVER : between(r, 4000, 12000),
        .recycle_calls = mix(r, 2) ? CORE_NEVER : between(r, 1, 50),
        .recycle_memory_kib = mix(r, 2) ? CORE_NEVER : between(r, 1001, 2000),
        .recycle_jitter_permille = between(r, 0, 300),
        .drain_ms = between(r, 1, 500),
        .backoff_min_ms = between(r, 1, 100),
        .steady_ms = between(r, 1, 2000),
        .crashes_max = between(r, 1, 10),
        .crash_period_ms = between(r, 100, 10000),
        .probe_ms = between(r, 10, 3000),
        .suspect_ms = maybe(r, 2, 1000),
        .poison_deaths = between(r, 1, 3),
        .poison_block_ms = maybe(r, 3, 1000),
    };
    core->pipeline_max = core->threads + between(r, 0, 8);
    core->backoff_max_ms = core->backoff_min_ms + between(r, 0, 3000);
}

void simulate_options(uint64_t seed, struct world_options *ret)
{
    uint64_t random = seed ^ 0x5eed;
    uint64_t *r = &random;
    *ret = (struct world_options){
        .seed = seed,
        .start_ms = between(r, 1, 300),
        .start_fails = maybe(r, 3, 500),
        .spawn_fails = maybe(r, 4, 200),
        .call_ms = between(r, 1, 60),
        .call_fails = maybe(r, 2, 100),
        .call_crashes = maybe(r, 2, 50),
        .call_hangs = maybe(r, 3, 30),
        .refuses = maybe(r, 3, 100),
        .poison = maybe(r, 4, 20),
        .idempotent = between(r, 0, 1000),
        .streams = maybe(r, 2, 300),
        .sessions = maybe(r, 2, 800),
        .cancels = maybe(r, 2, 200),
        .asks = maybe(r, 2, 500),
        .stuck = maybe(r, 2, 500),
        .arrival_ms = between(r, 1, 100),
        .arrivals = between(r, 1, 4),
        .deadline_ms = between(r, 20, 2000),
        .queue_deadline_ms = maybe(r, 2, 500),
        .idle_deaths_ms = maybe(r, 2, 2000),
        .memory_ms = maybe(r, 2, 200),
        .grows_kib = between(r, 0, 20),
        .recycles_ms = maybe(r, 3, 1000),
        .spends = maybe(r, 4, 20),
        .death_ms = between(r, 0, 50),
    };
    choose_core(r, &ret->core);
}

static int fail(struct simulation *ret, const struct world *world, const char *kind)
{
    const struct rules *rules = world_rules(world);
    const struct core *core = world_core(world);
    if (rules->broken != NULL) {
        (void)snprintf(ret->text, sizeof ret->text, "safety: %s (%s) at %llu ms",
                       rules->broken, rules->text,
                       (unsigned long long)world_now_ms(world));
    } else {
        (void)snprintf(
            ret->text, sizeof ret->text,
            "%s: %u waiting, %u starting, %u ready, %u draining, %u stopping, "
            "%u queued, breaker %d",
            kind, core->states[SEAT_WAITING], core->states[SEAT_STARTING],
            core->states[SEAT_READY], core->states[SEAT_DRAINING],
            core->states[SEAT_STOPPING], core->queue.length, (int)core->breaker);
    }
    return -1;
}

/* No call is open, and the pool is what it should be. */
static int is_well(const struct world *world)
{
    const struct core *core = world_core(world);
    const struct rules *rules = world_rules(world);
    for (uint32_t i = 0; i < rules->calls_max; i++) {
        if (rules->calls[i].state != BOOK_NO_CALL) {
            return 0;
        }
    }
    return core->states[SEAT_READY] == core->options.workers &&
           core->breaker == BREAKER_CLOSED;
}

/* Replacing by age goes on for ever; between two replacements it must be well once. */
static int becomes_well(struct world *world)
{
    for (uint64_t passed_ms = 0; passed_ms < HEAL_MS; passed_ms += 7) {
        if (world_run_until(world, world_now_ms(world) + 7) < 0) {
            return 0;
        }
        if (is_well(world)) {
            return 1;
        }
    }
    return 0;
}

static int judge(struct world *world, struct simulation *ret)
{
    if (world_run_until(world, FAULTS_MS) < 0) {
        return fail(ret, world, "safety");
    }
    world_heal(world);
    if (!becomes_well(world)) {
        return fail(ret, world, "liveness");
    }
    world_close(world);
    (void)world_run_until(world, world_now_ms(world) + LEAVE_MS);
    if (world_rules(world)->broken != NULL || !world_rules(world)->left) {
        return fail(ret, world, "it does not leave");
    }
    uint64_t ended = 0;
    for (size_t i = 0; i <= ENDING_DEADLOCK; i++) {
        ended += world_rules(world)->endings[i];
    }
    if (ended != world_calls(world)) {
        (void)snprintf(ret->text, sizeof ret->text, "%llu calls, %llu endings",
                       (unsigned long long)world_calls(world),
                       (unsigned long long)ended);
        return -1;
    }
    return 0;
}

int simulate(uint64_t seed, int prints, struct simulation *ret)
{
    struct world_options options;
    simulate_options(seed, &options);
    struct world *world = world_new(&options);
    world_print(world, prints);
    *ret = (struct simulation){.seed = seed};
    int rc = judge(world, ret);
    ret->events = world_events(world);
    ret->calls = world_calls(world);
    ret->log = world_log(world);
    world_free(world);
    return rc;
}
