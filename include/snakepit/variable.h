/* SPDX-License-Identifier: MIT */
/*
 * Variables: typed values that a session keeps, with rules, versions and watchers.
 *
 * A variable has a name within its session and a type: float, integer, string, boolean,
 * choice, module, embedding, tensor, list or map. Values come and go as JSON text and
 * are kept in the form of their type: 1 becomes 1.0 as a float, 2.0 becomes 2 as an
 * integer; "NaN", "Infinity" and "-Infinity" are floats. What a type or a constraint
 * does not take is refused with a message that says the value and the limit.
 *
 * Constraints are a JSON object; which type knows which:
 *   float, integer   min, max
 *   string           min_length, max_length (characters as readers count them), pattern
 *                    (PCRE, found anywhere), enum
 *   choice           choices        module     allowed_modules (none: any)
 *   embedding        dimensions     tensor     shape
 *   list, map        min_length, max_length
 *
 * Each change makes a new version, beginning with 0; the latest ones are kept as
 * history. Wherever a variable is named, its id does as well.
 *
 * Threads: every function may be called from any thread, from callbacks too.
 */
#ifndef SNAKEPIT_VARIABLE_H
#define SNAKEPIT_VARIABLE_H

#include "base.h"
#include "error.h"
#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_variable {
    const char *id; /* "var_<name>_<number>" */
    const char *name;
    const char *type;
    const char *value; /* JSON, in the form of the type */
    size_t value_size;
    const char *constraints; /* a JSON object */
    const char *metadata;    /* a JSON object */
    const char *changed_by;  /* who made this version, or "" */
    const char *locked_by;   /* who optimises it, or "" */
    uint64_t version;
    uint64_t created_unix_ms;
    uint64_t updated_unix_ms;
    uint64_t locked_unix_ms; /* or 0 */
    void *memory;            /* of the texts: owned, see sp_variable_clear() */
} sp_variable;

/* Release the texts. A zeroed struct and NULL are fine. Since: 0.1 */
SP_API void sp_variable_clear(sp_variable *variable);

/* For every change. What does not apply to one is not looked at. */
typedef struct sp_change_options {
    size_t size;
    const char *constraints; /* register: a JSON object, default {} */
    const char *metadata;    /* a JSON object: its members replace those there were */
    const char *changed_by;  /* for the history, at most 255 bytes, default "" */
    const char *owner;       /* of the lock, when the variable is locked */
    int check_version;       /* 1: only when the version is still this one */
    uint64_t expected_version;
} sp_change_options;

/*
 * Register a variable with its first value, version 0.
 *
 * name          1 to 255 bytes of UTF-8
 * type          one of the ten; NULL: the one that fits the value (true boolean, 1
 *               integer, 1.5 float, "a" string, [1, 2] and [] embedding, ["a"] list,
 *               an object with shape and data tensor, another map)
 * value         JSON
 * options       NULL for none
 * ret_variable  may be NULL; release with sp_variable_clear()
 *
 * Errors: SP_ERR_INVAL (name, type), SP_ERR_EXISTS, SP_ERR_BAD_VALUE (the value or a
 * constraint), SP_ERR_BAD_JSON, SP_ERR_TOO_DEEP, SP_ERR_TOO_BIG, SP_ERR_QUOTA (variables
 * or bytes of the session), SP_ERR_NOT_FOUND (session), SP_ERR_NOMEM. Since: 0.1
 */
SP_API int sp_variable_register(sp_sessions *sessions, const char *session,
                                const char *name, const char *type, const char *value,
                                const sp_change_options *options,
                                sp_variable *ret_variable, sp_error *err);

/* Read a variable. Errors: SP_ERR_INVAL, SP_ERR_NOT_FOUND (the message tells session and
 * variable apart), SP_ERR_NOMEM. Since: 0.1 */
SP_API int sp_variable_get(sp_sessions *sessions, const char *session, const char *name,
                           sp_variable *ret_variable, sp_error *err);

/*
 * Give a variable a new value, by the rules it was registered with.
 *
 * ret_version  may be NULL
 * Errors: as sp_variable_register() without SP_ERR_EXISTS; SP_ERR_CONFLICT (the version
 * is another than expected), SP_ERR_LOCKED (by somebody else than options->owner).
 * Since: 0.1
 */
