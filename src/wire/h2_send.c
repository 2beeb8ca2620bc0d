/* SPDX-License-Identifier: MIT */
/*
 * What a connection sends: the queues of its streams, and the bytes that come of them.
 *
 * Messages wait in a queue of pieces on their stream. nghttp2 asks for them through a
 * data source when flow control lets some out; they are then copied once, straight
 * behind the frame's head in the buffer that sp__h2_send() fills. A stream whose queue
 * is empty is deferred in nghttp2 and resumed by the next write.
 *
 * When the queue of a finished stream runs dry the status follows as trailers, handed to
 * nghttp2 only then, because trailers would overtake data that still waits.
 *
 * Without memory a write fails and changes nothing. In a callback of nghttp2 there is
 * nobody to tell: the stream is reset, or the connection broken when bytes are lost.
 */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/grpc_status.h"
#include "base/mem.h"
#include "wire/h2_internal.h"

enum {
    PIECE_ROOM = 4096 - sizeof(struct h2_piece), /* bytes in a shared piece */
    SPARE_PIECES_MAX = 256,
    FRAME_HEAD = 9
};

/* ---- the queue ---- */

static struct h2_piece *new_piece(struct h2 *h2, size_t room)
{
    struct h2_piece *piece = h2->spare_pieces;
    if (room <= PIECE_ROOM && piece != NULL) {
        h2->spare_pieces = piece->next;
        h2->spare_pieces_count--;
    } else {
        size_t capacity = room <= PIECE_ROOM ? PIECE_ROOM : room;
        piece = room <= SIZE_MAX - sizeof *piece ? sp__malloc(sizeof *piece + capacity)
                                                 : NULL;
        if (piece == NULL) {
            return NULL;
        }
        piece->capacity = capacity;
    }
    piece->data = (uint8_t *)(piece + 1);
    piece->next = NULL;
    piece->size = 0;
    piece->sent = 0;
    piece->lent = 0;
    return piece;
}

static void drop_piece(struct h2 *h2, struct h2_piece *piece)
{
    if (piece->data != (uint8_t *)(piece + 1)) {
        if (!piece->lent) {
            sp__free(piece->data); /* taken from the user */
        }
        piece->capacity = PIECE_ROOM;
    }
    if (piece->capacity == PIECE_ROOM && h2->spare_pieces_count < SPARE_PIECES_MAX) {
        piece->next = h2->spare_pieces;
        h2->spare_pieces = piece;
        h2->spare_pieces_count++;
    } else {
        sp__free(piece);
    }
}

static void append_piece(struct h2_stream *stream, struct h2_piece *piece)
{
    if (stream->out_last != NULL) {
        stream->out_last->next = piece;
    } else {
        stream->out_first = piece;
    }
    stream->out_last = piece;
}

void sp__h2_queue_clear(struct h2_stream *stream)
{
    while (stream->out_first != NULL) {
        struct h2_piece *piece = stream->out_first;
        stream->out_first = piece->next;
        drop_piece(stream->h2, piece);
    }
    stream->out_last = NULL;
    stream->queued = 0;
}

void sp__h2_pieces_drop(struct h2 *h2)
{
    while (h2->spare_pieces != NULL) {
        struct h2_piece *piece = h2->spare_pieces;
        h2->spare_pieces = piece->next;
        sp__free(piece);
    }
    h2->spare_pieces_count = 0;
}

void sp__h2_queue_copy(struct h2_stream *stream, uint8_t *to, size_t size)
{
    struct h2 *h2 = stream->h2;
    stream->queued -= size;
    while (size > 0) {
        struct h2_piece *piece = stream->out_first;
        size_t left = piece->size - piece->sent;
        size_t n = left < size ? left : size;
        memcpy(to, piece->data + piece->sent, n);
        to += n;
        size -= n;
        piece->sent += n;
        if (piece->sent == piece->size) {
            stream->out_first = piece->next;
            if (stream->out_first == NULL) {
                stream->out_last = NULL;
            }
            drop_piece(h2, piece);
        }
    }
    if (stream->above_mark && stream->queued < h2->options.high_water) {
        stream->above_mark = 0;
        if (!stream->silent && h2->events.on_drained != NULL) {
            sp__list_append(&h2->drained, &stream->on_drained);
        }
    }
}

static void put_prefix(uint8_t *to, size_t size)
{
    to[0] = 0; /* not compressed */
    to[1] = (uint8_t)(size >> 24);
    to[2] = (uint8_t)(size >> 16);
    to[3] = (uint8_t)(size >> 8);
    to[4] = (uint8_t)size;
}

static void count_queued(struct h2_stream *stream, size_t size)
{
    stream->queued += size;
    if (stream->queued > stream->h2->options.high_water) {
        stream->above_mark = 1;
        sp__list_remove(&stream->on_drained);
    }
}

