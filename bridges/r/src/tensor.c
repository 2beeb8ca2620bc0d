/* SPDX-License-Identifier: MIT */
/*
 * Arrays of numbers as bytes.
 *
 * On the wire the last dimension varies fastest, in R the first one: both ways the
 * elements are copied from the one order to the other. Numbers that R has no type for
 * become doubles; NA of whole numbers and booleans has no bytes, so vectors with one stay
 * in the JSON, while a double's NA is a NaN and travels.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "codec.h"
#include "snakepit/tensor.h"

uint32_t sp__r_shape_of(SEXP vector, uint64_t *shape)
{
    SEXP dim = Rf_getAttrib(vector, R_DimSymbol);
    if (dim == R_NilValue) {
        shape[0] = (uint64_t)XLENGTH(vector);
        return 1;
    }
    if (XLENGTH(dim) > SP_TENSOR_DIMS_MAX) {
        return 0;
    }
    for (R_xlen_t i = 0; i < XLENGTH(dim); i++) {
        shape[i] = (uint64_t)INTEGER(dim)[i];
    }
    return (uint32_t)XLENGTH(dim);
}

/* ---- order ---- */

/* Goes through the elements in the order of the wire; at: where in R's. */
struct walk {
    uint32_t dims;
    const uint64_t *shape;
    uint64_t steps[SP_TENSOR_DIMS_MAX]; /* of each dimension, in R's order */
    uint64_t index[SP_TENSOR_DIMS_MAX];
    uint64_t at;
};

static void walk_begin(struct walk *walk, const uint64_t *shape, uint32_t dims)
{
    uint64_t step = 1;
    *walk = (struct walk){.dims = dims, .shape = shape};
    for (uint32_t i = 0; i < dims; i++) {
        walk->steps[i] = step;
        step *= shape[i];
    }
}

static void walk_on(struct walk *walk)
{
    for (uint32_t i = walk->dims; i-- > 0;) {
        walk->at += walk->steps[i];
        if (++walk->index[i] < walk->shape[i]) {
            return;
        }
        walk->at -= walk->steps[i] * walk->shape[i];
        walk->index[i] = 0;
    }
}

/* ---- from bytes ---- */

static double half(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    int fraction = bits & 1023;
    double value = exponent == 31  ? (fraction != 0 ? R_NaN : R_PosInf)
                   : exponent == 0 ? ldexp(fraction, -24)
                                   : ldexp(fraction + 1024, exponent - 25);
    return bits >> 15 ? -value : value;
}

#define READ(type)                                              \
    do {                                                        \
        type value;                                             \
        memcpy(&value, bytes + i * sizeof value, sizeof value); \
        return (double)value;                                   \
    } while (0)

static double element(int dtype, const char *bytes, uint64_t i)
{
    switch (dtype) {
    case SP_DTYPE_I8:
        READ(int8_t);
    case SP_DTYPE_BOOL:
    case SP_DTYPE_U8:
        READ(uint8_t);
    case SP_DTYPE_I16:
        READ(int16_t);
    case SP_DTYPE_U16:
        READ(uint16_t);
    case SP_DTYPE_I32:
        READ(int32_t);
    case SP_DTYPE_U32:
        READ(uint32_t);
    case SP_DTYPE_I64:
        READ(int64_t);
    case SP_DTYPE_U64:
        READ(uint64_t);
    case SP_DTYPE_F16: {
        uint16_t bits;
        memcpy(&bits, bytes + i * sizeof bits, sizeof bits);
        return half(bits);
    }
    case SP_DTYPE_F32:
        READ(float);
    default:
        READ(double);
    }
}

static SEXPTYPE type_of(int dtype)
{
    switch (dtype) {
    case SP_DTYPE_BOOL:
        return LGLSXP;
    case SP_DTYPE_I8:
    case SP_DTYPE_U8:
    case SP_DTYPE_I16:
    case SP_DTYPE_U16:
    case SP_DTYPE_I32:
        return INTSXP;
    case SP_DTYPE_C64:
    case SP_DTYPE_C128:
        return CPLXSXP;
    default:
        return REALSXP;
    }
}

