/* SPDX-License-Identifier: MIT */
/*
 * Methods of Snakepit::Context that read and change the variables of its session. Values
 * go as JSON; a variable comes as a Hash with Symbols, which the package makes a
 * Snakepit::Variable of.
 */
#include "ask.h"

#include <limits.h>
#include <math.h>
#include <string.h>
#include <time.h>

enum { TEXTS = 6 };

struct variable_ask {
    struct ask ask;
    const char *name;
    const char *second; /* type, owner or pattern */
    const char *json;
    uint64_t number; /* a version or a limit */
    sp_change_options options;
    sp_variable variable;
    uint64_t version;
    VALUE list;
    const sp_variable *each;
    int state;
};

static void set(VALUE hash, const char *key, VALUE value)
{
    (void)rb_hash_aset(hash, ID2SYM(rb_intern(key)), value);
}

/* A float's value: what JSON cannot say comes as text. */
static VALUE value_of(const sp_variable *v)
{
    VALUE value = sp__rb_from_json(v->value, v->value_size);
    if (v->type == NULL || strcmp(v->type, "float") != 0 ||
        !RB_TYPE_P(value, T_STRING)) {
        return value;
    }
    const char *text = StringValueCStr(value);
    return DBL2NUM(text[0] == 'N' ? NAN : text[0] == '-' ? -HUGE_VAL : HUGE_VAL);
}

static VALUE time_of(uint64_t unix_ms)
{
    struct timespec time = {.tv_sec = (time_t)(unix_ms / 1000),
                            .tv_nsec = (long)(unix_ms % 1000) * 1000000};
    return rb_time_timespec_new(&time, INT_MAX);
}

VALUE sp__rb_from_variable(const sp_variable *v)
{
    VALUE hash = rb_hash_new();
    set(hash, "id", sp__rb_text(v->id));
    set(hash, "name", sp__rb_text(v->name));
    set(hash, "type", sp__rb_text(v->type));
    set(hash, "value", value_of(v));
    set(hash, "constraints", sp__rb_from_text(v->constraints));
    set(hash, "metadata", sp__rb_from_text(v->metadata));
    set(hash, "version", ULL2NUM(v->version));
    set(hash, "changed_by", sp__rb_text(v->changed_by));
    set(hash, "locked_by", sp__rb_text(v->locked_by));
    set(hash, "created_at", time_of(v->created_unix_ms));
    set(hash, "updated_at", time_of(v->updated_unix_ms));
    return hash;
}

static VALUE read_variable(VALUE pointer)
{
    return sp__rb_from_variable((const sp_variable *)pointer);
}

static VALUE clear_variable(VALUE pointer)
{
    sp_variable_clear((sp_variable *)pointer);
    return Qnil;
}

static VALUE taken(struct variable_ask *ask)
{
    return rb_ensure(read_variable, (VALUE)&ask->variable, clear_variable,
                     (VALUE)&ask->variable);
}

static const char *text_or_null(VALUE *text)
{
    return NIL_P(*text) ? NULL : StringValueCStr(*text);
}

/* options: an Array [constraints, metadata, changed_by, owner, expected version], nil
 * for what is not given. What it borrows stays in `owners`. */
static void read_options(VALUE array, sp_change_options *ret, VALUE *owners)
{
    Check_Type(array, T_ARRAY);
    VALUE version = rb_ary_entry(array, 4);
    for (long i = 0; i < 4; i++) {
        owners[i] = rb_ary_entry(array, i);
    }
    *ret = (sp_change_options){.size = sizeof *ret};
    if (!NIL_P(owners[0])) {
        ret->constraints = sp__rb_json_text(owners[0], &owners[0]);
    }
    if (!NIL_P(owners[1])) {
        ret->metadata = sp__rb_json_text(owners[1], &owners[1]);
    }
    ret->changed_by = text_or_null(&owners[2]);
    ret->owner = text_or_null(&owners[3]);
    if (!NIL_P(version)) {
        ret->check_version = 1;
        ret->expected_version = NUM2ULL(version);
    }
}

/* ---- changing ---- */

static int run_register(struct ask *base, sp_error *err)
{
    struct variable_ask *ask = (struct variable_ask *)base;
    return sp_job_variable_register(base->job, ask->name, ask->second, ask->json,
                                    &ask->options, &ask->variable, err);
}

static VALUE variable_register(VALUE self, VALUE name, VALUE type, VALUE value,
                               VALUE options)
{
    struct variable_ask ask = {.ask = {.run = run_register}};
    VALUE owners[TEXTS];
    ask.name = StringValueCStr(name);
    ask.second = text_or_null(&type);
    ask.json = sp__rb_json_text(value, &owners[4]);
    read_options(options, &ask.options, owners);
    sp__rb_ask(self, &ask.ask);
    RB_GC_GUARD(owners[0]);
    return taken(&ask);
}

static int run_set(struct ask *base, sp_error *err)
{
    struct variable_ask *ask = (struct variable_ask *)base;
    return sp_job_variable_set(base->job, ask->name, ask->json, &ask->options,
                               &ask->version, err);
}

static VALUE variable_set(VALUE self, VALUE name, VALUE value, VALUE options)
{
    struct variable_ask ask = {.ask = {.run = run_set}};
    VALUE owners[TEXTS];
    ask.name = StringValueCStr(name);
    ask.json = sp__rb_json_text(value, &owners[4]);
    read_options(options, &ask.options, owners);
    sp__rb_ask(self, &ask.ask);
    RB_GC_GUARD(owners[0]);
    return ULL2NUM(ask.version);
}

