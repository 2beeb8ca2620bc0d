/* SPDX-License-Identifier: MIT */
/*
 * A worker in C that takes and gives tensors: double answers {"x": tensor of F64} with
 * every element doubled, steps streams the tensor's rows, hold keeps the request beyond
 * its end and held_sum adds up what was kept.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snakepit/worker.h"

static sp_kept *kept;
static sp_tensor held;

static int refuse(sp_job *job, sp_error *err)
{
    int code = err->code;
    char message[sizeof err->message];
    memcpy(message, err->message, sizeof message);
    return sp_job_fail(job, code, NULL, message, NULL, err);
}

static int double_all(sp_job *job, const sp_tensor *x, sp_error *err)
{
    char json[SP_TENSOR_TEXT_MAX];
    size_t n;
    size_t count = x->bytes / sizeof(double);
    const double *from = x->data;
    double *to = malloc(x->bytes + 1);
    if (to == NULL) {
        return sp_job_fail(job, SP_ERR_NOMEM, NULL, "no memory", NULL, err);
    }
    for (size_t i = 0; i < count; i++) {
        to[i] = 2 * from[i];
    }
    sp_tensor result = *x;
    result.data = to;
    int rc = sp_tensor_text(&result, NULL, 0, json, sizeof json, &n, err);
    if (rc == 0) {
        rc = sp_job_reply(job, (sp_bytes){json, n}, "tensor",
                          (sp_bytes){to, result.bytes}, err);
    }
    free(to);
    return rc;
}

static int stream_rows(sp_job *job, const sp_tensor *x, sp_error *err)
{
    size_t row = x->bytes / (x->shape[0] > 0 ? (size_t)x->shape[0] : 1);
    const char *from = x->data;
    sp_tensor part = {.dtype = x->dtype, .dims = 1, .bytes = row};
    part.shape[0] = row / sp_dtype_bytes(x->dtype);
    int rc = 1;
    for (uint64_t i = 0; rc > 0 && i < x->shape[0]; i++) {
        char json[SP_TENSOR_TEXT_MAX];
        size_t n;
        part.data = from + i * row;
        rc = sp_tensor_text(&part, NULL, 0, json, sizeof json, &n, err);
        if (rc == 0) {
            rc = sp_job_chunk_binary(job, (sp_bytes){json, n},
                                     (sp_bytes){part.data, row}, err);
        }
    }
    return sp_job_end(job, err); /* few rows: they are all taken */
}

static int held_sum(sp_job *job, sp_error *err)
{
    char json[64];
    double sum = 0;
    const double *from = held.data;
    for (size_t i = 0; i < held.bytes / sizeof(double); i++) {
        sum += from[i];
    }
    sp_kept_drop(kept);
    kept = NULL;
    held = (sp_tensor){0};
    (void)snprintf(json, sizeof json, "%.1f", sum);
    return sp_job_reply(job, sp_text(json), "float", (sp_bytes){0}, err);
}

static int work(sp_job *job, sp_error *err)
{
    sp_tensor x;
    const char *tool = sp_job_tool(job);
    if (strcmp(tool, "held_sum") == 0) {
        return held_sum(job, err);
    }
    if (sp_job_tensor(job, "/x", &x, err) < 0) {
        return refuse(job, err);
    }
    if (strcmp(tool, "steps") == 0) {
        return stream_rows(job, &x, err);
    }
    if (strcmp(tool, "hold") == 0) {
        kept = sp_job_keep(job);
        held = x;
        return sp_job_reply(job, sp_text("true"), "boolean", (sp_bytes){0}, err);
    }
    return double_all(job, &x, err);
}

int main(void)
{
    sp_worker *worker;
    sp_job *job;
    sp_error err = {0};
    static const sp_tool tools[] = {
        {.size = sizeof(sp_tool), .name = "double"},
        {.size = sizeof(sp_tool), .name = "steps", .streaming = 1},
        {.size = sizeof(sp_tool), .name = "hold"},
        {.size = sizeof(sp_tool), .name = "held_sum"},
    };
    int rc = sp_worker_open(NULL, &worker, &err);
    if (rc < 0) {
        return 1;
    }
    for (size_t i = 0; rc == 0 && i < sizeof tools / sizeof tools[0]; i++) {
        rc = sp_worker_add_tool(worker, &tools[i], &err);
    }
    if (rc == 0) {
        rc = sp_worker_announce(worker, &err);
    }
    while (rc >= 0 && (rc = sp_worker_next(worker, &job, &err)) > 0) {
        rc = work(job, &err);
    }
    sp_worker_close(worker);
    sp_kept_drop(kept);
    sp_error_clear(&err);
    return rc < 0;
}
