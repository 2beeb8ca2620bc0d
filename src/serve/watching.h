/* SPDX-License-Identifier: MIT */
/*
 * A stream of what happens to something, as one question asks for it: WatchVariables,
 * WatchEvents. watching.c has what they share, a source what there is to tell.
 */
#ifndef SP_SERVE_WATCHING_H
#define SP_SERVE_WATCHING_H

#include <stdatomic.h>

#include "serve/rpc.h"

struct watching;

struct watch_source {
    size_t size; /* of what begins with a struct watching */
    /* What is asked for is watched from now on. The question is borrowed. */
    int (*open)(struct watching *watching, const struct asking *asking,
                sp_bytes question, sp_error *err);
    /* Append the next message to `out`, or leave it empty. 1: there may be another one;
     * 0: there is none behind it, and sp__watching_wake() will come; negative: how the
     * stream ends. */
    int (*next)(struct watching *watching, struct sp_buffer *out, sp_error *err);
    /* Nobody wakes it after that. Fine when open() has failed, or was not called. */
    void (*close)(struct watching *watching);
};

struct watching {
    const struct watch_source *source;
    struct command wake;
    struct loop *loop;
    struct rpc *rpc; /* NULL: it has gone while a wake was on its way */
    int is_over;     /* nothing more is told */
    atomic_int is_woken;
};

/* The rpc's one message has come: begin. */
void sp__watching_begin(struct rpc *rpc, const struct watch_source *source,
                        sp_bytes question);
/* Any thread, with locks held: there is something to tell. */
void sp__watching_wake(struct watching *watching);
/* Loop thread: tell it now. */
void sp__watching_pump(struct watching *watching);

/* For the table of methods. */
void sp__watching_drained(struct rpc *rpc);
void sp__watching_gone(struct rpc *rpc);
void sp__watch_variables_message(struct rpc *rpc, const uint8_t *data, size_t size);
void sp__watch_events_message(struct rpc *rpc, const uint8_t *data, size_t size);

#endif
