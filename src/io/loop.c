/* SPDX-License-Identifier: MIT */
/*
 * The loop, its thread, and the guests that drive it in the thread's place.
 *
 * Normal course of a turn: descriptors that became ready and posted commands are handled
 * in one batch, then on_turn_end runs once (it writes what is due, per socket one write,
 * and wakes callers), then the loop sleeps until the next event or deadline.
 *
 * Posting is a swap of one word (inbox.h), and so is taking all there is. The loop looks
 * into the inbox before it sleeps and says so when it does: a wake-up is written only to a
 * loop that sleeps, so a burst costs one, a busy loop none.
 *
 * All timers share one heap: a call's deadline costs two steps in it and no libuv call.
 *
 * The clock is read once in a turn, when the first thing in it happens.
 *
 * One thread at a time drives:
 *
 *   RESTS ──borrow──▶ a guest ──leave──▶ RESTS ──resume, or nobody came──▶ the thread
 *                                          ▲                                  │
 *                                          └── somebody wanted it, all quiet ─┘
 *
 * A caller that would only sleep until the loop thread has its answer does the loop's work
 * itself, as a guest: two hand-overs between threads less. One that came too early for it
 * and is alone is woken for it (on_rest). Nobody hears a descriptor between a guest and the
 * next, so a guest that leaves anything somebody sleeps for calls the loop thread, and so
 * does who posts. Otherwise an alarm does, REST_US to twice that after the last guest has
 * left. Who leaves puts it off, when less than REST_US is left of it: while guests follow
 * each other it never goes off, and the loop thread sleeps.
 */
#include "io/loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/apart.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/latch.h"
#include "base/mem.h"
#include "base/spin.h"
#include "base/thread.h"
#include "io/loop_internal.h"

enum { INBOX_ROUNDS = 4, REST_US = 1000, HEARD_MAX = 64, POSTPONED_MAX = 32 };

static _Thread_local const struct loop *postponing; /* see sp__loop_postpone() */
static _Thread_local unsigned postponed; /* posted since, and not yet seen to */

uint64_t sp__loop_now_us(const struct loop *loop)
{
    return loop->now_us;
}

/* Linux has no thread of the name 0. */
static void set_driver(struct loop *loop, pthread_t thread)
{
    atomic_store_explicit(&loop->driver, thread, memory_order_relaxed);
}

/* Any thread: what others write is not its name, whenever it is seen. */
int sp__on_loop(const struct loop *loop)
{
    return pthread_equal(atomic_load_explicit(&loop->driver, memory_order_relaxed),
                         pthread_self());
}

/* ---- inbox ---- */

static void add_one(int event_fd)
{
    uint64_t one = 1;
    (void)!write(event_fd, &one, sizeof one); /* an eventfd at 0 takes it */
}

/* 1 when there was something. */
static int take_all(int event_fd)
{
    uint64_t count;
    return read(event_fd, &count, sizeof count) > 0;
}

void sp__loop_post_all(struct loop *loop, struct command *chain)
{
    int will_borrow = sp__inbox_rests(&loop->inbox) && postponing == loop;
    postponed += postponing == loop;
    switch (sp__inbox_post(&loop->inbox, chain, will_borrow)) {
    case INBOX_ASLEEP:
        add_one(loop->wake_fd);
        break;
    case INBOX_RESTS:
        add_one(loop->call_fd);
        break;
    case INBOX_AWAKE:
        break;
    }
}

void sp__loop_post(struct loop *loop, struct command *command)
{
    command->next = NULL;
    sp__loop_post_all(loop, command);
}

/* Run what was posted; 1 when there was something. */
static int run_commands(struct loop *loop)
{
    struct command *command = sp__inbox_take(&loop->inbox);
    if (command == NULL) {
        return 0;
    }
    sp__loop_touch(loop);
    while (command != NULL) {
        struct command *next = command->next; /* run() may free it */
        command->run(command, loop->user);
        command = next;
    }
    return 1;
}

static void hear_wake(struct loop *loop)
{
    (void)take_all(loop->wake_fd);
    (void)run_commands(loop);
}

static void wake_cb(uv_poll_t *handle, int status, int events)
{
    hear_wake(handle->data);
}

struct errand {
    struct command command;
    void (*fn)(void *user, void *arg);
    void *arg;
    struct latch done;
};

static void run_errand(struct command *command, void *user)
{
    struct errand *errand = (struct errand *)(void *)command;
    errand->fn(user, errand->arg);
    sp__latch_open(&errand->done);
}

