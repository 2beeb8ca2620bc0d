/* SPDX-License-Identifier: MIT */
/*
 * Tools in both directions, and variables between them: the program has its worker do a
 * step, the worker reads the session's variables, calls the program back to measure, and
 * writes the total, within the limits the program has set.
 *
 *     variables PATH-OF-c_worker_state
 */
#include <snakepit/snakepit.h>

#include <stdio.h>

/* Runs on the thread below while it waits in sp_execute_in_session(). */
static void measure(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    int *measured = user_data;
    char text[32];
    (void)args_json;
    (void)snprintf(text, sizeof text, "%d", ++*measured);
    (void)sp_tool_call_reply(call, sp_text(text), (sp_bytes){0}, NULL);
}

static int prepare(sp_pit *pit, int *measured, sp_error *err)
{
    sp_sessions *sessions = sp_pit_sessions(pit);
    sp_change_options limits = {.size = sizeof limits,
                                .constraints = "{\"min\": 0, \"max\": 10}"};
    sp_host_tool tool = {.size = sizeof tool,
                         .name = "measure",
                         .session = "lab",
                         .fn = measure,
                         .user_data = measured};
    int rc = sp_session_create(sessions, "lab", NULL, err);
    if (rc >= 0) {
        rc = sp_tool_register(pit, &tool, err);
    }
    if (rc == 0) {
        rc = sp_variable_register(sessions, "lab", "rate", "float", "2", NULL, NULL,
                                  err);
    }
    return rc < 0 ? rc
                  : sp_variable_register(sessions, "lab", "total", "float", "0",
                                         &limits, NULL, err);
}

static void show(const sp_variable *version, void *user_data)
{
    (void)user_data;
    printf("version %d: %s by %s\n", (int)version->version, version->value,
           version->changed_by[0] != '\0' ? version->changed_by : "the program");
}

int main(int argc, char **argv)
{
    const char *command[] = {argc > 1 ? argv[1] : "c_worker_state", NULL};
    sp_pool_options pool = {
        .size = sizeof pool, .runtime = "exec", .command = command, .workers = 1};
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    sp_pit *pit = NULL;
    sp_result result = {0};
    sp_error err = {0};
    int measured = 0;
    int rc = sp_pit_open(&options, &pit, &err);
    if (rc == 0) {
        rc = prepare(pit, &measured, &err);
    }
    while (rc == 0) { /* until the total would be more than 10 */
        rc = sp_execute_in_session(pit, "lab", "step", sp_text("{}"), NULL, &result,
                                   &err);
        printf("%s\n", rc == 0 ? result.json : err.message);
        sp_result_clear(&result);
    }
    if (rc == SP_ERR_REMOTE) {
        sp_error_clear(&err);
        rc = sp_variable_history(sp_pit_sessions(pit), "lab", "total", 0, show, NULL,
                                 &err);
    }
    if (rc < 0) {
        (void)fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    }
    sp_error_clear(&err);
    sp_pit_close(pit);
    return rc < 0;
}
