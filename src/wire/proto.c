/* SPDX-License-Identifier: MIT */
/*
 * The three hot messages, by hand.
 *
 * Reading walks the fields where they lie and hands out pointers into the input; only
 * the entries of maps need memory, an array the caller keeps from message to message.
 * Writing measures first, makes room once and then cannot fail.
 *
 * As protobuf wants it: unknown fields and fields of another wire type than expected
 * are skipped, the last of several values wins, absent fields are empty or zero, and a
 * map entry may have its key and value in any order. Groups, which nobody has written
 * for years, count as malformed.
 *
 * Map entries are limited, because two bytes on the wire become thirty-two here.
 */
#include "wire/proto.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/json.h"
#include "wire/proto_internal.h"

enum {
    PAIRS_MAX = 1 << 20, /* map entries of one request */
    VARINT_MAX = 10,     /* bytes */
    ALIGN_FROM = 1024,   /* bytes of a binary worth aligning */
    ALIGNMENT = 16,
    TAG_PARAMETER_KEY = 1,
    TAG_PARAMETER_VALUE = 2,
    TAG_ANY_URL = 1,
    TAG_ANY_VALUE = 2
};

/* Field numbers; see bridge.proto. */
enum {
    REQUEST_SESSION = 1,
    REQUEST_TOOL = 2,
    REQUEST_PARAMETERS = 3,
    REQUEST_METADATA = 4,
    REQUEST_STREAM = 5,
    REQUEST_BINARY = 6,
    REQUEST_ARGS_JSON = 16,
    REQUEST_SHARED = 18,
    RESPONSE_SUCCESS = 1,
    RESPONSE_RESULT = 2,
    RESPONSE_ERROR = 3,
    RESPONSE_TIME = 5,
    RESPONSE_BINARY = 6,
    RESPONSE_SHARED = 18,
    CHUNK_ID = 1,
    CHUNK_DATA = 2,
    CHUNK_FINAL = 3,
    CHUNK_BINARY = 16,
    PADDING = 17 /* of requests and responses */
};

/* What stands before a field: its number, and its type. */
#define TAG(number, type) ((number) << 3 | (type))

/* ---- reading ---- */

int sp__proto_malformed(sp_error *err, const char *what)
{
    return sp__fail(err, SP_ERR_PROTOCOL, "the peer sent a malformed %s", what);
}

static int get_long_varint(struct proto_reader *reader, uint64_t *ret)
{
    const uint8_t *at = reader->at;
    uint64_t value = 0;
    for (unsigned shift = 0; at < reader->end && shift < 7 * VARINT_MAX; shift += 7) {
        uint8_t byte = *at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            reader->at = at;
            return 1;
        }
    }
    return 0;
}

static inline int get_varint(struct proto_reader *reader, uint64_t *ret)
{
    if (reader->at < reader->end && *reader->at < 0x80) { /* nearly always */
        *ret = *reader->at++;
        return 1;
    }
    return get_long_varint(reader, ret);
}

/* A field's number and type as they stand before it: 1, 0 at the end, -1 for none. */
static inline int get_tag(struct proto_reader *reader, uint64_t *ret)
{
    if (reader->at == reader->end) {
        return 0;
    }
    return get_varint(reader, ret) && *ret <= UINT32_MAX && *ret >> 3 != 0 ? 1 : -1;
}

static inline int get_fixed(struct proto_reader *reader, uint64_t size, sp_bytes *ret)
{
    if (size > (size_t)(reader->end - reader->at)) {
        return 0;
    }
    *ret = (sp_bytes){.data = reader->at, .size = (size_t)size};
    reader->at += size;
    return 1;
}

static inline int get_bytes(struct proto_reader *reader, sp_bytes *ret)
{
    uint64_t size;
    return get_varint(reader, &size) && get_fixed(reader, size, ret);
}

