/* SPDX-License-Identifier: MIT */
/*
 * events: what has happened to a daemon's pit, as far as it is kept, and with -f what goes
 * on to happen. The daemon is asked with a cursor that moves behind what was seen.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "view.h"

enum { PAUSE_MS = 300 };

/* ---- one event ---- */

static void put_members(struct text *text, const json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        const char *word = json_string_value(value);
        if (word != NULL && word[0] != '\0' && strpbrk(word, " \t\n\"=\\") == NULL) {
            text_printf(text, " %s=%s", key, word);
        } else {
            char *dumped = need(json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT |
                                                      JSON_REAL_PRECISION(9)));
            text_printf(text, " %s=%s", key, dumped);
            free(dumped);
        }
    }
}

/* "2026-11-26T19:20:30Z worker.died exit_status=1 pool=default worker=0 ..." */
static void print_event(const struct cli *cli, const json_t *event)
{
    struct text text = {0};
    char time[TIME_MAX];
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_JSONL) {
        char *dumped = need(json_dumps(event, JSON_COMPACT));
        (void)puts(dumped);
        free(dumped);
        return;
    }
    text_printf(&text, "%s %s",
                format_time((uint64_t)report_number(event, "time_unix_ms"), time),
                report_words(event, "event"));
    put_members(&text, json_object_get(event, "measurements"));
    put_members(&text, json_object_get(event, "metadata"));
    print_clean(stdout, text_c(&text), strlen(text_c(&text)));
    (void)puts("");
    text_free(&text);
}

/* ---- reading ---- */

static int print_new(const struct cli *cli, struct view *view, json_t *wish)
{
    const json_t *event;
    size_t i;
    int code;
    json_t *report = view_report(view, "events", need(json_copy(wish)), &code);
    if (report == NULL) {
        return code;
    }
    json_array_foreach (json_object_get(report, "events"), i, event) {
        print_event(cli, event);
    }
    (void)json_object_set(wish, "cursor", json_object_get(report, "cursor"));
    json_decref(report);
    return print_flush();
}

static int print_on(const struct cli *cli, struct view *view, json_t *wish)
{
    int code = print_new(cli, view, wish);
    while (code == CODE_OK && cli->follow) {
        (void)poll(NULL, 0, PAUSE_MS); /* a signal ends it */
        code = watch_interrupted() ? CODE_INTERRUPTED : print_new(cli, view, wish);
    }
    return code;
}

/* ---- the table of all events ---- */

static int print_table(const struct cli *cli)
{
    static const char *const headings[] = {"EVENT", "KEPT", "MEANING", NULL};
    struct table *table = table_new(headings);
    json_t *list = need(json_array());
    const sp_event_info *row;
    for (size_t i = 0; (row = sp_event_info_at(i)) != NULL; i++) {
        int is_kept = row->flow != SP_EVENT_FLOW_MANY;
        table_cell(table, "%s", row->name);
        table_cell(table, "%s", is_kept ? "yes" : "no");
        table_cell(table, "%s", row->meaning);
        (void)json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "event",
                                                    row->name, "kept", is_kept,
                                                    "meaning", row->meaning));
    }
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_JSONL) {
        print_json(list);
    } else {
        table_print(table, "");
    }
    table_free(table);
    json_decref(list);
    return CODE_OK;
}

/* ---- the command ---- */

static json_t *wish_of(const struct cli *cli)
{
    json_t *wish = need(json_object());
    if (cli->kind != NULL) {
        (void)json_object_set_new(wish, "kinds", json_string(cli->kind));
    }
    if (cli->pool != NULL) {
        (void)json_object_set_new(wish, "pool", json_string(cli->pool));
    }
    if (cli->since_ms != 0) {
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
        json_int_t since = (json_int_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 -
                           (json_int_t)cli->since_ms;
        (void)json_object_set_new(wish, "since_unix_ms",
                                  json_integer(since > 0 ? since : 0));
    }
    return wish;
}

int cmd_events(struct cli *cli)
{
    struct view view;
    if (cli->list) {
        return print_table(cli);
    }
    int code = view_open_daemon(cli, &view);
    if (code != CODE_OK) {
        return code;
    }
    json_t *wish = wish_of(cli);
    code = print_on(cli, &view, wish);
    json_decref(wish);
    view_close(&view);
    return code;
}
