/* SPDX-License-Identifier: MIT */
/* Variables of a session: registered, set, listed, taken back, locked, linked. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "session/variable.h"

static sp_sessions *set;
static sp_error error;
static sp_variable got;

static void close_set(void)
{
    sp_variable_clear(&got);
    sp_sessions_close(set);
    set = NULL;
    sp_error_clear(&error);
}

static void open_with(sp_sessions_options options)
{
    options.size = sizeof options;
    assert_int_equal(sp_sessions_open(&options, &set, &error), 0);
    leak_at_end(close_set);
    assert_int_equal(sp_session_create(set, "s", NULL, &error), 1);
}

static void open_plain(void)
{
    open_with((sp_sessions_options){0});
}

static void add(const char *name, const char *type, const char *value)
{
    assert_int_equal(
        sp_variable_register(set, "s", name, type, value, NULL, NULL, &error), 0);
}

static const sp_variable *get(const char *name)
{
    sp_variable_clear(&got);
    assert_int_equal(sp_variable_get(set, "s", name, &got, &error), 0);
    return &got;
}

static int put(const char *name, const char *value, const sp_change_options *options)
{
    return sp_variable_set(set, "s", name, value, options, NULL, &error);
}

static uint64_t bytes_of_session(void)
{
    sp_session_info info;
    assert_int_equal(sp_session_get(set, "s", &info, &error), 0);
    uint64_t bytes = info.bytes;
    sp_session_info_clear(&info);
    return bytes;
}

static void a_registered_variable_is_found_by_name_and_id(void **state)
{
    open_plain();
    sp_change_options options = {.size = sizeof options,
                                 .constraints = "{ \"min\": 0, \"max\": 1 }",
                                 .metadata = "{\"unit\": \"K\"}",
                                 .changed_by = "test"};
    sp_variable made;
    assert_int_equal(sp_variable_register(set, "s", "temperature", "float", "1",
                                          &options, &made, &error),
                     0);
    assert_string_equal(made.id, "var_temperature_1");
    assert_string_equal(made.name, "temperature");
    assert_string_equal(made.type, "float");
    assert_string_equal(made.value, "1.0");
    assert_int_equal(made.value_size, 3);
    assert_string_equal(made.constraints, "{\"min\":0,\"max\":1}");
    assert_string_equal(made.metadata, "{\"unit\":\"K\"}");
    assert_string_equal(made.changed_by, "test");
    assert_string_equal(made.locked_by, "");
    assert_int_equal(made.version, 0);
    assert_true(made.created_unix_ms > 0 && made.updated_unix_ms > 0);
    assert_string_equal(get("temperature")->id, made.id);
    assert_string_equal(get(made.id)->name, "temperature");
    assert_int_equal(sp_variable_get(set, "s", "var_temperature_2", &made, &error),
                     SP_ERR_NOT_FOUND);
    assert_string_equal(error.message,
                        "no variable \"var_temperature_2\" in session \"s\"");
    assert_int_equal(sp_variable_get(set, "t", "temperature", &made, &error),
                     SP_ERR_NOT_FOUND);
    assert_string_equal(error.message, "no session \"t\"");
    sp_variable_clear(&made);
}

static void a_name_is_given_once(void **state)
{
    open_plain();
    add("a", "integer", "1");
    assert_int_equal(sp_variable_register(set, "s", "a", NULL, "2", NULL, NULL, &error),
                     SP_ERR_EXISTS);
    assert_string_equal(get("a")->value, "1");
    assert_int_equal(sp_variable_delete(set, "s", "a", NULL, &error), 0);
    add("a", NULL, "2.5");
    assert_string_equal(get("a")->type, "float");
    assert_string_equal(get("a")->id, "var_a_2"); /* the old id names nothing now */
    assert_int_equal(sp_variable_get(set, "s", "var_a_1", &got, &error),
                     SP_ERR_NOT_FOUND);
}

