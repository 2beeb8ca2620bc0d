/* SPDX-License-Identifier: MIT */
/*
 * Everything that can go wrong with a call or a worker: each has its own stable code and
 * a message with the facts, says truly whether user code ran, and the pool goes on.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pits.h"
#include "processes.h"

/* The pool answers as if nothing had been. */
static void goes_on(sp_pit *pit)
{
    call_gives(pit, "add", "[20,22]", "42");
}

static sp_call_options options(void)
{
    return (sp_call_options){.size = sizeof(sp_call_options)};
}

/* ---- refused before anything is sent ---- */

static void an_unknown_tool_is_refused_with_near_matches(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    const sp_error *err = call_fails(pit, "ecko", "", NULL, SP_ERR_NO_TOOL);
    assert_string_equal(err->message,
                        "pool default has no tool \"ecko\"; near matches: echo");
    assert_int_equal(err->executed, SP_EXECUTED_NO);
    assert_int_equal(err->attempts, 0);
    assert_string_equal(sp_error_name(err->code), "SP-NO-TOOL");
    assert_int_equal(stats_of(pit).requests, 0);
    goes_on(pit);
}

static void an_unknown_pool_is_refused_with_near_matches(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_call_options to = options();
    to.pool = "defualt";
    call_fails(pit, "add", "[1]", &to, SP_ERR_NO_POOL);
    assert_string_equal(last_error()->message,
                        "no pool \"defualt\"; near matches: default");
    sp_pool_stats stats;
    assert_int_equal(sp_pool_stats_get(pit, "x", &stats, NULL), SP_ERR_NO_POOL);
    assert_int_equal(sp_pool_workers_get(pit, "x", NULL, 0, NULL), SP_ERR_NO_POOL);
    assert_int_equal(sp_pool_tools_get(pit, "x", NULL, NULL, NULL), SP_ERR_NO_POOL);
    goes_on(pit);
}

static void bad_json_is_refused_with_its_place(void **state)
{
    static const char *const bad[] = {
        "{",     "[1,]", "{\"a\":}", "{'a':1}", "{a:1}", "[1 2]",
        "[01]",  "[1.]", "[\"\n\"]", "[tru]",   "[1]x",  "[\"\\x\"]",
        "[Nan]", "[\"",  "]",        "[1e]",    "[+1]"};
    sp_pit *pit = pit_of_probes(1);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        const sp_error *err = call_fails(pit, "echo", bad[i], NULL, SP_ERR_BAD_JSON);
        assert_has(err->message, "line ");
        assert_int_equal(err->executed, SP_EXECUTED_NO);
    }
    goes_on(pit);
}

static void invalid_utf8_is_refused(void **state)
{
    static const char *const bad[] = {"[\"\xff\"]",
                                      "[\"\xc3\"]",
                                      "[\"\xc0\x80\"]",
                                      "[\"\xed\xa0\x80\"]",
                                      "[\"\xf4\x90\x80\x80\"]",
                                      "{\"\x80\":1}"};
    sp_pit *pit = pit_of_probes(1);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        (void)call_fails(pit, "echo", bad[i], NULL, SP_ERR_BAD_JSON);
        assert_has(last_error()->message, "UTF-8");
    }
    goes_on(pit);
}

static void arguments_are_an_object_or_an_array(void **state)
{
    static const char *const bad[] = {"1", "\"text\"", "null", "true", " 5 "};
    sp_pit *pit = pit_of_probes(1);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        (void)call_fails(pit, "echo", bad[i], NULL, SP_ERR_BAD_ARGS);
    }
    goes_on(pit);
}

static void nesting_beyond_512_is_refused(void **state)
{
    char text[2100];
    sp_pit *pit = pit_of_probes(1);
    for (int depth = 1000; depth >= 512; depth -= 488) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = '\0';
        if (depth > 512) {
            call_fails(pit, "echo", text, NULL, SP_ERR_TOO_DEEP);
            assert_has(last_error()->message, "512");
        } else {
            (void)call(pit, "echo", text, NULL);
        }
    }
    goes_on(pit);
}

