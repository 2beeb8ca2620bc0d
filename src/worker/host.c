/* SPDX-License-Identifier: MIT */
/*
 * The connection on which a native worker asks its host; we are the server.
 *
 * AnnounceWorker and Ping are answered here: they are between the worker and us. All
 * else goes to whoever serves the host, as a peer that is made for the worker's first
 * question. A question belongs to a call when its metadata says so (`snakepit-parent`,
 * the number of the call's stream): it ends with the call at the latest.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/grpc_status.h"
#include "worker/internal.h"

/* What a stream of the host connection asked for, as its user pointer. */
static char wants_announce;
static char wants_ping;

static int is_ours(const void *mark)
{
    return mark == &wants_announce || mark == &wants_ping;
}

static int ask_service(struct worker *worker, struct h2_stream *stream,
                       const struct h2_request *request)
{
    const struct host_service *service = worker->shop->service;
    if (service == NULL) {
        return GRPC_UNIMPLEMENTED;
    }
    if (worker->peer == NULL) {
        worker->peer = service->on_open(worker->shop->service_user, worker);
    }
    return worker->peer != NULL
               ? service->events->on_request(worker->peer, stream, request)
               : GRPC_RESOURCE_EXHAUSTED;
}

static int host_request(void *user, struct h2_stream *stream,
                        const struct h2_request *request)
{
    static const struct {
        const char *path;
        void *mark;
    } methods[] = {{SP__PATH_ANNOUNCE, &wants_announce}, {SP__PATH_PING, &wants_ping}};

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (request->path_size == strlen(methods[i].path) &&
            memcmp(request->path, methods[i].path, request->path_size) == 0) {
            sp__h2_stream_set_user(stream, methods[i].mark);
            return 0;
        }
    }
    return ask_service(user, stream, request);
}

static int answer_announce(struct worker *worker, struct h2_stream *stream,
                           const uint8_t *data, size_t size, struct sp_buffer *out,
                           sp_error *err)
{
    struct proto_announce announce;
    int rc = sp__proto_get_announce(data, size, &announce, err);
    if (rc < 0) {
        return rc;
    }
    if (announce.protocol_version != SP__PROTOCOL_VERSION) {
        rc = sp__fail(err, SP_ERR_PROTOCOL,
                      "worker protocol version %u, this host speaks %d",
                      announce.protocol_version, SP__PROTOCOL_VERSION);
        sp__proto_announce_fini(&announce);
        sp__worker_on_foreign(worker, err);
        return rc;
    }
    rc = sp__proto_put_announce_reply(out, 1, "", err);
    if (rc == SP_OK) {
        sp__worker_on_announced(worker, &announce);
    }
    sp__proto_announce_fini(&announce);
    return rc;
}

/* One of the two that are between the worker and us. */
static void answer(struct worker *worker, struct h2_stream *stream, const uint8_t *data,
                   size_t size)
{
    struct sp_buffer out;
    sp_error failure = {0};
    sp__buf_init(&out, 64 * 1024);

    int rc;
    if (sp__h2_stream_user(stream) == &wants_announce) {
        rc = answer_announce(worker, stream, data, size, &out, &failure);
    } else {
        sp_bytes message;
        char text[256];
        rc = sp__proto_get_ping(data, size, &message, &failure);
        if (rc == SP_OK) {
            (void)snprintf(text, sizeof text, "pong: %.*s",
                           (int)(message.size > 200 ? 200 : message.size),
                           (const char *)message.data);
            rc = sp__proto_put_pong(&out, text, (int64_t)sp__unix_ns(), &failure);
        }
    }
    if (rc == SP_OK) {
        rc = sp__h2_write(stream, (sp_bytes){out.data, out.size}, &failure);
    }
    rc = sp__h2_finish(stream, rc == SP_OK ? GRPC_OK : GRPC_INVALID_ARGUMENT,
                       failure.message, (sp_bytes){0}, NULL, 0, NULL);
    if (rc < 0) {
        sp__h2_reset(stream, RST_INTERNAL);
    }
    sp__buf_fini(&out);
    sp_error_clear(&failure);
    sp__channel_touch(&worker->host);
}

static void host_message(void *user, struct h2_stream *stream, const uint8_t *data,
                         size_t size)
{
    struct worker *worker = user;
    if (is_ours(sp__h2_stream_user(stream))) {
        answer(worker, stream, data, size);
    } else {
        worker->shop->service->events->on_message(worker->peer, stream, data, size);
    }
}

static void host_half_close(void *user, struct h2_stream *stream)
{
    struct worker *worker = user;
    if (!is_ours(sp__h2_stream_user(stream))) {
        worker->shop->service->events->on_half_close(worker->peer, stream);
    }
}

static void host_end(void *user, struct h2_stream *stream,
                     const struct h2_status *status)
{
    struct worker *worker = user;
    if (!is_ours(sp__h2_stream_user(stream))) {
        worker->shop->service->events->on_end(worker->peer, stream, status);
    }
}

static void host_drained(void *user, struct h2_stream *stream)
{
    struct worker *worker = user;
    if (!is_ours(sp__h2_stream_user(stream))) {
        worker->shop->service->events->on_drained(worker->peer, stream);
    }
}

const struct h2_events sp__host_events = {
    .on_request = host_request,
    .on_message = host_message,
    .on_half_close = host_half_close,
    .on_end = host_end,
    .on_drained = host_drained,
};

void sp__worker_end_asks(struct worker *worker, uint32_t stream_id)
{
    if (worker->peer != NULL) {
        worker->shop->service->on_call_over(worker->peer, stream_id);
    }
}

void sp__worker_close_host(struct worker *worker)
{
    sp__channel_close(&worker->host); /* its streams end */
    if (worker->peer != NULL) {
        worker->shop->service->on_close(worker->peer);
        worker->peer = NULL;
    }
}
