/* SPDX-License-Identifier: MIT */
/*
 * Values that leave as bytes: found while JSON is written, held by their buffers until
 * the answer has gone.
 *
 * Whatever speaks the buffer protocol and holds plain numbers is taken where it lies:
 * NumPy arrays, array.array, memoryviews, ctypes arrays. What is not in C order or of the
 * other byte order, and what speaks DLPack only (PyTorch, JAX), is put in order by
 * the package's _arrays. Small arrays are left to the JSON; bytes never are, because
 * it cannot hold them.
 */
#include "codec.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/tensor.h"

enum { BLOB_KEEP_BYTES = 1 << 20 };

void sp__py_parts_init(struct parts *parts)
{
    *parts = (struct parts){0};
    sp__buf_init(&parts->blob, SIZE_MAX / 2);
}

void sp__py_parts_clear(struct parts *parts)
{
    while (parts->count > 0) {
        PyBuffer_Release(&parts->views[--parts->count].view);
    }
    parts->bytes = 0;
    parts->blob.size = 0;
    sp__buf_shrink(&parts->blob, BLOB_KEEP_BYTES);
}

void sp__py_parts_fini(struct parts *parts)
{
    sp__py_parts_clear(parts);
    sp__buf_fini(&parts->blob);
    sp__free(parts->views);
    *parts = (struct parts){0};
}

int sp__py_parts_join(struct parts *parts, sp_bytes *ret)
{
    if (parts->count == 0) {
        *ret = (sp_bytes){0};
        return 0;
    }
    if (parts->count == 1) {
        const Py_buffer *view = &parts->views[0].view;
        *ret = (sp_bytes){view->buf, (size_t)view->len};
        return 0;
    }
    if (sp__buf_reserve(&parts->blob, parts->bytes, NULL) < 0) {
        (void)PyErr_NoMemory();
        return -1;
    }
    uint8_t *blob = parts->blob.data;
    size_t end = 0;
    for (size_t i = 0; i < parts->count; i++) {
        const struct part_view *part = &parts->views[i];
        memset(blob + end, 0, part->at - end);
        memcpy(blob + part->at, part->view.buf, (size_t)part->view.len);
        end = part->at + (size_t)part->view.len;
    }
    parts->blob.size = end;
    *ret = (sp_bytes){blob, end};
    return 0;
}

/* ---- what a buffer holds ---- */

static int integer_dtype(char kind, Py_ssize_t size)
{
    int is_signed = strchr("bhilqn", kind) != NULL;
    switch (size) {
    case 1:
        return is_signed ? SP_DTYPE_I8 : SP_DTYPE_U8;
    case 2:
        return is_signed ? SP_DTYPE_I16 : SP_DTYPE_U16;
    case 4:
        return is_signed ? SP_DTYPE_I32 : SP_DTYPE_U32;
    case 8:
        return is_signed ? SP_DTYPE_I64 : SP_DTYPE_U64;
    default:
        return SP_DTYPE_NONE;
    }
}

/* SP_DTYPE_ of struct's format. *ret_swapped: it is in the other byte order. */
static int dtype_of(const Py_buffer *view, int *ret_swapped)
{
    const char *format = view->format != NULL ? view->format : "B";
    int swapped = 0;
    if (strchr("@=<>!", *format) != NULL && *format != '\0') {
        swapped = (*format == '>' || *format == '!') == (PY_LITTLE_ENDIAN != 0);
        format++;
    } else {
        swapped = !PY_LITTLE_ENDIAN;
    }
    *ret_swapped = swapped && view->itemsize > 1;
    if (strcmp(format, "?") == 0) {
        return view->itemsize == 1 ? SP_DTYPE_BOOL : SP_DTYPE_NONE;
    }
    if (strcmp(format, "e") == 0) {
        return SP_DTYPE_F16;
    }
    if (strcmp(format, "f") == 0) {
        return SP_DTYPE_F32;
    }
    if (strcmp(format, "d") == 0) {
        return SP_DTYPE_F64;
    }
    if (strcmp(format, "Zf") == 0) {
        return SP_DTYPE_C64;
    }
    if (strcmp(format, "Zd") == 0) {
        return SP_DTYPE_C128;
    }
    if (format[0] != '\0' && format[1] == '\0' &&
        strchr("bBhHiIlLqQnN", format[0]) != NULL) {
        return integer_dtype(format[0], view->itemsize);
    }
    return SP_DTYPE_NONE;
}

/* bytes and its like: no array of numbers. */
static int is_bytes(PyObject *value, const Py_buffer *view)
{
    if (PyBytes_Check(value) || PyByteArray_Check(value)) {
        return 1;
    }
    return PyMemoryView_Check(value) && view->ndim == 1 &&
           (view->format == NULL || strcmp(view->format, "B") == 0);
}

