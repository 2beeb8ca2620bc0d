/* SPDX-License-Identifier: MIT */
/* Sessions: the id reaches Python, and calls of one session find what it left. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pits.h"

static const char *in_session(sp_pit *pit, const char *session, const char *tool,
                              const char *args)
{
    sp_call_options options = {.size = sizeof options, .session = session};
    return call(pit, tool, args, &options)->json;
}

static void the_sessions_id_reaches_python(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    assert_has(in_session(pit, "user-17", "where", ""), "\"session\":\"user-17\"");
    assert_has(in_session(pit, "\xc3\xa4 b/c", "where", ""), "\xc3\xa4 b/c");
    assert_has(call(pit, "where", "", NULL)->json, "\"session\":\"\"");
}

static void a_call_in_a_session_is_the_same_with_a_name(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_result result = {0};
    sp_call_options other = {.size = sizeof other, .session = "from the options"};
    assert_int_equal(sp_execute_in_session(pit, "s1", "where", sp_text(""), &other,
                                           &result, last_error()),
                     0);
    assert_has(result.json, "\"session\":\"s1\"");
    sp_result_clear(&result);
    assert_int_equal(
        sp_execute_in_session(pit, NULL, "where", sp_text(""), NULL, &result, NULL),
        SP_ERR_INVAL);
    assert_int_equal(
        sp_execute_in_session(pit, "", "where", sp_text(""), NULL, &result, NULL),
        SP_ERR_INVAL);
    char name[257];
    memset(name, 's', 256);
    name[256] = '\0';
    assert_int_equal(
        sp_execute_in_session(pit, name, "where", sp_text(""), NULL, &result, NULL),
        SP_ERR_INVAL);
    name[255] = '\0';
    assert_int_equal(
        sp_execute_in_session(pit, name, "where", sp_text(""), NULL, &result, NULL), 0);
    sp_result_clear(&result);
}

static void a_session_finds_what_it_left_in_its_worker(void **state)
{
    sp_pool_options pool = pool_of_showcases(4);
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)in_session(pit, "alice", "set_counter", "{\"value\":5}");
    for (int i = 6; i < 30; i++) {
        (void)in_session(pit, "bob", "increment_counter", "");
        assert_int_equal(
            json_number(in_session(pit, "alice", "increment_counter", ""), "value"), i);
        (void)call(pit, "ping", "", NULL);
    }
    assert_int_equal(json_number(in_session(pit, "alice", "get_counter", ""), "value"),
                     29);
    assert_int_equal(json_number(in_session(pit, "bob", "get_counter", ""), "value"),
                     24);
}

static int note_pid(const sp_chunk *chunk, void *user_data)
{
    *(uint64_t *)user_data += 1;
    return 0;
}

static void a_stream_in_a_session_goes_to_the_sessions_worker(void **state)
{
    sp_pit *pit = pit_of_probes(4);
    uint64_t chunks = 0;
    long long pid = json_number(in_session(pit, "s", "where", ""), "pid");
    assert_int_equal(sp_execute_in_session_stream(pit, "s", "numbers",
                                                  sp_text("{\"count\":10}"), NULL,
                                                  note_pid, &chunks, last_error()),
                     0);
    assert_int_equal(chunks, 10);
    assert_int_equal(json_number(in_session(pit, "s", "where", ""), "pid"), pid);
    for (uint32_t slot = 0; slot < 4; slot++) {
        sp_worker_info info = worker_at(pit, slot);
        assert_int_equal(info.calls_total, info.pid == pid ? 3 : 0);
    }
    assert_int_equal(sp_execute_in_session_stream(pit, NULL, "numbers", sp_text("[1]"),
                                                  NULL, note_pid, &chunks, NULL),
                     SP_ERR_INVAL);
}

static void a_hint_does_not_wait_for_a_busy_worker(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    sp_call_options session = {.size = sizeof session, .session = "s"};
    sp_id held = hold_start(pit, "h", &session);
    uint32_t busy = worker_at(pit, 0).state == SP_WORKER_BUSY ? 0 : 1;
    long long pid = json_number(in_session(pit, "s", "where", ""), "pid");
    assert_int_not_equal(pid, worker_at(pit, busy).pid);
    hold_release("h");
    (void)call_wait(pit, held);
}

static void without_affinity_sessions_bind_nothing(void **state)
{
    sp_pool_options pool = pool_of_probes(2);
    pool.affinity = SP_AFFINITY_NONE;
    sp_pit *pit = pit_open_ready(&pool, 1);
    assert_has(in_session(pit, "s", "where", ""), "\"session\":\"s\"");
}

/* ---- strict ---- */

