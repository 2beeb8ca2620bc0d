/* SPDX-License-Identifier: MIT */
/* Programs that a worker makes and the host keeps, and calls that carry their session. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "pits.h"

static sp_result result;

static void clear(void)
{
    sp_result_clear(&result);
}

/* A pit with the example's adapter. */
static sp_pit *pit_of_programs(uint32_t workers)
{
    sp_pool_options pool = pool_of_showcases(workers);
    pool.adapter = TEST_SOURCE "/examples/adapters/programs.py";
    pool.affinity = SP_AFFINITY_NONE;
    leak_at_end(clear);
    return pit_open_ready(&pool, 1);
}

static int command(sp_pit *pit, const char *session, const char *name, const char *args)
{
    sp_result_clear(&result);
    return sp_execute_program_command(pit, session, name, sp_text(args), NULL, &result,
                                      last_error());
}

/* The id of the program that was made last. */
static const char *made(void)
{
    static char id[64];
    const char *at = strstr(result.json, "\"program_id\":\"");
    assert_non_null(at);
    at += strlen("\"program_id\":\"");
    (void)snprintf(id, sizeof id, "%.*s", (int)strcspn(at, "\""), at);
    return id;
}

static const char *execution(const char *id, const char *text)
{
    static char args[256];
    (void)snprintf(args, sizeof args,
                   "{\"program_id\":\"%s\",\"input\":{\"text\":\"%s\"}}", id, text);
    return args;
}

static void a_program_runs_in_a_worker_that_did_not_make_it(void **state)
{
    sp_pit *pit = pit_of_programs(1);
    assert_int_equal(command(pit, "ml", "create_program",
                             "{\"signature\":\"text -> words, letters\"}"),
                     0);
    assert_has(result.json, "\"made_for\":\"ml\"");
    const char *id = made();
    int maker = result.worker_pid;
    (void)kill(maker, SIGKILL);
    (void)event_await(pit, SP_EVENT_WORKER_READY, 2);
    assert_int_equal(command(pit, "ml", "execute_program", execution(id, "to be or")),
                     0);
    assert_string_equal(result.json, "{\"words\":3,\"letters\":6}");
    assert_int_not_equal(result.worker_pid, maker);
}

static void what_is_stored_is_the_answer_and_what_every_program_has(void **state)
{
    sp_pit *pit = pit_of_programs(1);
    sp_program program = {0};
    assert_int_equal(
        command(pit, NULL, "create_program", "{\"signature\":\"text -> words\"}"), 0);
    assert_int_equal(sp_program_get(sp_pit_sessions(pit), "anonymous", made(), &program,
                                    last_error()),
                     0);
    static const char *const members[] = {
        "\"program_id\":\"program-",
        "\"outputs\":[\"words\"]",
        "\"made_for\":\"anonymous\"",
        "\"signature\":\"text -> words\"",
        "\"signature_def\":\"text -> words\"",
        "\"signature_class\":null",
        "\"field_mapping\":{}",
        "\"fallback_used\":false",
        "\"program_type\":\"predict\"",
        "\"execution_count\":0",
        "\"last_executed\":null",
        "\"created_at\":1",
    };
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        assert_has(program.data, members[i]);
    }
    sp_program_clear(&program);
}

static void programs_belong_to_their_session(void **state)
{
    sp_pit *pit = pit_of_programs(2);
    assert_int_equal(
        command(pit, "a", "create_program", "{\"signature\":\"text -> words\"}"), 0);
    const char *id = made();
    assert_int_equal(command(pit, "b", "execute_program", execution(id, "x")),
                     SP_ERR_REMOTE);
    assert_has(last_error()->message, "in session b");
    assert_int_equal(sp_session_delete(sp_pit_sessions(pit), "a", last_error()), 0);
    assert_int_equal(command(pit, "a", "execute_program", execution(id, "x")),
                     SP_ERR_REMOTE);
}

static void a_failed_creation_stores_nothing(void **state)
{
    sp_pit *pit = pit_of_programs(1);
    assert_int_equal(
        command(pit, "a", "create_program", "{\"signature\":\"text -> dreams\"}"),
        SP_ERR_REMOTE);
    assert_int_equal(sp_session_exists(sp_pit_sessions(pit), "a"), 0);
    assert_int_equal(command(pit, "a", "create_program", "[1]"), SP_ERR_BAD_ARGS);
    assert_int_equal(command(pit, "a", "create_program", "{"), SP_ERR_BAD_JSON);
    assert_int_equal(command(pit, "", "create_program", "{}"), SP_ERR_INVAL);
    assert_int_equal(command(pit, "a", NULL, "{}"), SP_ERR_INVAL);
    assert_int_equal(command(NULL, "a", "create_program", "{}"), SP_ERR_INVAL);
}

static void a_call_in_a_context_names_its_session(void **state)
{
    sp_pool_options pool = pool_of_showcases(1);
    sp_pit *pit = pit_open_ready(&pool, 1);
    leak_at_end(clear);
    assert_int_equal(sp_execute_in_context(pit, "ann", "echo",
                                           sp_text("{\"session_id\":\"x\",\"a\":1.50}"),
                                           NULL, &result, last_error()),
                     0);
    assert_has(result.json, "\"session_id\":\"ann\"");
    assert_has(result.json, "\"a\":1.5");
    sp_result_clear(&result);
    assert_int_equal(sp_execute_in_context(pit, NULL, "echo", sp_text(""), NULL,
                                           &result, last_error()),
                     0);
    assert_has(result.json, "\"session_id\":\"anonymous\"");
}

static void an_answer_that_cannot_be_stored_says_that_it_was_executed(void **state)
{
    sp_sessions_options sessions = {.size = sizeof sessions, .value_bytes = 64};
    sp_pool_options pool = pool_of_showcases(1);
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .sessions = &sessions};
    sp_pit *pit = NULL;
    pool.adapter = TEST_SOURCE "/examples/adapters/programs.py";
    leak_at_end(clear);
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), 0);
    pit_adopt(pit);
    assert_int_equal(
        command(pit, "a", "create_program", "{\"signature\":\"text -> words\"}"),
        SP_ERR_TOO_BIG);
    assert_has(last_error()->message, "created, but not stored");
    assert_int_equal(last_error()->executed, SP_EXECUTED_YES);
    assert_null(result.json);
}

static void without_memory_nothing_is_left(void **state)
{
    sp_pit *pit = pit_of_programs(1);
    for (uint64_t n = 1; n < 2000; n++) {
        sp__mem_fail_at(n, 0);
        int rc =
            command(pit, "a", "create_program", "{\"signature\":\"text -> words\"}");
        sp__mem_fail_at(0, 0);
        if (rc == 0) {
            return;
        }
        /* One that strikes the pit's own thread may cost it the worker. */
        assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), 0);
    }
    fail_msg("never worked");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_program_runs_in_a_worker_that_did_not_make_it),
        TEST(what_is_stored_is_the_answer_and_what_every_program_has),
        TEST(programs_belong_to_their_session),
        TEST(a_failed_creation_stores_nothing),
        TEST(a_call_in_a_context_names_its_session),
        TEST(an_answer_that_cannot_be_stored_says_that_it_was_executed),
        TEST(without_memory_nothing_is_left),
    };
    return RUN_SYSTEM_TESTS("programs", tests);
}
