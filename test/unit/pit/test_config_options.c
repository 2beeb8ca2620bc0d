/* SPDX-License-Identifier: MIT */
/* The configuration: every key and every word has its place in the options. */
#include <stdio.h>
#include <unistd.h>

#include "config_text.h"

static const sp_pool_options *first_pool(sp_config *config)
{
    return &sp_config_options(config)->pools[0];
}

static void nothing_gives_one_python_pool_with_the_showcase(void **state)
{
    (void)state;
    static const char *const empties[] = {"", "# only a comment\n", "---\n", "{}\n"};
    for (size_t i = 0; i < 4; i++) {
        sp_config *config = parse(empties[i]);
        const sp_pit_options *options = sp_config_options(config);
        assert_int_equal(options->size, sizeof *options);
        assert_null(options->instance);
        assert_null(options->runtime_dir);
        assert_int_equal(options->workers_max, 1000);
        assert_int_equal(options->pools_count, 1);
        const sp_pool_options *pool = first_pool(config);
        assert_int_equal(pool->size, sizeof *pool);
        assert_string_equal(pool->name, "default");
        assert_string_equal(pool->runtime, "python");
        assert_string_equal(pool->adapter, "showcase");
        assert_null(pool->python);
        assert_null(pool->env_pass);
        assert_null(pool->env_set);
        assert_int_equal(pool->workers, 2 * sysconf(_SC_NPROCESSORS_ONLN));
        assert_int_equal(pool->call_timeout_ms, 60000);
        assert_int_equal(pool->queue_timeout_ms, 5000);
        assert_int_equal(pool->startup_timeout_ms, 30000);
        assert_int_equal(pool->init_timeout_ms, 20000);
        assert_int_equal(pool->stream_timeout_ms, 300000);
        assert_int_equal(pool->request_max_bytes, 128 << 20);
        assert_int_equal(pool->queue_max, 1000);
        assert_null(sp_config_path(config));
        sp_config_free(config);
    }
}

static void every_key_of_the_pit_reaches_its_option(void **state)
{
    (void)state;
    sp_config *config = parse("instance: prod-a\n"
                              "workers_max: 77\n"
                              "sample_interval: 7s\n");
    const sp_pit_options *options = sp_config_options(config);
    assert_string_equal(options->instance, "prod-a");
    assert_int_equal(options->workers_max, 77);
    assert_int_equal(options->sample_interval_ms, 7000);
    sp_config_free(config);
}

static void every_key_of_the_sessions_reaches_its_option(void **state)
{
    (void)state;
    sp_config *config = parse("state_dir: /var/lib/x\n"
                              "sessions:\n"
                              "  ttl: 2h\n"
                              "  max: 11\n"
                              "  warn: 0.5\n"
                              "  cleanup_interval: 3s\n"
                              "  metadata_max: 1KiB\n"
                              "  variables_max: 12\n"
                              "  programs_max: never\n"
                              "  history_max: 13\n"
                              "  value_max: 2KiB\n"
                              "  bytes_max: 4KiB\n");
    const sp_sessions_options *sessions = sp_config_options(config)->sessions;
    assert_string_equal(sessions->path, "/var/lib/x");
    assert_int_equal(sessions->ttl_ms, 7200000);
    assert_int_equal(sessions->sessions_max, 11);
    assert_int_equal(sessions->warn_permille, 500);
    assert_int_equal(sessions->cleanup_interval_ms, 3000);
    assert_int_equal(sessions->metadata_bytes, 1024);
    assert_int_equal(sessions->variables_max, 12);
    assert_true(sessions->programs_max == SP_UNLIMITED);
    assert_int_equal(sessions->history_max, 13);
    assert_int_equal(sessions->value_bytes, 2048);
    assert_int_equal(sessions->session_bytes, 4096);
    sp_config_free(config);
}

static void what_a_worker_is_reaches_its_options(void **state)
{
    (void)state;
    sp_config *config = parse("pools:\n"
                              "- name: api\n"
                              "  runtime: python\n"
                              "  adapter: app.adapters:Main\n"
                              "  python: python3\n"
                              "  args: [--a, 'b c']\n"
                              "  commands: [one, two]\n"
                              "  working_dir: /tmp\n"
                              "  env: {pass: [PATH, LANG], set: {A: 1, B: 'x y'}}\n");
    const sp_pool_options *pool = first_pool(config);
    assert_string_equal(pool->name, "api");
    assert_string_equal(pool->adapter, "app.adapters:Main");
    assert_string_equal(pool->python, "python3");
    assert_string_equal(pool->args[0], "--a");
    assert_string_equal(pool->args[1], "b c");
    assert_null(pool->args[2]);
    assert_string_equal(pool->commands[1], "two");
    assert_null(pool->commands[2]);
    assert_string_equal(pool->working_dir, "/tmp");
    assert_string_equal(pool->env_pass[1], "LANG");
    assert_null(pool->env_pass[2]);
    assert_string_equal(pool->env_set[0], "A=1");
    assert_string_equal(pool->env_set[1], "B=x y");
    assert_null(pool->env_set[2]);
    sp_config_free(config);
}

