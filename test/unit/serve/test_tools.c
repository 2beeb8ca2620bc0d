/* SPDX-License-Identifier: MIT */
/* GetExposedElixirTools and RegisterTools, as the host answers them. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "serve/rpc.h"
#include "session/host_tools.h"
#include "wire/proto_tool.h"

static sp_sessions *set;
static sp_error error;
static struct sp_buffer reply;
static struct proto_memory memory;
static struct asking asking;

static void close_all(void)
{
    sp__proto_memory_fini(&memory);
    sp__buf_fini(&reply);
    sp_error_clear(&error);
    sp_sessions_close(set);
    set = NULL;
}

static void open_all(const char *session, sp_id worker)
{
    memory = (struct proto_memory){0};
    sp__buf_init(&reply, 1 << 20);
    assert_int_equal(sp_sessions_open(NULL, &set, &error), 0);
    asking = (struct asking){.sessions = set,
                             .session = session,
                             .deadline_ms = SP_UNLIMITED,
                             .worker = worker};
    leak_at_end(close_all);
}

static void answer(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    fail_msg("nobody calls it here");
}

static void add(const char *session, const char *name, uint32_t flags)
{
    static const sp_tool_parameter params[] = {
        {.name = "x", .type = "number", .description = "where", .required = 1},
        {.name = "n", .type = "integer", .default_json = "1"}};
    sp_host_tool tool = {.size = sizeof tool,
                         .name = name,
                         .description = "what it does",
                         .session = session,
                         .parameters = params,
                         .parameters_count = 2,
                         .metadata = "{\"unit\":\"m\",\"level\":3}",
                         .flags = flags,
                         .fn = answer};
    assert_int_equal(sp__host_tools_register(set, &tool, 1, 0, &error), 0);
}

/* The tools of a list, "name name". */
static const char *list(const char *session)
{
    static char told[512];
    struct proto_tool_list message = {.session_id = session};
    struct sp_buffer question;
    struct proto_tool_spec spec;
    sp_bytes item;
    size_t at = 0;
    told[0] = '\0';
    sp__buf_init(&question, 4096);
    reply.size = 0;
    assert_int_equal(sp__proto_put_tool_list(&question, &message, &error), 0);
    int rc = sp__answer_tools_list(&asking, (sp_bytes){question.data, question.size},
                                   &reply, &error);
    sp__buf_fini(&question);
    if (rc < 0) {
        return sp_error_name(rc);
    }
    while (sp__table_next_item((sp_bytes){reply.data, reply.size}, 1, &at, &item,
                               &error) == 1) {
        size_t used = strlen(told);
        assert_int_equal(sp__proto_get_tool_spec(item, &memory, &spec, &error), 0);
        (void)snprintf(told + used, sizeof told - used, "%s%s%s", used == 0 ? "" : " ",
                       spec.name, spec.supports_streaming ? "*" : "");
    }
    return told;
}

static void a_session_is_told_its_tools_and_the_global_ones(void **state)
{
    open_all("", 0);
    assert_int_equal(sp_session_create(set, "s", NULL, &error), 1);
    add("s", "own", 0);
    add(NULL, "all", SP_TOOL_STREAMING);
    add(NULL, "secret", SP_TOOL_HIDDEN);
    assert_string_equal(list("s"), "all* own");
    assert_string_equal(list(""), "all*");
    assert_string_equal(list("nobody"), "all*"); /* and is not begun by asking */
    assert_int_equal(sp_session_exists(set, "nobody"), 0);
    asking.session = "t";
    assert_string_equal(list("s"), "SP-REFUSED");
}

static void a_tool_is_told_with_all_that_is_known(void **state)
{
    struct proto_tool_spec spec;
    sp_bytes item;
    size_t at = 0;
    open_all("", 0);
    add(NULL, "all", 0);
    (void)list("");
    assert_int_equal(
        sp__table_next_item((sp_bytes){reply.data, reply.size}, 1, &at, &item, &error),
        1);
    assert_int_equal(sp__proto_get_tool_spec(item, &memory, &spec, &error), 0);
    assert_string_equal(spec.description, "what it does");
    assert_int_equal(spec.parameters.count, 2);
    const struct proto_parameter_spec *params = spec.parameters.items;
    assert_string_equal(params[0].name, "x");
    assert_string_equal(params[0].description, "where");
    assert_int_equal(params[0].required, 1);
    assert_string_equal(params[1].default_value.json, "1");
    assert_int_equal(spec.metadata.count, 2);
    const struct proto_text_entry *metadata = spec.metadata.items;
    assert_string_equal(metadata[0].key, "unit");
    assert_string_equal(metadata[0].text, "m");
    assert_string_equal(metadata[1].text, "3");
    assert_non_null(strstr(spec.input_schema_json, "\"required\":[\"x\"]"));
}

