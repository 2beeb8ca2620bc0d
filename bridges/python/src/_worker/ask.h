/* SPDX-License-Identifier: MIT */
/*
 * What the files share through which a call asks its host: ask.c begins and ends a
 * question and tells failures, values.c makes dicts of the runtime's structs, and the
 * others are methods of `_worker.Call`, one subject each.
 *
 * Texts come as str, values as JSON in bytes, and leave as plain Python objects. The
 * interpreter's lock is given up while the runtime waits for an answer.
 */
#ifndef SP_PYTHON_ASK_H
#define SP_PYTHON_ASK_H

#include "bridge.h"

#include "snakepit/worker_host.h"
#include "snakepit/worker_state.h"

/* ---- ask.c ---- */

/* The job of a call that still runs; it will not end before sp__py_ask_end(). NULL with
 * HostError when the call is over. */
sp_job *sp__py_ask_begin(PyObject *call);

/* The question has been answered. 0, or -1 with an exception when rc is negative; clears
 * err. */
int sp__py_ask_end(PyObject *call, const sp_job *job, int rc, sp_error *err);

/* Raise what the host said, or what kept it from saying so; clears err. -1. */
int sp__py_raise_host(sp_error *err);

/* ---- values.c ---- */

/* JSON text as a Python object. held: a dict of the buffers it speaks of, or NULL. */
PyObject *sp__py_from_json(const char *text, size_t size, PyObject *held);
/* array  the value, when it came as bytes; else NULL */
PyObject *sp__py_from_variable(const sp_variable *variable, const sp_tensor *array);
PyObject *sp__py_from_program(const sp_program *program);

/* Append an item (taken) to *list, which becomes NULL when that, or making the item, has
 * failed: with an exception. */
void sp__py_collect(PyObject **list, PyObject *item);

/* End a question whose callbacks filled a list (taken): it, or NULL with an exception,
 * that of a callback before that of the question. */
PyObject *sp__py_listed(PyObject *call, const sp_job *job, int rc, sp_error *err,
                        PyObject *list);

/* For PyArg_ParseTuple's O&: bytes or None, as borrowed text or NULL. */
int sp__py_optional_bytes(PyObject *object, void *ret_text);

PyObject *sp__py_from_session(const sp_session_info *info);

/* A sequence of str as an array that borrows from *ret_owner; free both. -1 with an
 * exception. */
int sp__py_names(PyObject *sequence, PyObject **ret_owner, const char ***ret_names);
void sp__py_names_free(PyObject *owner, const char **names);

/* ---- arrays.c ---- */

/* A value for a variable: JSON in bytes, or an array as (dtype, shape, bytes). */
struct new_value {
    const char *json;
    int is_array;
    sp_tensor array;
};
/* Borrows from the object. 0, or -1 with an exception. */
int sp__py_new_value(PyObject *value, struct new_value *ret);

/* The value of a large tensor or embedding: of `array`, or else of the variable's JSON.
 * 1 with it, or with NULL and an exception; 0: it is another value. */
int sp__py_from_array(const sp_variable *variable, const sp_tensor *array,
                      PyObject **ret);

/* ---- tools.c ---- */

#define SP__PY_PART "arrays" /* the binary argument that has those of a question */

/* A question to a tool; borrows from the Python objects it was read from. */
struct question {
    const char *tool;
    sp_bytes json;
    sp_binary binary;
    sp_host_call_options options; /* points into this struct */
};
int sp__py_question(PyObject *args, struct question *ret);

/* A result, or a chunk. */
PyObject *sp__py_answer(sp_bytes json, sp_bytes binary);

/* ---- source.c ---- */

int sp__py_source_type(PyObject *module);
PyObject *sp__py_tool_stream(PyObject *call, PyObject *args);
PyObject *sp__py_watch(PyObject *call, PyObject *args);

/* ---- the other methods of Call ---- */

extern PyMethodDef sp__py_variable_methods[];
extern PyMethodDef sp__py_batch_methods[];
extern PyMethodDef sp__py_program_methods[];
extern PyMethodDef sp__py_tool_methods[];

#endif
