/* SPDX-License-Identifier: MIT */
/*
 * Checking arguments against a schema, on their text: nothing is built.
 *
 * A value is walked as deep as its schema goes, which is bounded, so the cost is the size
 * of the text times that depth. The message says where in the arguments the value is,
 * what it is, and what was wanted.
 */
#include "session/schema.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/near.h"
#include "session/checks.h"
#include "wire/json.h"
#include "wire/tensor.h"

/* Where the check is: a name, or a place in an array. */
struct step {
    const struct step *up;
    const char *name; /* NULL: an index */
    size_t name_size;
    size_t index;
};

struct checker {
    const struct step *step; /* NULL: the arguments as a whole */
    const struct schema_beside *beside;
    sp_error *err;
};

static int check_value(struct checker *checker, const struct schema *schema,
                       const char *json, size_t size);

/* ---- saying where ---- */

enum { WHERE_MAX = 176 };
struct where {
    char text[WHERE_MAX];
};

static size_t put_step(char *out, size_t max, const struct step *step)
{
    int n;
    if (step->name == NULL) {
        n = snprintf(out, max, "[%zu]", step->index);
    } else {
        n = snprintf(out, max, "%s%s", step->up == NULL ? "" : ".",
                     sp__excerpt(step->name, step->name_size).text);
    }
    return n < 0 || (size_t)n >= max ? 0 : (size_t)n;
}

static size_t put_steps(char *out, size_t max, const struct step *step)
{
    size_t at = step->up == NULL ? 0 : put_steps(out, max, step->up);
    return at + put_step(out + at, max - at, step);
}

static struct where where(const struct checker *checker)
{
    struct where where = {"the arguments"};
    if (checker->step != NULL) {
        size_t at = sizeof "argument " - 1;
        memcpy(where.text, "argument ", at + 1);
        (void)put_steps(where.text + at, WHERE_MAX - at, checker->step);
    }
    return where;
}

static int wrong(struct checker *checker, const char *wanted, const char *json,
                 size_t size)
{
    return sp__fail(checker->err, SP_ERR_BAD_ARGS, "%s must be %s, got %s",
                    where(checker).text, wanted, sp__excerpt(json, size).text);
}

static int no_memory(struct checker *checker)
{
    return sp__fail(checker->err, SP_ERR_NOMEM, "no memory to check arguments");
}

/* ---- types ---- */

static int is_special(const char *json)
{
    return json[0] == 'N' || json[0] == 'I' || (json[0] == '-' && json[1] == 'I');
}

/* 2.0 is as whole as 2. */
static int is_whole(const char *json, size_t size)
{
    var_number number;
    if (is_special(json)) {
        return 0;
    }
    size_t digits = 0;
    while (digits < size &&
           (json[digits] == '-' || (json[digits] >= '0' && json[digits] <= '9'))) {
        digits++;
    }
    if (digits == size) {
        return 1;
    }
    return sp__var_number(json, size, &number) == 0 && number < 0x1p63L &&
           number >= -0x1p63L && (var_number)(int64_t)number == number;
}

unsigned sp__schema_type(char kind)
{
    switch (kind) {
    case '{':
        return SCHEMA_OBJECT;
    case '[':
        return SCHEMA_ARRAY;
    case '"':
        return SCHEMA_STRING;
    case 'n':
        return SCHEMA_NULL;
    case 't':
    case 'f':
        return SCHEMA_BOOLEAN;
    default:
        return SCHEMA_NUMBER;
    }
}

static unsigned type_of(const char *json, size_t size)
{
    unsigned type = sp__schema_type(sp__json_kind(json, size));
    return type == SCHEMA_NUMBER && is_whole(json, size) ? SCHEMA_INTEGER : type;
}

static const char *name_types(unsigned types, char text[96])
{
    static const char *const names[] = {"null",     "a boolean", "a whole number",
                                        "a number", "a string",  "an array",
                                        "an object"};
    size_t at = 0;
    if (types & SCHEMA_NUMBER) {
        types &= ~(unsigned)SCHEMA_INTEGER;
    }
    text[0] = '\0';
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (types & (1u << i)) {
            at += (size_t)snprintf(text + at, 96 - at, "%s%s", at == 0 ? "" : " or ",
                                   names[i]);
        }
    }
    return text;
}

/* ---- single values ---- */

