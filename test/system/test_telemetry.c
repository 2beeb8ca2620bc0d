/* SPDX-License-Identifier: MIT */
/*
 * What workers report, heard by handlers of their host: that it comes, that only what is
 * wanted is made, and that it is so for workers of every age and origin.
 *
 * What the host wants reaches a worker before the next call does, so nothing here waits
 * for it: a call's own count of who got its events is the proof.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patience.h"
#include "pits.h"

static atomic_uint heard[256]; /* by kind */
static atomic_uint heard_by_slot[8];
static atomic_uint wrong;

static double number_of(const sp_event *event, const char *name)
{
    for (size_t i = 0; i < event->measurements_count; i++) {
        if (strcmp(event->measurements[i].name, name) == 0) {
            return event->measurements[i].value;
        }
    }
    return -1;
}

static const char *text_of(const sp_event *event, const char *name)
{
    for (size_t i = 0; i < event->metadata_count; i++) {
        if (strcmp(event->metadata[i].name, name) == 0) {
            return event->metadata[i].text;
        }
    }
    return "";
}

static void note(const sp_event *event, void *user_data)
{
    if (event->slot < COUNT_OF(heard_by_slot)) {
        atomic_fetch_add(&heard_by_slot[event->slot], 1);
    }
    atomic_fetch_add(&heard[event->kind], 1);
}

static uint64_t attach(sp_pit *pit, const char *pattern, sp_event_cb handler)
{
    uint64_t id = 0;
    if (sp_events_attach(pit, pattern, handler, NULL, &id, last_error()) < 0) {
        fail_msg("attaching to %s: %s", pattern, last_error()->message);
    }
    return id;
}

static void detach(sp_pit *pit, uint64_t id)
{
    assert_int_equal(sp_events_detach(pit, id, last_error()), SP_OK);
}

static void reset(void)
{
    memset(heard, 0, sizeof heard);
    memset(heard_by_slot, 0, sizeof heard_by_slot);
    atomic_store(&wrong, 0);
}

/* Have a worker report n events of this name; how many of them somebody got. */
static int report(sp_pit *pit, const char *name, int n)
{
    char args[200];
    (void)snprintf(args, sizeof args, "{\"name\":\"%s\",\"count\":%d}", name, n);
    return (int)json_number(call(pit, "report", args, NULL)->json, "told");
}

static int is_listened_to(sp_pit *pit)
{
    return strcmp(call(pit, "listens", "{}", NULL)->json, "true") == 0;
}

/* ---- what comes ---- */

static void check_stop(const sp_event *event, void *user_data)
{
    int fits = event->kind == SP_EVENT_PYTHON_CALL_STOP &&
               strcmp(event->name, "python.call.stop") == 0 &&
               number_of(event, "duration") >= 0 && number_of(event, "count") == 1 &&
               strcmp(text_of(event, "tool"), "add") == 0 &&
               strcmp(event->session, "s7") == 0 &&
               strcmp(text_of(event, "session"), "s7") == 0 &&
               strcmp(text_of(event, "pool"), "default") == 0 &&
               strcmp(text_of(event, "worker"), "0") == 0 && event->pid > 0 &&
               event->time_unix_ns > 0;
    atomic_fetch_add(fits ? &heard[event->kind] : &wrong, 1);
}

static void calls_of_a_worker_are_heard(void **state)
{
    enum { CALLS = 20 };
    const sp_call_options in_session = {.size = sizeof in_session, .session = "s7"};
    sp_pit *pit = pit_of_probes(1);
    reset();
    uint64_t id = attach(pit, "python.call.stop", check_stop);
    for (int i = 0; i < CALLS; i++) {
        (void)call(pit, "add", "{\"a\":1}", &in_session);
    }
    UNTIL(heard[SP_EVENT_PYTHON_CALL_STOP] + wrong >= CALLS);
    assert_int_equal(wrong, 0);
    detach(pit, id);
    (void)call(pit, "add", "{\"a\":1}", &in_session);
    pit_close(pit);
    assert_int_equal(heard[SP_EVENT_PYTHON_CALL_STOP], CALLS);
}

