/* SPDX-License-Identifier: MIT */
/* The memory of a call: two references, and what the adapter makes of a result. */
#include "pool/request.h"

#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "pool/pool.h"
#include "pool/result.h"

static struct request *make(const char *session)
{
    struct request *request = NULL;
    struct request_names names = {.tool = sp_text("tool"), .session = sp_text(session)};
    assert_int_equal(sp__request_new(&names, 0, 0, &request, NULL), 0);
    return request;
}

static void a_request_keeps_copies_of_its_strings(void **state)
{
    char tool[] = "tool";
    char session[] = "session";
    struct request *request;
    struct request_names names = {.tool = sp_text(tool), .session = sp_text(session)};
    assert_int_equal(sp__request_new(&names, 0, 0, &request, NULL), 0);
    memset(tool, '#', sizeof tool - 1);
    memset(session, '#', sizeof session - 1);
    assert_string_equal(request->tool_name, "tool");
    assert_string_equal(request->session, "session");
    assert_true(request->session_hash != 0);
    sp__request_drop(request);
    sp__request_drop(request);
}

static void without_a_session_there_is_no_hash(void **state)
{
    struct request *request = make("");
    assert_int_equal(request->session_hash, 0);
    sp__request_drop(request);
    sp__request_drop(request);
}

static void it_lives_until_both_have_let_go(void **state)
{
    int64_t before = sp__mem_live();
    struct request *request = make("");
    assert_int_equal(sp__result_copy_json(&request->result, sp_text("{}")), 0);
    sp__request_fail(request, SP_ERR_REMOTE, SP_EXECUTED_YES, "T: t")->remote_type =
        sp__strdup("T");
    request->message = (uint8_t *)sp__strdup("bytes");
    request->has_own_message = 1;
    sp__request_drop(request);
    assert_string_equal(request->result.json, "{}");
    sp__request_drop(request);
    assert_int_equal(sp__mem_live(), before);
}

static void its_message_has_room_behind_its_texts(void **state)
{
    struct request_names names = {.tool = sp_text("tool"), .trace = sp_text("00-1")};
    struct request *request;
    for (int streaming = 0; streaming < 2; streaming++) {
        assert_int_equal(sp__request_new(&names, streaming, 100, &request, NULL), 0);
        assert_int_equal(request->message_bytes, 100);
        memset(request->message, 0xff, 100);
        assert_string_equal(request->tool_name, "tool");
        assert_string_equal(request->session, "");
        assert_string_equal(request->trace, "00-1");
        sp__request_drop(request);
        sp__request_drop(request);
    }
}

static void without_memory_there_is_no_request(void **state)
{
    struct request *request = NULL;
    sp_error err = {0};
    sp__mem_fail_at(1, 0);
    struct request_names names = {.tool = sp_text("tool")};
    assert_int_equal(sp__request_new(&names, 0, 0, &request, &err), SP_ERR_NOMEM);
    assert_null(request);
    sp_error_clear(&err);
}

static void an_empty_result_can_be_cleared(void **state)
{
    sp_result result = {0};
    sp_result_clear(&result);
    sp_result_clear(NULL);
}

/* ---- the adapter's last word ---- */

static int double_it(void *user_data, const char *command, sp_bytes result_json,
                     sp_buffer *ret_result, sp_error *err)
{
    assert_string_equal(command, "tool");
    if (user_data == NULL) {
        return 0;
    }
    if (strcmp(user_data, "refuse") == 0) {
        return sp_error_set(err, SP_ERR_REFUSED, "not like this");
    }
    if (strcmp(user_data, "refuse silently") == 0) {
        return -1;
    }
    int rc = sp_buffer_append(ret_result, result_json);
    return rc == 0 ? sp_buffer_append(ret_result, result_json) : rc;
}

static int process(const char *mode, uint64_t response_max, struct request **ret)
{
    static sp_adapter adapter;
    static struct pool pool;
    struct request *request = make("");
    adapter = (sp_adapter){
        .size = sizeof adapter, .process = double_it, .user_data = (void *)mode};
    pool.options.response_max_bytes = response_max;
    request->adapter = &adapter;
    request->pool = &pool;
    assert_int_equal(sp__result_copy_json(&request->result, sp_text("[1]")), 0);
    *ret = request;
    return sp__request_process(request);
}

static void drop_both(struct request *request)
{
    sp__request_drop(request);
    sp__request_drop(request);
}

static void an_adapter_that_adds_nothing_keeps_the_result(void **state)
{
    struct request *request;
    assert_int_equal(process(NULL, 100, &request), 0);
    assert_string_equal(request->result.json, "[1]");
    drop_both(request);
}

