/* SPDX-License-Identifier: MIT */
/*
 * Calls that ask for calls: of other workers, of the program, and of both in turns; and
 * that none of them ever waits for itself.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "pits.h"

static sp_pit *pit;
static pthread_t ran_on;

static sp_pool_options pool_named(const char *name, uint32_t workers)
{
    sp_pool_options pool = pool_of_program("nests", NULL, workers);
    pool.name = name;
    pool.queue_timeout_ms = 60000; /* longer than a test may last */
    return pool;
}

static void open_one(uint32_t workers)
{
    sp_pool_options pool = pool_named("left", workers);
    pit = pit_open_ready(&pool, 1);
}

static void open_two(void)
{
    sp_pool_options pools[] = {pool_named("left", 1), pool_named("right", 1)};
    pit = pit_open_ready(pools, 2);
}

static const char *pass(const char *tool, const char *pool, const char *args)
{
    static char text[2000];
    (void)snprintf(text, sizeof text, "{\"tool\":\"%s\",\"pool\":\"%s\",\"args\":%s}",
                   tool, pool, args);
    return text;
}

static void add(const char *name, sp_host_tool_fn fn)
{
    sp_host_tool tool = {.size = sizeof tool, .name = name, .fn = fn};
    assert_int_equal(sp_tool_register(pit, &tool, last_error()), 0);
}

static void give_back(sp_tool_call *host_call, sp_bytes args_json, void *user_data)
{
    ran_on = pthread_self();
    assert_true(sp_tool_call_worker(host_call) != 0);
    (void)sp_tool_call_reply(host_call, args_json, (sp_bytes){0}, NULL);
}

/* ---- between workers ---- */

static void a_job_calls_a_tool_of_another_pool(void **state)
{
    open_two();
    call_gives(pit, "pass", pass("echo", "right", "{\"x\":1}"), "{\"x\":1}");
    /* And through both, in turns, as far as there are workers. */
    char inner[300];
    (void)snprintf(inner, sizeof inner, "%.299s", pass("echo", "host", "{}"));
    const sp_error *error =
        call_fails(pit, "pass", pass("pass", "right", inner), NULL, SP_ERR_NO_TOOL);
    assert_has(error->message, "the host has no tool \"echo\"");
    error = call_fails(pit, "pass", pass("echo", "nobody", "{}"), NULL, SP_ERR_NO_POOL);
    assert_has(error->message, "no pool \"nobody\"");
}

static void a_pool_of_one_that_calls_itself_gets_an_error(void **state)
{
    open_one(1);
    const sp_error *error =
        call_fails(pit, "pass", pass("echo", "left", "{}"), NULL, SP_ERR_DEADLOCK);
    assert_string_equal(error->message,
                        "pass > echo: every worker of pool left that could run it runs "
                        "a call that waits for it, or for another one like it");
    call_gives(pit, "echo", "{\"x\":1}", "{\"x\":1}");
}

static void a_pool_of_two_that_calls_itself_gets_an_answer(void **state)
{
    open_one(2);
    call_gives(pit, "pass", pass("echo", "left", "{\"x\":1}"), "{\"x\":1}");
    call_gives(pit, "down", "{\"n\":1}", "0");
    (void)call_fails(pit, "down", "{\"n\":2}", NULL, SP_ERR_DEADLOCK);
}

/* left > right > left, with one worker each. */
static void a_ring_of_pools_gets_an_error(void **state)
{
    char inner[300];
    open_two();
    (void)snprintf(inner, sizeof inner, "%.299s", pass("echo", "left", "{}"));
    const sp_error *error =
        call_fails(pit, "pass", pass("pass", "right", inner), NULL, SP_ERR_DEADLOCK);
    assert_has(error->message, "pass > pass > echo");
}

static void a_chain_has_a_limit(void **state)
{
    open_one(10);
    call_gives(pit, "down", "{\"n\":7}", "0");
    const sp_error *error =
        call_fails(pit, "down", "{\"n\":8}", NULL, SP_ERR_RECURSION);
    assert_has(error->message, "8 calls wait for each other already, as many as may");
    assert_has(error->message, "down > down > down");
}

