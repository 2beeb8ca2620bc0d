/* SPDX-License-Identifier: MIT */
/*
 * The configuration: where it is found, how its layers meet, what comes out of it.
 *
 * A load reads the file into a tree, walks the tree against the table of settings,
 * lays the environment over it, checks what concerns several values at once, and fills
 * the option structs. A value remembers its source; a stronger source replaces a weaker
 * one, so the order in which they come does not matter. What a pool does not set it
 * takes from `defaults`, and what that does not set from the table.
 *
 * The option structs point into the values. They are filled again after every change,
 * which allocates nothing and so cannot fail.
 */
#include "pit/config.h"
#include "pit/sums.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "worker/language.h"

/* --- Layers ------------------------------------------------------------------------- */

void sp__config_lay(struct section *section, int id, struct value *value,
                    enum config_source source)
{
    struct value *there = &section->values[id];
    if (there->source > source) {
        sp__config_value_clear(value);
        return;
    }
    sp__config_value_clear(there);
    *there = *value;
    there->source = source;
    *value = (struct value){0};
}

const struct value *sp__config_in_force(const sp_config *config,
                                        const struct section *pool, int id)
{
    const struct section *own = pool != NULL ? pool : &config->top;
    const struct value *value = &own->values[id];
    if (value->source == SOURCE_NONE && pool != NULL && id != PARAM_NAME) {
        value = &config->defaults.values[id];
    }
    return value->source != SOURCE_NONE ? value : &config->base.values[id];
}

const char *sp__config_pool_name(const sp_config *config, size_t index)
{
    return sp__config_in_force(config, &config->pools[index], PARAM_NAME)->text;
}

const char *sp__config_runtime(const sp_config *config, const struct section *pool)
{
    const struct value *runtime = sp__config_in_force(config, pool, PARAM_RUNTIME);
    if (runtime->source != SOURCE_DEFAULT) {
        return runtime->text;
    }
    const struct value *adapter = sp__config_in_force(config, pool, PARAM_ADAPTER);
    const struct language *language = sp__language_of_file(adapter->text);
    return language != NULL ? language->runtime : runtime->text;
}

static uint64_t processors(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint64_t)online : 1;
}

static int fill_base(sp_config *config, sp_error *err)
{
    static const struct place place = {.path = "default"};
    for (int id = 0; id < PARAMS; id++) {
        const struct param *param = sp__config_param((enum param_id)id);
        struct value value = {0};
        int rc = 0;
        if (id == PARAM_SIZE || id == PARAM_STARTUP_BATCH) {
            uint64_t count = 2 * processors();
            if (id == PARAM_STARTUP_BATCH && count < 8) {
                count = 8;
            }
            count = count < param->max ? count : param->max;
            rc = sp__config_value_from_number(param, count, &value, err);
        } else if (param->default_text[0] != '\0') {
            rc = sp__config_value_read_text(param, param->default_text, &place, &value,
                                            err);
        }
        if (rc < 0) {
            return rc;
        }
        sp__config_lay(&config->base, id, &value, SOURCE_DEFAULT);
    }
    return 0;
}

/* --- Options ------------------------------------------------------------------------- */

/* Write a value into the member of the options its row names. */
static void store(const struct param *param, const struct value *value, void *options)
{
    void *member = (char *)options + param->offset;
    if (param->offset == 0) {
        return;
    }
    int is_given = value->shown != NULL; /* not left to the library */
    if (param->kind <= KIND_MASK) {
        *(uint32_t *)member =
            is_given && value->number == 0 ? SP_NONE : (uint32_t)value->number;
    } else if (param->kind <= KIND_SIZE) {
        *(uint64_t *)member = value->number;
    } else if (param->kind == KIND_CONSTANT) {
        *(int *)member = (int)value->number;
    } else if (param->kind <= KIND_ADAPTER) {
        *(const char **)member = value->text;
    } else {
        *(const char *const **)member = (const char *const *)value->items;
    }
}

static void fill_pool(const sp_config *config, size_t index)
{
    const struct section *pool = &config->pools[index];
    sp_pool_options *options = &config->pool_options[index];
    *options = (sp_pool_options){.size = sizeof *options};
    for (int id = 0; id < PARAMS; id++) {
        const struct param *param = sp__config_param((enum param_id)id);
        if (param->scope == SCOPE_POOL) {
            store(param, sp__config_in_force(config, pool, id), options);
        }
    }
    options->runtime = sp__config_runtime(config, pool);
    /* From `defaults` may come what is for pools of another kind. */
    if (sp__language(options->runtime) == NULL) {
        options->adapter = NULL;
    }
    int is_python = strcmp(options->runtime, "python") == 0;
    if (!is_python) {
        options->python = NULL;
        options->preload = NULL;
    }
    if (!is_python && strcmp(options->runtime, "exec") != 0) {
        options->zygote = SP_ZYGOTE_OFF;
    }
    if (options->profile == SP_PROFILE_THREAD) {
        options->max_concurrency = 0;
    } else {
        options->threads = 0;
    }
    const struct value *timeouts =
        sp__config_in_force(config, pool, PARAM_COMMAND_TIMEOUTS);
    options->command_timeouts = timeouts->timeouts;
    options->command_timeouts_count = (size_t)timeouts->number;
}

