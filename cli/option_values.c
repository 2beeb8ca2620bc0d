/* SPDX-License-Identifier: MIT */
/*
 * What options are given: texts and switches go to their place, the others are read
 * first. A value that cannot be read is a usage error that names the option.
 */
#include "cli.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Where a text goes as it is. */
static const struct {
    enum option_id id;
    size_t at;
} texts[] = {
    {OPTION_ADAPTER, offsetof(struct cli, adapter)},
    {OPTION_BY, offsetof(struct cli, by)},
    {OPTION_CONFIG, offsetof(struct cli, config_path)},
    {OPTION_CONNECT, offsetof(struct cli, address)},
    {OPTION_CONSTRAINTS, offsetof(struct cli, constraints)},
    {OPTION_DEDUPE, offsetof(struct cli, dedupe_key)},
    {OPTION_EACH, offsetof(struct cli, each)},
    {OPTION_FUNCTION, offsetof(struct cli, function)},
    {OPTION_INSTANCE, offsetof(struct cli, instance)},
    {OPTION_KIND, offsetof(struct cli, kind)},
    {OPTION_LANG, offsetof(struct cli, lang)},
    {OPTION_LEVEL, offsetof(struct cli, level)},
    {OPTION_METADATA, offsetof(struct cli, metadata)},
    {OPTION_OUT, offsetof(struct cli, out)},
    {OPTION_OWNER, offsetof(struct cli, owner)},
    {OPTION_PATTERN, offsetof(struct cli, pattern)},
    {OPTION_POOL, offsetof(struct cli, pool)},
    {OPTION_PYTHON, offsetof(struct cli, python)},
    {OPTION_SESSION, offsetof(struct cli, session)},
    {OPTION_SORT, offsetof(struct cli, sort)},
    {OPTION_STATE_DIR, offsetof(struct cli, state_dir)},
    {OPTION_TIMELINE, offsetof(struct cli, timeline)},
    {OPTION_WORKER, offsetof(struct cli, worker)},
};

static const struct {
    enum option_id id;
    size_t at;
} switches[] = {
    {OPTION_BINARY, offsetof(struct cli, binary)},
    {OPTION_CHANGED, offsetof(struct cli, changed)},
    {OPTION_DEATHS, offsetof(struct cli, show_deaths)},
    {OPTION_DETAILED, offsetof(struct cli, is_detailed)},
    {OPTION_DRY_RUN, offsetof(struct cli, dry_run)},
    {OPTION_FIX_HINTS, offsetof(struct cli, fix_hints)},
    {OPTION_FOLLOW, offsetof(struct cli, follow)},
    {OPTION_FORCE, offsetof(struct cli, force)},
    {OPTION_GLOBAL, offsetof(struct cli, global)},
    {OPTION_HELP, offsetof(struct cli, help)},
    {OPTION_IDEMPOTENT, offsetof(struct cli, idempotent)},
    {OPTION_INITIAL, offsetof(struct cli, initial)},
    {OPTION_KEEP_GOING, offsetof(struct cli, keep_going)},
    {OPTION_LIST, offsetof(struct cli, list)},
    {OPTION_NAMES, offsetof(struct cli, names)},
    {OPTION_NO_COLOR, offsetof(struct cli, no_color)},
    {OPTION_NO_EMPTY, offsetof(struct cli, no_empty)},
    {OPTION_ONCE, offsetof(struct cli, once)},
    {OPTION_OR_GET, offsetof(struct cli, or_get)},
    {OPTION_QUIET, offsetof(struct cli, quiet)},
    {OPTION_RECOMMENDATIONS, offsetof(struct cli, wants_advice)},
    {OPTION_UNORDERED, offsetof(struct cli, unordered)},
    {OPTION_VERBOSE, offsetof(struct cli, verbose)},
    {OPTION_VERSION, offsetof(struct cli, version)},
    {OPTION_WORKERS, offsetof(struct cli, show_workers)},
};

