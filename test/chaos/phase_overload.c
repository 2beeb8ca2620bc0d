/* SPDX-License-Identifier: MIT */
/*
 * Overload: as much as the pool can carry, then ten times as many calls for as long as
 * wanted, then as before. What does not fit is refused at once, and what is carried out
 * is as much as before.
 */
#include "phases.h"

#include <stdio.h>

#include "load.h"
#include "processes.h"

enum { STAGES = 3, TIMES = 10, TIMEOUT_MIN_MS = 20, TIMEOUT_MAX_MS = 2000 };

static const char *const stages[STAGES] = {"1 x", "10 x", "1 x again"};

/* The clients of the first stage keep every worker busy; those of the second come as
 * often as would keep ten times as many busy, however fast they are refused. */
static void run_stage(struct scene *scene, int stage, uint64_t first, uint64_t count)
{
    const struct amounts *amounts = scene->amounts;
    struct load load = {.timeout_ms = TIMEOUT_MAX_MS, .timeout_min_ms = TIMEOUT_MIN_MS};
    uint64_t well = 0;
    uint64_t refused = 0;
    if (stage == 1) {
        load.clients = 2 * TIMES * amounts->workers;
        load.pause_us = 2 * amounts->work_us;
    } else {
        load.clients = 2 * amounts->workers;
    }
    uint64_t start_us = ledger_now_us();
    load_start(&load, scene, first, count);
    load_join(&load);
    double seconds = (double)(ledger_now_us() - start_us) / 1e6;
    for (uint64_t i = 0; i < count; i++) {
        well += load.latency_us[i] > 0;
        refused += load.refused_us[i] > 0;
    }
    (void)printf("  %-9s %.1f s, offered %.0f/s, carried out %.0f/s, %llu refused (p99 "
                 "%u us), resident %zu KiB\n",
                 stages[stage], seconds, (double)count / seconds,
                 (double)well / seconds, (unsigned long long)refused,
                 percentile(load.refused_us, count, 990),
                 processes_resident_bytes() / 1024);
    (void)fflush(stdout);
    load_fini(&load);
}

void phase_overload(const struct amounts *amounts)
{
    struct scene scene;
    /* A tenth of the time before, all of it ten times as much, a tenth after it. */
    uint64_t carried =
        amounts->seconds * amounts->workers * 1000000u / amounts->work_us;
    uint64_t counts[STAGES] = {carried / 10, carried * TIMES, carried / 10};
    uint64_t first = 0;
    static const char *const kinds[] = {"once", "again"};
    scene_open(&scene, amounts, counts[0] + counts[1] + counts[2]);
    for (int i = 0; i < 2; i++) {
        scene_expect_answer(&scene, kinds[i], SP_ERR_QUEUE_FULL);
        scene_expect_answer(&scene, kinds[i], SP_ERR_TIMEOUT);
        scene_expect_answer(&scene, kinds[i], SP_ERR_QUEUE_TIMEOUT);
    }
    scene_expect_event(&scene, SP_EVENT_POOL_SATURATED);
    sp_pool_options pool = scene_pool(&scene);
    pool.queue_max = (uint32_t)(2 * amounts->workers);
    pool.pipeline_max = 1;
    scene_pit_open(&scene, &pool);
    for (int stage = 0; stage < STAGES; stage++) {
        run_stage(&scene, stage, first, counts[stage]);
        first += counts[stage];
    }
    scene_heal(&scene);
    scene_pit_close(&scene);
    scene_close(&scene);
}