/* The options a row of the scope TOP goes into. */
static void *options_of(sp_config *config, const struct param *param)
{
    return param->goes == OF_service    ? (void *)&config->service
           : param->goes == OF_sessions ? (void *)&config->sessions
                                        : (void *)&config->options;
}

static void fill_options(sp_config *config)
{
    config->options = (sp_pit_options){.size = sizeof config->options,
                                       .pools = config->pool_options,
                                       .pools_count = config->pools_count,
                                       .sessions = &config->sessions};
    config->sessions = (sp_sessions_options){.size = sizeof config->sessions};
    config->service =
        (sp_service_options){.size = sizeof config->service,
                             .listen = {.size = sizeof config->service.listen},
                             .log = {.size = sizeof config->service.log}};
    for (int id = 0; id < PARAMS; id++) {
        const struct param *param = sp__config_param((enum param_id)id);
        if (param->scope == SCOPE_TOP) {
            store(param, sp__config_in_force(config, NULL, id),
                  options_of(config, param));
        }
    }
    for (size_t i = 0; i < config->pools_count; i++) {
        fill_pool(config, i);
    }
}

/* --- Finding and reading -------------------------------------------------------------- */

static char *join(const char *folder, const char *rest)
{
    size_t bytes = strlen(folder) + strlen(rest) + 1;
    char *path = sp__malloc(bytes);
    if (path != NULL) {
        (void)snprintf(path, bytes, "%s%s", folder, rest);
    }
    return path;
}

/* Build one candidate; *ret_path stays NULL when there is none at this place. */
static int candidate(int place, char **ret_path, sp_error *err)
{
    const char *home = getenv("HOME");
    const char *user = getenv("XDG_CONFIG_HOME");
    char *path = NULL;
    int has_one = 1;
    *ret_path = NULL;
    switch (place) {
    case 0:
        path = join("snakepit.yaml", "");
        break;
    case 1:
        if (user != NULL && user[0] == '/') {
            path = join(user, "/snakepit/snakepit.yaml");
        } else if (home != NULL && home[0] == '/') {
            path = join(home, "/.config/snakepit/snakepit.yaml");
        } else {
            has_one = 0;
        }
        break;
    default:
        path = join("/etc/snakepit/snakepit.yaml", "");
        break;
    }
    if (path == NULL && has_one) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the configuration");
    }
    if (path != NULL && access(path, F_OK) != 0) {
        sp__free(path);
        path = NULL;
    }
    *ret_path = path;
    return 0;
}

/* The file to read; *ret_path stays NULL when there is none and the defaults serve. */
static int find_file(const char *path, char **ret_path, sp_error *err)
{
    *ret_path = NULL;
    if (path == NULL) {
        path = getenv("SNAKEPIT_CONFIG");
    }
    if (path != NULL && path[0] != '\0') {
        *ret_path = sp__strdup(path);
        return *ret_path != NULL
                   ? 0
                   : sp__fail(err, SP_ERR_NOMEM, "no memory for the configuration");
    }
    int rc = 0;
    for (int place = 0; rc == 0 && *ret_path == NULL && place < 3; place++) {
        rc = candidate(place, ret_path, err);
    }
    return rc;
}

static int read_file(const char *path, struct sp_buffer *out, sp_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int code = errno;
        sp__fail_errno(err, code, "%s", path);
        if (code == ENOENT && err != NULL) {
            err->code = SP_ERR_NOT_FOUND;
        }
        return code == ENOENT ? SP_ERR_NOT_FOUND : SP_ERR_SYSTEM;
    }
    int rc = 0;
    for (;;) {
        char chunk[16 * 1024];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            rc = sp__fail_errno(err, errno, "%s", path);
        }
        if (n <= 0 || out->size > CONFIG_BYTES_MAX) {
            break; /* the parser refuses what is too large */
        }
        rc = sp__buf_append(out, chunk, (size_t)n, err);
        if (rc < 0) {
            break;
        }
    }
    (void)close(fd); /* nothing was written */
    return rc;
}

