/* SPDX-License-Identifier: MIT */
/*
 * Basic operations: is everything well, calls, and what a failure tells.
 *
 * Every failure is a code and a sentence in `err`, with more beside it: whether the tool
 * ran, what the remote exception was, whether it makes sense to try again. None of them
 * hurts the pit: the last call is answered as the first one was.
 */
#include <snakepit/snakepit.h>
#include <stdio.h>

static const struct {
    const char *tool, *args;
    uint64_t timeout_ms; /* 0: the pool's */
} calls[] = {
    {"echo", "{\"text\": \"hello\"}", 0},
    {"add", "{\"a\": 5, \"b\": 3}", 0},
    {"compute", "{\"operation\": \"multiply\", \"a\": 7, \"b\": 6}", 0},
    {"adds", "{\"a\": 5, \"b\": 3}", 0},              /* no such tool */
    {"add", "{\"a\": \"five\", \"b\": 3}", 0},        /* does not fit: not even sent */
    {"error_demo", "{\"error_type\": \"value\"}", 0}, /* raises an exception */
    {"sleep_task", "{\"duration_ms\": 60000}", 300},  /* takes too long */
    {"process_text", "{\"text\": \"still here\", \"operation\": \"upper\"}", 0},
};

static void show_failure(const sp_error *err)
{
    static const char *const ran[] = {[SP_EXECUTED_NO] = "no",
                                      [SP_EXECUTED_UNKNOWN] = "perhaps",
                                      [SP_EXECUTED_YES] = "yes"};
    printf("%s: %s\n  did it run? %s\n", sp_error_name(err->code), err->message,
           ran[err->executed]);
    if (err->remote_type != NULL) {
        printf("  exception: %s\n", err->remote_type);
    }
}

static int show_health(sp_pit *pit, sp_error *err)
{
    sp_health health;
    int rc = sp_pit_await_ready(pit, 0, err);
    if (rc == 0) {
        rc = sp_pit_health(pit, 1000, &health, err);
    }
    if (rc == 0) {
        printf("live %d, ready %d%s%s\n", health.live, health.ready,
               health.why[0] != '\0' ? ": " : "", health.why);
    }
    return rc;
}

int main(void)
{
    sp_pit *pit = NULL;
    sp_error err = {0};
    int failures = 0;
    int rc = sp_pit_open_string("pools: [{name: default, size: 2}]", &pit, &err);
    if (rc == 0) {
        rc = show_health(pit, &err);
    }
    for (size_t i = 0; rc == 0 && i < sizeof calls / sizeof calls[0]; i++) {
        sp_call_options options = {.size = sizeof options,
                                   .timeout_ms = calls[i].timeout_ms};
        sp_result result = {0};
        printf("%s %s\n  ", calls[i].tool, calls[i].args);
        if (sp_execute(pit, calls[i].tool, sp_text(calls[i].args), &options, &result,
                       &err) == 0) {
            printf("%s\n", result.json);
        } else {
            show_failure(&err);
            failures++;
        }
        sp_result_clear(&result);
        sp_error_clear(&err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    }
    printf("%d of %zu calls failed, as they should\n", failures,
           sizeof calls / sizeof calls[0]);
    sp_error_clear(&err);
    sp_pit_close(pit);
    return rc == 0 && failures == 4 ? 0 : 1;
}
