/* SPDX-License-Identifier: MIT */
/*
 * One stream: making it, putting its messages together, holding it back, ending it.
 *
 * A message that lies whole in the bytes that came is handed on where it lies. Any other
 * is gathered in the stream's own buffer, which grows as bytes arrive and never to more
 * than the message's announced size, which itself was checked against the limit before
 * anything was allocated.
 *
 * A held stream gets its window back only through sp__h2_grant(). That alone could lock
 * up: a large message needs more window than is left, and the user cannot grant what has
 * not been delivered. So while nothing delivered awaits a grant, what exceeds
 * an eighth of the window of an unfinished message is given back early, and taken off
 * the grants that follow. Thus one message may exceed the window, whatever its size, but
 * a second one waits for the user.
 *
 * Streams are reused: a connection in steady state allocates none.
 */
#include <stdio.h>
#include <string.h>

#include "base/grpc_status.h"
#include "base/mem.h"
#include "wire/h2_internal.h"

enum {
    SPARE_MAX = 1024,       /* streams kept for reuse */
    IN_KEEP = 4096,         /* capacity of `in` a spare stream keeps */
    SMALL = 64 * 1024,      /* reserved at once; larger messages grow with what comes */
    TAKE_BYTES = 16 * 1024, /* smaller ones are copied: their buffer is used again */
    STRANGER_IN_MAX = 64 << 20 /* half-received bytes of one stranger */
};

/* ---- life ---- */

static void clear(struct h2_stream *stream, struct h2 *h2)
{
    struct sp_buffer in = stream->in;
    *stream = (struct h2_stream){.h2 = h2, .status = -1, .in = in};
    stream->in.size = 0;
    stream->in.max = h2->options.message_max;
}

struct h2_stream *sp__h2_stream_new(struct h2 *h2)
{
    struct link *link = sp__list_pop(&h2->spare);
    struct h2_stream *stream = link != NULL ? ITEM(link, struct h2_stream, on_open)
                                            : sp__calloc(1, sizeof *stream);
    if (stream != NULL) {
        clear(stream, h2);
        sp__list_append(&h2->streams, &stream->on_open);
    }
    return stream;
}

static void destroy(struct h2_stream *stream)
{
    sp__buf_fini(&stream->in);
    sp__free(stream);
}

void sp__h2_stream_recycle(struct h2_stream *stream)
{
    struct h2 *h2 = stream->h2;
    if (h2->recent == stream) {
        h2->recent = NULL;
    }
    sp__list_remove(&stream->on_open);
    sp__list_remove(&stream->on_drained);
    sp__list_remove(&stream->on_lean);
    sp__h2_queue_clear(stream);
    sp__free(stream->late_head);
    if (stream->prefix_size == H2_PREFIX) {
        h2->in_bytes -= stream->in.size;
    }
    stream->in.size = 0;
    sp__buf_shrink(&stream->in, IN_KEEP);
    if (stream->block != NULL) {
        sp__h2_block_fini(stream->block);
        sp__free(stream->block);
    }
    sp__h2_mem_give(&h2->mem, stream->trailers);
    stream->late_head = NULL;
    stream->block = NULL;
    stream->trailers = NULL;
    if (h2->spare.length < SPARE_MAX) {
        sp__list_prepend(&h2->spare, &stream->on_open);
    } else {
        destroy(stream);
    }
}

void sp__h2_stream_drop_all(struct h2 *h2)
{
    struct link *link;
    while ((link = sp__list_pop(&h2->spare)) != NULL) {
        destroy(ITEM(link, struct h2_stream, on_open));
    }
}

/* ---- the end ---- */

static void client_status(const struct h2_stream *stream, uint32_t error_code,
                          struct h2_status *status)
{
    status->grpc_status = stream->status;
    if (stream->status_text != NULL) {
        status->message = stream->status_text;
        return; /* the reset that came of it is ours and says nothing */
    }
    const struct h2_block *block =
        stream->status_here ? &stream->h2->block : stream->block;
    if (block != NULL) {
        status->message = block->message != NULL ? block->message : "";
        status->details = block->details;
        status->details_size = block->details_size;
        status->trailers = block->headers;
        status->trailers_count = block->count;
    }
    status->rst_code = stream->reset ? stream->reset_code : error_code;
    status->refused = error_code == NGHTTP2_REFUSED_STREAM || !stream->headers_sent;
}

static void server_status(const struct h2_stream *stream, uint32_t error_code,
                          struct h2_status *status)
{
    if (stream->status_sent) {
        status->grpc_status = stream->status;
        if (stream->trailers != NULL && stream->trailers->text != NULL) {
            status->message = stream->trailers->text;
        }
    } else if (stream->reset) {
        status->rst_code = stream->reset_code;
    } else {
        /* NO_ERROR from a client that has no answer yet is a cancellation too. */
        status->rst_code = error_code != NGHTTP2_NO_ERROR ? error_code : NGHTTP2_CANCEL;
    }
}

