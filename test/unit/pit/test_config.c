/* SPDX-License-Identifier: MIT */
/* The configuration: every layer has its rank, every file its place, and all of it can be
 * shown. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_text.h"

static const sp_pool_options *first_pool(sp_config *config)
{
    return &sp_config_options(config)->pools[0];
}

/* --- Layers -------------------------------------------------------------------------- */

static void pool_beats_defaults_beat_the_table(void **state)
{
    (void)state;
    sp_config *config = parse("defaults: {call_timeout: 3s, size: 5}\n"
                              "pools:\n- {name: a, size: 6}\n- {name: b}\n");
    const sp_pool_options *pools = sp_config_options(config)->pools;
    assert_int_equal(pools[0].workers, 6);
    assert_int_equal(pools[1].workers, 5);
    assert_int_equal(pools[0].call_timeout_ms, 3000);
    assert_int_equal(pools[1].queue_timeout_ms, 5000);
    sp_config_free(config);
}

static void flag_beats_environment_beats_file(void **state)
{
    (void)state;
    setenv("SNAKEPIT_POOL_SIZE", "9", 1);
    setenv("SNAKEPIT_INSTANCE", "env", 1);
    setenv("SNAKEPIT_CALL_TIMEOUT", "", 1);
    sp_config *config = parse("instance: file\n"
                              "pools:\n- {name: a, size: 6, call_timeout: 4s}\n"
                              "- {name: b.c}\n");
    const sp_pool_options *pools = sp_config_options(config)->pools;
    assert_int_equal(pools[0].workers, 9);
    assert_int_equal(pools[1].workers, 9);
    assert_int_equal(pools[0].call_timeout_ms, 4000);
    assert_string_equal(sp_config_options(config)->instance, "env");

    sp_error err = {0};
    assert_int_equal(sp_config_set(config, "pool.size", "2", &err), 0);
    assert_int_equal(sp_config_set(config, "pools.b.c.size", "3", &err), 0);
    assert_int_equal(sp_config_set(config, "instance", "flag", &err), 0);
    assert_int_equal(sp_config_set(config, "defaults.queue_timeout", "7s", &err), 0);
    assert_int_equal(
        sp_config_set(config, "pools.a.command_timeouts", "{add: 1s}", &err), 0);
    assert_int_equal(sp_config_set(config, "pools.a.args", "x 'y z'", &err), 0);
    assert_int_equal(sp_config_set(config, "pools.a.commands", "[p, q]", &err), 0);
    pools = sp_config_options(config)->pools;
    assert_int_equal(pools[0].workers, 2);
    assert_int_equal(pools[1].workers, 3);
    assert_int_equal(pools[1].queue_timeout_ms, 7000);
    assert_string_equal(sp_config_options(config)->instance, "flag");
    assert_string_equal(pools[0].command_timeouts[0].command, "add");
    assert_string_equal(pools[0].args[1], "y z");
    assert_string_equal(pools[0].commands[1], "q");
    sp_config_free(config);
}

static void variables_for_python_leave_other_pools_alone(void **state)
{
    (void)state;
    setenv("SNAKEPIT_ADAPTER", "m:C", 1);
    setenv("SNAKEPIT_PYTHON", "/opt/py", 1);
    sp_config *config = parse("pools:\n- {name: a}\n"
                              "- {name: b, runtime: exec, command: [/w]}\n");
    const sp_pool_options *pools = sp_config_options(config)->pools;
    assert_string_equal(pools[0].adapter, "m:C");
    assert_string_equal(pools[0].python, "/opt/py");
    assert_null(pools[1].adapter);
    sp_config_free(config);
}

static void bad_variable_is_named(void **state)
{
    (void)state;
    setenv("SNAKEPIT_POOL_SIZE", "0", 1);
    sp_config *config = NULL;
    sp_error err = {0};
    assert_int_equal(sp_config_parse(sp_text(""), "f.yaml", &config, &err),
                     SP_ERR_CONFIG);
    assert_string_equal(err.message, "SNAKEPIT_POOL_SIZE: 0 is out of range 1..1000");
}

static void bad_flags_say_what_is_wrong(void **state)
{
    static const char *const rows[][3] = {
        {"pool.size", "0", "pool.size: 0 is out of range 1..1000"},
        {"pool.sizee", "1", "pool.sizee: unknown key; did you mean \"size\"?"},
        {"size", "1", "size: unknown key; it belongs into a pool or under defaults"},
        {"pools.x.size", "1",
         "pools.x.size: no such pool; the key is pools.NAME.KEY and the first pool is "
         "\"default\""},
        {"pool.name", "x", "pool.name: a pool's name stands in the file"},
        {"pool.call_timeout", "30",
         "pool.call_timeout: 30 has no unit; write 30s, 30ms, 30m or 30h"},
        {"pool.commands", "[a",
         "pool.commands:2:1: did not find expected ',' or ']' "
         "(while parsing a flow sequence, begun on line 1)"},
        {"pool.adapter", "",
         "pool.adapter: has no value; expected text, or no such line"},
    };
    (void)state;
    sp_config *config = parse("");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        sp_error err = {0};
        assert_int_equal(sp_config_set(config, rows[i][0], rows[i][1], &err),
                         SP_ERR_CONFIG);
        assert_string_equal(err.message, rows[i][2]);
    }
    sp_config_free(config);
}

