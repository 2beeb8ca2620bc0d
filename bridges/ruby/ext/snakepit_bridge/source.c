/* SPDX-License-Identifier: MIT */
/*
 * `Snakepit::Source`: what a call goes on receiving from its host, the chunks of a tool's
 * stream or the changes that a watch sees.
 *
 * A source belongs to its call and is closed with it; Ruby code may keep the object and
 * finds it at its end. It is for the thread that runs the tool alone, so that nobody
 * waits in one that is being closed.
 */
#include "ask.h"

#include "base/mem.h"

enum source_kind { SOURCE_CHUNKS, SOURCE_CHANGES };

struct source {
    struct link link; /* on context->sources while open */
    enum source_kind kind;
    void *open; /* sp_host_stream or sp_job_watch; NULL: closed */
    VALUE context;
};

static VALUE source_class;

static void source_mark(void *pointer)
{
    rb_gc_mark(((const struct source *)pointer)->context);
}

static void source_end(struct source *source)
{
    void *open = source->open;
    source->open = NULL;
    sp__list_remove(&source->link);
    if (source->kind == SOURCE_CHUNKS) {
        sp_host_stream_close(open);
    } else {
        sp_job_watch_close(open);
    }
}

/* One that was opened is closed by its call: then nothing is left to be done here. */
static void source_free(void *pointer)
{
    struct source *source = pointer;
    if (source->open != NULL && !sp__rb_bridge.forgotten) {
        source_end(source);
    }
    sp__free(source);
}

static const rb_data_type_t source_type = {
    .wrap_struct_name = "Snakepit::Source",
    .function = {.dmark = source_mark, .dfree = source_free},
};

static struct source *source_new(VALUE context, enum source_kind kind, VALUE *ret_self)
{
    if (rb_thread_current() != rb_thread_main()) {
        rb_raise(rb_eThreadError,
                 "streams and watches are for the thread that runs the tool");
    }
    struct source *source = sp__calloc(1, sizeof *source);
    if (source == NULL) {
        rb_memerror();
    }
    source->kind = kind;
    source->context = context;
    *ret_self = TypedData_Wrap_Struct(source_class, &source_type, source);
    return source;
}

void sp__rb_sources_end(struct context *context)
{
    struct link *link;
    while ((link = context->sources.first) != NULL) {
        source_end(ITEM(link, struct source, link));
    }
}

/* ---- opening ---- */

struct opening {
    struct question q;
    sp_watch_options watch;
    void *open;
};

static int run_stream(struct ask *ask, sp_error *err)
{
    struct opening *opening = (struct opening *)ask;
    return sp_job_host_stream_open(ask->job, opening->q.tool, opening->q.json,
                                   &opening->q.options,
                                   (sp_host_stream **)(void *)&opening->open, err);
}

static int run_watch(struct ask *ask, sp_error *err)
{
    struct opening *opening = (struct opening *)ask;
    return sp_job_watch_open(ask->job, &opening->watch,
                             (sp_job_watch **)(void *)&opening->open, err);
}

static VALUE opened(VALUE context, struct opening *opening, enum source_kind kind)
{
    VALUE self;
    struct source *source = source_new(context, kind, &self);
    sp__rb_ask(context, &opening->q.ask);
    source->open = opening->open;
    sp__list_append(&sp__rb_context_of(context)->sources, &source->link);
    return self;
}

VALUE sp__rb_tool_stream(VALUE self, VALUE tool, VALUE args, VALUE pool,
                         VALUE timeout_ms)
{
    struct opening opening = {0};
    sp__rb_question(&opening.q, &tool, args, &pool, timeout_ms);
    opening.q.ask.run = run_stream;
    VALUE source = opened(self, &opening, SOURCE_CHUNKS);
    RB_GC_GUARD(opening.q.owner);
    RB_GC_GUARD(tool);
    RB_GC_GUARD(pool);
    return source;
}

VALUE sp__rb_watch(VALUE self, VALUE names, VALUE initial)
{
    struct opening opening = {.q.ask.run = run_watch};
    opening.watch =
        (sp_watch_options){.size = sizeof opening.watch, .initial = RTEST(initial)};
    VALUE memory = 0;
    if (!NIL_P(names)) {
        Check_Type(names, T_ARRAY);
        long count = RARRAY_LEN(names);
        const char **texts = ALLOCV_N(const char *, memory, (size_t)count + 1);
        for (long i = 0; i < count; i++) {
            VALUE name = rb_ary_entry(names, i);
            texts[i] = StringValueCStr(name);
        }
        opening.watch.names = texts;
        opening.watch.names_count = (size_t)count;
    }
    VALUE source = opened(self, &opening, SOURCE_CHANGES);
    ALLOCV_END(memory);
    RB_GC_GUARD(names);
    return source;
}

/* ---- taking ---- */

struct taking {
    struct ask ask;
    struct source *source;
    uint64_t timeout_ms;
    sp_bytes chunk;
    sp_bytes binary;
    sp_change change;
};

static int run_next(struct ask *ask, sp_error *err)
{
    struct taking *taking = (struct taking *)ask;
    if (taking->source->kind == SOURCE_CHUNKS) {
        return sp_host_stream_next(taking->source->open, taking->timeout_ms,
                                   &taking->chunk, &taking->binary, err);
    }
    return sp_job_watch_next(taking->source->open, taking->timeout_ms, &taking->change,
                             err);
}

static VALUE read_change(VALUE pointer)
{
    static const char *const kinds[] = {"initial", "registered", "value", "lock",
                                        "deleted"};
    const sp_change *change = (const sp_change *)pointer;
    const char *kind =
        change->kind >= 1 && change->kind <= 5 ? kinds[change->kind - 1] : "value";
    return rb_ary_new_from_args(2, ID2SYM(rb_intern(kind)),
                                sp__rb_from_variable(&change->variable));
}

static VALUE clear_change(VALUE pointer)
{
    sp_variable_clear(&((sp_change *)pointer)->variable);
    return Qnil;
}

/* [item], or nil at the end of a stream and when no change has come in time. */
static VALUE source_next(VALUE self, VALUE timeout_ms)
{
    struct source *source = rb_check_typeddata(self, &source_type);
    if (source->open == NULL) {
        return Qnil;
    }
    struct taking taking = {.ask = {.run = run_next},
                            .source = source,
                            .timeout_ms =
                                NIL_P(timeout_ms) ? SP_UNLIMITED : NUM2ULL(timeout_ms)};
    if (rb_thread_current() != rb_thread_main()) {
        rb_raise(rb_eThreadError,
                 "streams and watches are for the thread that runs the tool");
    }
    sp__rb_ask(source->context, &taking.ask);
    if (taking.ask.rc == 0) {
        return Qnil;
    }
    VALUE item = source->kind == SOURCE_CHUNKS
                     ? sp__rb_chunk(taking.chunk, taking.binary)
                     : rb_ensure(read_change, (VALUE)&taking.change, clear_change,
                                 (VALUE)&taking.change);
    return rb_ary_new_from_args(1, item);
}

static VALUE source_close(VALUE self)
{
    struct source *source = rb_check_typeddata(self, &source_type);
    if (source->open != NULL) {
        source_end(source);
    }
    return Qnil;
}

void sp__rb_source_init(void)
{
    source_class = rb_define_class_under(sp__rb_bridge.module, "Source", rb_cObject);
    rb_undef_alloc_func(source_class);
    rb_define_method(source_class, "take", source_next, 1);
    rb_define_method(source_class, "close", source_close, 0);
}
