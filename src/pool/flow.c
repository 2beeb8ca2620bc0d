/* SPDX-License-Identifier: MIT */
/*
 * Calls through the pool: what the core decides about them, done.
 *
 * Normal course: a submitted request gets a number in the core, which has it sent to a
 * worker, now or later, or ended. Its answer comes back as an event of the core. A
 * request has one timer: while it waits, the earlier of its queue and its call deadline;
 * afterwards the call deadline.
 *
 * Failure: whatever ends a request, its error says what happened, whether user code may
 * have run in any attempt, and at which stage it was.
 */
#include "pool/flow.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "pool/heard.h"
#include "pool/lineage.h"
#include "pool/result.h"
#include "pool/schedule.h"
#include "pool/share.h"

enum { FULL_RETRY_MS = 100 }; /* time for a queue that is full to move */

/* ---- ending ---- */

/* May the caller send it again, as it stands? */
static int is_retryable(const struct request *request)
{
    const sp_error *error = request->error;
    return sp_error_is_retryable(error->code) &&
           (error->executed == SP_EXECUTED_NO || (request->flags & SP_CALL_IDEMPOTENT));
}

static int stage_of(const struct request *request)
{
    if (request->state != REQUEST_SENT) {
        return SP_STAGE_QUEUED;
    }
    if (request->chunks > 0) {
        return SP_STAGE_STREAMING;
    }
    return request->error->executed == SP_EXECUTED_NO ? SP_STAGE_SENT
                                                      : SP_STAGE_STARTED;
}

static void say_how_far(struct request *request)
{
    sp_error *error = sp__request_error(request, request->error->executed);
    if (error != NULL) {
        error->stage = stage_of(request);
        error->attempts = request->result.attempts;
        error->chunks = request->chunks;
        error->worker = request->result.worker;
        error->retryable = is_retryable(request);
    }
}

/* The one ending; the error is written. */
static void end_request(struct request *request)
{
    struct pool *pool = request->pool;
    assert(request->state != REQUEST_ENDED);
    if (request->error != NULL) {
        say_how_far(request);
    }
    sp__pool_count_ending(pool, request);
    if (sp__herald_listens(pool->shop->herald)) {
        sp__heard_ended(request);
    }
    request->state = REQUEST_ENDED;
    if (request->timer.fire != NULL) {
        sp__timer_fini(pool->shop->loop, &request->timer);
    }
    if (request->error != NULL || pool->shop->slow_call_us != 0) {
        sp__pool_tell_ending(pool, request);
    }
    pool->events->on_ended(pool->owner, request);
}

static void fail_request(struct request *request, int code, const char *message)
{
    (void)sp__request_fail(request, code, SP_EXECUTED_NO, message);
    end_request(request);
}

/* ---- what an ending says ---- */

static void say_full(struct pool *pool, char *out, size_t max)
{
    (void)snprintf(out, max, "%u calls already wait in pool %s, its limit (queue.max)",
                   pool->share != NULL ? pool->options.queue_max
                                       : pool->core.queue.length,
                   pool->name);
}

static void say_queue_timeout(const struct request *request, char *out, size_t max)
{
    const struct pool *pool = request->pool;
    const struct core *core = &pool->core;
    unsigned long long waited_ms =
        (sp__loop_now_us(pool->shop->loop) - request->created_us) / 1000;
    if (core->states[SEAT_READY] == 0) {
        (void)snprintf(out, max, "pool %s had no ready worker for %llu ms%s%.300s",
                       pool->name, waited_ms,
                       pool->last_failure.code != 0 ? "; last start: " : "",
                       pool->last_failure.message);
    } else {
        (void)snprintf(
            out, max,
            "no worker of pool %s became free within %llu ms (%u busy, %u calls "
            "waiting)",
            pool->name, waited_ms,
            pool->share != NULL ? sp__share_busy(pool) : core->busy.length,
            (pool->share != NULL ? sp__share_queued(pool) : core->queue.length + 1));
    }
}

