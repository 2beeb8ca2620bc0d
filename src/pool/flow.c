/* SPDX-License-Identifier: MIT */
/*
 * Calls through the pool: queue, worker, ending.
 *
 * Normal course: a submitted request goes to a worker at once when one has room (schedule.h
 * says what room is), else to the end of the queue; whenever a worker gets room it pulls
 * from the front. Its answer ends it.
 *
 * A request has one timer: while it waits, the earlier of its queue and its call
 * deadline; afterwards the call deadline. When its worker dies, or refuses it, before
 * user code began, it goes back to the front of the queue, three times at most; one that
 * may have run is sent again only when it is marked idempotent and no chunk of it has
 * been seen.
 */
#include "pool/flow.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "pool/schedule.h"

enum { ATTEMPTS_MAX = 3 };

/* ---- ending ---- */

static void count_ending(struct pool *pool, const struct request *request)
{
    switch (request->error.code) {
    case 0:
        pool->stats.succeeded++;
        return;
    case SP_ERR_QUEUE_TIMEOUT:
        pool->stats.queue_timeouts++;
        break;
    case SP_ERR_TIMEOUT:
        pool->stats.call_timeouts++;
        break;
    case SP_ERR_CANCELLED:
        pool->stats.cancelled++;
        break;
    default:
        break;
    }
    pool->stats.errors++;
}

static void leave_queue(struct pool *pool, struct request *request)
{
    if (request->on_queue.on != NULL) {
        sp__list_remove(&request->on_queue);
        pool->queue_bound -= request->preferred != 0 &&
                             pool->options.affinity == SP_AFFINITY_STRICT_QUEUE;
    }
}

/* The one ending. failure NULL: it went well; otherwise it is moved from. */
static void end_request(struct request *request, sp_error *failure)
{
    struct pool *pool = request->pool;
    assert(request->state != REQUEST_ENDED);
    leave_queue(pool, request);
    request->state = REQUEST_ENDED;
    if (request->timer.fire != NULL) {
        sp__timer_fini(pool->shop->loop, &request->timer);
    }
    if (failure != NULL) {
        sp_error_move(&request->error, failure);
    }
    if (request->error.code != 0) {
        request->error.attempts = request->result.attempts;
    }
    count_ending(pool, request);
    pool->events->on_ended(pool->owner, request);
}

static void fail_request(struct request *request, int code, int executed,
                         const char *message)
{
    sp_error failure = {0};
    sp__fail(&failure, code, "%s", message);
    failure.executed = executed;
    end_request(request, &failure);
}

/* ---- assigning ---- */

static struct sched_worker view_of(struct worker *worker)
{
    return (struct sched_worker){
        .in_flight = worker->in_flight.length,
        .capacity = worker->capacity,
        .estimate_us = worker->estimate_us,
        .stuck = (worker->abandoned_count > 0 && sp__worker_is_stuck(worker)) ||
                 sp__worker_is_spent(worker),
    };
}

static uint64_t estimate_of(const struct request *request)
{
    if (request->streaming || request->tool == NULL || request->tool->average_us == 0) {
        return SCHED_UNKNOWN_US;
    }
    return request->tool->average_us;
}

static int has_room(struct pool *pool, struct worker *worker,
                    const struct request *request)
{
    struct sched_worker view = view_of(worker);
    return sp__sched_has_room(&view, estimate_of(request), pool->options.pipeline_max);
}

