/* SPDX-License-Identifier: MIT */
/*
 * Shutting down under load, again and again: clients call without a pause while the pit
 * is shut down within a limit. Every call ends, and nothing is left of the pit.
 */
#include "phases.h"

#include <stdio.h>
#include <stdlib.h>

#include "load.h"

enum { LIMIT_MIN_MS = 1, LIMIT_MAX_MS = 200, SLACK_MS = 1000, LATE_MS = 5000 };

/* The calls of a round are all started before the shutdown and waited for after it, by
 * callbacks: threads that block in a call may not use a pit that goes away. */
struct round {
    struct scene *scene;
    uint64_t left;
};

struct asked {
    struct round *round;
    uint64_t id;
};

static void on_reply(const sp_reply *reply, void *user_data)
{
    const struct asked *asked = user_data;
    const sp_error *error = reply->error;
    ledger_note(&asked->round->scene->client, "answer", "%llu %s %d %u 0 %d",
                (unsigned long long)asked->id, sp_error_name(error ? error->code : 0),
                error ? error->executed : 0,
                error ? error->attempts : reply->result->attempts,
                error ? error->worker_pid : 0);
    asked->round->left--;
}

static void ask(struct round *round, struct asked *asked)
{
    const struct amounts *amounts = round->scene->amounts;
    char args[96];
    sp_error err = {0};
    uint64_t us = chance(amounts->seed, asked->id) % (2 * amounts->work_us + 1);
    (void)snprintf(args, sizeof args, "{\"id\":%llu,\"us\":%llu}",
                   (unsigned long long)asked->id, (unsigned long long)us);
    ledger_note(&round->scene->client, "send", "%llu once 0 0",
                (unsigned long long)asked->id);
    round->left++;
    if (sp_call_start(round->scene->pit, "work", sp_text(args), NULL, on_reply, asked,
                      NULL, &err) < 0) {
        sp_reply refused = {.error = &err};
        on_reply(&refused, asked);
        sp_error_clear(&err);
    }
}

static uint64_t limit_of(const struct amounts *amounts, uint64_t number)
{
    return LIMIT_MIN_MS + chance(amounts->seed, number + 1000) % LIMIT_MAX_MS;
}

/* Returns how much longer than its limit the shutdown took, in microseconds. */
static uint64_t run_round(struct scene *scene, uint64_t number, struct asked *asked)
{
    const struct amounts *amounts = scene->amounts;
    struct round round = {.scene = scene};
    sp_pool_options pool = scene_pool(scene);
    scene_pit_open(scene, &pool);
    for (uint64_t i = 0; i < amounts->calls; i++) {
        asked[i] = (struct asked){&round, number * amounts->calls + i};
        ask(&round, &asked[i]);
    }
    scene_dispatch(scene, chance(amounts->seed, number) % 20);
    uint64_t limit_us = limit_of(amounts, number) * 1000u;
    uint64_t took_us = scene_pit_shutdown(scene, limit_us / 1000u);
    return took_us > limit_us ? took_us - limit_us : 0;
}

void phase_shutdown(const struct amounts *amounts)
{
    struct scene scene;
    uint64_t latest_us = 0;
    uint64_t over = 0;
    uint64_t calls = amounts->calls;
    struct asked *asked = calloc(calls, sizeof *asked);
    scene_open(&scene, amounts, calls * amounts->rounds);
    scene_expect_answer(&scene, "once", SP_ERR_CLOSED);
    for (uint64_t i = 0; asked != NULL && i < amounts->rounds; i++) {
        uint64_t late_us = run_round(&scene, i, asked);
        latest_us = late_us > latest_us ? late_us : latest_us;
        over += late_us > SLACK_MS * 1000u;
        ledger_note(&scene.host, "before", "late 0");
        ledger_note(&scene.host, "after", "late %d", late_us > LATE_MS * 1000u);
    }
    (void)printf("  %llu shutdowns under load, limits of %d to %d ms: the latest ended "
                 "%.0f ms after its own, %llu more than %d ms after\n",
                 (unsigned long long)amounts->rounds, LIMIT_MIN_MS, LIMIT_MAX_MS,
                 (double)latest_us / 1000.0, (unsigned long long)over, SLACK_MS);
    free(asked);
    scene_close(&scene);
}
