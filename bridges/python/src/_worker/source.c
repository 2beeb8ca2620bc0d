/* SPDX-License-Identifier: MIT */
/*
 * `_worker.Source`: what a call goes on receiving from its host, the chunks of a tool's
 * stream or the changes that a watch sees.
 *
 * A source belongs to its call and is closed with it; Python code may keep the object and
 * finds it at its end. One thread at a time waits in next(), without the interpreter's
 * lock and not counted as one of the call's questions, because it may wait for ever: the
 * job's end wakes it. A close() that comes meanwhile, the call's own too, leaves the
 * closing to that thread. A worker closes only when no thread waits in a source any more.
 *
 * Everything that says who closes what is under one lock of this file.
 */
#include "ask.h"

#include "base/list.h"

enum source_kind { SOURCE_CHUNKS, SOURCE_CHANGES };

typedef struct {
    PyObject ob_base;
    call_object *call;
    enum source_kind kind;
    struct link link; /* on call->sources while open */
    void *open;       /* sp_host_stream or sp_job_watch; NULL: closed */
    int waiting;      /* a thread is in next() */
    int closing;      /* that thread shall close it */
} source_object;

static PyTypeObject *source_type;
static pthread_mutex_t sources_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t sources_left = PTHREAD_COND_INITIALIZER;
static unsigned waiting_threads;

/* ---- opening and closing ---- */

static source_object *source_new(PyObject *call, enum source_kind kind)
{
    source_object *self = PyObject_New(source_object, source_type);
    if (self != NULL) {
        self->call = (call_object *)Py_NewRef(call);
        self->kind = kind;
        self->link = (struct link){0};
        self->open = NULL;
        self->waiting = self->closing = 0;
    }
    return self;
}

/* It has been opened: from now on the call closes it. */
static void source_opened(source_object *self)
{
    (void)pthread_mutex_lock(&sources_lock);
    sp__list_append(&self->call->sources, &self->link);
    (void)pthread_mutex_unlock(&sources_lock);
}

/* Under the lock: what is now the caller's to close, or NULL. */
static void *let_go(source_object *self)
{
    void *open = self->open;
    if (open == NULL || self->waiting) {
        self->closing = open != NULL;
        return NULL;
    }
    self->open = NULL;
    sp__list_remove(&self->link);
    return open;
}

static void close_open(enum source_kind kind, void *open)
{
    if (kind == SOURCE_CHUNKS) {
        sp_host_stream_close(open);
    } else {
        sp_job_watch_close(open);
    }
}

static void source_end(source_object *self)
{
    (void)pthread_mutex_lock(&sources_lock);
    void *open = let_go(self);
    (void)pthread_mutex_unlock(&sources_lock);
    close_open(self->kind, open);
}

void sp__py_sources_end(call_object *call)
{
    for (;;) {
        void *open = NULL;
        enum source_kind kind = SOURCE_CHUNKS;
        (void)pthread_mutex_lock(&sources_lock);
        struct link *link = sp__list_pop(&call->sources);
        while (link != NULL && open == NULL) {
            source_object *source = ITEM(link, source_object, link);
            kind = source->kind;
            open = let_go(source);
            link = open == NULL ? sp__list_pop(&call->sources) : NULL;
        }
        (void)pthread_mutex_unlock(&sources_lock);
        if (open == NULL) {
            return;
        }
        close_open(kind, open);
    }
}

void sp__py_sources_wait(void)
{
    Py_BEGIN_ALLOW_THREADS;
    (void)pthread_mutex_lock(&sources_lock);
    while (waiting_threads > 0) {
        (void)pthread_cond_wait(&sources_left, &sources_lock);
    }
    (void)pthread_mutex_unlock(&sources_lock);
    Py_END_ALLOW_THREADS;
}

