/* SPDX-License-Identifier: MIT */
/*
 * Messages as an enemy packs them; byte 0 says which one. Reading never leaves the
 * bytes; what the hand-written coders read, they write and read again to the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/json.h"
#include "wire/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

static struct sp_buffer buffer(void)
{
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
    return out;
}

static int same(sp_bytes a, sp_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static void same_pairs(const struct proto_pair *a, const struct proto_pair *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CHECK(same(a[i].key, b[i].key) && same(a[i].value, b[i].value));
    }
}

static void try_request(const uint8_t *data, size_t size)
{
    struct proto_scratch scratch = {0};
    struct proto_scratch scratch_again = {0};
    struct proto_request request;
    struct proto_request again;
    if (sp__proto_get_request(data, size, &scratch, &request, NULL) == SP_OK) {
        struct sp_buffer out = buffer();
        CHECK(sp__proto_put_request(&out, &request, 0, NULL) == SP_OK);
        CHECK(out.size == sp__proto_request_size(&request));
        CHECK(sp__proto_get_request(out.data, out.size, &scratch_again, &again, NULL) ==
              SP_OK);
        CHECK(same(request.session_id, again.session_id));
        CHECK(same(request.tool_name, again.tool_name));
        CHECK(same(request.args_json, again.args_json));
        CHECK(request.stream == again.stream);
        CHECK(request.parameters_count == again.parameters_count);
        CHECK(request.binary_count == again.binary_count);
        CHECK(request.metadata_count == again.metadata_count);
        same_pairs(request.parameters, again.parameters, again.parameters_count);
        same_pairs(request.binary, again.binary, again.binary_count);
        CHECK(request.shared_count == again.shared_count);
        same_pairs(request.shared, again.shared, again.shared_count);
        same_pairs(request.metadata, again.metadata, again.metadata_count);
        const sp_bytes args = request.args_json;
        if (sp__json_read(args.data, args.size, 64, NULL, NULL, NULL) == SP_OK) {
            out.size = 0;
            (void)sp__proto_put_request(&out, &request, 1, NULL);
        }
        sp__buf_fini(&out);
    }
    sp__proto_scratch_fini(&scratch);
    sp__proto_scratch_fini(&scratch_again);
}

static void try_response(const uint8_t *data, size_t size)
{
    struct proto_response response;
    struct proto_response again;
    if (sp__proto_get_response(data, size, &response, NULL) < 0) {
        return;
    }
    struct sp_buffer out = buffer();
    CHECK(sp__proto_put_response(&out, &response, NULL) == SP_OK);
    CHECK(sp__proto_get_response(out.data, out.size, &again, NULL) == SP_OK);
    CHECK(response.success == again.success);
    CHECK(same(response.result_json, again.result_json));
    CHECK(same(response.error_message, again.error_message));
    CHECK(same(response.binary_result, again.binary_result));
    CHECK(same(response.shared_result, again.shared_result));
    CHECK(response.execution_time_ms == again.execution_time_ms);
    sp__buf_fini(&out);
}

static void try_chunk(const uint8_t *data, size_t size)
{
    struct proto_chunk chunk;
    struct proto_chunk again;
    if (sp__proto_get_chunk(data, size, &chunk, NULL) < 0) {
        return;
    }
    struct sp_buffer out = buffer();
    CHECK(sp__proto_put_chunk(&out, &chunk, NULL) == SP_OK);
    CHECK(sp__proto_get_chunk(out.data, out.size, &again, NULL) == SP_OK);
    CHECK(same(chunk.chunk_id, again.chunk_id));
    CHECK(same(chunk.data, again.data));
    CHECK(same(chunk.binary, again.binary));
    CHECK(chunk.is_final == again.is_final);
    sp__buf_fini(&out);
}

static void try_announce(const uint8_t *data, size_t size)
{
    struct proto_announce announce;
    if (sp__proto_get_announce(data, size, &announce, NULL) == SP_OK) {
        struct sp_buffer out = buffer();
        CHECK(sp__proto_put_announce(&out, &announce, NULL) == SP_OK);
        sp__proto_announce_fini(&announce);
        CHECK(sp__proto_get_announce(out.data, out.size, &announce, NULL) == SP_OK);
        sp__proto_announce_fini(&announce);
        sp__buf_fini(&out);
    }
    int accepted;
    char *message;
    if (sp__proto_get_announce_reply(data, size, &accepted, &message, NULL) == SP_OK) {
        sp__free(message);
    }
}

static void try_failure(const uint8_t *data, size_t size)
{
    sp_error failure = {0};
    sp_error again = {0};
    if (sp__proto_get_failure(data, size, &failure)) {
        struct sp_buffer out;
        sp__buf_init(&out, 6 * 1024);
        if (sp__proto_put_failure(&out, &failure, NULL) == SP_OK) {
            CHECK(sp__proto_get_failure(out.data, out.size, &again));
            CHECK(again.code == failure.code && again.executed == failure.executed);
            sp_error_clear(&again);
        }
        sp__buf_fini(&out);
        sp_error_clear(&failure);
    }
    sp__proto_get_error_text((sp_bytes){.data = data, .size = size}, &failure);
    struct sp_buffer text = buffer();
    CHECK(sp__proto_put_error_text(&text, &failure, NULL) == SP_OK);
    sp__proto_get_error_text((sp_bytes){.data = text.data, .size = text.size}, &again);
    CHECK(again.code == failure.code);
    sp__buf_fini(&text);
    sp_error_clear(&failure);
    sp_error_clear(&again);
}

static void try_small(const uint8_t *data, size_t size)
{
    sp_bytes text;
    int status;
    struct arena_ref ref;
    uint8_t packed[SP__PROTO_REF_MAX];
    (void)sp__proto_get_ping(data, size, &text, NULL);
    if (sp__proto_get_ref((sp_bytes){data, size}, &ref, NULL) == SP_OK) {
        struct arena_ref again;
        size_t n = sp__proto_put_ref(packed, &ref);
        CHECK(n <= sizeof packed);
        CHECK(sp__proto_get_ref((sp_bytes){packed, n}, &again, NULL) == SP_OK);
        CHECK(again.slot == ref.slot && again.at == ref.at && again.size == ref.size);
    }
    (void)sp__proto_get_health_request(data, size, &text, NULL);
    if (sp__proto_get_health(data, size, &status, NULL) == SP_OK) {
        CHECK(status >= 0 && status <= 3);
    }
    struct proto_control control;
    if (sp__proto_get_control(data, size, &control, NULL) == SP_OK) {
        CHECK(control.rate <= 1);
        sp__proto_control_fini(&control);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const uint8_t *data, size_t size) = {
        try_request, try_response, try_chunk, try_announce, try_failure, try_small};
    if (size == 0) {
        return 0;
    }
    int64_t live = sp__mem_live();
    /* A copy of its own, so that reading past its end is seen. */
    uint8_t *copy = malloc(size);
    CHECK(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    tries[data[0] % (sizeof tries / sizeof tries[0])](copy, size - 1);
    free(copy);
    CHECK(sp__mem_live() == live);
    return 0;
}