static void a_set_follows_the_rules_of_the_variable(void **state)
{
    open_plain();
    sp_change_options options = {.size = sizeof options,
                                 .constraints = "{\"max\": 10}"};
    uint64_t version = 0;
    assert_int_equal(
        sp_variable_register(set, "s", "n", "integer", "1", &options, NULL, &error), 0);
    assert_int_equal(sp_variable_set(set, "s", "n", "10", NULL, &version, &error), 0);
    assert_int_equal(version, 1);
    assert_int_equal(put("n", "11", NULL), SP_ERR_BAD_VALUE);
    assert_string_equal(error.message, "variable \"n\": value 11 is above maximum 10");
    assert_int_equal(put("n", "\"x\"", NULL), SP_ERR_BAD_VALUE);
    assert_string_equal(error.message, "variable \"n\": must be an integer, got \"x\"");
    assert_int_equal(put("n", "", NULL), SP_ERR_BAD_JSON);
    assert_string_equal(get("n")->value, "10");
    assert_int_equal(get("n")->version, 1);
}

static void metadata_is_merged_from_version_to_version(void **state)
{
    open_plain();
    sp_change_options options = {.size = sizeof options,
                                 .metadata = "{\"a\": 1, \"b\": {\"c\": 2}}"};
    assert_int_equal(
        sp_variable_register(set, "s", "x", NULL, "1", &options, NULL, &error), 0);
    options.metadata = "{\"b\": null, \"d\": \"e\"}";
    options.changed_by = "me";
    assert_int_equal(put("x", "2", &options), 0);
    assert_string_equal(get("x")->metadata, "{\"a\":1,\"b\":null,\"d\":\"e\"}");
    assert_string_equal(get("x")->changed_by, "me");
    options.metadata = "7";
    assert_int_equal(put("x", "3", &options), SP_ERR_INVAL);
    assert_string_equal(get("x")->value, "2");
}

static void the_expected_version_is_honoured(void **state)
{
    open_plain();
    sp_change_options options = {.size = sizeof options, .check_version = 1};
    add("x", "integer", "1");
    assert_int_equal(put("x", "2", &options), 0);
    assert_int_equal(put("x", "3", &options), SP_ERR_CONFLICT);
    assert_string_equal(error.message, "variable \"x\" is at version 1, expected 0");
    options.expected_version = 1;
    assert_int_equal(put("x", "3", &options), 0);
    options.expected_version = 1;
    assert_int_equal(sp_variable_delete(set, "s", "x", &options, &error),
                     SP_ERR_CONFLICT);
    assert_string_equal(get("x")->value, "3");
}

enum { THREADS = 4, ROUNDS = 300 };

/* Read, add one, set if nobody was faster; else again. */
static void *count_up(void *user)
{
    for (int i = 0; i < ROUNDS;) {
        sp_variable now = {0};
        char text[32];
        int n;
        if (sp_variable_get(set, "s", "n", &now, NULL) < 0 ||
            sscanf(now.value, "%d", &n) != 1) {
            return &set;
        }
        (void)snprintf(text, sizeof text, "%d", n + 1);
        sp_change_options options = {.size = sizeof options,
                                     .check_version = 1,
                                     .expected_version = now.version};
        sp_variable_clear(&now);
        int rc = sp_variable_set(set, "s", "n", text, &options, NULL, NULL);
        if (rc < 0 && rc != SP_ERR_CONFLICT) {
            return &set;
        }
        i += rc == 0;
    }
    return NULL;
}

static void no_change_is_lost_between_threads(void **state)
{
    open_plain();
    pthread_t threads[THREADS];
    void *failed;
    add("n", "integer", "0");
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_string_equal(get("n")->value, "1200");
    assert_int_equal(get("n")->version, THREADS * ROUNDS);
}

/* ---- lists and batches ---- */

static void join_names(const sp_variable *variable, void *user)
{
    strncat(user, variable->name, 20);
    strncat(user, " ", 2);
}

