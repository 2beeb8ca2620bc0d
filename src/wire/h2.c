/* SPDX-License-Identifier: MIT */
/*
 * One HTTP/2 connection that speaks gRPC: its life, and what it receives.
 *
 * With strangers nghttp2 does the HTTP/2, with a peer of ours lean.c a framing of our own;
 * what follows is the same for both. nghttp2's callbacks below turn frames into what gRPC
 * means by them and hand that to the user's events. The normal course of a call at a
 * server: HEADERS open a stream and on_request, DATA becomes messages (h2_stream.c),
 * END_STREAM becomes on_half_close; the user writes and finishes (h2_send.c); nghttp2
 * closes the stream and on_end follows. A client's course is the mirror image.
 *
 * Flow control is by hand: the connection's window is topped up with every byte, because
 * one slow stream must not stop the others, and a stream's window likewise unless the
 * stream is held.
 *
 * Failure has two sizes. What concerns one stream ends that stream, with a gRPC status
 * where there is somebody to read it. What concerns the connection (a violation of
 * HTTP/2, memory gone in the middle of a frame, a peer that floods) makes it `broken`:
 * the GOAWAY that nghttp2 queued goes out, everything after returns an error. Streams
 * that are left then end in sp__h2_free().
 */
#include "wire/h2.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/grpc_status.h"
#include "base/mem.h"
#include "wire/h2_internal.h"

enum {
    STREAMS_MAX_TRUSTED = 1 << 20,
    STREAMS_MAX_STRANGER = 128,
    STREAM_WINDOW = 1 << 20,
    HIGH_WATER = 256 * 1024,
    CONNECTION_WINDOW = 1 << 30,
    MESSAGE_MAX = 128 << 20,
    HEADER_LIST_MAX_TRUSTED = 128 * 1024,
    HEADER_LIST_MAX_STRANGER = 16 * 1024,
    HEADERS_MAX_TRUSTED = 256,
    HEADERS_MAX_STRANGER = 64,
    CONTINUATIONS_MAX = 8,
    RESETS_BURST = 200, /* a stranger's RST_STREAM frames: so many at once ... */
    RESETS_PER_S = 20,  /* ... and so many per second */
    GLITCHES_MAX = 2000,
    GLITCHES_FORGIVEN =
        16 /* per sp__h2_receive(): a quiet peer's PINGs do not add up */
};

/* ---- failure ---- */

int sp__h2_fatal(struct h2 *h2, int nghttp2_code, sp_error *err)
{
    h2->broken = 1;
    if (nghttp2_code == NGHTTP2_ERR_NOMEM) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the HTTP/2 connection");
    }
    if (nghttp2_code == NGHTTP2_ERR_CALLBACK_FAILURE && h2->failed != 0) {
        return sp__fail(err, h2->failed, "no memory for the HTTP/2 connection");
    }
    return sp__fail(err, SP_ERR_PROTOCOL, "HTTP/2: %s", nghttp2_strerror(nghttp2_code));
}

/* ---- what a stranger costs ---- */

