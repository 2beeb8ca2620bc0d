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

static const char *profile_word(int profile)
{
    return profile == SP_PROFILE_THREAD ? "thread" : "process";
}

static const char *zygote_word(int mode)
{
    return mode == SP_ZYGOTE_ON ? "on" : mode == SP_ZYGOTE_AUTO ? "auto" : "off";
}

static const char *zygote_state_word(int state)
{
    return state == SP_ZYGOTE_STATE_READY      ? "ready"
           : state == SP_ZYGOTE_STATE_STARTING ? "starting"
           : state == SP_ZYGOTE_STATE_WAITING  ? "waiting"
                                               : "none";
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
    static const char *const headings[] = {"POOL",   "STATE",    "WORKERS", "READY",
                                           "BUSY",   "STARTING", "BACKOFF", "CAPACITY",
                                           "QUEUE",  "PEAK",     "LIMIT",   "CALLS",
                                           "ERRORS", "PROFILE",  "ADAPTER", NULL};
    struct table *table = table_new(headings);
    const char *name;
    for (size_t i = 0; (name = sp_pool_name_at(pit, i)) != NULL; i++) {
        sp_pool_stats stats;
        if (sp_pool_stats_get(pit, name, &stats, NULL) < 0) {
            continue;
        }
        table_cell(table, "%s", name);
        table_cell(table, "%s", state_word(state_of(&stats)));
        const uint32_t numbers[] = {stats.workers,  stats.available,   stats.busy,
                                    stats.starting, stats.backoff,     stats.capacity,
                                    stats.queued,   stats.queued_peak, stats.queue_max};
        for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++) {
            table_cell(table, "%u", numbers[n]);
        }
        table_cell(table, "%llu", (unsigned long long)stats.requests);
        table_cell(table, "%llu", (unsigned long long)stats.errors);
        table_cell(table, "%s", profile_word(stats.profile));
        table_cell(table, "%s", stats.adapter);
    }
    table_print(table, "");
    table_free(table);
}

/* A line for each pool that wants one. */
static void print_zygotes(sp_pit *pit)
{
    const char *name;
    for (size_t i = 0; (name = sp_pool_name_at(pit, i)) != NULL; i++) {
        sp_pool_stats stats;
        if (sp_pool_stats_get(pit, name, &stats, NULL) == 0 &&
            stats.zygote != SP_ZYGOTE_OFF) {
            printf("zygote of %s: %s, pid %d, %llu workers forked\n", name,
                   zygote_state_word(stats.zygote_state), stats.zygote_pid,
                   (unsigned long long)stats.workers_forked);
        }
    }
}

/* "-" before the first look. */
static const char *size_word(uint64_t bytes, char *text, size_t max)
{
    if (bytes == 0) {
        return "-";
    }
    (void)snprintf(text, max, "%.1fMiB", (double)bytes / (1 << 20));
    return text;
}

static void print_workers(sp_pit *pit)
{
    static const char *const headings[] = {"WORKER",  "STATE",    "PID",      "CALLS",
                                           "RUNNING", "OF",       "READY IN", "AGE",
                                           "MEMORY",  "RESTARTS", "RUNTIME",  NULL};
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
            table_cell(table, "%u", worker->capacity);
            table_cell(table, "%s",
                       format_duration(worker->ready_ms, ready, sizeof ready));
            table_cell(table, "%s", format_duration(worker->age_ms, age, sizeof age));
            table_cell(table, "%s", size_word(worker->tree_bytes, ready, sizeof ready));
            table_cell(table, "%u", worker->restarts);
            table_cell(table, "%s", worker->runtime);
        }
        free(workers);
    }
    (void)puts("");
    table_print(table, "");
    table_free(table);
}

static void add_death_row(const sp_death *death, void *user_data)
{
    struct table *table = user_data;
    char age[32];
    table_cell(table, "%s/%u", death->pool, death->slot);
    table_cell(table, "%d", death->pid);
    table_cell(table, "%s", sp_death_name(death->why));
    table_cell(table, "%d", death->exit_status);
    table_cell(table, "%d", death->signal);
    table_cell(table, "%s", format_duration(death->age_ms, age, sizeof age));
    table_cell(table, "%llu", (unsigned long long)death->calls_total);
    table_cell(table, "%zu", death->calls_count + death->calls_more);
    table_cell(table, "%s", death->message);
}

