/* SPDX-License-Identifier: MIT */
/*
 * The pool's life: starting workers, replacing dead ones, closing.
 *
 * Normal course: as many workers as configured start at once, in batches when there are
 * many; a worker that dies leaves its slot, and the slot starts another, at once the
 * first time and later and later while it keeps failing. Workers stand on the list of
 * their condition (starting, idle, busy, stopping), so counting them is free.
 *
 * Failure: a worker that says it can never start (its adapter does not import) fails the
 * pool for good; when no worker is left and the last one failed to start, waiting calls
 * are told why instead of waiting out their time. What becomes of calls is in flow.c.
 */
#include "pool/pool.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "pool/flow.h"
#include "pool/options.h"
#include "pool/schedule.h"

enum {
    ALIVE_LONG_ENOUGH_MS = 10000 /* then a death does not count as a failed start */
};

/* ---- telling ---- */

static void tell(struct pool *pool, int kind, const struct worker *worker,
                 const struct worker_death *death, uint64_t duration_ms,
                 const char *message)
{
    sp_event event = {
        .kind = kind,
        .time_unix_ms = sp__unix_ns() / 1000000u,
        .pool = pool->name,
        .exit_status = death != NULL ? death->exit_code : -1,
        .signal = death != NULL ? death->exit_signal : 0,
        .duration_ms = duration_ms,
        .message = message,
    };
    if (worker != NULL) {
        event.worker = worker->id;
        event.slot = worker->slot;
        event.pid = worker->pid;
    }
    pool->events->on_event(pool->owner, &event);
}

static void rehome(struct worker *worker, struct list *list)
{
    sp__list_remove(&worker->on_state);
    sp__list_append(list, &worker->on_state);
}

void sp__pool_rehome(struct pool *pool, struct worker *worker)
{
    switch (worker->state) {
    case WORKER_STARTING:
        rehome(worker, &pool->starting);
        break;
    case WORKER_READY:
        rehome(worker, worker->in_flight.length == 0 ? &pool->idle : &pool->busy);
        break;
    case WORKER_STOPPING:
        rehome(worker, &pool->stopping);
        break;
    case WORKER_DEAD:
        sp__list_remove(&worker->on_state);
        break;
    }
}

/* ---- starting workers ---- */

static void start_some(struct pool *pool);

static void wait_backoff(struct slot *slot)
{
    struct pool *pool = slot->pool;
    pool->random = pool->random * 1664525u + 1013904223u;
    uint64_t delay_ms = sp__sched_backoff_ms(slot->failures, pool->random >> 8);
    sp__timer_set(pool->shop->loop, &slot->backoff,
                  sp__loop_now_ms(pool->shop->loop) + delay_ms);
}

static void backoff_over(struct timer *timer, uint64_t now_ms)
{
    struct slot *slot = ITEM(timer, struct slot, backoff);
    slot->waiting = 1;
    start_some(slot->pool);
}

static void batch_over(struct timer *timer, uint64_t now_ms)
{
    struct pool *pool = ITEM(timer, struct pool, batch);
    pool->batch_left = pool->options.startup_batch;
    start_some(pool);
}

static void start_slot(struct slot *slot)
{
    struct pool *pool = slot->pool;
    char name[80];
    sp_error failure = {0};
    (void)snprintf(name, sizeof name, "%s/%u", pool->name, slot->index);
    slot->waiting = 0;
    int rc = sp__worker_start(pool->shop, &pool->spec, sp__flow_worker_events, pool,
                              name, slot->index, &slot->worker, &failure);
    if (rc < 0) {
        slot->worker = NULL;
        slot->failures++;
        sp_error_move(&pool->last_failure, &failure);
        tell(pool, SP_EVENT_WARNING, NULL, NULL, 0, pool->last_failure.message);
        wait_backoff(slot);
        return;
    }
    pool->stats.workers_started++;
    sp__list_append(&pool->starting, &slot->worker->on_state);
}

