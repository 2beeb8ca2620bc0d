/* SPDX-License-Identifier: MIT */
/*
 * The JSON reader: one pass, no recursion, no allocation.
 *
 * What is open is one bit for each level, so depth costs nothing and is limited by the
 * caller. Text inside strings is looked at eight bytes at a time until something needs
 * a closer look: the end, an escape, a control character, a byte that is not ASCII.
 *
 * An error is found where the text first cannot go on, and is told as line and column
 * of that place; nothing is counted before that.
 */
#include "wire/json.h"

#include "base/error.h"
#include "base/utf8.h"
#include "wire/json_bytes.h"

/* ---- reading ---- */

enum { BAD_SYNTAX = 1, BAD_UTF8, BAD_ESCAPE, BAD_CONTROL, BAD_DEPTH };

/* Where the reading is, and why it stopped. */
struct reading {
    const uint8_t *start;
    const uint8_t *end;
    const uint8_t *at;
    int bad;
    const char *expected; /* for BAD_SYNTAX */
    const struct json_handler *handler;
    void *user;
};

static int fail_at(struct reading *r, const uint8_t *at, int bad, const char *expected)
{
    r->at = at;
    r->bad = bad;
    r->expected = expected;
    return SP_ERR_BAD_JSON;
}

/* r->at stands behind the opening quote; afterwards behind the closing one. */
static inline int read_string(struct reading *r, const char **raw, size_t *n,
                              int *escaped)
{
    const uint8_t *p = r->at;
    const uint8_t *end = r->end;
    *raw = (const char *)p;
    *escaped = 0;
    for (;;) {
        p = sp__json_skip_plain(p, end);
        if (p == end) {
            return fail_at(r, p, BAD_SYNTAX, "'\"'");
        }
        if (*p == '"') {
            *n = (size_t)(p - (const uint8_t *)*raw);
            r->at = p + 1;
            return 0;
        }
        if (*p >= 0x80) {
            size_t size = sp__utf8_size(p, (size_t)(end - p));
            if (size == 0) {
                return fail_at(r, p, BAD_UTF8, NULL);
            }
            p += size;
        } else if (*p == '\\') {
            *escaped = 1;
            uint8_t c = end - p > 1 ? p[1] : 0;
            if (c == 'u') {
                for (int i = 2; i < 6; i++) {
                    if (end - p <= i || sp__json_hex(p[i]) < 0) {
                        return fail_at(r, p, BAD_ESCAPE, NULL);
                    }
                }
                p += 6;
            } else if (c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' ||
                       c == 'n' || c == 'r' || c == 't') {
                p += 2;
            } else {
                return fail_at(r, p, BAD_ESCAPE, NULL);
            }
        } else {
            return fail_at(r, p, BAD_CONTROL, NULL);
        }
    }
}

static inline int is_digit(const uint8_t *p, const uint8_t *end)
{
    return p < end && *p >= '0' && *p <= '9';
}

static inline int is_word(const uint8_t *p, const uint8_t *end, const char *word,
                          size_t n)
{
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0;
}
#define IS_WORD(p, end, word) is_word(p, end, word, sizeof word - 1)

static inline int read_number(struct reading *r, enum json_number *kind)
{
    const uint8_t *p = r->at;
    const uint8_t *end = r->end;
    *kind = JSON_INTEGER;
    if (*p == '-') {
        p++;
        if (IS_WORD(p, end, "Infinity")) {
            *kind = JSON_NEG_INF;
            r->at = p + 8;
            return 0;
        }
    }
    if (!is_digit(p, end)) {
        return fail_at(r, p, BAD_SYNTAX, "a digit");
    }
    if (*p == '0') {
        p++;
    } else {
        while (is_digit(p, end)) {
            p++;
        }
    }
    if (p < end && *p == '.') {
        *kind = JSON_REAL;
        p++;
        if (!is_digit(p, end)) {
            return fail_at(r, p, BAD_SYNTAX, "a digit");
        }
        while (is_digit(p, end)) {
            p++;
        }
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        *kind = JSON_REAL;
        p++;
        if (p < end && (*p == '+' || *p == '-')) {
            p++;
        }
        if (!is_digit(p, end)) {
            return fail_at(r, p, BAD_SYNTAX, "a digit");
        }
        while (is_digit(p, end)) {
            p++;
        }
    }
    r->at = p;
    return 0;
}

