/* SPDX-License-Identifier: MIT */
/*
 * From a list of parameters to the schema of an object that has them.
 *
 * Types may be called as JSON Schema calls them or as Python does.
 */
#include <string.h>

#include "base/error.h"
#include "session/checks.h"
#include "session/schema.h"
#include "wire/json.h"

/* The JSON Schema's name of a type; "" for anything, NULL for what nobody knows. */
static const char *type_of(const char *name)
{
    static const char *const names[][2] = {
        {"any", ""},          {"", ""},
        {"null", "null"},     {"boolean", "boolean"},
        {"bool", "boolean"},  {"integer", "integer"},
        {"int", "integer"},   {"number", "number"},
        {"float", "number"},  {"string", "string"},
        {"str", "string"},    {"array", "array"},
        {"list", "array"},    {"tuple", "array"},
        {"object", "object"}, {"dict", "object"},
        {"map", "object"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (name != NULL && strcmp(names[i][0], name) == 0) {
            return names[i][1];
        }
    }
    return name == NULL ? "" : NULL;
}

static int put_string_member(struct sp_buffer *out, const char *before,
                             const char *text, sp_error *err)
{
    int rc = sp__buf_printf(out, err, "%s", before);
    return rc < 0 ? rc : sp__json_put_string(out, text, strlen(text), err);
}

static int put_param(struct sp_buffer *out, const sp_tool_parameter *param, int strict,
                     sp_error *err)
{
    const char *type = type_of(param->type);
    if (param->name == NULL || param->name[0] == '\0') {
        return sp__fail(err, SP_ERR_BAD_VALUE, "a parameter has no name");
    }
    if (type == NULL && strict) {
        return sp__fail(err, SP_ERR_BAD_VALUE,
                        "parameter %s: no type \"%s\": null, boolean, integer, number, "
                        "string, array, object and any are known",
                        sp__excerpt(param->name, strlen(param->name)).text,
                        sp__excerpt(param->type, strlen(param->type)).text);
    }
    int rc = put_string_member(out, "", param->name, err);
    rc = rc < 0 ? rc : sp__buf_printf(out, err, ":{");
    const char *comma = "";
    if (rc == SP_OK && type != NULL && type[0] != '\0') {
        /* What may be left out as null may be said as null. */
        int or_null =
            param->default_json != NULL && strcmp(param->default_json, "null") == 0;
        rc = sp__buf_printf(
            out, err, or_null ? "\"type\":[\"%s\",\"null\"]" : "\"type\":\"%s\"", type);
        comma = ",";
    }
    if (rc == SP_OK && param->description != NULL && param->description[0] != '\0') {
        rc = sp__buf_printf(out, err, "%s", comma);
        rc = rc < 0
                 ? rc
                 : put_string_member(out, "\"description\":", param->description, err);
        comma = ",";
    }
    if (rc == SP_OK && param->default_json != NULL) {
        rc = sp__buf_printf(out, err, "%s\"default\":%s", comma, param->default_json);
    }
    return rc < 0 ? rc : sp__buf_append(out, "}", 1, err);
}

int sp__schema_put_params(struct sp_buffer *out, const sp_tool_parameter *params,
                          size_t count, int open, int strict, sp_error *err)
{
    int rc = sp__buf_printf(out, err, "{\"type\":\"object\",\"properties\":{");
    for (size_t i = 0; rc == SP_OK && i < count; i++) {
        rc = sp__buf_printf(out, err, "%s", i == 0 ? "" : ",");
        rc = rc < 0 ? rc : put_param(out, &params[i], strict, err);
    }
    const char *before = "},\"required\":[";
    const char *between = before;
    for (size_t i = 0; rc == SP_OK && i < count; i++) {
        if (params[i].required) {
            rc = put_string_member(out, between, params[i].name, err);
            between = ",";
        }
    }
    if (rc < 0) {
        return rc;
    }
    return sp__buf_printf(out, err, "%s%s}", between == before ? "}" : "]",
                          open ? "" : ",\"additionalProperties\":false");
}
