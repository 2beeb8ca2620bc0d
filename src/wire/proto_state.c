/* SPDX-License-Identifier: MIT */
/*
 * Messages of state <-> the structs of the public headers.
 *
 * Everything is borrowed until somebody wants to keep it: then all texts of a struct are
 * copied into one block, which its `memory` points to.
 */
#include "wire/proto_state.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/proto_internal.h"

#define URL(type) SP__SNAKEPIT_URL type

const char *sp__proto_type_url(const char *type)
{
    static const char *const urls[] = {
        URL("float"),  URL("integer"),   URL("string"), URL("boolean"), URL("choice"),
        URL("module"), URL("embedding"), URL("tensor"), URL("list"),    URL("map"),
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        if (strcmp(urls[i] + sizeof SP__SNAKEPIT_URL - 1, type) == 0) {
            return urls[i];
        }
    }
    return SP__STRING_VALUE_URL;
}

static const char *const durabilities[] = {[SP_DURABILITY_DEFAULT] = "",
                                           [SP_DURABILITY_MEMORY] = "memory",
                                           [SP_DURABILITY_CRASH] = "crash",
                                           [SP_DURABILITY_DURABLE] = "durable"};

const char *sp__proto_durability(int durability)
{
    return durability >= SP_DURABILITY_DEFAULT && durability <= SP_DURABILITY_DURABLE
               ? durabilities[durability]
               : "unknown";
}

int sp__proto_get_durability(const char *name, int *ret_durability, sp_error *err)
{
    for (int i = SP_DURABILITY_DEFAULT; i <= SP_DURABILITY_DURABLE; i++) {
        if (strcmp(durabilities[i], name) == 0) {
            *ret_durability = i;
            return SP_OK;
        }
    }
    return sp__fail(err, SP_ERR_INVAL,
                    "unknown durability \"%.32s\": memory, crash or durable", name);
}

int32_t sp__proto_i32(uint64_t number)
{
    return number > INT32_MAX ? INT32_MAX : (int32_t)number;
}

int64_t sp__proto_from_ms(uint64_t ms)
{
    return ms > INT64_MAX ? -1 : (int64_t)ms;
}

uint64_t sp__proto_to_ms(int64_t ms)
{
    return ms < 0 ? SP_UNLIMITED : (uint64_t)ms;
}

/* A float that JSON has no number for is a text on the wire, as the original has it. */
static const struct {
    const char *kept;
    const char *sent;
} special_floats[] = {
    {"NaN", "\"NaN\""}, {"Infinity", "\"Infinity\""}, {"-Infinity", "\"-Infinity\""}};
enum { SPECIAL_FLOATS = sizeof special_floats / sizeof special_floats[0] };

const char *sp__proto_from_value(const char *type, const char *value)
{
    for (size_t i = 0; i < SPECIAL_FLOATS && strcmp(type, "float") == 0; i++) {
        if (strcmp(value, special_floats[i].kept) == 0) {
            return special_floats[i].sent;
        }
    }
    return value;
}

const char *sp__proto_to_value(const char *type, const char *value)
{
    for (size_t i = 0; i < SPECIAL_FLOATS && strcmp(type, "float") == 0; i++) {
        if (strcmp(value, special_floats[i].sent) == 0) {
            return special_floats[i].kept;
        }
    }
    return value;
}

void sp__proto_from_variable(const sp_variable *variable,
                             struct proto_optimization *optimization,
                             struct proto_variable *ret)
{
    *ret = (struct proto_variable){
        .id = variable->id,
        .name = variable->name,
        .type = variable->type,
        .value = {sp__proto_type_url(variable->type),
                  sp__proto_from_value(variable->type, variable->value)},
        .constraints_json = variable->constraints,
        .metadata_json = variable->metadata,
        .changed_by = variable->changed_by,
        .version = sp__proto_i32(variable->version),
        .created_unix_ms = variable->created_unix_ms,
        .updated_unix_ms = variable->updated_unix_ms,
    };
    if (variable->locked_by != NULL && variable->locked_by[0] != '\0') {
        *optimization = (struct proto_optimization){
            .optimizing = 1,
            .optimizer_id = variable->locked_by,
            .started_unix_ms = variable->locked_unix_ms,
        };
        ret->optimization = optimization;
    }
}

static const char *object_or_empty(const char *json)
{
    return json[0] != '\0' ? json : "{}";
}

void sp__proto_to_variable(const struct proto_variable *message, sp_variable *ret)
{
    const struct proto_optimization *lock = message->optimization;
    const char *value = message->value.json != NULL
                            ? sp__proto_to_value(message->type, message->value.json)
                            : "null";
    *ret = (sp_variable){
        .id = message->id,
        .name = message->name,
        .type = message->type,
        .value = value,
        .value_size = strlen(value),
        .constraints = object_or_empty(message->constraints_json),
        .metadata = object_or_empty(message->metadata_json),
        .changed_by = message->changed_by,
        .locked_by = lock != NULL ? lock->optimizer_id : "",
        .version = message->version < 0 ? 0 : (uint64_t)message->version,
        .created_unix_ms = message->created_unix_ms,
        .updated_unix_ms = message->updated_unix_ms,
        .locked_unix_ms = lock != NULL ? lock->started_unix_ms : 0,
    };
}

