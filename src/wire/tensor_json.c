/* SPDX-License-Identifier: MIT */
/*
 * Arrays of numbers as bytes <-> as the JSON that variables keep: a list for an embedding,
 * {"shape": [...], "data": [...]} for a tensor.
 *
 * Numbers become the shortest text that reads back as the same number. The other way
 * there are only doubles: what they do not hold exactly stays JSON.
 */
#include "wire/tensor_json.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "wire/json.h"

enum { NUMBER_MAX = 32 /* bytes of a number's text */ };

/* ---- the program around us may have chosen a decimal comma ---- */

static locale_t plain_locale;
static pthread_once_t locale_once = PTHREAD_ONCE_INIT;

static void make_locale(void)
{
    plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t use_plain_locale(void)
{
    (void)pthread_once(&locale_once, make_locale);
    return plain_locale != (locale_t)0 ? uselocale(plain_locale) : (locale_t)0;
}

static void use_locale(locale_t before)
{
    if (before != (locale_t)0) {
        (void)uselocale(before);
    }
}

/* ---- bytes to JSON ---- */

/* IEEE 754's binary16: one bit of sign, five of exponent, ten of fraction. */
static double half(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    int fraction = bits & 1023;
    double value = exponent == 31  ? (fraction == 0 ? INFINITY : NAN)
                   : exponent == 0 ? ldexp(fraction, -24)
                                   : ldexp(fraction + 1024, exponent - 25);
    return bits & 0x8000 ? -value : value;
}

static int put_real(char text[NUMBER_MAX], double value, int digits, int digits_max)
{
    if (isnan(value)) {
        return snprintf(text, NUMBER_MAX, "NaN");
    }
    if (isinf(value)) {
        return snprintf(text, NUMBER_MAX, value < 0 ? "-Infinity" : "Infinity");
    }
    int n;
    do {
        n = snprintf(text, NUMBER_MAX, "%.*g", digits, value);
    } while (digits++ < digits_max && (digits_max == 9 ? (double)strtof(text, NULL)
                                                       : strtod(text, NULL)) != value);
    return n;
}

#define INTEGER(type, format)                                  \
    {                                                          \
        type##_t number;                                       \
        memcpy(&number, at, sizeof number);                    \
        return snprintf(text, NUMBER_MAX, "%" format, number); \
    }

/* The text of one element; -1: it is no number of one part. */
static int put_element(char text[NUMBER_MAX], int dtype, const uint8_t *at)
{
    switch (dtype) {
    case SP_DTYPE_BOOL:
        return snprintf(text, NUMBER_MAX, "%d", *at != 0);
    case SP_DTYPE_I8:
        INTEGER(int8, PRId8)
    case SP_DTYPE_U8:
        INTEGER(uint8, PRIu8)
    case SP_DTYPE_I16:
        INTEGER(int16, PRId16)
    case SP_DTYPE_U16:
        INTEGER(uint16, PRIu16)
    case SP_DTYPE_I32:
        INTEGER(int32, PRId32)
    case SP_DTYPE_U32:
        INTEGER(uint32, PRIu32)
    case SP_DTYPE_I64:
        INTEGER(int64, PRId64)
    case SP_DTYPE_U64:
        INTEGER(uint64, PRIu64)
    case SP_DTYPE_F16: {
        uint16_t bits;
        memcpy(&bits, at, sizeof bits);
        return put_real(text, half(bits), 5, 9);
    }
    case SP_DTYPE_F32: {
        float number;
        memcpy(&number, at, sizeof number);
        return put_real(text, (double)number, 6, 9);
    }
    case SP_DTYPE_F64: {
        double number;
        memcpy(&number, at, sizeof number);
        return put_real(text, number, 15, 17);
    }
    default:
        return -1;
    }
}
#undef INTEGER

static int put_elements(struct sp_buffer *out, const sp_tensor *tensor, sp_error *err)
{
    size_t step = sp_dtype_bytes(tensor->dtype);
    const uint8_t *data = tensor->data;
    int rc = sp__buf_append(out, "[", 1, err);
    for (size_t at = 0; rc == SP_OK && at < tensor->bytes; at += step) {
        char text[NUMBER_MAX + 1];
        int n = put_element(text + 1, tensor->dtype, data + at);
        if (n < 0) {
            return sp__fail(err, SP_ERR_BAD_VALUE,
                            "a variable's elements are real numbers, not %s",
                            sp_dtype_name(tensor->dtype));
        }
        text[0] = ',';
        rc = sp__buf_append(out, at > 0 ? text : text + 1, (size_t)n + (at > 0), err);
    }
    return rc < 0 ? rc : sp__buf_append(out, "]", 1, err);
}

int sp__tensor_to_json(struct sp_buffer *out, const sp_tensor *tensor, int as_list,
                       sp_error *err)
{
    int rc = SP_OK;
    if (as_list && tensor->dims != 1) {
        return sp__fail(err, SP_ERR_BAD_VALUE,
                        "an embedding has one dimension, the array has %u",
                        tensor->dims);
    }
    if (!as_list) {
        rc = sp__buf_printf(out, err, "{\"shape\":[");
        for (uint32_t i = 0; rc == SP_OK && i < tensor->dims; i++) {
            rc = sp__buf_printf(out, err, "%s%" PRIu64, i > 0 ? "," : "",
                                tensor->shape[i]);
        }
        if (rc == SP_OK) {
            rc = sp__buf_printf(out, err, "],\"data\":");
        }
    }
    if (rc == SP_OK) {
        locale_t before = use_plain_locale();
        rc = put_elements(out, tensor, err);
        use_locale(before);
    }
    if (rc == SP_OK && !as_list) {
        rc = sp__buf_append(out, "}", 1, err);
    }
    return rc;
}

/* ---- JSON to bytes ---- */

enum { INEXACT = 1 /* stops the reading */ };

struct doubles {
    struct sp_buffer *out;
    sp_error *err;
};

/* A whole number that a double holds is its text again when it is printed. */
static int is_exact(const char *text, double value)
{
    const double gaps_from = 9007199254740992.0; /* 2 to the 53rd */
    char again[NUMBER_MAX];
    if (fabs(value) < gaps_from) {
        return 1;
    }
    int n = snprintf(again, sizeof again, "%.0f", value);
    return n < NUMBER_MAX && strcmp(again, text) == 0;
}

static int take_double(void *user, const char *text, size_t n, enum json_number kind)
{
    static const double specials[] = {
        [JSON_NAN] = NAN, [JSON_INF] = INFINITY, [JSON_NEG_INF] = -INFINITY};
    struct doubles *doubles = user;
    char copy[NUMBER_MAX];
    double value;
    if (kind == JSON_INTEGER || kind == JSON_REAL) {
        if (n >= sizeof copy) {
            return INEXACT;
        }
        memcpy(copy, text, n);
        copy[n] = '\0';
        value = strtod(copy, NULL);
        if (isinf(value) || (kind == JSON_INTEGER && !is_exact(copy, value))) {
            return INEXACT;
        }
    } else {
        value = specials[kind];
    }
    return sp__buf_append(doubles->out, &value, sizeof value, doubles->err);
}

static int refuse_text(void *user, const char *raw, size_t n, int escaped)
{
    return INEXACT;
}

static int refuse_literal(void *user, int value)
{
    return INEXACT;
}

static int refuse_object(void *user)
{
    return INEXACT;
}

static int read_list(sp_bytes json, struct sp_buffer *out, sp_error *err)
{
    static const struct json_handler handler = {.number = take_double,
                                                .string = refuse_text,
                                                .literal = refuse_literal,
                                                .object_begin = refuse_object};
    struct doubles doubles = {out, err};
    locale_t before = use_plain_locale();
    int rc = sp__json_read(json.data, json.size, SP__JSON_DEPTH_MAX, &handler, &doubles,
                           err);
    use_locale(before);
    return rc;
}

/* The numbers of a list are the shape. */
static int read_shape(sp_bytes json, sp_tensor *tensor)
{
    const char *at = json.data;
    const char *end = at + json.size;
    tensor->dims = 0;
    while (at < end && *at != ']') {
        if (*at < '0' || *at > '9') {
            at++; /* valid JSON: brackets, commas, blanks */
            continue;
        }
        char *next;
        if (tensor->dims == SP_TENSOR_DIMS_MAX) {
            return 0;
        }
        errno = 0;
        tensor->shape[tensor->dims++] = strtoull(at, &next, 10);
        if (errno != 0 || next > end) {
            return 0;
        }
        at = next;
    }
    return 1;
}

static int find_parts(sp_bytes json, sp_bytes *ret_shape, sp_bytes *ret_data)
{
    struct json_member member;
    size_t pos = 0;
    *ret_shape = *ret_data = (sp_bytes){0};
    while (sp__json_next_member(json.data, json.size, &pos, &member)) {
        if (member.key_size == 5 && memcmp(member.key, "shape", 5) == 0) {
            *ret_shape = (sp_bytes){member.value, member.value_size};
        } else if (member.key_size == 4 && memcmp(member.key, "data", 4) == 0) {
            *ret_data = (sp_bytes){member.value, member.value_size};
        }
    }
    return ret_shape->size > 0 && ret_data->size > 0;
}

int sp__tensor_from_json(sp_bytes json, struct sp_buffer *data, sp_tensor *ret_tensor,
                         sp_error *err)
{
    sp_tensor tensor = {.dtype = SP_DTYPE_F64};
    sp_bytes shape = {0};
    sp_bytes list = json;
    char kind = sp__json_kind(json.data, json.size);
    if (kind == '{' &&
        (!find_parts(json, &shape, &list) || !read_shape(shape, &tensor))) {
        return 0;
    }
    if (kind != '{' && kind != '[') {
        return 0;
    }
    size_t start = data->size;
    int rc = read_list(list, data, err);
    if (rc != SP_OK) {
        data->size = start;
        return rc == INEXACT ? 0 : rc;
    }
    tensor.bytes = data->size - start;
    tensor.data = data->data + start;
    if (kind == '[') {
        tensor.dims = 1;
        tensor.shape[0] = tensor.bytes / sizeof(double);
    }
    if (sp_tensor_check(&tensor, NULL) < 0) {
        data->size = start;
        return 0;
    }
    *ret_tensor = tensor;
    return 1;
}
