/* SPDX-License-Identifier: MIT */
/*
 * The ten types, one cast each.
 *
 * A cast looks at the kind of the JSON value, says what it wants instead when it is the
 * wrong one, and writes the value again in the form that is kept. Numbers stay the text
 * they were: what goes in as 0.1 comes out as 0.1, without a detour through a double.
 *
 * Texts are read once as a whole by the strict reader before a cast begins, so the
 * casts themselves only meet valid JSON.
 */
#include "session/var_types.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/near.h"
#include "base/real.h"
#include "session/checks.h"
#include "session/compact.h"
#include "wire/json.h"

static const char *const type_names[VAR_TYPES] = {
    [VAR_FLOAT] = "float",         [VAR_INTEGER] = "integer",
    [VAR_STRING] = "string",       [VAR_BOOLEAN] = "boolean",
    [VAR_CHOICE] = "choice",       [VAR_MODULE] = "module",
    [VAR_EMBEDDING] = "embedding", [VAR_TENSOR] = "tensor",
    [VAR_LIST] = "list",           [VAR_MAP] = "map",
};

const char *sp__var_type_name(enum var_type type)
{
    return type_names[type];
}

int sp__var_type_by_name(const char *name, enum var_type *ret_type, sp_error *err)
{
    struct near near;
    char hint[256];
    sp__near_init(&near, name);
    for (int type = 0; type < VAR_TYPES; type++) {
        if (strcmp(type_names[type], name) == 0) {
            *ret_type = (enum var_type)type;
            return SP_OK;
        }
        sp__near_offer(&near, type_names[type]);
    }
    return sp__fail(err, SP_ERR_INVAL, "unknown type \"%s\"%s",
                    sp__excerpt(name, strlen(name)).text,
                    sp__near_text(&near, hint, sizeof hint));
}

/* ---- numbers ---- */

