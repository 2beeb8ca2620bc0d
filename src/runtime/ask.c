/* SPDX-License-Identifier: MIT */
/*
 * Questions of the worker to its host: streams on the host connection, and the threads
 * that wait for their answers.
 *
 * The thread that asks writes its question and then waits as everybody does: it leads,
 * reading both connections, or parks while another thread leads. So PINGs, cancellations
 * and further calls are taken meanwhile, and an answer costs one round trip on the
 * socket. It never runs another job: those that come wait for a thread that can, which
 * it wakes, or for its own return. A thread of the binding's own has no slot; it
 * waits with one on its stack.
 *
 * A question ends with its answer, or with the job: cancelled, past its deadline, or the
 * host gone. Whatever comes later finds no question. A job that was cancelled is told so
 * even when the answer is there too, because nothing else would tell it.
 */
#include "runtime/runtime.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

/* ---- the connection's events; under smu ---- */

static void wake(struct ask *ask)
{
    if (ask->waiter != NULL) {
        sp__asker_wake(ask->worker, ask->waiter);
    }
}

/* Nobody wants the answer any more. */
static void let_go(struct ask *ask)
{
    if (ask->stream == NULL) {
        return;
    }
    struct conn *host = sp__conn_find(ask->worker, CONN_HOST);
    sp__h2_stream_set_user(ask->stream, NULL);
    if (host != NULL) { /* a broken one is beyond that */
        sp__h2_reset(ask->stream, RST_CANCEL);
        host->dirty = 1;
    }
    ask->stream = NULL;
}

static int keep_message(struct ask *ask, const uint8_t *data, size_t size,
                        sp_error *err)
{
    struct sp_buffer *inbox = &ask->inbox;
    if (!ask->held) {
        if (ask->answers++ > 0) {
            return sp__fail(err, SP_ERR_PROTOCOL, "two answers to one question");
        }
        return sp__buf_append(inbox, data, size, err);
    }
    if (ask->inbox_off > inbox->size / 2) { /* mostly taken: the memory serves again */
        sp__buf_drop(inbox, ask->inbox_off);
        ask->inbox_off = 0;
    }
    uint32_t length = (uint32_t)size; /* gRPC has no longer ones */
    int rc = sp__buf_reserve(inbox, sizeof length + size, err);
    if (rc == SP_OK) {
        rc = sp__buf_append(inbox, &length, sizeof length, err);
    }
    return rc == SP_OK ? sp__buf_append(inbox, data, size, err) : rc;
}

static void answer_begins(void *user, struct h2_stream *stream)
{
    struct ask *ask = sp__h2_stream_user(stream);
    if (ask != NULL) {
        ask->begun = 1;
        if (ask->awaits_begin) {
            wake(ask);
        }
    }
}

static void answer_came(void *user, struct h2_stream *stream, const uint8_t *data,
                        size_t size)
{
    struct ask *ask = sp__h2_stream_user(stream);
    if (ask == NULL) {
        return;
    }
    if (keep_message(ask, data, size, &ask->failure) < 0) {
        ask->over = 1; /* a gap must not pass */
        let_go(ask);
    }
    wake(ask);
}

/* What a status without our details stands for. */
static int code_of_status(const struct h2_status *status)
{
    switch (status->refused ? GRPC_RESOURCE_EXHAUSTED : status->grpc_status) {
    case GRPC_CANCELLED:
        return SP_ERR_CANCELLED;
    case GRPC_INVALID_ARGUMENT:
        return SP_ERR_INVAL;
    case GRPC_DEADLINE_EXCEEDED:
        return SP_ERR_TIMEOUT;
    case GRPC_NOT_FOUND:
        return SP_ERR_NOT_FOUND;
    case GRPC_RESOURCE_EXHAUSTED:
        return SP_ERR_QUEUE_FULL;
    case GRPC_UNIMPLEMENTED:
        return SP_ERR_UNSUPPORTED;
    case -1:
        return SP_ERR_CLOSED;
    default:
        return SP_ERR_PROTOCOL;
    }
}

