/* SPDX-License-Identifier: MIT */
/*
 * The tools of a pool.
 *
 * Every native worker announces its tools; the first announcement fills the table and
 * later ones only add. From then on an unknown name is refused on the caller's thread,
 * before anything is queued. Pools whose workers run any function, or say nothing of
 * their tools, refuse nothing. A configured list of names narrows what workers announce.
 *
 * Entries are never removed while the pool lives, so a pointer to one stays good; names
 * that were only called, not announced, are kept up to a limit.
 */
#include "pool/tools.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/near.h"

enum { CAPACITY_MIN = 64 };

void sp__tools_init(struct tools *tools)
{
    *tools = (struct tools){0};
    (void)pthread_mutex_init(&tools->lock, NULL);
}

void sp__tools_fini(struct tools *tools)
{
    for (size_t i = 0; i < tools->capacity; i++) {
        struct tool *tool = tools->table[i];
        if (tool != NULL) {
            void *rules = atomic_load(&tool->rules);
            if (rules != NULL) {
                tools->forget(rules);
            }
            sp__proto_tool_fini(&tool->spec);
            sp__free(tool->name);
            sp__free(tool);
        }
    }
    sp__free(tools->table);
    (void)pthread_mutex_destroy(&tools->lock);
}

static size_t place_of(const struct tools *tools, const char *name)
{
    size_t at = (size_t)sp__hash(name, strlen(name)) & (tools->capacity - 1);
    while (tools->table[at] != NULL && strcmp(tools->table[at]->name, name) != 0) {
        at = (at + 1) & (tools->capacity - 1);
    }
    return at;
}

static struct tool *find(const struct tools *tools, const char *name)
{
    return tools->capacity == 0 ? NULL : tools->table[place_of(tools, name)];
}

static int grow(struct tools *tools)
{
    struct tools bigger = {.capacity = tools->capacity == 0 ? CAPACITY_MIN
                                                            : tools->capacity * 2};
    bigger.table = sp__calloc(bigger.capacity, sizeof(struct tool *));
    if (bigger.table == NULL) {
        return SP_ERR_NOMEM;
    }
    for (size_t i = 0; i < tools->capacity; i++) {
        if (tools->table[i] != NULL) {
            bigger.table[place_of(&bigger, tools->table[i]->name)] = tools->table[i];
        }
    }
    sp__free(tools->table);
    tools->table = bigger.table;
    tools->capacity = bigger.capacity;
    return SP_OK;
}

/* Under lock. NULL without memory. */
static struct tool *insert(struct tools *tools, const char *name)
{
    if ((tools->length + 1) * 3 > tools->capacity * 2 && grow(tools) < 0) {
        return NULL;
    }
    struct tool *tool = sp__calloc(1, sizeof *tool);
    if (tool == NULL) {
        return NULL;
    }
    tool->name = sp__strdup(name);
    if (tool->name == NULL) {
        sp__free(tool);
        return NULL;
    }
    tools->table[place_of(tools, name)] = tool;
    tools->length++;
    return tool;
}

static struct tool *find_or_insert(struct tools *tools, const char *name)
{
    struct tool *tool = find(tools, name);
    return tool != NULL ? tool : insert(tools, name);
}

/* May it be called? Under lock. */
static int is_offered(const struct tool *tool)
{
    return tool->announced || tool->declared;
}

int sp__tools_announce(struct tools *tools, struct proto_announce *announce,
                       sp_error *err)
{
    int rc = SP_OK;
    pthread_mutex_lock(&tools->lock);
    for (size_t i = 0; rc == SP_OK && i < announce->tools_count; i++) {
        struct proto_tool *spec = &announce->tools[i];
        struct tool *tool = tools->declared ? find(tools, spec->name)
                                            : find_or_insert(tools, spec->name);
        if (tools->declared && (tool == NULL || !tool->declared)) {
            continue; /* the worker can do it, but this pool does not offer it */
        }
        if (tool == NULL) {
            rc = sp__fail(err, SP_ERR_NOMEM, "no memory for the list of tools");
        } else if (!tool->announced) {
            tool->announced = 1;
            tool->spec = *spec;
            *spec = (struct proto_tool){0};
            if (tools->learn != NULL) {
                atomic_store(&tool->rules, tools->learn(tools->user, &tool->spec));
            }
        }
    }
    tools->known = tools->declared || !announce->accepts_any;
    pthread_mutex_unlock(&tools->lock);
    return rc;
}