static void say_timeout(const struct request *request, char *out, size_t max)
{
    (void)snprintf(
        out, max, "\"%.100s\" did not end within %llu ms (%s)", request->tool_name,
        (unsigned long long)(request->deadline_ms - request->created_us / 1000),
        request->state == REQUEST_SENT ? "it was with a worker"
                                       : "it waited for a worker");
}

static uint64_t ms_to_probe(const struct pool *pool)
{
    uint64_t now_ms = sp__loop_now_ms(pool->shop->loop);
    return pool->core.breaker == BREAKER_OPEN && pool->core.probe_ms > now_ms
               ? pool->core.probe_ms - now_ms
               : pool->options.probe_interval_ms;
}

static void say_breaker(const struct pool *pool, char *out, size_t max)
{
    (void)snprintf(out, max,
                   "pool %s starts no workers for a while, too many died; the next try "
                   "is in %llu ms%s%.300s",
                   pool->name, (unsigned long long)ms_to_probe(pool),
                   pool->last_failure.code != 0 ? "; last start: " : "",
                   pool->last_failure.message);
}

static void say_poison(struct request *request, char *out, size_t max)
{
    (void)snprintf(
        out, max, "\"%.100s\" ended %u workers and is not tried again%s%.300s",
        request->tool_name, request->pool->options.poison_deaths,
        request->pool->failure != NULL ? "; the last: " : "",
        request->pool->failure != NULL ? request->pool->failure->message : "");
}

static void say_deadlock(const struct request *request, char *out, size_t max)
{
    (void)snprintf(out, max,
                   "%.200s > %.64s: every worker of pool %s that could run it runs a "
                   "call that waits for it, or for another one like it",
                   request->lineage != NULL ? request->lineage->chain : "",
                   request->tool_name, request->pool->name);
}

static const struct {
    int code;
    const char *message;
} endings[] = {
    [ENDING_QUEUE_FULL] = {SP_ERR_QUEUE_FULL, NULL},
    [ENDING_QUEUE_TIMEOUT] = {SP_ERR_QUEUE_TIMEOUT, NULL},
    [ENDING_TIMEOUT] = {SP_ERR_TIMEOUT, NULL},
    [ENDING_CANCELLED] = {SP_ERR_CANCELLED, "cancelled by its caller"},
    [ENDING_CLOSED] = {SP_ERR_CLOSED, "the pool is closing"},
    [ENDING_WORKER_GONE] = {SP_ERR_SESSION_WORKER_LOST, NULL},
    [ENDING_WORKER_BUSY] = {SP_ERR_NO_WORKER, "the session's worker is busy"},
    [ENDING_BREAKER] = {SP_ERR_BREAKER_OPEN, NULL},
    [ENDING_POISON] = {SP_ERR_POISON, NULL},
    [ENDING_DEADLOCK] = {SP_ERR_DEADLOCK, NULL},
};

static void say_lost(const struct request *request, char *message, size_t max)
{
    struct fate fate;
    sp__pool_fate(request->pool, request->preferred, &fate);
    (void)snprintf(message, max,
                   "session \"%.64s\": %s; what it kept for the session is gone, and "
                   "the next call begins anew",
                   request->session, fate.text);
}

static void say_ending(struct request *request, enum core_ending ending, char *out,
                       size_t max)
{
    struct pool *pool = request->pool;
    assert((size_t)ending < sizeof endings / sizeof endings[0]);
    switch (ending) {
    case ENDING_QUEUE_FULL:
        say_full(pool, out, max);
        break;
    case ENDING_QUEUE_TIMEOUT:
        say_queue_timeout(request, out, max);
        break;
    case ENDING_TIMEOUT:
        say_timeout(request, out, max);
        break;
    case ENDING_BREAKER:
        say_breaker(pool, out, max);
        break;
    case ENDING_POISON:
        say_poison(request, out, max);
        break;
    case ENDING_WORKER_GONE:
        say_lost(request, out, max);
        break;
    case ENDING_DEADLOCK:
        say_deadlock(request, out, max);
        break;
    case ENDING_CANCELLED:
    case ENDING_CLOSED:
    case ENDING_WORKER_BUSY:
        (void)snprintf(out, max, "%s", endings[ending].message);
        break;
    case ENDING_OK:
    case ENDING_ELSEWHERE:
    case ENDING_FAILED:
    case ENDING_START_FAILED:
        break; /* nothing to say, or it is said already */
    }
}