void sp__loop_call(struct loop *loop, void (*fn)(void *user, void *arg), void *arg)
{
    struct errand errand = {.command = {.run = run_errand}, .fn = fn, .arg = arg};
    const struct loop *before = postponing;
    postponing = NULL; /* somebody waits for this one */
    sp__latch_init(&errand.done);
    sp__loop_post(loop, &errand.command);
    postponing = before;
    (void)sp__latch_wait(&errand.done, SP_UNLIMITED);
}

/* ---- timers ---- */

int sp__timer_init(struct loop *loop, struct timer *timer,
                   void (*fire)(struct timer *timer, uint64_t now_ms))
{
    int rc = sp__heap_reserve(&loop->timers, loop->timers_reserved + 1);
    if (rc < 0) {
        return rc;
    }
    loop->timers_reserved++;
    *timer = (struct timer){.fire = fire};
    return SP_OK;
}

void sp__timer_set(struct loop *loop, struct timer *timer, uint64_t at_ms)
{
    assert(timer->fire != NULL);
    if (timer->node.at == 0) {
        sp__heap_push(&loop->timers, &timer->node, at_ms);
    } else {
        sp__heap_move(&loop->timers, &timer->node, at_ms);
    }
}

void sp__timer_stop(struct loop *loop, struct timer *timer)
{
    sp__heap_remove(&loop->timers, &timer->node);
}

void sp__timer_fini(struct loop *loop, struct timer *timer)
{
    if (timer->fire != NULL) {
        sp__heap_remove(&loop->timers, &timer->node);
        loop->timers_reserved--;
        *timer = (struct timer){0};
    }
}

static void fire_due(struct loop *loop)
{
    uint64_t now_ms = sp__loop_now_ms(loop);
    struct heap_node *node;
    while ((node = sp__heap_first(&loop->timers)) != NULL && node->key <= now_ms) {
        struct timer *timer = (struct timer *)(void *)node;
        sp__heap_remove(&loop->timers, node);
        timer->fire(timer, now_ms);
    }
}

static void timer_cb(uv_timer_t *handle)
{
    struct loop *loop = handle->data;
    loop->timer_due_ms = UINT64_MAX;
    sp__loop_touch(loop);
    fire_due(loop);
}

/* Set uv_timer for the earliest deadline. A deadline that moved later leaves it alone:
 * it fires once for nothing, which is cheaper than re-arming for every call. */
static void arm_timer(struct loop *loop)
{
    struct heap_node *node = sp__heap_first(&loop->timers);
    if (node == NULL || node->key >= loop->timer_due_ms) {
        return;
    }
    loop->timer_due_ms = node->key;
    uint64_t now_ms = sp__loop_now_ms(loop);
    uv_update_time(&loop->uv);
    /* One more millisecond: both clocks are cut down to whole ones. */
    uint64_t delay_ms = node->key > now_ms ? node->key - now_ms + 1 : 0;
    (void)uv_timer_start(&loop->timer, timer_cb, delay_ms, 0);
}

/* ---- the end of a turn ---- */

static int may_rest(struct loop *loop, enum loop_rest occasion)
{
    return loop->events.may_rest != NULL && loop->events.may_rest(loop->user, occasion);
}

/* 1 when something had happened in it. */
static int end_turn(struct loop *loop)
{
    int was_dirty = loop->dirty;
    loop->dirty = 0;
    if (was_dirty) {
        loop->events.on_turn_end(loop->user);
    }
    return was_dirty;
}

/* Before the loop sleeps. What was posted meanwhile is run first, a few times over; then
 * descriptors have their turn again. */
static int finish_turn(struct loop *loop)
{
    int any = end_turn(loop);
    for (int round = 0; round < INBOX_ROUNDS && run_commands(loop); round++) {
        any |= end_turn(loop);
    }
    return any;
}

/* ---- before a sleep ---- */

static int has_news(void *arg)
{
    const struct loop *loop = arg;
    struct pollfd events = {.fd = uv_backend_fd(&loop->uv), .events = POLLIN};
    return poll(&events, 1, 0) > 0;
}

void sp__loop_set_spin(struct loop *loop, uint64_t limit_us)
{
    SP__ON_LOOP(loop);
    sp__spin_init(&loop->spin, limit_us);
}

