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

/* What is read, and why the reading stopped. Where it is goes from function to function:
 * each gets where its part begins and returns where the part ends, or NULL. */
struct reading {
    const uint8_t *start;
    const uint8_t *end;
    const uint8_t *at;    /* where it could not go on */
    const char *expected; /* for BAD_SYNTAX */
    int bad;
    int stopped; /* what the handler stopped it with */
    const struct json_handler *handler;
    void *user;
};

static const uint8_t *fail_at(struct reading *r, const uint8_t *at, int bad,
                              const char *expected)
{
    r->at = at;
    r->bad = bad;
    r->expected = expected;
    return NULL;
}

/* What is not plain in a string: a character that is not ASCII, an escape. */
static const uint8_t *read_special(struct reading *r, const uint8_t *p)
{
    const uint8_t *end = r->end;
    if (*p >= 0x80) {
        size_t size = sp__utf8_size(p, (size_t)(end - p));
        return size == 0 ? fail_at(r, p, BAD_UTF8, NULL) : p + size;
    }
    if (*p != '\\') {
        return fail_at(r, p, BAD_CONTROL, NULL);
    }
    uint8_t c = end - p > 1 ? p[1] : 0;
    if (c == 'u') {
        for (int i = 2; i < 6; i++) {
            if (end - p <= i || sp__json_hex(p[i]) < 0) {
                return fail_at(r, p, BAD_ESCAPE, NULL);
            }
        }
        return p + 6;
    }
    int is_known = c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' ||
                   c == 'n' || c == 'r' || c == 't';
    return is_known ? p + 2 : fail_at(r, p, BAD_ESCAPE, NULL);
}

/* `p` stands behind the opening quote; what is returned, behind the closing one. */
static inline const uint8_t *read_string(struct reading *r, const uint8_t *p,
                                         int *escaped)
{
    *escaped = 0;
    for (;;) {
        p = sp__json_skip_plain(p, r->end);
        if (p == r->end) {
            return fail_at(r, p, BAD_SYNTAX, "'\"'");
        }
        if (*p == '"') {
            return p + 1;
        }
        *escaped |= *p == '\\';
        p = read_special(r, p);
        if (p == NULL) {
            return NULL;
        }
    }
}

static inline int is_word(const uint8_t *p, const uint8_t *end, const char *word,
                          size_t n)
{
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0;
}
#define IS_WORD(p, end, word) is_word(p, end, word, sizeof word - 1)

/* The digits of a fraction or an exponent: one at least. */
static const uint8_t *read_digits(struct reading *r, const uint8_t *p)
{
    const uint8_t *behind = sp__json_skip_digits(p, r->end);
    return behind > p ? behind : fail_at(r, p, BAD_SYNTAX, "a digit");
}

static inline const uint8_t *read_number(struct reading *r, const uint8_t *p,
                                         enum json_number *kind)
{
    const uint8_t *end = r->end;
    *kind = JSON_INTEGER;
    if (*p == '-') {
        p++;
        if (IS_WORD(p, end, "Infinity")) {
            *kind = JSON_NEG_INF;
            return p + 8;
        }
    }
    const uint8_t *behind = sp__json_skip_whole(p, end);
    if (behind == p) {
        return fail_at(r, p, BAD_SYNTAX, "a digit");
    }
    p = behind;
    if (p < end && *p == '.') {
        *kind = JSON_REAL;
        p = read_digits(r, p + 1);
    }
    if (p != NULL && p < end && (*p == 'e' || *p == 'E')) {
        *kind = JSON_REAL;
        p++;
        p = read_digits(r, p < end && (*p == '+' || *p == '-') ? p + 1 : p);
    }
    return p;
}

/* Call a handler's function, when there is one; stop when it says so. */
#define TELL(r, function, ...)                                  \
    do {                                                        \
        if (tells && (r)->handler->function != NULL) {          \
            (r)->stopped = (r)->handler->function(__VA_ARGS__); \
            if ((r)->stopped != 0) {                            \
                return NULL;                                    \
            }                                                   \
        }                                                       \
    } while (0)

static const uint8_t *read_word(struct reading *r, const uint8_t *first,
                                const int tells)
{
    if (IS_WORD(first, r->end, "true")) {
        TELL(r, literal, r->user, 1);
        return first + 4;
    }
    if (IS_WORD(first, r->end, "false")) {
        TELL(r, literal, r->user, 0);
        return first + 5;
    }
    if (IS_WORD(first, r->end, "null")) {
        TELL(r, literal, r->user, -1);
        return first + 4;
    }
    if (IS_WORD(first, r->end, "NaN")) {
        TELL(r, number, r->user, (const char *)first, 3, JSON_NAN);
        return first + 3;
    }
    if (IS_WORD(first, r->end, "Infinity")) {
        TELL(r, number, r->user, (const char *)first, 8, JSON_INF);
        return first + 8;
    }
    return fail_at(r, first, BAD_SYNTAX, "a value");
}

