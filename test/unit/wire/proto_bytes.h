/* SPDX-License-Identifier: MIT */
/*
 * Bytes as the tests of the coders make and compare them.
 */
#ifndef TEST_PROTO_BYTES_H
#define TEST_PROTO_BYTES_H

#include <stdlib.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "leak.h"
#include "wire/proto.h"

static inline struct sp_buffer buffer(void)
{
    struct sp_buffer out;
    sp__buf_init(&out, 64 << 20);
    return out;
}

static inline void assert_bytes(sp_bytes bytes, const void *data, size_t size)
{
    assert_int_equal(bytes.size, size);
    if (size > 0) {
        assert_memory_equal(bytes.data, data, size);
    }
}

static inline void assert_text(sp_bytes bytes, const char *text)
{
    assert_bytes(bytes, text, strlen(text));
}

/* Bytes of a packed message in memory of exactly their size. */
static inline uint8_t *pack(const ProtobufCMessage *message, size_t *ret_size)
{
    *ret_size = protobuf_c_message_get_packed_size(message);
    uint8_t *data = malloc(*ret_size == 0 ? 1 : *ret_size);
    assert_non_null(data);
    assert_int_equal(protobuf_c_message_pack(message, data), *ret_size);
    return data;
}

/* protobuf-c's structs have `char *` where it only reads. */
static inline char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

#endif
