/* SPDX-License-Identifier: MIT */
/*
 * Answers about sessions: InitializeSession, CleanupSession, GetSession, Heartbeat, as
 * the original's host gives them.
 *
 * Beginning a session that exists is success and changes nothing, since workers do it
 * before each call; ending one that does not exist is success too and says so by its
 * count. GetSession and Heartbeat count as use.
 */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "serve/rpc.h"
#include "session/sessions.h"
#include "wire/json.h"
#include "wire/proto_session.h"

enum { METADATA_MAX = 1 << 20 /* beyond that no set of sessions takes it */ };

/* "key NUL value NUL" pairs become an object of texts. */
static int put_object(struct sp_buffer *out, const struct sp_buffer *pairs,
                      sp_error *err)
{
    const char *at = (const char *)pairs->data;
    const char *end = at + pairs->size;
    int rc = sp__buf_append(out, "{", 1, err);
    for (int i = 0; rc == SP_OK && at < end; i++) {
        size_t size = strlen(at);
        if (i > 0) {
            rc = sp__buf_append(out, i % 2 == 0 ? "," : ":", 1, err);
        }
        if (rc == SP_OK) {
            rc = sp__json_put_string(out, at, size, err);
        }
        at += size + 1;
    }
    return rc < 0 ? rc : sp__buf_append(out, "}", 2, err); /* and the end of the text */
}

static int open_session(const struct asking *asking, const char *named,
                        const struct sp_buffer *pairs, sp_error *err)
{
    struct sp_buffer metadata;
    const char *id;
    sp__buf_init(&metadata, METADATA_MAX);
    int rc = sp__asking_session(asking, named, &id, err);
    if (rc == SP_OK) {
        rc = put_object(&metadata, pairs, err);
    }
    if (rc == SP_OK) {
        sp_session_options options = {.metadata = (const char *)metadata.data,
                                      .or_get = 1};
        rc = sp__session_create(asking->sessions, id, &options, err);
    }
    sp__buf_fini(&metadata);
    return rc;
}

int sp__answer_session_open(const struct asking *asking, sp_bytes question,
                            struct sp_buffer *reply, sp_error *err)
{
    char *named = NULL;
    struct sp_buffer pairs;
    sp__buf_init(&pairs, METADATA_MAX);
    int rc =
        sp__proto_get_session_open(question.data, question.size, &named, &pairs, err);
    if (rc == SP_OK) {
        rc = open_session(asking, named, &pairs, err);
    }
    if (rc >= 0) {
        rc = sp__proto_put_session_open_reply(reply, 1, "", err);
    }
    sp__buf_fini(&pairs);
    sp__free(named);
    return rc;
}

/* The other three ask about a session by nothing but its id. */
static int read_session(const struct asking *asking, sp_bytes question,
                        char **ret_named, const char **ret_id, sp_error *err)
{
    int rc = sp__proto_get_session_id(question.data, question.size, ret_named, err);
    return rc < 0 ? rc : sp__asking_session(asking, *ret_named, ret_id, err);
}

int sp__answer_session_close(const struct asking *asking, sp_bytes question,
                             struct sp_buffer *reply, sp_error *err)
{
    char *named = NULL;
    const char *id;
    int rc = read_session(asking, question, &named, &id, err);
    if (rc == SP_OK) {
        rc = sp__session_delete(asking->sessions, id, err);
        int found = rc == SP_OK;
        if (found || rc == SP_ERR_NOT_FOUND) {
            sp_error_clear(err);
            rc = sp__proto_put_session_close_reply(reply, 1, found, err);
        }
    }
    sp__free(named);
    return rc;
}

/* A text as C has it: what would be behind a zero byte is left out. */
static int put_text(struct sp_buffer *out, const char *raw, size_t size, int is_escaped,
                    sp_error *err)
{
    int rc = sp__buf_reserve(out, size + 1, err);
    if (rc < 0) {
        return rc;
    }
    char *text = (char *)out->data + out->size;
    if (is_escaped) {
        size = sp__json_unescape(raw, size, text);
    } else {
        memcpy(text, raw, size);
    }
    text[size] = '\0';
    out->size += strlen(text) + 1;
    return SP_OK;
}

/* A JSON object becomes "key NUL value NUL" pairs; what is no text stays JSON. */
static int put_pairs(struct sp_buffer *out, const char *object, sp_error *err)
{
    size_t size = strlen(object);
    size_t at = 0;
    struct json_member member;
    int rc = SP_OK;
    while (rc == SP_OK && sp__json_next_member(object, size, &at, &member)) {
        rc = put_text(out, member.key, member.key_size, member.key_escaped, err);
        if (rc == SP_OK && sp__json_kind(member.value, member.value_size) == '"') {
            rc = put_text(out, member.value + 1, member.value_size - 2, 1, err);
        } else if (rc == SP_OK) {
            rc = put_text(out, member.value, member.value_size, 0, err);
        }
    }
    return rc;
}

int sp__answer_session_get(const struct asking *asking, sp_bytes question,
                           struct sp_buffer *reply, sp_error *err)
{
    char *named = NULL;
    const char *id;
    sp_session_info info = {0};
    struct sp_buffer pairs;
    sp__buf_init(&pairs, METADATA_MAX);
    int rc = read_session(asking, question, &named, &id, err);
    if (rc == SP_OK) {
        rc = sp__session_get(asking->sessions, id, &info, err);
    }
    if (rc == SP_OK) {
        rc = put_pairs(&pairs, info.metadata, err);
    }
    if (rc == SP_OK) {
        rc = sp__proto_put_session_reply(reply, info.id,
                                         (sp_bytes){pairs.data, pairs.size},
                                         info.created_unix_ms * 1000000u, 0, err);
    }
    sp__buf_fini(&pairs);
    sp__free(info.memory);
    sp__free(named);
    return rc;
}

int sp__answer_session_beat(const struct asking *asking, sp_bytes question,
                            struct sp_buffer *reply, sp_error *err)
{
    char *named = NULL;
    const char *id;
    int rc = read_session(asking, question, &named, &id, err);
    if (rc == SP_OK) {
        int valid = sp__session_get(asking->sessions, id, NULL, NULL) == SP_OK;
        rc = sp__proto_put_heartbeat_reply(reply, sp__unix_ns(), valid, err);
    }
    sp__free(named);
    return rc;
}
