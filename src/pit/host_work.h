/* SPDX-License-Identifier: MIT */
/*
 * What waits for a thread of the program: calls of host tools, and tools that are gone.
 *
 * Two kinds of threads come for it: one that dispatches, and helpers, which wait for
 * something else of the pit's and have nothing to do meanwhile.
 */
#ifndef SP_PIT_HOST_WORK_H
#define SP_PIT_HOST_WORK_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/latch.h"
#include "base/list.h"

struct sp_tool_call;
struct host_tool;

struct host_work {
    atomic_size_t length; /* of both lists */

    /* Under lock. */
    pthread_mutex_t lock;
    struct list due;     /* struct sp_tool_call, by on_due */
    struct list gone;    /* struct host_tool, by on_gone */
    struct list helpers; /* who came last is last, and is nudged first */
    int dispatchers;     /* that sleep: they come by themselves */
};

/* On the stack of a thread that waits. */
struct helper {
    struct link on_work;
    struct latch *latch;
};

void sp__work_init(struct host_work *work);
void sp__work_fini(struct host_work *work); /* empty */

static inline int sp__work_is_due(struct host_work *work)
{
    return atomic_load_explicit(&work->length, memory_order_acquire) > 0;
}

/* Any thread. A call comes with a reference. */
void sp__work_add(struct host_work *work, struct sp_tool_call *call);
void sp__work_add_gone(struct host_work *work, struct host_tool *tool);
/* 1 when the call was still waiting, and is not any more. */
int sp__work_remove(struct host_work *work, struct sp_tool_call *call);

/* A thread of the program: run what is due, at most `max` of it. The number of functions
 * run. */
int sp__work_run(struct host_work *work, int max);

/* As sp__latch_wait(), by a thread of the program that helps meanwhile. */
int sp__work_wait(struct host_work *work, struct latch *latch, uint64_t timeout_ms);

/* Around the sleep of a dispatcher. */
void sp__work_sleep(struct host_work *work);
void sp__work_wake(struct host_work *work);

#endif
