/* SPDX-License-Identifier: MIT */
/*
 * Events of sessions, of what is in them and of where they are stored, each of which is
 * made to happen.
 */
#include <stdio.h>

#include "disk.h"
#include "sightings.h"

#define EVENTS_FILE "sessions"

static sp_sessions *sessions_with(const sp_sessions_options *options)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit_options all = {.pools = &pool, .pools_count = 1, .sessions = options};
    return sp_pit_sessions(sights_open(&all));
}

static sp_sessions *sessions_open(void)
{
    sp_sessions_options options = {.size = sizeof options};
    return sessions_with(&options);
}

static void create(sp_sessions *sessions, const char *id)
{
    assert_int_equal(sp_session_create(sessions, id, NULL, last_error()), 1);
}

/* ---- sessions ---- */

static void a_session_is_used(void)
{
    sp_sessions *sessions = sessions_open();
    sp_session_info info = {0};
    create(sessions, "s");
    assert_int_equal(sp_session_get(sessions, "s", &info, last_error()), 0);
    sp_session_info_clear(&info);
    assert_int_equal(sp_session_delete(sessions, "s", last_error()), 0);
}

static void a_session_is_over(void)
{
    sp_sessions_options options = {
        .size = sizeof options, .ttl_ms = 10, .cleanup_interval_ms = 10};
    create(sessions_with(&options), "s");
}

static void there_are_many_sessions(void)
{
    sp_sessions_options options = {
        .size = sizeof options, .sessions_max = 4, .warn_permille = 500};
    sp_sessions *sessions = sessions_with(&options);
    create(sessions, "1");
    create(sessions, "2");
    create(sessions, "3");
}

/* ---- what is in them ---- */

static void a_program_is_kept(void)
{
    sp_program program = {0};
    sp_sessions *sessions = sessions_open();
    create(sessions, "s");
    assert_int_equal(sp_program_store(sessions, "s", "p", "{}", 0, last_error()), 0);
    assert_int_equal(sp_program_get(sessions, "s", "p", &program, last_error()), 0);
    sp_program_clear(&program);
    assert_int_equal(sp_program_delete(sessions, "s", "p", last_error()), 0);
}

static void a_variable_is_kept(void)
{
    sp_variable variable = {0};
    sp_sessions *sessions = sessions_open();
    sp_change_options few = {.size = sizeof few, .constraints = "{\"max\":9}"};
    create(sessions, "s");
    assert_int_equal(sp_variable_register(sessions, "s", "v", "integer", "1", &few,
                                          NULL, last_error()),
                     0);
    assert_int_equal(sp_variable_get(sessions, "s", "v", &variable, last_error()), 0);
    sp_variable_clear(&variable);
    assert_int_equal(sp_variable_set(sessions, "s", "v", "2", NULL, NULL, last_error()),
                     0);
    assert_int_equal(
        sp_variable_set(sessions, "s", "v", "\"two\"", NULL, NULL, last_error()),
        SP_ERR_BAD_VALUE);
    assert_int_equal(
        sp_variable_set(sessions, "s", "v", "10", NULL, NULL, last_error()),
        SP_ERR_BAD_VALUE);
    assert_int_equal(sp_variable_delete(sessions, "s", "v", NULL, last_error()), 0);
}

static void variables_are_used_at_once(void)
{
    const char *names[] = {"a", "b"};
    sp_variable variables[2] = {{0}};
    sp_variable_update updates[] = {{.name = "a", .value = "2"},
                                    {.name = "b", .value = "3"}};
    sp_sessions *sessions = sessions_open();
    create(sessions, "s");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(sp_variable_register(sessions, "s", names[i], NULL, "1", NULL,
                                              NULL, last_error()),
                         0);
    }
    assert_true(sp_variables_get(sessions, "s", names, 2, variables, last_error()) >=
                0);
    assert_true(sp_variables_set(sessions, "s", updates, 2, 1, NULL, last_error()) >=
                0);
    for (size_t i = 0; i < 2; i++) {
        sp_variable_clear(&variables[i]);
    }
}

static void a_worker_makes_a_variable(void)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_call_options in = {.size = sizeof in, .session = "s"};
    (void)call(sights_open_ready(&pool), "register", "{}", &in);
}

/* ---- where they are stored ---- */

static void heal_disk(void)
{
    disk_fail(DISK_WRITE, 0, 0, DISK_EIO);
    disk_fail(DISK_SYNC, 0, 0, DISK_EIO);
}

static sp_sessions *sessions_on_disk(int durability)
{
    sp_sessions_options options = {
        .size = sizeof options, .path = leak_path("state"), .durability = durability};
    leak_at_end(heal_disk);
    return sessions_with(&options);
}

static void a_disk_is_full_for_a_while(void)
{
    sp_sessions *sessions = sessions_on_disk(SP_DURABILITY_CRASH);
    disk_fail(DISK_WRITE, 1, 1, DISK_NO_ROOM);
    assert_int_equal(sp_session_create(sessions, "s", NULL, last_error()),
                     SP_ERR_STORE_FULL);
    sights_await(SP_EVENT_STORE_FULL, 1);
    heal_disk();
    UNTIL(sp_session_create(sessions, "s", NULL, last_error()) == 1);
}

static void a_disk_loses_something(void)
{
    sp_sessions *sessions = sessions_on_disk(SP_DURABILITY_DURABLE);
    disk_fail(DISK_SYNC, 1, 0, DISK_EIO);
    assert_int_equal(sp_session_create(sessions, "s", NULL, last_error()),
                     SP_ERR_STORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(a_session_is_used),         SCENARIO(a_session_is_over),
        SCENARIO(there_are_many_sessions),   SCENARIO(a_program_is_kept),
        SCENARIO(a_variable_is_kept),        SCENARIO(variables_are_used_at_once),
        SCENARIO(a_worker_makes_a_variable), SCENARIO(a_disk_is_full_for_a_while),
        SCENARIO(a_disk_loses_something),    ALL_CLAIMS,
    };
    disk_install();
    return RUN_SYSTEM_TESTS("events_sessions", tests);
}