static const char *names_like(const char *pattern)
{
    static char names[256];
    names[0] = '\0';
    assert_true(sp_variables_list(set, "s", pattern, join_names, names, &error) >= 0);
    return names;
}

static void a_pattern_is_about_the_whole_name(void **state)
{
    open_plain();
    add("model_b", NULL, "1");
    add("model_a", NULL, "1");
    add("my_model_a", NULL, "1");
    add("a.b", NULL, "1");
    add("\xc3\xbc", NULL, "1");
    assert_string_equal(names_like(NULL), "model_b model_a my_model_a a.b \xc3\xbc ");
    assert_string_equal(names_like("model_*"), "model_b model_a ");
    assert_string_equal(names_like("*model_a"), "model_a my_model_a ");
    assert_string_equal(names_like("*mod*_a*"), "model_a my_model_a ");
    assert_string_equal(names_like("model_a"), "model_a ");
    assert_string_equal(names_like("a?b"), "a.b ");
    assert_string_equal(names_like("?"), "\xc3\xbc ");
    assert_string_equal(names_like(""), "");
    assert_string_equal(names_like(".*"), "");
}

static void many_are_read_at_once(void **state)
{
    open_plain();
    const char *names[] = {"a", "missing", "var_b_2", "a", NULL};
    sp_variable variables[5];
    add("a", NULL, "1");
    add("b", NULL, "2");
    assert_int_equal(sp_variables_get(set, "s", names, 5, variables, &error), 3);
    assert_string_equal(variables[0].value, "1");
    assert_null(variables[1].name);
    assert_string_equal(variables[2].name, "b");
    assert_string_equal(variables[3].value, "1");
    assert_null(variables[4].name);
    for (int i = 0; i < 5; i++) {
        sp_variable_clear(&variables[i]);
    }
    assert_int_equal(sp_variables_get(set, "s", NULL, 0, NULL, &error), 0);
}

static void an_atomic_batch_is_all_or_nothing(void **state)
{
    open_plain();
    add("a", "integer", "1");
    add("b", "integer", "1");
    sp_variable_update updates[] = {{.name = "a", .value = "2"},
                                    {.name = "b", .value = "1.5"},
                                    {.name = "c", .value = "1"}};
    assert_int_equal(sp_variables_set(set, "s", updates, 3, 1, NULL, &error),
                     SP_ERR_BAD_VALUE);
    assert_string_equal(error.message,
                        "variable \"b\": must be a whole number, got 1.5");
    assert_int_equal(updates[0].code, 0);
    assert_int_equal(updates[1].code, SP_ERR_BAD_VALUE);
    assert_int_equal(updates[2].code, SP_ERR_NOT_FOUND);
    assert_string_equal(updates[2].message, "no variable \"c\" in session \"s\"");
    assert_string_equal(get("a")->value, "1");
    assert_int_equal(sp_variables_set(set, "s", updates, 3, 0, NULL, &error), 1);
    assert_string_equal(get("a")->value, "2");
    assert_int_equal(updates[0].version, 1);
    assert_string_equal(get("b")->value, "1");
    updates[1] = (sp_variable_update){.name = "var_a_1", .value = "3"};
    assert_int_equal(sp_variables_set(set, "s", updates, 2, 1, NULL, &error),
                     SP_ERR_INVAL);
    assert_string_equal(error.message, "variable \"var_a_1\" is given twice");
}

static void what_a_batch_refuses_takes_no_room_from_the_others(void **state)
{
    enum { LARGE = 8000 };
    static char large[LARGE + 3];
    memset(large, 'x', sizeof large - 1);
    large[0] = large[LARGE + 1] = '"';
    open_with((sp_sessions_options){.session_bytes = 8000});
    add("a", "string", "\"a\"");
    add("b", "string", "\"b\"");
    sp_variable_update updates[] = {{.name = "a", .value = large},
                                    {.name = "b", .value = "\"small\""}};
    assert_int_equal(sp_variables_set(set, "s", updates, 2, 0, NULL, &error), 1);
    assert_int_equal(updates[0].code, SP_ERR_QUOTA);
    assert_int_equal(updates[1].code, 0);
    assert_string_equal(get("b")->value, "\"small\"");
}

