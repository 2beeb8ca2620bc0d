/* SPDX-License-Identifier: MIT */
/*
 * One client: a connection and the rpcs on it.
 *
 * Normal course: it greets, opens rpcs, is idle between them, and one day closes. What
 * ends a connection only marks it: the sweep of the server frees, so that nothing is
 * freed under the feet of a callback. One that we end is told that all is said, and closes
 * when it has read it.
 *
 * A client is cut off when it does not greet in time, begins a header block and does not
 * end it, sends a message too slowly, takes nothing of what waits for it, floods, or is
 * idle for too long; the first and the last of these are told with a GOAWAY.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "serve/server.h"

int sp__client_is_own(const struct client *client)
{
    return client->user == geteuid() || client->user == 0;
}

static uint64_t now_of(const struct client *client)
{
    return sp__loop_now_ms(client->server->pit->loop);
}

/* End of file, a failure, a broken protocol: all the same to us. */
static void broken(void *user, const sp_error *why)
{
    struct client *client = user;
    client->gone = 1;
    sp__server_sweep(client->server);
}

int sp__client_open(struct server *server, int fd, uid_t user, sp_error *err)
{
    struct client *client = sp__calloc(1, sizeof *client);
    if (client == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a client");
    }
    struct h2_options options = {
        .streams_max = server->limits.calls_max,
        .message_max = server->limits.message_max_bytes,
        .high_water = HIGH_WATER_BYTES,
    };
    client->server = server;
    client->user = user;
    client->peer = (struct peer){.pit = server->pit,
                                 .lane = &server->pit->lanes[0],
                                 .channel = &client->channel,
                                 .client = client,
                                 .stats = &server->stats,
                                 .scratch = &server->scratch};
    struct duplex_fds fds = sp__duplex_socket(fd);
    int rc =
        sp__channel_open(&client->channel, &server->pit->lanes[0].shop.channels, &fds,
                         H2_SERVER, &options, &sp__service, client, broken, err);
    if (rc < 0) {
        sp__free(client);
        return rc;
    }
    client->channel.peer = PEER_CLIENT;
    client->since_ms = client->idle_since_ms = now_of(client);
    sp__list_append(&server->clients, &client->on_server);
    server->stats.clients++;
    return SP_OK;
}

void sp__client_close(struct client *client)
{
    client->gone = 1;
    sp__list_remove(&client->on_server);
    client->server->stats.clients--;
    sp__channel_close(&client->channel); /* its rpcs end */
    sp__free(client);
}

void sp__client_leave(struct client *client, uint32_t code)
{
    if (client->leaving || client->gone) {
        return;
    }
    client->leaving = 1;
    if (sp__h2_goaway(client->channel.h2, code, NULL) < 0) {
        client->gone = 1;
    }
    sp__channel_touch(&client->channel);
    sp__server_sweep(client->server);
}

void sp__client_end(struct client *client)
{
    if (client->ended_ms == 0) {
        client->ended_ms = now_of(client);
        sp__channel_end(&client->channel);
    }
}

void sp__client_bid_farewell(struct client *client)
{
    struct link *link = client->peer.rpcs.first;
    while (link != NULL) {
        struct rpc *rpc = ITEM(link, struct rpc, on_peer);
        link = link->next;
        if (!rpc->finished) {
            sp__rpc_finish(rpc, GRPC_UNAVAILABLE, "the daemon has shut down");
            if (rpc->method->on_gone != NULL) {
                rpc->method->on_gone(rpc);
            }
        }
    }
    sp__client_leave(client, RST_NO_ERROR);
}

void sp__client_await_close(struct client *client, uint64_t until_ms)
{
    struct channels *shared = client->channel.shared;
    int fd = client->channel.duplex.fds.in;
    for (;;) {
        ssize_t got = recv(fd, shared->read_buffer, CHANNEL_READ_BYTES, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            return;
        }
        uint64_t now_ms = sp__now_ms();
        if (now_ms >= until_ms) {
            return;
        }
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        (void)poll(&polled, 1, (int)(until_ms - now_ms));
    }
}

int sp__client_is_quiet(const struct client *client)
{
    if (client->gone || client->ended_ms != 0) {
        return 1;
    }
    return client->peer.pending == 0 && !client->channel.blocked &&
           !sp__h2_wants_send(client->channel.h2);
}

void sp__client_moved(struct client *client)
{
    if (client->gone) {
        return;
    }
    if (client->peer.rpcs.length == 0) {
        client->idle_since_ms = now_of(client);
        if (client->leaving) {
            sp__server_sweep(client->server);
        }
    }
    /* Who moved last stands last. */
    struct list *clients = &client->server->clients;
    sp__list_remove(&client->on_server);
    sp__list_append(clients, &client->on_server);
}

