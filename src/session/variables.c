/* SPDX-License-Identifier: MIT */
/*
 * Variables one by one: found, registered, read, set, deleted.
 *
 * Every change has the same parts. With the session's gate taken it is prepared
 * without the lock: the value is read, cast and checked, and everything that needs
 * memory gets it. It is stored, when the session is (keep.c). Then, with the lock, it is
 * made, which cannot fail any more, and the watchers are told in the same breath, so that
 * they see changes in their order.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "session/checks.h"
#include "session/keep.h"
#include "session/variable.h"

/* ---- finding ---- */

/* The name inside "var_<name>_<number>", when it is one. */
static struct variable *find_by_id(const struct session *session, const char *id)
{
    const char *last = strrchr(id, '_');
    if (strncmp(id, "var_", 4) != 0 || last < id + 4) {
        return NULL;
    }
    struct name_node *node =
        sp__names_find(&session->variables, id + 4, (size_t)(last - id - 4));
    if (node == NULL) {
        return NULL;
    }
    struct variable *variable = ITEM(node, struct variable, node);
    char *end;
    unsigned long long number = strtoull(last + 1, &end, 10);
    return *end == '\0' && last[1] != '\0' && number == variable->number ? variable
                                                                         : NULL;
}

struct variable *sp__variable_find(const struct session *session, const char *name)
{
    struct name_node *node = sp__names_find(&session->variables, name, strlen(name));
    return node != NULL ? ITEM(node, struct variable, node) : find_by_id(session, name);
}

int sp__variable_need(const struct session *session, const char *name,
                      struct variable **ret_variable, sp_error *err)
{
    if (name == NULL || name[0] == '\0') {
        return sp__fail(err, SP_ERR_INVAL, "the name of a variable is needed");
    }
    *ret_variable = sp__variable_find(session, name);
    return *ret_variable != NULL
               ? SP_OK
               : sp__fail(err, SP_ERR_NOT_FOUND, "no variable \"%s\" in session \"%s\"",
                          sp__excerpt(name, strlen(name)).text, session->id);
}

/* ---- building ---- */

size_t sp__variable_bytes(const struct variable *variable)
{
    size_t bytes = sizeof *variable + strlen(variable->name) + 1;
    for (struct link *link = variable->versions.first; link != NULL;
         link = link->next) {
        bytes += sp__version_bytes(ITEM(link, struct var_version, on_versions));
    }
    for (struct link *link = variable->needs.first; link != NULL; link = link->next) {
        bytes += sizeof(struct dependency) +
                 strlen(ITEM(link, struct dependency, on_needs)->kind) + 1;
    }
    return bytes + variable->rules->bytes +
           (variable->locked_by == NULL ? 0 : strlen(variable->locked_by) + 1);
}

void sp__variable_free(struct variable *variable)
{
    struct link *link;
    if (variable == NULL) {
        return;
    }
    while ((link = sp__list_pop(&variable->versions)) != NULL) {
        sp__version_unref(ITEM(link, struct var_version, on_versions));
    }
    while ((link = sp__list_pop(&variable->needs)) != NULL) {
        sp__free(ITEM(link, struct dependency, on_needs));
    }
    sp__var_rules_unref(variable->rules);
    sp__free(variable->locked_by);
    sp__free(variable);
}

static int check_options(const sp_change_options *options, size_t metadata_max,
                         sp_error *err)
{
    if (options->changed_by != NULL && strlen(options->changed_by) > SP_NAME_MAX) {
        return sp__fail(err, SP_ERR_INVAL, "changed_by has %zu bytes: at most %d",
                        strlen(options->changed_by), SP_NAME_MAX);
    }
    return options->metadata == NULL
               ? SP_OK
               : sp__check_object("metadata", options->metadata,
                                  strlen(options->metadata), metadata_max, err);
}

