/* SPDX-License-Identifier: MIT */
/*
 * Flow control: a held stream stops its sender, a grant lets it go on, other streams do
 * not notice; the high-water mark; and the whole of a call with every allocation
 * failing in turn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "h2_pair.h"
#include "leak.h"

enum { KIB = 1024, WINDOW = 64 * KIB, PREFIX = 5 };

static const struct h2_options small_window = {.trusted = 1, .stream_window = WINDOW};

static char chunk[1000];

/* A producer that stops at 256 KiB queued, as users of the connection do. */
static void produce(struct heard *heard, size_t *left)
{
    while (heard->stream != NULL && *left > 0 &&
           sp__h2_queued(heard->stream) < 256 * KIB) {
        size_t n = *left < sizeof chunk ? *left : sizeof chunk;
        pair_echo(heard, (const uint8_t *)chunk, n);
        *left -= n;
    }
}

/* What the messages that came cost of the window. */
static size_t cost(const struct heard *heard)
{
    return heard->bytes + heard->messages * (size_t)PREFIX;
}

static void a_held_stream_stops_its_sender(void **state)
{
    enum { TOTAL = 4 << 20 };
    struct pair *pair = pair_new(&small_window, NULL);
    struct heard *call = pair_open(pair, "go", 1);
    struct heard *other = pair_open(pair, "other", 1);
    sp__h2_hold(call->stream);
    pair_run(pair);
    struct heard *served = &pair->at_server[0];
    size_t left = TOTAL;
    size_t seen = 0;
    size_t granted = 0;
    unsigned rounds = 0;
    while (call->bytes < TOTAL) {
        produce(served, &left);
        pair_run(pair);
        assert_true(call->bytes > seen);
        assert_true(call->bytes - seen <= WINDOW);
        /* Nothing more comes, whatever the sender still has. */
        assert_int_equal(pair_server_to_client(pair), 0);
        assert_true(left > 0 || sp__h2_queued(served->stream) > 0 ||
                    call->bytes == TOTAL);
        /* Another stream is not held up. */
        pair_echo(&pair->at_server[1], (const uint8_t *)"hi", 2);
        pair_run(pair);
        assert_int_equal(other->messages, ++rounds);
        sp__h2_grant(call->stream, cost(call) - granted);
        granted = cost(call);
        seen = call->bytes;
    }
    pair_finish(served);
    pair_finish(&pair->at_server[1]);
    pair_run(pair);
    assert_int_equal(call->grpc_status, 0);
    assert_int_equal(other->grpc_status, 0);
    assert_true(rounds >= TOTAL / WINDOW);
    assert_int_equal(pair->broken, 0);
    pair_free(pair);
}

static void a_server_can_hold_a_client(void **state)
{
    struct pair *pair = pair_new(NULL, &small_window);
    struct heard *call = pair_open(pair, NULL, 0);
    pair_run(pair);
    struct heard *served = &pair->at_server[0];
    sp__h2_hold(served->stream);
    size_t left = 1 << 20;
    produce(call, &left);
    pair_run(pair);
    assert_true(served->bytes <= WINDOW && served->bytes > WINDOW - 2 * sizeof chunk);
    size_t seen = 0;
    size_t granted = 0;
    while (left > 0 || sp__h2_queued(call->stream) > 0) {
        produce(call, &left);
        sp__h2_grant(served->stream, cost(served) - granted);
        granted = cost(served);
        seen = served->bytes;
        pair_run(pair);
        assert_true(served->bytes > seen);
    }
    sp__h2_reset(call->stream, 8);
    pair_run(pair);
    pair_free(pair);
}

static void messages_of_any_size_pass_a_held_stream(void **state)
{
    /* Whatever window is left over from before, a message must come whole. */
    static uint8_t big[3 * WINDOW];
    struct pair *pair = pair_new(&small_window, NULL);
    struct heard *call = pair_open(pair, "go", 1);
    sp__h2_hold(call->stream);
    pair_run(pair);
    struct heard *served = &pair->at_server[0];
    for (size_t i = 0; i < 300; i++) {
        size_t size = i * 7919 % sizeof big;
        size_t before = call->bytes;
        pair_echo(served, big, size);
        pair_run(pair);
        assert_int_equal(call->messages, i + 1);
        assert_int_equal(call->bytes, before + size);
        sp__h2_grant(call->stream, PREFIX + size);
    }
    pair_finish(served);
    pair_run(pair);
    assert_int_equal(call->grpc_status, 0);
    pair_free(pair);
}

