/* SPDX-License-Identifier: MIT */
/* Between jansson's values and the bytes of a report, and of a report's options. */
#include "telemetry/json_report.h"

#include <string.h>

#include "base/error.h"
#include "base/real.h"

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

json_t *sp__report_number(double value)
{
    return sp__real_is_whole(value) ? json_integer((json_int_t)value)
                                    : json_real(value);
}

void sp__report_add(json_t **list, json_t *value)
{
    if (json_array_append_new(*list, value) < 0) {
        json_decref(*list);
        *list = NULL;
    }
}

void sp__report_set_words(json_t *object, const char *key, const char *text)
{
    json_t *words = json_string(text);
    if (words != NULL) {
        (void)json_object_set_new(object, key, words);
    }
}

/* ---- options ---- */

static int is_among(const char *known, const char *key)
{
    size_t size = strlen(key);
    for (const char *at = known; *at != '\0'; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        if (length == size && memcmp(at, key, size) == 0) {
            return 1;
        }
        at += length;
    }
    return 0;
}

static int check_keys(const char *report, const char *known, json_t *options,
                      sp_error *err)
{
    const char *key;
    const json_t *value;
    json_object_foreach (options, key, value) {
        if (!is_among(known, key)) {
            return sp__fail(err, SP_ERR_INVAL,
                            "the report \"%s\" has no option \"%.64s\", but: %s",
                            report, key, known[0] != '\0' ? known : "none");
        }
    }
    return SP_OK;
}

int sp__report_options_read(const char *report, const char *known, sp_bytes text,
                            json_t **ret_options, sp_error *err)
{
    json_error_t why;
    json_t *options = json_loadb(text.data, text.size, 0, &why);
    if (options == NULL) {
        return json_error_code(&why) == json_error_out_of_memory
                   ? sp__fail(err, SP_ERR_NOMEM,
                              "no memory for the options of a report")
                   : sp__fail(err, SP_ERR_BAD_JSON, "the options of a report: %s",
                              why.text);
    }
    int rc = check_keys(report, known, options, err);
    if (rc < 0) {
        json_decref(options);
        return rc;
    }
    *ret_options = options;
    return SP_OK;
}

void sp__report_options_free(json_t *options)
{
    json_decref(options);
}

/* NULL: it is not given, or one before it was wrong. */
static const json_t *given(const struct report_wishes *wishes, const char *key)
{
    const json_t *value = json_object_get(wishes->options, key);
    return wishes->rc < 0 || json_is_null(value) ? NULL : value;
}

int sp__report_wish_number(struct report_wishes *wishes, const char *key,
                           uint64_t least, uint64_t most, uint64_t *ret)
{
    const json_t *value = given(wishes, key);
    if (value == NULL) {
        return 0;
    }
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (uint64_t)number < least ||
        (uint64_t)number > most) {
        wishes->rc =
            sp__fail(wishes->err, SP_ERR_INVAL, "%s is a number from %llu to %llu", key,
                     (unsigned long long)least, (unsigned long long)most);
        return 0;
    }
    *ret = (uint64_t)number;
    return 1;
}

int sp__report_wish_text(struct report_wishes *wishes, const char *key,
                         const char **ret)
{
    const json_t *value = given(wishes, key);
    if (value == NULL) {
        return 0;
    }
    if (!json_is_string(value)) {
        wishes->rc = sp__fail(wishes->err, SP_ERR_INVAL, "%s is a text", key);
        return 0;
    }
    *ret = json_string_value(value);
    return 1;
}

int sp__report_wish_flag(struct report_wishes *wishes, const char *key, int *ret)
{
    const json_t *value = given(wishes, key);
    if (value == NULL) {
        return 0;
    }
    if (!json_is_boolean(value)) {
        wishes->rc = sp__fail(wishes->err, SP_ERR_INVAL, "%s is true or false", key);
        return 0;
    }
    *ret = json_is_true(value);
    return 1;
}
