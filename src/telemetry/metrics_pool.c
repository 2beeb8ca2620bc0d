/* SPDX-License-Identifier: MIT */
/*
 * The figures of the pools and their workers.
 *
 * Room for all that the loops may tell is there before they are asked: on the loop nothing
 * allocates. Workers' descriptors are counted afterwards, on the asking thread.
 */
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "pit/pit.h"
#include "pool/share.h"
#include "telemetry/metrics.h"
#include "telemetry/process.h"
#include "telemetry/words.h"

struct worker_facts {
    char slot[12]; /* as a label */
    int pid;
    int state;
    struct sample sample;
    uint64_t beaten_ms; /* since its last sign of life */
};

/* Of a pool, over all its parts. */
struct pool_facts {
    const char *name;
    sp_pool_stats stats;
    struct meter_sum sum;
    struct worker_facts *workers;
    size_t workers_max;
    size_t workers_count;
    uint32_t states[SP_WORKER_DRAINING + 1];
    uint32_t busy_slots;
    uint32_t pipelined;
    uint64_t oldest_us;
};

/* ---- on the loop ---- */

static void look_at_worker(struct pool_facts *facts, const struct pool *part,
                           const sp_worker_info *info, const struct worker *worker)
{
    uint64_t now_ms = sp__loop_now_ms(part->shop->loop);
    struct worker_facts *ret = &facts->workers[facts->workers_count++];
    *ret = (struct worker_facts){
        .pid = worker->pid,
        .state = info->state,
        .sample = worker->sample,
        .beaten_ms = worker->beaten_ms > 0 ? now_ms - worker->beaten_ms : 0};
    (void)snprintf(ret->slot, sizeof ret->slot, "%u", info->slot);
}

static void look_at_seats(struct pool_facts *facts, const struct pool *part)
{
    for (uint32_t i = 0; i < part->core.seats_count; i++) {
        const struct core_seat *seat = &part->core.seats[i];
        sp_worker_info info;
        if (!sp__pool_worker_at(part, i, &info)) {
            continue;
        }
        facts->states[info.state]++;
        uint32_t running =
            seat->in_flight < seat->capacity ? seat->in_flight : seat->capacity;
        facts->busy_slots += running;
        facts->pipelined += seat->in_flight - running;
        if (part->workers[i] != NULL && facts->workers_count < facts->workers_max) {
            look_at_worker(facts, part, &info, part->workers[i]);
        }
    }
}

static void look_at_queue(struct pool_facts *facts, const struct pool *part)
{
    uint32_t first = part->core.queue.first;
    if (part->core.queue.length > 0 && part->requests[first] != NULL) {
        uint64_t now_us = sp__loop_now_us(part->shop->loop);
        uint64_t created_us = part->requests[first]->created_us;
        uint64_t waited_us = now_us > created_us ? now_us - created_us : 0;
        facts->oldest_us = waited_us > facts->oldest_us ? waited_us : facts->oldest_us;
    }
}

void sp__metrics_pools_look(struct metrics *metrics, const struct lane *lane)
{
    for (size_t i = 0; i < metrics->pit->pools_count; i++) {
        const struct pool *front = &metrics->pit->pools[i];
        struct pool_facts *facts = &metrics->pools[i];
        for (uint32_t n = 0; n < sp__pool_parts(front); n++) {
            const struct pool *part = sp__pool_part(front, n);
            sp_pool_stats stats;
            if (part->owner != lane || part->shop == NULL) {
                continue;
            }
            sp__pool_stats(part, &stats);
            if (facts->stats.workers == 0) {
                facts->stats = stats;
            } else {
                sp__share_add_stats(&facts->stats, &stats);
            }
            sp__meter_add(&part->meter, &facts->sum);
            look_at_seats(facts, part);
            look_at_queue(facts, part);
        }
    }
}

/* ---- room ---- */

