/* SPDX-License-Identifier: MIT */
/*
 * Calls of a daemon in public: a stream of messages, of which each is an answer. The last
 * one that was told stays until the next is asked for.
 */
#include "snakepit/daemon_call.h"

#include "api/daemon.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"
#include "serve/remote.h"
#include "wire/proto.h"

struct sp_daemon_call {
    struct remote_stream *stream;
    int streams;
    int is_told; /* the message in front has been: it goes with the next question */
};

SP_API int sp_daemon_call_open(sp_daemon *daemon, const char *tool, sp_bytes args,
                               const sp_call_options *options, int streams,
                               sp_daemon_call **ret_call, sp_error *err)
{
    sp_call_options full = {0};
    if (daemon == NULL || tool == NULL || tool[0] == '\0' || ret_call == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a daemon, a tool and a place for the call are needed");
    }
    int rc = sp__take_options("sp_call_options", options, &full, sizeof full, err);
    if (rc == SP_OK && full.binaries_count > 0) {
        rc = sp__fail(err, SP_ERR_INVAL, "calls of a daemon have no binaries yet");
    }
    sp_daemon_call *call = rc < 0 ? NULL : sp__calloc(1, sizeof *call);
    if (call == NULL) {
        return rc < 0 ? rc : sp__fail(err, SP_ERR_NOMEM, "no memory for a call");
    }
    const struct remote_call wish = {
        .tool = tool, .args = args, .options = &full, .streams = streams};
    call->streams = streams;
    rc = sp__remote_call_open(daemon->remote, &wish, &call->stream, err);
    if (rc < 0) {
        sp__free(call);
        return rc;
    }
    *ret_call = call;
    return SP_OK;
}

/* A message as an answer. 0: it has nothing but the end of the stream in it. */
static int read_answer(const sp_daemon_call *call, sp_bytes message,
                       sp_daemon_answer *ret_answer, sp_error *err)
{
    struct proto_response response;
    struct proto_chunk chunk;
    int rc;
    if (call->streams) {
        rc = sp__proto_get_chunk(message.data, message.size, &chunk, err);
        if (rc == SP_OK) {
            *ret_answer = (sp_daemon_answer){chunk.data, chunk.binary};
            return !chunk.is_final || chunk.data.size > 0;
        }
        return rc;
    }
    rc = sp__proto_get_response(message.data, message.size, &response, err);
    if (rc == SP_OK && !response.success) {
        return sp__fail(err, SP_ERR_REMOTE, "%.*s", (int)response.error_message.size,
                        (const char *)response.error_message.data);
    }
    if (rc == SP_OK) {
        *ret_answer = (sp_daemon_answer){response.result_json, response.binary_result};
    }
    return rc < 0 ? rc : 1;
}

SP_API int sp_daemon_call_next(sp_daemon_call *call, uint64_t timeout_ms,
                               sp_daemon_answer *ret_answer, sp_error *err)
{
    if (call == NULL || ret_answer == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a call and a place for its answer are needed");
    }
    for (;;) {
        sp_bytes message;
        if (call->is_told) {
            sp__remote_stream_pop(call->stream);
            call->is_told = 0;
        }
        if (sp__remote_stream_is_over(call->stream)) {
            return 0;
        }
        int rc = sp__remote_stream_peek(call->stream, timeout_ms, &message, err);
        if (rc == 0) {
            return sp__fail(err, SP_ERR_NOT_READY, "the daemon has not answered yet");
        }
        if (rc < 0) {
            if (sp__remote_stream_is_over(call->stream)) {
                sp_error_clear(err);
                return 0;
            }
            return rc;
        }
        call->is_told = 1;
        rc = read_answer(call, message, ret_answer, err);
        if (rc != 0) {
            return rc;
        }
    }
}

SP_API void sp_daemon_call_close(sp_daemon_call *call)
{
    if (call != NULL) {
        sp__remote_stream_close(call->stream);
        sp__free(call);
    }
}
