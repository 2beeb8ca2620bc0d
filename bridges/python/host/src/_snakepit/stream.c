/* SPDX-License-Identifier: MIT */
/*
 * `_snakepit.Stream`: an iterator over the chunks of one call.
 *
 * A slow reader slows the tool. A chunk is what it says as JSON; one that is no JSON
 * comes as bytes. Closing early cancels the tool, whose finally blocks run.
 */
#include "host.h"

typedef struct {
    PyObject ob_base;
    pit_object *pit;
    struct handle handle;
    sp_stream *stream;
    atomic_flag taken; /* somebody iterates */
} stream_object;

static void close_stream(void *stream)
{
    sp_stream_close(stream);
}

static PyObject *value_of(pit_object *pit, const sp_chunk *chunk)
{
    PyObject *value =
        sp__pyhost_value_copy(pit, (sp_bytes){chunk->data, chunk->size},
                              (sp_bytes){chunk->binary, chunk->binary_bytes});
    if (value == NULL && chunk->binary_bytes == 0 &&
        PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear();
        value = PyBytes_FromStringAndSize(chunk->data, (Py_ssize_t)chunk->size);
    }
    return value;
}

static PyObject *next_value(stream_object *self)
{
    sp_chunk chunk;
    sp_error err = {0};
    int rc;
    if (self->handle.on_pit.on == NULL) {
        return NULL; /* it has ended */
    }
    Py_BEGIN_ALLOW_THREADS;
    rc = sp_stream_next(self->stream, &chunk, &err);
    Py_END_ALLOW_THREADS;
    if (rc == 1) {
        return value_of(self->pit, &chunk);
    }
    if (rc < 0) {
        (void)sp__pyhost_raise(self->pit, &err);
    }
    sp__pyhost_handle_close(self->pit, &self->handle);
    return NULL;
}

static PyObject *stream_next(PyObject *object)
{
    stream_object *self = (stream_object *)object;
    if (atomic_flag_test_and_set(&self->taken)) {
        PyErr_SetString(PyExc_ValueError, "the stream is already being iterated");
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

PyObject *sp__pyhost_stream(PyObject *object, PyObject *args)
{
    pit_object *pit_of = (pit_object *)object;
    struct ask ask;
    PyObject *tool, *arguments, *options;
    sp_error err = {0};
    if (!PyArg_ParseTuple(args, "OOO:_stream", &tool, &arguments, &options) ||
        sp__pyhost_ask_begin(&ask, pit_of, tool) < 0) {
        return NULL;
    }
    stream_object *self = PyObject_New(stream_object, sp__pyhost.stream_type);
    if (self == NULL) {
        return NULL;
    }
    self->pit = (pit_object *)Py_NewRef(object);
    self->handle = (struct handle){.close = close_stream};
    self->stream = NULL;
    atomic_flag_clear(&self->taken);
    sp_pit *pit = NULL;
    if (sp__pyhost_ask_options(&ask, options) == 0 &&
        sp__pyhost_ask_arguments(&ask, arguments) == 0) {
        pit = sp__pyhost_enter(pit_of);
    }
    if (pit != NULL) {
        if (sp_stream_open(pit, ask.tool, ask.json, &ask.options, &self->stream, &err) <
            0) {
            (void)sp__pyhost_raise(pit_of, &err);
        } else {
            self->handle.what = self->stream;
            sp__pyhost_handle_open(pit_of, &self->handle);
        }
        sp__pyhost_leave(pit_of);
    }
    sp__pyhost_ask_end(&ask);
    if (self->stream == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void stream_dealloc(PyObject *object)
{
    stream_object *self = (stream_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject *pending = sp__py_take_exception();
    sp__pyhost_handle_close(self->pit, &self->handle);
    if (pending != NULL) {
        sp__py_give_exception(pending);
    }
    Py_DECREF(self->pit);
    PyObject_Free(object);
    Py_DECREF(type);
}

/* cancel() may come while another thread waits for a chunk; the handle stays open. */
static PyObject *stream_cancel(PyObject *object, PyObject *unused)
{
    (void)unused;
    stream_object *self = (stream_object *)object;
    if (sp__pyhost_enter(self->pit) == NULL) {
        return NULL;
    }
    (void)pthread_mutex_lock(&self->pit->lock);
    if (self->handle.on_pit.on != NULL) {
        sp_stream_cancel(self->stream);
    }
    (void)pthread_mutex_unlock(&self->pit->lock);
    sp__pyhost_leave(self->pit);
    Py_RETURN_NONE;
}

static PyObject *stream_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    stream_object *self = (stream_object *)object;
    if (atomic_flag_test_and_set(&self->taken)) {
        PyErr_SetString(PyExc_ValueError,
                        "the stream is being iterated by another thread; cancel() it");
        return NULL;
    }
    sp__pyhost_handle_close(self->pit, &self->handle);
    atomic_flag_clear(&self->taken);
    Py_RETURN_NONE;
}

static PyObject *stream_enter(PyObject *object, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(object);
}

static PyObject *stream_exit(PyObject *object, PyObject *args)
{
    (void)args;
    return stream_close(object, NULL);
}

static PyMethodDef methods[] = {
    {"cancel", stream_cancel, METH_NOARGS,
     "cancel($self, /)\n--\n\nAsk the stream to end; iterating it then raises "
     "CancelledError. "
     "Thread: any."},
    {"close", stream_close, METH_NOARGS,
     "close($self, /)\n--\n\nCancel it, unless it has ended, and let go of it."},
    {"__enter__", stream_enter, METH_NOARGS, NULL},
    {"__exit__", stream_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int sp__pyhost_stream_type(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_dealloc, stream_dealloc},
        {Py_tp_iter, PyObject_SelfIter},
        {Py_tp_iternext, stream_next},
        {Py_tp_methods, methods},
        {Py_tp_doc, "The chunks of a stream, one by one."},
        {0, NULL},
    };
    PyType_Spec spec = {.name = "snakepit.Stream",
                        .basicsize = sizeof(stream_object),
                        .flags = Py_TPFLAGS_DEFAULT,
                        .slots = slots};
    return sp__py_add_type(module, &spec, &sp__pyhost.stream_type);
}
