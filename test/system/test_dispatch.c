/* SPDX-License-Identifier: MIT */
/* Callbacks and the descriptor: a program with a loop of its own. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pits.h"

enum { CALLS_MAX = 64 };

static struct {
    unsigned ended;
    unsigned failed;
    int codes[CALLS_MAX];
    sp_id ids[CALLS_MAX];
    char json[CALLS_MAX][32];
    unsigned chunks;
    uint64_t next_index;
    unsigned stop_after; /* 0: never */
    unsigned started_inside;
    sp_pit *pit;
} told;

static void on_reply(const sp_reply *reply, void *user_data)
{
    size_t i = (size_t)(uintptr_t)user_data;
    assert_true((reply->error == NULL) || (reply->result == NULL));
    told.ids[i] = reply->call;
    told.codes[i] = reply->error != NULL ? reply->error->code : 0;
    told.failed += reply->error != NULL;
    if (reply->result != NULL) {
        (void)snprintf(told.json[i], sizeof told.json[i], "%s", reply->result->json);
    }
    told.ended++;
}

static int on_chunk(const sp_chunk *chunk, void *user_data)
{
    assert_int_equal(chunk->index, told.next_index);
    told.next_index++;
    told.chunks++;
    return told.stop_after != 0 && told.chunks >= told.stop_after;
}

static void begin(void)
{
    memset(&told, 0, sizeof told);
}

static sp_id start(sp_pit *pit, size_t i, const char *tool, const char *args)
{
    sp_id id = 0;
    if (sp_call_start(pit, tool, sp_text(args), NULL, on_reply, (void *)(uintptr_t)i,
                      &id, last_error()) < 0) {
        fail_msg("%s: %s", tool, last_error()->message);
    }
    return id;
}

/* A program's loop: sleep in poll() on the descriptor alone, then dispatch. */
static void loop_until(sp_pit *pit, unsigned ended)
{
    uint64_t end_ms = leak_now_ms() + patience_ms(20000);
    while (told.ended < ended) {
        struct pollfd ready = {.fd = sp_pit_fd(pit), .events = POLLIN};
        if (leak_now_ms() > end_ms) {
            fail_msg("%u of %u calls ended", told.ended, ended);
        }
        if (poll(&ready, 1, 1000) == 1) {
            assert_true(sp_pit_dispatch(pit, 0, last_error()) >= 0);
        }
    }
}

static void replies_come_through_the_descriptor(void **state)
{
    char args[32];
    sp_id ids[CALLS_MAX];
    sp_pit *pit = pit_of_probes(2);
    begin();
    for (size_t i = 0; i < CALLS_MAX; i++) {
        (void)snprintf(args, sizeof args, "[%zu,100]", i);
        ids[i] = start(pit, i, "add", args);
    }
    loop_until(pit, CALLS_MAX);
    for (size_t i = 0; i < CALLS_MAX; i++) {
        assert_int_equal(strtoul(told.json[i], NULL, 10), 100 + i);
        assert_int_equal(told.ids[i], ids[i]);
    }
    assert_int_equal(told.failed, 0);
    assert_int_equal(sp_pit_dispatch(pit, 0, NULL), 0);
}

static void failures_come_the_same_way(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    begin();
    (void)start(pit, 0, "fail", "");
    (void)start(pit, 1, "end", "[3]");
    loop_until(pit, 2);
    assert_int_equal(told.codes[0], SP_ERR_REMOTE);
    assert_int_equal(told.codes[1], SP_ERR_WORKER_DIED);
}

static void what_is_refused_at_once_has_no_callback(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    begin();
    assert_int_equal(sp_call_start(pit, "ecko", sp_text(""), NULL, on_reply, NULL, NULL,
                                   last_error()),
                     SP_ERR_NO_TOOL);
    assert_int_equal(sp_call_start(pit, "echo", sp_text("{"), NULL, on_reply, NULL,
                                   NULL, last_error()),
                     SP_ERR_BAD_JSON);
    (void)start(pit, 0, "add", "[1]");
    loop_until(pit, 1);
    assert_int_equal(told.failed, 0);
}

static void a_dispatched_call_cannot_be_waited_for(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    begin();
    sp_id id = start(pit, 0, "add", "[1]");
    call_wait_fails(pit, id, SP_ERR_NOT_FOUND);
    loop_until(pit, 1);
}

