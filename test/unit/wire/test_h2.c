/* SPDX-License-Identifier: MIT */
/*
 * Calls over two connections joined in memory: the normal course, every way a stream
 * ends, and what is told about it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "h2_pair.h"
#include "leak.h"

/* ---- the normal course ---- */

static void a_unary_call_is_answered(void **state)
{
    struct pair *pair = pair_echoing(NULL, NULL);
    struct heard *call = pair_open(pair, "hello", 1);
    assert_int_equal(sp__h2_streams(pair->client), 1);
    pair_run(pair);
    assert_int_equal(pair->broken, 0);
    heard_assert_ok(call, "hello");
    assert_int_equal(call->headers_came, 1);
    assert_int_equal(pair->server_count, 1);
    const struct heard *served = &pair->at_server[0];
    assert_string_equal(served->path, "/test/Call");
    assert_true(served->timeout_ms == SP_UNLIMITED);
    assert_string_equal(served->headers, "");
    assert_int_equal(served->half_closes, 1);
    assert_int_equal(served->ends, 1);
    assert_int_equal(served->grpc_status, 0);
    assert_int_equal(served->rst_code, 0);
    assert_int_equal(sp__h2_streams(pair->client), 0);
    assert_int_equal(sp__h2_streams(pair->server), 0);
    pair_free(pair);
}

static void strangers_are_answered_as_well(void **state)
{
    static const struct h2_options stranger = {.trusted = 0};
    struct pair *pair = pair_echoing(&stranger, &stranger);
    struct heard *call = pair_open(pair, "hello", 1);
    pair_run(pair);
    assert_int_equal(pair->broken, 0);
    heard_assert_ok(call, "hello");
    pair_free(pair);
}

static void bytes_may_be_split_at_every_place(void **state)
{
    for (int trusted = 0; trusted < 2; trusted++) {
        const struct h2_options options = {.trusted = trusted};
        for (size_t step = 1; step < 60; step++) {
            struct pair *pair = pair_echoing(&options, &options);
            pair->step = step;
            struct heard *first = pair_open(pair, "the first message", 1);
            struct heard *second = pair_open(pair, "", 1);
            pair_run(pair);
            assert_int_equal(pair->broken, 0);
            heard_assert_ok(first, "the first message");
            assert_int_equal(second->messages, 1);
            assert_int_equal(second->bytes, 0);
            assert_int_equal(second->grpc_status, 0);
            pair_free(pair);
        }
    }
}

static void a_hundred_megabytes_go_through_whole(void **state)
{
    enum { SIZE = 100 << 20 };
    struct pair *pair = pair_echoing(NULL, NULL);
    uint8_t *data = sp__malloc(SIZE + 5);
    assert_non_null(data);
    for (size_t i = 0; i < SIZE; i++) {
        data[5 + i] = (uint8_t)(i * 2654435761u >> 13);
    }
    uint8_t *copy = malloc(SIZE);
    assert_non_null(copy);
    memcpy(copy, data + 5, SIZE);

    struct heard *call = &pair->at_client[pair->client_count++];
    call->pair = pair;
    sp__buf_init(&call->last, SIZE_MAX / 2);
    assert_int_equal(sp__h2_open_take(pair->client, "/test/Call", SP_UNLIMITED, NULL, 0,
                                      &data, SIZE, 1, call, &call->stream, NULL),
                     SP_OK);
    assert_null(data);
    assert_int_equal(sp__h2_queued(call->stream), SIZE + 5);
    pair_run(pair);
    assert_int_equal(pair->broken, 0);
    assert_int_equal(call->grpc_status, 0);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->bytes, SIZE);
    assert_true(memcmp(call->last.data, copy, SIZE) == 0);
    free(copy);
    pair_free(pair);
}

static void write_taken(struct heard *heard)
{
    for (size_t i = 0; i < 3; i++) {
        uint8_t *data = sp__malloc(5 + 100000);
        assert_non_null(data);
        memset(data + 5, (int)('a' + i), 100000);
        assert_int_equal(sp__h2_write_take(heard->stream, &data, i * 50000, NULL),
                         SP_OK);
        assert_null(data);
    }
    pair_finish(heard);
    uint8_t *late = sp__malloc(10);
    assert_non_null(late);
    assert_int_equal(sp__h2_write_take(heard->stream, &late, 5, NULL), SP_ERR_CLOSED);
    sp__free(late); /* still ours */
}

