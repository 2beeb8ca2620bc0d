/* SPDX-License-Identifier: MIT */
/*
 * call: one question, one answer, one line of JSON.
 *
 * The pit has one pool and one worker for as long as the call takes. With -m the first
 * word is not needed: the function is the tool. `-o text` prints a text result without
 * quotes and anything else as indented JSON, for people.
 */
#include "daemon_call.h"

#include <stdlib.h>
#include <string.h>

/* -o text: what a person would like to read. */
static void print_for_people(const char *json, size_t size)
{
    json_error_t error;
    json_t *value = json_loadb(json, size, JSON_DECODE_ANY, &error);
    if (value == NULL) { /* integers beyond 64 bits: print what was sent */
        (void)fwrite(json, 1, size, stdout);
    } else if (json_is_string(value)) {
        (void)fwrite(json_string_value(value), 1, json_string_length(value), stdout);
    } else {
        char *text = need(json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY));
        (void)fputs(text, stdout);
        free(text);
    }
    (void)fputc('\n', stdout);
    json_decref(value);
}

static int print_result(const struct cli *cli, sp_result *result)
{
    progress_erase();
    if (cli->binary) {
        if (result->binary == NULL) {
            return complain(CODE_FINDING, "the result has no binary part; without "
                                          "--binary its JSON is printed");
        }
        (void)fwrite(result->binary, 1, result->binary_bytes, stdout);
        return CODE_OK;
    }
    if (cli->output == OUTPUT_TEXT) {
        print_for_people(result->json, result->json_bytes);
        return CODE_OK;
    }
    flatten(result->json, result->json_bytes);
    (void)fwrite(result->json, 1, result->json_bytes, stdout);
    (void)fputc('\n', stdout);
    return CODE_OK;
}

static int call_in(struct cli *cli, struct opened *opened, const char *tool,
                   const struct text *args)
{
    sp_result result = {0};
    sp_error err = {0};
    int code = pit_wait(opened);
    if (code != CODE_OK) {
        return code;
    }
    cli->pool = opened->options.pools[0].name;
    progress("calling %s", tool);
    sp_bytes bytes = {args->data, args->size};
    if (perform_call(opened->pit, cli, tool, bytes, 0, &result, &err) == 0) {
        code = print_result(cli, &result);
    } else if (watch_interrupted()) {
        talk("interrupted");
        code = CODE_INTERRUPTED;
    } else {
        code = report(&err);
    }
    sp_result_clear(&result);
    sp_error_clear(&err);
    /* The answer leaves before the workers do. */
    int written = print_flush();
    return code != CODE_OK ? code : written;
}

/* The same of a daemon. */
static int call_at(const struct cli *cli, sp_daemon *daemon, const char *tool,
                   const struct text *args)
{
    struct text json = {0};
    struct text binary = {0};
    progress("calling %s", tool);
    int code = daemon_call(cli, daemon, tool, args, &json, &binary);
    if (code == CODE_OK) {
        sp_result result = {.json = (char *)text_c(&json),
                            .json_bytes = json.size,
                            .binary = binary.data,
                            .binary_bytes = binary.size};
        code = print_result(cli, &result);
    }
    text_free(&json);
    text_free(&binary);
    int written = print_flush();
    return code != CODE_OK ? code : written;
}

int cmd_call(struct cli *cli)
{
    return daemon_is_named(cli)
               ? daemon_words(cli, "call", call_at)
               : perform_words(cli, "call", OPEN_ONE_POOL | OPEN_ONE_WORKER, call_in);
}
