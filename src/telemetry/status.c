/* SPDX-License-Identifier: MIT */
/*
 * The report "status": how the pit, its pools, their workers and its sessions are now.
 *
 * It asks what any program can ask (snakepit/pit.h), pool by pool, so figures of two
 * pools are not of one moment. A value for which there is no memory makes the whole
 * NULL, which is found at the end.
 */
#include "telemetry/json_report.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pit/pit.h"
#include "telemetry/words.h"

static json_t *worker_json(const sp_worker_info *w)
{
    return json_pack(
        "{s:i, s:s, s:i, s:i, s:i, s:I, s:I, s:I, s:i, s:I, s:I, s:I, s:i, s:I, s:s, "
        "s:b}",
        "slot", (int)w->slot, "state", sp__word_worker(w->state), "pid", w->pid,
        "in_flight", (int)w->in_flight, "capacity", (int)w->capacity, "calls_total",
        (json_int_t)w->calls_total, "age_ms", (json_int_t)w->age_ms, "ready_ms",
        (json_int_t)w->ready_ms, "restarts", (int)w->restarts, "rss_bytes",
        (json_int_t)w->rss_bytes, "pss_bytes", (json_int_t)w->pss_bytes, "tree_bytes",
        (json_int_t)w->tree_bytes, "processes", (int)w->processes, "sample_age_ms",
        (json_int_t)w->sample_age_ms, "runtime", w->runtime, "forked", w->is_forked);
}

static json_t *workers_json(sp_pit *pit, const char *pool)
{
    sp_worker_info *workers;
    int count;
    if (sp__report_workers(pit, pool, &workers, &count, NULL) < 0) {
        return NULL;
    }
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        sp__report_add(&list, worker_json(&workers[i]));
    }
    sp__free(workers);
    return list;
}

static json_t *death_calls_json(const sp_death *death)
{
    json_t *calls = json_array();
    for (size_t i = 0; i < death->calls_count; i++) {
        const sp_death_call *c = &death->calls[i];
        json_t *call = json_object();
        sp__report_set_words(call, "tool", c->tool);
        sp__report_set_words(call, "request_id", c->request_id);
        sp__report_set_words(call, "stage", sp__word_stage(c->stage));
        (void)json_object_set_new(call, "abandoned", json_boolean(c->abandoned));
        (void)json_object_set_new(call, "run_ms", json_integer((json_int_t)c->run_ms));
        sp__report_add(&calls, call);
    }
    return calls;
}

static json_t *death_steps_json(const sp_death *death)
{
    json_t *steps = json_array();
    for (size_t i = 0; i < death->steps_count; i++) {
        sp__report_add(&steps,
                       json_pack("{s:s, s:I}", "what", death->steps[i].what, "after_ms",
                                 (json_int_t)death->steps[i].after_ms));
    }
    return steps;
}

static void add_death(const sp_death *d, void *user)
{
    json_t **list = user;
    json_t *death = json_pack(
        "{s:I, s:i, s:i, s:i, s:s, s:b, s:i, s:i, s:b, s:i, s:I, s:I, s:I, s:I, s:I, "
        "s:I, s:o, s:I}",
        "time_unix_ms", (json_int_t)d->time_unix_ms, "slot", (int)d->slot, "generation",
        (int)d->generation, "pid", d->pid, "why", sp_death_name(d->why), "was_ready",
        d->was_ready, "exit_status", d->exit_status, "signal", d->signal, "core_dumped",
        d->core_dumped, "oom_killed", d->oom_killed, "user_ms", (json_int_t)d->user_ms,
        "system_ms", (json_int_t)d->system_ms, "rss_peak_bytes",
        (json_int_t)d->rss_peak_bytes, "age_ms", (json_int_t)d->age_ms, "ready_ms",
        (json_int_t)d->ready_ms, "calls_total", (json_int_t)d->calls_total, "calls",
        death_calls_json(d), "calls_more", (json_int_t)d->calls_more);
    (void)json_object_set_new(death, "rss_bytes",
                              json_integer((json_int_t)d->rss_bytes));
    (void)json_object_set_new(death, "pss_bytes",
                              json_integer((json_int_t)d->pss_bytes));
    (void)json_object_set_new(death, "tree_bytes",
                              json_integer((json_int_t)d->tree_bytes));
    (void)json_object_set_new(death, "sample_age_ms",
                              json_integer((json_int_t)d->sample_age_ms));
    sp__report_set_words(death, "message", d->message);
    sp__report_set_words(death, "last_lines", d->last_lines);
    sp__report_set_words(death, "evidence", d->evidence);
    sp__report_set_words(death, "stack", d->stack);
    (void)json_object_set_new(death, "unkillable", json_boolean(d->unkillable));
    (void)json_object_set_new(death, "steps", death_steps_json(d));
    sp__report_add(list, death);
}

static json_t *deaths_json(sp_pit *pit, const char *pool)
{
    json_t *list = json_array();
    (void)sp_pool_deaths_get(pit, pool, add_death, &list, NULL);
    return list;
}