static void glitch(struct h2 *h2)
{
    if (++h2->glitches == GLITCHES_MAX) {
        h2->flooded = 1;
        (void)nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
}

static void useful(struct h2 *h2, uint32_t n)
{
    h2->glitches -= h2->glitches < n ? h2->glitches : n;
}

/* Strangers only: every frame is weighed before it is read. */
static int begin_frame_cb(nghttp2_session *session, const nghttp2_frame_hd *hd,
                          void *user_data)
{
    struct h2 *h2 = user_data;
    if (hd->type == NGHTTP2_DATA) {
        if (hd->length > 0) {
            useful(h2, 1);
        } else if ((hd->flags & NGHTTP2_FLAG_END_STREAM) == 0) {
            glitch(h2);
        }
    } else {
        glitch(h2); /* HEADERS of a call give it back when they are accepted */
    }
    return 0;
}

/* nghttp2 looks up by hashing; frames of a stream tend to come one after the other. */
static struct h2_stream *find_stream(struct h2 *h2, int32_t id)
{
    struct h2_stream *recent = h2->recent;
    if (recent != NULL && recent->id == (uint32_t)id) {
        return recent;
    }
    return h2->recent = nghttp2_session_get_stream_user_data(h2->session, id);
}

/* ---- header blocks ---- */

static int begin_headers_cb(nghttp2_session *session, const nghttp2_frame *frame,
                            void *user_data)
{
    struct h2 *h2 = user_data;
    sp__h2_block_reset(&h2->block);
    h2->in_block = 1;
    if (h2->role == H2_SERVER && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        struct h2_stream *stream = sp__h2_stream_new(h2);
        if (stream == NULL) {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
        }
        stream->id = (uint32_t)frame->hd.stream_id;
        stream->silent = 1; /* until on_request */
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
        h2->recent = stream;
    }
    return 0;
}

static int header_cb(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_size, const uint8_t *value,
                     size_t value_size, uint8_t flags, void *user_data)
{
    struct h2 *h2 = user_data;
    sp__h2_block_add(&h2->block, &h2->limits, (const char *)name, name_size,
                     (const char *)value, value_size);
    return 0;
}

static void refuse(struct h2_stream *stream, int status, const char *text)
{
    stream->silent = 1;
    if (sp__h2_finish(stream, status, text, (sp_bytes){0}, NULL, 0, NULL) < 0) {
        sp__h2_reset(stream, NGHTTP2_INTERNAL_ERROR);
    }
}

static void refuse_http(struct h2_stream *stream, const char *http_status)
{
    if (sp__h2_answer_http(stream, http_status) < 0) {
        sp__h2_reset(stream, NGHTTP2_INTERNAL_ERROR);
    }
}

void sp__h2_request_came(struct h2 *h2, struct h2_stream *stream)
{
    const struct h2_block *block = &h2->block;
    if (block->no_memory) {
        sp__h2_reset(stream, NGHTTP2_REFUSED_STREAM);
    } else if (block->overflow) {
        refuse(stream, GRPC_RESOURCE_EXHAUSTED,
               "the metadata is larger than the limit");
    } else if (h2->lean == NULL && !block->is_post) {
        refuse_http(stream, "405");
    } else if (h2->lean == NULL && !block->is_grpc) {
        refuse_http(stream, "415");
    } else if (block->path == NULL) {
        refuse(stream, GRPC_UNIMPLEMENTED, "no path");
    } else if (block->bad_timeout) {
        refuse(stream, GRPC_INTERNAL, "grpc-timeout is malformed");
    } else {
        useful(h2, 2);
        struct h2_request request = {.path = block->path,
                                     .path_size = block->path_size,
                                     .timeout_ms = block->timeout_ms,
                                     .headers = block->headers,
                                     .headers_count = block->count};
        stream->silent = 0;
        int status = h2->events.on_request(h2->user, stream, &request);
        if (status != 0) {
            refuse(stream, status, NULL);
        }
    }
}

/* Client: trailers, or a response of headers alone. */
static void take_status(struct h2 *h2, struct h2_stream *stream)
{
    struct h2_block *block = &h2->block;
    if (stream->status >= 0 || stream->block != NULL) {
        return; /* one came before, perhaps of our own making */
    }
    stream->status = block->grpc_status;
    if (block->message == NULL && block->details == NULL && block->count == 0) {
        return;
    }
    stream->block = sp__malloc(sizeof *stream->block);
    if (stream->block != NULL) { /* without memory the bare status must do */
        *stream->block = *block;
        *block = (struct h2_block){0};
        sp__h2_block_reset(block);
    }
}

static void response_came(struct h2 *h2, struct h2_stream *stream, int is_end)
{
    struct h2_block *block = &h2->block;
    if (stream->headers_in) {
        if (is_end) {
            take_status(h2, stream);
        }
        return;
    }
    if (block->http_status >= 100 && block->http_status < 200) {
        return; /* the real one follows */
    }
    stream->headers_in = 1;
    if (block->http_status != 200) {
        stream->http_status = block->http_status;
        if (block->grpc_status < 0) {
            block->grpc_status = sp__grpc_of_http(block->http_status);
        }
        stream->deaf = 1;
        take_status(h2, stream);
    } else if (is_end) {
        take_status(h2, stream);
    } else if (!block->is_grpc) {
        sp__h2_stream_fail(stream, GRPC_UNKNOWN, "the peer's answer is not gRPC");
    } else if (h2->events.on_headers != NULL && !stream->deaf) {
        h2->events.on_headers(h2->user, stream);
    }
}

/* ---- frames ---- */

void sp__h2_cut_short(struct h2_stream *stream)
{
    if (stream->status <= 0) {
        stream->status = GRPC_INTERNAL;
        stream->status_text = "the answer was cut short";
    }
}

void sp__h2_peer_ended(struct h2 *h2, struct h2_stream *stream)
{
    int cut_short = stream->prefix_size != 0;
    if (h2->role == H2_SERVER) {
        if (cut_short && !stream->deaf) {
            sp__h2_stream_fail(stream, GRPC_INTERNAL, "the request was cut short");
        } else if (!stream->deaf && !stream->silent &&
                   h2->events.on_half_close != NULL) {
            h2->events.on_half_close(h2->user, stream);
        }
        return;
    }
    if (cut_short) {
        sp__h2_cut_short(stream);
    }
    stream->deaf = 1;
    if (!stream->eof_out && !stream->reset) {
        /* The answer is whole, nobody needs what is left of the question. */
        sp__h2_queue_clear(stream);
        stream->half_closed = 1;
        (void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE,
                                        (int32_t)stream->id, NGHTTP2_NO_ERROR);
    }
}

static void headers_came(struct h2 *h2, const nghttp2_frame *frame, int is_end)
{
    struct h2_stream *stream = find_stream(h2, frame->hd.stream_id);
    if (stream == NULL) {
        return;
    }
    if (h2->role == H2_CLIENT) {
        useful(h2, 2);
        response_came(h2, stream, is_end);
    } else if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        sp__h2_request_came(h2, stream);
    }
    if (is_end) {
        sp__h2_peer_ended(h2, stream);
    }
}

