/* SPDX-License-Identifier: MIT */
/*
 * From what stands for a part to the value itself.
 *
 * The description is an object with one member, see snakepit/tensor.h. It comes from a
 * peer: every member is checked for its kind and the numbers for each other, and what is
 * wrong is the sender's fault (codec_home.malformed). Bytes become bytes; a tensor becomes
 * what the package's _arrays makes over the received memory.
 */
#include "codec.h"

#include <string.h>

#include "wire/tensor.h"

int sp__py_is_part_key(const char *key, size_t n)
{
    enum { TENSOR = sizeof SP__TENSOR_KEY - 1, BYTES = sizeof SP__BYTES_KEY - 1 };
    return (n == TENSOR && memcmp(key, SP__TENSOR_KEY, n) == 0) ||
           (n == BYTES && memcmp(key, SP__BYTES_KEY, n) == 0);
}

static int bad(const char *what)
{
    PyErr_Format(sp__py_codec.malformed, "what stands for a tensor or bytes: %s", what);
    return -1;
}

static int refused(sp_error *err)
{
    (void)bad(err->message);
    sp_error_clear(err);
    return -1;
}

static int read_size(PyObject *value, uint64_t *ret)
{
    if (!PyLong_CheckExact(value)) {
        return bad("a size that is no integer");
    }
    unsigned long long size = PyLong_AsUnsignedLongLong(value);
    if (size == (unsigned long long)-1 && PyErr_Occurred()) {
        PyErr_Clear();
        return bad("a size that is negative or too large");
    }
    *ret = size;
    return 0;
}

