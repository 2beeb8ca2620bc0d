/* SPDX-License-Identifier: MIT */
/*
 * The pools of a pit: made of their options, kept within the machine's limits, found by
 * name; and what they tell.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/near.h"
#include "pit/home.h"
#include "pit/pit_internal.h"
#include "pit/rules.h"
#include "pit/sums.h"

enum { WORKERS_MAX = 1000 };

/* ---- what they tell ---- */

static void event_happened(void *owner, const sp_event *event,
                           struct death *certificate)
{
    struct sp_pit *pit = owner;
    if (pit->on_event != NULL) {
        sp__dispatch_event(&pit->dispatch, event, certificate);
    }
}

/* 1 with the answer in *ret_error, 0 when it is still open. */
static int readiness(struct sp_pit *pit, sp_error *ret_error)
{
    int ready = 1;
    for (size_t i = 0; i < pit->pools_count; i++) {
        struct pool *pool = &pit->pools[i];
        if (pool->core.hopeless) {
            sp__error_copy(ret_error, &pool->last_failure);
            return 1;
        }
        ready = ready && sp__pool_is_ready(pool);
    }
    return ready;
}

static void readiness_changed(void *owner, struct pool *pool)
{
    struct sp_pit *pit = owner;
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

static void pool_closed(void *owner, struct pool *pool)
{
    struct sp_pit *pit = owner;
    pit->pools_open--;
    if (pit->pools_open == 0) {
        sp__latch_open(&pit->closed);
    }
}

void sp__pit_warn(struct sp_pit *pit, const char *message)
{
    sp__pit_tell(pit, SP_EVENT_WARNING, message);
}

void sp__pit_tell(struct sp_pit *pit, int kind, const char *message)
{
    sp_event event = {.kind = kind,
                      .time_unix_ms = sp__unix_ns() / 1000000u,
                      .pool = "",
                      .exit_status = -1,
                      .message = message};
    event_happened(pit, &event, NULL);
}

static const struct pool_events pool_events = {
    .on_find = sp__calls_find,
    .on_tool = sp__rules_learn,
    .on_forget = sp__rules_forget,
    .on_ended = sp__calls_ended,
    .on_chunks = sp__calls_chunks,
    .on_assigned = sp__home_assigned,
    .on_readiness = readiness_changed,
    .on_closed = pool_closed,
    .on_event = event_happened,
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
            sp__pool_init(&pit->pools[i], given, bridge_path, &pool_events, pit, err);
        if (rc < 0) {
            return rc;
        }
        pit->pools_count++;
        /* An array of a caller's older, smaller structs steps by its own size. */
        at = at == NULL ? NULL : at + given->size;
    }
    return check_names(pit, err);
}

void sp__pools_fini(struct sp_pit *pit)
{
    for (size_t i = 0; i < pit->pools_count; i++) {
        sp__pool_fini(&pit->pools[i]);
    }
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
