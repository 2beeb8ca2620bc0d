/* SPDX-License-Identifier: MIT */
/*
 * Workers that ask their host: what they ask is answered while a call of ours is under
 * way, belongs to that call, and ends with it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "pits.h"

static sp_pit *pit_of_askers(uint32_t workers)
{
    sp_pool_options pool = pool_of_program("asks", NULL, workers);
    return pit_open_ready(&pool, 1);
}

/* What the worker was answered: {"status":N,"message":T,"found":F}. */
static const char *ask(sp_pit *pit, const char *session, const char *method,
                       const char *about, const char *parent)
{
    char args[700];
    sp_call_options options = {.size = sizeof options, .session = session};
    (void)snprintf(args, sizeof args,
                   "{\"method\":\"%s\",\"session\":\"%s\",\"parent\":\"%s\"}", method,
                   about, parent);
    return call(pit, "ask", args, &options)->json;
}

#define assert_status(json, status) \
    assert_int_equal(json_number(json, "status"), status)
#define assert_found(json, found) assert_int_equal(json_number(json, "found"), found)

static void a_worker_begins_and_ends_sessions(void **state)
{
    sp_pit *pit = pit_of_askers(1);
    assert_status(ask(pit, NULL, "InitializeSession", "s", "own"), 0);
    assert_true(sp_session_exists(sp_pit_sessions(pit), "s"));
    assert_status(ask(pit, NULL, "InitializeSession", "s", "own"), 0);
    assert_status(ask(pit, NULL, "GetSession", "s", "own"), 0);
    assert_found(ask(pit, NULL, "Heartbeat", "s", "own"), 1);
    assert_found(ask(pit, NULL, "CleanupSession", "s", "own"), 1);
    assert_false(sp_session_exists(sp_pit_sessions(pit), "s"));
    assert_found(ask(pit, NULL, "Heartbeat", "s", "own"), 0);
    assert_found(ask(pit, NULL, "CleanupSession", "s", "own"), 0);
    assert_status(ask(pit, NULL, "GetSession", "s", "own"), 5);
}

static void a_question_may_belong_to_no_call(void **state)
{
    sp_pit *pit = pit_of_askers(1);
    assert_status(ask(pit, "mine", "InitializeSession", "other", "none"), 0);
    assert_true(sp_session_exists(sp_pit_sessions(pit), "other"));
    assert_status(ask(pit, "mine", "InitializeSession", "", "none"), 3);
}

static void a_call_asks_about_its_own_session_only(void **state)
{
    sp_pit *pit = pit_of_askers(1);
    sp_sessions *sessions = sp_pit_sessions(pit);
    assert_int_equal(sp_session_create(sessions, "other", NULL, NULL), 1);
    assert_status(ask(pit, "mine", "InitializeSession", "", "own"), 0);
    assert_true(sp_session_exists(sessions, "mine"));
    assert_found(ask(pit, "mine", "Heartbeat", "mine", "own"), 1);
    const char *methods[] = {"InitializeSession", "GetSession", "Heartbeat",
                             "CleanupSession"};
    for (size_t i = 0; i < 4; i++) {
        const char *json = ask(pit, "mine", methods[i], "other", "own");
        assert_status(json, sp_error_grpc_status(SP_ERR_REFUSED));
        assert_has(json, "asks about session");
    }
    assert_true(sp_session_exists(sessions, "other"));
}

static void a_call_that_is_not_there_cannot_ask(void **state)
{
    sp_pit *pit = pit_of_askers(1);
    const char *json = ask(pit, NULL, "Heartbeat", "s", "4711");
    assert_status(json, 1);
    assert_has(json, "the call that asks is over");
    assert_status(ask(pit, NULL, "Heartbeat", "s", "99999999999"), 3);
    assert_status(ask(pit, NULL, "Heartbeat", "s", "x"), 3);
    assert_status(ask(pit, NULL, "Heartbeat", "s", ""), 3);
}

static void what_is_not_for_workers_is_not_there(void **state)
{
    sp_pit *pit = pit_of_askers(1);
    assert_status(ask(pit, NULL, "Nothing", "s", "own"), 12);
    assert_status(ask(pit, NULL, "../grpc.health.v1.Health/Check", "", "own"), 12);
}

