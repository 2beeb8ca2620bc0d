/* SPDX-License-Identifier: MIT */
/*
 * Jobs from the request's head to the thread that runs them. Everything under smu.
 *
 * Calls and the turns of streams stand in one line, first come first served, so several
 * streams and calls share a thread fairly. The line is bounded where calls are admitted
 * (service.c); turns are bounded by the calls they came from. Ended jobs are kept for
 * use again with their small buffers, so a short call allocates nothing.
 */
#include "runtime/runtime.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

static struct sp_job *job_take(struct sp_worker *w)
{
    if (w->spare_count > 0) {
        return w->spare[--w->spare_count];
    }
    struct sp_job *job = sp__calloc(1, sizeof *job);
    if (job != NULL) {
        sp__buf_init(&job->input, SIZE_MAX);
        sp__buf_init(&job->args, SIZE_MAX);
    }
    return job;
}

struct sp_job *sp__job_new(struct conn *c, struct h2_stream *stream,
                           enum rpc_method method, uint64_t timeout_ms)
{
    struct sp_worker *w = c->worker;
    struct sp_job *job = job_take(w);
    if (job == NULL) {
        return NULL;
    }
    job->rpc.method = method;
    job->worker = w;
    job->state = JOB_INCOMING;
    job->stream = stream;
    job->conn = c;
    job->stream_id = sp__h2_stream_id(stream);
    job->trusted = c->role == CONN_CALLS;
    job->deadline_ms = SP_UNLIMITED;
    if (timeout_ms < SP_UNLIMITED - w->now_ms) {
        job->deadline_ms = w->now_ms + timeout_ms;
        sp__list_append(&w->timed, &job->on_timed);
        if (job->deadline_ms < w->next_deadline_ms) {
            w->next_deadline_ms = job->deadline_ms;
        }
    }
    sp__list_append(&w->incoming, &job->on_list);
    w->queued++;
    return job;
}

/* The request has come. A call has one; what follows it is not ours to see. */
int sp__job_message(struct sp_job *job, const uint8_t *data, size_t size)
{
    struct sp_worker *w = job->worker;
    if (job->state != JOB_INCOMING) {
        return SP_OK;
    }
    /* One byte more: request.c ends strings where they lie. */
    if (!sp__h2_take_message(job->stream, &job->input)) {
        int rc = sp__buf_reserve(&job->input, size + 1, NULL);
        if (rc < 0) {
            return rc;
        }
        if (size > 0) {
            memcpy(job->input.data, data, size);
        }
    }
    job->input.data[size] = 0;
    job->input.size = size;
    sp__list_remove(&job->on_list);
    job->state = JOB_QUEUED;
    sp__list_append(&w->ready, &job->on_list);
    return SP_OK;
}

/* It is on its thread again, or over. */
static void leave_place(struct sp_job *job)
{
    if (job->place != 0) {
        atomic_store_explicit(&job->worker->page->running[job->place], 0,
                              memory_order_relaxed);
        job->place = 0;
    }
}

static void destroy(struct sp_job *job)
{
    sp__buf_fini(&job->input);
    sp__buf_fini(&job->args);
    sp__proto_scratch_fini(&job->scratch);
    sp__free(job);
}

/* Forget a job that no thread runs; its stream has been seen to. */
void sp__job_free(struct sp_job *job)
{
    struct sp_worker *w = job->worker;
    if (job->state == JOB_INCOMING || job->state == JOB_QUEUED) {
        w->queued--;
    } else {
        w->begun--;
    }
    sp__job_detach(job);
    sp__asks_orphan(job);
    sp__list_remove(&job->on_list);

    leave_place(job);
    sp_kept_drop(job->kept);
    sp__held_drop(&job->held);
    sp__free(job->pend);
    if (w->spare_count == SPARE_MAX) {
        destroy(job);
        return;
    }
    job->input.size = job->args.size = 0;
    sp__buf_shrink(&job->input, SPARE_BYTES);
    sp__buf_shrink(&job->args, SPARE_BYTES);
    memset(job, 0, offsetof(struct sp_job, input));
    w->spare[w->spare_count++] = job;
}

/* When no thread runs any: the connections are closed. */
void sp__jobs_free(struct sp_worker *w)
{
    struct link *link;
    for (uint32_t i = 0; i < w->slots_count; i++) {
        if (w->slots[i].cur != NULL) { /* left behind by the binding */
            struct sp_job *job = w->slots[i].cur;
            sp__job_leave(job);
            sp__job_free(job);
        }
    }
    while ((link = w->ready.first) != NULL || (link = w->aside.first) != NULL) {
        sp__job_free(ITEM(link, struct sp_job, on_list));
    }
    while (w->spare_count > 0) {
        destroy(w->spare[--w->spare_count]);
    }
}

/* ---- running ---- */

static void show_running(struct sp_worker *w, const struct sp_job *job, uint32_t id)
{
    if (job->trusted) {
        atomic_store_explicit(&w->page->running[job->slot], id, memory_order_relaxed);
    }
}

static void begin(struct sp_worker *w, struct sp_job *job)
{
    w->queued--;
    w->begun++;
    if (!job->trusted) {
        job->started_us = sp__now_us(); /* our own host looks at its own clock */
    }
}

/* ---- what calls take ---- */

/* One after the other on one thread, so that the end of one is where the next begins, and
 * the clock is read once for each. With several at once the host sees better from outside
 * how fast they end. */
