/* SPDX-License-Identifier: MIT */
/* From options to a command line and an environment, without starting anything. */
#include "worker/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "leak.h"

static void make_file(const char *path, mode_t mode)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fputs("#!/bin/sh\n", file);
    (void)fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static sp_pool_options options_of(const char *runtime)
{
    return (sp_pool_options){.size = sizeof(sp_pool_options), .runtime = runtime};
}

/* The value of a variable in a list, NULL when it is not there; once at most. */
static const char *value_of(char *const *env, const char *name)
{
    const char *found = NULL;
    size_t n = strlen(name);
    for (size_t i = 0; env[i] != NULL; i++) {
        if (strncmp(env[i], name, n) == 0 && env[i][n] == '=') {
            assert_null(found);
            found = env[i] + n + 1;
        }
    }
    return found;
}

static void python_runs_the_bridge_with_the_adapter(void **state)
{
    struct worker_spec spec;
    sp_pool_options options = options_of("python");
    const char *const args[] = {"--model", "m", NULL};
    options.python = "/bin/sh"; /* any program: nothing is run */
    options.adapter = "my.module:Class";
    options.args = args;
    assert_int_equal(sp__spec_init(&spec, &options, "/bridge", NULL), 0);
    assert_string_equal(spec.argv[0], "/bin/sh");
    assert_string_equal(spec.argv[1], "/bridge/snakepit_worker.py");
    assert_string_equal(spec.argv[2], "--adapter");
    assert_string_equal(spec.argv[3], "my.module:Class");
    assert_string_equal(spec.argv[4], "--model");
    assert_string_equal(spec.argv[5], "m");
    assert_null(spec.argv[6]);
    assert_string_equal(spec.describe, "python /bin/sh, adapter my.module:Class");
    assert_int_equal(spec.transport, SP_TRANSPORT_INHERITED);
    sp__spec_fini(&spec);
}