int sp__metrics_pools_init(struct metrics *metrics, sp_error *err)
{
    const struct sp_pit *pit = metrics->pit;
    int rc = SP_OK;
    metrics->pools = sp__calloc(pit->pools_count, sizeof *metrics->pools);
    if (metrics->pools == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for metrics");
    }
    for (size_t i = 0; rc == SP_OK && i < pit->pools_count; i++) {
        const struct pool *front = &pit->pools[i];
        struct pool_facts *facts = &metrics->pools[i];
        facts->name = front->name;
        facts->workers_max =
            front->options.workers +
            (size_t)front->options.recycle_surge * sp__pool_parts(front);
        facts->workers = sp__calloc(facts->workers_max, sizeof *facts->workers);
        rc = facts->workers == NULL
                 ? sp__fail(err, SP_ERR_NOMEM, "no memory for metrics of %zu workers",
                            facts->workers_max)
                 : sp__meter_sum_init(&facts->sum, front->meter.labels, err);
    }
    return rc;
}

void sp__metrics_pools_fini(struct metrics *metrics)
{
    for (size_t i = 0; metrics->pools != NULL && i < metrics->pit->pools_count; i++) {
        sp__meter_sum_fini(&metrics->pools[i].sum);
        sp__free(metrics->pools[i].workers);
    }
    sp__free(metrics->pools);
    metrics->pools = NULL;
}

/* ---- samples ---- */

#define ADD(id, value) \
    sp__metrics_add(metrics, METRIC_##id, (double)(value), pool->name, NULL, NULL)
#define ADD1(id, value, a) \
    sp__metrics_add(metrics, METRIC_##id, (double)(value), pool->name, a, NULL)

static void add_now(struct metrics *metrics, const struct pool_facts *pool)
{
    const sp_pool_stats *stats = &pool->stats;
    for (int state = SP_WORKER_STARTING; state <= SP_WORKER_DRAINING; state++) {
        ADD1(POOL_WORKERS, pool->states[state], sp__word_worker(state));
    }
    ADD(POOL_WORKERS_MIN, stats->workers);
    ADD(POOL_WORKERS_MAX, stats->workers);
    ADD(POOL_CAPACITY, stats->capacity);
    ADD(POOL_BUSY, pool->busy_slots);
    ADD(POOL_PIPELINED, pool->pipelined);
    ADD(QUEUE_LENGTH, stats->queued);
    ADD(QUEUE_PEAK, stats->queued_peak);
    ADD(QUEUE_LIMIT, stats->queue_max);
    ADD(QUEUE_OLDEST, (double)pool->oldest_us / 1e6);
    ADD(BREAKER, stats->breaker);
}

static void add_tool(struct metrics *metrics, const struct pool_facts *pool,
                     const struct tool_sum *tool, const char *name)
{
    for (int code = 0; code < METER_CODES; code++) {
        if (tool->counts.endings[code] > 0) {
            sp__metrics_add(metrics, METRIC_CALLS, (double)tool->counts.endings[code],
                            pool->name, name, sp_error_name(-code));
        }
    }
    sp__metrics_add_histogram(metrics, METRIC_CALL_DURATION, &tool->counts.run,
                              tool->exemplars, pool->name, name);
}

static void add_tools(struct metrics *metrics, const struct pool_facts *pool)
{
    const struct meter_sum *sum = &pool->sum;
    for (uint32_t i = 0; i < sum->tools_count; i++) {
        add_tool(metrics, pool, &sum->tools[i], sum->tools[i].name);
    }
    add_tool(metrics, pool, sum->other, METER_OTHER);
}

static void add_calls(struct metrics *metrics, const struct pool_facts *pool)
{
    const struct pool_counts *counts = &pool->sum.counts;
    const sp_pool_stats *stats = &pool->stats;
    static const int reasons[] = {
        SP_ERR_QUEUE_FULL, SP_ERR_BREAKER_OPEN, SP_ERR_POISON,
        SP_ERR_NO_WORKER,  SP_ERR_START_FAILED, SP_ERR_DEADLOCK,
        SP_ERR_CLOSED,     SP_ERR_NOMEM,        SP_ERR_SESSION_WORKER_LOST};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        ADD1(CALLS_REJECTED, counts->rejected[sp__meter_code(reasons[i])],
             sp_error_name(reasons[i]));
    }
    for (int stage = SP_STAGE_QUEUED; stage <= SP_STAGE_STREAMING; stage++) {
        ADD1(CALLS_CANCELLED, counts->cancelled[stage], sp__word_stage(stage));
    }
    ADD(CALL_RETRIES, stats->retried);
    ADD(QUEUE_TIMEOUTS, stats->queue_timeouts);
    ADD(CALL_TIMEOUTS, stats->call_timeouts);
    ADD(STREAM_CHUNKS, stats->chunks);
    sp__metrics_add_histogram(metrics, METRIC_QUEUE_WAIT, &counts->wait, NULL,
                              pool->name, NULL);
    ADD1(AFFINITY, counts->homes[SP_PLACED_SAME], "hit");
    ADD1(AFFINITY, counts->homes[SP_PLACED_NEW], "miss");
    ADD1(AFFINITY, counts->homes[SP_PLACED_MOVED], "moved");
    ADD1(AFFINITY, counts->homes_refused, "refused");
}

static void add_lives(struct metrics *metrics, const struct pool_facts *pool)
{
    static const struct {
        enum core_reason reason;
        const char *word;
    } reasons[] = {{REASON_AGE, "ttl"},
                   {REASON_CALLS, "max_calls"},
                   {REASON_MEMORY, "memory"},
                   {REASON_ASKED, "operator"},
                   {REASON_SPENT, "connection"}};
    const struct pool_counts *counts = &pool->sum.counts;
    ADD(WORKER_SPAWNED, pool->stats.workers_started);
    sp__metrics_add_histogram(metrics, METRIC_WORKER_START, &counts->start, NULL,
                              pool->name, "total");
    for (int phase = 0; phase < START_PHASES; phase++) {
        sp__metrics_add_histogram(metrics, METRIC_WORKER_START,
                                  &counts->start_phases[phase], NULL, pool->name,
                                  sp__start_phase_name((enum start_phase)phase));
    }
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        ADD1(WORKER_RECYCLED, counts->recycled[reasons[i].reason], reasons[i].word);
    }
    for (int why = 1; why < METER_DEATHS; why++) {
        ADD1(WORKER_DEATHS, counts->deaths[why], sp_death_name(why));
    }
    ADD1(WORKER_DEATHS, counts->deaths[METER_DEATH_UNKNOWN], "unknown");
}

