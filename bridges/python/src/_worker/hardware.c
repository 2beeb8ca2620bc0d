/* SPDX-License-Identifier: MIT */
/*
 * What the machine can compute with, for snakepit_bridge.hardware: the library's answers,
 * as JSON. Other threads of Python run while it looks.
 */
#include "bridge.h"

#include "base/buf.h"
#include "base/mem.h"
#include "snakepit/hardware.h"

struct answer {
    struct sp_buffer json;
    int rc;
};

static void keep(sp_bytes json, void *user)
{
    struct answer *answer = user;
    answer->rc = sp__buf_append(&answer->json, json.data, json.size, NULL);
}

static PyObject *refuse(int rc, sp_error *err)
{
    PyObject *type = rc == SP_ERR_INVAL       ? PyExc_ValueError
                     : rc == SP_ERR_NOT_FOUND ? PyExc_LookupError
                                              : PyExc_MemoryError;
    PyErr_SetString(type, err->message);
    sp_error_clear(err);
    return NULL;
}

/* (refresh, root or None, path or None): JSON as bytes. */
static PyObject *hardware_json(PyObject *module, PyObject *args)
{
    sp_hardware_options options = {.size = sizeof options};
    struct answer answer = {.rc = 0};
    sp_error err = {0};
    PyObject *result = NULL;
    int rc;
    (void)module;
    if (!PyArg_ParseTuple(args, "pzz:hardware_json", &options.refresh, &options.root,
                          &options.path)) {
        return NULL;
    }
    sp__buf_init(&answer.json, SIZE_MAX / 2);
    Py_BEGIN_ALLOW_THREADS;
    rc = sp_hardware_json(&options, keep, &answer, &err);
    Py_END_ALLOW_THREADS;
    if (rc < 0) {
        refuse(rc, &err);
    } else if (answer.rc < 0) {
        PyErr_NoMemory();
    } else {
        result = PyBytes_FromStringAndSize((const char *)answer.json.data,
                                           (Py_ssize_t)answer.json.size);
    }
    sp__buf_fini(&answer.json);
    return result;
}

/* (wanted, root or None, path or None): the device's name, "cuda:1". */
static PyObject *hardware_select(PyObject *module, PyObject *args)
{
    sp_hardware_options options = {.size = sizeof options};
    const char *wanted;
    sp_device device;
    sp_error err = {0};
    int rc;
    (void)module;
    if (!PyArg_ParseTuple(args, "szz:hardware_select", &wanted, &options.root,
                          &options.path)) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    rc = sp_hardware_select(wanted, &options, &device, &err);
    Py_END_ALLOW_THREADS;
    return rc < 0 ? refuse(rc, &err) : PyUnicode_FromString(device.text);
}

static PyMethodDef functions[] = {
    {"hardware_json", hardware_json, METH_VARARGS,
     "hardware_json(refresh, root, path): what there is, as JSON"},
    {"hardware_select", hardware_select, METH_VARARGS,
     "hardware_select(wanted, root, path): the name of a device"},
    {NULL, NULL, 0, NULL},
};

int sp__py_hardware_functions(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
