/* SPDX-License-Identifier: MIT */
/*
 * Calls of host tools.
 *
 * Normal course: the loop makes the call and puts it where threads of the program find it
 * (host_work.c); for a tool that takes any thread, the pit's own are sent too, and whoever
 * comes first runs it. The function answers, then or later, and an errand brings that
 * back to the loop, which tells who asked. Chunks go the same way through a mailbox.
 *
 * Failure: who asked is gone, or the time is over: the call is OVER for the loop. If its
 * function has not begun it never will; else the program finds out when it looks, and
 * answers into nothing. The object stays until it has, so an answer never meets a freed
 * call, not even after the pit has been closed.
 */
#include "pit/host_call.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "pool/result.h"
#include "wire/json.h"

static _Thread_local const struct sp_tool_call *here;
static _Thread_local int on_runner;

int sp__host_call_on_runner(void)
{
    return on_runner;
}

const struct lineage *sp__host_call_lineage(const struct sp_pit *pit)
{
    return here != NULL && here->pit == pit ? &here->lineage : NULL;
}

/* ---- memory ---- */

static void drop(struct sp_tool_call *call)
{
    if (atomic_fetch_sub_explicit(&call->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    sp__mailbox_fini(&call->mailbox);
    (void)pthread_mutex_destroy(&call->lock);
    sp_result_clear(&call->result);
    sp_error_clear(&call->error);
    sp__host_tool_unref(call->tool);
    sp__free(call->binary);
    sp__free(call->carried);
    sp__free(call);
}

static void hold(struct sp_tool_call *call)
{
    atomic_fetch_add_explicit(&call->references, 1, memory_order_relaxed);
}

static sp_bytes put_bytes(char **at, sp_bytes bytes)
{
    char *begin = *at;
    if (bytes.size > 0) {
        memcpy(begin, bytes.data, bytes.size);
    }
    begin[bytes.size] = '\0';
    *at += bytes.size + 1;
    return (sp_bytes){begin, bytes.size};
}

static struct sp_tool_call *build(const struct host_call_wish *wish)
{
    sp_bytes session = sp_text(wish->session);
    size_t size = session.size + wish->args_json.size + 2;
    for (size_t i = 0; i < wish->binary_count; i++) {
        size += wish->binary[i].key.size + wish->binary[i].value.size + 2;
    }
    struct sp_tool_call *call = sp__calloc(1, sizeof *call + size);
    if (call == NULL) {
        return NULL;
    }
    call->binary = sp__calloc(wish->binary_count + 1, sizeof *call->binary);
    if (call->binary == NULL) {
        sp__free(call);
        return NULL;
    }
    char *at = call->text;
    call->session = put_bytes(&at, session).data;
    call->args = put_bytes(&at, wish->args_json);
    for (size_t i = 0; i < wish->binary_count; i++) {
        call->binary[i].key = put_bytes(&at, wish->binary[i].key);
        call->binary[i].value = put_bytes(&at, wish->binary[i].value);
    }
    call->binary_count = wish->binary_count;
    atomic_init(&call->references, 2);
    (void)pthread_mutex_init(&call->lock, NULL);
    sp__mailbox_init(&call->mailbox);
    sp__latch_init(&call->room);
    return call;
}

/* ---- running ---- */

void sp__host_call_run(struct sp_tool_call *call)
{
    const struct sp_tool_call *before = here;
    hold(call); /* it may be answered in there */
    if (call->is_recorded) {
        (void)pthread_mutex_lock(&call->lock);
        call->begun_us = sp__now_us();
        (void)pthread_mutex_unlock(&call->lock);
    }
    here = call;
    call->tool->facts.fn(call, call->args, call->tool->facts.user_data);
    here = before;
    drop(call);
}

/* A thread of the pit, unless another one was faster. */
static void run_errand(struct errand *errand)
{
    struct sp_tool_call *call = ITEM(errand, struct sp_tool_call, errand);
    if (sp__work_remove(&call->pit->dispatch.work, call)) {
        on_runner = 1;
        sp__host_call_run(call);
    }
}

static void errand_done(struct errand *errand, int has_run)
{
    drop(ITEM(errand, struct sp_tool_call, errand));
}

/* ---- its span ---- */

/* Locked, on its way to ANSWERED or OVER, so that there is a pit. */
static void record(const struct sp_tool_call *call, int error)
{
    if (!call->is_recorded) {
        return;
    }
    struct span_record record = {
        .kind = SPAN_HOST,
        .error = error,
        .begin_us = call->created_us,
        .sent_us = call->begun_us,
        .end_us = sp__now_us(),
        .call = call->id,
        .worker = call->worker,
    };
    sp__trace_ids(call->lineage.trace, record.trace, record.span);
    memcpy(record.parent, call->parent_span, sizeof record.parent);
    sp__span_put_name(record.session, sizeof record.session, call->session);
    sp__span_put_name(record.tool, sizeof record.tool, call->tool->facts.name);
    sp__spans_put(call->pit->spans, &record);
}

/* A span inside that of who asks; the first of a trace where a client came with none and
 * this one is picked. */
static int set_trace(struct sp_tool_call *call, const struct host_call_wish *wish,
                     sp_error *err)
{
    struct spans *spans = call->pit->spans;
    sp_bytes parent = sp_text(call->lineage.trace);
    if (wish->lineage == NULL && wish->trace != NULL) {
        parent = sp_text(wish->trace);
    }
    if (sp__trace_is_valid(parent)) {
        char own[TRACE_BYTES];
        uint8_t trace[TRACE_ID_BYTES];
        sp__trace_ids(parent.data, trace, call->parent_span);
        sp__trace_begin_span(own, parent);
        memcpy(call->lineage.trace, own, sizeof own);
    } else if (wish->lineage == NULL && sp__spans_picks(spans)) {
        sp__trace_begin(call->lineage.trace);
    }
    call->is_recorded =
        spans->records_calls && sp__trace_is_sampled(call->lineage.trace);
    const struct carried *carried =
        wish->lineage != NULL ? wish->lineage->carried : NULL;
    int rc =
        carried != NULL
            ? sp__carried_new(sp_text(carried->tracestate), sp_text(carried->baggage),
                              &call->carried, err)
            : sp__carried_new(wish->tracestate, wish->baggage, &call->carried, err);
    call->lineage.carried = call->carried;
    return rc;
}

/* ---- the loop's side ---- */

static void count_ending(const struct sp_tool_call *call, int code)
{
    struct tool_meter *meter =
        sp__meter_tool(&call->lane->callbacks, call->tool->facts.name);
    meter->counts.endings[sp__meter_code(code)]++;
}

static void news(struct sp_tool_call *call)
{
    (void)pthread_mutex_lock(&call->lock);
    int ended = call->state == HOST_CALL_ANSWERED;
    (void)pthread_mutex_unlock(&call->lock);
    if (call->on_news != NULL) {
        if (ended) {
            count_ending(call, call->error.code);
        }
        call->on_news(call, ended);
    }
}

static void run_back(struct command *command, void *user)
{
    struct sp_tool_call *call = ITEM(command, struct sp_tool_call, back);
    atomic_store_explicit(&call->back_posted, 0, memory_order_release);
    news(call);
    drop(call);
}

/* Its time is over: what the program answers from now on is not heard. */
static void time_over(struct timer *timer, uint64_t now_ms)
{
    struct sp_tool_call *call = ITEM(timer, struct sp_tool_call, timer);
    int is_open = 0;
    (void)pthread_mutex_lock(&call->lock);
    if (call->state == HOST_CALL_OPEN) {
        is_open = 1;
        call->state = HOST_CALL_OVER;
        sp__fail(&call->error, SP_ERR_TIMEOUT,
                 "host tool %s did not answer within %llu ms", call->tool->facts.name,
                 (unsigned long long)(now_ms - call->created_us / 1000));
        call->error.executed = SP_EXECUTED_UNKNOWN;
        record(call, SP_ERR_TIMEOUT);
    }
    (void)pthread_mutex_unlock(&call->lock);
    if (is_open) {
        count_ending(call, SP_ERR_TIMEOUT);
    }
    if (is_open && call->on_news != NULL) {
        call->on_news(call, 1);
    }
}

/* For the threads of the pit too; when none can be had, the program's remain. */
static void send_errand(struct sp_tool_call *call)
{
    call->errand = (struct errand){.run = run_errand, .done = errand_done};
    hold(call);
    if (sp__clerks_send(&call->lane->runners, &call->errand, NULL) < 0) {
        drop(call);
    }
}

/* What its function asks for ends with who asked for it, and counts on from there. */
static void set_lineage(struct sp_tool_call *call, const struct lineage *lineage)
{
    call->id =
        atomic_fetch_add_explicit(&call->pit->next_call, 1, memory_order_relaxed);
    call->lineage = lineage != NULL ? *lineage : (struct lineage){0};
    call->lineage.via = call->id;
    if (lineage == NULL || call->deadline_ms < call->lineage.deadline_ms) {
        call->lineage.deadline_ms = call->deadline_ms;
    }
    sp__lineage_add_name(&call->lineage, call->tool->facts.name);
}

static void cancel_on(struct lane *lane, const struct sp_tool_call *call)
{
    size_t at = 0;
    struct request *request;
    while ((request = sp__map_next(&lane->requests, &at)) != NULL) {
        if (request->lineage != NULL && request->lineage->via == call->id) {
            sp__pit_cancel_request(request);
        }
    }
}

static void run_sweep(struct command *command, void *user)
{
    struct sp_tool_call *call = ITEM(command, struct sp_tool_call, sweep);
    struct lane *lane = user;
    struct sp_pit *pit = lane->pit;
    cancel_on(lane, call);
    if (lane->number + 1 < pit->lanes_count && !lane->closing) {
        sp__loop_post(pit->lanes[lane->number + 1].loop, command);
    } else {
        drop(call);
    }
}

/* What its function has asked for is wanted no more than it is itself: here at once, on
 * other lanes soon. A call that is just then going from one to another is missed, and
 * has its deadline, which is no later than that of who asked. */
static void cancel_descendants(struct sp_tool_call *call)
{
    cancel_on(call->lane, call);
    if (call->pit->lanes_count > 1 && !call->lane->closing) {
        hold(call);
        call->sweep.run = run_sweep;
        sp__loop_post(call->pit->loop, &call->sweep);
    }
}

int sp__host_call_start(struct lane *lane, const struct host_call_wish *wish,
                        struct sp_tool_call **ret_call, sp_error *err)
{
    SP__ON_LOOP(lane->loop);
    struct sp_pit *pit = lane->pit;
    struct sp_tool_call *call = build(wish);
    if (call == NULL || sp__timer_init(lane->loop, &call->timer, time_over) < 0) {
        if (call != NULL) {
            drop(call);
            drop(call);
        }
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a call of a host tool");
    }
    call->pit = pit;
    call->lane = lane;
    call->tool = wish->tool;
    call->deadline_ms = wish->deadline_ms;
    call->worker = wish->worker;
    call->created_us = sp__now_us();
    set_lineage(call, wish->lineage);
    int rc = set_trace(call, wish, err);
    if (rc < 0) {
        sp__timer_fini(lane->loop, &call->timer);
        drop(call);
        drop(call);
        return rc;
    }
    call->on_news = wish->on_news;
    call->user = wish->user;
    if (call->deadline_ms != SP_UNLIMITED) {
        sp__timer_set(lane->loop, &call->timer, call->deadline_ms);
    }
    *ret_call = call;
    sp__dispatch_work(&pit->dispatch, call);
    if (call->tool->facts.flags & SP_TOOL_ANY_THREAD) {
        send_errand(call);
    }
    return SP_OK;
}

void sp__host_call_leave(struct sp_tool_call *call)
{
    call->on_news = NULL;
    sp__timer_fini(call->lane->loop, &call->timer);
    (void)pthread_mutex_lock(&call->lock);
    if (call->state == HOST_CALL_OPEN) {
        call->state = HOST_CALL_OVER;
        count_ending(call, SP_ERR_CANCELLED);
        record(call, SP_ERR_CANCELLED);
    }
    int is_over = call->state == HOST_CALL_OVER;
    (void)pthread_mutex_unlock(&call->lock);
    if (is_over) {
        cancel_descendants(call);
    }
    sp__latch_open(&call->room);
    if (sp__work_remove(&call->pit->dispatch.work, call)) {
        drop(call); /* the program never hears of it */
    }
    drop(call);
}

int sp__host_call_take(struct sp_tool_call *call, struct mailbox_chunk *ret_chunk)
{
    size_t credit;
    int rc = sp__mailbox_take(&call->mailbox, ret_chunk, &credit);
    if (credit > 0) {
        atomic_fetch_sub_explicit(&call->waiting, credit, memory_order_acq_rel);
        sp__latch_open(&call->room);
    }
    return rc;
}

/* ---- the program's side ---- */

/* Locked, and OPEN, so that there is a loop. */
static void post(struct sp_tool_call *call)
{
    if (atomic_exchange_explicit(&call->back_posted, 1, memory_order_acq_rel) == 0) {
        hold(call);
        call->back.run = run_back;
        sp__loop_post(call->lane->loop, &call->back);
    }
}

SP_API const char *sp_tool_call_session(const sp_tool_call *call)
{
    return call == NULL ? "" : call->session;
}

SP_API const char *sp_tool_call_tool(const sp_tool_call *call)
{
    return call == NULL ? "" : call->tool->facts.name;
}

SP_API sp_id sp_tool_call_worker(const sp_tool_call *call)
{
    return call == NULL ? 0 : call->worker;
}

SP_API sp_bytes sp_tool_call_binary(const sp_tool_call *call, const char *name)
{
    size_t size = name == NULL ? 0 : strlen(name);
    for (size_t i = 0; call != NULL && i < call->binary_count; i++) {
        if (call->binary[i].key.size == size &&
            (size == 0 || memcmp(call->binary[i].key.data, name, size) == 0)) {
            return call->binary[i].value;
        }
    }
    return (sp_bytes){0};
}

SP_API uint64_t sp_tool_call_remaining_ms(const sp_tool_call *call)
{
    if (call == NULL || call->deadline_ms == SP_UNLIMITED) {
        return call == NULL ? 0 : SP_UNLIMITED;
    }
    uint64_t now_ms = sp__now_ms();
    return call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 0;
}

SP_API int sp_tool_call_is_over(const sp_tool_call *call)
{
    if (call == NULL) {
        return 1;
    }
    struct sp_tool_call *own = (struct sp_tool_call *)call;
    (void)pthread_mutex_lock(&own->lock);
    int is_over = own->state == HOST_CALL_OVER;
    (void)pthread_mutex_unlock(&own->lock);
    return is_over;
}

static int over(const struct sp_tool_call *call, sp_error *err)
{
    return sp__fail(err, SP_ERR_CANCELLED, "nobody waits for the answer of %s any more",
                    call->tool->facts.name);
}

/* Take what was made, answer with it, and let go of the call. */
static int answer(struct sp_tool_call *call, sp_result *result, sp_error *failure,
                  sp_error *err)
{
    int rc = SP_OK;
    (void)pthread_mutex_lock(&call->lock);
    if (call->state == HOST_CALL_OPEN) {
        call->state = HOST_CALL_ANSWERED;
        record(call, failure->code);
        call->result = *result;
        sp_error_move(&call->error, failure);
        sp__mailbox_end(&call->mailbox);
        post(call);
    } else {
        sp_result_clear(result);
        sp_error_clear(failure);
        rc = over(call, err);
    }
    (void)pthread_mutex_unlock(&call->lock);
    drop(call);
    return rc;
}

static int copy_result(const struct sp_tool_call *call, sp_bytes json, sp_bytes binary,
                       sp_result *ret, sp_error *err)
{
    json = json.size == 0 ? sp_text("null") : json;
    if (json.size + binary.size > HOST_RESULT_MAX) {
        return sp__fail(err, SP_ERR_TOO_BIG, "a result of %zu bytes: at most %d",
                        json.size + binary.size, HOST_RESULT_MAX);
    }
    int rc = sp__json_read(json.data, json.size, SP__JSON_DEPTH_MAX, NULL, NULL, err);
    if (rc < 0) {
        return sp__wrap(err, rc, "the result of host tool %s", call->tool->facts.name);
    }
    rc = sp__result_copy_json(ret, json);
    if (rc == SP_OK) {
        rc = sp__result_copy_binary(ret, binary);
    }
    if (rc < 0) {
        sp_result_clear(ret);
        return sp__fail(err, rc, "no memory for a result");
    }
    return SP_OK;
}

SP_API int sp_tool_call_reply(sp_tool_call *call, sp_bytes json, sp_bytes binary,
                              sp_error *err)
{
    if (call == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a call is needed");
    }
    sp_result result = {0};
    sp_error failure = {0};
    int rc = copy_result(call, json, binary, &result, &failure);
    if (rc < 0) {
        failure.executed = SP_EXECUTED_YES;
        if (err != NULL) {
            sp__error_copy(err, &failure);
        }
    }
    int answered = answer(call, &result, &failure, rc < 0 ? NULL : err);
    if (rc == SP_OK && answered == SP_OK) {
        sp_error_clear(err);
    }
    return rc < 0 ? rc : answered;
}

SP_API void sp_tool_call_fail(sp_tool_call *call, const sp_error *failure)
{
    sp_result none = {0};
    sp_error copy = {0};
    if (call == NULL) {
        return;
    }
    if (failure != NULL && failure->code != 0) {
        sp__error_copy(&copy, failure);
    } else {
        sp__fail(&copy, SP_ERR_REMOTE, "host tool %s failed", call->tool->facts.name);
    }
    copy.executed = SP_EXECUTED_YES;
    (void)answer(call, &none, &copy, NULL);
}

/* Wait until little enough is on its way. */
static int await_room(struct sp_tool_call *call, uint64_t timeout_ms, sp_error *err)
{
    uint64_t begin_ms = sp__now_ms();
    while (atomic_load_explicit(&call->waiting, memory_order_acquire) >=
           HOST_CHUNKS_MAX) {
        uint64_t used_ms = sp__now_ms() - begin_ms;
        uint64_t left_ms = timeout_ms == SP_UNLIMITED ? SP_UNLIMITED
                           : timeout_ms > used_ms     ? timeout_ms - used_ms
                                                      : 0;
        if (sp_tool_call_is_over(call)) {
            return over(call, err);
        }
        if (!sp__latch_wait(&call->room, left_ms)) {
            return sp__fail(err, SP_ERR_TIMEOUT,
                            "the caller of %s has not read for %llu ms",
                            call->tool->facts.name, (unsigned long long)timeout_ms);
        }
        sp__latch_close_first(&call->room); /* then it is looked at again */
    }
    return SP_OK;
}

SP_API int sp_tool_call_chunk(sp_tool_call *call, sp_bytes json, sp_bytes binary,
                              uint64_t timeout_ms, sp_error *err)
{
    if (call == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a call is needed");
    }
    if ((call->tool->facts.flags & SP_TOOL_STREAMING) == 0) {
        return sp__fail(err, SP_ERR_UNSUPPORTED,
                        "host tool %s does not answer a stream",
                        call->tool->facts.name);
    }
    size_t size = json.size + binary.size + 1;
    if (size > HOST_RESULT_MAX) {
        return sp__fail(err, SP_ERR_TOO_BIG, "a chunk of %zu bytes: at most %d",
                        size - 1, HOST_RESULT_MAX);
    }
    int rc = sp__json_read(json.data, json.size, SP__JSON_DEPTH_MAX, NULL, NULL, err);
    if (rc == SP_OK) {
        rc = await_room(call, timeout_ms, err);
    }
    if (rc < 0) {
        return rc;
    }
    (void)pthread_mutex_lock(&call->lock);
    if (call->state != HOST_CALL_OPEN) {
        rc = over(call, err);
    } else {
        rc = sp__mailbox_put(&call->mailbox, json, binary, size, err);
        if (rc >= 0) {
            atomic_fetch_add_explicit(&call->waiting, size, memory_order_acq_rel);
            post(call);
        }
    }
    (void)pthread_mutex_unlock(&call->lock);
    return rc < 0 ? rc : SP_OK;
}
