/* SPDX-License-Identifier: MIT */
/*
 * JSON to R values.
 *
 * The reader of src/wire checks the text and reports what it meets. Values stand on one
 * list that R protects, each with the name of its member; when a container closes, those
 * from its begin on become a vector, an array or a list and are replaced by it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "codec.h"
#include "wire/tensor.h"

enum { STACK_FIRST = 64, EXACT_DIGITS = 15 };

struct builder {
    const struct part_source *parts;
    sp_error *err;
    SEXP stack;
    PROTECT_INDEX stack_at;
    SEXP names;
    PROTECT_INDEX names_at;
    R_xlen_t used;
    unsigned depth;
    struct {
        R_xlen_t from;
        int is_part; /* stands for a part */
    } open[SP__JSON_DEPTH_MAX + 1];
};

/* ---- the stack ---- */

static void grow(struct builder *builder)
{
    R_xlen_t more = XLENGTH(builder->stack) * 2;
    SEXP stack = Rf_allocVector(VECSXP, more);
    for (R_xlen_t i = 0; i < builder->used; i++) {
        SET_VECTOR_ELT(stack, i, VECTOR_ELT(builder->stack, i));
    }
    REPROTECT(builder->stack = stack, builder->stack_at);
    SEXP names = Rf_allocVector(STRSXP, more);
    for (R_xlen_t i = 0; i <= builder->used && i < XLENGTH(builder->names); i++) {
        SET_STRING_ELT(names, i, STRING_ELT(builder->names, i));
    }
    REPROTECT(builder->names = names, builder->names_at);
}

/* Room for one more value and the name of the one after it. */
static void need_room(struct builder *builder)
{
    if (builder->used + 2 > XLENGTH(builder->stack)) {
        grow(builder);
    }
}

static int push(struct builder *builder, SEXP value)
{
    PROTECT(value);
    need_room(builder);
    SET_VECTOR_ELT(builder->stack, builder->used++, value);
    UNPROTECT(1);
    return 0;
}

/* ---- lists ---- */

/* What all elements are: NILSXP when they differ, or are no numbers, booleans or text of
 * length one. */
static SEXPTYPE common_type(struct builder *builder, R_xlen_t from)
{
    SEXPTYPE common = NILSXP;
    for (R_xlen_t i = from; i < builder->used; i++) {
        SEXP value = VECTOR_ELT(builder->stack, i);
        SEXPTYPE type = (SEXPTYPE)TYPEOF(value);
        int is_scalar =
            (type == LGLSXP || type == INTSXP || type == REALSXP || type == STRSXP) &&
            XLENGTH(value) == 1 && ATTRIB(value) == R_NilValue;
        if (!is_scalar) {
            return NILSXP;
        }
        if (common == NILSXP || common == type) {
            common = type;
        } else if ((common == INTSXP && type == REALSXP) ||
                   (common == REALSXP && type == INTSXP)) {
            common = REALSXP;
        } else {
            return NILSXP;
        }
    }
    return common;
}

static SEXP vector_of(struct builder *builder, R_xlen_t from, SEXPTYPE type)
{
    R_xlen_t n = builder->used - from;
    SEXP vector = PROTECT(Rf_allocVector(type, n));
    for (R_xlen_t i = 0; i < n; i++) {
        SEXP value = VECTOR_ELT(builder->stack, from + i);
        if (type == STRSXP) {
            SET_STRING_ELT(vector, i, STRING_ELT(value, 0));
        } else if (type == REALSXP) {
            REAL(vector)[i] = Rf_asReal(value);
        } else if (type == INTSXP) {
            INTEGER(vector)[i] = INTEGER(value)[0];
        } else {
            LOGICAL(vector)[i] = LOGICAL(value)[0];
        }
    }
    if (n == 1) { /* else nobody could tell it from its element */
        Rf_setAttrib(vector, R_DimSymbol, PROTECT(Rf_ScalarInteger(1)));
        UNPROTECT(1);
    }
    UNPROTECT(1);
    return vector;
}