static int get_value(struct proto_reader *reader, struct proto_field *ret)
{
    switch (ret->type) {
    case PROTO_VARINT:
        return get_varint(reader, &ret->varint);
    case PROTO_BYTES:
        return get_bytes(reader, &ret->bytes);
    case PROTO_64:
        return get_fixed(reader, 8, &ret->bytes);
    case PROTO_32:
        return get_fixed(reader, 4, &ret->bytes);
    }
    return 0;
}

/* What nobody asks for, or not as this type. */
static int skip_value(struct proto_reader *reader, uint64_t tag)
{
    struct proto_field field = {.type = (enum proto_wire)(tag & 7)};
    return get_value(reader, &field);
}

static int get_flag(struct proto_reader *reader, int *ret)
{
    uint64_t value;
    int is_good = get_varint(reader, &value);
    if (is_good) {
        *ret = value != 0;
    }
    return is_good;
}

int sp__proto_next(struct proto_reader *reader, struct proto_field *ret)
{
    uint64_t tag;
    int rc = get_tag(reader, &tag);
    if (rc <= 0) {
        return rc;
    }
    ret->number = (uint32_t)(tag >> 3);
    ret->type = (enum proto_wire)(tag & 7);
    return get_value(reader, ret) ? 1 : -1;
}

/* The two byte fields of a small message: a map entry, an Any. */
static int get_two(sp_bytes message, sp_bytes *first, sp_bytes *second)
{
    struct proto_reader reader = sp__proto_reader(message.data, message.size);
    uint64_t tag;
    int rc;
    *first = *second = (sp_bytes){0};
    while ((rc = get_tag(&reader, &tag)) > 0) {
        int is_good = tag == TAG(1, PROTO_BYTES)   ? get_bytes(&reader, first)
                      : tag == TAG(2, PROTO_BYTES) ? get_bytes(&reader, second)
                                                   : skip_value(&reader, tag);
        if (!is_good) {
            return -1;
        }
    }
    return rc;
}

/* ---- writing: measure, reserve, put ---- */

static uint8_t *put_field(uint8_t *to, uint32_t number, sp_bytes bytes)
{
    to = sp__proto_put_head(to, number, bytes.size);
    if (bytes.size > 0) {
        memcpy(to, bytes.data, bytes.size);
    }
    return to + bytes.size;
}

/* Absent when empty, as proto3 has it. */
static size_t bytes_size(uint32_t number, sp_bytes bytes)
{
    return bytes.size == 0 ? 0 : sp__proto_field_size(number, bytes.size);
}

static uint8_t *put_bytes(uint8_t *to, uint32_t number, sp_bytes bytes)
{
    return bytes.size == 0 ? to : put_field(to, number, bytes);
}

static uint8_t *put_true(uint8_t *to, uint32_t number)
{
    *to++ = (uint8_t)(number << 3 | PROTO_VARINT);
    *to++ = 1;
    return to;
}

static size_t entry_size(const struct proto_pair *pair)
{
    return sp__proto_field_size(TAG_PARAMETER_KEY, pair->key.size) +
           sp__proto_field_size(TAG_PARAMETER_VALUE, pair->value.size);
}

static size_t entries_size(uint32_t number, const struct proto_pair *pairs,
                           size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += sp__proto_field_size(number, entry_size(&pairs[i]));
    }
    return size;
}

static uint8_t *put_entries(uint8_t *to, uint32_t number,
                            const struct proto_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to = sp__proto_put_head(to, number, entry_size(&pairs[i]));
        to = put_field(to, TAG_PARAMETER_KEY, pairs[i].key);
        to = put_field(to, TAG_PARAMETER_VALUE, pairs[i].value);
    }
    return to;
}

/* Bytes of padding, its own head not counted, before a field that would begin at `at`
 * and whose value begins `head` bytes later. -1: none is needed. */
