/* SPDX-License-Identifier: MIT */
/*
 * The pool's processes: what the core decides about them, done; and what they tell, told
 * to the core.
 *
 * Normal course: an event goes through sp__pool_step(), which does the actions that come
 * out in their order. Nothing that is done may step again from inside: a start or a send
 * that fails is kept and becomes an event of its own when the actions are through, and
 * what a worker reports while it is being stopped is known to the core already.
 *
 * Failure: the last failed start is kept, for those who wait and for those who ask.
 */
#include "pool/pool.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "pool/flow.h"
#include "pool/options.h"
#include "pool/share.h"
#include "pool/spans.h"

uint32_t sp__pool_slot(const struct pool *pool, uint32_t seat)
{
    if (pool->share == NULL) {
        return seat;
    }
    uint32_t count = pool->share->parts_count;
    uint32_t workers = pool->options.workers;
    uint32_t own = sp__share_of(workers, pool->part, count);
    if (seat >= own) {
        return workers + pool->part * pool->options.recycle_surge + seat - own;
    }
    uint32_t more = workers % count; /* parts with one more than others */
    return pool->part * (workers / count) + (pool->part < more ? pool->part : more) +
           seat;
}

/* ---- doing ---- */

static void note_start_failure(struct pool *pool, const sp_error *failure)
{
    sp__error_copy(&pool->last_failure, failure);
    if (pool->share != NULL) {
        sp__share_start_failed(pool, failure);
    }
}

static void start_worker(struct pool *pool, uint32_t seat)
{
    char name[80];
    sp_error failure = {0};
    (void)snprintf(name, sizeof name, "%s/%u", pool->name, sp__pool_slot(pool, seat));
    int rc = sp__worker_start(pool->shop, &pool->spec, sp__flow_worker_events, pool,
                              name, seat, &pool->workers[seat], &failure);
    if (rc < 0) {
        pool->workers[seat] = NULL;
        pool->unstarted++;
        note_start_failure(pool, &failure);
        sp__pool_tell(pool, SP_EVENT_WARNING, NULL, 0, failure.message);
        sp__pool_tell_unstarted(pool, NULL, failure.message);
        sp_error_clear(&failure);
        return;
    }
    if (pool->share != NULL) {
        sp__share_seated(pool, seat, pool->workers[seat]->id);
    }
    pool->workers[seat]->public_slot = sp__pool_slot(pool, seat);
    pool->workers[seat]->generation = pool->core.seats[seat].starts;
    pool->stats.workers_started++;
}

/* 1 when it was the last: the owner may have closed the pool then. */
static int perform(struct pool *pool, const struct core_action *action)
{
    switch ((enum core_action_kind)action->kind) {
    case CORE_DO_START:
        start_worker(pool, action->seat);
        break;
    case CORE_DO_STOP:
        sp__worker_stop(pool->workers[action->seat],
                        action->what == REASON_CLOSING ? WHY_ASKED : WHY_RECYCLED);
        break;
    case CORE_DO_SEND:
        sp__flow_send(pool, action);
        break;
    case CORE_DO_WAIT:
        sp__flow_wait(pool, action);
        break;
    case CORE_DO_END:
        sp__flow_end(pool, action);
        break;
    case CORE_DO_TELL:
        sp__pool_tell_news(pool, action);
        break;
    case CORE_DO_LOOK:
        pool->events->on_readiness(pool->owner, pool);
        break;
    case CORE_DO_LEAVE:
        pool->events->on_closed(pool->owner, pool);
        return 1;
    }
    return 0;
}

static void set_tick(struct pool *pool)
{
    uint64_t due_ms = pool->core.next_due_ms;
    if (due_ms == pool->tick_ms) {
        return;
    }
    pool->tick_ms = due_ms;
    if (due_ms == CORE_NEVER) {
        sp__timer_stop(pool->shop->loop, &pool->tick);
    } else {
        sp__timer_set(pool->shop->loop, &pool->tick, due_ms);
    }
}

/* Seats that the core has given a process which never came to be. */
static void return_unstarted(struct pool *pool)
{
    for (uint32_t i = 0; pool->unstarted > 0 && i < pool->core.seats_count; i++) {
        if (pool->core.seats[i].state == SEAT_STARTING && pool->workers[i] == NULL) {
            /* Without a guard nothing starts; that says nothing of the workers. */
            struct core_event event = {.kind = CORE_SPAWN_FAILED,
                                       .seat = i,
                                       .crashed = pool->shop->guard != NULL};
            pool->unstarted--;
            sp__pool_step(pool, &event, NULL);
        }
    }
}

