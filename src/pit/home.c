/* SPDX-License-Identifier: MIT */
/*
 * Homes of sessions, and what is told when one changes.
 *
 * Normal course: the first call of a session goes to any worker, and that is its home;
 * the result of each call says whether it was at home. A call that does not care
 * (SP_AFFINITY_NONE) changes nothing.
 *
 * When the worker has ended, died or was replaced, what it kept for the session is gone.
 * Nobody finds that out by a wrong answer: with a hint the next call goes elsewhere, its
 * result says that it was moved, and an event says why; a strict one ends with an error,
 * with the same event. Either way the session has a new home from then on.
 */
#include "pit/home.h"

#include "pool/share.h"

static uint64_t key_of(const struct request *request)
{
    return sp__affinity_key(request->session_hash, request->pool->front);
}

uint64_t sp__home_find(struct lane *lane, const struct request *request)
{
    return request->affinity == SP_AFFINITY_NONE
               ? 0
               : sp__affinity_find(&lane->pit->affinity, key_of(request),
                                   sp__loop_now_ms(lane->loop));
}

/* It takes calls, though perhaps not this one. Of one in another part all that is known
 * is that its process is there. */
static int is_open(const struct pool *pool, uint64_t worker_id)
{
    if (pool->share != NULL && sp__pit_lane_of(pool->owner, worker_id) != pool->owner) {
        return sp__share_has_worker(pool->share, worker_id);
    }
    const struct worker *worker = sp__map_find(&pool->shop->by_id, worker_id);
    return worker != NULL && worker->owner == pool && worker->state == WORKER_READY &&
           pool->core.seats[worker->slot].state == SEAT_READY;
}

static void tell_moved(struct sp_pit *pit, const struct request *request,
                       uint64_t worker_id)
{
    const struct pool *pool = request->pool;
    struct fate fate;
    sp__pool_fate(pool, worker_id, &fate);
    sp_event event = {
        .kind = SP_EVENT_SESSION_MOVED,
        .pool = pool->name,
        .worker = fate.pid != 0 ? worker_id : 0,
        .slot = fate.slot,
        .pid = fate.pid,
        .session = request->session,
        .message = fate.text,
    };
    sp__herald_tell(&pit->herald, &(struct tidings){.event = event});
}

void sp__home_assigned(void *owner, struct request *request, uint64_t worker_id)
{
    struct lane *lane = owner;
    struct sp_pit *pit = lane->pit;
    uint64_t key = key_of(request);
    uint64_t now_ms = sp__loop_now_ms(lane->loop);
    if (worker_id != 0) {
        sp__visits_note(&pit->visits, request->session, worker_id);
    }
    if (request->affinity == SP_AFFINITY_NONE) {
        return;
    }
    uint64_t before = sp__affinity_find(&pit->affinity, key, now_ms);
    request->result.placed = before == 0           ? SP_PLACED_NEW
                             : before == worker_id ? SP_PLACED_SAME
                                                   : SP_PLACED_MOVED;
    request->pool->meter.counts.homes[request->result.placed]++;
    if (before != 0 && before != worker_id && !is_open(request->pool, before)) {
        tell_moved(pit, request, before);
    }
    if (before != worker_id && worker_id != 0 &&
        sp__herald_wants(&pit->herald, SP_EVENT_SESSION_ASSIGNED)) {
        sp__herald_tell(&pit->herald,
                        &(struct tidings){.event = {.kind = SP_EVENT_SESSION_ASSIGNED,
                                                    .pool = request->pool->name,
                                                    .worker = worker_id,
                                                    .slot = request->slot,
                                                    .pid = request->result.worker_pid,
                                                    .session = request->session}});
    }
    sp__affinity_set(&pit->affinity, key, worker_id, now_ms);
    if (request->pool->share != NULL) {
        sp__affinity_move(&pit->affinity, key, request->pool->part);
    }
}
