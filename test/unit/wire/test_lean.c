/* SPDX-License-Identifier: MIT */
/*
 * The framing between peers of ours, frame by frame: what is no frame of it breaks the
 * connection, what comes too late is no mistake. That calls work over it is told by the
 * tests of the connection, which speak it wherever they trust.
 */
#include <string.h>

#include "h2_pair.h"
#include "leak.h"
#include "wire/lean.h"

static const struct h2_options trusted = {.trusted = 1};

struct scene {
    struct pair *pair;
    struct sp_buffer bytes; /* to be said by the peer that the test plays */
};

static void put_frame(struct scene *scene, enum lean_kind kind, uint32_t id,
                      const void *payload, size_t size)
{
    uint32_t head[2] = {(uint32_t)kind << 24 | (uint32_t)size, id};
    assert_int_equal(sp__buf_append(&scene->bytes, head, sizeof head, NULL), 0);
    assert_int_equal(sp__buf_append(&scene->bytes, payload, size, NULL), 0);
}

static void put_hello(struct scene *scene, uint32_t window, uint32_t streams_max)
{
    uint32_t hello[3] = {LEAN_MAGIC, window, streams_max};
    put_frame(scene, LEAN_HELLO, 0, hello, sizeof hello);
}

/* A call of "/p" without headers, a whole message, and no more. */
static void put_call(struct scene *scene, uint32_t id)
{
    static const uint8_t message[] = {0, 0, 0, 0, 1, 'x'};
    uint8_t head[19] = {0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, '/', 'p', 0};
    put_frame(scene, LEAN_HEAD, id, head, sizeof head);
    put_frame(scene, LEAN_DATA, id | 1u << 31, message, sizeof message);
}

/* The same in one frame. */
static void put_small_call(struct scene *scene, uint32_t id)
{
    uint8_t head[20] = {0, 0, 0, 0, 1, 0, 0,   0,   2, 0,
                        0, 0, 0, 0, 0, 0, '/', 'p', 0, 'x'};
    put_frame(scene, LEAN_HEAD, id | 1u << 31, head, sizeof head);
}

static struct scene begin(void)
{
    struct scene scene = {.pair = pair_new(&trusted, &trusted)};
    sp__buf_init(&scene.bytes, SIZE_MAX / 2);
    assert_non_null(scene.pair);
    return scene;
}

static void end(struct scene *scene)
{
    pair_free(scene->pair);
    sp__buf_fini(&scene->bytes);
}

/* Say it, one byte after the other when `step` is 1. */
static int say(struct scene *scene, struct h2 *to, size_t step)
{
    int rc = SP_OK;
    step = step == 0 ? scene->bytes.size : step;
    for (size_t at = 0; rc == SP_OK && at < scene->bytes.size; at += step) {
        size_t left = scene->bytes.size - at;
        rc =
            sp__h2_receive(to, scene->bytes.data + at, left < step ? left : step, NULL);
    }
    scene->bytes.size = 0;
    return rc;
}

static void a_call_may_be_cut_anywhere(void **state)
{
    for (size_t step = 0; step < 30; step++) {
        struct scene scene = begin();
        scene.pair->on_server_message = pair_echo;
        scene.pair->on_half_close = pair_finish;
        put_hello(&scene, 1000, 10);
        put_call(&scene, 1);
        put_small_call(&scene, 3);
        put_call(&scene, 7);
        assert_int_equal(say(&scene, scene.pair->server, step), SP_OK);
        assert_int_equal(scene.pair->server_count, 3);
        for (int i = 0; i < 3; i++) {
            struct heard *heard = &scene.pair->at_server[i];
            assert_string_equal(heard->path, "/p");
            assert_true(heard->timeout_ms == UINT64_C(1) << 32);
            assert_int_equal(heard->messages, 1);
            assert_int_equal(heard->last.size, 1);
            assert_int_equal(heard->last.data[0], 'x');
            assert_int_equal(heard->half_closes, 1);
        }
        end(&scene);
    }
}

