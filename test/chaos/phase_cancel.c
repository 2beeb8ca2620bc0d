/* SPDX-License-Identifier: MIT */
/*
 * Cancelling: half of the calls and streams are cancelled at random moments, from before
 * they are sent to after they have ended.
 */
#include "phases.h"

#include <stdio.h>

#include "load.h"

void phase_cancel(const struct amounts *amounts)
{
    static const char *const kinds[] = {"once", "again", "stream", "restream"};
    struct scene scene;
    struct load load = {.streams = amounts->streams};
    uint64_t count = amounts->calls + amounts->streams;
    scene_open(&scene, amounts, count);
    for (int i = 0; i < 4; i++) {
        scene_expect_answer(&scene, kinds[i], SP_ERR_CANCELLED);
    }
    sp_pool_options pool = scene_pool(&scene);
    scene_pit_open(&scene, &pool);
    load_start(&load, &scene, 0, count);
    load_join(&load);
    scene_heal(&scene);
    sp_pool_stats stats = scene_stats(&scene);
    scene_pit_close(&scene);
    (void)printf("  %llu of %llu ended cancelled\n",
                 (unsigned long long)stats.cancelled, (unsigned long long)count);
    load_fini(&load);
    scene_close(&scene);
}