static void a_dispatched_call_is_cancelled_by_its_id(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    begin();
    sp_id id = start(pit, 0, "hold", hold_args("h", args, sizeof args));
    hold_await("h");
    assert_int_equal(sp_call_cancel(pit, id, NULL), 0);
    loop_until(pit, 1);
    assert_int_equal(told.codes[0], SP_ERR_CANCELLED);
}

static void start_another(const sp_reply *reply, void *user_data)
{
    assert_null(reply->error);
    told.ended++;
    if (told.started_inside < 20) {
        told.started_inside++;
        assert_int_equal(sp_call_start(told.pit, "add", sp_text("[1]"), NULL,
                                       start_another, NULL, NULL, NULL),
                         0);
    }
}

static void a_callback_may_start_calls(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    begin();
    told.pit = pit;
    assert_int_equal(sp_call_start(pit, "add", sp_text("[1]"), NULL, start_another,
                                   NULL, NULL, NULL),
                     0);
    loop_until(pit, 21);
}

/* ---- streams ---- */

static sp_id start_stream(sp_pit *pit, const char *tool, const char *args)
{
    sp_id id = 0;
    if (sp_stream_start(pit, tool, sp_text(args), NULL, on_chunk, on_reply, NULL, &id,
                        last_error()) < 0) {
        fail_msg("%s: %s", tool, last_error()->message);
    }
    return id;
}

static void a_streams_chunks_come_before_its_end(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    begin();
    (void)start_stream(pit, "numbers", "{\"count\":20000}");
    loop_until(pit, 1);
    assert_int_equal(told.chunks, 20000);
    assert_int_equal(told.codes[0], 0);
}

static void a_broken_stream_ends_with_its_error(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    begin();
    (void)start_stream(pit, "breaking", "{\"count\":7}");
    loop_until(pit, 1);
    assert_int_equal(told.chunks, 7);
    assert_int_equal(told.codes[0], SP_ERR_REMOTE);
}

static void a_chunk_callback_stops_the_stream(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    begin();
    told.stop_after = 5;
    (void)snprintf(args, sizeof args,
                   "{\"path\":\"%s\",\"count\":100000000,\"size\":100}",
                   leak_path("s"));
    (void)start_stream(pit, "counted", args);
    loop_until(pit, 1);
    assert_int_equal(told.chunks, 5); /* none after it said stop */
    assert_true(told.codes[0] == SP_ERR_CANCELLED ||
                told.codes[0] == SP_ERR_STOPPED_BY_CALLBACK);
    UNTIL(file_exists(leak_path("s.closed")));
}

static void several_streams_share_one_descriptor(void **state)
{
    static unsigned chunks[3];
    sp_pit *pit = pit_of_probes(3);
    begin();
    memset(chunks, 0, sizeof chunks);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sp_stream_start(pit, "numbers", sp_text("{\"count\":1000}"),
                                         NULL, on_chunk, on_reply, NULL, NULL, NULL),
                         0);
        loop_until(pit, (unsigned)i + 1);
        told.next_index = 0;
    }
    assert_int_equal(told.chunks, 3000);
    assert_int_equal(sp_stream_start(pit, "numbers", sp_text("[1]"), NULL, NULL,
                                     on_reply, NULL, NULL, NULL),
                     SP_ERR_INVAL);
    assert_int_equal(sp_stream_start(pit, "numbers", sp_text("[1]"), NULL, on_chunk,
                                     NULL, NULL, NULL, NULL),
                     SP_ERR_INVAL);
}

/* ---- events and the end ---- */

static void events_come_through_the_same_descriptor(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    sp_pit *pit = pit_open(&pool, 1);
    uint64_t end_ms = leak_now_ms() + patience_ms(20000);
    while (event_count(SP_EVENT_POOL_READY) == 0 && leak_now_ms() < end_ms) {
        struct pollfd ready = {.fd = sp_pit_fd(pit), .events = POLLIN};
        if (poll(&ready, 1, 1000) == 1) {
            assert_true(sp_pit_dispatch(pit, 0, NULL) >= 1);
        }
    }
    assert_int_equal(event_count(SP_EVENT_WORKER_READY), 1);
    assert_int_equal(event_count(SP_EVENT_POOL_READY), 1);
}

static void *delete_a_session(void *arg)
{
    (void)poll(NULL, 0,
               50); /* meanwhile the other one sleeps; if not, nothing is lost */
    (void)sp_session_delete(sp_pit_sessions(arg), "s", NULL);
    return NULL;
}

