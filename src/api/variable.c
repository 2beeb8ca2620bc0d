/* SPDX-License-Identifier: MIT */
/*
 * The public face of variables: check the arguments, fill in what an older caller's
 * structs lack, and go on in session/, or ask the daemon that has the set. Everything
 * happens on the caller's thread.
 */
#include "snakepit/variable.h"

#include <string.h>

#include "api/remote.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"
#include "session/variable.h"

/* The set, and the options as a whole struct. */
static int begin(const sp_sessions *sessions, const sp_change_options *options,
                 sp_change_options *ret_full, sp_error *err)
{
    *ret_full = (sp_change_options){0};
    if (sessions == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a set of sessions is needed");
    }
    return sp__take_options("sp_change_options", options, ret_full, sizeof *ret_full,
                            err);
}

static int need(const void *what, const char *name, sp_error *err)
{
    return what != NULL ? SP_OK : sp__fail(err, SP_ERR_INVAL, "%s is needed", name);
}

SP_API int sp_variable_register(sp_sessions *sessions, const char *session,
                                const char *name, const char *type, const char *value,
                                const sp_change_options *options,
                                sp_variable *ret_variable, sp_error *err)
{
    sp_change_options full;
    int rc = begin(sessions, options, &full, err);
    if (rc == SP_OK) {
        rc = need(value, "a value", err);
    }
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_variable_register(host, session, name, type, value,
                                                     &full, ret_variable, err)
                        : sp__variable_register(sessions, session, name, type, value,
                                                &full, ret_variable, err);
}

SP_API int sp_variable_get(sp_sessions *sessions, const char *session, const char *name,
                           sp_variable *ret_variable, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc == SP_OK) {
        rc = need(ret_variable, "a place for the variable", err);
    }
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_variable_get(host, session, name, ret_variable, err)
                        : sp__variable_get(sessions, session, name, ret_variable, err);
}

SP_API int sp_variable_set(sp_sessions *sessions, const char *session, const char *name,
                           const char *value, const sp_change_options *options,
                           uint64_t *ret_version, sp_error *err)
{
    sp_change_options full;
    int rc = begin(sessions, options, &full, err);
    if (rc == SP_OK) {
        rc = need(value, "a value", err);
    }
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_variable_set(host, session, name, value, &full,
                                                ret_version, err)
                        : sp__variable_set(sessions, session, name, value, &full,
                                           ret_version, err);
}

SP_API int sp_variable_delete(sp_sessions *sessions, const char *session,
                              const char *name, const sp_change_options *options,
                              sp_error *err)
{
    sp_change_options full;
    int rc = begin(sessions, options, &full, err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_variable_delete(host, session, name, &full, err)
                        : sp__variable_delete(sessions, session, name, &full, err);
}

SP_API int sp_variables_list(sp_sessions *sessions, const char *session,
                             const char *pattern, sp_variable_cb cb, void *user_data,
                             sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL
               ? sp__stub_variables_list(host, session, pattern, cb, user_data, err)
               : sp__variables_list(sessions, session, pattern, cb, user_data, err);
}

SP_API int sp_variables_get(sp_sessions *sessions, const char *session,
                            const char *const *names, size_t count,
                            sp_variable *ret_variables, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc == SP_OK && count > 0) {
        rc = need(names, "a list of names", err);
    }
    if (rc == SP_OK && count > 0) {
        rc = need(ret_variables, "a place for the variables", err);
    }
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL
               ? sp__stub_variables_get(host, session, names, count, ret_variables, err)
               : sp__variables_get(sessions, session, names, count, ret_variables, err);
}

SP_API int sp_variables_set(sp_sessions *sessions, const char *session,
                            sp_variable_update *updates, size_t count, int atomic,
                            const sp_change_options *options, sp_error *err)
{
    sp_change_options full;
    int rc = begin(sessions, options, &full, err);
    if (rc == SP_OK && count > 0) {
        rc = need(updates, "a list of updates", err);
    }
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_variables_set(host, session, updates, count, atomic,
                                                 &full, err)
                        : sp__variables_set(sessions, session, updates, count, atomic,
                                            &full, err);
}

SP_API int sp_variable_history(sp_sessions *sessions, const char *session,
                               const char *name, size_t limit, sp_variable_cb cb,
                               void *user_data, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_variable_history(host, session, name, limit, cb,
                                                    user_data, err)
                        : sp__variable_history(sessions, session, name, limit, cb,
                                               user_data, err);
}

