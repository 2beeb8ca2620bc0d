/* SPDX-License-Identifier: MIT */
/*
 * The fixture that every test runs in: what a test leaves behind fails it.
 *
 *     static void heap_gives_the_earliest_first(void **state) { ... }
 *
 *     int main(void)
 *     {
 *         const struct CMUnitTest tests[] = {TEST(heap_gives_the_earliest_first)};
 *         return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
 *     }
 */
#ifndef TEST_SUPPORT_LEAK_H
#define TEST_SUPPORT_LEAK_H

#include <stdint.h>

#include "patience.h"

#include "cm.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, leak_setup, leak_teardown)

int leak_setup(void **state);
int leak_teardown(void **state);

/* Run before the checks of this test, the last given first, also when it failed. */
void leak_at_end(void (*fn)(void));

/* End this test, which cannot be run here, saying why. */
void skip_because(const char *format, ...) CMOCKA_PRINTF_ATTRIBUTE(1, 2);
/* The same under ThreadSanitizer, which puts a signal off for as long as code of a worker
 * runs that calls nothing it has a part in. */
void skip_where_signals_wait(void);
/* The same under ThreadSanitizer, which has a thread of its own in every process. */
void skip_where_a_thread_is_added(void);

/* A folder for files of the test's own, removed with them after it. */
const char *leak_folder(void);
/* The path of a file in that folder; borrowed until the test is over. */
const char *leak_path(const char *name);

/* The value of SNAKEPIT_TEST_MARK: every process that this test starts has it. */
const char *leak_mark(void);

/* Wait until a condition holds; fails the test after ten patient seconds. What it asks
 * is another process's or thread's doing, so there is nothing to be woken by. */
#define UNTIL(condition)                                        \
    do {                                                        \
        uint64_t until_ms = leak_now_ms() + patience_ms(10000); \
        while (!(condition)) {                                  \
            if (leak_now_ms() > until_ms) {                     \
                fail_msg("never came true: %s", #condition);    \
            }                                                   \
            leak_pause();                                       \
        }                                                       \
    } while (0)

uint64_t leak_now_ms(void);
void leak_pause(void); /* a few milliseconds, between two looks */

#endif
