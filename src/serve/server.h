/* SPDX-License-Identifier: MIT */
/*
 * Serving a pit to other programs: a listening socket and the clients on it. Loop thread,
 * but for opening.
 *
 *   server ──▶ client (a connection, a peer) ──▶ rpc (a stream) ──▶ request, or an answer
 *
 * server.c accepts, limits and ends; client.c is a connection. What may be asked, and by
 * whom else, is in rpc.h.
 */
#ifndef SP_SERVE_SERVER_H
#define SP_SERVE_SERVER_H

#include "serve/address.h"
#include "serve/rpc.h"
#include "snakepit/serve.h"

enum {
    GREETING_DEFAULT_MS = 5000,
    BODY_DEFAULT_MS = 10000,  /* in each of these periods a request's message ... */
    BODY_PERIOD_BYTES = 1024, /* ... makes headway by so much */
    STALLED_DEFAULT_MS = 30000,
    TICK_MAX_MS = 1000,     /* how often those are looked at, at least */
    ACCEPTS_PER_TURN = 64,  /* then others have their turn */
    ACCEPT_AGAIN_MS = 10,   /* when the system has no descriptor left */
    LINGER_MS = 250,        /* for a client that has been told everything to close */
    CLIENTS_DEFAULT = 1000, /* when so many descriptors are there */
    CALLS_DEFAULT = 128,    /* of one client at a time */
    MESSAGE_DEFAULT = 16 << 20,
    IDLE_DEFAULT_MS = 300000,
    WORKER_DESCRIPTORS = 5, /* two sockets, the page, the pipe, the process */
    OTHER_DESCRIPTORS = 32  /* the loop, the guard, files of the program */
};

struct server {
    struct pit_server on_pit; /* first: what the pit calls */
    struct sp_pit *pit;
    sp_listen_options limits; /* complete; `users` is ours */
    int for_workers; /* its clients are the pit's own workers, which need it to the end */
    struct address address;
    struct watch *watch;
    int spare; /* a descriptor to be polite with when there is no other, or -1 */
    struct timer again; /* accept goes on */
    struct timer tick;
    uint64_t tick_ms;
    struct command sweep;
    int sweep_posted;
    int draining;
    int closed;           /* the sweep that is still to come frees it */
    struct list clients;  /* who has been quiet longest comes first */
    struct list watchers; /* rpc.on_watchers */
    struct proto_scratch scratch;
    sp_listen_stats stats;
};

struct client {
    struct peer peer; /* first: the user of its events */
    struct link on_server;
    struct server *server;
    struct channel channel;
    uid_t user;
    uint64_t since_ms;
    uint64_t idle_since_ms;    /* without an rpc */
    uint64_t block_since_ms;   /* a header block is not whole, 0: none is */
    uint64_t stalled_since_ms; /* 0: it takes what it is sent */
    uint64_t written;          /* when that was looked at */
    int leaving;               /* no new rpcs; it ends as soon as it has everything */
    uint64_t ended_ms;         /* since when it has everything, 0: not yet */
    int gone;                  /* its connection is over: the next sweep frees it */
};

/* server.c. Any thread: `limits` complete. Takes the address on success. */
int sp__server_open(struct sp_pit *pit, struct address *address,
                    const sp_listen_options *limits, int for_workers,
                    sp_error *err) SP_MUST_CHECK;
/* Loop thread: add up over all servers of clients. */
void sp__servers_stats(const struct sp_pit *pit, sp_listen_stats *ret);
/* Look at all clients for what is over, soon. */
void sp__server_sweep(struct server *server);

/* client.c */
/* Takes fd on success. */
int sp__client_open(struct server *server, int fd, uid_t user,
                    sp_error *err) SP_MUST_CHECK;
/* It is of the host's own user, or root: who sees everything, and may everything. */
int sp__client_is_own(const struct client *client);
/* Ends its rpcs, closes the connection and frees. */
void sp__client_close(struct client *client);
/* No new rpcs; it ends when those there are have ended. */
void sp__client_leave(struct client *client, uint32_t code);
/* Everything has left: wait for it to have read it, which it tells by closing. */
void sp__client_end(struct client *client);
/* End what it still watches, for the pit closes. */
void sp__client_bid_farewell(struct client *client);
/* On the loop, but waiting: until it closes, or that time. */
void sp__client_await_close(struct client *client, uint64_t until_ms);
/* Everything it was promised has left. */
int sp__client_is_quiet(const struct client *client);
/* The limits of time. */
void sp__client_tick(struct client *client, uint64_t now_ms);
/* An rpc begins or has ended. */
void sp__client_moved(struct client *client);
/* Tell a connection that there is no room, and close it. Takes fd. */
void sp__client_turn_away(int fd);

/* health.c: tell watchers what changed. */
void sp__health_turn(struct server *server);

#endif
