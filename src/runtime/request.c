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

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "wire/json.h"

enum { TOOL_NAME_MAX = 255 };

static int find_args(struct sp_job *job, sp_error *err)
{
    const struct proto_request *request = &job->request;
    sp_bytes args = request->args_json;
    if (args.size == 0 && request->parameters_count > 0) {
        struct sp_buffer *out = &job->args;
        out->size = 0;
        int rc = sp__proto_put_args(out, request->parameters, request->parameters_count,
                                    !job->trusted, err);
        job->args_json = (sp_bytes){out->data, out->size};
        return rc;
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

/* By our host, in a trace that is recorded: the last flag of the traceparent is set. */
static int is_traced(const struct proto_request *request)
{
    static const char name[] = "traceparent";
    static const char odd[] = {'1', '3', '5', '7', '9', 'b', 'd', 'f'};
    enum { LAST_FLAG = 54 };
    for (size_t i = 0; i < request->metadata_count; i++) {
        const struct proto_pair *pair = &request->metadata[i];
        if (pair->key.size == sizeof name - 1 &&
            memcmp(pair->key.data, name, sizeof name - 1) == 0) {
            const char *digits = pair->value.data;
            return pair->value.size > LAST_FLAG &&
                   memchr(odd, digits[LAST_FLAG], sizeof odd) != NULL;
        }
    }
    return 0;
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
    if (request->metadata_count > 0 && job->trusted && is_traced(request)) {
        job->is_traced = 1;
        job->started_us = sp__now_us();
    }
    if (request->tool_name.size == 0 || request->tool_name.size > TOOL_NAME_MAX ||
        has_nul(request->tool_name)) {
        return sp__fail(err, SP_ERR_NO_TOOL, "a tool's name has 1 to %d bytes",
                        TOOL_NAME_MAX);
    }
    if (has_nul(request->session_id)) {
        return sp__fail(err, SP_ERR_BAD_ARGS, "the session's id has a zero byte");
    }
    rc = sp__memory_hold(job->trusted ? job->worker->memory : NULL, request, &job->held,
                         err);
    if (rc < 0) {
        return rc;
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
