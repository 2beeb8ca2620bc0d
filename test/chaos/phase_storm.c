/* SPDX-License-Identifier: MIT */
/*
 * The storm: calls and streams of many clients while workers are killed, crash by
 * themselves, stop answering, and lose their guard.
 *
 * What may happen: a call that is not idempotent dies with its worker; a stream does
 * when chunks of it have been seen. An idempotent call never fails.
 */
#include "phases.h"

#include <stdio.h>

#include "nemesis.h"

static void expect(const struct scene *scene)
{
    scene_expect_answer(scene, "once", SP_ERR_WORKER_DIED);
    scene_expect_answer(scene, "stream", SP_ERR_WORKER_DIED);
    scene_expect_answer(scene, "restream", SP_ERR_WORKER_DIED);
    scene_expect_event(scene, SP_EVENT_WORKER_DIED);
    scene_expect_event(scene, SP_EVENT_HEALTH_FAILED);
    if (scene->amounts->guards > 0) { /* workers go with it */
        scene_expect_event(scene, SP_EVENT_WARNING);
        scene_expect_answer(scene, "once", SP_ERR_GUARD);
        scene_expect_answer(scene, "stream", SP_ERR_GUARD);
        scene_expect_answer(scene, "restream", SP_ERR_GUARD);
    }
}

void phase_storm(const struct amounts *amounts)
{
    struct scene scene;
    struct load load = {.streams = amounts->streams};
    struct nemesis nemesis = {.kills = amounts->kills,
                              .hangs = amounts->hangs,
                              .guards = amounts->guards,
                              .recycles = amounts->recycles};
    uint64_t count = amounts->calls + amounts->streams;
    scene_open(&scene, amounts, count);
    expect(&scene);
    sp_pool_options pool = scene_pool(&scene);
    scene_pit_open(&scene, &pool);
    uint64_t start_us = ledger_now_us();
    load_start(&load, &scene, 0, count);
    nemesis_start(&nemesis, &load);
    load_join(&load);
    nemesis_join(&nemesis);
    double seconds = (double)(ledger_now_us() - start_us) / 1e6;
    scene_heal(&scene);
    sp_pool_stats stats = scene_stats(&scene);
    scene_pit_close(&scene);
    (void)printf("  %.1f s, %.0f calls/s, p50 %u us, p99 %u us; %llu workers started, "
                 "%llu attempts were second ones\n",
                 seconds, (double)count / seconds, load_latency(&load, 0, count, 500),
                 load_latency(&load, 0, count, 990),
                 (unsigned long long)stats.workers_started,
                 (unsigned long long)stats.retried);
    load_fini(&load);
    scene_close(&scene);
}
