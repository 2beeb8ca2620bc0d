/* SPDX-License-Identifier: MIT */
/*
 * Misdeeds: one kind after another of what a worker can do besides its work, in every
 * few calls, while the others want to be carried out as always. At the end of each every
 * worker is replaced, so that what its children are counts as left behind.
 */
#include "phases.h"

#include <stdio.h>

#include "load.h"

struct mischief {
    struct evil_kind kind;
    uint64_t evils;
    int deadly; /* what is not idempotent may die of it */
    int late;   /* it may take longer than its deadline */
};

static const struct mischief kinds[] = {
    {{"out", 0, 1, 1, 0}, 4, 0, 0},      {{"err", 0, 1, 1, 0}, 4, 0, 0},
    {{"garbage", 0, 0, 3, 1}, 10, 1, 0}, {{"twice", 0, 0, 3, 1}, 10, 1, 0},
    {{"exit", 0, 0, 3, 1}, 10, 1, 0},    {{"kill", 0, 0, 3, 1}, 10, 1, 0},
    {{"stop", 0, 0, 3, 1}, 4, 1, 0},     {{"bomb", 64, 1, 1, 0}, 4, 0, 0},
    {{"child", 0, 1, 1, 0}, 10, 0, 0},   {{"fail", 0, 1, 1, 0}, 10, 0, 0},
    {{"deaf", 4000, 1, 1, 1}, 4, 1, 1},  {{"spin", 0, 1, 1, 1}, 4, 1, 1},
};

enum { KINDS = sizeof kinds / sizeof kinds[0], SHORT_MS = 1500 };

static void recycle_all(struct scene *scene)
{
    uint64_t end_us = ledger_now_us() + 20000000u;
    uint64_t wanted = scene_stats(scene).recycled + scene->amounts->workers;
    (void)sp_pool_recycle(scene->pit, NULL, 0, NULL);
    while (scene_stats(scene).recycled < wanted && ledger_now_us() < end_us) {
        scene_dispatch(scene, 10);
    }
}

static void expect(const struct scene *scene)
{
    static const char *const all[] = {"once", "again"};
    for (int i = 0; i < 2; i++) {
        scene_expect_answer(scene, all[i], SP_ERR_REMOTE);
        scene_expect_answer(scene, all[i], SP_ERR_TIMEOUT);
    }
    scene_expect_answer(scene, "once", SP_ERR_WORKER_DIED);
    scene_expect_answer(scene, "once", SP_ERR_PROTOCOL);
    scene_expect_event(scene, SP_EVENT_WORKER_DIED);
    scene_expect_event(scene, SP_EVENT_HEALTH_FAILED);
}

void phase_misdeeds(const struct amounts *amounts)
{
    struct scene scene;
    scene_open(&scene, amounts, amounts->calls * KINDS);
    expect(&scene);
    for (uint64_t i = 0; i < KINDS; i++) {
        struct evil_kind kind = kinds[i].kind;
        struct load load = {.kinds = &kind,
                            .kinds_count = 1,
                            .evils = kinds[i].evils,
                            .timeout_ms = kinds[i].late ? SHORT_MS : 0};
        kind.amount = i < 2 ? amounts->bytes / kinds[i].evils : kind.amount;
        sp_pool_options pool = scene_pool(&scene);
        pool.cancel_grace_ms = 200;
        scene_pit_open(&scene, &pool);
        uint64_t start_us = ledger_now_us();
        load_start(&load, &scene, i * amounts->calls, amounts->calls);
        load_join(&load);
        (void)printf("  %-8s %llu calls in %.1f s, p99 %u us; %llu workers died\n",
                     kind.what, (unsigned long long)amounts->calls,
                     (double)(ledger_now_us() - start_us) / 1e6,
                     percentile(load.latency_us, load.count, 990),
                     (unsigned long long)scene_stats(&scene).workers_died);
        (void)fflush(stdout);
        load_fini(&load);
        recycle_all(&scene);
        scene_heal(&scene);
        scene_pit_close(&scene);
    }
    scene_close(&scene);
}
