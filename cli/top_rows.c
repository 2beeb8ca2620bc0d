/* SPDX-License-Identifier: MIT */
/*
 * From two samples to rows: what stands in the later one, and what has changed since the
 * one before, a second. A worker is the same when its pool, slot and process are.
 */
#include "top.h"

#include <stdlib.h>
#include <string.h>

#include "fields.h"

/* ---- of two samples ---- */

static const json_t *find_pool(const json_t *status, const char *name)
{
    const json_t *pool;
    size_t i;
    json_array_foreach (json_object_get(status, "pools"), i, pool) {
        if (strcmp(field_words(pool, "name"), name) == 0) {
            return pool;
        }
    }
    return NULL;
}

static const json_t *find_worker(const json_t *pool, const json_t *like)
{
    const json_t *worker;
    size_t i;
    json_array_foreach (json_object_get(pool, "worker_list"), i, worker) {
        if (field_number(worker, "slot") == field_number(like, "slot") &&
            field_number(worker, "pid") == field_number(like, "pid")) {
            return worker;
        }
    }
    return NULL;
}

/* How much a counter has grown, a second; -1 without a sample before. */
static double rate(const json_t *now, const json_t *before, const char *key,
                   double seconds)
{
    if (before == NULL || seconds <= 0) {
        return -1;
    }
    double grown =
        (double)(field_number(now, key) - field_number(before, key)) / seconds;
    return grown > 0 ? grown : 0;
}

static double seconds_between(const struct top_sample *now,
                              const struct top_sample *before)
{
    return before->status != NULL ? now->at_s - before->at_s : 0;
}

/* ---- figures in words ---- */

static void put_rate(struct grid_row *row, size_t column, double value)
{
    if (value < 0) {
        grid_set(row, column, value, "-");
    } else {
        grid_set(row, column, value, value > 0 && value < 10 ? "%.1f" : "%.0f", value);
    }
}

static void put_size(struct grid_row *row, size_t column, double bytes)
{
    char text[32];
    grid_set(row, column, bytes, "%s",
             format_bytes((uint64_t)bytes, text, sizeof text));
}

/* "-" for none, and for what is not known. */
static void put_seconds(struct grid_row *row, size_t column, double seconds)
{
    if (seconds <= 0) {
        grid_set(row, column, seconds, "-");
    } else if (seconds < 0.01) {
        grid_set(row, column, seconds, "%.1fms", seconds * 1e3);
    } else if (seconds < 1) {
        grid_set(row, column, seconds, "%.0fms", seconds * 1e3);
    } else {
        grid_set(row, column, seconds, "%.1fs", seconds);
    }
}

static void put_duration(struct grid_row *row, size_t column, long long ms)
{
    char text[32];
    grid_set(row, column, (double)ms, "%s",
             format_duration((uint64_t)ms, text, sizeof text));
}

static void put_number(struct grid_row *row, size_t column, long long number)
{
    grid_set(row, column, (double)number, "%lld", number);
}

/* ---- the head ---- */

static double memory_of(const json_t *pool)
{
    const json_t *worker;
    size_t i;
    double bytes = 0;
    json_array_foreach (json_object_get(pool, "worker_list"), i, worker) {
        bytes += (double)field_number(worker, "tree_bytes");
    }
    return bytes;
}

