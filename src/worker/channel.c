/* SPDX-License-Identifier: MIT */
/*
 * A connection with gRPC on it.
 *
 * Reading: everything that has come goes into the h2 connection, in pieces of a buffer
 * that all channels share; its callbacks run meanwhile. Writing: whoever queued something
 * touches the channel; at the end of the turn each touched channel is written once. What
 * takes no more is watched until it does.
 *
 * End of file, a failed system call and a broken protocol all end in on_broken, once.
 */
#include "worker/channel.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/mem.h"

enum {
    READS_PER_TURN = 4,        /* then others have their turn */
    WRITE_BYTES = 256 * 1024,  /* collected for one write */
    OUT_KEEP_BYTES = 64 * 1024 /* kept between turns */
};

int sp__channels_init(struct channels *channels, struct loop *loop, sp_error *err)
{
    *channels = (struct channels){.loop = loop};
    channels->read_buffer = sp__malloc(CHANNEL_READ_BYTES);
    if (channels->read_buffer == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the read buffer");
    }
    return SP_OK;
}

void sp__channels_fini(struct channels *channels)
{
    sp__free(channels->read_buffer);
    *channels = (struct channels){0};
}

/* fd: which of the two is to have room, where there are two; -1: neither. */
static void watch_rooms(struct channel *channel, int fd)
{
    const struct duplex_fds *fds = &channel->duplex.fds;
    if (sp__duplex_is_piped(fds)) {
        sp__watch_set(channel->pipe_room, fd == fds->out ? WATCH_WRITE : 0);
        sp__watch_set(channel->bulk_room, fd == fds->socket ? WATCH_WRITE : 0);
    }
}

static void break_channel(struct channel *channel, const sp_error *why)
{
    if (channel->broken) {
        return;
    }
    channel->broken = 1;
    sp__list_remove(&channel->on_dirty);
    sp__watch_set(channel->watch, 0);
    watch_rooms(channel, -1);
    channel->on_broken(channel->user, why);
}

/* ---- writing ---- */

/* Send what waits. 1: all gone; 0: there is no room; negative: broken. */
static int send_out(struct channel *channel, sp_error *err)
{
    size_t waited = sp__duplex_waiting(&channel->duplex);
    int rc = sp__duplex_send(&channel->duplex);
    size_t bytes = waited - sp__duplex_waiting(&channel->duplex);
    channel->written += bytes;
    channel->shared->bytes_out[channel->peer] += bytes;
    return rc < 0 ? sp__fail_errno(err, errno, "write to a worker") : rc;
}

/* fd: that is to have room first; -1: none. */
static void await_room(struct channel *channel, int fd)
{
    if (fd < 0 && !channel->blocked) {
        return;
    }
    channel->blocked = fd >= 0;
    watch_rooms(channel, fd);
    if (!sp__duplex_is_piped(&channel->duplex.fds)) {
        sp__watch_set(channel->watch, WATCH_READ | (fd >= 0 ? WATCH_WRITE : 0));
    }
}

static int write_channel(struct channel *channel, sp_error *err)
{
    struct duplex *duplex = &channel->duplex;
    if (channel->page != NULL) {
        sp__page_put_host(channel->page);
    }
    while (!channel->ended) {
        int rc = send_out(channel, err);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            await_room(channel, duplex->full);
            return SP_OK;
        }
        if (!sp__h2_wants_send(channel->h2)) {
            break;
        }
        rc = sp__duplex_begin(duplex, err);
        if (rc == SP_OK) {
            rc = sp__h2_send(channel->h2, &duplex->buf, WRITE_BYTES, err);
        }
        if (rc < 0) {
            (void)send_out(channel, NULL); /* a last word: the GOAWAY that says why */
            return rc;
        }
        if (sp__duplex_waiting(duplex) == 0) {
            break;
        }
    }
    await_room(channel, -1);
    sp__duplex_rest(duplex, OUT_KEEP_BYTES);
    return SP_OK;
}

static void flush_channel(struct channel *channel)
{
    sp_error why;
    sp__error_init(&why);
    if (!channel->broken && write_channel(channel, &why) < 0) {
        break_channel(channel, &why);
        sp_error_clear(&why);
    }
}

void sp__channels_flush(struct channels *channels)
{
    struct link *link;
    while ((link = sp__list_pop(&channels->dirty)) != NULL) {
        struct channel *channel = ITEM(link, struct channel, on_dirty);
        if (!channel->blocked) {
            flush_channel(channel);
        }
    }
}

void sp__channel_touch(struct channel *channel)
{
    if (channel->on_dirty.on == NULL && !channel->broken) {
        sp__list_append(&channel->shared->dirty, &channel->on_dirty);
    }
}