static int padding_before(size_t at, size_t head, size_t value_size)
{
    if (value_size < ALIGN_FROM || (at + head) % ALIGNMENT == 0) {
        return -1;
    }
    size_t begin = at + sp__proto_field_size(PADDING, 0) + head;
    return (int)((ALIGNMENT - begin % ALIGNMENT) % ALIGNMENT);
}

/* The padding itself; measured when `to` is NULL. */
static size_t put_padding(uint8_t *to, int padding)
{
    static const char zeros[ALIGNMENT];
    if (padding < 0) {
        return 0;
    }
    if (to != NULL) {
        (void)put_field(to, PADDING, (sp_bytes){zeros, (size_t)padding});
    }
    return sp__proto_field_size(PADDING, (size_t)padding);
}

/* ---- ExecuteToolRequest ---- */

static size_t any_size(size_t url_size, size_t value_size)
{
    return sp__proto_field_size(TAG_ANY_URL, url_size) +
           sp__proto_field_size(TAG_ANY_VALUE, value_size);
}

static const sp_bytes string_value_url = {SP__STRING_VALUE_URL,
                                          sizeof SP__STRING_VALUE_URL - 1};

static size_t parameter_size(size_t key_size, size_t value_size)
{
    return sp__proto_field_size(TAG_PARAMETER_KEY, key_size) +
           sp__proto_field_size(TAG_PARAMETER_VALUE,
                                any_size(string_value_url.size, value_size));
}

static uint8_t *put_parameter(uint8_t *to, sp_bytes key, sp_bytes value)
{
    to = sp__proto_put_head(to, REQUEST_PARAMETERS,
                            parameter_size(key.size, value.size));
    to = put_field(to, TAG_PARAMETER_KEY, key);
    to = sp__proto_put_head(to, TAG_PARAMETER_VALUE,
                            any_size(string_value_url.size, value.size));
    to = put_field(to, TAG_ANY_URL, string_value_url);
    return put_field(to, TAG_ANY_VALUE, value);
}

/* Everything but the arguments in args_json and the binaries. */
static size_t common_size(const struct proto_request *request)
{
    size_t size =
        bytes_size(REQUEST_SESSION, request->session_id) +
        bytes_size(REQUEST_TOOL, request->tool_name) +
        entries_size(REQUEST_METADATA, request->metadata, request->metadata_count) +
        entries_size(REQUEST_SHARED, request->shared, request->shared_count) +
        (request->stream ? 2 : 0);
    for (size_t i = 0; i < request->parameters_count; i++) {
        const struct proto_pair *p = &request->parameters[i];
        size += sp__proto_field_size(REQUEST_PARAMETERS,
                                     parameter_size(p->key.size, p->value.size));
    }
    return size;
}

static uint8_t *put_common(uint8_t *to, const struct proto_request *request)
{
    to = put_bytes(to, REQUEST_SESSION, request->session_id);
    to = put_bytes(to, REQUEST_TOOL, request->tool_name);
    for (size_t i = 0; i < request->parameters_count; i++) {
        to =
            put_parameter(to, request->parameters[i].key, request->parameters[i].value);
    }
    to = put_entries(to, REQUEST_METADATA, request->metadata, request->metadata_count);
    to = put_entries(to, REQUEST_SHARED, request->shared, request->shared_count);
    if (request->stream) {
        to = put_true(to, REQUEST_STREAM);
    }
    return to;
}

/* The binaries, put behind what has `start` bytes; measured when `to` is NULL. */
static size_t put_binaries(uint8_t *to, const struct proto_request *request,
                           size_t start)
{
    size_t at = start;
    for (size_t i = 0; i < request->binary_count; i++) {
        const struct proto_pair *pair = &request->binary[i];
        size_t value_size = pair->value.size;
        size_t head = entries_size(REQUEST_BINARY, pair, 1) - value_size;
        at += put_padding(to != NULL ? to + (at - start) : NULL,
                          padding_before(at, head, value_size));
        if (to != NULL) {
            (void)put_entries(to + (at - start), REQUEST_BINARY, pair, 1);
        }
        at += entries_size(REQUEST_BINARY, pair, 1);
    }
    return at - start;
}

