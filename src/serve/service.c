/* SPDX-License-Identifier: MIT */
/*
 * What clients may call: the table of methods, and what each event of their streams
 * means.
 *
 * An rpc lives from on_request to on_end. Whatever ends it goes through sp__rpc_finish()
 * or sp__rpc_fail(), once; a stream that the client resets ends by itself, and takes its
 * call along. Unknown methods are UNIMPLEMENTED and leave nothing behind.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "serve/server.h"

enum { PING_TEXT_MAX = 4096, DETAILS_MAX = 6 * 1024 /* what stock clients take */ };

static const struct {
    const char *path;
    size_t size;
} methods[RPC_METHODS] = {
#define METHOD(name, text) [name] = {text, sizeof(text) - 1}
    METHOD(RPC_EXECUTE, SP__PATH_EXECUTE),
    METHOD(RPC_STREAM, SP__PATH_STREAM),
    METHOD(RPC_PING, SP__PATH_PING),
    METHOD(RPC_HEALTH_CHECK, SP__PATH_HEALTH_CHECK),
    METHOD(RPC_HEALTH_WATCH, SP__PATH_HEALTH_WATCH),
#undef METHOD
};

static int find_method(const char *path, size_t size)
{
    for (int i = 0; i < RPC_METHODS; i++) {
        if (methods[i].size == size && memcmp(methods[i].path, path, size) == 0) {
            return i;
        }
    }
    return -1;
}

static int executes(const struct rpc *rpc)
{
    return rpc->method == RPC_EXECUTE || rpc->method == RPC_STREAM;
}

/* ---- ending ---- */

static void finish(struct rpc *rpc, int status, const char *message, sp_bytes details,
                   const struct failure_trailers *trailers)
{
    if (rpc->finished) {
        return;
    }
    rpc->finished = 1;
    if (sp__h2_finish(rpc->stream, status, message, details,
                      trailers != NULL ? trailers->headers : NULL,
                      trailers != NULL ? trailers->count : 0, NULL) < 0) {
        sp__h2_reset(rpc->stream, RST_INTERNAL);
    }
    sp__channel_touch(&rpc->client->channel);
}

void sp__rpc_finish(struct rpc *rpc, int status, const char *message)
{
    finish(rpc, status, message, (sp_bytes){0}, NULL);
}

/* Whose program it is not does not see where it stands: paths, lines, output. */
static void redact(sp_error *failure)
{
    sp__free(failure->remote_trace);
    sp__free(failure->worker_stderr);
    failure->remote_trace = NULL;
    failure->worker_stderr = NULL;
}

void sp__rpc_fail(struct rpc *rpc, const sp_error *failure)
{
    struct sp_buffer details;
    struct failure_trailers trailers;
    sp_error told = {0};
    sp__buf_init(&details, DETAILS_MAX);
    sp__error_copy(&told, failure);
    if (rpc->client->user != geteuid() && rpc->client->user != 0) {
        redact(&told);
    }
    if (sp__proto_put_failure(&details, &told, NULL) < 0) {
        details.size = 0; /* status, message and trailers say the most important */
    }
    sp__failure_trailers(failure, &trailers);
    finish(rpc, sp_error_status(failure), failure->message,
           (sp_bytes){details.data, details.size}, &trailers);
    sp_error_clear(&told);
    sp__buf_fini(&details);
}

/* ---- events ---- */

