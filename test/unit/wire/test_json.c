/* SPDX-License-Identifier: MIT */
/* The JSON reader: what it takes, what it refuses and where, what it tells. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "leak.h"
#include "wire/json.h"

static int check(const char *text, size_t n, sp_error *err)
{
    /* A copy of exactly n bytes, so that a sanitizer sees every step too far. */
    char *copy = malloc(n == 0 ? 1 : n);
    assert_non_null(copy);
    memcpy(copy, text, n);
    int rc = sp__json_read(copy, n, SP__JSON_DEPTH_MAX, NULL, NULL, err);
    free(copy);
    return rc;
}

static void valid_texts_are_accepted(void **state)
{
    static const char *const rows[] = {
        "0",
        "-0",
        "7",
        "1234567890123456789012345678901234567890",
        "0.5",
        "-0.0e-10",
        "1e5",
        "1E+5",
        "1.5e-7",
        "true",
        "false",
        "null",
        "NaN",
        "Infinity",
        "-Infinity",
        "\"\"",
        "\"a\"",
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "{\"\":{}}",
        " \t\r\n [ 1 , 2 ] \n",
        "[1,2,3]",
        "{\"a\":1,\"a\":2}",
        "{\"a\" : [ ] }",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\u0000\"",
        "\"\x7f\"",
        "\"\xc3\xa4\"",
        "\"\xe2\x82\xac\"",
        "\"\xf0\x9f\x98\x80\"",
        "\"\xed\x9f\xbf\"",
        "\"\xee\x80\x80\"",
        "\"\xf4\x8f\xbf\xbf\"",
        "\"\xe0\xa0\x80\"",
        "\"1234567\"",
        "\"12345678\"",
        "\"123456789abcdef0123456789\"",
        "{\"a\": 5, \"b\": [true, null, {\"c\": \"d\"}], \"e\": 1.25e3}",
        "[NaN, Infinity, -Infinity]",
        "[0,0.0,-1]",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        sp_error err = {0};
        if (check(rows[i], strlen(rows[i]), &err) != 0) {
            fail_msg("%s: %s", rows[i], err.message);
        }
    }
}

