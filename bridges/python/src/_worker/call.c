/* SPDX-License-Identifier: MIT */
/*
 * `_worker.Call`: a call in progress as Python code sees it.
 *
 * Made only when somebody asks, because most tools never do. It copies what it can and
 * borrows the job for the rest; the loop takes the job away from it before it ends the
 * call, so a Call kept in a variable or used on another thread answers "over" instead
 * of touching freed memory. Both sides do this under the object's critical section.
 *
 * Through a Call the tool asks its host; those methods are in variables.c, batches.c,
 * programs.c, tools.c and source.c, and become methods here.
 */
#include "ask.h"

static PyObject *metadata_of(const sp_job *job)
{
    PyObject *dict = PyDict_New();
    const char *key, *value;
    for (size_t i = 0; dict != NULL && sp_job_metadata(job, i, &key, &value); i++) {
        PyObject *text =
            PyUnicode_DecodeUTF8(value, (Py_ssize_t)strlen(value), "replace");
        if (text == NULL || PyDict_SetItemString(dict, key, text) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(text);
    }
    return dict;
}

call_object *sp__py_call_new(sp_job *job, PyObject *tool)
{
    call_object *self = PyObject_New(call_object, sp__py_bridge.call_type);
    if (self == NULL) {
        return NULL;
    }
    const char *session = sp_job_session(job);
    self->job = job;
    self->was_cancelled = 0;
    self->context = NULL;
    self->asks = 0;
    self->sources = (struct list){0};
    self->tool = Py_NewRef(tool);
    self->session =
        PyUnicode_DecodeUTF8(session, (Py_ssize_t)strlen(session), "replace");
    self->metadata = metadata_of(job);
    if (self->session == NULL || self->metadata == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}

void sp__py_call_end(call_object *call)
{
    PyObject *context;
    Py_BEGIN_CRITICAL_SECTION(call);
    call->was_cancelled = sp_job_cancelled(call->job);
    call->job = NULL;
    context = call->context; /* which holds the call: a ring, opened here */
    call->context = NULL;
    Py_END_CRITICAL_SECTION();
    sp__py_asks_wait(call); /* they may still open sources */
    sp__py_sources_end(call);
    Py_XDECREF(context);
}

static PyObject *call_cancelled(PyObject *object, PyObject *unused)
{
    (void)unused;
    call_object *self = (call_object *)object;
    int cancelled;
    Py_BEGIN_CRITICAL_SECTION(self);
    cancelled = self->job != NULL ? sp_job_cancelled(self->job) : self->was_cancelled;
    Py_END_CRITICAL_SECTION();
    return PyBool_FromLong(cancelled);
}

static PyObject *call_time_left(PyObject *object, PyObject *unused)
{
    (void)unused;
    call_object *self = (call_object *)object;
    uint64_t left_ms;
    Py_BEGIN_CRITICAL_SECTION(self);
    left_ms = self->job != NULL ? sp_job_time_left_ms(self->job) : 0;
    Py_END_CRITICAL_SECTION();
    if (left_ms == SP_UNLIMITED) {
        Py_RETURN_NONE;
    }
    return PyFloat_FromDouble((double)left_ms / 1000.0);
}

static PyObject *get_tool(PyObject *object, void *unused)
{
    (void)unused;
    return Py_NewRef(((call_object *)object)->tool);
}

static PyObject *get_session(PyObject *object, void *unused)
{
    (void)unused;
    return Py_NewRef(((call_object *)object)->session);
}

static PyObject *get_metadata(PyObject *object, void *unused)
{
    (void)unused;
    return Py_NewRef(((call_object *)object)->metadata);
}

static PyObject *get_context(PyObject *object, void *unused)
{
    (void)unused;
    call_object *self = (call_object *)object;
    PyObject *context;
    Py_BEGIN_CRITICAL_SECTION(self);
    context = Py_NewRef(self->context != NULL ? self->context : Py_None);
    Py_END_CRITICAL_SECTION();
    return context;
}

/* Kept while the call runs: an ended one keeps nothing. */
static int set_context(PyObject *object, PyObject *value, void *unused)
{
    (void)unused;
    call_object *self = (call_object *)object;
    PyObject *old = NULL;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->job != NULL) {
        old = self->context;
        self->context = value != NULL ? Py_NewRef(value) : NULL;
    }
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
    return 0;
}

int sp__py_call_is_active(PyObject *object)
{
    call_object *self = (call_object *)object;
    int active;
    Py_BEGIN_CRITICAL_SECTION(self);
    active = self->job != NULL;
    Py_END_CRITICAL_SECTION();
    return active;
}

static PyObject *get_active(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(sp__py_call_is_active(object));
}

static void call_dealloc(PyObject *object)
{
    call_object *self = (call_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(self->tool);
    Py_XDECREF(self->session);
    Py_XDECREF(self->metadata);
    Py_XDECREF(self->context);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyMethodDef call_methods[] = {
    {"cancelled", call_cancelled, METH_NOARGS,
     "True when nobody waits for the result any more."},
    {"time_left", call_time_left, METH_NOARGS,
     "Seconds until the deadline, or None when there is none."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef call_getset[] = {
    {"tool", get_tool, NULL, "The name of the tool called.", NULL},
    {"session", get_session, NULL, "The caller's session, '' when there is none.",
     NULL},
    {"metadata", get_metadata, NULL, "What the caller sent along: str to str.", NULL},
    {"context", get_context, set_context,
     "The call's SessionContext, None before it is made and after the call.", NULL},
    {"active", get_active, NULL, "False once the call has ended.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot call_slots[] = {
    {Py_tp_dealloc, call_dealloc},
    {Py_tp_methods, call_methods},
    {Py_tp_getset, call_getset},
    {Py_tp_doc, "A call in progress. Made by the worker, never by hand."},
    {0, NULL},
};

static PyType_Spec call_spec = {
    .name = "snakepit_bridge._worker.Call",
    .basicsize = sizeof(call_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = call_slots,
};

static int add_methods(PyTypeObject *type, PyMethodDef *methods)
{
    for (PyMethodDef *method = methods; method->ml_name != NULL; method++) {
        PyObject *descriptor = PyDescr_NewMethod(type, method);
        if (descriptor == NULL ||
            PyObject_SetAttrString((PyObject *)type, method->ml_name, descriptor) < 0) {
            Py_XDECREF(descriptor);
            return -1;
        }
        Py_DECREF(descriptor);
    }
    return 0;
}

/* The methods that ask the host. */
static int add_asking(PyTypeObject *type)
{
    PyMethodDef *const subjects[] = {sp__py_variable_methods, sp__py_batch_methods,
                                     sp__py_program_methods, sp__py_tool_methods};
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        if (add_methods(type, subjects[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

int sp__py_call_type(PyObject *module)
{
    PyTypeObject **type = &sp__py_bridge.call_type;
    return sp__py_add_type(module, &call_spec, type) < 0 ? -1 : add_asking(*type);
}
