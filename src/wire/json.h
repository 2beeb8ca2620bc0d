/* SPDX-License-Identifier: MIT */
/*
 * A strict JSON reader that builds nothing: it checks (RFC 8259, UTF-8 validated) and
 * tells a handler what it meets. The host checks and splits arguments with it, the
 * Python bridge builds objects with it.
 *
 * Beyond the RFC it takes the numbers NaN, Infinity and -Infinity, because Python and
 * NumPy have them and the wire's peers write them.
 */
#ifndef SP_WIRE_JSON_H
#define SP_WIRE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "snakepit/error.h"

enum {
    SP__JSON_DEPTH_MAX = 512, /* arguments and results: nesting allowed */
    SP__JSON_DEPTH_CAP = 4096 /* no reading goes deeper, whoever asks */
};

enum json_number { JSON_INTEGER, JSON_REAL, JSON_NAN, JSON_INF, JSON_NEG_INF };

/*
 * Each function may be NULL, and stops the reading by returning non-zero, which
 * sp__json_read() then returns. Text is borrowed.
 *
 * string, key   `raw` is what stands between the quotes. `escaped` says whether it has
 *               backslashes; if so sp__json_unescape() gives the text.
 * number        its text, for JSON_INTEGER and JSON_REAL
 */
struct json_handler {
    int (*object_begin)(void *user);
    int (*object_end)(void *user);
    int (*array_begin)(void *user);
    int (*array_end)(void *user);
    int (*key)(void *user, const char *raw, size_t n, int escaped);
    int (*string)(void *user, const char *raw, size_t n, int escaped);
    int (*number)(void *user, const char *text, size_t n, enum json_number kind);
    int (*literal)(void *user, int value); /* 0 false, 1 true, -1 null */
};

/*
 * Read one value that fills `text` (white space around it is fine).
 *
 * depth_max  clamped to SP__JSON_DEPTH_CAP
 * handler    NULL only checks
 * Errors: SP_ERR_BAD_JSON ("line 1, column 7: expected ',' or '}', found 'x'", also for
 * invalid UTF-8), SP_ERR_TOO_DEEP; or what the handler returned.
 */
int sp__json_read(const char *text, size_t n, unsigned depth_max,
                  const struct json_handler *handler, void *user, sp_error *err);

/* Behind the value that begins at `at`, white space before it skipped, checked as
 * sp__json_read() does; NULL when there is none, or it is nested deeper than depth_max, at
 * most SP__JSON_DEPTH_CAP. What follows it is not looked at. */
const char *sp__json_skip(const char *at, const char *end, unsigned depth_max);

/* Undo escapes: writes at most n bytes to `out` (which may not overlap) and returns how
 * many. Lone surrogates become WTF-8 (ED A0..BF xx), as Python's surrogatepass has it. */
size_t sp__json_unescape(const char *raw, size_t n, char *out);

/* 1 when the text is valid UTF-8. */
int sp__json_is_utf8(const char *text, size_t n);

/* Walk the members of an object that sp__json_read() has accepted: 1 with the raw key
 * and the raw value, 0 at the end. Begin with *pos = 0. */
struct json_member {
    const char *key; /* raw, between the quotes */
    size_t key_size;
    int key_escaped;
    const char *value; /* raw JSON */
    size_t value_size;
};
int sp__json_next_member(const char *object, size_t n, size_t *pos,
                         struct json_member *ret);

/* The same for the elements of an array. */
struct json_element {
    const char *value; /* raw JSON */
    size_t value_size;
};
int sp__json_next_element(const char *array, size_t n, size_t *pos,
                          struct json_element *ret);

/* '{', '[', '"', '0' (a number), 't', 'f', 'n' or 0: the first character's kind. */
char sp__json_kind(const char *text, size_t n);
/* What the wire calls a value: "map", "list", "string", "boolean", "null", "integer", or
 * "float": with a fraction, an exponent, or none of the numbers JSON has. Constant. */
const char *sp__json_type(const char *text, size_t n);

struct sp_buffer;

/* Append text as a JSON string, quotes included. Invalid UTF-8 becomes U+FFFD. */
int sp__json_put_string(struct sp_buffer *out, const char *text, size_t n,
                        sp_error *err) SP_MUST_CHECK;

#endif