static void tell_end(struct h2_stream *stream, uint32_t error_code)
{
    struct h2 *h2 = stream->h2;
    struct h2_status status = {.grpc_status = -1, .message = ""};
    char text[32];
    if (!h2->closing) {
        if (h2->role == H2_CLIENT) {
            client_status(stream, error_code, &status);
        } else {
            server_status(stream, error_code, &status);
        }
        if (stream->http_status != 0 && status.message[0] == '\0') {
            (void)snprintf(text, sizeof text, "HTTP status %d", stream->http_status);
            status.message = text;
        }
    }
    stream->reset = 1; /* whatever the user still tries finds it closed */
    stream->deaf = 1;
    stream->half_closed = 1;
    stream->finished = 1;
    h2->events.on_end(h2->user, stream, &status);
}

void sp__h2_stream_end(struct h2_stream *stream, uint32_t error_code)
{
    if (!stream->silent && stream->user != NULL) {
        tell_end(stream, error_code);
    }
    sp__h2_stream_recycle(stream);
}

void sp__h2_stream_fail(struct h2_stream *stream, int status, const char *text)
{
    if (stream->h2->role == H2_SERVER) {
        if (sp__h2_finish(stream, status, text, (sp_bytes){0}, NULL, 0, NULL) < 0) {
            sp__h2_reset(stream, NGHTTP2_INTERNAL_ERROR);
        }
    } else {
        stream->status = status;
        stream->status_text = text;
        sp__h2_reset(stream, NGHTTP2_CANCEL);
    }
}

void sp__h2_reset(struct h2_stream *stream, uint32_t rst_code)
{
    struct h2 *h2 = stream->h2;
    if (stream->reset || stream->status_sent) {
        return;
    }
    stream->reset = 1;
    stream->reset_code = rst_code;
    stream->deaf = 1;
    stream->half_closed = 1;
    sp__h2_queue_clear(stream);
    int rc = h2->lean != NULL
                 ? sp__lean_reset(stream, rst_code)
                 : nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE,
                                             (int32_t)stream->id, rst_code);
    if (rc != 0) {
        h2->failed = SP_ERR_NOMEM;
    }
}

/* ---- flow control ---- */

/* Half a window is worth a frame. nghttp2 waits for it by itself; telling it a quarter at a
 * time spares the short streams all of it. */
static void give_back(struct h2_stream *stream, size_t bytes)
{
    struct h2 *h2 = stream->h2;
    stream->consumed += bytes;
    if (stream->consumed <= h2->options.stream_window / (h2->lean != NULL ? 2 : 4)) {
        return;
    }
    int failed = h2->lean != NULL
                     ? sp__lean_grant(stream, stream->consumed) < 0
                     : nghttp2_is_fatal(nghttp2_session_consume_stream(
                           h2->session, (int32_t)stream->id, stream->consumed));
    if (failed) {
        h2->failed = SP_ERR_NOMEM;
    }
    stream->consumed = 0;
}

void sp__h2_hold(struct h2_stream *stream)
{
    stream->held = 1;
}

/* Held: let a large message go on, when the user can do nothing for it. */
static void give_early(struct h2_stream *stream)
{
    size_t keep = stream->h2->options.stream_window / 8 + stream->early;
    size_t came = H2_PREFIX + stream->in.size;
    if (stream->held && stream->unread == 0 && came > keep) {
        stream->early += came - keep;
        give_back(stream, came - keep);
    }
}

void sp__h2_grant(struct h2_stream *stream, size_t bytes)
{
    bytes = bytes < stream->unread ? bytes : stream->unread;
    size_t early = bytes < stream->early ? bytes : stream->early;
    stream->unread -= bytes;
    stream->early -= early;
    give_back(stream, bytes - early);
    give_early(stream);
}

/* ---- messages ---- */

/* 0 when the stream was given up, because a message of so many bytes is too large. */
static int has_room(struct h2_stream *stream, size_t size)
{
    if (size > stream->h2->options.message_max) {
        sp__h2_stream_fail(stream, GRPC_RESOURCE_EXHAUSTED,
                           "the message is larger than the limit");
        return 0;
    }
    return 1;
}

/* The prefix is whole. 0 when the stream was given up. */
static int begin_message(struct h2_stream *stream)
{
    const uint8_t *p = stream->prefix;
    size_t size = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    if (p[0] != 0) {
        sp__h2_stream_fail(stream, p[0] == 1 ? GRPC_UNIMPLEMENTED : GRPC_INTERNAL,
                           p[0] == 1 ? "compressed messages are not supported"
                                     : "the message's prefix is malformed");
        return 0;
    }
    stream->message_size = size;
    return has_room(stream, size);
}

