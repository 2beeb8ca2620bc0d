/* SPDX-License-Identifier: MIT */
/*
 * What newer versions of CPython offer, for the older ones from 3.8 on, and the little
 * that the free-threaded build needs. Each piece goes away with the version it serves.
 */
#ifndef SP_PYTHON_COMPAT_H
#define SP_PYTHON_COMPAT_H

#include <Python.h>

#if PY_VERSION_HEX < 0x03090000
#define PyObject_Vectorcall _PyObject_Vectorcall

static inline PyObject *PyObject_CallNoArgs(PyObject *callable)
{
    return PyObject_CallFunctionObjArgs(callable, NULL);
}

static inline PyObject *PyObject_CallOneArg(PyObject *callable, PyObject *arg)
{
    return PyObject_CallFunctionObjArgs(callable, arg, NULL);
}
#endif

#if PY_VERSION_HEX < 0x030A0000
static inline PyObject *Py_NewRef(PyObject *object)
{
    Py_INCREF(object);
    return object;
}

static inline int PyModule_AddObjectRef(PyObject *module, const char *name,
                                        PyObject *value)
{
    Py_INCREF(value);
    if (PyModule_AddObject(module, name, value) < 0) {
        Py_DECREF(value);
        return -1;
    }
    return 0;
}

#endif

#if PY_VERSION_HEX < 0x030D0000
static inline PyObject *PyList_GetItemRef(PyObject *list, Py_ssize_t index)
{
    PyObject *item = PyList_GetItem(list, index);
    Py_XINCREF(item);
    return item;
}

static inline int PyDict_GetItemRef(PyObject *dict, PyObject *key, PyObject **ret)
{
    *ret = PyDict_GetItemWithError(dict, key);
    if (*ret != NULL) {
        Py_INCREF(*ret);
        return 1;
    }
    return PyErr_Occurred() ? -1 : 0;
}

#define Py_BEGIN_CRITICAL_SECTION(object) \
    {                                     \
        (void)(object);
#define Py_END_CRITICAL_SECTION() }
#endif

/* The exception that is set, as one normalised object with its traceback, and no longer
 * set. NULL when there is none. */
static inline PyObject *sp__py_take_exception(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type = NULL, *value = NULL, *trace = NULL;
    PyErr_Fetch(&type, &value, &trace);
    if (type == NULL) {
        return NULL;
    }
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace != NULL && value != NULL) {
        (void)PyException_SetTraceback(value, trace);
    }
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return value;
#endif
}

/* Takes the reference. */
static inline void sp__py_give_exception(PyObject *exception)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(exception);
#else
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exception)), exception,
                  PyException_GetTraceback(exception));
#endif
}

#endif
