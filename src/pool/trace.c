/* SPDX-License-Identifier: MIT */
/*
 * The trace of a call (W3C Trace Context, level 1). A call that comes with a traceparent
 * is a span of its own inside it: the worker gets the same trace with a new span, and what
 * the worker asks for becomes a span inside that. A text that is none is passed over, as
 * the standard wants it.
 */
#include "pool/trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum {
    VERSION_SIZE = 2,
    TRACE_AT = 3,
    TRACE_SIZE = 32,
    SPAN_AT = 36,
    SPAN_SIZE = 16,
    FLAGS_AT = 53,
    FLAGS_SIZE = 2,
    TEXT_SIZE = 55
};

/* Lower-case hexadecimal digits; *ret_any: one of them is not 0. */
static int is_hex(const char *text, size_t size, int *ret_any)
{
    *ret_any = 0;
    for (size_t i = 0; i < size; i++) {
        int is_digit =
            (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (!is_digit) {
            return 0;
        }
        *ret_any |= text[i] != '0';
    }
    return 1;
}

int sp__trace_is_valid(sp_bytes bytes)
{
    const char *text = bytes.data;
    int any;
    int has_trace;
    int has_span;
    if (bytes.size < TEXT_SIZE || !is_hex(text, VERSION_SIZE, &any) ||
        memcmp(text, "ff", VERSION_SIZE) == 0) {
        return 0;
    }
    int is_long = bytes.size > TEXT_SIZE;
    if (is_long && (memcmp(text, "00", VERSION_SIZE) == 0 || text[TEXT_SIZE] != '-')) {
        return 0;
    }
    return text[TRACE_AT - 1] == '-' && text[SPAN_AT - 1] == '-' &&
           text[FLAGS_AT - 1] == '-' &&
           is_hex(text + TRACE_AT, TRACE_SIZE, &has_trace) && has_trace &&
           is_hex(text + SPAN_AT, SPAN_SIZE, &has_span) && has_span &&
           is_hex(text + FLAGS_AT, FLAGS_SIZE, &any);
}

void sp__trace_begin_span(char *ret, sp_bytes parent)
{
    const char *text = parent.data;
    unsigned char random[SPAN_SIZE / 2] = {0};
    ssize_t n;
    do {
        n = getrandom(random, sizeof random, 0);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof random) {
        ret[0] = '\0';
        return;
    }
    random[0] |= 1; /* never all zero */
    (void)snprintf(ret, TRACE_BYTES, "00-%.*s-%02x%02x%02x%02x%02x%02x%02x%02x-%.*s",
                   TRACE_SIZE, text + TRACE_AT, random[0], random[1], random[2],
                   random[3], random[4], random[5], random[6], random[7], FLAGS_SIZE,
                   text + FLAGS_AT);
}
