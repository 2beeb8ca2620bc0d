/* SPDX-License-Identifier: MIT */
/*
 * sp_worker_next(): the thread that runs user code does the I/O as well.
 *
 * The normal course, one thread: take the lock, pop a job, mark the slot as away, drop
 * the lock and return to the binding. With no job left, write what is due, read what is
 * there without waiting, and only then sleep in poll as the leader. While jobs are
 * short nobody else ever takes the lock; the helper (helper.c) watches `seq` and does
 * the I/O when a job takes long, until the slot comes back and takes the lead from it.
 *
 * With several threads one leads and the others are parked. While jobs are short a leader
 * that takes one promotes nobody; the helper wakes a parked thread when it turns out to be
 * long, so short calls cost what they cost with one thread. Once they are known to take
 * longer than a thread takes to wake, who begins one wakes the next.
 *
 * A thread that asks the host (ask.c) leads or parks like the others, but runs no jobs:
 * as a leader it wakes parked threads for what comes in, and whoever leaves nobody in
 * the lead wakes a parked one that asks, because its answer would lie unread.
 *
 * A wait ends early only for a signal, which is the binding's to handle. A thread that
 * waits elsewhere, in an event loop, does all of this but the sleeping: poll.c.
 */
#include "runtime/runtime.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

enum { POPS_PER_READ = 64 };

static _Thread_local struct {
    uint64_t serial;
    struct slot *slot;
} mine; /* this thread's slot in the worker it called last */

/* glibc's mutexes are not fair: a helper that reads a flood, and drops and takes the
 * lock again at once, would starve a slot that comes back. It looks at `waiters`. */
void sp__runtime_lock(struct sp_worker *w)
{
    if (pthread_mutex_trylock(&w->smu) == 0) {
        return;
    }
    atomic_fetch_add_explicit(&w->waiters, 1, memory_order_relaxed);
    (void)pthread_mutex_lock(&w->smu);
    atomic_fetch_sub_explicit(&w->waiters, 1, memory_order_relaxed);
}

void sp__runtime_unlock(struct sp_worker *w)
{
    (void)pthread_mutex_unlock(&w->smu);
}

void sp__runtime_nudge(struct sp_worker *w)
{
    if (w->leader != LEADER_NONE) {
        /* One descriptor each: a slot that takes the lead from the helper and polls at
         * once would eat the helper's kick before the helper has seen it. */
        int fd = w->leader == LEADER_HELPER ? w->helper_kick_fd : w->kick_fd;
        uint64_t one = 1;
        (void)!write(fd, &one, sizeof one); /* full means kicked already */
    }
}

/* To the next even number (attending; a slot begins so too) or the next odd one. */
static void step(struct slot *slot, uint32_t odd)
{
    uint32_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
    seq = odd ? seq + 1 : (seq | 1) + 1;
    atomic_store_explicit(&slot->seq, seq, memory_order_relaxed);
}

void sp__slot_back(struct sp_worker *w, struct slot *slot)
{
    sp__runtime_lock(w);
    step(slot, 0);
    int may_not_lead = slot->is_guest && w->poller.fd >= 0;
    if (w->leader == LEADER_HELPER && !may_not_lead) {
        /* Once per long job. The helper enters poll only after it has dropped smu, so
         * the kick cannot be lost. */
        sp__runtime_nudge(w);
        w->leader = LEADER_NONE;
    } else if (atomic_load_explicit(&w->poller.watching, memory_order_relaxed) &&
               w->leader == (int)slot->index) {
        w->leader = LEADER_NONE; /* guests leave a watching thread the lead: it is it */
        atomic_store_explicit(&w->poller.watching, 0, memory_order_relaxed);
    }
}

/* Whoever led goes: another reads the answers that parked threads wait for, or, with
 * `any`, what else may come. */
static void promote(struct sp_worker *w, int any)
{
    if (w->askers.first != NULL) {
        sp__asker_wake(w, ITEM(w->askers.first, struct slot, on_askers));
    } else if (any) {
        (void)sp__slots_wake_one(w);
    }
}

void sp__slot_away(struct sp_worker *w, struct slot *slot)
{
    if (w->leader == LEADER_NONE) {
        /* The helper does not see a guest go. */
        promote(w, slot->is_guest || w->typical_us >= w->options.spread_us);
    }
    if (!slot->active && !slot->is_guest) {
        slot->active = 1;
        /* Against the helper's last look before it sleeps: one of the two sees the
         * other. Once per burst of jobs, not per job. */
        atomic_fetch_add(&w->active, 1);
        if (atomic_load(&w->helper_state) == HELPER_ASLEEP) {
            sp__helper_wake(w);
        }
    }
    step(slot, 1);
    sp__runtime_unlock(w);
}

