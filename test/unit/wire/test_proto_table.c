/* SPDX-License-Identifier: MIT */
/*
 * The tables of messages against the code that protobuf-c generates from bridge.proto
 * and control.proto: the same fields, and for random messages the same bytes. Then bytes
 * that nobody wrote on purpose, and no memory.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "leak.h"
#include "proto_bytes.h"
#include "snakepit/bridge.pb-c.h"
#include "snakepit/control.pb-c.h"
#include "wire/proto_control.h"
#include "wire/proto_state.h"

struct pair {
    const struct proto_table *table;
    const ProtobufCMessageDescriptor *descriptor;
};
#define TABLE(noun, message)                              \
    {                                                     \
        &sp__proto_##noun##_table, &message##__descriptor \
    }

static const struct pair pairs[] = {
    TABLE(report_get, snakepit__control__v1__get_report_request),
    TABLE(report_get_reply, snakepit__control__v1__get_report_response),
    TABLE(worker_wish, snakepit__control__v1__worker_request),
    TABLE(worker_wish_reply, snakepit__control__v1__worker_response),
    TABLE(events_watch, snakepit__control__v1__watch_events_request),
    TABLE(events_watch_reply, snakepit__control__v1__watch_events_response),
    TABLE(session_begin, snakepit__bridge__initialize_session_request),
    TABLE(session_begin_reply, snakepit__bridge__initialize_session_response),
    TABLE(session_end, snakepit__bridge__cleanup_session_request),
    TABLE(session_end_reply, snakepit__bridge__cleanup_session_response),
    TABLE(session_get, snakepit__bridge__get_session_request),
    TABLE(session, snakepit__bridge__get_session_response),
    TABLE(session_update, snakepit__bridge__update_session_request),
    TABLE(session_list, snakepit__bridge__list_sessions_request),
    TABLE(session_stats, snakepit__bridge__get_session_stats_response),
    TABLE(heartbeat, snakepit__bridge__heartbeat_request),
    TABLE(heartbeat_reply, snakepit__bridge__heartbeat_response),
    TABLE(optimization, snakepit__bridge__optimization_status),
    TABLE(variable, snakepit__bridge__variable),
    TABLE(variable_register, snakepit__bridge__register_variable_request),
    TABLE(variable_register_reply, snakepit__bridge__register_variable_response),
    TABLE(variable_get, snakepit__bridge__get_variable_request),
    TABLE(variable_get_reply, snakepit__bridge__get_variable_response),
    TABLE(variable_set, snakepit__bridge__set_variable_request),
    TABLE(variable_set_reply, snakepit__bridge__set_variable_response),
    TABLE(variable_get_many, snakepit__bridge__batch_get_variables_request),
    TABLE(variable_get_many_reply, snakepit__bridge__batch_get_variables_response),
    TABLE(variable_set_many, snakepit__bridge__batch_set_variables_request),
    TABLE(variable_set_many_reply, snakepit__bridge__batch_set_variables_response),
    TABLE(variable_list, snakepit__bridge__list_variables_request),
    TABLE(variable_delete, snakepit__bridge__delete_variable_request),
    TABLE(done_reply, snakepit__bridge__delete_variable_response),
    TABLE(variable_watch, snakepit__bridge__watch_variables_request),
    TABLE(variable_update, snakepit__bridge__variable_update),
    TABLE(dependency_add, snakepit__bridge__add_dependency_request),
    TABLE(dependency_remove, snakepit__bridge__remove_dependency_request),
    TABLE(dependency_list, snakepit__bridge__list_dependencies_request),
    TABLE(dependency, snakepit__bridge__dependency),
    TABLE(variable_lock, snakepit__bridge__start_optimization_request),
    TABLE(variable_lock_reply, snakepit__bridge__start_optimization_response),
    TABLE(variable_unlock, snakepit__bridge__stop_optimization_request),
    TABLE(variable_unlock_reply, snakepit__bridge__stop_optimization_response),
    TABLE(variable_history, snakepit__bridge__get_variable_history_request),
    TABLE(variable_version, snakepit__bridge__variable_history_entry),
    TABLE(variable_rollback, snakepit__bridge__rollback_variable_request),
    TABLE(variable_rollback_reply, snakepit__bridge__rollback_variable_response),
    TABLE(variable_export, snakepit__bridge__export_variables_request),
    TABLE(variable_export_reply, snakepit__bridge__export_variables_response),
    TABLE(variable_import, snakepit__bridge__import_variables_request),
    TABLE(variable_import_reply, snakepit__bridge__import_variables_response),
    TABLE(program, snakepit__bridge__program),
    TABLE(program_store, snakepit__bridge__store_program_request),
    TABLE(program_get, snakepit__bridge__get_program_request),
    TABLE(program_delete, snakepit__bridge__delete_program_request),
    TABLE(program_list, snakepit__bridge__list_programs_request),
    TABLE(parameter_spec, snakepit__bridge__parameter_spec),
    TABLE(tool_spec, snakepit__bridge__tool_spec),
    TABLE(tool_registration, snakepit__bridge__tool_registration),
    TABLE(tool_register, snakepit__bridge__register_tools_request),
    TABLE(tool_register_reply, snakepit__bridge__register_tools_response),
    TABLE(tool_list, snakepit__bridge__get_exposed_elixir_tools_request),
    TABLE(host_tool_call, snakepit__bridge__execute_elixir_tool_request),
    TABLE(host_tool_reply, snakepit__bridge__execute_elixir_tool_response),
};
enum { PAIRS = sizeof pairs / sizeof pairs[0], ROUNDS = 40, DATA_MAX = 1 << 16 };

/* ---- fields ---- */

