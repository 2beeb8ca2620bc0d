/* SPDX-License-Identifier: MIT */
/*
 * A stream: one question, many chunks.
 *
 * Chunks arrive in order. A slow consumer slows the producer: at most about 1 MiB (or
 * one chunk, when it is larger) waits unread, in the host and on the way together.
 */
#ifndef SNAKEPIT_STREAM_H
#define SNAKEPIT_STREAM_H

#include "base.h"
#include "call.h"
#include "error.h"
#include "pit.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_stream sp_stream;

/* One chunk. The bytes are borrowed until the next call on the same stream. */
typedef struct sp_chunk {
    const char *data; /* JSON text, or the raw bytes a tool sent; not terminated */
    size_t size;
    uint64_t index;     /* 0, 1, 2 ... */
    const void *binary; /* what the JSON speaks of (see tensor.h), or NULL */
    size_t binary_bytes;
} sp_chunk;

/* Find a tensor in a chunk, as sp_tensor_find() does; what it gives is borrowed from the
 * chunk. Thread: any. Since: 0.1 */
SP_API int sp_chunk_tensor(const sp_chunk *chunk, const char *pointer,
                           sp_tensor *ret_tensor, sp_error *err);

/*
 * Start a stream.
 *
 * ret_stream  set on success; release with sp_stream_close()
 *
 * Parameters and errors as in sp_call_start(). The deadline covers the whole stream.
 * Thread: any. Since: 0.1
 */
SP_API int sp_stream_open(sp_pit *pit, const char *tool, sp_bytes args_json,
                          const sp_call_options *options, sp_stream **ret_stream,
                          sp_error *err);

/*
 * Wait for the next chunk.
 *
 * Returns 1 with a chunk, 0 at the end of the stream, or a negative SP_ERR_ as
 * sp_execute() gives them; after 0 or an error the stream is over and every further
 * call returns the same.
 * Thread: any but a callback, one at a time. Since: 0.1
 */
SP_API int sp_stream_next(sp_stream *stream, sp_chunk *ret_chunk, sp_error *err);

/* Ask the stream to end: the generator in the worker is closed (its finally runs) and
 * sp_stream_next() returns SP_ERR_CANCELLED. Thread: any. Since: 0.1 */
SP_API void sp_stream_cancel(sp_stream *stream);

/* The call behind the stream. */
SP_API sp_id sp_stream_call(const sp_stream *stream);

/* Release the stream, cancelling it when it has not ended. NULL is fine. */
SP_API void sp_stream_close(sp_stream *stream);

/* Return 0 to go on, anything else to stop the stream. */
typedef int (*sp_chunk_cb)(const sp_chunk *chunk, void *user_data);

/*
 * Run a stream to its end and hand every chunk to `cb`, on this thread.
 *
 * Errors: as sp_execute(), and SP_ERR_STOPPED_BY_CALLBACK when `cb` asked to stop (the
 * producer is cancelled).
 * Thread: any but a callback. Since: 0.1
 */
SP_API int sp_execute_stream(sp_pit *pit, const char *tool, sp_bytes args_json,
                             const sp_call_options *options, sp_chunk_cb cb,
                             void *user_data, sp_error *err);

/* As sp_execute_stream(), in a session. Since: 0.1 */
SP_API int sp_execute_in_session_stream(sp_pit *pit, const char *session,
                                        const char *tool, sp_bytes args_json,
                                        const sp_call_options *options, sp_chunk_cb cb,
                                        void *user_data, sp_error *err);

/*
 * Start a stream whose chunks arrive inside sp_pit_dispatch().
 *
 * chunk_cb  called for every chunk, in order; stops the stream by returning non-zero
 * end_cb    called exactly once, last; reply->result is NULL, reply->error is NULL when
 *           the stream came to its end
 *
 * Parameters and errors as in sp_call_start(). Since: 0.1
 */
SP_API int sp_stream_start(sp_pit *pit, const char *tool, sp_bytes args_json,
                           const sp_call_options *options, sp_chunk_cb chunk_cb,
                           sp_reply_cb end_cb, void *user_data, sp_id *ret_call,
                           sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