static void assign(struct request *request, struct worker *worker)
{
    struct pool *pool = request->pool;
    uint64_t now_ms = sp__loop_now_ms(pool->shop->loop);
    uint64_t left_ms = SP_UNLIMITED;
    if (request->deadline_ms != SP_UNLIMITED) {
        /* Its timer may be due in this very turn. */
        left_ms = request->deadline_ms > now_ms ? request->deadline_ms - now_ms : 1;
    }
    leave_queue(pool, request);
    request->call = (struct worker_call){.streaming = request->streaming,
                                         .estimate_us = estimate_of(request)};
    sp_error failure = {0};
    int rc = sp__worker_send(worker, &request->call,
                             (sp_bytes){request->message.data, request->message.size},
                             left_ms, &failure);
    if (rc < 0) {
        failure.executed = SP_EXECUTED_NO;
        end_request(request, &failure);
        return;
    }
    request->state = REQUEST_SENT;
    request->sent_us = request->call.sent_us;
    request->result.attempts++;
    request->result.worker = worker->id;
    request->result.worker_pid = worker->pid;
    request->result.queued_us = request->sent_us > request->created_us
                                    ? request->sent_us - request->created_us
                                    : 0;
    if (request->deadline_ms != SP_UNLIMITED) {
        sp__timer_set(pool->shop->loop, &request->timer, request->deadline_ms);
    } else {
        sp__timer_stop(pool->shop->loop, &request->timer);
    }
    sp__pool_rehome(pool, worker);
    if (request->session_hash != 0) {
        pool->events->on_assigned(pool->owner, request, worker->id);
    }
}

static struct worker *find_preferred(struct pool *pool, const struct request *request)
{
    struct worker *worker = request->preferred == 0
                                ? NULL
                                : sp__map_find(&pool->shop->by_id, request->preferred);
    return worker != NULL && worker->owner == pool ? worker : NULL;
}

/* The best worker with room: an idle one, the last used first (its memory is warm), else
 * the busy one that will be free first. */
static struct worker *find_any(struct pool *pool, const struct request *request)
{
    for (struct link *link = pool->idle.last; link != NULL; link = link->prev) {
        struct worker *worker = ITEM(link, struct worker, on_state);
        if (has_room(pool, worker, request)) {
            return worker;
        }
    }
    struct worker *best = NULL;
    struct sched_worker best_view = {0};
    for (struct link *link = pool->busy.first; link != NULL; link = link->next) {
        struct worker *worker = ITEM(link, struct worker, on_state);
        struct sched_worker view = view_of(worker);
        if (sp__sched_has_room(&view, estimate_of(request),
                               pool->options.pipeline_max) &&
            (best == NULL || sp__sched_is_better(&view, &best_view))) {
            best = worker;
            best_view = view;
        }
    }
    return best;
}

enum placing { PLACED, MUST_WAIT, MUST_WAIT_FOR_ITS_WORKER };

static enum placing place_bound(struct pool *pool, struct request *request)
{
    struct worker *worker = find_preferred(pool, request);
    if (worker == NULL || worker->state == WORKER_STOPPING) {
        request->preferred = 0; /* gone: any worker becomes the session's new one */
        if (pool->options.affinity == SP_AFFINITY_STRICT_FAIL_FAST) {
            fail_request(request, SP_ERR_NO_WORKER, SP_EXECUTED_NO,
                         "the session's worker is gone; the next call gets a new one");
            pool->events->on_assigned(pool->owner, request, 0);
            return PLACED;
        }
        return MUST_WAIT;
    }
    if (worker->state == WORKER_READY && has_room(pool, worker, request)) {
        assign(request, worker);
        return PLACED;
    }
    if (pool->options.affinity == SP_AFFINITY_STRICT_FAIL_FAST) {
        fail_request(request, SP_ERR_NO_WORKER, SP_EXECUTED_NO,
                     "the session's worker is busy");
        return PLACED;
    }
    return MUST_WAIT_FOR_ITS_WORKER;
}

static enum placing place(struct pool *pool, struct request *request)
{
    int affinity = pool->options.affinity;
    if (request->preferred != 0 && affinity >= SP_AFFINITY_STRICT_QUEUE) {
        enum placing placing = place_bound(pool, request);
        if (placing != MUST_WAIT) {
            return placing;
        }
    }
    struct worker *worker =
        affinity == SP_AFFINITY_HINT ? find_preferred(pool, request) : NULL;
    if (worker == NULL || worker->state != WORKER_READY ||
        worker->in_flight.length > 0 || !has_room(pool, worker, request)) {
        worker = find_any(pool, request);
    }
    if (worker == NULL) {
        return MUST_WAIT;
    }
    assign(request, worker);
    return PLACED;
}

