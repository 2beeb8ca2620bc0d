/* SPDX-License-Identifier: MIT */
/*
 * The framing of a trusted connection: its life, and what comes.
 *
 * Normal course: frames that lie whole in the bytes that came are read where they lie; a
 * small call is one of them, and so is its answer. DATA goes to its stream as it comes,
 * however it is cut; of any other frame the beginning is gathered until it is whole. A
 * number that is not known any more is no mistake: the other side could not know yet.
 *
 * Failure: a frame that cannot be right, or memory gone in the middle of one, and the
 * connection is broken. Nothing is sent about it: the peer is of the same make, and what
 * it should hear it hears from the end of the connection.
 */
#include "wire/lean.h"

#include <string.h>

#include "base/error.h"
#include "base/grpc_status.h"
#include "base/mem.h"
#include "wire/h2_internal.h"

enum {
    FRAME_MAX = LEAN_PAYLOAD_MAX + LEAN_MESSAGE_MAX, /* payload of what is no DATA */
    IN_KEEP = 8192,
    STREAMS_MAX = 1 << 20
};

/* ---- life ---- */

int sp__lean_open(struct h2 *h2)
{
    struct lean *lean = sp__calloc(1, sizeof *lean);
    if (lean == NULL) {
        return 0;
    }
    h2->lean = lean;
    sp__buf_init(&lean->control, SIZE_MAX / 2);
    sp__buf_init(&lean->in, LEAN_HEAD_SIZE + FRAME_MAX);
    lean->next_id = h2->options.first_stream_id != 0 ? h2->options.first_stream_id : 1;
    lean->peer_window = LEAN_WINDOW;
    lean->peer_streams_max = STREAMS_MAX;
    lean->goaway_id = UINT32_MAX;
    uint32_t hello[3] = {LEAN_MAGIC, h2->options.stream_window,
                         h2->options.streams_max};
    return sp__lean_put(lean, LEAN_HELLO, 0, hello, sizeof hello) == SP_OK;
}

void sp__lean_close(struct h2 *h2)
{
    struct lean *lean = h2->lean;
    if (lean != NULL) {
        sp__map_fini(&lean->streams);
        sp__buf_fini(&lean->control);
        sp__buf_fini(&lean->in);
        sp__free(lean);
        h2->lean = NULL;
    }
}

static struct h2_stream *find(struct h2 *h2, uint32_t id)
{
    struct h2_stream *recent = h2->recent;
    if (recent != NULL && recent->id == id) {
        return recent;
    }
    return h2->recent = sp__map_find(&h2->lean->streams, id);
}

/* The stream is over, and was found nowhere any more. */
static void end_unknown(struct h2_stream *stream, uint32_t code)
{
    struct h2 *h2 = stream->h2;
    h2->recent = NULL;
    if (!stream->reset) {
        stream->headers_sent = (uint8_t)sp__lean_has_left(stream);
    }
    sp__h2_stream_end(stream, code);
    sp__lean_admit(h2);
}

void sp__lean_end(struct h2_stream *stream, uint32_t code)
{
    (void)sp__map_take(&stream->h2->lean->streams, stream->id);
    end_unknown(stream, code);
}

static int broken(struct h2 *h2, const char *why, sp_error *err)
{
    h2->broken = 1;
    return sp__fail(err, SP_ERR_PROTOCOL, "the connection to our own peer: %s", why);
}

/* ---- what a frame says ---- */

/* Reads a payload from front to back; never past its end. */
struct reader {
    const uint8_t *at;
    size_t left;
    int failed;
};

static uint32_t get_u32(struct reader *reader)
{
    if (reader->left < sizeof(uint32_t)) {
        reader->failed = 1;
        return 0;
    }
    uint32_t value = sp__lean_u32(reader->at);
    reader->at += sizeof value;
    reader->left -= sizeof value;
    return value;
}

/* `size` bytes and the zero behind them. */
static const char *get_text(struct reader *reader, uint32_t size)
{
    if (reader->left <= size || reader->at[size] != 0) {
        reader->failed = 1;
        return NULL;
    }
    const char *text = (const char *)reader->at;
    reader->at += size + 1;
    reader->left -= size + 1;
    return text;
}

static void get_headers(struct h2 *h2, struct reader *reader, uint32_t count)
{
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        uint32_t name_size = get_u32(reader);
        uint32_t value_size = get_u32(reader);
        const char *name = get_text(reader, name_size);
        const char *value = get_text(reader, value_size);
        if (!reader->failed) {
            sp__h2_block_keep(&h2->block, &h2->limits,
                              &(struct h2_header){.name = name,
                                                  .name_size = name_size,
                                                  .value = value,
                                                  .value_size = value_size});
        }
    }
}

