/* SPDX-License-Identifier: MIT */
/*
 * A listening socket and the clients on it.
 *
 * Normal course: accept, ask the kernel who it is, make a client of it. Once a second
 * the clients' limits of time are looked at; the sweep frees connections that are over.
 * When the pit drains, the socket goes first, each client gets a GOAWAY, and those whose
 * calls have ended are told that all is said. When it closes, so are the others, who watch
 * something, and all have a moment to read it and close.
 *
 * Too many: at the limit the client that has been idle longest makes room; when none is
 * idle, the new one is turned away with a GOAWAY. When the process has no descriptor
 * left, a spare one is used to turn the new one away; when the system has none, accept
 * rests for a moment.
 */
#include "serve/server.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

/* ---- what is over ---- */

static int has_everything(const struct client *client)
{
    return !client->gone && client->leaving && client->peer.rpcs.length == 0 &&
           sp__client_is_quiet(client);
}

static void free_server(struct server *server)
{
    sp__proto_scratch_fini(&server->scratch);
    sp__free((void *)(uintptr_t)server->limits.users);
    sp__free(server);
}

static void run_sweep(struct command *command, void *user)
{
    struct server *server = ITEM(command, struct server, sweep);
    if (server->closed) {
        free_server(server);
        return;
    }
    server->sweep_posted = 0;
    struct link *link = server->clients.first;
    while (link != NULL) {
        struct client *client = ITEM(link, struct client, on_server);
        link = link->next;
        if (has_everything(client)) {
            sp__client_end(client);
        }
        if (client->gone) {
            sp__client_close(client);
        }
    }
}

void sp__server_sweep(struct server *server)
{
    if (!server->sweep_posted) {
        server->sweep_posted = 1;
        server->sweep.run = run_sweep;
        sp__loop_post(server->pit->loop, &server->sweep);
    }
}

static void tick(struct timer *timer, uint64_t now_ms)
{
    struct server *server = ITEM(timer, struct server, tick);
    struct link *link = server->clients.first;
    while (link != NULL) {
        struct client *client = ITEM(link, struct client, on_server);
        link = link->next;
        sp__client_tick(client, now_ms);
    }
    if (server->clients.length > 0) {
        sp__timer_set(server->pit->loop, timer, now_ms + server->tick_ms);
    }
}

/* ---- clients that come ---- */

static int is_welcome(const struct server *server, uid_t user)
{
    if (user == geteuid() || user == 0) {
        return 1;
    }
    for (size_t i = 0; i < server->limits.users_count; i++) {
        if (server->limits.users[i] == user) {
            return 1;
        }
    }
    return 0;
}

/* 1 when there is room for one more, perhaps because an idle one left for it. */
static int make_room(struct server *server)
{
    if (server->clients.length < server->limits.clients_max) {
        return 1;
    }
    struct link *link = server->clients.first;
    for (; link != NULL; link = link->next) {
        struct client *client = ITEM(link, struct client, on_server);
        if (client->peer.rpcs.length == 0 && sp__h2_is_greeted(client->channel.h2)) {
            server->stats.clients_shed++;
            sp__client_leave(client, RST_NO_ERROR);
            sp__channels_flush(client->channel.shared);
            sp__client_close(client);
            return 1;
        }
    }
    return 0;
}

static void welcome(struct server *server, int fd)
{
    struct loop *loop = server->pit->loop;
    uid_t user = (uid_t)-1;
    pid_t pid;
    if (sp__address_peer(fd, &user, &pid) < 0 || !is_welcome(server, user)) {
        server->stats.clients_refused++;
        (void)close(fd);
        return;
    }
    if (!make_room(server) || sp__client_open(server, fd, user, NULL) < 0) {
        server->stats.clients_turned_away++;
        sp__client_turn_away(fd);
        return;
    }
    server->stats.clients_total++;
    if (server->clients.length == 1) {
        sp__timer_set(loop, &server->tick, sp__loop_now_ms(loop) + server->tick_ms);
    }
}

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No descriptor is left for whoever waits. 1 when one was turned away. */
static int accept_with_spare(struct server *server)
{
    if (server->spare < 0) {
        return 0;
    }
    (void)close(server->spare);
    int fd = accept4(server->address.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        server->stats.clients_turned_away++;
        sp__client_turn_away(fd);
    }
    server->spare = open_spare();
    return fd >= 0;
}

