/* SPDX-License-Identifier: MIT */
/*
 * Types of variables: what each accepts, and what it makes of it. Pure.
 *
 * A value is kept as JSON text in the form of its type: 1 becomes 1.0 as a float, 2.0
 * becomes 2 as an integer, white space goes.
 */
#ifndef SP_SESSION_VAR_TYPES_H
#define SP_SESSION_VAR_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "snakepit/error.h"

enum var_type {
    VAR_FLOAT,
    VAR_INTEGER,
    VAR_STRING,
    VAR_BOOLEAN,
    VAR_CHOICE,
    VAR_MODULE,
    VAR_EMBEDDING,
    VAR_TENSOR,
    VAR_LIST,
    VAR_MAP,
    VAR_TYPES
};

enum { VAR_DIMENSIONS_MAX = 32, VAR_NUMBER_MAX = 64 /* characters */ };

/* A number as exact as what it came from: a double, or a whole 64-bit number. */
typedef long double var_number;

struct var_shape {
    unsigned count;
    uint64_t sizes[VAR_DIMENSIONS_MAX];
};

/* What a value is, besides its text: for the rules to look at. */
struct cast {
    struct sp_buffer json; /* the value in its type's form */
    var_number number;     /* float, integer */
    int is_special;        /* float: NaN or an infinity, which has no place in order */
    char *text;            /* string, choice, module: terminated, without escapes */
    size_t text_size;
    size_t count; /* embedding, list, map: elements */
    struct var_shape shape;
};

const char *sp__var_type_name(enum var_type type);
/* SP_ERR_INVAL with near names when there is none. */
int sp__var_type_by_name(const char *name, enum var_type *ret_type, sp_error *err);
/* The type that fits a JSON value that nobody gave a type. SP_ERR_BAD_VALUE for null. */
int sp__var_infer(const char *json, size_t size, enum var_type *ret_type,
                  sp_error *err);

/*
 * Take a JSON value as a type has it. End the cast with sp__cast_fini() in any case.
 *
 * Errors: SP_ERR_BAD_VALUE ("must be a whole number, got 1.5"), SP_ERR_BAD_JSON,
 * SP_ERR_TOO_DEEP, SP_ERR_TOO_BIG (more than max bytes), SP_ERR_NOMEM.
 */
int sp__cast(enum var_type type, const char *json, size_t size, size_t max,
             struct cast *ret_cast, sp_error *err);
void sp__cast_fini(struct cast *cast);

/* The text of a shape, "[2,3]", into `text`. */
const char *sp__shape_text(const struct var_shape *shape, char *text, size_t max);
/* Read a JSON array of whole numbers from 0 up. -1 when it is none. */
int sp__shape_read(const char *json, size_t size, struct var_shape *ret_shape);

/* A JSON number of at most VAR_NUMBER_MAX characters. -1 when it is beyond the range of
 * a double; NaN and infinities are not numbers here. */
int sp__var_number(const char *text, size_t size, var_number *ret_number);

#endif