static void deliver(struct h2_stream *stream, const uint8_t *data, size_t size)
{
    struct h2 *h2 = stream->h2;
    if (stream->held) {
        stream->unread += H2_PREFIX + size;
    }
    if (!stream->deaf && !stream->silent) {
        h2->events.on_message(h2->user, stream, data, size);
    }
}

void sp__h2_stream_message(struct h2_stream *stream, const uint8_t *data, size_t size)
{
    if (!stream->deaf && has_room(stream, size)) {
        deliver(stream, data, size);
    }
}

/* Gather `size` bytes of the body; at most what is missing. 0 when given up. */
static int gather(struct h2_stream *stream, const uint8_t *data, size_t size)
{
    struct h2 *h2 = stream->h2;
    if (!h2->options.trusted && h2->in_bytes + size > STRANGER_IN_MAX &&
        h2->in_bytes + size > h2->options.message_max) {
        sp__h2_stream_fail(stream, GRPC_RESOURCE_EXHAUSTED,
                           "too many bytes in unfinished messages");
        return 0;
    }
    /* One of our own has the bytes it speaks of; a stranger must send them first. One
     * byte more is for whoever takes the message. */
    size_t soon = stream->message_size + 1;
    if (soon > SMALL && !h2->options.trusted) {
        soon = SMALL;
    }
    if ((stream->in.size == 0 && sp__buf_reserve(&stream->in, soon, NULL) < 0) ||
        sp__buf_append(&stream->in, data, size, NULL) < 0) {
        sp__h2_stream_fail(stream, GRPC_RESOURCE_EXHAUSTED,
                           "no memory for the message");
        return 0;
    }
    h2->in_bytes += size;
    return 1;
}

/* Take what belongs to the current message's body from the front of the bytes; returns
 * how many that were. */
static size_t take_body(struct h2_stream *stream, const uint8_t *data, size_t size)
{
    struct h2 *h2 = stream->h2;
    size_t missing = stream->message_size - stream->in.size;
    size_t n = size < missing ? size : missing;
    if (n == stream->message_size) { /* whole, and nothing gathered */
        stream->prefix_size = 0;
        deliver(stream, data, n);
        return n;
    }
    if (!gather(stream, data, n)) {
        return n;
    }
    if (n < missing) {
        give_early(stream);
        return n;
    }
    h2->in_bytes -= stream->in.size;
    size = stream->in.size;
    stream->in.size = 0; /* a grant inside the callback finds nothing unfinished */
    stream->prefix_size = 0;
    stream->whole = 1;
    deliver(stream, stream->in.data, size);
    stream->whole = 0;
    sp__buf_shrink(&stream->in, IN_KEEP);
    return n;
}

static size_t take_prefix(struct h2_stream *stream, const uint8_t *data, size_t size)
{
    size_t missing = (size_t)(H2_PREFIX - stream->prefix_size);
    size_t n = size < missing ? size : missing;
    memcpy(stream->prefix + stream->prefix_size, data, n);
    stream->prefix_size = (uint8_t)(stream->prefix_size + n);
    if (stream->prefix_size == H2_PREFIX && begin_message(stream) &&
        stream->message_size == 0) {
        stream->prefix_size = 0;
        deliver(stream, data, 0);
    }
    return n;
}

void sp__h2_stream_data(struct h2_stream *stream, const uint8_t *data, size_t size,
                        int is_last)
{
    size_t returned = 0;
    while (size > 0 && !stream->deaf) {
        int held = stream->held; /* it may change in a callback */
        int is_prefix = stream->prefix_size < H2_PREFIX;
        size_t n =
            is_prefix ? take_prefix(stream, data, size) : take_body(stream, data, size);
        returned += held ? 0 : n;
        data += n;
        size -= n;
    }
    if (!is_last) {
        give_back(stream, returned + size); /* size: thrown away */
    }
}

int sp__h2_take_message(struct h2_stream *stream, struct sp_buffer *to)
{
    if (!stream->whole || stream->message_size < TAKE_BYTES ||
        stream->in.capacity <= stream->message_size) {
        return 0;
    }
    sp__buf_fini(to);
    *to = stream->in;
    to->size = stream->message_size;
    sp__buf_init(&stream->in, stream->in.max);
    stream->whole = 0;
    return 1;
}

/* ---- small questions ---- */

size_t sp__h2_queued(const struct h2_stream *stream)
{
    return stream->queued;
}

void sp__h2_stream_set_user(struct h2_stream *stream, void *user)
{
    stream->user = user;
}

void *sp__h2_stream_user(const struct h2_stream *stream)
{
    return stream->user;
}

uint32_t sp__h2_stream_id(const struct h2_stream *stream)
{
    return stream->id;
}

struct h2 *sp__h2_of(const struct h2_stream *stream)
{
    return stream->h2;
}

size_t sp__h2_unfinished(const struct h2_stream *stream)
{
    return stream->prefix_size + stream->in.size;
}
