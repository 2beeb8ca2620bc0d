/* SPDX-License-Identifier: MIT */
/*
 * Tools of the program: Python functions that workers call.
 *
 * The library runs them on a thread of the program that dispatches or waits; the
 * interpreter's lock is taken for that. Arguments come by name. A generator function
 * answers a stream: it goes on as the worker reads, and is closed when nobody does any
 * more, or the pit is about to be closed. An exception travels to the worker with its
 * type, message and traceback.
 */
#include "host.h"

#include <string.h>

#include "base/mem.h"

/* What a function is told of the call it answers; empty once it has returned. */
typedef struct {
    PyObject ob_base;
    sp_tool_call *call;
} tool_call_object;

/* One registered function; lives until on_gone. */
struct tool {
    pit_object *pit; /* borrowed: it outlives its registrations */
    PyObject *function;
    int is_stream;
    int with_call; /* the ToolCall comes first */
};

/* ---- arguments ---- */

static PyObject *slice(void *user, const char *part, uint64_t at, uint64_t size)
{
    sp_bytes bytes = sp_tool_call_binary(user, part);
    if (at > bytes.size || size > bytes.size - at) {
        PyErr_Format(sp__py_codec.malformed, "part '%s' has only %zu bytes", part,
                     bytes.size);
        return NULL;
    }
    return PyBytes_FromStringAndSize((const char *)bytes.data + at, (Py_ssize_t)size);
}

static PyObject *arguments_of(sp_tool_call *call, sp_bytes args_json)
{
    const struct part_source source = {.slice = slice, .user = call};
    PyObject *args =
        sp__py_decode_or_raise(NULL, &source, args_json.data, args_json.size);
    if (args != NULL && !PyDict_Check(args)) {
        PyErr_SetString(PyExc_TypeError, "arguments of a host tool come by name");
        Py_CLEAR(args);
    }
    return args;
}

/* ---- answers ---- */

static const char *utf8_or(PyObject *text, const char *otherwise)
{
    const char *utf8 =
        text != NULL && PyUnicode_Check(text) ? PyUnicode_AsUTF8(text) : NULL;
    if (utf8 == NULL) {
        PyErr_Clear();
    }
    return utf8 != NULL ? utf8 : otherwise;
}

/* Answer with the exception that is set. */
static void fail(sp_tool_call *call)
{
    PyObject *exception = sp__py_take_exception();
    PyObject *module = PyImport_ImportModule("snakepit._errors");
    PyObject *story = module != NULL && exception != NULL
                          ? PyObject_CallMethod(module, "describe", "O", exception)
                          : NULL;
    sp_error failure = {.code = SP_ERR_REMOTE};
    const char *message = "the tool failed, and so did the telling of it";
    if (story != NULL && PyTuple_Check(story) && PyTuple_GET_SIZE(story) == 5) {
        int code = sp_error_by_name(utf8_or(PyTuple_GET_ITEM(story, 0), ""));
        failure.code = code != 0 ? code : SP_ERR_REMOTE;
        /* Borrowed from the story: the library copies them. */
        failure.remote_type = (char *)utf8_or(PyTuple_GET_ITEM(story, 1), "Exception");
        failure.remote_trace = (char *)utf8_or(PyTuple_GET_ITEM(story, 3), NULL);
        failure.remote_details = (char *)utf8_or(PyTuple_GET_ITEM(story, 4), NULL);
        message = utf8_or(PyTuple_GET_ITEM(story, 2), "");
    }
    PyErr_Clear();
    strncpy(failure.message, message, sizeof failure.message - 1);
    failure.remote_message = (char *)message;
    sp_tool_call_fail(call, &failure);
    Py_XDECREF(story);
    Py_XDECREF(module);
    Py_XDECREF(exception);
}

static void answer(sp_tool_call *call, PyObject *value)
{
    sp_bytes json, binary;
    struct writer *writer = sp__pyhost_write(value, &json, &binary);
    if (writer == NULL) {
        fail(call);
        return;
    }
    (void)sp_tool_call_reply(call, json, binary, NULL); /* its caller is told */
    sp__pyhost_write_end(writer);
}

/* 1 sent, 0 nobody reads any more, -1 with an exception: also when a signal's handler
 * raised, or the pit closes. */
