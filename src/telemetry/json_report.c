/* SPDX-License-Identifier: MIT */
/* Between jansson's values and the bytes of a report. */
#include "telemetry/json_report.h"

#include "base/error.h"

static int append(const char *data, size_t size, void *out)
{
    return sp__buf_append(out, data, size, NULL) < 0 ? -1 : 0;
}

int sp__report_put_json(struct sp_buffer *out, json_t *value, sp_error *err)
{
    int failed =
        value == NULL || json_dump_callback(value, append, out, JSON_COMPACT) < 0;
    json_decref(value);
    return failed ? sp__fail(err, SP_ERR_NOMEM, "no memory for a report") : SP_OK;
}

json_t *sp__report_options(const struct report_question *question)
{
    return json_loadb(question->options.data, question->options.size, 0, NULL);
}

void sp__report_set_words(json_t *object, const char *key, const char *text)
{
    json_t *words = json_string(text);
    if (words != NULL) {
        (void)json_object_set_new(object, key, words);
    }
}