/* What others have found out; it may be moved from. */
static void pass_on(struct request *request, enum core_ending ending, int executed)
{
    struct pool *pool = request->pool;
    sp_error *error = sp__request_error(request, executed);
    if (error == NULL) {
        return;
    }
    if (ending == ENDING_FAILED) {
        assert(pool->failure != NULL);
        sp_error_move(error, pool->failure);
    } else {
        sp__error_copy(error, &pool->last_failure);
    }
    error->executed = executed;
}

static void write_ending(struct request *request, enum core_ending ending, int executed)
{
    const struct pool *pool = request->pool;
    char message[SP_ERROR_MESSAGE_MAX] = "";
    if (ending == ENDING_FAILED || ending == ENDING_START_FAILED) {
        pass_on(request, ending, executed);
        return;
    }
    say_ending(request, ending, message, sizeof message);
    sp_error *error =
        sp__request_fail(request, endings[ending].code, executed, message);
    if (error == NULL) {
        return;
    }
    if (ending == ENDING_QUEUE_FULL) {
        error->retry_after_ms = FULL_RETRY_MS;
    } else if (ending == ENDING_BREAKER) {
        error->retry_after_ms = ms_to_probe(pool);
    } else if (ending == ENDING_POISON && pool->failure != NULL) {
        error->worker_signal = pool->failure->worker_signal;
        error->worker_exit = pool->failure->worker_exit;
        error->worker_why = pool->failure->worker_why;
        error->worker_stderr = sp__strdup(pool->failure->worker_stderr);
    }
}

/* It begins anew in another part, but for what has happened to it so far. */
static void hand_over(struct pool *pool, struct request *request,
                      const struct core_action *action)
{
    request->executed = action->executed;
    request->deaths = (uint8_t)action->due_ms;
    sp__timer_fini(pool->shop->loop, &request->timer);
    pool->stats.requests--;
    pool->given++;
    pool->events->on_elsewhere(pool->owner, request, pool->gives_to);
}

void sp__flow_end(struct pool *pool, const struct core_action *action)
{
    struct request *request = pool->requests[action->call];
    int executed = action->executed;
    pool->requests[action->call] = NULL;
    request->number = CORE_NONE;
    if (action->what == ENDING_ELSEWHERE) {
        hand_over(pool, request, action);
        return;
    }
    if (request->call.worker != NULL) {
        /* Only a closing pool ends calls that are with their workers. */
        int begun = sp__worker_cancel(&request->call);
        executed = begun > executed ? begun : executed;
    }
    if (action->what != ENDING_OK) {
        write_ending(request, (enum core_ending)action->what, executed);
    } else if (request->tool != NULL && !request->streaming) {
        request->tool->average_us =
            sp__sched_learn(request->tool->average_us, request->call.service_us);
    }
    pool->meter.counts.homes_refused +=
        action->what == ENDING_WORKER_BUSY || action->what == ENDING_WORKER_GONE;
    if (action->what == ENDING_WORKER_GONE) {
        pool->events->on_assigned(pool->owner, request, 0);
    }
    end_request(request);
}

/* ---- sending, waiting ---- */

/* What an answer that broke off has left behind. */
static void forget_attempt(struct request *request)
{
    sp__request_take_error(request, NULL);
    request->call = (struct worker_call){0};
    sp__result_drop_data(&request->result);
}

