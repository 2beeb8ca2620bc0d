/* SPDX-License-Identifier: MIT */
/*
 * From a pool's options to a command line and an environment.
 *
 * A language with a bridge: its interpreter is found and runs the bridge's start script
 * with the adapter named (language.h). exec and grpc: the command as given; stdio: snakepit-stdio, which
 * runs it. A custom adapter brings
 * its own executable, script, arguments and environment.
 *
 * The environment is the host's (or only the names in env_pass), then limits on the
 * thread pools of numeric libraries, unless they are set, because a pool of N processes
 * that start N threads each is a well-known way to stop a machine; then env_set.
 */
#include "worker/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "guard/guard.h"
#include "worker/language.h"

extern char **environ;

enum {
    ARGS_MAX = 1024,
    ENV_MAX = 3072,
    /* Descriptors for pipes: so many without a worker, and for each one. */
    FILES_BESIDES = 64,
    FILES_EACH = 12
};

/* ---- a growing, owned list of strings ---- */

struct strings {
    char **items;
    size_t length;
    size_t capacity;
};

static int add(struct strings *list, const char *text)
{
    if (list->length + 2 > list->capacity) {
        size_t capacity = list->capacity == 0 ? 32 : list->capacity * 2;
        char **items = sp__realloc(list->items, capacity * sizeof *items);
        if (items == NULL) {
            return SP_ERR_NOMEM;
        }
        items[list->length] = NULL;
        list->items = items;
        list->capacity = capacity;
    }
    char *copy = sp__strdup(text);
    if (copy == NULL) {
        return SP_ERR_NOMEM;
    }
    list->items[list->length++] = copy;
    list->items[list->length] = NULL;
    return SP_OK;
}

static int add_all(struct strings *list, const char *const *texts)
{
    int rc = SP_OK;
    for (size_t i = 0; rc == SP_OK && texts != NULL && texts[i] != NULL; i++) {
        rc = add(list, texts[i]);
    }
    return rc;
}

static void free_strings(char **items)
{
    for (size_t i = 0; items != NULL && items[i] != NULL; i++) {
        sp__free(items[i]);
    }
    sp__free(items);
}

/* ---- executables ---- */

