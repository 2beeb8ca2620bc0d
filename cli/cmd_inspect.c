/* SPDX-License-Identifier: MIT */
/*
 * inspect and advise: two looks at the report "inspect", of the daemon that runs or of a
 * pit of its own. advise prints only what there is to change, and its exit code says
 * whether there is anything.
 */
#include <string.h>

#include "fields.h"
#include "view.h"

static double real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void heading(const char *text)
{
    (void)printf("\n%s%s%s\n", paint("bold"), text, paint(""));
}

static void print_advice_of(const json_t *advice)
{
    const char *severity = report_words(advice, "severity");
    const char *value = report_words(advice, "value");
    const char *color = strcmp(severity, "high") == 0     ? "red"
                        : strcmp(severity, "medium") == 0 ? "yellow"
                                                          : "";
    (void)printf("%s%-6s%s  %s\n", paint(color), severity, paint(""),
                 report_words(advice, "figure"));
    (void)printf("        set %s%s%s\n", report_words(advice, "key"),
                 value[0] != '\0' ? ": " : "", value);
    (void)printf("        why: %s\n", report_words(advice, "why"));
}

static void print_list(const json_t *pool)
{
    const json_t *list = json_object_get(pool, "recommendations");
    const json_t *advice;
    size_t i;
    json_array_foreach (list, i, advice) {
        print_advice_of(advice);
    }
    if (json_array_size(list) == 0) {
        (void)puts("none: no figure asks for a change");
    }
}

static void print_workers(const json_t *pool)
{
    static const char *const headings[] = {"WORKER",   "PID",    "STATUS", "LOAD",
                                           "CAPACITY", "MEMORY", "CALLS",  "AGE",
                                           "RUNTIME",  NULL};
    struct table *table = table_new(headings);
    const json_t *worker;
    size_t i;
    json_array_foreach (json_object_get(pool, "workers"), i, worker) {
        words_cell(table, worker, "worker_id");
        number_cell(table, worker, "pid");
        words_cell(table, worker, "status");
        number_cell(table, worker, "load");
        number_cell(table, worker, "capacity");
        table_cell(table, "%.1f MiB", real(worker, "memory_mb"));
        number_cell(table, worker, "calls_total");
        duration_cell(table, worker, "age_ms");
        words_cell(table, worker, "runtime");
    }
    heading("Worker details");
    table_print(table, "");
    table_free(table);
}

static void print_pool(const struct cli *cli, const json_t *pool)
{
    const json_t *figures = json_object_get(pool, "statistics");
    const json_t *memory = json_object_get(pool, "memory");
    int is_thread = strcmp(report_words(pool, "profile"), "thread") == 0;
    (void)printf("%sPool %s%s\n", paint("bold"), report_words(pool, "pool_name"),
                 paint(""));
    heading("Configuration");
    print_fact("profile", "%s", report_words(pool, "profile"));
    print_fact("adapter", "%s", report_words(pool, "adapter"));
    print_fact("workers", "%lld, %s", report_number(pool, "worker_count"),
               report_words(pool, "state"));
    heading("Statistics");
    print_fact("capacity", "%lld: %lld used, %lld available",
               report_number(pool, "capacity_total"),
               report_number(pool, "capacity_used"),
               report_number(pool, "capacity_available"));
    print_fact("utilization", "%.1f %% %s", real(pool, "utilization_percent"),
               report_words(pool, "utilization"));
    print_fact("calls", "%lld, %lld with an error", report_number(figures, "requests"),
               report_number(figures, "errors"));
    print_fact("queue", "%lld waiting, %lld at most, limit %lld",
               report_number(figures, "queued"), report_number(figures, "queued_peak"),
               report_number(figures, "queue_max"));
    heading(is_thread ? "Thread details" : "Process details");
    if (is_thread) {
        print_fact("threads", "%lld in each worker, %lld in all",
                   report_number(pool, "threads_per_worker"),
                   report_number(pool, "threads_per_worker") *
                       report_number(pool, "worker_count"));
    } else {
        print_fact("processes", "%zu",
                   json_array_size(json_object_get(pool, "workers")));
    }
    print_fact("ended", "%lld died, %lld recycled",
               report_number(figures, "workers_died"),
               report_number(figures, "recycled"));
    heading("Memory");
    print_fact("workers", "%.1f MiB in %lld looked at", real(memory, "total_mb"),
               report_number(memory, "workers_seen"));
    print_fact("of one", "%.1f MiB on average, %.1f MiB at most",
               real(memory, "average_mb"), real(memory, "largest_mb"));
    if (cli->is_detailed) {
        print_workers(pool);
    }
    if (cli->wants_advice) {
        heading("Recommendations");
        print_list(pool);
    }
}

