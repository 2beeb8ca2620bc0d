/* SPDX-License-Identifier: MIT */
/*
 * The serve loop: take a job, run the tool, answer.
 *
 * The normal course of a call: arguments decoded into a dict, the tool found by name in
 * a dict, called, its result encoded and handed to the runtime; no Python code of this
 * package runs in between. What is rare goes through snakepit_bridge._serve: awaiting a
 * coroutine, making an iterator of an async generator, describing an exception, making a
 * SessionContext.
 *
 * A stream is an iterator that is asked for items until the runtime says that its
 * consumer has enough for now; it then waits, attached to its job, for its next turn.
 *
 * The interpreter's lock is held from a job to its answer and given up while waiting for
 * jobs. Failures: an exception of the tool becomes the call's failure and the loop goes
 * on; a broken connection or no memory ends the loop with an exception. The child of a
 * fork that comes back here instead of ending itself is ended.
 */
#include "bridge.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

/* What became of a piece of work. */
enum outcome {
    OVER,    /* the job has ended */
    RAISED,  /* an exception is set; the job is still to be ended */
    PARKED,  /* a stream that waits for its turn */
    BROKEN,  /* the runtime failed: *err says how */
};

/* ---- the current call ---- */

static void begin(worker_object *self, struct running *run)
{
    Py_BEGIN_CRITICAL_SECTION(self);
    self->current = run;
    Py_END_CRITICAL_SECTION();
}

static void leave(worker_object *self)
{
    Py_BEGIN_CRITICAL_SECTION(self);
    self->current = NULL;
    Py_END_CRITICAL_SECTION();
}

PyObject *sp__py_current(void)
{
    worker_object *self = sp__py_bridge.worker;
    if (self == NULL || self->forgotten) {
        return NULL;
    }
    PyObject *view = NULL;
    Py_BEGIN_CRITICAL_SECTION(self);
    struct running *run = self->current;
    if (run != NULL && run->view == NULL) {
        run->view = sp__py_call_new(run->job, run->tool);
    }
    if (run != NULL) {
        view = (PyObject *)run->view;
        Py_XINCREF(view);
    }
    Py_END_CRITICAL_SECTION();
    return view;
}

/* Between two parts of user code, and before the job ends: no interruption now. */
static void calm(struct running *run)
{
    run->in_user_code = 0;
}

static void detach_view(struct running *run)
{
    if (run->view != NULL) {
        sp__py_call_end(run->view);
        Py_CLEAR(run->view);
    }
}

/* ---- answers ---- */

