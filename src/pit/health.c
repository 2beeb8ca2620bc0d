/* SPDX-License-Identifier: MIT */
/*
 * What a pit says of its own health: whether every pool has a worker that takes calls and
 * what is to be stored can be, and what is missing where not. That it answers at all is
 * what `live` means.
 */
#include <stdio.h>

#include "pit/pit_internal.h"
#include "pool/share.h"

/* A pool as others see it; of a divided one, all parts together. */
struct condition {
    uint32_t ready; /* workers in parts whose breaker is closed */
    int is_broken;  /* every breaker is open */
    int was_ready;
};

static void look_at_core(const struct core *core, struct condition *ret)
{
    int is_closed = core->breaker == BREAKER_CLOSED;
    ret->ready = is_closed ? core->states[SEAT_READY] : 0;
    ret->is_broken = !is_closed;
    ret->was_ready = core->was_ready;
}

static void look_at_parts(const struct pool_share *share, struct condition *ret)
{
    *ret = (struct condition){.is_broken = 1, .was_ready = 1};
    for (uint32_t i = 0; i < share->parts_count; i++) {
        const struct part_view *view = &share->views[i];
        int is_closed = atomic_load_explicit(&view->breaker, memory_order_acquire) ==
                        (int)BREAKER_CLOSED;
        uint32_t ready = atomic_load_explicit(&view->ready, memory_order_relaxed);
        ret->ready += is_closed ? ready : 0;
        ret->is_broken = ret->is_broken && !is_closed;
        ret->was_ready = ret->was_ready &&
                         atomic_load_explicit(&view->was_ready, memory_order_acquire);
    }
}

static void say_missing(struct pool *pool, const struct condition *condition, char *out,
                        size_t max)
{
    sp_error failure = {0};
    sp__pools_last_failure(pool, &failure);
    (void)snprintf(out, max, "pool %s %s%s%.120s", pool->name,
                   condition->is_broken ? "has an open breaker" : "has no ready worker",
                   failure.code != 0 ? "; last start: " : "", failure.message);
    sp_error_clear(&failure);
}

void sp__pit_describe_health(const struct sp_pit *pit, sp_health *ret_health)
{
    sp_health health = {.live = 1, .started = 1, .ready = 1};
    for (size_t i = 0; i < pit->pools_count; i++) {
        struct pool *pool = &pit->pools[i];
        struct condition condition;
        if (pool->share != NULL) {
            look_at_parts(pool->share, &condition);
        } else {
            look_at_core(&pool->core, &condition);
        }
        health.started = health.started && condition.was_ready;
        if (condition.ready == 0) {
            health.ready = 0;
            say_missing(pool, &condition, health.why, sizeof health.why);
        }
    }
    if (sp__sessions_store(pit->sessions) == SP_STORE_FAILED) {
        health.ready = 0;
        (void)snprintf(health.why, sizeof health.why,
                       "the store of the sessions has failed; a restart opens it anew");
    }
    if (pit->lanes[0].draining || pit->lanes[0].closing) {
        health.ready = 0;
        (void)snprintf(health.why, sizeof health.why, "it is shutting down");
    }
    *ret_health = health;
}
