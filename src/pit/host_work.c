/* SPDX-License-Identifier: MIT */
/*
 * Threads of the program for functions of the program.
 *
 * Work is put on a list and one thread is told: a dispatcher that sleeps is told by its
 * descriptor, which the dispatch queue sees to; else a helper is nudged. A thread that
 * takes one of several pieces of work nudges the next helper, and so does a helper that
 * leaves some undone because what it waited for has come. So nothing waits while a thread
 * that could run it sleeps.
 */
#include "pit/host_work.h"

#include "base/clock.h"
#include "pit/host_call.h"
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

/* Locked. */
static void nudge(struct host_work *work)
{
    if (has_some(work) && work->helpers.last != NULL) {
        sp__latch_nudge(ITEM(work->helpers.last, struct helper, on_work)->latch);
    }
}

static void count(struct host_work *work)
{
    atomic_store_explicit(&work->length, work->due.length + work->gone.length,
                          memory_order_release);
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

/* Sleep until the latch is open, there is something to do for this very thread, or the
 * time is over. 1 when there is something to do. */
static int sleep_as_helper(struct host_work *work, struct latch *latch,
                           uint64_t timeout_ms)
{
    struct helper helper = {.latch = latch};
    (void)pthread_mutex_lock(&work->lock);
    sp__list_append(&work->helpers, &helper.on_work);
    int is_due = has_some(work);
    (void)pthread_mutex_unlock(&work->lock);
    if (!is_due) {
        (void)sp__latch_rest(latch, timeout_ms);
    }
    (void)pthread_mutex_lock(&work->lock);
    sp__list_remove(&helper.on_work);
    is_due = has_some(work) && !sp__latch_is_open(latch);
    if (!is_due) {
        nudge(work); /* somebody else, then */
    }
    (void)pthread_mutex_unlock(&work->lock);
    return is_due;
}

int sp__work_wait(struct host_work *work, struct latch *latch, uint64_t timeout_ms)
{
    uint64_t begin_ms = sp__now_ms();
    if (sp__host_call_on_runner()) {
        return sp__latch_wait(latch, timeout_ms);
    }
    while (!sp__latch_is_open(latch)) {
        uint64_t used_ms = sp__now_ms() - begin_ms;
        if (timeout_ms != SP_UNLIMITED && used_ms >= timeout_ms) {
            return 0;
        }
        uint64_t left_ms =
            timeout_ms == SP_UNLIMITED ? SP_UNLIMITED : timeout_ms - used_ms;
        if (sleep_as_helper(work, latch, left_ms)) {
            (void)run_one(work);
        }
    }
    return 1;
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
