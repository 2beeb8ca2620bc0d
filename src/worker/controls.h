/* SPDX-License-Identifier: MIT */
/* What the program has said of the events that its pools' workers make. Any thread. */
#ifndef SP_WORKER_CONTROLS_H
#define SP_WORKER_CONTROLS_H

#include <pthread.h>

#include "base/list.h"
#include "snakepit/event.h"

enum { CONTROL_WORDS = 32, CONTROL_TEXT_MAX = 4096 };

/* Names with wildcards. */
struct control_words {
    char *text; /* what the words lie in */
    char *at[CONTROL_WORDS];
    size_t count;
};

/* Constant once it is in the list. */
struct control {
    struct link on_controls;
    char *pool; /* NULL: every one that has none of its own */
    int is_off;
    double rate;                 /* 0 to 1 */
    struct control_words sample; /* of which events; none: of all */
    struct control_words allow;  /* none: all */
    struct control_words deny;
};

struct controls {
    pthread_mutex_t lock;
    struct list list; /* under it */
};

void sp__controls_init(struct controls *controls);
void sp__controls_fini(struct controls *controls);

/* pool  NULL: every pool, and what was said of single ones is over
 * options  NULL: as if nothing had been said
 * INVAL, NOMEM: as it was. */
int sp__controls_set(struct controls *controls, const char *pool,
                     const sp_telemetry_options *options, sp_error *err) SP_MUST_CHECK;

/* What holds for a pool, or NULL; locked until sp__controls_leave(). */
const struct control *sp__controls_enter(struct controls *controls, const char *pool);
void sp__controls_leave(struct controls *controls);

#endif