/* RegisterTools; its answer is in `ret`. */
static int register_two(const char *session, const char *first, const char *worker,
                        struct proto_tool_register_reply *ret)
{
    const struct proto_parameter_spec param = {
        .name = "v", .type = "anything at all", .required = 1};
    const struct proto_tool_registration tools[] = {
        {.name = first, .description = "d", .parameters = {&param, 1}},
        {.name = "second", .supports_streaming = 1}};
    struct proto_tool_register message = {
        .session_id = session, .tools = {tools, 2}, .worker_id = worker};
    struct sp_buffer question;
    sp__buf_init(&question, 4096);
    reply.size = 0;
    assert_int_equal(sp__proto_put_tool_register(&question, &message, &error), 0);
    int rc = sp__answer_tools_register(
        &asking, (sp_bytes){question.data, question.size}, &reply, &error);
    sp__buf_fini(&question);
    if (rc == 0) {
        rc = sp__proto_get_tool_register_reply((sp_bytes){reply.data, reply.size},
                                               &memory, ret, &error);
    }
    return rc;
}

static uint64_t tools_of(const char *session)
{
    sp_session_info info = {0};
    assert_int_equal(sp_session_get(set, session, &info, &error), 0);
    uint64_t tools = info.tools;
    sp_session_info_clear(&info);
    return tools;
}

static void registering_begins_a_session_and_may_be_repeated(void **state)
{
    struct proto_tool_register_reply answered;
    open_all("", 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            register_two("s", "first", i < 2 ? "python-1" : "python-2", &answered), 0);
        assert_int_equal(answered.success, 1);
        assert_int_equal(answered.tool_ids.count, 2);
        const struct proto_text_entry *ids = answered.tool_ids.items;
        assert_string_equal(ids[0].key, "first");
        assert_string_equal(ids[0].text, "s:first");
        assert_int_equal(tools_of("s"), 2);
    }
    assert_string_equal(list("s"), ""); /* they are workers' */
}

static void a_tool_of_the_hosts_is_not_taken_over(void **state)
{
    struct proto_tool_register_reply answered;
    open_all("", 7);
    assert_int_equal(sp_session_create(set, "s", NULL, &error), 1);
    add("s", "first", 0);
    assert_int_equal(register_two("s", "first", "", &answered), 0);
    assert_int_equal(answered.success, 0);
    /* What the original's workers look for, and go on. */
    assert_non_null(strstr(answered.error_message, "duplicate_tool"));
    assert_int_equal(tools_of("s"), 1); /* all or none */
    assert_int_equal(register_two("s", "not a name", "", &answered), 0);
    assert_int_equal(answered.success, 0);
    assert_non_null(strstr(answered.error_message, "wrong character"));
}

static void without_memory_nothing_is_left_behind(void **state)
{
    open_all("", 0);
    add(NULL, "all", 0);
    for (uint64_t n = 1; n < 300; n++) {
        struct proto_tool_register message = {.session_id = "s"};
        const struct proto_tool_registration tool = {.name = "t"};
        struct sp_buffer question;
        message.tools.items = &tool;
        message.tools.count = 1;
        sp__buf_init(&question, 4096);
        assert_int_equal(sp__proto_put_tool_register(&question, &message, &error), 0);
        sp_bytes bytes = {question.data, question.size};
        reply.size = 0;
        sp__mem_fail_at(n, 0);
        int rc = sp__answer_tools_register(&asking, bytes, &reply, &error);
        int listed = sp__answer_tools_list(&asking, (sp_bytes){"", 0}, &reply, &error);
        sp__mem_fail_at(0, 0);
        sp__buf_fini(&question);
        assert_true(rc == 0 || rc == SP_ERR_NOMEM);
        assert_true(listed == 0 || listed == SP_ERR_NOMEM);
        if (rc == 0 && listed == 0) {
            return;
        }
    }
    fail_msg("never worked");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_session_is_told_its_tools_and_the_global_ones),
        TEST(a_tool_is_told_with_all_that_is_known),
        TEST(registering_begins_a_session_and_may_be_repeated),
        TEST(a_tool_of_the_hosts_is_not_taken_over),
        TEST(without_memory_nothing_is_left_behind),
    };
    return cmocka_run_group_tests_name("serve_tools", tests, NULL, NULL);
}
