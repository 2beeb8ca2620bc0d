/* SPDX-License-Identifier: MIT */
/* What listeners are told: of jobs, and what user code reports; as they wish. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "rig.h"
#include "runtime/runtime.h"
#include "snakepit/bridge.pb-c.h"
#include "snakepit/worker_telemetry.h"

/* ---- of jobs ---- */

#define TOGGLE_OFF BYTES("\x0a\x00")
#define TOGGLE_ON BYTES("\x0a\x02\x08\x01")
#define SAMPLING_HALF BYTES("\x12\x09\x09\x00\x00\x00\x00\x00\x00\xe0\x3f")

static struct peer_call *open_telemetry(struct rig *rig)
{
    struct peer_call *call = peer_open(rig->peer, SP__PATH_TELEMETRY, (sp_bytes){0}, 0);
    PEER_UNTIL(rig->peer, call->headers); /* they come before any event */
    return call;
}

static void telemetry_tells_the_start_and_the_end_of_each_job(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    struct peer_call *busy = peer_execute(rig->peer, "wait", "{}");
    PEER_UNTIL(rig->peer, events->messages == 1); /* while it runs */
    assert_true(call_last_has(events, "start"));
    assert_true(call_last_has(events, "wait"));
    assert_true(call_last_has(events, "s1"));
    rig_allow(rig, 1);
    peer_finish(rig->peer, busy);
    PEER_UNTIL(rig->peer, events->messages == 3); /* and the size of its result */
    assert_true(call_last_has(events, "stop"));
    assert_true(call_last_has(events, "duration"));
    struct peer_call *raise = peer_execute(rig->peer, "raise", "{}");
    peer_finish(rig->peer, raise);
    PEER_UNTIL(rig->peer, events->messages == 5);
    assert_true(call_last_has(events, "exception"));

    assert_int_equal(sp__h2_half_close(events->stream, NULL), 0);
    peer_finish(rig->peer, events);
    assert_int_equal(events->status, 0);
    rig_call(rig);
    call_free(busy);
    call_free(raise);
    call_free(events);
    rig_close(rig);
}

static void telemetry_obeys_its_controls(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    assert_int_equal(sp__h2_write(events->stream, TOGGLE_OFF, NULL), 0);
    rig_call(rig);
    assert_int_equal(events->messages, 0);
    assert_int_equal(sp__h2_write(events->stream, TOGGLE_ON, NULL), 0);
    assert_int_equal(sp__h2_write(events->stream, BYTES("\xff\xff"), NULL), 0);
    rig_call(rig);
    PEER_UNTIL(rig->peer, events->messages == 3);
    assert_int_equal(sp__h2_write(events->stream, SAMPLING_HALF, NULL), 0);
    for (int i = 0; i < 10; i++) {
        rig_call(rig);
    }
    PEER_UNTIL(rig->peer, events->messages == 3 + 5 * 3);
    sp__h2_reset(events->stream, 8);
    rig_call(rig);
    call_free(events);
    rig_close(rig);
}

static void telemetry_that_nobody_reads_is_dropped_and_counted(void **state)
{
    enum { BATCHES = 120, BATCH = 100 };
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    sp__h2_hold(events->stream);
    for (int i = 0; i < BATCHES; i++) {
        struct peer_call *calls[BATCH];
        for (int j = 0; j < BATCH; j++) {
            calls[j] = peer_execute(rig->peer, "add", "[1,1]");
        }
        for (int j = 0; j < BATCH; j++) {
            peer_finish(rig->peer, calls[j]);
            assert_int_equal(calls[j]->status, 0);
            call_free(calls[j]);
        }
    }
    assert_true(events->messages < 3u * BATCHES * BATCH);
    uint64_t granted = 0;
    do { /* until an event of after the drops comes */
        sp__h2_grant(events->stream, events->bytes - granted);
        granted = events->bytes;
        rig_call(rig);
    } while (!call_last_has(events, "events_dropped") ||
             call_last_has(events, "events_dropped\x12\x01"
                                   "0"));
    call_free(events);
    rig_close(rig);
}

static void only_so_many_may_listen_to_telemetry(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *events[TELEMETRY_MAX];
    for (int i = 0; i < TELEMETRY_MAX; i++) {
        events[i] = open_telemetry(rig);
    }
    struct peer_call *late = peer_open(rig->peer, SP__PATH_TELEMETRY, (sp_bytes){0}, 0);
    peer_finish(rig->peer, late);
    assert_int_equal(late->status, 8);
    call_free(late);
    for (int i = 0; i < TELEMETRY_MAX; i++) {
        call_free(events[i]);
    }
    rig_close(rig);
}

