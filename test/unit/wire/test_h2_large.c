/* SPDX-License-Identifier: MIT */
/*
 * Large messages are not copied more than they must be: those that are lent stay where
 * they are and are let go of at the right moment, those that came are handed over.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "h2_pair.h"
#include "leak.h"

enum { LARGE = 3 * 1024 * 1024 + 7 };

static uint8_t *fresh(size_t size)
{
    uint8_t *data = malloc(size);
    assert_non_null(data);
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(i * 7 + (i >> 12));
    }
    return data;
}

static struct h2_stream *lend(struct pair *pair, const uint8_t *data, size_t size)
{
    struct heard *heard = &pair->at_client[pair->client_count++];
    heard->pair = pair;
    sp__buf_init(&heard->last, SIZE_MAX / 2);
    assert_int_equal(sp__h2_open_lend(pair->client, "/a/b", SP_UNLIMITED, NULL, 0,
                                      (sp_bytes){data, size}, 1, heard, &heard->stream,
                                      NULL),
                     SP_OK);
    return heard->stream;
}

static void what_is_lent_arrives_whole(void **state)
{
    static const size_t sizes[] = {0, 1, 32767, 32768, 65536, LARGE};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct pair *pair = pair_new(NULL, NULL);
        uint8_t *data = fresh(sizes[i] + 1);
        (void)lend(pair, data, sizes[i]);
        pair_run(pair);
        assert_int_equal(pair->at_server[0].messages, 1);
        assert_int_equal(pair->at_server[0].last.size, sizes[i]);
        assert_memory_equal(pair->at_server[0].last.data, data, sizes[i]);
        free(data);
        pair_free(pair);
    }
}

static void after_a_reset_nothing_of_it_is_read(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    uint8_t *data = fresh(LARGE);
    struct h2_stream *stream = lend(pair, data, LARGE);
    (void)pair_client_to_server(pair); /* a part of it is under way */
    sp__h2_reset(stream, 8);
    free(data); /* a sanitizer sees who still reads it */
    pair_run(pair);
    assert_int_equal(pair->at_client[0].ends, 1);
    assert_int_equal(pair->at_server[0].messages, 0);
    pair_free(pair);
}

static int answer_at_once(struct heard *heard)
{
    assert_int_equal(
        sp__h2_finish(heard->stream, 8, "no", (sp_bytes){0}, NULL, 0, NULL), SP_OK);
    return 0;
}

static void an_early_answer_lets_go_of_it_too(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    uint8_t *data = fresh(LARGE);
    pair->on_request = answer_at_once;
    (void)lend(pair, data, LARGE);
    while (pair->at_client[0].ends == 0) {
        assert_true(pair_client_to_server(pair) + pair_server_to_client(pair) > 0);
    }
    free(data);
    pair_run(pair);
    assert_int_equal(pair->at_client[0].grpc_status, 8);
    pair_free(pair);
}

static struct sp_buffer taken;
static int was_taken;

static void take(struct heard *heard, const uint8_t *data, size_t size)
{
    was_taken = sp__h2_take_message(heard->stream, &taken);
    if (was_taken) {
        assert_ptr_equal(taken.data, data);
        assert_int_equal(taken.size, size);
        assert_true(taken.capacity > size);
        assert_int_equal((uintptr_t)taken.data % 16, 0);
        taken.data[size] = 0;
        assert_int_equal(sp__h2_take_message(heard->stream, &taken), 0);
    }
}

static void a_large_message_is_handed_over(void **state)
{
    static const struct h2_options stranger;
    for (int trusted = 0; trusted < 2; trusted++) {
        struct pair *pair =
            pair_new(trusted ? NULL : &stranger, trusted ? NULL : &stranger);
        uint8_t *data = fresh(LARGE);
        sp__buf_init(&taken, SIZE_MAX / 2);
        assert_int_equal(sp__buf_append(&taken, "old", 3, NULL), SP_OK);
        pair->on_server_message = take;
        (void)lend(pair, data, LARGE);
        pair_run(pair);
        assert_int_equal(was_taken, 1);
        assert_int_equal(taken.size, LARGE);
        assert_memory_equal(taken.data, data, LARGE);
        pair_free(pair);
        sp__buf_fini(&taken);
        free(data);
    }
}

static void a_small_message_is_not(void **state)
{
    struct pair *pair = pair_new(NULL, NULL);
    sp__buf_init(&taken, SIZE_MAX / 2);
    pair->on_server_message = take;
    pair->step = 3; /* it is put together from pieces, like a large one */
    was_taken = 1;
    (void)pair_open(pair, "a small message", 1);
    pair_run(pair);
    assert_int_equal(was_taken, 0);
    pair_free(pair);
    sp__buf_fini(&taken);
}

static void without_memory_nothing_is_begun(void **state)
{
    uint8_t *data = fresh(LARGE);
    for (uint64_t n = 1;; n++) {
        struct pair *pair = pair_new(NULL, NULL);
        struct h2_stream *stream = NULL;
        pair_run(pair);
        struct heard *heard = &pair->at_client[pair->client_count++];
        heard->pair = pair;
        sp__mem_fail_at(n, 0);
        uint64_t before = sp__mem_calls();
        int rc = sp__h2_open_lend(pair->client, "/a/b", SP_UNLIMITED, NULL, 0,
                                  (sp_bytes){data, LARGE}, 1, heard, &stream, NULL);
        int failed = sp__mem_calls() - before >= n;
        sp__mem_fail_at(0, 0);
        assert_int_equal(rc, failed ? SP_ERR_NOMEM : SP_OK);
        heard->stream = stream;
        pair->client_count -= rc < 0; /* there is no stream to hear of */
        pair_run(pair);
        assert_int_equal(pair->at_server[0].messages, rc == SP_OK);
        pair_free(pair);
        if (!failed) {
            assert_true(n > 2);
            break;
        }
    }
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_lent_arrives_whole),
        TEST(after_a_reset_nothing_of_it_is_read),
        TEST(an_early_answer_lets_go_of_it_too),
        TEST(a_large_message_is_handed_over),
        TEST(a_small_message_is_not),
        TEST(without_memory_nothing_is_begun),
    };
    return cmocka_run_group_tests_name("h2_large", tests, NULL, NULL);
}
