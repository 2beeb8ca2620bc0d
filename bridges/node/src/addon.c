/* SPDX-License-Identifier: MIT */
/*
 * The addon: opening, announcing and closing the one worker of this process.
 *
 * lib/worker.js opens it with its options and the functions it is told through, adds the
 * tools, announces, and starts the loop. Everything happens on the thread that runs
 * JavaScript, except what asker.c does. A failure is a JavaScript error with the
 * library's code and message.
 */
#include <stdlib.h>
#include <string.h>

#include "bridge.h"

struct bridge sp__node = {.first_free = NO_CALL};

/* A member of an object; undefined when there is none. */
static napi_value member(napi_env env, napi_value object, const char *name)
{
    napi_value value = NULL;
    return napi_get_named_property(env, object, name, &value) == napi_ok
               ? value
               : sp__undefined(env);
}

static char *text_member(napi_env env, napi_value object, const char *name)
{
    return sp__copy_text(env, member(env, object, name));
}

static int is_true(napi_env env, napi_value object, const char *name)
{
    bool value = false;
    return napi_get_value_bool(env, member(env, object, name), &value) == napi_ok &&
           value;
}

/* Inside sp_worker_try_next(): a session is over whose calls have run here. */
static void on_session_end(void *user_data, const char *session)
{
    sp__tell_alone(ON_ENDED, session);
}

static int take_callbacks(napi_env env, napi_value options)
{
    static const char *const names[CALLBACKS] = {"onJob", "onTurn", "onOver",
                                                 "onSessionEnd", "onAnswer"};
    for (int i = 0; i < CALLBACKS; i++) {
        if (napi_create_reference(env, member(env, options, names[i]), 1,
                                  &sp__node.callbacks[i]) != napi_ok) {
            return 0;
        }
    }
    napi_value name = sp__text(env, "snakepit");
    return napi_create_reference(env, options, 1, &sp__node.resource) == napi_ok &&
           napi_async_init(env, options, name, &sp__node.context) == napi_ok;
}

/* open({runtime, listen, jobsMax, stackSignal, on...}) */
static napi_value open_worker(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    sp_error err = {0};
    (void)sp__args(env, info, args, 1);
    if (sp__node.worker != NULL) {
        return sp__throw_text(env, "SP-INVAL", "this process is a worker already");
    }
    char *runtime = text_member(env, args[0], "runtime");
    char *listen = text_member(env, args[0], "listen");
    sp_worker_options options = {
        .size = sizeof options,
        .runtime = runtime,
        .listen = listen,
        .on_session_end = on_session_end,
        .jobs_max = (uint32_t)sp__integer(env, member(env, args[0], "jobsMax"), 1)};
    sp__node.env = env;
    int rc = take_callbacks(env, args[0])
                 ? sp_worker_open(&options, &sp__node.worker, &err)
                 : sp_error_set(&err, SP_ERR_INVAL, "the callbacks must be functions");
    free(runtime);
    free(listen);
    if (rc == SP_OK) {
        sp__stacks_start(env,
                         (int)sp__integer(env, member(env, args[0], "stackSignal"), 0));
    }
    return rc < 0 ? sp__throw(env, &err) : sp__undefined(env);
}

/* ---- tools ---- */

static void free_params(sp_tool_param *params, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)params[i].name);
        free((void *)(uintptr_t)params[i].type);
        free((void *)(uintptr_t)params[i].description);
        free((void *)(uintptr_t)params[i].default_json);
    }
    free(params);
}

/* addTool({name, description, streaming, idempotent, params: [{name, type, description,
 * default}]}), the default as JSON */
static napi_value add_tool(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    uint32_t count = 0;
    sp_error err = {0};
    (void)sp__args(env, info, args, 1);
    napi_value list = member(env, args[0], "params");
    (void)napi_get_array_length(env, list, &count);
    sp_tool_param *params = calloc(count + 1, sizeof *params);
    if (params == NULL) {
        return sp__throw_text(env, "SP-NOMEM", "no memory for a tool");
    }
    for (uint32_t i = 0; i < count; i++) {
        napi_value param = NULL;
        (void)napi_get_element(env, list, i, &param);
        params[i] =
            (sp_tool_param){.name = text_member(env, param, "name"),
                            .type = text_member(env, param, "type"),
                            .description = text_member(env, param, "description"),
                            .default_json = text_member(env, param, "default")};
    }
    char *name = text_member(env, args[0], "name");
    char *description = text_member(env, args[0], "description");
    sp_tool tool = {.size = sizeof tool,
                    .name = name,
                    .description = description,
                    .streaming = is_true(env, args[0], "streaming"),
                    .idempotent = is_true(env, args[0], "idempotent"),
                    .params = params,
                    .params_count = count};
    int rc = sp_worker_add_tool(sp__node.worker, &tool, &err);
    free_params(params, count);
    free(name);
    free(description);
    return rc < 0 ? sp__throw(env, &err) : sp__undefined(env);
}

static napi_value accept_any(napi_env env, napi_callback_info info)
{
    sp_worker_accept_any(sp__node.worker);
    return NULL;
}

static void set(napi_env env, napi_value object, const char *name, napi_value value)
{
    (void)napi_set_named_property(env, object, name, value);
}

