/* SPDX-License-Identifier: MIT */
/*
 * The coders: the hand-written ones against protobuf-c with made-up messages, the rest
 * there and back, and what the original's peers send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "snakepit/bridge.pb-c.h"
#include "wire/json.h"
#include "wire/proto.h"

static int64_t live_before;

static int remember_memory(void **state)
{
    live_before = sp__mem_live();
    return 0;
}

static int no_memory_is_left(void **state)
{
    assert_int_equal(sp__mem_live(), live_before);
    return 0;
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, remember_memory, no_memory_is_left)

static struct sp_buffer buffer(void)
{
    struct sp_buffer out;
    sp__buf_init(&out, 64 << 20);
    return out;
}

static void assert_bytes(sp_bytes bytes, const void *data, size_t size)
{
    assert_int_equal(bytes.size, size);
    if (size > 0) {
        assert_memory_equal(bytes.data, data, size);
    }
}

static void assert_text(sp_bytes bytes, const char *text)
{
    assert_bytes(bytes, text, strlen(text));
}

/* Bytes of a packed message in memory of exactly their size. */
static uint8_t *pack(const ProtobufCMessage *message, size_t *ret_size)
{
    *ret_size = protobuf_c_message_get_packed_size(message);
    uint8_t *data = malloc(*ret_size == 0 ? 1 : *ret_size);
    assert_non_null(data);
    assert_int_equal(protobuf_c_message_pack(message, data), *ret_size);
    return data;
}

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

/* ---- AnnounceWorker ---- */

static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

static int announce_there_and_back(sp_error *err)
{
    struct proto_param params[] = {
        {text_of("a"), text_of("int"), text_of("the first"), NULL},
        {text_of("b"), text_of("any"), text_of(""), text_of("{\"x\": 1}")},
    };
    struct proto_tool tools[] = {
        {text_of("add"), text_of("adds"), 0, 1, params, 2},
        {text_of("tail"), text_of(""), 1, 0, NULL, 0},
    };
    const struct proto_announce announce = {
        .protocol_version = SP__PROTOCOL_VERSION,
        .worker_id = text_of("w1"),
        .runtime = text_of("python 3.11.2"),
        .pid = 4711,
        .capacity = 3,
        .accepts_any = 1,
        .tools = tools,
        .tools_count = 2,
    };
    struct sp_buffer out = buffer();
    struct proto_announce got = {0};
    int rc = sp__proto_put_announce(&out, &announce, err);
    if (rc == SP_OK) {
        rc = sp__proto_get_announce(out.data, out.size, &got, err);
    }
    sp__buf_fini(&out);
    if (rc < 0) {
        return rc;
    }
    assert_int_equal(got.protocol_version, 1);
    assert_string_equal(got.worker_id, "w1");
    assert_string_equal(got.runtime, "python 3.11.2");
    assert_int_equal(got.pid, 4711);
    assert_int_equal(got.capacity, 3);
    assert_int_equal(got.accepts_any, 1);
    assert_int_equal(got.failed, 0);
    assert_null(got.error_type);
    assert_null(got.error_trace);
    assert_int_equal(got.tools_count, 2);
    assert_string_equal(got.tools[0].name, "add");
    assert_string_equal(got.tools[0].description, "adds");
    assert_int_equal(got.tools[0].streaming, 0);
    assert_int_equal(got.tools[0].idempotent, 1);
    assert_int_equal(got.tools[1].idempotent, 0);
    assert_int_equal(got.tools[0].params_count, 2);
    assert_string_equal(got.tools[0].params[0].name, "a");
    assert_string_equal(got.tools[0].params[0].type, "int");
    assert_string_equal(got.tools[0].params[0].description, "the first");
    assert_null(got.tools[0].params[0].default_json);
    assert_string_equal(got.tools[0].params[1].default_json, "{\"x\": 1}");
    assert_int_equal(got.tools[1].streaming, 1);
    assert_int_equal(got.tools[1].params_count, 0);
    sp__proto_announce_fini(&got);
    sp__proto_announce_fini(&got); /* again is fine */
    return SP_OK;
}

static void announcements_go_there_and_back(void **state)
{
    sp_error err = {0};
    assert_int_equal(announce_there_and_back(&err), SP_OK);
}

