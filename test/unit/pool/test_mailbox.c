/* SPDX-License-Identifier: MIT */
/* The mailbox of a stream: order, credit, its end, and two threads at it. */
#include "pool/mailbox.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"

static const sp_bytes none;

enum { CHUNKS = 200000, WINDOW = 64 * 1024 };

static void an_empty_mailbox_has_nothing_yet(void **state)
{
    struct mailbox mailbox;
    struct mailbox_chunk chunk;
    size_t credit;
    sp__mailbox_init(&mailbox);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 0);
    assert_int_equal(credit, 0);
    sp__mailbox_end(&mailbox);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), -1);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), -1);
    sp__mailbox_fini(&mailbox);
}

static void chunks_come_out_in_order_and_then_the_end(void **state)
{
    struct mailbox mailbox;
    struct mailbox_chunk chunk;
    size_t credit;
    sp__mailbox_init(&mailbox);
    assert_int_equal(sp__mailbox_put(&mailbox, sp_text("one"), none, 8, NULL), 1);
    assert_int_equal(sp__mailbox_put(&mailbox, none, none, 5, NULL), 0);
    assert_int_equal(sp__mailbox_put(&mailbox, sp_text("three"), none, 10, NULL), 0);
    sp__mailbox_end(&mailbox);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 1);
    assert_int_equal(chunk.size, 3);
    assert_memory_equal(chunk.data, "one", 3);
    assert_int_equal(mailbox.index, 1);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 1);
    assert_int_equal(chunk.size, 0);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 1);
    assert_memory_equal(chunk.data, "three", 5);
    assert_int_equal(credit, 0);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), -1);
    assert_int_equal(credit, 0); /* nobody is to go on */
    sp__mailbox_fini(&mailbox);
}

static void credit_comes_back_when_a_whole_buffer_is_consumed(void **state)
{
    struct mailbox mailbox;
    struct mailbox_chunk chunk;
    size_t credit;
    sp__mailbox_init(&mailbox);
    assert_int_equal(sp__mailbox_put(&mailbox, sp_text("a"), none, 6, NULL), 1);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 1);
    assert_int_equal(credit, 0);
    /* What comes meanwhile goes to the other buffer: the consumer must be told. */
    assert_int_equal(sp__mailbox_put(&mailbox, sp_text("b"), none, 6, NULL), 1);
    assert_int_equal(sp__mailbox_put(&mailbox, sp_text("c"), none, 6, NULL), 0);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 1);
    assert_int_equal(credit, 6);
    assert_memory_equal(chunk.data, "b", 1);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 1);
    assert_int_equal(credit, 0);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 0);
    assert_int_equal(credit, 12);
    sp__mailbox_fini(&mailbox);
}

static void binaries_come_beside_the_data_where_numbers_can_be_read(void **state)
{
    struct mailbox mailbox;
    struct mailbox_chunk chunk;
    size_t credit;
    const double numbers[] = {0.5, -1, 3e300};
    const sp_bytes binary = {numbers, sizeof numbers};
    sp__mailbox_init(&mailbox);
    for (size_t n = 0; n < 40; n++) { /* every alignment of what stands before */
        const sp_bytes data = {"0123456789012345678901234567890123456789", n};
        assert_true(sp__mailbox_put(&mailbox, data, binary, n, NULL) >= 0);
    }
    for (size_t n = 0; n < 40; n++) {
        assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 1);
        assert_int_equal(chunk.size, n);
        assert_memory_equal(chunk.data, "0123456789012345678901234567890123456789", n);
        assert_int_equal(chunk.binary_size, sizeof numbers);
        assert_int_equal((uintptr_t)chunk.binary % 16, 0);
        assert_memory_equal(chunk.binary, numbers, sizeof numbers);
    }
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 0);
    sp__mailbox_fini(&mailbox);
}