static int check_number(struct checker *checker, const struct schema *schema,
                        const char *json, size_t size)
{
    const struct schema_bound *min = &schema->min;
    const struct schema_bound *max = &schema->max;
    char wanted[VAR_NUMBER_MAX + 32];
    var_number number;
    if (min->text[0] == '\0' && max->text[0] == '\0') {
        return SP_OK;
    }
    if (is_special(json) || sp__var_number(json, size, &number) < 0) {
        return wrong(checker, "a number that can be compared", json, size);
    }
    if (min->text[0] != '\0' &&
        (min->exclusive ? number <= min->number : number < min->number)) {
        (void)snprintf(wanted, sizeof wanted, "%s %s",
                       min->exclusive ? "more than" : "at least", min->text);
        return wrong(checker, wanted, json, size);
    }
    if (max->text[0] != '\0' &&
        (max->exclusive ? number >= max->number : number > max->number)) {
        (void)snprintf(wanted, sizeof wanted, "%s %s",
                       max->exclusive ? "less than" : "at most", max->text);
        return wrong(checker, wanted, json, size);
    }
    return SP_OK;
}

static size_t count_characters(const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return count;
}

static int check_text(struct checker *checker, const struct schema *schema,
                      const char *text, size_t size)
{
    size_t length = count_characters(text, size);
    if (length < schema->min_length || length > schema->max_length) {
        return sp__fail(
            checker->err, SP_ERR_BAD_ARGS,
            "%s has %zu characters, allowed are at %s %zu", where(checker).text, length,
            length < schema->min_length ? "least" : "most",
            length < schema->min_length ? schema->min_length : schema->max_length);
    }
    if (schema->pattern == NULL) {
        return SP_OK;
    }
    int rc = sp__pattern_search(schema->pattern, text, size, checker->err);
    if (rc < 0 && rc != SP_ERR_NOMEM) {
        rc = sp__wrap(checker->err, SP_ERR_BAD_ARGS, "%s", where(checker).text);
        if (checker->err != NULL) {
            checker->err->code = SP_ERR_BAD_ARGS;
        }
        return SP_ERR_BAD_ARGS;
    }
    if (rc == 0) {
        return sp__fail(checker->err, SP_ERR_BAD_ARGS,
                        "%s does not match %s, got \"%s\"", where(checker).text,
                        schema->pattern_text, sp__excerpt(text, size).text);
    }
    return rc < 0 ? rc : SP_OK;
}

static int check_string(struct checker *checker, const struct schema *schema,
                        const char *json, size_t size)
{
    if (schema->min_length == 0 && schema->max_length == SIZE_MAX &&
        schema->pattern == NULL) {
        return SP_OK;
    }
    char *text = sp__malloc(size);
    if (text == NULL) {
        return no_memory(checker);
    }
    size_t text_size = sp__json_unescape(json + 1, size - 2, text);
    int rc = check_text(checker, schema, text, text_size);
    sp__free(text);
    return rc;
}

/* 1, 0, or SP_ERR_NOMEM. */
static int is_same_string(const char *a, size_t a_size, const char *b, size_t b_size)
{
    if (a_size == b_size && memcmp(a, b, a_size) == 0) {
        return 1;
    }
    char *texts = sp__malloc(a_size + b_size);
    if (texts == NULL) {
        return SP_ERR_NOMEM;
    }
    size_t x = sp__json_unescape(a + 1, a_size - 2, texts);
    size_t y = sp__json_unescape(b + 1, b_size - 2, texts + a_size);
    int same = x == y && memcmp(texts, texts + a_size, x) == 0;
    sp__free(texts);
    return same;
}

static int is_same(const struct json_element *one, const char *json, size_t size)
{
    var_number a;
    var_number b;
    char kind = sp__json_kind(json, size);
    if (kind != sp__json_kind(one->value, one->value_size)) {
        return 0;
    }
    if (kind == '"') {
        return is_same_string(one->value, one->value_size, json, size);
    }
    if (kind == '0' && sp__var_number(json, size, &a) == 0 &&
        sp__var_number(one->value, one->value_size, &b) == 0) {
        return a == b;
    }
    return one->value_size == size && memcmp(one->value, json, size) == 0;
}

static int check_values(struct checker *checker, const struct schema *schema,
                        const char *json, size_t size)
{
    struct json_element one;
    size_t at = 0;
    size_t values_size = strlen(schema->values);
    while (sp__json_next_element(schema->values, values_size, &at, &one)) {
        int same = is_same(&one, json, size);
        if (same != 0) {
            return same < 0 ? no_memory(checker) : SP_OK;
        }
    }
    return sp__fail(checker->err, SP_ERR_BAD_ARGS, "%s must be one of %s, got %s",
                    where(checker).text, sp__excerpt(schema->values, values_size).text,
                    sp__excerpt(json, size).text);
}

/* ---- arrays and objects ---- */

