/* SPDX-License-Identifier: MIT */
/* A connection with gRPC on it: bytes between the loop and wire/h2. */
#ifndef SP_WORKER_CHANNEL_H
#define SP_WORKER_CHANNEL_H

#include "base/duplex.h"
#include "base/list.h"
#include "io/loop.h"
#include "wire/h2.h"
#include "wire/page.h"

enum { CHANNEL_READ_BYTES = 256 * 1024 };

enum channel_peer { PEER_WORKER, PEER_CLIENT, CHANNEL_PEERS };

/* What the channels of one pit share. */
struct channels {
    struct loop *loop;
    struct list dirty;    /* channels with something to write at the end of the turn */
    uint8_t *read_buffer; /* CHANNEL_READ_BYTES */
    uint64_t
        bytes_in[CHANNEL_PEERS]; /* since the start, over all channels there were */
    uint64_t bytes_out[CHANNEL_PEERS];
};

struct channel {
    struct channels *shared;
    struct link on_dirty;
    struct watch *watch; /* of what is read; of a socket without pipes for room too */
    struct watch *pipe_room; /* NULL without */
    struct watch *bulk_room;
    struct h2 *h2;
    struct duplex duplex;
    enum channel_peer peer;   /* a worker, unless its owner says otherwise */
    int blocked;              /* no more was taken: waiting until it is */
    int ended;                /* nothing is written any more */
    int broken;               /* told so already */
    uint64_t written;         /* bytes that ever were taken */
    struct worker_page *page; /* of a worker that is told where we run, or NULL */
    void (*on_broken)(void *user, const sp_error *why); /* end of file, or a failure */
    void *user;
};

int sp__channels_init(struct channels *channels, struct loop *loop,
                      sp_error *err) SP_MUST_CHECK;
void sp__channels_fini(struct channels *channels);

/* Write what every dirty channel has to say. At the end of a turn. */
void sp__channels_flush(struct channels *channels);

/* Takes the descriptors when it succeeds. on_broken is called at most once, never from
 * inside sp__channel_open() or sp__channel_close(). */
int sp__channel_open(struct channel *channel, struct channels *shared,
                     const struct duplex_fds *fds, enum h2_role role,
                     const struct h2_options *options, const struct h2_events *events,
                     void *user, void (*on_broken)(void *user, const sp_error *why),
                     sp_error *err) SP_MUST_CHECK;

/* There is something to write: at the end of this turn. */
void sp__channel_touch(struct channel *channel);

/* Say that all is said: a peer that has read it closes, and on_broken tells. Closing
 * first would fail whatever the peer is about to write, and libraries then throw away what
 * they have not looked at yet. Of sockets without pipes, when nothing waits to be sent. */
void sp__channel_end(struct channel *channel);

/* End every stream (their on_end runs), close the descriptors. Fine when zeroed. */
void sp__channel_close(struct channel *channel);

static inline int sp__channel_is_open(const struct channel *channel)
{
    return channel->h2 != NULL;
}

#endif
