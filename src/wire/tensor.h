/* SPDX-License-Identifier: MIT */
/*
 * What stands in JSON for an array of numbers or for bytes that travel beside it; see
 * snakepit/tensor.h, whose functions are here too. Pure.
 */
#ifndef SP_WIRE_TENSOR_H
#define SP_WIRE_TENSOR_H

#include "base/buf.h"
#include "snakepit/tensor.h"

#define SP__TENSOR_KEY "__tensor__"
#define SP__BYTES_KEY "__bytes__"

enum { SP__PART_ALIGN = 16 }; /* the largest element */

/* Such a place, read. */
struct part_ref {
    int is_tensor;    /* else bytes */
    sp_tensor tensor; /* without data */
    uint64_t size;    /* bytes that belong to it */
    uint64_t at;
    char part[SP_PART_NAME_MAX + 1];
};

/* The size that dtype and shape give. Errors: as sp_tensor_check(). */
int sp__tensor_size(int dtype, const uint64_t *shape, size_t dims, size_t *ret_bytes,
                    sp_error *err) SP_MUST_CHECK;

/* Append what stands for a tensor, or for bytes. The tensor's data is not looked at. */
int sp__tensor_put(struct sp_buffer *out, const sp_tensor *tensor, const char *part,
                   uint64_t at, sp_error *err) SP_MUST_CHECK;
int sp__bytes_put(struct sp_buffer *out, uint64_t size, const char *part, uint64_t at,
                  sp_error *err) SP_MUST_CHECK;

/* Read what stands at `pointer` in the JSON. 1: a tensor or bytes, checked as far as that
 * goes without the part; 0: something else; SP_ERR_NOT_FOUND: nothing; SP_ERR_BAD_VALUE
 * and others as sp_tensor_find(). */
int sp__part_read(sp_bytes json, const char *pointer, struct part_ref *ret,
                  sp_error *err) SP_MUST_CHECK;

/* The bytes a place means, inside its part. SP_ERR_BAD_VALUE: they are not all there. */
int sp__part_slice(const struct part_ref *ref, sp_bytes part, sp_bytes *ret,
                   sp_error *err) SP_MUST_CHECK;

#endif
