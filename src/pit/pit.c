/* SPDX-License-Identifier: MIT */
/*
 * The runtime: one loop thread, one guard process, some pools.
 *
 * Start order: the instance, when it has one (its lock, and the end of what a dead run
 * left), loop thread, guard, pools on the loop. Stop order, reversed: pools end their
 * calls and stop their workers, the guard is told to end what is left and reaped, the
 * loop thread ends, the instance is given back, callbacks that are still due run on the
 * closing thread.
 */
#include "pit/pit.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/near.h"
#include "pit/guarding.h"
#include "pit/home.h"
#include "pit/rules.h"
#include "pit/sums.h"
#include "pit/upkeep.h"
#include "pool/lineage.h"
#include "session/host_tools.h"
#include "worker/python.h"

enum {
    CLOSE_MARGIN_MS = 1000, /* beyond the longest grace, then the guard ends the rest */
    WORKERS_MAX = 1000,
    OUTCOME_KEEP_MS = 600000,
    SAMPLE_INTERVAL_MS = 5000
};

/* ---- what pools tell ---- */

static void tell_taker(struct sp_pit *pit, struct request *request)
{
    if (request->taker == TAKER_DISPATCH) {
        sp__dispatch_add(&pit->dispatch, request);
    } else if (request->on_wake.on == NULL) {
        sp__list_append(request->taker == TAKER_LOOP ? &pit->to_tell : &pit->to_wake,
                        &request->on_wake);
    }
}

static void end_taker(void *user, struct request *request)
{
    struct sp_pit *pit = user;
    (void)sp__map_take(&pit->requests, request->id);
    if (request->timer.fire != NULL) {
        sp__timer_fini(pit->loop, &request->timer);
    }
    request->state = REQUEST_ENDED;
    pit->sleepers -= request->is_awaited;
    request->is_awaited = 0;
    if (request->streaming) {
        sp__mailbox_end(&request->mailbox);
    }
    tell_taker(pit, request);
}

static void request_ended(void *owner, struct request *request)
{
    struct sp_pit *pit = owner;
    struct request *next = NULL;
    if (request->by_key != NULL || request->by_id != NULL) {
        next = sp__outcomes_ended(&pit->outcomes, request, sp__loop_now_ms(pit->loop),
                                  end_taker, pit);
    }
    end_taker(pit, request);
    if (next != NULL) {
        sp__list_append(&pit->to_submit, &next->on_follow);
    }
}

static void chunks_came(void *owner, struct request *request)
{
    tell_taker(owner, request);
}

static void event_happened(void *owner, const sp_event *event,
                           struct death *certificate)
{
    struct sp_pit *pit = owner;
    if (pit->on_event != NULL) {
        sp__dispatch_event(&pit->dispatch, event, certificate);
    }
}

/* 1 with the answer in *ret_error, 0 when it is still open. */
static int readiness(struct sp_pit *pit, sp_error *ret_error)
{
    int ready = 1;
    for (size_t i = 0; i < pit->pools_count; i++) {
        struct pool *pool = &pit->pools[i];
        if (pool->core.hopeless) {
            sp__error_copy(ret_error, &pool->last_failure);
            return 1;
        }
        ready = ready && sp__pool_is_ready(pool);
    }
    return ready;
}

static void readiness_changed(void *owner, struct pool *pool)
{
    struct sp_pit *pit = owner;
    struct link *link = pit->ready_waiters.first;
    while (link != NULL) {
        struct ready_waiter *waiter = ITEM(link, struct ready_waiter, on_pit);
        link = link->next;
        if (readiness(pit, &waiter->error)) {
            sp__list_remove(&waiter->on_pit);
            sp__latch_open(&waiter->done);
        }
    }
}

static void pool_closed(void *owner, struct pool *pool)
{
    struct sp_pit *pit = owner;
    pit->pools_open--;
    if (pit->pools_open == 0) {
        sp__latch_open(&pit->closed);
    }
}

