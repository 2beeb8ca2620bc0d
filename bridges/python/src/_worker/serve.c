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
 * A stream that has to wait is attached to its job and left alone until its turn, which
 * another thread may get.
 *
 * With one thread that is the main one. With several each runs this loop, and the main
 * thread waits for signals and for their end.
 *
 * The interpreter's lock is held from a job to its answer and given up while waiting
 * for jobs. Failures: an exception of the tool becomes the call's failure and the loop
 * goes on; a broken connection or no memory ends the loop with an exception. The child
 * of a fork that comes back here instead of ending itself is ended.
 */
#include "serve.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

/* ---- one job ---- */

/* Where the tool of this name is remembered, which is not empty. */
static struct known_tool *place_of(struct server *server, const char *name, size_t n)
{
    const unsigned char *text = (const unsigned char *)name;
    return &server->known[(text[0] + 5u * text[n - 1] + n) % KNOWN_MAX];
}

static void remember(struct known_tool *known, PyObject *name, PyObject *tool)
{
    if (PyUnicode_IS_ASCII(name)) {
        Py_XSETREF(known->name, Py_NewRef(name));
        Py_XSETREF(known->tool, Py_NewRef(tool));
        Py_CLEAR(known->arguments);
    }
}

/* The tool tuple of the call: a new reference, or NULL with an exception. */
static PyObject *find_tool(struct server *server, struct running *run,
                           struct known_tool **ret_known)
{
    const char *name = sp_job_tool(run->job);
    size_t n = strlen(name);
    struct known_tool *known = place_of(server, name, n);
    if (known->name != NULL && sp__py_is_text(known->name, name, n)) {
        run->tool = Py_NewRef(known->name);
        *ret_known = known;
        return Py_NewRef(known->tool);
    }
    PyObject *tool = NULL;
    run->tool = sp__py_keys_get(&server->keys, name, n);
    if (run->tool == NULL ||
        PyDict_GetItemRef(server->worker->tools, run->tool, &tool) != 0) {
        if (tool != NULL) {
            remember(known, run->tool, tool);
        }
        return tool;
    }
    tool = PyObject_CallOneArg(server->worker->resolve, run->tool);
    if (tool != NULL && (!PyTuple_CheckExact(tool) || PyTuple_GET_SIZE(tool) != 3)) {
        PyErr_SetString(PyExc_TypeError,
                        "resolve() must give (callable, style, context)");
        Py_CLEAR(tool);
    }
    return tool;
}

enum outcome sp__py_answer_with(struct server *server, struct running *run,
                                PyObject *result)
{
    if (sp__py_is_generator(result)) {
        PyErr_Format(sp__py_bridge.bad_args, "%U is a stream: call it as one",
                     run->tool);
        return RAISED;
    }
    return sp__py_reply(server, run, result);
}

static enum outcome answer(struct server *server, struct running *run, PyObject *result)
{
    if (sp_job_is_stream(run->job)) {
        run->iterator = sp__py_stream_open(server, result);
        return run->iterator == NULL ? RAISED : sp__py_stream_go_on(server, run);
    }
    enum outcome outcome = sp__py_answer_with(server, run, result);
    Py_DECREF(result);
    return outcome;
}

/* The result (taken), once the host has answered everything the tool asked and did not
 * wait for. NULL when one of the answers is a failure. */
static PyObject *settled(struct server *server, const struct running *run,
                         PyObject *result)
{
    if (result == NULL || run->view == NULL || run->view->context == NULL ||
        server->worker->forgotten) {
        return result;
    }
    PyObject *done = PyObject_CallMethod(server->worker->helpers, "settle", NULL);
    if (done == NULL) {
        Py_CLEAR(result);
    }
    Py_XDECREF(done);
    return result;
}

