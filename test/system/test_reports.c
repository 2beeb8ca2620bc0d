/* SPDX-License-Identifier: MIT */
/* Reports: of the program's own pit and, over its socket, of a daemon's; one that does
 * not exist, options that are none, and a pit that ends while it is asked. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "pits.h"

static char text[64 * 1024];
static int seen;

static void take(sp_bytes json, void *user_data)
{
    assert_true(json.size < sizeof text);
    memcpy(text, json.data, json.size);
    text[json.size] = '\0';
    seen += *(int *)user_data;
}

static sp_daemon *serve(sp_pit *pit)
{
    char address[512];
    sp_daemon *daemon;
    (void)snprintf(address, sizeof address, "unix:%s", leak_path("serve/pit.sock"));
    assert_int_equal(sp_pit_listen(pit, address, NULL, last_error()), 0);
    assert_int_equal(sp_daemon_connect(address, 0, &daemon, last_error()), 0);
    return daemon;
}

static void a_pit_says_how_it_is(void **state)
{
    int one = 1;
    sp_pit *pit = pit_of_probes(2);
    call_gives(pit, "add", "{\"a\":1,\"b\":2}", "3");
    assert_int_equal(sp_pit_report(pit, "status", NULL, take, &one, last_error()), 0);
    assert_int_equal(seen, 1);
    assert_has(text, "{\"version\":1,");
    assert_has(text, "\"state\":\"running\"");
    assert_has(text, "\"name\":\"default\"");
    assert_int_equal(json_number(text, "workers"), 2);
    assert_int_equal(json_number(text, "requests"), 1);
}

static void a_daemon_says_the_same(void **state)
{
    int one = 1;
    sp_pit *pit = pit_of_probes(1);
    sp_daemon *daemon = serve(pit);
    call_gives(pit, "add", "{\"a\":1,\"b\":2}", "3");
    for (int i = 1; i <= 3; i++) {
        seen = 0;
        assert_int_equal(
            sp_daemon_report(daemon, "status", " {} ", take, &one, last_error()), 0);
        assert_int_equal(seen, 1);
        assert_int_equal(json_number(text, "requests"), 1);
    }
    sp_daemon_close(daemon);
}

/* With several loops too, each of which counts what its own workers have done. */
static void metrics_are_those_of_all_loops(void **state)
{
    int one = 1;
    sp_pit *pit = pit_of_probes(3);
    for (int i = 0; i < 30; i++) {
        call_gives(pit, "add", "{\"a\":1,\"b\":2}", "3");
    }
    assert_int_equal(sp_pit_report(pit, "metrics", NULL, take, &one, last_error()), 0);
    assert_has(
        text,
        "snakepit_calls_total{pool=\"default\",tool=\"add\",code=\"SP-OK\"} 30\n");
    assert_has(text, "snakepit_queue_wait_seconds_count{pool=\"default\"} 30\n");
    assert_has(text,
               "snakepit_worker_start_seconds_count{pool=\"default\",phase=\"total\"} "
               "3\n");
    assert_has(text,
               "snakepit_worker_start_seconds_count{pool=\"default\",phase=\"spawn\"} "
               "3\n");
    assert_has(text, "snakepit_pool_workers{pool=\"default\",state=\"ready\"} 3\n");
    assert_int_equal(sp_pit_report(pit, "metrics", "{\"format\":\"text\"}", take, &one,
                                   last_error()),
                     SP_ERR_INVAL);
    assert_has(last_error()->message, "prometheus, openmetrics or json");
}

static sem_t gate;

static void wait_at_gate(const sp_event *event, void *user_data)
{
    (void)event;
    (void)user_data;
    while (sem_wait(&gate) != 0) {
    }
    (void)sem_post(&gate);
}

