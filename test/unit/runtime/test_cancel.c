/* SPDX-License-Identifier: MIT */
/* Calls that end before their answer: cancelled, or past their deadline. */
#include <string.h>

#include "leak.h"
#include "rig.h"

static void check_answered(struct rig *rig)
{
    char text[64];
    struct peer_call *call = peer_execute(rig->peer, "add", "[20,22]");
    peer_finish(rig->peer, call);
    assert_string_equal(peer_result(call, text, sizeof text), "42");
    call_free(call);
}

static void check_timed_out(struct peer_call *call, int executed)
{
    sp_error err = {0};
    assert_int_equal(call->status, 4);
    assert_int_equal(
        sp__proto_get_failure(call->details.data, call->details.size, &err), 1);
    assert_int_equal(err.code, SP_ERR_TIMEOUT);
    assert_int_equal(err.executed, executed);
    sp_error_clear(&err);
}

static void a_waiting_call_that_is_cancelled_never_runs(void **state)
{
    enum { CALLS = 6 };
    struct rig *rig = rig_open(NULL);
    struct peer_call *busy = peer_execute(rig->peer, "wait", "{}");
    struct peer_call *calls[CALLS];
    rig_await_begun(rig, 1);
    for (int i = 0; i < CALLS; i++) {
        calls[i] = peer_execute(rig->peer, "add", "[1,1]");
    }
    for (int i = 0; i < CALLS; i += 2) {
        sp__h2_reset(calls[i]->stream, 8);
    }
    /* In order on one connection: what this ping has seen, the resets have. */
    assert_int_equal(sp__h2_ping(rig->peer->h2, 1, NULL), 0);
    PEER_UNTIL(rig->peer, rig->peer->pongs == 1);
    rig_allow(rig, 1);
    for (int i = 1; i < CALLS; i += 2) {
        peer_finish(rig->peer, calls[i]);
        assert_int_equal(calls[i]->status, 0);
    }
    peer_finish(rig->peer, busy);
    assert_int_equal(atomic_load(&rig->ran), 1 + CALLS / 2);
    assert_int_equal(atomic_load(&rig->cancels), 0);
    for (int i = 0; i < CALLS; i++) {
        call_free(calls[i]);
    }
    call_free(busy);
    rig_close(rig);
}

static void a_running_call_that_is_cancelled_is_interrupted_once(void **state)
{
    struct rig *rig = rig_new(NULL);
    rig->take_interrupts = 1;
    rig_start(rig);
    for (int i = 1; i <= 3; i++) {
        struct peer_call *call = peer_execute(rig->peer, "wait", "{}");
        rig_await_begun(rig, 1);
        sp__h2_reset(call->stream, 8);
        PEER_UNTIL(rig->peer, atomic_load(&rig->cancelled) == i);
        assert_int_equal(atomic_load(&rig->cancels), i);
        call_free(call);
        check_answered(rig);
    }
    rig_close(rig);
}

static void an_interruption_is_repeated_until_it_has_worked(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "wait", "{}");
    rig_await_begun(rig, 1);
    sp__h2_reset(call->stream, 8);
    PEER_UNTIL(rig->peer, atomic_load(&rig->cancels) >= 4);
    rig_allow(rig, 1);
    check_answered(rig);
    assert_int_equal(atomic_load(&rig->cancelled), 1);
    call_free(call);
    rig_close(rig);
}

static void the_deadline_of_a_running_call_is_answered_while_it_runs(void **state)
{
    enum { ROUNDS = 12 };
    struct rig *rig = rig_open(NULL);
    for (int i = 1; i <= ROUNDS; i++) { /* the helper leads anew each time */
        int before = atomic_load(&rig->cancels);
        struct peer_call *call = peer_execute_for(rig->peer, "wait", "{}", 60);
        rig_await_begun(rig, 1);
        peer_finish(rig->peer, call);
        check_timed_out(call, SP_EXECUTED_YES);
        PEER_UNTIL(rig->peer, atomic_load(&rig->cancels) > before);
        rig_allow(rig, 1);
        check_answered(rig); /* and the late result went nowhere */
        assert_int_equal(atomic_load(&rig->cancelled), i);
        call_free(call);
    }
    rig_close(rig);
}

static void the_deadline_of_a_waiting_call_is_answered_while_another_runs(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *busy = peer_execute(rig->peer, "wait", "{}");
    rig_await_begun(rig, 1);
    struct peer_call *call = peer_execute_for(rig->peer, "add", "[1,1]", 40);
    peer_finish(rig->peer, call);
    check_timed_out(call, SP_EXECUTED_NO);
    assert_int_equal(busy->done, 0);
    rig_allow(rig, 1);
    peer_finish(rig->peer, busy);
    assert_int_equal(atomic_load(&rig->ran), 1);
    call_free(call);
    call_free(busy);
    rig_close(rig);
}

