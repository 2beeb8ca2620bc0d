/* SPDX-License-Identifier: MIT */
/*
 * What a caller is told of a call that failed, one test for each situation: the status,
 * whether user code ran, how far the call had come, and whether it may be sent again.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "pits.h"
#include "processes.h"

/* gRPC's numbers. */
enum {
    CANCELLED = 1,
    UNKNOWN = 2,
    INVALID_ARGUMENT = 3,
    DEADLINE_EXCEEDED = 4,
    RESOURCE_EXHAUSTED = 8,
    FAILED_PRECONDITION = 9,
    ABORTED = 10,
    INTERNAL = 13,
    UNAVAILABLE = 14
};

struct verdict {
    int status;
    int executed;
    int stage;
    int retryable;
    int has_pushback; /* it may be sent again by a client that knows nothing of us */
};

static void check(const sp_error *err, struct verdict expected)
{
    struct verdict got = {.status = sp_error_status(err),
                          .executed = err->executed,
                          .stage = err->stage,
                          .retryable = err->retryable,
                          .has_pushback = sp_error_pushback_ms(err) >= 0};
    if (memcmp(&got, &expected, sizeof got) != 0) {
        fail_msg("%s: status %d executed %d stage %d retryable %d pushback %d, "
                 "expected %d %d %d %d %d",
                 err->message, got.status, got.executed, got.stage, got.retryable,
                 got.has_pushback, expected.status, expected.executed, expected.stage,
                 expected.retryable, expected.has_pushback);
    }
}

#define NO SP_EXECUTED_NO
#define MAYBE SP_EXECUTED_UNKNOWN
#define YES SP_EXECUTED_YES

/* ---- it did not run ---- */

static void the_queue_is_full(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.queue_max = 1;
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_id held = hold_start(pit, "h", NULL);
    sp_id waiting = call_start(pit, "echo", "[1]", NULL);
    const sp_error *err = call_fails(pit, "echo", "[2]", NULL, SP_ERR_QUEUE_FULL);
    check(err, (struct verdict){RESOURCE_EXHAUSTED, NO, SP_STAGE_QUEUED, 1, 1});
    assert_true(err->retry_after_ms > 0);
    hold_release("h");
    (void)call_wait(pit, held);
    (void)call_wait(pit, waiting);
}

static void the_breaker_is_open(void **state)
{
    sp_pool_options pool = pool_of_program("exits", NULL, 1);
    pool.backoff_min_ms = pool.backoff_max_ms = 1;
    pool.probe_interval_ms = 600000;
    sp_pit *pit = pit_open(&pool, 1);
    (void)event_await(pit, SP_EVENT_BREAKER_OPENED, 1);
    const sp_error *err = call_fails(pit, "echo", "[]", NULL, SP_ERR_BREAKER_OPEN);
    check(err, (struct verdict){UNAVAILABLE, NO, SP_STAGE_QUEUED, 1, 1});
    assert_true(err->retry_after_ms > 0);
}

static void no_worker_can_be_started(void **state)
{
    sp_pool_options pool = pool_of_program("refuses", "permanent", 1);
    sp_pit *pit = pit_open(&pool, 1);
    const sp_error *err = call_fails(pit, "echo", "[]", NULL, SP_ERR_START_FAILED);
    check(err, (struct verdict){UNAVAILABLE, NO, SP_STAGE_QUEUED, 1, 1});
}

static void no_more_calls_are_taken(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    assert_int_equal(sp_pit_drain(pit, SP_UNLIMITED, last_error()), 0);
    const sp_error *err = call_fails(pit, "echo", "[]", NULL, SP_ERR_CLOSED);
    assert_int_equal(sp_error_status(err), UNAVAILABLE);
    assert_int_equal(err->executed, NO);
    assert_int_equal(err->retryable, 0); /* not here */
    assert_true(sp_error_pushback_ms(err) >= 0);
}

