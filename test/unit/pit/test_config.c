/* SPDX-License-Identifier: MIT */
/*
 * The configuration: every mistake has its message, every layer its rank, every value
 * its place in the options. Each test starts without SNAKEPIT_ variables and ends with
 * as many live allocations as it began.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "snakepit/config.h"

struct bad {
    const char *yaml;
    const char *message; /* behind "f.yaml:" */
};

static const struct bad bad[] = {
    {"pools: [", "2:1: did not find expected node content (while parsing a flow node, "
                 "begun on line 2)"},
    {"pools:\n\t- name: a\n", "2:1: a tab character; YAML is indented with spaces"},
    {"instance: a\n  size: 4\n", "2:7: mapping values are not allowed in this context"},
    {"instance: 'a\n", "2:1: found unexpected end of stream (while scanning a quoted "
                       "scalar, begun on line 1)"},
    {"instance: \"\\q\"\n", "1:12: found unknown escape character (while parsing a "
                            "quoted scalar, begun on line 1)"},
    {"a: b: c\n", "1:5: mapping values are not allowed in this context"},
    {"pools: ]\n", "1:8: did not find expected node content (while parsing a block "
                   "node, begun on line 1)"},
    {"- a\n- b\n", "1:1: expected a map of settings, not a list"},
    {"just text\n", "1:1: expected a map of settings, not text"},
    {"%TAG ! x\n", "2:1: did not find expected <document start>"},
    {"instance: a\n---\ninstance: b\n",
     "2:1: a second document; a configuration is one"},
    {"instance: &x a\n", "1:11: anchors (&name) are not supported"},
    {"instance: *x\n", "1:11: aliases (*name) are not supported"},
    {"instance: !!str a\n", "1:11: tags (!name) are not supported"},
    {"pools: &p\n  - name: a\n", "1:8: anchors (&name) are not supported"},
    {"pools: !x []\n", "1:8: tags (!name) are not supported"},
    {"<<: {size: 4}\n", "1:1: <<: unknown key"},
    {"? [a]\n: b\n", "1:3: a list as key; keys are texts"},
    {"? {a: b}\n: b\n", "1:3: a map as key; keys are texts"},
    {"instance: a\ninstance: b\n",
     "2:1: key \"instance\" stands twice (first on line 1)"},
    {"pools:\n  - size: 1\n    name: x\n    size: 2\n",
     "4:5: key \"size\" stands twice (first on line 2)"},
    {"instance: \"a\\0b\"\n", "1:11: text with a NUL character"},
    {"instance: a\x01\n", "1:12: the control character U+0001"},
    {"instance: \x7f\n", "1:11: the control character U+007F"},
    {"instance: a\xff\n", "1:12: byte 0xff is not UTF-8"},
    {"# caf\xc3\xa9\ninstance: \xc3\xa9 \xc0\x80\n", "2:13: byte 0xc0 is not UTF-8"},
    {"instance: \xed\xa0\x80\n", "1:11: byte 0xed is not UTF-8"},
    {"instance: \xf4\x90\x80\x80\n", "1:11: byte 0xf4 is not UTF-8"},
    {"instance: \xc2\x80\n", "1:11: the control character U+0080"},
    {"instance: \xef\xbf\xbf\n", "1:11: the control character U+FFFF"},
    {"instance: \xe2\x82", "1:11: byte 0xe2 is not UTF-8"},
    {"a: [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]\n", "1:19: nested deeper than 16 levels"},
    {"instanse: a\n", "1:1: instanse: unknown key; did you mean \"instance\"?"},
    {"pool: []\n", "1:1: pool: unknown key; did you mean \"pools\"?"},
    {"size: 4\n", "1:1: size: unknown key; it belongs into a pool or under defaults"},
    {"queue: {max: 4}\n",
     "1:1: queue: unknown key; it belongs into a pool or under defaults"},
    {"zzz: 4\n", "1:1: zzz: unknown key"},
    {"pools:\n  - sizee: 4\n",
     "2:5: pools[0].sizee: unknown key; did you mean \"size\"?"},
    {"pools:\n  - name: a\n    renewal: {after: 2h}\n",
     "3:5: pools[0].renewal: unknown key"},
    {"pools:\n  - queue: {maxx: 4}\n",
     "2:13: pools[0].queue.maxx: unknown key; did you mean \"max\"?"},
    {"pools:\n  - queue: {order: fifo}\n", "2:13: pools[0].queue.order: unknown key"},
    {"pools:\n  - env: {sett: {A: b}}\n",
     "2:11: pools[0].env.sett: unknown key; did you mean \"set\"?"},
    {"defaults: {call_timout: 3s}\n",
     "1:12: defaults.call_timout: unknown key; did you mean \"call_timeout\"?"},
    {"defaults: {name: a}\n", "1:12: defaults.name: every pool has its own name"},
    {"defaults: 3s\n", "1:11: defaults: expected a map, not text"},
    {"defaults: []\n", "1:11: defaults: expected a map, not a list"},
    {"pools: {name: a}\n",
     "1:8: pools: expected a list of pools (\"- name: ...\"), not a map"},
    {"pools: 4\n", "1:8: pools: expected a list of pools (\"- name: ...\"), not text"},
    {"pools:\n",
     "1:7: pools: expected a list of pools (\"- name: ...\"), not an empty value"},
    {"pools: []\n", "1:8: pools: there is no pool in the list; without the key there "
                    "is one with the showcase adapter"},
    {"pools: [4]\n", "1:9: pools[0]: expected a map, not text"},
    {"pools: [[]]\n", "1:9: pools[0]: expected a map, not a list"},
    {"pools:\n  -\n", "2:4: pools[0]: expected a map, not an empty value"},
    {"pools:\n  - queue: 4\n", "2:12: pools[0].queue: expected a map, not text"},
    {"pools:\n  - queue: [4]\n", "2:12: pools[0].queue: expected a map, not a list"},
    {"pools:\n  - env: [PATH]\n", "2:10: pools[0].env: expected a map, not a list"},
    {"pools:\n  - env:\n", "2:9: pools[0].env: expected a map, not an empty value"},
    {"pools:\n  - size: {min: 4, max: 16}\n",
     "2:11: pools[0].size: expected a whole number, not a map"},
    {"pools:\n  - size: [4]\n",
     "2:11: pools[0].size: expected a whole number, not a list"},
    {"pools:\n  - size:\n",
     "2:10: pools[0].size: has no value; expected a whole number, or no such line"},
    {"pools:\n  - size: ~\n",
     "2:11: pools[0].size: has no value; expected a whole number, or no such line"},
    {"pools:\n  - adapter: [showcase]\n",
     "2:14: pools[0].adapter: expected text, not a list"},
    {"pools:\n  - runtime: exec\n    command: {a: b}\n",
     "3:14: pools[0].command: expected a list of texts or one text, not a map"},
    {"pools:\n  - args: {a: b}\n",
     "2:11: pools[0].args: expected a list of texts or one text, not a map"},
    {"pools:\n  - args: [[a]]\n", "2:12: pools[0].args[0]: expected text, not a list"},
    {"pools:\n  - args: [a, {b: c}]\n",
     "2:15: pools[0].args[1]: expected text, not a map"},
    {"pools:\n  - commands: ping\n",
     "2:15: pools[0].commands: expected a list of texts, not text"},
    {"pools:\n  - env: {pass: PATH}\n",
     "2:17: pools[0].env.pass: expected a list of variable names, not text"},
    {"pools:\n  - env: {set: [A]}\n",
     "2:16: pools[0].env.set: expected a map from variable to text, not a list"},
    {"pools:\n  - env: {set: {A: [b]}}\n",
     "2:20: pools[0].env.set.A: expected text, not a list"},
    {"pools:\n  - command_timeouts: [add]\n",
     "2:23: pools[0].command_timeouts: expected a map from tool to duration, not a "
     "list"},
    {"pools:\n  - command_timeouts: {add: [3s]}\n",
     "2:29: pools[0].command_timeouts.add: expected a duration such as 30s, not a "
     "list"},
    {"pools:\n  - runtime: exec\n    command: []\n",
     "3:14: pools[0].command: the command is empty"},
    {"pools:\n  - runtime: exec\n    command: ' '\n",
     "3:14: pools[0].command: the command is empty"},
    {"pools:\n  - runtime: exec\n    command: [~, a]\n",
     "3:15: pools[0].command[0]: has no value; expected text"},
    {"pools:\n  - umask: 09\n",
     "2:12: pools[0].umask: expected an octal mask such as 077, not \"09\""},
    {"pools:\n  - umask: 1000\n",
     "2:12: pools[0].umask: 1000 is out of range 000..777"},
    {"guard: {level: magic}\n",
     "1:16: guard.level: expected auto, lifeline, subreaper or namespace, not "
     "\"magic\""},
    {"pools:\n  - size: 0\n", "2:11: pools[0].size: 0 is out of range 1..1000"},
    {"pools:\n  - size: 1001\n", "2:11: pools[0].size: 1001 is out of range 1..1000"},
    {"pools:\n  - size: -1\n", "2:11: pools[0].size: -1 is out of range 1..1000"},
    {"pools:\n  - size: 99999999999999999999\n",
     "2:11: pools[0].size: 99999999999999999999 is out of range 1..1000"},
    {"pools:\n  - size: 1.5\n",
     "2:11: pools[0].size: expected a whole number, not \"1.5\""},
    {"pools:\n  - size: 0x10\n",
     "2:11: pools[0].size: expected a whole number, not \"0x10\""},
    {"pools:\n  - size: 1_000\n",
     "2:11: pools[0].size: expected a whole number, not \"1_000\""},
    {"pools:\n  - size: many\n",
     "2:11: pools[0].size: expected a whole number, not \"many\""},
    {"pools:\n  - size: \"4\"\n",
     "2:11: pools[0].size: expected a whole number, not text in quotes"},
    {"pools:\n  - size: 4s\n",
     "2:11: pools[0].size: expected a whole number, not \"4s\""},
    {"workers_max: 0\n", "1:14: workers_max: 0 is out of range 1..10000"},
    {"pools:\n  - queue: {max: 0}\n",
     "2:18: pools[0].queue.max: 0 is out of range 1..10000000"},
    {"pools:\n  - threads: yes\n",
     "2:14: pools[0].threads: expected a whole number, not \"yes\""},
    {"pools:\n  - call_timeout: 30\n",
     "2:19: pools[0].call_timeout: 30 has no unit; write 30s, 30ms, 30m or 30h"},
    {"pools:\n  - call_timeout: 0\n",
     "2:19: pools[0].call_timeout: 0 has no unit; write 0s, 0ms, 0m or 0h"},
    {"pools:\n  - call_timeout: 0s\n",
     "2:19: pools[0].call_timeout: 0s is out of range 1ms..24h or never"},
    {"pools:\n  - call_timeout: 30x\n",
     "2:19: pools[0].call_timeout: expected a duration such as 30s, not \"30x\" "
     "(units: ms, s, m, h)"},
    {"pools:\n  - call_timeout: 30 s\n",
     "2:19: pools[0].call_timeout: expected a duration such as 30s, not \"30 s\" "
     "(units: ms, s, m, h)"},
    {"pools:\n  - call_timeout: -1s\n",
     "2:19: pools[0].call_timeout: -1s is out of range 1ms..24h or never"},
    {"pools:\n  - call_timeout: 1.s\n",
     "2:19: pools[0].call_timeout: expected a duration such as 30s, not \"1.s\" "
     "(units: ms, s, m, h)"},
    {"pools:\n  - call_timeout: .5s\n",
     "2:19: pools[0].call_timeout: expected a duration such as 30s, not \".5s\" "
     "(units: ms, s, m, h)"},
    {"pools:\n  - call_timeout: soon\n",
     "2:19: pools[0].call_timeout: expected a duration such as 30s, not \"soon\" "
     "(units: ms, s, m, h)"},
    {"pools:\n  - call_timeout: 25h\n",
     "2:19: pools[0].call_timeout: 25h is out of range 1ms..24h or never"},
    {"pools:\n  - call_timeout: 9999999999999999h\n",
     "2:19: pools[0].call_timeout: 9999999999999999h is out of range 1ms..24h or "
     "never"},
    {"pools:\n  - startup_timeout: never\n",
     "2:22: pools[0].startup_timeout: expected a duration such as 30s, not \"never\" "
     "(units: ms, s, m, h)"},
    {"pools:\n  - health_interval: 1ms\n",
     "2:22: pools[0].health_interval: 1ms is out of range 10ms..24h or never"},
    {"defaults:\n  cancel_grace: 5d\n",
     "2:17: defaults.cancel_grace: expected a duration such as 30s, not \"5d\" (units: "
     "ms, s, m, h)"},
    {"pools:\n  - command_timeouts: {add: 3}\n",
     "2:29: pools[0].command_timeouts.add: 3 has no unit; write 3s, 3ms, 3m or 3h"},
    {"pools:\n  - request_max: 1MB\n",
     "2:18: pools[0].request_max: expected a size such as 64MiB, not \"1MB\" (units: "
     "B, KiB, MiB, GiB)"},
    {"pools:\n  - request_max: 12\n",
     "2:18: pools[0].request_max: 12 is out of range 1KiB..1GiB"},
    {"pools:\n  - request_max: 2GiB\n",
     "2:18: pools[0].request_max: 2GiB is out of range 1KiB..1GiB"},
    {"pools:\n  - request_max: big\n",
     "2:18: pools[0].request_max: expected a size such as 64MiB, not \"big\" (units: "
     "B, KiB, MiB, GiB)"},
    {"pools:\n  - name: 'a b'\n",
     "2:11: pools[0].name: \"a b\" may have letters, digits, '.', '_' and '-' only"},
    {"pools:\n  - name: ''\n", "2:11: pools[0].name: the text is empty"},
    {"pools:\n  - name: "
     "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\n",
     "2:11: pools[0].name: 65 bytes long, the limit is 64"},
    {"instance: a/b\n",
     "1:11: instance: \"a/b\" may have letters, digits, '.', '_' and '-' only"},
    {"pools:\n  - runtime: pythn\n", "2:14: pools[0].runtime: expected python, exec or "
                                     "grpc, not \"pythn\"; did you mean \"python\"?"},
    {"pools:\n  - runtime: ruby\n",
     "2:14: pools[0].runtime: expected python, exec or grpc, not \"ruby\""},
    {"pools:\n  - runtime: Python\n",
     "2:14: pools[0].runtime: expected python, exec or grpc, not \"Python\"; did you "
     "mean \"python\"?"},
    {"pools:\n  - profile: thread\n",
     "2:14: pools[0].profile: expected process, not \"thread\""},
    {"pools:\n  - affinity: strict\n",
     "2:15: pools[0].affinity: expected hint, none, strict_queue or strict_fail_fast, "
     "not \"strict\"; did you mean \"strict_queue\"?"},
    {"pools:\n  - adapter: ''\n", "2:14: pools[0].adapter: the text is empty"},
    {"pools:\n  - env: {pass: [A B]}\n",
     "2:18: pools[0].env.pass[0]: \"A B\" is not a variable's name"},
    {"pools:\n  - env: {set: {1A: b}}\n",
     "2:21: pools[0].env.set.1A: \"1A\" is not a variable's name"},
    {"pools:\n  - env: {pass: ['']}\n",
     "2:18: pools[0].env.pass[0]: \"\" is not a variable's name"},
    {"pools:\n  - args: \"a 'b\"\n", "2:11: pools[0].args: a quote (') is not closed"},
    {"pools:\n  - commands: ['']\n", "2:16: pools[0].commands[0]: the text is empty"},
    {"pools:\n  - name: a\n  - name: b\n  - name: a\n",
     "4:11: pools[2]: pools[0] is named \"a\" too"},
    {"pools:\n  - name: a\n  - size: 1\n  - size: 2\n",
     "4:5: pools[2]: pools[1] is named \"default\" too; give this one a name"},
    {"pools:\n  - queue_timeout: 90s\n    call_timeout: 30s\n",
     "2:20: pools[0].queue_timeout: 90s is longer than call_timeout (30s), which ends "
     "the call first"},
    {"defaults: {call_timeout: 1s}\npools:\n  - queue_timeout: 2s\n",
     "3:20: pools[0].queue_timeout: 2s is longer than call_timeout (1s), which ends "
     "the call first"},
    {"pools:\n  - runtime: exec\n",
     "2:14: pools[0].runtime: exec needs the key \"command\""},
    {"pools:\n  - command: [a]\n",
     "2:14: pools[0].command: is for the runtimes exec and grpc; this pool is python"},
    {"pools:\n  - runtime: grpc\n    command: [a]\n    adapter: showcase\n",
     "4:14: pools[0].adapter: is for the runtime python; this pool is grpc"},
    {"pools:\n  - runtime: exec\n    command: [a]\n    python: python3\n",
     "4:13: pools[0].python: is for the runtime python; this pool is exec"},
};

