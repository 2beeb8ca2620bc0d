/* SPDX-License-Identifier: MIT */
/* The loop from within, for its two halves: who drives and when (loop.c), and the
 * descriptors that it hears (watch.c). */
#ifndef SP_IO_LOOP_INTERNAL_H
#define SP_IO_LOOP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/clock.h"
#include "base/spin.h"
#include "io/inbox.h"
#include "io/loop.h"

struct loop {
    /* Set before start, then constant. */
    struct loop_events events;
    void *user;
    int wake_fd;      /* wakes who drives; an eventfd */
    int call_fd;      /* has the loop thread drive; an eventfd */
    int alarm_fd;     /* has it look whether anybody drives; a timerfd */
    pthread_t thread; /* to join */

    /* Who drives. */
    uv_loop_t uv;
    uv_poll_t wake;
    uv_timer_t timer;
    uv_prepare_t prepare;
    struct heap timers;
    size_t timers_reserved;
    uint64_t timer_due_ms; /* what uv_timer is set to; UINT64_MAX: stopped */
    uint64_t now_us;
    int dirty;            /* something happened since the last end of turn: at now_us */
    struct watch **by_fd; /* by_fd_max of them; NULL where nothing is watched */
    int by_fd_max;
    int tells_fd; /* libuv's epoll says of an event which descriptor it is about */
    struct spin spin;
    int is_guest;
    int unsettled;    /* the kernel has not been told yet what is watched now */
    int cancel_state; /* the guest's, as pthread_setcancelstate() knows it */

    /* Any thread. */
    struct inbox inbox;
    atomic_int wanted;          /* somebody would have liked to borrow the loop */
    _Atomic(pthread_t) driver;  /* written by each with his own name, and taken back */
    _Atomic(uint64_t) alarm_us; /* when the alarm goes off; 0: it has */

    /* While the loop thread lays the loop down. */
    pthread_mutex_t lock;
    atomic_int is_offered; /* who wants the loop waits for the lock */
};

struct watch {
    uv_poll_t poll;
    struct loop *loop;
    int fd;
    int wanted; /* what the kernel was asked for last: asking again costs a call */
    void (*on_ready)(void *user, int events);
    void *user;
};

/* Something happens. The first in a turn finds out what time it is. */
static inline void sp__loop_touch(struct loop *loop)
{
    if (!loop->dirty) {
        loop->dirty = 1;
        loop->now_us = sp__now_us();
        sp__inbox_wake(&loop->inbox);
    }
}

#endif
