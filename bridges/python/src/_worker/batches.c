/* SPDX-License-Identifier: MIT */
/*
 * Methods of `_worker.Call` about several variables: lists, batches, history, export.
 *
 * Texts of a batch are borrowed from the Python objects that were given, which are held
 * by a tuple of our own until the answer has come.
 */
#include "ask.h"

#include "base/mem.h"

static void collect_variable(const sp_variable *variable, void *user_data)
{
    PyObject **list = user_data;
    if (*list != NULL) {
        sp__py_collect(list, sp__py_from_variable(variable, NULL));
    }
}

static void collect_dependency(const char *from, const char *to, const char *kind,
                               void *user_data)
{
    PyObject **list = user_data;
    if (*list != NULL) {
        sp__py_collect(list, Py_BuildValue("(sss)", from, to, kind));
    }
}

static PyObject *variables_list(PyObject *call, PyObject *args)
{
    const char *pattern;
    if (!PyArg_ParseTuple(args, "z:variables_list", &pattern)) {
        return NULL;
    }
    PyObject *list = PyList_New(0);
    sp_job *job = list != NULL ? sp__py_ask_begin(call) : NULL;
    if (job == NULL) {
        Py_XDECREF(list);
        return NULL;
    }
    sp_error err = {0};
    int rc = sp_job_variables_list(job, pattern, collect_variable, &list, &err);
    return sp__py_listed(call, job, rc, &err, list);
}

static PyObject *variable_history(PyObject *call, PyObject *args)
{
    const char *name;
    Py_ssize_t limit;
    if (!PyArg_ParseTuple(args, "sn:variable_history", &name, &limit)) {
        return NULL;
    }
    PyObject *list = PyList_New(0);
    sp_job *job = list != NULL ? sp__py_ask_begin(call) : NULL;
    if (job == NULL) {
        Py_XDECREF(list);
        return NULL;
    }
    sp_error err = {0};
    int rc = sp_job_variable_history(job, name, limit < 0 ? 0 : (size_t)limit,
                                     collect_variable, &list, &err);
    return sp__py_listed(call, job, rc, &err, list);
}

static PyObject *variable_dependencies(PyObject *call, PyObject *args)
{
    const char *name;
    if (!PyArg_ParseTuple(args, "z:variable_dependencies", &name)) {
        return NULL;
    }
    PyObject *list = PyList_New(0);
    sp_job *job = list != NULL ? sp__py_ask_begin(call) : NULL;
    if (job == NULL) {
        Py_XDECREF(list);
        return NULL;
    }
    sp_error err = {0};
    int rc = sp_job_variable_dependencies(job, name, collect_dependency, &list, &err);
    return sp__py_listed(call, job, rc, &err, list);
}

/* ---- batches ---- */

static void keep_found(size_t index, const sp_variable *variable,
                       const sp_tensor *array, void *user_data)
{
    PyObject **list = user_data;
    PyObject *item = *list != NULL ? sp__py_from_variable(variable, array) : NULL;
    if (item == NULL) {
        Py_CLEAR(*list);
    } else if (PyList_SetItem(*list, (Py_ssize_t)index, item) < 0) {
        Py_CLEAR(*list);
    }
}

/* What is found, in the order of the names; None for those that are not. */
static PyObject *get_named(PyObject *call, const char **names, size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyList_SET_ITEM(list, (Py_ssize_t)i, Py_NewRef(Py_None));
    }
    sp_job *job = list != NULL ? sp__py_ask_begin(call) : NULL;
    if (job == NULL) {
        Py_XDECREF(list);
        return NULL;
    }
    sp_error err = {0};
    int rc = sp_job_variables_get_arrays(job, names, count, keep_found, &list, &err);
    return sp__py_listed(call, job, rc, &err, list);
}

static PyObject *variables_get(PyObject *call, PyObject *sequence)
{
    PyObject *tuple;
    const char **names;
    if (sp__py_names(sequence, &tuple, &names) < 0) {
        return NULL;
    }
    PyObject *result = get_named(call, names, (size_t)PyTuple_GET_SIZE(tuple));
    sp__py_names_free(tuple, names);
    return result;
}

/* What a batch sets, borrowed from its (name, value) pairs. */
struct batch {
    sp_variable_update *updates;
    struct new_value *values;
    const sp_tensor **arrays;
};

static void batch_fini(struct batch *batch)
{
    sp__free(batch->updates);
    sp__free(batch->values);
    sp__free((void *)batch->arrays);
}

