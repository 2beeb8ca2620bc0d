/* SPDX-License-Identifier: MIT */
/* The sessions of a pit: there from its opening, cleaned up by it, told of by it. */
#include <stdio.h>
#include <string.h>

#include "pits.h"

static sp_pit *open_pit(const sp_sessions_options *sessions)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .on_event = event_record,
                              .sessions = sessions};
    sp_pit *pit = NULL;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), 0);
    pit_adopt(pit);
    return pit;
}

static sp_sessions_stats sums_of(sp_pit *pit)
{
    sp_sessions_stats stats;
    assert_int_equal(sp_sessions_stats_get(sp_pit_sessions(pit), &stats, NULL), 0);
    return stats;
}

static void a_pit_has_sessions(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_sessions *sessions = sp_pit_sessions(pit);
    assert_int_equal(sp_session_create(sessions, "alice", NULL, NULL), 1);
    assert_true(sp_session_exists(sessions, "alice"));
    assert_int_equal(sums_of(pit).sessions, 1);
    assert_int_equal(sums_of(pit).sessions_max, 10000);
    assert_null(sp_pit_sessions(NULL));
}

static void their_options_are_the_pits(void **state)
{
    sp_sessions_options options = {.size = sizeof options, .sessions_max = 2};
    sp_pit *pit = open_pit(&options);
    sp_sessions *sessions = sp_pit_sessions(pit);
    assert_int_equal(sp_session_create(sessions, "a", NULL, NULL), 1);
    assert_int_equal(sp_session_create(sessions, "b", NULL, NULL), 1);
    assert_int_equal(sp_session_create(sessions, "c", NULL, NULL), SP_ERR_QUOTA);
}

static void note(const sp_event *event, void *user_data)
{
}

static void options_that_cannot_be_are_refused(void **state)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    sp_sessions_options sessions = {.size = sizeof sessions, .on_event = note};
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .sessions = &sessions};
    sp_pit *pit;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), SP_ERR_CONFIG);
    assert_has(last_error()->message, "sessions.on_event");
    sessions = (sp_sessions_options){.size = sizeof sessions, .warn_permille = 1001};
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), SP_ERR_INVAL);
    assert_has(last_error()->message, "1001");
    sessions = (sp_sessions_options){.size = sizeof sessions,
                                     .durability = SP_DURABILITY_DURABLE};
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), SP_ERR_CONFIG);
    assert_has(last_error()->message, "sessions.durability is durable");
    sessions.size = 3;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), SP_ERR_INVAL);
    assert_has(last_error()->message, "sp_sessions_options.size is 3");
}

static void the_pit_cleans_up_and_tells(void **state)
{
    sp_sessions_options options = {
        .size = sizeof options, .ttl_ms = 1, .cleanup_interval_ms = 10};
    sp_pit *pit = open_pit(&options);
    sp_sessions *sessions = sp_pit_sessions(pit);
    assert_int_equal(sp_session_create(sessions, "short", NULL, NULL), 1);
    const struct seen *event = event_await(pit, SP_EVENT_SESSION_EXPIRED, 1);
    assert_string_equal(event->session, "short");
    assert_int_equal(sums_of(pit).sessions_expired, 1);
    sp_session_options always = {.size = sizeof always, .ttl_ms = SP_UNLIMITED};
    assert_int_equal(sp_session_create(sessions, "long", &always, NULL), 1);
    assert_int_equal(sp_session_delete(sessions, "long", NULL), 0);
    event = event_await(pit, SP_EVENT_SESSION_DELETED, 1);
    assert_string_equal(event->session, "long");
    UNTIL(sums_of(pit).cleanup_runs > 0);
}

/* Many at once, with much in them: gone before long, and calls go on meanwhile. */
static void many_end_at_once_and_calls_go_on(void **state)
{
    enum { MANY = 500, VARIABLES = 20 };
    sp_sessions_options options = {
        .size = sizeof options, .ttl_ms = 50, .cleanup_interval_ms = 10};
    sp_pit *pit = open_pit(&options);
    sp_sessions *sessions = sp_pit_sessions(pit);
    char id[32];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        assert_int_equal(sp_session_create(sessions, id, NULL, NULL), 1);
        for (int v = 0; v < VARIABLES; v++) {
            char name[32];
            (void)snprintf(name, sizeof name, "v%d", v);
            /* It may be over by now. */
            (void)sp_variable_register(sessions, id, name, "integer", "1", NULL, NULL,
                                       NULL);
        }
    }
    while (sums_of(pit).sessions_expired < MANY) {
        (void)call(pit, "echo", "[1,2]", NULL);
    }
    assert_int_equal(sums_of(pit).sessions, 0);
}

/* What is left when a pit closes goes with it: the fixture counts. */
static void sessions_end_with_their_pit(void **state)
{
    sp_pit *pit = open_pit(NULL);
    char id[32];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof id, "session %d", i);
        assert_int_equal(sp_session_create(sp_pit_sessions(pit), id, NULL, NULL), 1);
    }
    pit_close(pit);
}

static void note_use(const sp_session_info *info, void *user_data)
{
    *(uint64_t *)user_data = info->used_unix_ms;
}

