/* SPDX-License-Identifier: MIT */
/* A growing run of bytes with a hard limit given at init. */
#ifndef SP_BASE_BUF_H
#define SP_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "snakepit/base.h"
#include "snakepit/error.h"

struct sp_buffer {
    uint8_t *data;
    size_t size; /* bytes in use */
    size_t capacity;
    size_t max; /* never more than this in use */
};

void sp__buf_init(struct sp_buffer *buf, size_t max);
void sp__buf_fini(struct sp_buffer *buf);

/* Room for `more` bytes behind the used ones. SP_ERR_TOO_BIG past the limit, NOMEM. */
int sp__buf_reserve(struct sp_buffer *buf, size_t more, sp_error *err) SP_MUST_CHECK;

/* The same for an empty buffer that will not grow: without room to spare. */
int sp__buf_fit(struct sp_buffer *buf, size_t more, sp_error *err) SP_MUST_CHECK;

int sp__buf_append(struct sp_buffer *buf, const void *data, size_t size,
                   sp_error *err) SP_MUST_CHECK;
int sp__buf_printf(struct sp_buffer *buf, sp_error *err, const char *format, ...)
    SP_PRINTF(3, 4) SP_MUST_CHECK;

/* Forget the first n bytes. */
void sp__buf_drop(struct sp_buffer *buf, size_t n);

/* Give up memory beyond `keep` bytes when the buffer is empty. */
void sp__buf_shrink(struct sp_buffer *buf, size_t keep);

/* Move the memory out; the caller frees *ret_data with sp__free(). */
void sp__buf_take(struct sp_buffer *buf, uint8_t **ret_data, size_t *ret_size);

#endif
