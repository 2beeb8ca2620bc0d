/* SPDX-License-Identifier: MIT */
/* Streams: order, ends, back-pressure, fairness, cancellation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leak.h"
#include "rig.h"
#include "runtime/runtime.h"

/* The kept message at *at; moves *at on. 0 at the end. */
static int next_chunk(struct peer_call *call, size_t *at, struct proto_chunk *chunk)
{
    uint32_t size;
    if (*at == call->all.size) {
        return 0;
    }
    memcpy(&size, call->all.data + *at, sizeof size);
    *at += sizeof size;
    assert_int_equal(sp__proto_get_chunk(call->all.data + *at, size, chunk, NULL), 0);
    *at += size;
    return 1;
}

static struct peer_call *kept_stream(struct rig *rig, const char *tool,
                                     const char *args)
{
    struct peer_call *call = peer_stream(rig->peer, tool, args, 0);
    call->keep = 1; /* nothing is received before the next turn */
    return call;
}

static void check_count(struct peer_call *call, uint64_t count)
{
    struct proto_chunk chunk;
    size_t at = 0;
    assert_int_equal(call->status, 0);
    for (uint64_t i = 0; i < count; i++) {
        char id[64];
        uint64_t number;
        assert_int_equal(next_chunk(call, &at, &chunk), 1);
        (void)snprintf(id, sizeof id, "count-%llu", (unsigned long long)i + 1);
        assert_int_equal(chunk.chunk_id.size, strlen(id));
        assert_memory_equal(chunk.chunk_id.data, id, strlen(id));
        assert_true(chunk.data.size >= sizeof number);
        memcpy(&number, chunk.data.data, sizeof number);
        assert_int_equal(number, i);
        assert_int_equal(chunk.is_final, 0);
    }
    assert_int_equal(next_chunk(call, &at, &chunk), 1);
    assert_int_equal(chunk.is_final, 1);
    assert_int_equal(chunk.data.size, 0);
    assert_int_equal(next_chunk(call, &at, &chunk), 0);
}

/* Until the one thread of the worker has nothing to run: two calls in a row saw no
 * chunk between them, and a stream that could go on would have had a turn. */
static void await_parked(struct rig *rig)
{
    unsigned long long before;
    do {
        before = atomic_load(&rig->produced);
        for (int i = 0; i < 2; i++) {
            struct peer_call *call = peer_execute(rig->peer, "add", "[1,1]");
            peer_finish(rig->peer, call);
            call_free(call);
        }
    } while (atomic_load(&rig->produced) != before);
}

/* The arguments of "count" for so many chunks. */
static const char *count_of(int chunks, int bytes)
{
    static char text[40];
    (void)snprintf(text, sizeof text, "[%d,%d]", chunks, bytes);
    return text;
}

static void chunks_come_in_order_and_a_final_one_ends_them(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = kept_stream(rig, "count", "[5,8]");
    peer_finish(rig->peer, call);
    check_count(call, 5);
    call_free(call);
    call = kept_stream(rig, "count", "[0,8]");
    peer_finish(rig->peer, call);
    check_count(call, 0);
    call_free(call);
    rig_close(rig);
}

static void a_hundred_thousand_chunks_arrive_whole(void **state)
{
    struct rig *rig = rig_open(NULL);
    int chunks = volume(100000);
    struct peer_call *call = kept_stream(rig, "count", count_of(chunks, 20));
    peer_finish(rig->peer, call);
    check_count(call, chunks);
    call_free(call);
    rig_close(rig);
}

static void chunks_larger_than_the_area_arrive_whole(void **state)
{
    struct rig *rig = rig_open(NULL);
    static const char *const sizes[] = {"[40,32700]", "[40,32768]", "[20,1000000]"};
    for (int i = 0; i < 3; i++) {
        struct peer_call *call = kept_stream(rig, "count", sizes[i]);
        peer_finish(rig->peer, call);
        check_count(call, i == 2 ? 20 : 40);
        call_free(call);
    }
    rig_close(rig);
}

