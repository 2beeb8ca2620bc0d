/* SPDX-License-Identifier: MIT */
/*
 * The table of reports, and what is the same for all of them: the name is known, and the
 * options are an object with keys that the report has, before it is made.
 */
#include "telemetry/report.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/near.h"
#include "wire/json.h"

struct report {
    const char *name;
    report_fn make;
    const char *options; /* their keys */
};

static const struct report reports[] = {
    {"events", sp__report_events, "kinds pool cursor since_unix_ms max"},
    {"hardware", sp__report_hardware, "select refresh"},
    {"inspect", sp__report_inspect, "pool"},
    {"logs", sp__report_logs, "cursor max pool worker level event"},
    {"metrics", sp__report_metrics, "format"},
    {"stack", sp__report_stack, "worker"},
    {"status", sp__report_status, ""},
    {"timeline", sp__report_timeline, "calls"},
};

enum { REPORTS = sizeof reports / sizeof reports[0] };

static const struct report *find(const char *name, sp_error *err)
{
    struct near near;
    char text[128];
    sp__near_init(&near, name);
    for (size_t i = 0; i < REPORTS; i++) {
        if (strcmp(reports[i].name, name) == 0) {
            return &reports[i];
        }
        sp__near_offer(&near, reports[i].name);
    }
    sp__fail(err, SP_ERR_NOT_FOUND, "there is no report \"%.64s\"%s", name,
             sp__near_text(&near, text, sizeof text));
    return NULL;
}

static int check_options(sp_bytes options, sp_error *err)
{
    const char *text = options.data;
    int rc = sp__json_read(text, options.size, SP__JSON_DEPTH_MAX, NULL, NULL, err);
    if (rc < 0) {
        return rc;
    }
    size_t at = strspn(text, " \t\r\n");
    return text[at] == '{' ? SP_OK
                           : sp__fail(err, SP_ERR_INVAL,
                                      "the options of a report are a JSON object, not "
                                      "%.16s",
                                      text + at);
}

int sp__report(sp_pit *pit, const char *name, sp_bytes options, struct sp_buffer *out,
               sp_error *err)
{
    struct report_question question = {.pit = pit};
    const struct report *report = find(name, err);
    if (report == NULL) {
        return SP_ERR_NOT_FOUND;
    }
    options = options.size == 0 ? sp_text("{}") : options;
    int rc = check_options(options, err);
    if (rc == SP_OK) {
        rc = sp__report_options_read(name, report->options, options, &question.options,
                                     err);
    }
    if (rc == SP_OK) {
        rc = report->make(&question, out, err);
        sp__report_options_free(question.options);
    }
    return rc;
}

int sp__report_workers(sp_pit *pit, const char *pool, sp_worker_info **ret_workers,
                       int *ret_count, sp_error *err)
{
    *ret_workers = NULL;
    *ret_count = 0;
    int max = sp_pool_workers_get(pit, pool, NULL, 0, err);
    if (max <= 0) {
        return max;
    }
    sp_worker_info *workers = sp__calloc((size_t)max, sizeof *workers);
    if (workers == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %d workers", max);
    }
    int count = sp_pool_workers_get(pit, pool, workers, (size_t)max, err);
    if (count < 0) {
        sp__free(workers);
        return count;
    }
    *ret_workers = workers;
    *ret_count = count < max ? count : max; /* some may have come in between */
    return SP_OK;
}
