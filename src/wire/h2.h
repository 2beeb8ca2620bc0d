/* SPDX-License-Identifier: MIT */
/*
 * One connection that speaks gRPC, in either role: HTTP/2 over nghttp2, or with a peer of
 * our own a framing that is leaner (wire/lean.h). Who uses it sees no difference.
 *
 * Pure: bytes from the peer go in with sp__h2_receive(), bytes for the peer come out
 * with sp__h2_send(); events arrive through callbacks while bytes go in. No socket, no
 * clock, no thread: one caller at a time.
 *
 * Both roles see the same stream: messages come and go, then a status ends it. A client
 * opens streams with sp__h2_open(); a server hears of them through on_request.
 *
 * Follows: RFC 9113, RFC 7541, "gRPC over HTTP2" (the protocol document).
 */
#ifndef SP_WIRE_H2_H
#define SP_WIRE_H2_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "snakepit/error.h"

struct h2;        /* the connection */
struct h2_stream; /* one RPC; valid from its first event until on_end has returned */

enum h2_role { H2_CLIENT, H2_SERVER };

struct h2_header {
    const char *name; /* lower case; "-bin" values are decoded already */
    size_t name_size;
    const char *value;
    size_t value_size;
};

/* How an RPC ended. Borrowed during on_end. */
struct h2_status {
    int grpc_status;        /* 0 OK ... 16; -1: no trailers came */
    const char *message;    /* percent-decoded, NUL-terminated, "" when absent */
    const uint8_t *details; /* grpc-status-details-bin, decoded, or NULL */
    size_t details_size;
    uint32_t rst_code; /* HTTP/2 error code when the stream was reset, else 0 */
    int refused;       /* certainly never reached user code: REFUSED_STREAM, or
                              above GOAWAY's last stream id */
    const struct h2_header *trailers; /* the rest */
    size_t trailers_count;
};

/* The head of a request, as a server sees it. Borrowed during on_request. */
struct h2_request {
    const char *path; /* "/snakepit.bridge.BridgeService/ExecuteTool" */
    size_t path_size;
    uint64_t timeout_ms; /* from grpc-timeout, rounded up; SP_UNLIMITED: none */
    const struct h2_header *headers; /* metadata, reserved names left out */
    size_t headers_count;
};

struct h2_events {
    /* Server: a request began. Return a gRPC status to refuse it, 0 to go on. After a
     * refusal the stream is not the user's any more: no further event tells of it. */
    int (*on_request)(void *user, struct h2_stream *stream,
                      const struct h2_request *request);
    /* Client: the response's headers came. May be NULL. */
    void (*on_headers)(void *user, struct h2_stream *stream);
    /* One whole gRPC message, borrowed during the call. */
    void (*on_message)(void *user, struct h2_stream *stream, const uint8_t *data,
                       size_t size);
    /* Server: the client sends no more. May be NULL. */
    void (*on_half_close)(void *user, struct h2_stream *stream);
    /* The stream is over, and `stream` is gone after it: exactly once for every stream,
     * but for those whose sp__h2_stream_user() is NULL, with which the user was done.
     * Client: how it ended. Server: status->rst_code != 0 when the client cancelled,
     * otherwise the status we sent. Also called from sp__h2_free(). */
    void (*on_end)(void *user, struct h2_stream *stream,
                   const struct h2_status *status);
    /* A stream whose sp__h2_queued() was above the high-water mark fell below it.
     * May be NULL. Called during sp__h2_send(). */
    void (*on_drained)(void *user, struct h2_stream *stream);
    /* The peer answered sp__h2_ping(). May be NULL. */
    void (*on_pong)(void *user, uint64_t opaque);
    /* The peer will take no new streams. May be NULL. */
    void (*on_goaway)(void *user, uint32_t error_code);
};

