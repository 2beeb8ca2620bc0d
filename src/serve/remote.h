/* SPDX-License-Identifier: MIT */
/* A daemon, by its socket: the set of sessions that it keeps, and what it tells. */
#ifndef SP_SERVE_REMOTE_H
#define SP_SERVE_REMOTE_H

#include "snakepit/call.h"
#include "snakepit/variable.h"
#include "wire/stubs.h"

struct remote;

/* Connect to "unix:/path". timeout_ms is the longest any question may take. Errors:
 * SP_ERR_UNSUPPORTED, SP_ERR_CONFIG (the address), SP_ERR_SYSTEM, SP_ERR_TIMEOUT,
 * SP_ERR_NOMEM. */
int sp__remote_open(const char *address, uint64_t timeout_ms,
                    struct remote **ret_remote, sp_error *err) SP_MUST_CHECK;
/* Not while a thread uses it, nor before its watches are closed. NULL is fine. */
void sp__remote_close(struct remote *remote);

/* For the stubs of wire/. Any thread: each question has a connection for itself. */
const struct caller *sp__remote_caller(const struct remote *remote);

/* What a daemon tells as it happens; each stream has a connection of its own. */
struct remote_stream;
/* NULL is fine. */
void sp__remote_stream_close(struct remote_stream *stream);
/* The next message, borrowed until it is popped: 1, or 0 when none comes in time. Errors:
 * SP_ERR_CLOSED, or why the daemon has ended it. */
int sp__remote_stream_peek(struct remote_stream *stream, uint64_t timeout_ms,
                           sp_bytes *ret_message, sp_error *err) SP_MUST_CHECK;
void sp__remote_stream_pop(struct remote_stream *stream);

/* It has ended well, and all has been popped. */
int sp__remote_stream_is_over(const struct remote_stream *stream);

/* A call of a tool, on its way at once: messages are ExecuteToolResponse, or ToolChunk. */
struct remote_call {
    const char *tool;
    sp_bytes args;
    const sp_call_options *options; /* complete; without binaries */
    int streams;
};
int sp__remote_call_open(struct remote *remote, const struct remote_call *call,
                         struct remote_stream **ret_stream,
                         sp_error *err) SP_MUST_CHECK;

/* Watches of variables, as sp_watch_open() and so on say. */
int sp__remote_watch_open(struct remote *remote, const char *session,
                          const sp_watch_options *options,
                          struct remote_stream **ret_watch,
                          sp_error *err) SP_MUST_CHECK;
int sp__remote_watch_next(struct remote_stream *watch, uint64_t timeout_ms,
                          sp_change *ret_change, sp_error *err) SP_MUST_CHECK;

/* Events; a message is a WatchEventsResponse. */
struct proto_events_watch;
int sp__remote_events_open(struct remote *remote, const struct proto_events_watch *wish,
                           struct remote_stream **ret_events,
                           sp_error *err) SP_MUST_CHECK;

#endif