static const struct {
    const char *text;
    const char *message; /* what it begins with */
} refused[] = {
    {"", "line 1, column 1: expected a value, found the end"},
    {"  \n ", "line 2, column 2: expected a value, found the end"},
    {"{\"a\" x", "line 1, column 6: expected ':', found 'x'"},
    {"{\"a\":1 x", "line 1, column 8: expected ',' or '}', found 'x'"},
    {"[1 2]", "line 1, column 4: expected ',' or ']', found '2'"},
    {"[1,]", "line 1, column 4: expected a value, found ']'"},
    {"[,1]", "line 1, column 2: expected a value, found ','"},
    {"[", "line 1, column 2: expected a value, found the end"},
    {"[1", "line 1, column 3: expected ',' or ']', found the end"},
    {"[1}", "line 1, column 3: expected ',' or ']', found '}'"},
    {"{\"a\":1]", "line 1, column 7: expected ',' or '}', found ']'"},
    {"{", "line 1, column 2: expected a key or '}', found the end"},
    {"{,", "line 1, column 2: expected a key or '}', found ','"},
    {"{\"a\":1,}", "line 1, column 8: expected a key, found '}'"},
    {"{\"a\":1,\n b:2}", "line 2, column 2: expected a key, found 'b'"},
    {"{1:2}", "line 1, column 2: expected a key or '}', found '1'"},
    {"{\"a\"}", "line 1, column 5: expected ':', found '}'"},
    {"{\"a\":}", "line 1, column 6: expected a value, found '}'"},
    {"1 2", "line 1, column 3: expected the end, found '2'"},
    {"{} []", "line 1, column 4: expected the end, found '['"},
    {"]", "line 1, column 1: expected a value, found ']'"},
    {"01", "line 1, column 2: expected the end, found '1'"},
    {"-", "line 1, column 2: expected a digit, found the end"},
    {"-x", "line 1, column 2: expected a digit, found 'x'"},
    {"+1", "line 1, column 1: expected a value, found '+'"},
    {".5", "line 1, column 1: expected a value, found '.'"},
    {"1.", "line 1, column 3: expected a digit, found the end"},
    {"1.e5", "line 1, column 3: expected a digit, found 'e'"},
    {"1e", "line 1, column 3: expected a digit, found the end"},
    {"1e+", "line 1, column 4: expected a digit, found the end"},
    {"0x10", "line 1, column 2: expected the end, found 'x'"},
    {"tru", "line 1, column 1: expected a value, found 't'"},
    {"truex", "line 1, column 5: expected the end, found 'x'"},
    {"nul", "line 1, column 1: expected a value, found 'n'"},
    {"nan", "line 1, column 1: expected a value, found 'n'"},
    {"-NaN", "line 1, column 2: expected a digit, found 'N'"},
    {"Inf", "line 1, column 1: expected a value, found 'I'"},
    {"None", "line 1, column 1: expected a value, found 'N'"},
    {"'a'", "line 1, column 1: expected a value, found '''"},
    {"\"", "line 1, column 2: expected '\"', found the end"},
    {"\"abc", "line 1, column 5: expected '\"', found the end"},
    {"\"abcdefgh", "line 1, column 10: expected '\"', found the end"},
    {"\"\\", "line 1, column 2: unknown escape"},
    {"\"\\x\"", "line 1, column 2: unknown escape"},
    {"\"\\u12\"", "line 1, column 2: unknown escape"},
    {"\"\\u12g4\"", "line 1, column 2: unknown escape"},
    {"\"a\nb\"", "line 1, column 3: control character 0x0a"},
    {"\"a\tb\"", "line 1, column 3: control character 0x09"},
    {"\"\x1f\"", "line 1, column 2: control character 0x1f"},
    {"\"\x80\"", "line 1, column 2: byte 0x80 is not valid UTF-8"},
    {"\"\xc0\x80\"", "line 1, column 2: byte 0xc0 is not"},
    {"\"\xc1\xbf\"", "line 1, column 2: byte 0xc1 is not"},
    {"\"\xc3\"", "line 1, column 2: byte 0xc3 is not"},
    {"\"\xe0\x9f\xbf\"", "line 1, column 2: byte 0xe0 is not"},
    {"\"\xed\xa0\x80\"", "line 1, column 2: byte 0xed is not"},
    {"\"\xf0\x8f\xbf\xbf\"", "line 1, column 2: byte 0xf0 is not"},
    {"\"\xf4\x90\x80\x80\"", "line 1, column 2: byte 0xf4 is not"},
    {"\"\xf5\x80\x80\x80\"", "line 1, column 2: byte 0xf5 is not"},
    {"\"\xff\"", "line 1, column 2: byte 0xff is not"},
    {"\"\xe2\x82", "line 1, column 2: byte 0xe2 is not"},
    {"\"\xc3\xa4\xff\"", "line 1, column 3: byte 0xff is not"},
    {"\"12345678\xff\"", "line 1, column 10: byte 0xff is not"},
    {"\xef\xbb\xbf{}", "line 1, column 1: expected a value, found byte 0xef"},
    {"[1,\n2,\n3 4]", "line 3, column 3: expected ',' or ']', found '4'"},
    {"/* */ 1", "line 1, column 1: expected a value, found '/'"},
};

static void invalid_texts_are_refused_at_the_right_place(void **state)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        sp_error err = {0};
        assert_int_equal(check(refused[i].text, strlen(refused[i].text), &err),
                         SP_ERR_BAD_JSON);
        if (strncmp(err.message, refused[i].message, strlen(refused[i].message)) != 0) {
            fail_msg("%s\n  got  %s\n  want %s", refused[i].text, err.message,
                     refused[i].message);
        }
    }
}

static void a_nul_byte_is_not_an_end(void **state)
{
    assert_int_equal(check("1\0", 2, NULL), SP_ERR_BAD_JSON);
    assert_int_equal(check("\"a\0b\"", 5, NULL), SP_ERR_BAD_JSON);
    assert_int_equal(check("[1\0]", 4, NULL), SP_ERR_BAD_JSON);
}

static void every_cut_of_a_valid_text_is_refused(void **state)
{
    static const char text[] =
        "{\"k\\u00e4y\": [1.5e3, \"\xe2\x82\xac\", {\"x\": null}, "
        "true, -Infinity, \"\\ud83d\\ude00\"]}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        assert_int_equal(check(text, n, NULL), SP_ERR_BAD_JSON);
    }
    assert_int_equal(check(text, sizeof text - 1, NULL), SP_OK);
}

static char *nested(size_t depth, char open, char close)
{
    char *text = malloc(2 * depth + 1);
    assert_non_null(text);
    memset(text, open, depth);
    memset(text + depth, close, depth);
    text[2 * depth] = '\0';
    return text;
}