static sp_pit *strict_pit(int affinity)
{
    sp_pool_options pool = pool_of_probes(2);
    pool.affinity = affinity;
    return pit_open_ready(&pool, 1);
}

static void a_strict_session_waits_for_its_worker(void **state)
{
    sp_pit *pit = strict_pit(SP_AFFINITY_STRICT_QUEUE);
    sp_call_options session = {
        .size = sizeof session, .session = "s", .queue_timeout_ms = patience_ms(20000)};
    long long pid = json_number(in_session(pit, "s", "where", ""), "pid");
    sp_id held = hold_start(pit, "h", &session);
    sp_id waiting = call_start(pit, "where", "", &session);
    /* Others are served by the other worker meanwhile, past the one that waits. */
    for (int i = 0; i < 5; i++) {
        assert_true(json_number(call(pit, "where", "", NULL)->json, "pid") != pid);
    }
    assert_int_equal(stats_of(pit).queued, 1);
    hold_release("h");
    assert_int_equal(strtoll(call_wait(pit, held)->json, NULL, 10), pid);
    assert_int_equal(json_number(call_wait(pit, waiting)->json, "pid"), pid);
}

static void a_strict_session_fails_fast_when_its_worker_is_busy(void **state)
{
    sp_pit *pit = strict_pit(SP_AFFINITY_STRICT_FAIL_FAST);
    sp_call_options session = {.size = sizeof session, .session = "s"};
    sp_id held = hold_start(pit, "h", &session);
    call_fails(pit, "where", "", &session, SP_ERR_NO_WORKER);
    assert_string_equal(last_error()->message, "the session's worker is busy");
    assert_int_equal(last_error()->executed, SP_EXECUTED_NO);
    hold_release("h");
    (void)call_wait(pit, held);
    (void)in_session(pit, "s", "where", "");
}

static const int strict[] = {SP_AFFINITY_STRICT_QUEUE, SP_AFFINITY_STRICT_FAIL_FAST};

/* The session's next call; the process that ran it. */
static long long placed_as(sp_pit *pit, const char *session, int placed)
{
    sp_call_options options = {.size = sizeof options, .session = session};
    const sp_result *result = call(pit, "where", "", &options);
    assert_int_equal(result->placed, placed);
    return json_number(result->json, "pid");
}

static void a_strict_session_is_told_once_that_its_worker_died(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        sp_pit *pit = strict_pit(strict[i]);
        sp_call_options session = {.size = sizeof session, .session = "s"};
        long long pid = placed_as(pit, "s", SP_PLACED_NEW);
        assert_int_equal(placed_as(pit, "s", SP_PLACED_SAME), pid);
        assert_int_equal(kill((int)pid, SIGKILL), 0);
        (void)event_await(pit, SP_EVENT_WORKER_DIED, (unsigned)i + 1);
        call_fails(pit, "where", "", &session, SP_ERR_SESSION_WORKER_LOST);
        assert_int_equal(last_error()->executed, SP_EXECUTED_NO);
        assert_has(last_error()->message, "session \"s\": its worker has ended");
        assert_has(last_error()->message, "killed");
        const struct seen *moved =
            event_await(pit, SP_EVENT_SESSION_MOVED, (unsigned)i + 1);
        assert_string_equal(moved->session, "s");
        assert_has(moved->message, "killed");
        /* The next call makes the session at home elsewhere. */
        long long next = placed_as(pit, "s", SP_PLACED_NEW);
        assert_int_not_equal(next, pid);
        assert_int_equal(placed_as(pit, "s", SP_PLACED_SAME), next);
        assert_int_equal(event_count(SP_EVENT_SESSION_MOVED), i + 1);
        pit_close(pit);
    }
}

static void a_strict_session_is_told_that_its_worker_was_recycled(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        sp_pit *pit = strict_pit(strict[i]);
        sp_call_options session = {.size = sizeof session, .session = "s"};
        unsigned before = event_count(SP_EVENT_WORKER_RECYCLED);
        long long pid = placed_as(pit, "s", SP_PLACED_NEW);
        assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), 0);
        (void)event_await(pit, SP_EVENT_WORKER_RECYCLED, before + 2);
        call_fails(pit, "where", "", &session, SP_ERR_SESSION_WORKER_LOST);
        assert_int_not_equal(placed_as(pit, "s", SP_PLACED_NEW), pid);
        pit_close(pit);
    }
}