/* The absolute folder of a file; a name without '/' stands in the working directory. */
static int folder_of(sp_config *config, sp_error *err)
{
    const char *slash = config->path != NULL ? strrchr(config->path, '/') : NULL;
    if (slash == NULL) {
        config->folder = sp__strdup(config->here);
        if (config->folder == NULL && config->here != NULL) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for the configuration");
        }
        return 0;
    }
    char *folder = sp__strndup(config->path, (size_t)(slash - config->path));
    if (folder == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the configuration");
    }
    if (config->path[0] != '/' && config->here != NULL) {
        char *tail = join("/", folder);
        config->folder = tail != NULL ? join(config->here, tail) : NULL;
        sp__free(tail);
        sp__free(folder);
    } else {
        config->folder = folder;
    }
    return config->folder != NULL
               ? 0
               : sp__fail(err, SP_ERR_NOMEM, "no memory for the configuration");
}

/* Takes `path`, which may be NULL. `file` stands for it in messages. */
static int build(sp_bytes yaml, char *path, const char *file, sp_config **ret_config,
                 sp_error *err)
{
    sp_config *config = sp__calloc(1, sizeof *config);
    if (config == NULL) {
        sp__free(path);
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the configuration");
    }
    config->path = path;
    struct node *root = NULL;
    char here[4096];
    /* Without a working directory relative paths stay as they are. */
    if (getcwd(here, sizeof here) != NULL) {
        config->here = sp__strdup(here);
    }
    int rc = folder_of(config, err);
    if (rc == 0) {
        rc = fill_base(config, err);
    }
    if (rc == 0) {
        rc = sp__config_tree_parse(yaml, file, &root, err);
    }
    if (rc == 0) {
        rc = sp__config_read_tree(config, root, file, err);
    }
    sp__config_tree_free(root);
    if (rc == 0) {
        rc = sp__config_read_environment(config, err);
    }
    if (rc == 0) {
        rc = sp__config_check(config, file, err);
    }
    if (rc < 0) {
        sp_config_free(config);
        return rc;
    }
    fill_options(config);
    *ret_config = config;
    return 0;
}

SP_API int sp_config_load(const char *path, sp_config **ret_config, sp_error *err)
{
    if (ret_config == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "sp_config_load needs a ret_config");
    }
    char *found;
    int rc = find_file(path, &found, err);
    if (rc < 0) {
        return rc;
    }
    struct sp_buffer text;
    sp__buf_init(&text, 2 * CONFIG_BYTES_MAX);
    if (found != NULL) {
        rc = read_file(found, &text, err);
    }
    if (rc < 0) {
        sp__free(found);
    } else {
        rc = build((sp_bytes){text.data, text.size}, found, found, ret_config, err);
    }
    sp__buf_fini(&text);
    return rc;
}

SP_API int sp_config_parse(sp_bytes yaml, const char *name, sp_config **ret_config,
                           sp_error *err)
{
    if (ret_config == NULL || (yaml.data == NULL && yaml.size > 0)) {
        return sp__fail(err, SP_ERR_INVAL, "sp_config_parse needs text and a result");
    }
    return build(yaml, NULL, name != NULL ? name : "configuration", ret_config, err);
}

SP_API void sp_config_free(sp_config *config)
{
    if (config == NULL) {
        return;
    }
    for (int id = 0; id < PARAMS; id++) {
        sp__config_value_clear(&config->base.values[id]);
        sp__config_value_clear(&config->top.values[id]);
        sp__config_value_clear(&config->defaults.values[id]);
        for (size_t i = 0; i < config->pools_count; i++) {
            sp__config_value_clear(&config->pools[i].values[id]);
        }
    }
    sp__free(config->pools);
    sp__free(config->pool_options);
    sp__free(config->path);
    sp__free(config->folder);
    sp__free(config->here);
    sp__free(config);
}

SP_API const sp_pit_options *sp_config_options(sp_config *config)
{
    return config != NULL ? &config->options : NULL;
}

SP_API const sp_service_options *sp_config_service(sp_config *config)
{
    return config != NULL ? &config->service : NULL;
}

SP_API int sp_config_warning(sp_config *config, char *ret_text, size_t max)
{
    struct memory_sum sum = {0};
    for (size_t i = 0; config != NULL && i < config->pools_count; i++) {
        const sp_pool_options *pool = &config->pool_options[i];
        uint32_t surge = pool->recycle_surge == SP_NONE ? 0 : pool->recycle_surge;
        sp__memory_add(&sum, sp__config_pool_name(config, i), pool->workers, surge,
                       pool->recycle_memory_bytes);
    }
    return sp__memory_warn(&sum, sp__memory_of_machine(), ret_text, max);
}

SP_API const char *sp_config_path(const sp_config *config)
{
    return config != NULL ? config->path : NULL;
}

/* --- Flags --------------------------------------------------------------------------- */

enum { SET_TOP, SET_DEFAULTS, SET_ONE, SET_ALL };

