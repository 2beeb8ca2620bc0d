/* SPDX-License-Identifier: MIT */
/* Programs of a session and those that all share. */
#include "session/programs.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"

static uint64_t clock_ms;
static sp_sessions *set;
static sp_error error;
static sp_program got;

static uint64_t read_clock(void)
{
    return clock_ms;
}

static void close_set(void)
{
    sp_program_clear(&got);
    sp_sessions_close(set);
    set = NULL;
    sp_error_clear(&error);
}

static void open_with(sp_sessions_options options)
{
    options.size = sizeof options;
    clock_ms = 1000;
    assert_int_equal(sp_sessions_open(&options, &set, &error), 0);
    set->now_ms = read_clock;
    leak_at_end(close_set);
    assert_int_equal(sp_session_create(set, "s", NULL, &error), 1);
}

static int get(const char *session, const char *id)
{
    sp_program_clear(&got);
    return sp_program_get(set, session, id, &got, &error);
}

static uint64_t memory_of_all(void)
{
    sp_sessions_stats stats;
    assert_int_equal(sp_sessions_stats_get(set, &stats, &error), 0);
    return stats.memory_bytes;
}

static void a_program_is_stored_replaced_and_deleted(void **state)
{
    open_with((sp_sessions_options){0});
    uint64_t bytes = memory_of_all();
    assert_int_equal(sp_program_update(set, "s", "p", "1", &error), SP_ERR_NOT_FOUND);
    assert_string_equal(error.message, "no program \"p\" in session \"s\"");
    assert_int_equal(sp_program_store(set, "s", "p", "{\"model\": \"m\"}", 0, &error),
                     0);
    assert_int_equal(get("s", "p"), 0);
    assert_string_equal(got.id, "p");
    assert_string_equal(got.data, "{\"model\": \"m\"}");
    assert_int_equal(got.data_size, 14);
    assert_true(got.remaining_ms == SP_UNLIMITED);
    uint64_t created = got.created_unix_ms;
    assert_int_equal(sp_program_update(set, "s", "p", "[1]", &error), 0);
    assert_int_equal(get("s", "p"), 0);
    assert_string_equal(got.data, "[1]");
    assert_int_equal(got.created_unix_ms, created);
    assert_int_equal(sp_program_store(set, "s", "p", "2", 0, &error), 0);
    assert_int_equal(sp_programs_list(set, "s", NULL, NULL, &error), 1);
    assert_int_equal(get(NULL, "p"), SP_ERR_NOT_FOUND); /* it is the session's own */
    assert_string_equal(error.message, "no global program \"p\"");
    assert_int_equal(sp_program_delete(set, "s", "p", &error), 0);
    assert_int_equal(sp_program_delete(set, "s", "p", &error), SP_ERR_NOT_FOUND);
    assert_int_equal(memory_of_all(), bytes);
}

static void programs_go_with_their_session(void **state)
{
    open_with((sp_sessions_options){.ttl_ms = 1000});
    char id[16];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(id, sizeof id, "p%d", i);
        assert_int_equal(sp_program_store(set, "s", id, "{}", 0, &error), 0);
    }
    assert_int_equal(sp_session_exists(set, "s"), 1);
    clock_ms += 1000;
    assert_int_equal(get("s", "p1"), SP_ERR_NOT_FOUND);
    assert_int_equal(sp_sessions_cleanup(set, &error), 1);
    assert_int_equal(memory_of_all(), 0);
}

