/* SPDX-License-Identifier: MIT */
/* Help: the list of commands, one of them or of its verbs with options and examples. */
#include "cli.h"

#include <string.h>

static void print_options(const struct option_spec *spec)
{
    for (; spec->name != NULL; spec++) {
        char left[40];
        (void)snprintf(
            left, sizeof left, "%c%c%s--%s%s%s", spec->letter != 0 ? '-' : ' ',
            spec->letter != 0 ? spec->letter : ' ', spec->letter != 0 ? ", " : "  ",
            spec->name, spec->value != NULL ? " " : "",
            spec->value != NULL ? spec->value : "");
        (void)printf("  %-24s %s\n", left, spec->text);
    }
}

void help_all(void)
{
    (void)printf(
        "snakepit calls functions of other languages in a supervised pool of workers.\n"
        "\n"
        "  snakepit [OPTIONS] COMMAND [ARGUMENTS]\n"
        "\n"
        "%sCommands%s\n",
        paint("bold"), paint(""));
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (command->summary != NULL) {
            (void)printf("  %-12s %s\n", command->name, command->summary);
        }
    }
    (void)printf("\n%sOptions of every command%s\n", paint("bold"), paint(""));
    print_options(global_options);
    (void)printf(
        "\n"
        "%sTo start with%s\n"
        "  snakepit call add a=1 b=2     call a tool of the built-in adapter\n"
        "  snakepit tools                see what else it offers\n"
        "  snakepit init                 write an adapter of your own\n"
        "  snakepit doctor               find out why something does not work\n"
        "\n"
        "`snakepit help COMMAND` explains a command; snakepit(1) has it all.\n",
        paint("bold"), paint(""));
}

static void print_all_options(const struct option_spec *of_verb,
                              const struct option_spec *of_command)
{
    if (of_verb != NULL || of_command != NULL) {
        (void)printf("\n%sOptions%s\n", paint("bold"), paint(""));
    }
    if (of_verb != NULL) {
        print_options(of_verb);
    }
    if (of_command != NULL) {
        print_options(of_command);
    }
    (void)printf("\n%sOptions of every command%s\n", paint("bold"), paint(""));
    print_options(global_options);
}

/* Every verb with what it takes, and a line about it when there is room. */
static void print_verbs(const struct command *command)
{
    for (const struct verb *verb = command->verbs; verb->name != NULL; verb++) {
        char left[80];
        (void)snprintf(left, sizeof left, "%s %s", verb->name, verb->usage);
        (void)printf("  %-34s %s\n", left, verb->summary);
    }
    (void)printf("\n  `snakepit %s VERB --help` explains one.\n\n", command->name);
}

void help_command(const struct command *command)
{
    (void)printf("snakepit %s%s%s\n\n", command->name,
                 command->usage[0] != '\0' ? " " : "", command->usage);
    if (command->summary != NULL) {
        (void)printf("  %s\n\n", command->summary);
    }
    if (command->verbs != NULL) {
        print_verbs(command);
    }
    (void)fputs(command->text, stdout);
    print_all_options(NULL, command->options);
}

void help_verb(const struct command *command, const struct verb *verb)
{
    (void)printf("snakepit %s %s%s%s\n\n  %s\n\n", command->name, verb->name,
                 verb->usage[0] != '\0' ? " " : "", verb->usage, verb->summary);
    (void)fputs(verb->text, stdout);
    print_all_options(verb->options, command->options);
}

static int help_of(const struct cli *cli, const struct command *command)
{
    const struct verb *verb = NULL;
    if (cli->words_count > 1 && command->verbs != NULL) {
        verb = verb_find(command, cli->words[1], 1);
        if (verb == NULL) {
            return CODE_USAGE;
        }
    }
    if (verb != NULL) {
        help_verb(command, verb);
    } else {
        help_command(command);
    }
    return CODE_OK;
}

int cmd_help(struct cli *cli)
{
    if (cli->words_count == 0) {
        help_all();
        return CODE_OK;
    }
    const struct command *command = command_find(cli->words[0]);
    if (command != NULL) {
        return help_of(cli, command);
    }
    struct nearest nearest;
    nearest_init(&nearest, cli->words[0]);
    for (const struct command *c = commands; c->name != NULL; c++) {
        nearest_offer(&nearest, c->summary != NULL ? c->name : "");
    }
    return complain(CODE_USAGE, "unknown command \"%s\"%s%s", cli->words[0],
                    nearest.name != NULL ? "; did you mean " : "",
                    nearest.name != NULL ? nearest.name : "");
}
