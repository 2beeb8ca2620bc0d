/* SPDX-License-Identifier: MIT */
/*
 * Many variables at once: listed by pattern, read at one moment, set together.
 *
 * Reading holds the lock only to take references; copies are made without it. A batch
 * of updates is prepared as a whole before the first is made, so an atomic one has
 * nothing to take back.
 */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "session/checks.h"
#include "session/keep.h"
#include "session/variable.h"

/* ---- patterns ---- */

static const char *next_character(const char *text)
{
    do {
        text++;
    } while (((unsigned char)*text & 0xc0) == 0x80);
    return text;
}

int sp__glob(const char *pattern, const char *text)
{
    const char *star = NULL; /* the last '*', and what it may still swallow */
    const char *from = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            from = text;
        } else if (*pattern == '?') {
            pattern++;
            text = next_character(text);
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = from = next_character(from);
        } else {
            return 0;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

/* ---- reading ---- */

static void drop_views(struct var_view *views, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sp__view_fini(&views[i]);
    }
    sp__free(views);
}

static int view_matching(const struct session *session, const char *pattern,
                         struct var_view **ret_views, size_t *ret_count, sp_error *err)
{
    size_t count = 0;
    size_t max = session->variables_by_age.length;
    struct var_view *views = sp__malloc((max + 1) * sizeof *views);
    if (views == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a list of %zu variables",
                        max);
    }
    struct link *link = session->variables_by_age.first;
    for (; link != NULL; link = link->next) {
        const struct variable *variable = ITEM(link, struct variable, on_age);
        if (pattern == NULL || sp__glob(pattern, variable->name)) {
            sp__view_init(&views[count++], variable);
        }
    }
    *ret_views = views;
    *ret_count = count;
    return SP_OK;
}

int sp__variables_list(struct sp_sessions *sessions, const char *session_id,
                       const char *pattern, sp_variable_cb cb, void *user_data,
                       sp_error *err)
{
    struct session *session;
    struct var_view *views = NULL;
    size_t count = 0;
    int rc = sp__session_lock(sessions, session_id, &session, err);
    if (rc < 0) {
        return rc;
    }
    rc = view_matching(session, pattern, &views, &count, err);
    sp__session_unlock(session);
    for (size_t i = 0; rc == SP_OK && cb != NULL && i < count; i++) {
        sp_variable variable;
        rc = sp__view_copy(&views[i], &variable, err);
        if (rc == SP_OK) {
            cb(&variable, user_data);
            sp__free(variable.memory);
        }
    }
    drop_views(views, count);
    return rc < 0 ? rc : (int)count;
}

static int copy_views(const struct var_view *views, size_t count,
                      sp_variable *ret_variables, sp_error *err)
{
    int found = 0;
    for (size_t i = 0; i < count; i++) {
        ret_variables[i] = (sp_variable){0};
    }
    for (size_t i = 0; i < count; i++) {
        if (views[i].version == NULL) {
            continue;
        }
        int rc = sp__view_copy(&views[i], &ret_variables[i], err);
        if (rc < 0) {
            while (i-- > 0) {
                sp__free(ret_variables[i].memory);
                ret_variables[i] = (sp_variable){0};
            }
            return rc;
        }
        found++;
    }
    return found;
}

int sp__variables_get(struct sp_sessions *sessions, const char *session_id,
                      const char *const *names, size_t count,
                      sp_variable *ret_variables, sp_error *err)
{
    struct session *session;
    struct var_view *views = sp__calloc(count + 1, sizeof *views);
    if (views == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %zu variables", count);
    }
    int rc = sp__session_lock(sessions, session_id, &session, err);
    if (rc == SP_OK) {
        for (size_t i = 0; i < count; i++) {
            const struct variable *variable =
                names[i] == NULL ? NULL : sp__variable_find(session, names[i]);
            if (variable != NULL) {
                sp__view_init(&views[i], variable);
            }
        }
        sp__session_unlock(session);
        rc = copy_views(views, count, ret_variables, err);
    }
    drop_views(views, count);
    if (rc >= 0 && sp__herald_wants(sessions->herald, SP_EVENT_VARIABLES_BATCH_GET)) {
        sp__sessions_note(
            sessions, session_id,
            (struct tidings){.event = {.kind = SP_EVENT_VARIABLES_BATCH_GET},
                             EVENT_NUMBERS((double)rc)});
    }
    return rc;
}

/* ---- setting ---- */

static void note(sp_variable_update *update, int code, const sp_error *err)
{
    update->code = code;
    memcpy(update->message, err->message, sizeof update->message);
}

static int is_given_before(const struct var_change *changes, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (changes[i].variable == changes[at].variable) {
            return 1;
        }
    }
    return 0;
}

