/* SPDX-License-Identifier: MIT */
/*
 * The framing of a trusted connection: what leaves.
 *
 * Everything but DATA is written down as frames at once, and those go first; a small
 * message that is a side's only one is in the frame of the head, or of the end. A stream
 * with other messages stands on a list and has its turn with one frame, as long as the
 * peer's credit lasts; the messages are copied once, behind the frame's head. The status
 * of a server follows the last of them at once.
 *
 * A stream that we ended goes with the next sending, so that nobody above meets the end
 * of a stream inside the very call that ended it.
 *
 * Without memory a call fails and changes nothing; in the middle of sending the
 * connection is broken.
 */
#include <string.h>

#include "base/error.h"
#include "base/grpc_status.h"
#include "base/mem.h"
#include "wire/h2_internal.h"

enum {
    FRAME_MAX = 16 * 1024, /* of DATA: the next stream's turn comes after it */
    CONTROL_KEEP = 16 * 1024
};

static void put_u32(uint8_t **to, uint32_t value)
{
    memcpy(*to, &value, sizeof value);
    *to += sizeof value;
}

static void put_text(uint8_t **to, const void *text, size_t size)
{
    if (size > 0) {
        memcpy(*to, text, size);
    }
    (*to)[size] = 0;
    *to += size + 1;
}

static void put_head(uint8_t **to, enum lean_kind kind, uint32_t id, int is_last,
                     size_t size)
{
    put_u32(to, (uint32_t)kind << 24 | (uint32_t)size);
    put_u32(to, id | (is_last ? 1u << 31 : 0));
}

/* Room for a frame among the control frames, or NULL. */
static uint8_t *control_room(struct lean *lean, size_t size)
{
    if (sp__buf_reserve(&lean->control, LEAN_HEAD_SIZE + size, NULL) < 0) {
        return NULL;
    }
    uint8_t *room = lean->control.data + lean->control.size;
    lean->control.size += LEAN_HEAD_SIZE + size;
    return room;
}

int sp__lean_put(struct lean *lean, enum lean_kind kind, uint32_t id,
                 const void *payload, uint32_t size)
{
    uint8_t *to = control_room(lean, size);
    if (to == NULL) {
        return SP_ERR_NOMEM;
    }
    put_head(&to, kind, id, 0, size);
    if (size > 0) {
        memcpy(to, payload, size);
    }
    return SP_OK;
}

/* ---- headers ---- */

static size_t headers_size(const struct h2_header *headers, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += 2 * sizeof(uint32_t) + headers[i].name_size + headers[i].value_size + 2;
    }
    return size;
}

static void put_headers(uint8_t **to, const struct h2_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_u32(to, (uint32_t)headers[i].name_size);
        put_u32(to, (uint32_t)headers[i].value_size);
        put_text(to, headers[i].name, headers[i].name_size);
        put_text(to, headers[i].value, headers[i].value_size);
    }
}

/* ---- a client's calls ---- */

/* Open calls that the peer has heard of, or will. */
static uint32_t begun(const struct h2 *h2)
{
    return h2->streams.length - h2->lean->late.length;
}

/* Where the control frames end, counted from the first there ever was. */
static uint64_t control_end(const struct lean *lean)
{
    return lean->control_left + lean->control.size - lean->control_at;
}

/* The head was written where it would go out; a call that must wait takes it along. */
static int keep_late(struct h2_stream *stream, size_t size)
{
    struct lean *lean = stream->h2->lean;
    stream->late_head = sp__malloc(size);
    if (stream->late_head == NULL) {
        return SP_ERR_NOMEM;
    }
    lean->control.size -= size;
    memcpy(stream->late_head, lean->control.data + lean->control.size, size);
    stream->head_at = UINT64_MAX;
    sp__list_append(&lean->late, &stream->on_lean);
    return SP_OK;
}

int sp__lean_request(struct h2_stream *stream, const struct h2_opening *opening,
                     sp_error *err)
{
    struct h2 *h2 = stream->h2;
    struct lean *lean = h2->lean;
    const sp_bytes *message = opening->message;
    size_t path_size = strlen(opening->path);
    size_t size = 4 * sizeof(uint32_t) + path_size + 1 +
                  headers_size(opening->headers, opening->headers_count);
    if (lean->next_id > INT32_MAX) {
        return sp__fail(err, SP_ERR_CLOSED,
                        "the connection has used up its stream ids");
    }
    if (size > LEAN_PAYLOAD_MAX) {
        return sp__fail(err, SP_ERR_TOO_BIG, "%zu bytes of metadata, at most %d", size,
                        LEAN_PAYLOAD_MAX);
    }
    size += message != NULL ? message->size : 0;
    uint8_t *to = control_room(lean, size);
    if (to == NULL || sp__map_put(&lean->streams, lean->next_id, stream) < 0) {
        lean->control.size -= to != NULL ? LEAN_HEAD_SIZE + size : 0;
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a request");
    }
    put_head(&to, LEAN_HEAD, lean->next_id, message != NULL, size);
    put_u32(&to, (uint32_t)opening->timeout_ms);
    put_u32(&to, (uint32_t)(opening->timeout_ms >> 32));
    put_u32(&to, (uint32_t)path_size);
    put_u32(&to, (uint32_t)opening->headers_count);
    put_text(&to, opening->path, path_size);
    put_headers(&to, opening->headers, opening->headers_count);
    if (message != NULL && message->size > 0) {
        memcpy(to, message->data, message->size);
    }
    stream->eof_out = message != NULL;
    stream->credit = lean->peer_window;
    stream->head_size = LEAN_HEAD_SIZE + size;
    stream->head_at = control_end(lean) - stream->head_size;
    /* Behind those that wait already: numbers must rise. */
    if ((lean->late.length > 0 || begun(h2) > lean->peer_streams_max) &&
        keep_late(stream, LEAN_HEAD_SIZE + size) < 0) {
        (void)sp__map_take(&lean->streams, lean->next_id);
        lean->control.size -= LEAN_HEAD_SIZE + size;
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a request");
    }
    stream->id = lean->next_id;
    lean->next_id += 2;
    return SP_OK;
}

