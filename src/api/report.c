/* SPDX-License-Identifier: MIT */
/*
 * The public face of reports: one of the program's own pit is made on the caller's
 * thread, one of a daemon's is asked for. Events of a daemon come in messages of several,
 * of which the caller gets one after the other.
 */
#include "snakepit/report.h"

#include <string.h>

#include "api/daemon.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"
#include "serve/remote.h"
#include "telemetry/report.h"
#include "wire/proto_control.h"

static int check(const void *of, const char *name, sp_json_cb cb, sp_error *err)
{
    return of != NULL && name != NULL && cb != NULL
               ? SP_OK
               : sp__fail(err, SP_ERR_INVAL,
                          "whose report, its name and a callback are needed");
}

SP_API int sp_pit_report(sp_pit *pit, const char *name, const char *options,
                         sp_json_cb cb, void *user_data, sp_error *err)
{
    struct sp_buffer out;
    int rc = check(pit, name, cb, err);
    if (rc < 0) {
        return rc;
    }
    sp__buf_init(&out, SIZE_MAX / 2);
    rc = sp__report(pit, name, sp_text(options), &out, err);
    if (rc == SP_OK) {
        cb((sp_bytes){out.data, out.size}, user_data);
    }
    sp__buf_fini(&out);
    return rc;
}

SP_API int sp_daemon_connect(const char *address, uint64_t timeout_ms,
                             sp_daemon **ret_daemon, sp_error *err)
{
    if (address == NULL || ret_daemon == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "an address and a place for the daemon are needed");
    }
    sp_daemon *daemon = sp__calloc(1, sizeof *daemon);
    if (daemon == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a daemon");
    }
    int rc = sp__remote_open(address, timeout_ms, &daemon->remote, err);
    if (rc < 0) {
        sp__free(daemon);
        return rc;
    }
    *ret_daemon = daemon;
    return SP_OK;
}

SP_API void sp_daemon_close(sp_daemon *daemon)
{
    if (daemon != NULL) {
        sp__remote_close(daemon->remote);
        sp__free(daemon);
    }
}

SP_API int sp_daemon_report(sp_daemon *daemon, const char *name, const char *options,
                            sp_json_cb cb, void *user_data, sp_error *err)
{
    int rc = check(daemon, name, cb, err);
    return rc < 0 ? rc
                  : sp__stub_report(sp__remote_caller(daemon->remote), name, options,
                                    cb, user_data, err);
}

/* ---- workers ---- */

static int ask_for(sp_daemon *daemon, const char *path, const char *worker,
                   sp_daemon_worker *ret_worker, sp_error *err)
{
    return daemon == NULL || worker == NULL || ret_worker == NULL
               ? sp__fail(err, SP_ERR_INVAL,
                          "a daemon, a worker and a place for its name are needed")
               : sp__stub_worker(sp__remote_caller(daemon->remote), path, worker,
                                 ret_worker, err);
}

SP_API int sp_daemon_worker_drain(sp_daemon *daemon, const char *worker,
                                  sp_daemon_worker *ret_worker, sp_error *err)
{
    return ask_for(daemon, SP__PATH_DRAIN_WORKER, worker, ret_worker, err);
}

SP_API int sp_daemon_worker_kill(sp_daemon *daemon, const char *worker,
                                 sp_daemon_worker *ret_worker, sp_error *err)
{
    return ask_for(daemon, SP__PATH_KILL_WORKER, worker, ret_worker, err);
}

/* ---- events ---- */

struct sp_daemon_events {
    struct remote_stream *stream;
    size_t
        at; /* in the events of the message that is the next: those before are told */
};

SP_API int sp_daemon_events_open(sp_daemon *daemon,
                                 const sp_daemon_events_options *options,
                                 sp_daemon_events **ret_events, sp_error *err)
{
    sp_daemon_events_options full = {0};
    if (daemon == NULL || ret_events == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a daemon and a place for its events are needed");
    }
    int rc =
        sp__take_options("sp_daemon_events_options", options, &full, sizeof full, err);
    sp_daemon_events *events = rc < 0 ? NULL : sp__calloc(1, sizeof *events);
    if (events == NULL) {
        return rc < 0 ? rc : sp__fail(err, SP_ERR_NOMEM, "no memory to watch events");
    }
    const struct proto_events_watch wish = {
        .kinds = full.kinds, .pool = full.pool, .cursor = full.cursor};
    rc = sp__remote_events_open(daemon->remote, &wish, &events->stream, err);
    if (rc < 0) {
        sp__free(events);
        return rc;
    }
    *ret_events = events;
    return SP_OK;
}

/* Tell one line of a message; nothing is left of it: pop it. */
static void tell_one(sp_daemon_events *events, sp_bytes lines, sp_json_cb cb,
                     void *user_data)
{
    size_t left = lines.size - events->at;
    const char *line = (const char *)lines.data + events->at;
    const char *end = left > 0 ? memchr(line, '\n', left) : NULL;
    size_t length = end != NULL ? (size_t)(end - line) : left;
    if (length > 0) {
        cb((sp_bytes){line, length}, user_data);
    }
    events->at += length + (end != NULL);
    if (events->at >= lines.size) {
        events->at = 0;
        sp__remote_stream_pop(events->stream);
    }
}

SP_API int sp_daemon_events_next(sp_daemon_events *events, uint64_t timeout_ms,
                                 sp_json_cb cb, void *user_data, uint64_t *ret_dropped,
                                 sp_error *err)
{
    sp_bytes message;
    struct proto_memory memory = {0};
    struct proto_events_watch_reply reply;
    if (events == NULL || cb == NULL || ret_dropped == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "events, a callback and a place for a number are needed");
    }
    int rc = sp__remote_stream_peek(events->stream, timeout_ms, &message, err);
    *ret_dropped = 0;
    if (rc != 1) {
        return rc;
    }
    rc = sp__proto_get_events_watch_reply(message, &memory, &reply, err);
    if (rc == SP_OK) {
        *ret_dropped = events->at == 0 ? reply.dropped : 0;
        tell_one(events, reply.events, cb, user_data);
    } else if (rc != SP_ERR_NOMEM) {
        sp__remote_stream_pop(events->stream);
    }
    sp__proto_memory_fini(&memory);
    return rc < 0 ? rc : 1;
}

SP_API void sp_daemon_events_close(sp_daemon_events *events)
{
    if (events != NULL) {
        sp__remote_stream_close(events->stream);
        sp__free(events);
    }
}
