/* SPDX-License-Identifier: MIT */
/* Tensors described, found and refused. */
#include "wire/tensor.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"

static sp_tensor tensor_of(int dtype, uint32_t dims, const uint64_t *shape,
                           const void *data, size_t bytes)
{
    sp_tensor tensor = {.dtype = dtype, .dims = dims, .data = data, .bytes = bytes};
    if (dims > 0) {
        memcpy(tensor.shape, shape, dims * sizeof shape[0]);
    }
    return tensor;
}

static void every_dtype_has_a_name_and_a_size(void **state)
{
    static const struct {
        int dtype;
        const char *name;
        size_t bytes;
    } all[] = {
        {SP_DTYPE_BOOL, "|b1", 1}, {SP_DTYPE_I8, "|i1", 1},    {SP_DTYPE_U8, "|u1", 1},
        {SP_DTYPE_I16, "<i2", 2},  {SP_DTYPE_U16, "<u2", 2},   {SP_DTYPE_I32, "<i4", 4},
        {SP_DTYPE_U32, "<u4", 4},  {SP_DTYPE_I64, "<i8", 8},   {SP_DTYPE_U64, "<u8", 8},
        {SP_DTYPE_F16, "<f2", 2},  {SP_DTYPE_F32, "<f4", 4},   {SP_DTYPE_F64, "<f8", 8},
        {SP_DTYPE_C64, "<c8", 8},  {SP_DTYPE_C128, "<c16", 16}};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        assert_string_equal(sp_dtype_name(all[i].dtype), all[i].name);
        assert_int_equal(sp_dtype_bytes(all[i].dtype), all[i].bytes);
        assert_int_equal(sp_dtype_of_name(all[i].name), all[i].dtype);
    }
    static const char *const strange[] = {"|O",  "O",    "|O8", "<M8", "<U4", ">f8",
                                          "<f3", "<f16", "",    "f8",  "|V8", "<f88"};
    for (size_t i = 0; i < COUNT_OF(strange); i++) {
        assert_int_equal(sp_dtype_of_name(strange[i]), SP_DTYPE_NONE);
    }
    assert_int_equal(sp_dtype_of_name(NULL), SP_DTYPE_NONE);
    assert_null(sp_dtype_name(0));
    assert_null(sp_dtype_name(15));
    assert_int_equal(sp_dtype_bytes(-1), 0);
}

static void bytes_must_be_as_many_as_dtype_and_shape_say(void **state)
{
    static const char data[64];
    uint64_t shape[SP_TENSOR_DIMS_MAX] = {2, 3};
    sp_error err = {0};
    sp_tensor good = tensor_of(SP_DTYPE_F64, 2, shape, data, 48);
    assert_int_equal(sp_tensor_check(&good, &err), SP_OK);
    for (size_t bytes = 0; bytes <= 64; bytes++) {
        sp_tensor tensor = tensor_of(SP_DTYPE_F64, 2, shape, data, bytes);
        assert_int_equal(sp_tensor_check(&tensor, &err),
                         bytes == 48 ? SP_OK : SP_ERR_BAD_VALUE);
    }
    sp_tensor scalar = tensor_of(SP_DTYPE_C128, 0, NULL, data, 16);
    assert_int_equal(sp_tensor_check(&scalar, &err), SP_OK);
    shape[1] = 0; /* none of the sizes around a zero may overflow anything */
    shape[0] = UINT64_MAX / 8;
    sp_tensor empty = tensor_of(SP_DTYPE_F64, 2, shape, NULL, 0);
    assert_int_equal(sp_tensor_check(&empty, &err), SP_OK);
    good.data = NULL;
    assert_int_equal(sp_tensor_check(&good, &err), SP_ERR_BAD_VALUE);
    good.dtype = 99;
    assert_int_equal(sp_tensor_check(&good, &err), SP_ERR_BAD_VALUE);
    assert_int_equal(sp_tensor_check(NULL, &err), SP_ERR_INVAL);
    sp_error_clear(&err);
}

static void products_that_overflow_are_refused(void **state)
{
    static const uint64_t factors[] = {
        2, 3, 1u << 16, 1ull << 31, 1ull << 32, 1ull << 61, UINT64_MAX / 8, UINT64_MAX};
    size_t bytes;
    sp_error err = {0};
    for (size_t i = 0; i < COUNT_OF(factors); i++) {
        for (size_t j = 0; j < COUNT_OF(factors); j++) {
            uint64_t shape[] = {factors[i], factors[j]};
            size_t expected;
            int over = __builtin_mul_overflow(factors[i], factors[j], &expected) ||
                       __builtin_mul_overflow(expected, (size_t)8, &expected);
            int rc = sp__tensor_size(SP_DTYPE_F64, shape, 2, &bytes, &err);
            assert_int_equal(rc, over ? SP_ERR_TOO_BIG : SP_OK);
            if (!over) {
                assert_int_equal(bytes, expected);
            }
        }
    }
    uint64_t many[SP_TENSOR_DIMS_MAX + 1] = {0};
    assert_int_equal(sp__tensor_size(SP_DTYPE_I8, many, 33, &bytes, &err),
                     SP_ERR_TOO_DEEP);
    sp_error_clear(&err);
}

