/* SPDX-License-Identifier: MIT */
/*
 * Answers about sessions: InitializeSession, CleanupSession, GetSession and Heartbeat as
 * the original's host gives them; UpdateSession, ListSessions and GetSessionStats.
 *
 * Beginning a session that exists is success and changes nothing, since workers do it
 * before each call; ending one that does not exist is success too and says so by its
 * count. GetSession and Heartbeat count as use.
 */
#include "session/sessions.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "serve/state.h"
#include "session/checks.h"
#include "session/variable.h"

int sp__answer_session_begin(const struct asking *asking, sp_bytes bytes,
                             struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_session_begin request;
    sp_session_options options = {.size = sizeof options};
    int rc = sp__question_read(&question, asking, &sp__proto_session_begin_table, bytes,
                               &request, err);
    if (rc == SP_OK) {
        rc = sp__proto_get_durability(request.durability, &options.durability, err);
    }
    if (rc == SP_OK) {
        options.ttl_ms = sp__proto_to_ms(request.ttl_ms);
        options.or_get = !request.must_create;
        rc = sp__question_metadata(&question, &request.metadata, request.metadata_json,
                                   &options.metadata, err);
    }
    if (rc == SP_OK) {
        rc = sp__session_create(asking->sessions, question.session, &options, err);
    }
    if (rc >= 0) {
        const struct proto_session_begin_reply made = {.success = 1, .created = rc};
        rc = sp__proto_put_session_begin_reply(reply, &made, err);
    }
    sp__question_fini(&question);
    return rc;
}

int sp__answer_session_end(const struct asking *asking, sp_bytes bytes,
                           struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_session_end request;
    int rc = sp__question_read(&question, asking, &sp__proto_session_end_table, bytes,
                               &request, err);
    if (rc == SP_OK) {
        rc = sp__session_delete(asking->sessions, question.session, err);
        int found = rc == SP_OK;
        if (found || rc == SP_ERR_NOT_FOUND) {
            const struct proto_session_end_reply made = {.success = 1,
                                                         .resources_cleaned = found};
            sp_error_clear(err);
            rc = sp__proto_put_session_end_reply(reply, &made, err);
        }
    }
    sp__question_fini(&question);
    return rc;
}

/* ---- one ---- */

/* A session as a message, with the map of its metadata in `memory`. */
static int fill_session(const sp_session_info *info, struct proto_memory *memory,
                        struct proto_session *ret, sp_error *err)
{
    sp__proto_from_session(info, ret);
    return sp__proto_get_metadata(info->metadata, memory, &ret->metadata, err);
}

static int put_existing(const struct question *question, struct sp_buffer *reply,
                        sp_error *err)
{
    const struct proto_session message = {.session_id = question->session};
    if (!sp__session_exists(question->asking->sessions, question->session)) {
        return sp__fail(err, SP_ERR_NOT_FOUND, "no session \"%s\"",
                        sp__excerpt(question->session, strlen(question->session)).text);
    }
    return sp__proto_put_session(reply, &message, err);
}

static int put_session(const struct question *question, struct sp_buffer *reply,
                       sp_error *err)
{
    struct proto_memory memory = {0};
    struct proto_session message;
    sp_session_info info = {0};
    int rc = sp__session_get(question->asking->sessions, question->session, &info, err);
    if (rc == SP_OK) {
        rc = fill_session(&info, &memory, &message, err);
    }
    if (rc == SP_OK) {
        rc = sp__proto_put_session(reply, &message, err);
    }
    sp__proto_memory_fini(&memory);
    sp__free(info.memory);
    return rc;
}

int sp__answer_session_get(const struct asking *asking, sp_bytes bytes,
                           struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_session_get request;
    int rc = sp__question_read(&question, asking, &sp__proto_session_get_table, bytes,
                               &request, err);
    if (rc == SP_OK) {
        rc = request.peek ? put_existing(&question, reply, err)
                          : put_session(&question, reply, err);
    }
    sp__question_fini(&question);
    return rc;
}

