/* SPDX-License-Identifier: MIT */
/*
 * The pools of a pit: made of their options, kept within the machine's limits, found by
 * name; and what they tell.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/near.h"
#include "pit/deadlock.h"
#include "pit/home.h"
#include "pit/pit_internal.h"
#include "pit/rules.h"
#include "pit/sums.h"
#include "pool/share.h"

enum { WORKERS_MAX = 1000 };

/* ---- readiness ---- */

uint32_t sp__pools_ready(const struct pool *pool)
{
    if (pool->share == NULL) {
        return pool->core.states[SEAT_READY];
    }
    uint32_t ready = 0;
    for (uint32_t i = 0; i < pool->share->parts_count; i++) {
        ready +=
            atomic_load_explicit(&pool->share->views[i].ready, memory_order_relaxed);
    }
    return ready;
}

static int is_hopeless(const struct pool *pool)
{
    if (pool->share == NULL) {
        return pool->core.hopeless;
    }
    for (uint32_t i = 0; i < pool->share->parts_count; i++) {
        if (atomic_load_explicit(&pool->share->views[i].hopeless,
                                 memory_order_acquire)) {
            return 1;
        }
    }
    return 0;
}

void sp__pools_last_failure(struct pool *pool, sp_error *ret)
{
    if (pool->share == NULL) {
        sp__error_copy(ret, &pool->last_failure);
        return;
    }
    (void)pthread_mutex_lock(&pool->share->lock);
    sp__error_copy(ret, &pool->share->last_failure);
    (void)pthread_mutex_unlock(&pool->share->lock);
}

/* 1 with the answer in *ret_error, 0 when it is still open. */
static int readiness(struct sp_pit *pit, sp_error *ret_error)
{
    int ready = 1;
    for (size_t i = 0; i < pit->pools_count; i++) {
        struct pool *pool = &pit->pools[i];
        if (is_hopeless(pool)) {
            sp__pools_last_failure(pool, ret_error);
            return 1;
        }
        ready = ready && sp__pools_ready(pool) >= pool->options.workers;
    }
    return ready;
}

void sp__pools_look(struct sp_pit *pit)
{
    struct link *link = pit->ready_waiters.first;
    while (link != NULL) {
        struct ready_waiter *waiter = ITEM(link, struct ready_waiter, on_pit);
        link = link->next;
        if (readiness(pit, &waiter->error)) {
            sp__list_remove(&waiter->on_pit);
            sp__latch_open(&waiter->done);
        }
    }
}

static void run_look(struct command *command, void *user)
{
    struct lane *asking = ITEM(command, struct lane, look);
    atomic_store(&asking->look_posted, 0);
    sp__pools_look(asking->pit);
}

/* The waiters are on the first lane, and know of others what those have told. */
static void readiness_changed(void *owner, struct pool *pool)
{
    struct lane *lane = owner;
    if (pool->share == NULL && lane->number == 0) {
        sp__pools_look(lane->pit);
        return;
    }
    if (pool->share != NULL) {
        sp__share_tell(pool);
    }
    if (atomic_exchange(&lane->look_posted, 1) == 0) {
        lane->look.run = run_look;
        sp__loop_post(lane->pit->loop, &lane->look);
    }
}

static void pool_closed(void *owner, struct pool *pool)
{
    struct lane *lane = owner;
    if (atomic_fetch_sub(&lane->pit->pools_open, 1) == 1) {
        sp__latch_open(&lane->pit->closed);
    }
}

void sp__pit_warn(struct sp_pit *pit, const char *message)
{
    sp__pit_tell(pit, SP_EVENT_WARNING, message);
}

void sp__pit_tell(struct sp_pit *pit, int kind, const char *message)
{
    sp_event event = {.kind = kind, .pool = "", .message = message};
    sp__herald_tell(&pit->herald, &(struct tidings){.event = event});
}

static const struct pool_events pool_events = {
    .on_find = sp__calls_find,
    .on_tool = sp__rules_learn,
    .on_forget = sp__rules_forget,
    .on_ended = sp__calls_ended,
    .on_chunks = sp__calls_chunks,
    .on_elsewhere = sp__calls_elsewhere,
    .on_nested_waits = sp__deadlock_suspect,
    .on_assigned = sp__home_assigned,
    .on_readiness = readiness_changed,
    .on_closed = pool_closed,
};

