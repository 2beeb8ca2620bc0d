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
#include "telemetry/event_json.h"
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

/* A pattern that names an event of every call would never find one. */
static int check_kinds(const char *kinds, sp_error *err)
{
    const sp_event_info *row = sp_event_info_find(kinds);
    return row == NULL || row->flow != SP_EVENT_FLOW_MANY
               ? SP_OK
               : sp__fail(err, SP_ERR_UNSUPPORTED,
                          "%s is told too often to be kept; a handler hears of it "
                          "(sp_events_attach), and a watcher (snakepit events -f)",
                          row->name);
}

/* ---- the list ---- */

static int is_wanted(const struct wish *wish, const sp_event *event, uint64_t number)
{
    return number > wish->cursor && event->time_unix_ms >= wish->since_unix_ms &&
           (wish->pool == NULL || strcmp(event->pool, wish->pool) == 0);
}

static void never(struct tap *tap)
{
    (void)tap; /* nobody waits at it */
}

/* Append those of these records that are wanted. The wish's cursor moves behind them. */
static int put_wanted(const uint8_t *records, size_t bytes, struct wish *wish,
                      uint64_t *count, struct sp_buffer *out, sp_error *err)
{
    int rc = SP_OK;
    for (size_t at = 0; rc == SP_OK && at < bytes;) {
        struct read_event read;
        const struct event_record *record = (const void *)(records + at);
        at += record->bytes;
        sp__record_read(record, &read);
        if (is_wanted(wish, &read.event, record->number)) {
            rc = (*count)++ > 0 ? sp__buf_append(out, ",", 1, err) : SP_OK;
            rc =
                rc < 0 ? rc : sp__event_put_json(out, &read.event, record->number, err);
        }
        wish->cursor = record->number > wish->cursor ? record->number : wish->cursor;
    }
    return rc;
}

/* Append what is kept; `records` has room for RECORD_MAX bytes. */
static int put_events(struct herald *herald, struct wish *wish, uint8_t *records,
                      struct sp_buffer *out, sp_error *err)
{
    struct tap tap = {.on_more = never};
    uint64_t count = 0;
    size_t bytes;
    int rc = sp__tap_open(herald, &tap, wish->kinds, TAP_KEPT, err);
    if (rc < 0) {
        return rc;
    }
    while (rc == SP_OK && count < wish->most &&
           (bytes = sp__tap_take(herald, &tap, records, wish->most - count)) > 0) {
        rc = put_wanted(records, bytes, wish, &count, out, err);
    }
    sp__tap_close(herald, &tap);
    return rc;
}

static int put_report(struct herald *herald, struct wish *wish, struct sp_buffer *out,
                      sp_error *err)
{
    uint8_t *records = sp__malloc(RECORD_MAX);
    if (records == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a report");
    }
    int rc = sp__buf_printf(out, err, "{\"version\":1,\"events\":[");
    if (rc == SP_OK) {
        rc = put_events(herald, wish, records, out, err);
    }
    sp__free(records);
    return rc < 0 ? rc
                  : sp__buf_printf(out, err, "],\"cursor\":%llu}",
                                   (unsigned long long)wish->cursor);
}

int sp__report_events(const struct report_question *question, struct sp_buffer *out,
                      sp_error *err)
{
    struct wish wish;
    int rc = read_wish(question, &wish, err);
    if (rc == SP_OK) {
        rc = check_kinds(wish.kinds, err);
    }
    return rc < 0 ? rc : put_report(&question->pit->herald, &wish, out, err);
}