/* All of it was right, and nothing is left. */
static int is_read(const struct reader *reader)
{
    return !reader->failed && reader->left == 0;
}

static int on_hello(struct h2 *h2, struct reader *reader)
{
    struct lean *lean = h2->lean;
    uint32_t magic = get_u32(reader);
    uint32_t window = get_u32(reader);
    uint32_t streams_max = get_u32(reader);
    if (reader->failed || reader->left > 0 || h2->greeted || magic != LEAN_MAGIC ||
        window > INT32_MAX) {
        return 0;
    }
    h2->greeted = 1;
    for (struct link *link = h2->streams.first; link != NULL; link = link->next) {
        struct h2_stream *stream = ITEM(link, struct h2_stream, on_open);
        stream->credit += (int64_t)window - lean->peer_window;
        sp__lean_wake(stream);
    }
    lean->peer_window = window;
    lean->peer_streams_max = streams_max;
    return 1;
}

/* A call; with `is_whole` its only message too. */
static int on_head(struct h2 *h2, uint32_t id, struct reader *reader, int is_whole)
{
    struct lean *lean = h2->lean;
    struct h2_block *block = &h2->block;
    if (h2->role != H2_SERVER || id % 2 == 0 || id <= lean->last_id) {
        return 0;
    }
    lean->last_id = id;
    if (id > lean->goaway_id || h2->streams.length >= h2->options.streams_max) {
        uint32_t code = NGHTTP2_REFUSED_STREAM;
        return sp__lean_put(lean, LEAN_RESET, id, &code, sizeof code) == SP_OK;
    }
    sp__h2_block_reset(block);
    uint64_t low = get_u32(reader);
    uint64_t high = get_u32(reader);
    uint32_t path_size = get_u32(reader);
    uint32_t count = get_u32(reader);
    block->timeout_ms = high << 32 | low;
    block->path = get_text(reader, path_size);
    block->path_size = path_size;
    get_headers(h2, reader, count);
    if (is_whole ? reader->failed : !is_read(reader)) {
        return 0;
    }
    struct h2_stream *stream = sp__h2_stream_new(h2);
    if (stream != NULL && sp__map_put(&lean->streams, id, stream) < 0) {
        sp__h2_stream_recycle(stream);
        stream = NULL;
    }
    if (stream == NULL) {
        uint32_t code = NGHTTP2_REFUSED_STREAM;
        return sp__lean_put(lean, LEAN_RESET, id, &code, sizeof code) == SP_OK;
    }
    stream->id = id;
    stream->credit = lean->peer_window;
    stream->silent = 1; /* until on_request */
    h2->recent = stream;
    sp__h2_request_came(h2, stream);
    if (is_whole) {
        sp__h2_stream_message(stream, reader->at, reader->left);
        sp__h2_peer_ended(h2, stream);
    }
    return 1;
}

static void answer_begins(struct h2 *h2, struct h2_stream *stream)
{
    if (!stream->headers_in && h2->role == H2_CLIENT) {
        stream->headers_in = 1;
        if (h2->events.on_headers != NULL && !stream->deaf) {
            h2->events.on_headers(h2->user, stream);
        }
    }
}

/* The status, and with it the end of the stream. */
static int on_status(struct h2 *h2, uint32_t id, struct reader *reader)
{
    struct h2_block *block = &h2->block;
    if (h2->role != H2_CLIENT || reader->left == 0) {
        return 0;
    }
    int status = reader->at[0];
    int is_bare = reader->left == 1;
    sp__h2_block_reset(block);
    if (!is_bare) {
        reader->at++;
        reader->left--;
        uint32_t message_size = get_u32(reader);
        uint32_t details_size = get_u32(reader);
        uint32_t count = get_u32(reader);
        block->message = get_text(reader, message_size);
        block->details = (const uint8_t *)get_text(reader, details_size);
        block->details_size = details_size;
        get_headers(h2, reader, count);
        if (!is_read(reader)) {
            return 0;
        }
        block->details = details_size > 0 ? block->details : NULL;
    }
    struct h2_stream *stream = find(h2, id);
    if (stream == NULL) {
        return 1;
    }
    if (stream->status < 0) {
        stream->status = status;
        stream->status_here = !is_bare;
    }
    if (stream->prefix_size != 0) {
        sp__h2_cut_short(stream);
    }
    sp__lean_end(stream, NGHTTP2_NO_ERROR);
    return 1;
}