void sp__lean_admit(struct h2 *h2)
{
    struct lean *lean = h2->lean;
    while (lean->late.length > 0 && begun(h2) < lean->peer_streams_max) {
        struct link *link = lean->late.first;
        struct h2_stream *stream = ITEM(link, struct h2_stream, on_lean);
        stream->head_at = control_end(lean);
        if (sp__buf_append(&lean->control, stream->late_head, stream->head_size, NULL) <
            0) {
            h2->failed = SP_ERR_NOMEM;
            return;
        }
        sp__list_remove(link);
        sp__free(stream->late_head);
        stream->late_head = NULL;
        sp__lean_wake(stream);
    }
}

/* ---- a server's answers ---- */

int sp__lean_accept(struct h2_stream *stream)
{
    return sp__lean_put(stream->h2->lean, LEAN_ACCEPT, stream->id, NULL, 0);
}

struct h2_trailers *sp__lean_trailers(struct h2_mem *mem, const char *message,
                                      size_t message_size, sp_bytes details,
                                      const struct h2_header *headers, size_t count)
{
    size_t size = 3 * sizeof(uint32_t) + message_size + 1 + details.size + 1 +
                  headers_size(headers, count);
    struct h2_trailers *trailers = sp__h2_mem_take(mem, sizeof *trailers + size);
    if (trailers == NULL) {
        return NULL;
    }
    uint8_t *to = (uint8_t *)(trailers + 1);
    trailers->details = (char *)to;
    trailers->details_size = size;
    put_u32(&to, (uint32_t)message_size);
    put_u32(&to, (uint32_t)details.size);
    put_u32(&to, (uint32_t)count);
    trailers->text = (char *)to;
    put_text(&to, message, message_size);
    put_text(&to, details.data, details.size);
    put_headers(&to, headers, count);
    return trailers;
}

static size_t status_size(const struct h2_stream *stream)
{
    return 1 + (stream->trailers != NULL ? stream->trailers->details_size : 0);
}

static void end_soon(struct h2_stream *stream)
{
    sp__list_remove(&stream->on_lean);
    sp__list_append(&stream->h2->lean->over, &stream->on_lean);
}

static void put_status(uint8_t *to, struct h2_stream *stream)
{
    size_t size = status_size(stream);
    put_head(&to, LEAN_STATUS, stream->id, 1, size);
    *to++ = (uint8_t)stream->status;
    if (size > 1) {
        memcpy(to, stream->trailers->details, size - 1);
    }
    stream->status_sent = 1;
    end_soon(stream);
}

int sp__lean_status(struct h2_stream *stream)
{
    uint8_t *to = control_room(stream->h2->lean, status_size(stream));
    if (to == NULL) {
        return SP_ERR_NOMEM;
    }
    put_status(to, stream);
    return SP_OK;
}

int sp__lean_answer(struct h2_stream *stream, sp_bytes message)
{
    uint8_t *to = control_room(stream->h2->lean, message.size);
    if (to == NULL) {
        return SP_ERR_NOMEM;
    }
    put_head(&to, LEAN_ANSWER, stream->id, 1, message.size);
    if (message.size > 0) {
        memcpy(to, message.data, message.size);
    }
    stream->status = GRPC_OK;
    stream->status_sent = 1;
    end_soon(stream);
    return SP_OK;
}

/* ---- either role ---- */

void sp__lean_wake(struct h2_stream *stream)
{
    if (stream->on_lean.on == NULL && !stream->reset && !stream->status_sent &&
        ((stream->queued > 0 && stream->credit > 0) ||
         (stream->queued == 0 && stream->half_closed && !stream->eof_out))) {
        sp__list_append(&stream->h2->lean->ready, &stream->on_lean);
    }
}

int sp__lean_has_left(const struct h2_stream *stream)
{
    return stream->h2->role == H2_SERVER ||
           stream->head_at < stream->h2->lean->control_left;
}

