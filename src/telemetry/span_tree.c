/* SPDX-License-Identifier: MIT */
/*
 * From one record to its spans, with the names and attributes of OpenTelemetry's semantic
 * conventions where there are any (rpc.*, session.id, error.type, process.pid) and
 * "snakepit." before all others.
 *
 * Two clocks meet here: the loop's, which stands still for a turn, and the real one of
 * callers and workers. What would begin before its parent begins with it.
 */
#include "telemetry/span_tree.h"

#include <stdio.h>
#include <string.h>

#include "base/grpc_status.h"
#include "snakepit/call.h"
#include "snakepit/error.h"

enum { NUMBER_BITS = 7 };
/* What stands in the last bits of a span's number; the innermost has 5. */
enum { ROOT = 0, QUEUE = 1, DISPATCH = 2, CLIENT = 3, SERVER = 4, INNERMOST = 5 };

static const char unary[] = "snakepit.bridge.BridgeService/ExecuteTool";
static const char streaming[] = "snakepit.bridge.BridgeService/ExecuteStreamingTool";

struct times {
    uint64_t begin;
    uint64_t sent;
    uint64_t resent;
    uint64_t entered;
    uint64_t left;
    uint64_t end;
};

static struct times times_of(const struct span_record *record)
{
    struct times t = {.begin = record->begin_us};
    t.end = sp__span_within(record->end_us, t.begin, UINT64_MAX);
    t.sent = sp__span_within(record->sent_us, t.begin, t.end);
    t.resent = sp__span_within(record->resent_us, t.sent, t.end);
    t.entered = sp__span_within(record->entered_us, t.resent, t.end);
    t.left = sp__span_within(record->left_us, t.entered, t.end);
    return t;
}

/* ---- attributes ---- */

static void add(struct otlp_span *span, struct otlp_attribute attribute)
{
    if (span->attributes.count < SPAN_TREE_ATTRIBUTES) {
        struct otlp_attribute *items =
            (struct otlp_attribute *)(uintptr_t)span->attributes.items;
        items[span->attributes.count++] = attribute;
    }
}

static void add_text(struct otlp_span *span, const char *key, const char *text)
{
    if (text[0] != '\0') {
        add(span, (struct otlp_attribute){.key = key, .text = text});
    }
}

static void add_number(struct otlp_span *span, const char *key, uint64_t number)
{
    add(span, (struct otlp_attribute){.key = key, .number = (int64_t)number});
}

static void add_rpc(struct otlp_span *span, const struct span_record *record)
{
    add_text(span, "rpc.system.name", "grpc");
    add_text(span, "rpc.method", span->name);
    add_text(span, "rpc.status_code",
             sp__grpc_status_name(sp_error_grpc_status(record->error)));
}

static void add_worker(struct otlp_span *span, const struct span_record *record)
{
    add_text(span, "snakepit.pool", record->pool);
    add_number(span, "snakepit.worker.slot", record->slot);
    add_number(span, "process.pid", (uint64_t)record->pid);
}

static const char *word_of_affinity(int placed)
{
    static const char *const words[] = {[SP_PLACED_NONE] = "",
                                        [SP_PLACED_SAME] = "hit",
                                        [SP_PLACED_NEW] = "miss",
                                        [SP_PLACED_MOVED] = "moved"};
    return placed >= 0 && (size_t)placed < sizeof words / sizeof words[0]
               ? words[placed]
               : "";
}

static void fail(struct otlp_span *span, const struct span_record *record)
{
    if (record->error != 0) {
        span->failed = 1;
        span->message = sp_strerror(record->error);
        add_text(span, "error.type", sp_error_name(record->error));
    }
}

/* ---- spans ---- */

struct builder {
    const struct span_record *record;
    uint64_t offset_ns;
    struct span_tree *tree;
};

static void set_number(uint8_t span[SPAN_ID_BYTES], const struct span_record *record,
                       int place)
{
    memcpy(span, record->span, SPAN_ID_BYTES);
    span[SPAN_ID_BYTES - 1] =
        (uint8_t)((span[SPAN_ID_BYTES - 1] & ~NUMBER_BITS) | place);
}

static struct otlp_span *put(const struct builder *b, int place, int parent,
                             const char *name, enum otlp_kind kind, uint64_t begin_us,
                             uint64_t end_us)
{
    struct span_tree *tree = b->tree;
    struct otlp_span *span = &tree->spans[tree->count];
    *span = (struct otlp_span){.name = name,
                               .kind = kind,
                               .begin_unix_ns = begin_us * 1000 + b->offset_ns,
                               .end_unix_ns = end_us * 1000 + b->offset_ns,
                               .attributes = {tree->attributes[tree->count], 0}};
    tree->count++;
    memcpy(span->trace, b->record->trace, sizeof span->trace);
    set_number(span->span, b->record, place);
    if (parent < 0) {
        memcpy(span->parent, b->record->parent, sizeof span->parent);
    } else {
        set_number(span->parent, b->record, parent);
    }
    return span;
}