static void events_that_nobody_was_quick_enough_for_are_a_metric(void **state)
{
    int one = 1;
    uint64_t id;
    char line[80];
    sp_events_stats stats = {.size = sizeof stats};
    sp_pit *pit = pit_of_probes(1);
    assert_int_equal(sem_init(&gate, 0, 0), 0);
    assert_int_equal(sp_events_attach(pit, "", wait_at_gate, NULL, &id, last_error()),
                     0);
    while (stats.dropped == 0) {
        call_gives(pit, "add", "{\"a\":1,\"b\":2}", "3");
        assert_int_equal(sp_events_stats_get(pit, id, &stats, last_error()), 0);
    }
    (void)sem_post(&gate);
    assert_int_equal(sp_events_detach(pit, id, last_error()), 0);
    assert_int_equal(sp_events_stats_get(pit, 0, &stats, last_error()), 0);
    assert_int_equal(sp_pit_report(pit, "metrics", NULL, take, &one, last_error()), 0);
    (void)snprintf(line, sizeof line, "\nsnakepit_events_dropped_total %llu\n",
                   (unsigned long long)stats.dropped);
    assert_has(text, line);
    assert_has(text, "snakepit_export_dropped_total{signal=\"statsd\","
                     "reason=\"unreached\"} 0\n");
    (void)sem_destroy(&gate);
}

static sp_daemon_call *open_call(sp_daemon *daemon, const char *tool, const char *args,
                                 const sp_call_options *options)
{
    sp_daemon_call *call;
    assert_int_equal(sp_daemon_call_open(daemon, tool, sp_text(args), options, 0, &call,
                                         last_error()),
                     0);
    return call;
}

static int call_next(sp_daemon_call *call)
{
    sp_daemon_answer answer;
    return sp_daemon_call_next(call, SP_UNLIMITED, &answer, last_error());
}

static void a_daemon_is_called(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_daemon *daemon = serve(pit);
    sp_daemon_answer answer;
    sp_call_options options = {.size = sizeof options, .pool = "default"};
    sp_daemon_call *call = open_call(daemon, "add", "{\"a\":1,\"b\":2}", &options);
    assert_int_equal(sp_daemon_call_next(call, SP_UNLIMITED, &answer, last_error()), 1);
    assert_int_equal(answer.json.size, 1);
    assert_memory_equal(answer.json.data, "3", 1);
    assert_int_equal(call_next(call), 0);
    sp_daemon_call_close(call);
    call = open_call(daemon, "fail", "{\"message\":\"no\"}", NULL);
    assert_int_equal(call_next(call), SP_ERR_REMOTE);
    assert_non_null(last_error()->remote_type);
    sp_daemon_call_close(call);
    /* One that is closed before its end is cancelled. */
    char args[600];
    call = open_call(daemon, "hold", hold_args("x", args, sizeof args), NULL);
    hold_await("x");
    assert_int_equal(sp_daemon_call_next(call, 0, &answer, last_error()),
                     SP_ERR_NOT_READY);
    sp_daemon_call_close(call);
    UNTIL(stats_of(pit).cancelled == 1);
    options.affinity = SP_AFFINITY_STRICT_FAIL_FAST + 1;
    assert_int_equal(sp_daemon_call_open(daemon, "add", sp_text(""), &options, 0, &call,
                                         last_error()),
                     SP_ERR_INVAL);
    options.affinity = SP_AFFINITY_DEFAULT;
    options.binaries_count = 1;
    assert_int_equal(sp_daemon_call_open(daemon, "add", sp_text(""), &options, 0, &call,
                                         last_error()),
                     SP_ERR_INVAL);
    assert_int_equal(
        sp_daemon_call_open(daemon, "", sp_text(""), NULL, 0, &call, last_error()),
        SP_ERR_INVAL);
    sp_daemon_call_close(NULL);
    sp_daemon_close(daemon);
}

/* Of three calls, the last has the pool's times: when they are over, they would be for
 * those before it too. */
