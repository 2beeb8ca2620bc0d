/* SPDX-License-Identifier: MIT */
/*
 * `Snakepit::Worker`: libsnakepit-worker as one Ruby object.
 *
 * Open it, add tools, announce, serve, close; or refuse, when the adapter cannot be
 * loaded. There is one at a time in a process. Methods raise WorkerError with the
 * library's message; nothing here prints or decides.
 */
#include <ruby/thread.h>

#include <string.h>

#include "base/mem.h"
#include "bridge.h"

struct bridge sp__rb_bridge;

void sp__rb_raise(sp_error *err)
{
    int code = err->code;
    VALUE message = rb_utf8_str_new_cstr(err->message[0] != '\0' ? err->message
                                                                 : sp_strerror(code));
    sp_error_clear(err);
    if (code == SP_ERR_NOMEM) {
        rb_memerror();
    }
    rb_raise(sp__rb_bridge.error, "%" PRIsVALUE, message);
}

/* ---- the object ---- */

static void mark_run(const struct running *run)
{
    rb_gc_mark(run->tool);
    rb_gc_mark(run->name);
    rb_gc_mark(run->fiber);
    rb_gc_mark(run->context);
}

static void worker_mark(void *pointer)
{
    const struct worker *worker = pointer;
    rb_gc_mark(worker->tools);
    rb_gc_mark(worker->helpers);
    sp__rb_encoder_mark(&worker->encoder);
    if (worker->current != NULL) {
        mark_run(worker->current);
    }
    for (struct link *link = worker->streams.first; link != NULL; link = link->next) {
        mark_run(ITEM(link, struct running, link));
    }
}

static void let_go(struct worker *worker)
{
    if (sp__rb_bridge.worker == worker) {
        sp__rb_bridge.worker = NULL;
    }
}

static void worker_free(void *pointer)
{
    struct worker *worker = pointer;
    let_go(worker);
    if (worker->worker != NULL && !sp__rb_bridge.forgotten) {
        sp_worker_close(worker->worker);
    }
    sp__rb_encoder_fini(&worker->encoder);
    sp__free(worker);
}

static const rb_data_type_t worker_type = {
    .wrap_struct_name = "Snakepit::Worker",
    .function = {.dmark = worker_mark, .dfree = worker_free},
};

static struct worker *any_worker(VALUE self)
{
    return rb_check_typeddata(self, &worker_type);
}

static struct worker *open_worker(VALUE self)
{
    struct worker *worker = any_worker(self);
    if (worker->worker == NULL) {
        rb_raise(sp__rb_bridge.error, "the worker is closed");
    }
    return worker;
}

static VALUE worker_allocate(VALUE class)
{
    struct worker *worker = sp__calloc(1, sizeof *worker);
    if (worker == NULL) {
        rb_memerror();
    }
    worker->tools = worker->helpers = Qnil;
    sp__rb_encoder_init(&worker->encoder, NULL);
    worker->self = TypedData_Wrap_Struct(class, &worker_type, worker);
    return worker->self;
}

static const char *text_or_null(VALUE *text)
{
    return NIL_P(*text) ? NULL : StringValueCStr(*text);
}

/* A signal came while a tool waits for its host's answer: ask.c says what then. */
static VALUE worker_initialize(VALUE self, VALUE runtime, VALUE listen, VALUE signal)
{
    struct worker *worker = any_worker(self);
    if (sp__rb_bridge.worker != NULL || worker->worker != NULL) {
        rb_raise(sp__rb_bridge.error, "this process has an open worker already");
    }
    sp_worker_options options = {
        .size = sizeof options,
        .runtime = text_or_null(&runtime),
        .listen = text_or_null(&listen),
        .on_cancel = sp__rb_on_cancel,
        .on_session_end = sp__rb_session_ended,
        .on_signal = sp__rb_on_signal,
        .user_data = worker,
    };
    worker->cancel_signal = NUM2INT(signal);
    sp_error err = {0};
    if (sp_worker_open(&options, &worker->worker, &err) < 0) {
        sp__rb_raise(&err);
    }
    sp__rb_bridge.worker = worker;
    sp__rb_crash_start();
    return self;
}

/* ---- tools ---- */

/* params: an Array of [name, type, description, default as JSON]; nil where there is
 * none. Returns an Array that keeps the texts alive. */
static VALUE read_params(VALUE params, sp_tool_param *ret)
{
    VALUE kept = rb_ary_new();
    for (long i = 0; i < RARRAY_LEN(params); i++) {
        VALUE param = rb_ary_entry(params, i);
        VALUE texts[4];
        Check_Type(param, T_ARRAY);
        for (long k = 0; k < 4; k++) {
            texts[k] = rb_ary_entry(param, k);
            (void)text_or_null(&texts[k]);
            (void)rb_ary_push(kept, texts[k]);
        }
        ret[i] = (sp_tool_param){.name = text_or_null(&texts[0]),
                                 .type = text_or_null(&texts[1]),
                                 .description = text_or_null(&texts[2]),
                                 .default_json = text_or_null(&texts[3])};
    }
    return kept;
}

