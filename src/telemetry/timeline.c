/* SPDX-License-Identifier: MIT */
/*
 * The report "timeline": what the pit has recorded of starts and calls, as the trace events
 * that Chrome's viewer and Perfetto draw (Trace Event Format).
 *
 * A worker is a process there, with the phases of its start one after the other; what tools
 * ran in it is beside them. Calls are in the host's process, each on a track of its own,
 * since many go on at once: events of one `id2.local` nest, others do not care.
 *
 * Times are microseconds of the monotonic clock. A report is written event by event, so
 * that it takes little more memory than its text.
 */
#include "telemetry/json_report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "pit/pit.h"
#include "telemetry/span_tree.h"

enum { CALLS_DEFAULT = 1000, CALLS_MAX = 4096, READ = 256, NAME_BYTES = 96 };

struct timeline {
    struct sp_buffer *out;
    sp_error *err;
    int rc;
    size_t events;
    int pid; /* the host's */
    struct span_record *record;
    const char *category;
    char id[24];
};

/* ---- events ---- */

static void put(struct timeline *t, json_t *event)
{
    static const char between[] = ",\n";
    if (t->rc == SP_OK) {
        size_t skipped = t->events == 0; /* there is nothing before the first */
        t->rc = sp__buf_append(t->out, between + skipped, 2 - skipped, t->err);
    }
    t->events++;
    if (t->rc == SP_OK) {
        t->rc = sp__report_put_json(t->out, event, t->err);
    } else {
        json_decref(event);
    }
}

static void put_name(struct timeline *t, int pid, const char *name)
{
    json_t *args = json_object();
    sp__report_set_words(args, "name", name);
    put(t, json_pack("{s:s, s:s, s:i, s:i, s:i, s:o}", "name", "process_name", "ph",
                     "M", "ts", 0, "pid", pid, "tid", 0, "args", args));
}

/* ---- starts ---- */

static void put_phase(struct timeline *t, const char *name, uint64_t begin_us,
                      uint64_t end_us, json_t *args)
{
    put(t, json_pack("{s:s, s:s, s:s, s:I, s:I, s:i, s:i, s:o}", "name", name, "cat",
                     "start", "ph", "X", "ts", (json_int_t)begin_us, "dur",
                     (json_int_t)(end_us - begin_us), "pid", t->record->pid, "tid", 0,
                     "args", args));
}

static void put_start(struct timeline *t)
{
    const struct span_record *r = t->record;
    struct start_step steps[START_PHASES];
    size_t count = sp__span_start_steps(r, steps);
    uint64_t end = r->end_us;
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof name, "worker %s/%u", r->pool, r->slot);
    put_name(t, r->pid, name);
    put_phase(t, "start", r->begin_us, end,
              json_pack("{s:s, s:i, s:i, s:s}", "pool", r->pool, "slot", (int)r->slot,
                        "generation", (int)r->generation, "runtime", r->tool));
    for (size_t i = 0; i < count; i++) {
        put_phase(t, sp__start_phase_name(steps[i].phase), steps[i].begin_us,
                  steps[i].end_us, json_object());
    }
    put(t, json_pack("{s:s, s:s, s:s, s:s, s:I, s:i, s:i}", "name", "ready", "cat",
                     "start", "ph", "i", "s", "p", "ts", (json_int_t)end, "pid", r->pid,
                     "tid", 0));
}

/* ---- calls ---- */

static json_t *attributes_json(const struct otlp_span *span)
{
    json_t *args = json_object();
    for (size_t i = 0; i < span->attributes.count; i++) {
        const struct otlp_attribute *a = &span->attributes.items[i];
        if (a->text != NULL) {
            sp__report_set_words(args, a->key, a->text);
        } else {
            (void)json_object_set_new(args, a->key,
                                      json_integer((json_int_t)a->number));
        }
    }
    return args;
}

static void put_edge(struct timeline *t, const struct otlp_span *span, int pid,
                     int is_begin)
{
    uint64_t ns = is_begin ? span->begin_unix_ns : span->end_unix_ns;
    json_t *event = json_pack("{s:s, s:s, s:I, s:i, s:i, s:{s:s}}", "cat", t->category,
                              "ph", is_begin ? "b" : "e", "ts", (json_int_t)(ns / 1000),
                              "pid", pid, "tid", 0, "id2", "local", t->id);
    sp__report_set_words(event, "name", span->name);
    if (is_begin) {
        (void)json_object_set_new(event, "args", attributes_json(span));
    }
    put(t, event);
}

/* In the order of a walk around the tree, so that what nests is told nested. The tree is a
 * chain but for the queue, which has nothing in it; the last one once more where it ran. */
static void put_tree(struct timeline *t, const struct span_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        put_edge(t, &tree->spans[i], t->pid, 1);
        if (strcmp(tree->spans[i].name, "snakepit.queue") == 0) {
            put_edge(t, &tree->spans[i], t->pid, 0);
        }
    }
    for (size_t i = tree->count; i > 0; i--) {
        if (strcmp(tree->spans[i - 1].name, "snakepit.queue") != 0) {
            put_edge(t, &tree->spans[i - 1], t->pid, 0);
        }
    }
    if (t->record->entered_us != 0 && tree->count > 1) {
        const struct otlp_span *tool = &tree->spans[tree->count - 1];
        t->category = "tool";
        put_edge(t, tool, t->record->pid, 1);
        put_edge(t, tool, t->record->pid, 0);
    }
}

static void put_record(struct timeline *t)
{
    struct span_tree tree;
    if (t->record->kind == SPAN_START) {
        put_start(t);
        return;
    }
    t->category = t->record->kind == SPAN_HOST ? "callback" : "call";
    (void)snprintf(t->id, sizeof t->id, "0x%llx", (unsigned long long)t->record->call);
    sp__span_tree(t->record, 0, &tree);
    put_tree(t, &tree);
}

/* ---- the report ---- */

/* Up to the last `calls`: a walk to see how many there are, and one that tells. */
static void put_records(struct timeline *t, struct spans *spans, uint64_t calls)
{
    struct span_cursor cursor = {0};
    uint64_t lost;
    uint64_t written = sp__spans_written(spans);
    cursor.calls = written > calls ? written - calls : 0;
    size_t count;
    struct span_record *records = t->record;
    do {
        count = sp__spans_read(spans, &cursor, records, READ, &lost);
        for (size_t i = 0; i < count && t->rc == SP_OK; i++) {
            t->record = &records[i];
            put_record(t);
        }
    } while (count > 0 && t->rc == SP_OK);
    t->record = records;
}

int sp__report_timeline(const struct report_question *question, struct sp_buffer *out,
                        sp_error *err)
{
    struct spans *spans = question->pit->spans;
    struct timeline t = {.out = out, .err = err, .pid = (int)getpid()};
    struct report_wishes wishes = sp__report_wishes(question, err);
    uint64_t calls = CALLS_DEFAULT;
    (void)sp__report_wish_number(&wishes, "calls", 1, CALLS_MAX, &calls);
    if (wishes.rc < 0) {
        return wishes.rc;
    }
    t.record = sp__malloc(READ * sizeof *t.record);
    if (t.record == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a timeline");
    }
    t.rc = sp__buf_printf(out, err,
                          "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"version\":1,"
                          "\"calls_recorded\":%s},\"traceEvents\":[",
                          spans->records_calls ? "true" : "false");
    put_name(&t, t.pid, "calls");
    put_records(&t, spans, calls);
    sp__free(t.record);
    return t.rc == SP_OK ? sp__buf_append(out, "\n]}", 3, err) : t.rc;
}
