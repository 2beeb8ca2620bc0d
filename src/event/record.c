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

static size_t measurements_of(const sp_event *event)
{
    return event->measurements_count < EVENT_MEASUREMENTS ? event->measurements_count
                                                          : EVENT_MEASUREMENTS;
}

static size_t fixed_bytes(const sp_event *event)
{
    return sizeof(struct event_record) +
           measurements_of(event) * sizeof(sp_event_measurement) +
           text_bytes(event->pool, NAME_MAX_BYTES) +
           text_bytes(event->session, NAME_MAX_BYTES) +
           text_bytes(event->message, MESSAGE_MAX);
}

static size_t pair_bytes(const sp_event_metadata *metadata)
{
    return text_bytes(metadata->name, NAME_MAX_BYTES) +
           text_bytes(metadata->text, METADATA_TEXT_MAX);
}

/* How many fit, and their bytes. */
static size_t metadata_of(const sp_event *event, size_t *ret_bytes)
{
    size_t count = 0;
    size_t fixed = fixed_bytes(event);
    size_t bytes = 0;
    while (count < event->metadata_count && count < EVENT_METADATA) {
        size_t more = pair_bytes(&event->metadata[count]);
        if (fixed + bytes + more > RECORD_MAX) {
            break;
        }
        bytes += more;
        count++;
    }
    *ret_bytes = bytes;
    return count;
}

size_t sp__record_bytes(const sp_event *event)
{
    size_t bytes;
    (void)metadata_of(event, &bytes);
    return aligned(fixed_bytes(event) + bytes);
}

static char *put_text(char *to, const char *text, size_t max)
{
    size_t size = text_bytes(text, max) - 1;
    if (size > 0) {
        memcpy(to, text, size);
    }
    to[size] = '\0';
    return to + size + 1;
}

void sp__record_write(void *place, size_t bytes, const sp_event *event, uint64_t number)
{
    struct event_record *record = place;
    size_t pairs;
    size_t measured = measurements_of(event);
    size_t metadata = metadata_of(event, &pairs);
    *record = (struct event_record){.bytes = (uint32_t)bytes,
                                    .kind = (uint16_t)event->kind,
                                    .measurements_count = (uint8_t)measured,
                                    .metadata_count = (uint8_t)metadata,
                                    .number = number,
                                    .time_unix_ns = event->time_unix_ns,
                                    .worker = event->worker,
                                    .duration_ms = event->duration_ms,
                                    .slot = event->slot,
                                    .pid = event->pid,
                                    .exit_status = event->exit_status,
                                    .signal = event->signal};
    char *at = (char *)(record + 1);
    if (measured > 0) {
        memcpy(at, event->measurements, measured * sizeof *event->measurements);
    }
    at += measured * sizeof *event->measurements;
    at = put_text(at, event->pool, NAME_MAX_BYTES);
    at = put_text(at, event->session, NAME_MAX_BYTES);
    at = put_text(at, event->message, MESSAGE_MAX);
    for (size_t i = 0; i < metadata; i++) {
        at = put_text(at, event->metadata[i].name, NAME_MAX_BYTES);
        at = put_text(at, event->metadata[i].text, METADATA_TEXT_MAX);
    }
    assert(at <= (char *)place + bytes);
}

static const char *next_text(const char **at)
{
    const char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

void sp__record_read(const struct event_record *record, struct read_event *ret)
{
    const sp_event_measurement *measured = (const void *)(record + 1);
    const char *at = (const char *)(measured + record->measurements_count);
    sp_event *event = &ret->event;
    *event = (sp_event){.kind = record->kind,
                        .time_unix_ms = record->time_unix_ns / 1000000u,
                        .worker = record->worker,
                        .slot = record->slot,
                        .pid = record->pid,
                        .exit_status = record->exit_status,
                        .signal = record->signal,
                        .duration_ms = record->duration_ms,
                        .name = sp__event_row(record->kind)->name,
                        .measurements = measured,
                        .measurements_count = record->measurements_count,
                        .metadata = ret->metadata,
                        .metadata_count = record->metadata_count,
                        .time_unix_ns = record->time_unix_ns};
    event->pool = next_text(&at);
    event->session = next_text(&at);
    event->message = next_text(&at);
    for (size_t i = 0; i < record->metadata_count; i++) {
        ret->metadata[i].name = next_text(&at);
        ret->metadata[i].text = next_text(&at);
    }
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