static void announcements_survive_lack_of_memory(void **state)
{
    uint64_t n = 1;
    for (; n < 1000; n++) {
        sp_error err = {0};
        sp__mem_fail_at(n, 0);
        int rc = announce_there_and_back(&err);
        sp__mem_fail_at(0, 0);
        if (rc == SP_OK) {
            break;
        }
        assert_int_equal(rc, SP_ERR_NOMEM);
        assert_int_equal(sp__mem_live(), live_before);
    }
    assert_in_range(n, 20, 999);
}

static void failed_announcements_say_why(void **state)
{
    const struct proto_announce announce = {.failed = 1,
                                            .permanent = 1,
                                            .error_type = text_of("ImportError"),
                                            .error_message = text_of("no module"),
                                            .error_trace = text_of("line 1\nline 2")};
    struct sp_buffer out = buffer();
    assert_int_equal(sp__proto_put_announce(&out, &announce, NULL), SP_OK);
    struct proto_announce got;
    assert_int_equal(sp__proto_get_announce(out.data, out.size, &got, NULL), SP_OK);
    assert_int_equal(got.failed, 1);
    assert_int_equal(got.permanent, 1);
    assert_string_equal(got.error_type, "ImportError");
    assert_string_equal(got.error_message, "no module");
    assert_string_equal(got.error_trace, "line 1\nline 2");
    assert_string_equal(got.worker_id, "");
    sp__proto_announce_fini(&got);
    sp__buf_fini(&out);
    assert_int_equal(sp__proto_get_announce((const uint8_t *)"\xff", 1, &got, NULL),
                     SP_ERR_PROTOCOL);
}

static void an_announcement_is_answered(void **state)
{
    for (int accepted = 0; accepted < 2; accepted++) {
        struct sp_buffer out = buffer();
        assert_int_equal(sp__proto_put_announce_reply(
                             &out, accepted, accepted ? NULL : "too old", NULL),
                         SP_OK);
        int got = -1;
        char *message = NULL;
        assert_int_equal(
            sp__proto_get_announce_reply(out.data, out.size, &got, &message, NULL),
            SP_OK);
        assert_int_equal(got, accepted);
        assert_string_equal(message, accepted ? "" : "too old");
        sp__free(message);
        sp__buf_fini(&out);
    }
}

/* ---- failures ---- */

static sp_error a_failure(void)
{
    sp_error failure = {0};
    (void)sp__fail(&failure, SP_ERR_REMOTE,
                   "ValueError: b\xc3\xa4"
                   "d");
    failure.executed = SP_EXECUTED_YES;
    failure.attempts = 2;
    failure.worker_pid = 4711;
    failure.worker_exit = 3;
    failure.worker_signal = 9;
    failure.os_errno = 12;
    failure.grpc_status = 2;
    failure.remote_type = sp__strdup("ValueError");
    failure.remote_message = sp__strdup("b\xc3\xa4"
                                        "d");
    failure.remote_trace = sp__strdup("Traceback:\n  line 1\n\n  line 2\n");
    failure.worker_stderr = sp__strdup("last words");
    return failure;
}

static void failures_go_there_and_back_whole(void **state)
{
    sp_error failure = a_failure();
    struct sp_buffer out = buffer();
    assert_int_equal(sp__proto_put_failure(&out, &failure, NULL), SP_OK);
    sp_error got = {0};
    (void)sp__fail(&got, SP_ERR_INVAL, "something older");
    got.remote_trace = sp__strdup("older");
    assert_int_equal(sp__proto_get_failure(out.data, out.size, &got), 1);
    assert_int_equal(got.code, SP_ERR_REMOTE);
    assert_string_equal(got.message, failure.message);
    assert_int_equal(got.executed, SP_EXECUTED_YES);
    assert_int_equal(got.attempts, 2);
    assert_int_equal(got.worker_pid, 4711);
    assert_int_equal(got.worker_exit, 3);
    assert_int_equal(got.worker_signal, 9);
    assert_int_equal(got.os_errno, 12);
    assert_int_equal(got.grpc_status, 2);
    assert_string_equal(got.remote_type, "ValueError");
    assert_string_equal(got.remote_message, failure.remote_message);
    assert_string_equal(got.remote_trace, failure.remote_trace);
    assert_string_equal(got.worker_stderr, "last words");
    sp_error_clear(&got);
    sp_error_clear(&failure);
    sp__buf_fini(&out);
}

