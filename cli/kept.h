/* SPDX-License-Identifier: MIT */
/* What a daemon keeps of what has happened, and what goes on to happen. */
#ifndef SNAKEPIT_CLI_KEPT_H
#define SNAKEPIT_CLI_KEPT_H

#include "view.h"

struct kept {
    const char *report;              /* which has them */
    const char *list;                /* the member of it that is the list */
    void (*show)(const json_t *one); /* as a line of text */
    /* Show what comes behind the wish's cursor, until the end: an exit code. NULL: the
     * report is asked again and again. */
    int (*follow)(const struct cli *cli, struct view *view, const json_t *wish);
};

/* All there are, or the last of --count, and with --follow those that come until the
 * daemon ends or the user ends it; as JSON each is an object on a line. wish  options of
 * the report, taken. An exit code, explained. */
int kept_show(const struct cli *cli, const struct kept *kept, json_t *wish);

#endif
