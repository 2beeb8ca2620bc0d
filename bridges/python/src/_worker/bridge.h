/* SPDX-License-Identifier: MIT */
/*
 * The extension's own types: the worker, the call it runs, and what both share.
 *
 * One process is one worker: signals, the fork handler and the inherited sockets belong
 * to the process, so the state of this extension does too.
 *
 * A tool, as the serve loop sees it, is a tuple (callable, style, context):
 *   style    one of STYLE_, how the arguments are handed over
 *   context  None, or what to call with a SessionContext before the tool
 */
#ifndef SP_PYTHON_BRIDGE_H
#define SP_PYTHON_BRIDGE_H

#include "codec.h"
#include "extension.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include "base/list.h"
#include "snakepit/worker.h"

enum {
    SP__PY_REPEAT_MS = 1000, /* a swallowed interruption comes again after this */
    KNOWN_MAX = 16,          /* tools that are remembered */
};

enum tool_style {
    STYLE_KEYWORDS = 0, /* f(**object) or f(*array) */
    STYLE_DICT,         /* f(object) */
    STYLE_DISPATCH,     /* f(tool_name=, arguments=, context=) */
    STYLE_CONTEXT,      /* f(context, **object) or f(context, *array) */
};

/* What a call in progress is for Python code: safe to keep, it outlives the call. */
typedef struct {
    PyObject ob_base;
    sp_job *job; /* NULL once the call has ended */
    int was_cancelled;
    PyObject *tool;      /* str */
    PyObject *session;   /* str */
    PyObject *metadata;  /* dict */
    PyObject *context;   /* the SessionContext, until the call has ended; or NULL */
    unsigned asks;       /* questions to the host that are open; under ask.c's lock */
    struct list sources; /* what it receives from the host; under source.c's lock */
} call_object;

/* A call that runs, or a stream between two turns. */
struct running {
    struct link link; /* a stream's, on worker_object.streams */
    sp_job *job;
    PyObject *tool;         /* str */
    PyObject *iterator;     /* a stream's, else NULL */
    PyObject *pending;      /* of a call that has become a task, else NULL */
    call_object *view;      /* or NULL: nobody asked */
    int code;               /* SP_ERR_ of what was found wrong before the tool, or 0 */
    int in_user_code;       /* an interruption may be raised now; server.c */
    int asked_politely;     /* the event loop was asked to cancel its task */
    uint64_t not_before_ms; /* no (further) interruption before */
    uint32_t mark;          /* of the events about it, as sp_emission.span */
    uint64_t began_us;      /* when it was told that it begins, 0: it was not */
};

typedef struct {
    PyObject ob_base;
    sp_worker *worker; /* NULL once closed */
    int forgotten;     /* this is the child of a fork inside a call */
    int serving;
    pthread_t main;          /* the thread that runs signal handlers */
    int cancel_signal;       /* 0: calls are not interrupted */
    uint32_t threads;        /* the most that may serve */
    int overlaps;            /* the event loop has several calls in hand */
    struct server *main_one; /* of the thread that opened the worker */
    struct server **servers; /* those that serve, as long as serve() runs, or NULL */
    uint32_t servers_count;
    uint32_t servers_taken; /* by a thread; under the critical section of this object */
    sem_t ended;            /* posted by each thread that serves no longer */
    PyObject *failure;      /* why the first one ended, or NULL; as servers_taken */
    struct list streams;    /* those that have begun and not ended; as servers_taken */
    PyObject *tools;        /* dict: name -> tool tuple */
    PyObject *resolve;      /* resolve(name) -> tool tuple, raises NoSuchTool */
    PyObject *helpers;      /* module snakepit_bridge._serve: the rarer work */
    PyObject *fallback;     /* of every encoder */
} worker_object;

/* A tool that has been called. What the table says of a name it says for good. */
struct known_tool {
    PyObject *name;      /* an ASCII str; NULL: none */
    PyObject *tool;      /* its tuple */
    PyObject *arguments; /* what those of its last call were called, a tuple; or NULL */
};

/* A thread that serves: what it works with, and what it is at. */
struct server {
    worker_object *worker;
    PyObject *gate; /* its critical section is round what other threads look at: */
    struct running *current; /* or NULL */
    int is_struck;           /* an exception was sent to the thread from outside */
    PyObject *canceller;     /* asks the event loop to cancel its task, or NULL */
    /* its own */
    int is_main;           /* its cancellations come by signal */
    unsigned long ident;   /* as the interpreter numbers threads */
    struct running *spare; /* kept for the next call, or NULL */
    struct key_cache keys;
    struct known_tool known[KNOWN_MAX];
    struct encoder encoder;
    struct parts parts; /* of the answer that is being made */
};

