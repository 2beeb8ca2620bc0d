/* SPDX-License-Identifier: MIT */
/* The texts in gRPC's headers, there and back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leak.h"
#include "snakepit/base.h"
#include "wire/grpc_meta.h"

static void timeouts_use_at_most_eight_digits(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } rows[] = {
        {0, "1n"},
        {1, "1m"},
        {30000, "30000m"},
        {99999999, "99999999m"},
        {100000000, "100000S"},
        {100000001, "100001S"},
        {UINT64_C(99999999000), "99999999S"},
        {UINT64_C(99999999001), "1666667M"},
        {UINT64_C(99999999) * 60000 + 1, "1666667H"},
        {SP__GRPC_TIMEOUT_LONGEST_MS, "99999999H"},
        {UINT64_MAX - 1, "99999999H"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[SP__GRPC_TIMEOUT_MAX];
        assert_int_equal(sp__grpc_put_timeout(rows[i].ms, text), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
    }
}

static void timeouts_are_read_rounding_up(void **state)
{
    static const struct {
        const char *text;
        int ok;
        uint64_t ms;
    } rows[] = {
        {"1n", 1, 1},       {"0n", 1, 0},
        {"1000001n", 1, 2}, {"1u", 1, 1},
        {"2000u", 1, 2},    {"2001u", 1, 3},
        {"5m", 1, 5},       {"7S", 1, 7000},
        {"2M", 1, 120000},  {"99999999H", 1, SP__GRPC_TIMEOUT_LONGEST_MS},
        {"", 0, 0},         {"5", 0, 0},
        {"m", 0, 0},        {"123456789m", 0, 0},
        {"5x", 0, 0},       {"-5m", 0, 0},
        {" 5m", 0, 0},      {"5mm", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t ms = 0;
        int ok = sp__grpc_get_timeout(rows[i].text, strlen(rows[i].text), &ms);
        assert_int_equal(ok, rows[i].ok);
        assert_true(ms == rows[i].ms);
    }
}

static void timeouts_never_get_shorter(void **state)
{
    for (uint64_t ms = 1; ms < UINT64_C(1) << 40; ms = ms * 3 / 2 + 1) {
        char text[SP__GRPC_TIMEOUT_MAX];
        uint64_t back;
        size_t n = sp__grpc_put_timeout(ms, text);
        assert_true(sp__grpc_get_timeout(text, n, &back));
        assert_true(back >= ms);
        assert_true(back - ms <= ms / 1000);
    }
}

static void messages_are_percent_encoded(void **state)
{
    static const struct {
        const char *plain, *encoded;
    } rows[] = {
        {"", ""},          {"plain text!", "plain text!"}, {"100%", "100%25"},
        {"a\nb", "a%0Ab"}, {"\xc3\xa4", "%C3%A4"},         {"\x7f~", "%7F~"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[64];
        size_t n = sp__grpc_percent_encode(rows[i].plain, strlen(rows[i].plain), out);
        assert_int_equal(n, strlen(rows[i].encoded));
        assert_memory_equal(out, rows[i].encoded, n);
        char back[64];
        n = sp__grpc_percent_decode(out, n, back);
        assert_int_equal(n, strlen(rows[i].plain));
        assert_memory_equal(back, rows[i].plain, n);
    }
}

static void malformed_percent_escapes_are_kept(void **state)
{
    static const char *const rows[] = {"%", "%4", "%zz", "x%", "%%", "%g0"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[16];
        size_t n = sp__grpc_percent_decode(rows[i], strlen(rows[i]), out);
        assert_int_equal(n, strlen(rows[i]));
        assert_memory_equal(out, rows[i], n);
    }
    char out[16];
    assert_int_equal(sp__grpc_percent_decode("%c3%A4", 6, out), 2);
    assert_memory_equal(out, "\xc3\xa4", 2);
}

static void base64_goes_there_and_back(void **state)
{
    uint8_t data[64];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 37 + 11);
    }
    for (size_t n = 0; n <= sizeof data; n++) {
        char text[100];
        uint8_t back[100];
        size_t size;
        size_t used = sp__base64_encode(data, n, text);
        assert_int_equal(used, sp__base64_size(n));
        assert_true(sp__base64_decode(text, used, back, &size));
        assert_int_equal(size, n);
        assert_memory_equal(back, data, n);
        while (used % 4 != 0) {
            text[used++] = '=';
        }
        assert_true(sp__base64_decode(text, used, back, &size));
        assert_int_equal(size, n);
    }
}

static void malformed_base64_is_refused(void **state)
{
    static const char *const rows[] = {
        "A", "AAAAA", "A===", "AA=", "A*AA", "====", "AA-_", "A A="};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t out[16];
        size_t size;
        assert_false(sp__base64_decode(rows[i], strlen(rows[i]), out, &size));
    }
}

static void http_statuses_map_as_the_specification_says(void **state)
{
    assert_int_equal(sp__grpc_of_http(400), 13);
    assert_int_equal(sp__grpc_of_http(401), 16);
    assert_int_equal(sp__grpc_of_http(403), 7);
    assert_int_equal(sp__grpc_of_http(404), 12);
    assert_int_equal(sp__grpc_of_http(429), 14);
    assert_int_equal(sp__grpc_of_http(503), 14);
    assert_int_equal(sp__grpc_of_http(500), 2);
    assert_int_equal(sp__grpc_of_http(302), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timeouts_use_at_most_eight_digits),
        TEST(timeouts_are_read_rounding_up),
        TEST(timeouts_never_get_shorter),
        TEST(messages_are_percent_encoded),
        TEST(malformed_percent_escapes_are_kept),
        TEST(base64_goes_there_and_back),
        TEST(malformed_base64_is_refused),
        TEST(http_statuses_map_as_the_specification_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
