/* SPDX-License-Identifier: MIT */
/* Events that tools report, from any of Ruby's threads: they hold the interpreter's lock. */
#include <string.h>

#include "ask.h"
#include "snakepit/worker_telemetry.h"

static sp_worker *open_worker(void)
{
    const struct worker *worker = sp__rb_bridge.worker;
    return worker != NULL && !sp__rb_bridge.forgotten ? worker->worker : NULL;
}

/* Snakepit.listens?: whether anybody would hear of an event. */
static VALUE listens(VALUE self)
{
    (void)self;
    return sp_worker_listens(open_worker()) ? Qtrue : Qfalse;
}

/* Snakepit.wants?(name): the same of an event of this name. */
static VALUE wants(VALUE self, VALUE name)
{
    (void)self;
    return sp_worker_wants(open_worker(), StringValueCStr(name)) ? Qtrue : Qfalse;
}

static sp_bytes text_of(VALUE text)
{
    return NIL_P(text) ? (sp_bytes){0}
                       : (sp_bytes){RSTRING_PTR(text), (size_t)RSTRING_LEN(text)};
}

/* Snakepit.report(name, measurements, metadata, correlation): the objects as JSON or nil.
 * Whether somebody gets it. */
static VALUE report(VALUE self, VALUE name, VALUE measurements, VALUE metadata,
                    VALUE correlation)
{
    (void)self;
    sp_error err = {0};
    sp_emission event = {.size = sizeof event, .name = StringValueCStr(name)};
    event.measurements = text_of(measurements);
    event.metadata = text_of(metadata);
    event.correlation_id = NIL_P(correlation) ? NULL : StringValueCStr(correlation);
    VALUE current = sp__rb_current();
    if (!NIL_P(current)) {
        event.job = sp__rb_context_of(current)->job;
    }
    sp_worker *worker = open_worker();
    int rc = worker != NULL ? sp_worker_emit(worker, &event, &err) : 0;
    RB_GC_GUARD(measurements);
    RB_GC_GUARD(metadata);
    RB_GC_GUARD(current);
    if (rc < 0) {
        sp__rb_raise(&err);
    }
    return rc > 0 ? Qtrue : Qfalse;
}

void sp__rb_report_init(void)
{
    rb_define_singleton_method(sp__rb_bridge.module, "listens?", listens, 0);
    rb_define_singleton_method(sp__rb_bridge.module, "wants?", wants, 1);
    rb_define_singleton_method(sp__rb_bridge.module, "report", report, 4);
}
