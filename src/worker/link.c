/* SPDX-License-Identifier: MIT */
/*
 * Calls out, replies and chunks in: what travels on the connection on which the host
 * calls its worker. host.c has the other one.
 *
 * A call is one stream whose user pointer is the worker_call. A call that was
 * cancelled has let go of its stream (user NULL); late events of it find nothing.
 *
 * Failures arrive in three forms and leave in one, an sp_error: an answer with
 * success=false (an exception, as the original's workers tell it), a gRPC status with
 * our details, and a bare gRPC status from a stranger.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/grpc_status.h"
#include "base/mem.h"
#include "wire/proto_state.h"
#include "worker/internal.h"

/* ---- the call connection: we are the client ---- */

/* Perhaps with the large binaries of its message in the memory that they share. */
static int open_large(struct worker *worker, struct worker_call *call, const char *path,
                      sp_bytes message, uint64_t timeout_ms, struct h2_stream **ret,
                      sp_error *err)
{
    struct sp_buffer shared;
    int rc;
    sp__buf_init(&shared, SIZE_MAX / 2);
    if (sp__worker_share_call(worker, call, message, &shared)) {
        rc = sp__h2_open(worker->calls.h2, path, timeout_ms, NULL, 0,
                         (sp_bytes){shared.data, shared.size}, 1, call, ret, err);
    } else {
        rc = sp__h2_open_lend(worker->calls.h2, path, timeout_ms, NULL, 0, message, 1,
                              call, ret, err);
    }
    sp__buf_fini(&shared);
    if (rc < 0) {
        sp__worker_unshare_call(worker, call);
    }
    return rc;
}

int sp__worker_send(struct worker *worker, struct worker_call *call, sp_bytes message,
                    uint64_t timeout_ms, sp_error *err)
{
    assert(worker->state == WORKER_READY);
    const char *path = call->streaming ? SP__PATH_STREAM : SP__PATH_EXECUTE;
    struct h2_stream *stream;
    int rc = message.size < worker->spec->shared_min_bytes
                 ? sp__h2_open_lend(worker->calls.h2, path, timeout_ms, NULL, 0,
                                    message, 1, call, &stream, err)
                 : open_large(worker, call, path, message, timeout_ms, &stream, err);
    if (rc < 0) {
        return rc;
    }
    if (call->streaming) {
        sp__h2_hold(stream);
    }
    call->worker = worker;
    call->stream = stream;
    call->stream_id = sp__h2_stream_id(stream);
    call->replied = 0;
    call->sent_us = sp__loop_now_us(worker->shop->loop);
    sp__list_append(&worker->in_flight, &call->on_worker);
    worker->estimate_us += call->estimate_us;
    sp__channel_touch(&worker->calls);
    return SP_OK;
}

void sp__worker_grant(struct worker_call *call, size_t wire_bytes)
{
    if (call->stream != NULL) {
        sp__h2_grant(call->stream, wire_bytes);
        sp__channel_touch(&call->worker->calls);
    }
}

static void call_ended(struct worker_call *call, sp_error *failure)
{
    struct worker *worker = call->worker;
    uint64_t now_us = sp__loop_now_us(worker->shop->loop);
    if (sp__output_wants_to(&worker->output)) {
        sp__output_catch_up(&worker->output);
    }
    if (worker->page == NULL ||
        !sp__page_get_time(worker->page, call->stream_id, &call->service_us)) {
        uint64_t begun_us = call->sent_us > worker->last_reply_us
                                ? call->sent_us
                                : worker->last_reply_us;
        call->service_us = now_us - begun_us;
    }
    worker->last_reply_us = now_us;
    sp__list_remove(&call->on_worker);
    if (worker->telemetry != NULL) {
        sp__worker_remember(worker, call);
    }
    sp__worker_end_asks(worker, call->stream_id);
    sp__worker_unshare_call(worker, call);
    sp__worker_sweep_memory(worker);
    worker->estimate_us -= call->estimate_us;
    worker->calls_total++;
    call->worker = NULL;
    call->stream = NULL;
    worker->events->on_end(call, failure, worker);
    sp__worker_rest(worker);
}