static void an_adapter_may_rewrite_the_result(void **state)
{
    struct request *request;
    assert_int_equal(process("double", 100, &request), 0);
    assert_string_equal(request->result.json, "[1][1]");
    assert_int_equal(request->result.json_bytes, 6);
    drop_both(request);
}

static void an_adapter_may_refuse_the_result(void **state)
{
    struct request *request;
    assert_int_equal(process("refuse", 100, &request), SP_ERR_REFUSED);
    assert_string_equal(request->error->message, "not like this");
    assert_int_equal(request->error->executed, SP_EXECUTED_YES);
    drop_both(request);
    assert_int_equal(process("refuse silently", 100, &request), SP_ERR_REFUSED);
    assert_string_equal(request->error->message, "the adapter refused the result");
    drop_both(request);
}

static void a_rewritten_result_keeps_the_limit(void **state)
{
    struct request *request;
    assert_int_equal(process("double", 5, &request), SP_ERR_REFUSED);
    drop_both(request);
}

static void a_result_exactly_at_the_limit_is_taken(void **state)
{
    struct request *request;
    assert_int_equal(process("double", 6, &request), 0);
    assert_string_equal(request->result.json, "[1][1]");
    drop_both(request);
}

static void a_failed_call_is_not_processed(void **state)
{
    struct request *request = make("");
    static sp_adapter adapter = {.size = sizeof adapter, .process = double_it};
    request->adapter = &adapter;
    (void)sp__request_fail(request, SP_ERR_TIMEOUT, SP_EXECUTED_NO, "too late");
    assert_int_equal(sp__request_process(request), SP_ERR_TIMEOUT);
    drop_both(request);
}

/* What is left to say is whether it ran. */
static void a_call_fails_without_memory_to_say_how(void **state)
{
    struct request *request = make("");
    sp_error taken = {0};
    sp__mem_fail_at(1, 1);
    assert_null(
        sp__request_fail(request, SP_ERR_TIMEOUT, SP_EXECUTED_UNKNOWN, "too late"));
    assert_int_equal(sp__request_code(request), SP_ERR_NOMEM);
    assert_int_equal(request->error->executed, SP_EXECUTED_UNKNOWN);
    sp__mem_fail_at(0, 0);
    sp__request_take_error(request, &taken);
    assert_null(request->error);
    assert_int_equal(taken.code, SP_ERR_NOMEM);
    assert_int_equal(taken.executed, SP_EXECUTED_UNKNOWN);
    sp_error_clear(&taken);
    drop_both(request);
}

static void an_error_can_be_taken_once(void **state)
{
    struct request *request = make("");
    sp_error taken = {0};
    assert_non_null(sp__request_fail(request, SP_ERR_REMOTE, SP_EXECUTED_YES, "E: e"));
    sp__request_take_error(request, &taken);
    assert_int_equal(sp__request_code(request), 0);
    assert_string_equal(taken.message, "E: e");
    sp_error_clear(&taken);
    assert_non_null(sp__request_fail(request, SP_ERR_CLOSED, SP_EXECUTED_NO, "over"));
    sp__request_take_error(request, NULL);
    assert_null(request->error);
    drop_both(request);
}

/* Once there was no memory to say how it failed, that is what is said. */
static void an_error_that_is_shared_stays(void **state)
{
    struct request *request = make("");
    sp_error err = {0};
    sp__mem_fail_at(1, 0);
    assert_null(sp__request_fail(request, SP_ERR_REMOTE, SP_EXECUTED_YES, "T: t"));
    sp__mem_fail_at(0, 0);
    assert_null(sp__request_error(request, SP_EXECUTED_YES));
    assert_int_equal(sp__request_code(request), SP_ERR_NOMEM);
    sp__request_take_error(request, &err);
    assert_int_equal(err.code, SP_ERR_NOMEM);
    sp_error_clear(&err);
    sp__request_drop(request);
    sp__request_drop(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_keeps_copies_of_its_strings),
        TEST(without_a_session_there_is_no_hash),
        TEST(an_error_that_is_shared_stays),
        TEST(it_lives_until_both_have_let_go),
        TEST(its_message_has_room_behind_its_texts),
        TEST(without_memory_there_is_no_request),
        TEST(an_empty_result_can_be_cleared),
        TEST(an_adapter_that_adds_nothing_keeps_the_result),
        TEST(an_adapter_may_rewrite_the_result),
        TEST(an_adapter_may_refuse_the_result),
        TEST(a_rewritten_result_keeps_the_limit),
        TEST(a_result_exactly_at_the_limit_is_taken),
        TEST(a_failed_call_is_not_processed),
        TEST(a_call_fails_without_memory_to_say_how),
        TEST(an_error_can_be_taken_once),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
