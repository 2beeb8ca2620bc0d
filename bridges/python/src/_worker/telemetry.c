/* SPDX-License-Identifier: MIT */
/*
 * Events that tools report, from any thread.
 *
 * The objects become JSON first. Then, with nothing of the interpreter in between, the
 * worker is kept from being closed and the running call from ending, and the event is
 * told.
 */
#include "ask.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "snakepit/worker_telemetry.h"

static pthread_mutex_t in_use = PTHREAD_MUTEX_INITIALIZER; /* the open worker is */

void sp__py_telemetry_end(worker_object *worker)
{
    (void)pthread_mutex_lock(&in_use);
    if (sp__py_bridge.worker == worker) {
        sp__py_bridge.worker = NULL;
    }
    worker->worker = NULL;
    (void)pthread_mutex_unlock(&in_use);
}

static sp_worker *open_worker(void)
{
    worker_object *self = sp__py_bridge.worker;
    return self != NULL && !self->forgotten ? self->worker : NULL;
}

static int is_heard(const char *name)
{
    (void)pthread_mutex_lock(&in_use);
    int heard = sp_worker_wants(open_worker(), name);
    (void)pthread_mutex_unlock(&in_use);
    return heard;
}

static int tell(const sp_emission *event, sp_error *err)
{
    int rc = 0;
    (void)pthread_mutex_lock(&in_use);
    sp_worker *worker = open_worker();
    if (worker != NULL) {
        rc = sp_worker_emit(worker, event, err);
    }
    (void)pthread_mutex_unlock(&in_use);
    return rc;
}

static int tell_of_call(sp_emission *event, call_object *call, sp_error *err)
{
    int rc;
    Py_BEGIN_CRITICAL_SECTION(call);
    event->job = call->job; /* NULL once it has ended */
    rc = tell(event, err);
    Py_END_CRITICAL_SECTION();
    return rc;
}

/* ---- what calls do ---- */

static const char call_start[] = "python.call.start";
static const char call_stop[] = "python.call.stop";
static const char call_exception[] = "python.call.exception";

/* Whether anybody wants one of these, as it was when they were asked for last. */
static int are_calls_wanted(sp_worker *worker)
{
    static _Atomic int asked_at;
    static _Atomic int wanted_at;
    int stamp = sp_worker_listens(worker);
    if (stamp == 0 || stamp == atomic_load_explicit(&asked_at, memory_order_acquire)) {
        return stamp != 0 &&
               stamp == atomic_load_explicit(&wanted_at, memory_order_relaxed);
    }
    int wanted = sp_worker_wants(worker, call_start) ||
                 sp_worker_wants(worker, call_stop) ||
                 sp_worker_wants(worker, call_exception);
    if (wanted) {
        atomic_store_explicit(&wanted_at, stamp, memory_order_relaxed);
    }
    atomic_store_explicit(&asked_at, stamp, memory_order_release);
    return wanted;
}

static void tell_of_run(struct server *server, struct running *run, const char *name,
                        const char *measurements)
{
    (void)sp_worker_emit(server->worker->worker,
                         &(sp_emission){.size = sizeof(sp_emission),
                                        .name = name,
                                        .measurements = sp_text(measurements),
                                        .job = run->job,
                                        .span = &run->mark},
                         NULL);
}

void sp__py_tell_begin(struct server *server, struct running *run)
{
    if (are_calls_wanted(server->worker->worker)) {
        run->began_us = sp__now_us();
        tell_of_run(server, run, call_start, "{\"count\":1}");
    }
}

void sp__py_tell_end(struct server *server, struct running *run, int raised)
{
    char figures[64];
    if (run->began_us == 0 || server->worker->forgotten) {
        return;
    }
    (void)snprintf(figures, sizeof figures, "{\"duration\":%llu,\"count\":1}",
                   (unsigned long long)(sp__now_us() - run->began_us) * 1000);
    tell_of_run(server, run, raised ? call_exception : call_stop, figures);
    run->began_us = 0;
}

/* ---- what user code reports ---- */

/* A dict as JSON, in which what JSON cannot hold is its text; nothing for None. */
static int as_json(PyObject *dict, PyObject **ret_bytes, sp_bytes *ret)
{
    *ret_bytes = NULL;
    *ret = (sp_bytes){0};
    if (dict == Py_None) {
        return 0;
    }
    *ret_bytes = sp__py_json(dict, (PyObject *)&PyUnicode_Type);
    if (*ret_bytes == NULL) {
        return -1;
    }
    *ret =
        (sp_bytes){PyBytes_AS_STRING(*ret_bytes), (size_t)PyBytes_GET_SIZE(*ret_bytes)};
    return 0;
}

static int tell_current(sp_emission *event, sp_error *err)
{
    PyObject *call = sp__py_current();
    if (call == NULL) {
        PyErr_Clear();
        return tell(event, err);
    }
    int rc = tell_of_call(event, (call_object *)call, err);
    Py_DECREF(call);
    return rc;
}

static PyObject *emit(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *measurements, *metadata, *mark = Py_None;
    uint32_t span = 0;
    sp_emission event = {.size = sizeof event};
    if (!PyArg_ParseTuple(args, "sOO|zO:emit", &event.name, &measurements, &metadata,
                          &event.correlation_id, &mark)) {
        return NULL;
    }
    if (mark != Py_None) {
        span = (uint32_t)PyLong_AsUnsignedLong(mark);
        event.span = &span;
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    if (!is_heard(event.name)) {
        return PyLong_FromUnsignedLong(span);
    }
    PyObject *figures, *facts = NULL;
    sp_error err = {0};
    int rc = -1;
    if (as_json(measurements, &figures, &event.measurements) == 0 &&
        as_json(metadata, &facts, &event.metadata) == 0) {
        rc = tell_current(&event, &err);
    }
    Py_XDECREF(figures);
    Py_XDECREF(facts);
    if (rc < 0 && err.code != 0) {
        PyErr_SetString(PyExc_ValueError, err.message);
    }
    sp_error_clear(&err);
    return rc < 0 ? NULL
                  : PyLong_FromUnsignedLong(event.span != NULL ? span : (uint32_t)rc);
}

static PyObject *listens(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    (void)pthread_mutex_lock(&in_use);
    int heard = sp_worker_listens(open_worker()) != 0;
    (void)pthread_mutex_unlock(&in_use);
    return PyBool_FromLong(heard);
}

static PyObject *wants(PyObject *module, PyObject *name)
{
    (void)module;
    const char *text = PyUnicode_AsUTF8(name);
    return text != NULL ? PyBool_FromLong(is_heard(text)) : NULL;
}

static PyObject *events_dropped(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    (void)pthread_mutex_lock(&in_use);
    uint64_t dropped = sp_worker_events_dropped(open_worker());
    (void)pthread_mutex_unlock(&in_use);
    return PyLong_FromUnsignedLongLong(dropped);
}

static PyMethodDef functions[] = {
    {"listens", listens, METH_NOARGS, "Whether anybody would hear of an event."},
    {"wants", wants, METH_O, "Whether anybody would hear of an event of this name."},
    {"emit", emit, METH_VARARGS,
     "emit(name, measurements, metadata, correlation_id=None, mark=None): report an "
     "event; both are dicts or None. With a mark, 0 at first, it is one of a span, and "
     "the mark for further ones is given; else whether somebody gets it."},
    {"events_dropped", events_dropped, METH_NOARGS,
     "Events that listeners lost because they did not read."},
    {NULL, NULL, 0, NULL},
};

int sp__py_telemetry_functions(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