/* ---- what user code reports ---- */

typedef Snakepit__Bridge__TelemetryEvent Event;

static Event *last_event(const struct peer_call *call)
{
    Event *event = snakepit__bridge__telemetry_event__unpack(NULL, call->last.size,
                                                             call->last.data);
    assert_non_null(event);
    return event;
}

static void event_free(Event *event)
{
    snakepit__bridge__telemetry_event__free_unpacked(event, NULL);
}

static const Snakepit__Bridge__TelemetryValue *figure(const Event *event,
                                                      const char *name)
{
    for (size_t i = 0; i < event->n_measurements; i++) {
        if (strcmp(event->measurements[i]->key, name) == 0) {
            return event->measurements[i]->value;
        }
    }
    return NULL;
}

static const char *fact(const Event *event, const char *name)
{
    for (size_t i = 0; i < event->n_metadata; i++) {
        if (strcmp(event->metadata[i]->key, name) == 0) {
            return event->metadata[i]->value;
        }
    }
    return NULL;
}

/* Report an event that has nothing but its name. */
static int report(struct rig *rig, const char *name, uint32_t *span)
{
    const sp_emission event = {.size = sizeof event, .name = name, .span = span};
    return sp_worker_emit(rig->worker, &event, NULL);
}

/* A turn of the connection there and back: what was sent before has come. */
static void settle(struct rig *rig)
{
    struct peer_call *ping = peer_open(rig->peer, SP__PATH_PING, BYTES("\x0a\x01p"), 1);
    peer_finish(rig->peer, ping);
    call_free(ping);
}

static void control(struct rig *rig, struct peer_call *events, sp_bytes wish)
{
    assert_int_equal(sp__h2_write(events->stream, wish, NULL), 0);
    settle(rig);
}

static void reported_events_have_figures_and_facts(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    const sp_emission report = {
        .size = sizeof report,
        .name = "model.loaded",
        .measurements =
            sp_text("{\"bytes\": 4096, \"share\":0.25,\"big\":1e300,"
                    "\"far\":123456789012345678901, \"ok\":true,"
                    "\"\\u00e4\":\"t\\u00e9xt\",\"none\":null,\"list\":[1]}"),
        .metadata = sp_text("{\"path\":\"/a\\\\b\",\"n\":3,\"deep\":{\"x\":[1]},"
                            "\"half\":\"a\\ud800\",\"nul\":\"a\\u0000b\"}"),
        .correlation_id = "c-1",
    };
    assert_true(sp_worker_listens(rig->worker) > 0);
    assert_int_equal(sp_worker_emit(rig->worker, &report, NULL), 1);
    PEER_UNTIL(rig->peer, events->messages == 1);
    Event *event = last_event(events);
    assert_int_equal(event->n_event_parts, 2);
    assert_string_equal(event->event_parts[1], "loaded");
    assert_int_equal(event->n_measurements, 6);
    assert_int_equal(figure(event, "bytes")->int_value, 4096);
    assert_true(figure(event, "share")->float_value == 0.25);
    assert_true(figure(event, "big")->float_value == 1e300);
    assert_true(figure(event, "far")->float_value == 123456789012345678901.0);
    assert_int_equal(figure(event, "ok")->int_value, 1);
    assert_string_equal(figure(event, "\xc3\xa4")->string_value, "t\xc3\xa9xt");
    assert_int_equal(event->n_metadata, 5);
    assert_string_equal(fact(event, "path"), "/a\\b");
    assert_string_equal(fact(event, "n"), "3");
    assert_string_equal(fact(event, "deep"), "{\"x\":[1]}");
    assert_string_equal(fact(event, "half"), "a???");
    assert_string_equal(fact(event, "nul"), "a?b");
    assert_string_equal(event->correlation_id, "c-1");
    assert_true(event->timestamp_ns > 0);
    event_free(event);
    call_free(events);
    rig_close(rig);
}

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static void events_of_a_job_say_what_they_are_of(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    control(rig, events, BYTES("\x1a\x0a\x0a\x08work.one"));
    const struct proto_pair pairs[] = {
        {sp_text("traceparent"), sp_text("00-" TRACE "-" SPAN "-01")},
        {sp_text("x-snakepit-correlation-id"), sp_text("c-7")}};
    const struct proto_request request = {.session_id = sp_text("s7"),
                                          .tool_name = sp_text("report"),
                                          .args_json = sp_text("{}"),
                                          .metadata = pairs,
                                          .metadata_count = 2};
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    assert_int_equal(sp__proto_put_request(&out, &request, 0, NULL), 0);
    struct peer_call *call =
        peer_open(rig->peer, SP__PATH_EXECUTE, (sp_bytes){out.data, out.size}, 1);
    peer_finish(rig->peer, call);
    PEER_UNTIL(rig->peer, events->messages == 1);
    Event *event = last_event(events);
    assert_string_equal(fact(event, "tool"), "report");
    assert_string_equal(fact(event, "session_id"), "s7");
    assert_string_equal(fact(event, "trace_id"), TRACE);
    assert_string_equal(fact(event, "span_id"),
                        "mine"); /* the tool's own word counts */
    assert_string_equal(event->correlation_id, "c-7");
    event_free(event);
    sp__buf_fini(&out);
    call_free(call);
    call_free(events);
    rig_close(rig);
}

