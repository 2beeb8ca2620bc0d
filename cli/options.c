/* SPDX-License-Identifier: MIT */
/*
 * The command line: global options anywhere, those of the command and of its verb after
 * it, the rest words.
 *
 * One table lists the global options and one per command and verb its own; this file
 * walks them and fills struct cli, option_values.c reads what they are given. "--" ends
 * the options; what looks like an option and is none is a usage error with the nearest
 * that exists.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

const struct option_spec global_options[] = {
    {"config", 0, "FILE", OPTION_CONFIG, "configuration, else it is searched for"},
    {"set", 0, "KEY=VALUE", OPTION_SET, "override a setting, such as pool.size=4"},
    {"pool", 'p', "NAME", OPTION_POOL, "use this pool, else the first"},
    {"adapter", 'a', "SPEC", OPTION_ADAPTER,
     "showcase, module:Class, or a file such as file.py"},
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
    const struct verb *verb;           /* the same, when the command has some */
    const struct option_spec *globals; /* NULL inside a script */
    int argc;
    char **argv;
    int at;
};

/* The tables to look in, the nearest first. */
enum { TABLES = 3 };
static void tables_of(const struct walk *walk,
                      const struct option_spec *ret_tables[TABLES])
{
    ret_tables[0] = walk->verb != NULL ? walk->verb->options : NULL;
    ret_tables[1] = walk->command != NULL ? walk->command->options : NULL;
    ret_tables[2] = walk->globals;
}

static const struct option_spec *find_option(const struct walk *walk, const char *name,
                                             size_t length, char letter)
{
    const struct option_spec *tables[TABLES];
    const struct option_spec *spec = NULL;
    tables_of(walk, tables);
    for (size_t i = 0; spec == NULL && i < TABLES; i++) {
        spec = find_in(tables[i], name, length, letter);
    }
    return spec;
}

static int unknown_option(const struct walk *walk, const char *word)
{
    struct nearest nearest;
    const struct option_spec *tables[TABLES];
    size_t length = strcspn(word, "=");
    char name[64];
    char command[64] = "";
    (void)snprintf(name, sizeof name, "%.*s", (int)length, word);
    nearest_init(&nearest, name + strspn(name, "-"));
    tables_of(walk, tables);
    for (size_t i = 0; i < TABLES; i++) {
        for (const struct option_spec *s = tables[i]; s != NULL && s->name != NULL;
             s++) {
            nearest_offer(&nearest, s->name);
        }
    }
    if (walk->command != NULL) {
        (void)snprintf(command, sizeof command, " %s%s%s", walk->command->name,
                       walk->verb != NULL ? " " : "",
                       walk->verb != NULL ? walk->verb->name : "");
    }
    if (nearest.name != NULL) {
        return complain(CODE_USAGE,
                        "unknown option %s; did you mean --%s?\n"
                        "`snakepit%s --help` lists the options",
                        name, nearest.name, command);
    }
    return complain(CODE_USAGE,
                    "unknown option %s\n`snakepit%s --help` lists the options", name,
                    command);
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
    return option_store(walk->cli, spec, value);
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

static int take_verb(struct walk *walk, const char *name)
{
    walk->verb = verb_find(walk->command, name, 1);
    walk->cli->verb = walk->verb;
    return walk->verb != NULL ? CODE_OK : CODE_USAGE;
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
        } else if (walk->command->verbs != NULL && walk->verb == NULL) {
            code = take_verb(walk, word);
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
    struct walk walk = {cli, NULL, NULL, global_options, argc, argv, 1};
    cli->words = need(calloc((size_t)argc + 1, sizeof *cli->words));
    look_for_output(cli, argc, argv);
    return walk_words(&walk);
}

int options_parse_line(struct cli *cli, const struct command *command, int count,
                       char **words)
{
    struct walk walk = {cli, command, NULL, NULL, count, words, 0};
    return walk_words(&walk);
}
