/* SPDX-License-Identifier: MIT */
/*
 * Calls between our own client and server that do not end in the normal manner:
 * cancelled, reset, refused, cut short, beyond a limit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h2_pair.h"
#include "leak.h"

/* ---- the other ways to end ---- */

static void a_client_cancels(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    struct heard *call = pair_open(pair, "x", 1);
    pair_run(pair);
    struct heard *served = &pair->at_server[0];
    assert_int_equal(served->ends, 0);
    sp__h2_reset(call->stream, 8);
    sp__h2_reset(call->stream, 8); /* twice is fine */
    assert_int_equal(sp__h2_half_close(call->stream, NULL), SP_ERR_CLOSED);
    assert_int_equal(call->ends, 0);
    pair_run(pair);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->grpc_status, -1);
    assert_int_equal(call->rst_code, 8);
    assert_int_equal(call->refused, 0);
    assert_int_equal(served->ends, 1);
    assert_int_equal(served->rst_code, 8);
    assert_int_equal(pair->broken, 0);
    pair_free(pair);
}

static void a_call_cancelled_before_it_left_counts_as_refused(void **state)
{
    struct pair *pair = pair_echoing(NULL, NULL);
    struct heard *call = pair_open(pair, "x", 1);
    sp__h2_reset(call->stream, 8);
    pair_run(pair);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->rst_code, 8);
    assert_int_equal(call->refused, 1);
    assert_int_equal(pair->server_count, 0);
    struct heard *next = pair_open(pair, "y", 1);
    pair_run(pair);
    heard_assert_ok(next, "y");
    pair_free(pair);
}

static void a_server_resets(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    struct heard *call = pair_open(pair, "x", 1);
    pair_run(pair);
    struct heard *served = &pair->at_server[0];
    pair_echo(served, (const uint8_t *)"partial", 7);
    pair_run(pair);
    sp__h2_reset(served->stream, 2);
    assert_int_equal(
        sp__h2_finish(served->stream, 0, NULL, (sp_bytes){0}, NULL, 0, NULL),
        SP_ERR_CLOSED);
    pair_run(pair);
    assert_int_equal(call->messages, 1);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->grpc_status, -1);
    assert_int_equal(call->rst_code, 2);
    assert_int_equal(served->ends, 1);
    assert_int_equal(served->rst_code, 2);
    pair_free(pair);
}

static void a_refused_stream_is_known_to_be_untouched(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    struct heard *call = pair_open(pair, "x", 1);
    pair_run(pair);
    sp__h2_reset(pair->at_server[0].stream, 7); /* REFUSED_STREAM */
    pair_run(pair);
    assert_int_equal(call->refused, 1);
    assert_int_equal(call->rst_code, 7);
    pair_free(pair);
}

static int refuse_all(struct heard *heard)
{
    return 12;
}

static void a_request_can_be_refused_with_a_status(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    pair->on_request = refuse_all;
    struct heard *call = pair_open(pair, "x", 1);
    struct heard *open_call = pair_open(pair, "y", 0);
    pair_run(pair);
    assert_int_equal(call->grpc_status, 12);
    assert_int_equal(call->rst_code, 0);
    assert_int_equal(call->ends, 1);
    assert_int_equal(open_call->grpc_status, 12);
    assert_int_equal(open_call->ends, 1);
    /* A refused stream is not the server's any more: nothing else is told. */
    assert_int_equal(pair->at_server[0].messages, 0);
    assert_int_equal(pair->at_server[0].half_closes, 0);
    assert_int_equal(pair->at_server[0].ends, 0);
    assert_int_equal(sp__h2_streams(pair->server), 0);
    pair_free(pair);
}

static void finish_at_once(struct heard *heard, const uint8_t *data, size_t size)
{
    pair_echo(heard, (const uint8_t *)"enough", 6);
    pair_finish(heard);
}

static void a_server_may_finish_before_the_client_does(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    pair->on_server_message = finish_at_once;
    struct heard *call = pair_open(pair, "x", 0);
    pair_run(pair);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->grpc_status, 0);
    assert_int_equal(call->rst_code, 0);
    assert_int_equal(call->messages, 1);
    assert_int_equal(pair->at_server[0].ends, 1);
    assert_int_equal(pair->at_server[0].rst_code, 0);
    assert_int_equal(sp__h2_streams(pair->client), 0);
    assert_int_equal(sp__h2_streams(pair->server), 0);
    pair_free(pair);
}

static void goaway_lets_open_calls_go_on(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    struct heard *first = pair_open(pair, "first", 1);
    pair_run(pair);
    assert_int_equal(sp__h2_goaway(pair->server, 0, NULL), SP_OK);
    struct heard *second = pair_open(pair, "second", 1); /* crosses the GOAWAY */
    pair_run(pair);
    assert_int_equal(pair->goaways, 1);
    assert_int_equal(second->ends, 1);
    assert_int_equal(second->refused, 1);
    assert_int_equal(second->grpc_status, -1);
    assert_null(pair_open(pair, "third", 1));
    assert_int_equal(first->ends, 0);
    pair_finish(&pair->at_server[0]);
    pair_run(pair);
    assert_int_equal(first->ends, 1);
    assert_int_equal(first->grpc_status, 0);
    assert_int_equal(pair->broken, 0);
    assert_true(sp__h2_is_done(pair->client));
    assert_true(sp__h2_is_done(pair->server));
    pair_free(pair);
}

static void freeing_a_connection_ends_its_streams(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    struct heard *call = pair_open(pair, "x", 1);
    pair_run(pair);
    sp__h2_free(pair->server);
    pair->server = NULL;
    assert_int_equal(pair->at_server[0].ends, 1);
    assert_int_equal(pair->at_server[0].grpc_status, -1);
    assert_int_equal(pair->at_server[0].rst_code, 0);
    sp__h2_free(pair->client);
    pair->client = NULL;
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->grpc_status, -1);
    assert_int_equal(call->refused, 0);
    pair_free(pair);
}

