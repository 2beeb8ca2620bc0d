/* SPDX-License-Identifier: MIT */
/*
 * From records back to sessions.
 *
 * The store hands them over in an order in which each finds what it belongs to: a
 * session, its variables with their versions, then what refers to variables. Texts were
 * checked when they came in; they are checked again, because nobody knows who has had
 * the file meanwhile, and the code behind relies on it.
 *
 * Time: within one start of the machine the time since boot says what is left, whatever
 * happened to the wall clock. After another start only the wall clock can, and it may have
 * been set: what is left is never more than the time to live. The expiry is then stored
 * anew, by the clock that holds now, so that a clock that is set back again and again
 * makes nothing immortal.
 *
 * What is over, or was replaced by a later session of its id, is taken away.
 */
#include "session/restore.h"

#include <string.h>

#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "session/checks.h"
#include "session/keep.h"

struct restoring {
    struct sp_sessions *sessions;
    struct session *session; /* whose records come now; NULL: one that is left out */
    struct variable *variable;
    struct map by_number; /* its variables, once a dependency asked */
    uint64_t boot_ms;
    uint64_t unix_ms;
};

uint64_t sp__remaining_ms(const struct record_expiry *expires, uint64_t boot_ms,
                          uint64_t unix_ms)
{
    if (expires->boot_ms == SP_UNLIMITED || expires->unix_ms == SP_UNLIMITED) {
        return SP_UNLIMITED;
    }
    uint64_t end_ms = expires->other_boot ? expires->unix_ms : expires->boot_ms;
    uint64_t now_ms = expires->other_boot ? unix_ms : boot_ms;
    uint64_t left_ms = end_ms > now_ms ? end_ms - now_ms : 0;
    return left_ms < expires->ttl_ms ? left_ms : expires->ttl_ms;
}

static int damaged(sp_error *err, int rc, const char *what, const char *name)
{
    if (rc == SP_ERR_NOMEM) {
        return rc;
    }
    struct excerpt excerpt = sp__excerpt(name, strlen(name));
    rc = sp__wrap(err, rc, "the stored %s \"%s\"", what, excerpt.text);
    if (err != NULL) {
        err->code = SP_ERR_STORE;
    }
    return rc == SP_ERR_NOMEM ? rc : SP_ERR_STORE;
}

/* ---- sessions ---- */

static void take_away(struct restoring *restoring, const struct record *record)
{
    struct record gone = {.kind = RECORD_SESSION_DELETE, .session = record->session};
    /* Not written: it is over the next time as well. */
    (void)sp__store_post(restoring->sessions->store, &gone);
}

static void set_expiry(struct restoring *restoring, struct session *session,
                       const struct record_expiry *stored, uint64_t left_ms)
{
    struct sp_sessions *sessions = restoring->sessions;
    session->expires_ms =
        left_ms == SP_UNLIMITED ? SP_UNLIMITED : restoring->boot_ms + left_ms;
    session->used_ms = session->ttl_ms == SP_UNLIMITED
                           ? restoring->boot_ms
                           : session->expires_ms - session->ttl_ms;
    session->promised_ms = stored->boot_ms;
    if (!stored->other_boot || left_ms == SP_UNLIMITED) {
        return;
    }
    struct record use = {
        .kind = RECORD_SESSION_USE,
        .session = session->key,
        .expires = sp__keep_expiry(sessions, session->ttl_ms, session->expires_ms, 0)};
    session->promised_ms = use.expires.boot_ms;
    (void)sp__store_post(sessions->store, &use); /* else with its first use */
}

static int restore_session(struct restoring *restoring, const struct record *record,
                           sp_error *err)
{
    struct sp_sessions *sessions = restoring->sessions;
    struct session *session = NULL;
    size_t size = strlen(record->name);
    uint64_t left_ms =
        sp__remaining_ms(&record->expires, restoring->boot_ms, restoring->unix_ms);
    struct shard *shard = sp__session_shard(sessions, record->name, size);
    restoring->session = NULL;
    sp__map_fini(&restoring->by_number);
    if (left_ms == 0 || sp__names_find(&shard->by_id, record->name, size) != NULL) {
        take_away(restoring, record);
        return SP_OK;
    }
    int rc = sp__check_name("session id", record->name, &size, err);
    if (rc == SP_OK) {
        rc = sp__check_object("metadata", record->metadata, strlen(record->metadata),
                              SIZE_MAX, err);
    }
    if (rc == SP_OK) {
        rc = sp__session_build(sessions, record->name, size, record->metadata,
                               record->expires.ttl_ms, &session, err);
    }
    if (rc < 0) {
        return damaged(err, rc, "session", record->name);
    }
    session->key = record->session;
    session->durability = record->durability == SP_DURABILITY_DURABLE
                              ? SP_DURABILITY_DURABLE
                              : SP_DURABILITY_CRASH;
    session->created_unix_ms = record->created_unix_ms;
    session->last_number = record->number;
    set_expiry(restoring, session, &record->expires, left_ms);
    rc = sp__session_link(shard, session, size, err);
    if (rc < 0) {
        sp__session_free_whole(session);
        return rc;
    }
    (void)atomic_fetch_add(&sessions->count, 1);
    restoring->session = session;
    return SP_OK;
}

