/* SPDX-License-Identifier: MIT */
/*
 * Messages of variables, as bridge.proto has them; see proto_table.h. An empty reply
 * has no struct.
 */
#ifndef SP_WIRE_PROTO_VARIABLE_H
#define SP_WIRE_PROTO_VARIABLE_H

#include "wire/proto_table.h"

enum { PROTO_ELIXIR = 0, PROTO_PYTHON = 1 }; /* Variable.source */

/* An entry of map<string, Variable>. */
struct proto_variable_entry {
    const char *key;
    const struct proto_variable *variable;
};
extern const struct proto_table sp__proto_variable_entry_table;

/* OptimizationStatus. */
struct proto_optimization {
    int optimizing;
    const char *optimizer_id;
    uint64_t started_unix_ms;
};
PROTO_MESSAGE_OF(optimization)

/* Variable. */
struct proto_variable {
    const char *id;
    const char *name;
    const char *type;
    struct proto_any value;
    const char *constraints_json;
    struct proto_run metadata; /* struct proto_text_entry */
    int32_t source;            /* PROTO_ELIXIR, PROTO_PYTHON */
    uint64_t updated_unix_ms;
    int32_t version;
    const char *access_control_json;
    const struct proto_optimization *optimization;
    sp_bytes binary;
    const char *metadata_json;
    const char *changed_by;
    uint64_t created_unix_ms;
};
PROTO_MESSAGE_OF(variable)

/* RegisterVariableRequest. */
struct proto_variable_register {
    const char *session_id;
    const char *name;
    const char *type;
    struct proto_any value;
    const char *constraints_json;
    struct proto_run metadata; /* struct proto_text_entry */
    sp_bytes binary;
    const char *metadata_json;
    const char *changed_by;
};
PROTO_MESSAGE_OF(variable_register)

/* RegisterVariableResponse. */
struct proto_variable_register_reply {
    int success;
    const char *variable_id;
    const char *error_message;
    const struct proto_variable *variable;
};
PROTO_MESSAGE_OF(variable_register_reply)

/* GetVariableRequest. */
struct proto_variable_get {
    const char *session_id;
    const char *name; /* or id */
    int bypass_cache;
    int accept_binary;
};
PROTO_MESSAGE_OF(variable_get)

/* GetVariableResponse. */
struct proto_variable_get_reply {
    const struct proto_variable *variable;
    int from_cache;
};
PROTO_MESSAGE_OF(variable_get_reply)

/* SetVariableRequest. */
struct proto_variable_set {
    const char *session_id;
    const char *name; /* or id */
    struct proto_any value;
    struct proto_run metadata; /* struct proto_text_entry */
    int32_t expected_version;  /* 0: none, unless check_version */
    sp_bytes binary;
    const char *metadata_json;
    const char *changed_by;
    const char *owner;
    int check_version;
};
PROTO_MESSAGE_OF(variable_set)

/* SetVariableResponse. */
struct proto_variable_set_reply {
    int success;
    const char *error_message;
    int32_t new_version;
};
PROTO_MESSAGE_OF(variable_set_reply)

/* BatchGetVariablesRequest. */
struct proto_variable_get_many {
    const char *session_id;
    struct proto_run names; /* const char *; or ids */
    int include_metadata;
    int bypass_cache;
    int accept_binary;
};
PROTO_MESSAGE_OF(variable_get_many)

/* BatchGetVariablesResponse. */
struct proto_variable_get_many_reply {
    struct proto_run variables; /* struct proto_variable_entry */
    struct proto_run missing;   /* const char * */
};
PROTO_MESSAGE_OF(variable_get_many_reply)

/* BatchSetVariablesRequest. */
struct proto_variable_set_many {
    const char *session_id;
    struct proto_run updates;  /* struct proto_any_entry */
    struct proto_run metadata; /* struct proto_text_entry */
    int atomic;
    struct proto_run binary; /* struct proto_blob_entry */
    const char *metadata_json;
    const char *changed_by;
    const char *owner;
    int check_version;
    int32_t expected_version;
};
PROTO_MESSAGE_OF(variable_set_many)

/* BatchSetVariablesResponse. */
struct proto_variable_set_many_reply {
    int success;
    struct proto_run errors;       /* struct proto_text_entry */
    struct proto_run new_versions; /* struct proto_number_entry */
    struct proto_run
        error_reasons; /* struct proto_text_entry; stable names of the codes */
};
PROTO_MESSAGE_OF(variable_set_many_reply)

/* ListVariablesRequest. The reply is a list of proto_variable, items 1. */
struct proto_variable_list {
    const char *session_id;
    const char *pattern;
};
PROTO_MESSAGE_OF(variable_list)