/* May this worker have this waiting request? */
static int may_pull(struct pool *pool, struct worker *worker,
                    const struct request *request)
{
    if (pool->options.affinity == SP_AFFINITY_STRICT_QUEUE && request->preferred != 0 &&
        request->preferred != worker->id) {
        return find_preferred(pool, request) == NULL;
    }
    return 1;
}

void sp__flow_pull(struct pool *pool, struct worker *worker)
{
    struct link *link = pool->queue.first;
    while (link != NULL && worker->state == WORKER_READY) {
        struct request *request = ITEM(link, struct request, on_queue);
        link = link->next;
        if (!may_pull(pool, worker, request)) {
            continue;
        }
        if (!has_room(pool, worker, request)) {
            break;
        }
        assign(request, worker);
    }
}

/* ---- deadlines ---- */

static void queue_timed_out(struct pool *pool, struct request *request)
{
    char message[SP_ERROR_MESSAGE_MAX];
    uint64_t waited_ms =
        (sp__loop_now_us(pool->shop->loop) - request->created_us) / 1000;
    if (pool->idle.length + pool->busy.length == 0) {
        (void)snprintf(message, sizeof message,
                       "pool %s had no ready worker for %llu ms%s%.300s", pool->name,
                       (unsigned long long)waited_ms,
                       pool->last_failure.code != 0 ? "; last start: " : "",
                       pool->last_failure.message);
    } else {
        (void)snprintf(
            message, sizeof message,
            "no worker of pool %s became free within %llu ms (%u busy, %u calls "
            "waiting)",
            pool->name, (unsigned long long)waited_ms, pool->busy.length,
            pool->queue.length);
    }
    fail_request(request, SP_ERR_QUEUE_TIMEOUT, SP_EXECUTED_NO, message);
}

static void call_timed_out(struct pool *pool, struct request *request)
{
    char message[256];
    struct worker *worker = request->call.worker;
    int executed = SP_EXECUTED_NO;
    if (worker != NULL) {
        executed = sp__worker_cancel(&request->call);
    }
    (void)snprintf(
        message, sizeof message, "\"%.100s\" did not end within %llu ms (%s)",
        request->tool_name,
        (unsigned long long)(request->deadline_ms - request->created_us / 1000),
        worker == NULL ? "it waited for a worker" : "it was with a worker");
    fail_request(request, SP_ERR_TIMEOUT, executed, message);
    if (worker != NULL) {
        sp__pool_rehome(pool, worker);
        sp__flow_pull(pool, worker);
    }
}

static void timer_fired(struct timer *timer, uint64_t now_ms)
{
    struct request *request = ITEM(timer, struct request, timer);
    struct pool *pool = request->pool;
    switch (request->state) {
    case REQUEST_QUEUED:
        if (now_ms >= request->deadline_ms) {
            call_timed_out(pool, request);
        } else {
            queue_timed_out(pool, request);
        }
        break;
    case REQUEST_SENT:
        call_timed_out(pool, request);
        break;
    case REQUEST_NEW:
    case REQUEST_ENDED:
        break; /* it has no timer then */
    }
}

/* ---- coming in ---- */

static void enqueue(struct pool *pool, struct request *request, int at_front)
{
    request->state = REQUEST_QUEUED;
    if (at_front) {
        sp__list_prepend(&pool->queue, &request->on_queue);
    } else {
        sp__list_append(&pool->queue, &request->on_queue);
    }
    pool->queue_bound +=
        request->preferred != 0 && pool->options.affinity == SP_AFFINITY_STRICT_QUEUE;
    if (pool->queue.length > pool->stats.queued_peak) {
        pool->stats.queued_peak = pool->queue.length;
    }
    uint64_t due_ms = at_front ? request->deadline_ms : request->queue_deadline_ms;
    if (due_ms != SP_UNLIMITED) {
        sp__timer_set(pool->shop->loop, &request->timer, due_ms);
    }
}

