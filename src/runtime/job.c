/* SPDX-License-Identifier: MIT */
/*
 * What a binding asks a job, and its answers.
 *
 * An answer is encoded outside the lock into the slot's own buffer and then given to h2
 * under it. Several answers leave in one write: every 16, or 16 KiB, and always before
 * a thread waits. A job that nobody waits for any more ends in silence.
 *
 * An exception of user code in a call is an answer of its own (success = false with the
 * error as JSON), because that is what hosts of this protocol expect; every other
 * failure, and every failure of a stream, is a gRPC status with details.
 */
#include "runtime/runtime.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "wire/json.h"
#include "wire/tensor.h"

enum {
    STRANGER_DETAILS_MAX = 6 * 1024,
    PREFIX_BYTES = 5,       /* gRPC's, before a message */
    HEADS_BYTES = 256,      /* of an answer's fields, and padding */
    TAKE_BYTES = 32 * 1024, /* an answer of so many is not copied */
};

/* ---- questions ---- */

SP_API const char *sp_job_tool(const sp_job *job)
{
    return job->tool;
}

SP_API const char *sp_job_session(const sp_job *job)
{
    return job->session;
}

SP_API sp_bytes sp_job_args(const sp_job *job)
{
    return job->args_json;
}

SP_API int sp_job_binary(const sp_job *job, size_t index, const char **ret_name,
                         sp_bytes *ret_value)
{
    if (index >= job->request.binary_count) {
        return 0;
    }
    const struct proto_pair *pair = &job->request.binary[index];
    *ret_name = pair->key.size > 0 ? pair->key.data : "";
    *ret_value = pair->value;
    return 1;
}

SP_API int sp_job_tensor(const sp_job *job, const char *pointer, sp_tensor *ret_tensor,
                         sp_error *err)
{
    struct part_ref ref;
    if (pointer == NULL || ret_tensor == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a pointer and a place for the tensor are needed");
    }
    const char *name;
    sp_binary part = {0};
    int rc = sp__part_read(job->args_json, pointer, &ref, err);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; sp_job_binary(job, i, &name, &part.value); i++) {
        if (strcmp(name, ref.part) == 0) {
            part.name = name;
            break;
        }
    }
    return sp_tensor_find(job->args_json, pointer, &part, part.name != NULL, ret_tensor,
                          err);
}

SP_API sp_kept *sp_job_keep(sp_job *job)
{
    if (job->kept == NULL) {
        struct sp_kept *kept = sp__calloc(1, sizeof *kept);
        if (kept == NULL) {
            return NULL;
        }
        atomic_init(&kept->references, 1); /* the job's */
        kept->input = job->input;
        kept->args = job->args;
        kept->held = job->held;
        job->held = (struct held){0};
        sp__buf_init(&job->input, SIZE_MAX);
        sp__buf_init(&job->args, SIZE_MAX);
        job->kept = kept;
    }
    atomic_fetch_add_explicit(&job->kept->references, 1, memory_order_relaxed);
    return job->kept;
}