static int64_t live_before;

static int set_up(void **state)
{
    sp_config_key key;
    (void)state;
    for (size_t i = 0; sp_config_key_at(i, &key); i++) {
        if (key.environment[0] != '\0') {
            unsetenv(key.environment);
        }
    }
    unsetenv("SNAKEPIT_CONFIG");
    live_before = sp__mem_live();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return sp__mem_live() == live_before ? 0 : -1;
}

static sp_config *parse(const char *yaml)
{
    sp_config *config = NULL;
    sp_error err = {0};
    if (sp_config_parse(sp_text(yaml), "f.yaml", &config, &err) < 0) {
        fail_msg("%s\n--\n%s", err.message, yaml);
    }
    return config;
}

static const sp_pool_options *first_pool(sp_config *config)
{
    return &sp_config_options(config)->pools[0];
}

/* --- Mistakes ------------------------------------------------------------------------ */

static void every_mistake_names_place_value_and_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sp_config *config = NULL;
        sp_error err = {0};
        char expected[SP_ERROR_MESSAGE_MAX];
        (void)snprintf(expected, sizeof expected, "f.yaml:%s", bad[i].message);
        int rc = sp_config_parse(sp_text(bad[i].yaml), "f.yaml", &config, &err);
        if (rc != SP_ERR_CONFIG || strcmp(err.message, expected) != 0) {
            fail_msg("row %zu\n%s\nexpected: %s\ngot %d: %s", i, bad[i].yaml, expected,
                     rc, err.message);
        }
        assert_null(config);
        sp_error_clear(&err);
    }
}

