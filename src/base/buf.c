/* SPDX-License-Identifier: MIT */
/*
 * A growing run of bytes with a hard limit.
 *
 * Grows by doubling, never past `max`, so that a peer cannot make us hold more than was
 * decided when the buffer was made. It is also the public sp_buffer, lent to adapter
 * callbacks.
 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"

enum { CAPACITY_MIN = 256 };

void sp__buf_init(struct sp_buffer *buf, size_t max)
{
    *buf = (struct sp_buffer){.max = max};
}

void sp__buf_fini(struct sp_buffer *buf)
{
    sp__free(buf->data);
    *buf = (struct sp_buffer){.max = buf->max};
}

int sp__buf_reserve(struct sp_buffer *buf, size_t more, sp_error *err)
{
    if (more <= buf->capacity - buf->size) {
        return SP_OK;
    }
    if (more > buf->max || buf->size > buf->max - more) {
        return sp__fail(err, SP_ERR_TOO_BIG, "%zu bytes are more than the limit of %zu",
                        buf->size + more, buf->max);
    }
    size_t least = buf->max < CAPACITY_MIN ? buf->max : CAPACITY_MIN;
    size_t capacity = buf->capacity < least ? least : buf->capacity;
    if (buf->size == 0 && more > capacity) {
        capacity = more; /* often it is all that will ever be needed */
    }
    while (capacity < buf->size + more) {
        capacity = capacity > buf->max / 2 ? buf->max : capacity * 2;
    }
    uint8_t *data = sp__realloc(buf->data, capacity);
    if (data == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a buffer of %zu bytes",
                        capacity);
    }
    buf->data = data;
    buf->capacity = capacity;
    return SP_OK;
}

int sp__buf_fit(struct sp_buffer *buf, size_t more, sp_error *err)
{
    if (buf->data != NULL || more > buf->max) {
        return sp__buf_reserve(buf, more, err);
    }
    buf->data = sp__malloc(more);
    if (buf->data == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a buffer of %zu bytes", more);
    }
    buf->capacity = more;
    return SP_OK;
}

int sp__buf_append(struct sp_buffer *buf, const void *data, size_t size, sp_error *err)
{
    if (size == 0) {
        return SP_OK;
    }
    int rc = sp__buf_reserve(buf, size, err);
    if (rc < 0) {
        return rc;
    }
    memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    return SP_OK;
}

int sp__buf_printf(struct sp_buffer *buf, sp_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(need >= 0);

    int rc = sp__buf_reserve(buf, (size_t)need + 1, err);
    if (rc < 0) {
        return rc;
    }
    va_start(args, format);
    (void)vsnprintf((char *)buf->data + buf->size, (size_t)need + 1, format, args);
    va_end(args);
    buf->size += (size_t)need;
    return SP_OK;
}

void sp__buf_drop(struct sp_buffer *buf, size_t n)
{
    assert(n <= buf->size);
    if (n < buf->size) {
        memmove(buf->data, buf->data + n, buf->size - n);
    }
    buf->size -= n;
}

void sp__buf_shrink(struct sp_buffer *buf, size_t keep)
{
    if (buf->size == 0 && buf->capacity > keep) {
        sp__buf_fini(buf);
    }
}

void sp__buf_take(struct sp_buffer *buf, uint8_t **ret_data, size_t *ret_size)
{
    *ret_data = buf->data;
    *ret_size = buf->size;
    *buf = (struct sp_buffer){.max = buf->max};
}

SP_API int sp_buffer_append(sp_buffer *buffer, sp_bytes bytes)
{
    return sp__buf_append(buffer, bytes.data, bytes.size, NULL);
}