static void bare_failures_stay_bare(void **state)
{
    sp_error failure = {0};
    (void)sp__fail(&failure, SP_ERR_NO_TOOL, "no tool 'x'");
    struct sp_buffer out = buffer();
    assert_int_equal(sp__proto_put_failure(&out, &failure, NULL), SP_OK);
    sp_error got = {0};
    assert_int_equal(sp__proto_get_failure(out.data, out.size, &got), 1);
    assert_int_equal(got.code, SP_ERR_NO_TOOL);
    assert_int_equal(got.executed, SP_EXECUTED_NO);
    assert_int_equal(got.worker_exit, -1);
    assert_null(got.remote_type);
    assert_null(got.remote_message);
    assert_null(got.remote_trace);
    assert_null(got.worker_stderr);
    sp_error_clear(&got);
    sp__buf_fini(&out);
}

static void stock_peers_can_read_a_failure(void **state)
{
    sp_error failure = a_failure();
    struct sp_buffer out = buffer();
    assert_int_equal(sp__proto_put_failure(&out, &failure, NULL), SP_OK);
    Google__Rpc__Status *status = google__rpc__status__unpack(NULL, out.size, out.data);
    assert_non_null(status);
    assert_int_equal(status->code, 2);
    assert_int_equal(status->n_details, 2);
    assert_string_equal(status->details[0]->type_url,
                        "type.googleapis.com/google.rpc.ErrorInfo");
    Google__Rpc__ErrorInfo *info = google__rpc__error_info__unpack(
        NULL, status->details[0]->value.len, status->details[0]->value.data);
    assert_string_equal(info->reason, "SP-REMOTE");
    assert_string_equal(info->domain, "snakepit");
    google__rpc__error_info__free_unpacked(info, NULL);
    Google__Rpc__DebugInfo *debug = google__rpc__debug_info__unpack(
        NULL, status->details[1]->value.len, status->details[1]->value.data);
    assert_string_equal(debug->stack_entries[0], "Traceback:");
    assert_string_equal(debug->stack_entries[1], "  line 1");
    google__rpc__debug_info__free_unpacked(debug, NULL);
    google__rpc__status__free_unpacked(status, NULL);
    sp_error_clear(&failure);
    sp__buf_fini(&out);
}

static void long_failures_are_cut_to_the_buffer(void **state)
{
    enum { LENGTH = 99999 };
    static const size_t limits[] = {2048, 6 * 1024, 64 << 20};
    char *text = malloc(LENGTH + 1);
    assert_non_null(text);
    for (size_t i = 0; i < LENGTH; i++) {
        text[i] = i % 3 == 2 ? '\n' : "\xc3\xa4"[i % 3];
    }
    text[LENGTH] = '\0';
    for (size_t i = 0; i < 3; i++) {
        sp_error failure = {.code = SP_ERR_REMOTE};
        failure.remote_type = sp__strdup(text);
        failure.remote_message = sp__strdup(text);
        failure.remote_trace = sp__strdup(text);
        failure.worker_stderr = sp__strdup(text);
        struct sp_buffer out;
        sp__buf_init(&out, limits[i]);
        assert_int_equal(sp__proto_put_failure(&out, &failure, NULL), SP_OK);
        assert_true(out.size < 44 * 1024);
        sp_error got = {0};
        assert_int_equal(sp__proto_get_failure(out.data, out.size, &got), 1);
        size_t n = strlen(got.remote_trace);
        assert_true(n > 300);
        assert_string_equal(got.remote_trace + n - 6, text + LENGTH - 6); /* the end */
        assert_true(sp__json_is_utf8(got.remote_message, strlen(got.remote_message)));
        sp_error_clear(&got);
        sp_error_clear(&failure);
        sp__buf_fini(&out);
    }
    free(text);
}

