/* SPDX-License-Identifier: MIT */
/* Versions of variables and their locks: history, rollback, lock, unlock. */
#include "state.h"

/* --- history -------------------------------------------------------------------------- */

struct history {
    struct table *table;
    struct json_list json;
};

static void history_cb(const sp_variable *variable, void *user_data)
{
    struct history *history = user_data;
    char text[64];
    char time[TIME_MAX];
    if (history->table == NULL) {
        struct text object = {0};
        add_variable(&object, variable);
        json_list_add(&history->json, &object);
        text_free(&object);
        return;
    }
    table_cell(history->table, "%llu", (unsigned long long)variable->version);
    table_cell(history->table, "%s",
               short_value(variable->value, variable->value_size, text));
    table_cell(history->table, "%s", format_time(variable->updated_unix_ms, time));
    table_cell(history->table, "%s", variable->changed_by);
}

static int history_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    static const char *const headings[] = {"VERSION", "VALUE", "SET", "BY", NULL};
    struct history history = {.json.cli = cli};
    if (!wants_json(cli)) {
        history.table = table_new(headings);
    }
    int count = sp_variable_history(sessions, cli->words[0], cli->words[1],
                                    (size_t)cli->count, history_cb, &history, err);
    if (history.table != NULL) {
        if (count > 0) {
            table_print(history.table, "");
        }
        table_free(history.table);
    } else if (count >= 0) {
        json_list_print(&history.json, "history");
    }
    text_free(&history.json.text);
    return CODE_OK;
}

int var_history(struct cli *cli)
{
    return state_do(cli, history_in);
}

/* --- rollback ------------------------------------------------------------------------- */

/* What a change has made of the variable, with -o json. */
static int show_after(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    sp_variable variable = {0};
    struct text object = {0};
    if (sp_variable_get(sessions, cli->words[0], cli->words[1], &variable, err) == 0) {
        add_variable(&object, &variable);
        print_object("variable", &object);
    }
    text_free(&object);
    sp_variable_clear(&variable);
    return CODE_OK;
}

static int rollback_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    sp_change_options options = change_of(cli);
    uint64_t wanted;
    uint64_t version;
    int code = parse_version(cli->words[2], "VERSION", &wanted);
    if (code != CODE_OK || sp_variable_rollback(sessions, cli->words[0], cli->words[1],
                                                wanted, &options, &version, err) < 0) {
        return code;
    }
    if (wants_json(cli)) {
        return show_after(cli, sessions, err);
    }
    talk("%s is as it was at version %llu, as version %llu", cli->words[1],
         (unsigned long long)wanted, (unsigned long long)version);
    return CODE_OK;
}

int var_rollback(struct cli *cli)
{
    return state_do(cli, rollback_in);
}

/* --- lock, unlock --------------------------------------------------------------------- */

static int lock_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    if (sp_variable_lock(sessions, cli->words[0], cli->words[1], cli->owner, err) < 0) {
        return CODE_OK;
    }
    if (wants_json(cli)) {
        return show_after(cli, sessions, err);
    }
    talk("locked %s for %s", cli->words[1], cli->owner);
    return CODE_OK;
}

int var_lock(struct cli *cli)
{
    if (cli->owner == NULL) {
        return complain(CODE_USAGE, "var lock: --owner WHO will hold it?");
    }
    return state_do(cli, lock_in);
}

static int unlock_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    if (sp_variable_unlock(sessions, cli->words[0], cli->words[1],
                           cli->force ? NULL : cli->owner, NULL, err) < 0) {
        return CODE_OK;
    }
    if (wants_json(cli)) {
        return show_after(cli, sessions, err);
    }
    talk("unlocked %s", cli->words[1]);
    return CODE_OK;
}

int var_unlock(struct cli *cli)
{
    if (cli->owner == NULL && !cli->force) {
        return complain(CODE_USAGE,
                        "var unlock: --owner WHO holds it, or --force whoever does");
    }
    return state_do(cli, unlock_in);
}