void top_head(const struct top_sample *now, const struct top_sample *before,
              struct text *out)
{
    double seconds = seconds_between(now, before);
    const char *instance = field_words(now->status, "instance");
    const json_t *pool;
    long long ready = 0;
    long long workers = 0;
    double calls = 0;
    double errors = 0;
    double bytes = 0;
    char up[32];
    size_t i;
    json_array_foreach (json_object_get(now->status, "pools"), i, pool) {
        const json_t *old = find_pool(before->status, field_words(pool, "name"));
        ready += field_number(pool, "available") + field_number(pool, "busy");
        workers += field_number(pool, "workers");
        calls += rate(pool, old, "requests", seconds);
        errors += rate(pool, old, "errors", seconds);
        bytes += memory_of(pool);
    }
    out->size = 0;
    text_printf(out, "snakepit%s%s %s  up %s  %zu pool%s  %lld/%lld workers",
                instance[0] != '\0' ? " " : "", instance,
                field_words(now->status, "state"),
                format_duration((uint64_t)field_number(now->status, "uptime_ms"), up,
                                sizeof up),
                i, i == 1 ? "" : "s", ready, workers);
    if (seconds > 0) {
        text_printf(out, "  %.0f calls/s  errors %.1f%%", calls,
                    calls > 0 ? 100 * errors / calls : 0);
    }
    text_printf(out, "  %.1fMiB", bytes / (1 << 20));
}

/* ---- pools ---- */

enum {
    POOL_NAME,
    POOL_STATE,
    POOL_READY,
    POOL_QUEUE,
    POOL_OLDEST,
    POOL_RATE,
    POOL_ERRORS,
    POOL_P50,
    POOL_P99,
    POOL_RECYCLED,
    POOL_DIED,
    POOL_MEMORY,
    POOL_TOTAL,
    POOL_PROFILE,
    POOL_ADAPTER
};

static const struct grid_column pool_columns[] = {
    [POOL_NAME] = {"POOL", 0, 1},         [POOL_STATE] = {"STATE", 0, 1},
    [POOL_READY] = {"RDY/BSY/STR", 0, 0}, [POOL_QUEUE] = {"QUEUE/PEAK/MAX", 1, 0},
    [POOL_OLDEST] = {"OLDEST", 4, 0},     [POOL_RATE] = {"CALLS/s", 0, 0},
    [POOL_ERRORS] = {"ERR/s", 2, 0},      [POOL_P50] = {"P50", 6, 0},
    [POOL_P99] = {"P99", 3, 0},           [POOL_RECYCLED] = {"RECYCLED", 8, 0},
    [POOL_DIED] = {"DIED", 5, 0},         [POOL_MEMORY] = {"MEMORY", 7, 0},
    [POOL_TOTAL] = {"CALLS", 9, 0},       [POOL_PROFILE] = {"PROFILE", 10, 1},
    [POOL_ADAPTER] = {"ADAPTER", 11, 1},
};

void top_pools(const struct top_sample *now, const struct top_sample *before,
               struct grid *ret_grid)
{
    double seconds = seconds_between(now, before);
    const json_t *pool;
    size_t i;
    grid_init(ret_grid, pool_columns, sizeof pool_columns / sizeof pool_columns[0]);
    json_array_foreach (json_object_get(now->status, "pools"), i, pool) {
        const char *name = field_words(pool, "name");
        const json_t *old = find_pool(before->status, name);
        struct grid_row *row = grid_add(ret_grid, pool);
        grid_set(row, POOL_NAME, 0, "%s", name);
        grid_set(row, POOL_STATE, 0, "%s", field_words(pool, "state"));
        grid_set(row, POOL_READY, 0, "%lld/%lld/%lld", field_number(pool, "available"),
                 field_number(pool, "busy"), field_number(pool, "starting"));
        grid_set(row, POOL_QUEUE, 0, "%lld/%lld/%lld", field_number(pool, "queued"),
                 field_number(pool, "queued_peak"), field_number(pool, "queue_max"));
        put_rate(row, POOL_RATE, rate(pool, old, "requests", seconds));
        put_rate(row, POOL_ERRORS, rate(pool, old, "errors", seconds));
        put_seconds(row, POOL_OLDEST,
                    top_value(now, "snakepit_pool_queue_oldest_seconds", name, NULL));
        put_seconds(row, POOL_P50, top_quantile(now, before, name, 500));
        put_seconds(row, POOL_P99, top_quantile(now, before, name, 990));
        put_number(row, POOL_RECYCLED, field_number(pool, "recycled"));
        put_number(row, POOL_DIED, field_number(pool, "workers_died"));
        put_size(row, POOL_MEMORY, memory_of(pool));
        put_number(row, POOL_TOTAL, field_number(pool, "requests"));
        grid_set(row, POOL_PROFILE, 0, "%s", field_words(pool, "profile"));
        grid_set(row, POOL_ADAPTER, 0, "%s", field_words(pool, "adapter"));
    }
}