static void failures_survive_lack_of_memory(void **state)
{
    uint64_t n = 1;
    for (; n < 1000; n++) {
        sp_error failure = a_failure();
        sp_error got = {0};
        struct sp_buffer out = buffer();
        sp__mem_fail_at(n, 0);
        int rc = sp__proto_put_failure(&out, &failure, NULL);
        int found = rc == SP_OK ? sp__proto_get_failure(out.data, out.size, &got) : 0;
        sp__mem_fail_at(0, 0);
        int whole = found && got.remote_trace != NULL && got.remote_type != NULL &&
                    got.remote_message != NULL && got.worker_stderr != NULL;
        sp_error_clear(&got);
        sp_error_clear(&failure);
        sp__buf_fini(&out);
        assert_true(rc == SP_OK || rc == SP_ERR_NOMEM);
        if (whole) {
            break;
        }
    }
    assert_in_range(n, 20, 999);
}

static void foreign_details_are_left_alone(void **state)
{
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    status.message = text_of("quota");
    size_t size;
    uint8_t *data = pack(&status.base, &size);
    sp_error got = {.code = SP_ERR_INVAL};
    assert_int_equal(sp__proto_get_failure(data, size, &got), 0);
    free(data);
    assert_int_equal(sp__proto_get_failure((const uint8_t *)"\xff\xff", 2, &got), 0);
    assert_int_equal(sp__proto_get_failure(NULL, 0, &got), 0);

    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    info.reason = text_of("SP-REMOTE");
    info.domain = text_of("googleapis.com");
    data = pack(&info.base, &size);
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    Google__Protobuf__Any *details[] = {&any};
    any.type_url = text_of("type.googleapis.com/google.rpc.ErrorInfo");
    any.value = (ProtobufCBinaryData){.len = size, .data = data};
    status.n_details = 1;
    status.details = details;
    size_t status_size;
    uint8_t *whole = pack(&status.base, &status_size);
    assert_int_equal(sp__proto_get_failure(whole, status_size, &got), 0);
    assert_int_equal(got.code, SP_ERR_INVAL);
    free(data);
    free(whole);
}