/* Whether a value can be a row of an array: numbers, with nothing but a dim. */
static int is_row(SEXP value)
{
    SEXP others = ATTRIB(value);
    return (TYPEOF(value) == INTSXP || TYPEOF(value) == REALSXP) &&
           (others == R_NilValue ||
            (TAG(others) == R_DimSymbol && CDR(others) == R_NilValue)) &&
           (XLENGTH(value) > 1 || others != R_NilValue);
}

/* The dimensions of an array of these rows, or 0. */
static uint32_t shape_of_rows(struct builder *builder, R_xlen_t from, uint64_t *shape)
{
    uint64_t first[SP_TENSOR_DIMS_MAX], other[SP_TENSOR_DIMS_MAX];
    uint32_t dims = 0;
    for (R_xlen_t i = from; i < builder->used; i++) {
        SEXP value = VECTOR_ELT(builder->stack, i);
        if (!is_row(value)) {
            return 0;
        }
        uint32_t found = sp__r_shape_of(value, i == from ? first : other);
        if (i == from) {
            dims = found;
        } else if (found != dims || memcmp(first, other, dims * sizeof *first) != 0) {
            return 0;
        }
    }
    if (dims == 0 || dims + 1 > SP_TENSOR_DIMS_MAX) {
        return 0;
    }
    shape[0] = (uint64_t)(builder->used - from);
    memcpy(shape + 1, first, dims * sizeof *first);
    return dims + 1;
}

/* Rows, one below the other. R's first dimension varies fastest: element k of row i is
 * element k * rows + i of the whole. */
static SEXP array_of_rows(struct builder *builder, R_xlen_t from, const uint64_t *shape,
                          uint32_t dims)
{
    R_xlen_t rows = (R_xlen_t)shape[0];
    R_xlen_t each = XLENGTH(VECTOR_ELT(builder->stack, from));
    SEXPTYPE type = INTSXP;
    for (R_xlen_t i = 0; i < rows; i++) {
        if (TYPEOF(VECTOR_ELT(builder->stack, from + i)) == REALSXP) {
            type = REALSXP;
        }
    }
    SEXP array = PROTECT(Rf_allocVector(type, rows * each));
    SEXP dim = PROTECT(Rf_allocVector(INTSXP, (R_xlen_t)dims));
    for (uint32_t i = 0; i < dims; i++) {
        INTEGER(dim)[i] = (int)shape[i];
    }
    for (R_xlen_t i = 0; i < rows; i++) {
        SEXP row = VECTOR_ELT(builder->stack, from + i);
        for (R_xlen_t k = 0; k < each; k++) {
            if (type == INTSXP) {
                INTEGER(array)[k * rows + i] = INTEGER(row)[k];
            } else {
                REAL(array)
                [k * rows + i] =
                    TYPEOF(row) == REALSXP ? REAL(row)[k] : (double)INTEGER(row)[k];
            }
        }
    }
    Rf_setAttrib(array, R_DimSymbol, dim);
    UNPROTECT(2);
    return array;
}

static SEXP list_of(struct builder *builder, R_xlen_t from, int named)
{
    R_xlen_t n = builder->used - from;
    SEXP list = PROTECT(Rf_allocVector(VECSXP, n));
    for (R_xlen_t i = 0; i < n; i++) {
        SET_VECTOR_ELT(list, i, VECTOR_ELT(builder->stack, from + i));
    }
    if (named) {
        SEXP names = PROTECT(Rf_allocVector(STRSXP, n));
        for (R_xlen_t i = 0; i < n; i++) {
            SET_STRING_ELT(names, i, STRING_ELT(builder->names, from + i));
        }
        Rf_setAttrib(list, R_NamesSymbol, names);
        UNPROTECT(1);
    }
    UNPROTECT(1);
    return list;
}

