/* SPDX-License-Identifier: MIT */
/* The tables of the messages of variables: numbers as in bridge.proto. */
#include "wire/proto_variable.h"

PROTO_TABLE(variable_entry, "map entry", PROTO_SLOT(variable_entry, key, 1, PROTO_TEXT),
            PROTO_SLOT_OF(variable_entry, variable, 2, PROTO_MESSAGE, variable));

PROTO_TABLE(optimization, "OptimizationStatus",
            PROTO_SLOT(optimization, optimizing, 1, PROTO_BOOL),
            PROTO_SLOT(optimization, optimizer_id, 2, PROTO_TEXT),
            PROTO_SLOT(optimization, started_unix_ms, 3, PROTO_TIME));

PROTO_TABLE(variable, "Variable", PROTO_SLOT(variable, id, 1, PROTO_TEXT),
            PROTO_SLOT(variable, name, 2, PROTO_TEXT),
            PROTO_SLOT(variable, type, 3, PROTO_TEXT),
            PROTO_SLOT(variable, value, 4, PROTO_ANY),
            PROTO_SLOT(variable, constraints_json, 5, PROTO_JSON),
            PROTO_SLOT_OF(variable, metadata, 6, PROTO_ITEMS, text_entry),
            PROTO_SLOT(variable, source, 7, PROTO_I32),
            PROTO_SLOT(variable, updated_unix_ms, 8, PROTO_TIME),
            PROTO_SLOT(variable, version, 9, PROTO_I32),
            PROTO_SLOT(variable, access_control_json, 10, PROTO_JSON),
            PROTO_SLOT_OF(variable, optimization, 11, PROTO_MESSAGE, optimization),
            PROTO_SLOT(variable, binary, 12, PROTO_BLOB),
            PROTO_SLOT(variable, metadata_json, 16, PROTO_JSON),
            PROTO_SLOT(variable, changed_by, 17, PROTO_TEXT),
            PROTO_SLOT(variable, created_unix_ms, 18, PROTO_TIME));

