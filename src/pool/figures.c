/* SPDX-License-Identifier: MIT */
/* What a pool says of itself when asked: its figures, and what each worker does. */
#include <stdio.h>

#include "pool/pool.h"

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

size_t sp__pool_workers(const struct pool *pool, sp_worker_info *ret, size_t max)
{
    size_t count = 0;
    for (uint32_t i = 0; i < pool->core.seats_count; i++) {
        if (pool->core.seats[i].state == SEAT_EMPTY) {
            continue; /* a spare place */
        }
        if (count < max) {
            describe_worker(pool, i, &ret[count]);
        }
        count++;
    }
    return count;
}
