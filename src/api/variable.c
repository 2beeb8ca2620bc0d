/* SPDX-License-Identifier: MIT */
/*
 * The public face of variables: check the arguments, fill in what an older caller's
 * structs lack, and go on in session/. Everything happens on the caller's thread.
 */
#include "snakepit/variable.h"

#include <string.h>

#include "api/options.h"
#include "base/error.h"
#include "base/mem.h"
#include "session/variable.h"

/* The set, and the options as a whole struct. */
static int begin(const sp_sessions *sessions, const sp_change_options *options,
                 sp_change_options *ret_full, sp_error *err)
{
    *ret_full = (sp_change_options){0};
    if (sessions == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a set of sessions is needed");
    }
    return options == NULL
               ? SP_OK
               : sp__take_options("sp_change_options", options, options->size, ret_full,
                                  sizeof *ret_full, err);
}

static int need(const void *what, const char *name, sp_error *err)
{
    return what != NULL ? SP_OK : sp__fail(err, SP_ERR_INVAL, "%s is needed", name);
}

SP_API void sp_variable_clear(sp_variable *variable)
{
    if (variable != NULL) {
        sp__free(variable->memory);
        *variable = (sp_variable){0};
    }
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
    return rc < 0 ? rc
                  : sp__variable_register(sessions, session, name, type, value, &full,
                                          ret_variable, err);
}

SP_API int sp_variable_get(sp_sessions *sessions, const char *session, const char *name,
                           sp_variable *ret_variable, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc == SP_OK) {
        rc = need(ret_variable, "a place for the variable", err);
    }
    return rc < 0 ? rc : sp__variable_get(sessions, session, name, ret_variable, err);
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
    return rc < 0 ? rc
                  : sp__variable_set(sessions, session, name, value, &full, ret_version,
                                     err);
}

SP_API int sp_variable_delete(sp_sessions *sessions, const char *session,
                              const char *name, const sp_change_options *options,
                              sp_error *err)
{
    sp_change_options full;
    int rc = begin(sessions, options, &full, err);
    return rc < 0 ? rc : sp__variable_delete(sessions, session, name, &full, err);
}

SP_API int sp_variables_list(sp_sessions *sessions, const char *session,
                             const char *pattern, sp_variable_cb cb, void *user_data,
                             sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    return rc < 0 ? rc
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
    return rc < 0
               ? rc
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
    return rc < 0 ? rc
                  : sp__variables_set(sessions, session, updates, count, atomic, &full,
                                      err);
}

SP_API int sp_variable_history(sp_sessions *sessions, const char *session,
                               const char *name, size_t limit, sp_variable_cb cb,
                               void *user_data, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    return rc < 0 ? rc
                  : sp__variable_history(sessions, session, name, limit, cb, user_data,
                                         err);
}

SP_API int sp_variable_rollback(sp_sessions *sessions, const char *session,
                                const char *name, uint64_t version,
                                const sp_change_options *options, uint64_t *ret_version,
                                sp_error *err)
{
    sp_change_options full;
    int rc = begin(sessions, options, &full, err);
    return rc < 0 ? rc
                  : sp__variable_rollback(sessions, session, name, version, &full,
                                          ret_version, err);
}

SP_API int sp_variable_lock(sp_sessions *sessions, const char *session,
                            const char *name, const char *owner, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    return rc < 0 ? rc : sp__variable_lock(sessions, session, name, owner, err);
}

SP_API int sp_variable_unlock(sp_sessions *sessions, const char *session,
                              const char *name, const char *owner,
                              sp_variable *ret_variable, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    return rc < 0
               ? rc
               : sp__variable_unlock(sessions, session, name, owner, ret_variable, err);
}

SP_API int sp_variable_depend(sp_sessions *sessions, const char *session,
                              const char *from, const char *to, const char *kind,
                              sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    return rc < 0 ? rc
                  : sp__variable_depend(sessions, session, from, to,
                                        kind == NULL ? "data" : kind, err);
}

SP_API int sp_variable_undepend(sp_sessions *sessions, const char *session,
                                const char *from, const char *to, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    return rc < 0 ? rc : sp__variable_undepend(sessions, session, from, to, err);
}

SP_API int sp_variable_dependencies(sp_sessions *sessions, const char *session,
                                    const char *name, sp_dependency_cb cb,
                                    void *user_data, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    return rc < 0
               ? rc
               : sp__variable_dependencies(sessions, session, name, cb, user_data, err);
}

SP_API int sp_variables_export(sp_sessions *sessions, const char *session,
                               sp_json_cb cb, void *user_data, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc == SP_OK && cb == NULL) {
        rc = sp__fail(err, SP_ERR_INVAL, "a callback that takes the export is needed");
    }
    return rc < 0 ? rc : sp__variables_export(sessions, session, cb, user_data, err);
}

SP_API int sp_variables_import(sp_sessions *sessions, const char *session,
                               const char *json, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc == SP_OK) {
        rc = need(json, "a text to import", err);
    }
    return rc < 0 ? rc
                  : sp__variables_import(sessions, session, json, strlen(json), err);
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
    if (rc == SP_OK && options != NULL) {
        rc = sp__take_options("sp_watch_options", options, options->size, &full,
                              sizeof full, err);
    }
    return rc < 0 ? rc
                  : sp__watcher_open(sessions, session, &full, NULL, ret_watch, err);
}

SP_API int sp_watch_next(sp_watch *watch, uint64_t timeout_ms, sp_change *ret_change,
                         sp_error *err)
{
    int rc = need(watch, "a watch", err);
    if (rc == SP_OK) {
        rc = need(ret_change, "a place for the change", err);
    }
    return rc < 0 ? rc : sp__watcher_next(watch, timeout_ms, ret_change, err);
}

SP_API void sp_watch_close(sp_watch *watch)
{
    sp__watcher_close(watch);
}