SP_API void sp_kept_drop(sp_kept *kept)
{
    if (kept == NULL ||
        atomic_fetch_sub_explicit(&kept->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    sp__buf_fini(&kept->input);
    sp__buf_fini(&kept->args);
    sp__held_drop(&kept->held);
    sp__free(kept);
}

SP_API int sp_job_metadata(const sp_job *job, size_t index, const char **ret_key,
                           const char **ret_value)
{
    if (index >= job->request.metadata_count) {
        return 0;
    }
    const struct proto_pair *pair = &job->request.metadata[index];
    *ret_key = pair->key.size > 0 ? pair->key.data : "";
    *ret_value = pair->value.size > 0 ? pair->value.data : "";
    return 1;
}

SP_API int sp_job_is_stream(const sp_job *job)
{
    return job->rpc.method == RPC_STREAM;
}

SP_API int sp_job_is_turn(const sp_job *job)
{
    return job->turn;
}

SP_API int sp_job_cancelled(const sp_job *job)
{
    return atomic_load_explicit(&job->cancelled, memory_order_acquire) != CANCEL_NONE;
}

SP_API void sp_job_interrupted(sp_job *job)
{
    atomic_store_explicit(&job->interrupted, 1, memory_order_relaxed);
}

SP_API uint64_t sp_job_time_left_ms(const sp_job *job)
{
    if (job->deadline_ms == SP_UNLIMITED) {
        return SP_UNLIMITED;
    }
    uint64_t now_ms = sp__now_ms();
    return job->deadline_ms > now_ms ? job->deadline_ms - now_ms : 0;
}

SP_API int sp_job_set_aside(sp_job *job, sp_error *err)
{
    struct sp_worker *w = job->worker;
    if (atomic_load_explicit(&w->forgotten, memory_order_relaxed)) {
        return SP_OK;
    }
    if (w->options.jobs_max == 0) {
        return sp__fail(err, SP_ERR_INVAL, "options.jobs_max is not set");
    }
    sp__runtime_lock(w);
    int is_running = job->state == JOB_RUNNING;
    if (is_running) {
        sp__job_publish_own(job);
        sp__job_put_aside(job);
    }
    sp__runtime_unlock(w);
    return is_running ? SP_OK
                      : sp__fail(err, SP_ERR_INVAL, "the job was set aside before");
}

SP_API void sp_job_set_data(sp_job *job, void *data)
{
    atomic_store_explicit(&job->data, data, memory_order_release);
}

SP_API void *sp_job_data(const sp_job *job)
{
    return atomic_load_explicit(&job->data, memory_order_acquire);
}

/* ---- ending; under smu ---- */

int sp__job_finish(struct sp_job *job, int grpc_status, const char *message,
                   sp_bytes details, sp_error *err)
{
    static const char name[] = SP__TRAILER_RAN;
    if (!job->is_traced) {
        return sp__h2_finish(job->stream, grpc_status, message, details, NULL, 0, err);
    }
    char times[44];
    int size =
        snprintf(times, sizeof times, "%llu %llu", (unsigned long long)job->started_us,
                 (unsigned long long)sp__now_us());
    struct h2_header ran = {name, sizeof name - 1, times, (size_t)size};
    return sp__h2_finish(job->stream, grpc_status, message, details, &ran, 1, err);
}

void sp__job_put_status(struct sp_job *job, int grpc_status, const sp_error *failure)
{
    struct sp_buffer details;
    /* Strangers limit the size of trailers; texts are cut to fit. */
    sp__buf_init(&details, job->trusted ? SIZE_MAX : STRANGER_DETAILS_MAX);
    if (sp__proto_put_failure(&details, failure, NULL) < 0) {
        details.size = 0; /* the bare status must do */
    }
    const char *text =
        failure->remote_message != NULL ? failure->remote_message : failure->message;
    if (sp__job_finish(job, grpc_status, text, (sp_bytes){details.data, details.size},
                       NULL) < 0) {
        sp__h2_reset(job->stream, RST_INTERNAL);
    }
    job->conn->dirty = 1;
    sp__buf_fini(&details);
}

/* Gather answers into few writes. While somebody else leads, this thread is in the
 * middle of something long and the answer leaves at once. One that watches leads itself
 * and comes by before it waits; should its event loop be held up by another guest until
 * then, the kick is what the helper sees. */
void sp__job_answered(struct sp_worker *w, struct conn *c, size_t bytes)
{
    if (c != NULL) {
        c->dirty = 1;
        sp__conn_guess(c);
    }
    w->unflushed++;
    w->unflushed_bytes += bytes;
    int watches = atomic_load_explicit(&w->poller.watching, memory_order_relaxed);
    int is_long = w->leader != LEADER_NONE && !watches;
    if (watches && w->unflushed == 1) {
        sp__poll_kick(w);
    }
    if (w->unflushed >= w->flush_at || w->unflushed_bytes >= FLUSH_BYTES || is_long) {
        sp__conns_flush(w);
    }
}

void sp__job_end(struct sp_job *job, size_t bytes, int failed)
{
    struct sp_worker *w = job->worker;
    struct conn *c = job->conn;
    sp__telemetry_stop(job, bytes, failed);
    sp__job_tell_time(job);
    sp__job_leave(job);
    sp__job_free(job);
    sp__job_answered(w, c, bytes);
}

static struct slot *slot_of(struct sp_job *job)
{
    struct slot *slot = &job->worker->slots[job->slot];
    slot->out.size = 0;
    return slot;
}

/* ---- answers ---- */

/* Put a large binary into memory that the host shares, and say where it is. */
static void share_binary(struct sp_job *job, struct proto_response *response,
                         uint8_t *text)
{
    struct arena_ref ref;
    if (!job->trusted || !sp__memory_put(job->worker->memory, response->binary_result,
                                         job->stream_id, &ref)) {
        return;
    }
    job->answer_shared = 1;
    job->answer_slot = ref.slot;
    response->binary_result = (sp_bytes){0};
    response->shared_result = (sp_bytes){text, sp__proto_put_ref(text, &ref)};
}

/* Into the slot's buffer, with room for gRPC's prefix before it. */
static int encode_response(struct sp_job *job, struct proto_response *response,
                           sp_error *err)
{
    struct sp_buffer *out = &slot_of(job)->out;
    uint8_t text[SP__PROTO_REF_MAX];
    share_binary(job, response, text);
    if (job->started_us != 0) {
        response->execution_time_ms =
            (int64_t)((sp__now_us() - job->started_us) / 1000);
    }
    int rc = sp__buf_reserve(out,
                             PREFIX_BYTES + response->binary_result.size +
                                 response->result_json.size + HEADS_BYTES,
                             err);
    if (rc < 0) {
        return rc;
    }
    memset(out->data, 0, PREFIX_BYTES);
    out->size = PREFIX_BYTES;
    return sp__proto_put_response(out, response, err);
}

/* End the stream with what the slot's buffer holds: a large answer without copying it
 * again. On failure nothing of it leaves. */
static int write_response(struct sp_job *job, struct slot *slot, size_t bytes,
                          sp_error *err)
{
    sp_bytes message = {slot->out.data + PREFIX_BYTES, bytes};
    int rc;
    if (bytes < TAKE_BYTES && !job->is_traced) {
        return sp__h2_answer(job->stream, message, err);
    }
    if (bytes < TAKE_BYTES) {
        rc = sp__h2_write(job->stream, message, err);
    } else {
        uint8_t *data;
        size_t size;
        sp__buf_take(&slot->out, &data, &size);
        rc = sp__h2_write_take(job->stream, &data, bytes, err);
        sp__free(data); /* NULL once it was taken */
    }
    if (rc == SP_OK) {
        rc = sp__job_finish(job, GRPC_OK, NULL, (sp_bytes){0}, err);
        if (rc < 0) {
            sp__h2_reset(job->stream, RST_INTERNAL);
        }
    }
    return rc;
}

/* Give what slot->out holds to the caller as the answer of a call; rc and err (not
 * NULL) are how encoding went, and an answer that could not be made becomes a
 * failure. */
static int send_response(struct sp_job *job, int rc, int failed, sp_error *err)
{
    struct sp_worker *w = job->worker;
    struct slot *slot = &w->slots[job->slot];
    size_t bytes = slot->out.size > PREFIX_BYTES ? slot->out.size - PREFIX_BYTES : 0;
    int is_written = 0;

    sp__runtime_lock(w);
    if (job->stream != NULL) {
        if (rc == SP_OK) {
            rc = write_response(job, slot, bytes, err);
            is_written = rc == SP_OK;
        }
        if (rc == SP_ERR_CLOSED) {
            rc = SP_OK; /* reset by the peer, its end is on the way */
        } else if (rc < 0) {
            err->executed = SP_EXECUTED_YES;
            sp__job_put_status(job, sp_error_grpc_status(rc), err);
        }
    } else {
        rc = SP_OK;
    }
    if (job->answer_shared && !is_written) {
        sp__memory_take_back(w->memory, job->answer_slot);
    }
    sp__job_end(job, bytes, failed || rc < 0);
    sp__runtime_unlock(w);

    slot->out.size = 0;
    sp__buf_shrink(&slot->out, SLOT_BUFFER_KEEP);
    if (rc < 0) {
        sp_error_clear(&slot->failure);
    }
    return rc;
}

/* What the wire calls a result. */
static const char *type_of(sp_bytes json, sp_bytes binary)
{
    static const char tensor[] = "{\"" SP__TENSOR_KEY "\"";
    int is_tensor = binary.size > 0 && json.size >= sizeof tensor &&
                    memcmp(json.data, tensor, sizeof tensor - 1) == 0;
    return is_tensor ? "tensor" : sp__json_type(json.data, json.size);
}

SP_API int sp_job_reply(sp_job *job, sp_bytes result_json, const char *type,
                        sp_bytes binary, sp_error *err)
{
    if (atomic_load_explicit(&job->worker->forgotten, memory_order_relaxed)) {
        return SP_OK;
    }
    if (job->rpc.method == RPC_STREAM) {
        /* A tool that is no generator has one item. */
        return sp__chunk_finish(job, &result_json, binary, err);
    }
    int rc = SP_OK;
    err = err != NULL ? err : &slot_of(job)->failure;
    if (!sp_job_cancelled(job)) {
        struct proto_response response = {
            .success = 1,
            .result_json = result_json,
            .result_type = sp_text(type != NULL ? type : type_of(result_json, binary)),
            .binary_result = binary,
        };
        rc = encode_response(job, &response, err);
    }
    return send_response(job, rc, 0, err);
}

/* An exception as the answer of a call. */
static int reply_exception(struct sp_job *job, const sp_error *failure, sp_error *err)
{
    struct sp_buffer text;
    sp__buf_init(&text, SIZE_MAX);
    err = err != NULL ? err : &slot_of(job)->failure;
    int rc = sp__proto_put_error_text(&text, failure, err);
    if (rc == SP_OK) {
        struct proto_response response = {.error_message = {text.data, text.size}};
        rc = encode_response(job, &response, err);
    }
    sp__buf_fini(&text);
    return send_response(job, rc, 1, err);
}

void sp__job_refuse(struct sp_job *job, const sp_error *failure)
{
    struct sp_worker *w = job->worker;
    sp__runtime_lock(w);
    if (job->stream != NULL) {
        sp__job_put_status(job, sp_error_grpc_status(failure->code), failure);
    }
    sp__job_end(job, 0, 1);
    sp__runtime_unlock(w);
}

/* Whether a failure of this kind means that user code ran. */
static int was_executed(int code)
{
    switch (code) {
    case SP_ERR_NO_TOOL:
    case SP_ERR_BAD_ARGS:
    case SP_ERR_BAD_JSON:
    case SP_ERR_TOO_DEEP:
    case SP_ERR_UNSUPPORTED:
        return SP_EXECUTED_NO;
    default:
        return SP_EXECUTED_YES;
    }
}

static void make_failure(const sp_failure *told, sp_error *ret)
{
    int code = told->code != 0 ? told->code : SP_ERR_REMOTE;
    const char *message = told->message;
    (void)sp__fail(ret, code, "%s", message != NULL ? message : sp_strerror(code));
    ret->executed = was_executed(code);
    if (code == SP_ERR_REMOTE) {
        ret->remote_type = sp__strdup(told->type != NULL ? told->type : "Exception");
        ret->remote_message = sp__strdup(message != NULL ? message : "");
        ret->remote_trace = sp__strdup(told->trace);
        if (told->details.size > 0) {
            ret->remote_details = sp__strndup(told->details.data, told->details.size);
        }
    }
}

SP_API int sp_job_fail(sp_job *job, int code, const char *type, const char *message,
                       const char *trace, sp_error *err)
{
    return sp_job_fail_with(job,
                            &(sp_failure){.size = sizeof(sp_failure),
                                          .code = code,
                                          .type = type,
                                          .message = message,
                                          .trace = trace},
                            err);
}

SP_API int sp_job_fail_with(sp_job *job, const sp_failure *told, sp_error *err)
{
    struct sp_worker *w = job->worker;
    if (atomic_load_explicit(&w->forgotten, memory_order_relaxed)) {
        return SP_OK;
    }
    if (told == NULL || told->size < sizeof *told) {
        return sp__fail(err, SP_ERR_INVAL, "a failure's size is not set");
    }
    sp_error failure = {0};
    make_failure(told, &failure);
    int code = failure.code;
    int rc = SP_OK;
    if (code == SP_ERR_REMOTE && job->rpc.method == RPC_EXECUTE) {
        rc = reply_exception(job, &failure, err);
    } else {
        sp__runtime_lock(w);
        if (job->stream != NULL) {
            (void)sp__job_publish(job); /* what was said before stays said */
            sp__job_put_status(job, sp_error_grpc_status(code), &failure);
        }
        sp__job_end(job, 0, 1);
        sp__runtime_unlock(w);
    }
    sp_error_clear(&failure);
    return rc;
}