static void rest(struct sp_worker *w, struct slot *slot)
{
    if (slot->active) {
        slot->active = 0;
        atomic_fetch_sub(&w->active, 1);
    }
}

/* ---- parked threads ---- */

static void stand_up(struct sp_worker *w, struct slot *slot)
{
    slot->parked = 0;
    if (slot->on_askers.on != NULL) {
        sp__list_remove(&slot->on_askers);
    } else {
        w->parked--;
    }
}

static void unpark(struct sp_worker *w, struct slot *slot)
{
    stand_up(w, slot);
    atomic_fetch_add_explicit(&slot->wake, 1, memory_order_relaxed);
    sp__futex_wake(&slot->wake);
}

int sp__slots_wake_one(struct sp_worker *w)
{
    for (uint32_t i = 0; w->parked > 0 && i < w->slots_count; i++) {
        if (w->slots[i].parked && !w->slots[i].asking) {
            unpark(w, &w->slots[i]);
            return 1;
        }
    }
    return 0;
}

void sp__asker_wake(struct sp_worker *w, struct slot *slot)
{
    slot->look = 1;
    if (slot->parked) {
        unpark(w, slot);
    } else if (w->leader == (int)slot->index) {
        sp__runtime_nudge(w); /* it sleeps in poll */
    }
}

void sp__slots_wake_all(struct sp_worker *w)
{
    while (sp__slots_wake_one(w)) {
    }
    while (w->askers.first != NULL) {
        unpark(w, ITEM(w->askers.first, struct slot, on_askers));
    }
}

static int park(struct sp_worker *w, struct slot *slot, uint64_t until_ms)
{
    uint32_t wake = atomic_load_explicit(&slot->wake, memory_order_relaxed);
    uint64_t pause_us = SP_UNLIMITED;
    if (until_ms != SP_UNLIMITED) {
        uint64_t now_ms = sp__now_ms();
        uint64_t left_ms = until_ms > now_ms ? until_ms - now_ms : 0;
        pause_us = left_ms < SP_UNLIMITED / 1000 ? left_ms * 1000 : SP_UNLIMITED;
    }
    slot->parked = 1;
    if (slot->asking) {
        sp__list_append(&w->askers, &slot->on_askers);
    } else {
        w->parked++;
    }
    sp__runtime_unlock(w);
    int signalled = sp__futex_wait(&slot->wake, wake, pause_us);
    sp__runtime_lock(w);
    if (slot->parked) {
        stand_up(w, slot);
    }
    return signalled;
}

struct watched {
    struct pollfd *polled;
    nfds_t count;
};

static int has_news(void *arg)
{
    const struct watched *watched = arg;
    return poll(watched->polled, watched->count, 0) > 0;
}

static int lead(struct sp_worker *w, struct slot *slot, uint64_t until_ms)
{
    uint64_t next_ms = sp__runtime_timers(w);
    /* A cancelled stream wants its turn, or the question's own job is over. */
    if (slot->asking ? slot->look : sp__job_waits(w)) {
        return 0;
    }
    next_ms = until_ms < next_ms ? until_ms : next_ms;
    nfds_t n = sp__conns_poll_fill(w, slot->polled, w->kick_fd);
    w->leader = (int)slot->index;
    sp__runtime_unlock(w);

    struct timespec pause = {0};
    if (next_ms != SP_UNLIMITED) {
        uint64_t now_ms = sp__now_ms();
        uint64_t left_ms = next_ms > now_ms ? next_ms - now_ms : 0;
        pause.tv_sec = (time_t)(left_ms / 1000);
        pause.tv_nsec = (long)(left_ms % 1000) * 1000000;
    }
    struct watched watched = {slot->polled, n};
    int rc = sp__spin(&w->spin, has_news, &watched);
    if (rc == 0) {
        rc = ppoll(slot->polled, n, next_ms == SP_UNLIMITED ? NULL : &pause, NULL);
    }
    int signalled = rc < 0 && errno == EINTR;

    sp__runtime_lock(w);
    w->leader = LEADER_NONE;
    w->rested = 1;
    if (rc > 0) {
        sp__conns_poll_read(w, slot->polled, n);
    }
    return signalled;
}

int sp__slot_wait(struct sp_worker *w, struct slot *slot, uint64_t until_ms)
{
    rest(w, slot);
    w->since_us = 0; /* what comes next begins later */
    return sp__slot_may_lead(w, slot) ? lead(w, slot, until_ms)
                                      : park(w, slot, until_ms);
}

/* A guest leaves it to a thread with an event loop of its own, which would wake up for
 * the same bytes; or to the helper, while that thread is away. */
int sp__slot_may_lead(const struct sp_worker *w, const struct slot *slot)
{
    return w->leader == LEADER_NONE && !(slot->is_guest && w->poller.fd >= 0);
}

