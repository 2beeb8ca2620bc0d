/* SPDX-License-Identifier: MIT */
/*
 * Messages about state as an enemy packs them; byte 0 says which one. What is read is
 * written and read again to the same bytes, and a stub whose host answers with them
 * leaves the bytes and the memory alone.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/stubs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

static const struct proto_table *const tables[] = {
    &sp__proto_session_begin_table,
    &sp__proto_session_begin_reply_table,
    &sp__proto_session_end_table,
    &sp__proto_session_end_reply_table,
    &sp__proto_session_get_table,
    &sp__proto_session_table,
    &sp__proto_session_update_table,
    &sp__proto_session_list_table,
    &sp__proto_session_stats_table,
    &sp__proto_heartbeat_table,
    &sp__proto_heartbeat_reply_table,
    &sp__proto_optimization_table,
    &sp__proto_variable_table,
    &sp__proto_variable_register_table,
    &sp__proto_variable_register_reply_table,
    &sp__proto_variable_get_table,
    &sp__proto_variable_get_reply_table,
    &sp__proto_variable_set_table,
    &sp__proto_variable_set_reply_table,
    &sp__proto_variable_get_many_table,
    &sp__proto_variable_get_many_reply_table,
    &sp__proto_variable_set_many_table,
    &sp__proto_variable_set_many_reply_table,
    &sp__proto_variable_list_table,
    &sp__proto_variable_delete_table,
    &sp__proto_done_reply_table,
    &sp__proto_variable_watch_table,
    &sp__proto_variable_update_table,
    &sp__proto_dependency_add_table,
    &sp__proto_dependency_remove_table,
    &sp__proto_dependency_list_table,
    &sp__proto_dependency_table,
    &sp__proto_variable_lock_table,
    &sp__proto_variable_lock_reply_table,
    &sp__proto_variable_unlock_table,
    &sp__proto_variable_unlock_reply_table,
    &sp__proto_variable_history_table,
    &sp__proto_variable_version_table,
    &sp__proto_variable_rollback_table,
    &sp__proto_variable_rollback_reply_table,
    &sp__proto_variable_export_table,
    &sp__proto_variable_export_reply_table,
    &sp__proto_variable_import_table,
    &sp__proto_variable_import_reply_table,
    &sp__proto_program_table,
    &sp__proto_program_store_table,
    &sp__proto_program_get_table,
    &sp__proto_program_delete_table,
    &sp__proto_program_list_table,
    &sp__proto_parameter_spec_table,
    &sp__proto_tool_spec_table,
    &sp__proto_tool_registration_table,
    &sp__proto_tool_register_table,
    &sp__proto_tool_register_reply_table,
    &sp__proto_tool_list_table,
    &sp__proto_host_tool_call_table,
    &sp__proto_host_tool_reply_table,
};
enum { TABLES = sizeof tables / sizeof tables[0], BATCH = 3 };

static struct sp_buffer buffer(void)
{
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
    return out;
}

static void try_table(const struct proto_table *table, sp_bytes data)
{
    struct proto_memory memory = {0};
    struct sp_buffer out = buffer();
    struct sp_buffer again = buffer();
    max_align_t room[32];
    CHECK(table->size <= sizeof room);
    if (sp__table_get(table, data, &memory, room, NULL) == SP_OK) {
        CHECK(sp__table_put(&out, table, room, NULL) == SP_OK);
        sp__proto_memory_fini(&memory);
        CHECK(sp__table_get(table, (sp_bytes){out.data, out.size}, &memory, room,
                            NULL) == SP_OK);
        CHECK(sp__table_put(&again, table, room, NULL) == SP_OK);
        CHECK(out.size == again.size &&
              (out.size == 0 || memcmp(out.data, again.data, out.size) == 0));
    }
    sp__proto_memory_fini(&memory);
    sp__buf_fini(&again);
    sp__buf_fini(&out);
}

/* ---- stubs ---- */

static int answer(void *user, const char *path, sp_bytes request,
                  struct sp_buffer *reply, sp_error *err)
{
    const sp_bytes *data = user;
    return sp__buf_append(reply, data->data, data->size, err);
}

static void see_variable(const sp_variable *variable, void *user)
{
    CHECK(strlen(variable->value) == variable->value_size);
}

static void see_session(const sp_session_info *info, void *user)
{
    CHECK(info->id != NULL && info->metadata != NULL);
}

static void see_program(const sp_program *program, void *user)
{
    CHECK(strlen(program->data) == program->data_size);
}

static void see_dependency(const char *from, const char *to, const char *kind,
                           void *user)
{
    CHECK(from != NULL && to != NULL && kind != NULL);
}

static void see_json(sp_bytes json, void *user)
{
}

static void try_variables(const struct caller *caller)
{
    sp_variable variable;
    if (sp__stub_variable_get(caller, "s", "v", &variable, NULL) == SP_OK) {
        see_variable(&variable, NULL);
        sp__free(variable.memory);
    }
    const char *const names[BATCH] = {"a", "b", "c"};
    sp_variable variables[BATCH];
    if (sp__stub_variables_get(caller, "s", names, BATCH, variables, NULL) >= 0) {
        for (int i = 0; i < BATCH; i++) {
            sp__free(variables[i].memory);
        }
    }
    sp_variable_update updates[BATCH] = {
        {.name = "a", .value = "1"}, {.name = "b", .value = "2"}, {.name = "c"}};
    (void)sp__stub_variables_set(caller, "s", updates, BATCH, 1, NULL, NULL);
    (void)sp__stub_variables_list(caller, "s", NULL, see_variable, NULL, NULL);
    (void)sp__stub_variable_history(caller, "s", "v", 0, see_variable, NULL, NULL);
    (void)sp__stub_variable_dependencies(caller, "s", NULL, see_dependency, NULL, NULL);
    (void)sp__stub_variables_export(caller, "s", see_json, NULL, NULL);
}

static void try_stubs(sp_bytes data)
{
    const struct caller caller = {answer, &data};
    sp_session_info info;
    sp_program program;
    sp_change change;
    try_variables(&caller);
    if (sp__stub_session_get(&caller, "s", &info, NULL) == SP_OK) {
        sp__free(info.memory);
    }
    if (sp__stub_program_get(&caller, NULL, "p", &program, NULL) == SP_OK) {
        sp__free(program.memory);
    }
    (void)sp__stub_sessions_list(&caller, NULL, see_session, NULL, NULL);
    (void)sp__stub_programs_list(&caller, NULL, see_program, NULL, NULL);
    if (sp__stub_watch_update(data, &change, NULL) == SP_OK) {
        CHECK(change.kind >= SP_CHANGE_INITIAL && change.kind <= SP_CHANGE_DELETED);
        sp__free(change.variable.memory);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    int64_t live = sp__mem_live();
    /* A copy of its own, so that reading past its end is seen. */
    uint8_t *copy = malloc(size);
    CHECK(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    const sp_bytes bytes = {copy, size - 1};
    size_t which = data[0] % (TABLES + 1);
    if (which == TABLES) {
        try_stubs(bytes);
    } else {
        try_table(tables[which], bytes);
    }
    free(copy);
    CHECK(sp__mem_live() == live);
    return 0;
}