void sp__proto_from_session(const sp_session_info *info, struct proto_session *ret)
{
    *ret = (struct proto_session){
        .session_id = info->id,
        .metadata_json = info->metadata,
        .created_unix_ms = info->created_unix_ms,
        .used_unix_ms = info->used_unix_ms,
        .ttl_ms = sp__proto_from_ms(info->ttl_ms),
        .remaining_ms = sp__proto_from_ms(info->remaining_ms),
        .bytes = info->bytes,
        .variables = info->variables,
        .programs = info->programs,
        .tool_count = sp__proto_i32(info->tools),
        .tool_count_0_4 = sp__proto_i32(info->tools),
        .durability = sp__proto_durability(info->durability),
    };
}

void sp__proto_to_session(const struct proto_session *message, sp_session_info *ret)
{
    *ret = (sp_session_info){
        .id = message->session_id,
        .metadata = object_or_empty(message->metadata_json),
        .ttl_ms = sp__proto_to_ms(message->ttl_ms),
        .remaining_ms = sp__proto_to_ms(message->remaining_ms),
        .created_unix_ms = message->created_unix_ms,
        .used_unix_ms = message->used_unix_ms,
        .bytes = message->bytes,
        .variables = message->variables,
        .programs = message->programs,
        .tools = message->tool_count < 0 ? 0 : (uint64_t)message->tool_count,
    };
    (void)!sp__proto_get_durability(message->durability, &ret->durability, NULL);
}

void sp__proto_from_program(const sp_program *program, struct proto_program *ret)
{
    *ret = (struct proto_program){
        .id = program->id,
        .data_json = program->data,
        .created_unix_ms = program->created_unix_ms,
        .updated_unix_ms = program->updated_unix_ms,
        .remaining_ms = sp__proto_from_ms(program->remaining_ms),
    };
}

void sp__proto_to_program(const struct proto_program *message, sp_program *ret)
{
    *ret = (sp_program){
        .id = message->id,
        .data = message->data_json,
        .data_size = strlen(message->data_json),
        .created_unix_ms = message->created_unix_ms,
        .updated_unix_ms = message->updated_unix_ms,
        .remaining_ms = sp__proto_to_ms(message->remaining_ms),
    };
}

/* ---- changes ---- */

static const char *const changes[] = {
    [SP_CHANGE_INITIAL] = "initial",    [SP_CHANGE_REGISTERED] = "registered",
    [SP_CHANGE_VALUE] = "value_change", [SP_CHANGE_LOCK] = "lock",
    [SP_CHANGE_DELETED] = "deleted",
};

const char *sp__proto_change_name(int kind)
{
    return changes[kind];
}

int sp__proto_change_kind(const char *name)
{
    for (int i = SP_CHANGE_INITIAL; i <= SP_CHANGE_DELETED; i++) {
        if (strcmp(changes[i], name) == 0) {
            return i;
        }
    }
    return 0;
}

/* ---- owning ---- */

enum { TEXTS_MAX = 8 };

/* Move texts into one block: each place points there afterwards. The block, or NULL. */
static char *own_texts(const char ***places, size_t count, sp_error *err)
{
    size_t sizes[TEXTS_MAX];
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        sizes[i] = strlen(*places[i]) + 1;
        total += sizes[i];
    }
    char *memory = sp__malloc(total);
    if (memory == NULL) {
        (void)sp__fail(err, SP_ERR_NOMEM, "no memory for a copy of %zu bytes", total);
        return NULL;
    }
    char *at = memory;
    for (size_t i = 0; i < count; i++) {
        memcpy(at, *places[i], sizes[i]);
        *places[i] = at;
        at += sizes[i];
    }
    return memory;
}

int sp__own_variable(const sp_variable *variable, sp_variable *ret, sp_error *err)
{
    sp_variable own = *variable;
    const char **places[] = {&own.id,          &own.name,     &own.type,
                             &own.value,       &own.metadata, &own.changed_by,
                             &own.constraints, &own.locked_by};
    own.memory = own_texts(places, sizeof places / sizeof places[0], err);
    if (own.memory == NULL) {
        return SP_ERR_NOMEM;
    }
    *ret = own;
    return SP_OK;
}

int sp__own_session(const sp_session_info *info, sp_session_info *ret, sp_error *err)
{
    sp_session_info own = *info;
    const char **places[] = {&own.id, &own.metadata};
    own.memory = own_texts(places, sizeof places / sizeof places[0], err);
    if (own.memory == NULL) {
        return SP_ERR_NOMEM;
    }
    *ret = own;
    return SP_OK;
}

int sp__own_program(const sp_program *program, sp_program *ret, sp_error *err)
{
    sp_program own = *program;
    const char **places[] = {&own.id, &own.data};
    own.memory = own_texts(places, sizeof places / sizeof places[0], err);
    if (own.memory == NULL) {
        return SP_ERR_NOMEM;
    }
    *ret = own;
    return SP_OK;
}

SP_API void sp_variable_clear(sp_variable *variable)
{
    if (variable != NULL) {
        sp__free(variable->memory);
        *variable = (sp_variable){0};
    }
}

SP_API void sp_session_info_clear(sp_session_info *info)
{
    if (info != NULL) {
        sp__free(info->memory);
        *info = (sp_session_info){0};
    }
}

SP_API void sp_program_clear(sp_program *program)
{
    if (program != NULL) {
        sp__free(program->memory);
        *program = (sp_program){0};
    }
}
