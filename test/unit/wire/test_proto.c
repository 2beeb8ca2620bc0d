/* SPDX-License-Identifier: MIT */
/*
 * The hand-written coders, of requests, responses and chunks, against protobuf-c with
 * made-up messages, and what the original's peers send.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leak.h"
#include "proto_bytes.h"
#include "snakepit/bridge.pb-c.h"
#include "wire/json.h"

/* ---- made-up values ---- */

static uint64_t seed;

static uint32_t pick(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % n;
}

static sp_bytes some_bytes(char *room, size_t max)
{
    static const size_t sizes[] = {0, 1, 5, 127, 128, 300};
    size_t n = sizes[pick(6)];
    n = n > max ? max : n;
    for (size_t i = 0; i < n; i++) {
        room[i] = (char)('a' + pick(26));
    }
    room[n] = '\0';
    return (sp_bytes){.data = room, .size = n};
}

enum { PAIRS = 4, ROOM = 301 };

struct made {
    struct proto_request request;
    struct proto_pair pairs[3][PAIRS];
    char text[3 + 3 * 2 * PAIRS][ROOM];
};

static void make_request(struct made *made)
{
    size_t t = 0;
    struct proto_request *r = &made->request;
    *r = (struct proto_request){0};
    r->session_id = some_bytes(made->text[t++], ROOM - 1);
    r->tool_name = some_bytes(made->text[t++], ROOM - 1);
    r->args_json = some_bytes(made->text[t++], ROOM - 1);
    r->stream = (int)pick(2);
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < PAIRS; i++) {
            made->pairs[k][i].key = some_bytes(made->text[t++], ROOM - 1);
            made->pairs[k][i].value = some_bytes(made->text[t++], ROOM - 1);
        }
    }
    r->parameters = made->pairs[0];
    r->parameters_count = pick(PAIRS + 1);
    r->binary = made->pairs[1];
    r->binary_count = pick(PAIRS + 1);
    r->metadata = made->pairs[2];
    r->metadata_count = pick(PAIRS + 1);
}

static void assert_pairs(const struct proto_pair *got, const struct proto_pair *want,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_bytes(got[i].key, want[i].key.data, want[i].key.size);
        assert_bytes(got[i].value, want[i].value.data, want[i].value.size);
    }
}

static void assert_request(const struct proto_request *got,
                           const struct proto_request *want)
{
    assert_bytes(got->session_id, want->session_id.data, want->session_id.size);
    assert_bytes(got->tool_name, want->tool_name.data, want->tool_name.size);
    assert_bytes(got->args_json, want->args_json.data, want->args_json.size);
    assert_int_equal(got->stream, want->stream);
    assert_int_equal(got->parameters_count, want->parameters_count);
    assert_int_equal(got->binary_count, want->binary_count);
    assert_int_equal(got->metadata_count, want->metadata_count);
    assert_pairs(got->parameters, want->parameters, want->parameters_count);
    assert_pairs(got->binary, want->binary, want->binary_count);
    assert_pairs(got->metadata, want->metadata, want->metadata_count);
}

/* ---- ExecuteToolRequest ---- */

typedef Snakepit__Bridge__ExecuteToolRequest Request;

static void assert_same_request(const Request *message,
                                const struct proto_request *want)
{
    assert_text(want->session_id, message->session_id);
    assert_text(want->tool_name, message->tool_name);
    assert_bytes(want->args_json, message->args_json.data, message->args_json.len);
    assert_int_equal(message->stream, want->stream);
    assert_int_equal(message->n_parameters, want->parameters_count);
    for (size_t i = 0; i < message->n_parameters; i++) {
        assert_text(want->parameters[i].key, message->parameters[i]->key);
        const Google__Protobuf__Any *any = message->parameters[i]->value;
        assert_string_equal(any->type_url,
                            "type.googleapis.com/google.protobuf.StringValue");
        assert_bytes(want->parameters[i].value, any->value.data, any->value.len);
    }
    assert_int_equal(message->n_binary_parameters, want->binary_count);
    for (size_t i = 0; i < message->n_binary_parameters; i++) {
        assert_text(want->binary[i].key, message->binary_parameters[i]->key);
        assert_bytes(want->binary[i].value, message->binary_parameters[i]->value.data,
                     message->binary_parameters[i]->value.len);
    }
    assert_int_equal(message->n_metadata, want->metadata_count);
    for (size_t i = 0; i < message->n_metadata; i++) {
        assert_text(want->metadata[i].key, message->metadata[i]->key);
        assert_text(want->metadata[i].value, message->metadata[i]->value);
    }
}

