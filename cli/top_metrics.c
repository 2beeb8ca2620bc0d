/* SPDX-License-Identifier: MIT */
/* What `snakepit top` reads from the report "metrics". */
#include <string.h>

#include "fields.h"
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

enum { STEPS_MAX = 64 };

struct steps {
    double up_to_s[STEPS_MAX]; /* 0: the last, which has no end */
    double counts[STEPS_MAX];
    size_t length;
};

/* Add the steps of every tool of a pool, `sign` times. */
static void add_steps(const struct top_sample *sample, const char *pool, double sign,
                      struct steps *steps)
{
    const json_t *one;
    const json_t *step;
    size_t i;
    size_t k;
    json_array_foreach (samples_of(sample, "snakepit_call_duration_seconds"), i, one) {
        if (!has_label(one, "pool", pool)) {
            continue;
        }
        json_array_foreach (json_object_get(one, "steps"), k, step) {
            if (k < STEPS_MAX) {
                steps->up_to_s[k] = field_real(step, "up_to_seconds");
                steps->counts[k] += sign * (double)field_number(step, "count");
                steps->length = k + 1 > steps->length ? k + 1 : steps->length;
            }
        }
    }
}

/* Where in its step a call is: as if the calls of a step lay evenly in it. */
static double within(const struct steps *steps, size_t k, double calls)
{
    double from = k > 0 ? steps->up_to_s[k - 1] : 0;
    return steps->up_to_s[k] == 0
               ? from
               : from + (steps->up_to_s[k] - from) * calls / steps->counts[k];
}

double top_quantile(const struct top_sample *now, const struct top_sample *before,
                    const char *pool, double permille)
{
    struct steps steps = {0};
    double all = 0;
    double sum = 0;
    if (before->metrics == NULL) {
        return -1;
    }
    add_steps(now, pool, 1, &steps);
    add_steps(before, pool, -1, &steps);
    for (size_t k = 0; k < steps.length; k++) {
        all += steps.counts[k];
    }
    double wanted = all * permille / 1000;
    for (size_t k = 0; all > 0 && k < steps.length; k++) {
        if (steps.counts[k] > 0 && sum + steps.counts[k] >= wanted) {
            return within(&steps, k, wanted - sum);
        }
        sum += steps.counts[k] > 0 ? steps.counts[k] : 0;
    }
    return -1;
}