static void a_server_can_give_its_memory_away(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    pair->on_half_close = write_taken;
    struct heard *call = pair_open(pair, "go", 1);
    pair_run(pair);
    assert_int_equal(call->messages, 3);
    assert_int_equal(call->bytes, 150000);
    assert_int_equal(call->last.data[99999], 'c');
    pair_free(pair);
}

static void a_thousand_calls_run_at_once(void **state)
{
    enum { CALLS = 1000 };
    struct pair *pair = pair_echoing(NULL, NULL);
    struct heard *calls[CALLS];
    char text[32];
    for (int i = 0; i < CALLS; i++) {
        snprintf(text, sizeof text, "call %d", i);
        calls[i] = pair_open(pair, text, 1);
        assert_non_null(calls[i]);
    }
    assert_int_equal(sp__h2_streams(pair->client), CALLS);
    pair_run(pair);
    assert_int_equal(pair->broken, 0);
    for (int i = 0; i < CALLS; i++) {
        snprintf(text, sizeof text, "call %d", i);
        heard_assert_ok(calls[i], text);
    }
    assert_int_equal(pair->server_count, CALLS);
    pair_free(pair);
}

static void write_three(struct heard *heard)
{
    for (int i = 0; i < 3; i++) {
        pair_echo(heard, (const uint8_t *)"chunk", 5);
    }
    static const uint8_t framed[] = {0, 0, 0, 0, 1, 'x', 0, 0, 0, 0, 2, 'y', 'z'};
    assert_int_equal(sp__h2_write_framed(heard->stream, framed, sizeof framed, NULL),
                     SP_OK);
    pair_finish(heard);
}

static void a_server_streams_many_messages(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    pair->on_half_close = write_three;
    struct heard *call = pair_open(pair, "go", 1);
    pair_run(pair);
    assert_int_equal(call->messages, 5);
    assert_int_equal(call->bytes, 18);
    assert_int_equal(call->grpc_status, 0);
    pair_free(pair);
}

static void both_sides_stream_in_turns(void **state)
{
    struct pair *pair = pair_echoing(NULL, NULL);
    struct heard *call = pair_open(pair, NULL, 0);
    pair_run(pair);
    assert_int_equal(pair->server_count, 1);
    assert_int_equal(pair->at_server[0].messages, 0);
    for (unsigned i = 1; i <= 10; i++) {
        assert_int_equal(sp__h2_write(call->stream, sp_text("ping"), NULL), SP_OK);
        pair_run(pair);
        assert_int_equal(call->messages, i);
    }
    assert_int_equal(pair->at_server[0].half_closes, 0);
    assert_int_equal(sp__h2_half_close(call->stream, NULL), SP_OK);
    assert_int_equal(sp__h2_write(call->stream, sp_text("late"), NULL), SP_ERR_CLOSED);
    pair_run(pair);
    assert_int_equal(pair->at_server[0].half_closes, 1);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->grpc_status, 0);
    pair_free(pair);
}

static void headers_can_come_before_any_message(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    struct heard *call = pair_open(pair, "x", 1);
    pair_run(pair);
    struct heard *served = &pair->at_server[0];
    assert_int_equal(call->headers_came, 0);
    assert_int_equal(sp__h2_accept(served->stream, NULL), SP_OK);
    pair_run(pair);
    assert_int_equal(call->headers_came, 1);
    assert_int_equal(call->ends, 0);
    pair_finish(served);
    pair_run(pair);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->grpc_status, 0);
    assert_int_equal(call->messages, 0);
    pair_free(pair);
}

static void accept_and_finish(struct heard *heard)
{
    assert_int_equal(sp__h2_accept(heard->stream, NULL), SP_OK);
    assert_int_equal(sp__h2_accept(heard->stream, NULL), SP_OK); /* twice is fine */
    pair_finish(heard);
    assert_int_equal(sp__h2_accept(heard->stream, NULL), SP_ERR_CLOSED);
}

static void an_empty_stream_may_end_in_the_turn_it_began(void **state)
{
    for (int trusted = 0; trusted < 2; trusted++) {
        const struct h2_options options = {.trusted = trusted};
        struct pair *pair = pair_new(&options, &options);
        pair->on_half_close = accept_and_finish;
        struct heard *call = pair_open(pair, "x", 1);
        pair_run(pair);
        assert_int_equal(pair->broken, 0);
        assert_int_equal(call->headers_came, 1);
        assert_int_equal(call->messages, 0);
        assert_int_equal(call->ends, 1);
        assert_int_equal(call->grpc_status, 0);
        pair_free(pair);
    }
}

