/* SPDX-License-Identifier: MIT */
/*
 * Workers that ask their host: the same rpcs as those of a client, on the connection that
 * a native worker has inherited.
 *
 * A peer is made for a worker's first question and goes with its connection. Whatever a
 * call has asked ends with the call, in whatever way that ends.
 */
#include "base/mem.h"
#include "serve/rpc.h"

/* A worker as a peer. */
struct asker {
    struct peer peer; /* first: the user of the events */
    struct proto_scratch scratch;
};

static void *on_open(void *user, struct worker *worker)
{
    struct lane *lane = user;
    struct asker *asker = sp__calloc(1, sizeof *asker);
    if (asker == NULL) {
        return NULL;
    }
    asker->peer = (struct peer){.pit = lane->pit,
                                .lane = lane,
                                .worker = worker,
                                .channel = &worker->host,
                                .scratch = &asker->scratch};
    return &asker->peer;
}

static void on_close(void *user)
{
    struct asker *asker = user;
    assert(asker->peer.rpcs.length == 0);
    sp__proto_scratch_fini(&asker->scratch);
    sp__free(asker);
}

static void on_call_over(void *user, uint32_t stream_id)
{
    struct peer *peer = user;
    if (peer->rpcs.length > 0) {
        sp__peer_call_over(peer, stream_id);
    }
}

const struct host_service sp__host_service = {
    .on_open = on_open,
    .on_close = on_close,
    .on_call_over = on_call_over,
    .events = &sp__service,
};
