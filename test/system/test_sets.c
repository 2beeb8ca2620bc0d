/* SPDX-License-Identifier: MIT */
/*
 * The same list of tests on every kind of set of sessions: in memory, in a folder, and
 * with a pit that serves its own.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pits.h"

enum { TEXT_BYTES = 128 };

static sp_sessions *set;
static sp_error error;
static char address[512];
static const char *kind; /* "memory", "path" or "address" */

/* To a text that a callback collects. */
static void append(char *text, const char *part)
{
    size_t size = strlen(text);
    assert_true(size + strlen(part) < TEXT_BYTES);
    (void)snprintf(text + size, TEXT_BYTES - size, "%s", part);
}

static void close_set(void)
{
    sp_sessions_close(set);
    set = NULL;
    sp_error_clear(&error);
}

static void open_set(void **state)
{
    sp_sessions_options options = {.size = sizeof options};
    kind = *state;
    if (strcmp(kind, "path") == 0) {
        options.path = leak_path("state");
    } else if (strcmp(kind, "address") == 0) {
        sp_pool_options pool = pool_of_program("plain", NULL, 1);
        sp_pit *pit = pit_open_ready(&pool, 1);
        (void)snprintf(address, sizeof address, "unix:%s", leak_path("serve/sock"));
        assert_int_equal(sp_pit_listen(pit, address, NULL, &error), 0);
        options.address = address;
    }
    leak_at_end(close_set); /* before the pit */
    assert_int_equal(sp_sessions_open(&options, &set, &error), 0);
}

/* ---- sessions ---- */

static int double_ttl(const sp_session_info *info, sp_session_edit *edit,
                      void *user_data, sp_error *err)
{
    ++*(int *)user_data;
    edit->ttl_ms = info->ttl_ms * 2;
    edit->metadata = "{\"b\":2}";
    return 0;
}

static int refuse_edit(const sp_session_info *info, sp_session_edit *edit,
                       void *user_data, sp_error *err)
{
    return sp_error_set(err, SP_ERR_REFUSED, "not %s", info->id);
}

static void a_session_lives_changes_and_ends(void **state)
{
    open_set(state);
    sp_session_options options = {
        .size = sizeof options, .ttl_ms = 60000, .metadata = "{\"a\":1}"};
    sp_session_info info = {0};
    int runs = 0;
    assert_int_equal(sp_session_create(set, "s", &options, &error), 1);
    assert_int_equal(sp_session_create(set, "s", &options, &error), SP_ERR_EXISTS);
    options.or_get = 1;
    assert_int_equal(sp_session_create(set, "s", &options, &error), 0);
    assert_int_equal(sp_session_exists(set, "s"), 1);
    assert_int_equal(sp_session_exists(set, "t"), 0);
    assert_int_equal(sp_session_get(set, "s", &info, &error), 0);
    assert_string_equal(info.metadata, "{\"a\":1}");
    assert_int_equal(info.ttl_ms, 60000);
    assert_int_equal(info.durability, strcmp(kind, "path") == 0 ? SP_DURABILITY_CRASH
                                                                : SP_DURABILITY_MEMORY);
    sp_session_info_clear(&info);
    assert_int_equal(sp_session_update(set, "s", double_ttl, &runs, &error), 0);
    assert_int_equal(runs, 1);
    assert_int_equal(sp_session_update(set, "s", refuse_edit, NULL, &error),
                     SP_ERR_REFUSED);
    assert_string_equal(error.message, "not s");
    assert_int_equal(sp_session_get(set, "s", &info, &error), 0);
    assert_string_equal(info.metadata, "{\"b\":2}");
    assert_int_equal(info.ttl_ms, 120000);
    sp_session_info_clear(&info);
    assert_int_equal(sp_session_delete(set, "s", &error), 0);
    assert_int_equal(sp_session_delete(set, "s", &error), SP_ERR_NOT_FOUND);
    assert_int_equal(sp_session_get(set, "s", NULL, &error), SP_ERR_NOT_FOUND);
    assert_string_equal(error.message, "no session \"s\"");
}

static void collect_id(const sp_session_info *info, void *user_data)
{
    append(user_data, info->id);
}

