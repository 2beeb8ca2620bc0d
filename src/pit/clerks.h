/* SPDX-License-Identifier: MIT */
/*
 * Clerks: a few threads for errands that may wait, such as for a session's gate or for a
 * commit, so that the loop never does. They run the library's own code only.
 */
#ifndef SP_PIT_CLERKS_H
#define SP_PIT_CLERKS_H

#include <pthread.h>

#include "base/list.h"
#include "io/loop.h"

enum {
    CLERKS_MAX = 4,     /* threads, each started when it is needed first */
    ERRANDS_MAX = 16384 /* that wait; more are refused */
};

/* Embedded in what it is about; its owner keeps that until `done`. */
struct errand {
    struct link on_queue;
    struct command back;
    void (*run)(struct errand *errand); /* on a clerk; not when the pit closes first */
    void (*done)(struct errand *errand, int has_run); /* on the loop, exactly once */
    int has_run;
};

struct clerks {
    struct loop *loop;
    pthread_mutex_t lock;
    pthread_cond_t some; /* errands, or the end */
    /* Under lock. */
    struct list queue;
    int idle;    /* clerks that wait for an errand */
    int closing; /* they go; what waits is not run */
    /* Loop thread, and whoever closes after it. */
    int count;
    pthread_t threads[CLERKS_MAX];
};

void sp__clerks_init(struct clerks *clerks, struct loop *loop);

/* Loop thread. Errors: QUEUE_FULL, SYSTEM (no clerk can be started), CLOSED. Then `done`
 * is not called. */
int sp__clerks_send(struct clerks *clerks, struct errand *errand,
                    sp_error *err) SP_MUST_CHECK;

/* Not the loop thread, nor a clerk. Waits for errands that are being run; what waits
 * comes back without having been. Every `done` has been called when this returns. */
void sp__clerks_close(struct clerks *clerks);

#endif
