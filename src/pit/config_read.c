/* SPDX-License-Identifier: MIT */
/*
 * From tree and environment to values: the shape of the file.
 *
 * The outermost map has the settings of the pit, `defaults` and `pools`; a section's
 * keys are looked up in the table, one level of grouping (`queue.max`) included, so that
 * a new setting needs a row and nothing here. Then the environment is laid over it, and
 * last come the checks that look at several values at once.
 *
 * The first mistake ends the reading, with its place and key in front of the message.
 */
#include "pit/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "worker/language.h"

/* --- The file ------------------------------------------------------------------------ */

static int is_empty(const struct node *root)
{
    return root == NULL ||
           (root->kind == NODE_SCALAR && root->is_plain && root->text[0] == '\0');
}

/* A mistake about a key rather than its value: points at the key. */
static int complain_at_key(const struct place *place, const struct node *node,
                           sp_error *err, const char *what)
{
    struct node at = {.line = node->key_line, .column = node->key_column};
    return sp__config_complain(place, &at, err, "%s", what);
}

int sp__config_unknown_key(enum config_scope scope, const char *prefix,
                           const struct node *node, const struct place *place,
                           sp_error *err)
{
    const char *words[PARAMS + 2];
    size_t count = 0;
    size_t length = strlen(prefix);
    for (int id = 0; id < PARAMS; id++) {
        const struct param *param = sp__config_param((enum param_id)id);
        if (param->scope == scope && strncmp(param->key, prefix, length) == 0) {
            words[count++] = param->key + length;
        }
    }
    if (scope == SCOPE_TOP) {
        words[count++] = "defaults";
        words[count++] = "pools";
    }
    const char *near = sp__config_nearest(node->key, words, count);
    if (near != NULL) {
        char what[PATH_TEXT_MAX];
        (void)snprintf(what, sizeof what, "unknown key; did you mean \"%s\"?", near);
        return complain_at_key(place, node, err, what);
    }
    /* A pool's key on the outermost level is a usual slip. */
    if (scope == SCOPE_TOP && (sp__config_param_find(SCOPE_POOL, node->key) >= 0 ||
                               sp__config_is_group(SCOPE_POOL, node->key))) {
        return complain_at_key(place, node, err,
                               "unknown key; it belongs into a pool or under defaults");
    }
    return complain_at_key(place, node, err, "unknown key");
}

static const char *kind_text(const struct node *node)
{
    return node->kind == NODE_MAP    ? "a map"
           : node->kind == NODE_LIST ? "a list"
           : node->text[0] == '\0'   ? "an empty value"
                                     : "text";
}

/* Whether a key at the top of a file without `pools` is one of the only pool. */
static int is_of_only_pool(const sp_config *config, enum config_scope scope,
                           const char *prefix, const char *key)
{
    return scope == SCOPE_TOP && config->has_one_pool && prefix[0] == '\0' &&
           sp__config_param_find(SCOPE_TOP, key) < 0 &&
           !sp__config_is_group(SCOPE_TOP, key) &&
           (sp__config_param_find(SCOPE_POOL, key) >= 0 ||
            sp__config_is_group(SCOPE_POOL, key));
}

/* Read the children of `map` into `section`. `path` leads to the map ("pools[0]"), and
 * `prefix` is the same inside the table ("" or "queue."). */
