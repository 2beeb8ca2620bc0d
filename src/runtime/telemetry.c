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

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "snakepit/worker_telemetry.h"

/* A span's number has a bit for each of its listeners, and this one once it has them. */
enum { CHOSEN = 1 << TELEMETRY_MAX, REPORT_KEEP = 4096 };

static const char job_start[] = "tool.execution.start";
static const char job_stop[] = "tool.execution.stop";
static const char job_exception[] = "tool.execution.exception";
static const char job_result_size[] = "tool.result_size";

/* ---- listeners ---- */

/* Another number than ever before in this process, which may have several workers. */
static int next_stamp(void)
{
    static atomic_uint last;
    unsigned stamp;
    do {
        stamp =
            (atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1) & INT_MAX;
    } while (stamp == 0);
    return (int)stamp;
}

/* Each is said once, so that nobody sees a moment in which nothing is wanted. */
static void count(struct sp_worker *w)
{
    int on = 0;
    int jobs = 0;
    for (uint32_t i = 0; i < TELEMETRY_MAX; i++) {
        const struct telemetry *t = w->telemetry[i];
        on += t != NULL && t->enabled;
        jobs += t != NULL && t->enabled && t->wants_jobs;
    }
    atomic_store_explicit(&w->telemetry_jobs, jobs, memory_order_relaxed);
    atomic_store_explicit(&w->telemetry_stamp, on > 0 ? next_stamp() : 0,
                          memory_order_relaxed);
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
    count(w);
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
    if (control.enabled >= 0) {
        t->enabled = control.enabled;
    }
    sp__wish_take(&t->wish, &control);
    t->wants_jobs = wants_jobs(&t->wish);
    count(w);
}

void sp__telemetry_free(struct sp_worker *w, struct telemetry *t)
{
    w->telemetry[t->index] = NULL;
    count(w);
    sp__wish_fini(&t->wish);
    sp__free(t);
}

/* ---- is it worth while ---- */

SP_API int sp_worker_listens(const sp_worker *w)
{
    return w == NULL || atomic_load_explicit(&w->forgotten, memory_order_relaxed)
               ? 0
               : atomic_load_explicit(&w->telemetry_stamp, memory_order_relaxed);
}

/* Whether a listener's filter lets it through. */
static int look(struct sp_worker *w, const char *event)
{
    int is_wanted = 0;
    sp__runtime_lock(w);
    for (uint32_t i = 0; i < TELEMETRY_MAX && !is_wanted; i++) {
        const struct telemetry *t = w->telemetry[i];
        is_wanted = t != NULL && t->enabled && sp__wish_allows(&t->wish, event);
    }
    sp__runtime_unlock(w);
    return is_wanted;
}

static struct telemetry_answer *answer_of(struct telemetry_answers *answers,
                                          const char *event)
{
    enum { COUNT = sizeof answers->at / sizeof answers->at[0] };
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *c = event; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    }
    return &answers->at[hash % COUNT];
}

