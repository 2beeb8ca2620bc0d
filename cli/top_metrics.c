/* SPDX-License-Identifier: MIT */
/* What `snakepit top` reads from the report "metrics". */
#include <string.h>

#include "fields.h"
#include "steps.h"
#include "top.h"

static const json_t *samples_of(const struct top_sample *sample, const char *name)
{
    const json_t *metric;
    size_t i;
    json_array_foreach (json_object_get(sample->metrics, "metrics"), i, metric) {
        if (strcmp(field_words(metric, "name"), name) == 0) {
            return json_object_get(metric, "samples");
        }
    }
    return NULL;
}

static int has_label(const json_t *sample, const char *label, const char *value)
{
    return value == NULL ||
           strcmp(field_words(json_object_get(sample, "labels"), label), value) == 0;
}

double top_value(const struct top_sample *sample, const char *metric, const char *pool,
                 const char *worker)
{
    const json_t *one;
    size_t i;
    json_array_foreach (samples_of(sample, metric), i, one) {
        if (has_label(one, "pool", pool) && has_label(one, "worker", worker)) {
            return field_real(one, "value");
        }
    }
    return -1;
}

/* ---- quantiles ---- */

/* Add the steps of every tool of a pool, `sign` times. */
static void add_steps(const struct top_sample *sample, const char *pool, double sign,
                      struct steps *steps)
{
    const json_t *one;
    size_t i;
    json_array_foreach (samples_of(sample, "snakepit_call_duration_seconds"), i, one) {
        if (has_label(one, "pool", pool)) {
            steps_add(steps, one, sign);
        }
    }
}

double top_quantile(const struct top_sample *now, const struct top_sample *before,
                    const char *pool, double permille)
{
    struct steps steps = {0};
    if (before->metrics == NULL) {
        return -1;
    }
    add_steps(now, pool, 1, &steps);
    add_steps(before, pool, -1, &steps);
    return steps_quantile(&steps, permille);
}