static void prepare_cb(uv_prepare_t *handle)
{
    struct loop *loop = handle->data;
    int any = finish_turn(loop);
    arm_timer(loop);
    if (loop->is_guest) {
        return; /* it does not sleep in here */
    }
    if (any && atomic_load_explicit(&loop->wanted, memory_order_relaxed) &&
        may_rest(loop, REST_BETWEEN_TURNS)) {
        uv_stop(&loop->uv);
    } else if (!sp__inbox_mark(&loop->inbox, INBOX_ASLEEP)) {
        add_one(loop->wake_fd); /* something is left, or has come just now: no sleep */
    } else {
        (void)sp__spin(&loop->spin, has_news, loop); /* then the sleep is a short one */
    }
}

/* ---- driving ---- */

/* The loop thread lays the loop down under the lock, after it has woken who shall have it. */
static int await_offer(struct loop *loop)
{
    if (atomic_load(&loop->is_offered)) {
        pthread_mutex_lock(&loop->lock);
        pthread_mutex_unlock(&loop->lock);
    }
    return sp__inbox_claim(&loop->inbox);
}

int sp__loop_borrow(struct loop *loop)
{
    if (!await_offer(loop)) {
        if (!atomic_load_explicit(&loop->wanted, memory_order_relaxed)) {
            atomic_store_explicit(&loop->wanted, 1, memory_order_relaxed);
        }
        return 0;
    }
    /* A guest that pthread_cancel() ended in here would take the loop with it. */
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &loop->cancel_state);
    set_driver(loop, pthread_self());
    loop->is_guest = 1;
    loop->now_us = sp__now_us();
    return 1;
}

void sp__loop_run(struct loop *loop, struct command *command)
{
    SP__ON_LOOP(loop);
    (void)run_commands(loop);
    loop->dirty = 1;
    command->run(command, loop->user);
}

/* One event of a sleep. 0: it is for libuv, as are errors and what it alone knows of. */
static int hear(struct loop *loop, const struct epoll_event *event)
{
    int fd = event->data.fd;
    if (event->events & ~(uint32_t)(EPOLLIN | EPOLLOUT)) {
        return 0;
    }
    if (fd == loop->wake_fd) {
        hear_wake(loop);
        return 1;
    }
    const struct watch *watch = fd < loop->by_fd_max ? loop->by_fd[fd] : NULL;
    if (watch == NULL) {
        return 0;
    }
    int ready =
        ((event->events & EPOLLIN) && (watch->wanted & UV_READABLE) ? WATCH_READ : 0) |
        ((event->events & EPOLLOUT) && (watch->wanted & UV_WRITABLE) ? WATCH_WRITE : 0);
    if (ready == 0) {
        return 0;
    }
    watch->on_ready(watch->user, ready);
    return 1;
}

enum woken {
    WOKEN_HEARD,  /* what came has been handled */
    WOKEN_LIBUV,  /* libuv is to look */
    WOKEN_SIGNAL, /* the same, and a signal handler has run */
};

