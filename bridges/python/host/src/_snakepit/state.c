/* SPDX-License-Identifier: MIT */
/*
 * Sessions of the pit and their variables, with Python objects as values.
 *
 * Changing may wait for a disk, so it happens without the interpreter's lock. What only
 * reads does not wait.
 */
#include "host.h"

#include <string.h>

#include "base/mem.h"

/* The JSON of a value as a C string in bytes. Arrays that would travel beside it do not. */
static PyObject *json_of(PyObject *value)
{
    sp_bytes json, binary;
    struct writer *writer = sp__pyhost_write(value, &json, &binary);
    PyObject *text = NULL;
    if (writer == NULL) {
        return NULL;
    }
    if (binary.size > 0) {
        PyErr_SetString(PyExc_TypeError,
                        "bytes, and arrays of more than 10 KiB, are no values of a "
                        "variable: give tolist()");
    } else {
        text = PyBytes_FromStringAndSize(json.data, (Py_ssize_t)json.size);
    }
    sp__pyhost_write_end(writer);
    return text;
}

static PyObject *create(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    const char *id;
    PyObject *ttl, *metadata;
    int or_get;
    sp_session_options options = {.size = sizeof options};
    sp_error err = {0};
    PyObject *json = NULL;
    if (!PyArg_ParseTuple(args, "sOOi:_session_create", &id, &ttl, &metadata,
                          &or_get) ||
        sp__pyhost_ms(ttl, "ttl", &options.ttl_ms) < 0) {
        return NULL;
    }
    if (metadata != Py_None && (json = json_of(metadata)) == NULL) {
        return NULL;
    }
    options.metadata = json != NULL ? PyBytes_AS_STRING(json) : NULL;
    options.or_get = or_get;
    int rc = -1;
    sp_pit *pit = sp__pyhost_enter(self);
    if (pit != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        rc = sp_session_create(sp_pit_sessions(pit), id, &options, &err);
        Py_END_ALLOW_THREADS;
        sp__pyhost_leave(self);
    }
    Py_XDECREF(json);
    if (rc < 0) {
        return sp__pyhost_raise(self, &err);
    }
    return PyBool_FromLong(rc);
}

static double seconds(uint64_t ms)
{
    return ms == SP_UNLIMITED ? Py_HUGE_VAL : (double)ms / 1000.0;
}

static PyObject *info_dict(pit_object *self, const sp_session_info *info)
{
    PyObject *metadata = sp__pyhost_value_copy(
        self, (sp_bytes){info->metadata, strlen(info->metadata)}, (sp_bytes){0});
    if (metadata == NULL) {
        return NULL;
    }
    return Py_BuildValue(
        "{sN sN sd sd sd sd sK sK sK ss}", "id", sp__pyhost_text(info->id), "metadata",
        metadata, "ttl", seconds(info->ttl_ms), "remaining",
        seconds(info->remaining_ms), "created", (double)info->created_unix_ms / 1000.0,
        "used", (double)info->used_unix_ms / 1000.0, "bytes",
        (unsigned long long)info->bytes, "variables",
        (unsigned long long)info->variables, "programs",
        (unsigned long long)info->programs, "durability",
        sp_durability_name(info->durability));
}

static PyObject *get(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    const char *id;
    sp_session_info info = {0};
    sp_error err = {0};
    sp_pit *pit;
    if (!PyArg_ParseTuple(args, "s:_session_get", &id) ||
        (pit = sp__pyhost_enter(self)) == NULL) {
        return NULL;
    }
    int rc = sp_session_get(sp_pit_sessions(pit), id, &info, &err);
    sp__pyhost_leave(self);
    PyObject *dict = rc < 0 ? sp__pyhost_raise(self, &err) : info_dict(self, &info);
    sp_session_info_clear(&info);
    return dict;
}

