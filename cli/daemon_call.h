/* SPDX-License-Identifier: MIT */
/* Calls of a daemon's tools, where the command line or the environment names a daemon. */
#ifndef SNAKEPIT_CLI_DAEMON_CALL_H
#define SNAKEPIT_CLI_DAEMON_CALL_H

#include "cli.h"

/* By --connect or --instance, or by $SNAKEPIT_ADDRESS unless flags describe a pit. */
int daemon_is_named(const struct cli *cli);

/* As perform_words(): `run` calls the tool of that daemon. An exit code. */
typedef int (*daemon_fn)(const struct cli *cli, sp_daemon *daemon, const char *tool,
                         const struct text *args);
int daemon_words(struct cli *cli, const char *command, daemon_fn run);

/* One call, interruptible: 0 or an exit code, explained. binary->data NULL: there is
 * none. */
int daemon_call(const struct cli *cli, sp_daemon *daemon, const char *tool,
                const struct text *args, struct text *ret_json,
                struct text *ret_binary);

/* One stream, as perform_stream() has it. */
int daemon_stream(const struct cli *cli, sp_daemon *daemon, const char *tool,
                  const struct text *args, line_cb cb, void *user_data, sp_error *err);

#endif