/* A stamp that is too old is asked again, and one can only be too old. */
SP_API int sp_worker_wants(sp_worker *w, const char *event)
{
    int stamp = sp_worker_listens(w);
    if (stamp == 0 || event == NULL) {
        return 0;
    }
    struct telemetry_answer *answer = answer_of(&w->answers, event);
    if (strlen(event) >= sizeof answer->name) {
        return look(w, event);
    }
    (void)pthread_mutex_lock(&w->answers.lock);
    if (answer->stamp != stamp || strcmp(answer->name, event) != 0) {
        answer->is_wanted = look(w, event);
        answer->stamp = stamp;
        (void)snprintf(answer->name, sizeof answer->name, "%s", event);
    }
    int is_wanted = answer->is_wanted;
    (void)pthread_mutex_unlock(&w->answers.lock);
    return is_wanted;
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
    struct sp_buffer *out = &w->report;
    out->size = 0;
    for (uint32_t i = 0; i < TELEMETRY_MAX; i++) {
        struct telemetry *t = w->telemetry[i];
        if (t == NULL || !t->enabled || !(to & (1u << i)) ||
            !sp__wish_allows(&t->wish, event->event)) {
            continue;
        }
        if (out->size == 0 && rc == SP_OK) {
            rc = sp__proto_put_telemetry(out, event, NULL);
        }
        if (rc < 0 || sp__h2_queued(t->stream) > TELEMETRY_QUEUE_MAX ||
            sp__h2_write(t->stream, (sp_bytes){out->data, out->size}, NULL) < 0) {
            atomic_fetch_add_explicit(&w->events_dropped, 1, memory_order_relaxed);
        } else {
            told = 1;
        }
    }
    if (told) {
        for (size_t i = 0; i < w->conns_count; i++) {
            w->conns[i]->dirty = 1;
        }
        sp__job_answered(w, NULL, out->size);
    }
    out->size = 0;
    sp__buf_shrink(out, REPORT_KEEP);
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

/* "00-<trace>-<span>-<flags>" */
static int read_trace(const char *traceparent, struct job_facts *ret)
{
    enum { TRACE_AT = 3, TRACE = 32, SPAN_AT = TRACE_AT + TRACE + 1, SPAN = 16 };
    if (strlen(traceparent) < SPAN_AT + SPAN || traceparent[TRACE_AT + TRACE] != '-') {
        return 0;
    }
    memcpy(ret->trace_id, traceparent + TRACE_AT, TRACE);
    memcpy(ret->span_id, traceparent + SPAN_AT, SPAN);
    ret->trace_id[TRACE] = ret->span_id[SPAN] = '\0';
    return 1;
}

static void add_fact(struct job_facts *facts, const char *key, const char *value)
{
    facts->pairs[2 * facts->count] = key;
    facts->pairs[2 * facts->count + 1] = value;
    facts->count++;
}

void sp__telemetry_describe(const struct sp_job *job, struct job_facts *ret)
{
    const char *key, *value;
    ret->count = 0;
    ret->correlation = NULL;
    add_fact(ret, "tool", job->tool);
    if (job->session[0] != '\0') {
        add_fact(ret, "session_id", job->session);
    }
    if (job->trusted) { /* its host knows which call that is */
        (void)snprintf(ret->call, sizeof ret->call, "%u", job->stream_id);
        add_fact(ret, SP__CALL_STREAM, ret->call);
    }
    for (size_t i = 0; sp_job_metadata(job, i, &key, &value); i++) {
        if (strcmp(key, "traceparent") == 0) {
            if (ret->trace_id[0] == '\0' && read_trace(value, ret)) {
                add_fact(ret, "trace_id", ret->trace_id);
                add_fact(ret, "span_id", ret->span_id);
            }
        } else if (strcmp(key, "x-snakepit-correlation-id") == 0) {
            ret->correlation = value;
        }
    }
}

/* Two figures, or one when the second has no name. */
static void tell_job(struct sp_job *job, const char *event, struct proto_measure first,
                     struct proto_measure second, const char *dropped)
{
    const struct proto_measure measures[] = {first, second};
    const char *metadata[2 * (JOB_FACTS + 1) + 1];
    struct job_facts facts = {.count = 0};
    sp__telemetry_describe(job, &facts);
    size_t n = 2 * facts.count;
    memcpy(metadata, facts.pairs, n * sizeof *metadata);
    if (dropped != NULL) {
        metadata[n++] = "events_dropped";
        metadata[n++] = dropped;
    }
    metadata[n] = NULL;
    (void)emit(job->worker, job->sampled,
               &(struct proto_telemetry){.event = event,
                                         .measures = measures,
                                         .measures_count = second.name != NULL ? 2 : 1,
                                         .metadata = metadata,
                                         .unix_ns = (int64_t)sp__unix_ns(),
                                         .correlation_id = facts.correlation});
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
