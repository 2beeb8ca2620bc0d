/* SPDX-License-Identifier: MIT */
/*
 * The trace of a call (W3C Trace Context, level 1). A call that comes with a traceparent
 * is a span of its own inside it: the worker gets the same trace with a new span, and what
 * the worker asks for becomes a span inside that. A text that is none is passed over, as
 * the standard wants it. Tracestate and baggage are others' words: they go along as they
 * are.
 */
#include "pool/trace.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

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

/* ---- numbers ---- */

/* splitmix64 (Steele, Lea, Flood 2014), seeded once for each thread: a system call for
 * every call would cost more than all else here. The clock goes in too, so that a forked
 * copy of the program goes its own way. */
static uint64_t next_random(uint64_t salt)
{
    static _Thread_local uint64_t state;
    if (state == 0) {
        ssize_t n;
        do {
            n = getrandom(&state, sizeof state, 0);
        } while (n < 0 && errno == EINTR);
        state ^= (uint64_t)(uintptr_t)&state << 16;
    }
    state += 0x9e3779b97f4a7c15u + salt;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t sp__trace_random(void)
{
    return next_random(0);
}

static void put_hex(char *to, uint64_t number)
{
    static const char digits[] = "0123456789abcdef";
    for (int shift = 60; shift >= 0; shift -= 4) {
        *to++ = digits[number >> shift & 15];
    }
}

/* Never 0. */
static void put_span(char *ret)
{
    put_hex(ret + SPAN_AT, (next_random(sp__now_us()) & ~(uint64_t)7) | 5);
}

void sp__trace_begin_span(char *ret, sp_bytes parent)
{
    const char *text = parent.data;
    memcpy(ret, "00", VERSION_SIZE);
    memcpy(ret + VERSION_SIZE, text + VERSION_SIZE, TEXT_SIZE - VERSION_SIZE);
    put_span(ret);
    ret[TEXT_SIZE] = '\0';
}

void sp__trace_begin(char *ret)
{
    memcpy(ret, "00-", TRACE_AT);
    put_hex(ret + TRACE_AT, next_random(sp__now_us()) | 1);
    put_hex(ret + TRACE_AT + TRACE_SIZE / 2, next_random(0));
    memcpy(ret + SPAN_AT - 1, "-", 1);
    put_span(ret);
    memcpy(ret + FLAGS_AT - 1, "-01", FLAGS_SIZE + 2); /* and the NUL */
}

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

int sp__trace_is_sampled(const char *trace)
{
    return trace[0] != '\0' && (digit(trace[FLAGS_AT + 1]) & 1) != 0;
}

static void get_hex(uint8_t *to, const char *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = (uint8_t)(digit(from[2 * i]) << 4 | digit(from[2 * i + 1]));
    }
}

void sp__trace_ids(const char *trace, uint8_t ret_trace[TRACE_ID_BYTES],
                   uint8_t ret_span[SPAN_ID_BYTES])
{
    get_hex(ret_trace, trace + TRACE_AT, TRACE_ID_BYTES);
    get_hex(ret_span, trace + SPAN_AT, SPAN_ID_BYTES);
}

void sp__trace_id_text(const char *trace, char ret[TRACE_ID_TEXT_BYTES])
{
    memcpy(ret, trace + TRACE_AT, TRACE_SIZE);
    ret[TRACE_SIZE] = '\0';
}

/* ---- what goes along ---- */

/* As a header's value may be. */
static int is_plain(sp_bytes text, size_t max)
{
    const unsigned char *at = text.data;
    if (text.size > max) {
        return 0;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (at[i] < 0x20 || at[i] > 0x7e) {
            return 0;
        }
    }
    return 1;
}

static const char *put_text(char **at, sp_bytes text)
{
    char *begin = *at;
    if (text.size > 0) {
        memcpy(begin, text.data, text.size);
    }
    begin[text.size] = '\0';
    *at += text.size + 1;
    return begin;
}

int sp__carried_new(sp_bytes tracestate, sp_bytes baggage, struct carried **ret,
                    sp_error *err)
{
    tracestate.size = is_plain(tracestate, TRACESTATE_MAX) ? tracestate.size : 0;
    baggage.size = is_plain(baggage, BAGGAGE_MAX) ? baggage.size : 0;
    *ret = NULL;
    if (tracestate.size + baggage.size == 0) {
        return SP_OK;
    }
    struct carried *carried =
        sp__malloc(sizeof *carried + tracestate.size + baggage.size + 2);
    if (carried == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a call's baggage");
    }
    char *at = (char *)(carried + 1);
    carried->tracestate = put_text(&at, tracestate);
    carried->baggage = put_text(&at, baggage);
    *ret = carried;
    return SP_OK;
}