static int send_chunk(const struct tool *tool, sp_tool_call *call, PyObject *value)
{
    sp_bytes json, binary;
    sp_error err = {0};
    struct writer *writer = sp__pyhost_write(value, &json, &binary);
    if (writer == NULL) {
        return -1;
    }
    int rc;
    Py_BEGIN_ALLOW_THREADS;
    do {
        rc = sp_tool_call_chunk(call, json, binary, SP__PYHOST_SLICE_MS, &err);
    } while (rc == SP_ERR_TIMEOUT && !atomic_load(&tool->pit->ending) &&
             sp__pyhost_may_wait(tool->pit) == 0);
    Py_END_ALLOW_THREADS;
    sp__pyhost_write_end(writer);
    if (rc == SP_ERR_TIMEOUT) {
        (void)sp_error_set(&err, SP_ERR_CLOSED, "the pit is closed");
    }
    if (rc < 0 && rc != SP_ERR_CANCELLED) {
        (void)sp__pyhost_raise(NULL, &err); /* or what the handler raised */
        return -1;
    }
    sp_error_clear(&err);
    return rc == 0;
}

static void answer_stream(const struct tool *tool, sp_tool_call *call,
                          PyObject *iterable)
{
    PyObject *iterator = PyObject_GetIter(iterable);
    PyObject *item;
    int rc = iterator != NULL ? 1 : -1;
    while (rc > 0 && (item = PyIter_Next(iterator)) != NULL) {
        rc = send_chunk(tool, call, item);
        Py_DECREF(item);
    }
    Py_XDECREF(iterator); /* a generator that was left early is closed by this */
    if (rc < 0 || PyErr_Occurred()) {
        fail(call);
    } else {
        (void)sp_tool_call_reply(call, (sp_bytes){0}, (sp_bytes){0}, NULL);
    }
}

static PyObject *run(struct tool *tool, sp_tool_call *call, sp_bytes args_json,
                     PyObject **ret_view)
{
    PyObject *args = arguments_of(call, args_json);
    PyObject *first = NULL;
    PyObject *result = NULL;
    if (args != NULL && tool->with_call) {
        tool_call_object *view =
            PyObject_New(tool_call_object, sp__pyhost.tool_call_type);
        if (view != NULL) {
            view->call = call;
            *ret_view = (PyObject *)view;
            first = PyTuple_Pack(1, *ret_view);
        }
    } else if (args != NULL) {
        first = PyTuple_New(0);
    }
    if (first != NULL) {
        result = PyObject_Call(tool->function, first, args);
    }
    Py_XDECREF(first);
    Py_XDECREF(args);
    return result;
}

static void on_call(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    struct tool *tool = user_data;
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *view = NULL;
    PyObject *result = run(tool, call, args_json, &view);
    if (result == NULL) {
        fail(call);
    } else if (tool->is_stream) {
        answer_stream(tool, call, result);
    } else {
        answer(call, result);
    }
    if (view != NULL) {
        ((tool_call_object *)view)->call = NULL;
        Py_DECREF(view);
    }
    Py_XDECREF(result);
    PyGILState_Release(state);
}

static void on_gone(void *user_data)
{
    struct tool *tool = user_data;
    PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF(tool->function);
    PyGILState_Release(state);
    sp__free(tool);
}

/* ---- registering ---- */

static int read_parameters(PyObject *list, sp_tool_parameter *parameters)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        sp_tool_parameter *p = &parameters[i];
        if (!PyArg_ParseTuple(PyList_GET_ITEM(list, i), "sszpz", &p->name, &p->type,
                              &p->description, &p->required, &p->default_json)) {
            return -1;
        }
    }
    return 0;
}

static int register_tool(pit_object *self, const sp_host_tool *wish, PyObject *function,
                         int with_call)
{
    sp_error err = {0};
    struct tool *tool = sp__malloc(sizeof *tool);
    if (tool == NULL) {
        (void)PyErr_NoMemory();
        return -1;
    }
    *tool = (struct tool){.pit = self,
                          .function = Py_NewRef(function),
                          .is_stream = (wish->flags & SP_TOOL_STREAMING) != 0,
                          .with_call = with_call};
    sp_host_tool own = *wish;
    own.size = sizeof own;
    own.fn = on_call;
    own.user_data = tool;
    own.on_gone = on_gone;
    sp_pit *pit = sp__pyhost_enter(self);
    int rc = -1;
    if (pit != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        rc = sp_tool_register(pit, &own, &err);
        Py_END_ALLOW_THREADS;
        sp__pyhost_leave(self);
    }
    if (rc < 0) {
        Py_DECREF(function);
        sp__free(tool);
        (void)sp__pyhost_raise(self, &err);
    }
    return rc;
}