/* Terminated; 0 when there is no room or no digit at its start. */
static int copy_number(const char *text, size_t size, char *copy)
{
    size_t digits = size > 0 && text[0] == '-';
    if (size > VAR_NUMBER_MAX || size <= digits || text[digits] < '0' ||
        text[digits] > '9') {
        return 0;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    return 1;
}

/* Whole numbers as text are compared exactly, also where a double has gaps. */
static int is_whole_text(const char *text)
{
    return strpbrk(text, ".eE") == NULL;
}

int sp__var_number(const char *text, size_t size, var_number *ret_number)
{
    char copy[VAR_NUMBER_MAX + 1];
    if (!copy_number(text, size, copy)) {
        return -1;
    }
    errno = 0;
    long long whole = is_whole_text(copy) ? strtoll(copy, NULL, 10) : 0;
    if (is_whole_text(copy) && errno == 0) {
        *ret_number = whole;
        return 0;
    }
    double real = sp__read_real(copy);
    *ret_number = real;
    return isfinite(real) ? 0 : -1;
}

/* 0 with a number that fits in 64 bits, which may have a fraction. */
static int read_integer(const char *text, size_t size, var_number *ret_number)
{
    char copy[VAR_NUMBER_MAX + 1];
    if (!copy_number(text, size, copy) || sp__var_number(text, size, ret_number) < 0) {
        return -1;
    }
    errno = 0;
    if (is_whole_text(copy)) {
        (void)strtoll(copy, NULL, 10);
        return errno == 0 ? 0 : -1;
    }
    /* 2 to the power of 63 is a double, one less is none. */
    return *ret_number >= -0x1p63 && *ret_number < 0x1p63 ? 0 : -1;
}

/* ---- what every cast needs ---- */

/* The value without white space around it. */
struct span {
    const char *text;
    size_t size;
};

static struct span trim(const char *json, size_t size)
{
    while (size > 0 && strchr(" \t\r\n", json[0]) != NULL) {
        json++;
        size--;
    }
    while (size > 0 && strchr(" \t\r\n", json[size - 1]) != NULL) {
        size--;
    }
    return (struct span){json, size};
}

static int is_text(struct span value, const char *text)
{
    return value.size == strlen(text) && memcmp(value.text, text, value.size) == 0;
}

static int must_be(struct span value, const char *what, sp_error *err)
{
    return sp__fail(err, SP_ERR_BAD_VALUE, "must be %s, got %s", what,
                    sp__excerpt(value.text, value.size).text);
}

static int put(struct cast *cast, const char *text, size_t size, sp_error *err)
{
    return sp__buf_append(&cast->json, text, size, err);
}

static int put_text(struct cast *cast, const char *text, sp_error *err)
{
    return put(cast, text, strlen(text), err);
}

/* The text of a JSON string, without its escapes, into the cast. */
static int take_text(struct cast *cast, struct span value, sp_error *err)
{
    cast->text = sp__malloc(value.size);
    if (cast->text == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a text");
    }
    cast->text_size = sp__json_unescape(value.text + 1, value.size - 2, cast->text);
    cast->text[cast->text_size] = '\0';
    return SP_OK;
}

/* ---- one cast for each type ---- */

static int cast_float(struct cast *cast, struct span value, sp_error *err)
{
    static const char *const specials[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < 3; i++) {
        char quoted[16];
        (void)snprintf(quoted, sizeof quoted, "\"%s\"", specials[i]);
        if (is_text(value, specials[i]) || is_text(value, quoted)) {
            cast->is_special = 1;
            return put_text(cast, specials[i], err);
        }
    }
    if (sp__json_kind(value.text, value.size) != '0') {
        return must_be(value, "a number", err);
    }
    if (value.size > VAR_NUMBER_MAX) {
        return sp__fail(err, SP_ERR_BAD_VALUE,
                        "a number of %zu characters: at most %d are read", value.size,
                        VAR_NUMBER_MAX);
    }
    if (sp__var_number(value.text, value.size, &cast->number) < 0) {
        return sp__fail(err, SP_ERR_BAD_VALUE, "%.*s is beyond the range of a float",
                        (int)value.size, value.text);
    }
    cast->number = (double)cast->number;
    int rc = put(cast, value.text, value.size, err);
    if (rc == SP_OK && memchr(value.text, '.', value.size) == NULL &&
        memchr(value.text, 'e', value.size) == NULL &&
        memchr(value.text, 'E', value.size) == NULL) {
        rc = put_text(cast, ".0", err);
    }
    return rc;
}

static int cast_integer(struct cast *cast, struct span value, sp_error *err)
{
    if (sp__json_kind(value.text, value.size) != '0' || is_text(value, "NaN") ||
        is_text(value, "Infinity") || is_text(value, "-Infinity")) {
        return must_be(value, "an integer", err);
    }
    if (read_integer(value.text, value.size, &cast->number) < 0) {
        return sp__fail(err, SP_ERR_BAD_VALUE, "%s is not within %lld and %lld",
                        sp__excerpt(value.text, value.size).text, (long long)INT64_MIN,
                        (long long)INT64_MAX);
    }
    if ((var_number)(long long)cast->number != cast->number) {
        return must_be(value, "a whole number", err);
    }
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)cast->number);
    return put_text(cast, text, err);
}

static int cast_words(struct cast *cast, struct span value, const char *what,
                      sp_error *err)
{
    if (sp__json_kind(value.text, value.size) != '"') {
        return must_be(value, what, err);
    }
    int rc = take_text(cast, value, err);
    return rc < 0 ? rc
                  : sp__json_put_string(&cast->json, cast->text, cast->text_size, err);
}

static int cast_string(struct cast *cast, struct span value, sp_error *err)
{
    return cast_words(cast, value, "a string", err);
}

static int cast_module(struct cast *cast, struct span value, sp_error *err)
{
    return cast_words(cast, value, "a module name", err);
}

static int cast_boolean(struct cast *cast, struct span value, sp_error *err)
{
    if (is_text(value, "true") || is_text(value, "\"true\"") || is_text(value, "1")) {
        return put_text(cast, "true", err);
    }
    if (is_text(value, "false") || is_text(value, "\"false\"") || is_text(value, "0")) {
        return put_text(cast, "false", err);
    }
    return must_be(value, "a boolean (true or false)", err);
}

