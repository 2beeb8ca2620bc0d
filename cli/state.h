/* SPDX-License-Identifier: MIT */
/*
 * State at the command line: where it is, and how sessions, variables and programs are
 * read and shown.
 */
#ifndef SNAKEPIT_CLI_STATE_H
#define SNAKEPIT_CLI_STATE_H

#include "cli.h"

/* Options of every command about state. */
extern const struct option_spec state_options[];

/* --- state.c --- */

struct state {
    sp_sessions *sessions;
    int is_folder; /* nobody else can use it meanwhile; else a daemon has it */
};

/* Close it with sp_sessions_close(). Errors: those of the library. */
int state_open(const struct cli *cli, struct state *ret, sp_error *err);

/* As report(), with what to do about a state that another has. */
int state_report(const struct cli *cli, const sp_error *err);

/* What a verb does with the set of sessions. 0 or an exit code, explained; or 0 with an
 * error in `err`, which is then reported. */
typedef int (*state_fn)(struct cli *cli, sp_sessions *sessions, sp_error *err);

/* Open the state, have `fn` do its work, close it: the exit code. */
int state_do(struct cli *cli, state_fn fn);

/* What the options ask of a change. */
sp_change_options change_of(const struct cli *cli);

/* A word of the command line as the JSON of a value: JSON when it is JSON, else text;
 * "@file" and "-" are read. Of a type whose values are texts it is text unless it stands
 * in quotes. `type` may be NULL. 0 or an exit code, explained. */
int value_read(const char *word, const char *type, struct text *ret_json);

/* 1 when values of the type are texts. */
int is_text_type(const char *type);

/* "@file" and "-" of an option that takes JSON; borrowed or in `memory`. */
int json_option(const char *word, struct text *memory, const char **ret_json);

/* --- state_json.c: JSON of what was found, numbers digit for digit --- */

void add_session(struct text *out, const sp_session_info *info);
void add_variable(struct text *out, const sp_variable *variable);
void add_program(struct text *out, const sp_program *program);

/* {"version":1,"NAME":OBJECT} on a line of its own. */
void print_object(const char *name, struct text *object);

/* The same around a list, or with -o jsonl an object on each line. */
struct json_list {
    const struct cli *cli;
    struct text text;
    size_t count;
};
void json_list_add(struct json_list *list, struct text *object);
void json_list_print(struct json_list *list, const char *name);

/* A value for a cell: cut where it gets long. */
const char *short_value(const char *json, size_t size, char text[64]);

/* --- var_*.c: verbs of `var` --- */

int var_register(struct cli *cli);
int var_get(struct cli *cli);
int var_set(struct cli *cli);
int var_delete(struct cli *cli);
int var_list(struct cli *cli);
int var_history(struct cli *cli);
int var_rollback(struct cli *cli);
int var_lock(struct cli *cli);
int var_unlock(struct cli *cli);
int var_export(struct cli *cli);
int var_import(struct cli *cli);
int var_depend(struct cli *cli);
int var_watch(struct cli *cli);

/* Print a change as a line; 0, or CODE_PIPE. */
int show_change(const struct cli *cli, int kind, const sp_variable *variable);

/* Watch a folder, which others change between two looks; takes the state. */
int var_follow(struct cli *cli, struct state *state, sp_error *err);

#endif
