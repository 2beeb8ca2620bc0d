/* SPDX-License-Identifier: MIT */
/* What `snakepit top` asks a daemon. */
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "top.h"

int top_sample_take(struct view *view, struct top_sample *ret, sp_error *err)
{
    *ret = (struct top_sample){0};
    int rc = view_ask(view, "status", NULL, &ret->status, err);
    if (rc == SP_OK) {
        rc = view_ask(view, "metrics", need(json_pack("{s:s}", "format", "json")),
                      &ret->metrics, err);
    }
    if (rc < 0) {
        top_sample_free(ret);
        return rc;
    }
    ret->at_s = (double)clock_ns() / 1e9;
    return SP_OK;
}

void top_sample_free(struct top_sample *sample)
{
    json_decref(sample->status);
    json_decref(sample->metrics);
    *sample = (struct top_sample){0};
}

int top_stack(struct view *view, const char *name, struct text *out, sp_error *err)
{
    json_t *report = NULL;
    int rc =
        view_ask(view, "stack", need(json_pack("{s:s}", "worker", name)), &report, err);
    if (rc == SP_OK) {
        const json_t *worker = json_array_get(json_object_get(report, "workers"), 0);
        const char *stack = field_words(worker, "stack");
        text_printf(out, "%s  pid %lld  %s  %s\n\n%s%s", name,
                    field_number(worker, "pid"), field_words(worker, "state"),
                    field_words(worker, "runtime"),
                    stack[0] != '\0' ? stack : "no stack: ",
                    stack[0] != '\0' ? "" : field_words(worker, "why_none"));
    }
    json_decref(report);
    return rc;
}

/* ---- the log of a worker ---- */

enum { LOG_REPORT = 1000, LOG_KEPT = 200 };

/* One report more: how many lines it had. */
static int read_log(struct view *view, json_t *wish, struct top_log *log, sp_error *err)
{
    json_t *report = NULL;
    int rc = view_ask(view, "logs", json_incref(wish), &report, err);
    if (rc < 0) {
        return rc;
    }
    json_t *lines = json_object_get(report, "lines");
    int count = (int)json_array_size(lines);
    (void)json_array_extend(log->lines, lines);
    while (json_array_size(log->lines) > LOG_KEPT) {
        (void)json_array_remove(log->lines, 0);
    }
    log->cursor = field_number(report, "cursor");
    (void)json_object_set_new(wish, "cursor", json_integer(log->cursor));
    json_decref(report);
    return count;
}

int top_log_take(struct view *view, const char *worker, struct top_log *log,
                 sp_error *err)
{
    const char *slash = strrchr(worker, '/');
    size_t length = slash != NULL ? (size_t)(slash - worker) : 0;
    json_t *wish = need(
        json_pack("{s:o, s:I, s:I, s:i}", "pool", need(json_stringn(worker, length)),
                  "worker", (json_int_t)strtol(worker + length + 1, NULL, 10), "cursor",
                  (json_int_t)log->cursor, "max", LOG_REPORT));
    log->lines = log->lines != NULL ? log->lines : need(json_array());
    int rc;
    do {
        rc = read_log(view, wish, log, err);
    } while (rc == LOG_REPORT);
    json_decref(wish);
    return rc < 0 ? rc : SP_OK;
}

void top_log_text(const struct top_log *log, size_t rows, struct text *out)
{
    size_t count = json_array_size(log->lines);
    out->size = 0;
    if (count == 0) {
        text_printf(out, "nothing is kept of it");
    }
    for (size_t i = count > rows ? count - rows : 0; i < count; i++) {
        const json_t *line = json_array_get(log->lines, i);
        text_printf(out, "%s %-5s ", field_words(line, "ts"),
                    field_words(line, "level"));
        log_line_put(out, line);
        text_printf(out, "\n");
    }
}

void top_log_free(struct top_log *log)
{
    json_decref(log->lines);
    *log = (struct top_log){0};
}
