/* SPDX-License-Identifier: MIT */
/*
 * Metrics in OTLP: cumulative, as they are counted, under the names that Prometheus knows
 * them by (without _total, which its exporters add). Pure.
 *
 * Samples of one metric stand together, so each metric is begun once and gets a point for
 * each sample.
 */
#include "telemetry/metrics_otlp.h"

#include <string.h>

static const char *ucum_of(const char *unit)
{
    return strcmp(unit, "seconds") == 0 ? "s" : strcmp(unit, "bytes") == 0 ? "By" : "1";
}

static enum otlp_shape shape_of(enum metric_kind kind)
{
    switch (kind) {
    case METRIC_COUNTER:
        return OTLP_COUNTER;
    case METRIC_HISTOGRAM:
        return OTLP_HISTOGRAM;
    case METRIC_GAUGE:
    case METRIC_INFO:
        break;
    }
    return OTLP_GAUGE;
}

static void put_sample(const struct metrics *metrics,
                       const struct metric_sample *sample, uint64_t now_unix_ns,
                       struct otlp_writer *writer, const struct otlp_open_metric *open)
{
    static const double us_in_s = 1e6;
    static const double ns_in_s = 1e9;
    char names[METRIC_LABELS_MAX][16];
    struct otlp_attribute labels[METRIC_LABELS_MAX];
    double bounds[HISTOGRAM_BOUNDS];
    size_t count = sp__metric_labels(sample->id, names);
    for (size_t i = 0; i < count; i++) {
        labels[i] = (struct otlp_attribute){
            .key = names[i],
            .text = sample->values[i] != NULL ? sample->values[i] : ""};
    }
    struct otlp_point point = {.attributes = {labels, count},
                               .time_unix_ns = now_unix_ns,
                               .value = sample->value};
    if (open->shape != OTLP_GAUGE) {
        point.begin_unix_ns = (uint64_t)(metrics->created_s * ns_in_s);
    }
    if (sample->histogram != NULL) {
        for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
            bounds[i] = (double)sp__histogram_bounds_us[i] / us_in_s;
        }
        point.value = (double)sample->histogram->sum_us / us_in_s;
        point.bounds = bounds;
        point.bounds_count = HISTOGRAM_BOUNDS;
        point.counts = sample->histogram->counts;
    }
    sp__otlp_put_point(writer, open, &point);
}

void sp__metrics_put_otlp(const struct metrics *metrics, uint64_t now_unix_ns,
                          struct otlp_writer *writer)
{
    struct otlp_open_metric open;
    for (size_t i = 0; i < metrics->count; i++) {
        const struct metric_sample *sample = &metrics->samples[i];
        const struct metric *metric = sp__metric(sample->id);
        int is_first = i == 0 || sample[-1].id != sample->id;
        int is_last = i + 1 == metrics->count || sample[1].id != sample->id;
        if (is_first) {
            sp__otlp_begin_metric(
                writer,
                &(struct otlp_metric){.name = metric->name,
                                      .text = metric->help,
                                      .unit = ucum_of(metric->unit),
                                      .shape = shape_of(metric->kind)},
                &open);
        }
        put_sample(metrics, sample, now_unix_ns, writer, &open);
        if (is_last) {
            sp__otlp_end_metric(writer, &open);
        }
    }
}
