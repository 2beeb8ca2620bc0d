/* SPDX-License-Identifier: MIT */
/*
 * Tools in both directions: the program calls a worker, which calls the program.
 *
 * The worker (asking_worker.c, built beside this program) greets a customer by number and
 * has to ask for the name; only the program knows names. One thread is enough: while it
 * waits in sp_execute(), it runs what the worker asks for.
 */
#include <snakepit/snakepit.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* {"number": N}, checked by the schema below. */
static void look_up(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    static const char *const names[] = {"Ada", "Grace", "Barbara"};
    char text[64];
    const char *colon = memchr(args_json.data, ':', args_json.size);
    long number = strtol(colon + 1, NULL, 10);
    (void)user_data;
    (void)snprintf(text, sizeof text, "\"%s\"", names[number]);
    (void)printf("the worker asks for customer %ld\n", number);
    (void)sp_tool_call_reply(call, sp_text(text), (sp_bytes){0}, NULL);
}

static const sp_host_tool tool = {
    .size = sizeof(sp_host_tool),
    .name = "customer_name",
    .description = "the name behind a customer's number",
    .input_schema = "{\"type\": \"object\", \"required\": [\"number\"],"
                    " \"properties\": {\"number\": {\"type\": \"integer\","
                    " \"minimum\": 0, \"maximum\": 2}}}",
    .fn = look_up,
};

static int greet(sp_pit *pit, const char *args, sp_error *err)
{
    sp_result result = {0};
    int rc = sp_execute(pit, "greet", sp_text(args), NULL, &result, err);
    if (rc == 0) {
        (void)printf("%s\n", result.json);
    } else {
        (void)printf("%s: %s\n", sp_error_name(rc), err->message);
    }
    sp_result_clear(&result);
    return rc;
}

/* The worker's program is in the folder of this one. */
static const char *worker_path(char *path, size_t max)
{
    ssize_t n = readlink("/proc/self/exe", path, max - 1);
    path[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(path, '/');
    size_t at = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    (void)snprintf(path + at, max - at, "asking_worker");
    return path;
}

int main(void)
{
    char path[4096];
    const char *command[] = {worker_path(path, sizeof path), NULL};
    sp_pool_options pool = {
        .size = sizeof pool, .runtime = "exec", .command = command, .workers = 1};
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    sp_pit *pit;
    sp_error err = {0};
    int rc = sp_pit_open(&options, &pit, &err);
    if (rc == 0) {
        rc = sp_tool_register(pit, &tool, &err);
        if (rc == 0) {
            rc = greet(pit, "{\"number\": 1}", &err);
            (void)greet(pit, "{\"number\": 7}", &err); /* there is no such customer */
        }
        sp_pit_close(pit);
    }
    if (rc < 0) {
        (void)fprintf(stderr, "%s\n", err.message);
    }
    sp_error_clear(&err);
    return rc < 0;
}