SP_API int sp_variable_set(sp_sessions *sessions, const char *session, const char *name,
                           const char *value, const sp_change_options *options,
                           uint64_t *ret_version, sp_error *err);

/* Delete a variable with its history and dependencies. Errors: SP_ERR_INVAL,
 * SP_ERR_NOT_FOUND, SP_ERR_CONFLICT, SP_ERR_LOCKED. Since: 0.1 */
SP_API int sp_variable_delete(sp_sessions *sessions, const char *session,
                              const char *name, const sp_change_options *options,
                              sp_error *err);

typedef void (*sp_variable_cb)(const sp_variable *variable, void *user_data);

/*
 * List variables in the order of their registration, through a callback that runs
 * before this returns, on this thread.
 *
 * pattern  NULL for all; '*' is any text, '?' one character, and the whole name counts
 *
 * Returns how many there are. Errors: SP_ERR_INVAL, SP_ERR_NOT_FOUND, SP_ERR_NOMEM.
 * Since: 0.1
 */
SP_API int sp_variables_list(sp_sessions *sessions, const char *session,
                             const char *pattern, sp_variable_cb cb, void *user_data,
                             sp_error *err);

/*
 * Read several at one moment: no change lies between two of them.
 *
 * ret_variables  count of them; those not found are zeroed (name is NULL)
 *
 * Returns how many were found. Errors: SP_ERR_INVAL, SP_ERR_NOT_FOUND (session),
 * SP_ERR_NOMEM (then none is set). Since: 0.1
 */
SP_API int sp_variables_get(sp_sessions *sessions, const char *session,
                            const char *const *names, size_t count,
                            sp_variable *ret_variables, sp_error *err);

typedef struct sp_variable_update {
    const char *name;
    const char *value;
    /* Set by the call: */
    int code;         /* 0 or SP_ERR_ */
    uint64_t version; /* the new one */
    char message[SP_ERROR_MESSAGE_MAX];
} sp_variable_update;

/*
 * Set several variables. A name may come once only.
 *
 * atomic  1: all or none. When one is refused nothing is changed, and the call fails
 *         with the code of the first that was. 0: those that can be.
 *
 * Returns how many were set. Errors: SP_ERR_INVAL, SP_ERR_NOT_FOUND (session), and of
 * single variables as sp_variable_set(): in `updates`. Since: 0.1
 */
SP_API int sp_variables_set(sp_sessions *sessions, const char *session,
                            sp_variable_update *updates, size_t count, int atomic,
                            const sp_change_options *options, sp_error *err);

/*
 * Walk the kept versions of a variable, the newest first. In each, value, metadata,
 * changed_by, version and updated_unix_ms are those of then.
 *
 * limit  at most so many; 0: all that are kept
 * Returns how many. Errors: as sp_variable_get(). Since: 0.1
 */
SP_API int sp_variable_history(sp_sessions *sessions, const char *session,
                               const char *name, size_t limit, sp_variable_cb cb,
                               void *user_data, sp_error *err);

/*
 * Make an earlier value the value again, as a new version.
 *
 * Errors: as sp_variable_set(); SP_ERR_NOT_FOUND also when that version is not kept any
 * more (the message says which are). Since: 0.1
 */
SP_API int sp_variable_rollback(sp_sessions *sessions, const char *session,
                                const char *name, uint64_t version,
                                const sp_change_options *options, uint64_t *ret_version,
                                sp_error *err);

/*
 * Lock a variable for an optimiser: until it is unlocked only changes with this owner
 * are taken. Locking again as the same owner is fine.
 *
 * Errors: SP_ERR_INVAL (owner), SP_ERR_LOCKED (by another, who is named),
 * SP_ERR_NOT_FOUND, SP_ERR_NOMEM. Since: 0.1
 */
SP_API int sp_variable_lock(sp_sessions *sessions, const char *session,
                            const char *name, const char *owner, sp_error *err);

/*
 * Unlock it.
 *
 * owner         NULL: by force, whoever holds it
 * ret_variable  as it is now; may be NULL
 * Errors: SP_ERR_LOCKED (by another), SP_ERR_NOT_FOUND, SP_ERR_NOMEM. Unlocking what is
 * not locked is fine. Since: 0.1
 */
SP_API int sp_variable_unlock(sp_sessions *sessions, const char *session,
                              const char *name, const char *owner,
                              sp_variable *ret_variable, sp_error *err);

