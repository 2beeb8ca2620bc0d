/* SPDX-License-Identifier: MIT */
/*
 * metrics: the figures of the daemon that runs or, without one, of a pit that is started to
 * be looked at, in a format that machines scrape, or as a table.
 */
#include <string.h>

#include "fields.h"
#include "steps.h"
#include "view.h"

/* "pool=default tool=ping". */
static void labels_cell(struct table *table, const json_t *sample)
{
    struct text text = {0};
    const char *name;
    json_t *value;
    json_object_foreach (json_object_get(sample, "labels"), name, value) {
        text_printf(&text, "%s%s=%s", text.size > 0 ? " " : "", name,
                    json_string_value(value));
    }
    table_cell(table, "%s", text_c(&text));
    text_free(&text);
}

static void value_cell(struct table *table, const json_t *sample)
{
    const json_t *count = json_object_get(sample, "count");
    if (count == NULL) {
        table_cell(table, "%.15g", field_real(sample, "value"));
    } else if (json_integer_value(count) == 0) {
        table_cell(table, "0");
    } else {
        struct steps steps = {0};
        steps_add(&steps, sample, 1);
        table_cell(table, "%lld, p50 %.3g s, p99 %.3g s",
                   (long long)json_integer_value(count), steps_quantile(&steps, 500),
                   steps_quantile(&steps, 990));
    }
}

static void print_metrics(const json_t *metrics)
{
    static const char *const headings[] = {"METRIC", "VALUE", "LABELS", NULL};
    struct table *table = table_new(headings);
    for (size_t i = 0; i < json_array_size(metrics); i++) {
        const json_t *metric = json_array_get(metrics, i);
        const json_t *samples = json_object_get(metric, "samples");
        for (size_t k = 0; k < json_array_size(samples); k++) {
            const json_t *sample = json_array_get(samples, k);
            table_cell(table, "%s", field_words(metric, "name"));
            value_cell(table, sample);
            labels_cell(table, sample);
        }
    }
    table_print(table, "");
    table_free(table);
}

/* A format of the report as it is. */
static int show_text(struct view *view, const char *format)
{
    struct text text = {0};
    int code =
        view_text(view, "metrics", need(json_pack("{s:s}", "format", format)), &text);
    if (code == CODE_OK && fwrite(text.data, 1, text.size, stdout) < text.size) {
        code = CODE_PIPE;
    }
    text_free(&text);
    return code;
}

static int show_table(const struct cli *cli, struct view *view)
{
    int code;
    json_t *report =
        view_report(view, "metrics", need(json_pack("{s:s}", "format", "json")), &code);
    if (report == NULL) {
        return code;
    }
    if (wants_json(cli)) {
        print_json(report);
    } else {
        print_metrics(json_object_get(report, "metrics"));
    }
    json_decref(report);
    return CODE_OK;
}

static int show(const struct cli *cli, struct view *view)
{
    switch (cli->output) {
    case OUTPUT_UNSET:
    case OUTPUT_TEXT:
    case OUTPUT_PROMETHEUS:
        return show_text(view, "prometheus");
    case OUTPUT_OPENMETRICS:
        return show_text(view, "openmetrics");
    case OUTPUT_TABLE:
    case OUTPUT_WIDE:
    case OUTPUT_JSON:
    case OUTPUT_JSONL:
        break;
    }
    return show_table(cli, view);
}

int cmd_metrics(struct cli *cli)
{
    if (cli->words_count > 0) {
        return complain(CODE_USAGE, "metrics takes no \"%s\"", cli->words[0]);
    }
    return view_do(cli, show);
}
