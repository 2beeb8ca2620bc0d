/* SPDX-License-Identifier: MIT */
/* The guard's reading of spawn requests: guard/request.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../../guard/request.h"

static struct spawn_request request;

/* Parse a block given as a literal, its last NUL included. */
#define PARSE(argc_, envc_, text) parse(argc_, envc_, 0, sizeof text, text, sizeof text)

static int parse(uint32_t argc, uint32_t envc, uint32_t fds, uint32_t says,
                 const char *block, size_t size)
{
    struct guard_message message = {
        .id = 1, .argc = argc, .envc = envc, .fds = fds, .block_bytes = says};
    memset(&request, 0xee, sizeof request);
    return sp__request_parse(&message, block, size, &request);
}

static void request_gives_argv_env_and_directory(void **state)
{
    (void)state;
    assert_int_equal(PARSE(2, 1, "/bin/x\0-v\0A=1\0/tmp"), 0);
    assert_string_equal(request.argv[0], "/bin/x");
    assert_string_equal(request.argv[1], "-v");
    assert_null(request.argv[2]);
    assert_string_equal(request.env[0], "A=1");
    assert_null(request.env[1]);
    assert_string_equal(request.working_dir, "/tmp");
}

static void request_may_have_empty_strings(void **state)
{
    (void)state;
    assert_int_equal(PARSE(2, 0, "/bin/x\0\0"), 0);
    assert_string_equal(request.argv[1], "");
    assert_null(request.env[0]);
    assert_string_equal(request.working_dir, "");
}

static void request_with_wrong_counts_is_refused(void **state)
{
    (void)state;
    assert_int_equal(PARSE(0, 1, "/bin/x\0"), EINVAL);
    assert_int_equal(PARSE(3, 1, "/bin/x\0-v\0A=1"), EINVAL); /* one string short */
    assert_int_equal(PARSE(2, 1, "/bin/x\0-v\0A=1"), EINVAL); /* no directory */
    assert_int_equal(PARSE(1, 0, "/bin/x\0\0left over"), EINVAL);
    assert_int_equal(parse(1, 0, 0, 7, "/bin/x\0", 8), EINVAL); /* says 7, has 8 */
    assert_int_equal(parse(1, 0, 0, 0, "", 0), EINVAL);
}

static void request_without_final_nul_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse(1, 0, 0, 9, "/bin/x\0/t", 9), EINVAL);
}

static void request_for_a_relative_program_is_refused(void **state)
{
    (void)state;
    assert_int_equal(PARSE(1, 0, "x\0"), EINVAL);
    assert_int_equal(PARSE(1, 0, "\0"), EINVAL);
}

static void request_without_id_is_refused(void **state)
{
    (void)state;
    struct guard_message message = {.argc = 1, .block_bytes = 8};
    assert_int_equal(sp__request_parse(&message, "/bin/x\0", 8, &request), EINVAL);
}

static void request_over_a_limit_is_refused(void **state)
{
    (void)state;
    static char block[GUARD_BLOCK_MAX + 1];
    block[0] = '/';
    uint32_t all = GUARD_STRINGS_MAX;
    assert_int_equal(parse(all, 0, 0, all + 2, block, all + 2), 0);
    assert_int_equal(parse(all, 1, 0, all + 3, block, all + 3), E2BIG);
    assert_int_equal(parse(UINT32_MAX, 1, 0, 64, block, 64), E2BIG);
    assert_int_equal(parse(1, UINT32_MAX, 0, 64, block, 64), E2BIG);
    assert_int_equal(parse(1, 0, 0, sizeof block, block, sizeof block), E2BIG);
    assert_int_equal(PARSE(1, 0, "/bin/x\0"), 0);
    assert_int_equal(parse(1, 0, GUARD_FDS_MAX, 8, "/bin/x\0", 8), 0);
    assert_int_equal(parse(1, 0, GUARD_FDS_MAX + 1, 8, "/bin/x\0", 8), E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_gives_argv_env_and_directory),
        cmocka_unit_test(request_may_have_empty_strings),
        cmocka_unit_test(request_with_wrong_counts_is_refused),
        cmocka_unit_test(request_without_final_nul_is_refused),
        cmocka_unit_test(request_for_a_relative_program_is_refused),
        cmocka_unit_test(request_without_id_is_refused),
        cmocka_unit_test(request_over_a_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
