/* SPDX-License-Identifier: MIT */
/*
 * Records and their ring.
 *
 * A record lies in one piece: when it does not fit before the end of the memory, what is
 * left there becomes a record of kind 0, and it begins at the front. The oldest ones go
 * when there is no room; that is how a ring is bounded, whoever reads it.
 *
 * Nothing fails: a text that is too long is cut, metadata there is no room for are left
 * out.
 */
#include "event/record.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "event/table.h"
#include "snakepit/error.h"

enum { MESSAGE_MAX = 4096, NAME_MAX_BYTES = 256, METADATA_TEXT_MAX = 512 };

/* With its NUL; cut before a letter that is not whole (UTF-8). */
static size_t text_bytes(const char *text, size_t max)
{
    size_t size = text == NULL ? 0 : strnlen(text, max);
    if (size == max) {
        while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    return size + 1;
}

static size_t aligned(size_t bytes)
{
    return (bytes + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

static size_t at_most(size_t count, size_t max)
{
    return count < max ? count : max;
}

/* ---- writing ---- */

/* Texts of its own, as many as fit behind the fixed part. */
static void plan_own(const struct tidings *tidings, struct record_plan *plan)
{
    const sp_event *event = &tidings->event;
    size_t count = at_most(event->metadata_count, EVENT_METADATA);
    uint16_t *sizes = plan->sizes + 3;
    for (size_t i = 0; i < count; i++) {
        size_t name = text_bytes(event->metadata[i].name, NAME_MAX_BYTES);
        size_t text = text_bytes(event->metadata[i].text, METADATA_TEXT_MAX);
        if (plan->bytes + name + text > RECORD_MAX) {
            break;
        }
        *sizes++ = (uint16_t)name;
        *sizes++ = (uint16_t)text;
        plan->bytes += name + text;
        plan->texts_count++;
    }
}

static void plan_row(const struct tidings *tidings, struct record_plan *plan)
{
    for (size_t i = 0; i < tidings->texts_count; i++) {
        size_t text = text_bytes(tidings->texts[i], METADATA_TEXT_MAX);
        plan->sizes[3 + i] = (uint16_t)text;
        plan->bytes += text;
    }
    plan->texts_count = tidings->texts_count;
}

void sp__record_plan(const struct tidings *tidings, struct record_plan *ret)
{
    const sp_event *event = &tidings->event;
    ret->has_names = event->measurements_count + event->metadata_count > 0;
    ret->texts_count = 0;
    ret->sizes[0] = (uint16_t)text_bytes(event->pool, NAME_MAX_BYTES);
    ret->sizes[1] = (uint16_t)text_bytes(event->session, NAME_MAX_BYTES);
    ret->sizes[2] = (uint16_t)text_bytes(event->message, MESSAGE_MAX);
    ret->bytes = sizeof(struct event_record) + ret->sizes[0] + ret->sizes[1] +
                 (size_t)ret->sizes[2];
    if (!ret->has_names) {
        assert(tidings->numbers_count <= SP_EVENT_MEASUREMENTS_MAX &&
               tidings->texts_count <= SP_EVENT_METADATA_MAX);
        ret->measurements_count = tidings->numbers_count;
        ret->bytes += ret->measurements_count * sizeof *tidings->numbers;
        plan_row(tidings, ret);
    } else {
        ret->measurements_count =
            at_most(event->measurements_count, EVENT_MEASUREMENTS);
        ret->bytes += ret->measurements_count * sizeof *event->measurements;
        plan_own(tidings, ret);
    }
    ret->bytes = aligned(ret->bytes);
}

static char *put_text(char *to, const char *text, size_t bytes)
{
    if (bytes > 1) {
        memcpy(to, text, bytes - 1);
    }
    to[bytes - 1] = '\0';
    return to + bytes;
}

static char *put_bytes(char *to, const void *from, size_t bytes)
{
    if (bytes > 0) {
        memcpy(to, from, bytes);
    }
    return to + bytes;
}

struct event_record *sp__record_write(void *place, const struct tidings *tidings,
                                      const struct record_plan *plan)
{
    struct event_record *record = place;
    const sp_event *event = &tidings->event;
    const uint16_t *sizes = plan->sizes;
    *record =
        (struct event_record){.bytes = (uint32_t)plan->bytes,
                              .kind = (uint16_t)event->kind,
                              .has_names = (uint8_t)plan->has_names,
                              .measurements_count = (uint8_t)plan->measurements_count,
                              .texts_count = (uint16_t)plan->texts_count,
                              .sizes = {sizes[0], sizes[1], sizes[2]},
                              .time_unix_ns = event->time_unix_ns,
                              .worker = event->worker,
                              .duration_ms = event->duration_ms,
                              .slot = event->slot,
                              .pid = event->pid,
                              .exit_status = event->exit_status,
                              .signal = event->signal};
    char *at = (char *)(record + 1);
    at = plan->has_names
             ? put_bytes(at, event->measurements,
                         plan->measurements_count * sizeof *event->measurements)
             : put_bytes(at, tidings->numbers,
                         plan->measurements_count * sizeof *tidings->numbers);
    at = put_text(at, event->pool, sizes[0]);
    at = put_text(at, event->session, sizes[1]);
    at = put_text(at, event->message, sizes[2]);
    sizes += 3;
    for (size_t i = 0; i < plan->texts_count; i++) {
        if (plan->has_names) {
            at = put_text(at, event->metadata[i].name, *sizes++);
            at = put_text(at, event->metadata[i].text, *sizes++);
        } else {
            at = put_text(at, tidings->texts[i], *sizes++);
        }
    }
    assert(at <= (char *)place + plan->bytes);
    return record;
}

/* ---- reading ---- */

static const char *next_text(const char **at)
{
    const char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

static void add_text(struct read_event *ret, const char *name, const char *text)
{
    if (text[0] != '\0') { /* what has none is left out */
        ret->metadata[ret->event.metadata_count++] =
            (sp_event_metadata){.name = name, .text = text};
    }
}

/* Decimal digits, which printf takes a thousand instructions for. */
static const char *number_text(char text[16], uint32_t number)
{
    char *at = text + 15;
    *at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return at;
}

/* What it is about: as far as it is about anything. */
static void add_common(struct read_event *ret)
{
    const sp_event *event = &ret->event;
    add_text(ret, "pool", event->pool);
    if (event->worker != 0) {
        add_text(ret, "worker", number_text(ret->slot, event->slot));
    }
    if (event->pid > 0) {
        add_text(ret, "pid", number_text(ret->pid, (uint32_t)event->pid));
    }
    add_text(ret, "session", event->session);
}

static const char *read_numbers(const struct event_record *record,
                                struct read_event *ret, const sp_event_info *row)
{
    const double *numbers = (const void *)(record + 1);
    for (size_t i = 0; i < record->measurements_count; i++) {
        assert(row->measurements[3 * i] != NULL);
        ret->measurements[i] = (sp_event_measurement){.name = row->measurements[3 * i],
                                                      .value = numbers[i]};
    }
    ret->event.measurements = ret->measurements;
    return (const char *)(numbers + record->measurements_count);
}

static const char *read_own_numbers(const struct event_record *record,
                                    struct read_event *ret)
{
    const sp_event_measurement *measured = (const void *)(record + 1);
    ret->event.measurements = measured;
    return (const char *)(measured + record->measurements_count);
}

static void read_texts(const struct event_record *record, struct read_event *ret,
                       const sp_event_info *row, const char *at)
{
    add_common(ret);
    for (size_t i = 0; i < record->texts_count; i++) {
        assert(record->has_names || row->metadata[i] != NULL);
        const char *name = record->has_names ? next_text(&at) : row->metadata[i];
        add_text(ret, name, next_text(&at));
    }
    add_text(ret, "message", ret->event.message);
}

void sp__record_read(const struct event_record *record, struct read_event *ret)
{
    const sp_event_info *row = sp__event_row(record->kind);
    sp_event *event = &ret->event;
    *event = (sp_event){.kind = record->kind,
                        .time_unix_ms = record->time_unix_ns / 1000000u,
                        .worker = record->worker,
                        .slot = record->slot,
                        .pid = record->pid,
                        .exit_status = record->exit_status,
                        .signal = record->signal,
                        .duration_ms = record->duration_ms,
                        .name = row->name,
                        .measurements_count = record->measurements_count,
                        .metadata = ret->metadata,
                        .time_unix_ns = record->time_unix_ns};
    const char *at = record->has_names ? read_own_numbers(record, ret)
                                       : read_numbers(record, ret, row);
    event->pool = at;
    event->session = event->pool + record->sizes[0];
    event->message = event->session + record->sizes[1];
    read_texts(record, ret, row, event->message + record->sizes[2]);
}

/* ---- the ring ---- */

int sp__ring_init(struct event_ring *ring, size_t size)
{
    assert(size % RECORD_ALIGN == 0 && size >= (size_t)2 * RECORD_MAX);
    *ring = (struct event_ring){.data = sp__malloc(size), .size = size};
    return ring->data == NULL ? SP_ERR_NOMEM : SP_OK;
}

void sp__ring_fini(struct event_ring *ring)
{
    sp__free(ring->data);
    *ring = (struct event_ring){0};
}

static struct event_record *record_at(const struct event_ring *ring, uint64_t at)
{
    return (struct event_record *)(void *)(ring->data + at % ring->size);
}

const struct event_record *sp__ring_at(const struct event_ring *ring, uint64_t *at)
{
    while (*at < ring->end) {
        const struct event_record *record = record_at(ring, *at);
        if (record->kind != 0) {
            return record;
        }
        *at += record->bytes;
    }
    return NULL;
}

static void make_room(struct event_ring *ring, size_t bytes,
                      void (*on_leave)(void *, uint64_t, const struct event_record *),
                      void *user)
{
    while (ring->end + bytes - ring->start > ring->size) {
        const struct event_record *oldest = record_at(ring, ring->start);
        if (on_leave != NULL) {
            on_leave(user, ring->start, oldest);
        }
        ring->start += oldest->bytes;
    }
}

void *sp__ring_push(struct event_ring *ring, size_t bytes,
                    void (*on_leave)(void *user, uint64_t at,
                                     const struct event_record *record),
                    void *user)
{
    size_t left = ring->size - ring->end % ring->size;
    if (left < bytes) {
        make_room(ring, left, on_leave, user);
        /* A record is never smaller than its head, but the rest may be: two fields. */
        struct event_record *rest = record_at(ring, ring->end);
        rest->bytes = (uint32_t)left;
        rest->kind = 0;
        ring->end += left;
    }
    make_room(ring, bytes, on_leave, user);
    void *place = record_at(ring, ring->end);
    ring->end += bytes;
    return place;
}