static void text_over_a_mebibyte_is_refused(void **state)
{
    (void)state;
    size_t size = 1024 * 1024 + 1;
    char *text = test_malloc(size);
    memset(text, '#', size);
    sp_config *config = NULL;
    sp_error err = {0};
    assert_int_equal(sp_config_parse((sp_bytes){text, size}, "f.yaml", &config, &err),
                     SP_ERR_CONFIG);
    assert_string_equal(err.message,
                        "f.yaml: larger than 1 MiB, the limit of a configuration");
    assert_int_equal(
        sp_config_parse((sp_bytes){text, size - 1}, "f.yaml", &config, &err), 0);
    sp_config_free(config);
    test_free(text);
}

static void too_many_values_are_refused(void **state)
{
    (void)state;
    size_t count = 10001;
    char *text = test_malloc(2 * count + 1);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + 2 * i, i == 0 ? "[a" : ",a", 2);
    }
    sp_config *config = NULL;
    sp_error err = {0};
    assert_int_equal(
        sp_config_parse((sp_bytes){text, 2 * count}, "f.yaml", &config, &err),
        SP_ERR_CONFIG);
    assert_string_equal(
        err.message,
        "f.yaml:1:20000: more than 10000 values, the limit of a configuration");
    test_free(text);
}

static void too_many_pools_are_refused(void **state)
{
    (void)state;
    char text[2048] = "pools:\n";
    for (int i = 0; i < 65; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "- name: p%d\n", i);
    }
    sp_config *config = NULL;
    sp_error err = {0};
    assert_int_equal(sp_config_parse(sp_text(text), "f.yaml", &config, &err),
                     SP_ERR_CONFIG);
    assert_string_equal(err.message, "f.yaml:2:1: pools: 65 pools, the limit is 64");
}

