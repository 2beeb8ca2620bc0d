/* SPDX-License-Identifier: MIT */
/* Types and constraints, row by row: test/data/variables.tsv says what must come of it. */
#include <stdio.h>
#include <string.h>

#include "leak.h"
#include "session/var_rules.h"

enum { LINE_MAX_BYTES = 8192, FIELDS = 5, ROWS_MIN = 300 };

struct row {
    unsigned line;
    const char *type;
    const char *constraints;
    const char *value;
    const char *outcome;
    const char *text;
};

static int split(char *line, struct row *row)
{
    const char **fields[FIELDS] = {&row->type, &row->constraints, &row->value,
                                   &row->outcome, &row->text};
    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < FIELDS; i++) {
        if (line == NULL) {
            return 0;
        }
        *fields[i] = line;
        char *tab = strchr(line, '\t');
        if (tab != NULL) {
            *tab++ = '\0';
        }
        line = tab;
    }
    return line == NULL;
}

/* 0 when the row came true. */
static int run(const struct row *row)
{
    enum var_type type;
    struct var_rules *rules = NULL;
    struct cast cast = {0};
    sp_error err = {0};
    int rc = sp__var_type_by_name(row->type, &type, &err);
    if (rc == SP_OK) {
        rc = sp__var_rules_new(type, row->constraints, strlen(row->constraints), &rules,
                               &err);
    }
    if (rc == SP_OK) {
        rc = sp__var_rules_apply(rules, row->value, strlen(row->value), 1 << 20, &cast,
                                 &err);
    }
    int right = strcmp(rc == SP_OK ? "ok" : sp_error_name(rc), row->outcome) == 0;
    if (rc == SP_OK) {
        right = right && cast.json.size == strlen(row->text) &&
                memcmp(cast.json.data, row->text, cast.json.size) == 0;
    } else {
        right = right && strstr(err.message, row->text) != NULL && err.code == rc;
    }
    if (!right) {
        print_error("line %u: %s %s %s: wanted %s %s, got %s %.*s\n", row->line,
                    row->type, row->constraints, row->value, row->outcome, row->text,
                    rc == SP_OK ? "ok" : sp_error_name(rc),
                    rc == SP_OK ? (int)cast.json.size : (int)strlen(err.message),
                    rc == SP_OK ? (const char *)cast.json.data : err.message);
    }
    sp__cast_fini(&cast);
    sp__var_rules_unref(rules);
    sp_error_clear(&err);
    return !right;
}

static void every_row_comes_true(void **state)
{
    char line[LINE_MAX_BYTES];
    unsigned rows = 0;
    unsigned wrong = 0;
    unsigned at = 0;
    FILE *file = fopen(TEST_SOURCE "/test/data/variables.tsv", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        struct row row = {.line = ++at};
        assert_non_null(strchr(line, '\n'));
        if (line[0] == '#') {
            continue;
        }
        assert_true(split(line, &row));
        rows++;
        wrong += (unsigned)run(&row);
    }
    (void)fclose(file);
    print_message("%u rows, %u wrong\n", rows, wrong);
    assert_int_equal(wrong, 0);
    assert_true(rows >= ROWS_MIN);
}

static void a_type_is_found_for_any_value(void **state)
{
    static const struct {
        const char *json;
        enum var_type type;
    } cases[] = {
        {"true", VAR_BOOLEAN},
        {"1", VAR_INTEGER},
        {"-7", VAR_INTEGER},
        {"1.0", VAR_FLOAT},
        {"1e3", VAR_FLOAT},
        {"NaN", VAR_FLOAT},
        {"-Infinity", VAR_FLOAT},
        {"9223372036854775808", VAR_FLOAT},
        {"\"1\"", VAR_STRING},
        {"[]", VAR_EMBEDDING},
        {"[1, 2.5]", VAR_EMBEDDING},
        {"[1, \"a\"]", VAR_LIST},
        {"[[1]]", VAR_LIST},
        {"{}", VAR_MAP},
        {"{\"shape\": [1], \"data\": [1]}", VAR_TENSOR},
        {"{\"shape\": [1]}", VAR_MAP},
    };
    enum var_type type;
    sp_error err = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(
            sp__var_infer(cases[i].json, strlen(cases[i].json), &type, &err), 0);
        assert_int_equal(type, cases[i].type);
    }
    assert_int_equal(sp__var_infer("null", 4, &type, &err), SP_ERR_BAD_VALUE);
    assert_int_equal(sp__var_infer("[", 1, &type, &err), SP_ERR_BAD_JSON);
    assert_int_equal(sp__var_type_by_name("flaot", &type, &err), SP_ERR_INVAL);
    assert_string_equal(err.message, "unknown type \"flaot\"; near matches: float");
    sp_error_clear(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_row_comes_true),
        TEST(a_type_is_found_for_any_value),
    };
    return cmocka_run_group_tests_name("var_table", tests, NULL, NULL);
}
