/* SPDX-License-Identifier: MIT */
/*
 * What a pit can tell of itself: pools, workers, tools, health. Each asks the pit's loop,
 * without the interpreter's lock, and makes Python objects of the copy it gets.
 */
#include "host.h"

#include "base/mem.h"

#define U64(value) ((unsigned long long)(value))

static PyObject *stats_dict(const sp_pool_stats *s)
{
    return Py_BuildValue(
        "{sN sN sI sI sI sI sI sI sI si sI sI sI sK sK sK sK sK sK sK sK sK sK sK sK "
        "sK}",
        "name", sp__pyhost_text(s->name), "adapter", sp__pyhost_text(s->adapter),
        "workers", s->workers, "capacity", s->capacity, "starting", s->starting,
        "available", s->available, "busy", s->busy, "draining", s->draining, "backoff",
        s->backoff, "breaker", s->breaker, "queued", s->queued, "queued_peak",
        s->queued_peak, "queue_max", s->queue_max, "requests", U64(s->requests),
        "succeeded", U64(s->succeeded), "errors", U64(s->errors), "queue_timeouts",
        U64(s->queue_timeouts), "call_timeouts", U64(s->call_timeouts), "cancelled",
        U64(s->cancelled), "pool_saturated", U64(s->pool_saturated), "chunks",
        U64(s->chunks), "workers_started", U64(s->workers_started), "workers_died",
        U64(s->workers_died), "retried", U64(s->retried), "recycled", U64(s->recycled),
        "poisoned", U64(s->poisoned));
}