static void its_time_was_over_in_the_queue(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_id held = hold_start(pit, "h", NULL);
    sp_call_options in = {.size = sizeof in, .timeout_ms = 30};
    check(call_fails(pit, "echo", "[1]", &in, SP_ERR_TIMEOUT),
          (struct verdict){DEADLINE_EXCEEDED, NO, SP_STAGE_QUEUED, 1, 1});
    in = (sp_call_options){.size = sizeof in, .queue_timeout_ms = 30};
    check(call_fails(pit, "echo", "[1]", &in, SP_ERR_QUEUE_TIMEOUT),
          (struct verdict){DEADLINE_EXCEEDED, NO, SP_STAGE_QUEUED, 1, 1});
    hold_release("h");
    (void)call_wait(pit, held);
}

static void it_was_cancelled_in_the_queue(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_id held = hold_start(pit, "h", NULL);
    sp_id waiting = call_start(pit, "echo", "[1]", NULL);
    assert_int_equal(sp_call_cancel(pit, waiting, NULL), 0);
    check(call_wait_fails(pit, waiting, SP_ERR_CANCELLED),
          (struct verdict){CANCELLED, NO, SP_STAGE_QUEUED, 0, 0});
    hold_release("h");
    (void)call_wait(pit, held);
}

/* The one in front of it died with the worker; it had been sent and had not begun. */
static void its_worker_was_lost_before_it_began(void **state)
{
    char args[400];
    sp_pool_options pool = pool_of_program("plain", "wide", 1);
    pool.profile = SP_PROFILE_THREAD;
    pool.threads = 2;
    pool.attempts_max = 1;
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_id held = call_start(pit, "end", hold_args("h", args, sizeof args), NULL);
    hold_await("h");
    sp_id behind = call_start(pit, "echo", "[1]", NULL);
    UNTIL(worker_at(pit, 0).in_flight == 2);
    hold_release("h");
    check(call_wait_fails(pit, behind, SP_ERR_WORKER_DIED),
          (struct verdict){UNAVAILABLE, NO, SP_STAGE_SENT, 1, 1});
    check(call_wait_fails(pit, held, SP_ERR_WORKER_DIED),
          (struct verdict){ABORTED, MAYBE, SP_STAGE_STARTED, 0, 0});
}

static void the_arguments_are_no_json(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    const sp_error *err = call_fails(pit, "echo", "{", NULL, SP_ERR_BAD_JSON);
    check(err, (struct verdict){INVALID_ARGUMENT, NO, SP_STAGE_NONE, 0, 0});
}

static void the_arguments_are_too_large(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.request_max_bytes = 10;
    sp_pit *pit = pit_open_ready(&pool, 1);
    const sp_error *err =
        call_fails(pit, "echo", "[\"0123456789\"]", NULL, SP_ERR_TOO_BIG);
    check(err, (struct verdict){RESOURCE_EXHAUSTED, NO, SP_STAGE_NONE, 0, 0});
    assert_has(err->message, "10");
}

/* ---- it may have run ---- */

static void its_worker_died_while_it_ran(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    const sp_error *err = call_fails(pit, "end", "[3]", NULL, SP_ERR_WORKER_DIED);
    check(err, (struct verdict){ABORTED, MAYBE, SP_STAGE_STARTED, 0, 0});
    assert_int_equal(err->attempts, 1);
    assert_true(err->worker != 0 && err->worker_pid > 0);
    assert_int_equal(err->worker_exit, 3);
}

/* The caller said that it may run twice, so it may send it again itself. */
static void its_worker_died_and_it_is_idempotent(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.attempts_max = 1;
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_call_options in = {.size = sizeof in, .flags = SP_CALL_IDEMPOTENT};
    check(call_fails(pit, "end", "[3]", &in, SP_ERR_WORKER_DIED),
          (struct verdict){ABORTED, MAYBE, SP_STAGE_STARTED, 1, 1});
}

static void it_ended_every_worker_that_ran_it(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_call_options in = {.size = sizeof in, .flags = SP_CALL_IDEMPOTENT};
    const sp_error *err = call_fails(pit, "end", "[3]", &in, SP_ERR_POISON);
    check(err, (struct verdict){FAILED_PRECONDITION, MAYBE, SP_STAGE_STARTED, 0, 0});
    assert_int_equal(err->attempts, 2);
}