static const ProtobufCFieldDescriptor *field(const struct pair *pair,
                                             const struct proto_slot *slot)
{
    return protobuf_c_message_descriptor_get_field(pair->descriptor, slot->number);
}

static int is_message(const ProtobufCFieldDescriptor *f, const char *name)
{
    const ProtobufCMessageDescriptor *of = f->descriptor;
    return f->type == PROTOBUF_C_TYPE_MESSAGE && strcmp(of->name, name) == 0;
}

static int is_alike(const struct proto_slot *slot, const ProtobufCFieldDescriptor *f)
{
    switch (slot->kind) {
    case PROTO_BOOL:
        return f->type == PROTOBUF_C_TYPE_BOOL;
    case PROTO_I32:
        return f->type == PROTOBUF_C_TYPE_INT32 || f->type == PROTOBUF_C_TYPE_ENUM;
    case PROTO_U32:
        return f->type == PROTOBUF_C_TYPE_UINT32;
    case PROTO_I64:
        return f->type == PROTOBUF_C_TYPE_INT64;
    case PROTO_U64:
        return f->type == PROTOBUF_C_TYPE_UINT64;
    case PROTO_TEXT:
        return f->type == PROTOBUF_C_TYPE_STRING;
    case PROTO_JSON:
        return f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_BYTES;
    case PROTO_BLOB:
        return f->type == PROTOBUF_C_TYPE_BYTES;
    case PROTO_TIME:
        return is_message(f, "google.protobuf.Timestamp");
    case PROTO_ANY:
        return is_message(f, "google.protobuf.Any");
    case PROTO_MESSAGE:
        return f->type == PROTOBUF_C_TYPE_MESSAGE;
    case PROTO_TEXTS:
        return f->type == PROTOBUF_C_TYPE_STRING;
    case PROTO_ITEMS:
        return f->type == PROTOBUF_C_TYPE_MESSAGE;
    }
    return 0;
}

static void tables_have_the_fields_of_the_proto(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) {
        const struct proto_table *table = pairs[i].table;
        assert_string_equal(table->name, pairs[i].descriptor->short_name);
        for (size_t k = 0; k < table->count; k++) {
            const struct proto_slot *slot = &table->slots[k];
            const ProtobufCFieldDescriptor *f = field(&pairs[i], slot);
            int many = slot->kind == PROTO_TEXTS || slot->kind == PROTO_ITEMS;
            if (f == NULL || !is_alike(slot, f) ||
                many != (f->label == PROTOBUF_C_LABEL_REPEATED)) {
                fail_msg("%s.%s", table->name, slot->name);
            }
            assert_true(k == 0 || slot->number > table->slots[k - 1].number);
        }
    }
}

/* ---- random messages ---- */

static uint64_t seed;

static uint64_t draw(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % n;
}

/* Texts and structs of one random message. */
struct made {
    size_t used;
    max_align_t room[DATA_MAX / sizeof(max_align_t)];
};

static void *room_for(struct made *made, size_t size)
{
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t);
    void *at = &made->room[made->used];
    made->used += size;
    assert_true(made->used <= sizeof made->room / sizeof made->room[0]);
    return at;
}

static const char *some_text(struct made *made)
{
    static const char *const samples[] = {"", "a", "größer", "{\"a\": [1, 2]}", "😀"};
    uint64_t n = draw(6);
    if (n < 5) {
        return samples[n];
    }
    size_t size = draw(300);
    char *text = room_for(made, size + 1);
    memset(text, 'x', size);
    text[size] = '\0';
    return text;
}

static uint64_t some_number(void)
{
    static const uint64_t samples[] = {0, 1, 127, 128, UINT64_C(1) << 31, UINT64_MAX};
    return samples[draw(6)];
}

static void make(struct made *made, const struct proto_table *table, void *message);

