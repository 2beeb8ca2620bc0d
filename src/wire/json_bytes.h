/* SPDX-License-Identifier: MIT */
/* The bytes of JSON text: what its files share. Text is looked at eight bytes at a time
 * until something needs a closer look. */
#ifndef SP_WIRE_JSON_BYTES_H
#define SP_WIRE_JSON_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* No bytes may come as a NULL pointer, with which C allows no arithmetic. */
static inline const uint8_t *sp__json_start(const char *text, size_t n)
{
    static const uint8_t nothing;
    return n == 0 ? &nothing : (const uint8_t *)text;
}

#define SP__EVERY(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Not zero when one of eight bytes is '"', '\\', below ' ' or above 0x7f. */
static inline uint64_t has_special(uint64_t w)
{
    uint64_t quote = w ^ SP__EVERY('"');
    uint64_t backslash = w ^ SP__EVERY('\\');
    uint64_t zero_quote = quote - SP__EVERY(1);
    uint64_t zero_backslash = backslash - SP__EVERY(1);
    uint64_t control = w - SP__EVERY(0x20);
    /* Borrows can only set bits above a byte that is special itself, and high bits of
     * `w` count anyway, so the usual "& ~w" may be left out. */
    return (zero_quote | zero_backslash | control | w) & SP__EVERY(0x80);
}

static inline const uint8_t *sp__json_skip_plain(const uint8_t *p, const uint8_t *end)
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

static inline const uint8_t *sp__json_skip_space(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }
    return p;
}

static inline const uint8_t *sp__json_skip_digits(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p >= '0' && *p <= '9') {
        p++;
    }
    return p;
}

/* Behind the whole number without a sign that begins at `p`; `p` when there is none. A
 * leading zero stands alone. */
static inline const uint8_t *sp__json_skip_whole(const uint8_t *p, const uint8_t *end)
{
    return p < end && *p == '0' ? p + 1 : sp__json_skip_digits(p, end);
}

/* Of a hexadecimal digit, -1 for another byte. */
static inline int sp__json_hex(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (uint8_t)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
