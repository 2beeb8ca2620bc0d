/* SPDX-License-Identifier: MIT */
/*
 * The module `snakepit_bridge._worker`: types, exceptions, and the codec as two
 * functions.
 *
 * Its state is the process's, not the module's (see bridge.h): importing it a second time
 * gives the same types.
 */
#define PY_SSIZE_T_CLEAN
#include "ask.h"

#include "base/mem.h"

struct bridge sp__py_bridge;

static PyObject *module_decode(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *arg, *held = NULL;
    if (!PyArg_ParseTuple(args, "O|O!:decode", &arg, &PyDict_Type, &held)) {
        return NULL;
    }
    const struct part_source source = {.slice = sp__py_slice_held, .user = held};
    Py_buffer bytes;
    const char *text;
    Py_ssize_t size;
    int is_str = PyUnicode_Check(arg);
    if (is_str) {
        text = PyUnicode_AsUTF8AndSize(arg, &size);
        if (text == NULL) {
            return NULL;
        }
    } else {
        if (PyObject_GetBuffer(arg, &bytes, PyBUF_SIMPLE) < 0) {
            return NULL;
        }
        text = bytes.buf;
        size = bytes.len;
    }
    PyObject *value =
        sp__py_decode_or_raise(NULL, held != NULL ? &source : NULL, text, (size_t)size);
    if (!is_str) {
        PyBuffer_Release(&bytes);
    }
    return value;
}

/* The JSON of a value as bytes; with parts a pair of it and theirs. */
static PyObject *encode(PyObject *value, PyObject *fallback, struct parts *parts)
{
    struct encoder *encoder = sp__malloc(sizeof *encoder);
    if (encoder == NULL) {
        return PyErr_NoMemory();
    }
    sp__py_encoder_init(encoder, fallback);
    encoder->parts = parts;
    PyObject *result = NULL;
    sp_bytes binary;
    if (sp__py_encode(encoder, value) == 0) {
        const char *json = (const char *)encoder->out.data;
        Py_ssize_t size = (Py_ssize_t)encoder->out.size;
        if (parts == NULL) {
            result = PyBytes_FromStringAndSize(json, size);
        } else if (sp__py_parts_join(parts, &binary) == 0) {
            result =
                Py_BuildValue("y#y#", json, size, binary.size > 0 ? binary.data : "",
                              (Py_ssize_t)binary.size);
        }
    }
    sp__py_encoder_fini(encoder);
    sp__free(encoder);
    return result;
}

PyObject *sp__py_json(PyObject *value, PyObject *fallback)
{
    return encode(value, fallback, NULL);
}

static PyObject *module_encode(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *value, *fallback = Py_None;
    if (!PyArg_ParseTuple(args, "O|O:encode", &value, &fallback)) {
        return NULL;
    }
    return sp__py_json(value, fallback);
}

static PyObject *module_encode_parts(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *value, *fallback = Py_None;
    const char *name = NULL;
    struct parts parts;
    if (!PyArg_ParseTuple(args, "O|Oz:encode_parts", &value, &fallback, &name)) {
        return NULL;
    }
    sp__py_parts_init(&parts);
    parts.name = name;
    PyObject *result = encode(value, fallback, &parts);
    sp__py_parts_fini(&parts);
    return result;
}

static PyObject *module_current(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    PyObject *call = sp__py_current();
    if (call == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return call;
}

static PyObject *module_set_canceller(PyObject *module, PyObject *canceller)
{
    (void)module;
    sp__py_set_canceller(canceller == Py_None ? NULL : Py_NewRef(canceller));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"decode", module_decode, METH_VARARGS,
     "decode(text, parts=None): the value of JSON text or bytes; parts, a dict of "
     "buffers, has the arrays and bytes that it speaks of."},
    {"encode", module_encode, METH_VARARGS,
     "encode(value, fallback=None): JSON as bytes; fallback(value) stands in for what "
     "JSON cannot hold."},
    {"encode_parts", module_encode_parts, METH_VARARGS,
     "encode_parts(value, fallback=None, name=None): a pair of bytes, the JSON and "
     "what it speaks of as the part of that name, or ''."},
    {"error_codes", sp__py_error_codes, METH_NOARGS,
     "error_codes(): every error as (code, number, category, retryable, gRPC status, "
     "text, what to do)."},
    {"current", module_current, METH_NOARGS, "The Call that runs now, or None."},
    {"set_canceller", module_set_canceller, METH_O,
     "What to call when the running call is cancelled, with False and, when that did "
     "not "
     "end it, with True; None: raise Cancelled."},
    {NULL, NULL, 0, NULL},
};

