/* SPDX-License-Identifier: MIT */
/*
 * The helper thread: does the I/O while user code takes long, and ends the process when
 * the host is gone. It never runs user code and never touches an interpreter.
 *
 * It looks at the slots' `seq` at a tick that backs off (2.5 to 20 ms; fixed short
 * ticks cost a sixth of the throughput with a hundred workers on two processors),
 * without the lock. A slot that is away with the same seq as a tick ago runs something
 * long. The helper looks again under the lock and then wakes a parked thread to lead
 * or, when all threads are busy, takes the lead itself until one comes back. With every
 * slot idle for three ticks it sleeps without a timeout; the first slot to go away
 * wakes it.
 *
 * All signals are blocked here, so that SIGTERM and SIGINT interrupt the thread that
 * can act on them.
 */
#include "runtime/runtime.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"

enum {
    TICK_MIN_US = 2500,
    TICK_MAX_US = 20000,
    QUIET_TICKS = 3,
    WATCH_US = 250 * 1000, /* to the next look at a thread in its own event loop */
    STACK_BYTES = 256 * 1024
};

/* ---- futexes ---- */

int sp__futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_us)
{
    struct timespec pause = {.tv_sec = (time_t)(timeout_us / 1000000),
                             .tv_nsec = (long)(timeout_us % 1000000) * 1000};
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value,
                      timeout_us == SP_UNLIMITED ? NULL : &pause, NULL, 0);
    return rc < 0 && errno == EINTR;
}

void sp__futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void sp__helper_wake(struct sp_worker *w)
{
    uint32_t asleep = HELPER_ASLEEP;
    if (atomic_compare_exchange_strong(&w->helper_state, &asleep, HELPER_AWAKE)) {
        sp__futex_wake(&w->helper_state);
    }
}

static int must_stop(struct sp_worker *w)
{
    return atomic_load(&w->helper_state) == HELPER_STOP;
}

/* ---- leading ---- */

static void poll_as_leader(struct sp_worker *w, struct pollfd *polled, uint64_t next_ms)
{
    nfds_t n = sp__conns_poll_fill(w, polled, w->helper_kick_fd);
    sp__runtime_unlock(w);
    struct timespec pause = {0};
    if (next_ms != SP_UNLIMITED) {
        uint64_t now_ms = sp__now_ms();
        uint64_t left_ms = next_ms > now_ms ? next_ms - now_ms : 0;
        pause.tv_sec = (time_t)(left_ms / 1000);
        pause.tv_nsec = (long)(left_ms % 1000) * 1000000;
    }
    int rc = ppoll(polled, n, next_ms == SP_UNLIMITED ? NULL : &pause, NULL);
    sp__runtime_lock(w);
    if (rc > 0 && w->leader == LEADER_HELPER) {
        sp__conns_poll_read(w, polled, n);
    } else if (rc > 0) {
        sp__conns_poll_kick(polled); /* a slot has come back: the rest is its */
    }
}

/* Who wanted the lock was a guest that asks: the thread is in its event loop still, and
 * without it, or an eye on it, nobody would read what comes. */
static void watch_on(struct sp_worker *w)
{
    uint32_t seq = atomic_load_explicit(&w->slots[0].seq, memory_order_relaxed);
    if (w->poller.fd >= 0 && !(seq & 1)) {
        w->leader = 0;
        atomic_store_explicit(&w->poller.watching, 1, memory_order_release);
    }
}

/* smu is held on entry and exit. */
static void take_over(struct sp_worker *w, struct pollfd *polled)
{
    w->leader = LEADER_HELPER;
    atomic_store_explicit(&w->poller.watching, 0, memory_order_relaxed);
    for (size_t i = 0; w->poller.fd >= 0 && i < w->conns_count; i++) {
        w->conns[i]->hot = 1; /* what it has seen come, it has not taken note of */
    }
    while (w->leader == LEADER_HELPER && !w->gone) {
        (void)sp__jobs_publish(w);
        int any = sp__conns_pump(w, NULL);
        uint64_t next_ms = sp__runtime_timers(w);
        if (w->poller.fd >= 0 && (w->stopping || sp__job_waits(w))) {
            sp__poll_kick(w); /* should the thread wait by now, in its event loop */
        }
        sp__conns_flush(w);
        if (any) {
            if (atomic_load_explicit(&w->waiters, memory_order_relaxed) > 0) {
                break; /* a slot has come back */
            }
            sp__runtime_unlock(w);
            sp__runtime_lock(w);
            continue;
        }
        poll_as_leader(w, polled, next_ms);
    }
    if (w->leader == LEADER_HELPER) {
        w->leader = LEADER_NONE;
        watch_on(w);
    }
}

/* The host is gone and exit_at_ms is set: keep interrupting what runs, then end the
 * process. The usual exit is not for us: a job that holds its interpreter's lock would
 * make it wait for ever, and nobody is left to see the difference. */
static void mourn(struct sp_worker *w)
{
    while (!must_stop(w)) {
        sp__runtime_lock(w);
        uint64_t until_ms = sp__runtime_timers(w);
        uint64_t exit_at_ms = w->exit_at_ms;
        sp__runtime_unlock(w);
        uint64_t now_ms = sp__now_ms();
        if (now_ms >= exit_at_ms) {
            _exit(EXIT_HOST_GONE);
        }
        until_ms = until_ms < exit_at_ms ? until_ms : exit_at_ms;
        uint64_t left_ms = until_ms > now_ms ? until_ms - now_ms : 1;
        (void)sp__futex_wait(&w->helper_state, HELPER_AWAKE, left_ms * 1000);
    }
}

