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
#include "wire/proto_table.h"

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

/* InitializeSessionRequest. */
struct proto_session_begin {
    const char *session_id;
    struct proto_run metadata; /* struct proto_text_entry */
    int64_t ttl_ms;            /* 0: as the host has it, -1: never ends */
    const char *durability;
    const char *metadata_json; /* instead of `metadata` */
    int must_create;
};
PROTO_MESSAGE_OF(session_begin)

/* InitializeSessionResponse. The tools and variables of a session are put behind it, as
 * items 3 and 4. */
struct proto_session_begin_reply {
    int success;
    const char *error_message;
    int created;
};
PROTO_MESSAGE_OF(session_begin_reply)

/* CleanupSessionRequest. */
struct proto_session_end {
    const char *session_id;
    int force;
};
PROTO_MESSAGE_OF(session_end)

/* CleanupSessionResponse. */
struct proto_session_end_reply {
    int success;
    int32_t resources_cleaned;
};
PROTO_MESSAGE_OF(session_end_reply)

/* GetSessionRequest. */
struct proto_session_get {
    const char *session_id;
    int peek; /* only whether there is one; does not count as use */
};
PROTO_MESSAGE_OF(session_get)

/* GetSessionResponse. */
struct proto_session {
    const char *session_id;
    struct proto_run metadata; /* struct proto_text_entry */
    uint64_t created_unix_ms;
    int32_t tool_count;     /* 0.4 has the number of variables here ... */
    int32_t tool_count_0_4; /* ... and of tools here */
    const char *metadata_json;
    int64_t ttl_ms; /* -1: never ends */
    int64_t remaining_ms;
    uint64_t used_unix_ms;
    uint64_t bytes;
    uint64_t variables;
    uint64_t programs;
    const char *durability;
};
PROTO_MESSAGE_OF(session)

/* UpdateSessionRequest. */
struct proto_session_update {
    const char *session_id;
    int64_t ttl_ms;            /* 0: as it is, -1: never ends */
    const char *metadata_json; /* "": as it is */
    int check;                 /* refused unless it is still so: */
    int64_t expected_ttl_ms;
    const char *expected_metadata_json;
};
PROTO_MESSAGE_OF(session_update)

/* ListSessionsRequest. The reply is a list of proto_session, items 1. */
struct proto_session_list {
    const char *pattern;
};
PROTO_MESSAGE_OF(session_list)

/* GetSessionStatsResponse. The request is empty. */
struct proto_session_stats {
    uint64_t sessions;
    uint64_t sessions_max;
    uint64_t sessions_created;
    uint64_t sessions_deleted;
    uint64_t sessions_expired;
    uint64_t cleanup_runs;
    uint64_t memory_bytes;
    uint64_t variables;
    uint64_t global_programs;
};
PROTO_MESSAGE_OF(session_stats)

/* HeartbeatRequest. */
struct proto_heartbeat {
    const char *session_id;
    uint64_t client_unix_ms;
};
PROTO_MESSAGE_OF(heartbeat)

/* HeartbeatResponse. */
struct proto_heartbeat_answer {
    uint64_t server_unix_ms;
    int session_valid;
};
PROTO_MESSAGE_OF(heartbeat_answer)

#endif