static json_t *zygote_json(const sp_pool_stats *s)
{
    return json_pack("{s:s, s:s, s:i, s:I, s:I}", "mode", sp__word_zygote(s->zygote),
                     "state", sp__word_zygote_state(s->zygote_state), "pid",
                     s->zygote_pid, "forked", (json_int_t)s->workers_forked, "started",
                     (json_int_t)s->zygotes_started);
}

static json_t *pool_json(sp_pit *pit, const sp_pool_stats *s)
{
    return json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, "
        "s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:s, s:I, s:I, s:s, s:i, s:I, "
        "s:o, s:o, "
        "s:o}",
        "name", s->name, "state", sp__word_pool(s), "adapter", s->adapter, "workers",
        (int)s->workers, "available", (int)s->available, "busy", (int)s->busy,
        "starting", (int)s->starting, "backoff", (int)s->backoff, "queued",
        (int)s->queued, "queued_peak", (int)s->queued_peak, "queue_max",
        (int)s->queue_max, "requests", (json_int_t)s->requests, "succeeded",
        (json_int_t)s->succeeded, "errors", (json_int_t)s->errors, "queue_timeouts",
        (json_int_t)s->queue_timeouts, "call_timeouts", (json_int_t)s->call_timeouts,
        "cancelled", (json_int_t)s->cancelled, "pool_saturated",
        (json_int_t)s->pool_saturated, "chunks", (json_int_t)s->chunks,
        "workers_started", (json_int_t)s->workers_started, "workers_died",
        (json_int_t)s->workers_died, "unkillable", (json_int_t)s->unkillable, "retried",
        (json_int_t)s->retried, "draining", (int)s->draining, "breaker",
        sp__word_breaker(s->breaker), "recycled", (json_int_t)s->recycled, "poisoned",
        (json_int_t)s->poisoned, "profile", sp__word_profile(s->profile), "capacity",
        (int)s->capacity, "capacity_reached", (json_int_t)s->capacity_reached, "zygote",
        zygote_json(s), "worker_list", workers_json(pit, s->name), "deaths",
        deaths_json(pit, s->name));
}

static json_t *health_json(sp_pit *pit)
{
    enum { TIMEOUT_MS = 1000 };
    sp_health health = {0};
    (void)sp_pit_health(pit, TIMEOUT_MS, &health, NULL);
    return json_pack("{s:b, s:b, s:b, s:s}", "live", health.live, "started",
                     health.started, "ready", health.ready, "why", health.why);
}

static json_t *sessions_json(sp_pit *pit)
{
    sp_sessions_stats stats = {0};
    (void)sp_sessions_stats_get(sp_pit_sessions(pit), &stats, NULL);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "count",
                     (json_int_t)stats.sessions, "max", (json_int_t)stats.sessions_max,
                     "created", (json_int_t)stats.sessions_created, "deleted",
                     (json_int_t)stats.sessions_deleted, "expired",
                     (json_int_t)stats.sessions_expired, "memory_bytes",
                     (json_int_t)stats.memory_bytes, "variables",
                     (json_int_t)stats.variables, "durability",
                     sp__word_durability(stats.durability), "store",
                     sp__word_store(stats.store));
}

/* The pools, and what they are all together: running when all are, failed when no
 * worker of any is ready. */
static json_t *pools_json(sp_pit *pit, const char **ret_state)
{
    json_t *pools = json_array();
    const char *name;
    uint32_t ready = 0;
    int all_run = 1;
    for (size_t i = 0; (name = sp_pool_name_at(pit, i)) != NULL; i++) {
        sp_pool_stats stats;
        if (sp_pool_stats_get(pit, name, &stats, NULL) == SP_OK) {
            uint32_t of_pool = stats.available + stats.busy;
            ready += of_pool;
            all_run = all_run && of_pool >= stats.workers;
            sp__report_add(&pools, pool_json(pit, &stats));
        }
    }
    *ret_state = ready == 0 ? "failed" : all_run ? "running" : "degraded";
    return pools;
}

int sp__report_status(const struct report_question *question, struct sp_buffer *out,
                      sp_error *err)
{
    sp_pit *pit = question->pit;
    sp_safety safety = {0};
    const char *state;
    json_t *pools = pools_json(pit, &state);
    (void)sp_pit_safety(pit, &safety, NULL);
    return sp__report_put_json(
        out,
        json_pack("{s:i, s:s?, s:i, s:I, s:s, s:s, s:o, s:o, s:o}", "version", 1,
                  "instance", pit->instance_name[0] != '\0' ? pit->instance_name : NULL,
                  "pid", (int)getpid(), "uptime_ms",
                  (json_int_t)(sp__now_ms() - pit->opened_ms), "state", state,
                  "orphan_safety", safety.text, "health", health_json(pit), "sessions",
                  sessions_json(pit), "pools", pools),
        err);
}
