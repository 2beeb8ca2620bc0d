/* SPDX-License-Identifier: MIT */
/* What `snakepit top` shows of two samples of the reports "status" and "metrics". */
#ifndef SNAKEPIT_CLI_TOP_H
#define SNAKEPIT_CLI_TOP_H

#include "grid.h"
#include "view.h"

struct top_sample {
    json_t *status;
    json_t *metrics;
    double at_s; /* of a clock that only goes on */
};

/* Columns of workers, by which they may be sorted. */
enum {
    TOP_WORKER,
    TOP_PID,
    TOP_STATE,
    TOP_AGE,
    TOP_CALLS,
    TOP_RATE,
    TOP_RUNNING,
    TOP_CPU,
    TOP_MEMORY,
    TOP_RESTARTS,
    TOP_RUNTIME,
    TOP_WORKER_COLUMNS
};

/* The column of a word of --sort, or -1; and the words, NULL past the last. */
int top_sort_by_name(const char *name);
const char *top_sort_name(int column);
int top_sort_next(int column);

/* ---- of a daemon; errors are those of view_ask() ---- */
int top_sample_take(struct view *view, struct top_sample *ret, sp_error *err);
void top_sample_free(struct top_sample *sample);
/* What a worker ("pool/3") does this moment, added to a text. */
int top_stack(struct view *view, const char *worker, struct text *out, sp_error *err);

/* The last lines that were logged of a worker. */
struct top_log {
    json_t *lines; /* NULL before the first look */
    long long cursor;
};
/* Look for more of them; whatever was there of another worker is forgotten by
 * top_log_free(). */
int top_log_take(struct view *view, const char *worker, struct top_log *log,
                 sp_error *err);
/* The last `rows` of them, a line each. */
void top_log_text(const struct top_log *log, size_t rows, struct text *out);
void top_log_free(struct top_log *log);

/* The value of a gauge or counter of a pool or, unless `worker` is NULL, one of its
 * workers by slot; -1: there is none. */
double top_value(const struct top_sample *sample, const char *metric, const char *pool,
                 const char *worker);

/* The time that so many of 1 000 calls of a pool were over within, in seconds, of those
 * that ended between two samples; -1: none did. As steps.h has it. */
double top_quantile(const struct top_sample *now, const struct top_sample *before,
                    const char *pool, double permille);

/* One line about all of it; `before` may be without a status. */
void top_head(const struct top_sample *now, const struct top_sample *before,
              struct text *out);

/* A row for each pool. */
void top_pools(const struct top_sample *now, const struct top_sample *before,
               struct grid *ret_grid);

/* A row for each worker whose row holds `filter` ("": all), sorted. */
void top_workers(const struct top_sample *now, const struct top_sample *before,
                 const char *filter, int sort, struct grid *ret_grid);

/* The same as JSON: the status, and in pools and workers what there is a second. */
json_t *top_json(const struct top_sample *now, const struct top_sample *before);

/* Everything about one worker, a line each, and how those before it in its slot ended. */
void top_describe(const json_t *pool, const json_t *worker, struct text *out);

#endif