/* ---- workers ---- */

static const struct grid_column worker_columns[TOP_WORKER_COLUMNS] = {
    [TOP_WORKER] = {"WORKER", 0, 1},   [TOP_PID] = {"PID", 1, 0},
    [TOP_STATE] = {"STATE", 0, 1},     [TOP_AGE] = {"AGE", 5, 0},
    [TOP_CALLS] = {"CALLS", 4, 0},     [TOP_RATE] = {"CALLS/s", 0, 0},
    [TOP_RUNNING] = {"RUNNING", 2, 0}, [TOP_CPU] = {"CPU%", 3, 0},
    [TOP_MEMORY] = {"MEMORY", 0, 0},   [TOP_RESTARTS] = {"RESTARTS", 6, 0},
    [TOP_RUNTIME] = {"RUNTIME", 7, 1},
};

static const struct {
    const char *name;
    int column;
} sorts[] = {{"worker", TOP_WORKER},    {"calls", TOP_RATE},
             {"running", TOP_RUNNING},  {"cpu", TOP_CPU},
             {"memory", TOP_MEMORY},    {"age", TOP_AGE},
             {"restarts", TOP_RESTARTS}};

enum { SORTS = sizeof sorts / sizeof sorts[0] };

int top_sort_by_name(const char *name)
{
    for (size_t i = 0; i < SORTS; i++) {
        if (strcmp(sorts[i].name, name) == 0) {
            return sorts[i].column;
        }
    }
    return -1;
}

static size_t sort_at(int column)
{
    size_t at = 0;
    while (at < SORTS && sorts[at].column != column) {
        at++;
    }
    return at;
}

const char *top_sort_name(int column)
{
    size_t at = sort_at(column);
    return at < SORTS ? sorts[at].name : NULL;
}

int top_sort_next(int column)
{
    return sorts[(sort_at(column) + 1) % SORTS].column;
}

/* Processor time over its life, in percent of one; -1 while it is not known. */
static double cpu(const struct top_sample *now, const json_t *pool,
                  const json_t *worker)
{
    char slot[24];
    double age_ms = (double)field_number(worker, "age_ms") -
                    (double)field_number(worker, "sample_age_ms");
    (void)snprintf(slot, sizeof slot, "%lld", field_number(worker, "slot"));
    double seconds =
        top_value(now, "snakepit_worker_cpu_seconds", field_words(pool, "name"), slot);
    return seconds < 0 || age_ms <= 0 ? -1 : 100 * seconds * 1000 / age_ms;
}

static void fill_worker(struct grid_row *row, const struct top_sample *now,
                        const json_t *pool, const json_t *worker, const json_t *old,
                        double seconds)
{
    grid_set(row, TOP_WORKER, 0, "%s/%lld", field_words(pool, "name"),
             field_number(worker, "slot"));
    put_number(row, TOP_PID, field_number(worker, "pid"));
    grid_set(row, TOP_STATE, 0, "%s", field_words(worker, "state"));
    put_duration(row, TOP_AGE, field_number(worker, "age_ms"));
    put_number(row, TOP_CALLS, field_number(worker, "calls_total"));
    put_rate(row, TOP_RATE, rate(worker, old, "calls_total", seconds));
    grid_set(row, TOP_RUNNING, (double)field_number(worker, "in_flight"), "%lld/%lld",
             field_number(worker, "in_flight"), field_number(worker, "capacity"));
    put_rate(row, TOP_CPU, cpu(now, pool, worker));
    put_size(row, TOP_MEMORY, (double)field_number(worker, "tree_bytes"));
    put_number(row, TOP_RESTARTS, field_number(worker, "restarts"));
    grid_set(row, TOP_RUNTIME, 0, "%s", field_words(worker, "runtime"));
}

