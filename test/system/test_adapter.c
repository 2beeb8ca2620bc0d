/* SPDX-License-Identifier: MIT */
/* A custom adapter: its own command line, and callbacks that check and change what
 * crosses the border. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pits.h"

struct asked {
    unsigned validated;
    unsigned prepared;
    unsigned processed;
    unsigned timed;
    char last_args[200];
};

static struct asked asked;

static int validate(void *user_data, const char *command, sp_bytes args_json,
                    sp_error *err)
{
    struct asked *count = user_data;
    count->validated++;
    if (args_json.size == 0) {
        return 0;
    }
    (void)snprintf(count->last_args, sizeof count->last_args, "%.*s",
                   (int)args_json.size, (const char *)args_json.data);
    if (strstr(count->last_args, "forbidden") != NULL) {
        return sp_error_set(err, SP_ERR_INVAL, "%s may not be %s", command,
                            "forbidden");
    }
    return strstr(count->last_args, "silence") != NULL ? 1 : 0;
}

static int prepare(void *user_data, const char *command, sp_bytes args_json,
                   sp_buffer *ret_args, sp_error *err)
{
    struct asked *count = user_data;
    count->prepared++;
    if (strcmp(command, "add") == 0) {
        return sp_buffer_append(ret_args, sp_text("{\"a\":100,\"b\":1}"));
    }
    if (strcmp(command, "length") == 0) {
        return sp_buffer_append(ret_args, sp_text("{broken"));
    }
    if (strcmp(command, "text") == 0) {
        return sp_error_set(err, SP_ERR_REFUSED, "no arguments for text");
    }
    return 0;
}

static int process(void *user_data, const char *command, sp_bytes result_json,
                   sp_buffer *ret_result, sp_error *err)
{
    struct asked *count = user_data;
    count->processed++;
    if (strcmp(command, "where") == 0) {
        return sp_error_set(err, SP_ERR_REFUSED, "the result is secret");
    }
    if (strcmp(command, "echo") != 0) {
        return 0;
    }
    int rc = sp_buffer_append(ret_result, sp_text("{\"wrapped\":"));
    if (rc == 0) {
        rc = sp_buffer_append(ret_result, result_json);
    }
    return rc == 0 ? sp_buffer_append(ret_result, sp_text("}")) : rc;
}

static uint64_t timeout_ms(void *user_data, const char *command, sp_bytes args_json)
{
    struct asked *count = user_data;
    count->timed++;
    return strcmp(command, "hold") == 0 ? 70 : 0;
}

static sp_adapter adapter;
static char script[600];
static const char *args[4];
static const char *environment[4];

/* Python with the probe, as somebody would write it who knows nothing of the built-in
 * runtime. */
static sp_pool_options pool_with_adapter(void)
{
    static char spec[600];
    const char *bridge = getenv("SNAKEPIT_BRIDGE_PATH");
    asked = (struct asked){0};
    (void)snprintf(script, sizeof script, "%s/snakepit_worker.py",
                   bridge != NULL ? bridge : TEST_BUILD "/bridges/python");
    (void)snprintf(spec, sizeof spec, "%s", path_of_python("probe.py"));
    args[0] = "--adapter";
    args[1] = spec;
    args[2] = NULL;
    environment[0] = "PROBE_FROM=adapter";
    environment[1] = env_for_python() != NULL ? env_for_python()[0] : NULL;
    environment[2] = NULL;
    adapter = (sp_adapter){
        .size = sizeof adapter,
        .name = "my own kind",
        .user_data = &asked,
        .executable = "/usr/bin/python3",
        .script = script,
        .args = args,
        .env = environment,
        .validate = validate,
        .prepare = prepare,
        .process = process,
        .timeout_ms = timeout_ms,
    };
    return (sp_pool_options){.size = sizeof(sp_pool_options),
                             .workers = 1,
                             .custom = &adapter,
                             .init_timeout_ms = patience_ms(20000)};
}