static void stream_numbers_are_counted_down(void **state)
{
    struct pair *pair = pair_echoing(NULL, NULL);
    assert_int_equal(sp__h2_ids_left(pair->client), 1u << 30);
    struct heard *call = pair_open(pair, "x", 1);
    assert_int_equal(sp__h2_ids_left(pair->client), (1u << 30) - 1);
    assert_int_equal(sp__h2_stream_id(call->stream), 1);
    assert_ptr_equal(sp__h2_of(call->stream), pair->client);
    pair_free(pair);
}

static void a_request_may_have_no_message(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    pair->on_half_close = pair_finish;
    struct heard *call = pair_open(pair, NULL, 1);
    pair_run(pair);
    assert_int_equal(pair->at_server[0].half_closes, 1);
    assert_int_equal(pair->at_server[0].messages, 0);
    assert_int_equal(call->grpc_status, 0);
    assert_int_equal(call->headers_came, 0); /* a response of headers alone */
    pair_free(pair);
}

static void open_from_callback(struct heard *heard)
{
    if (heard->pair->client_count < 50) {
        assert_non_null(pair_open(heard->pair, "again", 1));
    }
}

static void calls_may_be_opened_inside_callbacks(void **state)
{
    struct pair *pair = pair_echoing(NULL, NULL);
    pair->on_client_end = open_from_callback;
    assert_non_null(pair_open(pair, "again", 1));
    pair_run(pair);
    assert_int_equal(pair->client_count, 50);
    for (int i = 0; i < 50; i++) {
        heard_assert_ok(&pair->at_client[i], "again");
    }
    pair->on_client_end = NULL;
    pair_free(pair);
}

/* ---- what goes along ---- */

static void the_deadline_arrives(void **state)
{
    static const uint64_t timeouts[] = {0,
                                        1,
                                        127,
                                        1234,
                                        30000,
                                        29987,
                                        3600000,
                                        UINT64_C(86400000) * 365,
                                        UINT64_MAX - 1};
    for (int trusted = 0; trusted < 2; trusted++) {
        const struct h2_options options = {.trusted = trusted};
        struct pair *pair = pair_new(&options, &options);
        for (unsigned i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
            struct heard *call = &pair->at_client[pair->client_count++];
            sp__buf_init(&call->last, 1000);
            call->pair = pair;
            assert_int_equal(sp__h2_open(pair->client, "/test/Call", timeouts[i], NULL,
                                         0, sp_text("x"), 1, call, &call->stream, NULL),
                             SP_OK);
            pair_run(pair);
            uint64_t sent = timeouts[i];
            uint64_t got = pair->at_server[i].timeout_ms;
            if (trusted || (sent > 0 && sent <= 99999999)) {
                assert_true(got == sent);
            } else if (sent > UINT64_C(99999999) * 3600000) {
                assert_true(got == UINT64_C(99999999) * 3600000);
            } else {
                assert_true(got >= sent && got - sent <= sent / 32 + 1);
            }
        }
        pair_free(pair);
    }
}

static void metadata_arrives_and_binary_values_are_decoded(void **state)
{
    static const struct h2_header headers[] = {
        {"x-snakepit-correlation-id", 25, "sp-1", 4},
        {"blob-bin", 8, "\x01\n\xff\xfe", 4},
        {"empty", 5, "", 0},
    };
    for (int trusted = 0; trusted < 2; trusted++) {
        const struct h2_options options = {.trusted = trusted};
        struct pair *pair = pair_new(&options, &options);
        struct heard *call = &pair->at_client[pair->client_count++];
        sp__buf_init(&call->last, 1000);
        call->pair = pair;
        assert_int_equal(sp__h2_open(pair->client, "/test/Call", 5, headers, 3,
                                     sp_text("x"), 1, call, &call->stream, NULL),
                         SP_OK);
        pair_run(pair);
        assert_string_equal(
            pair->at_server[0].headers,
            "x-snakepit-correlation-id=sp-1;blob-bin=\x01\n\xff\xfe;empty=;");
        assert_int_equal(pair->broken, 0);
        pair_free(pair);
    }
}