static void depth_is_limited(void **state)
{
    sp_error err = {0};
    for (unsigned max = 1; max <= SP__JSON_DEPTH_CAP; max = max * 2 + 1) {
        unsigned limit = max < SP__JSON_DEPTH_CAP ? max : SP__JSON_DEPTH_CAP;
        char *fits = nested(limit, '[', ']');
        assert_int_equal(sp__json_read(fits, 2 * limit, max, NULL, NULL, &err), SP_OK);
        free(fits);
        char *deeper = nested(limit + 1, '[', ']');
        assert_int_equal(sp__json_read(deeper, 2 * limit + 2, max, NULL, NULL, &err),
                         SP_ERR_TOO_DEEP);
        free(deeper);
    }
    char *thousand = nested(1000, '[', ']');
    assert_int_equal(
        sp__json_read(thousand, 2000, SP__JSON_DEPTH_MAX, NULL, NULL, &err),
        SP_ERR_TOO_DEEP);
    assert_string_equal(err.message, "line 1, column 513: nested deeper than 512");
    assert_int_equal(sp__json_read(thousand, 2000, UINT32_MAX, NULL, NULL, &err),
                     SP_OK);
    free(thousand);
    assert_int_equal(sp__json_read("[]", 2, 0, NULL, NULL, &err), SP_ERR_TOO_DEEP);
    assert_int_equal(sp__json_read("1", 1, 0, NULL, NULL, &err), SP_OK);
}

/* ---- what is told ---- */

struct told {
    char text[1024];
    size_t size;
    int stop_at;
};

static int tell(struct told *told, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int tell(struct told *told, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(told->text + told->size, sizeof told->text - told->size, format,
                      args);
    va_end(args);
    told->size += (size_t)n;
    return told->stop_at > 0 && --told->stop_at == 0 ? 42 : 0;
}

static int object_begin(void *user)
{
    return tell(user, "{ ");
}
static int object_end(void *user)
{
    return tell(user, "} ");
}
static int array_begin(void *user)
{
    return tell(user, "[ ");
}
static int array_end(void *user)
{
    return tell(user, "] ");
}
static int key(void *user, const char *raw, size_t n, int escaped)
{
    return tell(user, "k%s:%.*s ", escaped ? "e" : "", (int)n, raw);
}
static int string(void *user, const char *raw, size_t n, int escaped)
{
    return tell(user, "s%s:%.*s ", escaped ? "e" : "", (int)n, raw);
}
static int number(void *user, const char *text, size_t n, enum json_number kind)
{
    return tell(user, "n%d:%.*s ", (int)kind, (int)n, text);
}
static int literal(void *user, int value)
{
    return tell(user, "l%d ", value);
}

static const struct json_handler handler = {
    object_begin, object_end, array_begin, array_end, key, string, number, literal};

static const char sample[] =
    "{\"a\": [1, -2.5, NaN, Infinity, -Infinity], \"b\\n\": \"x\\ty\", \"\": {}, "
    "\"c\": [true, false, null, []]}";
static const char sample_told[] =
    "{ k:a [ n0:1 n1:-2.5 n2:NaN n3:Infinity n4:-Infinity ] ke:b\\n se:x\\ty k: { } "
    "k:c [ l1 l0 l-1 [ ] ] } ";

static void a_handler_is_told_everything_in_order(void **state)
{
    struct told told = {.size = 0};
    assert_int_equal(sp__json_read(sample, sizeof sample - 1, 8, &handler, &told, NULL),
                     SP_OK);
    assert_string_equal(told.text, sample_told);
}

static void a_handler_can_stop_the_reading_anywhere(void **state)
{
    for (int at = 1;; at++) {
        struct told told = {.stop_at = at};
        int rc = sp__json_read(sample, sizeof sample - 1, 8, &handler, &told, NULL);
        assert_memory_equal(told.text, sample_told, told.size);
        if (rc == 0) {
            assert_int_equal(at, 24);
            break;
        }
        assert_int_equal(rc, 42);
    }
}

static void functions_of_a_handler_may_be_missing(void **state)
{
    static const struct json_handler empty;
    assert_int_equal(sp__json_read(sample, sizeof sample - 1, 8, &empty, NULL, NULL),
                     SP_OK);
}

/* ---- strings ---- */

static void escapes_are_undone(void **state)
{
    static const struct {
        const char *raw, *text;
        size_t n;
    } rows[] = {
        {"", "", 0},
        {"plain", "plain", 5},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8},
        {"\\u0041\\u00e4\\u20AC", "A\xc3\xa4\xe2\x82\xac", 6},
        {"\\ud83d\\ude00!", "\xf0\x9f\x98\x80!", 5},
        {"\\ud800", "\xed\xa0\x80", 3},
        {"\\udc00x", "\xed\xb0\x80x", 4},
        {"\\ud800\\ud800", "\xed\xa0\x80\xed\xa0\x80", 6},
        {"\\ud800\\u0041",
         "\xed\xa0\x80"
         "A",
         4},
        {"\\ud800\\n", "\xed\xa0\x80\n", 4},
        {"a\\u0000b", "a\0b", 3},
        {"\xc3\xa4\\n\xc3\xa4", "\xc3\xa4\n\xc3\xa4", 5},
        {"\\uffff\\udbff\\udfff", "\xef\xbf\xbf\xf4\x8f\xbf\xbf", 7},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = strlen(rows[i].raw);
        char *out = malloc(n + 1);
        assert_non_null(out);
        assert_int_equal(sp__json_unescape(rows[i].raw, n, out), rows[i].n);
        assert_memory_equal(out, rows[i].text, rows[i].n);
        free(out);
    }
}

