/* SPDX-License-Identifier: MIT */
/*
 * The set of sessions: shards, each with a lock, a table of ids and a heap of expiries.
 *
 * Reading holds the shard's lock for a moment. A change takes the session's gate first,
 * so that one change at a time is being made, and may then let go of the lock while
 * it does something slow: readers go on and see what was before.
 */
#ifndef SP_SESSION_SESSIONS_H
#define SP_SESSION_SESSIONS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/names.h"
#include "event/herald.h"
#include "snakepit/session.h"
#include "store/store.h"

struct undertaker;

enum { SHARDS = 64 };

struct shard {
    pthread_mutex_t lock;
    pthread_cond_t gate_opened;
    /* Under lock. */
    struct names by_id;
    struct heap by_expiry; /* at or before the true expiry: using a session is lazy */
    uint64_t bytes;
    uint64_t variables;
    uint64_t created;
    uint64_t deleted;
    uint64_t expired;
};

/* Owned by its shard; under the shard's lock. */
struct session {
    struct name_node node; /* in by_id; the name is `id` */
    struct heap_node in_heap;
    struct link on_graves;
    struct shard *shard;
    uint64_t ttl_ms;     /* or SP_UNLIMITED */
    uint64_t expires_ms; /* by the set's clock, or SP_UNLIMITED */
    uint64_t used_ms;
    uint64_t created_unix_ms;
    uint64_t bytes;
    int changing; /* the gate is taken, by `changer` */
    pthread_t changer;
    int unborn;           /* is being stored: nobody sees it yet, its id is taken */
    int durability;       /* SP_DURABILITY_ */
    uint64_t key;         /* in the store; 0: it is in memory only */
    uint64_t promised_ms; /* the expiry that is stored: not before the true one */
    char *metadata;
    struct names variables;
    struct list variables_by_age;
    uint64_t last_number;  /* of a variable */
    unsigned last_mark;    /* of a search for cycles */
    int dependencies_used; /* there may be some */
    struct list watches;
    struct names programs;
    struct names tools; /* see host_tools.h */
    char id[];
};

struct sp_sessions {
    /* Set before start, then constant. */
    struct remote *remote; /* of serve/: a daemon keeps them, and nothing is in here */
    sp_sessions_options options;
    struct herald *herald;     /* of the pit they belong to, or NULL */
    uint64_t (*now_ms)(void);  /* since boot, time of suspension included */
    uint64_t (*unix_ms)(void); /* for the expiries that are stored */
    struct store *store;       /* NULL: everything is in memory only */

    struct shard shards[SHARDS];

    struct undertaker *undertaker; /* of tools; see host_tools.h */

    atomic_uint_least64_t count;
    atomic_int is_high; /* SP_EVENT_SESSIONS_HIGH was told */
    atomic_uint_least64_t cleanup_runs;

    atomic_size_t cleanup_shard; /* where the next cleanup goes on */

    atomic_uint_least64_t last_key;

    pthread_mutex_t global_lock;
    pthread_cond_t global_opened;
    /* Under it. */
    int global_changing; /* the gate of the global programs is taken */
    struct names global_programs;
    struct heap global_expiry;
    struct names global_tools;

    pthread_mutex_t graves_lock;
    struct list graves; /* under it: expired, out of the table, to be freed */
};

/* The clocks it goes by; a test has its own. */
struct sessions_clocks {
    uint64_t (*now_ms)(void);
    uint64_t (*unix_ms)(void);
};

int sp__sessions_new(const sp_sessions_options *options,
                     struct sp_sessions **ret_sessions, sp_error *err) SP_MUST_CHECK;
int sp__sessions_new_at(const sp_sessions_options *options,
                        const struct sessions_clocks *clocks,
                        struct sp_sessions **ret_sessions, sp_error *err) SP_MUST_CHECK;
void sp__sessions_free(struct sp_sessions *sessions);