static void an_argument_over_the_limit_is_refused(void **state)
{
    char args[2001];
    sp_pool_options pool = pool_of_probes(1);
    pool.request_max_bytes = 1000;
    sp_pit *pit = pit_open_ready(&pool, 1);
    memset(args, ' ', sizeof args);
    memcpy(args, "[1,2]", 5);
    args[1000] = '\0';
    call_gives(pit, "add", args, "3");
    args[1000] = ' ';
    args[1001] = '\0';
    call_fails(pit, "add", args, NULL, SP_ERR_TOO_BIG);
    assert_string_equal(last_error()->message,
                        "the arguments have 1001 bytes, pool default "
                        "takes at most 1000 (request_max)");
    goes_on(pit);
}

static void a_result_over_the_limit_is_its_own_error(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.response_max_bytes = 10000;
    sp_pit *pit = pit_open_ready(&pool, 1);
    const sp_error *err = call_fails(pit, "text", "[20000]", NULL, SP_ERR_TOO_BIG);
    assert_int_not_equal(err->executed, SP_EXECUTED_NO);
    goes_on(pit);
}

/* ---- refused by the tool ---- */

static void wrong_arguments_are_told_apart_from_exceptions(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    const sp_error *err = call_fails(pit, "add", "{}", NULL, SP_ERR_BAD_ARGS);
    assert_string_equal(err->message, "tool add: argument \"a\" is missing");
    assert_int_equal(err->executed, SP_EXECUTED_NO);
    err = call_fails(pit, "add", "{\"a\":1,\"c\":2}", NULL, SP_ERR_BAD_ARGS);
    assert_string_equal(err->message, "tool add: there is no argument \"c\"; near "
                                      "matches: a, b");
    (void)call_fails(pit, "add", "[1,2,3]", NULL, SP_ERR_BAD_ARGS);
    err = call_fails(pit, "add", "{\"a\":1.5}", NULL, SP_ERR_BAD_ARGS);
    assert_string_equal(err->message,
                        "tool add: argument a must be a whole number, got 1.5");
    assert_int_equal(stats_of(pit).requests, 0); /* none of them came to the pool */
    (void)call_fails(pit, "where", "[1]", NULL, SP_ERR_BAD_ARGS); /* its worker says */
    assert_int_equal(stats_of(pit).errors, 1);
    goes_on(pit);
}

static void a_pool_may_leave_arguments_to_its_workers(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.check_args = SP_CHECK_NONE;
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)call_fails(pit, "add", "{}", NULL, SP_ERR_BAD_ARGS);
    (void)call_fails(pit, "add", "{\"a\":1,\"c\":2}", NULL, SP_ERR_BAD_ARGS);
    call_gives(pit, "add", "{\"a\":1.5}", "2.5");
    assert_int_equal(stats_of(pit).errors, 2);
}

static void a_pool_may_check_names_and_not_types(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.check_args = SP_CHECK_NAMES;
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)call_fails(pit, "add", "{}", NULL, SP_ERR_BAD_ARGS);
    call_gives(pit, "add", "{\"a\":1.5}", "2.5");
    assert_int_equal(stats_of(pit).errors, 0);
    pool.check_args = 3;
    sp_pit *other = NULL;
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    assert_int_equal(sp_pit_open(&options, &other, last_error()), SP_ERR_CONFIG);
    assert_has(last_error()->message, "check_args");
}

static void arguments_of_the_wrong_type_are_refused_by_the_tool(void **state)
{
    sp_pool_options pool = pool_of_showcases(1);
    sp_pit *pit = pit_open_ready(&pool, 1);
    const sp_error *err =
        call_fails(pit, "add", "{\"a\":\"two\",\"b\":3}", NULL, SP_ERR_BAD_ARGS);
    assert_has(err->message, "must be a number");
    (void)call_fails(pit, "compute", "{\"operation\":\"dance\",\"a\":1,\"b\":2}", NULL,
                     SP_ERR_BAD_ARGS);
    call_gives(pit, "add", "{\"a\":2,\"b\":3}", "{\"result\":5}");
}

