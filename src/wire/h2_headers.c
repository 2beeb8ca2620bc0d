/* SPDX-License-Identifier: MIT */
/*
 * What goes out in header blocks: requests, the heads of responses, statuses.
 *
 * Names and values that are constants are lent to nghttp2, everything else it copies.
 * HPACK decides what a header costs. Between peers of ours there is none: lean_out.c.
 *
 * A server's status goes out as trailers behind the last message or, when there was
 * none, as a response of headers alone. Until its turn comes it waits on the stream,
 * encoded, in one allocation; a bare status needs none.
 *
 * A call that fails (no memory, metadata that cannot be sent) changes nothing.
 */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/h2_internal.h"

enum {
    TIMEOUT_INDEXED_EVERY = 1024,
    LEND_BYTES = 32 * 1024,         /* smaller messages are copied all the same */
    OUT_FIELDS = 10,                /* header fields of our own in one block, at most */
    STRANGER_DETAILS_MAX = 6 * 1024 /* stock peers take 8 KiB of metadata in all */
};

/* A field whose name and value are constants. */
#define CONSTANT(name_text, value_text)                                    \
    {                                                                      \
        (uint8_t *)(uintptr_t)name_text, (uint8_t *)(uintptr_t)value_text, \
            sizeof name_text - 1, sizeof value_text - 1,                   \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE   \
    }

/* A field with a constant name whose value nghttp2 copies. */
static nghttp2_nv field(const char *name, size_t name_size, const char *value,
                        size_t value_size, unsigned flags)
{
    /* nghttp2 takes pointers to non-const and does not write through them. */
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value,
                        name_size, value_size,
                        (uint8_t)(NGHTTP2_NV_FLAG_NO_COPY_NAME | flags)};
}
#define FIELD(name, value, value_size, flags) \
    field(name, sizeof name - 1, value, value_size, flags)

/* ---- metadata of the user's ---- */

static int is_name(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '_' || c == '.')) {
            return 0;
        }
    }
    if (n >= 5 && memcmp(name, "grpc-", 5) == 0) {
        /* gRPC's own, but for the one that its retries leave to servers. */
        return n == sizeof SP__GRPC_PUSHBACK - 1 &&
               memcmp(name, SP__GRPC_PUSHBACK, n) == 0;
    }
    return n > 0;
}

static int is_value(const char *value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (value[i] < 0x20 || value[i] > 0x7e) {
            return 0;
        }
    }
    return n == 0 || (value[0] != ' ' && value[n - 1] != ' ');
}

static int is_binary(const struct h2_header *header)
{
    return header->name_size > 4 &&
           memcmp(header->name + header->name_size - 4, "-bin", 4) == 0;
}

static int check_headers(const struct h2_header *headers, size_t count, sp_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct h2_header *h = &headers[i];
        if (!is_name(h->name, h->name_size)) {
            return sp__fail(err, SP_ERR_INVAL, "'%.*s' cannot be a metadata key",
                            h->name_size < 100 ? (int)h->name_size : 100, h->name);
        }
        if (!is_binary(h) && !is_value(h->value, h->value_size)) {
            return sp__fail(err, SP_ERR_INVAL,
                            "the value of metadata key '%.*s' is not printable ASCII",
                            h->name_size < 100 ? (int)h->name_size : 100, h->name);
        }
    }
    return SP_OK;
}

/* Text memory that encoded "-bin" values need. */
static size_t encoded_size(const struct h2_header *headers, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += is_binary(&headers[i]) ? sp__base64_size(headers[i].value_size) : 0;
    }
    return size;
}

/* Fill `fields`; encoded values go to `text`. */
static void put_headers(nghttp2_nv *fields, const struct h2_header *headers,
                        size_t count, char *text)
{
    for (size_t i = 0; i < count; i++) {
        const struct h2_header *h = &headers[i];
        const char *value = h->value;
        size_t size = h->value_size;
        if (is_binary(h)) {
            size = sp__base64_encode((const uint8_t *)h->value, size, text);
            value = text;
            text += size;
        }
        fields[i] = field(h->name, h->name_size, value, size, 0);
        fields[i].flags = NGHTTP2_NV_FLAG_NONE; /* nghttp2 copies both */
    }
}