void sp__flow_send(struct pool *pool, const struct core_action *action)
{
    struct loop *loop = pool->shop->loop;
    struct request *request = pool->requests[action->call];
    struct worker *worker = pool->workers[action->seat];
    uint64_t now_ms = sp__loop_now_ms(loop);
    uint64_t left_ms = SP_UNLIMITED;
    if (action->due_ms != CORE_NEVER) {
        /* Its timer may be due in this very turn. */
        left_ms = action->due_ms > now_ms ? action->due_ms - now_ms : 1;
    }
    if (request->tool != NULL && request->tool->announced &&
        request->tool->spec.idempotent) {
        /* A worker is ready, so what tools say of themselves is known. */
        request->flags |= SP_CALL_IDEMPOTENT;
        pool->core.calls[action->call].idempotent = 1;
    }
    int waited = request->state == REQUEST_QUEUED;
    request->state = REQUEST_SENT;
    if (request->result.attempts > 0) {
        pool->stats.retried++;
        forget_attempt(request);
    }
    request->call.streaming = request->streaming;
    request->call.estimate_us = pool->core.calls[action->call].estimate_us;
    request->result.attempts++;
    request->result.worker = worker->id;
    request->result.worker_pid = worker->pid;
    request->slot = worker->public_slot;
    sp_error failure;
    sp__error_init(&failure);
    int rc = sp__worker_send(worker, &request->call,
                             (sp_bytes){request->message, request->message_bytes},
                             left_ms, &failure);
    if (rc < 0) {
        sp_error_move(sp__request_error(request, SP_EXECUTED_NO), &failure);
        sp__list_append(&pool->unsent, &request->on_queue);
        return;
    }
    pool->has_spent |= sp__worker_is_spent(worker);
    request->sent_us = request->call.sent_us;
    if (request->first_sent_us == 0) {
        request->first_sent_us = request->sent_us;
    }
    request->result.queued_us = request->sent_us > request->created_us
                                    ? request->sent_us - request->created_us
                                    : 0;
    if (request->result.attempts == 1) {
        (void)sp__histogram_add(&pool->meter.counts.wait, request->result.queued_us);
    }
    if (action->due_ms != CORE_NEVER) {
        sp__timer_set(loop, &request->timer, action->due_ms);
    } else {
        sp__timer_stop(loop, &request->timer);
    }
    if (request->session_hash != 0) {
        pool->events->on_assigned(pool->owner, request, worker->id);
    }
    if (sp__herald_listens(pool->shop->herald)) {
        sp__heard_sent(request, waited);
    }
}

/* Those whose worker would not take them end with that error: nothing has run. */
void sp__flow_return_unsent(struct pool *pool)
{
    struct link *link;
    while ((link = sp__list_pop(&pool->unsent)) != NULL) {
        struct request *request = ITEM(link, struct request, on_queue);
        sp_error failure = {0};
        sp__request_take_error(request, &failure);
        struct core_event event = {.kind = CORE_CALL_FAILED,
                                   .call = request->number,
                                   .executed = SP_EXECUTED_NO};
        sp__pool_step(pool, &event, &failure);
        sp_error_clear(&failure);
    }
}

void sp__flow_wait(struct pool *pool, const struct core_action *action)
{
    struct request *request = pool->requests[action->call];
    request->state = REQUEST_QUEUED;
    if (action->due_ms != CORE_NEVER) {
        sp__timer_set(pool->shop->loop, &request->timer, action->due_ms);
    } else {
        sp__timer_stop(pool->shop->loop, &request->timer);
    }
    if (pool->share != NULL && request->lineage != NULL) {
        pool->events->on_nested_waits(pool->owner, request);
    }
    uint32_t queued =
        pool->share != NULL ? sp__share_queued(pool) : pool->core.queue.length;
    if (queued > pool->stats.queued_peak) {
        pool->stats.queued_peak = queued;
    }
    if (sp__herald_listens(pool->shop->herald)) {
        sp__heard_queued(request);
    }
}

static int wants_kill(const struct request *request)
{
    return (request->flags & SP_CALL_CANCEL_KILLS) != 0;
}

/* Take the call off its worker, if it is on one, and say what came of it. */
static void take_back(struct request *request, struct core_event *event)
{
    struct worker *worker = request->call.worker;
    if (worker != NULL) {
        event->executed = sp__worker_cancel(&request->call);
        if (event->executed != SP_EXECUTED_NO && wants_kill(request)) {
            sp__worker_kill(worker, WHY_CANCELLED);
            return;
        }
        event->stuck = sp__worker_is_stuck(worker);
        request->pool->stuck += event->stuck != 0;
    }
}