static void a_call_of_a_daemon_may_take_any_time(void **state)
{
    char args[600];
    const char *sum = "{\"a\":1,\"b\":2}";
    const sp_call_options endless = {.size = sizeof endless,
                                     .timeout_ms = SP_UNLIMITED,
                                     .queue_timeout_ms = SP_UNLIMITED};
    sp_pool_options pool = pool_of_probes(1);
    pool.call_timeout_ms = 200;
    pool.queue_timeout_ms = 200;
    sp_daemon *daemon = serve(pit_open_ready(&pool, 1));
    sp_daemon_answer answer;
    sp_daemon_call *asked = open_call(daemon, "seconds_left", "", &endless);
    assert_int_equal(sp_daemon_call_next(asked, SP_UNLIMITED, &answer, last_error()),
                     1);
    assert_memory_equal(answer.json.data, "null", 4);
    sp_daemon_call_close(asked);
    sp_daemon_call *held =
        open_call(daemon, "hold", hold_args("h", args, sizeof args), &endless);
    hold_await("h");
    sp_daemon_call *waiting = open_call(daemon, "add", sum, &endless);
    sp_daemon_call *late = open_call(daemon, "add", sum, NULL);
    assert_true(call_next(late) < 0);
    hold_release("h");
    assert_int_equal(call_next(held), 1);
    assert_int_equal(call_next(waiting), 1);
    sp_daemon_call_close(held);
    sp_daemon_call_close(waiting);
    sp_daemon_call_close(late);
    sp_daemon_close(daemon);
}

struct heard {
    uint64_t calls;
    uint64_t last; /* the number of the last event */
};

static void hear(sp_bytes json, void *user_data)
{
    struct heard *heard = user_data;
    take(json, &(int){0});
    uint64_t number = (uint64_t)json_number(text, "number");
    assert_true(number > heard->last);
    heard->last = number;
    heard->calls += strstr(text, "\"event\":\"request.executed\"") != NULL;
}

/* One who reads nothing for a while loses the oldest, and knows how many. */
static void watched_calls_are_told_or_counted(void **state)
{
    const sp_daemon_events_options options = {
        .size = sizeof options, .kinds = "request.executed", .cursor = SP_UNLIMITED};
    struct heard heard = {0};
    uint64_t lost = 0;
    uint64_t made = 0;
    uint64_t dropped;
    sp_daemon_events *events;
    sp_events_stats stats = {.size = sizeof stats};
    sp_pit *pit = pit_of_probes(1);
    sp_daemon *daemon = serve(pit);
    assert_int_equal(sp_daemon_events_open(daemon, &options, &events, last_error()), 0);
    while (stats.dropped == 0) {
        call_gives(pit, "add", "{\"a\":1,\"b\":2}", "3");
        made++;
        assert_int_equal(sp_events_stats_get(pit, 0, &stats, last_error()), 0);
    }
    while (heard.calls + lost < made) {
        assert_int_equal(sp_daemon_events_next(events, SP_UNLIMITED, hear, &heard,
                                               &dropped, last_error()),
                         1);
        lost += dropped;
    }
    assert_int_equal(heard.calls + lost, made);
    assert_true(lost > 0 && heard.calls > 0);
    assert_int_equal(
        sp_daemon_events_next(events, 0, hear, &heard, &dropped, last_error()), 0);
    assert_int_equal(dropped, 0);
    call_gives(pit, "add", "{\"a\":1,\"b\":2}", "3");
    assert_int_equal(sp_daemon_events_next(events, SP_UNLIMITED, hear, &heard, &dropped,
                                           last_error()),
                     1);
    assert_int_equal(heard.calls + lost, made + 1);
    sp_daemon_events_close(events);
    sp_daemon_close(daemon);
}

static void what_cannot_be_watched_is_refused(void **state)
{
    sp_daemon_events_options options = {.size = sizeof options, .kinds = "worker.dead"};
    sp_daemon_events *events = NULL;
    struct heard heard = {0};
    uint64_t dropped;
    sp_pit *pit = pit_of_probes(1);
    sp_daemon *daemon = serve(pit);
    assert_int_equal(sp_daemon_events_open(daemon, &options, &events, last_error()),
                     SP_ERR_INVAL);
    assert_has(last_error()->message, "worker.died");
    options.size = 1;
    assert_int_equal(sp_daemon_events_open(daemon, &options, &events, last_error()),
                     SP_ERR_INVAL);
    assert_int_equal(sp_daemon_events_open(NULL, NULL, &events, last_error()),
                     SP_ERR_INVAL);
    assert_int_equal(sp_daemon_events_open(daemon, NULL, &events, last_error()), 0);
    assert_int_equal(
        sp_daemon_events_next(events, 0, NULL, NULL, &dropped, last_error()),
        SP_ERR_INVAL);
    pit_close(pit);
    int rc;
    do { /* what there was before, then the end */
        rc = sp_daemon_events_next(events, SP_UNLIMITED, hear, &heard, &dropped,
                                   last_error());
    } while (rc == 1);
    assert_int_equal(rc, SP_ERR_CLOSED);
    assert_true(heard.last > 0);
    assert_int_equal(sp_daemon_events_next(events, 0, hear, &heard, &dropped, NULL),
                     SP_ERR_CLOSED); /* who wants no words gets none */
    sp_daemon_events_close(events);
    sp_daemon_events_close(NULL);
    sp_daemon_close(daemon);
}