static json_t *ask(const struct cli *cli, struct view *view, int *ret_code)
{
    const char *pool = cli->words_count > 0 ? cli->words[0] : cli->pool;
    json_t *options = need(json_object());
    if (pool != NULL) {
        (void)json_object_set_new(options, "pool", json_string(pool));
    }
    return view_report(view, "inspect", options, ret_code);
}

typedef void (*show_fn)(const struct cli *cli, const json_t *report);

/* The report, shown in one of two ways. */
static int show(struct cli *cli, show_fn text, json_t *(*shorten)(const json_t *),
                int *ret_advice)
{
    struct view view;
    const json_t *pool;
    size_t i;
    int code = view_open(cli, &view);
    if (code != CODE_OK) {
        return code;
    }
    json_t *report = ask(cli, &view, &code);
    json_array_foreach (json_object_get(report, "pools"), i, pool) {
        *ret_advice += (int)json_array_size(json_object_get(pool, "recommendations"));
    }
    if (report != NULL && (cli->output == OUTPUT_JSON || cli->output == OUTPUT_JSONL)) {
        json_t *shown = shorten(report);
        print_json(shown);
        json_decref(shown);
    } else if (report != NULL) {
        text(cli, report);
    }
    json_decref(report);
    view_close(&view);
    return code;
}

static void show_pools(const struct cli *cli, const json_t *report)
{
    const json_t *pool;
    size_t i;
    (void)printf("%lld processors, %.0f MiB of memory\n",
                 report_number(report, "processors"), real(report, "memory_mb"));
    json_array_foreach (json_object_get(report, "pools"), i, pool) {
        (void)puts("");
        print_pool(cli, pool);
    }
}

static json_t *whole(const json_t *report)
{
    return json_incref((json_t *)(uintptr_t)report);
}

int cmd_inspect(struct cli *cli)
{
    int advice = 0;
    if (cli->words_count > 1) {
        return complain(CODE_USAGE, "inspect takes one pool, not \"%s\" too",
                        cli->words[1]);
    }
    return show(cli, show_pools, whole, &advice);
}

static void show_advice(const struct cli *cli, const json_t *report)
{
    const json_t *pool;
    const json_t *advice;
    size_t i;
    size_t k;
    (void)cli;
    json_array_foreach (json_object_get(report, "pools"), i, pool) {
        json_array_foreach (json_object_get(pool, "recommendations"), k, advice) {
            print_advice_of(advice);
        }
    }
}

/* {version, recommendations: [...]}, each with its pool. */
static json_t *only_advice(const json_t *report)
{
    const json_t *pool;
    json_t *advice;
    size_t i;
    size_t k;
    json_t *list = need(json_array());
    json_array_foreach (json_object_get(report, "pools"), i, pool) {
        json_array_foreach (json_object_get(pool, "recommendations"), k, advice) {
            json_t *one = need(json_copy(advice));
            (void)json_object_set(one, "pool_name", json_object_get(pool, "pool_name"));
            (void)json_array_append_new(list, one);
        }
    }
    return need(json_pack("{s:i, s:o}", "version", 1, "recommendations", list));
}

int cmd_advise(struct cli *cli)
{
    int advice = 0;
    if (cli->words_count > 1) {
        return complain(CODE_USAGE, "advise takes one pool, not \"%s\" too",
                        cli->words[1]);
    }
    int code = show(cli, show_advice, only_advice, &advice);
    if (code == CODE_OK && advice == 0) {
        talk("no figure asks for a change");
    }
    return code == CODE_OK && advice > 0 ? CODE_FINDING : code;
}