static void timer_fired(struct timer *timer, uint64_t now_ms)
{
    struct request *request = ITEM(timer, struct request, timer);
    struct core_event event = {.kind = CORE_CALL_DUE, .call = request->number};
    if (request->number == CORE_NONE) {
        return; /* it ended in this very turn */
    }
    if (request->state == REQUEST_SENT) {
        take_back(request, &event);
    }
    sp__pool_step(request->pool, &event, NULL);
}

/* ---- coming in ---- */

/* FNV-1a, 64 bits; never 0. */
static uint64_t fingerprint_of(const struct request *request)
{
    const uint8_t *at = request->message;
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < request->message_bytes; i++) {
        hash = (hash ^ at[i]) * 1099511628211u;
    }
    return hash | 1;
}

static int register_call(struct pool *pool, struct request *request)
{
    uint32_t number = sp__core_call_new(&pool->core);
    if (number == CORE_NONE) {
        return SP_ERR_NOMEM;
    }
    if (number >= pool->requests_max) {
        struct request **grown =
            sp__realloc(pool->requests, pool->core.calls_max * sizeof *grown);
        if (grown == NULL) {
            sp__core_call_drop(&pool->core, number);
            return SP_ERR_NOMEM;
        }
        memset(grown + pool->requests_max, 0,
               (pool->core.calls_max - pool->requests_max) * sizeof *grown);
        pool->requests = grown;
        pool->requests_max = pool->core.calls_max;
    }
    pool->requests[number] = request;
    request->number = number;
    return SP_OK;
}

/* A worker is seated, or it is no more: then no generation of any seat fits. */
static void prefer(struct pool *pool, const struct request *request,
                   struct core_call *call)
{
    const struct worker *worker = sp__map_find(&pool->shop->by_id, request->preferred);
    call->preferred = 0;
    if (worker != NULL && worker->owner == pool) {
        call->preferred = worker->slot;
        call->preferred_generation = pool->core.seats[worker->slot].generation;
    }
}

static int is_with_worker(const struct request *request)
{
    return request->number != CORE_NONE &&
           request->pool->core.calls[request->number].state == CALL_SENT;
}

static void learn_asking(struct tool *tool)
{
    if (tool != NULL) {
        tool->average_us = sp__sched_learn_asking(tool->average_us);
    }
}

/* Those who ask for it and are with workers of this pool. */
static void nest(struct pool *pool, const struct request *request,
                 struct core_call *call)
{
    const struct lineage *lineage = request->lineage;
    call->nested = 1;
    for (uint32_t i = 0; i < lineage->depth; i++) {
        const struct request *ancestor =
            pool->events->on_find(pool->owner, lineage->calls[i]);
        if (ancestor != NULL && ancestor->pool == pool && is_with_worker(ancestor)) {
            call->ancestors[call->ancestors_count++] = ancestor->number;
            learn_asking(ancestor->tool);
        }
    }
}

/* A cancelled call may have left user code since its worker was looked at last. */
static void look_at_stuck(struct pool *pool)
{
    for (uint32_t i = 0; i < pool->core.seats_count; i++) {
        if (pool->core.seats[i].stuck && pool->workers[i] != NULL &&
            !sp__worker_is_stuck(pool->workers[i])) {
            sp__pool_worker_free(pool->workers[i]);
        }
    }
}

/* Its session has a worker here and insists on it, or had. */
static int stays_here(const struct request *request)
{
    return request->preferred != 0 && request->affinity >= SP_AFFINITY_STRICT_QUEUE;
}

/* In a part: with what it has been through in others. */
static void become_part(struct pool *pool, const struct request *request,
                        struct core_call *call)
{
    call->attempts = request->result.attempts;
    call->executed = (uint8_t)request->executed;
    call->deaths = request->deaths;
    if (call->attempts > 0) {
        call->queue_deadline_ms = call->deadline_ms; /* it has had its turn */
    }
    sp__share_take_place(pool, request->state == REQUEST_QUEUED);
}

