/* SPDX-License-Identifier: MIT */
/*
 * What the files of the serve loop share: serve.c takes jobs and decides, invoke.c
 * calls the tool, answer.c ends the call, stream.c goes on with a stream.
 */
#ifndef SP_PYTHON_SERVE_H
#define SP_PYTHON_SERVE_H

#include "bridge.h"

/* What became of a piece of work. */
enum outcome {
    OVER,   /* the job has ended */
    RAISED, /* an exception is set; the job is still to be ended */
    PARKED, /* a stream that waits for its turn */
};

/* ---- serve.c ---- */

/* Run a job until it has ended, waits or is set aside. */
void sp__py_run_job(struct server *server, sp_job *job);
/* The job will come back, on whatever thread: it has the run, and so has the worker. */
void sp__py_run_keep(struct server *server, struct running *run);
void sp__py_run_free(struct server *server, struct running *run);
/* The child of a fork ends here instead of serving; does not return. */
void sp__py_end_child(enum outcome outcome);
/* End a call with what its tool gave. RAISED: it cannot be one's result. */
enum outcome sp__py_answer_with(struct server *server, struct running *run,
                                PyObject *result);
/* What serve() does before and after; with an exception set or not. */
int sp__py_serve_prepare(worker_object *self, PyObject *args);
void sp__py_serve_end(worker_object *self);

/* ---- overlap.c ---- */

/* Whether what a tool gave is for the event loop, which has other calls in hand. */
int sp__py_overlaps(const struct server *server, const struct running *run,
                    PyObject *value);
/* Make it a task (taken) and set the job aside: PARKED, or RAISED. */
enum outcome sp__py_overlap(struct server *server, struct running *run,
                            PyObject *value);
/* The job has come back: its turn, or nobody waits for it any more. */
void sp__py_overlap_turn(struct server *server, struct running *run);
/* The call is over: its task may be told nothing and tells nothing. */
void sp__py_overlap_forget(struct running *run);

/* ---- answer.c ---- */

/* The job is about to end: it is nobody's current call any more, and what Python code
 * holds of it lets go. */
void sp__py_detach_view(struct server *server, struct running *run);

sp_bytes sp__py_bytes_of(PyObject *bytes);
sp_bytes sp__py_encoded(const struct server *server);

/* Whether the value travels raw: bytes, bytearray, a memoryview of bytes. */
int sp__py_is_raw(PyObject *value);

/* End the job with a result. RAISED: it could not be encoded. */
enum outcome sp__py_reply(struct server *server, struct running *run, PyObject *value);

/* End the job with a failure that is no exception's. */
void sp__py_fail(struct server *server, struct running *run, int code, const char *type,
                 const char *message, const char *trace);

/* End the job with the exception that is set.
 * at_boundary  it came from the call itself: a TypeError may be the arguments' fault */
void sp__py_fail_raised(struct server *server, struct running *run, int at_boundary);

/* ---- invoke.c ---- */

/* Decode the arguments and run a tool, of which `known` is remembered, or NULL. NULL with
 * an exception; then *ret_at_boundary says whether the call itself was reached. */
PyObject *sp__py_invoke(struct server *server, struct running *run, PyObject *tool,
                        struct known_tool *known, int *ret_at_boundary);

/* Types whose values are never awaited, iterated or unwrapped. */
int sp__py_is_plain(PyObject *value);
int sp__py_is_awaitable(PyObject *value);

/* Replace an awaitable (taken) by what it gives; others come back as they are. */
PyObject *sp__py_awaited(struct server *server, PyObject *value);

/* ---- stream.c ---- */

int sp__py_is_generator(PyObject *value);

/* A stream's result (taken) as an iterator; a value that is none becomes one chunk. */
PyObject *sp__py_stream_open(struct server *server, PyObject *value);

/* Send items until the stream ends, waits, fails or is not wanted any more. */
enum outcome sp__py_stream_go_on(struct server *server, struct running *run);

enum { ITEM_RAISED = -1000 }; /* no error code */

/* Hand one item to the runtime, whose answer it gives; or ITEM_RAISED. After 0 the run
 * is another thread's. */
int sp__py_send_item(struct server *server, struct running *run, PyObject *item,
                     sp_error *err);

/* Close the stream's iterator: its finally blocks run now. */
void sp__py_stream_drop(struct running *run);

#endif
