/* SPDX-License-Identifier: MIT */
/*
 * The command line: global options anywhere, the command's own after it, the rest words.
 *
 * One table lists the global options and one per command its own; this file walks them
 * and fills struct cli. "--" ends the options; what looks like an option and is none is
 * a usage error with the nearest that exists.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

const struct option_spec global_options[] = {
    {"config", 0, "FILE", OPTION_CONFIG, "configuration, else it is searched for"},
    {"set", 0, "KEY=VALUE", OPTION_SET, "override a setting, such as pool.size=4"},
    {"pool", 'p', "NAME", OPTION_POOL, "use this pool, else the first"},
    {"adapter", 'a', "SPEC", OPTION_ADAPTER,
     "Python adapter: showcase, module:Class, file.py"},
    {"function", 'm', "FUNC", OPTION_FUNCTION,
     "call any importable function, such as math.sqrt"},
    {"python", 0, "PATH", OPTION_PYTHON, "Python interpreter"},
    {"size", 0, "N", OPTION_SIZE, "number of workers"},
    {"output", 'o', "FORMAT", OPTION_OUTPUT, "table, wide, json, jsonl or text"},
    {"quiet", 'q', NULL, OPTION_QUIET, "no talk: workers' output, progress, warnings"},
    {"verbose", 'v', NULL, OPTION_VERBOSE, "say what happens to workers"},
    {"no-color", 0, NULL, OPTION_NO_COLOR, "no colours, as NO_COLOR"},
    {"help", 'h', NULL, OPTION_HELP, "explain the command"},
    {"version", 0, NULL, OPTION_VERSION, "print the version"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

/* --- Values -------------------------------------------------------------------------- */

