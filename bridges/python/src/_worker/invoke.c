/* SPDX-License-Identifier: MIT */
/*
 * Calling a tool: its arguments decoded, handed over in the tool's style, and what it
 * gives looked at.
 *
 * The arguments are a JSON object or array; raw binary arguments join the object by
 * name. An object with the members that the tool had in its last call, in their order,
 * becomes no dict: their values go to the tool as they are. A tool whose adapter wants to
 * know its caller is told before. A coroutine is awaited, on the event loop that the
 * package keeps for that.
 */
#include "base/error.h"
#include "serve.h"

#include <string.h>

/* ---- arguments ---- */

/* Where the binaries of a call are, and which of them the arguments spoke of. */
struct call_parts {
    sp_job *job;
    PyObject *spoken; /* a set of names, or NULL */
};

static int note_spoken(struct call_parts *parts, const char *name)
{
    if (parts->spoken == NULL) {
        parts->spoken = PySet_New(NULL);
    }
    PyObject *text = parts->spoken != NULL ? PyUnicode_FromString(name) : NULL;
    int rc = text != NULL ? PySet_Add(parts->spoken, text) : -1;
    Py_XDECREF(text);
    return rc;
}

static void drop_kept(void *kept)
{
    sp_kept_drop(kept);
}

static PyObject *slice_binary(void *user, const char *part, uint64_t at, uint64_t size)
{
    struct call_parts *parts = user;
    const char *name;
    sp_bytes value;
    for (size_t i = 0; sp_job_binary(parts->job, i, &name, &value); i++) {
        if (strcmp(name, part) != 0) {
            continue;
        }
        if (at > value.size || size > value.size - at) {
            PyErr_Format(sp__py_bridge.bad_args,
                         "%llu bytes from %llu on, the part '%s' has %zu",
                         (unsigned long long)size, (unsigned long long)at, part,
                         value.size);
            return NULL;
        }
        if (note_spoken(parts, name) < 0) {
            return NULL;
        }
        const char *data = value.data;
        sp_kept *kept = sp_job_keep(parts->job);
        return kept == NULL ? PyErr_NoMemory()
                            : sp__py_memory_new((sp_bytes){data + at, (size_t)size},
                                                kept, drop_kept);
    }
    PyErr_Format(sp__py_bridge.bad_args, "the call has no part '%s'", part);
    return NULL;
}

/* Binaries that the arguments do not speak of join them by name, as bytes. */
static int add_binaries(const struct call_parts *parts, PyObject *dict)
{
    const char *name;
    sp_bytes value;
    for (size_t i = 0; sp_job_binary(parts->job, i, &name, &value); i++) {
        PyObject *key = PyUnicode_FromString(name);
        int rc = key == NULL ? -1 : 0;
        if (rc == 0 && parts->spoken != NULL) {
            rc = PySet_Contains(parts->spoken, key);
        }
        if (rc == 0) {
            PyObject *bytes =
                PyBytes_FromStringAndSize(value.data, (Py_ssize_t)value.size);
            rc = bytes == NULL ? -1 : PyDict_SetItem(dict, key, bytes);
            Py_XDECREF(bytes);
        }
        Py_XDECREF(key);
        if (rc < 0) {
            return -1;
        }
    }
    return 0;
}

/* The decoded arguments: a dict, a list, or the names of `members`. NULL with an
 * exception. */
static PyObject *decoded(struct server *server, struct running *run,
                         struct call_parts *parts, struct members *members)
{
    const struct part_source source = {.slice = slice_binary, .user = parts};
    sp_bytes text = sp_job_args(run->job);
    if (text.size == 0) {
        text = (sp_bytes){"{}", 2};
    }
    sp_error err;
    sp__error_init(&err);
    PyObject *args =
        sp__py_decode(&server->keys, &source, members, text.data, text.size, &err);
    if (args != NULL && (PyTuple_CheckExact(args) || PyDict_CheckExact(args) ||
                         PyList_CheckExact(args))) {
        return args;
    }
    if (args != NULL) {
        PyErr_SetString(sp__py_bridge.bad_args,
                        "the arguments must be a JSON object or array");
        Py_DECREF(args);
    } else if (err.code < 0) {
        run->code = err.code; /* BAD_JSON, TOO_DEEP: told as it is */
        PyErr_SetString(sp__py_bridge.bad_args, err.message);
    }
    sp_error_clear(&err);
    return NULL;
}

/* As decoded(), with the binaries among them. */
static PyObject *arguments_of(struct server *server, struct running *run, long style,
                              struct known_tool *known, struct call_parts *parts,
                              struct members *members)
{
    const char *name;
    sp_bytes binary;
    int by_name = known != NULL &&
                  (style == STYLE_KEYWORDS || style == STYLE_CONTEXT) &&
                  !sp_job_binary(run->job, 0, &name, &binary);
    members->names = by_name ? known->arguments : NULL;
    members->count = 0;
    PyObject *args = decoded(server, run, parts, members);
    if (args == NULL || !PyDict_CheckExact(args)) {
        return args;
    }
    if (by_name) {
        Py_XSETREF(known->arguments, sp__py_members_names(args));
    } else if (add_binaries(parts, args) < 0) {
        Py_CLEAR(args);
    }
    return args;
}

/* ---- calling the tool ---- */

static PyObject *context_of(struct server *server)
{
    return PyObject_CallMethod(server->worker->helpers, "context", NULL);
}

