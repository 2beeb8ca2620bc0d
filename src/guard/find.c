/* SPDX-License-Identifier: MIT */
/*
 * Finding the programs that belong to the library: snakepit-guard and snakepit-stdio.
 *
 * An environment variable wins, and when it is wrong the search ends there: who set it
 * wants that one. Then come the places relative to this library (or to the program it
 * is linked into), as in a build folder and in an installation that was moved, with
 * links followed and not, and at last the folder chosen when it was built.
 */
#include "guard/guard.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

struct helper_program {
    const char *name;
    const char *variable;
    const char *folder; /* of a build, that it lies in */
    int error;          /* when it is not found */
};
static const struct helper_program the_guard = {"snakepit-guard", "SNAKEPIT_GUARD",
                                                "guard", SP_ERR_GUARD};
static const struct helper_program the_stdio = {"snakepit-stdio", "SNAKEPIT_STDIO",
                                                "bridges/stdio", SP_ERR_NOT_FOUND};

static int is_runnable(const char *path)
{
    return access(path, X_OK) == 0;
}

/* Look beside `file`. 1 when found. */
static int find_beside(const struct helper_program *program, const char *file,
                       char *path, size_t max)
{
    const char *const folders[][2] = {{"", ""},
                                      {program->folder, "/"},
                                      {"../", program->folder},
                                      {"../libexec/", "snakepit"},
                                      {"../../libexec/", "snakepit"}};
    const char *slash = strrchr(file, '/');
    int folder = slash == NULL ? 0 : (int)(slash - file) + 1;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        int n = snprintf(path, max, "%.*s%s%s%s%s", folder, file, folders[i][0],
                         folders[i][1], i < 2 ? "" : "/", program->name);
        if (n > 0 && (size_t)n < max && is_runnable(path)) {
            return 1;
        }
    }
    return 0;
}

static int find_beside_link(const struct helper_program *program, const char *file,
                            char *path, size_t max)
{
    char real[PATH_MAX];
    return find_beside(program, file, path, max) ||
           (realpath(file, real) != NULL && find_beside(program, real, path, max));
}

static int find(const struct helper_program *program, char *path, size_t max,
                sp_error *err)
{
    const char *wanted = secure_getenv(program->variable);
    if (wanted != NULL && wanted[0] != '\0') {
        int n = snprintf(path, max, "%s", wanted);
        if (n < 0 || (size_t)n >= max || !is_runnable(path)) {
            return sp__fail(err, program->error,
                            "$%s names no program that may run: %s", program->variable,
                            wanted);
        }
        return SP_OK;
    }
    static const char here; /* an address inside whatever this code is linked into */
    Dl_info info;
    if (dladdr(&here, &info) != 0 && info.dli_fname != NULL &&
        strchr(info.dli_fname, '/') != NULL &&
        find_beside_link(program, info.dli_fname, path, max)) {
        return SP_OK;
    }
    if (find_beside_link(program, "/proc/self/exe", path, max)) {
        return SP_OK;
    }
    int n = snprintf(path, max, "%s/%s", SP_LIBEXECDIR, program->name);
    if (n < 0 || (size_t)n >= max || !is_runnable(path)) {
        return sp__fail(err, program->error,
                        "no %s in $%s, beside the library or the program, or in %s",
                        program->name, program->variable, SP_LIBEXECDIR);
    }
    return SP_OK;
}

int sp__guard_find(char *path, size_t max, sp_error *err)
{
    return find(&the_guard, path, max, err);
}

int sp__stdio_find(char *path, size_t max, sp_error *err)
{
    return find(&the_stdio, path, max, err);
}
