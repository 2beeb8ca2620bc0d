/* SPDX-License-Identifier: MIT */
/*
 * JSON text <-> R values.
 *
 * What comes in: null as NULL; booleans, numbers and text as vectors of length one; lists
 * of one kind of these as vectors, of numbers in rows of the same length as matrices and
 * arrays, others as lists; objects as named lists. An integer that R's numbers cannot hold
 * is text of class snakepit_integer, text with a NUL in it raw of class snakepit_text.
 * A list of one element keeps a dim attribute, so that it leaves as a list again.
 *
 * What goes out: the same; data frames as objects of columns, factors as text, raw as
 * bytes and large arrays of numbers as tensors beside the JSON (snakepit/tensor.h); every
 * other value through one function of the package.
 *
 * R's errors are jumps: nothing here holds memory that R does not know, but the buffers of
 * the encoder, which is used again.
 */
#ifndef SP_R_CODEC_H
#define SP_R_CODEC_H

#define R_NO_REMAP
#include <R.h>
#include <Rinternals.h>

#include "base/buf.h"
#include "snakepit/error.h"
#include "wire/json.h"

/* Where the parts of a value are. */
struct part_source {
    /* Set *ret to the bytes of a part; 0 when there is none of that name. */
    int (*find)(void *user, const char *part, sp_bytes *ret);
    void *user;
};

/* Build the value that `text` describes; not protected. parts NULL: an object that stands
 * for a part is an object like others. NULL with `err` filled: SP_ERR_BAD_JSON,
 * SP_ERR_TOO_DEEP, SP_ERR_BAD_ARGS for parts that are malformed. */
SEXP sp__r_decode(const struct part_source *parts, sp_bytes text, sp_error *err);

/* tensor.c: an R array of the bytes of a tensor, and the other way round. */
SEXP sp__r_array_of(int dtype, const uint64_t *shape, uint32_t dims, const void *bytes);
/* The dtype a vector would travel as; SP_DTYPE_NONE: not as bytes. */
int sp__r_dtype_of(SEXP vector);
/* Append the elements in the order of the wire: the last dimension varies fastest. */
int sp__r_put_elements(struct sp_buffer *out, SEXP vector, sp_error *err);
/* The dimensions: of a vector without any its length. Returns how many, 0: too many. */
uint32_t sp__r_shape_of(SEXP vector, uint64_t *shape);

/* What the writing of one value needs; its buffers are reused. */
struct encoder {
    struct sp_buffer out;
    struct sp_buffer blob; /* the parts, each from a multiple of 16 on */
    const char *part;      /* the binary that parts are in; NULL: a result's */
    unsigned depth;
};

void sp__r_encoder_init(struct encoder *encoder);

/* Replace what is in the encoder by the value's JSON and its parts. Raises R's error. */
void sp__r_encode(struct encoder *encoder, SEXP value, const char *part);

/* The package's environment, for the functions in R that the codec calls. */
extern SEXP sp__r_namespace;

#endif