static void requests_agree_with_protobuf_c(void **state)
{
    static struct made made;
    struct proto_scratch scratch = {0};
    seed = 1;
    for (int round = 0; round < 3000; round++) {
        make_request(&made);
        struct sp_buffer out = buffer();
        assert_int_equal(sp__proto_put_request(&out, &made.request, 0, NULL), SP_OK);
        assert_int_equal(out.size, sp__proto_request_size(&made.request));

        Request *message =
            snakepit__bridge__execute_tool_request__unpack(NULL, out.size, out.data);
        assert_non_null(message);
        assert_same_request(message, &made.request);

        size_t size;
        uint8_t *again = pack(&message->base, &size);
        snakepit__bridge__execute_tool_request__free_unpacked(message, NULL);
        struct proto_request got;
        assert_int_equal(sp__proto_get_request(again, size, &scratch, &got, NULL),
                         SP_OK);
        assert_request(&got, &made.request);
        free(again);
        sp__buf_fini(&out);
    }
    sp__proto_scratch_fini(&scratch);
}

static void arguments_are_split_for_a_stock_peer(void **state)
{
    static const char args[] =
        "{ \"a\": 5, \"b\\u00e4\\\"\": [1, {\"x\": 2}], \"\": \"s\" }";
    const struct proto_request request = {.tool_name = sp_text("add"),
                                          .session_id = sp_text("s1"),
                                          .args_json = sp_text(args)};
    struct sp_buffer out = buffer();
    assert_int_equal(sp__proto_put_request(&out, &request, 1, NULL), SP_OK);
    Request *message =
        snakepit__bridge__execute_tool_request__unpack(NULL, out.size, out.data);
    assert_non_null(message);
    static const char *const want[][2] = {
        {"a", "5"}, {"b\xc3\xa4\"", "[1, {\"x\": 2}]"}, {"", "\"s\""}};
    assert_string_equal(message->tool_name, "add");
    assert_int_equal(message->args_json.len, 0);
    assert_int_equal(message->n_parameters, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(message->parameters[i]->key, want[i][0]);
        const ProtobufCBinaryData *value = &message->parameters[i]->value->value;
        assert_int_equal(value->len, strlen(want[i][1]));
        assert_memory_equal(value->data, want[i][1], value->len);
    }
    snakepit__bridge__execute_tool_request__free_unpacked(message, NULL);
    sp__buf_fini(&out);
}

static void only_an_object_can_be_split(void **state)
{
    static const char *const bad[] = {"[1]", "5", "{\"\\ud800\": 1}"};
    struct sp_buffer out = buffer();
    assert_int_equal(sp__buf_append(&out, "x", 1, NULL), SP_OK);
    for (size_t i = 0; i < 3; i++) {
        const struct proto_request request = {.tool_name = sp_text("t"),
                                              .args_json = sp_text(bad[i])};
        assert_int_equal(sp__proto_put_request(&out, &request, 1, NULL),
                         SP_ERR_BAD_ARGS);
        assert_int_equal(out.size, 1);
    }
    const struct proto_request none = {.tool_name = {0}};
    assert_int_equal(sp__proto_put_request(&out, &none, 1, NULL), SP_OK);
    assert_int_equal(out.size, 1);
    sp__buf_fini(&out);
}