static void rest(struct server *server)
{
    struct loop *loop = server->pit->loop;
    sp__watch_set(server->watch, 0);
    sp__timer_set(loop, &server->again, sp__loop_now_ms(loop) + ACCEPT_AGAIN_MS);
}

static void accept_again(struct timer *timer, uint64_t now_ms)
{
    struct server *server = ITEM(timer, struct server, again);
    if (server->watch != NULL) {
        if (server->spare < 0) {
            server->spare = open_spare();
        }
        sp__watch_set(server->watch, WATCH_READ);
    }
}

static void accept_ready(void *user, int events)
{
    struct server *server = user;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(server->address.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            welcome(server, fd);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno == EMFILE && accept_with_spare(server)) {
            continue;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            rest(server); /* ENFILE, ENOMEM: polling would spin */
            return;
        }
    }
}

/* ---- what the pit tells ---- */

static struct server *server_of(struct pit_server *on_pit)
{
    return ITEM(on_pit, struct server, on_pit);
}

static void on_turn(struct pit_server *on_pit)
{
    sp__health_turn(server_of(on_pit));
}

static void stop_listening(struct server *server)
{
    sp__watch_close(server->watch);
    server->watch = NULL;
    sp__address_close(&server->address);
}

static void on_drain(struct pit_server *on_pit)
{
    struct server *server = server_of(on_pit);
    if (server->draining || server->for_workers) {
        return; /* what the last calls ask is answered */
    }
    server->draining = 1;
    stop_listening(server);
    sp__health_turn(server);
    struct link *link = server->clients.first;
    while (link != NULL) {
        struct client *client = ITEM(link, struct client, on_server);
        link = link->next;
        sp__client_leave(client, RST_NO_ERROR);
    }
}

static int is_quiet(const struct pit_server *on_pit)
{
    const struct server *server = (const struct server *)(const void *)on_pit;
    const struct link *link = server->for_workers ? NULL : server->clients.first;
    for (; link != NULL; link = link->next) {
        if (!sp__client_is_quiet(ITEM(link, struct client, on_server))) {
            return 0;
        }
    }
    return 1;
}

/* Clients hear of the end, and have a moment to read what they were told. */
static void see_off(struct server *server)
{
    struct link *link = server->clients.first;
    while (link != NULL) {
        struct client *client = ITEM(link, struct client, on_server);
        link = link->next; /* who moves stands last */
        sp__client_bid_farewell(client);
    }
    sp__channels_flush(&server->pit->lanes[0].shop.channels);
    for (link = server->clients.first; link != NULL; link = link->next) {
        struct client *client = ITEM(link, struct client, on_server);
        if (has_everything(client)) {
            sp__client_end(client);
        }
    }
    uint64_t until_ms = sp__now_ms() + LINGER_MS;
    for (link = server->clients.first; link != NULL; link = link->next) {
        struct client *client = ITEM(link, struct client, on_server);
        if (client->ended_ms != 0 && !client->gone) {
            sp__client_await_close(client, until_ms);
        }
    }
}

static void on_close(struct pit_server *on_pit)
{
    struct server *server = server_of(on_pit);
    stop_listening(server);
    if (!server->for_workers) {
        see_off(server);
    }
    sp__timer_fini(server->pit->loop, &server->again);
    sp__timer_fini(server->pit->loop, &server->tick);
    while (server->clients.first != NULL) {
        sp__client_close(ITEM(server->clients.first, struct client, on_server));
    }
    if (server->spare >= 0) {
        (void)close(server->spare);
    }
    server->closed = 1;
    if (!server->sweep_posted) {
        free_server(server);
    }
}

/* ---- opening ---- */

