/* SPDX-License-Identifier: MIT */
/* The report "metrics": the figures in the format that is asked for. */
#include <string.h>

#include "base/error.h"
#include "telemetry/json_report.h"
#include "telemetry/metrics.h"

/* ---- JSON ---- */

static json_t *labels_json(const struct metric_sample *sample)
{
    char names[METRIC_LABELS_MAX][16];
    size_t count = sp__metric_labels(sample->id, names);
    json_t *labels = json_object();
    for (size_t i = 0; i < count; i++) {
        sp__report_set_words(labels, names[i], sample->values[i]);
    }
    return labels;
}

static json_t *exemplar_json(const struct exemplar *exemplar)
{
    return json_pack("{s:s, s:f, s:I}", "trace_id", exemplar->trace_id, "seconds",
                     (double)exemplar->us / 1e6, "time_unix_ms",
                     (json_int_t)exemplar->unix_ms);
}

/* Steps as they are counted, each alone; the last has no bound. */
static json_t *steps_json(const struct metric_sample *sample)
{
    json_t *steps = json_array();
    for (int i = 0; i < HISTOGRAM_STEPS; i++) {
        json_t *step = json_pack(
            "{s:o, s:I}", "up_to_seconds",
            i < HISTOGRAM_BOUNDS ? json_real((double)sp__histogram_bounds_us[i] / 1e6)
                                 : json_null(),
            "count", (json_int_t)sample->histogram->counts[i]);
        if (sample->exemplars != NULL && sample->exemplars[i].trace_id[0] != '\0') {
            (void)json_object_set_new(step, "exemplar",
                                      exemplar_json(&sample->exemplars[i]));
        }
        sp__report_add(&steps, step);
    }
    return steps;
}

static json_t *sample_json(const struct metric_sample *sample)
{
    json_t *object = json_pack("{s:o}", "labels", labels_json(sample));
    if (sample->histogram == NULL) {
        (void)json_object_set_new(object, "value", sp__report_number(sample->value));
        return object;
    }
    uint64_t count = sp__histogram_count(sample->histogram);
    (void)json_object_set_new(object, "count", json_integer((json_int_t)count));
    (void)json_object_set_new(object, "sum_seconds",
                              json_real((double)sample->histogram->sum_us / 1e6));
    (void)json_object_set_new(object, "steps", steps_json(sample));
    return object;
}

static json_t *metrics_json(const struct metrics *metrics)
{
    json_t *list = json_array();
    for (size_t i = 0; i < metrics->count;) {
        enum metric_id id = metrics->samples[i].id;
        const struct metric *metric = sp__metric(id);
        json_t *samples = json_array();
        while (i < metrics->count && metrics->samples[i].id == id) {
            sp__report_add(&samples, sample_json(&metrics->samples[i++]));
        }
        sp__report_add(
            &list, json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", metric->name, "kind",
                             sp__metric_kind(metric->kind), "unit", metric->unit,
                             "help", metric->help, "samples", samples));
    }
    return json_pack("{s:i, s:f, s:o}", "version", 1, "created_unix",
                     metrics->created_s, "metrics", list);
}

/* ---- the report ---- */

enum format { FORMAT_PROMETHEUS, FORMAT_OPENMETRICS, FORMAT_JSON };

static int read_format(const struct report_question *question, enum format *ret,
                       sp_error *err)
{
    static const char *const words[] = {"prometheus", "openmetrics", "json"};
    struct report_wishes wishes = sp__report_wishes(question, err);
    const char *wanted = words[FORMAT_PROMETHEUS];
    (void)sp__report_wish_text(&wishes, "format", &wanted);
    for (int i = 0; i < 3 && wishes.rc == SP_OK; i++) {
        if (strcmp(words[i], wanted) == 0) {
            *ret = (enum format)i;
            return SP_OK;
        }
    }
    return wishes.rc < 0
               ? wishes.rc
               : sp__fail(err, SP_ERR_INVAL,
                          "format is \"%.64s\": prometheus, openmetrics or json",
                          wanted);
}

int sp__report_metrics(const struct report_question *question, struct sp_buffer *out,
                       sp_error *err)
{
    struct metrics metrics;
    enum format format = FORMAT_PROMETHEUS;
    int rc = read_format(question, &format, err);
    if (rc == SP_OK) {
        rc = sp__metrics_gather(question->pit, &metrics, err);
    }
    if (rc < 0) {
        return rc;
    }
    switch (format) {
    case FORMAT_PROMETHEUS:
        rc = sp__metrics_expose(&metrics, EXPOSITION_PROMETHEUS, out, err);
        break;
    case FORMAT_OPENMETRICS:
        rc = sp__metrics_expose(&metrics, EXPOSITION_OPENMETRICS, out, err);
        break;
    case FORMAT_JSON:
        rc = sp__report_put_json(out, metrics_json(&metrics), err);
        break;
    }
    sp__metrics_fini(&metrics);
    return rc;
}