static int cast_embedding(struct cast *cast, struct span value, sp_error *err)
{
    if (sp__json_kind(value.text, value.size) != '[') {
        return must_be(value, "a numeric list", err);
    }
    struct compact compact = {
        .out = &cast->json, .floats = 1, .numbers = 1, .flat = 1, .err = err};
    int rc = sp__compact(&compact, value.text, value.size);
    cast->count = compact.numbers_count;
    return rc;
}

static int cast_list(struct cast *cast, struct span value, sp_error *err)
{
    if (sp__json_kind(value.text, value.size) != '[') {
        return must_be(value, "a list", err);
    }
    struct compact compact = {.out = &cast->json, .err = err};
    int rc = sp__compact(&compact, value.text, value.size);
    cast->count = compact.elements;
    return rc;
}

static int cast_map(struct cast *cast, struct span value, sp_error *err)
{
    if (sp__json_kind(value.text, value.size) != '{') {
        return must_be(value, "a map", err);
    }
    struct compact compact = {.out = &cast->json, .err = err};
    int rc = sp__compact(&compact, value.text, value.size);
    cast->count = compact.elements;
    return rc;
}

/* ---- tensors ---- */

const char *sp__shape_text(const struct var_shape *shape, char *text, size_t max)
{
    size_t used = 0;
    for (unsigned i = 0; i < shape->count && used < max; i++) {
        used += (size_t)snprintf(text + used, max - used, "%s%llu", i == 0 ? "[" : ",",
                                 (unsigned long long)shape->sizes[i]);
    }
    if (shape->count == 0) {
        (void)snprintf(text, max, "[]");
    } else if (used + 1 < max) {
        (void)snprintf(text + used, max - used, "]");
    }
    return text;
}

static int read_size(void *user, const char *text, size_t n, enum json_number kind)
{
    struct var_shape *shape = user;
    var_number number;
    if (kind != JSON_INTEGER || shape->count == VAR_DIMENSIONS_MAX ||
        sp__var_number(text, n, &number) < 0 || number < 0 ||
        number > (var_number)INT64_MAX) {
        return -1;
    }
    shape->sizes[shape->count++] = (uint64_t)number;
    return 0;
}

static int refuse_text(void *user, const char *raw, size_t n, int escaped)
{
    return -1;
}

static int refuse_literal(void *user, int value)
{
    return -1;
}

static int refuse_object(void *user)
{
    return -1;
}

int sp__shape_read(const char *json, size_t size, struct var_shape *ret_shape)
{
    static const struct json_handler handler = {.number = read_size,
                                                .string = refuse_text,
                                                .literal = refuse_literal,
                                                .object_begin = refuse_object};
    *ret_shape = (struct var_shape){0};
    if (sp__json_kind(json, size) != '[') {
        return -1;
    }
    return sp__json_read(json, size, 1, &handler, ret_shape, NULL) < 0 ? -1 : 0;
}

/* How many elements a shape has; UINT64_MAX when no memory could hold them. */
static uint64_t elements_of(const struct var_shape *shape)
{
    uint64_t product = 1;
    for (unsigned i = 0; i < shape->count; i++) {
        if (__builtin_mul_overflow(product, shape->sizes[i], &product)) {
            return UINT64_MAX;
        }
    }
    return product;
}

/* The two members, and nothing besides. 0 when it is so. */
static int find_parts(struct span value, struct span *ret_shape, struct span *ret_data)
{
    struct json_member member;
    size_t at = 0;
    *ret_shape = *ret_data = (struct span){0};
    if (sp__json_kind(value.text, value.size) != '{') {
        return -1;
    }
    while (sp__json_next_member(value.text, value.size, &at, &member)) {
        struct span key = {member.key, member.key_size};
        struct span *part = is_text(key, "shape")  ? ret_shape
                            : is_text(key, "data") ? ret_data
                                                   : NULL;
        if (part == NULL || part->text != NULL ||
            sp__json_kind(member.value, member.value_size) != '[') {
            return -1;
        }
        *part = (struct span){member.value, member.value_size};
    }
    return ret_shape->text != NULL && ret_data->text != NULL ? 0 : -1;
}