struct opening {
    struct server *server;
    sp_error *err;
    int rc;
};

static void start(void *user, void *arg)
{
    struct sp_pit *pit = ((struct lane *)user)->pit;
    struct opening *opening = arg;
    struct server *server = opening->server;
    if (pit->lanes[0].draining || pit->lanes[0].closing) {
        opening->rc = sp__fail(opening->err, SP_ERR_CLOSED, "the pit is shutting down");
        return;
    }
    if (sp__timer_init(pit->loop, &server->again, accept_again) < 0 ||
        sp__timer_init(pit->loop, &server->tick, tick) < 0) {
        sp__timer_fini(pit->loop, &server->again);
        opening->rc = sp__fail(opening->err, SP_ERR_NOMEM, "no memory for a timer");
        return;
    }
    opening->rc = sp__watch_open(pit->loop, server->address.fd, accept_ready, server,
                                 &server->watch, opening->err);
    if (opening->rc < 0) {
        sp__timer_fini(pit->loop, &server->again);
        sp__timer_fini(pit->loop, &server->tick);
        return;
    }
    sp__list_append(&pit->servers, &server->on_pit.on_pit);
}

/* A quarter of the shortest limit of time. */
static uint64_t tick_of(const sp_listen_options *limits)
{
    const uint64_t times[] = {limits->greeting_timeout_ms, limits->body_timeout_ms,
                              limits->stalled_timeout_ms, limits->idle_timeout_ms};
    uint64_t tick_ms = TICK_MAX_MS;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        tick_ms = times[i] / 4 < tick_ms ? times[i] / 4 : tick_ms;
    }
    return tick_ms > 0 ? tick_ms : 1;
}

static int copy_users(sp_listen_options *limits, sp_error *err)
{
    if (limits->users_count == 0) {
        limits->users = NULL;
        return SP_OK;
    }
    size_t bytes = limits->users_count * sizeof *limits->users;
    uint32_t *users = sp__malloc(bytes);
    if (users == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a list of users");
    }
    memcpy(users, limits->users, bytes);
    limits->users = users;
    return SP_OK;
}

int sp__server_open(struct sp_pit *pit, struct address *address,
                    const sp_listen_options *limits, int for_workers, sp_error *err)
{
    struct server *server = sp__calloc(1, sizeof *server);
    if (server == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a server");
    }
    server->on_pit = (struct pit_server){.on_turn = on_turn,
                                         .on_drain = on_drain,
                                         .is_quiet = is_quiet,
                                         .on_close = on_close};
    server->pit = pit;
    server->limits = *limits;
    server->for_workers = for_workers;
    server->tick_ms = tick_of(limits);
    int rc = copy_users(&server->limits, err);
    if (rc < 0) {
        sp__free(server);
        return rc;
    }
    server->address = *address;
    server->address.name = server->address.path + (address->name - address->path);
    server->spare = open_spare();
    struct opening opening = {.server = server, .err = err, .rc = SP_OK};
    sp__loop_call(pit->loop, start, &opening);
    if (opening.rc < 0) {
        if (server->spare >= 0) {
            (void)close(server->spare);
        }
        free_server(server);
    }
    return opening.rc;
}

void sp__servers_stats(const struct sp_pit *pit, sp_listen_stats *ret)
{
    *ret = (sp_listen_stats){0};
    for (const struct link *link = pit->servers.first; link != NULL;
         link = link->next) {
        const struct server *server =
            (const struct server *)(const void *)ITEM(link, struct pit_server, on_pit);
        if (server->for_workers) {
            continue;
        }
        ret->clients += server->stats.clients;
        ret->calls += server->stats.calls;
        ret->clients_total += server->stats.clients_total;
        ret->clients_refused += server->stats.clients_refused;
        ret->clients_turned_away += server->stats.clients_turned_away;
        ret->clients_shed += server->stats.clients_shed;
        ret->clients_cut += server->stats.clients_cut;
        ret->calls_total += server->stats.calls_total;
        ret->calls_cancelled += server->stats.calls_cancelled;
    }
}