static void answer_same(struct heard *heard, const uint8_t *data, size_t size)
{
    assert_int_equal(sp__h2_answer(heard->stream, (sp_bytes){data, size}, NULL), 0);
    /* It was ended. */
    assert_int_equal(sp__h2_answer(heard->stream, (sp_bytes){data, size}, NULL),
                     SP_ERR_CLOSED);
    assert_int_equal(
        sp__h2_finish(heard->stream, 0, NULL, (sp_bytes){0}, NULL, 0, NULL),
        SP_ERR_CLOSED);
}

/* Calls and answers of all sizes come as they were, by either framing; small ones of ours
 * take a frame each way. */
static void an_answer_ends_the_call(void **state)
{
    static const struct h2_options strange = {0};
    static const size_t sizes[] = {0, 1, LEAN_MESSAGE_MAX, LEAN_MESSAGE_MAX + 1, 70000};
    static char text[70000];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int trusts = 0; trusts < 2; trusts++) {
            const struct h2_options *options = trusts ? &trusted : &strange;
            struct pair *pair = pair_new(options, options);
            pair->on_server_message = answer_same;
            pair_run(pair);
            pair->to_client = pair->to_server = 0;
            struct heard *call = pair_begin(pair, (sp_bytes){text, sizes[i]}, 1);
            pair_run(pair);
            assert_int_equal(pair->broken, 0);
            assert_int_equal(call->messages, 1);
            assert_int_equal(call->headers_came, 1);
            assert_int_equal(call->last.size, sizes[i]);
            assert_true(sizes[i] == 0 || memcmp(call->last.data, text, sizes[i]) == 0);
            assert_int_equal(call->ends, 1);
            assert_int_equal(call->grpc_status, 0);
            assert_int_equal(pair->at_server[0].half_closes, 0); /* it had ended */
            assert_int_equal(pair->at_server[0].ends, 1);
            if (trusts && sizes[i] <= LEAN_MESSAGE_MAX) {
                assert_int_equal(pair->to_client, LEAN_HEAD_SIZE + sizes[i]);
            }
            pair_free(pair);
        }
    }
}

/* Behind messages that wait it waits too. */
static void answer_behind(struct heard *heard, const uint8_t *data, size_t size)
{
    assert_int_equal(sp__h2_write(heard->stream, (sp_bytes){"first", 5}, NULL), 0);
    assert_int_equal(sp__h2_answer(heard->stream, (sp_bytes){data, size}, NULL), 0);
}

static void an_answer_overtakes_nothing(void **state)
{
    struct pair *pair = pair_new(&trusted, &trusted);
    pair->on_server_message = answer_behind;
    struct heard *call = pair_open(pair, "last", 1);
    pair_run(pair);
    assert_int_equal(call->messages, 2);
    assert_int_equal(call->last.size, 4);
    assert_memory_equal(call->last.data, "last", 4);
    assert_int_equal(call->grpc_status, 0);
    pair_free(pair);
}

static void a_small_call_that_is_larger_than_the_limit_is_refused(void **state)
{
    const struct h2_options small = {.trusted = 1, .message_max = 3};
    struct pair *pair = pair_new(&small, &small);
    pair->on_server_message = pair_echo;
    pair->on_half_close = pair_finish;
    struct heard *fits = pair_open(pair, "abc", 1);
    struct heard *larger = pair_open(pair, "abcd", 1);
    pair_run(pair);
    heard_assert_ok(fits, "abc");
    assert_int_equal(larger->grpc_status, 8); /* RESOURCE_EXHAUSTED */
    assert_int_equal(pair->at_server[1].messages, 0);
    /* An answer that is too large for who asked. */
    struct scene scene = {.pair = pair};
    sp__buf_init(&scene.bytes, SIZE_MAX / 2);
    larger = pair_open(pair, "abc", 1);
    assert_true(pair_client_to_server(pair) > 0);
    put_frame(&scene, LEAN_ANSWER, 5, "abcd", 4);
    assert_int_equal(say(&scene, pair->client, 0), SP_OK);
    assert_int_equal(larger->messages, 0);
    assert_int_equal(larger->ends, 1);
    assert_int_equal(larger->grpc_status, 8);
    end(&scene);
}

