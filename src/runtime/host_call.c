/* SPDX-License-Identifier: MIT */
/*
 * A job calls a tool: one of the host's program, or of another worker.
 *
 * The two are different methods of the host whose messages have the same fields, so one
 * coder serves both. The answer is read where it lies; the result keeps its memory.
 */
#include "runtime/runtime.h"

#include "base/error.h"
#include "base/mem.h"
#include "wire/binaries.h"
#include "wire/json.h"

SP_API void sp_host_result_clear(sp_host_result *result)
{
    if (result != NULL) {
        sp__free(result->memory);
        *result = (sp_host_result){0};
    }
}

int sp__host_call_encode(struct sp_buffer *out, const struct sp_job *job,
                         const char *tool, sp_bytes args_json,
                         const sp_host_call_options *o, sp_error *err)
{
    struct binaries binaries = {.args = args_json.size > 0 ? args_json : sp_text("{}")};
    sp_bytes args = binaries.args;
    int rc = SP_OK;
    if (o->binaries_count > 0) { /* tensors join them; otherwise the host reads them */
        rc = sp__json_read(args.data, args.size, SP__JSON_DEPTH_MAX, NULL, NULL, err);
    }
    if (rc == SP_OK) {
        rc = sp__binaries_read(&binaries, o->binaries, o->binaries_count, err);
    }
    if (rc == SP_OK) {
        struct proto_request request = {
            .session_id = sp_text(job->session),
            .tool_name = sp_text(tool),
            .args_json = binaries.args,
            .binary = binaries.pairs,
            .binary_count = binaries.count,
        };
        rc = sp__proto_put_request(out, &request, 0, err);
    }
    sp__binaries_fini(&binaries);
    return rc;
}

/* Takes the reply's memory on success. */
static int read_result(struct sp_buffer *reply, sp_host_result *ret, sp_error *err)
{
    struct proto_response response;
    int rc = sp__proto_get_response(reply->data, reply->size, &response, err);
    if (rc < 0) {
        return sp__wrap(err, SP_ERR_PROTOCOL, "the host's answer");
    }
    if (!response.success) {
        sp_error failure = {0};
        sp__proto_get_error_text(response.error_message, &failure);
        rc = failure.code;
        if (err != NULL) {
            sp_error_move(err, &failure);
        }
        sp_error_clear(&failure);
        return rc;
    }
    size_t size;
    uint8_t *memory;
    sp__buf_take(reply, &memory, &size);
    *ret = (sp_host_result){response.result_json, response.binary_result, memory};
    return SP_OK;
}

SP_API int sp_job_call_host(sp_job *job, const char *tool, sp_bytes args_json,
                            const sp_host_call_options *options,
                            sp_host_result *ret_result, sp_error *err)
{
    sp_host_call_options o;
    struct sp_buffer request;
    struct sp_buffer reply;
    int rc = sp__job_options(&o, sizeof o, options, err);
    if (rc < 0) {
        return rc;
    }
    sp__buf_init(&request, UINT32_MAX);
    sp__buf_init(&reply, SIZE_MAX);
    rc = sp__host_call_encode(&request, job, tool, args_json, &o, err);
    if (rc == SP_OK) {
        struct question question = {.path = o.pool == NULL ? SP__PATH_HOST_TOOL
                                                           : SP__PATH_EXECUTE,
                                    .request = {request.data, request.size},
                                    .timeout_ms = o.timeout_ms,
                                    .pool = o.pool};
        rc = sp__ask(job, &question, &reply, err);
    }
    if (rc == SP_OK) {
        rc = read_result(&reply, ret_result, err);
    }
    sp__buf_fini(&request);
    sp__buf_fini(&reply);
    return rc;
}
