/* SPDX-License-Identifier: MIT */
/*
 * What a question of a worker to its host takes: a variable read and written, and tools
 * of the program, which run on the thread that waits for the worker or on one of the
 * library.
 *
 *   bench-asks --worker PATH [--count 20000]
 *
 * Prints a line of JSON for each kind of question. One worker asks, one question at a
 * time.
 */
#include <stdio.h>

#include "measure.h"
#include "snakepit/snakepit.h"

static void must(int rc, const sp_error *err)
{
    if (rc < 0) {
        give_up("%s", err->message);
    }
}

static void answer(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    (void)user_data;
    (void)sp_tool_call_reply(call, args_json, (sp_bytes){0}, NULL);
}

static void ask(sp_pit *pit, const char *tool, long count)
{
    sp_error err = {0};
    sp_result result = {0};
    char args[64];
    (void)snprintf(args, sizeof args, "{\"n\":%ld}", count / 10 + 1); /* to warm up */
    must(sp_execute_in_session(pit, "s", tool, sp_text(args), NULL, &result, &err),
         &err);
    sp_result_clear(&result);
    (void)snprintf(args, sizeof args, "{\"n\":%ld}", count);
    must(sp_execute_in_session(pit, "s", tool, sp_text(args), NULL, &result, &err),
         &err);
    printf("{\"question\": \"%s\", \"count\": %ld, \"taken\": %s}\n", tool, count,
           result.json);
    sp_result_clear(&result);
}

int main(int argc, char **argv)
{
    static const char *const questions[] = {"variable_get", "variable_set", "host_tool",
                                            "host_tool_any_thread"};
    long count = option_number(argc, argv, "count", 20000);
    const char *command[] = {option_text(argc, argv, "worker", NULL), NULL};
    sp_pool_options pool = {
        .size = sizeof pool, .runtime = "exec", .command = command, .workers = 1};
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    sp_host_tool tools[2] = {{.size = sizeof tools[0], .name = "waiting", .fn = answer},
                             {.size = sizeof tools[1],
                              .name = "any",
                              .flags = SP_TOOL_ANY_THREAD,
                              .fn = answer}};
    sp_pit *pit = NULL;
    sp_error err = {0};
    if (command[0] == NULL) {
        give_up("--worker says where bench-asks-worker is");
    }
    must(sp_pit_open(&options, &pit, &err), &err);
    must(sp_tools_register(pit, tools, 2, &err), &err);
    must(sp_session_create(sp_pit_sessions(pit), "s", NULL, &err), &err);
    must(sp_variable_register(sp_pit_sessions(pit), "s", "x", "float", "1.5", NULL,
                              NULL, &err),
         &err);
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        ask(pit, questions[i], count);
    }
    sp_pit_close(pit);
    return 0;
}