static int cast_tensor(struct cast *cast, struct span value, sp_error *err)
{
    struct span shape;
    struct span data;
    char text[32 * 21];
    if (find_parts(value, &shape, &data) < 0) {
        return must_be(value, "a tensor with shape and data", err);
    }
    if (sp__shape_read(shape.text, shape.size, &cast->shape) < 0) {
        return sp__fail(err, SP_ERR_BAD_VALUE,
                        "shape must be a list of at most %d sizes, got %s",
                        VAR_DIMENSIONS_MAX, sp__excerpt(shape.text, shape.size).text);
    }
    (void)sp__shape_text(&cast->shape, text, sizeof text);
    int rc = sp__buf_printf(&cast->json, err, "{\"shape\":%s,\"data\":", text);
    struct compact compact = {.out = &cast->json, .numbers = 1, .err = err};
    if (rc == SP_OK) {
        rc = sp__compact(&compact, data.text, data.size);
    }
    if (rc == SP_OK && compact.numbers_count != elements_of(&cast->shape)) {
        return sp__fail(err, SP_ERR_BAD_VALUE,
                        "data size doesn't match shape: %llu values for %s",
                        (unsigned long long)compact.numbers_count, text);
    }
    return rc < 0 ? rc : put_text(cast, "}", err);
}

/* ---- all of them ---- */

static int (*const casts[VAR_TYPES])(struct cast *, struct span, sp_error *) = {
    [VAR_FLOAT] = cast_float,         [VAR_INTEGER] = cast_integer,
    [VAR_STRING] = cast_string,       [VAR_BOOLEAN] = cast_boolean,
    [VAR_CHOICE] = cast_string,       [VAR_MODULE] = cast_module,
    [VAR_EMBEDDING] = cast_embedding, [VAR_TENSOR] = cast_tensor,
    [VAR_LIST] = cast_list,           [VAR_MAP] = cast_map,
};

int sp__cast(enum var_type type, const char *json, size_t size, size_t max,
             struct cast *ret_cast, sp_error *err)
{
    *ret_cast = (struct cast){0};
    sp__buf_init(&ret_cast->json, max);
    int rc = sp__check_json("the value", json, size, max, err);
    if (rc < 0) {
        return rc;
    }
    struct span value = trim(json, size);
    if (is_text(value, "null")) {
        return sp__fail(err, SP_ERR_BAD_VALUE, "cannot be null");
    }
    return casts[type](ret_cast, value, err);
}

void sp__cast_fini(struct cast *cast)
{
    sp__buf_fini(&cast->json);
    sp__free(cast->text);
    cast->text = NULL;
}

static int is_numeric_list(const char *json, size_t size)
{
    struct compact compact = {.numbers = 1, .flat = 1};
    return sp__compact(&compact, json, size) == SP_OK;
}

int sp__var_infer(const char *json, size_t size, enum var_type *ret_type, sp_error *err)
{
    struct span value = trim(json, size);
    struct span shape;
    struct span data;
    var_number number;
    int rc = sp__check_json("the value", json, size, SIZE_MAX, err);
    if (rc < 0) {
        return rc;
    }
    switch (sp__json_kind(json, size)) {
    case 't':
    case 'f':
        *ret_type = VAR_BOOLEAN;
        return SP_OK;
    case '0':
        *ret_type = strcspn(value.text, ".eENI") < value.size ||
                            read_integer(value.text, value.size, &number) < 0
                        ? VAR_FLOAT
                        : VAR_INTEGER;
        return SP_OK;
    case '"':
        *ret_type = VAR_STRING;
        return SP_OK;
    case '[':
        *ret_type = is_numeric_list(value.text, value.size) ? VAR_EMBEDDING : VAR_LIST;
        return SP_OK;
    case '{':
        *ret_type = find_parts(value, &shape, &data) == 0 ? VAR_TENSOR : VAR_MAP;
        return SP_OK;
    default:
        return sp__fail(err, SP_ERR_BAD_VALUE, "null has no type: name one");
    }
}