static int read_section(sp_config *config, struct section *section,
                        enum config_scope scope, const struct node *map,
                        const char *path, const char *prefix, const char *file,
                        sp_error *err)
{
    for (const struct node *node = map->first; node != NULL; node = node->next) {
        char child_path[PATH_TEXT_MAX];
        char key[PATH_TEXT_MAX];
        (void)snprintf(child_path, sizeof child_path, "%s%s%.64s", path,
                       path[0] != '\0' ? "." : "", node->key);
        (void)snprintf(key, sizeof key, "%s%.100s", prefix, node->key);
        struct place place = {file, child_path, config->folder};

        if (scope == SCOPE_TOP && prefix[0] == '\0' &&
            (strcmp(key, "pools") == 0 || strcmp(key, "defaults") == 0)) {
            continue; /* sections of their own */
        }
        if (is_of_only_pool(config, scope, prefix, key)) {
            continue; /* read as a pool's */
        }
        int id = sp__config_param_find(scope, key);
        if (id == PARAM_NAME && section == &config->defaults) {
            return complain_at_key(&place, node, err, "every pool has its own name");
        }
        if (id >= 0) {
            struct value value = {0};
            int rc = sp__config_value_read(sp__config_param((enum param_id)id), node,
                                           &place, &value, err);
            if (rc < 0) {
                return rc;
            }
            sp__config_lay(section, id, &value, SOURCE_FILE);
            continue;
        }
        if (prefix[0] != '\0' || !sp__config_is_group(scope, key)) {
            return sp__config_unknown_key(scope, prefix, node, &place, err);
        }
        if (node->kind != NODE_MAP) {
            return sp__config_complain(&place, node, err, "expected a map, not %s",
                                       kind_text(node));
        }
        char group[PATH_TEXT_MAX];
        (void)snprintf(group, sizeof group, "%.100s.", node->key);
        /* One level: a group has no groups. */
        int rc =
            read_section(config, section, scope, node, child_path, group, file, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static const struct node *child_of(const struct node *map, const char *key)
{
    const struct node *node = map->first;
    while (node != NULL && strcmp(node->key, key) != 0) {
        node = node->next;
    }
    return node;
}

static int allocate_pools(sp_config *config, size_t count, sp_error *err)
{
    config->pools = sp__calloc(count, sizeof *config->pools);
    config->pool_options = sp__calloc(count, sizeof *config->pool_options);
    if (config->pools == NULL || config->pool_options == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the configuration");
    }
    config->pools_count = count;
    return 0;
}

static int read_pool(sp_config *config, size_t index, const struct node *node,
                     const char *file, sp_error *err)
{
    char path[32];
    (void)snprintf(path, sizeof path, "pools[%zu]", index);
    struct place place = {file, path, config->folder};
    if (node->kind != NODE_MAP) {
        return sp__config_complain(&place, node, err, "expected a map, not %s",
                                   kind_text(node));
    }
    int rc = read_section(config, &config->pools[index], SCOPE_POOL, node, path, "",
                          file, err);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(sp__config_pool_name(config, i),
                   sp__config_pool_name(config, index)) == 0) {
            const struct node *name = child_of(node, "name");
            return sp__config_complain(&place, name != NULL ? name : node, err,
                                       "pools[%zu] is named \"%s\" too%s", i,
                                       sp__config_pool_name(config, i),
                                       name != NULL ? "" : "; give this one a name");
        }
    }
    return 0;
}

static int read_pools(sp_config *config, const struct node *list, const char *file,
                      sp_error *err)
{
    if (list == NULL) {
        return allocate_pools(config, 1, err);
    }
    struct place place = {file, "pools", config->folder};
    if (list->kind != NODE_LIST) {
        return sp__config_complain(&place, list, err,
                                   "expected a list of pools (\"- name: ...\"), not %s",
                                   kind_text(list));
    }
    if (list->count == 0) {
        return sp__config_complain(&place, list, err,
                                   "there is no pool in the list; without the key "
                                   "there is one with the showcase adapter");
    }
    if (list->count > POOLS_MAX) {
        return sp__config_complain(&place, list, err, "%u pools, the limit is %d",
                                   list->count, POOLS_MAX);
    }
    int rc = allocate_pools(config, list->count, err);
    size_t index = 0;
    for (const struct node *node = list->first; rc == 0 && node != NULL;
         node = node->next) {
        rc = read_pool(config, index++, node, file, err);
    }
    return rc;
}

/* The keys of the only pool stand at the top, among those of the pit. */
static int read_only_pool(sp_config *config, const struct node *root, const char *file,
                          sp_error *err)
{
    int rc = 0;
    for (const struct node *node = root->first; rc == 0 && node != NULL;
         node = node->next) {
        if (is_of_only_pool(config, SCOPE_TOP, "", node->key)) {
            struct node alone = *node;
            alone.next = NULL;
            const struct node map = {.kind = NODE_MAP, .first = &alone, .count = 1};
            rc = read_section(config, &config->pools[0], SCOPE_POOL, &map, "", "", file,
                              err);
        }
    }
    return rc;
}

int sp__config_read_tree(sp_config *config, const struct node *root, const char *file,
                         sp_error *err)
{
    if (is_empty(root)) {
        return allocate_pools(config, 1, err);
    }
    struct place place = {file, "", config->folder};
    if (root->kind != NODE_MAP) {
        return sp__config_complain(
            &place, root, err, "expected a map of settings, not %s", kind_text(root));
    }
    config->has_one_pool = child_of(root, "pools") == NULL;
    int rc = read_section(config, &config->top, SCOPE_TOP, root, "", "", file, err);
    if (rc < 0) {
        return rc;
    }
    const struct node *defaults = child_of(root, "defaults");
    if (defaults != NULL && defaults->kind != NODE_MAP) {
        place.path = "defaults";
        return sp__config_complain(&place, defaults, err, "expected a map, not %s",
                                   kind_text(defaults));
    }
    if (defaults != NULL) {
        rc = read_section(config, &config->defaults, SCOPE_POOL, defaults, "defaults",
                          "", file, err);
    }
    if (rc == 0) {
        rc = read_pools(config, child_of(root, "pools"), file, err);
    }
    return rc == 0 && config->has_one_pool ? read_only_pool(config, root, file, err)
                                           : rc;
}

/* --- The environment ----------------------------------------------------------------- */

static int read_variable(sp_config *config, struct section *section, int id,
                         const char *text, sp_error *err)
{
    const struct param *param = sp__config_param((enum param_id)id);
    struct place place = {NULL, param->environment, config->here};
    struct value value = {0};
    int rc = sp__config_value_read_text(param, text, &place, &value, err);
    if (rc == 0) {
        sp__config_lay(section, id, &value, SOURCE_ENVIRONMENT);
    }
    return rc;
}

/* A variable counts for every pool, SNAKEPIT_ADAPTER and SNAKEPIT_PYTHON for those that
 * have a use for them. An empty one counts as absent. */
int sp__config_read_environment(sp_config *config, sp_error *err)
{
    for (int id = 0; id < PARAMS; id++) {
        const struct param *param = sp__config_param((enum param_id)id);
        const char *text =
            param->environment[0] != '\0' ? getenv(param->environment) : NULL;
        if (text == NULL || text[0] == '\0') {
            continue;
        }
        if (param->scope == SCOPE_TOP) {
            int rc = read_variable(config, &config->top, id, text, err);
            if (rc < 0) {
                return rc;
            }
            continue;
        }
        for (size_t i = 0; i < config->pools_count; i++) {
            if ((id == PARAM_ADAPTER || id == PARAM_PYTHON) &&
                strcmp(sp__config_runtime(config, &config->pools[i]), "python") != 0) {
                continue;
            }
            int rc = read_variable(config, &config->pools[i], id, text, err);
            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

/* --- Values that concern each other -------------------------------------------------- */

static int misfit(const char *file, size_t index, const char *key,
                  const struct value *value, sp_error *err, const char *what)
{
    char path[PATH_TEXT_MAX];
    (void)snprintf(path, sizeof path, "pools[%zu].%s", index, key);
    struct place place = {file, path, NULL};
    struct node node = {.line = value->line, .column = value->column};
    return sp__config_complain(&place, value->source == SOURCE_FILE ? &node : NULL, err,
                               "%s", what);
}

/* Which of the keys that depend on it a runtime understands. */
static int understands(const char *runtime, int id)
{
    int is_language = sp__language(runtime) != NULL;
    int is_python = strcmp(runtime, "python") == 0;
    return id == PARAM_PYTHON        ? is_python
           : id == PARAM_INTERPRETER ? is_language && !is_python
           : id == PARAM_ADAPTER     ? is_language
                                     : !is_language;
}

static int check_runtime(const sp_config *config, size_t index, const char *file,
                         sp_error *err)
{
    static const struct {
        int id;
        const char *whose;
    } keys[] = {
        {PARAM_PYTHON, "the runtime python"},
        {PARAM_INTERPRETER, "the runtimes node, ruby and r"},
        {PARAM_ADAPTER, "the runtimes python, node, ruby and r"},
        {PARAM_COMMAND, "the runtimes exec, grpc, grpc_server and stdio"},
    };
    const struct section *pool = &config->pools[index];
    const char *runtime = sp__config_runtime(config, pool);
    char what[PATH_TEXT_MAX];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct value *value = &pool->values[keys[i].id];
        if (value->source != SOURCE_NONE && !understands(runtime, keys[i].id)) {
            (void)snprintf(what, sizeof what, "is for %s; this pool is %s",
                           keys[i].whose, runtime);
            return misfit(file, index, sp__config_param((enum param_id)keys[i].id)->key,
                          value, err, what);
        }
    }
    if (sp__language(runtime) != NULL) {
        return 0;
    }
    const struct value *command = sp__config_in_force(config, pool, PARAM_COMMAND);
    if (command->source == SOURCE_NONE || command->items == NULL) {
        (void)snprintf(what, sizeof what, "%s needs the key \"command\"", runtime);
        return misfit(file, index, "runtime",
                      sp__config_in_force(config, pool, PARAM_RUNTIME), err, what);
    }
    return 0;
}

/* Only what the same file says about both: a default may not make a file wrong. */
static int check_times(const sp_config *config, size_t index, const char *file,
                       sp_error *err)
{
    const struct section *pool = &config->pools[index];
    const struct value *queue = sp__config_in_force(config, pool, PARAM_QUEUE_TIMEOUT);
    const struct value *call = sp__config_in_force(config, pool, PARAM_CALL_TIMEOUT);
    if (queue->source != SOURCE_FILE || call->source != SOURCE_FILE ||
        queue->number <= call->number) {
        return 0;
    }
    char what[PATH_TEXT_MAX];
    (void)snprintf(what, sizeof what,
                   "%s is longer than call_timeout (%s), which ends the call first",
                   queue->shown, call->shown);
    return misfit(file, index, "queue_timeout", queue, err, what);
}

static int is_set_here(const struct value *value)
{
    return (value->source == SOURCE_FILE || value->source == SOURCE_FLAG) &&
           value->number > 1;
}

/* A number that the pool itself sets for the other profile; one from `defaults` or the
 * environment is for the pools it fits. */
static int check_profile(const sp_config *config, size_t index, const char *file,
                         sp_error *err)
{
    const struct section *pool = &config->pools[index];
    uint64_t profile = sp__config_in_force(config, pool, PARAM_PROFILE)->number;
    const struct value *threads = &pool->values[PARAM_THREADS];
    const struct value *concurrency = &pool->values[PARAM_MAX_CONCURRENCY];
    if (profile == SP_PROFILE_THREAD) {
        return !is_set_here(concurrency)
                   ? 0
                   : misfit(file, index, "max_concurrency", concurrency, err,
                            "is for the profile process; with the profile thread a "
                            "worker runs as many calls as it has threads");
    }
    return !is_set_here(threads)
               ? 0
               : misfit(file, index, "threads", threads, err,
                        "is for the profile thread; with the profile process it is "
                        "max_concurrency that lets asynchronous calls overlap");
}

int sp__config_check(const sp_config *config, const char *file, sp_error *err)
{
    for (size_t i = 0; i < config->pools_count; i++) {
        int rc = check_runtime(config, i, file, err);
        if (rc == 0) {
            rc = check_times(config, i, file, err);
        }
        if (rc == 0) {
            rc = check_profile(config, i, file, err);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}
