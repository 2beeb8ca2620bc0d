/* SPDX-License-Identifier: MIT */
/*
 * events: what has happened to a daemon's pit, as far as it is kept, and with -f what goes
 * on to happen, as the daemon streams it; or, with --list, what can.
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

/* ---- as they come ---- */

enum {
    LOOK_MS = 200,   /* how soon an interrupt shows */
    SHOWN_MAX = 1000 /* before it is looked whether somebody still reads */
};

struct following {
    const struct cli *cli;
    sp_daemon_events *stream;
    unsigned shown; /* since the last look */
    int is_broken;  /* it was no JSON */
};

static void show_text(sp_bytes text, void *user_data)
{
    struct following *following = user_data;
    json_t *event = json_loadb(text.data, text.size, 0, NULL);
    following->shown++;
    following->is_broken = event == NULL;
    if (event != NULL && wants_json(following->cli)) {
        print_json(event);
    } else if (event != NULL) {
        show_event_line(event);
    }
    json_decref(event);
}

static void show_loss(const struct cli *cli, uint64_t dropped)
{
    if (wants_json(cli)) {
        json_t *loss = need(json_pack("{s:I}", "dropped", (json_int_t)dropped));
        print_json(loss);
        json_decref(loss);
    } else {
        talk("(%llu events were dropped: they came faster than they were read)",
             (unsigned long long)dropped);
    }
}

/* The next one, 0 when there is none for now. Negative: it is over. */
static int show_next(struct following *following, uint64_t wait_ms, sp_error *err)
{
    uint64_t dropped;
    int rc = sp_daemon_events_next(following->stream, wait_ms, show_text, following,
                                   &dropped, err);
    if (dropped > 0) {
        show_loss(following->cli, dropped);
    }
    return following->is_broken
               ? sp_error_set(err, SP_ERR_PROTOCOL, "an event of the daemon is no JSON")
               : rc;
}

/* Until it is over, or somebody interrupts, or nobody reads any more. */
static int follow_on(struct following *following, int *ret_code, sp_error *err)
{
    uint64_t wait_ms = 0;
    int rc = SP_OK;
    while (rc >= 0 && *ret_code == CODE_OK) {
        rc = show_next(following, wait_ms, err);
        if (rc == 0 || following->shown >= SHOWN_MAX) {
            following->shown = 0;
            *ret_code = print_flush();
        }
        wait_ms = rc == 0 ? LOOK_MS : 0;
        if (watch_interrupted()) {
            *ret_code = CODE_INTERRUPTED;
        }
    }
    return rc;
}

static int follow_from(const struct cli *cli, struct view *view, uint64_t cursor)
{
    const sp_daemon_events_options options = {.size = sizeof options,
                                              .kinds = cli->kind,
                                              .pool = cli->pool,
                                              .cursor = cursor};
    struct following following = {.cli = cli};
    sp_error err = {0};
    int code = CODE_OK;
    int rc = sp_daemon_events_open(view->daemon, &options, &following.stream, &err);
    if (rc >= 0) {
        rc = follow_on(&following, &code, &err);
    }
    if (rc < 0 && code == CODE_OK) {
        (void)print_flush();
        code = report(&err);
    }
    sp_daemon_events_close(following.stream);
    sp_error_clear(&err);
    return code;
}

static int follow(const struct cli *cli, struct view *view, const json_t *wish)
{
    return follow_from(cli, view, (uint64_t)field_number(wish, "cursor"));
}

/* Of events that are not kept there is nothing to begin with. */
static int follow_unkept(const struct cli *cli)
{
    struct view view;
    int code = view_open_daemon(cli, &view);
    if (code == CODE_OK) {
        code = follow_from(cli, &view, SP_UNLIMITED);
        view_close(&view);
    }
    return code;
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

static int is_kept(const char *kind)
{
    const sp_event_info *row = kind != NULL ? sp_event_info_find(kind) : NULL;
    return row == NULL || row->flow != SP_EVENT_FLOW_MANY;
}

int cmd_events(struct cli *cli)
{
    static const struct kept events = {"events", "events", show_event_line, follow};
    if (cli->list) {
        return print_table(cli);
    }
    return cli->follow && !is_kept(cli->kind) ? follow_unkept(cli)
                                              : kept_show(cli, &events, wish_of(cli));
}
