/* SPDX-License-Identifier: MIT */
/*
 * Why a job ends before its answer: its caller left, its deadline passed, the host
 * died. Everything under smu.
 *
 * A job that has not begun is answered or forgotten at once. One that runs is marked,
 * loses its stream, and the binding is asked (on_cancel) to interrupt the user code: at
 * once, and again after 10, 20, 40 .. 1280 ms, because a signal may arrive between the
 * interpreter's last check and a system call. A parked stream and a job that was set
 * aside get a turn, so that their own thread can close the generator, or tell the tool.
 *
 * The late answer of a marked job finds no stream and is dropped.
 */
#include "runtime/runtime.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

enum { RAISE_FIRST_MS = 10, RAISE_LAST_MS = 1280 };

/* Nobody waits for this job's answer from now on. */
void sp__job_detach(struct sp_job *job)
{
    if (job->stream != NULL) {
        sp__h2_stream_set_user(job->stream, NULL);
    }
    job->stream = NULL;
    job->conn = NULL;
    sp__list_remove(&job->on_timed);
}

static void raise_in(struct sp_job *job, uint64_t now_ms)
{
    struct sp_worker *w = job->worker;
    if (atomic_load_explicit(&job->interrupted, memory_order_relaxed)) {
        job->raise_at_ms = 0;
        return;
    }
    job->raise_at_ms = now_ms + job->raise_pause_ms;
    job->raise_pause_ms = job->raise_pause_ms * 2 < RAISE_LAST_MS
                              ? job->raise_pause_ms * 2
                              : RAISE_LAST_MS;
    w->options.on_cancel(w->options.user_data, job);
}

static void cancel(struct sp_job *job, enum cancel_why why)
{
    struct sp_worker *w = job->worker;
    atomic_store_explicit(&job->cancelled, why, memory_order_release);
    sp__asks_wake(job);
    if (w->options.on_cancel == NULL || job->state != JOB_RUNNING) {
        return;
    }
    /* A thread that attends is inside sp_job_chunk() or asks the host, and will be told
     * by the result. */
    uint32_t seq = atomic_load_explicit(&w->slots[job->slot].seq, memory_order_relaxed);
    if (seq & 1) {
        job->raise_pause_ms = RAISE_FIRST_MS;
        raise_in(job, sp__now_ms());
    }
}

/* The stream of a job is over; h2 takes it away after this. */
void sp__job_stream_ended(struct sp_job *job, enum cancel_why why)
{
    job->stream = NULL;
    sp__job_detach(job);
    switch (job->state) {
    case JOB_INCOMING:
    case JOB_QUEUED:
        sp__job_free(job);
        break;
    case JOB_RUNNING:
    case JOB_TURN:
        cancel(job, why);
        break;
    case JOB_PARKED:
    case JOB_ASIDE:
        cancel(job, why);
        sp__list_remove(&job->on_list);
        sp__job_push_turn(job);
        break;
    }
}

static void deadline_passed(struct sp_job *job)
{
    sp_error failure = {0};
    int begun = job->state != JOB_INCOMING && job->state != JOB_QUEUED;
    (void)sp__fail(&failure, SP_ERR_TIMEOUT, "the deadline passed %s",
                   begun ? "while the tool ran" : "before the tool began");
    failure.executed = begun ? SP_EXECUTED_YES : SP_EXECUTED_NO;
    (void)sp__job_publish(job); /* what the caller can still have */
    sp__job_put_status(job, GRPC_DEADLINE_EXCEEDED, &failure);
    sp_error_clear(&failure);
    sp__h2_stream_set_user(job->stream, NULL);
    sp__job_stream_ended(job, CANCEL_DEADLINE);
}

/* The host has given it up and told its caller that it did not run; the reset of its
 * stream is on the way. */
void sp__job_revoked(struct sp_job *job)
{
    sp__h2_stream_set_user(job->stream, NULL);
    sp__h2_reset(job->stream, RST_CANCEL);
    sp__job_stream_ended(job, CANCEL_PEER);
}

static void expire(struct sp_worker *w, uint64_t now_ms)
{
    uint64_t next_ms = SP_UNLIMITED;
    struct link *next;
    for (struct link *link = w->timed.first; link != NULL; link = next) {
        struct sp_job *job = ITEM(link, struct sp_job, on_timed);
        next = link->next;
        if (job->deadline_ms <= now_ms) {
            deadline_passed(job);
        } else if (job->deadline_ms < next_ms) {
            next_ms = job->deadline_ms;
        }
    }
    w->next_deadline_ms = next_ms;
}

uint64_t sp__runtime_timers(struct sp_worker *w)
{
    uint64_t now_ms = sp__now_ms();
    if (w->timed.first == NULL) {
        w->next_deadline_ms = SP_UNLIMITED;
    } else if (now_ms >= w->next_deadline_ms) {
        expire(w, now_ms);
    }
    uint64_t next_ms = w->next_deadline_ms;
    if (now_ms >= w->listen_again_ms) {
        w->listen_again_ms = 0;
    } else if (w->listen_again_ms < next_ms) {
        next_ms = w->listen_again_ms;
    }
    for (uint32_t i = 0; w->options.on_cancel != NULL && i < w->slots_count; i++) {
        struct sp_job *job = w->slots[i].cur;
        if (job == NULL || job->raise_at_ms == 0) {
            continue;
        }
        if (now_ms >= job->raise_at_ms) {
            raise_in(job, now_ms);
        }
        if (job->raise_at_ms != 0 && job->raise_at_ms < next_ms) {
            next_ms = job->raise_at_ms;
        }
    }
    return next_ms;
}

/*
 * The host is gone: nothing this worker could do has a receiver. With user code running
 * on some thread the process ends after the grace, whatever that code does; without,
 * the binding gets a chance to leave in its own manner, and an undertaker in case it
 * cannot. Called before the streams are ended and before anyone asks for an
 * interpreter's lock.
 */
void sp__runtime_host_gone(struct sp_worker *w, struct slot *slot)
{
    int busy = 0;
    for (uint32_t i = 0; i < w->slots_count; i++) {
        uint32_t seq = atomic_load_explicit(&w->slots[i].seq, memory_order_relaxed);
        busy |= &w->slots[i] != slot && (seq & 1);
        busy |= w->slots[i].asking && w->slots[i].cur != NULL;
    }
    /* Seen by the helper first: the thread does not wait in its event loop. */
    busy |= slot == NULL && w->poller.fd >= 0;
    if (busy && w->options.exit_grace_ms == 0) {
        /* Not exit(): handlers and buffers belong to user code, which is running. */
        _exit(EXIT_HOST_GONE);
    }
    w->gone = 1;
    w->stopping = 1;
    w->exit_at_ms = sp__now_ms() + (busy ? w->options.exit_grace_ms : UNDERTAKER_MS);
    atomic_store(&w->mourning, 1);
    sp__helper_wake(w);
    sp__slots_wake_all(w);
}
