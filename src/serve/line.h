/* SPDX-License-Identifier: MIT */
/* A connection to a daemon that one thread at a time uses, and waits on. */
#ifndef SP_SERVE_LINE_H
#define SP_SERVE_LINE_H

#include "base/buf.h"
#include "base/list.h"
#include "wire/h2.h"

struct line {
    struct link on_idle; /* of whoever keeps it for later */
    int fd;
    struct h2 *h2;
    struct sp_buffer out;
    size_t out_at;
    int leaving; /* the daemon takes no more requests on it */
};

/* What happens to an rpc of a line; hung on its stream. The stream may end inside any
 * function of this header. */
struct line_rpc {
    /* One message; not NULL. What it returns that is negative ends the rpc. */
    int (*on_message)(struct line_rpc *rpc, sp_bytes message, sp_error *err);
    struct h2_stream *stream; /* NULL once it is over */
    int accepted;             /* the headers of the answer came */
    int refused;              /* certainly nobody has looked at it */
    sp_error failure;         /* how it ended, when not well */
};

/* Connect by until_ms of the monotonic clock. Errors: SP_ERR_SYSTEM (nobody listens),
 * SP_ERR_TIMEOUT, SP_ERR_NOMEM. */
int sp__line_open(const char *path, uint64_t until_ms, struct line **ret_line,
                  sp_error *err) SP_MUST_CHECK;
/* Its rpcs are over, without a word. NULL is fine. */
void sp__line_close(struct line *line);

/* 1 when a request can go this way: it has not been ended meanwhile. */
int sp__line_is_usable(struct line *line);

/* What an rpc begins with. Borrowed while it does. */
struct line_request {
    const char *path;
    uint64_t timeout_ms; /* which the daemon is told, SP_UNLIMITED: none */
    const struct h2_header *headers;
    size_t headers_count;
    sp_bytes message;
};

/* Begin an rpc with its one message. */
int sp__line_begin(struct line *line, struct line_rpc *rpc,
                   const struct line_request *request, sp_error *err) SP_MUST_CHECK;

/* Forget an rpc: the daemon is told, nothing more of it is heard. */
void sp__line_forget(struct line_rpc *rpc);

/* Say what is due, and wait for something to happen, at most until until_ms
 * (UINT64_MAX: for ever): 1, or 0 when that time has come. Errors: SP_ERR_CLOSED: the
 * connection is over, and so are its rpcs. */
int sp__line_turn(struct line *line, uint64_t until_ms, sp_error *err) SP_MUST_CHECK;

#endif
