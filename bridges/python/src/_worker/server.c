/* SPDX-License-Identifier: MIT */
/*
 * A thread that serves, and the call that it is at.
 *
 * With one thread it is the main one; the profile `thread` has several, which begin and
 * end here. Each has an encoder, a cache of keys and parts of its own, so nothing of the
 * way of a call is shared. What others look at, who asks for the current call and who
 * interrupts a cancelled one, stands behind the server's gate: an object whose critical
 * section a free-threaded interpreter locks, and for which the interpreter's lock does
 * elsewhere. A call that is over is nobody's current one before its job ends, so what is
 * seen behind the gate is alive.
 *
 * An exception sent to a thread from outside strikes between any two instructions, also
 * in the next call. So whoever leaves user code takes back, behind the gate, what has not
 * struck yet.
 */
#include "bridge.h"

#include "base/mem.h"

static _Thread_local struct server *here;

struct server *sp__py_server_new(worker_object *worker)
{
    struct server *server = sp__calloc(1, sizeof *server);
    if (server == NULL) {
        (void)PyErr_NoMemory();
        return NULL;
    }
    sp__py_parts_init(&server->parts);
    sp__py_encoder_init(&server->encoder, Py_None);
    server->encoder.parts = &server->parts;
    server->worker = worker;
    server->gate = PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type);
    if (server->gate == NULL) {
        sp__py_server_free(server);
        return NULL;
    }
    return server;
}

static void forget_tools(struct server *server)
{
    for (size_t i = 0; i < KNOWN_MAX; i++) {
        Py_CLEAR(server->known[i].name);
        Py_CLEAR(server->known[i].tool);
        Py_CLEAR(server->known[i].arguments);
    }
}

void sp__py_server_free(struct server *server)
{
    if (server == NULL) {
        return;
    }
    sp__free(server->spare);
    Py_XDECREF(server->gate);
    Py_XDECREF(server->canceller);
    forget_tools(server);
    sp__py_keys_fini(&server->keys);
    sp__py_encoder_fini(&server->encoder);
    sp__py_parts_fini(&server->parts);
    sp__free(server);
}

/* What parameters are called is known to every thread. */
static void copy_pinned(struct key_cache *to, const struct key_cache *from)
{
    for (size_t i = 0; i < KEYS_MAX; i++) {
        if (from->slots[i].pinned) {
            sp__py_keys_pin(to, from->slots[i].text);
        }
    }
}

int sp__py_servers_open(worker_object *worker, uint32_t count)
{
    struct server **servers = sp__calloc(count, sizeof(struct server *));
    if (servers == NULL) {
        (void)PyErr_NoMemory();
        return -1;
    }
    worker->servers = servers;
    worker->servers_count = count;
    worker->servers_taken = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct server *server =
            count == 1 ? worker->main_one : sp__py_server_new(worker);
        if (server == NULL) {
            sp__py_servers_close(worker);
            return -1;
        }
        if (server != worker->main_one) {
            copy_pinned(&server->keys, &worker->main_one->keys);
        }
        Py_XSETREF(server->encoder.fallback, Py_NewRef(worker->fallback));
        servers[i] = server;
    }
    return 0;
}

void sp__py_servers_close(worker_object *worker)
{
    struct server **servers = worker->servers;
    worker->servers = NULL; /* signal handlers look at it */
    for (uint32_t i = 0; servers != NULL && i < worker->servers_count; i++) {
        if (servers[i] != worker->main_one) {
            sp__py_server_free(servers[i]);
        } else {
            forget_tools(servers[i]); /* the next table may be another one */
        }
    }
    sp__free(servers);
    worker->servers_count = 0;
}

struct server *sp__py_server_begin(worker_object *worker)
{
    struct server *server = NULL;
    Py_BEGIN_CRITICAL_SECTION(worker);
    if (worker->servers_taken < worker->servers_count) {
        server = worker->servers[worker->servers_taken++];
    }
    Py_END_CRITICAL_SECTION();
    if (server == NULL) {
        PyErr_Format(sp__py_bridge.worker_error, "%u threads serve already",
                     worker->servers_count);
        return NULL;
    }
    server->ident = PyThread_get_thread_ident();
    server->is_main = server == worker->main_one;
    here = server;
    return server;
}

void sp__py_server_end(void)
{
    here = NULL;
}

/* ---- the current call ---- */

void sp__py_server_at(struct server *server, struct running *run, int in_user_code)
{
    Py_BEGIN_CRITICAL_SECTION(server->gate);
    run->in_user_code = in_user_code;
    server->current = run;
    Py_END_CRITICAL_SECTION();
}

/* Behind the gate: nothing strikes this thread any more. */
static void take_back(struct server *server)
{
    if (server->is_struck) {
        server->is_struck = 0;
        (void)PyThreadState_SetAsyncExc(server->ident, NULL);
    }
}

void sp__py_calm(struct server *server)
{
    Py_BEGIN_CRITICAL_SECTION(server->gate);
    if (server->current != NULL) {
        server->current->in_user_code = 0;
    }
    take_back(server);
    Py_END_CRITICAL_SECTION();
}

void sp__py_server_leave(struct server *server)
{
    Py_BEGIN_CRITICAL_SECTION(server->gate);
    server->current = NULL;
    take_back(server);
    Py_END_CRITICAL_SECTION();
}

/* The Call of the server's current job. */
static PyObject *view_of(struct server *server)
{
    PyObject *view = NULL;
    Py_BEGIN_CRITICAL_SECTION(server->gate);
    struct running *run = server->current;
    if (run != NULL && run->view == NULL) {
        run->view = sp__py_call_new(run->job, run->tool);
    }
    if (run != NULL) {
        view = (PyObject *)run->view;
        Py_XINCREF(view);
    }
    Py_END_CRITICAL_SECTION();
    return view;
}

/* The one thread that serves, when there is only one, with one call: threads that its
 * tool has started are in that. */
static struct server *only_one(const worker_object *worker)
{
    return worker->servers_count == 1 && worker->servers != NULL && !worker->overlaps
               ? worker->servers[0]
               : NULL;
}

/* Threads that are started with this thread's context, as asyncio.to_thread() does, are
 * in the call too. Whoever finds the Call of one that is over there finds none. */
static PyObject *hand_on(PyObject *view)
{
    PyObject *token =
        view != NULL ? PyContextVar_Set(sp__py_bridge.call_var, view) : NULL;
    if (token == NULL) {
        Py_CLEAR(view);
    }
    Py_XDECREF(token);
    return view;
}

static PyObject *from_context(void)
{
    PyObject *call = NULL;
    if (PyContextVar_Get(sp__py_bridge.call_var, NULL, &call) == 0 && call != NULL &&
        !sp__py_call_is_active(call)) {
        Py_CLEAR(call);
    }
    return call;
}

PyObject *sp__py_current(void)
{
    worker_object *worker = sp__py_bridge.worker;
    if (worker == NULL || worker->forgotten) {
        return NULL;
    }
    struct server *server = only_one(worker);
    if (server != NULL) {
        return view_of(server);
    }
    if (here != NULL && here->current != NULL) {
        int is_new = here->current->view == NULL;
        PyObject *view = view_of(here);
        return is_new ? hand_on(view) : view;
    }
    return from_context();
}

void sp__py_set_canceller(PyObject *canceller)
{
    struct server *server = here;
    PyObject *old = canceller;
    if (server != NULL) {
        Py_BEGIN_CRITICAL_SECTION(server->gate);
        old = server->canceller;
        server->canceller = canceller;
        Py_END_CRITICAL_SECTION();
    }
    Py_XDECREF(old);
}