static PyObject *pit_stats(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    const char *pool = NULL;
    sp_pool_stats stats;
    sp_error err = {0};
    int rc;
    sp_pit *pit = NULL;
    if (!PyArg_ParseTuple(args, "|z:stats", &pool) ||
        (pit = sp__pyhost_enter(self)) == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    rc = sp_pool_stats_get(pit, pool, &stats, &err);
    Py_END_ALLOW_THREADS;
    sp__pyhost_leave(self);
    return rc < 0 ? sp__pyhost_raise(self, &err) : stats_dict(&stats);
}

static PyObject *worker_dict(const sp_worker_info *w)
{
    static const char *const states[] = {
        [SP_WORKER_STARTING] = "starting", [SP_WORKER_READY] = "ready",
        [SP_WORKER_BUSY] = "busy",         [SP_WORKER_STOPPING] = "stopping",
        [SP_WORKER_BACKOFF] = "backoff",   [SP_WORKER_DRAINING] = "draining"};
    return Py_BuildValue(
        "{sK sI ss si sI sI sK sd sd sI sK sK sI sN}", "id", U64(w->id), "slot",
        w->slot, "state", states[w->state], "pid", w->pid, "in_flight", w->in_flight,
        "capacity", w->capacity, "calls_total", U64(w->calls_total), "age",
        (double)w->age_ms / 1000.0, "ready", (double)w->ready_ms / 1000.0, "restarts",
        w->restarts, "rss_bytes", U64(w->rss_bytes), "pss_bytes", U64(w->pss_bytes),
        "processes", w->processes, "runtime", sp__pyhost_text(w->runtime));
}

static PyObject *worker_list(const sp_worker_info *workers, int count)
{
    PyObject *list = PyList_New(0);
    for (int i = 0; list != NULL && i < count; i++) {
        PyObject *worker = worker_dict(&workers[i]);
        if (worker == NULL || PyList_Append(list, worker) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(worker);
    }
    return list;
}

static PyObject *pit_workers(PyObject *object, PyObject *args)
{
    enum { MORE = 8 }; /* a few may come between two questions */
    pit_object *self = (pit_object *)object;
    const char *pool = NULL;
    sp_worker_info *workers = NULL;
    sp_error err = {0};
    int max = 0;
    int rc;
    sp_pit *pit = NULL;
    if (!PyArg_ParseTuple(args, "|z:workers", &pool) ||
        (pit = sp__pyhost_enter(self)) == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    while ((rc = sp_pool_workers_get(pit, pool, workers, (size_t)max, &err)) > max) {
        max = rc + MORE;
        sp__free(workers);
        workers = sp__malloc((size_t)max * sizeof *workers);
        if (workers == NULL) {
            rc = sp_error_set(&err, SP_ERR_NOMEM, "no memory for %d workers", max);
            break;
        }
    }
    Py_END_ALLOW_THREADS;
    sp__pyhost_leave(self);
    PyObject *list = rc < 0 ? sp__pyhost_raise(self, &err) : worker_list(workers, rc);
    sp__free(workers);
    return list;
}

/* ---- tools ---- */

struct telling {
    PyObject *list; /* NULL once something has failed */
    PyThreadState *outside;
};

static PyObject *parameter_list(const sp_tool_parameter *parameters, size_t count)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < count; i++) {
        const sp_tool_parameter *p = &parameters[i];
        PyObject *item = Py_BuildValue(
            "{sN sN sN sN sN}", "name", sp__pyhost_text(p->name), "type",
            sp__pyhost_text(p->type), "description", sp__pyhost_text(p->description),
            "required", PyBool_FromLong(p->required), "default_json",
            sp__pyhost_text(p->default_json));
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    return list;
}

static void tell_tool(const sp_tool_info *tool, void *user_data)
{
    struct telling *telling = user_data;
    PyEval_RestoreThread(telling->outside);
    PyObject *item =
        Py_BuildValue("{sN sN sN sN sN sN}", "name", sp__pyhost_text(tool->name),
                      "description", sp__pyhost_text(tool->description), "streaming",
                      PyBool_FromLong(tool->streaming), "idempotent",
                      PyBool_FromLong(tool->idempotent), "parameters",
                      parameter_list(tool->parameters, tool->parameters_count),
                      "input_schema", sp__pyhost_text(tool->input_schema));
    if (telling->list != NULL &&
        (item == NULL || PyList_Append(telling->list, item) < 0)) {
        Py_CLEAR(telling->list);
    }
    Py_XDECREF(item);
    telling->outside = PyEval_SaveThread();
}

static PyObject *pit_tools(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    const char *pool = NULL;
    sp_error err = {0};
    if (!PyArg_ParseTuple(args, "|z:tools", &pool)) {
        return NULL;
    }
    struct telling telling = {.list = PyList_New(0)};
    sp_pit *pit = telling.list != NULL ? sp__pyhost_enter(self) : NULL;
    if (pit == NULL) {
        Py_XDECREF(telling.list);
        return NULL;
    }
    telling.outside = PyEval_SaveThread();
    int rc = sp_pool_tools_get(pit, pool, tell_tool, &telling, &err);
    PyEval_RestoreThread(telling.outside);
    sp__pyhost_leave(self);
    if (rc < 0) {
        Py_XDECREF(telling.list);
        return sp__pyhost_raise(self, &err);
    }
    return telling.list;
}

/* ---- the pit ---- */

static PyObject *pit_pools(PyObject *object, PyObject *unused)
{
    (void)unused;
    pit_object *self = (pit_object *)object;
    sp_pit *pit = sp__pyhost_enter(self);
    PyObject *list = pit != NULL ? PyList_New(0) : NULL;
    const char *name;
    for (size_t i = 0; list != NULL && (name = sp_pool_name_at(pit, i)) != NULL; i++) {
        PyObject *item = sp__pyhost_text(name);
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    if (pit != NULL) {
        sp__pyhost_leave(self);
    }
    return list;
}

static PyObject *pit_health(PyObject *object, PyObject *args)
{
    enum { PATIENCE_MS = 1000 };
    pit_object *self = (pit_object *)object;
    sp_health health;
    sp_error err = {0};
    int rc;
    sp_pit *pit = NULL;
    if (!PyArg_ParseTuple(args, ":health") || (pit = sp__pyhost_enter(self)) == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    rc = sp_pit_health(pit, PATIENCE_MS, &health, &err);
    Py_END_ALLOW_THREADS;
    sp__pyhost_leave(self);
    if (rc < 0) {
        return sp__pyhost_raise(self, &err);
    }
    return Py_BuildValue("{sN sN sN sN}", "live", PyBool_FromLong(health.live),
                         "started", PyBool_FromLong(health.started), "ready",
                         PyBool_FromLong(health.ready), "why",
                         sp__pyhost_text(health.why));
}

static PyObject *pit_recycle(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    const char *pool = NULL;
    unsigned long long worker = 0;
    sp_error err = {0};
    int rc;
    sp_pit *pit = NULL;
    if (!PyArg_ParseTuple(args, "|zK:recycle", &pool, &worker) ||
        (pit = sp__pyhost_enter(self)) == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    rc = sp_pool_recycle(pit, pool, worker, &err);
    Py_END_ALLOW_THREADS;
    sp__pyhost_leave(self);
    if (rc < 0) {
        return sp__pyhost_raise(self, &err);
    }
    Py_RETURN_NONE;
}

static PyObject *pit_cancel(PyObject *object, PyObject *id)
{
    pit_object *self = (pit_object *)object;
    sp_error err = {0};
    unsigned long long call = PyLong_AsUnsignedLongLong(id);
    if (call == (unsigned long long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    sp_pit *pit = sp__pyhost_enter(self);
    if (pit == NULL) {
        return NULL;
    }
    int rc = sp_call_cancel(pit, call, &err);
    sp__pyhost_leave(self);
    if (rc < 0) {
        return sp__pyhost_raise(self, &err);
    }
    Py_RETURN_NONE;
}

PyMethodDef sp__pyhost_facts[] = {
    {"stats", pit_stats, METH_VARARGS,
     "stats($self, pool=None, /)\n--\n\nCounts of a pool, the first by default: a "
     "dict."},
    {"workers", pit_workers, METH_VARARGS,
     "workers($self, pool=None, /)\n--\n\nThe workers of a pool: a list of dicts, "
     "times in "
     "seconds."},
    {"tools", pit_tools, METH_VARARGS,
     "tools($self, pool=None, /)\n--\n\nThe tools that a pool's workers announced: a "
     "list of "
     "dicts."},
    {"pools", pit_pools, METH_NOARGS,
     "pools($self, /)\n--\n\nThe names of the pools: a list."},
    {"health", pit_health, METH_VARARGS,
     "health($self, /)\n--\n\nWhether the pit is live, started and ready, and what is "
     "missing: "
     "a dict."},
    {"recycle", pit_recycle, METH_VARARGS,
     "recycle($self, pool=None, worker=0, /)\n--\n\nReplace a worker by a fresh one, "
     "or all "
     "of "
     "a pool's. Does not wait."},
    {"_cancel", pit_cancel, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