/* ---- limits ---- */

static void a_message_over_the_limit_ends_its_call_at_the_server(void **state)
{
    const struct h2_options small = {.trusted = 1, .message_max = 1000};
    struct pair *pair = pair_echoing(NULL, &small);
    char text[1002];
    memset(text, 'a', sizeof text);
    text[1000] = '\0';
    struct heard *fits = pair_open(pair, text, 1);
    text[1000] = 'a';
    text[1001] = '\0';
    struct heard *big = pair_open(pair, text, 1);
    pair_run(pair);
    assert_int_equal(fits->grpc_status, 0);
    assert_int_equal(big->ends, 1);
    assert_int_equal(big->grpc_status, 8);
    assert_string_equal(big->message, "the message is larger than the limit");
    assert_int_equal(pair->at_server[1].messages, 0);
    pair_free(pair);
}

static void a_message_over_the_limit_ends_its_call_at_the_client(void **state)
{
    const struct h2_options small = {.trusted = 1, .message_max = 10};
    struct pair *pair = pair_echoing(&small, NULL);
    struct heard *call = pair_open(pair, "eleven long", 1);
    pair_run(pair);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->grpc_status, 8);
    assert_int_equal(call->messages, 0);
    assert_int_equal(call->rst_code, 0);
    assert_int_equal(sp__h2_streams(pair->server), 0);
    pair_free(pair);
}

static void compressed_messages_are_refused(void **state)
{
    static const uint8_t framed[] = {1, 0, 0, 0, 1, 'x'};
    struct pair *pair = pair_new(NULL, NULL);
    struct heard *call = pair_open(pair, NULL, 0);
    assert_int_equal(sp__h2_write_framed(call->stream, framed, sizeof framed, NULL),
                     SP_OK);
    pair_run(pair);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->grpc_status, 12);
    pair_free(pair);
}

static void a_request_cut_short_is_told(void **state)
{
    static const uint8_t framed[] = {0, 0, 0, 0, 9, 'x'};
    struct pair *pair = pair_new(NULL, NULL);
    struct heard *call = pair_open(pair, NULL, 0);
    assert_int_equal(sp__h2_write_framed(call->stream, framed, sizeof framed, NULL),
                     SP_OK);
    assert_int_equal(sp__h2_half_close(call->stream, NULL), SP_OK);
    pair_run(pair);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->grpc_status, 13);
    assert_int_equal(pair->at_server[0].half_closes, 0);
    pair_free(pair);
}

static void an_answer_cut_short_is_told(void **state)
{
    static const uint8_t framed[] = {0, 0, 0, 0, 9, 'x'};
    struct pair *pair = pair_new(NULL, NULL);
    struct heard *call = pair_open(pair, "x", 1);
    pair_run(pair);
    struct heard *served = &pair->at_server[0];
    assert_int_equal(sp__h2_write_framed(served->stream, framed, sizeof framed, NULL),
                     SP_OK);
    pair_finish(served);
    pair_run(pair);
    assert_int_equal(call->grpc_status, 13);
    assert_string_equal(call->message, "the answer was cut short");
    pair_free(pair);
}

static void streams_over_the_limit_wait_at_the_client(void **state)
{
    const struct h2_options few = {.trusted = 1, .streams_max = 4};
    struct pair *pair = pair_echoing(NULL, &few);
    pair_run(pair); /* the client has seen the settings */
    for (int i = 0; i < 20; i++) {
        assert_non_null(pair_open(pair, "x", 1));
    }
    pair_run(pair);
    assert_int_equal(pair->broken, 0);
    for (int i = 0; i < 20; i++) {
        heard_assert_ok(&pair->at_client[i], "x");
    }
    pair_free(pair);
}

static void too_much_metadata_is_refused(void **state)
{
    const struct h2_options stranger = {.trusted = 0};
    char value[4000];
    memset(value, 'v', sizeof value);
    struct h2_header headers[5];
    for (int i = 0; i < 5; i++) {
        headers[i] = (struct h2_header){"name", 4, value, sizeof value};
    }
    struct pair *pair = pair_new(&stranger, &stranger);
    for (size_t count = 3; count <= 5; count += 2) {
        struct heard *call = &pair->at_client[pair->client_count++];
        sp__buf_init(&call->last, 1000);
        call->pair = pair;
        assert_int_equal(sp__h2_open(pair->client, "/test/Call", 5, headers, count,
                                     sp_text("x"), 1, call, &call->stream, NULL),
                         SP_OK);
        pair_run(pair);
    }
    assert_int_equal(pair->server_count, 1);
    assert_int_equal(pair->at_client[0].ends, 0);
    assert_int_equal(pair->at_client[1].ends, 1);
    assert_int_equal(pair->at_client[1].grpc_status, 8);
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_cancels),
        TEST(a_call_cancelled_before_it_left_counts_as_refused),
        TEST(a_server_resets),
        TEST(a_refused_stream_is_known_to_be_untouched),
        TEST(a_request_can_be_refused_with_a_status),
        TEST(a_server_may_finish_before_the_client_does),
        TEST(goaway_lets_open_calls_go_on),
        TEST(freeing_a_connection_ends_its_streams),
        TEST(a_message_over_the_limit_ends_its_call_at_the_server),
        TEST(a_message_over_the_limit_ends_its_call_at_the_client),
        TEST(compressed_messages_are_refused),
        TEST(a_request_cut_short_is_told),
        TEST(an_answer_cut_short_is_told),
        TEST(streams_over_the_limit_wait_at_the_client),
        TEST(too_much_metadata_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
