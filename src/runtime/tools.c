/* SPDX-License-Identifier: MIT */
/*
 * The tools a worker has registered, and what to say about one it has not.
 *
 * Registered before the announcement, constant afterwards, so finding one needs no
 * lock. What the host is told of one is encoded as it is registered: in a zygote that is
 * once for all workers. A worker has tens of tools, and a walk compares lengths first; with
 * a table of base/names.h a call of an only tool takes 240 instructions more, for the hash.
 */
#include "runtime/runtime.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

enum { NAME_MAX_BYTES = 255, NEAR_MAX = 3, NEAR_NAME_MAX = 64 };

const struct tool *sp__tool_find(const struct sp_worker *w, const char *name,
                                 size_t size)
{
    for (size_t i = 0; i < w->tools_count; i++) {
        const struct tool *tool = &w->tools[i];
        if (tool->name_size == size && memcmp(tool->name, name, size) == 0) {
            return tool;
        }
    }
    return NULL;
}

/* ---- near names ---- */

/* Letters to change, add or leave out between two short names. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t row[NEAR_NAME_MAX + 1];
    for (size_t j = 0; j <= b_size; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t above = row[j];
            size_t best = corner + (a[i - 1] != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = best;
            corner = above;
        }
    }
    return row[b_size];
}

static int is_near(const struct tool *tool, const char *name, size_t size)
{
    if (size > NEAR_NAME_MAX || tool->name_size > NEAR_NAME_MAX) {
        return 0;
    }
    size_t longer = size > tool->name_size ? size : tool->name_size;
    size_t allowed = longer / 3 > 1 ? longer / 3 : 1;
    return distance(name, size, tool->name, tool->name_size) <= allowed ||
           (size >= 3 && strstr(tool->name, name) != NULL);
}

int sp__tool_unknown(const struct sp_worker *w, const char *name, sp_error *err)
{
    char near[NEAR_MAX * (NAME_MAX_BYTES + 8)] = "";
    size_t used = 0;
    int found = 0;
    size_t size = strlen(name);
    for (size_t i = 0; i < w->tools_count && found < NEAR_MAX; i++) {
        if (is_near(&w->tools[i], name, size)) {
            int n = snprintf(near + used, sizeof near - used, "%s'%s'",
                             found == 0 ? "; did you mean " : " or ", w->tools[i].name);
            used += (size_t)n;
            found++;
        }
    }
    return sp__fail(err, SP_ERR_NO_TOOL, "no tool '%.64s'%s", name, near);
}

/* ---- registering ---- */

void sp__tools_free(struct sp_worker *w)
{
    for (size_t i = 0; i < w->tools_count; i++) {
        sp__free(w->tools[i].name);
    }
    sp__free(w->tools);
    sp__buf_fini(&w->tools_message);
}

/* An announcement of nothing but this tool, behind those of the others: read as one, they
 * are an announcement of them all. */
static int encode_tool(struct sp_worker *w, const sp_tool *from, sp_error *err)
{
    struct proto_param *params =
        sp__calloc(from->params_count + 1, sizeof *params); /* never of nothing */
    if (params == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the tool '%.64s'",
                        from->name);
    }
    for (size_t i = 0; i < from->params_count; i++) {
        const sp_tool_param *param = &from->params[i];
        params[i] = (struct proto_param){
            .name = (char *)param->name,
            .type = (char *)(param->type != NULL ? param->type : "any"),
            .description = (char *)param->description,
            .default_json = (char *)param->default_json};
    }
    struct proto_tool tool = {
        .name = (char *)from->name,
        .description = (char *)from->description,
        .streaming = from->streaming != 0,
        .idempotent =
            from->size > offsetof(sp_tool, idempotent) && from->idempotent != 0,
        .params = params,
        .params_count = from->params_count,
    };
    struct proto_announce announce = {.tools = &tool, .tools_count = 1};
    int rc = sp__proto_put_announce(&w->tools_message, &announce, err);
    sp__free(params);
    return rc;
}

static int grow(struct sp_worker *w)
{
    if (w->tools_count < w->tools_capacity) {
        return 1;
    }
    size_t capacity = w->tools_capacity == 0 ? 16 : w->tools_capacity * 2;
    struct tool *tools = sp__realloc(w->tools, capacity * sizeof *tools);
    if (tools == NULL) {
        return 0;
    }
    w->tools = tools;
    w->tools_capacity = capacity;
    return 1;
}

SP_API int sp_worker_add_tool(sp_worker *w, const sp_tool *tool, sp_error *err)
{
    if (tool == NULL || tool->size < sizeof *tool || tool->name == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a tool needs its size and a name");
    }
    size_t size = strlen(tool->name);
    if (size == 0 || size > NAME_MAX_BYTES) {
        return sp__fail(err, SP_ERR_INVAL, "a tool's name has 1 to %d bytes, not %zu",
                        NAME_MAX_BYTES, size);
    }
    if (sp__tool_find(w, tool->name, size) != NULL) {
        return sp__fail(err, SP_ERR_INVAL, "the tool '%.64s' exists already",
                        tool->name);
    }
    if (w->announced) {
        return sp__fail(err, SP_ERR_INVAL, "the worker has been announced");
    }
    char *name = grow(w) ? sp__strdup(tool->name) : NULL;
    if (name == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the tool '%.64s'",
                        tool->name);
    }
    int rc = encode_tool(w, tool, err);
    if (rc < 0) {
        sp__free(name);
        return rc;
    }
    w->tools[w->tools_count++] = (struct tool){.name = name, .name_size = size};
    return SP_OK;
}

SP_API void sp_worker_accept_any(sp_worker *w)
{
    w->accept_any = 1;
}

SP_API int sp_worker_set_capacity(sp_worker *w, uint32_t capacity, sp_error *err)
{
    if (capacity == 0 || w->announced) {
        return sp__fail(err, SP_ERR_INVAL,
                        w->announced ? "a capacity of %u after the worker was announced"
                                     : "a capacity of %u, allowed are 1 and more",
                        capacity);
    }
    w->capacity = capacity;
    return SP_OK;
}
