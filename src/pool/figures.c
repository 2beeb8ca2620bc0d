/* SPDX-License-Identifier: MIT */
/*
 * What a pool counts of its calls, and what it says of itself when asked: its figures, and
 * what each worker does. Nothing fails.
 */
#include <stdio.h>

#include "pool/flow.h"

/* ---- counting ---- */

static void count_ending(struct pool *pool, const struct request *request)
{
    switch (sp__request_code(request)) {
    case 0:
        pool->stats.succeeded++;
        return;
    case SP_ERR_QUEUE_TIMEOUT:
        pool->stats.queue_timeouts++;
        break;
    case SP_ERR_TIMEOUT:
        pool->stats.call_timeouts++;
        break;
    case SP_ERR_CANCELLED:
        pool->stats.cancelled++;
        break;
    default:
        break;
    }
    pool->stats.errors++;
}

/* A name that a worker has announced, or that has done well once, is worth a line of its
 * own in the metrics; what is only asked for may be any number of names. */
static struct tool_meter *meter_of(struct pool *pool, const struct request *request)
{
    struct tool *tool = request->tool;
    if (tool == NULL) {
        return &pool->meter.other;
    }
    if (tool->meter == NULL) {
        if (!tool->announced && !tool->declared && request->error != NULL) {
            return &pool->meter.other;
        }
        tool->meter = sp__meter_tool(&pool->meter, tool->name);
    }
    return tool->meter;
}

static void meter_ending(struct pool *pool, const struct request *request)
{
    struct pool_counts *counts = &pool->meter.counts;
    struct tool_meter *tool = meter_of(pool, request);
    uint64_t now_us = sp__loop_now_us(pool->shop->loop);
    uint32_t code = sp__meter_code(sp__request_code(request));
    tool->counts.endings[code]++;
    if (request->state == REQUEST_SENT) {
        sp__meter_ran(tool, now_us > request->sent_us ? now_us - request->sent_us : 0,
                      request->trace);
    } else if (request->state == REQUEST_QUEUED && request->result.attempts == 0) {
        (void)sp__histogram_add(&counts->wait, now_us > request->created_us
                                                   ? now_us - request->created_us
                                                   : 0);
    } else if (request->state == REQUEST_NEW) {
        counts->rejected[code]++;
    }
    if (code == METER_CODE_CANCELLED) {
        counts->cancelled[request->error->stage]++;
    }
}

void sp__pool_count_ending(struct pool *pool, const struct request *request)
{
    count_ending(pool, request);
    meter_ending(pool, request);
}

/* ---- when asked ---- */

static void describe_zygote(const struct pool *pool, sp_pool_stats *ret)
{
    static const int states[] = {[ZYGOTE_NONE] = SP_ZYGOTE_STATE_NONE,
                                 [ZYGOTE_STARTING] = SP_ZYGOTE_STATE_STARTING,
                                 [ZYGOTE_READY] = SP_ZYGOTE_STATE_READY,
                                 [ZYGOTE_WAITING] = SP_ZYGOTE_STATE_WAITING,
                                 [ZYGOTE_STOPPED] = SP_ZYGOTE_STATE_NONE};
    ret->zygote = pool->options.zygote;
    if (pool->zygote != NULL) {
        ret->zygote_state = states[pool->zygote->state];
        ret->zygote_pid = pool->zygote->pid;
        ret->workers_forked = pool->zygote->forked;
        ret->zygotes_started = pool->zygote->starts;
    }
}

void sp__pool_stats(const struct pool *pool, sp_pool_stats *ret)
{
    const struct core *core = &pool->core;
    *ret = pool->stats;
    ret->workers = pool->options.workers;
    ret->starting = core->states[SEAT_STARTING];
    ret->available = core->idle.length;
    ret->busy = core->busy.length;
    ret->draining = core->states[SEAT_DRAINING];
    ret->backoff = core->states[SEAT_WAITING];
    ret->breaker = (int)core->breaker;
    ret->queued = core->queue.length;
    ret->queue_max = pool->options.queue_max;
    ret->profile = pool->options.profile;
    ret->session_hits = pool->meter.counts.homes[SP_PLACED_SAME];
    ret->session_moves = pool->meter.counts.homes[SP_PLACED_MOVED];
    ret->session_refusals = pool->meter.counts.homes_refused;
    for (uint32_t i = 0; i < core->seats_count; i++) {
        ret->capacity +=
            core->seats[i].state == SEAT_READY ? core->seats[i].capacity : 0;
    }
    describe_zygote(pool, ret);
    (void)snprintf(ret->name, sizeof ret->name, "%s", pool->name);
    (void)snprintf(ret->adapter, sizeof ret->adapter, "%s", pool->spec.describe);
}

static int public_state(const struct core_seat *seat)
{
    switch (seat->state) {
    case SEAT_STARTING:
        return SP_WORKER_STARTING;
    case SEAT_READY:
        return seat->in_flight > 0 ? SP_WORKER_BUSY : SP_WORKER_READY;
    case SEAT_DRAINING:
        return SP_WORKER_DRAINING;
    case SEAT_STOPPING:
        return SP_WORKER_STOPPING;
    case SEAT_WAITING:
    case SEAT_EMPTY:
        break;
    }
    return SP_WORKER_BACKOFF;
}

static void describe_worker(const struct pool *pool, uint32_t seat, sp_worker_info *ret)
{
    const struct core_seat *s = &pool->core.seats[seat];
    const struct worker *worker = pool->workers[seat];
    *ret =
        (sp_worker_info){.slot = sp__pool_slot(pool, seat), .state = public_state(s)};
    ret->restarts = s->starts > 0 ? s->starts - (worker != NULL) : 0;
    if (worker == NULL) {
        return;
    }
    ret->id = worker->id;
    ret->pid = worker->pid;
    ret->is_forked = worker->forked_by != 0;
    ret->in_flight = worker->in_flight.length;
    ret->capacity = s->capacity;
    ret->calls_total = worker->calls_total;
    ret->age_ms = sp__loop_now_ms(pool->shop->loop) - worker->spawned_ms;
    ret->ready_ms = worker->ready_ms > 0 ? worker->ready_ms - worker->spawned_ms : 0;
    if (worker->sample.at_ms > 0) {
        ret->rss_bytes = worker->sample.rss_bytes;
        ret->pss_bytes = worker->sample.pss_bytes;
        ret->tree_bytes = worker->sample.tree_bytes;
        ret->processes = worker->sample.processes;
        ret->sample_age_ms = sp__loop_now_ms(pool->shop->loop) - worker->sample.at_ms;
    }
    (void)snprintf(ret->runtime, sizeof ret->runtime, "%s", worker->runtime);
}

int sp__pool_worker_at(const struct pool *pool, uint32_t seat, sp_worker_info *ret)
{
    if (pool->core.seats[seat].state == SEAT_EMPTY) {
        return 0;
    }
    describe_worker(pool, seat, ret);
    return 1;
}

size_t sp__pool_workers(const struct pool *pool, sp_worker_info *ret, size_t max)
{
    size_t count = 0;
    for (uint32_t i = 0; i < pool->core.seats_count; i++) {
        sp_worker_info info;
        if (sp__pool_worker_at(pool, i, &info)) {
            if (count < max) {
                ret[count] = info;
            }
            count++;
        }
    }
    return count;
}

int sp__pool_seat(const struct pool *pool, uint32_t slot)
{
    for (uint32_t i = 0; i < pool->core.seats_count; i++) {
        if (pool->core.seats[i].state != SEAT_EMPTY && sp__pool_slot(pool, i) == slot) {
            return (int)i;
        }
    }
    return -1;
}