/* The configuration reads durations already; borrow its eyes and its words. */
static int read_duration(const char *key, const char *text, const char *what,
                         sp_config **ret_config)
{
    sp_config *config = NULL;
    sp_error err = {0};
    int code = CODE_OK;
    if (sp_config_parse(sp_text(""), "defaults", &config, &err) < 0) {
        code = report(&err);
    } else if (sp_config_set(config, key, text, &err) < 0) {
        const char *colon = strstr(err.message, ": ");
        code = complain(CODE_USAGE, "%s: %s", what,
                        colon != NULL ? colon + 2 : err.message);
    }
    sp_error_clear(&err);
    *ret_config = config;
    return code;
}

int parse_duration(const char *text, const char *what, uint64_t *ret_ms)
{
    sp_config *config;
    int code = read_duration("pool.call_timeout", text, what, &config);
    if (code == CODE_OK) {
        *ret_ms = sp_config_options(config)->pools[0].call_timeout_ms;
    }
    sp_config_free(config);
    return code;
}

/* A session may live longer than a call. */
static int parse_lifetime(const char *text, const char *what, uint64_t *ret_ms)
{
    sp_config *config;
    int code = read_duration("sessions.ttl", text, what, &config);
    if (code == CODE_OK) {
        *ret_ms = sp_config_options(config)->sessions->ttl_ms;
    }
    sp_config_free(config);
    return code;
}

static int parse_number(const char *text, const char *what, uint64_t max,
                        uint64_t *ret_number)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || number < 1 || number > max) {
        return complain(CODE_USAGE, "%s: expected a number from 1 to %llu, not \"%s\"",
                        what, (unsigned long long)max, text);
    }
    *ret_number = number;
    return CODE_OK;
}

static int parse_affinity(const char *text, int *ret_affinity)
{
    static const char *const names[] = {"hint", "none", "strict_queue",
                                        "strict_fail_fast"};
    struct nearest nearest;
    nearest_init(&nearest, text);
    for (int i = 0; i < 4; i++) {
        if (strcmp(names[i], text) == 0) {
            *ret_affinity = SP_AFFINITY_HINT + i;
            return CODE_OK;
        }
        nearest_offer(&nearest, names[i]);
    }
    return complain(CODE_USAGE,
                    "--affinity: expected hint, none, strict_queue or "
                    "strict_fail_fast, not \"%s\"%s%s",
                    text, nearest.name != NULL ? "; did you mean " : "",
                    nearest.name != NULL ? nearest.name : "");
}

int parse_version(const char *text, const char *what, uint64_t *ret_version)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) {
        return complain(CODE_USAGE, "%s: expected a version from 0, not \"%s\"", what,
                        text);
    }
    *ret_version = number;
    return CODE_OK;
}

/* The formats of metrics are not offered to those who make a slip: one command has them. */
static int parse_output(const char *text, const struct command *command,
                        enum output *ret_output)
{
    static const char *const names[] = {"table", "wide",       "json",       "jsonl",
                                        "text",  "prometheus", "openmetrics"};
    int is_metrics = command != NULL && strcmp(command->name, "metrics") == 0;
    int count = is_metrics ? 7 : 5;
    struct nearest nearest;
    nearest_init(&nearest, text);
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], text) == 0) {
            *ret_output = (enum output)(OUTPUT_TABLE + i);
            return CODE_OK;
        }
        nearest_offer(&nearest, names[i]);
    }
    return complain(CODE_USAGE, "--output: expected %s, not \"%s\"%s%s",
                    is_metrics ? "prometheus, openmetrics, table or json"
                               : "table, wide, json, jsonl or text",
                    text, nearest.name != NULL ? "; did you mean " : "",
                    nearest.name != NULL ? nearest.name : "");
}

/* KEY=VALUE, cut in place: argv is the program's to change. */
static int add_set(struct cli *cli, char *text)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        return complain(CODE_USAGE, "--set: expected KEY=VALUE, not \"%s\"", text);
    }
    if (cli->sets_count == SETS_MAX) {
        return complain(CODE_USAGE, "--set: more than %d times", SETS_MAX);
    }
    *equals = '\0';
    cli->sets[cli->sets_count++] = (struct setting){text, equals + 1};
    return CODE_OK;
}

