/* SPDX-License-Identifier: MIT */
/*
 * JSON strings: their escapes resolved, and plain text as one.
 */
#include "wire/json.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "wire/json_bytes.h"

int sp__json_is_utf8(const char *text, size_t n)
{
    const uint8_t *p = sp__json_start(text, n);
    const uint8_t *end = p + n;
    while (p < end) {
        uint64_t w;
        if (end - p >= 8 && (memcpy(&w, p, sizeof w), (w & SP__EVERY(0x80)) == 0)) {
            p += 8;
        } else if (*p < 0x80) {
            p++;
        } else {
            size_t size = sp__utf8_size(p, (size_t)(end - p));
            if (size == 0) {
                return 0;
            }
            p += size;
        }
    }
    return 1;
}

static unsigned hex4(const uint8_t *p)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        value = value << 4 | ((unsigned)sp__json_hex(p[i]) & 15);
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
    const uint8_t *p = sp__json_start(raw, n);
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
        size_t size = sp__utf8_size(p, (size_t)(end - p));
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
    const uint8_t *p = sp__json_start(text, n);
    const uint8_t *end = p + n;
    size_t start = out->size;
    int rc = sp__buf_append(out, "\"", 1, err);
    while (rc == SP_OK && p < end) {
        const uint8_t *plain = sp__json_skip_plain(p, end);
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