static void many_calls_ask_at_once(void **state)
{
    enum { CALLS = 200 };
    sp_pit *pit = pit_of_askers(2);
    sp_id ids[CALLS];
    char args[128];
    for (int i = 0; i < CALLS; i++) {
        (void)snprintf(args, sizeof args,
                       "{\"method\":\"InitializeSession\",\"session\":\"s%d\","
                       "\"parent\":\"own\"}",
                       i % 50);
        ids[i] = call_start(pit, "ask", args, NULL);
    }
    for (int i = 0; i < CALLS; i++) {
        assert_status(call_wait(pit, ids[i])->json, 0);
    }
    sp_sessions_stats stats;
    assert_int_equal(sp_sessions_stats_get(sp_pit_sessions(pit), &stats, NULL), 0);
    assert_int_equal(stats.sessions, 50);
}

/* ---- the ends ---- */

static int has_printed(sp_pit *pit, const char *text, unsigned *at)
{
    for (;;) {
        const struct seen *seen = event_await(pit, SP_EVENT_WORKER_OUTPUT, ++*at);
        if (strcmp(seen->message, text) == 0) {
            return 1;
        }
    }
}

/* A call of one worker which waits for a call of the other one. */
static sp_id pass_and_hold(sp_pit *pit)
{
    unsigned at = 0;
    sp_id id = call_start(pit, "pass",
                          "{\"method\":\"ExecuteTool\",\"tool\":\"hold\","
                          "\"session\":\"\",\"parent\":\"own\"}",
                          NULL);
    assert_true(has_printed(pit, "held", &at));
    return id;
}

static void what_a_cancelled_call_has_asked_ends_with_it(void **state)
{
    sp_pit *pit = pit_of_askers(2);
    sp_id id = pass_and_hold(pit);
    assert_int_equal(sp_call_cancel(pit, id, NULL), 0);
    (void)call_wait_fails(pit, id, SP_ERR_CANCELLED);
    unsigned at = 0;
    assert_true(has_printed(pit, "let go", &at));
    at = 0;
    assert_true(has_printed(pit, "the question ended with 1", &at));
}

static void what_a_dead_worker_has_asked_ends_with_it(void **state)
{
    sp_pit *pit = pit_of_askers(2);
    sp_id id = pass_and_hold(pit);
    sp_worker_info first = worker_at(pit, 0);
    sp_worker_info second = worker_at(pit, 1);
    const struct seen *held = NULL;
    for (unsigned i = 1; held == NULL; i++) {
        const struct seen *seen = event_await(pit, SP_EVENT_WORKER_OUTPUT, i);
        held = strcmp(seen->message, "held") == 0 ? seen : NULL;
    }
    assert_int_equal(kill(held->slot == first.slot ? second.pid : first.pid, SIGKILL),
                     0);
    (void)call_wait_fails(pit, id, SP_ERR_WORKER_DIED);
    unsigned at = 0;
    assert_true(has_printed(pit, "let go", &at));
}

/* Whatever is under way: the fixture sees what is left. */
static void a_pit_closes_while_workers_ask(void **state)
{
    sp_pit *pit = pit_of_askers(2);
    (void)pass_and_hold(pit);
    for (int i = 0; i < 100; i++) {
        (void)call_start(pit, "ask",
                         "{\"method\":\"InitializeSession\",\"session\":\"s\","
                         "\"parent\":\"none\"}",
                         NULL);
    }
    pit_close(pit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_begins_and_ends_sessions),
        TEST(a_question_may_belong_to_no_call),
        TEST(a_call_asks_about_its_own_session_only),
        TEST(a_call_that_is_not_there_cannot_ask),
        TEST(what_is_not_for_workers_is_not_there),
        TEST(many_calls_ask_at_once),
        TEST(what_a_cancelled_call_has_asked_ends_with_it),
        TEST(what_a_dead_worker_has_asked_ends_with_it),
        TEST(a_pit_closes_while_workers_ask),
    };
    return RUN_SYSTEM_TESTS("asks", tests);
}
