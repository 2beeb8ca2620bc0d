/* SPDX-License-Identifier: MIT */
/*
 * Streams of a daemon: what it tells as it happens.
 *
 * A stream has a line of its own. It is open once the daemon has said so: everything from
 * then on comes. Nothing is read from the socket while nobody asks for a message, so what
 * lies waiting here is bounded by what one reading brings; the rest waits in the daemon,
 * or is dropped there. The daemon ends the stream when it goes itself, or for a reason
 * that it says, which is told after all that came before.
 */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "serve/remote_internal.h"

struct arrival {
    struct link on_queue;
    size_t size;
    char data[];
};

struct remote_stream {
    struct line *line;
    struct line_rpc rpc;
    struct list queue;
};

static int message_came(struct line_rpc *rpc, sp_bytes message, sp_error *err)
{
    struct remote_stream *stream = ITEM(rpc, struct remote_stream, rpc);
    struct arrival *arrival = sp__malloc(sizeof *arrival + message.size);
    if (arrival == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for what a daemon tells");
    }
    *arrival = (struct arrival){.size = message.size};
    memcpy(arrival->data, message.data, message.size);
    sp__list_append(&stream->queue, &arrival->on_queue);
    return SP_OK;
}

/* The daemon's line is over, or the rpc: tell what is known of it. */
static int end_of(struct remote_stream *stream, sp_error *err)
{
    const sp_error *failure = &stream->rpc.failure;
    if (failure->code == 0) {
        return sp__fail(err, SP_ERR_CLOSED, "the daemon has ended the watch");
    }
    if (err != NULL) {
        sp__error_copy(err, failure);
    }
    return failure->code;
}

int sp__remote_stream_begin(struct remote *remote, const struct line_request *request,
                            struct remote_stream **ret_stream, sp_error *err)
{
    struct remote_stream *stream = sp__calloc(1, sizeof *stream);
    if (stream == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a stream");
    }
    stream->rpc.on_message = message_came;
    int rc =
        sp__remote_line(remote, sp__now_ms() + remote->timeout_ms, &stream->line, err);
    if (rc == SP_OK) {
        rc = sp__line_begin(stream->line, &stream->rpc, request, err);
    }
    if (rc == SP_OK) { /* on its way, as far as the socket takes it at once */
        int turn = sp__line_turn(stream->line, sp__now_ms(), err);
        rc = turn < 0 && stream->rpc.stream != NULL ? turn : SP_OK;
    }
    if (rc == SP_OK) {
        sp_error_clear(err); /* an end is told with what came before it */
    }
    if (rc < 0) {
        sp__remote_stream_close(stream);
        return rc;
    }
    *ret_stream = stream;
    return SP_OK;
}

/* Until the daemon has taken it. */
static int await_taken(struct remote_stream *stream, uint64_t until_ms, sp_error *err)
{
    while (!stream->rpc.accepted && stream->rpc.stream != NULL) {
        int turn = sp__line_turn(stream->line, until_ms, err);
        if (turn < 0 && stream->rpc.stream != NULL) {
            return turn;
        }
        if (turn == 0) {
            return sp__fail(err, SP_ERR_TIMEOUT, "the daemon has not answered in time");
        }
    }
    /* An end without headers before it is a refusal. */
    return stream->rpc.stream == NULL && stream->queue.length == 0 ? end_of(stream, err)
                                                                   : SP_OK;
}

int sp__remote_stream_open(struct remote *remote, const char *path, sp_bytes request,
                           struct remote_stream **ret_stream, sp_error *err)
{
    struct remote_stream *stream;
    const struct line_request begun = {
        .path = path, .timeout_ms = SP_UNLIMITED, .message = request};
    int rc = sp__remote_stream_begin(remote, &begun, &stream, err);
    if (rc < 0) {
        return rc;
    }
    rc = await_taken(stream, sp__now_ms() + remote->timeout_ms, err);
    if (rc < 0) {
        sp__remote_stream_close(stream);
        return rc;
    }
    *ret_stream = stream;
    return SP_OK;
}

int sp__remote_stream_is_over(const struct remote_stream *stream)
{
    return stream->queue.length == 0 && stream->rpc.stream == NULL &&
           stream->rpc.failure.code == 0;
}

int sp__remote_stream_peek(struct remote_stream *stream, uint64_t timeout_ms,
                           sp_bytes *ret_message, sp_error *err)
{
    uint64_t now = sp__now_ms();
    uint64_t until_ms = timeout_ms < UINT64_MAX - now ? now + timeout_ms : UINT64_MAX;
    while (stream->queue.first == NULL) {
        if (stream->rpc.stream == NULL) {
            return end_of(stream, err);
        }
        int rc = sp__line_turn(stream->line, until_ms, err);
        if (rc < 0 && stream->rpc.stream != NULL) {
            return rc;
        }
        if (rc == 0) {
            return 0;
        }
    }
    const struct arrival *arrival = ITEM(stream->queue.first, struct arrival, on_queue);
    *ret_message = (sp_bytes){arrival->data, arrival->size};
    return 1;
}

void sp__remote_stream_pop(struct remote_stream *stream)
{
    sp__free(ITEM(sp__list_pop(&stream->queue), struct arrival, on_queue));
}

void sp__remote_stream_close(struct remote_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    sp__line_forget(&stream->rpc);
    sp__line_close(stream->line);
    while (stream->queue.length > 0) {
        sp__remote_stream_pop(stream);
    }
    sp_error_clear(&stream->rpc.failure);
    sp__free(stream);
}