/* ---- history, lock, dependencies ---- */

enum { TEXT_MAX = 256 };

static void join_values(const sp_variable *variable, void *user)
{
    char *text = user;
    size_t used = strlen(text);
    (void)snprintf(text + used, TEXT_MAX - used, "%llu:%s ",
                   (unsigned long long)variable->version, variable->value);
}

static void history_is_kept_and_gone_back_to(void **state)
{
    open_with((sp_sessions_options){.history_max = 3});
    char text[TEXT_MAX] = "";
    uint64_t version;
    add("x", "integer", "0");
    uint64_t bytes = bytes_of_session();
    for (int i = 1; i <= 4; i++) {
        char value[2] = {(char)('0' + i), '\0'};
        assert_int_equal(put("x", value, NULL), 0);
    }
    assert_int_equal(sp_variable_history(set, "s", "x", 0, join_values, text, &error),
                     3);
    assert_string_equal(text, "4:4 3:3 2:2 ");
    text[0] = '\0';
    assert_int_equal(sp_variable_history(set, "s", "x", 1, join_values, text, &error),
                     1);
    assert_string_equal(text, "4:4 ");
    assert_int_equal(sp_variable_rollback(set, "s", "x", 2, NULL, &version, &error), 0);
    assert_int_equal(version, 5);
    assert_string_equal(get("x")->value, "2");
    assert_int_equal(sp_variable_rollback(set, "s", "x", 2, NULL, &version, &error),
                     SP_ERR_NOT_FOUND);
    assert_string_equal(error.message, "version 2 of \"x\" is not kept: 3 to 5 are");
    uint64_t full = bytes_of_session();
    assert_true(full > bytes);
    assert_int_equal(put("x", "9", NULL), 0);
    assert_int_equal(bytes_of_session(), full); /* one in, one out */
}

static void a_locked_variable_has_one_owner(void **state)
{
    open_plain();
    sp_change_options mine = {.size = sizeof mine, .owner = "me"};
    sp_variable final;
    add("x", "integer", "1");
    assert_int_equal(sp_variable_lock(set, "s", "x", "me", &error), 0);
    assert_int_equal(sp_variable_lock(set, "s", "x", "me", &error), 0);
    assert_int_equal(sp_variable_lock(set, "s", "x", "you", &error), SP_ERR_LOCKED);
    assert_string_equal(error.message, "variable \"x\" is locked by \"me\"");
    assert_int_equal(sp_variable_lock(set, "s", "x", "", &error), SP_ERR_INVAL);
    assert_string_equal(get("x")->locked_by, "me");
    assert_int_equal(put("x", "2", NULL), SP_ERR_LOCKED);
    assert_int_equal(sp_variable_delete(set, "s", "x", NULL, &error), SP_ERR_LOCKED);
    assert_int_equal(sp_variable_rollback(set, "s", "x", 0, NULL, NULL, &error),
                     SP_ERR_LOCKED);
    assert_int_equal(put("x", "3", &mine), 0);
    assert_int_equal(sp_variable_unlock(set, "s", "x", "you", NULL, &error),
                     SP_ERR_LOCKED);
    assert_int_equal(sp_variable_unlock(set, "s", "x", NULL, &final, &error), 0);
    assert_string_equal(final.value, "3");
    assert_string_equal(final.locked_by, "");
    sp_variable_clear(&final);
    assert_int_equal(put("x", "4", NULL), 0);
    assert_int_equal(sp_variable_unlock(set, "s", "x", "you", NULL, &error), 0);
}

static void join_edges(const char *from, const char *to, const char *kind, void *user)
{
    char *text = user;
    size_t used = strlen(text);
    (void)snprintf(text + used, TEXT_MAX - used, "%s>%s(%s) ", from, to, kind);
}