/* DeleteVariableRequest. */
struct proto_variable_delete {
    const char *session_id;
    const char *name; /* or id */
    int32_t expected_version;
    const char *owner;
    int check_version;
};
PROTO_MESSAGE_OF(variable_delete)

/* DeleteVariableResponse. Of AddDependency too. */
struct proto_done_reply {
    int success;
    const char *error_message;
};
PROTO_MESSAGE_OF(done_reply)

/* WatchVariablesRequest. */
struct proto_variable_watch {
    const char *session_id;
    struct proto_run names; /* const char * */
    int include_initial_values;
    uint32_t queue_max;
};
PROTO_MESSAGE_OF(variable_watch)

/* VariableUpdate. */
struct proto_variable_update {
    const char *variable_id;
    const struct proto_variable *variable;
    const char *update_source;
    struct proto_run update_metadata; /* struct proto_text_entry */
    uint64_t unix_ms;
    const char *update_type;
};
PROTO_MESSAGE_OF(variable_update)

/* AddDependencyRequest. */
struct proto_dependency_add {
    const char *session_id;
    const char *from_variable;
    const char *to_variable;
    const char *dependency_type;
};
PROTO_MESSAGE_OF(dependency_add)

/* RemoveDependencyRequest. The reply is empty. */
struct proto_dependency_remove {
    const char *session_id;
    const char *from_variable;
    const char *to_variable;
};
PROTO_MESSAGE_OF(dependency_remove)

/* ListDependenciesRequest. The reply is a list of proto_dependency, items 1. */
struct proto_dependency_list {
    const char *session_id;
    const char *name; /* "": of every variable */
};
PROTO_MESSAGE_OF(dependency_list)

/* Dependency. */
struct proto_dependency {
    const char *from_variable;
    const char *to_variable;
    const char *dependency_type;
};
PROTO_MESSAGE_OF(dependency)

/* StartOptimizationRequest. */
struct proto_variable_lock {
    const char *session_id;
    const char *name; /* or id */
    const char *optimizer_id;
    struct proto_run optimizer_config; /* struct proto_text_entry */
};
PROTO_MESSAGE_OF(variable_lock)

/* StartOptimizationResponse. */
struct proto_variable_lock_reply {
    int success;
    const char *error_message;
    const char *optimization_id;
};
PROTO_MESSAGE_OF(variable_lock_reply)

/* StopOptimizationRequest. */
struct proto_variable_unlock {
    const char *session_id;
    const char *name; /* or id */
    int force;
    const char *optimizer_id;
};
PROTO_MESSAGE_OF(variable_unlock)

/* StopOptimizationResponse. */
struct proto_variable_unlock_reply {
    int success;
    struct proto_any final_value;
    const struct proto_variable *variable;
};
PROTO_MESSAGE_OF(variable_unlock_reply)

/* GetVariableHistoryRequest. The reply is a list of proto_variable_version, items 1. */
struct proto_variable_history {
    const char *session_id;
    const char *name; /* or id */
    int32_t limit;
};
PROTO_MESSAGE_OF(variable_history)

/* VariableHistoryEntry. */
struct proto_variable_version {
    int32_t version;
    struct proto_any value;
    uint64_t unix_ms;
    const char *changed_by;
    struct proto_run metadata; /* struct proto_text_entry */
    const char *metadata_json;
};
PROTO_MESSAGE_OF(variable_version)

/* RollbackVariableRequest. */
struct proto_variable_rollback {
    const char *session_id;
    const char *name; /* or id */
    int32_t target_version;
    int32_t expected_version;
    const char *changed_by;
    const char *owner;
    int check_version;
    const char *metadata_json;
};
PROTO_MESSAGE_OF(variable_rollback)

/* RollbackVariableResponse. */
struct proto_variable_rollback_reply {
    int success;
    const struct proto_variable *variable;
    const char *error_message;
    int32_t new_version;
};
PROTO_MESSAGE_OF(variable_rollback_reply)

/* ExportVariablesRequest. */
struct proto_variable_export {
    const char *session_id;
};
PROTO_MESSAGE_OF(variable_export)

/* ExportVariablesResponse. */
struct proto_variable_export_reply {
    sp_bytes json;
    uint64_t count;
};
PROTO_MESSAGE_OF(variable_export_reply)

/* ImportVariablesRequest. */
struct proto_variable_import {
    const char *session_id;
    const char *json;
};
PROTO_MESSAGE_OF(variable_import)

/* ImportVariablesResponse. */
struct proto_variable_import_reply {
    uint64_t count;
};
PROTO_MESSAGE_OF(variable_import_reply)

#endif
