/* SPDX-License-Identifier: MIT */
/*
 * Arrays as values of variables: from what Python gives, (dtype, shape, bytes), and to
 * what it gets, which snakepit_bridge._arrays makes.
 *
 * Called with the interpreter's lock. Failures: with an exception. An array borrows from
 * the tuple it was read from.
 */
#include "ask.h"

#include <string.h>

#include "wire/tensor_json.h"

static int read_shape(PyObject *shape, sp_tensor *ret)
{
    Py_ssize_t dims = PyTuple_GET_SIZE(shape);
    if (dims > SP_TENSOR_DIMS_MAX) {
        PyErr_Format(PyExc_ValueError, "an array of %zd dimensions, at most %d", dims,
                     SP_TENSOR_DIMS_MAX);
        return -1;
    }
    ret->dims = (uint32_t)dims;
    for (Py_ssize_t i = 0; i < dims; i++) {
        ret->shape[i] = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(shape, i));
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

int sp__py_new_value(PyObject *value, struct new_value *ret)
{
    const char *dtype;
    PyObject *shape, *data;
    *ret = (struct new_value){0};
    if (!PyTuple_Check(value)) {
        char *json = NULL;
        int rc = PyBytes_AsStringAndSize(value, &json, NULL);
        ret->json = json;
        return rc;
    }
    if (!PyArg_ParseTuple(value, "sO!S:array", &dtype, &PyTuple_Type, &shape, &data)) {
        return -1;
    }
    ret->is_array = 1;
    ret->array.dtype = sp_dtype_of_name(dtype);
    ret->array.data = PyBytes_AS_STRING(data);
    ret->array.bytes = (size_t)PyBytes_GET_SIZE(data);
    return read_shape(shape, &ret->array);
}

/* _arrays.value(memory, shape, type) */
static PyObject *make(const char *type, const sp_tensor *array)
{
    PyObject *result = NULL;
    PyObject *shape = PyTuple_New((Py_ssize_t)array->dims);
    for (uint32_t i = 0; shape != NULL && i < array->dims; i++) {
        PyObject *size = PyLong_FromUnsignedLongLong(array->shape[i]);
        if (size == NULL) {
            Py_CLEAR(shape);
        } else {
            PyTuple_SET_ITEM(shape, (Py_ssize_t)i, size);
        }
    }
    PyObject *memory =
        shape != NULL ? PyBytes_FromStringAndSize(array->data, (Py_ssize_t)array->bytes)
                      : NULL;
    PyObject *module =
        memory != NULL ? PyImport_ImportModule("snakepit_bridge._arrays") : NULL;
    if (module != NULL) {
        result = PyObject_CallMethod(module, "value", "OsOs", memory,
                                     sp_dtype_name(array->dtype), shape, type);
    }
    Py_XDECREF(module);
    Py_XDECREF(memory);
    Py_XDECREF(shape);
    return result;
}

/* The host's rule for what it sends as bytes, for values that came as JSON. */
static int is_large(const sp_variable *variable)
{
    return variable->value_size > SP_BINARY_MIN_BYTES && variable->type != NULL &&
           (strcmp(variable->type, "tensor") == 0 ||
            strcmp(variable->type, "embedding") == 0);
}

int sp__py_from_array(const sp_variable *variable, const sp_tensor *array,
                      PyObject **ret)
{
    struct sp_buffer data;
    sp_tensor tensor;
    sp_error err = {0};
    *ret = NULL;
    if (array != NULL) {
        *ret = make(variable->type, array);
        return 1;
    }
    if (!is_large(variable)) {
        return 0;
    }
    sp__buf_init(&data, SIZE_MAX / 2);
    int rc = sp__tensor_from_json((sp_bytes){variable->value, variable->value_size},
                                  &data, &tensor, &err);
    if (rc == 1) {
        *ret = make(variable->type, &tensor);
    }
    sp__buf_fini(&data);
    sp_error_clear(&err);
    return rc == 1; /* else the JSON's own decoder says what is wrong */
}
