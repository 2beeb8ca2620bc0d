/* SPDX-License-Identifier: MIT */
/*
 * snakepit, the command line: parse, find the command, run it, exit with its code.
 *
 * The commands are in commands.c, one file each beside it. Everything they print as data
 * goes to standard output, everything else to standard error.
 */
#include "cli.h"

#include <locale.h>
#include <stdlib.h>

static int run(struct cli *cli)
{
    if (cli->version) {
        (void)printf("snakepit %s\n", SP_VERSION_STRING);
        return CODE_OK;
    }
    if (cli->command == NULL) {
        if (cli->help) {
            help_all();
            return CODE_OK;
        }
        return complain(CODE_USAGE, "which command? `snakepit help` lists them; for a "
                                    "start:\n  snakepit call add a=1 b=2");
    }
    if (cli->help && cli->verb != NULL) {
        help_verb(cli->command, cli->verb);
        return CODE_OK;
    }
    if (cli->help) {
        help_command(cli->command);
        return CODE_OK;
    }
    return cli->command->verbs != NULL ? verb_run(cli) : cli->command->run(cli);
}

int main(int argc, char **argv)
{
    struct cli cli = {0};
    (void)setlocale(LC_CTYPE, ""); /* an unknown locale leaves "C", which is fine */
    watch_init();
    talk_init(&cli);
    int code = options_parse(&cli, argc, argv);
    talk_init(&cli); /* -q and --no-color are known now */
    print_init(cli.has_color);
    if (code == CODE_OK) {
        code = run(&cli);
    }
    progress_erase();
    int written = print_flush();
    if (watch_interrupted() && code != CODE_OK) {
        code = CODE_INTERRUPTED;
    }
    free(cli.words);
    return code != CODE_OK ? code : written;
}
