/* SPDX-License-Identifier: MIT */
/*
 * What a change leaves in the store, and when an expiry is written.
 *
 * A change is prepared, stored, and then made in memory, all under the session's gate:
 * readers see what was before until it is safe, and when storing fails nothing has
 * happened. The lock is let go while the store works; the gate keeps what the records
 * borrow in its place.
 *
 * Every use of a session moves its expiry, and is not written. What is stored is a
 * promise that lies later than the true expiry by a tenth of the time to live, at least
 * a second; only a use that passes it is written, as a new promise. So after a kill
 * one may live a tenth longer; too early it is gone only when that writing failed, for
 * then the promise before it holds. A set that is closed in order writes the true ones.
 */
#include "session/keep.h"

#include <string.h>

#include "base/error.h"

enum { SLACK_MIN_MS = 1000, EXPIRIES_AT_ONCE = 256 };

int sp__keep_class(const struct sp_sessions *sessions, int wanted, int *ret_durability,
                   sp_error *err)
{
    if (wanted < SP_DURABILITY_DEFAULT || wanted > SP_DURABILITY_DURABLE) {
        return sp__fail(err, SP_ERR_INVAL,
                        "durability is %d: SP_DURABILITY_MEMORY to %d", wanted,
                        SP_DURABILITY_DURABLE);
    }
    if (wanted == SP_DURABILITY_DEFAULT) {
        wanted = sessions->options.durability;
    }
    if (wanted != SP_DURABILITY_MEMORY && sessions->store == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "only a set of sessions that has a path stores any");
    }
    *ret_durability = wanted;
    return SP_OK;
}

/* ---- storing ---- */

static int commit(struct sp_sessions *sessions, struct session *session,
                  struct change *change, sp_error *err)
{
    if (!sp__is_kept(session)) {
        return SP_OK;
    }
    change->durable = session->durability == SP_DURABILITY_DURABLE;
    sp__session_pause(session);
    int rc = sp__store_commit(sessions->store, change, err);
    sp__session_resume(session);
    return rc;
}

int sp__keep(struct sp_sessions *sessions, struct session *session,
             const struct record *records, size_t count, sp_error *err)
{
    struct change change = {.records = records, .count = count};
    return commit(sessions, session, &change, err);
}

int sp__keep_removal(struct sp_sessions *sessions, struct session *session,
                     const struct record *record, sp_error *err)
{
    struct change change = {.records = record, .count = 1, .shrinks = 1};
    return commit(sessions, session, &change, err);
}

static int globals_are_kept(const struct sp_sessions *sessions)
{
    return sessions->options.durability != SP_DURABILITY_MEMORY;
}

int sp__keep_global(struct sp_sessions *sessions, const struct record *record,
                    int shrinks, sp_error *err)
{
    struct change change = {.records = record,
                            .count = 1,
                            .shrinks = shrinks,
                            .durable =
                                sessions->options.durability == SP_DURABILITY_DURABLE};
    struct record gone = {.kind = RECORD_PROGRAM_DELETE, .name = record->name};
    if (sessions->store == NULL) {
        return SP_OK;
    }
    if (!globals_are_kept(sessions)) { /* what an earlier run kept is out of date now */
        change.records = &gone;
        change.shrinks = 1;
    }
    (void)pthread_mutex_unlock(&sessions->global_lock);
    int rc = sp__store_commit(sessions->store, &change, err);
    (void)pthread_mutex_lock(&sessions->global_lock);
    return rc;
}

/* ---- expiries ---- */

uint64_t sp__keep_slack(uint64_t ttl_ms)
{
    return ttl_ms / 10 < SLACK_MIN_MS ? SLACK_MIN_MS : ttl_ms / 10;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a >= SP_UNLIMITED - b ? SP_UNLIMITED : a + b;
}

struct record_expiry sp__keep_expiry(struct sp_sessions *sessions, uint64_t ttl_ms,
                                     uint64_t expires_ms, uint64_t slack_ms)
{
    uint64_t boot_ms = add(expires_ms, slack_ms);
    uint64_t now_ms = sessions->now_ms();
    uint64_t left_ms = boot_ms > now_ms ? boot_ms - now_ms : 0;
    return (struct record_expiry){.ttl_ms = ttl_ms,
                                  .boot_ms = boot_ms,
                                  .unix_ms = boot_ms == SP_UNLIMITED
                                                 ? SP_UNLIMITED
                                                 : add(sessions->unix_ms(), left_ms)};
}

void sp__keep_use(struct sp_sessions *sessions, struct session *session)
{
    if (sp__store_state(sessions->store) == STORE_FAILED) {
        return;
    }
    struct record use = {.kind = RECORD_SESSION_USE,
                         .session = session->key,
                         .expires = sp__keep_expiry(sessions, session->ttl_ms,
                                                    session->expires_ms,
                                                    sp__keep_slack(session->ttl_ms))};
    if (sp__store_post(sessions->store, &use) == SP_OK) {
        session->promised_ms = use.expires.boot_ms;
    }
}