static int is_executable(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

int sp__find_executable(const char *name, char **ret_path, sp_error *err)
{
    char path[4096];
    if (strchr(name, '/') != NULL) {
        char *real = realpath(name, path);
        if (real == NULL || !is_executable(path)) {
            return sp__fail(err, SP_ERR_NOT_FOUND, "%s is not an executable file",
                            name);
        }
        /* The path as given, made absolute: what a link is called can matter (a
         * virtual environment's python is one). */
        if (name[0] != '/') {
            char here[2048];
            if (getcwd(here, sizeof here) == NULL) {
                return sp__fail_errno(err, errno, "find the working directory");
            }
            (void)snprintf(path, sizeof path, "%s/%s", here, name);
        } else {
            (void)snprintf(path, sizeof path, "%s", name);
        }
        *ret_path = sp__strdup(path);
        return *ret_path != NULL ? SP_OK : sp__fail(err, SP_ERR_NOMEM, "no memory");
    }
    const char *dirs = getenv("PATH");
    for (const char *dir = dirs != NULL ? dirs : "/usr/bin:/bin"; dir != NULL;) {
        const char *end = strchr(dir, ':');
        size_t n = end != NULL ? (size_t)(end - dir) : strlen(dir);
        (void)snprintf(path, sizeof path, "%.*s/%s", (int)n, dir, name);
        if (n > 0 && is_executable(path)) {
            *ret_path = sp__strdup(path);
            return *ret_path != NULL ? SP_OK : sp__fail(err, SP_ERR_NOMEM, "no memory");
        }
        dir = end != NULL ? end + 1 : NULL;
    }
    return sp__fail(err, SP_ERR_NOT_FOUND, "no executable %s on PATH", name);
}

/* ---- command lines ---- */

static const struct language *language_of(const sp_pool_options *options)
{
    return sp__language(options->runtime != NULL ? options->runtime : "python");
}

static const char *adapter_of(const sp_pool_options *options)
{
    return options->adapter != NULL ? options->adapter : "showcase";
}

static int add_executable(struct strings *argv, const char *name, sp_error *err)
{
    char *path = NULL;
    int rc = sp__find_executable(name, &path, err);
    if (rc == SP_OK) {
        rc = add(argv, path);
        sp__free(path);
    }
    return rc;
}

/* The interpreter of a language, running its bridge with the adapter named. */
static int language_argv(struct strings *argv, const struct language *language,
                         const sp_pool_options *options, const char *bridge_path,
                         sp_error *err)
{
    char path[4096];
    char script[4096];
    const char *wanted = strcmp(language->runtime, "python") == 0
                             ? options->python
                             : options->interpreter;
    int rc = sp__language_find(language, wanted, path, sizeof path, err);
    if (rc == SP_OK) {
        rc = sp__language_script(language, bridge_path, script, sizeof script, err);
    }
    if (rc < 0) {
        return rc;
    }
    const char *const fixed[] = {path, script, "--adapter", adapter_of(options), NULL};
    rc = add_all(argv, fixed);
    for (size_t i = 0; rc == SP_OK && options->preload != NULL; i++) {
        if (options->preload[i] == NULL) {
            break;
        }
        const char *const preload[] = {"--preload", options->preload[i], NULL};
        rc = add_all(argv, preload);
    }
    return rc < 0 ? sp__fail(err, rc, "no memory for a command line") : SP_OK;
}

static int is_stdio(const sp_pool_options *options)
{
    return options->custom == NULL && options->runtime != NULL &&
           strcmp(options->runtime, "stdio") == 0;
}

/* The program that makes a worker of the command behind it. */
static int add_stdio(struct strings *argv, sp_error *err)
{
    char path[4096];
    int rc = sp__stdio_find(path, sizeof path, err);
    if (rc == SP_OK && (add(argv, path) < 0 || add(argv, "--") < 0)) {
        rc = sp__fail(err, SP_ERR_NOMEM, "no memory for a command line");
    }
    return rc;
}

static int compose_argv(struct strings *argv, const sp_pool_options *options,
                        const char *bridge_path, sp_error *err)
{
    int rc;
    if (options->custom != NULL) {
        rc = add_executable(argv, options->custom->executable, err);
        if (rc == SP_OK && options->custom->script != NULL) {
            rc = add(argv, options->custom->script);
        }
        if (rc == SP_OK) {
            rc = add_all(argv, options->custom->args);
        }
    } else if (language_of(options) != NULL) {
        rc = language_argv(argv, language_of(options), options, bridge_path, err);
    } else {
        rc = is_stdio(options) ? add_stdio(argv, err) : SP_OK;
        if (rc == SP_OK) {
            rc = add_executable(argv, options->command[0], err);
        }
        if (rc == SP_OK) {
            rc = add_all(argv, options->command + 1);
        }
    }
    if (rc == SP_OK) {
        rc = add_all(argv, options->args);
    }
    if (rc == SP_OK && argv->length > ARGS_MAX) {
        rc = sp__fail(err, SP_ERR_CONFIG, "%zu arguments are more than %d",
                      argv->length, ARGS_MAX);
    }
    return rc;
}

/* ---- the environment ---- */

static int is_named(const char *entry, const char *name, size_t n)
{
    return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

static int has_name(const struct strings *env, const char *entry)
{
    size_t n = strcspn(entry, "=");
    for (size_t i = 0; i < env->length; i++) {
        if (is_named(env->items[i], entry, n)) {
            return 1;
        }
    }
    return 0;
}

/* Variables that belong to one worker, which a nested pit must not hand on. */
static int is_own(const char *entry)
{
    static const char *const own[] = {
        "SNAKEPIT_CALL_FD",        "SNAKEPIT_CALL_IN_FD",
        "SNAKEPIT_CALL_OUT_FD",    "SNAKEPIT_HOST_FD",
        "SNAKEPIT_PAGE_FD",        "SNAKEPIT_MEMORY_FD",
        "SNAKEPIT_WORKER_ID",      "SNAKEPIT_ADDRESS",
        "SNAKEPIT_WORKER_THREADS", "SNAKEPIT_WORKER_CONCURRENCY",
        "SNAKEPIT_WORKER_SPIN_US", "SNAKEPIT_ZYGOTE_FD",
        "SNAKEPIT_ZYGOTE_HOST_FD"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (is_named(entry, own[i], strlen(own[i]))) {
            return 1;
        }
    }
    return 0;
}

static int is_passed(const char *entry, const char *const *names)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        if (is_named(entry, names[i], strlen(names[i]))) {
            return 1;
        }
    }
    return names == NULL;
}