static void sessions_are_listed_and_counted(void **state)
{
    char ids[TEXT_BYTES] = "";
    sp_sessions_stats stats;
    open_set(state);
    assert_int_equal(sp_session_create(set, "b", NULL, &error), 1);
    assert_int_equal(sp_session_create(set, "a", NULL, &error), 1);
    assert_int_equal(sp_sessions_list(set, collect_id, ids, &error), 2);
    assert_string_equal(ids, "ab");
    assert_int_equal(sp_sessions_stats_get(set, &stats, &error), 0);
    assert_int_equal(stats.sessions, 2);
    assert_int_equal(stats.sessions_created, 2);
    int rc = sp_sessions_cleanup(set, &error);
    assert_int_equal(rc, strcmp(kind, "address") == 0 ? SP_ERR_UNSUPPORTED : 0);
}

/* ---- variables ---- */

static void add(const char *name, const char *type, const char *value)
{
    assert_int_equal(
        sp_variable_register(set, "s", name, type, value, NULL, NULL, &error), 0);
}

static void expect(const char *name, const char *value, uint64_t version)
{
    sp_variable variable = {0};
    assert_int_equal(sp_variable_get(set, "s", name, &variable, &error), 0);
    assert_string_equal(variable.value, value);
    assert_int_equal(variable.value_size, strlen(value));
    assert_int_equal(variable.version, version);
    sp_variable_clear(&variable);
}

static void open_with_variables(void **state)
{
    open_set(state);
    assert_int_equal(sp_session_create(set, "s", NULL, &error), 1);
    add("x", "float", "1");
    add("n", NULL, "7");
}

static void a_variable_follows_its_rules(void **state)
{
    open_with_variables(state);
    sp_change_options options = {.size = sizeof options,
                                 .constraints = "{\"min\":0,\"max\":2}",
                                 .metadata = "{\"unit\":\"K\"}",
                                 .changed_by = "me"};
    sp_variable variable = {0};
    uint64_t version = 0;
    assert_int_equal(sp_variable_register(set, "s", "t", "float", "0.5", &options,
                                          &variable, &error),
                     0);
    assert_string_equal(variable.type, "float");
    assert_string_equal(variable.changed_by, "me");
    assert_string_equal(variable.metadata, "{\"unit\":\"K\"}");
    sp_variable_clear(&variable);
    assert_int_equal(sp_variable_set(set, "s", "t", "3", NULL, &version, &error),
                     SP_ERR_BAD_VALUE);
    assert_has(error.message, "3.0 is above maximum 2");
    assert_int_equal(sp_variable_set(set, "s", "t", "2", NULL, &version, &error), 0);
    assert_int_equal(version, 1);
    sp_change_options expecting = {
        .size = sizeof expecting, .check_version = 1, .expected_version = 0};
    assert_int_equal(sp_variable_set(set, "s", "t", "1", &expecting, NULL, &error),
                     SP_ERR_CONFLICT);
    expect("t", "2.0", 1);
    expect("n", "7", 0);
    assert_int_equal(sp_variable_get(set, "s", "y", &variable, &error),
                     SP_ERR_NOT_FOUND);
    assert_has(error.message, "\"y\"");
    assert_int_equal(sp_variable_delete(set, "s", "t", NULL, &error), 0);
    assert_int_equal(sp_variable_delete(set, "s", "t", NULL, &error), SP_ERR_NOT_FOUND);
    assert_int_equal(sp_variable_register(set, "s", "x", NULL, "1", NULL, NULL, &error),
                     SP_ERR_EXISTS);
    assert_int_equal(sp_variable_set(set, "nobody", "x", "1", NULL, NULL, &error),
                     SP_ERR_NOT_FOUND);
    assert_int_equal(sp_variable_set(set, "s", "x", "[", NULL, NULL, &error),
                     SP_ERR_BAD_JSON);
}