static void a_global_program_has_a_time_of_its_own(void **state)
{
    open_with((sp_sessions_options){0});
    assert_int_equal(sp_program_store(set, NULL, "a", "1", 500, &error), 0);
    assert_int_equal(sp_program_store(set, NULL, "b", "1", 0, &error), 0);
    assert_int_equal(sp_program_store(set, NULL, "c", "1", SP_UNLIMITED, &error), 0);
    clock_ms += 400;
    assert_int_equal(get(NULL, "a"), 0);
    assert_int_equal(got.remaining_ms, 100); /* reading does not prolong it */
    assert_int_equal(sp_program_update(set, NULL, "a", "2", &error), 0);
    clock_ms += 100;
    assert_int_equal(get(NULL, "a"), SP_ERR_NOT_FOUND);
    assert_int_equal(sp_program_update(set, NULL, "a", "3", &error), SP_ERR_NOT_FOUND);
    assert_int_equal(sp_programs_list(set, NULL, NULL, NULL, &error), 2);
    assert_int_equal(set->global_programs.length, 3);
    assert_int_equal(sp_sessions_cleanup(set, &error), 0); /* counts sessions */
    assert_int_equal(set->global_programs.length, 2);
    clock_ms += 3600000;
    assert_int_equal(get(NULL, "b"), SP_ERR_NOT_FOUND);
    assert_int_equal(get(NULL, "c"), 0);
    assert_int_equal(sp_program_store(set, NULL, "b", "4", 0, &error), 0);
    assert_int_equal(get(NULL, "b"), 0);
}

static void join_ids(const sp_program *program, void *user)
{
    strncat(user, program->id, 8);
}

static void a_list_is_in_order_and_limits_hold(void **state)
{
    open_with((sp_sessions_options){.programs_max = 2, .value_bytes = 10});
    char ids[32] = "";
    assert_int_equal(sp_program_store(set, "s", "b", "1", 0, &error), 0);
    assert_int_equal(sp_program_store(set, "s", "a", "1", 0, &error), 0);
    assert_int_equal(sp_program_store(set, "s", "c", "1", 0, &error), SP_ERR_QUOTA);
    assert_string_equal(error.message, "there are 2 programs, as many as may be");
    assert_int_equal(sp_program_store(set, "s", "a", "2", 0, &error), 0);
    assert_int_equal(sp_programs_list(set, "s", join_ids, ids, &error), 2);
    assert_string_equal(ids, "ab");
    assert_int_equal(sp_program_store(set, "s", "a", "[1,2,3,4,5]", 0, &error),
                     SP_ERR_TOO_BIG);
    assert_int_equal(sp_program_store(set, "s", "a", "[", 0, &error), SP_ERR_BAD_JSON);
    assert_int_equal(sp_program_store(set, "s", "", "1", 0, &error), SP_ERR_INVAL);
    assert_int_equal(sp_program_store(set, "s", "a", "1", 5, &error), SP_ERR_INVAL);
    assert_int_equal(sp_program_store(set, "t", "a", "1", 0, &error), SP_ERR_NOT_FOUND);
    assert_int_equal(sp_program_store(set, "s", "a", NULL, 0, &error), SP_ERR_INVAL);
    assert_int_equal(get("s", "a"), 0);
    assert_string_equal(got.data, "2");
}

static void without_memory_nothing_is_half_done(void **state)
{
    open_with((sp_sessions_options){0});
    for (uint64_t n = 1; n < 100; n++) {
        sp__mem_fail_at(n, 0);
        int own = sp_program_store(set, "s", "p", "1", 0, &error);
        int global = sp_program_store(set, NULL, "p", "1", 0, &error);
        int listed = sp_programs_list(set, NULL, NULL, NULL, &error);
        sp__mem_fail_at(0, 0);
        assert_int_equal(get("s", "p"), own == 0 ? 0 : SP_ERR_NOT_FOUND);
        assert_int_equal(get(NULL, "p"), global == 0 ? 0 : SP_ERR_NOT_FOUND);
        (void)sp_program_delete(set, "s", "p", NULL);
        (void)sp_program_delete(set, NULL, "p", NULL);
        if (own == 0 && global == 0 && listed == 1) {
            return;
        }
    }
    fail_msg("never worked");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_program_is_stored_replaced_and_deleted),
        TEST(programs_go_with_their_session),
        TEST(a_global_program_has_a_time_of_its_own),
        TEST(a_list_is_in_order_and_limits_hold),
        TEST(without_memory_nothing_is_half_done),
    };
    return cmocka_run_group_tests_name("programs", tests, NULL, NULL);
}
