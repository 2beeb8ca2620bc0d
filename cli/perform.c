/* SPDX-License-Identifier: MIT */
/*
 * One call or one stream, interruptible: what `call`, `stream` and the lines of a script
 * have in common.
 *
 * The call is started without a callback and waited for, so that the watcher knows its
 * id and can cancel it. Results and chunks leave as one line each: line ends inside JSON
 * are white space and become spaces.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

sp_call_options call_options_of(const struct cli *cli)
{
    return (sp_call_options){.size = sizeof(sp_call_options),
                             .pool = cli->pool,
                             .session = cli->session,
                             .timeout_ms = cli->timeout_ms,
                             .dedupe_key = cli->dedupe_key,
                             .affinity = cli->affinity,
                             .traceparent = getenv("TRACEPARENT"),
                             .flags = cli->idempotent ? SP_CALL_IDEMPOTENT : 0};
}

int perform_call(sp_pit *pit, const struct cli *cli, const char *tool, sp_bytes args,
                 int slot, sp_result *ret_result, sp_error *err)
{
    sp_call_options options = call_options_of(cli);
    sp_id call;
    int rc = sp_call_start(pit, tool, args, &options, NULL, NULL, &call, err);
    if (rc < 0) {
        return rc;
    }
    watch_call(slot, call);
    rc = sp_call_wait(pit, call, ret_result, err);
    watch_clear(slot);
    return rc;
}

void flatten(char *json, size_t size)
{
    for (char *end = json + size; json < end; json++) {
        if (*json == '\n' || *json == '\r') {
            *json = ' ';
        }
    }
}

const char *one_line(const char *json, size_t size, struct text *copy)
{
    if (memchr(json, '\n', size) == NULL && memchr(json, '\r', size) == NULL) {
        return json;
    }
    copy->size = 0;
    text_add(copy, json, size);
    flatten(copy->data, copy->size);
    return copy->data;
}

int perform_stream(sp_pit *pit, const struct cli *cli, const char *tool, sp_bytes args,
                   int slot, line_cb cb, void *user_data, sp_error *err)
{
    sp_call_options options = call_options_of(cli);
    sp_stream *stream = NULL;
    struct text copy = {0};
    sp_chunk chunk;
    int rc = sp_stream_open(pit, tool, args, &options, &stream, err);
    if (rc < 0) {
        return rc;
    }
    watch_stream(slot, stream);
    while ((rc = sp_stream_next(stream, &chunk, err)) == 1) {
        const char *data =
            cli->binary ? chunk.data : one_line(chunk.data, chunk.size, &copy);
        if (cb(data, chunk.size, user_data) != 0) {
            rc = SP_ERR_STOPPED_BY_CALLBACK;
            break;
        }
    }
    watch_clear(slot);
    sp_stream_close(stream);
    text_free(&copy);
    return rc;
}

int perform_arguments(struct cli *cli, const char *command, const char **ret_tool,
                      struct text *ret_args)
{
    int first = 0;
    *ret_tool = cli->function;
    if (*ret_tool == NULL && cli->words_count == 0) {
        return complain(
            CODE_USAGE,
            "which tool? snakepit %s TOOL [a=5 ...]; `snakepit tools` lists "
            "them",
            command);
    }
    if (*ret_tool == NULL) {
        *ret_tool = cli->words[0];
        first = 1;
    }
    return arguments_build(cli->words + first, cli->words_count - first, ret_args);
}

int perform_words(struct cli *cli, const char *command, int flags, perform_fn run)
{
    struct opened opened;
    struct text args = {0};
    const char *tool;
    /* Arguments first: a slip in them should not wait for a worker. */
    int code = perform_arguments(cli, command, &tool, &args);
    if (code == CODE_OK) {
        code = pit_open(cli, flags, &opened);
        if (code == CODE_OK) {
            code = run(cli, &opened, tool, &args);
            pit_close(&opened);
        }
    }
    text_free(&args);
    return code;
}
