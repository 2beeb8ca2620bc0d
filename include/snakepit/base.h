/* SPDX-License-Identifier: MIT */
/*
 * Words that every other header uses: the version, bytes, ids, buffers, the allocator.
 *
 * Conventions of the whole interface:
 *   - Functions that can fail return 0 (or a count) on success and a negative SP_ERR_
 *     code on failure; the last parameter is an `sp_error *` that may be NULL.
 *   - Options structs start with `size`, set to sizeof the struct. Zero means default.
 *   - Inputs are copied before the function returns. What comes out through `ret_` is
 *     the caller's, and the comment names the function that releases it.
 *   - Strings are UTF-8 and end with NUL. Times are milliseconds unless the name says
 *     otherwise. Every function may be called from any thread unless it says otherwise.
 */
#ifndef SNAKEPIT_BASE_H
#define SNAKEPIT_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SP_VERSION_MAJOR 0
#define SP_VERSION_MINOR 1
#define SP_VERSION_PATCH 0
#define SP_VERSION_STRING "0.1.0"

#if defined(__GNUC__)
#define SP_API __attribute__((visibility("default")))
#define SP_MUST_CHECK __attribute__((warn_unused_result))
#define SP_PRINTF(format_at, first_at) \
    __attribute__((__format__(__printf__, format_at, first_at)))
#else
#define SP_API
#define SP_MUST_CHECK
#define SP_PRINTF(format_at, first_at)
#endif

/* Names one call, worker or session for ever: a table index and a generation. Zero
 * names nothing. An id of something that has ended finds nothing. */
typedef uint64_t sp_id;

/* Borrowed bytes: not terminated, `data` may be NULL when `size` is 0. */
typedef struct sp_bytes {
    const void *data;
    size_t size;
} sp_bytes;

/* A buffer the library lends to a callback that has bytes to hand back. */
typedef struct sp_buffer sp_buffer;

/*
 * Append bytes to a lent buffer.
 *
 * bytes  copied
 *
 * Errors: SP_ERR_NOMEM, SP_ERR_TOO_BIG (the buffer's limit).
 * Thread: the callback's. Since: 0.1
 */
SP_API int sp_buffer_append(sp_buffer *buffer, sp_bytes bytes);

/* "No limit", wherever a limit in milliseconds or bytes may be switched off. */
#define SP_UNLIMITED UINT64_MAX

/*
 * Replace the allocator of the library.
 *
 * Call it before anything else, once. All three functions are needed; `realloc` and
 * `free` accept NULL as the C library's do. While a pit is open, up to 2 MiB of what calls
 * give back is kept for other calls.
 *
 * Errors: SP_ERR_INVAL (a function is missing).
 * Thread: before start. Since: 0.1
 */
SP_API int sp_set_allocator(void *(*malloc_fn)(size_t size),
                            void *(*realloc_fn)(void *memory, size_t size),
                            void (*free_fn)(void *memory));

/* The version of the library in use, "0.1.0". */
SP_API const char *sp_version(void);

/* Bytes of terminated text: sp_text("abc"). NULL gives no bytes. */
SP_API sp_bytes sp_text(const char *text);

#ifdef __cplusplus
}
#endif
#endif