static int frame_recv_cb(nghttp2_session *session, const nghttp2_frame *frame,
                         void *user_data)
{
    struct h2 *h2 = user_data;
    int is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        h2->in_block = 0;
        headers_came(h2, frame, is_end);
        break;
    case NGHTTP2_DATA:
        if (is_end) {
            struct h2_stream *stream = find_stream(h2, frame->hd.stream_id);
            if (stream != NULL) {
                sp__h2_peer_ended(h2, stream);
            }
        }
        break;
    case NGHTTP2_SETTINGS:
        h2->greeted = 1;
        break;
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 && h2->events.on_pong != NULL) {
            uint64_t opaque;
            memcpy(&opaque, frame->ping.opaque_data, sizeof opaque);
            h2->events.on_pong(h2->user, opaque);
        }
        break;
    case NGHTTP2_GOAWAY:
        h2->goaway_received = 1;
        if (h2->events.on_goaway != NULL) {
            h2->events.on_goaway(h2->user, frame->goaway.error_code);
        }
        break;
    default: /* nghttp2 deals with the rest */
        break;
    }
    return 0;
}

static int data_cb(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                   const uint8_t *data, size_t size, void *user_data)
{
    struct h2 *h2 = user_data;
    struct h2_stream *stream = find_stream(h2, stream_id);
    h2->consumed += size;
    if (stream != NULL) {
        sp__h2_stream_data(stream, data, size, (flags & NGHTTP2_FLAG_END_STREAM) != 0);
    }
    return h2->failed != 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int stream_close_cb(nghttp2_session *session, int32_t stream_id,
                           uint32_t error_code, void *user_data)
{
    struct h2 *h2 = user_data;
    struct h2_stream *stream = find_stream(h2, stream_id);
    if (stream != NULL) {
        h2->recent = NULL;
        nghttp2_session_set_stream_user_data(session, stream_id, NULL);
        sp__h2_stream_end(stream, error_code);
    }
    return 0;
}

static int frame_send_cb(nghttp2_session *session, const nghttp2_frame *frame,
                         void *user_data)
{
    struct h2 *h2 = user_data;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        h2->goaway_sent = 1;
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR &&
            frame->goaway.error_code != h2->own_goaway_code) {
            h2->broken = 1; /* nghttp2's own: the peer broke the protocol */
        }
    } else if (frame->hd.type == NGHTTP2_HEADERS) {
        struct h2_stream *stream = find_stream(h2, frame->hd.stream_id);
        if (stream != NULL) {
            stream->headers_sent = 1;
            if (h2->role == H2_SERVER &&
                (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
                stream->status_sent = 1;
                if (nghttp2_session_get_stream_remote_close(session,
                                                            frame->hd.stream_id) == 0) {
                    /* RFC 9113 section 8.1: the answer is whole, send no more. */
                    (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE,
                                                    frame->hd.stream_id,
                                                    NGHTTP2_NO_ERROR);
                }
            }
        }
    } else if (frame->hd.type == NGHTTP2_DATA) {
        useful(h2, 1);
    }
    return 0;
}

