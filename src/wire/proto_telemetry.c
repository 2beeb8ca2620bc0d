/* SPDX-License-Identifier: MIT */
/*
 * Telemetry: the events that workers report, and what their host wishes to hear.
 *
 * Writing fills protobuf-c's structs with borrowed pointers and packs them. Reading an
 * event makes a line of it; reading a wish keeps the message, in which its texts are.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "snakepit/bridge.pb-c.h"
#include "wire/proto.h"
#include "wire/proto_internal.h"

typedef Snakepit__Bridge__TelemetryEvent Event;
typedef Snakepit__Bridge__TelemetryEvent__MetadataEntry Metadata;
typedef Snakepit__Bridge__TelemetryEvent__MeasurementsEntry Measurement;
typedef Snakepit__Bridge__TelemetryValue Value;
typedef Snakepit__Bridge__TelemetryControl Control;

/* protobuf-c's structs have `char *` where it only reads. */
static char *text_of(const char *text)
{
    return text == NULL ? (char *)(uintptr_t)protobuf_c_empty_string
                        : (char *)(uintptr_t)text;
}

/* ---- writing an event ---- */

/* What the message points to, in one piece of memory. */
struct room {
    char **parts;
    Metadata **entries;
    Metadata *entry;
    Measurement **measurements;
    Measurement *measurement;
    Value *value;
    char *text;
};

static size_t count_parts(const char *event)
{
    size_t parts = 1;
    for (const char *c = event; *c != '\0'; c++) {
        parts += *c == '.';
    }
    return parts;
}

static size_t count_pairs(const char *const *metadata)
{
    size_t pairs = 0;
    while (metadata != NULL && metadata[2 * pairs] != NULL &&
           metadata[2 * pairs + 1] != NULL) {
        pairs++;
    }
    return pairs;
}

/* The members with the strictest alignment come first. */
static void *make_room(const struct proto_telemetry *event, size_t parts, size_t pairs,
                       struct room *ret)
{
    size_t measures = event->measures_count;
    size_t text_size = strlen(event->event) + 1;
    char *memory =
        sp__malloc(measures * (sizeof(Value) + sizeof(Measurement) + sizeof(void *)) +
                   pairs * (sizeof(Metadata) + sizeof(void *)) +
                   parts * sizeof(char *) + text_size);
    if (memory == NULL) {
        return NULL;
    }
    ret->value = (Value *)(void *)memory;
    ret->measurement = (Measurement *)(void *)(ret->value + measures);
    ret->entry = (Metadata *)(void *)(ret->measurement + measures);
    ret->measurements = (Measurement **)(void *)(ret->entry + pairs);
    ret->entries = (Metadata **)(void *)(ret->measurements + measures);
    ret->parts = (char **)(void *)(ret->entries + pairs);
    ret->text = (char *)(ret->parts + parts);
    memcpy(ret->text, event->event, text_size);
    return memory;
}

/* Cut `text` at its dots, in place. */
static void split_parts(char *text, char **parts)
{
    size_t n = 0;
    parts[n++] = text;
    for (char *c = text; *c != '\0'; c++) {
        if (*c == '.') {
            *c = '\0';
            parts[n++] = c + 1;
        }
    }
}

static void fill_measurement(const struct proto_measure *measure, Value *value,
                             Measurement *entry)
{
    snakepit__bridge__telemetry_value__init(value);
    snakepit__bridge__telemetry_event__measurements_entry__init(entry);
    entry->key = text_of(measure->name);
    entry->value = value;
    switch (measure->kind) {
    case MEASURE_INTEGER:
        value->value_case = SNAKEPIT__BRIDGE__TELEMETRY_VALUE__VALUE_INT_VALUE;
        value->int_value = measure->integer;
        return;
    case MEASURE_REAL:
        value->value_case = SNAKEPIT__BRIDGE__TELEMETRY_VALUE__VALUE_FLOAT_VALUE;
        value->float_value = measure->real;
        return;
    case MEASURE_TEXT:
        value->value_case = SNAKEPIT__BRIDGE__TELEMETRY_VALUE__VALUE_STRING_VALUE;
        value->string_value = text_of(measure->text);
        return;
    }
}

