/* SPDX-License-Identifier: MIT */
/*
 * Sessions: calls that belong together go to the worker that remembers.
 *
 * The showcase keeps a counter per session, in the memory of its worker. The pool is told
 * to hold each session to its worker strictly: with the default affinity a session may
 * move when its worker is busy, which suits tools that only cache.
 */
#include <snakepit/snakepit.h>
#include <stdio.h>

static int say(sp_pit *pit, const char *session, const char *tool, const char *args,
               sp_error *err)
{
    sp_result result = {0};
    int rc =
        sp_execute_in_session(pit, session, tool, sp_text(args), NULL, &result, err);
    if (rc == 0) {
        printf("%s %s: %s\n", session, tool, result.json);
    }
    sp_result_clear(&result);
    return rc;
}

int main(void)
{
    static const struct {
        const char *session, *tool, *args;
    } calls[] = {
        {"ann", "set_counter", "{\"value\": 41}"},
        {"bob", "set_counter", "{\"value\": 7}"},
        {"ann", "increment_counter", "{}"},
        {"ann", "get_counter", "{}"},
        {"bob", "get_counter", "{}"},
    };
    sp_pit *pit = NULL;
    sp_error err = {0};
    int rc = sp_pit_open_string("pools:\n"
                                "  - name: default\n"
                                "    size: 2\n"
                                "    affinity: strict_queue\n",
                                &pit, &err);
    for (size_t i = 0; rc == 0 && i < sizeof calls / sizeof calls[0]; i++) {
        rc = say(pit, calls[i].session, calls[i].tool, calls[i].args, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    }
    sp_error_clear(&err);
    sp_pit_close(pit);
    return rc == 0 ? 0 : 1;
}
