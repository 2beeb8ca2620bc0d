/* SPDX-License-Identifier: MIT */
/* Calls with a name: asked about later, and not done twice. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "pits.h"

static sp_call_options named(const char *request_id, const char *dedupe_key)
{
    return (sp_call_options){.size = sizeof(sp_call_options),
                             .request_id = request_id,
                             .dedupe_key = dedupe_key};
}

static sp_outcome outcome_of(sp_pit *pit, const char *request_id)
{
    sp_outcome outcome;
    assert_int_equal(sp_call_outcome(pit, request_id, &outcome, NULL, NULL), 0);
    return outcome;
}

/* ---- asking ---- */

static void a_call_that_was_never_seen_is_unknown(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    assert_int_equal(outcome_of(pit, "nobody").state, SP_OUTCOME_UNKNOWN);
    sp_outcome outcome;
    assert_int_equal(sp_call_outcome(NULL, "x", &outcome, NULL, NULL), SP_ERR_INVAL);
    assert_int_equal(sp_call_outcome(pit, NULL, &outcome, NULL, NULL), SP_ERR_INVAL);
}

static void a_call_can_be_followed_from_the_queue_to_its_result(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_id held = hold_start(pit, "first", NULL);
    sp_call_options in = named("id-1", NULL);
    sp_id waiting = call_start(pit, "echo", "[5]", &in);
    assert_int_equal(outcome_of(pit, "id-1").state, SP_OUTCOME_QUEUED);
    assert_int_equal(outcome_of(pit, "id-1").executed, SP_EXECUTED_NO);
    hold_release("first");
    (void)call_wait(pit, held);
    (void)call_wait(pit, waiting);
    sp_outcome outcome;
    sp_result result;
    assert_int_equal(sp_call_outcome(pit, "id-1", &outcome, &result, last_error()), 0);
    assert_int_equal(outcome.state, SP_OUTCOME_DONE);
    assert_int_equal(outcome.executed, SP_EXECUTED_YES);
    assert_int_equal(outcome.call, waiting);
    assert_int_equal(outcome.attempts, 1);
    assert_true(outcome.has_result);
    assert_string_equal(result.json, "5");
    sp_result_clear(&result);
}

static void a_running_call_may_have_executed(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_call_options in = named("id-2", NULL);
    sp_id held = hold_start(pit, "second", &in);
    assert_int_equal(outcome_of(pit, "id-2").state, SP_OUTCOME_RUNNING);
    assert_int_equal(outcome_of(pit, "id-2").executed, SP_EXECUTED_UNKNOWN);
    hold_release("second");
    (void)call_wait(pit, held);
}

static void a_failure_is_known_with_its_words(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_call_options in = named("id-3", NULL);
    (void)call_fails(pit, "fail", "[\"no luck\"]", &in, SP_ERR_REMOTE);
    sp_outcome outcome;
    sp_error error = {0};
    assert_int_equal(sp_call_outcome(pit, "id-3", &outcome, NULL, &error), 0);
    assert_int_equal(outcome.state, SP_OUTCOME_FAILED);
    assert_int_equal(outcome.error, SP_ERR_REMOTE);
    assert_int_equal(outcome.executed, SP_EXECUTED_YES);
    assert_has(error.message, "no luck");
    sp_error_clear(&error);
}

static void an_outcome_is_forgotten_in_time(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    sp_pit_options options = {
        .size = sizeof options, .pools = &pool, .pools_count = 1, .outcome_keep_ms = 1};
    sp_pit *pit = NULL;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), 0);
    pit_adopt(pit);
    sp_call_options in = named("id-4", NULL);
    (void)call(pit, "echo", "[1]", &in);
    while (outcome_of(pit, "id-4").state != SP_OUTCOME_UNKNOWN) {
        (void)call(pit, "echo", "[2]", NULL);
    }
}

/* ---- not twice ---- */

static void a_key_that_ran_gives_its_first_result(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_call_options in = named(NULL, "key-1");
    char first[64];
    (void)snprintf(first, sizeof first, "%s", call(pit, "echo", "[6]", &in)->json);
    uint64_t before = stats_of(pit).requests;
    assert_string_equal(call(pit, "echo", "[7]", &in)->json, first);
    assert_int_equal(stats_of(pit).requests, before); /* no pool saw it */
}

