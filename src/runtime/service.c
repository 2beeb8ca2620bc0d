/* SPDX-License-Identifier: MIT */
/*
 * What peers may call on a worker: the table of methods and what each event of their
 * streams means. Called by h2 while bytes go in, so everything is under smu.
 *
 * Tool calls become jobs and wait for a thread; everything else is answered here and
 * now, which is why a worker whose user code is busy still answers. Calls beyond the
 * queue's limit, and all calls while stopping, are refused in a way that tells the peer
 * that nothing ran (REFUSED_STREAM).
 */
#include "runtime/runtime.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#define BRIDGE "/snakepit.bridge.BridgeService/"

static const struct {
    const char *path;
    size_t size;
    /* What the stream's user pointer is for methods that need nothing of their own. */
    struct rpc plain;
} methods[RPC_METHODS] = {
#define METHOD(name, text) [name] = {text, sizeof(text) - 1, {name}}
    METHOD(RPC_EXECUTE, SP__PATH_EXECUTE),
    METHOD(RPC_STREAM, SP__PATH_STREAM),
    METHOD(RPC_PING, SP__PATH_PING),
    METHOD(RPC_TELEMETRY, SP__PATH_TELEMETRY),
    METHOD(RPC_HEALTH_CHECK, SP__PATH_HEALTH_CHECK),
    METHOD(RPC_HEALTH_WATCH, SP__PATH_HEALTH_WATCH),
    METHOD(RPC_SESSION_INITIALIZE, BRIDGE "InitializeSession"),
    METHOD(RPC_SESSION_CLEANUP, BRIDGE "CleanupSession"),
    METHOD(RPC_SESSION_GET, BRIDGE "GetSession"),
    METHOD(RPC_SESSION_HEARTBEAT, BRIDGE "Heartbeat"),
#undef METHOD
};

/* The methods stand in the order of their frequency. */
static int find_method(const char *path, size_t size)
{
    for (int i = 0; i < RPC_METHODS; i++) {
        if (methods[i].size == size && memcmp(methods[i].path, path, size) == 0) {
            return i;
        }
    }
    return -1;
}

static int begin_job(struct conn *c, struct h2_stream *stream, enum rpc_method method,
                     uint64_t timeout_ms)
{
    struct sp_worker *w = c->worker;
    if (w->stopping || w->queued >= w->options.queue_max) {
        sp__h2_reset(stream, RST_REFUSED);
        return GRPC_OK;
    }
    struct sp_job *job = sp__job_new(c, stream, method, timeout_ms);
    if (job == NULL) {
        return GRPC_RESOURCE_EXHAUSTED;
    }
    sp__h2_stream_set_user(stream, job);
    return GRPC_OK;
}

static int on_request(void *user, struct h2_stream *stream,
                      const struct h2_request *request)
{
    struct conn *c = user;
    int found = find_method(request->path, request->path_size);
    if (found < 0) {
        return GRPC_UNIMPLEMENTED;
    }
    enum rpc_method method = (enum rpc_method)found;
    void *own = NULL;
    switch (method) {
    case RPC_EXECUTE:
    case RPC_STREAM:
        return begin_job(c, stream, method, request->timeout_ms);
    case RPC_TELEMETRY:
        own = sp__telemetry_new(c->worker, stream);
        break;
    case RPC_HEALTH_WATCH:
        own = sp__health_watcher_new(stream);
        break;
    case RPC_PING:
    case RPC_HEALTH_CHECK:
    case RPC_SESSION_INITIALIZE:
    case RPC_SESSION_CLEANUP:
    case RPC_SESSION_GET:
    case RPC_SESSION_HEARTBEAT:
    case RPC_METHODS:
        own = (void *)(uintptr_t)&methods[method].plain;
        break;
    }
    if (own == NULL) {
        return GRPC_RESOURCE_EXHAUSTED;
    }
    sp__h2_stream_set_user(stream, own);
    return GRPC_OK;
}

