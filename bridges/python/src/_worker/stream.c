/* SPDX-License-Identifier: MIT */
/*
 * Streams: an iterator asked for items until the runtime says that its consumer has had
 * enough for now, and again when the stream's turn comes.
 *
 * It ends when the iterator does, when it raises, or when nobody listens any more; then
 * it is closed, so that the generator's finally blocks run. That clean-up is user code
 * as well: a cancellation does not strike it at once, but after a while if it hangs.
 */
#include "serve.h"

#include "base/clock.h"

int sp__py_is_generator(PyObject *value)
{
    return PyGen_CheckExact(value) || PyAsyncGen_CheckExact(value);
}

/* A stream's result as an iterator (taken); a value that is none becomes one chunk. */
PyObject *sp__py_stream_open(struct server *server, PyObject *value)
{
    if (PyGen_CheckExact(value)) {
        return value;
    }
    if (sp__py_is_plain(value)) {
        PyObject *single = PyTuple_Pack(1, value);
        Py_DECREF(value);
        if (single == NULL) {
            return NULL;
        }
        PyObject *iterator = PyObject_GetIter(single);
        Py_DECREF(single);
        return iterator;
    }
    PyObject *iterator =
        PyObject_CallMethod(server->worker->helpers, "iterate", "O", value);
    Py_DECREF(value);
    return iterator;
}

/* Close a generator: its finally blocks run now. */
void sp__py_stream_drop(struct running *run)
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

/* End a stream that nobody listens to. */
static enum outcome close_stream(struct server *server, struct running *run)
{
    /* Its clean-up is not interrupted at once; a clean-up that hangs is. */
    run->not_before_ms = sp__now_ms() + SP__PY_REPEAT_MS;
    sp__py_server_at(server, run, 1);
    sp__py_stream_drop(run);
    sp__py_calm(server);
    if (server->worker->forgotten) {
        return OVER;
    }
    sp__py_detach_view(server, run);
    (void)sp_job_end(run->job, NULL);
    return OVER;
}

int sp__py_send_item(struct server *server, struct running *run, PyObject *item,
                     sp_error *err)
{
    PyObject *raw = NULL;
    int encode = 1;
    if (!sp__py_is_plain(item)) {
        item = PyObject_CallMethod(server->worker->helpers, "unwrap", "O", item);
        if (item == NULL) {
            return ITEM_RAISED;
        }
    } else {
        Py_INCREF(item);
    }
    if (sp__py_is_raw(item)) {
        raw = PyBytes_FromObject(item);
        encode = 0;
    }
    sp_bytes binary = {NULL, 0};
    int failed = encode ? sp__py_encode(&server->encoder, item) < 0 ||
                              sp__py_parts_join(&server->parts, &binary) < 0
                        : raw == NULL;
    Py_DECREF(item);
    if (failed) {
        sp__py_parts_clear(&server->parts);
        return ITEM_RAISED;
    }
    sp__py_server_leave(server);
    int rc = sp_job_chunk_binary(
        run->job, encode ? sp__py_encoded(server) : sp__py_bytes_of(raw), binary, err);
    sp__py_parts_clear(&server->parts);
    Py_XDECREF(raw);
    return rc;
}

/* The iterator has ended, or raised. */
static enum outcome finish_stream(struct server *server, struct running *run)
{
    sp__py_calm(server);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
            return RAISED;
        }
        PyErr_Clear();
    }
    Py_CLEAR(run->iterator);
    sp__py_detach_view(server, run);
    (void)sp_job_end(run->job, NULL);
    return OVER;
}

/* The runtime has not taken an item. */
static enum outcome give_up(struct server *server, struct running *run, int code,
                            sp_error *err)
{
    if (code == ITEM_RAISED) {
        return RAISED;
    }
    if (code == SP_ERR_CANCELLED) {
        sp_error_clear(err);
        return close_stream(server, run);
    }
    sp__py_stream_drop(run);
    sp__py_fail(server, run, code, NULL, err->message, NULL);
    sp_error_clear(err);
    return OVER;
}

enum outcome sp__py_stream_go_on(struct server *server, struct running *run)
{
    iternextfunc next = Py_TYPE(run->iterator)->tp_iternext;
    for (;;) {
        if (sp_job_cancelled(run->job)) {
            return close_stream(server, run);
        }
        sp__py_server_at(server, run, 1);
        PyObject *item = next(run->iterator);
        if (server->worker->forgotten) {
            return item == NULL && PyErr_Occurred() ? RAISED : OVER;
        }
        if (item == NULL) {
            return finish_stream(server, run);
        }
        sp_error err = {0};
        int rc = sp__py_send_item(server, run, item, &err);
        Py_DECREF(item);
        if (rc < 0) {
            return give_up(server, run, rc, &err);
        }
        if (rc == 0) {
            return PARKED;
        }
    }
}