static int add_exception(PyObject *module, PyObject **slot, const char *qualified,
                         const char *name, const char *doc, PyObject *base)
{
    if (*slot == NULL) {
        *slot = PyErr_NewExceptionWithDoc(qualified, doc, base, NULL);
    }
    return *slot == NULL ? -1 : PyModule_AddObjectRef(module, name, *slot);
}

static int add_exceptions(PyObject *module)
{
    struct bridge *bridge = &sp__py_bridge;
    if (add_exception(module, &bridge->cancelled, "snakepit_bridge.Cancelled",
                      "Cancelled",
                      "Raised inside a tool whose caller no longer waits. Not an "
                      "Exception, so that it is not caught by accident.",
                      PyExc_BaseException) < 0 ||
        add_exception(
            module, &bridge->bad_args, "snakepit_bridge.BadArguments", "BadArguments",
            "The arguments do not fit the tool. Raise it from a tool to say so "
            "with the code SP-BAD-ARGS.",
            PyExc_TypeError) < 0 ||
        add_exception(module, &bridge->no_tool, "snakepit_bridge.NoSuchTool",
                      "NoSuchTool", "The worker has no tool of that name.",
                      PyExc_LookupError) < 0 ||
        add_exception(module, &bridge->worker_error, "snakepit_bridge.WorkerError",
                      "WorkerError", "The worker's connection or runtime failed.",
                      PyExc_RuntimeError) < 0) {
        return -1;
    }
    return 0;
}

static int add_constants(PyObject *module)
{
    if (PyModule_AddIntConstant(module, "KEYWORDS", STYLE_KEYWORDS) < 0 ||
        PyModule_AddIntConstant(module, "DICT", STYLE_DICT) < 0 ||
        PyModule_AddIntConstant(module, "DISPATCH", STYLE_DISPATCH) < 0 ||
        PyModule_AddIntConstant(module, "CONTEXT", STYLE_CONTEXT) < 0 ||
        PyModule_AddIntConstant(module, "DEPTH_MAX", SP__JSON_DEPTH_MAX) < 0 ||
        PyModule_AddStringConstant(module, "PART", SP__PY_PART) < 0 ||
        PyModule_AddStringConstant(module, "VERSION", SP_VERSION_STRING) < 0) {
        return -1;
    }
    return 0;
}

static int module_exec(PyObject *module)
{
    if (sp__py_bridge.call_var == NULL) {
        sp__py_bridge.call_var = PyContextVar_New("snakepit_call", NULL);
    }
    if (sp__py_bridge.call_var == NULL ||
        PyModule_AddObjectRef(module, "call_var", sp__py_bridge.call_var) < 0 ||
        add_exceptions(module) < 0 || add_constants(module) < 0) {
        return -1;
    }
    sp__py_codec = (struct codec_home){.package = "snakepit_bridge",
                                       .malformed = sp__py_bridge.bad_args};
    if (sp__py_call_type(module) < 0 || sp__py_source_type(module) < 0 ||
        sp__py_memory_type(module, "snakepit_bridge._worker.Memory") < 0 ||
        sp__py_pending_type(module) < 0 || sp__py_worker_type(module) < 0 ||
        sp__py_telemetry_functions(module) < 0 || sp__py_zygote_functions(module) < 0 ||
        sp__py_hardware_functions(module) < 0) {
        return -1;
    }
    return 0;
}

/* 3.8's PyMODINIT_FUNC says nothing of visibility, and this build hides by default. */
__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit__worker(void);

PyMODINIT_FUNC PyInit__worker(void)
{
    return sp__py_extension(
        "snakepit_bridge._worker",
        "The worker runtime for Python: connection, serve loop and JSON codec.",
        functions, module_exec);
}