static void an_answer_inside_a_message_breaks_it(void **state)
{
    struct scene scene = begin();
    (void)pair_open(scene.pair, "x", 1);
    assert_true(pair_client_to_server(scene.pair) > 0);
    put_hello(&scene, 1000, 10);
    put_frame(&scene, LEAN_DATA, 1, "\0\0", 2);
    put_frame(&scene, LEAN_ANSWER, 1, "x", 1);
    assert_int_equal(say(&scene, scene.pair->client, 0), SP_ERR_PROTOCOL);
    end(&scene);
}

/* What was left of that message is not kept for a call that was given up. */
static void an_answer_to_nobody_may_come_inside_a_message(void **state)
{
    struct scene scene = begin();
    struct heard *call = pair_open(scene.pair, "x", 1);
    assert_true(pair_client_to_server(scene.pair) > 0);
    put_hello(&scene, 1000, 10);
    put_frame(&scene, LEAN_DATA, 1, "\0\0", 2);
    assert_int_equal(say(&scene, scene.pair->client, 0), SP_OK);
    sp__h2_reset(call->stream, RST_CANCEL);
    put_frame(&scene, LEAN_DATA, 1, "\0\0\1y", 4);
    put_frame(&scene, LEAN_ANSWER, 1, "x", 1);
    assert_int_equal(say(&scene, scene.pair->client, 0), SP_OK);
    assert_int_equal(call->messages, 0);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->rst_code, RST_CANCEL);
    end(&scene);
}

static void nothing_comes_before_the_greeting(void **state)
{
    struct scene scene = begin();
    put_call(&scene, 1);
    assert_int_equal(say(&scene, scene.pair->server, 0), SP_ERR_PROTOCOL);
    assert_int_equal(say(&scene, scene.pair->server, 0), SP_OK); /* nothing is said */
    put_hello(&scene, 1000, 10);
    assert_int_equal(say(&scene, scene.pair->server, 0), SP_ERR_PROTOCOL);
    end(&scene);
}

static void another_version_is_told_at_once(void **state)
{
    struct scene scene = begin();
    uint32_t hello[3] = {LEAN_MAGIC + (1 << 24), 1000, 10};
    put_frame(&scene, LEAN_HELLO, 0, hello, sizeof hello);
    sp_error err = {0};
    assert_int_equal(
        sp__h2_receive(scene.pair->server, scene.bytes.data, scene.bytes.size, &err),
        SP_ERR_PROTOCOL);
    assert_non_null(strstr(err.message, "not of this version"));
    sp_error_clear(&err);
    end(&scene);
}

static void http2_is_not_understood(void **state)
{
    struct scene scene = begin();
    assert_int_equal(
        sp__buf_append(&scene.bytes, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, NULL), 0);
    assert_int_equal(say(&scene, scene.pair->server, 1), SP_ERR_PROTOCOL);
    end(&scene);
}

static void numbers_rise(void **state)
{
    static const uint32_t wrong[] = {0, 1, 2, 3, 4};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct scene scene = begin();
        put_hello(&scene, 1000, 10);
        put_call(&scene, 3);
        assert_int_equal(say(&scene, scene.pair->server, 0), SP_OK);
        put_call(&scene, wrong[i]);
        assert_int_equal(say(&scene, scene.pair->server, 0), SP_ERR_PROTOCOL);
        end(&scene);
    }
}

static void texts_end_where_they_say(void **state)
{
    /* A path of 2 in a head whose zero is missing, cut off, and followed by something. */
    static const uint8_t head[20] = {0, 0, 0, 0, 0, 0, 0,   0,   2,   0,
                                     0, 0, 0, 0, 0, 0, 'a', 'b', 'c', 0};
    for (size_t size = 0; size <= sizeof head; size++) {
        struct scene scene = begin();
        put_hello(&scene, 1000, 10);
        put_frame(&scene, LEAN_HEAD, 1, head, size);
        assert_int_equal(say(&scene, scene.pair->server, 1), SP_ERR_PROTOCOL);
        assert_int_equal(scene.pair->server_count, 0);
        end(&scene);
    }
}

