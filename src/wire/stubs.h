/* SPDX-License-Identifier: MIT */
/*
 * The calls about state, from the caller's side: one function for each, which does what
 * the sp_ function of its name does, with a host on the other end.
 *
 * They encode, have somebody else carry the request there and the reply back, and decode.
 * `session` is NULL or "" for the session of the job that asks. Results are the caller's
 * and released as those of the sp_ functions; what callbacks see is borrowed.
 *
 * Errors beyond those of the functions they stand for: whatever the carrier returns, and
 * SP_ERR_PROTOCOL when the reply cannot be read.
 */
#ifndef SP_WIRE_STUBS_H
#define SP_WIRE_STUBS_H

#include "snakepit/report.h"
#include "snakepit/worker_state.h"
#include "wire/proto_state.h"

struct caller {
    /* Send a request, wait, append the reply. An error status is an error here. */
    int (*call)(void *user, const char *path, sp_bytes request, struct sp_buffer *reply,
                sp_error *err);
    void *user;
};

/* ---- sessions ---- */

int sp__stub_session_create(const struct caller *caller, const char *id,
                            const sp_session_options *options, sp_error *err);
int sp__stub_session_get(const struct caller *caller, const char *id,
                         sp_session_info *ret_info, sp_error *err);
/* 1, 0 or an error. */
int sp__stub_session_exists(const struct caller *caller, const char *id, sp_error *err);
/* As sp_session_update(), but others can come between: then it is SP_ERR_CONFLICT. */
int sp__stub_session_update(const struct caller *caller, const char *id,
                            sp_session_edit_fn fn, void *user_data, sp_error *err);
int sp__stub_session_delete(const struct caller *caller, const char *id, sp_error *err);
/* pattern  NULL: all */
int sp__stub_sessions_list(const struct caller *caller, const char *pattern,
                           sp_session_cb cb, void *user_data, sp_error *err);
int sp__stub_sessions_stats(const struct caller *caller, sp_sessions_stats *ret_stats,
                            sp_error *err);

/* ---- variables ---- */

int sp__stub_variable_register(const struct caller *caller, const char *session,
                               const char *name, const char *type, const char *value,
                               const sp_change_options *options,
                               sp_variable *ret_variable, sp_error *err);
int sp__stub_variable_get(const struct caller *caller, const char *session,
                          const char *name, sp_variable *ret_variable, sp_error *err);
int sp__stub_variable_set(const struct caller *caller, const char *session,
                          const char *name, const char *value,
                          const sp_change_options *options, uint64_t *ret_version,
                          sp_error *err);
/* Arrays as bytes, see snakepit/worker_state.h. */
int sp__stub_variable_register_array(const struct caller *caller, const char *session,
                                     const char *name, const char *type,
                                     const sp_tensor *array,
                                     const sp_change_options *options,
                                     sp_variable *ret_variable, sp_error *err);
int sp__stub_variable_set_array(const struct caller *caller, const char *session,
                                const char *name, const sp_tensor *array,
                                const sp_change_options *options, uint64_t *ret_version,
                                sp_error *err);
int sp__stub_variable_get_array(const struct caller *caller, const char *session,
                                const char *name, sp_array_cb cb, void *user_data,
                                sp_error *err);
int sp__stub_variables_get_arrays(const struct caller *caller, const char *session,
                                  const char *const *names, size_t count,
                                  sp_array_cb cb, void *user_data, sp_error *err);
/* arrays  NULL, or one for each update; NULL: the update has JSON */
int sp__stub_variables_set_arrays(const struct caller *caller, const char *session,
                                  sp_variable_update *updates,
                                  const sp_tensor *const *arrays, size_t count,
                                  int atomic, const sp_change_options *options,
                                  sp_error *err);
int sp__stub_variable_delete(const struct caller *caller, const char *session,
                             const char *name, const sp_change_options *options,
                             sp_error *err);
int sp__stub_variables_list(const struct caller *caller, const char *session,
                            const char *pattern, sp_variable_cb cb, void *user_data,
                            sp_error *err);
int sp__stub_variables_get(const struct caller *caller, const char *session,
                           const char *const *names, size_t count,
                           sp_variable *ret_variables, sp_error *err);
int sp__stub_variables_set(const struct caller *caller, const char *session,
                           sp_variable_update *updates, size_t count, int atomic,
                           const sp_change_options *options, sp_error *err);
int sp__stub_variable_history(const struct caller *caller, const char *session,
                              const char *name, size_t limit, sp_variable_cb cb,
                              void *user_data, sp_error *err);