/* Names of every kind, and the two rows that a failure has. */
static void everything_is_heard_by_who_wants_all(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    reset();
    (void)attach(pit, "", note);
    (void)call(pit, "add", "{\"a\":1}", NULL);
    (void)call_fails(pit, "fail", "{}", NULL, SP_ERR_REMOTE);
    assert_int_equal(report(pit, "model.loaded", 3), 3);
    assert_int_equal(report(pit, "error.shape_mismatch", 2), 2);
    UNTIL(heard[SP_EVENT_TOOL_EXECUTION_STOP] == 3);
    UNTIL(heard[SP_EVENT_TOOL_EXECUTION_EXCEPTION] == 1);
    UNTIL(heard[SP_EVENT_TELEMETRY] == 3);
    UNTIL(heard[SP_EVENT_ERROR_SHAPE] == 2);
    assert_int_equal(heard[SP_EVENT_PYTHON_CALL_START], 4);
    assert_int_equal(heard[SP_EVENT_PYTHON_CALL_EXCEPTION], 1);
    assert_int_equal(heard[SP_EVENT_PYTHON_ERROR], 1);
    assert_int_equal(heard[SP_EVENT_TOOL_EXECUTION_START], 4);
    assert_int_equal(heard[SP_EVENT_TOOL_RESULT_SIZE], 3);
    pit_close(pit);
}

#define TRACE "0af7651916cd43dd8448eb211c80319c"

static atomic_uint_least64_t
    call_told; /* the number of the call that was told of last */

static void check_whose(const sp_event *event, void *user_data)
{
    int fits = strcmp(text_of(event, "trace_id"), TRACE) == 0 &&
               strlen(text_of(event, "span_id")) == 16 &&
               strcmp(text_of(event, "tool"), "report") == 0 &&
               strcmp(event->session, "s7") == 0;
    atomic_store(&call_told, strtoull(text_of(event, "call"), NULL, 10));
    atomic_fetch_add(fits ? &heard[event->kind] : &wrong, 1);
}

/* Of the runtime, of the bridge and of user code: told before the answer, and behind it. */
static void an_event_says_which_call_it_is_of(void **state)
{
    static const char *const patterns[] = {"tool.execution.start",
                                           "tool.execution.stop", "python.call.stop",
                                           "worker.telemetry"};
    const sp_call_options options = {.size = sizeof options,
                                     .session = "s7",
                                     .traceparent = "00-" TRACE "-b7ad6b7169203331-01"};
    sp_pit *pit = pit_of_probes(1);
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        reset();
        uint64_t id = attach(pit, patterns[i], check_whose);
        int kind = sp_event_info_find(patterns[i])->kind;
        sp_id number = call_start(pit, "report", "{\"name\":\"own\"}", &options);
        (void)call_wait(pit, number);
        UNTIL(heard[kind] + wrong > 0);
        assert_int_equal(wrong, 0);
        assert_int_equal(call_told, number);
        detach(pit, id);
    }
    pit_close(pit);
}

/* ---- only what is wanted ---- */

static void a_worker_makes_nothing_for_nobody(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    reset();
    assert_false(is_listened_to(pit));
    uint64_t own = attach(pit, "queue.enqueued,worker.died,call.", note);
    assert_false(is_listened_to(pit)); /* no worker makes these */
    uint64_t stops = attach(pit, "python.call.stop", note);
    assert_true(is_listened_to(pit));
    assert_int_equal(report(pit, "model.loaded", 5), 0);
    assert_int_equal(report(pit, "python.gc.completed", 5), 0);
    assert_int_equal(report(pit, "python.call.stop", 5), 5);
    uint64_t others = attach(pit, "worker.telemetry", note);
    assert_int_equal(report(pit, "model.loaded", 5), 5);
    assert_int_equal(report(pit, "python.gc.completed", 5), 0);
    assert_int_equal(report(pit, "python.call.stop", 5), 5);
    detach(pit, stops);
    assert_int_equal(report(pit, "python.call.stop", 5), 0);
    assert_int_equal(report(pit, "model.loaded", 5), 5);
    UNTIL(heard[SP_EVENT_TELEMETRY] == 10);
    detach(pit, others);
    assert_false(is_listened_to(pit));
    assert_int_equal(report(pit, "model.loaded", 5), 0);
    detach(pit, own);
    pit_close(pit);
    assert_int_equal(heard[SP_EVENT_TELEMETRY], 10);
}

static void control(sp_pit *pit, const char *pool, sp_telemetry_options options)
{
    options.size = sizeof options;
    if (sp_telemetry_control(pit, pool, &options, last_error()) < 0) {
        fail_msg("control: %s", last_error()->message);
    }
}

