/* SPDX-License-Identifier: MIT */
/*
 * Which tools of the host's program a job can call: the host's list, one by one.
 */
#include "runtime/runtime.h"

SP_API int sp_job_host_tools(sp_job *job, sp_job_host_tool_cb cb, void *user_data,
                             sp_error *err)
{
    struct stub_call call = {0};
    struct caller caller = sp__job_caller(job);
    const struct proto_tool_list request = {.session_id = sp_job_session(job)};
    struct proto_tool_spec item;
    size_t at = 0;
    int count = 0;
    int rc = sp__stub_call(&caller, &call, SP__PATH_GET_EXPOSED_ELIXIR_TOOLS,
                           &sp__proto_tool_list_table, &request, err);
    while (rc == SP_OK && (rc = sp__stub_next(&call, 1, &at, &sp__proto_tool_spec_table,
                                              &item, err)) > 0) {
        struct sp_buffer metadata;
        sp__buf_init(&metadata, SIZE_MAX);
        rc = sp__proto_put_metadata(&metadata, &item.metadata, err);
        if (rc == SP_OK) {
            sp_job_host_tool tool = {
                .name = item.name,
                .description = item.description,
                .input_schema = item.input_schema_json,
                .metadata = (const char *)metadata.data,
                .is_streaming = item.supports_streaming,
            };
            cb(&tool, user_data);
            count++;
        }
        sp__buf_fini(&metadata);
    }
    sp__stub_call_fini(&call);
    return rc < 0 ? rc : count;
}