static int batch_init(struct batch *batch, PyObject *tuple)
{
    size_t count = (size_t)PyTuple_GET_SIZE(tuple);
    *batch = (struct batch){.updates = sp__calloc(count + 1, sizeof *batch->updates),
                            .values = sp__calloc(count + 1, sizeof *batch->values),
                            .arrays = sp__calloc(count + 1, sizeof *batch->arrays)};
    if (batch->updates == NULL || batch->values == NULL || batch->arrays == NULL) {
        (void)PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *pair = PyTuple_GET_ITEM(tuple, (Py_ssize_t)i);
        PyObject *value;
        if (!PyTuple_Check(pair)) {
            PyErr_SetString(PyExc_TypeError, "an update is a tuple of two");
            return -1;
        }
        if (!PyArg_ParseTuple(pair, "sO:update", &batch->updates[i].name, &value) ||
            sp__py_new_value(value, &batch->values[i]) < 0) {
            return -1;
        }
        batch->updates[i].value = batch->values[i].json;
        batch->arrays[i] = batch->values[i].is_array ? &batch->values[i].array : NULL;
    }
    return 0;
}

static PyObject *take_outcomes(const sp_variable_update *updates, size_t count)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < count; i++) {
        const sp_variable_update *u = &updates[i];
        sp__py_collect(&list,
                       Py_BuildValue("(iKs)", u->code, (unsigned long long)u->version,
                                     u->message));
    }
    return list;
}

static PyObject *variables_set(PyObject *call, PyObject *args)
{
    PyObject *sequence;
    int atomic;
    const char *metadata, *owner;
    if (!PyArg_ParseTuple(args, "OpO&z:variables_set", &sequence, &atomic,
                          sp__py_optional_bytes, &metadata, &owner)) {
        return NULL;
    }
    PyObject *tuple = PySequence_Tuple(sequence);
    if (tuple == NULL) {
        return NULL;
    }
    size_t count = (size_t)PyTuple_GET_SIZE(tuple);
    struct batch batch;
    PyObject *result = NULL;
    sp_job *job = batch_init(&batch, tuple) == 0 ? sp__py_ask_begin(call) : NULL;
    if (job != NULL) {
        sp_change_options options = {.size = sizeof options,
                                     .metadata = metadata,
                                     .changed_by = "python",
                                     .owner = owner};
        sp_error err = {0};
        int rc = sp_job_variables_set_arrays(job, batch.updates, batch.arrays, count,
                                             atomic, &options, &err);
        if (sp__py_ask_end(call, job, rc, &err) == 0) {
            result = take_outcomes(batch.updates, count);
        }
    }
    batch_fini(&batch);
    Py_DECREF(tuple);
    return result;
}

/* ---- export and import ---- */

static void keep_json(sp_bytes json, void *user_data)
{
    PyObject **ret = user_data;
    *ret = sp__py_from_json(json.data, json.size, NULL);
}

static PyObject *variables_export(PyObject *call, PyObject *unused)
{
    (void)unused;
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    PyObject *exported = NULL;
    sp_error err = {0};
    int rc = sp_job_variables_export(job, keep_json, &exported, &err);
    return sp__py_listed(call, job, rc, &err, exported);
}

static PyObject *variables_import(PyObject *call, PyObject *args)
{
    const char *json;
    if (!PyArg_ParseTuple(args, "y:variables_import", &json)) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_error err = {0};
    int rc = sp_job_variables_import(job, json, &err);
    return sp__py_ask_end(call, job, rc, &err) < 0 ? NULL : PyLong_FromLong(rc);
}

PyMethodDef sp__py_batch_methods[] = {
    {"variables_list", variables_list, METH_VARARGS, "(pattern or None): variables"},
    {"variable_history", variable_history, METH_VARARGS,
     "(name, limit): versions, the newest first"},
    {"variable_dependencies", variable_dependencies, METH_VARARGS,
     "(name or None): tuples (from, to, kind)"},
    {"variables_get", variables_get, METH_O,
     "(names): variables, None for missing ones"},
    {"variables_set", variables_set, METH_VARARGS,
     "([(name, value)], atomic, metadata or None, owner or None): tuples (code, "
     "version, "
     "message)"},
    {"variables_export", variables_export, METH_NOARGS, "(): a list of dicts"},
    {"variables_import", variables_import, METH_VARARGS, "(json): how many"},
    {NULL, NULL, 0, NULL},
};