static void a_large_buffer_is_not_kept(void **state)
{
    struct mailbox mailbox;
    struct mailbox_chunk chunk;
    size_t credit;
    size_t big = 3 * 1024 * 1024;
    char *block = sp__calloc(1, big);
    sp__mailbox_init(&mailbox);
    assert_int_equal(sp__mailbox_put(&mailbox, (sp_bytes){block, big}, none, big, NULL),
                     1);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 1);
    assert_int_equal(chunk.size, big);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 0);
    assert_true(mailbox.filling.capacity + mailbox.draining.capacity <= 512 * 1024);
    sp__free(block);
    sp__mailbox_fini(&mailbox);
}

static void without_memory_a_chunk_is_refused_and_the_rest_kept(void **state)
{
    struct mailbox mailbox;
    struct mailbox_chunk chunk;
    size_t credit;
    static const char block[4096];
    sp_error err = {0};
    sp__mailbox_init(&mailbox);
    assert_int_equal(sp__mailbox_put(&mailbox, sp_text("a"), none, 6, &err), 1);
    sp__mem_fail_at(1, 0);
    assert_int_equal(
        sp__mailbox_put(&mailbox, (sp_bytes){block, sizeof block}, none, 1, &err),
        SP_ERR_NOMEM);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 1);
    assert_memory_equal(chunk.data, "a", 1);
    assert_int_equal(sp__mailbox_take(&mailbox, &chunk, &credit), 0);
    sp_error_clear(&err);
    sp__mailbox_fini(&mailbox);
}

/* ---- a producer that has only so much credit, and a consumer ---- */

struct pipe {
    struct mailbox mailbox;
    atomic_size_t credit;
    struct latch more_credit;
};

static void *produce(void *arg)
{
    struct pipe *pipe = arg;
    for (uint32_t i = 0; i < CHUNKS; i++) {
        size_t cost = sizeof i + 5;
        while (atomic_load(&pipe->credit) < cost) {
            (void)sp__latch_wait(&pipe->more_credit, SP_UNLIMITED);
            sp__latch_close(&pipe->more_credit);
        }
        atomic_fetch_sub(&pipe->credit, cost);
        if (sp__mailbox_put(&pipe->mailbox, (sp_bytes){&i, sizeof i}, none, cost,
                            NULL) == 1) {
            sp__latch_open(&pipe->mailbox.ready);
        }
    }
    sp__mailbox_end(&pipe->mailbox);
    sp__latch_open(&pipe->mailbox.ready);
    return NULL;
}

static void two_threads_pass_everything_in_bounded_memory(void **state)
{
    struct pipe pipe = {.credit = WINDOW};
    pthread_t thread;
    uint32_t expected = 0;
    size_t largest = 0;
    sp__mailbox_init(&pipe.mailbox);
    sp__latch_init(&pipe.more_credit);
    assert_int_equal(pthread_create(&thread, NULL, produce, &pipe), 0);
    for (;;) {
        struct mailbox_chunk chunk;
        size_t credit;
        int rc = sp__mailbox_take(&pipe.mailbox, &chunk, &credit);
        if (credit > 0) {
            atomic_fetch_add(&pipe.credit, credit);
            sp__latch_open(&pipe.more_credit);
        }
        if (rc < 0) {
            break;
        }
        if (rc == 0) {
            assert_int_equal(sp__latch_wait(&pipe.mailbox.ready, patience_ms(20000)),
                             1);
            continue;
        }
        uint32_t value;
        memcpy(&value, chunk.data, sizeof value);
        assert_int_equal(value, expected++);
        largest = pipe.mailbox.draining.capacity > largest
                      ? pipe.mailbox.draining.capacity
                      : largest;
    }
    assert_int_equal(expected, CHUNKS);
    assert_true(largest <= 2 * WINDOW);
    assert_int_equal(pthread_join(thread, NULL), 0);
    sp__mailbox_fini(&pipe.mailbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_mailbox_has_nothing_yet),
        TEST(chunks_come_out_in_order_and_then_the_end),
        TEST(credit_comes_back_when_a_whole_buffer_is_consumed),
        TEST(binaries_come_beside_the_data_where_numbers_can_be_read),
        TEST(a_large_buffer_is_not_kept),
        TEST(without_memory_a_chunk_is_refused_and_the_rest_kept),
        TEST(two_threads_pass_everything_in_bounded_memory),
    };
    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
