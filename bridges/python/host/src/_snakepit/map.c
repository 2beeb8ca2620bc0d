/* SPDX-License-Identifier: MIT */
/*
 * `_snakepit.Map`: an iterator over the results of many calls of one tool.
 *
 * Each step first gives the library as many arguments as it takes, then waits for a
 * result. The iterable is read by the thread that iterates, at most one item further than
 * there is room for, and it may be endless. When reading it is slow, results that are
 * ready come first.
 *
 * Failures of a call are raised at its place and the map goes on; what the iterable
 * raises, or an item that cannot be sent, ends the map and cancels what is under way.
 */
#include "host.h"

#include "base/clock.h"

enum { READING_MAX_US = 1000 }; /* then a result may leave first */

typedef struct {
    PyObject ob_base;
    pit_object *pit;
    struct handle handle;
    sp_map *map;
    PyObject *tool;
    PyObject *options;
    PyObject *source; /* an iterator, or NULL at its end */
    struct ask ask;
    int is_pending; /* ask has arguments that are not put yet */
    int gives_errors;
    atomic_flag taken; /* somebody iterates */
    uint64_t index;    /* of the last result */
} map_object;

static void close_map(void *map)
{
    sp_map_close(map);
}

/* Ended, by whatever: nothing is left under way. */
static void end_map(map_object *self)
{
    Py_CLEAR(self->source);
    self->is_pending = 0;
    sp__pyhost_handle_close(self->pit, &self->handle);
}

/* dict: by name; tuple: by place; anything else: the only argument. */
static int take_item(map_object *self, PyObject *item)
{
    PyObject *arguments = PyDict_Check(item) || PyTuple_Check(item)
                              ? Py_NewRef(item)
                              : PyTuple_Pack(1, item);
    int rc = arguments == NULL ? -1 : sp__pyhost_ask_arguments(&self->ask, arguments);
    Py_XDECREF(arguments);
    self->is_pending = rc == 0;
    return rc;
}

/* The next item's arguments in ask, unless there are some or it was the last. */
static int read_source(map_object *self)
{
    if (self->is_pending || self->source == NULL) {
        return 0;
    }
    PyObject *item = PyIter_Next(self->source);
    if (item == NULL) {
        if (PyErr_Occurred()) {
            return -1;
        }
        Py_CLEAR(self->source);
        sp_map_finish(self->map);
        return 0;
    }
    int rc = take_item(self, item);
    Py_DECREF(item);
    return rc;
}

/* Put what there is room for. 1 when reading took so long that a result is due first. */
static int fill(map_object *self)
{
    uint64_t begin_us = sp__now_us();
    for (;;) {
        sp_error err = {0};
        if (read_source(self) < 0) {
            return -1;
        }
        if (!self->is_pending) {
            return 0;
        }
        int rc = sp_map_put_with(self->map, self->ask.json, self->ask.options.binaries,
                                 self->ask.options.binaries_count, 0, &err);
        if (rc < 0) {
            (void)sp__pyhost_raise(self->pit, &err);
            return -1;
        }
        if (rc == 0) {
            return 0;
        }
        self->is_pending = 0;
        if (sp__now_us() - begin_us > READING_MAX_US) {
            return 1;
        }
    }
}

/* As sp_map_next(), hearing signals and the closing of the pit: then -1 with *ret_raised. */
static int next_reply(map_object *self, uint64_t timeout_ms, sp_reply *ret_reply,
                      sp_error *err)
{
    int rc = sp_map_next(self->map, 0, ret_reply, &self->index, err);
    while (rc == SP_ERR_TIMEOUT && timeout_ms > 0) {
        Py_BEGIN_ALLOW_THREADS;
        rc = sp_map_next(self->map, SP__PYHOST_SLICE_MS, ret_reply, &self->index, err);
        Py_END_ALLOW_THREADS;
        if (rc == SP_ERR_TIMEOUT && sp__pyhost_may_wait(self->pit) < 0) {
            return sp_error_set(err, SP_ERR_CANCELLED, "the wait was interrupted");
        }
    }
    return rc;
}

static PyObject *value_of(map_object *self, const sp_reply *reply)
{
    if (reply->error == NULL) {
        const sp_result *result = reply->result;
        return sp__pyhost_value_copy(self->pit,
                                     (sp_bytes){result->json, result->json_bytes},
                                     (sp_bytes){result->binary, result->binary_bytes});
    }
    PyObject *error = sp__pyhost_error(reply->error);
    if (error != NULL && !self->gives_errors) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_CLEAR(error);
    }
    return error;
}

static PyObject *next_value(map_object *self)
{
    sp_reply reply;
    sp_error err = {0};
    int rc;
    if (self->handle.on_pit.on == NULL) {
        return NULL; /* it has ended */
    }
    do {
        int filled = fill(self);
        if (filled < 0) {
            end_map(self);
            return NULL;
        }
        rc = next_reply(self, filled == 1 ? 0 : SP_UNLIMITED, &reply, &err);
    } while (rc == SP_ERR_TIMEOUT);
    if (rc == 1) {
        sp_error_clear(&err);
        return value_of(self, &reply);
    }
    if (rc < 0) {
        (void)sp__pyhost_raise(self->pit, &err);
    }
    end_map(self);
    return NULL;
}