static void a_pool_that_needs_many_descriptors_does_without_pipes(void **state)
{
    struct worker_spec spec;
    struct rlimit limit;
    sp_pool_options options = options_of("python");
    options.python = "/bin/sh";
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit usual = {1024, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    for (options.workers = 80; options.workers <= 81; options.workers++) {
        assert_int_equal(sp__spec_init(&spec, &options, "/bridge", NULL), 0);
        assert_int_equal(spec.uses_pipes, options.workers == 80);
        sp__spec_fini(&spec);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* What it may run at once is told by the environment, and nobody else's is handed on. */
static void a_worker_is_told_its_capacity(void **state)
{
    struct worker_spec spec;
    sp_pool_options options = options_of("python");
    options.python = "/bin/sh";
    assert_int_equal(setenv("SNAKEPIT_WORKER_THREADS", "9", 1), 0);
    assert_int_equal(setenv("SNAKEPIT_WORKER_CONCURRENCY", "9", 1), 0);
    assert_int_equal(sp__spec_init(&spec, &options, "/bridge", NULL), 0);
    assert_null(value_of(spec.env, "SNAKEPIT_WORKER_THREADS"));
    assert_null(value_of(spec.env, "SNAKEPIT_WORKER_CONCURRENCY"));
    sp__spec_fini(&spec);

    options.max_concurrency = 100;
    assert_int_equal(sp__spec_init(&spec, &options, "/bridge", NULL), 0);
    assert_null(value_of(spec.env, "SNAKEPIT_WORKER_THREADS"));
    assert_string_equal(value_of(spec.env, "SNAKEPIT_WORKER_CONCURRENCY"), "100");
    sp__spec_fini(&spec);

    options.profile = SP_PROFILE_THREAD;
    options.threads = 16;
    assert_int_equal(sp__spec_init(&spec, &options, "/bridge", NULL), 0);
    assert_string_equal(value_of(spec.env, "SNAKEPIT_WORKER_THREADS"), "16");
    assert_null(value_of(spec.env, "SNAKEPIT_WORKER_CONCURRENCY"));
    sp__spec_fini(&spec);
    assert_int_equal(unsetenv("SNAKEPIT_WORKER_THREADS"), 0);
    assert_int_equal(unsetenv("SNAKEPIT_WORKER_CONCURRENCY"), 0);
}

static void stdio_runs_the_command_behind_its_own_program(void **state)
{
    struct worker_spec spec;
    sp_error err = {0};
    sp_pool_options options = options_of("stdio");
    const char *const command[] = {"/bin/sh", "worker.sh", NULL};
    options.command = command;
    assert_int_equal(setenv("SNAKEPIT_STDIO", "/bin/true", 1), 0);
    assert_int_equal(sp__spec_init(&spec, &options, NULL, NULL), 0);
    assert_string_equal(spec.argv[0], "/bin/true");
    assert_string_equal(spec.argv[1], "--");
    assert_string_equal(spec.argv[2], "/bin/sh");
    assert_string_equal(spec.argv[3], "worker.sh");
    assert_null(spec.argv[4]);
    assert_string_equal(spec.describe, "stdio /bin/sh");
    assert_int_equal(spec.transport, SP_TRANSPORT_INHERITED);
    sp__spec_fini(&spec);
    assert_int_equal(setenv("SNAKEPIT_STDIO", "/nowhere", 1), 0);
    assert_int_equal(sp__spec_init(&spec, &options, NULL, &err), SP_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nowhere"));
    assert_int_equal(unsetenv("SNAKEPIT_STDIO"), 0);
}

static void python_without_an_adapter_serves_the_showcase(void **state)
{
    struct worker_spec spec;
    sp_pool_options options = options_of(NULL);
    options.python = "/bin/sh";
    assert_int_equal(sp__spec_init(&spec, &options, "/bridge", NULL), 0);
    assert_string_equal(spec.argv[3], "showcase");
    sp__spec_fini(&spec);
}

static void python_without_the_bridge_says_what_is_missing(void **state)
{
    struct worker_spec spec;
    sp_error err = {0};
    sp_pool_options options = options_of("python");
    options.python = "/bin/sh";
    assert_int_equal(sp__spec_init(&spec, &options, "", &err), SP_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "SNAKEPIT_BRIDGE_PATH"));
    assert_int_equal(sp__spec_init(&spec, &options, NULL, &err), SP_ERR_NOT_FOUND);
    sp_error_clear(&err);
}

static void a_program_is_found_on_the_path(void **state)
{
    struct worker_spec spec;
    const char *const command[] = {"sh", "-c", "true", NULL};
    sp_pool_options options = options_of("exec");
    options.command = command;
    assert_int_equal(sp__spec_init(&spec, &options, NULL, NULL), 0);
    assert_true(spec.argv[0][0] == '/');
    assert_string_equal(strrchr(spec.argv[0], '/'), "/sh");
    assert_string_equal(spec.argv[2], "true");
    sp__spec_fini(&spec);
}

static void a_stock_grpc_worker_gets_an_address(void **state)
{
    struct worker_spec spec;
    const char *const command[] = {"sh", NULL};
    sp_pool_options options = options_of("grpc");
    options.command = command;
    assert_int_equal(sp__spec_init(&spec, &options, NULL, NULL), 0);
    assert_int_equal(spec.transport, SP_TRANSPORT_ADDRESS);
    sp__spec_fini(&spec);
}

static void a_missing_program_is_named(void **state)
{
    struct worker_spec spec;
    sp_error err = {0};
    const char *const on_path[] = {"no-such-program-here", NULL};
    const char *const by_path[] = {"/no/such/program", NULL};
    sp_pool_options options = options_of("exec");
    options.command = on_path;
    assert_int_equal(sp__spec_init(&spec, &options, NULL, &err), SP_ERR_NOT_FOUND);
    assert_string_equal(err.message, "no executable no-such-program-here on PATH");
    options.command = by_path;
    assert_int_equal(sp__spec_init(&spec, &options, NULL, &err), SP_ERR_NOT_FOUND);
    assert_string_equal(err.message, "/no/such/program is not an executable file");
    sp_error_clear(&err);
}

static void folders_and_plain_files_are_no_programs(void **state)
{
    char *path = NULL;
    make_file(leak_path("plain"), 0644);
    assert_int_equal(sp__find_executable(leak_path("plain"), &path, NULL),
                     SP_ERR_NOT_FOUND);
    assert_int_equal(sp__find_executable(leak_folder(), &path, NULL), SP_ERR_NOT_FOUND);
    assert_null(path);
}

static void a_link_keeps_its_own_name(void **state)
{
    char *path = NULL;
    make_file(leak_path("real"), 0755);
    const char *link = leak_path("link");
    assert_int_equal(symlink("real", link), 0);
    assert_int_equal(sp__find_executable(link, &path, NULL), 0);
    assert_string_equal(path, link);
    sp__free(path);
}

static void a_relative_path_becomes_absolute(void **state)
{
    char here[1024];
    char *path = NULL;
    make_file(leak_path("prog"), 0755);
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(leak_folder()), 0);
    int rc = sp__find_executable("./prog", &path, NULL);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(rc, 0);
    assert_true(path[0] == '/');
    assert_int_equal(access(path, X_OK), 0);
    sp__free(path);
}

/* ---- a custom adapter ---- */

static void an_adapter_brings_its_own_command_line(void **state)
{
    struct worker_spec spec;
    const char *const args[] = {"-x", NULL};
    const char *const env[] = {"FROM_ADAPTER=1", NULL};
    sp_adapter adapter = {.size = sizeof adapter,
                          .name = "mine",
                          .executable = "sh",
                          .script = "script.sh",
                          .args = args,
                          .env = env,
                          .transport = SP_TRANSPORT_ADDRESS};
    sp_pool_options options = options_of("python");
    options.custom = &adapter;
    assert_int_equal(sp__spec_init(&spec, &options, NULL, NULL), 0);
    assert_string_equal(spec.argv[1], "script.sh");
    assert_string_equal(spec.argv[2], "-x");
    assert_null(spec.argv[3]);
    assert_string_equal(spec.describe, "mine");
    assert_string_equal(value_of(spec.env, "FROM_ADAPTER"), "1");
    assert_int_equal(spec.transport, SP_TRANSPORT_ADDRESS);
    sp__spec_fini(&spec);
}

/* ---- the environment ---- */

static void init_env(struct worker_spec *spec, const char *const *set,
                     const char *const *pass)
{
    const char *const command[] = {"sh", NULL};
    sp_pool_options options = options_of("exec");
    options.command = command;
    options.env_set = set;
    options.env_pass = pass;
    assert_int_equal(sp__spec_init(spec, &options, NULL, NULL), 0);
}

static void the_environment_is_inherited_and_set_values_win(void **state)
{
    struct worker_spec spec;
    const char *const set[] = {"TEST_SPEC_A=set", "TEST_SPEC_NEW=1", NULL};
    (void)setenv("TEST_SPEC_A", "inherited", 1);
    (void)setenv("TEST_SPEC_B", "inherited", 1);
    init_env(&spec, set, NULL);
    assert_string_equal(value_of(spec.env, "TEST_SPEC_A"), "set");
    assert_string_equal(value_of(spec.env, "TEST_SPEC_B"), "inherited");
    assert_string_equal(value_of(spec.env, "TEST_SPEC_NEW"), "1");
    (void)unsetenv("TEST_SPEC_A");
    (void)unsetenv("TEST_SPEC_B");
    sp__spec_fini(&spec);
}

static void only_the_names_to_pass_are_passed(void **state)
{
    struct worker_spec spec;
    const char *const pass[] = {"PATH", "TEST_SPEC_B", NULL};
    const char *const none[] = {NULL};
    (void)setenv("TEST_SPEC_A", "1", 1);
    (void)setenv("TEST_SPEC_B", "2", 1);
    init_env(&spec, NULL, pass);
    assert_null(value_of(spec.env, "TEST_SPEC_A"));
    assert_string_equal(value_of(spec.env, "TEST_SPEC_B"), "2");
    assert_non_null(value_of(spec.env, "PATH"));
    sp__spec_fini(&spec);
    init_env(&spec, NULL, none);
    assert_null(value_of(spec.env, "PATH"));
    (void)unsetenv("TEST_SPEC_A");
    (void)unsetenv("TEST_SPEC_B");
    sp__spec_fini(&spec);
}

static void thread_pools_are_limited_unless_set(void **state)
{
    struct worker_spec spec;
    (void)setenv("OMP_NUM_THREADS", "7", 1);
    (void)unsetenv("OPENBLAS_NUM_THREADS");
    init_env(&spec, NULL, NULL);
    assert_string_equal(value_of(spec.env, "OMP_NUM_THREADS"), "7");
    assert_string_equal(value_of(spec.env, "OPENBLAS_NUM_THREADS"), "1");
    (void)unsetenv("OMP_NUM_THREADS");
    sp__spec_fini(&spec);
}

static void a_workers_own_variables_are_not_handed_on(void **state)
{
    struct worker_spec spec;
    static const char *const own[] = {"SNAKEPIT_CALL_FD",     "SNAKEPIT_CALL_IN_FD",
                                      "SNAKEPIT_CALL_OUT_FD", "SNAKEPIT_HOST_FD",
                                      "SNAKEPIT_PAGE_FD",     "SNAKEPIT_WORKER_ID",
                                      "SNAKEPIT_ADDRESS"};
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        (void)setenv(own[i], "9", 1);
    }
    init_env(&spec, NULL, NULL);
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        assert_null(value_of(spec.env, own[i]));
        (void)unsetenv(own[i]);
    }
    sp__spec_fini(&spec);
}

