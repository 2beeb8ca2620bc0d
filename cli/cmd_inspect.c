/* SPDX-License-Identifier: MIT */
/*
 * inspect and advise: two looks at the report "inspect", of the daemon that runs or of a
 * pit of its own. advise prints only what there is to change, and its exit code says
 * whether there is anything.
 */
#include <string.h>

#include "fields.h"
#include "view.h"

static void heading(const char *text)
{
    (void)printf("\n%s%s%s\n", paint("bold"), text, paint(""));
}

static void print_advice(const json_t *advice)
{
    const char *severity = field_words(advice, "severity");
    const char *value = field_words(advice, "value");
    const char *color = strcmp(severity, "high") == 0     ? "red"
                        : strcmp(severity, "medium") == 0 ? "yellow"
                                                          : "";
    (void)printf("%s%-6s%s  %s\n", paint(color), severity, paint(""),
                 field_words(advice, "figure"));
    (void)printf("        set %s%s%s\n", field_words(advice, "key"),
                 value[0] != '\0' ? ": " : "", value);
    (void)printf("        why: %s\n", field_words(advice, "why"));
}

static void print_recommendations(const json_t *pool)
{
    const json_t *list = json_object_get(pool, "recommendations");
    const json_t *advice;
    size_t i;
    json_array_foreach (list, i, advice) {
        print_advice(advice);
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
        table_cell(table, "%.1f MiB", field_real(worker, "memory_mb"));
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
    int is_thread = strcmp(field_words(pool, "profile"), "thread") == 0;
    (void)printf("%sPool %s%s\n", paint("bold"), field_words(pool, "pool_name"),
                 paint(""));
    heading("Configuration");
    print_fact("profile", "%s", field_words(pool, "profile"));
    print_fact("adapter", "%s", field_words(pool, "adapter"));
    print_fact("workers", "%lld, %s", field_number(pool, "worker_count"),
               field_words(pool, "state"));
    heading("Statistics");
    print_fact("capacity", "%lld: %lld used, %lld available",
               field_number(pool, "capacity_total"),
               field_number(pool, "capacity_used"),
               field_number(pool, "capacity_available"));
    print_fact("utilization", "%.1f %% %s", field_real(pool, "utilization_percent"),
               field_words(pool, "utilization"));
    print_fact("calls", "%lld, %lld with an error", field_number(figures, "requests"),
               field_number(figures, "errors"));
    print_fact("queue", "%lld waiting, %lld at most, limit %lld",
               field_number(figures, "queued"), field_number(figures, "queued_peak"),
               field_number(figures, "queue_max"));
    print_fact("sessions", "%lld calls got their worker, %lld moved, %lld refused",
               field_number(figures, "session_hits"),
               field_number(figures, "session_moves"),
               field_number(figures, "session_refusals"));
    heading(is_thread ? "Thread details" : "Process details");
    if (is_thread) {
        print_fact("threads", "%lld in each worker, %lld in all",
                   field_number(pool, "threads_per_worker"),
                   field_number(pool, "threads_per_worker") *
                       field_number(pool, "worker_count"));
    } else {
        print_fact("processes", "%zu",
                   json_array_size(json_object_get(pool, "workers")));
    }
    print_fact("ended", "%lld died, %lld recycled",
               field_number(figures, "workers_died"),
               field_number(figures, "recycled"));
    heading("Memory");
    print_fact("workers", "%.1f MiB in %lld looked at", field_real(memory, "total_mb"),
               field_number(memory, "workers_seen"));
    print_fact("of one", "%.1f MiB on average, %.1f MiB at most",
               field_real(memory, "average_mb"), field_real(memory, "largest_mb"));
    if (cli->is_detailed) {
        print_workers(pool);
    }
    if (cli->wants_advice) {
        heading("Recommendations");
        print_recommendations(pool);
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

static void show_pools(const struct cli *cli, const json_t *report)
{
    const json_t *pool;
    size_t i;
    (void)printf("%lld processors, %.0f MiB of memory\n",
                 field_number(report, "processors"), field_real(report, "memory_mb"));
    json_array_foreach (json_object_get(report, "pools"), i, pool) {
        (void)puts("");
        print_pool(cli, pool);
    }
}

static int inspect(const struct cli *cli, struct view *view)
{
    int code;
    json_t *report = ask(cli, view, &code);
    if (report != NULL && wants_json(cli)) {
        print_json(report);
    } else if (report != NULL) {
        show_pools(cli, report);
    }
    json_decref(report);
    return code;
}

/* Every advice of a report, with its pool. */
static json_t *advice_of(const json_t *report)
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
    return list;
}

static int advise(const struct cli *cli, struct view *view)
{
    const json_t *advice;
    size_t i;
    int code;
    json_t *report = ask(cli, view, &code);
    if (report == NULL) {
        return code;
    }
    json_t *list = advice_of(report);
    if (wants_json(cli)) {
        json_t *root =
            need(json_pack("{s:i, s:O}", "version", 1, "recommendations", list));
        print_json(root);
        json_decref(root);
    } else {
        json_array_foreach (list, i, advice) {
            print_advice(advice);
        }
    }
    code = json_array_size(list) > 0 ? CODE_FINDING : CODE_OK;
    if (code == CODE_OK) {
        talk("no figure asks for a change");
    }
    json_decref(list);
    json_decref(report);
    return code;
}

/* ---- the commands ---- */

static int look(const struct cli *cli, view_fn show)
{
    return cli->words_count > 1
               ? complain(CODE_USAGE, "%s takes one pool, not \"%s\" too",
                          cli->command->name, cli->words[1])
               : view_do(cli, show);
}

int cmd_inspect(struct cli *cli)
{
    return look(cli, inspect);
}

int cmd_advise(struct cli *cli)
{
    return look(cli, advise);
}