static void the_program_says_what_is_left_out(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    reset();
    control(pit, NULL, (sp_telemetry_options){.off = 1}); /* nobody listens yet */
    (void)attach(pit, "worker.telemetry,python.call.", note);
    assert_false(is_listened_to(pit));
    control(pit, "default", (sp_telemetry_options){.allow = "model.*", .deny = "*.x"});
    assert_int_equal(report(pit, "model.loaded", 2), 2);
    assert_int_equal(report(pit, "model.x", 2), 0);
    assert_int_equal(report(pit, "cache.hit", 2), 0);
    assert_int_equal(report(pit, "python.call.stop", 2), 0);
    control(pit, "default", (sp_telemetry_options){.sample_permille = 500});
    assert_int_equal(report(pit, "cache.hit", 100), 50);
    control(pit, "default",
            (sp_telemetry_options){.sample_permille = 100, .sample = "cache.*"});
    assert_int_equal(report(pit, "cache.hit", 100), 10);
    assert_int_equal(report(pit, "model.loaded", 100), 100);
    assert_int_equal(report(pit, "python.call.start", 2), 2);
    control(pit, "default", (sp_telemetry_options){.sample_permille = SP_NONE});
    assert_false(is_listened_to(pit));
    control(pit, NULL, (sp_telemetry_options){.deny = "model.*"});
    assert_int_equal(report(pit, "cache.hit", 100), 100); /* the rate is over too */
    assert_int_equal(report(pit, "model.loaded", 2), 0);
    assert_int_equal(sp_telemetry_control(pit, NULL, NULL, last_error()), SP_OK);
    assert_int_equal(report(pit, "model.loaded", 2), 2);
    pit_close(pit);
}

static void a_worker_that_comes_later_hears_what_was_said(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    (void)attach(pit, "worker.telemetry", note);
    control(pit, NULL, (sp_telemetry_options){.sample_permille = 100});
    assert_int_equal(report(pit, "cache.hit", 100), 10);
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), SP_OK);
    (void)event_await(pit, SP_EVENT_WORKER_RECYCLED, 1);
    assert_int_equal(report(pit, "cache.hit", 100), 10);
    pit_close(pit);
}

static void a_control_that_makes_no_sense_is_refused(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_telemetry_options options = {.size = sizeof options};
    assert_int_equal(sp_telemetry_control(NULL, NULL, &options, last_error()),
                     SP_ERR_INVAL);
    assert_int_equal(sp_telemetry_control(pit, "nowhere", &options, last_error()),
                     SP_ERR_NO_POOL);
    options.sample_permille = 1001;
    assert_int_equal(sp_telemetry_control(pit, NULL, &options, last_error()),
                     SP_ERR_INVAL);
    assert_has(last_error()->message, "1001");
    options.size = 0;
    assert_int_equal(sp_telemetry_control(pit, NULL, &options, last_error()),
                     SP_ERR_INVAL);
    pit_close(pit);
}

/* ---- workers of every language ---- */

static void check_whose_report(const sp_event *event, void *user_data)
{
    int fits = strcmp(text_of(event, "event"), "model.loaded") == 0 &&
               strcmp(text_of(event, "tool"), "report") == 0 &&
               strtoull(text_of(event, "call"), NULL, 10) > 0 &&
               number_of(event, "count") == 1 &&
               strncmp(event->message, "model.loaded count=1", 20) == 0;
    atomic_fetch_add(fits ? &heard[event->kind] : &wrong, 1);
}

static void reports_are_heard_from(const char *runtime, const char *file, int is_built)
{
    char adapter[512];
    if (!is_built) {
        skip_because("the bridge for %s is not built", runtime);
    }
    sp_pool_options pool = pool_of_probes(1);
    (void)snprintf(adapter, sizeof adapter, "%s/test/system/workers/telemetry/%s",
                   TEST_SOURCE, file);
    pool.runtime = runtime;
    pool.adapter = adapter;
    sp_pit *pit = pit_open_ready(&pool, 1);
    reset();
    assert_int_equal(report(pit, "model.loaded", 3), 0);
    uint64_t stops = attach(pit, "tool.execution.stop", note);
    assert_int_equal(report(pit, "model.loaded", 3), 0);
    uint64_t others = attach(pit, "worker.telemetry", check_whose_report);
    assert_int_equal(report(pit, "model.loaded", 3), 3);
    UNTIL(heard[SP_EVENT_TELEMETRY] + wrong >= 3);
    UNTIL(heard[SP_EVENT_TOOL_EXECUTION_STOP] >= 2);
    detach(pit, others);
    detach(pit, stops);
    assert_int_equal(report(pit, "model.loaded", 3), 0);
    pit_close(pit);
    assert_int_equal(wrong, 0);
    assert_int_equal(heard[SP_EVENT_TELEMETRY], 3);
    assert_int_equal(heard[SP_EVENT_TOOL_EXECUTION_STOP], 2);
}