static void take_status(struct ask *ask, const struct h2_status *status)
{
    if (status->grpc_status == GRPC_OK) {
        if (!ask->held && ask->answers == 0) {
            (void)sp__fail(&ask->failure, SP_ERR_PROTOCOL, "the host gave no answer");
        }
        return;
    }
    if (sp__proto_get_failure(status->details, status->details_size, &ask->failure) ==
        1) {
        return;
    }
    (void)sp__fail(&ask->failure, code_of_status(status), "%s",
                   status->message[0] != '\0' ? status->message
                   : status->refused          ? "the host has no room for the question"
                   : status->grpc_status < 0  ? "the host is gone"
                                              : "the host gave no reason");
    ask->failure.grpc_status = status->grpc_status < 0 ? 0 : status->grpc_status;
}

static void answer_ended(void *user, struct h2_stream *stream,
                         const struct h2_status *status)
{
    struct ask *ask = sp__h2_stream_user(stream);
    if (ask == NULL) {
        return;
    }
    ask->stream = NULL;
    ask->over = 1;
    take_status(ask, status);
    wake(ask);
}

/* The host calls us on the other connection; this one has no server. */
static int request_came(void *user, struct h2_stream *stream,
                        const struct h2_request *request)
{
    return GRPC_UNIMPLEMENTED;
}

const struct h2_events sp__host_events = {
    .on_request = request_came,
    .on_headers = answer_begins,
    .on_message = answer_came,
    .on_end = answer_ended,
};

/* ---- a question's life; under smu ---- */

void sp__ask_init(struct ask *ask, struct sp_worker *w, struct sp_job *job)
{
    *ask = (struct ask){.worker = w, .job = job};
    sp__buf_init(&ask->inbox, SIZE_MAX);
}

/* What was said before the question is said before it. */
static void publish(struct sp_job *job)
{
    struct sp_worker *w = job->worker;
    if (job->state == JOB_RUNNING && sp__slot_mine(w) == &w->slots[job->slot]) {
        sp__job_publish_own(job);
    } else {
        (void)sp__job_publish(job);
    }
}

/* How long the host need try: the question's own time, and the job's. */
static uint64_t time_for(const struct sp_job *job, uint64_t timeout_ms)
{
    uint64_t left_ms = job != NULL ? sp_job_time_left_ms(job) : SP_UNLIMITED;
    return timeout_ms != 0 && timeout_ms < left_ms ? timeout_ms : left_ms;
}

int sp__ask_open(struct ask *ask, const struct question *question, sp_error *err)
{
    struct sp_worker *w = ask->worker;
    struct sp_job *job = ask->job;
    struct conn *host = sp__conn_find(w, CONN_HOST);
    if (host == NULL) {
        return w->options.host_fd > 0 ? sp__fail(err, SP_ERR_CLOSED, "the host is gone")
                                      : sp__fail(err, SP_ERR_UNSUPPORTED,
                                                 "this worker has no host to ask");
    }
    char parent[16]; /* the job's number on the other connection */
    struct h2_header headers[2];
    size_t count = 0;
    if (job != NULL) {
        int n = snprintf(parent, sizeof parent, "%u", job->stream_id);
        headers[count++] = (struct h2_header){
            SP__HEADER_PARENT, sizeof SP__HEADER_PARENT - 1, parent, (size_t)n};
        publish(job);
    }
    if (question->pool != NULL && question->pool[0] != '\0') {
        headers[count++] =
            (struct h2_header){SP__HEADER_POOL, sizeof SP__HEADER_POOL - 1,
                               question->pool, strlen(question->pool)};
    }
    sp_bytes request = question->request;
    if (request.data == NULL) {
        request.data = ""; /* nothing is a message too */
    }
    int rc = sp__h2_open(host->h2, question->path, time_for(job, question->timeout_ms),
                         headers, count, request, 1, ask, &ask->stream, err);
    if (rc < 0) {
        ask->stream = NULL;
        return rc;
    }
    host->dirty = 1;
    if (ask->held) {
        sp__h2_hold(ask->stream);
    }
    if (job != NULL) {
        sp__list_append(&job->asks, &ask->on_job);
    }
    return SP_OK;
}