static void unknown_fields_and_odd_orders_are_taken(void **state)
{
    static const uint8_t bytes[] = {
        0x98, 0x06, 0x05,                                  /* 99: varint, unknown */
        0xa1, 0x06, 1,    2,    3,   4,    5, 6,   7,   8, /* 100: 64 bit, unknown */
        0xad, 0x06, 1,    2,    3,   4,                    /* 101: 32 bit, unknown */
        0xb2, 0x06, 2,    'h',  'i',                       /* 102: bytes, unknown */
        0x10, 0x07, /* 2 as a varint: not the tool's name */
        0x32, 0x07, 0x12, 1,    'v', 0x0a, 2, 'k', 'k', /* 6: value before key */
        0x32, 0x02, 0x12, 0x00,                         /* 6: no key */
        0x1a, 0x03, 0x0a, 1,    'p',                    /* 3: no value */
        0x12, 1,    'a',  0x12, 1,   'b',               /* 2 twice: the last wins */
        0x28, 0x80, 0x01,                               /* 5: true, in two bytes */
    };
    struct proto_scratch scratch = {0};
    struct proto_request got;
    assert_int_equal(sp__proto_get_request(bytes, sizeof bytes, &scratch, &got, NULL),
                     SP_OK);
    assert_text(got.tool_name, "b");
    assert_int_equal(got.stream, 1);
    assert_int_equal(got.binary_count, 2);
    assert_text(got.binary[0].key, "kk");
    assert_text(got.binary[0].value, "v");
    assert_text(got.binary[1].key, "");
    assert_int_equal(got.parameters_count, 1);
    assert_text(got.parameters[0].key, "p");
    assert_text(got.parameters[0].value, "");
    sp__proto_scratch_fini(&scratch);
}

/* Whatever stands before them, large binaries can be read as numbers where they lie. */
static void large_binaries_begin_where_numbers_may(void **state)
{
    static const char zeros[128];
    static char many[5000];
    struct proto_scratch scratch = {0};
    for (size_t n = 0; n < sizeof zeros / 2; n++) {
        const struct proto_pair pairs[] = {{{"a", 1}, {many, 1024 + n}},
                                           {{zeros, n}, {many, 3}},
                                           {{"b", 1}, {many, sizeof many - n}}};
        const struct proto_request want = {.tool_name = {zeros, n},
                                           .args_json = {zeros, 2 * n},
                                           .binary = pairs,
                                           .binary_count = 3};
        struct proto_request got;
        struct sp_buffer out = buffer();
        assert_int_equal(sp__proto_put_request(&out, &want, 0, NULL), SP_OK);
        assert_int_equal(out.size, sp__proto_request_size(&want));
        assert_int_equal(
            sp__proto_get_request(out.data, out.size, &scratch, &got, NULL), SP_OK);
        for (int i = 0; i < 3; i += 2) {
            const uint8_t *at = got.binary[i].value.data;
            assert_int_equal((size_t)(at - out.data) % 16, 0);
            assert_int_equal(got.binary[i].value.size, pairs[i].value.size);
        }
        const struct proto_response answer = {
            .success = 1, .result_json = {zeros, n}, .binary_result = {many, 2000 + n}};
        struct proto_response read;
        out.size = 0;
        assert_int_equal(sp__proto_put_response(&out, &answer, NULL), SP_OK);
        assert_int_equal(sp__proto_get_response(out.data, out.size, &read, NULL),
                         SP_OK);
        const uint8_t *at = read.binary_result.data;
        assert_int_equal((size_t)(at - out.data) % 16, 0);
        assert_int_equal(read.binary_result.size, 2000 + n);
        sp__buf_fini(&out);
    }
    sp__proto_scratch_fini(&scratch);
}

