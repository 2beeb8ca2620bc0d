/* SPDX-License-Identifier: MIT */
/*
 * Serving a pit to other programs: gRPC on a unix socket.
 *
 * What is served is snakepit.bridge.BridgeService (Ping, ExecuteTool, ExecuteStreamingTool,
 * and what is about sessions, variables, programs and tools of the program, see
 * snakepit-wire(7)) and grpc.health.v1.Health, so that any gRPC library is a client.
 * A call of a client is a call like one of the program: the same queues, limits and
 * errors. Its deadline is the call's; when the client cancels or goes away, the call is
 * cancelled.
 *
 * Metadata of a call: snakepit-pool, snakepit-request-id, snakepit-dedupe-key,
 * snakepit-idempotent (true), snakepit-queue-timeout-ms, snakepit-affinity, traceparent.
 * An answer in a session has the trailer snakepit-placed. A failure is a gRPC status with
 * google.rpc details and the trailers snakepit-executed (no, unknown, yes),
 * snakepit-reason (SP-QUEUE-FULL ...) and grpc-retry-pushback-ms.
 *
 * Health is asked by service name: "" and "ready" (a worker for every pool, calls are
 * taken), "startup" (it was so once), "live" (the loop answers).
 */
#ifndef SNAKEPIT_SERVE_H
#define SNAKEPIT_SERVE_H

#include "base.h"
#include "error.h"
#include "pit.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_listen_options {
    size_t size;
    uint32_t clients_max; /* connections at once; 0: 1 000, or as many as the limit
                                   of descriptors allows */
    uint32_t calls_max;   /* of one client at once, default 128 */
    uint64_t message_max_bytes;   /* of a request, default 16 MiB, at most 1 GiB */
    uint64_t idle_timeout_ms;     /* a client without a call is closed after it, default
                                   300 000; SP_UNLIMITED: never */
    uint64_t greeting_timeout_ms; /* from connecting to the first SETTINGS, and for a
                                     header block once it has begun, default 5 000 */
    uint64_t body_timeout_ms;    /* in every such time a request's message makes headway
                                     by 1 KiB, default 10 000 */
    uint64_t stalled_timeout_ms; /* a client that takes nothing of its answers is closed
                                     after it, default 30 000 */
    const uint32_t *users; /* ids of users who may connect, beside the program's own
                                   and root; the socket's folder must let them pass */
    size_t users_count;
} sp_listen_options;

/*
 * Serve the pit's pools at an address, until the pit drains or closes.
 *
 * The folder of the socket is made with mode 0700 when it does not exist, and removed again. One that
 * exists must belong to this user and be closed to others (with `users`: not writable
 * for them), and be no symbolic link. A socket that nobody listens on any more is
 * replaced. The kernel says who connects; strangers are turned away.
 *
 * address  "unix:/path", the path of at most 107 bytes
 * options  NULL for defaults
 *
 * Errors: SP_ERR_CONFIG (the path, its folder, or more clients and workers than the
 * limit of descriptors allows: the message has the numbers), SP_ERR_UNSUPPORTED (another
 * kind of address; a pool whose adapter has functions of the program, which may not run
 * on the loop), SP_ERR_CLOSED, SP_ERR_SYSTEM, SP_ERR_NOMEM, SP_ERR_INVAL.
 * Thread: any but a callback. Since: 0.1
 */
SP_API int sp_pit_listen(sp_pit *pit, const char *address,
                         const sp_listen_options *options, sp_error *err);

/* Over every address the pit listens on. */
typedef struct sp_listen_stats {
    uint32_t clients; /* connections now */
    uint32_t calls;   /* calls of them now */
    uint64_t clients_total;
    uint64_t clients_refused;     /* users who may not */
    uint64_t clients_turned_away; /* no room */
    uint64_t clients_shed;        /* idle ones that were closed to make room */
    uint64_t clients_cut; /* too slow: in greeting, or in taking their answers */
    uint64_t calls_total;
    uint64_t calls_cancelled; /* by their clients */
} sp_listen_stats;

/* Copy what has been served. Errors: SP_ERR_INVAL. Thread: any but a callback.
 * Since: 0.1 */
SP_API int sp_pit_listen_stats(sp_pit *pit, sp_listen_stats *ret_stats, sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
