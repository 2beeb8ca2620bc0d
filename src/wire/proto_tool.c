/* SPDX-License-Identifier: MIT */
/* The tables of the messages of tools: numbers as in bridge.proto. */
#include "wire/proto_tool.h"

PROTO_TABLE(raw_any, "Any", PROTO_SLOT(raw_any, type_url, 1, PROTO_TEXT),
            PROTO_SLOT(raw_any, value, 2, PROTO_BLOB));

PROTO_TABLE(host_tool_parameter, "map entry",
            PROTO_SLOT(host_tool_parameter, key, 1, PROTO_TEXT),
            PROTO_SLOT_OF(host_tool_parameter, any, 2, PROTO_MESSAGE, raw_any));

PROTO_TABLE(parameter_spec, "ParameterSpec",
            PROTO_SLOT(parameter_spec, name, 1, PROTO_TEXT),
            PROTO_SLOT(parameter_spec, type, 2, PROTO_TEXT),
            PROTO_SLOT(parameter_spec, description, 3, PROTO_TEXT),
            PROTO_SLOT(parameter_spec, required, 4, PROTO_BOOL),
            PROTO_SLOT(parameter_spec, default_value, 5, PROTO_ANY),
            PROTO_SLOT(parameter_spec, validation_json, 6, PROTO_JSON));

PROTO_TABLE(tool_spec, "ToolSpec", PROTO_SLOT(tool_spec, name, 1, PROTO_TEXT),
            PROTO_SLOT(tool_spec, description, 2, PROTO_TEXT),
            PROTO_SLOT_OF(tool_spec, parameters, 3, PROTO_ITEMS, parameter_spec),
            PROTO_SLOT_OF(tool_spec, metadata, 4, PROTO_ITEMS, text_entry),
            PROTO_SLOT(tool_spec, supports_streaming, 5, PROTO_BOOL),
            PROTO_SLOT(tool_spec, required_variables, 6, PROTO_TEXTS),
            PROTO_SLOT(tool_spec, input_schema_json, 16, PROTO_JSON),
            PROTO_SLOT(tool_spec, pool, 17, PROTO_TEXT));

PROTO_TABLE(tool_registration, "ToolRegistration",
            PROTO_SLOT(tool_registration, name, 1, PROTO_TEXT),
            PROTO_SLOT(tool_registration, description, 2, PROTO_TEXT),
            PROTO_SLOT_OF(tool_registration, parameters, 3, PROTO_ITEMS,
                          parameter_spec),
            PROTO_SLOT_OF(tool_registration, metadata, 4, PROTO_ITEMS, text_entry),
            PROTO_SLOT(tool_registration, supports_streaming, 5, PROTO_BOOL),
            PROTO_SLOT(tool_registration, idempotent, 16, PROTO_BOOL));

PROTO_TABLE(tool_register, "RegisterToolsRequest",
            PROTO_SLOT(tool_register, session_id, 1, PROTO_TEXT),
            PROTO_SLOT_OF(tool_register, tools, 2, PROTO_ITEMS, tool_registration),
            PROTO_SLOT(tool_register, worker_id, 3, PROTO_TEXT));

PROTO_TABLE(tool_register_reply, "RegisterToolsResponse",
            PROTO_SLOT(tool_register_reply, success, 1, PROTO_BOOL),
            PROTO_SLOT_OF(tool_register_reply, tool_ids, 2, PROTO_ITEMS, text_entry),
            PROTO_SLOT(tool_register_reply, error_message, 3, PROTO_TEXT));

PROTO_TABLE(tool_list, "GetExposedElixirToolsRequest",
            PROTO_SLOT(tool_list, session_id, 1, PROTO_TEXT));

PROTO_TABLE(host_tool_call, "ExecuteElixirToolRequest",
            PROTO_SLOT(host_tool_call, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(host_tool_call, tool_name, 2, PROTO_TEXT),
            PROTO_SLOT_OF(host_tool_call, parameters, 3, PROTO_ITEMS,
                          host_tool_parameter),
            PROTO_SLOT_OF(host_tool_call, metadata, 4, PROTO_ITEMS, text_entry),
            PROTO_SLOT_OF(host_tool_call, binary, 6, PROTO_ITEMS, blob_entry),
            PROTO_SLOT(host_tool_call, args_json, 16, PROTO_JSON));

PROTO_TABLE(host_tool_reply, "ExecuteElixirToolResponse",
            PROTO_SLOT(host_tool_reply, success, 1, PROTO_BOOL),
            PROTO_SLOT(host_tool_reply, result, 2, PROTO_ANY),
            PROTO_SLOT(host_tool_reply, error_message, 3, PROTO_TEXT),
            PROTO_SLOT_OF(host_tool_reply, metadata, 4, PROTO_ITEMS, text_entry),
            PROTO_SLOT(host_tool_reply, execution_time_ms, 5, PROTO_I64),
            PROTO_SLOT(host_tool_reply, binary_result, 6, PROTO_BLOB));