/* ---- watching ---- */

/* Whether a slot that seems to wait in its event loop has left something lying there
 * since the last look; only of a worker with such a thread, which has one. */
static int is_late(struct sp_worker *w, struct slot *slot, int moved)
{
    if (!atomic_load_explicit(&w->poller.watching, memory_order_acquire) ||
        !sp__poll_has_input(w)) {
        slot->late = 0;
        return 0;
    }
    slot->late = moved ? 1 : slot->late + 1;
    return slot->late > 1;
}

/* 1 when a slot has been away since the last look; *ret_changed: some seq moved. */
static int look(struct sp_worker *w, int *ret_away, int *ret_changed)
{
    int same = 0;
    *ret_away = *ret_changed = 0;
    for (uint32_t i = 0; i < w->slots_count; i++) {
        struct slot *slot = &w->slots[i];
        uint32_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
        same |= seq == slot->seen && (seq & 1);
        same |= i == 0 && is_late(w, slot, seq != slot->seen);
        *ret_changed |= seq != slot->seen;
        *ret_away |= seq & 1;
        slot->seen = seq;
    }
    return same;
}

static int is_still_away(struct sp_worker *w)
{
    for (uint32_t i = 0; i < w->slots_count; i++) {
        uint32_t seq = atomic_load_explicit(&w->slots[i].seq, memory_order_relaxed);
        if (((seq & 1) || w->slots[i].late > 1) && seq == w->slots[i].seen) {
            return 1;
        }
    }
    return 0;
}

/* A slot seems to be away for long. 1 when there was something to do. */
static int attend(struct sp_worker *w, struct pollfd *polled)
{
    int did = 0;
    sp__runtime_lock(w);
    if (is_still_away(w) && !w->gone && !must_stop(w)) {
        int watches = atomic_load_explicit(&w->poller.watching, memory_order_relaxed);
        if (w->leader >= 0 && !watches) {
            /* A parked thread leads already, but the chunks are the runner's own. */
            did = sp__jobs_publish(w);
            sp__conns_flush(w);
        } else if (sp__slots_wake_one(w)) {
            did = 1;
        } else {
            take_over(w, polled);
            did = 1;
        }
    }
    sp__runtime_unlock(w);
    return did;
}

static void sleep_if_idle(struct sp_worker *w)
{
    uint32_t awake = HELPER_AWAKE;
    if (!atomic_compare_exchange_strong(&w->helper_state, &awake, HELPER_ASLEEP)) {
        return;
    }
    if (atomic_load(&w->active) != 0) { /* the other half: sp__slot_away() */
        uint32_t asleep = HELPER_ASLEEP;
        (void)atomic_compare_exchange_strong(&w->helper_state, &asleep, HELPER_AWAKE);
        return;
    }
    while (atomic_load(&w->helper_state) == HELPER_ASLEEP) {
        int watches = atomic_load_explicit(&w->poller.watching, memory_order_acquire);
        (void)sp__futex_wait(&w->helper_state, HELPER_ASLEEP,
                             watches ? WATCH_US : SP_UNLIMITED);
        if (watches && sp__poll_has_input(w)) {
            uint32_t asleep = HELPER_ASLEEP;
            (void)atomic_compare_exchange_strong(&w->helper_state, &asleep,
                                                 HELPER_AWAKE);
        }
    }
}

static void *helper_main(void *arg)
{
    struct sp_worker *w = arg;
    struct pollfd polled[POLLED_MAX];
    uint64_t tick_us = TICK_MIN_US;
    int quiet = 0;
    for (;;) {
        (void)sp__futex_wait(&w->helper_state, HELPER_AWAKE, tick_us);
        if (must_stop(w)) {
            return NULL;
        }
        if (atomic_load(&w->mourning)) {
            mourn(w);
            continue;
        }
        int away;
        int changed;
        int same = look(w, &away, &changed);
        int did = same && attend(w, polled);
        int backs_off = same ? !did : !away;
        tick_us = !backs_off                  ? TICK_MIN_US
                  : tick_us * 2 < TICK_MAX_US ? tick_us * 2
                                              : TICK_MAX_US;
        quiet = changed || atomic_load(&w->active) != 0 ? 0 : quiet + 1;
        if (quiet >= QUIET_TICKS) {
            sleep_if_idle(w);
            tick_us = TICK_MIN_US;
            quiet = 0;
        }
    }
}

int sp__helper_start(struct sp_worker *w, sp_error *err)
{
    pthread_attr_t attr;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    int rc = sp__thread_start(&w->helper, &attr, helper_main, w);
    (void)pthread_attr_destroy(&attr);
    return rc == 0 ? SP_OK : sp__fail_errno(err, rc, "cannot start the helper thread");
}

void sp__helper_stop(struct sp_worker *w)
{
    atomic_store(&w->helper_state, HELPER_STOP);
    sp__futex_wake(&w->helper_state);
    sp__runtime_lock(w);
    if (w->leader == LEADER_HELPER) {
        sp__runtime_nudge(w);
        w->leader = LEADER_NONE;
    }
    sp__runtime_unlock(w);
    (void)pthread_join(w->helper, NULL);
}