static int prepare_one(struct sp_sessions *sessions, struct session *session,
                       const sp_variable_update *update, struct var_change *changes,
                       size_t at, const sp_change_options *options, sp_error *err)
{
    struct variable *variable;
    if (update->value == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a value is needed");
    }
    int rc = sp__variable_need(session, update->name, &variable, err);
    if (rc == SP_OK) {
        rc = sp__variable_admit(variable, options, err);
    }
    if (rc < 0) {
        return rc;
    }
    changes[at].variable = variable;
    if (is_given_before(changes, at)) {
        return sp__fail(err, SP_ERR_INVAL, "variable \"%s\" is given twice",
                        sp__excerpt(update->name, strlen(update->name)).text);
    }
    return sp__change_prepare(sessions, variable, update->value, options, &changes[at],
                              err);
}

/* Gate taken, lock let go: nobody else changes the session, so it can be read. Returns
 * how many cannot be set; the first one's error is in *err. */
static size_t prepare_all(struct sp_sessions *sessions, struct session *session,
                          sp_variable_update *updates, struct var_change *changes,
                          size_t count, const sp_change_options *options, sp_error *err)
{
    size_t failed = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        sp_error why = {0};
        int rc = prepare_one(sessions, session, &updates[i], changes, i, options, &why);
        if (rc == SP_OK) {
            size_t more = sp__version_bytes(changes[i].version);
            sp__session_resume(session); /* tools come and go without the gate */
            rc = sp__session_has_room(sessions, session, bytes + more, &why);
            sp__session_pause(session);
            bytes += rc == SP_OK ? more : 0;
        }
        if (rc < 0) {
            sp__version_unref(changes[i].version);
            changes[i].version = NULL;
            failed++;
        }
        note(&updates[i], rc, &why);
        if (failed == 1 && rc < 0) {
            sp_error_move(err, &why);
        }
        sp_error_clear(&why);
    }
    return failed;
}

/* Gate taken, locked: store all that are prepared, together. */
static int keep_all(struct sp_sessions *sessions, struct session *session,
                    const struct var_change *changes, size_t count, sp_error *err)
{
    size_t used = 0;
    if (!sp__is_kept(session)) {
        return SP_OK;
    }
    struct record *records = sp__malloc((count + 1) * sizeof *records);
    if (records == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory to store %zu values", count);
    }
    for (size_t i = 0; i < count; i++) {
        if (changes[i].version != NULL) {
            records[used++] = sp__record_change(sessions, session, &changes[i]);
        }
    }
    int rc = used == 0 ? SP_OK : sp__keep(sessions, session, records, used, err);
    sp__free(records);
    return rc;
}

static int make_all(struct sp_sessions *sessions, struct session *session,
                    sp_variable_update *updates, struct var_change *changes,
                    size_t count)
{
    int made = 0;
    for (size_t i = 0; i < count; i++) {
        if (changes[i].version != NULL) {
            updates[i].version = sp__change_make(sessions, session, &changes[i]);
            made++;
        }
    }
    return made;
}

int sp__variables_set(struct sp_sessions *sessions, const char *session_id,
                      sp_variable_update *updates, size_t count, int atomic,
                      const sp_change_options *options, sp_error *err)
{
    struct session *session;
    sp_error first = {0};
    struct var_change *changes = sp__calloc(count + 1, sizeof *changes);
    if (changes == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %zu updates", count);
    }
    int rc = sp__session_change(sessions, session_id, &session, err);
    if (rc < 0) {
        sp__free(changes);
        return rc;
    }
    sp__session_pause(session);
    size_t failed =
        prepare_all(sessions, session, updates, changes, count, options, &first);
    sp__session_resume(session);
    if (failed > 0 && atomic) {
        rc = first.code;
        sp_error_move(err, &first);
    } else {
        rc = keep_all(sessions, session, changes, count, err);
        if (rc == SP_OK) {
            rc = make_all(sessions, session, updates, changes, count);
        }
    }
    sp__session_changed(session);
    sp__keep_news(sessions);
    for (size_t i = 0; i < count; i++) {
        sp__version_unref(changes[i].version);
    }
    sp__free(changes);
    sp_error_clear(&first);
    if (rc >= 0 &&
        sp__herald_wants(sessions->herald, SP_EVENT_VARIABLES_BATCH_UPDATE)) {
        sp__sessions_note(
            sessions, session_id,
            (struct tidings){.event = {.kind = SP_EVENT_VARIABLES_BATCH_UPDATE},
                             EVENT_NUMBERS((double)rc),
                             EVENT_TEXTS(atomic ? "true" : "false")});
    }
    return rc;
}
