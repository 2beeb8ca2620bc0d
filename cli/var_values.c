/* SPDX-License-Identifier: MIT */
/*
 * Values of variables: register, get, set, delete, list.
 *
 * A value that is JSON is taken as JSON. Whether 123 is a number or the text "123" is
 * for the variable's type to say, so `set` asks for it where it makes a difference.
 */
#include "state.h"

#include <stdlib.h>
#include <string.h>

/* --- Showing -------------------------------------------------------------------------- */

static void show_facts(const sp_variable *variable)
{
    char text[TIME_MAX];
    print_fact("name", "%s", variable->name);
    print_fact("id", "%s", variable->id);
    print_fact("type", "%s", variable->type);
    print_fact("value", "%s", variable->value);
    print_fact("version", "%llu", (unsigned long long)variable->version);
    print_fact("updated", "%s", format_time(variable->updated_unix_ms, text));
    if (variable->changed_by[0] != '\0') {
        print_fact("by", "%s", variable->changed_by);
    }
    if (variable->locked_by[0] != '\0') {
        print_fact("locked by", "%s", variable->locked_by);
    }
    print_fact("constraints", "%s", variable->constraints);
    print_fact("metadata", "%s", variable->metadata);
}

/* As JSON on a line, or with -o text what is between the quotes. */
static void show_value(const struct cli *cli, const sp_variable *variable)
{
    json_t *value = NULL;
    if (cli->output == OUTPUT_TEXT) {
        value =
            json_loadb(variable->value, variable->value_size, JSON_DECODE_ANY, NULL);
    }
    if (json_is_string(value)) {
        (void)fwrite(json_string_value(value), 1, json_string_length(value), stdout);
    } else {
        struct text line = {0};
        text_add(&line, variable->value, variable->value_size);
        flatten(line.data, line.size);
        (void)fwrite(line.data, 1, line.size, stdout);
        text_free(&line);
    }
    (void)fputc('\n', stdout);
    json_decref(value);
}

static void show_object(const sp_variable *variable)
{
    struct text object = {0};
    add_variable(&object, variable);
    print_object("variable", &object);
    text_free(&object);
}

struct listing {
    const struct cli *cli;
    struct table *table;
    struct json_list json;
};

static void list_begin(struct listing *listing, const struct cli *cli)
{
    static const char *const headings[] = {"VARIABLE", "TYPE",      "VALUE", "VERSION",
                                           "UPDATED",  "LOCKED BY", NULL};
    *listing = (struct listing){.cli = cli, .json.cli = cli};
    if (!wants_json(cli) && !cli->names) {
        listing->table = table_new(headings);
    }
}

static void list_cb(const sp_variable *variable, void *user_data)
{
    struct listing *listing = user_data;
    char text[64];
    char time[TIME_MAX];
    if (listing->cli->names) {
        print_clean(stdout, variable->name, strlen(variable->name));
        (void)fputc('\n', stdout);
        return;
    }
    if (listing->table == NULL) {
        struct text object = {0};
        add_variable(&object, variable);
        json_list_add(&listing->json, &object);
        text_free(&object);
        return;
    }
    table_cell(listing->table, "%s", variable->name);
    table_cell(listing->table, "%s", variable->type);
    table_cell(listing->table, "%s",
               short_value(variable->value, variable->value_size, text));
    table_cell(listing->table, "%llu", (unsigned long long)variable->version);
    table_cell(listing->table, "%s", format_time(variable->updated_unix_ms, time));
    table_cell(listing->table, "%s", variable->locked_by);
}

static void list_end(struct listing *listing, int count)
{
    if (listing->table != NULL && count > 0) {
        table_print(listing->table, "");
    } else if (listing->table == NULL && !listing->cli->names && count >= 0) {
        json_list_print(&listing->json, "variables");
    }
    if (listing->table != NULL) {
        table_free(listing->table);
    }
    text_free(&listing->json.text);
}

/* --- register ------------------------------------------------------------------------- */

static int register_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    const char *type = strcmp(cli->words[2], "auto") == 0 ? NULL : cli->words[2];
    struct text value = {0};
    sp_variable variable = {0};
    sp_change_options options = change_of(cli);
    int code = value_read(cli->words[3], type, &value);
    if (code == CODE_OK &&
        sp_variable_register(sessions, cli->words[0], cli->words[1], type,
                             text_c(&value), &options, &variable, err) == 0) {
        if (wants_json(cli)) {
            show_object(&variable);
        } else {
            talk("registered %s, a variable of type %s", variable.name, variable.type);
        }
    }
    sp_variable_clear(&variable);
    text_free(&value);
    return code;
}

/* Options that may be files, read before anything is opened. */
static int do_with_options(struct cli *cli, state_fn fn)
{
    struct text metadata = {0};
    struct text constraints = {0};
    int code = json_option(cli->metadata, &metadata, &cli->metadata);
    if (code == CODE_OK) {
        code = json_option(cli->constraints, &constraints, &cli->constraints);
    }
    if (code == CODE_OK) {
        code = state_do(cli, fn);
    }
    text_free(&metadata);
    text_free(&constraints);
    return code;
}

int var_register(struct cli *cli)
{
    return do_with_options(cli, register_in);
}

/* --- get ------------------------------------------------------------------------------ */

static int get_one(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    sp_variable variable = {0};
    if (sp_variable_get(sessions, cli->words[0], cli->words[1], &variable, err) == 0) {
        if (wants_json(cli)) {
            show_object(&variable);
        } else if (cli->output == OUTPUT_TABLE || cli->output == OUTPUT_WIDE) {
            show_facts(&variable);
        } else {
            show_value(cli, &variable);
        }
    }
    sp_variable_clear(&variable);
    return CODE_OK;
}