static void a_batch_is_all_or_what_can_be(void **state)
{
    open_with_variables(state);
    sp_variable_update updates[] = {{.name = "x", .value = "2"},
                                    {.name = "n", .value = "\"no\""}};
    const char *const names[] = {"x", "missing", "n"};
    sp_variable found[3];
    assert_int_equal(sp_variables_set(set, "s", updates, 2, 1, NULL, &error),
                     SP_ERR_BAD_VALUE);
    expect("x", "1.0", 0);
    assert_int_equal(sp_variables_set(set, "s", updates, 2, 0, NULL, &error), 1);
    assert_int_equal(updates[0].code, 0);
    assert_int_equal(updates[0].version, 1);
    assert_int_equal(updates[1].code, SP_ERR_BAD_VALUE);
    assert_true(updates[1].message[0] != '\0');
    assert_int_equal(sp_variables_get(set, "s", names, 3, found, &error), 2);
    assert_string_equal(found[0].value, "2.0");
    assert_null(found[1].name);
    assert_string_equal(found[2].value, "7");
    for (size_t i = 0; i < COUNT_OF(found); i++) {
        sp_variable_clear(&found[i]);
    }
}

static void collect_version(const sp_variable *variable, void *user_data)
{
    char part[32];
    (void)snprintf(part, sizeof part, "%s@%llu ", variable->value,
                   (unsigned long long)variable->version);
    append(user_data, part);
}

static void versions_are_kept_and_come_back(void **state)
{
    char text[TEXT_BYTES] = "";
    uint64_t version;
    open_with_variables(state);
    assert_int_equal(sp_variable_set(set, "s", "n", "8", NULL, NULL, &error), 0);
    assert_int_equal(sp_variable_rollback(set, "s", "n", 0, NULL, &version, &error), 0);
    assert_int_equal(version, 2);
    assert_int_equal(
        sp_variable_history(set, "s", "n", 0, collect_version, text, &error), 3);
    assert_string_equal(text, "7@2 8@1 7@0 ");
    text[0] = '\0';
    assert_int_equal(
        sp_variable_history(set, "s", "n", 2, collect_version, text, &error), 2);
    assert_string_equal(text, "7@2 8@1 ");
    assert_int_equal(sp_variable_rollback(set, "s", "n", 9, NULL, NULL, &error),
                     SP_ERR_NOT_FOUND);
    text[0] = '\0';
    assert_int_equal(sp_variables_list(set, "s", "?", collect_version, text, &error),
                     2);
    assert_string_equal(text, "1.0@0 7@2 ");
}

static void a_lock_keeps_others_out(void **state)
{
    sp_change_options owner = {.size = sizeof owner, .owner = "me"};
    sp_variable variable = {0};
    open_with_variables(state);
    assert_int_equal(sp_variable_lock(set, "s", "x", "me", &error), 0);
    assert_int_equal(sp_variable_lock(set, "s", "x", "you", &error), SP_ERR_LOCKED);
    assert_has(error.message, "me");
    assert_int_equal(sp_variable_set(set, "s", "x", "2", NULL, NULL, &error),
                     SP_ERR_LOCKED);
    assert_int_equal(sp_variable_set(set, "s", "x", "2", &owner, NULL, &error), 0);
    assert_int_equal(sp_variable_unlock(set, "s", "x", "you", NULL, &error),
                     SP_ERR_LOCKED);
    assert_int_equal(sp_variable_unlock(set, "s", "x", NULL, &variable, &error), 0);
    assert_string_equal(variable.value, "2.0");
    assert_string_equal(variable.locked_by, "");
    sp_variable_clear(&variable);
}

static void collect_dependency(const char *from, const char *to, const char *kind_of,
                               void *user_data)
{
    char part[32];
    (void)snprintf(part, sizeof part, "%s>%s:%s ", from, to, kind_of);
    append(user_data, part);
}

static void dependencies_make_no_circle(void **state)
{
    char text[TEXT_BYTES] = "";
    open_with_variables(state);
    assert_int_equal(sp_variable_depend(set, "s", "x", "n", NULL, &error), 0);
    assert_int_equal(sp_variable_depend(set, "s", "n", "x", NULL, &error),
                     SP_ERR_CYCLE);
    assert_int_equal(
        sp_variable_dependencies(set, "s", NULL, collect_dependency, text, &error), 1);
    assert_string_equal(text, "x>n:data ");
    assert_int_equal(sp_variable_undepend(set, "s", "x", "n", &error), 0);
    assert_int_equal(sp_variable_depend(set, "s", "n", "x", "order", &error), 0);
}

static void keep_json(sp_bytes json, void *user_data)
{
    (void)snprintf(user_data, 1024, "%.*s", (int)json.size, (const char *)json.data);
}