/* ---- making them ---- */

static int check_names(struct sp_pit *pit, sp_error *err)
{
    for (size_t i = 0; i < pit->pools_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(pit->pools[i].name, pit->pools[j].name) == 0) {
                return sp__fail(err, SP_ERR_CONFIG, "two pools are called %s",
                                pit->pools[i].name);
            }
        }
    }
    return SP_OK;
}

int sp__pools_init(struct sp_pit *pit, const sp_pit_options *options,
                   const char *bridge_path, sp_error *err)
{
    size_t count = options->pools_count == 0 ? 1 : options->pools_count;
    pit->pools = sp__calloc(count, sizeof *pit->pools);
    if (pit->pools == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %zu pools", count);
    }
    const char *at = (const char *)options->pools;
    for (size_t i = 0; i < count; i++) {
        const sp_pool_options *given = (const sp_pool_options *)(const void *)at;
        int rc =
            sp__pool_init(&pit->pools[i], given, bridge_path, &pool_events, NULL, err);
        if (rc < 0) {
            return rc;
        }
        pit->pools_count++;
        if (options->metrics_tools_max > 0) {
            pit->pools[i].meter.own.max =
                options->metrics_tools_max == SP_NONE ? 0 : options->metrics_tools_max;
        }
        /* An array of a caller's older, smaller structs steps by its own size. */
        at = at == NULL ? NULL : at + given->size;
    }
    return check_names(pit, err);
}

/* ---- dividing them ---- */

static uint32_t parts_of(const struct sp_pit *pit, const struct pool *pool)
{
    return pool->options.workers < pit->lanes_count ? pool->options.workers
                                                    : pit->lanes_count;
}

/* The first part is the pool itself; the others are made of the same options. */
static int divide(struct sp_pit *pit, struct pool *front, const sp_pool_options *given,
                  const char *bridge_path, sp_error *err)
{
    uint32_t count = parts_of(pit, front);
    int rc = pit->lanes_count > 1 ? sp__share_new(front, count, err) : SP_OK;
    for (uint32_t i = 1; i < count && rc == SP_OK; i++) {
        struct pool *part = sp__calloc(1, sizeof *part);
        if (part == NULL) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for a part of pool %s",
                            front->name);
        }
        rc = sp__pool_init(part, given, bridge_path, &pool_events, NULL, err);
        if (rc < 0) {
            sp__free(part);
            return rc;
        }
        part->options.workers = front->options.workers;
        rc = sp__share_join(front, part, i, err);
    }
    return rc;
}

int sp__pools_divide(struct sp_pit *pit, const sp_pit_options *options,
                     const char *bridge_path, sp_error *err)
{
    const char *at = (const char *)options->pools;
    for (size_t i = 0; i < pit->pools_count; i++) {
        const sp_pool_options *given = (const sp_pool_options *)(const void *)at;
        int rc = divide(pit, &pit->pools[i], given, bridge_path, err);
        if (rc < 0) {
            return rc;
        }
        /* Not all pools begin with the first lane: small ones spread as well. */
        for (uint32_t j = 0; j < sp__pool_parts(&pit->pools[i]); j++) {
            sp__pool_part(&pit->pools[i], j)->owner =
                &pit->lanes[(i + j) % pit->lanes_count];
        }
        at = at == NULL ? NULL : at + given->size;
    }
    return SP_OK;
}

void sp__pools_meet(struct sp_pit *pit)
{
    for (size_t i = 0; i < pit->pools_count; i++) {
        for (uint32_t j = 0; j < sp__pool_parts(&pit->pools[i]); j++) {
            struct pool *part = sp__pool_part(&pit->pools[i], j);
            const struct lane *lane = part->owner;
            part->loop = lane->loop;
        }
    }
}

