/* SPDX-License-Identifier: MIT */
/*
 * Writing OTLP. Hand-written, because a batch of spans is thousands of small messages and
 * the code that protobuf-c generates wants each of them allocated first.
 *
 * A message in a message is opened with its field's number and closed when its end is
 * known. Nothing here fails but for want of memory or of room, which the writer remembers.
 */
#include "wire/otlp.h"

#include <string.h>

#include "base/error.h"
#include "wire/proto_internal.h"

enum { LENGTH_BYTES = 4, LENGTH_MAX = (1 << 28) - 1, TEXT_KEPT = 256 };

/* Field numbers, by message. */
enum {
    REQUEST_RESOURCES = 1,
    RESOURCES_RESOURCE = 1,
    RESOURCES_SCOPES = 2,
    RESOURCE_ATTRIBUTES = 1,
    SCOPES_SCOPE = 1,
    SCOPES_RECORDS = 2,
    SCOPE_NAME = 1,
    SCOPE_VERSION = 2,
    PAIR_KEY = 1,
    PAIR_VALUE = 2,
    VALUE_TEXT = 1,
    VALUE_INT = 3
};
enum {
    SPAN_TRACE = 1,
    SPAN_ID = 2,
    SPAN_PARENT = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_BEGIN = 7,
    SPAN_END = 8,
    SPAN_ATTRIBUTES = 9,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16,
    STATUS_MESSAGE = 2,
    STATUS_CODE = 3,
    STATUS_CODE_ERROR = 2,
    FLAG_SAMPLED = 1
};
enum {
    METRIC_NAME = 1,
    METRIC_TEXT = 2,
    METRIC_UNIT = 3,
    METRIC_GAUGE = 5,
    METRIC_SUM = 7,
    METRIC_HISTOGRAM = 9,
    DATA_POINTS = 1,
    DATA_TEMPORALITY = 2,
    DATA_MONOTONIC = 3,
    CUMULATIVE = 2,
    POINT_BEGIN = 2,
    POINT_TIME = 3,
    NUMBER_DOUBLE = 4,
    NUMBER_ATTRIBUTES = 7,
    HISTOGRAM_COUNT = 4,
    HISTOGRAM_SUM = 5,
    HISTOGRAM_COUNTS = 6,
    HISTOGRAM_BOUNDS = 7,
    HISTOGRAM_ATTRIBUTES = 9
};
enum { REPLY_PARTIAL = 1, PARTIAL_REFUSED = 1, PARTIAL_MESSAGE = 2 };
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* ---- bytes ---- */

static uint8_t *grow(struct otlp_writer *writer, size_t size)
{
    if (writer->rc == SP_OK) {
        writer->rc = sp__buf_reserve(writer->out, size, NULL);
    }
    return writer->rc == SP_OK ? writer->out->data + writer->out->size : NULL;
}

/* Where so many bytes go, which are in use from now on; NULL: nowhere. A batch is millions
 * of small pieces, so each is measured first and then written in one go. */
static inline uint8_t *take(struct otlp_writer *writer, size_t size)
{
    struct sp_buffer *out = writer->out;
    uint8_t *to = out->capacity - out->size >= size && writer->rc == SP_OK
                      ? out->data + out->size
                      : grow(writer, size);
    if (to != NULL) {
        out->size += size;
    }
    return to;
}

static inline uint8_t *write_tag(uint8_t *to, unsigned field, unsigned type)
{
    return sp__proto_put_varint(to, (uint64_t)field << 3 | type);
}

static inline void put_number(struct otlp_writer *writer, unsigned field,
                              uint64_t number)
{
    uint8_t *to =
        take(writer, sp__proto_tag_size(field) + sp__proto_varint_size(number));
    if (to != NULL) {
        (void)sp__proto_put_varint(write_tag(to, field, WIRE_VARINT), number);
    }
}

static inline uint8_t *write_little_endian(uint8_t *to, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(number >> (8 * i));
    }
    return to + size;
}

static inline void put_fixed64(struct otlp_writer *writer, unsigned field,
                               uint64_t number)
{
    uint8_t *to = take(writer, sp__proto_tag_size(field) + 8);
    if (to != NULL) {
        (void)write_little_endian(write_tag(to, field, WIRE_FIXED64), number, 8);
    }
}

static uint64_t bits_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static inline uint8_t *write_bytes(uint8_t *to, unsigned field, const void *data,
                                   size_t size)
{
    to = sp__proto_put_varint(write_tag(to, field, WIRE_BYTES), size);
    if (size > 0) {
        memcpy(to, data, size);
    }
    return to + size;
}

static inline void put_bytes(struct otlp_writer *writer, unsigned field,
                             const void *data, size_t size)
{
    uint8_t *to = take(writer, sp__proto_field_size(field, size));
    if (to != NULL) {
        (void)write_bytes(to, field, data, size);
    }
}

