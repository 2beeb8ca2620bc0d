/* SPDX-License-Identifier: MIT */
/*
 * Watching what a daemon has: the variables that it keeps, the events of its pit. Both
 * are streams of messages; the daemon's bound for changes is the watch's queue_max, and it
 * ends the stream when that is reached; of events the oldest go, and it says how many.
 */
#include "base/error.h"
#include "serve/remote_internal.h"
#include "wire/proto_control.h"

/* The bytes of a request, made by somebody, are those of a stream. */
static int open_stream(struct remote *remote, const char *path, int made,
                       struct sp_buffer *request, struct remote_stream **ret_stream,
                       sp_error *err)
{
    int rc = made;
    if (rc == SP_OK) {
        rc = sp__remote_stream_open(
            remote, path, (sp_bytes){(const char *)request->data, request->size},
            ret_stream, err);
    }
    sp__buf_fini(request);
    return rc;
}

/* ---- variables ---- */

int sp__remote_watch_open(struct remote *remote, const char *session,
                          const sp_watch_options *options,
                          struct remote_stream **ret_watch, sp_error *err)
{
    struct sp_buffer request;
    sp__buf_init(&request, SIZE_MAX);
    int made = sp__stub_watch_request(&request, session, options, err);
    return open_stream(remote, SP__PATH_WATCH_VARIABLES, made, &request, ret_watch,
                       err);
}

int sp__remote_watch_next(struct remote_stream *watch, uint64_t timeout_ms,
                          sp_change *ret_change, sp_error *err)
{
    sp_bytes message;
    int rc = sp__remote_stream_peek(watch, timeout_ms, &message, err);
    if (rc != 1) {
        return rc;
    }
    rc = sp__stub_watch_update(message, ret_change, err);
    if (rc == SP_ERR_NOMEM) {
        return rc; /* it stays the next */
    }
    sp__remote_stream_pop(watch);
    return rc < 0 ? rc : 1;
}

/* ---- events ---- */

int sp__remote_events_open(struct remote *remote, const struct proto_events_watch *wish,
                           struct remote_stream **ret_events, sp_error *err)
{
    struct sp_buffer request;
    sp__buf_init(&request, SIZE_MAX);
    int made = sp__proto_put_events_watch(&request, wish, err);
    return open_stream(remote, SP__PATH_WATCH_EVENTS, made, &request, ret_events, err);
}
