/* SPDX-License-Identifier: MIT */
/* The one pass over arguments that are in order, beside the longer way: what it takes is
 * JSON and what the schema asks for, whatever the text is. */
#include "session/schema.h"

#include <string.h>

#include "leak.h"
#include "wire/json.h"

static const char two_numbers[] =
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\"},"
    "\"b\":{\"type\":[\"integer\",\"null\"]},\"text\":{\"type\":\"string\"},"
    "\"rest\":{}},\"required\":[\"a\",\"b\"],\"additionalProperties\":false}";
static const char open_one[] = "{\"properties\":{\"a\":{\"type\":\"array\"},"
                               "\"b\":{\"type\":\"boolean\"}},\"required\":[\"c\"]}";

static struct schema *read_schema(const char *json)
{
    struct schema *schema = NULL;
    sp_error err = {0};
    assert_int_equal(sp__schema_new(json, strlen(json), &schema, &err), SP_OK);
    return schema;
}

static int takes(const struct schema *schema, const char *args)
{
    return sp__schema_takes(schema, args, strlen(args));
}

static int is_in_order(const struct schema *schema, const char *args, size_t size)
{
    return sp__json_read(args, size, SP__JSON_DEPTH_MAX, NULL, NULL, NULL) == SP_OK &&
           strchr("{[", sp__json_kind(args, size)) != NULL &&
           sp__schema_check(schema, args, size, NULL, NULL) == SP_OK;
}

static void plain_arguments_are_taken(void **state)
{
    static const char *const taken[] = {
        "{\"a\":1,\"b\":2}",
        " { \"b\" : -3 , \"a\" : 0 } ",
        "{\"a\":1.5e3,\"b\":null,\"text\":\"\\u00e9\xc3\xa9\",\"rest\":[{\"x\":[]}]}",
        "{\"rest\":{},\"text\":\"\",\"a\":NaN,\"b\":1}",
        "{\"a\":-Infinity,\"b\":1,\"b\":2}",
        "[1,2]",
        " [ 0.5 , null , \"\" , [ { } ] ] ",
    };
    struct schema *schema = read_schema(two_numbers);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        assert_int_equal(takes(schema, taken[i]), 1);
        assert_int_equal(is_in_order(schema, taken[i], strlen(taken[i])), 1);
    }
    sp__schema_free(schema);
    schema = read_schema(open_one);
    assert_int_equal(takes(schema, "{\"c\":1,\"d\":\"x\",\"a\":[],\"b\":true}"), 1);
    assert_int_equal(takes(schema, "{\"d\":1}"), 0);
    assert_int_equal(takes(schema, "[[1],true,0,\"more\"]"), 1);
    assert_int_equal(takes(schema, "[[1],true]"), 0);
    sp__schema_free(schema);
    schema = read_schema("{}");
    assert_int_equal(takes(schema, "{}"), 1);
    assert_int_equal(takes(schema, "\t{ } "), 1);
    assert_int_equal(takes(schema, "[]"), 0); /* an array as such */
    sp__schema_free(schema);
}

static void the_rest_goes_the_longer_way(void **state)
{
    static const char *const left[] = {
        "",
        "{",
        "{}",
        "[]",
        "[1]",
        "[1,2.0]",
        "[1,2,]",
        "[1,2,\"\",4,5]",
        "[1,2}",
        "[1,2]]",
        "[1,\"2\"]",
        "{\"a\":1}",
        "{\"a\":1,\"b\":2.0}",
        "{\"a\":1,\"b\":2,\"c\":3}",
        "{\"\\u0061\":1,\"b\":2}",
        "{\"a\":1,\"b\":2,}",
        "{\"a\":1,\"b\":02}",
        "{\"a\":1,\"b\":-}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,\"b\":2}}",
        "{\"a\":\"1\",\"b\":2}",
        "{\"a\":1,\"b\":2,\"rest\":[1,]}",
    };
    struct schema *schema = read_schema(two_numbers);
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        assert_int_equal(takes(schema, left[i]), 0);
    }
    sp__schema_free(schema);
    schema = read_schema("{\"properties\":{\"a\":{\"minimum\":1}}}");
    assert_int_equal(takes(schema, "{\"a\":1}"), 0);
    sp__schema_free(schema);
    schema = read_schema("{\"additionalProperties\":{\"type\":\"string\"}}");
    assert_int_equal(takes(schema, "{\"a\":\"\"}"), 0);
    sp__schema_free(schema);
}

