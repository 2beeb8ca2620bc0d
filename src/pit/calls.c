/* SPDX-License-Identifier: MIT */
/*
 * Calls in a pit: from the inbox of a lane into its pools, and to whoever takes their ends.
 *
 * Normal course: a request is posted to the lane that it was routed to (route.c), is
 * registered there and goes to its pool; the pool tells of its chunks and of its end, and
 * the taker is put on the list of those to be told when the turn ends (turn.c), or into
 * the dispatch queue. While it waits it may go on to another lane.
 *
 * Failure: what cannot be taken, because the pit closes or there is no memory, ends with
 * that error on the same way. A call with a key that another one has already waits for it
 * (outcome.c), wherever that one runs.
 */
#include "base/error.h"
#include "base/mem.h"
#include "pit/home.h"
#include "pit/pit_internal.h"
#include "pool/lineage.h"
#include "pool/share.h"

/* ---- ends ---- */

static void tell_taker(struct lane *lane, struct request *request)
{
    if (request->taker == TAKER_DISPATCH) {
        sp__dispatch_add(&lane->to_publish, request);
    } else if (request->on_wake.on == NULL) {
        sp__list_append(request->taker == TAKER_LOOP ? &lane->to_tell : &lane->to_wake,
                        &request->on_wake);
    }
}

/* Who is away is not looked for when there is something to do: he looks by himself. */
static void set_wait(struct lane *lane, struct request *request, int wait)
{
    lane->sleepers -= request->wait == WAIT_ASLEEP;
    lane->away -= request->wait == WAIT_AWAY;
    lane->sleepers += wait == WAIT_ASLEEP;
    lane->away += wait == WAIT_AWAY;
    request->wait = (uint8_t)wait;
    if (wait != WAIT_ASLEEP) {
        sp__work_remove_taker(request);
    } else if (request->taker == TAKER_WAITER) {
        sp__work_add_taker(&lane->pit->dispatch.work, &lane->takers, request);
    }
}

static void unregister(struct lane *lane, struct request *request)
{
    (void)sp__map_take(&lane->requests, request->id);
    if (request->timer.fire != NULL) {
        sp__timer_fini(lane->loop, &request->timer);
    }
    set_wait(lane, request, WAIT_NONE);
    if (request->pool->share != NULL) {
        sp__share_count(request->pool, -1);
    }
}

static void end_taker(struct lane *lane, struct request *request)
{
    unregister(lane, request);
    request->state = REQUEST_ENDED;
    if (request->streaming) {
        sp__mailbox_end(&request->mailbox);
    }
    if (request->is_recorded) {
        sp__spans_put_call(lane->pit->spans, request);
    }
    tell_taker(lane, request);
}

static void run_followed(struct command *command, void *user)
{
    end_taker(user, (struct request *)(void *)command);
}

/* One that followed has its answer. */
static void end_follower(void *user, struct request *request)
{
    struct lane *lane = sp__pit_where(request);
    if (lane == user) {
        end_taker(lane, request);
    } else {
        request->submit.run = run_followed;
        sp__loop_post(lane->loop, &request->submit);
    }
}

static void run_in_place(struct command *command, void *user);

/* It goes in the place of one that has ended without having run. */
static void follow_on(struct lane *lane, struct request *request)
{
    struct lane *own = sp__pit_where(request);
    if (own == lane) {
        sp__list_append(&lane->to_submit, &request->on_follow);
    } else {
        request->submit.run = run_in_place;
        sp__loop_post(own->loop, &request->submit);
    }
}

void sp__calls_ended(void *owner, struct request *request)
{
    struct lane *lane = owner;
    struct request *next = NULL;
    if (request->dedupe_key[0] != '\0' || request->request_id[0] != '\0') {
        next = sp__outcomes_ended(&lane->pit->outcomes, request,
                                  sp__loop_now_ms(lane->loop), end_follower, lane);
    }
    end_taker(lane, request);
    if (next != NULL) {
        follow_on(lane, next);
    }
}

void sp__calls_chunks(void *owner, struct request *request)
{
    tell_taker(owner, request);
}

struct request *sp__calls_find(void *owner, sp_id call)
{
    struct lane *lane = owner;
    return sp__map_find(&lane->requests, call);
}

/* ---- coming in ---- */

static void refuse(struct lane *lane, struct request *request, int code, int executed,
                   const char *message)
{
    (void)sp__request_fail(request, code, executed, message);
    sp__calls_ended(lane, request);
}

static int is_strict(const struct request *request)
{
    return request->session_hash != 0 && request->affinity >= SP_AFFINITY_STRICT_QUEUE;
}