/* Cast, check, and make a version of it on top of the metadata there was. */
static int build_version(struct sp_sessions *sessions, const struct var_rules *rules,
                         uint64_t number, const char *value, size_t size,
                         const char *old_metadata, const sp_change_options *options,
                         struct var_version **ret_version, sp_error *err)
{
    struct cast cast;
    char *metadata = NULL;
    size_t metadata_max = sessions->options.metadata_bytes;
    int rc = check_options(options, metadata_max, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__var_rules_apply(rules, value, size, sessions->options.value_bytes, &cast,
                             err);
    if (rc == SP_OK) {
        rc = sp__merge_objects(old_metadata, options->metadata, metadata_max, &metadata,
                               err);
    }
    if (rc == SP_OK) {
        *ret_version = sp__version_new(
            number, &cast.json, metadata,
            options->changed_by == NULL ? "" : options->changed_by, err);
        rc = *ret_version == NULL ? SP_ERR_NOMEM : SP_OK;
    }
    sp__free(metadata);
    sp__cast_fini(&cast);
    return rc;
}

static int find_type(const char *type, const char *value, size_t size,
                     enum var_type *ret_type, sp_error *err)
{
    return type == NULL ? sp__var_infer(value, size, ret_type, err)
                        : sp__var_type_by_name(type, ret_type, err);
}

int sp__variable_build(struct sp_sessions *sessions, const char *name, const char *type,
                       const char *value, size_t value_size,
                       const sp_change_options *options, struct variable **ret_variable,
                       sp_error *err)
{
    size_t size;
    enum var_type which;
    const char *constraints = options->constraints == NULL ? "" : options->constraints;
    struct var_version *version = NULL;
    int rc = sp__check_name("variable name", name, &size, err);
    if (rc == SP_OK) {
        rc = find_type(type, value, value_size, &which, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct variable *variable = sp__calloc(1, sizeof *variable + size + 1);
    if (variable == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a variable");
    }
    memcpy(variable->name, name, size);
    variable->created_unix_ms = sp__unix_ns() / 1000000u;
    rc = sp__var_rules_new(which, constraints, strlen(constraints), &variable->rules,
                           err);
    if (rc == SP_OK) {
        rc = build_version(sessions, variable->rules, 0, value, value_size, NULL,
                           options, &version, err);
    }
    if (rc < 0) {
        sp__variable_free(variable);
        return sp__wrap(err, rc, "variable \"%s\"", sp__excerpt(name, size).text);
    }
    sp__list_append(&variable->versions, &version->on_versions);
    *ret_variable = variable;
    return SP_OK;
}

/* ---- in and out ---- */

int sp__session_has_room(struct sp_sessions *sessions, const struct session *session,
                         size_t bytes, sp_error *err)
{
    uint64_t max = sessions->options.session_bytes;
    return bytes <= max && session->bytes <= max - bytes
               ? SP_OK
               : sp__fail(err, SP_ERR_QUOTA,
                          "session \"%s\" holds %llu bytes and would grow by %zu: at "
                          "most %llu",
                          session->id, (unsigned long long)session->bytes, bytes,
                          (unsigned long long)max);
}

int sp__variable_is_new(const struct session *session, const struct variable *variable,
                        sp_error *err)
{
    size_t size = strlen(variable->name);
    return sp__names_find(&session->variables, variable->name, size) == NULL
               ? SP_OK
               : sp__fail(err, SP_ERR_EXISTS,
                          "there is a variable \"%s\" in session \"%s\" already",
                          sp__excerpt(variable->name, size).text, session->id);
}

int sp__variables_make_room(struct sp_sessions *sessions, struct session *session,
                            size_t count, size_t bytes, sp_error *err)
{
    uint64_t max = sessions->options.variables_max;
    size_t length = session->variables.length;
    if (count > max || length > max - count) {
        return sp__fail(err, SP_ERR_QUOTA,
                        "session \"%s\" has %llu variables, as many as may be",
                        session->id, (unsigned long long)max);
    }
    int rc = sp__session_has_room(sessions, session, bytes, err);
    if (rc == SP_OK && sp__names_reserve(&session->variables, length + count) < 0) {
        rc = sp__fail(err, SP_ERR_NOMEM, "no memory for a variable");
    }
    return rc;
}

void sp__variable_link(struct session *session, struct variable *variable)
{
    int rc = sp__names_put(&session->variables, &variable->node, variable->name,
                           strlen(variable->name));
    assert(rc == SP_OK); /* room was made */
    (void)rc;
    if (variable->number > session->last_number) {
        session->last_number = variable->number;
    }
    sp__list_append(&session->variables_by_age, &variable->on_age);
    session->shard->variables++;
    sp__session_count(session, sp__variable_bytes(variable), 0);
}

void sp__variable_unlink(struct session *session, struct variable *variable)
{
    sp__dependencies_drop(session, variable);
    sp__names_remove(&session->variables, &variable->node);
    sp__list_remove(&variable->on_age);
    session->shard->variables--;
    sp__session_count(session, 0, sp__variable_bytes(variable));
}

/* Gate taken, locked: everything that may fail, the storing last. */
static int prepare_registration(struct sp_sessions *sessions, struct session *session,
                                struct variable *variable, struct var_view *ret_view,
                                sp_variable *ret_variable, sp_error *err)
{
    int rc = sp__variable_is_new(session, variable, err);
    if (rc == SP_OK) {
        rc = sp__variables_make_room(sessions, session, 1, sp__variable_bytes(variable),
                                     err);
    }
    if (rc < 0) {
        return rc;
    }
    variable->number = session->last_number + 1;
    if (ret_variable != NULL) {
        sp__view_init(ret_view, variable);
        rc = sp__view_copy(ret_view, ret_variable, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct record records[] = {
        sp__record_variable(session, variable),
        sp__record_version(session, variable, sp__variable_now(variable))};
    rc = sp__keep(sessions, session, records, 2, err);
    if (rc < 0 && ret_variable != NULL) {
        sp__free(ret_variable->memory);
        *ret_variable = (sp_variable){0};
    }
    return rc;
}

int sp__variable_register(struct sp_sessions *sessions, const char *session_id,
                          const char *name, const char *type, const char *value,
                          const sp_change_options *options, sp_variable *ret_variable,
                          sp_error *err)
{
    struct session *session;
    struct variable *variable = NULL;
    struct var_view view = {0};
    int rc = sp__variable_build(sessions, name, type, value, strlen(value), options,
                                &variable, err);
    if (rc < 0) {
        sp__variable_note_refusal(sessions, session_id, name, type, value, rc, err);
        return rc;
    }
    rc = sp__session_change(sessions, session_id, &session, err);
    if (rc < 0) {
        sp__variable_free(variable);
        return rc;
    }
    rc = prepare_registration(sessions, session, variable, &view, ret_variable, err);
    if (rc == SP_OK) {
        sp__variable_link(session, variable);
        sp__watches_tell(session, variable, SP_CHANGE_REGISTERED);
        variable = NULL;
    }
    sp__session_changed(session);
    sp__keep_news(sessions);
    sp__view_fini(&view);
    sp__variable_free(variable);
    if (rc == SP_OK) {
        sp__variable_note(sessions, session_id, SP_EVENT_VARIABLE_REGISTERED, name,
                          type);
    } else {
        sp__variable_note_refusal(sessions, session_id, name, type, value, rc, err);
    }
    return rc;
}

int sp__variable_get(struct sp_sessions *sessions, const char *session_id,
                     const char *name, sp_variable *ret_variable, sp_error *err)
{
    struct session *session;
    struct variable *variable;
    struct var_view view;
    int rc = sp__session_lock(sessions, session_id, &session, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__variable_need(session, name, &variable, err);
    if (rc == SP_OK) {
        sp__view_init(&view, variable);
    }
    sp__session_unlock(session);
    if (rc == SP_OK) {
        rc = sp__view_copy(&view, ret_variable, err);
        sp__view_fini(&view);
    }
    if (rc == SP_OK) {
        sp__variable_note(sessions, session_id, SP_EVENT_VARIABLE_GET, name, "false");
    }
    return rc;
}

/* ---- changing ---- */

int sp__variable_admit(const struct variable *variable,
                       const sp_change_options *options, sp_error *err)
{
    uint64_t version = sp__variable_now(variable)->version;
    if (variable->locked_by != NULL &&
        (options->owner == NULL || strcmp(options->owner, variable->locked_by) != 0)) {
        return sp__fail(err, SP_ERR_LOCKED, "variable \"%s\" is locked by \"%s\"",
                        sp__excerpt(variable->name, strlen(variable->name)).text,
                        variable->locked_by);
    }
    if (options->check_version && options->expected_version != version) {
        return sp__fail(
            err, SP_ERR_CONFLICT, "variable \"%s\" is at version %llu, expected %llu",
            sp__excerpt(variable->name, strlen(variable->name)).text,
            (unsigned long long)version, (unsigned long long)options->expected_version);
    }
    return SP_OK;
}

int sp__change_prepare(struct sp_sessions *sessions, const struct variable *variable,
                       const char *value, const sp_change_options *options,
                       struct var_change *ret_change, sp_error *err)
{
    const struct var_version *now = sp__variable_now(variable);
    *ret_change = (struct var_change){.variable = (struct variable *)variable};
    int rc =
        build_version(sessions, variable->rules, now->version + 1, value, strlen(value),
                      now->metadata, options, &ret_change->version, err);
    return rc < 0 ? sp__wrap(err, rc, "variable \"%s\"",
                             sp__excerpt(variable->name, strlen(variable->name)).text)
                  : SP_OK;
}

uint64_t sp__change_make(struct sp_sessions *sessions, struct session *session,
                         struct var_change *change)
{
    struct variable *variable = change->variable;
    struct list *versions = &variable->versions;
    uint64_t version = change->version->version;
    sp__session_count(session, sp__version_bytes(change->version), 0);
    sp__list_append(versions, &change->version->on_versions);
    change->version = NULL;
    while (versions->length > sessions->options.history_max) {
        struct var_version *oldest =
            ITEM(sp__list_pop(versions), struct var_version, on_versions);
        sp__session_count(session, 0, sp__version_bytes(oldest));
        sp__version_unref(oldest);
    }
    sp__watches_tell(session, variable, SP_CHANGE_VALUE);
    return version;
}

int sp__change_keep(struct sp_sessions *sessions, struct session *session,
                    const struct var_change *change, sp_error *err)
{
    int rc = sp__session_has_room(sessions, session, sp__version_bytes(change->version),
                                  err);
    if (rc < 0 || !sp__is_kept(session)) {
        return rc;
    }
    struct record record = sp__record_change(sessions, session, change);
    return sp__keep(sessions, session, &record, 1, err);
}

int sp__variable_peek(struct sp_sessions *sessions, const char *session_id,
                      const char *name, const char **ret_type, size_t *ret_bytes,
                      sp_error *err)
{
    struct session *session;
    struct variable *variable;
    int rc = sp__session_lock(sessions, session_id, &session, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__variable_need(session, name, &variable, err);
    if (rc == SP_OK) {
        *ret_type = sp__var_type_name(variable->rules->type);
        *ret_bytes = sp__variable_now(variable)->value_size;
    }
    sp__session_unlock(session);
    return rc;
}

int sp__variable_set(struct sp_sessions *sessions, const char *session_id,
                     const char *name, const char *value,
                     const sp_change_options *options, uint64_t *ret_version,
                     sp_error *err)
{
    struct session *session;
    struct variable *variable;
    struct var_change change = {0};
    const char *type = "";
    uint64_t version = 0;
    int rc = sp__session_change(sessions, session_id, &session, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__variable_need(session, name, &variable, err);
    if (rc == SP_OK) {
        rc = sp__variable_admit(variable, options, err);
    }
    if (rc == SP_OK) {
        type = sp__var_type_name(variable->rules->type);
        sp__session_pause(session);
        rc = sp__change_prepare(sessions, variable, value, options, &change, err);
        sp__session_resume(session);
    }
    if (rc == SP_OK) {
        rc = sp__change_keep(sessions, session, &change, err);
    }
    if (rc == SP_OK) {
        version = sp__change_make(sessions, session, &change);
        if (ret_version != NULL) {
            *ret_version = version;
        }
    }
    sp__session_changed(session);
    sp__keep_news(sessions);
    sp__version_unref(change.version);
    if (rc == SP_OK) {
        sp__variable_note_version(sessions, session_id, name, type, version);
    } else {
        sp__variable_note_refusal(sessions, session_id, name, type, value, rc, err);
    }
    return rc;
}

int sp__variable_delete(struct sp_sessions *sessions, const char *session_id,
                        const char *name, const sp_change_options *options,
                        sp_error *err)
{
    struct session *session;
    struct variable *variable = NULL;
    int rc = sp__session_change(sessions, session_id, &session, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__variable_need(session, name, &variable, err);
    if (rc == SP_OK) {
        rc = sp__variable_admit(variable, options, err);
    }
    if (rc == SP_OK) {
        struct record gone = {.kind = RECORD_VARIABLE_DELETE,
                              .session = session->key,
                              .number = variable->number};
        rc = sp__keep_removal(sessions, session, &gone, err);
    }
    if (rc == SP_OK) {
        sp__watches_tell(session, variable, SP_CHANGE_DELETED);
        sp__variable_unlink(session, variable);
    }
    sp__session_changed(session);
    sp__keep_news(sessions);
    if (rc == SP_OK) {
        sp__variable_free(variable);
        sp__variable_note(sessions, session_id, SP_EVENT_VARIABLE_DELETED, name, NULL);
    }
    return rc;
}