void sp__keep_end(struct sp_sessions *sessions, const struct session *session)
{
    if (sp__is_kept(session)) {
        struct record gone = {.kind = RECORD_SESSION_DELETE, .session = session->key};
        /* Not written: it is over as well when it is read. */
        (void)sp__store_post(sessions->store, &gone);
    }
}

void sp__keep_program_end(struct sp_sessions *sessions, const struct program *program)
{
    if (sessions->store != NULL) {
        struct record gone = {.kind = RECORD_PROGRAM_DELETE, .name = program->id};
        (void)sp__store_post(sessions->store, &gone); /* as above */
    }
}

static void commit_expiries(struct sp_sessions *sessions, const struct record *records,
                            size_t count)
{
    /* Rows that are there change in place, so a full disk has room for it. */
    struct change change = {.records = records, .count = count, .shrinks = 1};
    /* When it fails, what was promised last holds. */
    (void)!(count > 0 && sp__store_commit(sessions->store, &change, NULL) < 0);
}

void sp__keep_expiries(struct sp_sessions *sessions)
{
    struct record records[EXPIRIES_AT_ONCE];
    size_t count = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        size_t at = 0;
        struct name_node *node = NULL;
        while ((node = sp__names_next(&sessions->shards[i].by_id, &at, node)) != NULL) {
            const struct session *session = ITEM(node, struct session, node);
            if (!sp__is_kept(session) || session->promised_ms == session->expires_ms) {
                continue;
            }
            records[count++] =
                (struct record){.kind = RECORD_SESSION_USE,
                                .session = session->key,
                                .expires = sp__keep_expiry(sessions, session->ttl_ms,
                                                           session->expires_ms, 0)};
            if (count == EXPIRIES_AT_ONCE) {
                commit_expiries(sessions, records, count);
                count = 0;
            }
        }
    }
    commit_expiries(sessions, records, count);
}

/* ---- news ---- */

void sp__keep_news(struct sp_sessions *sessions)
{
    enum store_state state;
    if (sessions->store == NULL || !sp__store_news(sessions->store, &state)) {
        return;
    }
    switch (state) {
    case STORE_OK:
        sp__sessions_tell(sessions, SP_EVENT_STORE_RECOVERED, "",
                          "there is room on the disk again: changes are stored");
        break;
    case STORE_NO_ROOM:
        sp__sessions_tell(sessions, SP_EVENT_STORE_FULL, "",
                          "no room on the disk for the state: changes are refused, "
                          "deletions work");
        break;
    case STORE_FAILED:
        sp__sessions_tell(sessions, SP_EVENT_STORE_FAILED, "",
                          "the store has failed: changes are refused until the host is "
                          "started again");
        break;
    }
}

/* ---- records ---- */

struct record sp__record_session(struct sp_sessions *sessions,
                                 const struct session *session)
{
    return (struct record){.kind = RECORD_SESSION,
                           .session = session->key,
                           .name = session->id,
                           .durability = session->durability,
                           .created_unix_ms = session->created_unix_ms,
                           .expires = sp__keep_expiry(sessions, session->ttl_ms,
                                                      session->expires_ms,
                                                      sp__keep_slack(session->ttl_ms)),
                           .metadata = session->metadata};
}

struct record sp__record_variable(const struct session *session,
                                  const struct variable *variable)
{
    return (struct record){.kind = RECORD_VARIABLE,
                           .session = session->key,
                           .number = variable->number,
                           .name = variable->name,
                           .type = sp__var_type_name(variable->rules->type),
                           .value = variable->rules->json,
                           .value_size = variable->rules->json_size,
                           .created_unix_ms = variable->created_unix_ms};
}

struct record sp__record_version(const struct session *session,
                                 const struct variable *variable,
                                 struct var_version *version)
{
    return (struct record){.kind = RECORD_VERSION,
                           .session = session->key,
                           .number = variable->number,
                           .version = version->version,
                           .updated_unix_ms = version->time_unix_ms,
                           .value = version->value,
                           .value_size = version->value_size,
                           .metadata = version->metadata,
                           .by = version->changed_by,
                           .ret_row = &version->row};
}

struct record sp__record_program(struct sp_sessions *sessions,
                                 const struct session *session,
                                 const struct program *program)
{
    return (struct record){
        .kind = RECORD_PROGRAM,
        .session = session == NULL ? 0 : session->key,
        .name = program->id,
        .value = program->data,
        .value_size = program->data_size,
        .created_unix_ms = program->created_unix_ms,
        .updated_unix_ms = program->updated_unix_ms,
        .expires = sp__keep_expiry(sessions, program->ttl_ms, program->expires_ms, 0)};
}

/* With the version that falls out of the history for it. */
struct record sp__record_change(const struct sp_sessions *sessions,
                                const struct session *session,
                                const struct var_change *change)
{
    const struct list *versions = &change->variable->versions;
    struct record record =
        sp__record_version(session, change->variable, change->version);
    if (versions->length >= sessions->options.history_max) {
        record.drop = ITEM(versions->first, struct var_version, on_versions)->row;
    }
    return record;
}