static void a_cycle_of_dependencies_is_refused(void **state)
{
    open_plain();
    char text[TEXT_MAX] = "";
    const char *names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        add(names[i], NULL, "1");
    }
    uint64_t bytes = bytes_of_session();
    assert_int_equal(sp_variable_depend(set, "s", "a", "b", NULL, &error), 0);
    assert_int_equal(sp_variable_depend(set, "s", "b", "c", "model", &error), 0);
    assert_int_equal(sp_variable_depend(set, "s", "a", "c", NULL, &error), 0);
    assert_int_equal(sp_variable_depend(set, "s", "a", "b", NULL, &error),
                     SP_ERR_EXISTS);
    assert_int_equal(sp_variable_depend(set, "s", "c", "a", NULL, &error),
                     SP_ERR_CYCLE);
    assert_string_equal(error.message, "a cycle of dependencies: c -> a -> b -> c");
    assert_int_equal(sp_variable_depend(set, "s", "d", "d", NULL, &error),
                     SP_ERR_CYCLE);
    assert_string_equal(error.message, "a cycle of dependencies: d -> d");
    assert_int_equal(sp_variable_depend(set, "s", "a", "x", NULL, &error),
                     SP_ERR_NOT_FOUND);
    assert_int_equal(sp_variable_dependencies(set, "s", NULL, join_edges, text, &error),
                     3);
    assert_string_equal(text, "a>b(data) a>c(data) b>c(model) ");
    uint64_t before = bytes_of_session();
    assert_int_equal(sp_variable_undepend(set, "s", "b", "c", &error), 0);
    assert_int_equal(sp_variable_undepend(set, "s", "b", "c", &error),
                     SP_ERR_NOT_FOUND);
    assert_string_equal(error.message, "\"b\" does not depend on \"c\"");
    assert_int_equal(sp_variable_undepend(set, "s", "b", "x", &error),
                     SP_ERR_NOT_FOUND);
    assert_true(bytes_of_session() < before);
    assert_int_equal(sp_variable_depend(set, "s", "c", "b", "model", &error), 0);
    assert_int_equal(sp_variable_delete(set, "s", "b", NULL, &error), 0);
    text[0] = '\0';
    assert_int_equal(sp_variable_dependencies(set, "s", "a", join_edges, text, &error),
                     1);
    assert_string_equal(text, "a>c(data) ");
    assert_int_equal(sp_variable_depend(set, "s", "c", "d", NULL, &error), 0);
    assert_int_equal(sp_variable_delete(set, "s", "a", NULL, &error), 0);
    assert_true(bytes_of_session() < bytes);
}

/* ---- export and import ---- */

static void keep_json(sp_bytes json, void *user)
{
    (void)snprintf(user, 1024, "%.*s", (int)json.size, (const char *)json.data);
}

static void an_export_can_be_imported(void **state)
{
    open_plain();
    char first[1024];
    char second[1024];
    sp_change_options options = {.size = sizeof options,
                                 .constraints = "{\"max\": 1}",
                                 .metadata = "{\"k\": [\"]\", {}]}"};
    assert_int_equal(
        sp_variable_register(set, "s", "q\"\\[,", "float", "1", &options, NULL, &error),
        0);
    add("v", "embedding", "[1, 2]");
    add("l", "list", "[[], [\"a]\"], {\"b\": \"\\\"]\"}]");
    assert_int_equal(sp_variables_export(set, "s", keep_json, first, &error), 3);
    assert_int_equal(sp_session_create(set, "t", NULL, &error), 1);
    assert_int_equal(sp_variables_import(set, "t", first, &error), 3);
    assert_int_equal(sp_variables_export(set, "t", keep_json, second, &error), 3);
    assert_string_equal(first, second);
    assert_int_equal(sp_variables_import(set, "t", first, &error), SP_ERR_EXISTS);
    assert_int_equal(sp_variables_import(set, "s", "[]", &error), 0);
    assert_int_equal(sp_variables_import(set, "s", " [ ] ", &error), 0);
}

