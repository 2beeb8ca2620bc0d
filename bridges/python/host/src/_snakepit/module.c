/* SPDX-License-Identifier: MIT */
/*
 * The module `snakepit._snakepit`: its types, and what the package gives it.
 *
 * Its state is the process's (host.h): importing it a second time gives the same types.
 */
#include "host.h"

struct host sp__pyhost;

static void on_fork(void)
{
    (void)atomic_fetch_add(&sp__pyhost.forks, 1);
}

/* _begin(make_error, plain, main_thread) */
static PyObject *begin(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *make_error, *plain;
    unsigned long main_thread;
    if (!PyArg_ParseTuple(args, "OOk:_begin", &make_error, &plain, &main_thread)) {
        return NULL;
    }
    Py_INCREF(make_error);
    Py_INCREF(plain);
    Py_XSETREF(sp__pyhost.make_error, make_error);
    Py_XSETREF(sp__pyhost.plain, plain);
    sp__pyhost.main_thread = main_thread;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"_begin", begin, METH_VARARGS, NULL},
    {"error_codes", sp__py_error_codes, METH_NOARGS,
     "error_codes()\n--\n\nEvery error: (code, number, category, retryable, gRPC "
     "status, "
     "text, what to do)."},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module)
{
    static int is_listening;
    if (!is_listening && pthread_atfork(NULL, NULL, on_fork) != 0) {
        (void)PyErr_NoMemory();
        return -1;
    }
    is_listening = 1;
    sp__py_codec =
        (struct codec_home){.package = "snakepit", .malformed = PyExc_ValueError};
    if (sp__pyhost_ask_init() < 0 ||
        sp__py_memory_type(module, "snakepit._snakepit.Memory") < 0 ||
        sp__pyhost_pit_type(module) < 0 || sp__pyhost_map_type(module) < 0 ||
        sp__pyhost_stream_type(module) < 0 || sp__pyhost_tool_type(module) < 0) {
        return -1;
    }
    return PyModule_AddStringConstant(module, "VERSION", sp_version());
}

/* 3.8's PyMODINIT_FUNC says nothing of visibility, and this build hides by default. */
__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit__snakepit(void);

PyMODINIT_FUNC PyInit__snakepit(void)
{
    return sp__py_extension("snakepit._snakepit",
                            "A pit of workers, for the package around it.", functions,
                            module_exec);
}
