/* SPDX-License-Identifier: MIT */
/* The buffer: it grows, never past its limit, and gives its memory away whole. */
#include "base/buf.h"

#include <string.h>

#include "base/mem.h"
#include "leak.h"

static void bytes_appended_stand_in_order(void **state)
{
    struct sp_buffer buf;
    sp__buf_init(&buf, 1000);
    assert_int_equal(sp__buf_append(&buf, "one ", 4, NULL), 0);
    assert_int_equal(sp__buf_append(&buf, NULL, 0, NULL), 0);
    assert_int_equal(sp__buf_printf(&buf, NULL, "%d%s", 2, "!"), 0);
    assert_int_equal(buf.size, 6);
    assert_memory_equal(buf.data, "one 2!", 6);
    sp__buf_fini(&buf);
    assert_int_equal(buf.max, 1000);
}

static void a_buffer_fills_to_its_limit_and_no_further(void **state)
{
    struct sp_buffer buf;
    sp_error err = {0};
    char byte = 'x';
    sp__buf_init(&buf, 777);
    for (int i = 0; i < 777; i++) {
        assert_int_equal(sp__buf_append(&buf, &byte, 1, &err), 0);
    }
    assert_int_equal(sp__buf_append(&buf, &byte, 1, &err), SP_ERR_TOO_BIG);
    assert_string_equal(err.message, "778 bytes are more than the limit of 777");
    assert_int_equal(buf.size, 777);
    assert_true(buf.capacity <= 777);
    sp_error_clear(&err);
    sp__buf_fini(&buf);
}

static void what_fits_has_no_room_to_spare(void **state)
{
    struct sp_buffer buf;
    sp_error err = {0};
    sp__buf_init(&buf, 500);
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp__buf_fit(&buf, 3, &err), SP_ERR_NOMEM);
    assert_null(buf.data);
    assert_int_equal(sp__buf_fit(&buf, 501, &err), SP_ERR_TOO_BIG);
    assert_int_equal(sp__buf_fit(&buf, 3, &err), 0);
    assert_int_equal(buf.capacity, 3);
    assert_int_equal(sp__buf_append(&buf, "abc", 3, &err), 0);
    assert_int_equal(buf.capacity, 3);
    assert_int_equal(sp__buf_append(&buf, "def", 3, &err),
                     0); /* it can grow all the same */
    assert_memory_equal(buf.data, "abcdef", 6);
    assert_int_equal(sp__buf_fit(&buf, 494, &err), 0);
    assert_true(buf.capacity >= 500);
    sp_error_clear(&err);
    sp__buf_fini(&buf);
}

static void a_huge_wish_does_not_wrap_around(void **state)
{
    struct sp_buffer buf;
    sp__buf_init(&buf, SIZE_MAX / 2);
    assert_int_equal(sp__buf_append(&buf, "abc", 3, NULL), 0);
    assert_int_equal(sp__buf_reserve(&buf, SIZE_MAX, NULL), SP_ERR_TOO_BIG);
    assert_int_equal(sp__buf_reserve(&buf, SIZE_MAX - 2, NULL), SP_ERR_TOO_BIG);
    sp__buf_fini(&buf);
}

static void without_memory_the_contents_stay(void **state)
{
    struct sp_buffer buf;
    sp_error err = {0};
    static const char block[1000];
    sp__buf_init(&buf, 10000);
    assert_int_equal(sp__buf_append(&buf, "abc", 3, &err), 0);
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp__buf_append(&buf, block, sizeof block, &err), SP_ERR_NOMEM);
    assert_int_equal(buf.size, 3);
    assert_memory_equal(buf.data, "abc", 3);
    sp_error_clear(&err);
    sp__buf_fini(&buf);
}

static void dropping_moves_the_rest_to_the_front(void **state)
{
    struct sp_buffer buf;
    sp__buf_init(&buf, 100);
    assert_int_equal(sp__buf_append(&buf, "abcdef", 6, NULL), 0);
    sp__buf_drop(&buf, 2);
    assert_int_equal(buf.size, 4);
    assert_memory_equal(buf.data, "cdef", 4);
    sp__buf_drop(&buf, 4);
    assert_int_equal(buf.size, 0);
    sp__buf_fini(&buf);
}

static void an_empty_buffer_gives_large_memory_back(void **state)
{
    struct sp_buffer buf;
    static const char block[5000];
    sp__buf_init(&buf, 10000);
    assert_int_equal(sp__buf_append(&buf, block, sizeof block, NULL), 0);
    sp__buf_shrink(&buf, 100);
    assert_int_equal(buf.size, 5000);
    buf.size = 0;
    sp__buf_shrink(&buf, 100000);
    assert_true(buf.capacity >= 5000);
    sp__buf_shrink(&buf, 100);
    assert_int_equal(buf.capacity, 0);
    assert_null(buf.data);
    sp__buf_fini(&buf);
}

static void taken_memory_belongs_to_the_taker(void **state)
{
    struct sp_buffer buf;
    uint8_t *data;
    size_t size;
    sp__buf_init(&buf, 100);
    assert_int_equal(sp__buf_append(&buf, "abc", 3, NULL), 0);
    sp__buf_take(&buf, &data, &size);
    assert_int_equal(size, 3);
    assert_memory_equal(data, "abc", 3);
    assert_null(buf.data);
    assert_int_equal(sp__buf_append(&buf, "new", 3, NULL), 0);
    sp__free(data);
    sp__buf_fini(&buf);
}

static void a_lent_buffer_takes_bytes_by_the_public_function(void **state)
{
    struct sp_buffer buf;
    sp__buf_init(&buf, 4);
    assert_int_equal(sp_buffer_append(&buf, sp_text("abc")), 0);
    assert_int_equal(sp_buffer_append(&buf, sp_text("de")), SP_ERR_TOO_BIG);
    assert_int_equal(sp_buffer_append(&buf, sp_text(NULL)), 0);
    assert_int_equal(buf.size, 3);
    sp__buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_appended_stand_in_order),
        TEST(a_buffer_fills_to_its_limit_and_no_further),
        TEST(what_fits_has_no_room_to_spare),
        TEST(a_huge_wish_does_not_wrap_around),
        TEST(without_memory_the_contents_stay),
        TEST(dropping_moves_the_rest_to_the_front),
        TEST(an_empty_buffer_gives_large_memory_back),
        TEST(taken_memory_belongs_to_the_taker),
        TEST(a_lent_buffer_takes_bytes_by_the_public_function),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
