/* SPDX-License-Identifier: MIT */
/*
 * logs: what a daemon has logged, as far as it keeps it, and what it goes on to log. Lines
 * come as JSON and are written as text or as they are.
 */
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "kept.h"

/* ---- a line ---- */

static const char *color_of(const char *level)
{
    return strcmp(level, "error") == 0  ? "red"
           : strcmp(level, "warn") == 0 ? "yellow"
                                        : "";
}

/* "2026-11-26T19:20:30.114Z warn  api/7 it died event=worker.died pid=4121" */
static void show_line(const json_t *line)
{
    struct text text = {0};
    const char *level = field_words(line, "level");
    (void)printf("%s %s%-5s%s ", field_words(line, "ts"), paint(color_of(level)), level,
                 paint(""));
    log_line_put(&text, line);
    print_clean(stdout, text_c(&text), strlen(text_c(&text)));
    (void)puts("");
    text_free(&text);
}

/* ---- the command ---- */

/* "api/7" or, with --pool, "7". */
static int take_worker(const struct cli *cli, json_t *wish)
{
    const char *slash = strrchr(cli->worker, '/');
    const char *digits = slash != NULL ? slash + 1 : cli->worker;
    char *end;
    unsigned long slot = strtoul(digits, &end, 10);
    if (end == digits || *end != '\0' || digits[0] == '-' || slot > UINT32_MAX ||
        (slash == NULL && cli->pool == NULL)) {
        return complain(CODE_USAGE,
                        "--worker takes POOL/SLOT, such as default/0, not \"%s\"",
                        cli->worker);
    }
    (void)json_object_set_new(wish, "worker", json_integer((json_int_t)slot));
    if (slash != NULL) {
        (void)json_object_set_new(
            wish, "pool", json_stringn(cli->worker, (size_t)(slash - cli->worker)));
    }
    return CODE_OK;
}

static int take_wish(const struct cli *cli, json_t *wish)
{
    if (cli->pool != NULL) {
        (void)json_object_set_new(wish, "pool", json_string(cli->pool));
    }
    if (cli->kind != NULL) {
        (void)json_object_set_new(wish, "event", json_string(cli->kind));
    }
    if (cli->level != NULL) {
        if (sp_log_level(cli->level) == 0) {
            return complain(CODE_USAGE,
                            "--level takes error, warn, info or debug, not \"%s\"",
                            cli->level);
        }
        (void)json_object_set_new(wish, "level", json_string(cli->level));
    }
    return cli->worker != NULL ? take_worker(cli, wish) : CODE_OK;
}

int cmd_logs(struct cli *cli)
{
    static const struct kept lines = {"logs", "lines", show_line, NULL};
    json_t *wish = need(json_object());
    int code = take_wish(cli, wish);
    if (code != CODE_OK) {
        json_decref(wish);
        return code;
    }
    return kept_show(cli, &lines, wish);
}