static SEXP closed_array(struct builder *builder, R_xlen_t from)
{
    uint64_t shape[SP_TENSOR_DIMS_MAX];
    if (builder->used == from) {
        return list_of(builder, from, 0);
    }
    SEXPTYPE type = common_type(builder, from);
    if (type != NILSXP) {
        return vector_of(builder, from, type);
    }
    uint32_t dims = shape_of_rows(builder, from, shape);
    return dims > 0 ? array_of_rows(builder, from, shape, dims)
                    : list_of(builder, from, 0);
}

/* ---- parts ---- */

static int is_part_key(const char *key, size_t n)
{
    enum { TENSOR = sizeof SP__TENSOR_KEY - 1, BYTES = sizeof SP__BYTES_KEY - 1 };
    return (n == TENSOR && memcmp(key, SP__TENSOR_KEY, n) == 0) ||
           (n == BYTES && memcmp(key, SP__BYTES_KEY, n) == 0);
}

static int bad(struct builder *builder, const char *what)
{
    return sp__fail(builder->err, SP_ERR_BAD_ARGS,
                    "what stands for a tensor or bytes: %s", what);
}

static SEXP member(SEXP list, const char *name)
{
    SEXP names = Rf_getAttrib(list, R_NamesSymbol);
    for (R_xlen_t i = 0; i < XLENGTH(names); i++) {
        if (strcmp(CHAR(STRING_ELT(names, i)), name) == 0) {
            return VECTOR_ELT(list, i);
        }
    }
    return R_NilValue;
}

/* Rf_isNumeric() takes booleans for numbers. */
static int is_numbers(SEXP value)
{
    return TYPEOF(value) == INTSXP || TYPEOF(value) == REALSXP;
}

/* 0, or -1: it is no size. `missing` is taken for nothing. */
static int size_of(SEXP value, double missing, uint64_t *ret)
{
    double size = value == R_NilValue                        ? missing
                  : is_numbers(value) && XLENGTH(value) == 1 ? Rf_asReal(value)
                                                             : -1;
    if (!(size >= 0 && size < 9007199254740992.0) || size != floor(size)) {
        return -1;
    }
    *ret = (uint64_t)size;
    return 0;
}

struct part_facts {
    int dtype; /* SP_DTYPE_NONE: bytes */
    uint32_t dims;
    uint64_t shape[SP_TENSOR_DIMS_MAX];
    uint64_t size;
};

static int read_tensor(struct builder *builder, SEXP facts, struct part_facts *ret)
{
    SEXP dtype = member(facts, "dtype");
    SEXP shape = member(facts, "shape");
    size_t size;
    if (TYPEOF(dtype) != STRSXP || XLENGTH(dtype) != 1 ||
        (!is_numbers(shape) && (TYPEOF(shape) != VECSXP || XLENGTH(shape) != 0))) {
        return bad(builder, "a tensor needs a dtype and a shape");
    }
    ret->dtype = sp_dtype_of_name(CHAR(STRING_ELT(dtype, 0)));
    if (ret->dtype == SP_DTYPE_NONE) {
        return bad(builder, "a dtype that is none: only numbers travel as bytes");
    }
    if (XLENGTH(shape) > SP_TENSOR_DIMS_MAX) {
        return bad(builder, "more than 32 dimensions");
    }
    ret->dims = (uint32_t)XLENGTH(shape);
    for (uint32_t i = 0; i < ret->dims; i++) {
        double each =
            TYPEOF(shape) == INTSXP ? (double)INTEGER(shape)[i] : REAL(shape)[i];
        if (!(each >= 0 && each <= INT_MAX) || each != floor(each)) {
            return bad(builder, "a size that is none of an array in R");
        }
        ret->shape[i] = (uint64_t)each;
    }
    int rc = sp__tensor_size(ret->dtype, ret->shape, ret->dims, &size, builder->err);
    ret->size = size;
    return rc;
}