/* Call a handler's function, when there is one; stop when it says so. */
#define TELL(r, function, ...)                              \
    do {                                                    \
        if (tells && (r)->handler->function != NULL) {      \
            int stop = (r)->handler->function(__VA_ARGS__); \
            if (stop != 0) {                                \
                return stop;                                \
            }                                               \
        }                                                   \
    } while (0)

/* A value that is not an object or array; r->at stands on its first character. */
static inline int read_scalar(struct reading *r, const int tells)
{
    const uint8_t *first = r->at;
    int rc;
    switch (*first) {
    case '"': {
        const char *raw;
        size_t n;
        int escaped;
        r->at = first + 1;
        rc = read_string(r, &raw, &n, &escaped);
        if (rc != 0) {
            return rc;
        }
        TELL(r, string, r->user, raw, n, escaped);
        return 0;
    }
    case 't':
        if (IS_WORD(first, r->end, "true")) {
            r->at += 4;
            TELL(r, literal, r->user, 1);
            return 0;
        }
        break;
    case 'f':
        if (IS_WORD(first, r->end, "false")) {
            r->at += 5;
            TELL(r, literal, r->user, 0);
            return 0;
        }
        break;
    case 'n':
        if (IS_WORD(first, r->end, "null")) {
            r->at += 4;
            TELL(r, literal, r->user, -1);
            return 0;
        }
        break;
    case 'N':
        if (IS_WORD(first, r->end, "NaN")) {
            r->at += 3;
            TELL(r, number, r->user, (const char *)first, 3, JSON_NAN);
            return 0;
        }
        break;
    case 'I':
        if (IS_WORD(first, r->end, "Infinity")) {
            r->at += 8;
            TELL(r, number, r->user, (const char *)first, 8, JSON_INF);
            return 0;
        }
        break;
    default:
        if (*first == '-' || (*first >= '0' && *first <= '9')) {
            enum json_number kind;
            rc = read_number(r, &kind);
            if (rc != 0) {
                return rc;
            }
            TELL(r, number, r->user, (const char *)first, (size_t)(r->at - first),
                 kind);
            return 0;
        }
        break;
    }
    return fail_at(r, first, BAD_SYNTAX, "a value");
}

/* A key and its colon; r->at stands where the key should begin. */
static inline int read_key(struct reading *r, const char *expected, const int tells)
{
    const char *raw;
    size_t n;
    int escaped;
    const uint8_t *p = sp__json_skip_space(r->at, r->end);
    if (p == r->end || *p != '"') {
        return fail_at(r, p, BAD_SYNTAX, expected);
    }
    r->at = p + 1;
    int rc = read_string(r, &raw, &n, &escaped);
    if (rc != 0) {
        return rc;
    }
    TELL(r, key, r->user, raw, n, escaped);
    p = sp__json_skip_space(r->at, r->end);
    if (p == r->end || *p != ':') {
        return fail_at(r, p, BAD_SYNTAX, "':'");
    }
    r->at = p + 1;
    return 0;
}

