/* SPDX-License-Identifier: MIT */
/*
 * `Snakepit::Context`: a call in progress as Ruby code sees it.
 *
 * Made only when somebody asks, because most tools never do. It copies what it can and
 * borrows the job for the rest; the loop takes the job away from it before it ends the
 * call, so a context kept in a variable answers "over" instead of touching freed memory.
 */
#include "ask.h"

#include "base/mem.h"

static void context_mark(void *pointer)
{
    const struct context *context = pointer;
    rb_gc_mark(context->tool);
    rb_gc_mark(context->session);
    rb_gc_mark(context->metadata);
    rb_gc_mark(context->store);
}

static const rb_data_type_t context_type = {
    .wrap_struct_name = "Snakepit::Context",
    .function = {.dmark = context_mark, .dfree = sp__free},
};

struct context *sp__rb_context_of(VALUE self)
{
    return rb_check_typeddata(self, &context_type);
}

VALUE sp__rb_context_new(struct running *run)
{
    struct context *context = sp__calloc(1, sizeof *context);
    if (context == NULL) {
        rb_memerror();
    }
    context->tool = context->session = context->metadata = context->store = Qnil;
    VALUE self = TypedData_Wrap_Struct(sp__rb_bridge.context, &context_type, context);
    context->tool = run->name;
    context->session = sp__rb_text(sp_job_session(run->job));
    context->store = rb_hash_new();
    context->metadata = rb_hash_new();
    const char *key, *value;
    for (size_t i = 0; sp_job_metadata(run->job, i, &key, &value); i++) {
        (void)rb_hash_aset(context->metadata, sp__rb_text(key), sp__rb_text(value));
    }
    context->job = run->job;
    return self;
}

void sp__rb_context_end(VALUE self)
{
    struct context *context = sp__rb_context_of(self);
    if (context->job == NULL) {
        return;
    }
    context->was_cancelled = sp_job_cancelled(context->job);
    context->job = NULL;
    sp__rb_asks_wait(context);
    sp__rb_sources_end(context);
}

static VALUE context_is_cancelled(VALUE self)
{
    const struct context *context = sp__rb_context_of(self);
    int cancelled =
        context->job != NULL ? sp_job_cancelled(context->job) : context->was_cancelled;
    return cancelled ? Qtrue : Qfalse;
}

static VALUE context_is_active(VALUE self)
{
    return sp__rb_context_of(self)->job != NULL ? Qtrue : Qfalse;
}

static VALUE context_time_left(VALUE self)
{
    const struct context *context = sp__rb_context_of(self);
    uint64_t left_ms = context->job != NULL ? sp_job_time_left_ms(context->job) : 0;
    return left_ms == SP_UNLIMITED ? Qnil : DBL2NUM((double)left_ms / 1000.0);
}

static VALUE context_tool(VALUE self)
{
    return sp__rb_context_of(self)->tool;
}

static VALUE context_session(VALUE self)
{
    VALUE session = sp__rb_context_of(self)->session;
    return RSTRING_LEN(session) > 0 ? session : Qnil;
}

static VALUE context_metadata(VALUE self)
{
    return sp__rb_context_of(self)->metadata;
}

static VALUE context_store(VALUE self)
{
    return sp__rb_context_of(self)->store;
}

void sp__rb_context_init(void)
{
    VALUE class = rb_define_class_under(sp__rb_bridge.module, "Context", rb_cObject);
    rb_undef_alloc_func(class);
    sp__rb_bridge.context = class;
    rb_define_method(class, "cancelled?", context_is_cancelled, 0);
    rb_define_method(class, "active?", context_is_active, 0);
    rb_define_method(class, "time_left", context_time_left, 0);
    rb_define_method(class, "tool", context_tool, 0);
    rb_define_method(class, "session", context_session, 0);
    rb_define_method(class, "metadata", context_metadata, 0);
    rb_define_method(class, "store", context_store, 0);
    sp__rb_source_init();
    sp__rb_tools_init();
    sp__rb_variables_init();
    sp__rb_programs_init();
}