void sp__pit_warn(struct sp_pit *pit, const char *message)
{
    sp__pit_tell(pit, SP_EVENT_WARNING, message);
}

void sp__pit_tell(struct sp_pit *pit, int kind, const char *message)
{
    sp_event event = {.kind = kind,
                      .time_unix_ms = sp__unix_ns() / 1000000u,
                      .pool = "",
                      .exit_status = -1,
                      .message = message};
    event_happened(pit, &event, NULL);
}

static struct request *find_request(void *owner, sp_id call)
{
    struct sp_pit *pit = owner;
    return sp__map_find(&pit->requests, call);
}

static const struct pool_events pool_events = {
    .on_find = find_request,
    .on_tool = sp__rules_learn,
    .on_forget = sp__rules_forget,
    .on_ended = request_ended,
    .on_chunks = chunks_came,
    .on_assigned = sp__home_assigned,
    .on_readiness = readiness_changed,
    .on_closed = pool_closed,
    .on_event = event_happened,
};

/* ---- the end of a turn ---- */

static void wake_takers(struct sp_pit *pit)
{
    struct link *link;
    while ((link = sp__list_pop(&pit->to_wake)) != NULL) {
        struct request *request = ITEM(link, struct request, on_wake);
        int ended = request->state == REQUEST_ENDED;
        if (request->streaming) {
            sp__latch_open(&request->mailbox.ready);
        }
        if (ended) {
            sp__latch_open(&request->done);
            sp__request_drop(request);
        }
    }
}

/* Takers on the loop hear of it before the channels are written, theirs among them. */
static void tell_takers(struct sp_pit *pit)
{
    struct link *link;
    while ((link = sp__list_pop(&pit->to_tell)) != NULL) {
        struct request *request = ITEM(link, struct request, on_wake);
        int ended = request->state == REQUEST_ENDED;
        request->loop_cb(request, ended);
        if (ended) {
            sp__request_drop(request);
        }
    }
    for (link = pit->servers.first; link != NULL; link = link->next) {
        struct pit_server *server = ITEM(link, struct pit_server, on_pit);
        server->on_turn(server);
    }
}

static int is_drained(const struct sp_pit *pit)
{
    if (!pit->draining || pit->requests.length > 0) {
        return 0;
    }
    for (const struct link *link = pit->servers.first; link != NULL;
         link = link->next) {
        const struct pit_server *server = ITEM(link, struct pit_server, on_pit);
        if (!server->is_quiet(server)) {
            return 0;
        }
    }
    return 1;
}

static void run_next(struct sp_pit *pit);

static void turn_ended(void *user)
{
    struct sp_pit *pit = user;
    run_next(pit);
    /* First the workers, so that they run while callers are being woken. */
    do {
        tell_takers(pit);
        sp__channels_flush(&pit->shop.channels);
    } while (pit->to_tell.length > 0);
    if (pit->guard_watch != NULL) {
        sp__watch_set(pit->guard_watch,
                      WATCH_READ |
                          (sp__guard_wants_write(pit->shop.guard) ? WATCH_WRITE : 0));
    }
    wake_takers(pit);
    pit->published = pit->dispatch.turn.length > 0;
    sp__dispatch_publish(&pit->dispatch);
    if (is_drained(pit)) {
        sp__latch_open(&pit->drained);
    }
}

/* Not while somebody relies on the loop being driven: a sleeping taker, a server's
 * strangers. A dispatcher comes by itself, when there is something for it. */
static int may_rest(void *user, enum loop_rest occasion)
{
    struct sp_pit *pit = user;
    if (pit->sleepers > 0 || pit->servers.length > 0 || pit->ready_waiters.length > 0 ||
        pit->closing || pit->draining) {
        return 0;
    }
    return pit->requests.length == 0 || occasion == REST_BETWEEN_DISPATCHES ||
           (occasion == REST_BETWEEN_TURNS && pit->published);
}