/* Its session insists on a worker that is on another lane: the part there, else NULL. */
static struct pool *part_of_home(const struct lane *lane, const struct request *request)
{
    const struct pool_share *share = request->pool->share;
    const struct lane *home = sp__pit_lane_of(lane, request->preferred);
    if (home == lane || !sp__share_has_worker(share, request->preferred)) {
        return NULL;
    }
    for (uint32_t i = 0; i < share->parts_count; i++) {
        if (share->parts[i]->owner == home) {
            return share->parts[i];
        }
    }
    return NULL;
}

/* To its pool. */
static void let_go(struct lane *lane, struct request *request)
{
    if (request->timer.fire != NULL) {
        sp__timer_fini(lane->loop, &request->timer);
    }
    if (request->session_hash != 0) {
        request->preferred = sp__home_find(lane, request);
    }
    if (request->preferred != 0 && request->pool->share != NULL && is_strict(request)) {
        struct pool *part = part_of_home(lane, request);
        if (part != NULL) {
            sp__calls_elsewhere(lane, request, part);
            return;
        }
    }
    sp__pool_submit(request->pool, request);
}

/* Later than its taker knows: the wish to cancel it may have come in between. */
static void let_go_late(struct lane *lane, struct request *request)
{
    /* It may be another lane's at once, and end there. */
    atomic_fetch_add_explicit(&request->references, 1, memory_order_relaxed);
    let_go(lane, request);
    if (atomic_load_explicit(&request->cancel_posted, memory_order_relaxed)) {
        sp__pit_cancel_here(lane, request);
    }
    sp__request_drop(request);
}

static void run_in_place(struct command *command, void *user)
{
    let_go_late(user, (struct request *)(void *)command);
}

static void follower_due(struct timer *timer, uint64_t now_ms)
{
    struct request *request = ITEM(timer, struct request, timer);
    struct lane *lane = request->pool->owner;
    if (sp__outcomes_leave(&lane->pit->outcomes, request)) {
        refuse(lane, request, SP_ERR_TIMEOUT, SP_EXECUTED_UNKNOWN,
               "the call with the same dedupe_key did not end in time");
    }
}

/* It waits for the call that has its key, no longer than it would for itself. */
static void follow(struct lane *lane, struct request *request)
{
    request->state = REQUEST_QUEUED;
    request->number = CORE_NONE;
    if (sp__timer_init(lane->loop, &request->timer, follower_due) < 0) {
        if (sp__outcomes_leave(&lane->pit->outcomes, request)) {
            refuse(lane, request, SP_ERR_NOMEM, SP_EXECUTED_NO,
                   "no memory for a deadline");
        }
    } else if (request->deadline_ms != SP_UNLIMITED) {
        sp__timer_set(lane->loop, &request->timer, request->deadline_ms);
    }
}

/* 0 when it has ended instead. */
static int enroll(struct lane *lane, struct request *request)
{
    if (lane->closing) {
        refuse(lane, request, SP_ERR_CLOSED, SP_EXECUTED_NO, "the pit is closing");
        return 0;
    }
    if (sp__map_put(&lane->requests, request->id, request) < 0) {
        refuse(lane, request, SP_ERR_NOMEM, SP_EXECUTED_NO,
               "no memory to register a call");
        return 0;
    }
    set_wait(lane, request, request->taker != TAKER_DISPATCH ? WAIT_ASLEEP : WAIT_NONE);
    return 1;
}

static void come_in(struct lane *lane, struct request *request)
{
    int entry = OUTCOME_GO;
    if (request->dedupe_key[0] != '\0' || request->request_id[0] != '\0') {
        entry = sp__outcomes_enter(&lane->pit->outcomes, request,
                                   sp__loop_now_ms(lane->loop));
    }
    if (entry == OUTCOME_GO) {
        let_go(lane, request);
    } else if (entry == OUTCOME_FOLLOW) {
        follow(lane, request);
    } else if (entry == OUTCOME_DONE) {
        end_taker(lane, request);
    } else {
        refuse(lane, request, SP_ERR_NOMEM, SP_EXECUTED_NO,
               "no memory to remember a call");
    }
}

static void run_submit(struct command *command, void *user)
{
    struct lane *lane = user;
    struct request *request = (struct request *)(void *)command;
    if (lane->draining && !lane->closing) {
        refuse(lane, request, SP_ERR_CLOSED, SP_EXECUTED_NO,
               "the pit takes no more calls, it is shutting down");
    } else if (enroll(lane, request)) {
        come_in(lane, request);
    }
}

