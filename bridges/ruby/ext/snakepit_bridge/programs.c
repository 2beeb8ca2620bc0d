/* SPDX-License-Identifier: MIT */
/*
 * Methods of Snakepit::Context that keep programs: JSON under a name, for the session or
 * for everybody; and what the host knows of the session itself.
 */
#include "ask.h"

struct program_ask {
    struct ask ask;
    int is_global;
    const char *id;
    const char *json;
    uint64_t ttl_ms;
    sp_program program;
    sp_session_info session;
    VALUE list;
    const sp_program *each;
    int state;
};

static void set(VALUE hash, const char *key, VALUE value)
{
    (void)rb_hash_aset(hash, ID2SYM(rb_intern(key)), value);
}

static VALUE seconds_or_nil(uint64_t ms)
{
    return ms == SP_UNLIMITED ? Qnil : DBL2NUM((double)ms / 1000.0);
}

static VALUE from_program(const sp_program *p)
{
    VALUE hash = rb_hash_new();
    set(hash, "id", sp__rb_text(p->id));
    set(hash, "data", sp__rb_from_json(p->data, p->data_size));
    set(hash, "remaining", seconds_or_nil(p->remaining_ms));
    return hash;
}

static int run_store(struct ask *base, sp_error *err)
{
    struct program_ask *ask = (struct program_ask *)base;
    return sp_job_program_store(base->job, ask->is_global, ask->id, ask->json,
                                ask->ttl_ms, err);
}

static VALUE program_store(VALUE self, VALUE global, VALUE id, VALUE data, VALUE ttl_ms)
{
    struct program_ask ask = {.ask = {.run = run_store},
                              .is_global = RTEST(global),
                              .ttl_ms = NUM2ULL(ttl_ms)};
    VALUE owner;
    ask.id = StringValueCStr(id);
    ask.json = sp__rb_json_text(data, &owner);
    sp__rb_ask(self, &ask.ask);
    RB_GC_GUARD(owner);
    RB_GC_GUARD(id);
    return Qnil;
}

static int run_get(struct ask *base, sp_error *err)
{
    struct program_ask *ask = (struct program_ask *)base;
    return sp_job_program_get(base->job, ask->is_global, ask->id, &ask->program, err);
}

static VALUE read_program(VALUE pointer)
{
    return from_program((const sp_program *)pointer);
}

static VALUE clear_program(VALUE pointer)
{
    sp_program_clear((sp_program *)pointer);
    return Qnil;
}

static VALUE program_get(VALUE self, VALUE global, VALUE id)
{
    struct program_ask ask = {.ask = {.run = run_get}, .is_global = RTEST(global)};
    ask.id = StringValueCStr(id);
    sp__rb_ask(self, &ask.ask);
    RB_GC_GUARD(id);
    return rb_ensure(read_program, (VALUE)&ask.program, clear_program,
                     (VALUE)&ask.program);
}

static int run_delete(struct ask *base, sp_error *err)
{
    struct program_ask *ask = (struct program_ask *)base;
    return sp_job_program_delete(base->job, ask->is_global, ask->id, err);
}

static VALUE program_delete(VALUE self, VALUE global, VALUE id)
{
    struct program_ask ask = {.ask = {.run = run_delete}, .is_global = RTEST(global)};
    ask.id = StringValueCStr(id);
    sp__rb_ask(self, &ask.ask);
    RB_GC_GUARD(id);
    return Qnil;
}

static VALUE add_program(VALUE pointer)
{
    const struct program_ask *ask = (const struct program_ask *)pointer;
    return rb_ary_push(ask->list, from_program(ask->each));
}

static void collect(const sp_program *program, void *user_data)
{
    struct program_ask *ask = user_data;
    ask->each = program;
    sp__rb_with_lock(add_program, (VALUE)ask, &ask->state);
}

static int run_list(struct ask *base, sp_error *err)
{
    struct program_ask *ask = (struct program_ask *)base;
    return sp_job_programs_list(base->job, ask->is_global, collect, ask, err);
}

static VALUE programs_list(VALUE self, VALUE global)
{
    struct program_ask ask = {
        .ask = {.run = run_list}, .is_global = RTEST(global), .list = rb_ary_new()};
    sp__rb_ask(self, &ask.ask);
    sp__rb_reraise(ask.state);
    return ask.list;
}

/* ---- the session ---- */

static int run_session(struct ask *base, sp_error *err)
{
    struct program_ask *ask = (struct program_ask *)base;
    return sp_job_session_get(base->job, &ask->session, err);
}

static VALUE read_session(VALUE pointer)
{
    const sp_session_info *info = (const sp_session_info *)pointer;
    VALUE hash = rb_hash_new();
    set(hash, "id", sp__rb_text(info->id));
    set(hash, "metadata", sp__rb_from_text(info->metadata));
    set(hash, "ttl", seconds_or_nil(info->ttl_ms));
    set(hash, "remaining", seconds_or_nil(info->remaining_ms));
    set(hash, "variables", ULL2NUM(info->variables));
    set(hash, "programs", ULL2NUM(info->programs));
    set(hash, "bytes", ULL2NUM(info->bytes));
    return hash;
}

static VALUE clear_session(VALUE pointer)
{
    sp_session_info_clear((sp_session_info *)pointer);
    return Qnil;
}

static VALUE session_info(VALUE self)
{
    struct program_ask ask = {.ask = {.run = run_session}};
    sp__rb_ask(self, &ask.ask);
    return rb_ensure(read_session, (VALUE)&ask.session, clear_session,
                     (VALUE)&ask.session);
}

static int run_begin(struct ask *base, sp_error *err)
{
    return sp_job_session_begin(base->job, err);
}

static VALUE session_begin(VALUE self)
{
    struct program_ask ask = {.ask = {.run = run_begin}};
    sp__rb_ask(self, &ask.ask);
    return ask.ask.rc == 1 ? Qtrue : Qfalse;
}

void sp__rb_programs_init(void)
{
    VALUE class = sp__rb_bridge.context;
    rb_define_private_method(class, "program_store", program_store, 4);
    rb_define_private_method(class, "program_get", program_get, 2);
    rb_define_private_method(class, "program_delete", program_delete, 2);
    rb_define_private_method(class, "programs_list", programs_list, 1);
    rb_define_method(class, "session_info", session_info, 0);
    rb_define_method(class, "begin_session", session_begin, 0);
}