/* What an object with one member, __tensor__ or __bytes__, stands for: pushed. */
static int push_part(struct builder *builder, SEXP object)
{
    struct part_facts found = {0};
    SEXP tensor = member(object, SP__TENSOR_KEY);
    SEXP facts = tensor != R_NilValue ? tensor : member(object, SP__BYTES_KEY);
    if (XLENGTH(object) != 1 || TYPEOF(facts) != VECSXP ||
        Rf_getAttrib(facts, R_NamesSymbol) == R_NilValue) {
        return bad(builder, "no description of it, or members beside it");
    }
    if (tensor != R_NilValue) {
        int rc = read_tensor(builder, facts, &found);
        if (rc < 0) {
            return rc;
        }
    } else if (size_of(member(facts, "size"), -1, &found.size) < 0) {
        return bad(builder, "bytes need a size");
    }
    uint64_t at;
    sp_bytes part;
    SEXP name = member(facts, "part");
    if (size_of(member(facts, "at"), 0, &at) < 0 ||
        (name != R_NilValue && TYPEOF(name) != STRSXP)) {
        return bad(builder, "a place or a name that is none");
    }
    if (!builder->parts->find(builder->parts->user,
                              name == R_NilValue ? "" : CHAR(STRING_ELT(name, 0)),
                              &part)) {
        return bad(builder, "a part that is not there");
    }
    if (at > part.size || found.size > part.size - at) {
        return bad(builder, "more bytes than the part has");
    }
    const char *bytes = (const char *)part.data + at;
    if (found.dtype != SP_DTYPE_NONE) {
        return push(builder,
                    sp__r_array_of(found.dtype, found.shape, found.dims, bytes));
    }
    SEXP raw = Rf_allocVector(RAWSXP, (R_xlen_t)found.size);
    memcpy(RAW(raw), bytes, found.size);
    return push(builder, raw);
}

/* ---- what the reader meets ---- */

/* Its place is taken at once, so that its name stays what it is. */
static int on_begin(void *user)
{
    struct builder *builder = user;
    (void)push(builder, R_NilValue);
    builder->open[builder->depth].from = builder->used;
    builder->open[builder->depth++].is_part = 0;
    return 0;
}

static int close_with(struct builder *builder, R_xlen_t from, SEXP value)
{
    PROTECT(value);
    for (R_xlen_t i = from; i < builder->used; i++) {
        SET_VECTOR_ELT(builder->stack, i, R_NilValue);
    }
    builder->used = from - 1;
    int rc = push(builder, value);
    UNPROTECT(1);
    return rc;
}

static int on_array_end(void *user)
{
    struct builder *builder = user;
    R_xlen_t from = builder->open[--builder->depth].from;
    return close_with(builder, from, closed_array(builder, from));
}

static int on_object_end(void *user)
{
    struct builder *builder = user;
    R_xlen_t from = builder->open[--builder->depth].from;
    SEXP object = PROTECT(list_of(builder, from, 1));
    int rc;
    if (builder->open[builder->depth].is_part) {
        builder->used = from - 1;
        rc = push_part(builder, object);
    } else {
        rc = close_with(builder, from, object);
    }
    UNPROTECT(1);
    return rc;
}

/* A string that may have a NUL in it, which no CHARSXP can. NULL then. */
static SEXP charsxp(const char *text, size_t n)
{
    return memchr(text, '\0', n) != NULL ? NULL : Rf_mkCharLenCE(text, (int)n, CE_UTF8);
}

static int on_key(void *user, const char *raw, size_t n, int escaped)
{
    struct builder *builder = user;
    if (builder->parts != NULL && is_part_key(raw, n)) {
        builder->open[builder->depth - 1].is_part = 1;
    }
    const char *text = raw;
    if (escaped) {
        char *plain = R_alloc(n + 1, 1);
        n = sp__json_unescape(raw, n, plain);
        text = plain;
    }
    need_room(builder);
    SEXP key = charsxp(text, n);
    if (key == NULL) {
        return sp__fail(builder->err, SP_ERR_BAD_ARGS,
                        "a name with a NUL in it, which R cannot have");
    }
    SET_STRING_ELT(builder->names, builder->used, key);
    return 0;
}

