/* SPDX-License-Identifier: MIT */
/*
 * The loop thread.
 *
 * Normal course of a turn: descriptors that became ready and posted commands are handled
 * in one batch, then on_turn_end runs once (it writes what is due, per socket one write,
 * and wakes callers), then the loop sleeps until the next event or deadline.
 *
 * Posting takes the inbox lock for two pointer writes; the loop takes the whole list in
 * one swap. The loop looks into the inbox before it sleeps and says so when it does, so a
 * wake-up is written only to a loop that sleeps: a burst costs one, a busy loop none.
 *
 * All timers share one uv_timer over a heap: a call's deadline costs two heap steps and
 * no libuv call.
 */
#include "io/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/latch.h"
#include "base/mem.h"

enum { INBOX_ROUNDS = 4 };

struct loop {
    /* Set before start, then constant. */
    struct loop_events events;
    void *user;
    int wake_fd;      /* an eventfd */
    pthread_t thread; /* to join; who asks for the thread uses on_thread */

    /* Loop thread. */
    uv_loop_t uv;
    uv_poll_t wake;
    uv_timer_t timer;
    uv_prepare_t prepare;
    struct heap timers;
    size_t timers_reserved;
    uint64_t timer_due_ms; /* what uv_timer is set to; UINT64_MAX: stopped */
    uint64_t now_us;
    int dirty; /* something happened since the last end of turn */

    /* Under lock. */
    pthread_mutex_t lock;
    struct command *first;
    struct command **last;
    int asleep; /* the loop is in, or on its way to, the kernel: write to wake_fd */
};

struct watch {
    uv_poll_t poll;
    struct loop *loop;
    int wanted; /* what the kernel was asked for last: asking again costs a call */
    void (*on_ready)(void *user, int events);
    void *user;
};

static _Thread_local const struct loop *on_thread; /* the loop this thread runs */

static void touch(struct loop *loop)
{
    loop->now_us = sp__now_us();
    loop->dirty = 1;
}

uint64_t sp__loop_now_us(const struct loop *loop)
{
    return loop->now_us;
}

int sp__on_loop(const struct loop *loop)
{
    return on_thread == loop;
}

/* ---- inbox ---- */

static void wake(struct loop *loop)
{
    uint64_t one = 1;
    (void)!write(loop->wake_fd, &one, sizeof one); /* an eventfd at 0 takes it */
}

void sp__loop_post(struct loop *loop, struct command *command)
{
    command->next = NULL;
    pthread_mutex_lock(&loop->lock);
    *loop->last = command;
    loop->last = &command->next;
    int was_asleep = loop->asleep;
    loop->asleep = 0;
    pthread_mutex_unlock(&loop->lock);
    if (was_asleep) {
        wake(loop);
    }
}

/* Run what was posted; 1 when there was something, 0 (and asleep from now on) when not. */
static int run_commands(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct command *command = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    loop->asleep = command == NULL;
    pthread_mutex_unlock(&loop->lock);
    if (command == NULL) {
        return 0;
    }
    touch(loop);
    while (command != NULL) {
        struct command *next = command->next; /* run() may free it */
        command->run(command, loop->user);
        command = next;
    }
    return 1;
}

