/* SPDX-License-Identifier: MIT */
/* What `snakepit top` asks a daemon. */
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