static void every_failing_allocation_is_told_and_nothing_leaks(void **state)
{
    const char *const args[] = {"-x", "-y", NULL};
    const char *const set[] = {"A=1", NULL};
    const char *const pass[] = {"PATH", NULL};
    sp_pool_options options = options_of("python");
    options.python = "/bin/sh";
    options.args = args;
    options.env_set = set;
    options.env_pass = pass;
    options.working_dir = "/";
    int64_t before = sp__mem_live();
    int rc = SP_ERR_NOMEM;
    for (uint64_t n = 1; rc != 0; n++) {
        struct worker_spec spec;
        sp_error err = {0};
        sp__mem_fail_at(n, 0);
        rc = sp__spec_init(&spec, &options, "/bridge", &err);
        sp__mem_fail_at(0, 0);
        assert_true(rc == 0 || rc == SP_ERR_NOMEM);
        assert_int_equal(err.code, rc);
        if (rc == 0) {
            sp__spec_fini(&spec);
        }
        sp_error_clear(&err);
        assert_int_equal(sp__mem_live(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(python_runs_the_bridge_with_the_adapter),
        TEST(a_pool_that_needs_many_descriptors_does_without_pipes),
        TEST(a_worker_is_told_its_capacity),
        TEST(stdio_runs_the_command_behind_its_own_program),
        TEST(python_without_an_adapter_serves_the_showcase),
        TEST(python_without_the_bridge_says_what_is_missing),
        TEST(a_program_is_found_on_the_path),
        TEST(a_stock_grpc_worker_gets_an_address),
        TEST(a_missing_program_is_named),
        TEST(folders_and_plain_files_are_no_programs),
        TEST(a_link_keeps_its_own_name),
        TEST(a_relative_path_becomes_absolute),
        TEST(an_adapter_brings_its_own_command_line),
        TEST(the_environment_is_inherited_and_set_values_win),
        TEST(only_the_names_to_pass_are_passed),
        TEST(thread_pools_are_limited_unless_set),
        TEST(a_workers_own_variables_are_not_handed_on),
        TEST(every_failing_allocation_is_told_and_nothing_leaks),
    };
    return cmocka_run_group_tests_name("spec", tests, NULL, NULL);
}
