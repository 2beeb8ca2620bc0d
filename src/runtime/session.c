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
#include "wire/proto_session.h"

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
    sp__buf_fini(&session->metadata);
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

/* Takes *id. A session that exists is begun again: its metadata is replaced. */
static int begin(struct sp_worker *w, char **id, struct sp_buffer *metadata,
                 sp_error *err)
{
    size_t size = strlen(*id);
    if (size == 0 || size > ID_MAX) {
        return sp__fail(err, SP_ERR_INVAL, "a session's id has 1 to %d bytes",
                        (int)ID_MAX);
    }
    struct session *session = find(w, *id);
    if (session == NULL) {
        if (w->sessions.length == SESSIONS_MAX) {
            return sp__fail(err, SP_ERR_QUEUE_FULL, "%d sessions are open already",
                            (int)SESSIONS_MAX);
        }
        session = sp__calloc(1, sizeof *session);
        if (session == NULL) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for a session");
        }
        session->id = *id;
        *id = NULL;
        session->created_ns = sp__unix_ns();
        sp__list_append(&w->sessions, &session->on_sessions);
    }
    sp__buf_fini(&session->metadata);
    sp__buf_init(&session->metadata, METADATA_MAX);
    size_t capacity = metadata->capacity;
    sp__buf_take(metadata, &session->metadata.data, &session->metadata.size);
    session->metadata.capacity = capacity;
    return SP_OK;
}

static int initialize(struct sp_worker *w, const uint8_t *data, size_t size,
                      struct sp_buffer *out, sp_error *err)
{
    char *id = NULL;
    struct sp_buffer metadata;
    sp__buf_init(&metadata, METADATA_MAX);
    int rc = sp__proto_get_session_open(data, size, &id, &metadata, err);
    if (rc == SP_OK) {
        rc = begin(w, &id, &metadata, err);
    }
    if (rc == SP_OK) {
        rc = sp__proto_put_session_open_reply(out, 1, "", err);
    }
    sp__buf_fini(&metadata);
    sp__free(id);
    return rc;
}

static int answer(struct sp_worker *w, int is_host, enum rpc_method method,
                  const char *id, struct sp_buffer *out, sp_error *err)
{
    struct session *session = find(w, id);
    if (method == RPC_SESSION_HEARTBEAT) {
        return sp__proto_put_heartbeat_reply(out, sp__unix_ns(), session != NULL, err);
    }
    if (method == RPC_SESSION_CLEANUP) {
        int found = session != NULL;
        if (found) {
            session_free(session);
        }
        if (w->options.on_session_end != NULL && is_host) {
            int rc = sp__job_push_session_end(w, id, err);
            if (rc < 0) {
                return rc;
            }
        }
        return sp__proto_put_session_close_reply(out, 1, found, err);
    }
    if (session == NULL) {
        return sp__fail(err, SP_ERR_NOT_FOUND, "no session '%.64s'", id);
    }
    sp_bytes metadata = {session->metadata.data, session->metadata.size};
    return sp__proto_put_session_reply(out, session->id, metadata, session->created_ns,
                                       (int32_t)w->tools_count, err);
}

void sp__session_call(struct conn *c, struct h2_stream *stream, enum rpc_method method,
                      const uint8_t *data, size_t size)
{
    char *id = NULL;
    sp_error err = {0};
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    int rc;
    if (method == RPC_SESSION_INITIALIZE) {
        rc = initialize(c->worker, data, size, &out, &err);
    } else {
        rc = sp__proto_get_session_id(data, size, &id, &err);
        if (rc == SP_OK) {
            rc = answer(c->worker, c->role == CONN_CALLS, method, id, &out, &err);
        }
    }
    if (rc == SP_OK) {
        rc = sp__h2_write(stream, (sp_bytes){out.data, out.size}, &err);
    }
    int status = rc == SP_OK ? GRPC_OK : sp_error_grpc_status(rc);
    if (sp__h2_finish(stream, status, rc == SP_OK ? NULL : err.message, (sp_bytes){0},
                      NULL, 0, NULL) < 0) {
        sp__h2_reset(stream, RST_INTERNAL);
    }
    sp__buf_fini(&out);
    sp__free(id);
    sp_error_clear(&err);
}
