/* SPDX-License-Identifier: MIT */
/*
 * SharedValue: where in the memory that host and worker share a value is. By hand, for it
 * travels inside the hot messages. Reading fails for what is malformed; whether the place
 * exists is for the arena to say.
 */
#include "wire/proto_internal.h"

#include "base/error.h"

enum { REF_SLOT = 1, REF_AT = 2, REF_SIZE = 3 };

static uint8_t *put_number(uint8_t *to, uint32_t number, uint64_t value)
{
    *to++ = (uint8_t)(number << 3 | PROTO_VARINT);
    return sp__proto_put_varint(to, value);
}

size_t sp__proto_put_ref(uint8_t *to, const struct arena_ref *ref)
{
    uint8_t *at = put_number(to, REF_SLOT, ref->slot);
    at = put_number(at, REF_AT, ref->at);
    at = put_number(at, REF_SIZE, ref->size);
    return (size_t)(at - to);
}

int sp__proto_get_ref(sp_bytes bytes, struct arena_ref *ret, sp_error *err)
{
    const uint8_t *data = bytes.data;
    struct proto_reader reader = {.at = data, .end = data + bytes.size};
    struct proto_field field;
    struct arena_ref ref = {.slot = UINT32_MAX};
    int rc = 0;
    while (bytes.size > 0 && (rc = sp__proto_next(&reader, &field)) > 0) {
        if (field.type != PROTO_VARINT) {
            continue;
        }
        if (field.number == REF_SLOT) {
            ref.slot = field.varint > UINT32_MAX ? UINT32_MAX : (uint32_t)field.varint;
        } else if (field.number == REF_AT) {
            ref.at = field.varint;
        } else if (field.number == REF_SIZE) {
            ref.size = field.varint;
        }
    }
    if (rc < 0) {
        return sp__proto_malformed(err, "SharedValue");
    }
    *ret = ref;
    return SP_OK;
}