static void a_filter_lets_through_what_it_names(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    /* allow "a.*" and "?b", deny "*.secret*" */
    control(rig, events,
            BYTES("\x1a\x14\x0a\x03"
                  "a.*\x0a\x02?b\x12\x09*.secret*"));
    static const struct {
        const char *name;
        int told;
    } rows[] = {
        {"a.x", 1},   {"a.x.y", 1},         {"a", 0},  {"bb", 1},
        {"b.b", 0},   {"a.secret", 0},      {"ab", 1}, {"a.not.secrets", 0},
        {"a.sec", 1}, {"a..secre.secr", 1}, {"b", 0},  {"tool.execution.stop", 0}};
    uint64_t told = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(report(rig, rows[i].name, NULL), rows[i].told);
        told += (uint64_t)rows[i].told;
    }
    rig_call(rig); /* jobs are no longer told of either */
    settle(rig);
    PEER_UNTIL(rig->peer, events->messages == told);
    control(rig, events, BYTES("\x1a\x00")); /* a filter of nothing lets all through */
    assert_int_equal(report(rig, "a.secret", NULL), 1);
    rig_call(rig);
    PEER_UNTIL(rig->peer, events->messages == told + 4);
    call_free(events);
    rig_close(rig);
}

static void rates_thin_the_events_that_they_name(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    /* a quarter of "a.*", and of all that comes later half */
    control(rig, events,
            BYTES("\x12\x0e\x09\x00\x00\x00\x00\x00\x00\xd0\x3f\x12\x03"
                  "a.*"));
    int a = 0, b = 0;
    for (int i = 0; i < 40; i++) {
        a += report(rig, "a.x", NULL);
        b += report(rig, "b.x", NULL);
    }
    assert_int_equal(a, 10);
    assert_int_equal(b, 40);
    /* The last one that names an event counts, and one for all ends the others. */
    control(rig, events,
            BYTES("\x12\x0e\x09\x00\x00\x00\x00\x00\x00\x00\x00\x12\x03"
                  "a.x"));
    assert_int_equal(report(rig, "a.x", NULL), 0);
    control(rig, events, SAMPLING_HALF);
    for (int i = a = b = 0; i < 40; i++) {
        a += report(rig, "a.x", NULL);
    }
    assert_int_equal(a, 20);
    call_free(events);
    rig_close(rig);
}

static void a_rate_counts_what_the_filter_lets_through(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    control(rig, events,
            BYTES("\x1a\x05\x0a\x03" /* allow "a.*" */
                  "a.*"));
    control(rig, events, SAMPLING_HALF);
    int a = 0;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(report(rig, "b.x", NULL), 0);
        a += report(rig, "a.x", NULL);
    }
    assert_int_equal(a, 10);
    call_free(events);
    rig_close(rig);
}

static void the_events_of_a_span_have_the_same_listeners(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    control(rig, events, SAMPLING_HALF);
    int starts = 0, stops = 0;
    for (int i = 0; i < 30; i++) {
        uint32_t span = 0;
        int started = report(rig, "s.start", &span);
        assert_int_not_equal(span, 0);
        if (i % 3 == 0) {
            (void)report(rig, "between", NULL); /* moves what comes next */
        }
        int stopped = report(rig, "s.stop", &span);
        assert_int_equal(started, stopped);
        starts += started;
        stops += stopped;
    }
    assert_true(starts > 0 && starts < 30 && starts == stops);
    call_free(events);
    rig_close(rig);
}