size_t sp__proto_request_size(const struct proto_request *request)
{
    size_t size =
        common_size(request) + bytes_size(REQUEST_ARGS_JSON, request->args_json);
    return size + put_binaries(NULL, request, size);
}

uint8_t *sp__proto_write_request(uint8_t *to, const struct proto_request *request)
{
    const uint8_t *start = to;
    to = put_common(to, request);
    to = put_bytes(to, REQUEST_ARGS_JSON, request->args_json);
    return to + put_binaries(to, request, (size_t)(to - start));
}

/* One member of the argument object becomes one parameter. */
static int put_member(struct sp_buffer *out, const struct json_member *member,
                      sp_error *err)
{
    /* An unescaped key is never longer than the escaped one, but its length must be
     * known before it is written: the unescaped text goes to the far end first. */
    size_t room = sp__proto_field_size(
        REQUEST_PARAMETERS, parameter_size(member->key_size, member->value_size));
    int rc = sp__buf_reserve(out, room + member->key_size, err);
    if (rc < 0) {
        return rc;
    }
    uint8_t *to = out->data + out->size;
    sp_bytes key = {.data = member->key, .size = member->key_size};
    if (member->key_escaped) {
        char *text = (char *)to + room;
        key =
            (sp_bytes){.data = text,
                       .size = sp__json_unescape(member->key, member->key_size, text)};
        if (!sp__json_is_utf8(text, key.size)) {
            return sp__fail(err, SP_ERR_BAD_ARGS,
                            "an argument's name has half a surrogate pair");
        }
    }
    sp_bytes value = {.data = member->value, .size = member->value_size};
    out->size = (size_t)(put_parameter(to, key, value) - out->data);
    return SP_OK;
}

static int put_split(struct sp_buffer *out, sp_bytes args, sp_error *err)
{
    if (args.size == 0) {
        return SP_OK;
    }
    if (sp__json_kind(args.data, args.size) != '{') {
        return sp__fail(err, SP_ERR_BAD_ARGS,
                        "this worker takes named arguments only: pass an object");
    }
    size_t at = 0;
    struct json_member member;
    while (sp__json_next_member(args.data, args.size, &at, &member)) {
        int rc = put_member(out, &member, err);
        if (rc < 0) {
            return rc;
        }
    }
    return SP_OK;
}

int sp__proto_put_request(struct sp_buffer *out, const struct proto_request *request,
                          int split, sp_error *err)
{
    struct proto_request whole = *request;
    if (split) {
        whole.args_json = (sp_bytes){0};
    }
    size_t size = sp__proto_request_size(&whole);
    int rc = sp__buf_reserve(out, size, err);
    if (rc < 0) {
        return rc;
    }
    size_t start = out->size;
    if (size > 0) {
        const uint8_t *end = sp__proto_write_request(out->data + start, &whole);
        out->size += size;
        assert(end == out->data + out->size);
    }
    if (split) {
        rc = put_split(out, request->args_json, err);
        if (rc < 0) {
            out->size = start;
        }
    }
    return rc;
}

void sp__proto_scratch_fini(struct proto_scratch *scratch)
{
    sp__free(scratch->pairs);
    *scratch = (struct proto_scratch){0};
}

static int scratch_room(struct proto_scratch *scratch, size_t count, sp_error *err)
{
    if (count <= scratch->capacity) {
        return SP_OK;
    }
    if (count > PAIRS_MAX) {
        return sp__fail(err, SP_ERR_TOO_BIG, "%zu map entries are more than %d", count,
                        (int)PAIRS_MAX);
    }
    size_t capacity = scratch->capacity * 2 > count ? scratch->capacity * 2 : count;
    struct proto_pair *pairs =
        sp__realloc(scratch->pairs, capacity * sizeof scratch->pairs[0]);
    if (pairs == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %zu map entries", count);
    }
    scratch->pairs = pairs;
    scratch->capacity = capacity;
    return SP_OK;
}