int parse_duration(const char *text, const char *what, uint64_t *ret_ms)
{
    /* The configuration reads durations already; borrow its eyes and its words. */
    sp_config *config = NULL;
    sp_error err = {0};
    int code = CODE_OK;
    if (sp_config_parse(sp_text(""), "defaults", &config, &err) < 0) {
        code = report(&err);
    } else if (sp_config_set(config, "pool.call_timeout", text, &err) < 0) {
        const char *colon = strstr(err.message, ": ");
        code = complain(CODE_USAGE, "%s: %s", what,
                        colon != NULL ? colon + 2 : err.message);
    } else {
        *ret_ms = sp_config_options(config)->pools[0].call_timeout_ms;
    }
    sp_error_clear(&err);
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

static int parse_output(const char *text, enum output *ret_output)
{
    static const char *const names[] = {"table", "wide", "json", "jsonl", "text"};
    struct nearest nearest;
    nearest_init(&nearest, text);
    for (int i = 0; i < 5; i++) {
        if (strcmp(names[i], text) == 0) {
            *ret_output = (enum output)(OUTPUT_TABLE + i);
            return CODE_OK;
        }
        nearest_offer(&nearest, names[i]);
    }
    return complain(
        CODE_USAGE,
        "--output: expected table, wide, json, jsonl or text, not \"%s\"%s%s", text,
        nearest.name != NULL ? "; did you mean " : "",
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

static int store(struct cli *cli, const struct option_spec *spec, char *value)
{
    uint64_t number = 0;
    int code = CODE_OK;
    switch (spec->id) {
    case OPTION_ADAPTER:
        cli->adapter = value;
        break;
    case OPTION_BINARY:
        cli->binary = 1;
        break;
    case OPTION_CHANGED:
        cli->changed = 1;
        break;
    case OPTION_CONFIG:
        cli->config_path = value;
        break;
    case OPTION_COUNT:
        return parse_number(value, "--count", UINT32_MAX, &cli->count);
    case OPTION_DEDUPE:
        cli->dedupe_key = value;
        break;
    case OPTION_DRY_RUN:
        cli->dry_run = 1;
        break;
    case OPTION_FORCE:
        cli->force = 1;
        break;
    case OPTION_FUNCTION:
        cli->function = value;
        break;
    case OPTION_HELP:
        cli->help = 1;
        break;
    case OPTION_IDEMPOTENT:
        cli->idempotent = 1;
        break;
    case OPTION_INSTANCE:
        cli->instance = value;
        break;
    case OPTION_KEEP_GOING:
        cli->keep_going = 1;
        break;
    case OPTION_LANG:
        cli->lang = value;
        break;
    case OPTION_NAMES:
        cli->names = 1;
        break;
    case OPTION_NO_COLOR:
        cli->no_color = 1;
        break;
    case OPTION_OUTPUT:
        return parse_output(value, &cli->output);
    case OPTION_PARALLEL:
        code = parse_number(value, "--parallel", WATCH_SLOTS, &number);
        cli->parallel = (uint32_t)number;
        return code;
    case OPTION_POOL:
        cli->pool = value;
        break;
    case OPTION_PYTHON:
        cli->python = value;
        break;
    case OPTION_QUIET:
        cli->quiet = 1;
        break;
    case OPTION_SESSION:
        cli->session = value;
        break;
    case OPTION_SET:
        return add_set(cli, value);
    case OPTION_SIZE:
        cli->workers = value;
        return parse_number(value, "--size", 1000, &number);
    case OPTION_TIMEOUT:
        return parse_duration(value, "--timeout", &cli->timeout_ms);
    case OPTION_VERBOSE:
        cli->verbose = 1;
        break;
    case OPTION_VERSION:
        cli->version = 1;
        break;
    case OPTION_DEATHS:
        cli->show_deaths = 1;
        break;
    case OPTION_WORKERS:
        cli->show_workers = 1;
        break;
    case OPTION_NONE:
        break;
    }
    return CODE_OK;
}

/* --- Walking ------------------------------------------------------------------------- */

static const struct option_spec *find_in(const struct option_spec *specs,
                                         const char *name, size_t length, char letter)
{
    for (; specs != NULL && specs->name != NULL; specs++) {
        int is_named = name != NULL && strlen(specs->name) == length &&
                       strncmp(specs->name, name, length) == 0;
        if (is_named || (letter != 0 && specs->letter == letter)) {
            return specs;
        }
    }
    return NULL;
}

struct walk {
    struct cli *cli;
    const struct command *command;     /* NULL before it is known */
    const struct option_spec *globals; /* NULL inside a script */
    int argc;
    char **argv;
    int at;
};

static const struct option_spec *find_option(const struct walk *walk, const char *name,
                                             size_t length, char letter)
{
    const struct option_spec *own =
        walk->command != NULL ? walk->command->options : NULL;
    const struct option_spec *spec = find_in(own, name, length, letter);
    return spec != NULL ? spec : find_in(walk->globals, name, length, letter);
}

static int unknown_option(const struct walk *walk, const char *word)
{
    struct nearest nearest;
    const struct option_spec *tables[] = {
        walk->command != NULL ? walk->command->options : NULL, walk->globals};
    size_t length = strcspn(word, "=");
    char name[64];
    (void)snprintf(name, sizeof name, "%.*s", (int)length, word);
    nearest_init(&nearest, name + strspn(name, "-"));
    for (size_t i = 0; i < 2; i++) {
        for (const struct option_spec *s = tables[i]; s != NULL && s->name != NULL;
             s++) {
            nearest_offer(&nearest, s->name);
        }
    }
    const char *command = walk->command != NULL ? walk->command->name : "";
    const char *space = walk->command != NULL ? " " : "";
    if (nearest.name != NULL) {
        return complain(CODE_USAGE,
                        "unknown option %s; did you mean --%s?\n"
                        "`snakepit%s%s --help` lists the options",
                        name, nearest.name, space, command);
    }
    return complain(CODE_USAGE,
                    "unknown option %s\n`snakepit%s%s --help` lists the options", name,
                    space, command);
}

/* One word that begins with '-'; takes its value, maybe from the next word. */
static int take_option(struct walk *walk)
{
    char *word = walk->argv[walk->at];
    const struct option_spec *spec;
    char *value = NULL;
    if (word[1] == '-') {
        size_t length = strcspn(word + 2, "=");
        spec = find_option(walk, word + 2, length, 0);
        value = word[2 + length] == '=' ? word + 2 + length + 1 : NULL;
    } else {
        spec = find_option(walk, NULL, 0, word[1]);
        value = word[2] != '\0' ? word + 2 : NULL;
    }
    if (spec == NULL) {
        return unknown_option(walk, word);
    }
    if (spec->value == NULL && value != NULL) {
        return complain(CODE_USAGE, "--%s takes no value", spec->name);
    }
    if (spec->value != NULL && value == NULL) {
        if (walk->at + 1 >= walk->argc) {
            return complain(CODE_USAGE, "--%s needs a value: --%s %s", spec->name,
                            spec->name, spec->value);
        }
        value = walk->argv[++walk->at];
    }
    return store(walk->cli, spec, value);
}

static int take_command(struct walk *walk, const char *name)
{
    walk->command = command_find(name);
    if (walk->command != NULL) {
        walk->cli->command = walk->command;
        return CODE_OK;
    }
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (const struct command *c = commands; c->name != NULL; c++) {
        nearest_offer(&nearest, c->summary != NULL ? c->name : "");
    }
    if (nearest.name != NULL) {
        return complain(CODE_USAGE, "unknown command \"%s\"; did you mean \"%s\"?",
                        name, nearest.name);
    }
    return complain(CODE_USAGE,
                    "unknown command \"%s\"\n`snakepit help` lists the commands", name);
}

static int walk_words(struct walk *walk)
{
    struct cli *cli = walk->cli;
    int options_end = 0;
    for (; walk->at < walk->argc; walk->at++) {
        char *word = walk->argv[walk->at];
        int code = CODE_OK;
        if (!options_end && strcmp(word, "--") == 0) {
            options_end = 1;
        } else if (!options_end && word[0] == '-' && word[1] != '\0') {
            code = take_option(walk);
        } else if (walk->command == NULL) {
            code = take_command(walk, word);
        } else {
            cli->words[cli->words_count++] = word;
        }
        if (code != CODE_OK) {
            return code;
        }
    }
    return CODE_OK;
}

/* Set -o json before anything can go wrong, so that every error comes in that form. */
static void look_for_output(struct cli *cli, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        if (strncmp(argv[i], "-o", 2) == 0) {
            value = argv[i][2] != '\0' ? argv[i] + 2 : argv[i + 1];
        } else if (strncmp(argv[i], "--output=", 9) == 0) {
            value = argv[i] + 9;
        } else if (strcmp(argv[i], "--output") == 0) {
            value = argv[i + 1];
        }
        if (value != NULL && strncmp(value, "json", 4) == 0) {
            cli->output = OUTPUT_JSON;
        }
        cli->quiet |= strcmp(argv[i], "-q") == 0 || strcmp(argv[i], "--quiet") == 0;
        if (strcmp(argv[i], "--") == 0) {
            return;
        }
    }
}

int options_parse(struct cli *cli, int argc, char **argv)
{
    struct walk walk = {cli, NULL, global_options, argc, argv, 1};
    cli->words = need(calloc((size_t)argc + 1, sizeof *cli->words));
    look_for_output(cli, argc, argv);
    return walk_words(&walk);
}

int options_parse_line(struct cli *cli, const struct command *command, int count,
                       char **words)
{
    struct walk walk = {cli, command, NULL, count, words, 0};
    return walk_words(&walk);
}