static void error_texts_of_every_age_are_read(void **state)
{
    static const struct {
        const char *text, *type, *message, *trace, *shown;
    } rows[] = {
        {"division by zero", NULL, "division by zero", NULL, "division by zero"},
        {"", NULL, NULL, NULL, "the tool failed without a message"},
        {"{\"type\": \"KeyError\", \"message\": \"'k\\u00e4'\", \"stacktrace\": "
         "[\"x\"], "
         "\"traceback\": \"Traceback\\n  x\\n\", \"context\": {\"tool_name\": \"t\"}}",
         "KeyError", "'k\xc3\xa4'", "Traceback\n  x\n", "KeyError: 'k\xc3\xa4'"},
        {"{\"type\": \"E\", \"message\": \"\"}", "E", "", NULL,
         "E: the tool failed without a message"},
        {"{\"message\": \"no type\"}", NULL, "{\"message\": \"no type\"}", NULL,
         "{\"message\": \"no type\"}"},
        {"{\"type\": 5, \"message\": \"x\"}", NULL, "{\"type\": 5, \"message\": \"x\"}",
         NULL, "{\"type\": 5, \"message\": \"x\"}"},
        {"{broken", NULL, "{broken", NULL, "{broken"},
        {"[1]", NULL, "[1]", NULL, "[1]"},
        {"two\nlines", NULL, "two\nlines", NULL, "two lines"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        sp_error got = {0};
        sp__proto_get_error_text(sp_text(rows[i].text), &got);
        assert_int_equal(got.code, SP_ERR_REMOTE);
        assert_int_equal(got.executed, SP_EXECUTED_YES);
        assert_string_equal(got.message, rows[i].shown);
        if (rows[i].type == NULL) {
            assert_null(got.remote_type);
        } else {
            assert_string_equal(got.remote_type, rows[i].type);
        }
        if (rows[i].message == NULL) {
            assert_null(got.remote_message);
        } else {
            assert_string_equal(got.remote_message, rows[i].message);
        }
        if (rows[i].trace == NULL) {
            assert_null(got.remote_trace);
        } else {
            assert_string_equal(got.remote_trace, rows[i].trace);
        }
        sp_error_clear(&got);
    }
    sp__proto_get_error_text(sp_text("nobody cares"), NULL);
}

static void error_texts_go_there_and_back(void **state)
{
    sp_error failure = a_failure();
    struct sp_buffer out = buffer();
    assert_int_equal(sp__proto_put_error_text(&out, &failure, NULL), SP_OK);
    assert_int_equal(sp__json_read((char *)out.data, out.size, 8, NULL, NULL, NULL), 0);
    sp_error got = {0};
    sp__proto_get_error_text((sp_bytes){.data = out.data, .size = out.size}, &got);
    assert_int_equal(got.code, SP_ERR_REMOTE);
    assert_string_equal(got.remote_type, failure.remote_type);
    assert_string_equal(got.remote_message, failure.remote_message);
    assert_string_equal(got.remote_trace, failure.remote_trace);
    sp_error_clear(&got);
    sp_error_clear(&failure);

    (void)sp__fail(&failure, SP_ERR_BAD_ARGS, "'a' is missing");
    out.size = 0;
    assert_int_equal(sp__proto_put_error_text(&out, &failure, NULL), SP_OK);
    sp__proto_get_error_text((sp_bytes){.data = out.data, .size = out.size}, &got);
    assert_int_equal(got.code, SP_ERR_BAD_ARGS);
    assert_string_equal(got.remote_message, "'a' is missing");
    sp_error_clear(&got);
    sp__buf_fini(&out);
}

/* ---- small ones ---- */

static void pings_go_there_and_back(void **state)
{
    struct sp_buffer out = buffer();
    assert_int_equal(sp__proto_put_ping(&out, "connection_test", NULL), SP_OK);
    sp_bytes message;
    assert_int_equal(sp__proto_get_ping(out.data, out.size, &message, NULL), SP_OK);
    assert_text(message, "connection_test");
    out.size = 0;
    assert_int_equal(
        sp__proto_put_pong(&out, "pong", INT64_C(1700000000123456789), NULL), SP_OK);
    Snakepit__Bridge__PingResponse *pong =
        snakepit__bridge__ping_response__unpack(NULL, out.size, out.data);
    assert_string_equal(pong->message, "pong");
    assert_true(pong->server_time->seconds == 1700000000);
    assert_int_equal(pong->server_time->nanos, 123456789);
    snakepit__bridge__ping_response__free_unpacked(pong, NULL);
    sp__buf_fini(&out);
    assert_int_equal(sp__proto_get_ping(NULL, 0, &message, NULL), SP_OK);
    assert_int_equal(message.size, 0);
    assert_int_equal(sp__proto_get_ping((const uint8_t *)"\x0a", 1, &message, NULL),
                     SP_ERR_PROTOCOL);
}

static void health_goes_there_and_back(void **state)
{
    for (int status = 0; status <= 3; status++) {
        struct sp_buffer out = buffer();
        int got = -1;
        assert_int_equal(sp__proto_put_health(&out, status, NULL), SP_OK);
        assert_int_equal(sp__proto_get_health(out.data, out.size, &got, NULL), SP_OK);
        assert_int_equal(got, status);
        sp__buf_fini(&out);
    }
    int got = -1;
    assert_int_equal(sp__proto_get_health((const uint8_t *)"\x08\x63", 2, &got, NULL),
                     SP_OK);
    assert_int_equal(got, 0);
    sp_bytes service;
    assert_int_equal(
        sp__proto_get_health_request((const uint8_t *)"\x0a\x01x", 3, &service, NULL),
        SP_OK);
    assert_text(service, "x");
}

static void telemetry_is_packed(void **state)
{
    static const char *const metadata[] = {"tool", "add", "worker", "w1", NULL};
    const struct proto_telemetry event = {.event = "tool.execution.stop",
                                          .measurement = "duration_ms",
                                          .value = 12,
                                          .metadata = metadata,
                                          .unix_ns = 99};
    struct sp_buffer out = buffer();
    assert_int_equal(sp__proto_put_telemetry(&out, &event, NULL), SP_OK);
    Snakepit__Bridge__TelemetryEvent *got =
        snakepit__bridge__telemetry_event__unpack(NULL, out.size, out.data);
    assert_int_equal(got->n_event_parts, 3);
    assert_string_equal(got->event_parts[0], "tool");
    assert_string_equal(got->event_parts[2], "stop");
    assert_int_equal(got->n_measurements, 1);
    assert_string_equal(got->measurements[0]->key, "duration_ms");
    assert_int_equal(got->measurements[0]->value->int_value, 12);
    assert_int_equal(got->n_metadata, 2);
    assert_string_equal(got->metadata[1]->key, "worker");
    assert_string_equal(got->metadata[1]->value, "w1");
    assert_int_equal(got->timestamp_ns, 99);
    snakepit__bridge__telemetry_event__free_unpacked(got, NULL);

    const struct proto_telemetry bare = {.event = "beat"};
    out.size = 0;
    assert_int_equal(sp__proto_put_telemetry(&out, &bare, NULL), SP_OK);
    got = snakepit__bridge__telemetry_event__unpack(NULL, out.size, out.data);
    assert_int_equal(got->n_event_parts, 1);
    assert_int_equal(got->n_measurements, 0);
    assert_int_equal(got->n_metadata, 0);
    snakepit__bridge__telemetry_event__free_unpacked(got, NULL);
    sp__buf_fini(&out);
}

static void telemetry_controls_are_read(void **state)
{
    int enabled;
    double sampling;
    static const uint8_t on[] = {0x0a, 0x02, 0x08, 0x01};
    static const uint8_t off[] = {0x0a, 0x00};
    static const uint8_t half[] = {0x12, 0x09, 0x09, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f};
    static const uint8_t two[] = {0x12, 0x09, 0x09, 0, 0, 0, 0, 0, 0, 0, 0x40};
    static const uint8_t filter[] = {0x1a, 0x00};
    assert_int_equal(
        sp__proto_get_telemetry_control(on, sizeof on, &enabled, &sampling, NULL),
        SP_OK);
    assert_int_equal(enabled, 1);
    assert_true(sampling < 0);
    assert_int_equal(
        sp__proto_get_telemetry_control(off, sizeof off, &enabled, &sampling, NULL),
        SP_OK);
    assert_int_equal(enabled, 0);
    assert_int_equal(
        sp__proto_get_telemetry_control(half, sizeof half, &enabled, &sampling, NULL),
        SP_OK);
    assert_int_equal(enabled, -1);
    assert_true(sampling == 0.5);
    assert_int_equal(
        sp__proto_get_telemetry_control(two, sizeof two, &enabled, &sampling, NULL),
        SP_OK);
    assert_true(sampling == 1);
    assert_int_equal(sp__proto_get_telemetry_control(filter, sizeof filter, &enabled,
                                                     &sampling, NULL),
                     SP_OK);
    assert_int_equal(enabled, -1);
    assert_true(sampling < 0);
    assert_int_equal(sp__proto_get_telemetry_control((const uint8_t *)"\x0a", 1,
                                                     &enabled, &sampling, NULL),
                     SP_ERR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_agree_with_protobuf_c),
        TEST(arguments_are_split_for_a_stock_peer),
        TEST(only_an_object_can_be_split),
        TEST(unknown_fields_and_odd_orders_are_taken),
        TEST(malformed_bytes_are_refused),
        TEST(map_entries_are_limited),
        TEST(responses_agree_with_protobuf_c),
        TEST(result_types_are_taken_from_any_url),
        TEST(chunks_agree_with_protobuf_c),
        TEST(writing_keeps_to_the_limit_of_the_buffer),
        TEST(announcements_go_there_and_back),
        TEST(announcements_survive_lack_of_memory),
        TEST(failed_announcements_say_why),
        TEST(an_announcement_is_answered),
        TEST(failures_go_there_and_back_whole),
        TEST(bare_failures_stay_bare),
        TEST(stock_peers_can_read_a_failure),
        TEST(long_failures_are_cut_to_the_buffer),
        TEST(failures_survive_lack_of_memory),
        TEST(foreign_details_are_left_alone),
        TEST(error_texts_of_every_age_are_read),
        TEST(error_texts_go_there_and_back),
        TEST(pings_go_there_and_back),
        TEST(health_goes_there_and_back),
        TEST(telemetry_is_packed),
        TEST(telemetry_controls_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