static void make_run(struct made *made, const struct proto_slot *slot,
                     struct proto_run *run)
{
    run->count = draw(3);
    if (slot->kind == PROTO_TEXTS) {
        const char **texts = room_for(made, (run->count + 1) * sizeof *texts);
        for (size_t i = 0; i < run->count; i++) {
            texts[i] = some_text(made);
        }
        run->items = texts;
        return;
    }
    char *items = room_for(made, (run->count + 1) * slot->table->size);
    for (size_t i = 0; i < run->count; i++) {
        make(made, slot->table, items + i * slot->table->size);
    }
    run->items = items;
}

static void make_slot(struct made *made, const struct proto_slot *slot, void *to)
{
    switch (slot->kind) {
    case PROTO_BOOL:
        *(int *)to = (int)draw(2);
        return;
    case PROTO_I32:
        *(int32_t *)to = (int32_t)(uint32_t)some_number();
        if (strcmp(slot->name, "source") == 0) {
            *(int32_t *)to = (int32_t)draw(2);
        }
        return;
    case PROTO_U32:
        *(uint32_t *)to = (uint32_t)some_number();
        return;
    case PROTO_I64:
    case PROTO_U64:
        *(uint64_t *)to = some_number();
        return;
    case PROTO_TIME:
        *(uint64_t *)to = draw(2) * (UINT64_C(1796000000000) + draw(1000000));
        return;
    case PROTO_TEXT:
    case PROTO_JSON:
        *(const char **)to = some_text(made);
        return;
    case PROTO_BLOB:
        *(sp_bytes *)to = (sp_bytes){"a\0b", draw(4)};
        return;
    case PROTO_ANY:
        *(struct proto_any *)to = (struct proto_any){"type.googleapis.com/x", "1.5"};
        return;
    case PROTO_MESSAGE:
        if (draw(2) == 1) {
            void *inner = room_for(made, slot->table->size);
            make(made, slot->table, inner);
            *(const void **)to = inner;
        }
        return;
    case PROTO_TEXTS:
    case PROTO_ITEMS:
        make_run(made, slot, to);
        return;
    }
}

static void make(struct made *made, const struct proto_table *table, void *message)
{
    memset(message, 0, table->size);
    for (size_t i = 0; i < table->count; i++) {
        make_slot(made, &table->slots[i], (char *)message + table->slots[i].offset);
    }
}

/* Reads, and writes what it read to the same bytes. */
static int there_and_back(const struct proto_table *table, sp_bytes bytes,
                          sp_error *err)
{
    struct proto_memory memory = {0};
    struct sp_buffer again = buffer();
    max_align_t room[32];
    assert_true(table->size <= sizeof room);
    int rc = sp__table_get(table, bytes, &memory, room, err);
    if (rc == SP_OK) {
        rc = sp__table_put(&again, table, room, err);
    }
    if (rc == SP_OK) {
        assert_bytes(bytes, again.data, again.size);
    }
    sp__buf_fini(&again);
    sp__proto_memory_fini(&memory);
    return rc;
}

static void check_one(const struct pair *pair, struct made *made)
{
    struct sp_buffer out = buffer();
    max_align_t room[32];
    memset(made, 0, sizeof *made);
    make(made, pair->table, room);
    assert_int_equal(sp__table_put(&out, pair->table, room, NULL), SP_OK);
    static const uint8_t nothing;
    ProtobufCMessage *message = protobuf_c_message_unpack(
        pair->descriptor, NULL, out.size, out.size > 0 ? out.data : &nothing);
    assert_non_null(message);
    size_t size;
    uint8_t *packed = pack(message, &size);
    assert_bytes((sp_bytes){packed, size}, out.data, out.size);
    free(packed);
    protobuf_c_message_free_unpacked(message, NULL);
    assert_int_equal(there_and_back(pair->table, (sp_bytes){out.data, out.size}, NULL),
                     SP_OK);
    sp__buf_fini(&out);
}

static void random_messages_are_as_protobuf_has_them(void **state)
{
    (void)state;
    static struct made made;
    seed = 20261126;
    for (size_t i = 0; i < PAIRS; i++) {
        for (int round = 0; round < ROUNDS; round++) {
            check_one(&pairs[i], &made);
        }
    }
}

/* ---- bytes of somebody else ---- */

static void try_bytes(const struct proto_table *table, const uint8_t *data, size_t size)
{
    /* Of exactly their size, so that a sanitizer sees a byte too many. */
    uint8_t *exact = malloc(size + 1);
    struct proto_memory memory = {0};
    max_align_t room[32];
    assert_non_null(exact);
    memcpy(exact + 1, data, size);
    (void)!sp__table_get(table, (sp_bytes){exact + 1, size}, &memory, room, NULL);
    sp__proto_memory_fini(&memory);
    free(exact);
}

