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
 *
 * The member walker trusts that its object was accepted, and never reads outside its
 * bytes even when it was not.
 */
#include "wire/json.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"

/* ---- characters ---- */

/* No bytes may come as a NULL pointer, with which C allows no arithmetic. */
static const uint8_t *start_of(const char *text, size_t n)
{
    static const uint8_t nothing;
    return n == 0 ? &nothing : (const uint8_t *)text;
}

#define EVERY(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Not zero when one of eight bytes is '"', '\\', below ' ' or above 0x7f. */
static inline uint64_t has_special(uint64_t w)
{
    uint64_t quote = w ^ EVERY('"');
    uint64_t backslash = w ^ EVERY('\\');
    uint64_t zero_quote = quote - EVERY(1);
    uint64_t zero_backslash = backslash - EVERY(1);
    uint64_t control = w - EVERY(0x20);
    /* Borrows can only set bits above a byte that is special itself, and high bits of
     * `w` count anyway, so the usual "& ~w" may be left out. */
    return (zero_quote | zero_backslash | control | w) & EVERY(0x80);
}

static inline const uint8_t *skip_plain(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 8) {
        uint64_t w;
        memcpy(&w, p, sizeof w);
        uint64_t special = has_special(w);
        if (special != 0) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return p + (__builtin_ctzll(special) >> 3); /* the lowest bit is exact */
#else
            break;
#endif
        }
        p += 8;
    }
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') {
        p++;
    }
    return p;
}

static inline const uint8_t *skip_space(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }
    return p;
}

static inline int is_continuation(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

/* Bytes of the character that begins with a byte above 0x7f, 0 when it is malformed
 * (Unicode, table 3-7). */
static size_t utf8_size(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);
    uint8_t c = p[0];
    if (c < 0xc2 || c > 0xf4 || left < 2) {
        return 0;
    }
    if (c < 0xe0) {
        return is_continuation(p[1]) ? 2 : 0;
    }
    uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    if (c < 0xf0) {
        return left >= 3 && is_continuation(p[2]) ? 3 : 0;
    }
    return left >= 4 && is_continuation(p[2]) && is_continuation(p[3]) ? 4 : 0;
}