static void an_exception_brings_type_message_and_traceback(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    const sp_error *err = call_fails(pit, "fail", "{\"message\":\"no \xc3\xa4pfel\"}",
                                     NULL, SP_ERR_REMOTE);
    assert_string_equal(err->remote_type, "ValueError");
    assert_string_equal(err->remote_message, "no \xc3\xa4pfel");
    assert_has(err->remote_trace, "Traceback (most recent call last)");
    assert_has(err->remote_trace, "probe.py");
    assert_has(err->message, "ValueError: no \xc3\xa4pfel");
    assert_int_equal(err->executed, SP_EXECUTED_YES);
    assert_int_equal(err->worker_pid, worker_at(pit, 0).pid);
    assert_int_equal(err->attempts, 1);
    goes_on(pit);
}

static void an_answer_that_is_no_json_is_told(void **state)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_result result = {0};
    int rc = sp_execute(pit, "bad_answer", sp_text(""), NULL, &result, last_error());
    /* The host forwards results without reading them; a caller that parses them will
     * see. What matters here: nothing breaks. */
    assert_true(rc == 0 || rc == SP_ERR_PROTOCOL || rc == SP_ERR_REMOTE);
    sp_result_clear(&result);
    call_gives(pit, "echo", "{\"a\":1}", "{\"a\":1}");
}

/* ---- time and room ---- */

static void a_full_queue_refuses_at_once(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.queue_max = 2;
    pool.queue_timeout_ms = patience_ms(30000);
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_id held = hold_start(pit, "h", NULL);
    sp_id first = call_start(pit, "add", "[1]", NULL);
    sp_id second = call_start(pit, "add", "[2]", NULL);
    const sp_error *err = call_fails(pit, "add", "[3]", NULL, SP_ERR_QUEUE_FULL);
    assert_string_equal(err->message,
                        "2 calls already wait in pool default, its limit (queue.max)");
    assert_int_equal(err->executed, SP_EXECUTED_NO);
    assert_int_equal(sp_error_is_retryable(err->code), 1);
    sp_pool_stats stats = stats_of(pit);
    assert_int_equal(stats.pool_saturated, 1);
    assert_int_equal(stats.queued, 2);
    assert_int_equal(stats.queued_peak, 2);
    assert_int_equal(stats.queue_max, 2);
    const struct seen *event = event_await(pit, SP_EVENT_POOL_SATURATED, 1);
    assert_string_equal(event->pool, "default");
    assert_in_range(event->time_unix_ms / 1000, (uint64_t)time(NULL) - 3600,
                    (uint64_t)time(NULL) + 1);
    hold_release("h");
    (void)call_wait(pit, held);
    assert_string_equal(call_wait(pit, first)->json, "2");
    assert_string_equal(call_wait(pit, second)->json, "3");
    goes_on(pit);
}

static void a_call_that_waits_too_long_leaves_the_queue(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.queue_timeout_ms = 50;
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_id held = hold_start(pit, "h", NULL);
    const sp_error *err = call_fails(pit, "add", "[1]", NULL, SP_ERR_QUEUE_TIMEOUT);
    assert_has(err->message, "no worker of pool default became free within");
    assert_has(err->message, "1 busy");
    assert_int_equal(err->executed, SP_EXECUTED_NO);
    assert_int_equal(err->attempts, 0);
    assert_int_equal(stats_of(pit).queue_timeouts, 1);
    assert_int_equal(stats_of(pit).queued, 0);
    hold_release("h");
    (void)call_wait(pit, held);
    goes_on(pit);
}

static void a_calls_own_queue_timeout_overrides_the_pools(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_call_options impatient = options();
    impatient.queue_timeout_ms = 30;
    sp_id held = hold_start(pit, "h", NULL);
    call_fails(pit, "add", "[1]", &impatient, SP_ERR_QUEUE_TIMEOUT);
    hold_release("h");
    (void)call_wait(pit, held);
}

