/* SPDX-License-Identifier: MIT */
/*
 * StreamTelemetry: what jobs do and what user code reports, told to whoever listens.
 * Everything under smu.
 *
 * A listener gets "tool.execution.start" and then "tool.result_size" and
 * "tool.execution.stop", or "tool.execution.exception", for each job that its rate picks,
 * and the events of emit.c that its filter and its rates let through. All events of one
 * job, or of one span, go to the same listeners: sp_job.sampled and the span's number
 * remember them. A listener that does not read loses events, which are counted, once its
 * queue holds TELEMETRY_QUEUE_MAX bytes; jobs never wait for it.
 */
#include "runtime/runtime.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

/* A span's number has a bit for each of its listeners, and this one once it has them. */
enum { CHOSEN = 1 << TELEMETRY_MAX };

static const char job_start[] = "tool.execution.start";
static const char job_stop[] = "tool.execution.stop";
static const char job_exception[] = "tool.execution.exception";
static const char job_result_size[] = "tool.result_size";

/* ---- listeners ---- */

static void count(struct sp_worker *w, const struct telemetry *t, int by)
{
    if (t->enabled) {
        atomic_fetch_add_explicit(&w->telemetry_on, by, memory_order_relaxed);
        if (t->wants_jobs) {
            atomic_fetch_add_explicit(&w->telemetry_jobs, by, memory_order_relaxed);
        }
    }
}

static int wants_jobs(const struct wish *wish)
{
    return sp__wish_allows(wish, job_start) || sp__wish_allows(wish, job_stop) ||
           sp__wish_allows(wish, job_exception) ||
           sp__wish_allows(wish, job_result_size);
}

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
                            .wants_jobs = 1};
    sp__wish_init(&t->wish);
    if (sp__h2_accept(stream, NULL) < 0) { /* listeners wait for the headers */
        sp__free(t);
        return NULL;
    }
    w->telemetry[index] = t;
    count(w, t, 1);
    return t;
}

void sp__telemetry_control(struct sp_worker *w, struct telemetry *t,
                           const uint8_t *data, size_t size)
{
    struct proto_control control;
    if (size > TELEMETRY_CONTROL_MAX ||
        sp__proto_get_control(data, size, &control, NULL) < 0) {
        return; /* a control of a later version; the stream goes on */
    }
    count(w, t, -1);
    if (control.enabled >= 0) {
        t->enabled = control.enabled;
    }
    sp__wish_take(&t->wish, &control);
    t->wants_jobs = wants_jobs(&t->wish);
    count(w, t, 1);
}

void sp__telemetry_free(struct sp_worker *w, struct telemetry *t)
{
    count(w, t, -1);
    w->telemetry[t->index] = NULL;
    sp__wish_fini(&t->wish);
    sp__free(t);
}

/* ---- events ---- */

/* What is told by more than one event may be wanted for its end alone: a rate picks it as
 * a whole, by its first one. Other events it thins of those that the filter lets through. */
enum whole { EVENT_ALONE, EVENT_OF_SPAN, EVENT_OF_JOB };

static int is_wanted(const struct telemetry *t, const char *event, enum whole whole)
{
    switch (whole) {
    case EVENT_ALONE:
        return sp__wish_allows(&t->wish, event);
    case EVENT_OF_SPAN:
        return 1;
    case EVENT_OF_JOB:
        return t->wants_jobs;
    }
    return 0;
}

/* Whose rates pick it: a bit for each listener. */
static uint32_t choose(struct sp_worker *w, const char *event, enum whole whole)
{
    uint32_t to = 0;
    for (uint32_t i = 0; i < TELEMETRY_MAX; i++) {
        struct telemetry *t = w->telemetry[i];
        if (t != NULL && t->enabled && is_wanted(t, event, whole) &&
            sp__wish_samples(&t->wish, event)) {
            to |= 1u << i;
        }
    }
    return to;
}

/* 1 when somebody gets it. */
static int emit(struct sp_worker *w, uint32_t to, const struct proto_telemetry *event)
{
    int told = 0, rc = SP_OK;
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    for (uint32_t i = 0; i < TELEMETRY_MAX; i++) {
        struct telemetry *t = w->telemetry[i];
        if (t == NULL || !t->enabled || !(to & (1u << i)) ||
            !sp__wish_allows(&t->wish, event->event)) {
            continue;
        }
        if (out.size == 0 && rc == SP_OK) {
            rc = sp__proto_put_telemetry(&out, event, NULL);
        }
        if (rc < 0 || sp__h2_queued(t->stream) > TELEMETRY_QUEUE_MAX ||
            sp__h2_write(t->stream, (sp_bytes){out.data, out.size}, NULL) < 0) {
            atomic_fetch_add_explicit(&w->events_dropped, 1, memory_order_relaxed);
        } else {
            told = 1;
        }
    }
    if (told) {
        for (size_t i = 0; i < w->conns_count; i++) {
            w->conns[i]->dirty = 1;
        }
        sp__job_answered(w, NULL, out.size);
    }
    sp__buf_fini(&out);
    return told;
}

int sp__telemetry_emit(struct sp_worker *w, const struct proto_telemetry *event,
                       uint32_t *span)
{
    if (span == NULL) {
        return emit(w, choose(w, event->event, EVENT_ALONE), event);
    }
    if (!(*span & CHOSEN)) {
        *span = choose(w, event->event, EVENT_OF_SPAN) | CHOSEN;
    }
    return emit(w, *span, event);
}

/* ---- of jobs ---- */

/* Two figures, or one when the second has no name. */
static void tell_job(struct sp_job *job, const char *event, struct proto_measure first,
                     struct proto_measure second, const char *dropped)
{
    const struct proto_measure measures[] = {first, second};
    const char *metadata[] = {"tool",
                              job->tool,
                              "session_id",
                              job->session,
                              dropped != NULL ? "events_dropped" : NULL,
                              dropped,
                              NULL};
    (void)emit(job->worker, job->sampled,
               &(struct proto_telemetry){.event = event,
                                         .measures = measures,
                                         .measures_count = second.name != NULL ? 2 : 1,
                                         .metadata = metadata,
                                         .unix_ns = (int64_t)sp__unix_ns()});
}

static struct proto_measure figure(const char *name, int64_t value)
{
    return (struct proto_measure){.name = name, .integer = value};
}

/* Once its request has been read, so that the tool has a name. */
void sp__telemetry_start(struct sp_job *job)
{
    job->sampled = (uint8_t)choose(job->worker, job_start, EVENT_OF_JOB);
    if (job->sampled == 0) {
        return;
    }
    if (job->started_us == 0) {
        job->started_us = sp__now_us();
    }
    tell_job(job, job_start, figure("system_time", (int64_t)sp__unix_ns()),
             figure("count", 1), NULL);
}

void sp__telemetry_stop(struct sp_job *job, size_t bytes, int failed)
{
    if (job->sampled == 0) {
        return;
    }
    if (!failed) {
        tell_job(job, job_result_size, figure("message_size", (int64_t)bytes),
                 figure(NULL, 0), NULL);
    }
    char dropped[24];
    (void)snprintf(dropped, sizeof dropped, "%llu",
                   (unsigned long long)atomic_load_explicit(
                       &job->worker->events_dropped, memory_order_relaxed));
    int64_t duration_ns = (int64_t)(sp__now_us() - job->started_us) * 1000;
    tell_job(job, failed ? job_exception : job_stop, figure("duration", duration_ns),
             figure("count", 1), dropped);
}