SP_API int sp_variable_rollback(sp_sessions *sessions, const char *session,
                                const char *name, uint64_t version,
                                const sp_change_options *options, uint64_t *ret_version,
                                sp_error *err)
{
    sp_change_options full;
    int rc = begin(sessions, options, &full, err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_variable_rollback(host, session, name, version,
                                                     &full, ret_version, err)
                        : sp__variable_rollback(sessions, session, name, version, &full,
                                                ret_version, err);
}

SP_API int sp_variable_lock(sp_sessions *sessions, const char *session,
                            const char *name, const char *owner, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_variable_lock(host, session, name, owner, err)
                        : sp__variable_lock(sessions, session, name, owner, err);
}

SP_API int sp_variable_unlock(sp_sessions *sessions, const char *session,
                              const char *name, const char *owner,
                              sp_variable *ret_variable, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL
               ? sp__stub_variable_unlock(host, session, name, owner, ret_variable, err)
               : sp__variable_unlock(sessions, session, name, owner, ret_variable, err);
}

SP_API int sp_variable_depend(sp_sessions *sessions, const char *session,
                              const char *from, const char *to, const char *kind,
                              sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_variable_depend(host, session, from, to,
                                                   kind == NULL ? "data" : kind, err)
                        : sp__variable_depend(sessions, session, from, to,
                                              kind == NULL ? "data" : kind, err);
}

SP_API int sp_variable_undepend(sp_sessions *sessions, const char *session,
                                const char *from, const char *to, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_variable_undepend(host, session, from, to, err)
                        : sp__variable_undepend(sessions, session, from, to, err);
}

SP_API int sp_variable_dependencies(sp_sessions *sessions, const char *session,
                                    const char *name, sp_dependency_cb cb,
                                    void *user_data, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL
               ? sp__stub_variable_dependencies(host, session, name, cb, user_data, err)
               : sp__variable_dependencies(sessions, session, name, cb, user_data, err);
}

SP_API int sp_variables_export(sp_sessions *sessions, const char *session,
                               sp_json_cb cb, void *user_data, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc == SP_OK && cb == NULL) {
        rc = sp__fail(err, SP_ERR_INVAL, "a callback that takes the export is needed");
    }
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_variables_export(host, session, cb, user_data, err)
                        : sp__variables_export(sessions, session, cb, user_data, err);
}

SP_API int sp_variables_import(sp_sessions *sessions, const char *session,
                               const char *json, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc == SP_OK) {
        rc = need(json, "a text to import", err);
    }
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL
               ? sp__stub_variables_import(host, session, json, err)
               : sp__variables_import(sessions, session, json, strlen(json), err);
}

/* ---- watching ---- */

/* One of the two. */
struct sp_watch {
    struct watcher *here;
    struct remote_stream *there;
};

static int open_watch(struct sp_sessions *sessions, const char *session,
                      const sp_watch_options *options, sp_watch **ret_watch,
                      sp_error *err)
{
    sp_watch *watch = sp__calloc(1, sizeof *watch);
    if (watch == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a watch");
    }
    int rc =
        sessions->remote != NULL
            ? sp__remote_watch_open(sessions->remote, session, options, &watch->there,
                                    err)
            : sp__watcher_open(sessions, session, options, NULL, &watch->here, err);
    if (rc < 0) {
        sp__free(watch);
        return rc;
    }
    *ret_watch = watch;
    return SP_OK;
}

SP_API int sp_watch_open(sp_sessions *sessions, const char *session,
                         const sp_watch_options *options, sp_watch **ret_watch,
                         sp_error *err)
{
    sp_watch_options full = {0};
    int rc = need(sessions, "a set of sessions", err);
    if (rc == SP_OK) {
        rc = need(ret_watch, "a place for the watch", err);
    }
    if (rc == SP_OK) {
        rc = sp__take_options("sp_watch_options", options, &full, sizeof full, err);
    }
    return rc < 0 ? rc : open_watch(sessions, session, &full, ret_watch, err);
}

SP_API int sp_watch_next(sp_watch *watch, uint64_t timeout_ms, sp_change *ret_change,
                         sp_error *err)
{
    int rc = need(watch, "a watch", err);
    if (rc == SP_OK) {
        rc = need(ret_change, "a place for the change", err);
    }
    if (rc < 0) {
        return rc;
    }
    return watch->there != NULL
               ? sp__remote_watch_next(watch->there, timeout_ms, ret_change, err)
               : sp__watcher_next(watch->here, timeout_ms, ret_change, err);
}

SP_API void sp_watch_close(sp_watch *watch)
{
    if (watch != NULL) {
        sp__watcher_close(watch->here);
        sp__remote_stream_close(watch->there);
        sp__free(watch);
    }
}
