/* SPDX-License-Identifier: MIT */
/*
 * completion prints a shell's script; complete answers it.
 *
 * The scripts are a few lines each: they hand the words typed so far to
 * `snakepit complete` and offer what it prints. What can follow is decided here, from
 * the tables of commands and options and from the library's tables of settings and
 * errors, so completion cannot fall behind the program. Tools are asked of a real pool,
 * sessions, variables and programs of the state.
 */
#include "state.h"

#include <stdlib.h>
#include <string.h>

static const char bash_text[] =
    "# bash completion for snakepit\n"
    "_snakepit() {\n"
    "    local IFS=$'\\n'\n"
    "    local line=\"${COMP_LINE:0:COMP_POINT}\" word words=()\n"
    "    IFS=$' \\t\\n' read -ra words <<< \"$line\"\n"
    "    [[ $line == *[[:space:]] ]] && words+=('')\n"
    "    word=\"${words[${#words[@]}-1]}\"\n"
    "    local found=($(\"${words[0]}\" complete -- \"${words[@]:1}\" 2>/dev/null))\n"
    "    if [[ ${found[0]} == :files ]]; then\n"
    "        compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\")); return\n"
    "    fi\n"
    "    COMPREPLY=($(compgen -W \"${found[*]}\" -- \"$word\"))\n"
    "    # readline takes '=' and ':' for the ends of words\n"
    "    local cut=\"${word%\"${word##*[=:]}\"}\"\n"
    "    COMPREPLY=(\"${COMPREPLY[@]#\"$cut\"}\")\n"
    "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n"
    "}\n"
    "complete -F _snakepit snakepit\n";

static const char zsh_text[] =
    "#compdef snakepit\n"
    "# zsh completion for snakepit\n"
    "_snakepit() {\n"
    "    local -a found\n"
    "    found=(${(f)\"$(\"${words[1]}\" complete -- \"${(@)words[2,CURRENT]}\" "
    "2>/dev/null)\"})\n"
    "    if [[ ${found[1]} == :files ]]; then\n"
    "        _files\n"
    "    else\n"
    "        compadd -S '' -- ${(M)found:#*=}\n"
    "        compadd -- ${found:#*=}\n"
    "    fi\n"
    "}\n"
    "if [[ $funcstack[1] == _snakepit ]]; then\n"
    "    _snakepit \"$@\"\n"
    "else\n"
    "    compdef _snakepit snakepit\n"
    "fi\n";

static const char fish_text[] =
    "# fish completion for snakepit\n"
    "function __snakepit_complete\n"
    "    set -l words (commandline -opc) (commandline -ct)\n"
    "    set -l found ($words[1] complete -- $words[2..-1] 2>/dev/null)\n"
    "    if test \"$found[1]\" = :files\n"
    "        __fish_complete_path (commandline -ct)\n"
    "    else\n"
    "        printf '%s\\n' $found\n"
    "    end\n"
    "end\n"
    "complete -c snakepit -f -a '(__snakepit_complete)'\n";

int cmd_completion(struct cli *cli)
{
    static const struct {
        const char *shell;
        const char *text;
    } scripts[] = {{"bash", bash_text}, {"zsh", zsh_text}, {"fish", fish_text}};
    for (size_t i = 0; cli->words_count == 1 && i < 3; i++) {
        if (strcmp(scripts[i].shell, cli->words[0]) == 0) {
            (void)fputs(scripts[i].text, stdout);
            return CODE_OK;
        }
    }
    return complain(CODE_USAGE, "completion for which shell? bash, zsh or fish");
}

/* --- What can follow ------------------------------------------------------------------ */

/* Print a candidate that begins with what was typed. */
static void offer(const char *typed, const char *before, const char *candidate,
                  const char *after)
{
    char full[256];
    (void)snprintf(full, sizeof full, "%s%s%s", before, candidate, after);
    if (strncmp(full, typed, strlen(typed)) == 0) {
        (void)puts(full);
    }
}

static void offer_words(const char *typed, const char *before, const char *list)
{
    char copy[256];
    (void)snprintf(copy, sizeof copy, "%s", list);
    for (char *rest = copy, *word; (word = strsep(&rest, "|")) != NULL;) {
        offer(typed, before, word, "");
    }
}

static void offer_options(const char *typed, const struct option_spec *spec)
{
    for (; spec != NULL && spec->name != NULL; spec++) {
        offer(typed, "--", spec->name, spec->value != NULL ? "=" : "");
    }
}

/* Keys as `config explain` takes them. */
static void offer_keys(const char *typed)
{
    sp_config_key key;
    for (size_t i = 0; sp_config_key_at(i, &key); i++) {
        int is_of_pool = strncmp(key.key, "pools[].", 8) == 0;
        offer(typed, "", is_of_pool ? key.key + 8 : key.key, "");
    }
}

/* Keys as --set takes them: "pool.size=". */
static void offer_settings(const char *typed, const char *before)
{
    sp_config_key key;
    char head[80];
    (void)snprintf(head, sizeof head, "%spool.", before);
    for (size_t i = 0; sp_config_key_at(i, &key); i++) {
        int is_of_pool = strncmp(key.key, "pools[].", 8) == 0;
        offer(typed, is_of_pool ? head : before, is_of_pool ? key.key + 8 : key.key,
              "=");
    }
}

