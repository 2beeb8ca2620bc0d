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

/* 1 with the next field, 0 at the end, -1 when the bytes are malformed. */
int sp__proto_next(struct proto_reader *reader, struct proto_field *ret);

int sp__proto_malformed(sp_error *err, const char *what);

int sp__proto_pack(struct sp_buffer *out, const ProtobufCMessage *message,
                   sp_error *err) SP_MUST_CHECK;

/* NULL with `err` filled when the bytes are malformed, too many, or memory is short. */
ProtobufCMessage *sp__proto_unpack(const ProtobufCMessageDescriptor *descriptor,
                                   const uint8_t *data, size_t size, sp_error *err);
void sp__proto_unpack_free(ProtobufCMessage *message);

#endif
