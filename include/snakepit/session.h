/* SPDX-License-Identifier: MIT */
/*
 * Sessions: names under which a program keeps things between calls, for as long as the
 * session is used.
 *
 * A set of sessions is a handle of its own. A pit has one, sp_pit_sessions(), which its
 * workers can ask; a program opens others with or without a pit, and those of a daemon by
 * its address. Each session has a time to live that starts again whenever it is used; when
 * it is over, the session is gone, also before the cleanup has come to it. Inside are
 * metadata, variables (variable.h) and programs (program.h).
 *
 * Ids are any UTF-8 text of 1 to 255 bytes. A change happens wholly or not at all, and
 * whoever reads meanwhile sees what was before.
 *
 * Threads: every function may be called from any thread, from callbacks too. Nothing
 * here waits for a pit's loop. With a path, changing waits for the disk, reading never.
 */
#ifndef SNAKEPIT_SESSION_H
#define SNAKEPIT_SESSION_H

#include "base.h"
#include "error.h"
#include "event.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_sessions sp_sessions;

#define SP_NAME_MAX 255 /* bytes of an id or a name */

/* What is left of a session, with all that is in it, after an end at any moment. */
enum {
    SP_DURABILITY_DEFAULT = 0,
    SP_DURABILITY_MEMORY, /* nothing: it ends with the set */
    SP_DURABILITY_CRASH, /* all that was acknowledged, when the host is killed; when the
                             power fails, the last moments may be missing */
    SP_DURABILITY_DURABLE /* all that was acknowledged, also when the power fails */
};

/* "memory", "crash" or "durable"; "" for any other number. Since: 0.1 */
SP_API const char *sp_durability_name(int durability);

/* The number of such a name; SP_ERR_INVAL for another. Since: 0.1 */
SP_API int sp_durability_by_name(const char *name);

typedef struct sp_sessions_options {
    size_t size;
    uint64_t ttl_ms;         /* of sessions that name none, default 3 600 000 */
    uint64_t sessions_max;   /* one more is refused, default 10 000 */
    uint32_t warn_permille;  /* of sessions_max: SP_EVENT_SESSIONS_HIGH, default 800 */
    uint64_t metadata_bytes; /* of one session or variable at most, default 65 536 */
    uint64_t variables_max;  /* of one session, default 10 000 */
    uint64_t value_bytes;    /* of one value at most, default 16 777 216 */
    uint64_t session_bytes;  /* of all that is in one, default 67 108 864 */
    uint64_t programs_max;   /* of one session, and global ones, default 10 000 */
    uint32_t history_max;    /* versions of a variable that are kept, default 32 */
    sp_event_cb on_event;    /* or NULL; called by whichever thread finds the event.
                                Not of a pit's set: its events are the pit's */
    void *event_data;
    uint64_t cleanup_interval_ms; /* a pit's set is cleaned up so often, default
                                     60 000; others by sp_sessions_cleanup() */

    /* "unix:/path" of a daemon that keeps the sessions: the same functions ask it, from
     * any thread, and wait for its answers. The limits are the daemon's; those above are
     * not looked at, and on_event must be NULL. */
    const char *address;
    uint64_t timeout_ms; /* of one answer of it, default 30 000 */
    const char *path; /* folder of the state, made when it is not there; NULL: none */
    int durability;   /* SP_DURABILITY_ of sessions that name none, and of global
                         programs; default CRASH with a path, MEMORY without */
} sp_sessions_options;

typedef struct sp_session_options {
    size_t size;
    uint64_t ttl_ms;      /* default: that of the set; SP_UNLIMITED: never ends */
    const char *metadata; /* a JSON object, default {} */
    int or_get;           /* 1: use the session there is, as it is */
    int durability;       /* SP_DURABILITY_; default: that of the set */
} sp_session_options;

typedef struct sp_session_info {
    const char *id;
    const char *metadata;  /* a JSON object */
    uint64_t ttl_ms;       /* or SP_UNLIMITED */
    uint64_t remaining_ms; /* until it ends unless it is used, or SP_UNLIMITED */
    uint64_t created_unix_ms;
    uint64_t used_unix_ms; /* before the call that asks */
    uint64_t bytes;        /* memory of all that is inside */
    uint64_t variables;    /* how many */
    uint64_t programs;
    uint64_t tools; /* registered for it alone */
    int durability; /* SP_DURABILITY_ */
    void *memory;   /* of the texts: owned, see sp_session_info_clear() */
} sp_session_info;

/* How the store of a set is. */
enum {
    SP_STORE_NONE = 1, /* there is none: everything is in memory */
    SP_STORE_OK,
    SP_STORE_FULL,  /* no room: changes are refused, deletions work */
    SP_STORE_FAILED /* the disk lost something: changes are refused until it is opened
                       anew */
};

typedef struct sp_sessions_stats {
    uint64_t sessions; /* now */
    uint64_t sessions_max;
    uint64_t sessions_created;
    uint64_t sessions_deleted;
    uint64_t sessions_expired;
    uint64_t cleanup_runs;
    uint64_t memory_bytes; /* of all sessions now */
    uint64_t variables;    /* in all sessions now */
    int durability;        /* SP_DURABILITY_ of sessions that name none */
    int store;             /* SP_STORE_ */
} sp_sessions_stats;