static void the_limit_is_an_option(void **state)
{
    sp_pool_options pool = pool_named("left", 4);
    sp_pit_options options = {
        .size = sizeof options, .pools = &pool, .pools_count = 1, .nesting_max = 2};
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), 0);
    pit_adopt(pit);
    call_gives(pit, "down", "{\"n\":1}", "0");
    (void)call_fails(pit, "down", "{\"n\":2}", NULL, SP_ERR_RECURSION);
    sp_pit *other = NULL;
    options.nesting_max = 17;
    assert_int_equal(sp_pit_open(&options, &other, last_error()), SP_ERR_CONFIG);
    assert_string_equal(last_error()->message, "nesting_max is 17: 1 to 16");
}

/* Many jobs of one pool ask it at once: whoever cannot be served is told, the others
 * end, and nothing hangs. */
static void a_crowd_that_calls_itself_ends(void **state)
{
    enum { CALLS = 60 };
    sp_id ids[CALLS];
    unsigned well = 0;
    open_one(3);
    for (int i = 0; i < CALLS; i++) {
        ids[i] = call_start(pit, "pass", pass("echo", "left", "{\"x\":1}"), NULL);
    }
    for (int i = 0; i < CALLS; i++) {
        sp_result result = {0};
        sp_error err = {0};
        int rc = sp_call_wait(pit, ids[i], &result, &err);
        assert_true(rc == 0 || rc == SP_ERR_DEADLOCK);
        well += rc == 0;
        sp_result_clear(&result);
        sp_error_clear(&err);
    }
    print_message("%u of %d ended well\n", well, CALLS);
    /* Who is refused leaves a place, in which what the other two asked for ends. */
    assert_true(well >= CALLS * 2 / 3);
    call_gives(pit, "echo", "{\"x\":2}", "{\"x\":2}");
}

/* What is short is sent ahead to a busy worker, but not to one whose call waits for
 * another. */
static void nothing_waits_behind_one_that_asks(void **state)
{
    char args[500];
    char file[420];
    sp_id short_ones[6];
    open_one(2);
    add("back", give_back);
    for (int i = 0; i < 100; i++) { /* so they are known to be short */
        call_gives(pit, "echo", "{}", "{}");
        call_gives(pit, "pass", pass("back", "host", "{}"), "{}");
    }
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("both"));
    sp_id asking = call_start(pit, "pass", pass("hold", "left", args), NULL);
    (void)snprintf(file, sizeof file, "%s.held", leak_path("both"));
    UNTIL(file_exists(file));
    for (size_t i = 0; i < COUNT_OF(short_ones); i += 2) {
        short_ones[i] = call_start(pit, "echo", "{}", NULL);
        short_ones[i + 1] = call_start(pit, "pass", pass("back", "host", "{}"), NULL);
    }
    UNTIL(stats_of(pit).queued == COUNT_OF(short_ones));
    assert_int_equal(sp_call_cancel(pit, asking, NULL), 0);
    (void)call_wait_fails(pit, asking, SP_ERR_CANCELLED);
    for (size_t i = 0; i < COUNT_OF(short_ones); i++) {
        assert_string_equal(call_wait(pit, short_ones[i])->json, "{}");
    }
}

/* ---- time and cancelling ---- */

static void what_is_asked_for_has_no_more_time_than_who_asks(void **state)
{
    char args[500];
    open_two();
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("late"));
    sp_call_options options = {.size = sizeof options, .timeout_ms = 300};
    (void)call_fails(pit, "pass", pass("hold", "right", args), &options,
                     SP_ERR_TIMEOUT);
    char gone[420];
    (void)snprintf(gone, sizeof gone, "%s.gone", leak_path("late"));
    UNTIL(file_exists(gone));
}

static void what_is_asked_for_is_cancelled_with_who_asks(void **state)
{
    char args[500];
    char file[420];
    open_two();
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("both"));
    sp_id id = call_start(pit, "pass", pass("hold", "right", args), NULL);
    (void)snprintf(file, sizeof file, "%s.held", leak_path("both"));
    UNTIL(file_exists(file));
    assert_int_equal(sp_call_cancel(pit, id, NULL), 0);
    (void)call_wait_fails(pit, id, SP_ERR_CANCELLED);
    (void)snprintf(file, sizeof file, "%s.gone", leak_path("both"));
    UNTIL(file_exists(file));
}

/* ---- the program in between ---- */