static sp_pit *pit_with_adapter(void)
{
    sp_pool_options pool = pool_with_adapter();
    return pit_open_ready(&pool, 1);
}

static void an_adapter_starts_its_own_kind_of_worker(void **state)
{
    sp_pit *pit = pit_with_adapter();
    call_gives(pit, "variable", "[\"PROBE_FROM\"]", "\"adapter\"");
    assert_string_equal(stats_of(pit).adapter, "my own kind");
}

static void each_callback_is_asked_once_for_a_call(void **state)
{
    sp_pit *pit = pit_with_adapter();
    call_gives(pit, "variable", "[\"NOTHING\"]", "null");
    assert_int_equal(asked.validated, 1);
    assert_int_equal(asked.prepared, 1);
    assert_int_equal(asked.processed, 1);
    assert_int_equal(asked.timed, 1);
    assert_string_equal(asked.last_args, "[\"NOTHING\"]");
}

static void validate_refuses_before_anything_is_sent(void **state)
{
    sp_pit *pit = pit_with_adapter();
    call_fails(pit, "echo", "[\"forbidden\"]", NULL, SP_ERR_REFUSED);
    assert_string_equal(last_error()->message, "echo may not be forbidden");
    assert_int_equal(last_error()->executed, SP_EXECUTED_NO);
    call_fails(pit, "echo", "[\"silence\"]", NULL, SP_ERR_REFUSED);
    assert_string_equal(last_error()->message, "the adapter gave no reason");
    assert_int_equal(stats_of(pit).requests, 0);
    assert_int_equal(asked.prepared, 0);
}

static void callbacks_see_only_arguments_that_are_json(void **state)
{
    sp_pit *pit = pit_with_adapter();
    call_fails(pit, "echo", "[forbidden", NULL, SP_ERR_BAD_JSON);
    call_fails(pit, "echo", "\"forbidden\"", NULL, SP_ERR_BAD_ARGS);
    assert_int_equal(asked.validated, 0);
}

static void prepare_rewrites_the_arguments(void **state)
{
    sp_pit *pit = pit_with_adapter();
    call_gives(pit, "add", "{\"a\":1,\"b\":2}", "101");
}

static void prepare_may_refuse_and_must_write_json(void **state)
{
    sp_pit *pit = pit_with_adapter();
    call_fails(pit, "text", "[1]", NULL, SP_ERR_REFUSED);
    assert_string_equal(last_error()->message, "no arguments for text");
    call_fails(pit, "length", "[\"a\"]", NULL, SP_ERR_BAD_JSON);
}

static void process_rewrites_the_result(void **state)
{
    sp_pit *pit = pit_with_adapter();
    call_gives(pit, "echo", "[[1,2]]", "{\"wrapped\":[1,2]}");
    sp_id id = call_start(pit, "echo", "[5]", NULL);
    assert_string_equal(call_wait(pit, id)->json, "{\"wrapped\":5}");
}

static void process_may_refuse_a_result(void **state)
{
    sp_pit *pit = pit_with_adapter();
    call_fails(pit, "where", "", NULL, SP_ERR_REFUSED);
    assert_string_equal(last_error()->message, "the result is secret");
    assert_int_equal(last_error()->executed, SP_EXECUTED_YES);
    call_fails(pit, "fail", "", NULL, SP_ERR_REMOTE); /* errors are not processed */
    assert_int_equal(asked.processed, 1);
}

static void on_reply(const sp_reply *reply, void *user_data)
{
    assert_null(reply->error);
    (void)snprintf(user_data, 64, "%s", reply->result->json);
}