/* As their public counterparts say; the options are whole. */
int sp__session_create(struct sp_sessions *sessions, const char *id,
                       const sp_session_options *options, sp_error *err);
int sp__session_update(struct sp_sessions *sessions, const char *id,
                       sp_session_edit_fn fn, void *user_data, sp_error *err);
int sp__session_delete(struct sp_sessions *sessions, const char *id, sp_error *err);
int sp__session_exists(struct sp_sessions *sessions, const char *id);
int sp__session_get(struct sp_sessions *sessions, const char *id,
                    sp_session_info *ret_info, sp_error *err);
int sp__sessions_list(struct sp_sessions *sessions, sp_session_cb cb, void *user_data,
                      sp_error *err);
void sp__sessions_sum(struct sp_sessions *sessions, sp_sessions_stats *ret_stats);
/* SP_STORE_ */
int sp__sessions_store(const struct sp_sessions *sessions);

/* The session of an id with its shard locked, counted as used. End with
 * sp__session_unlock(). Errors: INVAL, NOT_FOUND. */
int sp__session_lock(struct sp_sessions *sessions, const char *id,
                     struct session **ret_session, sp_error *err) SP_MUST_CHECK;
void sp__session_unlock(struct session *session);

/* The same with the gate taken too. Between sp__session_pause() and
 * sp__session_resume() the lock is let go and the gate kept. End with
 * sp__session_changed(). Errors: also INVAL when this thread has the gate already. */
int sp__session_change(struct sp_sessions *sessions, const char *id,
                       struct session **ret_session, sp_error *err) SP_MUST_CHECK;
void sp__session_pause(struct session *session);
void sp__session_resume(struct session *session);
void sp__session_changed(struct session *session);

/* Locked: memory inside grew or shrank. */
void sp__session_count(struct session *session, size_t more, size_t less);

/* Free at most *budget objects of a session that is out of its table; 1 when all of it
 * is gone. */
int sp__session_free(struct session *session, size_t *budget);

/* Locked: a copy for outside. */
int sp__session_describe(const struct session *session, uint64_t now_ms,
                         sp_session_info *ret_info, sp_error *err) SP_MUST_CHECK;

/* Locked: its time is over and nobody is changing it. */
static inline int sp__session_is_over(const struct session *session, uint64_t now_ms)
{
    return session->expires_ms <= now_ms && !session->changing;
}

/* Locked: it is there for others. */
static inline int sp__session_is_there(const struct session *session, uint64_t now_ms)
{
    return !session->unborn && !sp__session_is_over(session, now_ms);
}

/* Locked: out of the table and the heap; the caller frees or buries it. */
void sp__session_unlink(struct sp_sessions *sessions, struct session *session);

/* An event of those that are many: of a session ("" or NULL: none), while one listens. */
void sp__sessions_note(struct sp_sessions *sessions, const char *session,
                       struct tidings tidings);
void sp__sessions_tell(struct sp_sessions *sessions, int kind, const char *session,
                       const char *message);

/* A session that is not in its set yet. The id and the metadata have been checked. */
int sp__session_build(struct sp_sessions *sessions, const char *id, size_t size,
                      const char *metadata, uint64_t ttl_ms,
                      struct session **ret_session, sp_error *err) SP_MUST_CHECK;
/* Into its shard, which is locked. NOMEM; then it is still the caller's. */
int sp__session_link(struct shard *shard, struct session *session, size_t size,
                     sp_error *err) SP_MUST_CHECK;
struct shard *sp__session_shard(struct sp_sessions *sessions, const char *id,
                                size_t size);
void sp__session_free_whole(struct session *session);

/* Remove what is expired and free what was removed, for about budget_us. Adds to
 * *ret_expired; returns 1 when something is left to do. */
int sp__sessions_cleanup(struct sp_sessions *sessions, uint64_t budget_us,
                         size_t *ret_expired);

#endif