/* ---- client ---- */

static int cannot_open(const struct h2 *h2, sp_error *err)
{
    assert(h2->role == H2_CLIENT);
    if (h2->closing || h2->broken || h2->goaway_received || h2->goaway_sent) {
        return sp__fail(err, SP_ERR_CLOSED, "the connection takes no new calls");
    }
    return SP_OK;
}

/* The fields that every request has. */
static size_t put_request(const struct h2 *h2, const char *path, nghttp2_nv *fields)
{
    static const nghttp2_nv constants[] = {
        CONSTANT(":method", "POST"),
        CONSTANT(":scheme", "http"),
        CONSTANT("content-type", "application/grpc"),
        CONSTANT("te", "trailers"),
    };
    memcpy(fields, constants, 2 * sizeof constants[0]);
    fields[2] = FIELD(":path", path, strlen(path), NGHTTP2_NV_FLAG_NO_COPY_VALUE);
    fields[3] = FIELD(":authority", h2->authority, h2->authority_size,
                      NGHTTP2_NV_FLAG_NO_COPY_VALUE);
    memcpy(fields + 4, constants + 2, 2 * sizeof constants[0]);
    return 6;
}

/* What is left of a deadline differs from call to call: only the name is worth a place in
 * HPACK's table, and one in many is indexed. */
static nghttp2_nv timeout_field(struct h2 *h2, uint64_t timeout_ms,
                                char text[SP__GRPC_TIMEOUT_MAX])
{
    unsigned flags = NGHTTP2_NV_FLAG_NONE;
    if (h2->timeouts_sent++ % TIMEOUT_INDEXED_EVERY != 0) {
        flags = NGHTTP2_NV_FLAG_NO_INDEX;
    }
    return FIELD("grpc-timeout", text, sp__grpc_put_timeout(timeout_ms, text), flags);
}

/* The request's header block: our own fields and the user's. */
static int submit_request(struct h2_stream *stream, const struct h2_opening *opening,
                          int has_body, sp_error *err)
{
    struct h2 *h2 = stream->h2;
    const struct h2_header *headers = opening->headers;
    size_t headers_count = opening->headers_count;
    nghttp2_nv small[OUT_FIELDS];
    nghttp2_nv *fields = small;
    char timeout[SP__GRPC_TIMEOUT_MAX];
    if (headers_count > 0) {
        fields = sp__malloc((OUT_FIELDS + headers_count) * sizeof fields[0] +
                            encoded_size(headers, headers_count));
        if (fields == NULL) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for a request's headers");
        }
    }

    size_t n = put_request(h2, opening->path, fields);
    if (opening->timeout_ms != SP_UNLIMITED) {
        fields[n++] = timeout_field(h2, opening->timeout_ms, timeout);
    }
    put_headers(fields + n, headers, headers_count,
                (char *)(fields + OUT_FIELDS + headers_count));
    n += headers_count;

    nghttp2_data_provider provider = {.source.ptr = stream,
                                      .read_callback = sp__h2_read_cb};
    int32_t id = nghttp2_submit_request(h2->session, NULL, fields, n,
                                        has_body ? &provider : NULL, stream);
    if (fields != small) {
        sp__free(fields);
    }
    if (id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE) {
        return sp__fail(err, SP_ERR_CLOSED,
                        "the connection has used up its stream ids");
    }
    if (id < 0) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a request");
    }
    stream->id = (uint32_t)id;
    return SP_OK;
}

static int open_stream(struct h2_stream *stream, const struct h2_opening *opening,
                       sp_error *err)
{
    int rc = check_headers(opening->headers, opening->headers_count, err);
    if (rc < 0) {
        return rc;
    }
    int has_body = stream->queued > 0 || !opening->half_close;
    rc = stream->h2->lean != NULL ? sp__lean_request(stream, opening, err)
                                  : submit_request(stream, opening, has_body, err);
    if (rc < 0) {
        return rc;
    }
    stream->user = opening->user;
    stream->headers_out = 1;
    stream->half_closed = opening->half_close != 0;
    if (stream->h2->lean == NULL) {
        stream->eof_out = !has_body;
    } else if (opening->message == NULL) {
        sp__lean_wake(stream);
    }
    return SP_OK;
}