static void what_is_too_large_is_no_frame(void **state)
{
    static const struct {
        enum lean_kind kind;
        uint32_t size;
    } rows[] = {
        {LEAN_STATUS, LEAN_PAYLOAD_MAX + 1},
        {LEAN_ANSWER, LEAN_MESSAGE_MAX + 1},
        {LEAN_NOTHING, LEAN_PAYLOAD_MAX + LEAN_MESSAGE_MAX + 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene = begin();
        uint32_t head[2] = {(uint32_t)rows[i].kind << 24 | rows[i].size, 1};
        put_hello(&scene, 1000, 10);
        assert_int_equal(sp__buf_append(&scene.bytes, head, sizeof head, NULL), 0);
        assert_int_equal(say(&scene, scene.pair->client, 0), SP_ERR_PROTOCOL);
        end(&scene);
    }
}

/* As many bytes as a head can have, with a message behind them: taken back, it is a frame
 * of as many that says nothing. */
static void the_largest_head_may_be_taken_back(void **state)
{
    static char text[LEAN_PAYLOAD_MAX];
    static const char path[] = "/p";
    size_t rest = 4 * sizeof(uint32_t) + sizeof path + 2 * sizeof(uint32_t) + 1 + 2;
    struct h2_header header = {.name = "n", .name_size = 1, .value = text};
    struct pair *pair = pair_echoing(&trusted, &trusted);
    struct h2_stream *stream;
    memset(text, 'x', sizeof text);
    pair_run(pair);
    header.value_size = sizeof text - rest + 1;
    assert_int_equal(sp__h2_open(pair->client, path, 5, &header, 1, sp_text("x"), 1,
                                 NULL, &stream, NULL),
                     SP_ERR_TOO_BIG);
    header.value_size--;
    assert_int_equal(sp__h2_open(pair->client, path, 5, &header, 1, sp_text("x"), 1,
                                 NULL, &stream, NULL),
                     SP_OK);
    sp__h2_reset(stream, RST_CANCEL);
    struct heard *call = pair_open(pair, "x", 1);
    pair_run(pair);
    assert_int_equal(pair->broken, 0);
    heard_assert_ok(call, "x");
    assert_int_equal(pair->server_count, 1);
    pair_free(pair);
}

static void what_comes_too_late_is_no_mistake(void **state)
{
    static const uint8_t message[] = {0, 0, 0, 0, 1, 'x'};
    uint32_t number = 5;
    struct scene scene = begin();
    struct heard *call = pair_open(scene.pair, "x", 1);
    assert_true(pair_client_to_server(scene.pair) > 0);
    put_hello(&scene, 1000, 10);
    put_frame(&scene, LEAN_DATA, 1, message, sizeof message);
    put_frame(&scene, LEAN_STATUS, 1, "", 1);
    /* The call is over. */
    put_frame(&scene, LEAN_ACCEPT, 1, NULL, 0);
    put_frame(&scene, LEAN_DATA, 1, message, sizeof message);
    put_frame(&scene, LEAN_GRANT, 1, &number, sizeof number);
    put_frame(&scene, LEAN_RESET, 1, &number, sizeof number);
    put_frame(&scene, LEAN_STATUS, 1, "\5", 1);
    put_frame(&scene, LEAN_ANSWER, 1, "y", 1);
    assert_int_equal(say(&scene, scene.pair->client, 0), SP_OK);
    heard_assert_ok(call, "x");
    assert_int_equal(call->headers_came, 1);
    end(&scene);
}

/* Kinds that only the other side says, and lengths that only other kinds have. */
static void frames_of_the_wrong_side_break_it(void **state)
{
    struct scene scene = begin();
    put_hello(&scene, 1000, 10);
    put_frame(&scene, LEAN_STATUS, 1, "", 1);
    assert_int_equal(say(&scene, scene.pair->server, 0), SP_ERR_PROTOCOL);
    put_hello(&scene, 1000, 10);
    put_call(&scene, 1);
    assert_int_equal(say(&scene, scene.pair->client, 0), SP_ERR_PROTOCOL);
    end(&scene);
    for (int kind = 0; kind < 256; kind++) {
        scene = begin();
        put_hello(&scene, 1000, 10);
        put_frame(&scene, (enum lean_kind)kind, 1, "abc", 3);
        int is_fine = kind == LEAN_DATA || kind == LEAN_NOTHING;
        assert_int_equal(say(&scene, scene.pair->server, 0),
                         is_fine ? SP_OK : SP_ERR_PROTOCOL);
        end(&scene);
    }
}

static void a_call_that_is_cancelled_in_the_queue_takes_no_other_along(void **state)
{
    struct pair *pair = pair_echoing(NULL, NULL);
    struct heard *calls[5];
    for (int i = 0; i < 5; i++) {
        calls[i] = pair_open(pair, "x", 1);
    }
    sp__h2_reset(calls[0]->stream, 8);
    sp__h2_reset(calls[3]->stream, 8);
    pair_run(pair);
    assert_int_equal(pair->broken, 0);
    assert_int_equal(pair->server_count, 3);
    for (int i = 0; i < 5; i++) {
        if (i % 3 == 0) {
            assert_int_equal(calls[i]->ends, 1);
            assert_int_equal(calls[i]->refused, 1);
        } else {
            heard_assert_ok(calls[i], "x");
        }
    }
    pair_free(pair);
}

/* Half of its head is on its way: the peer will hear of it. */
static void a_call_that_has_begun_to_leave_is_not_refused(void **state)
{
    struct pair *pair = pair_echoing(NULL, NULL);
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
    pair_run(pair);
    struct heard *call = pair_open(pair, "x", 1);
    assert_int_equal(sp__h2_send(pair->client, &out, 10, NULL), 1);
    sp__h2_reset(call->stream, 8);
    assert_int_equal(sp__h2_receive(pair->server, out.data, out.size, NULL), 0);
    pair_run(pair);
    assert_int_equal(pair->broken, 0);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->refused, 0);
    assert_int_equal(pair->server_count, 1);
    assert_int_equal(pair->at_server[0].ends, 1);
    assert_int_equal(pair->at_server[0].rst_code, 8);
    sp__buf_fini(&out);
    pair_free(pair);
}

