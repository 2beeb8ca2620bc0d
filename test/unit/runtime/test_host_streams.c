/* SPDX-License-Identifier: MIT */
/* Streams from the host: order, bounds, and how they end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "leak.h"
#include "rig.h"
#include "wire/proto_state.h"

/* Turn both ends until the call is over. */
static void finish(struct rig *rig, struct peer_call *call)
{
    uint64_t until_ms = test_now_ms() + patience_ms(20000);
    while (!call->done) {
        assert_true(test_now_ms() < until_ms);
        peer_turn(rig->host, 5);
        peer_turn(rig->peer, 5);
    }
}

static void check_result(struct rig *rig, struct peer_call *call, const char *want)
{
    char text[256];
    finish(rig, call);
    assert_string_equal(peer_result(call, text, sizeof text), want);
    call_free(call);
}

static void a_stream_comes_whole_and_ends(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "pull", "[1]");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    assert_string_equal(ask->path, SP__PATH_STREAM);
    for (int i = 0; i < 1000; i++) {
        peer_chunk(ask, sp_text("12345"));
    }
    peer_end(ask, 0, NULL, NULL);
    check_result(rig, call, "[1000,5000]");
    assert_int_equal(atomic_load(&rig->ask_rc), 0);
    rig_close(rig);
}

static void several_streams_of_one_thread_run_side_by_side(void **state)
{
    enum { STREAMS = 8 };
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "pull", "[8]");
    struct peer_ask *asks[STREAMS];
    for (uint32_t i = 0; i < STREAMS; i++) {
        asks[i] = peer_await_ask(rig->host, i);
    }
    for (int round = 0; round < 100; round++) { /* not in the order they are read in */
        for (uint32_t i = STREAMS; i-- > 0;) {
            peer_chunk(asks[i], sp_text("[1]"));
        }
        peer_turn(rig->host, 0);
    }
    for (uint32_t i = STREAMS; i-- > 0;) {
        peer_end(asks[i], 0, NULL, NULL);
    }
    check_result(rig, call, "[800,2400]");
    rig_close(rig);
}

static void what_nobody_takes_stays_with_the_host(void **state)
{
    enum { CHUNKS = 64, SIZE = 128 << 10 };
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "hold", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    char *text = malloc(SIZE);
    memset(text, '1', SIZE);
    for (int i = 0; i < CHUNKS; i++) {
        peer_chunk(ask, (sp_bytes){text, SIZE});
    }
    free(text);
    peer_hear_out(rig->host);
    size_t queued = sp__h2_queued(ask->stream);
    assert_true(queued >= (size_t)CHUNKS * SIZE - (2u << 20));
    rig_allow(rig, 1); /* now the tool reads */
    peer_end(ask, 0, NULL, NULL);
    check_result(rig, call, "[64,8388608]");
    rig_close(rig);
}

static void a_chunk_larger_than_the_window_comes_whole(void **state)
{
    enum { SIZE = 5 << 20 };
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "pull", "[1]");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    char *text = malloc(SIZE);
    memset(text, '1', SIZE);
    for (int i = 0; i < 3; i++) {
        peer_chunk(ask, (sp_bytes){text, SIZE});
        peer_chunk(ask, sp_text("1"));
    }
    free(text);
    peer_end(ask, 0, NULL, NULL);
    check_result(rig, call, "[6,15728643]");
    rig_close(rig);
}

static void chunks_before_a_failure_count(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "pull", "[1]");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    sp_error details = {0};
    (void)sp__fail(&details, SP_ERR_TOO_SLOW, "1024 changes were left lying");
    for (int i = 0; i < 10; i++) {
        peer_chunk(ask, sp_text("1"));
    }
    peer_end(ask, 8, "x", &details);
    check_result(rig, call, "[10,10]");
    assert_int_equal(atomic_load(&rig->ask_rc), SP_ERR_TOO_SLOW);
    assert_string_equal(rig->ask_error, "1024 changes were left lying");
    rig_close(rig);
}

static void a_stream_that_is_left_is_cancelled(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "peek", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    peer_turn(rig->host, 20); /* the tool's short waits pass */
    peer_chunk(ask, sp_text("\"first\""));
    check_result(rig, call, "\"first\"");
    PEER_UNTIL(rig->host, ask->stream == NULL);
    assert_int_equal(ask->rst_code, 8);
    rig_close(rig);
}

static void a_cancelled_call_stops_reading(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "pull", "[3]");
    struct peer_ask *asks[3];
    for (uint32_t i = 0; i < 3; i++) {
        asks[i] = peer_await_ask(rig->host, i);
    }
    peer_chunk(asks[0], sp_text("1"));
    sp__h2_reset(call->stream, 8);
    finish(rig, call);
    for (int i = 0; i < 3; i++) {
        PEER_UNTIL(rig->host, asks[i]->stream == NULL);
        assert_int_equal(asks[i]->rst_code, 8);
    }
    call_free(call);
    check_result(rig, peer_execute(rig->peer, "add", "[20,22]"), "42");
    assert_int_equal(atomic_load(&rig->ask_rc), SP_ERR_CANCELLED);
    rig_close(rig);
}

static void a_watch_is_open_once_the_host_watches(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "watch", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    assert_string_equal(ask->path, SP__PATH_WATCH_VARIABLES);
    peer_hear_out(rig->host);
    peer_hear_out(rig->peer);
    assert_int_equal(atomic_load(&rig->ask_rc), 99); /* it still opens */
    assert_int_equal(sp__h2_accept(ask->stream, NULL), 0);
    PEER_UNTIL(rig->host, atomic_load(&rig->ask_rc) == 0);
    peer_end(ask, 5, "ended", NULL);
    check_result(rig, call, "\"SP-NOT-FOUND\"");
    rig_close(rig);
}

static void a_watch_that_is_refused_says_so_when_it_is_asked(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "watch", "{}");
    peer_end(peer_await_ask(rig->host, 0), 3, "no variable x", NULL);
    check_result(rig, call, "\"SP-INVAL\"");
    assert_string_equal(rig->ask_error, "no variable x");
    rig_close(rig);
}

static void a_cancelled_call_stops_opening_a_watch(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "watch", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    sp__h2_reset(call->stream, 8);
    finish(rig, call);
    PEER_UNTIL(rig->host, ask->stream == NULL);
    assert_int_equal(ask->rst_code, 8);
    call_free(call);
    check_result(rig, peer_execute(rig->peer, "add", "[20,22]"), "42");
    assert_int_equal(atomic_load(&rig->ask_rc), SP_ERR_CANCELLED);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stream_comes_whole_and_ends),
        TEST(several_streams_of_one_thread_run_side_by_side),
        TEST(what_nobody_takes_stays_with_the_host),
        TEST(a_chunk_larger_than_the_window_comes_whole),
        TEST(chunks_before_a_failure_count),
        TEST(a_stream_that_is_left_is_cancelled),
        TEST(a_cancelled_call_stops_reading),
        TEST(a_watch_is_open_once_the_host_watches),
        TEST(a_watch_that_is_refused_says_so_when_it_is_asked),
        TEST(a_cancelled_call_stops_opening_a_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
