/* SPDX-License-Identifier: MIT */
/*
 * The serve loop: take a job, run the tool, answer.
 *
 * The normal course of a call: arguments decoded into a dict, the tool found by name in
 * a dict, called, its result encoded and handed to the runtime; no Python code of this
 * package runs in between. What is rare goes through snakepit_bridge._serve: awaiting a
 * coroutine, making an iterator of an async generator, describing an exception, making
 * a SessionContext.
 *
 * A stream that has to wait is attached to its job and left alone until its turn.
 *
 * The interpreter's lock is held from a job to its answer and given up while waiting
 * for jobs. Failures: an exception of the tool becomes the call's failure and the loop
 * goes on; a broken connection or no memory ends the loop with an exception. The child
 * of a fork that comes back here instead of ending itself is ended.
 */
#include "serve.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"

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
        PyErr_SetString(PyExc_TypeError,
                        "resolve() must give (callable, style, context)");
        Py_CLEAR(tool);
    }
    return tool;
}

static enum outcome answer(worker_object *self, struct running *run, PyObject *result)
{
    if (sp_job_is_stream(run->job)) {
        run->iterator = sp__py_stream_open(self, result);
        return run->iterator == NULL ? RAISED : sp__py_stream_go_on(self, run);
    }
    enum outcome outcome;
    if (sp__py_is_generator(result)) {
        PyErr_Format(sp__py_bridge.bad_args, "%U is a stream: call it as one",
                     run->tool);
        outcome = RAISED;
    } else {
        outcome = sp__py_reply(self, run, result);
    }
    Py_DECREF(result);
    return outcome;
}

/* The result (taken), once the host has answered everything the tool asked and did not
 * wait for. NULL when one of the answers is a failure. */
static PyObject *settled(worker_object *self, const struct running *run,
                         PyObject *result)
{
    if (result == NULL || run->view == NULL || run->view->context == NULL ||
        self->forgotten) {
        return result;
    }
    PyObject *done = PyObject_CallMethod(self->helpers, "settle", NULL);
    if (done == NULL) {
        Py_CLEAR(result);
    }
    Py_XDECREF(done);
    return result;
}

static enum outcome start_call(worker_object *self, struct running *run,
                               int *ret_at_boundary)
{
    const char *name = sp_job_tool(run->job);
    run->in_user_code = 1; /* finding a function may import its module */
    run->tool = sp__py_keys_get(&self->keys, name, strlen(name));
    PyObject *tool = run->tool != NULL ? find_tool(self, run->tool) : NULL;
    if (tool == NULL) {
        return RAISED;
    }
    PyObject *result = sp__py_invoke(self, run, tool, ret_at_boundary);
    Py_DECREF(tool);
    if (result != NULL) {
        *ret_at_boundary = 0;
        result = settled(self, run, sp__py_awaited(self, result));
    }
    if (self->forgotten) {
        Py_XDECREF(result);
        return result == NULL ? RAISED : OVER;
    }
    return result == NULL ? RAISED : answer(self, run, result);
}

static struct running *run_new(worker_object *self, sp_job *job)
{
    struct running *run = self->spare;
    self->spare = NULL;
    if (run == NULL) {
        run = sp__malloc(sizeof *run);
    }
    if (run != NULL) {
        *run = (struct running){.job = job};
    }
    return run;
}

static void run_free(worker_object *self, struct running *run)
{
    sp__list_remove(&run->link);
    Py_XDECREF(run->tool);
    Py_XDECREF(run->iterator);
    Py_XDECREF((PyObject *)run->view);
    if (self->spare == NULL) {
        self->spare = run;
    } else {
        sp__free(run);
    }
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

/* Run a job until it has ended or waits. */
static void run_job(worker_object *self, sp_job *job)
{
    int at_boundary = 0;
    struct running *run;
    if (sp_job_is_turn(job)) {
        run = sp_job_data(job);
    } else {
        run = run_new(self, job);
        if (run == NULL) {
            (void)sp_job_fail(job, SP_ERR_NOMEM, "MemoryError", NULL, NULL, NULL);
            return;
        }
    }

    begin(self, run);
    enum outcome outcome;
    if (run->iterator != NULL) {
        outcome = sp__py_stream_go_on(self, run);
    } else {
        outcome = start_call(self, run, &at_boundary);
    }
    if (self->forgotten) {
        end_child(outcome);
    }
    sp__py_calm(run);
    if (outcome == RAISED) {
        sp__py_fail_raised(self, run, at_boundary);
    }
    leave(self);
    if (outcome == PARKED) {
        if (run->link.on == NULL) {
            sp__list_append(&self->streams, &run->link);
        }
        sp_job_set_data(job, run);
        return;
    }
    run_free(self, run);
}

/* ---- the end of a session ---- */

/* Inside sp_worker_next(), with the interpreter's lock: the adapter lets go of what it
 * kept. Python tells of what it raises; a fork's child has no business here. */
void sp__py_session_ended(void *user_data, const char *session)
{
    worker_object *self = user_data;
    if (self->helpers == NULL) {
        return;
    }
    PyObject *done = PyObject_CallMethod(self->helpers, "session_ended", "s", session);
    if (self->forgotten) {
        end_child(done == NULL ? RAISED : OVER);
    }
    if (done == NULL) {
        PyErr_WriteUnraisable(NULL);
    }
    Py_XDECREF(done);
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
            run_job(self, job);
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

/* Streams nobody will ask for again: the worker ends. Their jobs are the runtime's. */
static void close_streams(worker_object *self)
{
    struct link *link;
    while ((link = sp__list_pop(&self->streams)) != NULL) {
        struct running *run = ITEM(link, struct running, link);
        if (run->view != NULL) {
            sp__py_call_end(run->view);
        }
        sp__py_stream_drop(run);
        run_free(self, run);
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
    if (sp__py_interrupt_start(self) < 0) {
        return NULL;
    }
    sp__py_signals_start(self);
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