static void set_element(SEXP array, uint64_t to, int dtype, const char *bytes,
                        uint64_t i)
{
    switch (TYPEOF(array)) {
    case LGLSXP:
        LOGICAL(array)[to] = element(dtype, bytes, i) != 0;
        return;
    case INTSXP:
        INTEGER(array)[to] = (int)element(dtype, bytes, i);
        return;
    case CPLXSXP: {
        int real = dtype == SP_DTYPE_C64 ? SP_DTYPE_F32 : SP_DTYPE_F64;
        COMPLEX(array)[to].r = element(real, bytes, 2 * i);
        COMPLEX(array)[to].i = element(real, bytes, 2 * i + 1);
        return;
    }
    default:
        REAL(array)[to] = element(dtype, bytes, i);
    }
}

SEXP sp__r_array_of(int dtype, const uint64_t *shape, uint32_t dims, const void *bytes)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < dims; i++) {
        count *= shape[i];
    }
    struct walk walk;
    SEXP array = PROTECT(Rf_allocVector(type_of(dtype), (R_xlen_t)count));
    walk_begin(&walk, shape, dims);
    for (uint64_t i = 0; i < count; i++, walk_on(&walk)) {
        set_element(array, walk.at, dtype, bytes, i);
    }
    if (dims > 0) {
        SEXP dim = PROTECT(Rf_allocVector(INTSXP, (R_xlen_t)dims));
        for (uint32_t i = 0; i < dims; i++) {
            INTEGER(dim)[i] = (int)shape[i];
        }
        Rf_setAttrib(array, R_DimSymbol, dim);
        UNPROTECT(1);
    }
    UNPROTECT(1);
    return array;
}

/* ---- to bytes ---- */

static int has_na(SEXP vector)
{
    const int *values = TYPEOF(vector) == LGLSXP ? LOGICAL(vector) : INTEGER(vector);
    for (R_xlen_t i = 0; i < XLENGTH(vector); i++) {
        if (values[i] == NA_INTEGER) {
            return 1;
        }
    }
    return 0;
}

int sp__r_dtype_of(SEXP vector)
{
    switch (TYPEOF(vector)) {
    case REALSXP:
        return SP_DTYPE_F64;
    case CPLXSXP:
        return SP_DTYPE_C128;
    case INTSXP:
        return has_na(vector) ? SP_DTYPE_NONE : SP_DTYPE_I32;
    case LGLSXP:
        return has_na(vector) ? SP_DTYPE_NONE : SP_DTYPE_BOOL;
    default:
        return SP_DTYPE_NONE;
    }
}

int sp__r_put_elements(struct sp_buffer *out, SEXP vector, sp_error *err)
{
    uint64_t shape[SP_TENSOR_DIMS_MAX];
    uint32_t dims = sp__r_shape_of(vector, shape);
    size_t each = sp_dtype_bytes(sp__r_dtype_of(vector));
    R_xlen_t count = XLENGTH(vector);
    struct walk walk;
    int rc = sp__buf_reserve(out, (size_t)count * each, err);
    if (rc < 0) {
        return rc;
    }
    uint8_t *to = out->data + out->size;
    walk_begin(&walk, shape, dims);
    for (R_xlen_t i = 0; i < count; i++, walk_on(&walk), to += each) {
        if (TYPEOF(vector) == LGLSXP) {
            *to = LOGICAL(vector)[walk.at] != 0;
        } else if (TYPEOF(vector) == INTSXP) {
            memcpy(to, INTEGER(vector) + walk.at, each);
        } else if (TYPEOF(vector) == CPLXSXP) {
            memcpy(to, COMPLEX(vector) + walk.at, each);
        } else {
            memcpy(to, REAL(vector) + walk.at, each);
        }
    }
    out->size += (size_t)count * each;
    return 0;
}
