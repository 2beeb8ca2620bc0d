/* SPDX-License-Identifier: MIT */
/*
 * Ending a call: with a result, or with what went wrong.
 *
 * A result is encoded and handed over; bytes travel raw, beside JSON null. An exception
 * becomes a failure with its type, message, traceback and causes, told by Python code that is
 * loaded then. Which code it gets depends on where it came from: the encoder's limits,
 * the package's own exceptions, a TypeError before any frame of the tool ran (the
 * arguments did not fit), or else the tool itself.
 *
 * When even the telling fails, the exception's type is told and nothing more. An answer
 * that cannot be sent ends its job all the same: the runtime tells the caller why.
 */
#include "serve.h"

#include <string.h>

void sp__py_detach_view(struct server *server, struct running *run)
{
    call_object *view;
    /* In one step: a thread of the tool that asks now must get the old view or none. */
    Py_BEGIN_CRITICAL_SECTION(server->gate);
    server->current = NULL;
    view = run->view;
    run->view = NULL;
    Py_END_CRITICAL_SECTION();
    if (view != NULL) {
        sp__py_call_end(view);
        Py_DECREF((PyObject *)view);
    }
}

sp_bytes sp__py_bytes_of(PyObject *bytes)
{
    return (sp_bytes){PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
}

sp_bytes sp__py_encoded(const struct server *server)
{
    return (sp_bytes){server->encoder.out.data, server->encoder.out.size};
}

void sp__py_fail(struct server *server, struct running *run, int code, const char *type,
                 const char *message, const char *trace)
{
    sp__py_calm(server);
    sp__py_detach_view(server, run);
    (void)sp_job_fail(run->job, code, type, message, trace, NULL);
}

/* A text of the story told of an exception; NULL when it is none. */
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

/* (type, message, traceback or None, JSON or None) */
static void fail_as_told(struct server *server, struct running *run, int code,
                         PyObject *story)
{
    const sp_failure failure = {
        .size = sizeof failure,
        .code = code,
        .type = text_or_null(PyTuple_GET_ITEM(story, 0)),
        .message = text_or_null(PyTuple_GET_ITEM(story, 1)),
        .trace = text_or_null(PyTuple_GET_ITEM(story, 2)),
        .details = sp_text(text_or_null(PyTuple_GET_ITEM(story, 3))),
    };
    sp__py_calm(server);
    sp__py_detach_view(server, run);
    (void)sp_job_fail_with(run->job, &failure, NULL);
}

/* bytes, bytearray and memoryviews of bytes as a whole result travel raw, beside JSON
 * null. */
int sp__py_is_raw(PyObject *value)
{
    if (PyMemoryView_Check(value)) {
        const Py_buffer *view = PyMemoryView_GET_BUFFER(value);
        return view->ndim == 1 && view->itemsize == 1;
    }
    return PyBytes_CheckExact(value) || PyByteArray_CheckExact(value);
}

enum outcome sp__py_reply(struct server *server, struct running *run, PyObject *value)
{
    if (sp__py_is_raw(value)) {
        PyObject *raw = PyBytes_FromObject(value);
        if (raw == NULL) {
            return RAISED;
        }
        sp__py_calm(server);
        sp__py_detach_view(server, run);
        (void)sp_job_reply(run->job, (sp_bytes){"null", 4}, NULL, sp__py_bytes_of(raw),
                           NULL);
        Py_DECREF(raw);
        return OVER;
    }
    sp_bytes binary;
    if (sp__py_encode(&server->encoder, value) < 0 ||
        sp__py_parts_join(&server->parts, &binary) < 0) {
        sp__py_parts_clear(&server->parts);
        return RAISED;
    }
    sp__py_calm(server);
    sp__py_detach_view(server, run);
    (void)sp_job_reply(run->job, sp__py_encoded(server), NULL, binary, NULL);
    sp__py_parts_clear(&server->parts);
    return OVER;
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

static int code_of(const struct running *run, PyObject *exception, int at_boundary)
{
    PyObject *type = (PyObject *)Py_TYPE(exception);
    if (run->code != 0) {
        return run->code;
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
void sp__py_fail_raised(struct server *server, struct running *run, int at_boundary)
{
    sp__py_calm(server);
    PyObject *exception = sp__py_take_exception();
    if (exception == NULL) {
        sp__py_fail(server, run, SP_ERR_REMOTE, "SystemError",
                    "failed without an exception", NULL);
        return;
    }
    if (sp_job_cancelled(run->job)) {
        Py_DECREF(exception); /* nobody is left to be told */
        sp__py_fail(server, run, SP_ERR_CANCELLED, NULL, NULL, NULL);
        return;
    }
    int code = code_of(run, exception, at_boundary);

    PyObject *story = NULL;
    if (server->worker->helpers != NULL) {
        story = PyObject_CallMethod(server->worker->helpers, "describe", "Oi",
                                    exception, code == SP_ERR_REMOTE);
    }
    if (story != NULL && PyTuple_Check(story) && PyTuple_GET_SIZE(story) == 4) {
        fail_as_told(server, run, code, story);
    } else {
        PyErr_Clear();
        sp__py_fail(server, run, code, Py_TYPE(exception)->tp_name, NULL, NULL);
    }
    Py_XDECREF(story);
    Py_DECREF(exception);
}