static void process_runs_for_dispatched_calls_too(void **state)
{
    char json[64] = "";
    sp_pit *pit = pit_with_adapter();
    assert_int_equal(
        sp_call_start(pit, "echo", sp_text("[5]"), NULL, on_reply, json, NULL, NULL),
        0);
    uint64_t end_ms = leak_now_ms() + patience_ms(20000);
    while (json[0] == '\0' && leak_now_ms() < end_ms) {
        assert_true(sp_pit_dispatch(pit, 100, NULL) >= 0);
    }
    assert_string_equal(json, "{\"wrapped\":5}");
}

static void the_adapters_timeout_comes_before_the_pools(void **state)
{
    char text[400];
    sp_pit *pit = pit_with_adapter();
    call_fails(pit, "hold", hold_args("h", text, sizeof text), NULL, SP_ERR_TIMEOUT);
    sp_call_options longer = {.size = sizeof longer, .timeout_ms = patience_ms(20000)};
    sp_id held = hold_start(pit, "g", &longer); /* but not before the call's own */
    hold_release("g");
    (void)call_wait(pit, held);
}

/* Who asks from another process has no thread here on which they could run. */
static void a_workers_call_does_not_run_functions_of_the_program(void **state)
{
    sp_pool_options pools[2] = {pool_of_program("nests", NULL, 1), pool_with_adapter()};
    pools[0].name = "nests";
    pools[1].name = "echoing";
    sp_pit *pit = pit_open_ready(pools, 2);
    call_fails(pit, "pass",
               "{\"tool\":\"echo\",\"pool\":\"echoing\",\"args\":{\"value\":1}}", NULL,
               SP_ERR_UNSUPPORTED);
    assert_has(last_error()->message, "has functions of the program");
    assert_int_equal(asked.validated, 0);
}

static void an_adapter_names_its_commands(void **state)
{
    static const char *const commands[] = {"echo", "add", NULL};
    sp_pool_options pool = pool_with_adapter();
    adapter.commands = commands;
    sp_pit *pit = pit_open_ready(&pool, 1);
    call_fails(pit, "where", "", NULL, SP_ERR_NO_TOOL);
    assert_int_equal(asked.validated, 0);
    call_fails(pit, "ecko", "", NULL, SP_ERR_NO_TOOL);
    assert_has(last_error()->message, "near matches: echo");
    call_gives(pit, "add", "[1]", "101");
}

static void an_adapter_without_callbacks_only_starts(void **state)
{
    sp_pool_options pool = pool_with_adapter();
    adapter.validate = NULL;
    adapter.prepare = NULL;
    adapter.process = NULL;
    adapter.timeout_ms = NULL;
    adapter.name = NULL;
    sp_pit *pit = pit_open_ready(&pool, 1);
    call_gives(pit, "add", "[1]", "2");
    assert_string_equal(stats_of(pit).adapter, "/usr/bin/python3");
}

static void an_adapter_without_an_executable_is_refused(void **state)
{
    sp_pit *pit = NULL;
    sp_pool_options pool = pool_with_adapter();
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    adapter.executable = NULL;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), SP_ERR_CONFIG);
    adapter.executable = "/no/such/program";
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), SP_ERR_NOT_FOUND);
    assert_null(pit);
    sp_error_clear(last_error());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_adapter_starts_its_own_kind_of_worker),
        TEST(each_callback_is_asked_once_for_a_call),
        TEST(validate_refuses_before_anything_is_sent),
        TEST(callbacks_see_only_arguments_that_are_json),
        TEST(prepare_rewrites_the_arguments),
        TEST(prepare_may_refuse_and_must_write_json),
        TEST(process_rewrites_the_result),
        TEST(process_may_refuse_a_result),
        TEST(process_runs_for_dispatched_calls_too),
        TEST(the_adapters_timeout_comes_before_the_pools),
        TEST(a_workers_call_does_not_run_functions_of_the_program),
        TEST(an_adapter_names_its_commands),
        TEST(an_adapter_without_callbacks_only_starts),
        TEST(an_adapter_without_an_executable_is_refused),
    };
    return RUN_SYSTEM_TESTS("adapter", tests);
}