static void hostile_bytes_are_read_or_refused(void **state)
{
    (void)state;
    static struct made made;
    seed = 4711;
    for (size_t i = 0; i < PAIRS; i++) {
        struct sp_buffer out = buffer();
        max_align_t room[32];
        memset(&made, 0, sizeof made);
        make(&made, pairs[i].table, room);
        assert_int_equal(sp__table_put(&out, pairs[i].table, room, NULL), SP_OK);
        for (size_t n = 0; n < out.size; n++) {
            try_bytes(pairs[i].table, out.data, n);
            out.data[n] ^= (uint8_t)(1 << draw(8));
            try_bytes(pairs[i].table, out.data, out.size);
        }
        sp__buf_fini(&out);
    }
}

static void a_nul_in_a_text_is_refused(void **state)
{
    (void)state;
    static const uint8_t name[] = {0x0a, 1, 's', 0x12, 3, 'a', 0, 'b'};
    static const uint8_t json[] = {0x1a, 5, 0x12, 3, '1', 0, '2'};
    static const uint8_t utf8[] = {0x12, 1, 0xff};
    struct proto_memory memory = {0};
    struct proto_variable_set set;
    sp_error err = {0};
    assert_int_equal(
        sp__proto_get_variable_set((sp_bytes){name, sizeof name}, &memory, &set, &err),
        SP_ERR_INVAL);
    assert_string_equal(err.message, "name of a SetVariableRequest has a NUL byte");
    assert_int_equal(
        sp__proto_get_variable_set((sp_bytes){json, sizeof json}, &memory, &set, &err),
        SP_ERR_BAD_JSON);
    assert_int_equal(
        sp__proto_get_variable_set((sp_bytes){utf8, sizeof utf8}, &memory, &set, &err),
        SP_ERR_INVAL);
    assert_string_equal(err.message, "name of a SetVariableRequest is not UTF-8");
    sp__proto_memory_fini(&memory);
    sp_error_clear(&err);
}

static void elements_are_limited(void **state)
{
    (void)state;
    enum { COUNT = (1 << 18) + 1 };
    struct proto_memory memory = {0};
    struct proto_variable_get_many request;
    sp_error err = {0};
    uint8_t *data = malloc(2 * COUNT);
    assert_non_null(data);
    for (size_t i = 0; i < COUNT; i++) {
        data[2 * i] = 0x12;
        data[2 * i + 1] = 0;
    }
    sp_bytes fits = {data, 2 * (COUNT - 1)};
    sp_bytes one_more = {data, 2 * COUNT};
    assert_int_equal(sp__proto_get_variable_get_many(fits, &memory, &request, &err),
                     SP_OK);
    assert_int_equal(request.names.count, COUNT - 1);
    sp__proto_memory_fini(&memory);
    assert_int_equal(sp__proto_get_variable_get_many(one_more, &memory, &request, &err),
                     SP_ERR_TOO_BIG);
    sp__proto_memory_fini(&memory);
    sp_error_clear(&err);
    free(data);
}

static void absent_is_empty(void **state)
{
    (void)state;
    struct proto_memory memory = {0};
    struct proto_variable_set set;
    assert_int_equal(sp__proto_get_variable_set((sp_bytes){0}, &memory, &set, NULL),
                     SP_OK);
    assert_string_equal(set.session_id, "");
    assert_string_equal(set.metadata_json, "");
    assert_null(set.value.json);
    assert_int_equal(set.metadata.count, 0);
    sp__proto_memory_fini(&memory);
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    static struct made made;
    seed = 99;
    for (size_t i = 0; i < PAIRS; i++) {
        struct sp_buffer out = buffer();
        max_align_t room[32];
        memset(&made, 0, sizeof made);
        make(&made, pairs[i].table, room);
        assert_int_equal(sp__table_put(&out, pairs[i].table, room, NULL), SP_OK);
        int rc = SP_ERR_NOMEM;
        for (uint64_t n = 1; rc == SP_ERR_NOMEM; n++) {
            sp_error err = {0};
            sp__mem_fail_at(n, 0);
            rc = there_and_back(pairs[i].table, (sp_bytes){out.data, out.size}, &err);
            sp__mem_fail_at(0, 0);
            assert_true(rc == SP_OK || err.code == SP_ERR_NOMEM);
            sp_error_clear(&err);
        }
        assert_int_equal(rc, SP_OK);
        sp__buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tables_have_the_fields_of_the_proto),
        TEST(random_messages_are_as_protobuf_has_them),
        TEST(hostile_bytes_are_read_or_refused),
        TEST(a_nul_in_a_text_is_refused),
        TEST(elements_are_limited),
        TEST(absent_is_empty),
        TEST(without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