static int run_delete(struct ask *base, sp_error *err)
{
    struct variable_ask *ask = (struct variable_ask *)base;
    return sp_job_variable_delete(base->job, ask->name, &ask->options, err);
}

static VALUE variable_delete(VALUE self, VALUE name, VALUE options)
{
    struct variable_ask ask = {.ask = {.run = run_delete}};
    VALUE owners[TEXTS];
    ask.name = StringValueCStr(name);
    read_options(options, &ask.options, owners);
    sp__rb_ask(self, &ask.ask);
    RB_GC_GUARD(owners[0]);
    return Qnil;
}

static int run_rollback(struct ask *base, sp_error *err)
{
    struct variable_ask *ask = (struct variable_ask *)base;
    return sp_job_variable_rollback(base->job, ask->name, ask->number, &ask->options,
                                    &ask->version, err);
}

static VALUE variable_rollback(VALUE self, VALUE name, VALUE version, VALUE options)
{
    struct variable_ask ask = {.ask = {.run = run_rollback},
                               .number = NUM2ULL(version)};
    VALUE owners[TEXTS];
    ask.name = StringValueCStr(name);
    read_options(options, &ask.options, owners);
    sp__rb_ask(self, &ask.ask);
    RB_GC_GUARD(owners[0]);
    return ULL2NUM(ask.version);
}

static int run_lock(struct ask *base, sp_error *err)
{
    struct variable_ask *ask = (struct variable_ask *)base;
    return sp_job_variable_lock(base->job, ask->name, ask->second, err);
}

static int run_unlock(struct ask *base, sp_error *err)
{
    struct variable_ask *ask = (struct variable_ask *)base;
    return sp_job_variable_unlock(base->job, ask->name, ask->second, NULL, err);
}

static VALUE hold(VALUE self, VALUE name, VALUE owner,
                  int (*run)(struct ask *ask, sp_error *err))
{
    struct variable_ask ask = {.ask = {.run = run}};
    ask.name = StringValueCStr(name);
    ask.second = StringValueCStr(owner);
    sp__rb_ask(self, &ask.ask);
    RB_GC_GUARD(name);
    RB_GC_GUARD(owner);
    return Qnil;
}

static VALUE variable_lock(VALUE self, VALUE name, VALUE owner)
{
    return hold(self, name, owner, run_lock);
}

static VALUE variable_unlock(VALUE self, VALUE name, VALUE owner)
{
    return hold(self, name, owner, run_unlock);
}

/* ---- reading ---- */

static int run_get(struct ask *base, sp_error *err)
{
    struct variable_ask *ask = (struct variable_ask *)base;
    return sp_job_variable_get(base->job, ask->name, &ask->variable, err);
}

static VALUE variable_get(VALUE self, VALUE name)
{
    struct variable_ask ask = {.ask = {.run = run_get}};
    ask.name = StringValueCStr(name);
    sp__rb_ask(self, &ask.ask);
    RB_GC_GUARD(name);
    return taken(&ask);
}

static VALUE add_variable(VALUE pointer)
{
    const struct variable_ask *ask = (const struct variable_ask *)pointer;
    return rb_ary_push(ask->list, sp__rb_from_variable(ask->each));
}

static void collect(const sp_variable *variable, void *user_data)
{
    struct variable_ask *ask = user_data;
    ask->each = variable;
    sp__rb_with_lock(add_variable, (VALUE)ask, &ask->state);
}

static int run_list(struct ask *base, sp_error *err)
{
    struct variable_ask *ask = (struct variable_ask *)base;
    return sp_job_variables_list(base->job, ask->second, collect, ask, err);
}

static VALUE variables_list(VALUE self, VALUE pattern)
{
    struct variable_ask ask = {.ask = {.run = run_list}, .list = rb_ary_new()};
    ask.second = text_or_null(&pattern);
    sp__rb_ask(self, &ask.ask);
    RB_GC_GUARD(pattern);
    sp__rb_reraise(ask.state);
    return ask.list;
}

static int run_history(struct ask *base, sp_error *err)
{
    struct variable_ask *ask = (struct variable_ask *)base;
    return sp_job_variable_history(base->job, ask->name, (size_t)ask->number, collect,
                                   ask, err);
}

static VALUE variable_history(VALUE self, VALUE name, VALUE limit)
{
    struct variable_ask ask = {
        .ask = {.run = run_history}, .number = NUM2ULL(limit), .list = rb_ary_new()};
    ask.name = StringValueCStr(name);
    sp__rb_ask(self, &ask.ask);
    RB_GC_GUARD(name);
    sp__rb_reraise(ask.state);
    return ask.list;
}

void sp__rb_variables_init(void)
{
    VALUE class = sp__rb_bridge.context;
    rb_define_private_method(class, "variable_register", variable_register, 4);
    rb_define_private_method(class, "variable_set", variable_set, 3);
    rb_define_private_method(class, "variable_delete", variable_delete, 2);
    rb_define_private_method(class, "variable_rollback", variable_rollback, 3);
    rb_define_private_method(class, "variable_get", variable_get, 1);
    rb_define_private_method(class, "variables_list", variables_list, 1);
    rb_define_private_method(class, "variable_history", variable_history, 2);
    rb_define_private_method(class, "variable_lock", variable_lock, 2);
    rb_define_private_method(class, "variable_unlock", variable_unlock, 2);
    rb_define_private_method(class, "watch_open", sp__rb_watch, 2);
}