static const struct loop_events loop_events = {.on_turn_end = turn_ended,
                                               .may_rest = may_rest};

/* ---- calls ---- */

static void refuse(struct sp_pit *pit, struct request *request, int code, int executed,
                   const char *message)
{
    sp__fail(&request->error, code, "%s", message);
    request->error.executed = executed;
    request_ended(pit, request);
}

/* To its pool. */
static void let_go(struct sp_pit *pit, struct request *request)
{
    if (request->timer.fire != NULL) {
        sp__timer_fini(pit->loop, &request->timer);
    }
    if (request->session_hash != 0) {
        request->preferred = sp__home_find(pit, request);
    }
    sp__pool_submit(request->pool, request);
}

static void follower_due(struct timer *timer, uint64_t now_ms)
{
    struct request *request = ITEM(timer, struct request, timer);
    sp__outcomes_leave(request);
    refuse(request->pool->owner, request, SP_ERR_TIMEOUT, SP_EXECUTED_UNKNOWN,
           "the call with the same dedupe_key did not end in time");
}

/* It waits for the call that has its key, no longer than it would for itself. */
static void follow(struct sp_pit *pit, struct request *request)
{
    request->state = REQUEST_QUEUED;
    request->number = CORE_NONE;
    if (sp__timer_init(pit->loop, &request->timer, follower_due) < 0) {
        sp__outcomes_leave(request);
        refuse(pit, request, SP_ERR_NOMEM, SP_EXECUTED_NO, "no memory for a deadline");
    } else if (request->deadline_ms != SP_UNLIMITED) {
        sp__timer_set(pit->loop, &request->timer, request->deadline_ms);
    }
}

void sp__pit_submit_here(struct sp_pit *pit, struct request *request)
{
    SP__ON_LOOP(pit->loop);
    if (pit->closing) {
        refuse(pit, request, SP_ERR_CLOSED, SP_EXECUTED_NO, "the pit is closing");
        return;
    }
    if (pit->draining) {
        refuse(pit, request, SP_ERR_CLOSED, SP_EXECUTED_NO,
               "the pit takes no more calls, it is shutting down");
        return;
    }
    if (sp__map_put(&pit->requests, request->id, request) < 0) {
        refuse(pit, request, SP_ERR_NOMEM, SP_EXECUTED_NO,
               "no memory to register a call");
        return;
    }
    request->is_awaited = request->taker != TAKER_DISPATCH;
    pit->sleepers += request->is_awaited;
    int entry = OUTCOME_GO;
    if (request->dedupe_key[0] != '\0' || request->request_id[0] != '\0') {
        entry = sp__outcomes_enter(&pit->outcomes, request, sp__loop_now_ms(pit->loop));
    }
    if (entry == OUTCOME_GO) {
        let_go(pit, request);
    } else if (entry == OUTCOME_FOLLOW) {
        follow(pit, request);
    } else if (entry == OUTCOME_DONE) {
        end_taker(pit, request);
    } else {
        refuse(pit, request, SP_ERR_NOMEM, SP_EXECUTED_NO,
               "no memory to remember a call");
    }
}

static void run_submit(struct command *command, void *user)
{
    sp__pit_submit_here(user, (struct request *)(void *)command);
}

/* Calls in whose place another one ended without having run. */
static void run_next(struct sp_pit *pit)
{
    struct link *link;
    while ((link = sp__list_pop(&pit->to_submit)) != NULL) {
        let_go(pit, ITEM(link, struct request, on_follow));
    }
}

void sp__pit_cancel_here(struct sp_pit *pit, struct request *request)
{
    SP__ON_LOOP(pit->loop);
    if (request->state == REQUEST_ENDED) {
        return;
    }
    if (request->on_follow.on != NULL) {
        sp__outcomes_leave(request);
        refuse(pit, request, SP_ERR_CANCELLED, SP_EXECUTED_UNKNOWN,
               "cancelled by its caller");
    } else {
        sp__pool_cancel(request);
    }
}