/* ---- taking one ---- */

static int raise(sp_error *err)
{
    if (err->code == SP_ERR_NOMEM) {
        (void)PyErr_NoMemory();
    } else {
        PyErr_SetString(PyExc_ValueError, err->message);
    }
    sp_error_clear(err);
    return -1;
}

static int more_room(struct parts *parts)
{
    size_t capacity = parts->capacity == 0 ? 4 : parts->capacity * 2;
    struct part_view *views =
        sp__realloc(parts->views, capacity * sizeof parts->views[0]);
    if (views == NULL) {
        (void)PyErr_NoMemory();
        return -1;
    }
    parts->views = views;
    parts->capacity = capacity;
    return 0;
}

/* Keep the view (taken) and write what stands for it. */
static int take_view(struct parts *parts, struct sp_buffer *json, Py_buffer *view,
                     int dtype)
{
    sp_error err = {0};
    int rc = -1;
    size_t at = (parts->bytes + SP__PART_ALIGN - 1) / SP__PART_ALIGN * SP__PART_ALIGN;
    if (parts->count == parts->capacity && more_room(parts) < 0) {
        PyBuffer_Release(view);
        return -1;
    }
    if (dtype == SP_DTYPE_NONE) {
        rc = sp__bytes_put(json, (uint64_t)view->len, parts->name, at, &err);
    } else if (view->ndim > SP_TENSOR_DIMS_MAX) {
        rc = sp__fail(&err, SP_ERR_TOO_DEEP, "an array of %d dimensions, at most %d",
                      view->ndim, SP_TENSOR_DIMS_MAX);
    } else {
        sp_tensor tensor = {.dtype = dtype, .dims = (uint32_t)view->ndim};
        for (int i = 0; i < view->ndim; i++) {
            tensor.shape[i] = (uint64_t)view->shape[i];
        }
        rc = sp__tensor_put(json, &tensor, parts->name, at, &err);
    }
    if (rc < 0) {
        PyBuffer_Release(view);
        return raise(&err);
    }
    /* A part stands where it says, even when it is the only one: at 0. */
    parts->views[parts->count++] = (struct part_view){.view = *view, .at = at};
    parts->bytes = at + (size_t)view->len;
    return 1;
}

/* Ask the package for the value in an order that can be sent. 1, 0 or -1. */
static int put_in_order(struct parts *parts, struct sp_buffer *json, PyObject *value)
{
    Py_buffer view;
    int swapped;
    PyObject *module = sp__py_codec_module("_arrays");
    PyObject *plain =
        module != NULL ? PyObject_CallMethod(module, "plain", "O", value) : NULL;
    Py_XDECREF(module);
    if (plain == NULL || plain == Py_NotImplemented) {
        Py_XDECREF(plain);
        return plain == NULL ? -1 : 0;
    }
    int rc = PyObject_GetBuffer(plain, &view, PyBUF_FULL_RO);
    Py_DECREF(plain); /* the view holds it */
    if (rc < 0) {
        return -1;
    }
    int dtype = dtype_of(&view, &swapped);
    if (dtype == SP_DTYPE_NONE || swapped || !PyBuffer_IsContiguous(&view, 'C')) {
        PyBuffer_Release(&view);
        return 0;
    }
    return take_view(parts, json, &view, dtype);
}

int sp__py_part_write(struct parts *parts, struct sp_buffer *json, PyObject *value)
{
    Py_buffer view;
    int swapped;
    if (!PyObject_CheckBuffer(value)) {
        return PyObject_HasAttrString((PyObject *)Py_TYPE(value), "__dlpack__")
                   ? put_in_order(parts, json, value)
                   : 0;
    }
    if (PyObject_GetBuffer(value, &view, PyBUF_FULL_RO) < 0) {
        PyErr_Clear(); /* NumPy has dtypes, dates for one, that it does not lend */
        return 0;
    }
    int as_bytes = is_bytes(value, &view);
    int dtype = dtype_of(&view, &swapped);
    if (as_bytes && PyBuffer_IsContiguous(&view, 'C')) {
        return take_view(parts, json, &view, SP_DTYPE_NONE);
    }
    if (view.len <= SP_BINARY_MIN_BYTES || dtype == SP_DTYPE_NONE) {
        PyBuffer_Release(&view);
        return 0;
    }
    if (swapped || !PyBuffer_IsContiguous(&view, 'C')) {
        PyBuffer_Release(&view);
        return put_in_order(parts, json, value);
    }
    return take_view(parts, json, &view, dtype);
}
