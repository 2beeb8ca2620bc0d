/* SPDX-License-Identifier: MIT */
/*
 * What `snakepit bench` prints: a table for people, or one JSON object.
 *
 * The rate is the median of the repetitions, its spread what lies between the least and
 * the greatest as a share of it. Quantiles are over the calls of all repetitions.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    double share;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};

enum { QUANTILES = sizeof quantiles / sizeof quantiles[0] };

struct rates {
    double median, min, max, spread;
};

static double rate_of(const struct bench_meter *meter, uint32_t repetition)
{
    return (double)meter->repetitions[repetition].calls * 1000.0 /
           (double)meter->plan->duration_ms;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct rates rates_of(const struct bench_meter *meter)
{
    uint32_t n = meter->plan->repetitions;
    double *sorted = need(calloc(n, sizeof *sorted));
    for (uint32_t i = 0; i < n; i++) {
        sorted[i] = rate_of(meter, i);
    }
    qsort(sorted, n, sizeof *sorted, compare);
    struct rates rates = {.median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2,
                          .min = sorted[0],
                          .max = sorted[n - 1]};
    rates.spread = rates.median > 0 ? (rates.max - rates.min) / rates.median : 0;
    free(sorted);
    return rates;
}

static struct latencies *all_of(const struct bench_meter *meter)
{
    struct latencies *all = need(calloc(1, sizeof *all));
    for (uint32_t i = 0; i < meter->plan->repetitions; i++) {
        latency_join(all, &meter->repetitions[i].latency);
    }
    return all;
}

static double median_us(const struct bench_meter *meter)
{
    struct latencies *all = all_of(meter);
    double us = latency_us(all, 0.5);
    free(all);
    return us;
}

/* --- JSON ---------------------------------------------------------------------------- */

static void set(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, need(value));
}

static json_t *latencies_json(const struct latencies *latencies)
{
    json_t *object = need(json_object());
    for (size_t i = 0; i < QUANTILES; i++) {
        set(object, quantiles[i].name,
            json_real(latency_us(latencies, quantiles[i].share)));
    }
    set(object, "max", json_real((double)latencies->max_ns / 1000));
    return object;
}

static json_t *rates_json(const struct bench_meter *meter)
{
    struct rates rates = rates_of(meter);
    return json_pack("{s:f, s:f, s:f, s:f}", "median", rates.median, "min", rates.min,
                     "max", rates.max, "spread", rates.spread);
}

static json_t *repetitions_json(const struct bench_meter *meter)
{
    json_t *list = need(json_array());
    for (uint32_t i = 0; i < meter->plan->repetitions; i++) {
        const struct bench_repetition *one = &meter->repetitions[i];
        (void)json_array_append_new(
            list,
            need(json_pack("{s:I, s:I, s:f, s:o}", "calls", (json_int_t)one->calls,
                           "failed", (json_int_t)one->failed, "rate", rate_of(meter, i),
                           "latency_us", latencies_json(&one->latency))));
    }
    return list;
}

static json_t *errors_json(const struct bench_meter *meter)
{
    json_t *object = need(json_object());
    for (size_t i = 0; i < meter->codes_count; i++) {
        set(object, sp_error_name(meter->codes[i].code),
            json_integer((json_int_t)meter->codes[i].count));
    }
    return object;
}

static void set_plan(json_t *root, const struct bench_plan *plan)
{
    static const char *const modes[] = {"in_flight", "threads", "rate"};
    set(root, "mode", json_string(modes[plan->mode]));
    set(root, modes[plan->mode],
        json_integer(plan->mode == BENCH_RATE ? plan->rate : plan->count));
    set(root, "warm_up_ms", json_integer((json_int_t)plan->warm_up_ms));
    set(root, "duration_ms", json_integer((json_int_t)plan->duration_ms));
}

static void report_json(const struct bench_target *target,
                        const struct bench_meter *meter,
                        const struct bench_meter *empty, const char *empty_tool)
{
    struct latencies *all = all_of(meter);
    json_t *root = need(json_object());
    set(root, "version", json_integer(1));
    set(root, "tool", json_string(target->tool));
    if (target->address != NULL) {
        set(root, "address", json_string(target->address));
    } else {
        set(root, "pool", json_string(target->pool));
        set(root, "workers", json_integer(target->workers));
    }
    set_plan(root, meter->plan);
    set(root, "calls", json_integer((json_int_t)bench_meter_calls(meter)));
    set(root, "failed", json_integer((json_int_t)bench_meter_failed(meter)));
    set(root, "missed", json_integer((json_int_t)meter->missed));
    set(root, "errors", errors_json(meter));
    set(root, "calls_per_second", rates_json(meter));
    set(root, "latency_us", latencies_json(all));
    set(root, "queued_us", latencies_json(&meter->queued));
    set(root, "run_us", latencies_json(&meter->run));
    set(root, "repetitions", repetitions_json(meter));
    if (empty == NULL) {
        set(root, "empty", json_null());
    } else {
        set(root, "empty",
            json_pack("{s:s, s:o, s:f}", "tool", empty_tool, "calls_per_second",
                      rates_json(empty), "p50_us", median_us(empty)));
        set(root, "beyond_empty_us",
            json_real(latency_us(all, 0.5) - median_us(empty)));
    }
    print_json(root);
    json_decref(root);
    free(all);
}