/* first  what goes before the caller's arguments, or NULL */
static PyObject *call_positional(PyObject *callable, PyObject *first, PyObject *list,
                                 const struct call_parts *parts)
{
    PyObject *kwargs = PyDict_New();
    PyObject *positional = NULL;
    if (kwargs != NULL && (first == NULL || PyList_Insert(list, 0, first) == 0)) {
        positional = PyList_AsTuple(list);
    }
    PyObject *result = NULL;
    if (positional != NULL && add_binaries(parts, kwargs) == 0) {
        result = PyObject_Call(callable, positional, kwargs);
    }
    Py_XDECREF(kwargs);
    Py_XDECREF(positional);
    return result;
}

static PyObject *call_keywords(PyObject *callable, PyObject *first, PyObject *dict)
{
    /* The empty tuple is a singleton. */
    PyObject *positional = first != NULL ? PyTuple_Pack(1, first) : PyTuple_New(0);
    PyObject *result =
        positional != NULL ? PyObject_Call(callable, positional, dict) : NULL;
    Py_XDECREF(positional);
    return result;
}

static PyObject *call_members(PyObject *callable, PyObject *first,
                              const struct members *members)
{
    PyObject *stack[2 + MEMBERS_MAX]; /* the first is the callee's to use */
    size_t count = first != NULL;
    stack[1] = first;
    memcpy(stack + 1 + count, members->values,
           (size_t)members->count * sizeof *members->values);
    return PyObject_Vectorcall(callable, stack + 1,
                               count | PY_VECTORCALL_ARGUMENTS_OFFSET, members->names);
}

static PyObject *call_with(PyObject *callable, PyObject *first, PyObject *args,
                           const struct members *members,
                           const struct call_parts *parts)
{
    if (PyTuple_CheckExact(args)) {
        return call_members(callable, first, members);
    }
    return PyDict_CheckExact(args) ? call_keywords(callable, first, args)
                                   : call_positional(callable, first, args, parts);
}

static PyObject *call_dispatch(struct server *server, PyObject *callable,
                               PyObject *tool, PyObject *dict)
{
    PyObject *context = context_of(server);
    if (context == NULL) {
        return NULL;
    }
    PyObject *kwargs = Py_BuildValue("{sOsOsO}", "tool_name", tool, "arguments", dict,
                                     "context", context);
    Py_DECREF(context);
    PyObject *result = kwargs != NULL ? call_keywords(callable, NULL, kwargs) : NULL;
    Py_XDECREF(kwargs);
    return result;
}

static int set_context(struct server *server, PyObject *setter)
{
    if (setter == Py_None) {
        return 0;
    }
    PyObject *context = context_of(server);
    PyObject *result = context != NULL ? PyObject_CallOneArg(setter, context) : NULL;
    Py_XDECREF(context);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Run a tool. *ret_at_boundary says whether an exception may mean "bad arguments". */
PyObject *sp__py_invoke(struct server *server, struct running *run, PyObject *tool,
                        struct known_tool *known, int *ret_at_boundary)
{
    PyObject *callable = PyTuple_GET_ITEM(tool, 0);
    long style = PyLong_AsLong(PyTuple_GET_ITEM(tool, 1));
    struct call_parts parts = {.job = run->job};
    struct members members;
    PyObject *result = NULL;
    PyObject *context = NULL;
    PyObject *args = arguments_of(server, run, style, known, &parts, &members);
    if (args == NULL || set_context(server, PyTuple_GET_ITEM(tool, 2)) < 0) {
        goto drop_args;
    }
    if (style == STYLE_CONTEXT) {
        context = context_of(server);
        if (context == NULL) {
            goto drop_args;
        }
    }
    *ret_at_boundary = 1;
    if (style == STYLE_KEYWORDS || style == STYLE_CONTEXT) {
        result = call_with(callable, context, args, &members, &parts);
    } else if (!PyDict_CheckExact(args)) {
        PyErr_Format(sp__py_bridge.bad_args, "%U takes named arguments: a JSON object",
                     run->tool);
    } else if (style == STYLE_DICT) {
        result = PyObject_CallOneArg(callable, args);
    } else {
        result = call_dispatch(server, callable, run->tool, args);
    }
drop_args:
    Py_XDECREF(context);
    Py_XDECREF(args);
    sp__py_members_clear(&members);
    Py_XDECREF(parts.spoken);
    return result;
}

/* ---- results ---- */

int sp__py_is_awaitable(PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    return PyCoro_CheckExact(value) ||
           (type->tp_as_async != NULL && type->tp_as_async->am_await != NULL);
}

/* Types whose values are never awaited, iterated or unwrapped. */
int sp__py_is_plain(PyObject *value)
{
    return PyDict_CheckExact(value) || PyUnicode_CheckExact(value) ||
           PyLong_CheckExact(value) || PyFloat_CheckExact(value) ||
           PyList_CheckExact(value) || value == Py_None || PyBool_Check(value) ||
           PyBytes_CheckExact(value) || PyTuple_CheckExact(value);
}

/* Replace an awaitable by what it gives. */
PyObject *sp__py_awaited(struct server *server, PyObject *value)
{
    if (sp__py_is_plain(value) || !sp__py_is_awaitable(value)) {
        return value;
    }
    PyObject *result = PyObject_CallMethod(server->worker->helpers, "run", "O", value);
    Py_DECREF(value);
    return result;
}
