/* SPDX-License-Identifier: MIT */
/*
 * Configurations that are refused: each mistake by its message, with the place, the value
 * and the limit; too much of everything; and too little memory.
 */
#include <stdio.h>
#include <string.h>

#include "config_text.h"

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
    {"size: 4\npools: [{name: a}]\n",
     "1:1: size: unknown key; it belongs into a pool or under defaults"},
    {"queue: {max: 4}\npools: [{name: a}]\n",
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
     "1:16: guard.level: expected auto, lifeline, subreaper, cgroup or namespace, "
     "not \"magic\""},
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
    {"pools:\n  - runtime: pythn\n",
     "2:14: pools[0].runtime: expected python, node, ruby, r, exec, "
     "grpc, grpc_server or stdio, not \"pythn\"; did you mean \"python\"?"},
    {"pools:\n  - runtime: perl\n", "2:14: pools[0].runtime: expected python, node, "
                                    "ruby, r, exec, "
                                    "grpc, grpc_server or stdio, not \"perl\""},
    {"pools:\n  - runtime: Python\n",
     "2:14: pools[0].runtime: expected python, node, ruby, r, exec, "
     "grpc, grpc_server or stdio, not \"Python\"; did you "
     "mean \"python\"?"},
    {"pools:\n  - threads: 2\n",
     "2:14: pools[0].threads: is for the profile thread; with the profile process it "
     "is max_concurrency that lets asynchronous calls overlap"},
    {"pools:\n  - profile: thread\n    max_concurrency: 2\n",
     "3:22: pools[0].max_concurrency: is for the profile process; with the profile "
     "thread a worker runs as many calls as it has threads"},
    {"pools:\n  - profile: threads\n",
     "2:14: pools[0].profile: expected process or thread, not \"threads\"; did "
     "you mean \"thread\"?"},
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
     "2:14: pools[0].command: is for the runtimes exec, grpc, "
     "grpc_server and stdio; this pool is python"},
    {"pools:\n  - runtime: grpc\n    command: [a]\n    adapter: showcase\n",
     "4:14: pools[0].adapter: is for the runtimes python, node, ruby and r; "
     "this pool is grpc"},
    {"pools:\n  - adapter: tools.mjs\n    python: python3\n",
     "3:13: pools[0].python: is for the runtime python; this pool is node"},
    {"pools:\n  - runtime: python\n    adapter: tools.mjs\n    interpreter: node\n",
     "4:18: pools[0].interpreter: is for the runtimes node, ruby and r; this pool is "
     "python"},
    {"size: 0\n", "1:7: size: 0 is out of range 1..1000"},
    {"queue: {max: 0}\n", "1:14: queue.max: 0 is out of range 1..10000000"},
    {"sise: 4\n", "1:1: sise: unknown key"},
    {"pools:\n  - runtime: exec\n    command: [a]\n    python: python3\n",
     "4:13: pools[0].python: is for the runtime python; this pool is exec"},
};

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_mistake_names_place_value_and_limit),
        TEST(text_over_a_mebibyte_is_refused),
        TEST(too_many_values_are_refused),
        TEST(too_many_pools_are_refused),
        TEST(every_failed_allocation_is_reported_and_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
