/* SPDX-License-Identifier: MIT */
/*
 * The set of sessions: its shards, finding and locking a session, the gate for changes,
 * and the life of a session from creation to being unlinked.
 *
 * A session lives in the shard its id hashes to. A thread that changes one holds the
 * gate, a flag in the session; others who want to change it wait for the shard's
 * condition. Nothing removes a session whose gate is taken, so whoever holds it may let
 * go of the lock and finds the session again.
 *
 * When the set has a store, a change is stored between being prepared and being made
 * (keep.c), with the gate taken and the lock let go. A session that is being created is
 * in the table already, so that its id is taken, but unborn: nobody sees it.
 *
 * No thread holds two locks, and no callback runs under one.
 */
#include "session/sessions.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "session/checks.h"
#include "session/host_tools.h"
#include "session/keep.h"
#include "session/programs.h"
#include "session/restore.h"
#include "session/variable.h"

static struct shard *shard_of(struct sp_sessions *sessions, uint64_t hash)
{
    return &sessions->shards[(hash >> 32) % SHARDS]; /* the table uses the low half */
}

struct shard *sp__session_shard(struct sp_sessions *sessions, const char *id,
                                size_t size)
{
    return shard_of(sessions, sp__names_hash(id, size));
}

void sp__sessions_tell(struct sp_sessions *sessions, int kind, const char *session,
                       const char *message)
{
    if (sessions->options.on_event != NULL) {
        sp_event event = {.kind = kind,
                          .time_unix_ms = sp__unix_ns() / 1000000u,
                          .name = sp__event_row(kind)->name,
                          .pool = "",
                          .session = session,
                          .exit_status = -1,
                          .message = message};
        sessions->options.on_event(&event, sessions->options.event_data);
    }
}

void sp__sessions_note(struct sp_sessions *sessions, const char *session,
                       struct tidings tidings)
{
    tidings.event.session = session;
    sp__herald_tell(sessions->herald, &tidings);
}

/* ---- finding ---- */

static void use(struct sp_sessions *sessions, struct session *session, uint64_t now_ms)
{
    session->used_ms = now_ms;
    session->expires_ms = session->ttl_ms >= SP_UNLIMITED - now_ms
                              ? SP_UNLIMITED
                              : now_ms + session->ttl_ms;
    if (sp__is_kept(session) && session->expires_ms > session->promised_ms) {
        sp__keep_use(sessions, session);
    }
}

/* With the shard locked in any case. */
static struct session *find_locked(struct sp_sessions *sessions, const char *id,
                                   size_t size, struct shard **ret_shard)
{
    uint64_t hash = sp__names_hash(id, size);
    struct shard *shard = shard_of(sessions, hash);
    (void)pthread_mutex_lock(&shard->lock);
    *ret_shard = shard;
    struct name_node *node = sp__names_find_hashed(&shard->by_id, hash, id, size);
    return node == NULL ? NULL : ITEM(node, struct session, node);
}

static int not_found(const char *id, sp_error *err)
{
    return sp__fail(err, SP_ERR_NOT_FOUND, "no session \"%s\"", id);
}

int sp__session_lock(struct sp_sessions *sessions, const char *id,
                     struct session **ret_session, sp_error *err)
{
    size_t size;
    struct shard *shard;
    int rc = sp__check_name("session id", id, &size, err);
    if (rc < 0) {
        return rc;
    }
    uint64_t now_ms = sessions->now_ms();
    struct session *session = find_locked(sessions, id, size, &shard);
    if (session == NULL || !sp__session_is_there(session, now_ms)) {
        (void)pthread_mutex_unlock(&shard->lock);
        return not_found(id, err);
    }
    use(sessions, session, now_ms);
    if (sp__herald_wants(sessions->herald, SP_EVENT_SESSION_ACCESSED)) {
        sp__sessions_note(
            sessions, id,
            (struct tidings){.event = {.kind = SP_EVENT_SESSION_ACCESSED}});
    }
    *ret_session = session;
    return SP_OK;
}

void sp__session_unlock(struct session *session)
{
    (void)pthread_mutex_unlock(&session->shard->lock);
}

