/* SPDX-License-Identifier: MIT */
/*
 * `_snakepit.Pit`: opening, calling, waiting, closing.
 *
 * Any number of threads may be inside at once; each says so with enter and leave. Closing
 * turns newcomers away, ends the waits of those inside (they look every SLICE_MS), closes
 * the maps and streams that are still open, and then the pit.
 *
 *   CLOSED ──_open──▶ OPEN ──_close──▶ closing, until nobody is inside ──▶ CLOSED
 *
 * A process that was forked has the object but not the pit: it is refused with an
 * exception, and what the object holds stays the parent's to release.
 */
#define PY_SSIZE_T_CLEAN
#include "host.h"

#include <time.h>

#include "base/clock.h"

static _Thread_local unsigned inside; /* of any pit: closing would wait for itself */

sp_pit *sp__pyhost_enter(pit_object *self)
{
    const char *why = NULL;
    if (self->forks != atomic_load(&sp__pyhost.forks)) {
        why = "the pit is another process's: one that forks must open its own";
    } else {
        (void)pthread_mutex_lock(&self->lock); /* cannot fail: a valid, plain mutex */
        if (self->pit == NULL || atomic_load(&self->closing)) {
            why = "the pit is closed";
        } else {
            self->users++;
            inside++;
        }
        (void)pthread_mutex_unlock(&self->lock);
    }
    if (why != NULL) {
        sp_error err = {0};
        (void)sp_error_set(&err, SP_ERR_CLOSED, "%s", why);
        (void)sp__pyhost_raise(NULL, &err);
        return NULL;
    }
    return self->pit;
}

void sp__pyhost_leave(pit_object *self)
{
    inside--;
    (void)pthread_mutex_lock(&self->lock);
    if (--self->users == 0 && atomic_load(&self->closing)) {
        (void)pthread_cond_broadcast(&self->idle);
    }
    (void)pthread_mutex_unlock(&self->lock);
}

int sp__pyhost_may_wait(void *arg)
{
    pit_object *self = arg;
    int rc = 0;
    if (PyThread_get_thread_ident() == sp__pyhost.main_thread) {
        PyGILState_STATE state = PyGILState_Ensure();
        rc = PyErr_CheckSignals();
        PyGILState_Release(state);
    }
    return rc < 0 || atomic_load(&self->closing) ? -1 : 0;
}

/* ---- opening ---- */

