/* SPDX-License-Identifier: MIT */
/*
 * Tensors described: what dtypes there are, how many bytes a shape has, and the JSON that
 * stands for the bytes. Reading that JSON is tensor_read.c.
 *
 * A description fails when its numbers do not fit each other; every product is checked
 * before it is made, because both factors come from a peer.
 */
#include "wire/tensor.h"

#include <string.h>

#include "base/error.h"
#include "wire/json.h"

static const struct {
    char name[5];
    uint8_t bytes;
} dtypes[] = {
    [SP_DTYPE_BOOL] = {"|b1", 1}, [SP_DTYPE_I8] = {"|i1", 1},
    [SP_DTYPE_U8] = {"|u1", 1},   [SP_DTYPE_I16] = {"<i2", 2},
    [SP_DTYPE_U16] = {"<u2", 2},  [SP_DTYPE_I32] = {"<i4", 4},
    [SP_DTYPE_U32] = {"<u4", 4},  [SP_DTYPE_I64] = {"<i8", 8},
    [SP_DTYPE_U64] = {"<u8", 8},  [SP_DTYPE_F16] = {"<f2", 2},
    [SP_DTYPE_F32] = {"<f4", 4},  [SP_DTYPE_F64] = {"<f8", 8},
    [SP_DTYPE_C64] = {"<c8", 8},  [SP_DTYPE_C128] = {"<c16", 16},
};

enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

SP_API size_t sp_dtype_bytes(int dtype)
{
    return dtype > 0 && dtype < DTYPES ? dtypes[dtype].bytes : 0;
}

SP_API const char *sp_dtype_name(int dtype)
{
    return dtype > 0 && dtype < DTYPES ? dtypes[dtype].name : NULL;
}

SP_API int sp_dtype_of_name(const char *name)
{
    for (int i = 1; name != NULL && i < DTYPES; i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            return i;
        }
    }
    return SP_DTYPE_NONE;
}

int sp__tensor_size(int dtype, const uint64_t *shape, size_t dims, size_t *ret_bytes,
                    sp_error *err)
{
    size_t bytes = sp_dtype_bytes(dtype);
    int is_empty = 0;
    if (bytes == 0) {
        return sp__fail(err, SP_ERR_BAD_VALUE, "dtype %d is none of 1 to %d", dtype,
                        DTYPES - 1);
    }
    if (dims > SP_TENSOR_DIMS_MAX) {
        return sp__fail(err, SP_ERR_TOO_DEEP, "a tensor of %zu dimensions, at most %d",
                        dims, SP_TENSOR_DIMS_MAX);
    }
    for (size_t i = 0; i < dims; i++) {
        if (shape[i] == 0) {
            is_empty = 1;
        } else if (shape[i] > SIZE_MAX / bytes) {
            return sp__fail(err, SP_ERR_TOO_BIG,
                            "a tensor whose shape has more than %zu bytes", SIZE_MAX);
        } else {
            bytes *= (size_t)shape[i];
        }
    }
    *ret_bytes = is_empty ? 0 : bytes;
    return SP_OK;
}

SP_API int sp_tensor_check(const sp_tensor *tensor, sp_error *err)
{
    size_t bytes;
    if (tensor == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a tensor is needed");
    }
    int rc = sp__tensor_size(tensor->dtype, tensor->shape, tensor->dims, &bytes, err);
    if (rc < 0) {
        return rc;
    }
    if (bytes != tensor->bytes || (bytes > 0 && tensor->data == NULL)) {
        return sp__fail(err, SP_ERR_BAD_VALUE,
                        "a tensor with %zu bytes, its dtype and shape have %zu",
                        tensor->data == NULL ? 0 : tensor->bytes, bytes);
    }
    return SP_OK;
}

/* ---- writing ---- */

/* The end of the description: where the bytes are. */
static int put_place(struct sp_buffer *out, const char *part, uint64_t at,
                     sp_error *err)
{
    int rc = SP_OK;
    size_t part_size = part == NULL ? 0 : strlen(part);
    if (part_size > SP_PART_NAME_MAX) {
        return sp__fail(err, SP_ERR_TOO_BIG, "a part's name of %zu bytes, at most %d",
                        part_size, SP_PART_NAME_MAX);
    }
    if (part_size > 0) {
        rc = sp__buf_append(out, ",\"part\":", 8, err);
        if (rc == SP_OK) {
            rc = sp__json_put_string(out, part, part_size, err);
        }
    }
    if (rc == SP_OK && at > 0) {
        rc = sp__buf_printf(out, err, ",\"at\":%llu", (unsigned long long)at);
    }
    return rc == SP_OK ? sp__buf_append(out, "}}", 2, err) : rc;
}

static int put_shape(struct sp_buffer *out, const sp_tensor *tensor, sp_error *err)
{
    int rc = SP_OK;
    for (uint32_t i = 0; rc == SP_OK && i < tensor->dims; i++) {
        rc = sp__buf_printf(out, err, i == 0 ? "%llu" : ",%llu",
                            (unsigned long long)tensor->shape[i]);
    }
    return rc;
}

int sp__tensor_put(struct sp_buffer *out, const sp_tensor *tensor, const char *part,
                   uint64_t at, sp_error *err)
{
    size_t start = out->size;
    size_t bytes;
    int rc = sp__tensor_size(tensor->dtype, tensor->shape, tensor->dims, &bytes, err);
    if (rc == SP_OK) {
        rc = sp__buf_printf(out, err,
                            "{\"" SP__TENSOR_KEY "\":{\"dtype\":\"%s\",\"shape\":[",
                            dtypes[tensor->dtype].name);
    }
    if (rc == SP_OK) {
        rc = put_shape(out, tensor, err);
    }
    if (rc == SP_OK) {
        rc = sp__buf_append(out, "]", 1, err);
    }
    if (rc == SP_OK) {
        rc = put_place(out, part, at, err);
    }
    if (rc < 0) {
        out->size = start;
    }
    return rc;
}

int sp__bytes_put(struct sp_buffer *out, uint64_t size, const char *part, uint64_t at,
                  sp_error *err)
{
    size_t start = out->size;
    int rc = sp__buf_printf(out, err, "{\"" SP__BYTES_KEY "\":{\"size\":%llu",
                            (unsigned long long)size);
    if (rc == SP_OK) {
        rc = put_place(out, part, at, err);
    }
    if (rc < 0) {
        out->size = start;
    }
    return rc;
}

SP_API int sp_tensor_text(const sp_tensor *tensor, const char *part, uint64_t at,
                          char *text, size_t text_bytes, size_t *ret_bytes,
                          sp_error *err)
{
    if (tensor == NULL || text == NULL || ret_bytes == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a tensor, and places for the text and its size, are needed");
    }
    struct sp_buffer out;
    sp__buf_init(&out, SP_TENSOR_TEXT_MAX + SP_PART_NAME_MAX * 6);
    int rc = sp__tensor_put(&out, tensor, part, at, err);
    if (rc == SP_OK && out.size >= text_bytes) {
        rc = sp__fail(err, SP_ERR_TOO_BIG, "%zu bytes of JSON in room for %zu",
                      out.size, text_bytes);
    }
    if (rc == SP_OK) {
        memcpy(text, out.data, out.size);
        text[out.size] = '\0';
        *ret_bytes = out.size;
        sp_error_clear(err);
    }
    sp__buf_fini(&out);
    return rc;
}