int sp__session_exists(struct sp_sessions *sessions, const char *id)
{
    size_t size;
    struct shard *shard;
    if (sp__check_name("session id", id, &size, NULL) < 0) {
        return 0;
    }
    uint64_t now_ms = sessions->now_ms();
    const struct session *session = find_locked(sessions, id, size, &shard);
    int exists = session != NULL && sp__session_is_there(session, now_ms);
    (void)pthread_mutex_unlock(&shard->lock);
    return exists;
}

/* ---- the gate ---- */

int sp__session_change(struct sp_sessions *sessions, const char *id,
                       struct session **ret_session, sp_error *err)
{
    for (;;) {
        struct session *session;
        int rc = sp__session_lock(sessions, id, &session, err);
        if (rc < 0) {
            return rc;
        }
        if (!session->changing) {
            session->changing = 1;
            session->changer = pthread_self();
            *ret_session = session;
            return SP_OK;
        }
        struct shard *shard = session->shard;
        if (pthread_equal(session->changer, pthread_self())) {
            (void)pthread_mutex_unlock(&shard->lock);
            return sp__fail(err, SP_ERR_INVAL,
                            "session \"%s\" is being updated by this very thread", id);
        }
        /* It may be gone after the wait, so it is looked up again. */
        (void)pthread_cond_wait(&shard->gate_opened, &shard->lock);
        (void)pthread_mutex_unlock(&shard->lock);
    }
}

void sp__session_pause(struct session *session)
{
    (void)pthread_mutex_unlock(&session->shard->lock);
}

void sp__session_resume(struct session *session)
{
    (void)pthread_mutex_lock(&session->shard->lock);
}

void sp__session_changed(struct session *session)
{
    struct shard *shard = session->shard;
    session->changing = 0;
    (void)pthread_cond_broadcast(&shard->gate_opened);
    (void)pthread_mutex_unlock(&shard->lock);
}

void sp__session_count(struct session *session, size_t more, size_t less)
{
    session->bytes = session->bytes + more - less;
    session->shard->bytes = session->shard->bytes + more - less;
}

/* ---- life ---- */

static uint64_t high_mark(const struct sp_sessions *sessions)
{
    const sp_sessions_options *options = &sessions->options;
    return options->sessions_max / 1000 * options->warn_permille +
           options->sessions_max % 1000 * options->warn_permille / 1000;
}

static void tell_high(struct sp_sessions *sessions, uint64_t count, const char *text)
{
    const sp_sessions_options *options = &sessions->options;
    if (options->on_event == NULL) {
        return;
    }
    double max = (double)options->sessions_max;
    uint64_t now_ns = sp__unix_ns();
    const sp_event_measurement measurements[] = {{"current_sessions", (double)count},
                                                 {"max_sessions", max},
                                                 {"utilization", (double)count / max},
                                                 {"system_time", (double)now_ns}};
    const sp_event_metadata metadata[] = {{"reason", "sessions_max"}};
    sp_event event = {.kind = SP_EVENT_SESSIONS_HIGH,
                      .time_unix_ms = now_ns / 1000000u,
                      .pool = "",
                      .session = "",
                      .exit_status = -1,
                      .message = text,
                      .name = sp__event_row(SP_EVENT_SESSIONS_HIGH)->name,
                      .measurements = measurements,
                      .measurements_count = 4,
                      .metadata = metadata,
                      .metadata_count = 1,
                      .time_unix_ns = now_ns};
    options->on_event(&event, options->event_data);
}

/* Once, until there are fewer again. */
static void tell_when_high(struct sp_sessions *sessions, uint64_t count)
{
    if (count >= high_mark(sessions) && !atomic_exchange(&sessions->is_high, 1)) {
        char text[96];
        (void)snprintf(text, sizeof text, "%llu sessions of at most %llu",
                       (unsigned long long)count,
                       (unsigned long long)sessions->options.sessions_max);
        tell_high(sessions, count, text);
    }
}

