/* SPDX-License-Identifier: MIT */
/* All variables of a session: export, import, and what depends on what. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

static void export_cb(sp_bytes json, void *user_data)
{
    (void)user_data;
    (void)fwrite(json.data, 1, json.size, stdout);
    (void)fputc('\n', stdout);
}

static int export_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    (void)sp_variables_export(sessions, cli->words[0], export_cb, NULL, err);
    return CODE_OK;
}

int var_export(struct cli *cli)
{
    return state_do(cli, export_in);
}

static int import_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    /* The file was read before; its content is the last word. */
    int count = sp_variables_import(sessions, cli->words[0], cli->words[1], err);
    if (count >= 0) {
        talk("registered %d variable%s", count, count == 1 ? "" : "s");
    }
    return CODE_OK;
}

int var_import(struct cli *cli)
{
    struct text array = {0};
    int code = read_whole(cli->words[1], &array);
    if (code == CODE_OK && strlen(text_c(&array)) != array.size) {
        code = complain(CODE_USAGE, "%s: a NUL character", cli->words[1]);
    }
    if (code == CODE_OK) {
        cli->words[1] = array.data;
        code = state_do(cli, import_in);
    }
    text_free(&array);
    return code;
}

/* --- depend --------------------------------------------------------------------------- */

struct dependencies {
    struct table *table;
    struct json_list json;
};

static void dependency_cb(const char *from, const char *to, const char *kind,
                          void *user_data)
{
    struct dependencies *dependencies = user_data;
    if (dependencies->table == NULL) {
        json_t *object =
            need(json_pack("{s:s, s:s, s:s}", "from", from, "to", to, "kind", kind));
        char *dumped = need(json_dumps(object, JSON_COMPACT));
        struct text text = {0};
        text_add(&text, dumped, strlen(dumped));
        json_list_add(&dependencies->json, &text);
        text_free(&text);
        free(dumped);
        json_decref(object);
        return;
    }
    table_cell(dependencies->table, "%s", from);
    table_cell(dependencies->table, "%s", to);
    table_cell(dependencies->table, "%s", kind);
}

static void list_dependencies(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    static const char *const headings[] = {"VARIABLE", "DEPENDS ON", "KIND", NULL};
    struct dependencies dependencies = {.json.cli = cli};
    const char *name = cli->words_count > 1 ? cli->words[1] : NULL;
    if (!wants_json(cli)) {
        dependencies.table = table_new(headings);
    }
    int count = sp_variable_dependencies(sessions, cli->words[0], name, dependency_cb,
                                         &dependencies, err);
    if (dependencies.table != NULL) {
        if (count > 0) {
            table_print(dependencies.table, "");
        }
        table_free(dependencies.table);
    } else if (count >= 0) {
        json_list_print(&dependencies.json, "dependencies");
    }
    text_free(&dependencies.json.text);
    if (count == 0) {
        talk("nothing depends on anything");
    }
}

static int depend_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    if (cli->words_count < 3) {
        list_dependencies(cli, sessions, err);
    } else if (sp_variable_depend(sessions, cli->words[0], cli->words[1], cli->words[2],
                                  cli->kind, err) == 0) {
        talk("%s depends on %s", cli->words[1], cli->words[2]);
    }
    return CODE_OK;
}

int var_depend(struct cli *cli)
{
    return state_do(cli, depend_in);
}
