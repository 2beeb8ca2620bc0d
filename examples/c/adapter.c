/* SPDX-License-Identifier: MIT */
/*
 * A custom adapter in C: how to start a kind of worker, and what to check and change on
 * the way there and back.
 *
 *     adapter [PATH]    PATH is c_worker, built beside this program
 *
 * The worker knows `add` and `echo`. This side refuses texts that are too long, before
 * anything is queued; fills in who asks; puts the result into an envelope; and allows
 * `add` a second, whatever the pool says.
 */
#include <snakepit/snakepit.h>
#include <stdio.h>
#include <string.h>

enum { ARGS_MAX = 64 };

static int validate(void *user_data, const char *command, sp_bytes args_json,
                    sp_error *err)
{
    (void)user_data;
    if (args_json.size <= ARGS_MAX) {
        return 0;
    }
    (void)snprintf(err->message, sizeof err->message,
                   "%s takes at most %d bytes, got %zu", command, ARGS_MAX,
                   args_json.size);
    return -1;
}

static int append(sp_buffer *buffer, const char *text)
{
    return sp_buffer_append(buffer, sp_text(text));
}

/* {"text": "x"} becomes {"asked_by": "adapter.c", "text": "x"}. */
static int prepare(void *user_data, const char *command, sp_bytes args_json,
                   sp_buffer *ret_args, sp_error *err)
{
    const char *who = user_data;
    char begin[64];
    (void)err;
    if (strcmp(command, "echo") != 0) {
        return 0; /* as they are */
    }
    (void)snprintf(begin, sizeof begin, "{\"asked_by\": \"%s\", ", who);
    int rc = append(ret_args, begin);
    return rc < 0
               ? rc
               : sp_buffer_append(ret_args, (sp_bytes){(const char *)args_json.data + 1,
                                                       args_json.size - 1});
}

static int process(void *user_data, const char *command, sp_bytes result_json,
                   sp_buffer *ret_result, sp_error *err)
{
    char begin[64];
    (void)user_data;
    (void)err;
    (void)snprintf(begin, sizeof begin, "{\"command\": \"%s\", \"result\": ", command);
    int rc = append(ret_result, begin);
    if (rc == 0) {
        rc = sp_buffer_append(ret_result, result_json);
    }
    return rc < 0 ? rc : append(ret_result, "}");
}

static uint64_t timeout_ms(void *user_data, const char *command, sp_bytes args_json)
{
    (void)user_data;
    (void)args_json;
    return strcmp(command, "add") == 0 ? 1000 : 0;
}

static void call(sp_pit *pit, const char *tool, const char *args)
{
    sp_result result = {0};
    sp_error err = {0};
    int rc = sp_execute(pit, tool, sp_text(args), NULL, &result, &err);
    if (rc == 0) {
        printf("%s\n", result.json);
    } else {
        printf("%s: %s\n", sp_error_name(rc), err.message);
    }
    sp_result_clear(&result);
    sp_error_clear(&err);
}

int main(int argc, char **argv)
{
    sp_adapter adapter = {.size = sizeof adapter,
                          .name = "sums",
                          .user_data = "adapter.c",
                          .executable =
                              argc > 1 ? argv[1] : "build/examples/c/c_worker",
                          .validate = validate,
                          .prepare = prepare,
                          .process = process,
                          .timeout_ms = timeout_ms};
    sp_pool_options pool = {.size = sizeof pool, .custom = &adapter, .workers = 1};
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    sp_pit *pit = NULL;
    sp_error err = {0};
    int rc = sp_pit_open(&options, &pit, &err);
    if (rc == 0) {
        call(pit, "add", "{\"a\": 5, \"b\": 3}");
        call(pit, "echo", "{\"text\": \"hello\"}");
        call(pit, "echo",
             "{\"text\": \"a text that is longer than this side of the border lets "
             "pass\"}");
        call(pit, "multiply", "{\"a\": 5, \"b\": 3}"); /* only the worker knows */
    } else {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    }
    sp_error_clear(&err);
    sp_pit_close(pit);
    return rc < 0;
}
