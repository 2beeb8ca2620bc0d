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
    case SP_EVENT_RECYCLE_STARTED:
        return "worker.recycle_started";
    case SP_EVENT_WORKER_RECYCLED:
        return "worker.recycled";
    case SP_EVENT_RECYCLE_FAILED:
        return "worker.recycle_failed";
    case SP_EVENT_RECYCLE_LOOP:
        return "worker.recycle_loop";
    case SP_EVENT_BREAKER_OPENED:
        return "breaker.opened";
    case SP_EVENT_BREAKER_PROBED:
        return "breaker.probed";
    case SP_EVENT_BREAKER_CLOSED:
        return "breaker.closed";
    case SP_EVENT_CALL_RETRIED:
        return "call.retried";
    case SP_EVENT_SESSION_EXPIRED:
        return "session.expired";
    case SP_EVENT_SESSION_DELETED:
        return "session.deleted";
    case SP_EVENT_SESSION_MOVED:
        return "session.moved";
    case SP_EVENT_CAPACITY_REACHED:
        return "pool.capacity_reached";
    case SP_EVENT_TELEMETRY:
        return "worker.telemetry";
    case SP_EVENT_SESSIONS_HIGH:
        return "sessions.high";
    case SP_EVENT_CALL_POISONED:
        return "call.poisoned";
    case SP_EVENT_GUARD_READY:
        return "guard.ready";
    case SP_EVENT_ORPHAN_KILLED:
        return "orphan.killed";
    case SP_EVENT_STORE_FULL:
        return "store.full";
    case SP_EVENT_STORE_FAILED:
        return "store.failed";
    case SP_EVENT_STORE_RECOVERED:
        return "store.recovered";
    default:
        return "unknown";
    }
}
