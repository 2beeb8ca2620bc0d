/* SPDX-License-Identifier: MIT */
/*
 * Every way in which a start can fail: each has its own reason, and its words.
 *
 * A start that can never work is tried once; one that may work another time is tried
 * again. Nothing is left of any of them, which the leak fixture checks.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pits.h"

struct noted {
    int why;
    int signal;
    int exit_status;
    int was_ready;
    char message[600];
    char last_lines[4000];
};

static void note(const sp_death *death, void *user_data)
{
    struct noted *noted = user_data;
    *noted = (struct noted){.why = death->why,
                            .signal = death->signal,
                            .exit_status = death->exit_status,
                            .was_ready = death->was_ready};
    (void)snprintf(noted->message, sizeof noted->message, "%s", death->message);
    (void)snprintf(noted->last_lines, sizeof noted->last_lines, "%s",
                   death->last_lines);
}

/* What a failed start is expected to be. */
struct failure {
    int why;
    int code;           /* of calls that waited for it */
    int is_final;       /* no other start is tried */
    const char *says;   /* part of the message */
    const char *prints; /* part of the last lines, or NULL */
};

static struct noted fails(sp_pool_options pool, struct failure expected)
{
    struct noted noted = {0};
    pool.backoff_min_ms = pool.backoff_max_ms = 1;
    pool.crashes_max = 1000;
    sp_pit *pit = pit_open(&pool, 1);
    const sp_error *err = call_fails(pit, "echo", "{}", NULL, expected.code);
    assert_int_equal(err->executed, SP_EXECUTED_NO);
    assert_has(err->message, expected.says);
    if (expected.prints != NULL) {
        assert_has(err->worker_stderr, expected.prints);
    }
    assert_int_equal(err->worker_why, expected.why);
    assert_true(sp_pool_deaths_get(pit, NULL, note, &noted, last_error()) > 0);
    assert_int_equal(noted.why, expected.why);
    assert_false(noted.was_ready);
    assert_has(noted.message, expected.says);
    if (expected.prints != NULL) {
        assert_has(noted.last_lines, expected.prints);
    }
    if (expected.is_final) {
        assert_int_equal(stats_of(pit).workers_started, 1);
    } else {
        (void)event_await(pit, SP_EVENT_WORKER_DIED, 2);
    }
    pit_close(pit);
    return noted;
}

/* A pool of a file that is written here. */
static sp_pool_options pool_of_file(const char *text)
{
    static char path[300];
    static const char *command[2];
    (void)snprintf(path, sizeof path, "%s", leak_path("program"));
    file_write(path, text);
    assert_int_equal(chmod(path, 0700), 0);
    command[0] = path;
    sp_pool_options pool = pool_of_program("exits", NULL, 1);
    pool.command = command;
    return pool;
}

static sp_pool_options pool_of_adapter(const char *text)
{
    static char path[300];
    sp_pool_options pool = pool_of_probes(1);
    (void)snprintf(path, sizeof path, "%s", leak_path("adapter.py"));
    file_write(path, text);
    pool.adapter = path;
    return pool;
}

/* ---- the program does not run ---- */

static void a_file_that_is_no_program(void **state)
{
    (void)fails(
        pool_of_file("\x01\x02 nothing that runs"),
        (struct failure){SP_DEATH_REFUSED, SP_ERR_START_FAILED, 1, "exec", NULL});
}

static void a_script_without_its_interpreter(void **state)
{
    (void)fails(
        pool_of_file("#!/no/such/interpreter\n"),
        (struct failure){SP_DEATH_REFUSED, SP_ERR_START_FAILED, 1, "exec", NULL});
}

static void a_folder_that_does_not_exist(void **state)
{
    sp_pool_options pool = pool_of_program("exits", NULL, 1);
    pool.working_dir = "/no/such/folder";
    (void)fails(pool, (struct failure){SP_DEATH_REFUSED, SP_ERR_START_FAILED, 1,
                                       "/no/such/folder", NULL});
}

/* ---- the adapter does not load ---- */

static void an_adapter_that_does_not_import(void **state)
{
    (void)fails(pool_of_adapter("import no_such_module_anywhere\n"),
                (struct failure){SP_DEATH_REFUSED, SP_ERR_START_FAILED, 1,
                                 "ModuleNotFoundError", "no_such_module_anywhere"});
}

static void an_adapter_that_is_no_python(void **state)
{
    (void)fails(pool_of_adapter("def python(:\n"),
                (struct failure){SP_DEATH_REFUSED, SP_ERR_START_FAILED, 1,
                                 "SyntaxError", "def python(:"});
}