static void answer_ping(struct conn *c, struct h2_stream *stream, const uint8_t *data,
                        size_t size)
{
    sp_bytes said;
    struct sp_buffer text;
    struct sp_buffer out;
    sp__buf_init(&text, SIZE_MAX);
    sp__buf_init(&out, SIZE_MAX);
    int rc = sp__proto_get_ping(data, size, &said, NULL);
    if (rc == SP_OK) {
        rc = sp__buf_printf(&text, NULL, "Pong from %s: %.*s", c->worker->runtime,
                            (int)(said.size < 4096 ? said.size : 4096),
                            said.size > 0 ? (const char *)said.data : "");
    }
    if (rc == SP_OK) {
        rc = sp__proto_put_pong(&out, (const char *)text.data, (int64_t)sp__unix_ns(),
                                NULL);
    }
    if (rc == SP_OK) {
        rc = sp__h2_write(stream, (sp_bytes){out.data, out.size}, NULL);
    }
    int status = rc == SP_OK ? GRPC_OK : GRPC_INTERNAL;
    if (sp__h2_finish(stream, status, NULL, (sp_bytes){0}, NULL, 0, NULL) < 0) {
        sp__h2_reset(stream, RST_INTERNAL);
    }
    sp__buf_fini(&text);
    sp__buf_fini(&out);
}

static void job_message(struct sp_job *job, const uint8_t *data, size_t size)
{
    if (sp__job_message(job, data, size) < 0) {
        sp_error failure = {0};
        (void)sp__fail(&failure, SP_ERR_NOMEM, "no memory for a request of %zu bytes",
                       size);
        sp__job_put_status(job, GRPC_RESOURCE_EXHAUSTED, &failure);
        sp_error_clear(&failure);
        sp__job_free(job);
    }
}

static void on_message(void *user, struct h2_stream *stream, const uint8_t *data,
                       size_t size)
{
    struct conn *c = user;
    struct rpc *rpc = sp__h2_stream_user(stream);
    if (rpc == NULL) {
        return; /* answered already */
    }
    switch (rpc->method) {
    case RPC_EXECUTE:
    case RPC_STREAM:
        job_message((struct sp_job *)rpc, data, size);
        return;
    case RPC_TELEMETRY:
        sp__telemetry_control(c->worker, (struct telemetry *)rpc, data, size);
        return;
    case RPC_HEALTH_WATCH:
        sp__health_watch(c, (struct watcher *)rpc, data, size);
        return;
    case RPC_PING:
        sp__h2_stream_set_user(stream, NULL);
        answer_ping(c, stream, data, size);
        return;
    case RPC_HEALTH_CHECK:
        sp__h2_stream_set_user(stream, NULL);
        sp__health_check(c, stream, data, size);
        return;
    case RPC_SESSION_INITIALIZE:
    case RPC_SESSION_CLEANUP:
    case RPC_SESSION_GET:
    case RPC_SESSION_HEARTBEAT:
        sp__h2_stream_set_user(stream, NULL);
        sp__session_call(c, stream, rpc->method, data, size);
        return;
    case RPC_METHODS:
        return;
    }
}

static void finish_plain(struct h2_stream *stream, int status, const char *message)
{
    sp__h2_stream_set_user(stream, NULL);
    if (sp__h2_finish(stream, status, message, (sp_bytes){0}, NULL, 0, NULL) < 0) {
        sp__h2_reset(stream, RST_INTERNAL);
    }
}

static void on_half_close(void *user, struct h2_stream *stream)
{
    struct conn *c = user;
    struct rpc *rpc = sp__h2_stream_user(stream);
    if (rpc == NULL) {
        return;
    }
    switch (rpc->method) {
    case RPC_EXECUTE:
    case RPC_STREAM: {
        struct sp_job *job = (struct sp_job *)rpc;
        if (job->state == JOB_INCOMING) {
            sp__job_free(job);
            finish_plain(stream, GRPC_INVALID_ARGUMENT, "the request has no message");
        }
        return;
    }
    case RPC_TELEMETRY:
        sp__telemetry_free(c->worker, (struct telemetry *)rpc);
        finish_plain(stream, GRPC_OK, NULL);
        return;
    case RPC_HEALTH_WATCH:
        if (((struct watcher *)rpc)->on_watchers.on == NULL) {
            sp__health_watcher_free((struct watcher *)rpc);
            finish_plain(stream, GRPC_INVALID_ARGUMENT, "the request has no message");
        }
        return;
    case RPC_PING:
    case RPC_HEALTH_CHECK:
    case RPC_SESSION_INITIALIZE:
    case RPC_SESSION_CLEANUP:
    case RPC_SESSION_GET:
    case RPC_SESSION_HEARTBEAT:
    case RPC_METHODS:
        finish_plain(stream, GRPC_INVALID_ARGUMENT, "the request has no message");
        return;
    }
}