static int set_values(sp_config *config, PyObject *settings, sp_error *err)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(settings); i++) {
        const char *key, *value;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(settings, i), "ss", &key, &value)) {
            return -1;
        }
        int rc = sp_config_set(config, key, value, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static uint64_t longest_startup(const sp_pit_options *options)
{
    enum { DEFAULT_MS = 30000 };
    uint64_t longest = options->pools_count == 0 ? DEFAULT_MS : 0;
    for (size_t i = 0; i < options->pools_count; i++) {
        uint64_t ms = options->pools[i].startup_timeout_ms;
        ms = ms == 0 ? DEFAULT_MS : ms;
        longest = ms > longest ? ms : longest;
    }
    return longest;
}

static int open_with(pit_object *self, const sp_pit_options *options, int with_events,
                     sp_error *err)
{
    sp_pit_options own = *options;
    sp_pit *pit = NULL;
    int rc;
    if (with_events) {
        own.on_event = sp__pyhost_on_event;
        own.event_data = self;
    }
    Py_BEGIN_ALLOW_THREADS;
    rc = sp_pit_open(&own, &pit, err);
    Py_END_ALLOW_THREADS;
    if (rc == 0) {
        self->startup_ms = longest_startup(&own);
        self->forks = atomic_load(&sp__pyhost.forks);
        atomic_store(&self->ending, 0);
        atomic_store(&self->closing, 0);
        self->pit = pit;
    }
    return rc;
}

/* _open(path or None, text or None, settings, with_events) */
static PyObject *pit_open(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    const char *path, *text;
    Py_ssize_t size;
    PyObject *settings;
    int with_events;
    sp_config *config = NULL;
    sp_error err = {0};
    if (!PyArg_ParseTuple(args, "zz#O!p:_open", &path, &text, &size, &PyList_Type,
                          &settings, &with_events)) {
        return NULL;
    }
    if (self->pit != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the pit is open already");
        return NULL;
    }
    int rc = text != NULL ? sp_config_parse((sp_bytes){text, (size_t)size}, "config",
                                            &config, &err)
                          : sp_config_load(path, &config, &err);
    if (rc == 0) {
        rc = set_values(config, settings, &err);
    }
    if (rc == 0) {
        rc = open_with(self, sp_config_options(config), with_events, &err);
    }
    sp_config_free(config);
    if (rc < 0) {
        return sp__pyhost_raise(NULL, &err);
    }
    Py_RETURN_NONE;
}

/* _await_ready(seconds or None) */
static PyObject *pit_await_ready(PyObject *object, PyObject *seconds)
{
    pit_object *self = (pit_object *)object;
    uint64_t timeout_ms;
    sp_error err = {0};
    int rc;
    if (sp__pyhost_ms(seconds, "timeout", &timeout_ms) < 0) {
        return NULL;
    }
    sp_pit *pit = sp__pyhost_enter(self);
    if (pit == NULL) {
        return NULL;
    }
    uint64_t now_ms = sp__now_ms();
    timeout_ms = timeout_ms == 0 ? self->startup_ms : timeout_ms;
    uint64_t end_ms =
        timeout_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + timeout_ms;
    do {
        uint64_t left_ms = end_ms > now_ms ? end_ms - now_ms : 1;
        Py_BEGIN_ALLOW_THREADS;
        rc = sp_pit_await_ready(
            pit, left_ms < SP__PYHOST_SLICE_MS ? left_ms : SP__PYHOST_SLICE_MS, &err);
        Py_END_ALLOW_THREADS;
        now_ms = sp__now_ms();
    } while (rc == SP_ERR_NOT_READY && now_ms < end_ms &&
             sp__pyhost_may_wait(self) == 0);
    sp__pyhost_leave(self);
    if (rc < 0) {
        return sp__pyhost_raise(self, &err);
    }
    Py_RETURN_NONE;
}

/* ---- calling ---- */

static PyObject *execute(pit_object *self, struct ask *ask)
{
    sp_result result = {0};
    sp_error err = {0};
    int rc;
    sp_pit *pit = sp__pyhost_enter(self);
    if (pit == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    rc = sp_execute(pit, ask->tool, ask->json, &ask->options, &result, &err);
    Py_END_ALLOW_THREADS;
    sp__pyhost_leave(self);
    if (rc < 0) {
        return sp__pyhost_raise(self, &err);
    }
    return sp__pyhost_value_take(self, &result);
}

/* Part keywords into options and the tool's own, of which `ret_named` is a dict. */
static int part_keywords(struct ask *ask, PyObject *const *values, PyObject *names,
                         PyObject **ret_named)
{
    Py_ssize_t count = names != NULL ? PyTuple_GET_SIZE(names) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int rc = sp__pyhost_ask_option(ask, name, values[i]);
        if (rc == 0 && *ret_named == NULL && (*ret_named = PyDict_New()) == NULL) {
            return -1;
        }
        if (rc < 0 || (rc == 0 && PyDict_SetItem(*ret_named, name, values[i]) < 0)) {
            return -1;
        }
    }
    return 0;
}

static PyObject *positional(PyObject *const *args, Py_ssize_t count)
{
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; tuple != NULL && i < count; i++) {
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    }
    return tuple;
}

PyDoc_STRVAR(
    call_doc,
    "call($self, tool, /, *args, timeout=None, session=None, pool=None, "
    "**named)\n--\n\n"
    "Call a tool and wait for its answer, which is returned.\n\n"
    "Arguments go by name, or all by place. JSON values, bytes, NumPy arrays and\n"
    "whatever else speaks the buffer protocol travel. Options, which are no arguments\n"
    "of the tool: timeout and queue_timeout in seconds (math.inf: none; None: the\n"
    "pool's), session, pool (None: the first), idempotent, cancel_kills, request_id,\n"
    "dedupe_key, affinity. For a tool with an argument of such a name: function().\n\n"
    "Raises SnakepitError; RemoteError when the tool raised. Thread: any.");

