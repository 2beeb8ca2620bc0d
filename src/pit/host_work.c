/* SPDX-License-Identifier: MIT */
/*
 * Threads of the program for functions of the program.
 *
 * Work is put on a list and one thread is told: a dispatcher that sleeps is told by its
 * descriptor, which the dispatch queue sees to; else a helper is nudged, one of the list
 * or, when none rests there, the taker of a call, whom the loop looks for. A thread that
 * takes one of several pieces of work has the next helper nudged, and so does a helper
 * that leaves some undone because what it waited for has come. So nothing waits while a
 * thread that could run it sleeps.
 *
 * Takers are many and their waits short, so they leave no trace here and take no lock: a
 * taker rests at its call's latch, where the loop can nudge it, and looks for work once
 * more after saying so. A call that the loop has not heard of yet when it looks is looked
 * at when it comes.
 */
#include "pit/host_work.h"

#include "base/clock.h"
#include "pit/host_call.h"
#include "pit/pit.h"
#include "pool/request.h"
#include "session/host_tools.h"

void sp__work_init(struct host_work *work)
{
    *work = (struct host_work){0};
    (void)pthread_mutex_init(&work->lock, NULL);
}

void sp__work_fini(struct host_work *work)
{
    (void)pthread_mutex_destroy(&work->lock);
}

/* Locked: something that no dispatcher is about to come for. */
static int has_some(const struct host_work *work)
{
    return work->due.length + work->gone.length > 0 && work->dispatchers == 0;
}

static int nudge_taker(struct request *request)
{
    return sp__latch_nudge(sp__request_latch(request));
}

/* Locked: threads that are wanted for what there is. */
static size_t count_wanted(const struct host_work *work)
{
    return has_some(work) ? work->due.length + work->gone.length : 0;
}

/* Loop thread: so many takers, or as many as there are. Who was nudged comes last next
 * time. Returns how many are still wanted. */
static size_t nudge_takers(struct list *takers, size_t wanted)
{
    struct link *link = takers->first;
    for (uint32_t left = takers->length; left > 0 && wanted > 0; left--) {
        struct link *next = link->next;
        if (nudge_taker(ITEM(link, struct request, on_takers))) {
            sp__list_remove(link);
            sp__list_append(takers, link);
            wanted--;
        }
        link = next;
    }
    return wanted;
}

/* Locked: on to the next lane, or round again. */
static void seek_on(struct host_work *work, uint32_t next)
{
    if (work->sought > 0 && next < work->lanes_count) {
        sp__loop_post(work->lanes[next].loop, &work->seek);
    } else if (work->is_sought_again && work->lanes_count > 0) {
        work->is_sought_again = 0;
        work->sought = count_wanted(work);
        sp__loop_post(work->lanes[0].loop, &work->seek);
    } else {
        work->is_sought = 0;
    }
}

static void run_seek(struct command *command, void *user)
{
    struct host_work *work = ITEM(command, struct host_work, seek);
    struct lane *lane = user;
    size_t left = nudge_takers(&lane->takers, work->sought);
    (void)pthread_mutex_lock(&work->lock);
    work->sought = left;
    seek_on(work, lane->number + 1);
    (void)pthread_mutex_unlock(&work->lock);
}

/* Locked: a helper of the list, who came last first; else a taker. */
static void nudge(struct host_work *work)
{
    if (!has_some(work)) {
        return;
    }
    for (struct link *link = work->helpers.last; link != NULL; link = link->prev) {
        if (sp__latch_nudge(ITEM(link, struct helper, on_work)->latch)) {
            return;
        }
    }
    if (work->is_sought) {
        work->is_sought_again = 1;
    } else if (work->lanes != NULL) {
        work->is_sought = 1;
        work->sought = count_wanted(work);
        work->seek.run = run_seek;
        sp__loop_post(work->lanes[0].loop, &work->seek);
    }
}

/* Locked. In one order with the looks of those who lie down; see sp__latch_rest(). */
static void count(struct host_work *work)
{
    atomic_store(&work->length, work->due.length + work->gone.length);
}

void sp__work_set_lanes(struct host_work *work, struct lane *lanes, uint32_t count)
{
    (void)pthread_mutex_lock(&work->lock);
    work->lanes = lanes;
    work->lanes_count = lanes != NULL ? count : 0;
    (void)pthread_mutex_unlock(&work->lock);
}

void sp__work_add_taker(struct host_work *work, struct list *takers,
                        struct request *request)
{
    sp__list_append(takers, &request->on_takers);
    if (sp__work_is_due(work)) {
        (void)pthread_mutex_lock(&work->lock);
        size_t wanted = count_wanted(work);
        (void)pthread_mutex_unlock(&work->lock);
        (void)nudge_takers(takers, wanted);
    }
}