static void what_is_written_is_found(void **state)
{
    static const double data[6] = {1, 2, 3, 4, 5, 6};
    const uint64_t shape[] = {2, 3};
    sp_tensor tensor = tensor_of(SP_DTYPE_F64, 2, shape, data, sizeof data);
    char text[SP_TENSOR_TEXT_MAX];
    char json[SP_TENSOR_TEXT_MAX + 100];
    size_t n;
    sp_error err = {0};
    assert_int_equal(sp_tensor_text(&tensor, "w\"1", 0, text, sizeof text, &n, &err),
                     SP_OK);
    assert_string_equal(
        text,
        "{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[2,3],\"part\":\"w\\\"1\"}}");
    assert_int_equal(n, strlen(text));
    (void)snprintf(json, sizeof json, "{\"a/b\":[0,{\"~\":%s},[]],\"z\":[[]]}", text);
    sp_binary parts[] = {{.name = "other"},
                         {.name = "w\"1", .value = {data, sizeof data}}};
    sp_tensor found;
    assert_int_equal(
        sp_tensor_find(sp_text(json), "/a~1b/1/~0", parts, 2, &found, &err), SP_OK);
    assert_int_equal(found.dtype, SP_DTYPE_F64);
    assert_int_equal(found.dims, 2);
    assert_int_equal(found.shape[1], 3);
    assert_ptr_equal(found.data, data);
    assert_int_equal(sp_tensor_check(&found, &err), SP_OK);

    static const char *const nowhere[] = {"/a~1b/3", "/a~1b/01", "/a~1b/1/~0/x/y",
                                          "/a",      "/",        "/z/0/0"};
    for (size_t i = 0; i < COUNT_OF(nowhere); i++) {
        assert_int_equal(
            sp_tensor_find(sp_text(json), nowhere[i], parts, 2, &found, &err),
            SP_ERR_NOT_FOUND);
    }
    assert_int_equal(sp_tensor_find(sp_text(json), "/a~1b/0", parts, 2, &found, &err),
                     SP_ERR_BAD_VALUE);
    assert_int_equal(sp_tensor_find(sp_text(json), "", parts, 2, &found, &err),
                     SP_ERR_BAD_VALUE);
    assert_int_equal(sp_tensor_find(sp_text(json), "x", parts, 2, &found, &err),
                     SP_ERR_INVAL);
    assert_int_equal(
        sp_tensor_find(sp_text(json), "/a~1b/1/~0", parts, 1, &found, &err),
        SP_ERR_NOT_FOUND);
    sp_error_clear(&err);
}

static void a_slice_stays_inside_its_part(void **state)
{
    static const char part[100];
    char json[128];
    sp_error err = {0};
    static const struct {
        unsigned long long size, at;
        int rc;
    } cases[] = {{100, 0, SP_OK},
                 {0, 100, SP_OK},
                 {1, 99, SP_OK},
                 {101, 0, SP_ERR_BAD_VALUE},
                 {1, 100, SP_ERR_BAD_VALUE},
                 {0, 101, SP_ERR_BAD_VALUE},
                 {999999999999999999, 2, SP_ERR_BAD_VALUE},
                 {2, 999999999999999999, SP_ERR_BAD_VALUE}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct part_ref ref;
        sp_bytes slice;
        (void)snprintf(json, sizeof json, "{\"__bytes__\":{\"size\":%llu,\"at\":%llu}}",
                       cases[i].size, cases[i].at);
        assert_int_equal(sp__part_read(sp_text(json), "", &ref, &err), 1);
        assert_int_equal(
            sp__part_slice(&ref, (sp_bytes){part, sizeof part}, &slice, &err),
            cases[i].rc);
    }
    sp_error_clear(&err);
}

