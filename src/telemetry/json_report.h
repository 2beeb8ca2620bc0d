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

/* Set a text that may hold a worker's bytes: what is no UTF-8 is left out. */
void sp__report_set_words(json_t *object, const char *key, const char *text);

#endif