/* A value that is not an object or array; `first` is its first character. */
static inline const uint8_t *read_scalar(struct reading *r, const uint8_t *first,
                                         const int tells)
{
    const uint8_t *p;
    if (*first == '"') {
        int escaped;
        p = read_string(r, first + 1, &escaped);
        if (p != NULL) {
            TELL(r, string, r->user, (const char *)first + 1, (size_t)(p - first - 2),
                 escaped);
        }
        return p;
    }
    if (*first == '-' || (*first >= '0' && *first <= '9')) {
        enum json_number kind;
        p = read_number(r, first, &kind);
        if (p != NULL) {
            TELL(r, number, r->user, (const char *)first, (size_t)(p - first), kind);
        }
        return p;
    }
    return read_word(r, first, tells);
}

/* A key and its colon. */
static inline const uint8_t *read_key(struct reading *r, const uint8_t *p,
                                      const char *expected, const int tells)
{
    int escaped;
    p = sp__json_skip_space(p, r->end);
    if (p == r->end || *p != '"') {
        return fail_at(r, p, BAD_SYNTAX, expected);
    }
    const uint8_t *key = p + 1;
    p = read_string(r, key, &escaped);
    if (p == NULL) {
        return NULL;
    }
    TELL(r, key, r->user, (const char *)key, (size_t)(p - key - 1), escaped);
    p = sp__json_skip_space(p, r->end);
    if (p == r->end || *p != ':') {
        return fail_at(r, p, BAD_SYNTAX, "':'");
    }
    return p + 1;
}

/* The whole reader, of the value that begins at `p`. Made twice by the compiler: `tells`
 * is a constant. */
static inline __attribute__((always_inline)) const uint8_t *read_all(struct reading *r,
                                                                     const uint8_t *p,
                                                                     unsigned depth_max,
                                                                     const int tells)
{
    uint64_t objects[SP__JSON_DEPTH_CAP / 64]; /* a bit for each level: 1 an object */
    const uint8_t *end = r->end;
    unsigned depth = 0;

value:
    p = sp__json_skip_space(p, end);
    if (p == end) {
        return fail_at(r, p, BAD_SYNTAX, "a value");
    }
    if (*p == '{' || *p == '[') {
        uint64_t bit = UINT64_C(1) << (depth % 64);
        if (depth == depth_max) {
            return fail_at(r, p, BAD_DEPTH, NULL);
        }
        if (*p++ == '{') {
            objects[depth++ / 64] |= bit;
            TELL(r, object_begin, r->user);
            p = sp__json_skip_space(p, end);
            if (p < end && *p == '}') {
                goto close;
            }
            p = read_key(r, p, "a key or '}'", tells);
            if (p == NULL) {
                return NULL;
            }
        } else {
            objects[depth++ / 64] &= ~bit;
            TELL(r, array_begin, r->user);
            p = sp__json_skip_space(p, end);
            if (p < end && *p == ']') {
                goto close;
            }
        }
        goto value;
    }
    p = read_scalar(r, p, tells);
    if (p == NULL) {
        return NULL;
    }

after:
    if (depth == 0) {
        return p;
    }
    p = sp__json_skip_space(p, end);
    int in_object = (objects[(depth - 1) / 64] >> ((depth - 1) % 64) & 1) != 0;
    uint8_t c = p < end ? *p : 0;
    if (c == ',') {
        p++;
        if (in_object) {
            p = read_key(r, p, "a key", tells);
            if (p == NULL) {
                return NULL;
            }
        }
        goto value;
    }
    if (c != (in_object ? '}' : ']')) {
        return fail_at(r, p, BAD_SYNTAX, in_object ? "',' or '}'" : "',' or ']'");
    }

close:
    depth--;
    if (*p++ == '}') {
        TELL(r, object_end, r->user);
    } else {
        TELL(r, array_end, r->user);
    }
    goto after;
}

static __attribute__((noinline)) const uint8_t *check(struct reading *r,
                                                      const uint8_t *p,
                                                      unsigned depth_max)
{
    return read_all(r, p, depth_max, 0);
}

static __attribute__((noinline)) const uint8_t *tell(struct reading *r,
                                                     const uint8_t *p,
                                                     unsigned depth_max)
{
    return read_all(r, p, depth_max, 1);
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
    struct reading r = {
        .start = start, .end = start + n, .handler = handler, .user = user};
    if (depth_max > SP__JSON_DEPTH_CAP) {
        depth_max = SP__JSON_DEPTH_CAP;
    }
    const uint8_t *p =
        handler == NULL ? check(&r, start, depth_max) : tell(&r, start, depth_max);
    if (p != NULL) {
        p = sp__json_skip_space(p, r.end);
        if (p == r.end) {
            return 0;
        }
        (void)fail_at(&r, p, BAD_SYNTAX, "the end");
    }
    return r.bad != 0 ? report(&r, depth_max, err) : r.stopped;
}

const char *sp__json_skip(const char *at, const char *end, unsigned depth_max)
{
    struct reading r = {.start = (const uint8_t *)at, .end = (const uint8_t *)end};
    return (const char *)check(&r, r.start, depth_max);
}
