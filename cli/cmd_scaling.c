/* SPDX-License-Identifier: MIT */
/*
 * scaling: how many workers of the configured pool this machine can have, and how much of
 * what they and their clients need. Workers are really started and the rest is really
 * taken, up to bounds that are said; what a worker costs and what the kernel has left gives
 * by arithmetic how many more there could be, and the limit that is met first.
 */
#include "scaling.h"
#include "scaling_probe.h"

#include <string.h>

#include "fields.h"

enum { DEFAULT_MAX = 16, LARGEST_MAX = 1000 };

static const char *amount(const struct scaling_limit *limit, double value, char *text,
                          size_t max)
{
    if (strcmp(limit->name, "memory") == 0) {
        return format_bytes((uint64_t)value, text, max);
    }
    if (value >= (double)UINT64_MAX / 2) {
        return "none"; /* the kernel's way to say so has changed over time */
    }
    (void)snprintf(text, max, value == (double)(uint64_t)value ? "%.0f" : "%.1f",
                   value);
    return text;
}

static void print_steps(const struct scaling_trial *trial)
{
    static const char *const headings[] = {"STARTED", "READY IN",    "EACH",  "SLOWEST",
                                           "MEMORY",  "DESCRIPTORS", "TASKS", NULL};
    struct table *table = table_new(headings);
    for (size_t i = 0; i < trial->count; i++) {
        const struct scaling_step *step = &trial->steps[i];
        char text[32];
        table_cell(table, "%u", step->workers);
        table_cell(table, "%s", format_duration(step->ready_ms, text, sizeof text));
        table_cell(table, "%s", format_duration(step->each_ms, text, sizeof text));
        table_cell(table, "%s", format_duration(step->slowest_ms, text, sizeof text));
        table_cell(table, "%s",
                   format_bytes((uint64_t)step->cost.memory_bytes, text, sizeof text));
        table_cell(table, "%.1f", step->cost.descriptors);
        table_cell(table, "%.1f", step->cost.tasks);
    }
    table_print(table, "");
    table_free(table);
    if (trial->forked_ms > 0) {
        (void)printf("forked by a zygote: ready in %llu ms each\n",
                     (unsigned long long)trial->forked_ms);
    }
}

/* What raises each is long: of the first one it is said below. */
static void print_limits(const struct scaling_limit *limits, size_t count, int is_wide)
{
    static const char *const headings[] = {"LIMIT", "VALUE",   "USED",
                                           "EACH",  "WORKERS", NULL};
    static const char *const wide_headings[] = {"LIMIT",   "VALUE",    "USED", "EACH",
                                                "WORKERS", "TO RAISE", NULL};
    struct table *table = table_new(is_wide ? wide_headings : headings);
    for (size_t i = 0; i < count; i++) {
        char text[32];
        table_cell(table, "%s", limits[i].name);
        table_cell(table, "%s",
                   amount(&limits[i], (double)limits[i].value, text, sizeof text));
        table_cell(table, "%s",
                   amount(&limits[i], (double)limits[i].used, text, sizeof text));
        table_cell(table, "%s", amount(&limits[i], limits[i].each, text, sizeof text));
        if (limits[i].workers == UINT64_MAX) {
            table_cell(table, "-");
        } else {
            table_cell(table, "%llu", (unsigned long long)limits[i].workers);
        }
        if (is_wide) {
            table_cell(table, "%s", limits[i].raise);
        }
    }
    (void)puts("");
    table_print(table, "");
    table_free(table);
}

/* What was taken, and for what was refused how to get more. */
static void print_probes(const struct probes *probes, int is_wide)
{
    static const char *const headings[] = {"TAKEN", "REACHED", "STOPPED BY", NULL};
    static const char *const wide_headings[] = {"TAKEN", "REACHED", "STOPPED BY", "SET",
                                                NULL};
    struct table *table = table_new(is_wide ? wide_headings : headings);
    for (size_t i = 0; i < probes->count; i++) {
        const struct probe *probe = &probes->list[i];
        table_cell(table, "%s", probe->name);
        table_cell(table, "%llu%s", (unsigned long long)probe->reached, probe->unit);
        table_cell(table, "%s", probe->stopped_by);
        if (is_wide) {
            table_cell(table, "%s", probe->set);
        }
    }
    (void)puts("");
    table_print(table, "");
    table_free(table);
    for (size_t i = 0; !is_wide && i < probes->count; i++) {
        if (probes->list[i].set[0] != '\0') {
            (void)printf("more %s:\n  %s\n", probes->list[i].name, probes->list[i].set);
        }
    }
}

