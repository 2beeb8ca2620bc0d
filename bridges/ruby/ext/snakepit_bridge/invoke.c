/* SPDX-License-Identifier: MIT */
/*
 * Calling a tool: its arguments decoded and handed over as its signature asks.
 *
 * The arguments are a JSON object or array. Members of an object become keywords, or
 * positional arguments by their names where the method has those; an array is given as
 * it stands. Raw binary arguments join the object by name. A stream's tool is not run
 * here but by the Fiber that Snakepit::Serving.stream makes.
 */
#include <ruby/encoding.h>

#include <string.h>

#include "bridge.h"

/* Where the binaries of a call are, and which of them the arguments spoke of. */
struct call_parts {
    sp_job *job;
    VALUE spoken; /* Array of names, or nil */
};

static int find_part(void *user, const char *part, sp_bytes *ret)
{
    struct call_parts *parts = user;
    const char *name;
    for (size_t i = 0; sp_job_binary(parts->job, i, &name, ret); i++) {
        if (strcmp(name, part) == 0) {
            if (NIL_P(parts->spoken)) {
                parts->spoken = rb_ary_new();
            }
            (void)rb_ary_push(parts->spoken, rb_utf8_str_new_cstr(name));
            return 1;
        }
    }
    return 0;
}

/* Binaries that the arguments do not speak of join them by name, as bytes. */
static void add_binaries(const struct call_parts *parts, VALUE hash, int symbols)
{
    const char *name;
    sp_bytes value;
    for (size_t i = 0; sp_job_binary(parts->job, i, &name, &value); i++) {
        VALUE key = rb_enc_interned_str_cstr(name, rb_utf8_encoding());
        if (!NIL_P(parts->spoken) && RTEST(rb_ary_includes(parts->spoken, key))) {
            continue;
        }
        (void)rb_hash_aset(hash, symbols ? rb_to_symbol(key) : key,
                           rb_str_new(value.data, (long)value.size));
    }
}

/* The decoded arguments: a Hash or an Array. */
static VALUE arguments_of(struct running *run, int symbols)
{
    struct call_parts parts = {.job = run->job, .spoken = Qnil};
    const struct part_source source = {.find = find_part, .user = &parts};
    sp_bytes text = sp_job_args(run->job);
    if (text.size == 0) {
        text = (sp_bytes){"{}", 2};
    }
    sp_error err = {0};
    VALUE args = sp__rb_decode(&source, text, symbols, &err);
    if (args == Qundef) {
        VALUE message = rb_utf8_str_new_cstr(err.message);
        run->code = err.code; /* BAD_JSON, TOO_DEEP: told as it is */
        sp_error_clear(&err);
        rb_raise(sp__rb_bridge.bad_args, "%" PRIsVALUE, message);
    }
    if (RB_TYPE_P(args, T_HASH)) {
        add_binaries(&parts, args, symbols);
    } else if (!RB_TYPE_P(args, T_ARRAY)) {
        rb_raise(sp__rb_bridge.bad_args,
                 "the arguments must be a JSON object or array");
    }
    return args;
}

/* Take what has no keyword out of the named arguments, in the order of the method. */
static VALUE take_positional(VALUE tool, VALUE named)
{
    VALUE names = rb_ary_entry(tool, TOOL_POSITIONAL);
    long required = FIX2LONG(rb_ary_entry(tool, TOOL_REQUIRED));
    long count = RARRAY_LEN(names);
    VALUE given = rb_ary_new_capa(count);
    for (long i = 0; i < count; i++) {
        VALUE name = rb_ary_entry(names, i);
        VALUE value = rb_hash_lookup2(named, name, Qundef);
        if (value == Qundef && i < required) {
            rb_raise(sp__rb_bridge.bad_args, "missing argument: %" PRIsVALUE, name);
        }
        if (value == Qundef) {
            break; /* it and those behind it keep their defaults */
        }
        (void)rb_ary_push(given, value);
        (void)rb_hash_delete(named, name);
    }
    return given;
}

static void refuse_unknown(VALUE named)
{
    VALUE keys = rb_funcall(named, rb_intern("keys"), 0);
    rb_raise(sp__rb_bridge.bad_args, "unknown argument: %" PRIsVALUE,
             rb_ary_entry(keys, 0));
}

/* The arguments as the method takes them: an Array of positional ones and a Hash. */
static void arrange(struct running *run, VALUE *ret_given, VALUE *ret_named)
{
    VALUE tool = run->tool;
    if (FIX2INT(rb_ary_entry(tool, TOOL_STYLE)) == STYLE_HASH) {
        VALUE hash = arguments_of(run, 0);
        if (!RB_TYPE_P(hash, T_HASH)) {
            rb_raise(sp__rb_bridge.bad_args,
                     "%" PRIsVALUE " takes named arguments: a JSON object", run->name);
        }
        *ret_given = rb_ary_new_from_args(1, hash);
        *ret_named = rb_hash_new();
        return;
    }
    VALUE args = arguments_of(run, 1);
    if (RB_TYPE_P(args, T_ARRAY)) {
        *ret_given = args;
        *ret_named = rb_hash_new();
    } else {
        *ret_named = args;
        *ret_given = RARRAY_LEN(rb_ary_entry(tool, TOOL_POSITIONAL)) > 0
                         ? take_positional(tool, args)
                         : rb_ary_new();
        if (!RTEST(rb_ary_entry(tool, TOOL_KEYWORDS)) && RHASH_SIZE(args) > 0) {
            refuse_unknown(args);
        }
    }
    if (RTEST(rb_ary_entry(tool, TOOL_CONTEXT))) {
        (void)rb_hash_aset(*ret_named, ID2SYM(rb_intern("ctx")), sp__rb_current());
    }
}

static VALUE call_method(VALUE tool, VALUE given, VALUE named)
{
    VALUE receiver = rb_ary_entry(tool, TOOL_RECEIVER);
    ID method = SYM2ID(rb_ary_entry(tool, TOOL_METHOD));
    long count = RARRAY_LEN(given);
    if (RHASH_SIZE(named) == 0) {
        return rb_funcallv(receiver, method, (int)count, RARRAY_CONST_PTR(given));
    }
    if (count == 0) {
        return rb_funcallv_kw(receiver, method, 1, &named, RB_PASS_KEYWORDS);
    }
    (void)rb_ary_push(given, named);
    return rb_funcallv_kw(receiver, method, (int)count + 1, RARRAY_CONST_PTR(given),
                          RB_PASS_KEYWORDS);
}

VALUE sp__rb_invoke(VALUE pointer)
{
    struct running *run = (struct running *)pointer;
    struct worker *worker = sp__rb_bridge.worker;
    run->tool = rb_hash_lookup(worker->tools, run->name);
    if (NIL_P(run->tool)) {
        run->tool = rb_funcall(worker->helpers, rb_intern("resolve"), 1, run->name);
    }
    VALUE given, named;
    int is_stream = sp_job_is_stream(run->job);
    if (RTEST(rb_ary_entry(run->tool, TOOL_STREAMING)) && !is_stream) {
        rb_raise(sp__rb_bridge.bad_args, "%" PRIsVALUE " is a stream: call it as one",
                 run->name);
    }
    arrange(run, &given, &named);
    VALUE result;
    run->at_boundary = 1;
    if (is_stream) {
        result = rb_funcall(worker->helpers, rb_intern("stream"), 3, run->tool, given,
                            named);
    } else {
        result = call_method(run->tool, given, named);
    }
    run->at_boundary = is_stream; /* its tool begins with the first item */
    RB_GC_GUARD(given);
    RB_GC_GUARD(named);
    return result;
}
