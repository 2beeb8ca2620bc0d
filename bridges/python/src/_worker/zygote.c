/* SPDX-License-Identifier: MIT */
/*
 * The zygote as functions of the module: what _zygote.py needs of it.
 *
 * There is one in a process at most. The interpreter's lock is held throughout: the
 * process has one thread, and a fork with the lock given up would have nobody to take it.
 * The fork is the C library's, so what Python does around os.fork() is done here.
 */
#include "bridge.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "snakepit/zygote.h"

static sp_zygote *zygote;

/* Before each fork, while it makes workers. */
static struct {
    Py_buffer noise;   /* gets random bytes, or nothing */
    PyObject *prepare; /* is called, or None */
} each;

static int has_zygote(void)
{
    if (zygote == NULL) {
        PyErr_SetString(sp__py_bridge.worker_error, "this process is no zygote");
    }
    return zygote != NULL;
}

static void make_noise(char *at, size_t left)
{
    while (left > 0) {
        ssize_t n = getrandom(at, left, 0);
        if (n < 0 && errno != EINTR) {
            return; /* a kernel without it runs no zygote */
        }
        n = n < 0 ? 0 : n;
        at += n;
        left -= (size_t)n;
    }
}

static void before_fork(void *unused)
{
    (void)unused;
    make_noise(each.noise.buf, (size_t)each.noise.len);
    if (each.prepare != Py_None) {
        PyObject *done = PyObject_CallNoArgs(each.prepare);
        if (done == NULL) {
            PyErr_WriteUnraisable(each.prepare);
        }
        Py_XDECREF(done);
    }
    PyOS_BeforeFork();
}

static void after_fork(void *unused)
{
    (void)unused;
    PyOS_AfterFork_Parent();
}

static PyObject *zygote_wanted(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyBool_FromLong(zygote == NULL && sp_zygote_is_wanted());
}

static PyObject *zygote_open(PyObject *module, PyObject *args)
{
    (void)module;
    sp_zygote_options options = {
        .size = sizeof options, .on_fork = before_fork, .on_forked = after_fork};
    sp_error err = {0};
    if (!PyArg_ParseTuple(args, "s:zygote_open", &options.runtime)) {
        return NULL;
    }
    if (zygote != NULL) {
        PyErr_SetString(sp__py_bridge.worker_error, "this process is a zygote already");
        return NULL;
    }
    if (sp_zygote_open(&options, &zygote, &err) < 0) {
        return sp__py_raise(&err);
    }
    Py_RETURN_NONE;
}

static PyObject *zygote_threads(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromLong(sp_zygote_threads());
}

static PyObject *zygote_announce(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    sp_error err = {0};
    if (!has_zygote()) {
        return NULL;
    }
    (void)fflush(NULL); /* or every worker would write it */
    (void)malloc_trim(0);
    if (sp_zygote_announce(zygote, &err) < 0) {
        return sp__py_raise(&err);
    }
    Py_RETURN_NONE;
}

static PyObject *zygote_refuse(PyObject *module, PyObject *args)
{
    (void)module;
    int permanent;
    const char *type, *message, *trace;
    if (!PyArg_ParseTuple(args, "pzzz:zygote_refuse", &permanent, &type, &message,
                          &trace) ||
        !has_zygote()) {
        return NULL;
    }
    sp_zygote_refuse(zygote, permanent, type, message, trace);
    Py_RETURN_NONE;
}

/* "NAME=value" strings as a dict. */
static PyObject *variables(void)
{
    PyObject *dict = PyDict_New();
    const char *const *at = sp_zygote_variables(zygote);
    for (; dict != NULL && *at != NULL; at++) {
        const char *equals = strchr(*at, '=');
        PyObject *name = PyUnicode_DecodeFSDefaultAndSize(*at, equals - *at);
        PyObject *value = PyUnicode_DecodeFSDefault(equals + 1);
        if (name == NULL || value == NULL || PyDict_SetItem(dict, name, value) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(name);
        Py_XDECREF(value);
    }
    return dict;
}

static PyObject *zygote_next(PyObject *module, PyObject *args)
{
    (void)module;
    sp_error err = {0};
    PyObject *noise;
    if (!PyArg_ParseTuple(args, "OO:zygote_next", &noise, &each.prepare) ||
        !has_zygote() ||
        (noise != Py_None &&
         PyObject_GetBuffer(noise, &each.noise, PyBUF_WRITABLE) < 0)) {
        return NULL;
    }
    int rc = sp_zygote_next(zygote, &err);
    if (rc > 0) {
        PyOS_AfterFork_Child();
    }
    PyObject *result = rc > 0 ? variables() : NULL;
    sp_zygote_close(zygote);
    zygote = NULL;
    PyBuffer_Release(&each.noise); /* fine for an empty one */
    if (rc < 0) {
        return sp__py_raise(&err);
    }
    if (rc == 0) {
        Py_RETURN_NONE;
    }
    return result;
}

static PyMethodDef functions[] = {
    {"zygote_wanted", zygote_wanted, METH_NOARGS,
     "Whether the host has started this process as a zygote."},
    {"zygote_open", zygote_open, METH_VARARGS,
     "zygote_open(runtime): become the zygote, before anything else is loaded."},
    {"zygote_threads", zygote_threads, METH_NOARGS,
     "How many threads this process has, as the kernel counts them."},
    {"zygote_announce", zygote_announce, METH_NOARGS,
     "Tell the host that workers can be made."},
    {"zygote_refuse", zygote_refuse, METH_VARARGS,
     "zygote_refuse(permanent, type, message, trace): tell the host why not."},
    {"zygote_next", zygote_next, METH_VARARGS,
     "zygote_next(noise, prepare): make workers; before each fill the buffer noise "
     "with "
     "random bytes and call prepare(), unless they are None. In each worker: its "
     "variables, as a dict. In the zygote: None, when it is wanted no more."},
    {NULL, NULL, 0, NULL},
};

int sp__py_zygote_functions(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