static void text_becomes_a_string(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        const char *json;
    } rows[] = {
        {"", 0, "\"\""},
        {"abc", 3, "\"abc\""},
        {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
        {"\b\f\n\r\t\v\0\x1f", 8, "\"\\b\\f\\n\\r\\t\\u000b\\u0000\\u001f\""},
        {"\x7f\xc3\xa4\xf0\x9f\x98\x80", 7, "\"\x7f\xc3\xa4\xf0\x9f\x98\x80\""},
        {"a\xff"
         "b\xc3",
         4,
         "\"a\xef\xbf\xbd"
         "b\xef\xbf\xbd\""},
        {"0123456789abcdef\"", 17, "\"0123456789abcdef\\\"\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sp_buffer out;
        sp__buf_init(&out, 1000);
        assert_int_equal(sp__json_put_string(&out, rows[i].text, rows[i].n, NULL),
                         SP_OK);
        assert_int_equal(out.size, strlen(rows[i].json));
        assert_memory_equal(out.data, rows[i].json, out.size);
        assert_int_equal(check((char *)out.data, out.size, NULL), SP_OK);
        sp__buf_fini(&out);
    }
}

static void a_string_that_does_not_fit_leaves_the_buffer_alone(void **state)
{
    enum { MAX = 1000 };
    static char text[MAX];
    memset(text, 'x', sizeof text);
    struct sp_buffer out;
    sp__buf_init(&out, MAX);
    assert_int_equal(sp__buf_append(&out, "xx", 2, NULL), SP_OK);
    for (size_t n = MAX - 3; n < MAX; n++) {
        assert_int_equal(sp__json_put_string(&out, text, n, NULL), SP_ERR_TOO_BIG);
        assert_int_equal(out.size, 2);
    }
    assert_int_equal(sp__json_put_string(&out, text, MAX - 4, NULL), SP_OK);
    assert_int_equal(out.size, MAX);
    sp__buf_fini(&out);
}

static void utf8_is_checked(void **state)
{
    assert_true(sp__json_is_utf8("", 0));
    assert_true(sp__json_is_utf8("0123456789\xc3\xa4", 12));
    assert_false(sp__json_is_utf8("0123456789\xc3", 11));
    assert_false(sp__json_is_utf8("01234567\xed\xa0\x80", 11));
}

/* ---- members ---- */

static void members_are_walked(void **state)
{
    static const char text[] =
        " { \"a\" : 5 ,\"b\\\"\":\"x,}\\\\\",\"c\":[1,{\"d\":\"]\"},2] , \"\":{} ,"
        "\"e\":-1.5e3,\"f\":null}  ";
    static const struct {
        const char *key;
        int escaped;
        const char *value;
    } want[] = {
        {"a", 0, "5"}, {"b\\\"", 1, "\"x,}\\\\\""}, {"c", 0, "[1,{\"d\":\"]\"},2]"},
        {"", 0, "{}"}, {"e", 0, "-1.5e3"},          {"f", 0, "null"},
    };
    assert_int_equal(check(text, sizeof text - 1, NULL), SP_OK);
    size_t pos = 0;
    struct json_member member;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_int_equal(sp__json_next_member(text, sizeof text - 1, &pos, &member), 1);
        assert_int_equal(member.key_size, strlen(want[i].key));
        assert_memory_equal(member.key, want[i].key, member.key_size);
        assert_int_equal(member.key_escaped, want[i].escaped);
        assert_int_equal(member.value_size, strlen(want[i].value));
        assert_memory_equal(member.value, want[i].value, member.value_size);
    }
    assert_int_equal(sp__json_next_member(text, sizeof text - 1, &pos, &member), 0);
    pos = 0;
    assert_int_equal(sp__json_next_member("{}", 2, &pos, &member), 0);
    pos = 0;
    assert_int_equal(sp__json_next_member(" { } ", 5, &pos, &member), 0);
}