/* ---- next ---- */

/* The calling thread's slot. A worker has as many as it was told threads. */
static struct slot *find_slot(struct sp_worker *w, sp_error *err)
{
    if (mine.serial == w->serial) {
        return mine.slot;
    }
    if (w->options.threads == 1) {
        mine.serial = w->serial;
        mine.slot = &w->slots[0];
        return mine.slot;
    }
    struct slot *slot = NULL;
    sp__runtime_lock(w);
    for (uint32_t i = 0; slot == NULL && i < w->slots_taken; i++) {
        if (pthread_equal(w->slots[i].thread, pthread_self())) {
            slot = &w->slots[i];
        }
    }
    if (slot == NULL && w->slots_taken < w->options.threads) {
        slot = &w->slots[w->slots_taken++];
        slot->thread = pthread_self();
    }
    sp__runtime_unlock(w);
    if (slot == NULL) {
        (void)sp__fail(err, SP_ERR_INVAL, "more threads than the %u of options.threads",
                       w->options.threads);
        return NULL;
    }
    mine.serial = w->serial;
    mine.slot = slot;
    return slot;
}

struct slot *sp__slot_mine(const struct sp_worker *w)
{
    return mine.serial == w->serial ? mine.slot : NULL;
}

/* The binding has finished starting up: its slot no longer counts as away. */
static void end_start_up(struct sp_worker *w)
{
    struct slot *front = &w->slots[w->slots_count - 1];
    w->started_up = 1;
    if (atomic_load_explicit(&front->seq, memory_order_relaxed) & 1) {
        step(front, 0);
        rest(w, front);
    }
}

/* sp__slot_away() for the start-up's slot, which stays here once there are others. */
void sp__slot_start_up_away(struct sp_worker *w, struct slot *front)
{
    if (!w->started_up) {
        sp__slot_away(w, front);
        return;
    }
    rest(w, front);
    if (w->leader == LEADER_NONE) {
        promote(w, 1);
    }
    sp__runtime_unlock(w);
}

static int is_over(struct sp_worker *w)
{
    if (!w->gone && !(w->stopping && w->begun == 0)) {
        return 0;
    }
    sp__slots_wake_all(w);
    sp__runtime_nudge(w);
    return 1;
}

enum { NEXT_OVER, NEXT_JOB, NEXT_NOTHING };

/* Calls were read: when they are many, from a host that runs elsewhere, if that can be. */
static void keep_apart(struct sp_worker *w)
{
    if (w->queued == 0) {
        return; /* it was something else */
    }
    int is_together = w->queued >= APART_CALLS && sp__page_host_is_here(w->page);
    if (sp__apart_is_due(&w->apart, is_together, w->now_ms)) {
        (void)sp__apart_move();
    }
}

/* Take or read a job without waiting. */
static int look_for_job(struct sp_worker *w, struct slot *slot, struct sp_job **ret_job)
{
    for (;;) {
        if (++slot->pops % POPS_PER_READ == 0 && w->leader == LEADER_NONE) {
            (void)sp__conns_pump(w, slot); /* PINGs and cancellations wait behind */
        }
        *ret_job = sp__job_pop(w, slot);
        if (*ret_job != NULL) {
            return NEXT_JOB;
        }
        sp__conns_flush(w);
        if (w->leader == LEADER_NONE && sp__conns_pump(w, slot)) {
            keep_apart(w);
            continue;
        }
        if (!sp__job_waits(w)) {
            return is_over(w) ? NEXT_OVER : NEXT_NOTHING;
        }
    }
}

/* NEXT_JOB, NEXT_OVER, or SP_ERR_STOPPED_BY_CALLBACK. *idle: on_idle has been called. */
static int await_job(struct sp_worker *w, struct slot *slot, int *idle,
                     struct sp_job **ret_job)
{
    for (;;) {
        int rc = look_for_job(w, slot, ret_job);
        if (rc != NEXT_NOTHING) {
            return rc;
        }
        if (!*idle && w->options.on_idle != NULL) {
            *idle = 1;
            sp__runtime_unlock(w);
            w->options.on_idle(w->options.user_data);
            sp__runtime_lock(w);
            if (w->options.threads > 1) {
                continue; /* another thread may have read a job meanwhile */
            }
        }
        if (sp__slot_wait(w, slot, SP_UNLIMITED)) {
            return SP_ERR_STOPPED_BY_CALLBACK;
        }
    }
}