/* Room for `size` bytes in one piece at the queue's end, or NULL. */
static uint8_t *queue_room(struct h2_stream *stream, size_t size)
{
    struct h2_piece *piece = stream->out_last;
    if (piece == NULL || piece->data != (uint8_t *)(piece + 1) ||
        piece->capacity - piece->size < size) {
        piece = new_piece(stream->h2, size);
        if (piece == NULL) {
            return NULL;
        }
        append_piece(stream, piece);
    }
    uint8_t *room = piece->data + piece->size;
    piece->size += size;
    count_queued(stream, size);
    return room;
}

int sp__h2_queue_message(struct h2_stream *stream, sp_bytes message, sp_error *err)
{
    if (message.size > UINT32_MAX) {
        return sp__fail(err, SP_ERR_TOO_BIG, "a message of %zu bytes", message.size);
    }
    uint8_t *room = queue_room(stream, H2_PREFIX + message.size);
    if (room == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a message of %zu bytes",
                        message.size);
    }
    put_prefix(room, message.size);
    if (message.size > 0) {
        memcpy(room + H2_PREFIX, message.data, message.size);
    }
    return SP_OK;
}

/* Queue a message that stays where it is until the queue is empty or cleared. */
int sp__h2_queue_lent(struct h2_stream *stream, sp_bytes message, sp_error *err)
{
    if (message.size > UINT32_MAX) {
        return sp__fail(err, SP_ERR_TOO_BIG, "a message of %zu bytes", message.size);
    }
    uint8_t *prefix = queue_room(stream, H2_PREFIX);
    struct h2_piece *piece = prefix != NULL ? new_piece(stream->h2, 0) : NULL;
    if (piece == NULL) {
        sp__h2_queue_clear(stream); /* it was empty before: nothing has been sent */
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a message");
    }
    put_prefix(prefix, message.size);
    piece->data = (uint8_t *)(uintptr_t)message.data;
    piece->size = message.size;
    piece->lent = 1;
    append_piece(stream, piece);
    count_queued(stream, piece->size);
    return SP_OK;
}

/* Queue a message in memory of the user's, which begins with room for the prefix. The
 * memory is not ours before the caller says so: see sp__h2_queue_untake(). */
int sp__h2_queue_taken(struct h2_stream *stream, uint8_t *data, size_t size,
                       sp_error *err)
{
    if (size > UINT32_MAX) {
        return sp__fail(err, SP_ERR_TOO_BIG, "a message of %zu bytes", size);
    }
    struct h2_piece *piece = new_piece(stream->h2, 0);
    if (piece == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a message");
    }
    put_prefix(data, size);
    piece->data = data;
    piece->size = H2_PREFIX + size;
    append_piece(stream, piece);
    count_queued(stream, piece->size);
    return SP_OK;
}

/* Give the memory of the only piece back to its owner. */
void sp__h2_queue_untake(struct h2_stream *stream)
{
    stream->out_first->data = (uint8_t *)(stream->out_first + 1);
}

/* The queue has something new, or will never have: nghttp2 shall look again. */
void sp__h2_wake(struct h2_stream *stream)
{
    struct h2 *h2 = stream->h2;
    if (h2->lean != NULL) {
        sp__lean_wake(stream);
    } else if (stream->deferred) {
        stream->deferred = 0;
        if (nghttp2_is_fatal(
                nghttp2_session_resume_data(h2->session, (int32_t)stream->id))) {
            h2->failed = SP_ERR_NOMEM;
        }
    }
}

/* ---- the data source ---- */