static void discount(struct sp_sessions *sessions)
{
    uint64_t before = atomic_fetch_sub(&sessions->count, 1);
    if (atomic_load_explicit(&sessions->is_high, memory_order_relaxed) &&
        before <= high_mark(sessions)) {
        atomic_store(&sessions->is_high, 0);
    }
}

/* Count one more. When there are too many, those that are over may make room. */
static int admit(struct sp_sessions *sessions, sp_error *err)
{
    uint64_t max = sessions->options.sessions_max;
    for (int attempt = 0; attempt < 2; attempt++) {
        uint64_t before = atomic_fetch_add(&sessions->count, 1);
        if (before < max) {
            tell_when_high(sessions, before + 1);
            return SP_OK;
        }
        atomic_fetch_sub(&sessions->count, 1);
        size_t expired = 0;
        if (attempt == 0) {
            (void)sp__sessions_cleanup(sessions, SP_UNLIMITED, &expired);
        }
        if (expired == 0) {
            break;
        }
    }
    return sp__fail(err, SP_ERR_QUOTA, "there are %llu sessions, as many as may be",
                    (unsigned long long)max);
}

void sp__session_unlink(struct sp_sessions *sessions, struct session *session)
{
    struct shard *shard = session->shard;
    sp__names_remove(&shard->by_id, &session->node);
    sp__heap_remove(&shard->by_expiry, &session->in_heap);
    shard->bytes -= session->bytes;
    shard->variables -= session->variables.length;
    sp__watches_end(session);
    discount(sessions);
}

int sp__session_free(struct session *session, size_t *budget)
{
    while (session->variables_by_age.first != NULL) {
        struct variable *oldest =
            ITEM(session->variables_by_age.first, struct variable, on_age);
        size_t objects = oldest->versions.length + oldest->needs.length + 1;
        if (*budget == 0) {
            return 0;
        }
        sp__list_remove(&oldest->on_age);
        sp__variable_free(oldest);
        *budget -= objects < *budget ? objects : *budget;
    }
    if (!sp__programs_free(&session->programs, budget) ||
        !sp__host_tools_free(&session->tools, budget)) {
        return 0;
    }
    sp__names_fini(&session->variables);
    sp__free(session->metadata);
    sp__free(session);
    return 1;
}

void sp__session_free_whole(struct session *session)
{
    size_t budget = SIZE_MAX;
    if (session != NULL) {
        (void)sp__session_free(session, &budget);
    }
}

int sp__session_build(struct sp_sessions *sessions, const char *id, size_t size,
                      const char *metadata, uint64_t ttl_ms,
                      struct session **ret_session, sp_error *err)
{
    size_t metadata_size = strlen(metadata);
    struct session *session = sp__calloc(1, sizeof *session + size + 1);
    if (session == NULL ||
        (session->metadata = sp__strndup(metadata, metadata_size)) == NULL) {
        sp__free(session);
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a session");
    }
    memcpy(session->id, id, size);
    session->ttl_ms = ttl_ms;
    session->durability = SP_DURABILITY_MEMORY;
    session->created_unix_ms = sp__unix_ns() / 1000000u;
    session->bytes = sizeof *session + size + 1 + metadata_size + 1;
    use(sessions, session, sessions->now_ms());
    *ret_session = session;
    return SP_OK;
}

/* As the options say, with its class and, when it is to be stored, its key. */
static int build(struct sp_sessions *sessions, const char *id, size_t size,
                 const sp_session_options *options, struct session **ret_session,
                 sp_error *err)
{
    const char *metadata = options->metadata == NULL ? "{}" : options->metadata;
    uint64_t ttl_ms = options->ttl_ms == 0 ? sessions->options.ttl_ms : options->ttl_ms;
    int durability;
    int rc = sp__keep_class(sessions, options->durability, &durability, err);
    if (rc == SP_OK) {
        rc = sp__check_object("metadata", metadata, strlen(metadata),
                              sessions->options.metadata_bytes, err);
    }
    if (rc == SP_OK) {
        rc = sp__session_build(sessions, id, size, metadata, ttl_ms, ret_session, err);
    }
    if (rc == SP_OK && durability != SP_DURABILITY_MEMORY) {
        (*ret_session)->durability = durability;
        (*ret_session)->key = atomic_fetch_add(&sessions->last_key, 1) + 1;
    }
    return rc;
}