void sp__ask_close(struct ask *ask)
{
    let_go(ask);
    sp__list_remove(&ask->on_job);
    ask->job = NULL;
    ask->over = 1;
}

int sp__ask_take(struct ask *ask, sp_bytes *ret_message)
{
    const uint8_t *at = ask->inbox.data + ask->inbox_off;
    uint32_t length;
    if (ask->inbox_off == ask->inbox.size) {
        return 0;
    }
    memcpy(&length, at, sizeof length);
    *ret_message = (sp_bytes){at + sizeof length, length};
    ask->inbox_off += sizeof length + length;
    if (ask->stream != NULL) {
        struct conn *host = sp__conn_find(ask->worker, CONN_HOST);
        sp__h2_grant(ask->stream, length + 5); /* gRPC's prefix counts */
        if (host != NULL) {
            host->dirty = 1;
        }
    }
    return 1;
}

void sp__asks_wake(struct sp_job *job)
{
    for (struct link *link = job->asks.first; link != NULL; link = link->next) {
        wake(ITEM(link, struct ask, on_job));
    }
}

void sp__asks_orphan(struct sp_job *job)
{
    struct link *link;
    while ((link = job->asks.first) != NULL) {
        struct ask *ask = ITEM(link, struct ask, on_job);
        sp__ask_close(ask);
        if (ask->failure.code == SP_OK) {
            (void)sp__fail(&ask->failure, SP_ERR_CANCELLED,
                           "the call that asked is over");
        }
        wake(ask);
    }
}

/* ---- waiting ---- */

void sp__seat_take(struct seat *seat, struct sp_worker *w)
{
    seat->worker = w;
    seat->idle = 0;
    seat->slot = sp__slot_mine(w);
    if (seat->slot == NULL) {
        seat->guest = (struct slot){
            .polled = seat->polled, .index = w->slots_count, .is_guest = 1};
        seat->slot = &seat->guest;
    }
    sp__slot_back(w, seat->slot);
    seat->slot->asking = 1;
}

void sp__seat_leave(struct seat *seat)
{
    struct sp_worker *w = seat->worker;
    seat->slot->asking = 0;
    sp__slot_away(w, seat->slot);
    if (seat->idle) {
        seat->idle = 0;
        w->options.on_busy(w->options.user_data); /* may wait for the interpreter */
    }
}

uint64_t sp__until_ms(uint64_t timeout_ms)
{
    uint64_t now_ms = sp__now_ms();
    return timeout_ms < SP_UNLIMITED - now_ms ? now_ms + timeout_ms : SP_UNLIMITED;
}

/* Whether the job that asks must stop asking. */
static int job_over(const struct sp_job *job, sp_error *err)
{
    switch (atomic_load_explicit(&job->cancelled, memory_order_acquire)) {
    case CANCEL_NONE:
        return SP_OK;
    case CANCEL_DEADLINE:
        return sp__fail(err, SP_ERR_TIMEOUT, "the deadline of the call has passed");
    case CANCEL_GONE:
        return sp__fail(err, SP_ERR_CLOSED, "the host is gone");
    default:
        return sp__fail(err, SP_ERR_CANCELLED, "the call was cancelled");
    }
}

static int must_end(const struct ask *ask, uint64_t until_ms, sp_error *err)
{
    const struct sp_worker *w = ask->worker;
    if (w->gone) {
        return sp__fail(err, SP_ERR_CLOSED, "the host is gone");
    }
    if (ask->job == NULL && w->stopping) { /* jobs that have begun end in peace */
        return sp__fail(err, SP_ERR_CLOSED, "the worker was asked to stop");
    }
    if (until_ms != SP_UNLIMITED && sp__now_ms() >= until_ms) {
        return sp__fail(err, SP_ERR_TIMEOUT, "the host did not answer in time");
    }
    return SP_OK;
}

/* Jobs have come that this thread cannot run. */
static void share_jobs(struct sp_worker *w)
{
    uint32_t jobs = w->ready.length;
    while (jobs-- > 0 && sp__slots_wake_one(w)) {
    }
}

