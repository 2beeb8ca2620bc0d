/* SPDX-License-Identifier: MIT */
/* Arrays of numbers as bytes <-> as the JSON that variables keep. Pure. */
#ifndef SP_WIRE_TENSOR_JSON_H
#define SP_WIRE_TENSOR_JSON_H

#include "base/buf.h"
#include "snakepit/tensor.h"

/* Append the numbers of a tensor that sp_tensor_check() likes: as a list, which needs one
 * dimension, or with their shape. SP_ERR_BAD_VALUE: complex numbers, more dimensions. */
int sp__tensor_to_json(struct sp_buffer *out, const sp_tensor *tensor, int as_list,
                       sp_error *err) SP_MUST_CHECK;

/* Append the numbers of valid JSON of either form to `data` as doubles. 1 with a tensor
 * that borrows them; 0: it is of another form, or has numbers that doubles do not hold.
 * NOMEM, TOO_BIG. */
int sp__tensor_from_json(sp_bytes json, struct sp_buffer *data, sp_tensor *ret_tensor,
                         sp_error *err) SP_MUST_CHECK;

#endif