/* Workers whose connection has given its last number take no more calls. */
static void retire_spent(struct pool *pool)
{
    pool->has_spent = 0;
    for (uint32_t i = 0; i < pool->core.seats_count; i++) {
        const struct worker *worker = pool->workers[i];
        if (worker != NULL && !pool->core.seats[i].spent &&
            sp__worker_is_spent(worker)) {
            struct core_event event = {.kind = CORE_SPENT, .seat = i};
            sp__pool_step(pool, &event, NULL);
        }
    }
}

void sp__pool_step(struct pool *pool, const struct core_event *event, sp_error *failure)
{
    struct core *core = &pool->core;
    pool->failure = failure;
    if (pool->share != NULL) {
        sp__share_prepare(pool);
    }
    sp__core_step(core, event, sp__loop_now_ms(pool->shop->loop));
    for (uint32_t i = 0; i < core->actions_count; i++) {
        if (perform(pool, &core->actions[i])) {
            return;
        }
    }
    pool->failure = NULL;
    set_tick(pool);
    if (pool->has_spent) {
        retire_spent(pool);
    }
    if (pool->unsent.length > 0) {
        sp__flow_return_unsent(pool);
    }
    if (pool->unstarted > 0) {
        return_unstarted(pool);
    }
    if (pool->share != NULL) {
        sp__share_settle(pool);
    }
}

static void tick_due(struct timer *timer, uint64_t now_ms)
{
    struct pool *pool = ITEM(timer, struct pool, tick);
    struct core_event event = {.kind = CORE_TICK};
    pool->tick_ms = CORE_NEVER;
    sp__pool_step(pool, &event, NULL);
}

/* ---- what workers tell ---- */

void sp__pool_worker_spawned(struct worker *worker)
{
    sp__pool_tell(worker->owner, SP_EVENT_WORKER_SPAWNED, worker, 0, worker->name);
}

void sp__pool_worker_ready(struct worker *worker, const struct proto_announce *announce)
{
    struct pool *pool = worker->owner;
    sp_error failure = {0};
    if (announce != NULL &&
        sp__tools_announce(&pool->tools, (struct proto_announce *)announce, &failure) <
            0) {
        sp__pool_tell(pool, SP_EVENT_WARNING, worker, 0, failure.message);
        sp_error_clear(&failure);
    }
    struct span_record start;
    sp__span_start(&start, worker, pool->name, announce);
    sp__meter_started(&pool->meter, &start);
    if (pool->spans != NULL) {
        sp__spans_put(pool->spans, &start);
    }
    sp__pool_tell_ready(pool, worker);
    sp__pool_tell_restarted(pool, worker);
    struct core_event event = {
        .kind = CORE_READY, .seat = worker->slot, .value = worker->capacity};
    sp__pool_step(pool, &event, NULL);
}

void sp__pool_worker_stopping(struct worker *worker)
{
    struct pool *pool = worker->owner;
    struct core_event event = {.kind = CORE_LEAVING, .seat = worker->slot};
    if (pool->core.seats[worker->slot].state != SEAT_STOPPING) {
        sp__pool_step(pool, &event, NULL);
    }
}

void sp__pool_worker_free(struct worker *worker)
{
    struct pool *pool = worker->owner;
    struct core_event event = {.kind = CORE_FREE_AGAIN, .seat = worker->slot};
    pool->stuck -= pool->stuck > 0;
    sp__pool_step(pool, &event, NULL);
}

void sp__pool_worker_line(struct worker *worker, int stream, const char *line)
{
    sp__pool_tell_line(worker->owner, worker, stream, line);
}

void sp__pool_worker_hung(struct worker *worker)
{
    sp__pool_tell_hung(worker->owner, worker);
}

void sp__pool_worker_sampled(struct worker *worker)
{
    struct core_event event = {.kind = CORE_MEMORY,
                               .seat = worker->slot,
                               .value = worker->sample.tree_bytes / 1024};
    sp__pool_step(worker->owner, &event, NULL);
}

int sp__pool_died_of_itself(const struct worker *worker, const sp_error *failure)
{
    /* Its connection often breaks before its end is told. */
    return (worker->why == WHY_NONE || worker->why == WHY_LOST) &&
           failure->worker_signal != SIGKILL && failure->worker_signal != SIGTERM &&
           failure->worker_signal != SIGHUP && failure->worker_signal != SIGINT;
}