/* Cut between characters. */
static inline size_t text_size(const char *text)
{
    size_t size = text != NULL ? strnlen(text, TEXT_KEPT) : 0;
    if (size == TEXT_KEPT) {
        while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    return size;
}

/* "" is what an absent field means anyway. */
static inline void put_text(struct otlp_writer *writer, unsigned field,
                            const char *text)
{
    size_t size = text_size(text);
    if (size > 0) {
        put_bytes(writer, field, text, size);
    }
}

/* ---- messages in messages ---- */

static size_t begin(struct otlp_writer *writer, unsigned field)
{
    uint8_t *to = take(writer, sp__proto_tag_size(field) + LENGTH_BYTES);
    if (to != NULL) {
        memset(write_tag(to, field, WIRE_BYTES), 0, LENGTH_BYTES);
    }
    return writer->out->size - LENGTH_BYTES;
}

/* A varint of four bytes, whatever the number needs. */
static void end(struct otlp_writer *writer, size_t at)
{
    if (writer->rc < 0) {
        return;
    }
    size_t size = writer->out->size - at - LENGTH_BYTES;
    if (size > LENGTH_MAX) {
        writer->rc = SP_ERR_TOO_BIG;
        return;
    }
    uint8_t *to = writer->out->data + at;
    for (int i = 0; i < LENGTH_BYTES; i++) {
        to[i] = (uint8_t)((size >> (7 * i) & 0x7f) | (i < LENGTH_BYTES - 1 ? 0x80 : 0));
    }
}

static void put_attribute(struct otlp_writer *writer, unsigned field,
                          const struct otlp_attribute *attribute)
{
    const char *text = attribute->text;
    size_t key_size = text_size(attribute->key);
    size_t value_size = text_size(text);
    size_t value = text != NULL
                       ? sp__proto_field_size(VALUE_TEXT, value_size)
                       : sp__proto_tag_size(VALUE_INT) +
                             sp__proto_varint_size((uint64_t)attribute->number);
    size_t pair = sp__proto_field_size(PAIR_KEY, key_size) +
                  sp__proto_field_size(PAIR_VALUE, value);
    uint8_t *to = take(writer, sp__proto_field_size(field, pair));
    if (to == NULL) {
        return;
    }
    to = sp__proto_put_varint(write_tag(to, field, WIRE_BYTES), pair);
    to = write_bytes(to, PAIR_KEY, attribute->key, key_size);
    to = sp__proto_put_varint(write_tag(to, PAIR_VALUE, WIRE_BYTES), value);
    if (text != NULL) {
        (void)write_bytes(to, VALUE_TEXT, text, value_size); /* "" is not none */
    } else {
        (void)sp__proto_put_varint(write_tag(to, VALUE_INT, WIRE_VARINT),
                                   (uint64_t)attribute->number);
    }
}

static void put_attributes(struct otlp_writer *writer, unsigned field,
                           struct otlp_list list)
{
    for (size_t i = 0; i < list.count; i++) {
        put_attribute(writer, field, &list.items[i]);
    }
}

/* ---- the request ---- */

void sp__otlp_begin(struct otlp_writer *writer, struct sp_buffer *out,
                    struct otlp_list resource, const char *scope_version)
{
    *writer = (struct otlp_writer){.out = out};
    writer->resource_at = begin(writer, REQUEST_RESOURCES);
    size_t at = begin(writer, RESOURCES_RESOURCE);
    put_attributes(writer, RESOURCE_ATTRIBUTES, resource);
    end(writer, at);
    writer->scope_at = begin(writer, RESOURCES_SCOPES);
    at = begin(writer, SCOPES_SCOPE);
    put_text(writer, SCOPE_NAME, "snakepit");
    put_text(writer, SCOPE_VERSION, scope_version);
    end(writer, at);
}

int sp__otlp_end(struct otlp_writer *writer, sp_error *err)
{
    end(writer, writer->scope_at);
    end(writer, writer->resource_at);
    return writer->rc < 0
               ? sp__fail(err, writer->rc, "no %s for %zu records of telemetry",
                          writer->rc == SP_ERR_NOMEM ? "memory" : "room",
                          writer->records)
               : SP_OK;
}

/* ---- spans ---- */

static int is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return 0;
        }
    }
    return 1;
}