static void a_hinted_session_is_moved_and_told(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    long long pid = placed_as(pit, "s", SP_PLACED_NEW);
    assert_int_equal(placed_as(pit, "s", SP_PLACED_SAME), pid);
    assert_int_equal(kill((int)pid, SIGKILL), 0);
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 1);
    assert_int_not_equal(placed_as(pit, "s", SP_PLACED_MOVED), pid);
    assert_has(event_await(pit, SP_EVENT_SESSION_MOVED, 1)->message, "killed");
    (void)placed_as(pit, "s", SP_PLACED_SAME);
    assert_int_equal(call(pit, "where", "", NULL)->placed, SP_PLACED_NONE);
}

static void a_move_because_of_work_is_no_loss(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    sp_call_options session = {.size = sizeof session, .session = "s"};
    sp_id held = hold_start(pit, "h", &session);
    (void)placed_as(pit, "s", SP_PLACED_MOVED);
    assert_int_equal(event_count(SP_EVENT_SESSION_MOVED), 0);
    hold_release("h");
    (void)call_wait(pit, held);
}

static void a_call_may_have_an_affinity_of_its_own(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    sp_call_options session = {.size = sizeof session, .session = "s"};
    sp_id held = hold_start(pit, "h", &session);
    session.affinity = SP_AFFINITY_STRICT_FAIL_FAST;
    call_fails(pit, "where", "", &session, SP_ERR_NO_WORKER);
    session.affinity = SP_AFFINITY_NONE;
    const sp_result *result = call(pit, "where", "", &session);
    assert_int_equal(result->placed, SP_PLACED_NONE);
    long long other = json_number(result->json, "pid");
    hold_release("h");
    long long own = strtoll(call_wait(pit, held)->json, NULL, 10);
    assert_int_not_equal(own, other);
    session.affinity = SP_AFFINITY_STRICT_QUEUE;
    assert_int_equal(json_number(call(pit, "where", "", &session)->json, "pid"), own);
    session.affinity = SP_AFFINITY_STRICT_FAIL_FAST + 1;
    call_fails(pit, "where", "", &session, SP_ERR_INVAL);
    assert_has(last_error()->message, "an affinity of 5");
}

static void a_waiting_session_is_told_when_its_worker_dies(void **state)
{
    sp_pit *pit = strict_pit(SP_AFFINITY_STRICT_QUEUE);
    sp_call_options session = {
        .size = sizeof session, .session = "s", .queue_timeout_ms = patience_ms(20000)};
    int pid = (int)json_number(in_session(pit, "s", "where", ""), "pid");
    sp_id held = hold_start(pit, "h", &session);
    sp_id waiting = call_start(pit, "where", "", &session);
    assert_int_equal(kill(pid, SIGKILL), 0);
    call_wait_fails(pit, held, SP_ERR_WORKER_DIED);
    call_wait_fails(pit, waiting, SP_ERR_SESSION_WORKER_LOST);
    assert_int_equal(last_error()->executed, SP_EXECUTED_NO);
    assert_int_not_equal(placed_as(pit, "s", SP_PLACED_NEW), pid);
}

static void many_sessions_are_told_apart(void **state)
{
    sp_pool_options pool = pool_of_showcases(1);
    sp_pit *pit = pit_open_ready(&pool, 1);
    char name[32];
    char args[32];
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof name, "session-%d", i);
        (void)snprintf(args, sizeof args, "{\"value\":%d}", i * 3);
        (void)in_session(pit, name, "set_counter", args);
    }
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof name, "session-%d", i);
        assert_int_equal(json_number(in_session(pit, name, "get_counter", ""), "value"),
                         i * 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_sessions_id_reaches_python),
        TEST(a_call_in_a_session_is_the_same_with_a_name),
        TEST(a_session_finds_what_it_left_in_its_worker),
        TEST(a_stream_in_a_session_goes_to_the_sessions_worker),
        TEST(a_hint_does_not_wait_for_a_busy_worker),
        TEST(without_affinity_sessions_bind_nothing),
        TEST(a_strict_session_waits_for_its_worker),
        TEST(a_strict_session_fails_fast_when_its_worker_is_busy),
        TEST(a_strict_session_is_told_once_that_its_worker_died),
        TEST(a_strict_session_is_told_that_its_worker_was_recycled),
        TEST(a_hinted_session_is_moved_and_told),
        TEST(a_move_because_of_work_is_no_loss),
        TEST(a_call_may_have_an_affinity_of_its_own),
        TEST(a_waiting_session_is_told_when_its_worker_dies),
        TEST(many_sessions_are_told_apart),
    };
    return RUN_SYSTEM_TESTS("sessions", tests);
}
