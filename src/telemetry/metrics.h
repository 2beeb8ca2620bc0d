/* SPDX-License-Identifier: MIT */
/*
 * The figures of a pit at one time, in the order of the table of metrics
 * (snakepit/metric.h), for whoever writes them down in some format.
 */
#ifndef SP_TELEMETRY_METRICS_H
#define SP_TELEMETRY_METRICS_H

#include "base/buf.h"
#include "pool/meter.h"
#include "snakepit/metric.h"
#include "snakepit/pit.h"

enum metric_id {
#define X(id, ...) METRIC_##id,
    SP_METRIC_TABLE(X)
#undef X
        METRICS
};
enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_INFO };
enum { METRIC_LABELS_MAX = 3 };

/* "counter", "gauge", "histogram", "info" */
const char *sp__metric_kind(enum metric_kind kind);

struct metric {
    enum metric_kind kind;
    const char *unit;
    const char *name;
    const char *labels; /* names with a space between */
    const char *help;
};

const struct metric *sp__metric(enum metric_id id);
/* The names of its labels; returns how many. */
size_t sp__metric_labels(enum metric_id id, char ret_names[METRIC_LABELS_MAX][16]);

struct metric_sample {
    enum metric_id id;
    const char *values[METRIC_LABELS_MAX]; /* of its labels, in the table's order */
    double value;
    const struct histogram *histogram; /* of one, in place of the value */
    const struct exemplar *exemplars;  /* HISTOGRAM_STEPS of them, or NULL */
};

struct pool_facts;

struct metrics {
    sp_pit *pit;
    double created_s; /* since when counters count, as Unix time; those of `process`
                         and of workers begin earlier or later */
    struct metric_sample *samples; /* in the order of ids */
    size_t count;
    size_t max;
    int is_short; /* of memory: something is missing */

    /* What samples point to. */
    struct pool_facts *pools;
    struct meter_sum callbacks;
    struct histogram lag;
    uint64_t bytes_in[2]; /* by enum channel_peer */
    uint64_t bytes_out[2];
};

/* Ask every loop, one after the other, and wait: any thread but theirs. What was gathered
 * is to be released, and good as long as the pit. */
int sp__metrics_gather(sp_pit *pit, struct metrics *ret_metrics,
                       sp_error *err) SP_MUST_CHECK;
void sp__metrics_fini(struct metrics *metrics);

/* ---- for the files that gather ---- */

void sp__metrics_add(struct metrics *metrics, enum metric_id id, double value,
                     const char *a, const char *b, const char *c);
void sp__metrics_add_histogram(struct metrics *metrics, enum metric_id id,
                               const struct histogram *histogram,
                               const struct exemplar *exemplars, const char *a,
                               const char *b);

/* metrics_pool.c: room for what the pools' loops tell, asked on each loop, then samples. */
int sp__metrics_pools_init(struct metrics *metrics, sp_error *err) SP_MUST_CHECK;
void sp__metrics_pools_fini(struct metrics *metrics);
struct lane;
void sp__metrics_pools_look(struct metrics *metrics, const struct lane *lane);
void sp__metrics_pools_add(struct metrics *metrics);

/* ---- formats ---- */

enum exposition { EXPOSITION_PROMETHEUS, EXPOSITION_OPENMETRICS };

/* The text format 0.0.4, or OpenMetrics 1.0. */
int sp__metrics_expose(const struct metrics *metrics, enum exposition format,
                       struct sp_buffer *out, sp_error *err) SP_MUST_CHECK;

#endif
