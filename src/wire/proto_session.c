/* SPDX-License-Identifier: MIT */
/*
 * The session messages, through the code protobuf-c generates. They are rare: nothing
 * here is in a hurry. What cannot be read is SP_ERR_PROTOCOL, as everywhere.
 */
#include "wire/proto_session.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "snakepit/bridge.pb-c.h"
#include "wire/proto_internal.h"

typedef Snakepit__Bridge__GetSessionResponse__MetadataEntry reply_entry;

static Google__Protobuf__Timestamp stamp(uint64_t unix_ns)
{
    Google__Protobuf__Timestamp stamp = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    stamp.seconds = (int64_t)(unix_ns / 1000000000u);
    stamp.nanos = (int32_t)(unix_ns % 1000000000u);
    return stamp;
}

static int put_text(struct sp_buffer *out, const char *text, sp_error *err)
{
    return sp__buf_append(out, text, strlen(text) + 1, err);
}

int sp__proto_get_session_open(const uint8_t *data, size_t size, char **ret_id,
                               struct sp_buffer *metadata, sp_error *err)
{
    ProtobufCMessage *message = sp__proto_unpack(
        &snakepit__bridge__initialize_session_request__descriptor, data, size, err);
    if (message == NULL) {
        return err != NULL ? err->code : SP_ERR_PROTOCOL;
    }
    const Snakepit__Bridge__InitializeSessionRequest *request =
        (const Snakepit__Bridge__InitializeSessionRequest *)message;
    int rc = SP_OK;
    for (size_t i = 0; rc == SP_OK && i < request->n_metadata; i++) {
        rc = put_text(metadata, request->metadata[i]->key, err);
        if (rc == SP_OK) {
            rc = put_text(metadata, request->metadata[i]->value, err);
        }
    }
    if (rc == SP_OK) {
        *ret_id = sp__strdup(request->session_id);
        rc = *ret_id != NULL
                 ? SP_OK
                 : sp__fail(err, SP_ERR_NOMEM, "no memory for a session's id");
    }
    sp__proto_unpack_free(message);
    return rc;
}

int sp__proto_put_session_open_reply(struct sp_buffer *out, int success,
                                     const char *error_message, sp_error *err)
{
    Snakepit__Bridge__InitializeSessionResponse reply =
        SNAKEPIT__BRIDGE__INITIALIZE_SESSION_RESPONSE__INIT;
    reply.success = success;
    reply.error_message = (char *)(uintptr_t)error_message;
    return sp__proto_pack(out, &reply.base, err);
}

/* Field 1 in all three; a reader skips what it does not know. */
int sp__proto_get_session_id(const uint8_t *data, size_t size, char **ret_id,
                             sp_error *err)
{
    struct proto_reader reader = {.at = data, .end = data + size};
    struct proto_field field;
    sp_bytes id = {"", 0};
    int rc;
    while ((rc = sp__proto_next(&reader, &field)) > 0) {
        if (field.number == 1 && field.type == PROTO_BYTES) {
            id = field.bytes;
        }
    }
    if (rc < 0 || (id.size > 0 && memchr(id.data, 0, id.size) != NULL)) {
        return sp__proto_malformed(err, "session request");
    }
    *ret_id = sp__strndup(id.size > 0 ? id.data : "", id.size);
    return *ret_id != NULL
               ? SP_OK
               : sp__fail(err, SP_ERR_NOMEM, "no memory for a session's id");
}

int sp__proto_put_session_close_reply(struct sp_buffer *out, int success,
                                      int32_t resources_cleaned, sp_error *err)
{
    Snakepit__Bridge__CleanupSessionResponse reply =
        SNAKEPIT__BRIDGE__CLEANUP_SESSION_RESPONSE__INIT;
    reply.success = success;
    reply.resources_cleaned = resources_cleaned;
    return sp__proto_pack(out, &reply.base, err);
}

static size_t count_texts(sp_bytes run)
{
    size_t n = 0;
    for (size_t i = 0; i < run.size; i++) {
        n += ((const char *)run.data)[i] == '\0';
    }
    return n;
}

int sp__proto_put_session_reply(struct sp_buffer *out, const char *id,
                                sp_bytes metadata, uint64_t created_unix_ns,
                                int32_t tool_count, sp_error *err)
{
    size_t count = count_texts(metadata) / 2;
    reply_entry *entries = sp__calloc(count + 1, sizeof *entries);
    reply_entry **pointers = sp__calloc(count + 1, sizeof *pointers);
    int rc = SP_OK;
    if (entries == NULL || pointers == NULL) {
        rc = sp__fail(err, SP_ERR_NOMEM, "no memory for a session's metadata");
        goto free_entries;
    }
    char *at = (char *)(uintptr_t)metadata.data;
    for (size_t i = 0; i < count; i++) {
        entries[i] =
            (reply_entry)SNAKEPIT__BRIDGE__GET_SESSION_RESPONSE__METADATA_ENTRY__INIT;
        entries[i].key = at;
        at += strlen(at) + 1;
        entries[i].value = at;
        at += strlen(at) + 1;
        pointers[i] = &entries[i];
    }
    Google__Protobuf__Timestamp created = stamp(created_unix_ns);
    Snakepit__Bridge__GetSessionResponse reply =
        SNAKEPIT__BRIDGE__GET_SESSION_RESPONSE__INIT;
    reply.session_id = (char *)(uintptr_t)id;
    reply.metadata = pointers;
    reply.n_metadata = count;
    reply.created_at = &created;
    reply.tool_count = tool_count;
    rc = sp__proto_pack(out, &reply.base, err);
free_entries:
    sp__free(entries);
    sp__free(pointers);
    return rc;
}

int sp__proto_put_heartbeat_reply(struct sp_buffer *out, uint64_t unix_ns, int valid,
                                  sp_error *err)
{
    Google__Protobuf__Timestamp now = stamp(unix_ns);
    Snakepit__Bridge__HeartbeatResponse reply =
        SNAKEPIT__BRIDGE__HEARTBEAT_RESPONSE__INIT;
    reply.server_time = &now;
    reply.session_valid = valid;
    return sp__proto_pack(out, &reply.base, err);
}

/* ---- the tables: numbers as in bridge.proto ---- */

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
            PROTO_SLOT(session_stats, global_programs, 9, PROTO_U64));

PROTO_TABLE(heartbeat, "HeartbeatRequest",
            PROTO_SLOT(heartbeat, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(heartbeat, client_unix_ms, 2, PROTO_TIME));

PROTO_TABLE(heartbeat_answer, "HeartbeatResponse",
            PROTO_SLOT(heartbeat_answer, server_unix_ms, 1, PROTO_TIME),
            PROTO_SLOT(heartbeat_answer, session_valid, 2, PROTO_BOOL));