static VALUE worker_add_tool(VALUE self, VALUE name, VALUE description, VALUE streaming,
                             VALUE params, VALUE idempotent)
{
    struct worker *worker = open_worker(self);
    Check_Type(params, T_ARRAY);
    VALUE memory = 0;
    sp_tool_param *list =
        ALLOCV_N(sp_tool_param, memory, (size_t)RARRAY_LEN(params) + 1);
    VALUE kept = read_params(params, list);
    sp_tool tool = {
        .size = sizeof tool,
        .name = StringValueCStr(name),
        .description = text_or_null(&description),
        .streaming = RTEST(streaming),
        .params = list,
        .params_count = (size_t)RARRAY_LEN(params),
        .idempotent = RTEST(idempotent),
    };
    sp_error err = {0};
    int rc = sp_worker_add_tool(worker->worker, &tool, &err);
    ALLOCV_END(memory);
    RB_GC_GUARD(kept);
    if (rc < 0) {
        sp__rb_raise(&err);
    }
    return Qnil;
}

static VALUE worker_accept_any(VALUE self)
{
    sp_worker_accept_any(open_worker(self)->worker);
    return Qnil;
}

/* ---- life ---- */

static VALUE worker_offer_stacks(VALUE self, VALUE number)
{
    sp_error err = {0};
    int fd = sp_worker_offer_stacks(open_worker(self)->worker, NUM2INT(number), &err);
    if (fd == SP_ERR_UNSUPPORTED) {
        sp_error_clear(&err);
        return Qfalse;
    }
    if (fd < 0) {
        sp__rb_raise(&err);
    }
    if (sp__rb_stacks_offer(NUM2INT(number), fd) < 0) {
        return Qfalse;
    }
    if (sp_worker_repeat_stacks(open_worker(self)->worker, &err) < 0) {
        sp__rb_raise(&err);
    }
    return Qtrue;
}

struct announcing {
    sp_worker *worker;
    sp_error err;
    int rc;
};

static void *announce(void *user)
{
    struct announcing *a = user;
    a->rc = sp_worker_announce(a->worker, &a->err);
    return NULL;
}

static VALUE worker_announce(VALUE self)
{
    struct worker *worker = open_worker(self);
    struct announcing a;
    sp_worker_catch_signals(worker->worker);
    do {
        a = (struct announcing){.worker = worker->worker};
        (void)rb_thread_call_without_gvl(announce, &a, RUBY_UBF_IO, NULL);
    } while (a.rc == SP_ERR_STOPPED_BY_CALLBACK);
    if (a.rc == SP_ERR_CLOSED && sp_worker_was_signalled(worker->worker)) {
        sp_error_clear(&a.err); /* serve() finds the same and returns at once */
        a.rc = 0;
    }
    if (a.rc < 0) {
        sp__rb_raise(&a.err);
    }
    return Qnil;
}

static VALUE worker_refuse(VALUE self, VALUE permanent, VALUE type, VALUE message,
                           VALUE trace)
{
    sp_worker_refuse(open_worker(self)->worker, RTEST(permanent), text_or_null(&type),
                     text_or_null(&message), text_or_null(&trace));
    return Qnil;
}

static VALUE worker_stop(VALUE self)
{
    const struct worker *worker = any_worker(self);
    if (worker->worker != NULL) {
        sp_worker_stop(worker->worker);
    }
    return Qnil;
}

static void *close_worker(void *worker)
{
    sp_worker_close(worker);
    return NULL;
}

static VALUE worker_close(VALUE self)
{
    struct worker *worker = any_worker(self);
    if (worker->serving) {
        rb_raise(sp__rb_bridge.error, "serving: stop it first");
    }
    let_go(worker);
    sp_worker *open = worker->worker;
    worker->worker = NULL;
    if (open != NULL && !sp__rb_bridge.forgotten) {
        (void)rb_thread_call_without_gvl(close_worker, open, NULL, NULL);
    }
    return Qnil;
}

static VALUE worker_address(VALUE self)
{
    const char *address = sp_worker_address(open_worker(self)->worker);
    return address != NULL ? rb_utf8_str_new_cstr(address) : Qnil;
}

void sp__rb_worker_init(void)
{
    VALUE class = rb_define_class_under(sp__rb_bridge.module, "Worker", rb_cObject);
    rb_define_alloc_func(class, worker_allocate);
    rb_define_method(class, "initialize", worker_initialize, 3);
    rb_define_method(class, "add_tool", worker_add_tool, 5);
    rb_define_method(class, "accept_any", worker_accept_any, 0);
    rb_define_method(class, "offer_stacks", worker_offer_stacks, 1);
    rb_define_method(class, "announce", worker_announce, 0);
    rb_define_method(class, "refuse", worker_refuse, 4);
    rb_define_method(class, "serve", sp__rb_serve, 2);
    rb_define_method(class, "interrupt", sp__rb_interrupt, 0);
    rb_define_method(class, "stop", worker_stop, 0);
    rb_define_method(class, "close", worker_close, 0);
    rb_define_method(class, "address", worker_address, 0);
}