static void a_call_that_runs_too_long_is_ended(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    sp_call_options brief = options();
    brief.timeout_ms = 100;
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("p"));
    const sp_error *err = call_fails(pit, "polite", args, &brief, SP_ERR_TIMEOUT);
    /* Host and worker keep the same deadline; either may be the one to tell. */
    assert_true(strstr(err->message, "did not end within 100 ms") != NULL ||
                strstr(err->message, "the deadline passed while the tool ran") != NULL);
    assert_int_not_equal(err->executed, SP_EXECUTED_NO);
    UNTIL(file_exists(leak_path("p.cleaned"))); /* it was interrupted, and cleaned up */
    assert_int_equal(stats_of(pit).call_timeouts, 1);
    goes_on(pit);
    assert_int_equal(stats_of(pit).workers_died, 0);
}

static void the_deadline_covers_queue_and_run_together(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_call_options brief = options();
    brief.timeout_ms = 60;
    sp_id held = hold_start(pit, "h", NULL);
    const sp_error *err = call_fails(pit, "add", "[1]", &brief, SP_ERR_TIMEOUT);
    assert_has(err->message, "it waited for a worker");
    assert_int_equal(err->executed, SP_EXECUTED_NO);
    hold_release("h");
    (void)call_wait(pit, held);
    goes_on(pit);
}

/* ---- cancelled ---- */

static void a_running_call_is_cancelled_and_cleans_up(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    int pid = worker_at(pit, 0).pid;
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("p"));
    sp_id id = call_start(pit, "polite", args, NULL);
    UNTIL(file_exists(leak_path("p")));
    assert_int_equal(sp_call_cancel(pit, id, last_error()), 0);
    const sp_error *err = call_wait_fails(pit, id, SP_ERR_CANCELLED);
    assert_int_equal(err->executed, SP_EXECUTED_UNKNOWN);
    UNTIL(file_exists(leak_path("p.cleaned")));
    goes_on(pit);
    assert_int_equal(worker_at(pit, 0).pid, pid);
    assert_int_equal(stats_of(pit).cancelled, 1);
}

static void a_waiting_call_is_cancelled_in_the_queue(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_id held = hold_start(pit, "h", NULL);
    sp_id id = call_start(pit, "add", "[1]", NULL);
    assert_int_equal(sp_call_cancel(pit, id, NULL), 0);
    const sp_error *err = call_wait_fails(pit, id, SP_ERR_CANCELLED);
    assert_int_equal(err->executed, SP_EXECUTED_NO);
    assert_int_equal(err->attempts, 0);
    hold_release("h");
    (void)call_wait(pit, held);
}

static void a_waiting_call_follows_a_cancelled_one(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_id held = hold_start(pit, "h", NULL);
    sp_id next = call_start(pit, "add", "[1]", NULL);
    assert_int_equal(sp_call_cancel(pit, held, NULL), 0);
    call_wait_fails(pit, held, SP_ERR_CANCELLED);
    assert_string_equal(call_wait(pit, next)->json, "2");
    assert_int_equal(stats_of(pit).workers_died, 0);
}

static void cancelling_what_has_ended_is_no_error(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_id id = call_start(pit, "add", "[1]", NULL);
    assert_string_equal(call_wait(pit, id)->json, "2");
    assert_int_equal(sp_call_cancel(pit, id, last_error()), 0);
    assert_int_equal(sp_call_cancel(pit, 999999, last_error()), 0);
    assert_int_equal(sp_call_cancel(pit, 0, last_error()), 0);
    goes_on(pit);
    assert_int_equal(stats_of(pit).cancelled, 0);
}

