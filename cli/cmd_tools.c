/* SPDX-License-Identifier: MIT */
/*
 * tools: what a pool offers, from what its first worker announced.
 *
 * The list is copied out of the library's callback, because the strings are borrowed
 * there and the table wants them all at once.
 */
#include "fields.h"

#include <stdlib.h>
#include <string.h>

/* --- Collecting ----------------------------------------------------------------------- */

static void set_or_null(json_t *object, const char *key, const char *text)
{
    json_t *value = text != NULL ? json_string(text) : NULL;
    (void)json_object_set_new(object, key, value != NULL ? value : json_null());
}

static json_t *parameter_to_json(const sp_tool_parameter *p)
{
    json_t *parameter = need(json_object());
    set_or_null(parameter, "name", p->name);
    set_or_null(parameter, "type", p->type);
    set_or_null(parameter, "description", p->description);
    (void)json_object_set_new(parameter, "required", json_boolean(p->required));
    json_t *preset = p->default_json != NULL
                         ? json_loads(p->default_json, JSON_DECODE_ANY, NULL)
                         : NULL;
    if (!p->required) {
        (void)json_object_set_new(parameter, "default",
                                  preset != NULL ? preset : json_null());
    }
    return parameter;
}

static void collect_cb(const sp_tool_info *info, void *user_data)
{
    json_t *tool = need(json_object());
    json_t *parameters = need(json_array());
    set_or_null(tool, "name", info->name);
    set_or_null(tool, "description", info->description);
    (void)json_object_set_new(tool, "streaming", json_boolean(info->streaming));
    (void)json_object_set_new(tool, "idempotent", json_boolean(info->idempotent));
    for (size_t i = 0; i < info->parameters_count; i++) {
        (void)json_array_append_new(parameters,
                                    parameter_to_json(&info->parameters[i]));
    }
    (void)json_object_set_new(tool, "parameters", parameters);
    json_t *schema = json_loads(info->input_schema, 0, NULL);
    (void)json_object_set_new(tool, "input_schema",
                              schema != NULL ? schema : json_object());
    (void)json_array_append_new(user_data, tool);
}

/* --- Printing ------------------------------------------------------------------------- */

/* "a: int, b: int = 2" */
static void describe_parameters(const json_t *tool, struct text *out)
{
    size_t index;
    json_t *p;
    json_array_foreach (json_object_get(tool, "parameters"), index, p) {
        const char *type = field_words(p, "type");
        text_printf(out, "%s%s", index > 0 ? ", " : "", field_words(p, "name"));
        if (type[0] != '\0' && strcmp(type, "any") != 0) {
            text_printf(out, ": %s", type);
        }
        if (!json_is_true(json_object_get(p, "required"))) {
            char *preset =
                json_dumps(json_object_get(p, "default"),
                           JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
            text_printf(out, " = %s", (const char *)need(preset));
            free(preset);
        }
    }
}

static void print_list(const json_t *tools)
{
    static const char *const headings[] = {"TOOL", "KIND", "PARAMETERS", "WHAT IT DOES",
                                           NULL};
    struct table *table = table_new(headings);
    size_t index;
    json_t *tool;
    json_array_foreach (tools, index, tool) {
        struct text parameters = {0};
        const char *description = field_words(tool, "description");
        describe_parameters(tool, &parameters);
        table_cell(table, "%s", field_words(tool, "name"));
        table_cell(table, "%s",
                   json_is_true(json_object_get(tool, "streaming")) ? "stream"
                                                                    : "call");
        table_cell(table, "%s", text_c(&parameters));
        table_cell(table, "%.*s", (int)strcspn(description, "\n"), description);
        text_free(&parameters);
    }
    table_print(table, "");
    table_free(table);
}

static void print_lines(const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        (void)fputs("  ", stdout);
        print_clean(stdout, text, length);
        (void)fputc('\n', stdout);
        text += length + (text[length] == '\n');
    }
}

/* A line to try: every parameter that is needed, with a value of its type. */
static void print_example(const json_t *tool)
{
    size_t index;
    json_t *p;
    int is_stream = json_is_true(json_object_get(tool, "streaming"));
    (void)printf("\n  snakepit %s %s", is_stream ? "stream" : "call",
                 field_words(tool, "name"));
    json_array_foreach (json_object_get(tool, "parameters"), index, p) {
        const char *type = field_words(p, "type");
        const char *value = strcmp(type, "int") == 0     ? "1"
                            : strcmp(type, "float") == 0 ? "1.5"
                            : strcmp(type, "bool") == 0  ? "true"
                            : strcmp(type, "list") == 0  ? "'[1, 2]'"
                            : strcmp(type, "dict") == 0  ? "'{}'"
                                                         : "TEXT";
        if (json_is_true(json_object_get(p, "required"))) {
            (void)printf(" %s=%s", field_words(p, "name"), value);
        }
    }
    (void)puts("");
}

