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

#include "base/mem.h"

/* ---- values ---- */

/* A part_source over one object with the buffer protocol, or over nothing. */
static PyObject *slice(void *user, const char *part, uint64_t at, uint64_t size)
{
    if (user == NULL) {
        PyErr_Format(sp__py_codec.malformed, "part '%s' has only 0 bytes", part);
        return NULL;
    }
    return sp__py_slice_of(user, part, at, size);
}

static PyObject *decode(pit_object *pit, sp_bytes json, PyObject *binary)
{
    const struct part_source source = {.slice = slice, .user = binary};
    int has_keys = !atomic_flag_test_and_set(&pit->keys_taken);
    PyObject *value = sp__py_decode_or_raise(has_keys ? &pit->keys : NULL, &source,
                                             json.data, json.size);
    if (has_keys) {
        atomic_flag_clear(&pit->keys_taken);
    }
    return value;
}

static void drop_result(void *owner)
{
    sp_result_clear(owner);
    sp__free(owner);
}

/* The bytes of a result, which is taken. */
static PyObject *memory_of(sp_result *result)
{
    sp_bytes binary = {result->binary, result->binary_bytes};
    sp_result *owner = sp__malloc(sizeof *owner);
    if (owner == NULL) {
        return PyErr_NoMemory();
    }
    *owner = *result;
    *result = (sp_result){0};
    return sp__py_memory_new(binary, owner, drop_result);
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
        PyObject *memory = memory_of(result);
        value = memory != NULL ? decode(pit, json, memory) : NULL;
        Py_XDECREF(memory);
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
    PyObject *value = decode(pit, json, copy);
    Py_DECREF(copy);
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
        "{ss sN si si si sI sK sK sK si si si si sN sN sN sN sN sN}", "code",
        sp_error_name(err->code), "message", sp__pyhost_text(err->message), "executed",
        err->executed, "retryable", err->retryable, "stage", err->stage, "attempts",
        err->attempts, "chunks", (unsigned long long)err->chunks, "retry_after_ms",
        (unsigned long long)err->retry_after_ms, "worker",
        (unsigned long long)err->worker, "worker_pid", err->worker_pid, "worker_exit",
        err->worker_exit, "worker_signal", err->worker_signal, "os_errno",
        err->os_errno, "remote_type", sp__pyhost_text(err->remote_type),
        "remote_message", sp__pyhost_text(err->remote_message), "remote_trace",
        sp__pyhost_text(err->remote_trace), "remote_details",
        sp__pyhost_text(err->remote_details), "worker_stderr",
        sp__pyhost_text(err->worker_stderr), "worker_stack",
        sp__pyhost_text(err->worker_stack));
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