/* The whole reader. Made twice by the compiler: `tells` is a constant. */
static inline __attribute__((always_inline)) int read_all(struct reading *r,
                                                          unsigned depth_max,
                                                          const int tells)
{
    uint64_t objects[SP__JSON_DEPTH_CAP / 64]; /* a bit for each level: 1 an object */
    unsigned depth = 0;
    int rc;

value:
    r->at = sp__json_skip_space(r->at, r->end);
    if (r->at == r->end) {
        return fail_at(r, r->at, BAD_SYNTAX, "a value");
    }
    if (*r->at == '{' || *r->at == '[') {
        uint64_t bit = UINT64_C(1) << (depth % 64);
        if (depth == depth_max) {
            return fail_at(r, r->at, BAD_DEPTH, NULL);
        }
        if (*r->at++ == '{') {
            objects[depth++ / 64] |= bit;
            TELL(r, object_begin, r->user);
            r->at = sp__json_skip_space(r->at, r->end);
            if (r->at < r->end && *r->at == '}') {
                goto close;
            }
            rc = read_key(r, "a key or '}'", tells);
            if (rc != 0) {
                return rc;
            }
        } else {
            objects[depth++ / 64] &= ~bit;
            TELL(r, array_begin, r->user);
            r->at = sp__json_skip_space(r->at, r->end);
            if (r->at < r->end && *r->at == ']') {
                goto close;
            }
        }
        goto value;
    }
    rc = read_scalar(r, tells);
    if (rc != 0) {
        return rc;
    }

after:
    r->at = sp__json_skip_space(r->at, r->end);
    if (depth == 0) {
        return r->at == r->end ? 0 : fail_at(r, r->at, BAD_SYNTAX, "the end");
    }
    int in_object = (objects[(depth - 1) / 64] >> ((depth - 1) % 64) & 1) != 0;
    uint8_t c = r->at < r->end ? *r->at : 0;
    if (c == ',') {
        r->at++;
        if (in_object) {
            rc = read_key(r, "a key", tells);
            if (rc != 0) {
                return rc;
            }
        }
        goto value;
    }
    if (c != (in_object ? '}' : ']')) {
        return fail_at(r, r->at, BAD_SYNTAX, in_object ? "',' or '}'" : "',' or ']'");
    }

close:
    depth--;
    if (*r->at++ == '}') {
        TELL(r, object_end, r->user);
    } else {
        TELL(r, array_end, r->user);
    }
    goto after;
}

static __attribute__((noinline)) int check(struct reading *r, unsigned depth_max)
{
    return read_all(r, depth_max, 0);
}

static __attribute__((noinline)) int tell(struct reading *r, unsigned depth_max)
{
    return read_all(r, depth_max, 1);
}

/* ---- errors ---- */

static int report(const struct reading *r, unsigned depth_max, sp_error *err)
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
    case BAD_DEPTH:
        return sp__fail(err, SP_ERR_TOO_DEEP,
                        "line %lu, column %lu: nested deeper than %u", line, column,
                        depth_max);
    case BAD_UTF8:
        return sp__fail(err, SP_ERR_BAD_JSON,
                        "line %lu, column %lu: byte 0x%02x is not valid UTF-8", line,
                        column, (unsigned)c);
    case BAD_ESCAPE:
        return sp__fail(err, SP_ERR_BAD_JSON,
                        "line %lu, column %lu: unknown escape in a string", line,
                        column);
    case BAD_CONTROL:
        return sp__fail(err, SP_ERR_BAD_JSON,
                        "line %lu, column %lu: control character 0x%02x in a string "
                        "must be escaped",
                        line, column, (unsigned)c);
    default:
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

int sp__json_read(const char *text, size_t n, unsigned depth_max,
                  const struct json_handler *handler, void *user, sp_error *err)
{
    const uint8_t *start = sp__json_start(text, n);
    struct reading r = {.start = start,
                        .end = start + n,
                        .at = start,
                        .handler = handler,
                        .user = user};
    if (depth_max > SP__JSON_DEPTH_CAP) {
        depth_max = SP__JSON_DEPTH_CAP;
    }
    int rc = handler == NULL ? check(&r, depth_max) : tell(&r, depth_max);
    return r.bad != 0 ? report(&r, depth_max, err) : rc;
}
