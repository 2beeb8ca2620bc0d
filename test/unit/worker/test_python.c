/* SPDX-License-Identifier: MIT */
/*
 * Where Python is looked for, and in which order, with folders made for the purpose. No
 * interpreter is run: an executable file is enough to be found.
 */
#include "worker/python.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leak.h"

static char home[1024];
static char old_path[8192];
static char found[4096];

static void write_file(const char *name, const char *text, mode_t mode)
{
    char path[2048];
    (void)snprintf(path, sizeof path, "%s/%s", home, name);
    for (char *slash = strchr(path + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void program(const char *name)
{
    write_file(name, "#!/bin/sh\n", 0755);
}

/* PATH from folders below the test's own. */
static void set_path(const char *a, const char *b)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s:%s/%s", home, a, home, b);
    assert_int_equal(setenv("PATH", path, 1), 0);
}

static void restore(void)
{
    (void)setenv("PATH", old_path, 1);
    (void)chdir("/");
}

/* An empty world: nothing set, an empty working directory. */
static void begin(void)
{
    (void)snprintf(home, sizeof home, "%s", leak_folder());
    home[strlen(home) - 1] = '\0';
    (void)snprintf(old_path, sizeof old_path, "%s", getenv("PATH"));
    (void)unsetenv("SNAKEPIT_PYTHON");
    (void)unsetenv("VIRTUAL_ENV");
    (void)unsetenv("PYENV_VERSION");
    write_file("work/.keep", "", 0644);
    char work[1100];
    (void)snprintf(work, sizeof work, "%s/work", home);
    assert_int_equal(chdir(work), 0);
    leak_at_end(restore);
    set_path("nowhere", "bin");
}

static const char *find(void)
{
    sp_error err = {0};
    found[0] = '\0';
    if (sp__python_find(found, sizeof found, &err) < 0) {
        sp_error_clear(&err);
        return "";
    }
    assert_true(strncmp(found, home, strlen(home)) == 0);
    return found + strlen(home) + 1;
}

static void python_is_found_on_the_path(void **state)
{
    begin();
    assert_string_equal(find(), "");
    program("bin/python3");
    assert_string_equal(find(), "bin/python3");
}

static void without_any_the_message_says_how_to_name_one(void **state)
{
    sp_error err = {0};
    begin();
    assert_int_equal(sp__python_find(found, sizeof found, &err), SP_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "SNAKEPIT_PYTHON"));
    sp_error_clear(&err);
}

static void the_active_environment_comes_before_the_path(void **state)
{
    char venv[1100];
    begin();
    program("bin/python3");
    program("venv/bin/python3");
    (void)snprintf(venv, sizeof venv, "%s/venv", home);
    (void)setenv("VIRTUAL_ENV", venv, 1);
    assert_string_equal(find(), "venv/bin/python3");
    (void)snprintf(venv, sizeof venv, "%s/gone", home);
    (void)setenv("VIRTUAL_ENV", venv, 1);
    assert_string_equal(find(), "bin/python3");
    (void)unsetenv("VIRTUAL_ENV");
}

static void the_folders_own_environment_comes_before_both(void **state)
{
    char venv[1100];
    begin();
    program("bin/python3");
    program("venv/bin/python3");
    program("work/.venv/bin/python3");
    (void)snprintf(venv, sizeof venv, "%s/venv", home);
    (void)setenv("VIRTUAL_ENV", venv, 1);
    assert_string_equal(find(), "work/.venv/bin/python3");
    (void)unsetenv("VIRTUAL_ENV");
}

static void a_named_interpreter_comes_first_and_must_exist(void **state)
{
    char named[1100];
    sp_error err = {0};
    begin();
    program("work/.venv/bin/python3");
    program("special/python");
    (void)snprintf(named, sizeof named, "%s/special/python", home);
    (void)setenv("SNAKEPIT_PYTHON", named, 1);
    assert_string_equal(find(), "special/python");
    (void)setenv("SNAKEPIT_PYTHON", "/no/such/python", 1);
    assert_int_equal(sp__python_find(found, sizeof found, &err), SP_ERR_NOT_FOUND);
    assert_string_equal(
        err.message,
        "SNAKEPIT_PYTHON names /no/such/python, which is not an executable file");
    (void)unsetenv("SNAKEPIT_PYTHON");
    sp_error_clear(&err);
}

static void a_shim_is_resolved_to_the_interpreter_behind_it(void **state)
{
    begin();
    program("pyenv/shims/python3");
    program("pyenv/versions/3.11.9/bin/python3");
    program("pyenv/versions/3.12.1/bin/python3");
    set_path("pyenv/shims", "bin");
    write_file("pyenv/version", "3.11.9\n", 0644);
    assert_string_equal(find(), "pyenv/versions/3.11.9/bin/python3");
    write_file(".python-version", "3.12.1\n", 0644); /* above the working directory */
    assert_string_equal(find(), "pyenv/versions/3.12.1/bin/python3");
    (void)setenv("PYENV_VERSION", "3.11.9:3.12.1", 1);
    assert_string_equal(find(), "pyenv/versions/3.11.9/bin/python3");
    (void)unsetenv("PYENV_VERSION");
}

static void a_shim_with_nothing_behind_it_is_passed_over(void **state)
{
    begin();
    program("pyenv/shims/python3");
    program("bin/python3");
    set_path("pyenv/shims", "bin");
    assert_string_equal(find(), "bin/python3");
    write_file("pyenv/version", "system\n", 0644);
    assert_string_equal(find(), "bin/python3");
    write_file("pyenv/version", "9.9.9\n", 0644);
    assert_string_equal(find(), "bin/python3");
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
    char small[8];
    begin();
    program("bin/python3");
    assert_int_equal(sp__python_find(small, sizeof small, NULL), SP_ERR_TOO_BIG);
}

/* ---- the bridge ---- */

static void the_bridge_is_where_it_is_said_to_be(void **state)
{
    char dir[1100];
    sp_error err = {0};
    begin();
    write_file("bridge/snakepit_worker.py", "", 0644);
    (void)snprintf(dir, sizeof dir, "%s/bridge", home);
    assert_int_equal(sp__bridge_find(dir, found, sizeof found, &err), 0);
    assert_string_equal(found, dir);
    assert_int_equal(sp__bridge_find(home, found, sizeof found, &err),
                     SP_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "no snakepit_worker.py in"));
    sp_error_clear(&err);
}

