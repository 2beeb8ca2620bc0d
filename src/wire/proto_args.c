/* SPDX-License-Identifier: MIT */
/*
 * The parameters map of a request, put together into the one JSON object that tools take.
 *
 * Each value is JSON text, or text packed as a real StringValue. Fails when a value is
 * neither, and when the memory or the buffer's limit ends.
 */
#include <string.h>

#include "base/error.h"
#include "wire/json.h"
#include "wire/proto.h"

enum { STRING_VALUE_TAG = 0x0a };

/* A Python client of the original packs text as a real StringValue (tag, length,
 * UTF-8), under the same type_url as JSON. Looked for before JSON, because the tag is
 * white space there. */
static int unpack_string(sp_bytes value, sp_bytes *ret_text)
{
    const uint8_t *p = value.data;
    if (value.size == 0) {
        *ret_text = (sp_bytes){"", 0};
        return 1;
    }
    if (p[0] != STRING_VALUE_TAG) {
        return 0;
    }
    uint64_t size = 0;
    size_t at = 1;
    for (unsigned shift = 0; at < value.size && shift < 63; shift += 7) {
        uint8_t byte = p[at++];
        size |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            break;
        }
    }
    if (size == 0 || size != value.size - at) {
        return 0;
    }
    *ret_text = (sp_bytes){p + at, (size_t)size};
    return 1;
}

static int put_parameter(struct sp_buffer *out, const struct proto_pair *pair,
                         int check, sp_error *err)
{
    const char *name = pair->key.size > 0 ? pair->key.data : "";
    sp_bytes text;
    int rc = sp__json_put_string(out, name, pair->key.size, err);
    if (rc == SP_OK) {
        rc = sp__buf_append(out, ":", 1, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (unpack_string(pair->value, &text)) {
        return sp__json_put_string(out, text.data, text.size, err);
    }
    if (check) {
        rc = sp__json_read(pair->value.data, pair->value.size, SP__JSON_DEPTH_MAX - 1,
                           NULL, NULL, err);
        if (rc < 0) {
            return sp__wrap(err, rc, "parameter '%.*s'",
                            (int)(pair->key.size < 64 ? pair->key.size : 64), name);
        }
    }
    return sp__buf_append(out, pair->value.data, pair->value.size, err);
}

int sp__proto_put_args(struct sp_buffer *out, const struct proto_pair *parameters,
                       size_t count, int check, sp_error *err)
{
    int rc = sp__buf_append(out, "{", 1, err);
    for (size_t i = 0; rc == SP_OK && i < count; i++) {
        rc = i == 0 ? SP_OK : sp__buf_append(out, ",", 1, err);
        if (rc == SP_OK) {
            rc = put_parameter(out, &parameters[i], check, err);
        }
    }
    return rc == SP_OK ? sp__buf_append(out, "}", 1, err) : rc;
}
