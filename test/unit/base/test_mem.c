/* SPDX-License-Identifier: MIT */
/* The allocator: what is alive is counted, and a chosen allocation fails. */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "leak.h"
#include "snakepit/error.h"

static void live_counts_what_is_not_freed(void **state)
{
    int64_t before = sp__mem_live();
    void *a = sp__malloc(10);
    void *b = sp__calloc(3, 5);
    char *c = sp__strdup("text");
    assert_int_equal(sp__mem_live(), before + 3);
    c = sp__realloc(c, 1000);
    assert_string_equal(c, "text");
    assert_int_equal(sp__mem_live(), before + 3);
    sp__free(a);
    sp__free(b);
    sp__free(c);
    sp__free(NULL);
    assert_int_equal(sp__mem_live(), before);
}

static void calloc_gives_zeroes_and_refuses_an_overflow(void **state)
{
    static const char zeroes[64];
    void *memory = sp__calloc(8, 8);
    assert_memory_equal(memory, zeroes, 64);
    sp__free(memory);
    assert_null(sp__calloc(SIZE_MAX / 2, 3));
}

static void nothing_is_something_too(void **state)
{
    void *a = sp__malloc(0);
    void *b = sp__calloc(0, 8);
    void *c = sp__realloc(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    c = sp__realloc(c, 0);
    assert_non_null(c);
    sp__free(a);
    sp__free(b);
    sp__free(c);
}

static void copies_of_text_end_with_nul(void **state)
{
    char *whole = sp__strdup("snake");
    char *part = sp__strndup("snakepit", 5);
    assert_string_equal(whole, part);
    assert_null(sp__strdup(NULL));
    sp__free(whole);
    sp__free(part);
}

static void the_nth_allocation_fails_once(void **state)
{
    sp__mem_fail_at(2, 0);
    void *first = sp__malloc(1);
    void *second = sp__malloc(1);
    void *third = sp__malloc(1);
    sp__mem_fail_at(0, 0);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    sp__free(first);
    sp__free(third);
}

static void a_sticky_failure_stays(void **state)
{
    sp__mem_fail_at(1, 1);
    void *first = sp__malloc(1);
    void *second = sp__calloc(1, 1);
    char *third = sp__strdup("x");
    sp__mem_fail_at(0, 0);
    assert_null(first);
    assert_null(second);
    assert_null(third);
}

static void a_failed_realloc_keeps_the_old_memory(void **state)
{
    char *text = sp__strdup("kept");
    sp__mem_fail_at(1, 0);
    assert_null(sp__realloc(text, 100));
    assert_string_equal(text, "kept");
    sp__free(text);
}

static void calls_counts_allocations(void **state)
{
    sp__mem_fail_at(0, 0);
    uint64_t before = sp__mem_calls();
    sp__free(sp__malloc(1));
    sp__free(sp__strdup("x"));
    assert_int_equal(sp__mem_calls(), before + 2);
}

/* ---- an embedder's allocator ---- */

static int mallocs;
static int frees;

static void *counting_malloc(size_t size)
{
    mallocs++;
    return malloc(size);
}

static void counting_free(void *memory)
{
    frees++;
    free(memory);
}

static void the_embedders_allocator_is_used(void **state)
{
    assert_int_equal(sp_set_allocator(counting_malloc, realloc, counting_free), 0);
    sp__free(sp__malloc(1));
    assert_int_equal(sp_set_allocator(malloc, realloc, free), 0);
    assert_int_equal(mallocs, 1);
    assert_int_equal(frees, 1);
}

static void an_incomplete_allocator_is_refused(void **state)
{
    assert_int_equal(sp_set_allocator(NULL, realloc, free), SP_ERR_INVAL);
    assert_int_equal(sp_set_allocator(malloc, NULL, free), SP_ERR_INVAL);
    assert_int_equal(sp_set_allocator(malloc, realloc, NULL), SP_ERR_INVAL);
    sp__free(sp__malloc(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(live_counts_what_is_not_freed),
        TEST(calloc_gives_zeroes_and_refuses_an_overflow),
        TEST(nothing_is_something_too),
        TEST(copies_of_text_end_with_nul),
        TEST(the_nth_allocation_fails_once),
        TEST(a_sticky_failure_stays),
        TEST(a_failed_realloc_keeps_the_old_memory),
        TEST(calls_counts_allocations),
        TEST(the_embedders_allocator_is_used),
        TEST(an_incomplete_allocator_is_refused),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