static void a_call_that_does_not_stop_costs_its_worker(void **state)
{
    char args[400];
    sp_pool_options pool = pool_of_probes(1);
    pool.cancel_grace_ms = 200;
    sp_pit *pit = pit_open_ready(&pool, 1);
    int pid = worker_at(pit, 0).pid;
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("p"));
    sp_id id = call_start(pit, "stubborn", args, NULL);
    UNTIL(file_exists(leak_path("p")));
    assert_int_equal(sp_call_cancel(pit, id, NULL), 0);
    call_wait_fails(pit, id, SP_ERR_CANCELLED); /* at once, whatever the worker does */
    const struct seen *event = event_await(pit, SP_EVENT_WORKER_DIED, 1);
    assert_int_equal(event->pid, pid);
    assert_has(event->message, "went on with a cancelled call for 200 ms");
    goes_on(pit);
    assert_int_not_equal(worker_at(pit, 0).pid, pid);
    assert_int_equal(worker_at(pit, 0).restarts, 1);
}

/* ---- workers that die in a call ---- */

static void a_worker_that_exits_is_told_with_status_and_last_words(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    int pid = worker_at(pit, 0).pid;
    const sp_error *err =
        call_fails(pit, "end", "{\"status\":7,\"line\":\"out of cheese\"}", NULL,
                   SP_ERR_WORKER_DIED);
    assert_int_equal(err->worker_pid, pid);
    assert_int_equal(err->worker_exit, 7);
    assert_int_equal(err->worker_signal, 0);
    assert_has(err->message, "exited with status 7");
    assert_has(err->worker_stderr, "out of cheese\n");
    assert_int_equal(err->executed, SP_EXECUTED_UNKNOWN);
    assert_int_equal(err->attempts, 1);
    const struct seen *event = event_await(pit, SP_EVENT_WORKER_DIED, 1);
    assert_int_equal(event->exit_status, 7);
    assert_int_equal(event->pid, pid);
    goes_on(pit);
    assert_int_equal(stats_of(pit).workers_died, 1);
}

static void a_worker_that_crashes_is_told_with_its_signal(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    const sp_error *err = call_fails(pit, "crash", "", NULL, SP_ERR_WORKER_DIED);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_int_equal(err->worker_signal, SIGSEGV);
    assert_int_equal(err->worker_exit, -1);
    assert_has(err->message, "SIGSEGV");
    assert_has(err->worker_stderr, "in crash"); /* where it was, in Python's words */
#else
    assert_int_equal(err->executed, SP_EXECUTED_UNKNOWN);
#endif
    goes_on(pit);
}

static void a_worker_that_is_killed_from_outside_is_replaced(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    int pid = worker_at(pit, 0).pid;
    sp_id held = hold_start(pit, "h", NULL);
    assert_int_equal(kill(pid, SIGKILL), 0);
    const sp_error *err = call_wait_fails(pit, held, SP_ERR_WORKER_DIED);
    assert_int_equal(err->worker_signal, SIGKILL);
    assert_int_equal(err->worker_pid, pid);
    goes_on(pit);
}

static void an_idle_worker_that_dies_is_replaced(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    goes_on(pit);
    int pid = worker_at(pit, 0).pid;
    assert_int_equal(kill(pid, SIGTERM), 0); /* it ends in good order, but unasked */
    const struct seen *event = event_await(pit, SP_EVENT_WORKER_DIED, 1);
    assert_int_equal(event->pid, pid);
    assert_int_equal(event->exit_status, 0);
    (void)event_await(pit, SP_EVENT_WORKER_READY, 2);
    goes_on(pit);
    assert_int_not_equal(worker_at(pit, 0).pid, pid);
}

static void a_worker_that_hangs_with_the_lock_held_is_killed(void **state)
{
    skip_where_signals_wait();
    char args[400];
    sp_pool_options pool = pool_of_probes(1);
    pool.cancel_grace_ms = 150;
    sp_pit *pit = pit_open_ready(&pool, 1);
    int pid = worker_at(pit, 0).pid;
    sp_call_options brief = options();
    brief.timeout_ms = patience_ms(300);
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("p"));
    call_fails(pit, "hang", args, &brief, SP_ERR_TIMEOUT);
    assert_int_not_equal(last_error()->executed, SP_EXECUTED_NO);
    const struct seen *event = event_await(pit, SP_EVENT_WORKER_DIED, 1);
    assert_int_equal(event->pid, pid);
    assert_int_equal(event->signal, SIGTERM); /* the second one: see test_hangs.c */
    goes_on(pit);
}