void sp__pit_send(struct lane *lane, struct request *request)
{
    request->submit.run = run_submit;
    sp__loop_post(lane->loop, &request->submit);
}

void sp__pit_run(struct lane *lane, struct request *request)
{
    request->submit.run = run_submit;
    sp__loop_run(lane->loop, &request->submit);
}

void sp__pit_submit(struct sp_pit *pit, struct request *request)
{
    struct lane *lane = sp__pit_route(pit, request);
    sp__pit_send(lane, request);
    sp__loop_keep_up(lane->loop);
}

/* Those of the first one's lane, posted; what is left of the chain. */
static struct command *post_one_lane(struct command *chain)
{
    const struct lane *lane = sp__pit_where((struct request *)(void *)chain);
    struct command *first = NULL, *rest = NULL;
    struct command **last = &first, **rest_last = &rest;
    for (struct command *next; chain != NULL; chain = next) {
        next = chain->next;
        chain->next = NULL;
        if (sp__pit_where((struct request *)(void *)chain) == lane) {
            *last = chain;
            last = &chain->next;
        } else {
            *rest_last = chain;
            rest_last = &chain->next;
        }
    }
    sp__loop_post_all(lane->loop, first);
    return rest;
}

void sp__pit_submit_all(struct sp_pit *pit, struct command *chain)
{
    for (struct command *at = chain; at != NULL; at = at->next) {
        at->run = run_submit;
        (void)sp__pit_route(pit, (struct request *)(void *)at);
    }
    while (chain != NULL) {
        chain = post_one_lane(chain);
    }
}

/* The calls of this lane that ask for it, which its part on another lane cannot find. */
static void tell_who_asks(struct lane *lane, const struct request *request)
{
    const struct lineage *lineage = request->lineage;
    for (uint32_t i = 0; lineage != NULL && i < lineage->depth; i++) {
        struct request *ancestor = sp__calls_find(lane, lineage->calls[i]);
        if (ancestor != NULL && ancestor->pool->front == request->pool->front) {
            sp__pool_asks(ancestor);
        }
    }
}

void sp__pit_submit_here(struct lane *lane, struct request *request)
{
    struct lane *to = sp__pit_route(lane->pit, request);
    request->taker_lane = lane;
    if (to == lane) {
        run_submit(&request->submit, lane);
    } else {
        tell_who_asks(lane, request);
        sp__pit_send(to, request);
    }
}

void sp__calls_go_on(struct lane *lane)
{
    struct link *link;
    while ((link = sp__list_pop(&lane->to_submit)) != NULL) {
        let_go_late(lane, ITEM(link, struct request, on_follow));
    }
}

/* ---- going elsewhere ---- */

static void run_arrive(struct command *command, void *user)
{
    struct lane *lane = user;
    struct request *request = (struct request *)(void *)command;
    if (enroll(lane, request)) {
        run_in_place(command, lane);
    }
}

void sp__calls_elsewhere(void *owner, struct request *request, struct pool *part)
{
    struct lane *lane = owner;
    unregister(lane, request);
    part = part != NULL ? part : sp__share_route(request->pool->share);
    struct lane *to = part->owner;
    request->pool = part;
    request->tool = NULL; /* each part has a list of its own */
    sp__share_count(part, 1);
    if (is_strict(request)) {
        /* Those that come after it are to find its worker. */
        sp__affinity_move(&lane->pit->affinity,
                          sp__affinity_key(request->session_hash, part->front),
                          part->part);
    }
    atomic_store_explicit(&request->lane, to, memory_order_release);
    request->submit.run = run_arrive;
    sp__loop_post(to->loop, &request->submit);
    /* After that: who sees this number finds the call there. */
    atomic_fetch_add_explicit(&lane->pit->moves, 1, memory_order_release);
}

/* ---- the taker's wishes ---- */

void sp__pit_cancel_here(struct lane *lane, struct request *request)
{
    SP__ON_LOOP(lane->loop);
    if (sp__pit_where(request) != lane) {
        sp__pit_cancel_request(request);
        return;
    }
    if (request->state == REQUEST_ENDED) {
        return;
    }
    if (request->dedupe_key[0] != '\0' &&
        sp__outcomes_leave(&lane->pit->outcomes, request)) {
        refuse(lane, request, SP_ERR_CANCELLED, SP_EXECUTED_UNKNOWN,
               "cancelled by its caller");
    } else {
        /* One that is just about to begin has no number yet: it is told then. */
        atomic_store_explicit(&request->cancel_posted, 1, memory_order_relaxed);
        sp__pool_cancel(request);
    }
}

