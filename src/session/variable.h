/* SPDX-License-Identifier: MIT */
/* Variables as they lie in a session, and how they are changed. */
#ifndef SP_SESSION_VARIABLE_H
#define SP_SESSION_VARIABLE_H

#include "session/sessions.h"
#include "session/var_rules.h"
#include "snakepit/variable.h"

/* A value as it was from one change to the next. Never changes; shared by the history,
 * by watchers and by readers on their way out. */
struct var_version {
    atomic_uint references;
    struct link on_versions; /* of its variable; under the shard's lock */
    uint64_t version;
    uint64_t time_unix_ms;
    int64_t row; /* in the store; 0: in none */
    size_t value_size;
    const char *value; /* in text, as the others */
    const char *metadata;
    const char *changed_by;
    char text[];
};

struct dependency {
    struct link on_needs; /* of the variable that depends */
    struct variable *to;
    char kind[];
};

/* Under the lock of the session's shard. */
struct variable {
    struct name_node node; /* in session->variables */
    struct link on_age;    /* session->variables_by_age */
    uint64_t number;       /* never used twice in a session */
    uint64_t created_unix_ms;
    uint64_t locked_unix_ms;
    struct var_rules *rules;
    struct list versions; /* the oldest first; the last is the value */
    struct list needs;    /* what it depends on */
    unsigned mark;        /* of the search for cycles */
    char *locked_by;      /* or NULL */
    char name[];
};

/* A variable at one moment: what is needed to build a sp_variable without the lock. */
struct var_view {
    uint64_t number;
    uint64_t created_unix_ms;
    uint64_t locked_unix_ms;
    struct var_rules *rules;
    struct var_version *version;
    char name[SP_NAME_MAX + 1];
    char locked_by[SP_NAME_MAX + 1];
};

/* ---- var_version.c ---- */

struct var_version *sp__version_new(uint64_t version, const struct sp_buffer *json,
                                    const char *metadata, const char *changed_by,
                                    sp_error *err);
struct var_version *sp__version_ref(struct var_version *version);
void sp__version_unref(struct var_version *version);
size_t sp__version_bytes(const struct var_version *version);

static inline struct var_version *sp__variable_now(const struct variable *variable)
{
    return ITEM(variable->versions.last, struct var_version, on_versions);
}

/* Locked: hold what it is now. End with sp__view_fini(). */
void sp__view_init(struct var_view *view, const struct variable *variable);
/* The same at another version of it. */
void sp__view_init_at(struct var_view *view, const struct variable *variable,
                      struct var_version *version);
void sp__view_fini(struct var_view *view);
/* The public struct, in one block of memory. */
int sp__view_copy(const struct var_view *view, sp_variable *ret_variable,
                  sp_error *err) SP_MUST_CHECK;

/* The members of `over` in place of those of `base` with the same key. Both are objects
 * or NULL; *ret is the caller's. */
int sp__merge_objects(const char *base, const char *over, size_t max, char **ret,
                      sp_error *err) SP_MUST_CHECK;

/* ---- variables.c ---- */

/* Locked: by name, else by id. NULL when there is none. */
struct variable *sp__variable_find(const struct session *session, const char *name);
/* The same, with the error. */
int sp__variable_need(const struct session *session, const char *name,
                      struct variable **ret_variable, sp_error *err) SP_MUST_CHECK;

/* A change of one value, prepared without the lock and made with it. */
struct var_change {
    struct variable *variable;
    struct var_version *version;
};

/* Gate taken, locked: whether these options may change it now. LOCKED, CONFLICT. */
int sp__variable_admit(const struct variable *variable,
                       const sp_change_options *options, sp_error *err) SP_MUST_CHECK;
/* Gate taken: cast, check and build the new version. */
int sp__change_prepare(struct sp_sessions *sessions, const struct variable *variable,
                       const char *value, const sp_change_options *options,
                       struct var_change *ret_change, sp_error *err) SP_MUST_CHECK;
/* Gate taken, locked: whether there is room for it; store it. QUOTA, those of the
 * store. */
int sp__change_keep(struct sp_sessions *sessions, struct session *session,
                    const struct var_change *change, sp_error *err) SP_MUST_CHECK;
/* Gate taken, locked: make it. Cannot fail; returns the new version's number. */
uint64_t sp__change_make(struct sp_sessions *sessions, struct session *session,
                         struct var_change *change);
/* Locked: whether the session may grow by so much. QUOTA. */
int sp__session_has_room(struct sp_sessions *sessions, const struct session *session,
                         size_t bytes, sp_error *err) SP_MUST_CHECK;

/* A whole variable, not yet in its session. */
int sp__variable_build(struct sp_sessions *sessions, const char *name, const char *type,
                       const char *value, size_t value_size,
                       const sp_change_options *options, struct variable **ret_variable,
                       sp_error *err) SP_MUST_CHECK;
size_t sp__variable_bytes(const struct variable *variable);
/* Gate taken, locked: whether nobody has its name. EXISTS. */
int sp__variable_is_new(const struct session *session, const struct variable *variable,
                        sp_error *err) SP_MUST_CHECK;
/* Gate taken, locked: whether so many more variables, of so many bytes, may be in the
 * session; then there is memory for them. QUOTA, NOMEM. */