void sp__pools_fini(struct lane *lane)
{
    struct sp_pit *pit = lane->pit;
    for (size_t i = 0; i < pit->pools_count; i++) {
        struct pool *part = sp__pools_part_on(lane, i);
        if (part != NULL && part->shop != NULL) {
            sp__pool_stop(part);
        }
    }
}

void sp__pools_free(struct sp_pit *pit)
{
    for (size_t i = 0; i < pit->pools_count; i++) {
        struct pool_share *share = pit->pools[i].share;
        for (uint32_t j = 1; share != NULL && j < share->parts_count; j++) {
            if (share->parts[j] != NULL) {
                sp__pool_fini(share->parts[j]);
                sp__free(share->parts[j]);
            }
        }
        sp__pool_fini(&pit->pools[i]);
        sp__share_free(share);
    }
    sp__free(pit->pools);
}

struct pool *sp__pools_part_on(const struct lane *lane, size_t index)
{
    const struct sp_pit *pit = lane->pit;
    uint32_t part =
        (uint32_t)((lane->number + pit->lanes_count - index % pit->lanes_count) %
                   pit->lanes_count);
    return part < sp__pool_parts(&pit->pools[index])
               ? sp__pool_part(&pit->pools[index], part)
               : NULL;
}

/* ---- within limits ---- */

/* The safeguard: a mistyped size must not bring a machine down. */
static void limit_workers(struct sp_pit *pit, uint32_t workers_max)
{
    uint32_t total = 0;
    for (size_t i = 0; i < pit->pools_count; i++) {
        struct pool *pool = &pit->pools[i];
        uint32_t wanted = pool->options.workers;
        uint32_t room = workers_max - total;
        /* Every pool keeps one worker, or it could never answer. */
        uint32_t most = room > 1 ? room : 1;
        if (wanted > most) {
            char message[320];
            pool->options.workers = most;
            (void)snprintf(
                message, sizeof message,
                "pool %s wants %u workers, but all pools together may have %u "
                "(workers_max): it gets %u; each worker is a process with its "
                "own interpreter and memory, so raise workers_max only if the "
                "machine has room",
                pool->name, wanted, workers_max, most);
            sp__pit_warn(pit, message);
        }
        total += pool->options.workers;
        total = total > workers_max ? workers_max : total;
    }
}

static void check_memory(struct sp_pit *pit)
{
    struct memory_sum sum = {0};
    char message[512];
    for (size_t i = 0; i < pit->pools_count; i++) {
        const sp_pool_options *pool = &pit->pools[i].options;
        sp__memory_add(&sum, pit->pools[i].name, pool->workers, pool->recycle_surge,
                       pool->recycle_memory_bytes);
    }
    if (sp__memory_warn(&sum, sp__memory_of_machine(), message, sizeof message)) {
        sp__pit_warn(pit, message);
    }
}

void sp__pools_limit(struct sp_pit *pit, uint32_t workers_max)
{
    limit_workers(pit, workers_max == 0 ? WORKERS_MAX : workers_max);
    check_memory(pit);
}

/* ---- finding one ---- */

struct pool *sp__pit_pool_of_tool(struct sp_pit *pit, const char *tool)
{
    if (pit->pools_count > 1 && sp__tools_lack(&pit->pools[0].tools, tool)) {
        for (size_t i = 1; i < pit->pools_count; i++) {
            if (sp__tools_has(&pit->pools[i].tools, tool)) {
                return &pit->pools[i];
            }
        }
    }
    return &pit->pools[0];
}

int sp__pit_pool(struct sp_pit *pit, const char *name, struct pool **ret_pool,
                 sp_error *err)
{
    if (name == NULL) {
        *ret_pool = &pit->pools[0];
        return SP_OK;
    }
    struct near near;
    sp__near_init(&near, name);
    for (size_t i = 0; i < pit->pools_count; i++) {
        if (strcmp(pit->pools[i].name, name) == 0) {
            *ret_pool = &pit->pools[i];
            return SP_OK;
        }
        sp__near_offer(&near, pit->pools[i].name);
    }
    char text[256];
    return sp__fail(err, SP_ERR_NO_POOL, "no pool \"%.64s\"%s", name,
                    sp__near_text(&near, text, sizeof text));
}
