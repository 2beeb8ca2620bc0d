/* SPDX-License-Identifier: MIT */
/*
 * Methods of `_worker.Call` about programs, those of its session and the global ones, and
 * about the session itself.
 */
#include "ask.h"

static PyObject *program_store(PyObject *call, PyObject *args)
{
    const char *id, *data;
    int is_global, must_exist;
    long long ttl_ms;
    if (!PyArg_ParseTuple(args, "sypLp:program_store", &id, &data, &is_global, &ttl_ms,
                          &must_exist)) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_error err = {0};
    uint64_t ttl = ttl_ms < 0 ? SP_UNLIMITED : (uint64_t)ttl_ms;
    int rc = must_exist ? sp_job_program_update(job, is_global, id, data, &err)
                        : sp_job_program_store(job, is_global, id, data, ttl, &err);
    return sp__py_ask_end(call, job, rc, &err) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *program_get(PyObject *call, PyObject *args)
{
    const char *id;
    int is_global;
    if (!PyArg_ParseTuple(args, "sp:program_get", &id, &is_global)) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_program program = {0};
    sp_error err = {0};
    int rc = sp_job_program_get(job, is_global, id, &program, &err);
    if (sp__py_ask_end(call, job, rc, &err) < 0) {
        return NULL;
    }
    PyObject *dict = sp__py_from_program(&program);
    sp_program_clear(&program);
    return dict;
}

static PyObject *program_delete(PyObject *call, PyObject *args)
{
    const char *id;
    int is_global;
    if (!PyArg_ParseTuple(args, "sp:program_delete", &id, &is_global)) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_error err = {0};
    int rc = sp_job_program_delete(job, is_global, id, &err);
    return sp__py_ask_end(call, job, rc, &err) < 0 ? NULL : Py_NewRef(Py_None);
}

static void collect_program(const sp_program *program, void *user_data)
{
    PyObject **list = user_data;
    if (*list != NULL) {
        sp__py_collect(list, sp__py_from_program(program));
    }
}

static PyObject *programs_list(PyObject *call, PyObject *args)
{
    int is_global;
    if (!PyArg_ParseTuple(args, "p:programs_list", &is_global)) {
        return NULL;
    }
    PyObject *list = PyList_New(0);
    sp_job *job = list != NULL ? sp__py_ask_begin(call) : NULL;
    if (job == NULL) {
        Py_XDECREF(list);
        return NULL;
    }
    sp_error err = {0};
    int rc = sp_job_programs_list(job, is_global, collect_program, &list, &err);
    return sp__py_listed(call, job, rc, &err, list);
}

static PyObject *session_info(PyObject *call, PyObject *unused)
{
    (void)unused;
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_session_info info = {0};
    sp_error err = {0};
    int rc = sp_job_session_get(job, &info, &err);
    if (sp__py_ask_end(call, job, rc, &err) < 0) {
        return NULL;
    }
    PyObject *dict = sp__py_from_session(&info);
    sp_session_info_clear(&info);
    return dict;
}

static PyObject *session_begin(PyObject *call, PyObject *unused)
{
    (void)unused;
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_error err = {0};
    int rc = sp_job_session_begin(job, &err);
    return sp__py_ask_end(call, job, rc, &err) < 0 ? NULL : Py_NewRef(Py_None);
}

static int edit_metadata(const sp_session_info *info, sp_session_edit *edit,
                         void *user_data, sp_error *err)
{
    (void)info;
    (void)err;
    edit->metadata = user_data;
    return SP_OK;
}

static PyObject *session_update(PyObject *call, PyObject *args)
{
    char *metadata;
    if (!PyArg_ParseTuple(args, "y:session_update", &metadata)) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_error err = {0};
    int rc = sp_job_session_update(job, edit_metadata, metadata, &err);
    return sp__py_ask_end(call, job, rc, &err) < 0 ? NULL : Py_NewRef(Py_None);
}

PyMethodDef sp__py_program_methods[] = {
    {"program_store", program_store, METH_VARARGS,
     "(id, data, is global, milliseconds to live or -1: for ever, must exist)"},
    {"program_get", program_get, METH_VARARGS, "(id, is global): the program"},
    {"program_delete", program_delete, METH_VARARGS, "(id, is global)"},
    {"programs_list", programs_list, METH_VARARGS, "(is global): programs"},
    {"session_begin", session_begin, METH_NOARGS, "(): begin it, unless there is one"},
    {"session_info", session_info, METH_NOARGS, "(): the session"},
    {"session_update", session_update, METH_VARARGS, "(metadata)"},
    {NULL, NULL, 0, NULL},
};
