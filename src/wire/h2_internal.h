/* SPDX-License-Identifier: MIT */
/*
 * What the files of the connection share: h2.c (its life and what it receives),
 * h2_stream.c (a stream's life and its end), h2_send.c (what it sends), h2_headers.c
 * (header blocks that go out), and lean.c and lean_out.c (the framing between peers of
 * ours, in the place of nghttp2). Nobody else includes this.
 */
#ifndef SP_WIRE_H2_INTERNAL_H
#define SP_WIRE_H2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "base/list.h"
#include "wire/grpc_meta.h"
#include "wire/h2.h"
#include "wire/h2_block.h"
#include "wire/h2_mem.h"
#include "wire/lean.h"

enum { H2_PREFIX = 5 }; /* compressed flag, 32-bit length */

/* Bytes on their way out. Small messages share one piece; a message that was taken or
 * is large has its own. */
struct h2_piece {
    struct h2_piece *next;
    uint8_t *data; /* behind the struct, or memory that was taken */
    size_t size;
    size_t sent;
    size_t capacity;
    int lent; /* data is the user's and stays so */
};

struct h2_stream {
    struct link on_open;    /* h2->streams, or h2->spare when it is free */
    struct link on_drained; /* h2->drained: on_drained is due */
    struct h2 *h2;
    void *user;
    uint32_t id;

    /* Where it stands. */
    uint8_t headers_out;  /* our header block is submitted (server: accepted) */
    uint8_t headers_sent; /* ... and has left (client) */
    uint8_t headers_in;   /* the peer's header block came */
    uint8_t half_closed;  /* we queue no more messages */
    uint8_t eof_out;      /* client: END_STREAM is out or in nghttp2's hands */
    uint8_t finished;     /* server: a status is set */
    uint8_t trailers_out; /* server: the trailers are submitted */
    uint8_t status_sent;  /* server: the status has left */
    uint8_t reset;        /* we reset it */
    uint8_t silent;       /* the user never heard of it: no events */
    uint8_t deaf;         /* what comes is thrown away */
    uint8_t deferred;     /* nghttp2 waits for sp__h2_write() */
    uint8_t above_mark;   /* queued was above the high-water mark */
    uint8_t held;         /* sp__h2_hold() */
    uint8_t whole;        /* `in` is the message being delivered */
    uint8_t status_here;  /* lean: more than its number stands in h2->block */
    uint32_t reset_code;

    /* Outgoing. */
    struct h2_piece *out_first;
    struct h2_piece *out_last;
    size_t queued;

    /* Incoming: the message that is not whole yet. */
    uint8_t prefix[H2_PREFIX];
    uint8_t prefix_size;
    size_t message_size;
    struct sp_buffer in;
    size_t consumed; /* to give back to the peer once it is worth a frame */
    size_t unread;   /* held: delivered and not granted, prefixes too */
    size_t early;    /* held: given back before sp__h2_grant() asked for it */

    /* The end: the status that came (client) or that is to be sent (server). */
    int status;                   /* -1: none yet */
    int http_status;              /* client: when it was not 200 */
    const char *status_text;      /* ours, constant; NULL: look into `block` */
    struct h2_block *block;       /* client: trailers with more than a status */
    struct h2_trailers *trailers; /* server: what goes with the status */

    /* Of the lean framing. */
    struct link on_lean; /* one of its lists */
    int64_t credit;      /* bytes of DATA that the peer still takes */
    uint64_t head_at;    /* client: where its head is, among all control bytes */
    size_t head_size;
    uint8_t *late_head; /* client: the head while it waits for the peer to have room */
};

/* What a client opens a stream with: as sp__h2_open() was given it. */
struct h2_opening {
    const char *path;
    uint64_t timeout_ms;
    const struct h2_header *headers;
    size_t headers_count;
    const sp_bytes *message; /* lean: goes with the head; or NULL */
    int half_close;
    void *user;
};

/* A server's status beyond the bare number, until it is sent. One block of the
 * connection's memory. */
struct h2_trailers {
    char *message; /* percent-encoded; NULL: none */
    size_t message_size;
    const char *text; /* the message as it was given, NUL-terminated */
    char *details;    /* base64; NULL: none. Lean: all there is, as it is sent */
    size_t details_size;
    size_t count; /* further metadata, in `fields` */
    nghttp2_nv fields[];
};