static int on_request(void *user, struct h2_stream *stream,
                      const struct h2_request *request)
{
    struct client *client = user;
    struct server *server = client->server;
    int method = find_method(request->path, request->path_size);
    if (method < 0) {
        return GRPC_UNIMPLEMENTED;
    }
    struct rpc *rpc = sp__calloc(1, sizeof *rpc);
    if (rpc == NULL) {
        return GRPC_RESOURCE_EXHAUSTED;
    }
    rpc->method = (enum rpc_method)method;
    rpc->client = client;
    rpc->stream = stream;
    rpc->timeout_ms = request->timeout_ms;
    rpc->begun_ms = sp__loop_now_ms(server->pit->loop);
    rpc->told = -1;
    sp__h2_stream_set_user(stream, rpc);
    sp__list_append(&client->rpcs, &rpc->on_client);
    if (executes(rpc)) {
        client->calls++;
        server->stats.calls++;
        server->stats.calls_total++;
        if (sp__rpc_head_read(rpc, request) < 0) {
            sp__rpc_finish(rpc, GRPC_INVALID_ARGUMENT,
                           "the metadata of the call cannot be read");
        }
    }
    sp__client_moved(client);
    return GRPC_OK;
}

static void answer_ping(struct rpc *rpc, const uint8_t *data, size_t size)
{
    sp_bytes said;
    struct sp_buffer text;
    struct sp_buffer out;
    sp__buf_init(&text, PING_TEXT_MAX + 16);
    sp__buf_init(&out, 2 * PING_TEXT_MAX);
    int rc = sp__proto_get_ping(data, size, &said, NULL);
    if (rc == SP_OK) {
        rc =
            sp__buf_printf(&text, NULL, "pong: %.*s",
                           (int)(said.size < PING_TEXT_MAX ? said.size : PING_TEXT_MAX),
                           said.size > 0 ? (const char *)said.data : "");
    }
    if (rc == SP_OK) {
        rc = sp__proto_put_pong(&out, (const char *)text.data, (int64_t)sp__unix_ns(),
                                NULL);
    }
    if (rc == SP_OK) {
        rc = sp__h2_write(rpc->stream, (sp_bytes){out.data, out.size}, NULL);
    }
    sp__rpc_finish(rpc, rc == SP_OK ? GRPC_OK : GRPC_INVALID_ARGUMENT, NULL);
    sp__buf_fini(&text);
    sp__buf_fini(&out);
}

static void on_message(void *user, struct h2_stream *stream, const uint8_t *data,
                       size_t size)
{
    struct rpc *rpc = sp__h2_stream_user(stream);
    if (rpc == NULL || rpc->finished) {
        return;
    }
    if (rpc->has_message) {
        sp__rpc_finish(rpc, GRPC_INVALID_ARGUMENT, "the request has two messages");
        return;
    }
    rpc->has_message = 1;
    switch (rpc->method) {
    case RPC_EXECUTE:
    case RPC_STREAM:
        sp__execute_message(rpc, data, size);
        return;
    case RPC_PING:
        answer_ping(rpc, data, size);
        return;
    case RPC_HEALTH_CHECK:
    case RPC_HEALTH_WATCH:
        sp__health_message(rpc, data, size);
        return;
    case RPC_METHODS:
        return;
    }
}

static void on_half_close(void *user, struct h2_stream *stream)
{
    struct rpc *rpc = sp__h2_stream_user(stream);
    if (rpc != NULL && !rpc->has_message) {
        sp__rpc_finish(rpc, GRPC_INVALID_ARGUMENT, "the request has no message");
    }
}

static void on_end(void *user, struct h2_stream *stream, const struct h2_status *status)
{
    struct rpc *rpc = sp__h2_stream_user(stream);
    if (rpc == NULL) {
        return;
    }
    struct client *client = rpc->client;
    sp__list_remove(&rpc->on_client);
    sp__list_remove(&rpc->on_watchers);
    if (executes(rpc)) {
        client->calls--;
        client->server->stats.calls--;
        sp__execute_gone(rpc);
    }
    sp__free(rpc);
    sp__client_moved(client);
}

static void on_drained(void *user, struct h2_stream *stream)
{
    struct rpc *rpc = sp__h2_stream_user(stream);
    if (rpc != NULL && rpc->method == RPC_STREAM) {
        sp__execute_drained(rpc);
    }
}

static const struct h2_events events = {
    .on_request = on_request,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_end = on_end,
    .on_drained = on_drained,
};
const struct h2_events *const sp__service = &events;