/* What a Python worker is held to. */
static int add_demands(struct strings *env, const sp_pool_options *options)
{
    int rc = SP_OK;
    if (options->thread_checks != SP_THREADS_TRUSTED) {
        rc = add(env, options->thread_checks == SP_THREADS_STRICT
                          ? "SNAKEPIT_WORKER_THREAD_CHECKS=strict"
                          : "SNAKEPIT_WORKER_THREAD_CHECKS=warn");
    }
    if (rc == SP_OK && options->requirements != NULL) {
        char text[4200];
        (void)snprintf(text, sizeof text, "SNAKEPIT_WORKER_REQUIREMENTS=%s",
                       options->requirements);
        rc = add(env, text);
    }
    if (rc == SP_OK && options->require_gil_disabled) {
        rc = add(env, "SNAKEPIT_WORKER_NO_GIL=yes");
    }
    return rc;
}

/* What the worker may run at once; nothing stands for one. */
static int add_capacity(struct strings *env, const sp_pool_options *options)
{
    char text[64];
    int is_threads = options->profile == SP_PROFILE_THREAD;
    uint32_t capacity = is_threads ? options->threads : options->max_concurrency;
    if (capacity <= 1) {
        return SP_OK;
    }
    (void)snprintf(text, sizeof text, "%s=%u",
                   is_threads ? "SNAKEPIT_WORKER_THREADS"
                              : "SNAKEPIT_WORKER_CONCURRENCY",
                   capacity);
    return add(env, text);
}

static int compose_env(struct strings *env, const sp_pool_options *options)
{
    static const char *const thread_limits[] = {
        "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1",
        "NUMEXPR_NUM_THREADS=1", "VECLIB_MAXIMUM_THREADS=1"};

    /* What is set comes first and wins over what is inherited. */
    int rc = add_all(env, options->env_set);
    if (rc == SP_OK) {
        rc = add_capacity(env, options);
    }
    if (rc == SP_OK) {
        rc = add_demands(env, options);
    }
    if (rc == SP_OK && options->custom != NULL) {
        rc = add_all(env, options->custom->env);
    }
    for (char **entry = environ; rc == SP_OK && entry != NULL && *entry != NULL;
         entry++) {
        if (strchr(*entry, '=') != NULL && !is_own(*entry) &&
            is_passed(*entry, options->env_pass) && !has_name(env, *entry)) {
            rc = add(env, *entry);
        }
    }
    size_t n = sizeof thread_limits / sizeof thread_limits[0];
    for (size_t i = 0; rc == SP_OK && i < n; i++) {
        if (!has_name(env, thread_limits[i])) {
            rc = add(env, thread_limits[i]);
        }
    }
    return rc;
}

/* ---- the whole ---- */

static char *describe(const sp_pool_options *options, const char *executable)
{
    char text[512];
    if (options->custom != NULL) {
        (void)snprintf(text, sizeof text, "%s",
                       options->custom->name != NULL ? options->custom->name
                                                     : executable);
    } else if (language_of(options) != NULL) {
        (void)snprintf(text, sizeof text, "%s %s, adapter %s",
                       language_of(options)->runtime, executable, adapter_of(options));
    } else {
        (void)snprintf(text, sizeof text, "%s %s", options->runtime, executable);
    }
    return sp__strdup(text);
}

static int transport_of(const sp_pool_options *options)
{
    if (options->custom != NULL) {
        return options->custom->transport;
    }
    const char *runtime = options->runtime != NULL ? options->runtime : "python";
    return strcmp(runtime, "grpc") == 0          ? SP_TRANSPORT_ADDRESS
           : strcmp(runtime, "grpc_server") == 0 ? SP_TRANSPORT_PORT
                                                 : SP_TRANSPORT_INHERITED;
}

/* The original's host runs a script in the script's own folder, from which that imports.
 * Its path is made absolute. No script, or no such file: nothing is changed. */