static void every_number_of_a_pool_reaches_its_option(void **state)
{
    (void)state;
    sp_config *config = parse("pools:\n"
                              "- profile: thread\n"
                              "  size: 3\n"
                              "  threads: 4\n"
                              "  pipeline: 5\n"
                              "  queue: {max: 6}\n"
                              "  startup_batch: 7\n"
                              "  health_misses: 4\n"
                              "  request_max: 64KiB\n"
                              "  response_max: 1GiB\n");
    const sp_pool_options *pool = first_pool(config);
    assert_int_equal(pool->workers, 3);
    assert_int_equal(pool->threads, 4);
    assert_int_equal(pool->pipeline_max, 5);
    assert_int_equal(pool->queue_max, 6);
    assert_int_equal(pool->startup_batch, 7);
    assert_int_equal(pool->health_misses, 4);
    assert_int_equal(pool->request_max_bytes, 65536);
    assert_int_equal(pool->response_max_bytes, 1 << 30);
    sp_config_free(config);
}

static void every_time_of_a_pool_reaches_its_option(void **state)
{
    (void)state;
    sp_config *config =
        parse("pools:\n"
              "- startup_batch_delay: 8ms\n"
              "  startup_timeout: 9s\n"
              "  init_timeout: 10m\n"
              "  queue_timeout: 1.5s\n"
              "  call_timeout: 2h\n"
              "  stream_timeout: infinite\n"
              "  command_timeouts: {slow: 3h, quick: 250ms, any: never}\n"
              "  cancel_grace: never\n"
              "  shutdown_grace: 11s\n"
              "  health_interval: 12s\n"
              "  hang_grace: 13s\n");
    const sp_pool_options *pool = first_pool(config);
    assert_int_equal(pool->startup_batch_delay_ms, 8);
    assert_int_equal(pool->startup_timeout_ms, 9000);
    assert_int_equal(pool->init_timeout_ms, 600000);
    assert_int_equal(pool->queue_timeout_ms, 1500);
    assert_int_equal(pool->call_timeout_ms, 7200000);
    assert_true(pool->stream_timeout_ms == SP_UNLIMITED);
    assert_int_equal(pool->command_timeouts_count, 3);
    assert_string_equal(pool->command_timeouts[0].command, "slow");
    assert_int_equal(pool->command_timeouts[0].timeout_ms, 10800000);
    assert_int_equal(pool->command_timeouts[1].timeout_ms, 250);
    assert_true(pool->command_timeouts[2].timeout_ms == SP_UNLIMITED);
    assert_true(pool->cancel_grace_ms == SP_UNLIMITED);
    assert_int_equal(pool->shutdown_grace_ms, 11000);
    assert_int_equal(pool->health_interval_ms, 12000);
    assert_int_equal(pool->hang_grace_ms, 13000);
    sp_config_free(config);
}

/* A word of the configuration, and the constant it stands for. */
struct word {
    const char *key;
    const char *word;
    size_t member; /* of sp_pool_options */
    int constant;
};

#define WORD(member, word, constant)                               \
    {                                                              \
#member, word, offsetof(sp_pool_options, member), constant \
    }

static void every_word_of_a_pool_stands_for_its_constant(void **state)
{
    static const struct word words[] = {
        WORD(profile, "process", SP_PROFILE_PROCESS),
        WORD(profile, "thread", SP_PROFILE_THREAD),
        WORD(zygote, "off", SP_ZYGOTE_OFF),
        WORD(zygote, "on", SP_ZYGOTE_ON),
        WORD(zygote, "auto", SP_ZYGOTE_AUTO),
        WORD(affinity, "hint", SP_AFFINITY_HINT),
        WORD(affinity, "none", SP_AFFINITY_NONE),
        WORD(affinity, "strict_queue", SP_AFFINITY_STRICT_QUEUE),
        WORD(affinity, "strict_fail_fast", SP_AFFINITY_STRICT_FAIL_FAST),
        WORD(check_args, "types", SP_CHECK_TYPES),
        WORD(check_args, "names", SP_CHECK_NAMES),
        WORD(check_args, "none", SP_CHECK_NONE),
        WORD(thread_checks, "off", SP_THREADS_TRUSTED),
        WORD(thread_checks, "warn", SP_THREADS_WARN),
        WORD(thread_checks, "strict", SP_THREADS_STRICT),
        WORD(require_gil_disabled, "no", 0),
        WORD(require_gil_disabled, "yes", 1),
    };
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char text[80];
        (void)snprintf(text, sizeof text, "%s: %s\n", words[i].key, words[i].word);
        sp_config *config = parse(text);
        const char *pool = (const char *)first_pool(config);
        assert_int_equal(*(const int *)(const void *)(pool + words[i].member),
                         words[i].constant);
        sp_config_free(config);
    }
}