static int check_array(struct checker *checker, const struct schema *schema,
                       const char *json, size_t size)
{
    struct json_element one;
    size_t at = 0;
    size_t count = 0;
    int rc = SP_OK;
    if (schema->items == NULL && schema->min_items == 0 &&
        schema->max_items == SIZE_MAX) {
        return SP_OK;
    }
    while (rc == SP_OK && sp__json_next_element(json, size, &at, &one)) {
        struct step step = {.up = checker->step, .index = count++};
        checker->step = &step;
        rc = check_value(checker, schema->items, one.value, one.value_size);
        checker->step = step.up;
    }
    if (rc == SP_OK && (count < schema->min_items || count > schema->max_items)) {
        rc = sp__fail(
            checker->err, SP_ERR_BAD_ARGS, "%s has %zu items, allowed are at %s %zu",
            where(checker).text, count, count < schema->min_items ? "least" : "most",
            count < schema->min_items ? schema->min_items : schema->max_items);
    }
    return rc;
}

static size_t find_property(const struct schema *schema, const char *name, size_t size)
{
    size_t i = 0;
    while (i < schema->properties_count &&
           (schema->properties[i].name_size != size ||
            memcmp(schema->properties[i].name, name, size) != 0)) {
        i++;
    }
    return i;
}

static int refuse_member(struct checker *checker, const struct schema *schema,
                         const char *name, size_t size)
{
    struct near near;
    char text[256];
    struct excerpt excerpt = sp__excerpt(name, size);
    sp__near_init(&near, excerpt.text);
    for (size_t i = 0; i < schema->properties_count; i++) {
        sp__near_offer(&near, schema->properties[i].name);
    }
    const char *near_text = sp__near_text(&near, text, sizeof text);
    return checker->step == NULL
               ? sp__fail(checker->err, SP_ERR_BAD_ARGS,
                          "there is no argument \"%s\"%s", excerpt.text, near_text)
               : sp__fail(checker->err, SP_ERR_BAD_ARGS,
                          "%s may not have a member \"%s\"%s", where(checker).text,
                          excerpt.text, near_text);
}

/* The name with its escapes undone: the raw one itself when it has none. */
static const char *name_of(const struct json_member *member, char **ret_memory,
                           size_t *ret_size)
{
    *ret_memory = NULL;
    *ret_size = member->key_size;
    if (!member->key_escaped) {
        return member->key;
    }
    *ret_memory = sp__malloc(member->key_size);
    if (*ret_memory != NULL) {
        *ret_size = sp__json_unescape(member->key, member->key_size, *ret_memory);
    }
    return *ret_memory;
}

static int check_member(struct checker *checker, const struct schema *schema,
                        const struct json_member *member, uint8_t *given)
{
    char *memory;
    size_t size;
    const char *name = name_of(member, &memory, &size);
    int rc = SP_OK;
    if (name == NULL) {
        return no_memory(checker);
    }
    struct step step = {.up = checker->step, .name = name, .name_size = size};
    size_t at = find_property(schema, name, size);
    if (at == schema->properties_count && schema->closed) {
        rc = refuse_member(checker, schema, name, size);
    } else {
        const struct schema *inner = at < schema->properties_count
                                         ? schema->properties[at].schema
                                         : schema->additional;
        if (at < schema->properties_count) {
            given[at / 8] |= (uint8_t)(1u << at % 8);
        }
        checker->step = &step;
        rc = check_value(checker, inner, member->value, member->value_size);
        checker->step = step.up;
    }
    sp__free(memory);
    return rc;
}

static int check_required(struct checker *checker, const struct schema *schema,
                          const uint8_t *given)
{
    for (size_t i = 0; i < schema->properties_count; i++) {
        const struct schema_property *property = &schema->properties[i];
        if (!property->required || (given[i / 8] & (1u << i % 8)) != 0) {
            continue;
        }
        if (checker->step != NULL) {
            return sp__fail(checker->err, SP_ERR_BAD_ARGS, "%s has no member \"%s\"",
                            where(checker).text,
                            sp__excerpt(property->name, property->name_size).text);
        }
        const struct schema_beside *beside = checker->beside;
        if (beside == NULL ||
            !beside->has(beside->user, property->name, property->name_size)) {
            return sp__fail(checker->err, SP_ERR_BAD_ARGS, "argument \"%s\" is missing",
                            sp__excerpt(property->name, property->name_size).text);
        }
    }
    return SP_OK;
}

static int check_object(struct checker *checker, const struct schema *schema,
                        const char *json, size_t size)
{
    uint8_t given[SCHEMA_NODES_MAX / 8] = {0};
    struct json_member member;
    size_t at = 0;
    int rc = SP_OK;
    if (schema->properties_count == 0 && !schema->closed &&
        schema->additional == NULL) {
        return SP_OK;
    }
    while (rc == SP_OK && sp__json_next_member(json, size, &at, &member)) {
        rc = check_member(checker, schema, &member, given);
    }
    return rc < 0 ? rc : check_required(checker, schema, given);
}