/* Start waiting slots, as many as a batch has room for. The next begin when one of these
 * is ready (an event), or when the configured pause is over. */
static void start_some(struct pool *pool)
{
    uint64_t delay_ms = pool->options.startup_batch_delay_ms;
    for (uint32_t i = 0; i < pool->options.workers && !pool->closing; i++) {
        if (!pool->slots[i].waiting || pool->failed_for_good) {
            continue;
        }
        if (pool->starting.length >= pool->options.startup_batch) {
            return;
        }
        if (delay_ms > 0 && pool->batch_left == 0) {
            if (pool->batch.node.at == 0) {
                sp__timer_set(pool->shop->loop, &pool->batch,
                              sp__loop_now_ms(pool->shop->loop) + delay_ms);
            }
            return;
        }
        pool->batch_left -= delay_ms > 0;
        start_slot(&pool->slots[i]);
    }
}

/* ---- what workers tell ---- */

int sp__pool_is_ready(const struct pool *pool)
{
    return pool->idle.length + pool->busy.length == pool->options.workers;
}

void sp__pool_worker_spawned(struct worker *worker)
{
    tell(worker->owner, SP_EVENT_WORKER_SPAWNED, worker, NULL, 0, worker->name);
}

void sp__pool_worker_ready(struct worker *worker, const struct proto_announce *announce)
{
    struct pool *pool = worker->owner;
    sp_error failure = {0};
    if (announce != NULL &&
        sp__tools_announce(&pool->tools, (struct proto_announce *)announce, &failure) <
            0) {
        tell(pool, SP_EVENT_WARNING, worker, NULL, 0, failure.message);
        sp_error_clear(&failure);
    }
    if (worker->capacity > pool->options.threads) {
        worker->capacity = pool->options.threads;
    }
    sp__pool_rehome(pool, worker);
    tell(pool, SP_EVENT_WORKER_READY, worker, NULL,
         worker->ready_ms - worker->spawned_ms, worker->runtime);
    if (!pool->was_ready && sp__pool_is_ready(pool)) {
        pool->was_ready = 1;
        tell(pool, SP_EVENT_POOL_READY, NULL, NULL, 0, "every worker is ready");
    }
    pool->events->on_readiness(pool->owner, pool);
    start_some(pool);
    sp__flow_pull(pool, worker);
}

void sp__pool_worker_stopping(struct worker *worker)
{
    sp__pool_rehome(worker->owner, worker);
}

void sp__pool_worker_line(struct worker *worker, const char *line)
{
    tell(worker->owner, SP_EVENT_WORKER_OUTPUT, worker, NULL, 0, line);
}

void sp__pool_worker_hung(struct worker *worker)
{
    tell(worker->owner, SP_EVENT_HEALTH_FAILED, worker, NULL,
         worker->spec->health_interval_ms, "no answer to a PING");
}

static void close_if_empty(struct pool *pool)
{
    if (pool->closing && pool->starting.length + pool->idle.length + pool->busy.length +
                                 pool->stopping.length ==
                             0) {
        pool->events->on_closed(pool->owner, pool);
    }
}

static int has_nobody(const struct pool *pool)
{
    return pool->starting.length + pool->idle.length + pool->busy.length == 0;
}

/* Learn from a death that nobody asked for. */
static void note_failure(struct pool *pool, struct slot *slot,
                         const struct worker_death *death, uint64_t alive_ms)
{
    pool->stats.workers_died++;
    slot->failures =
        death->was_ready && alive_ms > ALIVE_LONG_ENOUGH_MS ? 1 : slot->failures + 1;
    if (!death->was_ready) {
        sp__error_copy(&pool->last_failure, &death->error);
    }
    if (death->permanent) {
        pool->failed_for_good = 1;
    }
}