int sp__lean_reset(struct h2_stream *stream, uint32_t code)
{
    struct lean *lean = stream->h2->lean;
    int rc = SP_OK;
    stream->headers_sent = (uint8_t)sp__lean_has_left(stream);
    if (stream->headers_sent) {
        rc = sp__lean_put(lean, LEAN_RESET, stream->id, &code, sizeof code);
    } else if (stream->late_head == NULL) {
        size_t at = (size_t)(stream->head_at - lean->control_left) + lean->control_at;
        uint8_t *to = lean->control.data + at;
        put_head(&to, LEAN_NOTHING, 0, 0, stream->head_size - LEAN_HEAD_SIZE);
    }
    end_soon(stream);
    return rc;
}

int sp__lean_grant(struct h2_stream *stream, size_t bytes)
{
    int rc = SP_OK;
    while (bytes > 0 && rc == SP_OK) {
        uint32_t part = bytes > INT32_MAX ? INT32_MAX : (uint32_t)bytes;
        rc = sp__lean_put(stream->h2->lean, LEAN_GRANT, stream->id, &part, sizeof part);
        bytes -= part;
    }
    return rc;
}

int sp__lean_wants_send(const struct h2 *h2)
{
    const struct lean *lean = h2->lean;
    return lean->control.size > 0 || lean->ready.length > 0 || lean->over.length > 0;
}

/* ---- bytes out ---- */

/* 0 when not all of it has room. */
static int send_control(struct h2 *h2, struct sp_buffer *out)
{
    struct lean *lean = h2->lean;
    size_t left = lean->control.size - lean->control_at;
    size_t room = h2->out_max > out->size ? h2->out_max - out->size : 0;
    size_t n = left < room ? left : room;
    if (n == 0) {
        return left == 0;
    }
    if (sp__buf_append(out, lean->control.data + lean->control_at, n, NULL) < 0) {
        h2->failed = SP_ERR_NOMEM;
        return 0;
    }
    lean->control_at += n;
    lean->control_left += n;
    if (n < left) {
        return 0;
    }
    lean->control.size = 0;
    lean->control_at = 0;
    sp__buf_shrink(&lean->control, CONTROL_KEEP);
    return 1;
}

/* One frame of the stream's, and its end when that is all. */
static void send_turn(struct h2 *h2, struct h2_stream *stream, struct sp_buffer *out)
{
    size_t n = stream->queued < FRAME_MAX ? stream->queued : FRAME_MAX;
    if (stream->credit < (int64_t)n) {
        n = stream->credit > 0 ? (size_t)stream->credit : 0;
    }
    int is_end = n == stream->queued && stream->half_closed;
    int has_data = n > 0 || (is_end && h2->role == H2_CLIENT);
    size_t size = (has_data ? LEAN_HEAD_SIZE + n : 0) +
                  (is_end ? LEAN_HEAD_SIZE + status_size(stream) : 0);
    sp__list_remove(&stream->on_lean);
    if (sp__buf_reserve(out, size, NULL) < 0) {
        h2->failed = SP_ERR_NOMEM;
        return;
    }
    uint8_t *to = out->data + out->size;
    if (has_data) {
        put_head(&to, LEAN_DATA, stream->id, is_end && h2->role == H2_CLIENT, n);
        sp__h2_queue_copy(stream, to, n);
        to += n;
        stream->credit -= (int64_t)n;
    }
    out->size = (size_t)(to - out->data);
    if (!is_end) {
        sp__lean_wake(stream); /* behind the others */
    } else if (h2->role == H2_CLIENT) {
        stream->eof_out = 1;
    } else {
        out->size += LEAN_HEAD_SIZE + status_size(stream);
        put_status(to, stream);
    }
}

static void end_streams(struct h2 *h2)
{
    struct link *link;
    while ((link = sp__list_pop(&h2->lean->over)) != NULL) {
        sp__lean_end(ITEM(link, struct h2_stream, on_lean), NGHTTP2_NO_ERROR);
    }
}

int sp__lean_send(struct h2 *h2, struct sp_buffer *out, size_t max, sp_error *err)
{
    struct lean *lean = h2->lean;
    if (h2->broken) {
        return sp__fail(err, SP_ERR_PROTOCOL, "the connection is broken");
    }
    h2->out_max = max > SIZE_MAX - out->size ? SIZE_MAX : out->size + max;
    while (h2->failed == 0 && sp__lean_wants_send(h2) && send_control(h2, out) &&
           out->size < h2->out_max) {
        while (lean->ready.length > 0 && out->size < h2->out_max && h2->failed == 0) {
            send_turn(h2, ITEM(lean->ready.first, struct h2_stream, on_lean), out);
        }
        sp__h2_tell_drained(h2);
        end_streams(h2);
    }
    if (h2->failed != 0) {
        h2->broken = 1;
        return sp__fail(err, h2->failed, "no memory for the connection");
    }
    return sp__lean_wants_send(h2);
}