static int was_asked(const struct worker_death *death)
{
    return death->why == WHY_ASKED || death->why == WHY_RECYCLED ||
           death->why == WHY_SPENT || death->why == WHY_CANCELLED ||
           death->why == WHY_OPERATOR;
}

/* The oldest goes when there are too many. */
static void remember_death(struct pool *pool, struct death *certificate)
{
    if (certificate != NULL) {
        struct death **place = &pool->deaths[pool->deaths_count++ % POOL_DEATHS_MAX];
        sp__death_drop(*place);
        *place = sp__death_hold(certificate);
        if (pool->share != NULL) {
            sp__share_died(pool, certificate);
        }
    }
}

int sp__pool_find_fate(struct death *const *deaths, uint64_t worker, struct fate *ret)
{
    for (size_t i = 0; i < POOL_DEATHS_MAX && deaths[i] != NULL; i++) {
        const sp_death *facts = sp__death_facts(deaths[i]);
        if (facts->worker == worker) {
            *ret = (struct fate){.slot = facts->slot, .pid = facts->pid};
            (void)snprintf(ret->text, sizeof ret->text, "its worker has ended: %s",
                           facts->message);
            return 1;
        }
    }
    return 0;
}

void sp__pool_fate(const struct pool *pool, uint64_t worker, struct fate *ret)
{
    const struct worker *there = sp__map_find(&pool->shop->by_id, worker);
    if (there != NULL) {
        *ret = (struct fate){.slot = there->public_slot, .pid = there->pid};
        (void)snprintf(ret->text, sizeof ret->text, "worker %s, process %d, %s",
                       there->name, there->pid,
                       there->state == WORKER_READY ? "is being replaced"
                                                    : "is about to end");
    } else if (!sp__pool_find_fate(pool->deaths, worker, ret) &&
               (pool->share == NULL || !sp__share_fate(pool, worker, ret))) {
        *ret = (struct fate){.text = "its worker has ended some time ago"};
    }
}

size_t sp__pool_deaths(const struct pool *pool, struct death **ret)
{
    uint64_t kept =
        pool->deaths_count < POOL_DEATHS_MAX ? pool->deaths_count : POOL_DEATHS_MAX;
    for (uint64_t i = 0; i < kept; i++) {
        uint64_t at = pool->deaths_count - kept + i;
        ret[i] = sp__death_hold(pool->deaths[at % POOL_DEATHS_MAX]);
    }
    return (size_t)kept;
}

/* What anybody may look at of a worker that has ended, on whatever loop. */
static void note_death(struct pool *pool, const struct worker *worker,
                       const struct worker_death *death, int asked)
{
    remember_death(pool, death->certificate);
    pool->workers[worker->slot] = NULL;
    if (pool->share != NULL) {
        sp__share_seated(pool, worker->slot, 0);
    }
    pool->stats.workers_died += !asked;
    pool->meter.counts
        .deaths[death->certificate != NULL
                    ? sp__meter_death(sp__death_facts(death->certificate)->why)
                    : METER_DEATH_UNKNOWN]++;
    pool->stats.unkillable += worker->unkillable != 0;
    if (!asked && !death->was_ready) {
        note_start_failure(pool, &death->error);
    }
}

/* Noted before it is told: who has heard of it may ask another loop at once, and must not
 * find the worker there. */
