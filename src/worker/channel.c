/* SPDX-License-Identifier: MIT */
/*
 * A connected socket with gRPC on it.
 *
 * Reading: everything the socket has goes into the h2 connection, in pieces of a buffer
 * that all channels share; its callbacks run meanwhile. Writing: whoever queued something
 * touches the channel; at the end of the turn each touched channel is written once. A
 * socket that takes no more is watched until it does.
 *
 * End of file, a failed system call and a broken protocol all end in on_broken, once.
 */
#include "worker/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

static void break_channel(struct channel *channel, const sp_error *why)
{
    if (channel->broken) {
        return;
    }
    channel->broken = 1;
    sp__list_remove(&channel->on_dirty);
    sp__watch_set(channel->watch, 0);
    channel->on_broken(channel->user, why);
}

/* ---- writing ---- */

/* Send what is in `out`. 1: all gone; 0: the socket is full; negative: broken. */
static int send_out(struct channel *channel, sp_error *err)
{
    while (channel->out_at < channel->out.size) {
        ssize_t n = send(channel->fd, channel->out.data + channel->out_at,
                         channel->out.size - channel->out_at, MSG_NOSIGNAL);
        if (n >= 0) {
            channel->out_at += (size_t)n;
            channel->written += (uint64_t)n;
            channel->shared->bytes_out[channel->peer] += (uint64_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return 0;
        } else if (errno != EINTR) {
            return sp__fail_errno(err, errno, "write to a worker");
        }
    }
    channel->out.size = 0;
    channel->out_at = 0;
    return 1;
}

static int write_channel(struct channel *channel, sp_error *err)
{
    for (;;) {
        int rc = channel->out.size > 0 ? send_out(channel, err) : 1;
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            if (!channel->blocked) {
                channel->blocked = 1;
                sp__watch_set(channel->watch, WATCH_READ | WATCH_WRITE);
            }
            return SP_OK;
        }
        if (!sp__h2_wants_send(channel->h2)) {
            break;
        }
        rc = sp__h2_send(channel->h2, &channel->out, WRITE_BYTES, err);
        if (rc < 0) {
            (void)send_out(channel, NULL); /* a last word: the GOAWAY that says why */
            return rc;
        }
        if (channel->out.size == 0) {
            break;
        }
    }
    if (channel->blocked) {
        channel->blocked = 0;
        sp__watch_set(channel->watch, WATCH_READ);
    }
    sp__buf_shrink(&channel->out, OUT_KEEP_BYTES);
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

/* 1: there may be more; 0: nothing now; negative: broken. */
static int read_once(struct channel *channel, sp_error *err)
{
    ssize_t n = recv(channel->fd, channel->shared->read_buffer, CHANNEL_READ_BYTES,
                     MSG_DONTWAIT);
    if (n > 0) {
        channel->shared->bytes_in[channel->peer] += (uint64_t)n;
        int rc =
            sp__h2_receive(channel->h2, channel->shared->read_buffer, (size_t)n, err);
        return rc < 0 ? rc : n == CHANNEL_READ_BYTES;
    }
    if (n == 0) {
        return sp__fail(err, SP_ERR_CLOSED, "the worker closed its connection");
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        return 0;
    }
    return sp__fail_errno(err, errno, "read from a worker");
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

int sp__channel_open(struct channel *channel, struct channels *shared, int fd,
                     enum h2_role role, const struct h2_options *options,
                     const struct h2_events *events, void *user,
                     void (*on_broken)(void *user, const sp_error *why), sp_error *err)
{
    *channel = (struct channel){
        .shared = shared, .fd = fd, .user = user, .on_broken = on_broken};
    sp__buf_init(&channel->out, SIZE_MAX / 2);

    int rc = sp__h2_new(role, options, events, user, &channel->h2, err);
    if (rc < 0) {
        *channel = (struct channel){0};
        return rc;
    }
    rc = sp__watch_open(shared->loop, fd, ready, channel, &channel->watch, err);
    if (rc < 0) {
        sp__h2_free(channel->h2);
        *channel = (struct channel){0};
        return rc;
    }
    sp__channel_touch(channel);
    return SP_OK;
}

void sp__channel_close(struct channel *channel)
{
    if (channel->h2 == NULL) {
        return;
    }
    channel->broken = 1;
    sp__list_remove(&channel->on_dirty);
    sp__watch_close(channel->watch);
    sp__h2_free(channel->h2);
    (void)close(channel->fd);
    sp__buf_fini(&channel->out);
    *channel = (struct channel){0};
}