static void an_adapter_that_raises_for_now(void **state)
{
    (void)fails(pool_of_adapter("from snakepit_bridge import BaseAdapter\n"
                                "class A(BaseAdapter):\n"
                                "    def initialize(self):\n"
                                "        raise OSError('no model server')\n"
                                "    def execute_echo(self, arguments):\n"
                                "        return arguments\n"),
                (struct failure){SP_DEATH_REFUSED, SP_ERR_START_FAILED, 0,
                                 "no model server", "in initialize"});
}

/* ---- it ends ---- */

static void an_exit_before_it_is_ready(void **state)
{
    struct noted noted =
        fails(pool_of_program("exits", "3", 1),
              (struct failure){SP_DEATH_CRASHED, SP_ERR_START_FAILED, 0,
                               "exited with status 3 before it was ready",
                               "line 30 before the end"});
    assert_int_equal(noted.exit_status, 3);
}

static void an_exit_that_says_never_again(void **state)
{
    struct noted noted = fails(pool_of_program("exits", "78", 1),
                               (struct failure){SP_DEATH_CRASHED, SP_ERR_START_FAILED,
                                                1, "exited with status 78", "line 30"});
    assert_int_equal(noted.exit_status, 78);
}

static void a_crash_before_it_is_ready(void **state)
{
    struct noted noted =
        fails(pool_of_program("exits", "abort", 1),
              (struct failure){SP_DEATH_CRASHED, SP_ERR_START_FAILED, 0,
                               "killed by SIGABRT", "line 30 before the end"});
    assert_int_equal(noted.signal, SIGABRT);
}

static void a_refusal_in_its_own_words(void **state)
{
    (void)fails(pool_of_program("refuses", "permanent", 1),
                (struct failure){SP_DEATH_REFUSED, SP_ERR_START_FAILED, 1,
                                 "NoLicence: the licence has run out", NULL});
    (void)fails(pool_of_program("refuses", "passing", 1),
                (struct failure){SP_DEATH_REFUSED, SP_ERR_START_FAILED, 0,
                                 "NoLicence: the licence has run out", NULL});
}

/* ---- it does not get ready ---- */

static void nothing_is_heard_of_it(void **state)
{
    sp_pool_options pool = pool_of_program("never_ready", NULL, 1);
    pool.init_timeout_ms = 150;
    (void)fails(pool, (struct failure){SP_DEATH_TOO_SLOW, SP_ERR_START_TIMEOUT, 0,
                                       "was not ready after 150 ms", "thinking about"});
}

static void a_stock_worker_never_listens(void **state)
{
    sp_pool_options pool = pool_of_program("never_ready", NULL, 1);
    pool.runtime = "grpc";
    pool.init_timeout_ms = 150;
    (void)fails(pool, (struct failure){SP_DEATH_TOO_SLOW, SP_ERR_START_TIMEOUT, 0,
                                       "was not ready after 150 ms", "thinking about"});
}

static void it_speaks_something_else(void **state)
{
    (void)fails(pool_of_program("garbage", "call", 1),
                (struct failure){SP_DEATH_PROTOCOL, SP_ERR_PROTOCOL, 0,
                                 "broke the protocol", NULL});
    (void)fails(pool_of_program("garbage", "host", 1),
                (struct failure){SP_DEATH_PROTOCOL, SP_ERR_PROTOCOL, 0,
                                 "broke the protocol", NULL});
}

static void it_speaks_another_version(void **state)
{
    (void)fails(pool_of_program("announces", "version", 1),
                (struct failure){SP_DEATH_REFUSED, SP_ERR_PROTOCOL, 1,
                                 "worker protocol version 99, this host speaks 1",
                                 "from the future"});
}

/* It is as ready as it can be. */
static void it_is_ready_twice(void **state)
{
    sp_pool_options pool = pool_of_program("announces", "twice", 1);
    pool.shutdown_grace_ms = 1;
    sp_pit *pit = pit_open_ready(&pool, 1);
    assert_int_equal(workers_in(pit, SP_WORKER_READY), 1);
    (void)event_await(pit, SP_EVENT_WORKER_OUTPUT, 1);
    assert_int_equal(event_count(SP_EVENT_WORKER_READY), 1);
    assert_int_equal(event_count(SP_EVENT_WORKER_DIED), 0);
}

/* ---- what callers are told, and when ---- */

static const sp_error *start_fails(const sp_pool_options *pool, int code,
                                   sp_pit **ret_pit)
{
    sp_pit *pit = pit_open(pool, 1);
    int rc = sp_pit_await_ready(pit, patience_ms(20000), last_error());
    if (rc != code) {
        fail_msg("waiting gave %s: %s", sp_error_name(rc), last_error()->message);
    }
    assert_int_equal(last_error()->code, code);
    *ret_pit = pit;
    return last_error();
}

