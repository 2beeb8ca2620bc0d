/* SPDX-License-Identifier: MIT */
/* What comes seldom and is read into objects: errors, and the program's list of tools. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/error.h"
#include "base/mem.h"
#include "message.h"

static char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? sp__strdup(text) : NULL;
}

/* The JSON of a member that is an object, NULL when it is none. */
static char *json_of(const json_t *object, const char *key)
{
    const json_t *found = json_object_get(object, key);
    return json_is_object(found) ? json_dumps(found, JSON_COMPACT) : NULL;
}

void message_failure(sp_bytes value, struct failure *ret)
{
    json_error_t error;
    json_t *read = json_loadb(value.data, value.size, JSON_DECODE_ANY, &error);
    *ret = (struct failure){0};
    if (json_is_object(read)) {
        ret->type = text_of(read, "type");
        ret->message = text_of(read, "message");
        ret->trace = text_of(read, "trace");
        ret->details = json_of(read, "details");
    } else if (json_is_string(read)) {
        ret->message = sp__strdup(json_string_value(read));
    }
    if (ret->message == NULL) {
        ret->message = sp__strndup(value.data, value.size);
    }
    json_decref(read);
}

static int add_tool(sp_worker *worker, const json_t *described, sp_error *err)
{
    enum { PARAMS_MAX = 64 };
    sp_tool_param params[PARAMS_MAX];
    char *defaults[PARAMS_MAX] = {0};
    const json_t *list = json_object_get(described, "params");
    size_t count = json_array_size(list);
    sp_tool tool = {
        .size = sizeof tool,
        .name = json_string_value(json_object_get(described, "name")),
        .description = json_string_value(json_object_get(described, "description")),
        .streaming = json_is_true(json_object_get(described, "stream")),
        .idempotent = json_is_true(json_object_get(described, "idempotent")),
        .params = params,
        .params_count = count};
    if (json_is_string(described)) { /* a name is enough */
        tool.name = json_string_value(described);
    }
    if (tool.name == NULL) {
        return sp__fail(err, SP_ERR_PROTOCOL, "a tool without a \"name\"");
    }
    if (count > PARAMS_MAX) {
        return sp__fail(err, SP_ERR_PROTOCOL, "tool %s has %zu params, at most %d",
                        tool.name, count, PARAMS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *param = json_array_get(list, i);
        const json_t *otherwise = json_object_get(param, "default");
        if (otherwise != NULL) {
            defaults[i] = json_dumps(otherwise, JSON_COMPACT | JSON_ENCODE_ANY);
        }
        const char *name = json_is_string(param)
                               ? json_string_value(param)
                               : json_string_value(json_object_get(param, "name"));
        params[i] = (sp_tool_param){
            .name = name != NULL ? name : "",
            .type = json_string_value(json_object_get(param, "type")),
            .description = json_string_value(json_object_get(param, "description")),
            .default_json = defaults[i]};
    }
    int rc = sp_worker_add_tool(worker, &tool, err);
    for (size_t i = 0; i < count; i++) {
        free(defaults[i]);
    }
    return rc;
}

int message_add_tools(sp_worker *worker, sp_bytes line, int *ret_cancels, sp_error *err)
{
    json_error_t error;
    json_t *read = json_loadb(line.data, line.size, 0, &error);
    const json_t *tools = json_object_get(read, "tools");
    int rc = SP_OK;
    *ret_cancels = json_is_true(json_object_get(read, "cancel"));
    if (!json_is_array(tools)) {
        rc = sp__fail(err, SP_ERR_PROTOCOL, "\"tools\" is no array");
    }
    for (size_t i = 0; rc == SP_OK && i < json_array_size(tools); i++) {
        rc = add_tool(worker, json_array_get(tools, i), err);
    }
    json_decref(read);
    return rc;
}