static void a_busy_worker_answers_its_health_checks(void **state)
{
    char args[400];
    sp_pool_options pool = pool_of_probes(1);
    pool.health_interval_ms = patience_ms(200);
    pool.cancel_grace_ms = 150;
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("p"));
    sp_call_options brief = options();
    brief.timeout_ms = patience_ms(1500); /* some checks, while it holds the lock */
    call_fails(pit, "hang", args, &brief, SP_ERR_TIMEOUT);
    assert_int_equal(event_count(SP_EVENT_HEALTH_FAILED), 0);
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 1);
    assert_int_equal(event_count(SP_EVENT_HEALTH_FAILED), 0);
    goes_on(pit);
}

static void a_stopped_worker_fails_its_health_check(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.health_interval_ms = patience_ms(100);
    sp_pit *pit = pit_open_ready(&pool, 1);
    const sp_error *err = call_fails(pit, "stop_itself", "", NULL, SP_ERR_WORKER_DIED);
    assert_has(err->message, "gave no sign of life");
    assert_has(err->message, "state T (stopped)");
    assert_has(err->message, "was killed");
    assert_int_equal(err->worker_signal, SIGKILL);
    (void)event_await(pit, SP_EVENT_HEALTH_FAILED, 1);
    goes_on(pit);
}

static void garbage_on_the_connection_breaks_the_protocol(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    int pid = worker_at(pit, 0).pid;
    const sp_error *err = call_fails(pit, "garbage", "", NULL, SP_ERR_PROTOCOL);
    assert_int_equal(err->worker_pid, pid);
    assert_has(err->message, "broke the protocol");
    assert_int_equal(err->executed, SP_EXECUTED_UNKNOWN);
    goes_on(pit);
    assert_int_not_equal(worker_at(pit, 0).pid, pid);
}

static void a_flood_of_output_stops_nobody(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    size_t before = processes_resident_bytes();
    sp_call_options patient = options();
    patient.timeout_ms = patience_ms(50000);
    const char *json = call(pit, "flood", "[100]", &patient)->json;
    assert_string_equal(json, "100");
    goes_on(pit);
    (void)event_await(pit, SP_EVENT_WORKER_OUTPUT, 1);
    assert_true(event_count(SP_EVENT_WORKER_OUTPUT) <= 8000); /* of a million lines */
    assert_true(processes_resident_bytes() < before + (64u << 20));
}

static void what_a_worker_prints_is_told(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    (void)call(pit, "say", "[\"hello from below\"]", NULL);
    const struct seen *event = event_await(pit, SP_EVENT_WORKER_OUTPUT, 1);
    assert_string_equal(event->message, "hello from below");
    assert_int_equal(event->pid, worker_at(pit, 0).pid);
}

/* ---- sent again ---- */

static void an_idempotent_call_is_sent_again(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    sp_call_options again = options();
    again.flags = SP_CALL_IDEMPOTENT;
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("once"));
    const sp_result *result = call(pit, "end_once", args, &again);
    assert_string_equal(result->json, "\"survived\"");
    assert_int_equal(result->attempts, 2);
    assert_int_equal(result->worker_pid, worker_at(pit, 0).pid);
    assert_int_equal(stats_of(pit).retried, 1);
    assert_int_equal(stats_of(pit).errors, 0);
}

static void other_calls_that_ran_are_not(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("once"));
    const sp_error *err = call_fails(pit, "end_once", args, NULL, SP_ERR_WORKER_DIED);
    assert_int_equal(err->executed, SP_EXECUTED_UNKNOWN);
    assert_int_equal(err->attempts, 1);
    assert_int_equal(stats_of(pit).retried, 0);
}

/* A worker that says that it runs four calls at once gets four, and runs one. When it
 * dies, those behind have not begun, and nobody sees more than a short delay. */