static int settle_by_script(struct worker_spec *spec, sp_error *err)
{
    for (size_t i = 1; spec->argv[i] != NULL; i++) {
        size_t n = strlen(spec->argv[i]);
        if (n < 3 || strcmp(spec->argv[i] + n - 3, ".py") != 0) {
            continue;
        }
        char path[4096];
        if (realpath(spec->argv[i], path) == NULL) {
            return SP_OK;
        }
        char *script = sp__strdup(path);
        *strrchr(path, '/') = '\0';
        spec->working_dir = sp__strdup(path[0] != '\0' ? path : "/");
        if (script == NULL || spec->working_dir == NULL) {
            sp__free(script);
            return sp__fail(err, SP_ERR_NOMEM, "no memory for a worker's command line");
        }
        sp__free(spec->argv[i]);
        spec->argv[i] = script;
        return SP_OK;
    }
    return SP_OK;
}

static struct guard_limits limits_of(const sp_pool_options *options)
{
    uint64_t memory_bytes = options->limit_memory_bytes;
    return (struct guard_limits){
        .memory_bytes = memory_bytes == SP_UNLIMITED ? 0 : memory_bytes,
        .core_bytes = options->limit_core_bytes,
        .processes = options->limit_processes,
        .files = options->limit_files,
        .has_umask = options->umask != 0,
        .umask = options->umask == SP_NONE ? 0 : options->umask,
        .nice = (int32_t)options->nice,
    };
}

/* Pipes take two descriptors more of the host for each worker. A pool that needs many of
 * those that the process may open leaves it these. */
static int may_use_pipes(const sp_pool_options *options)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
           limit.rlim_cur >= FILES_BESIDES + (rlim_t)options->workers * FILES_EACH;
}

int sp__spec_init(struct worker_spec *spec, const sp_pool_options *options,
                  const char *bridge_path, sp_error *err)
{
    *spec = (struct worker_spec){
        .transport = transport_of(options),
        .threads = options->threads,
        .uses_pipes = may_use_pipes(options),
        .thread_checks = options->thread_checks,
        .limits = limits_of(options),
        .init_timeout_ms = options->init_timeout_ms,
        .shutdown_grace_ms = options->shutdown_grace_ms,
        .health_interval_ms = options->health_interval_ms,
        .health_misses = options->health_misses,
        .hang_grace_ms = options->hang_grace_ms,
        .cancel_grace_ms = options->cancel_grace_ms,
        .response_max_bytes = options->response_max_bytes,
        .shared_min_bytes = options->shared_min_bytes,
        .shared_max_bytes = options->shared_max_bytes,
    };
    struct strings argv = {0};
    struct strings env = {0};
    int rc = compose_argv(&argv, options, bridge_path, err);
    spec->argv = argv.items;
    if (rc < 0) {
        rc =
            rc == SP_ERR_NOMEM ? sp__fail(err, rc, "no memory for a command line") : rc;
        goto fini;
    }
    rc = compose_env(&env, options);
    spec->env = env.items;
    if (rc == SP_OK && env.length == 0) {
        rc = add(&env, "SNAKEPIT=1"); /* never an empty list */
        spec->env = env.items;
    }
    if (rc == SP_OK && env.length > ENV_MAX) {
        rc = sp__fail(err, SP_ERR_CONFIG, "%zu variables are more than %d", env.length,
                      ENV_MAX);
        goto fini;
    }
    spec->working_dir = sp__strdup(options->working_dir);
    spec->describe = describe(options, spec->argv[is_stdio(options) ? 2 : 0]);
    if (rc < 0 || spec->describe == NULL ||
        (options->working_dir != NULL && spec->working_dir == NULL)) {
        rc = sp__fail(err, SP_ERR_NOMEM, "no memory for a worker's command line");
        goto fini;
    }
    if (spec->transport == SP_TRANSPORT_PORT && spec->working_dir == NULL) {
        rc = settle_by_script(spec, err);
        if (rc < 0) {
            goto fini;
        }
    }
    return SP_OK;

fini:
    sp__spec_fini(spec);
    return rc;
}

void sp__spec_fini(struct worker_spec *spec)
{
    free_strings(spec->argv);
    free_strings(spec->env);
    sp__free(spec->working_dir);
    sp__free(spec->describe);
    *spec = (struct worker_spec){0};
}