/* Of a daemon that was, for one whose numbers begin again. */
static void a_cursor_from_elsewhere_hides_nothing(void **state)
{
    const sp_daemon_events_options options = {
        .size = sizeof options, .kinds = "worker.ready", .cursor = 1000000};
    sp_daemon_events *events;
    struct heard heard = {0};
    uint64_t dropped;
    sp_daemon *daemon = serve(pit_of_probes(1));
    assert_int_equal(sp_daemon_events_open(daemon, &options, &events, last_error()), 0);
    assert_int_equal(sp_daemon_events_next(events, SP_UNLIMITED, hear, &heard, &dropped,
                                           last_error()),
                     1);
    assert_true(heard.last > 0);
    sp_daemon_events_close(events);
    sp_daemon_close(daemon);
}

static unsigned hardware_kinds;
static pthread_mutex_t hardware_lock = PTHREAD_MUTEX_INITIALIZER;

static void note_hardware(const sp_event *event, void *user_data)
{
    (void)user_data;
    pthread_mutex_lock(&hardware_lock);
    hardware_kinds |= 1u << (event->kind - SP_EVENT_HARDWARE_DETECT_START);
    pthread_mutex_unlock(&hardware_lock);
}

static unsigned kinds_so_far(void)
{
    pthread_mutex_lock(&hardware_lock);
    unsigned kinds = hardware_kinds;
    pthread_mutex_unlock(&hardware_lock);
    return kinds;
}

