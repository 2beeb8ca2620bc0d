/* SPDX-License-Identifier: MIT */
/*
 * Jobs and their handles, and what JavaScript does with a job: asking for what came with
 * it, answering it.
 *
 * A handle that outlives its job finds nothing, because the place it names has another
 * generation by then; JavaScript gets an exception instead of somebody else's job.
 */
#include <stdlib.h>

#include "bridge.h"

enum {
    INDEX_BITS = 20,
    INDEX_MASK = (1 << INDEX_BITS) - 1,
    CALLS_FIRST = 64,
    COPY_MAX = 16 * 1024 /* bytes that are lent instead of copied are more */
};

/* ---- handles ---- */

static int grow(void)
{
    struct bridge *b = &sp__node;
    uint32_t count = b->calls_count == 0 ? CALLS_FIRST : b->calls_count * 2;
    struct call *calls =
        count > INDEX_MASK ? NULL : realloc(b->calls, count * sizeof *calls);
    if (calls == NULL) {
        return 0;
    }
    b->calls = calls;
    for (uint32_t i = count; i-- > b->calls_count;) {
        calls[i] = (struct call){.generation = 1, .next_free = b->first_free};
        b->first_free = i;
    }
    b->calls_count = count;
    return 1;
}

int sp__call_add(sp_job *job, uint32_t *ret_handle)
{
    struct bridge *b = &sp__node;
    if (b->first_free == NO_CALL && !grow()) {
        return 0;
    }
    uint32_t index = b->first_free;
    struct call *call = &b->calls[index];
    b->first_free = call->next_free;
    b->jobs++;
    call->job = job;
    *ret_handle = call->generation << INDEX_BITS | index;
    sp_job_set_data(job, (void *)(uintptr_t)*ret_handle);
    return 1;
}

static struct call *find(napi_env env, napi_value handle)
{
    struct bridge *b = &sp__node;
    uint32_t number = 0;
    (void)napi_get_value_uint32(env, handle, &number);
    uint32_t index = number & INDEX_MASK;
    if (index >= b->calls_count || b->calls[index].job == NULL ||
        b->calls[index].generation != number >> INDEX_BITS) {
        return NULL;
    }
    return &b->calls[index];
}

sp_job *sp__call_job(napi_env env, napi_value handle)
{
    struct call *call = find(env, handle);
    if (call == NULL) {
        (void)sp__throw_text(env, "SP-CANCELLED", "the call is over");
        return NULL;
    }
    return call->job;
}

void sp__call_remove(napi_env env, napi_value handle)
{
    struct bridge *b = &sp__node;
    struct call *call = find(env, handle);
    if (call != NULL) {
        uint32_t next = (call->generation + 1) & (UINT32_MAX >> INDEX_BITS);
        *call = (struct call){.generation = next == 0 ? 1 : next,
                              .next_free = b->first_free};
        b->first_free = (uint32_t)(call - b->calls);
        b->jobs--;
    }
}

/* ---- what came with a job ---- */

static void drop_kept(napi_env env, void *data, void *hint)
{
    sp_kept_drop(hint);
}

/* A Buffer of a binary argument; a large one lends the request's own memory. */
static napi_value buffer_over(napi_env env, sp_job *job, sp_bytes bytes)
{
    napi_value buffer = NULL;
    sp_kept *kept = bytes.size > COPY_MAX ? sp_job_keep(job) : NULL;
    if (kept != NULL) {
        void *data = (void *)(uintptr_t)bytes.data;
        if (napi_create_external_buffer(env, bytes.size, data, drop_kept, kept,
                                        &buffer) == napi_ok) {
            return buffer;
        }
        sp_kept_drop(kept); /* a build of Node without them copies */
    }
    (void)napi_create_buffer_copy(env, bytes.size, bytes.data, NULL, &buffer);
    return buffer;
}

/* binaries(handle): [name, Buffer, name, Buffer ...]. */
static napi_value binaries(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    napi_value list = NULL;
    const char *name;
    sp_bytes value;
    (void)sp__args(env, info, args, 1);
    sp_job *job = sp__call_job(env, args[0]);
    if (job == NULL || napi_create_array(env, &list) != napi_ok) {
        return NULL;
    }
    for (uint32_t i = 0; sp_job_binary(job, i, &name, &value); i++) {
        (void)napi_set_element(env, list, 2 * i, sp__text(env, name));
        (void)napi_set_element(env, list, 2 * i + 1, buffer_over(env, job, value));
    }
    return list;
}

/* metadata(handle): [key, value, key, value ...]. */
static napi_value metadata(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    napi_value list = NULL;
    const char *key;
    const char *value;
    (void)sp__args(env, info, args, 1);
    sp_job *job = sp__call_job(env, args[0]);
    if (job == NULL || napi_create_array(env, &list) != napi_ok) {
        return NULL;
    }
    for (uint32_t i = 0; sp_job_metadata(job, i, &key, &value); i++) {
        (void)napi_set_element(env, list, 2 * i, sp__text(env, key));
        (void)napi_set_element(env, list, 2 * i + 1, sp__text(env, value));
    }
    return list;
}

/* timeLeft(handle): milliseconds, or undefined without a deadline. */
static napi_value time_left(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    (void)sp__args(env, info, args, 1);
    sp_job *job = sp__call_job(env, args[0]);
    if (job == NULL) {
        return NULL;
    }
    uint64_t left_ms = sp_job_time_left_ms(job);
    return left_ms == SP_UNLIMITED ? sp__undefined(env)
                                   : sp__number(env, (double)left_ms);
}

