/* SPDX-License-Identifier: MIT */
/*
 * config: check a file, show what is in force and why, explain a key.
 *
 * No worker is started. `check` turns a mistake into exit code 1, because that is a
 * finding about the file and not about this command line.
 */
#include "cli.h"

#include <string.h>

static const struct option_spec show_options[] = {
    {"changed", 0, NULL, OPTION_CHANGED, "only what differs from the default"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

/* --- check ---------------------------------------------------------------------------- */

static int check(struct cli *cli)
{
    sp_config *config = NULL;
    sp_error err = {0};
    unsigned workers = 0;
    if (cli->words_count > 0) {
        cli->config_path = cli->words[0];
    }
    if (sp_config_load(cli->config_path, &config, &err) < 0) {
        int code = report(&err);
        int is_wrong = err.code == SP_ERR_CONFIG;
        sp_error_clear(&err);
        return is_wrong ? CODE_FINDING : code;
    }
    sp_config_free(config);
    /* The same with the flags, whose mistakes are usage errors. */
    int code = config_open(cli, &config);
    if (code != CODE_OK) {
        return code;
    }
    const sp_pit_options *options = sp_config_options(config);
    for (size_t i = 0; i < options->pools_count; i++) {
        workers += options->pools[i].workers;
    }
    const char *path = sp_config_path(config);
    if (wants_json(cli)) {
        json_t *root = need(
            json_pack("{s:i, s:b, s:s?, s:i, s:i}", "version", 1, "ok", 1, "file", path,
                      "pools", (int)options->pools_count, "workers", (int)workers));
        print_json(root);
        json_decref(root);
    } else {
        (void)printf("%s: ok, %zu %s, %u %s\n", path != NULL ? path : "defaults",
                     options->pools_count, options->pools_count == 1 ? "pool" : "pools",
                     workers, workers == 1 ? "worker" : "workers");
    }
    if (workers > options->workers_max) {
        talk("warning: the pools ask for %u workers, workers_max is %u; the rest will "
             "not start",
             workers, options->workers_max);
    }
    char warning[512];
    if (sp_config_warning(config, warning, sizeof warning)) {
        talk("warning: %s", warning);
    }
    sp_config_free(config);
    return CODE_OK;
}

/* --- show ----------------------------------------------------------------------------- */

struct showing {
    const struct cli *cli;
    struct table *table; /* or */
    json_t *list;
};

static void show_cb(const sp_setting *setting, void *user_data)
{
    struct showing *s = user_data;
    if (s->cli->changed && strcmp(setting->source, "default") == 0) {
        return;
    }
    if (s->list != NULL) {
        (void)json_array_append_new(
            s->list, need(json_pack("{s:s, s:s, s:s, s:s}", "key", setting->key,
                                    "value", setting->value, "source", setting->source,
                                    "default", setting->default_value)));
        return;
    }
    table_cell(s->table, "%s", setting->key);
    table_cell(s->table, "%s", setting->value[0] != '\0' ? setting->value : "-");
    table_cell(s->table, "%s", setting->source);
    table_cell(s->table, "%s",
               setting->default_value[0] != '\0' ? setting->default_value : "-");
}

static int show(struct cli *cli)
{
    static const char *const headings[] = {"KEY", "VALUE", "SOURCE", "DEFAULT", NULL};
    struct showing s = {.cli = cli};
    sp_config *config = NULL;
    int code = config_open(cli, &config);
    if (code != CODE_OK) {
        return code;
    }
    const char *path = sp_config_path(config);
    if (wants_json(cli)) {
        s.list = need(json_array());
        sp_config_each(config, show_cb, &s);
        json_t *root = need(json_pack("{s:i, s:s?, s:o}", "version", 1, "file", path,
                                      "settings", s.list));
        print_json(root);
        json_decref(root);
    } else {
        s.table = table_new(headings);
        sp_config_each(config, show_cb, &s);
        talk("# %s", path != NULL ? path : "no file: the defaults are in force");
        table_print(s.table, "");
        table_free(s.table);
    }
    sp_config_free(config);
    return CODE_OK;
}

/* --- explain -------------------------------------------------------------------------- */

static json_t *key_to_json(const sp_config_key *key)
{
    return need(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "key", key->key, "type",
                          key->type, "range", key->range, "default", key->default_value,
                          "environment", key->environment, "text", key->text));
}

static void print_key(const sp_config_key *key)
{
    (void)printf("%s%s%s\n  %s\n\n", paint("bold"), key->key, paint(""), key->text);
    (void)printf("  type         %s%s%s%s\n", key->type,
                 key->range[0] != '\0' ? " (" : "", key->range,
                 key->range[0] != '\0' ? ")" : "");
    (void)printf("  default      %s\n",
                 key->default_value[0] != '\0' ? key->default_value : "-");
    (void)printf("  environment  %s\n",
                 key->environment[0] != '\0' ? key->environment : "-");
    if (strncmp(key->key, "pools[].", 8) == 0 &&
        strcmp(key->key, "pools[].name") != 0) {
        (void)printf("  flag         --set pool.%s=...\n", key->key + 8);
        (void)printf("  also         defaults.%s, for every pool\n", key->key + 8);
    } else if (strcmp(key->key, "pools[].name") != 0) {
        (void)printf("  flag         --set %s=...\n", key->key);
    }
}

static int explain_all(const struct cli *cli)
{
    static const char *const headings[] = {"KEY", "TYPE", "DEFAULT", "ENVIRONMENT",
                                           NULL};
    sp_config_key key;
    if (wants_json(cli)) {
        json_t *keys = need(json_array());
        for (size_t i = 0; sp_config_key_at(i, &key); i++) {
            (void)json_array_append_new(keys, key_to_json(&key));
        }
        json_t *root = need(json_pack("{s:i, s:o}", "version", 1, "keys", keys));
        print_json(root);
        json_decref(root);
        return CODE_OK;
    }
    struct table *table = table_new(headings);
    for (size_t i = 0; sp_config_key_at(i, &key); i++) {
        table_cell(table, "%s", key.key);
        table_cell(table, "%s", key.type);
        table_cell(table, "%s", key.default_value[0] != '\0' ? key.default_value : "-");
        table_cell(table, "%s", key.environment[0] != '\0' ? key.environment : "-");
    }
    table_print(table, "");
    table_free(table);
    return CODE_OK;
}

static int explain(struct cli *cli)
{
    sp_config_key key;
    sp_error err = {0};
    if (cli->words_count == 0) {
        return explain_all(cli);
    }
    if (sp_config_explain(cli->words[0], &key, &err) < 0) {
        int code = complain(exit_code_of(err.code), "%s", err.message);
        sp_error_clear(&err);
        return code;
    }
    if (wants_json(cli)) {
        json_t *root =
            need(json_pack("{s:i, s:o}", "version", 1, "key", key_to_json(&key)));
        print_json(root);
        json_decref(root);
    } else {
        print_key(&key);
    }
    return CODE_OK;
}

const struct verb config_verbs[] = {
    {"check", "[FILE]", "say whether a configuration is sound",
     "The exit code is 1 when it is not.\n"
     "\n"
     "Example:\n"
     "  snakepit config check snakepit.yaml\n",
     NULL, 0, 1, check},
    {"explain", "[KEY]", "what a key means, its range and default",
     "Without a key lists them all.\n"
     "\n"
     "Example:\n"
     "  snakepit config explain queue.max\n",
     NULL, 0, 1, explain},
    {"show", "", "every setting in force, and its source",
     "Example:\n"
     "  snakepit config show --changed\n",
     show_options, 0, 0, show},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
