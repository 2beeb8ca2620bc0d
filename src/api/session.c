/* SPDX-License-Identifier: MIT */
/*
 * The public face of sessions: check the arguments, fill in what an older caller's
 * structs lack, and go on in session/, or ask the daemon that has the set. Everything
 * happens on the caller's thread.
 */
#include "snakepit/session.h"

#include "api/remote.h"
#include "base/error.h"
#include "base/options.h"
#include "session/sessions.h"

static int need_set(const sp_sessions *sessions, sp_error *err)
{
    return sessions != NULL
               ? SP_OK
               : sp__fail(err, SP_ERR_INVAL, "a set of sessions is needed");
}

/* A set that is empty here: the daemon has it. */
static int open_remote(const sp_sessions_options *options, sp_sessions **ret_sessions,
                       sp_error *err)
{
    const sp_sessions_options none = {.size = sizeof none};
    sp_sessions *sessions;
    if (options->on_event != NULL) {
        return sp__fail(err, SP_ERR_UNSUPPORTED,
                        "the events of a daemon's sessions are told there");
    }
    int rc = sp__sessions_new(&none, &sessions, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__remote_open(options->address, options->timeout_ms, &sessions->remote, err);
    if (rc < 0) {
        sp__sessions_free(sessions);
        return rc;
    }
    *ret_sessions = sessions;
    return SP_OK;
}

SP_API int sp_sessions_open(const sp_sessions_options *options,
                            sp_sessions **ret_sessions, sp_error *err)
{
    sp_sessions_options full = {0};
    if (ret_sessions == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a place for the sessions is needed");
    }
    int rc = sp__take_options("sp_sessions_options", options, &full, sizeof full, err);
    if (rc < 0) {
        return rc;
    }
    return full.address != NULL ? open_remote(&full, ret_sessions, err)
                                : sp__sessions_new(&full, ret_sessions, err);
}

SP_API void sp_sessions_close(sp_sessions *sessions)
{
    if (sessions != NULL) {
        sp__remote_close(sessions->remote);
        sp__sessions_free(sessions);
    }
}

SP_API const char *sp_durability_name(int durability)
{
    return durability > SP_DURABILITY_DEFAULT && durability <= SP_DURABILITY_DURABLE
               ? sp__proto_durability(durability)
               : "";
}

SP_API int sp_durability_by_name(const char *name)
{
    int durability = SP_DURABILITY_DEFAULT;
    if (name == NULL || sp__proto_get_durability(name, &durability, NULL) < 0 ||
        durability == SP_DURABILITY_DEFAULT) {
        return SP_ERR_INVAL;
    }
    return durability;
}

SP_API int sp_session_create(sp_sessions *sessions, const char *id,
                             const sp_session_options *options, sp_error *err)
{
    sp_session_options full = {0};
    int rc = need_set(sessions, err);
    if (rc == SP_OK) {
        rc = sp__take_options("sp_session_options", options, &full, sizeof full, err);
    }
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_session_create(host, id, &full, err)
                        : sp__session_create(sessions, id, &full, err);
}

SP_API int sp_session_get(sp_sessions *sessions, const char *id,
                          sp_session_info *ret_info, sp_error *err)
{
    int rc = need_set(sessions, err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_session_get(host, id, ret_info, err)
                        : sp__session_get(sessions, id, ret_info, err);
}

SP_API int sp_session_exists(sp_sessions *sessions, const char *id)
{
    const struct caller *host = sessions != NULL ? sp__asks(sessions) : NULL;
    if (host != NULL) {
        return sp__stub_session_exists(host, id, NULL) == 1;
    }
    return sessions != NULL && sp__session_exists(sessions, id);
}

SP_API int sp_session_update(sp_sessions *sessions, const char *id,
                             sp_session_edit_fn fn, void *user_data, sp_error *err)
{
    int rc = need_set(sessions, err);
    if (rc == SP_OK && fn == NULL) {
        rc = sp__fail(err, SP_ERR_INVAL, "a function that makes the change is needed");
    }
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_session_update(host, id, fn, user_data, err)
                        : sp__session_update(sessions, id, fn, user_data, err);
}

SP_API int sp_session_delete(sp_sessions *sessions, const char *id, sp_error *err)
{
    int rc = need_set(sessions, err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_session_delete(host, id, err)
                        : sp__session_delete(sessions, id, err);
}

SP_API int sp_sessions_list(sp_sessions *sessions, sp_session_cb cb, void *user_data,
                            sp_error *err)
{
    int rc = need_set(sessions, err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_sessions_list(host, NULL, cb, user_data, err)
                        : sp__sessions_list(sessions, cb, user_data, err);
}

SP_API int sp_sessions_cleanup(sp_sessions *sessions, sp_error *err)
{
    size_t expired = 0;
    int rc = need_set(sessions, err);
    if (rc < 0) {
        return rc;
    }
    if (sessions->remote != NULL) {
        return sp__fail(err, SP_ERR_UNSUPPORTED,
                        "the daemon removes what is over by itself");
    }
    (void)sp__sessions_cleanup(sessions, SP_UNLIMITED, &expired);
    (void)atomic_fetch_add(&sessions->cleanup_runs, 1);
    return (int)expired;
}

SP_API int sp_sessions_stats_get(sp_sessions *sessions, sp_sessions_stats *ret_stats,
                                 sp_error *err)
{
    int rc = need_set(sessions, err);
    if (rc == SP_OK && ret_stats == NULL) {
        rc = sp__fail(err, SP_ERR_INVAL, "a place for the statistics is needed");
    }
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    if (host != NULL) {
        return sp__stub_sessions_stats(host, ret_stats, err);
    }
    sp__sessions_sum(sessions, ret_stats);
    return SP_OK;
}
