/* SPDX-License-Identifier: MIT */
/*
 * WatchEvents: what happens to the pit, as it does.
 *
 * Normal course: the watcher has a tap of the herald, at which events wait for it; the
 * herald wakes the stream when there is one. Events that come with every call do not wake
 * it each time: after such ones it takes a nap of a few milliseconds, from which only
 * others, or a ring that is half full, wake it. A message has as many events as there are,
 * up to a limit.
 *
 * Failure: what a watcher is too slow for is overwritten in the ring, and the next message
 * says how many events that were. Meanwhile nobody does anything for it.
 */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "event/herald.h"
#include "serve/watching.h"
#include "telemetry/event_json.h"
#include "wire/proto_control.h"

enum {
    TAKES_MAX = 4, /* of events, for one message */
    MESSAGE_BYTES = 16 * 1024,
    NAP_MS = 5
};

struct event_watching {
    struct watching watching;
    struct herald *herald;
    struct tap tap;
    int is_tapped;
    struct timer nap;
    int is_napping;
    char *pool;       /* NULL: of all of them */
    uint64_t cursor;  /* only events behind it */
    uint64_t told;    /* of those that the tap has lost */
    uint8_t *records; /* RECORD_MAX */
};

static struct event_watching *of(struct watching *watching)
{
    return ITEM(watching, struct event_watching, watching);
}

/* ---- when ---- */

static void on_more(struct tap *tap)
{
    sp__watching_wake(&ITEM(tap, struct event_watching, tap)->watching);
}

static void wake_up(struct event_watching *events)
{
    if (events->is_napping) {
        events->is_napping = 0;
        sp__tap_set_patient(events->herald, &events->tap, 0);
    }
}

static void nap_over(struct timer *timer, uint64_t now_ms)
{
    struct event_watching *events = ITEM(timer, struct event_watching, nap);
    (void)now_ms;
    wake_up(events);
    sp__watching_pump(&events->watching);
}

static void take_nap(struct event_watching *events)
{
    struct loop *loop = events->watching.loop;
    events->is_napping = 1;
    sp__tap_set_patient(events->herald, &events->tap, 1);
    sp__timer_set(loop, &events->nap, sp__loop_now_ms(loop) + NAP_MS);
}

/* ---- out ---- */

static int is_wanted(const struct event_watching *events, const sp_event *event,
                     uint64_t number)
{
    return number > events->cursor &&
           (events->pool == NULL || strcmp(event->pool, events->pool) == 0);
}

/* Those of the records that are wanted, an event on each line; whether the last was one of
 * many. */
static int put_lines(struct event_watching *events, size_t bytes,
                     struct sp_buffer *lines, int *ret_is_many, sp_error *err)
{
    int rc = SP_OK;
    for (size_t at = 0; rc == SP_OK && at < bytes;) {
        struct read_event read;
        const struct event_record *record = (const void *)(events->records + at);
        at += record->bytes;
        sp__record_read(record, &read);
        *ret_is_many = sp__event_row(record->kind)->flow == SP_EVENT_FLOW_MANY;
        if (is_wanted(events, &read.event, record->number)) {
            rc = sp__event_put_json(lines, &read.event, record->number, err);
            rc = rc == SP_OK ? sp__buf_append(lines, "\n", 1, err) : rc;
        }
    }
    return rc;
}

/* What there is: 1, or 0 when there is no more. */
static int collect(struct event_watching *events, struct sp_buffer *lines,
                   sp_error *err)
{
    int is_many = 0;
    for (int takes = 0; takes < TAKES_MAX && lines->size < MESSAGE_BYTES; takes++) {
        size_t bytes =
            sp__tap_take(events->herald, &events->tap, events->records, SIZE_MAX);
        if (bytes == 0) {
            if (is_many) {
                take_nap(events);
            }
            return 0;
        }
        int rc = put_lines(events, bytes, lines, &is_many, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 1;
}

static int next_events(struct watching *watching, struct sp_buffer *out, sp_error *err)
{
    struct event_watching *events = of(watching);
    struct sp_buffer lines;
    sp__buf_init(&lines, SIZE_MAX / 2);
    wake_up(events);
    uint64_t dropped = sp__tap_dropped(events->herald, &events->tap);
    int rc = collect(events, &lines, err);
    if (rc >= 0 && (lines.size > 0 || dropped > events->told)) {
        const struct proto_events_watch_reply reply = {
            .events = {lines.data, lines.size}, .dropped = dropped - events->told};
        int put = sp__proto_put_events_watch_reply(out, &reply, err);
        events->told = dropped;
        rc = put < 0 ? put : rc;
    }
    sp__buf_fini(&lines);
    return rc;
}

/* ---- in ---- */

static int read_question(struct event_watching *events, sp_bytes bytes,
                         struct proto_memory *memory, const char **ret_kinds,
                         sp_error *err)
{
    struct proto_events_watch request;
    int rc = sp__proto_get_events_watch(bytes, memory, &request, err);
    if (rc < 0) {
        return rc;
    }
    *ret_kinds = request.kinds;
    events->cursor = request.cursor;
    events->records = sp__malloc(RECORD_MAX);
    events->pool = request.pool[0] != '\0' ? sp__strdup(request.pool) : NULL;
    return events->records != NULL &&
                   (events->pool != NULL) == (request.pool[0] != '\0')
               ? SP_OK
               : sp__fail(err, SP_ERR_NOMEM, "no memory to watch events");
}

static int open_tap(struct watching *watching, const struct asking *asking,
                    sp_bytes question, sp_error *err)
{
    struct event_watching *events = of(watching);
    struct proto_memory memory = {0};
    const char *kinds = "";
    events->herald = &asking->pit->herald;
    events->tap.on_more = on_more;
    int rc = read_question(events, question, &memory, &kinds, err);
    if (rc == SP_OK) {
        rc = sp__timer_init(watching->loop, &events->nap, nap_over) < 0
                 ? sp__fail(err, SP_ERR_NOMEM, "no memory to watch events")
                 : SP_OK;
    }
    if (rc == SP_OK) {
        int is_fresh = events->cursor == SP_UNLIMITED;
        rc = sp__tap_open(events->herald, &events->tap, kinds,
                          is_fresh ? TAP_FROM_NOW : TAP_KEPT_ON, err);
        events->is_tapped = rc == SP_OK;
        /* One of a daemon that is gone means nothing here. */
        if (is_fresh || events->cursor > sp__herald_number(events->herald)) {
            events->cursor = 0;
        }
    }
    if (rc == SP_OK) {
        sp__watching_wake(watching); /* for what is kept */
    }
    sp__proto_memory_fini(&memory);
    return rc;
}

static void close_tap(struct watching *watching)
{
    struct event_watching *events = of(watching);
    if (events->is_tapped) {
        sp__tap_close(events->herald, &events->tap);
    }
    sp__timer_fini(watching->loop, &events->nap);
    sp__free(events->pool);
    sp__free(events->records);
}

void sp__watch_events_message(struct rpc *rpc, const uint8_t *data, size_t size)
{
    static const struct watch_source source = {.size = sizeof(struct event_watching),
                                               .open = open_tap,
                                               .next = next_events,
                                               .close = close_tap};
    sp__watching_begin(rpc, &source, (sp_bytes){data, size});
}
