/* SPDX-License-Identifier: MIT */
/* Writing a JSON array or object again without white space, counting on the way. */
#ifndef SP_SESSION_COMPACT_H
#define SP_SESSION_COMPACT_H

#include <stddef.h>

#include "base/buf.h"
#include "snakepit/error.h"

struct compact {
    struct sp_buffer *out; /* NULL only looks */
    int numbers;           /* nothing but numbers and lists may be inside */
    int flat;              /* and no lists either */
    int floats;            /* whole numbers get a fraction: 1 becomes 1.0 */
    sp_error *err;

    unsigned depth;
    size_t elements;      /* of the outermost list or object */
    size_t numbers_count; /* at any depth */
};

/* SP_ERR_BAD_VALUE when something is inside that may not be, SP_ERR_TOO_BIG, NOMEM. The
 * text must be valid JSON. */
int sp__compact(struct compact *compact, const char *json, size_t size);

#endif