static void node_is_heard(void **state)
{
    reports_are_heard_from("node", "reports.js", HAS_NODE);
}

static void ruby_is_heard(void **state)
{
    reports_are_heard_from("ruby", "reports.rb", HAS_RUBY);
}

static void r_is_heard(void **state)
{
    reports_are_heard_from("r", "reports.R", HAS_R);
}

/* ---- workers of every age and origin ---- */

static void a_worker_in_the_place_of_a_dead_one_is_listened_to(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.backoff_min_ms = pool.backoff_max_ms = 1;
    sp_pit *pit = pit_open_ready(&pool, 1);
    reset();
    uint64_t id = attach(pit, "worker.telemetry", note);
    assert_int_equal(report(pit, "model.loaded", 1), 1);
    for (uint64_t started = 2; started < 5; started++) {
        assert_int_equal(kill(worker_at(pit, 0).pid, SIGKILL), 0);
        sp_pool_stats stats;
        UNTIL((stats = stats_of(pit),
               stats.workers_started == started && stats.available == 1));
        assert_int_equal(report(pit, "model.loaded", 1), 1);
    }
    UNTIL(heard[SP_EVENT_TELEMETRY] == 4);
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), SP_OK);
    (void)event_await(pit, SP_EVENT_WORKER_RECYCLED, 1);
    assert_int_equal(report(pit, "model.loaded", 1), 1);
    detach(pit, id);
    assert_false(is_listened_to(pit));
    pit_close(pit);
}

/* What it tells of its last call comes behind the answer, with which its end begins. */
static void a_worker_is_heard_to_its_end(void **state)
{
    enum { CALLS = 12 };
    sp_pool_options pool = pool_of_probes(1);
    pool.recycle_calls = 1;
    pool.recycle_surge = SP_NONE;
    sp_pit *pit = pit_open_ready(&pool, 1);
    reset();
    (void)attach(pit, "tool.execution.stop", note);
    for (int i = 0; i < CALLS; i++) {
        call_gives(pit, "add", "{\"a\":1}", "2");
    }
    UNTIL(heard[SP_EVENT_TOOL_EXECUTION_STOP] == CALLS);
    pit_close(pit);
}

static void forked_workers_are_listened_to(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.zygote = SP_ZYGOTE_ON;
    sp_pit *pit = pit_open(&pool, 1);
    reset();
    (void)attach(pit, "worker.telemetry", note); /* before there is one */
    assert_int_equal(sp_pit_await_ready(pit, 0, last_error()), SP_OK);
    assert_int_equal(report(pit, "model.loaded", 2), 2);
    UNTIL(heard[SP_EVENT_TELEMETRY] == 2);
    pit_close(pit);
}

/* Workers of a pit with several loops, each of which listens to its own. */
static void workers_of_every_loop_are_listened_to(void **state)
{
    enum { WORKERS = 4 };
    static const char *const names[WORKERS] = {"a", "b", "c", "d"};
    sp_pool_options pool = pool_of_probes(WORKERS);
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .on_event = event_record,
                              .loops = 2};
    sp_pit *pit = pit_open_ready_as(&options);
    reset();
    uint64_t id = attach(pit, "tool.execution.stop", note);
    sp_id calls[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        calls[i] = hold_start(pit, names[i], NULL); /* each has a worker to itself */
    }
    for (int i = 0; i < WORKERS; i++) {
        hold_release(names[i]);
        (void)call_wait(pit, calls[i]);
    }
    UNTIL(heard[SP_EVENT_TOOL_EXECUTION_STOP] == WORKERS);
    for (uint32_t slot = 0; slot < WORKERS; slot++) {
        assert_int_equal(heard_by_slot[slot], 1);
    }
    detach(pit, id);
    pit_close(pit);
}