/* One message, and a good end. */
static int on_answer(struct h2 *h2, uint32_t id, struct reader *reader)
{
    if (h2->role != H2_CLIENT) {
        return 0;
    }
    struct h2_stream *stream = sp__map_take(&h2->lean->streams, id);
    if (stream == NULL) {
        return 1;
    }
    if (stream->prefix_size != 0 && !stream->deaf) {
        return 0;
    }
    answer_begins(h2, stream);
    sp__h2_stream_message(stream, reader->at, reader->left);
    if (stream->status < 0) {
        stream->status = GRPC_OK;
    }
    end_unknown(stream, NGHTTP2_NO_ERROR);
    return 1;
}

static int on_reset(struct h2 *h2, uint32_t id, struct reader *reader)
{
    uint32_t code = get_u32(reader);
    struct h2_stream *stream = find(h2, id);
    if (!reader->failed && stream != NULL) {
        sp__lean_end(stream, code);
    }
    return !reader->failed;
}

static int on_grant(struct h2 *h2, uint32_t id, struct reader *reader)
{
    uint32_t bytes = get_u32(reader);
    struct h2_stream *stream = find(h2, id);
    if (reader->failed || (stream != NULL && stream->credit > INT64_MAX - bytes)) {
        return 0;
    }
    if (stream != NULL) {
        stream->credit += bytes;
        sp__lean_wake(stream);
    }
    return 1;
}

/* What is above the number never gets anywhere. */
static int on_goaway(struct h2 *h2, struct reader *reader)
{
    uint32_t code = get_u32(reader);
    uint32_t last = get_u32(reader);
    if (reader->failed) {
        return 0;
    }
    h2->goaway_received = 1;
    /* Told first: who hears that a call has ended may want to send the next one. */
    if (h2->events.on_goaway != NULL) {
        h2->events.on_goaway(h2->user, code);
    }
    struct link *next;
    for (struct link *link = h2->streams.first; h2->role == H2_CLIENT && link != NULL;
         link = next) {
        struct h2_stream *stream = ITEM(link, struct h2_stream, on_open);
        next = link->next;
        if (stream->id > last) {
            sp__lean_end(stream, NGHTTP2_REFUSED_STREAM);
            next = h2->streams.first; /* its end may have ended others */
        }
    }
    return 1;
}

struct frame {
    enum lean_kind kind;
    uint32_t id;
    uint32_t size; /* of the payload */
    int is_last;
};

/* One whole frame that is no DATA. 0 when it cannot be right. */
static int on_frame(struct h2 *h2, const struct frame *frame, const uint8_t *payload)
{
    struct reader reader = {payload, frame->size, 0};
    uint32_t id = frame->id;
    uint32_t size = frame->size;
    struct h2_stream *stream;
    uint64_t opaque;
    switch (frame->kind) {
    case LEAN_HELLO:
        return on_hello(h2, &reader);
    case LEAN_HEAD:
        return on_head(h2, id, &reader, frame->is_last);
    case LEAN_ANSWER:
        return on_answer(h2, id, &reader);
    case LEAN_STATUS:
        return on_status(h2, id, &reader);
    case LEAN_RESET:
        return on_reset(h2, id, &reader);
    case LEAN_GRANT:
        return on_grant(h2, id, &reader);
    case LEAN_GOAWAY:
        return on_goaway(h2, &reader);
    case LEAN_ACCEPT:
        stream = find(h2, id);
        if (stream != NULL) {
            answer_begins(h2, stream);
        }
        return size == 0;
    case LEAN_PING:
        return size == sizeof opaque &&
               sp__lean_put(h2->lean, LEAN_PONG, 0, payload, size) == SP_OK;
    case LEAN_PONG:
        if (size == sizeof opaque && h2->events.on_pong != NULL) {
            memcpy(&opaque, payload, sizeof opaque);
            h2->events.on_pong(h2->user, opaque);
        }
        return size == sizeof opaque;
    case LEAN_NOTHING:
        return 1;
    case LEAN_DATA: /* is dealt with as it comes */
    default:
        return 0;
    }
}

/* ---- bytes ---- */

/* What there is of the DATA that is coming in. */
static size_t take_data(struct h2 *h2, const uint8_t *data, size_t size)
{
    struct lean *lean = h2->lean;
    size_t n = size < lean->data_left ? size : lean->data_left;
    struct h2_stream *stream = find(h2, lean->data_id);
    lean->data_left -= (uint32_t)n;
    int is_end = lean->data_left == 0 && lean->data_is_last;
    if (stream == NULL) {
        return n;
    }
    answer_begins(h2, stream);
    if (n > 0) {
        sp__h2_stream_data(stream, data, n, is_end);
    }
    if (is_end && h2->role == H2_SERVER) {
        sp__h2_peer_ended(h2, stream);
    }
    return n;
}