static void large_messages_wait_for_grants_too(void **state)
{
    enum { SIZE = 10 * WINDOW };
    struct pair *pair = pair_new(&small_window, NULL);
    struct heard *call = pair_open(pair, "go", 1);
    sp__h2_hold(call->stream);
    pair_run(pair);
    struct heard *served = &pair->at_server[0];
    uint8_t *big = calloc(1, SIZE);
    assert_non_null(big);
    for (int i = 0; i < 5; i++) {
        pair_echo(served, big, SIZE);
    }
    for (unsigned i = 1; i <= 5; i++) {
        pair_run(pair);
        assert_int_equal(call->messages, i);
        size_t waiting = sp__h2_queued(served->stream);
        assert_true(waiting >= (5 - i) * (size_t)SIZE - WINDOW || i == 5);
        sp__h2_grant(call->stream, SIZE / 3); /* part of it is not enough */
        pair_run(pair);
        assert_int_equal(call->messages, i);
        sp__h2_grant(call->stream, PREFIX + SIZE - SIZE / 3);
    }
    free(big);
    pair_finish(served);
    pair_run(pair);
    assert_int_equal(call->grpc_status, 0);
    pair_free(pair);
}

static void grants_beyond_what_was_delivered_are_ignored(void **state)
{
    struct pair *pair = pair_new(&small_window, NULL);
    struct heard *call = pair_open(pair, "go", 1);
    sp__h2_hold(call->stream);
    sp__h2_grant(call->stream, SIZE_MAX);
    pair_run(pair);
    size_t left = 4 << 20;
    produce(&pair->at_server[0], &left);
    pair_run(pair);
    assert_true(call->bytes <= WINDOW);
    sp__h2_grant(call->stream, SIZE_MAX);
    size_t seen = call->bytes;
    pair_run(pair);
    assert_true(call->bytes > seen && call->bytes - seen <= WINDOW);
    pair_free(pair);
}

static void a_stream_that_is_not_held_never_stops(void **state)
{
    struct pair *pair = pair_new(&small_window, NULL);
    struct heard *call = pair_open(pair, "go", 1);
    pair_run(pair);
    size_t left = 10 << 20;
    while (left > 0) {
        produce(&pair->at_server[0], &left);
        pair_run(pair);
        assert_int_equal(sp__h2_queued(pair->at_server[0].stream), 0);
    }
    assert_int_equal(call->bytes, 10 << 20);
    pair_free(pair);
}

static void empty_messages_are_held_back_too(void **state)
{
    struct pair *pair = pair_new(&small_window, NULL);
    struct heard *call = pair_open(pair, "go", 1);
    sp__h2_hold(call->stream);
    pair_run(pair);
    for (int i = 0; i < 3 * WINDOW / 5; i++) {
        pair_echo(&pair->at_server[0], NULL, 0);
    }
    unsigned seen = 0;
    while (call->messages < 3 * WINDOW / 5) {
        pair_run(pair);
        assert_true(call->messages > seen && call->messages - seen <= WINDOW / 5);
        sp__h2_grant(call->stream, (call->messages - seen) * (size_t)PREFIX);
        seen = call->messages;
    }
    pair_free(pair);
}

/* ---- the high-water mark ---- */

static size_t drained_left;

static void refill(struct heard *heard)
{
    assert_true(sp__h2_queued(heard->stream) < 16 * KIB);
    while (drained_left > 0 && sp__h2_queued(heard->stream) <= 16 * KIB) {
        pair_echo(heard, (const uint8_t *)chunk, sizeof chunk);
        drained_left--;
    }
}

static void a_producer_is_told_when_its_queue_drains(void **state)
{
    const struct h2_options low = {.trusted = 1, .high_water = 16 * KIB};
    struct pair *pair = pair_new(&small_window, &low);
    struct heard *call = pair_open(pair, "go", 1);
    pair_run(pair);
    pair->on_drained = refill;
    drained_left = 5000;
    refill(&pair->at_server[0]);
    pair_run(pair);
    assert_int_equal(drained_left, 0);
    assert_int_equal(call->messages, 5000);
    assert_true(pair->at_server[0].drained > 100);
    pair_free(pair);
}

static void a_stream_below_the_mark_hears_nothing(void **state)
{
    const struct h2_options low = {.trusted = 1, .high_water = 16 * KIB};
    struct pair *pair = pair_new(NULL, &low);
    pair_open(pair, "go", 1);
    pair_run(pair);
    for (int i = 0; i < 16; i++) {
        pair_echo(&pair->at_server[0], (const uint8_t *)chunk, sizeof chunk);
    }
    pair_run(pair);
    assert_int_equal(pair->at_server[0].drained, 0);
    pair_free(pair);
}

