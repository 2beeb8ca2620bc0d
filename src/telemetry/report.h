/* SPDX-License-Identifier: MIT */
/*
 * Reports: what a pit says of itself, each under a name, for programs and for those who
 * look after a daemon. report.c has the table; each report is a file of its own.
 */
#ifndef SP_TELEMETRY_REPORT_H
#define SP_TELEMETRY_REPORT_H

#include "base/buf.h"
#include "snakepit/snakepit.h"

struct json_t; /* jansson's: json_report.h reads it */

struct report_question {
    sp_pit *pit;
    struct json_t *options; /* an object with no other keys than the report has */
};

/* Append the report to `out`. Any thread but a loop: it may ask the loops and wait.
 * What is wrong with the options is SP_ERR_INVAL, with the key, the value and what it may
 * be. */
typedef int (*report_fn)(const struct report_question *question, struct sp_buffer *out,
                         sp_error *err);

int sp__report_hardware(const struct report_question *question, struct sp_buffer *out,
                        sp_error *err);
int sp__report_logs(const struct report_question *question, struct sp_buffer *out,
                    sp_error *err);
int sp__report_inspect(const struct report_question *question, struct sp_buffer *out,
                       sp_error *err);
int sp__report_stack(const struct report_question *question, struct sp_buffer *out,
                     sp_error *err);
int sp__report_events(const struct report_question *question, struct sp_buffer *out,
                      sp_error *err);
int sp__report_status(const struct report_question *question, struct sp_buffer *out,
                      sp_error *err);
int sp__report_metrics(const struct report_question *question, struct sp_buffer *out,
                       sp_error *err);
int sp__report_timeline(const struct report_question *question, struct sp_buffer *out,
                        sp_error *err);

/* The workers of a pool as they are now, from sp__malloc(); NULL where there are none. */
int sp__report_workers(sp_pit *pit, const char *pool, sp_worker_info **ret_workers,
                       int *ret_count, sp_error *err) SP_MUST_CHECK;

/* What is the same for all of them, in json_report.c: the options as an object, without
 * keys that are not among `known`, words with blanks between. The caller frees it. */
int sp__report_options_read(const char *report, const char *known, sp_bytes text,
                            struct json_t **ret_options, sp_error *err) SP_MUST_CHECK;
void sp__report_options_free(struct json_t *options);

/* The report of a name. options  a JSON object, or none: size 0. Errors: those of
 * sp_pit_report(). */
int sp__report(sp_pit *pit, const char *name, sp_bytes options, struct sp_buffer *out,
               sp_error *err) SP_MUST_CHECK;

#endif
