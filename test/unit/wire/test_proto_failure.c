/* SPDX-License-Identifier: MIT */
/*
 * Failures as status details and as texts: there and back, what stock peers read of ours
 * and we of theirs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "leak.h"
#include "proto_bytes.h"
#include "wire/json.h"

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
    failure.remote_details = sp__strdup("{\"causes\": [{\"type\": \"KeyError\"}]}");
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
    assert_string_equal(got.remote_details, failure.remote_details);
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
    assert_null(got.remote_details);
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

/* JSON is not cut: what is none, and what has no room, is left out. */
static void details_go_whole_or_not_at_all(void **state)
{
    static const char *const none[] = {"", "[1]", "\"text\"", "{\"a\":", "{} x"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        sp_error failure = a_failure();
        sp_error got = {0};
        struct sp_buffer out = buffer();
        sp__free(failure.remote_details);
        failure.remote_details = sp__strdup(none[i]);
        assert_int_equal(sp__proto_put_failure(&out, &failure, NULL), SP_OK);
        assert_int_equal(sp__proto_get_failure(out.data, out.size, &got), 1);
        assert_null(got.remote_details);
        out.size = 0;
        assert_int_equal(sp__proto_put_error_text(&out, &failure, NULL), SP_OK);
        sp__proto_get_error_text((sp_bytes){out.data, out.size}, &got);
        assert_string_equal(got.remote_type, "ValueError");
        assert_null(got.remote_details);
        sp_error_clear(&got);
        sp_error_clear(&failure);
        sp__buf_fini(&out);
    }
    enum { LENGTH = 3000 };
    static char details[LENGTH + 1];
    memset(details, ' ', LENGTH);
    details[0] = '{';
    details[LENGTH - 1] = '}';
    for (size_t max = 2048; max <= 8192; max *= 2) {
        sp_error failure = a_failure();
        sp_error got = {0};
        struct sp_buffer out;
        sp__buf_init(&out, max);
        sp__free(failure.remote_details);
        failure.remote_details = sp__strdup(details);
        assert_int_equal(sp__proto_put_failure(&out, &failure, NULL), SP_OK);
        assert_int_equal(sp__proto_get_failure(out.data, out.size, &got), 1);
        assert_int_equal(got.remote_details != NULL, max > LENGTH + 1024);
        assert_string_equal(got.remote_trace, failure.remote_trace);
        sp_error_clear(&got);
        sp_error_clear(&failure);
        sp__buf_fini(&out);
    }
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
    assert_string_equal(got.remote_details, failure.remote_details);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(failures_go_there_and_back_whole),
        TEST(bare_failures_stay_bare),
        TEST(stock_peers_can_read_a_failure),
        TEST(long_failures_are_cut_to_the_buffer),
        TEST(details_go_whole_or_not_at_all),
        TEST(failures_survive_lack_of_memory),
        TEST(foreign_details_are_left_alone),
        TEST(error_texts_of_every_age_are_read),
        TEST(error_texts_go_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