static void print_deaths(sp_pit *pit)
{
    static const char *const headings[] = {"WORKER", "PID", "WHY",   "EXIT",
                                           "SIGNAL", "AGE", "CALLS", "RUNNING",
                                           "CAUSE",  NULL};
    struct table *table = table_new(headings);
    const char *name;
    for (size_t i = 0; (name = sp_pool_name_at(pit, i)) != NULL; i++) {
        (void)sp_pool_deaths_get(pit, name, add_death_row, table, NULL);
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
            "{s:i, s:s, s:i, s:i, s:i, s:I, s:I, s:I, s:i, s:I, s:I, s:I, s:i, s:I, "
            "s:s, s:b}",
            "slot", (int)w->slot, "state", worker_word(w->state), "pid", w->pid,
            "in_flight", (int)w->in_flight, "capacity", (int)w->capacity, "calls_total",
            (json_int_t)w->calls_total, "age_ms", (json_int_t)w->age_ms, "ready_ms",
            (json_int_t)w->ready_ms, "restarts", (int)w->restarts, "rss_bytes",
            (json_int_t)w->rss_bytes, "pss_bytes", (json_int_t)w->pss_bytes,
            "tree_bytes", (json_int_t)w->tree_bytes, "processes", (int)w->processes,
            "sample_age_ms", (json_int_t)w->sample_age_ms, "runtime", w->runtime,
            "forked", w->is_forked);
        (void)json_array_append_new(list, need(worker));
    }
    free(workers);
    return list;
}

static const char *stage_of(int stage)
{
    static const char *const words[] = {"", "queued", "sent", "started", "streaming"};
    return stage >= 0 && stage <= SP_STAGE_STREAMING ? words[stage] : "";
}

/* Text that may hold a worker's bytes: what is no UTF-8 is left out. */
static void set_words(json_t *object, const char *key, const char *text)
{
    (void)json_object_set_new(object, key, json_string(text));
}

static json_t *death_calls_to_json(const sp_death *death)
{
    json_t *calls = need(json_array());
    for (size_t i = 0; i < death->calls_count; i++) {
        const sp_death_call *c = &death->calls[i];
        json_t *call = need(json_object());
        set_words(call, "tool", c->tool);
        set_words(call, "request_id", c->request_id);
        set_words(call, "stage", stage_of(c->stage));
        (void)json_object_set_new(call, "abandoned", json_boolean(c->abandoned));
        (void)json_object_set_new(call, "run_ms", json_integer((json_int_t)c->run_ms));
        (void)json_array_append_new(calls, call);
    }
    return calls;
}

static json_t *death_steps_to_json(const sp_death *death)
{
    json_t *steps = need(json_array());
    for (size_t i = 0; i < death->steps_count; i++) {
        json_t *step = json_pack("{s:s, s:I}", "what", death->steps[i].what, "after_ms",
                                 (json_int_t)death->steps[i].after_ms);
        (void)json_array_append_new(steps, need(step));
    }
    return steps;
}

static void add_death_json(const sp_death *d, void *user_data)
{
    json_t *death = need(json_pack(
        "{s:I, s:i, s:i, s:i, s:s, s:b, s:i, s:i, s:b, s:i, s:I, s:I, s:I, s:I, s:I, "
        "s:I, s:o, s:I}",
        "time_unix_ms", (json_int_t)d->time_unix_ms, "slot", (int)d->slot, "generation",
        (int)d->generation, "pid", d->pid, "why", sp_death_name(d->why), "was_ready",
        d->was_ready, "exit_status", d->exit_status, "signal", d->signal, "core_dumped",
        d->core_dumped, "oom_killed", d->oom_killed, "user_ms", (json_int_t)d->user_ms,
        "system_ms", (json_int_t)d->system_ms, "rss_peak_bytes",
        (json_int_t)d->rss_peak_bytes, "age_ms", (json_int_t)d->age_ms, "ready_ms",
        (json_int_t)d->ready_ms, "calls_total", (json_int_t)d->calls_total, "calls",
        death_calls_to_json(d), "calls_more", (json_int_t)d->calls_more));
    (void)json_object_set_new(death, "rss_bytes",
                              json_integer((json_int_t)d->rss_bytes));
    (void)json_object_set_new(death, "pss_bytes",
                              json_integer((json_int_t)d->pss_bytes));
    (void)json_object_set_new(death, "tree_bytes",
                              json_integer((json_int_t)d->tree_bytes));
    (void)json_object_set_new(death, "sample_age_ms",
                              json_integer((json_int_t)d->sample_age_ms));
    set_words(death, "message", d->message);
    set_words(death, "last_lines", d->last_lines);
    set_words(death, "evidence", d->evidence);
    set_words(death, "stack", d->stack);
    (void)json_object_set_new(death, "unkillable", json_boolean(d->unkillable));
    (void)json_object_set_new(death, "steps", death_steps_to_json(d));
    (void)json_array_append_new(user_data, death);
}

