/* SPDX-License-Identifier: MIT */
/* Characters of UTF-8. Pure. */
#ifndef SP_BASE_UTF8_H
#define SP_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

static inline int sp__utf8_continues(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the character that begins at `text`, of which `left` are there, at least one; 0
 * when it is malformed (Unicode, table 3-7). Of a text that ends with NUL any number may be
 * left: nothing behind the NUL is looked at. */
static inline size_t sp__utf8_size(const void *text, size_t left)
{
    const uint8_t *p = text;
    uint8_t c = p[0];
    if (c < 0x80) {
        return 1;
    }
    if (c < 0xc2 || c > 0xf4 || left < 2) {
        return 0;
    }
    if (c < 0xe0) {
        return sp__utf8_continues(p[1]) ? 2 : 0;
    }
    uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    if (c < 0xf0) {
        return left >= 3 && sp__utf8_continues(p[2]) ? 3 : 0;
    }
    return left >= 4 && sp__utf8_continues(p[2]) && sp__utf8_continues(p[3]) ? 4 : 0;
}

#endif