static void wake_cb(uv_poll_t *handle, int status, int events)
{
    struct loop *loop = handle->data;
    uint64_t count;
    (void)!read(loop->wake_fd, &count, sizeof count);
    (void)run_commands(loop);
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
    sp__latch_init(&errand.done);
    sp__loop_post(loop, &errand.command);
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
    loop->dirty = 1;
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
    touch(loop);
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

/* Before the loop sleeps. What was posted meanwhile is run first, a few times over; then
 * descriptors have their turn again, and a wake-up to itself keeps the rest from waiting. */
static void prepare_cb(uv_prepare_t *handle)
{
    struct loop *loop = handle->data;
    for (int round = 0;; round++) {
        if (loop->dirty) {
            loop->dirty = 0;
            loop->events.on_turn_end(loop->user);
        }
        if (round == INBOX_ROUNDS) {
            wake(loop);
            break;
        }
        if (!run_commands(loop)) {
            break;
        }
    }
    arm_timer(loop);
}

/* ---- descriptors ---- */

static void poll_cb(uv_poll_t *handle, int status, int events)
{
    struct watch *watch = handle->data;
    touch(watch->loop);
    /* A failed poll is told as readable: the read then finds the error itself. */
    int ready = status < 0
                    ? WATCH_READ
                    : ((events & (UV_READABLE | UV_DISCONNECT)) ? WATCH_READ : 0) |
                          ((events & UV_WRITABLE) ? WATCH_WRITE : 0);
    watch->on_ready(watch->user, ready);
}

int sp__watch_open(struct loop *loop, int fd, void (*on_ready)(void *user, int events),
                   void *user, struct watch **ret_watch, sp_error *err)
{
    struct watch *watch = sp__calloc(1, sizeof *watch);
    if (watch == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory to watch a descriptor");
    }
    watch->loop = loop;
    watch->on_ready = on_ready;
    watch->user = user;
    int rc = uv_poll_init(&loop->uv, &watch->poll, fd);
    if (rc < 0) {
        sp__free(watch);
        return sp__fail_errno(err, -rc, "watch descriptor %d", fd);
    }
    watch->poll.data = watch;
    sp__watch_set(watch, WATCH_READ);
    *ret_watch = watch;
    return SP_OK;
}

void sp__watch_set(struct watch *watch, int events)
{
    int wanted = ((events & WATCH_READ) ? UV_READABLE : 0) |
                 ((events & WATCH_WRITE) ? UV_WRITABLE : 0);
    if (wanted == watch->wanted) {
        return;
    }
    watch->wanted = wanted;
    if (wanted == 0) {
        (void)uv_poll_stop(&watch->poll);
    } else {
        (void)uv_poll_start(&watch->poll, wanted, poll_cb);
    }
}

static void watch_closed_cb(uv_handle_t *handle)
{
    sp__free(handle->data);
}

void sp__watch_close(struct watch *watch)
{
    if (watch != NULL) {
        (void)uv_poll_stop(&watch->poll);
        uv_close((uv_handle_t *)&watch->poll, watch_closed_cb);
    }
}

/* ---- life ---- */

static void *thread_main(void *arg)
{
    struct loop *loop = arg;
    (void)pthread_setname_np(pthread_self(), "snakepit-loop");
    on_thread = loop;
    loop->now_us = sp__now_us();
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    return NULL;
}

/* The host's signals are the host's: this thread takes none. */
static int start_thread(struct loop *loop)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&loop->thread, NULL, thread_main, loop);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
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
    loop->last = &loop->first;
    loop->timer_due_ms = UINT64_MAX;
    (void)pthread_mutex_init(&loop->lock, NULL);

    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0) {
        sp__fail_errno(err, errno, "make the loop's wake-up");
        goto free_loop;
    }
    int rc = uv_loop_init(&loop->uv);
    if (rc < 0) {
        sp__fail_errno(err, -rc, "start the event loop");
        goto close_wake;
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
    (void)uv_timer_init(&loop->uv, &loop->timer);
    (void)uv_prepare_init(&loop->uv, &loop->prepare);
    (void)uv_prepare_start(&loop->prepare, prepare_cb);

    rc = start_thread(loop);
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
close_wake:
    (void)close(loop->wake_fd);
free_loop:
    (void)pthread_mutex_destroy(&loop->lock);
    sp__free(loop);
    return SP_ERR_SYSTEM;
}

static void stop_loop(struct command *command, void *user)
{
    struct loop *loop = ((struct errand *)(void *)command)->arg;
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
    (void)close(loop->wake_fd);
    sp__heap_fini(&loop->timers);
    (void)pthread_mutex_destroy(&loop->lock);
    sp__free(loop);
}
