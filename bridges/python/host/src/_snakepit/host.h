/* SPDX-License-Identifier: MIT */
/*
 * The extension `snakepit._snakepit`: a pit, for programs in Python that call.
 *
 * Everything is done with the public headers. What differs from C: waits let go of the
 * interpreter's lock and hear its signals, arguments and results are Python objects, and
 * failures are exceptions. What is rare is left to the package around it.
 */
#ifndef SP_PYTHON_HOST_H
#define SP_PYTHON_HOST_H

#include "../../../src/_worker/codec.h"
#include "../../../src/_worker/extension.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "snakepit/snakepit.h"

enum {
    SP__PYHOST_SLICE_MS = 100
}; /* how soon a signal or a close is heard in a wait */

/* Made once per process, when the module is first imported. */
struct host {
    PyTypeObject *pit_type;
    PyTypeObject *map_type;
    PyTypeObject *stream_type;
    PyTypeObject *tool_call_type;
    PyObject *make_error;      /* make_error(facts) -> exception */
    PyObject *plain;           /* plain(value) -> what JSON can hold, or TypeError */
    atomic_uint forks;         /* this process is so many forks away */
    unsigned long main_thread; /* the one that hears signals */
};
extern struct host sp__pyhost;

typedef struct {
    PyObject ob_base;
    sp_pit *pit; /* NULL before it is opened and once it is closed */
    unsigned forks;
    atomic_int ending; /* it is about to be closed: tools do not wait for readers */
    atomic_int closing;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    unsigned users;              /* under lock: threads inside */
    struct list handles;         /* under lock: open maps and streams */
    uint64_t startup_ms;         /* the longest that a pool may take */
    pthread_mutex_t dispatching; /* one at a time */
    atomic_flag keys_taken;
    struct key_cache keys;
} pit_object;

/* Of a map or a stream: what the pit must close before itself. Once it is off the pit's
 * list its object may go at any moment, and whoever took it closes what it has copied. */
struct handle {
    struct link on_pit;
    void (*close)(void *what); /* without the interpreter's lock, once */
    void *what;                /* the library's map or stream */
};

/* ---- pit.c ---- */

int sp__pyhost_pit_type(PyObject *module);

/* Use the pit until _leave(): its C handle, or NULL with an exception: it is closed, or
 * another process's. */
sp_pit *sp__pyhost_enter(pit_object *self);
void sp__pyhost_leave(pit_object *self);

void sp__pyhost_handle_open(pit_object *self, struct handle *handle);
/* Close it, unless the pit has. Not while another thread uses it. */
void sp__pyhost_handle_close(pit_object *self, struct handle *handle);

/* Between two slices of a wait, without the interpreter's lock: whether to go on. 0; -1 to
 * stop, with an exception or because the pit is closing. A sp_call_options.interrupt. */
int sp__pyhost_may_wait(void *pit_object);

/* ---- ask.c: what a call is made of ---- */

struct writer;

struct ask {
    const char *tool;
    sp_call_options options;
    sp_binary binary;
    sp_bytes json;
    struct writer *writer;
};

/* Begin; the text is borrowed from `tool`. 0, or -1 with an exception. */
int sp__pyhost_ask_begin(struct ask *ask, pit_object *pit, PyObject *tool);
/* Read one keyword that is an option: 1; 0 it is none; -1 with an exception. What it
 * holds is borrowed from the value. */
int sp__pyhost_ask_option(struct ask *ask, PyObject *name, PyObject *value);
/* Read a dict of options, or None. */
int sp__pyhost_ask_options(struct ask *ask, PyObject *options);
/* Write the arguments, a dict or a tuple; they are in ask->json, and what travels beside
 * it in ask->options, until the end or the next. */
int sp__pyhost_ask_arguments(struct ask *ask, PyObject *arguments);
void sp__pyhost_ask_end(struct ask *ask);

/* Seconds, or None for 0 (the default), as milliseconds. -1 with an exception. */
int sp__pyhost_ms(PyObject *seconds, const char *what, uint64_t *ret_ms);

int sp__pyhost_ask_init(void);

/* Write a value as JSON with its bytes beside it: _begin, then read json and binary, then
 * _end. NULL with an exception. */
struct writer *sp__pyhost_write(PyObject *value, sp_bytes *ret_json,
                                sp_bytes *ret_binary);
void sp__pyhost_write_end(struct writer *writer);

/* ---- value.c: what comes back ---- */

/* The value of a result, which is taken. */
PyObject *sp__pyhost_value_take(pit_object *pit, sp_result *result);
/* The value of JSON with bytes beside it, both borrowed. */
PyObject *sp__pyhost_value_copy(pit_object *pit, sp_bytes json, sp_bytes binary);
/* Text that may be no UTF-8; None for NULL. */
PyObject *sp__pyhost_text(const char *text);
/* The exception of an error: a new reference, or NULL with another one. */
PyObject *sp__pyhost_error(const sp_error *err);
/* Raise it, unless an exception is set, and clear it. NULL. */
PyObject *sp__pyhost_raise(pit_object *pit, sp_error *err);

/* ---- the rest ---- */

int sp__pyhost_map_type(PyObject *module);
/* _map(tool, iterable, options, in_flight, ordered, give_errors) */
PyObject *sp__pyhost_map(PyObject *pit, PyObject *args);
int sp__pyhost_stream_type(PyObject *module);
/* _stream(tool, arguments, options) */
PyObject *sp__pyhost_stream(PyObject *pit, PyObject *args);

/* dispatch.c */
PyObject *sp__pyhost_start(PyObject *pit, PyObject *args);
PyObject *sp__pyhost_dispatch(PyObject *pit, PyObject *args);
void sp__pyhost_on_event(const sp_event *event, void *user_data);
/* Close the C pit; what ends with it is appended to `endings`. */
int sp__pyhost_close_in_turn(pit_object *self, sp_pit *pit, PyObject *endings);

/* facts.c, state.c, tool.c: more methods of a pit */
extern PyMethodDef sp__pyhost_facts[];
extern PyMethodDef sp__pyhost_state[];
extern PyMethodDef sp__pyhost_tools[];
int sp__pyhost_tool_type(PyObject *module);

#endif