static void elements_of_an_array_are_walked(void **state)
{
    static const char text[] = " [ 1 , \"a,]\" , [2,[3]], {\"k\":[]} ,null]";
    static const char *const wanted[] = {"1", "\"a,]\"", "[2,[3]]", "{\"k\":[]}",
                                         "null"};
    struct json_element element;
    size_t pos = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        assert_int_equal(sp__json_next_element(text, sizeof text - 1, &pos, &element),
                         1);
        assert_int_equal(element.value_size, strlen(wanted[i]));
        assert_memory_equal(element.value, wanted[i], element.value_size);
    }
    assert_int_equal(sp__json_next_element(text, sizeof text - 1, &pos, &element), 0);
    pos = 0;
    assert_int_equal(sp__json_next_element(" [ ] ", 5, &pos, &element), 0);
    assert_int_equal(sp__json_next_element("{}", 2, &pos, &element), 0);
}

static void walking_never_leaves_broken_text(void **state)
{
    static const char text[] = "{\"a\\\"\":[\"x\\\\\",{\"y\":1}],\"b\":\"c\",\"d\":2}";
    for (size_t n = 0; n < sizeof text; n++) {
        char *copy = malloc(n == 0 ? 1 : n);
        assert_non_null(copy);
        memcpy(copy, text, n);
        size_t pos = 0;
        struct json_member member;
        unsigned members = 0;
        while (sp__json_next_member(copy, n, &pos, &member)) {
            assert_true(++members <= 3);
            assert_true(member.value + member.value_size <= copy + n);
        }
        free(copy);
    }
}

static void a_value_has_the_wires_word_for_it(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"{}", "map"},
        {" {\"e\": 1.5}", "map"},
        {"[1.5]", "list"},
        {"\"1.5e\"", "string"},
        {"true", "boolean"},
        {"false", "boolean"},
        {"null", "null"},
        {"", "null"},
        {"0", "integer"},
        {"-7", "integer"},
        {"123456789012345678901234567890", "integer"},
        {"0.5", "float"},
        {"1e300", "float"},
        {"-2E5", "float"},
        {"NaN", "float"},
        {"Infinity", "float"},
        {"-Infinity", "float"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(sp__json_type(rows[i][0], strlen(rows[i][0])), rows[i][1]);
    }
}

static void kinds_are_told_by_the_first_character(void **state)
{
    static const struct {
        const char *text;
        char kind;
    } rows[] = {
        {"{}", '{'},   {" [", '['},    {"\n\"", '"'}, {"12", '0'},  {"-1", '0'},
        {"true", 't'}, {"false", 'f'}, {"null", 'n'}, {"NaN", '0'}, {"Infinity", '0'},
        {"", 0},       {"  ", 0},      {"x", 0},      {"}", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(sp__json_kind(rows[i].text, strlen(rows[i].text)),
                         rows[i].kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(valid_texts_are_accepted),
        TEST(invalid_texts_are_refused_at_the_right_place),
        TEST(a_nul_byte_is_not_an_end),
        TEST(every_cut_of_a_valid_text_is_refused),
        TEST(depth_is_limited),
        TEST(a_handler_is_told_everything_in_order),
        TEST(a_handler_can_stop_the_reading_anywhere),
        TEST(functions_of_a_handler_may_be_missing),
        TEST(escapes_are_undone),
        TEST(text_becomes_a_string),
        TEST(a_string_that_does_not_fit_leaves_the_buffer_alone),
        TEST(utf8_is_checked),
        TEST(members_are_walked),
        TEST(elements_of_an_array_are_walked),
        TEST(walking_never_leaves_broken_text),
        TEST(a_value_has_the_wires_word_for_it),
        TEST(kinds_are_told_by_the_first_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