int sp__session_link(struct shard *shard, struct session *session, size_t size,
                     sp_error *err)
{
    session->shard = shard;
    int rc = sp__heap_reserve(&shard->by_expiry, shard->by_expiry.length + 1);
    if (rc == SP_OK) {
        rc = sp__names_put(&shard->by_id, &session->node, session->id, size);
    }
    if (rc < 0) {
        return sp__fail(err, rc, "no memory for a session");
    }
    sp__heap_push(&shard->by_expiry, &session->in_heap, session->expires_ms);
    shard->bytes += session->bytes;
    return SP_OK;
}

/* Locked in any case, when whether the id is taken is certain. */
static struct session *find_born(struct sp_sessions *sessions, const char *id,
                                 size_t size, struct shard **ret_shard)
{
    for (;;) {
        struct session *there = find_locked(sessions, id, size, ret_shard);
        if (there == NULL || !there->unborn) {
            return there;
        }
        struct shard *shard = *ret_shard;
        (void)pthread_cond_wait(&shard->gate_opened, &shard->lock);
        (void)pthread_mutex_unlock(&shard->lock);
    }
}

/* The shard of an id, locked, after the session of that id, if its time is over, has
 * been taken out into *ret_over. */
static struct session *find_live(struct sp_sessions *sessions, const char *id,
                                 size_t size, struct shard **ret_shard,
                                 struct session **ret_over)
{
    struct session *there = find_born(sessions, id, size, ret_shard);
    uint64_t now_ms = sessions->now_ms();
    *ret_over = NULL;
    if (there != NULL && sp__session_is_over(there, now_ms)) {
        sp__session_unlink(sessions, there);
        (*ret_shard)->expired++;
        sp__keep_end(sessions, there);
        *ret_over = there;
        return NULL;
    }
    if (there != NULL) {
        use(sessions, there, now_ms);
    }
    return there;
}

/* In its shard, which is locked: stored, and there for all. When that fails it is out
 * again. */
static int give_birth(struct sp_sessions *sessions, struct session *session,
                      sp_error *err)
{
    struct shard *shard = session->shard;
    if (sp__is_kept(session)) {
        struct record record = sp__record_session(sessions, session);
        session->promised_ms = record.expires.boot_ms;
        session->changing = 1;
        session->changer = pthread_self();
        session->unborn = 1;
        int rc = sp__keep(sessions, session, &record, 1, err);
        session->unborn = 0;
        session->changing = 0;
        (void)pthread_cond_broadcast(&shard->gate_opened);
        if (rc < 0) {
            sp__names_remove(&shard->by_id, &session->node);
            sp__heap_remove(&shard->by_expiry, &session->in_heap);
            shard->bytes -= session->bytes;
            return rc;
        }
    }
    shard->created++;
    return SP_OK;
}

int sp__session_create(struct sp_sessions *sessions, const char *id,
                       const sp_session_options *options, sp_error *err)
{
    size_t size;
    struct session *fresh = NULL;
    struct session *over;
    struct shard *shard;
    int rc = sp__check_name("session id", id, &size, err);
    if (rc == SP_OK) {
        rc = build(sessions, id, size, options, &fresh, err);
    }
    if (rc == SP_OK) {
        rc = admit(sessions, err);
        struct session *there;
        if (rc == SP_ERR_QUOTA && options->or_get &&
            sp__session_lock(sessions, id, &there, NULL) == SP_OK) {
            sp__session_unlock(there);
            sp__session_free_whole(fresh);
            sp_error_clear(err);
            return 0;
        }
    }
    if (rc < 0) {
        sp__session_free_whole(fresh);
        return rc;
    }
    int there = find_live(sessions, id, size, &shard, &over) != NULL;
    rc = there ? 0 : sp__session_link(shard, fresh, size, err);
    if (!there && rc == SP_OK) {
        rc = give_birth(sessions, fresh, err);
    }
    (void)pthread_mutex_unlock(&shard->lock);
    sp__keep_news(sessions);
    if (over != NULL) {
        sp__sessions_tell(sessions, SP_EVENT_SESSION_EXPIRED, id,
                          "its time to live is over");
        sp__session_free_whole(over);
    }
    if (there || rc < 0) {
        discount(sessions);
        sp__session_free_whole(fresh);
        return !there            ? rc
               : options->or_get ? 0
                                 : sp__fail(err, SP_ERR_EXISTS,
                                            "there is a session \"%s\" already", id);
    }
    if (sp__herald_wants(sessions->herald, SP_EVENT_SESSION_CREATED)) {
        sp__sessions_note(
            sessions, id,
            (struct tidings){.event = {.kind = SP_EVENT_SESSION_CREATED},
                             EVENT_NUMBERS((double)atomic_load(&sessions->count))});
    }
    return 1;
}

