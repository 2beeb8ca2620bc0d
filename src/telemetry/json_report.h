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

/* The options of a question on their way to what is wished. What is not given, or null, is
 * left as it is; the first that is wrong stays in rc and err, with its key and what it may
 * be. */
struct report_wishes {
    json_t *options;
    sp_error *err;
    int rc;
};

static inline struct report_wishes sp__report_wishes(
    const struct report_question *question, sp_error *err)
{
    return (struct report_wishes){.options = question->options, .err = err};
}

/* Each returns whether it was given. A text stays the options'. */
int sp__report_wish_number(struct report_wishes *wishes, const char *key,
                           uint64_t least, uint64_t most, uint64_t *ret);
int sp__report_wish_text(struct report_wishes *wishes, const char *key,
                         const char **ret);
int sp__report_wish_flag(struct report_wishes *wishes, const char *key, int *ret);

/* Whole numbers are integers. */
json_t *sp__report_number(double value);

/* Append a value to a list. NULL, here or there, makes the list NULL, so that a report for
 * which there was no memory is none, and not a shorter one. */
void sp__report_add(json_t **list, json_t *value);

/* Set a text that may hold a worker's bytes: what is no UTF-8 is left out. */
void sp__report_set_words(json_t *object, const char *key, const char *text);

#endif