/* NAME=COMMAND, cut in place likewise. */
static int add_tool(struct cli *cli, char *text)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || equals[1] == '\0') {
        return complain(CODE_USAGE, "--tool: expected NAME=COMMAND, not \"%s\"", text);
    }
    if (cli->tools_count == TOOLS_MAX) {
        return complain(CODE_USAGE, "--tool: more than %d times", TOOLS_MAX);
    }
    *equals = '\0';
    cli->tools[cli->tools_count++] = (struct setting){text, equals + 1};
    return CODE_OK;
}

/* 1 when the option is one of the two tables. */
static int store_plain(struct cli *cli, enum option_id id, const char *value)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].id == id) {
            *(const char **)((char *)cli + texts[i].at) = value;
            return 1;
        }
    }
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        if (switches[i].id == id) {
            *(int *)((char *)cli + switches[i].at) = 1;
            return 1;
        }
    }
    return 0;
}

static int parse_count(const char *text, const char *what, uint32_t max, uint32_t *ret)
{
    uint64_t number = 0;
    int code = parse_number(text, what, max, &number);
    *ret = (uint32_t)number;
    return code;
}

/* A time that ends. */
static int parse_span(const char *text, const char *what, uint64_t *ret_ms)
{
    enum { HOUR_MS = 3600 * 1000 };
    int code = parse_duration(text, what, ret_ms);
    if (code == CODE_OK && *ret_ms > HOUR_MS) {
        code = complain(CODE_USAGE, "%s: expected a time up to 1h, not \"%s\"", what,
                        text);
    }
    return code;
}

/* What `bench` and `top` alone take. */
static int store_numbers(struct cli *cli, const struct option_spec *spec,
                         const char *value)
{
    switch ((int)spec->id) {
    case OPTION_DELAY:
        return parse_span(value, "--delay", &cli->delay_ms);
    case OPTION_SINCE:
        return parse_duration(value, "--since", &cli->since_ms);
    case OPTION_DURATION:
        return parse_span(value, "--duration", &cli->duration_ms);
    case OPTION_IN_FLIGHT:
        return parse_count(value, "--in-flight", 65536, &cli->in_flight);
    case OPTION_RATE:
        return parse_count(value, "--rate", 10000000, &cli->rate);
    case OPTION_REPEAT:
        return parse_count(value, "--repeat", 1000, &cli->repeat);
    case OPTION_THREADS:
        return parse_count(value, "--threads", 1024, &cli->threads);
    case OPTION_WARM_UP:
        cli->has_warm_up = 1;
        return strcmp(value, "0") == 0
                   ? CODE_OK
                   : parse_span(value, "--warm-up", &cli->warm_up_ms);
    default:
        return complain(CODE_USAGE, "--%s is known but not read", spec->name);
    }
}

int option_store(struct cli *cli, const struct option_spec *spec, char *value)
{
    uint64_t number = 0;
    int code;
    if (store_plain(cli, spec->id, value)) {
        return CODE_OK;
    }
    switch ((int)spec->id) {
    case OPTION_AFFINITY:
        return parse_affinity(value, &cli->affinity);
    case OPTION_COUNT:
        return parse_number(value, "--count", UINT32_MAX, &cli->count);
    case OPTION_EXPECT_VERSION:
        cli->check_version = 1;
        return parse_version(value, "--expect-version", &cli->expected_version);
    case OPTION_DURABILITY:
        cli->durability = sp_durability_by_name(value);
        return cli->durability > 0
                   ? CODE_OK
                   : complain(CODE_USAGE,
                              "--durability: expected memory, crash or durable, not "
                              "\"%s\"",
                              value);
    case OPTION_OUTPUT:
        return parse_output(value, cli->command, &cli->output);
    case OPTION_PARALLEL:
        code = parse_number(value, "--parallel", WATCH_SLOTS, &number);
        cli->parallel = (uint32_t)number;
        return code;
    case OPTION_SET:
        return add_set(cli, value);
    case OPTION_SIZE:
        cli->workers = value;
        return parse_number(value, "--size", 1000, &number);
    case OPTION_TOOL:
        return add_tool(cli, value);
    case OPTION_TIMEOUT:
        return parse_duration(value, "--timeout", &cli->timeout_ms);
    case OPTION_TTL:
        return parse_lifetime(value, "--ttl", &cli->ttl_ms);
    default:
        return store_numbers(cli, spec, value);
    }
}
