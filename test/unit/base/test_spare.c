/* SPDX-License-Identifier: MIT */
/* What is given back is used again, within bounds, and counted as if it were not kept. */
#include "base/spare.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "snakepit/error.h"

static atomic_int mallocs;
static atomic_int frees;

static void *counting_malloc(size_t size)
{
    atomic_fetch_add(&mallocs, 1);
    return malloc(size);
}

static void counting_free(void *memory)
{
    atomic_fetch_add(&frees, memory != NULL);
    free(memory);
}

static int count_allocator(void **state)
{
    (void)state;
    atomic_store(&mallocs, 0);
    atomic_store(&frees, 0);
    return sp_set_allocator(counting_malloc, realloc, counting_free);
}

static int restore_allocator(void **state)
{
    (void)state;
    int is_even = atomic_load(&mallocs) == atomic_load(&frees);
    return sp_set_allocator(malloc, realloc, free) == SP_OK && is_even ? 0 : -1;
}

#define COUNTED(test) \
    cmocka_unit_test_setup_teardown(test, count_allocator, restore_allocator)

static void what_is_given_back_is_used_again(void **state)
{
    sp__spare_open();
    for (int i = 0; i < 10; i++) {
        char *memory = sp__spare_take(100);
        assert_int_equal((uintptr_t)memory % sizeof(uint64_t), 0);
        memset(memory, '#', 100);
        sp__spare_give(memory);
    }
    assert_int_equal(atomic_load(&mallocs), MEM_MAY_KEEP ? 1 : 10);
    sp__spare_close();
}

static void sizes_of_one_step_are_the_same(void **state)
{
    sp__spare_open();
    sp__spare_give(sp__spare_take(97));
    sp__spare_give(sp__spare_take(112));
    assert_int_equal(atomic_load(&mallocs), MEM_MAY_KEEP ? 1 : 2);
    sp__spare_give(sp__spare_take(113));
    sp__spare_give(sp__spare_take(96));
    assert_int_equal(atomic_load(&mallocs), MEM_MAY_KEEP ? 3 : 4);
    sp__spare_close();
}

static void nothing_is_kept_unless_it_is_open(void **state)
{
    sp__spare_give(sp__spare_take(100));
    assert_int_equal(atomic_load(&frees), 1);
    sp__spare_open();
    sp__spare_open();
    void *late = sp__spare_take(100);
    sp__spare_give(sp__spare_take(200));
    sp__spare_close();
    assert_int_equal(atomic_load(&frees), MEM_MAY_KEEP ? 1 : 2);
    sp__spare_close();
    assert_int_equal(atomic_load(&frees), 2);
    sp__spare_give(late); /* a result that is cleared when its pit is gone */
    assert_int_equal(atomic_load(&frees), 3);
}

static void much_memory_is_not_kept(void **state)
{
    enum { LIMIT = 4080, COUNT = 200 }; /* 200 x 4080: more than 256 KiB */
    void *taken[COUNT];
    sp__spare_open();
    sp__spare_give(sp__spare_take(LIMIT + 1));
    assert_int_equal(atomic_load(&frees), 1);
    for (int i = 0; i < COUNT; i++) {
        taken[i] = sp__spare_take(LIMIT);
    }
    for (int i = 0; i < COUNT; i++) {
        sp__spare_give(taken[i]);
    }
    int kept = atomic_load(&mallocs) - atomic_load(&frees);
    assert_int_equal(kept, MEM_MAY_KEEP ? (256 << 10) / LIMIT : 0);
    sp__spare_close();
}

static void much_memory_of_many_sizes_is_not_kept(void **state)
{
    enum { SIZES = 16, COUNT = 256 << 10 >> 11 };
    static void *taken[SIZES][COUNT];
    size_t kept = 0;
    sp__spare_open();
    for (size_t i = 0; i < SIZES; i++) { /* 256 KiB and less of each */
        for (size_t k = 0; k < COUNT; k++) {
            taken[i][k] = sp__spare_take(2048 - i * 16);
        }
    }
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t k = 0; k < COUNT; k++) {
            int before = atomic_load(&frees);
            sp__spare_give(taken[i][k]);
            kept += atomic_load(&frees) == before ? 2048 - i * 16 : 0;
        }
    }
    assert_in_range(kept, MEM_MAY_KEEP ? (2 << 20) - 2048 : 0,
                    MEM_MAY_KEEP ? 2 << 20 : 0);
    sp__spare_close();
}

static void what_is_kept_is_not_alive(void **state)
{
    int64_t before = sp__mem_live();
    sp__spare_open();
    void *memory = sp__spare_take(100);
    assert_int_equal(sp__mem_live(), before + 1);
    sp__spare_give(memory);
    assert_int_equal(sp__mem_live(), before);
    memory = sp__spare_take(100);
    assert_int_equal(sp__mem_live(), before + 1);
    sp__spare_give(memory);
    sp__spare_close();
    assert_int_equal(sp__mem_live(), before);
}

static void an_allocation_fails_also_when_there_is_a_spare_block(void **state)
{
    sp__spare_open();
    sp__spare_give(sp__spare_take(100));
    sp__mem_fail_at(1, 0);
    assert_null(sp__spare_take(100));
    sp__mem_fail_at(0, 0);
    sp__spare_close();
}

static void more_than_there_can_be_is_refused(void **state)
{
    assert_null(sp__spare_take(SIZE_MAX));
    sp__spare_give(NULL);
}

/* Blocks travel from thread to thread, and are everybody's alone meanwhile. */
enum { THREADS = 4, ROUNDS = 20000, PLACES = 8 };
static _Atomic(uint64_t *) places[PLACES];

static void *exchange(void *arg)
{
    uint64_t mine = (uint64_t)(uintptr_t)arg;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        size_t words = 2 + i % 4;
        uint64_t *block = sp__spare_take(words * sizeof *block);
        block[0] = words;
        for (size_t k = 1; k < words; k++) {
            block[k] = mine << 32 | i;
        }
        block = atomic_exchange(&places[i % PLACES], block);
        for (size_t k = 2; block != NULL && k < block[0]; k++) {
            if (block[k] != block[1]) {
                return arg;
            }
        }
        sp__spare_give(block);
    }
    return NULL;
}

static void threads_share_it(void **state)
{
    pthread_t threads[THREADS];
    sp__spare_open();
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, exchange, (void *)(uintptr_t)(i + 1)), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *broken;
        assert_int_equal(pthread_join(threads[i], &broken), 0);
        assert_null(broken);
    }
    for (size_t i = 0; i < PLACES; i++) {
        sp__spare_give(atomic_exchange(&places[i], NULL));
    }
    sp__spare_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COUNTED(what_is_given_back_is_used_again),
        COUNTED(sizes_of_one_step_are_the_same),
        COUNTED(nothing_is_kept_unless_it_is_open),
        COUNTED(much_memory_is_not_kept),
        COUNTED(much_memory_of_many_sizes_is_not_kept),
        TEST(what_is_kept_is_not_alive),
        TEST(an_allocation_fails_also_when_there_is_a_spare_block),
        TEST(more_than_there_can_be_is_refused),
        COUNTED(threads_share_it),
    };
    return cmocka_run_group_tests_name("spare", tests, NULL, NULL);
}
