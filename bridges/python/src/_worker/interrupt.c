/* SPDX-License-Identifier: MIT */
/*
 * Stopping a call that nobody waits for any more.
 *
 * A cancellation arrives on the runtime's helper thread, which may not touch the
 * interpreter. It sends a real signal (SIGURG unless set otherwise) to the main thread:
 * that ends sleeps and reads with EINTR and makes the interpreter run on_signal() below
 * between two instructions, which raises Cancelled in the tool. (Pending calls and
 * asynchronous exceptions set from another thread do neither.)
 *
 * With several threads the main one runs no tools and waits for such signals: it sends
 * Cancelled to the thread whose call is meant, as an asynchronous exception. That strikes
 * between two instructions of Python; what waits in a system call meets it afterwards,
 * because only the main thread's are ended by signals.
 *
 * The runtime repeats the signal with growing pauses until the call ends. That serves
 * twice: a signal that came too early is not lost, and a tool that swallowed Cancelled
 * meets it again after a second. An async tool is first asked through its event loop to
 * cancel the task; if it does not get there within POLITE_MS it blocks, and Cancelled
 * is raised inside it like in any other.
 *
 * A late signal finds another call, or none: the handler looks at the call that runs
 * now and raises only if that one is cancelled; server.c takes back what has not struck
 * when its call ends.
 */
#include "bridge.h"

#include "base/clock.h"

enum { POLITE_MS = 60 };

void sp__py_on_cancel(void *user_data, sp_job *job)
{
    (void)job;
    worker_object *self = user_data;
    if (self->cancel_signal != 0) {
        (void)pthread_kill(self->main, self->cancel_signal);
    }
}

/* What is to be done about a server's call. */
enum blow { BLOW_NONE, BLOW_ASK, BLOW_STRIKE };

/* Behind the gate. */
static enum blow blow_of(struct server *server, uint64_t now_ms)
{
    struct running *run = server->current;
    if (run == NULL || !run->in_user_code || !sp_job_cancelled(run->job) ||
        now_ms < run->not_before_ms) {
        return BLOW_NONE;
    }
    if (server->canceller != NULL && !run->asked_politely) {
        run->asked_politely = 1;
        run->not_before_ms = now_ms + POLITE_MS;
        return BLOW_ASK;
    }
    run->not_before_ms = now_ms + SP__PY_REPEAT_MS;
    if (!server->is_main) {
        server->is_struck = 1;
        (void)PyThreadState_SetAsyncExc(server->ident, sp__py_bridge.cancelled);
    }
    return BLOW_STRIKE;
}

/* Cancelled in the server's call if that is cancelled, and it is time (again). The main
 * thread's is raised here: -1. */
static int strike(struct server *server)
{
    uint64_t now_ms = sp__now_ms();
    enum blow blow;
    PyObject *canceller;
    Py_BEGIN_CRITICAL_SECTION(server->gate);
    blow = blow_of(server, now_ms);
    canceller = blow != BLOW_NONE ? server->canceller : NULL;
    Py_XINCREF(canceller);
    Py_END_CRITICAL_SECTION();
    if (blow == BLOW_STRIKE && server->is_main) {
        Py_XDECREF(canceller);
        PyErr_SetString(sp__py_bridge.cancelled, "nobody waits for this call any more");
        return -1;
    }
    if (canceller == NULL) {
        return 0;
    }
    PyObject *done = PyObject_CallFunction(canceller, "i", blow == BLOW_STRIKE);
    Py_DECREF(canceller);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

/* Runs on the main thread: for its own call, or for those of all others. */
static PyObject *on_signal(PyObject *unused, PyObject *args)
{
    (void)unused;
    (void)args;
    worker_object *self = sp__py_bridge.worker;
    for (uint32_t i = 0; self != NULL && self->servers != NULL; i++) {
        if (i == self->servers_count) {
            break;
        }
        if (strike(self->servers[i]) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

PyMethodDef sp__py_cancel_handler = {"_on_cancel_signal", on_signal, METH_VARARGS,
                                     "Raise Cancelled in a call that is cancelled."};

/* signal.py imports enum, which costs more than this whole package; _signal is built
 * in. */
static int install_cancel_handler(worker_object *self)
{
    PyObject *handler = PyCFunction_New(&sp__py_cancel_handler, NULL);
    PyObject *module = handler != NULL ? PyImport_ImportModule("_signal") : NULL;
    PyObject *old = NULL;
    if (module != NULL) {
        old = PyObject_CallMethod(module, "signal", "iO", self->cancel_signal, handler);
    }
    Py_XDECREF(handler);
    Py_XDECREF(module);
    Py_XDECREF(old);
    if (old != NULL) {
        return 0;
    }
    if (PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear(); /* not the main thread: calls here cannot be interrupted */
        self->cancel_signal = 0;
        return 0;
    }
    return -1;
}

int sp__py_interrupt_start(worker_object *self)
{
    self->main = pthread_self();
    return self->cancel_signal != 0 ? install_cancel_handler(self) : 0;
}
