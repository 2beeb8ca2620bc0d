/* SPDX-License-Identifier: MIT */
/* Errors: a table without gaps, one line of text, texts that are owned once. */
#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "base/grpc_status.h"
#include "base/mem.h"
#include "leak.h"

static void every_code_has_its_row(void **state)
{
    size_t n = 0;
    for (; sp_error_at(n) != 0; n++) {
        int code = sp_error_at(n);
        assert_int_equal(code, -(int)(n + 1)); /* numbers are ABI: no gap, no reuse */
        assert_true(strncmp(sp_error_name(code), "SP-", 3) == 0);
        assert_null(strchr(sp_error_name(code), '_'));
        assert_int_equal(sp_error_by_name(sp_error_name(code)), code);
        assert_string_not_equal(sp_strerror(code), "unknown error");
        assert_string_not_equal(sp_error_hint(code), "");
        assert_in_range(sp_error_category(code), SP_CATEGORY_SYSTEM, SP_CATEGORY_STORE);
        assert_in_range(sp_error_grpc_status(code), 1, 16);
    }
    assert_int_equal(n, 42);
}

static void unknown_codes_and_names_are_told_apart(void **state)
{
    assert_string_equal(sp_error_name(-1000), "SP-UNKNOWN");
    assert_string_equal(sp_error_name(0), "SP-OK");
    assert_string_equal(sp_error_name(7), "SP-UNKNOWN");
    assert_string_equal(sp_strerror(-1000), "unknown error");
    assert_string_equal(sp_strerror(0), "no error");
    assert_string_equal(sp_error_hint(-1000), "");
    assert_int_equal(sp_error_category(-1000), SP_CATEGORY_NONE);
    assert_string_equal(sp_category_name(SP_CATEGORY_NONE), "none");
    assert_string_equal(sp_category_name(SP_CATEGORY_USAGE), "usage");
    assert_string_equal(sp_category_name(SP_CATEGORY_STORE), "store");
    assert_string_equal(sp_category_name(SP_CATEGORY_STORE + 1), "none");
    assert_string_equal(sp_category_name(-1), "none");
    assert_int_equal(sp_error_is_retryable(-1000), 0);
    assert_int_equal(sp_error_grpc_status(0), 0);
    assert_int_equal(sp_error_grpc_status(-1000), 2);
    assert_string_equal(sp__grpc_status_name(GRPC_OK), "OK");
    assert_string_equal(sp__grpc_status_name(16), "UNAUTHENTICATED");
    assert_string_equal(sp__grpc_status_name(17), "UNKNOWN");
    assert_string_equal(sp__grpc_status_name(-1), "UNKNOWN");
    assert_int_equal(sp_error_by_name("SP-NOTHING"), 0);
    assert_int_equal(sp_error_by_name(NULL), 0);
    assert_int_equal(sp_error_by_name("SP-QUEUE-FULL"), SP_ERR_QUEUE_FULL);
}

static void retryable_is_what_may_work_later(void **state)
{
    assert_int_equal(sp_error_is_retryable(SP_ERR_QUEUE_FULL), 1);
    assert_int_equal(sp_error_is_retryable(SP_ERR_WORKER_DIED), 1);
    assert_int_equal(sp_error_is_retryable(SP_ERR_BAD_JSON), 0);
    assert_int_equal(sp_error_is_retryable(SP_ERR_CANCELLED), 0);
}

static void what_may_have_run_is_never_unavailable(void **state)
{
    for (size_t i = 0; sp_error_at(i) != 0; i++) {
        sp_error err = {.code = sp_error_at(i)};
        for (int executed = SP_EXECUTED_NO; executed <= SP_EXECUTED_YES; executed++) {
            err.executed = executed;
            int status = sp_error_status(&err);
            assert_true(status > 0 && status <= 16);
            if (executed != SP_EXECUTED_NO) {
                assert_int_not_equal(status, 14);
                assert_int_equal(sp_error_pushback_ms(&err), -1);
            }
        }
        /* Its caller has said that running it again is fine. */
        err.retryable = 1;
        err.retry_after_ms = 7;
        assert_int_equal(sp_error_pushback_ms(&err), 7);
    }
    sp_error died = {.code = SP_ERR_WORKER_DIED, .executed = SP_EXECUTED_NO};
    assert_int_equal(sp_error_status(&died), 14);
    assert_int_equal(sp_error_pushback_ms(&died), 0);
    died.executed = SP_EXECUTED_UNKNOWN;
    assert_int_equal(sp_error_status(&died), 10);
    sp_error closed = {.code = SP_ERR_CLOSED};
    assert_int_equal(sp_error_pushback_ms(&closed), 0);
    sp_error conflict = {.code = SP_ERR_CONFLICT};
    assert_int_equal(sp_error_status(&conflict), 10);
    assert_int_equal(sp_error_pushback_ms(&conflict), -1);
    sp_error wrong = {.code = SP_ERR_BAD_JSON};
    assert_int_equal(sp_error_pushback_ms(&wrong), -1);
    sp_error later = {.code = SP_ERR_BREAKER_OPEN, .retry_after_ms = SP_UNLIMITED};
    assert_int_equal(sp_error_pushback_ms(&later), INT32_MAX);
    assert_int_equal(sp_error_status(NULL), 0);
    assert_int_equal(sp_error_pushback_ms(NULL), -1);
    assert_int_equal(sp_error_status(&(sp_error){0}), 0);
}

