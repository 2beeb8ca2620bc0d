/* SPDX-License-Identifier: MIT */
/*
 * Streams: a call whose answer comes in pieces.
 *
 * The handle is for threads that pull; the started form is for those that dispatch. Both
 * read the same mailbox, and reading is what gives the producer credit to go on.
 */
#include "snakepit/stream.h"

#include "base/error.h"
#include "pit/admit.h"
#include "pit/taker.h"

/* A handle is the taker's reference of the request. */
static struct request *request_of(sp_stream *stream)
{
    return (struct request *)(void *)stream;
}

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
    struct request *request;
    int rc =
        prepare(pit, session, tool, args_json, options, TAKER_WAITER, &request, err);
    if (rc < 0) {
        return rc;
    }
    sp__taker_start(pit, request);
    *ret_stream = (sp_stream *)(void *)request;
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

/* No chunk will come any more: how it ended. */
static int tell_end(struct request *request, sp_error *err)
{
    (void)sp__latch_wait(&request->done, SP_UNLIMITED);
    if (request->error != NULL && err != NULL) {
        sp__error_copy(err, request->error);
    }
    return sp__request_code(request);
}

SP_API int sp_stream_next(sp_stream *stream, sp_chunk *ret_chunk, sp_error *err)
{
    if (stream == NULL || ret_chunk == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a stream and a place for a chunk are needed");
    }
    struct request *request = request_of(stream);
    struct mailbox_chunk chunk;
    size_t credit;
    int rc;
    while ((rc = sp__mailbox_take(&request->mailbox, &chunk, &credit)) == 0) {
        sp__taker_wait(request, credit);
    }
    if (rc < 0) {
        return tell_end(request, err);
    }
    if (credit > 0) {
        sp__pit_grant(request, credit);
    }
    *ret_chunk = (sp_chunk){.data = (const char *)chunk.data,
                            .size = chunk.size,
                            .index = request->mailbox.index - 1,
                            .binary = chunk.binary,
                            .binary_bytes = chunk.binary_size};
    return 1;
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
        sp__pit_cancel_request(request_of(stream));
    }
}

SP_API sp_id sp_stream_call(const sp_stream *stream)
{
    return stream == NULL ? 0 : ((const struct request *)(const void *)stream)->id;
}

SP_API void sp_stream_close(sp_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    struct request *request = request_of(stream);
    if (!sp__latch_is_open(&request->done)) {
        sp_stream_cancel(stream);
    }
    sp__request_drop(request);
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
