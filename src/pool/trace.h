/* SPDX-License-Identifier: MIT */
/* Which trace a call belongs to: a traceparent as the W3C has it,
 * "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01". */
#ifndef SP_POOL_TRACE_H
#define SP_POOL_TRACE_H

#include "snakepit/base.h"

enum { TRACE_BYTES = 56 }; /* with its NUL */

/* Whether a text is one, of version 00 or of a later one that begins like it. */
int sp__trace_is_valid(sp_bytes text);

/* A new span of the same trace, with its flags: what is done inside `parent`, which is
 * valid. ret has room for TRACE_BYTES; "" where the system gives no random numbers. */
void sp__trace_begin_span(char *ret, sp_bytes parent);

#endif