/* Made once per process, when the module is first imported. */
struct bridge {
    PyTypeObject *worker_type;
    PyTypeObject *call_type;
    PyTypeObject *pending_type;
    PyObject *cancelled;    /* Cancelled(BaseException) */
    PyObject *bad_args;     /* BadArguments(TypeError) */
    PyObject *no_tool;      /* NoSuchTool(LookupError) */
    PyObject *worker_error; /* WorkerError(RuntimeError) */
    PyObject *call_var;     /* a ContextVar: the Call, where no thread of a server is */
    worker_object *worker;  /* the open one, borrowed; or NULL */
};
extern struct bridge sp__py_bridge;

/* Raise WorkerError with the error's text; clears it. NULL. */
PyObject *sp__py_raise(sp_error *err);

/* serve.c */
/* Prepare to serve, and with one thread do it. */
PyObject *sp__py_serve(worker_object *self, PyObject *args);
/* Serve on a thread of the caller's, after sp__py_serve() with several. */
PyObject *sp__py_take_part(worker_object *self);
void sp__py_session_ended(void *user_data, const char *session);

/* overlap.c */
int sp__py_pending_type(PyObject *module);
/* Serve from an event loop on this thread: gives the descriptor that it has to wait for.
 * Then run_ready() each time before it waits: how many jobs were run, or -1 at the end. */
PyObject *sp__py_overlap_begin(worker_object *self, PyObject *args);
PyObject *sp__py_run_ready(worker_object *self);
PyObject *sp__py_overlap_end(worker_object *self);

/* server.c */
struct server *sp__py_server_new(worker_object *worker);
void sp__py_server_free(struct server *server);
/* Make as many as threads are to serve: with one it is main_one. -1 with an exception. */
int sp__py_servers_open(worker_object *worker, uint32_t count);
void sp__py_servers_close(worker_object *worker);
/* This thread serves from now on: the server it has, or NULL with an exception when
 * enough do. */
struct server *sp__py_server_begin(worker_object *worker);
void sp__py_server_end(void);
/* The thread is at a call, which may be interrupted when `in_user_code`; at none. */
void sp__py_server_at(struct server *server, struct running *run, int in_user_code);
/* Between two parts of user code, and before the job ends: no interruption now, and none
 * that is still on its way. */
void sp__py_calm(struct server *server);
void sp__py_server_leave(struct server *server);
/* The call that runs now: a new reference, NULL with or without an exception. */
PyObject *sp__py_current(void);
/* What to call first when this thread's call is cancelled (taken), or NULL. */
void sp__py_set_canceller(PyObject *canceller);

/* interrupt.c */
/* From now on this thread's calls, or those of others by way of it, can be
 * interrupted. */
int sp__py_interrupt_start(worker_object *self);
void sp__py_on_cancel(void *user_data, sp_job *job);
extern PyMethodDef sp__py_cancel_handler;

/* call.c */
int sp__py_call_type(PyObject *module);
call_object *sp__py_call_new(sp_job *job, PyObject *tool);
int sp__py_call_is_active(PyObject *call);
/* The call is about to end: what was lent to Python lets go of it. */
void sp__py_call_end(call_object *call);

/* ask.c: wait, without the interpreter's lock, until nobody asks through this call any
 * more. It takes no more questions. */
void sp__py_asks_wait(call_object *call);

/* source.c: close what a call still receives; wait until no thread takes from any. */
void sp__py_sources_end(call_object *call);
void sp__py_sources_wait(void);

/* The JSON of a value as bytes; fallback(value) stands in for what JSON cannot hold. */
PyObject *sp__py_json(PyObject *value, PyObject *fallback);

/* telemetry.c */
int sp__py_telemetry_functions(PyObject *module);
/* A call into the adapter begins, and has returned or raised: for who listens. */
void sp__py_tell_begin(struct server *server, struct running *run);
void sp__py_tell_end(struct server *server, struct running *run, int raised);
/* The worker is about to be closed: no event is reported by it any more. */
void sp__py_telemetry_end(worker_object *worker);

/* zygote.c */
int sp__py_zygote_functions(PyObject *module);

/* hardware.c */
int sp__py_hardware_functions(PyObject *module);

/* worker.c */
int sp__py_worker_type(PyObject *module);

#endif
