/* SPDX-License-Identifier: MIT */
/*
 * Calls that overlap in one event loop: a worker that may have several in hand.
 *
 * The event loop turns on the thread that serves, and looks for jobs each time before it
 * waits: run_ready(). What a tool gives at once is answered at once. An awaitable becomes
 * a task of the loop (snakepit_bridge._overlap) and its job is set aside; the task has a
 * `Pending`, through which it ends the call, or adds a chunk and waits for its turn.
 *
 * A call that nobody waits for any more comes back as a turn, once, and its task is
 * cancelled: the coroutine meets CancelledError where it waits. When the worker ends
 * before a task has, the job is the runtime's, and what the Pending is told then is
 * dropped. The child of a fork comes back here with the loop, and is ended.
 */
#include "serve.h"

#include <structmember.h>

enum { JOBS_PER_ROUND = 256 }; /* then the loop's other guests have their turn */

typedef struct {
    PyObject ob_base;
    struct server *server;
    struct running *run; /* NULL: the call is over */
    PyObject *task;      /* or NULL */
    PyObject *waiter;    /* the future of a task that waits for its turn, or NULL */
} pending_object;

/* ---- setting aside ---- */

static int has_aiter(PyObject *value)
{
    PyAsyncMethods *methods = Py_TYPE(value)->tp_as_async;
    return methods != NULL && (methods->am_aiter != NULL || methods->am_anext != NULL);
}

int sp__py_overlaps(const struct server *server, const struct running *run,
                    PyObject *value)
{
    return server->worker->overlaps && !sp__py_is_plain(value) &&
           (sp__py_is_awaitable(value) ||
            (sp_job_is_stream(run->job) && has_aiter(value)));
}

static pending_object *pending_new(struct server *server, struct running *run)
{
    pending_object *pending = PyObject_New(pending_object, sp__py_bridge.pending_type);
    if (pending != NULL) {
        pending->server = server;
        pending->run = run;
        pending->task = NULL;
        pending->waiter = NULL;
    }
    return pending;
}

/* Tell a task that it may go on, or shall end. */
static void tell_turn(struct server *server, PyObject *pending, int cancelled)
{
    PyObject *done = PyObject_CallMethod(server->worker->helpers, "overlap_turn", "Oi",
                                         pending, cancelled);
    if (done == NULL) {
        PyErr_WriteUnraisable(pending);
    }
    Py_XDECREF(done);
}

/* The job waits for its task. */
static void put_aside(struct server *server, struct running *run)
{
    PyObject *pending = Py_NewRef(run->pending);
    sp__py_server_leave(server);
    (void)sp_job_set_aside(run->job, NULL);
    tell_turn(server, pending, sp_job_cancelled(run->job));
    Py_DECREF(pending);
}

enum outcome sp__py_overlap(struct server *server, struct running *run, PyObject *value)
{
    sp__py_calm(server); /* nothing may strike between the task and the job */
    pending_object *pending = pending_new(server, run);
    PyObject *call = pending != NULL ? sp__py_current() : NULL;
    if (call != NULL) {
        pending->task = PyObject_CallMethod(server->worker->helpers, "overlap", "OOO",
                                            pending, value, call);
    }
    Py_XDECREF(call);
    Py_DECREF(value);
    if (pending == NULL) {
        return RAISED;
    }
    if (pending->task == NULL) {
        pending->run = NULL; /* a task may have been made, and outlive the call */
        Py_DECREF((PyObject *)pending);
        return RAISED;
    }
    run->pending = (PyObject *)pending;
    sp__py_run_keep(server, run);
    put_aside(server, run);
    return PARKED;
}

void sp__py_overlap_turn(struct server *server, struct running *run)
{
    put_aside(server, run);
}

void sp__py_overlap_forget(struct running *run)
{
    if (run->pending != NULL) {
        ((pending_object *)run->pending)->run = NULL;
        Py_CLEAR(run->pending);
    }
}

/* ---- what a task says ---- */

static void over(pending_object *self)
{
    struct running *run = self->run;
    sp__py_overlap_forget(run);
    sp__py_server_leave(self->server);
    sp__py_run_free(self->server, run);
}

static PyObject *pending_finish(PyObject *object, PyObject *value)
{
    pending_object *self = (pending_object *)object;
    if (self->run == NULL) {
        Py_RETURN_NONE;
    }
    Py_INCREF(object); /* the run has the last reference, perhaps */
    sp__py_tell_end(self->server, self->run, 0);
    if (sp__py_answer_with(self->server, self->run, value) == RAISED) {
        sp__py_fail_raised(self->server, self->run, 0);
    }
    over(self);
    Py_DECREF(object);
    Py_RETURN_NONE;
}

