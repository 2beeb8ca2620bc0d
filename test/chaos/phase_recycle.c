/* SPDX-License-Identifier: MIT */
/*
 * Recycling: workers are replaced by hand, by age, by calls and by memory, one reason
 * after another, while calls that may not be repeated go on. None of them may fail.
 *
 * The first tenth of the load runs without, so that the latencies can be compared.
 */
#include "phases.h"

#include <stdio.h>

#include "nemesis.h"

enum {
    REASONS = 4,
    AGE_MS = 500,
    LEAK_BYTES = 1024 * 1024,
    MEMORY_MAX = 24 * 1024 * 1024
};

/* What makes a worker large. */
static const struct evil_kind leaks[] = {{"leak", LEAK_BYTES, 1, 1, 0}};

static const char *const reasons[REASONS] = {"by hand", "calls", "age", "memory"};

/* The pool that is recycled for that reason about as often as wanted. */
static sp_pool_options pool_for(struct scene *scene, int reason, uint64_t calls,
                                uint64_t recycles)
{
    sp_pool_options pool = scene_pool(scene);
    if (reason == 1) {
        pool.recycle_calls = calls / recycles;
    } else if (reason == 2) {
        pool.recycle_after_ms = AGE_MS;
        pool.recycle_jitter_permille = 500;
    } else if (reason == 3) {
        pool.recycle_memory_bytes = MEMORY_MAX;
    }
    return pool;
}

static uint64_t run_reason(struct scene *scene, int reason, uint64_t first)
{
    const struct amounts *amounts = scene->amounts;
    uint64_t calls = amounts->calls / REASONS;
    uint64_t wanted = amounts->recycles / REASONS > 0 ? amounts->recycles / REASONS : 1;
    struct load steady = {.pause_us = amounts->pause_us};
    struct load load = {.pause_us = amounts->pause_us,
                        .kinds = leaks,
                        .kinds_count = 1,
                        .evils = reason == 3 ? wanted * (MEMORY_MAX / LEAK_BYTES) : 0};
    struct nemesis nemesis = {.recycles = reason == 0 ? wanted : 0};
    sp_pool_options calm = scene_pool(scene);
    scene_pit_open(scene, &calm);
    load_start(&steady, scene, first, calls / 10);
    load_join(&steady);
    scene_heal(scene);
    scene_pit_close(scene);

    sp_pool_options pool = pool_for(scene, reason, calls, wanted);
    scene_pit_open(scene, &pool);
    load_start(&load, scene, first + calls / 10, calls - calls / 10);
    nemesis_start(&nemesis, &load);
    load_join(&load);
    nemesis_join(&nemesis);
    sp_pool_stats stats = scene_stats(scene);
    scene_heal(scene);
    scene_pit_close(scene);
    uint32_t before = percentile(steady.latency_us, steady.count, 990);
    uint32_t during = percentile(load.latency_us, load.count, 990);
    (void)printf(
        "  %-8s %5llu replaced in %llu calls; p99 %u us, without %u us: x%.2f\n",
        reasons[reason], (unsigned long long)stats.recycled,
        (unsigned long long)load.count, during, before,
        before > 0 ? (double)during / before : 0.0);
    (void)fflush(stdout);
    load_fini(&steady);
    load_fini(&load);
    return stats.recycled;
}

void phase_recycle(const struct amounts *amounts)
{
    struct scene scene;
    uint64_t recycled = 0;
    uint64_t calls = amounts->calls / REASONS;
    scene_open(&scene, amounts, calls * REASONS);
    for (int reason = 0; reason < REASONS; reason++) {
        recycled += run_reason(&scene, reason, calls * (uint64_t)reason);
    }
    (void)printf("  %llu workers replaced\n", (unsigned long long)recycled);
    scene_close(&scene);
}
