/* SPDX-License-Identifier: MIT */
/*
 * The texts that gRPC puts into HTTP/2 headers.
 *
 * Every function here is a pure translation between two byte strings. Writers are given
 * room for the longest outcome by their callers; readers accept what the specification
 * accepts and report the rest, except that a malformed percent escape is kept as it
 * stands, because a garbled status message is worth more than none.
 */
#include "wire/grpc_meta.h"

#include <assert.h>

#include "base/grpc_status.h"
#include "snakepit/base.h"

/* ---- grpc-timeout ---- */

static const struct unit {
    char letter;
    uint64_t ms; /* 0: less than one */
    uint64_t per_ms;
} units[] = {
    {'n', 0, 1000000}, {'u', 0, 1000},  {'m', 1, 0},
    {'S', 1000, 0},    {'M', 60000, 0}, {'H', 3600000, 0},
};

enum { UNITS = sizeof units / sizeof units[0], UNIT_MS = 2, DIGITS_MAX = 8 };

static const uint64_t timeout_max = 99999999; /* 8 digits */

size_t sp__grpc_put_timeout(uint64_t timeout_ms, char out[SP__GRPC_TIMEOUT_MAX])
{
    size_t unit = UNIT_MS;
    uint64_t value = timeout_ms;
    if (timeout_ms == 0) {
        unit = 0; /* the value must be positive: one nanosecond */
        value = 1;
    }
    while (value > timeout_max && unit + 1 < UNITS) {
        unit++;
        value = timeout_ms / units[unit].ms + (timeout_ms % units[unit].ms != 0);
    }
    if (value > timeout_max) {
        value = timeout_max;
    }

    char digits[DIGITS_MAX];
    size_t n = 0;
    for (; value != 0; value /= 10) {
        digits[n++] = (char)('0' + value % 10);
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = digits[n - 1 - i];
    }
    out[n] = units[unit].letter;
    out[n + 1] = '\0';
    return n + 1;
}

int sp__grpc_get_timeout(const char *text, size_t n, uint64_t *ret_ms)
{
    if (n < 2 || n > DIGITS_MAX + 1) {
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return 0;
        }
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    for (size_t i = 0; i < UNITS; i++) {
        if (units[i].letter == text[n - 1]) {
            *ret_ms = units[i].ms != 0
                          ? value * units[i].ms
                          : (value + units[i].per_ms - 1) / units[i].per_ms;
            return 1;
        }
    }
    return 0;
}

/* ---- grpc-message ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return -1;
}

size_t sp__grpc_percent_encode(const char *text, size_t n, char *out)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c <= 0x7e && c != '%') {
            out[used++] = (char)c;
        } else {
            out[used++] = '%';
            out[used++] = hex[c >> 4];
            out[used++] = hex[c & 15];
        }
    }
    return used;
}

size_t sp__grpc_percent_decode(const char *text, size_t n, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '%' && n - i > 2) {
            int high = hex_value(text[i + 1]);
            int low = hex_value(text[i + 2]);
            if (high >= 0 && low >= 0) {
                out[used++] = (char)(high * 16 + low);
                i += 2;
                continue;
            }
        }
        out[used++] = text[i];
    }
    return used;
}

/* ---- "-bin" values ---- */

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t sp__base64_size(size_t n)
{
    return n / 3 * 4 + (n % 3 == 0 ? 0 : n % 3 + 1);
}

size_t sp__base64_encode(const uint8_t *data, size_t n, char *out)
{
    size_t used = 0;
    size_t i = 0;
    for (; n - i >= 3; i += 3) {
        uint32_t bits =
            (uint32_t)data[i] << 16 | (uint32_t)data[i + 1] << 8 | data[i + 2];
        out[used++] = alphabet[bits >> 18];
        out[used++] = alphabet[bits >> 12 & 63];
        out[used++] = alphabet[bits >> 6 & 63];
        out[used++] = alphabet[bits & 63];
    }
    if (n - i == 1) {
        out[used++] = alphabet[data[i] >> 2];
        out[used++] = alphabet[(data[i] & 3) << 4];
    } else if (n - i == 2) {
        out[used++] = alphabet[data[i] >> 2];
        out[used++] = alphabet[(data[i] & 3) << 4 | data[i + 1] >> 4];
        out[used++] = alphabet[(data[i + 1] & 15) << 2];
    }
    assert(used == sp__base64_size(n));
    return used;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int sp__base64_decode(const char *text, size_t n, uint8_t *out, size_t *ret_size)
{
    size_t padding = 0;
    while (n > 0 && padding < 2 && text[n - 1] == '=') {
        padding++;
        n--;
    }
    if (n % 4 == 1 || (padding != 0 && (n + padding) % 4 != 0)) {
        return 0;
    }
    size_t used = 0;
    uint32_t bits = 0;
    unsigned held = 0; /* bits of `bits` not yet written */
    for (size_t i = 0; i < n; i++) {
        int value = base64_value(text[i]);
        if (value < 0) {
            return 0;
        }
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[used++] = (uint8_t)(bits >> held);
        }
    }
    /* Bits left over are not checked to be zero: some encoders leave them dirty. */
    *ret_size = used;
    return 1;
}

int sp__grpc_of_http(int http_status)
{
    /* From "HTTP to gRPC Status Code Mapping". */
    switch (http_status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}
