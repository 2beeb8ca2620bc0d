/* SPDX-License-Identifier: MIT */
/*
 * OTLP: spans and metrics as OpenTelemetry's collectors take them, in protobuf.
 *
 * A writer is opened on an empty buffer with what is said of the whole resource, takes one
 * span or one metric after the other, and is closed. It is filled from front to back: the
 * lengths of large messages are written when they are known, in four bytes each, which
 * protobuf allows. One that has failed, for want of memory or of room, takes nothing more,
 * and closing says so.
 *
 * The field numbers are those of opentelemetry-proto 1.x, which do not change.
 */
#ifndef SP_WIRE_OTLP_H
#define SP_WIRE_OTLP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "snakepit/base.h"
#include "snakepit/error.h"

enum { OTLP_TRACE_BYTES = 16, OTLP_SPAN_BYTES = 8 };

/* An attribute: its text, or, where that is NULL, its number. */
struct otlp_attribute {
    const char *key;
    const char *text;
    int64_t number;
};

struct otlp_list {
    const struct otlp_attribute *items;
    size_t count;
};

struct otlp_writer {
    struct sp_buffer *out;
    size_t resource_at; /* where the lengths are to be written */
    size_t scope_at;
    size_t records;
    int rc; /* what closing gives */
};

void sp__otlp_begin(struct otlp_writer *writer, struct sp_buffer *out,
                    struct otlp_list resource, const char *scope_version);
/* 0, or SP_ERR_NOMEM, or SP_ERR_TOO_BIG. */
int sp__otlp_end(struct otlp_writer *writer, sp_error *err) SP_MUST_CHECK;

enum otlp_kind { OTLP_INTERNAL = 1, OTLP_SERVER = 2, OTLP_CLIENT = 3 };

struct otlp_span {
    uint8_t trace[OTLP_TRACE_BYTES];
    uint8_t span[OTLP_SPAN_BYTES];
    uint8_t parent[OTLP_SPAN_BYTES]; /* all 0: none */
    const char *name;
    enum otlp_kind kind;
    uint64_t begin_unix_ns;
    uint64_t end_unix_ns;
    struct otlp_list attributes;
    int failed;
    const char *message; /* of the failure */
};

void sp__otlp_put_span(struct otlp_writer *writer, const struct otlp_span *span);

enum otlp_shape { OTLP_GAUGE, OTLP_COUNTER, OTLP_HISTOGRAM };

/* One moment of one metric with one set of attributes. */
struct otlp_point {
    struct otlp_list attributes;
    uint64_t begin_unix_ns; /* since when it counts; 0 for gauges */
    uint64_t time_unix_ns;
    double value; /* of a histogram the sum */
    /* Histograms: the bounds, and one count more, each of its own bucket alone. */
    const double *bounds;
    const uint64_t *counts;
    size_t bounds_count;
};

struct otlp_metric {
    const char *name;
    const char *text;
    const char *unit; /* UCUM: "s", "By", "1" */
    enum otlp_shape shape;
};

/* A metric is begun, gets its points, and is ended. */
struct otlp_open_metric {
    size_t metric_at;
    size_t data_at;
    enum otlp_shape shape;
};
void sp__otlp_begin_metric(struct otlp_writer *writer, const struct otlp_metric *metric,
                           struct otlp_open_metric *ret);
void sp__otlp_put_point(struct otlp_writer *writer,
                        const struct otlp_open_metric *metric,
                        const struct otlp_point *point);
void sp__otlp_end_metric(struct otlp_writer *writer,
                         const struct otlp_open_metric *metric);

/* What a collector says of a batch it took: how many records it refused, and why. 0 or
 * SP_ERR_PROTOCOL. `message` is borrowed from the bytes. */
int sp__otlp_get_reply(sp_bytes reply, uint64_t *ret_refused, sp_bytes *ret_message,
                       sp_error *err) SP_MUST_CHECK;

#endif