/* ---- variables ---- */

static int build_variable(const struct record *record, struct variable **ret_variable,
                          sp_error *err)
{
    size_t size;
    enum var_type type;
    int rc = sp__check_name("variable name", record->name, &size, err);
    if (rc == SP_OK) {
        rc = sp__var_type_by_name(record->type, &type, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct variable *variable = sp__calloc(1, sizeof *variable + size + 1);
    if (variable == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a variable");
    }
    memcpy(variable->name, record->name, size);
    variable->number = record->number;
    variable->created_unix_ms = record->created_unix_ms;
    rc = sp__var_rules_new(type, record->value, record->value_size, &variable->rules,
                           err);
    if (rc < 0) {
        sp__variable_free(variable);
        return rc;
    }
    *ret_variable = variable;
    return SP_OK;
}

static int restore_variable(struct restoring *restoring, const struct record *record,
                            sp_error *err)
{
    struct session *session = restoring->session;
    struct variable *variable = NULL;
    int rc = build_variable(record, &variable, err);
    if (rc == SP_OK) {
        rc = sp__variable_is_new(session, variable, err);
    }
    if (rc == SP_OK &&
        sp__names_reserve(&session->variables, session->variables.length + 1) < 0) {
        rc = sp__fail(err, SP_ERR_NOMEM, "no memory for a variable");
    }
    if (rc < 0) {
        sp__variable_free(variable);
        return damaged(err, rc, "variable", record->name);
    }
    sp__variable_link(session, variable);
    restoring->variable = variable;
    return SP_OK;
}

static int restore_version(struct restoring *restoring, const struct record *record,
                           sp_error *err)
{
    struct variable *variable = restoring->variable;
    struct list *versions = &variable->versions;
    struct sp_buffer json = {.data = (uint8_t *)(uintptr_t)record->value,
                             .size = record->value_size};
    int rc =
        sp__check_json("the value", record->value, record->value_size, SIZE_MAX, err);
    if (rc == SP_OK) {
        rc = sp__check_object("metadata", record->metadata, strlen(record->metadata),
                              SIZE_MAX, err);
    }
    if (rc < 0) {
        return damaged(err, rc, "variable", variable->name);
    }
    struct var_version *version =
        sp__version_new(record->version, &json, record->metadata, record->by, err);
    if (version == NULL) {
        return SP_ERR_NOMEM;
    }
    version->time_unix_ms = record->updated_unix_ms;
    version->row = record->row;
    sp__list_append(versions, &version->on_versions);
    sp__session_count(restoring->session, sp__version_bytes(version), 0);
    if (versions->length > restoring->sessions->options.history_max) {
        struct var_version *oldest =
            ITEM(sp__list_pop(versions), struct var_version, on_versions);
        sp__session_count(restoring->session, 0, sp__version_bytes(oldest));
        sp__store_drop(restoring->sessions->store, oldest->row);
        sp__version_unref(oldest);
    }
    return SP_OK;
}

static int restore_lock(struct restoring *restoring, const struct record *record,
                        sp_error *err)
{
    struct variable *variable = restoring->variable;
    size_t size;
    int rc = sp__check_name("owner of a lock", record->by, &size, err);
    if (rc < 0) {
        return damaged(err, rc, "variable", variable->name);
    }
    variable->locked_by = sp__strndup(record->by, size);
    if (variable->locked_by == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a lock");
    }
    variable->locked_unix_ms = record->updated_unix_ms;
    sp__session_count(restoring->session, size + 1, 0);
    return SP_OK;
}

/* ---- dependencies ---- */

static int number_variables(struct restoring *restoring, sp_error *err)
{
    struct link *link = restoring->session->variables_by_age.first;
    for (; link != NULL; link = link->next) {
        struct variable *variable = ITEM(link, struct variable, on_age);
        if (sp__map_put(&restoring->by_number, variable->number, variable) < 0) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for dependencies");
        }
    }
    return SP_OK;
}

static int restore_dependency(struct restoring *restoring, const struct record *record,
                              sp_error *err)
{
    size_t size;
    int rc = restoring->by_number.length > 0 ? SP_OK : number_variables(restoring, err);
    if (rc < 0) {
        return rc;
    }
    struct variable *from = sp__map_find(&restoring->by_number, record->number);
    struct variable *to = sp__map_find(&restoring->by_number, record->needs);
    if (from == NULL || to == NULL) {
        return sp__fail(err, SP_ERR_STORE,
                        "a dependency of session \"%s\" is on nothing",
                        restoring->session->id);
    }
    rc = sp__check_name("kind of dependency", record->type, &size, err);
    if (rc < 0) {
        return damaged(err, rc, "variable", from->name);
    }
    struct dependency *made = sp__calloc(1, sizeof *made + size + 1);
    if (made == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a dependency");
    }
    made->to = to;
    memcpy(made->kind, record->type, size);
    sp__dependency_link(restoring->session, from, made);
    return SP_OK;
}

/* ---- programs ---- */

/* A global one's own time to live; 0: it is over. */
static uint64_t place_in_time(struct restoring *restoring, struct program *program,
                              const struct record *record)
{
    struct sp_sessions *sessions = restoring->sessions;
    uint64_t left_ms =
        sp__remaining_ms(&record->expires, restoring->boot_ms, restoring->unix_ms);
    program->ttl_ms = record->expires.ttl_ms;
    program->expires_ms =
        left_ms == SP_UNLIMITED ? SP_UNLIMITED : restoring->boot_ms + left_ms;
    if (left_ms == 0) {
        sp__keep_program_end(sessions, program);
    } else if (record->expires.other_boot && left_ms != SP_UNLIMITED) {
        struct record use = {.kind = RECORD_PROGRAM_USE,
                             .name = program->id,
                             .expires = sp__keep_expiry(sessions, program->ttl_ms,
                                                        program->expires_ms, 0)};
        (void)sp__store_post(sessions->store, &use); /* else by the wall clock again */
    }
    return left_ms;
}

static int restore_program(struct restoring *restoring, const struct record *record,
                           sp_error *err)
{
    struct program *program = NULL;
    struct session *session = record->session == 0 ? NULL : restoring->session;
    int rc = sp__program_build(record->name, record->value, SIZE_MAX, &program, err);
    if (rc < 0) {
        return damaged(err, rc, "program", record->name);
    }
    program->created_unix_ms = record->created_unix_ms;
    program->updated_unix_ms = record->updated_unix_ms;
    if (session == NULL && place_in_time(restoring, program, record) == 0) {
        sp__program_free(program);
        return SP_OK;
    }
    rc = sp__program_restore(restoring->sessions, session, program, err);
    if (rc < 0) {
        sp__program_free(program);
    }
    return rc;
}

/* ---- all of them ---- */

static int restore(const struct record *record, void *user_data, sp_error *err)
{
    struct restoring *restoring = user_data;
    if (record->kind == RECORD_SESSION) {
        return restore_session(restoring, record, err);
    }
    if (record->session != 0 && restoring->session == NULL) {
        return SP_OK; /* of a session that is left out */
    }
    switch ((int)record->kind) {
    case RECORD_VARIABLE:
        return restore_variable(restoring, record, err);
    case RECORD_VARIABLE_LOCK:
        return restore_lock(restoring, record, err);
    case RECORD_VERSION:
        return restore_version(restoring, record, err);
    case RECORD_DEPENDENCY:
        return restore_dependency(restoring, record, err);
    default:
        return restore_program(restoring, record, err);
    }
}

int sp__sessions_restore(struct sp_sessions *sessions, sp_error *err)
{
    struct restoring restoring = {.sessions = sessions,
                                  .boot_ms = sessions->now_ms(),
                                  .unix_ms = sessions->unix_ms()};
    uint64_t last_key;
    int rc = sp__store_last_key(sessions->store, &last_key, err);
    if (rc < 0) {
        return rc;
    }
    atomic_store(&sessions->last_key, last_key);
    rc = sp__store_read(sessions->store, restore, &restoring, err);
    sp__map_fini(&restoring.by_number);
    return rc;
}
