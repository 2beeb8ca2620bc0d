/* SPDX-License-Identifier: MIT */
/*
 * Tensors: arrays of numbers that travel as bytes, not as JSON.
 *
 * The JSON of a call, result or chunk says what the array is and where its bytes are:
 *
 *     {"__tensor__": {"dtype": "<f8", "shape": [1000, 1000], "part": "x"}}
 *     {"__bytes__": {"size": 50000, "part": "x"}}
 *
 * part   which of the call's binaries holds them; a result or a chunk has one only, whose
 *        name is "" and need not be said
 * at     where in it they begin, in bytes; 0 need not be said. The library's own writers
 *        begin at multiples of 16
 *
 * The bytes are the elements in C order (the last dimension varies fastest), little
 * endian, nothing between them. Such a place may stand anywhere in the JSON. In Python it
 * is a NumPy array, or a memoryview of that shape where NumPy is not installed; arrays of
 * more than SP_BINARY_MIN_BYTES leave Python like this, smaller ones as lists.
 *
 * This header belongs to both libraries. Nothing in it takes memory or keeps any.
 */
#ifndef SNAKEPIT_TENSOR_H
#define SNAKEPIT_TENSOR_H

#include "base.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SP_TENSOR_DIMS_MAX = 32,
    SP_TENSOR_TEXT_MAX = 1536,  /* bytes that sp_tensor_text() needs, at most */
    SP_PART_NAME_MAX = 255,     /* bytes of a part's name */
    SP_BINARY_MIN_BYTES = 10240 /* what is larger leaves Python as bytes */
};

/* What the elements are. There is none for objects of a language, and never will be. */
enum {
    SP_DTYPE_NONE = 0,
    SP_DTYPE_BOOL = 1, /* one byte, 0 or 1 */
    SP_DTYPE_I8 = 2,
    SP_DTYPE_U8 = 3,
    SP_DTYPE_I16 = 4,
    SP_DTYPE_U16 = 5,
    SP_DTYPE_I32 = 6,
    SP_DTYPE_U32 = 7,
    SP_DTYPE_I64 = 8,
    SP_DTYPE_U64 = 9,
    SP_DTYPE_F16 = 10,
    SP_DTYPE_F32 = 11,
    SP_DTYPE_F64 = 12,
    SP_DTYPE_C64 = 13, /* two F32 */
    SP_DTYPE_C128 = 14 /* two F64 */
};

/* Zeroed is empty. The bytes are borrowed. */
typedef struct sp_tensor {
    int dtype;     /* SP_DTYPE_ */
    uint32_t dims; /* 0: one element */
    uint64_t shape[SP_TENSOR_DIMS_MAX];
    const void *data; /* may be NULL when there are no elements */
    size_t bytes;
} sp_tensor;

/* One binary beside the JSON of a call. */
typedef struct sp_binary {
    const char *name; /* 1..255 bytes of UTF-8 */
    sp_bytes value;   /* of a tensor: may be empty */
    /* NULL: bytes, which the arguments speak of, or else an argument by that name. Not
     * NULL: becomes the argument `name`, which the arguments must not have yet. */
    const sp_tensor *tensor;
} sp_binary;

/* Bytes of one element; 0 for what is no dtype. Since: 0.1 */
SP_API size_t sp_dtype_bytes(int dtype);

/* The name in JSON, as NumPy has it: "<f8", "|b1"; NULL for what is no dtype. Constant.
 * Since: 0.1 */
SP_API const char *sp_dtype_name(int dtype);

/* SP_DTYPE_ of a name, SP_DTYPE_NONE for one that is not known. NULL is fine.
 * Since: 0.1 */
SP_API int sp_dtype_of_name(const char *name);

/*
 * Check that dtype and shape are allowed, and that the bytes are as many as they say.
 *
 * Errors: SP_ERR_BAD_VALUE (no such dtype, other bytes than the shape has), SP_ERR_TOO_DEEP
 * (more than 32 dimensions), SP_ERR_TOO_BIG (the product does not fit size_t).
 * Thread: any. Since: 0.1
 */
SP_API int sp_tensor_check(const sp_tensor *tensor, sp_error *err);

/*
 * Write the JSON that stands for a tensor in arguments or results.
 *
 * part        the binary's name, NULL or "": a result's or chunk's
 * at          where in it the bytes begin
 * text        room for text_bytes; SP_TENSOR_TEXT_MAX are always enough for names that
 *             need no escapes
 * ret_bytes   set on success: without the terminating NUL
 *
 * Errors: as sp_tensor_check(), SP_ERR_TOO_BIG (the room, or the name's length).
 * Thread: any. Since: 0.1
 */
SP_API int sp_tensor_text(const sp_tensor *tensor, const char *part, uint64_t at,
                          char *text, size_t text_bytes, size_t *ret_bytes,
                          sp_error *err);

/*
 * Find a tensor in arguments, a result or a chunk.
 *
 * json        one JSON value
 * pointer     where in it, as RFC 6901 has it: "" is the value itself, "/a/0" the first
 *             element of its member "a"
 * parts       the binaries, of which only name and value are read; a result's is named ""
 * ret_tensor  set on success; its bytes are those of the part, borrowed
 *
 * Errors: SP_ERR_NOT_FOUND (no such place, or no such part), SP_ERR_BAD_VALUE (what stands
 * there is no tensor, or one that is not allowed), those of sp_tensor_check(),
 * SP_ERR_BAD_JSON, SP_ERR_TOO_DEEP, SP_ERR_INVAL (the pointer).
 * Thread: any. Since: 0.1
 */
SP_API int sp_tensor_find(sp_bytes json, const char *pointer, const sp_binary *parts,
                          size_t parts_count, sp_tensor *ret_tensor, sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
