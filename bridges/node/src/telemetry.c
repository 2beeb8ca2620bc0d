/* SPDX-License-Identifier: MIT */
/* Events that tools report: four functions, on the thread of the event loop as all is. */
#include <stdlib.h>
#include <string.h>

#include "bridge.h"
#include "snakepit/worker_telemetry.h"

/* listens(): whether anybody would hear of an event. */
static napi_value listens(napi_env env, napi_callback_info info)
{
    napi_value value = NULL;
    (void)info;
    (void)napi_get_boolean(env, sp_worker_listens(sp__node.worker) != 0, &value);
    return value;
}

/* wants(name): whether anybody would hear of an event of this name. */
static napi_value wants(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    napi_value value = NULL;
    (void)sp__args(env, info, args, 1);
    char *name =
        sp_worker_listens(sp__node.worker) != 0 ? sp__copy_text(env, args[0]) : NULL;
    (void)napi_get_boolean(env, sp_worker_wants(sp__node.worker, name), &value);
    free(name);
    return value;
}

/* emit(handle or undefined, name, measurements, metadata, correlation id, mark): both
 * objects as JSON. With a mark, 0 at first, it is one of a span, and the mark for further
 * ones is given, see sp_emission; without, whether somebody gets it. */
static napi_value emit(napi_env env, napi_callback_info info)
{
    enum { HANDLE, NAME, MEASUREMENTS, METADATA, CORRELATION, MARK, ARGS };
    napi_value args[ARGS];
    napi_valuetype kind = napi_undefined, marked = napi_undefined;
    napi_value told = NULL;
    sp_error err = {0};
    sp_emission event = {.size = sizeof event};
    (void)sp__args(env, info, args, ARGS);
    (void)napi_typeof(env, args[HANDLE], &kind);
    if (kind == napi_number) {
        event.job = sp__call_job(env, args[HANDLE]);
        if (event.job == NULL) {
            return NULL;
        }
    }
    uint32_t span = (uint32_t)sp__integer(env, args[MARK], 0);
    (void)napi_typeof(env, args[MARK], &marked);
    char *name = sp__copy_text(env, args[NAME]);
    char *measurements = sp__copy_text(env, args[MEASUREMENTS]);
    char *metadata = sp__copy_text(env, args[METADATA]);
    char *correlation = sp__copy_text(env, args[CORRELATION]);
    event.name = name;
    event.measurements = sp_text(measurements);
    event.metadata = sp_text(metadata);
    event.correlation_id = correlation;
    event.span = marked == napi_number ? &span : NULL;
    int rc =
        sp__node.worker != NULL ? sp_worker_emit(sp__node.worker, &event, &err) : 0;
    free(name);
    free(measurements);
    free(metadata);
    free(correlation);
    if (rc < 0) {
        (void)sp__throw(env, &err);
        sp_error_clear(&err);
        return NULL;
    }
    if (event.span != NULL) {
        return sp__number(env, span);
    }
    (void)napi_get_boolean(env, rc > 0, &told);
    return told;
}

/* eventsDropped(): that listeners lost because they did not read. */
static napi_value events_dropped(napi_env env, napi_callback_info info)
{
    (void)info;
    return sp__number(env, (double)sp_worker_events_dropped(sp__node.worker));
}

napi_value sp__init_telemetry(napi_env env, napi_value exports)
{
    const napi_property_descriptor functions[] = {
        {"listens", NULL, listens, NULL, NULL, NULL, napi_default, NULL},
        {"wants", NULL, wants, NULL, NULL, NULL, napi_default, NULL},
        {"emit", NULL, emit, NULL, NULL, NULL, napi_default, NULL},
        {"eventsDropped", NULL, events_dropped, NULL, NULL, NULL, napi_default, NULL},
    };
    (void)napi_define_properties(env, exports, sizeof functions / sizeof functions[0],
                                 functions);
    return exports;
}