/* ---- reading ---- */

struct reading {
    struct channel *channel;
    sp_error *err;
    int rc;
};

static int take(void *user, const uint8_t *data, size_t size)
{
    struct reading *reading = user;
    struct channel *channel = reading->channel;
    channel->shared->bytes_in[channel->peer] += size;
    reading->rc = sp__h2_receive(channel->h2, data, size, reading->err);
    return reading->rc < 0;
}

/* 1: there may be more; 0: nothing now; negative: broken. */
static int read_once(struct channel *channel, sp_error *err)
{
    struct reading reading = {channel, err, SP_OK};
    enum duplex_news news =
        sp__duplex_receive(&channel->duplex, channel->shared->read_buffer,
                           CHANNEL_READ_BYTES, take, &reading);
    if (reading.rc < 0) {
        return reading.rc;
    }
    if (news == DUPLEX_END) {
        return sp__fail(err, SP_ERR_CLOSED, "the worker closed its connection");
    }
    if (news == DUPLEX_BROKEN) {
        return errno == EPROTO
                   ? sp__fail(err, SP_ERR_PROTOCOL,
                              "the connection to our own peer: what came by the pipe "
                              "is not of its form")
                   : sp__fail_errno(err, errno, "read from a worker");
    }
    return news == DUPLEX_MORE;
}

static void ready(void *user, int events)
{
    struct channel *channel = user;
    if (events & WATCH_WRITE) {
        flush_channel(channel);
    }
    if (!(events & WATCH_READ) || channel->broken) {
        return;
    }
    sp_error why;
    sp__error_init(&why);
    int rc = 1;
    for (int i = 0; i < READS_PER_TURN && rc > 0; i++) {
        rc = read_once(channel, &why);
    }
    if (rc < 0) {
        (void)write_channel(channel, NULL); /* what can still be said */
        break_channel(channel, &why);
        sp_error_clear(&why);
    } else if (sp__h2_wants_send(channel->h2)) {
        sp__channel_touch(channel);
    }
}

/* ---- life ---- */

static void close_watches(struct channel *channel)
{
    sp__watch_close(channel->watch);
    sp__watch_close(channel->pipe_room);
    sp__watch_close(channel->bulk_room);
}

static int open_room(struct channel *channel, int fd, struct watch **ret_watch,
                     sp_error *err)
{
    int rc = sp__watch_open(channel->shared->loop, fd, ready, channel, ret_watch, err);
    if (rc == SP_OK) {
        sp__watch_set(*ret_watch, 0); /* until it is needed */
    }
    return rc;
}

static int open_watches(struct channel *channel, sp_error *err)
{
    const struct duplex_fds *fds = &channel->duplex.fds;
    int rc = sp__watch_open(channel->shared->loop, fds->in, ready, channel,
                            &channel->watch, err);
    if (rc == SP_OK && sp__duplex_is_piped(fds)) {
        rc = open_room(channel, fds->out, &channel->pipe_room, err);
        if (rc == SP_OK) {
            rc = open_room(channel, fds->socket, &channel->bulk_room, err);
        }
    }
    if (rc < 0) {
        close_watches(channel);
    }
    return rc;
}

int sp__channel_open(struct channel *channel, struct channels *shared,
                     const struct duplex_fds *fds, enum h2_role role,
                     const struct h2_options *options, const struct h2_events *events,
                     void *user, void (*on_broken)(void *user, const sp_error *why),
                     sp_error *err)
{
    *channel = (struct channel){.shared = shared, .user = user, .on_broken = on_broken};
    sp__duplex_init(&channel->duplex, fds);

    int rc = sp__h2_new(role, options, events, user, &channel->h2, err);
    if (rc < 0) {
        *channel = (struct channel){0};
        return rc;
    }
    rc = open_watches(channel, err);
    if (rc < 0) {
        sp__h2_free(channel->h2);
        *channel = (struct channel){0};
        return rc;
    }
    sp__channel_touch(channel);
    return SP_OK;
}

void sp__channel_end(struct channel *channel)
{
    channel->ended = 1;
    (void)shutdown(channel->duplex.fds.out, SHUT_WR);
}

void sp__channel_close(struct channel *channel)
{
    if (channel->h2 == NULL) {
        return;
    }
    channel->broken = 1;
    sp__list_remove(&channel->on_dirty);
    close_watches(channel);
    sp__h2_free(channel->h2);
    sp__duplex_close_fds(&channel->duplex.fds);
    sp__duplex_fini(&channel->duplex);
    *channel = (struct channel){0};
}
