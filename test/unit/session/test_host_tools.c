/* SPDX-License-Identifier: MIT */
/* Tools under names: of a session, global, and those that workers register. */
#include "session/host_tools.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"

static uint64_t clock_ms;
static sp_sessions *set;
static sp_error error;
static int gone; /* tools whose end was told */
static char told[1024];

static uint64_t read_clock(void)
{
    return clock_ms;
}

static void close_set(void)
{
    sp_sessions_close(set);
    set = NULL;
    sp_error_clear(&error);
}

static void open_set(void)
{
    sp_sessions_options options = {.size = sizeof options, .ttl_ms = 1000};
    clock_ms = 1000;
    gone = 0;
    assert_int_equal(sp_sessions_open(&options, &set, &error), 0);
    set->now_ms = read_clock;
    leak_at_end(close_set);
    assert_int_equal(sp_session_create(set, "s", NULL, &error), 1);
    assert_int_equal(sp_session_create(set, "t", NULL, &error), 1);
}

static void answer(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    fail_msg("nobody calls it here");
}

static void note_gone(void *user_data)
{
    ++*(int *)user_data;
}

static sp_host_tool tool(const char *session, const char *name)
{
    return (sp_host_tool){.size = sizeof(sp_host_tool),
                          .name = name,
                          .session = session,
                          .fn = answer,
                          .user_data = &gone,
                          .on_gone = note_gone};
}

static int put(sp_host_tool one)
{
    return sp__host_tools_register(set, &one, 1, 0, &error);
}

static int finds(const char *session, const char *name)
{
    struct host_tool *found = sp__host_tool_find(set, session, name);
    int is_found = found != NULL;
    if (is_found) {
        assert_string_equal(found->facts.name, name);
        sp__host_tool_unref(found);
    }
    return is_found;
}

static void note(const sp_host_tool_info *info, void *user_data)
{
    size_t at = strlen(told);
    (void)snprintf(told + at, sizeof told - at, "%s%s:%s", at == 0 ? "" : " ",
                   info->session == NULL ? "" : info->session, info->name);
}

static const char *list(const char *session)
{
    told[0] = '\0';
    assert_true(sp__host_tools_list(set, session, note, NULL, &error) >= 0);
    return told;
}

static void tools_of_one_session_do_not_exist_in_another(void **state)
{
    open_set();
    assert_int_equal(put(tool("s", "own")), 0);
    assert_int_equal(put(tool(NULL, "all")), 0);
    assert_int_equal(put(tool("t", "all")), 0);
    assert_true(finds("s", "own") && !finds("t", "own") && !finds(NULL, "own"));
    assert_true(finds("s", "all") && finds("t", "all") && finds("", "all"));
    assert_string_equal(list("s"), ":all s:own");
    assert_string_equal(list("t"), "t:all"); /* in place of the global one */
    assert_string_equal(list(NULL), ":all");
    assert_int_equal(sp__host_tools_list(set, "x", note, NULL, &error),
                     SP_ERR_NOT_FOUND);
    assert_int_equal(put(tool("x", "own")), SP_ERR_NOT_FOUND);
    assert_string_equal(error.message, "no session \"x\"");
    assert_int_equal(sp__host_tool_unregister(set, "t", "own", &error),
                     SP_ERR_NOT_FOUND);
    assert_string_equal(error.message, "no host tool \"own\" in session t");
    assert_int_equal(sp__host_tool_unregister(set, "s", "own", &error), 0);
    assert_int_equal(gone, 1);
    assert_false(finds("s", "own"));
    assert_int_equal(put(tool("s", "own")), 0); /* and the name is free again */
}

static void tools_end_with_their_session(void **state)
{
    open_set();
    char name[16];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof name, "tool%d", i);
        assert_int_equal(put(tool("s", name)), 0);
    }
    assert_int_equal(put(tool("t", "other")), 0);
    struct host_tool *held = sp__host_tool_find(set, "s", "tool7");
    assert_non_null(held);
    assert_int_equal(sp_session_delete(set, "s", &error), 0);
    assert_int_equal(gone, 299); /* one is being called */
    sp__host_tool_unref(held);
    assert_int_equal(gone, 300);
    clock_ms += 1000;
    assert_false(finds("t", "other"));
    assert_int_equal(sp_sessions_cleanup(set, &error), 1);
    assert_int_equal(gone, 301);
}

static struct host_tool *taken;

static void take(void *user, struct host_tool *one)
{
    taken = one;
}

static void an_undertaker_takes_what_is_to_be_told(void **state)
{
    open_set();
    sp__undertaker_set(set->undertaker, take, NULL);
    assert_int_equal(put(tool("s", "a")), 0);
    assert_int_equal(put(tool("s", "b")), 0);
    struct host_tool *held = sp__host_tool_find(set, "s", "b");
    assert_int_equal(sp__host_tool_unregister(set, "s", "a", &error), 0);
    assert_int_equal(gone, 0);
    sp__host_tool_bury(taken);
    assert_int_equal(gone, 1);
    /* A call may end after the set. */
    sp__undertaker_set(set->undertaker, NULL, NULL);
    close_set();
    assert_int_equal(gone, 1);
    sp__host_tool_unref(held);
    assert_int_equal(gone, 2);
}