/* --- Files --------------------------------------------------------------------------- */

struct folder {
    char path[64];
    char before[4096];
};

/* A temporary folder as the working directory and as HOME. */
static void enter(struct folder *folder)
{
    (void)snprintf(folder->path, sizeof folder->path, "/tmp/sp-config-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    assert_non_null(getcwd(folder->before, sizeof folder->before));
    assert_int_equal(chdir(folder->path), 0);
    setenv("HOME", folder->path, 1);
    unsetenv("XDG_CONFIG_HOME");
}

static void leave(struct folder *folder)
{
    static const char *const names[] = {"a.yaml", "snakepit.yaml",
                                        ".config/snakepit/snakepit.yaml",
                                        ".config/snakepit", ".config"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)remove(names[i]);
    }
    assert_int_equal(chdir(folder->before), 0);
    assert_int_equal(rmdir(folder->path), 0);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void named_file_that_is_missing_is_not_found(void **state)
{
    (void)state;
    sp_config *config = NULL;
    sp_error err = {0};
    assert_int_equal(sp_config_load("/nonexistent/x.yaml", &config, &err),
                     SP_ERR_NOT_FOUND);
    assert_int_equal(err.code, SP_ERR_NOT_FOUND);
    assert_string_equal(err.message, "/nonexistent/x.yaml: No such file or directory");
    assert_int_equal(sp_config_load("/", &config, &err), SP_ERR_SYSTEM);
    assert_string_equal(err.message, "/: Is a directory");
}

static void files_are_found_in_their_order(void **state)
{
    (void)state;
    struct folder folder;
    enter(&folder);
    sp_config *config = NULL;

    write_file("a.yaml", "instance: variable\n");
    assert_int_equal(mkdir(".config", 0700), 0);
    assert_int_equal(mkdir(".config/snakepit", 0700), 0);
    write_file(".config/snakepit/snakepit.yaml", "instance: home\n");
    assert_int_equal(sp_config_load(NULL, &config, NULL), 0);
    assert_string_equal(sp_config_options(config)->instance, "home");
    sp_config_free(config);

    write_file("snakepit.yaml", "instance: here\npools: [{adapter: a.py}]\n");
    assert_int_equal(sp_config_load(NULL, &config, NULL), 0);
    assert_string_equal(sp_config_options(config)->instance, "here");
    assert_string_equal(sp_config_path(config), "snakepit.yaml");
    sp_config_free(config);

    setenv("SNAKEPIT_CONFIG", "a.yaml", 1);
    assert_int_equal(sp_config_load(NULL, &config, NULL), 0);
    assert_string_equal(sp_config_options(config)->instance, "variable");
    sp_config_free(config);

    assert_int_equal(sp_config_load("snakepit.yaml", &config, NULL), 0);
    assert_string_equal(sp_config_options(config)->instance, "here");
    sp_config_free(config);
    leave(&folder);
}

static void paths_of_a_file_start_at_its_folder(void **state)
{
    (void)state;
    struct folder folder;
    enter(&folder);
    char file[128];
    char expected[128];
    write_file("a.yaml", "state_dir: ~/s\npools: [{adapter: a.py, working_dir: w}]\n");
    (void)snprintf(file, sizeof file, "%s/a.yaml", folder.path);
    assert_int_equal(chdir("/"), 0);
    sp_config *config = NULL;
    assert_int_equal(sp_config_load(file, &config, NULL), 0);
    (void)snprintf(expected, sizeof expected, "%s/a.py", folder.path);
    assert_string_equal(first_pool(config)->adapter, expected);
    (void)snprintf(expected, sizeof expected, "%s/w", folder.path);
    assert_string_equal(first_pool(config)->working_dir, expected);
    /* A flag's path starts at the working directory. */
    assert_int_equal(sp_config_set(config, "pool.adapter", "b.py", NULL), 0);
    assert_string_equal(first_pool(config)->adapter, "/b.py");
    sp_config_free(config);
    assert_int_equal(chdir(folder.path), 0);
    leave(&folder);
}

/* --- Showing ------------------------------------------------------------------------- */

static void find_setting(const sp_setting *setting, void *user_data)
{
    const char **wanted = user_data;
    if (strcmp(setting->key, wanted[0]) == 0) {
        assert_string_equal(setting->value, wanted[1]);
        assert_string_equal(setting->source, wanted[2]);
        wanted[3] = "found";
    }
}

static void settings_show_value_and_source(void **state)
{
    static const char *const rows[][3] = {
        {"instance", "a", "flag"},
        {"pools.p.size", "3", "file"},
        {"pools.p.call_timeout", "90s", "file"},
        {"pools.p.stream_timeout", "never", "file"},
        {"pools.p.queue_timeout", "1500ms", "environment"},
        {"pools.p.queue.max", "1000", "default"},
        {"pools.p.request_max", "128MiB", "default"},
        {"pools.p.response_max", "1500B", "file"},
        {"pools.p.args", "[a, \"b c\", \"d\\\"\"]", "file"},
        {"pools.p.env.set", "{A: \"x y\", B: \"\"}", "file"},
        {"pools.p.command_timeouts", "{add: 2m}", "file"},
        {"pools.p.env.pass", "[]", "file"},
        {"pools.p.python", "", "default"},
    };
    (void)state;
    setenv("SNAKEPIT_QUEUE_TIMEOUT", "1.5s", 1);
    sp_config *config = parse("defaults: {call_timeout: 1.5m}\n"
                              "pools:\n"
                              "- name: p\n"
                              "  size: 3\n"
                              "  stream_timeout: infinite\n"
                              "  response_max: 1500\n"
                              "  args: [a, 'b c', 'd\"']\n"
                              "  env: {pass: [], set: {A: x y, B: }}\n"
                              "  command_timeouts: {add: 120s}\n");
    assert_int_equal(sp_config_set(config, "instance", "a", NULL), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *wanted[4] = {rows[i][0], rows[i][1], rows[i][2], NULL};
        sp_config_each(config, find_setting, wanted);
        assert_non_null(wanted[3]);
    }
    sp_config_free(config);
}

static void set_again(const sp_setting *setting, void *user_data)
{
    if (setting->value[0] != '\0' && strstr(setting->key, ".name") == NULL) {
        sp_error err = {0};
        if (sp_config_set(user_data, setting->key, setting->value, &err) < 0) {
            fail_msg("%s", err.message);
        }
    }
}

static void shown_values_can_be_set(void **state)
{
    (void)state;
    sp_config *config =
        parse("instance: -a\nworkers_max: 7\n"
              "pools: [{args: [a b, '', \"c\\nd\"], env: {set: {A: '{'}},\n"
              "         working_dir: '/a b'}]\n");
    sp_config *copy = parse("");
    sp_config_each(config, set_again, copy);
    const sp_pool_options *pool = first_pool(copy);
    assert_string_equal(pool->args[0], "a b");
    assert_string_equal(pool->args[2], "c\nd");
    assert_string_equal(pool->env_set[0], "A={");
    assert_string_equal(pool->working_dir, "/a b");
    assert_string_equal(sp_config_options(copy)->instance, "-a");
    sp_config_free(copy);
    sp_config_free(config);
}

static void explain_finds_a_key_under_every_name(void **state)
{
    static const char *const names[] = {
        "pools[].call_timeout", "pools.default.call_timeout", "pools[3].call_timeout",
        "call_timeout",         "pool.call_timeout",          "defaults.call_timeout"};
    (void)state;
    sp_config_key key;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(sp_config_explain(names[i], &key, NULL), 0);
        assert_string_equal(key.key, "pools[].call_timeout");
        assert_string_equal(key.range, "1ms..24h or never");
        assert_string_equal(key.default_value, "60s");
        assert_string_equal(key.environment, "SNAKEPIT_CALL_TIMEOUT");
    }
    sp_error err = {0};
    assert_int_equal(sp_config_explain("call_timout", &key, &err), SP_ERR_NOT_FOUND);
    assert_string_equal(err.message, "there is no key \"call_timout\"; did you mean "
                                     "\"call_timeout\"?");
}

static void every_row_of_the_table_is_complete(void **state)
{
    (void)state;
    sp_config_key key;
    size_t count = 0;
    while (sp_config_key_at(count, &key)) {
        sp_config_key again;
        assert_int_equal(sp_config_explain(key.key, &again, NULL), 0);
        assert_string_equal(again.key, key.key);
        assert_true(strlen(key.text) > 20);
        assert_int_equal(key.text[strlen(key.text) - 1], '.');
        assert_true(strlen(key.type) > 0);
        count++;
    }
    assert_true(count > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pool_beats_defaults_beat_the_table),
        TEST(flag_beats_environment_beats_file),
        TEST(variables_for_python_leave_other_pools_alone),
        TEST(bad_variable_is_named),
        TEST(bad_flags_say_what_is_wrong),
        TEST(named_file_that_is_missing_is_not_found),
        TEST(files_are_found_in_their_order),
        TEST(paths_of_a_file_start_at_its_folder),
        TEST(settings_show_value_and_source),
        TEST(shown_values_can_be_set),
        TEST(explain_finds_a_key_under_every_name),
        TEST(every_row_of_the_table_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