static void refuse_full(struct pool *pool, struct request *request)
{
    char message[160];
    (void)snprintf(message, sizeof message,
                   "%u calls already wait in pool %s, its limit (queue.max)",
                   pool->queue.length, pool->name);
    pool->stats.pool_saturated++;
    sp_event event = {.kind = SP_EVENT_POOL_SATURATED,
                      .time_unix_ms = sp__unix_ns() / 1000000u,
                      .pool = pool->name,
                      .exit_status = -1,
                      .message = message};
    pool->events->on_event(pool->owner, &event);
    fail_request(request, SP_ERR_QUEUE_FULL, SP_EXECUTED_NO, message);
}

/* The pool cannot take calls now or ever; NULL when it can. */
static const sp_error *why_not(const struct pool *pool)
{
    int nobody = pool->starting.length + pool->idle.length + pool->busy.length +
                     pool->stopping.length ==
                 0;
    int start_failed = pool->last_failure.code != 0;
    return nobody && start_failed && (pool->failed_for_good || !pool->was_ready)
               ? &pool->last_failure
               : NULL;
}

void sp__pool_submit(struct pool *pool, struct request *request)
{
    SP__ON_LOOP(pool->shop->loop);
    pool->stats.requests++;
    if (pool->closing) {
        fail_request(request, SP_ERR_CLOSED, SP_EXECUTED_NO, "the pool is closing");
        return;
    }
    const sp_error *refusal = why_not(pool);
    if (refusal != NULL) {
        sp_error failure = {0};
        sp__error_copy(&failure, refusal);
        end_request(request, &failure);
        return;
    }
    if (sp__timer_init(pool->shop->loop, &request->timer, timer_fired) < 0) {
        fail_request(request, SP_ERR_NOMEM, SP_EXECUTED_NO, "no memory for a deadline");
        return;
    }
    request->tool = sp__tools_of(&pool->tools, request->tool_name);
    /* Nobody overtakes those who wait for any worker. */
    if (pool->queue.length == pool->queue_bound && place(pool, request) == PLACED) {
        return;
    }
    if (pool->queue.length >= pool->options.queue_max) {
        refuse_full(pool, request);
        return;
    }
    enqueue(pool, request, 0);
}

void sp__pool_cancel(struct request *request)
{
    struct pool *pool = request->pool;
    struct worker *worker = request->call.worker;
    int executed = SP_EXECUTED_NO;
    switch (request->state) {
    case REQUEST_SENT:
        if (worker != NULL) {
            executed = sp__worker_cancel(&request->call);
        }
        break;
    case REQUEST_NEW:
    case REQUEST_QUEUED:
        break;
    case REQUEST_ENDED:
        return; /* it was faster */
    }
    fail_request(request, SP_ERR_CANCELLED, executed, "cancelled by its caller");
    if (worker != NULL && worker->state == WORKER_READY) {
        sp__pool_rehome(pool, worker);
        sp__flow_pull(pool, worker);
    }
}

void sp__flow_fail_queue(struct pool *pool, const sp_error *failure)
{
    struct link *link;
    while ((link = pool->queue.first) != NULL) {
        struct request *request = ITEM(link, struct request, on_queue);
        sp_error copy = {0};
        sp__error_copy(&copy, failure);
        copy.executed = SP_EXECUTED_NO;
        end_request(request, &copy);
    }
}

void sp__flow_end_all(struct pool *pool, const sp_error *failure)
{
    sp__flow_fail_queue(pool, failure);
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        struct worker *worker = pool->slots[i].worker;
        while (worker != NULL && worker->in_flight.first != NULL) {
            struct worker_call *call =
                ITEM(worker->in_flight.first, struct worker_call, on_worker);
            struct request *request = ITEM(call, struct request, call);
            sp_error copy = {0};
            sp__error_copy(&copy, failure);
            copy.executed = sp__worker_cancel(call);
            end_request(request, &copy);
        }
    }
}

/* ---- what workers answer ---- */

static int copy_bytes(sp_bytes from, char **ret_data, size_t *ret_size)
{
    if (from.size > 0 || *ret_data == NULL) {
        char *copy = sp__malloc(from.size + 1);
        if (copy == NULL) {
            return SP_ERR_NOMEM;
        }
        if (from.size > 0) {
            memcpy(copy, from.data, from.size);
        }
        copy[from.size] = '\0';
        *ret_data = copy;
        *ret_size = from.size;
    }
    return SP_OK;
}

