/* SPDX-License-Identifier: MIT */
/*
 * cleanup: end what killed hosts left behind, and say of each process why or why not.
 *
 * Looks at the instances of this user, or at the one of --instance. A host that runs is
 * left alone with all its processes. With --dry-run nothing is changed at all, and the
 * exit code is 1 when there is something to end.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

struct cleanup {
    const struct cli *cli;
    sp_instance_info *found;
    size_t found_count;
    const sp_instance_info *at; /* the one looked at */
    struct table *table;        /* NULL: JSON */
    json_t *processes;          /* of the one looked at, with JSON */
    unsigned shown;
    unsigned ours;
};

static const char *state_word(int state)
{
    return state == SP_INSTANCE_HELD        ? "held"
           : state == SP_INSTANCE_ABANDONED ? "abandoned"
                                            : "free";
}

static const char *verdict_word(int verdict)
{
    static const char *const words[] = {
        [SP_LEFT_OURS] = "ours",     [SP_LEFT_RUNNING] = "running",
        [SP_LEFT_GONE] = "gone",     [SP_LEFT_STRANGER] = "stranger",
        [SP_LEFT_UNSURE] = "unsure",
    };
    return words[verdict];
}

static const char *done_word(const struct cleanup *cleanup, const sp_leftover *left)
{
    if (left->ended) {
        return "ended";
    }
    return left->verdict == SP_LEFT_OURS && cleanup->cli->dry_run ? "would be ended"
                                                                  : "left alone";
}

static void keep_instance(const sp_instance_info *info, void *user_data)
{
    struct cleanup *cleanup = user_data;
    cleanup->found = need(
        realloc(cleanup->found, (cleanup->found_count + 1) * sizeof *cleanup->found));
    cleanup->found[cleanup->found_count++] = *info;
}

static void show_left(const sp_leftover *left, void *user_data)
{
    struct cleanup *cleanup = user_data;
    cleanup->shown++;
    cleanup->ours += left->verdict == SP_LEFT_OURS;
    if (cleanup->processes != NULL) {
        json_t *process = json_pack(
            "{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "pid", left->pid, "name",
            left->name, "kind", left->is_guard ? "guard" : "worker", "source",
            left->source, "run", left->run, "verdict", verdict_word(left->verdict),
            "why", left->why, "ended", left->ended);
        (void)json_array_append_new(cleanup->processes, need(process));
        return;
    }
    table_cell(cleanup->table, "%s", cleanup->at->name);
    if (left->pid != 0) {
        table_cell(cleanup->table, "%d", left->pid);
    } else {
        table_cell(cleanup->table, "-");
    }
    table_cell(cleanup->table, "%s", left->name);
    table_cell(cleanup->table, "%s", left->source);
    table_cell(cleanup->table, "%s", verdict_word(left->verdict));
    table_cell(cleanup->table, "%s", done_word(cleanup, left));
    table_cell(cleanup->table, "%s", left->why);
}

static void talk_of(const sp_instance_info *info)
{
    char since[TIME_MAX];
    if (info->state == SP_INSTANCE_HELD) {
        talk("instance %s: held by %s (pid %d) since %s, %u workers: left alone",
             info->name, info->program, info->pid,
             format_time(info->since_unix_ms, since), (unsigned)info->workers);
    } else if (info->state == SP_INSTANCE_ABANDONED) {
        talk("instance %s: its host (pid %d) is dead", info->name, info->pid);
    }
    if (info->bad_rows > 0) {
        talk("instance %s: %u rows of its registry cannot be read; its processes are "
             "found by their mark",
             info->name, (unsigned)info->bad_rows);
    }
}

static json_t *instance_to_json(const sp_instance_info *info, json_t *processes)
{
    char since[TIME_MAX];
    return need(json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:i, s:o}", "name",
                          info->name, "folder", info->folder, "state",
                          state_word(info->state), "pid", info->pid, "program",
                          info->program, "version", info->version, "since",
                          format_time(info->since_unix_ms, since), "bad_rows",
                          (int)info->bad_rows, "processes", processes));
}

/* One instance; 0 or an exit code, explained. */
static int clean(struct cleanup *cleanup, const sp_instance_info *info, json_t *list)
{
    sp_error err = {0};
    int code = CODE_OK;
    cleanup->at = info;
    cleanup->processes = list != NULL ? need(json_array()) : NULL;
    talk_of(info);
    /* A host that runs is no mistake, unless it was asked for by name. */
    int look = cleanup->cli->dry_run ||
               (info->state == SP_INSTANCE_HELD && cleanup->cli->instance == NULL);
    if (sp_instance_cleanup(info, look, show_left, cleanup, &err) < 0) {
        code = report(&err);
    }
    sp_error_clear(&err);
    if (list != NULL) {
        (void)json_array_append_new(list, instance_to_json(info, cleanup->processes));
    }
    return code;
}

static int clean_all(struct cleanup *cleanup, json_t *list)
{
    static const char *const headings[] = {"INSTANCE", "PID",  "NAME", "FOUND IN",
                                           "VERDICT",  "DONE", "WHY",  NULL};
    int worst = CODE_OK;
    cleanup->table = list == NULL ? table_new(headings) : NULL;
    for (size_t i = 0; i < cleanup->found_count; i++) {
        int code = clean(cleanup, &cleanup->found[i], list);
        worst = code != CODE_OK ? code : worst;
    }
    if (cleanup->table != NULL && cleanup->shown > 0) {
        table_print(cleanup->table, "");
    }
    if (cleanup->table != NULL) {
        table_free(cleanup->table);
    }
    return worst;
}

/* The folder of the configuration. */
static int find_folder(const struct cli *cli, sp_config **ret_config,
                       const char **ret_folder)
{
    int code = config_open(cli, ret_config);
    if (code == CODE_OK) {
        *ret_folder = sp_config_options(*ret_config)->runtime_dir;
    }
    return code;
}

static void talk_of_nothing(const struct cleanup *cleanup)
{
    if (cleanup->found_count == 0 && cleanup->cli->instance == NULL) {
        talk("no instance has left anything");
    } else if (cleanup->shown == 0) {
        talk("nothing is left");
    }
}

int cmd_cleanup(struct cli *cli)
{
    struct cleanup cleanup = {.cli = cli};
    sp_config *config = NULL;
    const char *folder = NULL;
    sp_error err = {0};
    if (cli->words_count > 0) {
        return complain(CODE_USAGE,
                        "cleanup takes no \"%s\"; --instance NAME chooses one",
                        cli->words[0]);
    }
    int code = find_folder(cli, &config, &folder);
    if (code != CODE_OK) {
        return code;
    }
    int json = wants_json(cli);
    json_t *list = json ? need(json_array()) : NULL;
    if (sp_instance_each(folder, cli->instance, keep_instance, &cleanup, &err) < 0) {
        code = report(&err);
    } else {
        code = clean_all(&cleanup, list);
        talk_of_nothing(&cleanup);
    }
    if (json) {
        json_t *root = need(json_pack("{s:i, s:b, s:o}", "version", 1, "dry_run",
                                      cli->dry_run, "instances", list));
        print_json(root);
        json_decref(root);
    }
    sp_error_clear(&err);
    free(cleanup.found);
    sp_config_free(config);
    return code == CODE_OK && cli->dry_run && cleanup.ours > 0 ? CODE_FINDING : code;
}
