/* SPDX-License-Identifier: MIT */
/*
 * A job watches variables of its session: a stream from the host, whose messages are
 * changes. What is not taken waits with the host, which bounds it. The watch is open once
 * the host has begun to answer: it sees every change from then on, whoever makes it.
 */
#include "snakepit/worker_state.h"

#include "base/error.h"
#include "runtime/runtime.h"

SP_API int sp_job_watch_open(sp_job *job, const sp_watch_options *options,
                             sp_job_watch **ret_watch, sp_error *err)
{
    sp_watch_options full;
    struct sp_buffer request;
    sp_host_stream *stream;
    int rc = sp__job_options(&full, sizeof full, options, err);
    if (rc < 0) {
        return rc;
    }
    sp__buf_init(&request, UINT32_MAX);
    rc = sp__stub_watch_request(&request, NULL, &full, err);
    if (rc == SP_OK) {
        rc = sp__host_stream_open(
            job,
            &(struct question){.path = SP__PATH_WATCH_VARIABLES,
                               .request = {request.data, request.size}},
            &stream, err);
    }
    if (rc == SP_OK) {
        rc = sp__host_stream_await_begin(stream, err);
        if (rc < 0) {
            sp_host_stream_close(stream);
        }
    }
    if (rc == SP_OK) {
        *ret_watch = (sp_job_watch *)stream; /* nothing of its own */
    }
    sp__buf_fini(&request);
    return rc;
}

SP_API int sp_job_watch_next(sp_job_watch *watch, uint64_t timeout_ms,
                             sp_change *ret_change, sp_error *err)
{
    sp_bytes message;
    sp_error failure = {0};
    sp_host_stream *stream = (sp_host_stream *)watch;
    int rc = sp__host_stream_take(stream, timeout_ms, &message, &failure);
    if (rc > 0) {
        rc = sp__stub_watch_update(message, ret_change, &failure);
        rc = rc < 0 ? rc : 1;
    } else if (rc == SP_ERR_TIMEOUT && sp__host_stream_goes_on(stream)) {
        rc = 0;
    } else if (rc == 0) {
        rc = sp__fail(&failure, SP_ERR_NOT_FOUND, "the session has ended");
    }
    if (rc < 0 && err != NULL) {
        sp_error_move(err, &failure);
    }
    sp_error_clear(&failure);
    return rc;
}

SP_API void sp_job_watch_close(sp_job_watch *watch)
{
    sp_host_stream_close((sp_host_stream *)watch);
}