static sp_bytes bytes_of(PyObject *bytes)
{
    return (sp_bytes){PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
}

static sp_bytes encoded(const worker_object *self)
{
    return (sp_bytes){self->encoder.out.data, self->encoder.out.size};
}

static enum outcome ended(int rc)
{
    return rc < 0 ? BROKEN : OVER;
}

static enum outcome fail(struct running *run, int code, const char *type,
                         const char *message, const char *trace, sp_error *err)
{
    detach_view(run);
    return ended(sp_job_fail(run->job, code, type, message, trace, err));
}

/* bytes, bytearray and memoryview as a whole result travel raw, beside JSON null. */
static int is_raw(PyObject *value)
{
    return PyBytes_CheckExact(value) || PyByteArray_CheckExact(value) ||
           PyMemoryView_Check(value);
}

static enum outcome reply(worker_object *self, struct running *run, PyObject *value,
                          sp_error *err)
{
    if (is_raw(value)) {
        PyObject *raw = PyBytes_FromObject(value);
        if (raw == NULL) {
            return RAISED;
        }
        calm(run);
        detach_view(run);
        int rc = sp_job_reply(run->job, (sp_bytes){"null", 4}, "null", bytes_of(raw),
                              err);
        Py_DECREF(raw);
        return ended(rc);
    }
    if (sp__py_encode(&self->encoder, value) < 0) {
        return RAISED;
    }
    calm(run);
    detach_view(run);
    return ended(sp_job_reply(run->job, encoded(self), sp__py_encoded_type(&self->encoder),
                              (sp_bytes){NULL, 0}, err));
}

static const char *text_or_null(PyObject *value)
{
    if (!PyUnicode_Check(value)) {
        return NULL;
    }
    const char *text = PyUnicode_AsUTF8(value);
    if (text == NULL) {
        PyErr_Clear();
    }
    return text;
}

/* An exception that happened before any frame of user code ran: the arguments did not
 * fit the tool's parameters. */
static int is_argument_error(PyObject *exception)
{
    if (Py_TYPE(exception) != (PyTypeObject *)PyExc_TypeError) {
        return 0;
    }
    PyObject *trace = PyException_GetTraceback(exception);
    Py_XDECREF(trace);
    return trace == NULL;
}

static int code_of(const worker_object *self, PyObject *exception, int at_boundary)
{
    PyObject *type = (PyObject *)Py_TYPE(exception);
    if (self->encoder.code != 0) {
        return self->encoder.code;
    }
    if (PyErr_GivenExceptionMatches(type, sp__py_bridge.no_tool)) {
        return SP_ERR_NO_TOOL;
    }
    if (PyErr_GivenExceptionMatches(type, sp__py_bridge.bad_args) ||
        (at_boundary && is_argument_error(exception))) {
        return SP_ERR_BAD_ARGS;
    }
    return SP_ERR_REMOTE;
}

/* End the job with the exception that is set. */
static enum outcome fail_raised(worker_object *self, struct running *run,
                                int at_boundary, sp_error *err)
{
    calm(run);
    PyObject *exception = sp__py_take_exception();
    if (exception == NULL) {
        return fail(run, SP_ERR_REMOTE, "SystemError", "failed without an exception",
                    NULL, err);
    }
    if (sp_job_cancelled(run->job)) {
        Py_DECREF(exception); /* nobody is left to be told */
        return fail(run, SP_ERR_CANCELLED, NULL, NULL, NULL, err);
    }
    int code = code_of(self, exception, at_boundary);

    PyObject *story = NULL;
    if (self->helpers != NULL) {
        story = PyObject_CallMethod(self->helpers, "describe", "Oi", exception,
                                    code == SP_ERR_REMOTE);
    }
    enum outcome outcome;
    if (story != NULL && PyTuple_Check(story) && PyTuple_GET_SIZE(story) == 3) {
        outcome = fail(run, code, text_or_null(PyTuple_GET_ITEM(story, 0)),
                       text_or_null(PyTuple_GET_ITEM(story, 1)),
                       text_or_null(PyTuple_GET_ITEM(story, 2)), err);
    } else {
        PyErr_Clear();
        outcome = fail(run, code, Py_TYPE(exception)->tp_name, NULL, NULL, err);
    }
    Py_XDECREF(story);
    Py_DECREF(exception);
    return outcome;
}

/* ---- arguments ---- */

/* Raw binary arguments join the others by name, as bytes. */
static int add_binaries(const sp_job *job, PyObject *dict)
{
    const char *name;
    sp_bytes value;
    for (size_t i = 0; sp_job_binary(job, i, &name, &value); i++) {
        PyObject *bytes = PyBytes_FromStringAndSize(value.data, (Py_ssize_t)value.size);
        int rc = bytes == NULL ? -1 : PyDict_SetItemString(dict, name, bytes);
        Py_XDECREF(bytes);
        if (rc < 0) {
            return -1;
        }
    }
    return 0;
}

/* The decoded arguments: a dict or a list. NULL with an exception. */
static PyObject *arguments_of(worker_object *self, const struct running *run)
{
    sp_bytes text = sp_job_args(run->job);
    if (text.size == 0) {
        text = (sp_bytes){"{}", 2};
    }
    sp_error err = {0};
    PyObject *args = sp__py_decode(&self->keys, text.data, text.size, &err);
    if (args != NULL && (PyDict_CheckExact(args) || PyList_CheckExact(args))) {
        return args;
    }
    if (args != NULL) {
        PyErr_SetString(sp__py_bridge.bad_args,
                        "the arguments must be a JSON object or array");
        Py_DECREF(args);
    } else if (err.code != 0) {
        self->encoder.code = err.code; /* BAD_JSON, TOO_DEEP: told as it is */
        PyErr_SetString(sp__py_bridge.bad_args, err.message);
    }
    sp_error_clear(&err);
    return NULL;
}

/* ---- calling the tool ---- */

static PyObject *context_of(worker_object *self)
{
    return PyObject_CallMethod(self->helpers, "context", NULL);
}

static PyObject *call_positional(PyObject *callable, PyObject *list, const sp_job *job)
{
    PyObject *kwargs = PyDict_New();
    PyObject *positional = kwargs != NULL ? PyList_AsTuple(list) : NULL;
    PyObject *result = NULL;
    if (positional != NULL && add_binaries(job, kwargs) == 0) {
        result = PyObject_Call(callable, positional, kwargs);
    }
    Py_XDECREF(kwargs);
    Py_XDECREF(positional);
    return result;
}

static PyObject *call_keywords(PyObject *callable, PyObject *dict)
{
    PyObject *none = PyTuple_New(0); /* the empty tuple is a singleton */
    PyObject *result = none != NULL ? PyObject_Call(callable, none, dict) : NULL;
    Py_XDECREF(none);
    return result;
}

static PyObject *call_dispatch(worker_object *self, PyObject *callable, PyObject *tool,
                               PyObject *dict)
{
    PyObject *context = context_of(self);
    if (context == NULL) {
        return NULL;
    }
    PyObject *kwargs = Py_BuildValue("{sOsOsO}", "tool_name", tool, "arguments", dict,
                                     "context", context);
    Py_DECREF(context);
    PyObject *result = kwargs != NULL ? call_keywords(callable, kwargs) : NULL;
    Py_XDECREF(kwargs);
    return result;
}

static int set_context(worker_object *self, PyObject *setter)
{
    if (setter == Py_None) {
        return 0;
    }
    PyObject *context = context_of(self);
    PyObject *result = context != NULL ? PyObject_CallOneArg(setter, context) : NULL;
    Py_XDECREF(context);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Run a tool. *ret_at_boundary says whether an exception may mean "bad arguments". */
static PyObject *invoke(worker_object *self, struct running *run, PyObject *tool,
                        int *ret_at_boundary)
{
    PyObject *callable = PyTuple_GET_ITEM(tool, 0);
    long style = PyLong_AsLong(PyTuple_GET_ITEM(tool, 1));
    PyObject *args = arguments_of(self, run);
    if (args == NULL) {
        return NULL;
    }
    PyObject *result = NULL;
    if (PyDict_CheckExact(args) && add_binaries(run->job, args) < 0) {
        goto drop_args;
    }
    if (set_context(self, PyTuple_GET_ITEM(tool, 2)) < 0) {
        goto drop_args;
    }
    *ret_at_boundary = 1;
    if (style == STYLE_KEYWORDS) {
        result = PyDict_CheckExact(args) ? call_keywords(callable, args)
                                         : call_positional(callable, args, run->job);
    } else if (!PyDict_CheckExact(args)) {
        PyErr_Format(sp__py_bridge.bad_args, "%U takes named arguments: a JSON object",
                     run->tool);
    } else if (style == STYLE_DICT) {
        result = PyObject_CallOneArg(callable, args);
    } else {
        result = call_dispatch(self, callable, run->tool, args);
    }
drop_args:
    Py_DECREF(args);
    return result;
}

/* ---- results ---- */

static int is_awaitable(PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    return PyCoro_CheckExact(value) ||
           (type->tp_as_async != NULL && type->tp_as_async->am_await != NULL);
}

/* Types whose values are never awaited, iterated or unwrapped. */
static int is_plain(PyObject *value)
{
    return PyDict_CheckExact(value) || PyUnicode_CheckExact(value) ||
           PyLong_CheckExact(value) || PyFloat_CheckExact(value) ||
           PyList_CheckExact(value) || value == Py_None || PyBool_Check(value) ||
           PyBytes_CheckExact(value) || PyTuple_CheckExact(value);
}

/* Replace an awaitable by what it gives. */
static PyObject *awaited(worker_object *self, PyObject *value)
{
    if (is_plain(value) || !is_awaitable(value)) {
        return value;
    }
    PyObject *result = PyObject_CallMethod(self->helpers, "run", "O", value);
    Py_DECREF(value);
    return result;
}

static int is_generator(PyObject *value)
{
    return PyGen_CheckExact(value) || PyAsyncGen_CheckExact(value);
}

/* A stream's result as an iterator (taken); a value that is none becomes one chunk. */
static PyObject *iterator_over(worker_object *self, PyObject *value)
{
    if (PyGen_CheckExact(value)) {
        return value;
    }
    if (is_plain(value)) {
        PyObject *single = PyTuple_Pack(1, value);
        Py_DECREF(value);
        if (single == NULL) {
            return NULL;
        }
        PyObject *iterator = PyObject_GetIter(single);
        Py_DECREF(single);
        return iterator;
    }
    PyObject *iterator = PyObject_CallMethod(self->helpers, "iterate", "O", value);
    Py_DECREF(value);
    return iterator;
}

/* ---- streams ---- */

/* Close a generator: its finally blocks run now. */
static void finish_iterator(struct running *run)
{
    PyObject *iterator = run->iterator;
    run->iterator = NULL;
    if (PyObject_HasAttrString(iterator, "close")) {
        PyObject *closed = PyObject_CallMethod(iterator, "close", NULL);
        if (closed == NULL) {
            PyErr_WriteUnraisable(iterator);
        }
        Py_XDECREF(closed);
    }
    Py_DECREF(iterator);
}

/* End a stream that shall not go on. */
static enum outcome close_stream(worker_object *self, struct running *run,
                                 sp_error *err)
{
    /* Its clean-up is not interrupted at once; a clean-up that hangs is. */
    run->not_before_ms = sp__now_ms() + SP__PY_REPEAT_MS;
    run->in_user_code = 1;
    finish_iterator(run);
    calm(run);
    if (self->forgotten) {
        return OVER;
    }
    detach_view(run);
    return ended(sp_job_end(run->job, err));
}

/* Hand one item to the runtime: 1 go on, 0 wait for a turn, negative as sp_job_chunk(),
 * or RAISED in *ret_outcome. */
static int send_item(worker_object *self, struct running *run, PyObject *item,
                     enum outcome *ret_outcome, sp_error *err)
{
    PyObject *raw = NULL;
    int encode = 1;
    if (!is_plain(item)) {
        item = PyObject_CallMethod(self->helpers, "unwrap", "O", item);
        if (item == NULL) {
            *ret_outcome = RAISED;
            return -1;
        }
    } else {
        Py_INCREF(item);
    }
    if (is_raw(item)) {
        raw = PyBytes_FromObject(item);
        encode = 0;
    }
    int failed = encode ? sp__py_encode(&self->encoder, item) < 0 : raw == NULL;
    Py_DECREF(item);
    if (failed) {
        *ret_outcome = RAISED;
        return -1;
    }
    calm(run);
    int rc = sp_job_chunk(run->job, encode ? encoded(self) : bytes_of(raw), err);
    Py_XDECREF(raw);
    *ret_outcome = rc < 0 ? BROKEN : PARKED;
    return rc;
}

static enum outcome go_on(worker_object *self, struct running *run, sp_error *err)
{
    iternextfunc next = Py_TYPE(run->iterator)->tp_iternext;
    for (;;) {
        if (sp_job_cancelled(run->job)) {
            return close_stream(self, run, err);
        }
        run->in_user_code = 1;
        PyObject *item = next(run->iterator);
        if (self->forgotten) {
            return item == NULL && PyErr_Occurred() ? RAISED : OVER;
        }
        if (item == NULL) {
            calm(run);
            if (PyErr_Occurred()) {
                if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
                    return RAISED;
                }
                PyErr_Clear();
            }
            Py_CLEAR(run->iterator);
            detach_view(run);
            return ended(sp_job_end(run->job, err));
        }
        enum outcome outcome;
        int rc = send_item(self, run, item, &outcome, err);
        Py_DECREF(item);
        if (rc == 0 || (rc < 0 && outcome == RAISED)) {
            return outcome;
        }
        if (rc == SP_ERR_CANCELLED) {
            sp_error_clear(err);
            return close_stream(self, run, err);
        }
        if (rc < 0) {
            return BROKEN;
        }
    }
}

/* ---- one job ---- */

/* The tool tuple of a name: a new reference, or NULL with an exception. */
static PyObject *find_tool(worker_object *self, PyObject *name)
{
    PyObject *tool;
    if (PyDict_GetItemRef(self->tools, name, &tool) != 0) {
        return tool;
    }
    tool = PyObject_CallOneArg(self->resolve, name);
    if (tool != NULL && (!PyTuple_CheckExact(tool) || PyTuple_GET_SIZE(tool) != 3)) {
        PyErr_SetString(PyExc_TypeError, "resolve() must give (callable, style, context)");
        Py_CLEAR(tool);
    }
    return tool;
}

static enum outcome answer(worker_object *self, struct running *run, PyObject *result,
                           sp_error *err)
{
    if (sp_job_is_stream(run->job)) {
        run->iterator = iterator_over(self, result);
        return run->iterator == NULL ? RAISED : go_on(self, run, err);
    }
    enum outcome outcome;
    if (is_generator(result)) {
        PyErr_Format(sp__py_bridge.bad_args, "%U is a stream: call it as one",
                     run->tool);
        outcome = RAISED;
    } else {
        outcome = reply(self, run, result, err);
    }
    Py_DECREF(result);
    return outcome;
}

static enum outcome start_call(worker_object *self, struct running *run,
                               int *ret_at_boundary, sp_error *err)
{
    const char *name = sp_job_tool(run->job);
    self->encoder.code = 0;
    run->in_user_code = 1; /* finding a function may import its module */
    run->tool = sp__py_keys_get(&self->keys, name, strlen(name));
    PyObject *tool = run->tool != NULL ? find_tool(self, run->tool) : NULL;
    if (tool == NULL) {
        return RAISED;
    }
    PyObject *result = invoke(self, run, tool, ret_at_boundary);
    Py_DECREF(tool);
    if (result != NULL) {
        *ret_at_boundary = 0;
        result = awaited(self, result);
    }
    if (self->forgotten) {
        Py_XDECREF(result);
        return result == NULL ? RAISED : OVER;
    }
    return result == NULL ? RAISED : answer(self, run, result, err);
}

static void run_free(struct running *run)
{
    sp__list_remove(&run->link);
    Py_XDECREF(run->tool);
    Py_XDECREF(run->iterator);
    Py_XDECREF((PyObject *)run->view);
    sp__free(run);
}

/* The child of a fork came back from user code into the loop: it has no connection and
 * nothing to do. What it printed is already out, line by line. */
static void end_child(enum outcome outcome)
{
    if (outcome == RAISED) {
        PyErr_Print();
    }
    _exit(outcome == RAISED ? 1 : 0);
}

/* Run a job until it ended or parked. 0, or -1 with `err`. */
static int run_job(worker_object *self, sp_job *job, sp_error *err)
{
    int at_boundary = 0;
    struct running *run;
    if (sp_job_is_turn(job)) {
        run = sp_job_data(job);
    } else {
        run = sp__calloc(1, sizeof *run);
        if (run == NULL) {
            return sp_job_fail(job, SP_ERR_NOMEM, "MemoryError", NULL, NULL, err);
        }
        run->job = job;
    }

    begin(self, run);
    enum outcome outcome;
    if (run->iterator != NULL) {
        outcome = go_on(self, run, err);
    } else {
        outcome = start_call(self, run, &at_boundary, err);
    }
    if (self->forgotten) {
        end_child(outcome);
    }
    calm(run);
    if (outcome == RAISED) {
        outcome = fail_raised(self, run, at_boundary, err);
    }
    leave(self);
    if (outcome == PARKED) {
        if (run->link.on == NULL) {
            sp__list_append(&self->streams, &run->link);
        }
        sp_job_set_data(job, run);
        return 0;
    }
    detach_view(run);
    run_free(run);
    return outcome == BROKEN ? -1 : 0;
}

/* ---- the loop ---- */

static PyObject *loop(worker_object *self)
{
    for (;;) {
        sp_error err = {0};
        sp_job *job = NULL;
        int rc = sp_worker_next(self->worker, &job, &err);
        if (rc == 0) {
            Py_RETURN_NONE;
        }
        if (rc > 0) {
            rc = run_job(self, job, &err);
        } else if (rc == SP_ERR_STOPPED_BY_CALLBACK) {
            sp_error_clear(&err);
            rc = 0;
            if (PyErr_CheckSignals() < 0) {
                return NULL;
            }
        }
        if (rc < 0) {
            return sp__py_raise(&err);
        }
    }
}

/* Streams nobody will ask for again: the worker ends. Their jobs belong to the runtime. */
static void close_streams(worker_object *self)
{
    struct link *link;
    while ((link = sp__list_pop(&self->streams)) != NULL) {
        struct running *run = ITEM(link, struct running, link);
        if (run->view != NULL) {
            sp__py_call_end(run->view);
        }
        finish_iterator(run);
        run_free(run);
    }
}

PyObject *sp__py_serve(worker_object *self, PyObject *args)
{
    PyObject *tools, *resolve, *helpers, *fallback;
    if (!PyArg_ParseTuple(args, "O!OOO:serve", &PyDict_Type, &tools, &resolve, &helpers,
                          &fallback)) {
        return NULL;
    }
    if (self->worker == NULL || self->serving) {
        PyErr_SetString(sp__py_bridge.worker_error,
                        self->serving ? "already serving" : "the worker is closed");
        return NULL;
    }
    Py_XSETREF(self->tools, Py_NewRef(tools));
    Py_XSETREF(self->resolve, Py_NewRef(resolve));
    Py_XSETREF(self->helpers, Py_NewRef(helpers));
    Py_XSETREF(self->encoder.fallback, Py_NewRef(fallback));
    if (sp__py_signals_start(self) < 0) {
        return NULL;
    }
    self->serving = 1;
    PyObject *result = loop(self);
    PyObject *exception = result == NULL ? sp__py_take_exception() : NULL;
    close_streams(self);
    if (exception != NULL) {
        sp__py_give_exception(exception);
    }
    self->serving = 0;
    sp__py_signals_stop(self);
    return result;
}