static void reply_came(struct worker_call *call, const uint8_t *data, size_t size)
{
    struct proto_response response;
    sp_error failure;
    struct worker *worker = call->worker;
    struct sp_buffer memory;
    sp__error_init(&failure);
    sp__buf_init(&memory, SIZE_MAX / 2);
    if (call->replied || sp__proto_get_response(data, size, &response, &failure) < 0 ||
        (response.shared_result.size > 0 &&
         sp__worker_fetch_result(call, &response, &memory, &failure) < 0)) {
        int is_ours = failure.code == SP_ERR_TOO_BIG || failure.code == SP_ERR_NOMEM;
        int code = is_ours ? failure.code : SP_ERR_PROTOCOL;
        sp__wrap(&failure, code, "an answer of worker %s", worker->name);
        failure.code = code;
        failure.executed = is_ours ? SP_EXECUTED_YES : SP_EXECUTED_UNKNOWN;
        (void)sp__worker_cancel(call);
        worker->events->on_end(call, &failure, worker);
        sp_error_clear(&failure);
        sp__buf_fini(&memory);
        return;
    }
    if (memory.data == NULL) {
        (void)sp__h2_take_message(call->stream, &memory);
    }
    call->replied = 1;
    worker->events->on_reply(call, &response, &memory);
    sp__buf_fini(&memory);
}

static void chunk_came(struct worker_call *call, const uint8_t *data, size_t size)
{
    struct proto_chunk chunk;
    sp_error failure;
    size_t wire_bytes = size + 5;
    sp__error_init(&failure);
    if (sp__proto_get_chunk(data, size, &chunk, &failure) < 0) {
        struct worker *worker = call->worker;
        failure.code = SP_ERR_PROTOCOL;
        failure.executed = SP_EXECUTED_UNKNOWN;
        (void)sp__worker_cancel(call);
        worker->events->on_end(call, &failure, worker);
        sp_error_clear(&failure);
        return;
    }
    if (chunk.is_final && chunk.data.size == 0 && chunk.binary.size == 0) {
        sp__h2_grant(call->stream, wire_bytes); /* only says that no more will come */
        return;
    }
    call->worker->events->on_chunk(call, &chunk, wire_bytes);
}

/* ---- the events of the connection ---- */

static void call_message(void *user, struct h2_stream *stream, const uint8_t *data,
                         size_t size)
{
    struct worker *worker = user;
    struct worker_call *call = sp__h2_stream_user(stream);
    sp__worker_beat(worker);
    if (call == NULL) {
        return; /* cancelled meanwhile */
    }
    if ((void *)call == (void *)worker) {
        return; /* the answer to the Ping; its status follows */
    }
    if (sp__worker_is_telemetry(worker, call)) {
        sp__worker_heard(worker, data, size);
        return;
    }
    if (call->streaming) {
        chunk_came(call, data, size);
    } else {
        reply_came(call, data, size);
    }
}

/* The code for a status without our details, from a stranger. */
static int code_of_status(int grpc_status)
{
    switch (grpc_status) {
    case 1:
        return SP_ERR_CANCELLED;
    case 3:
        return SP_ERR_BAD_ARGS;
    case 4:
        return SP_ERR_TIMEOUT;
    case 5:
    case 12:
        return SP_ERR_NO_TOOL;
    case 8:
        return SP_ERR_TOO_BIG;
    case -1:
        return SP_ERR_PROTOCOL;
    default:
        return SP_ERR_REMOTE;
    }
}

static void failure_of_status(const struct h2_status *status, sp_error *ret)
{
    if (status->details_size > 0 &&
        sp__proto_get_failure(status->details, status->details_size, ret) == 1) {
        return;
    }
    if (status->grpc_status == GRPC_INTERNAL && status->message[0] == '{') {
        /* The original puts its error object into the details of INTERNAL. */
        sp__proto_get_error_text(sp_text(status->message), ret);
        ret->executed = SP_EXECUTED_YES;
        return;
    }
    sp__fail(ret, code_of_status(status->grpc_status), "%s",
             status->message[0] != '\0' ? status->message
             : status->refused          ? "the worker refused the call"
             : status->grpc_status < 0  ? "the worker ended the call without a status"
                                        : "the worker gave no reason");
    ret->grpc_status = status->grpc_status < 0 ? 2 : status->grpc_status;
    ret->executed = status->refused ? SP_EXECUTED_NO : SP_EXECUTED_UNKNOWN;
}