void sp__pit_submit(struct sp_pit *pit, struct request *request)
{
    request->submit.run = run_submit;
    sp__loop_post(pit->loop, &request->submit);
}

struct cancel {
    struct command command;
    sp_id call;
};

static void run_cancel(struct command *command, void *user)
{
    struct cancel *cancel = (struct cancel *)(void *)command;
    struct sp_pit *pit = user;
    struct request *request = sp__map_find(&pit->requests, cancel->call);
    if (request != NULL) {
        sp__pit_cancel_here(pit, request);
    }
    sp__free(cancel);
}

int sp__pit_cancel(struct sp_pit *pit, sp_id call, sp_error *err)
{
    struct cancel *cancel = sp__malloc(sizeof *cancel);
    if (cancel == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory to cancel a call");
    }
    *cancel = (struct cancel){.command = {.run = run_cancel}, .call = call};
    sp__loop_post(pit->loop, &cancel->command);
    return SP_OK;
}

static void run_cancel_request(struct command *command, void *user)
{
    struct request *request = ITEM(command, struct request, cancel);
    sp__pit_cancel_here(user, request);
    sp__request_drop(request);
}

void sp__pit_cancel_request(struct sp_pit *pit, struct request *request)
{
    if (atomic_exchange_explicit(&request->cancel_posted, 1, memory_order_relaxed) ==
        0) {
        atomic_fetch_add_explicit(&request->references, 1, memory_order_relaxed);
        request->cancel.run = run_cancel_request;
        sp__loop_post(pit->loop, &request->cancel);
    }
}

static void run_grant(struct command *command, void *user)
{
    struct mailbox *mailbox = ITEM(command, struct mailbox, grant);
    struct request *request = ITEM(mailbox, struct request, mailbox);
    size_t wire_bytes =
        atomic_exchange_explicit(&mailbox->granted, 0, memory_order_acq_rel);
    sp__worker_grant(&request->call, wire_bytes);
    sp__request_drop(request);
}

void sp__pit_grant(struct sp_pit *pit, struct request *request, size_t wire_bytes)
{
    struct mailbox *mailbox = &request->mailbox;
    if (atomic_fetch_add_explicit(&mailbox->granted, wire_bytes,
                                  memory_order_acq_rel) == 0) {
        atomic_fetch_add_explicit(&request->references, 1, memory_order_relaxed);
        mailbox->grant.run = run_grant;
        sp__loop_post(pit->loop, &mailbox->grant);
    }
}

/* ---- opening ---- */

int sp__pit_pool(struct sp_pit *pit, const char *name, struct pool **ret_pool,
                 sp_error *err)
{
    if (name == NULL) {
        *ret_pool = &pit->pools[0];
        return SP_OK;
    }
    struct near near;
    sp__near_init(&near, name);
    for (size_t i = 0; i < pit->pools_count; i++) {
        if (strcmp(pit->pools[i].name, name) == 0) {
            *ret_pool = &pit->pools[i];
            return SP_OK;
        }
        sp__near_offer(&near, pit->pools[i].name);
    }
    char text[256];
    return sp__fail(err, SP_ERR_NO_POOL, "no pool \"%.64s\"%s", name,
                    sp__near_text(&near, text, sizeof text));
}

static int check_names(struct sp_pit *pit, sp_error *err)
{
    for (size_t i = 0; i < pit->pools_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(pit->pools[i].name, pit->pools[j].name) == 0) {
                return sp__fail(err, SP_ERR_CONFIG, "two pools are called %s",
                                pit->pools[i].name);
            }
        }
    }
    return SP_OK;
}

