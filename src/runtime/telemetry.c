/* SPDX-License-Identifier: MIT */
/*
 * StreamTelemetry: what jobs do, told to whoever listens. Everything under smu.
 *
 * A listener gets "tool.execution.start" and then "tool.execution.stop" or
 * "tool.execution.exception" for each job that its sampling rate picks. Both events of
 * a job go to the same listeners: sp_job.sampled remembers them. A listener that does
 * not read loses events, which are counted, once its queue holds TELEMETRY_QUEUE_MAX
 * bytes; jobs never wait for it.
 */
#include "runtime/runtime.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

struct telemetry *sp__telemetry_new(struct sp_worker *w, struct h2_stream *stream)
{
    uint32_t index = 0;
    while (index < TELEMETRY_MAX && w->telemetry[index] != NULL) {
        index++;
    }
    if (index == TELEMETRY_MAX) {
        return NULL;
    }
    struct telemetry *t = sp__calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    *t = (struct telemetry){.rpc = {RPC_TELEMETRY},
                            .stream = stream,
                            .index = index,
                            .enabled = 1,
                            .rate = 1.0};
    if (sp__h2_accept(stream, NULL) < 0) { /* listeners wait for the headers */
        sp__free(t);
        return NULL;
    }
    w->telemetry[index] = t;
    atomic_fetch_add_explicit(&w->telemetry_on, 1, memory_order_relaxed);
    return t;
}

static void enable(struct sp_worker *w, struct telemetry *t, int enabled)
{
    if (enabled != t->enabled) {
        t->enabled = enabled;
        atomic_fetch_add_explicit(&w->telemetry_on, enabled ? 1 : -1,
                                  memory_order_relaxed);
    }
}

void sp__telemetry_control(struct sp_worker *w, struct telemetry *t,
                           const uint8_t *data, size_t size)
{
    int enabled = -1;
    double rate = -1;
    if (sp__proto_get_telemetry_control(data, size, &enabled, &rate, NULL) < 0) {
        return; /* a control of a later version; the stream goes on */
    }
    if (enabled >= 0) {
        enable(w, t, enabled);
    }
    if (rate >= 0) {
        t->rate = rate > 1 ? 1 : rate;
    }
}

void sp__telemetry_free(struct sp_worker *w, struct telemetry *t)
{
    enable(w, t, 0);
    w->telemetry[t->index] = NULL;
    sp__free(t);
}

static void emit(struct sp_worker *w, uint8_t to, const struct proto_telemetry *event)
{
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    int rc = sp__proto_put_telemetry(&out, event, NULL);
    for (uint32_t i = 0; i < TELEMETRY_MAX; i++) {
        struct telemetry *t = w->telemetry[i];
        if (t == NULL || !t->enabled || !(to & (1u << i))) {
            continue;
        }
        if (rc < 0 || sp__h2_queued(t->stream) > TELEMETRY_QUEUE_MAX ||
            sp__h2_write(t->stream, (sp_bytes){out.data, out.size}, NULL) < 0) {
            t->dropped++;
        }
    }
    sp__buf_fini(&out);
    for (size_t i = 0; i < w->conns_count; i++) {
        w->conns[i]->dirty = 1;
    }
}

/* Once its request has been read, so that the tool has a name. */
void sp__telemetry_start(struct sp_job *job)
{
    struct sp_worker *w = job->worker;
    for (uint32_t i = 0; i < TELEMETRY_MAX; i++) {
        struct telemetry *t = w->telemetry[i];
        if (t == NULL || !t->enabled) {
            continue;
        }
        t->credit += t->rate;
        if (t->credit >= 1) {
            t->credit -= 1;
            job->sampled |= (uint8_t)(1u << i);
        }
    }
    if (job->sampled == 0) {
        return;
    }
    if (job->started_us == 0) {
        job->started_us = sp__now_us();
    }
    const char *metadata[] = {"tool", job->tool, "session_id", job->session, NULL};
    int64_t now_ns = (int64_t)sp__unix_ns();
    emit(w, job->sampled,
         &(struct proto_telemetry){.event = "tool.execution.start",
                                   .measurement = "system_time",
                                   .value = now_ns,
                                   .metadata = metadata,
                                   .unix_ns = now_ns});
}

void sp__telemetry_stop(struct sp_job *job, int failed)
{
    struct sp_worker *w = job->worker;
    if (job->sampled == 0) {
        return;
    }
    char dropped[24];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < TELEMETRY_MAX; i++) {
        sum += w->telemetry[i] != NULL ? w->telemetry[i]->dropped : 0;
    }
    (void)snprintf(dropped, sizeof dropped, "%llu", (unsigned long long)sum);
    const char *metadata[] = {"tool",       job->tool,        "session_id",
                              job->session, "events_dropped", sum > 0 ? dropped : "0",
                              NULL};
    emit(w, job->sampled,
         &(struct proto_telemetry){
             .event = failed ? "tool.execution.exception" : "tool.execution.stop",
             .measurement = "duration",
             .value = (int64_t)(sp__now_us() - job->started_us) * 1000,
             .metadata = metadata,
             .unix_ns = (int64_t)sp__unix_ns()});
}