/* A worker is called on behalf of whoever asks the program. */
static void call_echo(sp_tool_call *host_call, sp_bytes args_json, void *user_data)
{
    sp_result result = {0};
    sp_error err = {0};
    if (sp_execute(pit, "echo", args_json, NULL, &result, &err) != 0) {
        sp_tool_call_fail(host_call, &err);
    } else {
        (void)sp_tool_call_reply(host_call, (sp_bytes){result.json, result.json_bytes},
                                 (sp_bytes){0}, NULL);
    }
    sp_result_clear(&result);
    sp_error_clear(&err);
}

/* A program of one thread, which waits for its call, runs what its call asks for. */
static void one_thread_calls_and_is_called(void **state)
{
    open_one(1);
    add("back", give_back);
    for (int i = 0; i < 100; i++) {
        call_gives(pit, "pass", pass("back", "host", "{\"x\":1}"), "{\"x\":1}");
        assert_true(pthread_equal(ran_on, pthread_self()));
    }
    /* Waiting by other means is as good. */
    sp_id id = call_start(pit, "pass", pass("back", "host", "{\"x\":2}"), NULL);
    assert_string_equal(call_wait(pit, id)->json, "{\"x\":2}");
}

static void the_program_passes_a_call_on(void **state)
{
    open_one(2);
    add("through", call_echo);
    call_gives(pit, "pass", pass("through", "host", "{\"x\":1}"), "{\"x\":1}");
}

/* worker > program > the same worker: the program's call is on behalf of the first. */
static void the_program_does_not_wait_for_who_waits_for_it(void **state)
{
    open_one(1);
    add("through", call_echo);
    const sp_error *error =
        call_fails(pit, "pass", pass("through", "host", "{}"), NULL, SP_ERR_DEADLOCK);
    assert_has(error->message, "pass > through > echo");
    call_gives(pit, "echo", "{\"x\":1}", "{\"x\":1}");
}

static void a_host_tool_of_a_session_is_its_jobs_only(void **state)
{
    open_one(1);
    sp_sessions *sessions = sp_pit_sessions(pit);
    assert_int_equal(sp_session_create(sessions, "a", NULL, NULL), 1);
    sp_host_tool tool = {
        .size = sizeof tool, .name = "own", .session = "a", .fn = give_back};
    assert_int_equal(sp_tool_register(pit, &tool, last_error()), 0);
    sp_call_options in_a = {.size = sizeof in_a, .session = "a"};
    sp_call_options in_b = {.size = sizeof in_b, .session = "b"};
    (void)call(pit, "pass", pass("own", "host", "{}"), &in_a);
    (void)call_fails(pit, "pass", pass("own", "host", "{}"), &in_b, SP_ERR_NO_TOOL);
    (void)call_fails(pit, "pass", pass("own", "host", "{}"), NULL, SP_ERR_NO_TOOL);
}

static sp_tool_call *kept;

static void keep(sp_tool_call *host_call, sp_bytes args_json, void *user_data)
{
    kept = host_call;
}

static void a_worker_that_dies_is_not_waited_for(void **state)
{
    open_one(1);
    add("later", keep);
    kept = NULL;
    sp_id id = call_start(pit, "pass", pass("later", "host", "{}"), NULL);
    while (kept == NULL) {
        (void)sp_pit_dispatch(pit, 10, NULL);
    }
    assert_false(sp_tool_call_is_over(kept));
    assert_int_equal(kill(worker_at(pit, 0).pid, SIGKILL), 0);
    (void)call_wait_fails(pit, id, SP_ERR_WORKER_DIED);
    UNTIL(sp_tool_call_is_over(kept));
    sp_tool_call_fail(kept, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_calls_a_tool_of_another_pool),
        TEST(a_pool_of_one_that_calls_itself_gets_an_error),
        TEST(a_pool_of_two_that_calls_itself_gets_an_answer),
        TEST(a_ring_of_pools_gets_an_error),
        TEST(a_chain_has_a_limit),
        TEST(the_limit_is_an_option),
        TEST(a_crowd_that_calls_itself_ends),
        TEST(nothing_waits_behind_one_that_asks),
        TEST(what_is_asked_for_has_no_more_time_than_who_asks),
        TEST(what_is_asked_for_is_cancelled_with_who_asks),
        TEST(one_thread_calls_and_is_called),
        TEST(the_program_passes_a_call_on),
        TEST(the_program_does_not_wait_for_who_waits_for_it),
        TEST(a_host_tool_of_a_session_is_its_jobs_only),
        TEST(a_worker_that_dies_is_not_waited_for),
    };
    return RUN_SYSTEM_TESTS("nests", tests);
}
