/* SPDX-License-Identifier: MIT */
/*
 * The extension's entrance: `snakepit_bridge/_worker` adds Snakepit::Worker, ::Context and
 * ::Source to the module that lib/snakepit_bridge.rb has begun, whose exceptions and
 * Tensor must be there already; and the codec alone, for those who want to see it.
 */
#include "ask.h"

/* Snakepit.encode(value): [JSON, what travels beside it]. */
static VALUE module_encode(VALUE self, VALUE value)
{
    (void)self;
    struct encoder *encoder;
    VALUE owner = sp__rb_encoded_value(value, &encoder);
    VALUE json =
        rb_utf8_str_new((const char *)encoder->out.data, (long)encoder->out.size);
    sp_bytes binary = sp__rb_encoded_parts(encoder);
    VALUE bytes = rb_str_new(binary.data, (long)binary.size);
    RB_GC_GUARD(owner);
    return rb_ary_new_from_args(2, json, bytes);
}

/* Snakepit.decode(json, bytes): the value. */
static VALUE module_decode(VALUE self, VALUE json, VALUE bytes)
{
    (void)self;
    Check_Type(json, T_STRING);
    Check_Type(bytes, T_STRING);
    VALUE value =
        sp__rb_answer((sp_bytes){RSTRING_PTR(json), (size_t)RSTRING_LEN(json)},
                      (sp_bytes){RSTRING_PTR(bytes), (size_t)RSTRING_LEN(bytes)});
    RB_GC_GUARD(json);
    RB_GC_GUARD(bytes);
    return value;
}

static VALUE module_current(VALUE self)
{
    (void)self;
    return sp__rb_current();
}

static void on_fork(void)
{
    sp__rb_bridge.forgotten = 1;
}

static VALUE known(const char *name)
{
    VALUE value = rb_const_get(sp__rb_bridge.module, rb_intern(name));
    rb_gc_register_mark_object(value);
    return value;
}

__attribute__((visibility("default"))) void Init__worker(void);
void Init__worker(void)
{
    sp__rb_bridge.module = rb_define_module("Snakepit");
    sp__rb_bridge.tensor = known("Tensor");
    sp__rb_bridge.cancelled = known("Cancelled");
    sp__rb_bridge.bad_args = known("BadArguments");
    sp__rb_bridge.no_tool = known("NoSuchTool");
    sp__rb_bridge.error = known("WorkerError");
    sp__rb_context_init();
    sp__rb_report_init();
    sp__rb_worker_init();
    rb_define_singleton_method(sp__rb_bridge.module, "encode", module_encode, 1);
    rb_define_singleton_method(sp__rb_bridge.module, "decode", module_decode, 2);
    rb_define_singleton_method(sp__rb_bridge.module, "current", module_current, 0);
    (void)pthread_atfork(NULL, NULL, on_fork);
}