static void the_same_work_at_once_is_done_once(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    sp_call_options in = named(NULL, "key-2");
    char args[400];
    sp_id first = hold_start(pit, "shared", &in);
    sp_id second = call_start(pit, "hold", hold_args("shared", args, sizeof args), &in);
    sp_id third = call_start(pit, "hold", hold_args("shared", args, sizeof args), &in);
    assert_int_equal(sp_call_cancel(pit, third, NULL), 0);
    assert_int_equal(call_wait_fails(pit, third, SP_ERR_CANCELLED)->executed,
                     SP_EXECUTED_UNKNOWN);
    hold_release("shared");
    char json[64];
    (void)snprintf(json, sizeof json, "%s", call_wait(pit, first)->json);
    assert_string_equal(call_wait(pit, second)->json, json);
    assert_int_equal(stats_of(pit).requests, 1);
}

static void who_follows_waits_no_longer_than_it_would_for_itself(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_call_options in = named(NULL, "key-3");
    char args[400];
    sp_id first = hold_start(pit, "slow", &in);
    in.timeout_ms = 20;
    const sp_error *error = call_fails(
        pit, "hold", hold_args("slow", args, sizeof args), &in, SP_ERR_TIMEOUT);
    assert_has(error->message, "same dedupe_key");
    hold_release("slow");
    (void)call_wait(pit, first);
}

/* What ran nothing is not remembered: the next one with the key does the work. */
static void a_failure_that_ran_nothing_leaves_the_key_free(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_call_options in = named(NULL, "key-4");
    sp_id busy = hold_start(pit, "busy", NULL);
    sp_id first = call_start(pit, "echo", "[8]", &in);
    sp_id second = call_start(pit, "echo", "[9]", &in);
    assert_int_equal(sp_call_cancel(pit, first, NULL), 0);
    (void)call_wait_fails(pit, first, SP_ERR_CANCELLED);
    hold_release("busy");
    (void)call_wait(pit, busy);
    assert_string_equal(call_wait(pit, second)->json, "9");
}

static void a_failure_that_ran_is_remembered(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_call_options in = named(NULL, "key-5");
    (void)call_fails(pit, "fail", "[\"once\"]", &in, SP_ERR_REMOTE);
    const sp_error *error = call_fails(pit, "fail", "[\"twice\"]", &in, SP_ERR_REMOTE);
    assert_has(error->message, "once");
}

static void closing_ends_those_that_follow_too(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_call_options in = named(NULL, "key-6");
    char args[400];
    (void)hold_start(pit, "closing", &in);
    (void)call_start(pit, "hold", hold_args("closing", args, sizeof args), &in);
    pit_close(pit);
}

static void a_key_is_not_for_streams_and_has_a_length(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_call_options in = named(NULL, "key-7");
    sp_stream *stream = NULL;
    assert_int_equal(
        sp_stream_open(pit, "numbers", sp_text("[3]"), &in, &stream, last_error()),
        SP_ERR_INVAL);
    assert_has(last_error()->message, "not for streams");
    char long_name[300];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    in = named(long_name, NULL);
    const sp_error *error = call_fails(pit, "echo", "[1]", &in, SP_ERR_INVAL);
    assert_has(error->message, "a request_id of 299 bytes, allowed are 1 to 255");
    in = named(NULL, "");
    (void)call_fails(pit, "echo", "[1]", &in, SP_ERR_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_that_was_never_seen_is_unknown),
        TEST(a_call_can_be_followed_from_the_queue_to_its_result),
        TEST(a_running_call_may_have_executed),
        TEST(a_failure_is_known_with_its_words),
        TEST(an_outcome_is_forgotten_in_time),
        TEST(a_key_that_ran_gives_its_first_result),
        TEST(the_same_work_at_once_is_done_once),
        TEST(who_follows_waits_no_longer_than_it_would_for_itself),
        TEST(a_failure_that_ran_nothing_leaves_the_key_free),
        TEST(a_failure_that_ran_is_remembered),
        TEST(closing_ends_those_that_follow_too),
        TEST(a_key_is_not_for_streams_and_has_a_length),
    };
    return RUN_SYSTEM_TESTS("outcomes", tests);
}
