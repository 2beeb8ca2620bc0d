/* SPDX-License-Identifier: MIT */
/*
 * Streams: a call whose answer comes in pieces.
 *
 * The handle is for threads that pull; the started form is for those that dispatch. Both
 * read the same mailbox, and reading is what gives the producer credit to go on.
 */
#include "snakepit/stream.h"

#include "base/error.h"
#include "base/mem.h"
#include "pit/admit.h"
#include "pit/taker.h"

struct sp_stream {
    struct sp_pit *pit;
    struct request *request;
    int over;     /* 1: came to its end; negative: the error that ended it */
    sp_error end; /* that error */
};

static int prepare(struct sp_pit *pit, const char *session, const char *tool,
                   sp_bytes args_json, const sp_call_options *options,
                   enum request_taker taker, struct request **ret_request,
                   sp_error *err)
{
    if (pit == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a pit is needed");
    }
    struct call_wish wish = {.tool = tool,
                             .args_json = args_json,
                             .options = options,
                             .session = session,
                             .streaming = 1,
                             .taker = taker};
    return sp__admit(pit, &wish, ret_request, err);
}

static int open_stream(struct sp_pit *pit, const char *session, const char *tool,
                       sp_bytes args_json, const sp_call_options *options,
                       sp_stream **ret_stream, sp_error *err)
{
    struct sp_stream *stream = sp__calloc(1, sizeof *stream);
    if (stream == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a stream");
    }
    int rc = prepare(pit, session, tool, args_json, options, TAKER_WAITER,
                     &stream->request, err);
    if (rc < 0) {
        sp__free(stream);
        return rc;
    }
    stream->pit = pit;
    sp__taker_start(pit, stream->request);
    *ret_stream = stream;
    return SP_OK;
}

SP_API int sp_stream_open(sp_pit *pit, const char *tool, sp_bytes args_json,
                          const sp_call_options *options, sp_stream **ret_stream,
                          sp_error *err)
{
    if (ret_stream == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a place for the stream is needed");
    }
    return open_stream(pit, NULL, tool, args_json, options, ret_stream, err);
}

/* No chunk will come any more: find out how it ended. */
static int end_stream(struct sp_stream *stream)
{
    struct request *request = stream->request;
    (void)sp__latch_wait(&request->done, SP_UNLIMITED);
    if (request->error != NULL) {
        stream->over = sp__request_code(request);
        sp__request_take_error(request, &stream->end);
    } else {
        stream->over = 1;
    }
    return stream->over;
}

SP_API int sp_stream_next(sp_stream *stream, sp_chunk *ret_chunk, sp_error *err)
{
    if (stream == NULL || ret_chunk == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a stream and a place for a chunk are needed");
    }
    struct request *request = stream->request;
    while (stream->over == 0) {
        struct mailbox_chunk chunk;
        size_t credit;
        int rc = sp__mailbox_take(&request->mailbox, &chunk, &credit);
        if (rc == 0) {
            sp__taker_wait(stream->pit, request, credit);
            continue;
        }
        if (credit > 0) {
            sp__pit_grant(stream->pit, request, credit);
        }
        if (rc > 0) {
            *ret_chunk = (sp_chunk){.data = (const char *)chunk.data,
                                    .size = chunk.size,
                                    .index = request->mailbox.index - 1,
                                    .binary = chunk.binary,
                                    .binary_bytes = chunk.binary_size};
            return 1;
        }
        end_stream(stream);
    }
    if (stream->over < 0) {
        if (err != NULL) {
            sp__error_copy(err, &stream->end);
        }
        return stream->over;
    }
    return 0;
}

SP_API int sp_chunk_tensor(const sp_chunk *chunk, const char *pointer,
                           sp_tensor *ret_tensor, sp_error *err)
{
    if (chunk == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a chunk is needed");
    }
    sp_binary part = {.name = "", .value = {chunk->binary, chunk->binary_bytes}};
    return sp_tensor_find((sp_bytes){chunk->data, chunk->size}, pointer, &part, 1,
                          ret_tensor, err);
}

SP_API void sp_stream_cancel(sp_stream *stream)
{
    if (stream != NULL) {
        sp__pit_cancel_request(stream->pit, stream->request);
    }
}

SP_API sp_id sp_stream_call(const sp_stream *stream)
{
    return stream == NULL ? 0 : stream->request->id;
}

SP_API void sp_stream_close(sp_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    if (stream->over == 0) {
        sp_stream_cancel(stream);
    }
    sp_error_clear(&stream->end);
    sp__request_drop(stream->request);
    sp__free(stream);
}

static int execute_stream(struct sp_pit *pit, const char *session, const char *tool,
                          sp_bytes args_json, const sp_call_options *options,
                          sp_chunk_cb cb, void *user_data, sp_error *err)
{
    if (cb == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a callback for the chunks is needed");
    }
    sp_stream *stream;
    int rc = open_stream(pit, session, tool, args_json, options, &stream, err);
    if (rc < 0) {
        return rc;
    }
    sp_chunk chunk;
    while ((rc = sp_stream_next(stream, &chunk, err)) > 0) {
        if (cb(&chunk, user_data) != 0) {
            rc = sp__fail(err, SP_ERR_STOPPED_BY_CALLBACK,
                          "the callback stopped the stream at chunk %llu",
                          (unsigned long long)chunk.index);
            break;
        }
    }
    sp_stream_close(stream);
    if (rc == SP_OK) {
        sp_error_clear(err);
    }
    return rc;
}

SP_API int sp_execute_stream(sp_pit *pit, const char *tool, sp_bytes args_json,
                             const sp_call_options *options, sp_chunk_cb cb,
                             void *user_data, sp_error *err)
{
    return execute_stream(pit, NULL, tool, args_json, options, cb, user_data, err);
}

SP_API int sp_execute_in_session_stream(sp_pit *pit, const char *session,
                                        const char *tool, sp_bytes args_json,
                                        const sp_call_options *options, sp_chunk_cb cb,
                                        void *user_data, sp_error *err)
{
    if (session == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a session is needed");
    }
    return execute_stream(pit, session, tool, args_json, options, cb, user_data, err);
}

SP_API int sp_stream_start(sp_pit *pit, const char *tool, sp_bytes args_json,
                           const sp_call_options *options, sp_chunk_cb chunk_cb,
                           sp_reply_cb end_cb, void *user_data, sp_id *ret_call,
                           sp_error *err)
{
    if (chunk_cb == NULL || end_cb == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "callbacks for chunks and the end are needed");
    }
    struct request *request;
    int rc =
        prepare(pit, NULL, tool, args_json, options, TAKER_DISPATCH, &request, err);
    if (rc < 0) {
        return rc;
    }
    request->chunk_cb = chunk_cb;
    request->reply_cb = end_cb;
    request->user_data = user_data;
    if (ret_call != NULL) {
        *ret_call = request->id;
    }
    sp__pit_submit(pit, request);
    return SP_OK;
}
