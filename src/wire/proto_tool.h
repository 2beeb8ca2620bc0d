/* SPDX-License-Identifier: MIT */
/*
 * Messages of tools, the host's and those that workers register, as bridge.proto has
 * them; see proto_table.h. ExecuteTool has coders of its own: proto.h.
 */
#ifndef SP_WIRE_PROTO_TOOL_H
#define SP_WIRE_PROTO_TOOL_H

#include "wire/proto_table.h"

/* A google.protobuf.Any as it came: old peers pack strings into a StringValue. */
struct proto_raw_any {
    const char *type_url;
    sp_bytes value;
};
PROTO_MESSAGE_OF(raw_any)

/* An entry of map<string, google.protobuf.Any>. */
struct proto_host_tool_parameter {
    const char *key;
    const struct proto_raw_any *any;
};
PROTO_MESSAGE_OF(host_tool_parameter)

/* ParameterSpec. */
struct proto_parameter_spec {
    const char *name;
    const char *type;
    const char *description;
    int required;
    struct proto_any default_value;
    const char *validation_json;
};
PROTO_MESSAGE_OF(parameter_spec)

/* ToolSpec. */
struct proto_tool_spec {
    const char *name;
    const char *description;
    struct proto_run parameters; /* struct proto_parameter_spec */
    struct proto_run metadata;   /* struct proto_text_entry */
    int supports_streaming;
    struct proto_run required_variables; /* const char * */
    const char *input_schema_json;
    const char *pool;
};
PROTO_MESSAGE_OF(tool_spec)

/* ToolRegistration. */
struct proto_tool_registration {
    const char *name;
    const char *description;
    struct proto_run parameters; /* struct proto_parameter_spec */
    struct proto_run metadata;   /* struct proto_text_entry */
    int supports_streaming;
    int idempotent;
};
PROTO_MESSAGE_OF(tool_registration)

/* RegisterToolsRequest. */
struct proto_tool_register {
    const char *session_id;
    struct proto_run tools; /* struct proto_tool_registration */
    const char *worker_id;
};
PROTO_MESSAGE_OF(tool_register)

/* RegisterToolsResponse. */
struct proto_tool_register_reply {
    int success;
    struct proto_run tool_ids; /* struct proto_text_entry */
    const char *error_message;
};
PROTO_MESSAGE_OF(tool_register_reply)

/* GetExposedElixirToolsRequest. The reply is a list of proto_tool_spec, items 1. */
struct proto_tool_list {
    const char *session_id;
};
PROTO_MESSAGE_OF(tool_list)

/* ExecuteElixirToolRequest. */
struct proto_host_tool_call {
    const char *session_id;
    const char *tool_name;
    struct proto_run parameters; /* struct proto_host_tool_parameter */
    struct proto_run metadata;   /* struct proto_text_entry */
    struct proto_run binary;     /* struct proto_blob_entry */
    const char *args_json;       /* instead of `parameters` */
};
PROTO_MESSAGE_OF(host_tool_call)

/* ExecuteElixirToolResponse. */
struct proto_host_tool_reply {
    int success;
    struct proto_any result;
    const char *error_message;
    struct proto_run metadata; /* struct proto_text_entry */
    int64_t execution_time_ms;
    sp_bytes binary_result;
};
PROTO_MESSAGE_OF(host_tool_reply)

#endif