/* --- A table ------------------------------------------------------------------------- */

/* 1,234,567 of a number that is not negative. */
static const char *grouped(double value, char text[32])
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%.0f", value);
    size_t size = 0;
    for (int i = 0; i < n; i++) {
        text[size++] = digits[i];
        if (i + 1 < n && (n - i - 1) % 3 == 0) {
            text[size++] = ',';
        }
    }
    text[size] = '\0';
    return text;
}

static void add_row(struct table *table, const char *name,
                    const struct latencies *latencies)
{
    table_cell(table, "%s", name);
    for (size_t i = 0; i < QUANTILES; i++) {
        table_cell(table, "%.1f", latency_us(latencies, quantiles[i].share));
    }
    table_cell(table, "%.1f", (double)latencies->max_ns / 1000);
}

static void print_head(const struct bench_target *target, const struct bench_plan *plan)
{
    char load[48];
    char each[32];
    if (plan->mode == BENCH_RATE) {
        (void)snprintf(load, sizeof load, "%u calls/s on a schedule", plan->rate);
    } else {
        (void)snprintf(load, sizeof load, "%u %s%s", plan->count,
                       plan->mode == BENCH_THREADS ? "thread" : "in flight",
                       plan->mode == BENCH_THREADS && plan->count != 1 ? "s" : "");
    }
    if (target->address != NULL) {
        (void)printf("%s at %s: %s", target->tool, target->address, load);
    } else {
        (void)printf("%s: %s, %u worker%s", target->tool, load, target->workers,
                     target->workers == 1 ? "" : "s");
    }
    (void)printf(", %u x %s\n", plan->repetitions,
                 format_duration(plan->duration_ms, each, sizeof each));
}

static void print_failures(const struct bench_meter *meter)
{
    uint64_t failed = bench_meter_failed(meter);
    if (failed > 0) {
        print_fact("failed", "%llu", (unsigned long long)failed);
        for (size_t i = 0; i < meter->codes_count; i++) {
            print_fact("", "%llu %s", (unsigned long long)meter->codes[i].count,
                       sp_error_name(meter->codes[i].code));
        }
        print_fact("", "first: %s", meter->first.message);
    }
    if (meter->missed > 0) {
        print_fact("missed", "%llu calls were due and not begun: %d were under way",
                   (unsigned long long)meter->missed, BENCH_CALLS_MAX);
    }
}

static void report_table(const struct bench_target *target,
                         const struct bench_meter *meter,
                         const struct bench_meter *empty, const char *empty_tool)
{
    static const char *const headings[] = {"us",    "p50", "p90", "p99",
                                           "p99.9", "max", NULL};
    char text[32];
    struct rates rates = rates_of(meter);
    struct latencies *all = all_of(meter);
    struct table *table = table_new(headings);
    print_head(target, meter->plan);
    print_fact("calls/s", "%s (spread %.1f %%)", grouped(rates.median, text),
               rates.spread * 100);
    print_failures(meter);
    (void)putchar('\n');
    add_row(table, "latency", all);
    add_row(table, "  queued", &meter->queued);
    add_row(table, "  run", &meter->run);
    table_print(table, "");
    table_free(table);
    if (empty != NULL) {
        double own = latency_us(all, 0.5);
        double none = median_us(empty);
        (void)printf("\nAn empty tool (%s) answers after %.1f us (p50), %s calls/s; "
                     "%s %.1f us %s.\n",
                     empty_tool, none, grouped(rates_of(empty).median, text),
                     target->tool, own >= none ? own - none : none - own,
                     own >= none ? "later" : "sooner");
    }
    free(all);
}

void bench_report(const struct cli *cli, const struct bench_target *target,
                  const struct bench_meter *meter, const struct bench_meter *empty,
                  const char *empty_tool)
{
    if (wants_json(cli)) {
        report_json(target, meter, empty, empty_tool);
    } else {
        report_table(target, meter, empty, empty_tool);
    }
}