static int open_with(struct h2 *h2, struct h2_opening *opening, const sp_bytes *message,
                     int lend, struct h2_stream **ret_stream, sp_error *err)
{
    int rc = cannot_open(h2, err);
    if (rc < 0) {
        return rc;
    }
    struct h2_stream *stream = sp__h2_stream_new(h2);
    if (stream == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a stream");
    }
    if (message->data != NULL || message->size > 0) {
        if (h2->lean != NULL && opening->half_close &&
            message->size <= LEAN_MESSAGE_MAX) {
            opening->message = message;
        } else {
            rc = lend ? sp__h2_queue_lent(stream, *message, err)
                      : sp__h2_queue_message(stream, *message, err);
        }
    }
    if (rc == SP_OK) {
        rc = open_stream(stream, opening, err);
    }
    if (rc < 0) {
        sp__h2_stream_recycle(stream);
        return rc;
    }
    *ret_stream = stream;
    return SP_OK;
}

int sp__h2_open(struct h2 *h2, const char *path, uint64_t timeout_ms,
                const struct h2_header *headers, size_t headers_count, sp_bytes message,
                int half_close, void *user, struct h2_stream **ret_stream,
                sp_error *err)
{
    struct h2_opening opening = {path, timeout_ms, headers, headers_count,
                                 NULL, half_close, user};
    return open_with(h2, &opening, &message, 0, ret_stream, err);
}

int sp__h2_open_lend(struct h2 *h2, const char *path, uint64_t timeout_ms,
                     const struct h2_header *headers, size_t headers_count,
                     sp_bytes message, int half_close, void *user,
                     struct h2_stream **ret_stream, sp_error *err)
{
    struct h2_opening opening = {path, timeout_ms, headers, headers_count,
                                 NULL, half_close, user};
    return open_with(h2, &opening, &message, message.size >= LEND_BYTES, ret_stream,
                     err);
}

int sp__h2_open_take(struct h2 *h2, const char *path, uint64_t timeout_ms,
                     const struct h2_header *headers, size_t headers_count,
                     uint8_t **data, size_t size, int half_close, void *user,
                     struct h2_stream **ret_stream, sp_error *err)
{
    struct h2_opening opening = {path, timeout_ms, headers, headers_count,
                                 NULL, half_close, user};
    int rc = cannot_open(h2, err);
    if (rc < 0) {
        return rc;
    }
    struct h2_stream *stream = sp__h2_stream_new(h2);
    if (stream == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a stream");
    }
    rc = sp__h2_queue_taken(stream, *data, size, err);
    if (rc == SP_OK) {
        rc = open_stream(stream, &opening, err);
        if (rc < 0) {
            sp__h2_queue_untake(stream);
        }
    }
    if (rc < 0) {
        sp__h2_stream_recycle(stream);
        return rc;
    }
    *data = NULL;
    *ret_stream = stream;
    return SP_OK;
}

int sp__h2_half_close(struct h2_stream *stream, sp_error *err)
{
    if (stream->reset) {
        return sp__fail(err, SP_ERR_CLOSED, "the stream was reset");
    }
    stream->half_closed = 1;
    sp__h2_wake(stream);
    return SP_OK;
}

/* ---- server ---- */

static const nghttp2_nv response_fields[] = {
    CONSTANT(":status", "200"),
    CONSTANT("content-type", "application/grpc"),
};

int sp__h2_accept(struct h2_stream *stream, sp_error *err)
{
    struct h2 *h2 = stream->h2;
    assert(h2->role == H2_SERVER);
    if (stream->reset || stream->finished) {
        return sp__fail(err, SP_ERR_CLOSED, "the stream was ended");
    }
    if (stream->headers_out) {
        return SP_OK;
    }
    nghttp2_data_provider provider = {.source.ptr = stream,
                                      .read_callback = sp__h2_read_cb};
    int rc = h2->lean != NULL
                 ? sp__lean_accept(stream)
                 : nghttp2_submit_response(h2->session, (int32_t)stream->id,
                                           response_fields, 2, &provider);
    if (rc != 0) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a response");
    }
    stream->headers_out = 1;
    return SP_OK;
}

