/* SPDX-License-Identifier: MIT */
/*
 * Which lane a call goes to: the one that has its session, else the better of two.
 *
 * A session is promised to a part of the pool with its first call, before that has a worker,
 * so that calls which come together do not part. It leaves a part that has no ready worker
 * for one that has, unless it insists on its worker: then it is told there that this is gone.
 */
#include "base/clock.h"
#include "pit/pit_internal.h"
#include "pool/share.h"

static struct pool *part_of_session(struct sp_pit *pit, const struct request *request)
{
    const struct pool *front = request->pool->front;
    struct pool_share *share = front->share;
    struct pool *wished = sp__share_route(share);
    uint64_t key = sp__affinity_key(request->session_hash, front);
    struct pool *part = share->parts[sp__affinity_place(&pit->affinity, key,
                                                        wished->part, sp__now_ms())];
    const struct part_view *view = &share->views[part->part];
    if (part != wished && request->affinity == SP_AFFINITY_HINT &&
        atomic_load_explicit(&view->ready, memory_order_relaxed) == 0 &&
        sp__share_others_ready(part)) {
        sp__affinity_move(&pit->affinity, key, wished->part);
        return wished;
    }
    return part;
}

struct lane *sp__pit_route(struct sp_pit *pit, struct request *request)
{
    struct pool *part = request->pool;
    if (part->share != NULL) {
        part = request->session_hash != 0 && request->affinity != SP_AFFINITY_NONE
                   ? part_of_session(pit, request)
                   : sp__share_route(part->share);
        request->pool = part;
        request->tool = NULL; /* each part has a list of its own */
        sp__share_count(part, 1);
    }
    struct lane *lane = part->owner;
    atomic_store_explicit(&request->lane, lane, memory_order_release);
    return lane;
}
