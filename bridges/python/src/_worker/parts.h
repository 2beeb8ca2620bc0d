/* SPDX-License-Identifier: MIT */
/*
 * Arrays and bytes that travel beside the JSON: what stands for them in the text.
 * part_write.c gathers what leaves, part_read.c finds what came.
 */
#ifndef SP_PYTHON_PARTS_H
#define SP_PYTHON_PARTS_H

#include "compat.h"

#include "base/buf.h"
#include "snakepit/worker.h"

/* ---- what came ---- */

/* Where a value's parts are. */
struct part_source {
    /* A new object with the buffer protocol over bytes at .. at + size of a part; NULL
     * with an exception. */
    PyObject *(*slice)(void *user, const char *part, uint64_t at, uint64_t size);
    void *user;
};

/* Whether a member of that name says that its object stands for a part. */
int sp__py_is_part_key(const char *key, size_t n);

/* What an object with such a member stands for: a new reference, or NULL with an
 * exception, BadArguments when it is malformed. */
PyObject *sp__py_part_read(const struct part_source *source, PyObject *dict);

/* The slice of an object that has the whole part. */
PyObject *sp__py_slice_of(PyObject *whole, const char *part, uint64_t at,
                          uint64_t size);

/* A slice() for a dict of buffers by name. */
PyObject *sp__py_slice_held(void *held, const char *part, uint64_t at, uint64_t size);

/* ---- what leaves ---- */

/* The parts of one value, one behind the other. */
struct parts {
    const char
        *name; /* the binary they are in, as the JSON calls it; NULL: a result's */
    struct part_view {
        Py_buffer view;
        size_t at;
    } * views;
    size_t count;
    size_t capacity;
    size_t bytes;          /* from the first to the last */
    struct sp_buffer blob; /* several of them, together */
};

void sp__py_parts_init(struct parts *parts);
/* Let go of every value. */
void sp__py_parts_clear(struct parts *parts);
void sp__py_parts_fini(struct parts *parts);

/* Take a value as a part and append what stands for it to the JSON. 1; 0: it is none, it
 * belongs into the JSON itself; -1 with an exception. */
int sp__py_part_write(struct parts *parts, struct sp_buffer *json, PyObject *value);

/* All of them as one run of bytes, valid until they are cleared: a single one's own
 * memory. 0, or -1 with an exception. */
int sp__py_parts_join(struct parts *parts, sp_bytes *ret);

#endif