static void impossible_metadata_is_refused(void **state)
{
    static const struct h2_header bad[] = {
        {"Upper", 5, "x", 1},        {"sp ace", 6, "x", 1}, {"", 0, "x", 1},
        {":path", 5, "x", 1},        {"grpc-x", 6, "x", 1}, {"value", 5, "a\nb", 3},
        {"value", 5, "\xc3\xa4", 2}, {"value", 5, " x", 2},
    };
    struct pair *pair = pair_new(NULL, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct h2_stream *stream = NULL;
        sp_error err = {0};
        assert_int_equal(sp__h2_open(pair->client, "/x", 5, &bad[i], 1, sp_text("x"), 1,
                                     NULL, &stream, &err),
                         SP_ERR_INVAL);
        assert_true(err.message[0] != '\0');
        assert_null(stream);
    }
    assert_int_equal(sp__h2_streams(pair->client), 0);
    pair_free(pair);
}

static const char unicode[] = "kaputt: 100 % \xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8d\n\t!";

static void finish_richly(struct heard *heard)
{
    static const struct h2_header trailers[] = {{"x-why", 5, "because", 7}};
    assert_int_equal(sp__h2_finish(heard->stream, 9, unicode,
                                   (sp_bytes){.data = "\x08\x09\x00\xff", .size = 4},
                                   trailers, 1, NULL),
                     SP_OK);
}

static void a_status_keeps_its_message_details_and_trailers(void **state)
{
    for (int trusted = 0; trusted < 2; trusted++) {
        for (int messages = 0; messages < 2; messages++) {
            const struct h2_options options = {.trusted = trusted};
            struct pair *pair = pair_new(&options, &options);
            pair->on_half_close = finish_richly;
            pair->on_server_message = messages ? pair_echo : NULL;
            struct heard *call = pair_open(pair, "x", 1);
            pair_run(pair);
            assert_int_equal(pair->broken, 0);
            assert_int_equal(call->ends, 1);
            assert_int_equal(call->messages, messages);
            assert_int_equal(call->grpc_status, 9);
            assert_string_equal(call->message, unicode);
            assert_int_equal(call->details_size, 4);
            assert_memory_equal(call->details, "\x08\x09\x00\xff", 4);
            assert_string_equal(call->trailers, "x-why=because;");
            assert_int_equal(pair->at_server[0].grpc_status, 9);
            assert_string_equal(pair->at_server[0].message, unicode);
            pair_free(pair);
        }
    }
}

static void finish_wordily(struct heard *heard)
{
    char text[3000];
    for (size_t i = 0; i + 2 < sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xa4", 2);
    }
    text[0] = 'x';
    text[1] = 'y';
    text[sizeof text - 2] = '\0';
    memmove(text + 1, text, sizeof text - 1); /* the cut falls inside a character */
    assert_int_equal(
        sp__h2_finish(heard->stream, 2, text, (sp_bytes){0}, NULL, 0, NULL), SP_OK);
}

static void a_long_status_message_is_cut_between_characters(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    pair->on_half_close = finish_wordily;
    struct heard *call = pair_open(pair, "x", 1);
    pair_run(pair);
    assert_int_equal(call->grpc_status, 2);
    size_t n = strlen(call->message);
    assert_true(n > 300 && n < sizeof call->message);
    pair_free(pair);
}

static void pings_are_answered(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    assert_int_equal(sp__h2_ping(pair->client, 0x0123456789abcdef, NULL), SP_OK);
    pair_run(pair);
    assert_int_equal(pair->pongs, 1);
    assert_true(pair->pong == 0x0123456789abcdef);
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_unary_call_is_answered),
        TEST(strangers_are_answered_as_well),
        TEST(bytes_may_be_split_at_every_place),
        TEST(a_hundred_megabytes_go_through_whole),
        TEST(a_server_can_give_its_memory_away),
        TEST(a_thousand_calls_run_at_once),
        TEST(a_server_streams_many_messages),
        TEST(both_sides_stream_in_turns),
        TEST(headers_can_come_before_any_message),
        TEST(an_empty_stream_may_end_in_the_turn_it_began),
        TEST(stream_numbers_are_counted_down),
        TEST(a_request_may_have_no_message),
        TEST(calls_may_be_opened_inside_callbacks),
        TEST(the_deadline_arrives),
        TEST(metadata_arrives_and_binary_values_are_decoded),
        TEST(impossible_metadata_is_refused),
        TEST(a_status_keeps_its_message_details_and_trailers),
        TEST(a_long_status_message_is_cut_between_characters),
        TEST(pings_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