#define HARDWARE_BIT(kind) \
    (1u << (SP_EVENT_HARDWARE_##kind - SP_EVENT_HARDWARE_DETECT_START))

static void the_hardware_is_found_and_chosen_from_and_told(void **state)
{
    int one = 1;
    uint64_t id;
    const unsigned all = HARDWARE_BIT(DETECT_START) | HARDWARE_BIT(DETECT_STOP) |
                         HARDWARE_BIT(SELECT_START) | HARDWARE_BIT(SELECT_STOP) |
                         HARDWARE_BIT(CACHE_HIT) | HARDWARE_BIT(CACHE_MISS);
    sp_pit *pit = pit_of_probes(1);
    assert_int_equal(
        sp_events_attach(pit, "hardware.", note_hardware, NULL, &id, last_error()), 0);
    assert_int_equal(
        sp_pit_report(pit, "hardware", "{\"refresh\":true}", take, &one, last_error()),
        0);
    assert_has(text, "\"capabilities\":{\"cuda\":");
    assert_has(text, "\"device\":\"cpu\"");
    assert_int_equal(sp_pit_report(pit, "hardware", "{\"select\":\"cpu\"}", take, &one,
                                   last_error()),
                     0);
    assert_has(text, "{\"version\":1,\"device\":\"cpu\"");
    UNTIL(kinds_so_far() == all);
    assert_int_equal(sp_pit_report(pit, "hardware", "{\"select\":\"tpu\"}", take, &one,
                                   last_error()),
                     SP_ERR_INVAL);
    assert_int_equal(
        sp_pit_report(pit, "hardware", "{\"select\":7}", take, &one, last_error()),
        SP_ERR_INVAL);
}

static void what_is_no_report_is_refused(void **state)
{
    static const struct {
        const char *name;
        const char *options;
        int code;
        const char *message;
    } rows[] = {
        {"statue", NULL, SP_ERR_NOT_FOUND,
         "no report \"statue\"; near matches: status"},
        {"", NULL, SP_ERR_NOT_FOUND, "no report \"\""},
        {"status", "[1]", SP_ERR_INVAL, "a JSON object, not [1]"},
        {"status", "{", SP_ERR_BAD_JSON, "line 1, column 2"},
        {"status", "{\"a\":1} x", SP_ERR_BAD_JSON, "line 1, column 9"},
        {"status", "{\"pool\":\"a\"}", SP_ERR_INVAL,
         "the report \"status\" has no option \"pool\", but: none"},
        {"inspect", "{\"pools\":\"a\"}", SP_ERR_INVAL, "but: pool"},
        {"inspect", "{\"pool\":5}", SP_ERR_INVAL, "pool is a text"},
        {"stack", "{\"workers\":1}", SP_ERR_INVAL, "but: worker"},
        {"stack", "{\"worker\":[]}", SP_ERR_INVAL, "POOL/SLOT"},
        {"timeline", "{\"calls\":0}", SP_ERR_INVAL, "calls is a number from 1 to 4096"},
        {"events", "{\"max\":-1}", SP_ERR_INVAL, "max is a number from 0 to 100000"},
        {"hardware", "{\"refresh\":1}", SP_ERR_INVAL, "refresh is true or false"},
        {"metrics", "{\"format\":\"text\"}", SP_ERR_INVAL,
         "prometheus, openmetrics or json"},
        {"metrics", "{\"format\":NaN}", SP_ERR_BAD_JSON, "the options of a report"},
    };
    sp_pit *pit = pit_of_probes(1);
    sp_daemon *daemon = serve(pit);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(
            sp_pit_report(pit, rows[i].name, rows[i].options, take, NULL, last_error()),
            rows[i].code);
        assert_has(last_error()->message, rows[i].message);
        assert_int_equal(sp_daemon_report(daemon, rows[i].name, rows[i].options, take,
                                          NULL, last_error()),
                         rows[i].code);
        assert_has(last_error()->message, rows[i].message);
    }
    assert_int_equal(sp_pit_report(pit, NULL, NULL, take, NULL, last_error()),
                     SP_ERR_INVAL);
    assert_int_equal(sp_daemon_report(NULL, "status", NULL, take, NULL, last_error()),
                     SP_ERR_INVAL);
    sp_daemon_close(daemon);
}

static void nobody_listens(void **state)
{
    char address[512];
    sp_daemon *daemon = NULL;
    (void)snprintf(address, sizeof address, "unix:%s", leak_path("nobody"));
    assert_int_equal(sp_daemon_connect(address, 0, &daemon, last_error()),
                     SP_ERR_SYSTEM);
    assert_int_equal(sp_daemon_connect("tcp:1", 0, &daemon, last_error()),
                     SP_ERR_UNSUPPORTED);
    assert_null(daemon);
    sp_daemon_close(NULL);
}

static atomic_int asked;

static void *ask_on(void *daemon)
{
    int none = 0;
    int rc;
    do {
        sp_error err = {0};
        rc = sp_daemon_report(daemon, "status", NULL, take, &none, &err);
        sp_error_clear(&err);
        atomic_fetch_add(&asked, rc == 0);
    } while (rc == 0);
    return NULL;
}

static void a_pit_may_end_while_it_is_asked(void **state)
{
    pthread_t thread;
    sp_pit *pit = pit_of_probes(1);
    sp_daemon *daemon = serve(pit);
    atomic_store(&asked, 0);
    assert_int_equal(pthread_create(&thread, NULL, ask_on, daemon), 0);
    UNTIL(atomic_load(&asked) >= 20);
    pit_close(pit);
    assert_int_equal(pthread_join(thread, NULL), 0);
    sp_daemon_close(daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pit_says_how_it_is),
        TEST(a_daemon_says_the_same),
        TEST(metrics_are_those_of_all_loops),
        TEST(a_daemon_is_called),
        TEST(a_call_of_a_daemon_may_take_any_time),
        TEST(watched_calls_are_told_or_counted),
        TEST(a_cursor_from_elsewhere_hides_nothing),
        TEST(what_cannot_be_watched_is_refused),
        TEST(events_that_nobody_was_quick_enough_for_are_a_metric),
        TEST(the_hardware_is_found_and_chosen_from_and_told),
        TEST(what_is_no_report_is_refused),
        TEST(nobody_listens),
        TEST(a_pit_may_end_while_it_is_asked),
    };
    return RUN_SYSTEM_TESTS("reports", tests);
}