/* ---- a flood ---- */

/* One worker reports without end, another one has calls meanwhile. Nothing waits for the
 * handler, and every event is somewhere: told, lost by the handler, or dropped there. */
static void a_flood_stops_no_call(void **state)
{
    enum { FLOOD = 30000, SIZE = 200, CALLS = 200 };
    char args[200];
    sp_pit *pit = pit_of_probes(2);
    reset();
    uint64_t id = attach(pit, "worker.telemetry", note);
    (void)snprintf(args, sizeof args, "{\"name\":\"flood\",\"count\":%d,\"size\":%d}",
                   FLOOD, SIZE);
    sp_id flood = call_start(pit, "report", args, NULL);
    for (int i = 0; i < CALLS; i++) {
        call_gives(pit, "add", "{\"a\":1}", "2");
    }
    const char *outcome = call_wait(pit, flood)->json;
    uint64_t got = (uint64_t)json_number(outcome, "told");
    assert_true(got > 0);
    assert_int_equal(got + (uint64_t)json_number(outcome, "lost"), FLOOD);
    sp_events_stats stats = {.size = sizeof stats};
    UNTIL((sp_events_stats_get(pit, id, &stats, NULL),
           stats.delivered + stats.dropped >= got));
    assert_int_equal(stats.delivered + stats.dropped, got);
    pit_close(pit);
}

/* The same from a thread beside the calls of the very worker, which goes on until it is
 * told that nobody listens any more. */
static void a_flood_stops_no_call_of_its_worker(void **state)
{
    enum { CALLS = 50 };
    sp_pit *pit = pit_of_probes(1);
    reset();
    uint64_t id = attach(pit, "worker.telemetry", note);
    (void)call(pit, "report_on", "{\"name\":\"flood\"}", NULL);
    UNTIL(heard[SP_EVENT_TELEMETRY] > 0);
    for (int i = 0; i < CALLS; i++) {
        call_gives(pit, "add", "{\"a\":1}", "2");
    }
    detach(pit, id);
    unsigned last = heard[SP_EVENT_TELEMETRY];
    const char *outcome = call(pit, "reported", "{}", NULL)->json;
    assert_true(json_number(outcome, "told") >= last);
    assert_false(is_listened_to(pit));
    assert_int_equal(heard[SP_EVENT_TELEMETRY], last);
    pit_close(pit);
}

/* A worker that is ended in the middle of it leaves nothing, and the next one is heard. */
static void a_worker_is_killed_while_it_floods(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.backoff_min_ms = pool.backoff_max_ms = 1;
    sp_pit *pit = pit_open_ready(&pool, 1);
    reset();
    (void)attach(pit, "worker.telemetry", note);
    for (uint64_t started = 2; started < 5; started++) {
        unsigned before = heard[SP_EVENT_TELEMETRY];
        (void)call(pit, "report_on", "{\"name\":\"flood\"}", NULL);
        UNTIL(heard[SP_EVENT_TELEMETRY] > before);
        assert_int_equal(kill(worker_at(pit, 0).pid, SIGKILL), 0);
        sp_pool_stats stats;
        UNTIL((stats = stats_of(pit),
               stats.workers_started == started && stats.available == 1));
    }
    (void)call(pit, "report_on", "{\"name\":\"flood\"}", NULL);
    pit_close(pit); /* it floods still */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_of_a_worker_are_heard),
        TEST(everything_is_heard_by_who_wants_all),
        TEST(an_event_says_which_call_it_is_of),
        TEST(a_worker_makes_nothing_for_nobody),
        TEST(the_program_says_what_is_left_out),
        TEST(a_worker_that_comes_later_hears_what_was_said),
        TEST(a_control_that_makes_no_sense_is_refused),
        TEST(a_worker_in_the_place_of_a_dead_one_is_listened_to),
        TEST(a_worker_is_heard_to_its_end),
        TEST(forked_workers_are_listened_to),
        TEST(workers_of_every_loop_are_listened_to),
        TEST(node_is_heard),
        TEST(ruby_is_heard),
        TEST(r_is_heard),
        TEST(a_flood_stops_no_call),
        TEST(a_flood_stops_no_call_of_its_worker),
        TEST(a_worker_is_killed_while_it_floods),
    };
    return RUN_SYSTEM_TESTS("telemetry", tests);
}
