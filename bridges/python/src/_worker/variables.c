/* SPDX-License-Identifier: MIT */
/*
 * Methods of `_worker.Call` about one variable of its session. Values, constraints and
 * metadata come as JSON in bytes, large arrays as they are. A name with a NUL is a
 * ValueError, before anybody is asked.
 */
#include "ask.h"

/* Whose change it is, for the history. */
static sp_change_options change_options(const char *metadata, const char *owner)
{
    return (sp_change_options){.size = sizeof(sp_change_options),
                               .metadata = metadata,
                               .changed_by = "python",
                               .owner = owner};
}

/* The version expected, if one is. */
static int expect(sp_change_options *options, PyObject *version)
{
    if (version == Py_None) {
        return 0;
    }
    options->check_version = 1;
    options->expected_version = PyLong_AsUnsignedLongLong(version);
    return PyErr_Occurred() ? -1 : 0;
}

/* The variable (taken) as a dict. */
static PyObject *take_variable(sp_variable *variable)
{
    PyObject *dict = sp__py_from_variable(variable, NULL);
    sp_variable_clear(variable);
    return dict;
}

static PyObject *variable_register(PyObject *call, PyObject *args)
{
    const char *name, *type, *constraints, *metadata;
    PyObject *object;
    struct new_value value;
    if (!PyArg_ParseTuple(args, "szOO&O&:variable_register", &name, &type, &object,
                          sp__py_optional_bytes, &constraints, sp__py_optional_bytes,
                          &metadata) ||
        sp__py_new_value(object, &value) < 0) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_change_options options = change_options(metadata, NULL);
    options.constraints = constraints;
    sp_variable variable = {0};
    sp_error err = {0};
    int rc = value.is_array
                 ? sp_job_variable_register_array(job, name, type, &value.array,
                                                  &options, &variable, &err)
                 : sp_job_variable_register(job, name, type, value.json, &options,
                                            &variable, &err);
    if (sp__py_ask_end(call, job, rc, &err) < 0) {
        return NULL;
    }
    if (!value.is_array) {
        return take_variable(&variable);
    }
    PyObject *dict = Py_BuildValue("{ss}", "id", variable.id);
    sp_variable_clear(&variable);
    return dict;
}

static void keep_found(size_t index, const sp_variable *variable,
                       const sp_tensor *array, void *user_data)
{
    PyObject **ret = user_data;
    (void)index;
    *ret = sp__py_from_variable(variable, array);
}

static PyObject *variable_get(PyObject *call, PyObject *args)
{
    const char *name;
    if (!PyArg_ParseTuple(args, "s:variable_get", &name)) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    PyObject *found = NULL;
    sp_error err = {0};
    int rc = sp_job_variable_get_array(job, name, keep_found, &found, &err);
    return sp__py_listed(call, job, rc, &err, found);
}

static PyObject *variable_set(PyObject *call, PyObject *args)
{
    const char *name, *metadata, *owner;
    PyObject *object, *expected;
    struct new_value value;
    if (!PyArg_ParseTuple(args, "sOO&Oz:variable_set", &name, &object,
                          sp__py_optional_bytes, &metadata, &expected, &owner) ||
        sp__py_new_value(object, &value) < 0) {
        return NULL;
    }
    sp_change_options options = change_options(metadata, owner);
    sp_job *job = expect(&options, expected) == 0 ? sp__py_ask_begin(call) : NULL;
    if (job == NULL) {
        return NULL;
    }
    uint64_t version = 0;
    sp_error err = {0};
    int rc = value.is_array
                 ? sp_job_variable_set_array(job, name, &value.array, &options,
                                             &version, &err)
                 : sp_job_variable_set(job, name, value.json, &options, &version, &err);
    return sp__py_ask_end(call, job, rc, &err) < 0
               ? NULL
               : PyLong_FromUnsignedLongLong(version);
}

static PyObject *variable_delete(PyObject *call, PyObject *args)
{
    const char *name, *owner;
    if (!PyArg_ParseTuple(args, "sz:variable_delete", &name, &owner)) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_change_options options = change_options(NULL, owner);
    sp_error err = {0};
    int rc = sp_job_variable_delete(job, name, &options, &err);
    return sp__py_ask_end(call, job, rc, &err) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *variable_rollback(PyObject *call, PyObject *args)
{
    const char *name, *owner;
    unsigned long long to;
    if (!PyArg_ParseTuple(args, "sKz:variable_rollback", &name, &to, &owner)) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_change_options options = change_options(NULL, owner);
    uint64_t version = 0;
    sp_error err = {0};
    int rc = sp_job_variable_rollback(job, name, to, &options, &version, &err);
    return sp__py_ask_end(call, job, rc, &err) < 0
               ? NULL
               : PyLong_FromUnsignedLongLong(version);
}

static PyObject *variable_lock(PyObject *call, PyObject *args)
{
    const char *name, *owner;
    if (!PyArg_ParseTuple(args, "ss:variable_lock", &name, &owner)) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_error err = {0};
    int rc = sp_job_variable_lock(job, name, owner, &err);
    return sp__py_ask_end(call, job, rc, &err) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *variable_unlock(PyObject *call, PyObject *args)
{
    const char *name, *owner;
    if (!PyArg_ParseTuple(args, "sz:variable_unlock", &name, &owner)) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_variable variable = {0};
    sp_error err = {0};
    int rc = sp_job_variable_unlock(job, name, owner, &variable, &err);
    return sp__py_ask_end(call, job, rc, &err) < 0 ? NULL : take_variable(&variable);
}

static PyObject *variable_depend(PyObject *call, PyObject *args)
{
    const char *from, *to, *kind;
    if (!PyArg_ParseTuple(args, "ssz:variable_depend", &from, &to, &kind)) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_error err = {0};
    int rc = sp_job_variable_depend(job, from, to, kind, &err);
    return sp__py_ask_end(call, job, rc, &err) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *variable_undepend(PyObject *call, PyObject *args)
{
    const char *from, *to;
    if (!PyArg_ParseTuple(args, "ss:variable_undepend", &from, &to)) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_error err = {0};
    int rc = sp_job_variable_undepend(job, from, to, &err);
    return sp__py_ask_end(call, job, rc, &err) < 0 ? NULL : Py_NewRef(Py_None);
}

PyMethodDef sp__py_variable_methods[] = {
    {"variable_register", variable_register, METH_VARARGS,
     "(name, type or None, value, constraints or None, metadata or None): the "
     "variable, of an array its id only"},
    {"variable_get", variable_get, METH_VARARGS, "(name): the variable"},
    {"variable_set", variable_set, METH_VARARGS,
     "(name, value, metadata or None, expected version or None, owner or None): the "
     "new version"},
    {"variable_delete", variable_delete, METH_VARARGS, "(name, owner or None)"},
    {"variable_rollback", variable_rollback, METH_VARARGS,
     "(name, version, owner or None): the new version"},
    {"variable_lock", variable_lock, METH_VARARGS, "(name, owner)"},
    {"variable_unlock", variable_unlock, METH_VARARGS,
     "(name, owner or None: by force): the variable"},
    {"variable_depend", variable_depend, METH_VARARGS, "(from, to, kind or None)"},
    {"variable_undepend", variable_undepend, METH_VARARGS, "(from, to)"},
    {NULL, NULL, 0, NULL},
};
