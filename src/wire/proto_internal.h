/* SPDX-License-Identifier: MIT */
/*
 * What the coders share: reading fields one by one where they lie, and packing and
 * unpacking through protobuf-c with the library's allocator and limits.
 */
#ifndef SP_WIRE_PROTO_INTERNAL_H
#define SP_WIRE_PROTO_INTERNAL_H

#include <protobuf-c/protobuf-c.h>

#include "wire/proto.h"

/* An Any's type when it holds JSON text for a stock peer. */
#define SP__STRING_VALUE_URL "type.googleapis.com/google.protobuf.StringValue"
#define SP__SNAKEPIT_URL "type.googleapis.com/snakepit."

enum proto_wire { PROTO_VARINT = 0, PROTO_64 = 1, PROTO_BYTES = 2, PROTO_32 = 5 };

struct proto_reader {
    const uint8_t *at;
    const uint8_t *end;
};

struct proto_field {
    uint32_t number;
    enum proto_wire type;
    uint64_t varint;
    sp_bytes bytes;
};

static inline struct proto_reader sp__proto_reader(const void *data, size_t size)
{
    static const uint8_t nothing;
    const uint8_t *at = size == 0 ? &nothing : data;
    return (struct proto_reader){.at = at, .end = at + size};
}

/* 1 with the next field, 0 at the end, -1 when the bytes are malformed. */
int sp__proto_next(struct proto_reader *reader, struct proto_field *ret);

int sp__proto_malformed(sp_error *err, const char *what);

/* ---- writing: measure, reserve, put ---- */

static inline size_t sp__proto_varint_size(uint64_t value)
{
    size_t n = 1;
    while (value >= 0x80) {
        value >>= 7;
        n++;
    }
    return n;
}

static inline uint8_t *sp__proto_put_varint(uint8_t *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

static inline size_t sp__proto_tag_size(uint32_t number)
{
    return number < 16 ? 1 : 2;
}

/* A field of bytes, written even when there are none. */
static inline size_t sp__proto_field_size(uint32_t number, size_t size)
{
    return sp__proto_tag_size(number) + sp__proto_varint_size(size) + size;
}

static inline uint8_t *sp__proto_put_head(uint8_t *to, uint32_t number, size_t size)
{
    to = sp__proto_put_varint(to, number << 3 | PROTO_BYTES);
    return sp__proto_put_varint(to, size);
}

/* protobuf-c's structs have `char *` where it only reads. NULL is "". */
static inline char *sp__proto_text(const char *text)
{
    return text == NULL ? (char *)(uintptr_t)protobuf_c_empty_string
                        : (char *)(uintptr_t)text;
}

int sp__proto_pack(struct sp_buffer *out, const ProtobufCMessage *message,
                   sp_error *err) SP_MUST_CHECK;

/* NULL with `err` filled when the bytes are malformed, too many, or memory is short. */
ProtobufCMessage *sp__proto_unpack(const ProtobufCMessageDescriptor *descriptor,
                                   const uint8_t *data, size_t size, sp_error *err);
void sp__proto_unpack_free(ProtobufCMessage *message);

#endif
