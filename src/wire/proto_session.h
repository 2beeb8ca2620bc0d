/* SPDX-License-Identifier: MIT */
/*
 * Messages of the session calls <-> plain structs: InitializeSession, CleanupSession,
 * GetSession, Heartbeat. Metadata is a run of "key NUL value NUL" pairs, so that one
 * buffer owns it.
 */
#ifndef SP_WIRE_PROTO_SESSION_H
#define SP_WIRE_PROTO_SESSION_H

#include <stdint.h>

#include "base/buf.h"
#include "snakepit/base.h"
#include "snakepit/error.h"

/* InitializeSessionRequest: *ret_id is the caller's (sp__free), metadata is
 * appended. */
int sp__proto_get_session_open(const uint8_t *data, size_t size, char **ret_id,
                               struct sp_buffer *metadata, sp_error *err) SP_MUST_CHECK;
int sp__proto_put_session_open_reply(struct sp_buffer *out, int success,
                                     const char *error_message,
                                     sp_error *err) SP_MUST_CHECK;

/* The session's id out of a CleanupSessionRequest, GetSessionRequest or
 * HeartbeatRequest; the caller's (sp__free). */
int sp__proto_get_session_id(const uint8_t *data, size_t size, char **ret_id,
                             sp_error *err) SP_MUST_CHECK;

int sp__proto_put_session_close_reply(struct sp_buffer *out, int success,
                                      int32_t resources_cleaned,
                                      sp_error *err) SP_MUST_CHECK;
int sp__proto_put_session_reply(struct sp_buffer *out, const char *id,
                                sp_bytes metadata, uint64_t created_unix_ns,
                                int32_t tool_count, sp_error *err) SP_MUST_CHECK;
int sp__proto_put_heartbeat_reply(struct sp_buffer *out, uint64_t unix_ns, int valid,
                                  sp_error *err) SP_MUST_CHECK;

#endif