/* ---- life ---- */

static void set_defaults(struct h2 *h2)
{
    struct h2_options *o = &h2->options;
    if (o->streams_max == 0) {
        o->streams_max = o->trusted ? STREAMS_MAX_TRUSTED : STREAMS_MAX_STRANGER;
    }
    if (o->message_max == 0) {
        o->message_max = MESSAGE_MAX;
    }
    if (o->message_max > UINT32_MAX) {
        o->message_max = UINT32_MAX; /* the prefix holds no more */
    }
    if (o->stream_window == 0) {
        o->stream_window = STREAM_WINDOW;
    }
    if (o->stream_window > NGHTTP2_MAX_WINDOW_SIZE) {
        o->stream_window = NGHTTP2_MAX_WINDOW_SIZE;
    }
    if (o->high_water == 0) {
        o->high_water = HIGH_WATER;
    }
    h2->limits.list_max =
        o->trusted ? HEADER_LIST_MAX_TRUSTED : HEADER_LIST_MAX_STRANGER;
    h2->limits.count_max = o->trusted ? HEADERS_MAX_TRUSTED : HEADERS_MAX_STRANGER;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks,
                                                            begin_headers_cb);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, header_cb);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_recv_cb);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_cb);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_close_cb);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, frame_send_cb);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, sp__h2_send_data_cb);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, begin_frame_cb);
    return callbacks;
}

static nghttp2_option *make_option(void)
{
    nghttp2_option *option;
    if (nghttp2_option_new(&option) != 0) {
        return NULL;
    }
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_continuations(option, CONTINUATIONS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, RESETS_BURST, RESETS_PER_S);
    return option;
}

static int submit_settings(struct h2 *h2)
{
    nghttp2_settings_entry entries[3] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, h2->options.stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)h2->limits.list_max},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    if (h2->role == H2_SERVER) {
        entries[2] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                              h2->options.streams_max};
    }
    int rc = nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, entries, 3);
    if (rc == 0) {
        rc = nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                   CONNECTION_WINDOW);
    }
    return rc;
}

