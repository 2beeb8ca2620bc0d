/* SPDX-License-Identifier: MIT */
/*
 * status: start the pools, wait until they are ready, show how they are.
 *
 * Without a daemon there is no pool to look at before one is started, so this is also
 * the quickest way to see that a configuration works. A pool is running when every
 * worker is ready, degraded when some are, failed when none is; the exit code is that
 * of the worst.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

enum { STATE_RUNNING = 0, STATE_DEGRADED = 1, STATE_FAILED = 2 };

static const char *state_word(int state)
{
    static const char *const words[] = {"running", "degraded", "failed"};
    return words[state];
}

static const char *worker_word(int state)
{
    switch (state) {
    case SP_WORKER_STARTING:
        return "starting";
    case SP_WORKER_READY:
        return "ready";
    case SP_WORKER_BUSY:
        return "busy";
    case SP_WORKER_STOPPING:
        return "stopping";
    case SP_WORKER_BACKOFF:
        return "backoff";
    case SP_WORKER_DRAINING:
        return "draining";
    default:
        return "unknown";
    }
}

static int state_of(const sp_pool_stats *stats)
{
    uint32_t ready = stats->available + stats->busy;
    return ready >= stats->workers ? STATE_RUNNING
           : ready > 0             ? STATE_DEGRADED
                                   : STATE_FAILED;
}

/* The workers of a pool; the caller frees *ret_workers. */
static int workers_of(sp_pit *pit, const char *pool, sp_worker_info **ret_workers)
{
    enum { MAX = 1000 };
    *ret_workers = need(calloc(MAX, sizeof **ret_workers));
    int count = sp_pool_workers_get(pit, pool, *ret_workers, MAX, NULL);
    return count < 0 ? 0 : count < MAX ? count : MAX;
}

/* --- Table ---------------------------------------------------------------------------- */

static void print_pools(sp_pit *pit)
{
    static const char *const headings[] = {
        "POOL",  "STATE", "WORKERS", "READY", "BUSY",   "STARTING", "BACKOFF",
        "QUEUE", "PEAK",  "LIMIT",   "CALLS", "ERRORS", "ADAPTER",  NULL};
    struct table *table = table_new(headings);
    const char *name;
    for (size_t i = 0; (name = sp_pool_name_at(pit, i)) != NULL; i++) {
        sp_pool_stats stats;
        if (sp_pool_stats_get(pit, name, &stats, NULL) < 0) {
            continue;
        }
        table_cell(table, "%s", name);
        table_cell(table, "%s", state_word(state_of(&stats)));
        const uint32_t numbers[] = {stats.workers,     stats.available, stats.busy,
                                    stats.starting,    stats.backoff,   stats.queued,
                                    stats.queued_peak, stats.queue_max};
        for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++) {
            table_cell(table, "%u", numbers[n]);
        }
        table_cell(table, "%llu", (unsigned long long)stats.requests);
        table_cell(table, "%llu", (unsigned long long)stats.errors);
        table_cell(table, "%s", stats.adapter);
    }
    table_print(table, "");
    table_free(table);
}

static void print_workers(sp_pit *pit)
{
    static const char *const headings[] = {"WORKER",  "STATE",    "PID", "CALLS",
                                           "RUNNING", "READY IN", "AGE", "RESTARTS",
                                           "RUNTIME", NULL};
    struct table *table = table_new(headings);
    const char *name;
    for (size_t i = 0; (name = sp_pool_name_at(pit, i)) != NULL; i++) {
        sp_worker_info *workers;
        int count = workers_of(pit, name, &workers);
        for (int w = 0; w < count; w++) {
            const sp_worker_info *worker = &workers[w];
            char ready[32];
            char age[32];
            table_cell(table, "%s/%u", name, worker->slot);
            table_cell(table, "%s", worker_word(worker->state));
            table_cell(table, "%d", worker->pid);
            table_cell(table, "%llu", (unsigned long long)worker->calls_total);
            table_cell(table, "%u", worker->in_flight);
            table_cell(table, "%s",
                       format_duration(worker->ready_ms, ready, sizeof ready));
            table_cell(table, "%s", format_duration(worker->age_ms, age, sizeof age));
            table_cell(table, "%u", worker->restarts);
            table_cell(table, "%s", worker->runtime);
        }
        free(workers);
    }
    (void)puts("");
    table_print(table, "");
    table_free(table);
}

/* --- JSON ----------------------------------------------------------------------------- */

