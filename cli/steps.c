/* SPDX-License-Identifier: MIT */
/* See steps.h. The same reckoning as histogram_quantile() of Prometheus. */
#include "steps.h"

#include "fields.h"

void steps_add(struct steps *steps, const json_t *sample, double sign)
{
    const json_t *step;
    size_t k;
    json_array_foreach (json_object_get(sample, "steps"), k, step) {
        if (k < HISTOGRAM_STEPS_MAX) {
            steps->up_to_s[k] = field_real(step, "up_to_seconds");
            steps->counts[k] += sign * (double)field_number(step, "count");
            steps->length = k + 1 > steps->length ? k + 1 : steps->length;
        }
    }
}

/* Where in its step the one behind so many others of it is. */
static double within(const struct steps *steps, size_t k, double others)
{
    double from = k > 0 ? steps->up_to_s[k - 1] : 0;
    return steps->up_to_s[k] == 0
               ? from
               : from + (steps->up_to_s[k] - from) * others / steps->counts[k];
}

double steps_quantile(const struct steps *steps, double permille)
{
    double all = 0;
    double sum = 0;
    for (size_t k = 0; k < steps->length; k++) {
        all += steps->counts[k];
    }
    double wanted = all * permille / 1000;
    for (size_t k = 0; all > 0 && k < steps->length; k++) {
        if (steps->counts[k] > 0 && sum + steps->counts[k] >= wanted) {
            return within(steps, k, wanted - sum);
        }
        sum += steps->counts[k] > 0 ? steps->counts[k] : 0;
    }
    return -1;
}
