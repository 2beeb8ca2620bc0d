/* SPDX-License-Identifier: MIT */
/*
 * Which interpreter and which start script a language's workers get, in folders made for
 * the purpose. Nothing is run.
 */
#include "worker/language.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "leak.h"

static char path[4096];

/* A file below the test's folder, its folder made too; the name is valid until the next. */
static const char *file(const char *name, mode_t mode)
{
    static char made[2048];
    (void)snprintf(made, sizeof made, "%s%s", leak_folder(), name);
    char *slash = strrchr(made, '/');
    *slash = '\0';
    (void)mkdir(made, 0755);
    *slash = '/';
    FILE *out = fopen(made, "we");
    assert_non_null(out);
    (void)fputs("#!/bin/sh\n", out);
    (void)fclose(out);
    assert_int_equal(chmod(made, mode), 0);
    return made;
}

static void every_language_has_its_files(void **state)
{
    (void)state;
    static const struct {
        const char *adapter;
        const char *runtime;
    } files[] = {{"a.py", "python"},     {"dir/a.py:Class", "python"},
                 {"a.js", "node"},       {"a.mjs", "node"},
                 {"a.cjs", "node"},      {"a.rb:Handler", "ruby"},
                 {"a.R", "r"},           {"/x/a.r", "r"},
                 {"showcase", NULL},     {"pkg.mod:Class", NULL},
                 {"js", NULL},           {".js", NULL},
                 {"tools.js.Old", NULL}, {"", NULL}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const struct language *language = sp__language_of_file(files[i].adapter);
        if (files[i].runtime == NULL) {
            assert_null(language);
        } else {
            assert_non_null(language);
            assert_string_equal(language->runtime, files[i].runtime);
            assert_ptr_equal(language, sp__language(files[i].runtime));
        }
    }
    assert_null(sp__language("exec"));
    assert_null(sp__language(""));
}

static void an_interpreter_is_named_or_found(void **state)
{
    (void)state;
    const struct language *ruby = sp__language("ruby");
    char old[8192];
    (void)snprintf(old, sizeof old, "%s", getenv("PATH"));
    (void)unsetenv("SNAKEPIT_RUBY");
    (void)setenv("PATH", "/nowhere", 1);
    sp_error err = {0};
    assert_int_equal(sp__language_find(ruby, NULL, path, sizeof path, &err),
                     SP_ERR_NOT_FOUND);
    assert_string_equal(err.message,
                        "no ruby on PATH for a pool of runtime ruby; install Ruby or "
                        "name it (interpreter: in the pool, or SNAKEPIT_RUBY)");
    (void)setenv("PATH", leak_folder(), 1);
    (void)file("ruby", 0755);
    assert_int_equal(sp__language_find(ruby, NULL, path, sizeof path, NULL), 0);
    assert_string_equal(strrchr(path, '/'), "/ruby");
    assert_int_equal(sp__language_find(ruby, NULL, path, 4, NULL), SP_ERR_TOO_BIG);

    const char *there = file("own/ruby3", 0755);
    (void)setenv("SNAKEPIT_RUBY", there, 1);
    assert_int_equal(sp__language_find(ruby, NULL, path, sizeof path, NULL), 0);
    assert_string_equal(path, there);
    (void)setenv("SNAKEPIT_RUBY", "/nowhere/ruby", 1);
    sp_error_clear(&err);
    assert_int_equal(sp__language_find(ruby, NULL, path, sizeof path, &err),
                     SP_ERR_NOT_FOUND);
    assert_string_equal(err.message,
                        "SNAKEPIT_RUBY names /nowhere/ruby, which is not an "
                        "executable file");
    /* What the pool names comes first. */
    assert_int_equal(sp__language_find(ruby, there, path, sizeof path, NULL), 0);
    assert_string_equal(path, there);
    (void)unsetenv("SNAKEPIT_RUBY");
    (void)setenv("PATH", old, 1);
}

static void the_bridges_lie_beside_each_other(void **state)
{
    (void)state;
    char python[2048];
    (void)snprintf(python, sizeof python, "%s",
                   file("python/snakepit_worker.py", 0644));
    *strrchr(python, '/') = '\0';
    const struct language *node = sp__language("node");
    sp_error err = {0};
    assert_int_equal(sp__language_script(node, python, path, sizeof path, &err),
                     SP_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "python/../node/snakepit_worker.js"));
    (void)file("node/snakepit_worker.js", 0644);
    assert_int_equal(sp__language_script(node, python, path, sizeof path, NULL), 0);
    assert_non_null(strstr(path, "/../node/snakepit_worker.js"));
    assert_int_equal(
        sp__language_script(sp__language("python"), python, path, sizeof path, NULL),
        0);
    assert_string_equal(strrchr(path, '/'), "/snakepit_worker.py");
    assert_null(strstr(path, ".."));
    assert_int_equal(sp__language_script(node, python, path, 8, NULL), SP_ERR_TOO_BIG);
    sp_error_clear(&err);
    assert_int_equal(sp__language_script(node, NULL, path, sizeof path, &err),
                     SP_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "SNAKEPIT_BRIDGE_PATH"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_language_has_its_files),
        TEST(an_interpreter_is_named_or_found),
        TEST(the_bridges_lie_beside_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