static PyObject *pit_call(PyObject *object, PyObject *const *args, Py_ssize_t count,
                          PyObject *names)
{
    pit_object *self = (pit_object *)object;
    struct ask ask;
    PyObject *result = NULL;
    PyObject *named = NULL;
    if (count < 1) {
        PyErr_SetString(PyExc_TypeError, "call() needs the name of a tool");
        return NULL;
    }
    if (sp__pyhost_ask_begin(&ask, self, args[0]) < 0) {
        return NULL;
    }
    if (part_keywords(&ask, args + count, names, &named) == 0) {
        if (named != NULL && count > 1) {
            PyErr_SetString(PyExc_TypeError,
                            "arguments go by place or by name, not some of each");
        } else {
            if (named == NULL) {
                named = positional(args + 1, count - 1);
            }
            if (named != NULL && sp__pyhost_ask_arguments(&ask, named) == 0) {
                result = execute(self, &ask);
            }
        }
    }
    Py_XDECREF(named);
    sp__pyhost_ask_end(&ask);
    return result;
}

/* _call(tool, arguments, options) */
static PyObject *pit_call_with(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    struct ask ask;
    PyObject *tool, *arguments, *options;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "OOO:_call", &tool, &arguments, &options) ||
        sp__pyhost_ask_begin(&ask, self, tool) < 0) {
        return NULL;
    }
    if (sp__pyhost_ask_options(&ask, options) == 0 &&
        sp__pyhost_ask_arguments(&ask, arguments) == 0) {
        result = execute(self, &ask);
    }
    sp__pyhost_ask_end(&ask);
    return result;
}

/* ---- closing ---- */

void sp__pyhost_handle_open(pit_object *self, struct handle *handle)
{
    (void)pthread_mutex_lock(&self->lock);
    sp__list_append(&self->handles, &handle->on_pit);
    (void)pthread_mutex_unlock(&self->lock);
}

void sp__pyhost_handle_close(pit_object *self, struct handle *handle)
{
    if (self->forks != atomic_load(&sp__pyhost.forks)) {
        return;
    }
    (void)pthread_mutex_lock(&self->lock);
    int is_open = handle->on_pit.on != NULL;
    void *what = handle->what;
    if (is_open) {
        sp__list_remove(&handle->on_pit);
        self->users++;
        inside++;
    }
    (void)pthread_mutex_unlock(&self->lock);
    if (is_open) {
        Py_BEGIN_ALLOW_THREADS;
        handle->close(what);
        Py_END_ALLOW_THREADS;
        sp__pyhost_leave(self);
    }
}

/* Without the interpreter's lock: until nobody is inside and nothing is open. */
static void wait_alone(pit_object *self)
{
    (void)pthread_mutex_lock(&self->lock);
    while (self->users > 0 || self->handles.length > 0) {
        if (self->users > 0) {
            (void)pthread_cond_wait(&self->idle, &self->lock);
            continue;
        }
        struct handle *handle =
            ITEM(sp__list_pop(&self->handles), struct handle, on_pit);
        void (*close)(void *) = handle->close;
        void *what = handle->what;
        (void)pthread_mutex_unlock(&self->lock);
        close(what);
        (void)pthread_mutex_lock(&self->lock);
    }
    (void)pthread_mutex_unlock(&self->lock);
}

/* 1: this thread closes; 0: it was closed, perhaps by another thread just now. */
static int begin_close(pit_object *self)
{
    (void)pthread_mutex_lock(&self->lock);
    int is_first = self->pit != NULL && !atomic_exchange(&self->closing, 1);
    while (!is_first && self->pit != NULL) {
        (void)pthread_cond_wait(&self->idle, &self->lock);
    }
    (void)pthread_mutex_unlock(&self->lock);
    return is_first;
}

static int close_now(pit_object *self, PyObject *endings)
{
    int is_first;
    Py_BEGIN_ALLOW_THREADS;
    is_first = begin_close(self);
    if (is_first) {
        wait_alone(self);
    }
    Py_END_ALLOW_THREADS;
    if (!is_first) {
        return 0;
    }
    int rc = sp__pyhost_close_in_turn(self, self->pit, endings);
    (void)pthread_mutex_lock(&self->lock);
    self->pit = NULL;
    (void)pthread_cond_broadcast(&self->idle);
    (void)pthread_mutex_unlock(&self->lock);
    return rc;
}

/* _end() -> None: the threads that dispatch are to come back, for the pit is closed next */
static PyObject *pit_end(PyObject *object, PyObject *unused)
{
    (void)unused;
    atomic_store(&((pit_object *)object)->ending, 1);
    Py_RETURN_NONE;
}

