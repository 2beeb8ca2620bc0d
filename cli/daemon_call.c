/* SPDX-License-Identifier: MIT */
/*
 * Calls of a daemon's tools.
 *
 * The rule for all commands: a daemon that is named is the one they are about. One that is
 * not named but runs is taken by those that look; those that call have a pit of their own
 * then. Flags that describe a pit do not go with a daemon.
 */
#include "daemon_call.h"

#include "view.h"

enum { LOOK_MS = 200 /* how soon an interrupt shows */ };

static int describes_pit(const struct cli *cli)
{
    return cli->adapter != NULL || cli->function != NULL || cli->python != NULL ||
           cli->workers != NULL || cli->tools_count > 0 || cli->timeline != NULL;
}

int daemon_is_named(const struct cli *cli)
{
    return cli->address != NULL || cli->instance != NULL ||
           (environment_text("SNAKEPIT_ADDRESS") != NULL && !describes_pit(cli));
}

int daemon_words(struct cli *cli, const char *command, daemon_fn run)
{
    struct view view;
    struct text args = {0};
    const char *tool;
    if (describes_pit(cli)) {
        return complain(CODE_USAGE,
                        "-a, -m, --python, --size, --tool and --timeline are for a pit "
                        "that is started; --connect and --instance call one that runs");
    }
    int code = perform_arguments(cli, command, &tool, &args);
    if (code == CODE_OK) {
        code = view_open_daemon(cli, &view);
        if (code == CODE_OK) {
            code = run(cli, view.daemon, tool, &args);
            view_close(&view);
        }
    }
    text_free(&args);
    return code;
}

/* The next answer: 1, 0 at the end, or an error; an interrupt is SP_ERR_CANCELLED. */
static int next_answer(sp_daemon_call *call, sp_daemon_answer *ret, sp_error *err)
{
    int rc;
    do {
        sp_error_clear(err);
        rc = watch_interrupted() ? sp_error_set(err, SP_ERR_CANCELLED, "interrupted")
                                 : sp_daemon_call_next(call, LOOK_MS, ret, err);
    } while (rc == SP_ERR_NOT_READY);
    return rc;
}

static int open_call(const struct cli *cli, sp_daemon *daemon, const char *tool,
                     const struct text *args, int streams, sp_daemon_call **ret_call,
                     sp_error *err)
{
    const sp_call_options options = call_options_of(cli);
    return sp_daemon_call_open(daemon, tool, (sp_bytes){args->data, args->size},
                               &options, streams, ret_call, err);
}

int daemon_call(const struct cli *cli, sp_daemon *daemon, const char *tool,
                const struct text *args, struct text *ret_json, struct text *ret_binary)
{
    sp_daemon_call *call = NULL;
    sp_daemon_answer answer = {0};
    sp_error err = {0};
    int rc = open_call(cli, daemon, tool, args, 0, &call, &err);
    if (rc == SP_OK) {
        rc = next_answer(call, &answer, &err);
    }
    if (rc == 1) {
        text_add(ret_json, answer.json.data, answer.json.size);
        if (answer.binary.size > 0) {
            text_add(ret_binary, answer.binary.data, answer.binary.size);
        }
        rc = next_answer(call, &answer, &err); /* how it has ended */
    } else if (rc == 0) {
        rc = sp_error_set(&err, SP_ERR_PROTOCOL, "the daemon gave no answer");
    }
    int code = CODE_OK;
    if (rc != 0) {
        code = watch_interrupted() ? CODE_INTERRUPTED : report(&err);
    }
    if (code == CODE_INTERRUPTED) {
        talk("interrupted");
    }
    sp_daemon_call_close(call);
    sp_error_clear(&err);
    return code;
}

int daemon_stream(const struct cli *cli, sp_daemon *daemon, const char *tool,
                  const struct text *args, line_cb cb, void *user_data, sp_error *err)
{
    sp_daemon_call *call = NULL;
    sp_daemon_answer chunk;
    struct text copy = {0};
    int rc = open_call(cli, daemon, tool, args, 1, &call, err);
    while (rc >= 0 && (rc = next_answer(call, &chunk, err)) == 1) {
        sp_bytes shown =
            cli->binary && chunk.binary.size > 0 ? chunk.binary : chunk.json;
        const char *data =
            cli->binary ? shown.data : one_line(shown.data, shown.size, &copy);
        if (cb(data, shown.size, user_data) != 0) {
            rc = SP_ERR_STOPPED_BY_CALLBACK;
            break;
        }
    }
    sp_daemon_call_close(call);
    text_free(&copy);
    return rc;
}