/* Split a flag's key: which section it means and which row. */
static int find_target(const sp_config *config, const char *key, int *ret_what,
                       size_t *ret_pool, int *ret_id, sp_error *err)
{
    const char *bare = key;
    int what = SET_TOP;
    *ret_pool = 0;
    if (strncmp(key, "defaults.", 9) == 0) {
        what = SET_DEFAULTS;
        bare = key + 9;
    } else if (strncmp(key, "pool.", 5) == 0) {
        what = SET_ALL;
        bare = key + 5;
    } else if (strncmp(key, "pools.", 6) == 0) {
        /* Names may have dots: the longest pool name that fits is meant. */
        size_t best = 0;
        for (size_t i = 0; i < config->pools_count; i++) {
            const char *name = sp__config_pool_name(config, i);
            size_t length = strlen(name);
            if (length > best && strncmp(key + 6, name, length) == 0 &&
                key[6 + length] == '.') {
                best = length;
                *ret_pool = i;
            }
        }
        if (best == 0) {
            return sp__fail(err, SP_ERR_CONFIG,
                            "%.80s: no such pool; the key is pools.NAME.KEY and the "
                            "first pool is \"%s\"",
                            key, sp__config_pool_name(config, 0));
        }
        what = SET_ONE;
        bare = key + 6 + best + 1;
    }
    enum config_scope scope = what == SET_TOP ? SCOPE_TOP : SCOPE_POOL;
    *ret_what = what;
    *ret_id = sp__config_param_find(scope, bare);
    if (*ret_id == PARAM_NAME) {
        return sp__fail(err, SP_ERR_CONFIG, "%.80s: a pool's name stands in the file",
                        key);
    }
    if (*ret_id < 0) {
        char path[PATH_TEXT_MAX];
        (void)snprintf(path, sizeof path, "%.100s", key);
        struct place place = {NULL, path, NULL};
        struct node node = {.key = (char *)(uintptr_t)bare};
        return sp__config_unknown_key(scope, "", &node, &place, err);
    }
    return 0;
}

static int set_one(sp_config *config, struct section *section, int id, const char *key,
                   const char *text, sp_error *err)
{
    struct place place = {NULL, key, config->here};
    struct value value = {0};
    int rc = sp__config_value_read_text(sp__config_param((enum param_id)id), text,
                                        &place, &value, err);
    if (rc == 0) {
        sp__config_lay(section, id, &value, SOURCE_FLAG);
    }
    return rc;
}

SP_API int sp_config_set(sp_config *config, const char *key, const char *value,
                         sp_error *err)
{
    if (config == NULL || key == NULL || value == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "sp_config_set needs a key and a value");
    }
    int what;
    int id;
    size_t pool;
    int rc = find_target(config, key, &what, &pool, &id, err);
    if (rc < 0) {
        return rc;
    }
    if (what == SET_TOP) {
        rc = set_one(config, &config->top, id, key, value, err);
    } else if (what == SET_DEFAULTS) {
        rc = set_one(config, &config->defaults, id, key, value, err);
    } else if (what == SET_ONE) {
        rc = set_one(config, &config->pools[pool], id, key, value, err);
    } else {
        for (size_t i = 0; rc == 0 && i < config->pools_count; i++) {
            rc = set_one(config, &config->pools[i], id, key, value, err);
        }
    }
    fill_options(config);
    return rc;
}

/* --- Showing ------------------------------------------------------------------------- */

static void tell(const struct param *param, const struct value *value, const char *key,
                 sp_setting_cb cb, void *user_data)
{
    static const char *const sources[] = {
        [SOURCE_NONE] = "default", [SOURCE_DEFAULT] = "default",
        [SOURCE_FILE] = "file",    [SOURCE_ENVIRONMENT] = "environment",
        [SOURCE_FLAG] = "flag",
    };
    sp_setting setting = {
        .key = key,
        .value = value->shown != NULL ? value->shown : "",
        .source = sources[value->source],
        .default_value = param->default_text,
    };
    cb(&setting, user_data);
}

SP_API void sp_config_each(sp_config *config, sp_setting_cb cb, void *user_data)
{
    if (config == NULL || cb == NULL) {
        return;
    }
    for (int id = 0; id < PARAMS; id++) {
        const struct param *param = sp__config_param((enum param_id)id);
        if (param->scope == SCOPE_TOP) {
            tell(param, sp__config_in_force(config, NULL, id), param->key, cb,
                 user_data);
        }
    }
    for (size_t i = 0; i < config->pools_count; i++) {
        for (int id = 0; id < PARAMS; id++) {
            const struct param *param = sp__config_param((enum param_id)id);
            char key[PATH_TEXT_MAX];
            if (param->scope != SCOPE_POOL) {
                continue;
            }
            (void)snprintf(key, sizeof key, "pools.%s.%s",
                           sp__config_pool_name(config, i), param->key);
            tell(param, sp__config_in_force(config, &config->pools[i], id), key, cb,
                 user_data);
        }
    }
}