struct h2 {
    struct lean *lean;        /* of a trusted connection, or NULL, and then: */
    nghttp2_session *session; /* NULL in a lean one */
    struct h2_mem mem;        /* the session's */
    enum h2_role role;
    struct h2_options options;
    struct h2_events events;
    void *user;
    char *authority; /* client */
    size_t authority_size;

    struct h2_stream *recent; /* the stream that was looked up last, or NULL */

    struct list streams; /* open */
    struct list spare;   /* struct h2_stream to reuse */
    struct list drained;
    struct h2_piece *spare_pieces;
    uint32_t spare_pieces_count;

    struct h2_block block; /* the header block that is coming in */
    struct h2_block_limits limits;
    size_t consumed; /* DATA of this sp__h2_receive(), to give back to the connection */
    size_t in_bytes; /* in half-received messages, all streams */

    struct sp_buffer *out; /* during sp__h2_send() */
    size_t out_max;        /* its size when it is full */
    int failed;            /* SP_ERR_ of something inside a callback */

    uint32_t timeouts_sent;
    uint32_t own_goaway_code;
    uint8_t goaway_sent;
    uint8_t goaway_received;
    uint8_t paused; /* a data source met the limit of sp__h2_send() */
    uint8_t closing;
    uint8_t broken;
    uint8_t greeted;   /* the peer's SETTINGS came */
    uint8_t in_block;  /* its header block is not whole */
    uint8_t flooded;   /* too many glitches */
    uint32_t glitches; /* frames that cost us and bring nothing, less what was useful */
};

/* h2_stream.c */
struct h2_stream *sp__h2_stream_new(struct h2 *h2);
void sp__h2_stream_end(struct h2_stream *stream, uint32_t error_code);
void sp__h2_stream_recycle(struct h2_stream *stream);
void sp__h2_stream_drop_all(struct h2 *h2); /* the spare ones */
/* Give up on the stream with a status of our own making. */
void sp__h2_stream_fail(struct h2_stream *stream, int status, const char *text);
void sp__h2_stream_data(struct h2_stream *stream, const uint8_t *data, size_t size,
                        int is_last);

/* A whole message at once. */
void sp__h2_stream_message(struct h2_stream *stream, const uint8_t *data, size_t size);

/* h2_send.c */
int sp__h2_queue_message(struct h2_stream *stream, sp_bytes message,
                         sp_error *err) SP_MUST_CHECK;
int sp__h2_queue_lent(struct h2_stream *stream, sp_bytes message,
                      sp_error *err) SP_MUST_CHECK;
int sp__h2_queue_taken(struct h2_stream *stream, uint8_t *data, size_t size,
                       sp_error *err) SP_MUST_CHECK;
void sp__h2_queue_untake(struct h2_stream *stream);
void sp__h2_queue_clear(struct h2_stream *stream);
/* Move `size` bytes from the front of the queue, which has them. */
void sp__h2_queue_copy(struct h2_stream *stream, uint8_t *to, size_t size);
void sp__h2_wake(struct h2_stream *stream);
void sp__h2_pieces_drop(struct h2 *h2);
void sp__h2_tell_drained(struct h2 *h2);
ssize_t sp__h2_read_cb(nghttp2_session *session, int32_t stream_id, uint8_t *buf,
                       size_t length, uint32_t *data_flags, nghttp2_data_source *source,
                       void *user_data);
int sp__h2_send_data_cb(nghttp2_session *session, nghttp2_frame *frame,
                        const uint8_t *framehd, size_t length,
                        nghttp2_data_source *source, void *user_data);

/* h2_headers.c */
/* A response of headers alone, `http_status` being text like "415". */
int sp__h2_answer_http(struct h2_stream *stream, const char *http_status);
/* nghttp2's error code or 0. */
int sp__h2_submit_trailers(struct h2_stream *stream);

/* h2.c */
int sp__h2_fatal(struct h2 *h2, int nghttp2_code, sp_error *err);
/* Server: the head of a request stands in h2->block. */
void sp__h2_request_came(struct h2 *h2, struct h2_stream *stream);
/* The peer says no more on this stream. */
void sp__h2_peer_ended(struct h2 *h2, struct h2_stream *stream);
/* Client: the answer ended inside a message. */
void sp__h2_cut_short(struct h2_stream *stream);

#endif
