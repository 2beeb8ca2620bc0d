/* SPDX-License-Identifier: MIT */
/*
 * A stream from the host: a held question whose messages are taken one by one.
 *
 * The host sends what was granted, and a message is granted when it is taken, so what
 * nobody takes is bounded by the stream's window. A chunk is copied out of the inbox under
 * the lock, because whoever leads may put the next one in at any moment.
 */
#include "runtime/runtime.h"

#include "base/error.h"
#include "base/mem.h"

struct sp_host_stream {
    struct ask ask;
    struct sp_buffer chunk; /* the last one; its user's until the next */
};

int sp__host_stream_open(struct sp_job *job, const struct question *question,
                         sp_host_stream **ret, sp_error *err)
{
    int rc = sp__ask_check(job, err);
    if (rc < 0) {
        return rc;
    }
    sp_host_stream *stream = sp__calloc(1, sizeof *stream);
    if (stream == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a stream");
    }
    struct sp_worker *w = job->worker;
    sp__buf_init(&stream->chunk, SIZE_MAX);
    sp__ask_init(&stream->ask, w, job);
    stream->ask.held = 1;
    sp__runtime_lock(w);
    rc = sp__ask_open(&stream->ask, question, err);
    sp__conns_flush(w);
    sp__runtime_unlock(w);
    if (rc < 0) {
        sp__free(stream);
        return rc;
    }
    *ret = stream;
    return SP_OK;
}

int sp__host_stream_await_begin(sp_host_stream *stream, sp_error *err)
{
    struct ask *ask = &stream->ask;
    struct seat seat;
    sp__seat_take(&seat, ask->worker);
    ask->awaits_begin = 1;
    int rc = sp__ask_await(ask, &seat, SP_UNLIMITED, err);
    ask->awaits_begin = 0;
    sp__conns_flush(ask->worker);
    sp__seat_leave(&seat);
    return rc;
}

/* Under smu: 1 when a message was there. */
static int take(sp_host_stream *stream, int *ret_rc, sp_error *err)
{
    sp_bytes message;
    if (!sp__ask_take(&stream->ask, &message)) {
        return 0;
    }
    stream->chunk.size = 0;
    *ret_rc = sp__buf_append(&stream->chunk, message.data, message.size, err);
    return 1;
}

/* 1 with a message in stream->chunk, 0 at the end. */
static int next_message(sp_host_stream *stream, uint64_t timeout_ms, sp_error *err)
{
    struct ask *ask = &stream->ask;
    struct sp_worker *w = ask->worker;
    struct seat seat;
    uint64_t until_ms = sp__until_ms(timeout_ms);
    int rc = SP_OK;
    sp__seat_take(&seat, w);
    struct conn *host = sp__conn_find(w, CONN_HOST);
    if (host != NULL && w->leader == LEADER_NONE) {
        host->hot = 1; /* chunks often lie there */
        (void)sp__conns_pump(w, seat.slot);
    }
    int found = take(stream, &rc, err);
    if (!found) {
        rc = sp__ask_await(ask, &seat, until_ms, err);
        found = rc == SP_OK && take(stream, &rc, err);
    }
    if (rc == SP_OK && !found && ask->failure.code != SP_OK) {
        rc = ask->failure.code;
        if (err != NULL) {
            sp__error_copy(err, &ask->failure);
        }
    }
    sp__conns_flush(w);
    sp__seat_leave(&seat);
    return rc < 0 ? rc : found;
}

int sp__host_stream_take(sp_host_stream *stream, uint64_t timeout_ms,
                         sp_bytes *ret_message, sp_error *err)
{
    struct sp_worker *w = stream->ask.worker;
    if (atomic_load_explicit(&w->forgotten, memory_order_relaxed)) {
        return sp__fail(err, SP_ERR_CLOSED, "a forked child has no host to ask");
    }
    int rc = next_message(stream, timeout_ms, err);
    if (rc > 0) {
        *ret_message = (sp_bytes){stream->chunk.data, stream->chunk.size};
    }
    return rc;
}

int sp__host_stream_goes_on(sp_host_stream *stream)
{
    struct ask *ask = &stream->ask;
    sp__runtime_lock(ask->worker);
    int goes_on = !ask->over && ask->job != NULL && !sp_job_cancelled(ask->job);
    sp__runtime_unlock(ask->worker);
    return goes_on;
}

SP_API int sp_host_stream_next(sp_host_stream *stream, uint64_t timeout_ms,
                               sp_bytes *ret_chunk, sp_bytes *ret_binary, sp_error *err)
{
    for (;;) {
        sp_bytes message;
        struct proto_chunk chunk;
        int rc = sp__host_stream_take(stream, timeout_ms, &message, err);
        if (rc <= 0) {
            return rc;
        }
        rc = sp__proto_get_chunk(message.data, message.size, &chunk, err);
        if (rc < 0) {
            return sp__wrap(err, SP_ERR_PROTOCOL, "a chunk of the host");
        }
        if (!chunk.is_final || chunk.data.size > 0) {
            *ret_chunk = chunk.data;
            if (ret_binary != NULL) {
                *ret_binary = chunk.binary;
            }
            return 1;
        } /* it only says that no more will come; the status follows */
    }
}

SP_API void sp_host_stream_close(sp_host_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    struct sp_worker *w = stream->ask.worker;
    if (!atomic_load_explicit(&w->forgotten, memory_order_relaxed)) {
        sp__runtime_lock(w);
        sp__ask_close(&stream->ask);
        sp__conns_flush(w);
        sp__runtime_unlock(w);
    }
    sp__buf_fini(&stream->ask.inbox);
    sp_error_clear(&stream->ask.failure);
    sp__buf_fini(&stream->chunk);
    sp__free(stream);
}

SP_API int sp_job_host_stream_open(sp_job *job, const char *tool, sp_bytes args_json,
                                   const sp_host_call_options *options,
                                   sp_host_stream **ret_stream, sp_error *err)
{
    sp_host_call_options o;
    struct sp_buffer request;
    int rc = sp__job_options(&o, sizeof o, options, err);
    if (rc < 0) {
        return rc;
    }
    sp__buf_init(&request, UINT32_MAX);
    rc = sp__host_call_encode(&request, job, tool, args_json, &o, err);
    if (rc == SP_OK) {
        struct question question = {.path = SP__PATH_STREAM,
                                    .request = {request.data, request.size},
                                    .timeout_ms = o.timeout_ms,
                                    .pool = o.pool};
        rc = sp__host_stream_open(job, &question, ret_stream, err);
    }
    sp__buf_fini(&request);
    return rc;
}
