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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pit_has_sessions),
        TEST(their_options_are_the_pits),
        TEST(options_that_cannot_be_are_refused),
        TEST(the_pit_cleans_up_and_tells),
        TEST(many_end_at_once_and_calls_go_on),
        TEST(sessions_end_with_their_pit),
    };
    return RUN_SYSTEM_TESTS("pit_sessions", tests);
}