/* The safeguard: a mistyped size must not bring a machine down. */
static void limit_workers(struct sp_pit *pit, uint32_t workers_max)
{
    uint32_t total = 0;
    for (size_t i = 0; i < pit->pools_count; i++) {
        struct pool *pool = &pit->pools[i];
        uint32_t wanted = pool->options.workers;
        uint32_t room = workers_max - total;
        /* Every pool keeps one worker, or it could never answer. */
        uint32_t most = room > 1 ? room : 1;
        if (wanted > most) {
            char message[320];
            pool->options.workers = most;
            (void)snprintf(
                message, sizeof message,
                "pool %s wants %u workers, but all pools together may have %u "
                "(workers_max): it gets %u; each worker is a process with its "
                "own interpreter and memory, so raise workers_max only if the "
                "machine has room",
                pool->name, wanted, workers_max, most);
            sp__pit_warn(pit, message);
        }
        total += pool->options.workers;
        total = total > workers_max ? workers_max : total;
    }
}

static void check_memory(struct sp_pit *pit)
{
    struct memory_sum sum = {0};
    char message[512];
    for (size_t i = 0; i < pit->pools_count; i++) {
        const sp_pool_options *pool = &pit->pools[i].options;
        sp__memory_add(&sum, pit->pools[i].name, pool->workers, pool->recycle_surge,
                       pool->recycle_memory_bytes);
    }
    if (sp__memory_warn(&sum, sp__memory_of_machine(), message, sizeof message)) {
        sp__pit_warn(pit, message);
    }
}

static int init_pools(struct sp_pit *pit, const sp_pit_options *options,
                      const char *bridge_path, sp_error *err)
{
    size_t count = options->pools_count == 0 ? 1 : options->pools_count;
    pit->pools = sp__calloc(count, sizeof *pit->pools);
    if (pit->pools == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %zu pools", count);
    }
    const char *at = (const char *)options->pools;
    for (size_t i = 0; i < count; i++) {
        const sp_pool_options *given = (const sp_pool_options *)(const void *)at;
        int rc =
            sp__pool_init(&pit->pools[i], given, bridge_path, &pool_events, pit, err);
        if (rc < 0) {
            return rc;
        }
        pit->pools_count++;
        /* An array of a caller's older, smaller structs steps by its own size. */
        at = at == NULL ? NULL : at + given->size;
    }
    return check_names(pit, err);
}

static void start_pools(void *user, void *arg)
{
    struct sp_pit *pit = user;
    sp_error *err = arg;
    if (sp__workshop_init(&pit->shop, pit->loop, err) < 0) {
        return;
    }
    pit->shop.instance = pit->instance;
    pit->shop.service = pit->service;
    pit->shop.service_user = pit;
    if (sp__upkeep_start(pit, err) < 0) {
        return;
    }
    if (sp__timer_init(pit->loop, &pit->guard_retry, sp__pit_reopen_guard) < 0) {
        sp__fail(err, SP_ERR_NOMEM, "no memory for a pit's timer");
        return;
    }
    if (sp__pit_open_guard(pit, err) < 0) {
        return;
    }
    if (sp__census_start(&pit->census, &pit->shop, pit->sample_interval_ms, err) < 0) {
        return;
    }
    for (size_t i = 0; i < pit->pools_count; i++) {
        if (sp__pool_start(&pit->pools[i], &pit->shop, err) < 0) {
            return;
        }
        pit->pools_open++;
    }
}

/* Any thread: a host tool has ended, and a thread of the program is to hear of it. */
static void take_gone(void *user, struct host_tool *tool)
{
    struct sp_pit *pit = user;
    sp__dispatch_gone(&pit->dispatch, tool);
}