static void wishes_that_say_too_much_are_not_obeyed(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    struct sp_buffer wish;
    sp__buf_init(&wish, SIZE_MAX);
    assert_int_equal(sp__buf_append(&wish, "\x1a\xc3\x01", 3, NULL), 0);
    for (int i = 0; i < 65; i++) {
        assert_int_equal(sp__buf_append(&wish, "\x12\x01*", 3, NULL), 0);
    }
    control(rig, events, (sp_bytes){wish.data, wish.size});
    assert_int_equal(report(rig, "a", NULL), 1);
    for (int i = 0; i < 20; i++) { /* more rates than are kept: the last ones count */
        control(rig, events,
                BYTES("\x12\x0c\x09\x00\x00\x00\x00\x00\x00\x00\x00\x12\x01"
                      "a"));
    }
    assert_int_equal(report(rig, "a", NULL), 0);
    sp__buf_fini(&wish);
    call_free(events);
    rig_close(rig);
}

static void nothing_is_made_for_nobody(void **state)
{
    struct rig *rig = rig_open(NULL);
    const sp_emission event = {.size = sizeof event,
                               .name = "a",
                               .measurements = sp_text("this is not even JSON")};
    assert_int_equal(sp_worker_listens(rig->worker), 0);
    assert_int_equal(sp_worker_listens(NULL), 0);
    assert_int_equal(sp_worker_emit(rig->worker, &event, NULL), 0);
    assert_int_equal(sp_worker_events_dropped(rig->worker), 0);
    struct peer_call *events = open_telemetry(rig);
    assert_true(sp_worker_listens(rig->worker) > 0);
    control(rig, events, TOGGLE_OFF);
    assert_int_equal(sp_worker_listens(rig->worker), 0);
    control(rig, events, TOGGLE_ON);
    assert_int_equal(sp_worker_emit(rig->worker, &event, NULL), SP_ERR_BAD_JSON);
    call_free(events);
    rig_close(rig);
}

/* What the worker said of a name holds until a wish changes, of either listener. */
static void a_name_is_wanted_or_not(void **state)
{
    static const char long_name[] =
        "x.of.a.name.that.is.longer.than.those.that.are.kept";
    struct rig *rig = rig_open(NULL);
    sp_worker *w = rig->worker;
    assert_false(sp_worker_wants(NULL, "a.x") || sp_worker_wants(w, "a.x"));
    struct peer_call *events = open_telemetry(rig);
    assert_true(sp_worker_wants(w, "a.x") && sp_worker_wants(w, long_name));
    assert_false(sp_worker_wants(w, NULL));
    control(rig, events,
            BYTES("\x1a\x05\x0a\x03"
                  "a.*"));
    int stamp = sp_worker_listens(w);
    for (int round = 0; round < 2; round++) { /* the second one is remembered */
        assert_true(sp_worker_wants(w, "a.x"));
        assert_false(sp_worker_wants(w, "b.x") || sp_worker_wants(w, long_name));
    }
    assert_int_equal(sp_worker_listens(w), stamp);
    for (int i = 0; i < 1000; i++) { /* more than are remembered */
        char name[16];
        (void)snprintf(name, sizeof name, "%c.%d", i % 2 == 0 ? 'a' : 'b', i);
        assert_int_equal(sp_worker_wants(w, name), i % 2 == 0);
    }
    struct peer_call *other = open_telemetry(rig);
    assert_true(sp_worker_wants(w, "b.x"));
    sp__h2_reset(other->stream, 8);
    settle(rig);
    assert_false(sp_worker_wants(w, "b.x"));
    assert_true(sp_worker_listens(w) != stamp);
    /* Not even read when nobody wants it. */
    const sp_emission event = {
        .size = sizeof event, .name = "b.x", .metadata = sp_text("no JSON")};
    assert_int_equal(sp_worker_emit(w, &event, NULL), 0);
    call_free(other);
    call_free(events);
    rig_close(rig);
}

