/* SPDX-License-Identifier: MIT */
/*
 * Reading a job's request. On the thread that will run it, outside the lock.
 *
 * The request is read where it lies: strings get their terminators in place, over the
 * first byte of whatever field follows, which has been read by then. Our own host has
 * checked its arguments; those of strangers are checked here, and their parameters map
 * is put together into the one JSON object that a binding expects.
 */
#include "runtime/runtime.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/json.h"

enum { TOOL_NAME_MAX = 255, STRING_VALUE_TAG = 0x0a };

/* A Python client of the original packs text as a real StringValue (tag, length,
 * UTF-8), under the same type_url as JSON. Looked for before JSON, because the tag is
 * white space there. */
static int unpack_string(sp_bytes value, sp_bytes *ret_text)
{
    const uint8_t *p = value.data;
    if (value.size == 0) {
        *ret_text = (sp_bytes){"", 0};
        return 1;
    }
    if (p[0] != STRING_VALUE_TAG) {
        return 0;
    }
    uint64_t size = 0;
    size_t at = 1;
    for (unsigned shift = 0; at < value.size && shift < 63; shift += 7) {
        uint8_t byte = p[at++];
        size |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            break;
        }
    }
    if (size == 0 || size != value.size - at) {
        return 0;
    }
    *ret_text = (sp_bytes){p + at, (size_t)size};
    return 1;
}

static int put_parameter(struct sp_buffer *out, const struct proto_pair *pair,
                         int trusted, sp_error *err)
{
    const char *name = pair->key.size > 0 ? pair->key.data : "";
    sp_bytes text;
    int rc = sp__json_put_string(out, name, pair->key.size, err);
    if (rc == SP_OK) {
        rc = sp__buf_append(out, ":", 1, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (unpack_string(pair->value, &text)) {
        return sp__json_put_string(out, text.data, text.size, err);
    }
    if (!trusted) {
        rc = sp__json_read(pair->value.data, pair->value.size, SP__JSON_DEPTH_MAX - 1,
                           NULL, NULL, err);
        if (rc < 0) {
            return sp__wrap(err, rc, "parameter '%.*s'",
                            (int)(pair->key.size < 64 ? pair->key.size : 64), name);
        }
    }
    return sp__buf_append(out, pair->value.data, pair->value.size, err);
}

static int assemble(struct sp_job *job, sp_error *err)
{
    struct sp_buffer *out = &job->args;
    out->size = 0;
    int rc = sp__buf_append(out, "{", 1, err);
    for (size_t i = 0; rc == SP_OK && i < job->request.parameters_count; i++) {
        rc = i == 0 ? SP_OK : sp__buf_append(out, ",", 1, err);
        if (rc == SP_OK) {
            rc = put_parameter(out, &job->request.parameters[i], job->trusted, err);
        }
    }
    if (rc == SP_OK) {
        rc = sp__buf_append(out, "}", 1, err);
    }
    job->args_json = (sp_bytes){out->data, out->size};
    return rc;
}

static int find_args(struct sp_job *job, sp_error *err)
{
    sp_bytes args = job->request.args_json;
    if (args.size == 0 && job->request.parameters_count > 0) {
        return assemble(job, err);
    }
    if (args.size == 0) {
        job->args_json = (sp_bytes){"{}", 2};
        return SP_OK;
    }
    if (!job->trusted) {
        int rc =
            sp__json_read(args.data, args.size, SP__JSON_DEPTH_MAX, NULL, NULL, err);
        if (rc < 0) {
            return sp__wrap(err, rc, "args_json");
        }
        char kind = sp__json_kind(args.data, args.size);
        if (kind != '{' && kind != '[') {
            return sp__fail(err, SP_ERR_BAD_ARGS,
                            "args_json must be an object or an array");
        }
    }
    job->args_json = args;
    return SP_OK;
}

/* The field as text in place. There is a byte behind it: another field's tag, which has
 * been read, or the spare one at the end. */
static const char *terminate(sp_bytes text)
{
    if (text.size == 0) {
        return "";
    }
    char *start = (char *)(uintptr_t)text.data;
    start[text.size] = '\0';
    return start;
}

static void terminate_pairs(const struct proto_pair *pairs, size_t count, int values)
{
    for (size_t i = 0; i < count; i++) {
        (void)terminate(pairs[i].key);
        if (values) {
            (void)terminate(pairs[i].value);
        }
    }
}

static int has_nul(sp_bytes text)
{
    return text.size > 0 && memchr(text.data, 0, text.size) != NULL;
}

int sp__job_prepare(struct sp_job *job, sp_error *err)
{
    struct proto_request *request = &job->request;
    job->tool = job->session = "";
    int rc = sp__proto_get_request(job->input.data, job->input.size, &job->scratch,
                                   request, err);
    if (rc < 0) {
        return sp__wrap(err, rc, "the request cannot be read");
    }
    if (request->tool_name.size == 0 || request->tool_name.size > TOOL_NAME_MAX ||
        has_nul(request->tool_name)) {
        return sp__fail(err, SP_ERR_NO_TOOL, "a tool's name has 1 to %d bytes",
                        TOOL_NAME_MAX);
    }
    if (has_nul(request->session_id)) {
        return sp__fail(err, SP_ERR_BAD_ARGS, "the session's id has a zero byte");
    }
    rc = find_args(job, err);
    if (rc < 0) {
        return rc;
    }
    job->tool = terminate(request->tool_name);
    job->session = terminate(request->session_id);
    terminate_pairs(request->binary, request->binary_count, 0);
    terminate_pairs(request->metadata, request->metadata_count, 1);
    if (!job->worker->accept_any &&
        sp__tool_find(job->worker, job->tool, request->tool_name.size) == NULL) {
        return sp__tool_unknown(job->worker, job->tool, err);
    }
    return SP_OK;
}
