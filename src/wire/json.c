/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON: json_read.h for any handler, and what is said of an error.
 *
 * An error is found where the text first cannot go on, and is told as line and column
 * of that place; nothing is counted before that.
 */
#include "wire/json_read.h"

#include "base/error.h"

int sp__json_report(const struct json_reading *r, unsigned depth_max, sp_error *err)
{
    unsigned long line = 1;
    unsigned long column = 1;
    for (const uint8_t *p = r->start; p < r->at; p++) {
        if (*p == '\n') {
            line++;
            column = 1;
        } else if (!sp__utf8_continues(*p)) {
            column++;
        }
    }
    int c = r->at < r->end ? *r->at : -1;
    switch (r->bad) {
    case JSON_BAD_DEPTH:
        return sp__fail(err, SP_ERR_TOO_DEEP,
                        "line %lu, column %lu: nested deeper than %u", line, column,
                        depth_max);
    case JSON_BAD_UTF8:
        return sp__fail(err, SP_ERR_BAD_JSON,
                        "line %lu, column %lu: byte 0x%02x is not valid UTF-8", line,
                        column, (unsigned)c);
    case JSON_BAD_ESCAPE:
        return sp__fail(err, SP_ERR_BAD_JSON,
                        "line %lu, column %lu: unknown escape in a string", line,
                        column);
    case JSON_BAD_CONTROL:
        return sp__fail(err, SP_ERR_BAD_JSON,
                        "line %lu, column %lu: control character 0x%02x in a string "
                        "must be escaped",
                        line, column, (unsigned)c);
    case JSON_BAD_SYNTAX:
        break;
    }
    if (c < 0) {
        return sp__fail(err, SP_ERR_BAD_JSON,
                        "line %lu, column %lu: expected %s, found the end", line,
                        column, r->expected);
    }
    if (c < 0x20 || c > 0x7e) {
        return sp__fail(err, SP_ERR_BAD_JSON,
                        "line %lu, column %lu: expected %s, found byte 0x%02x", line,
                        column, r->expected, (unsigned)c);
    }
    return sp__fail(err, SP_ERR_BAD_JSON,
                    "line %lu, column %lu: expected %s, found '%c'", line, column,
                    r->expected, c);
}

/* Without a handler nothing is told. */
static __attribute__((noinline)) int check(const char *text, size_t n,
                                           unsigned depth_max, sp_error *err)
{
    return sp__json_read_with(text, n, depth_max, NULL, NULL, err);
}

int sp__json_read(const char *text, size_t n, unsigned depth_max,
                  const struct json_handler *handler, void *user, sp_error *err)
{
    if (depth_max > SP__JSON_DEPTH_CAP) {
        depth_max = SP__JSON_DEPTH_CAP;
    }
    return handler == NULL ? check(text, n, depth_max, err)
                           : sp__json_read_with(text, n, depth_max, handler, user, err);
}

const char *sp__json_skip(const char *at, const char *end, unsigned depth_max)
{
    struct json_reading r = {.start = (const uint8_t *)at, .end = (const uint8_t *)end};
    return (const char *)sp__json_value(&r, r.start, depth_max, NULL, NULL);
}