void sp__pool_submit(struct pool *pool, struct request *request)
{
    SP__ON_LOOP(pool->shop->loop);
    request->number = CORE_NONE;
    if (pool->share != NULL && pool->core.states[SEAT_READY] == 0 &&
        !pool->core.closing && !stays_here(request) && sp__share_others_ready(pool)) {
        pool->events->on_elsewhere(pool->owner, request, NULL);
        return;
    }
    pool->stats.requests++;
    if (sp__timer_init(pool->shop->loop, &request->timer, timer_fired) < 0 ||
        register_call(pool, request) < 0) {
        fail_request(request, SP_ERR_NOMEM, "no memory for one more call");
        return;
    }
    if (pool->stuck > 0) {
        look_at_stuck(pool);
    }
    if (request->tool == NULL) {
        request->tool = sp__tools_of(&pool->tools, request->tool_name);
    }
    struct core_call *call = &pool->core.calls[request->number];
    call->idempotent = (request->flags & SP_CALL_IDEMPOTENT) != 0;
    call->streaming = request->streaming != 0;
    call->affinity = (uint8_t)request->affinity;
    if (request->tool != NULL && !request->streaming) {
        call->average_us = &request->tool->average_us;
    }
    call->deadline_ms = request->deadline_ms;
    call->queue_deadline_ms = request->queue_deadline_ms;
    if (request->preferred != 0) {
        prefer(pool, request, call);
    }
    if (request->lineage != NULL) {
        nest(pool, request, call);
    }
    if (pool->share != NULL) {
        become_part(pool, request, call);
    }
    if (sp__core_wants_fingerprint(&pool->core)) {
        call->fingerprint = fingerprint_of(request);
    }
    struct core_event event = {.kind = CORE_SUBMIT, .call = request->number};
    sp__pool_step(pool, &event, NULL);
}

void sp__pool_cancel(struct request *request)
{
    struct core_event event = {.kind = CORE_CANCEL, .call = request->number};
    if (request->state == REQUEST_ENDED || request->number == CORE_NONE) {
        return; /* it was faster */
    }
    take_back(request, &event);
    sp__pool_step(request->pool, &event, NULL);
}

void sp__pool_asks(struct request *request)
{
    struct core_event event = {.kind = CORE_ASKS, .call = request->number};
    if (is_with_worker(request)) {
        learn_asking(request->tool);
        sp__pool_step(request->pool, &event, NULL);
    }
}

void sp__pool_end_deadlock(struct request *request)
{
    struct core_event event = {.kind = CORE_DEADLOCK, .call = request->number};
    if (request->state == REQUEST_QUEUED && request->number != CORE_NONE) {
        sp__pool_step(request->pool, &event, NULL);
    }
}

/* ---- what workers answer ---- */

/* The binary stays in the message it came with, when that is given. */
static int take_binary(sp_result *result, sp_bytes binary, struct sp_buffer *memory)
{
    if (memory->data == NULL) {
        return sp__result_copy_binary(result, binary);
    }
    size_t size;
    uint8_t *data;
    sp__buf_take(memory, &data, &size);
    result->memory = data;
    result->binary = (void *)(uintptr_t)binary.data;
    result->binary_bytes = binary.size;
    return SP_OK;
}

static void reply_came(struct worker_call *call, const struct proto_response *response,
                       struct sp_buffer *memory)
{
    struct request *request = ITEM(call, struct request, call);
    if (!response->success) {
        sp_error *error = sp__request_error(request, SP_EXECUTED_YES);
        sp__proto_get_error_text(response->error_message, error);
        if (error != NULL) {
            error->executed = SP_EXECUTED_YES;
            error->worker_pid = request->result.worker_pid;
        }
        return;
    }
    sp_bytes json =
        response->result_json.size > 0 ? response->result_json : sp_text("null");
    int rc = sp__result_copy_json(&request->result, json);
    if (rc == SP_OK && response->binary_result.size > 0) {
        rc = take_binary(&request->result, response->binary_result, memory);
    }
    if (rc < 0) {
        (void)sp__request_fail(request, rc, SP_EXECUTED_YES,
                               "no memory for the result");
    }
}

