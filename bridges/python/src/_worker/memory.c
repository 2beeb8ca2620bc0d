/* SPDX-License-Identifier: MIT */
/*
 * `_worker.Memory`: received bytes where they lie, for whoever speaks the buffer
 * protocol. An array made over it holds it, and it holds the request's memory, however
 * long the call has been over. It is read-only: other arrays may be over the same bytes.
 */
#include "bridge.h"
#include "parts.h"

typedef struct {
    PyObject ob_base;
    sp_kept *kept;
    sp_bytes bytes;
} memory_object;

PyObject *sp__py_memory_new(sp_kept *kept, sp_bytes bytes)
{
    memory_object *self = NULL;
    if (kept == NULL) {
        (void)PyErr_NoMemory();
    } else {
        self = PyObject_New(memory_object, sp__py_bridge.memory_type);
    }
    if (self == NULL) {
        sp_kept_drop(kept);
        return NULL;
    }
    self->kept = kept;
    self->bytes = bytes;
    return (PyObject *)self;
}

static void memory_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    sp_kept_drop(((memory_object *)object)->kept);
    PyObject_Free(object);
    Py_DECREF(type);
}

static int memory_get_buffer(PyObject *object, Py_buffer *view, int flags)
{
    static char nothing;
    memory_object *self = (memory_object *)object;
    void *data =
        self->bytes.data != NULL ? (void *)(uintptr_t)self->bytes.data : &nothing;
    return PyBuffer_FillInfo(view, object, data, (Py_ssize_t)self->bytes.size, 1,
                             flags);
}

static PyType_Slot memory_slots[] = {
    {Py_tp_dealloc, memory_dealloc},
#if PY_VERSION_HEX >= 0x03090000
    {Py_bf_getbuffer, memory_get_buffer},
#endif
    {Py_tp_doc, "Received bytes, for the buffer protocol. Made by the worker."},
    {0, NULL},
};

static PyType_Spec memory_spec = {
    .name = "snakepit_bridge._worker.Memory",
    .basicsize = sizeof(memory_object),
    .flags = Py_TPFLAGS_DEFAULT
#ifdef Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_DISALLOW_INSTANTIATION
#endif
    ,
    .slots = memory_slots,
};

int sp__py_memory_type(PyObject *module)
{
    if (sp__py_bridge.memory_type == NULL) {
        sp__py_bridge.memory_type = (PyTypeObject *)PyType_FromSpec(&memory_spec);
    }
    PyTypeObject *type = sp__py_bridge.memory_type;
    if (type == NULL) {
        return -1;
    }
#if PY_VERSION_HEX < 0x03090000
    type->tp_as_buffer->bf_getbuffer = memory_get_buffer;
#endif
#ifndef Py_TPFLAGS_DISALLOW_INSTANTIATION
    type->tp_new = NULL;
#endif
    return PyModule_AddObjectRef(module, "Memory", (PyObject *)type);
}