/* The largest payload of such a frame, but for DATA. */
static uint32_t payload_max(const struct frame *frame)
{
    if (frame->kind == LEAN_ANSWER) {
        return LEAN_MESSAGE_MAX;
    }
    int has_message = frame->kind == LEAN_HEAD && frame->is_last;
    int was_head = frame->kind == LEAN_NOTHING; /* of either sort */
    return has_message || was_head ? FRAME_MAX : LEAN_PAYLOAD_MAX;
}

static int is_fit(const struct h2 *h2, const struct frame *frame)
{
    return (h2->greeted || frame->kind == LEAN_HELLO) &&
           (frame->kind == LEAN_DATA || frame->size <= payload_max(frame));
}

static struct frame read_head(const uint8_t *head)
{
    uint32_t word = sp__lean_u32(head);
    uint32_t id = sp__lean_u32(head + sizeof word);
    return (struct frame){(enum lean_kind)(word >> 24), id & INT32_MAX, word & 0xffffff,
                          id >> 31 != 0};
}

static void begin_data(struct h2 *h2, const struct frame *frame)
{
    h2->lean->data_left = frame->size;
    h2->lean->data_id = frame->id;
    h2->lean->data_is_last = frame->is_last;
    if (frame->size == 0) {
        (void)take_data(h2, NULL, 0);
    }
}

/* Up to `wanted` bytes of a frame are to be had. The bytes taken for it. */
static size_t gather(struct h2 *h2, const uint8_t *data, size_t size, size_t wanted)
{
    struct sp_buffer *in = &h2->lean->in;
    size_t missing = wanted > in->size ? wanted - in->size : 0;
    size_t n = size < missing ? size : missing;
    if (sp__buf_append(in, data, n, NULL) < 0) {
        h2->failed = SP_ERR_NOMEM;
        return 0;
    }
    return n;
}

/* Of a frame whose beginning came before, or does not come whole now. The bytes taken,
 * or 0 when it cannot be right. */
static size_t take_part(struct h2 *h2, const uint8_t *data, size_t size)
{
    struct sp_buffer *in = &h2->lean->in;
    size_t n = gather(h2, data, size, LEAN_HEAD_SIZE);
    if (in->size < LEAN_HEAD_SIZE) {
        return n;
    }
    struct frame frame = read_head(in->data);
    if (!is_fit(h2, &frame)) {
        return 0;
    }
    if (frame.kind == LEAN_DATA) {
        in->size = 0;
        begin_data(h2, &frame);
        return n;
    }
    size_t whole = LEAN_HEAD_SIZE + (size_t)frame.size;
    n += gather(h2, data + n, size - n, whole);
    if (in->size < whole) {
        return n;
    }
    int is_right = on_frame(h2, &frame, in->data + LEAN_HEAD_SIZE);
    in->size = 0;
    sp__buf_shrink(in, IN_KEEP);
    return is_right ? n : 0;
}

/* The next frame, from the front. As take_part(). */
static size_t take_frame(struct h2 *h2, const uint8_t *data, size_t size)
{
    if (h2->lean->in.size > 0 || size < LEAN_HEAD_SIZE) {
        return take_part(h2, data, size);
    }
    struct frame frame = read_head(data);
    size_t whole = LEAN_HEAD_SIZE + (size_t)frame.size;
    if (!is_fit(h2, &frame)) {
        return 0;
    }
    if (frame.kind == LEAN_DATA) {
        begin_data(h2, &frame);
        return LEAN_HEAD_SIZE;
    }
    if (size < whole) {
        return take_part(h2, data, size);
    }
    return on_frame(h2, &frame, data + LEAN_HEAD_SIZE) ? whole : 0;
}

int sp__lean_receive(struct h2 *h2, const uint8_t *data, size_t size, sp_error *err)
{
    struct lean *lean = h2->lean;
    while (size > 0) {
        size_t n = lean->data_left > 0 ? take_data(h2, data, size)
                                       : take_frame(h2, data, size);
        if (h2->failed != 0) {
            h2->broken = 1;
            return sp__fail(err, h2->failed, "no memory for the connection");
        }
        if (n == 0) {
            return broken(h2, "what came is not its framing, or not of this version",
                          err);
        }
        data += n;
        size -= n;
    }
    return SP_OK;
}
