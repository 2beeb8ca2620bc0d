/* SPDX-License-Identifier: MIT */
/*
 * What a pit says of its own health: whether every pool has a worker that takes calls and
 * what is to be stored can be, and what is missing where not. That it answers at all is
 * what `live` means.
 */
#include <stdio.h>

#include "pit/pit.h"

void sp__pit_describe_health(const struct sp_pit *pit, sp_health *ret_health)
{
    sp_health health = {.live = 1, .started = 1, .ready = 1};
    for (size_t i = 0; i < pit->pools_count; i++) {
        const struct pool *pool = &pit->pools[i];
        const struct core *core = &pool->core;
        health.started = health.started && core->was_ready;
        if (core->states[SEAT_READY] > 0 && core->breaker == BREAKER_CLOSED) {
            continue;
        }
        health.ready = 0;
        (void)snprintf(health.why, sizeof health.why, "pool %s %s%s%.120s", pool->name,
                       core->breaker != BREAKER_CLOSED ? "has an open breaker"
                                                       : "has no ready worker",
                       pool->last_failure.code != 0 ? "; last start: " : "",
                       pool->last_failure.message);
    }
    if (sp__sessions_store(pit->sessions) == SP_STORE_FAILED) {
        health.ready = 0;
        (void)snprintf(health.why, sizeof health.why,
                       "the store of the sessions has failed; a restart opens it anew");
    }
    if (pit->draining || pit->closing) {
        health.ready = 0;
        (void)snprintf(health.why, sizeof health.why, "it is shutting down");
    }
    *ret_health = health;
}
