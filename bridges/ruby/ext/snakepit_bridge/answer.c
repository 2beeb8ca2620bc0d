/* SPDX-License-Identifier: MIT */
/*
 * Ending a call: with a result, or with what went wrong.
 *
 * A result is encoded and handed over; bytes travel raw, beside JSON null. An exception
 * becomes a failure with its class, message and backtrace, told by Ruby code. Which code
 * it gets depends on where it came from: the package's own exceptions, an ArgumentError
 * that the tool's signature explains (the arguments did not fit), or else the tool.
 *
 * When even the telling fails, the exception's class is told and nothing more. An answer
 * that cannot be sent ends its job all the same: the runtime tells the caller why.
 */
#include <string.h>

#include "bridge.h"

void sp__rb_detach(struct running *run)
{
    VALUE context = run->context;
    run->in_user_code = 0;
    run->context = Qnil;
    if (!NIL_P(context)) {
        sp__rb_context_end(context);
    }
}

void sp__rb_fail(struct running *run, int code, const char *type, const char *message,
                 const char *trace)
{
    sp__rb_detach(run);
    (void)sp_job_fail(run->job, code, type, message, trace, NULL);
}

void sp__rb_encoded(struct worker *worker, VALUE value, sp_bytes *ret_json,
                    sp_bytes *ret_binary)
{
    struct encoder *encoder = &worker->encoder;
    if (sp__rb_is_bytes(value)) {
        /* Other threads may write to it before it is sent: their copy, not this one. */
        VALUE bytes = rb_str_new_frozen(value);
        encoder->parts = rb_ary_new_from_args(1, bytes);
        *ret_json = (sp_bytes){"null", 4};
        *ret_binary = (sp_bytes){RSTRING_PTR(bytes), (size_t)RSTRING_LEN(bytes)};
        return;
    }
    sp__rb_encode(encoder, value);
    *ret_json = (sp_bytes){encoder->out.data, encoder->out.size};
    *ret_binary = sp__rb_encoded_parts(encoder);
}

VALUE sp__rb_reply(VALUE pointer)
{
    const struct answer *answer = (const struct answer *)pointer;
    sp_bytes json, binary;
    sp__rb_encoded(answer->worker, answer->value, &json, &binary);
    sp__rb_detach(answer->run);
    (void)sp_job_reply(answer->run->job, json, NULL, binary, NULL);
    answer->worker->encoder.parts = Qnil;
    return Qtrue;
}

/* ---- failures ---- */

struct telling {
    struct worker *worker;
    const struct running *run;
    VALUE exception;
};

/* [class, message, trace or nil, whether the arguments were at fault, JSON or nil] */
static VALUE describe(VALUE pointer)
{
    const struct telling *telling = (const struct telling *)pointer;
    const struct running *run = telling->run;
    return rb_funcall(telling->worker->helpers, rb_intern("describe"), 2,
                      telling->exception, run->at_boundary ? run->tool : Qnil);
}

static const char *text_or_null(VALUE array, long index)
{
    VALUE text = rb_ary_entry(array, index);
    return RB_TYPE_P(text, T_STRING) ? RSTRING_PTR(text) : NULL;
}

static int code_of(const struct running *run, VALUE exception, VALUE story)
{
    if (run->code != 0) {
        return run->code;
    }
    if (RTEST(rb_obj_is_kind_of(exception, sp__rb_bridge.no_tool))) {
        return SP_ERR_NO_TOOL;
    }
    if (RTEST(rb_obj_is_kind_of(exception, sp__rb_bridge.bad_args)) ||
        RTEST(rb_ary_entry(story, 3))) {
        return SP_ERR_BAD_ARGS;
    }
    return SP_ERR_REMOTE;
}

void sp__rb_fail_raised(struct worker *worker, struct running *run, int state)
{
    VALUE exception = rb_errinfo();
    run->in_user_code = 0;
    rb_set_errinfo(Qnil);
    if (sp_job_cancelled(run->job)) {
        sp__rb_fail(run, SP_ERR_CANCELLED, NULL, NULL, NULL); /* nobody is left */
        return;
    }
    if (!RTEST(rb_obj_is_kind_of(exception, rb_eException))) {
        sp__rb_fail(run, SP_ERR_REMOTE, "ThreadError",
                    "the tool has ended the thread it ran on", NULL);
        return;
    }
    (void)state;
    struct telling telling = {.worker = worker, .run = run, .exception = exception};
    int failed;
    VALUE story = rb_protect(describe, (VALUE)&telling, &failed);
    if (failed || !RB_TYPE_P(story, T_ARRAY)) {
        rb_set_errinfo(Qnil);
        sp__rb_fail(run, SP_ERR_REMOTE, rb_obj_classname(exception), NULL, NULL);
    } else {
        const sp_failure failure = {.size = sizeof failure,
                                    .code = code_of(run, exception, story),
                                    .type = text_or_null(story, 0),
                                    .message = text_or_null(story, 1),
                                    .trace = text_or_null(story, 2),
                                    .details = sp_text(text_or_null(story, 4))};
        sp__rb_detach(run);
        (void)sp_job_fail_with(run->job, &failure, NULL);
    }
    RB_GC_GUARD(story);
    RB_GC_GUARD(exception);
}