/* What our worker says of a call that is traced. It is asked for nothing else, so a
 * number that is none is 0. */
static void read_times(struct worker_call *call, const struct h2_status *status)
{
    static const char name[] = SP__TRAILER_RAN;
    for (size_t i = 0; i < status->trailers_count; i++) {
        const struct h2_header *header = &status->trailers[i];
        char text[48];
        if (header->name_size == sizeof name - 1 && header->value_size < sizeof text &&
            memcmp(header->name, name, sizeof name - 1) == 0) {
            char *end;
            memcpy(text, header->value, header->value_size);
            text[header->value_size] = '\0';
            call->entered_us = strtoull(text, &end, 10);
            call->left_us = strtoull(end, NULL, 10);
        }
    }
}

static void call_end(void *user, struct h2_stream *stream,
                     const struct h2_status *status)
{
    struct worker *worker = user;
    struct worker_call *call = sp__h2_stream_user(stream);
    if ((void *)call == (void *)worker) {
        /* A stock worker that has no Ping is there all the same. */
        if (status->grpc_status == GRPC_OK ||
            status->grpc_status == GRPC_UNIMPLEMENTED) {
            sp__worker_on_connected(worker);
        }
        return;
    }
    if (sp__worker_is_telemetry(worker, call)) {
        sp__worker_unheard(worker, status);
        return;
    }
    if (worker->state == WORKER_DEAD || worker->calls.broken) {
        return; /* the connection is gone; its death will tell this call */
    }
    call->stream = NULL;
    if (status->trailers_count > 0 && worker->page != NULL) {
        read_times(call, status);
    }
    if (status->grpc_status == GRPC_OK && (call->streaming || call->replied)) {
        call_ended(call, NULL);
        return;
    }
    sp_error failure = {0};
    failure_of_status(status, &failure);
    failure.worker_pid = worker->pid;
    if (failure.code == SP_ERR_TIMEOUT || failure.code == SP_ERR_CANCELLED) {
        /* The worker's runtime gave the call up, which need not have ended user code: it
         * began, but who knows how far it came. */
        if (failure.executed == SP_EXECUTED_YES) {
            failure.executed = SP_EXECUTED_UNKNOWN;
        }
        sp__worker_abandon(worker, call);
    }
    call_ended(call, &failure);
    sp_error_clear(&failure);
}

static void call_pong(void *user, uint64_t opaque)
{
    sp__worker_beat(user);
}

static void call_goaway(void *user, uint32_t error_code)
{
    sp__worker_on_goaway(user);
}

const struct h2_events sp__call_events = {
    .on_message = call_message,
    .on_end = call_end,
    .on_pong = call_pong,
    .on_goaway = call_goaway,
};

int sp__worker_send_ping(struct worker *worker, sp_error *err)
{
    struct sp_buffer message;
    sp__buf_init(&message, 256);
    int rc = sp__proto_put_ping(&message, "connection_test", err);
    if (rc == SP_OK) {
        struct h2_stream *stream;
        /* The worker itself as user tells the Ping from a call. */
        rc = sp__h2_open(worker->calls.h2, SP__PATH_PING, worker->spec->init_timeout_ms,
                         NULL, 0, (sp_bytes){message.data, message.size}, 1, worker,
                         &stream, err);
        sp__channel_touch(&worker->calls);
    }
    sp__buf_fini(&message);
    return rc;
}

/* Nobody waits for the answer: the stream has no user, like that of a cancelled call. */
void sp__worker_end_session(struct worker *worker, const char *session)
{
    struct sp_buffer message;
    struct h2_stream *stream;
    if (worker->state != WORKER_READY || worker->page == NULL) {
        return;
    }
    sp__buf_init(&message, SIZE_MAX / 2);
    struct proto_session_end end = {.session_id = session};
    if (sp__proto_put_session_end(&message, &end, NULL) == SP_OK &&
        sp__h2_open(worker->calls.h2, SP__PATH_CLEANUP_SESSION, SP_UNLIMITED, NULL, 0,
                    (sp_bytes){message.data, message.size}, 1, NULL, &stream,
                    NULL) == SP_OK) {
        sp__channel_touch(&worker->calls);
    }
    sp__buf_fini(&message);
}