/* The maps, once their entries are counted: the counts of `ret` are counted up again. */
static int get_maps(const uint8_t *data, size_t size, struct proto_pair *pairs,
                    struct proto_request *ret)
{
    struct proto_pair *parameters = pairs;
    struct proto_pair *binary = parameters + ret->parameters_count;
    struct proto_pair *shared = binary + ret->binary_count;
    struct proto_pair *metadata = shared + ret->shared_count;
    ret->parameters = parameters;
    ret->binary = binary;
    ret->shared = shared;
    ret->metadata = metadata;
    struct proto_reader reader = sp__proto_reader(data, size);
    struct proto_field field;
    while (sp__proto_next(&reader, &field) > 0) {
        struct proto_pair pair;
        if (field.type != PROTO_BYTES ||
            (field.number != REQUEST_PARAMETERS && field.number != REQUEST_BINARY &&
             field.number != REQUEST_SHARED && field.number != REQUEST_METADATA)) {
            continue;
        }
        if (get_two(field.bytes, &pair.key, &pair.value) < 0) {
            return -1;
        }
        if (field.number == REQUEST_PARAMETERS) {
            sp_bytes url;
            sp_bytes any = pair.value;
            if (get_two(any, &url, &pair.value) < 0) {
                return -1;
            }
            *parameters++ = pair;
        } else if (field.number == REQUEST_BINARY) {
            *binary++ = pair;
        } else if (field.number == REQUEST_SHARED) {
            *shared++ = pair;
        } else {
            *metadata++ = pair;
        }
    }
    return 0;
}

/* How many entries of a map there are. NULL: the field is no map's. */
static size_t *count_of(struct proto_request *request, uint64_t tag)
{
    switch (tag) {
    case TAG(REQUEST_PARAMETERS, PROTO_BYTES):
        return &request->parameters_count;
    case TAG(REQUEST_BINARY, PROTO_BYTES):
        return &request->binary_count;
    case TAG(REQUEST_SHARED, PROTO_BYTES):
        return &request->shared_count;
    case TAG(REQUEST_METADATA, PROTO_BYTES):
        return &request->metadata_count;
    default:
        return NULL;
    }
}

int sp__proto_get_request(const uint8_t *data, size_t size,
                          struct proto_scratch *scratch, struct proto_request *ret,
                          sp_error *err)
{
    struct proto_request request = {0};
    struct proto_reader reader = sp__proto_reader(data, size);
    uint64_t tag;
    int is_good = 1;
    int rc = 0;
    while (is_good && (rc = get_tag(&reader, &tag)) > 0) {
        switch (tag) {
        case TAG(REQUEST_STREAM, PROTO_VARINT):
            is_good = get_flag(&reader, &request.stream);
            break;
        case TAG(REQUEST_SESSION, PROTO_BYTES):
            is_good = get_bytes(&reader, &request.session_id);
            break;
        case TAG(REQUEST_TOOL, PROTO_BYTES):
            is_good = get_bytes(&reader, &request.tool_name);
            break;
        case TAG(REQUEST_ARGS_JSON, PROTO_BYTES):
            is_good = get_bytes(&reader, &request.args_json);
            break;
        default: {
            size_t *count = count_of(&request, tag);
            if (count != NULL) {
                ++*count;
            }
            is_good = skip_value(&reader, tag);
            break;
        }
        }
    }
    if (rc < 0 || !is_good) {
        return sp__proto_malformed(err, "ExecuteToolRequest");
    }
    size_t count = request.parameters_count + request.binary_count +
                   request.shared_count + request.metadata_count;
    if (count > 0) {
        rc = scratch_room(scratch, count, err);
        if (rc < 0) {
            return rc;
        }
        if (get_maps(data, size, scratch->pairs, &request) < 0) {
            return sp__proto_malformed(err, "ExecuteToolRequest");
        }
    }
    *ret = request;
    return SP_OK;
}