static void an_adapter_that_does_not_import_fails_with_its_traceback(void **state)
{
    sp_pit *pit;
    sp_pool_options pool = pool_of_probes(2);
    pool.adapter = path_of_python("broken_import.py");
    const sp_error *err = start_fails(&pool, SP_ERR_START_FAILED, &pit);
    assert_has(err->message, "ModuleNotFoundError");
    assert_string_equal(err->remote_type, "ModuleNotFoundError");
    assert_has(err->remote_message, "a_module_that_nobody_has");
    assert_has(err->remote_trace, "broken_import.py");
    assert_has(err->worker_stderr, "a_module_that_nobody_has");
    /* Calls are told the same at once, and nothing is started in vain. */
    call_fails(pit, "add", "[1]", NULL, SP_ERR_START_FAILED);
    assert_has(last_error()->remote_trace, "broken_import.py");
    assert_int_equal(last_error()->executed, SP_EXECUTED_NO);
    assert_true(stats_of(pit).workers_started <= 2);
}

static void calls_made_before_the_failure_are_told_too(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.adapter = path_of_python("broken_import.py");
    sp_pit *pit = pit_open(&pool, 1);
    call_fails(pit, "add", "[1]", NULL, SP_ERR_START_FAILED);
    assert_has(last_error()->message, "ModuleNotFoundError");
}

static void an_adapter_without_a_class_of_that_name_is_refused(void **state)
{
    sp_pit *pit;
    char adapter[600];
    sp_pool_options pool = pool_of_probes(1);
    (void)snprintf(adapter, sizeof adapter, "%s:Nobody", path_of_python("probe.py"));
    pool.adapter = adapter;
    const sp_error *err = start_fails(&pool, SP_ERR_START_FAILED, &pit);
    assert_string_equal(err->remote_type, "AttributeError");
    assert_has(err->remote_message, "Nobody");
}

static void a_start_that_fails_for_now_is_tried_again(void **state)
{
    char variable[400];
    const char *set[] = {variable, NULL, NULL};
    sp_pool_options pool = pool_of_probes(1);
    (void)snprintf(variable, sizeof variable, "PROBE_MAY_START=%s", leak_path("may"));
    if (pool.env_set != NULL) {
        set[1] = pool.env_set[0];
    }
    pool.env_set = set;
    pool.adapter = path_of_python("broken_start.py");
    sp_pit *pit = pit_open(&pool, 1);
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 2);
    call_fails(pit, "ping", "", NULL, SP_ERR_START_FAILED);
    assert_string_equal(last_error()->remote_type, "ConnectionError");
    file_write(leak_path("may"), "");
    assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), 0);
    call_gives(pit, "ping", "", "\"pong\"");
}

static void a_worker_that_never_gets_ready_is_killed_and_quoted(void **state)
{
    sp_pit *pit;
    sp_pool_options pool = pool_of_program("never_ready", NULL, 1);
    pool.init_timeout_ms = 150;
    pool.queue_timeout_ms = patience_ms(30000);
    pit = pit_open(&pool, 1);
    /* On a busy machine the first ones may not have got as far as printing. */
    UNTIL(call_fails(pit, "x", "", NULL, SP_ERR_START_TIMEOUT)->worker_stderr != NULL);
    const sp_error *err = last_error();
    assert_has(err->message, "was not ready after 150 ms and was killed (state S");
    assert_string_equal(err->worker_stderr, "thinking about it\n");
    assert_int_equal(err->executed, SP_EXECUTED_NO);
    int rc = sp_pit_await_ready(pit, 50, last_error());
    assert_int_equal(rc, SP_ERR_NOT_READY);
    assert_has(last_error()->message, "0 of 1 workers are ready after 50 ms");
    assert_has(last_error()->message, "was not ready after 150 ms");
}

static void an_adapter_that_never_gets_ready_is_killed_too(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.adapter = path_of_python("slow_start.py");
    pool.init_timeout_ms = patience_ms(500);
    pool.queue_timeout_ms = patience_ms(30000);
    sp_pit *pit = pit_open(&pool, 1);
    UNTIL(call_fails(pit, "nothing", "", NULL, SP_ERR_START_TIMEOUT)->worker_stderr !=
          NULL);
    assert_has(last_error()->worker_stderr, "loading for ever");
}

static void a_worker_that_exits_before_it_is_ready_is_quoted(void **state)
{
    sp_pool_options pool = pool_of_program("exits", "3", 1);
    pool.queue_timeout_ms = patience_ms(30000);
    sp_pit *pit = pit_open(&pool, 1);
    const sp_error *err = call_fails(pit, "x", "", NULL, SP_ERR_START_FAILED);
    assert_has(err->message, "exited with status 3 before it was ready");
    assert_int_equal(err->worker_exit, 3);
    assert_has(err->worker_stderr, "line 30 before the end\n");
    assert_null(strstr(err->worker_stderr, "line 10 before")); /* the last ones only */
    /* It is tried again and again, later and later. */
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 3);
}

