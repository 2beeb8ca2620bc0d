/* SPDX-License-Identifier: MIT */
/*
 * JSON lists and objects in the form they are kept: without white space, texts and
 * numbers as they were. One pass of the reader; pure.
 */
#include "session/compact.h"

#include <string.h>

#include "base/error.h"
#include "session/checks.h"
#include "session/var_types.h"
#include "wire/json.h"

static int put(struct compact *compact, const char *text, size_t size)
{
    return compact->out == NULL
               ? SP_OK
               : sp__buf_append(compact->out, text, size, compact->err);
}

/* Behind anything but an opening bracket or a colon stands a comma. A string's last
 * character is its quote, so the last byte tells. */
static int separate(struct compact *compact)
{
    compact->elements += compact->depth == 1;
    if (compact->out == NULL || compact->depth == 0 || compact->out->size == 0) {
        return SP_OK;
    }
    char last = (char)compact->out->data[compact->out->size - 1];
    return last == '[' || last == '{' || last == ':' ? SP_OK : put(compact, ",", 1);
}

static int refuse(struct compact *compact, const char *text, size_t size)
{
    return sp__fail(compact->err, SP_ERR_BAD_VALUE,
                    "must be a list of numbers, element %zu is %s",
                    compact->numbers_count, sp__excerpt(text, size).text);
}

static int open_bracket(struct compact *compact, const char *bracket)
{
    int rc = separate(compact);
    compact->depth++;
    return rc < 0 ? rc : put(compact, bracket, 1);
}

static int on_object_begin(void *user)
{
    struct compact *compact = user;
    return compact->numbers ? refuse(compact, "a map", 5) : open_bracket(compact, "{");
}

static int on_array_begin(void *user)
{
    struct compact *compact = user;
    if (compact->flat && compact->depth == 1) {
        return refuse(compact, "a list", 6);
    }
    return open_bracket(compact, "[");
}

static int on_object_end(void *user)
{
    struct compact *compact = user;
    compact->depth--;
    return put(compact, "}", 1);
}

static int on_array_end(void *user)
{
    struct compact *compact = user;
    compact->depth--;
    return put(compact, "]", 1);
}

static int put_quoted(struct compact *compact, const char *raw, size_t n)
{
    int rc = put(compact, "\"", 1);
    if (rc == SP_OK) {
        rc = put(compact, raw, n);
    }
    return rc < 0 ? rc : put(compact, "\"", 1);
}

static int on_key(void *user, const char *raw, size_t n, int escaped)
{
    struct compact *compact = user;
    int rc = separate(compact);
    if (rc == SP_OK) {
        rc = put_quoted(compact, raw, n);
    }
    /* What follows the colon is no element of its own. */
    compact->elements -= compact->depth == 1;
    return rc < 0 ? rc : put(compact, ":", 1);
}

static int on_string(void *user, const char *raw, size_t n, int escaped)
{
    struct compact *compact = user;
    if (compact->numbers) {
        return refuse(compact, raw, n);
    }
    int rc = separate(compact);
    return rc < 0 ? rc : put_quoted(compact, raw, n);
}

static int on_number(void *user, const char *text, size_t n, enum json_number kind)
{
    struct compact *compact = user;
    static const char *const specials[] = {
        [JSON_NAN] = "NaN", [JSON_INF] = "Infinity", [JSON_NEG_INF] = "-Infinity"};
    var_number number;
    int rc = separate(compact);
    if (rc < 0) {
        return rc;
    }
    compact->numbers_count++;
    if (kind == JSON_INTEGER || kind == JSON_REAL) {
        if (n > VAR_NUMBER_MAX ||
            (compact->floats && sp__var_number(text, n, &number) < 0)) {
            return sp__fail(compact->err, SP_ERR_BAD_VALUE,
                            "element %zu is beyond the range of a float: %s",
                            compact->numbers_count - 1, sp__excerpt(text, n).text);
        }
        rc = put(compact, text, n);
        return rc == SP_OK && compact->floats && kind == JSON_INTEGER
                   ? put(compact, ".0", 2)
                   : rc;
    }
    return put(compact, specials[kind], strlen(specials[kind]));
}

static int on_literal(void *user, int value)
{
    struct compact *compact = user;
    const char *text = value == 1 ? "true" : value == 0 ? "false" : "null";
    if (compact->numbers) {
        return refuse(compact, text, strlen(text));
    }
    int rc = separate(compact);
    return rc < 0 ? rc : put(compact, text, strlen(text));
}

int sp__compact(struct compact *compact, const char *json, size_t size)
{
    static const struct json_handler handler = {.object_begin = on_object_begin,
                                                .object_end = on_object_end,
                                                .array_begin = on_array_begin,
                                                .array_end = on_array_end,
                                                .key = on_key,
                                                .string = on_string,
                                                .number = on_number,
                                                .literal = on_literal};
    return sp__json_read(json, size, STATE_DEPTH_MAX, &handler, compact, compact->err);
}
