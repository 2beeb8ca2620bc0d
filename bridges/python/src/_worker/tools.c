/* SPDX-License-Identifier: MIT */
/*
 * Methods of `_worker.Call` that call tools: functions of the host's program and tools of
 * other workers. One that gives a stream is asked through source.c.
 *
 * Arrays of the arguments travel in one binary beside the JSON, and so they come back. A
 * result of bytes beside null is given as bytes.
 */
#include "ask.h"

#include <string.h>

int sp__py_question(PyObject *args, struct question *ret)
{
    PyObject *json, *binary;
    const char *pool;
    unsigned long long timeout_ms;
    if (!PyArg_ParseTuple(args, "sSSzK:question", &ret->tool, &json, &binary, &pool,
                          &timeout_ms)) {
        return -1;
    }
    ret->json = (sp_bytes){PyBytes_AS_STRING(json), (size_t)PyBytes_GET_SIZE(json)};
    ret->binary = (sp_binary){
        .name = SP__PY_PART,
        .value = {PyBytes_AS_STRING(binary), (size_t)PyBytes_GET_SIZE(binary)}};
    ret->options = (sp_host_call_options){.size = sizeof ret->options,
                                          .pool = pool,
                                          .timeout_ms = timeout_ms,
                                          .binaries = &ret->binary,
                                          .binaries_count = ret->binary.value.size > 0};
    return 0;
}

PyObject *sp__py_answer(sp_bytes json, sp_bytes binary)
{
    if (binary.size == 0) {
        return sp__py_from_json(json.data, json.size, NULL);
    }
    PyObject *bytes = PyBytes_FromStringAndSize(binary.data, (Py_ssize_t)binary.size);
    if (bytes == NULL || json.size == 0 ||
        (json.size == 4 && memcmp(json.data, "null", 4) == 0)) {
        return bytes;
    }
    PyObject *held = Py_BuildValue("{sN}", "", bytes);
    PyObject *value =
        held != NULL ? sp__py_from_json(json.data, json.size, held) : NULL;
    Py_XDECREF(held);
    return value;
}

static PyObject *tool_call(PyObject *call, PyObject *args)
{
    struct question q;
    if (sp__py_question(args, &q) < 0) {
        return NULL;
    }
    sp_job *job = sp__py_ask_begin(call);
    if (job == NULL) {
        return NULL;
    }
    sp_host_result result = {0};
    sp_error err = {0};
    int rc = sp_job_call_host(job, q.tool, q.json, &q.options, &result, &err);
    if (sp__py_ask_end(call, job, rc, &err) < 0) {
        return NULL;
    }
    PyObject *value = sp__py_answer(result.json, result.binary);
    sp_host_result_clear(&result);
    return value;
}

/* ---- what the host offers ---- */

static PyObject *from_tool(const sp_job_host_tool *tool)
{
    const char *text = tool->input_schema;
    PyObject *schema = text != NULL && text[0] != '\0'
                           ? sp__py_from_json(text, strlen(text), NULL)
                           : PyDict_New();
    return schema == NULL
               ? NULL
               : Py_BuildValue("{szszsNsO}", "name", tool->name, "description",
                               tool->description, "schema", schema, "streaming",
                               tool->is_streaming ? Py_True : Py_False);
}

static void collect_tool(const sp_job_host_tool *tool, void *user_data)
{
    PyObject **list = user_data;
    if (*list != NULL) {
        sp__py_collect(list, from_tool(tool));
    }
}

static PyObject *host_tools(PyObject *call, PyObject *unused)
{
    (void)unused;
    PyObject *list = PyList_New(0);
    sp_job *job = list != NULL ? sp__py_ask_begin(call) : NULL;
    if (job == NULL) {
        Py_XDECREF(list);
        return NULL;
    }
    sp_error err = {0};
    int rc = sp_job_host_tools(job, collect_tool, &list, &err);
    return sp__py_listed(call, job, rc, &err, list);
}

PyMethodDef sp__py_tool_methods[] = {
    {"host_tools", host_tools, METH_NOARGS,
     "(): dicts with name, description, schema, streaming"},
    {"tool_call", tool_call, METH_VARARGS,
     "(tool, arguments, their binary, pool or None: the host, milliseconds or 0): the "
     "result"},
    {"tool_stream", sp__py_tool_stream, METH_VARARGS, "the same: a Source"},
    {"watch", sp__py_watch, METH_VARARGS,
     "(names or None, initial, the longest queue or 0): a Source"},
    {NULL, NULL, 0, NULL},
};