int sp__tools_declare(struct tools *tools, const char *const *names, sp_error *err)
{
    int rc = SP_OK;
    pthread_mutex_lock(&tools->lock);
    for (size_t i = 0; rc == SP_OK && names[i] != NULL; i++) {
        struct tool *tool = find_or_insert(tools, names[i]);
        if (tool == NULL) {
            rc = sp__fail(err, SP_ERR_NOMEM, "no memory for the list of commands");
        } else {
            tool->declared = 1;
        }
    }
    tools->known = 1;
    tools->declared = 1;
    pthread_mutex_unlock(&tools->lock);
    return rc;
}

struct tool *sp__tools_of(struct tools *tools, const char *name)
{
    pthread_mutex_lock(&tools->lock);
    struct tool *tool = find(tools, name);
    if (tool == NULL && tools->length < TOOLS_LEARNED_MAX) {
        tool = insert(tools, name);
    }
    pthread_mutex_unlock(&tools->lock);
    return tool;
}

static int refuse_unknown(struct tools *tools, const char *name, const char *pool,
                          sp_error *err)
{
    struct near near;
    char text[256];
    sp__near_init(&near, name);
    for (size_t i = 0; i < tools->capacity; i++) {
        if (tools->table[i] != NULL && is_offered(tools->table[i])) {
            sp__near_offer(&near, tools->table[i]->name);
        }
    }
    return sp__fail(err, SP_ERR_NO_TOOL, "pool %s has no tool \"%s\"%s", pool, name,
                    sp__near_text(&near, text, sizeof text));
}

int sp__tools_check(struct tools *tools, const char *name, int streaming,
                    const char *pool, struct tool **ret_tool, sp_error *err)
{
    int rc = SP_OK;
    pthread_mutex_lock(&tools->lock);
    struct tool *tool = find(tools, name);
    if (tool != NULL && is_offered(tool)) {
        if (tool->announced && tool->spec.streaming && !streaming) {
            rc = sp__fail(err, SP_ERR_BAD_ARGS,
                          "tool \"%s\" answers a stream: open it as one", name);
        }
    } else if (tools->known) {
        rc = refuse_unknown(tools, name, pool, err);
    }
    pthread_mutex_unlock(&tools->lock);
    *ret_tool = tool;
    return rc;
}

int sp__tools_has(struct tools *tools, const char *name)
{
    pthread_mutex_lock(&tools->lock);
    const struct tool *tool = find(tools, name);
    int has = tool != NULL && is_offered(tool);
    pthread_mutex_unlock(&tools->lock);
    return has;
}

int sp__tools_lack(struct tools *tools, const char *name)
{
    pthread_mutex_lock(&tools->lock);
    const struct tool *tool = find(tools, name);
    int lacks = tools->known && (tool == NULL || !is_offered(tool));
    pthread_mutex_unlock(&tools->lock);
    return lacks;
}

/* A tool as it was when it was asked for. */
struct listed {
    const struct tool *tool;
    int announced; /* then `spec` is complete and is not changed any more */
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct listed *)a)->tool->name,
                  ((const struct listed *)b)->tool->name);
}

static void tell(const struct listed *listed, void (*cb)(const sp_tool_info *, void *),
                 void *user_data)
{
    static const struct proto_tool nothing_known;
    const struct proto_tool *spec =
        listed->announced ? &listed->tool->spec : &nothing_known;
    size_t n = spec->params_count;
    sp_tool_parameter *params = sp__calloc(n == 0 ? 1 : n, sizeof *params);
    for (size_t i = 0; params != NULL && i < n; i++) {
        const struct proto_param *param = &spec->params[i];
        params[i] = (sp_tool_parameter){
            .name = param->name,
            .type = param->type,
            .description = param->description,
            .required = param->default_json == NULL,
            .default_json = param->default_json,
        };
    }
    sp_tool_info info = {.name = listed->tool->name,
                         .description =
                             spec->description != NULL ? spec->description : "",
                         .streaming = spec->streaming,
                         .idempotent = spec->idempotent,
                         .parameters_count = params != NULL ? n : 0,
                         .parameters = params};
    cb(&info, user_data);
    sp__free(params);
}

int sp__tools_each(struct tools *tools, void (*cb)(const sp_tool_info *, void *),
                   void *user_data)
{
    pthread_mutex_lock(&tools->lock);
    struct listed *list = sp__calloc(tools->length + 1, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; list != NULL && i < tools->capacity; i++) {
        const struct tool *tool = tools->table[i];
        if (tool != NULL && is_offered(tool)) {
            list[n++] = (struct listed){.tool = tool, .announced = tool->announced};
        }
    }
    pthread_mutex_unlock(&tools->lock);
    if (list == NULL) {
        return SP_ERR_NOMEM;
    }
    qsort(list, n, sizeof *list, by_name);
    for (size_t i = 0; cb != NULL && i < n; i++) {
        tell(&list[i], cb, user_data);
    }
    sp__free(list);
    return (int)n;
}