int sp__session_delete(struct sp_sessions *sessions, const char *id, sp_error *err)
{
    struct session *session;
    int rc = sp__session_change(sessions, id, &session, err);
    if (rc < 0) {
        return rc;
    }
    struct record gone = {.kind = RECORD_SESSION_DELETE, .session = session->key};
    rc = sp__keep_removal(sessions, session, &gone, err);
    if (rc < 0) {
        sp__session_changed(session);
        sp__keep_news(sessions);
        return rc;
    }
    struct shard *shard = session->shard;
    sp__session_unlink(sessions, session);
    shard->deleted++;
    (void)pthread_cond_broadcast(&shard->gate_opened);
    (void)pthread_mutex_unlock(&shard->lock);
    sp__sessions_tell(sessions, SP_EVENT_SESSION_DELETED, session->id,
                      "it was deleted");
    sp__session_free_whole(session);
    sp__keep_news(sessions);
    return SP_OK;
}

/* What fn made of the session, checked and copied. */
static int take_edit(struct sp_sessions *sessions, const sp_session_info *info,
                     const sp_session_edit *edit, char **ret_metadata, sp_error *err)
{
    size_t size = edit->metadata == NULL ? 0 : strlen(edit->metadata);
    *ret_metadata = NULL;
    if (edit->ttl_ms == 0) {
        return sp__fail(err, SP_ERR_INVAL, "a time to live of 0 ms: at least 1");
    }
    if (edit->metadata == NULL || edit->metadata == info->metadata) {
        return SP_OK;
    }
    int rc = sp__check_object("metadata", edit->metadata, size,
                              sessions->options.metadata_bytes, err);
    if (rc == SP_OK && (*ret_metadata = sp__strndup(edit->metadata, size)) == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for metadata");
    }
    return rc;
}

/* With the gate taken and the lock let go. */
static int edit_session(struct sp_sessions *sessions, const sp_session_info *info,
                        sp_session_edit_fn fn, void *user_data, uint64_t *ret_ttl_ms,
                        char **ret_metadata, sp_error *err)
{
    sp_session_edit edit = {.ttl_ms = info->ttl_ms, .metadata = info->metadata};
    int rc = fn(info, &edit, user_data, err);
    if (rc < 0) {
        return rc;
    }
    *ret_ttl_ms = edit.ttl_ms;
    return take_edit(sessions, info, &edit, ret_metadata, err);
}

/* Gate taken, locked: store what the edit made of it. */
static int keep_edit(struct sp_sessions *sessions, struct session *session,
                     uint64_t ttl_ms, const char *metadata, sp_error *err)
{
    if (!sp__is_kept(session)) {
        return SP_OK;
    }
    uint64_t now_ms = sessions->now_ms();
    uint64_t expires_ms =
        ttl_ms >= SP_UNLIMITED - now_ms ? SP_UNLIMITED : now_ms + ttl_ms;
    struct record edit = {.kind = RECORD_SESSION_EDIT,
                          .session = session->key,
                          .expires = sp__keep_expiry(sessions, ttl_ms, expires_ms,
                                                     sp__keep_slack(ttl_ms)),
                          .metadata = metadata == NULL ? session->metadata : metadata};
    uint64_t before_ms = session->promised_ms;
    session->promised_ms =
        SP_UNLIMITED; /* no use is stored behind it with the old time */
    int rc = sp__keep(sessions, session, &edit, 1, err);
    session->promised_ms = rc == SP_OK ? edit.expires.boot_ms : before_ms;
    return rc;
}