static PyObject *map_next(PyObject *object)
{
    map_object *self = (map_object *)object;
    if (atomic_flag_test_and_set(&self->taken)) {
        PyErr_SetString(PyExc_ValueError, "the map is already being iterated");
        return NULL;
    }
    PyObject *value = NULL;
    if (sp__pyhost_enter(self->pit) != NULL) {
        value = next_value(self);
        sp__pyhost_leave(self->pit);
    }
    atomic_flag_clear(&self->taken);
    return value;
}

/* ---- its life ---- */

static int open_map(map_object *self, sp_pit *pit, unsigned in_flight, int ordered)
{
    sp_error err = {0};
    sp_map_options options = {.size = sizeof options,
                              .call = &self->ask.options,
                              .in_flight_max = in_flight,
                              .unordered = !ordered};
    if (sp_map_open(pit, self->ask.tool, &options, &self->map, &err) < 0) {
        (void)sp__pyhost_raise(self->pit, &err);
        return -1;
    }
    self->handle.close = close_map;
    self->handle.what = self->map;
    sp__pyhost_handle_open(self->pit, &self->handle);
    return 0;
}

PyObject *sp__pyhost_map(PyObject *object, PyObject *args)
{
    PyObject *tool, *iterable, *options;
    unsigned in_flight;
    int ordered, gives_errors;
    if (!PyArg_ParseTuple(args, "OOO!Ipp:_map", &tool, &iterable, &PyDict_Type,
                          &options, &in_flight, &ordered, &gives_errors)) {
        return NULL;
    }
    map_object *self = PyObject_New(map_object, sp__pyhost.map_type);
    if (self == NULL) {
        return NULL;
    }
    self->pit = (pit_object *)Py_NewRef(object);
    self->handle = (struct handle){0};
    self->map = NULL;
    self->tool = Py_NewRef(tool);
    self->options = PyDict_Copy(options); /* its texts are borrowed */
    self->source = PyObject_GetIter(iterable);
    self->ask = (struct ask){0};
    self->is_pending = 0;
    self->gives_errors = gives_errors;
    atomic_flag_clear(&self->taken);
    self->index = 0;
    int rc = -1;
    if (self->options != NULL && self->source != NULL &&
        sp__pyhost_ask_begin(&self->ask, self->pit, tool) == 0 &&
        sp__pyhost_ask_options(&self->ask, self->options) == 0) {
        sp_pit *pit = sp__pyhost_enter(self->pit);
        if (pit != NULL) {
            rc = open_map(self, pit, in_flight, ordered);
            sp__pyhost_leave(self->pit);
        }
    }
    if (rc < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void map_dealloc(PyObject *object)
{
    map_object *self = (map_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject *pending = sp__py_take_exception();
    end_map(self);
    if (pending != NULL) {
        sp__py_give_exception(pending);
    }
    sp__pyhost_ask_end(&self->ask);
    Py_XDECREF(self->tool);
    Py_XDECREF(self->options);
    Py_DECREF(self->pit);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyObject *map_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    map_object *self = (map_object *)object;
    if (atomic_flag_test_and_set(&self->taken)) {
        PyErr_SetString(PyExc_ValueError,
                        "the map is being iterated by another thread");
        return NULL;
    }
    end_map(self);
    atomic_flag_clear(&self->taken);
    Py_RETURN_NONE;
}

static PyObject *map_enter(PyObject *object, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(object);
}

static PyObject *map_exit(PyObject *object, PyObject *args)
{
    (void)args;
    return map_close(object, NULL);
}

static PyObject *get_index(PyObject *object, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(((map_object *)object)->index);
}

static PyMethodDef methods[] = {
    {"close", map_close, METH_NOARGS,
     "close($self, /)\n--\n\nCancel what is under way and wait until it has ended."},
    {"__enter__", map_enter, METH_NOARGS, NULL},
    {"__exit__", map_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"index", get_index, NULL, "Which item the last result is of, counted from 0.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

int sp__pyhost_map_type(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_dealloc, map_dealloc},
        {Py_tp_iter, PyObject_SelfIter},
        {Py_tp_iternext, map_next},
        {Py_tp_methods, methods},
        {Py_tp_getset, getset},
        {Py_tp_doc, "The results of a map, one by one."},
        {0, NULL},
    };
    PyType_Spec spec = {.name = "snakepit.Map",
                        .basicsize = sizeof(map_object),
                        .flags = Py_TPFLAGS_DEFAULT,
                        .slots = slots};
    return sp__py_add_type(module, &spec, &sp__pyhost.map_type);
}
