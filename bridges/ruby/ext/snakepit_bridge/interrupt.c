/* SPDX-License-Identifier: MIT */
/*
 * Stopping a call that nobody waits for any more.
 *
 * A cancellation arrives on the runtime's helper thread, which may not touch the
 * interpreter. It sends a real signal (SIGURG unless set otherwise), for which the
 * package has a trap: that ends sleeps and reads and makes the main thread run
 * sp__rb_interrupt() at its next safe point, which raises Cancelled in the tool.
 * Thread.handle_interrupt holds it back like everything that threads raise in each other.
 *
 * The runtime repeats the signal with growing pauses until the call ends. That serves
 * twice: a signal that came too early is not lost, and a tool that swallowed Cancelled
 * meets it again after a second.
 *
 * A late signal finds another call, or none: what runs now is looked at, and only if
 * that is cancelled Cancelled is raised.
 */
#include "base/clock.h"
#include "bridge.h"

void sp__rb_on_cancel(void *user_data, sp_job *job)
{
    (void)job;
    const struct worker *worker = user_data;
    if (worker->cancel_signal != 0 && worker->serving) {
        (void)pthread_kill(worker->main, worker->cancel_signal);
    }
}

VALUE sp__rb_interrupt(VALUE self)
{
    (void)self;
    struct worker *worker = sp__rb_bridge.worker;
    struct running *run = worker != NULL ? worker->current : NULL;
    if (run == NULL || sp__rb_bridge.forgotten || !run->in_user_code ||
        !sp_job_cancelled(run->job)) {
        return Qnil;
    }
    uint64_t now_ms = sp__now_ms();
    if (now_ms < run->not_before_ms) {
        return Qnil;
    }
    run->not_before_ms = now_ms + SP__RB_REPEAT_MS;
    return rb_funcall(rb_thread_main(), rb_intern("raise"), 2, sp__rb_bridge.cancelled,
                      rb_utf8_str_new_cstr("nobody waits for this call any more"));
}

static VALUE check_interrupts(VALUE unused)
{
    rb_thread_check_ints();
    return unused;
}

int sp__rb_check_interrupts(void)
{
    int state;
    (void)rb_protect(check_interrupts, Qnil, &state);
    if (state != 0 && RTEST(rb_obj_is_kind_of(rb_errinfo(), sp__rb_bridge.cancelled))) {
        rb_set_errinfo(Qnil);
        return 0;
    }
    return state;
}