static void an_import_is_all_or_nothing(void **state)
{
    open_plain();
    static const char *const wrong[] = {
        "{}",
        "[1]",
        "[[]]",
        "[{}]",
        "[{\"name\": \"n\"}]",
        "[{\"name\": 1, \"value\": 1}]",
        "[{\"name\": \"n\", \"value\": 1, \"type\": 2}]",
        "[{\"name\": \"n\\u0000\", \"value\": 1}]",
        "[{\"name\": \"n\", \"value\": 1.5, \"type\": \"integer\"}]",
    };
    uint64_t bytes = bytes_of_session();
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_int_equal(sp_variables_import(set, "s", wrong[i], &error),
                         SP_ERR_BAD_VALUE);
    }
    assert_int_equal(sp_variables_import(set, "s", "[", &error), SP_ERR_BAD_JSON);
    assert_int_equal(
        sp_variables_import(set, "s",
                            "[{\"name\": \"n\", \"value\": 1}, {\"name\": \"m\", "
                            "\"value\": 2}, {\"name\": \"n\", \"value\": 3}]",
                            &error),
        SP_ERR_EXISTS);
    assert_string_equal(names_like(NULL), "");
    assert_int_equal(bytes_of_session(), bytes);
    assert_int_equal(sp_variables_import(set, "s",
                                         "[{\"name\": \"n\", \"value\": 1},\n"
                                         " {\"name\": \"m\", \"value\": \"]\"}]",
                                         &error),
                     2);
    assert_string_equal(names_like(NULL), "n m ");
}

/* ---- limits ---- */

static void limits_hold_and_nothing_is_changed(void **state)
{
    open_with((sp_sessions_options){
        .variables_max = 2, .value_bytes = 100, .session_bytes = 3000});
    char value[200];
    add("a", NULL, "1");
    add("b", "string", "\"x\"");
    assert_int_equal(sp_variable_register(set, "s", "c", NULL, "1", NULL, NULL, &error),
                     SP_ERR_QUOTA);
    assert_string_equal(error.message,
                        "session \"s\" has 2 variables, as many as may be");
    memset(value, 'x', sizeof value);
    value[0] = value[198] = '"';
    value[199] = '\0';
    assert_int_equal(put("b", value, NULL), SP_ERR_TOO_BIG);
    assert_string_equal(error.message,
                        "variable \"b\": the value of 199 bytes: at most 100 are kept");
    assert_string_equal(get("b")->value, "\"x\"");
    int rc = 0;
    for (int i = 0; rc == 0 && i < 100; i++) {
        rc = put("a", "2", NULL);
    }
    assert_int_equal(rc, SP_ERR_QUOTA);
    assert_non_null(strstr(error.message, "at most 3000"));
    assert_int_equal(sp_variable_register(set, "s", "", NULL, "1", NULL, NULL, &error),
                     SP_ERR_INVAL);
    assert_int_equal(
        sp_variable_register(set, "s", "\xff", NULL, "1", NULL, NULL, &error),
        SP_ERR_INVAL);
    assert_int_equal(
        sp_variable_register(set, "s", "x", "double", "1", NULL, NULL, &error),
        SP_ERR_INVAL);
    assert_int_equal(
        sp_variable_register(set, "s", "x", NULL, NULL, NULL, NULL, &error),
        SP_ERR_INVAL);
    assert_int_equal(sp_variable_get(NULL, "s", "x", &got, &error), SP_ERR_INVAL);
    assert_int_equal(sp_variable_get(set, "s", NULL, &got, &error), SP_ERR_INVAL);
}

