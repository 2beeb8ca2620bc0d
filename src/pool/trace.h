/* SPDX-License-Identifier: MIT */
/* Which trace a call belongs to: a traceparent as the W3C has it,
 * "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", and what its tracestate and
 * baggage hand on to whoever works for the call. */
#ifndef SP_POOL_TRACE_H
#define SP_POOL_TRACE_H

#include <stdint.h>

#include "snakepit/base.h"
#include "snakepit/error.h"

enum {
    TRACE_BYTES = 56,         /* with its NUL */
    TRACE_ID_BYTES = 16,      /* as numbers */
    TRACE_ID_TEXT_BYTES = 33, /* as text, with its NUL */
    SPAN_ID_BYTES = 8,        /* likewise */
    TRACESTATE_MAX = 512,     /* longer ones are passed over, as the standard allows */
    BAGGAGE_MAX = 8192        /* likewise */
};

/* Whether a text is one, of version 00 or of a later one that begins like it. */
int sp__trace_is_valid(sp_bytes text);

/* A new span of the same trace, with its flags: what is done inside `parent`, which is
 * valid. The last three bits of its number are always 101, so that the numbers beside it
 * are free for the spans around it (see spans.h). ret has room for TRACE_BYTES. */
void sp__trace_begin_span(char *ret, sp_bytes parent);
/* The first span of a new trace, which is to be recorded. */
void sp__trace_begin(char *ret);
/* Whether whoever began the trace wants it recorded. `trace` is valid or "". */
int sp__trace_is_sampled(const char *trace);
/* The numbers of a valid one. */
void sp__trace_ids(const char *trace, uint8_t ret_trace[TRACE_ID_BYTES],
                   uint8_t ret_span[SPAN_ID_BYTES]);
/* The trace's as text. */
void sp__trace_id_text(const char *trace, char ret[TRACE_ID_TEXT_BYTES]);
/* Any number of 64 bits: nobody can be sure of the next one, but it is no secret. */
uint64_t sp__trace_random(void);

/* What goes along with a call, untouched. One piece of memory. */
struct carried {
    const char *tracestate; /* "" : none, as the next */
    const char *baggage;
};

/* Copy both; what is too long or no plain text is passed over. *ret is NULL when nothing
 * is left. Release it with sp__free(). */
int sp__carried_new(sp_bytes tracestate, sp_bytes baggage, struct carried **ret,
                    sp_error *err) SP_MUST_CHECK;

#endif
