/* SPDX-License-Identifier: MIT */
/* Making and passing on errors inside the library. */
#ifndef SP_BASE_ERROR_H
#define SP_BASE_ERROR_H

#include <stddef.h>
#include <string.h>

#include "snakepit/error.h"

/* An empty error, in memory that held anything. Where each call has one, which mostly stays
 * empty, zeroing all of it is what costs most. */
static inline void sp__error_init(sp_error *err)
{
    /* The message comes last, and its first byte says that there is none. */
    memset(err, 0, offsetof(sp_error, message) + 1);
}

/* Fill err (may be NULL) and return the code. */
int sp__fail(sp_error *err, int code, const char *format, ...) SP_PRINTF(3, 4);

/* The same with errno's text appended and kept. Code SP_ERR_SYSTEM. */
int sp__fail_errno(sp_error *err, int os_errno, const char *format, ...)
    SP_PRINTF(3, 4);

/* Put "what I was doing: " before the message that is there; returns err's code or
 * `code` when err is NULL. */
int sp__wrap(sp_error *err, int code, const char *format, ...) SP_PRINTF(3, 4);

/* Copy everything, texts included. A text there is no memory for is left out. */
void sp__error_copy(sp_error *to, const sp_error *from);

#endif
