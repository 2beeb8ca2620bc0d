/* SPDX-License-Identifier: MIT */
/*
 * The report "inspect": pools by profile, capacity, load and memory, what the machine has
 * for them, and what all of it advises. Its names are those of the original's profile
 * inspector.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "hardware/hardware.h"
#include "pit/pit.h"
#include "telemetry/advice.h"
#include "telemetry/json_report.h"
#include "telemetry/words.h"
#include "worker/vitals.h"

struct inspected {
    sp_pool_stats stats;
    sp_worker_info *workers;
    int count;
    struct advice_facts facts;
    const sp_pool_options *options;
};

static double to_mb(uint64_t bytes)
{
    return (double)(bytes / 1024) / 1024.0;
}

/* As the pit saw it last, or before that as the kernel has it now. */
static uint64_t memory_of(const sp_worker_info *worker)
{
    struct vitals vitals;
    if (worker->tree_bytes > 0) {
        return worker->tree_bytes;
    }
    return sp__vitals_read(worker->pid, &vitals) ? vitals.rss_bytes : 0;
}

/* What the machine has for the host and its workers. */
struct machine {
    uint32_t processors;   /* that this process may run on */
    uint64_t memory_bytes; /* of the machine, or of the control group if that is less */
};

static int read_machine(struct machine *ret, sp_error *err)
{
    static const struct search here = {.root = "", .path = ""};
    struct hardware *hardware = sp__calloc(1, sizeof *hardware);
    if (hardware == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a report");
    }
    sp__hardware_find_cpu(&here, hardware);
    sp__hardware_find_limits(&here, hardware);
    uint64_t total = hardware->memory_total_bytes;
    uint64_t limit = hardware->memory_limit_bytes;
    *ret = (struct machine){.processors = hardware->usable,
                            .memory_bytes = limit > 0 && limit < total ? limit : total};
    sp__free(hardware);
    return SP_OK;
}

static void sum_up(sp_pit *pit, const struct machine *machine, struct inspected *pool)
{
    struct advice_facts *facts = &pool->facts;
    uint64_t ready = 0;
    *facts = (struct advice_facts){
        .stats = &pool->stats,
        .threads = pool->options->threads,
        .affinity = pool->options->affinity,
        .limit_memory_bytes = pool->options->limit_memory_bytes,
        .recycle_memory_bytes = pool->options->recycle_memory_bytes,
        .uptime_ms = sp__now_ms() - pit->opened_ms,
        .processors = machine->processors,
        .machine_bytes = machine->memory_bytes,
    };
    for (int i = 0; i < pool->count; i++) {
        const sp_worker_info *worker = &pool->workers[i];
        uint64_t bytes = memory_of(worker);
        facts->load += worker->in_flight;
        facts->workers_seen += bytes > 0;
        facts->memory_bytes += bytes;
        facts->memory_largest =
            bytes > facts->memory_largest ? bytes : facts->memory_largest;
        ready += worker->ready_ms > 0;
        facts->ready_ms += worker->ready_ms;
        facts->can_fork |= strncmp(worker->runtime, "python", 6) == 0;
    }
    facts->ready_ms = ready > 0 ? facts->ready_ms / ready : 0;
}

static json_t *workers_json(const struct inspected *pool)
{
    json_t *list = json_array();
    for (int i = 0; i < pool->count; i++) {
        const sp_worker_info *w = &pool->workers[i];
        char id[80];
        (void)snprintf(id, sizeof id, "%s/%u", pool->stats.name, w->slot);
        sp__report_add(
            &list, json_pack("{s:s, s:i, s:s, s:i, s:i, s:f, s:s, s:i, s:I, s:I, s:s}",
                             "worker_id", id, "pid", w->pid, "profile",
                             sp__word_profile(pool->stats.profile), "capacity",
                             (int)w->capacity, "load", (int)w->in_flight, "memory_mb",
                             to_mb(memory_of(w)), "status", sp__word_worker(w->state),
                             "processes", (int)w->processes, "calls_total",
                             (json_int_t)w->calls_total, "age_ms",
                             (json_int_t)w->age_ms, "runtime", w->runtime));
    }
    return list;
}

static json_t *advice_json(const struct inspected *pool)
{
    struct advice advice[ADVICE_MAX];
    size_t count = sp__advise(&pool->facts, advice);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        char key[160];
        (void)snprintf(key, sizeof key, "pools.%s.%s", pool->stats.name, advice[i].key);
        sp__report_add(&list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "rule",
                                        advice[i].rule, "severity", advice[i].severity,
                                        "figure", advice[i].figure, "key", key, "value",
                                        advice[i].value, "why", advice[i].why));
    }
    return list;
}