static void the_environment_names_the_bridge(void **state)
{
    char dir[1100];
    char before[1100] = "";
    begin();
    if (getenv("SNAKEPIT_BRIDGE_PATH") != NULL) {
        (void)snprintf(before, sizeof before, "%s", getenv("SNAKEPIT_BRIDGE_PATH"));
    }
    write_file("bridge/snakepit_worker.py", "", 0644);
    (void)snprintf(dir, sizeof dir, "%s/bridge", home);
    (void)setenv("SNAKEPIT_BRIDGE_PATH", dir, 1);
    assert_int_equal(sp__bridge_find(NULL, found, sizeof found, NULL), 0);
    assert_string_equal(found, dir);
    (void)unsetenv("SNAKEPIT_BRIDGE_PATH");
    if (before[0] != '\0') {
        (void)setenv("SNAKEPIT_BRIDGE_PATH", before, 1);
    }
}

static void in_a_build_tree_the_bridge_is_found_beside_the_program(void **state)
{
    begin();
    assert_int_equal(sp__bridge_find(NULL, found, sizeof found, NULL), 0);
    char script[4200];
    (void)snprintf(script, sizeof script, "%s/snakepit_worker.py", found);
    assert_int_equal(access(script, R_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(python_is_found_on_the_path),
        TEST(without_any_the_message_says_how_to_name_one),
        TEST(the_active_environment_comes_before_the_path),
        TEST(the_folders_own_environment_comes_before_both),
        TEST(a_named_interpreter_comes_first_and_must_exist),
        TEST(a_shim_is_resolved_to_the_interpreter_behind_it),
        TEST(a_shim_with_nothing_behind_it_is_passed_over),
        TEST(a_path_that_does_not_fit_is_refused),
        TEST(the_bridge_is_where_it_is_said_to_be),
        TEST(the_environment_names_the_bridge),
        TEST(in_a_build_tree_the_bridge_is_found_beside_the_program),
    };
    return cmocka_run_group_tests_name("python", tests, NULL, NULL);
}
