/* SPDX-License-Identifier: MIT */
/*
 * JSON Schema: what the arguments of a tool must be. Pure; never changes once made.
 *
 * Known are: type (one name or a list), enum and const (of scalars), minimum, maximum,
 * exclusiveMinimum, exclusiveMaximum, minLength, maxLength, pattern, items, minItems,
 * maxItems, properties, required, additionalProperties, anyOf; and, said but not checked:
 * $schema, $id, $comment, title, description, default, examples, format, deprecated,
 * readOnly, writeOnly. Any other keyword is refused, because it would not be checked.
 */
#ifndef SP_SESSION_SCHEMA_H
#define SP_SESSION_SCHEMA_H

#include "session/var_pattern.h"
#include "session/var_types.h"
#include "snakepit/pool.h"

enum {
    SCHEMA_BYTES_MAX = 65536,
    SCHEMA_DEPTH_MAX = 16, /* schemas in schemas */
    SCHEMA_NODES_MAX = 1024
};

enum {
    SCHEMA_NULL = 1u << 0,
    SCHEMA_BOOLEAN = 1u << 1,
    SCHEMA_INTEGER = 1u << 2,
    SCHEMA_NUMBER = 1u << 3,
    SCHEMA_STRING = 1u << 4,
    SCHEMA_ARRAY = 1u << 5,
    SCHEMA_OBJECT = 1u << 6,
    SCHEMA_ANY = (1u << 7) - 1
};

struct schema_bound {
    char text[VAR_NUMBER_MAX + 1]; /* as it was written; "" when there is none */
    var_number number;
    int exclusive;
};

struct schema_property {
    char *name;
    size_t name_size;
    int required;
    unsigned types;        /* SCHEMA_ of its schema, in one that is flat */
    struct schema *schema; /* NULL: anything */
};

struct schema {
    unsigned types; /* SCHEMA_ that are allowed */
    struct schema_bound min;
    struct schema_bound max;
    size_t min_length; /* characters */
    size_t max_length;
    struct pattern *pattern;
    char *pattern_text;
    char *values; /* enum or const: a JSON array, or NULL */
    struct schema *items;
    size_t min_items;
    size_t max_items;
    struct schema_property *properties;
    size_t properties_count;
    int closed;                /* other members are refused ... */
    struct schema *additional; /* ... or must be like this, when not NULL */
    struct schema **any_of;
    size_t any_of_count;

    /* An object's that wants nothing but types, of 64 properties at most. */
    int is_flat;
    uint64_t required; /* its properties that are, as bits */
};

/*
 * Read one. Errors: SP_ERR_BAD_VALUE ("properties.x: minimum must be a finite number, got
 * ..."), SP_ERR_BAD_JSON, SP_ERR_TOO_DEEP, SP_ERR_TOO_BIG, SP_ERR_NOMEM.
 */
int sp__schema_new(const char *json, size_t size, struct schema **ret_schema,
                   sp_error *err) SP_MUST_CHECK;
void sp__schema_free(struct schema *schema);

/* Append the schema of an object with these parameters. `strict`: a type nobody knows is
 * SP_ERR_BAD_VALUE, else it is anything; `open`: others are allowed beside them. */
int sp__schema_put_params(struct sp_buffer *out, const sp_tool_parameter *params,
                          size_t count, int open, int strict,
                          sp_error *err) SP_MUST_CHECK;

/* What is given beside the JSON, as bytes, and need not be there. */
struct schema_beside {
    int (*has)(void *user, const char *name, size_t size);
    void *user;
};

/*
 * Check arguments: valid JSON, an object; an array stands for the properties in their
 * order. `beside` may be NULL. Errors: SP_ERR_BAD_ARGS ("argument points[3].x must be a
 * number, got \"a\""), SP_ERR_NOMEM.
 */
int sp__schema_check(const struct schema *schema, const char *json, size_t size,
                     const struct schema_beside *beside, sp_error *err) SP_MUST_CHECK;

/* 1 when the text is JSON, an object or an array, and what sp__schema_check() accepts, all
 * found in one pass; 0 says nothing: it may be so nevertheless. */
int sp__schema_takes(const struct schema *schema, const char *json, size_t size);
/* Once, when a schema has been read: what the former needs of it. */
void sp__schema_flatten(struct schema *schema);

/* SCHEMA_ of a value of this sp__json_kind(); of any number SCHEMA_NUMBER. */
unsigned sp__schema_type(char kind);

#endif
