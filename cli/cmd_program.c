/* SPDX-License-Identifier: MIT */
/*
 * program: JSON kept under a name, of one session or with --global of all.
 *
 * The words are SESSION ID DATA, and with --global ID DATA.
 */
#include "state.h"

#include <string.h>

struct names {
    const char *session; /* NULL: global */
    const char *id;
    const char *data; /* the word, when the verb takes one */
};

/* 0 or CODE_USAGE, explained. */
static int names_of(const struct cli *cli, int wanted, struct names *ret)
{
    int first = cli->global ? 0 : 1;
    *ret = (struct names){0};
    if (cli->words_count != wanted + first) {
        return complain(CODE_USAGE, "program %s takes %s%s%s", cli->verb->name,
                        cli->global ? "--global" : "SESSION", wanted > 0 ? " ID" : "",
                        wanted > 1 ? " DATA" : "");
    }
    ret->session = cli->global ? NULL : cli->words[0];
    ret->id = wanted > 0 ? cli->words[first] : NULL;
    ret->data = wanted > 1 ? cli->words[first + 1] : NULL;
    return CODE_OK;
}

/* --- store, update -------------------------------------------------------------------- */

static int write_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    struct names names;
    struct text data = {0};
    int is_update = strcmp(cli->verb->name, "update") == 0;
    int code = names_of(cli, 2, &names);
    if (code == CODE_OK) {
        code = value_read(names.data, NULL, &data);
    }
    if (code == CODE_OK) {
        int rc = is_update ? sp_program_update(sessions, names.session, names.id,
                                               text_c(&data), err)
                           : sp_program_store(sessions, names.session, names.id,
                                              text_c(&data), cli->ttl_ms, err);
        if (rc == 0) {
            talk("%s %s", is_update ? "updated" : "stored", names.id);
        }
    }
    text_free(&data);
    return code;
}

static int program_write(struct cli *cli)
{
    if (cli->ttl_ms != 0 && !cli->global) {
        return complain(CODE_USAGE, "--ttl goes with --global: a session's programs "
                                    "live as long as it does");
    }
    return state_do(cli, write_in);
}

/* --- get, delete, list ---------------------------------------------------------------- */

static void show_program(const struct cli *cli, const sp_program *program)
{
    char text[TIME_MAX];
    struct text out = {0};
    if (wants_json(cli)) {
        add_program(&out, program);
        print_object("program", &out);
    } else if (cli->output == OUTPUT_TABLE || cli->output == OUTPUT_WIDE) {
        print_fact("id", "%s", program->id);
        print_fact("created", "%s", format_time(program->created_unix_ms, text));
        print_fact("updated", "%s", format_time(program->updated_unix_ms, text));
        print_fact("ends in", "%s",
                   format_duration(program->remaining_ms, text, sizeof text));
        print_fact("data", "%s", program->data);
    } else {
        text_add(&out, program->data, program->data_size);
        flatten(out.data, out.size);
        (void)printf("%s\n", text_c(&out));
    }
    text_free(&out);
}

static int get_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    struct names names;
    sp_program program = {0};
    int code = names_of(cli, 1, &names);
    if (code == CODE_OK &&
        sp_program_get(sessions, names.session, names.id, &program, err) == 0) {
        show_program(cli, &program);
    }
    sp_program_clear(&program);
    return code;
}

static int program_get(struct cli *cli)
{
    return state_do(cli, get_in);
}

static int delete_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    struct names names;
    int code = names_of(cli, 1, &names);
    if (code == CODE_OK &&
        sp_program_delete(sessions, names.session, names.id, err) == 0) {
        talk("deleted %s", names.id);
    }
    return code;
}

static int program_delete(struct cli *cli)
{
    return state_do(cli, delete_in);
}

struct listing {
    const struct cli *cli;
    struct table *table;
    struct json_list json;
};

static void list_cb(const sp_program *program, void *user_data)
{
    struct listing *listing = user_data;
    char text[64];
    if (listing->cli->names) {
        print_clean(stdout, program->id, strlen(program->id));
        (void)fputc('\n', stdout);
        return;
    }
    if (listing->table == NULL) {
        struct text object = {0};
        add_program(&object, program);
        json_list_add(&listing->json, &object);
        text_free(&object);
        return;
    }
    table_cell(listing->table, "%s", program->id);
    table_cell(listing->table, "%s",
               short_value(program->data, program->data_size, text));
    table_cell(listing->table, "%s", format_time(program->updated_unix_ms, text));
    table_cell(listing->table, "%s",
               listing->cli->global
                   ? format_duration(program->remaining_ms, text, sizeof text)
                   : "with its session");
}

static int list_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    static const char *const headings[] = {"PROGRAM", "DATA", "UPDATED", "ENDS IN",
                                           NULL};
    struct listing listing = {.cli = cli, .json.cli = cli};
    struct names names;
    int code = names_of(cli, 0, &names);
    if (code != CODE_OK) {
        return code;
    }
    if (!wants_json(cli) && !cli->names) {
        listing.table = table_new(headings);
    }
    int count = sp_programs_list(sessions, names.session, list_cb, &listing, err);
    if (listing.table != NULL) {
        if (count > 0) {
            table_print(listing.table, "");
        }
        table_free(listing.table);
    } else if (count >= 0 && !cli->names) {
        json_list_print(&listing.json, "programs");
    }
    text_free(&listing.json.text);
    if (count == 0) {
        talk("no programs");
    }
    return CODE_OK;
}

static int program_list(struct cli *cli)
{
    return state_do(cli, list_in);
}

/* --- The verbs ------------------------------------------------------------------------ */

#define GLOBAL_OPTION                                                  \
    {                                                                  \
        "global", 0, NULL, OPTION_GLOBAL, "of all sessions: name none" \
    }

static const struct option_spec global_option[] = {
    GLOBAL_OPTION,
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec store_options[] = {
    GLOBAL_OPTION,
    {"ttl", 0, "TIME", OPTION_TTL, "a global one ends after it, or \"never\""},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec list_options[] = {
    GLOBAL_OPTION,
    {"names", 0, NULL, OPTION_NAMES, "ids only, one on a line"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

const struct verb program_verbs[] = {
    {"delete", "[SESSION] ID", "delete a program",
     "Example:\n  snakepit program delete alice classifier\n", global_option, 1, 2,
     program_delete},
    {"get", "[SESSION] ID", "print a program's data",
     "Example:\n  snakepit program get alice classifier | jq .\n", global_option, 1, 2,
     program_get},
    {"list", "[SESSION]", "list programs",
     "Examples:\n"
     "  snakepit program list alice\n"
     "  snakepit program list --global --names\n",
     list_options, 0, 1, program_list},
    {"store", "[SESSION] ID DATA", "store a program, in place of one by that id",
     "DATA is JSON, or text that becomes a JSON string; - and @file are read.\n"
     "\n"
     "Examples:\n"
     "  snakepit program store alice classifier @classifier.json\n"
     "  snakepit program store --global --ttl 2h prompt '\"Answer in one word.\"'\n",
     store_options, 2, 3, program_write},
    {"update", "[SESSION] ID DATA", "store it only if there is one by that id",
     "Example:\n  snakepit program update alice classifier @classifier.json\n",
     global_option, 2, 3, program_write},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