static json_t *workers_to_json(sp_pit *pit, const char *pool)
{
    sp_worker_info *workers;
    json_t *list = need(json_array());
    int count = workers_of(pit, pool, &workers);
    for (int i = 0; i < count; i++) {
        const sp_worker_info *w = &workers[i];
        json_t *worker = json_pack(
            "{s:i, s:s, s:i, s:i, s:I, s:I, s:I, s:i, s:s}", "slot", (int)w->slot,
            "state", worker_word(w->state), "pid", w->pid, "in_flight",
            (int)w->in_flight, "calls_total", (json_int_t)w->calls_total, "age_ms",
            (json_int_t)w->age_ms, "ready_ms", (json_int_t)w->ready_ms, "restarts",
            (int)w->restarts, "runtime", w->runtime);
        (void)json_array_append_new(list, need(worker));
    }
    free(workers);
    return list;
}

static const char *breaker_word(int breaker)
{
    return breaker == SP_BREAKER_CLOSED ? "closed"
           : breaker == SP_BREAKER_OPEN ? "open"
                                        : "probing";
}

static json_t *health_to_json(sp_pit *pit)
{
    sp_health health = {0};
    (void)sp_pit_health(pit, 1000, &health, NULL);
    return need(json_pack("{s:b, s:b, s:b, s:s}", "live", health.live, "started",
                          health.started, "ready", health.ready, "why", health.why));
}

static json_t *pool_to_json(sp_pit *pit, const sp_pool_stats *s)
{
    return need(json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, "
        "s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:s, s:I, s:I, s:o}",
        "name", s->name, "state", state_word(state_of(s)), "adapter", s->adapter,
        "workers", (int)s->workers, "available", (int)s->available, "busy",
        (int)s->busy, "starting", (int)s->starting, "backoff", (int)s->backoff,
        "queued", (int)s->queued, "queued_peak", (int)s->queued_peak, "queue_max",
        (int)s->queue_max, "requests", (json_int_t)s->requests, "succeeded",
        (json_int_t)s->succeeded, "errors", (json_int_t)s->errors, "queue_timeouts",
        (json_int_t)s->queue_timeouts, "call_timeouts", (json_int_t)s->call_timeouts,
        "cancelled", (json_int_t)s->cancelled, "pool_saturated",
        (json_int_t)s->pool_saturated, "chunks", (json_int_t)s->chunks,
        "workers_started", (json_int_t)s->workers_started, "workers_died",
        (json_int_t)s->workers_died, "retried", (json_int_t)s->retried, "draining",
        (int)s->draining, "breaker", breaker_word(s->breaker), "recycled",
        (json_int_t)s->recycled, "poisoned", (json_int_t)s->poisoned, "worker_list",
        workers_to_json(pit, s->name)));
}

static void print_status_json(const struct opened *opened, int state)
{
    json_t *pools = need(json_array());
    const char *name;
    for (size_t i = 0; (name = sp_pool_name_at(opened->pit, i)) != NULL; i++) {
        sp_pool_stats stats;
        if (sp_pool_stats_get(opened->pit, name, &stats, NULL) == 0) {
            (void)json_array_append_new(pools, pool_to_json(opened->pit, &stats));
        }
    }
    json_t *root =
        need(json_pack("{s:i, s:s, s:s, s:o, s:o}", "version", 1, "instance",
                       opened->options.instance, "state", state_word(state), "health",
                       health_to_json(opened->pit), "pools", pools));
    print_json(root);
    json_decref(root);
}

/* --- The command ---------------------------------------------------------------------- */

static int worst_state(sp_pit *pit)
{
    uint32_t ready = 0;
    int worst = STATE_RUNNING;
    const char *name;
    for (size_t i = 0; (name = sp_pool_name_at(pit, i)) != NULL; i++) {
        sp_pool_stats stats;
        if (sp_pool_stats_get(pit, name, &stats, NULL) == 0) {
            ready += stats.available + stats.busy;
            if (state_of(&stats) != STATE_RUNNING) {
                worst = STATE_DEGRADED;
            }
        }
    }
    return ready == 0 ? STATE_FAILED : worst;
}

int cmd_status(struct cli *cli)
{
    struct opened opened;
    if (cli->words_count > 0) {
        return complain(CODE_USAGE, "status takes no \"%s\"; -p NAME chooses a pool",
                        cli->words[0]);
    }
    int code = pit_open(cli, 0, &opened);
    if (code != CODE_OK) {
        return code;
    }
    /* What keeps a pool from being ready has been said; the table shows the rest. */
    code = pit_wait(&opened);
    if (code != CODE_INTERRUPTED) {
        int state = worst_state(opened.pit);
        code = state;
        if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_JSONL) {
            print_status_json(&opened, state);
        } else {
            print_pools(opened.pit);
            if (cli->show_workers || cli->output == OUTPUT_WIDE) {
                print_workers(opened.pit);
            }
        }
    }
    pit_close(&opened);
    return code;
}
