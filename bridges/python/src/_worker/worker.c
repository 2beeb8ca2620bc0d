/* SPDX-License-Identifier: MIT */
/*
 * `_worker.Worker`: libsnakepit-worker as one Python object.
 *
 * Open it, add tools, announce, serve, close; or refuse, when the adapter cannot be
 * loaded. There is one at a time in a process. Methods raise WorkerError with the
 * library's message; nothing here prints or decides.
 *
 * The library waits, for work and for the host's answers, with the interpreter's lock
 * given up: on_idle() and on_busy() below do that, but only while serve() runs. Announcing
 * waits too, with the lock given up around the whole call.
 */
#include "bridge.h"

#include <signal.h>

#include "base/mem.h"

/* Threads that share the interpreter's lock are worth waking only for jobs that wait. */
enum { LOCKED_SPREAD_US = 1000 };

static int has_lock(void)
{
#ifdef Py_GIL_DISABLED
    return 0;
#else
    return 1;
#endif
}

/* This thread's state while it waits without the interpreter's lock. */
static _Thread_local PyThreadState *waiting;

static void on_idle(void *user_data)
{
    worker_object *self = user_data;
    if (self->serving) {
        waiting = PyEval_SaveThread();
    }
}

static void on_busy(void *user_data)
{
    (void)user_data;
    if (waiting != NULL) {
        PyThreadState *thread = waiting;
        waiting = NULL;
        PyEval_RestoreThread(thread);
    }
}

/* A signal came while a tool waits for its host's answer: it may raise. */
static int on_signal(void *user_data)
{
    (void)user_data;
    return PyErr_CheckSignals();
}

PyObject *sp__py_raise(sp_error *err)
{
    if (err->code == SP_ERR_NOMEM) {
        (void)PyErr_NoMemory();
    } else {
        PyErr_SetString(sp__py_bridge.worker_error, err->message[0] != '\0'
                                                        ? err->message
                                                        : sp_strerror(err->code));
    }
    sp_error_clear(err);
    return NULL;
}

static int is_open(const worker_object *self)
{
    if (self->worker == NULL) {
        PyErr_SetString(sp__py_bridge.worker_error, "the worker is closed");
        return 0;
    }
    return 1;
}

static PyObject *worker_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"runtime", "listen",   "cancel_signal", "exit_grace_ms",
                            "threads", "jobs_max", "connected",     NULL};
    unsigned threads = 1, jobs_max = 0;
    int connected = 1;
    const char *runtime = NULL, *listen = NULL;
    int cancel_signal = SIGURG;
    unsigned long long exit_grace_ms = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|zziKIIp:Worker", names, &runtime,
                                     &listen, &cancel_signal, &exit_grace_ms, &threads,
                                     &jobs_max, &connected)) {
        return NULL;
    }
    if (sp__py_bridge.worker != NULL) {
        PyErr_SetString(sp__py_bridge.worker_error,
                        "this process has an open worker already");
        return NULL;
    }
    worker_object *self = (worker_object *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->cancel_signal = cancel_signal;
    self->threads = threads;
    (void)sem_init(&self->ended, 0, 0);
    self->main_one = sp__py_server_new(self);
    if (self->main_one == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    sp_worker_options options = {
        .size = sizeof options,
        .runtime = runtime,
        .listen = listen,
        .on_idle = on_idle,
        .on_busy = on_busy,
        .on_cancel = sp__py_on_cancel,
        .on_signal = on_signal,
        .user_data = self,
        .exit_grace_ms = exit_grace_ms,
        .on_session_end = sp__py_session_ended,
        .threads = threads,
        .jobs_max = jobs_max,
        .spread_us = has_lock() ? LOCKED_SPREAD_US : 0,
        .unconnected = !connected,
    };
    sp_error err = {0};
    if (sp_worker_open(&options, &self->worker, &err) < 0) {
        Py_DECREF(self);
        return sp__py_raise(&err);
    }
    sp__py_bridge.worker = self;
    return (PyObject *)self;
}

static PyObject *worker_connect(PyObject *object, PyObject *unused)
{
    (void)unused;
    worker_object *self = (worker_object *)object;
    sp_error err = {0};
    if (!is_open(self)) {
        return NULL;
    }
    if (sp_worker_connect(self->worker, &err) < 0) {
        return sp__py_raise(&err);
    }
    Py_RETURN_NONE;
}

/* Read (name, type, description, default_json): borrowed text. */
static int read_param(PyObject *item, sp_tool_param *ret)
{
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "a parameter is a tuple of four");
        return -1;
    }
    return PyArg_ParseTuple(item, "szzz:parameter", &ret->name, &ret->type,
                            &ret->description, &ret->default_json)
               ? 0
               : -1;
}

