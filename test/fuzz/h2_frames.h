/* SPDX-License-Identifier: MIT */
/*
 * How the HTTP/2 targets read their input.
 *
 * Byte 0 says what the peer is: bit 0 trusted, with the lean framing, bit 1 the
 * connection's opening (preface and SETTINGS, or HELLO) is given for nothing, bit 2 the
 * rest is records of frames instead of raw bytes: type, flags, stream, length, payload.
 * Byte 1 is how many bytes are received at a time (0: all).
 */
#ifndef FUZZ_H2_FRAMES_H
#define FUZZ_H2_FRAMES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "wire/h2.h"
#include "wire/lean.h"

enum { FLAG_TRUSTED = 1, FLAG_OPENED = 2, FLAG_FRAMES = 4, HEAD = 2, RECORD_HEAD = 4 };

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

static inline void put(struct sp_buffer *to, const void *data, size_t size)
{
    CHECK(sp__buf_append(to, data, size, NULL) == SP_OK);
}

static inline void put_frame(struct sp_buffer *to, int trusted, uint8_t type,
                             uint8_t flags, uint8_t id, const void *payload,
                             uint8_t size)
{
    if (trusted) {
        const uint32_t lean[2] = {(uint32_t)type << 24 | size, (flags & 1u) << 31 | id};
        put(to, lean, sizeof lean);
    } else {
        const uint8_t head[9] = {0, 0, size, type, flags, 0, 0, 0, id};
        put(to, head, sizeof head);
    }
    put(to, payload, size);
}

static inline void put_opening(struct sp_buffer *to, int trusted, enum h2_role peer)
{
    if (trusted) {
        const uint32_t hello[3] = {LEAN_MAGIC, 1000, 10};
        put_frame(to, 1, LEAN_HELLO, 0, 0, hello, sizeof hello);
        return;
    }
    if (peer == H2_CLIENT) {
        put(to, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    }
    put_frame(to, 0, 4, 0, 0, NULL, 0);
}

/* The bytes that the input stands for. */
static inline void make_bytes(struct sp_buffer *to, enum h2_role peer,
                              const uint8_t *data, size_t size)
{
    uint8_t flags = data[0];
    data += HEAD;
    size -= HEAD;
    if (flags & FLAG_OPENED) {
        put_opening(to, flags & FLAG_TRUSTED, peer);
    }
    if ((flags & FLAG_FRAMES) == 0) {
        put(to, data, size);
        return;
    }
    while (size >= RECORD_HEAD) {
        size_t n = size - RECORD_HEAD < data[3] ? size - RECORD_HEAD : data[3];
        put_frame(to, flags & FLAG_TRUSTED, data[0], data[1], data[2],
                  data + RECORD_HEAD, (uint8_t)n);
        data += RECORD_HEAD + n;
        size -= RECORD_HEAD + n;
    }
}

/* Receive everything, sending in between; what is sent is thrown away. */
static inline void feed(struct h2 *h2, const struct sp_buffer *bytes, size_t step)
{
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
    step = step == 0 ? bytes->size : step;
    for (size_t at = 0; at < bytes->size; at += step) {
        size_t n = bytes->size - at < step ? bytes->size - at : step;
        /* A copy of its own, so that reading past its end is seen. */
        uint8_t *part = malloc(n);
        CHECK(part != NULL);
        memcpy(part, bytes->data + at, n);
        int rc = sp__h2_receive(h2, part, n, NULL);
        free(part);
        out.size = 0;
        int more = 1;
        while (more > 0) {
            more = sp__h2_send(h2, &out, 1000, NULL);
        }
        if (rc < 0 || more < 0) {
            CHECK(rc != SP_ERR_NOMEM && more != SP_ERR_NOMEM);
            break;
        }
    }
    sp__buf_fini(&out);
}

#endif