void sp__pool_worker_dead(struct worker *worker, const struct worker_death *death)
{
    struct pool *pool = worker->owner;
    struct slot *slot = &pool->slots[worker->slot];
    uint64_t alive_ms = sp__loop_now_ms(pool->shop->loop) - worker->spawned_ms;
    int asked = death->why == WHY_ASKED || death->why == WHY_SPENT;

    sp__list_remove(&worker->on_state);
    tell(pool, asked ? SP_EVENT_WORKER_STOPPED : SP_EVENT_WORKER_DIED, worker, death,
         alive_ms, death->error.message);
    slot->worker = NULL;
    slot->restarts++;
    if (!asked) {
        note_failure(pool, slot, death, alive_ms);
    }
    sp__worker_free(worker);

    if (pool->closing) {
        close_if_empty(pool);
        return;
    }
    if (pool->failed_for_good) {
        pool->events->on_readiness(pool->owner, pool);
    } else {
        wait_backoff(slot);
        start_some(pool);
    }
    if (has_nobody(pool) && pool->last_failure.code != 0 && !death->was_ready) {
        sp__flow_fail_queue(pool, &pool->last_failure);
    }
}

/* ---- life ---- */

static int copy_timeouts(struct pool *pool, const sp_pool_options *options)
{
    size_t n = options->command_timeouts_count;
    pool->command_timeouts = sp__calloc(n + 1, sizeof *pool->command_timeouts);
    if (pool->command_timeouts == NULL) {
        return SP_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        pool->command_timeouts[i].timeout_ms = options->command_timeouts[i].timeout_ms;
        pool->command_timeouts[i].command =
            sp__strdup(options->command_timeouts[i].command);
        if (pool->command_timeouts[i].command == NULL) {
            return SP_ERR_NOMEM;
        }
        pool->command_timeouts_count++;
    }
    return SP_OK;
}

int sp__pool_init(struct pool *pool, const sp_pool_options *options,
                  const char *bridge_path, const struct pool_events *events,
                  void *owner, sp_error *err)
{
    *pool = (struct pool){.events = events, .owner = owner};
    int rc = sp__pool_options_fill(options, &pool->options, err);
    if (rc < 0) {
        return rc;
    }
    (void)snprintf(pool->name, sizeof pool->name, "%s", pool->options.name);
    sp__tools_init(&pool->tools);
    pool->slots = sp__calloc(pool->options.workers, sizeof *pool->slots);
    rc = pool->slots == NULL ? SP_ERR_NOMEM : copy_timeouts(pool, &pool->options);
    if (rc < 0) {
        sp__fail(err, rc, "no memory for pool %s", pool->name);
        goto fini;
    }
    rc = sp__spec_init(&pool->spec, &pool->options, bridge_path, err);
    if (rc < 0) {
        rc = sp__wrap(err, rc, "pool %s", pool->name);
        goto fini;
    }
    const char *const *commands = pool->options.custom != NULL
                                      ? pool->options.custom->commands
                                      : pool->options.commands;
    if (commands != NULL) {
        rc = sp__tools_declare(&pool->tools, commands, err);
        if (rc < 0) {
            goto fini;
        }
    }
    pool->random = (uint32_t)sp__now_us();
    return SP_OK;

fini:
    sp__pool_fini(pool);
    return rc;
}

void sp__pool_fini(struct pool *pool)
{
    for (size_t i = 0; i < pool->command_timeouts_count; i++) {
        sp__free((char *)pool->command_timeouts[i].command);
    }
    sp__free(pool->command_timeouts);
    for (uint32_t i = 0; pool->shop != NULL && i < pool->options.workers; i++) {
        sp__timer_fini(pool->shop->loop, &pool->slots[i].backoff);
    }
    if (pool->shop != NULL) {
        sp__timer_fini(pool->shop->loop, &pool->batch);
    }
    sp__free(pool->slots);
    sp__spec_fini(&pool->spec);
    sp__tools_fini(&pool->tools);
    sp_error_clear(&pool->last_failure);
    *pool = (struct pool){0};
}