static void a_call_uses_its_session(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_sessions *sessions = sp_pit_sessions(pit);
    uint64_t before_ms = 0;
    uint64_t now_ms = 0;
    assert_int_equal(sp_session_create(sessions, "s", NULL, NULL), 1);
    (void)sp_sessions_list(sessions, note_use, &before_ms, NULL);
    uint64_t start_ms = leak_now_ms();
    UNTIL(leak_now_ms() > start_ms + 20);
    (void)call(pit, "echo", "", NULL);
    (void)sp_sessions_list(sessions, note_use, &now_ms, NULL);
    assert_true(now_ms <= before_ms + 1); /* two clocks that tick apart */
    sp_call_options options = {.size = sizeof options, .session = "s"};
    (void)call(pit, "echo", "", &options);
    (void)sp_sessions_list(sessions, note_use, &now_ms, NULL);
    assert_true(now_ms > before_ms + 10);
}

/* ---- workers hear of the end ---- */

static void call_in(sp_pit *pit, const char *session)
{
    sp_call_options options = {.size = sizeof options, .session = session};
    (void)call(pit, "where", "", &options);
}

static const struct seen *has_printed(sp_pit *pit, const char *text)
{
    for (unsigned i = 1;; i++) {
        const struct seen *seen = event_await(pit, SP_EVENT_WORKER_OUTPUT, i);
        if (strstr(seen->message, text) != NULL) {
            return seen;
        }
    }
}

static void a_workers_adapter_is_told_of_the_end(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_sessions *sessions = sp_pit_sessions(pit);
    const char *ids[] = {"visited", "not visited", "k\xc3\xa4se"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(sp_session_create(sessions, ids[i], NULL, NULL), 1);
    }
    call_in(pit, "visited");
    call_in(pit, "k\xc3\xa4se");
    assert_int_equal(sp_session_delete(sessions, "not visited", NULL), 0);
    assert_int_equal(sp_session_delete(sessions, "visited", NULL), 0);
    (void)has_printed(pit, "visited has ended after 2 calls");
    assert_int_equal(sp_session_delete(sessions, "k\xc3\xa4se", NULL), 0);
    (void)has_printed(pit, "k\xc3\xa4se has ended");
    assert_int_equal(event_count(SP_EVENT_WORKER_OUTPUT), 2);
}

static void an_expired_session_has_ended_too(void **state)
{
    sp_sessions_options sessions = {.size = sizeof sessions, .cleanup_interval_ms = 10};
    sp_pool_options pool = pool_of_probes(1);
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .on_event = event_record,
                              .sessions = &sessions};
    sp_pit *pit = NULL;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), 0);
    pit_adopt(pit);
    call_in(pit, "short");
    sp_session_options brief = {.size = sizeof brief, .ttl_ms = 1};
    assert_int_equal(sp_session_create(sp_pit_sessions(pit), "short", &brief, NULL), 1);
    (void)has_printed(pit, "short has ended");
}

static void every_worker_that_ran_its_calls_is_told(void **state)
{
    sp_pool_options pool = pool_of_probes(3);
    pool.affinity = SP_AFFINITY_NONE;
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_call_options options = {.size = sizeof options, .session = "wide"};
    assert_int_equal(sp_session_create(sp_pit_sessions(pit), "wide", NULL, NULL), 1);
    sp_id a = hold_start(pit, "a", &options);
    sp_id b = hold_start(pit, "b", &options);
    hold_release("a");
    hold_release("b");
    (void)call_wait(pit, a);
    (void)call_wait(pit, b);
    assert_int_equal(sp_session_delete(sp_pit_sessions(pit), "wide", NULL), 0);
    unsigned told = 0;
    for (unsigned i = 1; told < 2; i++) {
        const struct seen *seen = event_await(pit, SP_EVENT_WORKER_OUTPUT, i);
        told += strstr(seen->message, "wide has ended") != NULL;
    }
}

static void what_an_adapter_raises_at_the_end_ends_nothing_else(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    assert_int_equal(sp_session_create(sp_pit_sessions(pit), "raise", NULL, NULL), 1);
    call_in(pit, "raise");
    assert_int_equal(sp_session_delete(sp_pit_sessions(pit), "raise", NULL), 0);
    (void)has_printed(pit, "ValueError: no end");
    call_in(pit, "another");
    assert_int_equal(event_count(SP_EVENT_WORKER_DIED), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pit_has_sessions),
        TEST(their_options_are_the_pits),
        TEST(options_that_cannot_be_are_refused),
        TEST(the_pit_cleans_up_and_tells),
        TEST(many_end_at_once_and_calls_go_on),
        TEST(sessions_end_with_their_pit),
        TEST(a_call_uses_its_session),
        TEST(a_workers_adapter_is_told_of_the_end),
        TEST(an_expired_session_has_ended_too),
        TEST(every_worker_that_ran_its_calls_is_told),
        TEST(what_an_adapter_raises_at_the_end_ends_nothing_else),
    };
    return RUN_SYSTEM_TESTS("pit_sessions", tests);
}