void sp__work_remove_taker(struct request *request)
{
    if (request->taker == TAKER_WAITER) {
        sp__list_remove(&request->on_takers);
    }
}

void sp__work_add(struct host_work *work, struct sp_tool_call *call)
{
    (void)pthread_mutex_lock(&work->lock);
    sp__list_append(&work->due, &call->on_due);
    count(work);
    nudge(work);
    (void)pthread_mutex_unlock(&work->lock);
}

void sp__work_add_gone(struct host_work *work, struct host_tool *tool)
{
    (void)pthread_mutex_lock(&work->lock);
    sp__list_append(&work->gone, &tool->on_gone);
    count(work);
    nudge(work);
    (void)pthread_mutex_unlock(&work->lock);
}

int sp__work_remove(struct host_work *work, struct sp_tool_call *call)
{
    (void)pthread_mutex_lock(&work->lock);
    int was_there = call->on_due.on != NULL;
    sp__list_remove(&call->on_due);
    count(work);
    (void)pthread_mutex_unlock(&work->lock);
    return was_there;
}

/* One piece of work; 0 when there was none. */
static int run_one(struct host_work *work)
{
    struct sp_tool_call *call = NULL;
    struct host_tool *tool = NULL;
    (void)pthread_mutex_lock(&work->lock);
    struct link *link = sp__list_pop(&work->gone);
    if (link != NULL) {
        tool = ITEM(link, struct host_tool, on_gone);
    } else if ((link = sp__list_pop(&work->due)) != NULL) {
        call = ITEM(link, struct sp_tool_call, on_due);
    }
    count(work);
    nudge(work); /* another one, for the rest */
    (void)pthread_mutex_unlock(&work->lock);
    if (tool != NULL) {
        sp__host_tool_bury(tool);
    } else if (call != NULL) {
        sp__host_call_run(call);
    }
    return link != NULL;
}

int sp__work_run(struct host_work *work, int max)
{
    int ran = 0;
    while (ran < max && sp__work_is_due(work) && run_one(work)) {
        ran++;
    }
    return ran;
}

void sp__work_pass_on(struct host_work *work)
{
    if (sp__work_is_due(work)) {
        (void)pthread_mutex_lock(&work->lock);
        nudge(work);
        (void)pthread_mutex_unlock(&work->lock);
    }
}

/* Rest, and do what comes meanwhile. */
static int help(struct host_work *work, struct latch *latch, uint64_t timeout_ms)
{
    uint64_t begin_ms = timeout_ms == SP_UNLIMITED ? 0 : sp__now_ms();
    uint64_t left_ms = timeout_ms;
    int is_open;
    while (!(is_open = sp__latch_rest(latch, left_ms, &work->length))) {
        if (timeout_ms != SP_UNLIMITED) {
            uint64_t used_ms = sp__now_ms() - begin_ms;
            if (used_ms >= timeout_ms) {
                break;
            }
            left_ms = timeout_ms - used_ms;
        }
        (void)run_one(work);
    }
    return is_open;
}

int sp__work_wait(struct host_work *work, struct latch *latch, uint64_t timeout_ms)
{
    struct helper helper = {.latch = latch};
    if (sp__host_call_on_runner() || sp__latch_is_open(latch)) {
        return sp__latch_wait(latch, timeout_ms);
    }
    (void)pthread_mutex_lock(&work->lock);
    sp__list_append(&work->helpers, &helper.on_work);
    (void)pthread_mutex_unlock(&work->lock);
    int is_open = help(work, latch, timeout_ms);
    (void)pthread_mutex_lock(&work->lock);
    sp__list_remove(&helper.on_work);
    nudge(work); /* somebody else, when something is left */
    (void)pthread_mutex_unlock(&work->lock);
    return is_open;
}

int sp__work_rest(struct host_work *work, struct latch *latch, uint64_t timeout_ms)
{
    if (sp__host_call_on_runner()) {
        return sp__latch_wait(latch, timeout_ms);
    }
    if (sp__latch_rest(latch, timeout_ms, &work->length)) {
        return 1;
    }
    (void)sp__work_run(work, 1);
    return 0;
}

void sp__work_sleep(struct host_work *work)
{
    (void)pthread_mutex_lock(&work->lock);
    work->dispatchers++;
    (void)pthread_mutex_unlock(&work->lock);
}

void sp__work_wake(struct host_work *work)
{
    (void)pthread_mutex_lock(&work->lock);
    work->dispatchers--;
    nudge(work);
    (void)pthread_mutex_unlock(&work->lock);
}