/* ---- ExecuteToolResponse ---- */

int sp__proto_put_response(struct sp_buffer *out, const struct proto_response *response,
                           sp_error *err)
{
    static const char prefix[] = SP__SNAKEPIT_URL;
    enum { PREFIX = sizeof prefix - 1 };
    sp_bytes type = response->result_type;
    if (type.size == 0) {
        type = (sp_bytes){.data = "map", .size = 3};
    }
    int has_result = response->result_json.size > 0;
    size_t any = any_size(PREFIX + type.size, response->result_json.size);
    uint64_t time_ms = (uint64_t)response->execution_time_ms;
    size_t size = (response->success ? 2 : 0) +
                  (has_result ? sp__proto_field_size(RESPONSE_RESULT, any) : 0) +
                  bytes_size(RESPONSE_ERROR, response->error_message) +
                  (time_ms != 0 ? 1 + sp__proto_varint_size(time_ms) : 0);
    sp_bytes binary = response->binary_result;
    size += bytes_size(RESPONSE_SHARED, response->shared_result);
    size_t binary_size = bytes_size(RESPONSE_BINARY, binary);
    int padding = padding_before(size, binary_size - binary.size, binary.size);
    size += put_padding(NULL, padding) + binary_size;
    int rc = sp__buf_reserve(out, size, err);
    if (rc < 0 || size == 0) {
        return rc;
    }
    uint8_t *to = out->data + out->size;
    if (response->success) {
        to = put_true(to, RESPONSE_SUCCESS);
    }
    if (has_result) {
        to = sp__proto_put_head(to, RESPONSE_RESULT, any);
        to = sp__proto_put_head(to, TAG_ANY_URL, PREFIX + type.size);
        memcpy(to, prefix, PREFIX);
        memcpy(to + PREFIX, type.data, type.size);
        to += PREFIX + type.size;
        to = put_field(to, TAG_ANY_VALUE, response->result_json);
    }
    to = put_bytes(to, RESPONSE_ERROR, response->error_message);
    if (time_ms != 0) {
        *to++ = RESPONSE_TIME << 3 | PROTO_VARINT;
        to = sp__proto_put_varint(to, time_ms);
    }
    to = put_bytes(to, RESPONSE_SHARED, response->shared_result);
    to += put_padding(to, padding);
    to = put_bytes(to, RESPONSE_BINARY, binary);
    out->size += size;
    assert(to == out->data + out->size);
    return SP_OK;
}

/* Behind the last such character, or where the text begins. */
static const char *behind_last(const char *text, const char *end, int character)
{
    const char *at = memrchr(text, character, (size_t)(end - text));
    return at != NULL ? at + 1 : text;
}

/* "type.googleapis.com/snakepit.map" -> "map"; other names from the last dot on. */
static sp_bytes type_of_url(sp_bytes url)
{
    static const char prefix[] = "snakepit.";
    enum { PREFIX = sizeof prefix - 1 };
    const char *end = (const char *)url.data + url.size;
    const char *type = behind_last(url.data, end, '/');
    if (end - type >= PREFIX && memcmp(type, prefix, PREFIX) == 0) {
        type += PREFIX;
    } else {
        type = behind_last(type, end, '.');
    }
    return (sp_bytes){.data = type, .size = (size_t)(end - type)};
}

static int get_result(struct proto_reader *reader, struct proto_response *response)
{
    sp_bytes any;
    sp_bytes url;
    if (!get_bytes(reader, &any) || get_two(any, &url, &response->result_json) < 0) {
        return 0;
    }
    response->result_type = url.size > 0 ? type_of_url(url) : (sp_bytes){0};
    return 1;
}