static int read_shape(PyObject *value, sp_tensor *tensor)
{
    if (!PyList_CheckExact(value)) {
        return bad("a shape that is no list");
    }
    if (PyList_GET_SIZE(value) > SP_TENSOR_DIMS_MAX) {
        return bad("more than 32 dimensions");
    }
    tensor->dims = (uint32_t)PyList_GET_SIZE(value);
    for (uint32_t i = 0; i < tensor->dims; i++) {
        if (read_size(PyList_GET_ITEM(value, i), &tensor->shape[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

static int read_dtype(PyObject *value, sp_tensor *tensor)
{
    const char *name = PyUnicode_Check(value) ? PyUnicode_AsUTF8(value) : NULL;
    tensor->dtype = sp_dtype_of_name(name);
    if (tensor->dtype != SP_DTYPE_NONE) {
        return 0;
    }
    PyErr_Clear();
    PyErr_Format(sp__py_codec.malformed, "dtype %R: only numbers travel as bytes",
                 value);
    return -1;
}

static int read_part(PyObject *value, char *part)
{
    Py_ssize_t n = 0;
    const char *name =
        PyUnicode_Check(value) ? PyUnicode_AsUTF8AndSize(value, &n) : NULL;
    if (name == NULL || n > SP_PART_NAME_MAX || strlen(name) != (size_t)n) {
        PyErr_Clear();
        return bad("a part's name that cannot be one");
    }
    memcpy(part, name, (size_t)n + 1);
    return 0;
}

static int read_member(struct part_ref *ref, PyObject *key, PyObject *value)
{
    if (ref->is_tensor && PyUnicode_CompareWithASCIIString(key, "dtype") == 0) {
        return read_dtype(value, &ref->tensor);
    }
    if (ref->is_tensor && PyUnicode_CompareWithASCIIString(key, "shape") == 0) {
        return read_shape(value, &ref->tensor);
    }
    if (!ref->is_tensor && PyUnicode_CompareWithASCIIString(key, "size") == 0) {
        return read_size(value, &ref->size);
    }
    if (PyUnicode_CompareWithASCIIString(key, "part") == 0) {
        return read_part(value, ref->part);
    }
    if (PyUnicode_CompareWithASCIIString(key, "at") == 0) {
        return read_size(value, &ref->at);
    }
    PyErr_Format(sp__py_codec.malformed, "a member %R that is not known", key);
    return -1;
}

static int read_description(struct part_ref *ref, PyObject *description)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    int has_shape = 0;
    int has_size = 0;
    if (!PyDict_CheckExact(description)) {
        return bad("no description of it");
    }
    while (PyDict_Next(description, &at, &key, &value)) {
        if (read_member(ref, key, value) < 0) {
            return -1;
        }
        has_shape |= PyUnicode_CompareWithASCIIString(key, "shape") == 0;
        has_size |= PyUnicode_CompareWithASCIIString(key, "size") == 0;
    }
    if (!ref->is_tensor) {
        return has_size ? 0 : bad("bytes need a size");
    }
    if (!has_shape || ref->tensor.dtype == SP_DTYPE_NONE) {
        return bad("a tensor needs a dtype and a shape");
    }
    sp_error err = {0};
    size_t size;
    if (sp__tensor_size(ref->tensor.dtype, ref->tensor.shape, ref->tensor.dims, &size,
                        &err) < 0) {
        return refused(&err);
    }
    ref->size = size;
    return 0;
}

/* _arrays.tensor(memory, dtype, shape); takes the memory. */
static PyObject *make_array(const sp_tensor *tensor, PyObject *memory)
{
    PyObject *result = NULL;
    PyObject *shape = PyTuple_New((Py_ssize_t)tensor->dims);
    for (uint32_t i = 0; shape != NULL && i < tensor->dims; i++) {
        PyObject *size = PyLong_FromUnsignedLongLong(tensor->shape[i]);
        if (size == NULL) {
            Py_CLEAR(shape);
        } else {
            PyTuple_SET_ITEM(shape, (Py_ssize_t)i, size);
        }
    }
    PyObject *module = shape != NULL ? sp__py_codec_module("_arrays") : NULL;
    if (module != NULL) {
        result = PyObject_CallMethod(module, "tensor", "OsO", memory,
                                     sp_dtype_name(tensor->dtype), shape);
    }
    Py_XDECREF(module);
    Py_XDECREF(shape);
    Py_DECREF(memory);
    if (result == Py_NotImplemented) {
        Py_DECREF(result);
        PyErr_Format(sp__py_codec.malformed, "an array of dtype '%s' needs NumPy",
                     sp_dtype_name(tensor->dtype));
        return NULL;
    }
    return result;
}

PyObject *sp__py_slice_of(PyObject *whole, const char *part, uint64_t at, uint64_t size)
{
    PyObject *view = PyMemoryView_FromObject(whole);
    PyObject *slice = NULL;
    if (view == NULL) {
        return NULL;
    }
    uint64_t all = (uint64_t)PyMemoryView_GET_BUFFER(view)->len;
    if (at > all || size > all - at) {
        PyErr_Format(sp__py_codec.malformed, "part '%s' has only %llu bytes", part,
                     (unsigned long long)all);
    } else {
        slice = PySequence_GetSlice(view, (Py_ssize_t)at, (Py_ssize_t)(at + size));
    }
    Py_DECREF(view);
    return slice;
}

PyObject *sp__py_slice_held(void *held, const char *part, uint64_t at, uint64_t size)
{
    PyObject *whole = PyMapping_GetItemString(held, part);
    PyObject *slice = whole != NULL ? sp__py_slice_of(whole, part, at, size) : NULL;
    Py_XDECREF(whole);
    return slice;
}

PyObject *sp__py_part_read(const struct part_source *source, PyObject *dict)
{
    struct part_ref ref = {0};
    PyObject *key, *value;
    Py_ssize_t at = 0;
    if (PyDict_GET_SIZE(dict) != 1) {
        (void)bad("members beside it");
        return NULL;
    }
    (void)PyDict_Next(dict, &at, &key, &value);
    ref.is_tensor = PyUnicode_CompareWithASCIIString(key, SP__TENSOR_KEY) == 0;
    if (read_description(&ref, value) < 0) {
        return NULL;
    }
    PyObject *memory = source->slice(source->user, ref.part, ref.at, ref.size);
    if (memory == NULL || ref.is_tensor) {
        return memory == NULL ? NULL : make_array(&ref.tensor, memory);
    }
    PyObject *bytes = PyBytes_FromObject(memory);
    Py_DECREF(memory);
    return bytes;
}
