/* SPDX-License-Identifier: MIT */
/*
 * The JSON reader itself: one pass, no recursion, no allocation.
 *
 * What is open is one bit for each level, so depth costs nothing and is limited by the
 * caller. Text inside strings is looked at eight bytes at a time until something needs
 * a closer look: the end, an escape, a control character, a byte that is not ASCII.
 *
 * It is here, and not in json.c, for those who build something of every text: with a
 * handler that is a constant the compiler makes one function of reader and handler.
 * Others call sp__json_read().
 */
#ifndef SP_WIRE_JSON_READ_H
#define SP_WIRE_JSON_READ_H

#include "base/utf8.h"
#include "wire/json.h"
#include "wire/json_bytes.h"

#define SP__JSON_INLINE static inline __attribute__((always_inline))

enum json_bad {
    JSON_BAD_SYNTAX = 1,
    JSON_BAD_UTF8,
    JSON_BAD_ESCAPE,
    JSON_BAD_CONTROL,
    JSON_BAD_DEPTH
};

/* What is read, and why the reading stopped. Where it is goes from function to function:
 * each gets where its part begins and returns where the part ends, or NULL. */
struct json_reading {
    const uint8_t *start;
    const uint8_t *end;
    const uint8_t *at;    /* where it could not go on */
    const char *expected; /* for JSON_BAD_SYNTAX */
    enum json_bad bad;    /* 0: nothing is */
    int stopped;          /* what the handler stopped it with */
};

static inline const uint8_t *sp__json_stop(struct json_reading *r, const uint8_t *at,
                                           enum json_bad bad, const char *expected)
{
    r->at = at;
    r->bad = bad;
    r->expected = expected;
    return NULL;
}

/* What is not plain in a string: a character that is not ASCII, an escape. */
static inline const uint8_t *sp__json_special(struct json_reading *r, const uint8_t *p)
{
    const uint8_t *end = r->end;
    if (*p >= 0x80) {
        size_t size = sp__utf8_size(p, (size_t)(end - p));
        return size == 0 ? sp__json_stop(r, p, JSON_BAD_UTF8, NULL) : p + size;
    }
    if (*p != '\\') {
        return sp__json_stop(r, p, JSON_BAD_CONTROL, NULL);
    }
    uint8_t c = end - p > 1 ? p[1] : 0;
    if (c == 'u') {
        for (int i = 2; i < 6; i++) {
            if (end - p <= i || sp__json_hex(p[i]) < 0) {
                return sp__json_stop(r, p, JSON_BAD_ESCAPE, NULL);
            }
        }
        return p + 6;
    }
    int is_known = c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' ||
                   c == 'n' || c == 'r' || c == 't';
    return is_known ? p + 2 : sp__json_stop(r, p, JSON_BAD_ESCAPE, NULL);
}

/* `p` stands behind the opening quote; what is returned, behind the closing one. */
static inline const uint8_t *sp__json_string(struct json_reading *r, const uint8_t *p,
                                             int *escaped)
{
    *escaped = 0;
    for (;;) {
        p = sp__json_skip_plain(p, r->end);
        if (p == r->end) {
            return sp__json_stop(r, p, JSON_BAD_SYNTAX, "'\"'");
        }
        if (*p == '"') {
            return p + 1;
        }
        *escaped |= *p == '\\';
        p = sp__json_special(r, p);
        if (p == NULL) {
            return NULL;
        }
    }
}

static inline int sp__json_is_word(const uint8_t *p, const uint8_t *end,
                                   const char *word, size_t n)
{
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0;
}
#define SP__JSON_IS_WORD(p, end, word) sp__json_is_word(p, end, word, sizeof word - 1)

/* The digits of a fraction or an exponent: one at least. */
static inline const uint8_t *sp__json_digits(struct json_reading *r, const uint8_t *p)
{
    const uint8_t *behind = sp__json_skip_digits(p, r->end);
    return behind > p ? behind : sp__json_stop(r, p, JSON_BAD_SYNTAX, "a digit");
}

static inline const uint8_t *sp__json_number(struct json_reading *r, const uint8_t *p,
                                             enum json_number *kind)
{
    const uint8_t *end = r->end;
    *kind = JSON_INTEGER;
    if (*p == '-') {
        p++;
        if (SP__JSON_IS_WORD(p, end, "Infinity")) {
            *kind = JSON_NEG_INF;
            return p + 8;
        }
    }
    const uint8_t *behind = sp__json_skip_whole(p, end);
    if (behind == p) {
        return sp__json_stop(r, p, JSON_BAD_SYNTAX, "a digit");
    }
    p = behind;
    if (p < end && *p == '.') {
        *kind = JSON_REAL;
        p = sp__json_digits(r, p + 1);
    }
    if (p != NULL && p < end && (*p == 'e' || *p == 'E')) {
        *kind = JSON_REAL;
        p++;
        p = sp__json_digits(r, p < end && (*p == '+' || *p == '-') ? p + 1 : p);
    }
    return p;
}

/* Call a handler's function, when there is one; stop when it says so. */
#define SP__JSON_TELL(function, ...)                        \
    do {                                                    \
        if (handler != NULL && handler->function != NULL) { \
            r->stopped = handler->function(__VA_ARGS__);    \
            if (r->stopped != 0) {                          \
                return NULL;                                \
            }                                               \
        }                                                   \
    } while (0)

