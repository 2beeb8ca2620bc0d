/* SPDX-License-Identifier: MIT */
/*
 * The storm: calls and streams of many clients while workers are killed, crash by
 * themselves, stop answering, and lose their guard. With a pause between the calls it is
 * a soak: the same for long, with figures every now and then.
 *
 * What may happen: a call that is not idempotent dies with its worker; a stream does
 * when chunks of it have been seen. An idempotent call never fails.
 */
#include "phases.h"

#include <stdio.h>

#include "nemesis.h"

enum { SAMPLE_US = 30000000 };

/* How workers end by themselves, once per call. The last one needs a place where memory
 * is short. */
static const struct evil_kind deaths[] = {
    {"segv", 0, 0, 3, 1}, {"abort", 0, 0, 3, 1}, {"segv", 0, 0, 3, 1},
    {"exit", 0, 0, 3, 1}, {"segv", 0, 0, 3, 1},  {"eat", 0, 0, 3, 1},
};

/* And what else they do while nobody looks. They leave no children: where there is no PID
 * namespace, those of a worker whose guard was killed wait for the next start's sweep. */
static const struct evil_kind everything[] = {
    {"segv", 0, 0, 3, 1},     {"out", 300000, 1, 1, 1}, {"kill", 0, 0, 3, 1},
    {"err", 300000, 1, 1, 1}, {"abort", 0, 0, 3, 1},    {"leak", 2000000, 1, 1, 1},
    {"garbage", 0, 1, 1, 1},  {"stop", 0, 1, 1, 1},     {"twice", 0, 0, 3, 1},
    {"slow", 50, 1, 1, 1},
};

static void expect(const struct scene *scene)
{
    static const char *const kinds[] = {"once", "stream", "restream"};
    for (int i = 0; i < 3; i++) {
        scene_expect_answer(scene, kinds[i], SP_ERR_WORKER_DIED);
        if (scene->amounts->guards > 0) { /* workers go with it */
            scene_expect_answer(scene, kinds[i], SP_ERR_GUARD);
        }
        if (scene->amounts->pause_us > 0) { /* garbage is among it */
            scene_expect_answer(scene, kinds[i], SP_ERR_PROTOCOL);
        }
    }
    scene_expect_event(scene, SP_EVENT_WORKER_DIED);
    scene_expect_event(scene, SP_EVENT_HEALTH_FAILED);
    if (scene->amounts->guards > 0) {
        scene_expect_event(scene, SP_EVENT_WARNING);
    }
}

static void watch(struct scene *scene, struct load *load)
{
    uint64_t next_us = ledger_now_us();
    while (!load_is_done(load)) {
        scene_dispatch(scene, 20);
        if (load->pause_us > 0 && ledger_now_us() >= next_us) {
            next_us += SAMPLE_US;
            scene_print_sample(scene);
        }
    }
    load_join(load);
}

static void print_result(const struct scene *scene, const struct load *load,
                         double seconds)
{
    sp_pool_stats stats = scene_stats(scene);
    (void)printf("  %.1f s, %.0f calls/s, p50 %u us, p99 %u us; %llu workers started, "
                 "%llu attempts were second ones, %lu workers ran out of memory\n",
                 seconds, (double)load->count / seconds,
                 percentile(load->latency_us, load->count, 500),
                 percentile(load->latency_us, load->count, 990),
                 (unsigned long long)stats.workers_started,
                 (unsigned long long)stats.retried, scene_oom_kills(scene));
}

static void run(const struct amounts *amounts, struct load *load)
{
    struct scene scene;
    struct nemesis nemesis = {.kills = amounts->kills,
                              .hangs = amounts->hangs,
                              .guards = amounts->guards,
                              .recycles = amounts->recycles};
    uint64_t count = amounts->calls + amounts->streams;
    load->streams = amounts->streams;
    load->pause_us = amounts->pause_us;
    scene_open(&scene, amounts, count);
    expect(&scene);
    if (load->kinds == deaths && scene.cgroup[0] == '\0') {
        load->kinds_count--;
        (void)printf(
            "  no memory cgroup can be made here: nobody runs out of memory\n");
    }
    sp_pool_options pool = scene_pool(&scene);
    scene_pit_open(&scene, &pool);
    uint64_t start_us = ledger_now_us();
    load_start(load, &scene, 0, count);
    nemesis_start(&nemesis, load);
    watch(&scene, load);
    nemesis_join(&nemesis);
    double seconds = (double)(ledger_now_us() - start_us) / 1e6;
    scene_heal(&scene);
    print_result(&scene, load, seconds);
    scene_pit_close(&scene);
    load_fini(load);
    scene_close(&scene);
}

void phase_storm(const struct amounts *amounts)
{
    struct load load = {.kinds = deaths,
                        .kinds_count = sizeof deaths / sizeof deaths[0],
                        .evils = amounts->evils};
    run(amounts, &load);
}

void phase_soak(const struct amounts *amounts)
{
    struct amounts all = *amounts;
    struct load load = {.kinds = everything,
                        .kinds_count = sizeof everything / sizeof everything[0]};
    /* So many calls a second, and one fault in a second: half done to workers, half by
     * them. */
    uint64_t rate =
        amounts->clients * 1000000u / (amounts->pause_us + amounts->work_us);
    all.calls = amounts->seconds * rate * 95 / 100;
    all.streams = amounts->seconds * rate * 5 / 100;
    all.kills = amounts->seconds * 35 / 100;
    all.hangs = amounts->seconds * 5 / 100;
    all.recycles = amounts->seconds * 9 / 100;
    all.guards = amounts->seconds / 100;
    all.evils = amounts->seconds / 2;
    load.evils = all.evils;
    run(&all, &load);
}
