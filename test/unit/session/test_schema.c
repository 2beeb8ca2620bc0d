/* SPDX-License-Identifier: MIT */
/* Schemas and arguments, row by row: test/data/schemas.tsv says what must come of it. */
#include "session/schema.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"

enum { LINE_MAX_BYTES = 8192, FIELDS = 4, ROWS_MIN = 150 };

static int split(char *line, const char *fields[FIELDS])
{
    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < FIELDS; i++) {
        if (line == NULL) {
            return 0;
        }
        fields[i] = line;
        char *tab = strchr(line, '\t');
        if (tab != NULL) {
            *tab++ = '\0';
        }
        line = tab;
    }
    return line == NULL;
}

static int check(const char *schema_json, const char *args, sp_error *err)
{
    struct schema *schema = NULL;
    int rc = sp__schema_new(schema_json, strlen(schema_json), &schema, err);
    if (rc == SP_OK) {
        rc = sp__schema_check(schema, args, strlen(args), NULL, err);
    }
    sp__schema_free(schema);
    return rc;
}

/* 0 when the row came true. */
static int run(unsigned line, const char *fields[FIELDS])
{
    sp_error err = {0};
    int rc = check(fields[0], fields[1], &err);
    int right = strcmp(rc == SP_OK ? "ok" : sp_error_name(rc), fields[2]) == 0 &&
                err.code == rc && strstr(err.message, fields[3]) != NULL;
    if (!right) {
        print_error("line %u: %s %s: wanted %s %s, got %s %s\n", line, fields[0],
                    fields[1], fields[2], fields[3],
                    rc == SP_OK ? "ok" : sp_error_name(rc), err.message);
    }
    sp_error_clear(&err);
    return !right;
}

static void every_row_comes_true(void **state)
{
    char line[LINE_MAX_BYTES];
    unsigned rows = 0;
    unsigned wrong = 0;
    unsigned at = 0;
    FILE *file = fopen(TEST_SOURCE "/test/data/schemas.tsv", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        const char *fields[FIELDS];
        at++;
        assert_non_null(strchr(line, '\n'));
        if (line[0] == '#') {
            continue;
        }
        assert_true(split(line, fields));
        rows++;
        wrong += (unsigned)run(at, fields);
    }
    (void)fclose(file);
    print_message("%u rows, %u wrong\n", rows, wrong);
    assert_int_equal(wrong, 0);
    assert_true(rows >= ROWS_MIN);
}

static void put(const sp_tool_parameter *params, size_t count, int open, int strict,
                const char *wanted)
{
    struct sp_buffer out;
    sp_error err = {0};
    sp__buf_init(&out, 65536);
    int rc = sp__schema_put_params(&out, params, count, open, strict, &err);
    if (wanted[0] == '{') {
        assert_int_equal(rc, SP_OK);
        assert_int_equal(sp__buf_append(&out, "", 1, NULL), SP_OK);
        assert_string_equal((const char *)out.data, wanted);
        struct schema *schema = NULL;
        assert_int_equal(
            sp__schema_new((const char *)out.data, out.size - 1, &schema, &err), SP_OK);
        sp__schema_free(schema);
    } else {
        assert_int_equal(rc, SP_ERR_BAD_VALUE);
        assert_string_equal(err.message, wanted);
    }
    sp_error_clear(&err);
    sp__buf_fini(&out);
}

static void parameters_become_a_schema(void **state)
{
    const sp_tool_parameter params[] = {
        {.name = "a", .type = "int", .required = 1},
        {.name = "b\"",
         .type = "ndarray",
         .description = "what \"b\" is",
         .required = 1},
        {.name = "c", .type = "str", .default_json = "null"},
        {.name = "d", .type = NULL, .default_json = "[1]"},
    };
    put(NULL, 0, 0, 1,
        "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}");
    put(NULL, 0, 1, 1, "{\"type\":\"object\",\"properties\":{}}");
    put(params, 4, 0, 0,
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},"
        "\"b\\\"\":{\"description\":\"what \\\"b\\\" is\"},"
        "\"c\":{\"type\":[\"string\",\"null\"],\"default\":null},"
        "\"d\":{\"default\":[1]}},"
        "\"required\":[\"a\",\"b\\\"\"],\"additionalProperties\":false}");
    put(params, 4, 0, 1,
        "parameter b\": no type \"ndarray\": null, boolean, integer, number, string, "
        "array, object and any are known");
    const sp_tool_parameter nameless = {.type = "int"};
    put(&nameless, 1, 0, 1, "a parameter has no name");
}

static int has_b(void *user, const char *name, size_t size)
{
    ++*(int *)user;
    return size == 1 && name[0] == 'b';
}

static void what_comes_as_bytes_is_not_missing(void **state)
{
    static const char json[] = "{\"required\":[\"a\",\"b\"]}";
    int asked = 0;
    struct schema_beside beside = {.has = has_b, .user = &asked};
    struct schema *schema = NULL;
    sp_error err = {0};
    assert_int_equal(sp__schema_new(json, sizeof json - 1, &schema, &err), SP_OK);
    assert_int_equal(sp__schema_check(schema, "{\"a\":1}", 7, &beside, &err), SP_OK);
    assert_int_equal(asked, 1);
    assert_int_equal(sp__schema_check(schema, "{}", 2, &beside, &err), SP_ERR_BAD_ARGS);
    assert_string_equal(err.message, "argument \"a\" is missing");
    sp__schema_free(schema);
    sp_error_clear(&err);
}

static void too_many_properties_are_refused(void **state)
{
    struct sp_buffer out;
    struct schema *schema = NULL;
    sp_error err = {0};
    sp__buf_init(&out, 65536);
    assert_int_equal(sp__buf_printf(&out, &err, "{\"required\":["), SP_OK);
    for (int i = 0; i <= SCHEMA_NODES_MAX; i++) {
        assert_int_equal(sp__buf_printf(&out, &err, "%s\"p%d\"", i == 0 ? "" : ",", i),
                         SP_OK);
    }
    assert_int_equal(sp__buf_printf(&out, &err, "]}"), SP_OK);
    assert_int_equal(sp__schema_new((char *)out.data, out.size, &schema, &err),
                     SP_ERR_TOO_BIG);
    assert_string_equal(err.message, "at most 1024 properties");
    assert_null(schema);
    sp__buf_fini(&out);
    sp_error_clear(&err);
}

static void without_memory_nothing_is_left_behind(void **state)
{
    static const char schema[] =
        "{\"properties\":{\"a\":{\"anyOf\":[{\"type\":\"null\"},"
        "{\"pattern\":\"^x\",\"enum\":[\"xy\"]}]},\"b\":{\"items\":{\"const\":1}}},"
        "\"required\":[\"a\",\"c\"],\"additionalProperties\":{}}";
    sp_error err = {0};
    int rc = SP_ERR_NOMEM;
    for (uint64_t n = 1; rc == SP_ERR_NOMEM; n++) {
        sp__mem_fail_at(n, 0);
        rc = check(schema, "{\"\\u0061\":\"x\\u0079\",\"b\":[1],\"c\":0}", &err);
        sp__mem_fail_at(0, 0);
        assert_true(rc == SP_OK || rc == SP_ERR_NOMEM);
        assert_true(n < 200);
    }
    sp_error_clear(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_row_comes_true),
        TEST(parameters_become_a_schema),
        TEST(what_comes_as_bytes_is_not_missing),
        TEST(too_many_properties_are_refused),
        TEST(without_memory_nothing_is_left_behind),
    };
    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