/* errors(): the library's table, [{code, category, retryable, grpcStatus, text, hint}] */
static napi_value errors(napi_env env, napi_callback_info info)
{
    napi_value list = NULL;
    (void)info;
    (void)napi_create_array(env, &list);
    for (uint32_t i = 0; sp_error_at(i) != 0; i++) {
        int code = sp_error_at(i);
        napi_value row = NULL, retryable = NULL;
        (void)napi_create_object(env, &row);
        (void)napi_get_boolean(env, sp_error_is_retryable(code), &retryable);
        set(env, row, "code", sp__text(env, sp_error_name(code)));
        set(env, row, "category",
            sp__text(env, sp_category_name(sp_error_category(code))));
        set(env, row, "retryable", retryable);
        set(env, row, "grpcStatus", sp__number(env, sp_error_grpc_status(code)));
        set(env, row, "text", sp__text(env, sp_strerror(code)));
        set(env, row, "hint", sp__text(env, sp_error_hint(code)));
        (void)napi_set_element(env, list, i, row);
    }
    return list;
}

/* ---- life ---- */

/* announce(): tell the host, and take calls from now on. */
static napi_value announce(napi_env env, napi_callback_info info)
{
    sp_error err = {0};
    if (!sp__askers_start(env)) {
        return sp__throw_text(env, "SP-SYSTEM", "no place in the event loop");
    }
    int rc = sp_worker_announce(sp__node.worker, &err);
    if (rc == SP_OK) {
        rc = sp__loop_start(env, &err);
    }
    return rc < 0 ? sp__throw(env, &err) : sp__undefined(env);
}

/* refuse(permanent, type, message, trace) */
static napi_value refuse(napi_env env, napi_callback_info info)
{
    napi_value args[4];
    bool permanent = false;
    (void)sp__args(env, info, args, 4);
    (void)napi_get_value_bool(env, args[0], &permanent);
    char *type = sp__copy_text(env, args[1]);
    char *message = sp__copy_text(env, args[2]);
    char *trace = sp__copy_text(env, args[3]);
    sp_worker_refuse(sp__node.worker, permanent, type, message, trace);
    free(type);
    free(message);
    free(trace);
    return NULL;
}

static napi_value address(napi_env env, napi_callback_info info)
{
    const char *text = sp_worker_address(sp__node.worker);
    return text != NULL ? sp__text(env, text) : sp__undefined(env);
}

static napi_value stop(napi_env env, napi_callback_info info)
{
    if (sp__node.worker != NULL) {
        sp_worker_stop(sp__node.worker);
    }
    return NULL;
}

/* Threads are inside it: it is left to the end of the process, which comes next. */
static void leave_worker(struct bridge *b)
{
    sp_job *job;
    sp__stacks_stop();
    sp_worker_stop(b->worker);                       /* no new call is taken */
    (void)sp_worker_try_next(b->worker, &job, NULL); /* writes what was answered */
    b->worker = NULL;
}

static napi_value close_worker(napi_env env, napi_callback_info info)
{
    struct bridge *b = &sp__node;
    if (b->worker != NULL) {
        sp__loop_stop();
        if (!sp__askers_stop()) {
            leave_worker(b);
            return NULL;
        }
        sp__stacks_stop();
        sp_worker_close(b->worker);
        b->worker = NULL;
        for (int i = 0; i < CALLBACKS; i++) {
            (void)napi_delete_reference(env, b->callbacks[i]);
        }
        (void)napi_delete_reference(env, b->resource);
        (void)napi_async_destroy(env, b->context);
        free(b->calls);
        free(b->text);
        b->calls = NULL;
        b->text = NULL;
        b->calls_count = 0;
        b->text_room = 0;
        b->first_free = NO_CALL;
    }
    return NULL;
}

#ifdef NODE_API_MODULE_GET_API_VERSION /* which NAPI_MODULE_INIT() does not declare */
NAPI_MODULE_EXPORT int32_t NODE_API_MODULE_GET_API_VERSION(void);
#endif

NAPI_MODULE_INIT()
{
    const napi_property_descriptor functions[] = {
        {"open", NULL, open_worker, NULL, NULL, NULL, napi_default, NULL},
        {"addTool", NULL, add_tool, NULL, NULL, NULL, napi_default, NULL},
        {"acceptAny", NULL, accept_any, NULL, NULL, NULL, napi_default, NULL},
        {"announce", NULL, announce, NULL, NULL, NULL, napi_default, NULL},
        {"refuse", NULL, refuse, NULL, NULL, NULL, napi_default, NULL},
        {"address", NULL, address, NULL, NULL, NULL, napi_default, NULL},
        {"errors", NULL, errors, NULL, NULL, NULL, napi_default, NULL},
        {"stop", NULL, stop, NULL, NULL, NULL, napi_default, NULL},
        {"close", NULL, close_worker, NULL, NULL, NULL, napi_default, NULL},
    };
    (void)napi_define_properties(env, exports, sizeof functions / sizeof functions[0],
                                 functions);
    return sp__init_telemetry(env,
                              sp__init_questions(env, sp__init_calls(env, exports)));
}
