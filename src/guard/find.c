/* SPDX-License-Identifier: MIT */
/*
 * Finding snakepit-guard.
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

static const char *const beside[] = {
    "snakepit-guard",
    "guard/snakepit-guard",
    "../guard/snakepit-guard",
    "../libexec/snakepit/snakepit-guard",
};

static int is_runnable(const char *path)
{
    return access(path, X_OK) == 0;
}

/* Look beside `file`. 1 when found. */
static int find_beside(const char *file, char *path, size_t max)
{
    const char *slash = strrchr(file, '/');
    int folder = slash == NULL ? 0 : (int)(slash - file) + 1;
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        int n = snprintf(path, max, "%.*s%s", folder, file, beside[i]);
        if (n > 0 && (size_t)n < max && is_runnable(path)) {
            return 1;
        }
    }
    return 0;
}

static int find_beside_link(const char *file, char *path, size_t max)
{
    char real[PATH_MAX];
    return find_beside(file, path, max) ||
           (realpath(file, real) != NULL && find_beside(real, path, max));
}

int sp__guard_find(char *path, size_t max, sp_error *err)
{
    const char *wanted = secure_getenv("SNAKEPIT_GUARD");
    if (wanted != NULL && wanted[0] != '\0') {
        int n = snprintf(path, max, "%s", wanted);
        if (n < 0 || (size_t)n >= max || !is_runnable(path)) {
            return sp__fail(err, SP_ERR_GUARD,
                            "$SNAKEPIT_GUARD names no program that may run: %s",
                            wanted);
        }
        return SP_OK;
    }
    static const char here; /* an address inside whatever this code is linked into */
    Dl_info info;
    if (dladdr(&here, &info) != 0 && info.dli_fname != NULL &&
        strchr(info.dli_fname, '/') != NULL &&
        find_beside_link(info.dli_fname, path, max)) {
        return SP_OK;
    }
    if (find_beside_link("/proc/self/exe", path, max)) {
        return SP_OK;
    }
    int n = snprintf(path, max, "%s", SP_LIBEXECDIR "/snakepit-guard");
    if (n < 0 || (size_t)n >= max || !is_runnable(path)) {
        return sp__fail(err, SP_ERR_GUARD,
                        "no snakepit-guard in $SNAKEPIT_GUARD, beside the library or "
                        "the program, or in %s",
                        SP_LIBEXECDIR);
    }
    return SP_OK;
}
