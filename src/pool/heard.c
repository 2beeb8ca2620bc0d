/* SPDX-License-Identifier: MIT */
/*
 * What is told of each call, to those who want to hear: that it waits, goes to a worker,
 * streams, ends. Up to a dozen events for one call, and none of it is on the way of calls
 * while nobody listens: heard.h has the test.
 */
#include "pool/heard.h"

#include "base/clock.h"
#include "pool/pool.h"
#include "pool/share.h"

static void tell(const struct request *request, int kind, struct tidings tidings)
{
    struct pool *pool = request->pool;
    sp_event *event = &tidings.event;
    event->kind = kind;
    event->pool = pool->name;
    event->session = request->session;
    if (request->result.worker != 0) {
        event->worker = request->result.worker;
        event->pid = request->result.worker_pid;
        event->slot = request->slot;
    }
    sp__herald_tell(pool->shop->herald, &tidings);
}
#define TELL(request, kind, ...) tell(request, kind, (struct tidings){__VA_ARGS__})

static uint32_t depth_of(const struct pool *pool)
{
    return pool->share != NULL ? sp__share_queued(pool) : pool->core.queue.length;
}

static double waited_us(const struct request *request)
{
    uint64_t now_us = sp__loop_now_us(request->pool->shop->loop);
    return now_us > request->created_us ? (double)(now_us - request->created_us) : 0;
}

/* Of the same, in whole ms. */
static double waited_ms(const struct request *request)
{
    return (double)((uint64_t)waited_us(request) / 1000);
}

static const char *operation_of(const struct request *request)
{
    return request->streaming ? "execute_stream" : "execute";
}

void sp__heard_queued(const struct request *request)
{
    TELL(request, SP_EVENT_QUEUE_ENQUEUED, EVENT_NUMBERS(depth_of(request->pool)),
         EVENT_TEXTS(request->tool_name));
}

void sp__heard_sent(const struct request *request, int waited)
{
    double now_ns = (double)sp__unix_ns();
    const char *tool = request->tool_name;
    if (request->result.attempts == 1) {
        TELL(request, SP_EVENT_BREAKER_ALLOWED, EVENT_TEXTS(tool));
    } else {
        TELL(request, SP_EVENT_RETRY_ATTEMPT,
             EVENT_NUMBERS(request->result.attempts, waited_ms(request)),
             EVENT_TEXTS(tool));
    }
    if (waited) {
        TELL(request, SP_EVENT_QUEUE_DEQUEUED,
             EVENT_NUMBERS(waited_us(request), depth_of(request->pool)),
             EVENT_TEXTS(tool));
    }
    TELL(request, SP_EVENT_CALL_DISPATCHED, EVENT_NUMBERS(now_ns),
         EVENT_TEXTS(tool, waited ? "true" : "false"));
    TELL(request,
         request->session[0] != '\0' ? SP_EVENT_EXECUTE_SESSION_START
                                     : SP_EVENT_EXECUTE_START,
         EVENT_NUMBERS(now_ns),
         EVENT_TEXTS(operation_of(request), tool, request->request_id));
    if (request->streaming) {
        TELL(request, SP_EVENT_STREAM_OPENED, EVENT_NUMBERS(now_ns), EVENT_TEXTS(tool));
    }
}

void sp__heard_chunk(const struct request *request, size_t bytes)
{
    TELL(request, SP_EVENT_STREAM_MESSAGE,
         EVENT_NUMBERS((double)request->chunks - 1, (double)bytes),
         EVENT_TEXTS(request->tool_name));
}

/* ---- endings ---- */

static void tell_answer(const struct request *request)
{
    int in_session = request->session[0] != '\0';
    double run_ms = (waited_us(request) - (double)request->result.queued_us) / 1000;
    if (request->error == NULL) {
        TELL(request,
             in_session ? SP_EVENT_EXECUTE_SESSION_STOP : SP_EVENT_EXECUTE_STOP,
             EVENT_NUMBERS(run_ms, 1),
             EVENT_TEXTS(operation_of(request), request->tool_name,
                         request->request_id));
    } else {
        TELL(request,
             in_session ? SP_EVENT_EXECUTE_SESSION_EXCEPTION
                        : SP_EVENT_EXECUTE_EXCEPTION,
             EVENT_NUMBERS(run_ms, 1),
             EVENT_TEXTS(operation_of(request), request->tool_name, request->request_id,
                         sp_error_name(sp__request_code(request))));
    }
    if (request->streaming) {
        TELL(
            request, SP_EVENT_STREAM_CLOSED,
            EVENT_NUMBERS((double)request->chunks, run_ms),
            EVENT_TEXTS(request->tool_name, request->error == NULL ? "true" : "false"));
    }
}

static void tell_attempts(const struct request *request)
{
    double attempts = request->result.attempts;
    double total_ms = waited_ms(request);
    if (request->error == NULL) {
        TELL(request, SP_EVENT_RETRY_SUCCESS, EVENT_NUMBERS(attempts, total_ms),
             EVENT_TEXTS(request->tool_name));
    } else {
        TELL(request, SP_EVENT_RETRY_EXHAUSTED, EVENT_NUMBERS(attempts, total_ms),
             EVENT_TEXTS(request->tool_name, sp_error_name(sp__request_code(request))));
    }
}

/* What it says about its pool, as the breaker sees it. */
static void tell_verdict(const struct request *request)
{
    int code = sp__request_code(request);
    if (code == SP_ERR_BREAKER_OPEN) {
        TELL(request, SP_EVENT_BREAKER_REJECTED, EVENT_TEXTS(request->tool_name));
    } else if (code == 0) {
        TELL(request, SP_EVENT_BREAKER_SUCCESS, EVENT_TEXTS(request->tool_name));
    } else if (sp_error_category(code) == SP_CATEGORY_WORKER) {
        TELL(request, SP_EVENT_BREAKER_FAILURE, EVENT_TEXTS(request->tool_name));
    }
}

void sp__heard_ended(const struct request *request)
{
    int code = sp__request_code(request);
    const char *tool = request->tool_name;
    if (code == SP_ERR_QUEUE_TIMEOUT) {
        TELL(request, SP_EVENT_QUEUE_TIMEOUT, EVENT_NUMBERS(waited_us(request)),
             EVENT_TEXTS(tool));
    }
    if (request->sent_us != 0) {
        tell_answer(request);
    }
    if (request->result.attempts > 1) {
        tell_attempts(request);
    }
    tell_verdict(request);
    TELL(request, SP_EVENT_REQUEST_EXECUTED,
         EVENT_NUMBERS(waited_us(request), waited_ms(request)),
         EVENT_TEXTS(tool, code == 0 ? "true" : "false",
                     code == 0 ? "ok" : sp_error_name(code)));
}