static void every_failed_allocation_is_reported_and_undone(void **state)
{
    (void)state;
    static const char yaml[] =
        "instance: a\n"
        "defaults: {call_timeout: 3s, command_timeouts: {add: 3s}}\n"
        "pools:\n"
        "  - {name: a, adapter: x.py, args: a 'b c', env: {set: {A: b}, pass: [C]}}\n"
        "  - {name: b, runtime: exec, command: [./w, x]}\n";
    uint64_t n = 1;
    int rc;
    do {
        sp_config *config = NULL;
        sp_error err = {0};
        int64_t live = sp__mem_live();
        sp__mem_fail_at(n, 0);
        rc = sp_config_parse(sp_text(yaml), "f.yaml", &config, &err);
        sp__mem_fail_at(0, 0);
        /* Without memory for it the working directory is left out, not an error. */
        if (rc < 0) {
            assert_int_equal(rc, SP_ERR_NOMEM);
            assert_null(config);
        }
        sp_config_free(config);
        assert_int_equal(sp__mem_live(), live);
        n++;
    } while (rc < 0 || n < 20);
    assert_true(n > 100);
}

/* --- Values -------------------------------------------------------------------------- */

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

static void every_key_reaches_its_option(void **state)
{
    (void)state;
    sp_config *config =
        parse("instance: prod-a\n"
              "workers_max: 77\n"
              "sample_interval: 7s\n"
              "state_dir: /var/lib/x\n"
              "pools:\n"
              "- name: api\n"
              "  runtime: python\n"
              "  profile: process\n"
              "  adapter: app.adapters:Main\n"
              "  python: python3\n"
              "  args: [--a, 'b c']\n"
              "  commands: [one, two]\n"
              "  working_dir: /tmp\n"
              "  size: 3\n"
              "  threads: 4\n"
              "  pipeline: 5\n"
              "  queue: {max: 6}\n"
              "  affinity: strict_queue\n"
              "  startup_batch: 7\n"
              "  startup_batch_delay: 8ms\n"
              "  startup_timeout: 9s\n"
              "  init_timeout: 10m\n"
              "  queue_timeout: 1.5s\n"
              "  call_timeout: 2h\n"
              "  stream_timeout: infinite\n"
              "  command_timeouts: {slow: 3h, quick: 250ms, any: never}\n"
              "  cancel_grace: never\n"
              "  shutdown_grace: 11s\n"
              "  health_interval: 12s\n"
              "  health_misses: 4\n"
              "  hang_grace: 13s\n"
              "  request_max: 64KiB\n"
              "  response_max: 1GiB\n"
              "  env: {pass: [PATH, LANG], set: {A: 1, B: 'x y'}}\n");
    const sp_pit_options *options = sp_config_options(config);
    const sp_pool_options *pool = first_pool(config);
    assert_string_equal(options->instance, "prod-a");
    assert_int_equal(options->workers_max, 77);
    assert_int_equal(options->sample_interval_ms, 7000);
    assert_string_equal(pool->name, "api");
    assert_string_equal(pool->adapter, "app.adapters:Main");
    assert_string_equal(pool->python, "python3");
    assert_string_equal(pool->args[0], "--a");
    assert_string_equal(pool->args[1], "b c");
    assert_null(pool->args[2]);
    assert_string_equal(pool->commands[1], "two");
    assert_null(pool->commands[2]);
    assert_string_equal(pool->working_dir, "/tmp");
    assert_int_equal(pool->workers, 3);
    assert_int_equal(pool->threads, 4);
    assert_int_equal(pool->pipeline_max, 5);
    assert_int_equal(pool->queue_max, 6);
    assert_int_equal(pool->affinity, SP_AFFINITY_STRICT_QUEUE);
    assert_int_equal(pool->startup_batch, 7);
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
    assert_int_equal(pool->health_misses, 4);
    assert_int_equal(pool->hang_grace_ms, 13000);
    assert_int_equal(pool->request_max_bytes, 65536);
    assert_int_equal(pool->response_max_bytes, 1 << 30);
    assert_string_equal(pool->env_pass[1], "LANG");
    assert_null(pool->env_pass[2]);
    assert_string_equal(pool->env_set[0], "A=1");
    assert_string_equal(pool->env_set[1], "B=x y");
    assert_null(pool->env_set[2]);
    sp_config_free(config);
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

/* ---- what a daemon needs ---- */

static void a_daemon_has_options_of_its_own(void **state)
{
    sp_config *config = parse("listen:\n"
                              "  socket: /run/x/y.sock\n"
                              "  clients: 7\n"
                              "  message_max: 2MiB\n"
                              "  idle: never\n"
                              "  users: [web, \"1000\"]\n"
                              "shutdown: {timeout: 1500ms}\n"
                              "log: {level: warn}\n");
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
    assert_string_equal(service->log_level, "warn");
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
    assert_string_equal(service->log_level, "info");
    sp_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_daemon_has_options_of_its_own, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_a_word_of_it_a_daemon_has_the_defaults,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_mistake_names_place_value_and_limit,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(text_over_a_mebibyte_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(too_many_values_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_pools_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_failed_allocation_is_reported_and_undone,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_gives_one_python_pool_with_the_showcase,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_key_reaches_its_option, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(exec_pool_has_a_command_and_no_adapter, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(empty_pass_list_is_not_the_whole_environment,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(relative_paths_start_at_the_working_directory,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(pool_beats_defaults_beat_the_table, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(flag_beats_environment_beats_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(variables_for_python_leave_other_pools_alone,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_variable_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_flags_say_what_is_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(named_file_that_is_missing_is_not_found, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(files_are_found_in_their_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(paths_of_a_file_start_at_its_folder, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(settings_show_value_and_source, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(shown_values_can_be_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(explain_finds_a_key_under_every_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_row_of_the_table_is_complete, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