PyObject *sp__py_tool_stream(PyObject *call, PyObject *args)
{
    struct question q;
    if (sp__py_question(args, &q) < 0) {
        return NULL;
    }
    source_object *self = source_new(call, SOURCE_CHUNKS);
    sp_job *job = self != NULL ? sp__py_ask_begin(call) : NULL;
    if (job == NULL) {
        Py_XDECREF((PyObject *)self);
        return NULL;
    }
    sp_host_stream *stream = NULL;
    sp_error err = {0};
    int rc = sp_job_host_stream_open(job, q.tool, q.json, &q.options, &stream, &err);
    if (rc == SP_OK) {
        self->open = stream;
        source_opened(self);
    }
    if (sp__py_ask_end(call, job, rc, &err) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

PyObject *sp__py_watch(PyObject *call, PyObject *args)
{
    PyObject *sequence;
    int initial;
    unsigned int queue_max;
    if (!PyArg_ParseTuple(args, "OpI:watch", &sequence, &initial, &queue_max)) {
        return NULL;
    }
    PyObject *tuple = NULL;
    const char **names = NULL;
    if (sequence != Py_None && sp__py_names(sequence, &tuple, &names) < 0) {
        return NULL;
    }
    source_object *self = source_new(call, SOURCE_CHANGES);
    sp_job *job = self != NULL ? sp__py_ask_begin(call) : NULL;
    if (job == NULL) {
        Py_CLEAR(self);
    } else {
        sp_watch_options options = {
            .size = sizeof options,
            .names = names,
            .names_count = tuple != NULL ? (size_t)PyTuple_GET_SIZE(tuple) : 0,
            .initial = initial,
            .queue_max = queue_max};
        sp_job_watch *watch = NULL;
        sp_error err = {0};
        int rc = sp_job_watch_open(job, &options, &watch, &err);
        if (rc == SP_OK) {
            self->open = watch;
            source_opened(self);
        }
        if (sp__py_ask_end(call, job, rc, &err) < 0) {
            Py_CLEAR(self);
        }
    }
    sp__py_names_free(tuple, names);
    return (PyObject *)self;
}

/* ---- taking ---- */

/* 1: this thread may wait in it now; 0: it is closed; -1 with an exception. */
static int enter(source_object *self)
{
    int may = 1;
    (void)pthread_mutex_lock(&sources_lock);
    if (self->open == NULL || self->closing) {
        may = 0;
    } else if (self->waiting) {
        may = -1;
    } else {
        self->waiting = 1;
        waiting_threads++;
    }
    (void)pthread_mutex_unlock(&sources_lock);
    if (may < 0) {
        PyErr_SetString(PyExc_RuntimeError, "another thread waits in it");
    }
    return may;
}

static void leave(source_object *self)
{
    void *open = NULL;
    (void)pthread_mutex_lock(&sources_lock);
    self->waiting = 0;
    if (self->closing) {
        open = let_go(self);
    }
    (void)pthread_mutex_unlock(&sources_lock);
    close_open(self->kind, open);
    (void)pthread_mutex_lock(&sources_lock);
    waiting_threads--;
    (void)pthread_cond_broadcast(&sources_left);
    (void)pthread_mutex_unlock(&sources_lock);
}

/* Whether the call has ended, and not because nobody waited for it. */
static int is_over(call_object *call, int *ret_cancelled)
{
    int over;
    Py_BEGIN_CRITICAL_SECTION(call);
    over = call->job == NULL;
    *ret_cancelled = over ? call->was_cancelled : sp_job_cancelled(call->job);
    Py_END_CRITICAL_SECTION();
    return over;
}

/* What ended the source: False at its end, NULL with an exception. */
static PyObject *ended(source_object *self, sp_error *err)
{
    int cancelled;
    int over = is_over(self->call, &cancelled);
    if (err->code == SP_ERR_STOPPED_BY_CALLBACK && PyErr_Occurred()) {
        sp_error_clear(err);
        return NULL;
    }
    if (cancelled && !over) {
        sp_error_clear(err);
        PyErr_SetString(sp__py_bridge.cancelled, "nobody waits for this call any more");
        return NULL;
    }
    if (self->kind == SOURCE_CHANGES && (over || err->code == SP_ERR_NOT_FOUND)) {
        sp_error_clear(err);
        Py_RETURN_FALSE; /* the call or the session has ended, and so has the watch */
    }
    (void)sp__py_raise_host(err);
    return NULL;
}

/* A chunk is JSON, or raw bytes when it is none. */
static PyObject *take_chunk(sp_bytes chunk, sp_bytes binary)
{
    PyObject *value = sp__py_answer(chunk, binary);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear();
        value = PyBytes_FromStringAndSize(chunk.data, (Py_ssize_t)chunk.size);
    }
    return value != NULL ? Py_BuildValue("(N)", value) : NULL;
}

static PyObject *next_chunk(source_object *self, uint64_t timeout_ms)
{
    sp_bytes chunk, binary;
    sp_error err = {0};
    int rc = sp_host_stream_next(self->open, timeout_ms, &chunk, &binary, &err);
    if (rc > 0) {
        return take_chunk(chunk, binary);
    }
    if (rc == 0) {
        Py_RETURN_FALSE;
    }
    if (err.code == SP_ERR_TIMEOUT && timeout_ms != SP_UNLIMITED) {
        sp_error_clear(&err);
        Py_RETURN_NONE;
    }
    return ended(self, &err);
}

static PyObject *next_change(source_object *self, uint64_t timeout_ms)
{
    static const char *const kinds[] = {
        [SP_CHANGE_INITIAL] = "initial", [SP_CHANGE_REGISTERED] = "registered",
        [SP_CHANGE_VALUE] = "value",     [SP_CHANGE_LOCK] = "lock",
        [SP_CHANGE_DELETED] = "deleted",
    };
    sp_change change = {0};
    sp_error err = {0};
    int rc = sp_job_watch_next(self->open, timeout_ms, &change, &err);
    if (rc > 0) {
        PyObject *variable = sp__py_from_variable(&change.variable, NULL);
        PyObject *result = variable != NULL
                               ? Py_BuildValue("(sN)", kinds[change.kind], variable)
                               : NULL;
        sp_variable_clear(&change.variable);
        return result;
    }
    if (rc == 0) {
        Py_RETURN_NONE;
    }
    return ended(self, &err);
}

static PyObject *source_next(PyObject *object, PyObject *timeout)
{
    source_object *self = (source_object *)object;
    uint64_t timeout_ms = SP_UNLIMITED;
    if (timeout != Py_None) {
        double seconds = PyFloat_AsDouble(timeout);
        if (seconds == -1.0 && PyErr_Occurred()) {
            return NULL;
        }
        timeout_ms = seconds <= 0 ? 0 : (uint64_t)(seconds * 1000.0 + 0.5);
    }
    int may = enter(self);
    if (may <= 0) {
        return may < 0 ? NULL : Py_NewRef(Py_False);
    }
    PyObject *found = self->kind == SOURCE_CHUNKS ? next_chunk(self, timeout_ms)
                                                  : next_change(self, timeout_ms);
    PyObject *exception = found == NULL ? sp__py_take_exception() : NULL;
    leave(self);
    if (exception != NULL) {
        sp__py_give_exception(exception);
    }
    return found;
}

static PyObject *source_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    source_end((source_object *)object);
    Py_RETURN_NONE;
}

static void source_dealloc(PyObject *object)
{
    source_object *self = (source_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    source_end(self);
    Py_DECREF((PyObject *)self->call);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyMethodDef source_methods[] = {
    {"next", source_next, METH_O,
     "next(seconds or None): (chunk,) or (kind, variable); None: time has passed; "
     "False: "
     "the end."},
    {"close", source_close, METH_NOARGS, "Leave the rest. May be called twice."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot source_slots[] = {
    {Py_tp_dealloc, source_dealloc},
    {Py_tp_methods, source_methods},
    {Py_tp_doc, "What a call receives from its host. Made by a Call, never by hand."},
    {0, NULL},
};

static PyType_Spec source_spec = {
    .name = "snakepit_bridge._worker.Source",
    .basicsize = sizeof(source_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = source_slots,
};

int sp__py_source_type(PyObject *module)
{
    return sp__py_add_type(module, &source_spec, &source_type);
}
