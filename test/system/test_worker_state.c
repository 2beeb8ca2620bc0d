/* SPDX-License-Identifier: MIT */
/* What a worker in C has from its host: variables, programs, its session, tools of the
 * program and of other workers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patience.h"
#include "pits.h"

static sp_pit *open_keepers(uint32_t workers)
{
    sp_pool_options pool = pool_of_program("keeper", NULL, workers);
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_session_options options = {.size = sizeof options,
                                  .metadata = "{\"from\":\"host\"}"};
    assert_int_equal(
        sp_session_create(sp_pit_sessions(pit), "s1", &options, last_error()), 1);
    return pit;
}

static const char *in_session(sp_pit *pit, const char *tool, const char *args)
{
    sp_call_options options = {.size = sizeof options, .session = "s1"};
    return call(pit, tool, args, &options)->json;
}

static void add(sp_pit *pit, const char *name, const char *session, uint32_t flags,
                sp_host_tool_fn fn, void *user_data)
{
    sp_host_tool tool = {.size = sizeof tool,
                         .name = name,
                         .session = session,
                         .flags = flags,
                         .fn = fn,
                         .user_data = user_data};
    if (sp_tool_register(pit, &tool, last_error()) != 0) {
        fail_msg("%s", last_error()->message);
    }
}

static void a_worker_uses_the_variables_of_its_session(void **state)
{
    sp_pit *pit = open_keepers(1);
    sp_sessions *sessions = sp_pit_sessions(pit);
    sp_variable v = {0};
    assert_string_equal(in_session(pit, "variables", ""), "\"ok\"");
    /* What it made is there for the program, with versions from 0. */
    assert_int_equal(sp_variable_get(sessions, "s1", "a", &v, last_error()), 0);
    assert_string_equal(v.value, "9");
    assert_string_equal(v.type, "integer");
    assert_int_equal(v.version, 0);
    sp_variable_clear(&v);
}

static void a_worker_uses_programs(void **state)
{
    sp_pit *pit = open_keepers(1);
    assert_string_equal(in_session(pit, "programs", ""), "\"ok\"");
}

static void a_worker_reads_and_changes_its_session(void **state)
{
    sp_pit *pit = open_keepers(1);
    sp_session_info info = {0};
    assert_string_equal(in_session(pit, "session", ""), "\"ok\"");
    assert_int_equal(sp_session_get(sp_pit_sessions(pit), "s1", &info, last_error()),
                     0);
    assert_string_equal(info.metadata, "{\"by\":\"worker\"}");
    sp_session_info_clear(&info);
}

static void a_job_begins_its_session(void **state)
{
    sp_pit *pit = open_keepers(1);
    sp_call_options options = {.size = sizeof options, .session = "s2"};
    assert_string_equal(call(pit, "begin", "", &options)->json, "\"ok\"");
    assert_true(sp_session_exists(sp_pit_sessions(pit), "s2"));
}

static void a_job_without_a_session_has_no_variables(void **state)
{
    sp_pit *pit = open_keepers(1);
    const sp_error *err = call_fails(pit, "variables", "", NULL, SP_ERR_REMOTE);
    assert_has(err->remote_message, "sp_job_variable_register");
}

/* ---- watching ---- */

static void change_it(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    sp_pit *pit = user_data;
    sp_error err = {0};
    int rc = sp_variable_set(sp_pit_sessions(pit), "s1", "x", "2", NULL, NULL, &err);
    if (rc < 0) {
        sp_tool_call_fail(call, &err);
    } else {
        (void)sp_tool_call_reply(call, sp_text("true"), (sp_bytes){0}, NULL);
    }
    sp_error_clear(&err);
}

static void a_worker_sees_the_hosts_changes(void **state)
{
    sp_pit *pit = open_keepers(1);
    add(pit, "watching", NULL, 0, change_it, pit);
    assert_int_equal(sp_variable_register(sp_pit_sessions(pit), "s1", "x", NULL, "1",
                                          NULL, NULL, last_error()),
                     0);
    assert_string_equal(in_session(pit, "watch", ""), "2");
}

/* Start a call of "wait" and come back when it waits. */
static sp_id start_waiting(sp_pit *pit, uint64_t timeout_ms)
{
    static const char *const names[] = {"waiting"};
    sp_sessions *sessions = sp_pit_sessions(pit);
    sp_call_options options = {
        .size = sizeof options, .session = "s1", .timeout_ms = timeout_ms};
    sp_watch_options all = {.size = sizeof all};
    sp_watch *watch;
    sp_change change;
    (void)sp_variable_delete(sessions, "s1", names[0], NULL, NULL);
    assert_int_equal(sp_watch_open(sessions, "s1", &all, &watch, last_error()), 0);
    sp_id id = call_start(pit, "wait", "", &options);
    assert_int_equal(sp_watch_next(watch, patience_ms(20000), &change, last_error()),
                     1);
    assert_int_equal(change.kind, SP_CHANGE_REGISTERED);
    assert_string_equal(change.variable.name, names[0]);
    sp_variable_clear(&change.variable);
    sp_watch_close(watch);
    return id;
}

static void a_watch_ends_with_its_call_and_its_session(void **state)
{
    sp_pit *pit = open_keepers(1);
    sp_sessions *sessions = sp_pit_sessions(pit);
    assert_int_equal(
        sp_variable_register(sessions, "s1", "x", NULL, "1", NULL, NULL, last_error()),
        0);
    sp_id id = start_waiting(pit, 0);
    assert_int_equal(sp_call_cancel(pit, id, last_error()), 0);
    (void)call_wait_fails(pit, id, SP_ERR_CANCELLED);
    assert_string_equal(in_session(pit, "programs", ""), "\"ok\"");
    id = start_waiting(pit, patience_ms(1000));
    (void)call_wait_fails(pit, id, SP_ERR_TIMEOUT);
    assert_string_equal(in_session(pit, "programs", ""), "\"ok\"");
    id = start_waiting(pit, 0);
    assert_int_equal(sp_session_delete(sessions, "s1", last_error()), 0);
    assert_string_equal(call_wait(pit, id)->json, "\"SP-NOT-FOUND\"");
}

