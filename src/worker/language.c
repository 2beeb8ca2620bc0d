/* SPDX-License-Identifier: MIT */
/*
 * The languages a bridge exists for.
 *
 * A worker in one of them is its interpreter, running the bridge's start script with an
 * adapter named. One row says all that differs, only Python's interpreter is found by
 * rules of its own: virtual environments and the shims of version managers (python.c).
 *
 * All bridges lie in folders beside each other, in a build tree as where they are
 * installed; a bridge that was not built (no headers of the language) is not there, and
 * the error names the file that is missing.
 */
#include "worker/language.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "worker/python.h"
#include "worker/spec.h"

static const struct language languages[] = {
    {"python", "Python", "python3", "SNAKEPIT_PYTHON", "python/snakepit_worker.py",
     ".py"},
    {"node", "Node.js", "node", "SNAKEPIT_NODE", "node/snakepit_worker.js",
     ".js .mjs .cjs"},
    {"ruby", "Ruby", "ruby", "SNAKEPIT_RUBY", "ruby/snakepit_worker.rb", ".rb"},
    {"r", "R", "Rscript", "SNAKEPIT_R", "r/snakepit_worker.R", ".R .r"},
};

enum { LANGUAGES = sizeof languages / sizeof languages[0] };

const struct language *sp__language(const char *runtime)
{
    for (int i = 0; i < LANGUAGES; i++) {
        if (strcmp(languages[i].runtime, runtime) == 0) {
            return &languages[i];
        }
    }
    return NULL;
}

/* Whether one of the endings, with spaces between them, ends the name. */
static int ends_with_one(const char *name, size_t length, const char *endings)
{
    while (*endings != '\0') {
        size_t n = strcspn(endings, " ");
        if (length > n && strncmp(name + length - n, endings, n) == 0) {
            return 1;
        }
        endings += n + strspn(endings + n, " ");
    }
    return 0;
}

const struct language *sp__language_of_file(const char *adapter)
{
    const char *colon = strrchr(adapter, ':');
    size_t length = colon != NULL ? (size_t)(colon - adapter) : strlen(adapter);
    for (int i = 0; i < LANGUAGES; i++) {
        if (ends_with_one(adapter, length, languages[i].endings)) {
            return &languages[i];
        }
    }
    return NULL;
}

int sp__language_find(const struct language *language, const char *wanted, char *path,
                      size_t max, sp_error *err)
{
    if (wanted == NULL && strcmp(language->runtime, "python") == 0) {
        return sp__python_find(path, max, err);
    }
    const char *named = wanted != NULL ? wanted : getenv(language->variable);
    int is_named = named != NULL && named[0] != '\0';
    char *found = NULL;
    int rc = sp__find_executable(is_named ? named : language->program, &found, err);
    if (rc == SP_ERR_NOT_FOUND && wanted == NULL) {
        return is_named
                   ? sp__fail(err, rc, "%s names %s, which is not an executable file",
                              language->variable, named)
                   : sp__fail(err, rc,
                              "no %s on PATH for a pool of runtime %s; install %s or "
                              "name it (interpreter: in the pool, or %s)",
                              language->program, language->runtime, language->title,
                              language->variable);
    }
    if (rc == SP_OK && strlen(found) >= max) {
        rc = sp__fail(err, SP_ERR_TOO_BIG, "the path %s is longer than %zu bytes",
                      found, max - 1);
    }
    if (rc == SP_OK) {
        memcpy(path, found, strlen(found) + 1);
    }
    sp__free(found);
    return rc;
}

int sp__language_script(const struct language *language, const char *python_bridge,
                        char *path, size_t max, sp_error *err)
{
    if (python_bridge == NULL || python_bridge[0] == '\0') {
        return sp__fail(err, SP_ERR_NOT_FOUND,
                        "the %s bridge was not found; set SNAKEPIT_BRIDGE_PATH to the "
                        "folder of snakepit_worker.py",
                        language->title);
    }
    int is_python = strcmp(language->runtime, "python") == 0;
    int length = is_python
                     ? snprintf(path, max, "%s%s", python_bridge,
                                language->script + strlen("python"))
                     : snprintf(path, max, "%s/../%s", python_bridge, language->script);
    if (length < 0 || (size_t)length >= max) {
        return sp__fail(err, SP_ERR_TOO_BIG,
                        "the path of the %s bridge is longer than %zu bytes",
                        language->title, max - 1);
    }
    if (!is_python && access(path, R_OK) < 0) { /* Python's has been seen */
        return sp__fail(err, SP_ERR_NOT_FOUND,
                        "the %s bridge was not found: no file %s; it is built where "
                        "the headers of %s are installed",
                        language->title, path, language->title);
    }
    return SP_OK;
}