static void a_worker_that_exits_with_78_is_not_tried_again(void **state)
{
    sp_pit *pit;
    sp_pool_options pool = pool_of_program("exits", "78", 1);
    const sp_error *err = start_fails(&pool, SP_ERR_START_FAILED, &pit);
    assert_int_equal(err->worker_exit, 78);
    assert_int_equal(stats_of(pit).workers_started, 1);
}

static void a_worker_that_refuses_says_why(void **state)
{
    sp_pit *pit;
    sp_pool_options pool = pool_of_program("refuses", "permanent", 1);
    const sp_error *err = start_fails(&pool, SP_ERR_START_FAILED, &pit);
    assert_string_equal(err->message, "NoLicence: the licence has run out");
    assert_string_equal(err->remote_trace, "where: here\nwhy: so\n");
    call_fails(pit, "x", "", NULL, SP_ERR_START_FAILED);
    assert_int_equal(stats_of(pit).workers_started, 1);
}

static void a_worker_that_writes_garbage_at_its_start_is_killed(void **state)
{
    static const char *const where[] = {"call", "host"};
    for (size_t i = 0; i < COUNT_OF(where); i++) {
        sp_pool_options pool = pool_of_program("garbage", where[i], 1);
        pool.queue_timeout_ms = patience_ms(30000);
        sp_pit *pit = pit_open(&pool, 1);
        const sp_error *err = call_fails(pit, "x", "", NULL, SP_ERR_PROTOCOL);
        assert_has(err->message, "broke the protocol");
        assert_int_equal(err->executed, SP_EXECUTED_NO);
        pit_close(pit);
    }
}

static void a_missing_interpreter_fails_the_opening(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.python = "/no/such/python3";
    sp_pit_options pit_options = {
        .size = sizeof pit_options, .pools = &pool, .pools_count = 1};
    sp_pit *pit = NULL;
    assert_int_equal(sp_pit_open(&pit_options, &pit, last_error()), SP_ERR_NOT_FOUND);
    assert_string_equal(last_error()->message,
                        "pool default: /no/such/python3 is not an executable file");
    assert_null(pit);
    sp_error_clear(last_error());
}

static void an_interpreter_that_vanishes_fails_the_start(void **state)
{
    sp_pit *pit;
    char program[300];
    static const char *command[] = {NULL, NULL};
    (void)snprintf(program, sizeof program, "%s", leak_path("script"));
    FILE *file = fopen(program, "we");
    assert_non_null(file);
    (void)fputs("#!/no/such/interpreter\n", file); /* exists, cannot be run */
    (void)fclose(file);
    assert_int_equal(chmod(program, 0755), 0);
    command[0] = program;
    sp_pool_options pool = {
        .size = sizeof pool, .runtime = "exec", .command = command, .workers = 1};
    const sp_error *err = start_fails(&pool, SP_ERR_START_FAILED, &pit);
    assert_int_equal(err->os_errno, 2);
    assert_has(err->message, "No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_is_no_program),
        TEST(a_script_without_its_interpreter),
        TEST(a_folder_that_does_not_exist),
        TEST(an_adapter_that_does_not_import),
        TEST(an_adapter_that_is_no_python),
        TEST(an_adapter_that_raises_for_now),
        TEST(an_exit_before_it_is_ready),
        TEST(an_exit_that_says_never_again),
        TEST(a_crash_before_it_is_ready),
        TEST(a_refusal_in_its_own_words),
        TEST(nothing_is_heard_of_it),
        TEST(a_stock_worker_never_listens),
        TEST(it_speaks_something_else),
        TEST(it_speaks_another_version),
        TEST(it_is_ready_twice),
        TEST(an_adapter_that_does_not_import_fails_with_its_traceback),
        TEST(calls_made_before_the_failure_are_told_too),
        TEST(an_adapter_without_a_class_of_that_name_is_refused),
        TEST(a_start_that_fails_for_now_is_tried_again),
        TEST(a_worker_that_never_gets_ready_is_killed_and_quoted),
        TEST(an_adapter_that_never_gets_ready_is_killed_too),
        TEST(a_worker_that_exits_before_it_is_ready_is_quoted),
        TEST(a_worker_that_exits_with_78_is_not_tried_again),
        TEST(a_worker_that_refuses_says_why),
        TEST(a_worker_that_writes_garbage_at_its_start_is_killed),
        TEST(a_missing_interpreter_fails_the_opening),
        TEST(an_interpreter_that_vanishes_fails_the_start),
    };
    return RUN_SYSTEM_TESTS("starts", tests);
}