/* ---- any value ---- */

/* {"__tensor__": ...}, {"__bytes__": ...}: bytes beside the JSON stand for it, which are
 * whatever their reader makes of them (see tensor.h). */
static int stands_for_bytes(const char *json, size_t size)
{
    struct json_member member;
    size_t at = 0;
    if (!sp__json_next_member(json, size, &at, &member)) {
        return 0;
    }
    return (member.key_size == sizeof SP__TENSOR_KEY - 1 &&
            memcmp(member.key, SP__TENSOR_KEY, member.key_size) == 0) ||
           (member.key_size == sizeof SP__BYTES_KEY - 1 &&
            memcmp(member.key, SP__BYTES_KEY, member.key_size) == 0);
}

/* It must be like one of them; the message is the first one's. */
static int check_any_of(struct checker *checker, const struct schema *schema,
                        const char *json, size_t size)
{
    sp_error *err = checker->err;
    int first = SP_OK;
    for (size_t i = 0; i < schema->any_of_count; i++) {
        checker->err = i == 0 ? err : NULL;
        int rc = check_value(checker, schema->any_of[i], json, size);
        checker->err = err;
        if (rc == SP_OK || rc == SP_ERR_NOMEM) {
            if (rc == SP_OK) {
                sp_error_clear(err);
            }
            return rc == SP_OK ? rc : no_memory(checker);
        }
        first = i == 0 ? rc : first;
    }
    return first;
}

static int check_value(struct checker *checker, const struct schema *schema,
                       const char *json, size_t size)
{
    char text[96];
    if (schema == NULL) {
        return SP_OK;
    }
    unsigned type = type_of(json, size);
    if ((schema->types & type) == 0) {
        if (type == SCHEMA_OBJECT && stands_for_bytes(json, size)) {
            return SP_OK;
        }
        return wrong(checker, name_types(schema->types, text), json, size);
    }
    int rc = SP_OK;
    if (type == SCHEMA_INTEGER || type == SCHEMA_NUMBER) {
        rc = check_number(checker, schema, json, size);
    } else if (type == SCHEMA_STRING) {
        rc = check_string(checker, schema, json, size);
    } else if (type == SCHEMA_ARRAY) {
        rc = check_array(checker, schema, json, size);
    } else if (type == SCHEMA_OBJECT) {
        rc = check_object(checker, schema, json, size);
    }
    if (rc == SP_OK && schema->values != NULL) {
        rc = check_values(checker, schema, json, size);
    }
    if (rc == SP_OK && schema->any_of_count > 0) {
        rc = check_any_of(checker, schema, json, size);
    }
    return rc;
}

/* Each for the property of its place. */
static int check_positional(struct checker *checker, const struct schema *schema,
                            const char *json, size_t size)
{
    uint8_t given[SCHEMA_NODES_MAX / 8] = {0};
    struct json_element one;
    size_t at = 0;
    size_t i = 0;
    int rc = SP_OK;
    while (rc == SP_OK && sp__json_next_element(json, size, &at, &one)) {
        if (i >= schema->properties_count) {
            if (schema->closed) {
                return sp__fail(checker->err, SP_ERR_BAD_ARGS,
                                "there are more than %zu arguments",
                                schema->properties_count);
            }
            return SP_OK;
        }
        const struct schema_property *property = &schema->properties[i];
        struct step step = {.name = property->name, .name_size = property->name_size};
        given[i / 8] |= (uint8_t)(1u << i % 8);
        i++;
        checker->step = &step;
        rc = check_value(checker, property->schema, one.value, one.value_size);
        checker->step = NULL;
    }
    return rc < 0 ? rc : check_required(checker, schema, given);
}

static void trim(const char **json, size_t *size)
{
    while (*size > 0 && strchr(" \t\r\n", **json) != NULL) {
        (*json)++;
        (*size)--;
    }
    while (*size > 0 && strchr(" \t\r\n", (*json)[*size - 1]) != NULL) {
        (*size)--;
    }
}

int sp__schema_check(const struct schema *schema, const char *json, size_t size,
                     const struct schema_beside *beside, sp_error *err)
{
    struct checker checker = {.err = err, .beside = beside};
    trim(&json, &size);
    int is_positional =
        schema->properties_count > 0 || (schema->types & SCHEMA_ARRAY) == 0;
    if (sp__json_kind(json, size) == '[' && is_positional) {
        return check_positional(&checker, schema, json, size);
    }
    return check_value(&checker, schema, json, size);
}