int sp__h2_answer_http(struct h2_stream *stream, const char *http_status)
{
    nghttp2_nv status = FIELD(":status", http_status, strlen(http_status),
                              NGHTTP2_NV_FLAG_NO_COPY_VALUE);
    int rc = nghttp2_submit_response(stream->h2->session, (int32_t)stream->id, &status,
                                     1, NULL);
    if (rc != 0) {
        return SP_ERR_NOMEM;
    }
    stream->status = -1;
    stream->deaf = 1;
    stream->half_closed = 1;
    stream->finished = 1;
    stream->headers_out = 1;
    stream->trailers_out = 1;
    return SP_OK;
}

static const nghttp2_nv status_fields[] = {
    CONSTANT("grpc-status", "0"),  CONSTANT("grpc-status", "1"),
    CONSTANT("grpc-status", "2"),  CONSTANT("grpc-status", "3"),
    CONSTANT("grpc-status", "4"),  CONSTANT("grpc-status", "5"),
    CONSTANT("grpc-status", "6"),  CONSTANT("grpc-status", "7"),
    CONSTANT("grpc-status", "8"),  CONSTANT("grpc-status", "9"),
    CONSTANT("grpc-status", "10"), CONSTANT("grpc-status", "11"),
    CONSTANT("grpc-status", "12"), CONSTANT("grpc-status", "13"),
    CONSTANT("grpc-status", "14"), CONSTANT("grpc-status", "15"),
    CONSTANT("grpc-status", "16"),
};

enum {
    STATUS_UNKNOWN = 2,
    STATUS_COUNT = sizeof status_fields / sizeof status_fields[0],
    MESSAGE_MAX = 1024 /* bytes of a status message; percent-encoded it may triple */
};

/* Hand the status to nghttp2: behind data as trailers, or as the whole response. */
static int submit_status(struct h2_stream *stream, int is_response)
{
    const struct h2_trailers *trailers = stream->trailers;
    size_t count = trailers != NULL ? trailers->count : 0;
    nghttp2_nv small[OUT_FIELDS];
    nghttp2_nv *fields = small;
    if (count > 0) {
        fields = sp__malloc((OUT_FIELDS + count) * sizeof fields[0]);
        if (fields == NULL) {
            return NGHTTP2_ERR_NOMEM;
        }
    }
    size_t n = 0;
    if (is_response) {
        fields[n++] = response_fields[0];
        fields[n++] = response_fields[1];
    }
    fields[n++] = status_fields[stream->status];
    if (trailers != NULL && trailers->message != NULL) {
        fields[n++] = FIELD("grpc-message", trailers->message, trailers->message_size,
                            NGHTTP2_NV_FLAG_NO_INDEX);
    }
    if (trailers != NULL && trailers->details != NULL) {
        fields[n++] = FIELD("grpc-status-details-bin", trailers->details,
                            trailers->details_size, NGHTTP2_NV_FLAG_NO_INDEX);
    }
    for (size_t i = 0; i < count; i++) {
        fields[n++] = trailers->fields[i];
    }
    nghttp2_session *session = stream->h2->session;
    int rc =
        is_response
            ? nghttp2_submit_response(session, (int32_t)stream->id, fields, n, NULL)
            : nghttp2_submit_trailer(session, (int32_t)stream->id, fields, n);
    if (fields != small) {
        sp__free(fields);
    }
    if (rc == 0) {
        stream->trailers_out = 1;
    }
    return rc;
}

int sp__h2_submit_trailers(struct h2_stream *stream)
{
    return stream->trailers_out ? 0 : submit_status(stream, 0);
}