static void names_and_texts_are_checked(void **state)
{
    static const struct {
        const char *name;
        const char *message;
    } names[] = {
        {NULL, "a tool has no name"},
        {"", "a tool has no name"},
        {"_a",
         "the tool's name \"_a\" has a wrong character at 0: a letter or digit, then "
         "these and _ - . are allowed"},
        {"a b",
         "the tool's name \"a b\" has a wrong character at 1: a letter or digit, "
         "then these and _ - . are allowed"},
        {"a\xc3\xa9",
         "the tool's name \"a\xc3\xa9\" has a wrong character at 1: a letter "
         "or digit, then these and _ - . are allowed"},
        {"a1234567890123456789012345678901234567890123456789012345678901234",
         "the tool's name "
         "\"a123456789012345678901234567890123456789012345678901234567890"
         "123...\" is longer than 64 bytes"},
    };
    open_set();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(put(tool("s", names[i].name)), SP_ERR_INVAL);
        assert_string_equal(error.message, names[i].message);
    }
    assert_int_equal(
        put(tool("s",
                 "0-_.123456789012345678901234567890123456789012345678901234567890")),
        0);
    sp_host_tool one = tool("s", "a");
    one.fn = NULL;
    assert_int_equal(put(one), SP_ERR_INVAL);
    one = tool("s", "a");
    one.size = 3;
    assert_int_equal(put(one), SP_ERR_INVAL);
    one = tool("s", "a");
    one.metadata = "[]";
    assert_int_equal(put(one), SP_ERR_INVAL);
    one.metadata = "{";
    assert_int_equal(put(one), SP_ERR_BAD_JSON);
    one = tool("s", "a");
    one.input_schema = "{\"type\":\"strnig\"}";
    assert_int_equal(put(one), SP_ERR_BAD_VALUE);
    assert_non_null(strstr(error.message, "tool a: type must be null"));
    const sp_tool_parameter params[] = {{.name = "x", .type = "flaot"}};
    one = tool("s", "a");
    one.parameters = params;
    one.parameters_count = 1;
    assert_int_equal(put(one), SP_ERR_BAD_VALUE);
    one.input_schema = "{}";
    assert_int_equal(put(one), SP_ERR_INVAL);
    assert_string_equal(error.message, "tool a has both parameters and a schema");
    assert_int_equal(gone, 0);
}

static void metadata_has_limits(void **state)
{
    static char metadata[TOOL_METADATA_MAX + 64];
    open_set();
    sp_host_tool one = tool("s", "a");
    one.metadata = metadata;
    size_t at = 0;
    for (int i = 0; i <= TOOL_METADATA_MEMBERS_MAX; i++) {
        at += (size_t)snprintf(metadata + at, sizeof metadata - at, "%c\"m%d\":1",
                               i == 0 ? '{' : ',', i);
    }
    (void)snprintf(metadata + at, sizeof metadata - at, "}");
    assert_int_equal(put(one), SP_ERR_TOO_BIG);
    assert_string_equal(error.message,
                        "tool a: a tool's metadata has 33 members: at most 32");
    memset(metadata, ' ', TOOL_METADATA_MAX - 1);
    metadata[0] = '{';
    metadata[TOOL_METADATA_MAX - 1] = '}';
    metadata[TOOL_METADATA_MAX] = '\0';
    assert_int_equal(put(one), 0);
    metadata[TOOL_METADATA_MAX] = ' ';
    metadata[TOOL_METADATA_MAX + 1] = '\0';
    one.name = "b";
    assert_int_equal(put(one), SP_ERR_TOO_BIG);
}

static void a_batch_goes_in_wholly_or_not_at_all(void **state)
{
    open_set();
    sp_host_tool batch[] = {tool("s", "a"), tool("s", "b"), tool("s", "c")};
    assert_int_equal(put(tool("s", "c")), 0);
    assert_int_equal(sp__host_tools_register(set, batch, 3, 0, &error), SP_ERR_EXISTS);
    assert_string_equal(error.message, "there is a tool \"c\" already in session s");
    assert_string_equal(list("s"), "s:c");
    assert_int_equal(sp__host_tools_register(set, batch, 2, 0, &error), 0);
    assert_string_equal(list("s"), "s:a s:b s:c");
    sp_host_tool twice[] = {tool("s", "d"), tool("s", "d")};
    assert_int_equal(sp__host_tools_register(set, twice, 2, 0, &error), SP_ERR_EXISTS);
    sp_host_tool mixed[] = {tool("s", "d"), tool("t", "d")};
    assert_int_equal(sp__host_tools_register(set, mixed, 2, 0, &error), SP_ERR_INVAL);
    assert_string_equal(list("s"), "s:a s:b s:c");
    assert_int_equal(sp__host_tools_register(set, batch, 0, 0, &error), 0);
    assert_int_equal(gone, 0);
}