static void reply_came(struct worker_call *call, const struct proto_response *response)
{
    struct request *request = ITEM(call, struct request, call);
    if (!response->success) {
        sp__proto_get_error_text(response->error_message, &request->error);
        request->error.executed = SP_EXECUTED_YES;
        request->error.worker_pid = request->result.worker_pid;
        return;
    }
    sp_bytes json =
        response->result_json.size > 0 ? response->result_json : sp_text("null");
    int rc = copy_bytes(json, &request->result.json, &request->result.json_bytes);
    if (rc == SP_OK && response->binary_result.size > 0) {
        char *binary = NULL;
        rc =
            copy_bytes(response->binary_result, &binary, &request->result.binary_bytes);
        request->result.binary = binary;
    }
    if (rc < 0) {
        sp__fail(&request->error, rc, "no memory for a result of %zu bytes",
                 json.size + response->binary_result.size);
        request->error.executed = SP_EXECUTED_YES;
    }
}

static void chunk_came(struct worker_call *call, sp_bytes data, size_t wire_bytes)
{
    struct request *request = ITEM(call, struct request, call);
    struct pool *pool = request->pool;
    pool->stats.chunks++;
    sp_error failure = {0};
    int rc =
        sp__mailbox_put(&request->mailbox, data.data, data.size, wire_bytes, &failure);
    if (rc < 0) {
        failure.executed = SP_EXECUTED_UNKNOWN;
        struct worker *worker = call->worker;
        (void)sp__worker_cancel(call);
        end_request(request, &failure);
        sp__pool_rehome(pool, worker);
    } else if (rc == 1) {
        pool->events->on_chunks(pool->owner, request);
    }
}

/* Not begun, or allowed to be repeated, and still worth it. */
static int may_repeat(const struct request *request, const sp_error *failure)
{
    int category = sp_error_category(failure->code);
    if (request->pool->closing || request->result.attempts >= ATTEMPTS_MAX ||
        (category != SP_CATEGORY_WORKER && category != SP_CATEGORY_WIRE &&
         failure->code != SP_ERR_GUARD)) {
        return 0;
    }
    if (failure->executed == SP_EXECUTED_NO) {
        return 1;
    }
    int untouched = !request->streaming ||
                    (request->mailbox.index == 0 && request->mailbox.filling.size == 0);
    return (request->flags & SP_CALL_IDEMPOTENT) && untouched;
}

static void call_ended(struct worker_call *call, sp_error *failure,
                       struct worker *worker)
{
    struct request *request = ITEM(call, struct request, call);
    struct pool *pool = request->pool;
    uint64_t now_us = sp__loop_now_us(pool->shop->loop);
    request->result.run_us = now_us > request->sent_us ? now_us - request->sent_us : 0;

    if (failure != NULL && may_repeat(request, failure)) {
        pool->stats.retried++;
        enqueue(pool, request, 1);
    } else if (failure != NULL) {
        end_request(request, failure);
    } else {
        if (request->tool != NULL && !request->streaming) {
            request->tool->average_us =
                sp__sched_learn(request->tool->average_us, call->service_us);
        }
        pool->slots[worker->slot].failures = 0;
        end_request(request, NULL);
    }
    if (worker->state == WORKER_READY) {
        sp__pool_rehome(pool, worker);
        sp__flow_pull(pool, worker);
    }
}

static void worker_free(struct worker *worker)
{
    sp__flow_pull(worker->owner, worker);
}

static const struct worker_events worker_events = {
    .on_spawned = sp__pool_worker_spawned,
    .on_ready = sp__pool_worker_ready,
    .on_stopping = sp__pool_worker_stopping,
    .on_dead = sp__pool_worker_dead,
    .on_line = sp__pool_worker_line,
    .on_free = worker_free,
    .on_hung = sp__pool_worker_hung,
    .on_reply = reply_came,
    .on_chunk = chunk_came,
    .on_end = call_ended,
};

const struct worker_events *const sp__flow_worker_events = &worker_events;
