/* SPDX-License-Identifier: MIT */
/* The calls about sessions, from the caller's side. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/stubs.h"

int sp__stub_session_create(const struct caller *caller, const char *id,
                            const sp_session_options *options, sp_error *err)
{
    const sp_session_options none = {.size = sizeof none};
    struct stub_call call = {0};
    options = options != NULL ? options : &none;
    const struct proto_session_begin request = {
        .session_id = id,
        .ttl_ms = sp__proto_from_ms(options->ttl_ms),
        .metadata_json = options->metadata,
        .must_create = !options->or_get,
        .durability = sp__proto_durability(options->durability),
    };
    struct proto_session_begin_reply reply;
    int rc = sp__stub_call(caller, &call, SP__PATH_INITIALIZE_SESSION,
                           &sp__proto_session_begin_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_session_begin_reply_table, &reply, err);
    }
    if (rc == SP_OK) {
        rc = reply.success ? reply.created
                           : sp__fail(err, SP_ERR_REFUSED, "%s", reply.error_message);
    }
    sp__stub_call_fini(&call);
    return rc;
}

static int get(const struct caller *caller, const char *id, int peek,
               sp_session_info *ret_info, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_session_get request = {.session_id = id, .peek = peek};
    struct proto_session reply;
    sp_session_info info;
    int rc = sp__stub_call(caller, &call, SP__PATH_GET_SESSION,
                           &sp__proto_session_get_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_session_table, &reply, err);
    }
    if (rc == SP_OK && ret_info != NULL) {
        sp__proto_to_session(&reply, &info);
        rc = sp__own_session(&info, ret_info, err);
    }
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_session_get(const struct caller *caller, const char *id,
                         sp_session_info *ret_info, sp_error *err)
{
    return get(caller, id, 0, ret_info, err);
}

int sp__stub_session_exists(const struct caller *caller, const char *id, sp_error *err)
{
    sp_error why = {0};
    int rc = get(caller, id, 1, NULL, &why);
    if (rc == SP_OK || rc == SP_ERR_NOT_FOUND) {
        sp_error_clear(&why);
        return rc == SP_OK;
    }
    sp_error_move(err, &why);
    return rc;
}

static int update(const struct caller *caller, const sp_session_info *before,
                  const sp_session_edit *edit, sp_error *err)
{
    struct stub_call call = {0};
    int same_ttl = edit->ttl_ms == before->ttl_ms;
    const struct proto_session_update request = {
        .session_id = before->id,
        .ttl_ms = same_ttl ? 0 : sp__proto_from_ms(edit->ttl_ms),
        .metadata_json = edit->metadata == before->metadata ? NULL : edit->metadata,
        .check = 1,
        .expected_ttl_ms = sp__proto_from_ms(before->ttl_ms),
        .expected_metadata_json = before->metadata,
    };
    int rc = sp__stub_call(caller, &call, SP__PATH_UPDATE_SESSION,
                           &sp__proto_session_update_table, &request, err);
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_session_update(const struct caller *caller, const char *id,
                            sp_session_edit_fn fn, void *user_data, sp_error *err)
{
    sp_session_info info;
    int rc = get(caller, id, 0, &info, err);
    if (rc < 0) {
        return rc;
    }
    sp_session_edit edit = {.ttl_ms = info.ttl_ms, .metadata = info.metadata};
    rc = fn(&info, &edit, user_data, err);
    if (rc == SP_OK) {
        rc = update(caller, &info, &edit, err);
    }
    sp__free(info.memory);
    return rc;
}

int sp__stub_session_delete(const struct caller *caller, const char *id, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_session_end request = {.session_id = id};
    struct proto_session_end_reply reply;
    int rc = sp__stub_call(caller, &call, SP__PATH_CLEANUP_SESSION,
                           &sp__proto_session_end_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_session_end_reply_table, &reply, err);
    }
    if (rc == SP_OK && reply.resources_cleaned == 0) {
        rc = sp__fail(err, SP_ERR_NOT_FOUND, "no session \"%.64s\"",
                      id != NULL ? id : "");
    }
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_sessions_list(const struct caller *caller, const char *pattern,
                           sp_session_cb cb, void *user_data, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_session_list request = {.pattern = pattern};
    struct proto_session item;
    size_t at = 0;
    int count = 0;
    int rc = sp__stub_call(caller, &call, SP__PATH_LIST_SESSIONS,
                           &sp__proto_session_list_table, &request, err);
    while (rc == SP_OK && (rc = sp__stub_next(&call, 1, &at, &sp__proto_session_table,
                                              &item, err)) > 0) {
        sp_session_info info;
        sp__proto_to_session(&item, &info);
        cb(&info, user_data);
        count++;
        rc = SP_OK;
    }
    sp__stub_call_fini(&call);
    return rc < 0 ? rc : count;
}

int sp__stub_sessions_stats(const struct caller *caller, sp_sessions_stats *ret_stats,
                            sp_error *err)
{
    struct stub_call call = {0};
    struct proto_session_stats reply;
    int rc = sp__stub_call(caller, &call, SP__PATH_GET_SESSION_STATS, NULL, NULL, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_session_stats_table, &reply, err);
    }
    if (rc == SP_OK) {
        *ret_stats = (sp_sessions_stats){
            .sessions = reply.sessions,
            .sessions_max = reply.sessions_max,
            .sessions_created = reply.sessions_created,
            .sessions_deleted = reply.sessions_deleted,
            .sessions_expired = reply.sessions_expired,
            .cleanup_runs = reply.cleanup_runs,
            .memory_bytes = reply.memory_bytes,
            .variables = reply.variables,
            .durability = (int)reply.durability,
            .store = (int)reply.store,
        };
    }
    sp__stub_call_fini(&call);
    return rc;
}
