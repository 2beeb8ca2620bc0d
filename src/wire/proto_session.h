/* SPDX-License-Identifier: MIT */
/*
 * Messages of sessions, as bridge.proto has them; see proto_table.h.
 */
#ifndef SP_WIRE_PROTO_SESSION_H
#define SP_WIRE_PROTO_SESSION_H

#include "wire/proto_table.h"

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
    uint32_t durability; /* SP_DURABILITY_ */
    uint32_t store;      /* SP_STORE_ */
};
PROTO_MESSAGE_OF(session_stats)

/* HeartbeatRequest. */
struct proto_heartbeat {
    const char *session_id;
    uint64_t client_unix_ms;
};
PROTO_MESSAGE_OF(heartbeat)

/* HeartbeatResponse. */
struct proto_heartbeat_reply {
    uint64_t server_unix_ms;
    int session_valid;
};
PROTO_MESSAGE_OF(heartbeat_reply)

#endif
