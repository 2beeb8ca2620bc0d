/* SPDX-License-Identifier: MIT */
/*
 * What a variable was, going back to it, and the lock of an optimiser.
 *
 * A rollback is a set whose value is an old version's: it was checked then by the same
 * rules, which never change, so only its text is taken over.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "session/checks.h"
#include "session/keep.h"
#include "session/variable.h"

static int view_versions(const struct variable *variable, size_t limit,
                         struct var_view **ret_views, size_t *ret_count, sp_error *err)
{
    size_t kept = variable->versions.length;
    size_t count = limit == 0 || limit > kept ? kept : limit;
    struct var_view *views = sp__malloc(count * sizeof *views);
    if (views == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %zu versions", count);
    }
    struct link *link = variable->versions.last;
    for (size_t i = 0; i < count; i++, link = link->prev) {
        sp__view_init_at(&views[i], variable,
                         ITEM(link, struct var_version, on_versions));
    }
    *ret_views = views;
    *ret_count = count;
    return SP_OK;
}

int sp__variable_history(struct sp_sessions *sessions, const char *session_id,
                         const char *name, size_t limit, sp_variable_cb cb,
                         void *user_data, sp_error *err)
{
    struct session *session;
    struct variable *variable;
    struct var_view *views = NULL;
    size_t count = 0;
    int rc = sp__session_lock(sessions, session_id, &session, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__variable_need(session, name, &variable, err);
    if (rc == SP_OK) {
        rc = view_versions(variable, limit, &views, &count, err);
    }
    sp__session_unlock(session);
    for (size_t i = 0; i < count; i++) {
        sp_variable then;
        if (rc == SP_OK && cb != NULL) {
            rc = sp__view_copy(&views[i], &then, err);
            if (rc == SP_OK) {
                cb(&then, user_data);
                sp__free(then.memory);
            }
        }
        sp__view_fini(&views[i]);
    }
    sp__free(views);
    return rc < 0 ? rc : (int)count;
}

static int find_version(const struct variable *variable, uint64_t wanted,
                        struct var_version **ret_version, sp_error *err)
{
    struct link *link = variable->versions.first;
    const struct var_version *oldest = ITEM(link, struct var_version, on_versions);
    for (; link != NULL; link = link->next) {
        struct var_version *version = ITEM(link, struct var_version, on_versions);
        if (version->version == wanted) {
            *ret_version = version;
            return SP_OK;
        }
    }
    return sp__fail(err, SP_ERR_NOT_FOUND,
                    "version %llu of \"%s\" is not kept: %llu to %llu are",
                    (unsigned long long)wanted,
                    sp__excerpt(variable->name, strlen(variable->name)).text,
                    (unsigned long long)oldest->version,
                    (unsigned long long)sp__variable_now(variable)->version);
}

/* Gate taken, locked. */
static int roll_back(struct sp_sessions *sessions, struct session *session,
                     struct variable *variable, uint64_t version,
                     const sp_change_options *options, struct var_change *ret_change,
                     sp_error *err)
{
    struct var_version *old = NULL;
    int rc = sp__variable_admit(variable, options, err);
    if (rc == SP_OK) {
        rc = find_version(variable, version, &old, err);
    }
    if (rc == SP_OK) {
        sp__session_pause(session);
        rc = sp__change_prepare(sessions, variable, old->value, options, ret_change,
                                err);
        sp__session_resume(session);
    }
    return rc < 0 ? rc : sp__change_keep(sessions, session, ret_change, err);
}