static void a_deadline_that_has_passed_on_arrival_is_answered(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute_for(rig->peer, "wait", "{}", 1);
    PEER_UNTIL(rig->peer, call->done);
    assert_int_equal(call->status, 4);
    rig_allow(rig, 1);
    check_answered(rig);
    call_free(call);
    rig_close(rig);
}

static void the_deadline_of_a_stream_ends_it(void **state)
{
    struct rig *rig = rig_new(NULL);
    rig->take_interrupts = 1;
    rig_start(rig);
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    struct proto_request request = {.tool_name = sp_text("slow"),
                                    .args_json = sp_text("[9]")};
    assert_int_equal(sp__proto_put_request(&out, &request, 0, NULL), 0);
    struct peer_call *call = call_new();
    assert_int_equal(sp__h2_open(rig->peer->h2, SP__PATH_STREAM, 50, NULL, 0,
                                 (sp_bytes){out.data, out.size}, 1, call, &call->stream,
                                 NULL),
                     0);
    sp__buf_fini(&out);
    peer_finish(rig->peer, call);
    assert_int_equal(call->status, 4);
    PEER_UNTIL(rig->peer, atomic_load(&rig->closed) == 1);
    check_answered(rig);
    call_free(call);
    rig_close(rig);
}

static void calls_on_several_threads_are_interrupted_one_by_one(void **state)
{
    enum { THREADS = 4 };
    struct rig *rig = rig_new(&(sp_worker_options){.threads = THREADS});
    rig->take_interrupts = 1;
    rig_start(rig);
    struct peer_call *calls[THREADS];
    for (int i = 0; i < THREADS; i++) {
        calls[i] = peer_execute(rig->peer, "wait", "{}");
    }
    rig_await_begun(rig, THREADS);
    for (int i = 0; i < THREADS; i++) {
        sp__h2_reset(calls[i]->stream, 8);
        PEER_UNTIL(rig->peer, atomic_load(&rig->cancels) >= i + 1);
    }
    check_answered(rig);
    for (int i = 0; i < THREADS; i++) {
        call_free(calls[i]);
    }
    rig_close(rig);
}

static void cancel_at_random(uint32_t threads)
{
    enum { FLIGHT = 24 };
    int rounds = volume(200);
    struct rig *rig = rig_new(&(sp_worker_options){.threads = threads, .spread_us = 1});
    rig->take_interrupts = 1;
    rig_start(rig);
    struct peer_call *calls[FLIGHT] = {0};
    uint32_t seed = 12345;
    rig_allow(rig, 100000); /* "wait" does not wait */
    for (int i = 0; i < rounds * FLIGHT; i++) {
        struct peer_call **slot = &calls[i % FLIGHT];
        seed = seed * 1664525 + 1013904223;
        uint32_t dice = seed >> 16;
        if (*slot != NULL) {
            if ((*slot)->stream != NULL && dice % 8 == 0) {
                sp__h2_reset((*slot)->stream, 8);
            }
            PEER_UNTIL(rig->peer, (*slot)->done);
            call_free(*slot);
        }
        *slot = dice % 5 == 0 ? peer_stream(rig->peer, "count", "[3000,8]", 0)
                : dice % 5 == 1
                    ? peer_execute_for(rig->peer, "wait", "{}", 1 + dice % 3)
                : dice % 5 == 2 ? peer_stream(rig->peer, "slow", "[3]", 0)
                                : peer_execute(rig->peer, "add", "[1,1]");
    }
    for (int i = 0; i < FLIGHT; i++) {
        PEER_UNTIL(rig->peer, calls[i]->done);
        call_free(calls[i]);
    }
    check_answered(rig);
    rig_close(rig);
}

static void cancelling_at_random_leaves_nothing_behind(void **state)
{
    cancel_at_random(1);
}

static void cancelling_at_random_on_several_threads_leaves_nothing_behind(void **state)
{
    cancel_at_random(4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_waiting_call_that_is_cancelled_never_runs),
        TEST(a_running_call_that_is_cancelled_is_interrupted_once),
        TEST(an_interruption_is_repeated_until_it_has_worked),
        TEST(the_deadline_of_a_running_call_is_answered_while_it_runs),
        TEST(the_deadline_of_a_waiting_call_is_answered_while_another_runs),
        TEST(a_deadline_that_has_passed_on_arrival_is_answered),
        TEST(the_deadline_of_a_stream_ends_it),
        TEST(calls_on_several_threads_are_interrupted_one_by_one),
        TEST(cancelling_at_random_leaves_nothing_behind),
        TEST(cancelling_at_random_on_several_threads_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
