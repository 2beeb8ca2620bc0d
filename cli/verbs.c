/* SPDX-License-Identifier: MIT */
/*
 * Commands that do several things: `snakepit session create`, `snakepit config show`.
 *
 * A command's table of verbs is its list of help, completion and "did you mean", and
 * says how many words each takes, so that a verb may rely on them being there.
 */
#include "cli.h"

#include <string.h>

static void list_verbs(const struct command *command, struct text *out)
{
    for (const struct verb *verb = command->verbs; verb->name != NULL; verb++) {
        int is_last = verb[1].name == NULL;
        text_printf(out, "%s%s",
                    verb == command->verbs ? ""
                    : is_last              ? " or "
                                           : ", ",
                    verb->name);
    }
}

static void complain_unknown(const struct command *command, const char *name)
{
    struct text list = {0};
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (const struct verb *verb = command->verbs; verb->name != NULL; verb++) {
        nearest_offer(&nearest, verb->name);
    }
    list_verbs(command, &list);
    if (nearest.name != NULL) {
        (void)complain(CODE_USAGE, "%s has no \"%s\"; did you mean \"%s\"?",
                       command->name, name, nearest.name);
    } else {
        (void)complain(CODE_USAGE, "%s has no \"%s\"; it takes %s", command->name, name,
                       text_c(&list));
    }
    text_free(&list);
}

const struct verb *verb_find(const struct command *command, const char *name,
                             int explain)
{
    for (const struct verb *verb = command->verbs; verb->name != NULL; verb++) {
        if (strcmp(verb->name, name) == 0) {
            return verb;
        }
    }
    if (explain) {
        complain_unknown(command, name);
    }
    return NULL;
}

int verb_run(struct cli *cli)
{
    const struct command *command = cli->command;
    const struct verb *verb = cli->verb;
    if (verb == NULL) {
        struct text list = {0};
        list_verbs(command, &list);
        int code =
            complain(CODE_USAGE, "%s what? %s\n`snakepit %s --help` explains them",
                     command->name, text_c(&list), command->name);
        text_free(&list);
        return code;
    }
    if (cli->words_count < verb->words_min) {
        return complain(CODE_USAGE, "%s %s needs more: snakepit %s %s %s",
                        command->name, verb->name, command->name, verb->name,
                        verb->usage);
    }
    if (cli->words_count > verb->words_max) {
        return complain(CODE_USAGE, "%s %s: too many words, at \"%s\"", command->name,
                        verb->name, cli->words[verb->words_max]);
    }
    return verb->run(cli);
}