static int make_session(struct h2 *h2)
{
    nghttp2_mem mem = sp__h2_mem_of(&h2->mem);
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *option = make_option();
    int rc = NGHTTP2_ERR_NOMEM;
    if (callbacks != NULL && option != NULL) {
        rc =
            h2->role == H2_CLIENT
                ? nghttp2_session_client_new3(&h2->session, callbacks, h2, option, &mem)
                : nghttp2_session_server_new3(&h2->session, callbacks, h2, option,
                                              &mem);
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    if (rc != 0) {
        h2->session = NULL;
        return rc;
    }
    if (h2->options.first_stream_id != 0) {
        rc = nghttp2_session_set_next_stream_id(h2->session,
                                                (int32_t)h2->options.first_stream_id);
    }
    return rc != 0 ? rc : submit_settings(h2);
}

int sp__h2_new(enum h2_role role, const struct h2_options *options,
               const struct h2_events *events, void *user, struct h2 **ret_h2,
               sp_error *err)
{
    static const struct h2_options defaults;
    struct h2 *h2 = sp__calloc(1, sizeof *h2);
    if (h2 == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the HTTP/2 connection");
    }
    h2->role = role;
    h2->options = options != NULL ? *options : defaults;
    h2->events = *events;
    h2->user = user;
    sp__h2_block_reset(&h2->block);
    set_defaults(h2);

    const char *authority =
        h2->options.authority != NULL ? h2->options.authority : "snakepit";
    h2->authority = sp__strdup(authority);
    h2->options.authority = NULL;
    int is_made = h2->options.trusted ? sp__lean_open(h2) : make_session(h2) == 0;
    if (h2->authority == NULL || !is_made) {
        sp__h2_free(h2);
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the HTTP/2 connection");
    }
    h2->authority_size = strlen(h2->authority);
    *ret_h2 = h2;
    return SP_OK;
}

void sp__h2_free(struct h2 *h2)
{
    if (h2 == NULL) {
        return;
    }
    h2->closing = 1;
    struct link *link;
    while ((link = h2->streams.first) != NULL) {
        sp__h2_stream_end(ITEM(link, struct h2_stream, on_open), NGHTTP2_NO_ERROR);
    }
    sp__lean_close(h2);
    nghttp2_session_del(h2->session);
    sp__h2_mem_fini(&h2->mem);
    sp__h2_stream_drop_all(h2);
    sp__h2_pieces_drop(h2);
    sp__h2_block_fini(&h2->block);
    sp__free(h2->authority);
    sp__free(h2);
}

/* ---- bytes in, and what concerns the whole connection ---- */

int sp__h2_receive(struct h2 *h2, const uint8_t *data, size_t size, sp_error *err)
{
    if (h2->broken || h2->flooded) {
        return sp__fail(err, SP_ERR_PROTOCOL, "the HTTP/2 connection is broken");
    }
    if (h2->lean != NULL) {
        return sp__lean_receive(h2, data, size, err);
    }
    useful(h2, GLITCHES_FORGIVEN);
    ssize_t n = nghttp2_session_mem_recv(h2->session, data, size);
    if (n >= 0 && h2->consumed > 0) {
        n = nghttp2_session_consume_connection(h2->session, h2->consumed);
        h2->consumed = 0;
    }
    if (n < 0) {
        return sp__h2_fatal(h2, (int)n, err);
    }
    if (h2->failed != 0) {
        return sp__h2_fatal(h2, NGHTTP2_ERR_CALLBACK_FAILURE, err);
    }
    if (h2->flooded) {
        return sp__fail(err, SP_ERR_PROTOCOL,
                        "the peer floods the connection with control frames");
    }
    return SP_OK;
}

int sp__h2_wants_send(const struct h2 *h2)
{
    return h2->lean != NULL ? sp__lean_wants_send(h2)
                            : nghttp2_session_want_write(h2->session);
}

int sp__h2_is_done(const struct h2 *h2)
{
    if (h2->lean != NULL) {
        int is_ending = h2->goaway_sent || h2->goaway_received;
        return h2->broken ||
               (is_ending && h2->streams.length == 0 && !sp__lean_wants_send(h2));
    }
    return !nghttp2_session_want_write(h2->session) &&
           (h2->broken || !nghttp2_session_want_read(h2->session));
}

int sp__h2_is_greeted(const struct h2 *h2)
{
    return h2->greeted;
}

int sp__h2_in_block(const struct h2 *h2)
{
    return h2->in_block || (h2->lean != NULL && h2->lean->in.size > 0);
}

int sp__h2_ping(struct h2 *h2, uint64_t opaque, sp_error *err)
{
    uint8_t bytes[sizeof opaque];
    memcpy(bytes, &opaque, sizeof opaque);
    int rc = h2->lean != NULL
                 ? sp__lean_put(h2->lean, LEAN_PING, 0, bytes, sizeof bytes)
                 : nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, bytes);
    return rc == 0 ? SP_OK : sp__fail(err, SP_ERR_NOMEM, "no memory for a PING");
}

int sp__h2_goaway(struct h2 *h2, uint32_t error_code, sp_error *err)
{
    int rc;
    h2->own_goaway_code = error_code;
    if (h2->lean != NULL) {
        uint32_t payload[2] = {error_code, h2->lean->last_id};
        rc = sp__lean_put(h2->lean, LEAN_GOAWAY, 0, payload, sizeof payload);
        h2->lean->goaway_id = h2->lean->last_id;
    } else {
        rc = nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
                                   nghttp2_session_get_last_proc_stream_id(h2->session),
                                   error_code, NULL, 0);
    }
    if (rc != 0) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a GOAWAY");
    }
    h2->goaway_sent = 1;
    return SP_OK;
}

size_t sp__h2_streams(const struct h2 *h2)
{
    return h2->streams.length;
}

uint32_t sp__h2_ids_left(const struct h2 *h2)
{
    uint32_t next = h2->lean != NULL ? h2->lean->next_id
                                     : nghttp2_session_get_next_stream_id(h2->session);
    return next > INT32_MAX ? 0 : (INT32_MAX - next) / 2 + 1;
}
