/* SPDX-License-Identifier: MIT */
/* What a command looks at: a daemon that runs, or else a pit of its own. */
#ifndef SNAKEPIT_CLI_VIEW_H
#define SNAKEPIT_CLI_VIEW_H

#include "cli.h"

struct view {
    sp_daemon *daemon; /* NULL: it is the pit */
    struct opened own; /* when there is no daemon */
};

/* --connect and --instance, which choose the daemon. */
#define VIEW_OPTIONS                                                                  \
    {"connect", 0, "ADDRESS", OPTION_CONNECT,                                         \
     "look at this daemon, such as unix:/path"},                                      \
    {                                                                                 \
        "instance", 0, "NAME", OPTION_INSTANCE, "look at the daemon of this instance" \
    }

/* The daemon of --connect, of $SNAKEPIT_ADDRESS, or whoever listens on the instance's
 * socket; else a pit of the configuration, started and, unless it is in vain, ready. 0 or
 * an exit code, explained. CODE_INTERRUPTED: the user does not want to wait. */
int view_open(const struct cli *cli, struct view *ret);
/* Only a daemon: 0, CODE_UNREACHABLE when there is none, or another exit code. */
int view_open_daemon(const struct cli *cli, struct view *ret);
void view_close(struct view *view);

/* view_open(), `show`, view_close(): the exit code. */
typedef int (*view_fn)(const struct cli *cli, struct view *view);
int view_do(const struct cli *cli, view_fn show);

/* A report as JSON, which the caller releases. options  a JSON object that is taken, or
 * NULL. Errors: those of sp_pit_report(); SP_ERR_PROTOCOL: it is no JSON. */
int view_ask(struct view *view, const char *name, json_t *options, json_t **ret_report,
             sp_error *err);

/* The same; NULL, explained, with the exit code in *ret_code. */
json_t *view_report(struct view *view, const char *name, json_t *options,
                    int *ret_code);

/* The same as text, for reports that are not JSON: 0 or an exit code, explained. */
int view_text(struct view *view, const char *name, json_t *options,
              struct text *ret_text);

/* ---- where a daemon is, for state.c too ---- */

/* NULL when the variable is not set, or "". */
const char *environment_text(const char *name);

/* The address of --connect, or else the environment's, which an instance that is typed
 * comes before. NULL: neither says one. */
const char *address_named(const struct cli *cli);
/* "unix:" and the socket on which the daemon of an instance would listen. */
int daemon_address(sp_config *config, const char *instance, struct text *ret_address,
                   sp_error *err);
/* Nobody listens there; or nobody could, on such a path. Clears the error then. */
int is_nobody(int rc, sp_error *err);

#endif