static void print_verdict(const struct scaling_trial *trial,
                          const struct scaling_limit *first, unsigned max)
{
    (void)puts("");
    if (trial->broke_at > 0) {
        (void)printf("breaking point: %s\n", trial->why);
    } else if (trial->why[0] != '\0') {
        (void)printf("no more were tried: %s\n", trial->why);
    } else {
        (void)printf("workers started: %u, without a failure; --max %u goes on\n", max,
                     max * 2);
    }
    if (first != NULL) {
        (void)printf("first limit: %s, at about %llu more workers\n", first->name,
                     (unsigned long long)first->workers);
        (void)printf("to raise it: %s\n", first->raise);
    }
}

/* ---- JSON ---- */

static json_t *steps_json(const struct scaling_trial *trial)
{
    json_t *list = need(json_array());
    for (size_t i = 0; i < trial->count; i++) {
        const struct scaling_step *step = &trial->steps[i];
        (void)json_array_append_new(
            list,
            need(json_pack("{s:i, s:I, s:I, s:I, s:I, s:f, s:f}", "workers",
                           (int)step->workers, "ready_ms", (json_int_t)step->ready_ms,
                           "each_ms", (json_int_t)step->each_ms, "slowest_ms",
                           (json_int_t)step->slowest_ms, "memory_bytes",
                           (json_int_t)step->cost.memory_bytes, "descriptors",
                           step->cost.descriptors, "tasks", step->cost.tasks)));
    }
    return list;
}

/* null: there is none. */
static json_t *count_json(uint64_t count)
{
    return count > INT64_MAX ? json_null() : json_integer((json_int_t)count);
}

static json_t *limit_json(const struct scaling_limit *limit)
{
    return limit == NULL
               ? json_null()
               : need(json_pack("{s:s, s:o, s:o, s:f, s:o, s:s}", "name", limit->name,
                                "value", count_json(limit->value), "used",
                                count_json(limit->used), "each", limit->each, "workers",
                                count_json(limit->workers), "raise", limit->raise));
}

static json_t *probes_json(const struct probes *probes)
{
    json_t *list = need(json_array());
    for (size_t i = 0; i < probes->count; i++) {
        const struct probe *probe = &probes->list[i];
        (void)json_array_append_new(
            list, need(json_pack(
                      "{s:s, s:s, s:I, s:I, s:b, s:s, s:s}", "name", probe->name,
                      "unit", probe->unit, "bound", (json_int_t)probe->bound, "reached",
                      (json_int_t)probe->reached, "refused", probe->is_refused,
                      "stopped_by", probe->stopped_by, "set", probe->set)));
    }
    return list;
}

static void print_as_json(const struct scaling_trial *trial,
                          const struct probes *probes,
                          const struct scaling_limit *limits, size_t count,
                          unsigned max)
{
    json_t *list = need(json_array());
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, limit_json(&limits[i]));
    }
    json_t *root = need(json_pack(
        "{s:i, s:i, s:o, s:o, s:I, s:i, s:s, s:o, s:o}", "version", 1, "max", (int)max,
        "steps", steps_json(trial), "taken", probes_json(probes), "forked_ms",
        (json_int_t)trial->forked_ms, "broke_at", (int)trial->broke_at, "why",
        trial->why, "limits", list, "first", limit_json(scaling_first(limits, count))));
    print_json(root);
    json_decref(root);
}

int cmd_scaling(struct cli *cli)
{
    struct scaling_trial trial;
    struct probes probes;
    struct scaling_limit limits[LIMITS_MAX];
    uint64_t max = cli->count > 0 ? cli->count : DEFAULT_MAX;
    if (cli->words_count > 0) {
        return complain(CODE_USAGE, "scaling takes no \"%s\"", cli->words[0]);
    }
    if (max > LARGEST_MAX) {
        return complain(CODE_USAGE, "--max is %llu: 1 to %d", (unsigned long long)max,
                        LARGEST_MAX);
    }
    talk("starting up to %llu workers, for a moment each", (unsigned long long)max);
    talk("then taking up to %d descriptors, %d connections, %d ports, %d clients and "
         "%d MiB,\n"
         "for %d s at most each; all is given back",
         PROBE_DESCRIPTORS, PROBE_CONNECTIONS, PROBE_PORTS, PROBE_CLIENTS,
         PROBE_MEMORY_MIB, PROBE_TIME_MS / 1000);
    int code = scaling_try(cli, (unsigned)max, &trial);
    if (code == CODE_OK) {
        code = probe_all(cli, &probes);
    }
    if (code != CODE_OK) {
        return code;
    }
    size_t count = scaling_limits(&trial.steps[trial.count - 1].cost, limits);
    if (wants_json(cli)) {
        print_as_json(&trial, &probes, limits, count, (unsigned)max);
    } else {
        print_steps(&trial);
        print_probes(&probes, cli->output == OUTPUT_WIDE);
        print_limits(limits, count, cli->output == OUTPUT_WIDE);
        print_verdict(&trial, scaling_first(limits, count), (unsigned)max);
    }
    return trial.broke_at > 0 ? CODE_FINDING : CODE_OK;
}