static enum outcome start_call(struct server *server, struct running *run,
                               int *ret_at_boundary)
{
    struct known_tool *known = NULL;
    sp__py_server_at(server, run, 1); /* finding a function may import its module */
    PyObject *tool = find_tool(server, run, &known);
    if (tool == NULL) {
        return RAISED;
    }
    sp__py_tell_begin(server, run);
    PyObject *result = sp__py_invoke(server, run, tool, known, ret_at_boundary);
    Py_DECREF(tool);
    if (result != NULL) {
        *ret_at_boundary = 0;
        if (sp__py_overlaps(server, run, result)) {
            return sp__py_overlap(server, run, result);
        }
        result = settled(server, run, sp__py_awaited(server, result));
    }
    sp__py_tell_end(server, run, result == NULL);
    if (server->worker->forgotten) {
        Py_XDECREF(result);
        return result == NULL ? RAISED : OVER;
    }
    return result == NULL ? RAISED : answer(server, run, result);
}

void sp__py_run_keep(struct server *server, struct running *run)
{
    worker_object *worker = server->worker;
    if (run->link.on == NULL) {
        sp_job_set_data(run->job, run);
        Py_BEGIN_CRITICAL_SECTION(worker);
        sp__list_append(&worker->streams, &run->link);
        Py_END_CRITICAL_SECTION();
    }
}

/* A stream is known to its job from the start: once it waits for its turn, another
 * thread may go on with it. */
static struct running *run_new(struct server *server, sp_job *job)
{
    struct running *run = server->spare;
    server->spare = NULL;
    if (run == NULL) {
        run = sp__malloc(sizeof *run);
    }
    if (run == NULL) {
        return NULL;
    }
    *run = (struct running){.job = job};
    if (sp_job_is_stream(job)) {
        sp__py_run_keep(server, run);
    }
    return run;
}

void sp__py_run_free(struct server *server, struct running *run)
{
    if (run->link.on != NULL) {
        Py_BEGIN_CRITICAL_SECTION(server->worker);
        sp__list_remove(&run->link);
        Py_END_CRITICAL_SECTION();
    }
    Py_XDECREF(run->tool);
    Py_XDECREF(run->iterator);
    Py_XDECREF((PyObject *)run->view);
    if (server->spare == NULL) {
        server->spare = run;
    } else {
        sp__free(run);
    }
}

/* The child of a fork came back from user code into the loop: it has no connection and
 * nothing to do. What it printed is already out, line by line. */
void sp__py_end_child(enum outcome outcome)
{
    if (outcome == RAISED) {
        PyErr_Print();
    }
    _exit(outcome == RAISED ? 1 : 0);
}

/* Run a job until it has ended or waits: then it is another thread's already. */
void sp__py_run_job(struct server *server, sp_job *job)
{
    int at_boundary = 0;
    struct running *run = sp_job_is_turn(job) ? sp_job_data(job) : run_new(server, job);
    if (run == NULL) {
        (void)sp_job_fail(job, SP_ERR_NOMEM, "MemoryError", NULL, NULL, NULL);
        return;
    }

    enum outcome outcome;
    if (run->pending != NULL) {
        sp__py_overlap_turn(server, run);
        return;
    }
    if (run->iterator != NULL) {
        outcome = sp__py_stream_go_on(server, run);
    } else {
        outcome = start_call(server, run, &at_boundary);
    }
    if (server->worker->forgotten) {
        sp__py_end_child(outcome);
    }
    if (outcome == PARKED) {
        return;
    }
    sp__py_calm(server);
    if (outcome == RAISED) {
        sp__py_fail_raised(server, run, at_boundary);
    }
    sp__py_server_leave(server);
    sp__py_run_free(server, run);
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
        sp__py_end_child(done == NULL ? RAISED : OVER);
    }
    if (done == NULL) {
        PyErr_WriteUnraisable(NULL);
    }
    Py_XDECREF(done);
}

/* ---- the loop ---- */