/* _close() -> what ended with it, as of _dispatch() */
static PyObject *pit_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    pit_object *self = (pit_object *)object;
    PyObject *endings = PyList_New(0);
    if (endings == NULL || self->forks != atomic_load(&sp__pyhost.forks)) {
        return endings;
    }
    if (inside > 0) {
        Py_DECREF(endings);
        PyErr_SetString(PyExc_RuntimeError,
                        "a pit cannot be closed from inside: by a tool of the program, "
                        "or an iterable that one of its maps reads");
        return NULL;
    }
    if (close_now(self, endings) < 0) {
        Py_CLEAR(endings);
    }
    return endings;
}

/* _fd() -> readable when _dispatch() has something to do */
static PyObject *pit_fd(PyObject *object, PyObject *unused)
{
    (void)unused;
    pit_object *self = (pit_object *)object;
    sp_pit *pit = sp__pyhost_enter(self);
    if (pit == NULL) {
        return NULL;
    }
    int fd = sp_pit_fd(pit);
    sp__pyhost_leave(self);
    return PyLong_FromLong(fd);
}

static PyObject *get_closed(PyObject *object, void *unused)
{
    (void)unused;
    pit_object *self = (pit_object *)object;
    return PyBool_FromLong(self->pit == NULL || atomic_load(&self->closing) ||
                           self->forks != atomic_load(&sp__pyhost.forks));
}

/* ---- the type ---- */

static PyObject *pit_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    pit_object *self = (pit_object *)alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&self->lock, NULL); /* these never fail on Linux */
    (void)pthread_mutex_init(&self->dispatching, NULL);
    (void)pthread_cond_init(&self->idle, NULL);
    atomic_flag_clear(&self->keys_taken);
    self->forks = atomic_load(&sp__pyhost.forks);
    return (PyObject *)self;
}

static void pit_dealloc(PyObject *object)
{
    pit_object *self = (pit_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    if (self->forks == atomic_load(&sp__pyhost.forks)) {
        PyObject *pending = sp__py_take_exception();
        PyObject *endings = self->pit != NULL ? PyList_New(0) : NULL;
        if (self->pit != NULL && close_now(self, endings) < 0) {
            PyErr_WriteUnraisable(NULL);
        }
        Py_XDECREF(endings);
        (void)pthread_mutex_destroy(&self->lock);
        (void)pthread_mutex_destroy(&self->dispatching);
        (void)pthread_cond_destroy(&self->idle);
        if (pending != NULL) {
            sp__py_give_exception(pending);
        }
    }
    sp__py_keys_fini(&self->keys);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static PyMethodDef own_methods[] = {
    {"call", (PyCFunction)(void (*)(void))pit_call, METH_FASTCALL | METH_KEYWORDS,
     call_doc},
    {"_call", pit_call_with, METH_VARARGS, NULL},
    {"_start", sp__pyhost_start, METH_VARARGS, NULL},
    {"_dispatch", sp__pyhost_dispatch, METH_VARARGS, NULL},
    {"_map", sp__pyhost_map, METH_VARARGS, NULL},
    {"_stream", sp__pyhost_stream, METH_VARARGS, NULL},
    {"_open", pit_open, METH_VARARGS, NULL},
    {"_await_ready", pit_await_ready, METH_O, NULL},
    {"_end", pit_end, METH_NOARGS, NULL},
    {"_close", pit_close, METH_NOARGS, NULL},
    {"_fd", pit_fd, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"closed", get_closed, NULL, "Whether it is closed, or another process's.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

enum { METHODS_MAX = 64 };

/* One table of all methods, from the files that have them. */
static PyMethodDef *all_methods(void)
{
    static PyMethodDef all[METHODS_MAX];
    PyMethodDef *const tables[] = {own_methods, sp__pyhost_facts, sp__pyhost_state,
                                   sp__pyhost_tools};
    size_t count = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (PyMethodDef *method = tables[i]; method->ml_name != NULL; method++) {
            assert(count < METHODS_MAX - 1);
            all[count++] = *method;
        }
    }
    return all;
}

int sp__pyhost_pit_type(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_new, pit_new},
        {Py_tp_dealloc, pit_dealloc},
        {Py_tp_methods, all_methods()},
        {Py_tp_getset, getset},
        {Py_tp_doc, "What snakepit.Pit is built on."},
        {0, NULL},
    };
    PyType_Spec spec = {.name = "snakepit._snakepit.Pit",
                        .basicsize = sizeof(pit_object),
                        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                        .slots = slots};
    return sp__py_add_type(module, &spec, &sp__pyhost.pit_type);
}
