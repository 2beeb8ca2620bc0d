/* SPDX-License-Identifier: MIT */
/*
 * What comes back: results as Python objects, errors as exceptions.
 *
 * Arrays in a result lie over the memory in which it came: `_snakepit.Memory` holds it for
 * as long as anything looks at it. What a callback only lends is copied first.
 */
#include "host.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    PyObject ob_base;
    sp_result result; /* owns the bytes, or empty */
    PyObject *copy;   /* or this does */
    sp_bytes bytes;
} memory_object;

static void memory_dealloc(PyObject *object)
{
    memory_object *self = (memory_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    sp_result_clear(&self->result);
    Py_XDECREF(self->copy);
    PyObject_Free(object);
    Py_DECREF(type);
}

static int memory_get_buffer(PyObject *object, Py_buffer *view, int flags)
{
    memory_object *self = (memory_object *)object;
    return PyBuffer_FillInfo(view, object, (void *)(uintptr_t)self->bytes.data,
                             (Py_ssize_t)self->bytes.size, 1, flags);
}

static PyType_Slot memory_slots[] = {
    {Py_tp_dealloc, memory_dealloc},
#if PY_VERSION_HEX >= 0x03090000
    {Py_bf_getbuffer, memory_get_buffer},
#endif
    {Py_tp_doc, "The bytes of a result, for the buffer protocol."},
    {0, NULL},
};

static PyType_Spec memory_spec = {
    .name = "snakepit._snakepit.Memory",
    .basicsize = sizeof(memory_object),
    .flags = Py_TPFLAGS_DEFAULT
#ifdef Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_DISALLOW_INSTANTIATION
#endif
    ,
    .slots = memory_slots,
};

int sp__pyhost_memory_type(PyObject *module)
{
    if (sp__pyhost.memory_type == NULL) {
        sp__pyhost.memory_type = (PyTypeObject *)PyType_FromSpec(&memory_spec);
    }
    PyTypeObject *type = sp__pyhost.memory_type;
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

static memory_object *memory_new(void)
{
    memory_object *self = PyObject_New(memory_object, sp__pyhost.memory_type);
    if (self != NULL) {
        self->result = (sp_result){0};
        self->copy = NULL;
        self->bytes = (sp_bytes){0};
    }
    return self;
}

/* ---- values ---- */

/* A part_source over one Memory, or over nothing. */
static PyObject *slice(void *user, const char *part, uint64_t at, uint64_t size)
{
    memory_object *memory = user;
    uint64_t all = memory != NULL ? memory->bytes.size : 0;
    if (memory == NULL || at > all || size > all - at) {
        PyErr_Format(sp__py_codec.malformed, "part '%s' has only %llu bytes", part,
                     (unsigned long long)all);
        return NULL;
    }
    PyObject *whole = PyMemoryView_FromObject((PyObject *)memory);
    PyObject *result = whole != NULL ? PySequence_GetSlice(whole, (Py_ssize_t)at,
                                                           (Py_ssize_t)(at + size))
                                     : NULL;
    Py_XDECREF(whole);
    return result;
}

static PyObject *decode(pit_object *pit, sp_bytes json, memory_object *memory)
{
    const struct part_source source = {.slice = slice, .user = memory};
    int has_keys = !atomic_flag_test_and_set(&pit->keys_taken);
    sp_error err = {0};
    PyObject *value = sp__py_decode(has_keys ? &pit->keys : NULL, &source, json.data,
                                    json.size, &err);
    if (has_keys) {
        atomic_flag_clear(&pit->keys_taken);
    }
    if (value == NULL && err.code < 0) {
        PyErr_SetString(PyExc_ValueError, err.message);
    }
    sp_error_clear(&err);
    return value;
}

static int is_null(sp_bytes json)
{
    return json.size == 0 || (json.size == 4 && memcmp(json.data, "null", 4) == 0);
}

PyObject *sp__pyhost_value_take(pit_object *pit, sp_result *result)
{
    sp_bytes json = {result->json, result->json_bytes};
    PyObject *value = NULL;
    if (result->binary_bytes == 0) {
        value = decode(pit, json, NULL);
    } else if (is_null(json)) { /* a tool that answers with nothing but bytes */
        value =
            PyBytes_FromStringAndSize(result->binary, (Py_ssize_t)result->binary_bytes);
    } else {
        memory_object *memory = memory_new();
        if (memory != NULL) {
            memory->result = *result;
            memory->bytes = (sp_bytes){result->binary, result->binary_bytes};
            *result = (sp_result){0};
            value = decode(pit, json, memory);
            Py_DECREF(memory);
        }
    }
    sp_result_clear(result);
    return value;
}

PyObject *sp__pyhost_value_copy(pit_object *pit, sp_bytes json, sp_bytes binary)
{
    if (binary.size == 0) {
        return decode(pit, json, NULL);
    }
    PyObject *copy = PyBytes_FromStringAndSize(binary.data, (Py_ssize_t)binary.size);
    if (copy == NULL || is_null(json)) {
        return copy;
    }
    memory_object *memory = memory_new();
    if (memory == NULL) {
        Py_DECREF(copy);
        return NULL;
    }
    memory->copy = copy;
    memory->bytes = (sp_bytes){PyBytes_AS_STRING(copy), binary.size};
    PyObject *value = decode(pit, json, memory);
    Py_DECREF(memory);
    return value;
}

/* ---- errors ---- */

PyObject *sp__pyhost_text(const char *text)
{
    if (text == NULL) {
        Py_RETURN_NONE;
    }
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

PyObject *sp__pyhost_error(const sp_error *err)
{
    PyObject *facts = Py_BuildValue(
        "{si ss sN si si si si sI sK sK sK si si si si sN sN sN sN sN ss}", "number",
        err->code, "code", sp_error_name(err->code), "message",
        sp__pyhost_text(err->message), "category", sp_error_category(err->code),
        "executed", err->executed, "retryable", err->retryable, "stage", err->stage,
        "attempts", err->attempts, "chunks", (unsigned long long)err->chunks,
        "retry_after_ms", (unsigned long long)err->retry_after_ms, "worker",
        (unsigned long long)err->worker, "worker_pid", err->worker_pid, "worker_exit",
        err->worker_exit, "worker_signal", err->worker_signal, "os_errno",
        err->os_errno, "remote_type", sp__pyhost_text(err->remote_type),
        "remote_message", sp__pyhost_text(err->remote_message), "remote_trace",
        sp__pyhost_text(err->remote_trace), "worker_stderr",
        sp__pyhost_text(err->worker_stderr), "worker_stack",
        sp__pyhost_text(err->worker_stack), "hint", sp_error_hint(err->code));
    if (facts == NULL) {
        return NULL;
    }
    PyObject *exception = PyObject_CallOneArg(sp__pyhost.make_error, facts);
    Py_DECREF(facts);
    return exception;
}

PyObject *sp__pyhost_raise(pit_object *pit, sp_error *err)
{
    if (!PyErr_Occurred()) { /* a signal's exception says more */
        if (pit != NULL && err->code == SP_ERR_CANCELLED &&
            atomic_load(&pit->closing)) {
            err->code = SP_ERR_CLOSED;
            (void)snprintf(err->message, sizeof err->message,
                           "the pit was closed while the call ran");
        }
        PyObject *exception = sp__pyhost_error(err);
        if (exception != NULL) {
            PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
            Py_DECREF(exception);
        }
    }
    sp_error_clear(err);
    return NULL;
}
