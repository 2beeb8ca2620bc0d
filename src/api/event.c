/* SPDX-License-Identifier: MIT */
/*
 * Names of events.
 */
#include "snakepit/event.h"

SP_API const char *sp_event_name(int kind)
{
    switch (kind) {
    case SP_EVENT_WARNING:
        return "warning";
    case SP_EVENT_WORKER_SPAWNED:
        return "worker.spawned";
    case SP_EVENT_WORKER_READY:
        return "worker.ready";
    case SP_EVENT_WORKER_STOPPED:
        return "worker.stopped";
    case SP_EVENT_WORKER_DIED:
        return "worker.died";
    case SP_EVENT_WORKER_OUTPUT:
        return "worker.output";
    case SP_EVENT_POOL_READY:
        return "pool.ready";
    case SP_EVENT_POOL_SATURATED:
        return "pool.saturated";
    case SP_EVENT_HEALTH_FAILED:
        return "worker.health_failed";
    default:
        return "unknown";
    }
}