static int passes(const struct grid_row *row, const char *filter)
{
    for (size_t c = 0; c < TOP_WORKER_COLUMNS; c++) {
        if (strstr(row->cells[c].text, filter) != NULL) {
            return 1;
        }
    }
    return 0;
}

void top_workers(const struct top_sample *now, const struct top_sample *before,
                 const char *filter, int sort, struct grid *ret_grid)
{
    double seconds = seconds_between(now, before);
    const json_t *pool;
    const json_t *worker;
    size_t i;
    size_t k;
    grid_init(ret_grid, worker_columns, TOP_WORKER_COLUMNS);
    json_array_foreach (json_object_get(now->status, "pools"), i, pool) {
        const json_t *old = find_pool(before->status, field_words(pool, "name"));
        json_array_foreach (json_object_get(pool, "worker_list"), k, worker) {
            struct grid_row *row = grid_add(ret_grid, worker);
            fill_worker(row, now, pool, worker, find_worker(old, worker), seconds);
            if (!passes(row, filter)) {
                ret_grid->count--;
            }
        }
    }
    if (sort != TOP_WORKER) { /* as they come, they are in that order */
        grid_sort(ret_grid, (size_t)sort);
    }
}

/* ---- JSON ---- */

static void set_rate(json_t *object, const char *key, double value)
{
    (void)json_object_set_new(object, key, value < 0 ? json_null() : json_real(value));
}

json_t *top_json(const struct top_sample *now, const struct top_sample *before)
{
    double seconds = seconds_between(now, before);
    json_t *copy = need(json_deep_copy(now->status));
    json_t *pool;
    json_t *worker;
    size_t i;
    size_t k;
    json_array_foreach (json_object_get(copy, "pools"), i, pool) {
        const json_t *old = find_pool(before->status, field_words(pool, "name"));
        set_rate(pool, "calls_per_second", rate(pool, old, "requests", seconds));
        set_rate(pool, "errors_per_second", rate(pool, old, "errors", seconds));
        set_rate(pool, "p50_s",
                 top_quantile(now, before, field_words(pool, "name"), 500));
        set_rate(pool, "p99_s",
                 top_quantile(now, before, field_words(pool, "name"), 990));
        json_array_foreach (json_object_get(pool, "worker_list"), k, worker) {
            const json_t *was = find_worker(old, worker);
            set_rate(worker, "calls_per_second",
                     rate(worker, was, "calls_total", seconds));
            set_rate(worker, "cpu_percent", cpu(now, pool, worker));
        }
    }
    (void)json_object_set_new(copy, "interval_s", json_real(seconds));
    return copy;
}

/* ---- one worker ---- */

void top_describe(const json_t *pool, const json_t *worker, struct text *out)
{
    const char *key;
    json_t *value;
    const json_t *death;
    size_t i;
    out->size = 0;
    text_printf(out, "worker %s/%lld\n\n", field_words(pool, "name"),
                field_number(worker, "slot"));
    json_object_foreach ((json_t *)worker, key, value) {
        char *text = need(json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT));
        text_printf(out, "  %-16s %s\n", key, text);
        free(text);
    }
    text_printf(out, "\nbefore it in its slot\n");
    json_array_foreach (json_object_get(pool, "deaths"), i, death) {
        char age[32];
        if (field_number(death, "slot") == field_number(worker, "slot")) {
            text_printf(out, "  pid %lld, %s after %s and %lld calls: %s\n",
                        field_number(death, "pid"), field_words(death, "why"),
                        format_duration((uint64_t)field_number(death, "age_ms"), age,
                                        sizeof age),
                        field_number(death, "calls_total"),
                        field_words(death, "message"));
        }
    }
}