static napi_value cancelled(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    napi_value value = NULL;
    (void)sp__args(env, info, args, 1);
    sp_job *job = sp__call_job(env, args[0]);
    return job != NULL &&
                   napi_get_boolean(env, sp_job_cancelled(job), &value) == napi_ok
               ? value
               : NULL;
}

/* ---- answers ---- */

/* setAside(handle): whether it had been cancelled before. */
static napi_value set_aside(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    napi_value value = NULL;
    sp_error err = {0};
    (void)sp__args(env, info, args, 1);
    sp_job *job = sp__call_job(env, args[0]);
    if (job == NULL) {
        return NULL;
    }
    if (sp_job_set_aside(job, &err) < 0) {
        return sp__throw(env, &err);
    }
    (void)napi_get_boolean(env, sp_job_cancelled(job), &value);
    return value;
}

/* The job has ended, however: an error of the library is told when it is one. */
static napi_value ended(napi_env env, napi_value handle, int rc, sp_error *err)
{
    sp__call_remove(env, handle);
    if (rc < 0) {
        (void)sp__throw(env, err);
    }
    sp_error_clear(err);
    return NULL;
}

/* reply(handle, json[, binary]). A result that is too large is thrown, and the
 * caller has been told. */
static napi_value reply(napi_env env, napi_callback_info info)
{
    napi_value args[3];
    sp_bytes json;
    sp_error err = {0};
    (void)sp__args(env, info, args, 3);
    sp_job *job = sp__call_job(env, args[0]);
    if (job == NULL) {
        return NULL;
    }
    if (!sp__take_text(env, args[1], &json)) {
        return sp__throw_text(env, "SP-NOMEM", "no memory for the result");
    }
    int rc = sp_job_reply(job, json, NULL, sp__buffer_of(env, args[2]), &err);
    return ended(env, args[0], rc, &err);
}

/* fail(handle, code, type, message, trace, details): the code by its name. */
static napi_value fail(napi_env env, napi_callback_info info)
{
    napi_value args[6];
    sp_error err = {0};
    (void)sp__args(env, info, args, 6);
    sp_job *job = sp__call_job(env, args[0]);
    if (job == NULL) {
        return NULL;
    }
    char *name = sp__copy_text(env, args[1]);
    char *type = sp__copy_text(env, args[2]);
    char *message = sp__copy_text(env, args[3]);
    char *trace = sp__copy_text(env, args[4]);
    char *details = sp__copy_text(env, args[5]);
    const sp_failure failure = {.size = sizeof failure,
                                .code = name != NULL ? sp_error_by_name(name) : 0,
                                .type = type,
                                .message = message,
                                .trace = trace,
                                .details = sp_text(details)};
    int rc = sp_job_fail_with(job, &failure, &err);
    free(name);
    free(type);
    free(message);
    free(trace);
    free(details);
    return ended(env, args[0], rc, &err);
}

/* chunk(handle, json[, binary]): 1 go on, 0 wait for a turn, -1 nobody listens. */
static napi_value chunk(napi_env env, napi_callback_info info)
{
    napi_value args[3];
    sp_bytes json = {0};
    sp_error err = {0};
    (void)sp__args(env, info, args, 3);
    sp_job *job = sp__call_job(env, args[0]);
    if (job == NULL) {
        return NULL;
    }
    sp_bytes binary = sp__buffer_of(env, args[2]);
    if (!sp__take_text(env, args[1], &json)) { /* no text: the chunk is its bytes */
        json = binary;
        binary = (sp_bytes){0};
    }
    int rc = sp_job_chunk_binary(job, json, binary, &err);
    if (rc < 0 && rc != SP_ERR_CANCELLED) {
        (void)sp__throw(env, &err);
        sp_error_clear(&err);
        return NULL;
    }
    sp_error_clear(&err);
    return sp__number(env, rc < 0 ? -1 : rc);
}

/* end(handle): of a stream. */
static napi_value end(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    sp_error err = {0};
    (void)sp__args(env, info, args, 1);
    sp_job *job = sp__call_job(env, args[0]);
    return job == NULL ? NULL : ended(env, args[0], sp_job_end(job, &err), &err);
}

napi_value sp__init_calls(napi_env env, napi_value exports)
{
    const napi_property_descriptor functions[] = {
        {"binaries", NULL, binaries, NULL, NULL, NULL, napi_default, NULL},
        {"metadata", NULL, metadata, NULL, NULL, NULL, napi_default, NULL},
        {"timeLeft", NULL, time_left, NULL, NULL, NULL, napi_default, NULL},
        {"cancelled", NULL, cancelled, NULL, NULL, NULL, napi_default, NULL},
        {"setAside", NULL, set_aside, NULL, NULL, NULL, napi_default, NULL},
        {"reply", NULL, reply, NULL, NULL, NULL, napi_default, NULL},
        {"fail", NULL, fail, NULL, NULL, NULL, napi_default, NULL},
        {"chunk", NULL, chunk, NULL, NULL, NULL, napi_default, NULL},
        {"end", NULL, end, NULL, NULL, NULL, napi_default, NULL},
    };
    (void)napi_define_properties(env, exports, sizeof functions / sizeof functions[0],
                                 functions);
    return exports;
}