struct h2_options {
    int trusted;              /* our own peer, which says the same of us: the lean
                                  framing, no abuse limits. Never with strangers, nor
                                  on one side only */
    uint32_t streams_max;     /* server: concurrent streams allowed, default 1 << 20
                                  for trusted peers, 128 otherwise */
    size_t message_max;       /* larger messages end the stream RESOURCE_EXHAUSTED */
    uint32_t stream_window;   /* bytes a peer may send ahead on a stream the receiver
                                  holds, default 1 MiB */
    size_t high_water;        /* see on_drained, default 256 KiB */
    const char *authority;    /* client, default "snakepit" */
    uint32_t first_stream_id; /* client: an odd number to begin with, default 1; for
                                 tests of what happens when the numbers run out */
};

int sp__h2_new(enum h2_role role, const struct h2_options *options,
               const struct h2_events *events, void *user, struct h2 **ret_h2,
               sp_error *err) SP_MUST_CHECK;

/* Ends every stream (on_end, grpc_status -1, rst_code 0, refused 0) and frees. */
void sp__h2_free(struct h2 *h2);

/* Take bytes from the peer. SP_ERR_PROTOCOL, SP_ERR_NOMEM: the connection is beyond
 * repair, send what sp__h2_send() still gives (a GOAWAY) and close. Some violations show
 * only in the sp__h2_send() that follows, which fails with the GOAWAY in `out`. Messages
 * of one call in one DATA frame, or split anywhere, are put together here. */
int sp__h2_receive(struct h2 *h2, const uint8_t *data, size_t size,
                   sp_error *err) SP_MUST_CHECK;

/* Append the bytes that are due for the peer to `out`, at most about `max` (a frame of 16
 * KiB more); returns 1 when more is due, 0 when all is out, negative on failure (as
 * sp__h2_receive()): write what stands in `out` all the same, then close. */
int sp__h2_send(struct h2 *h2, struct sp_buffer *out, size_t max,
                sp_error *err) SP_MUST_CHECK;

/* 1 when sp__h2_send() has something to say. */
int sp__h2_wants_send(const struct h2 *h2);

/* 1 once the peer's first SETTINGS came. */
int sp__h2_is_greeted(const struct h2 *h2);

/* 1 while a header block of the peer has begun and is not whole. */
int sp__h2_in_block(const struct h2 *h2);

/* 1 when the connection is over: neither side will say more. */
int sp__h2_is_done(const struct h2 *h2);

/*
 * Client: open an RPC and send its first message.
 *
 * path         NUL-terminated, must outlive the stream (a constant)
 * timeout_ms   to strangers as grpc-timeout; SP_UNLIMITED sends none
 * message      borrowed during the call, copied; NULL data with size 0 sends none
 * half_close   1: nothing more will be sent
 * user         see sp__h2_stream_user()
 */
int sp__h2_open(struct h2 *h2, const char *path, uint64_t timeout_ms,
                const struct h2_header *headers, size_t headers_count, sp_bytes message,
                int half_close, void *user, struct h2_stream **ret_stream,
                sp_error *err) SP_MUST_CHECK;

/* The same without a copy of a large message: its bytes are the caller's, who must leave
 * them alone until on_end, or until sp__h2_reset() has been called. */
int sp__h2_open_lend(struct h2 *h2, const char *path, uint64_t timeout_ms,
                     const struct h2_header *headers, size_t headers_count,
                     sp_bytes message, int half_close, void *user,
                     struct h2_stream **ret_stream, sp_error *err) SP_MUST_CHECK;

/* The same message without the copy: takes *data (from sp__malloc), which must begin
 * with 5 spare bytes for the gRPC prefix; `size` counts the message without them. */
int sp__h2_open_take(struct h2 *h2, const char *path, uint64_t timeout_ms,
                     const struct h2_header *headers, size_t headers_count,
                     uint8_t **data, size_t size, int half_close, void *user,
                     struct h2_stream **ret_stream, sp_error *err) SP_MUST_CHECK;

/* Either role: queue one more message. SP_ERR_CLOSED when the stream is half-closed or
 * reset. The first one of a server sends the response headers before it. */
