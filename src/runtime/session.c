/* SPDX-License-Identifier: MIT */
/*
 * The session calls a worker answers for itself: which sessions were begun here.
 *
 * A stock client that talks to a worker directly begins a session, keeps it alive and
 * ends it; the worker remembers ids and metadata, nothing else. The table is bounded:
 * when it is full a new session is refused, since forgetting an old one behind its
 * owner's back would be worse. Everything under smu.
 *
 * The host's CleanupSession says that a session is over whose calls have run here: the
 * binding is told by a thread that takes jobs, in the order of the line.
 */
#include "runtime/runtime.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "wire/proto_state.h"

enum { ID_MAX = 255, METADATA_MAX = 16 * 1024 };

static struct session *find(struct sp_worker *w, const char *id)
{
    for (struct link *link = w->sessions.first; link != NULL; link = link->next) {
        struct session *session = ITEM(link, struct session, on_sessions);
        if (strcmp(session->id, id) == 0) {
            return session;
        }
    }
    return NULL;
}

static void session_free(struct session *session)
{
    sp__list_remove(&session->on_sessions);
    sp__free(session->metadata);
    sp__free(session->id);
    sp__free(session);
}

void sp__sessions_free(struct sp_worker *w)
{
    struct link *link;
    while ((link = w->sessions.first) != NULL) {
        session_free(ITEM(link, struct session, on_sessions));
    }
}

/* The session of this id, begun now if there is none. */
static int need(struct sp_worker *w, const char *id, struct session **ret_session,
                sp_error *err)
{
    size_t size = strlen(id);
    if (size == 0 || size > ID_MAX) {
        return sp__fail(err, SP_ERR_INVAL, "a session's id has 1 to %d bytes",
                        (int)ID_MAX);
    }
    struct session *session = find(w, id);
    if (session == NULL) {
        if (w->sessions.length == SESSIONS_MAX) {
            return sp__fail(err, SP_ERR_QUEUE_FULL, "%d sessions are open already",
                            (int)SESSIONS_MAX);
        }
        session = sp__calloc(1, sizeof *session);
        if (session == NULL || (session->id = sp__strdup(id)) == NULL) {
            sp__free(session);
            return sp__fail(err, SP_ERR_NOMEM, "no memory for a session");
        }
        session->created_ns = sp__unix_ns();
        sp__list_append(&w->sessions, &session->on_sessions);
    }
    *ret_session = session;
    return SP_OK;
}

/* A session that exists is begun again: its metadata is replaced. */
static int begin(struct sp_worker *w, sp_bytes question, struct sp_buffer *out,
                 sp_error *err)
{
    const struct proto_session_begin_reply reply = {.success = 1};
    struct proto_session_begin request;
    struct proto_memory memory = {0};
    struct sp_buffer metadata;
    struct session *session = NULL;
    sp__buf_init(&metadata, METADATA_MAX);
    int rc = sp__proto_get_session_begin(question, &memory, &request, err);
    if (rc == SP_OK) {
        rc = sp__proto_put_metadata(&metadata, &request.metadata, err);
    }
    if (rc == SP_OK) {
        rc = need(w, request.session_id, &session, err);
    }
    if (rc == SP_OK) {
        uint8_t *object;
        size_t size;
        sp__buf_take(&metadata, &object, &size);
        sp__free(session->metadata);
        session->metadata = (char *)object;
        rc = sp__proto_put_session_begin_reply(out, &reply, err);
    }
    sp__buf_fini(&metadata);
    sp__proto_memory_fini(&memory);
    return rc;
}

static int describe(struct sp_worker *w, const struct session *session,
                    struct proto_memory *memory, struct sp_buffer *out, sp_error *err)
{
    struct proto_session reply = {.session_id = session->id,
                                  .metadata_json = session->metadata,
                                  .created_unix_ms = session->created_ns / 1000000u,
                                  .tool_count = (int32_t)w->tools_count,
                                  .tool_count_0_4 = (int32_t)w->tools_count};
    int rc = sp__proto_get_metadata(session->metadata, memory, &reply.metadata, err);
    return rc < 0 ? rc : sp__proto_put_session(out, &reply, err);
}

/* Only a host's word that a session is over goes on to the binding. */
static int end(struct sp_worker *w, int is_host, struct session *session,
               const char *id, struct sp_buffer *out, sp_error *err)
{
    const struct proto_session_end_reply reply = {.success = 1,
                                                  .resources_cleaned = session != NULL};
    int rc = SP_OK;
    if (session != NULL) {
        session_free(session);
    }
    if (w->options.on_session_end != NULL && is_host) {
        rc = sp__job_push_session_end(w, id, err);
    }
    return rc < 0 ? rc : sp__proto_put_session_end_reply(out, &reply, err);
}

/* The other three, whose questions begin with the session's id as GetSession's does. */
static int answer(struct sp_worker *w, int is_host, enum rpc_method method,
                  sp_bytes question, struct sp_buffer *out, sp_error *err)
{
    struct proto_session_get request;
    struct proto_memory memory = {0};
    int rc = sp__proto_get_session_get(question, &memory, &request, err);
    struct session *session = rc == SP_OK ? find(w, request.session_id) : NULL;
    if (rc == SP_OK && method == RPC_SESSION_HEARTBEAT) {
        const struct proto_heartbeat_reply reply = {.server_unix_ms =
                                                        sp__unix_ns() / 1000000u,
                                                    .session_valid = session != NULL};
        rc = sp__proto_put_heartbeat_reply(out, &reply, err);
    } else if (rc == SP_OK && method == RPC_SESSION_CLEANUP) {
        rc = end(w, is_host, session, request.session_id, out, err);
    } else if (rc == SP_OK && session == NULL) {
        rc = sp__fail(err, SP_ERR_NOT_FOUND, "no session '%.64s'", request.session_id);
    } else if (rc == SP_OK) {
        rc = describe(w, session, &memory, out, err);
    }
    sp__proto_memory_fini(&memory);
    return rc;
}

void sp__session_call(struct conn *c, struct h2_stream *stream, enum rpc_method method,
                      const uint8_t *data, size_t size)
{
    sp_bytes question = {data, size};
    sp_error err = {0};
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    int rc = method == RPC_SESSION_INITIALIZE ? begin(c->worker, question, &out, &err)
                                              : answer(c->worker, c->role == CONN_CALLS,
                                                       method, question, &out, &err);
    if (rc == SP_OK) {
        rc = sp__h2_write(stream, (sp_bytes){out.data, out.size}, &err);
    }
    int status = rc == SP_OK ? GRPC_OK : sp_error_grpc_status(rc);
    if (sp__h2_finish(stream, status, rc == SP_OK ? NULL : err.message, (sp_bytes){0},
                      NULL, 0, NULL) < 0) {
        sp__h2_reset(stream, RST_INTERNAL);
    }
    sp__buf_fini(&out);
    sp_error_clear(&err);
}
