/* SPDX-License-Identifier: MIT */
/* Arrays as bytes and as JSON: every dtype, every double, and what is neither. */
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "proto_bytes.h"
#include "wire/json.h"
#include "wire/tensor_json.h"

static void expect_json(int dtype, const void *data, size_t count, const char *wanted)
{
    struct sp_buffer out = buffer();
    const sp_tensor tensor = {.dtype = dtype,
                              .dims = 1,
                              .shape = {count},
                              .data = data,
                              .bytes = count * sp_dtype_bytes(dtype)};
    assert_int_equal(sp_tensor_check(&tensor, NULL), SP_OK);
    assert_int_equal(sp__tensor_to_json(&out, &tensor, 1, NULL), SP_OK);
    assert_bytes((sp_bytes){out.data, out.size}, wanted, strlen(wanted));
    sp__buf_fini(&out);
}

static void every_real_dtype_has_its_numbers(void **state)
{
    (void)state;
    expect_json(SP_DTYPE_BOOL, "\0\1", 2, "[0,1]");
    expect_json(SP_DTYPE_I8, (const int8_t[]){-128, 127}, 2, "[-128,127]");
    expect_json(SP_DTYPE_U8, (const uint8_t[]){0, 255}, 2, "[0,255]");
    expect_json(SP_DTYPE_I16, (const int16_t[]){-32768}, 1, "[-32768]");
    expect_json(SP_DTYPE_U16, (const uint16_t[]){65535}, 1, "[65535]");
    expect_json(SP_DTYPE_I32, (const int32_t[]){INT32_MIN}, 1, "[-2147483648]");
    expect_json(SP_DTYPE_U32, (const uint32_t[]){UINT32_MAX}, 1, "[4294967295]");
    expect_json(SP_DTYPE_I64, (const int64_t[]){INT64_MIN}, 1,
                "[-9223372036854775808]");
    expect_json(SP_DTYPE_U64, (const uint64_t[]){UINT64_MAX}, 1,
                "[18446744073709551615]");
    /* 1, -2, the largest, the smallest, infinity, not a number */
    expect_json(SP_DTYPE_F16,
                (const uint16_t[]){0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x7e00}, 6,
                "[1,-2,65504,5.9604645e-08,Infinity,NaN]");
    expect_json(SP_DTYPE_F32, (const float[]){0.1f, 16777216.0f}, 2, "[0.1,16777216]");
    expect_json(SP_DTYPE_F64, (const double[]){0.1, 1.0 / 3, -INFINITY}, 3,
                "[0.1,0.3333333333333333,-Infinity]");
    expect_json(SP_DTYPE_F64, NULL, 0, "[]");
}

static void complex_numbers_and_more_dimensions_are_refused(void **state)
{
    (void)state;
    struct sp_buffer out = buffer();
    sp_error err = {0};
    const double data[4] = {1, 2, 3, 4};
    const sp_tensor complex_one = {
        .dtype = SP_DTYPE_C128, .dims = 1, .shape = {2}, .data = data, .bytes = 32};
    const sp_tensor square = {
        .dtype = SP_DTYPE_F64, .dims = 2, .shape = {2, 2}, .data = data, .bytes = 32};
    assert_int_equal(sp__tensor_to_json(&out, &complex_one, 1, &err), SP_ERR_BAD_VALUE);
    assert_string_equal(err.message,
                        "a variable's elements are real numbers, not <c16");
    assert_int_equal(sp__tensor_to_json(&out, &square, 1, &err), SP_ERR_BAD_VALUE);
    assert_string_equal(err.message, "an embedding has one dimension, the array has 2");
    out.size = 0;
    assert_int_equal(sp__tensor_to_json(&out, &square, 0, &err), SP_OK);
    assert_text((sp_bytes){out.data, out.size}, "{\"shape\":[2,2],\"data\":[1,2,3,4]}");
    sp__buf_fini(&out);
    sp_error_clear(&err);
}

