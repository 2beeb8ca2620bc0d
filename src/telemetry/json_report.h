/* SPDX-License-Identifier: MIT */
/* Reports that are JSON, built with jansson. Not beside wire/json.h, which has some of
 * its names. */
#ifndef SP_TELEMETRY_JSON_REPORT_H
#define SP_TELEMETRY_JSON_REPORT_H

#include <jansson.h>

#include "telemetry/report.h"

/* Append a value as JSON, and release it. NULL: there was no memory for it. */
int sp__report_put_json(struct sp_buffer *out, json_t *value,
                        sp_error *err) SP_MUST_CHECK;

/* The options of a question; NULL without memory. The caller releases it. */
json_t *sp__report_options(const struct report_question *question);

/* A number or a text among them, which stays theirs; what is not given, or null, is left
 * as it is. INVAL: it is something else. */
int sp__report_take_number(json_t *options, const char *key, uint64_t most,
                           uint64_t *ret, int *ret_given, sp_error *err) SP_MUST_CHECK;
int sp__report_take_text(json_t *options, const char *key, const char **ret,
                         sp_error *err) SP_MUST_CHECK;

/* Set a text that may hold a worker's bytes: what is no UTF-8 is left out. */
void sp__report_set_words(json_t *object, const char *key, const char *text);

#endif
