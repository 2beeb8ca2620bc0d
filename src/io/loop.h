/* SPDX-License-Identifier: MIT */
/*
 * The loop thread of a pit: the inbox, descriptors, one timer, and the end of a turn.
 *
 * Only this layer calls libuv. Everything of the layers above runs inside callbacks of
 * this one, on its thread; SP__ON_LOOP says so in code.
 */
#ifndef SP_IO_LOOP_H
#define SP_IO_LOOP_H

#include <assert.h>
#include <stdint.h>

#include "base/heap.h"
#include "snakepit/error.h"

struct loop;

/* An errand for the loop thread. Embedded in what it concerns; run exactly once for
 * every post. */
struct command {
    struct command *next;
    void (*run)(struct command *command, void *user);
};

struct loop_events {
    /* After every batch of commands and descriptor events, before the loop sleeps. */
    void (*on_turn_end)(void *user);
};

/* Start the thread. `user` is handed to commands and events. */
int sp__loop_open(const struct loop_events *events, void *user, struct loop **ret_loop,
                  sp_error *err) SP_MUST_CHECK;

/* Ask the thread to end once every descriptor and timer has been closed, wait for it
 * and free. Not from the loop thread. */
void sp__loop_close(struct loop *loop);

/* Thread: any. Run a command on the loop, in order of posting. */
void sp__loop_post(struct loop *loop, struct command *command);

/* Thread: any but the loop's. Run fn on the loop and wait until it has returned. */
void sp__loop_call(struct loop *loop, void (*fn)(void *user, void *arg), void *arg);

int sp__on_loop(const struct loop *loop);
#define SP__ON_LOOP(loop) assert(sp__on_loop(loop))

/* Time as of the last event, cheap to ask. */
uint64_t sp__loop_now_us(const struct loop *loop);
static inline uint64_t sp__loop_now_ms(const struct loop *loop)
{
    return sp__loop_now_us(loop) / 1000u;
}

/* ---- timers ---- */
struct timer {
    struct heap_node node;
    void (*fire)(struct timer *timer, uint64_t now_ms);
};

/* (Re-)arm. Never fails: room is reserved when the timer is initialised. */
int sp__timer_init(struct loop *loop, struct timer *timer,
                   void (*fire)(struct timer *timer, uint64_t now_ms)) SP_MUST_CHECK;
void sp__timer_set(struct loop *loop, struct timer *timer, uint64_t at_ms);
void sp__timer_stop(struct loop *loop, struct timer *timer);
/* Give the reserved room back; stops it too. Fine for a zeroed timer. */
void sp__timer_fini(struct loop *loop, struct timer *timer);

/* ---- descriptors ---- */
struct watch;
enum { WATCH_READ = 1, WATCH_WRITE = 2 };

/* Watch fd for WATCH_READ; it must be non-blocking. Does not own it. */
int sp__watch_open(struct loop *loop, int fd, void (*on_ready)(void *user, int events),
                   void *user, struct watch **ret_watch, sp_error *err) SP_MUST_CHECK;
/* Change what is watched: a set of WATCH_. */
void sp__watch_set(struct watch *watch, int events);
/* Stop watching, for good; the descriptor may be closed at once afterwards. */
void sp__watch_close(struct watch *watch);

#endif
