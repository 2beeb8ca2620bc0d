/* SPDX-License-Identifier: MIT */
/*
 * The worker in Node's event loop.
 *
 * A poll handle wakes the loop when there is something to read; the prepare handle, which
 * runs each time before the loop waits, takes all jobs there are, runs them, and lets the
 * library write the answers. So jobs that came together run in one go, with one scope:
 * what they await goes on at its end, and answers that come of that leave in the same
 * write. When a round has been long the idle handle keeps the loop from waiting, and
 * timers and other sockets have their turn.
 *
 * A failure of the loop itself, an exception of the package, is Node's uncaught exception
 * and ends the process, as it must: the package's own functions do not throw.
 */
#include <string.h>

#include "bridge.h"

enum { JOBS_PER_SCOPE = 64, JOBS_PER_ROUND = 512 };

/* ---- telling JavaScript ---- */

void sp__tell(enum callback which, size_t count, const napi_value *args)
{
    napi_env env = sp__node.env;
    napi_value receiver = sp__undefined(env);
    napi_value function = NULL;
    napi_value exception = NULL;
    if (napi_get_reference_value(env, sp__node.callbacks[which], &function) !=
            napi_ok ||
        napi_call_function(env, receiver, function, count, args, NULL) == napi_ok) {
        return;
    }
    if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) {
        (void)napi_fatal_exception(env, exception);
    }
}

void sp__tell_alone(enum callback which, const char *text)
{
    napi_handle_scope handles;
    napi_callback_scope scope;
    napi_value resource = NULL;
    napi_env env = sp__node.env;
    (void)napi_open_handle_scope(env, &handles);
    (void)napi_get_reference_value(env, sp__node.resource, &resource);
    (void)napi_open_callback_scope(env, resource, sp__node.context, &scope);
    napi_value args[1] = {text != NULL ? sp__text(env, text) : NULL};
    sp__tell(which, text != NULL, args);
    (void)napi_close_callback_scope(env, scope);
    (void)napi_close_handle_scope(env, handles);
}

static void tell_job(sp_job *job)
{
    napi_env env = sp__node.env;
    napi_value args[6];
    uint32_t handle;
    if (!sp__call_add(job, &handle)) {
        (void)sp_job_fail(job, SP_ERR_NOMEM, NULL, "no memory for another call", NULL,
                          NULL);
        return;
    }
    sp_bytes json = sp_job_args(job);
    const char *session = sp_job_session(job);
    const char *name;
    sp_bytes value;
    uint32_t marks = sp__marks(json);
    if (sp_job_binary(job, 0, &name, &value)) {
        marks |= MARK_PARTS;
    }
    (void)napi_create_uint32(env, handle, &args[0]);
    args[1] = sp__text(env, sp_job_tool(job));
    args[2] = sp__text_of(env, json);
    (void)napi_create_uint32(env, marks, &args[3]);
    args[4] = *session != '\0' ? sp__text(env, session) : sp__undefined(env);
    (void)napi_get_boolean(env, sp_job_is_stream(job), &args[5]);
    sp__tell(ON_JOB, 6, args);
}

static void tell_turn(sp_job *job)
{
    napi_value args[2];
    uint32_t handle = (uint32_t)(uintptr_t)sp_job_data(job);
    (void)napi_create_uint32(sp__node.env, handle, &args[0]);
    (void)napi_get_boolean(sp__node.env, sp_job_cancelled(job), &args[1]);
    sp__tell(ON_TURN, 2, args);
}

/* ---- rounds ---- */

/* Take and run jobs: how many, with *ret_rc what sp_worker_try_next() said last. */
static int run_scope(int *ret_rc)
{
    sp_job *job;
    int count = 0;
    napi_env env = sp__node.env;
    napi_handle_scope handles;
    napi_callback_scope scope;
    napi_value resource = NULL;
    *ret_rc = sp_worker_try_next(sp__node.worker, &job, NULL);
    if (*ret_rc <= 0) {
        return 0; /* the usual end of a round: no scope for it */
    }
    (void)napi_open_handle_scope(env, &handles);
    (void)napi_get_reference_value(env, sp__node.resource, &resource);
    (void)napi_open_callback_scope(env, resource, sp__node.context, &scope);
    do {
        if (sp_job_is_turn(job)) {
            tell_turn(job);
        } else {
            tell_job(job);
        }
        count++;
        *ret_rc = 1;
    } while (count < JOBS_PER_SCOPE && sp__node.worker != NULL &&
             (*ret_rc = sp_worker_try_next(sp__node.worker, &job, NULL)) > 0);
    (void)napi_close_callback_scope(env, scope);
    (void)napi_close_handle_scope(env, handles);
    return count;
}

static void on_idle(uv_idle_t *idle)
{
    /* Nothing: while it is active the loop does not wait. */
}

static void on_prepare(uv_prepare_t *prepare)
{
    int rc = 1;
    int total = 0;
    int count = 1;
    (void)uv_idle_stop(&sp__node.idle);
    /* Until nothing came: the last look writes what the end of the scope answered. */
    while (sp__node.worker != NULL && rc >= 0 && count > 0 && total < JOBS_PER_ROUND) {
        count = run_scope(&rc);
        total += count;
    }
    if (sp__node.worker == NULL) {
        return;
    }
    if (rc < 0) {
        (void)uv_prepare_stop(prepare);
        (void)uv_poll_stop(&sp__node.poll);
        sp__tell_alone(ON_OVER, NULL);
    } else if (count > 0) {
        (void)uv_idle_start(&sp__node.idle, on_idle);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    /* The loop is awake, and comes by on_prepare() before it waits again. */
}

/* ---- life ---- */

int sp__loop_start(napi_env env, sp_error *err)
{
    uv_loop_t *loop = NULL;
    struct bridge *b = &sp__node;
    int fd = sp_worker_poll_fd(b->worker, err);
    if (fd < 0) {
        return fd;
    }
    if (napi_get_uv_event_loop(env, &loop) != napi_ok ||
        uv_poll_init(loop, &b->poll, fd) < 0) {
        return sp_error_set(err, SP_ERR_SYSTEM, "cannot wait for %d in the event loop",
                            fd);
    }
    (void)uv_prepare_init(loop, &b->prepare);
    (void)uv_idle_init(loop, &b->idle);
    (void)uv_poll_start(&b->poll, UV_READABLE, on_poll);
    (void)uv_prepare_start(&b->prepare, on_prepare);
    uv_unref((uv_handle_t *)&b->prepare);
    b->open_handles = 3;
    return SP_OK;
}

static void on_closed(uv_handle_t *handle)
{
    sp__node.open_handles--;
}

void sp__loop_stop(void)
{
    if (sp__node.open_handles == 3) {
        uv_close((uv_handle_t *)&sp__node.poll, on_closed);
        uv_close((uv_handle_t *)&sp__node.prepare, on_closed);
        uv_close((uv_handle_t *)&sp__node.idle, on_closed);
    }
}