SP__JSON_INLINE const uint8_t *sp__json_word(struct json_reading *r,
                                             const uint8_t *first,
                                             const struct json_handler *handler,
                                             void *user)
{
    if (SP__JSON_IS_WORD(first, r->end, "true")) {
        SP__JSON_TELL(literal, user, 1);
        return first + 4;
    }
    if (SP__JSON_IS_WORD(first, r->end, "false")) {
        SP__JSON_TELL(literal, user, 0);
        return first + 5;
    }
    if (SP__JSON_IS_WORD(first, r->end, "null")) {
        SP__JSON_TELL(literal, user, -1);
        return first + 4;
    }
    if (SP__JSON_IS_WORD(first, r->end, "NaN")) {
        SP__JSON_TELL(number, user, (const char *)first, 3, JSON_NAN);
        return first + 3;
    }
    if (SP__JSON_IS_WORD(first, r->end, "Infinity")) {
        SP__JSON_TELL(number, user, (const char *)first, 8, JSON_INF);
        return first + 8;
    }
    return sp__json_stop(r, first, JSON_BAD_SYNTAX, "a value");
}

/* A value that is not an object or array; `first` is its first character. */
SP__JSON_INLINE const uint8_t *sp__json_scalar(struct json_reading *r,
                                               const uint8_t *first,
                                               const struct json_handler *handler,
                                               void *user)
{
    const uint8_t *p;
    if (*first == '"') {
        int escaped;
        p = sp__json_string(r, first + 1, &escaped);
        if (p != NULL) {
            SP__JSON_TELL(string, user, (const char *)first + 1,
                          (size_t)(p - first - 2), escaped);
        }
        return p;
    }
    if (*first == '-' || (*first >= '0' && *first <= '9')) {
        enum json_number kind;
        p = sp__json_number(r, first, &kind);
        if (p != NULL) {
            SP__JSON_TELL(number, user, (const char *)first, (size_t)(p - first), kind);
        }
        return p;
    }
    return sp__json_word(r, first, handler, user);
}

/* A key and its colon. */
SP__JSON_INLINE const uint8_t *sp__json_key(struct json_reading *r, const uint8_t *p,
                                            const char *expected,
                                            const struct json_handler *handler,
                                            void *user)
{
    int escaped;
    p = sp__json_skip_space(p, r->end);
    if (p == r->end || *p != '"') {
        return sp__json_stop(r, p, JSON_BAD_SYNTAX, expected);
    }
    const uint8_t *key = p + 1;
    p = sp__json_string(r, key, &escaped);
    if (p == NULL) {
        return NULL;
    }
    SP__JSON_TELL(key, user, (const char *)key, (size_t)(p - key - 1), escaped);
    p = sp__json_skip_space(p, r->end);
    if (p == r->end || *p != ':') {
        return sp__json_stop(r, p, JSON_BAD_SYNTAX, "':'");
    }
    return p + 1;
}

/* The whole reader, of the value that begins at `p`. */
SP__JSON_INLINE const uint8_t *sp__json_value(struct json_reading *r, const uint8_t *p,
                                              unsigned depth_max,
                                              const struct json_handler *handler,
                                              void *user)
{
    uint64_t objects[SP__JSON_DEPTH_CAP / 64]; /* a bit for each level: 1 an object */
    const uint8_t *end = r->end;
    unsigned depth = 0;

value:
    p = sp__json_skip_space(p, end);
    if (p == end) {
        return sp__json_stop(r, p, JSON_BAD_SYNTAX, "a value");
    }
    if (*p == '{' || *p == '[') {
        uint64_t bit = UINT64_C(1) << (depth % 64);
        if (depth == depth_max) {
            return sp__json_stop(r, p, JSON_BAD_DEPTH, NULL);
        }
        if (*p++ == '{') {
            objects[depth++ / 64] |= bit;
            SP__JSON_TELL(object_begin, user);
            p = sp__json_skip_space(p, end);
            if (p < end && *p == '}') {
                goto close;
            }
            p = sp__json_key(r, p, "a key or '}'", handler, user);
            if (p == NULL) {
                return NULL;
            }
        } else {
            objects[depth++ / 64] &= ~bit;
            SP__JSON_TELL(array_begin, user);
            p = sp__json_skip_space(p, end);
            if (p < end && *p == ']') {
                goto close;
            }
        }
        goto value;
    }
    p = sp__json_scalar(r, p, handler, user);
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
            p = sp__json_key(r, p, "a key", handler, user);
            if (p == NULL) {
                return NULL;
            }
        }
        goto value;
    }
    if (c != (in_object ? '}' : ']')) {
        return sp__json_stop(r, p, JSON_BAD_SYNTAX,
                             in_object ? "',' or '}'" : "',' or ']'");
    }

close:
    depth--;
    if (*p++ == '}') {
        SP__JSON_TELL(object_end, user);
    } else {
        SP__JSON_TELL(array_end, user);
    }
    goto after;
}

/* Fill `err` with what is wrong, and where. */
int sp__json_report(const struct json_reading *r, unsigned depth_max, sp_error *err);

/* sp__json_read() with a handler that is a constant, at most SP__JSON_DEPTH_CAP deep. */
SP__JSON_INLINE int sp__json_read_with(const char *text, size_t n, unsigned depth_max,
                                       const struct json_handler *handler, void *user,
                                       sp_error *err)
{
    const uint8_t *start = sp__json_start(text, n);
    struct json_reading r = {.start = start, .end = start + n};
    const uint8_t *p = sp__json_value(&r, start, depth_max, handler, user);
    if (p != NULL) {
        p = sp__json_skip_space(p, r.end);
        if (p == r.end) {
            return 0;
        }
        (void)sp__json_stop(&r, p, JSON_BAD_SYNTAX, "the end");
    }
    return r.bad != 0 ? sp__json_report(&r, depth_max, err) : r.stopped;
}

#endif