/* An option of the words before that takes a value. */
static const struct option_spec *find_value_option(const struct command *command,
                                                   const struct verb *verb,
                                                   const char *word)
{
    const struct option_spec *tables[] = {verb != NULL ? verb->options : NULL,
                                          command != NULL ? command->options : NULL,
                                          global_options};
    for (size_t t = 0; t < 3; t++) {
        for (const struct option_spec *s = tables[t]; s != NULL && s->name != NULL;
             s++) {
            char letter[3] = {'-', s->letter, '\0'};
            int is_it = strncmp(word, "--", 2) == 0 ? strcmp(word + 2, s->name) == 0
                                                    : strcmp(word, letter) == 0;
            if (is_it && s->value != NULL) {
                return s;
            }
        }
    }
    return NULL;
}

/* The value of an option; `before` is "--output=" or "". */
static void offer_value(const struct cli *cli, const struct option_spec *spec,
                        const char *typed, const char *before)
{
    sp_config *config = NULL;
    switch ((int)spec->id) {
    case OPTION_OUTPUT:
        offer_words(typed, before, "table|wide|json|jsonl|text");
        break;
    case OPTION_LANG:
        offer_words(typed, before, "python");
        break;
    case OPTION_DURABILITY:
        offer_words(typed, before, "memory|crash|durable");
        break;
    case OPTION_STATE_DIR:
        (void)puts(":files");
        break;
    case OPTION_SET:
        offer_settings(typed, before);
        break;
    case OPTION_POOL:
        if (sp_config_load(cli->config_path, &config, NULL) == 0) {
            const sp_pit_options *options = sp_config_options(config);
            for (size_t i = 0; i < options->pools_count; i++) {
                offer(typed, before, options->pools[i].name, "");
            }
            sp_config_free(config);
        }
        break;
    case OPTION_ADAPTER:
        if (before[0] != '\0' || typed[0] == '\0') {
            offer_words(typed, before, "showcase|none|template");
        } else {
            (void)puts(":files");
        }
        break;
    case OPTION_CONFIG:
    case OPTION_PYTHON:
        (void)puts(":files");
        break;
    default:
        break;
    }
}

static void offer_tool_cb(const sp_tool_info *tool, void *user_data)
{
    offer(user_data, "", tool->name, "");
}

static void offer_tools(struct cli *cli, char *typed)
{
    struct opened opened;
    if (pit_open(cli, OPEN_ONE_POOL | OPEN_ONE_WORKER, &opened) == CODE_OK) {
        if (pit_wait(&opened) == CODE_OK) {
            (void)sp_pool_tools_get(opened.pit, NULL, offer_tool_cb, typed, NULL);
        }
        pit_close(&opened);
    }
}

static void offer_session(const sp_session_info *info, void *user_data)
{
    offer(user_data, "", info->id, "");
}

static void offer_variable(const sp_variable *variable, void *user_data)
{
    offer(user_data, "", variable->name, "");
}

static void offer_program(const sp_program *program, void *user_data)
{
    offer(user_data, "", program->id, "");
}

/* What the state has for the first words of `session`, `var` and `program`; nothing when
 * somebody else has the state just now. */
static void offer_state(struct cli *cli, int position, char *typed)
{
    struct state state;
    sp_error err = {0};
    int is_program = cli->command->verbs == program_verbs;
    const char *session = position > 0 ? cli->words[0] : NULL;
    cli->no_wait = 1;
    if (state_open(cli, &state, &err) == 0) {
        if (cli->command->verbs == session_verbs ||
            (position == 0 && !(is_program && cli->global))) {
            (void)sp_sessions_list(state.sessions, offer_session, typed, NULL);
        } else if (is_program) {
            (void)sp_programs_list(state.sessions, session, offer_program, typed, NULL);
        } else {
            (void)sp_variables_list(state.sessions, session, NULL, offer_variable,
                                    typed, NULL);
        }
        sp_sessions_close(state.sessions);
    }
    sp_error_clear(&err);
}

/* Whether the word is the name of something in the state. */
static int is_in_state(const struct cli *cli, int position)
{
    const struct verb *verb = cli->verb;
    if (cli->command->verbs == session_verbs) {
        return strcmp(verb->name, "end") == 0 ||
               (position == 0 && verb->words_min == 1);
    }
    if (cli->command->verbs == program_verbs) {
        return position == 0 || (position == 1 && !cli->global);
    }
    int is_new = verb->run == var_register || verb->run == var_import;
    return position == 0 || (position == 1 && verb->words_max > 1 && !is_new) ||
           (position == 2 && verb->run == var_depend) || verb->run == var_get ||
           verb->run == var_watch;
}

