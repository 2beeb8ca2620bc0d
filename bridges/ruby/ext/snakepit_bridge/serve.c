/* SPDX-License-Identifier: MIT */
/*
 * The serve loop: take a job, run the tool, answer.
 *
 * The thread that runs Ruby code does the I/O: it gives up the interpreter's lock, takes
 * a job from the runtime, takes the lock again and keeps it until the call is answered.
 * What is rare goes through Snakepit::Serving: making a stream's Fiber, describing an
 * exception, telling an adapter of a session's end.
 *
 * A stream that has to wait is attached to its job and left alone until its turn.
 *
 * Failures: whatever a tool raises becomes the call's failure and the loop goes on; a
 * broken connection or no memory ends the loop with WorkerError, and so does what other
 * threads raise in this one between two calls. The child of a fork that comes back here
 * instead of ending itself is ended.
 */
#include <ruby/encoding.h>
#include <ruby/thread.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "bridge.h"

VALUE sp__rb_current(void)
{
    struct worker *worker = sp__rb_bridge.worker;
    if (worker == NULL || sp__rb_bridge.forgotten || worker->current == NULL) {
        return Qnil;
    }
    struct running *run = worker->current;
    if (NIL_P(run->context)) {
        run->context = sp__rb_context_new(run);
    }
    return run->context;
}

/* ---- one job ---- */

static struct running *run_new(sp_job *job)
{
    struct running *run = sp__calloc(1, sizeof *run);
    if (run != NULL) {
        run->job = job;
        run->tool = run->name = run->fiber = run->context = Qnil;
    }
    return run;
}

static void run_free(struct running *run)
{
    sp__list_remove(&run->link);
    sp__free(run);
}

/* The child of a fork came back from user code into the loop: it has no connection and
 * nothing to do. */
static void end_child(int failed)
{
    (void)fflush(NULL);
    _exit(failed ? 1 : 0);
}

static VALUE name_of(VALUE pointer)
{
    struct running *run = (struct running *)pointer;
    run->name = rb_enc_interned_str_cstr(sp_job_tool(run->job), rb_utf8_encoding());
    return run->name;
}

static enum outcome start_call(struct worker *worker, struct running *run)
{
    int state;
    (void)rb_protect(name_of, (VALUE)run, &state);
    run->in_user_code = 1;
    VALUE result = state == 0 ? rb_protect(sp__rb_invoke, (VALUE)run, &state) : Qnil;
    if (sp__rb_bridge.forgotten) {
        end_child(state != 0);
    }
    if (state == 0 && sp_job_is_stream(run->job)) {
        run->fiber = result;
        return sp__rb_stream_go_on(worker, run);
    }
    if (state == 0) {
        struct answer answer = {.worker = worker, .run = run, .value = result};
        (void)rb_protect(sp__rb_reply, (VALUE)&answer, &state);
        RB_GC_GUARD(result);
    }
    if (state != 0) {
        sp__rb_fail_raised(worker, run, state);
    }
    return OVER;
}

/* Run a job until it has ended or waits. */
static void run_job(struct worker *worker, sp_job *job)
{
    struct running *run = sp_job_is_turn(job) ? sp_job_data(job) : run_new(job);
    if (run == NULL) {
        (void)sp_job_fail(job, SP_ERR_NOMEM, "NoMemoryError", NULL, NULL, NULL);
        return;
    }
    worker->current = run;
    enum outcome outcome =
        NIL_P(run->fiber) ? start_call(worker, run) : sp__rb_stream_go_on(worker, run);
    worker->current = NULL;
    if (sp__rb_bridge.forgotten) {
        end_child(0);
    }
    if (outcome == OVER) {
        run_free(run);
        return;
    }
    if (run->link.on == NULL) {
        sp__list_append(&worker->streams, &run->link);
    }
    sp_job_set_data(job, run);
}

/* ---- the end of a session ---- */

static VALUE tell_ended(VALUE session)
{
    return rb_funcall(sp__rb_bridge.worker->helpers, rb_intern("session_ended"), 1,
                      rb_utf8_str_new_cstr((const char *)session));
}

static void *ended_with_lock(void *session)
{
    int state;
    (void)rb_protect(tell_ended, (VALUE)session, &state);
    if (state != 0) {
        rb_set_errinfo(Qnil);
    }
    return NULL;
}

void sp__rb_session_ended(void *user_data, const char *session)
{
    struct worker *worker = user_data;
    if (worker->serving && !sp__rb_bridge.forgotten) {
        (void)rb_thread_call_with_gvl(ended_with_lock, (void *)(uintptr_t)session);
    }
}

/* ---- the loop ---- */

struct next {
    sp_worker *worker;
    sp_job *job;
    sp_error err;
    int rc;
};

static void *wait_for_job(void *user)
{
    struct next *next = user;
    next->rc = sp_worker_next(next->worker, &next->job, &next->err);
    return NULL;
}

/* Returns rb_protect()'s state of what ended it, 0 at the regular end. */
static int loop(struct worker *worker, sp_error *err)
{
    for (;;) {
        /* The first is what stands when an interruption kept it from being called. */
        struct next next = {.worker = worker->worker, .rc = SP_ERR_STOPPED_BY_CALLBACK};
        (void)rb_thread_call_without_gvl2(wait_for_job, &next, RUBY_UBF_IO, NULL);
        if (next.rc == 0) {
            return 0;
        }
        if (next.rc > 0) {
            run_job(worker, next.job);
        } else if (next.rc != SP_ERR_STOPPED_BY_CALLBACK) {
            *err = next.err;
            return 0;
        } else {
            sp_error_clear(&next.err);
            int state = sp__rb_check_interrupts();
            if (state != 0) {
                return state;
            }
        }
    }
}

/* Streams nobody will ask for again: the worker ends. Their jobs are the runtime's. */
static void close_streams(struct worker *worker)
{
    struct link *link;
    while ((link = worker->streams.first) != NULL) {
        struct running *run = ITEM(link, struct running, link);
        sp__rb_detach(run);
        sp__rb_stream_drop(worker, run);
        run_free(run);
    }
}

VALUE sp__rb_serve(VALUE self, VALUE tools, VALUE helpers)
{
    struct worker *worker = sp__rb_bridge.worker;
    if (worker == NULL || worker->self != self || worker->serving) {
        rb_raise(sp__rb_bridge.error, worker != NULL && worker->serving
                                          ? "already serving"
                                          : "the worker is closed");
    }
    Check_Type(tools, T_HASH);
    worker->tools = tools;
    worker->helpers = helpers;
    worker->main = pthread_self();
    sp_worker_catch_signals(worker->worker);
    worker->serving = 1;
    sp_error err = {0};
    int state = loop(worker, &err);
    VALUE exception = state != 0 ? rb_errinfo() : Qnil;
    close_streams(worker);
    worker->serving = 0;
    sp_worker_release_signals(worker->worker);
    if (state != 0) {
        rb_set_errinfo(exception);
        rb_jump_tag(state);
    }
    if (err.code != 0) {
        sp__rb_raise(&err);
    }
    return Qnil;
}
