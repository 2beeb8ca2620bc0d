/* SPDX-License-Identifier: MIT */
/*
 * Telemetry: the events that workers report, and what their host wishes to hear.
 *
 * A wish is one message of protobuf-c's, written from borrowed pointers, and kept when it is
 * read: the texts are in it.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "snakepit/bridge.pb-c.h"
#include "wire/proto.h"
#include "wire/proto_internal.h"

typedef Snakepit__Bridge__TelemetryControl Control;

/* Both by hand, with no memory of their own: a worker that is listened to reports several
 * for each call. */
enum {
    EVENT_PART = 1,
    EVENT_MEASUREMENT,
    EVENT_METADATA,
    EVENT_TIME,
    EVENT_CORRELATION
};
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { VALUE_INTEGER = 1, VALUE_REAL, VALUE_TEXT };

/* ---- writing an event ---- */

static size_t text_size(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

static uint8_t *put_text(uint8_t *to, uint32_t field, const char *text, size_t size)
{
    to = sp__proto_put_head(to, field, size);
    if (size > 0) {
        memcpy(to, text, size);
    }
    return to + size;
}

static size_t value_size(const struct proto_measure *measure)
{
    switch (measure->kind) {
    case MEASURE_INTEGER:
        return 1 + sp__proto_varint_size((uint64_t)measure->integer);
    case MEASURE_REAL:
        return 1 + sizeof measure->real;
    case MEASURE_TEXT:
        return sp__proto_field_size(VALUE_TEXT, text_size(measure->text));
    }
    return 0;
}

static uint8_t *put_value(uint8_t *to, const struct proto_measure *measure)
{
    uint64_t bits;
    switch (measure->kind) {
    case MEASURE_INTEGER:
        to = sp__proto_put_varint(to, VALUE_INTEGER << 3 | PROTO_VARINT);
        return sp__proto_put_varint(to, (uint64_t)measure->integer);
    case MEASURE_REAL:
        to = sp__proto_put_varint(to, VALUE_REAL << 3 | PROTO_64);
        memcpy(&bits, &measure->real, sizeof bits);
        for (int i = 0; i < 8; i++) {
            *to++ = (uint8_t)(bits >> (8 * i));
        }
        return to;
    case MEASURE_TEXT:
        return put_text(to, VALUE_TEXT, measure->text, text_size(measure->text));
    }
    return to;
}

static size_t entry_size(const char *key, size_t value)
{
    return sp__proto_field_size(ENTRY_KEY, strlen(key)) +
           sp__proto_field_size(ENTRY_VALUE, value);
}

static size_t event_size(const struct proto_telemetry *event)
{
    const char *const *metadata = event->metadata;
    size_t size = 0;
    for (const char *part = event->event; part != NULL; part = strchr(part, '.')) {
        part += *part == '.';
        size += sp__proto_field_size(EVENT_PART, strcspn(part, "."));
    }
    for (size_t i = 0; i < event->measures_count; i++) {
        size += sp__proto_field_size(
            EVENT_MEASUREMENT,
            entry_size(event->measures[i].name, value_size(&event->measures[i])));
    }
    for (; metadata != NULL && metadata[0] != NULL && metadata[1] != NULL;
         metadata += 2) {
        size += sp__proto_field_size(EVENT_METADATA,
                                     entry_size(metadata[0], strlen(metadata[1])));
    }
    return size + 1 + sp__proto_varint_size((uint64_t)event->unix_ns) +
           sp__proto_field_size(EVENT_CORRELATION, text_size(event->correlation_id));
}

static uint8_t *put_event(uint8_t *to, const struct proto_telemetry *event)
{
    const char *const *metadata = event->metadata;
    for (const char *part = event->event; part != NULL; part = strchr(part, '.')) {
        part += *part == '.';
        to = put_text(to, EVENT_PART, part, strcspn(part, "."));
    }
    for (size_t i = 0; i < event->measures_count; i++) {
        const struct proto_measure *measure = &event->measures[i];
        size_t size = value_size(measure);
        to = sp__proto_put_head(to, EVENT_MEASUREMENT, entry_size(measure->name, size));
        to = put_text(to, ENTRY_KEY, measure->name, strlen(measure->name));
        to = put_value(sp__proto_put_head(to, ENTRY_VALUE, size), measure);
    }
    for (; metadata != NULL && metadata[0] != NULL && metadata[1] != NULL;
         metadata += 2) {
        size_t size = strlen(metadata[1]);
        to = sp__proto_put_head(to, EVENT_METADATA, entry_size(metadata[0], size));
        to = put_text(to, ENTRY_KEY, metadata[0], strlen(metadata[0]));
        to = put_text(to, ENTRY_VALUE, metadata[1], size);
    }
    to = sp__proto_put_varint(to, EVENT_TIME << 3 | PROTO_VARINT);
    to = sp__proto_put_varint(to, (uint64_t)event->unix_ns);
    return put_text(to, EVENT_CORRELATION, event->correlation_id,
                    text_size(event->correlation_id));
}

int sp__proto_put_telemetry(struct sp_buffer *out, const struct proto_telemetry *event,
                            sp_error *err)
{
    size_t size = event_size(event);
    int rc = sp__buf_reserve(out, size, err);
    if (rc == SP_OK) {
        (void)put_event(out->data + out->size, event);
        out->size += size;
    }
    return rc;
}

/* ---- reading an event ---- */

/* Into the room that is left, cut where it ends. */
static const char *keep(struct proto_telemetry_event *ret, sp_bytes bytes)
{
    char *to = ret->room + ret->used;
    size_t left = sizeof ret->room - ret->used - 1;
    size_t size = bytes.size < TELEMETRY_TEXT ? bytes.size : TELEMETRY_TEXT;
    const unsigned char *from = bytes.data;
    size = size < left ? size : left;
    while (size > 0 && size < bytes.size && (from[size] & 0xc0) == 0x80) {
        size--; /* not within a character */
    }
    for (size_t i = 0; i < size; i++) {
        to[i] = (char)(from[i] < ' ' || from[i] == 0x7f ? '?' : from[i]);
    }
    to[size] = '\0';
    ret->used += size + (size < left);
    return to;
}

static void add_text(struct proto_telemetry_event *ret, sp_bytes name, sp_bytes text)
{
    if (ret->texts_count < TELEMETRY_TEXTS) {
        ret->texts[ret->texts_count].name = keep(ret, name);
        ret->texts[ret->texts_count++].text = keep(ret, text);
    }
}

static void add_number(struct proto_telemetry_event *ret, sp_bytes name, double value)
{
    if (ret->numbers_count < TELEMETRY_NUMBERS) {
        ret->numbers[ret->numbers_count].name = keep(ret, name);
        ret->numbers[ret->numbers_count++].value = value;
    }
}

static void add_part(struct proto_telemetry_event *ret, sp_bytes part)
{
    size_t used = strlen(ret->name);
    if (used > 0 && used < sizeof ret->name - 1) {
        ret->name[used++] = '.';
    }
    const unsigned char *from = part.data;
    for (size_t i = 0; i < part.size && used < sizeof ret->name - 1; i++) {
        ret->name[used++] = (char)(from[i] < ' ' || from[i] == 0x7f ? '?' : from[i]);
    }
    ret->name[used] = '\0';
}

/* The entry of a map: 0, or -1 when it is malformed. */
static int get_entry(sp_bytes entry, sp_bytes *ret_key, sp_bytes *ret_value)
{
    struct proto_reader reader = sp__proto_reader(entry.data, entry.size);
    struct proto_field field;
    int rc;
    *ret_key = *ret_value = (sp_bytes){0};
    while ((rc = sp__proto_next(&reader, &field)) > 0) {
        if (field.type == PROTO_BYTES && field.number == ENTRY_KEY) {
            *ret_key = field.bytes;
        } else if (field.type == PROTO_BYTES && field.number == ENTRY_VALUE) {
            *ret_value = field.bytes;
        }
    }
    return rc;
}

static double real_of(sp_bytes bytes)
{
    const unsigned char *at = bytes.data;
    uint64_t bits = 0;
    double real;
    for (int i = 7; i >= 0; i--) {
        bits = bits << 8 | at[i];
    }
    memcpy(&real, &bits, sizeof real);
    return real;
}

/* One that is a text is metadata. */
static int get_measurement(struct proto_telemetry_event *ret, sp_bytes entry)
{
    sp_bytes name;
    sp_bytes value;
    int rc = get_entry(entry, &name, &value);
    struct proto_reader reader = sp__proto_reader(value.data, value.size);
    struct proto_field field;
    struct proto_field last = {0}; /* of several only that one counts */
    while (rc >= 0 && (rc = sp__proto_next(&reader, &field)) > 0) {
        last = field;
    }
    if (last.number == VALUE_INTEGER && last.type == PROTO_VARINT) {
        add_number(ret, name, (double)(int64_t)last.varint);
    } else if (last.number == VALUE_REAL && last.type == PROTO_64) {
        add_number(ret, name, real_of(last.bytes));
    } else if (last.number == VALUE_TEXT && last.type == PROTO_BYTES) {
        add_text(ret, name, last.bytes);
    }
    return rc;
}

static int get_metadata(struct proto_telemetry_event *ret, sp_bytes entry)
{
    sp_bytes name;
    sp_bytes text;
    int rc = get_entry(entry, &name, &text);
    if (rc >= 0) {
        add_text(ret, name, text);
    }
    return rc;
}

int sp__proto_get_telemetry_event(const uint8_t *data, size_t size,
                                  struct proto_telemetry_event *ret, sp_error *err)
{
    struct proto_reader reader = sp__proto_reader(data, size);
    struct proto_field field;
    sp_bytes correlation = {0};
    int rc = 0;
    ret->name[0] = '\0';
    ret->unix_ns = 0;
    ret->used = ret->numbers_count = ret->texts_count = 0;
    while (rc >= 0 && (rc = sp__proto_next(&reader, &field)) > 0) {
        if (field.type == PROTO_BYTES && field.number == EVENT_PART) {
            add_part(ret, field.bytes);
        } else if (field.type == PROTO_BYTES && field.number == EVENT_MEASUREMENT) {
            rc = get_measurement(ret, field.bytes);
        } else if (field.type == PROTO_BYTES && field.number == EVENT_METADATA) {
            rc = get_metadata(ret, field.bytes);
        } else if (field.type == PROTO_VARINT && field.number == EVENT_TIME) {
            ret->unix_ns = field.varint <= INT64_MAX ? field.varint : 0;
        } else if (field.type == PROTO_BYTES && field.number == EVENT_CORRELATION) {
            correlation = field.bytes;
        }
    }
    if (rc < 0) {
        return sp__proto_malformed(err, "a worker's event");
    }
    if (correlation.size > 0) {
        add_text(ret, sp_text("correlation_id"), correlation);
    }
    return SP_OK;
}

/* ---- writing a wish ---- */

static char **texts(char *const *borrowed)
{
    return (char **)(uintptr_t)borrowed; /* only read by what packs */
}

int sp__proto_put_control(struct sp_buffer *out, const struct proto_control *control,
                          sp_error *err)
{
    Control message = SNAKEPIT__BRIDGE__TELEMETRY_CONTROL__INIT;
    Snakepit__Bridge__TelemetryToggle toggle = SNAKEPIT__BRIDGE__TELEMETRY_TOGGLE__INIT;
    Snakepit__Bridge__TelemetrySamplingUpdate sampling =
        SNAKEPIT__BRIDGE__TELEMETRY_SAMPLING_UPDATE__INIT;
    Snakepit__Bridge__TelemetryEventFilter filter =
        SNAKEPIT__BRIDGE__TELEMETRY_EVENT_FILTER__INIT;
    if (control->is_filter) {
        filter.allow = texts(control->allow);
        filter.n_allow = control->allow_count;
        filter.deny = texts(control->deny);
        filter.n_deny = control->deny_count;
        message.filter = &filter;
        message.control_case = SNAKEPIT__BRIDGE__TELEMETRY_CONTROL__CONTROL_FILTER;
    } else if (control->rate >= 0) {
        sampling.sampling_rate = control->rate;
        sampling.event_patterns = texts(control->patterns);
        sampling.n_event_patterns = control->patterns_count;
        message.sampling = &sampling;
        message.control_case = SNAKEPIT__BRIDGE__TELEMETRY_CONTROL__CONTROL_SAMPLING;
    } else {
        toggle.enabled = control->enabled > 0;
        message.toggle = &toggle;
        message.control_case = SNAKEPIT__BRIDGE__TELEMETRY_CONTROL__CONTROL_TOGGLE;
    }
    return sp__proto_pack(out, &message.base, err);
}

/* ---- reading a wish ---- */

int sp__proto_get_control(const uint8_t *data, size_t size, struct proto_control *ret,
                          sp_error *err)
{
    Control *control = (Control *)sp__proto_unpack(
        &snakepit__bridge__telemetry_control__descriptor, data, size, err);
    if (control == NULL) {
        return err != NULL ? err->code : SP_ERR_PROTOCOL;
    }
    *ret = (struct proto_control){.enabled = -1, .rate = -1, .memory = control};
    switch (control->control_case) {
    case SNAKEPIT__BRIDGE__TELEMETRY_CONTROL__CONTROL_TOGGLE:
        ret->enabled = control->toggle->enabled ? 1 : 0;
        break;
    case SNAKEPIT__BRIDGE__TELEMETRY_CONTROL__CONTROL_SAMPLING: {
        double rate = control->sampling->sampling_rate;
        ret->rate = rate > 1 ? 1 : rate >= 0 ? rate : 0; /* NaN is 0 too */
        ret->patterns = control->sampling->event_patterns;
        ret->patterns_count = control->sampling->n_event_patterns;
        break;
    }
    case SNAKEPIT__BRIDGE__TELEMETRY_CONTROL__CONTROL_FILTER:
        ret->is_filter = 1;
        ret->allow = control->filter->allow;
        ret->allow_count = control->filter->n_allow;
        ret->deny = control->filter->deny;
        ret->deny_count = control->filter->n_deny;
        break;
    case SNAKEPIT__BRIDGE__TELEMETRY_CONTROL__CONTROL__NOT_SET:
    case _SNAKEPIT__BRIDGE__TELEMETRY_CONTROL__CONTROL__CASE_IS_INT_SIZE:
        break; /* of a later version */
    }
    return SP_OK;
}

void sp__proto_control_fini(struct proto_control *control)
{
    if (control->memory != NULL) {
        sp__proto_unpack_free(&((Control *)control->memory)->base);
    }
    *control = (struct proto_control){.enabled = -1, .rate = -1};
}