/* Who dispatches may be the one that drives the loop, and then looks at no descriptor. */
static void an_event_of_another_thread_ends_the_wait(void **state)
{
    enum { HOUR_MS = 3600000 };
    sp_pool_options pool = pool_of_probes(1);
    pool.health_interval_ms = SP_UNLIMITED;
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .sample_interval_ms = HOUR_MS,
                              .on_event = event_record};
    sp_pit *pit = NULL;
    pthread_t thread;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), 0);
    pit_adopt(pit);
    assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), 0);
    while (sp_pit_dispatch(pit, 0, NULL) > 0) {
    }
    assert_true(sp_session_create(sp_pit_sessions(pit), "s", NULL, NULL) >= 0);
    call_gives(pit, "add", "[1]", "2"); /* this thread has driven it, and will again */
    assert_int_equal(pthread_create(&thread, NULL, delete_a_session, pit), 0);
    assert_int_equal(sp_pit_dispatch(pit, patience_ms(5000), last_error()), 1);
    assert_int_equal(event_count(SP_EVENT_SESSION_DELETED), 1);
    (void)pthread_join(thread, NULL);
}

static void without_an_event_callback_nobody_is_woken(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    sp_pit *pit = NULL;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), 0);
    pit_adopt(pit);
    assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), 0);
    struct pollfd ready = {.fd = sp_pit_fd(pit), .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 0), 0);
    assert_int_equal(sp_pit_dispatch(pit, 1, NULL), 0);
}

static void dispatching_waits_no_longer_than_told(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    (void)event_await(pit, SP_EVENT_POOL_READY, 1);
    begin();
    while (sp_pit_dispatch(pit, 0, NULL) > 0) {
    }
    assert_int_equal(sp_pit_dispatch(pit, 5, NULL), 0);
    assert_int_equal(sp_pit_dispatch(NULL, 0, NULL), SP_ERR_INVAL);
    assert_int_equal(sp_pit_fd(NULL), -1);
}

static void closing_runs_the_callbacks_that_are_due(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    begin();
    (void)start(pit, 0, "hold", hold_args("h", args, sizeof args));
    hold_await("h");
    for (size_t i = 1; i < 5; i++) {
        (void)start(pit, i, "add", "[1]");
    }
    (void)sp_stream_start(pit, "numbers", sp_text("[5]"), NULL, on_chunk, on_reply,
                          (void *)(uintptr_t)5, NULL, NULL);
    pit_close(pit);
    assert_int_equal(told.ended, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(told.codes[i], SP_ERR_CLOSED);
    }
}

static void closing_tells_that_every_worker_stopped(void **state)
{
    sp_pit *pit = pit_of_probes(3);
    call_gives(pit, "add", "[1]", "2");
    pit_close(pit);
    assert_int_equal(event_count(SP_EVENT_WORKER_STOPPED), 3);
    assert_int_equal(event_count(SP_EVENT_WORKER_DIED), 0);
}

static void closing_with_a_stream_half_read_is_clean(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    begin();
    (void)snprintf(args, sizeof args,
                   "{\"path\":\"%s\",\"count\":100000000,\"size\":100}",
                   leak_path("s"));
    (void)start_stream(pit, "counted", args);
    uint64_t end_ms = leak_now_ms() + patience_ms(20000);
    while (told.chunks < 10 && leak_now_ms() < end_ms) {
        (void)sp_pit_dispatch(pit, 100, NULL);
    }
    pit_close(pit);
    assert_int_equal(told.ended, 1);
    assert_int_equal(told.codes[0], SP_ERR_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(replies_come_through_the_descriptor),
        TEST(failures_come_the_same_way),
        TEST(what_is_refused_at_once_has_no_callback),
        TEST(a_dispatched_call_cannot_be_waited_for),
        TEST(a_dispatched_call_is_cancelled_by_its_id),
        TEST(a_callback_may_start_calls),
        TEST(a_streams_chunks_come_before_its_end),
        TEST(a_broken_stream_ends_with_its_error),
        TEST(a_chunk_callback_stops_the_stream),
        TEST(several_streams_share_one_descriptor),
        TEST(events_come_through_the_same_descriptor),
        TEST(an_event_of_another_thread_ends_the_wait),
        TEST(without_an_event_callback_nobody_is_woken),
        TEST(dispatching_waits_no_longer_than_told),
        TEST(closing_runs_the_callbacks_that_are_due),
        TEST(closing_tells_that_every_worker_stopped),
        TEST(closing_with_a_stream_half_read_is_clean),
    };
    return RUN_SYSTEM_TESTS("dispatch", tests);
}