/* Until the first timer is due, or end_ms; -1: for ever. */
static int ms_to_sleep(const struct loop *loop, uint64_t end_ms)
{
    const struct heap_node *node = sp__heap_first(&loop->timers);
    uint64_t now_ms = sp__loop_now_ms(loop);
    if (node != NULL && node->key < end_ms) {
        end_ms = node->key;
    }
    if (end_ms == UINT64_MAX) {
        return -1;
    }
    uint64_t left_ms = end_ms > now_ms ? end_ms - now_ms : 0;
    return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

/* Sleep until a descriptor or a timer of the loop is due, or end_ms. libuv's own sleep is
 * not used because it does not tell of signals. What its epoll says is heard here, which
 * saves asking for it a second time. */
static enum woken sleep_as_guest(struct loop *loop, uint64_t end_ms,
                                 enum loop_sleep how)
{
    struct epoll_event events[HEARD_MAX];
    int may_sleep = sp__inbox_mark(&loop->inbox, INBOX_ASLEEP);
    int wait_ms = may_sleep ? ms_to_sleep(loop, end_ms) : 0;
    if (wait_ms != 0 && sp__spin(&loop->spin, has_news, loop)) {
        wait_ms = 0;
    }
    int fd = uv_backend_fd(&loop->uv);
    int n = how == SLEEP_APART && wait_ms != 0
                ? sp__apart_epoll_wait(fd, events, HEARD_MAX, wait_ms)
                : epoll_wait(fd, events, HEARD_MAX, wait_ms);
    int failure = n < 0 ? errno : 0;
    int heard = 0;
    sp__loop_touch(loop);
    if (n < 0) {
        return failure == EINTR ? WOKEN_SIGNAL : WOKEN_LIBUV;
    }
    for (int i = 0; loop->tells_fd && i < n; i++) {
        heard += hear(loop, &events[i]);
    }
    fire_due(loop);
    return heard == n ? WOKEN_HEARD : WOKEN_LIBUV;
}

/* One sleep, and what it brings. */
static enum woken look(struct loop *loop, uint64_t end_ms, enum loop_sleep how)
{
    /* The kernel learns what is watched in uv_run() only: no sleep before. */
    enum woken woken =
        loop->unsettled ? WOKEN_LIBUV : sleep_as_guest(loop, end_ms, how);
    if (woken != WOKEN_HEARD) {
        loop->unsettled = 0;
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    return woken;
}

int sp__loop_drive(struct loop *loop, int (*is_done)(void *arg), void *arg,
                   uint64_t end_ms, enum loop_sleep how)
{
    SP__ON_LOOP(loop);
    enum woken woken = WOKEN_LIBUV;
    for (;;) {
        (void)finish_turn(loop);
        if (is_done(arg)) {
            return 1;
        }
        if (woken == WOKEN_SIGNAL || sp__loop_now_ms(loop) >= end_ms) {
            return 0;
        }
        woken = look(loop, end_ms, how);
    }
}

/* The loop rests: the loop thread is to look in a while whether it still does. What is noted
 * comes before what is set, or it would hide that this has gone off. */
static void set_alarm(struct loop *loop)
{
    uint64_t now_us = sp__now_us();
    if (atomic_load(&loop->alarm_us) < now_us + REST_US) {
        uint64_t at_us = now_us + 2u * REST_US;
        struct itimerspec at = {
            .it_value = {(time_t)(at_us / 1000000u), (long)(at_us % 1000000u) * 1000}};
        atomic_store(&loop->alarm_us, at_us);
        (void)timerfd_settime(loop->alarm_fd, TFD_TIMER_ABSTIME, &at, NULL);
    }
}

void sp__loop_leave(struct loop *loop, enum loop_rest occasion)
{
    SP__ON_LOOP(loop);
    int may = may_rest(loop, occasion);
    int cancel_state = loop->cancel_state;
    set_driver(loop, 0);
    loop->is_guest = 0;
    if (may && sp__inbox_mark(&loop->inbox, INBOX_RESTS)) {
        set_alarm(loop);
    } else {
        add_one(loop->call_fd);
    }
    (void)pthread_setcancelstate(cancel_state, NULL);
}

void sp__loop_postpone(struct loop *loop)
{
    postponing = loop;
    postponed = 0;
}

static void run_postponed(struct loop *loop, int is_midway)
{
    if (!sp__inbox_is_empty(&loop->inbox) && sp__loop_borrow(loop)) {
        (void)finish_turn(loop);
        if (is_midway) { /* what has ended makes room for them */
            (void)look(loop, 0, SLEEP_ANYWHERE);
            (void)finish_turn(loop);
        }
        sp__loop_leave(loop, REST_BETWEEN_DISPATCHES);
    }
}

void sp__loop_keep_up(struct loop *loop)
{
    if (postponing == loop && postponed >= POSTPONED_MAX) {
        postponed = 0;
        run_postponed(loop, 1);
    }
}

void sp__loop_catch_up(struct loop *loop)
{
    postponing = NULL;
    run_postponed(loop, 0);
}

/* Until the loop thread is to drive: it is called, or the alarm finds that nobody came. */
static void await_turn(struct loop *loop)
{
    struct pollfd fds[] = {{.fd = loop->call_fd, .events = POLLIN},
                           {.fd = loop->alarm_fd, .events = POLLIN}};
    for (;;) {
        (void)poll(fds, 2, -1);
        if (take_all(loop->call_fd)) {
            return;
        }
        if (take_all(loop->alarm_fd)) {
            /* A guest that has the loop now sees that when it leaves, or is gone by now. */
            atomic_store(&loop->alarm_us, 0);
            if (sp__inbox_rests(&loop->inbox) && sp__inbox_claim(&loop->inbox)) {
                return;
            }
        }
    }
}

/* By the loop thread: lay the loop down, unless it is needed on. */
static int lay_down(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    atomic_store(&loop->is_offered, 1);
    int may = sp__inbox_is_empty(&loop->inbox) &&
              (loop->events.on_rest == NULL || loop->events.on_rest(loop->user));
    int rests = may && sp__inbox_mark(&loop->inbox, INBOX_RESTS);
    atomic_store(&loop->is_offered, 0);
    pthread_mutex_unlock(&loop->lock);
    if (rests) {
        set_alarm(loop);
    }
    return rests;
}

/* ---- life ---- */

static void *thread_main(void *arg)
{
    struct loop *loop = arg;
    (void)pthread_setname_np(pthread_self(), "snakepit-loop");
    for (;;) {
        set_driver(loop, pthread_self());
        loop->now_us = sp__now_us();
        int alive = uv_run(&loop->uv, UV_RUN_DEFAULT);
        (void)end_turn(loop); /* what came while it was about to rest */
        set_driver(loop, 0);
        atomic_store_explicit(&loop->wanted, 0, memory_order_relaxed);
        if (!alive) {
            return NULL;
        }
        if (lay_down(loop)) {
            await_turn(loop);
        }
    }
}

/* Every libuv so far puts the descriptor into the event, but none has promised it. */
static int is_fd_told(struct loop *loop)
{
    struct epoll_event event = {0};
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT); /* tells the kernel what is watched */
    add_one(loop->wake_fd);
    int n = epoll_wait(uv_backend_fd(&loop->uv), &event, 1, 0);
    (void)take_all(loop->wake_fd);
    return n == 1 && event.data.fd == loop->wake_fd;
}

static void free_loop(struct loop *loop)
{
    int fds[] = {loop->wake_fd, loop->call_fd, loop->alarm_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    (void)pthread_mutex_destroy(&loop->lock);
    sp__free(loop);
}

int sp__loop_open(const struct loop_events *events, void *user, struct loop **ret_loop,
                  sp_error *err)
{
    struct loop *loop = sp__calloc(1, sizeof *loop);
    if (loop == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the loop");
    }
    loop->events = *events;
    loop->user = user;
    loop->timer_due_ms = UINT64_MAX;
    (void)pthread_mutex_init(&loop->lock, NULL);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop->wake_fd < 0 || loop->call_fd < 0 || loop->alarm_fd < 0) {
        sp__fail_errno(err, errno, "make what wakes the loop");
        goto fail;
    }
    int rc = uv_loop_init(&loop->uv);
    if (rc < 0) {
        sp__fail_errno(err, -rc, "start the event loop");
        goto fail;
    }
    loop->wake.data = loop;
    loop->timer.data = loop;
    loop->prepare.data = loop;
    rc = uv_poll_init(&loop->uv, &loop->wake, loop->wake_fd);
    if (rc < 0) {
        sp__fail_errno(err, -rc, "watch the loop's wake-up");
        goto close_uv;
    }
    (void)uv_poll_start(&loop->wake, UV_READABLE, wake_cb);
    loop->tells_fd = is_fd_told(loop);
    (void)uv_timer_init(&loop->uv, &loop->timer);
    (void)uv_prepare_init(&loop->uv, &loop->prepare);
    (void)uv_prepare_start(&loop->prepare, prepare_cb);

    rc = sp__thread_start(&loop->thread, NULL, thread_main, loop);
    if (rc != 0) {
        sp__fail_errno(err, rc, "start the loop thread");
        uv_close((uv_handle_t *)&loop->wake, NULL);
        uv_close((uv_handle_t *)&loop->timer, NULL);
        uv_close((uv_handle_t *)&loop->prepare, NULL);
        (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
        goto close_uv;
    }
    *ret_loop = loop;
    return SP_OK;

close_uv:
    (void)uv_loop_close(&loop->uv);
fail:
    free_loop(loop);
    return SP_ERR_SYSTEM;
}

static void stop_loop(struct command *command, void *user)
{
    struct loop *loop = ((struct errand *)(void *)command)->arg;
    loop->unsettled = 1;
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
}

void sp__loop_close(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    struct errand errand = {.command = {.run = stop_loop}, .arg = loop};
    sp__loop_post(loop, &errand.command);
    (void)pthread_join(loop->thread, NULL);
    int rc = uv_loop_close(&loop->uv);
    assert(rc == 0); /* a watch that its owner forgot to close */
    (void)rc;
    sp__free(loop->by_fd);
    sp__heap_fini(&loop->timers);
    free_loop(loop);
}