int sp__session_update(struct sp_sessions *sessions, const char *id,
                       sp_session_edit_fn fn, void *user_data, sp_error *err)
{
    struct session *session;
    sp_session_info info = {0};
    uint64_t ttl_ms = 0;
    char *metadata = NULL;
    int rc = sp__session_change(sessions, id, &session, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__session_describe(session, sessions->now_ms(), &info, err);
    sp__session_pause(session);
    if (rc == SP_OK) {
        rc = edit_session(sessions, &info, fn, user_data, &ttl_ms, &metadata, err);
    }
    sp__session_resume(session);
    if (rc == SP_OK) {
        rc = keep_edit(sessions, session, ttl_ms, metadata, err);
    }
    if (rc == SP_OK) {
        session->ttl_ms = ttl_ms;
        use(sessions, session, sessions->now_ms());
        if (session->expires_ms < session->in_heap.key) {
            sp__heap_move(&session->shard->by_expiry, &session->in_heap,
                          session->expires_ms);
        }
    }
    if (rc == SP_OK && metadata != NULL) {
        char *old = session->metadata;
        sp__session_count(session, strlen(metadata), strlen(old));
        session->metadata = metadata;
        metadata = old;
    }
    sp__session_changed(session);
    sp__keep_news(sessions);
    sp__free(metadata);
    sp__free(info.memory);
    return rc;
}

/* ---- the set ---- */

#define MIB ((uint64_t)1 << 20)

static int fill_options(const sp_sessions_options *options, sp_sessions_options *ret,
                        sp_error *err)
{
    *ret = *options;
    ret->ttl_ms = ret->ttl_ms == 0 ? 3600000 : ret->ttl_ms;
    ret->sessions_max = ret->sessions_max == 0 ? 10000 : ret->sessions_max;
    ret->warn_permille = ret->warn_permille == 0 ? 800 : ret->warn_permille;
    ret->metadata_bytes = ret->metadata_bytes == 0 ? 65536 : ret->metadata_bytes;
    ret->variables_max = ret->variables_max == 0 ? 10000 : ret->variables_max;
    ret->value_bytes = ret->value_bytes == 0 ? 16 * MIB : ret->value_bytes;
    ret->session_bytes = ret->session_bytes == 0 ? 64 * MIB : ret->session_bytes;
    ret->programs_max = ret->programs_max == 0 ? 10000 : ret->programs_max;
    ret->history_max = ret->history_max == 0 ? 32 : ret->history_max;
    ret->cleanup_interval_ms =
        ret->cleanup_interval_ms == 0 ? 60000 : ret->cleanup_interval_ms;
    if (ret->durability == SP_DURABILITY_DEFAULT) {
        ret->durability =
            ret->path == NULL ? SP_DURABILITY_MEMORY : SP_DURABILITY_CRASH;
    }
    if (ret->path == NULL && ret->durability != SP_DURABILITY_MEMORY) {
        return sp__fail(err, SP_ERR_INVAL, "durability is %d without a path: %s",
                        ret->durability, "only SP_DURABILITY_MEMORY needs none");
    }
    if (ret->durability < 0 || ret->durability > SP_DURABILITY_DURABLE) {
        return sp__fail(err, SP_ERR_INVAL, "durability is %d: at most %d",
                        ret->durability, SP_DURABILITY_DURABLE);
    }
    if (ret->warn_permille > 1000) {
        return sp__fail(err, SP_ERR_INVAL, "warn_permille is %u: 1 to 1000",
                        ret->warn_permille);
    }
    return SP_OK;
}

static uint64_t read_unix_ms(void)
{
    return sp__unix_ns() / 1000000u;
}

/* What is stored in the folder, and the store for what changes. */
static int open_store(struct sp_sessions *sessions, const char *path, sp_error *err)
{
    int rc = sp__store_open(path, &sessions->store, err);
    if (rc == SP_OK) {
        rc = sp__sessions_restore(sessions, err);
    }
    if (rc == SP_OK) {
        rc = sp__store_start(sessions->store, err);
    }
    if (rc < 0) {
        sp__store_close(sessions->store);
        sessions->store = NULL;
    }
    return rc;
}

static const struct sessions_clocks REAL_CLOCKS = {sp__boot_ms, read_unix_ms};

int sp__sessions_new(const sp_sessions_options *options,
                     struct sp_sessions **ret_sessions, sp_error *err)
{
    return sp__sessions_new_at(options, &REAL_CLOCKS, ret_sessions, err);
}

int sp__sessions_new_at(const sp_sessions_options *options,
                        const struct sessions_clocks *clocks,
                        struct sp_sessions **ret_sessions, sp_error *err)
{
    sp_sessions_options full;
    int rc = fill_options(options, &full, err);
    if (rc < 0) {
        return rc;
    }
    struct sp_sessions *sessions = sp__calloc(1, sizeof *sessions);
    if (sessions == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for sessions");
    }
    sessions->undertaker = sp__undertaker_new();
    if (sessions->undertaker == NULL) {
        sp__free(sessions);
        return sp__fail(err, SP_ERR_NOMEM, "no memory for sessions");
    }
    sessions->options = full;
    sessions->options.path = NULL; /* the caller's */
    sessions->now_ms = clocks->now_ms;
    sessions->unix_ms = clocks->unix_ms;
    (void)pthread_mutex_init(&sessions->graves_lock, NULL);
    (void)pthread_mutex_init(&sessions->global_lock, NULL);
    (void)pthread_cond_init(&sessions->global_opened, NULL);
    for (size_t i = 0; i < SHARDS; i++) {
        (void)pthread_mutex_init(&sessions->shards[i].lock, NULL);
        (void)pthread_cond_init(&sessions->shards[i].gate_opened, NULL);
    }
    rc = full.path == NULL ? SP_OK : open_store(sessions, full.path, err);
    if (rc < 0) {
        sp__sessions_free(sessions);
        return rc;
    }
    *ret_sessions = sessions;
    return SP_OK;
}

static void free_shard(struct shard *shard)
{
    size_t at = 0;
    struct name_node *node = sp__names_next(&shard->by_id, &at, NULL);
    while (node != NULL) {
        struct name_node *next = sp__names_next(&shard->by_id, &at, node);
        sp__watches_end(ITEM(node, struct session, node));
        sp__session_free_whole(ITEM(node, struct session, node));
        node = next;
    }
    sp__names_fini(&shard->by_id);
    sp__heap_fini(&shard->by_expiry);
    (void)pthread_cond_destroy(&shard->gate_opened);
    (void)pthread_mutex_destroy(&shard->lock);
}

void sp__sessions_free(struct sp_sessions *sessions)
{
    if (sessions == NULL) {
        return;
    }
    if (sessions->store != NULL) {
        sp__keep_expiries(sessions);
        sp__store_close(sessions->store);
    }
    struct link *grave;
    while ((grave = sp__list_pop(&sessions->graves)) != NULL) {
        sp__session_free_whole(ITEM(grave, struct session, on_graves));
    }
    for (size_t i = 0; i < SHARDS; i++) {
        free_shard(&sessions->shards[i]);
    }
    size_t budget = SIZE_MAX;
    (void)sp__programs_free(&sessions->global_programs, &budget);
    (void)sp__host_tools_free(&sessions->global_tools, &budget);
    sp__heap_fini(&sessions->global_expiry);
    (void)pthread_cond_destroy(&sessions->global_opened);
    (void)pthread_mutex_destroy(&sessions->global_lock);
    (void)pthread_mutex_destroy(&sessions->graves_lock);
    sp__undertaker_unref(sessions->undertaker);
    sp__free(sessions);
}