static void a_message_is_one_line(void **state)
{
    sp_error err = {0};
    assert_int_equal(sp__fail(&err, SP_ERR_INVAL, "first\nsecond\tthird\x01"),
                     SP_ERR_INVAL);
    assert_string_equal(err.message, "first second third ");
    assert_int_equal(err.code, SP_ERR_INVAL);
    assert_int_equal(err.grpc_status, 3);
    assert_int_equal(err.worker_exit, -1);
    sp_error_clear(&err);
    assert_int_equal(err.code, 0);
}

static void a_long_message_is_cut_and_terminated(void **state)
{
    sp_error err = {0};
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sp__fail(&err, SP_ERR_INVAL, "%s", text);
    assert_int_equal(strlen(err.message), SP_ERROR_MESSAGE_MAX - 1);
    sp__wrap(&err, SP_ERR_INVAL, "%s", text);
    assert_int_equal(strlen(err.message), SP_ERROR_MESSAGE_MAX - 1);
    sp__fail_errno(&err, ENOENT, "%s", text);
    assert_int_equal(strlen(err.message), SP_ERROR_MESSAGE_MAX - 1);
}

static void errno_is_kept_and_spelled_out(void **state)
{
    sp_error err = {0};
    assert_int_equal(sp__fail_errno(&err, ENOENT, "open %s", "x"), SP_ERR_SYSTEM);
    assert_string_equal(err.message, "open x: No such file or directory");
    assert_int_equal(err.os_errno, ENOENT);
    sp__fail_errno(&err, 99999, "odd");
    assert_string_equal(err.message, "odd: unknown errno");
}

static void wrapping_puts_the_purpose_in_front(void **state)
{
    sp_error err = {0};
    sp__fail(&err, SP_ERR_NOT_FOUND, "no file %s", "a");
    assert_int_equal(sp__wrap(&err, SP_ERR_SYSTEM, "pool %s", "p"), SP_ERR_NOT_FOUND);
    assert_string_equal(err.message, "pool p: no file a");
    assert_int_equal(sp__wrap(NULL, SP_ERR_SYSTEM, "x"), SP_ERR_SYSTEM);
}

static void nobody_has_to_take_an_error(void **state)
{
    assert_int_equal(sp__fail(NULL, SP_ERR_INVAL, "x"), SP_ERR_INVAL);
    assert_int_equal(sp__fail_errno(NULL, ENOENT, "x"), SP_ERR_SYSTEM);
    assert_int_equal(sp_error_set(NULL, SP_ERR_REFUSED, "x"), SP_ERR_REFUSED);
    sp_error_clear(NULL);
}

static void fill_texts(sp_error *err)
{
    sp__fail(err, SP_ERR_REMOTE, "m");
    err->remote_type = sp__strdup("T");
    err->remote_message = sp__strdup("M");
    err->remote_trace = sp__strdup("Trace");
    err->worker_stderr = sp__strdup("last\n");
}

static void filling_again_releases_the_old_texts(void **state)
{
    sp_error err = {0};
    fill_texts(&err);
    sp__fail(&err, SP_ERR_INVAL, "new");
    assert_null(err.remote_type);
    assert_null(err.worker_stderr);
}

static void moving_leaves_the_source_empty(void **state)
{
    sp_error from = {0};
    sp_error to = {0};
    fill_texts(&from);
    fill_texts(&to);
    sp_error_move(&to, &from);
    assert_int_equal(from.code, 0);
    assert_null(from.remote_type);
    assert_string_equal(to.remote_trace, "Trace");
    sp_error_move(NULL, &to);
    assert_int_equal(to.code, 0);
    assert_null(to.remote_trace);
}

static void a_copy_owns_its_texts(void **state)
{
    sp_error from = {0};
    sp_error to = {0};
    fill_texts(&from);
    sp__error_copy(&to, &from);
    assert_ptr_not_equal(to.remote_type, from.remote_type);
    sp_error_clear(&from);
    assert_string_equal(to.remote_message, "M");
    sp_error_clear(&to);
}

static void a_copy_without_memory_keeps_code_and_message(void **state)
{
    sp_error from = {0};
    sp_error to = {0};
    fill_texts(&from);
    sp__mem_fail_at(1, 1);
    sp__error_copy(&to, &from);
    sp__mem_fail_at(0, 0);
    assert_int_equal(to.code, SP_ERR_REMOTE);
    assert_string_equal(to.message, "m");
    assert_null(to.remote_trace);
    sp_error_clear(&from);
    sp_error_clear(&to);
}

static void the_version_is_the_headers(void **state)
{
    assert_string_equal(sp_version(), SP_VERSION_STRING);
    sp_bytes text = sp_text("abc");
    assert_int_equal(text.size, 3);
    assert_int_equal(sp_text(NULL).size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_code_has_its_row),
        TEST(unknown_codes_and_names_are_told_apart),
        TEST(retryable_is_what_may_work_later),
        TEST(what_may_have_run_is_never_unavailable),
        TEST(a_message_is_one_line),
        TEST(a_long_message_is_cut_and_terminated),
        TEST(errno_is_kept_and_spelled_out),
        TEST(wrapping_puts_the_purpose_in_front),
        TEST(nobody_has_to_take_an_error),
        TEST(filling_again_releases_the_old_texts),
        TEST(moving_leaves_the_source_empty),
        TEST(a_copy_owns_its_texts),
        TEST(a_copy_without_memory_keeps_code_and_message),
        TEST(the_version_is_the_headers),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