static void chunk_came(struct worker_call *call, const struct proto_chunk *chunk,
                       size_t wire_bytes)
{
    struct request *request = ITEM(call, struct request, call);
    struct pool *pool = request->pool;
    pool->stats.chunks++;
    request->chunks++;
    pool->core.calls[request->number].touched = 1;
    if (sp__herald_listens(pool->shop->herald)) {
        sp__heard_chunk(request, chunk->data.size + chunk->binary.size);
    }
    sp_error failure;
    sp__error_init(&failure);
    int rc = sp__mailbox_put(&request->mailbox, chunk->data, chunk->binary, wire_bytes,
                             &failure);
    if (rc < 0) {
        struct core_event event = {.kind = CORE_CALL_FAILED, .call = request->number};
        (void)sp__worker_cancel(call);
        event.executed = SP_EXECUTED_UNKNOWN;
        sp__pool_step(pool, &event, &failure);
        sp_error_clear(&failure);
    } else if (rc == 1) {
        pool->events->on_chunks(pool->owner, request);
    }
}

/* By fault of the worker or of the way there, not of the call. */
static int is_lost(const sp_error *failure)
{
    int category = sp_error_category(failure->code);
    return category == SP_CATEGORY_WORKER || category == SP_CATEGORY_WIRE ||
           failure->code == SP_ERR_GUARD;
}

static void call_ended(struct worker_call *call, sp_error *failure,
                       struct worker *worker)
{
    struct request *request = ITEM(call, struct request, call);
    struct pool *pool = request->pool;
    uint64_t now_us = sp__loop_now_us(pool->shop->loop);
    struct core_event event = {.kind = CORE_CALL_OK, .call = request->number};
    request->result.run_us = now_us > request->sent_us ? now_us - request->sent_us : 0;
    if (failure != NULL) {
        if (worker->state == WORKER_DEAD) {
            /* Its calls come before its death: it must not get them back. */
            sp__pool_worker_stopping(worker);
        }
        if (wants_kill(request) && failure->executed != SP_EXECUTED_NO &&
            (failure->code == SP_ERR_TIMEOUT || failure->code == SP_ERR_CANCELLED)) {
            /* The worker was the first to see the deadline pass. */
            sp__worker_kill(worker, WHY_CANCELLED);
        }
        event.kind = CORE_CALL_FAILED;
        event.executed = failure->executed;
        event.lost = is_lost(failure);
        event.blamed =
            worker->state == WORKER_DEAD && sp__pool_died_of_itself(worker, failure);
        if (event.blamed && pool->options.poison_block_ms > 0) {
            pool->core.calls[request->number].fingerprint = fingerprint_of(request);
        }
    }
    sp__pool_step(pool, &event, failure);
}

static void describe_call(const struct worker_call *call, sp_death_call *ret)
{
    const struct request *request = ITEM(call, struct request, call);
    ret->tool = request->tool_name;
    ret->request_id = request->request_id;
    ret->stage = request->chunks > 0 ? SP_STAGE_STREAMING : ret->stage;
}

static const char *session_of(const struct worker_call *call)
{
    return ITEM(call, struct request, call)->session;
}

static uint64_t number_of(const struct worker_call *call)
{
    return ITEM(call, const struct request, call)->id;
}

static const struct worker_events worker_events = {
    .on_spawned = sp__pool_worker_spawned,
    .on_ready = sp__pool_worker_ready,
    .on_stopping = sp__pool_worker_stopping,
    .on_dead = sp__pool_worker_dead,
    .on_line = sp__pool_worker_line,
    .on_describe = describe_call,
    .number_of = number_of,
    .session_of = session_of,
    .on_free = sp__pool_worker_free,
    .on_hung = sp__pool_worker_hung,
    .on_sampled = sp__pool_worker_sampled,
    .on_reply = reply_came,
    .on_chunk = chunk_came,
    .on_end = call_ended,
};

const struct worker_events *const sp__flow_worker_events = &worker_events;
