/* SPDX-License-Identifier: MIT */
/*
 * Programs: a worker makes them, the host keeps them, any worker runs them.
 *
 *     programs programs.py
 */
#include <snakepit/snakepit.h>
#include <stdio.h>
#include <string.h>

/* The text between the quotes that follow "program_id":. */
static void find_id(const char *json, char *id, size_t max)
{
    const char *at = strstr(json, "\"program_id\":\"");
    at = at != NULL ? at + strlen("\"program_id\":\"") : "";
    snprintf(id, max, "%.*s", (int)strcspn(at, "\""), at);
}

static int run(sp_pit *pit, sp_error *err)
{
    static const char *const texts[] = {"to be or not to be", "42"};
    char id[64];
    char args[256];
    sp_result result = {0};
    int rc = sp_execute_program_command(
        pit, "ml_session_123", "create_program",
        sp_text("{\"signature\": \"text -> words, letters\"}"), NULL, &result, err);
    if (rc < 0) {
        return rc;
    }
    find_id(result.json, id, sizeof id);
    sp_result_clear(&result);
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        snprintf(args, sizeof args,
                 "{\"program_id\": \"%s\", \"input\": {\"text\": \"%s\"}}", id,
                 texts[i]);
        rc = sp_execute_program_command(pit, "ml_session_123", "execute_program",
                                        sp_text(args), NULL, &result, err);
        if (rc == 0) {
            printf("%s: %s\n", texts[i], result.json);
        }
        sp_result_clear(&result);
    }
    return rc;
}

int main(int argc, char **argv)
{
    char config[512];
    sp_pit *pit = NULL;
    sp_error err = {0};
    snprintf(config, sizeof config,
             "pools:\n"
             "  - name: default\n"
             "    size: 2\n"
             "    affinity: none\n"
             "    adapter: %s\n",
             argc > 1 ? argv[1] : "examples/adapters/programs.py");
    int rc = sp_pit_open_string(config, &pit, &err);
    if (rc == 0) {
        rc = run(pit, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    }
    sp_error_clear(&err);
    sp_pit_close(pit);
    return rc == 0 ? 0 : 1;
}