/*
 * Say that one variable depends on another.
 *
 * kind  what sort of dependency, at most 255 bytes; NULL: "data"
 * Errors: SP_ERR_CYCLE (the message shows the way round), SP_ERR_EXISTS, SP_ERR_INVAL,
 * SP_ERR_QUOTA, SP_ERR_NOT_FOUND, SP_ERR_NOMEM. Since: 0.1
 */
SP_API int sp_variable_depend(sp_sessions *sessions, const char *session,
                              const char *from, const char *to, const char *kind,
                              sp_error *err);

/* Say that it does not any more. Errors: SP_ERR_NOT_FOUND (a variable, or the
 * dependency), SP_ERR_INVAL. Since: 0.1 */
SP_API int sp_variable_undepend(sp_sessions *sessions, const char *session,
                                const char *from, const char *to, sp_error *err);

typedef void (*sp_dependency_cb)(const char *from, const char *to, const char *kind,
                                 void *user_data);

/* List what a variable (NULL: any) depends on. Returns how many. Errors: as
 * sp_variable_get(). Since: 0.1 */
SP_API int sp_variable_dependencies(sp_sessions *sessions, const char *session,
                                    const char *name, sp_dependency_cb cb,
                                    void *user_data, sp_error *err);

typedef void (*sp_json_cb)(sp_bytes json, void *user_data);

/*
 * Export all variables of a session as a JSON array of objects with name, type, value,
 * constraints, metadata and version. The text is borrowed until the callback returns.
 *
 * Returns how many. Errors: SP_ERR_INVAL, SP_ERR_NOT_FOUND, SP_ERR_TOO_BIG,
 * SP_ERR_NOMEM. Since: 0.1
 */
SP_API int sp_variables_export(sp_sessions *sessions, const char *session,
                               sp_json_cb cb, void *user_data, sp_error *err);

/*
 * Register every variable of such an array: all or none. They begin at version 0.
 *
 * Returns how many. Errors: as sp_variable_register(); SP_ERR_BAD_VALUE for an array of
 * another form. Since: 0.1
 */
SP_API int sp_variables_import(sp_sessions *sessions, const char *session,
                               const char *json, sp_error *err);

/* ---- watching ---- */

typedef struct sp_watch sp_watch;

typedef struct sp_watch_options {
    size_t size;
    const char *const *names; /* NULL: every variable, later ones too */
    size_t names_count;
    int initial;        /* 1: begin with the values as they are */
    uint32_t queue_max; /* changes that may wait to be taken, default 1 024 */
} sp_watch_options;

enum {
    SP_CHANGE_INITIAL = 1, /* as it was when the watch began */
    SP_CHANGE_REGISTERED,
    SP_CHANGE_VALUE, /* a set or a rollback */
    SP_CHANGE_LOCK,  /* locked or unlocked */
    SP_CHANGE_DELETED
};

typedef struct sp_change {
    int kind; /* SP_CHANGE_ */
    sp_variable variable;
} sp_change;

/*
 * Watch variables of a session.
 *
 * Every change from now on is delivered once, in the order in which it was made. A
 * watcher that leaves more than queue_max of them lying gets what lies there and then
 * SP_ERR_TOO_SLOW: nothing is left out silently.
 *
 * Errors: SP_ERR_INVAL, SP_ERR_NOT_FOUND (the session, or a name), SP_ERR_NOMEM.
 * Since: 0.1
 */
SP_API int sp_watch_open(sp_sessions *sessions, const char *session,
                         const sp_watch_options *options, sp_watch **ret_watch,
                         sp_error *err);

/*
 * Take the next change.
 *
 * timeout_ms  0 does not wait, SP_UNLIMITED waits for ever
 * ret_change  release with sp_variable_clear(&ret_change->variable)
 *
 * Returns 1 with a change, 0 when the time passed. Errors, after all that came before:
 * SP_ERR_TOO_SLOW, SP_ERR_NOT_FOUND (the session has ended), SP_ERR_NOMEM (this change
 * stays the next). Thread: any, one at a time. Since: 0.1
 */
SP_API int sp_watch_next(sp_watch *watch, uint64_t timeout_ms, sp_change *ret_change,
                         sp_error *err);

/* Stop watching. Before sp_sessions_close(). NULL is fine. Since: 0.1 */
SP_API void sp_watch_close(sp_watch *watch);

#ifdef __cplusplus
}
#endif
#endif