int sp__stub_variable_rollback(const struct caller *caller, const char *session,
                               const char *name, uint64_t version,
                               const sp_change_options *options, uint64_t *ret_version,
                               sp_error *err);
int sp__stub_variable_lock(const struct caller *caller, const char *session,
                           const char *name, const char *owner, sp_error *err);
int sp__stub_variable_unlock(const struct caller *caller, const char *session,
                             const char *name, const char *owner,
                             sp_variable *ret_variable, sp_error *err);
int sp__stub_variable_depend(const struct caller *caller, const char *session,
                             const char *from, const char *to, const char *kind,
                             sp_error *err);
int sp__stub_variable_undepend(const struct caller *caller, const char *session,
                               const char *from, const char *to, sp_error *err);
int sp__stub_variable_dependencies(const struct caller *caller, const char *session,
                                   const char *name, sp_dependency_cb cb,
                                   void *user_data, sp_error *err);
int sp__stub_variables_export(const struct caller *caller, const char *session,
                              sp_json_cb cb, void *user_data, sp_error *err);
int sp__stub_variables_import(const struct caller *caller, const char *session,
                              const char *json, sp_error *err);

/* WatchVariables is a stream: its request, and each message that comes. *ret_change is
 * the caller's, as that of sp_watch_next(). */
int sp__stub_watch_request(struct sp_buffer *out, const char *session,
                           const sp_watch_options *options, sp_error *err);
int sp__stub_watch_update(sp_bytes message, sp_change *ret_change, sp_error *err);

/* ---- programs: `session` NULL is the global ones, "" the job's session ---- */

int sp__stub_program_store(const struct caller *caller, const char *session,
                           const char *id, const char *data, uint64_t ttl_ms,
                           sp_error *err);
int sp__stub_program_update(const struct caller *caller, const char *session,
                            const char *id, const char *data, sp_error *err);
int sp__stub_program_get(const struct caller *caller, const char *session,
                         const char *id, sp_program *ret_program, sp_error *err);
int sp__stub_program_delete(const struct caller *caller, const char *session,
                            const char *id, sp_error *err);
int sp__stub_programs_list(const struct caller *caller, const char *session,
                           sp_program_cb cb, void *user_data, sp_error *err);

/* ---- reports ---- */

int sp__stub_report(const struct caller *caller, const char *name, const char *options,
                    sp_json_cb cb, void *user_data, sp_error *err);
/* DrainWorker or KillWorker, by its path. */
int sp__stub_worker(const struct caller *caller, const char *path, const char *worker,
                    sp_daemon_worker *ret, sp_error *err);

/* ---- what the stubs share ---- */

/* One call: encode, carry, and keep the reply. Zero it before, fini it after. */
struct stub_call {
    struct sp_buffer request;
    struct sp_buffer reply;
    struct proto_memory memory;
};
/* `request` NULL: the request is in call->request already. */
int sp__stub_call(const struct caller *caller, struct stub_call *call, const char *path,
                  const struct proto_table *table, const void *request,
                  sp_error *err) SP_MUST_CHECK;
/* Decode the reply. */
int sp__stub_reply(struct stub_call *call, const struct proto_table *table, void *ret,
                   sp_error *err) SP_MUST_CHECK;
/* Decode the next item `number` of it, in place of the one before: 1, 0 at the end. */
int sp__stub_next(struct stub_call *call, uint32_t number, size_t *pos,
                  const struct proto_table *table, void *ret,
                  sp_error *err) SP_MUST_CHECK;
/* What stands in a request for an array: JSON, and its bytes beside it. The bytes are
 * borrowed. Errors: as sp_tensor_check(); SP_ERR_BAD_VALUE, it has no elements. */
struct stub_array {
    char text[SP_TENSOR_TEXT_MAX];
    sp_bytes binary;
};
int sp__stub_array(const sp_tensor *array, struct stub_array *ret,
                   sp_error *err) SP_MUST_CHECK;
/* Show a variable that came, and the array its value is when that came as bytes. */
int sp__stub_show_array(const struct proto_variable *message, size_t index,
                        sp_array_cb cb, void *user_data, sp_error *err) SP_MUST_CHECK;
/* The version that must be there, 0 for none: a host takes any other for a wish. */
int32_t sp__stub_expected(const sp_change_options *options);
/* Refuse "" where it would travel as "not given". INVAL. */
int sp__stub_check(const char *text, const char *what, sp_error *err) SP_MUST_CHECK;
void sp__stub_call_fini(struct stub_call *call);

#endif
