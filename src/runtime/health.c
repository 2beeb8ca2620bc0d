/* SPDX-License-Identifier: MIT */
/*
 * grpc.health.v1.Health: SERVING from the announcement until the worker stops.
 *
 * Check answers once; Watch keeps its stream and tells every change. The services known
 * are "" (the process as a whole) and the bridge. Follows the gRPC health checking
 * protocol: Check answers NOT_FOUND for an unknown service, Watch SERVICE_UNKNOWN.
 */
#include "runtime/runtime.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

enum { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

static int is_known(sp_bytes service)
{
    static const char bridge[] = "snakepit.bridge.BridgeService";
    return service.size == 0 || (service.size == sizeof bridge - 1 &&
                                 memcmp(service.data, bridge, service.size) == 0);
}

int sp__health_status(const struct sp_worker *w)
{
    return w->serving && !w->stopping ? SERVING : NOT_SERVING;
}

static int put_status(struct h2_stream *stream, int status)
{
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    int rc = sp__proto_put_health(&out, status, NULL);
    if (rc == SP_OK) {
        rc = sp__h2_write(stream, (sp_bytes){out.data, out.size}, NULL);
    }
    sp__buf_fini(&out);
    return rc;
}

void sp__health_check(struct conn *c, struct h2_stream *stream, const uint8_t *data,
                      size_t size)
{
    sp_bytes service = {0};
    int status = GRPC_OK;
    const char *message = NULL;
    if (sp__proto_get_health_request(data, size, &service, NULL) < 0) {
        status = GRPC_INVALID_ARGUMENT;
        message = "the request cannot be read";
    } else if (!is_known(service)) {
        status = GRPC_NOT_FOUND;
        message = "unknown service";
    } else if (put_status(stream, sp__health_status(c->worker)) < 0) {
        status = GRPC_INTERNAL;
    }
    if (sp__h2_finish(stream, status, message, (sp_bytes){0}, NULL, 0, NULL) < 0) {
        sp__h2_reset(stream, RST_INTERNAL);
    }
}

struct watcher *sp__health_watcher_new(struct h2_stream *stream)
{
    struct watcher *watcher = sp__calloc(1, sizeof *watcher);
    if (watcher != NULL) {
        watcher->rpc.method = RPC_HEALTH_WATCH;
        watcher->stream = stream;
    }
    return watcher;
}

static void tell(struct sp_worker *w, struct watcher *watcher)
{
    int status = watcher->known ? sp__health_status(w) : SERVICE_UNKNOWN;
    if (status != watcher->told && put_status(watcher->stream, status) == SP_OK) {
        watcher->told = status;
    }
}

void sp__health_watch(struct conn *c, struct watcher *watcher, const uint8_t *data,
                      size_t size)
{
    sp_bytes service = {0};
    if (watcher->on_watchers.on != NULL) {
        return; /* one request is all there is */
    }
    watcher->known =
        sp__proto_get_health_request(data, size, &service, NULL) == SP_OK &&
        is_known(service);
    sp__list_append(&c->worker->watchers, &watcher->on_watchers);
    tell(c->worker, watcher);
}

void sp__health_watcher_free(struct watcher *watcher)
{
    sp__list_remove(&watcher->on_watchers);
    sp__free(watcher);
}

void sp__health_changed(struct sp_worker *w)
{
    for (struct link *link = w->watchers.first; link != NULL; link = link->next) {
        tell(w, ITEM(link, struct watcher, on_watchers));
    }
    for (size_t i = 0; i < w->conns_count; i++) {
        w->conns[i]->dirty = 1;
    }
}