/* _tool_register(name, description, session or None, parameters, flags, with_call,
 * function); a parameter is (name, type, description or None, required, default or
 * None), the default as JSON */
static PyObject *tool_register(PyObject *object, PyObject *args)
{
    sp_host_tool wish = {0};
    PyObject *list, *function;
    int with_call;
    if (!PyArg_ParseTuple(args, "sszO!IpO:_tool_register", &wish.name,
                          &wish.description, &wish.session, &PyList_Type, &list,
                          &wish.flags, &with_call, &function)) {
        return NULL;
    }
    size_t count = (size_t)PyList_GET_SIZE(list);
    sp_tool_parameter *parameters = sp__calloc(count + 1, sizeof *parameters);
    if (parameters == NULL) {
        return PyErr_NoMemory();
    }
    wish.parameters = count > 0 ? parameters : NULL;
    wish.parameters_count = count;
    int rc = read_parameters(list, parameters);
    if (rc == 0) {
        rc = register_tool((pit_object *)object, &wish, function, with_call);
    }
    sp__free(parameters);
    if (rc < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* _tool_unregister(session or None, name) */
static PyObject *tool_unregister(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    const char *session, *name;
    sp_error err = {0};
    int rc;
    sp_pit *pit;
    if (!PyArg_ParseTuple(args, "zs:_tool_unregister", &session, &name) ||
        (pit = sp__pyhost_enter(self)) == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    rc = sp_tool_unregister(pit, session, name, &err);
    Py_END_ALLOW_THREADS;
    sp__pyhost_leave(self);
    if (rc < 0) {
        return sp__pyhost_raise(self, &err);
    }
    Py_RETURN_NONE;
}

PyMethodDef sp__pyhost_tools[] = {
    {"_tool_register", tool_register, METH_VARARGS, NULL},
    {"_tool_unregister", tool_unregister, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* ---- ToolCall ---- */

static PyObject *get_session(PyObject *object, void *unused)
{
    (void)unused;
    sp_tool_call *call = ((tool_call_object *)object)->call;
    const char *session = call != NULL ? sp_tool_call_session(call) : "";
    return sp__pyhost_text(session[0] != '\0' ? session : NULL);
}

static PyObject *get_tool(PyObject *object, void *unused)
{
    (void)unused;
    sp_tool_call *call = ((tool_call_object *)object)->call;
    return sp__pyhost_text(call != NULL ? sp_tool_call_tool(call) : NULL);
}

static PyObject *get_worker(PyObject *object, void *unused)
{
    (void)unused;
    sp_tool_call *call = ((tool_call_object *)object)->call;
    return PyLong_FromUnsignedLongLong(call != NULL ? sp_tool_call_worker(call) : 0);
}

static PyObject *get_remaining(PyObject *object, void *unused)
{
    (void)unused;
    sp_tool_call *call = ((tool_call_object *)object)->call;
    uint64_t ms = call != NULL ? sp_tool_call_remaining_ms(call) : 0;
    return PyFloat_FromDouble(ms == SP_UNLIMITED ? Py_HUGE_VAL : (double)ms / 1000.0);
}

static PyObject *get_is_over(PyObject *object, void *unused)
{
    (void)unused;
    sp_tool_call *call = ((tool_call_object *)object)->call;
    return PyBool_FromLong(call == NULL || sp_tool_call_is_over(call));
}

static void tool_call_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyGetSetDef getset[] = {
    {"session", get_session, NULL, "The session of the worker's job, or None.", NULL},
    {"tool", get_tool, NULL, "The name under which it was called.", NULL},
    {"worker", get_worker, NULL, "The id of the worker that asks.", NULL},
    {"remaining", get_remaining, NULL, "Seconds until its caller gives up.", NULL},
    {"is_over", get_is_over, NULL, "Whether nobody waits for the answer any more.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

int sp__pyhost_tool_type(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_dealloc, tool_call_dealloc},
        {Py_tp_getset, getset},
        {Py_tp_doc, "What a tool of the program is told of the call it answers."},
        {0, NULL},
    };
    PyType_Spec spec = {.name = "snakepit.ToolCall",
                        .basicsize = sizeof(tool_call_object),
                        .flags = Py_TPFLAGS_DEFAULT,
                        .slots = slots};
    return sp__py_add_type(module, &spec, &sp__pyhost.tool_call_type);
}