static void what_is_exported_can_be_imported(void **state)
{
    char json[1024] = "";
    char again[1024] = "";
    open_with_variables(state);
    assert_int_equal(sp_variables_export(set, "s", keep_json, json, &error), 2);
    assert_int_equal(sp_session_delete(set, "s", &error), 0);
    assert_int_equal(sp_session_create(set, "s", NULL, &error), 1);
    assert_int_equal(sp_variables_import(set, "s", json, &error), 2);
    assert_int_equal(sp_variables_export(set, "s", keep_json, again, &error), 2);
    assert_string_equal(json, again);
    assert_int_equal(sp_variables_import(set, "s", json, &error), SP_ERR_EXISTS);
    assert_int_equal(sp_variables_import(set, "s", "{}", &error), SP_ERR_BAD_VALUE);
}

/* ---- watching ---- */

static void take(sp_watch *watch, int kind_of, const char *name)
{
    sp_change change;
    assert_int_equal(sp_watch_next(watch, patience_ms(20000), &change, &error), 1);
    assert_int_equal(change.kind, kind_of);
    assert_string_equal(change.variable.name, name);
    sp_variable_clear(&change.variable);
}

static void a_watch_sees_every_change_in_order(void **state)
{
    sp_watch_options options = {.size = sizeof options, .initial = 1};
    sp_watch *watch = NULL;
    sp_change change;
    open_with_variables(state);
    assert_int_equal(sp_watch_open(set, "s", &options, &watch, &error), 0);
    assert_int_equal(sp_variable_set(set, "s", "n", "8", NULL, NULL, &error), 0);
    add("new", "string", "\"a\"");
    assert_int_equal(sp_variable_lock(set, "s", "x", "me", &error), 0);
    assert_int_equal(sp_variable_delete(set, "s", "n", NULL, &error), 0);
    take(watch, SP_CHANGE_INITIAL, "x");
    take(watch, SP_CHANGE_INITIAL, "n");
    take(watch, SP_CHANGE_VALUE, "n");
    take(watch, SP_CHANGE_REGISTERED, "new");
    take(watch, SP_CHANGE_LOCK, "x");
    take(watch, SP_CHANGE_DELETED, "n");
    assert_int_equal(sp_watch_next(watch, 0, &change, &error), 0);
    assert_int_equal(sp_session_delete(set, "s", &error), 0);
    assert_int_equal(sp_watch_next(watch, SP_UNLIMITED, &change, &error),
                     SP_ERR_NOT_FOUND);
    sp_watch_close(watch);
    assert_int_equal(sp_watch_open(set, "s", &options, &watch, &error),
                     SP_ERR_NOT_FOUND);
}

/* ---- programs ---- */

static void collect_program(const sp_program *program, void *user_data)
{
    append(user_data, program->id);
}

static void programs_of_a_session_and_of_all(void **state)
{
    sp_program program = {0};
    char ids[TEXT_BYTES] = "";
    open_with_variables(state);
    assert_int_equal(sp_program_update(set, "s", "p", "1", &error), SP_ERR_NOT_FOUND);
    assert_int_equal(sp_program_store(set, "s", "p", "{\"a\": 1}", 0, &error), 0);
    assert_int_equal(sp_program_store(set, NULL, "g", "2", 60000, &error), 0);
    assert_int_equal(sp_program_get(set, "s", "p", &program, &error), 0);
    assert_string_equal(program.data, "{\"a\": 1}");
    assert_true(program.remaining_ms == SP_UNLIMITED);
    sp_program_clear(&program);
    assert_int_equal(sp_program_get(set, NULL, "g", &program, &error), 0);
    assert_true(program.remaining_ms <= 60000);
    sp_program_clear(&program);
    assert_int_equal(sp_program_get(set, "s", "g", &program, &error), SP_ERR_NOT_FOUND);
    assert_int_equal(sp_programs_list(set, "s", collect_program, ids, &error), 1);
    assert_int_equal(sp_programs_list(set, NULL, collect_program, ids, &error), 1);
    assert_string_equal(ids, "pg");
    assert_int_equal(sp_program_delete(set, "s", "p", &error), 0);
    assert_int_equal(sp_program_delete(set, NULL, "g", &error), 0);
    assert_int_equal(sp_program_delete(set, NULL, "g", &error), SP_ERR_NOT_FOUND);
}

