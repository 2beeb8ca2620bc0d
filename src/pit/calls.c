/* SPDX-License-Identifier: MIT */
/*
 * Calls in a pit: from the inbox into their pools, and to whoever takes their ends.
 *
 * Normal course: a submitted request is registered and goes to its pool; the pool tells of
 * its chunks and of its end, and the taker is put on the list of those to be told when the
 * turn ends (turn.c), or into the dispatch queue.
 *
 * Failure: what cannot be taken, because the pit closes or there is no memory, ends with
 * that error on the same way. A call with a key that another one has already waits for it
 * (outcome.c).
 */
#include "base/error.h"
#include "base/mem.h"
#include "pit/home.h"
#include "pit/pit_internal.h"

/* ---- ends ---- */

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
    sp__work_remove_taker(request);
    if (request->streaming) {
        sp__mailbox_end(&request->mailbox);
    }
    tell_taker(pit, request);
}

void sp__calls_ended(void *owner, struct request *request)
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

void sp__calls_chunks(void *owner, struct request *request)
{
    tell_taker(owner, request);
}

/* ---- coming in ---- */

static void refuse(struct sp_pit *pit, struct request *request, int code, int executed,
                   const char *message)
{
    sp__fail(&request->error, code, "%s", message);
    request->error.executed = executed;
    sp__calls_ended(pit, request);
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
    if (request->taker == TAKER_WAITER) {
        sp__work_add_taker(&pit->dispatch.work, request);
    }
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

void sp__calls_go_on(struct sp_pit *pit)
{
    struct link *link;
    while ((link = sp__list_pop(&pit->to_submit)) != NULL) {
        let_go(pit, ITEM(link, struct request, on_follow));
    }
}

void sp__pit_submit(struct sp_pit *pit, struct request *request)
{
    request->submit.run = run_submit;
    sp__loop_post(pit->loop, &request->submit);
}

/* ---- the taker's wishes ---- */

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

struct request *sp__calls_find(void *owner, sp_id call)
{
    struct sp_pit *pit = owner;
    return sp__map_find(&pit->requests, call);
}
