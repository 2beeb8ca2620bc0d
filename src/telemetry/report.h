/* SPDX-License-Identifier: MIT */
/*
 * Reports: what a pit says of itself, each under a name, for programs and for those who
 * look after a daemon. report.c has the table; each report is a file of its own.
 */
#ifndef SP_TELEMETRY_REPORT_H
#define SP_TELEMETRY_REPORT_H

#include "base/buf.h"
#include "snakepit/snakepit.h"

struct report_question {
    sp_pit *pit;
    sp_bytes options; /* a JSON object that has been checked */
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

/* The report of a name. options  a JSON object, or none: size 0. Errors: those of
 * sp_pit_report(). */
int sp__report(sp_pit *pit, const char *name, sp_bytes options, struct sp_buffer *out,
               sp_error *err) SP_MUST_CHECK;

#endif