static void on_end(void *user, struct h2_stream *stream, const struct h2_status *status)
{
    struct conn *c = user;
    struct rpc *rpc = sp__h2_stream_user(stream);
    if (rpc == NULL) {
        return;
    }
    switch (rpc->method) {
    case RPC_EXECUTE:
    case RPC_STREAM:
        sp__job_stream_ended((struct sp_job *)rpc,
                             c->worker->gone ? CANCEL_GONE : CANCEL_PEER);
        return;
    case RPC_TELEMETRY:
        sp__telemetry_free(c->worker, (struct telemetry *)rpc);
        return;
    case RPC_HEALTH_WATCH:
        sp__health_watcher_free((struct watcher *)rpc);
        return;
    case RPC_PING:
    case RPC_HEALTH_CHECK:
    case RPC_SESSION_INITIALIZE:
    case RPC_SESSION_CLEANUP:
    case RPC_SESSION_GET:
    case RPC_SESSION_HEARTBEAT:
    case RPC_METHODS:
        return;
    }
}

/* A stream may go on: its peer has read what was queued. */
static void on_drained(void *user, struct h2_stream *stream)
{
    struct rpc *rpc = sp__h2_stream_user(stream);
    if (rpc != NULL && rpc->method == RPC_STREAM) {
        struct sp_job *job = (struct sp_job *)rpc;
        if (job->state == JOB_PARKED) {
            sp__job_push_turn(job);
        }
    }
}

const struct h2_events sp__service_events = {
    .on_request = on_request,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_end = on_end,
    .on_drained = on_drained,
};

static void refuse_all(struct list *list)
{
    struct link *next;
    for (struct link *link = list->first; link != NULL; link = next) {
        struct sp_job *job = ITEM(link, struct sp_job, on_list);
        next = link->next;
        if (job->state != JOB_TURN) {
            struct h2_stream *stream = job->stream;
            job->conn->dirty = 1;
            sp__job_free(job);
            sp__h2_reset(stream, RST_REFUSED);
        }
    }
}

/* Jobs that have begun end in peace; the peers take the others elsewhere. */
void sp__service_stop(struct sp_worker *w)
{
    if (w->stopping) {
        return;
    }
    w->stopping = 1;
    refuse_all(&w->ready);
    refuse_all(&w->incoming);
    sp__health_changed(w);
    for (size_t i = 0; i < w->conns_count; i++) {
        struct conn *c = w->conns[i];
        c->dirty = 1;
        if (c->role != CONN_HOST && sp__h2_goaway(c->h2, 0, NULL) < 0) {
            c->broken = 1;
        }
    }
    if (w->listen_fd >= 0) {
        (void)close(w->listen_fd);
        w->listen_fd = -1;
    }
    sp__slots_wake_all(w);
}

void sp__service_end(struct sp_worker *w)
{
    static const char why[] = "the worker stops";
    sp__service_stop(w);
    while (w->watchers.first != NULL) {
        struct watcher *watcher = ITEM(w->watchers.first, struct watcher, on_watchers);
        struct h2_stream *stream = watcher->stream;
        sp__health_watcher_free(watcher);
        finish_plain(stream, GRPC_UNAVAILABLE, why);
    }
    for (uint32_t i = 0; i < TELEMETRY_MAX; i++) {
        struct telemetry *t = w->telemetry[i];
        if (t != NULL) {
            struct h2_stream *stream = t->stream;
            sp__telemetry_free(w, t);
            finish_plain(stream, GRPC_UNAVAILABLE, why);
        }
    }
    for (size_t i = 0; i < w->conns_count; i++) {
        w->conns[i]->dirty = 1;
    }
}