int sp__variable_rollback(struct sp_sessions *sessions, const char *session_id,
                          const char *name, uint64_t version,
                          const sp_change_options *options, uint64_t *ret_version,
                          sp_error *err)
{
    struct session *session;
    struct variable *variable;
    struct var_change change = {0};
    int rc = sp__session_change(sessions, session_id, &session, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__variable_need(session, name, &variable, err);
    if (rc == SP_OK) {
        rc = roll_back(sessions, session, variable, version, options, &change, err);
    }
    if (rc == SP_OK) {
        uint64_t made = sp__change_make(sessions, session, &change);
        if (ret_version != NULL) {
            *ret_version = made;
        }
    }
    sp__session_changed(session);
    sp__keep_news(sessions);
    sp__version_unref(change.version);
    return rc;
}

/* ---- the lock ---- */

static int locked_by_another(const struct variable *variable, const char *owner,
                             sp_error *err)
{
    if (variable->locked_by == NULL || strcmp(variable->locked_by, owner) == 0) {
        return SP_OK;
    }
    return sp__fail(err, SP_ERR_LOCKED, "variable \"%s\" is locked by \"%s\"",
                    sp__excerpt(variable->name, strlen(variable->name)).text,
                    variable->locked_by);
}

/* Gate taken, locked: whether it is locked, and by whom, or with NULL not any more. */
static int keep_lock(struct sp_sessions *sessions, struct session *session,
                     const struct variable *variable, const char *owner,
                     uint64_t since_unix_ms, sp_error *err)
{
    struct record record = {.kind = RECORD_VARIABLE_LOCK,
                            .session = session->key,
                            .number = variable->number,
                            .by = owner,
                            .updated_unix_ms = since_unix_ms};
    return owner == NULL ? sp__keep_removal(sessions, session, &record, err)
                         : sp__keep(sessions, session, &record, 1, err);
}

/* Takes the owner's name when it works. */
static int lock_variable(struct sp_sessions *sessions, struct session *session,
                         struct variable *variable, char *owner, sp_error *err)
{
    uint64_t now_unix_ms = sp__unix_ns() / 1000000u;
    int rc = keep_lock(sessions, session, variable, owner, now_unix_ms, err);
    if (rc == SP_OK) {
        sp__session_count(session, strlen(owner) + 1, 0);
        variable->locked_by = owner;
        variable->locked_unix_ms = now_unix_ms;
        sp__watches_tell(session, variable, SP_CHANGE_LOCK);
    }
    return rc;
}

int sp__variable_lock(struct sp_sessions *sessions, const char *session_id,
                      const char *name, const char *owner, sp_error *err)
{
    struct session *session;
    struct variable *variable;
    size_t size;
    int rc = sp__check_name("owner of a lock", owner, &size, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__session_change(sessions, session_id, &session, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__variable_need(session, name, &variable, err);
    if (rc == SP_OK) {
        rc = locked_by_another(variable, owner, err);
    }
    if (rc == SP_OK && variable->locked_by == NULL) {
        char *copy = sp__strndup(owner, size);
        rc = copy == NULL ? sp__fail(err, SP_ERR_NOMEM, "no memory for a lock")
                          : lock_variable(sessions, session, variable, copy, err);
        if (rc < 0) {
            sp__free(copy);
        }
    }
    sp__session_changed(session);
    sp__keep_news(sessions);
    return rc;
}

static void unlock_variable(struct session *session, struct variable *variable)
{
    if (variable->locked_by != NULL) {
        sp__session_count(session, 0, strlen(variable->locked_by) + 1);
        sp__free(variable->locked_by);
        variable->locked_by = NULL;
        variable->locked_unix_ms = 0;
        sp__watches_tell(session, variable, SP_CHANGE_LOCK);
    }
}

int sp__variable_unlock(struct sp_sessions *sessions, const char *session_id,
                        const char *name, const char *owner, sp_variable *ret_variable,
                        sp_error *err)
{
    struct session *session;
    struct variable *variable;
    int rc = sp__session_change(sessions, session_id, &session, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__variable_need(session, name, &variable, err);
    if (rc == SP_OK && owner != NULL) {
        rc = locked_by_another(variable, owner, err);
    }
    if (rc == SP_OK && ret_variable != NULL) {
        struct var_view view;
        sp__view_init(&view, variable);
        view.locked_by[0] = '\0';
        view.locked_unix_ms = 0;
        rc = sp__view_copy(&view, ret_variable, err);
        sp__view_fini(&view);
    }
    if (rc == SP_OK && variable->locked_by != NULL) {
        rc = keep_lock(sessions, session, variable, NULL, 0, err);
        if (rc < 0 && ret_variable != NULL) {
            sp__free(ret_variable->memory);
            *ret_variable = (sp_variable){0};
        }
    }
    if (rc == SP_OK) {
        unlock_variable(session, variable);
    }
    sp__session_changed(session);
    sp__keep_news(sessions);
    return rc;
}