static json_t *memory_json(const struct advice_facts *facts)
{
    uint64_t seen = facts->workers_seen;
    return json_pack("{s:I, s:f, s:f, s:f}", "workers_seen", (json_int_t)seen,
                     "total_mb", to_mb(facts->memory_bytes), "average_mb",
                     to_mb(seen > 0 ? facts->memory_bytes / seen : 0), "largest_mb",
                     to_mb(facts->memory_largest));
}

static json_t *statistics_json(const sp_pool_stats *s)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I}",
        "requests", (json_int_t)s->requests, "errors", (json_int_t)s->errors,
        "queue_timeouts", (json_int_t)s->queue_timeouts, "call_timeouts",
        (json_int_t)s->call_timeouts, "pool_saturated", (json_int_t)s->pool_saturated,
        "capacity_reached", (json_int_t)s->capacity_reached, "queued", (int)s->queued,
        "queued_peak", (int)s->queued_peak, "queue_max", (int)s->queue_max,
        "workers_died", (json_int_t)s->workers_died, "recycled",
        (json_int_t)s->recycled, "retried", (json_int_t)s->retried, "session_hits",
        (json_int_t)s->session_hits, "session_moves", (json_int_t)s->session_moves,
        "session_refusals", (json_int_t)s->session_refusals);
}

static json_t *pool_json(const struct inspected *pool)
{
    const sp_pool_stats *s = &pool->stats;
    uint32_t load = pool->facts.load;
    double percent = sp__utilization(load, s->capacity);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:s, s:o, s:o, s:o, "
        "s:o}",
        "pool_name", s->name, "profile", sp__word_profile(s->profile), "adapter",
        s->adapter, "state", sp__word_pool(s), "worker_count", (int)s->workers,
        "available", (int)s->available, "threads_per_worker",
        s->profile == SP_PROFILE_THREAD ? (int)pool->options->threads : 1,
        "capacity_total", (int)s->capacity, "capacity_used", (int)load,
        "capacity_available", s->capacity > load ? (int)(s->capacity - load) : 0,
        "utilization_percent", percent, "utilization", sp__utilization_word(percent),
        "statistics", statistics_json(s), "memory", memory_json(&pool->facts),
        "workers", workers_json(pool), "recommendations", advice_json(pool));
}

static int add_pool(sp_pit *pit, struct pool *found, const struct machine *machine,
                    json_t **pools, sp_error *err)
{
    struct inspected pool = {.options = &found->options};
    int rc = sp_pool_stats_get(pit, found->name, &pool.stats, err);
    if (rc == SP_OK) {
        rc = sp__report_workers(pit, found->name, &pool.workers, &pool.count, err);
    }
    if (rc == SP_OK) {
        sum_up(pit, machine, &pool);
        sp__report_add(pools, pool_json(&pool));
    }
    sp__free(pool.workers);
    return rc;
}

/* One of a name, or all. */
static int add_pools(sp_pit *pit, const char *name, const struct machine *machine,
                     json_t **pools, sp_error *err)
{
    struct pool *found;
    if (name != NULL) {
        int rc = sp__pit_pool(pit, name, &found, err);
        return rc < 0 ? rc : add_pool(pit, found, machine, pools, err);
    }
    int rc = SP_OK;
    for (size_t i = 0; i < pit->pools_count && rc == SP_OK; i++) {
        rc = add_pool(pit, &pit->pools[i], machine, pools, err);
    }
    return rc;
}

int sp__report_inspect(const struct report_question *question, struct sp_buffer *out,
                       sp_error *err)
{
    struct report_wishes wishes = sp__report_wishes(question, err);
    struct machine machine;
    const char *pool = NULL;
    (void)sp__report_wish_text(&wishes, "pool", &pool);
    int rc = wishes.rc < 0 ? wishes.rc : read_machine(&machine, err);
    if (rc < 0) {
        return rc;
    }
    json_t *pools = json_array();
    rc = add_pools(question->pit, pool, &machine, &pools, err);
    if (rc == SP_OK) {
        rc = sp__report_put_json(
            out,
            json_pack("{s:i, s:i, s:f, s:I, s:O}", "version", 1, "processors",
                      (int)machine.processors, "memory_mb", to_mb(machine.memory_bytes),
                      "uptime_ms",
                      (json_int_t)(sp__now_ms() - question->pit->opened_ms), "pools",
                      pools),
            err);
    }
    json_decref(pools);
    return rc;
}