void sp__pool_worker_dead(struct worker *worker, const struct worker_death *death)
{
    struct pool *pool = worker->owner;
    int asked = was_asked(death);
    struct core_event dead = {
        .kind = CORE_DEAD,
        .seat = worker->slot,
        .crashed = !asked && death->why != WHY_GUARD,
        .permanent = !asked && death->permanent,
        .suspect = !asked && sp__pool_died_of_itself(worker, &death->error),
    };
    note_death(pool, worker, death, asked);
    sp__pool_tell_death(pool, worker, death, asked);
    if (!asked && !death->was_ready) {
        sp__pool_tell_unstarted(pool, worker, death->error.message);
    }
    if (dead.suspect && pool->core.options.suspect_ms > 0) {
        sp__pool_tell_tainted(pool, worker, death);
    }
    sp__worker_free(worker);
    sp__pool_step(pool, &dead, NULL);
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

static void *learn_tool(void *user, const struct proto_tool *spec)
{
    const struct pool *pool = user;
    return pool->events->on_tool != NULL ? pool->events->on_tool(pool, spec) : NULL;
}

int sp__pool_init(struct pool *pool, const sp_pool_options *options,
                  const char *bridge_path, const struct pool_events *events,
                  void *owner, sp_error *err)
{
    *pool = (struct pool){
        .events = events, .owner = owner, .tick_ms = CORE_NEVER, .front = pool};
    int rc = sp__pool_options_fill(options, &pool->options, err);
    if (rc < 0) {
        return rc;
    }
    (void)snprintf(pool->name, sizeof pool->name, "%s", pool->options.name);
    sp__tools_init(&pool->tools);
    sp__meter_init(&pool->meter);
    pool->tools.learn = learn_tool;
    pool->tools.forget = events->on_forget;
    pool->tools.user = pool;
    rc = copy_timeouts(pool, &pool->options);
    if (rc < 0) {
        sp__fail(err, rc, "no memory for pool %s", pool->name);
        goto fini;
    }
    rc = sp__spec_init(&pool->spec, &pool->options, bridge_path, err);
    if (rc < 0) {
        rc = sp__wrap(err, rc, "pool %s", pool->name);
        goto fini;
    }
    pool->spec.pool = pool->name;
    const char *const *commands = pool->options.custom != NULL
                                      ? pool->options.custom->commands
                                      : pool->options.commands;
    if (commands != NULL) {
        rc = sp__tools_declare(&pool->tools, commands, err);
        if (rc < 0) {
            goto fini;
        }
    }
    return SP_OK;

fini:
    sp__pool_fini(pool);
    return rc;
}

static void zygote_line(void *user, int stream, const char *line)
{
    sp__pool_tell_line(user, NULL, stream, line);
}

static void zygote_told(void *user, const char *text)
{
    sp__pool_tell(user, SP_EVENT_WARNING, NULL, 0, text);
}

static int open_zygote(struct pool *pool, sp_error *err)
{
    static const struct zygote_events events = {.on_line = zygote_line,
                                                .on_told = zygote_told};
    if (pool->options.zygote == SP_ZYGOTE_OFF) {
        return SP_OK;
    }
    pool->zygote = sp__calloc(1, sizeof *pool->zygote);
    if (pool->zygote == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the zygote of pool %s",
                        pool->name);
    }
    int rc = sp__zygote_init(pool->zygote, pool->shop, &pool->spec, &events, pool, err);
    pool->zygote->may_do_without = pool->options.zygote == SP_ZYGOTE_AUTO;
    pool->spec.zygote = rc == SP_OK ? pool->zygote : NULL;
    return rc;
}

static void close_zygote(struct pool *pool)
{
    if (pool->zygote != NULL) {
        sp__zygote_fini(pool->zygote);
        sp__free(pool->zygote);
        pool->zygote = NULL;
    }
}

void sp__pool_stop(struct pool *pool)
{
    sp__timer_fini(pool->shop->loop, &pool->tick);
    close_zygote(pool);
    pool->shop = NULL;
}

void sp__pool_fini(struct pool *pool)
{
    for (size_t i = 0; i < pool->command_timeouts_count; i++) {
        sp__free((char *)pool->command_timeouts[i].command);
    }
    sp__free(pool->command_timeouts);
    sp__core_fini(&pool->core);
    sp__free(pool->workers);
    sp__free(pool->requests);
    for (size_t i = 0; i < POOL_DEATHS_MAX; i++) {
        sp__death_drop(pool->deaths[i]);
    }
    sp__spec_fini(&pool->spec);
    sp__tools_fini(&pool->tools);
    sp__meter_fini(&pool->meter);
    sp_error_clear(&pool->last_failure);
    *pool = (struct pool){0};
}