static PyObject *pending_fail(PyObject *object, PyObject *exception)
{
    pending_object *self = (pending_object *)object;
    if (self->run == NULL) {
        Py_RETURN_NONE;
    }
    Py_INCREF(object);
    sp__py_tell_end(self->server, self->run, 1);
    PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    sp__py_fail_raised(self->server, self->run, 0);
    over(self);
    Py_DECREF(object);
    Py_RETURN_NONE;
}

static PyObject *pending_end(PyObject *object, PyObject *unused)
{
    (void)unused;
    pending_object *self = (pending_object *)object;
    if (self->run == NULL) {
        Py_RETURN_NONE;
    }
    Py_INCREF(object);
    sp__py_tell_end(self->server, self->run, 0);
    sp__py_detach_view(self->server, self->run);
    (void)sp_job_end(self->run->job, NULL);
    over(self);
    Py_DECREF(object);
    Py_RETURN_NONE;
}

static PyObject *pending_chunk(PyObject *object, PyObject *item)
{
    pending_object *self = (pending_object *)object;
    sp_error err = {0};
    int rc = SP_ERR_CANCELLED;
    if (self->run != NULL) {
        rc = sp__py_send_item(self->server, self->run, item, &err);
    }
    if (rc == ITEM_RAISED) {
        return NULL;
    }
    if (rc == SP_ERR_CANCELLED) {
        PyErr_SetString(sp__py_bridge.cancelled, "nobody listens any more");
    } else if (rc < 0) {
        self->run->code = rc;
        PyErr_SetString(sp__py_bridge.worker_error, err.message);
    }
    sp_error_clear(&err);
    return rc < 0 ? NULL : PyBool_FromLong(rc);
}

static PyObject *pending_is_stream(PyObject *object, void *unused)
{
    (void)unused;
    pending_object *self = (pending_object *)object;
    return PyBool_FromLong(self->run != NULL && sp_job_is_stream(self->run->job));
}

static void pending_dealloc(PyObject *object)
{
    pending_object *self = (pending_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(self->task);
    Py_XDECREF(self->waiter);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyMethodDef pending_methods[] = {
    {"finish", pending_finish, METH_O, "End the call with a result."},
    {"fail", pending_fail, METH_O, "End the call with an exception."},
    {"chunk", pending_chunk, METH_O,
     "Add a chunk to the stream; False: the next one has to wait for a turn."},
    {"end", pending_end, METH_NOARGS, "End the stream."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef pending_getset[] = {
    {"is_stream", pending_is_stream, NULL, "Whether the caller wants a stream.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef pending_members[] = {
    {"task", T_OBJECT, offsetof(pending_object, task), READONLY, NULL},
    {"waiter", T_OBJECT, offsetof(pending_object, waiter), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot pending_slots[] = {
    {Py_tp_dealloc, pending_dealloc},
    {Py_tp_methods, pending_methods},
    {Py_tp_getset, pending_getset},
    {Py_tp_members, pending_members},
    {Py_tp_doc, "A call that a task of the event loop will end. Made by the worker."},
    {0, NULL},
};

static PyType_Spec pending_spec = {
    .name = "snakepit_bridge._worker.Pending",
    .basicsize = sizeof(pending_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = pending_slots,
};

int sp__py_pending_type(PyObject *module)
{
    return sp__py_add_type(module, &pending_spec, &sp__py_bridge.pending_type);
}

/* ---- the loop's side ---- */

PyObject *sp__py_overlap_begin(worker_object *self, PyObject *args)
{
    if (sp__py_serve_prepare(self, args) < 0) {
        return NULL;
    }
    sp_error err = {0};
    int fd = sp_worker_poll_fd(self->worker, &err);
    if (fd < 0) {
        sp__py_serve_end(self);
        return sp__py_raise(&err);
    }
    self->overlaps = 1;
    if (sp__py_server_begin(self) == NULL) {
        sp__py_serve_end(self);
        return NULL;
    }
    return PyLong_FromLong(fd);
}

PyObject *sp__py_run_ready(worker_object *self)
{
    long count = 0;
    if (!self->overlaps) {
        PyErr_SetString(sp__py_bridge.worker_error, "overlap() comes first");
        return NULL;
    }
    if (self->forgotten) {
        sp__py_end_child(OVER); /* the loop came back in a fork's child */
    }
    while (count < JOBS_PER_ROUND) {
        sp_error err = {0};
        sp_job *job = NULL;
        int rc = sp_worker_try_next(self->worker, &job, &err);
        if (rc == 0) {
            break;
        }
        if (rc == SP_ERR_CLOSED) {
            sp_error_clear(&err);
            return PyLong_FromLong(-1);
        }
        if (rc < 0) {
            return sp__py_raise(&err);
        }
        sp__py_run_job(self->main_one, job);
        count++;
    }
    return PyLong_FromLong(count);
}

PyObject *sp__py_overlap_end(worker_object *self)
{
    if (self->overlaps) {
        self->overlaps = 0;
        sp__py_server_end();
        sp__py_serve_end(self);
    }
    Py_RETURN_NONE;
}