int sp__proto_get_response(const uint8_t *data, size_t size, struct proto_response *ret,
                           sp_error *err)
{
    struct proto_response response = {0};
    struct proto_reader reader = sp__proto_reader(data, size);
    uint64_t tag;
    int is_good = 1;
    int rc = 0;
    while (is_good && (rc = get_tag(&reader, &tag)) > 0) {
        switch (tag) {
        case TAG(RESPONSE_SUCCESS, PROTO_VARINT):
            is_good = get_flag(&reader, &response.success);
            break;
        case TAG(RESPONSE_RESULT, PROTO_BYTES):
            is_good = get_result(&reader, &response);
            break;
        case TAG(RESPONSE_ERROR, PROTO_BYTES):
            is_good = get_bytes(&reader, &response.error_message);
            break;
        case TAG(RESPONSE_TIME, PROTO_VARINT): {
            uint64_t time_ms;
            is_good = get_varint(&reader, &time_ms);
            response.execution_time_ms =
                is_good ? (int64_t)time_ms : response.execution_time_ms;
            break;
        }
        case TAG(RESPONSE_BINARY, PROTO_BYTES):
            is_good = get_bytes(&reader, &response.binary_result);
            break;
        case TAG(RESPONSE_SHARED, PROTO_BYTES):
            is_good = get_bytes(&reader, &response.shared_result);
            break;
        default:
            is_good = skip_value(&reader, tag);
            break;
        }
    }
    if (rc < 0 || !is_good) {
        return sp__proto_malformed(err, "ExecuteToolResponse");
    }
    *ret = response;
    return SP_OK;
}

/* ---- ToolChunk ---- */

int sp__proto_put_chunk(struct sp_buffer *out, const struct proto_chunk *chunk,
                        sp_error *err)
{
    size_t size = bytes_size(CHUNK_ID, chunk->chunk_id) +
                  bytes_size(CHUNK_DATA, chunk->data) + (chunk->is_final ? 2 : 0) +
                  bytes_size(CHUNK_BINARY, chunk->binary);
    int rc = sp__buf_reserve(out, size, err);
    if (rc < 0 || size == 0) {
        return rc;
    }
    uint8_t *to = out->data + out->size;
    to = put_bytes(to, CHUNK_ID, chunk->chunk_id);
    to = put_bytes(to, CHUNK_DATA, chunk->data);
    if (chunk->is_final) {
        to = put_true(to, CHUNK_FINAL);
    }
    to = put_bytes(to, CHUNK_BINARY, chunk->binary);
    out->size += size;
    assert(to == out->data + out->size);
    return SP_OK;
}

int sp__proto_get_chunk(const uint8_t *data, size_t size, struct proto_chunk *ret,
                        sp_error *err)
{
    struct proto_chunk chunk = {0};
    struct proto_reader reader = sp__proto_reader(data, size);
    uint64_t tag;
    int is_good = 1;
    int rc = 0;
    while (is_good && (rc = get_tag(&reader, &tag)) > 0) {
        switch (tag) {
        case TAG(CHUNK_ID, PROTO_BYTES):
            is_good = get_bytes(&reader, &chunk.chunk_id);
            break;
        case TAG(CHUNK_DATA, PROTO_BYTES):
            is_good = get_bytes(&reader, &chunk.data);
            break;
        case TAG(CHUNK_FINAL, PROTO_VARINT):
            is_good = get_flag(&reader, &chunk.is_final);
            break;
        case TAG(CHUNK_BINARY, PROTO_BYTES):
            is_good = get_bytes(&reader, &chunk.binary);
            break;
        default:
            is_good = skip_value(&reader, tag);
            break;
        }
    }
    if (rc < 0 || !is_good) {
        return sp__proto_malformed(err, "ToolChunk");
    }
    *ret = chunk;
    return SP_OK;
}
