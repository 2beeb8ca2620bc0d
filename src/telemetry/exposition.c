/* SPDX-License-Identifier: MIT */
/*
 * Metrics as text: the format 0.0.4 of Prometheus, and OpenMetrics 1.0.
 *
 * Both have a family for each metric: what it is, then its samples. OpenMetrics adds units,
 * the time since when a counter counts (_created), exemplars, and an end. A label's value
 * may be any bytes a tool's name has: what would end the line or is no UTF-8 is escaped, so
 * that different names stay different.
 */
#include <stdio.h>

#include "base/real.h"
#include "base/utf8.h"
#include "telemetry/metrics.h"

struct writer {
    const struct metrics *metrics;
    enum exposition format;
    struct sp_buffer *out;
    sp_error *err;
    int rc; /* of the first failure */
};

/* ---- pieces ---- */

static void put(struct writer *writer, const char *text)
{
    if (writer->rc == SP_OK) {
        writer->rc = sp__buf_append(writer->out, text, strlen(text), writer->err);
    }
}

/* Whole numbers without a point, others as exactly as they were measured. */
static void put_number(struct writer *writer, double value)
{
    char text[40];
    (void)snprintf(text, sizeof text, sp__real_is_whole(value) ? "%.0f" : "%.15g",
                   value);
    put(writer, sp__real_dot(text));
}

static void put_seconds(struct writer *writer, uint64_t us)
{
    put_number(writer, (double)us / 1e6);
}

static void put_value(struct writer *writer, const char *value)
{
    while (*value != '\0') {
        char piece[8] = "";
        size_t size = sp__utf8_size(value, SIZE_MAX);
        if (*value == '\\' || *value == '"') {
            (void)snprintf(piece, sizeof piece, "\\%c", *value);
        } else if (*value == '\n') {
            (void)snprintf(piece, sizeof piece, "\\n");
        } else if (size == 0) {
            (void)snprintf(piece, sizeof piece, "\\\\x%02x", (unsigned char)*value);
        } else {
            memcpy(piece, value, size);
        }
        put(writer, piece);
        value += size > 0 ? size : 1;
    }
}

/* A line up to its value. suffix  of the name; le  of a step, or NULL. */
static void put_name(struct writer *writer, const struct metric_sample *sample,
                     const char *suffix, const char *le)
{
    char names[METRIC_LABELS_MAX][16];
    size_t count = sp__metric_labels(sample->id, names);
    const char *before = "{";
    put(writer, sp__metric(sample->id)->name);
    put(writer, suffix);
    for (size_t i = 0; i < count; i++) {
        put(writer, before);
        put(writer, names[i]);
        put(writer, "=\"");
        put_value(writer, sample->values[i]);
        put(writer, "\"");
        before = ",";
    }
    if (le != NULL) {
        put(writer, before);
        put(writer, "le=\"");
        put(writer, le);
        put(writer, "\"");
    }
    put(writer, count > 0 || le != NULL ? "} " : " ");
}

/* ---- samples ---- */

static void put_created(struct writer *writer, const struct metric_sample *sample)
{
    if (writer->format == EXPOSITION_OPENMETRICS) {
        put_name(writer, sample, "_created", NULL);
        put_number(writer, writer->metrics->created_s);
        put(writer, "\n");
    }
}

static void put_exemplar(struct writer *writer, const struct exemplar *exemplar)
{
    put(writer, " # {trace_id=\"");
    put(writer, exemplar->trace_id);
    put(writer, "\"} ");
    put_seconds(writer, exemplar->us);
    put(writer, " ");
    put_number(writer, (double)exemplar->unix_ms / 1e3);
}

static void put_histogram(struct writer *writer, const struct metric_sample *sample)
{
    const struct histogram *histogram = sample->histogram;
    uint64_t count = 0;
    for (int i = 0; i < HISTOGRAM_STEPS; i++) {
        char le[16] = "+Inf";
        if (i < HISTOGRAM_BOUNDS) {
            /* OpenMetrics wants 1.0 where Prometheus' own clients write 1.0 as well. */
            uint64_t us = sp__histogram_bounds_us[i];
            (void)snprintf(le, sizeof le, us % 1000000 == 0 ? "%.1f" : "%.10g",
                           (double)us / 1e6);
            (void)sp__real_dot(le);
        }
        count += histogram->counts[i];
        put_name(writer, sample, "_bucket", le);
        put_number(writer, (double)count);
        if (writer->format == EXPOSITION_OPENMETRICS && sample->exemplars != NULL &&
            sample->exemplars[i].trace_id[0] != '\0') {
            put_exemplar(writer, &sample->exemplars[i]);
        }
        put(writer, "\n");
    }
    put_name(writer, sample, "_count", NULL);
    put_number(writer, (double)count);
    put(writer, "\n");
    put_name(writer, sample, "_sum", NULL);
    put_seconds(writer, histogram->sum_us);
    put(writer, "\n");
    put_created(writer, sample);
}

static void put_sample(struct writer *writer, const struct metric_sample *sample)
{
    static const char *const suffixes[] = {
        [METRIC_COUNTER] = "_total", [METRIC_GAUGE] = "", [METRIC_INFO] = "_info"};
    enum metric_kind kind = sp__metric(sample->id)->kind;
    if (kind == METRIC_HISTOGRAM) {
        put_histogram(writer, sample);
        return;
    }
    put_name(writer, sample, suffixes[kind], NULL);
    put_number(writer, sample->value);
    put(writer, "\n");
    if (kind == METRIC_COUNTER) {
        put_created(writer, sample);
    }
}

/* ---- families ---- */

/* In OpenMetrics a family has no suffix, in 0.0.4 it is called as its samples are. */
static void put_about(struct writer *writer, const char *what, enum metric_id id,
                      const char *text)
{
    const struct metric *metric = sp__metric(id);
    put(writer, "# ");
    put(writer, what);
    put(writer, " ");
    put(writer, metric->name);
    if (writer->format == EXPOSITION_PROMETHEUS) {
        put(writer, metric->kind == METRIC_COUNTER ? "_total"
                    : metric->kind == METRIC_INFO  ? "_info"
                                                   : "");
    }
    put(writer, " ");
    put(writer, text);
    put(writer, "\n");
}

static void put_family(struct writer *writer, enum metric_id id)
{
    const struct metric *metric = sp__metric(id);
    int is_open = writer->format == EXPOSITION_OPENMETRICS;
    put_about(writer, "TYPE", id,
              sp__metric_kind(!is_open && metric->kind == METRIC_INFO ? METRIC_GAUGE
                                                                      : metric->kind));
    if (is_open && metric->unit[0] != '\0') {
        put_about(writer, "UNIT", id, metric->unit);
    }
    put_about(writer, "HELP", id, metric->help);
}

int sp__metrics_expose(const struct metrics *metrics, enum exposition format,
                       struct sp_buffer *out, sp_error *err)
{
    struct writer writer = {
        .metrics = metrics, .format = format, .out = out, .err = err, .rc = SP_OK};
    for (size_t i = 0; i < metrics->count; i++) {
        const struct metric_sample *sample = &metrics->samples[i];
        if (i == 0 || metrics->samples[i - 1].id != sample->id) {
            put_family(&writer, sample->id);
        }
        put_sample(&writer, sample);
    }
    if (format == EXPOSITION_OPENMETRICS) {
        put(&writer, "# EOF\n");
    }
    return writer.rc;
}