static int edit(const sp_session_info *info, sp_session_edit *edit, void *user_data,
                sp_error *err)
{
    const struct proto_session_update *request = user_data;
    int is_as_expected = sp__proto_from_ms(info->ttl_ms) == request->expected_ttl_ms &&
                         strcmp(info->metadata, request->expected_metadata_json) == 0;
    if (request->check && !is_as_expected) {
        return sp__fail(err, SP_ERR_CONFLICT, "session \"%s\" was changed meanwhile",
                        sp__excerpt(info->id, strlen(info->id)).text);
    }
    if (request->ttl_ms != 0) {
        edit->ttl_ms = sp__proto_to_ms(request->ttl_ms);
    }
    if (request->metadata_json[0] != '\0') {
        edit->metadata = request->metadata_json;
    }
    return SP_OK;
}

int sp__answer_session_update(const struct asking *asking, sp_bytes bytes,
                              struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_session_update request;
    int rc = sp__question_read(&question, asking, &sp__proto_session_update_table,
                               bytes, &request, err);
    if (rc == SP_OK) {
        rc =
            sp__session_update(asking->sessions, question.session, edit, &request, err);
    }
    if (rc == SP_OK) {
        rc = put_session(&question, reply, err);
    }
    sp__question_fini(&question);
    return rc;
}

int sp__answer_heartbeat(const struct asking *asking, sp_bytes bytes,
                         struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_heartbeat request;
    int rc = sp__question_read(&question, asking, &sp__proto_heartbeat_table, bytes,
                               &request, err);
    if (rc == SP_OK) {
        const struct proto_heartbeat_reply answer = {
            .server_unix_ms = sp__unix_ns() / 1000000u,
            .session_valid = sp__session_get(asking->sessions, question.session, NULL,
                                             NULL) == SP_OK,
        };
        rc = sp__proto_put_heartbeat_reply(reply, &answer, err);
    }
    sp__question_fini(&question);
    return rc;
}

/* ---- all ---- */

struct listing {
    const struct asking *asking;
    const char *pattern; /* or NULL */
    struct sp_buffer *reply;
    sp_error *err;
    int rc;
};

/* A call sees its own session only. */
static int is_wanted(const struct listing *listing, const char *id)
{
    const char *own = listing->asking->session;
    return (own[0] == '\0' || strcmp(own, id) == 0) &&
           (listing->pattern == NULL || sp__glob(listing->pattern, id));
}

static void put_listed(const sp_session_info *info, void *user_data)
{
    struct listing *listing = user_data;
    struct proto_memory memory = {0};
    struct proto_session message;
    if (listing->rc < 0 || !is_wanted(listing, info->id)) {
        return;
    }
    listing->rc = fill_session(info, &memory, &message, listing->err);
    if (listing->rc == SP_OK) {
        listing->rc = sp__table_put_item(listing->reply, 1, &sp__proto_session_table,
                                         &message, listing->err);
    }
    sp__proto_memory_fini(&memory);
}

int sp__answer_session_list(const struct asking *asking, sp_bytes bytes,
                            struct sp_buffer *reply, sp_error *err)
{
    struct proto_memory memory = {0};
    struct proto_session_list request;
    int rc = sp__proto_get_session_list(bytes, &memory, &request, err);
    if (rc == SP_OK) {
        struct listing listing = {.asking = asking,
                                  .pattern = sp__or_null(request.pattern),
                                  .reply = reply,
                                  .err = err};
        rc = sp__sessions_list(asking->sessions, put_listed, &listing, err);
        rc = rc < 0 ? rc : listing.rc;
    }
    sp__proto_memory_fini(&memory);
    return rc;
}

int sp__answer_session_stats(const struct asking *asking, sp_bytes bytes,
                             struct sp_buffer *reply, sp_error *err)
{
    sp_sessions_stats stats;
    sp__sessions_sum(asking->sessions, &stats);
    const struct proto_session_stats message = {
        .sessions = stats.sessions,
        .sessions_max = stats.sessions_max,
        .sessions_created = stats.sessions_created,
        .sessions_deleted = stats.sessions_deleted,
        .sessions_expired = stats.sessions_expired,
        .cleanup_runs = stats.cleanup_runs,
        .memory_bytes = stats.memory_bytes,
        .variables = stats.variables,
        .durability = (uint32_t)stats.durability,
        .store = (uint32_t)stats.store,
    };
    return sp__proto_put_session_stats(reply, &message, err);
}