static void malformed_bytes_are_refused(void **state)
{
    static const struct {
        uint8_t bytes[16];
        size_t n;
    } rows[] = {
        {{0x0a}, 1},         /* no length */
        {{0x0a, 5, 'a'}, 3}, /* too short */
        {{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 11},
        {{0x80}, 1},       /* a tag that does not end */
        {{0x00, 0x00}, 2}, /* field 0 */
        {{0x03, 0x04}, 2}, /* field 0, group */
        {{0x0b, 0x0c}, 2}, /* group */
        {{0x0e, 0x00}, 2}, /* wire type 6 */
        {{0x28}, 1},       /* no varint */
        {{0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 12},
        {{0x09, 1, 2, 3}, 4},                      /* half a 64 bit value */
        {{0xfd, 0xff, 0xff, 0xff, 0xff, 0x01}, 6}, /* a tag over 32 bits */
    };
    struct proto_scratch scratch = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct proto_request request;
        struct proto_response response;
        struct proto_chunk chunk;
        sp_error err = {0};
        assert_int_equal(
            sp__proto_get_request(rows[i].bytes, rows[i].n, &scratch, &request, &err),
            SP_ERR_PROTOCOL);
        assert_int_equal(
            sp__proto_get_response(rows[i].bytes, rows[i].n, &response, &err),
            SP_ERR_PROTOCOL);
        assert_int_equal(sp__proto_get_chunk(rows[i].bytes, rows[i].n, &chunk, &err),
                         SP_ERR_PROTOCOL);
        assert_non_null(strstr(err.message, "ToolChunk"));
    }
    static const uint8_t inside[] = {0x32, 0x02, 0x0a, 0x05};
    struct proto_request request;
    assert_int_equal(
        sp__proto_get_request(inside, sizeof inside, &scratch, &request, NULL),
        SP_ERR_PROTOCOL);
    sp__proto_scratch_fini(&scratch);
}

static void map_entries_are_limited(void **state)
{
    enum { ENTRIES = (1 << 20) + 1 };
    uint8_t *bytes = malloc(2 * ENTRIES);
    assert_non_null(bytes);
    for (size_t i = 0; i < ENTRIES; i++) {
        bytes[2 * i] = 0x22;
        bytes[2 * i + 1] = 0;
    }
    struct proto_scratch scratch = {0};
    struct proto_request request;
    assert_int_equal(
        sp__proto_get_request(bytes, 2 * ENTRIES, &scratch, &request, NULL),
        SP_ERR_TOO_BIG);
    assert_int_equal(
        sp__proto_get_request(bytes, 2 * ENTRIES - 2, &scratch, &request, NULL), SP_OK);
    assert_int_equal(request.metadata_count, ENTRIES - 1);
    sp__proto_scratch_fini(&scratch);
    free(bytes);
}

/* ---- ExecuteToolResponse ---- */

static void responses_agree_with_protobuf_c(void **state)
{
    static const char *const types[] = {"", "map", "list", "float"};
    char text[4][ROOM];
    seed = 2;
    for (int round = 0; round < 3000; round++) {
        const struct proto_response want = {
            .success = (int)pick(2),
            .result_json = some_bytes(text[0], ROOM - 1),
            .result_type = sp_text(types[pick(4)]),
            .error_message = some_bytes(text[1], ROOM - 1),
            .binary_result = some_bytes(text[2], ROOM - 1),
            .execution_time_ms = (int64_t)pick(5) - 2 + ((int64_t)pick(2) << 40),
        };
        struct sp_buffer out = buffer();
        assert_int_equal(sp__proto_put_response(&out, &want, NULL), SP_OK);
        Snakepit__Bridge__ExecuteToolResponse *message =
            snakepit__bridge__execute_tool_response__unpack(NULL, out.size, out.data);
        assert_non_null(message);
        const char *type = want.result_type.size == 0 ? "map" : want.result_type.data;
        assert_int_equal(message->success, want.success);
        assert_text(want.error_message, message->error_message);
        assert_true(message->execution_time_ms == want.execution_time_ms);
        assert_bytes(want.binary_result, message->binary_result.data,
                     message->binary_result.len);
        if (want.result_json.size > 0) {
            char url[100];
            snprintf(url, sizeof url, "type.googleapis.com/snakepit.%s", type);
            assert_string_equal(message->result->type_url, url);
            assert_bytes(want.result_json, message->result->value.data,
                         message->result->value.len);
        } else {
            assert_null(message->result);
        }

        size_t size;
        uint8_t *again = pack(&message->base, &size);
        snakepit__bridge__execute_tool_response__free_unpacked(message, NULL);
        struct proto_response got;
        assert_int_equal(sp__proto_get_response(again, size, &got, NULL), SP_OK);
        assert_int_equal(got.success, want.success);
        assert_bytes(got.result_json, want.result_json.data, want.result_json.size);
        assert_text(got.result_type, want.result_json.size > 0 ? type : "");
        assert_bytes(got.error_message, want.error_message.data,
                     want.error_message.size);
        assert_bytes(got.binary_result, want.binary_result.data,
                     want.binary_result.size);
        assert_true(got.execution_time_ms == want.execution_time_ms);
        free(again);
        sp__buf_fini(&out);
    }
}

static void result_types_are_taken_from_any_url(void **state)
{
    static const char *const rows[][2] = {
        {"type.googleapis.com/snakepit.map", "map"},
        {"type.googleapis.com/snakepit.tensor.binary", "tensor.binary"},
        {"snakepit.list", "list"},
        {"type.googleapis.com/google.protobuf.StringValue", "StringValue"},
        {"string", "string"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        Snakepit__Bridge__ExecuteToolResponse message =
            SNAKEPIT__BRIDGE__EXECUTE_TOOL_RESPONSE__INIT;
        Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
        any.type_url = (char *)(uintptr_t)rows[i][0];
        message.result = &any;
        size_t size;
        uint8_t *data = pack(&message.base, &size);
        struct proto_response got;
        assert_int_equal(sp__proto_get_response(data, size, &got, NULL), SP_OK);
        assert_text(got.result_type, rows[i][1]);
        free(data);
    }
}

/* ---- ToolChunk ---- */

static void chunks_agree_with_protobuf_c(void **state)
{
    char text[2][ROOM];
    seed = 3;
    for (int round = 0; round < 2000; round++) {
        const struct proto_chunk want = {.chunk_id = some_bytes(text[0], ROOM - 1),
                                         .data = some_bytes(text[1], ROOM - 1),
                                         .is_final = (int)pick(2)};
        struct sp_buffer out = buffer();
        assert_int_equal(sp__proto_put_chunk(&out, &want, NULL), SP_OK);
        Snakepit__Bridge__ToolChunk *message =
            snakepit__bridge__tool_chunk__unpack(NULL, out.size, out.data);
        assert_non_null(message);
        assert_text(want.chunk_id, message->chunk_id);
        assert_bytes(want.data, message->data.data, message->data.len);
        assert_int_equal(message->is_final, want.is_final);
        size_t size;
        uint8_t *again = pack(&message->base, &size);
        snakepit__bridge__tool_chunk__free_unpacked(message, NULL);
        struct proto_chunk got;
        assert_int_equal(sp__proto_get_chunk(again, size, &got, NULL), SP_OK);
        assert_bytes(got.chunk_id, want.chunk_id.data, want.chunk_id.size);
        assert_bytes(got.data, want.data.data, want.data.size);
        assert_int_equal(got.is_final, want.is_final);
        free(again);
        sp__buf_fini(&out);
    }
}

static void writing_keeps_to_the_limit_of_the_buffer(void **state)
{
    char text[2000];
    memset(text, 'x', sizeof text);
    const sp_bytes big = {.data = text, .size = sizeof text};
    struct sp_buffer out;
    sp__buf_init(&out, 1000);
    const struct proto_request request = {.args_json = big};
    const struct proto_response response = {.result_json = big};
    const struct proto_chunk chunk = {.data = big};
    assert_int_equal(sp__proto_put_request(&out, &request, 0, NULL), SP_ERR_TOO_BIG);
    assert_int_equal(sp__proto_put_response(&out, &response, NULL), SP_ERR_TOO_BIG);
    assert_int_equal(sp__proto_put_chunk(&out, &chunk, NULL), SP_ERR_TOO_BIG);
    assert_int_equal(out.size, 0);
    sp__buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_agree_with_protobuf_c),
        TEST(arguments_are_split_for_a_stock_peer),
        TEST(only_an_object_can_be_split),
        TEST(unknown_fields_and_odd_orders_are_taken),
        TEST(large_binaries_begin_where_numbers_may),
        TEST(malformed_bytes_are_refused),
        TEST(map_entries_are_limited),
        TEST(responses_agree_with_protobuf_c),
        TEST(result_types_are_taken_from_any_url),
        TEST(chunks_agree_with_protobuf_c),
        TEST(writing_keeps_to_the_limit_of_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