static PyObject *delete (PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    const char *id;
    sp_error err = {0};
    int rc;
    sp_pit *pit;
    if (!PyArg_ParseTuple(args, "s:_session_delete", &id) ||
        (pit = sp__pyhost_enter(self)) == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    rc = sp_session_delete(sp_pit_sessions(pit), id, &err);
    Py_END_ALLOW_THREADS;
    sp__pyhost_leave(self);
    if (rc < 0) {
        return sp__pyhost_raise(self, &err);
    }
    Py_RETURN_NONE;
}

static void tell_session(const sp_session_info *info, void *user_data)
{
    PyObject **list = user_data;
    PyObject *id = sp__pyhost_text(info->id);
    if (*list != NULL && (id == NULL || PyList_Append(*list, id) < 0)) {
        Py_CLEAR(*list);
    }
    Py_XDECREF(id);
}

static PyObject *list(PyObject *object, PyObject *unused)
{
    (void)unused;
    pit_object *self = (pit_object *)object;
    sp_error err = {0};
    PyObject *ids = PyList_New(0);
    sp_pit *pit = ids != NULL ? sp__pyhost_enter(self) : NULL;
    if (pit == NULL) {
        Py_XDECREF(ids);
        return NULL;
    }
    int rc = sp_sessions_list(sp_pit_sessions(pit), tell_session, &ids, &err);
    sp__pyhost_leave(self);
    if (rc < 0) {
        Py_XDECREF(ids);
        return sp__pyhost_raise(self, &err);
    }
    return ids;
}

/* ---- variables ---- */

static PyObject *variable_get(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    const char *session, *name;
    sp_variable variable = {0};
    sp_error err = {0};
    sp_pit *pit;
    if (!PyArg_ParseTuple(args, "ss:_variable_get", &session, &name) ||
        (pit = sp__pyhost_enter(self)) == NULL) {
        return NULL;
    }
    int rc = sp_variable_get(sp_pit_sessions(pit), session, name, &variable, &err);
    sp__pyhost_leave(self);
    PyObject *value =
        rc < 0 ? sp__pyhost_raise(self, &err)
               : sp__pyhost_value_copy(self,
                                       (sp_bytes){variable.value, variable.value_size},
                                       (sp_bytes){0});
    sp_variable_clear(&variable);
    return value;
}

/* Set it, or register it; another thread may do either in between. */
static int set_or_register(sp_sessions *sessions, const char *session, const char *name,
                           const char *type, const char *value, sp_error *err)
{
    int rc = SP_ERR_NOT_FOUND;
    if (type == NULL) {
        rc = sp_variable_set(sessions, session, name, value, NULL, NULL, err);
    }
    if (rc == SP_ERR_NOT_FOUND && sp_session_exists(sessions, session)) {
        rc =
            sp_variable_register(sessions, session, name, type, value, NULL, NULL, err);
    }
    if (rc == SP_ERR_EXISTS && type == NULL) {
        rc = sp_variable_set(sessions, session, name, value, NULL, NULL, err);
    }
    return rc;
}

/* _variable_set(session, name, type or None, value) */
static PyObject *variable_set(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    const char *session, *name, *type;
    PyObject *value;
    sp_error err = {0};
    int rc = -1;
    if (!PyArg_ParseTuple(args, "sszO:_variable_set", &session, &name, &type, &value)) {
        return NULL;
    }
    PyObject *json = json_of(value);
    sp_pit *pit = json != NULL ? sp__pyhost_enter(self) : NULL;
    if (pit != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        rc = set_or_register(sp_pit_sessions(pit), session, name, type,
                             PyBytes_AS_STRING(json), &err);
        Py_END_ALLOW_THREADS;
        sp__pyhost_leave(self);
    }
    Py_XDECREF(json);
    if (rc < 0) {
        return sp__pyhost_raise(self, &err);
    }
    Py_RETURN_NONE;
}

static PyObject *variable_delete(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    const char *session, *name;
    sp_error err = {0};
    int rc;
    sp_pit *pit;
    if (!PyArg_ParseTuple(args, "ss:_variable_delete", &session, &name) ||
        (pit = sp__pyhost_enter(self)) == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    rc = sp_variable_delete(sp_pit_sessions(pit), session, name, NULL, &err);
    Py_END_ALLOW_THREADS;
    sp__pyhost_leave(self);
    if (rc < 0) {
        return sp__pyhost_raise(self, &err);
    }
    Py_RETURN_NONE;
}

static void tell_variable(const sp_variable *variable, void *user_data)
{
    PyObject **names = user_data;
    PyObject *name = sp__pyhost_text(variable->name);
    if (*names != NULL && (name == NULL || PyList_Append(*names, name) < 0)) {
        Py_CLEAR(*names);
    }
    Py_XDECREF(name);
}

static PyObject *variables(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    const char *session;
    sp_error err = {0};
    if (!PyArg_ParseTuple(args, "s:_variables", &session)) {
        return NULL;
    }
    PyObject *names = PyList_New(0);
    sp_pit *pit = names != NULL ? sp__pyhost_enter(self) : NULL;
    if (pit == NULL) {
        Py_XDECREF(names);
        return NULL;
    }
    int rc = sp_variables_list(sp_pit_sessions(pit), session, NULL, tell_variable,
                               &names, &err);
    sp__pyhost_leave(self);
    if (rc < 0) {
        Py_XDECREF(names);
        return sp__pyhost_raise(self, &err);
    }
    return names;
}

PyMethodDef sp__pyhost_state[] = {
    {"_session_create", create, METH_VARARGS, NULL},
    {"_session_get", get, METH_VARARGS, NULL},
    {"_session_delete", delete, METH_VARARGS, NULL},
    {"sessions", list, METH_NOARGS,
     "sessions($self, /)\n--\n\nThe ids of the sessions: a list."},
    {"_variable_get", variable_get, METH_VARARGS, NULL},
    {"_variable_set", variable_set, METH_VARARGS, NULL},
    {"_variable_delete", variable_delete, METH_VARARGS, NULL},
    {"_variables", variables, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