/* ---- threads, large values, mistakes ---- */

static void *set_often(void *unused)
{
    for (int i = 0; i < 50; i++) {
        assert_int_equal(sp_variable_set(set, "s", "n", "1", NULL, NULL, NULL), 0);
    }
    return NULL;
}

static void no_change_of_many_threads_is_lost(void **state)
{
    pthread_t threads[4];
    sp_variable variable = {0};
    open_with_variables(state);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, set_often, NULL), 0);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_int_equal(sp_variable_get(set, "s", "n", &variable, &error), 0);
    assert_int_equal(variable.version, 200);
    sp_variable_clear(&variable);
}

static void a_value_of_four_megabytes_comes_back(void **state)
{
    enum { SIZE = 4 << 20 };
    sp_variable variable = {0};
    open_with_variables(state);
    char *value = malloc(SIZE + 1);
    assert_non_null(value);
    memset(value, 'v', SIZE);
    value[0] = value[SIZE - 1] = '"';
    value[SIZE] = '\0';
    add("big", "string", value);
    assert_int_equal(sp_variable_get(set, "s", "big", &variable, &error), 0);
    assert_int_equal(variable.value_size, SIZE);
    assert_string_equal(variable.value, value);
    sp_variable_clear(&variable);
    free(value);
}

static void mistakes_have_their_own_errors(void **state)
{
    open_with_variables(state);
    char name[257];
    memset(name, 'n', 256);
    name[256] = '\0';
    assert_int_equal(sp_session_create(set, "", NULL, &error), SP_ERR_INVAL);
    assert_int_equal(sp_session_create(set, NULL, NULL, &error), SP_ERR_INVAL);
    assert_int_equal(sp_session_create(set, name, NULL, &error), SP_ERR_INVAL);
    assert_int_equal(sp_session_get(set, "", NULL, &error), SP_ERR_INVAL);
    assert_int_equal(
        sp_variable_register(set, "s", name, NULL, "1", NULL, NULL, &error),
        SP_ERR_INVAL);
    assert_int_equal(
        sp_variable_register(set, "s", "v", "number", "1", NULL, NULL, &error),
        SP_ERR_INVAL);
    assert_int_equal(sp_variable_lock(set, "s", "x", NULL, &error), SP_ERR_INVAL);
    sp_session_options options = {.size = sizeof options, .metadata = "[1]"};
    assert_int_equal(sp_session_create(set, "m", &options, &error), SP_ERR_INVAL);
    options.metadata = "{";
    assert_int_equal(sp_session_create(set, "m", &options, &error), SP_ERR_BAD_JSON);
    assert_int_equal(sp_program_store(set, "s", "p", "[", 0, &error), SP_ERR_BAD_JSON);
}

#define EVERY_KIND(name)                                     \
    {#name " (memory)", name, leak_setup, leak_teardown,     \
     (void *)(uintptr_t) "memory"},                          \
        {#name " (path)", name, leak_setup, leak_teardown,   \
         (void *)(uintptr_t) "path"},                        \
    {                                                        \
#name " (address)", name, leak_setup, leak_teardown, \
            (void *)(uintptr_t) "address"                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVERY_KIND(a_session_lives_changes_and_ends),
        EVERY_KIND(sessions_are_listed_and_counted),
        EVERY_KIND(a_variable_follows_its_rules),
        EVERY_KIND(a_batch_is_all_or_what_can_be),
        EVERY_KIND(versions_are_kept_and_come_back),
        EVERY_KIND(a_lock_keeps_others_out),
        EVERY_KIND(dependencies_make_no_circle),
        EVERY_KIND(what_is_exported_can_be_imported),
        EVERY_KIND(a_watch_sees_every_change_in_order),
        EVERY_KIND(programs_of_a_session_and_of_all),
        EVERY_KIND(no_change_of_many_threads_is_lost),
        EVERY_KIND(a_value_of_four_megabytes_comes_back),
        EVERY_KIND(mistakes_have_their_own_errors),
    };
    return RUN_SYSTEM_TESTS("sets", tests);
}
