/* SPDX-License-Identifier: MIT */
/*
 * The framing between our own two halves: gRPC's streams, messages, credit and statuses
 * without HTTP/2 around them. It stands in for nghttp2 on a trusted connection; what is
 * above it, wire/h2.h, is the same. Only h2*.c and lean*.c include this.
 *
 * A frame is a head of eight bytes and a payload. Both ends run on one machine, so numbers
 * are in its own byte order.
 *
 *   head     u32: size of the payload, below 2^24, and the kind in the upper 8 bits
 *            u32: number of the stream, 0: none; the uppermost bit: the sender's last
 *
 *   HELLO    first, from each side: u32 magic, u32 window of a stream, u32 streams_max
 *   HEAD     client: a call. u64 timeout_ms, u32 size of the path, u32 headers; the path;
 *            then each header: u32, u32 sizes, name, value. When it is the sender's last,
 *            what is left is its only message
 *   ACCEPT   server: an answer will come
 *   ANSWER   server: a message, and the end with status 0
 *   DATA     bytes of messages, with the five of gRPC before each. A message in another
 *            frame has none, takes no credit, and is small
 *   STATUS   server: the end. u8 grpc_status and, unless that is all: u32, u32 sizes and
 *            u32 headers; message, details; the headers as above
 *   RESET    the end without one: u32 HTTP/2 error code
 *   NOTHING  was something that is not wanted any more
 *   GRANT    u32 bytes that may be sent beyond the window
 *   PING, PONG  u64
 *   GOAWAY   u32 code, u32 the last stream that is dealt with
 *
 * Every text has a zero byte behind it that its size does not count.
 */
#ifndef SP_WIRE_LEAN_H
#define SP_WIRE_LEAN_H

#include "base/list.h"
#include "base/map.h"
#include "wire/h2.h"

struct h2_opening;
struct h2_trailers;
struct h2_mem;

enum {
    LEAN_HEAD_SIZE = 8,
    LEAN_MAGIC = 0x324e4c53,    /* "SLN2": the digit is the version */
    LEAN_MESSAGE_MAX = 4096,    /* of one in a HEAD or an ANSWER */
    LEAN_PAYLOAD_MAX = 1 << 20, /* of a frame that is no DATA, without such a message */
    LEAN_WINDOW = 65535         /* until the peer's HELLO came */
};

enum lean_kind {
    LEAN_HELLO = 1,
    LEAN_HEAD,
    LEAN_ACCEPT,
    LEAN_DATA,
    LEAN_STATUS,
    LEAN_RESET,
    LEAN_GRANT,
    LEAN_PING,
    LEAN_PONG,
    LEAN_GOAWAY,
    LEAN_NOTHING,
    LEAN_ANSWER
};

struct lean {
    struct map streams; /* by number */

    /* Going out. */
    struct sp_buffer control; /* whole frames, none of them DATA; they go first */
    size_t control_at;        /* so much of it has left */
    uint64_t control_left;    /* bytes of control that ever did */
    struct list ready;        /* streams with something to send, by on_lean */
    struct list over;         /* that end with the next sp__lean_send(), likewise */
    struct list late;         /* client: above the peer's streams_max, likewise */
    uint32_t next_id;         /* client */
    uint32_t peer_window;
    uint32_t peer_streams_max;

    /* Coming in. */
    struct sp_buffer in; /* a frame that is not whole; of DATA the head only */
    uint32_t data_left;  /* of the DATA that is coming in */
    uint32_t data_id;
    int data_is_last;
    uint32_t last_id; /* server: the highest that came */
    uint32_t goaway_id;
};

/* 0 when there is no memory. */
int sp__lean_open(struct h2 *h2);
void sp__lean_close(struct h2 *h2);

int sp__lean_receive(struct h2 *h2, const uint8_t *data, size_t size,
                     sp_error *err) SP_MUST_CHECK;
int sp__lean_send(struct h2 *h2, struct sp_buffer *out, size_t max,
                  sp_error *err) SP_MUST_CHECK;
int sp__lean_wants_send(const struct h2 *h2);

/* Client: give the stream a number and send its head; with it the only message, of at most
 * LEAN_MESSAGE_MAX bytes, unless that is NULL. */
int sp__lean_request(struct h2_stream *stream, const struct h2_opening *opening,
                     sp_error *err) SP_MUST_CHECK;
/* Client: there may be room for one that waits. */
void sp__lean_admit(struct h2 *h2);
/* Server. SP_ERR_NOMEM. */
int sp__lean_accept(struct h2_stream *stream) SP_MUST_CHECK;
/* Server: a status made ready to be sent; NULL without memory. */
struct h2_trailers *sp__lean_trailers(struct h2_mem *mem, const char *message,
                                      size_t message_size, sp_bytes details,
                                      const struct h2_header *headers, size_t count);
/* Server: send the status of a stream whose queue is empty. SP_ERR_NOMEM. */
int sp__lean_status(struct h2_stream *stream) SP_MUST_CHECK;
/* The same, OK, and before it a message of at most LEAN_MESSAGE_MAX bytes. */
int sp__lean_answer(struct h2_stream *stream, sp_bytes message) SP_MUST_CHECK;
/* Either: what is queued may go. */
void sp__lean_wake(struct h2_stream *stream);
/* These three: SP_ERR_NOMEM. */
int sp__lean_reset(struct h2_stream *stream, uint32_t code) SP_MUST_CHECK;
int sp__lean_grant(struct h2_stream *stream, size_t bytes) SP_MUST_CHECK;
int sp__lean_put(struct lean *lean, enum lean_kind kind, uint32_t id,
                 const void *payload, uint32_t size) SP_MUST_CHECK;
/* The stream is over, and its number with it. */
void sp__lean_end(struct h2_stream *stream, uint32_t code);

/* Client: the peer hears of the stream; a part of its head was handed out. */
int sp__lean_has_left(const struct h2_stream *stream);

static inline uint32_t sp__lean_u32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

#endif
