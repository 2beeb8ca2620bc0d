/* SPDX-License-Identifier: MIT */
/* Posting to a collector over HTTP. One thread at a time. */
#ifndef SP_TELEMETRY_HTTP_H
#define SP_TELEMETRY_HTTP_H

#include <stdatomic.h>

#include "base/buf.h"
#include "snakepit/base.h"
#include "snakepit/error.h"

struct http;

struct http_reply {
    long status;            /* 200 ... */
    uint64_t retry_after_s; /* what the header says, 0: nothing */
    sp_bytes body; /* borrowed until the next one; cut to what is worth reading */
};

/* headers  NULL-terminated, "Name: value"; copied, as the url.
 * Errors: SP_ERR_UNSUPPORTED (libcurl is not there), SP_ERR_NOMEM. */
int sp__http_open(const char *url, const char *const *headers, struct http **ret_http,
                  sp_error *err) SP_MUST_CHECK;
void sp__http_close(struct http *http);

/* Post a body and wait for the answer, whatever its status: 0. Errors: SP_ERR_SYSTEM
 * (nobody listens, and so on), SP_ERR_TIMEOUT (or give_up_ms has come). */
int sp__http_post(struct http *http, sp_bytes body, uint64_t timeout_ms,
                  struct http_reply *ret, sp_error *err) SP_MUST_CHECK;

/* Any thread: what goes on at that time of the monotonic clock, and after it, ends. */
void sp__http_give_up_at(struct http *http, uint64_t give_up_ms);

#endif