/* Bytes of a status message that are sent. */
static size_t message_size_of(const char *message)
{
    size_t size = message != NULL ? strnlen(message, MESSAGE_MAX) : 0;
    while (size == MESSAGE_MAX && size > 0 &&
           ((unsigned char)message[size] & 0xc0) == 0x80) {
        size--; /* cut between characters */
    }
    return size;
}

/* Everything but the number, encoded, in one allocation. NULL without memory. */
static struct h2_trailers *make_trailers(struct h2_mem *mem, const char *message,
                                         size_t message_size, sp_bytes details,
                                         const struct h2_header *headers, size_t count)
{
    size_t size = sizeof(struct h2_trailers) + count * sizeof(nghttp2_nv);
    for (size_t i = 0; i < count; i++) {
        size += headers[i].name_size + headers[i].value_size;
    }
    size += encoded_size(headers, count) + sp__base64_size(details.size) +
            4 * message_size + 1;
    struct h2_trailers *trailers = sp__h2_mem_take(mem, size);
    if (trailers == NULL) {
        return NULL;
    }
    char *text = (char *)&trailers->fields[count];
    if (message != NULL) {
        memcpy(text, message, message_size);
        text[message_size] = '\0';
        trailers->text = text;
        text += message_size + 1;
        trailers->message = text;
        trailers->message_size = sp__grpc_percent_encode(message, message_size, text);
        text += trailers->message_size;
    }
    if (details.size > 0) {
        trailers->details = text;
        trailers->details_size = sp__base64_encode(details.data, details.size, text);
        text += trailers->details_size;
    }
    trailers->count = count;
    put_headers(trailers->fields, headers, count, text);
    text += encoded_size(headers, count);
    for (size_t i = 0; i < count; i++) { /* the names and values are only borrowed */
        nghttp2_nv *f = &trailers->fields[i];
        memcpy(text, f->name, f->namelen);
        f->name = (uint8_t *)text;
        text += f->namelen;
        if (!is_binary(&headers[i])) {
            memcpy(text, f->value, f->valuelen);
            f->value = (uint8_t *)text;
            text += f->valuelen;
        }
    }
    return trailers;
}

int sp__h2_finish(struct h2_stream *stream, int grpc_status, const char *message,
                  sp_bytes details, const struct h2_header *trailers,
                  size_t trailers_count, sp_error *err)
{
    assert(stream->h2->role == H2_SERVER);
    if (stream->finished || stream->reset) {
        return sp__fail(err, SP_ERR_CLOSED, "the stream was ended");
    }
    int rc = check_headers(trailers, trailers_count, err);
    if (rc < 0) {
        return rc;
    }
    if (!stream->h2->options.trusted && details.size > STRANGER_DETAILS_MAX) {
        details = (sp_bytes){0}; /* a stock peer would refuse the whole status */
    }
    struct lean *lean = stream->h2->lean;
    struct h2_mem *mem = &stream->h2->mem;
    struct h2_trailers *made = NULL;
    if (message != NULL || details.size > 0 || trailers_count > 0) {
        size_t size = message_size_of(message);
        made = lean != NULL ? sp__lean_trailers(mem, message, size, details, trailers,
                                                trailers_count)
                            : make_trailers(mem, message, size, details, trailers,
                                            trailers_count);
        if (made == NULL) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for a status");
        }
    }
    stream->trailers = made;
    stream->status =
        grpc_status >= 0 && grpc_status < STATUS_COUNT ? grpc_status : STATUS_UNKNOWN;

    /* A deferred source is left as it is: data that ends in nothing would cost a frame. */
    int submit_now = stream->queued == 0 &&
                     (stream->deferred || lean != NULL || !stream->headers_out);
    if (submit_now &&
        (lean != NULL ? sp__lean_status(stream)
                      : submit_status(stream, !stream->headers_out)) != 0) {
        sp__h2_mem_give(mem, made);
        stream->trailers = NULL;
        stream->status = -1;
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a status");
    }
    stream->headers_out = 1;
    stream->finished = 1;
    stream->half_closed = 1;
    stream->deaf = 1;
    if (!submit_now) {
        sp__h2_wake(stream);
    }
    return SP_OK;
}