/* A schema of as many properties, all of them required, and arguments with all. */
static int takes_many(int count)
{
    struct sp_buffer json;
    struct sp_buffer args;
    sp__buf_init(&json, 65536);
    sp__buf_init(&args, 65536);
    assert_int_equal(sp__buf_printf(&json, NULL, "{\"required\":["), SP_OK);
    for (int i = 0; i < count; i++) {
        const char *comma = i == 0 ? "" : ",";
        assert_int_equal(sp__buf_printf(&json, NULL, "%s\"p%d\"", comma, i), SP_OK);
        assert_int_equal(sp__buf_printf(&args, NULL, "%s\"p%d\":%d", i == 0 ? "{" : ",",
                                        count - 1 - i, i),
                         SP_OK);
    }
    assert_int_equal(sp__buf_printf(&json, NULL, "]}"), SP_OK);
    assert_int_equal(sp__buf_append(&args, "}", 2, NULL), SP_OK);
    struct schema *schema = read_schema((const char *)json.data);
    int is_taken = takes(schema, (const char *)args.data);
    assert_int_equal(is_in_order(schema, (const char *)args.data, args.size - 1), 1);
    args.data[2] = 'q'; /* one is missing now, and another one there */
    assert_int_equal(takes(schema, (const char *)args.data), 0);
    sp__schema_free(schema);
    sp__buf_fini(&json);
    sp__buf_fini(&args);
    return is_taken;
}

static void there_is_a_bit_for_64_properties(void **state)
{
    assert_int_equal(takes_many(63), 1);
    assert_int_equal(takes_many(64), 1);
    assert_int_equal(takes_many(65), 0);
}

struct tally {
    unsigned in_order;
    unsigned taken;
};

/* The text with another byte in one place. */
static void try_one(const struct schema *schema, const char *text, size_t at, char byte,
                    struct tally *tally)
{
    char place[128];
    size_t size = strlen(text);
    char *args = place + sizeof place - size; /* nothing may be read behind it */
    memcpy(args, text, size);
    args[at] = byte;
    int is_taken = sp__schema_takes(schema, args, size);
    int is_right = is_in_order(schema, args, size);
    assert_true(is_right || !is_taken);
    tally->taken += (unsigned)is_taken;
    tally->in_order += (unsigned)is_right;
}

static void only_what_the_longer_way_accepts_is_taken(void **state)
{
    static const char bytes[] =
        "\"\\{}[],:0123456789-+.eEtruefalsnINy ab\t\x01\xc3\xa9";
    static const char *const texts[] = {
        "{\"a\":10,\"b\":-2}",
        "{\"b\":null,\"a\":1.5e-3,\"rest\":true}",
        " {\"a\":NaN,\"b\":0,\"text\":\"x\\n\",\"rest\":[1,{\"k\":\"\xc3\xa9\"}]} ",
        "{\"c\":{\"d\":false},\"a\":[[]],\"b\":true}",
        "[10,-2,\"x\",{}]",
        "[[1],false,null,2.5]",
    };
    struct schema *closed = read_schema(two_numbers);
    struct schema *open = read_schema(open_one);
    struct tally tally = {0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (size_t at = 0; at < strlen(texts[i]); at++) {
            for (size_t j = 0; j < sizeof bytes - 1; j++) {
                try_one(closed, texts[i], at, bytes[j], &tally);
                try_one(open, texts[i], at, bytes[j], &tally);
            }
        }
    }
    print_message("%u taken of %u in order\n", tally.taken, tally.in_order);
    assert_true(tally.taken > 400);
    sp__schema_free(closed);
    sp__schema_free(open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_arguments_are_taken),
        TEST(the_rest_goes_the_longer_way),
        TEST(there_is_a_bit_for_64_properties),
        TEST(only_what_the_longer_way_accepts_is_taken),
    };
    return cmocka_run_group_tests_name("schema_pass", tests, NULL, NULL);
}