static const char *name_with(char name[SPAN_TREE_NAME], const char *what,
                             const struct span_record *record)
{
    (void)snprintf(name, SPAN_TREE_NAME, "%s %s", what, record->tool);
    return name;
}

/* A function of the program is its one span. */
static void put_host(const struct builder *b, const struct times *t)
{
    const struct span_record *record = b->record;
    struct otlp_span *span =
        put(b, INNERMOST, -1, name_with(b->tree->names[0], "snakepit.callback", record),
            OTLP_INTERNAL, t->begin, t->end);
    add_text(span, "snakepit.tool", record->tool);
    add_text(span, "session.id", record->session);
    add_number(span, "snakepit.queue.wait_ms",
               record->sent_us != 0 ? (t->sent - t->begin) / 1000 : 0);
    fail(span, record);
}

static void put_root(const struct builder *b, const struct times *t)
{
    const struct span_record *record = b->record;
    const char *name = record->streaming ? streaming : unary;
    enum otlp_kind kind = OTLP_SERVER;
    if (record->kind != SPAN_SERVED) {
        const char *what =
            record->kind == SPAN_CALLBACK ? "snakepit.callback" : "snakepit.call";
        name = name_with(b->tree->names[0], what, record);
        kind = OTLP_INTERNAL;
    }
    struct otlp_span *span = put(b, ROOT, -1, name, kind, t->begin, t->end);
    if (kind == OTLP_SERVER) {
        add_rpc(span, record);
    }
    add_text(span, "snakepit.tool", record->tool);
    add_text(span, "snakepit.pool", record->pool);
    add_text(span, "session.id", record->session);
    add_text(span, "snakepit.session.affinity", word_of_affinity(record->placed));
    add_number(span, "snakepit.call.id", record->call);
    add_number(span, "snakepit.attempt", record->attempts);
    if (record->streaming) {
        add_number(span, "snakepit.chunks", record->chunks);
    }
    fail(span, record);
}

/* What the worker said of it itself. */
static void put_worker(const struct builder *b, const struct times *t)
{
    const struct span_record *record = b->record;
    struct otlp_span *span =
        put(b, SERVER, CLIENT, record->streaming ? streaming : unary, OTLP_SERVER,
            t->entered, t->left);
    add_rpc(span, record);
    add_worker(span, record);
    span =
        put(b, INNERMOST, SERVER, name_with(b->tree->names[1], "snakepit.tool", record),
            OTLP_INTERNAL, t->entered, t->left);
    add_worker(span, record);
    add_text(span, "snakepit.tool", record->tool);
    fail(span, record);
}

static void put_attempts(const struct builder *b, const struct times *t)
{
    const struct span_record *record = b->record;
    struct otlp_span *span =
        put(b, DISPATCH, ROOT, "snakepit.dispatch", OTLP_INTERNAL, t->sent, t->end);
    add_worker(span, record);
    add_number(span, "snakepit.attempt", record->attempts);
    fail(span, record);
    /* The innermost has the number that the worker was told. */
    span = put(b, record->entered_us != 0 ? CLIENT : INNERMOST, DISPATCH,
               record->streaming ? streaming : unary, OTLP_CLIENT, t->resent, t->end);
    add_rpc(span, record);
    add_worker(span, record);
    fail(span, record);
    if (record->entered_us != 0) {
        put_worker(b, t);
    }
}

void sp__span_tree(const struct span_record *record, uint64_t offset_ns,
                   struct span_tree *ret)
{
    struct builder b = {record, offset_ns, ret};
    struct times t = times_of(record);
    ret->count = 0;
    if (record->kind == SPAN_START) {
        return; /* in no trace */
    }
    if (record->kind == SPAN_HOST) {
        put_host(&b, &t);
        return;
    }
    put_root(&b, &t);
    uint64_t waited_until = record->sent_us != 0 ? t.sent : t.end;
    struct otlp_span *queue =
        put(&b, QUEUE, ROOT, "snakepit.queue", OTLP_INTERNAL, t.begin, waited_until);
    add_text(queue, "snakepit.pool", record->pool);
    add_number(queue, "snakepit.queue.wait_ms", (waited_until - t.begin) / 1000);
    if (record->sent_us != 0) {
        put_attempts(&b, &t);
    } else {
        fail(queue, record);
    }
}