static int on_string(void *user, const char *raw, size_t n, int escaped)
{
    const char *text = raw;
    if (escaped) {
        char *plain = R_alloc(n + 1, 1);
        n = sp__json_unescape(raw, n, plain);
        text = plain;
    }
    SEXP found = charsxp(text, n);
    if (found != NULL) {
        return push(user, Rf_ScalarString(found));
    }
    SEXP bytes = PROTECT(Rf_allocVector(RAWSXP, (R_xlen_t)n));
    memcpy(RAW(bytes), text, n);
    Rf_setAttrib(bytes, R_ClassSymbol, PROTECT(Rf_mkString("snakepit_text")));
    int rc = push(user, bytes);
    UNPROTECT(2);
    return rc;
}

static int push_large(struct builder *builder, const char *text, size_t n)
{
    SEXP digits = PROTECT(Rf_ScalarString(Rf_mkCharLenCE(text, (int)n, CE_UTF8)));
    Rf_setAttrib(digits, R_ClassSymbol, PROTECT(Rf_mkString("snakepit_integer")));
    int rc = push(builder, digits);
    UNPROTECT(2);
    return rc;
}

static int on_number(void *user, const char *text, size_t n, enum json_number kind)
{
    char small[64];
    if (kind == JSON_NAN) {
        return push(user, Rf_ScalarReal(R_NaN));
    }
    if (kind == JSON_INF || kind == JSON_NEG_INF) {
        return push(user, Rf_ScalarReal(kind == JSON_INF ? R_PosInf : R_NegInf));
    }
    if (n >= sizeof small) {
        if (kind == JSON_INTEGER) {
            return push_large(user, text, n);
        }
        char *copy = R_alloc(n + 1, 1);
        memcpy(copy, text, n);
        copy[n] = '\0';
        return push(user, Rf_ScalarReal(strtod(copy, NULL)));
    }
    memcpy(small, text, n);
    small[n] = '\0';
    double value = strtod(small, NULL);
    if (kind != JSON_INTEGER) {
        return push(user, Rf_ScalarReal(value));
    }
    if (n > EXACT_DIGITS && fabs(strtod(small, NULL)) > 9007199254740992.0) {
        return push_large(user, text, n);
    }
    if (n > EXACT_DIGITS && fabs(value) == 9007199254740992.0 &&
        text[n - 1] != '2') { /* one more than can be counted */
        return push_large(user, text, n);
    }
    return push(user, fabs(value) <= INT_MAX ? Rf_ScalarInteger((int)value)
                                             : Rf_ScalarReal(value));
}

static int on_literal(void *user, int value)
{
    return push(user, value < 0 ? R_NilValue : Rf_ScalarLogical(value));
}

SEXP sp__r_decode(const struct part_source *parts, sp_bytes text, sp_error *err)
{
    static const struct json_handler handler = {
        .object_begin = on_begin,
        .object_end = on_object_end,
        .array_begin = on_begin,
        .array_end = on_array_end,
        .key = on_key,
        .string = on_string,
        .number = on_number,
        .literal = on_literal,
    };
    struct builder builder;
    const void *memory = vmaxget();
    builder.parts = parts;
    builder.err = err;
    builder.used = 0;
    builder.depth = 0;
    builder.stack = Rf_allocVector(VECSXP, STACK_FIRST);
    PROTECT_WITH_INDEX(builder.stack, &builder.stack_at);
    builder.names = Rf_allocVector(STRSXP, STACK_FIRST);
    PROTECT_WITH_INDEX(builder.names, &builder.names_at);
    int rc = sp__json_read(text.data, text.size, SP__JSON_DEPTH_MAX, &handler, &builder,
                           err);
    SEXP value = rc < 0 ? NULL : VECTOR_ELT(builder.stack, 0);
    vmaxset(memory);
    UNPROTECT(2);
    return value;
}