static void numbers_survive_the_way_there_and_back(void **state)
{
    (void)state;
    enum { COUNT = 4096 };
    static double numbers[COUNT];
    struct sp_buffer json = buffer();
    struct sp_buffer data = buffer();
    sp_tensor back;
    uint64_t seed = 20261126;
    for (size_t i = 0; i < COUNT; i++) {
        do {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            memcpy(&numbers[i], &seed, sizeof seed); /* any double there is */
        } while (isnan(numbers[i]));
    }
    const sp_tensor tensor = {.dtype = SP_DTYPE_F64,
                              .dims = 3,
                              .shape = {16, 1, COUNT / 16},
                              .data = numbers,
                              .bytes = sizeof numbers};
    assert_int_equal(sp__tensor_to_json(&json, &tensor, 0, NULL), SP_OK);
    sp_bytes text = {json.data, json.size};
    assert_int_equal(sp__json_read(text.data, text.size, 64, NULL, NULL, NULL), 0);
    assert_int_equal(sp__tensor_from_json(text, &data, &back, NULL), 1);
    assert_int_equal(back.dtype, SP_DTYPE_F64);
    assert_int_equal(back.dims, 3);
    assert_memory_equal(back.shape, tensor.shape, 3 * sizeof back.shape[0]);
    assert_bytes((sp_bytes){back.data, back.bytes}, numbers, sizeof numbers);
    sp__buf_fini(&json);
    sp__buf_fini(&data);
}

static void expect_no_array(const char *json)
{
    struct sp_buffer data = buffer();
    sp_tensor tensor;
    assert_int_equal(sp__tensor_from_json(sp_text(json), &data, &tensor, NULL), 0);
    assert_int_equal(data.size, 0);
    sp__buf_fini(&data);
}

static void what_doubles_do_not_hold_stays_json(void **state)
{
    (void)state;
    expect_no_array("[9007199254740993]");
    expect_no_array("[1e999]");
    expect_no_array("[1, \"a\"]");
    expect_no_array("[null]");
    expect_no_array("[{}]");
    expect_no_array("1");
    expect_no_array("{\"shape\":[2]}");
    expect_no_array("{\"shape\":[2],\"data\":[1]}");
    expect_no_array("{\"shape\":[18446744073709551616],\"data\":[1]}");
    expect_no_array("{\"shape\":[4611686018427387904,4],\"data\":[1]}");
    struct sp_buffer data = buffer();
    sp_tensor tensor;
    assert_int_equal(sp__tensor_from_json(sp_text("{\"shape\": [2, 2], \"data\": [[1, "
                                                  "NaN], [3, Infinity]]}"),
                                          &data, &tensor, NULL),
                     1);
    assert_int_equal(tensor.bytes, 32);
    sp__buf_fini(&data);
}

static void a_decimal_comma_of_the_program_is_not_ours(void **state)
{
    (void)state;
    /* Debian's C library brings no such locale unless it was generated: then this is the
     * plain case once more. */
    const char *had = setlocale(LC_NUMERIC, "de_DE.UTF-8");
    struct sp_buffer data = buffer();
    sp_tensor tensor;
    expect_json(SP_DTYPE_F64, (const double[]){0.5}, 1, "[0.5]");
    assert_int_equal(sp__tensor_from_json(sp_text("[0.5]"), &data, &tensor, NULL), 1);
    assert_true(((const double *)tensor.data)[0] == 0.5);
    sp__buf_fini(&data);
    if (had != NULL) {
        (void)setlocale(LC_NUMERIC, "C");
    }
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    const double numbers[] = {1.5, 2.5};
    const sp_tensor tensor = {.dtype = SP_DTYPE_F64,
                              .dims = 1,
                              .shape = {2},
                              .data = numbers,
                              .bytes = sizeof numbers};
    int rc = SP_ERR_NOMEM;
    for (uint64_t n = 1; rc == SP_ERR_NOMEM; n++) {
        struct sp_buffer json = buffer();
        struct sp_buffer data = buffer();
        sp_tensor back;
        sp__mem_fail_at(n, 0);
        rc = sp__tensor_to_json(&json, &tensor, 0, NULL);
        if (rc == SP_OK) {
            rc = sp__tensor_from_json((sp_bytes){json.data, json.size}, &data, &back,
                                      NULL);
        }
        sp__mem_fail_at(0, 0);
        sp__buf_fini(&json);
        sp__buf_fini(&data);
    }
    assert_int_equal(rc, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_real_dtype_has_its_numbers),
        TEST(complex_numbers_and_more_dimensions_are_refused),
        TEST(numbers_survive_the_way_there_and_back),
        TEST(what_doubles_do_not_hold_stays_json),
        TEST(a_decimal_comma_of_the_program_is_not_ours),
        TEST(without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
