/* SPDX-License-Identifier: MIT */
/*
 * A worker whose thread waits in an event loop of its own: Node.js, asyncio.
 *
 * One descriptor stands for everything that the thread would otherwise sleep on in
 * poll: an epoll of the sockets, the kicks, the stop and the next deadline. When
 * sp_worker_try_next() finds nothing it writes what is due, takes the lead, as a
 * thread asleep in poll has it, and returns; from then on the thread *watches*, until it
 * calls again.
 *
 * Whether it really waits nobody can tell: a callback of the loop that has nothing to
 * do with us may run for a second. So the helper looks at the descriptor at its tick,
 * and when there has been something to read for a whole tick takes the lead as it does
 * from a thread in a long job. What it reads that only the thread can do it announces by
 * a kick, which makes the descriptor readable.
 */
#include "runtime/runtime.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/error.h"

enum { EVENTS_MAX = 16 }; /* of one look; the others come with the next */

/* What an event is about: one of these, or a connection's address. */
static char kick_mark, stop_mark, listen_mark, timer_mark;

int sp__poll_open(struct sp_worker *w, sp_error *err)
{
    struct poller *p = &w->poller;
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    p->armed_ms = SP_UNLIMITED;
    struct epoll_event timer = {.events = EPOLLIN, .data.ptr = &timer_mark};
    struct epoll_event kick = {.events = EPOLLIN, .data.ptr = &kick_mark};
    if (p->fd < 0 || p->timer_fd < 0 ||
        epoll_ctl(p->fd, EPOLL_CTL_ADD, p->timer_fd, &timer) < 0 ||
        epoll_ctl(p->fd, EPOLL_CTL_ADD, w->kick_fd, &kick) < 0) {
        int saved = errno;
        sp__poll_close(w);
        return sp__fail_errno(err, saved, "cannot make a descriptor to poll");
    }
    return SP_OK;
}

void sp__poll_close(struct sp_worker *w)
{
    if (w->poller.fd >= 0) {
        (void)close(w->poller.fd);
    }
    if (w->poller.timer_fd >= 0) {
        (void)close(w->poller.timer_fd);
    }
    w->poller.fd = w->poller.timer_fd = -1;
}

/* ---- what is watched; under smu ---- */

/* Watch `fd` for `want`, after *have. Without memory it is tried again next time, and
 * the helper finds what is missed meanwhile. */
static void watch(struct sp_worker *w, int fd, void *mark, uint32_t want,
                  uint32_t *have)
{
    struct epoll_event event = {.events = want, .data.ptr = mark};
    if (want == *have || fd < 0) {
        return;
    }
    int op = want == 0 ? EPOLL_CTL_DEL : *have == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(w->poller.fd, op, fd, &event) == 0) {
        *have = want;
    }
}

void sp__poll_forget(struct conn *c)
{
    const struct duplex_fds *fds = &c->duplex.fds;
    watch(c->worker, fds->in, c, 0, &c->watched.in);
    watch(c->worker, fds->out, c, 0, &c->watched.out);
    watch(c->worker, fds->socket, c, 0, &c->watched.socket);
}

static void arm(struct sp_worker *w, uint64_t next_ms)
{
    struct poller *p = &w->poller;
    if (next_ms >= p->armed_ms) {
        return; /* too early is no harm */
    }
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(next_ms / 1000),
                     .tv_nsec = (long)(next_ms % 1000) * 1000000 + 1}};
    if (timerfd_settime(p->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0) {
        p->armed_ms = next_ms;
    }
}

static void watch_conn(struct sp_worker *w, struct conn *c)
{
    const struct duplex_fds *fds = &c->duplex.fds;
    int full = c->stuck ? c->duplex.full : -1;
    uint32_t input = EPOLLIN | EPOLLRDHUP;
    if (sp__duplex_is_piped(fds)) {
        watch(w, fds->out, c, full == fds->out ? EPOLLOUT : 0, &c->watched.out);
        watch(w, fds->socket, c, full == fds->socket ? EPOLLOUT : 0,
              &c->watched.socket);
    } else if (full >= 0) {
        input |= EPOLLOUT;
    }
    watch(w, fds->in, c, input, &c->watched.in);
}

void sp__poll_watch(struct sp_worker *w, struct slot *slot, uint64_t next_ms)
{
    struct poller *p = &w->poller;
    int listens = w->listen_fd >= 0 && w->listen_again_ms == 0;
    watch(w, w->stop_fd, &stop_mark, w->stopping ? 0 : EPOLLIN, &p->stop);
    watch(w, w->listen_fd, &listen_mark, listens ? EPOLLIN : 0, &p->listen);
    for (size_t i = 0; i < w->conns_count; i++) {
        watch_conn(w, w->conns[i]);
    }
    arm(w, next_ms);
    w->leader = (int)slot->index;
    /* The helper reads `fd` without the lock. */
    atomic_store_explicit(&p->watching, 1, memory_order_release);
}

/* ---- what has come; under smu ---- */

static void take_event(struct sp_worker *w, const struct epoll_event *event)
{
    void *mark = event->data.ptr;
    uint64_t count;
    if (mark == &kick_mark) {
        (void)!read(w->kick_fd, &count, sizeof count);
    } else if (mark == &timer_mark) {
        (void)!read(w->poller.timer_fd, &count, sizeof count);
        w->poller.armed_ms = SP_UNLIMITED;
    } else if (mark == &stop_mark) {
        sp__service_stop(w);
    } else if (mark == &listen_mark) {
        w->listen_hot = 1;
    } else {
        struct conn *c = mark;
        c->hot |= (event->events & ~(uint32_t)EPOLLOUT) != 0;
        if (event->events & EPOLLOUT) {
            c->stuck = 0;
            c->dirty = 1;
        }
    }
}

void sp__poll_unwatch(struct sp_worker *w)
{
    struct epoll_event events[EVENTS_MAX];
    if (w->leader >= 0) {
        w->leader = LEADER_NONE;
    }
    atomic_store_explicit(&w->poller.watching, 0, memory_order_relaxed);
    int n = epoll_wait(w->poller.fd, events, EVENTS_MAX, 0);
    for (int i = 0; i < n; i++) {
        take_event(w, &events[i]);
    }
}

/* ---- the helper's side ---- */

int sp__poll_has_input(const struct sp_worker *w)
{
    struct pollfd polled = {.fd = w->poller.fd, .events = POLLIN};
    return poll(&polled, 1, 0) > 0;
}

void sp__poll_kick(struct sp_worker *w)
{
    uint64_t one = 1;
    (void)!write(w->kick_fd, &one, sizeof one); /* full means kicked already */
}

/* ---- the public side ---- */

SP_API int sp_worker_poll_fd(sp_worker *w, sp_error *err)
{
    if (atomic_load_explicit(&w->forgotten, memory_order_relaxed)) {
        return sp__fail(err, SP_ERR_CLOSED, "a forked child has nothing to wait for");
    }
    if (w->options.threads != 1) {
        return sp__fail(err, SP_ERR_INVAL,
                        "one thread can wait in its own event loop, not %u",
                        w->options.threads);
    }
    sp__runtime_lock(w);
    int rc = w->poller.fd >= 0 ? SP_OK : sp__poll_open(w, err);
    sp__runtime_unlock(w);
    return rc < 0 ? rc : w->poller.fd;
}
