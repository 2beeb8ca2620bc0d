/* SPDX-License-Identifier: MIT */
/* A set of sessions that a daemon keeps: the same functions, spoken to its socket. */
#ifndef SP_SERVE_REMOTE_H
#define SP_SERVE_REMOTE_H

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

/* Watches, as sp_watch_open() and so on say; each has a connection of its own. */
struct remote_watch;
int sp__remote_watch_open(struct remote *remote, const char *session,
                          const sp_watch_options *options,
                          struct remote_watch **ret_watch, sp_error *err) SP_MUST_CHECK;
int sp__remote_watch_next(struct remote_watch *watch, uint64_t timeout_ms,
                          sp_change *ret_change, sp_error *err) SP_MUST_CHECK;
void sp__remote_watch_close(struct remote_watch *watch);

#endif