static void a_slow_reader_stops_the_producer(void **state)
{
    enum { CHUNKS = 20000, BYTES = 1000, WINDOW = 1 << 20, SLACK = 300 * 1024 };
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_stream(rig->peer, "count", "[20000,1000]", 1);
    await_parked(rig);
    unsigned long long produced = atomic_load(&rig->produced);
    assert_true(produced * BYTES >= WINDOW / 2);
    assert_true(produced * BYTES <= WINDOW + HIGH_WATER + SLACK);

    uint64_t granted = 0;
    while (!call->done) {
        PEER_UNTIL(rig->peer, call->done || call->bytes > granted);
        if (!call->done) {
            sp__h2_grant(call->stream, call->bytes - granted);
            granted = call->bytes;
        }
    }
    assert_int_equal(call->status, 0);
    assert_int_equal(call->messages, CHUNKS + 1);
    call_free(call);
    rig_close(rig);
}

static void a_chunk_of_a_slow_generator_leaves_at_once(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_stream(rig->peer, "slow", "[3]", 0);
    for (uint64_t i = 1; i <= 3; i++) {
        PEER_UNTIL(rig->peer, call->messages == i);
        rig_await_begun(rig, 1);
        assert_int_equal(call->done, 0);
        rig_allow(rig, 1);
    }
    peer_finish(rig->peer, call);
    assert_int_equal(call->messages, 4);
    call_free(call);
    rig_close(rig);
}

static void chunks_left_behind_are_published_while_the_generator_is_busy(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_stream(rig->peer, "burst", "[]", 0);
    rig_await_begun(rig, 1);
    PEER_UNTIL(rig->peer, call->messages == 20);
    assert_int_equal(call->done, 0);
    rig_allow(rig, 1);
    peer_finish(rig->peer, call);
    assert_int_equal(call->messages, 21);
    call_free(call);
    rig_close(rig);
}

static void a_single_value_is_a_stream_of_one(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct proto_chunk chunk;
    size_t at = 0;
    struct peer_call *call = kept_stream(rig, "single", "{}");
    peer_finish(rig->peer, call);
    assert_int_equal(call->status, 0);
    assert_int_equal(next_chunk(call, &at, &chunk), 1);
    assert_int_equal(chunk.data.size, strlen("\"one\""));
    assert_memory_equal(chunk.data.data, "\"one\"", chunk.data.size);
    assert_int_equal(next_chunk(call, &at, &chunk), 1);
    assert_int_equal(chunk.is_final, 1);
    assert_int_equal(next_chunk(call, &at, &chunk), 0);
    call_free(call);
    rig_close(rig);
}

static void an_exception_in_a_stream_is_its_status(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_stream(rig->peer, "break", "{}", 0);
    sp_error err = {0};
    peer_finish(rig->peer, call);
    assert_int_equal(call->messages, 1);
    assert_int_equal(call->status, 2);
    assert_string_equal(call->message, "in the middle");
    assert_int_equal(
        sp__proto_get_failure(call->details.data, call->details.size, &err), 1);
    assert_int_equal(err.code, SP_ERR_REMOTE);
    assert_int_equal(err.executed, SP_EXECUTED_YES);
    assert_string_equal(err.remote_type, "ValueError");
    assert_string_equal(err.remote_trace, "a trace");
    sp_error_clear(&err);
    call_free(call);
    rig_close(rig);
}

static void streams_and_calls_share_one_thread(void **state)
{
    enum { STREAMS = 4, CALLS = 50 };
    int chunks = volume(200000);
    struct rig *rig = rig_open(NULL);
    struct peer_call *streams[STREAMS];
    struct peer_call *calls[CALLS];
    for (int i = 0; i < STREAMS; i++) {
        streams[i] = peer_stream(rig->peer, "count", count_of(chunks, 8), 0);
    }
    for (int i = 0; i < CALLS; i++) {
        calls[i] = peer_execute(rig->peer, "add", "[1,1]");
    }
    for (int i = 0; i < CALLS; i++) {
        peer_finish(rig->peer, calls[i]);
        call_free(calls[i]);
    }
    assert_true(atomic_load(&rig->produced) < (unsigned)(STREAMS * chunks));
    for (int i = 0; i < STREAMS; i++) {
        assert_int_equal(streams[i]->done, 0);
    }
    for (int i = 0; i < STREAMS; i++) {
        peer_finish(rig->peer, streams[i]);
        assert_int_equal(streams[i]->status, 0);
        assert_int_equal(streams[i]->messages, chunks + 1);
        call_free(streams[i]);
    }
    rig_close(rig);
}