static int get_many(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    size_t count = (size_t)cli->words_count - 1;
    const char *const *names = (const char *const *)cli->words + 1;
    sp_variable *variables = need(calloc(count, sizeof *variables));
    struct listing listing;
    int code = CODE_OK;
    int found = sp_variables_get(sessions, cli->words[0], names, count, variables, err);
    list_begin(&listing, cli);
    for (size_t i = 0; found >= 0 && i < count; i++) {
        if (variables[i].name != NULL) {
            list_cb(&variables[i], &listing);
        }
    }
    list_end(&listing, found);
    for (size_t i = 0; i < count; i++) {
        if (found >= 0 && variables[i].name == NULL) {
            code = complain(CODE_NOT_FOUND, "no variable \"%s\" in session \"%s\"",
                            names[i], cli->words[0]);
        }
        sp_variable_clear(&variables[i]);
    }
    free(variables);
    return code;
}

int var_get(struct cli *cli)
{
    return state_do(cli, cli->words_count == 2 ? get_one : get_many);
}

/* --- set ------------------------------------------------------------------------------ */

/* The value of a word for a variable that is there: 123 may be a text. */
static int value_for(sp_sessions *sessions, const char *session, const char *name,
                     const char *word, struct text *ret_json, sp_error *err)
{
    sp_variable variable = {0};
    int code = CODE_OK;
    if (sp_variable_get(sessions, session, name, &variable, err) == 0) {
        code = value_read(word, variable.type, ret_json);
    }
    sp_variable_clear(&variable);
    return code;
}

static int set_one(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    const char *name = cli->words[1];
    struct text value = {0};
    sp_change_options options = change_of(cli);
    uint64_t version;
    int code = value_for(sessions, cli->words[0], name, cli->words[2], &value, err);
    if (code == CODE_OK && err->code == 0 &&
        sp_variable_set(sessions, cli->words[0], name, text_c(&value), &options,
                        &version, err) == 0) {
        if (wants_json(cli)) {
            code = get_one(cli, sessions, err);
        } else {
            talk("set %s, version %llu", name, (unsigned long long)version);
        }
    }
    text_free(&value);
    return code;
}

/* NAME=VALUE words, cut in place. */
static int cut_updates(struct cli *cli, sp_variable_update *updates, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *word = cli->words[i + 1];
        char *equals = strchr(word, '=');
        if (equals == NULL || equals == word) {
            return complain(CODE_USAGE,
                            "\"%s\" is not NAME=VALUE; one variable is set with "
                            "SESSION NAME VALUE",
                            word);
        }
        *equals = '\0';
        updates[i] = (sp_variable_update){.name = word, .value = equals + 1};
    }
    return CODE_OK;
}

static int set_updates(struct cli *cli, sp_sessions *sessions,
                       sp_variable_update *updates, struct text *values, size_t count,
                       sp_error *err)
{
    sp_change_options options = change_of(cli);
    for (size_t i = 0; i < count; i++) {
        int code = value_for(sessions, cli->words[0], updates[i].name, updates[i].value,
                             &values[i], err);
        if (code != CODE_OK || err->code != 0) {
            return code;
        }
        updates[i].value = text_c(&values[i]);
    }
    if (sp_variables_set(sessions, cli->words[0], updates, count, 1, &options, err) <
        0) {
        return CODE_OK;
    }
    for (size_t i = 0; i < count && !wants_json(cli); i++) {
        talk("set %s, version %llu", updates[i].name,
             (unsigned long long)updates[i].version);
    }
    return wants_json(cli) ? get_many(cli, sessions, err) : CODE_OK;
}

static int set_many(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    size_t count = (size_t)cli->words_count - 1;
    sp_variable_update *updates = need(calloc(count, sizeof *updates));
    struct text *values = need(calloc(count, sizeof *values));
    int code = cut_updates(cli, updates, count);
    if (code == CODE_OK) {
        code = set_updates(cli, sessions, updates, values, count, err);
    }
    for (size_t i = 0; i < count; i++) {
        text_free(&values[i]);
    }
    free(values);
    free(updates);
    return code;
}

int var_set(struct cli *cli)
{
    int is_one = cli->words_count == 3 && strchr(cli->words[1], '=') == NULL;
    if (!is_one && cli->check_version) {
        return complain(CODE_USAGE, "--expect-version goes with one variable: SESSION "
                                    "NAME VALUE");
    }
    return do_with_options(cli, is_one ? set_one : set_many);
}

/* --- delete, list --------------------------------------------------------------------- */

static int delete_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    sp_change_options options = change_of(cli);
    if (sp_variable_delete(sessions, cli->words[0], cli->words[1], &options, err) ==
        0) {
        talk("deleted %s", cli->words[1]);
    }
    return CODE_OK;
}

int var_delete(struct cli *cli)
{
    return state_do(cli, delete_in);
}

static int list_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    struct listing listing;
    list_begin(&listing, cli);
    int count = sp_variables_list(sessions, cli->words[0], cli->pattern, list_cb,
                                  &listing, err);
    list_end(&listing, count);
    if (count == 0) {
        talk(cli->pattern != NULL ? "no variable fits the pattern" : "no variables");
    }
    return CODE_OK;
}

int var_list(struct cli *cli)
{
    return state_do(cli, list_in);
}