static void a_worker_may_say_the_same_again(void **state)
{
    open_set();
    sp_host_tool one = tool("s", "w");
    one.fn = NULL;
    one.on_gone = NULL;
    assert_int_equal(sp__host_tools_register(set, &one, 1, 7, &error), 0);
    assert_int_equal(sp__host_tools_register(set, &one, 1, 7, &error), 0);
    assert_int_equal(put(tool("s", "w")), SP_ERR_EXISTS);
    assert_int_equal(sp__host_tools_register(set, &one, 1, 8, &error), 0);
    struct host_tool *found = sp__host_tool_find(set, "s", "w");
    assert_int_equal(found->worker, 8); /* the session has moved */
    sp__host_tool_unref(found);
    assert_string_equal(list("s"), ""); /* it is no tool of the host's */
    assert_int_equal(put(tool("s", "h")), 0);
    one.name = "h";
    assert_int_equal(sp__host_tools_register(set, &one, 1, 8, &error), SP_ERR_EXISTS);
}

static void a_name_nobody_knows_gets_near_ones(void **state)
{
    open_set();
    assert_int_equal(put(tool("s", "parse_json")), 0);
    assert_int_equal(put(tool(NULL, "parse_text")), 0);
    assert_int_equal(put(tool("t", "parse_jsob")), 0);
    assert_int_equal(sp__host_tool_refuse(set, "s", "parse_jsonn", &error),
                     SP_ERR_NO_TOOL);
    assert_string_equal(error.message, "the host has no tool \"parse_jsonn\"; near "
                                       "matches: parse_json");
    assert_int_equal(sp__host_tool_refuse(set, "", "x", &error), SP_ERR_NO_TOOL);
    assert_string_equal(error.message, "the host has no tool \"x\"");
}

static void parameters_and_schemas_are_kept(void **state)
{
    const sp_tool_parameter params[] = {
        {.name = "x", .type = "float", .description = "where", .required = 1},
        {.name = "n", .type = "integer", .default_json = "1"}};
    open_set();
    sp_host_tool one = tool("s", "p");
    one.parameters = params;
    one.parameters_count = 2;
    one.description = "what it does";
    assert_int_equal(put(one), 0);
    struct host_tool *found = sp__host_tool_find(set, "s", "p");
    assert_string_equal(found->facts.description, "what it does");
    assert_string_equal(found->facts.metadata, "{}");
    assert_string_equal(found->facts.parameters[0].description, "where");
    assert_null(found->facts.parameters[0].default_json);
    assert_string_equal(found->facts.parameters[1].default_json, "1");
    assert_string_equal(
        found->facts.input_schema,
        "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"number\","
        "\"description\":\"where\"},\"n\":{\"type\":\"integer\",\"default\":1}},"
        "\"required\":[\"x\"],\"additionalProperties\":false}");
    assert_int_equal(sp__schema_check(found->schema, "{\"x\":1}", 7, NULL, &error), 0);
    assert_int_equal(sp__schema_check(found->schema, "{}", 2, NULL, &error),
                     SP_ERR_BAD_ARGS);
    sp__host_tool_unref(found);
}

static void a_place_holds_so_many(void **state)
{
    char name[16];
    open_set();
    for (int i = 0; i < TOOLS_MAX; i++) {
        (void)snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(put(tool(NULL, name)), 0);
    }
    assert_int_equal(put(tool(NULL, "more")), SP_ERR_QUOTA);
    assert_string_equal(error.message, "there are 1024 tools, as many as may be");
    assert_int_equal(put(tool("s", "more")), 0);
}

static void without_memory_nothing_is_half_done(void **state)
{
    const sp_tool_parameter params[] = {{.name = "x", .type = "str", .required = 1}};
    open_set();
    for (uint64_t n = 1; n < 200; n++) {
        sp_host_tool batch[] = {tool("s", "a"), tool("s", "b")};
        batch[0].parameters = params;
        batch[0].parameters_count = 1;
        sp__mem_fail_at(n, 0);
        int put_in = sp__host_tools_register(set, batch, 2, 0, &error);
        int listed = sp__host_tools_list(set, "s", NULL, NULL, &error);
        sp__mem_fail_at(0, 0);
        int found = finds("s", "a") + finds("s", "b");
        assert_true(put_in == 0 ? found == 2 : put_in == SP_ERR_NOMEM && found == 0);
        assert_true(listed == found || listed == SP_ERR_NOMEM);
        (void)sp__host_tool_unregister(set, "s", "a", NULL);
        (void)sp__host_tool_unregister(set, "s", "b", NULL);
        if (put_in == 0 && listed == 2) {
            return;
        }
    }
    fail_msg("never worked");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tools_of_one_session_do_not_exist_in_another),
        TEST(tools_end_with_their_session),
        TEST(an_undertaker_takes_what_is_to_be_told),
        TEST(names_and_texts_are_checked),
        TEST(metadata_has_limits),
        TEST(a_batch_goes_in_wholly_or_not_at_all),
        TEST(a_worker_may_say_the_same_again),
        TEST(a_name_nobody_knows_gets_near_ones),
        TEST(parameters_and_schemas_are_kept),
        TEST(a_place_holds_so_many),
        TEST(without_memory_nothing_is_half_done),
    };
    return cmocka_run_group_tests_name("host_tools", tests, NULL, NULL);
}
