/* SPDX-License-Identifier: MIT */
/*
 * Metrics as lines of StatsD.
 *
 * A name is prefix.metric.label.label, with what has a meaning there made '_'. StatsD adds up
 * by itself, so counters are told as differences. A histogram becomes times: for each step
 * that has grown one line with the step's upper end and a sample rate of one in so many, which
 * the server counts as so many times. Pure, but for the writing of names.
 */
#include <stdio.h>

#include "base/real.h"
#include "telemetry/statsd.h"

enum { NAME_MAX_BYTES = 400, LINE_MAX_BYTES = 512 };

struct lines {
    const char *prefix;
    statsd_line_fn fn;
    void *user;
};

/* ---- names ---- */

static size_t put_part(char *name, size_t at, const char *part)
{
    if (at > 0 && at < NAME_MAX_BYTES) {
        name[at++] = '.';
    }
    for (; *part != '\0' && at < NAME_MAX_BYTES; part++) {
        int is_plain = (*part >= 'a' && *part <= 'z') ||
                       (*part >= 'A' && *part <= 'Z') ||
                       (*part >= '0' && *part <= '9') || *part == '-';
        name[at++] = is_plain ? *part : '_';
    }
    return at;
}

static void put_name(const struct lines *lines, const struct metric_sample *sample,
                     char name[NAME_MAX_BYTES + 1])
{
    static const char own[] = "snakepit_";
    const char *metric = sp__metric(sample->id)->name;
    size_t at = 0;
    for (const char *c = lines->prefix; *c != '\0' && at < NAME_MAX_BYTES; c++) {
        name[at++] = *c; /* the operator's: dots and all */
    }
    at = put_part(name, at,
                  strncmp(metric, own, sizeof own - 1) == 0 ? metric + sizeof own - 1
                                                            : metric);
    for (int i = 0; i < METRIC_LABELS_MAX && sample->values[i] != NULL; i++) {
        at = put_part(name, at, sample->values[i]);
    }
    name[at] = '\0';
}

/* ---- what was before ---- */

static int is_same(const struct metric_sample *a, const struct metric_sample *b)
{
    if (a->id != b->id) {
        return 0;
    }
    for (int i = 0; i < METRIC_LABELS_MAX; i++) {
        const char *x = a->values[i];
        const char *y = b->values[i];
        if ((x == NULL) != (y == NULL) || (x != NULL && strcmp(x, y) != 0)) {
            return 0;
        }
    }
    return 1;
}

/* Both are in the same order, with some more or less in between: the search begins behind
 * the last find. */
static const struct metric_sample *find_before(const struct metrics *before,
                                               const struct metric_sample *sample,
                                               size_t *at)
{
    size_t count = before != NULL ? before->count : 0;
    for (size_t i = 0; i < count; i++) {
        size_t place = (*at + i) % count;
        if (is_same(&before->samples[place], sample)) {
            *at = place + 1;
            return &before->samples[place];
        }
    }
    return NULL;
}

/* ---- lines ---- */

static void put_line(const struct lines *lines, const char *name, double value,
                     const char *kind)
{
    char line[LINE_MAX_BYTES];
    char number[32];
    (void)snprintf(number, sizeof number, "%.10g", value);
    int size =
        snprintf(line, sizeof line, "%s:%s|%s\n", name, sp__real_dot(number), kind);
    lines->fn(lines->user, line, (size_t)size);
}

static void put_times(const struct lines *lines, const char *name,
                      const struct histogram *before, const struct histogram *now)
{
    for (int i = 0; i < HISTOGRAM_STEPS; i++) {
        uint64_t more = now->counts[i] - (before != NULL ? before->counts[i] : 0);
        int bound = i < HISTOGRAM_BOUNDS ? i : HISTOGRAM_BOUNDS - 1;
        char kind[40] = "ms";
        if (more > 1) {
            (void)snprintf(kind, sizeof kind, "ms|@%.10g", 1.0 / (double)more);
            (void)sp__real_dot(kind);
        }
        if (more > 0) {
            put_line(lines, name, (double)sp__histogram_bounds_us[bound] / 1e3, kind);
        }
    }
}

/* What is less than before has begun anew. */
static double growth(const struct metric_sample *before,
                     const struct metric_sample *now)
{
    return before != NULL && before->value <= now->value ? now->value - before->value
                                                         : now->value;
}

void sp__statsd_lines(const struct metrics *before, const struct metrics *now,
                      const char *prefix, statsd_line_fn fn, void *user)
{
    struct lines lines = {.prefix = prefix, .fn = fn, .user = user};
    size_t at = 0;
    for (size_t i = 0; i < now->count; i++) {
        const struct metric_sample *sample = &now->samples[i];
        const struct metric_sample *last = find_before(before, sample, &at);
        char name[NAME_MAX_BYTES + 1];
        put_name(&lines, sample, name);
        switch (sp__metric(sample->id)->kind) {
        case METRIC_COUNTER:
            if (growth(last, sample) > 0) {
                put_line(&lines, name, growth(last, sample), "c");
            }
            break;
        case METRIC_GAUGE:
            put_line(&lines, name, sample->value, "g");
            break;
        case METRIC_HISTOGRAM:
            put_times(&lines, name, last != NULL ? last->histogram : NULL,
                      sample->histogram);
            break;
        case METRIC_INFO:
            break; /* a label's value is no figure */
        }
    }
}
