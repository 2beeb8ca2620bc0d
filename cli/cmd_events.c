/* SPDX-License-Identifier: MIT */
/*
 * events: what has happened to a daemon's pit, as far as it is kept, and with -f what goes
 * on to happen; or, with --list, what can.
 */
#include <string.h>
#include <time.h>

#include "fields.h"
#include "kept.h"

/* ---- one event ---- */

static void put_members(struct text *text, const json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        field_put(text, key, value);
    }
}

/* "2026-11-26T19:20:30Z worker.died exit_status=1 pool=default worker=0 ..." */
static void show_event_line(const json_t *event)
{
    struct text text = {0};
    char time[TIME_MAX];
    text_printf(&text, "%s %s",
                format_time((uint64_t)field_number(event, "time_unix_ms"), time),
                field_words(event, "event"));
    put_members(&text, json_object_get(event, "measurements"));
    put_members(&text, json_object_get(event, "metadata"));
    print_clean(stdout, text_c(&text), strlen(text_c(&text)));
    (void)puts("");
    text_free(&text);
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
    if (wants_json(cli)) {
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
    static const struct kept events = {"events", "events", show_event_line};
    return cli->list ? print_table(cli) : kept_show(cli, &events, wish_of(cli));
}
