/* SPDX-License-Identifier: MIT */
/*
 * Streams: a Fiber resumed for items until the runtime says that its consumer has had
 * enough for now, and again when the stream's turn comes.
 *
 * It ends when the fiber does, when it raises, or when nobody listens any more; then
 * Cancelled is raised where it waits, so that its ensure blocks run. That clean-up is
 * user code as well: a cancellation does not strike it at once, but after a while if it
 * hangs.
 */
#include "base/clock.h"
#include "bridge.h"

struct resumption {
    struct worker *worker;
    struct running *run;
    int code; /* of sp_job_chunk_binary(): 1, 0 or SP_ERR_ */
    sp_error err;
};

static VALUE is_alive(VALUE fiber)
{
    return rb_fiber_alive_p(fiber);
}

static VALUE close_fiber(VALUE pointer)
{
    const struct resumption *r = (const struct resumption *)pointer;
    return rb_funcall(r->worker->helpers, rb_intern("close_stream"), 1, r->run->fiber);
}

void sp__rb_stream_drop(struct worker *worker, struct running *run)
{
    struct resumption r = {.worker = worker, .run = run};
    int state;
    (void)rb_protect(close_fiber, (VALUE)&r, &state);
    if (state != 0) {
        rb_set_errinfo(Qnil);
    }
    run->fiber = Qnil;
}

/* End a stream that nobody listens to. */
static enum outcome close_stream(struct worker *worker, struct running *run)
{
    /* Its clean-up is not interrupted at once; a clean-up that hangs is. */
    run->not_before_ms = sp__now_ms() + SP__RB_REPEAT_MS;
    run->in_user_code = 1;
    sp__rb_stream_drop(worker, run);
    sp__rb_detach(run);
    (void)sp_job_end(run->job, NULL);
    return OVER;
}

/* Resume the fiber and hand its item to the runtime. Qnil at the end of the stream. */
static VALUE send_item(VALUE pointer)
{
    struct resumption *r = (struct resumption *)pointer;
    struct running *run = r->run;
    run->in_user_code = 1;
    VALUE item = rb_fiber_resume(run->fiber, 0, NULL);
    if (!RTEST(is_alive(run->fiber))) {
        return Qnil; /* what the block gave in the end is no item */
    }
    sp_bytes json, binary;
    run->at_boundary = 0;
    sp__rb_encoded(r->worker, item, &json, &binary);
    run->in_user_code = 0;
    if (sp__rb_is_bytes(item)) { /* a chunk that is bytes has no JSON */
        json = binary;
        binary = (sp_bytes){0};
    }
    r->code = sp_job_chunk_binary(run->job, json, binary, &r->err);
    RB_GC_GUARD(item);
    return Qtrue;
}

enum outcome sp__rb_stream_go_on(struct worker *worker, struct running *run)
{
    for (;;) {
        if (sp_job_cancelled(run->job)) {
            return close_stream(worker, run);
        }
        struct resumption r = {.worker = worker, .run = run};
        int state;
        VALUE more = rb_protect(send_item, (VALUE)&r, &state);
        if (sp__rb_bridge.forgotten) {
            return OVER;
        }
        run->in_user_code = 0;
        if (state != 0) {
            VALUE exception = rb_errinfo();
            sp__rb_stream_drop(worker, run);
            rb_set_errinfo(exception);
            sp__rb_fail_raised(worker, run, state);
            return OVER;
        }
        if (NIL_P(more)) {
            run->fiber = Qnil;
            sp__rb_detach(run);
            (void)sp_job_end(run->job, NULL);
            return OVER;
        }
        if (r.code == SP_ERR_CANCELLED) {
            sp_error_clear(&r.err);
            return close_stream(worker, run);
        }
        if (r.code < 0) {
            sp__rb_stream_drop(worker, run);
            sp__rb_fail(run, r.code, NULL, r.err.message, NULL);
            sp_error_clear(&r.err);
            return OVER;
        }
        if (r.code == 0) {
            return PARKED;
        }
    }
}
