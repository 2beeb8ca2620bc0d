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

int sp__report_take_number(json_t *options, const char *key, uint64_t most,
                           uint64_t *ret, int *ret_given, sp_error *err)
{
    const json_t *value = json_object_get(options, key);
    *ret_given = value != NULL && !json_is_null(value);
    if (!*ret_given) {
        return SP_OK;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > most) {
        return sp__fail(err, SP_ERR_INVAL, "\"%s\" is a number from 0 to %llu", key,
                        (unsigned long long)most);
    }
    *ret = (uint64_t)json_integer_value(value);
    return SP_OK;
}

int sp__report_take_text(json_t *options, const char *key, const char **ret,
                         sp_error *err)
{
    const json_t *value = json_object_get(options, key);
    if (value == NULL || json_is_null(value)) {
        return SP_OK;
    }
    *ret = json_string_value(value);
    return *ret != NULL ? SP_OK : sp__fail(err, SP_ERR_INVAL, "\"%s\" is a text", key);
}