static void print_one(const json_t *tool)
{
    static const char *const headings[] = {"PARAMETER", "TYPE", "DEFAULT", "", NULL};
    const json_t *parameters = json_object_get(tool, "parameters");
    (void)printf("%s%s%s%s\n", paint("bold"), field_words(tool, "name"), paint(""),
                 json_is_true(json_object_get(tool, "streaming")) ? " (stream)" : "");
    print_lines(field_words(tool, "description"));
    if (json_array_size(parameters) > 0) {
        struct table *table = table_new(headings);
        size_t index;
        json_t *p;
        json_array_foreach (parameters, index, p) {
            char *preset =
                json_dumps(json_object_get(p, "default"),
                           JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
            int is_needed = json_is_true(json_object_get(p, "required"));
            table_cell(table, "%s", field_words(p, "name"));
            table_cell(table, "%s", field_words(p, "type"));
            table_cell(table, "%s",
                       is_needed ? "(needed)" : (preset != NULL ? preset : ""));
            table_cell(table, "%s", field_words(p, "description"));
            free(preset);
        }
        (void)puts("");
        table_print(table, "  ");
        table_free(table);
    }
    print_example(tool);
}

static int print_named(const struct cli *cli, const json_t *tools, const char *name)
{
    struct nearest nearest;
    size_t index;
    json_t *tool;
    nearest_init(&nearest, name);
    json_array_foreach (tools, index, tool) {
        if (strcmp(field_words(tool, "name"), name) == 0) {
            if (wants_json(cli)) {
                json_t *root =
                    need(json_pack("{s:i, s:O}", "version", 1, "tool", tool));
                print_json(root);
                json_decref(root);
            } else {
                print_one(tool);
            }
            return CODE_OK;
        }
        nearest_offer(&nearest, field_words(tool, "name"));
    }
    return complain(CODE_NOT_FOUND, "no tool \"%s\"%s%s%s", name,
                    nearest.name != NULL ? "; did you mean \"" : "",
                    nearest.name != NULL ? nearest.name : "",
                    nearest.name != NULL ? "\"?" : "");
}

static int print_tools(const struct cli *cli, json_t *tools, const char *pool)
{
    size_t index;
    json_t *tool;
    progress_erase();
    if (cli->words_count > 0) {
        return print_named(cli, tools, cli->words[0]);
    }
    if (cli->names) {
        json_array_foreach (tools, index, tool) {
            (void)puts(field_words(tool, "name"));
        }
    } else if (cli->output == OUTPUT_JSONL) {
        json_array_foreach (tools, index, tool) {
            print_json(tool);
        }
    } else if (cli->output == OUTPUT_JSON) {
        json_t *root = need(
            json_pack("{s:i, s:s, s:O}", "version", 1, "pool", pool, "tools", tools));
        print_json(root);
        json_decref(root);
    } else if (json_array_size(tools) == 0) {
        talk("pool %s announces no tools; functions are called by their dotted names: "
             "snakepit call -m math.sqrt '[2]'",
             pool);
    } else {
        print_list(tools);
    }
    return CODE_OK;
}

int cmd_tools(struct cli *cli)
{
    struct opened opened;
    sp_error err = {0};
    if (cli->words_count > 1) {
        return complain(CODE_USAGE, "one tool at a time: snakepit tools %s",
                        cli->words[0]);
    }
    int code = pit_open(cli, OPEN_ONE_POOL | OPEN_ONE_WORKER, &opened);
    if (code != CODE_OK) {
        return code;
    }
    code = pit_wait(&opened);
    if (code == CODE_OK) {
        json_t *tools = need(json_array());
        const char *pool = opened.options.pools[0].name;
        if (sp_pool_tools_get(opened.pit, pool, collect_cb, tools, &err) < 0) {
            code = report(&err);
            sp_error_clear(&err);
        } else {
            code = print_tools(cli, tools, pool);
        }
        json_decref(tools);
    }
    pit_close(&opened);
    return code;
}