static void calls_that_had_not_begun_are_sent_again(void **state)
{
    char args[400];
    sp_id waiting[8];
    sp_pool_options pool = pool_of_program("plain", "wide", 1);
    pool.profile = SP_PROFILE_THREAD;
    pool.threads = 4;
    pool.queue_timeout_ms = patience_ms(20000);
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_id held = call_start(pit, "end", hold_args("h", args, sizeof args), NULL);
    hold_await("h");
    for (size_t i = 0; i < COUNT_OF(waiting); i++) {
        waiting[i] = call_start(pit, "echo", "[1]", NULL);
    }
    assert_int_equal(worker_at(pit, 0).in_flight, 4);
    assert_int_equal(worker_at(pit, 0).capacity, 4);
    assert_int_equal(stats_of(pit).capacity, 4);
    assert_int_equal(stats_of(pit).profile, SP_PROFILE_THREAD);
    assert_int_equal(stats_of(pit).capacity_reached, 1);
    assert_int_equal(stats_of(pit).queued, COUNT_OF(waiting) - 3);
    hold_release("h");
    const sp_error *err = call_wait_fails(pit, held, SP_ERR_WORKER_DIED);
    assert_int_equal(err->executed, SP_EXECUTED_UNKNOWN);
    assert_int_equal(err->worker_exit, 6);
    for (size_t i = 0; i < COUNT_OF(waiting); i++) {
        const sp_result *result = call_wait(pit, waiting[i]);
        assert_string_equal(result->json, "[1]");
        assert_int_equal(result->attempts, i < 3 ? 2 : 1);
    }
    assert_int_equal(stats_of(pit).retried, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unknown_tool_is_refused_with_near_matches),
        TEST(an_unknown_pool_is_refused_with_near_matches),
        TEST(bad_json_is_refused_with_its_place),
        TEST(invalid_utf8_is_refused),
        TEST(arguments_are_an_object_or_an_array),
        TEST(nesting_beyond_512_is_refused),
        TEST(an_argument_over_the_limit_is_refused),
        TEST(a_result_over_the_limit_is_its_own_error),
        TEST(wrong_arguments_are_told_apart_from_exceptions),
        TEST(a_pool_may_leave_arguments_to_its_workers),
        TEST(a_pool_may_check_names_and_not_types),
        TEST(arguments_of_the_wrong_type_are_refused_by_the_tool),
        TEST(an_exception_brings_type_message_and_traceback),
        TEST(an_answer_that_is_no_json_is_told),
        TEST(a_full_queue_refuses_at_once),
        TEST(a_call_that_waits_too_long_leaves_the_queue),
        TEST(a_calls_own_queue_timeout_overrides_the_pools),
        TEST(a_call_that_runs_too_long_is_ended),
        TEST(the_deadline_covers_queue_and_run_together),
        TEST(a_running_call_is_cancelled_and_cleans_up),
        TEST(a_waiting_call_is_cancelled_in_the_queue),
        TEST(a_waiting_call_follows_a_cancelled_one),
        TEST(cancelling_what_has_ended_is_no_error),
        TEST(a_call_that_does_not_stop_costs_its_worker),
        TEST(a_worker_that_exits_is_told_with_status_and_last_words),
        TEST(a_worker_that_crashes_is_told_with_its_signal),
        TEST(a_worker_that_is_killed_from_outside_is_replaced),
        TEST(an_idle_worker_that_dies_is_replaced),
        TEST(a_worker_that_hangs_with_the_lock_held_is_killed),
        TEST(a_busy_worker_answers_its_health_checks),
        TEST(a_stopped_worker_fails_its_health_check),
        TEST(garbage_on_the_connection_breaks_the_protocol),
        TEST(a_flood_of_output_stops_nobody),
        TEST(what_a_worker_prints_is_told),
        TEST(an_idempotent_call_is_sent_again),
        TEST(other_calls_that_ran_are_not),
        TEST(calls_that_had_not_begun_are_sent_again),
    };
    return RUN_SYSTEM_TESTS("errors", tests);
}
