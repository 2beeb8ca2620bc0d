/* SPDX-License-Identifier: MIT */
/* The parameters map as one object: JSON values, packed texts, and what is neither. */
#include <string.h>

#include "base/buf.h"
#include "leak.h"
#include "wire/json.h"
#include "wire/proto.h"

static struct proto_pair pair(const char *key, const char *value, size_t size)
{
    return (struct proto_pair){sp_text(key), {value, size}};
}

static int put(const struct proto_pair *pairs, size_t count, int check, char *text,
               size_t max, sp_error *err)
{
    struct sp_buffer out;
    sp__buf_init(&out, max - 1);
    int rc = sp__proto_put_args(&out, pairs, count, check, err);
    if (rc == SP_OK) {
        memcpy(text, out.data, out.size);
        text[out.size] = '\0';
    }
    sp__buf_fini(&out);
    return rc;
}

static void values_are_json_or_packed_text(void **state)
{
    char text[128];
    struct proto_pair pairs[] = {
        pair("a", "[1, 2]", 6),
        pair("b",
             "\n\x05"
             "hel\"o",
             7),
        pair("c\"", "", 0),
    };
    assert_int_equal(put(pairs, 3, 1, text, sizeof text, NULL), SP_OK);
    assert_string_equal(text, "{\"a\":[1, 2],\"b\":\"hel\\\"o\",\"c\\\"\":\"\"}");
}

static void no_parameters_are_an_empty_object(void **state)
{
    char text[8];
    assert_int_equal(put(NULL, 0, 1, text, sizeof text, NULL), SP_OK);
    assert_string_equal(text, "{}");
}

static void what_is_no_json_is_named(void **state)
{
    char text[64];
    sp_error err = {0};
    struct proto_pair bad = pair("weight", "1.2.3", 5);
    assert_int_equal(put(&bad, 1, 1, text, sizeof text, &err), SP_ERR_BAD_JSON);
    assert_non_null(strstr(err.message, "parameter 'weight'"));
    sp_error_clear(&err);
    /* Our own peer has checked it. */
    assert_int_equal(put(&bad, 1, 0, text, sizeof text, NULL), SP_OK);
}

static void depth_counts_the_object_around(void **state)
{
    char deep[2 * SP__JSON_DEPTH_MAX + 1];
    char text[4 * SP__JSON_DEPTH_MAX];
    size_t most = SP__JSON_DEPTH_MAX - 1;
    memset(deep, '[', most);
    memset(deep + most, ']', most);
    struct proto_pair fits = pair("x", deep, 2 * most);
    assert_int_equal(put(&fits, 1, 1, text, sizeof text, NULL), SP_OK);
    memset(deep, '[', most + 1);
    memset(deep + most + 1, ']', most + 1);
    struct proto_pair too_deep = pair("x", deep, 2 * most + 2);
    assert_int_equal(put(&too_deep, 1, 1, text, sizeof text, NULL), SP_ERR_TOO_DEEP);
}

static void the_buffers_limit_holds(void **state)
{
    char text[8];
    struct proto_pair pairs[] = {pair("a", "12345", 5)};
    assert_int_equal(put(pairs, 1, 1, text, sizeof text, NULL), SP_ERR_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_are_json_or_packed_text), TEST(no_parameters_are_an_empty_object),
        TEST(what_is_no_json_is_named),       TEST(depth_counts_the_object_around),
        TEST(the_buffers_limit_holds),
    };
    return cmocka_run_group_tests_name("proto_args", tests, NULL, NULL);
}
