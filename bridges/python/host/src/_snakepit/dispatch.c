/* SPDX-License-Identifier: MIT */
/*
 * Calls that end later, and events: what a dispatching thread takes.
 *
 * Endings become (target, value, error) and events (None, facts, None), in one list for
 * each turn. The interpreter's lock is taken at the first of a turn and kept to its end,
 * so a burst of answers costs one change of hands. What is to be done with them is the
 * package's: no code of the user's runs inside the library's dispatch, but host tools.
 */
#include "host.h"

#include <errno.h>
#include <poll.h>

struct turn {
    pit_object *pit;
    PyObject *endings;
    PyThreadState *outside; /* NULL while the interpreter's lock is held */
    struct turn *around; /* of another pit: a tool of the program may dispatch that */
};

static _Thread_local struct turn *current;

static struct turn *come_in(void)
{
    struct turn *turn = current; /* the library calls back inside dispatch and close */
    if (turn->outside != NULL) {
        PyEval_RestoreThread(turn->outside);
        turn->outside = NULL;
    }
    return turn;
}

/* Take all three. What cannot be told is told to sys.unraisablehook. */
static void append(struct turn *turn, PyObject *target, PyObject *value,
                   PyObject *error)
{
    PyObject *entry = Py_BuildValue("(NNN)", target, value, error);
    if (entry == NULL || PyList_Append(turn->endings, entry) < 0) {
        PyErr_WriteUnraisable(NULL);
    }
    Py_XDECREF(entry);
}

static void on_reply(const sp_reply *reply, void *user_data)
{
    struct turn *turn = come_in();
    PyObject *value = NULL;
    PyObject *error = NULL;
    if (reply->error != NULL) {
        error = sp__pyhost_error(reply->error);
    } else {
        value = sp__pyhost_value_copy(
            turn->pit, (sp_bytes){reply->result->json, reply->result->json_bytes},
            (sp_bytes){reply->result->binary, reply->result->binary_bytes});
    }
    if (value == NULL && error == NULL) {
        error = sp__py_take_exception();
    }
    append(turn, user_data, value != NULL ? value : Py_NewRef(Py_None),
           error != NULL ? error : Py_NewRef(Py_None));
}

void sp__pyhost_on_event(const sp_event *event, void *user_data)
{
    (void)user_data;
    struct turn *turn = come_in();
    PyObject *facts = Py_BuildValue(
        "{ss sd sN sK sI si si si sd sN sN}", "kind", sp_event_name(event->kind),
        "time", (double)event->time_unix_ms / 1000.0, "pool",
        sp__pyhost_text(event->pool), "worker", (unsigned long long)event->worker,
        "slot", event->slot, "pid", event->pid, "exit_status", event->exit_status,
        "signal", event->signal, "duration", (double)event->duration_ms / 1000.0,
        "session", sp__pyhost_text(event->session), "message",
        sp__pyhost_text(event->message));
    if (facts == NULL) {
        PyErr_WriteUnraisable(NULL);
        return;
    }
    append(turn, Py_NewRef(Py_None), facts, Py_NewRef(Py_None));
}

/* ---- starting ---- */

/* _start(target, tool, arguments, options) -> the call's id; its ending will name the
 * target */
PyObject *sp__pyhost_start(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    struct ask ask;
    PyObject *target, *tool, *arguments, *options;
    PyObject *result = NULL;
    sp_error err = {0};
    sp_id id;
    if (!PyArg_ParseTuple(args, "OOOO:_start", &target, &tool, &arguments, &options) ||
        sp__pyhost_ask_begin(&ask, self, tool) < 0) {
        return NULL;
    }
    sp_pit *pit = NULL;
    if (sp__pyhost_ask_options(&ask, options) == 0 &&
        sp__pyhost_ask_arguments(&ask, arguments) == 0) {
        pit = sp__pyhost_enter(self);
    }
    if (pit != NULL) {
        Py_INCREF(target);
        if (sp_call_start(pit, ask.tool, ask.json, &ask.options, on_reply, target, &id,
                          &err) < 0) {
            Py_DECREF(target);
            (void)sp__pyhost_raise(self, &err);
        } else {
            result = PyLong_FromUnsignedLongLong(id);
        }
        sp__pyhost_leave(self);
    }
    sp__pyhost_ask_end(&ask);
    return result;
}

/* ---- turns ---- */

static void begin_turn(struct turn *turn, pit_object *pit, PyObject *endings)
{
    *turn = (struct turn){.pit = pit, .endings = endings, .around = current};
    current = turn;
    turn->outside = PyEval_SaveThread();
}

static void end_turn(struct turn *turn)
{
    (void)come_in();
    current = turn->around;
}

int sp__pyhost_close_in_turn(pit_object *self, sp_pit *pit, PyObject *endings)
{
    struct turn turn;
    if (endings == NULL) { /* no memory for a list: what ends is dropped */
        return -1;
    }
    begin_turn(&turn, self, endings);
    (void)pthread_mutex_lock(&self->dispatching);
    sp_pit_close(pit);
    (void)pthread_mutex_unlock(&self->dispatching);
    end_turn(&turn);
    return 0;
}

/* Until the pit has something, or `wake` is readable. */
static void await_something(int fd, int wake)
{
    struct pollfd ready[] = {{.fd = fd, .events = POLLIN},
                             {.fd = wake, .events = POLLIN}};
    while (poll(ready, 2, -1) < 0 && errno == EINTR) {
    }
}

/* _dispatch(wake) -> the endings and events there are. wake: a descriptor, wait for
 * something or for that; -1: do not wait, also not for another thread that dispatches */
PyObject *sp__pyhost_dispatch(PyObject *object, PyObject *args)
{
    pit_object *self = (pit_object *)object;
    struct turn turn;
    sp_error err = {0};
    int wake;
    if (!PyArg_ParseTuple(args, "i:_dispatch", &wake)) {
        return NULL;
    }
    PyObject *endings = PyList_New(0);
    sp_pit *pit = endings != NULL ? sp__pyhost_enter(self) : NULL;
    if (pit == NULL) {
        Py_XDECREF(endings);
        return NULL;
    }
    if (wake < 0 && pthread_mutex_trylock(&self->dispatching) != 0) {
        sp__pyhost_leave(self);
        return endings;
    }
    begin_turn(&turn, self, endings);
    if (wake >= 0) {
        await_something(sp_pit_fd(pit), wake);
        (void)pthread_mutex_lock(&self->dispatching);
    }
    int rc = sp_pit_dispatch(pit, 0, &err);
    (void)pthread_mutex_unlock(&self->dispatching);
    end_turn(&turn);
    sp__pyhost_leave(self);
    if (rc < 0) {
        Py_DECREF(endings);
        return sp__pyhost_raise(self, &err);
    }
    return endings;
}
