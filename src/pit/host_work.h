/* SPDX-License-Identifier: MIT */
/*
 * What waits for a thread of the program: calls of host tools, and tools that are gone.
 *
 * Two kinds of threads come for it: one that dispatches, and helpers, which wait for
 * something else of the pit's and have nothing to do meanwhile. Who waits for a call is
 * found by the loop, which has the call; other helpers put themselves on a list.
 */
#ifndef SP_PIT_HOST_WORK_H
#define SP_PIT_HOST_WORK_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/latch.h"
#include "base/list.h"
#include "io/loop.h"

struct lane;
struct sp_tool_call;
struct host_tool;
struct request;

struct host_work {
    atomic_size_t length; /* of what is due, and gone */

    /* Under lock. */
    pthread_mutex_t lock;
    struct list due;     /* struct sp_tool_call, by on_due */
    struct list gone;    /* struct host_tool, by on_gone */
    struct list helpers; /* who came last is last, and is nudged first */
    int dispatchers;     /* that sleep: they come by themselves */
    struct lane *lanes;  /* NULL before they run, and after */
    uint32_t lanes_count;
    struct command seek; /* to look among the takers, on one lane after the other */
    int is_sought;       /* it is on its way; */
    int is_sought_again; /* and is to go round once more */
    size_t sought;       /* takers it has yet to find */
};

/* On the stack of a thread that waits. */
struct helper {
    struct link on_work;
    struct latch *latch;
};

void sp__work_init(struct host_work *work);
void sp__work_fini(struct host_work *work); /* empty */

/* Those that have the calls; NULL: nothing is posted to their loops any more. */
void sp__work_set_lanes(struct host_work *work, struct lane *lanes, uint32_t count);

static inline int sp__work_is_due(struct host_work *work)
{
    return atomic_load_explicit(&work->length, memory_order_acquire) > 0;
}

/* Loop thread: a thread waits for this request, or will, and not any more. */
void sp__work_add_taker(struct host_work *work, struct list *takers,
                        struct request *request);
void sp__work_remove_taker(struct request *request);

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
/* The same for the taker of a request, which the loop finds by itself: takes no lock. It
 * rests once, and also returns 0 when it has helped or was nudged for another reason. */
int sp__work_rest(struct host_work *work, struct latch *latch, uint64_t timeout_ms);
/* A thread that goes leaves what there is to another one. */
void sp__work_pass_on(struct host_work *work);

/* Around the sleep of a dispatcher. */
void sp__work_sleep(struct host_work *work);
void sp__work_wake(struct host_work *work);

#endif