int sp__pit_new(const sp_pit_options *options, const struct host_service *service,
                struct sp_pit **ret_pit, sp_error *err)
{
    char bridge[4096] = "";
    sp_error failure = {0};
    uint32_t workers_max =
        options->workers_max == 0 ? WORKERS_MAX : options->workers_max;
    struct sp_pit *pit = sp__calloc(1, sizeof *pit);
    if (pit == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a pit");
    }
    atomic_init(&pit->next_call, 1);
    atomic_init(&pit->hurried, 0);
    sp__latch_init(&pit->drained);
    sp__latch_init(&pit->closed);
    pit->service = service;
    pit->on_event = options->on_event;
    pit->event_data = options->event_data;
    pit->outcomes.keep_ms =
        options->outcome_keep_ms == 0 ? OUTCOME_KEEP_MS : options->outcome_keep_ms;
    pit->nesting_max =
        options->nesting_max == 0 ? LINEAGE_DEFAULT : options->nesting_max;
    pit->sample_interval_ms = options->sample_interval_ms == 0
                                  ? SAMPLE_INTERVAL_MS
                                  : options->sample_interval_ms;

    int rc = sp__dispatch_init(&pit->dispatch, err);
    if (rc < 0) {
        goto free_pit;
    }
    pit->guard_level = options->guard_level;
    pit->guard_require = options->guard_require;
    if (options->guard_path != NULL) {
        (void)snprintf(pit->guard_path, sizeof pit->guard_path, "%s",
                       options->guard_path);
    } else {
        rc = sp__guard_find(pit->guard_path, sizeof pit->guard_path, err);
        if (rc < 0) {
            goto fini_dispatch;
        }
    }
    /* Only pools of Python workers need the bridge; they complain when it is missing. */
    rc = sp__bridge_find(options->bridge_path, bridge, sizeof bridge, err);
    if (rc < 0 && options->bridge_path != NULL) {
        goto fini_dispatch;
    }
    rc = init_pools(pit, options, bridge, err);
    if (rc == SP_OK) {
        rc = sp__upkeep_open(pit, options->sessions, err);
    }
    if (rc < 0) {
        goto fini_pools;
    }
    limit_workers(pit, workers_max);
    check_memory(pit);
    rc = sp__pit_take_instance(pit, options, err);
    if (rc < 0) {
        goto fini_pools;
    }
    rc = sp__loop_open(&loop_events, pit, &pit->loop, err);
    if (rc < 0) {
        goto close_instance;
    }
    sp__clerks_init(&pit->clerks, pit->loop);
    sp__clerks_init(&pit->runners, pit->loop);
    sp__undertaker_set(pit->sessions->undertaker, take_gone, pit);
    sp__loop_call(pit->loop, start_pools, &failure);
    if (failure.code != 0) {
        rc = failure.code;
        sp_error_move(err, &failure);
        sp__pit_close(pit, SP_UNLIMITED);
        return rc;
    }
    sp_error_clear(err);
    *ret_pit = pit;
    return SP_OK;

close_instance:
    sp__instance_close(pit->instance);
fini_pools:
    sp__upkeep_close(pit);
    for (size_t i = 0; i < pit->pools_count; i++) {
        sp__pool_fini(&pit->pools[i]);
    }
    sp__free(pit->pools);
fini_dispatch:
    sp__dispatch_fini(&pit->dispatch);
free_pit:
    sp__free(pit);
    return rc;
}

/* ---- draining ---- */

static void begin_drain(void *user, void *arg)
{
    struct sp_pit *pit = user;
    pit->draining = 1;
    for (struct link *link = pit->servers.first; link != NULL; link = link->next) {
        struct pit_server *server = ITEM(link, struct pit_server, on_pit);
        server->on_drain(server);
    }
}

static void count_left(void *user, void *arg)
{
    struct sp_pit *pit = user;
    *(size_t *)arg = pit->requests.length;
}

int sp__pit_drain(struct sp_pit *pit, uint64_t timeout_ms, size_t *ret_left)
{
    sp__loop_call(pit->loop, begin_drain, NULL);
    (void)sp__work_wait(&pit->dispatch.work, &pit->drained, timeout_ms);
    sp__loop_call(pit->loop, count_left, ret_left);
    return *ret_left == 0;
}