static void sending_keeps_to_the_size_asked_for(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    struct heard *call = pair_open(pair, "go", 1);
    pair_run(pair);
    uint8_t *big = calloc(1, 512 * KIB);
    assert_non_null(big);
    pair_echo(&pair->at_server[0], big, 512 * KIB);
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
    int more = 1;
    unsigned rounds = 0;
    while (more == 1) {
        out.size = 0;
        more = sp__h2_send(pair->server, &out, 40 * KIB, NULL);
        assert_true(more >= 0);
        assert_true(out.size <= 40 * KIB + 16 * KIB + 9);
        assert_int_equal(sp__h2_receive(pair->client, out.data, out.size, NULL), SP_OK);
        rounds++;
    }
    assert_true(rounds >= 10);
    assert_int_equal(call->messages, 1);
    assert_int_equal(call->bytes, 512 * KIB);
    sp__buf_fini(&out);
    free(big);
    pair_free(pair);
}

/* ---- without memory ---- */

static int richly(struct heard *heard)
{
    static const struct h2_header trailers[] = {{"x-why", 5, "because", 7}};
    if (heard->messages == 0) {
        return 0; /* the request never came whole */
    }
    if (sp__h2_write(heard->stream, sp_text("answer"), NULL) < 0 ||
        sp__h2_finish(heard->stream, 5, "not \xc3\xa4 found",
                      (sp_bytes){.data = "details", .size = 7}, trailers, 1,
                      NULL) < 0) {
        sp__h2_reset(heard->stream, 2);
    }
    return 0;
}

static void answer_richly(struct heard *heard)
{
    (void)richly(heard);
}

/* One call of a stranger's with metadata; 1 when nothing went wrong. */
static int whole_call(int trusted)
{
    static const struct h2_header headers[] = {{"a-key", 5, "value", 5},
                                               {"b-bin", 5, "\x01\x02", 2}};
    const struct h2_options options = {.trusted = trusted};
    struct pair *pair = pair_new(&options, &options);
    if (pair == NULL) {
        return 0;
    }
    pair->on_half_close = answer_richly;
    pair->step = 700; /* so that messages are gathered too */
    struct heard *call = &pair->at_client[0];
    call->pair = pair;
    sp__buf_init(&call->last, SIZE_MAX / 2);
    char text[5000];
    memset(text, 'x', sizeof text);
    int ok = 0;
    if (sp__h2_open(pair->client, "/test/Call", 5000, headers, 2,
                    (sp_bytes){.data = text, .size = sizeof text}, 1, call,
                    &call->stream, NULL) == SP_OK) {
        pair->client_count = 1;
        pair_run(pair);
        ok = call->ends == 1 && call->grpc_status == 5 && call->messages == 1 &&
             strcmp(call->message, "not \xc3\xa4 found") == 0 &&
             call->details_size == 7;
    }
    pair_free(pair);
    return ok;
}

static void a_call_survives_lack_of_memory_anywhere(void **state)
{
    for (int trusted = 0; trusted < 2; trusted++) {
        int64_t live_before = sp__mem_live();
        uint64_t calls_before = sp__mem_calls();
        sp__mem_fail_at(0, 0);
        assert_true(whole_call(trusted));
        uint64_t allocations = sp__mem_calls() - calls_before;
        assert_true(allocations > 20);
        for (int sticky = 0; sticky < 2; sticky++) {
            for (uint64_t n = 1; n <= allocations; n++) {
                sp__mem_fail_at(n, sticky);
                (void)whole_call(trusted);
                sp__mem_fail_at(0, 0);
                assert_int_equal(sp__mem_live(), live_before);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_held_stream_stops_its_sender),
        TEST(a_server_can_hold_a_client),
        TEST(messages_of_any_size_pass_a_held_stream),
        TEST(large_messages_wait_for_grants_too),
        TEST(grants_beyond_what_was_delivered_are_ignored),
        TEST(a_stream_that_is_not_held_never_stops),
        TEST(empty_messages_are_held_back_too),
        TEST(a_producer_is_told_when_its_queue_drains),
        TEST(a_stream_below_the_mark_hears_nothing),
        TEST(sending_keeps_to_the_size_asked_for),
        TEST(a_call_survives_lack_of_memory_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