void sp__otlp_put_span(struct otlp_writer *writer, const struct otlp_span *span)
{
    size_t at = begin(writer, SCOPES_RECORDS);
    put_bytes(writer, SPAN_TRACE, span->trace, sizeof span->trace);
    put_bytes(writer, SPAN_ID, span->span, sizeof span->span);
    if (!is_zero(span->parent, sizeof span->parent)) {
        put_bytes(writer, SPAN_PARENT, span->parent, sizeof span->parent);
    }
    put_text(writer, SPAN_NAME, span->name);
    put_number(writer, SPAN_KIND, (uint64_t)span->kind);
    put_fixed64(writer, SPAN_BEGIN, span->begin_unix_ns);
    put_fixed64(writer, SPAN_END, span->end_unix_ns);
    put_attributes(writer, SPAN_ATTRIBUTES, span->attributes);
    if (span->failed) {
        size_t status = begin(writer, SPAN_STATUS);
        put_text(writer, STATUS_MESSAGE, span->message);
        put_number(writer, STATUS_CODE, STATUS_CODE_ERROR);
        end(writer, status);
    }
    uint8_t *to = take(writer, sp__proto_tag_size(SPAN_FLAGS) + 4);
    if (to != NULL) {
        (void)write_little_endian(write_tag(to, SPAN_FLAGS, WIRE_FIXED32), FLAG_SAMPLED,
                                  4);
    }
    end(writer, at);
    writer->records++;
}

/* ---- metrics ---- */

void sp__otlp_begin_metric(struct otlp_writer *writer, const struct otlp_metric *metric,
                           struct otlp_open_metric *ret)
{
    static const unsigned fields[] = {[OTLP_GAUGE] = METRIC_GAUGE,
                                      [OTLP_COUNTER] = METRIC_SUM,
                                      [OTLP_HISTOGRAM] = METRIC_HISTOGRAM};
    ret->shape = metric->shape;
    ret->metric_at = begin(writer, SCOPES_RECORDS);
    put_text(writer, METRIC_NAME, metric->name);
    put_text(writer, METRIC_TEXT, metric->text);
    put_text(writer, METRIC_UNIT, metric->unit);
    ret->data_at = begin(writer, fields[metric->shape]);
}

static void put_histogram(struct otlp_writer *writer, const struct otlp_point *point)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= point->bounds_count; i++) {
        count += point->counts[i];
    }
    put_fixed64(writer, HISTOGRAM_COUNT, count);
    put_fixed64(writer, HISTOGRAM_SUM, bits_of(point->value));
    size_t at = begin(writer, HISTOGRAM_COUNTS);
    uint8_t *to = take(writer, (point->bounds_count + 1) * 8);
    for (size_t i = 0; to != NULL && i <= point->bounds_count; i++) {
        to = write_little_endian(to, point->counts[i], 8);
    }
    end(writer, at);
    at = begin(writer, HISTOGRAM_BOUNDS);
    to = take(writer, point->bounds_count * 8);
    for (size_t i = 0; to != NULL && i < point->bounds_count; i++) {
        to = write_little_endian(to, bits_of(point->bounds[i]), 8);
    }
    end(writer, at);
    put_attributes(writer, HISTOGRAM_ATTRIBUTES, point->attributes);
}

void sp__otlp_put_point(struct otlp_writer *writer,
                        const struct otlp_open_metric *metric,
                        const struct otlp_point *point)
{
    size_t at = begin(writer, DATA_POINTS);
    if (point->begin_unix_ns != 0) {
        put_fixed64(writer, POINT_BEGIN, point->begin_unix_ns);
    }
    put_fixed64(writer, POINT_TIME, point->time_unix_ns);
    if (metric->shape == OTLP_HISTOGRAM) {
        put_histogram(writer, point);
    } else {
        put_fixed64(writer, NUMBER_DOUBLE, bits_of(point->value));
        put_attributes(writer, NUMBER_ATTRIBUTES, point->attributes);
    }
    end(writer, at);
    writer->records++;
}

void sp__otlp_end_metric(struct otlp_writer *writer,
                         const struct otlp_open_metric *metric)
{
    if (metric->shape != OTLP_GAUGE) {
        put_number(writer, DATA_TEMPORALITY, CUMULATIVE);
    }
    if (metric->shape == OTLP_COUNTER) {
        put_number(writer, DATA_MONOTONIC, 1);
    }
    end(writer, metric->data_at);
    end(writer, metric->metric_at);
}

/* ---- the answer ---- */

int sp__otlp_get_reply(sp_bytes reply, uint64_t *ret_refused, sp_bytes *ret_message,
                       sp_error *err)
{
    struct proto_reader reader = sp__proto_reader(reply.data, reply.size);
    struct proto_field field;
    sp_bytes partial = {0};
    int rc;
    *ret_refused = 0;
    *ret_message = (sp_bytes){0};
    while ((rc = sp__proto_next(&reader, &field)) > 0) {
        if (field.type == PROTO_BYTES && field.number == REPLY_PARTIAL) {
            partial = field.bytes;
        }
    }
    if (rc == 0) {
        reader = sp__proto_reader(partial.data, partial.size);
        while ((rc = sp__proto_next(&reader, &field)) > 0) {
            if (field.type == PROTO_VARINT && field.number == PARTIAL_REFUSED) {
                *ret_refused = field.varint;
            } else if (field.type == PROTO_BYTES && field.number == PARTIAL_MESSAGE) {
                *ret_message = field.bytes;
            }
        }
    }
    return rc < 0 ? sp__proto_malformed(err, "a collector's answer") : SP_OK;
}