static void every_word_of_the_pit_stands_for_its_constant(void **state)
{
    static const char *const levels[] = {
        [SP_SAFETY_LIFELINE] = "lifeline",
        [SP_SAFETY_SUBREAPER] = "subreaper",
        [SP_SAFETY_CGROUP] = "cgroup",
        [SP_SAFETY_NAMESPACE] = "namespace",
    };
    (void)state;
    for (int i = SP_SAFETY_DEFAULT; i <= SP_SAFETY_NAMESPACE; i++) {
        char text[80];
        (void)snprintf(text, sizeof text, "guard: {level: %s, require: %s}\n",
                       i == SP_SAFETY_DEFAULT ? "auto" : levels[i],
                       i == SP_SAFETY_DEFAULT ? "none" : levels[i]);
        sp_config *config = parse(text);
        assert_int_equal(sp_config_options(config)->guard_level, i);
        assert_int_equal(sp_config_options(config)->guard_require, i);
        sp_config_free(config);
    }
    for (int i = SP_DURABILITY_DEFAULT; i <= SP_DURABILITY_DURABLE; i++) {
        char text[80] = "";
        if (i != SP_DURABILITY_DEFAULT) {
            (void)snprintf(text, sizeof text, "sessions: {durability: %s}\n",
                           sp_durability_name(i));
        }
        sp_config *config = parse(text);
        assert_int_equal(sp_config_options(config)->sessions->durability, i);
        sp_config_free(config);
    }
}

static void exec_pool_has_a_command_and_no_adapter(void **state)
{
    (void)state;
    sp_config *config =
        parse("pools:\n- {runtime: exec, command: '/w \"a b\" c\\ d'}\n");
    const sp_pool_options *pool = first_pool(config);
    assert_null(pool->adapter);
    assert_null(pool->python);
    assert_string_equal(pool->command[0], "/w");
    assert_string_equal(pool->command[1], "a b");
    assert_string_equal(pool->command[2], "c d");
    assert_null(pool->command[3]);
    sp_config_free(config);
}

static void an_adapters_file_name_says_the_language(void **state)
{
    (void)state;
    sp_config *config =
        parse("pools:\n"
              "- {name: a, adapter: /x/tools.mjs, interpreter: node18}\n"
              "- {name: b, adapter: /x/tools.rb:Tools}\n"
              "- {name: c, adapter: /x/tools.R}\n"
              "- {name: d, adapter: tools.js.Class}\n"
              "- {name: e, adapter: /x/tools.py, runtime: ruby}\n");
    const sp_pool_options *pools = sp_config_options(config)->pools;
    static const char *const runtimes[] = {"node", "ruby", "r", "python", "ruby"};
    for (size_t i = 0; i < sizeof runtimes / sizeof runtimes[0]; i++) {
        assert_string_equal(pools[i].runtime, runtimes[i]);
        assert_null(pools[i].python);
    }
    assert_string_equal(pools[0].interpreter, "node18");
    assert_null(pools[1].interpreter);
    assert_string_equal(pools[1].adapter, "/x/tools.rb:Tools");
    sp_config_free(config);
}

static void the_only_pools_keys_may_stand_at_the_top(void **state)
{
    (void)state;
    sp_config *config = parse("instance: prod-a\n"
                              "adapter: pkg.mod:Class\n"
                              "size: 4\n"
                              "queue: {max: 7}\n"
                              "defaults: {size: 9, call_timeout: 3s}\n");
    const sp_pit_options *options = sp_config_options(config);
    assert_string_equal(options->instance, "prod-a");
    assert_int_equal(options->pools_count, 1);
    assert_string_equal(options->pools[0].name, "default");
    assert_string_equal(options->pools[0].adapter, "pkg.mod:Class");
    assert_int_equal(options->pools[0].workers, 4);
    assert_int_equal(options->pools[0].queue_max, 7);
    assert_int_equal(options->pools[0].call_timeout_ms, 3000);
    sp_config_free(config);
}