/* What the words of a verb can be. */
static void offer_after_verb(struct cli *cli, int position, char *typed)
{
    if (cli->verb == NULL) {
        for (const struct verb *v = cli->command->verbs; v->name != NULL; v++) {
            offer(typed, "", v->name, "");
        }
    } else if (cli->command->verbs == config_verbs && position == 0) {
        if (strcmp(cli->verb->name, "explain") == 0) {
            offer_keys(typed);
        } else if (strcmp(cli->verb->name, "check") == 0) {
            (void)puts(":files");
        }
    } else if (cli->verb->run == var_register && position == 2) {
        offer_words(typed, "",
                    "auto|boolean|choice|embedding|float|integer|list|map|module|"
                    "string|tensor");
    } else if ((cli->verb->run == var_import && position == 1) || typed[0] == '@') {
        (void)puts(":files");
    } else if (cli->command->verbs != config_verbs && is_in_state(cli, position)) {
        offer_state(cli, position, typed);
    }
}

static void offer_after(struct cli *cli, const struct command *command, int position,
                        char *typed)
{
    if (command->verbs != NULL) {
        offer_after_verb(cli, position, typed);
    } else if (position > 0) {
        if (strcmp(command->words, "tools") == 0 && strchr(typed, '@') != NULL) {
            (void)puts(":files");
        }
    } else if (strcmp(command->words, "tools") == 0) {
        offer_tools(cli, typed);
    } else if (strcmp(command->words, "files") == 0 ||
               strcmp(command->words, "folders") == 0) {
        (void)puts(":files");
    } else if (strcmp(command->words, "words") == 0) {
        for (size_t i = 0; sp_error_at(i) != 0; i++) {
            offer(typed, "", sp_error_name(sp_error_at(i)), "");
        }
    } else if (strcmp(command->words, "commands") == 0) {
        for (const struct command *c = commands; c->name != NULL; c++) {
            offer(typed, "", c->summary != NULL ? c->name : "", "");
        }
    } else {
        offer_words(typed, "", command->words);
    }
}

static void offer_commands(const char *typed)
{
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (c->summary != NULL) {
            offer(typed, "", c->name, "");
        }
    }
}

/* The option whose value the last word is, NULL when it is none. */
static const struct option_spec *expected_value(const struct command *command,
                                                const struct verb *verb,
                                                const char *before)
{
    if (before[0] != '-' || strchr(before, '=') != NULL) {
        return NULL;
    }
    return find_value_option(command, verb, before);
}

/* "--output=js": the value behind the '='. */
static void offer_joined(const struct cli *line, const char *typed, size_t name_length)
{
    char name[64];
    char head[66];
    (void)snprintf(name, sizeof name, "%.*s", (int)name_length, typed);
    (void)snprintf(head, sizeof head, "%s=", name);
    const struct option_spec *spec = find_value_option(line->command, line->verb, name);
    if (spec != NULL) {
        offer_value(line, spec, typed, head);
    }
}

/* The command and the verb among the finished words. */
static void look_for_command(char **argv, int count, const struct command **ret_command,
                             const struct verb **ret_verb)
{
    int i = 1;
    for (; i <= count && *ret_command == NULL; i++) {
        *ret_command = command_find(argv[i]);
    }
    for (; i <= count && *ret_command != NULL && (*ret_command)->verbs != NULL &&
           *ret_verb == NULL;
         i++) {
        *ret_verb = verb_find(*ret_command, argv[i], 0);
    }
}

/* `words` has `count` finished words; `typed` is the unfinished one. */
static void complete_line(struct cli *line, char **argv, int count, char *typed)
{
    const char *before = count > 0 ? argv[count] : "";
    const char *equals = strncmp(typed, "--", 2) == 0 ? strchr(typed, '=') : NULL;
    const struct command *command = NULL;
    const struct verb *verb = NULL;
    look_for_command(argv, count, &command, &verb);
    const struct option_spec *spec = expected_value(command, verb, before);
    /* An option without its value yet would be a mistake. */
    int code = options_parse(line, count + 1 - (spec != NULL), argv);
    if (spec != NULL) {
        offer_value(line, spec, typed, "");
    } else if (equals != NULL) {
        offer_joined(line, typed, (size_t)(equals - typed));
    } else if (typed[0] == '-') {
        offer_options(typed, line->verb != NULL ? line->verb->options : NULL);
        offer_options(typed, line->command != NULL ? line->command->options : NULL);
        offer_options(typed, global_options);
    } else if (code == CODE_OK && line->command == NULL) {
        offer_commands(typed);
    } else if (code == CODE_OK) {
        offer_after(line, line->command, line->words_count, typed);
    }
}

/* `complete -- WORDS`: the line behind "snakepit", the last word unfinished. */
int cmd_complete(struct cli *cli)
{
    char empty[] = "";
    struct cli line = {.quiet = 1};
    int count = cli->words_count > 0 ? cli->words_count - 1 : 0;
    char *typed = cli->words_count > 0 ? cli->words[count] : empty;
    char **argv = need(calloc((size_t)count + 2, sizeof *argv));
    argv[0] = empty;
    for (int i = 0; i < count; i++) {
        argv[i + 1] = need(strdup(cli->words[i])); /* parsing cuts words in place */
    }
    complete_line(&line, argv, count, typed);
    free(line.words);
    for (int i = 0; i < count; i++) {
        free(argv[i + 1]);
    }
    free(argv);
    return CODE_OK;
}