int sp__pool_start(struct pool *pool, struct workshop *shop, sp_error *err)
{
    SP__ON_LOOP(shop->loop);
    pool->shop = shop;
    int rc = sp__timer_init(shop->loop, &pool->batch, batch_over);
    for (uint32_t i = 0; rc == SP_OK && i < pool->options.workers; i++) {
        pool->slots[i] = (struct slot){.pool = pool, .index = i, .waiting = 1};
        rc = sp__timer_init(shop->loop, &pool->slots[i].backoff, backoff_over);
    }
    if (rc < 0) {
        return sp__fail(err, rc, "no memory for the timers of pool %s", pool->name);
    }
    pool->batch_left = pool->options.startup_batch;
    start_some(pool);
    return SP_OK;
}

void sp__pool_close(struct pool *pool)
{
    if (pool->closing) {
        return;
    }
    pool->closing = 1;
    sp_error closed = {0};
    sp__fail(&closed, SP_ERR_CLOSED, "pool %s is closing", pool->name);
    sp__flow_end_all(pool, &closed);
    sp_error_clear(&closed);

    sp__timer_stop(pool->shop->loop, &pool->batch);
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        struct slot *slot = &pool->slots[i];
        sp__timer_stop(pool->shop->loop, &slot->backoff);
        if (slot->worker != NULL) {
            sp__worker_stop(slot->worker, WHY_ASKED);
        }
    }
    close_if_empty(pool);
}

/* ---- asking ---- */

uint64_t sp__pool_command_timeout(const struct pool *pool, const char *command,
                                  int streaming)
{
    for (size_t i = 0; i < pool->command_timeouts_count; i++) {
        if (strcmp(pool->command_timeouts[i].command, command) == 0) {
            return pool->command_timeouts[i].timeout_ms;
        }
    }
    return streaming ? pool->options.stream_timeout_ms : pool->options.call_timeout_ms;
}

void sp__pool_stats(const struct pool *pool, sp_pool_stats *ret)
{
    *ret = pool->stats;
    ret->workers = pool->options.workers;
    ret->starting = pool->starting.length;
    ret->available = pool->idle.length;
    ret->busy = pool->busy.length;
    ret->backoff = pool->options.workers - pool->starting.length - pool->idle.length -
                   pool->busy.length - pool->stopping.length;
    ret->queued = pool->queue.length;
    ret->queue_max = pool->options.queue_max;
    (void)snprintf(ret->name, sizeof ret->name, "%s", pool->name);
    (void)snprintf(ret->adapter, sizeof ret->adapter, "%s", pool->spec.describe);
}

static int public_state(const struct worker *worker)
{
    switch (worker->state) {
    case WORKER_STARTING:
        return SP_WORKER_STARTING;
    case WORKER_READY:
        return worker->in_flight.length > 0 ? SP_WORKER_BUSY : SP_WORKER_READY;
    case WORKER_STOPPING:
    case WORKER_DEAD:
        break;
    }
    return SP_WORKER_STOPPING;
}

size_t sp__pool_workers(const struct pool *pool, sp_worker_info *ret, size_t max)
{
    uint64_t now_ms = sp__loop_now_ms(pool->shop->loop);
    for (uint32_t i = 0; i < pool->options.workers && i < max; i++) {
        const struct slot *slot = &pool->slots[i];
        const struct worker *worker = slot->worker;
        ret[i] = (sp_worker_info){
            .slot = i, .state = SP_WORKER_BACKOFF, .restarts = slot->restarts};
        if (worker == NULL) {
            continue;
        }
        ret[i].id = worker->id;
        ret[i].state = public_state(worker);
        ret[i].pid = worker->pid;
        ret[i].in_flight = worker->in_flight.length;
        ret[i].calls_total = worker->calls_total;
        ret[i].age_ms = now_ms - worker->spawned_ms;
        ret[i].ready_ms =
            worker->ready_ms > 0 ? worker->ready_ms - worker->spawned_ms : 0;
        (void)snprintf(ret[i].runtime, sizeof ret[i].runtime, "%s", worker->runtime);
    }
    return pool->options.workers;
}