ssize_t sp__h2_read_cb(nghttp2_session *session, int32_t stream_id, uint8_t *buf,
                       size_t length, uint32_t *data_flags, nghttp2_data_source *source,
                       void *user_data)
{
    struct h2 *h2 = user_data;
    struct h2_stream *stream = source->ptr;
    if (h2->out->size >= h2->out_max) {
        h2->paused = 1;
        return NGHTTP2_ERR_PAUSE;
    }
    if (stream->reset || (stream->queued == 0 && !stream->half_closed)) {
        stream->deferred = 1;
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t n = stream->queued < length ? stream->queued : length;
    if (n > 0) {
        *data_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    }
    if (n == stream->queued && stream->half_closed) {
        *data_flags |= NGHTTP2_DATA_FLAG_EOF;
        if (h2->role == H2_CLIENT) {
            stream->eof_out = 1;
        } else {
            *data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (sp__h2_submit_trailers(stream) != 0) {
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
            }
        }
    }
    return (ssize_t)n;
}

/* Write a DATA frame: its head, then bytes of the queue. */
int sp__h2_send_data_cb(nghttp2_session *session, nghttp2_frame *frame,
                        const uint8_t *framehd, size_t length,
                        nghttp2_data_source *source, void *user_data)
{
    struct h2 *h2 = user_data;
    struct h2_stream *stream = source->ptr;
    assert(frame->data.padlen == 0 && length <= stream->queued);
    if (sp__buf_reserve(h2->out, FRAME_HEAD + length, NULL) < 0) {
        h2->failed = SP_ERR_NOMEM;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    uint8_t *to = h2->out->data + h2->out->size;
    h2->out->size += FRAME_HEAD + length;
    memcpy(to, framehd, FRAME_HEAD);
    sp__h2_queue_copy(stream, to + FRAME_HEAD, length);
    return 0;
}

/* ---- either role ---- */

static int cannot_write(struct h2_stream *stream, sp_error *err)
{
    if (stream->half_closed || stream->reset) {
        return sp__fail(err, SP_ERR_CLOSED, "the stream takes no more messages");
    }
    if (stream->h2->lean != NULL) {
        stream->headers_out = 1; /* the message says it all */
    }
    return stream->headers_out ? SP_OK : sp__h2_accept(stream, err);
}

int sp__h2_write(struct h2_stream *stream, sp_bytes message, sp_error *err)
{
    int rc = cannot_write(stream, err);
    if (rc == SP_OK) {
        rc = sp__h2_queue_message(stream, message, err);
    }
    if (rc == SP_OK) {
        sp__h2_wake(stream);
    }
    return rc;
}

int sp__h2_write_take(struct h2_stream *stream, uint8_t **data, size_t size,
                      sp_error *err)
{
    int rc = cannot_write(stream, err);
    if (rc == SP_OK) {
        rc = sp__h2_queue_taken(stream, *data, size, err);
    }
    if (rc == SP_OK) {
        *data = NULL;
        sp__h2_wake(stream);
    }
    return rc;
}

int sp__h2_write_framed(struct h2_stream *stream, const uint8_t *data, size_t size,
                        sp_error *err)
{
    int rc = cannot_write(stream, err);
    if (rc < 0 || size == 0) {
        return rc;
    }
    uint8_t *room = queue_room(stream, size);
    if (room == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %zu bytes of messages", size);
    }
    memcpy(room, data, size);
    sp__h2_wake(stream);
    return SP_OK;
}

int sp__h2_answer(struct h2_stream *stream, sp_bytes message, sp_error *err)
{
    int rc = cannot_write(stream, err);
    if (rc < 0) {
        return rc;
    }
    if (stream->h2->lean != NULL && stream->queued == 0 &&
        message.size <= LEAN_MESSAGE_MAX) {
        if (sp__lean_answer(stream, message) < 0) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for an answer of %zu bytes",
                            message.size);
        }
        stream->finished = 1;
        stream->half_closed = 1;
        stream->deaf = 1;
        return SP_OK;
    }
    rc = sp__h2_write(stream, message, err);
    if (rc == SP_OK) {
        rc = sp__h2_finish(stream, GRPC_OK, NULL, (sp_bytes){0}, NULL, 0, err);
        if (rc < 0) {
            sp__h2_reset(stream, RST_INTERNAL); /* the message does not leave alone */
        }
    }
    return rc;
}

/* ---- bytes out ---- */

void sp__h2_tell_drained(struct h2 *h2)
{
    struct link *link;
    while ((link = sp__list_pop(&h2->drained)) != NULL) {
        h2->events.on_drained(h2->user, ITEM(link, struct h2_stream, on_drained));
    }
}

int sp__h2_send(struct h2 *h2, struct sp_buffer *out, size_t max, sp_error *err)
{
    if (h2->lean != NULL) {
        return sp__lean_send(h2, out, max, err);
    }
    if (h2->broken && !nghttp2_session_want_write(h2->session)) {
        return sp__fail(err, SP_ERR_PROTOCOL, "the HTTP/2 connection is broken");
    }
    int rc = 0;
    h2->out = out;
    h2->out_max = max > SIZE_MAX - out->size ? SIZE_MAX : out->size + max;
    do {
        const uint8_t *data;
        h2->paused = 0;
        ssize_t n = nghttp2_session_mem_send(h2->session, &data);
        if (n > 0 && sp__buf_append(out, data, (size_t)n, NULL) < 0) {
            h2->failed = SP_ERR_NOMEM;
        }
        if (n < 0 || h2->failed != 0) {
            rc = sp__h2_fatal(h2, n < 0 ? (int)n : NGHTTP2_ERR_CALLBACK_FAILURE, err);
            break;
        }
        sp__h2_tell_drained(h2);
        if (n == 0 && !h2->paused) {
            break;
        }
    } while (out->size < h2->out_max);
    h2->out = NULL;
    if (rc == 0 && nghttp2_session_want_write(h2->session)) {
        return 1;
    }
    if (rc == 0 && h2->broken) {
        return sp__fail(err, SP_ERR_PROTOCOL, "the peer broke HTTP/2");
    }
    return rc;
}