static int is_timed(const struct sp_job *job)
{
    const struct sp_worker *w = job->worker;
    return job->trusted && job->rpc.method == RPC_EXECUTE && !job->turn &&
           w->options.threads == 1 && w->poller.fd < 0;
}

/* Now, or when the last one ended: a program that does something else in between counts
 * that as the next one's time, and the host looks after deadlines too. */
static uint64_t begins_ms(struct sp_worker *w)
{
    if (w->since_us == 0) {
        w->since_us = sp__now_us();
    }
    return w->since_us / 1000;
}

static void note_begin(struct sp_worker *w, const struct sp_job *job)
{
    if (is_timed(job)) {
        (void)begins_ms(w);
    } else {
        w->since_us = 0;
    }
}

void sp__job_tell_time(const struct sp_job *job)
{
    struct sp_worker *w = job->worker;
    if (w->since_us == 0 || job->state != JOB_RUNNING || !is_timed(job)) {
        return;
    }
    uint64_t now_us = sp__now_us();
    uint64_t taken_us = now_us - w->since_us;
    sp__page_put_time(w->page, job->stream_id, taken_us);
    w->since_us = now_us;
    w->quick = taken_us <= QUICK_US ? w->quick + 1 : 0;
}

/* A host that has woken its worker for one call sleeps elsewhere by now. To wake it takes
 * longer than such calls do: it is woken before there is an answer. */
static void rouse_host(struct sp_worker *w, const struct sp_job *job)
{
    if (w->rested && w->queued == 0 && w->quick >= QUICK_JOBS && is_timed(job) &&
        !sp__page_host_is_here(w->page)) {
        sp__duplex_rouse(&job->conn->duplex);
    }
}

/* The first in the line that may run. When as many are aside as may be, only turns. */
static struct link *first_in_line(const struct sp_worker *w)
{
    struct link *link = w->ready.first;
    if (w->aside.length > 0 && w->aside.length >= w->options.jobs_max) {
        while (link != NULL && ITEM(link, struct sp_job, on_list)->state != JOB_TURN) {
            link = link->next;
        }
    }
    return link;
}

int sp__job_waits(const struct sp_worker *w)
{
    return first_in_line(w) != NULL;
}

struct sp_job *sp__job_pop(struct sp_worker *w, struct slot *slot)
{
    struct sp_job *job;
    for (;;) {
        struct link *link = first_in_line(w);
        if (link == NULL) {
            return NULL;
        }
        sp__list_remove(link);
        job = ITEM(link, struct sp_job, on_list);
        if (job->state == JOB_TURN) {
            job->turn = 1;
            job->is_aside = 0;
            break;
        }
        if (job->deadline_ms != SP_UNLIMITED && begins_ms(w) >= job->deadline_ms) {
            sp__list_prepend(&w->ready, &job->on_list);
            (void)sp__runtime_timers(w); /* answers and frees it */
            continue;
        }
        if (!job->trusted || sp__page_begin(w->page, job->stream_id)) {
            begin(w, job);
            break;
        }
        sp__list_prepend(&w->ready, &job->on_list);
        sp__job_revoked(job); /* frees it */
    }
    note_begin(w, job);
    job->state = JOB_RUNNING;
    job->slot = slot->index;
    slot->cur = job;
    show_running(w, job, job->stream_id);
    leave_place(job);
    rouse_host(w, job);
    w->rested = 0;
    return job;
}

void sp__job_push_turn(struct sp_job *job)
{
    job->state = JOB_TURN;
    sp__list_append(&job->worker->ready, &job->on_list);
    if (job->worker->leader >= 0) {
        sp__runtime_nudge(job->worker); /* it sleeps and could run this */
    }
}

int sp__job_push_session_end(struct sp_worker *w, const char *session, sp_error *err)
{
    struct sp_job *job = job_take(w);
    if (job == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the end of a session");
    }
    job->rpc.method = RPC_SESSION_CLEANUP;
    job->worker = w;
    job->deadline_ms = SP_UNLIMITED;
    w->begun++; /* it is not sent back when the worker stops */
    job->state = JOB_TURN;
    int rc = sp__buf_append(&job->input, session, strlen(session) + 1, err);
    if (rc < 0) {
        sp__job_free(job);
        return rc;
    }
    sp__job_push_turn(job);
    return SP_OK;
}

void sp__job_put_aside(struct sp_job *job)
{
    struct sp_worker *w = job->worker;
    int is_told = sp_job_cancelled(job);
    /* The places of the threads that there are not. A thread that is blocked in its
     * event loop cannot be told of a cancellation, and so counts as stuck. */
    for (uint32_t i = 1; job->trusted && !is_told && i < WORKER_PAGE_SLOTS; i++) {
        if (atomic_load_explicit(&w->page->running[i], memory_order_relaxed) == 0) {
            job->place = i;
            atomic_store_explicit(&w->page->running[i], job->stream_id,
                                  memory_order_relaxed);
            break;
        }
    }
    sp__job_leave(job);
    job->turn = 0;
    job->is_aside = 1;
    job->state = JOB_ASIDE;
    sp__list_append(&w->aside, &job->on_list);
}

void sp__job_leave(struct sp_job *job)
{
    struct sp_worker *w = job->worker;
    job->raise_at_ms = 0;
    if (w->slots[job->slot].cur == job) { /* otherwise it left before: it was aside */
        w->slots[job->slot].cur = NULL;
        show_running(w, job, 0);
    }
}