int sp__h2_write(struct h2_stream *stream, sp_bytes message,
                 sp_error *err) SP_MUST_CHECK;

/* The same without the copy; *data as in sp__h2_open_take(). */
int sp__h2_write_take(struct h2_stream *stream, uint8_t **data, size_t size,
                      sp_error *err) SP_MUST_CHECK;

/* Queue messages that carry their 5-byte prefixes already (many small chunks at once). */
int sp__h2_write_framed(struct h2_stream *stream, const uint8_t *data, size_t size,
                        sp_error *err) SP_MUST_CHECK;

/* Server: send the response headers now, before any message. */
int sp__h2_accept(struct h2_stream *stream, sp_error *err) SP_MUST_CHECK;

/* Client: no more messages from us. */
int sp__h2_half_close(struct h2_stream *stream, sp_error *err) SP_MUST_CHECK;

/* Server: end the RPC with a status, after what is queued. message may be NULL; details
 * may be empty; trailers are further metadata. */
int sp__h2_finish(struct h2_stream *stream, int grpc_status, const char *message,
                  sp_bytes details, const struct h2_header *trailers,
                  size_t trailers_count, sp_error *err) SP_MUST_CHECK;

/* Server: end the RPC with one more message and the status OK. On failure nothing of it
 * has left, and the stream was reset unless it can still be ended otherwise. */
int sp__h2_answer(struct h2_stream *stream, sp_bytes message,
                  sp_error *err) SP_MUST_CHECK;

/* Why a stream is reset, or the peer told to go away: RFC 9113, section 7. */
enum {
    RST_NO_ERROR = 0,
    RST_INTERNAL = 2,
    RST_REFUSED = 7,
    RST_CANCEL = 8,
    RST_CALM = 11
};

/* Reset the stream: RST_CANCEL from a client that lost interest, and so on. on_end follows
 * during a later sp__h2_send() or sp__h2_receive(). */
void sp__h2_reset(struct h2_stream *stream, uint32_t rst_code);

/* Bytes queued for the peer on this stream and not yet handed out. */
size_t sp__h2_queued(const struct h2_stream *stream);

/* Inside on_message: move a large message into `to`, whose own memory is released, instead
 * of copying it. Behind its last byte there is room for one more. 0 when the message lies
 * elsewhere, and must be copied. */
int sp__h2_take_message(struct h2_stream *stream, struct sp_buffer *to);

/* Bytes of a message of the peer that is not whole yet. */
size_t sp__h2_unfinished(const struct h2_stream *stream);

/* Hold a stream: from now on the peer may send only stream_window bytes more than
 * sp__h2_grant() has returned, except that a message always comes whole when nothing
 * before it awaits a grant. A delivered message costs its size and 5, so that even empty
 * ones end; grants beyond what was delivered are ignored. Without holding every byte
 * received is granted at once. */
void sp__h2_hold(struct h2_stream *stream);
void sp__h2_grant(struct h2_stream *stream, size_t bytes);

void sp__h2_stream_set_user(struct h2_stream *stream, void *user);
void *sp__h2_stream_user(const struct h2_stream *stream);
uint32_t sp__h2_stream_id(const struct h2_stream *stream); /* HTTP/2's own */
struct h2 *sp__h2_of(const struct h2_stream *stream);

/* Send a PING; on_pong brings `opaque` back. */
int sp__h2_ping(struct h2 *h2, uint64_t opaque, sp_error *err) SP_MUST_CHECK;

/* Send GOAWAY: no new streams, those open go on. */
int sp__h2_goaway(struct h2 *h2, uint32_t error_code, sp_error *err) SP_MUST_CHECK;

/* Streams open now. */
size_t sp__h2_streams(const struct h2 *h2);

/* Client: RPCs that can still be opened. HTTP/2 has 2^30 stream numbers for each
 * connection, about an hour's worth for a busy one: replace the connection in time. */
uint32_t sp__h2_ids_left(const struct h2 *h2);

#endif