static void add_worker(struct metrics *metrics, const struct pool_facts *pool,
                       const struct worker_facts *worker)
{
    int64_t fds = worker->pid > 0 ? sp__process_fds(worker->pid) : -1;
    if (worker->sample.at_ms > 0) {
        ADD1(WORKER_RSS, worker->sample.rss_bytes, worker->slot);
        ADD1(WORKER_TREE, worker->sample.tree_bytes, worker->slot);
        ADD1(WORKER_CPU, (double)worker->sample.cpu_ms / 1e3, worker->slot);
    }
    if (worker->state == SP_WORKER_READY || worker->state == SP_WORKER_BUSY) {
        ADD1(WORKER_HEARTBEAT, (double)worker->beaten_ms / 1e3, worker->slot);
    }
    if (fds >= 0) {
        ADD1(WORKER_FDS, fds, worker->slot);
    }
}

void sp__metrics_pools_add(struct metrics *metrics)
{
    for (size_t i = 0; i < metrics->pit->pools_count; i++) {
        const struct pool_facts *pool = &metrics->pools[i];
        add_now(metrics, pool);
        add_calls(metrics, pool);
        add_tools(metrics, pool);
        add_lives(metrics, pool);
        for (size_t n = 0; n < pool->workers_count; n++) {
            add_worker(metrics, pool, &pool->workers[n]);
        }
    }
}
