/* SPDX-License-Identifier: MIT */
/*
 * A call asks its host: how a question begins and ends.
 *
 * Any thread may ask through a call, also while the tool runs on another. The job under
 * it must not end meanwhile: each question is counted, and the call waits for those that
 * are open before it ends. They end with their answers, or with the call's cancellation,
 * its deadline or the host's death, so that wait is as bounded as the call.
 *
 * What the host refuses becomes one of the exceptions of snakepit_bridge.errors, chosen
 * there by the error's stable name. A cancelled call meets Cancelled instead, like
 * everywhere else.
 */
#include "ask.h"

static pthread_mutex_t asks_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asks_ended = PTHREAD_COND_INITIALIZER;

sp_job *sp__py_ask_begin(PyObject *object)
{
    call_object *call = (call_object *)object;
    sp_job *job;
    Py_BEGIN_CRITICAL_SECTION(call);
    job = call->job;
    if (job != NULL) {
        (void)pthread_mutex_lock(&asks_lock);
        call->asks++;
        (void)pthread_mutex_unlock(&asks_lock);
    }
    Py_END_CRITICAL_SECTION();
    if (job == NULL) {
        sp_error err = {0};
        (void)sp_error_set(&err, SP_ERR_CLOSED,
                           "the call is over: its host is not asked");
        (void)sp__py_raise_host(&err);
    }
    return job;
}

int sp__py_ask_end(PyObject *object, const sp_job *job, int rc, sp_error *err)
{
    call_object *call = (call_object *)object;
    if (rc < 0 && err->code == SP_ERR_STOPPED_BY_CALLBACK && PyErr_Occurred()) {
        sp_error_clear(err); /* a signal's handler has raised */
    } else if (rc < 0 && sp_job_cancelled(job)) {
        sp_error_clear(err);
        PyErr_SetString(sp__py_bridge.cancelled, "nobody waits for this call any more");
    } else if (rc < 0) {
        (void)sp__py_raise_host(err);
    }
    (void)pthread_mutex_lock(&asks_lock);
    call->asks--;
    (void)pthread_cond_broadcast(&asks_ended);
    (void)pthread_mutex_unlock(&asks_lock);
    return rc < 0 ? -1 : 0;
}

void sp__py_asks_wait(call_object *call)
{
    int open;
    (void)pthread_mutex_lock(&asks_lock);
    open = call->asks > 0;
    (void)pthread_mutex_unlock(&asks_lock);
    if (!open) {
        return;
    }
    Py_BEGIN_ALLOW_THREADS;
    (void)pthread_mutex_lock(&asks_lock);
    while (call->asks > 0) {
        (void)pthread_cond_wait(&asks_ended, &asks_lock);
    }
    (void)pthread_mutex_unlock(&asks_lock);
    Py_END_ALLOW_THREADS;
}

int sp__py_raise_host(sp_error *err)
{
    if (err->code == SP_ERR_NOMEM) {
        (void)PyErr_NoMemory();
        sp_error_clear(err);
        return -1;
    }
    const char *message = err->code == SP_ERR_REMOTE && err->remote_message != NULL
                              ? err->remote_message
                          : err->message[0] != '\0' ? err->message
                                                    : sp_strerror(err->code);
    PyObject *module = PyImport_ImportModule("snakepit_bridge.errors");
    PyObject *exception = NULL;
    if (module != NULL) {
        exception = PyObject_CallMethod(
            module, "of_code", "sszzz", sp_error_name(err->code), message,
            err->remote_type, err->remote_trace, err->remote_details);
    }
    if (exception != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    }
    Py_XDECREF(exception);
    Py_XDECREF(module);
    sp_error_clear(err);
    return -1;
}
