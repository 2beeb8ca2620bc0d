/* SPDX-License-Identifier: MIT */
/*
 * R values to JSON.
 *
 * A vector of length one is its element, unless it has a dim or is I(); every other vector
 * is a list, a matrix a list of rows. A vector with names and a named list are objects. NA
 * is null; NaN and the infinities leave as NaN, Infinity and -Infinity, which the host's
 * reader takes. Whole doubles leave as integers, because R hardly tells them apart.
 *
 * Arrays of more than SP_BINARY_MIN_BYTES and raw leave as bytes. What has a class that is
 * not known here is asked of the package's function substitute_value().
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "codec.h"
#include "wire/tensor.h"

/* The host refuses results far smaller; this only keeps a runaway from eating the
 * machine. */
#define RESULT_MAX_BYTES ((size_t)2 << 30)

enum { BUFFER_KEEP_BYTES = 1 << 20 };

static void put_value(struct encoder *encoder, SEXP value);

void sp__r_encoder_init(struct encoder *encoder)
{
    sp__buf_init(&encoder->out, RESULT_MAX_BYTES);
    sp__buf_init(&encoder->blob, SIZE_MAX / 2);
    encoder->part = NULL;
    encoder->depth = 0;
}

static void must(int rc, sp_error *err)
{
    if (rc < 0) {
        char message[SP_ERROR_MESSAGE_MAX];
        (void)snprintf(message, sizeof message, "%s", err->message);
        sp_error_clear(err);
        Rf_error("%s", message);
    }
}

static void put_bytes(struct encoder *encoder, const void *data, size_t n)
{
    sp_error err = {0};
    must(sp__buf_append(&encoder->out, data, n, &err), &err);
}

static void put(struct encoder *encoder, const char *text)
{
    put_bytes(encoder, text, strlen(text));
}

static void put_text(struct encoder *encoder, SEXP charsxp)
{
    sp_error err = {0};
    if (charsxp == NA_STRING) {
        put(encoder, "null");
        return;
    }
    const char *text = Rf_translateCharUTF8(charsxp);
    size_t n = strlen(text);
    if (!sp__json_is_utf8(text, n)) {
        Rf_error("text that is no UTF-8: charToRaw() sends bytes");
    }
    must(sp__json_put_string(&encoder->out, text, n, &err), &err);
}

/* ---- numbers ---- */

