/* SPDX-License-Identifier: MIT */
/*
 * The report "events": what has happened, as far as it is kept, oldest first, and a cursor
 * for who asks again.
 *
 * Each question opens a tap that begins with the history, and closes it. So only events
 * that are few can be asked for: those of every call are kept for nobody.
 */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "event/herald.h"
#include "pit/pit.h"
#include "telemetry/json_report.h"

enum { EVENTS_MOST = 100000 };

struct wish {
    const char *kinds;
    const char *pool;
    uint64_t cursor; /* the number of the last event that was seen */
    uint64_t since_unix_ms;
    uint64_t most;
};

static int read_wish(const struct report_question *question, struct wish *ret,
                     sp_error *err)
{
    struct report_wishes wishes = sp__report_wishes(question, err);
    *ret = (struct wish){.kinds = "", .most = EVENTS_MOST};
    (void)sp__report_wish_text(&wishes, "kinds", &ret->kinds);
    (void)sp__report_wish_text(&wishes, "pool", &ret->pool);
    (void)sp__report_wish_number(&wishes, "cursor", 0, INT64_MAX, &ret->cursor);
    (void)sp__report_wish_number(&wishes, "since_unix_ms", 0, INT64_MAX,
                                 &ret->since_unix_ms);
    (void)sp__report_wish_number(&wishes, "max", 0, EVENTS_MOST, &ret->most);
    return wishes.rc;
}

/* A pattern that names an event of every call would never be answered. */
static int check_kinds(const char *kinds, sp_error *err)
{
    const sp_event_info *row = sp_event_info_find(kinds);
    return row == NULL || row->flow != SP_EVENT_FLOW_MANY
               ? SP_OK
               : sp__fail(err, SP_ERR_UNSUPPORTED,
                          "%s is told too often to be kept; a handler hears of it "
                          "(sp_events_attach)",
                          row->name);
}

/* ---- one event ---- */

static json_t *event_json(const sp_event *event, uint64_t number)
{
    json_t *json =
        json_pack("{s:I, s:I, s:s}", "number", (json_int_t)number, "time_unix_ms",
                  (json_int_t)event->time_unix_ms, "event", event->name);
    json_t *measurements = json_object();
    json_t *metadata = json_object();
    for (size_t i = 0; i < event->measurements_count; i++) {
        (void)json_object_set_new(measurements, event->measurements[i].name,
                                  sp__report_number(event->measurements[i].value));
    }
    for (size_t i = 0; i < event->metadata_count; i++) {
        sp__report_set_words(metadata, event->metadata[i].name,
                             event->metadata[i].text);
    }
    (void)json_object_set_new(json, "measurements", measurements);
    (void)json_object_set_new(json, "metadata", metadata);
    return json;
}

static int is_wanted(const struct wish *wish, const sp_event *event, uint64_t number)
{
    return number > wish->cursor && event->time_unix_ms >= wish->since_unix_ms &&
           (wish->pool == NULL || strcmp(event->pool, wish->pool) == 0);
}

static void never(struct tap *tap)
{
    (void)tap; /* nobody waits at it */
}

/* NULL without memory. The wish's cursor moves behind what was looked at. */
static json_t *collect(struct herald *herald, struct wish *wish, sp_error *err)
{
    struct tap tap = {.on_more = never};
    struct read_event read;
    uint8_t *copy = sp__malloc(RECORD_MAX);
    json_t *list = json_array();
    if (copy == NULL || sp__tap_open(herald, &tap, wish->kinds, 1, err) < 0) {
        sp__free(copy);
        json_decref(list);
        return NULL;
    }
    while (json_array_size(list) < wish->most &&
           sp__tap_next(herald, &tap, copy, &read) != 0) {
        uint64_t number = ((const struct event_record *)(void *)copy)->number;
        if (is_wanted(wish, &read.event, number)) {
            sp__report_add(&list, event_json(&read.event, number));
        }
        wish->cursor = number > wish->cursor ? number : wish->cursor;
    }
    sp__tap_close(herald, &tap);
    sp__free(copy);
    return list;
}

int sp__report_events(const struct report_question *question, struct sp_buffer *out,
                      sp_error *err)
{
    struct wish wish;
    sp_error failure = {0};
    int rc = read_wish(question, &wish, err);
    if (rc == SP_OK) {
        rc = check_kinds(wish.kinds, err);
    }
    if (rc == SP_OK) {
        json_t *list = collect(&question->pit->herald, &wish, &failure);
        if (failure.code != 0) {
            rc = failure.code;
            sp_error_move(err, &failure);
        } else {
            rc =
                sp__report_put_json(out,
                                    json_pack("{s:i, s:I, s:o}", "version", 1, "cursor",
                                              (json_int_t)wish.cursor, "events", list),
                                    err);
        }
    }
    return rc;
}