static void run_cancel_request(struct command *command, void *user)
{
    struct request *request = ITEM(command, struct request, cancel);
    struct lane *at = sp__pit_where(request);
    if (at != user) {
        sp__loop_post(at->loop, command); /* after it */
        return;
    }
    sp__pit_cancel_here(at, request);
    sp__request_drop(request);
}

void sp__pit_cancel_request(struct request *request)
{
    if (atomic_exchange_explicit(&request->cancel_posted, 1, memory_order_relaxed) ==
        0) {
        atomic_fetch_add_explicit(&request->references, 1, memory_order_relaxed);
        request->cancel.run = run_cancel_request;
        sp__loop_post(sp__pit_where(request)->loop, &request->cancel);
    }
}

/* What has ended, or is on its way elsewhere, is at WAIT_NONE. */
void sp__calls_leave(struct lane *lane, struct request *request)
{
    if (sp__pit_where(request) == lane && request->wait == WAIT_ASLEEP) {
        set_wait(lane, request, WAIT_AWAY);
    }
}

static void run_await(struct command *command, void *user)
{
    struct mailbox *mailbox = ITEM(command, struct mailbox, await);
    struct request *request = ITEM(mailbox, struct request, mailbox);
    struct lane *at = sp__pit_where(request);
    if (at != user) {
        sp__loop_post(at->loop, command); /* after it */
        return;
    }
    atomic_store_explicit(&mailbox->await_posted, 0, memory_order_relaxed);
    if (request->wait == WAIT_AWAY) {
        set_wait(at, request, WAIT_ASLEEP);
    }
    sp__request_drop(request);
}

void sp__pit_await(struct request *request)
{
    struct mailbox *mailbox = &request->mailbox;
    if (atomic_exchange_explicit(&mailbox->await_posted, 1, memory_order_relaxed) ==
        0) {
        atomic_fetch_add_explicit(&request->references, 1, memory_order_relaxed);
        mailbox->await.run = run_await;
        sp__loop_post(sp__pit_where(request)->loop, &mailbox->await);
    }
}

/* Looks for a call on one lane after the other. */
struct cancel {
    struct command command;
    struct sp_pit *pit;
    sp_id call;
    uint32_t at;
    uint64_t moves; /* when it began its round */
};

/* A call that goes from lane to lane may be missed in a round, hence once more. */
static int go_on(struct cancel *cancel)
{
    struct sp_pit *pit = cancel->pit;
    if (++cancel->at == pit->lanes_count) {
        uint64_t moves = atomic_load_explicit(&pit->moves, memory_order_acquire);
        if (moves == cancel->moves) {
            return 0;
        }
        cancel->moves = moves;
        cancel->at = 0;
    }
    sp__loop_post(pit->lanes[cancel->at].loop, &cancel->command);
    return 1;
}

static void run_cancel(struct command *command, void *user)
{
    struct cancel *cancel = (struct cancel *)(void *)command;
    struct lane *lane = user;
    struct request *request = sp__map_find(&lane->requests, cancel->call);
    if (request != NULL) {
        sp__pit_cancel_here(lane, request);
    } else if (!lane->closing && go_on(cancel)) {
        return;
    }
    sp__free(cancel);
}

int sp__pit_cancel(struct sp_pit *pit, sp_id call, sp_error *err)
{
    struct cancel *cancel = sp__malloc(sizeof *cancel);
    if (cancel == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory to cancel a call");
    }
    *cancel = (struct cancel){
        .command = {.run = run_cancel},
        .pit = pit,
        .call = call,
        .moves = atomic_load_explicit(&pit->moves, memory_order_acquire)};
    sp__loop_post(pit->loop, &cancel->command);
    return SP_OK;
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

/* Chunks have come, so it is with a worker, and stays on that lane. */
void sp__pit_grant(struct request *request, size_t wire_bytes)
{
    struct mailbox *mailbox = &request->mailbox;
    if (atomic_fetch_add_explicit(&mailbox->granted, wire_bytes,
                                  memory_order_acq_rel) == 0) {
        atomic_fetch_add_explicit(&request->references, 1, memory_order_relaxed);
        mailbox->grant.run = run_grant;
        sp__loop_post(sp__pit_where(request)->loop, &mailbox->grant);
    }
}

void sp__pit_grant_here(struct lane *lane, struct request *request, size_t wire_bytes)
{
    if (sp__pit_where(request) == lane) {
        sp__worker_grant(&request->call, wire_bytes);
    } else {
        sp__pit_grant(request, wire_bytes);
    }
}
