/* SPDX-License-Identifier: MIT */
/* Help: the list of commands, and one command with its options and examples. */
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

void help_command(const struct command *command)
{
    (void)printf("snakepit %s%s%s\n\n", command->name,
                 command->usage[0] != '\0' ? " " : "", command->usage);
    if (command->summary != NULL) {
        (void)printf("  %s\n\n", command->summary);
    }
    (void)fputs(command->text, stdout);
    if (command->options != NULL) {
        (void)printf("\n%sOptions%s\n", paint("bold"), paint(""));
        print_options(command->options);
    }
    (void)printf("\n%sOptions of every command%s\n", paint("bold"), paint(""));
    print_options(global_options);
}

int cmd_help(struct cli *cli)
{
    if (cli->words_count == 0) {
        help_all();
        return CODE_OK;
    }
    const struct command *command = command_find(cli->words[0]);
    if (command != NULL) {
        help_command(command);
        return CODE_OK;
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