int sp__json_is_utf8(const char *text, size_t n)
{
    const uint8_t *p = start_of(text, n);
    const uint8_t *end = p + n;
    while (p < end) {
        uint64_t w;
        if (end - p >= 8 && (memcpy(&w, p, sizeof w), (w & EVERY(0x80)) == 0)) {
            p += 8;
        } else if (*p < 0x80) {
            p++;
        } else {
            size_t size = utf8_size(p, end);
            if (size == 0) {
                return 0;
            }
            p += size;
        }
    }
    return 1;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (uint8_t)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

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
        p = skip_plain(p, end);
        if (p == end) {
            return fail_at(r, p, BAD_SYNTAX, "'\"'");
        }
        if (*p == '"') {
            *n = (size_t)(p - (const uint8_t *)*raw);
            r->at = p + 1;
            return 0;
        }
        if (*p >= 0x80) {
            size_t size = utf8_size(p, end);
            if (size == 0) {
                return fail_at(r, p, BAD_UTF8, NULL);
            }
            p += size;
        } else if (*p == '\\') {
            *escaped = 1;
            uint8_t c = end - p > 1 ? p[1] : 0;
            if (c == 'u') {
                for (int i = 2; i < 6; i++) {
                    if (end - p <= i || hex_value(p[i]) < 0) {
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
    const uint8_t *p = skip_space(r->at, r->end);
    if (p == r->end || *p != '"') {
        return fail_at(r, p, BAD_SYNTAX, expected);
    }
    r->at = p + 1;
    int rc = read_string(r, &raw, &n, &escaped);
    if (rc != 0) {
        return rc;
    }
    TELL(r, key, r->user, raw, n, escaped);
    p = skip_space(r->at, r->end);
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
    r->at = skip_space(r->at, r->end);
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
            r->at = skip_space(r->at, r->end);
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
            r->at = skip_space(r->at, r->end);
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
    r->at = skip_space(r->at, r->end);
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
        } else if (!is_continuation(*p)) {
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
    const uint8_t *start = start_of(text, n);
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

/* ---- strings ---- */

static unsigned hex4(const uint8_t *p)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        value = value << 4 | ((unsigned)hex_value(p[i]) & 15);
    }
    return value;
}

static size_t put_utf8(unsigned c, uint8_t *out)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

static uint8_t plain_escape(uint8_t c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c; /* '"', '\\', '/' */
    }
}

size_t sp__json_unescape(const char *raw, size_t n, char *out)
{
    const uint8_t *p = start_of(raw, n);
    const uint8_t *end = p + n;
    uint8_t *to = (uint8_t *)out;
    while (p < end) {
        const uint8_t *escape = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((escape != NULL ? escape : end) - p);
        memcpy(to, p, plain);
        to += plain;
        p += plain;
        if (end - p < 2) {
            break;
        }
        if (p[1] != 'u') {
            *to++ = plain_escape(p[1]);
            p += 2;
            continue;
        }
        if (end - p < 6) {
            break;
        }
        unsigned c = hex4(p + 2);
        p += 6;
        if (c >= 0xd800 && c < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
            unsigned low = hex4(p + 2);
            if (low >= 0xdc00 && low < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                p += 6;
            }
        }
        to += put_utf8(c, to);
    }
    return (size_t)(to - (uint8_t *)out);
}

/* What a byte becomes inside a string; the length is returned. */
static size_t put_special(const uint8_t *p, const uint8_t *end, char out[8],
                          size_t *ret_taken)
{
    static const char hex[] = "0123456789abcdef";
    *ret_taken = 1;
    if (*p >= 0x80) {
        size_t size = utf8_size(p, end);
        if (size == 0) {
            memcpy(out, "\xef\xbf\xbd", 3); /* U+FFFD */
            return 3;
        }
        memcpy(out, p, size);
        *ret_taken = size;
        return size;
    }
    static const char shorts[] = "btn-fr"; /* for 8 to 13; 11 has none */
    out[0] = '\\';
    if (*p == '"' || *p == '\\') {
        out[1] = (char)*p;
        return 2;
    }
    if (*p >= 8 && *p <= 13 && *p != 11) {
        out[1] = shorts[*p - 8];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[*p >> 4];
    out[5] = hex[*p & 15];
    return 6;
}

int sp__json_put_string(struct sp_buffer *out, const char *text, size_t n,
                        sp_error *err)
{
    const uint8_t *p = start_of(text, n);
    const uint8_t *end = p + n;
    size_t start = out->size;
    int rc = sp__buf_append(out, "\"", 1, err);
    while (rc == SP_OK && p < end) {
        const uint8_t *plain = skip_plain(p, end);
        rc = sp__buf_append(out, p, (size_t)(plain - p), err);
        p = plain;
        if (rc == SP_OK && p < end) {
            char special[8];
            size_t taken;
            size_t size = put_special(p, end, special, &taken);
            rc = sp__buf_append(out, special, size, err);
            p += taken;
        }
    }
    if (rc == SP_OK) {
        rc = sp__buf_append(out, "\"", 1, err);
    }
    if (rc != SP_OK) {
        out->size = start;
    }
    return rc;
}

/* ---- members ---- */

/* Behind the closing quote of a string whose inside begins at p. */
static const uint8_t *skip_string(const uint8_t *p, const uint8_t *end, int *escaped)
{
    *escaped = 0;
    for (;;) {
        p = skip_plain(p, end);
        if (p == end) {
            return end;
        }
        if (*p == '"') {
            return p + 1;
        }
        if (*p == '\\') {
            *escaped = 1;
            p++;
            if (p == end) {
                return end;
            }
        }
        p++;
    }
}

static const uint8_t *skip_value(const uint8_t *p, const uint8_t *end)
{
    size_t depth = 0;
    int escaped;
    while (p < end) {
        switch (*p) {
        case '"':
            p = skip_string(p + 1, end, &escaped);
            if (depth == 0) {
                return p;
            }
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (depth == 0) {
                return p;
            }
            depth--;
            if (depth == 0) {
                return p + 1;
            }
            break;
        case ',':
        case ' ':
        case '\n':
        case '\r':
        case '\t':
            if (depth == 0) {
                return p;
            }
            break;
        default:
            break;
        }
        p++;
    }
    return end;
}

int sp__json_next_member(const char *object, size_t n, size_t *pos,
                         struct json_member *ret)
{
    const uint8_t *start = start_of(object, n);
    const uint8_t *end = start + n;
    const uint8_t *p = skip_space(start + *pos, end);
    /* At the beginning stands '{', between members ',', at the end '}'. */
    if (p == end || *p != (*pos == 0 ? '{' : ',')) {
        return 0;
    }
    p = skip_space(p + 1, end);
    if (p == end || *p != '"') {
        return 0;
    }
    const uint8_t *key = p + 1;
    p = skip_string(key, end, &ret->key_escaped);
    const uint8_t *key_end = p - 1;
    p = skip_space(p, end);
    if (p == end || *p != ':') {
        return 0;
    }
    const uint8_t *value = skip_space(p + 1, end);
    p = skip_value(value, end);
    ret->key = (const char *)key;
    ret->key_size = (size_t)(key_end - key);
    ret->value = (const char *)value;
    ret->value_size = (size_t)(p - value);
    *pos = (size_t)(p - start);
    return 1;
}

int sp__json_next_element(const char *array, size_t n, size_t *pos,
                          struct json_element *ret)
{
    const uint8_t *start = start_of(array, n);
    const uint8_t *end = start + n;
    const uint8_t *p = skip_space(start + *pos, end);
    if (p == end || *p != (*pos == 0 ? '[' : ',')) {
        return 0;
    }
    const uint8_t *value = skip_space(p + 1, end);
    if (value == end || *value == ']') {
        return 0;
    }
    p = skip_value(value, end);
    ret->value = (const char *)value;
    ret->value_size = (size_t)(p - value);
    *pos = (size_t)(p - start);
    return 1;
}

char sp__json_kind(const char *text, size_t n)
{
    const uint8_t *start = start_of(text, n);
    const uint8_t *p = skip_space(start, start + n);
    if (p == start + n) {
        return 0;
    }
    switch (*p) {
    case '{':
    case '[':
    case '"':
    case 't':
    case 'f':
    case 'n':
        return (char)*p;
    case '-':
    case 'N':
    case 'I':
        return '0';
    default:
        return *p >= '0' && *p <= '9' ? '0' : 0;
    }
}
