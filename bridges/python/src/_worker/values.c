/* SPDX-License-Identifier: MIT */
/*
 * What the host answers, as Python objects: dicts with the names of the public structs,
 * values decoded, times as seconds since 1970.
 *
 * Called with the interpreter's lock. Failures: NULL with an exception; text of the host
 * that is no JSON is a ValueError, which a host of ours never causes.
 */
#include "ask.h"

#include <string.h>

#include "base/mem.h"
#include "parts.h"

PyObject *sp__py_from_json(const char *text, size_t size, PyObject *held)
{
    const struct part_source source = {.slice = sp__py_slice_held, .user = held};
    if (size == 0) {
        Py_RETURN_NONE;
    }
    return sp__py_decode_or_raise(NULL, held != NULL ? &source : NULL, text, size);
}

static PyObject *from_text(const char *json)
{
    return json != NULL ? sp__py_from_json(json, strlen(json), NULL) : PyDict_New();
}

/* A large array is one. A float's value: what JSON cannot say comes as text. */
static PyObject *value_of(const sp_variable *variable, const sp_tensor *array)
{
    PyObject *value;
    if (sp__py_from_array(variable, array, &value)) {
        return value;
    }
    value = sp__py_from_json(variable->value, variable->value_size, NULL);
    if (value == NULL || variable->type == NULL ||
        strcmp(variable->type, "float") != 0 || PyFloat_CheckExact(value)) {
        return value;
    }
    PyObject *number = PyNumber_Float(value);
    Py_DECREF(value);
    return number;
}

static double seconds_of(uint64_t unix_ms)
{
    return (double)unix_ms / 1000.0;
}

PyObject *sp__py_from_variable(const sp_variable *v, const sp_tensor *array)
{
    PyObject *value = value_of(v, array);
    PyObject *constraints = value != NULL ? from_text(v->constraints) : NULL;
    PyObject *metadata = constraints != NULL ? from_text(v->metadata) : NULL;
    PyObject *dict = NULL;
    if (metadata != NULL) {
        dict = Py_BuildValue(
            "{szszszsOsOsOsKszszsdsd}", "id", v->id, "name", v->name, "type", v->type,
            "value", value, "constraints", constraints, "metadata", metadata, "version",
            (unsigned long long)v->version, "changed_by", v->changed_by, "locked_by",
            v->locked_by, "created_at", seconds_of(v->created_unix_ms), "updated_at",
            seconds_of(v->updated_unix_ms));
    }
    Py_XDECREF(value);
    Py_XDECREF(constraints);
    Py_XDECREF(metadata);
    return dict;
}

static PyObject *seconds_or_none(uint64_t ms)
{
    if (ms == SP_UNLIMITED) {
        Py_RETURN_NONE;
    }
    return PyFloat_FromDouble((double)ms / 1000.0);
}

PyObject *sp__py_from_program(const sp_program *p)
{
    PyObject *data = sp__py_from_json(p->data, p->data_size, NULL);
    PyObject *remaining = data != NULL ? seconds_or_none(p->remaining_ms) : NULL;
    PyObject *dict = NULL;
    if (remaining != NULL) {
        dict = Py_BuildValue("{szsOsdsdsO}", "id", p->id, "data", data, "created_at",
                             seconds_of(p->created_unix_ms), "updated_at",
                             seconds_of(p->updated_unix_ms), "remaining", remaining);
    }
    Py_XDECREF(data);
    Py_XDECREF(remaining);
    return dict;
}

/* As `snakepit` names it. */
static const char *durability_name(int durability)
{
    switch (durability) {
    case SP_DURABILITY_MEMORY:
        return "memory";
    case SP_DURABILITY_CRASH:
        return "crash";
    case SP_DURABILITY_DURABLE:
        return "durable";
    default:
        return NULL;
    }
}

PyObject *sp__py_from_session(const sp_session_info *info)
{
    PyObject *metadata = from_text(info->metadata);
    PyObject *ttl = metadata != NULL ? seconds_or_none(info->ttl_ms) : NULL;
    PyObject *remaining = ttl != NULL ? seconds_or_none(info->remaining_ms) : NULL;
    PyObject *dict = NULL;
    if (remaining != NULL) {
        dict =
            Py_BuildValue("{szsOszsdsdsOsOsKsKsK}", "id", info->id, "metadata",
                          metadata, "durability", durability_name(info->durability),
                          "created_at", seconds_of(info->created_unix_ms), "used_at",
                          seconds_of(info->used_unix_ms), "ttl", ttl, "remaining",
                          remaining, "variables", (unsigned long long)info->variables,
                          "programs", (unsigned long long)info->programs, "bytes",
                          (unsigned long long)info->bytes);
    }
    Py_XDECREF(metadata);
    Py_XDECREF(ttl);
    Py_XDECREF(remaining);
    return dict;
}

void sp__py_collect(PyObject **list, PyObject *item)
{
    if (*list != NULL && (item == NULL || PyList_Append(*list, item) < 0)) {
        Py_CLEAR(*list);
    }
    Py_XDECREF(item);
}

int sp__py_optional_bytes(PyObject *object, void *ret_text)
{
    const char **text = ret_text;
    if (object != Py_None && !PyBytes_Check(object)) {
        PyErr_Format(PyExc_TypeError, "bytes or None expected, not %s",
                     Py_TYPE(object)->tp_name);
        return 0;
    }
    *text = object == Py_None ? NULL : PyBytes_AS_STRING(object);
    return 1;
}

int sp__py_names(PyObject *sequence, PyObject **ret_owner, const char ***ret_names)
{
    PyObject *tuple = PySequence_Tuple(sequence);
    if (tuple == NULL) {
        return -1;
    }
    size_t count = (size_t)PyTuple_GET_SIZE(tuple);
    const char **names = sp__calloc(count + 1, sizeof *names);
    if (names == NULL) {
        (void)PyErr_NoMemory();
    }
    for (size_t i = 0; names != NULL && i < count; i++) {
        Py_ssize_t size = 0;
        names[i] = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(tuple, i), &size);
        if (names[i] != NULL && strlen(names[i]) != (size_t)size) {
            PyErr_SetString(PyExc_ValueError, "embedded null character");
            names[i] = NULL;
        }
        if (names[i] == NULL) {
            sp__free(names);
            names = NULL;
        }
    }
    if (names == NULL) {
        Py_DECREF(tuple);
        return -1;
    }
    *ret_owner = tuple;
    *ret_names = names;
    return 0;
}

void sp__py_names_free(PyObject *owner, const char **names)
{
    Py_XDECREF(owner);
    sp__free(names);
}

PyObject *sp__py_listed(PyObject *call, const sp_job *job, int rc, sp_error *err,
                        PyObject *list)
{
    if (list == NULL &&
        PyErr_Occurred()) { /* a callback's exception goes before the answer */
        PyObject *exception = sp__py_take_exception();
        (void)sp__py_ask_end(call, job, 0, err);
        sp__py_give_exception(exception);
        return NULL;
    }
    if (sp__py_ask_end(call, job, rc, err) < 0) {
        Py_CLEAR(list);
    }
    return list;
}