/* ---- the limits of time ---- */

static void cut(struct client *client)
{
    client->server->stats.clients_cut++;
    client->gone = 1;
}

static void check_block(struct client *client, uint64_t now_ms)
{
    const struct h2 *h2 = client->channel.h2;
    uint64_t greeting_ms = client->server->limits.greeting_timeout_ms;
    if (!sp__h2_is_greeted(h2)) {
        if (now_ms - client->since_ms > greeting_ms) {
            cut(client);
        }
    } else if (!sp__h2_in_block(h2)) {
        client->block_since_ms = 0;
    } else if (client->block_since_ms == 0) {
        client->block_since_ms = now_ms;
    } else if (now_ms - client->block_since_ms > greeting_ms) {
        cut(client);
    }
}

/* Bytes that the socket does not take. */
static void check_stalled(struct client *client, uint64_t now_ms)
{
    const struct channel *channel = &client->channel;
    if (!channel->blocked || channel->written != client->written) {
        client->written = channel->written;
        client->stalled_since_ms = 0;
    } else if (client->stalled_since_ms == 0) {
        client->stalled_since_ms = now_ms;
    } else if (now_ms - client->stalled_since_ms >
               client->server->limits.stalled_timeout_ms) {
        cut(client);
    }
}

/* A message that comes drop by drop. */
static void check_body(struct rpc *rpc, uint64_t now_ms)
{
    size_t bytes = sp__h2_unfinished(rpc->stream);
    if (now_ms - rpc->begun_ms <= rpc->peer->client->server->limits.body_timeout_ms) {
        return;
    }
    if (bytes - rpc->begun_bytes < BODY_PERIOD_BYTES) {
        sp__rpc_finish(rpc, GRPC_DEADLINE_EXCEEDED,
                       "the request's message does not come");
        return;
    }
    rpc->begun_bytes = bytes;
    rpc->begun_ms = now_ms;
}

/* An answer that waits for the client's window. */
static void check_answer(struct rpc *rpc, uint64_t now_ms)
{
    size_t queued = sp__h2_queued(rpc->stream);
    if (rpc->stalled_since_ms == 0 || queued != rpc->queued) {
        rpc->stalled_since_ms = now_ms;
        rpc->queued = queued;
    } else if (now_ms - rpc->stalled_since_ms >
               rpc->peer->client->server->limits.stalled_timeout_ms) {
        sp__h2_reset(rpc->stream, RST_CANCEL);
        sp__channel_touch(rpc->peer->channel);
    }
}

void sp__client_tick(struct client *client, uint64_t now_ms)
{
    check_block(client, now_ms);
    check_stalled(client, now_ms);
    uint64_t idle_ms = client->server->limits.idle_timeout_ms;
    if (client->peer.rpcs.length == 0 && now_ms - client->idle_since_ms > idle_ms) {
        sp__client_leave(client, RST_NO_ERROR);
    }
    for (struct link *link = client->peer.rpcs.first; link != NULL; link = link->next) {
        struct rpc *rpc = ITEM(link, struct rpc, on_peer);
        if (!rpc->has_message && !rpc->finished) {
            check_body(rpc, now_ms);
        } else if (rpc->finished || rpc->ended) {
            check_answer(rpc, now_ms);
        }
    }
    if (client->ended_ms != 0 && now_ms - client->ended_ms > LINGER_MS) {
        client->gone = 1;
    }
    if (client->gone || client->leaving) {
        sp__server_sweep(client->server);
    }
}

/* ---- no room ---- */

static int nothing_begins(void *user, struct h2_stream *stream,
                          const struct h2_request *request)
{
    return GRPC_UNAVAILABLE;
}

static void nothing_comes(void *user, struct h2_stream *stream, const uint8_t *data,
                          size_t size)
{
}

static void nothing_ends(void *user, struct h2_stream *stream,
                         const struct h2_status *status)
{
}

/* One GOAWAY before the first stream: a client knows that nothing of it was run. */
void sp__client_turn_away(int fd)
{
    static const struct h2_events events = {.on_request = nothing_begins,
                                            .on_message = nothing_comes,
                                            .on_end = nothing_ends};
    struct h2 *h2;
    struct sp_buffer out;
    sp__buf_init(&out, 4096);
    if (sp__h2_new(H2_SERVER, NULL, &events, NULL, &h2, NULL) == SP_OK) {
        if (sp__h2_goaway(h2, RST_CALM, NULL) == SP_OK &&
            sp__h2_send(h2, &out, 1024, NULL) >= 0) {
            (void)!send(fd, out.data, out.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        sp__h2_free(h2);
    }
    sp__buf_fini(&out);
    (void)close(fd);
}
