/* SPDX-License-Identifier: MIT */
/* What questions and watches of a remote set of sessions share. */
#ifndef SP_SERVE_REMOTE_INTERNAL_H
#define SP_SERVE_REMOTE_INTERNAL_H

#include <pthread.h>

#include "serve/address.h"
#include "serve/line.h"
#include "serve/remote.h"

struct remote {
    /* Set before start, then constant. */
    char path[ADDRESS_PATH_MAX + 1];
    uint64_t timeout_ms;
    struct caller caller;

    pthread_mutex_t lock;
    struct list idle; /* under lock: lines without an rpc, the last used first */
};

/* A line that is the caller's from now on: one that was idle, or a new one. */
int sp__remote_line(struct remote *remote, uint64_t until_ms, struct line **ret_line,
                    sp_error *err) SP_MUST_CHECK;

/* Begin a stream of a line of its own with its one request. */
int sp__remote_stream_begin(struct remote *remote, const struct line_request *request,
                            struct remote_stream **ret_stream,
                            sp_error *err) SP_MUST_CHECK;

/* And wait until the daemon has taken it. Errors also: those with which
 * the daemon refuses it. */
int sp__remote_stream_open(struct remote *remote, const char *path, sp_bytes request,
                           struct remote_stream **ret_stream,
                           sp_error *err) SP_MUST_CHECK;

#endif
