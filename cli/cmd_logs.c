/* SPDX-License-Identifier: MIT */
/*
 * logs: what a daemon has logged, as far as it keeps it, and what it goes on to log.
 *
 * The daemon is asked with a cursor that moves behind what was seen, again and again with
 * -f; when the daemon goes away, so does this. Lines come as JSON and are written as text
 * or as they are.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "view.h"

enum { PAUSE_MS = 300, ONE_REPORT = 5000 };

struct reader {
    const struct cli *cli;
    struct view *view;
    json_t *wish; /* the options of each question but the cursor */
    json_int_t cursor;
};

/* ---- a line ---- */

static void put_value(struct text *text, const char *key, const json_t *value)
{
    const char *word = json_string_value(value);
    if (word != NULL && word[0] != '\0' && strpbrk(word, " \t\n\"=\\") == NULL) {
        text_printf(text, " %s=%s", key, word);
        return;
    }
    char *dumped = need(json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT));
    text_printf(text, " %s=%s", key, dumped);
    free(dumped);
}

static const char *text_of(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));
    return text != NULL ? text : "";
}

static int is_head(const char *key)
{
    static const char *const heads[] = {"ts", "level", "msg", "pool", "worker"};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        if (strcmp(heads[i], key) == 0) {
            return 1;
        }
    }
    return 0;
}

static const char *color_of(const char *level)
{
    return strcmp(level, "error") == 0  ? "red"
           : strcmp(level, "warn") == 0 ? "yellow"
                                        : "";
}

/* "2026-11-26T19:20:30.114Z warn  api/7 it died event=worker.died pid=4121" */
static void put_rest(const json_t *line, struct text *text)
{
    const char *pool = text_of(line, "pool");
    const json_t *worker = json_object_get(line, "worker");
    const char *key;
    json_t *value;
    if (worker != NULL) {
        text_printf(text, "%s/%lld ", pool, (long long)json_integer_value(worker));
    } else if (pool[0] != '\0') {
        text_printf(text, "%s ", pool);
    }
    text_printf(text, "%s", text_of(line, "msg"));
    json_object_foreach ((json_t *)(uintptr_t)line, key, value) {
        if (!is_head(key)) {
            put_value(text, key, value);
        }
    }
}

static void print_line(const struct cli *cli, const json_t *line)
{
    struct text text = {0};
    const char *level = text_of(line, "level");
    const char *color = color_of(level);
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_JSONL) {
        char *dumped = need(json_dumps(line, JSON_COMPACT));
        (void)puts(dumped);
        free(dumped);
        return;
    }
    (void)printf("%s %s%-5s%s ", text_of(line, "ts"),
                 color[0] != '\0' ? paint(color) : "", level,
                 color[0] != '\0' ? paint("") : "");
    put_rest(line, &text);
    print_clean(stdout, text_c(&text), strlen(text_c(&text)));
    (void)puts("");
    text_free(&text);
}

/* ---- reading ---- */

/* One report; what it says, or NULL with a code. */
static json_t *ask(struct reader *reader, int *ret_code)
{
    json_t *wish = need(json_copy(reader->wish));
    (void)json_object_set_new(wish, "cursor", json_integer(reader->cursor));
    json_t *report = view_report(reader->view, "logs", wish, ret_code);
    if (report != NULL) {
        reader->cursor = json_integer_value(json_object_get(report, "cursor"));
    }
    return report;
}

static void tell_lost(const struct reader *reader, const json_t *report)
{
    json_int_t lost = json_integer_value(json_object_get(report, "lost"));
    if (lost > 0 && !reader->cli->quiet) {
        (void)fprintf(stderr, "(%lld lines are no longer kept)\n", (long long)lost);
    }
}

/* All that there is now, into `lines`. */
static int gather(struct reader *reader, json_t *lines)
{
    int code = CODE_OK;
    size_t before;
    do {
        before = json_array_size(lines);
        json_t *report = ask(reader, &code);
        if (report == NULL) {
            return code;
        }
        tell_lost(reader, report);
        (void)json_array_extend(lines, json_object_get(report, "lines"));
        json_decref(report);
    } while (json_array_size(lines) >= before + ONE_REPORT);
    return CODE_OK;
}

static int print_last(const struct cli *cli, const json_t *lines)
{
    size_t count = json_array_size(lines);
    size_t first =
        cli->count > 0 && cli->count < count ? count - (size_t)cli->count : 0;
    for (size_t i = first; i < count; i++) {
        print_line(cli, json_array_get(lines, i));
    }
    return print_flush();
}

static int follow(struct reader *reader)
{
    int code = CODE_OK;
    while (code == CODE_OK) {
        json_t *lines = need(json_array());
        (void)poll(NULL, 0, PAUSE_MS); /* a signal ends it */
        code = watch_interrupted() ? CODE_INTERRUPTED : gather(reader, lines);
        for (size_t i = 0; code == CODE_OK && i < json_array_size(lines); i++) {
            print_line(reader->cli, json_array_get(lines, i));
        }
        code = code == CODE_OK ? print_flush() : code;
        json_decref(lines);
    }
    return code;
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
    (void)json_object_set_new(wish, "max", json_integer(ONE_REPORT));
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
    struct view view;
    struct reader reader = {.cli = cli, .view = &view, .wish = need(json_object())};
    int code = take_wish(cli, reader.wish);
    if (code == CODE_OK) {
        code = view_open_daemon(cli, &view);
    }
    if (code == CODE_OK) {
        json_t *lines = need(json_array());
        code = gather(&reader, lines);
        if (code == CODE_OK) {
            code = print_last(cli, lines);
        }
        json_decref(lines);
        if (code == CODE_OK && cli->follow) {
            code = follow(&reader);
        }
        view_close(&view);
    }
    json_decref(reader.wish);
    return code;
}