/* A signal came: the binding may want to act on it, which is user code. */
static int heed_signal(struct seat *seat, sp_error *err)
{
    struct sp_worker *w = seat->worker;
    if (w->options.on_signal == NULL) {
        return SP_OK;
    }
    sp__seat_leave(seat);
    int stop = w->options.on_signal(w->options.user_data);
    sp__slot_back(w, seat->slot);
    seat->slot->asking = 1;
    return stop ? sp__fail(err, SP_ERR_STOPPED_BY_CALLBACK, "stopped by a signal")
                : SP_OK;
}

/* What is waited for is there, or will not come. */
static int is_answered(const struct ask *ask)
{
    if (ask->over) {
        return 1;
    }
    return ask->awaits_begin ? ask->begun
                             : ask->held && ask->inbox_off < ask->inbox.size;
}

static int await(struct ask *ask, struct seat *seat, uint64_t until_ms, sp_error *err)
{
    struct sp_worker *w = ask->worker;
    for (;;) {
        seat->slot->look = 0;
        sp__conns_flush(w);
        int rc = ask->job != NULL ? job_over(ask->job, err) : SP_OK;
        if (rc < 0 || is_answered(ask)) {
            return rc;
        }
        rc = must_end(ask, until_ms, err);
        if (rc < 0) {
            return rc;
        }
        if (sp__slot_may_lead(w, seat->slot) && sp__conns_pump(w, seat->slot)) {
            continue;
        }
        share_jobs(w);
        if (!seat->idle && ask->job != NULL && w->options.on_idle != NULL) {
            seat->idle = 1;
            sp__runtime_unlock(w);
            w->options.on_idle(w->options.user_data);
            sp__runtime_lock(w);
            continue; /* another thread may have read the answer meanwhile */
        }
        if (sp__slot_wait(w, seat->slot, until_ms) && ask->job != NULL) {
            rc = heed_signal(seat, err);
            if (rc < 0) {
                return rc;
            }
        }
    }
}

int sp__ask_await(struct ask *ask, struct seat *seat, uint64_t until_ms, sp_error *err)
{
    ask->waiter = seat->slot;
    int rc = await(ask, seat, until_ms, err);
    ask->waiter = NULL;
    return rc;
}

/* ---- a question with one answer ---- */

/* Without a time of its own, or a later one, the job's deadline ends it, with the job. */
static uint64_t ends_at(const struct sp_job *job, uint64_t timeout_ms)
{
    return timeout_ms != 0 && timeout_ms < sp_job_time_left_ms(job)
               ? sp__until_ms(timeout_ms)
               : SP_UNLIMITED;
}

int sp__ask_check(const struct sp_job *job, sp_error *err)
{
    if (atomic_load_explicit(&job->worker->forgotten, memory_order_relaxed)) {
        return sp__fail(err, SP_ERR_CLOSED, "a forked child has no host to ask");
    }
    if (!job->trusted) {
        return sp__fail(err, SP_ERR_UNSUPPORTED, "this call did not come from a host");
    }
    return job_over(job, err);
}

int sp__ask(struct sp_job *job, const struct question *question,
            struct sp_buffer *reply, sp_error *err)
{
    struct ask ask;
    struct seat seat;
    int rc = sp__ask_check(job, err);
    if (rc < 0) {
        return rc;
    }
    uint64_t until_ms = ends_at(job, question->timeout_ms);
    sp__ask_init(&ask, job->worker, job);
    ask.inbox = *reply; /* the answer comes where it is wanted */
    sp__seat_take(&seat, job->worker);
    rc = sp__ask_open(&ask, question, err);
    if (rc == SP_OK) {
        rc = sp__ask_await(&ask, &seat, until_ms, err);
    }
    sp__ask_close(&ask);
    sp__conns_flush(ask.worker);
    sp__seat_leave(&seat);
    *reply = ask.inbox;
    if (rc == SP_OK && ask.failure.code != SP_OK) {
        rc = ask.failure.code;
        if (err != NULL) {
            sp_error_move(err, &ask.failure);
        }
    }
    sp_error_clear(&ask.failure);
    return rc;
}