/* ---- tools ---- */

static void answer_back(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    char text[300];
    (void)snprintf(text, sizeof text, "{\"session\":\"%s\",\"args\":%.*s}",
                   sp_tool_call_session(call), (int)args_json.size,
                   (const char *)args_json.data);
    assert_true(sp_tool_call_worker(call) != 0);
    (void)sp_tool_call_reply(call, sp_text(text), (sp_bytes){0}, NULL);
}

static void refuse(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    sp_error failure = {0};
    sp_error_set(&failure, SP_ERR_CONFLICT, "somebody was faster");
    sp_tool_call_fail(call, &failure);
    sp_error_clear(&failure);
}

static void count(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    for (int i = 1; i <= 100; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        (void)sp_tool_call_chunk(call, sp_text(text), (sp_bytes){0}, patience_ms(20000),
                                 NULL);
    }
    (void)sp_tool_call_reply(call, (sp_bytes){0}, (sp_bytes){0}, NULL);
}

static void a_worker_calls_functions_of_the_program(void **state)
{
    sp_pit *pit = open_keepers(1);
    sp_call_options options = {.size = sizeof options, .session = "s1"};
    const sp_error *err = call_fails(pit, "pass", "{}", &options, SP_ERR_REMOTE);
    assert_has(err->remote_message, "SP-NO-TOOL"); /* nobody has registered one */
    add(pit, "look", NULL, 0, answer_back, NULL);
    assert_string_equal(in_session(pit, "pass", "{\"a\":1}"),
                        "{\"session\":\"s1\",\"args\":{\"a\":1}}");
    add(pit, "look", "s1", 0, refuse, NULL); /* the session's own comes first */
    err = call_fails(pit, "pass", "{}", &options, SP_ERR_REMOTE);
    assert_has(err->remote_message, "SP-CONFLICT: somebody was faster");
}

static void a_worker_lists_what_its_session_can_call(void **state)
{
    sp_pit *pit = open_keepers(1);
    assert_int_equal(sp_session_create(sp_pit_sessions(pit), "s2", NULL, last_error()),
                     1);
    add(pit, "look", NULL, 0, answer_back, NULL);
    add(pit, "numbers", "s1", SP_TOOL_STREAMING, count, NULL);
    add(pit, "secret", "s2", 0, answer_back, NULL);
    assert_string_equal(in_session(pit, "tools", ""), "\"2: look numbers*\"");
}

static void a_worker_reads_a_stream_of_the_program(void **state)
{
    sp_pit *pit = open_keepers(1);
    add(pit, "numbers", NULL, SP_TOOL_STREAMING | SP_TOOL_ANY_THREAD, count, NULL);
    assert_string_equal(in_session(pit, "pull", ""), "5050");
}

static void a_worker_calls_a_tool_of_another_pool(void **state)
{
    static char plain[512];
    static const char *command[] = {plain, "-", NULL};
    sp_pool_options pools[2] = {pool_of_program("keeper", NULL, 1)};
    (void)snprintf(plain, sizeof plain, "%s", path_of_program("plain"));
    pools[1] = (sp_pool_options){.size = sizeof pools[1],
                                 .name = "others",
                                 .runtime = "exec",
                                 .command = command,
                                 .workers = 1,
                                 .init_timeout_ms = patience_ms(20000)};
    sp_pit *pit = pit_open_ready(pools, 2);
    assert_string_equal(call(pit, "other", "{\"b\":[2]}", NULL)->json, "{\"b\":[2]}");
}

static void a_worker_that_would_wait_for_itself_is_told(void **state)
{
    sp_pit *pit = open_keepers(1);
    const sp_error *err = call_fails(pit, "self", "{}", NULL, SP_ERR_REMOTE);
    assert_has(err->remote_message, "SP-DEADLOCK");
    assert_string_equal(in_session(pit, "programs", ""), "\"ok\"");
}

static void thousands_of_questions_are_answered(void **state)
{
    sp_pit *pit = open_keepers(1);
    assert_int_equal(sp_variable_register(sp_pit_sessions(pit), "s1", "speed", NULL,
                                          "1.5", NULL, NULL, last_error()),
                     0);
    /* How long is told, not judged: the machine may have other work. */
    const char *median = in_session(pit, "turns", "{\"n\":5000}");
    printf("a variable is read in %s ns (median of 5000)\n", median);
    assert_true(strtol(median, NULL, 10) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_uses_the_variables_of_its_session),
        TEST(a_worker_uses_programs),
        TEST(a_worker_reads_and_changes_its_session),
        TEST(a_job_begins_its_session),
        TEST(a_job_without_a_session_has_no_variables),
        TEST(a_worker_sees_the_hosts_changes),
        TEST(a_watch_ends_with_its_call_and_its_session),
        TEST(a_worker_calls_functions_of_the_program),
        TEST(a_worker_lists_what_its_session_can_call),
        TEST(a_worker_reads_a_stream_of_the_program),
        TEST(a_worker_calls_a_tool_of_another_pool),
        TEST(a_worker_that_would_wait_for_itself_is_told),
        TEST(thousands_of_questions_are_answered),
    };
    return RUN_SYSTEM_TESTS("worker_state", tests);
}
