/* SPDX-License-Identifier: MIT */
/*
 * cmocka, and TEST(): a test that leaves none of the library's memory behind.
 */
#ifndef TEST_NO_LEAK_H
#define TEST_NO_LEAK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

static int64_t live_before;

static int remember_memory(void **state)
{
    (void)state;
    live_before = sp__mem_live();
    return 0;
}

static int no_memory_is_left(void **state)
{
    (void)state;
    assert_int_equal(sp__mem_live(), live_before);
    return 0;
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, remember_memory, no_memory_is_left)

#endif
