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

/* On what occasion a loop would rest. */
enum loop_rest {
    REST_AFTER_CALL,         /* a caller has its answer and goes */
    REST_BETWEEN_DISPATCHES, /* a dispatcher has something to do and will be back */
    REST_BETWEEN_TURNS       /* the loop thread, which somebody would like to relieve */
};

/* How a guest sleeps: so that it may be fetched to where its news come from, which is best
 * for one call; or is left where it is, which is best for many (base/apart.h). */
enum loop_sleep { SLEEP_ANYWHERE, SLEEP_APART };

struct loop_events {
    /* After every batch of commands and descriptor events, before the loop sleeps. */
    void (*on_turn_end)(void *user);
    /* On the driving thread: may the loop be left alone for a moment? Not while somebody
     * sleeps until an answer comes, unless on_rest() is to wake that very thread. NULL:
     * never. */
    int (*may_rest)(void *user, enum loop_rest occasion);
    /* The loop thread has left the loop, which can be borrowed as soon as this returns:
     * wake who shall. 0: it cannot be, and the loop thread stays. NULL: nobody is woken. */
    int (*on_rest)(void *user);
};

/* Start the thread. `user` is handed to commands and events. */
int sp__loop_open(const struct loop_events *events, void *user, struct loop **ret_loop,
                  sp_error *err) SP_MUST_CHECK;

/* On the loop: look for news for so long before sleeping, while that pays (base/spin.h);
 * 0: never, as at first. */
void sp__loop_set_spin(struct loop *loop, uint64_t limit_us);

/* Ask the thread to end once every descriptor and timer has been closed, wait for it
 * and free. Not from the loop thread. */
void sp__loop_close(struct loop *loop);

/* Thread: any. Run a command on the loop, in order of posting. */
void sp__loop_post(struct loop *loop, struct command *command);
/* The same for several, chained by `next`, the last one's NULL: they run in one batch, and
 * a loop that sleeps is woken once. */
void sp__loop_post_all(struct loop *loop, struct command *chain);

/* Thread: any but the loop's. Run fn on the loop and wait until it has returned. */
void sp__loop_call(struct loop *loop, void (*fn)(void *user, void *arg), void *arg);

/*
 * Run the loop on this thread for a while.
 *
 * A caller that has nothing to do but wait saves two wake-ups when it does the loop's
 * work itself. Returns 0 when another thread is at it: post and sleep then. After 1:
 * sp__loop_drive() until there is no more to wait for, then sp__loop_leave().
 */
int sp__loop_borrow(struct loop *loop);
/* Just after that: run a command at once, behind those that have been posted. */
void sp__loop_run(struct loop *loop, struct command *command);
/* Turns until is_done(arg): 1. Or until end_ms (sp__now_ms(); UINT64_MAX: never) or a
 * signal handler has run: 0. */
int sp__loop_drive(struct loop *loop, int (*is_done)(void *arg), void *arg,
                   uint64_t end_ms, enum loop_sleep how);
/* Give the loop back. */
void sp__loop_leave(struct loop *loop, enum loop_rest occasion);

/* Between these two nobody is woken by what this thread posts while the loop rests; the
 * second sees to it that it is run. For callbacks, which post one call after another. */
void sp__loop_postpone(struct loop *loop);
void sp__loop_catch_up(struct loop *loop);
/* Between them, after each post: when there are many they are run, as is what descriptors
 * have brought, and do not wait for all that are still to come. */
void sp__loop_keep_up(struct loop *loop);

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
static inline int sp__timer_is_set(const struct timer *timer)
{
    return timer->node.at != 0;
}
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