static PyObject *loop(struct server *server)
{
    for (;;) {
        sp_error err;
        sp_job *job = NULL;
        sp__error_init(&err);
        int rc = sp_worker_next(server->worker->worker, &job, &err);
        if (rc == 0) {
            Py_RETURN_NONE;
        }
        if (rc > 0) {
            sp__py_run_job(server, job);
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
        if (run->iterator != NULL) {
            sp__py_stream_drop(run);
        }
        sp__py_overlap_forget(run);
        sp__py_run_free(self->main_one, run);
    }
}

static PyObject *serve_here(worker_object *self)
{
    struct server *server = sp__py_server_begin(self);
    PyObject *result = server != NULL ? loop(server) : NULL;
    sp__py_server_end();
    return result;
}

/* ---- several threads ---- */

PyObject *sp__py_take_part(worker_object *self)
{
    PyObject *result = serve_here(self);
    PyObject *exception = result == NULL ? sp__py_take_exception() : NULL;
    if (exception != NULL) {
        PyObject *first = exception;
        Py_BEGIN_CRITICAL_SECTION(self);
        if (self->failure == NULL) {
            self->failure = exception;
            first = NULL;
        }
        Py_END_CRITICAL_SECTION();
        Py_XDECREF(first);
        sp_worker_stop(self->worker);
    }
    Py_XDECREF(result);
    (void)sem_post(&self->ended);
    Py_RETURN_NONE;
}

/* Until one more thread has ended, or a signal has come. */
static int await_end(worker_object *self)
{
    int rc;
    Py_BEGIN_ALLOW_THREADS;
    rc = sem_wait(&self->ended);
    Py_END_ALLOW_THREADS;
    return rc == 0;
}

/* The main thread serves nobody: it runs signal handlers, which interrupt the others. */
static PyObject *serve_with_threads(worker_object *self)
{
    PyObject *threads = PyObject_CallMethod(self->helpers, "start_threads", "OI", self,
                                            (unsigned)self->servers_count);
    if (threads == NULL) {
        return NULL; /* none runs */
    }
    uint32_t left = self->servers_count;
    PyObject *exception = NULL;
    while (left > 0) {
        left -= await_end(self) ? 1 : 0;
        if (PyErr_CheckSignals() < 0) {
            PyObject *other = exception;
            exception = sp__py_take_exception();
            Py_XDECREF(other);
            sp_worker_stop(self->worker);
        }
    }
    PyObject *joined = PyObject_CallMethod(self->helpers, "join", "O", threads);
    Py_DECREF(threads);
    Py_XDECREF(joined);
    exception = exception != NULL ? exception : self->failure;
    self->failure = NULL;
    if (exception != NULL) {
        sp__py_give_exception(exception);
        return NULL;
    }
    return joined == NULL ? NULL : Py_NewRef(Py_None);
}

/* ---- serve() ---- */

static int prepare(worker_object *self, unsigned threads)
{
    if (self->worker == NULL || self->serving) {
        PyErr_SetString(sp__py_bridge.worker_error,
                        self->serving ? "already serving" : "the worker is closed");
        return -1;
    }
    if (threads < 1 || threads > self->threads) {
        PyErr_Format(PyExc_ValueError, "%u threads, allowed are 1 to %u", threads,
                     self->threads);
        return -1;
    }
    return sp__py_servers_open(self, threads);
}

int sp__py_serve_prepare(worker_object *self, PyObject *args)
{
    PyObject *tools, *resolve, *helpers, *fallback;
    unsigned threads = 1;
    if (!PyArg_ParseTuple(args, "O!OOO|I:serve", &PyDict_Type, &tools, &resolve,
                          &helpers, &fallback, &threads)) {
        return -1;
    }
    Py_XSETREF(self->tools, Py_NewRef(tools));
    Py_XSETREF(self->resolve, Py_NewRef(resolve));
    Py_XSETREF(self->helpers, Py_NewRef(helpers));
    Py_XSETREF(self->fallback, Py_NewRef(fallback));
    if (prepare(self, threads) < 0) {
        return -1;
    }
    if (sp__py_interrupt_start(self) < 0) {
        sp__py_servers_close(self);
        return -1;
    }
    sp_worker_catch_signals(self->worker);
    self->serving = 1;
    return 0;
}

void sp__py_serve_end(worker_object *self)
{
    close_streams(self);
    self->serving = 0;
    sp_worker_release_signals(self->worker);
    sp__py_servers_close(self);
}

PyObject *sp__py_serve(worker_object *self, PyObject *args)
{
    if (sp__py_serve_prepare(self, args) < 0) {
        return NULL;
    }
    PyObject *result =
        self->servers_count == 1 ? serve_here(self) : serve_with_threads(self);
    PyObject *exception = result == NULL ? sp__py_take_exception() : NULL;
    sp__py_serve_end(self);
    if (exception != NULL) {
        sp__py_give_exception(exception);
    }
    return result;
}