static json_t *deaths_to_json(sp_pit *pit, const char *pool)
{
    json_t *list = need(json_array());
    (void)sp_pool_deaths_get(pit, pool, add_death_json, list, NULL);
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

static const char *durability_word(int durability)
{
    return durability == SP_DURABILITY_DURABLE ? "durable"
           : durability == SP_DURABILITY_CRASH ? "crash"
                                               : "memory";
}

static const char *store_word(int store)
{
    return store == SP_STORE_OK       ? "ok"
           : store == SP_STORE_FULL   ? "full"
           : store == SP_STORE_FAILED ? "failed"
                                      : "none";
}

static json_t *sessions_to_json(sp_pit *pit)
{
    sp_sessions_stats stats = {0};
    (void)sp_sessions_stats_get(sp_pit_sessions(pit), &stats, NULL);
    return need(
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "count",
                  (json_int_t)stats.sessions, "max", (json_int_t)stats.sessions_max,
                  "created", (json_int_t)stats.sessions_created, "deleted",
                  (json_int_t)stats.sessions_deleted, "expired",
                  (json_int_t)stats.sessions_expired, "memory_bytes",
                  (json_int_t)stats.memory_bytes, "variables",
                  (json_int_t)stats.variables, "durability",
                  durability_word(stats.durability), "store", store_word(stats.store)));
}

static json_t *zygote_to_json(const sp_pool_stats *s)
{
    return need(json_pack("{s:s, s:s, s:i, s:I, s:I}", "mode", zygote_word(s->zygote),
                          "state", zygote_state_word(s->zygote_state), "pid",
                          s->zygote_pid, "forked", (json_int_t)s->workers_forked,
                          "started", (json_int_t)s->zygotes_started));
}

static json_t *pool_to_json(sp_pit *pit, const sp_pool_stats *s)
{
    return need(json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, "
        "s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:s, s:I, s:I, s:s, s:i, s:I, "
        "s:o, s:o, "
        "s:o}",
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
        (json_int_t)s->workers_died, "unkillable", (json_int_t)s->unkillable, "retried",
        (json_int_t)s->retried, "draining", (int)s->draining, "breaker",
        breaker_word(s->breaker), "recycled", (json_int_t)s->recycled, "poisoned",
        (json_int_t)s->poisoned, "profile", profile_word(s->profile), "capacity",
        (int)s->capacity, "capacity_reached", (json_int_t)s->capacity_reached, "zygote",
        zygote_to_json(s), "worker_list", workers_to_json(pit, s->name), "deaths",
        deaths_to_json(pit, s->name)));
}

static void print_status_json(const struct opened *opened, int state)
{
    json_t *pools = need(json_array());
    const char *name;
    sp_safety safety = {0};
    (void)sp_pit_safety(opened->pit, &safety, NULL);
    for (size_t i = 0; (name = sp_pool_name_at(opened->pit, i)) != NULL; i++) {
        sp_pool_stats stats;
        if (sp_pool_stats_get(opened->pit, name, &stats, NULL) == 0) {
            (void)json_array_append_new(pools, pool_to_json(opened->pit, &stats));
        }
    }
    json_t *root =
        need(json_pack("{s:i, s:s?, s:s, s:s, s:o, s:o, s:o}", "version", 1, "instance",
                       opened->instance, "state", state_word(state), "orphan_safety",
                       safety.text, "health", health_to_json(opened->pit), "sessions",
                       sessions_to_json(opened->pit), "pools", pools));
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

static void print_safety(sp_pit *pit)
{
    sp_safety safety = {0};
    (void)sp_pit_safety(pit, &safety, NULL);
    (void)printf("\norphan-safety: %s\n", safety.text);
}

static void print_sessions(sp_pit *pit)
{
    sp_sessions_stats stats = {0};
    (void)sp_sessions_stats_get(sp_pit_sessions(pit), &stats, NULL);
    (void)printf("sessions: %llu", (unsigned long long)stats.sessions);
    if (stats.sessions_max != SP_UNLIMITED) {
        (void)printf(" of at most %llu", (unsigned long long)stats.sessions_max);
    }
    (void)printf(", durability %s, store %s\n", durability_word(stats.durability),
                 store_word(stats.store));
}

int cmd_status(struct cli *cli)
{
    struct opened opened;
    if (cli->words_count > 0) {
        return complain(CODE_USAGE, "status takes no \"%s\"; -p NAME chooses a pool",
                        cli->words[0]);
    }
    int code = pit_open(cli, OPEN_STATE, &opened);
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
            if (cli->show_deaths) {
                print_deaths(opened.pit);
            }
            print_safety(opened.pit);
            print_zygotes(opened.pit);
            print_sessions(opened.pit);
        }
    }
    pit_close(&opened);
    return code;
}
