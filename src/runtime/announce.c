/* SPDX-License-Identifier: MIT */
/*
 * Telling the host that the worker is ready, or that it never will be.
 *
 * A question to the host (ask.c) that belongs to no job: AnnounceWorker. The thread
 * that announces waits as a leader, so calls, PINGs and the host's death are seen
 * meanwhile, and with the start-up's slot, which runs no jobs. Without such a connection
 * (a listening worker) announcing only turns the health service to SERVING.
 */
#include "runtime/runtime.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

enum { ANNOUNCE_MS = 60 * 1000, REFUSE_MS = 5 * 1000 };

/* ---- the message ---- */

static int encode(struct sp_worker *w, const struct proto_announce *head,
                  struct sp_buffer *out, sp_error *err)
{
    struct proto_announce announce = *head;
    announce.protocol_version = SP__PROTOCOL_VERSION;
    announce.worker_id = w->name;
    announce.runtime = w->runtime;
    announce.pid = getpid();
    announce.capacity = w->capacity > 0           ? w->capacity
                        : w->options.jobs_max > 0 ? w->options.jobs_max
                                                  : w->options.threads;
    announce.accepts_any = w->accept_any;
    announce.opened_us = w->opened_us;
    announce.announced_us = sp__now_us();
    int rc = sp__proto_put_announce(out, &announce, err);
    if (rc == SP_OK && !announce.failed) {
        rc = sp__buf_append(out, w->tools_message.data, w->tools_message.size, err);
    }
    return rc;
}

/* ---- telling; under smu ---- */

static int read_answer(const struct ask *ask, sp_error *err)
{
    char *message = NULL;
    int accepted = 0;
    int rc = ask->failure.code;
    if (rc != SP_OK) {
        return sp__fail(err, rc == SP_ERR_CLOSED ? rc : SP_ERR_PROTOCOL,
                        "the host did not take the announcement: %s",
                        ask->failure.message);
    }
    rc = sp__proto_get_announce_reply(ask->inbox.data, ask->inbox.size, &accepted,
                                      &message, err);
    if (rc == SP_OK && !accepted) {
        rc = sp__fail(err, SP_ERR_PROTOCOL, "the host refused the worker: %s",
                      message != NULL ? message : "no reason given");
    }
    sp__free(message);
    return rc;
}

static int tell_host(struct sp_worker *w, struct slot *slot, sp_bytes message,
                     uint64_t timeout_ms, sp_error *err)
{
    struct ask ask;
    struct seat seat = {.worker = w, .slot = slot};
    sp__ask_init(&ask, w, NULL);
    slot->asking = 1;
    int rc = sp__ask_open(&ask,
                          &(struct question){.path = SP__PATH_ANNOUNCE,
                                             .request = message,
                                             .timeout_ms = timeout_ms},
                          err);
    if (rc == SP_OK) {
        rc = sp__ask_await(&ask, &seat, sp__now_ms() + timeout_ms, err);
    }
    slot->asking = 0;
    sp__ask_close(&ask);
    if (rc == SP_OK) {
        rc = read_answer(&ask, err);
    }
    sp__buf_fini(&ask.inbox);
    sp_error_clear(&ask.failure);
    return rc;
}

static int announce(struct sp_worker *w, const struct proto_announce *head,
                    uint64_t timeout_ms, sp_error *err)
{
    struct sp_buffer message;
    sp__buf_init(&message, SIZE_MAX);
    int rc = encode(w, head, &message, err);
    if (rc < 0) {
        sp__buf_fini(&message);
        return rc;
    }
    /* The start-up's slot: away since sp_worker_open(), so that the helper serves. */
    struct slot *slot = &w->slots[w->slots_count - 1];
    sp__slot_back(w, slot);
    if (sp__conn_find(w, CONN_HOST) != NULL) {
        rc =
            tell_host(w, slot, (sp_bytes){message.data, message.size}, timeout_ms, err);
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
