/* SPDX-License-Identifier: MIT */
/*
 * Telling the host that the worker is ready, or that it never will be.
 *
 * The one call a worker makes by itself: AnnounceWorker on the connection to the host's
 * service. The thread that announces waits as a leader, so calls, PINGs and the host's
 * death are seen meanwhile. Without such a connection (a listening worker) announcing
 * only turns the health service to SERVING.
 */
#include "runtime/runtime.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

enum { ANNOUNCE_MS = 60 * 1000, REFUSE_MS = 5 * 1000 };

/* ---- the connection's events; under smu ---- */

static void answer_came(void *user, struct h2_stream *stream, const uint8_t *data,
                        size_t size)
{
    struct announcement *a = sp__h2_stream_user(stream);
    if (a == NULL) {
        return;
    }
    int accepted = 0;
    sp__free(a->message);
    a->message = NULL;
    int rc = sp__proto_get_announce_reply(data, size, &accepted, &a->message, NULL);
    a->accepted = rc < 0 ? rc : accepted;
}

static void answer_ended(void *user, struct h2_stream *stream,
                         const struct h2_status *status)
{
    struct announcement *a = sp__h2_stream_user(stream);
    if (a == NULL) {
        return;
    }
    a->done = 1;
    if (status->grpc_status < 0) {
        a->accepted = SP_ERR_CLOSED;
    } else if (status->grpc_status != GRPC_OK) {
        a->accepted = SP_ERR_PROTOCOL;
        sp__free(a->message);
        a->message = sp__strdup(status->message);
    }
}

/* The host calls us on the other connection; this one has no server. */
static int request_came(void *user, struct h2_stream *stream,
                        const struct h2_request *request)
{
    return GRPC_UNIMPLEMENTED;
}

const struct h2_events sp__host_events = {
    .on_request = request_came,
    .on_message = answer_came,
    .on_end = answer_ended,
};

/* ---- the message ---- */

static int encode(struct sp_worker *w, const struct proto_announce *head,
                  struct sp_buffer *out, sp_error *err)
{
    struct proto_announce announce = *head;
    announce.protocol_version = SP__PROTOCOL_VERSION;
    announce.worker_id = w->name;
    announce.runtime = w->runtime;
    announce.pid = getpid();
    announce.capacity = w->options.threads;
    announce.accepts_any = w->accept_any;
    if (w->tools_count > 0 && !announce.failed) {
        announce.tools = sp__calloc(w->tools_count, sizeof *announce.tools);
        if (announce.tools == NULL) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for the list of tools");
        }
        announce.tools_count = w->tools_count;
    }
    for (size_t i = 0; i < announce.tools_count; i++) {
        announce.tools[i] = (struct proto_tool){
            .name = w->tools[i].name,
            .description = w->tools[i].description,
            .streaming = w->tools[i].streaming,
            .idempotent = w->tools[i].idempotent,
            .params = w->tools[i].params,
            .params_count = w->tools[i].params_count,
        };
    }
    int rc = sp__proto_put_announce(out, &announce, err);
    sp__free(announce.tools);
    return rc;
}

/* ---- waiting; under smu ---- */

static int wait_for_answer(struct sp_worker *w, struct slot *slot,
                           struct announcement *a, uint64_t until_ms, sp_error *err)
{
    for (;;) {
        sp__conns_flush(w);
        if (w->leader == LEADER_NONE && sp__conns_pump(w, slot)) {
            continue;
        }
        if (a->done) {
            return SP_OK;
        }
        if (w->gone || w->stopping || sp__conn_find(w, CONN_HOST) == NULL) {
            return sp__fail(err, SP_ERR_CLOSED, "%s",
                            w->stopping && !w->gone ? "the worker was asked to stop"
                                                    : "the host is gone");
        }
        if (sp__now_ms() >= until_ms) {
            return sp__fail(err, SP_ERR_TIMEOUT, "the host does not answer");
        }
        (void)sp__slot_wait(w, slot, until_ms); /* a signal changes nothing */
    }
}

static int tell_host(struct sp_worker *w, struct conn *host, struct slot *slot,
                     sp_bytes message, uint64_t timeout_ms, struct announcement *a,
                     sp_error *err)
{
    struct h2_stream *stream;
    int rc = sp__h2_open(host->h2, SP__PATH_ANNOUNCE, timeout_ms, NULL, 0, message, 1,
                         a, &stream, err);
    if (rc < 0) {
        return rc;
    }
    host->dirty = 1;
    rc = wait_for_answer(w, slot, a, sp__now_ms() + timeout_ms, err);
    if (!a->done && sp__conn_find(w, CONN_HOST) != NULL) {
        sp__h2_stream_set_user(stream, NULL);
        sp__h2_reset(stream, 8); /* CANCEL */
    }
    if (rc == SP_OK && a->accepted < 0) {
        rc = sp__fail(err, a->accepted, "the host did not take the announcement: %s",
                      a->message != NULL ? a->message : "no reason given");
    } else if (rc == SP_OK && a->accepted == 0) {
        rc = sp__fail(err, SP_ERR_PROTOCOL, "the host refused the worker: %s",
                      a->message != NULL ? a->message : "no reason given");
    }
    return rc;
}

static int announce(struct sp_worker *w, const struct proto_announce *head,
                    uint64_t timeout_ms, sp_error *err)
{
    struct sp_buffer message;
    struct announcement a = {.accepted = SP_ERR_PROTOCOL};
    sp__buf_init(&message, SIZE_MAX);
    int rc = encode(w, head, &message, err);
    if (rc < 0) {
        sp__buf_fini(&message);
        return rc;
    }
    /* The start-up's slot: away since sp_worker_open(), so that the helper serves. */
    struct slot *slot = &w->slots[w->slots_count - 1];
    sp__slot_back(w, slot);
    struct conn *host = sp__conn_find(w, CONN_HOST);
    if (host != NULL) {
        rc = tell_host(w, host, slot, (sp_bytes){message.data, message.size},
                       timeout_ms, &a, err);
    } else if (sp__conn_find(w, CONN_CALLS) == NULL && w->listen_fd < 0) {
        rc = sp__fail(err, SP_ERR_CLOSED, "the host is gone");
    }
    if (rc == SP_OK && !head->failed) {
        w->announced = w->serving = 1;
        sp__health_changed(w);
        sp__conns_flush(w);
    }
    sp__slot_start_up_away(w, slot);
    sp__buf_fini(&message);
    sp__free(a.message);
    return rc;
}

SP_API int sp_worker_announce(sp_worker *w, sp_error *err)
{
    if (w->announced) {
        return sp__fail(err, SP_ERR_INVAL, "the worker has been announced already");
    }
    return announce(w, &(struct proto_announce){0}, ANNOUNCE_MS, err);
}

SP_API void sp_worker_refuse(sp_worker *w, int permanent, const char *type,
                             const char *message, const char *trace)
{
    struct proto_announce head = {.failed = 1,
                                  .permanent = permanent != 0,
                                  .error_type = sp__strdup(type),
                                  .error_message = sp__strdup(message),
                                  .error_trace = sp__strdup(trace)};
    (void)announce(w, &head, REFUSE_MS, NULL); /* nobody is left to tell */
    sp__free(head.error_type);
    sp__free(head.error_message);
    sp__free(head.error_trace);
}