static void what_cannot_be_meant_is_refused(void **state)
{
    static const struct {
        const char *json;
        int rc;
    } cases[] = {
        {"5", 0},
        {"[{\"__tensor__\":1}]", 0}, /* not at the place */
        {"{\"a\":1}", 0},
        {"{\"__tensor__\":{\"shape\":[2],\"dtype\":\"|u1\"}}", 1},
        {"{\"__tensor__\":{\"shape\":[],\"dtype\":\"|u1\"}}", 1},
        {"{\"__tensor__\":5}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":[]}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{}}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\"}}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"shape\":[1]}}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"|O\",\"shape\":[1]}}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":5,\"shape\":[1]}}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[-1]}}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[1.5]}}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[\"1\"]}}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[[1]]}}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[null]}}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":{}}}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":5}}", SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[99999999999999999999]}}",
         SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[99999999999,99999999999]}}",
         SP_ERR_TOO_BIG},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[1],\"shape\":[1]}}",
         SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[1],\"order\":\"F\"}}",
         SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[1],\"part\":5}}",
         SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[1],\"part\":\"a\\u0000b\"}}",
         SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[1]},\"x\":1}",
         SP_ERR_BAD_VALUE},
        {"{\"x\":1,\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[1]}}",
         SP_ERR_BAD_VALUE},
        {"{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[1]},\"__bytes__\":{}}",
         SP_ERR_BAD_VALUE},
        {"{\"__bytes__\":{}}", SP_ERR_BAD_VALUE},
        {"{\"__bytes__\":{\"size\":true}}", SP_ERR_BAD_VALUE},
        {"{\"__bytes__\":{\"size\":1,\"dtype\":\"<f8\"}}", SP_ERR_BAD_VALUE},
        {"{\"__bytes__\":{\"size\":1}", SP_ERR_BAD_JSON},
        {"", SP_ERR_BAD_JSON},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct part_ref ref;
        sp_error err = {0};
        int rc = sp__part_read(sp_text(cases[i].json), "", &ref, &err);
        if (rc != cases[i].rc) {
            fail_msg("%s: %d (%s), not %d", cases[i].json, rc, err.message,
                     cases[i].rc);
        }
        assert_int_equal(sp__part_read(sp_text(cases[i].json), "", &ref, NULL), rc);
        sp_error_clear(&err);
    }
}

static void more_than_32_dimensions_are_refused(void **state)
{
    char json[256];
    for (int dims = 31; dims <= 33; dims++) {
        struct part_ref ref;
        int n = snprintf(json, sizeof json,
                         "{\"__tensor__\":{\"dtype\":\"|i1\",\"shape\":[1");
        for (int i = 1; i < dims; i++) {
            n += snprintf(json + n, sizeof json - (size_t)n, ",1");
        }
        (void)snprintf(json + n, sizeof json - (size_t)n, "]}}");
        assert_int_equal(sp__part_read(sp_text(json), "", &ref, NULL),
                         dims <= 32 ? 1 : SP_ERR_TOO_DEEP);
    }
}

static void a_text_that_does_not_fit_is_refused(void **state)
{
    static const char data[8];
    char name[SP_PART_NAME_MAX + 2];
    char text[SP_TENSOR_TEXT_MAX];
    size_t n = 0;
    sp_tensor tensor = tensor_of(SP_DTYPE_F64, 0, NULL, data, 8);
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(sp_tensor_text(&tensor, name, 0, text, sizeof text, &n, NULL),
                     SP_ERR_TOO_BIG);
    assert_int_equal(sp_tensor_text(&tensor, "x", 0, text, 20, &n, NULL),
                     SP_ERR_TOO_BIG);
    tensor.dims = SP_TENSOR_DIMS_MAX;
    tensor.bytes = 0;
    for (size_t i = 0; i < SP_TENSOR_DIMS_MAX; i++) {
        tensor.shape[i] = 0;
    }
    tensor.shape[7] = UINT64_MAX / 8; /* as long as a size can be beside a zero */
    name[SP_PART_NAME_MAX] = '\0';
    assert_int_equal(
        sp_tensor_text(&tensor, name, UINT64_MAX, text, sizeof text, &n, NULL), SP_OK);
    assert_true(n < sizeof text);
}

static void without_memory_nothing_is_written(void **state)
{
    const uint64_t shape[] = {4};
    sp_tensor tensor = tensor_of(SP_DTYPE_U8, 1, shape, "abcd", 4);
    struct sp_buffer out;
    sp__buf_init(&out, 1000);
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp__tensor_put(&out, &tensor, "x", 0, NULL), SP_ERR_NOMEM);
    assert_int_equal(out.size, 0);
    assert_int_equal(sp__bytes_put(&out, 4, "x", 7, NULL), SP_OK);
    assert_int_equal(out.size,
                     strlen("{\"__bytes__\":{\"size\":4,\"part\":\"x\",\"at\":7}}"));
    sp__buf_fini(&out);
    sp__buf_init(&out, 30);
    assert_int_equal(sp__tensor_put(&out, &tensor, "x", 0, NULL), SP_ERR_TOO_BIG);
    assert_int_equal(out.size, 0);
    sp__buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_dtype_has_a_name_and_a_size),
        TEST(bytes_must_be_as_many_as_dtype_and_shape_say),
        TEST(products_that_overflow_are_refused),
        TEST(what_is_written_is_found),
        TEST(a_slice_stays_inside_its_part),
        TEST(what_cannot_be_meant_is_refused),
        TEST(more_than_32_dimensions_are_refused),
        TEST(a_text_that_does_not_fit_is_refused),
        TEST(without_memory_nothing_is_written),
    };
    return cmocka_run_group_tests_name("tensor", tests, NULL, NULL);
}
