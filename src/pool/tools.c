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
 * that were only called, not announced, are kept up to a limit. Callers of many threads
 * look names up and take no lock: a table that is full is replaced by one of twice its
 * size and kept until the end, for those who still look into it. All that were replaced
 * are together smaller than the one in use.
 */
#include "pool/tools.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/near.h"

enum { CAPACITY_MIN = 64 };

/* Open addressing over the names. */
struct tool_table {
    struct tool_table *before; /* the one it replaced */
    size_t capacity;
    _Atomic(struct tool *) slots[];
};

static struct tool *tool_at(struct tool_table *table, size_t at)
{
    return atomic_load_explicit(&table->slots[at], memory_order_acquire);
}

static struct tool_table *table_of(struct tools *tools)
{
    return atomic_load_explicit(&tools->table, memory_order_acquire);
}

static size_t capacity_of(const struct tool_table *table)
{
    return table == NULL ? 0 : table->capacity;
}

static int is_announced(struct tool *tool)
{
    return atomic_load_explicit(&tool->announced, memory_order_acquire);
}

/* May it be called? */
static int is_offered(struct tool *tool)
{
    return is_announced(tool) ||
           atomic_load_explicit(&tool->declared, memory_order_relaxed);
}

/* Asked before a name is looked up: what makes the list complete has been added then. */
static int is_known(struct tools *tools)
{
    return atomic_load_explicit(&tools->known, memory_order_acquire);
}

void sp__tools_init(struct tools *tools)
{
    memset(tools, 0, sizeof *tools);
    (void)pthread_mutex_init(&tools->lock, NULL);
}

void sp__tools_fini(struct tools *tools)
{
    struct tool_table *table = table_of(tools);
    for (size_t i = 0; i < capacity_of(table); i++) {
        struct tool *tool = tool_at(table, i);
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
    while (table != NULL) {
        struct tool_table *before = table->before;
        sp__free(table);
        table = before;
    }
    (void)pthread_mutex_destroy(&tools->lock);
}

/* Where a name is, or would be. */
static size_t place_of(struct tool_table *table, const char *name, size_t size)
{
    size_t at = (size_t)sp__hash(name, size) & (table->capacity - 1);
    struct tool *tool;
    while ((tool = tool_at(table, at)) != NULL &&
           (tool->name_size != size || memcmp(tool->name, name, size) != 0)) {
        at = (at + 1) & (table->capacity - 1);
    }
    return at;
}

static struct tool *find(struct tools *tools, const char *name)
{
    struct tool_table *table = table_of(tools);
    return table == NULL ? NULL : tool_at(table, place_of(table, name, strlen(name)));
}

static void put(struct tool_table *table, struct tool *tool)
{
    size_t at = place_of(table, tool->name, tool->name_size);
    atomic_store_explicit(&table->slots[at], tool, memory_order_release);
}

/* Under lock, as all that add. */
static int grow(struct tools *tools)
{
    struct tool_table *table = table_of(tools);
    size_t capacity = table == NULL ? CAPACITY_MIN : 2 * table->capacity;
    struct tool_table *bigger =
        sp__calloc(1, sizeof *bigger + capacity * sizeof bigger->slots[0]);
    if (bigger == NULL) {
        return SP_ERR_NOMEM;
    }
    bigger->before = table;
    bigger->capacity = capacity;
    for (size_t i = 0; i < capacity_of(table); i++) {
        if (tool_at(table, i) != NULL) {
            put(bigger, tool_at(table, i));
        }
    }
    atomic_store_explicit(&tools->table, bigger, memory_order_release);
    return SP_OK;
}

/* NULL without memory. */
static struct tool *insert(struct tools *tools, const char *name)
{
    if ((tools->length + 1) * 3 > capacity_of(table_of(tools)) * 2 && grow(tools) < 0) {
        return NULL;
    }
    struct tool *tool = sp__calloc(1, sizeof *tool);
    if (tool == NULL) {
        return NULL;
    }
    tool->name_size = strlen(name);
    tool->name = sp__strdup(name);
    if (tool->name == NULL) {
        sp__free(tool);
        return NULL;
    }
    put(table_of(tools), tool);
    tools->length++;
    return tool;
}

static struct tool *find_or_insert(struct tools *tools, const char *name)
{
    struct tool *tool = find(tools, name);
    return tool != NULL ? tool : insert(tools, name);
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
        } else if (!is_announced(tool)) {
            tool->spec = *spec;
            *spec = (struct proto_tool){0};
            if (tools->learn != NULL) {
                atomic_store(&tool->rules, tools->learn(tools->user, &tool->spec));
            }
            atomic_store_explicit(&tool->announced, 1, memory_order_release);
        }
    }
    atomic_store(&tools->known, tools->declared || !announce->accepts_any);
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
    atomic_store(&tools->known, 1);
    tools->declared = 1;
    pthread_mutex_unlock(&tools->lock);
    return rc;
}

struct tool *sp__tools_of(struct tools *tools, const char *name)
{
    struct tool *tool = find(tools, name);
    if (tool != NULL) {
        return tool;
    }
    pthread_mutex_lock(&tools->lock);
    tool = find(tools, name);
    if (tool == NULL && tools->length < TOOLS_LEARNED_MAX) {
        tool = insert(tools, name);
    }
    pthread_mutex_unlock(&tools->lock);
    return tool;
}

static int refuse_unknown(struct tools *tools, const char *name, const char *pool,
                          sp_error *err)
{
    struct tool_table *table = table_of(tools);
    struct near near;
    char text[256];
    sp__near_init(&near, name);
    for (size_t i = 0; i < capacity_of(table); i++) {
        struct tool *tool = tool_at(table, i);
        if (tool != NULL && is_offered(tool)) {
            sp__near_offer(&near, tool->name);
        }
    }
    return sp__fail(err, SP_ERR_NO_TOOL, "pool %s has no tool \"%s\"%s", pool, name,
                    sp__near_text(&near, text, sizeof text));
}

int sp__tools_check(struct tools *tools, const char *name, int streaming,
                    const char *pool, struct tool **ret_tool, sp_error *err)
{
    int known = is_known(tools);
    struct tool *tool = find(tools, name);
    *ret_tool = tool;
    if (tool == NULL || !is_offered(tool)) {
        return known ? refuse_unknown(tools, name, pool, err) : SP_OK;
    }
    if (!streaming && is_announced(tool) && tool->spec.streaming) {
        return sp__fail(err, SP_ERR_BAD_ARGS,
                        "tool \"%s\" answers a stream: open it as one", name);
    }
    return SP_OK;
}

int sp__tools_has(struct tools *tools, const char *name)
{
    struct tool *tool = find(tools, name);
    return tool != NULL && is_offered(tool);
}

int sp__tools_lack(struct tools *tools, const char *name)
{
    return is_known(tools) && !sp__tools_has(tools, name);
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
    struct tool_table *table = table_of(tools);
    size_t n = 0;
    for (size_t i = 0; list != NULL && i < capacity_of(table); i++) {
        struct tool *tool = tool_at(table, i);
        if (tool != NULL && is_offered(tool)) {
            list[n++] = (struct listed){.tool = tool, .announced = is_announced(tool)};
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