/* 1 when the job can be handed to the binding; otherwise it has been ended. */
static int prepare(struct sp_job *job, struct slot *slot)
{
    struct sp_worker *w = job->worker;
    int rc = sp__job_prepare(job, &slot->failure);
    if (rc < 0 || sp_job_cancelled(job)) {
        sp__job_refuse(job, &slot->failure);
        sp_error_clear(&slot->failure);
        return 0;
    }
    if (atomic_load_explicit(&w->telemetry_jobs, memory_order_relaxed) > 0) {
        sp__runtime_lock(w);
        sp__telemetry_start(job);
        sp__runtime_unlock(w);
    }
    return 1;
}

/* The binding lets go of what it kept for a session. */
static void end_session(struct sp_job *job)
{
    struct sp_worker *w = job->worker;
    w->options.on_session_end(w->options.user_data, (const char *)job->input.data);
    if (!atomic_load_explicit(&w->forgotten, memory_order_relaxed)) {
        sp__runtime_lock(w);
        sp__job_leave(job);
        sp__job_free(job);
        sp__runtime_unlock(w);
    }
}

/* 1 when the binding gets the job that `slot` has popped; otherwise it has been seen
 * to, and the worker goes on unless this is a forked child now. */
static int hand_out(struct sp_job *job, struct slot *slot)
{
    if (job->rpc.method == RPC_SESSION_CLEANUP) {
        end_session(job);
        return 0;
    }
    return job->turn || prepare(job, slot);
}

/* How long the slot's last job took, 0 when it had none or nobody wants to know. */
static uint64_t time_taken(struct slot *slot)
{
    uint64_t handed_us = slot->handed_us;
    slot->handed_us = 0;
    return handed_us == 0 ? 0 : sp__now_us() - handed_us;
}

/* Under smu. Forgets within some ten jobs, in both directions. */
static void learn(struct sp_worker *w, uint64_t taken_us)
{
    uint32_t taken = taken_us > UINT32_MAX ? UINT32_MAX : (uint32_t)taken_us;
    w->typical_us = w->typical_us - w->typical_us / 8 + taken / 8;
}

SP_API int sp_worker_next(sp_worker *w, sp_job **ret_job, sp_error *err)
{
    struct slot *slot = NULL;
    if (!atomic_load_explicit(&w->forgotten, memory_order_relaxed)) {
        slot = find_slot(w, err);
        if (slot == NULL) {
            return SP_ERR_INVAL;
        }
    }
    uint64_t taken_us = slot != NULL ? time_taken(slot) : 0;
    while (!atomic_load_explicit(&w->forgotten, memory_order_relaxed)) {
        int idle = 0;
        struct sp_job *job = NULL;
        sp__slot_back(w, slot);
        end_start_up(w);
        if (taken_us > 0) {
            learn(w, taken_us);
            taken_us = 0;
        }
        int rc = await_job(w, slot, &idle, &job);
        sp__slot_away(w, slot);
        if (idle) {
            w->options.on_busy(w->options.user_data); /* may wait for the interpreter */
        }
        if (rc != NEXT_JOB) {
            return rc == NEXT_OVER ? 0
                                   : sp__fail(err, rc, "a signal interrupted the wait");
        }
        if (hand_out(job, slot)) {
            slot->handed_us = w->options.threads > 1 ? sp__now_us() : 0;
            *ret_job = job;
            return 1;
        }
    }
    return 0;
}

/* Nothing is there: wait for more on the descriptor, as its thread does. 1 when there
 * is something after all. */
static int go_watching(struct sp_worker *w, struct slot *slot)
{
    uint64_t next_ms = sp__runtime_timers(w);
    sp__conns_flush(w); /* what the timers said */
    if (sp__job_waits(w)) {
        return 1;
    }
    if (w->begun == 0) {
        rest(w, slot); /* with jobs aside the helper has an eye on the thread */
    }
    sp__poll_watch(w, slot, next_ms);
    return 0;
}

SP_API int sp_worker_try_next(sp_worker *w, sp_job **ret_job, sp_error *err)
{
    if (w->poller.fd < 0 && !atomic_load(&w->forgotten)) {
        return sp__fail(err, SP_ERR_INVAL, "sp_worker_poll_fd() has not been called");
    }
    struct slot *slot = find_slot(w, err);
    while (!atomic_load_explicit(&w->forgotten, memory_order_relaxed)) {
        struct sp_job *job = NULL;
        sp__slot_back(w, slot);
        end_start_up(w);
        sp__poll_unwatch(w);
        int rc = look_for_job(w, slot, &job);
        if (rc == NEXT_NOTHING && !go_watching(w, slot)) {
            sp__runtime_unlock(w);
            return 0;
        }
        sp__slot_away(w, slot);
        if (rc == NEXT_OVER) {
            break;
        }
        if (rc == NEXT_JOB && hand_out(job, slot)) {
            *ret_job = job;
            return 1;
        }
    }
    return sp__fail(err, SP_ERR_CLOSED, "the worker is over");
}