int sp__proto_put_telemetry(struct sp_buffer *out, const struct proto_telemetry *event,
                            sp_error *err)
{
    struct room room;
    size_t pairs = count_pairs(event->metadata);
    size_t parts = count_parts(event->event);
    void *memory = make_room(event, parts, pairs, &room);
    if (memory == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a telemetry event");
    }
    split_parts(room.text, room.parts);
    for (size_t i = 0; i < pairs; i++) {
        snakepit__bridge__telemetry_event__metadata_entry__init(&room.entry[i]);
        room.entry[i].key = text_of(event->metadata[2 * i]);
        room.entry[i].value = text_of(event->metadata[2 * i + 1]);
        room.entries[i] = &room.entry[i];
    }
    for (size_t i = 0; i < event->measures_count; i++) {
        fill_measurement(&event->measures[i], &room.value[i], &room.measurement[i]);
        room.measurements[i] = &room.measurement[i];
    }
    Event message = SNAKEPIT__BRIDGE__TELEMETRY_EVENT__INIT;
    message.n_event_parts = parts;
    message.event_parts = room.parts;
    message.n_measurements = event->measures_count;
    message.measurements = room.measurements;
    message.n_metadata = pairs;
    message.metadata = room.entries;
    message.timestamp_ns = event->unix_ns;
    message.correlation_id = text_of(event->correlation_id);
    int rc = sp__proto_pack(out, &message.base, err);
    sp__free(memory);
    return rc;
}

/* ---- reading an event ---- */

/* Append to a text of fixed size; what does not fit is left out. */
static void SP_PRINTF(4, 5)
    add_text(char *text, size_t max, size_t *used, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text + *used, max - *used, format, args);
    va_end(args);
    if (n > 0) {
        *used += (size_t)n < max - *used ? (size_t)n : max - *used - 1;
    }
}

static void add_measurement(char *text, size_t max, size_t *used, const Measurement *m)
{
    const Value *value = m->value;
    if (value == NULL) {
        return;
    }
    if (value->value_case == SNAKEPIT__BRIDGE__TELEMETRY_VALUE__VALUE_INT_VALUE) {
        add_text(text, max, used, " %s=%lld", m->key, (long long)value->int_value);
    } else if (value->value_case ==
               SNAKEPIT__BRIDGE__TELEMETRY_VALUE__VALUE_FLOAT_VALUE) {
        add_text(text, max, used, " %s=%.15g", m->key, value->float_value);
    } else if (value->value_case ==
               SNAKEPIT__BRIDGE__TELEMETRY_VALUE__VALUE_STRING_VALUE) {
        add_text(text, max, used, " %s=%s", m->key, value->string_value);
    }
}

int sp__proto_get_telemetry_event(const uint8_t *data, size_t size, char *text,
                                  size_t max, sp_error *err)
{
    Event *event = (Event *)sp__proto_unpack(
        &snakepit__bridge__telemetry_event__descriptor, data, size, err);
    size_t used = 0;
    if (event == NULL) {
        return err != NULL ? err->code : SP_ERR_PROTOCOL;
    }
    text[0] = '\0';
    for (size_t i = 0; i < event->n_event_parts; i++) {
        add_text(text, max, &used, "%s%s", i == 0 ? "" : ".", event->event_parts[i]);
    }
    for (size_t i = 0; i < event->n_measurements; i++) {
        add_measurement(text, max, &used, event->measurements[i]);
    }
    for (size_t i = 0; i < event->n_metadata; i++) {
        add_text(text, max, &used, " %s=%s", event->metadata[i]->key,
                 event->metadata[i]->value);
    }
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            *at = '?'; /* it is a line, and may reach a terminal */
        }
    }
    sp__proto_unpack_free(&event->base);
    return SP_OK;
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