static void what_is_deleted_gives_its_memory_back(void **state)
{
    open_plain();
    sp_sessions_stats stats;
    uint64_t bytes = bytes_of_session();
    add("a", NULL, "1");
    add("b", NULL, "[1, 2]");
    assert_int_equal(sp_variable_depend(set, "s", "a", "b", NULL, &error), 0);
    assert_int_equal(sp_variable_lock(set, "s", "b", "me", &error), 0);
    sp_change_options mine = {.size = sizeof mine, .owner = "me"};
    assert_int_equal(sp_variable_delete(set, "s", "b", &mine, &error), 0);
    assert_int_equal(sp_variable_delete(set, "s", "a", NULL, &error), 0);
    assert_int_equal(bytes_of_session(), bytes);
    add("c", NULL, "1");
    assert_int_equal(sp_sessions_stats_get(set, &stats, &error), 0);
    assert_int_equal(stats.variables, 1);
    assert_int_equal(sp_session_delete(set, "s", &error), 0);
    assert_int_equal(sp_sessions_stats_get(set, &stats, &error), 0);
    assert_int_equal(stats.variables, 0);
    assert_int_equal(stats.memory_bytes, 0);
}

/* Everything once, with the n-th allocation failing: it works, or nothing happened. */
static void without_memory_nothing_is_half_done(void **state)
{
    open_plain();
    sp_change_options options = {.size = sizeof options,
                                 .constraints = "{\"pattern\": \"^.+$\", \"enum\": "
                                                "[\"\xc3\xbc\"], \"max_length\": 2}",
                                 .metadata = "{\"a\": 1}"};
    uint64_t n = 1;
    for (int done = 0; !done; n++) {
        char text[1024];
        sp_variable_update update = {.name = "x", .value = "\"\xc3\xbc\""};
        uint64_t bytes = bytes_of_session();
        sp__mem_fail_at(n, 0);
        int made = sp_variable_register(set, "s", "x", "string", "\"\xc3\xbc\"",
                                        &options, NULL, &error);
        int other =
            sp_variable_register(set, "s", "y", NULL, "[1]", NULL, NULL, &error);
        int was_set = put("x", "\"\xc3\xbc\"", NULL);
        int batch = sp_variables_set(set, "s", &update, 1, 1, NULL, &error);
        int depends = sp_variable_depend(set, "s", "x", "y", NULL, &error);
        int locked = sp_variable_lock(set, "s", "y", "me", &error);
        int exported = sp_variables_export(set, "s", keep_json, text, &error);
        sp__mem_fail_at(0, 0);
        done = made == 0 && other == 0 && was_set == 0 && batch == 1 && depends == 0 &&
               locked == 0 && exported == 2;
        assert_true(made == 0 || made == SP_ERR_NOMEM);
        (void)sp_variable_unlock(set, "s", "y", NULL, NULL, NULL);
        (void)sp_variable_delete(set, "s", "x", NULL, NULL);
        (void)sp_variable_delete(set, "s", "y", NULL, NULL);
        assert_int_equal(bytes_of_session(), bytes);
        assert_true(n < 1000);
    }
    print_message("%llu allocations failed in turn\n", (unsigned long long)n - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_registered_variable_is_found_by_name_and_id),
        TEST(a_name_is_given_once),
        TEST(a_set_follows_the_rules_of_the_variable),
        TEST(metadata_is_merged_from_version_to_version),
        TEST(the_expected_version_is_honoured),
        TEST(no_change_is_lost_between_threads),
        TEST(a_pattern_is_about_the_whole_name),
        TEST(many_are_read_at_once),
        TEST(an_atomic_batch_is_all_or_nothing),
        TEST(what_a_batch_refuses_takes_no_room_from_the_others),
        TEST(history_is_kept_and_gone_back_to),
        TEST(a_locked_variable_has_one_owner),
        TEST(a_cycle_of_dependencies_is_refused),
        TEST(an_export_can_be_imported),
        TEST(an_import_is_all_or_nothing),
        TEST(limits_hold_and_nothing_is_changed),
        TEST(what_is_deleted_gives_its_memory_back),
        TEST(without_memory_nothing_is_half_done),
    };
    return cmocka_run_group_tests_name("variables", tests, NULL, NULL);
}