/*
 * Open a set of sessions: an empty one; with `path` what is stored there; with `address`
 * the set of a daemon.
 *
 * Reading what is stored takes a moment, some seconds for a million variables. One set
 * at a time has a path. Every change to a session that is not in memory only waits until
 * it is as safe as the session's class says; all functions that change something may fail
 * with SP_ERR_STORE_FULL (no room), SP_ERR_SYSTEM (a write failed) or SP_ERR_STORE (the
 * store has failed: nothing is written any more), and then nothing is changed. Reading
 * never waits.
 *
 * A daemon is connected to at once, and again when the connection has ended. Every
 * function then also fails with SP_ERR_CLOSED (it has ended before the answer came:
 * whether anything was done is not known), SP_ERR_TIMEOUT (the same) and SP_ERR_SYSTEM
 * (nobody listens any more). sp_session_update() may then find that somebody else came
 * first: SP_ERR_CONFLICT. sp_session_exists() says 0. A watch ends with its connection.
 *
 * options  NULL for defaults
 * Errors: SP_ERR_INVAL, SP_ERR_NOMEM; with `path` SP_ERR_IN_USE (the message names the
 * process), SP_ERR_STORE (damaged, newer, not ours, read-only: it is left as it is),
 * SP_ERR_STORE_FULL, SP_ERR_SYSTEM; with `address` SP_ERR_SYSTEM (nobody listens),
 * SP_ERR_CONFIG (it is no path), SP_ERR_UNSUPPORTED, SP_ERR_TIMEOUT. Since: 0.1
 */
SP_API int sp_sessions_open(const sp_sessions_options *options,
                            sp_sessions **ret_sessions, sp_error *err);

/* Close the set and everything in it; what is stored stays stored. Not while another
 * thread uses it. NULL is fine. Since: 0.1 */
SP_API void sp_sessions_close(sp_sessions *sessions);

/*
 * Create a session.
 *
 * options   NULL for defaults
 *
 * Returns 1 when it was created, 0 when or_get found one. Errors: SP_ERR_INVAL (id,
 * metadata; the message says which), SP_ERR_BAD_JSON, SP_ERR_TOO_BIG, SP_ERR_EXISTS,
 * SP_ERR_QUOTA, SP_ERR_NOMEM; those of the store. Since: 0.1
 */
SP_API int sp_session_create(sp_sessions *sessions, const char *id,
                             const sp_session_options *options, sp_error *err);

/*
 * Use a session: its time to live starts again.
 *
 * ret_info  may be NULL; release with sp_session_info_clear()
 * Errors: SP_ERR_INVAL, SP_ERR_NOT_FOUND, SP_ERR_NOMEM. Since: 0.1
 */
SP_API int sp_session_get(sp_sessions *sessions, const char *id,
                          sp_session_info *ret_info, sp_error *err);

/* 1 when there is such a session, else 0. Does not count as use. Since: 0.1 */
SP_API int sp_session_exists(sp_sessions *sessions, const char *id);

/* Release the texts. A zeroed struct and NULL are fine. Since: 0.1 */
SP_API void sp_session_info_clear(sp_session_info *info);

/* What an update may change. */
typedef struct sp_session_edit {
    uint64_t ttl_ms;      /* as it is, or another */
    const char *metadata; /* as it is, or another JSON object: the callback's, it must
                             stay until sp_session_update() returns */
} sp_session_edit;

/* Returns 0, or a negative code: then nothing is changed and the code is handed on, with
 * what it wrote to err. */
typedef int (*sp_session_edit_fn)(const sp_session_info *info, sp_session_edit *edit,
                                  void *user_data, sp_error *err);

/*
 * Change a session atomically: `fn` sees it as it is, says how it shall be, and nobody
 * else changes it meanwhile. Others read what was before. `fn` runs once, on this
 * thread, before this returns; it may use the set, but not change this session.
 *
 * Errors: what fn returned; SP_ERR_INVAL (also: fn changes the session it is asked
 * about), SP_ERR_BAD_JSON, SP_ERR_TOO_BIG, SP_ERR_NOT_FOUND, SP_ERR_NOMEM. Since: 0.1
 */
SP_API int sp_session_update(sp_sessions *sessions, const char *id,
                             sp_session_edit_fn fn, void *user_data, sp_error *err);

/* Delete a session with all that is in it. Errors: SP_ERR_INVAL, SP_ERR_NOT_FOUND.
 * Since: 0.1 */
SP_API int sp_session_delete(sp_sessions *sessions, const char *id, sp_error *err);

typedef void (*sp_session_cb)(const sp_session_info *info, void *user_data);

/*
 * List the sessions in the order of their ids, through a callback that runs before this
 * returns, on this thread. Does not count as use.
 *
 * Returns how many there are. Errors: SP_ERR_INVAL, SP_ERR_NOMEM. Since: 0.1
 */
SP_API int sp_sessions_list(sp_sessions *sessions, sp_session_cb cb, void *user_data,
                            sp_error *err);

/*
 * Remove every session whose time is over, and tell of each as SP_EVENT_SESSION_EXPIRED.
 * Others can go on meanwhile: no lock is held for longer than a few sessions take.
 *
 * What is over is gone for everybody at once, but has its memory until this is called:
 * call it now and then. Returns how many were removed. Errors: SP_ERR_INVAL,
 * SP_ERR_UNSUPPORTED (a daemon does it by itself). Since: 0.1
 */
SP_API int sp_sessions_cleanup(sp_sessions *sessions, sp_error *err);

/* Copy the statistics. Errors: SP_ERR_INVAL. Since: 0.1 */
SP_API int sp_sessions_stats_get(sp_sessions *sessions, sp_sessions_stats *ret_stats,
                                 sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