PROTO_TABLE(variable_register, "RegisterVariableRequest",
            PROTO_SLOT(variable_register, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(variable_register, name, 2, PROTO_TEXT),
            PROTO_SLOT(variable_register, type, 3, PROTO_TEXT),
            PROTO_SLOT(variable_register, value, 4, PROTO_ANY),
            PROTO_SLOT(variable_register, constraints_json, 5, PROTO_JSON),
            PROTO_SLOT_OF(variable_register, metadata, 6, PROTO_ITEMS, text_entry),
            PROTO_SLOT(variable_register, binary, 7, PROTO_BLOB),
            PROTO_SLOT(variable_register, metadata_json, 16, PROTO_JSON),
            PROTO_SLOT(variable_register, changed_by, 17, PROTO_TEXT));

PROTO_TABLE(variable_register_reply, "RegisterVariableResponse",
            PROTO_SLOT(variable_register_reply, success, 1, PROTO_BOOL),
            PROTO_SLOT(variable_register_reply, variable_id, 2, PROTO_TEXT),
            PROTO_SLOT(variable_register_reply, error_message, 3, PROTO_TEXT),
            PROTO_SLOT_OF(variable_register_reply, variable, 16, PROTO_MESSAGE,
                          variable));

PROTO_TABLE(variable_get, "GetVariableRequest",
            PROTO_SLOT(variable_get, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(variable_get, name, 2, PROTO_TEXT),
            PROTO_SLOT(variable_get, bypass_cache, 3, PROTO_BOOL),
            PROTO_SLOT(variable_get, accept_binary, 16, PROTO_BOOL));

PROTO_TABLE(variable_get_reply, "GetVariableResponse",
            PROTO_SLOT_OF(variable_get_reply, variable, 1, PROTO_MESSAGE, variable),
            PROTO_SLOT(variable_get_reply, from_cache, 2, PROTO_BOOL));

PROTO_TABLE(variable_set, "SetVariableRequest",
            PROTO_SLOT(variable_set, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(variable_set, name, 2, PROTO_TEXT),
            PROTO_SLOT(variable_set, value, 3, PROTO_ANY),
            PROTO_SLOT_OF(variable_set, metadata, 4, PROTO_ITEMS, text_entry),
            PROTO_SLOT(variable_set, expected_version, 5, PROTO_I32),
            PROTO_SLOT(variable_set, binary, 6, PROTO_BLOB),
            PROTO_SLOT(variable_set, metadata_json, 16, PROTO_JSON),
            PROTO_SLOT(variable_set, changed_by, 17, PROTO_TEXT),
            PROTO_SLOT(variable_set, owner, 18, PROTO_TEXT),
            PROTO_SLOT(variable_set, check_version, 19, PROTO_BOOL));

PROTO_TABLE(variable_set_reply, "SetVariableResponse",
            PROTO_SLOT(variable_set_reply, success, 1, PROTO_BOOL),
            PROTO_SLOT(variable_set_reply, error_message, 2, PROTO_TEXT),
            PROTO_SLOT(variable_set_reply, new_version, 3, PROTO_I32));

PROTO_TABLE(variable_get_many, "BatchGetVariablesRequest",
            PROTO_SLOT(variable_get_many, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(variable_get_many, names, 2, PROTO_TEXTS),
            PROTO_SLOT(variable_get_many, include_metadata, 3, PROTO_BOOL),
            PROTO_SLOT(variable_get_many, bypass_cache, 4, PROTO_BOOL),
            PROTO_SLOT(variable_get_many, accept_binary, 16, PROTO_BOOL));

PROTO_TABLE(variable_get_many_reply, "BatchGetVariablesResponse",
            PROTO_SLOT_OF(variable_get_many_reply, variables, 1, PROTO_ITEMS,
                          variable_entry),
            PROTO_SLOT(variable_get_many_reply, missing, 2, PROTO_TEXTS));

PROTO_TABLE(variable_set_many, "BatchSetVariablesRequest",
            PROTO_SLOT(variable_set_many, session_id, 1, PROTO_TEXT),
            PROTO_SLOT_OF(variable_set_many, updates, 2, PROTO_ITEMS, any_entry),
            PROTO_SLOT_OF(variable_set_many, metadata, 3, PROTO_ITEMS, text_entry),
            PROTO_SLOT(variable_set_many, atomic, 4, PROTO_BOOL),
            PROTO_SLOT_OF(variable_set_many, binary, 5, PROTO_ITEMS, blob_entry),
            PROTO_SLOT(variable_set_many, metadata_json, 16, PROTO_JSON),
            PROTO_SLOT(variable_set_many, changed_by, 17, PROTO_TEXT),
            PROTO_SLOT(variable_set_many, owner, 18, PROTO_TEXT),
            PROTO_SLOT(variable_set_many, check_version, 19, PROTO_BOOL),
            PROTO_SLOT(variable_set_many, expected_version, 20, PROTO_I32));

PROTO_TABLE(variable_set_many_reply, "BatchSetVariablesResponse",
            PROTO_SLOT(variable_set_many_reply, success, 1, PROTO_BOOL),
            PROTO_SLOT_OF(variable_set_many_reply, errors, 2, PROTO_ITEMS, text_entry),
            PROTO_SLOT_OF(variable_set_many_reply, new_versions, 3, PROTO_ITEMS,
                          number_entry),
            PROTO_SLOT_OF(variable_set_many_reply, error_reasons, 16, PROTO_ITEMS,
                          text_entry));

PROTO_TABLE(variable_list, "ListVariablesRequest",
            PROTO_SLOT(variable_list, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(variable_list, pattern, 2, PROTO_TEXT));

PROTO_TABLE(variable_delete, "DeleteVariableRequest",
            PROTO_SLOT(variable_delete, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(variable_delete, name, 2, PROTO_TEXT),
            PROTO_SLOT(variable_delete, expected_version, 16, PROTO_I32),
            PROTO_SLOT(variable_delete, owner, 18, PROTO_TEXT),
            PROTO_SLOT(variable_delete, check_version, 19, PROTO_BOOL));

PROTO_TABLE(done_reply, "DeleteVariableResponse",
            PROTO_SLOT(done_reply, success, 1, PROTO_BOOL),
            PROTO_SLOT(done_reply, error_message, 2, PROTO_TEXT));

PROTO_TABLE(variable_watch, "WatchVariablesRequest",
            PROTO_SLOT(variable_watch, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(variable_watch, names, 2, PROTO_TEXTS),
            PROTO_SLOT(variable_watch, include_initial_values, 3, PROTO_BOOL),
            PROTO_SLOT(variable_watch, queue_max, 16, PROTO_U32));

PROTO_TABLE(variable_update, "VariableUpdate",
            PROTO_SLOT(variable_update, variable_id, 1, PROTO_TEXT),
            PROTO_SLOT_OF(variable_update, variable, 2, PROTO_MESSAGE, variable),
            PROTO_SLOT(variable_update, update_source, 3, PROTO_TEXT),
            PROTO_SLOT_OF(variable_update, update_metadata, 4, PROTO_ITEMS, text_entry),
            PROTO_SLOT(variable_update, unix_ms, 5, PROTO_TIME),
            PROTO_SLOT(variable_update, update_type, 6, PROTO_TEXT));

PROTO_TABLE(dependency_add, "AddDependencyRequest",
            PROTO_SLOT(dependency_add, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(dependency_add, from_variable, 2, PROTO_TEXT),
            PROTO_SLOT(dependency_add, to_variable, 3, PROTO_TEXT),
            PROTO_SLOT(dependency_add, dependency_type, 4, PROTO_TEXT));

PROTO_TABLE(dependency_remove, "RemoveDependencyRequest",
            PROTO_SLOT(dependency_remove, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(dependency_remove, from_variable, 2, PROTO_TEXT),
            PROTO_SLOT(dependency_remove, to_variable, 3, PROTO_TEXT));

PROTO_TABLE(dependency_list, "ListDependenciesRequest",
            PROTO_SLOT(dependency_list, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(dependency_list, name, 2, PROTO_TEXT));

PROTO_TABLE(dependency, "Dependency",
            PROTO_SLOT(dependency, from_variable, 1, PROTO_TEXT),
            PROTO_SLOT(dependency, to_variable, 2, PROTO_TEXT),
            PROTO_SLOT(dependency, dependency_type, 3, PROTO_TEXT));

PROTO_TABLE(variable_lock, "StartOptimizationRequest",
            PROTO_SLOT(variable_lock, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(variable_lock, name, 2, PROTO_TEXT),
            PROTO_SLOT(variable_lock, optimizer_id, 3, PROTO_TEXT),
            PROTO_SLOT_OF(variable_lock, optimizer_config, 4, PROTO_ITEMS, text_entry));

PROTO_TABLE(variable_lock_reply, "StartOptimizationResponse",
            PROTO_SLOT(variable_lock_reply, success, 1, PROTO_BOOL),
            PROTO_SLOT(variable_lock_reply, error_message, 2, PROTO_TEXT),
            PROTO_SLOT(variable_lock_reply, optimization_id, 3, PROTO_TEXT));

PROTO_TABLE(variable_unlock, "StopOptimizationRequest",
            PROTO_SLOT(variable_unlock, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(variable_unlock, name, 2, PROTO_TEXT),
            PROTO_SLOT(variable_unlock, force, 3, PROTO_BOOL),
            PROTO_SLOT(variable_unlock, optimizer_id, 16, PROTO_TEXT));

PROTO_TABLE(variable_unlock_reply, "StopOptimizationResponse",
            PROTO_SLOT(variable_unlock_reply, success, 1, PROTO_BOOL),
            PROTO_SLOT(variable_unlock_reply, final_value, 2, PROTO_ANY),
            PROTO_SLOT_OF(variable_unlock_reply, variable, 16, PROTO_MESSAGE,
                          variable));

PROTO_TABLE(variable_history, "GetVariableHistoryRequest",
            PROTO_SLOT(variable_history, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(variable_history, name, 2, PROTO_TEXT),
            PROTO_SLOT(variable_history, limit, 3, PROTO_I32));

PROTO_TABLE(variable_version, "VariableHistoryEntry",
            PROTO_SLOT(variable_version, version, 1, PROTO_I32),
            PROTO_SLOT(variable_version, value, 2, PROTO_ANY),
            PROTO_SLOT(variable_version, unix_ms, 3, PROTO_TIME),
            PROTO_SLOT(variable_version, changed_by, 4, PROTO_TEXT),
            PROTO_SLOT_OF(variable_version, metadata, 5, PROTO_ITEMS, text_entry),
            PROTO_SLOT(variable_version, metadata_json, 16, PROTO_JSON));

PROTO_TABLE(variable_rollback, "RollbackVariableRequest",
            PROTO_SLOT(variable_rollback, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(variable_rollback, name, 2, PROTO_TEXT),
            PROTO_SLOT(variable_rollback, target_version, 3, PROTO_I32),
            PROTO_SLOT(variable_rollback, expected_version, 16, PROTO_I32),
            PROTO_SLOT(variable_rollback, changed_by, 17, PROTO_TEXT),
            PROTO_SLOT(variable_rollback, owner, 18, PROTO_TEXT),
            PROTO_SLOT(variable_rollback, check_version, 19, PROTO_BOOL),
            PROTO_SLOT(variable_rollback, metadata_json, 20, PROTO_JSON));

PROTO_TABLE(variable_rollback_reply, "RollbackVariableResponse",
            PROTO_SLOT(variable_rollback_reply, success, 1, PROTO_BOOL),
            PROTO_SLOT_OF(variable_rollback_reply, variable, 2, PROTO_MESSAGE,
                          variable),
            PROTO_SLOT(variable_rollback_reply, error_message, 3, PROTO_TEXT),
            PROTO_SLOT(variable_rollback_reply, new_version, 16, PROTO_I32));

PROTO_TABLE(variable_export, "ExportVariablesRequest",
            PROTO_SLOT(variable_export, session_id, 1, PROTO_TEXT));

PROTO_TABLE(variable_export_reply, "ExportVariablesResponse",
            PROTO_SLOT(variable_export_reply, json, 1, PROTO_BLOB),
            PROTO_SLOT(variable_export_reply, count, 2, PROTO_U64));

PROTO_TABLE(variable_import, "ImportVariablesRequest",
            PROTO_SLOT(variable_import, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(variable_import, json, 2, PROTO_JSON));

PROTO_TABLE(variable_import_reply, "ImportVariablesResponse",
            PROTO_SLOT(variable_import_reply, count, 1, PROTO_U64));
