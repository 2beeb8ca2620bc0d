/* SPDX-License-Identifier: MIT */
/*
 * Serving a pit's pools to other programs: a listening socket, the clients on it, the
 * calls of each. Loop thread, but for opening.
 *
 *   server ──▶ client (a connection) ──▶ rpc (a stream) ──▶ request (a call in a pool)
 *
 * server.c accepts, limits and ends; client.c is a connection; service.c knows the
 * methods; execute.c makes calls of them; health.c answers who asks for the health.
 */
#ifndef SP_SERVE_SERVER_H
#define SP_SERVE_SERVER_H

#include "pit/pit.h"
#include "serve/address.h"
#include "snakepit/serve.h"
#include "wire/h2.h"
#include "wire/proto.h"
#include "worker/channel.h"

enum {
    GREETING_DEFAULT_MS = 5000,
    BODY_DEFAULT_MS = 10000,  /* in each of these periods a request's message ... */
    BODY_PERIOD_BYTES = 1024, /* ... makes headway by so much */
    STALLED_DEFAULT_MS = 30000,
    TICK_MAX_MS = 1000,     /* how often those are looked at, at least */
    ACCEPTS_PER_TURN = 64,  /* then others have their turn */
    ACCEPT_AGAIN_MS = 10,   /* when the system has no descriptor left */
    CLIENTS_DEFAULT = 1000, /* when so many descriptors are there */
    CALLS_DEFAULT = 128,    /* of one client at a time */
    MESSAGE_DEFAULT = 16 << 20,
    IDLE_DEFAULT_MS = 300000,
    WORKER_DESCRIPTORS = 5,        /* two sockets, the page, the pipe, the process */
    HIGH_WATER_BYTES = 256 * 1024, /* waiting on a stream: no more chunks come there */
    OTHER_DESCRIPTORS = 32         /* the loop, the guard, files of the program */
};

enum {
    GRPC_OK = 0,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14
};
enum {
    RST_NO_ERROR = 0,
    RST_INTERNAL = 2,
    RST_REFUSED = 7,
    RST_CANCEL = 8,
    RST_CALM = 11
};

struct server {
    struct pit_server on_pit; /* first: what the pit calls */
    struct sp_pit *pit;
    sp_listen_options limits; /* complete; `users` is ours */
    struct address address;
    struct watch *watch;
    int spare; /* a descriptor to be polite with when there is no other, or -1 */
    struct timer again; /* accept goes on */
    struct timer tick;
    uint64_t tick_ms;
    struct command sweep;
    int sweep_posted;
    int draining;
    struct list clients;  /* who has been quiet longest comes first */
    struct list watchers; /* rpc.on_watchers */
    struct proto_scratch scratch;
    sp_listen_stats stats;
};

struct client {
    struct link on_server;
    struct server *server;
    struct channel channel;
    struct list rpcs;
    uint32_t calls; /* of them that execute */
    uid_t user;
    uint64_t since_ms;
    uint64_t idle_since_ms;    /* without an rpc */
    uint64_t block_since_ms;   /* a header block is not whole, 0: none is */
    uint64_t stalled_since_ms; /* 0: it takes what it is sent */
    uint64_t written;          /* when that was looked at */
    int leaving;               /* it is closed as soon as it has everything */
    int gone;                  /* its connection is over: the next sweep frees it */
};

enum rpc_method {
    RPC_EXECUTE,
    RPC_STREAM,
    RPC_PING,
    RPC_HEALTH_CHECK,
    RPC_HEALTH_WATCH,
    RPC_METHODS
};

/* What a call's metadata asks for; one allocation each, or NULL. */
struct rpc_head {
    char *pool;
    char *request_id;
    char *dedupe_key;
    uint64_t queue_timeout_ms;
    uint32_t flags;
};

struct rpc {
    enum rpc_method method;
    struct client *client;
    struct link on_client;
    struct h2_stream *stream;
    uint64_t timeout_ms; /* the client's, SP_UNLIMITED: none */
    uint64_t begun_ms;   /* of the period over which headway is measured */
    size_t begun_bytes;
    int has_message;
    int finished;

    /* Calls. */
    struct rpc_head head;
    struct request *request; /* NULL before and after */
    int ended;               /* the request has */
    uint64_t chunks;
    uint64_t stalled_since_ms; /* it has ended, and its answer does not leave */
    size_t queued;

    /* Watching the health. */
    struct link on_watchers;
    int service; /* health.c */
    int told;    /* the status it knows, -1: none */
};

/* server.c. Any thread: `limits` complete. Takes the address on success. */
int sp__server_open(struct sp_pit *pit, struct address *address,
                    const sp_listen_options *limits, sp_error *err) SP_MUST_CHECK;
/* Loop thread: add up over all servers. */
void sp__servers_stats(const struct sp_pit *pit, sp_listen_stats *ret);
/* Look at all clients for what is over, soon. */
void sp__server_sweep(struct server *server);

/* client.c */
/* Takes fd on success. */
int sp__client_open(struct server *server, int fd, uid_t user,
                    sp_error *err) SP_MUST_CHECK;
/* Ends its rpcs, closes the connection and frees. */
void sp__client_close(struct client *client);
/* No new rpcs; it is closed when those there are have ended. */
void sp__client_leave(struct client *client, uint32_t code);
/* Everything it was promised has left. */
int sp__client_is_quiet(const struct client *client);
/* The limits of time. */
void sp__client_tick(struct client *client, uint64_t now_ms);
/* An rpc begins or has ended. */
void sp__client_moved(struct client *client);
/* Tell a connection that there is no room, and close it. Takes fd. */
void sp__client_turn_away(int fd);

/* service.c */
extern const struct h2_events *const sp__service;
/* End an rpc with a status of our own. */
void sp__rpc_finish(struct rpc *rpc, int status, const char *message);
/* End it with what went wrong. */
void sp__rpc_fail(struct rpc *rpc, const sp_error *failure);

/* execute.c */
int sp__rpc_head_read(struct rpc *rpc, const struct h2_request *request);
void sp__execute_message(struct rpc *rpc, const uint8_t *data, size_t size);
/* There is room for more chunks. */
void sp__execute_drained(struct rpc *rpc);
/* The rpc goes: nobody wants the call any more. */
void sp__execute_gone(struct rpc *rpc);

/* health.c */
void sp__health_message(struct rpc *rpc, const uint8_t *data, size_t size);
/* Tell watchers what changed. */
void sp__health_turn(struct server *server);

/* failure.c */
struct failure_trailers {
    struct h2_header headers[3];
    size_t count;
    char pushback[24];
};
void sp__failure_trailers(const sp_error *failure, struct failure_trailers *ret);

#endif
