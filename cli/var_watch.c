/* SPDX-License-Identifier: MIT */
/*
 * Watching variables: a line for each change, in the order in which they are made.
 *
 * With -o jsonl or json a line is an object, else it is "TIME NAME = VALUE (version N)".
 * Ctrl-C ends it in good order, as --count and --timeout do. A daemon tells of each
 * change; a folder has to be looked at: var_follow.c.
 */
#include "state.h"

#include <string.h>

enum { LOOK_MS = 100 /* how soon an interrupt is noticed */ };

static const char *kind_word(int kind)
{
    static const char *const words[] = {[SP_CHANGE_INITIAL] = "initial",
                                        [SP_CHANGE_REGISTERED] = "registered",
                                        [SP_CHANGE_VALUE] = "value",
                                        [SP_CHANGE_LOCK] = "lock",
                                        [SP_CHANGE_DELETED] = "deleted"};
    return words[kind];
}

int show_change(const struct cli *cli, int kind, const sp_variable *variable)
{
    char time[TIME_MAX];
    if (wants_json(cli)) {
        struct text object = {0};
        add_variable(&object, variable);
        (void)printf("{\"version\":1,\"change\":\"%s\",\"variable\":%s}\n",
                     kind_word(kind), text_c(&object));
        text_free(&object);
        return print_flush();
    }
    (void)printf("%s ", format_time(variable->updated_unix_ms, time));
    print_clean(stdout, variable->name, strlen(variable->name));
    if (kind == SP_CHANGE_DELETED) {
        (void)printf(" deleted\n");
    } else if (kind == SP_CHANGE_LOCK) {
        (void)printf(variable->locked_by[0] != '\0' ? " locked by " : " unlocked");
        print_clean(stdout, variable->locked_by, strlen(variable->locked_by));
        (void)fputc('\n', stdout);
    } else {
        (void)printf(" = ");
        print_clean(stdout, variable->value, variable->value_size);
        (void)printf(" (version %llu)\n", (unsigned long long)variable->version);
    }
    return print_flush();
}

/* The next change: 1, 0 when the time passed or somebody interrupts. */
static int next_change(const struct cli *cli, sp_watch *watch, sp_change *ret_change,
                       sp_error *err)
{
    uint64_t waited = 0;
    for (;;) {
        uint64_t left = cli->timeout_ms != 0 ? cli->timeout_ms - waited : LOOK_MS;
        uint64_t slice = left < LOOK_MS ? left : LOOK_MS;
        int rc = sp_watch_next(watch, slice, ret_change, err);
        waited += slice;
        if (rc != 0 || watch_interrupted() ||
            (cli->timeout_ms != 0 && waited >= cli->timeout_ms)) {
            return rc;
        }
    }
}

static int watch_in(const struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    sp_watch_options options = {.size = sizeof options, .initial = cli->initial};
    sp_watch *watch = NULL;
    sp_change change;
    int code = CODE_OK;
    if (cli->words_count > 1) {
        options.names = (const char *const *)cli->words + 1;
        options.names_count = (size_t)cli->words_count - 1;
    }
    if (sp_watch_open(sessions, cli->words[0], &options, &watch, err) < 0) {
        return CODE_OK;
    }
    for (uint64_t shown = 0; code == CODE_OK; shown++) {
        if (cli->count > 0 && shown == cli->count) {
            break;
        }
        int rc = next_change(cli, watch, &change, err);
        if (rc <= 0) {
            code = watch_interrupted() ? CODE_INTERRUPTED : CODE_OK;
            break;
        }
        code = show_change(cli, change.kind, &change.variable);
        sp_variable_clear(&change.variable);
    }
    sp_watch_close(watch);
    return code;
}

int var_watch(struct cli *cli)
{
    struct state state;
    sp_error err = {0};
    int code = CODE_OK;
    if (state_open(cli, &state, &err) == 0 && state.is_folder) {
        code = var_follow(cli, &state, &err);
    } else if (err.code == 0) {
        code = watch_in(cli, state.sessions, &err);
        sp_sessions_close(state.sessions);
    }
    if (code == CODE_OK && err.code != 0) {
        code = state_report(cli, &err);
    }
    sp_error_clear(&err);
    return code;
}