void sp__pit_hurry(struct sp_pit *pit)
{
    atomic_store(&pit->hurried, 1);
    sp__latch_open(&pit->drained);
    sp__latch_open(&pit->closed);
}

/* ---- closing ---- */

static void begin_close(void *user, void *arg)
{
    struct sp_pit *pit = user;
    pit->closing = 1;
    begin_drain(pit, NULL);
    if (pit->pools_open == 0) {
        sp__latch_open(&pit->closed); /* opening failed before the first pool */
        return;
    }
    size_t open = pit->pools_open;
    for (size_t i = 0; i < open; i++) {
        sp__pool_close(&pit->pools[i]);
    }
    struct link *link;
    while ((link = sp__list_pop(&pit->ready_waiters)) != NULL) {
        struct ready_waiter *waiter = ITEM(link, struct ready_waiter, on_pit);
        sp__fail(&waiter->error, SP_ERR_CLOSED, "the pit is closing");
        sp__latch_open(&waiter->done);
    }
}

static void finish_close(void *user, void *arg)
{
    struct sp_pit *pit = user;
    struct link *link;
    while ((link = sp__list_pop(&pit->servers)) != NULL) {
        struct pit_server *server = ITEM(link, struct pit_server, on_pit);
        server->on_close(server);
    }
    sp__watch_close(pit->guard_watch);
    pit->guard_watch = NULL;
    sp__timer_fini(pit->loop, &pit->guard_retry);
    sp__timer_fini(pit->loop, &pit->cleanup);
    sp__census_stop(&pit->census);
    /* Workers that outlived every grace: the guard ends them in a moment. */
    sp__workshop_on_guard_lost(&pit->shop);
    for (size_t i = 0; i < pit->pools_count; i++) {
        sp__pool_fini(&pit->pools[i]);
    }
    sp__affinity_fini(&pit->affinity);
    sp__outcomes_fini(&pit->outcomes);
    sp__map_fini(&pit->requests);
    sp__workshop_fini(&pit->shop);
    /* Taken here: a guard that dies at this moment is buried on the loop. */
    *(struct guard **)arg = pit->shop.guard;
    pit->shop.guard = NULL;
}

/* The loop is gone: credit and wishes to stop have nobody to go to. */
static void no_grant(void *user, struct request *request, size_t wire_bytes)
{
}

static void no_cancel(void *user, struct request *request)
{
}

/* The longest time any pool gives its workers to stop. */
static uint64_t grace_of(const struct sp_pit *pit)
{
    uint64_t grace_ms = 0;
    for (size_t i = 0; i < pit->pools_count; i++) {
        uint64_t pool_ms = pit->pools[i].options.shutdown_grace_ms;
        grace_ms = pool_ms > grace_ms ? pool_ms : grace_ms;
    }
    return grace_ms;
}

void sp__pit_close(struct sp_pit *pit, uint64_t wait_ms)
{
    uint64_t usual_ms = grace_of(pit) + CLOSE_MARGIN_MS;
    sp__loop_call(pit->loop, begin_close, NULL);
    (void)sp__latch_wait(&pit->closed, wait_ms < usual_ms ? wait_ms : usual_ms);
    struct guard *guard = NULL;
    sp__loop_call(pit->loop, finish_close, &guard);
    sp__guard_close(guard);
    sp__clerks_close(&pit->clerks);
    sp__clerks_close(&pit->runners);
    sp__loop_close(pit->loop);
    sp__pit_leave_instance(pit);
    sp__undertaker_set(pit->sessions->undertaker, NULL, NULL);
    sp__upkeep_close(pit);

    struct dispatch *dispatch = &pit->dispatch;
    while (sp__dispatch_wait(dispatch, 0)) {
        (void)sp__dispatch_run(dispatch, pit->on_event, pit->event_data, no_grant,
                               no_cancel, NULL);
    }
    sp__dispatch_fini(dispatch);
    sp__free(pit->pools);
    sp__free(pit);
}