static void calls_that_wait_for_room_end_as_others(void **state)
{
    const struct h2_options few = {.trusted = 1, .streams_max = 2};
    struct pair *pair = pair_new(NULL, &few);
    struct heard *calls[5];
    pair->on_server_message = pair_echo;
    pair_run(pair);
    for (int i = 0; i < 5; i++) {
        calls[i] = pair_open(pair, "x", 1);
    }
    pair_run(pair);
    assert_int_equal(pair->server_count, 2);
    sp__h2_reset(calls[2]->stream, 8); /* the first that waits */
    pair_run(pair);
    assert_int_equal(calls[2]->refused, 1);
    pair_finish(&pair->at_server[0]);
    pair_run(pair);
    assert_int_equal(pair->server_count, 3); /* the next one came in its place */
    assert_int_equal(sp__h2_goaway(pair->server, 0, NULL), 0);
    pair_run(pair);
    heard_assert_ok(calls[0], "x");
    assert_int_equal(calls[4]->ends, 1); /* still waiting: it never gets there */
    assert_int_equal(calls[4]->refused, 1);
    pair_finish(&pair->at_server[1]);
    pair_finish(&pair->at_server[2]);
    pair_run(pair);
    heard_assert_ok(calls[1], "x");
    heard_assert_ok(calls[3], "x");
    assert_true(sp__h2_is_done(pair->client));
    assert_true(sp__h2_is_done(pair->server));
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_may_be_cut_anywhere),
        TEST(an_answer_ends_the_call),
        TEST(an_answer_overtakes_nothing),
        TEST(a_small_call_that_is_larger_than_the_limit_is_refused),
        TEST(an_answer_inside_a_message_breaks_it),
        TEST(an_answer_to_nobody_may_come_inside_a_message),
        TEST(nothing_comes_before_the_greeting),
        TEST(another_version_is_told_at_once),
        TEST(http2_is_not_understood),
        TEST(numbers_rise),
        TEST(texts_end_where_they_say),
        TEST(what_is_too_large_is_no_frame),
        TEST(the_largest_head_may_be_taken_back),
        TEST(what_comes_too_late_is_no_mistake),
        TEST(frames_of_the_wrong_side_break_it),
        TEST(a_call_that_is_cancelled_in_the_queue_takes_no_other_along),
        TEST(a_call_that_has_begun_to_leave_is_not_refused),
        TEST(calls_that_wait_for_room_end_as_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