int sp__variables_make_room(struct sp_sessions *sessions, struct session *session,
                            size_t count, size_t bytes, sp_error *err) SP_MUST_CHECK;
/* Gate taken, locked, after those two: put it in. It has its number. */
void sp__variable_link(struct session *session, struct variable *variable);
/* Locked: out of the session; and freed. */
void sp__variable_unlink(struct session *session, struct variable *variable);
void sp__variable_free(struct variable *variable);

int sp__variable_delete(struct sp_sessions *sessions, const char *session_id,
                        const char *name, const sp_change_options *options,
                        sp_error *err);
int sp__variable_register(struct sp_sessions *sessions, const char *session_id,
                          const char *name, const char *type, const char *value,
                          const sp_change_options *options, sp_variable *ret_variable,
                          sp_error *err);
int sp__variable_get(struct sp_sessions *sessions, const char *session_id,
                     const char *name, sp_variable *ret_variable, sp_error *err);
/* The name of its type, a constant, and how large its value is. */
int sp__variable_peek(struct sp_sessions *sessions, const char *session_id,
                      const char *name, const char **ret_type, size_t *ret_bytes,
                      sp_error *err);
int sp__variable_set(struct sp_sessions *sessions, const char *session_id,
                     const char *name, const char *value,
                     const sp_change_options *options, uint64_t *ret_version,
                     sp_error *err);

/* ---- var_batch.c ---- */

int sp__variables_list(struct sp_sessions *sessions, const char *session_id,
                       const char *pattern, sp_variable_cb cb, void *user_data,
                       sp_error *err);
int sp__variables_get(struct sp_sessions *sessions, const char *session_id,
                      const char *const *names, size_t count,
                      sp_variable *ret_variables, sp_error *err);
int sp__variables_set(struct sp_sessions *sessions, const char *session_id,
                      sp_variable_update *updates, size_t count, int atomic,
                      const sp_change_options *options, sp_error *err);
/* '*' is any text, '?' one character of UTF-8. */
int sp__glob(const char *pattern, const char *text);

/* ---- var_history.c ---- */

int sp__variable_history(struct sp_sessions *sessions, const char *session_id,
                         const char *name, size_t limit, sp_variable_cb cb,
                         void *user_data, sp_error *err);
int sp__variable_rollback(struct sp_sessions *sessions, const char *session_id,
                          const char *name, uint64_t version,
                          const sp_change_options *options, uint64_t *ret_version,
                          sp_error *err);
int sp__variable_lock(struct sp_sessions *sessions, const char *session_id,
                      const char *name, const char *owner, sp_error *err);
int sp__variable_unlock(struct sp_sessions *sessions, const char *session_id,
                        const char *name, const char *owner, sp_variable *ret_variable,
                        sp_error *err);

/* ---- var_depend.c ---- */

int sp__variable_depend(struct sp_sessions *sessions, const char *session_id,
                        const char *from, const char *to, const char *kind,
                        sp_error *err);
int sp__variable_undepend(struct sp_sessions *sessions, const char *session_id,
                          const char *from, const char *to, sp_error *err);
int sp__variable_dependencies(struct sp_sessions *sessions, const char *session_id,
                              const char *name, sp_dependency_cb cb, void *user_data,
                              sp_error *err);
/* Locked: it is in order, and becomes part of the variable that depends. */
void sp__dependency_link(struct session *session, struct variable *from,
                         struct dependency *dependency);
/* Locked: what it depends on, and what depends on it, forgets it. */
void sp__dependencies_drop(struct session *session, struct variable *variable);

/* ---- var_export.c ---- */

int sp__variables_export(struct sp_sessions *sessions, const char *session_id,
                         sp_json_cb cb, void *user_data, sp_error *err);
int sp__variables_import(struct sp_sessions *sessions, const char *session_id,
                         const char *json, size_t size, sp_error *err);

/* ---- var_note.c: events of variables, while one listens ---- */

void sp__variable_note(struct sp_sessions *sessions, const char *session, int kind,
                       const char *name, const char *second);
void sp__variable_note_version(struct sp_sessions *sessions, const char *session,
                               const char *name, const char *type, uint64_t version);
/* A value that was refused, for what `code` says. */
void sp__variable_note_refusal(struct sp_sessions *sessions, const char *session,
                               const char *name, const char *type, const char *value,
                               int code, const sp_error *err);

/* ---- watch.c ---- */

struct watcher;

/* Locked: tell the session's watchers, in this order. */
void sp__watches_tell(struct session *session, const struct variable *variable,
                      int kind);
/* Locked: the session is going; they find out. */
void sp__watches_end(struct session *session);
/* Called by whichever thread makes a change, with locks held: there is something to
 * take. Not any more once sp__watcher_close() has returned. */
struct watch_notice {
    void (*fn)(void *user);
    void *user;
};
/* notice  NULL: none */
int sp__watcher_open(struct sp_sessions *sessions, const char *session_id,
                     const sp_watch_options *options, const struct watch_notice *notice,
                     struct watcher **ret_watch, sp_error *err);
int sp__watcher_next(struct watcher *watch, uint64_t timeout_ms, sp_change *ret_change,
                     sp_error *err);
void sp__watcher_close(struct watcher *watch);

#endif