/* A sequence of parameters as an array the caller frees, and what it borrows from. */
static int read_params(PyObject *sequence, sp_tool_param **ret_params,
                       size_t *ret_count, PyObject **ret_owner)
{
    PyObject *items = PySequence_Tuple(sequence);
    if (items == NULL) {
        return -1;
    }
    size_t count = (size_t)PyTuple_GET_SIZE(items);
    sp_tool_param *params = sp__calloc(count + 1, sizeof *params);
    if (params == NULL) {
        Py_DECREF(items);
        (void)PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (read_param(PyTuple_GET_ITEM(items, (Py_ssize_t)i), &params[i]) < 0) {
            sp__free(params);
            Py_DECREF(items);
            return -1;
        }
    }
    *ret_params = params;
    *ret_count = count;
    *ret_owner = items;
    return 0;
}

static PyObject *worker_add_tool(PyObject *object, PyObject *args)
{
    worker_object *self = (worker_object *)object;
    PyObject *name, *params_object;
    const char *description;
    int streaming, idempotent = 0;
    if (!PyArg_ParseTuple(args, "UzpO|p:add_tool", &name, &description, &streaming,
                          &params_object, &idempotent) ||
        !is_open(self)) {
        return NULL;
    }
    sp_tool_param *params;
    size_t count;
    PyObject *owner;
    if (read_params(params_object, &params, &count, &owner) < 0) {
        return NULL;
    }
    sp_error err = {0};
    int rc = -1;
    const char *name_text = PyUnicode_AsUTF8(name);
    if (name_text != NULL) {
        sp_tool tool = {
            .size = sizeof tool,
            .name = name_text,
            .description = description,
            .streaming = streaming,
            .params = params,
            .params_count = count,
            .idempotent = idempotent,
        };
        rc = sp_worker_add_tool(self->worker, &tool, &err);
        sp__py_keys_pin(&self->main_one->keys, name);
    }
    sp__free(params);
    Py_DECREF(owner);
    if (rc < 0) {
        return err.code != 0 ? sp__py_raise(&err) : NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *worker_pin_key(PyObject *object, PyObject *key)
{
    sp__py_keys_pin(&((worker_object *)object)->main_one->keys, key);
    Py_RETURN_NONE;
}

static PyObject *worker_accept_any(PyObject *object, PyObject *unused)
{
    (void)unused;
    worker_object *self = (worker_object *)object;
    if (!is_open(self)) {
        return NULL;
    }
    sp_worker_accept_any(self->worker);
    Py_RETURN_NONE;
}

static PyObject *worker_offer_stacks(PyObject *object, PyObject *args)
{
    worker_object *self = (worker_object *)object;
    int number;
    if (!PyArg_ParseTuple(args, "i:offer_stacks", &number) || !is_open(self)) {
        return NULL;
    }
    sp_error err = {0};
    int fd = sp_worker_offer_stacks(self->worker, number, &err);
    if (fd == SP_ERR_UNSUPPORTED) {
        sp_error_clear(&err);
        Py_RETURN_NONE;
    }
    return fd < 0 ? sp__py_raise(&err) : PyLong_FromLong(fd);
}

/* A handler that faulthandler has installed; calls that it meets in code which expects no
 * signals go on. */
static PyObject *worker_repeat_stacks(PyObject *object, PyObject *args)
{
    worker_object *self = (worker_object *)object;
    struct sigaction action;
    sp_error err = {0};
    int number;
    if (!PyArg_ParseTuple(args, "i:repeat_stacks", &number) || !is_open(self)) {
        return NULL;
    }
    if (sigaction(number, NULL, &action) == 0) {
        action.sa_flags |= SA_RESTART;
        (void)sigaction(number, &action, NULL);
    }
    if (sp_worker_repeat_stacks(self->worker, &err) < 0) {
        return sp__py_raise(&err);
    }
    Py_RETURN_NONE;
}

static PyObject *worker_announce(PyObject *object, PyObject *unused)
{
    (void)unused;
    worker_object *self = (worker_object *)object;
    if (!is_open(self)) {
        return NULL;
    }
    sp_worker_catch_signals(self->worker);
    sp_error err = {0};
    int rc;
    do {
        sp_error_clear(&err);
        Py_BEGIN_ALLOW_THREADS;
        rc = sp_worker_announce(self->worker, &err);
        Py_END_ALLOW_THREADS;
    } while (rc == SP_ERR_STOPPED_BY_CALLBACK && PyErr_CheckSignals() == 0);
    if (rc == SP_ERR_CLOSED && sp_worker_was_signalled(self->worker)) {
        sp_error_clear(&err); /* serve() finds the same and returns at once */
        rc = 0;
    }
    if (rc < 0) {
        return PyErr_Occurred() ? NULL : sp__py_raise(&err);
    }
    Py_RETURN_NONE;
}

static PyObject *worker_refuse(PyObject *object, PyObject *args)
{
    worker_object *self = (worker_object *)object;
    int permanent;
    const char *type, *message, *trace;
    if (!PyArg_ParseTuple(args, "pzzz:refuse", &permanent, &type, &message, &trace) ||
        !is_open(self)) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    sp_worker_refuse(self->worker, permanent, type, message, trace);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

static PyObject *worker_overlap(PyObject *object, PyObject *args)
{
    return sp__py_overlap_begin((worker_object *)object, args);
}

static PyObject *worker_run_ready(PyObject *object, PyObject *unused)
{
    (void)unused;
    return sp__py_run_ready((worker_object *)object);
}

static PyObject *worker_overlap_end(PyObject *object, PyObject *unused)
{
    (void)unused;
    return sp__py_overlap_end((worker_object *)object);
}

static PyObject *worker_take_part(PyObject *object, PyObject *unused)
{
    (void)unused;
    return sp__py_take_part((worker_object *)object);
}

static PyObject *worker_set_capacity(PyObject *object, PyObject *args)
{
    worker_object *self = (worker_object *)object;
    unsigned capacity;
    sp_error err = {0};
    if (!PyArg_ParseTuple(args, "I:set_capacity", &capacity) || !is_open(self)) {
        return NULL;
    }
    if (sp_worker_set_capacity(self->worker, capacity, &err) < 0) {
        return sp__py_raise(&err);
    }
    Py_RETURN_NONE;
}

static PyObject *worker_serve(PyObject *object, PyObject *args)
{
    return sp__py_serve((worker_object *)object, args);
}

static PyObject *worker_stop(PyObject *object, PyObject *unused)
{
    (void)unused;
    worker_object *self = (worker_object *)object;
    if (self->worker != NULL) {
        sp_worker_stop(self->worker);
    }
    Py_RETURN_NONE;
}

static void close_worker(worker_object *self)
{
    sp_worker *worker = self->worker;
    sp__py_telemetry_end(self);
    if (worker != NULL && !self->forgotten) {
        sp__py_sources_wait();
        Py_BEGIN_ALLOW_THREADS;
        sp_worker_close(worker);
        Py_END_ALLOW_THREADS;
    }
}

static PyObject *worker_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    worker_object *self = (worker_object *)object;
    if (self->serving) {
        PyErr_SetString(sp__py_bridge.worker_error, "serving: stop it first");
        return NULL;
    }
    close_worker(self);
    Py_RETURN_NONE;
}

static PyObject *worker_forget(PyObject *object, PyObject *unused)
{
    (void)unused;
    worker_object *self = (worker_object *)object;
    if (self->worker != NULL && !self->forgotten) {
        self->forgotten = 1;
        self->cancel_signal = 0;
        sp_worker_forget(self->worker);
    }
    Py_RETURN_NONE;
}

static PyObject *worker_get_address(PyObject *object, void *unused)
{
    (void)unused;
    worker_object *self = (worker_object *)object;
    const char *address = self->worker != NULL ? sp_worker_address(self->worker) : NULL;
    if (address == NULL) {
        Py_RETURN_NONE;
    }
    return PyUnicode_FromString(address);
}

static int worker_traverse(PyObject *object, visitproc visit, void *arg)
{
    worker_object *self = (worker_object *)object;
#if PY_VERSION_HEX >= 0x03090000
    Py_VISIT(Py_TYPE(object));
#endif
    Py_VISIT(self->tools);
    Py_VISIT(self->resolve);
    Py_VISIT(self->helpers);
    Py_VISIT(self->fallback);
    Py_VISIT(self->failure);
    return 0;
}

static int worker_clear(PyObject *object)
{
    worker_object *self = (worker_object *)object;
    Py_CLEAR(self->tools);
    Py_CLEAR(self->resolve);
    Py_CLEAR(self->helpers);
    Py_CLEAR(self->fallback);
    Py_CLEAR(self->failure);
    return 0;
}

static void worker_dealloc(PyObject *object)
{
    worker_object *self = (worker_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    close_worker(self);
    (void)worker_clear(object);
    sp__py_server_free(self->main_one);
    (void)sem_destroy(&self->ended);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef worker_methods[] = {
    {"connect", worker_connect, METH_NOARGS,
     "Connect a worker made with connected=False, once, in this process or a fork of "
     "it."},
    {"add_tool", worker_add_tool, METH_VARARGS,
     "add_tool(name, description, streaming, params, idempotent=False): params are "
     "tuples (name, type, "
     "description, default as JSON or None)."},
    {"pin_key", worker_pin_key, METH_O,
     "Keep this str for a member name that will come often."},
    {"accept_any", worker_accept_any, METH_NOARGS,
     "Take calls of tools that were not added."},
    {"offer_stacks", worker_offer_stacks, METH_VARARGS,
     "offer_stacks(signal): the descriptor to write stacks to on it, or None when the "
     "host takes none."},
    {"repeat_stacks", worker_repeat_stacks, METH_VARARGS,
     "repeat_stacks(signal): its handler is installed; each text replaces the one "
     "before."},
    {"announce", worker_announce, METH_NOARGS,
     "Tell the host that the worker is ready."},
    {"refuse", worker_refuse, METH_VARARGS,
     "refuse(permanent, type, message, trace): tell the host why it cannot start."},
    {"set_capacity", worker_set_capacity, METH_VARARGS,
     "set_capacity(calls): how many the worker is to be announced to run at once."},
    {"serve", worker_serve, METH_VARARGS,
     "serve(tools, resolve, helpers, fallback, threads=1): run calls until the worker "
     "shall end, here or with helpers.start_threads(worker, threads)."},
    {"overlap", worker_overlap, METH_VARARGS,
     "overlap(tools, resolve, helpers, fallback): serve from an event loop of this "
     "thread; gives the descriptor it has to wait for."},
    {"run_ready", worker_run_ready, METH_NOARGS,
     "Run the calls that are there, each time before the loop waits: how many, or -1 "
     "when the worker shall end."},
    {"overlap_end", worker_overlap_end, METH_NOARGS, "The loop serves no longer."},
    {"take_part", worker_take_part, METH_NOARGS,
     "Run calls on this thread, one of those that serve() has asked for."},
    {"stop", worker_stop, METH_NOARGS, "Let serve() return once running calls ended."},
    {"close", worker_close, METH_NOARGS, "Close the connections."},
    {"forget", worker_forget, METH_NOARGS,
     "In the child of a fork: let go of the connections without touching them."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef worker_getset[] = {
    {"address", worker_get_address, NULL, "Where a listening worker listens, or None.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot worker_slots[] = {
    {Py_tp_new, worker_new},
    {Py_tp_dealloc, worker_dealloc},
    {Py_tp_traverse, worker_traverse},
    {Py_tp_clear, worker_clear},
    {Py_tp_methods, worker_methods},
    {Py_tp_getset, worker_getset},
    {Py_tp_doc, "Worker(runtime=None, listen=None, cancel_signal=SIGURG, "
                "exit_grace_ms=0, threads=1, jobs_max=0, connected=True): this process "
                "as a worker "
                "of a pit; not yet, if it is not to be connected."},
    {0, NULL},
};

static PyType_Spec worker_spec = {
    .name = "snakepit_bridge._worker.Worker",
    .basicsize = sizeof(worker_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = worker_slots,
};

int sp__py_worker_type(PyObject *module)
{
    return sp__py_add_type(module, &worker_spec, &sp__py_bridge.worker_type);
}