static void fill_core_options(const sp_pool_options *given, struct core_options *ret)
{
    *ret = (struct core_options){
        .workers = given->workers,
        .surge = given->recycle_surge,
        .threads = sp__pool_options_capacity(given),
        .pipeline_max = given->pipeline_max,
        .startup_batch = given->startup_batch,
        .startup_batch_delay_ms = given->startup_batch_delay_ms,
        .queue_max = given->queue_max,
        .affinity = given->affinity,
        .attempts_max = given->attempts_max,
        .retry_tokens_max = given->retry_budget,
        .recycle_after_ms = given->recycle_after_ms,
        .recycle_calls = given->recycle_calls,
        .recycle_memory_kib = given->recycle_memory_bytes == SP_UNLIMITED
                                  ? CORE_NEVER
                                  : given->recycle_memory_bytes / 1024,
        .recycle_jitter_permille = given->recycle_jitter_permille,
        .drain_ms = given->drain_timeout_ms,
        .backoff_min_ms = given->backoff_min_ms,
        .backoff_max_ms = given->backoff_max_ms,
        .steady_ms = given->steady_ms,
        .crashes_max = given->crashes_max,
        .crash_period_ms = given->crash_period_ms,
        .probe_ms = given->probe_interval_ms,
        .suspect_ms = given->suspect_ms,
        .poison_deaths = given->poison_deaths,
        .poison_block_ms = given->poison_block_ms,
        .seed = sp__now_us(),
    };
}

/* A part has its share of what is counted for the pool as a whole. */
static void fill_part_options(const struct pool *pool, struct core_options *options)
{
    uint32_t count = pool->share->parts_count;
    uint32_t batch = sp__share_of(options->startup_batch, pool->part, count);
    uint32_t crashes = sp__share_of(options->crashes_max + 1, pool->part, count);
    options->parts = count;
    options->workers = sp__share_of(options->workers, pool->part, count);
    options->startup_batch = batch > 0 ? batch : 1;
    options->crashes_max = crashes > 0 ? crashes - 1 : 0; /* one more opens a breaker */
    options->retry_tokens_max = (options->retry_tokens_max + count - 1) / count;
}

int sp__pool_start(struct pool *pool, struct workshop *shop, sp_error *err)
{
    SP__ON_LOOP(shop->loop);
    struct core_options options;
    fill_core_options(&pool->options, &options);
    if (pool->share != NULL) {
        fill_part_options(pool, &options);
    }
    pool->shop = shop;
    pool->started_ms = sp__loop_now_ms(shop->loop);
    int rc = sp__timer_init(shop->loop, &pool->tick, tick_due);
    if (rc == SP_OK) {
        rc = sp__core_init(&pool->core, &options);
    }
    if (rc == SP_OK) {
        pool->workers = sp__calloc(pool->core.seats_count, sizeof(struct worker *));
        rc = pool->workers == NULL ? SP_ERR_NOMEM : SP_OK;
    }
    if (rc < 0) {
        return sp__fail(err, rc, "no memory for the workers of pool %s", pool->name);
    }
    rc = open_zygote(pool, err);
    if (rc < 0) {
        return rc;
    }
    if (pool == pool->front) {
        sp__pool_tell_started(pool);
    }
    struct core_event event = {.kind = CORE_START};
    sp__pool_step(pool, &event, NULL);
    return SP_OK;
}

void sp__pool_close(struct pool *pool)
{
    struct core_event event = {.kind = CORE_CLOSE};
    if (pool->zygote != NULL) {
        sp__zygote_stop(pool->zygote);
    }
    sp__pool_step(pool, &event, NULL);
}

/* NULL: the pool has none of that id. */
static struct worker *find_own(struct pool *pool, uint64_t worker_id, sp_error *err)
{
    struct worker *worker = sp__map_find(&pool->shop->by_id, worker_id);
    if (worker == NULL || worker->owner != pool) {
        sp__fail(err, SP_ERR_NOT_FOUND, "pool %s has no worker %llu", pool->name,
                 (unsigned long long)worker_id);
        return NULL;
    }
    return worker;
}

int sp__pool_kill(struct pool *pool, uint64_t worker_id, sp_error *err)
{
    struct worker *worker = find_own(pool, worker_id, err);
    if (worker == NULL) {
        return SP_ERR_NOT_FOUND;
    }
    sp__worker_kill(worker, WHY_OPERATOR);
    return SP_OK;
}

int sp__pool_recycle(struct pool *pool, uint64_t worker_id, sp_error *err)
{
    struct core_event event = {.kind = CORE_RECYCLE, .seat = CORE_NONE};
    if (worker_id != 0) {
        const struct worker *worker = find_own(pool, worker_id, err);
        if (worker == NULL) {
            return SP_ERR_NOT_FOUND;
        }
        event.seat = worker->slot;
    } else if (pool->zygote != NULL) {
        sp__zygote_renew(pool->zygote); /* what is fresh has loaded what is new */
    }
    sp__pool_step(pool, &event, NULL);
    return SP_OK;
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
