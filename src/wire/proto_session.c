/* SPDX-License-Identifier: MIT */
/* The tables of the messages of sessions: numbers as in bridge.proto. */
#include "wire/proto_session.h"

PROTO_TABLE(session_begin, "InitializeSessionRequest",
            PROTO_SLOT(session_begin, session_id, 1, PROTO_TEXT),
            PROTO_SLOT_OF(session_begin, metadata, 2, PROTO_ITEMS, text_entry),
            PROTO_SLOT(session_begin, ttl_ms, 16, PROTO_I64),
            PROTO_SLOT(session_begin, durability, 17, PROTO_TEXT),
            PROTO_SLOT(session_begin, metadata_json, 18, PROTO_JSON),
            PROTO_SLOT(session_begin, must_create, 19, PROTO_BOOL));

PROTO_TABLE(session_begin_reply, "InitializeSessionResponse",
            PROTO_SLOT(session_begin_reply, success, 1, PROTO_BOOL),
            PROTO_SLOT(session_begin_reply, error_message, 2, PROTO_TEXT),
            PROTO_SLOT(session_begin_reply, created, 16, PROTO_BOOL));

PROTO_TABLE(session_end, "CleanupSessionRequest",
            PROTO_SLOT(session_end, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(session_end, force, 2, PROTO_BOOL));

PROTO_TABLE(session_end_reply, "CleanupSessionResponse",
            PROTO_SLOT(session_end_reply, success, 1, PROTO_BOOL),
            PROTO_SLOT(session_end_reply, resources_cleaned, 2, PROTO_I32));

PROTO_TABLE(session_get, "GetSessionRequest",
            PROTO_SLOT(session_get, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(session_get, peek, 16, PROTO_BOOL));

PROTO_TABLE(session, "GetSessionResponse",
            PROTO_SLOT(session, session_id, 1, PROTO_TEXT),
            PROTO_SLOT_OF(session, metadata, 2, PROTO_ITEMS, text_entry),
            PROTO_SLOT(session, created_unix_ms, 3, PROTO_TIME),
            PROTO_SLOT(session, tool_count, 4, PROTO_I32),
            PROTO_SLOT(session, tool_count_0_4, 5, PROTO_I32),
            PROTO_SLOT(session, metadata_json, 16, PROTO_JSON),
            PROTO_SLOT(session, ttl_ms, 17, PROTO_I64),
            PROTO_SLOT(session, remaining_ms, 18, PROTO_I64),
            PROTO_SLOT(session, used_unix_ms, 19, PROTO_TIME),
            PROTO_SLOT(session, bytes, 20, PROTO_U64),
            PROTO_SLOT(session, variables, 21, PROTO_U64),
            PROTO_SLOT(session, programs, 22, PROTO_U64),
            PROTO_SLOT(session, durability, 23, PROTO_TEXT));

PROTO_TABLE(session_update, "UpdateSessionRequest",
            PROTO_SLOT(session_update, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(session_update, ttl_ms, 2, PROTO_I64),
            PROTO_SLOT(session_update, metadata_json, 3, PROTO_JSON),
            PROTO_SLOT(session_update, check, 4, PROTO_BOOL),
            PROTO_SLOT(session_update, expected_ttl_ms, 5, PROTO_I64),
            PROTO_SLOT(session_update, expected_metadata_json, 6, PROTO_JSON));

PROTO_TABLE(session_list, "ListSessionsRequest",
            PROTO_SLOT(session_list, pattern, 1, PROTO_TEXT));

PROTO_TABLE(session_stats, "GetSessionStatsResponse",
            PROTO_SLOT(session_stats, sessions, 1, PROTO_U64),
            PROTO_SLOT(session_stats, sessions_max, 2, PROTO_U64),
            PROTO_SLOT(session_stats, sessions_created, 3, PROTO_U64),
            PROTO_SLOT(session_stats, sessions_deleted, 4, PROTO_U64),
            PROTO_SLOT(session_stats, sessions_expired, 5, PROTO_U64),
            PROTO_SLOT(session_stats, cleanup_runs, 6, PROTO_U64),
            PROTO_SLOT(session_stats, memory_bytes, 7, PROTO_U64),
            PROTO_SLOT(session_stats, variables, 8, PROTO_U64),
            PROTO_SLOT(session_stats, global_programs, 9, PROTO_U64),
            PROTO_SLOT(session_stats, durability, 10, PROTO_U32),
            PROTO_SLOT(session_stats, store, 11, PROTO_U32));

PROTO_TABLE(heartbeat, "HeartbeatRequest",
            PROTO_SLOT(heartbeat, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(heartbeat, client_unix_ms, 2, PROTO_TIME));

PROTO_TABLE(heartbeat_reply, "HeartbeatResponse",
            PROTO_SLOT(heartbeat_reply, server_unix_ms, 1, PROTO_TIME),
            PROTO_SLOT(heartbeat_reply, session_valid, 2, PROTO_BOOL));
