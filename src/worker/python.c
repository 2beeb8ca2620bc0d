/* SPDX-License-Identifier: MIT */
/*
 * Finding a Python interpreter and the bridge, without running anything.
 *
 * A version manager puts shims on PATH: shell scripts that take 80 ms and a process more
 * at every start. They are recognised (a script in a folder called "shims") and resolved
 * by the rules the manager documents for its own files; a shim that cannot be resolved
 * is passed over.
 */
#include "worker/python.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#ifndef SP_BRIDGE_DIR
#define SP_BRIDGE_DIR "/usr/local/lib/snakepit/python"
#endif

static int accept(const char *found, char *path, size_t max, sp_error *err)
{
    if (strlen(found) >= max) {
        return sp__fail(err, SP_ERR_TOO_BIG, "the path %s is longer than %zu bytes",
                        found, max - 1);
    }
    memcpy(path, found, strlen(found) + 1);
    return SP_OK;
}

static int is_shim(const char *path)
{
    const char *name = strrchr(path, '/');
    return name != NULL && name - path >= 6 && strncmp(name - 6, "/shims", 6) == 0;
}

/* The first word of the first line of a file; "" when there is none. */
static void first_word(const char *path, char *word, size_t max)
{
    word[0] = '\0';
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    if (fgets(word, (int)max, file) == NULL) {
        word[0] = '\0';
    }
    word[strcspn(word, " \t\r\n:")] = '\0';
    (void)fclose(file);
}

/* The version that is in force: $PYENV_VERSION, .python-version here or above, the
 * manager's own default. */
static void shim_version(const char *root, char *version, size_t max)
{
    const char *wanted = getenv("PYENV_VERSION");
    if (wanted != NULL && wanted[0] != '\0') {
        (void)snprintf(version, max, "%.*s", (int)strcspn(wanted, ":"), wanted);
        return;
    }
    char dir[2048];
    if (getcwd(dir, sizeof dir) != NULL) {
        for (;;) {
            char file[2200];
            (void)snprintf(file, sizeof file, "%s/.python-version", dir);
            first_word(file, version, max);
            char *slash = strrchr(dir, '/');
            if (version[0] != '\0' || slash == NULL || dir[0] == '\0') {
                break;
            }
            *slash = '\0';
        }
    }
    if (version[0] == '\0') {
        char file[2200];
        (void)snprintf(file, sizeof file, "%s/version", root);
        first_word(file, version, max);
    }
}

/* 1 and the interpreter behind a shim, or 0. */
static int resolve_shim(const char *shim, char *path, size_t max)
{
    char root[2048];
    char version[128] = "";
    size_t n = (size_t)(strrchr(shim, '/') - shim) - strlen("/shims");
    (void)snprintf(root, sizeof root, "%.*s", (int)n, shim);
    shim_version(root, version, sizeof version);
    if (version[0] == '\0' || strcmp(version, "system") == 0) {
        return 0;
    }
    int length = snprintf(path, max, "%s/versions/%s/bin/python3", root, version);
    return length > 0 && (size_t)length < max && access(path, X_OK) == 0;
}

static int find_on_path(char *path, size_t max, sp_error *err)
{
    const char *dirs = getenv("PATH");
    for (const char *dir = dirs != NULL ? dirs : "/usr/bin:/bin"; dir != NULL;) {
        const char *end = strchr(dir, ':');
        size_t n = end != NULL ? (size_t)(end - dir) : strlen(dir);
        char found[4096];
        (void)snprintf(found, sizeof found, "%.*s/python3", (int)n, dir);
        if (n > 0 && access(found, X_OK) == 0) {
            if (!is_shim(found)) {
                return accept(found, path, max, err);
            }
            char behind[4096];
            if (resolve_shim(found, behind, sizeof behind)) {
                return accept(behind, path, max, err);
            }
        }
        dir = end != NULL ? end + 1 : NULL;
    }
    return sp__fail(
        err, SP_ERR_NOT_FOUND,
        "no python3 on PATH; install one or name it (python: in the pool, or "
        "SNAKEPIT_PYTHON)");
}

int sp__python_find(char *path, size_t max, sp_error *err)
{
    const char *named = getenv("SNAKEPIT_PYTHON");
    if (named != NULL && named[0] != '\0') {
        if (access(named, X_OK) < 0) {
            return sp__fail(err, SP_ERR_NOT_FOUND,
                            "SNAKEPIT_PYTHON names %s, which is not an executable file",
                            named);
        }
        return accept(named, path, max, err);
    }
    char found[4096];
    if (getcwd(found, sizeof found - 32) != NULL) {
        size_t n = strlen(found);
        (void)snprintf(found + n, sizeof found - n, "/.venv/bin/python3");
        if (access(found, X_OK) == 0) {
            return accept(found, path, max, err);
        }
    }
    const char *venv = getenv("VIRTUAL_ENV");
    if (venv != NULL && venv[0] != '\0') {
        (void)snprintf(found, sizeof found, "%s/bin/python3", venv);
        if (access(found, X_OK) == 0) {
            return accept(found, path, max, err);
        }
    }
    return find_on_path(path, max, err);
}

static int has_bridge(const char *dir)
{
    char script[4096];
    (void)snprintf(script, sizeof script, "%s/snakepit_worker.py", dir);
    return access(script, R_OK) == 0;
}

/* 1 and the folder of the bridge when it lies beside a file: in a build tree, or installed
 * beside a program, beside the library, or beside the folder of an architecture. */
static int find_beside(const char *file, char *dir, size_t max)
{
    static const char *const beside[] = {
        "bridges/python",          "../bridges/python",      "../../bridges/python",
        "../../../bridges/python", "../lib/snakepit/python", "snakepit/python",
        "../snakepit/python"};
    char real[4096];
    if (realpath(file, real) == NULL) {
        return 0;
    }
    int folder = (int)(strrchr(real, '/') - real);
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        (void)snprintf(dir, max, "%.*s/%s", folder, real, beside[i]);
        if (has_bridge(dir)) {
            return 1;
        }
    }
    return 0;
}

int sp__bridge_find(const char *wanted, char *path, size_t max, sp_error *err)
{
    const char *named = wanted != NULL ? wanted : getenv("SNAKEPIT_BRIDGE_PATH");
    if (named != NULL && named[0] != '\0') {
        if (!has_bridge(named)) {
            return sp__fail(err, SP_ERR_NOT_FOUND, "no snakepit_worker.py in %s",
                            named);
        }
        return accept(named, path, max, err);
    }
    char dir[4200];
    Dl_info info;
    if (dladdr((void *)(uintptr_t)sp__bridge_find, &info) != 0 &&
        info.dli_fname != NULL && find_beside(info.dli_fname, dir, sizeof dir)) {
        return accept(dir, path, max, err);
    }
    /* A program's own name is as it was typed; it means nothing after a chdir(). */
    if (find_beside("/proc/self/exe", dir, sizeof dir)) {
        return accept(dir, path, max, err);
    }
    if (has_bridge(SP_BRIDGE_DIR)) {
        return accept(SP_BRIDGE_DIR, path, max, err);
    }
    return sp__fail(err, SP_ERR_NOT_FOUND,
                    "the Python bridge (snakepit_worker.py) was not found beside the "
                    "library or in %s; set SNAKEPIT_BRIDGE_PATH",
                    SP_BRIDGE_DIR);
}