static void malformed_events_are_refused(void **state)
{
    static char large[33 * 1024];
    static char long_name[257];
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    memset(large, ' ', sizeof large);
    memset(long_name, 'x', sizeof long_name - 1);
    const struct {
        sp_emission event;
        int rc;
    } rows[] = {
        {{.size = 8, .name = "a"}, SP_ERR_INVAL},
        {{.size = sizeof(sp_emission)}, SP_ERR_INVAL},
        {{.size = sizeof(sp_emission), .name = ""}, SP_ERR_INVAL},
        {{.size = sizeof(sp_emission), .name = long_name}, SP_ERR_INVAL},
        {{.size = sizeof(sp_emission), .name = "\xff"}, SP_ERR_INVAL},
        {{.size = sizeof(sp_emission), .name = "a", .metadata = sp_text("[1]")},
         SP_ERR_BAD_JSON},
        {{.size = sizeof(sp_emission), .name = "a", .metadata = sp_text("{\"a\":")},
         SP_ERR_BAD_JSON},
        {{.size = sizeof(sp_emission), .name = "a", .metadata = {large, sizeof large}},
         SP_ERR_TOO_BIG},
    };
    assert_int_equal(sp_worker_emit(rig->worker, NULL, NULL), SP_ERR_INVAL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(sp_worker_emit(rig->worker, &rows[i].event, NULL), rows[i].rc);
    }
    assert_int_equal(events->messages, 0);
    call_free(events);
    rig_close(rig);
}

static void more_members_than_are_kept_are_left_out(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    struct sp_buffer object;
    sp__buf_init(&object, SIZE_MAX);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(
            sp__buf_printf(&object, NULL, "%c\"k%d\":%d", i == 0 ? '{' : ',', i, i), 0);
    }
    assert_int_equal(sp__buf_append(&object, "}", 1, NULL), 0);
    const sp_bytes json = {object.data, object.size};
    const sp_emission many = {
        .size = sizeof many, .name = "a", .measurements = json, .metadata = json};
    assert_int_equal(sp_worker_emit(rig->worker, &many, NULL), 1);
    PEER_UNTIL(rig->peer, events->messages == 1);
    Event *event = last_event(events);
    assert_int_equal(event->n_measurements, 32);
    assert_int_equal(event->n_metadata, 32);
    event_free(event);
    sp__buf_fini(&object);
    call_free(events);
    rig_close(rig);
}

static void reported_events_that_nobody_reads_are_counted(void **state)
{
    enum { MANY = 100000 };
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    sp__h2_hold(events->stream);
    int i = 0;
    while (i < MANY && report(rig, "a.name.of.some.length", NULL) == 1) {
        i++;
        if (i % 100 == 0) {
            settle(rig);
        }
    }
    assert_true(i < MANY);
    assert_int_equal(sp_worker_events_dropped(rig->worker), 1);
    call_free(events);
    rig_close(rig);
}

static void reports_survive_lack_of_memory(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *events = open_telemetry(rig);
    const sp_emission event = {.size = sizeof event,
                               .name = "a.b",
                               .measurements = sp_text("{\"x\":1}"),
                               .metadata = sp_text("{\"y\":\"z\"}")};
    static char text[3000];
    memset(text, 'x', sizeof text - 1);
    memcpy(text, "{\"y\":\"", 6);
    memcpy(text + sizeof text - 3, "\"}", 2);
    sp_emission large = event; /* only that has texts with memory of their own */
    large.metadata = sp_text(text);
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp_worker_emit(rig->worker, &large, NULL), SP_ERR_NOMEM);
    sp__mem_fail_at(1, 0); /* the message itself: lost, and counted */
    assert_int_equal(sp_worker_emit(rig->worker, &event, NULL), 0);
    sp__mem_fail_at(0, 0);
    assert_int_equal(sp_worker_events_dropped(rig->worker), 1);
    assert_int_equal(sp_worker_emit(rig->worker, &event, NULL), 1);
    PEER_UNTIL(rig->peer, events->messages == 1);
    call_free(events);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(telemetry_tells_the_start_and_the_end_of_each_job),
        TEST(telemetry_obeys_its_controls),
        TEST(telemetry_that_nobody_reads_is_dropped_and_counted),
        TEST(only_so_many_may_listen_to_telemetry),
        TEST(reported_events_have_figures_and_facts),
        TEST(events_of_a_job_say_what_they_are_of),
        TEST(a_filter_lets_through_what_it_names),
        TEST(rates_thin_the_events_that_they_name),
        TEST(a_rate_counts_what_the_filter_lets_through),
        TEST(the_events_of_a_span_have_the_same_listeners),
        TEST(wishes_that_say_too_much_are_not_obeyed),
        TEST(nothing_is_made_for_nobody),
        TEST(a_name_is_wanted_or_not),
        TEST(malformed_events_are_refused),
        TEST(more_members_than_are_kept_are_left_out),
        TEST(reported_events_that_nobody_reads_are_counted),
        TEST(reports_survive_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