static void streams_run_on_several_threads(void **state)
{
    enum { STREAMS = 8, CALLS = 200 };
    int chunks = volume(20000);
    struct rig *rig = rig_open(&(sp_worker_options){.threads = 4});
    struct peer_call *streams[STREAMS];
    struct peer_call *calls[CALLS];
    for (int i = 0; i < STREAMS; i++) {
        streams[i] = kept_stream(rig, "count", count_of(chunks, 8));
    }
    for (int i = 0; i < CALLS; i++) {
        calls[i] = peer_execute(rig->peer, "add", "[1,1]");
    }
    for (int i = 0; i < STREAMS; i++) {
        peer_finish(rig->peer, streams[i]);
        check_count(streams[i], chunks);
        call_free(streams[i]);
    }
    for (int i = 0; i < CALLS; i++) {
        peer_finish(rig->peer, calls[i]);
        assert_int_equal(calls[i]->status, 0);
        call_free(calls[i]);
    }
    rig_close(rig);
}

static void cancelling_a_fast_stream_closes_its_generator(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_stream(rig->peer, "count", "[999999999999,8]", 0);
    PEER_UNTIL(rig->peer, call->messages > 1000);
    sp__h2_reset(call->stream, 8);
    PEER_UNTIL(rig->peer, atomic_load(&rig->closed) == 1);
    await_parked(rig);
    call_free(call);
    rig_close(rig);
}

static void cancelling_a_parked_stream_closes_its_generator(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_stream(rig->peer, "count", "[999999999,1000]", 1);
    await_parked(rig);
    assert_int_equal(atomic_load(&rig->closed), 0);
    sp__h2_reset(call->stream, 8);
    PEER_UNTIL(rig->peer, atomic_load(&rig->closed) == 1);
    call_free(call);
    rig_close(rig);
}

static void cancelling_a_waiting_generator_interrupts_it(void **state)
{
    struct rig *rig = rig_new(NULL);
    rig->take_interrupts = 1;
    rig_start(rig);
    struct peer_call *call = peer_stream(rig->peer, "slow", "[3]", 0);
    rig_await_begun(rig, 1);
    sp__h2_reset(call->stream, 8);
    PEER_UNTIL(rig->peer, atomic_load(&rig->closed) == 1);
    assert_int_equal(atomic_load(&rig->cancels), 1);
    call_free(call);
    rig_close(rig);
}

static void a_stream_ends_when_its_worker_stops_only_after_its_last_chunk(void **state)
{
    struct rig *rig = rig_open(NULL);
    int chunks = volume(50000);
    struct peer_call *call = kept_stream(rig, "count", count_of(chunks, 8));
    PEER_UNTIL(rig->peer, call->messages > 0);
    sp_worker_stop(rig->worker);
    peer_finish(rig->peer, call);
    check_count(call, chunks);
    rig_join(rig);
    assert_int_equal(atomic_load(&rig->next_rc), 0);
    call_free(call);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(chunks_come_in_order_and_a_final_one_ends_them),
        TEST(a_hundred_thousand_chunks_arrive_whole),
        TEST(chunks_larger_than_the_area_arrive_whole),
        TEST(a_slow_reader_stops_the_producer),
        TEST(a_chunk_of_a_slow_generator_leaves_at_once),
        TEST(chunks_left_behind_are_published_while_the_generator_is_busy),
        TEST(a_single_value_is_a_stream_of_one),
        TEST(an_exception_in_a_stream_is_its_status),
        TEST(streams_and_calls_share_one_thread),
        TEST(streams_run_on_several_threads),
        TEST(cancelling_a_fast_stream_closes_its_generator),
        TEST(cancelling_a_parked_stream_closes_its_generator),
        TEST(cancelling_a_waiting_generator_interrupts_it),
        TEST(a_stream_ends_when_its_worker_stops_only_after_its_last_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