static void empty_pass_list_is_not_the_whole_environment(void **state)
{
    (void)state;
    sp_config *config = parse("pools: [{env: {pass: []}}]\n");
    assert_non_null(first_pool(config)->env_pass);
    assert_null(first_pool(config)->env_pass[0]);
    sp_config_free(config);
}

static void relative_paths_start_at_the_working_directory(void **state)
{
    (void)state;
    char here[4096];
    char expected[4200];
    assert_non_null(getcwd(here, sizeof here));
    sp_config *config =
        parse("pools:\n"
              "- {adapter: ./a.py:B, python: .venv/bin/python}\n"
              "- {name: b, adapter: pkg.mod:Class, python: python3.9}\n");
    const sp_pool_options *pools = sp_config_options(config)->pools;
    (void)snprintf(expected, sizeof expected, "%s/a.py:B", here);
    assert_string_equal(pools[0].adapter, expected);
    (void)snprintf(expected, sizeof expected, "%s/.venv/bin/python", here);
    assert_string_equal(pools[0].python, expected);
    assert_string_equal(pools[1].adapter, "pkg.mod:Class");
    assert_string_equal(pools[1].python, "python3.9");
    sp_config_free(config);
}

/* ---- what a daemon needs ---- */

static void a_daemon_has_options_of_its_own(void **state)
{
    sp_config *config =
        parse("listen:\n"
              "  socket: /run/x/y.sock\n"
              "  clients: 7\n"
              "  message_max: 2MiB\n"
              "  idle: never\n"
              "  users: [web, \"1000\"]\n"
              "shutdown: {timeout: 1500ms}\n"
              "log: {level: warn, format: json, rate: 7, rate_interval: 2s,\n"
              "      redact: [\"card [0-9]+\"], keep: 64KiB}\n");
    const sp_service_options *service = sp_config_service(config);
    assert_string_equal(service->socket, "/run/x/y.sock");
    assert_int_equal(service->listen.size, sizeof service->listen);
    assert_int_equal(service->listen.clients_max, 7);
    assert_int_equal(service->listen.calls_max, 128);
    assert_true(service->listen.message_max_bytes == 2u << 20);
    assert_true(service->listen.idle_timeout_ms == SP_UNLIMITED);
    assert_true(service->listen.greeting_timeout_ms == 5000);
    assert_string_equal(service->users[0], "web");
    assert_string_equal(service->users[1], "1000");
    assert_null(service->users[2]);
    assert_true(service->shutdown_timeout_ms == 1500);
    assert_int_equal(service->log.size, sizeof service->log);
    assert_int_equal(service->log.level, SP_LOG_WARN);
    assert_int_equal(service->log.format, SP_LOG_JSON);
    assert_int_equal(service->log.rate_lines, 7);
    assert_true(service->log.rate_interval_ms == 2000);
    assert_string_equal(service->log.redact[0], "card [0-9]+");
    assert_null(service->log.redact[1]);
    assert_true(service->log.keep_bytes == 64u << 10);
    sp_config_free(config);
    assert_null(sp_config_service(NULL));
}

static void without_a_word_of_it_a_daemon_has_the_defaults(void **state)
{
    sp_config *config = parse("");
    const sp_service_options *service = sp_config_service(config);
    assert_null(service->socket);
    assert_null(service->users);
    assert_int_equal(service->listen.clients_max, 0);
    assert_true(service->listen.message_max_bytes == 16u << 20);
    assert_true(service->listen.idle_timeout_ms == 300000);
    assert_true(service->shutdown_timeout_ms == 10000);
    assert_int_equal(service->log.level, SP_LOG_INFO);
    assert_int_equal(service->log.format, SP_LOG_AUTO);
    assert_null(service->log.redact);
    sp_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_gives_one_python_pool_with_the_showcase),
        TEST(every_key_of_the_pit_reaches_its_option),
        TEST(every_key_of_the_sessions_reaches_its_option),
        TEST(what_a_worker_is_reaches_its_options),
        TEST(every_number_of_a_pool_reaches_its_option),
        TEST(every_time_of_a_pool_reaches_its_option),
        TEST(every_word_of_a_pool_stands_for_its_constant),
        TEST(every_word_of_the_pit_stands_for_its_constant),
        TEST(exec_pool_has_a_command_and_no_adapter),
        TEST(an_adapters_file_name_says_the_language),
        TEST(the_only_pools_keys_may_stand_at_the_top),
        TEST(empty_pass_list_is_not_the_whole_environment),
        TEST(relative_paths_start_at_the_working_directory),
        TEST(a_daemon_has_options_of_its_own),
        TEST(without_a_word_of_it_a_daemon_has_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
