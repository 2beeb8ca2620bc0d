/* SPDX-License-Identifier: MIT */
/*
 * `Memory`: received bytes where they lie, for whoever speaks the buffer protocol. An
 * array made over it holds it, and it holds what they came in, however long the call has
 * been over. It is read-only: other arrays may be over the same bytes.
 */
#include "extension.h"

typedef struct {
    PyObject ob_base;
    sp_bytes bytes;
    void *owner;
    void (*drop)(void *owner);
} memory_object;

static PyTypeObject *memory_type;

PyObject *sp__py_memory_new(sp_bytes bytes, void *owner, void (*drop)(void *owner))
{
    memory_object *self = PyObject_New(memory_object, memory_type);
    if (self == NULL) {
        drop(owner);
        return NULL;
    }
    self->bytes = bytes;
    self->owner = owner;
    self->drop = drop;
    return (PyObject *)self;
}

static void memory_dealloc(PyObject *object)
{
    memory_object *self = (memory_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    self->drop(self->owner);
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

int sp__py_memory_type(PyObject *module, const char *name)
{
    PyType_Slot slots[] = {
        {Py_tp_dealloc, memory_dealloc},
#if PY_VERSION_HEX >= 0x03090000
        {Py_bf_getbuffer, memory_get_buffer},
#endif
        {Py_tp_doc, "Received bytes, for the buffer protocol."},
        {0, NULL},
    };
    PyType_Spec spec = {.name = name,
                        .basicsize = sizeof(memory_object),
                        .flags = Py_TPFLAGS_DEFAULT,
                        .slots = slots};
    int rc = sp__py_add_type(module, &spec, &memory_type);
#if PY_VERSION_HEX < 0x03090000
    if (rc == 0) {
        memory_type->tp_as_buffer->bf_getbuffer = memory_get_buffer;
    }
#endif
    return rc;
}
