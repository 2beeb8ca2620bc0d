/* SPDX-License-Identifier: MIT */
/* Announcements, pings and health: there and back, and without memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "leak.h"
#include "proto_bytes.h"
#include "snakepit/bridge.pb-c.h"

/* ---- AnnounceWorker ---- */

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
    int64_t live_before = sp__mem_live();
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(announcements_go_there_and_back),
        TEST(announcements_survive_lack_of_memory),
        TEST(failed_announcements_say_why),
        TEST(an_announcement_is_answered),
        TEST(pings_go_there_and_back),
        TEST(health_goes_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