static void its_stream_broke_off(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_stream *stream;
    sp_chunk chunk;
    /* Once a chunk was seen not even an idempotent one is begun again. */
    sp_call_options in = {.size = sizeof in, .flags = SP_CALL_IDEMPOTENT};
    assert_int_equal(
        sp_stream_open(pit, "dying", sp_text("[1]"), &in, &stream, last_error()), 0);
    assert_int_equal(sp_stream_next(stream, &chunk, last_error()), 1);
    assert_int_equal(sp_stream_next(stream, &chunk, last_error()), SP_ERR_WORKER_DIED);
    check(last_error(), (struct verdict){ABORTED, MAYBE, SP_STAGE_STREAMING, 1, 1});
    assert_int_equal(last_error()->chunks, 1);
    assert_int_equal(last_error()->attempts, 1);
    sp_stream_close(stream);
}

static void its_time_was_over_while_it_ran(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    sp_call_options in = {.size = sizeof in, .timeout_ms = patience_ms(500)};
    check(
        call_fails(pit, "hold", hold_args("h", args, sizeof args), &in, SP_ERR_TIMEOUT),
        (struct verdict){DEADLINE_EXCEEDED, MAYBE, SP_STAGE_STARTED, 0, 0});
}

static void it_was_cancelled_while_it_ran(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_id held = hold_start(pit, "h", NULL);
    assert_int_equal(sp_call_cancel(pit, held, NULL), 0);
    check(call_wait_fails(pit, held, SP_ERR_CANCELLED),
          (struct verdict){CANCELLED, MAYBE, SP_STAGE_STARTED, 0, 0});
}

static void check_closed(const sp_reply *reply, void *user_data)
{
    ++*(int *)user_data;
    assert_non_null(reply->error);
    assert_int_equal(reply->error->code, SP_ERR_CLOSED);
    check(reply->error, (struct verdict){ABORTED, MAYBE, SP_STAGE_STARTED, 0, 0});
}

static void the_pit_was_closed_while_it_ran(void **state)
{
    int told = 0;
    sp_pit *pit = pit_of_probes(1);
    hold_start_telling(pit, "h", check_closed, &told);
    pit_close(pit);
    assert_int_equal(told, 1);
}

static void the_guard_was_killed_while_it_ran(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    pid_t guard = 0;
    sp_id held = hold_start(pit, "h", NULL);
    sp_id waiting = call_start(pit, "echo", "[1]", NULL);
    assert_int_equal(processes_children(&guard, 1), 1);
    assert_int_equal(kill(guard, SIGKILL), 0);
    check(call_wait_fails(pit, held, SP_ERR_GUARD),
          (struct verdict){ABORTED, MAYBE, SP_STAGE_STARTED, 0, 0});
    (void)call_wait(pit, waiting); /* it had not begun */
}

static void the_worker_broke_the_protocol(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    check(call_fails(pit, "garbage", "[]", NULL, SP_ERR_PROTOCOL),
          (struct verdict){INTERNAL, MAYBE, SP_STAGE_STARTED, 0, 0});
}

/* ---- it ran ---- */

static void the_tool_raised_an_exception(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    const sp_error *err = call_fails(pit, "fail", "[\"oh\"]", NULL, SP_ERR_REMOTE);
    check(err, (struct verdict){UNKNOWN, YES, SP_STAGE_STARTED, 0, 0});
    assert_string_equal(err->remote_type, "ValueError");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_queue_is_full),
        TEST(the_breaker_is_open),
        TEST(no_worker_can_be_started),
        TEST(no_more_calls_are_taken),
        TEST(its_time_was_over_in_the_queue),
        TEST(it_was_cancelled_in_the_queue),
        TEST(its_worker_was_lost_before_it_began),
        TEST(the_arguments_are_no_json),
        TEST(the_arguments_are_too_large),
        TEST(its_worker_died_while_it_ran),
        TEST(its_worker_died_and_it_is_idempotent),
        TEST(it_ended_every_worker_that_ran_it),
        TEST(its_stream_broke_off),
        TEST(its_time_was_over_while_it_ran),
        TEST(it_was_cancelled_while_it_ran),
        TEST(the_pit_was_closed_while_it_ran),
        TEST(the_guard_was_killed_while_it_ran),
        TEST(the_worker_broke_the_protocol),
        TEST(the_tool_raised_an_exception),
    };
    return RUN_SYSTEM_TESTS("semantics", tests);
}
