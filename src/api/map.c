/* SPDX-License-Identifier: MIT */
/* Many calls of one tool: the public functions. See pit/mapper.c. */
#include "snakepit/map.h"

#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "pit/mapper.h"

enum { IN_FLIGHT_MAX = 65536, TOOL_MAX = 255 };

static int check_call(const sp_call_options *call, sp_error *err)
{
    sp_call_options full = {0};
    int rc = sp__take_options("sp_call_options", call, &full, sizeof full, err);
    if (rc == SP_OK && (full.request_id != NULL || full.dedupe_key != NULL)) {
        rc = sp__fail(err, SP_ERR_INVAL,
                      "a request_id or dedupe_key names one call, not all of a map");
    }
    if (rc == SP_OK && full.binaries_count > 0) {
        rc = sp__fail(err, SP_ERR_INVAL,
                      "binaries belong to one call of a map: see sp_map_put_with()");
    }
    return rc;
}

SP_API int sp_map_open(sp_pit *pit, const char *tool, const sp_map_options *options,
                       sp_map **ret_map, sp_error *err)
{
    sp_map_options full = {0};
    if (pit == NULL || tool == NULL || ret_map == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a pit, a tool and a place for the map are needed");
    }
    if (tool[0] == '\0' || strlen(tool) > TOOL_MAX) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a tool's name of %zu bytes, allowed are 1 to %d", strlen(tool),
                        TOOL_MAX);
    }
    int rc = sp__take_options("sp_map_options", options, &full, sizeof full, err);
    if (rc == SP_OK && full.in_flight_max > IN_FLIGHT_MAX) {
        rc = sp__fail(err, SP_ERR_INVAL, "in_flight_max %u, allowed are 0 to %d",
                      full.in_flight_max, IN_FLIGHT_MAX);
    }
    if (rc == SP_OK) {
        rc = check_call(full.call, err);
    }
    return rc < 0 ? rc : sp__mapper_open(pit, tool, &full, ret_map, err);
}

SP_API int sp_map_put_with(sp_map *map, sp_bytes args_json, const sp_binary *binaries,
                           size_t count, uint64_t timeout_ms, sp_error *err)
{
    if (map == NULL || (args_json.data == NULL && args_json.size > 0)) {
        return sp__fail(err, SP_ERR_INVAL, "a map and arguments are needed");
    }
    if (binaries == NULL && count > 0) {
        return sp__fail(err, SP_ERR_INVAL, "%zu binaries, and no place of them", count);
    }
    struct cargo cargo = {.args_json = args_json, .binaries = binaries, .count = count};
    return sp__mapper_put(map, &cargo, timeout_ms, err);
}

SP_API int sp_map_put(sp_map *map, sp_bytes args_json, uint64_t timeout_ms,
                      sp_error *err)
{
    return sp_map_put_with(map, args_json, NULL, 0, timeout_ms, err);
}

SP_API void sp_map_finish(sp_map *map)
{
    if (map != NULL) {
        sp__mapper_finish(map);
    }
}

SP_API int sp_map_next(sp_map *map, uint64_t timeout_ms, sp_reply *ret_reply,
                       uint64_t *ret_index, sp_error *err)
{
    if (map == NULL || ret_reply == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a map and a place for a reply are needed");
    }
    return sp__mapper_next(map, timeout_ms, ret_reply, ret_index, err);
}

SP_API void sp_map_close(sp_map *map)
{
    if (map != NULL) {
        sp__mapper_close(map);
    }
}

/* ---- all of an array ---- */

struct array {
    sp_result *results;
    sp_error *errors; /* or NULL */
    size_t taken;
    int succeeded;
};

/* Take one reply into its place. As sp_map_next(). */
static int take_one(struct sp_map *map, struct array *array, sp_error *err)
{
    sp_reply reply;
    uint64_t index;
    int rc = sp__mapper_next(map, SP_UNLIMITED, &reply, &index, err);
    if (rc <= 0) {
        return rc;
    }
    array->taken++;
    if (reply.error == NULL) {
        sp_result *result = (sp_result *)reply.result; /* ours: the request's own */
        array->results[index] = *result;
        *result = (sp_result){0};
        array->succeeded++;
    } else if (array->errors != NULL) {
        sp__error_copy(&array->errors[index], reply.error);
    }
    return 1;
}

/* Put as many as there is room for, from *at on, and have them begin together: as
 * sp_map_put() for the last of them. */
static int put_more(struct sp_map *map, const sp_bytes *args_json, size_t count,
                    size_t *at, sp_error *err)
{
    int rc = 1;
    sp__mapper_gather(map);
    while (rc > 0 && *at < count) {
        struct cargo cargo = {.args_json = args_json[*at]};
        rc = sp__mapper_put(map, &cargo, 0, err);
        *at += rc > 0;
    }
    sp__mapper_begin(map);
    return rc;
}

/* Wait for a reply, and take with it whatever else has come. */
static int take_more(struct sp_map *map, struct array *array, sp_error *err)
{
    int rc;
    while ((rc = take_one(map, array, err)) > 0 && sp__mapper_is_due(map)) {
    }
    return rc;
}

static int run_all(struct sp_map *map, const sp_bytes *args_json, size_t count,
                   struct array *array, sp_error *err)
{
    size_t at = 0;
    int rc = put_more(map, args_json, count, &at, err);
    while (rc >= 0 && at < count) {
        rc = take_more(map, array, err);
        rc = rc >= 0 ? put_more(map, args_json, count, &at, err) : rc;
    }
    sp__mapper_finish(map);
    while (rc >= 0 && (rc = take_one(map, array, err)) > 0) {
    }
    for (size_t i = 0; rc < 0 && i < count; i++) {
        sp_result_clear(&array->results[i]);
        if (array->errors != NULL) {
            sp_error_clear(&array->errors[i]);
        }
    }
    return rc;
}

SP_API int sp_execute_many(sp_pit *pit, const char *tool, const sp_bytes *args_json,
                           size_t count, const sp_map_options *options,
                           sp_result *ret_results, sp_error *ret_errors, sp_error *err)
{
    struct sp_map *map;
    if (((args_json == NULL || ret_results == NULL) && count > 0) || count > INT_MAX) {
        return sp__fail(err, SP_ERR_INVAL,
                        "an array of arguments and one for results are needed");
    }
    int rc = sp_map_open(pit, tool, options, &map, err);
    if (rc < 0) {
        return rc;
    }
    struct array array = {.results = ret_results, .errors = ret_errors};
    for (size_t i = 0; i < count; i++) {
        ret_results[i] = (sp_result){0};
        if (ret_errors != NULL) {
            sp_error_clear(&ret_errors[i]);
        }
    }
    rc = run_all(map, args_json, count, &array, err);
    sp__mapper_close(map);
    return rc < 0 ? rc : array.succeeded;
}