static void put_double(struct encoder *encoder, double value)
{
    char text[32];
    if (ISNA(value)) {
        put(encoder, "null");
        return;
    }
    if (isnan(value)) {
        put(encoder, "NaN");
        return;
    }
    if (isinf(value)) {
        put(encoder, value > 0 ? "Infinity" : "-Infinity");
        return;
    }
    if (value == 0 && signbit(value)) {
        put(encoder, "-0.0");
        return;
    }
    if (value == floor(value) && fabs(value) <= 9007199254740992.0) {
        (void)snprintf(text, sizeof text, "%.0f", value);
        put(encoder, text);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that is exact */
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    put(encoder, text);
    if (strpbrk(text, ".e") == NULL) {
        put(encoder, ".0");
    }
}

static void put_integer(struct encoder *encoder, int value)
{
    char text[16];
    if (value == NA_INTEGER) {
        put(encoder, "null");
        return;
    }
    (void)snprintf(text, sizeof text, "%d", value);
    put(encoder, text);
}

static void put_element(struct encoder *encoder, SEXP vector, R_xlen_t i)
{
    switch (TYPEOF(vector)) {
    case LGLSXP:
        put(encoder, LOGICAL(vector)[i] == NA_LOGICAL ? "null"
                     : LOGICAL(vector)[i]             ? "true"
                                                      : "false");
        return;
    case INTSXP:
        put_integer(encoder, INTEGER(vector)[i]);
        return;
    case REALSXP:
        put_double(encoder, REAL(vector)[i]);
        return;
    case CPLXSXP:
        put(encoder, "[");
        put_double(encoder, COMPLEX(vector)[i].r);
        put(encoder, ",");
        put_double(encoder, COMPLEX(vector)[i].i);
        put(encoder, "]");
        return;
    case STRSXP:
        put_text(encoder, STRING_ELT(vector, i));
        return;
    default:
        put_value(encoder, VECTOR_ELT(vector, i));
    }
}

/* ---- parts ---- */

/* Where the next part begins: the blob is filled up to there. */
static size_t next_part(struct encoder *encoder)
{
    static const char zeros[SP__PART_ALIGN];
    sp_error err = {0};
    size_t over = encoder->blob.size % SP__PART_ALIGN;
    if (over != 0) {
        must(sp__buf_append(&encoder->blob, zeros, SP__PART_ALIGN - over, &err), &err);
    }
    return encoder->blob.size;
}

static void put_raw(struct encoder *encoder, SEXP raw)
{
    sp_error err = {0};
    size_t at = next_part(encoder);
    must(sp__bytes_put(&encoder->out, (uint64_t)XLENGTH(raw), encoder->part, at, &err),
         &err);
    must(sp__buf_append(&encoder->blob, RAW(raw), (size_t)XLENGTH(raw), &err), &err);
}

/* 1 when it has left as a tensor. */
static int put_tensor(struct encoder *encoder, SEXP vector)
{
    sp_tensor tensor = {.dtype = sp__r_dtype_of(vector)};
    size_t bytes = (size_t)XLENGTH(vector) * sp_dtype_bytes(tensor.dtype);
    if (bytes <= SP_BINARY_MIN_BYTES) {
        return 0;
    }
    tensor.dims = sp__r_shape_of(vector, tensor.shape);
    if (tensor.dims == 0) {
        return 0;
    }
    sp_error err = {0};
    size_t at = next_part(encoder);
    must(sp__tensor_put(&encoder->out, &tensor, encoder->part, at, &err), &err);
    must(sp__r_put_elements(&encoder->blob, vector, &err), &err);
    return 1;
}

/* ---- vectors ---- */

static void put_flat(struct encoder *encoder, SEXP vector)
{
    put(encoder, "[");
    for (R_xlen_t i = 0; i < XLENGTH(vector); i++) {
        if (i > 0) {
            put(encoder, ",");
        }
        put_element(encoder, vector, i);
    }
    put(encoder, "]");
}

/* The rows of an array from `at` on: dimension k and those behind it. */
static void put_rows(struct encoder *encoder, SEXP array, SEXP dim, R_xlen_t k,
                     R_xlen_t at, R_xlen_t step)
{
    put(encoder, "[");
    for (int i = 0; i < INTEGER(dim)[k]; i++, at += step) {
        if (i > 0) {
            put(encoder, ",");
        }
        if (k + 1 == XLENGTH(dim)) {
            put_element(encoder, array, at);
        } else {
            put_rows(encoder, array, dim, k + 1, at, step * INTEGER(dim)[k]);
        }
    }
    put(encoder, "]");
}

static void put_object(struct encoder *encoder, SEXP vector, SEXP names)
{
    put(encoder, "{");
    for (R_xlen_t i = 0; i < XLENGTH(vector); i++) {
        if (i > 0) {
            put(encoder, ",");
        }
        put_text(encoder, STRING_ELT(names, i) == NA_STRING ? R_BlankString
                                                            : STRING_ELT(names, i));
        put(encoder, ":");
        put_element(encoder, vector, i);
    }
    put(encoder, "}");
}

static void put_vector(struct encoder *encoder, SEXP vector)
{
    SEXP dim = PROTECT(Rf_getAttrib(vector, R_DimSymbol));
    SEXP names =
        PROTECT(dim == R_NilValue ? Rf_getAttrib(vector, R_NamesSymbol) : R_NilValue);
    if (names != R_NilValue) {
        put_object(encoder, vector, names);
    } else if (dim == R_NilValue && XLENGTH(vector) == 1 &&
               !Rf_inherits(vector, "AsIs")) {
        put_element(encoder, vector, 0);
    } else if (TYPEOF(vector) == VECSXP || !put_tensor(encoder, vector)) {
        if (dim != R_NilValue && XLENGTH(dim) > 1) {
            put_rows(encoder, vector, dim, 0, 0, 1);
        } else {
            put_flat(encoder, vector);
        }
    }
    UNPROTECT(2);
}

static void put_list(struct encoder *encoder, SEXP list)
{
    SEXP names = PROTECT(Rf_getAttrib(list, R_NamesSymbol));
    if (++encoder->depth > SP__JSON_DEPTH_MAX) {
        Rf_error("nested deeper than %d levels", SP__JSON_DEPTH_MAX);
    }
    if (names != R_NilValue) {
        put_object(encoder, list, names);
    } else {
        put_flat(encoder, list);
    }
    encoder->depth--;
    UNPROTECT(1);
}

/* ---- classes ---- */

/* An object of columns: each is a list, however few rows there are. */
static void put_frame(struct encoder *encoder, SEXP frame)
{
    SEXP names = PROTECT(Rf_getAttrib(frame, R_NamesSymbol));
    put(encoder, "{");
    for (R_xlen_t i = 0; i < XLENGTH(frame); i++) {
        SEXP call = PROTECT(Rf_lang2(Rf_install("frame_column"), VECTOR_ELT(frame, i)));
        SEXP column = PROTECT(Rf_eval(call, sp__r_namespace));
        if (i > 0) {
            put(encoder, ",");
        }
        put_text(encoder, STRING_ELT(names, i));
        put(encoder, ":");
        put_value(encoder, column);
        UNPROTECT(2);
    }
    put(encoder, "}");
    UNPROTECT(1);
}

static void put_substitute(struct encoder *encoder, SEXP value)
{
    if (++encoder->depth > SP__JSON_DEPTH_MAX) {
        Rf_error("nested deeper than %d levels", SP__JSON_DEPTH_MAX);
    }
    /* Quoted, so that a value which is code is not run. */
    SEXP quoted = PROTECT(Rf_lang2(R_QuoteSymbol, value));
    SEXP call = PROTECT(Rf_lang2(Rf_install("substitute_value"), quoted));
    SEXP instead = PROTECT(Rf_eval(call, sp__r_namespace));
    put_value(encoder, instead);
    UNPROTECT(3);
    encoder->depth--;
}

/* 1 when the value's class has said how it leaves. */
static int put_by_class(struct encoder *encoder, SEXP value)
{
    sp_error err = {0};
    if (Rf_inherits(value, "data.frame")) {
        put_frame(encoder, value);
    } else if (Rf_inherits(value, "snakepit_integer") && TYPEOF(value) == STRSXP &&
               XLENGTH(value) == 1) {
        put(encoder, CHAR(STRING_ELT(value, 0)));
    } else if (Rf_inherits(value, "snakepit_text") && TYPEOF(value) == RAWSXP) {
        must(sp__json_put_string(&encoder->out, (const char *)RAW(value),
                                 (size_t)XLENGTH(value), &err),
             &err);
    } else if (Rf_inherits(value, "AsIs") || Rf_inherits(value, "matrix") ||
               Rf_inherits(value, "array")) {
        return 0;
    } else {
        put_substitute(encoder, value);
    }
    return 1;
}

static void put_value(struct encoder *encoder, SEXP value)
{
    if (Rf_isObject(value) && put_by_class(encoder, value)) {
        return;
    }
    switch (TYPEOF(value)) {
    case NILSXP:
        put(encoder, "null");
        return;
    case LGLSXP:
    case INTSXP:
    case REALSXP:
    case CPLXSXP:
    case STRSXP:
        put_vector(encoder, value);
        return;
    case RAWSXP:
        put_raw(encoder, value);
        return;
    case VECSXP:
        put_list(encoder, value);
        return;
    default:
        put_substitute(encoder, value);
    }
}

void sp__r_encode(struct encoder *encoder, SEXP value, const char *part)
{
    encoder->out.size = encoder->blob.size = 0;
    sp__buf_shrink(&encoder->out, BUFFER_KEEP_BYTES);
    sp__buf_shrink(&encoder->blob, BUFFER_KEEP_BYTES);
    encoder->part = part;
    encoder->depth = 0;
    put_value(encoder, value);
}
