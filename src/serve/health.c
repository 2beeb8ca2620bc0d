/* SPDX-License-Identifier: MIT */
/*
 * grpc.health.v1.Health of a pit.
 *
 * Four questions, asked by the service's name: "" and the bridge's own name, and
 * "ready": do all pools have a worker, and are calls taken? "startup": have they ever?
 * "live": does the loop answer? It does when this runs. Check answers once, Watch tells
 * every change. An unknown name is NOT_FOUND for Check, SERVICE_UNKNOWN for Watch, as
 * the gRPC health checking protocol has it.
 */
#include <string.h>

#include "serve/server.h"

enum { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };
enum { ASK_READY, ASK_LIVE, ASK_STARTED, ASK_UNKNOWN };

static int find_service(sp_bytes name)
{
    static const struct {
        const char *name;
        int service;
    } services[] = {
        {"", ASK_READY},          {"snakepit.bridge.BridgeService", ASK_READY},
        {"ready", ASK_READY},     {"live", ASK_LIVE},
        {"startup", ASK_STARTED},
    };
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        size_t size = strlen(services[i].name);
        if (size == name.size &&
            (size == 0 || memcmp(services[i].name, name.data, size) == 0)) {
            return services[i].service;
        }
    }
    return ASK_UNKNOWN;
}

static int status_of(const sp_health *health, int service)
{
    switch (service) {
    case ASK_READY:
        return health->ready ? SERVING : NOT_SERVING;
    case ASK_LIVE:
        return health->live ? SERVING : NOT_SERVING;
    case ASK_STARTED:
        return health->started ? SERVING : NOT_SERVING;
    default:
        return SERVICE_UNKNOWN;
    }
}

static int put_status(struct rpc *rpc, int status)
{
    struct sp_buffer out;
    sp__buf_init(&out, 64);
    int rc = sp__proto_put_health(&out, status, NULL);
    if (rc == SP_OK) {
        rc = sp__h2_write(rpc->stream, (sp_bytes){out.data, out.size}, NULL);
    }
    sp__buf_fini(&out);
    sp__channel_touch(rpc->peer->channel);
    return rc;
}

static void tell(struct rpc *rpc, const sp_health *health)
{
    int status = status_of(health, rpc->service);
    if (status != rpc->told && put_status(rpc, status) == SP_OK) {
        rpc->told = status;
    }
}

void sp__health_message(struct rpc *rpc, const uint8_t *data, size_t size)
{
    struct server *server = rpc->peer->client->server;
    sp_bytes name = {0};
    sp_health health;
    if (sp__proto_get_health_request(data, size, &name, NULL) < 0) {
        sp__rpc_finish(rpc, GRPC_INVALID_ARGUMENT, "the request cannot be read");
        return;
    }
    sp__pit_describe_health(server->pit, &health);
    rpc->service = find_service(name);
    if (rpc->method->is_stream) {
        sp__list_append(&server->watchers, &rpc->on_watchers);
        tell(rpc, &health);
    } else if (rpc->service == ASK_UNKNOWN) {
        sp__rpc_finish(rpc, GRPC_NOT_FOUND, "unknown service");
    } else {
        int rc = put_status(rpc, status_of(&health, rpc->service));
        sp__rpc_finish(rpc, rc == SP_OK ? GRPC_OK : GRPC_INTERNAL, NULL);
    }
}

void sp__health_gone(struct rpc *rpc)
{
    sp__list_remove(&rpc->on_watchers);
}

void sp__health_turn(struct server *server)
{
    if (server->watchers.length == 0) {
        return;
    }
    sp_health health;
    sp__pit_describe_health(server->pit, &health);
    for (struct link *link = server->watchers.first; link != NULL; link = link->next) {
        tell(ITEM(link, struct rpc, on_watchers), &health);
    }
}
