/* SPDX-License-Identifier: MIT */
/* From a record to its spans: which there are, their numbers, their times. */
#include "telemetry/span_tree.h"

#include <string.h>

#include "leak.h"
#include "snakepit/call.h"
#include "snakepit/error.h"

enum { OFFSET_NS = 1000000 };

static struct span_record whole(void)
{
    return (struct span_record){
        .kind = SPAN_SERVED,
        .begin_us = 100,
        .sent_us = 200,
        .resent_us = 250,
        .entered_us = 300,
        .left_us = 400,
        .end_us = 500,
        .call = 7,
        .worker = 3,
        .pid = 4711,
        .slot = 2,
        .attempts = 2,
        .placed = SP_PLACED_SAME,
        .trace = {1, 2, 3},
        .span = {9, 9, 9, 9, 9, 9, 9, 0xf5},
        .parent = {8},
        .pool = "default",
        .session = "s",
        .tool = "add",
    };
}

static struct span_tree tree;

static void make(const struct span_record *record)
{
    sp__span_tree(record, OFFSET_NS, &tree);
}

static void check_span(size_t index, const char *name, enum otlp_kind kind, int number,
                       uint64_t begin_us, uint64_t end_us)
{
    const struct otlp_span *span = &tree.spans[index];
    assert_string_equal(span->name, name);
    assert_int_equal(span->kind, kind);
    assert_int_equal(span->span[7], 0xf0 + number);
    assert_int_equal(span->begin_unix_ns, begin_us * 1000 + OFFSET_NS);
    assert_int_equal(span->end_unix_ns, end_us * 1000 + OFFSET_NS);
}

static const struct otlp_attribute *find(size_t index, const char *key)
{
    struct otlp_list list = tree.spans[index].attributes;
    for (size_t i = 0; i < list.count; i++) {
        if (strcmp(list.items[i].key, key) == 0) {
            return &list.items[i];
        }
    }
    return NULL;
}

static const char unary[] = "snakepit.bridge.BridgeService/ExecuteTool";

static void a_call_is_six_spans_each_in_its_parent(void **state)
{
    (void)state;
    struct span_record record = whole();
    make(&record);
    assert_int_equal(tree.count, 6);
    check_span(0, unary, OTLP_SERVER, 0, 100, 500);
    check_span(1, "snakepit.queue", OTLP_INTERNAL, 1, 100, 200);
    check_span(2, "snakepit.dispatch", OTLP_INTERNAL, 2, 200, 500);
    check_span(3, unary, OTLP_CLIENT, 3, 250, 500);
    check_span(4, unary, OTLP_SERVER, 4, 300, 400);
    check_span(5, "snakepit.tool add", OTLP_INTERNAL, 5, 300, 400);
    static const int parents[] = {-1, 0, 0, 2, 3, 4};
    assert_memory_equal(tree.spans[0].parent, record.parent, 8);
    for (size_t i = 1; i < 6; i++) {
        assert_memory_equal(tree.spans[i].parent, tree.spans[parents[i]].span, 8);
        assert_memory_equal(tree.spans[i].trace, record.trace, 16);
    }
    assert_string_equal(find(0, "snakepit.session.affinity")->text, "hit");
    assert_string_equal(find(0, "rpc.status_code")->text, "OK");
    assert_int_equal(find(2, "snakepit.worker.slot")->number, 2);
    assert_int_equal(find(2, "snakepit.attempt")->number, 2);
    assert_int_equal(find(5, "process.pid")->number, 4711);
}

static void without_the_workers_word_the_client_is_the_innermost(void **state)
{
    (void)state;
    struct span_record record = whole();
    record.entered_us = record.left_us = 0;
    record.error = SP_ERR_WORKER_DIED;
    make(&record);
    assert_int_equal(tree.count, 4);
    check_span(3, unary, OTLP_CLIENT, 5, 250, 500);
    assert_true(tree.spans[0].failed && tree.spans[2].failed && tree.spans[3].failed);
    assert_false(tree.spans[1].failed);
    assert_string_equal(find(3, "error.type")->text, "SP-WORKER-DIED");
}

static void what_never_reached_a_worker_failed_in_the_queue(void **state)
{
    (void)state;
    struct span_record record = whole();
    record.sent_us = record.resent_us = record.entered_us = record.left_us = 0;
    record.error = SP_ERR_QUEUE_TIMEOUT;
    make(&record);
    assert_int_equal(tree.count, 2);
    check_span(1, "snakepit.queue", OTLP_INTERNAL, 1, 100, 500);
    assert_true(tree.spans[1].failed);
}

/* The loop's clock stands still for a turn, those of callers and workers do not. */
static void times_that_stick_out_are_cut(void **state)
{
    (void)state;
    struct span_record record = whole();
    record.sent_us = 90;
    record.resent_us = 90;
    record.entered_us = 95;
    record.left_us = 600;
    make(&record);
    for (size_t i = 0; i < tree.count; i++) {
        assert_in_range(tree.spans[i].begin_unix_ns, 100 * 1000 + OFFSET_NS,
                        tree.spans[i].end_unix_ns);
        assert_true(tree.spans[i].end_unix_ns <= 500 * 1000 + OFFSET_NS);
    }
    record.end_us = 0; /* nonsense, and no reason to end before the beginning */
    make(&record);
    assert_true(tree.spans[0].begin_unix_ns <= tree.spans[0].end_unix_ns);
}

static void names_say_who_asked(void **state)
{
    (void)state;
    struct span_record record = whole();
    record.kind = SPAN_CALL;
    make(&record);
    assert_string_equal(tree.spans[0].name, "snakepit.call add");
    record.kind = SPAN_CALLBACK;
    record.streaming = 1;
    make(&record);
    assert_string_equal(tree.spans[0].name, "snakepit.callback add");
    assert_string_equal(tree.spans[3].name,
                        "snakepit.bridge.BridgeService/ExecuteStreamingTool");
    assert_non_null(find(0, "snakepit.chunks"));
    record.kind = SPAN_HOST;
    make(&record);
    assert_int_equal(tree.count, 1);
    check_span(0, "snakepit.callback add", OTLP_INTERNAL, 5, 100, 500);
    record.kind = SPAN_START;
    make(&record);
    assert_int_equal(tree.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_six_spans_each_in_its_parent),
        TEST(without_the_workers_word_the_client_is_the_innermost),
        TEST(what_never_reached_a_worker_failed_in_the_queue),
        TEST(times_that_stick_out_are_cut),
        TEST(names_say_who_asked),
    };
    return cmocka_run_group_tests_name("span_tree", tests, NULL, NULL);
}
